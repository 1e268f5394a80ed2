"""A multi-layer perceptron in pure NumPy: what the demonstration and the benchmarks compare with.

As fast as NumPy allows: float32, all work in preallocated arrays, one flat vector of parameters so
that Adam is a dozen vector operations per step. It also reads as the textbook does.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class NumpyMLP:
    """ReLU hidden layers, softmax (log loss) or linear (squared error) outputs, Adam.

    Parameters
    ----------
    units : list of int
        Features, hidden neurons of each layer, outputs.
    classify : bool
        Softmax outputs; else linear ones.
    alpha, learning_rate : float
        As `alpha` and `learning_rate_init` of :class:`fastmlp.MLPClassifier`.
    seed : int
        Draws weights and shuffles.
    """

    def __init__(
        self,
        units: list[int],
        *,
        classify: bool,
        alpha: float = 1e-4,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> None:
        self.classify, self.alpha, self.learning_rate = classify, alpha, learning_rate
        self.rng = np.random.default_rng(seed)
        shapes: list[tuple[int, ...]] = []
        for n, m in pairwise(units):
            shapes += [(n, m), (m,)]
        size = sum(int(np.prod(shape)) for shape in shapes)
        # parameters, gradient, Adam's moments and scratch: flat, and in pieces of a layer's shape
        self.theta, self.gradient, self.m, self.v, self.scratch = np.zeros((5, size), np.float32)
        self.weights, self.biases = self._pieces(self.theta, shapes)
        self.weight_gradients, self.bias_gradients = self._pieces(self.gradient, shapes)
        for (n, m), weight in zip(pairwise(units), self.weights, strict=True):
            bound = np.sqrt(6.0 / (n + m))
            weight[...] = self.rng.uniform(-bound, bound, (n, m))
        self.steps = 0
        self.loss_curve: list[float] = []

    @staticmethod
    def _pieces(flat: Array, shapes: list[tuple[int, ...]]) -> tuple[list[Array], list[Array]]:
        ends = np.cumsum([np.prod(shape) for shape in shapes])
        parts = np.split(flat, ends[:-1])
        blocks = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return blocks[0::2], blocks[1::2]

    def forward(self, X: Array) -> list[Array]:
        """Return X (n, features) and every layer's output (n, neurons); the last is the answer."""
        outputs = [X]
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = outputs[-1] @ weight
            z += bias
            if layer < len(self.weights) - 1:
                np.maximum(z, 0, out=z)
            outputs.append(z)
        if self.classify:
            z -= z.max(axis=1, keepdims=True)
            np.exp(z, out=z)
            z /= z.sum(axis=1, keepdims=True)
        return outputs

    def step(self, X: Array, Y: Array) -> float:
        """One step of Adam on a batch X (n, features), Y (n, outputs); returns the batch's loss."""
        n = len(X)
        outputs = self.forward(X)
        answer = outputs[-1]
        if self.classify:
            loss = -float(np.log(np.maximum(answer[Y == 1], 1e-38)).sum()) / n
        else:
            loss = 0.5 * float(np.square(answer - Y).mean())
        squares = sum(float(np.vdot(weight, weight)) for weight in self.weights)
        loss += 0.5 * self.alpha * squares / n

        delta = answer
        delta -= Y
        delta /= n
        for layer in reversed(range(len(self.weights))):
            np.matmul(outputs[layer].T, delta, out=self.weight_gradients[layer])
            self.weight_gradients[layer] += (self.alpha / n) * self.weights[layer]
            np.sum(delta, axis=0, out=self.bias_gradients[layer])
            if layer > 0:
                delta = delta @ self.weights[layer].T
                delta *= outputs[layer] > 0
        self._adam()
        return loss

    def _adam(self) -> None:
        """Kingma & Ba (2015), both bias corrections in the step size."""
        g, m, v, scratch = self.gradient, self.m, self.v, self.scratch
        self.steps += 1
        rate = self.learning_rate * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        m *= 0.9
        np.multiply(g, 0.1, out=scratch)
        m += scratch
        np.multiply(g, g, out=scratch)
        scratch *= 0.001
        v *= 0.999
        v += scratch
        np.sqrt(v, out=scratch)
        scratch += 1e-8
        np.divide(m, scratch, out=scratch)
        scratch *= rate
        self.theta -= scratch

    def fit(
        self,
        X: Array,
        Y: Array,
        *,
        epochs: int,
        batch_size: int = 200,
        on_epoch: Callable[[float], None] | None = None,
    ) -> "NumpyMLP":
        """Train on X (n, features) and Y (n, outputs), both float32, in shuffled mini-batches."""
        n = len(X)
        for _ in range(epochs):
            order, total = self.rng.permutation(n), 0.0
            for start in range(0, n, batch_size):
                rows = order[start : start + batch_size]
                total += self.step(X[rows], Y[rows]) * len(rows)
            self.loss_curve.append(total / n)
            if on_epoch:
                on_epoch(self.loss_curve[-1])
        return self

    def predict(self, X: Array) -> Array:
        """Class numbers (n,), or values (n, outputs)."""
        answer = self.forward(X)[-1]
        return answer.argmax(axis=1) if self.classify else answer
