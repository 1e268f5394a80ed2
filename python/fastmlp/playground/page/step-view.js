// One row through the network, forward and back, with every number.

import { button, number } from "./controls.js";
import { h, setText } from "./dom.js";
import { short } from "./numbers.js";
import { drawStep } from "./step-drawing.js";

const MINUS = "\u2212";

/** A sum written out: 3 × 2 − 1 × 5 + 0.5. */
function sumOf(products, bias) {
  const signs = (value) => (value < 0 ? `(${short(value)})` : short(value));
  const shown = products.slice(0, 6).map(([a, b]) => `${signs(a)} × ${signs(b)}`);
  if (products.length > 6) shown.push("…");
  const text = shown.join(" + ");
  return bias === undefined || bias === 0
    ? text
    : `${text} ${bias < 0 ? MINUS : "+"} ${short(Math.abs(bias))}`;
}

/** The stages of a step of a network of so many layers: what they are called, what they show. */
function stagesOf(step) {
  const count = step.layers.length;
  const name = (l) => (l === count - 1 ? "the output layer" : `layer ${l + 1}`);
  const none = { forward: 0, loss: false, backward: 0, gradient: false, update: false };
  const stages = [{ title: "The row comes in", layer: null, shown: none }];
  for (let l = 0; l < count; l++) {
    stages.push({
      title: `Forward: ${name(l)}`,
      layer: l,
      kind: "forward",
      shown: { ...none, forward: l + 1 },
    });
  }
  const forward = { ...none, forward: count, loss: true };
  stages.push({
    title: "The loss compares with the target",
    layer: count - 1,
    kind: "loss",
    shown: forward,
  });
  for (let l = count - 1; l >= 0; l--) {
    stages.push({
      title: `Back: the deltas of ${name(l)}`,
      layer: l,
      kind: "backward",
      shown: { ...forward, backward: count - l },
    });
  }
  const backward = { ...forward, backward: count };
  stages.push({
    title: "The gradient of each weight",
    layer: null,
    kind: "gradient",
    shown: { ...backward, gradient: true },
  });
  stages.push({
    title: "The weights move",
    layer: null,
    kind: "update",
    shown: { ...backward, gradient: true, update: true },
  });
  return stages;
}

const MOST_WEIGHTS = 4; // whose arithmetic is written

/** The arithmetic of each stage, for one unit of a layer. */
const ARITHMETIC = {
  forward(step, layer, unit) {
    const products = layer.inputs.map((input, i) => [layer.weights[i][unit], input]);
    const z = `z = ${sumOf(products, layer.biases[unit])} = ${short(layer.z[unit], 4)}`;
    return `${z}, and a = ${nameOf(layer)}(z) = ${short(layer.outputs[unit], 4)}`;
  },
  loss(step) {
    const outputs = step.layers
      .at(-1)
      .outputs.map((value) => short(value, 4))
      .join(", ");
    return `The output is ${outputs}, the target ${step.target}: the loss is ${short(step.loss, 4)}.`;
  },
  backward(step, layer, unit) {
    const delta = short(layer.delta[unit], 4);
    const next = step.layers[step.layers.indexOf(layer) + 1];
    if (!next) return `δ is the derivative of the loss by z: ${delta}`;
    const products = next.delta.map((value, k) => [next.weights[unit][k], value]);
    const sum = products.reduce((total, [weight, value]) => total + weight * value, 0);
    const slope = sum === 0 ? 0 : layer.delta[unit] / sum;
    return `δ = (${sumOf(products)}) × slope of ${nameOf(layer)} ${short(slope)} = ${delta}`;
  },
  gradient(step, layer, unit) {
    const delta = layer.delta[unit];
    const products = layer.inputs.slice(0, MOST_WEIGHTS).map((input, i) => {
      const gradient = layer.gradient[i][unit];
      const penalty = gradient - input * delta;
      const isThere = Math.abs(penalty) > 1e-9 * Math.abs(gradient);
      const added = isThere ? ` + ${short(penalty)} of the penalties` : "";
      return `${short(input)} × ${short(delta)}${added} = ${short(gradient)}`;
    });
    return `The derivative by a weight is its input times δ: ${products.join("; ")}`;
  },
  update(step, layer, unit) {
    const moves = layer.weights
      .slice(0, MOST_WEIGHTS)
      .map((row, i) => `${short(row[unit])} → ${short(layer.new_weights[i][unit])}`);
    const becomes = `The loss of this row becomes ${short(step.new_loss, 4)}.`;
    return `${step.solver} at the rate ${short(step.learning_rate)}: ${moves.join("; ")}. ${becomes}`;
  },
};
const FIRST = "Step on to see how the numbers come about. Choose a unit to see its own.";
const OF_MAXOUT =
  "The units of 'maxout' have several sums each, which are not drawn: " +
  "fastmlp.inspection.explain_step prints them.";

const nameOf = (layer) => layer.activation.replaceAll("_", " ");

function wordsOf(step, stage, { layer, unit }) {
  return stage.kind ? ARITHMETIC[stage.kind](step, step.layers[layer], unit) : FIRST;
}

export function buildStepView(app, panel) {
  let step = null;
  let place = 0;
  let chosen = null;
  let row = 0;
  let preset = null;
  const back = button("‹ Back", () => go(place - 1), { "data-do": "stage-back" });
  const next = button("Next ›", () => go(place + 1), { class: "primary", "data-do": "stage-next" });
  const all = button("All numbers", () => go(Infinity), { class: "quiet", "data-do": "stage-all" });
  const title = h("h3", { role: "status", "data-stage": "" });
  const words = h("p", { class: "arithmetic" });
  const note = h("p", { class: "soft" });
  const drawing = h("div", { class: "step-box" });
  const rows = number(
    "Row of the training data",
    { low: 0, high: 100000, step: 1 },
    (value) => {
      row = value;
      preset = null;
      ask();
    },
    { "data-control": "step-row" },
  );
  rows.set(0);
  const presets = app.hello.presets.map((item) =>
    button(item.title, () => begin(item), {
      class: "chip-button",
      "data-preset": item.id,
      title: item.text ?? "",
    }),
  );
  panel.append(
    h(
      "div",
      { class: "fields" },
      h(
        "div",
        { class: "row" },
        rows.element,
        h("span", { class: "soft" }, "or a worked example:"),
        presets,
      ),
      h("div", { class: "row stage-row" }, back, next, all, title),
      drawing,
      words,
      note,
    ),
  );
  let beginning = false;
  // a preset is over as soon as the state is another one
  app.on("state", () => beginning || (preset = null));

  function begin(item) {
    app.pause();
    beginning = true;
    preset = item;
    app.takeStates([item.state]);
    app.reset();
    beginning = false;
    place = 0; // the step is asked for as soon as the network stands
  }

  async function ask() {
    const body = preset ? { x: preset.x, target: preset.target } : { row };
    try {
      step = await app.api.ask("step", { network: app.selected, ...body });
    } catch (error) {
      step = null;
      app.emit("notice", error.message);
    }
    const last = step ? step.layers.length - 1 : 0;
    if (!chosen || !step || chosen.layer > last || chosen.unit >= step.layers[chosen.layer].delta.length)
      chosen = { layer: last, unit: 0 };
    show();
  }

  function go(to) {
    if (!step) return;
    const stages = stagesOf(step);
    place = Math.max(0, Math.min(to, stages.length - 1));
    const { layer } = stages[place];
    if (layer !== null && chosen.layer !== layer) chosen = { layer, unit: 0 };
    show();
  }

  function show() {
    drawing.replaceChildren();
    setText(title, "");
    setText(words, "");
    back.disabled = next.disabled = all.disabled = true;
    setText(note, "");
    if (!step) return;
    if (step.layers.some((layer) => layer.z.length !== layer.outputs.length)) {
      setText(note, OF_MAXOUT);
      return;
    }
    all.disabled = false;
    const stages = stagesOf(step);
    place = Math.min(place, stages.length - 1);
    const stage = stages[place];
    setText(title, `${place + 1} of ${stages.length}. ${stage.title}`);
    title.dataset.stage = stage.kind ?? "row";
    drawing.append(
      drawStep(step, stage.shown, chosen, (layer, unit) => {
        chosen = { layer, unit };
        show();
      }),
    );
    setText(words, wordsOf(step, stage, chosen));
    setText(note, [preset?.text, step.note].filter(Boolean).join(" "));
    back.disabled = place === 0;
    next.disabled = place === stages.length - 1;
  }

  let open = false;
  app.on("busy", (busy) => open && !busy && !app.playing && ask());
  return {
    open() {
      open = true;
      app.pause();
      ask();
    },
    close: () => (open = false),
  };
}
