"""What each activation, solver and regulariser costs: training epochs of the digits case, 1 thread.

The time of an epoch, as a multiple of that with relu, adam and nothing else. All variants in turn,
many rounds, the best of each.
"""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.cases import CASES
from fastmlp import _native

OPTIONS = {"rate": 1e-4, "momentum": 0.9, "nesterov": True, "beta_1": 0.9, "beta_2": 0.999,
           "epsilon": 1e-8, "rho": 0.9, "weight_decay": 0.01}  # fmt: skip


def epoch_of(
    dtype: Any, activation: str = "relu", dropout: float = 0.0, network: Any = None, **options: Any
) -> Callable[[], Any]:
    """One epoch with some variation of the digits case, ready to be called."""
    case = next(case for case in CASES if case.name == "digits")
    rng = np.random.default_rng(0)
    X, y = case.data()
    pieces = 2 if activation == "maxout" else 1
    blocks = []
    for (fan_in, fan_out), k in zip(pairwise(case.units), (pieces, 1), strict=True):
        blocks += [rng.standard_normal((fan_in, fan_out * k)) / np.sqrt(fan_in),
                   np.zeros(fan_out * k)]  # fmt: skip
    if activation == "prelu":
        blocks.append(np.full(case.units[1], 0.25))
    hidden = [(activation, _native.ACTIVATIONS[activation] or 0.0, pieces, dropout)]
    kind = _native.Network32 if dtype == np.float32 else _native.Network64
    net = kind(list(case.units), hidden, "log_loss", alpha=1e-4, batch=case.batch,
               **(network or {}))  # fmt: skip
    net.write(0, [block.astype(dtype) for block in blocks])
    arguments = (X.astype(dtype), y.astype(np.int32), None, rng.permutation(case.rows))
    options = {"solver": "adam", **OPTIONS, **options}
    return lambda: net.train(*arguments, steps=10, n_threads=1, **options)


VARIANTS: dict[str, dict[str, Any]] = {
    "relu, adam": {},
    **{name: {"activation": name} for name in _native.ACTIVATIONS if name != "relu"},
    **{name: {"solver": name} for name in _native.SOLVER_SLOTS if name != "adam"},
    "dropout 0.5": {"dropout": 0.5, "seed": 1},
    "dropout 0.2, 0.5": {"dropout": 0.5, "seed": 1, "network": {"input_dropout": 0.2}},
    "l1": {"network": {"l1": 0.01}},
    "clip_norm": {"clip_norm": 1.0, "network": {"keep_gradient": True}},
    "max_norm": {"max_norm": 1.0},
}


def costs(rounds: int = 60) -> dict[str, list[float]]:
    """For each variant its time over the first one's, in float32 and in float64."""
    results: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for dtype in (np.float32, np.float64):
        epochs = {name: epoch_of(dtype, **variant) for name, variant in VARIANTS.items()}
        best = dict.fromkeys(epochs, np.inf)
        for _ in range(rounds):
            for name, epoch in epochs.items():
                start = time.perf_counter()
                epoch()
                best[name] = min(best[name], time.perf_counter() - start)
        for name, time_of in best.items():
            results[name].append(time_of / best["relu, adam"])
    return results
