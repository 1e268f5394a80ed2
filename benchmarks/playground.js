// Training as pages in JavaScript usually do it, the TensorFlow Playground among them: an object for
// each node and each link, one row after another, derivatives summed up and applied per batch.
// `node playground.js UNITS EPOCHS ROUNDS` prints the best CPU time of an epoch in milliseconds.
"use strict";

class Link {
  constructor(source, target) {
    this.source = source;
    this.target = target;
    this.weight = Math.random() - 0.5;
    this.summed = 0;
    this.count = 0;
  }
}

const tanh = {
  value: (z) => Math.tanh(z),
  slope: (z) => {
    const a = Math.tanh(z);
    return 1 - a * a;
  },
};
const squaredError = {
  value: (output, target) => 0.5 * Math.pow(output - target, 2),
  slope: (output, target) => output - target,
};

class Node {
  constructor(activation) {
    this.inputs = [];
    this.outputs = [];
    this.activation = activation;
    this.bias = 0.1;
    this.z = 0;
    this.output = 0;
    this.outputSlope = 0;
    this.delta = 0;
    this.summed = 0;
    this.count = 0;
  }
  update() {
    this.z = this.bias;
    for (let i = 0; i < this.inputs.length; i++) {
      const link = this.inputs[i];
      this.z += link.weight * link.source.output;
    }
    this.output = this.activation.value(this.z);
    return this.output;
  }
}

function build(units) {
  const layers = [];
  for (const n of units) {
    const layer = Array.from({ length: n }, () => new Node(tanh));
    for (const node of layers.length ? layer : []) {
      for (const source of layers[layers.length - 1]) {
        const link = new Link(source, node);
        source.outputs.push(link);
        node.inputs.push(link);
      }
    }
    layers.push(layer);
  }
  return layers;
}

function forward(layers, row) {
  for (let i = 0; i < row.length; i++) layers[0][i].output = row[i];
  for (let l = 1; l < layers.length; l++)
    for (let i = 0; i < layers[l].length; i++) layers[l][i].update();
  return layers[layers.length - 1][0].output;
}

function backward(layers, target) {
  const output = layers[layers.length - 1][0];
  output.outputSlope = squaredError.slope(output.output, target);
  for (let l = layers.length - 1; l >= 1; l--) {
    const layer = layers[l];
    for (let i = 0; i < layer.length; i++) {
      const node = layer[i];
      node.delta = node.outputSlope * node.activation.slope(node.z);
      node.summed += node.delta;
      node.count++;
    }
    for (let i = 0; i < layer.length; i++) {
      const node = layer[i];
      for (let j = 0; j < node.inputs.length; j++) {
        const link = node.inputs[j];
        link.summed += node.delta * link.source.output;
        link.count++;
      }
    }
    if (l === 1) continue;
    const before = layers[l - 1];
    for (let i = 0; i < before.length; i++) {
      const node = before[i];
      node.outputSlope = 0;
      for (let j = 0; j < node.outputs.length; j++) {
        const link = node.outputs[j];
        node.outputSlope += link.weight * link.target.delta;
      }
    }
  }
}

function apply(layers, rate) {
  for (let l = 1; l < layers.length; l++) {
    for (let i = 0; i < layers[l].length; i++) {
      const node = layers[l][i];
      if (node.count > 0) {
        node.bias -= (rate * node.summed) / node.count;
        node.summed = 0;
        node.count = 0;
      }
      for (let j = 0; j < node.inputs.length; j++) {
        const link = node.inputs[j];
        if (link.count > 0) {
          link.weight -= (rate / link.count) * link.summed;
          link.summed = 0;
          link.count = 0;
        }
      }
    }
  }
}

const ROWS = 250;
const BATCH = 10;
const RATE = 0.03;
const rows = [];
for (let i = 0; i < ROWS; i++) {
  const radius = ((i >> 1) / (ROWS / 2)) * 5;
  const angle = 1.75 * ((i >> 1) / (ROWS / 2)) * 2 * Math.PI + (i % 2) * Math.PI;
  rows.push({ x: radius * Math.sin(angle), y: radius * Math.cos(angle), target: i % 2 ? 1 : -1 });
}

function epoch(layers) {
  rows.forEach((row, i) => {
    forward(layers, [row.x, row.y]);
    backward(layers, row.target);
    if ((i + 1) % BATCH === 0) apply(layers, RATE);
  });
}

const [units, epochs, rounds] = process.argv.slice(2);
const layers = build([2, ...units.split("-").map(Number), 1]);
for (let i = 0; i < 100; i++) epoch(layers);
let best = Infinity;
for (let r = 0; r < Number(rounds); r++) {
  const start = process.cpuUsage();
  for (let i = 0; i < Number(epochs); i++) epoch(layers);
  best = Math.min(best, process.cpuUsage(start).user / 1e3 / Number(epochs));
}
console.log(best);
