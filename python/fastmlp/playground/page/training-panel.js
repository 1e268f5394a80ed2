// How the selected network is trained. What acts without a reset is what the server says acts so.

import { choice, number, radios, slider, toggle } from "./controls.js";
import { byId, h } from "./dom.js";
import { percent, short } from "./numbers.js";

// the fields that a schedule has besides the rate
const OF_SCHEDULE = {
  step: ["learning_rate_decay", "learning_rate_period"],
  exponential: ["learning_rate_decay"],
  plateau: ["learning_rate_decay", "learning_rate_period"],
  cosine: ["learning_rate_period"],
  one_cycle: ["max_iter"],
  invscaling: ["power_t"],
};
const OF_SGD = ["invscaling", "adaptive"]; // scikit-learn's, which change the rate of sgd alone
const words = (name) => name.replaceAll("_", " ");

export function buildTrainingPanel(app) {
  const bound = [];
  const defaults = app.hello.network.classification;

  /** A control that is tied to a parameter; null where the server has no such parameter. */
  function tie(field, make) {
    if (!(field in defaults)) return null;
    const control = make((value) => app.changeNetwork({ [field]: value }));
    control.element.dataset.control = `network.${field}`;
    if (!app.hello.live.includes(field)) {
      control.element.classList.add("resets");
      control.element.title = "A change starts training again";
    }
    bound.push({ field, control });
    return control;
  }
  const hide = (control, yes) => control && (control.element.hidden = yes);

  const choices = (field) => app.hello.choices[field].map((name) => [name, words(name)]);
  const rate = tie("learning_rate_init", (change) => slider("Learning rate", { low: 1e-5, high: 10, scale: "log" }, change));
  const solver = tie("solver", (change) => choice("Solver", choices("solver").filter(([name]) => name !== "lbfgs"), change));
  const batch = tie("batch_size", (change) => number("Batch size", { low: 1, high: 100000, step: 1 }, change));
  const losses = lossOf(app, tie);
  const l2 = tie("alpha", (change) => slider("L2 penalty", { low: 1e-5, high: 10, scale: "log", zero: true }, change));
  const l1 = tie("l1", (change) => slider("L1 penalty", { low: 1e-5, high: 10, scale: "log", zero: true }, change));
  const dropout = tie("dropout", (change) => slider("Dropout", { low: 0, high: 0.9, step: 0.05, format: (v) => percent(v, 0) }, change));
  const momentum = tie("momentum", (change) => slider("Momentum", { low: 0, high: 0.99, step: 0.01, format: (v) => short(v, 2) }, change));
  const schedule = tie("learning_rate", (change) => choice("Schedule", choices("learning_rate"), change));
  const fields = {
    learning_rate_decay: tie("learning_rate_decay", (change) => number("Factor", { low: 0.01, high: 1, step: 0.01 }, change, { placeholder: "auto" })),
    learning_rate_period: tie("learning_rate_period", (change) => number("Epochs between", { low: 1, high: 100000, step: 1 }, change, { placeholder: "auto" })),
    max_iter: tie("max_iter", (change) => number("Epochs in all", { low: 1, high: 1000000, step: 1 }, change)),
    power_t: tie("power_t", (change) => number("Exponent", { low: 0, high: 5, step: 0.1 }, change)),
  };
  const warmup = tie("warmup_epochs", (change) => number("Warm-up epochs", { low: 0, high: 10000, step: 1 }, change));
  const stopping = tie("early_stopping", (change) => toggle("Early stopping", change));
  const patience = tie("n_iter_no_change", (change) => number("Patience, epochs", { low: 1, high: 100000, step: 1 }, change));
  const init = tie("init", (change) => choice("First weights", choices("init"), change));
  const seed = number("Seed of the weights", { low: 0, high: 2 ** 31 - 1, step: 1 }, (value) => app.changeSeed(value));
  seed.element.dataset.control = "seed";

  const part = (title, ...controls) =>
    h("details", { "data-part": title }, h("summary", {}, title),
      h("div", { class: "fields" }, controls.filter(Boolean).map((control) => control.element)));
  const which = whichOf(app);
  byId("training").append(
    which.element,
    h("div", { class: "fields" },
      [rate, solver, batch, losses, l2].filter(Boolean).map((control) => control.element),
      part("Schedule and momentum", schedule, ...Object.values(fields), warmup, momentum),
      part("Against overfitting", l1, dropout, stopping, patience),
      part("First weights", init, seed),
      h("p", { class: "soft resets-note" }, "starts training again; all else acts at once"),
    ),
  );

  function show() {
    const { network } = app.state;
    for (const { field, control } of bound) {
      const value = network[field];
      control.set(Array.isArray(value) && field === "dropout" ? Math.max(...value) : value ?? "");
    }
    losses.show();
    which.show();
    seed.set(app.state.seed);
    hide(momentum, network.solver !== "sgd");
    const acts = network.solver === "sgd" || !OF_SGD.includes(network.learning_rate);
    for (const option of schedule?.input.options ?? []) {
      option.disabled = network.solver !== "sgd" && OF_SGD.includes(option.value);
    }
    const needed = acts ? OF_SCHEDULE[network.learning_rate] ?? [] : [];
    for (const [field, control] of Object.entries(fields)) hide(control, !needed.includes(field));
    hide(patience, !network.early_stopping);
  }
  app.on("state", show);
  show();
}

/** The loss, of which there are others for classes than for values. */
function lossOf(app, tie) {
  const controls = Object.entries(app.hello.choices.loss).map(([task, names]) => [
    task,
    tie("loss", (change) => choice("Loss", names.map((name) => [name, words(name)]), change)),
  ]);
  const element = h("div", { class: "fields" }, controls.map(([, control]) => control.element));
  return {
    element,
    show() {
      for (const [task, control] of controls) control.element.hidden = task !== app.task();
    },
  };
}

/** Which of two networks is changed. */
function whichOf(app) {
  const options = ["A", "B"].map((content, value) => ({ value, content, data: { "data-which": content } }));
  const segments = radios("The network that is changed", options, (place) => app.select(place));
  const note = h("span", { class: "soft" }, "is changed here");
  const element = h("div", { class: "row which" }, segments.element, note);
  return {
    element,
    show() {
      element.hidden = app.states.length < 2;
      segments.set(app.selected);
    },
  };
}
