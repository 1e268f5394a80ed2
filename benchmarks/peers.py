"""Each library's own way of training one case; nobody is held back.

A peer is a function (case, X, y, epochs) -> callable that does one whole training, all overheads of
the library's own loop included: what a user waits for. Adam, ReLU, shuffled mini-batches, the dtype
of X, nothing stops early.
"""

import itertools
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn import neural_network

import fastmlp
from benchmarks.cases import Case
from fastmlp.app.numpy_mlp import NumpyMLP

Training = Callable[[], Any]


def _estimator(module: Any) -> Callable[..., Training]:
    def peer(case: Case, X: Any, y: Any, epochs: int) -> Training:
        cls = module.MLPRegressor if case.regression else module.MLPClassifier
        model = cls(
            hidden_layer_sizes=case.units[1:-1],
            batch_size=case.batch,
            max_iter=epochs,
            n_iter_no_change=np.inf,
            random_state=0,
        )
        return lambda: model.fit(X, y)

    return peer


def _numpy(case: Case, X: Any, y: Any, epochs: int) -> Training:
    Y = y[:, None] if case.regression else np.eye(case.units[-1], dtype=np.float32)[y]
    model = NumpyMLP(list(case.units), classify=not case.regression)
    return lambda: model.fit(X, Y.astype(np.float32), epochs=epochs, batch_size=case.batch)


def torch_network(units: tuple[int, ...]) -> Any:
    """A `Sequential` of Linear and ReLU."""
    from torch import nn

    layers: list[Any] = []
    for fan_in, fan_out in itertools.pairwise(units):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def torch_epoch(network: Any, optimizer: Any, loss: Any, X: Any, y: Any, batch: int) -> None:
    """One epoch in eager mode: a permutation, rows by index, zero_grad, backward, step."""
    import torch

    order = torch.randperm(len(X))
    for start in range(0, len(X), batch):
        rows = order[start : start + batch]
        optimizer.zero_grad(set_to_none=True)
        loss(network(X[rows]), y[rows]).backward()
        optimizer.step()


def _torch(case: Case, X: Any, y: Any, epochs: int) -> Training:
    import torch
    from torch import nn

    data = torch.from_numpy(X)
    targets = torch.from_numpy(y.astype(np.float32)[:, None] if case.regression else y)
    loss = nn.MSELoss() if case.regression else nn.CrossEntropyLoss()

    def train() -> None:
        network = torch_network(case.units)
        optimizer = torch.optim.Adam(network.parameters(), fused=True)
        for _ in range(epochs):
            torch_epoch(network, optimizer, loss, data, targets, case.batch)

    return train


PEERS: dict[str, Callable[..., Training]] = {
    "fastmlp": _estimator(fastmlp),
    "NumPy": _numpy,
    "scikit-learn": _estimator(neural_network),
}
if find_spec("torch"):
    PEERS["PyTorch"] = _torch


def set_threads(n: int) -> Any:
    """Hold every library to n threads; returns threadpoolctl's context, entered."""
    from threadpoolctl import threadpool_limits

    if "PyTorch" in PEERS:
        import torch

        torch.set_num_threads(n)
    return threadpool_limits(n)
