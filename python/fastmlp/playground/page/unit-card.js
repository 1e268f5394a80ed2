// A unit looked at closely: its map, its formula, its weights to be changed. And a single weight.

import { button } from "./controls.js";
import { h, newId } from "./dom.js";
import { paintNumbers, paintSigned } from "./maps.js";
import { short } from "./numbers.js";
import { formulaOf, unitMap, unitName } from "./units.js";

const MOST_FIELDS = 40; // weights in a card

let open = null;

function close() {
  open?.remove();
  open = null;
}

/** Show a dialog near a place of the window, whole within it. */
function openAt(place, dialog) {
  close();
  open = dialog;
  dialog.addEventListener("close", close);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  const { width, height } = dialog.getBoundingClientRect();
  const within = (value, size, all) => Math.max(8, Math.min(value, all - size - 8));
  dialog.style.left = `${within(place.x + 12, width, innerWidth)}px`;
  dialog.style.top = `${within(place.y - 40, height, innerHeight)}px`;
}

function field(label, value, change, data) {
  const id = newId("weight");
  const input = h("input", {
    id,
    type: "number",
    step: "any",
    value: Number(value.toPrecision(5)),
    ...data,
    onchange: () => input.value !== "" && change(Number(input.value)),
  });
  return h("div", { class: "control" }, h("label", { for: id }, label), input);
}

/** The weights and the bias of a sum, to be changed. */
function fieldsOf(app, place, layer, { column, terms, bias }) {
  const set = (input) => (value) => app.setWeight(place, { layer: layer - 1, input, unit: column, value });
  return [
    terms.map((term) =>
      field(`weight of ${term.name}`, term.weight, set(term.from), {
        "data-weight": `${layer - 1}.${term.from}.${column}`,
      }),
    ),
    field("bias", bias, set(null), { "data-bias": `${layer - 1}.${column}` }),
  ];
}

/** The card of a unit; `layer` counts the inputs as 0. */
export function openUnit(app, place, layer, unit, element) {
  const net = app.nets[place];
  const box = element.getBoundingClientRect();
  const name = unitName(net, layer, unit);
  const canvas = h("canvas", { class: "big-map" });
  const picture = unitMap(net, layer, unit);
  if (picture) paintSigned(canvas, picture.pixels, picture.size, picture.size);
  else if (app.isDigits && layer === 1) paintNumbers(canvas, columnOf(net.arrays["weights.0"], unit), 8, 8);
  else canvas.hidden = true;
  const parts = [];
  if (layer > 0) {
    const { sums, text } = formulaOf(net, layer, unit);
    parts.push(h("p", { class: "formula" }, h("code", {}, text)));
    if (sums[0].terms.length <= MOST_FIELDS) {
      parts.push(
        h(
          "div",
          { class: "fields weight-fields" },
          sums.map((sum) => fieldsOf(app, place, layer, sum)),
        ),
      );
    }
  }
  const dialog = h(
    "dialog",
    { class: "unit-card", "aria-label": name },
    h(
      "div",
      { class: "row spread" },
      h("h3", {}, name),
      button("Close", () => dialog.close(), { class: "quiet" }),
    ),
    canvas,
    parts,
  );
  openAt({ x: box.right, y: box.top }, dialog);
}

/** One column of a matrix. */
export function columnOf(matrix, column) {
  const [rows, columns] = matrix.shape;
  return Float32Array.from({ length: rows }, (_, row) => matrix[row * columns + column]);
}

/** A single weight, to be changed. */
export function openWeight(app, place, layer, from, to, at) {
  const net = app.nets[place];
  const [{ terms }] = formulaOf(net, layer, to).sums;
  const name = `Weight of ${terms[from].name} in ${unitName(net, layer, to)}`;
  const dialog = h(
    "dialog",
    { class: "unit-card", "aria-label": name },
    h(
      "form",
      { method: "dialog", class: "fields" },
      field(
        `${name}: ${short(terms[from].weight, 4)}`,
        terms[from].weight,
        (value) => app.setWeight(place, { layer: layer - 1, input: from, unit: to, value }),
        { "data-weight": `${layer - 1}.${from}.${to}` },
      ),
      h("button", { class: "primary" }, "Done"),
    ),
  );
  openAt(at, dialog);
}
