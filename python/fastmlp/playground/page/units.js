// Single units of a network: their maps, their names, their formulas.

import { short } from "./numbers.js";

const FEATURES = { x2: "x²", y2: "y²", sinx: "sin x", siny: "sin y" };

/** What a feature of the plane, or a column, is called. */
export const featureName = (name) => FEATURES[name] ?? name;

const words = (name) => name.replaceAll("_", " ");

/** The map of a unit, {pixels, size}, or null where there is none. Layer 0 holds the inputs. */
export function unitMap(net, layer, unit) {
  const last = net.units.length - 1;
  const name = layer === 0 ? "input" : layer === last ? "output" : `map.${layer - 1}`;
  const maps = net.arrays[name];
  if (!maps || unit >= maps.shape[0]) return null;
  const size = maps.shape[1];
  return { pixels: maps.subarray(unit * size * size, (unit + 1) * size * size), size };
}

/** What a unit is called. */
export function unitName(net, layer, unit) {
  const last = net.units.length - 1;
  if (layer === 0) return `Input ${featureName(net.inputs[unit])}`;
  if (layer === last) return net.outputs.length > 1 ? `Output ${net.outputs[unit]}` : "Output";
  return `Layer ${layer}, unit ${unit + 1} (${words(net.activations[layer - 1])})`;
}

/** What comes into a unit: [{name, from, weight}], its bias, and both as one formula. */
export function formulaOf(net, layer, unit) {
  const coefs = net.arrays[`weights.${layer - 1}`];
  const [inputs, columns] = coefs.shape;
  const name = (from) =>
    layer === 1 ? featureName(net.inputs[from]) : `a${from + 1}`;
  const terms = Array.from({ length: inputs }, (_, from) => ({
    name: name(from), from, weight: coefs[from * columns + unit],
  }));
  const bias = net.arrays[`biases.${layer - 1}`][unit];
  const largest = [...terms].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).slice(0, 6);
  const shown = terms.filter((term) => largest.includes(term));
  const sum = [...shown.map((term) => ({ text: `${short(Math.abs(term.weight))} ${term.name}`, minus: term.weight < 0 })),
    ...(terms.length > 6 ? [{ text: "…", minus: false }] : []), { text: short(Math.abs(bias)), minus: bias < 0 }];
  const z = sum.map(({ text, minus }, i) => (i === 0 ? (minus ? "−" : "") : minus ? " − " : " + ") + text).join("");
  const activation = net.activations[layer - 1];
  return { terms, bias, text: activation === "identity" ? z : `${words(activation)}(${z})` };
}
