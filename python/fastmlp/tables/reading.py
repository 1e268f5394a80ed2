"""Tables as users give them: data frames by narwhals, arrays, lists; read column by column."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import Enum
from numbers import Real
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
        values = self._series(i).to_numpy() if self.is_frame else self._data
        found: np.dtype[Any] = values.dtype
        return found

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
        """What the values of column i are, by its type; of objects, by what they are."""
        if not self.is_frame:
            values = self._data[:, i]
            return Kind.NUMBER if values.dtype.kind in "fiub" else _kind_of_objects(values)
        dtype = self._series(i).dtype
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
            return _kind_of_objects(self._series(i).to_numpy())
        return Kind.CATEGORY

    def numbers(self, i: int) -> Array:
        """Column i as float64 (n,); what is missing is NaN.

        Raises
        ------
        ValueError
            It holds something else.
        """
        values = self._series(i).to_numpy() if self.is_frame else self._data[:, i]
        if values.dtype.kind in "fiub":
            return values.astype(np.float64)
        try:
            return np.array([_as_number(value) for value in values], np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Column {self.label(i)!r} held numbers in `fit`, and now other values: {error}"
            ) from error

    def dates(self, i: int) -> Array:
        """Column i as datetime64 or timedelta64 (n,), in microseconds; what is missing is NaT.

        Times of day are durations since midnight.
        """
        values = self._series(i).to_numpy() if self.is_frame else self._data[:, i]
        if values.dtype.kind not in "mM":
            values = np.array([_as_date(value) for value in values])
        if values.dtype.kind not in "mM":
            raise ValueError(f"Column {self.label(i)!r} held dates in `fit`, and now other values.")
        unit = np.timedelta64 if values.dtype.kind == "m" else np.datetime64
        return values.astype(np.dtype(f"{unit.__name__}[us]"))

    def texts(self, i: int) -> tuple[Array, list[str]]:
        """Column i as places (n,) in the list of its different values as text; missing is -1."""
        values = self._series(i).to_numpy() if self.is_frame else self._data[:, i]
        return _as_texts(values.tolist(), self.label(i))

    def _series(self, i: int) -> Any:
        return self._data[:, i]


def _as_frame(X: Any) -> Any:
    """X as a frame of narwhals, or None where it is none."""
    if isinstance(X, np.ndarray | list | tuple) or issparse(X):
        return None
    import narwhals

    frame = narwhals.from_native(X, eager_only=True, pass_through=True)
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


def is_missing(value: Any) -> bool:
    """Whether a cell says that its value is not known, in any library's spelling."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # pandas' NA compares to NA
        return True


def _kind_of_objects(values: Array) -> Kind:
    """What objects are, from all that are not missing; text of an array may spell numbers."""
    present = [value for value in values.tolist() if not is_missing(value)]
    if present and all(isinstance(value, Real | Decimal) for value in present):
        booleans = all(isinstance(value, bool | np.bool_) for value in present)
        return Kind.CATEGORY if booleans else Kind.NUMBER
    if present and all(_is_date(value) for value in present):
        return Kind.DATE
    return Kind.CATEGORY if present else Kind.NUMBER


def _is_date(value: Any) -> bool:
    return hasattr(value, "isoformat") or isinstance(value, np.datetime64 | np.timedelta64)


def _as_number(value: Any) -> float:
    return np.nan if is_missing(value) else float(value)


def _as_date(value: Any) -> Any:
    """A cell as datetime64 or timedelta64; a time of day since midnight."""
    if is_missing(value):
        return np.datetime64("NaT", "us")
    if hasattr(value, "tzinfo") and value.tzinfo is not None and hasattr(value, "astimezone"):
        value = value.replace(tzinfo=None)
    if hasattr(value, "hour") and not hasattr(value, "year"):
        seconds = value.hour * 3600 + value.minute * 60 + value.second
        return np.timedelta64(seconds * 1_000_000 + value.microsecond, "us")
    if hasattr(value, "total_seconds"):
        return np.timedelta64(value, "us")
    return np.datetime64(value, "us")


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
            missing = is_missing(value)
            found = -1 if missing else of_text.setdefault(as_text(value), len(of_text))
            places[value] = found
        return found

    codes = np.fromiter((look_up(value) for value in values), np.int64, len(values))
    return codes, list(of_text)


def as_text(value: Any) -> str:
    """A value as text; a whole number is the same whether it came as int or float."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer():
        return str(int(float(value)))
    return str(value)
