"""A user's own table, read from a CSV file."""

import csv
import gzip
import math
from pathlib import Path

import numpy as np

from fastmlp.core.typing import Array


class TableError(ValueError):
    """A table that cannot be read, in words for its owner."""


def read_table(path: Path, target: str) -> tuple[Array, Array]:
    """Read a CSV file (.gz too) with a header: X (n, features) float32, and y as text (n,).

    Raises
    ------
    TableError
        Names the file, and the line and column where there is one.
    """
    if not path.is_file():
        raise TableError(f"--data: no such file: {path}")
    try:
        return _read_table(path, target)
    except (UnicodeDecodeError, gzip.BadGzipFile, csv.Error, EOFError) as error:
        raise TableError(f"{path}: not a CSV file in UTF-8: {error}") from error


def _read_table(path: Path, target: str) -> tuple[Array, Array]:
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        names = [name.strip() for name in next(reader, [])]
        if target not in names:
            raise TableError(f"--target: no column {target!r} in {path}; it has {', '.join(names)}")
        features, y = [], []
        at = names.index(target)
        for row in reader:
            if not row:
                continue
            where = f"{path}, line {reader.line_num}"
            if len(row) != len(names):
                raise TableError(f"{where}: {len(row)} fields, but the header has {len(names)}")
            y.append(row[at].strip())
            features.append([number(text, where, name) for text, name in
                             zip(row, names, strict=True) if name != target])  # fmt: skip
    if not y:
        raise TableError(f"{path}: no rows below the header")
    if len(names) == 1:
        raise TableError(f"{path}: no column besides the target {target!r}")
    return np.array(features, np.float32), np.array(y)


def number(text: str, where: str, name: str) -> float:
    """A cell as a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= float(np.finfo(np.float32).max):
        raise TableError(f"{where}, column {name!r}: {text!r} is not a number of float32")
    return value


def as_targets(y: Array) -> tuple[Array, bool]:
    """(y, whether it is classes): text, or few whole numbers, are classes."""
    try:
        values = y.astype(float)
    except ValueError:
        return y, True
    if not np.isfinite(values).all():
        raise TableError("--target: some of its values are not finite numbers")
    whole = np.all(values == np.round(values)) and len(np.unique(values)) <= 20
    return values, bool(whole)
