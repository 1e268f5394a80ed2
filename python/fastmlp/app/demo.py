"""The demonstration: train on handwritten digits, beside two peers."""

import contextlib
import time
import warnings
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as SklearnClassifier
from sklearn.preprocessing import StandardScaler

from fastmlp.app.drawings import Bar, curve
from fastmlp.app.numpy_mlp import NumpyMLP
from fastmlp.core.native import _native
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array
from fastmlp.estimators.classifier import MLPClassifier

HIDDEN = (100,)
BATCH = 200


def compare(X: Array, y: Array, epochs: int) -> tuple[list[Any], list[float]]:
    """Train the three on the same work; rows of (name, seconds, accuracy), and our losses."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, random_state=0, stratify=y
    )
    scaler = StandardScaler().fit(X_train)
    X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    labels, codes = np.unique(y_train, return_inverse=True)
    Y = np.eye(len(labels), dtype=np.float32)[codes]

    rows: list[Any] = []
    losses: list[float] = []
    parameters = {"hidden_layer_sizes": HIDDEN, "batch_size": BATCH,
                  "max_iter": epochs, "n_iter_no_change": epochs, "random_state": 0,
                  "verbose": True}  # fmt: skip
    for name, cls in [("fastmlp", MLPClassifier), ("scikit-learn", SklearnClassifier)]:
        model = cls(**parameters)
        with contextlib.redirect_stdout(Bar(name, epochs)), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            start = time.perf_counter()
            model.fit(X_train, y_train)
            seconds = time.perf_counter() - start
        rows.append((name, seconds, accuracy_score(y_test, model.predict(X_test))))
        losses = losses or model.loss_curve_

    numpy_mlp = NumpyMLP([X.shape[1], *HIDDEN, len(labels)], classify=True)
    bar = Bar("NumPy", epochs)
    start = time.perf_counter()
    numpy_mlp.fit(X_train, Y, epochs=epochs, batch_size=BATCH, on_epoch=bar.advance)
    seconds = time.perf_counter() - start
    rows.append(("NumPy", seconds, accuracy_score(y_test, labels[numpy_mlp.predict(X_test)])))
    return rows, losses


def run(epochs: int) -> None:
    """Train on handwritten digits, and print how it went.

    Parameters
    ----------
    epochs : int
        Passes over the data.
    """
    X, y = load_digits(return_X_y=True)
    classes = len(np.unique(y))
    print(
        f"scikit-learn's handwritten digits: {len(X)} rows, {X.shape[1]} features, "
        f"{classes} classes"
    )
    sizes = "-".join(map(str, [X.shape[1], *HIDDEN, classes]))
    print(
        f"network {sizes}, relu, adam, float32, batches of {BATCH}; "
        f"engine {_native.engine()}, {n_threads(None)} threads\n",
        flush=True,
    )
    rows, losses = compare(X.astype(np.float32), y, epochs)
    print(f"\ntraining loss of fastmlp\n{curve(losses)}\n")
    print(f"{'':13}{'seconds':>9}{'test accuracy':>16}{'time / fastmlp':>17}")
    for name, seconds, score in rows:
        shown = f"{100 * score:.1f} %"
        print(f"{name:<13}{seconds:>9.3f}{shown:>16}{seconds / rows[0][1]:>16.1f}x")
