// Labelled inputs. Each is {element, set(value), enable(yes)}, and calls `change(value)` when its
// user has changed it.

import { h, newId, setText } from "./dom.js";
import { short } from "./numbers.js";

function labelled(label, input, ...more) {
  const id = newId("input");
  input.id = id;
  return h("div", { class: "control" }, h("label", { for: id }, label), input, ...more);
}

function busy(input) {
  return document.activeElement === input && input.type !== "checkbox" && input.tagName !== "SELECT";
}

/** One of some options: [value, words] pairs, or words alone. */
export function choice(label, options, change, attributes = {}) {
  const pairs = options.map((option) => (Array.isArray(option) ? option : [option, option]));
  const select = h(
    "select",
    { ...attributes, onchange: () => change(pairs[select.selectedIndex][0]) },
    pairs.map(([value, words]) => h("option", { value: String(value) }, words)),
  );
  return {
    element: labelled(label, select),
    input: select,
    set: (value) => (select.value = String(value)),
    enable: (yes) => (select.disabled = !yes),
  };
}

/** A number on a slider, with its value written; `scale: "log"` for rates and penalties. */
export function slider(
  label,
  { low, high, step = 1, scale, zero = false, format = short },
  change,
  attributes = {},
) {
  const output = h("output", {});
  const logarithmic = scale === "log";
  // a logarithmic slider has ten places per decade, and 0 at its left end where 0 is allowed
  const places = logarithmic ? Math.round(10 * Math.log10(high / low)) : 0;
  const toPlace = (value) =>
    !logarithmic ? value : value <= 0 ? -1 : Math.round(10 * Math.log10(value / low));
  const toValue = (place) =>
    !logarithmic ? place : place < 0 ? 0 : Number((low * 10 ** (place / 10)).toPrecision(2));
  const input = h("input", {
    type: "range",
    ...attributes,
    min: logarithmic ? (zero ? -1 : 0) : low,
    max: logarithmic ? places : high,
    step: logarithmic ? 1 : step,
    oninput: () => write(toValue(Number(input.value))),
    onchange: () => change(toValue(Number(input.value))),
  });
  function write(value) {
    setText(output, format(value));
    input.setAttribute("aria-valuetext", format(value));
  }
  const element = labelled(label, input, output);
  output.htmlFor = input.id;
  element.classList.add("slider");
  return {
    element,
    input,
    set(value) {
      if (busy(input) && input.matches(":active")) return;
      input.value = toPlace(value);
      write(value);
    },
    enable: (yes) => (input.disabled = !yes),
  };
}

/** A number that is typed. */
export function number(label, { low, high, step = "any" }, change, attributes = {}) {
  const input = h("input", {
    type: "number",
    min: low,
    max: high,
    step,
    inputmode: "decimal",
    ...attributes,
    onchange: () => input.value !== "" && change(Number(input.value)),
  });
  return {
    element: labelled(label, input),
    input,
    set: (value) => busy(input) || (input.value = value),
    enable: (yes) => (input.disabled = !yes),
  };
}

/** Yes or no. */
export function toggle(label, change, attributes = {}) {
  const input = h("input", { type: "checkbox", ...attributes, onchange: () => change(input.checked) });
  const element = labelled(label, input);
  element.classList.add("toggle");
  return {
    element,
    input,
    set: (value) => (input.checked = value),
    enable: (yes) => (input.disabled = !yes),
  };
}

/** One of a few, side by side: {value, content, title}. */
export function radios(label, options, change, className = "segments") {
  const name = newId("radio");
  const inputs = options.map(({ value }) =>
    h("input", { type: "radio", name, value: String(value), onchange: () => change(value) }),
  );
  const element = h(
    "fieldset",
    { class: className },
    h("legend", {}, label),
    options.map(({ content, title, data }, i) =>
      h("label", { title: title ?? null, ...data }, inputs[i], h("span", {}, content)),
    ),
  );
  return {
    element,
    inputs,
    set: (value) => options.forEach((option, i) => (inputs[i].checked = option.value === value)),
    enable: (yes) => (element.disabled = !yes),
  };
}

/** A button. */
export const button = (words, click, attributes = {}) =>
  h("button", { type: "button", onclick: click, ...attributes }, words);
