// Single units of a network: their maps, their names, their formulas.

import { short } from "./numbers.js";

const FEATURES = { x2: "x²", y2: "y²", sinx: "sin x", siny: "sin y" };

/** What a feature of the plane, or a column, is called. */
export const featureName = (name) => FEATURES[name] ?? name;

const MOST_TERMS = 6; // of a formula
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

/** What a unit of 'maxout' weighs several times, all else once: the columns of its weights. */
function columnsOf(net, layer, unit) {
  const { shape } = net.arrays[`weights.${layer - 1}`];
  const count = net.units[layer];
  return Array.from({ length: shape[1] / count }, (_, piece) => unit + piece * count);
}

/** The weighted sum of one column: its terms {name, from, weight}, its bias, and words. */
function sumOf(net, layer, column) {
  const coefs = net.arrays[`weights.${layer - 1}`];
  const [inputs, columns] = coefs.shape;
  const terms = Array.from({ length: inputs }, (_, from) => ({
    name: layer === 1 ? featureName(net.inputs[from]) : `a${from + 1}`,
    from,
    weight: coefs[from * columns + column],
  }));
  const bias = net.arrays[`biases.${layer - 1}`][column];
  const largest = [...terms].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).slice(0, MOST_TERMS);
  const parts = terms
    .filter((term) => largest.includes(term))
    .map(({ weight, name }) => [weight, `${short(Math.abs(weight))} ${name}`]);
  if (terms.length > MOST_TERMS) parts.push([1, "…"]);
  parts.push([bias, short(Math.abs(bias))]);
  const words = parts
    .map(([value, text], i) => (value < 0 ? (i ? " − " : "−") : i ? " + " : "") + text)
    .join("");
  return { column, terms, bias, words };
}

/** The formula of a unit: its sums, of 'maxout' several, and all in words. */
export function formulaOf(net, layer, unit) {
  const sums = columnsOf(net, layer, unit).map((column) => sumOf(net, layer, column));
  const activation = net.activations[layer - 1];
  const inner = sums.map((sum) => sum.words).join(", ");
  const name = activation === "maxout" ? "max" : words(activation);
  return { sums, text: activation === "identity" ? inner : `${name}(${inner})` };
}
