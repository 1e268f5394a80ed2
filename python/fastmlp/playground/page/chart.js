// The curves of training: axes with numbers, one line per curve, values beside the pointer.

import { h, s, set, setText } from "./dom.js";
import { short, ticks, whole } from "./numbers.js";

const MARGIN = { left: 46, right: 12, top: 10, bottom: 30 };
const MOST_POINTS = 400; // of a line: more would not be seen

export class CurveChart {
  /** `label`: what the chart shows, for screen readers; `unit`: the words at its left axis. */
  constructor(label) {
    this.svg = s("svg", { class: "chart", role: "img", "aria-label": label });
    this.axes = s("g", { class: "axes" });
    this.lines = s("g");
    this.cursor = s("line", { class: "cursor", visibility: "hidden" });
    this.svg.append(this.axes, this.lines, this.cursor);
    this.readout = h("p", { class: "readout" });
    this.legend = h("p", { class: "legend" });
    this.element = h(
      "div",
      { class: "chart-box" },
      this.legend,
      h("div", { class: "chart-area" }, this.svg),
      this.readout,
    );
    this.label = label;
    this.logarithmic = false;
    this.curves = [];
    this.svg.addEventListener("pointermove", (event) => this.#point(event));
    this.svg.addEventListener("pointerleave", () => this.#unpoint());
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  /** Curves: {name, className, epochs, values}. */
  show(curves) {
    this.curves = curves;
    this.draw();
  }

  draw() {
    const { width, height } = this.svg.getBoundingClientRect();
    if (width < 50 || height < 50) return;
    const shown = this.curves.filter((curve) => curve.epochs.length > 0);
    const [low, high, last] = this.#limits(shown);
    const plot = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    const scale = (value) => (this.logarithmic ? Math.log10(Math.max(value, 1e-12)) : value);
    const [bottom, top] = [scale(low), scale(high)];
    this.x = (epoch) => MARGIN.left + (plot.width * epoch) / Math.max(last, 1);
    this.y = (value) => MARGIN.top + plot.height * (1 - (scale(value) - bottom) / (top - bottom || 1));
    this.plot = { ...plot, last };
    set(this.svg, { viewBox: `0 0 ${width} ${height}` });
    this.#drawAxes(low, high, last, width, height);
    this.#drawLines(shown);
    this.#drawLegend(shown);
  }

  #limits(shown) {
    let low = Infinity,
      high = -Infinity,
      last = 10;
    for (const { epochs, values } of shown) {
      for (const value of values) {
        if (!Number.isFinite(value)) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      last = Math.max(last, epochs[epochs.length - 1]);
    }
    if (low > high) return [this.logarithmic ? 0.1 : 0, 1, last];
    if (this.logarithmic) return [Math.max(low, 1e-9) * 0.9, Math.max(high, 1e-8) * 1.1, last];
    return [Math.min(0, low), high * 1.04 || 1, last];
  }

  #drawAxes(low, high, last, width, height) {
    const inner = height - MARGIN.bottom;
    const values = this.logarithmic ? powers(low, high) : ticks(low, high, 5);
    const parts = values.flatMap((value) => [
      s("line", {
        class: "grid",
        x1: MARGIN.left,
        x2: width - MARGIN.right,
        y1: this.y(value),
        y2: this.y(value),
      }),
      s("text", { x: MARGIN.left - 6, y: this.y(value), class: "left" }, short(value)),
    ]);
    for (const epoch of ticks(0, last, width > 320 ? 5 : 3).filter(Number.isInteger)) {
      parts.push(s("text", { x: this.x(epoch), y: inner + 14, class: "below" }, whole(epoch)));
    }
    parts.push(s("text", { x: width - MARGIN.right, y: height - 3, class: "axis-name" }, "epoch"));
    this.axes.replaceChildren(...parts);
  }

  #drawLines(shown) {
    while (this.lines.childElementCount > shown.length) this.lines.lastChild.remove();
    while (this.lines.childElementCount < shown.length) this.lines.append(s("polyline"));
    shown.forEach((curve, i) => {
      const stride = Math.max(1, Math.floor(curve.epochs.length / MOST_POINTS));
      const points = [];
      for (let k = 0; k < curve.epochs.length; k++) {
        if (k % stride !== 0 && k !== curve.epochs.length - 1) continue;
        if (!Number.isFinite(curve.values[k])) continue;
        points.push(`${this.x(curve.epochs[k]).toFixed(1)},${this.y(curve.values[k]).toFixed(1)}`);
      }
      set(this.lines.children[i], { class: `curve ${curve.className}`, points: points.join(" ") });
    });
  }

  #drawLegend(shown) {
    const names = shown.map((curve) => curve.name).join();
    if (names === this.legendNames) return;
    this.legendNames = names;
    this.legend.replaceChildren(
      ...shown.map((curve) =>
        h(
          "span",
          { class: "key" },
          s(
            "svg",
            { width: 22, height: 8, "aria-hidden": "true" },
            s("line", { x1: 0, x2: 22, y1: 4, y2: 4, class: `curve ${curve.className}` }),
          ),
          curve.name,
        ),
      ),
    );
  }

  #point(event) {
    const shown = this.curves.filter((curve) => curve.epochs.length > 0);
    if (!this.plot || shown.length === 0) return;
    const left = event.clientX - this.svg.getBoundingClientRect().left;
    const epoch = ((left - MARGIN.left) / this.plot.width) * this.plot.last;
    const parts = shown.map((curve) => {
      const i = nearest(curve.epochs, epoch);
      return `${curve.name} ${short(curve.values[i], 4)}`;
    });
    const at = shown[0].epochs[nearest(shown[0].epochs, epoch)];
    set(this.cursor, {
      x1: this.x(at),
      x2: this.x(at),
      y1: MARGIN.top,
      y2: MARGIN.top + this.plot.height,
      visibility: "visible",
    });
    setText(this.readout, `epoch ${whole(at)}: ${parts.join(", ")}`);
  }

  #unpoint() {
    set(this.cursor, { visibility: "hidden" });
    setText(this.readout, "");
  }
}

function powers(low, high) {
  const result = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const k of [1, 3]) {
      const value = k * 10 ** power;
      if (value >= low && value <= high) result.push(value);
    }
  }
  return result.length > 6 ? result.filter((_, i) => i % 2 === 0) : result;
}

/** The place of the number next to a value, in numbers that rise. */
function nearest(numbers, value) {
  let low = 0,
    high = numbers.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low > 0 && value - numbers[low - 1] < numbers[low] - value ? low - 1 : low;
}
