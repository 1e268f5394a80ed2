// What the page knows: the networks' states, what the server last said of them, and the one loop
// that asks for frames. Parts of the page read from here, and are told when something has changed.

import { Gone, Refused } from "./api.js";

const ALWAYS = ["maps", "weights"];
const SOMETIMES = ["curves", "confusion", "snapshots"]; // while playing: in every sixth frame
const RARELY = ["points", "inputs"]; // as the data have changed
const BUDGET = 150; // milliseconds of training in a frame, so that large networks stay live
const FINE = 100,
  COARSE = 60; // pixels of a map, along each axis
const MANY_UNITS = 32; // of which maps are coarse

const OF_X = ["x", "x2", "sinx"]; // inputs that do not vary with y

const copy = (value) => structuredClone(value);
const animationFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

export class App {
  constructor(api, hello) {
    this.api = api;
    this.hello = hello;
    this.states = [this.complete(hello.state)];
    this.selected = 0;
    this.nets = [{}];
    this.orders = [{}];
    this.playing = false;
    this.epochsPerFrame = 5;
    this.extras = new Set(); // what open panels want besides: "health", "hidden"
    this.listeners = {};
    this.frames = 0;
    this.timing = { paint: 0, epochs: 0, frames: 0 };
    this.full = true; // whether all is wanted
  }

  on(event, listener) {
    (this.listeners[event] ??= []).push(listener);
  }

  emit(event, ...values) {
    for (const listener of this.listeners[event] ?? []) listener(...values);
  }

  // ---- states

  get state() {
    return this.states[this.selected];
  }

  get data() {
    return this.states[0].data;
  }

  set(name = this.data.set) {
    return this.hello.data.sets.find((candidate) => candidate.name === name);
  }

  task(data = this.data) {
    if (data.set === "table") return this.hello.table.task;
    return data.set === "points" ? data.task : this.set(data.set).task;
  }

  get isDigits() {
    return this.data.set === "digits";
  }

  get isPlane() {
    return !["digits", "table"].includes(this.data.set);
  }

  /** Whether the prediction is a function of x alone, whose curve says more than a map. */
  get isCurve() {
    if (this.task() !== "regression") return false;
    if (this.isPlane) return this.data.features.every((name) => OF_X.includes(name));
    return this.hello.table.columns.length === 1;
  }

  /** The defaults of a state's fields. */
  defaultsOf(state) {
    const data = this.hello.data.defaults;
    return { data, network: this.hello.network[this.task({ ...data, ...state.data })], seed: 0 };
  }

  /** A state with all of its fields. */
  complete(state) {
    const defaults = this.defaultsOf(state);
    return copy({
      data: { ...defaults.data, ...state.data },
      network: { ...defaults.network, ...state.network },
      seed: state.seed ?? defaults.seed,
    });
  }

  /** Change fields of the data, which all networks have in common, and what goes with them. */
  changeData(fields, network = {}) {
    const before = this.task();
    for (const state of this.states) {
      Object.assign(state.data, copy(fields));
      Object.assign(state.network, copy(network));
      if (fields.set || fields.features) this.#freeFirstWeights(state);
      if (this.task(state.data) !== before) this.#changeTask(state);
    }
    this.#changed(RARELY);
  }

  /** Classes instead of values, or the reverse: the parameters that both have stay, but for the loss. */
  #changeTask(state) {
    const defaults = this.hello.network[this.task(state.data)];
    const kept = Object.entries(state.network).filter(([name]) => name in defaults && name !== "loss");
    state.network = { ...defaults, ...Object.fromEntries(kept) };
  }

  /** Change parameters of the selected network. */
  changeNetwork(fields) {
    Object.assign(this.state.network, copy(fields));
    if (fields.hidden_layer_sizes) this.#freeFirstWeights(this.state);
    this.#changed();
  }

  /** Given first weights fit one architecture alone: of another they are drawn. */
  #freeFirstWeights(state) {
    const { network } = state;
    const rules = this.hello.choices.init;
    if (!rules.includes(network.init)) network.init = this.defaultsOf(state).network.init;
  }

  changeSeed(seed) {
    for (const state of this.states) state.seed = seed;
    this.#changed();
  }

  /** Take whole states: from the address, a mission, a cure. */
  takeStates(states) {
    this.states = states.map((state) => this.complete(state));
    this.selected = Math.min(this.selected, states.length - 1);
    this.nets = this.states.map((_, i) => this.nets[i] ?? {});
    this.orders = this.states.map(() => ({}));
    this.#changed(RARELY);
    this.emit("lanes");
  }

  /** A second network, as the first is now, or only the first again. */
  compare(yes) {
    this.takeStates(yes ? [this.states[0], this.states[0]] : [this.states[0]]);
    this.select(yes ? 1 : 0);
    if (yes) this.reset();
  }

  select(place) {
    this.selected = place;
    this.emit("state");
  }

  #changed() {
    this.dirty = true;
    this.full = true;
    this.emit("state");
    this.pull();
  }

  // ---- training

  play() {
    this.playing = true;
    this.emit("playing");
    this.pull();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.full = true;
    this.emit("playing");
    this.pull();
  }

  step() {
    this.pause();
    this.#order({ epochs: 1 });
  }

  /** From the first weights again: the same, unless the seed has changed. */
  reset() {
    this.#order({ reset: true });
  }

  /** To the snapshot of an epoch. */
  back(epoch) {
    this.pause();
    this.#order({ back: epoch });
  }

  /** Set one weight of a network; no input: the bias. */
  setWeight(place, weight) {
    Object.assign(this.orders[place], { weight });
    this.full = true;
    this.pull();
  }

  #order(order) {
    for (const waiting of this.orders) Object.assign(waiting, order);
    this.full = true;
    this.pull();
  }

  /** Want something in the frames, while a panel is open that shows it. */
  want(name, yes) {
    if (yes) this.extras.add(name);
    else this.extras.delete(name);
    this.full = true;
    this.pull();
  }

  // ---- the loop

  #request() {
    const orders = this.orders;
    const full = this.full || this.frames % 6 === 0;
    const want = [...ALWAYS, ...(full ? [...SOMETIMES, ...this.extras] : []), ...(this.full ? RARELY : [])];
    const sent = this.dirty ? copy(this.states) : null;
    this.orders = this.states.map(() => ({}));
    this.full = false;
    this.dirty = false;
    const networks = this.states.map((state, i) => ({
      ...(sent ? { state: sent[i] } : {}),
      epochs: this.playing ? this.epochsPerFrame : 0,
      ...orders[i],
    }));
    const body = { networks, want, resolution: this.#resolution(), budget_ms: BUDGET };
    const answer = this.api.frame("frame", body);
    answer.catch(() => {}); // whoever awaits it sees the error
    return { answer, sent, isCurve: this.isCurve };
  }

  #resolution() {
    const units = (net) => (net.units ?? []).reduce((sum, count) => sum + count, 0);
    return this.nets.reduce((sum, net) => sum + units(net), 0) > MANY_UNITS ? COARSE : FINE;
  }

  #isDue() {
    return (
      this.playing || this.full || this.dirty || this.orders.some((order) => Object.keys(order).length)
    );
  }

  /** Have the loop run, if it does not. */
  pull() {
    if (this.running) return;
    this.running = true;
    this.emit("busy", true);
    this.#run().finally(() => {
      this.running = false;
      this.emit("busy", false);
    });
  }

  async #run() {
    await null; // changes of the same moment go into one request
    let request = this.#request();
    while (request) {
      let frame;
      try {
        frame = await request.answer;
      } catch (error) {
        await this.#failed(error);
        request = this.#isDue() && !this.gone ? this.#request() : null;
        continue;
      }
      this.gone = false;
      if (request.sent) this.accepted = request.sent;
      this.#stopWhereEnded(frame.header.networks);
      // the next frame is computed while this one is painted
      const next = this.#isDue() ? this.#request() : null;
      await animationFrame();
      const start = performance.now();
      this.#take(frame, request.isCurve);
      this.timing.paint = performance.now() - start;
      request = next ?? (this.#isDue() ? this.#request() : null);
    }
  }

  #stopWhereEnded(networks) {
    const ended = networks.find((net) => net.ended);
    if (ended && this.playing) {
      this.playing = false;
      this.full = true;
      this.emit("playing");
    }
  }

  /** Take in a frame, of states of which the prediction was a curve, or was not. */
  #take({ header, arrays }, isCurve) {
    this.frames += 1;
    header.networks.forEach((said, i) => {
      if (i >= this.nets.length) return; // of a network that has been removed meanwhile
      const net = this.nets[i];
      const structure = JSON.stringify([
        said.units,
        said.inputs,
        said.outputs,
        said.activations,
        said.task,
      ]);
      net.changed = structure !== net.structure;
      if (net.changed) Object.assign(net, { arrays: {}, layers: null, confusion: null, snapshots: null });
      const before = said.reset || said.epoch === 0 ? 0 : (net.spent ?? 0);
      const spent = before + (said.made > 0 ? said.seconds : 0); // seconds of training
      Object.assign(net, said, { structure, spent, isCurve });
      this.timing.epochs += said.made;
    });
    for (const [name, array] of Object.entries(arrays)) {
      const [place, ...rest] = name.split(".");
      const net = this.nets[Number(place)];
      if (net) net.arrays[rest.join(".")] = array;
    }
    this.timing.frames += 1;
    this.fresh = new Set(Object.keys(arrays).map((name) => name.split(".").slice(1).join(".")));
    this.emit("frame");
  }

  async #failed(error) {
    this.playing = false;
    this.emit("playing");
    if (error instanceof Gone) {
      this.gone = true;
      this.emit("notice", "The playground's server does not answer. Was it stopped?", "again");
    } else if (error instanceof Refused && error.status === 410) {
      await this.#again();
    } else {
      this.#goBack();
      this.emit("notice", error.message);
    }
  }

  /** What was asked for cannot be: back to the last states that could, or to those to begin with. */
  #goBack() {
    const first = !this.accepted;
    this.accepted ??= [this.complete(this.hello.state)];
    this.states = copy(this.accepted);
    this.dirty = this.full = first;
    this.nets = this.states.map((_, i) => this.nets[i] ?? {});
    this.orders = this.states.map(() => ({}));
    this.selected = Math.min(this.selected, this.states.length - 1);
    this.emit("lanes");
    this.emit("state");
  }

  /** The session has ended: begin another with the same states. */
  async #again() {
    try {
      await this.api.hello();
    } catch (error) {
      if (!(error instanceof Refused)) this.gone = true;
      this.emit(
        "notice",
        error.message || "The playground's server does not answer. Was it stopped?",
        "again",
      );
      return;
    }
    this.dirty = true;
    this.full = true;
    this.emit("notice", "The session had ended. The networks start again from their first weights.");
  }

  /** Try the server again, after it did not answer. */
  retry() {
    this.gone = false;
    this.dirty = true;
    this.full = true;
    this.emit("notice", "");
    this.pull();
  }
}
