"""How many kernels a step takes, which decides how fast small networks are on a GPU."""

import numpy as np
import pytest

from fastmlp import _native
from tests.devices import Emulator, needs_emulator

pytestmark = needs_emulator

# Wide layers, those of more than 48 KiB of weights, have products of their own there and back, but
# for the first layer's way back; with one the rows are gathered by a kernel of its own, too.
STEPS = {
    "tab 20-100-2": ([20, 100, 2], 2),
    "digits 64-100-10": ([64, 100, 10], 2),
    "deep 64-64x6-10": ([64, *[64] * 6, 10], 2),
    "mnist 784-100-10": ([784, 100, 10], 4),
    "two wide 130-128-128-10": ([130, 128, 128, 10], 6),
}


def launches(units, rows, *, sparse=False, batch=4, **options):
    """Launches of an epoch."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, units[0])).astype(np.float32)
    if sparse:
        x = (np.ones(rows, np.float32), np.zeros(rows, np.int32), np.arange(rows + 1))
    y = rng.integers(0, 2, rows).astype(np.int32)
    hidden = [("relu", 0.0, 1, 0.0)] * (len(units) - 2)
    network = _native.Network32(
        units, hidden, "log_loss", alpha=0.0, batch=batch, sparse=sparse, keep_gradient=True,
        engine="emulated",
    )  # fmt: skip
    network.write(0, [np.zeros_like(block) for block in network.read(0)])
    before = Emulator().launches()
    network.train(
        x, y, None, None, solver="adam", steps=0, rate=0.001, n_threads=1, epsilon=1e-8, **options
    )
    return Emulator().launches() - before


@pytest.mark.parametrize("name", STEPS)
def test_kernels_of_a_step(name):
    units, kernels = STEPS[name]
    sums = 1  # of a burst
    assert launches(units, 4) == kernels + sums
    assert launches(units, 12) == 3 * kernels + sums


def test_steps_are_launched_in_bursts():
    """Of 32 steps, in one graph."""
    assert launches([5, 4, 2], 4 * 70) == 70 * 2 + 3


def test_what_more_a_step_takes():
    units = [5, 4, 3, 2]
    assert launches(units, 4, clip_norm=1.0) == 2 + 2 + 1
    assert launches(units, 4, max_norm=1.0) == 2 + 2 + 1  # for each hidden layer
    assert launches(units, 4, sparse=True) == 2 + 1


def test_precision_is_of_wide_layers():
    """The layer before the wide one, which is multiplied tile by tile, too, is not rounded."""
    rng = np.random.default_rng(0)
    shapes = (4, 40), (40,), (40, 400), (400,), (400, 2), (2,)
    blocks = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    X, Y = np.eye(4, dtype=np.float32), np.zeros((4, 2), np.float32)
    network = _native.Network32(
        [4, 40, 400, 2], [("identity", 0.0, 1, 0.0)] * 2, "squared_error", alpha=0.0, batch=4,
        keep_gradient=True, precision="bfloat16", engine="emulated",
    )  # fmt: skip
    network.write(0, blocks)
    loss, _ = network.gradient(X, Y, None, None, n_threads=1)

    def rounded(x):
        """To bfloat16, ties to even."""
        bits = x.view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32)

    W0, b0, W1, b1, W2, b2 = blocks
    hidden = rounded(W0 + b0).astype(float) @ rounded(W1) + b1
    assert loss == pytest.approx(((hidden @ W2 + b2) ** 2).sum() / 2 / 4 / 2, rel=1e-5)
