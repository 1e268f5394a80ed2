"""Tables as users give them: data frames by narwhals, arrays, lists; read column by column."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

from fastmlp.core.typing import Array, Order


class Kind(Enum):
    """What the values of a column are."""

    NUMBER = "number"
    CATEGORY = "category"
    DATE = "date"


class Table:
    """A table of `n` rows and `width` columns, whose columns can be read.

    Parameters
    ----------
    X : data frame, or array-like of shape (n_rows, n_columns)
        A frame of pandas, polars, pyarrow or another library that narwhals knows.

    Attributes
    ----------
    n, width : int
    names : list of str, or None
        The names of a frame's columns.

    Raises
    ------
    TypeError, ValueError
        X is no table, or an empty one.
    """

    def __init__(self, X: Any) -> None:
        self.names: list[str] | None = None
        frame = _as_frame(X)
        if frame is None:
            self._data: Any = _as_array(X)
            self.n, self.width = self._data.shape
            return
        self.n, self.width = frame.shape
        self._data = frame
        if frame.columns and all(isinstance(name, str) for name in frame.columns):
            self.names = list(frame.columns)
        for what, count in (("sample(s)", self.n), ("feature(s)", self.width)):
            if count == 0:
                raise ValueError(
                    f"Found array with 0 {what} (shape={frame.shape}) while a minimum of 1 is "
                    "required."
                )

    @property
    def is_frame(self) -> bool:
        """Whether the columns have types of their own."""
        return not isinstance(self._data, np.ndarray)

    def label(self, i: int) -> str:
        """The name of a column, or what stands for it."""
        return self.names[i] if self.names else f"x{i}"

    def dtype(self, i: int) -> np.dtype[Any]:
        """The type of column i as a NumPy array."""
        return self._values(i).dtype

    def rows(self, rows: Order | slice) -> "Table":
        """A table of some rows."""
        taken = object.__new__(Table)
        taken.names, taken.width = self.names, self.width
        taken._data = self._data[rows]
        taken.n = len(taken._data)
        return taken

    def select(self, names: Sequence[str]) -> "Table":
        """A table of some columns of a frame, in this order."""
        taken = object.__new__(Table)
        taken.names, taken.n, taken.width = list(names), self.n, len(names)
        taken._data = self._data.select(*names)
        return taken

    def kind(self, i: int) -> Kind:
        """What the values of column i are, by its type; of objects, by what they are.

        The columns of an array have no types of their own: text that spells a number in each cell
        is numbers, as scikit-learn has it. In a frame it is text.
        """
        if not self.is_frame:
            return _kind_of_values(self._values(i), self.label(i), spelled=True)
        dtype = self._series[i].dtype
        if dtype.is_numeric():
            return Kind.NUMBER
        if type(dtype).__name__ in ("Datetime", "Date", "Duration", "Time"):
            return Kind.DATE
        if dtype.is_nested():
            raise TypeError(
                f"Column {self.label(i)!r} holds {dtype}: an argument must be a string, a number, "
                "a boolean or a date in each cell."
            )
        if type(dtype).__name__ in ("Object", "Unknown"):
            return _kind_of_values(self._values(i), self.label(i), spelled=False)
        return Kind.CATEGORY

    def is_text(self, i: int) -> bool:
        """Whether column i of a frame is plain text, which was not made a category."""
        return self.is_frame and type(self._series[i].dtype).__name__ in ("String", "Object")

    def numbers(self, i: int) -> Array:
        """Column i as float64 (n,); what is missing is NaN.

        Raises
        ------
        ValueError
            It holds something else.
        """
        values = self._values(i)
        if values.dtype.kind in "fiub":
            return values.astype(np.float64)
        try:
            return np.array([_as_number(value) for value in values], np.float64)
        except (TypeError, ValueError) as error:
            raise _changed(self.label(i), "numbers", error) from error

    def dates(self, i: int) -> Array:
        """Column i as datetime64 or timedelta64 (n,), in microseconds; what is missing is NaT.

        Times of day are durations since midnight.
        """
        values = self._values(i)
        if values.dtype.kind not in "mM":
            try:
                values = _as_dates(values.tolist())
            except (TypeError, ValueError, OverflowError) as error:
                raise _changed(self.label(i), "dates", error) from error
        unit = np.timedelta64 if values.dtype.kind == "m" else np.datetime64
        return values.astype(np.dtype(f"{unit.__name__}[us]"))

    def texts(self, i: int) -> tuple[Array, list[str]]:
        """Column i as places (n,) in the list of its different values as text; missing is -1."""
        values = self._values(i)
        if values.dtype.kind in "mM":  # else nanoseconds were numbers
            values = self.dates(i)
        elif values.dtype.kind == "f" and self.is_frame and self._series[i].dtype.is_integer():
            # numbers that are codes may have more digits than a float
            values = np.array(self._series[i].to_list(), object)
        if values.dtype == object:
            return _as_texts(values.tolist(), self.label(i))
        distinct, places = np.unique(values, return_inverse=True)  # sooner than one by one
        codes, texts = _as_texts(distinct.tolist(), self.label(i))
        return codes[places], texts

    def _values(self, i: int) -> Array:
        """Column i as an array."""
        if not self.is_frame:
            values: Array = self._data[:, i]
            return values
        column = self._series[i]
        if str(column.dtype) in ("Int128", "UInt128"):  # which NumPy does not have
            import narwhals

            column = column.cast(narwhals.Float64())
        values = column.to_numpy()
        return values

    @cached_property
    def _series(self) -> list[Any]:
        """The columns of a frame: to look one up takes as long as there are columns."""
        return list(self._data.iter_columns())


def _as_frame(X: Any) -> Any:
    """X as a frame of narwhals, or None where it is none."""
    if isinstance(X, np.ndarray | list | tuple) or issparse(X):
        return None
    import narwhals

    try:
        frame = narwhals.from_native(X, pass_through=True)
    except narwhals.exceptions.DuplicateError as error:
        twice = [name for name, count in Counter(X.columns).items() if count > 1]
        raise ValueError(
            f"The columns of X must have different names. Got {', '.join(map(repr, twice))} more "
            "than once."
        ) from error
    if isinstance(frame, narwhals.LazyFrame):
        raise TypeError(f"X must have rows at hand. Got a {type(X).__name__}: collect it first.")
    return frame if isinstance(frame, narwhals.DataFrame) else None


def _as_array(X: Any) -> Array:
    """X as an array with two axes, as scikit-learn checks it; missing and infinite are allowed."""
    if isinstance(X, list | tuple):
        X = _nested(X)
    kept = isinstance(X, np.ndarray) and X.dtype.kind in "OUS"
    array: Array = check_array(X, dtype=None, ensure_all_finite=False)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported\n{array}\n")
    if kept and array.dtype.kind in "US":
        array = array.astype(object)
    return array


def _nested(X: Iterable[Any]) -> Any:
    """Rows in lists as an array; of objects, where they are not all numbers."""
    array = np.asarray(X)
    return array if array.dtype.kind in "fiubc" else np.asarray(X, dtype=object)


def take_rows(y: Any, rows: Order) -> Any:
    """Some rows of targets, of the type that they came in; lists become arrays."""
    if hasattr(y, "iloc"):
        return y.iloc[rows]
    return y[rows] if hasattr(y, "shape") else np.asarray(y)[rows]


def is_missing(value: Any) -> bool:
    """Whether a cell says that its value is not known, in any library's spelling."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # pandas' NA compares to NA
        return True
    except ValueError:  # an array has many answers
        return False


def _kind_of_values(values: Array, label: str, *, spelled: bool) -> Kind:
    """What values are; objects are what all that are not missing are.

    With `spelled`, text may spell numbers.
    """
    kinds = {**dict.fromkeys("fiu", Kind.NUMBER), **dict.fromkeys("mM", Kind.DATE)}
    kinds["b"] = Kind.CATEGORY
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: column {label!r} holds {values.dtype}.")
    if values.dtype.kind in kinds:
        return kinds[values.dtype.kind]
    present = [value for value in values.tolist() if not is_missing(value)]
    if not present:
        return Kind.NUMBER
    if all(isinstance(value, bool | np.bool_) for value in present):
        return Kind.CATEGORY
    if all(
        isinstance(value, Real | Decimal | np.bool_) or (spelled and _spells_number(value))
        for value in present
    ):
        return Kind.NUMBER
    if any(all(map(which, present)) for which in (_is_moment, _is_span)):
        return Kind.DATE
    return Kind.CATEGORY


def _spells_number(value: Any) -> bool:
    if not isinstance(value, str | bytes):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def _as_number(value: Any) -> float:
    if is_missing(value):
        return np.nan
    try:
        return float(value)
    except OverflowError:  # a whole number may have any size
        return np.inf if value > 0 else -np.inf


def _is_moment(value: Any) -> bool:
    """Whether a cell is a date, with or without a time, or a period as pandas has it."""
    return isinstance(value, date | np.datetime64) or hasattr(value, "start_time")


def _is_span(value: Any) -> bool:
    """Whether a cell is a duration, or a time of day."""
    return isinstance(value, time | timedelta | np.timedelta64)


def _as_dates(values: list[Any]) -> Array:
    """Cells as datetime64[us], or as timedelta64[us] where they are durations."""
    dates = [None if is_missing(value) else _as_date(value) for value in values]
    spans = {isinstance(value, np.timedelta64) for value in dates if value is not None}
    if len(spans) > 1:
        raise ValueError("some are dates and some are durations")
    return np.array(dates, "m8[us]" if True in spans else "M8[us]")


def _as_date(value: Any) -> np.datetime64 | np.timedelta64:
    """A cell as datetime64 or timedelta64; a time of day since midnight, a period as its start.

    Where a time zone is known it is the time in UTC, as of the columns of frames.
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    value = getattr(value, "start_time", value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, time):
        value = timedelta(
            hours=value.hour,
            minutes=value.minute,
            seconds=value.second,
            microseconds=value.microsecond,
        )
    if _is_span(value):
        return np.timedelta64(value, "us")
    if not _is_moment(value):
        raise ValueError(f"{value!r:.100} is no date")
    return np.datetime64(value, "us")


def _changed(label: str, kind: str, error: Exception) -> ValueError:
    return ValueError(f"Column {label!r} held {kind} in `fit`, and now other values: {error}")


def _as_texts(values: list[Any], label: str) -> tuple[Array, list[str]]:
    """Places in the list of different texts (n,), -1 where a value is missing, and these texts."""
    places: dict[Any, int] = {}  # of a value
    of_text: dict[str, int] = {}

    def look_up(value: Any) -> int:
        try:
            found = places.get(value)
        except TypeError as error:
            raise TypeError(
                f"Column {label!r} holds a {type(value).__name__}: an argument must be a string, a "
                "number, a boolean or a date in each cell."
            ) from error
        if found is None:
            if is_missing(value):
                return -1
            found = places[value] = of_text.setdefault(as_text(value), len(of_text))
        return found

    codes = np.fromiter((look_up(value) for value in values), np.int64, len(values))
    return codes, list(of_text)


def as_text(value: Any) -> str:
    """A value as text; numbers that are equal are the same, whatever their types are.

    True and 1 are equal, too: a column of booleans with missing cells often comes as numbers.
    """
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Integral | np.bool_):
        return str(int(value))
    if isinstance(value, Real | Decimal):
        number = float(value)
        return str(int(number)) if number.is_integer() else str(number)
    return str(value)
