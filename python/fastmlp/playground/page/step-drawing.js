// The drawing of one step: the network with the numbers on it.

import { h, s } from "./dom.js";
import { short } from "./numbers.js";
import { featureName } from "./units.js";

const BOX = { width: 132, line: 15, pad: 7 };
const COLUMN = 366,
  GAP = 16;
const MOST_UNITS = 8,
  MOST_LABELS = 12; // of more, those into the chosen unit alone
const WIDE_GAP = 60; // where all weights are written

/** Which units of a layer are drawn: all, or those with the largest deltas. */
function chosenOf(deltas) {
  const all = deltas.map((_, unit) => unit);
  if (all.length <= MOST_UNITS) return all;
  const order = [...all].sort((a, b) => Math.abs(deltas[b]) - Math.abs(deltas[a]));
  return order.slice(0, MOST_UNITS - 1).sort((a, b) => a - b);
}

/**
 * The drawing of a step.
 * @param {object} step  as the server explains it
 * @param {object} shown  which numbers: {forward: layers done, loss, backward: layers done,
 *   gradient, update}
 * @param {object} chosen  the unit whose weights are written: {layer, unit}
 * @param {function} choose  called with a layer and a unit that are clicked
 */
export function drawStep(step, shown, chosen, choose) {
  const { layers } = step;
  const columns = [
    chosenOf(
      layers[0].inputs.map((_, i) =>
        layers[0].delta.reduce((sum, delta, k) => sum + Math.abs(delta * layers[0].weights[i][k]), 0),
      ),
    ),
    ...layers.map((layer) => chosenOf(layer.delta)),
  ];
  const edges = layers.reduce((sum, _, i) => sum + columns[i].length * columns[i + 1].length, 0);
  const gap = edges <= MOST_LABELS ? WIDE_GAP : GAP;
  const lines = [1, ...layers.map(() => 4)];
  const heights = lines.map((count) => BOX.pad * 2 + BOX.line * (count + 1));
  const tall = columns.map(
    (units, i) => units.length * (heights[i] + gap) - gap + (units.length < sizeOf(step, i) ? 20 : 0),
  );
  const height = Math.max(...tall) + 40;
  const width = columns.length * COLUMN - (COLUMN - BOX.width) + 150;
  const left = (i) => 12 + i * COLUMN;
  const top = (i, place) => (height - tall[i]) / 2 + place * (heights[i] + gap);
  const parts = { lines: [], labels: [], boxes: [] };

  layers.forEach((layer, l) => {
    columns[l + 1].forEach((to, row) => {
      const isChosen = edges <= MOST_LABELS || (chosen.layer === l && chosen.unit === to);
      columns[l].forEach((from, place) => {
        const x1 = left(l) + BOX.width,
          y1 = top(l, place) + heights[l] / 2;
        const x2 = left(l + 1),
          y2 = top(l + 1, row) + heights[l + 1] / 2;
        const weight = layer.weights[from][to];
        parts.lines.push(
          s("line", {
            x1,
            y1,
            x2,
            y2,
            class: `edge ${weight < 0 ? "negative" : "positive"} ${isChosen ? "" : "faint"}`,
          }),
        );
        if (!isChosen) return;
        // apart from each other: each unit's weights stand at a place of their own along the lines
        const rows = columns[l + 1].length;
        const share = rows === 1 || edges > MOST_LABELS ? 0.4 : 0.28 + (0.44 * row) / (rows - 1);
        parts.labels.push(
          label(x1 + share * (x2 - x1), y1 + share * (y2 - y1), weightLines(layer, from, to, shown, l), {
            "data-edge": `${l}.${from}.${to}`,
          }),
        );
      });
    });
  });
  columns.forEach((units, i) => {
    units.forEach((unit, place) => {
      const texts =
        i === 0 ? inputLines(step, unit) : unitLines(layers[i - 1], unit, i - 1, shown, layers.length);
      const isChosen = i > 0 && chosen.layer === i - 1 && chosen.unit === unit;
      parts.boxes.push(
        box(
          left(i),
          top(i, place),
          heights[i],
          texts,
          isChosen,
          i > 0 ? () => choose(i - 1, unit) : null,
          `${i}.${unit}`,
        ),
      );
    });
    const hidden = sizeOf(step, i) - units.length;
    if (hidden > 0) {
      parts.boxes.push(
        s(
          "text",
          { x: left(i) + BOX.width / 2, y: top(i, units.length) + 8, class: "middle soft" },
          `+ ${hidden} more`,
        ),
      );
    }
  });
  if (shown.loss) {
    const x = left(layers.length) + BOX.width + 14;
    parts.boxes.push(
      s("text", { x, y: height / 2 - 12 }, `target ${targetText(step.target)}`),
      s("text", { x, y: height / 2 + 6, class: "strong" }, `loss ${short(step.loss, 4)}`),
    );
    if (shown.update)
      parts.boxes.push(
        s("text", { x, y: height / 2 + 24, class: "strong" }, `then ${short(step.new_loss, 4)}`),
      );
  }
  return h(
    "div",
    { class: "scrolls" },
    s(
      "svg",
      {
        class: "step",
        viewBox: `0 0 ${width} ${height}`,
        width,
        height,
        role: "group",
        "aria-label": "The network with the numbers of this step",
      },
      parts.lines,
      parts.labels,
      parts.boxes,
    ),
  );
}

const sizeOf = (step, column) =>
  column === 0 ? step.layers[0].inputs.length : step.layers[column - 1].delta.length;
const targetText = (target) => (typeof target === "number" ? short(target, 4) : String(target));

function inputLines(step, unit) {
  return [featureName(step.inputs[unit] ?? `x${unit + 1}`), `${short(step.layers[0].inputs[unit], 4)}`];
}

function unitLines(layer, unit, l, shown, count) {
  const lines = [
    l === count - 1 ? (layer.delta.length > 1 ? `output ${unit + 1}` : "output") : `unit ${unit + 1}`,
  ];
  const bias = short(layer.biases[unit], 3);
  lines.push(`b  ${shown.update ? `${bias} → ${short(layer.new_biases[unit], 3)}` : bias}`);
  if (shown.forward > l) lines.push(`z  ${short(layer.z[unit], 4)}`, `a  ${short(layer.outputs[unit], 4)}`);
  if (shown.backward > count - 1 - l) lines.push(`δ  ${short(layer.delta[unit], 3)}`);
  return lines;
}

function weightLines(layer, from, to, shown) {
  const old = short(layer.weights[from][to], 3);
  const first = shown.update ? `${old} → ${short(layer.new_weights[from][to], 3)}` : old;
  return shown.gradient ? [first, `∂ ${short(layer.gradient[from][to], 3)}`] : [first];
}

function label(x, y, lines, data) {
  return s(
    "g",
    { class: "edge-label", ...data },
    lines.map((line, i) =>
      s(
        "text",
        { x, y: y + 14 * (i - (lines.length - 1) / 2) + 4, class: `middle ${i ? "gradient" : ""}` },
        line,
      ),
    ),
  );
}

function box(x, y, height, lines, isChosen, click, name) {
  const group = s(
    "g",
    { class: `node ${isChosen ? "chosen" : ""} ${click ? "clickable" : ""}`, "data-node": name },
    s("rect", { x, y, width: BOX.width, height, rx: 8 }),
    lines.map((line, i) =>
      s("text", { x: x + 10, y: y + BOX.pad + BOX.line * (i + 0.8), class: i === 0 ? "strong" : "" }, line),
    ),
  );
  if (click) {
    group.setAttribute("tabindex", 0);
    group.setAttribute("role", "button");
    group.setAttribute("aria-label", lines.join(", "));
    group.addEventListener("click", click);
    group.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      click();
    });
  }
  return group;
}
