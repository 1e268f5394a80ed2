// How well it goes: the curves of the loss, the scores, the confusion matrix.

import { CurveChart } from "./chart.js";
import { radios, toggle } from "./controls.js";
import { byId, h, set, setText } from "./dom.js";
import { percent, short } from "./numbers.js";
import { onTheme } from "./theme.js";

const COLUMNS = { trainLoss: 1, testLoss: 2, trainScore: 3, testScore: 4 };

export function buildResults(app) {
  const chart = new CurveChart("Curves of training and test loss");
  let score = false;
  const which = radios(
    "Curve",
    [
      { value: false, content: "Loss", data: { "data-curve": "loss" } },
      { value: true, content: "Score", data: { "data-curve": "score" } },
    ],
    (value) => {
      score = value;
      draw();
    },
  );
  which.set(false);
  const logarithmic = toggle(
    "log axis",
    (yes) => {
      chart.logarithmic = yes;
      draw();
    },
    { "data-control": "log-axis" },
  );
  const table = h("table", { class: "scores" });
  const confusion = h("div", { class: "confusion" });
  byId("results").append(
    h(
      "section",
      { class: "card", "aria-labelledby": "curves-title" },
      h(
        "div",
        { class: "row spread" },
        h("h2", { id: "curves-title" }, "Learning curve"),
        h("div", { class: "row" }, which.element, logarithmic.element),
      ),
      chart.element,
    ),
    h(
      "section",
      { class: "card", "aria-labelledby": "scores-title" },
      h("h2", { id: "scores-title" }, "Scores"),
      h("div", {}, table, confusion),
    ),
  );

  function draw() {
    const two = app.nets.length > 1;
    chart.logarithmic = logarithmic.input.checked && !score;
    logarithmic.element.hidden = score;
    chart.show(
      app.nets.flatMap((net, place) => {
        const rows = net.arrays?.["curves"];
        if (!rows) return [];
        const column = (k) => Float64Array.from({ length: rows.shape[0] }, (_, i) => rows[i * 5 + k]);
        const name = (words) => (two ? `${"AB"[place]} ${words}` : words);
        const pair = score
          ? [COLUMNS.trainScore, COLUMNS.testScore]
          : [COLUMNS.trainLoss, COLUMNS.testLoss];
        return ["training", "test"].map((words, i) => ({
          name: name(words),
          className: `${words} of-${place}`,
          epochs: column(0),
          values: column(pair[i]),
        }));
      }),
    );
    set(chart.svg, { "data-curves": app.nets[0].arrays?.["curves"]?.shape[0] ?? 0 });
  }

  app.on("frame", () => {
    if (app.fresh.has("curves")) draw();
    showScores(app, table);
    const net = app.nets[app.selected];
    if (net.confusion) showConfusion(net, confusion);
    else confusion.replaceChildren();
  });
  app.on("lanes", draw);
  onTheme(() => app.nets[app.selected].confusion && showConfusion(app.nets[app.selected], confusion, true));
}

function showScores(app, table) {
  const cells = [["", "training", "test"]];
  app.nets.forEach((net, place) => {
    if (!net.loss) return;
    const name = app.nets.length > 1 ? `${"AB"[place]} ` : "";
    const metric = net.metric === "R2" ? "R²" : net.metric;
    const score = (value) => (net.metric === "R2" ? short(value) : percent(value));
    cells.push([`${name}loss`, short(net.loss.train), short(net.loss.test)]);
    cells.push([`${name}${metric}`, score(net.score.train), score(net.score.test)]);
    if (net.validation)
      cells.push([`${name}set aside`, `best in ${net.validation.best_epoch}`, score(net.validation.score)]);
  });
  const shape = `${cells.length}`;
  if (table.dataset.shape !== shape) {
    table.dataset.shape = shape;
    table.replaceChildren(
      ...cells.map((row, i) =>
        h(
          "tr",
          {},
          row.map((_, k) =>
            i === 0 ? h("th", { scope: "col" }) : k === 0 ? h("th", { scope: "row" }) : h("td", {}),
          ),
        ),
      ),
    );
  }
  cells.forEach((row, i) => row.forEach((text, k) => setText(table.rows[i].cells[k], text)));
}

/** Rows: the true class; columns: the predicted one; of the test points, where there are some. */
function showConfusion(net, element, repaint = false) {
  const counts = net.confusion.test ?? net.confusion.train;
  const key = JSON.stringify([counts, net.classes]);
  if (element.dataset.key === key && !repaint && element.childElementCount) return;
  element.dataset.key = key;
  const small = counts.length > 6;
  const cell = (count, total, right) => {
    const share = total ? count / total : 0;
    const td = h("td", { class: right ? "right" : null }, String(count));
    td.style.setProperty("--share", `${Math.round(share * 100)}%`);
    return td;
  };
  const total = (row) => row.reduce((sum, count) => sum + count, 0);
  element.replaceChildren(
    h(
      "table",
      { class: small ? "small" : null },
      h(
        "caption",
        {},
        `${net.confusion.test ? "Test" : "Training"} points: rows are the true class, columns the predicted one`,
      ),
      h(
        "tr",
        {},
        h("th", {}),
        net.classes.map((label) => h("th", { scope: "col" }, String(label))),
      ),
      counts.map((row, i) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, String(net.classes[i])),
          row.map((count, k) => cell(count, total(row), i === k)),
        ),
      ),
    ),
  );
}
