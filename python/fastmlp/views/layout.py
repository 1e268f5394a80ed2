"""Where the units, lines and words of a drawn network are, for whatever paints them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from unicodedata import east_asian_width

import numpy as np

from fastmlp.core.typing import Array
from fastmlp.exchange.values import FittedNetwork, Layer

RADIUS = 13
LOOP = 6  # the radius of the arcs above recurrent units
_COLUMN, _WIDE_COLUMN, _ROW = 100, 180, 36  # from unit to unit
_MARGIN, _CAPTION, _CAPTION_LINE = 24, 24, 13
_MOST_COLUMNS = 8
_MOST_LABELLED = 3  # units of a layer whose lines have numbers: of more these would overlap
_LABEL_WIDTH = 120


class Circle(NamedTuple):
    """A unit, or the 1 that the biases are the weights of."""

    x: float
    y: float
    is_bias: bool


class Line(NamedTuple):
    """A weight, or what a sample makes of it: its sign (-1, 0 or 1), its width by its magnitude."""

    start: Circle
    end: Circle
    sign: float
    width: float


class Loop(NamedTuple):
    """The weight of a unit's own last output: an arc from its circle back to it."""

    unit: Circle
    sign: float
    width: float


class Text(NamedTuple):
    """Words at a place: `anchor` is their 'start', 'middle' or 'end'.

    What `is_on_line` needs a ground of its own to be read.
    """

    x: float
    y: float
    text: str
    anchor: str = "middle"
    size: float = 10
    is_on_line: bool = False


class Drawing(NamedTuple):
    """A drawn network; the origin is its upper left corner."""

    title: str
    width: float
    height: float
    lines: list[Line]
    circles: list[Circle]
    texts: list[Text]
    loops: list[Loop]


class _Column(NamedTuple):
    """The units of a layer that are shown, by their numbers, with their circles."""

    units: list[int]
    circles: list[Circle]
    bias: list[Circle]  # one, or none after the last layer

    @property
    def sources(self) -> list[Circle]:
        """Where the lines to the next layer start."""
        return self.circles + self.bias


def draw_network(
    network: FittedNetwork,
    *,
    feature_names: Sequence[Any] | None = None,
    values: Sequence[Array] | None = None,
    weight_texts: Sequence[Array] | None = None,
    unit_texts: Sequence[Array] | None = None,
    max_units: int = 16,
) -> Drawing:
    """Lay a network out, layers side by side; of large ones the first units and the last.

    Units of a recurrent layer have loops; the lines into those of a 'gru' are without its gates.

    Parameters
    ----------
    network : FittedNetwork
    feature_names : sequence of length n_features or None
        None: x0, x1, ...
    values : sequence of ndarray of shape (n_units,), or None
        The features of a sample and what the units of each layer make of them. Units then show
        their values, and lines what they carry: the weight times the value of the unit before.
    weight_texts : sequence of ndarray of str, of shape (n_inputs + 1, n_units), or None
        What stands on the lines of each layer instead, those of the biases last.
    unit_texts : sequence of ndarray of str, of shape (n_units,), or None
        What stands below the units of each layer, that of the inputs left out.
    max_units : int
        How many units of a layer are shown at most.

    Returns
    -------
    Drawing
    """
    layers = [_without_gates(layer) for layer in network.layers]
    sizes = [network.n_features, *(layer.n_units for layer in layers)]
    shown = _some(len(sizes), _MOST_COLUMNS)
    units = [[] if layer is None else _some(sizes[layer], max_units) for layer in shown]
    left = _labels(feature_names, network.n_features, "x", units[0])
    right = _labels(_output_names(network), network.n_outputs, "y", units[-1])
    # the last layer has no bias of the next
    n_rows = max(
        len(column) + (layer != len(layers)) for layer, column in zip(shown, units, strict=True)
    )
    column_width = _COLUMN if weight_texts is None else _WIDE_COLUMN
    x = [_MARGIN + _width(left) + column_width * i for i in range(len(shown))]
    height = _MARGIN + n_rows * _ROW
    columns, lines, texts, loops = {}, [], [], []
    for place, layer, rows in zip(x, shown, units, strict=True):
        if layer is None:
            texts.append(Text(place, height / 2, "…", size=14))
            continue
        columns[layer], dots = _column(place, height, rows, layer != len(layers))
        texts += dots
        texts += _captions(place, height, layer, sizes[layer], layers)
        loops += _loops(columns[layer], layers[layer - 1]) if layer else []
        if values is not None:
            texts += _numbers(columns[layer], values[layer])
    for before, after in pairwise(sorted(columns)):
        if after == before + 1:
            inputs = None if values is None else values[before]
            said = None if weight_texts is None else weight_texts[before]
            more = _between(layers[before], columns[before], columns[after], inputs, said)
            lines += more[0]
            texts += more[1]
            if unit_texts is not None:
                texts += _below(columns[after], unit_texts[before])
    texts += _beside(columns[0], left, -1) + _beside(columns[len(layers)], right, 1)
    circles = [circle for column in columns.values() for circle in column.sources]
    title = f"{network.name}: {'-'.join(map(str, sizes))}"
    width = x[-1] + _width(right) + _MARGIN
    captions = _CAPTION + (_CAPTION_LINE if loops else 0)
    return Drawing(title, width, height + captions, lines, circles, texts, loops)


def _some(n: int, most: int) -> list[Any]:
    """The numbers below n, or of too many the first, None for those between, and the last."""
    return list(range(n)) if n <= most else [*range(most - 2), None, n - 1]


# --- units ---------------------------------------------------------------------------------------


def _column(
    x: float, height: float, rows: Sequence[int | None], has_bias: bool
) -> tuple[_Column, list[Text]]:
    """A layer's circles, centred in the height, and the dots for units that are not shown."""
    n = len(rows) + has_bias
    y = [height / 2 + _ROW * (i - (n - 1) / 2) for i in range(n)]
    units = [unit for unit in rows if unit is not None]
    circles = [Circle(x, y[i], False) for i, unit in enumerate(rows) if unit is not None]
    dots = [Text(x, y[i], "⋮", size=14) for i, unit in enumerate(rows) if unit is None]
    bias = [Circle(x, y[-1], True)] if has_bias else []
    return _Column(units, circles, bias), dots + [Text(c.x, c.y, "1") for c in bias]


def _captions(x: float, y: float, layer: int, n: int, layers: Sequence[Layer]) -> list[Text]:
    """What stands below a layer: which it is, how many units it has, and their activation."""
    if layer == 0:
        words = ["input", f"{n:,}"]
    else:
        name = "output" if layer == len(layers) else f"hidden {layer - 1}"
        words = [name, f"{n:,} {layers[layer - 1].activation}"]
        if layers[layer - 1].recurrent is not None:
            words.append(f"context of {n:,}")
    return [Text(x, y + _CAPTION_LINE * i, word) for i, word in enumerate(words)]


def _numbers(column: _Column, values: Array) -> list[Text]:
    """The values of units, in their circles."""
    pairs = zip(column.circles, column.units, strict=True)
    return [Text(circle.x, circle.y, short(values[unit]), size=8) for circle, unit in pairs]


def _beside(column: _Column, labels: Sequence[str], side: int) -> list[Text]:
    """The names of units, to their left (-1) or right (1)."""
    anchor = "start" if side > 0 else "end"
    pairs = zip(column.circles, labels, strict=True)
    return [Text(c.x + side * (RADIUS + 5), c.y, label, anchor) for c, label in pairs]


def _below(column: _Column, said: Array) -> list[Text]:
    """What stands below units."""
    pairs = zip(column.circles, column.units, strict=True)
    return [Text(c.x, c.y + RADIUS + 5, said[unit], size=7, is_on_line=True) for c, unit in pairs]


# --- lines ---------------------------------------------------------------------------------------


def _between(
    layer: Layer, before: _Column, after: _Column, inputs: Array | None, said: Array | None
) -> tuple[list[Line], list[Text]]:
    """The lines from a layer to the next, and what is said on them: else numbers, if any."""
    carried = _carried(layer, before, after, inputs)
    if said is not None:
        said = said[[*before.units, -1]][:, after.units]
    elif inputs is not None:
        said = np.vectorize(short, otypes=[object])(carried)
    return _lines(before, after, carried), [] if said is None else _on_lines(before, after, said)


def _carried(layer: Layer, before: _Column, after: _Column, inputs: Array | None) -> Array:
    """Weights, and in a last row biases, between the units shown, times the inputs if given.

    Of the pieces of a maxout unit the one that is the largest; not knowing the inputs, of each
    weight the piece with the largest.
    """
    n = layer.n_units
    weight = layer.weight.reshape(-1, layer.pieces, n)[:, :, after.units]
    bias = layer.bias.reshape(layer.pieces, n)[:, after.units]
    shown = np.concatenate([weight[before.units], bias[np.newaxis]])
    if inputs is None:
        piece = np.abs(shown).argmax(axis=1)
    else:
        shown = shown * np.append(inputs[before.units], 1.0)[:, np.newaxis, np.newaxis]
        largest = (np.tensordot(inputs, weight, 1) + bias).argmax(axis=0)
        piece = np.broadcast_to(largest, (len(shown), len(largest)))
    return np.take_along_axis(shown, piece[:, np.newaxis], axis=1)[:, 0]


def _without_gates(layer: Layer) -> Layer:
    """A recurrent layer with what its units are made of alone: of a 'gru' the last of three."""
    if layer.recurrent is None:
        return layer
    n = layer.n_units
    return layer._replace(
        weight=layer.weight[:, -n:], bias=layer.bias[-n:], recurrent=layer.recurrent[:, -n:]
    )


def _loops(column: _Column, layer: Layer) -> list[Loop]:
    """The weights of units' own last outputs, as wide as lines of their size beside all weights."""
    if layer.recurrent is None:
        return []
    own = np.diag(layer.recurrent)[column.units]
    widths = _widths(own, np.abs(layer.recurrent).max())
    pairs = zip(column.circles, own, widths, strict=True)
    return [Loop(circle, float(np.sign(w)), float(width)) for circle, w, width in pairs]


def _widths(numbers: Array, largest: float) -> Array:
    """The width of lines: one of five, by the largest number of them."""
    return np.asarray((0.4 + 0.5 * np.round(4 * np.abs(numbers) / (largest or 1.0))).round(1))


def _lines(before: _Column, after: _Column, carried: Array) -> list[Line]:
    """A line for each number; its width is one of five, by the largest of them."""
    widths = _widths(carried, np.abs(carried).max())
    return [
        Line(start, end, float(np.sign(carried[i, j])), float(widths[i, j]))
        for i, start in enumerate(before.sources)
        for j, end in enumerate(after.circles)
    ]


def _on_lines(before: _Column, after: _Column, said: Array) -> list[Text]:
    """What is said on lines, where there is room to write it on them.

    A fraction 1 / (n + 1) of the way to n units no two lines are nearer than rows / (n + 1).
    """
    n = len(after.circles)
    if n > _MOST_LABELLED:
        return []
    return [
        Text(
            start.x + (end.x - start.x) / (n + 1),
            start.y + (end.y - start.y) / (n + 1),
            said[i, j],
            size=7,
            is_on_line=True,
        )
        for i, start in enumerate(before.sources)
        for j, end in enumerate(after.circles)
    ]


# --- words ---------------------------------------------------------------------------------------


def short(value: float) -> str:
    """A number in some five characters."""
    value += 0.0  # of a negative zero the positive one
    size = abs(value)
    if size and not 0.005 <= size < 9999.5:  # NaN and infinity too
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return f"{value:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}"


def _output_names(network: FittedNetwork) -> Sequence[Any] | None:
    """The classes that outputs are of: a single one is that of the second class."""
    return None if network.classes is None else list(network.classes)[-network.n_outputs :]


def _labels(
    names: Sequence[Any] | None, n: int, letter: str, units: Sequence[int | None]
) -> list[str]:
    """The names of the units shown, of a single one without a name only the letter."""
    if names is None:
        names = [letter] if n == 1 else [f"{letter}{i}" for i in range(n)]
    return [_fitting(str(names[unit])) for unit in units if unit is not None]


def _fitting(text: str) -> str:
    """A text whose characters can be painted, cut to the width of a label."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    if _width([text]) <= _LABEL_WIDTH:
        return text
    while _width([text + "…"]) > _LABEL_WIDTH:
        text = text[:-1]
    return text + "…"


def _width(labels: Sequence[str]) -> float:
    """The room that the widest label needs; Chinese and its like are twice as wide."""
    return max(sum(11 if east_asian_width(c) in "WF" else 6 for c in label) for label in labels)
