"""``python -m benchmarks.shapes``: the cost of a step over widths, batches, features and outputs.

Cost must grow smoothly with the work: a tile's height plus one, a prime, a power of two, one
output, batch 7 should show no step beyond the padding of a vector. Writes results/shapes.png.
"""

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp import _native

SWEEPS: dict[str, tuple[list[int], Any]] = {
    "hidden neurons (64-w-10, batch 200)": (
        [*range(1, 35), *range(40, 140, 7), 127, 128, 129, 191, 193, 255, 256, 257, 511, 512, 513],
        lambda w: ([64, w, 10], 200),
    ),
    "batch (64-100-10)": (
        [*range(1, 20), 24, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129, 200, 256, 257, 1000],
        lambda w: ([64, 100, 10], w),
    ),
    "features (w-100-10, batch 200)": (
        [*range(1, 20), 31, 32, 33, 64, 100, 127, 128, 129, 256, 784, 1000, 1024, 4096, 5000],
        lambda w: ([w, 100, 10], 200),
    ),
    "outputs (64-100-w, batch 200)": (
        [*range(1, 20), 24, 31, 32, 33, 48, 64, 65, 100, 128, 200, 256, 257, 500, 1000],
        lambda w: ([64, 100, w], 200),
    ),
}  # fmt: skip


def step_seconds(units: list[int], batch: int) -> float:
    """Best of several runs, one thread, float32, Adam, ReLU."""
    rng = np.random.default_rng(0)
    work = batch * sum(n * m for n, m in pairwise(units))
    steps = int(np.clip(3e7 / (work + 1e4), 3, 200))
    X = rng.standard_normal((batch * steps, units[0]), np.float32)
    y = rng.integers(max(2, units[-1]), size=len(X)).astype(np.int32)
    blocks = []
    for n, m in pairwise(units):
        blocks += [rng.standard_normal((n, m), np.float32) / np.sqrt(n, dtype=np.float32)]
        blocks += [np.zeros(m, np.float32)]
    loss = "log_loss" if units[-1] > 1 else "binary_log_loss"
    hidden = [("relu", 0.0, 1, 0.0)] * (len(units) - 2)
    network = _native.Network32(units, hidden, loss, alpha=1e-4, batch=batch)
    network.write(0, blocks)
    best = np.inf
    for _ in range(7):
        start = time.perf_counter()
        network.train(
            X, y, None, None, solver="adam", steps=0, rate=1e-3, momentum=0.0, nesterov=False,
            beta_1=0.9, beta_2=0.999, epsilon=1e-8, n_threads=1,
        )  # fmt: skip
        best = min(best, (time.perf_counter() - start) / steps)
    return best


def main() -> None:
    """Measure all sweeps and draw them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(11, 7))
    for panel, (name, (sizes, network)) in zip(panels.flat, SWEEPS.items(), strict=True):
        sizes = sorted(set(sizes))
        seconds = [step_seconds(*network(size)) for size in sizes]
        panel.plot(sizes, np.array(seconds) * 1e6, marker=".", linewidth=0.8)
        panel.set(xscale="log", yscale="log", xlabel=name, ylabel="us per step")
        panel.spines[["top", "right"]].set_visible(False)
        print(name, {size: round(s * 1e6, 1) for size, s in zip(sizes, seconds, strict=True)})
    figure.tight_layout()
    folder = Path("benchmarks/results")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "shapes.png", dpi=100)


if __name__ == "__main__":
    main()
