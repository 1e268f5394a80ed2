// The network as a drawing: a heat map per unit, a line per weight.

import { h, s, set, setText } from "./dom.js";
import { short } from "./numbers.js";

const HEAD = 56; // pixels above the units, for what a layer's controls need
const GAP = 7;
const LARGEST = 48,
  SMALLEST = 20; // pixels of a unit
const ROOM = 372; // for the units of a column
const PHONE = 600; // a drawing that is narrower is as high as its units need
const NARROWEST = 98,
  NARROWEST_FOR_FINGERS = 124; // of a column
const LONG_NAMES = 48; // pixels for names of inputs or outputs

/** How many units of a layer are drawn: lines to more could not be told apart. */
const mostShown = (columns) => (columns > 8 ? 8 : columns > 5 ? 10 : 16);

export class NetworkDrawing {
  /**
   * @param {object} on  what to call: `unit(layer, unit, element)` and `weight(layer, from, to,
   *   place)` when one is chosen, `look(layer, unit)` and `lookAway()` as the pointer or the focus
   *   is on a unit, `head(layer)` for the controls of a layer. Layer 0 holds the inputs.
   */
  constructor(on) {
    this.on = on;
    this.svg = s("svg", { class: "weights", role: "img", "aria-label": "weights of the network" });
    this.lines = s("g");
    this.hits = s("g");
    this.svg.append(this.lines, this.hits);
    this.units = h("div", { class: "units" });
    this.tip = h("output", { class: "tip", hidden: true });
    this.inner = h("div", { class: "drawing-inner" }, this.svg, this.units, this.tip);
    this.element = h("div", { class: "drawing" }, this.inner);
    this.columns = [];
    this.weights = null;
    this.hits.addEventListener("pointermove", (event) => this.#tell(event));
    this.hits.addEventListener("pointerleave", () => (this.tip.hidden = true));
    this.hits.addEventListener("click", (event) => {
      const { layer, from, to } = event.target.dataset;
      on.weight(Number(layer), Number(from), Number(to), { x: event.clientX, y: event.clientY });
    });
    new ResizeObserver(() => this.#place()).observe(this.element);
  }

  /** Draw other layers: [{units: [{name, label}], kind}], inputs first, outputs last. */
  build(columns) {
    const focused = this.#focused();
    this.columns = columns;
    const most = mostShown(columns.length);
    this.shown = columns.map(({ units }) => (units.length > most ? most - 1 : units.length));
    this.tiles = columns.map((column, layer) => this.#tilesOf(column, layer));
    this.heads = columns.map((_, layer) => h("div", { class: "layer-head" }, this.on.head(layer)));
    this.more = columns.map(({ units }, layer) => {
      const hidden = units.length - this.shown[layer];
      return hidden > 0 ? h("span", { class: "more" }, `+ ${hidden} more`) : null;
    });
    this.units.replaceChildren(
      ...this.heads,
      ...this.tiles.flat().map((tile) => tile.button),
      ...this.more.filter(Boolean),
    );
    this.#buildLines();
    this.size = null;
    this.#place();
    if (focused) this.units.querySelector(focused)?.focus();
  }

  /** Where the focus is in the drawing, as a selector: it is to stay there when all is drawn anew. */
  #focused() {
    const element = document.activeElement;
    if (!this.units.contains(element)) return null;
    const { do: does, control, layer, unit } = element.dataset;
    if (does) return `[data-do="${does}"]`;
    return control ? `[data-control="${control}"]` : `[data-layer="${layer}"][data-unit="${unit}"]`;
  }

  #tilesOf(column, layer) {
    return column.units.slice(0, this.shown[layer]).map((unit, i) => {
      const canvas = h("canvas", { "aria-hidden": "true" });
      const mark = layer > 0 ? h("i", { class: "bias" }) : null;
      const name = unit.name ? h("span", { class: `unit-name ${column.kind}` }, unit.name) : null;
      const button = h(
        "button",
        {
          type: "button",
          class: `unit ${column.kind} ${column.image ? "image" : ""}`,
          "data-layer": layer,
          "data-unit": i,
          "aria-label": unit.label,
          title: unit.label,
          onclick: () => this.on.unit(layer, i, button),
          onpointerenter: () => this.on.look(layer, i),
          onpointerleave: () => this.on.lookAway(),
          onfocus: () => button.matches(":focus-visible") && this.on.look(layer, i),
          onblur: () => this.on.lookAway(),
        },
        canvas,
        mark,
        name,
      );
      return { button, canvas, mark };
    });
  }

  #buildLines() {
    this.edges = [];
    for (let layer = 1; layer < this.columns.length; layer++) {
      if (this.columns[layer].apart) continue; // too many inputs for lines
      for (let to = 0; to < this.shown[layer]; to++) {
        for (let from = 0; from < this.shown[layer - 1]; from++) {
          const of = { "data-layer": layer, "data-from": from, "data-to": to };
          this.edges.push({ layer, from, to, line: s("path", of), hit: s("path", of), width: -1 });
        }
      }
    }
    this.lines.replaceChildren(...this.edges.map((edge) => edge.line));
    this.hits.replaceChildren(...this.edges.map((edge) => edge.hit));
  }

  /** Where everything is, at the width there is. */
  #place() {
    if (this.columns.length === 0 || this.element.clientWidth === 0) return;
    const isPhone = this.element.clientWidth < PHONE;
    const width = Math.max(
      this.element.clientWidth,
      this.columns.length * (isPhone ? NARROWEST_FOR_FINGERS : NARROWEST),
    );
    const most = Math.max(...this.shown.map((count, i) => count + (this.more[i] ? 0.7 : 0)));
    const room = isPhone ? Math.min(ROOM, most * (LARGEST + GAP)) : ROOM;
    const unit = Math.max(SMALLEST, Math.min(LARGEST, Math.floor(room / most) - GAP));
    const height = HEAD + Math.max(most * (unit + GAP), room) + 4;
    const size = `${width} ${height} ${unit}`;
    if (size === this.size) return;
    this.size = size;
    set(this.svg, { viewBox: `0 0 ${width} ${height}`, width, height });
    Object.assign(this.inner.style, { width: `${width}px`, height: `${height}px` });
    this.inner.style.setProperty("--unit", `${unit}px`);
    const left = this.#roomForNames(0);
    const inner = width - left - this.#roomForNames(this.columns.length - 1);
    const middle = (layer) => left + ((layer + 0.5) * inner) / this.columns.length;
    this.inner.style.setProperty("--name", `${middle(0) - unit / 2 - 8}px`);
    const pitch = unit + GAP + Math.max(0, Math.min(10, (room / most - unit - GAP) * 0.6));
    const top = (layer) => {
      const count = this.shown[layer] + (this.more[layer] ? 0.7 : 0);
      return HEAD + Math.max(0, (room - count * pitch) / 2);
    };
    const at = (layer, i) => top(layer) + i * pitch;
    this.tiles.forEach((tiles, layer) => {
      this.heads[layer].style.left = `${middle(layer)}px`;
      tiles.forEach(({ button }, i) => {
        button.style.left = `${middle(layer) - unit / 2}px`;
        button.style.top = `${at(layer, i)}px`;
      });
      if (this.more[layer]) {
        this.more[layer].style.left = `${middle(layer)}px`;
        this.more[layer].style.top = `${at(layer, this.shown[layer])}px`;
      }
    });
    for (const { layer, from, to, line, hit } of this.edges) {
      const x1 = middle(layer - 1) + unit / 2 + 1,
        y1 = at(layer - 1, from) + unit / 2;
      const x2 = middle(layer) - unit / 2 - 1,
        y2 = at(layer, to) + unit / 2;
      const bend = (x2 - x1) / 2;
      const d = `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
      line.setAttribute("d", d);
      hit.setAttribute("d", d);
    }
  }

  /** Pixels beside a column whose units have names that need them. */
  #roomForNames(layer) {
    return this.columns[layer].units.some((unit) => unit.name.length > 6) ? LONG_NAMES : 0;
  }

  /** Show weights: per layer {coefs, intercepts, rows, columns}; layer 1 is the first. */
  showWeights(weights) {
    this.weights = weights;
    let largest = 1;
    for (const { layer, from, to } of this.edges) {
      largest = Math.max(largest, Math.abs(this.weightOf(layer, from, to)));
    }
    for (const edge of this.edges) {
      const weight = this.weightOf(edge.layer, edge.from, edge.to);
      const width = Math.round(4 + (46 * Math.abs(weight)) / largest) / 10;
      const sign = weight < 0 ? "negative" : "positive";
      if (width === edge.width && sign === edge.sign) continue;
      edge.width = width;
      edge.line.setAttribute("stroke-width", width);
      if (sign !== edge.sign) edge.line.setAttribute("class", (edge.sign = sign));
    }
    this.tiles.slice(1).forEach((tiles, i) => {
      tiles.forEach(({ mark }, unit) => {
        const bias = weights[i].intercepts[unit];
        set(mark, { class: `bias ${bias < 0 ? "negative" : "positive"}` });
      });
    });
  }

  weightOf(layer, from, to) {
    const { coefs, columns } = this.weights[layer - 1];
    return coefs[from * columns + to];
  }

  #tell(event) {
    const { layer, from, to } = event.target.dataset;
    if (layer === undefined || !this.weights) return;
    const weight = this.weightOf(Number(layer), Number(from), Number(to));
    setText(this.tip, short(weight, 3));
    const box = this.inner.getBoundingClientRect();
    this.tip.style.left = `${event.clientX - box.left + 12}px`;
    this.tip.style.top = `${event.clientY - box.top - 28}px`;
    this.tip.hidden = false;
  }
}
