"""Closer looks at a network as it is: the loss around it, its health, one step on one row."""

from typing import Any

import numpy as np

from fastmlp.core.typing import Array
from fastmlp.inspection import diagnose
from fastmlp.inspection.landscape import losses_around
from fastmlp.inspection.steps import explain_step
from fastmlp.playground.frames import Arrays
from fastmlp.playground.live import LiveNetwork
from fastmlp.playground.state import StateError

_MOST_ROWS = 2000  # whose loss is computed at each point of a landscape
_MOST_ON_PATH = 60


# --- the loss around it --------------------------------------------------------------------------


def landscape(
    live: LiveNetwork, *, resolution: int, directions: str, seed: int, extent: float | None
) -> tuple[dict[str, Any], Arrays]:
    """The losses on a plane through the network's weights: header and arrays.

    With 'path' it is the plane in which the way from the first weights is widest, as far as the
    snapshots tell.
    """
    problem, fitted = live.problem, live.session.fitted()
    path, epochs = None, live.snapshots
    if directions == "path":
        chosen = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), _MOST_ON_PATH)))
        epochs = [epochs[int(i)] for i in chosen if epochs[int(i)] <= live.epoch]
        path = [live.blocks_of(epoch) for epoch in epochs]
        if len(path) < 2:
            raise StateError("The way of training has one point only: train first.", "directions")
    n = len(problem.y_train)
    rows = np.linspace(0, n - 1, min(n, _MOST_ROWS)).astype(int)
    found = losses_around(
        fitted,
        problem.X_train[rows],
        live.targets(problem.y_train[rows]),
        directions="random" if path is None else "pca",
        extent=extent,
        resolution=resolution,
        path=path,
        random_state=seed,
    )
    header = {
        "center": found.center,
        "center_loss": found.center_loss,
        "names": found.names,
        "share": found.path_share,
        "path_epochs": [] if path is None else epochs,
    }
    arrays = {
        "losses": found.losses,
        "first": found.coordinates[0],
        "second": found.coordinates[1],
    }
    if found.path_points is not None and found.path_losses is not None:
        arrays |= {"path": found.path_points, "path_losses": found.path_losses}
    return header, {name: array.astype(np.float32) for name, array in arrays.items()}


# --- its health -----------------------------------------------------------------------------------


def findings(live: LiveNetwork) -> list[dict[str, Any]]:
    """What `diagnose` says of the network, with the state that each remedy leads to."""
    if live.ended == "diverged":
        rate = live.state["network"]["learning_rate_init"]
        remedy = {"learning_rate_init": rate / 10}
        return [_finding(live, "training diverged", live.message, None, None, None, remedy)]
    problem = live.problem
    found = diagnose(live.session.fitted(), problem.X_train, live.targets(problem.y_train))
    return [
        _finding(live, f.kind, f.text, f.number, f.layer, f.epoch, dict(f.remedy)) for f in found
    ]


def _finding(
    live: LiveNetwork,
    kind: str,
    text: str,
    number: float | None,
    layer: int | None,
    epoch: int | None,
    remedy: dict[str, Any],
) -> dict[str, Any]:
    """A finding as the page has it; without a state where the remedy is none of parameters."""
    network = live.state["network"]
    remedy = {k: list(v) if isinstance(v, tuple) else v for k, v in remedy.items()}
    usable = {name: value for name, value in remedy.items() if name in network}
    cured = {**live.state, "network": {**network, **usable}} if usable else None
    words = ", ".join(f"{name}={value!r}" for name, value in usable.items())
    return {
        "kind": kind,
        "text": text,
        "number": number,
        "layer": layer,
        "epoch": epoch,
        "remedy": usable,
        "remedy_text": words or "Scale the data before: see StandardScaler.",
        "state": cured,
    }


# --- one step on one row -------------------------------------------------------------------------


def step(live: LiveNetwork, inputs: Array, target: Any) -> dict[str, Any]:
    """The next step of training on one row, with every number on the way.

    Parameters
    ----------
    inputs : ndarray of shape (1, n_inputs)
    target : object
        A label or value as the network is given it.
    """
    targets = live.targets(np.asarray([target]))
    explained = explain_step(live.session.fitted(), inputs, targets)
    mean, std = live.problem.scale
    note = None
    if (mean, std) != (0.0, 1.0):
        note = f"The network's values are those of the data minus {mean:.4g}, divided by {std:.4g}."
    return {**explained.to_dict(), "inputs": live.problem.inputs, "note": note}
