"""How a column becomes numbers: one small class for each kind, made of values that a file can hold.

Each encoding writes `width` numbers per row; unknown values are zeros. What one learns of a column
it learns once, from the rows that are fitted.
"""

from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtri

from fastmlp.core.container import is_count
from fastmlp.core.typing import Array
from fastmlp.core.warnings import warn
from fastmlp.tables.reading import Kind, Table

_QUANTILES = 1001  # of the table from which normal scores are interpolated


@dataclass(frozen=True, eq=False)
class NumberEncoding:
    """A number as its normal score, beside its place in each of some quantile bins.

    The normal score of a value is the normal distribution's quantile at the mean rank of the value,
    so that outliers and scale do not matter. The piecewise-linear encoding (Gorishniy et al.,
    NeurIPS 2022) has a number per bin: -0.5 below the bin, 0.5 above, linear within. It lets the
    first layer draw a function with a kink at each edge.

    Attributes
    ----------
    name : str
    values, scores : ndarray of shape (n_quantiles,)
        Normal scores at some values, in ascending order.
    edges : ndarray of shape (n_bins + 1,), or (0,) without bins
    tells_missing : bool
        Whether a last number is 1 where the value is missing, 0 elsewhere.
    """

    name: str
    values: Array
    scores: Array
    edges: Array
    tells_missing: bool

    kind: ClassVar[Kind] = Kind.NUMBER

    @property
    def n_bins(self) -> int:
        """The number of bins."""
        return max(len(self.edges) - 1, 0)

    @property
    def width(self) -> int:
        """How many numbers there are per row."""
        return 1 + self.n_bins + self.tells_missing

    def encode(self, values: Array, out: Array) -> None:
        """Write the numbers of float64 `values` (n,) into `out` (n, width)."""
        missing = np.isnan(values)
        scores = np.interp(values, self.values, self.scores)
        # between two values that nearly are 0 the slope is infinite
        np.clip(scores, self.scores[0], self.scores[-1], out=out[:, 0])
        if self.n_bins:
            # bins are passed; in float32 differences of values would be 0 or infinite
            passed = np.interp(values, self.edges, np.arange(self.n_bins + 1.0))
            bins = out[:, 1 : 1 + self.n_bins]
            np.subtract(passed[:, None], np.arange(self.n_bins), out=bins, casting="same_kind")
            np.clip(bins, 0, 1, out=bins)
            bins -= 0.5
        if missing.any():
            out[missing] = 0
        if self.tells_missing:
            out[:, -1] = missing

    def describe(self) -> str:
        """In words."""
        parts = ["normal score"]
        if self.n_bins:
            parts.append(f"{self.n_bins} quantile bins")
        if self.tells_missing:
            parts.append("missing")
        return " + ".join(parts)


@dataclass(frozen=True, eq=False)
class CategoryEncoding:
    """A category as one-hot; of two levels as -1 and 1. Missing and unknown levels are zeros.

    Attributes
    ----------
    name : str
    levels : list of str
        The levels that have a number of their own, in ascending order.
    n_rare : int
        How many levels were left out as rare: they count as unknown.
    """

    name: str
    levels: list[str]
    n_rare: int

    kind: ClassVar[Kind] = Kind.CATEGORY

    @property
    def is_binary(self) -> bool:
        """Whether there are two levels, which share one number."""
        return len(self.levels) == 2 and not self.n_rare

    @property
    def width(self) -> int:
        """How many numbers there are per row."""
        return 1 if self.is_binary else len(self.levels)

    def encode(self, values: tuple[Array, list[str]], out: Array) -> None:
        """Write the numbers of `values`, as `Table.texts` gives them, into `out` (n, width)."""
        codes, texts = values
        place = {level: i for i, level in enumerate(self.levels)}
        known = np.array([place.get(text, -1) for text in texts] + [-1])[codes]
        rows = np.flatnonzero(known >= 0)
        out[:] = 0
        if self.is_binary:
            out[rows, 0] = 2 * known[rows] - 1
        else:
            out[rows, known[rows]] = 1

    def describe(self) -> str:
        """In words."""
        if self.is_binary:
            return f"{self.levels[0]!r} -1, {self.levels[1]!r} 1"
        rare = f", {self.n_rare} rare ones as unknown" if self.n_rare else ""
        return f"one-hot, {len(self.levels)} levels{rare}"


@dataclass(frozen=True, eq=False)
class DateEncoding:
    """A date, a time or a duration as some numbers: its place in time, and calendar parts.

    Attributes
    ----------
    name : str
    parts : list of NumberEncoding
        By the names in `PARTS`.
    """

    name: str
    parts: list[NumberEncoding]

    kind: ClassVar[Kind] = Kind.DATE

    @property
    def width(self) -> int:
        """How many numbers there are per row."""
        return sum(part.width for part in self.parts)

    def encode(self, values: Array, out: Array) -> None:
        """Write the numbers of `values` (n,), as `Table.dates` gives them, into `out`."""
        first = 0
        for part in self.parts:
            part.encode(calendar_part(values, part.name), out[:, first : first + part.width])
            first += part.width

    def describe(self) -> str:
        """In words."""
        return ", ".join(part.name for part in self.parts)


Encoding = NumberEncoding | CategoryEncoding | DateEncoding

PARTS = ("time", "year", "month", "day", "weekday", "hour", "minute")


def calendar_part(dates: Array, part: str) -> Array:
    """A part of datetime64[us] or timedelta64[us] (n,) as float64; of NaT it is NaN.

    'time' is in seconds since 1970, or the duration. A duration has no other parts: they are 0.
    """
    missing = np.isnat(dates)
    result: Array
    if part == "time":
        result = dates.astype(np.int64) / 1e6
    elif dates.dtype.kind == "m":
        result = np.zeros(len(dates))
    elif part == "year":
        result = dates.astype("M8[Y]").astype(np.int64) + 1970.0
    elif part == "month":
        result = dates.astype("M8[M]").astype(np.int64) % 12 + 1.0
    elif part == "day":
        days = dates.astype("M8[D]")
        result = (days - days.astype("M8[M]")).astype(np.int64) + 1.0
    elif part == "weekday":  # Monday is 0; 1970 began on a Thursday
        result = (dates.astype("M8[D]").astype(np.int64) + 3) % 7 + 0.0
    else:
        seconds = dates.astype("M8[s]").astype(np.int64)
        result = seconds // 3600 % 24 + 0.0 if part == "hour" else seconds // 60 % 60 + 0.0
    result[missing] = np.nan
    return result


def read_values(table: Table, i: int, kind: Kind) -> Any:
    """The values of column i as encodings of this kind take them."""
    reader = {Kind.NUMBER: table.numbers, Kind.CATEGORY: table.texts, Kind.DATE: table.dates}
    return reader[kind](i)


# --- learning an encoding ------------------------------------------------------------------------


def fit_numbers(name: str, values: Array, n_bins: int) -> NumberEncoding | None:
    """The encoding of float64 values (n,); None where all that are there are the same."""
    present = np.sort(values[~np.isnan(values)])
    tells_missing = len(present) < len(values)
    n = len(present)
    if n == 0 or (present[0] == present[-1] and not tells_missing):
        return None
    # infinities have ranks as all numbers have, but take no part in interpolation
    limit = np.finfo(np.float64).max
    present = np.clip(present, -limit, limit)
    grid = _quantiles(present, min(n, _QUANTILES))
    ranks = (np.searchsorted(present, grid) + np.searchsorted(present, grid, "right")) / 2
    scores = ndtri(np.clip(ranks / n, 0.5 / n, 1 - 0.5 / n))
    return NumberEncoding(name, grid, scores, _bin_edges(present, n_bins), tells_missing)


def _bin_edges(present: Array, n_bins: int) -> Array:
    """The edges of quantile bins of sorted values.

    A value that many rows have is one edge for several quantiles; the edges so saved are quantiles
    of the values between.
    """
    if n_bins < 2:
        return np.empty(0)
    edges = _quantiles(present, n_bins + 1)
    if len(edges) <= n_bins:
        rest = present[~np.isin(present, edges)]
        edges = np.union1d(edges, _quantiles(rest, n_bins + 1 - len(edges)))
    half = np.finfo(np.float64).max / 2
    too_far = edges[-1] / 2 - edges[0] / 2 > half  # for a difference to be a number
    return np.empty(0) if len(edges) < 3 or too_far else edges


def _quantiles(values: Array, count: int) -> Array:
    """Different ones of so many quantiles of sorted values, which are some of them."""
    places = np.linspace(0, len(values) - 1, count).round().astype(int)
    return np.unique(values[places]) if len(values) else values


def fit_categories(
    name: str, values: tuple[Array, list[str]], most_levels: int
) -> CategoryEncoding | None:
    """The encoding of a column's texts; None where there is but one level and none is missing."""
    codes, texts = values
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    order = sorted(range(len(texts)), key=lambda i: (-counts[i], texts[i]))
    levels = sorted(texts[i] for i in order[:most_levels])
    if not levels or (len(texts) == 1 and counts.sum() == len(codes)):
        return None
    return CategoryEncoding(name, levels, len(texts) - len(levels))


def warn_of_spelled_values(name: str, texts: list[str]) -> None:
    """Warn where a column's texts are numbers or dates: each is a level of its own as text."""
    some = texts[:100]
    for what, read in (("numbers", float), ("dates", np.datetime64)):
        with suppress(ValueError):
            for text in some:
                read(text)
            warn(
                f"Column {name!r} holds {what} as text, which are taken as categories: convert it, "
                f"with pandas.to_{'numeric' if what == 'numbers' else 'datetime'} for example, or "
                "make it a category if that is meant."
            )
            return


def fit_dates(name: str, dates: Array, n_bins: int) -> DateEncoding | None:
    """The encoding of dates (n,), of the calendar parts that are not constant."""
    parts = [fit_numbers(part, calendar_part(dates, part), n_bins) for part in PARTS]
    # a time that is the same wherever it is known tells at least where it is missing
    varying = [p for p in parts if p is not None and (len(p.values) > 1 or p.name == "time")]
    return DateEncoding(name, varying) if varying else None


def as_values(encoding: Encoding) -> dict[str, Any]:
    """An encoding as plain values, which a file can hold; `from_values` is the way back."""
    values = {field.name: getattr(encoding, field.name) for field in fields(encoding)}
    if isinstance(encoding, DateEncoding):
        values["parts"] = [as_values(part) for part in encoding.parts]
    return {"kind": encoding.kind.value, **values}


def from_values(values: dict[str, Any]) -> Encoding:
    """The encoding of plain values.

    Raises
    ------
    ValueError
        They are not those of an encoding.
    """
    classes: dict[str, Any] = {
        cls.kind.value: cls for cls in (NumberEncoding, CategoryEncoding, DateEncoding)
    }
    try:
        rest = dict(values)
        cls = classes[rest.pop("kind")]
        if cls is DateEncoding:
            rest["parts"] = [from_values(part) for part in rest["parts"]]
        encoding: Encoding = cls(**rest)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{values!r:.200} is no encoding of a column") from error
    _check(encoding)
    return encoding


def _check(encoding: Encoding) -> None:
    """Check that an encoding's values fit each other."""
    if not isinstance(encoding.name, str):
        raise ValueError(f"the name {encoding.name!r:.100} of a column is no str")
    checks = {NumberEncoding: _is_whole_number, CategoryEncoding: _is_whole_category}
    if not checks.get(type(encoding), _is_whole_date)(encoding):
        raise ValueError(f"the encoding of column {encoding.name!r} is not whole")


def _is_whole_number(encoding: Any) -> bool:
    vectors = (encoding.values, encoding.scores, encoding.edges)
    return (
        all(isinstance(v, np.ndarray) and v.ndim == 1 and v.dtype == np.float64 for v in vectors)
        and all(np.isfinite(v).all() for v in vectors)
        and all(np.all(v[1:] > v[:-1]) for v in vectors)
        and len(encoding.values) == len(encoding.scores) > 0
        and len(encoding.edges) != 1
        and isinstance(encoding.tells_missing, bool)
    )


def _is_whole_category(encoding: Any) -> bool:
    levels = encoding.levels
    return (
        isinstance(levels, list)
        and all(isinstance(level, str) for level in levels)
        and 0 < len(set(levels)) == len(levels)
        and is_count(encoding.n_rare)
    )


def _is_whole_date(encoding: Any) -> bool:
    names = [part.name for part in encoding.parts if isinstance(part, NumberEncoding)]
    return 0 < len(names) == len(encoding.parts) and set(names) <= set(PARTS)
