// One network on the page: its drawing, and beside it what it says of the data.

import { button } from "./controls.js";
import { h, set, setText } from "./dom.js";
import { NetworkDrawing } from "./drawing.js";
import { addLayer, layerHead } from "./layers.js";
import { paintNumbers, paintSigned } from "./maps.js";
import { percent, short } from "./numbers.js";
import { Pad } from "./pad.js";
import { Surface } from "./surface.js";
import { columnOf, openUnit, openWeight } from "./unit-card.js";
import { featureName, unitMap, unitName } from "./units.js";

const MOST_INPUTS = 32; // whose lines are drawn

export class Lane {
  constructor(app, place) {
    this.app = app;
    this.place = place;
    this.drawing = new NetworkDrawing({
      unit: (layer, unit, element) => openUnit(app, place, layer, unit, element),
      weight: (layer, from, to, at) => openWeight(app, place, layer, from, to, at),
      look: (layer, unit) => this.surface.look({ layer, unit }),
      lookAway: () => this.surface.look(null),
      head: (layer) => this.#head(layer),
    });
    this.surface = new Surface(app, place);
    this.pad = new Pad(app, place);
    this.scores = h("p", { class: "lane-scores" });
    this.title = h("h2", {});
    this.message = h("p", { class: "lane-message", role: "status" });
    const add = button("+ Layer", () => addLayer(app, place), { class: "quiet", "data-do": "add-layer" });
    this.view = h("div", { class: "lane-view" }, this.surface.element, this.pad.element);
    this.element = h(
      "section",
      { class: "card lane", "data-lane": place, "aria-label": "Network" },
      h(
        "div",
        { class: "lane-net" },
        h("div", { class: "row spread lane-head" }, this.title, this.scores, add),
        this.drawing.element,
        this.message,
      ),
      this.view,
    );
  }

  get net() {
    return this.app.nets[this.place];
  }

  #head(layer) {
    const last = this.net.units.length - 1;
    if (layer === 0) return h("span", { class: "soft" }, this.net.units[0] > 1 ? "inputs" : "input");
    if (layer === last)
      return h("span", { class: "soft" }, this.net.units[last] > 1 ? "outputs" : "output");
    return layerHead(this.app, this.place, layer - 1);
  }

  /** The columns of the drawing. */
  #columns() {
    const { net } = this;
    const last = net.units.length - 1;
    return net.units.map((count, layer) => {
      const many = layer === 0 && count > MOST_INPUTS;
      const units = Array.from({ length: many ? 1 : count }, (_, i) => ({
        name: many
          ? ""
          : layer === 0
            ? featureName(net.inputs[i])
            : layer === last && count > 1
              ? net.outputs[i]
              : "",
        label: many ? `${count} inputs` : unitName(net, layer, i),
      }));
      return {
        units,
        kind: layer === 0 ? "input" : layer === last ? "output" : "hidden",
        image: many && this.app.isDigits,
        apart: layer === 1 && net.units[0] > MOST_INPUTS,
      };
    });
  }

  /** Draw the layers' controls anew: what was asked of them has not been done. */
  rebuild() {
    this.shape = null;
    this.frame(new Set());
  }

  /** Take in a frame. */
  frame(fresh) {
    const { net, app } = this;
    if (!net.units) return;
    const shape = `${net.structure} ${app.isDigits}`;
    if (shape !== this.shape) {
      this.shape = shape;
      this.drawing.build(this.#columns());
      this.surface.element.hidden = app.isDigits;
      this.pad.element.hidden = !app.isDigits;
    }
    this.#weights();
    this.#tiles();
    if (app.isDigits) this.pad.frame();
    else this.surface.frame(fresh);
    this.#words();
  }

  #weights() {
    const { net } = this;
    if (!net.arrays["weights.0"]) return;
    this.drawing.showWeights(
      net.units.slice(1).map((_, i) => {
        const coefs = net.arrays[`weights.${i}`];
        return { coefs, intercepts: net.arrays[`biases.${i}`], columns: coefs.shape[1] };
      }),
    );
  }

  #tiles() {
    const { net, app } = this;
    this.drawing.tiles.forEach((tiles, layer) =>
      tiles.forEach(({ canvas }, unit) => {
        const map = unitMap(net, layer, unit);
        if (map) paintSigned(canvas, map.pixels, map.size, map.size);
        else if (app.isDigits && layer === 1)
          paintNumbers(canvas, columnOf(net.arrays["weights.0"], unit), 8, 8);
        else if (app.isDigits) this.pad.paintUnit(canvas, layer, unit);
      }),
    );
  }

  #words() {
    const { net, app, place } = this;
    const two = app.states.length > 1;
    setText(this.title, two ? `Network ${"AB"[place]}` : "Network");
    const metric = net.metric === "R2" ? "R²" : net.metric;
    const score = (value) => (net.metric === "R2" ? short(value) : percent(value));
    const pace = `epoch ${net.epoch} in ${short(net.spent, 2)} s`;
    const test = `test loss ${short(net.loss.test)}, ${metric} ${score(net.score.test)}`;
    setText(this.scores, two ? `${pace}, ${test}` : "");
    const message = net.message ?? "";
    setText(this.message, message);
    this.message.hidden = message === "";
    set(this.element, {
      "data-epoch": net.epoch,
      "data-loss": net.loss.train ?? "",
      "data-test-loss": net.loss.test ?? "",
      "data-score": net.score.train ?? "",
      "data-test-score": net.score.test ?? "",
      "data-ended": net.ended ?? "",
      "data-units": net.units.join(","),
      "data-selected": app.selected === place,
    });
  }

  /** The pad has an answer: units without a map show how active they are. */
  repaintUnits() {
    if (this.net.units && this.app.isDigits) this.#tiles();
  }

  /** Colours or options of view have changed. */
  repaint() {
    if (!this.net.units) return;
    this.#tiles();
    this.surface.show();
    this.pad.frame();
  }
}
