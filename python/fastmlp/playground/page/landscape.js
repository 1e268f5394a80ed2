// The loss around the current weights: colours, contours, and the path that training took.

import { css, sequential } from "./colours.js";
import { button, choice, number } from "./controls.js";
import { h, s, set, setText } from "./dom.js";
import { paintSequential } from "./maps.js";
import { percent, short, ticks } from "./numbers.js";

const RESOLUTION = 41;
const CONTOURS = 9;

export function buildLandscape(app, panel) {
  const asked = { directions: "random", seed: 0 };
  const directions = choice(
    "Directions",
    [
      ["random", "random"],
      ["path", "path of training"],
    ],
    (value) => {
      asked.directions = value;
      compute();
    },
    { "data-control": "landscape-directions" },
  );
  const seed = number("Seed of the directions", { low: 0, high: 2 ** 31 - 1, step: 1 }, (value) => {
    asked.seed = value;
    compute();
  });
  seed.set(0);
  const go = button("Compute", () => compute(), { class: "primary", "data-do": "landscape" });
  const canvas = h("canvas", { class: "map", "data-map": "landscape" });
  const overlay = s("svg", { class: "overlay", "aria-hidden": "true" });
  const square = h(
    "div",
    { class: "square", role: "img", "aria-label": "Loss around the current weights" },
    canvas,
    overlay,
  );
  const across = s("svg", { class: "axis across", "aria-hidden": "true" });
  const up = s("svg", { class: "axis up", "aria-hidden": "true" });
  const scale = h("div", { class: "scale" });
  const words = h(
    "p",
    { class: "soft", role: "status" },
    "Two directions in the space of all weights; the middle is where the network is now.",
  );
  const figure = h(
    "div",
    { class: "surface", hidden: true },
    h("div", { class: "framed" }, up, square, across),
    scale,
  );
  panel.append(
    h(
      "div",
      { class: "landscape" },
      h("div", { class: "fields" }, directions.element, seed.element, h("div", {}, go), words),
      figure,
    ),
  );
  let latest = null;
  new ResizeObserver(() => latest && draw(latest)).observe(square);

  async function compute() {
    app.pause();
    go.disabled = true;
    try {
      latest = await app.api.frame("landscape", {
        network: app.selected,
        resolution: RESOLUTION,
        ...asked,
      });
      figure.hidden = false;
      draw(latest);
    } catch (error) {
      app.emit("notice", error.message);
    } finally {
      go.disabled = false;
    }
  }

  function draw({ header, arrays }) {
    const { losses, first, second } = arrays;
    const size = losses.shape[0];
    const logs = Float64Array.from(losses, (loss) => Math.log10(Math.max(loss, 1e-12)));
    const finite = logs.filter(Number.isFinite);
    const [low, high] = [Math.min(...finite), Math.max(...finite)];
    const share = (log) => (Number.isFinite(log) ? (log - low) / (high - low || 1) : 1);
    const pixels = new Uint8Array(size * size);
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        pixels[(size - 1 - row) * size + column] = Math.round(255 * share(logs[row * size + column]));
      }
    }
    paintSequential(canvas, pixels, size, size);
    const { clientWidth: width } = square;
    const x = (value) => ((value - first[0]) / (first[size - 1] - first[0])) * width;
    const y = (value) => (1 - (value - second[0]) / (second[size - 1] - second[0])) * width;
    set(overlay, { viewBox: `0 0 ${width} ${width}` });
    overlay.replaceChildren(
      ...contours(logs, size, low, high).map((d) =>
        s("path", { d, class: "contour", transform: `scale(${width / (size - 1)})` }),
      ),
      ...pathOf(header, arrays, x, y),
      s("circle", { cx: x(header.center[0]), cy: y(header.center[1]), r: 5, class: "here" }),
    );
    axes(first, second, header.names, x, y, width);
    legend(low, high);
    const told =
      header.share === null || header.share === undefined || !arrays.path?.length
        ? ""
        : ` ${percent(header.share)} of the path's variance lies in this plane.`;
    const ends = `the lowest in the picture ${short(10 ** low)}, the highest ${short(10 ** high)}`;
    setText(words, `The loss here is ${short(header.center_loss)}, ${ends}.${told}`);
    set(square, { "data-center-loss": header.center_loss });
  }

  function axes(first, second, names, x, y, width) {
    const ends = (values) => [values[0], values[values.length - 1]];
    set(across, { viewBox: `0 0 ${width} 30`, width, height: 30 });
    across.replaceChildren(
      ...ticks(...ends(first), 4).map((value) =>
        s("text", { x: x(value), y: 13, class: "below" }, short(value)),
      ),
      s("text", { x: width / 2, y: 27, class: "below axis-title" }, names[0]),
    );
    set(up, { viewBox: `0 0 34 ${width}`, width: 34, height: width });
    up.replaceChildren(
      ...ticks(...ends(second), 4).map((value) =>
        s("text", { x: 30, y: y(value), class: "left" }, short(value)),
      ),
      s(
        "text",
        { transform: `translate(9 ${width / 2}) rotate(-90)`, class: "below axis-title" },
        names[1],
      ),
    );
  }

  function legend(low, high) {
    const bar = h("i", { class: "bar" });
    const stops = Array.from({ length: 9 }, (_, i) => css(sequential(i / 8)));
    bar.style.background = `linear-gradient(90deg, ${stops})`;
    scale.replaceChildren(
      h("span", { class: "key" }, short(10 ** low), bar, short(10 ** high)),
      h("span", { class: "soft" }, "loss, on a log scale"),
    );
  }
  return {};
}

function pathOf(header, { path }, x, y) {
  if (!path || path.shape[0] < 2) return [];
  const points = Array.from({ length: path.shape[0] }, (_, i) => [x(path[2 * i]), y(path[2 * i + 1])]);
  return [
    s("polyline", {
      class: "path",
      points: points.map((point) => point.map((v) => v.toFixed(1)).join()).join(" "),
    }),
    ...points.map(([cx, cy]) => s("circle", { cx, cy, r: 2, class: "past" })),
  ];
}

/** Lines of equal height through a grid, by marching squares; one path per level. */
function contours(values, size, low, high) {
  const flip = (row) => size - 1 - row;
  return Array.from({ length: CONTOURS }, (_, i) => {
    const level = low + ((i + 1) / (CONTOURS + 1)) * (high - low);
    const at = (row, column) => values[row * size + column];
    const cross = (a, b) => (level - a) / (b - a);
    let d = "";
    for (let row = 0; row + 1 < size; row++) {
      for (let column = 0; column + 1 < size; column++) {
        const corners = [
          at(row, column),
          at(row, column + 1),
          at(row + 1, column + 1),
          at(row + 1, column),
        ];
        if (!corners.every(Number.isFinite)) continue;
        const above = corners.map((value) => value > level);
        const points = [];
        if (above[0] !== above[1]) points.push([column + cross(corners[0], corners[1]), row]);
        if (above[1] !== above[2]) points.push([column + 1, row + cross(corners[1], corners[2])]);
        if (above[2] !== above[3]) points.push([column + cross(corners[3], corners[2]), row + 1]);
        if (above[3] !== above[0]) points.push([column, row + cross(corners[0], corners[3])]);
        for (let k = 0; k + 1 < points.length; k += 2) {
          const [[x1, y1], [x2, y2]] = [points[k], points[k + 1]];
          d += `M${x1.toFixed(2)} ${flip(y1).toFixed(2)}L${x2.toFixed(2)} ${flip(y2).toFixed(2)}`;
        }
      }
    }
    return d;
  });
}
