"""A user's own table: what its columns become, and how it is looked at over two of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length

from fastmlp.core.typing import Array
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.regressor import MLPRegressor
from fastmlp.inspection.checks import check_kind, fitted_network
from fastmlp.playground.datasets import Split, train_and_test_rows
from fastmlp.tables.encodings import (
    CategoryEncoding,
    DateEncoding,
    fit_categories,
    fit_dates,
    read_values,
)
from fastmlp.tables.reading import Kind, Table, take_rows

MOST_ROWS = 100_000
_MOST_CLASSES = 20  # of whole numbers; more are values
_MOST_LEVELS = 30  # of a category; rarer ones count as unknown
_MARGIN = 0.05  # around the rows in the picture, of their range


class OwnTable:
    """The table and the targets that the playground was started with.

    Parameters
    ----------
    X : data frame, or array-like of shape (n, n_features)
        As the tabular estimators take it.
    y : array-like of shape (n,)
    name : str
        What it is called.
    target : str
        What y is called.
    task : str or None
        'classification' or 'regression'; None: classes if y is text or few whole numbers.
    estimator : MLPClassifier, MLPRegressor or Pipeline that ends with one, or None
        Fitted. X is then what it was fitted on, and is not scaled.
    code : list of str
        Python that makes X and y, for what is copied out; empty where the user has them.

    Raises
    ------
    ValueError, TypeError
        X or y cannot be used, or the estimator is none.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        *,
        name: str = "Your table",
        target: str = "",
        task: str | None = None,
        estimator: Any = None,
        code: tuple[str, ...] = (),
    ) -> None:
        self.estimator = None
        if estimator is not None:
            if isinstance(estimator, Pipeline):
                X, estimator = estimator[:-1].transform(X), estimator[-1]
            check_kind(estimator, MLPClassifier, MLPRegressor)
            self.estimator = fitted_network(estimator)
            if hasattr(estimator, "activation_slopes_"):
                raise ValueError(
                    "estimator has layers of 'prelu', with whose slopes a network cannot begin."
                )
            task = "classification" if is_classifier(estimator) else "regression"
        self.table = Table(X)
        self.name, self.code = name, code
        self.target = target or str(getattr(y, "name", None) or "target")
        check_consistent_length(X, y)
        self.y = _checked_targets(y)
        if self.table.n < 2 or self.table.n > MOST_ROWS:
            raise ValueError(
                f"The playground takes 2 to {MOST_ROWS} rows. Got {self.table.n}: give it a sample."
            )
        self.task = task or _task_of(self.y)
        if self.task == "regression":
            self.y = self.y.astype(float)
        self.classes = np.unique(self.y) if self.task == "classification" else None
        if self.classes is not None and len(self.classes) < 2:
            raise ValueError(f"y must have two classes or more. Got {self.classes[0]!r} alone.")
        self.kinds = [
            Kind.NUMBER if self.is_raw else self.table.kind(i) for i in range(self.table.width)
        ]
        if self.estimator is not None and self.estimator.n_features_in_ != self.table.width:
            raise ValueError(
                f"estimator was fitted on {self.estimator.n_features_in_} features. X has "
                f"{self.table.width}."
            )

    @property
    def is_raw(self) -> bool:
        """Whether the network is given the numbers as they are."""
        return self.estimator is not None

    def describe(self) -> dict[str, Any]:
        """What a page is told of it."""
        columns = [
            {"name": self.table.label(i), "kind": kind.value} for i, kind in enumerate(self.kinds)
        ]
        classes = None if self.classes is None else [str(label) for label in self.classes]
        return {
            "name": self.name,
            "rows": self.table.n,
            "columns": columns,
            "target": self.target,
            "task": self.task,
            "classes": classes,
            "fitted": self.is_raw,
        }


def _checked_targets(y: Any) -> Array:
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"y must be one column of targets. Got an array of shape {values.shape}.")
    if values.dtype == object and not all(isinstance(value, str) for value in values):
        values = np.array([str(value) for value in values])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("y must not have missing or infinite values.")
    return values


def _task_of(y: Array) -> str:
    if y.dtype.kind in "biu" or (y.dtype.kind == "f" and (y % 1 == 0).all()):
        return "classification" if len(np.unique(y)) <= _MOST_CLASSES else "regression"
    return "regression" if y.dtype.kind == "f" else "classification"


# --- columns -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class StandardColumn:
    """A number as its distance from the mean, in standard deviations; missing ones are 0.

    Attributes
    ----------
    name : str
    mean, std : float
    tells_missing : bool
        Whether a second number is 1 where the value is missing.
    """

    name: str
    mean: float
    std: float
    tells_missing: bool

    @property
    def width(self) -> int:
        """How many numbers there are per row."""
        return 1 + self.tells_missing

    def encode(self, values: Array, out: Array) -> None:
        """Write the numbers of `values` (n,) into `out` (n, width)."""
        missing = np.isnan(values)
        out[:, 0] = np.where(missing, 0.0, (values - self.mean) / self.std)
        if self.tells_missing:
            out[:, 1] = missing


_Column = StandardColumn | CategoryEncoding | DateEncoding


def _fit_column(table: Table, i: int, kind: Kind) -> _Column | None:
    """What a column becomes; None where it says nothing."""
    name, values = table.label(i), read_values(table, i, kind)
    if kind is Kind.CATEGORY:
        return fit_categories(name, values, _MOST_LEVELS)
    if kind is Kind.DATE:
        return fit_dates(name, values, 0)
    if np.isinf(values).any():
        raise ValueError(f"Column {name!r} has infinite values.")
    missing = np.isnan(values)
    if missing.all() or (np.ptp(values[~missing]) == 0 and not missing.any()):
        return None
    spread = float(np.std(values[~missing]))
    return StandardColumn(
        name, float(np.mean(values[~missing])), spread or 1.0, bool(missing.any())
    )


def _input_names(column: _Column) -> list[str]:
    """What the numbers of a column are called."""
    if isinstance(column, StandardColumn):
        return [column.name, f"{column.name} is missing"][: column.width]
    if isinstance(column, CategoryEncoding):
        names = column.levels[1:] if column.is_binary else column.levels
        return [f"{column.name}={level}" for level in names]
    return [f"{column.name} {part.name}" for part in column.parts for _ in range(part.width)]


class EncodedTable:
    """What the columns of a table become, learned from the rows to train on.

    Parameters
    ----------
    own : OwnTable
    rows, rest : ndarray of row numbers
        Those to train on, and those to test on.

    Attributes
    ----------
    inputs : list of str
        The names of the numbers that a network is given.
    """

    def __init__(self, own: OwnTable, rows: Array, rest: Array) -> None:
        self.own, self.rows, self.rest = own, rows, rest
        some = own.table.rows(rows)
        self.columns: list[_Column | None]
        if own.is_raw:
            self.columns = [
                StandardColumn(own.table.label(i), 0.0, 1.0, False) for i in range(own.table.width)
            ]
        else:
            self.columns = [_fit_column(some, i, kind) for i, kind in enumerate(own.kinds)]
        self.inputs = [name for c in self.columns if c is not None for name in _input_names(c)]
        if not self.inputs:
            raise ValueError("No column of the table has two different values.")

    def matrix(self, table: Table) -> Array:
        """The numbers (n, n_inputs) of the rows of a table."""
        return self._filled(
            table.n,
            [
                None if column is None else read_values(table, i, kind)
                for i, (column, kind) in enumerate(zip(self.columns, self.own.kinds, strict=True))
            ],
        )

    def _filled(self, n: int, values: list[Any]) -> Array:
        out = np.zeros((n, len(self.inputs)))
        first = 0
        for column, of_column in zip(self.columns, values, strict=True):
            if column is not None:
                column.encode(of_column, out[:, first : first + column.width])
                first += column.width
        return out

    # --- the picture -----------------------------------------------------------------------------

    @cached_property
    def _axes(self) -> list[Array]:
        """The places (n_train,) of the rows along each column."""
        table = self.own.table.rows(self.rows)
        return [self.places(table, i) for i in range(table.width)]

    def places(self, table: Table, i: int) -> Array:
        """Where rows lie along column i: numbers, numbers of categories, or days."""
        kind = self.own.kinds[i]
        values = read_values(table, i, kind)
        if kind is Kind.CATEGORY:
            codes, texts = values
            levels = self.levels(i)
            place = {level: float(k) for k, level in enumerate(levels)}
            return np.array([place.get(text, np.nan) for text in texts] + [np.nan])[codes]
        if kind is Kind.DATE:
            days: Array = values.astype("int64") / 86_400e6
            return np.where(np.isnat(values), np.nan, days)
        numbers: Array = values
        return numbers

    def levels(self, i: int) -> list[str]:
        """The categories of column i, from the left of the picture to the right."""
        column = self.columns[i]
        return column.levels if isinstance(column, CategoryEncoding) else []

    def span(self, i: int) -> tuple[float, float]:
        """From where to where the picture goes along column i."""
        if self.own.kinds[i] is Kind.CATEGORY:
            return -0.5, max(len(self.levels(i)), 1) - 0.5
        places = self._axes[i]
        if np.isnan(places).all():
            return -1.0, 1.0
        low, high = float(np.nanmin(places)), float(np.nanmax(places))
        margin = _MARGIN * (high - low) or 1.0
        return low - margin, high + margin

    def grid(self, plane: tuple[int, int], resolution: int) -> Array:
        """The numbers of the points of a picture (resolution ** 2, n_inputs), row by row.

        The first row is the top one. Other columns are at their medians, or commonest categories.
        """
        horizontal, vertical = (np.linspace(*self.span(i), resolution) for i in plane)
        across, up = np.meshgrid(horizontal, vertical[::-1])
        n = resolution**2
        values: list[Any] = []
        for i, column in enumerate(self.columns):
            if column is None:
                values.append(None)
                continue
            places = np.full(n, self._middle(i))
            if i == plane[1]:
                places = up.ravel()
            if i == plane[0]:
                places = across.ravel()
            values.append(self._values_at(i, places))
        return self._filled(n, values)

    def _middle(self, i: int) -> float:
        """The median place, or that of the commonest category."""
        places = self._axes[i]
        places = places[~np.isnan(places)]
        if not len(places):
            return np.nan
        if self.own.kinds[i] is Kind.CATEGORY:
            return float(np.bincount(places.astype(int)).argmax())
        return float(np.median(places))

    def _values_at(self, i: int, places: Array) -> Any:
        """Values of column i, as its encoding takes them, at some places."""
        kind = self.own.kinds[i]
        if kind is Kind.CATEGORY:
            levels = self.levels(i)
            nearest = np.clip(np.nan_to_num(np.round(places)), 0, max(len(levels) - 1, 0))
            return nearest.astype(int), levels
        if kind is Kind.DATE:
            unit = read_values(self.own.table, i, kind).dtype
            return (places * 86_400e6).astype("int64").astype(unit)
        return places


def scale_of_targets(y: Array, *, centred: bool) -> tuple[float, float]:
    """What is subtracted from values that are trained with, and what they are divided by."""
    mean = float(np.mean(y))
    return (mean, float(np.std(y)) or 1.0) if centred else (0.0, abs(mean) or 1.0)


def split_own_table(own: OwnTable, train: float, seed: int) -> tuple[Array, Array]:
    """The numbers of the rows to train on, and of those to test on."""
    if own.is_raw:
        return np.arange(own.table.n), np.arange(0)
    return train_and_test_rows(own.y, train, seed, by_class=own.classes is not None)


def split_table(
    X: Any,
    y: Any,
    *,
    train: float = 0.5,
    seed: int = 0,
    task: str | None = None,
    centred: bool = True,
) -> Split:
    """Part a table into rows to train on and to test on, as numbers, as the playground does.

    Numbers are centred and divided by their standard deviation; a missing one is 0, and a number
    of its own tells that it is missing. Categories become one-hot, dates their parts, as in
    `TabularMLPClassifier`. Values of `y` are centred and divided as numbers are. All is learned
    from the rows to train on.

    Parameters
    ----------
    X : data frame, or array-like of shape (n_samples, n_features)
        Numbers, booleans, text, categories, dates and times; cells may be missing.
    y : array-like of shape (n_samples,)
        Class labels or values.
    train : float, default=0.5
        Share of the rows to train on.
    seed : int, default=0
        Draws which rows these are.
    task : str, default=None
        'classification' or 'regression'. None: classes if y is text or few whole numbers.
    centred : bool, default=True
        Whether values of `y` are centred. If not, they are divided by their mean, for losses that
        are for positive ones.

    Returns
    -------
    X_train : ndarray of shape (n_train, n_inputs)
        The rows to train on.
    y_train : ndarray of shape (n_train,)
        Their targets.
    X_test : ndarray of shape (n_test, n_inputs)
        The rows to test on.
    y_test : ndarray of shape (n_test,)
        Their targets.

    Raises
    ------
    ValueError, TypeError
        X or y cannot be used.

    Examples
    --------
    >>> from fastmlp.playground import split_table
    >>> X = [[31, "Ulm"], [None, "Jena"], [54, "Ulm"], [42, "Jena"]]
    >>> split_table(X, ["stays", "leaves", "stays", "leaves"]).X_train.shape
    (2, 2)
    """
    own = OwnTable(X, y, task=task)
    rows, rest = split_own_table(own, train, seed)
    encoded = EncodedTable(own, rows, rest)
    y_train, y_test = take_rows(own.y, rows), take_rows(own.y, rest)
    if own.classes is None:
        mean, std = scale_of_targets(y_train, centred=centred)
        y_train, y_test = (y_train - mean) / std, (y_test - mean) / std
    return Split(
        encoded.matrix(own.table.rows(rows)),
        y_train,
        encoded.matrix(own.table.rows(rest)) if len(rest) else np.empty((0, len(encoded.inputs))),
        y_test,
    )
