"""A table as the matrix that a network is given of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmlp.core.text_tables import text_table
from fastmlp.core.typing import Array, Order
from fastmlp.core.warnings import warn
from fastmlp.tables.encodings import (
    Encoding,
    as_values,
    fit_categories,
    fit_dates,
    fit_numbers,
    from_values,
    read_values,
    warn_of_spelled_values,
)
from fastmlp.tables.reading import Kind, Table

_BINS = 16
_MOST_BIN_COLUMNS = 4096  # of all numbers together: beyond it there are fewer bins, or none
_MOST_LEVELS = 255  # of a category, as many as HistGradientBoosting takes

_FEW_LEVELS = 30  # of text that may well be codes

_ENERGY_ROWS = 20_000  # are enough for the mean length of a row

# The mean squared distance of encoded rows from their mean. Weights of the first layer are drawn
# with this as their fan-in: the networks learn at the same pace however many columns there are.
ENERGY = 256.0


@dataclass(frozen=True, eq=False)
class TableEncoder:
    """What each column of a table becomes, and the factor on all of it.

    Attributes
    ----------
    names : list of str
    columns : list of Encoding or None
        None of a column that says nothing: constant, or missing throughout.
    scale : float
    """

    names: list[str]
    columns: list[Encoding | None]
    scale: float

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return sum(column.width for column in self.columns if column is not None)

    def rows(self) -> list[tuple[str, str, str]]:
        """The name of each column, its kind, and what it becomes."""
        kinds = ["left out" if c is None else c.kind.value for c in self.columns]
        becomes = ["constant: says nothing" if c is None else c.describe() for c in self.columns]
        return list(zip(self.names, kinds, becomes, strict=True))

    def summary(self) -> str:
        """What each column becomes, a line for each."""
        rows = [("column", "kind", "becomes"), *self.rows()]
        lines = text_table(rows, "<<<")
        return "\n".join([*lines, f"{len(self.columns)} columns become {self.width} numbers."])

    def to_values(self) -> dict[str, Any]:
        """Plain values, which a file can hold."""
        columns = [c if c is None else as_values(c) for c in self.columns]
        return {"names": self.names, "columns": columns, "scale": self.scale}

    @classmethod
    def from_values(cls, values: Any) -> "TableEncoder":
        """The encoder of plain values.

        Raises
        ------
        ValueError
            They are not those of an encoder.
        """
        try:
            names, columns, scale = (values[key] for key in ("names", "columns", "scale"))
            encoder = cls(names, [c if c is None else from_values(c) for c in columns], scale)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{values!r:.200} is no encoder of a table") from error
        named = isinstance(names, list) and all(isinstance(name, str) for name in names)
        scaled = isinstance(scale, float) and 0 < scale < np.inf
        if not named or not scaled or len(names) != len(columns):
            raise ValueError("the encoder of the table is not whole")
        return encoder

    def transform(self, table: Table) -> Array:
        """The matrix of a table, float32 (n, width)."""
        out = np.empty((table.n, self.width), np.float32)
        first = 0
        for i, column in enumerate(self.columns):
            if column is None:
                continue
            beyond = first + column.width
            column.encode(read_values(table, i, column.kind), out[:, first:beyond])
            first = beyond
        out *= np.float32(self.scale)
        return out


# A larger matrix is not made: rows are encoded in blocks when they are needed.
_MOST_BYTES = 256 << 20
_BLOCK_BYTES, _BLOCK_ROWS = 64 << 20, 65_536


def _block_rows(encoder: TableEncoder) -> int:
    """How many rows are encoded at once."""
    return int(np.clip(_BLOCK_BYTES // (4 * encoder.width), 1, _BLOCK_ROWS))


class EncodedRows:
    """The rows of a table as networks are given them: all at once, or block by block if too many.

    Parameters
    ----------
    table : Table
    encoder : TableEncoder

    Attributes
    ----------
    matrix : ndarray of shape (n, width), or None
        All rows, unless they are too many.
    block : int
        How many rows are to be taken at once.
    """

    def __init__(self, table: Table, encoder: TableEncoder) -> None:
        self.table, self.encoder = table, encoder
        self.block = _block_rows(encoder)
        is_small = table.n * 4 * encoder.width <= _MOST_BYTES
        self.matrix = encoder.transform(table) if is_small else None

    def take(self, rows: Order) -> Array:
        """Some rows, float32 (n_rows, width)."""
        if self.matrix is not None:
            return self.matrix[rows]
        return self.encoder.transform(self.table.rows(rows))


def encoded_blocks(table: Table, encoder: TableEncoder) -> Iterator[Array]:
    """All rows, some at a time, in their order."""
    block = _block_rows(encoder)
    for first in range(0, table.n, block):
        part = table if table.n <= block else table.rows(slice(first, first + block))
        yield encoder.transform(part)


def fit_encoder(table: Table, kinds: Sequence[Kind]) -> TableEncoder:
    """Learn the encodings of a table's columns.

    Parameters
    ----------
    table : Table
    kinds : sequence of Kind
        One for each column.
    """
    numbers = sum(kind is not Kind.CATEGORY for kind in kinds)
    bins = min(_BINS, _MOST_BIN_COLUMNS // max(numbers, 1))
    columns: list[Encoding | None] = []
    infinite = []
    for i, kind in enumerate(kinds):
        values: Any = read_values(table, i, kind)
        name = table.label(i)
        if kind is Kind.CATEGORY:
            columns.append(fit_categories(name, values, _MOST_LEVELS))
            many = len(values[1]) > max(_FEW_LEVELS, table.n / 4)
            if many and table.is_text(i):
                warn_of_spelled_values(name, values[1])
        elif kind is Kind.DATE:
            columns.append(fit_dates(name, values, bins))
        else:
            columns.append(fit_numbers(name, values, bins))
            if np.isinf(values).any():
                infinite.append(name)
    if infinite:
        warn(
            f"Infinite values in {', '.join(map(repr, infinite))}: they count as the smallest and "
            "the largest numbers of the column."
        )
    names = [table.label(i) for i in range(table.width)]
    encoder = TableEncoder(names, columns, 1.0)
    if encoder.width == 0:
        raise ValueError("No column of X has two different values: there is nothing to learn from.")
    return TableEncoder(names, columns, float(np.sqrt(ENERGY / _energy(encoder, table))))


def _energy(encoder: TableEncoder, table: Table) -> float:
    """The mean squared distance of the encoded rows of a table from their mean."""
    total, squares = np.zeros(encoder.width), 0.0
    some = table.rows(slice(None, None, 1 + (table.n - 1) // _ENERGY_ROWS))
    for block in encoded_blocks(some, encoder):
        total += block.sum(axis=0, dtype=np.float64)
        squares += float(np.square(block).sum(dtype=np.float64))
    mean = total / some.n
    return squares / some.n - float(mean @ mean)
