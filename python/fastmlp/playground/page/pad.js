// A pad to draw a digit on, and what the network makes of it.

import { css, signed } from "./colours.js";
import { button, choice } from "./controls.js";
import { h, set, setText } from "./dom.js";
import { paintNumbers } from "./maps.js";
import { percent, short } from "./numbers.js";
import { isDark } from "./theme.js";
import { columnOf } from "./unit-card.js";

const SIDE = 256; // pixels of the pad
const SENT = 64; // of what is sent
const PEN = 22;
const MOST_UNITS = 12; // whose view is shown

/** What is drawn, once for all networks. */
const drawing = { canvas: h("canvas", { width: SIDE, height: SIDE }), empty: true, version: 0 };

export class Pad {
  constructor(app, place) {
    this.app = app;
    this.place = place;
    this.answer = null;
    this.canvas = h("canvas", {
      class: "pad",
      width: SIDE,
      height: SIDE,
      tabindex: 0,
      role: "img",
      "data-pad": place,
      "aria-label": "Pad to draw a digit on; or type a digit",
      onpointerdown: (event) => this.#start(event),
      onpointermove: (event) => this.#move(event),
      onpointerup: () => this.#end(),
      onpointercancel: () => this.#end(),
      onkeydown: (event) => this.#type(event),
    });
    this.small = h("canvas", {
      class: "pixels",
      width: 8,
      height: 8,
      role: "img",
      "aria-label": "The digit in 8 by 8 pixels",
    });
    this.bars = Array.from({ length: 10 }, (_, digit) => {
      const fill = h("i", {});
      const value = h("span", { class: "num" });
      return {
        fill,
        value,
        element: h(
          "li",
          { "data-digit": digit },
          h("b", {}, String(digit)),
          h("span", { class: "track" }, fill),
          value,
        ),
      };
    });
    this.verdict = h("p", { class: "verdict", "aria-live": "polite" });
    this.saw = h("ol", { class: "saw" });
    this.sawTitle = h("h3", { hidden: true }, "What the most active units of layer 1 saw");
    this.label = 0;
    const label = choice(
      "It is a",
      Array.from({ length: 10 }, (_, digit) => digit),
      (digit) => (this.label = digit),
      { "data-control": "pad-label" },
    );
    this.teach = h(
      "div",
      { class: "row teach", hidden: true },
      label.element,
      button("Add it to the training data", () => this.#add(), { "data-do": "teach" }),
    );
    this.element = h(
      "div",
      { class: "pad-box" },
      h("p", { class: "caption" }, "Draw a digit from 0 to 9"),
      h(
        "div",
        { class: "pad-row" },
        h(
          "div",
          { class: "pad-left" },
          this.canvas,
          h(
            "div",
            { class: "row spread" },
            button("Clear", () => this.#clear(), { "data-do": "clear" }),
            h(
              "span",
              { class: "row" },
              h("small", { class: "soft" }, "as the network sees it"),
              this.small,
            ),
          ),
        ),
        h(
          "ol",
          { class: "bars", "aria-label": "Probabilities" },
          this.bars.map((bar) => bar.element),
        ),
      ),
      this.verdict,
      this.sawTitle,
      this.saw,
      this.teach,
    );
  }

  get net() {
    return this.app.nets[this.place];
  }

  // ---- drawing

  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * SIDE,
      ((event.clientY - box.top) / box.height) * SIDE,
    ];
  }

  #start(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.last = this.#point(event);
    this.#line(this.last);
  }

  #move(event) {
    if (!this.last) return;
    for (const part of event.getCoalescedEvents?.() ?? [event]) this.#line(this.#point(part));
  }

  #end() {
    this.last = null;
  }

  #line(to) {
    const context = drawing.canvas.getContext("2d");
    Object.assign(context, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
    context.beginPath();
    context.moveTo(...this.last);
    context.lineTo(to[0] + 0.01, to[1]);
    context.stroke();
    this.last = to;
    this.#drawn();
  }

  /** A typed digit is written on the pad, for those who cannot draw. */
  #type(event) {
    if (event.key === "Delete" || event.key === "Backspace") {
      this.#clear();
    } else if (/^[0-9]$/.test(event.key)) {
      const context = drawing.canvas.getContext("2d");
      context.clearRect(0, 0, SIDE, SIDE);
      Object.assign(context, {
        font: "190px sans-serif",
        textAlign: "center",
        textBaseline: "middle",
        fillStyle: "#000",
      });
      context.fillText(event.key, SIDE / 2, SIDE / 2 + 10);
      this.#drawn();
    }
  }

  #clear() {
    drawing.canvas.getContext("2d").clearRect(0, 0, SIDE, SIDE);
    drawing.empty = true;
    drawing.version += 1;
    this.app.emit("drawn");
  }

  #drawn() {
    drawing.empty = false;
    drawing.version += 1;
    this.app.emit("drawn");
  }

  // ---- asking

  /** Something was drawn, or the network has moved. */
  frame() {
    this.#paintPad();
    const wanted = `${drawing.version} ${this.net.epoch} ${this.net.structure}`;
    if (this.asking || wanted === this.asked) return;
    this.asked = wanted;
    if (drawing.empty) {
      this.answer = null;
      this.#show();
      return;
    }
    this.asking = true;
    this.app.api
      .ask("pad", { network: this.place, size: SENT, bitmap: bitmapOf(drawing.canvas) })
      .then((answer) => (this.answer = answer.empty ? null : answer))
      .catch((error) => this.app.emit("notice", error.message))
      .finally(() => {
        this.asking = false;
        this.#show();
        this.frame();
      });
  }

  #paintPad() {
    const context = this.canvas.getContext("2d");
    context.globalCompositeOperation = "copy";
    context.drawImage(drawing.canvas, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = isDark() ? "#f2f4f5" : "#15191c";
    context.fillRect(0, 0, SIDE, SIDE);
  }

  // ---- the answer

  #show() {
    const { answer } = this;
    set(this.element, {
      "data-answers": Number(this.element.dataset.answers ?? 0) + 1,
      "data-predicted": answer ? answer.predicted : "",
    });
    this.bars.forEach(({ fill, value, element }, digit) => {
      const p = answer?.probabilities[digit] ?? 0;
      fill.style.width = `${100 * p}%`;
      setText(value, answer ? percent(p, 0) : "");
      element.classList.toggle("best", answer?.predicted === digit);
    });
    this.small.getContext("2d").clearRect(0, 0, 8, 8);
    if (answer) paintPixels(this.small, answer.pixels.flat());
    setText(this.verdict, answer ? `The network says ${answer.predicted}.` : "");
    this.teach.hidden = !answer;
    this.#showUnits();
    this.app.emit("pad", this.place);
  }

  /** What each of the most active units saw: its weights, times the pixels. */
  #showUnits() {
    const weights = this.net.arrays?.["weights.0"];
    const seen = this.answer?.activations[0];
    this.sawTitle.hidden = !seen || this.net.units.length < 3;
    this.saw.replaceChildren();
    if (this.sawTitle.hidden || !weights || weights.shape[1] < seen.length) return;
    const pixels = this.answer.pixels.flat();
    const order = seen.map((_, unit) => unit).sort((a, b) => Math.abs(seen[b]) - Math.abs(seen[a]));
    for (const unit of order.slice(0, MOST_UNITS)) {
      const canvas = h("canvas", { "aria-hidden": "true" });
      paintNumbers(
        canvas,
        columnOf(weights, unit).map((weight, i) => weight * pixels[i]),
        8,
        8,
      );
      this.saw.append(
        h("li", { title: `Unit ${unit + 1}` }, canvas, h("span", { class: "num" }, short(seen[unit], 2))),
      );
    }
  }

  /** The tile of a unit for which there is no map: how active it is. */
  paintUnit(canvas, layer, unit) {
    if (layer === 0) {
      if (this.answer) paintPixels(canvas, this.answer.pixels.flat());
      else paintPixels(canvas, new Array(64).fill(0));
      return;
    }
    const last = this.net.units.length - 1;
    const values = layer === last ? this.answer?.probabilities : this.answer?.activations[layer - 1];
    const value = values?.[unit] ?? 0;
    const largest = values ? Math.max(...values.map(Math.abs), 1e-9) : 1;
    canvas.width = canvas.height = 1;
    const context = canvas.getContext("2d");
    context.fillStyle = css(signed(layer === last ? value : value / largest));
    context.fillRect(0, 0, 1, 1);
  }

  /** Add what is drawn to the training data. */
  #add() {
    const row = [...this.answer.pixels.flat(), this.label];
    this.app.changeData({ added: [...this.app.data.added, row] });
  }
}

/** Pixels from 0 to 16 in shades of grey. */
function paintPixels(canvas, pixels) {
  canvas.width = canvas.height = 8;
  const context = canvas.getContext("2d");
  const [ground, ink] = isDark() ? [32, 240] : [247, 20];
  pixels.forEach((value, i) => {
    const grey = Math.round(ground + ((ink - ground) * value) / 16);
    context.fillStyle = `rgb(${grey} ${grey} ${grey})`;
    context.fillRect(i % 8, Math.floor(i / 8), 1, 1);
  });
}

/** How much ink there is, SENT by SENT bytes in base64. */
function bitmapOf(canvas) {
  const small = h("canvas", { width: SENT, height: SENT });
  const context = small.getContext("2d");
  context.drawImage(canvas, 0, 0, SENT, SENT);
  const { data } = context.getImageData(0, 0, SENT, SENT);
  let text = "";
  for (let i = 3; i < data.length; i += 4) text += String.fromCharCode(data[i]);
  return btoa(text);
}
