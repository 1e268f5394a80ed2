// Time as a control: play, step, reset, how many epochs per frame, and back through snapshots.

import { button } from "./controls.js";
import { byId, h, newId, s, set, setText } from "./dom.js";
import { whole } from "./numbers.js";

const PATHS = {
  play: "M4 2.5v11l9.5-5.5z",
  pause: "M4 2.5h3v11H4zM9.5 2.5h3v11h-3z",
  step: "M3 3v10l7-5zM11 3h2v10h-2z",
  reset: "M8 3a5 5 0 1 1-4.6 3l1.5.7A3.4 3.4 0 1 0 8 4.6v2L4.7 3.8 8 1z",
};
const SPEEDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

const icon = (name) =>
  s(
    "svg",
    { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
    s("path", { d: PATHS[name] }),
  );

export function buildTransport(app) {
  const reset = button(icon("reset"), () => app.reset(), {
    id: "reset",
    class: "icon",
    "aria-label": "Reset to the first weights",
    title: "Reset to the first weights (R)",
  });
  const play = button(icon("play"), () => (app.playing ? app.pause() : app.play()), {
    id: "play",
    class: "play primary",
  });
  const step = button(icon("step"), () => app.step(), {
    id: "step",
    class: "icon",
    "aria-label": "Train one epoch",
    title: "Train one epoch (S)",
  });
  const epoch = h("b", { id: "epoch" }, "0");
  const pace = h("span", { id: "pace", class: "soft num" });
  const speed = speedControl(app);
  const time = timeline(app);
  byId("transport").append(
    h("div", { class: "buttons" }, reset, play, step),
    h("div", { class: "epoch" }, h("small", {}, "epoch"), epoch),
    speed,
    time,
    pace,
  );
  const showPlaying = () => {
    const words = app.playing ? "Pause" : "Play";
    play.replaceChildren(icon(app.playing ? "pause" : "play"));
    set(play, { "aria-label": words, title: `${words} (space)` });
    document.body.dataset.playing = app.playing;
    if (!app.playing) setText(pace, "");
  };
  showPlaying();
  app.on("playing", showPlaying);
  app.on("frame", () => {
    const shown = app.nets[app.selected].epoch;
    setText(epoch, whole(shown));
    document.body.dataset.epoch = shown;
    document.body.dataset.frames = app.frames;
  });
  app.on("busy", (busy) => (document.body.dataset.busy = busy));
  paceOf(app, pace);
  keys(app);
}

function speedControl(app) {
  const output = h("output", {});
  const input = h("input", {
    id: "speed",
    type: "range",
    min: 0,
    max: SPEEDS.length - 1,
    step: 1,
    oninput: () => {
      app.epochsPerFrame = SPEEDS[input.value];
      show();
      app.emit("view");
    },
  });
  const show = () => {
    const place = SPEEDS.findIndex((speed) => speed >= app.epochsPerFrame);
    input.value = place < 0 ? SPEEDS.length - 1 : place;
    setText(output, whole(app.epochsPerFrame));
    input.setAttribute("aria-valuetext", `${app.epochsPerFrame} epochs per frame`);
  };
  show();
  app.on("view-set", show);
  return h(
    "div",
    { class: "control slider" },
    h("label", { for: "speed" }, "Epochs per frame"),
    input,
    output,
  );
}

/** A slider over the snapshots: where it is dragged to, training goes on from. */
function timeline(app) {
  const id = newId("time");
  const output = h("output", {});
  let snapshots = [0];
  const input = h("input", {
    id,
    type: "range",
    min: 0,
    max: 0,
    step: 1,
    "data-control": "timeline",
    oninput: () => {
      setText(output, `epoch ${whole(snapshots[input.value])}`);
      app.back(snapshots[input.value]);
    },
  });
  app.on("frame", () => {
    const net = app.nets[app.selected];
    if (!net.snapshots) return;
    snapshots = net.snapshots;
    set(input, { max: Math.max(snapshots.length - 1, 0) });
    if (!input.matches(":active")) {
      input.value = snapshots.findLastIndex((epoch) => epoch <= net.epoch);
    }
    input.disabled = snapshots.length < 2;
    set(input, { "aria-valuetext": `epoch ${snapshots[input.value]}`, "data-snapshots": snapshots.length });
    setText(output, snapshots.length > 1 ? `${snapshots.length} snapshots` : "");
  });
  return h("div", { class: "control slider time" }, h("label", { for: id }, "Back in time"), input, output);
}

/** Say twice a second how fast it goes. */
function paceOf(app, pace) {
  let since = performance.now();
  app.on("frame", () => {
    const now = performance.now();
    if (now - since < 500) return;
    const seconds = (now - since) / 1000;
    const { epochs, frames } = app.timing;
    if (app.playing) {
      setText(
        pace,
        `${whole(epochs / app.nets.length / seconds)} epochs/s, ${Math.round(frames / seconds)} frames/s`,
      );
    }
    Object.assign(app.timing, { epochs: 0, frames: 0 });
    since = now;
  });
}

/** Space, S and R, wherever no input takes them. */
function keys(app) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, button, summary, [role=tab], dialog")) return;
    const actions = {
      " ": () => (app.playing ? app.pause() : app.play()),
      s: () => app.step(),
      r: () => app.reset(),
    };
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
