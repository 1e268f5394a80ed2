"""Ensembles on tables as ONNX models: what the columns become, the networks, their mean.

The columns of a kind are worked on together, as one matrix: a model has as many nodes for a hundred
columns of numbers as for one.
"""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastmlp.core.typing import Array
from fastmlp.exchange.onnx import Graph, Result, label_result, package
from fastmlp.exchange.values import FittedEnsemble, Task
from fastmlp.tables.encodings import CategoryEncoding, DateEncoding, NumberEncoding
from fastmlp.tables.reading import Kind, Table, as_text
from fastmlp.tables.table_encoder import TableEncoder

_LARGEST = np.finfo(np.float64).max
_NAT = np.iinfo(np.int64).min
_DAY = 86_400_000_000  # in microseconds

_TEXT = np.dtype(object)
_DEFAULT_TYPES = {
    Kind.NUMBER: np.dtype(np.float64),
    Kind.CATEGORY: _TEXT,
    Kind.DATE: np.dtype(np.int64),
}


class OnnxTableMixin:
    """Ensembles on tables that can be written as ONNX models."""

    def _fitted_ensemble(self) -> FittedEnsemble:
        raise NotImplementedError

    def _table(self, X: Any) -> Table:
        raise NotImplementedError

    def to_onnx(self, path: str | os.PathLike[str] | None = None, X: Any = None) -> Any:
        """Write the encoding of the table and the ensemble as one ONNX model (opset 17).

        Parameters
        ----------
        path : str or path-like, default=None
            File to write, complete or not at all.
        X : data frame, or array-like of shape (n_samples, n_features), default=None
            Samples as the model will be given them, for the types of the inputs; one is enough.

        Returns
        -------
        onnx.ModelProto
            It has an input of shape (N, 1) for each column of the table, of the column's name:

            - of numbers, float64; or float32, int64 or bool where X has that. NaN is missing.
            - of text and categories, string: "" is missing, booleans are "1" and "0", whole
              numbers have no point ("3"). Where X has numbers or booleans, these, as above.
            - of dates, int64: microseconds since 1970, as of
              ``dates.astype("datetime64[us]").astype("int64")``; of durations and times of day
              their microseconds. The smallest int64, which NaT becomes, is missing.
            - of columns that say nothing, by their type in X, else float64. They are not read.

            Without names, as of an array, these are `x0`, `x1` and so on. Where X is an array of
            numbers, or is left out and the ensemble was fitted on an array of which all columns are
            numbers and no categories, there is one input `X` of shape (N, n_features) instead.

            The outputs of a classifier are `label`, what `predict` gives, of shape (N,) or of
            multilabel (N, n_labels), int64 or string, and `probabilities` (N, n_classes), float64.
            The output of a regressor is `variable` (N, n_outputs), float64.

        Raises
        ------
        ImportError
            The package onnx is not installed.
        NotFittedError
            The estimator is not fitted.
        ValueError
            The class labels are neither strings nor whole numbers (bool and whole floats are), X is
            not a table as the fitted one, a column's name cannot be that of an input, or the
            attributes do not fit each other.
        TypeError
            X holds what no table can hold.
        OSError
            The file cannot be written.

        Examples
        --------
        >>> from fastmlp import TabularMLPClassifier
        >>> from sklearn.datasets import load_wine
        >>> X, y = load_wine(return_X_y=True, as_frame=True)
        >>> model = TabularMLPClassifier(n_ensemble=1, random_state=0).fit(X, y)
        >>> proto = model.to_onnx("model.onnx")
        >>> [column.name for column in proto.graph.input][:3]
        ['alcohol', 'malic_acid', 'ash']
        """
        ensemble = self._fitted_ensemble()
        onnx = package("onnx")
        table = None
        if X is not None:
            table = self._table(X)
            ensemble.encoder.transform(table.rows(slice(1)))  # the values are of the fitted kinds
        graph = Graph(onnx, np.float64)
        inputs = _Inputs(graph, ensemble, table)
        encoded = _encode(graph, ensemble.encoder, inputs)
        decide = _regression if ensemble.task is Task.REGRESSION else _classification
        results = decide(graph, ensemble, encoded)
        inputs.check_names()
        return graph.model(ensemble.name, inputs.declared(), results, path, with_ml=True)


# --- inputs --------------------------------------------------------------------------------------


class _Inputs:
    """The columns of a table as the inputs of a graph: one for each, or one for all."""

    def __init__(self, graph: Graph, ensemble: FittedEnsemble, table: Table | None) -> None:
        self.graph = graph
        self.names = ensemble.encoder.names
        self.types = _types(ensemble.encoder, table)
        numbers = all(dtype != _TEXT for dtype in self.types)
        if table is None:
            dates = any(isinstance(c, DateEncoding) for c in ensemble.encoder.columns)
            self.is_matrix = numbers and not dates and not ensemble.has_names
        else:
            self.is_matrix = not table.is_frame and table.dtype(0).kind in "fiub"

    def matrix(self, places: Sequence[int], dtype: Any) -> str:
        """Some columns as a matrix (N, n_places) of a type."""
        if self.is_matrix:
            return self.graph.cast(self.graph.columns("X", places), dtype)
        columns = [self.graph.cast(self.names[i], dtype) for i in places]
        return self.graph.node("Concat", *columns, axis=1)

    def declared(self) -> list[Result]:
        """Name, type and shape of each input."""
        types = [self.graph.type(dtype) for dtype in self.types]
        if self.is_matrix:
            return [("X", types[0], ["N", len(types)])]
        return [(name, kind, ["N", 1]) for name, kind in zip(self.names, types, strict=True)]

    def check_names(self) -> None:
        """Check that no column has a name that the graph has for something else."""
        taken = {"", *(constant.name for constant in self.graph.constants)}
        taken.update(name for node in self.graph.nodes for name in node.output)
        clashes = [] if self.is_matrix else [name for name in self.names if name in taken]
        if clashes:
            raise ValueError(
                f"Columns named {', '.join(map(repr, clashes))}, which cannot be inputs in ONNX: "
                "the model's outputs and inner values have these names. Rename them before `fit`."
            )


def _types(encoder: TableEncoder, table: Table | None) -> list[np.dtype[Any]]:
    """The type of each column among the inputs."""
    types = []
    for i, column in enumerate(encoder.columns):
        kind = Kind.NUMBER
        if column is not None:
            kind = column.kind
        elif table is not None:
            kind = table.kind(i)
        found = _DEFAULT_TYPES[kind]
        if table is not None and kind is not Kind.DATE:
            given = table.dtype(i)
            if given == np.float32:
                found = given
            elif given.kind in "fiub":
                found = np.dtype({"f": np.float64, "b": np.bool_}.get(given.kind, np.int64))
        types.append(found)
    return types


# --- what the columns become ---------------------------------------------------------------------


class _Placed(NamedTuple):
    """A column's encoding, or that of a part of a date, and where its numbers begin in a row."""

    encoding: Any
    first: int


def _encode(graph: Graph, encoder: TableEncoder, inputs: _Inputs) -> str:
    """Nodes to the matrix that the networks are given, float32 (N, width)."""
    single = graph.typed(np.float32)
    widths = [0 if column is None else column.width for column in encoder.columns]
    firsts: list[int] = np.cumsum([0, *widths]).tolist()
    of_kind: dict[Kind, list[int]] = {kind: [] for kind in Kind}
    for i, column in enumerate(encoder.columns):
        if column is not None:
            of_kind[column.kind].append(i)
    placed = [_Placed(*pair) for pair in zip(encoder.columns, firsts[:-1], strict=True)]

    matrices, numbers = [], []
    if of_kind[Kind.NUMBER]:
        matrices.append(inputs.matrix(of_kind[Kind.NUMBER], np.float64))
        numbers += [placed[i] for i in of_kind[Kind.NUMBER]]
    if of_kind[Kind.DATE]:
        dates = inputs.matrix(of_kind[Kind.DATE], np.int64)
        found, parts = _date_parts(graph, dates, [placed[i] for i in of_kind[Kind.DATE]])
        matrices.append(found)
        numbers += parts

    blocks: list[str] = []
    places: list[int] = []
    if numbers:
        values = graph.node("Concat", *matrices, axis=1)
        block, places = _numbers(graph, values, numbers)
        blocks.append(graph.cast(block, np.float32))
    for i in of_kind[Kind.CATEGORY]:
        blocks.append(_category(single, inputs, i, placed[i].encoding))
        places += range(firsts[i], firsts[i + 1])
    row = single.columns(single.node("Concat", *blocks, axis=1), np.argsort(places))
    return single.node("Mul", row, encoder.scale)


def _numbers(graph: Graph, values: str, numbers: list[_Placed]) -> tuple[str, list[int]]:
    """What `NumberEncoding.encode` writes for each column of a matrix, and the places of it.

    First all normal scores, then all bins, then what tells missing values.
    """
    node = graph.node
    encodings = [number.encoding for number in numbers]
    missing = node("IsNaN", values)
    lowest, highest = ([e.values[end] for e in encodings] for end in (0, -1))
    values = node("Min", node("Max", values, lowest), highest)
    parts = [_scores(graph, values, encodings)]
    owners = list(range(len(numbers)))
    places = [number.first for number in numbers]
    binned = [i for i, encoding in enumerate(encodings) for _ in range(encoding.n_bins)]
    if binned:
        edges = [encoding.edges for encoding in encodings if encoding.n_bins]
        from_edge = node(
            "Sub", graph.columns(values, binned), np.concatenate([e[:-1] for e in edges])
        )
        share = node("Div", from_edge, np.concatenate([np.diff(e) for e in edges]))
        parts.append(node("Sub", node("Clip", share, 0, 1), 0.5))
        owners += binned
        places += [first + 1 + k for encoding, first in numbers for k in range(encoding.n_bins)]
    found = node("Concat", *parts, axis=1)
    found = node("Where", graph.columns(missing, owners), 0, found)
    telling = [i for i, encoding in enumerate(encodings) if encoding.tells_missing]
    if telling:
        flags = graph.cast(graph.columns(missing, telling), graph.dtype)
        found = node("Concat", found, flags, axis=1)
        places += [numbers[i].first + encodings[i].width - 1 for i in telling]
    return found, places


def _scores(graph: Graph, values: str, encodings: list[NumberEncoding]) -> str:
    """Normal scores: `numpy.interp` in each column's table, found by bisection.

    All tables lie one after another. The values lie within their tables.
    """
    node, whole = graph.node, graph.typed(np.int64)
    lengths = np.array([len(encoding.values) for encoding in encodings])
    last = np.cumsum(lengths) - 1
    table = graph.constant(np.concatenate([encoding.values for encoding in encodings]))
    scores = graph.constant(np.concatenate([encoding.scores for encoding in encodings]))
    slopes = graph.constant(np.concatenate([_slopes(encoding) for encoding in encodings]))
    place, end = whole.constant(last - lengths + 1), whole.constant(last)
    for power in reversed(range(int(lengths.max() - 1).bit_length())):
        further = node("Min", node("Add", place, whole.constant(2**power)), end)
        is_there = node("LessOrEqual", node("Gather", table, further), values)
        place = node("Where", is_there, further, place)
    beyond = node("Sub", values, node("Gather", table, place))
    beyond = node("Min", beyond, _LARGEST)  # infinite times a slope of 0 is none
    rise = node("Mul", node("Gather", slopes, place), beyond)
    return node("Add", node("Gather", scores, place), rise)


def _slopes(encoding: NumberEncoding) -> Array:
    """The slope of the scores after each value of the table; 0 after the last."""
    with np.errstate(over="ignore"):
        slopes = np.diff(encoding.scores) / np.diff(encoding.values)
    return np.append(np.minimum(slopes, _LARGEST), 0.0)


def _category(graph: Graph, inputs: _Inputs, i: int, encoding: CategoryEncoding) -> str:
    """What `CategoryEncoding.encode` writes for column i."""
    n = len(encoding.levels)
    if inputs.types[i] == _TEXT:
        code = graph.node(
            "LabelEncoder",
            inputs.names[i],
            domain="ai.onnx.ml",
            keys_strings=encoding.levels,
            values_int64s=range(n),
            default_int64=n,  # out of the range of OneHot, which then has zeros
        )
        hot = graph.column(graph.node("OneHot", code, graph.constant([n], np.int64), [0, 1]))
    else:
        levels = [_number_of(level) for level in encoding.levels]
        equal = graph.node(
            "Equal", inputs.matrix([i], np.float64), graph.constant(levels, np.float64)
        )
        hot = graph.cast(equal, graph.dtype)
    return graph.node("MatMul", hot, [[-1], [1]]) if encoding.is_binary else hot


def _number_of(level: str) -> float:
    """The number whose text is a level, NaN where there is none."""
    try:
        number = float(level)
    except ValueError:
        return np.nan
    return number if as_text(number) == level else np.nan


# --- dates ---------------------------------------------------------------------------------------


def _date_parts(graph: Graph, dates: str, placed: list[_Placed]) -> tuple[str, list[_Placed]]:
    """A column (N,) for each part of each column of dates, as `calendar_part` gives it."""
    node, whole = graph.node, graph.typed(np.int64)
    missing = whole.node("Equal", dates, _NAT)
    microseconds = whole.node("Where", missing, 0, dates)
    parts = _calendar(whole, microseconds)
    calendar = {name: graph.cast(part, graph.dtype) for name, part in parts.items()}
    calendar["time"] = node("Div", graph.cast(microseconds, graph.dtype), 1e6)
    calendar = {name: node("Where", missing, np.nan, part) for name, part in calendar.items()}
    columns, numbers = [], []
    for i, (date, first) in enumerate(placed):
        for part in date.parts:
            columns.append(graph.columns(calendar[part.name], [i]))
            numbers.append(_Placed(part, first))
            first += part.width
    return node("Concat", *columns, axis=1), numbers


def _calendar(graph: Graph, microseconds: str) -> dict[str, str]:
    """The parts of dates from their microseconds since 1970, all whole numbers.

    Years are counted from March, so that the leap day is the last; see Hinnant's "chrono-Compatible
    Low-Level Date Algorithms".
    """
    node = graph.node

    def divided(x: str, by: int) -> str:
        """Rounded down."""
        return node("Div", node("Sub", x, node("Mod", x, by)), by)

    days = divided(microseconds, _DAY)
    from_march = node("Add", days, 719_468)  # days since the first of March of year 0
    era = divided(from_march, 146_097)  # of 400 years
    day_of_era = node("Mod", from_march, 146_097)
    leap_days = node("Sub", node("Div", day_of_era, 1_460), node("Div", day_of_era, 36_524))
    leap_days = node("Add", leap_days, node("Div", day_of_era, 146_096))
    year_of_era = node("Div", node("Sub", day_of_era, leap_days), 365)
    before = node("Add", node("Mul", year_of_era, 365), node("Div", year_of_era, 4))
    before = node("Sub", before, node("Div", year_of_era, 100))
    day_of_year = node("Sub", day_of_era, before)
    month = node("Div", node("Add", node("Mul", day_of_year, 5), 2), 153)  # March is 0
    until_month = node("Div", node("Add", node("Mul", month, 153), 2), 5)
    year = node("Add", year_of_era, node("Mul", era, 400))
    return {
        "year": node("Add", year, node("Div", month, 10)),  # January and February are the next's
        "month": node("Add", node("Mod", node("Add", month, 2), 12), 1),
        "day": node("Add", node("Sub", day_of_year, until_month), 1),
        "weekday": node("Mod", node("Add", days, 3), 7),
        "hour": node("Mod", divided(microseconds, _DAY // 24), 24),
        "minute": node("Mod", divided(microseconds, _DAY // 1440), 60),
    }


# --- the ensemble --------------------------------------------------------------------------------


def _outputs(
    graph: Graph, ensemble: FittedEnsemble, encoded: str, *, linked: bool = True
) -> list[str]:
    """The float32 outputs of each network, or what goes into its link."""
    single = graph.typed(np.float32)
    networks = [network.astype(np.float32).layers for network in ensemble.networks]
    if not linked:
        networks = [[*n[:-1], n[-1]._replace(activation="identity")] for n in networks]
    return [single.layers(encoded, layers) for layers in networks]


def _mean(graph: Graph, values: list[str]) -> str:
    return graph.node("Div", graph.node("Sum", *values), len(values))


def _regression(graph: Graph, ensemble: FittedEnsemble, encoded: str) -> list[Result]:
    """Nodes from the encoded table to predictions in the units of y."""
    node, ranks = graph.node, ensemble.ranks
    kinds = 1 if ranks is None else len(ranks)
    outputs = [graph.cast(x, graph.dtype) for x in _outputs(graph, ensemble, encoded)]
    columns = [_mean(graph, outputs[kind::kinds]) for kind in range(kinds)]
    scaled = node("Mul", node("Concat", *columns, axis=1), ensemble.scale)
    predicted = node("Add", scaled, ensemble.shift)
    if ranks is not None:
        predicted = graph.columns(graph.sorted_rows(predicted, kinds), ranks)
    name = node("Identity", predicted, output="variable")
    n_outputs = kinds * ensemble.networks[0].n_outputs
    return [(name, graph.type(graph.dtype), ["N", n_outputs])]


def _classification(graph: Graph, ensemble: FittedEnsemble, encoded: str) -> list[Result]:
    """Nodes from the encoded table to labels and probabilities."""
    node = graph.node
    multilabel = ensemble.task is Task.MULTILABEL
    cooled = []
    for x in _outputs(graph, ensemble, encoded, linked=False):
        z = node("Div", graph.cast(x, graph.dtype), ensemble.temperature)
        if not multilabel and ensemble.networks[0].n_outputs == 1:
            z = node("Concat", node("Mul", z, 0), z, axis=1)
        cooled.append(node("Sigmoid", z) if multilabel else node("Softmax", z, axis=1))
    n = max(ensemble.networks[0].n_outputs, 2)
    sure = node("Mul", _mean(graph, cooled), 1 - ensemble.doubt)
    even = ensemble.doubt / (2 if multilabel else n)
    name = node("Add", sure, even, output="probabilities")
    values: Result = (name, graph.type(graph.dtype), ["N", n])
    if multilabel:
        above = graph.cast(node("Greater", name, 0.5), np.int64, output="label")
        return [(above, graph.type(np.int64), ["N", n]), values]
    number = node("ArgMax", name, axis=1, keepdims=0)
    return [label_result(graph, ensemble.classes, number), values]
