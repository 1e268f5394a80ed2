// Changes of the network's layers: more and fewer, more and fewer units, activations.

import { button } from "./controls.js";
import { h, newId } from "./dom.js";

/** The activations of the hidden layers, one each. */
function activationsOf(network) {
  const { hidden_layer_sizes: sizes, activation } = network;
  return Array.isArray(activation) ? activation : sizes.map(() => activation);
}

/** One name where all layers have the same. */
function compact(activations, fallback) {
  if (activations.length === 0) return fallback;
  return activations.every((name) => name === activations[0]) ? activations[0] : activations;
}

function change(app, place, edit) {
  app.select(place);
  const { network } = app.state;
  const sizes = [...network.hidden_layer_sizes];
  const activations = [...activationsOf(network)];
  edit(sizes, activations);
  const fallback = Array.isArray(network.activation) ? network.activation[0] : network.activation;
  app.changeNetwork({ hidden_layer_sizes: sizes, activation: compact(activations, fallback) });
}

const setUnits = (app, place, layer, units) =>
  change(app, place, (sizes) => (sizes[layer] = Math.max(1, units)));

export const addLayer = (app, place) =>
  change(app, place, (sizes, activations) => {
    sizes.push(sizes.at(-1) ?? 4);
    activations.push(activations.at(-1) ?? "tanh");
  });

const removeLayer = (app, place, layer) =>
  change(app, place, (sizes, activations) => {
    sizes.splice(layer, 1);
    activations.splice(layer, 1);
  });

/** The controls above a hidden layer of a drawing; `layer` counts from 0. */
export function layerHead(app, place, layer) {
  const network = app.states[place].network;
  const units = network.hidden_layer_sizes[layer];
  const name = `layer ${layer + 1}`;
  const count = h("input", {
    type: "number",
    min: 1,
    max: app.hello.limits.units ?? 1000,
    step: 1,
    value: units,
    class: "count",
    "aria-label": `Units of ${name}`,
    "data-control": `units.${layer}`,
    onchange: () => setUnits(app, place, layer, Math.round(Number(count.value)) || 1),
  });
  const id = newId("activation");
  const select = h(
    "select",
    {
      id,
      "aria-label": `Activation of ${name}`,
      "data-control": `activation.${layer}`,
      onchange: () => change(app, place, (_, activations) => (activations[layer] = select.value)),
    },
    app.hello.choices.activation.map((option) =>
      h("option", { value: option }, option.replaceAll("_", " ")),
    ),
  );
  select.value = activationsOf(network)[layer];
  const small = (words, label, click, data) =>
    button(words, click, { class: "tiny", "aria-label": label, title: label, ...data });
  return h(
    "div",
    { class: "head-hidden" },
    h(
      "div",
      { class: "head-units" },
      small("\u2212", `Remove a unit of ${name}`, () => setUnits(app, place, layer, units - 1), {
        "data-do": `fewer.${layer}`,
        disabled: units <= 1,
      }),
      count,
      small("+", `Add a unit to ${name}`, () => setUnits(app, place, layer, units + 1), {
        "data-do": `more.${layer}`,
      }),
      small("×", `Remove ${name}`, () => removeLayer(app, place, layer), { "data-do": `remove.${layer}` }),
    ),
    select,
  );
}
