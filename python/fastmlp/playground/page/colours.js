// The colours of signs and classes, those of fastmlp.inspection, for light and dark pages.

import { isDark } from "./theme.js";

const POSITIVE = [0, 114, 178]; // blue
const NEGATIVE = [213, 94, 0]; // vermillion
const CLASSES = [
  NEGATIVE,
  POSITIVE,
  [0, 158, 115],
  [204, 121, 167],
  [230, 159, 0],
  [86, 180, 233],
  [125, 110, 200],
  [150, 130, 90],
  [110, 110, 110],
  [180, 40, 90],
];
// stops of matplotlib's cividis
const CIVIDIS = [
  [0, 34, 78],
  [18, 53, 112],
  [59, 73, 108],
  [87, 93, 109],
  [112, 113, 115],
  [138, 134, 120],
  [165, 156, 116],
  [195, 179, 105],
  [225, 204, 85],
  [254, 232, 56],
];

const mix = (from, to, share) => from.map((value, i) => Math.round(value + (to[i] - value) * share));
const pack = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

export const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

/** What 0 looks like: the colour between the two signs. */
export const neutral = () => (isDark() ? [32, 36, 41] : [247, 247, 246]);

/** The colour of a number between -1 and 1. */
export function signed(value) {
  const strength = Math.min(Math.abs(value), 1);
  return mix(neutral(), value < 0 ? NEGATIVE : POSITIVE, strength);
}

/** The colour of a class; of two, the first is the negative one. */
export const ofClass = (label) => CLASSES[label % CLASSES.length];

/** The colour of a number between 0 and 1 of which 0 is the best. */
export function sequential(share) {
  const place = Math.min(Math.max(share, 0), 1) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(place), CIVIDIS.length - 2);
  return mix(CIVIDIS[low], CIVIDIS[low + 1], place - low);
}

const tables = new Map();

/** The pixels of -128 to 127, for -1 to 1; `decided`: the sign alone. */
export function signedPixels(decided = false) {
  const key = `${isDark()} ${decided}`;
  if (!tables.has(key)) {
    const value = (i) => (decided ? Math.sign(i - 127.5) * 0.75 : (i - 128) / 127);
    tables.set(
      key,
      Uint32Array.from({ length: 256 }, (_, i) => pack(signed(value(i)))),
    );
  }
  return tables.get(key);
}

/** 256 colours from 0 to 1 as pixels. */
export function sequentialPixels() {
  if (!tables.has("sequential")) {
    const pixels = Uint32Array.from({ length: 256 }, (_, i) => pack(sequential(i / 255)));
    tables.set("sequential", pixels);
  }
  return tables.get("sequential");
}

/** The pixel of class probabilities, -127 for 0 and 127 for 1: their colours mixed. */
export function pixelOfClasses(probabilities, start, stride, count) {
  let red = 0,
    green = 0,
    blue = 0;
  for (let label = 0; label < count; label++) {
    const p = (probabilities[start + label * stride] + 127) / 254;
    const colour = CLASSES[label % CLASSES.length];
    red += p * colour[0];
    green += p * colour[1];
    blue += p * colour[2];
  }
  // towards the neutral colour, so that points stand out
  const ground = neutral();
  return pack([red, green, blue].map((value, i) => Math.round(value * 0.72 + ground[i] * 0.28)));
}
