"""What a network of the playground is to learn: rows, and the picture that they are seen in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastmlp.core.typing import Array
from fastmlp.playground.datasets import EXTENT, features_of, make_digits, make_points
from fastmlp.playground.own_table import (
    EncodedTable,
    OwnTable,
    scale_of_targets,
    split_own_table,
)
from fastmlp.playground.state import StateError, task_of

# losses that only know values above 0: those of the plane's sets are raised by so much
POSITIVE_LOSSES = ("poisson", "gamma")
OFFSET = 1.5

MOST_SHOWN = 2000  # points of the picture, of either kind


@dataclass(eq=False)
class Picture:
    """The plane that a network is looked at over.

    Attributes
    ----------
    spans : tuple of two pairs of float
        From where to where it goes, across and up.
    labels : tuple of two str
    ticks : tuple of two lists of str
        What stands at 0, 1, ... where an axis has categories, else empty.
    train, test : ndarray of shape (n, 2)
        The places of the rows.
    make_grid : callable
        Of a resolution: the inputs (resolution ** 2, n_inputs) at its points, the top row first.
    """

    spans: tuple[tuple[float, float], tuple[float, float]]
    labels: tuple[str, str]
    ticks: tuple[list[str], list[str]]
    train: Array
    test: Array
    make_grid: Callable[[int], Array]
    _grids: dict[int, Array] = field(default_factory=dict)

    def grid(self, resolution: int) -> Array:
        """The inputs at the points of a picture, float32; kept for the next one."""
        if resolution not in self._grids:
            self._grids = {resolution: self.make_grid(resolution).astype(np.float32)}
        return self._grids[resolution]


@dataclass(eq=False)
class Problem:
    """Rows to train and to test on.

    Attributes
    ----------
    task : str
    X_train, y_train, X_test, y_test : ndarray
        As the estimator is given them.
    inputs : list of str
        What the columns of X are called.
    classes : ndarray of shape (n_classes,) or None
    target_name : str
    scale : tuple of float
        Mean and standard deviation of a table's values, (0, 1) of others.
    picture : Picture or None
        None of digits.
    to_inputs : callable or None
        Makes the inputs of one row of the place (x, y) in the picture; None of a table.
    """

    task: str
    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array
    inputs: list[str]
    classes: Array | None
    target_name: str = "class"
    scale: tuple[float, float] = (0.0, 1.0)
    picture: Picture | None = None
    to_inputs: Callable[[Array], Array] | None = None
    encoded: EncodedTable | None = None

    @property
    def n_outputs(self) -> int:
        """Of the network, but for losses that have one for each of two classes."""
        return 1 if self.classes is None or len(self.classes) == 2 else len(self.classes)

    def class_numbers(self, y: Array) -> Array:
        """Labels as places in `classes`; values as they are, in units of the data."""
        if self.classes is None:
            mean, std = self.scale
            return y * std + mean
        return np.searchsorted(self.classes, y)


def make_problem(data: dict[str, Any], loss: str, own: OwnTable | None) -> Problem:
    """The problem that a state's data describe.

    Raises
    ------
    StateError
        There is nothing to learn.
    """
    if data["set"] == "digits":
        return _digits(data)
    if data["set"] == "table":
        assert own is not None
        return _table(data, loss, own)
    return _points(data, loss)


def _points(data: dict[str, Any], loss: str) -> Problem:
    name, task = data["set"], task_of(data, None)
    options = ("points", "noise", "train", "classes", "seed", "added")
    train, y_train, test, y_test = make_points(name, *(data[option] for option in options))
    classes = None
    if task == "classification":
        classes = np.unique(y_train)
        if len(classes) < 2:
            raise StateError("Add points of two classes at least: click the picture.", "data.added")
    elif not len(y_train):
        raise StateError("Add a point at least: click the picture.", "data.added")
    offset = OFFSET if loss in POSITIVE_LOSSES and name != "points" else 0.0
    names = data["features"]
    picture = Picture(
        spans=((-EXTENT, EXTENT), (-EXTENT, EXTENT)),
        labels=("x", "y"),
        ticks=([], []),
        train=train,
        test=test,
        make_grid=lambda resolution: features_of(_plane_grid(resolution), names),
    )
    return Problem(
        task,
        features_of(train, names),
        y_train + offset if offset else y_train,
        features_of(test, names),
        y_test + offset if offset else y_test,
        list(names),
        classes,
        target_name="class" if task == "classification" else "value",
        scale=(-offset, 1.0),
        picture=picture,
        to_inputs=lambda place: features_of(np.reshape(place, (1, 2)), names),
    )


def _plane_grid(resolution: int) -> Array:
    """The points (resolution ** 2, 2) of the picture, the top row first."""
    along = np.linspace(-EXTENT, EXTENT, resolution)
    across, up = np.meshgrid(along, along[::-1])
    return np.column_stack([across.ravel(), up.ravel()])


def _digits(data: dict[str, Any]) -> Problem:
    made = make_digits(data["train"], data["seed"], data["added"])
    return Problem(
        "classification",
        *made,
        [f"pixel {i // 8}, {i % 8}" for i in range(64)],
        np.arange(10),
        target_name="digit",
    )


def _table(data: dict[str, Any], loss: str, own: OwnTable) -> Problem:
    rows, rest = split_own_table(own, data["train"], data["seed"])
    encoded = EncodedTable(own, rows, rest)
    train, test = own.table.rows(rows), own.table.rows(rest) if len(rest) else None
    empty = np.empty((0, len(encoded.inputs)))
    y_train, y_test, scale = own.y[rows], own.y[rest], (0.0, 1.0)
    if own.classes is None and not own.is_raw:
        scale = scale_of_targets(y_train, centred=loss not in POSITIVE_LOSSES)
        y_train, y_test = (y_train - scale[0]) / scale[1], (y_test - scale[0]) / scale[1]
    problem = Problem(
        own.task,
        encoded.matrix(train),
        y_train,
        empty if test is None else encoded.matrix(test),
        y_test,
        encoded.inputs,
        own.classes,
        target_name=own.target,
        scale=scale,
        encoded=encoded,
    )
    show_plane(problem, data["plane"])
    return problem


def show_plane(problem: Problem, plane: list[int]) -> None:
    """Look at a table over two of its columns."""
    encoded = problem.encoded
    if encoded is None:
        return
    own, pair = encoded.own, (plane[0], plane[-1] if encoded.own.table.width > 1 else 0)

    def places(rows: Array) -> Array:
        if not len(rows):
            return np.empty((0, 2))
        table = own.table.rows(rows)
        return np.column_stack([encoded.places(table, i) for i in pair])

    problem.picture = Picture(
        spans=(encoded.span(pair[0]), encoded.span(pair[1])),
        labels=(own.table.label(pair[0]), own.table.label(pair[1])),
        ticks=(encoded.levels(pair[0]), encoded.levels(pair[1])),
        train=places(encoded.rows),
        test=places(encoded.rest),
        make_grid=lambda resolution: encoded.grid(pair, resolution),
    )
