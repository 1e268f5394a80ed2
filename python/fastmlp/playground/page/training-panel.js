// How the selected network is trained. What acts without a reset is what the server says acts so.

import { choice, number, radios, slider, toggle } from "./controls.js";
import { byId, h } from "./dom.js";
import { percent, short } from "./numbers.js";

const OF_SGD = ["invscaling", "adaptive"]; // scikit-learn's, which change the rate of sgd alone
const words = (name) => name.replaceAll("_", " ");

export function buildTrainingPanel(app) {
  const bound = [];

  /** A control that is tied to a parameter. */
  function tie(field, make) {
    const control = make((value) => app.changeNetwork({ [field]: value }));
    control.element.dataset.control = `network.${field}`;
    if (!app.hello.live.includes(field)) {
      control.element.classList.add("resets");
      control.element.title = "A change starts training again";
    }
    bound.push({ field, control });
    return control;
  }
  const hide = (control, yes) => (control.element.hidden = yes);

  const choices = (field) => app.hello.choices[field].map((name) => [name, words(name)]);
  const rate = tie("learning_rate_init", (change) =>
    slider("Learning rate", { low: 1e-5, high: 10, scale: "log" }, change),
  );
  const solver = tie("solver", (change) =>
    choice(
      "Solver",
      choices("solver").filter(([name]) => name !== "lbfgs"),
      change,
    ),
  );
  const batch = tie("batch_size", (change) =>
    number("Batch size", { low: 1, high: 100000, step: 1 }, change),
  );
  const losses = lossOf(app, tie);
  const l2 = tie("alpha", (change) =>
    slider("L2 penalty", { low: 1e-5, high: 10, scale: "log", zero: true }, change),
  );
  const l1 = tie("l1", (change) =>
    slider("L1 penalty", { low: 1e-5, high: 10, scale: "log", zero: true }, change),
  );
  const dropout = tie("dropout", (change) =>
    slider("Dropout", { low: 0, high: 0.9, step: 0.05, format: (v) => percent(v, 0) }, change),
  );
  const schedule = tie("learning_rate", (change) => choice("Schedule", choices("learning_rate"), change));
  const typed = (field, label, options, attributes = {}) =>
    tie(field, (change) => number(label, options, change, attributes));
  const epochs = { low: 1, high: 1e6, step: 1 };
  const auto = { placeholder: "auto" };
  const ofSchedule = {
    learning_rate_decay: typed("learning_rate_decay", "Factor", { low: 0.001, high: 1, step: 0.001 }, auto),
    learning_rate_period: typed("learning_rate_period", "Period, epochs", epochs, auto),
    learning_rate_period_mult: typed("learning_rate_period_mult", "Period grows by", {
      low: 1,
      high: 100,
      step: 1,
    }),
    learning_rate_min: typed("learning_rate_min", "Smallest rate", { low: 0, high: 1 }),
    max_iter: typed("max_iter", "Epochs in all", epochs),
    power_t: typed("power_t", "Exponent", { low: 0, high: 5, step: 0.1 }),
    tol: typed("tol", "Least progress", { low: 0, high: 1 }),
  };
  const warmup = typed("warmup_epochs", "Warm-up epochs", { low: 0, high: 1e4, step: 1 });
  const ofSolver = {
    momentum: tie("momentum", (change) =>
      slider("Momentum", { low: 0, high: 0.99, step: 0.01, format: (v) => short(v, 2) }, change),
    ),
    nesterovs_momentum: tie("nesterovs_momentum", (change) => toggle("Nesterov's momentum", change)),
    weight_decay: tie("weight_decay", (change) =>
      slider("Weight decay", { low: 1e-5, high: 10, scale: "log", zero: true }, change),
    ),
  };
  const stopping = tie("early_stopping", (change) => toggle("Early stopping", change));
  const patience = tie("n_iter_no_change", (change) =>
    number("Patience, epochs", { low: 1, high: 100000, step: 1 }, change),
  );
  const init = tie("init", (change) => choice("First weights", choices("init"), change));
  const seed = number("Seed of the weights", { low: 0, high: 2 ** 31 - 1, step: 1 }, (value) =>
    app.changeSeed(value),
  );
  seed.element.dataset.control = "seed";

  const part = (title, ...controls) =>
    h(
      "details",
      { "data-part": title },
      h("summary", {}, title),
      h(
        "div",
        { class: "fields" },
        controls.map((control) => control.element),
      ),
    );
  const which = whichOf(app);
  byId("training").append(
    which.element,
    h(
      "div",
      { class: "fields" },
      [rate, solver, batch, losses, l2].map((control) => control.element),
      part(
        "Schedule and momentum",
        schedule,
        ...Object.values(ofSchedule),
        warmup,
        ...Object.values(ofSolver),
      ),
      part("Against overfitting", l1, dropout, stopping, patience),
      part("First weights", init, seed),
      h("p", { class: "soft resets-note" }, "starts training again; all else acts at once"),
    ),
  );

  function show() {
    const { network } = app.state;
    for (const { field, control } of bound) {
      const value = network[field];
      control.set(Array.isArray(value) && field === "dropout" ? Math.max(...value) : (value ?? ""));
    }
    losses.show();
    which.show();
    seed.set(app.state.seed);
    const isSgd = network.solver === "sgd";
    for (const option of schedule.input.options) option.disabled = !isSgd && OF_SGD.includes(option.value);
    const acts = isSgd || !OF_SGD.includes(network.learning_rate);
    const needed = acts ? app.hello.choices.schedule_fields[network.learning_rate] : [];
    for (const [field, control] of Object.entries(ofSchedule)) hide(control, !needed.includes(field));
    hide(ofSolver.momentum, !isSgd);
    hide(ofSolver.nesterovs_momentum, !isSgd || network.momentum === 0);
    hide(ofSolver.weight_decay, network.solver !== "adamw");
    hide(patience, !network.early_stopping && network.learning_rate !== "adaptive");
  }
  app.on("state", show);
  show();
}

/** The loss, of which there are others for classes than for values. */
function lossOf(app, tie) {
  const controls = Object.entries(app.hello.choices.loss).map(([task, names]) => [
    task,
    tie("loss", (change) =>
      choice(
        "Loss",
        names.map((name) => [name, words(name)]),
        change,
      ),
    ),
  ]);
  const element = h(
    "div",
    { class: "fields" },
    controls.map(([, control]) => control.element),
  );
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
