"""What is to be predicted of a table, and whether it can be."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmlp.app.tables import TableError, TableFile, import_pandas
from fastmlp.tables.reading import Kind, Table

FOLDS = 5
_FEWEST_ROWS = 10
_MOST_CLASSES = 20  # of whole numbers; more are values
_TARGET_NAMES = ("target", "label", "class", "y")


@dataclass
class Problem:
    """Features and target of a table.

    Attributes
    ----------
    table : TableFile
        Its `code` ends with `frame`, the features, and `y`.
    target : str
        The target's column, and how it came to be it.
    chosen : str
    y : pandas.Series
    classify : bool
    """

    table: TableFile
    target: str
    chosen: str
    y: Any
    classify: bool

    @property
    def X(self) -> Any:
        """The features, a data frame."""
        return self.table.frame


def as_problem(table: TableFile, target: str | None, task: str) -> Problem:
    """Find the target, leave out the rows without it, and check what can be made of it.

    Parameters
    ----------
    table : TableFile
        It is changed.
    target : str or None
        A column; None: a column called target, label, class or y, or the last one.
    task : {'auto', 'classification', 'regression'}

    Raises
    ------
    TableError
        The column is none, or cannot be a target.
    """
    target, chosen = _choose_target(table, target)
    _leave_out_blanks(table, target)
    classify = _is_classification(table, target, task)
    if classify:
        _leave_out_rare_classes(table, target)
    values = table.frame[target]
    if values.nunique() < 2:
        raise TableError(f"--target: column {target!r} has only the value {values.iloc[0]!r}")
    dtype = _class_type(values) if classify else "float"
    y = values.astype(dtype)
    converted = "" if y.dtype == values.dtype else f".astype({dtype})"
    table.code.append(f"y = frame.pop({target!r}){converted}")
    table.frame = table.frame.drop(columns=[target])
    varying = [name for name in table.frame if table.frame[name].nunique(dropna=False) > 1]
    if not varying:
        raise TableError(f"{table.path}: no column besides the target has two different values")
    return Problem(table, target, chosen, y, classify)


def _choose_target(table: TableFile, target: str | None) -> tuple[str, str]:
    """The target's column, and why it is it."""
    names = list(table.frame.columns)
    chosen = ""
    if target is None:
        known = [name for name in names if name.lower() in _TARGET_NAMES]
        target = known[0] if len(known) == 1 else names[-1]
        chosen = "by its name" if len(known) == 1 else "the last column"
    if target not in names:
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        raise TableError(f"--target: no column {target!r} in {table.path}; it has {shown}")
    if len(names) == 1:
        raise TableError(f"{table.path}: no column besides the target {target!r}")
    return target, chosen


def _leave_out_blanks(table: TableFile, target: str) -> None:
    """Leave out the rows whose target is missing, blank or infinite; enough must be left."""
    pandas = import_pandas()
    n = len(table.frame)
    column = f"frame[{target!r}]"
    if table.frame[target].isna().any():
        table.do(f"frame = frame.dropna(subset=[{target!r}])")
    values = table.frame[target]
    if pandas.api.types.is_float_dtype(values) and np.isinf(values).any():
        table.do(f"frame = frame[{column}.abs() < float('inf')]")
    elif pandas.api.types.is_string_dtype(values) and (values.str.strip() == "").any():
        table.do(f"frame = frame[{column}.str.strip() != '']")
    left_out = n - len(table.frame)
    if left_out == n:
        raise TableError(f"--target: no row has a value in column {target!r}")
    if left_out:
        table.notes.append(f"{left_out} rows without a target left out")
    if n - left_out < _FEWEST_ROWS:
        raise TableError(
            f"{table.path}: {n - left_out} rows have a target; at least {_FEWEST_ROWS} are needed"
        )


def _is_classification(table: TableFile, target: str, task: str) -> bool:
    """Whether the target is classes."""
    column = table.frame[[target]]
    values = column[target]
    kind = Table(column).kind(0)
    if kind is Kind.DATE:
        raise TableError(f"--target: column {target!r} holds dates, which cannot be predicted yet")
    booleans = {True, False}.issuperset(values.unique())
    if task == "regression" and kind is Kind.CATEGORY and not booleans:
        raise TableError(
            f"--task: regression needs numbers, but column {target!r} holds text such as "
            f"{str(values.iloc[0])!r:.60}; classification would do"
        )
    if task != "auto":
        return task == "classification"
    return kind is Kind.CATEGORY or (
        values.nunique() <= _MOST_CLASSES and bool((values.astype(float) % 1 == 0).all())
    )


def _class_type(values: Any) -> str:
    """The type that class labels get: whole numbers as such, though they came as 0.0 and 1.0."""
    pandas = import_pandas()
    if pandas.api.types.infer_dtype(values) == "boolean":
        return "bool"
    if pandas.api.types.is_numeric_dtype(values) and (values % 1 == 0).all():
        return "int"
    return "str"


def _leave_out_rare_classes(table: TableFile, target: str) -> None:
    """Leave out classes that have fewer rows than there are folds."""
    counts = table.frame[target].value_counts()
    if counts.max() == 1:
        raise TableError(
            f"--target: column {target!r} has another value in each of its {len(counts)} rows: "
            "there are no classes to learn"
        )
    rare = counts[counts < FOLDS]
    if len(counts) > 1 and len(counts) - len(rare) < 2:
        raise TableError(
            f"--target: fewer than two classes of column {target!r} have {FOLDS} rows or more"
        )
    if len(rare):
        labels = [str(label).removesuffix(".0") for label in rare.index]
        shown = ", ".join(f"{labels[i]} ({rare.iloc[i]})" for i in range(min(5, len(rare))))
        more = ", ..." if len(rare) > 5 else ""
        column = f"frame[{target!r}]"
        table.do(
            f"frame = frame[{column}.map({column}.value_counts()) >= {FOLDS}]",
            f"{rare.sum()} rows of classes with fewer than {FOLDS} left out: {shown}{more}",
        )
