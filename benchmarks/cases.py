"""The shapes that are measured, here and in the tests: name, rows, layer sizes, batch size."""

import gzip
from dataclasses import dataclass
from pathlib import Path
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
    levels: int = 0  # of categorical columns, each as many one-hot features; 0: random numbers
    mnist: Path | None = None  # the folder of MNIST's files: its first images are the rows

    @property
    def regression(self) -> bool:
        """Whether the one output is a value."""
        return self.units[-1] == 1

    def data(self, rows: int | None = None) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """X (rows, features) float32 and y (rows,), learnable."""
        rng = np.random.default_rng(0)
        n = rows or self.rows
        if self.mnist:
            images, labels = mnist(self.mnist, "train")
            return images[:n].astype(np.float32) / 255, labels[:n]
        if self.levels:
            codes = rng.integers(self.levels, size=(n, self.units[0] // self.levels, 1))
            X = (codes == np.arange(self.levels)).reshape(n, -1).astype(np.float32)
        else:
            X = rng.standard_normal((n, self.units[0]), dtype=np.float32)
        score = X @ rng.standard_normal((self.units[0], self.units[-1]), dtype=np.float32)
        return X, (np.tanh(score[:, 0]) if self.regression else score.argmax(axis=1))

    def __str__(self) -> str:
        return self.name


def mnist(folder: Path, part: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Images (n, 784) uint8 and labels (n,) of "train" or "t10k", from gzipped IDX files."""

    def idx(name: str) -> npt.NDArray[Any]:
        data = gzip.decompress((folder / f"{part}-{name}-ubyte.gz").read_bytes())
        shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
        return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)

    return idx("images-idx3").reshape(-1, 784), idx("labels-idx1").astype(np.int64)


CASES = [
    Case("tab", 10_000, (20, 100, 2), 200),
    Case("digits", 1_797, (64, 100, 10), 200),
    Case("mnist", 10_000, (784, 100, 10), 200),
    Case("mnist2", 10_000, (784, 512, 512, 10), 256),
    Case("wide", 4_096, (784, 2048, 2048, 10), 1024),
    Case("deep", 10_000, (50, *[64] * 6, 2), 32),
    Case("deep50", 3_200, (50, *[64] * 50, 2), 32),
    Case("one-hot", 10_000, (400, 100, 10), 200, levels=20),
    Case("regression", 20_000, (8, 64, 64, 1), 128),
]
