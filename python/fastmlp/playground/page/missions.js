// Exercises, set up and checked by the server.

import { button } from "./controls.js";
import { h, set, setText } from "./dom.js";

const EVERY = 30; // frames between two checks while a mission is on

export function buildMissions(app, panel) {
  const { missions } = app.hello;
  const done = new Set();
  let current = null;
  let asking = false;
  const items = missions.map((mission) => {
    const mark = h("i", { class: "mark", "aria-hidden": "true" });
    const item = h(
      "button",
      { type: "button", class: "mission", "data-mission": mission.id, onclick: () => show(mission) },
      mark,
      h("span", {}, mission.title),
      h("span", { class: "sr-only" }),
    );
    return { mission, item };
  });
  const title = h("h3", {});
  const text = h("p", {});
  const hint = h("details", {}, h("summary", {}, "Hint"), h("p", {}));
  const begin = button("Set it up", () => start(), { class: "primary", "data-do": "begin-mission" });
  const test = button("Check", () => check(true), { "data-do": "check-mission" });
  const verdict = h("p", { class: "verdict", role: "status", "data-verdict": "" });
  const checks = h("ul", { class: "checks" });
  const story = h(
    "div",
    { class: "story fields" },
    title,
    text,
    h("div", { class: "row" }, begin, test, verdict),
    checks,
    hint,
  );
  panel.append(
    h(
      "div",
      { class: "missions" },
      h(
        "ul",
        {},
        items.map(({ item }) => h("li", {}, item)),
      ),
      story,
    ),
  );

  function show(mission) {
    current = mission;
    setText(title, mission.title);
    setText(text, mission.text);
    hint.hidden = !mission.hint;
    hint.open = false;
    setText(hint.lastChild, mission.hint ?? "");
    say(null, "");
    checks.replaceChildren();
    items.forEach(({ mission: of, item }) => set(item, { "aria-pressed": of === mission }));
  }

  function start() {
    app.pause();
    app.takeStates([current.state]);
    app.reset();
    say(null, "Ready: press play.");
    checks.replaceChildren();
    app.mission = current.id;
  }

  function say(isDone, words) {
    setText(verdict, words);
    verdict.dataset.verdict = isDone === null ? "" : isDone ? "done" : "open";
  }

  async function check(loud) {
    if (!current || asking) return;
    asking = true;
    const { id } = current;
    try {
      const answer = await app.api.ask("mission", { id });
      if (current.id !== id) return;
      if (answer.done) finish(id);
      checks.replaceChildren(
        ...answer.checks.map((check) =>
          h(
            "li",
            { class: check.done ? "done" : null },
            h("i", { class: "mark", "aria-hidden": "true" }),
            h("span", {}, check.text),
            h("span", { class: "sr-only" }, check.done ? "(done)" : "(open)"),
          ),
        ),
      );
      if (loud || answer.done) say(answer.done, answer.done ? "Done!" : "Not yet.");
    } catch (error) {
      app.emit("notice", error.message);
    } finally {
      asking = false;
    }
  }

  function finish(id) {
    if (app.mission === id) app.mission = null;
    done.add(id);
    for (const { mission, item } of items) {
      item.classList.toggle("done", done.has(mission.id));
      setText(item.lastChild, done.has(mission.id) ? "(done)" : "");
    }
  }

  let frames = 0;
  app.on("frame", () => {
    if (app.mission && current?.id === app.mission && ++frames % EVERY === 0) check(false);
  });
  app.on("playing", () => {
    if (!app.playing && app.mission === current?.id && app.mission) check(false);
  });
  if (missions.length > 0) show(missions[0]);
  return {};
}
