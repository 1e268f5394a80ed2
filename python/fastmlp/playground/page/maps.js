// Heat maps: numbers of a grid as pixels of a canvas.

import { pixelOfClasses, sequentialPixels, signedPixels } from "./colours.js";

const images = new WeakMap();

/** The image of a canvas with this many pixels, and its pixels as numbers. */
function imageOf(canvas, width, height) {
  let image = images.get(canvas);
  if (!image || image.data.width !== width || image.data.height !== height) {
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const data = context.createImageData(width, height);
    image = { context, data, pixels: new Uint32Array(data.data.buffer) };
    images.set(canvas, image);
  }
  return image;
}

function show(image) {
  image.context.putImageData(image.data, 0, 0);
}

/** Paint numbers of both signs, -127 to 127 for -1 to 1; `decided`: their signs alone. */
export function paintSigned(canvas, numbers, width, height, decided = false) {
  const image = imageOf(canvas, width, height);
  const table = signedPixels(decided);
  for (let i = 0; i < numbers.length; i++) image.pixels[i] = table[numbers[i] + 128];
  show(image);
}

/** Paint numbers from 0 to 255. */
export function paintSequential(canvas, numbers, width, height) {
  const image = imageOf(canvas, width, height);
  const table = sequentialPixels();
  for (let i = 0; i < numbers.length; i++) image.pixels[i] = table[numbers[i]];
  show(image);
}

/** Paint numbers of both signs, the largest in full colour. */
export function paintNumbers(canvas, numbers, width, height) {
  const largest = numbers.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-300);
  paintSigned(
    canvas,
    Int8Array.from(numbers, (value) => Math.round((127 * value) / largest)),
    width,
    height,
  );
}

/** Paint class probabilities (classes, height, width), -127 for 0 and 127 for 1; `decided`: the likeliest alone. */
export function paintClasses(canvas, probabilities, classes, width, height, decided = false) {
  const image = imageOf(canvas, width, height);
  const cells = width * height;
  const certain = new Int8Array(classes);
  for (let cell = 0; cell < cells; cell++) {
    if (!decided) {
      image.pixels[cell] = pixelOfClasses(probabilities, cell, cells, classes);
      continue;
    }
    let best = 0;
    for (let label = 1; label < classes; label++) {
      if (probabilities[label * cells + cell] > probabilities[best * cells + cell]) best = label;
    }
    certain.fill(-127);
    certain[best] = 127;
    image.pixels[cell] = pixelOfClasses(certain, 0, 1, classes);
  }
  show(image);
}
