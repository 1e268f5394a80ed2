// Puts the page together.

import { readAddress, writeAddress } from "./address.js";
import { Api, Gone, takeKey } from "./api.js";
import { App } from "./app.js";
import { buildCloser } from "./closer.js";
import { copyLink, saveModel } from "./code.js";
import { button } from "./controls.js";
import { buildDataPanel } from "./data-panel.js";
import { byId, h, set, setText } from "./dom.js";
import { Lane } from "./lane.js";
import { buildResults } from "./results.js";
import { onTheme, toggleTheme } from "./theme.js";
import { buildTrainingPanel } from "./training-panel.js";
import { buildTransport } from "./transport.js";

/** One line above all else; `again`: with a button that asks the server once more. */
function notice(words, retry) {
  const line = byId("notice");
  line.replaceChildren(
    h("span", {}, words),
    h(
      "span",
      { class: "row" },
      retry ? button("Try again", retry, { "data-do": "retry" }) : null,
      button("Dismiss", () => notice(""), { class: "quiet" }),
    ),
  );
  line.hidden = words === "";
}

/** The states that an address asks for, as the server takes them: partial ones, unchecked. */
function statesOf(app, { changes, second }) {
  const first = { ...changes, data: { ...app.hello.state.data, ...changes.data } };
  if (!second) return [first];
  const { data, network, seed } = second;
  return [
    first,
    {
      data: { ...first.data, ...data },
      network: { ...first.network, ...network },
      seed: seed ?? first.seed,
    },
  ];
}

/** Show what an address asks for, if the server finds that it can be. */
async function fill(app, asked) {
  if (!asked) return;
  try {
    const states = statesOf(app, asked);
    const networks = states.map((state) => ({ state, epochs: 0 }));
    await app.api.frame("frame", { networks, want: [] });
    app.takeStates(states);
  } catch (error) {
    notice(`The address asks for what cannot be. ${error.message}`);
  }
  const { epochs, test, decided } = asked.view;
  if (epochs) app.epochsPerFrame = Math.min(Math.max(Math.round(Number(epochs)) || 1, 1), 1000);
  app.testPoints = test === true;
  app.decided = decided === true;
  app.emit("view-set");
}

/** Keep the address true to the state; take a state from an address that is typed or pasted. */
function tieAddress(app) {
  const view = () => ({
    ...(app.epochsPerFrame === 5 ? {} : { epochs: app.epochsPerFrame }),
    ...(app.testPoints ? { test: true } : {}),
    ...(app.decided ? { decided: true } : {}),
    ...(app.tab && app.tab !== "missions" ? { tab: app.tab } : {}),
  });
  const write = () => {
    const fragment = writeAddress(app.states, view(), (state) => app.defaultsOf(state));
    history.replaceState(null, "", `#${fragment}`);
  };
  app.on("state", write);
  app.on("view", write);
  addEventListener("hashchange", async () => {
    const asked = readAddress(location.hash);
    app.api.key = takeKey(location.hash);
    await fill(app, asked);
    if (asked?.view.tab) app.openTab(asked.view.tab);
    write();
  });
  write();
}

function buildLanes(app) {
  let lanes = [];
  const build = () => {
    lanes = app.states.map((_, place) => new Lane(app, place));
    byId("lanes").replaceChildren(...lanes.map((lane) => lane.element));
    byId("lanes").dataset.lanes = lanes.length;
    for (const lane of lanes) lane.frame(new Set(["train"]));
  };
  app.on("lanes", () => {
    if (app.states.length !== lanes.length) build();
    else lanes.forEach((lane) => lane.rebuild());
  });
  app.on("frame", () => lanes.forEach((lane) => lane.frame(app.fresh)));
  app.on("view-set", () => lanes.forEach((lane) => lane.repaint()));
  app.on("drawn", () => lanes.forEach((lane) => lane.pad.frame()));
  app.on("pad", (place) => lanes[place]?.repaintUnits());
  onTheme(() => lanes.forEach((lane) => lane.repaint()));
  build();
}

function buildActions(app) {
  const said = byId("live");
  const compare = button("", () => app.compare(app.states.length === 1), { id: "compare", class: "quiet" });
  const show = () => {
    const two = app.states.length > 1;
    setText(compare, two ? "Back to one network" : "Compare two networks");
    set(compare, { "aria-pressed": two });
  };
  app.on("state", show);
  show();
  byId("top-actions").append(
    compare,
    button(
      "Copy link",
      async () => {
        await copyLink();
        setText(said, "The address was copied.");
      },
      { class: "quiet", "data-do": "copy-link" },
    ),
    button("Save model", () => saveModel(app), { class: "quiet", "data-do": "save" }),
    button("◐", toggleTheme, {
      class: "quiet icon",
      "data-do": "theme",
      "aria-label": "Light or dark",
      title: "Light or dark",
    }),
  );
}

/** Keep the session while the page is open, and end it as the page is left. */
function tieSession(app) {
  const heartbeat = new Worker(new URL("./heartbeat.js", import.meta.url));
  heartbeat.onmessage = () => app.running || app.gone || app.api.ask("ping").catch(() => {});
  addEventListener("pagehide", () => app.api.bye());
  addEventListener("pageshow", (event) => event.persisted && app.retry());
}

/** Tell screen readers how training goes, when it pauses. */
function tieVoice(app) {
  app.on("playing", () => {
    const net = app.nets[app.selected];
    if (app.playing) setText(byId("live"), "Training.");
    else if (net.loss)
      setText(
        byId("live"),
        `Paused at epoch ${net.epoch}, test loss ${net.loss.test?.toPrecision(3) ?? "unknown"}.`,
      );
  });
}

async function begin() {
  const asked = readAddress(location.hash);
  const api = new Api(takeKey(location.hash));
  let hello;
  try {
    hello = await api.hello();
  } catch (error) {
    const key = error.status === 403 ? " Open the address that the command printed: it holds the key." : "";
    const words =
      error instanceof Gone
        ? "The playground's server does not answer. Start it with: python -m fastmlp playground"
        : error.message + key;
    notice(words, () => location.reload());
    return;
  }
  const app = new App(api, hello);
  app.on("notice", (words, again) => notice(words, again ? () => app.retry() : null));
  await fill(app, asked);
  buildActions(app);
  buildTransport(app);
  buildDataPanel(app);
  buildTrainingPanel(app);
  buildLanes(app);
  buildResults(app);
  buildCloser(app);
  app.openTab(asked?.view.tab ?? "missions");
  tieAddress(app);
  tieSession(app);
  tieVoice(app);
  window.playground = app; // for the curious, and for tests
  app.pull();
  document.body.dataset.ready = "true";
}

begin();
