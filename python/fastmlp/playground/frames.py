"""What the page is told of a network: numbers as JSON, pictures as arrays, in one binary frame.

A frame is the length of its header as a little-endian uint32, the header as JSON, padded with
blanks to a multiple of 8 bytes from the beginning, and the arrays that the header names, each at
its offset from the beginning.
"""

import json
from math import isfinite
from typing import Any

import numpy as np

from fastmlp.core.native import _native
from fastmlp.core.typing import Array
from fastmlp.playground.live import LiveNetwork
from fastmlp.playground.problem import MOST_SHOWN

WANTS = (
    "maps",
    "weights",
    "curves",
    "points",
    "inputs",
    "health",
    "confusion",
    "snapshots",
    "hidden",
)
MOST_CELLS = 8_000_000  # of all maps of a network together
_MOST_CURVE_ROWS = 500
_MOST_HIDDEN_ROWS = 500

Arrays = dict[str, Array]


def pack(header: dict[str, Any], arrays: Arrays) -> bytes:
    """A frame."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    entries: list[dict[str, Any]] = [
        {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "offset": 0}
        for name, array in arrays.items()
    ]
    # offsets are of ten digits while the header's length is found out
    sizes = [-(-array.nbytes // 8) * 8 for array in arrays.values()]
    room = 4 + len(to_json({**header, "arrays": entries})) + 10 * len(entries)
    first = offset = -(-room // 8) * 8
    for entry, size in zip(entries, sizes, strict=True):
        entry["offset"] = offset
        offset += size
    text = to_json({**header, "arrays": entries}).ljust(first - 4)
    parts = [len(text).to_bytes(4, "little"), text]
    for array, size in zip(arrays.values(), sizes, strict=True):
        parts += [array.tobytes(), b"\0" * (size - array.nbytes)]
    return b"".join(parts)


def to_json(value: Any) -> bytes:
    """A value as JSON, which has no numbers that are not finite: they become null."""
    return json.dumps(plain(value), allow_nan=False, separators=(",", ":")).encode()


def plain(value: Any) -> Any:
    """A value as JSON can have it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


def look_at(
    live: LiveNetwork, place: int, want: list[str], resolution: int
) -> tuple[dict[str, Any], Arrays, int]:
    """What is wanted of a network: its part of the header, its arrays, the resolution of maps."""
    session, problem = live.session, live.problem
    worker = session.fitted() if "confusion" in want else None
    header = _summary(live)
    arrays: Arrays = {}
    if "weights" in want:
        arrays |= _weights(live)
    if "maps" in want and problem.picture is not None:
        units = sum(header["units"])
        resolution = min(resolution, max(int((MOST_CELLS / units) ** 0.5), 8))
        maps, output = _maps(live, resolution)
        arrays |= maps
        header["output"] = output
    if "inputs" in want and problem.picture is not None:
        resolution = min(resolution, max(int((MOST_CELLS / len(problem.inputs)) ** 0.5), 8))
        grid = problem.picture.grid(resolution)
        arrays["input"], arrays["input.scale"] = quantised(grid, resolution)
    if "points" in want:
        header["data"], points = _points(live)
        arrays |= points
    if "curves" in want:
        n = len(live.curve)
        chosen = np.linspace(0, n - 1, min(n, _MOST_CURVE_ROWS)).astype(int)
        arrays["curves"] = np.array([live.curve[i] for i in chosen], np.float32)
    if "health" in want:
        names = ("gradient", "dead", "saturated")
        header["layers"] = [dict(zip(names, map(float, row), strict=True)) for row in live.health()]
    if worker is not None and problem.classes is not None:
        header["confusion"] = _confusion(live, worker)
    if "snapshots" in want:
        header["snapshots"] = live.snapshots
    if "hidden" in want:
        some = problem.X_train[:_MOST_HIDDEN_ROWS]
        layers = session.activations(some, dtype=np.float32)[:-1]
        arrays |= {f"hidden.{i}": layer for i, layer in enumerate(layers)}
    return header, {f"{place}.{name}": array for name, array in arrays.items()}, resolution


def _summary(live: LiveNetwork) -> dict[str, Any]:
    """What there is to say of a network, whatever is wanted."""
    session, problem = live.session, live.problem
    now = live.now
    layers, loss = session.layers, session.loss_name
    classes = problem.classes
    validation = None
    if live.estimator.early_stopping and live.epoch:
        best, score = session.best_validation()
        validation = {"score": session.last_validation, "best": score, "best_epoch": best}
    n_outputs = session.blocks().biases[-1].shape[0]
    return {
        "epoch": live.epoch,
        "rate": session.rate,
        "loss": {"train": now.train_loss, "test": now.test_loss},
        "score": {"train": now.train_score, "test": now.test_score},
        "metric": "R2" if classes is None else "accuracy",
        "seconds": live.seconds,
        "ended": live.ended,
        "message": live.message or None,
        "validation": validation,
        "task": problem.task,
        "inputs": problem.inputs,
        "units": [len(problem.inputs), *session.units, n_outputs],
        "activations": [*(layer.activation for layer in layers), _native.LINKS[loss]],
        "pieces": [layer.pieces for layer in layers],
        "outputs": output_names(live, n_outputs),
        "classes": None if classes is None else [str(label) for label in classes],
    }


def output_names(live: LiveNetwork, n_outputs: int) -> list[str]:
    """What the outputs stand for."""
    problem = live.problem
    if problem.classes is None:
        return [problem.target_name]
    return [str(label) for label in problem.classes[-n_outputs:]]


def _weights(live: LiveNetwork) -> Arrays:
    blocks = live.session.blocks()
    arrays = {}
    for i, (weight, bias) in enumerate(zip(blocks.weights, blocks.biases, strict=True)):
        arrays[f"weights.{i}"] = weight.astype(np.float32)
        arrays[f"biases.{i}"] = bias.astype(np.float32)
    for i, slope in enumerate(blocks.slopes):
        if slope is not None:
            arrays[f"slopes.{i}"] = slope.astype(np.float32)
    return arrays


# --- pictures ------------------------------------------------------------------------------------


def quantised(values: Array, resolution: int) -> tuple[Array, Array]:
    """Maps int8 (n, resolution, resolution) of values (resolution ** 2, n), and their scales (n,).

    A value is its int8 times the scale divided by 127.
    """
    columns = np.array(values.T, np.float32, order="C")  # a copy, which is changed below
    if not np.isfinite(columns).all():  # of a network that diverged
        columns = np.nan_to_num(columns, nan=0.0, posinf=0.0, neginf=0.0)
    scale = np.maximum(columns.max(axis=1), -columns.min(axis=1))
    factor = np.divide(127, scale, out=np.zeros_like(scale), where=scale > 0)
    columns *= factor[:, None]
    maps = np.rint(columns, out=columns).astype(np.int8)
    return maps.reshape(-1, resolution, resolution), scale


def _fixed(values: Array, center: float, scale: float, resolution: int) -> Array:
    """Maps of values on one scale for all."""
    columns = np.clip((values.T - center) / scale, -1, 1) * 127
    return np.nan_to_num(np.rint(columns)).astype(np.int8).reshape(-1, resolution, resolution)


def _maps(live: LiveNetwork, resolution: int) -> tuple[Arrays, dict[str, Any]]:
    """The map of each hidden unit, and of the outputs; and what the latter's scale is."""
    problem, session = live.problem, live.session
    assert problem.picture is not None
    *hidden, outputs = session.activations(problem.picture.grid(resolution), dtype=np.float32)
    arrays: Arrays = {}
    for i, layer in enumerate(hidden):
        arrays[f"map.{i}"], arrays[f"scale.{i}"] = quantised(layer, resolution)
    if problem.classes is None:
        mean, std = problem.scale
        center, scale = _target_range(live)
        arrays["output"] = _fixed(outputs * std + mean, center, scale, resolution)
        if resolution > 1:  # along the middle row
            middle = outputs.reshape(resolution, resolution, -1)[resolution // 2, :, 0]
            arrays["profile"] = (middle * std + mean).astype(np.float32)
        return arrays, {"center": center, "scale": scale}
    has_margins = session.loss_name in ("hinge", "perceptron")
    if has_margins:
        largest = float(np.nan_to_num(np.abs(outputs)).max()) or 1.0
        arrays["output"] = _fixed(outputs, 0.0, largest, resolution)
    else:
        arrays["output"] = _fixed(outputs, 0.5, 0.5, resolution)
    if outputs.shape[1] > 1:
        winner = np.nan_to_num(outputs).argmax(axis=1).astype(np.uint8)
        arrays["winner"] = winner.reshape(resolution, resolution)
    return arrays, {"center": 0.0 if has_margins else 0.5, "scale": largest if has_margins else 0.5}


def _target_range(live: LiveNetwork) -> tuple[float, float]:
    """The middle of the targets' range, and half of it; in units of the data."""
    problem = live.problem
    values = problem.class_numbers(problem.y_train)
    low, high = float(values.min()), float(values.max())
    return (low + high) / 2, (high - low) / 2 or 1.0


def _points(live: LiveNetwork) -> tuple[dict[str, Any], Arrays]:
    """The rows in the picture, some of them where they are many."""
    problem, picture = live.problem, live.problem.picture
    header: dict[str, Any] = {
        "train": len(problem.y_train),
        "test": len(problem.y_test),
        "target_name": problem.target_name,
    }
    if problem.classes is None:
        center, scale = _target_range(live)
        header["target"] = [center - scale, center + scale]
    if picture is None:
        return header, {}
    (header["x"], header["y"]), header["ticks"] = picture.spans, picture.ticks
    header["xlabel"], header["ylabel"] = picture.labels
    arrays: Arrays = {}
    for name, places, y in (
        ("train", picture.train, problem.y_train),
        ("test", picture.test, problem.y_test),
    ):
        rows = np.linspace(0, max(len(y) - 1, 0), min(len(y), MOST_SHOWN)).astype(np.int32)
        targets = problem.class_numbers(y)[rows]
        arrays[name] = np.column_stack([places[rows], targets]).astype(np.float32)
        if name == "train":
            arrays["train.row"] = rows
    return header, arrays


def _confusion(live: LiveNetwork, fitted: Any) -> dict[str, Any]:
    """How many rows of each class were taken for which."""
    problem = live.problem
    assert problem.classes is not None
    n = len(problem.classes)
    found: dict[str, Any] = {}
    for name, X, y in (
        ("train", problem.X_train, problem.y_train),
        ("test", problem.X_test, problem.y_test),
    ):
        if not len(y):
            found[name] = None
            continue
        pairs = problem.class_numbers(y) * n + predicted_numbers(live, fitted, X)
        found[name] = np.bincount(pairs, minlength=n * n).reshape(n, n).tolist()
    return found


def predicted_numbers(live: LiveNetwork, fitted: Any, X: Array) -> Array:
    """The numbers of the classes predicted for some rows."""
    predicted = fitted.predict(X)
    if live.state["network"]["loss"] == "kl_divergence":  # whose classes are numbers anyway
        return np.asarray(predicted)
    return live.problem.class_numbers(predicted)
