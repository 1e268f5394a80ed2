"""``python -m benchmarks.recurrent``: an epoch of recurrent networks, beside PyTorch where it is.

2000 sequences of 32 steps and 8 features, 64 units, one value at the end; batches of 32, shuffled,
Adam, float32. Epochs are made in turns, and the best of each counts. PyTorch is given sequences in
both orders that it knows, and both are given each number of threads.
"""

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from fastmlp.core.network import Architecture, Blocks, Network, Samples
from fastmlp.core.typing import Epoch, HiddenLayer

N, STEPS, FEATURES, UNITS, BATCH = 2000, 32, 8, 64, 32
ROUNDS = 15
Training = Callable[[], Any]


def data() -> tuple[Any, Any]:
    """X (N, STEPS, FEATURES) and y (N, 1), whose values come from early steps."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, STEPS, FEATURES), dtype=np.float32)
    return X, X[:, :4].mean(axis=(1, 2))[:, None].copy()


def fastmlp_epoch(cell: str, X: Any, y: Any, threads: int) -> Training:
    """An epoch of the core's."""
    rng = np.random.default_rng(0)
    architecture = Architecture(
        [FEATURES, UNITS, 1], [HiddenLayer("tanh", 0.0, 1, 0.0)], "squared_error", cell=cell
    )

    def draw(shape: tuple[int, ...]) -> Any:
        return rng.uniform(-1, 1, shape).astype(np.float32) / np.float32(np.sqrt(UNITS))

    network = Network(architecture, np.float32, alpha=0.0, batch=BATCH, sparse=False, steps=STEPS)
    arrays = [draw(shape) for shape in architecture.shapes()]
    network.write(Blocks.from_core(arrays, architecture.hidden, cell))
    samples = Samples(X, y, None)
    solver = {"solver": "adam", "rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}

    def epoch() -> None:
        order = rng.permutation(N)
        network.train(
            samples, order, Epoch(), {**solver, "steps": network.steps, "n_threads": threads}
        )

    return epoch


def torch_epoch(cell: str, X: Any, y: Any, threads: int, batch_first: bool) -> Training:
    """An epoch of PyTorch's, as its tutorials write it, with the fused Adam."""
    import torch
    from torch import nn

    kind: Any = {"elman": nn.RNN, "gru": nn.GRU}[cell]
    layer, last = kind(FEATURES, UNITS, batch_first=batch_first), nn.Linear(UNITS, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *last.parameters()], fused=True)
    loss = nn.MSELoss()
    sequences, targets = torch.from_numpy(X), torch.from_numpy(y)
    if not batch_first:
        sequences = sequences.transpose(0, 1).contiguous()

    def epoch() -> None:
        torch.set_num_threads(threads)
        order = torch.randperm(N)
        for start in range(0, N, BATCH):
            rows = order[start : start + BATCH]
            optimizer.zero_grad(set_to_none=True)
            states, _ = layer(sequences[rows] if batch_first else sequences[:, rows])
            outputs = last(states[:, -1] if batch_first else states[-1])
            loss(outputs, targets[rows]).backward()
            optimizer.step()

    return epoch


def best_seconds(trainings: dict[str, Training]) -> dict[str, float]:
    """The best time of each, made in turns."""
    best = dict.fromkeys(trainings, np.inf)
    for _ in range(ROUNDS):
        for name, training in trainings.items():
            start = time.perf_counter()
            training()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def main() -> None:
    """Measure both cells and print a table."""
    X, y = data()
    threads = (1, 2)
    for cell in sys.argv[1:] or ["elman", "gru"]:
        trainings = {f"fastmlp, {n}": fastmlp_epoch(cell, X, y, n) for n in threads}
        if find_spec("torch"):
            for n in threads:
                for first in (True, False):
                    order = "batch first" if first else "time first"
                    trainings[f"PyTorch, {n}, {order}"] = torch_epoch(cell, X, y, n, first)
        best = best_seconds(trainings)
        for name, seconds in best.items():
            print(f"{cell:6} {name:32} {1e3 * seconds:8.1f} ms an epoch")
        peers = [seconds for name, seconds in best.items() if name.startswith("PyTorch")]
        if peers:
            ours = min(seconds for name, seconds in best.items() if name.startswith("fastmlp"))
            print(f"{cell:6} best to best: {min(peers) / ours:.1f} times PyTorch's speed")


if __name__ == "__main__":
    main()
