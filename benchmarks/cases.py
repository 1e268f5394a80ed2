"""The shapes that are measured, here and in the tests: name, rows, layer sizes, batch size."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Case:
    """A data set's shape and a network for it; Adam, ReLU, float32, shuffled mini-batches."""

    name: str
    rows: int
    units: tuple[int, ...]  # features, hidden neurons of each layer, classes (1: regression)
    batch: int

    @property
    def regression(self) -> bool:
        """Whether the one output is a value."""
        return self.units[-1] == 1

    def data(self, rows: int | None = None) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """X (rows, features) float32 and y (rows,), learnable."""
        rng = np.random.default_rng(0)
        n = rows or self.rows
        X = rng.standard_normal((n, self.units[0]), dtype=np.float32)
        score = X @ rng.standard_normal((self.units[0], self.units[-1]), dtype=np.float32)
        return X, (np.tanh(score[:, 0]) if self.regression else score.argmax(axis=1))

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("tab", 10_000, (20, 100, 2), 200),
    Case("digits", 1_797, (64, 100, 10), 200),
    Case("mnist", 10_000, (784, 100, 10), 200),
    Case("mnist2", 10_000, (784, 512, 512, 10), 256),
    Case("wide", 4_096, (784, 2048, 2048, 10), 1024),
    Case("deep", 10_000, (50, *[64] * 6, 2), 32),
    Case("regression", 20_000, (8, 64, 64, 1), 128),
]
