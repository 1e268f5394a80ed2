// The picture of what the network says everywhere: the decision surface, or the regression's map,
// or of a function of x alone its curve; with the points on it. A click adds a point.

import { css, neutral, ofClass, signed } from "./colours.js";
import { toggle } from "./controls.js";
import { h, s, set, setText } from "./dom.js";
import { paintClasses, paintSigned } from "./maps.js";
import { short, ticks } from "./numbers.js";
import { isDark, onTheme } from "./theme.js";
import { unitMap, unitName } from "./units.js";

const DOTS = 2; // pixels of the canvas of points to one of the page

export class Surface {
  constructor(app, place) {
    this.app = app;
    this.place = place;
    this.map = h("canvas", { class: "map", "data-map": "output" });
    this.dots = h("canvas", { class: "dots", "data-map": "points" });
    this.across = s("svg", { class: "axis across", "aria-hidden": "true" });
    this.up = s("svg", { class: "axis up", "aria-hidden": "true" });
    this.caption = h("p", { class: "caption" });
    this.legend = h("div", { class: "scale" });
    this.square = h(
      "div",
      {
        class: "square",
        role: "img",
        tabindex: 0,
        "data-surface": place,
        onclick: (event) => this.#add(event),
        onkeydown: (event) => this.#moveByKey(event),
      },
      this.map,
      this.dots,
      h("i", { class: "crosshair", hidden: true }),
    );
    this.element = h(
      "div",
      { class: "surface" },
      this.caption,
      h("div", { class: "framed" }, this.up, this.square, this.across),
      this.legend,
      h(
        "div",
        { class: "row options" },
        this.#option("Test points", "testPoints"),
        this.#option("Decisions only", "decided"),
      ),
    );
    this.decisions = this.element.querySelector("[data-control='view.decided']").parentElement;
    this.looked = null; // the unit whose map is shown in place of the output
    this.cursor = null; // where the keys have moved the crosshair, in shares of the picture
    onTheme(() => this.show());
    new ResizeObserver(() => this.show()).observe(this.square);
  }

  get net() {
    return this.app.nets[this.place];
  }

  /** What is shown in the pictures of all networks. */
  #option(words, field) {
    const { app } = this;
    const box = toggle(
      words,
      (yes) => {
        app[field] = yes;
        app.emit("view");
        app.emit("view-set");
      },
      { "data-control": `view.${field}` },
    );
    const show = () => box.set(app[field] ?? false);
    app.on("view-set", show);
    show();
    return box.element;
  }

  /** What is upwards: y, or of a curve the target, of which there is some room above and below. */
  get upward() {
    const { data } = this.net;
    if (!this.net.isCurve) return { range: data.y, at: 1, name: data.ylabel };
    const [low, high] = data.target;
    const room = 0.15 * (high - low) || 1;
    return { range: [low - room, high + room], at: 2, name: data.target_name };
  }

  /** Show the map of a unit, or null: of the output. */
  look(unit) {
    this.looked = unit;
    this.#paintMap();
  }

  show() {
    if (!this.net?.arrays?.["output"]) return; // of a network that has been removed, or not yet come
    this.#paintMap();
    this.#paintDots();
    this.#axes();
    this.#legend();
  }

  /** The frame has new maps. */
  frame(fresh) {
    this.#paintMap();
    if (fresh.has("train")) this.show();
    else if (this.net.isCurve) this.#paintDots();
  }

  #paintMap() {
    const { arrays, task, classes } = this.net;
    if (!arrays?.["output"]) return;
    const curve = this.net.isCurve && !this.looked;
    this.map.style.visibility = curve ? "hidden" : "";
    const shown = this.looked && unitMap(this.net, this.looked.layer, this.looked.unit);
    const decided = this.app.decided;
    if (shown) {
      paintSigned(this.map, shown.pixels, shown.size, shown.size, decided);
    } else {
      const output = arrays["output"];
      const [outputs, size] = output.shape;
      if (task === "classification" && outputs > 1) {
        paintClasses(this.map, output, outputs, size, size, decided);
      } else {
        paintSigned(
          this.map,
          output.subarray(0, size * size),
          size,
          size,
          decided && task === "classification",
        );
      }
    }
    const what = shown
      ? unitName(this.net, this.looked.layer, this.looked.unit)
      : this.#title(classes, task);
    setText(this.caption, what);
    set(this.square, {
      "aria-label": `${what}. ${this.#numbers()}`,
      "data-shows": shown ? `${this.looked.layer}.${this.looked.unit}` : "output",
    });
  }

  #title(classes, task) {
    const target = this.net.data?.target_name;
    if (task === "regression") return target && target !== "target" ? `Predicted ${target}` : "Prediction";
    return classes?.length > 2 ? "Predicted class" : "Probability of each class";
  }

  #numbers() {
    const { data } = this.net;
    return data ? `${data.train} points to train on, ${data.test} to test on` : "";
  }

  #paintDots() {
    const { clientWidth: width, clientHeight: height } = this.square;
    const { data, arrays, task } = this.net;
    if (!data || width === 0) return;
    this.dots.width = width * DOTS;
    this.dots.height = height * DOTS;
    const context = this.dots.getContext("2d");
    context.scale(DOTS, DOTS);
    const radius = data.train + data.test > 1000 ? 2.2 : 3;
    const { range, at } = this.upward;
    const draw = (points, hollow) => {
      for (let i = 0; i < points.length; i += 3) {
        const x = ((points[i] - data.x[0]) / (data.x[1] - data.x[0])) * width;
        const y = (1 - (points[i + at] - range[0]) / (range[1] - range[0])) * height;
        context.beginPath();
        context.arc(x, y, radius, 0, 7);
        context.fillStyle = css(this.#colour(points[i + 2], task));
        context.strokeStyle = hollow ? (isDark() ? "#fff" : "#000") : css(neutral());
        context.lineWidth = hollow ? 1.2 : 0.9;
        context.fill();
        context.stroke();
      }
    };
    if (this.app.testPoints && arrays["test"]) draw(arrays["test"], true);
    if (arrays["train"]) draw(arrays["train"], false);
    if (this.net.isCurve) this.#paintCurve(context, width, height, range);
    set(this.dots, { "data-points": data.train + data.test });
  }

  #paintCurve(context, width, height, [low, high]) {
    const values = this.net.arrays["profile"];
    context.beginPath();
    values.forEach((value, i) => {
      context.lineTo(((i + 0.5) / values.length) * width, (1 - (value - low) / (high - low)) * height);
    });
    context.strokeStyle = isDark() ? "#fff" : "#111";
    context.lineWidth = 2.5;
    context.stroke();
  }

  #colour(target, task) {
    if (task === "classification") return ofClass(target);
    if (this.net.isCurve) return isDark() ? [90, 175, 235] : [70, 150, 200];
    const { center, scale } = this.net.output;
    return signed((target - center) / (scale || 1));
  }

  #axes() {
    const { data } = this.net;
    const { clientWidth: width, clientHeight: height } = this.square;
    if (!data || width === 0) return;
    const [left, right] = data.x;
    const {
      range: [low, high],
      name,
    } = this.upward;
    set(this.across, { viewBox: `0 0 ${width} 30`, width, height: 30 });
    this.across.replaceChildren(
      ...ticks(left, right, 4).map((value) =>
        s("text", { x: ((value - left) / (right - left)) * width, y: 13, class: "below" }, short(value)),
      ),
      s("text", { x: width / 2, y: 27, class: "below axis-title" }, data.xlabel ?? ""),
    );
    set(this.up, { viewBox: `0 0 34 ${height}`, width: 34, height });
    this.up.replaceChildren(
      ...ticks(low, high, 4).map((value) =>
        s("text", { x: 30, y: (1 - (value - low) / (high - low)) * height, class: "left" }, short(value)),
      ),
      s(
        "text",
        { transform: `translate(9 ${height / 2}) rotate(-90)`, class: "below axis-title" },
        name ?? "",
      ),
    );
  }

  #legend() {
    const { task, classes, output } = this.net;
    this.decisions.hidden = task === "regression";
    if (this.net.isCurve) {
      this.legend.replaceChildren(
        h("span", { class: "key" }, h("i", { class: "dot data-dot" }), "points"),
        h("span", { class: "key" }, h("i", { class: "stroke" }), "network"),
      );
      return;
    }
    const bar = (colours) => h("i", { class: "bar", "data-colours": colours.join() });
    let parts;
    if (task === "classification" && classes.length > 2) {
      parts = classes.map((label, i) => [
        h("i", { class: "dot", "data-colour": css(ofClass(i)) }),
        String(label),
      ]);
    } else {
      const ends =
        task === "classification"
          ? classes.map((label) => (Number.isFinite(Number(label)) ? `class ${label}` : String(label)))
          : [short(output.center - output.scale), short(output.center + output.scale)];
      parts = [[ends[0], bar([-1, 0, 1].map((v) => css(signed(v)))), ends[1]]];
    }
    this.legend.replaceChildren(...parts.map((part) => h("span", { class: "key" }, part)));
    for (const dot of this.legend.querySelectorAll("[data-colour]"))
      dot.style.background = dot.dataset.colour;
    for (const gradient of this.legend.querySelectorAll("[data-colours]")) {
      gradient.style.background = `linear-gradient(90deg, ${gradient.dataset.colours})`;
    }
  }

  /** Add a point where the picture was clicked. */
  #add(event) {
    if (!this.app.isPlane) return;
    const box = this.square.getBoundingClientRect();
    this.#addAt((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }

  #addAt(across, down) {
    const { data } = this.net;
    if (!data) return;
    const { range } = this.upward;
    const round = (value) => Number(value.toFixed(3));
    const x = round(data.x[0] + across * (data.x[1] - data.x[0]));
    const y = round(range[1] - down * (range[1] - range[0]));
    const point = this.net.isCurve ? [x, 0, y] : [x, y, this.app.brush];
    this.app.changeData({ added: [...this.app.data.added, point] });
  }

  /** Arrow keys move a crosshair, Enter adds a point there. */
  #moveByKey(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (!this.app.isPlane || (!move && event.key !== "Enter")) return;
    event.preventDefault();
    this.cursor ??= [0.5, 0.5];
    if (!move) {
      this.#addAt(...this.cursor);
      return;
    }
    const step = event.shiftKey ? 0.1 : 0.02;
    this.cursor = this.cursor.map((place, i) => Math.min(Math.max(place + step * move[i], 0), 1));
    const crosshair = this.square.querySelector(".crosshair");
    crosshair.hidden = false;
    crosshair.style.left = `${this.cursor[0] * 100}%`;
    crosshair.style.top = `${this.cursor[1] * 100}%`;
  }
}
