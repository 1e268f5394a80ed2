// The data: which set, how many points, how noisy, which features; and points of one's own.

import { css, ofClass, signed } from "./colours.js";
import { button, choice, number, radios, slider } from "./controls.js";
import { byId, h, setText } from "./dom.js";
import { percent, short, whole } from "./numbers.js";
import { onTheme } from "./theme.js";
import { featureName } from "./units.js";

const isPlane = ({ name }) => !["digits", "table", "points"].includes(name);
const GROUPS = [
  ["Classes", (set) => isPlane(set) && set.task === "classification"],
  ["Values", (set) => isPlane(set) && set.task === "regression"],
  ["More", (set) => !isPlane(set)],
];
const FUNCTIONS = ["sine", "abs", "cubic"]; // of x alone

export function buildDataPanel(app) {
  const controls = [];
  const bound = (make, field) => {
    const control = make((value) => app.changeData({ [field]: value }));
    control.element.dataset.control = `data.${field}`;
    controls.push(() => control.set(app.data[field]));
    return control;
  };
  const limits = app.hello.limits;
  const points = bound(
    (change) =>
      slider(
        "Points",
        { low: 10, high: Math.min(limits.points ?? 2000, 2000), step: 10, format: whole },
        change,
      ),
    "points",
  );
  const noise = bound(
    (change) => slider("Noise", { low: 0, high: 1, step: 0.05, format: (v) => percent(v, 0) }, change),
    "noise",
  );
  const train = bound(
    (change) =>
      slider("To train on", { low: 0.1, high: 0.9, step: 0.05, format: (v) => percent(v, 0) }, change),
    "train",
  );
  const classes = bound(
    (change) => slider("Classes", { low: 2, high: 8, format: whole }, change),
    "classes",
  );
  const seed = bound(
    (change) => number("Seed of the data", { low: 0, high: 2 ** 31 - 1, step: 1 }, change),
    "seed",
  );
  const again = button("New sample", () => app.changeData({ seed: app.data.seed + 1 }), {
    id: "new-sample",
  });
  const task = choice(
    "Kind of target",
    [
      ["classification", "classes"],
      ["regression", "values"],
    ],
    (value) => app.changeData({ task: value, added: firstPoints(value) }),
    { "data-control": "data.task" },
  );
  const plane = planeOf(app);
  const features = featuresOf(app);
  const adding = addingOf(app);
  const describe = h("p", { class: "soft", id: "data-text" });
  const more = h("details", {}, h("summary", {}, "Seed"), h("div", { class: "fields" }, seed.element));
  byId("data").append(
    h(
      "div",
      { class: "fields" },
      setsOf(app),
      describe,
      task.element,
      classes.element,
      points.element,
      noise.element,
      train.element,
      again,
      plane.element,
      features.element,
      adding.element,
      more,
    ),
  );
  const show = () => {
    for (const refresh of controls) refresh();
    task.set(app.data.task);
    const { data } = app;
    const set = app.set();
    const own = ["table", "digits", "points"].includes(data.set);
    const [fewest, most] = set.classes ?? [2, 2];
    const [low, high] = [fewest ?? 2, most ?? 2];
    Object.assign(classes.input, { min: low, max: high });
    classes.set(data.classes);
    classes.element.hidden = own || app.task() === "regression" || low === high;
    points.element.hidden = noise.element.hidden = own;
    again.hidden = more.hidden = data.set === "points";
    task.element.hidden = data.set !== "points";
    train.element.hidden = false;
    setText(describe, textOf(app));
    describe.hidden = describe.textContent === "";
    plane.show();
    features.show();
    adding.show();
  };
  app.on("state", show);
  app.on("frame", () => app.fresh.has("train") && adding.show());
  show();
}

function textOf(app) {
  const { set } = app.data;
  if (set === "digits") return "1797 handwritten digits of 8 × 8 pixels. Draw your own on the pad.";
  if (set === "points") return "Nothing but the points that you add: click on the picture.";
  if (set !== "table") return "";
  const { name, columns, target, rows } = app.hello.table;
  return `${name}: ${whole(rows)} rows, ${columns.length} columns; to predict: ${target}.`;
}

/** Buttons with pictures for the sets. */
function setsOf(app) {
  const element = h("div", { class: "sets" });
  const groups = GROUPS.map(([title, belongs]) => {
    const sets = app.hello.data.sets.filter(belongs);
    const options = sets.map((set) => ({
      value: set.name,
      content: [pictureOf(set), h("small", {}, set.title)],
      title: set.title,
      data: { "data-set": set.name },
    }));
    return radios(title, options, (value) => choose(app, value), "set-group");
  });
  groups.forEach((group) => group.inputs.length && element.append(group.element));
  const show = () => groups.forEach((group) => group.set(app.data.set));
  app.on("state", show);
  show();
  return element;
}

/** Choose a set, and with it what it needs: classes that it has, inputs, a network that suits it. */
function choose(app, name) {
  const [before, set] = [app.set(), app.set(name)];
  const { plane, features } = app.hello.data.defaults;
  const fields = { set: name, plane, added: name === "points" ? firstPoints(app.data.task) : [] };
  if (isPlane(set) && set.task === "classification") {
    fields.classes = Math.min(app.data.classes, set.classes[1]);
  }
  if (FUNCTIONS.includes(name)) fields.features = ["x"];
  else if (FUNCTIONS.includes(before.name)) fields.features = features;
  // what is suggested for the set; of another that it is left for, the defaults again
  const suggested = { ...fieldsOf(app.hello.network.classification, before.network), ...set.network };
  app.changeData(fields, name === before.name ? {} : suggested);
}

/** Where there are no points but added ones: something to begin with. */
const firstPoints = (task) =>
  task === "regression"
    ? [
        [-3, 0, -0.5],
        [3, 0, 0.5],
      ]
    : [
        [-3, 0, 0],
        [3, 0, 1],
      ];

const fieldsOf = (defaults, named) =>
  Object.fromEntries(Object.keys(named ?? {}).map((name) => [name, defaults[name]]));

function pictureOf(set) {
  const canvas = h("canvas", { width: 88, height: 72, "aria-hidden": "true" });
  const paint = () => {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const [x, y, target] of set.preview) {
      const up = FUNCTIONS.includes(set.name) ? 4 * target : y;
      context.fillStyle = css(set.task === "regression" ? signed(target) : ofClass(target));
      context.beginPath();
      context.arc(44 + 6.4 * x, 36 - 5.4 * up, 3.2, 0, 7);
      context.fill();
    }
  };
  paint();
  onTheme(paint);
  return set.preview.length
    ? canvas
    : h("span", { class: "glyph", "aria-hidden": "true" }, GLYPHS[set.name] ?? "");
}

const GLYPHS = { digits: "0–9", table: "▦", points: "+" };

/** The two columns of a table that the picture shows. */
function planeOf(app) {
  const columns = app.hello.table?.columns ?? [];
  const names = columns.map((column, i) => [i, column.name]);
  const change = (axis) => (value) =>
    app.changeData({ plane: app.data.plane.map((old, i) => (i === axis ? value : old)) });
  const axes = [
    choice("Across", names, change(0), { "data-control": "data.plane.0" }),
    choice("Up", names, change(1), { "data-control": "data.plane.1" }),
  ];
  const element = h(
    "div",
    { class: "fields" },
    axes.map((axis) => axis.element),
    columns.length > 2
      ? h("p", { class: "soft" }, "The picture shows these two columns, the others at their median.")
      : null,
  );
  return {
    element,
    show() {
      element.hidden = app.data.set !== "table" || columns.length < 2;
      axes.forEach((axis, i) => axis.set(app.data.plane[i]));
    },
  };
}

/** Which functions of x and y the network is given. */
function featuresOf(app) {
  const boxes = app.hello.data.features.map((name) => {
    const input = h("input", {
      type: "checkbox",
      "data-feature": name,
      onchange: () => change(name, input.checked),
    });
    return { name, input, element: h("label", { class: "chip" }, input, h("span", {}, featureName(name))) };
  });
  const element = h(
    "fieldset",
    { class: "features" },
    h("legend", {}, "Inputs of the network"),
    h(
      "div",
      { class: "chips" },
      boxes.map((box) => box.element),
    ),
  );
  function change(name, yes) {
    const chosen = app.hello.data.features.filter((f) =>
      f === name ? yes : app.data.features.includes(f),
    );
    if (chosen.length > 0) app.changeData({ features: chosen });
    else show(); // a network has at least one input
  }
  function show() {
    element.hidden = !app.isPlane;
    for (const { name, input } of boxes) input.checked = app.data.features.includes(name);
  }
  return { element, show };
}

/** What a click on the picture adds. */
function addingOf(app) {
  const element = h("div", { class: "adding fields" });
  const clear = button(
    "Remove added points",
    () => app.changeData({ added: app.data.set === "points" ? firstPoints(app.data.task) : [] }),
    { id: "clear-added", class: "quiet" },
  );
  let built = "";
  app.brush = 1;
  function show() {
    element.hidden = !app.isPlane;
    element.classList.toggle("no-brush", app.isCurve); // a click says the value itself
    const count = app.task() === "classification" ? (app.nets[0].classes?.length ?? app.data.classes) : 0;
    const key = `${app.task()} ${count}`;
    if (key !== built) {
      built = key;
      element.replaceChildren(brushOf(app, count), clear);
    }
    clear.hidden = app.data.added.length === 0;
    setText(clear, `Remove added points (${app.data.added.length})`);
  }
  return { element, show };
}

function brushOf(app, classes) {
  if (classes === 0) {
    app.brush = 0.5;
    const value = slider(
      "A click adds a point of",
      { low: -1, high: 1, step: 0.1, format: (v) => short(v, 2) },
      (v) => (app.brush = v),
    );
    value.set(app.brush);
    value.element.dataset.control = "brush";
    return value.element;
  }
  const count = Math.max(classes, 2);
  app.brush = Math.min(Math.max(0, Math.round(app.brush)), count - 1);
  const options = Array.from({ length: count }, (_, label) => ({
    value: label,
    title: `class ${label}`,
    content: [h("i", { class: "dot", "data-class": label }), String(label)],
    data: { "data-brush": label },
  }));
  const group = radios(
    "A click on the picture adds a point of class",
    options,
    (label) => (app.brush = label),
    "brushes",
  );
  const paint = () =>
    group.element
      .querySelectorAll(".dot")
      .forEach((dot) => (dot.style.background = css(ofClass(Number(dot.dataset.class)))));
  paint();
  group.set(app.brush);
  return group.element;
}
