// The health of each layer, and what the diagnosis says, with its cure.

import { button } from "./controls.js";
import { h, set, setText } from "./dom.js";
import { percent, short } from "./numbers.js";

const LOWEST = -8,
  HIGHEST = 2; // powers of 10 of the bars of gradients

export function buildHealth(app, panel) {
  const body = h("tbody", {});
  const table = h(
    "table",
    { class: "layers" },
    h("caption", {}, "Over the training points, as the weights are now"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["layer", "norm of the gradient", "", "dead units", "saturated units"].map((words) =>
          h("th", { scope: "col" }, words),
        ),
      ),
    ),
    body,
  );
  const ask = button("Diagnose", () => diagnose(), { class: "primary", "data-do": "diagnose" });
  const findings = h("div", { class: "findings", "aria-live": "polite" });
  panel.append(
    h(
      "div",
      { class: "health" },
      h("div", { class: "scrolls" }, table),
      h(
        "div",
        { class: "fields" },
        h("div", { class: "row spread" }, h("h3", {}, "What keeps it from learning?"), ask),
        findings,
      ),
    ),
  );

  function show() {
    const net = app.nets[app.selected];
    if (!net.layers) return;
    const rows = net.layers.map((layer, i) => {
      const last = i === net.layers.length - 1;
      const bar = (value) => {
        const power = Math.log10(Math.max(value, 1e-12));
        return Math.min(Math.max((power - LOWEST) / (HIGHEST - LOWEST), 0.01), 1);
      };
      return {
        name: last ? "output" : `${i + 1}, ${net.activations[i].replaceAll("_", " ")}`,
        gradient: layer.gradient,
        width: bar(layer.gradient ?? 0),
        dead: layer.dead,
        saturated: layer.saturated,
      };
    });
    while (body.rows.length > rows.length) body.lastChild.remove();
    while (body.rows.length < rows.length) {
      body.append(
        h(
          "tr",
          {},
          h("th", { scope: "row" }),
          h("td", { class: "num" }),
          h("td", { class: "bar-cell" }, h("i", {})),
          h("td", { class: "num" }),
          h("td", { class: "num" }),
        ),
      );
    }
    rows.forEach(({ name, gradient, width, dead, saturated }, i) => {
      const { cells } = body.rows[i];
      setText(cells[0], name);
      setText(cells[1], short(gradient));
      cells[2].firstChild.style.width = `${100 * width}%`;
      setText(cells[3], percent(dead, 0));
      setText(cells[4], percent(saturated, 0));
      set(body.rows[i], {
        "data-dead": dead ?? "",
        "data-gradient": gradient ?? "",
        "data-saturated": saturated ?? "",
      });
      cells[3].classList.toggle("ill", dead >= 0.5);
      cells[4].classList.toggle("ill", saturated >= 0.5);
    });
  }

  async function diagnose() {
    app.pause();
    ask.disabled = true;
    try {
      const { findings: found } = await app.api.ask("diagnose", { network: app.selected });
      findings.replaceChildren(
        ...(found.length
          ? found.map(findingOf)
          : [h("p", { class: "well" }, "Nothing found: this network learns.")]),
      );
      findings.dataset.found = found.length;
    } catch (error) {
      app.emit("notice", error.message);
    } finally {
      ask.disabled = false;
    }
  }

  const findingOf = (finding) =>
    h(
      "article",
      { class: "finding", "data-kind": finding.kind },
      h("h4", {}, finding.kind),
      h("p", {}, finding.text),
      finding.state
        ? button(`Apply the cure: ${finding.remedy_text}`, () => cure(finding), { "data-do": "cure" })
        : h("p", { class: "soft" }, `Remedy: ${finding.remedy_text}`),
    );

  function cure(finding) {
    app.takeStates(app.states.map((state, i) => (i === app.selected ? finding.state : state)));
    app.reset();
    findings.replaceChildren(h("p", {}, `Applied: ${finding.remedy_text}. Press play.`));
  }

  app.on("frame", show);
  return { open: () => app.want("health", true), close: () => app.want("health", false) };
}
