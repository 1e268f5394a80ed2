"""``python -m fastmlp``: train on handwritten digits, or on your own table, beside two peers."""

import argparse
import contextlib
import csv
import gzip
import io
import math
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as SklearnClassifier
from sklearn.neural_network import MLPRegressor as SklearnRegressor
from sklearn.preprocessing import StandardScaler

import fastmlp
from fastmlp import _native
from fastmlp._numpy_mlp import NumpyMLP
from fastmlp._threads import n_threads

Array = npt.NDArray[Any]

HIDDEN = (100,)
BATCH = 200


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


class Bar(io.TextIOBase):
    """A progress bar. As a text stream it takes what ``verbose=True`` prints for each epoch."""

    def __init__(self, name: str, epochs: int) -> None:
        self.name, self.epochs, self.done = name, epochs, 0
        self.live = sys.stderr.isatty()

    def write(self, text: str) -> int:
        """Count the epochs among the lines printed; `text` is shown in no other way."""
        if text.startswith("Iteration"):
            self.advance(float(text.split("=")[1]))
        return len(text)

    def advance(self, loss: float) -> None:
        """One epoch more, with this loss."""
        self.done += 1
        if self.live or self.done == self.epochs:
            filled = round(30 * self.done / self.epochs)
            print(
                f"{chr(13) if self.live else ''}{self.name:<13}{'━' * filled}{'┄' * (30 - filled)}"
                f" {self.done:>3}/{self.epochs} epochs   loss {loss:.4f} ",
                end="\n" if self.done == self.epochs else "",
                file=sys.stderr,
                flush=True,
            )


def curve(losses: list[float], width: int = 60, height: int = 10) -> str:
    """The losses drawn in characters, on a logarithmic scale."""
    logs = np.log10(np.maximum(losses, 1e-12))
    columns = np.interp(np.linspace(0, len(logs) - 1, width), np.arange(len(logs)), logs)
    low, high = columns.min(), columns.max()
    eighths = np.round((columns - low) / max(high - low, 1e-12) * (8 * height - 1)).astype(int) + 1
    lines = []
    for row in reversed(range(height)):
        label = {height - 1: f"{10**high:8.3g}", 0: f"{10**low:8.3g}"}.get(row, " " * 8)
        cells = "".join(" ▁▂▃▄▅▆▇█"[min(max(e - 8 * row, 0), 8)] for e in eighths)
        lines.append(f"{label} │{cells}")
    lines.append(f"{'':8} └{'─' * width}")
    lines.append(f"{'':9} 1{'epoch':^{width - 4}}{len(losses):>3}")
    return "\n".join(lines)


def compare(X: Array, y: Array, classify: bool, epochs: int) -> tuple[list[Any], list[float]]:
    """Train the three on the same work; rows of (name, seconds, test score), and our losses."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, random_state=0, stratify=y if classify else None
    )
    scaler = StandardScaler().fit(X_train)
    X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    score: Callable[[Array, Array], float] = accuracy_score if classify else r2_score
    if classify:
        labels, codes = np.unique(y_train, return_inverse=True)
        Y = np.eye(len(labels), dtype=np.float32)[codes]
    else:
        mean, scale = y_train.mean(), y_train.std() or 1.0
        y_train, y_test = (y_train - mean) / scale, (y_test - mean) / scale
        Y = y_train[:, None].astype(np.float32)

    rows: list[Any] = []
    losses: list[float] = []
    parameters = {"hidden_layer_sizes": HIDDEN, "batch_size": min(BATCH, len(X_train)),
                  "max_iter": epochs, "n_iter_no_change": epochs, "random_state": 0,
                  "verbose": True}  # fmt: skip
    ours = fastmlp.MLPClassifier if classify else fastmlp.MLPRegressor
    for name, cls in [
        ("fastmlp", ours),
        ("scikit-learn", SklearnClassifier if classify else SklearnRegressor),
    ]:
        model = cls(**parameters)
        with contextlib.redirect_stdout(Bar(name, epochs)), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            start = time.perf_counter()
            model.fit(X_train, y_train)
            seconds = time.perf_counter() - start
        rows.append((name, seconds, score(y_test, model.predict(X_test))))
        losses = losses or model.loss_curve_

    numpy_mlp = NumpyMLP([X.shape[1], *HIDDEN, Y.shape[1]], classify=classify)
    bar = Bar("NumPy", epochs)
    start = time.perf_counter()
    numpy_mlp.fit(X_train, Y, epochs=epochs, batch_size=BATCH, on_epoch=bar.advance)
    seconds = time.perf_counter() - start
    predicted = numpy_mlp.predict(X_test)
    predicted = labels[predicted] if classify else predicted[:, 0]
    rows.append(("NumPy", seconds, score(y_test, predicted)))
    return rows, losses


def main() -> int:
    """Run the demonstration; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):  # bars are drawn, or ? where the encoding has none
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    parser = argparse.ArgumentParser(prog="python -m fastmlp", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="FILE.csv", help="a table with a header line")
    parser.add_argument("--target", metavar="COLUMN", help="the column to predict")
    parser.add_argument("--epochs", type=int, default=100, help="passes over the data (100)")
    arguments = parser.parse_args()
    if (arguments.data is None) != (arguments.target is None):
        parser.error("--data and --target go together")
    if arguments.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {arguments.epochs}")
    try:
        if arguments.data is None:
            X, y = load_digits(return_X_y=True)
            X, classify, what = X.astype(np.float32), True, "scikit-learn's handwritten digits"
        else:
            X, y = read_table(arguments.data, arguments.target)
            y, classify = as_targets(y)
            what = f"{arguments.data.name}, column {arguments.target!r}"
            if classify and (
                len(np.unique(y)) < 2 or np.unique(y, return_counts=True)[1].min() < 4
            ):
                raise TableError("--target: needs at least two classes of four rows each")
            if len(y) < 8:
                raise TableError(f"{arguments.data}: {len(y)} rows; at least 8 are needed")
    except TableError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2

    outputs = len(np.unique(y)) if classify else 1
    print(f"{what}: {len(X)} rows, {X.shape[1]} features, "
          + (f"{outputs} classes" if classify else "regression"))  # fmt: skip
    sizes = "-".join(map(str, [X.shape[1], *HIDDEN, outputs]))
    print(
        f"network {sizes}, relu, adam, float32, batches of {BATCH}; "
        f"engine {_native.engine()}, {n_threads(None)} threads\n",
        flush=True,
    )
    rows, losses = compare(X, y, classify, arguments.epochs)
    measure = "test accuracy" if classify else "test R2"
    print(f"\ntraining loss of fastmlp\n{curve(losses)}\n")
    print(f"{'':13}{'seconds':>9}{measure:>16}{'time / fastmlp':>17}")
    for name, seconds, score in rows:
        shown = f"{100 * score:.1f} %" if classify else f"{score:.3f}"
        print(f"{name:<13}{seconds:>9.3f}{shown:>16}{seconds / rows[0][1]:>16.1f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
