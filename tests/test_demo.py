"""`python -m fastmlp` without a table: what it shows."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fastmlp.app.numpy_mlp import NumpyMLP


def run(*arguments, encoding="utf-8"):
    return subprocess.run(
        [sys.executable, "-m", "fastmlp", *map(str, arguments)],
        capture_output=True, encoding=encoding, check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip


def accuracies(text):
    rows = [line.split() for line in text.splitlines() if line.startswith(("fastmlp ", "NumPy "))]
    rows += [line.split() for line in text.splitlines() if line.startswith("scikit-learn ")]
    return {row[0]: float(row[2]) for row in rows}


def test_digits():
    result = run("--epochs", 30)
    assert result.returncode == 0, result.stderr
    scores = accuracies(result.stdout)
    assert scores["fastmlp"] == scores["scikit-learn"] > 95
    assert scores["NumPy"] > 95
    assert "█" in result.stdout
    assert result.stderr.count("30/30 epochs") == 3  # each one's progress bar, complete


def test_an_encoding_without_bars():
    """As a pipe has it on Windows."""
    result = run("--epochs", 2, encoding="cp1252")
    assert result.returncode == 0, result.stderr
    assert "test accuracy" in result.stdout


def test_epochs():
    assert "--epochs must be at least 1" in run("--epochs", 0).stderr


def test_the_numpy_network_computes_the_right_gradient():
    """The peer is honest: its loss falls along its gradient as calculus says it must."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 6)).astype(np.float32)
    for classify, Y in [(True, np.eye(3, dtype=np.float32)[rng.integers(3, size=50)]),
                        (False, rng.standard_normal((50, 1)).astype(np.float32))]:  # fmt: skip
        model = NumpyMLP([6, 8, Y.shape[1]], classify=classify, learning_rate=0.0, alpha=0.5)
        loss = model.step(X, Y)
        gradient = model.gradient.copy()
        length = np.linalg.norm(gradient)
        model.theta -= 1e-3 * gradient / length
        assert model.step(X, Y) - loss == pytest.approx(-1e-3 * length, rel=0.05)
