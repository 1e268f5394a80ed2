"""The demonstration: train on handwritten digits, or on your own table, beside two peers."""

import contextlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as SklearnClassifier
from sklearn.neural_network import MLPRegressor as SklearnRegressor
from sklearn.preprocessing import StandardScaler

from fastmlp.app.drawings import Bar, curve
from fastmlp.app.numpy_mlp import NumpyMLP
from fastmlp.app.tables import TableError, as_targets, read_table
from fastmlp.core.native import _native
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.regressor import MLPRegressor

HIDDEN = (100,)
BATCH = 200


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
    ours = MLPClassifier if classify else MLPRegressor
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


def _load(data: Path | None, target: str) -> tuple[Array, Array, bool, str]:
    """The data (X, y), whether y are classes, and what the data are.

    Raises
    ------
    TableError
        Says why a table cannot be used.
    """
    if data is None:
        X, y = load_digits(return_X_y=True)
        return X.astype(np.float32), y, True, "scikit-learn's handwritten digits"
    X, y = read_table(data, target)
    y, classify = as_targets(y)
    if classify and (len(np.unique(y)) < 2 or np.unique(y, return_counts=True)[1].min() < 4):
        raise TableError("--target: needs at least two classes of four rows each")
    if len(y) < 8:
        raise TableError(f"{data}: {len(y)} rows; at least 8 are needed")
    return X, y, classify, f"{data.name}, column {target!r}"


def run(data: Path | None, target: str, epochs: int) -> None:
    """Train on a table, or on handwritten digits, and print how it went.

    Parameters
    ----------
    data : Path or None
        A CSV file with a header line; None: the digits.
    target : str
        Its column to predict.
    epochs : int
        Passes over the data.

    Raises
    ------
    TableError
        Says why the table cannot be used.
    """
    X, y, classify, what = _load(data, target)
    outputs = len(np.unique(y)) if classify else 1
    kind = f"{outputs} classes" if classify else "regression"
    print(f"{what}: {len(X)} rows, {X.shape[1]} features, {kind}")
    sizes = "-".join(map(str, [X.shape[1], *HIDDEN, outputs]))
    print(
        f"network {sizes}, relu, adam, float32, batches of {BATCH}; "
        f"engine {_native.engine()}, {n_threads(None)} threads\n",
        flush=True,
    )
    rows, losses = compare(X, y, classify, epochs)
    measure = "test accuracy" if classify else "test R2"
    print(f"\ntraining loss of fastmlp\n{curve(losses)}\n")
    print(f"{'':13}{'seconds':>9}{measure:>16}{'time / fastmlp':>17}")
    for name, seconds, score in rows:
        shown = f"{100 * score:.1f} %" if classify else f"{score:.3f}"
        print(f"{name:<13}{seconds:>9.3f}{shown:>16}{seconds / rows[0][1]:>16.1f}x")
