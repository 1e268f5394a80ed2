// Tabs of what is looked at now and then: missions, layers, one step, the loss around, the code.

import { byId, h, set } from "./dom.js";
import { buildCode } from "./code.js";
import { buildHealth } from "./health.js";
import { buildLandscape } from "./landscape.js";
import { buildMissions } from "./missions.js";
import { buildStepView } from "./step-view.js";

const TABS = [
  ["missions", "Missions", buildMissions],
  ["health", "Layers and health", buildHealth],
  ["step", "Step by step", buildStepView],
  ["landscape", "Loss landscape", buildLandscape],
  ["code", "Python", buildCode],
];

/** Tabs as screen readers know them: arrow keys go from one to the next. */
export function buildCloser(app) {
  const tabs = TABS.map(([name, title]) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${name}`,
        "aria-controls": `panel-${name}`,
        "data-tab": name,
        onclick: () => app.openTab(name),
      },
      title,
    ),
  );
  const panels = TABS.map(([name, , build]) => {
    const panel = h("div", {
      role: "tabpanel",
      id: `panel-${name}`,
      "aria-labelledby": `tab-${name}`,
      hidden: true,
    });
    const part = build(app, panel);
    return { name, panel, ...part };
  });
  const list = h(
    "div",
    { role: "tablist", "aria-label": "A closer look", onkeydown: (event) => move(event) },
    tabs,
  );
  byId("closer").append(list, ...panels.map(({ panel }) => panel));

  app.openTab = (name) => {
    app.tab = name;
    panels.forEach(({ name: of, panel, open, close }, i) => {
      const yes = of === name;
      set(tabs[i], { "aria-selected": yes, tabindex: yes ? 0 : -1 });
      if (panel.hidden === !yes) return;
      panel.hidden = !yes;
      (yes ? open : close)?.();
    });
    app.emit("view");
  };

  function move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (TABS.findIndex(([name]) => name === app.tab) + step + TABS.length) % TABS.length;
    app.openTab(TABS[next][0]);
    tabs[next].focus();
  }
}
