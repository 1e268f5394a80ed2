"""``python -m benchmarks.playground``: epochs and frames of the playground.

An epoch of spiral, 250 rows, batches of 10, tanh, in one `fit`, in frames of the playground, and in
JavaScript as the TensorFlow Playground trains (`playground.js`, where there is node); then what a
frame of 17 maps of 100 x 100 takes besides. All take turns on one thread, and the best CPU time of
each counts.
"""

import shutil
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fastmlp import _native
from fastmlp.playground import make_data
from fastmlp.playground.frames import look_at, pack
from fastmlp.playground.live import LiveNetwork

SIZES = ((4, 2), (8, 8), (8,) * 6, (64, 64))
ROUNDS, EPOCHS = 15, 100


def milliseconds(call: Callable[[], object]) -> float:
    """The CPU time of a call, which other programs change less than the time that passes."""
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def in_javascript(sizes: tuple[int, ...]) -> float:
    """The best of an epoch's times in JavaScript; nan where there is no node."""
    node = shutil.which("node")
    if node is None:
        return float("nan")
    epochs = max(5, 1500 // sum(a * b for a, b in zip((2, *sizes), (*sizes, 1), strict=True)))
    script = Path(__file__).with_name("playground.js")
    command = [node, str(script), "-".join(map(str, sizes)), str(epochs), "3"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def live_network(sizes: tuple[int, ...]) -> LiveNetwork:
    """The playground's network of these layers."""
    network = {"hidden_layer_sizes": list(sizes), "max_iter": EPOCHS}
    return LiveNetwork({"data": {"set": "spiral"}, "network": network}, None)


def epochs_of(sizes: tuple[int, ...]) -> tuple[float, float, float]:
    """An epoch in JavaScript, in a fit, and in frames, in ms."""
    live = live_network(sizes)
    X, y, _, _ = make_data("spiral")
    model = live.estimator.set_params(n_iter_no_change=np.inf, n_jobs=1)
    best = np.full(3, np.inf)
    for _ in range(ROUNDS):
        times = (
            in_javascript(sizes),
            milliseconds(lambda: model.fit(X, y)) / EPOCHS,
            milliseconds(lambda: live.train(EPOCHS, None)) / EPOCHS,
        )
        best = np.fmin(best, times)
    return best[0], best[1], best[2]


def frame_times(sizes: tuple[int, ...]) -> tuple[int, float, float]:
    """Maps in a frame, and what a frame of one epoch takes without and with them, in ms."""
    live = live_network(sizes)
    live.train(20, None)

    def frame(want: list[str]) -> int:
        live.train(1, None)
        header, arrays, _ = look_at(live, 0, want, 100)
        pack({"networks": [header]}, arrays)
        return sum(len(array) for name, array in arrays.items() if ".map" in name) + 1

    best = [np.inf, np.inf]
    for _ in range(40):
        for i, want in enumerate((["weights", "curves"], ["weights", "curves", "maps"])):
            best[i] = min(best[i], milliseconds(lambda want=want: frame(want)))
    return frame(["maps"]), best[0], best[1]


def main() -> None:
    """Print the tables."""
    print(f"engine {_native.engine()}; ms per epoch, spiral, 250 rows, batches of 10\n")
    print(f"{'hidden layers':>16} {'JavaScript':>11} {'one fit':>9} {'frames':>9} {'ratio':>7}")
    for sizes in SIZES:
        script, fit, frames = epochs_of(sizes)
        name = "-".join(map(str, sizes))
        print(f"{name:>16} {script:11.3f} {fit:9.4f} {frames:9.4f} {script / frames:7.1f}")
    print(f"\n{'hidden layers':>16} {'maps':>5} {'frame without':>14} {'with, ms':>9}")
    for sizes in ((4, 2), (8, 8), (8,) * 6):
        n, without, with_maps = frame_times(sizes)
        print(f"{'-'.join(map(str, sizes)):>16} {n:5d} {without:14.2f} {with_maps:9.2f}")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
