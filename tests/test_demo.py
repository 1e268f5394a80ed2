"""`python -m fastmlp`: what it shows, and what it says of tables it cannot read."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from fastmlp import __main__ as demo
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


def table(path, text):
    path.write_text(text)
    return path


def test_own_tables(tmp_path):
    rng = np.random.RandomState(0)
    a, b = rng.randn(2, 200)
    rows = [f"{x},{y},{'up' if x > y else 'down'},{x - 2 * y}"
            for x, y in zip(a, b, strict=True)]  # fmt: skip
    classes = table(
        tmp_path / "c.csv", "\n".join(["a, b ,c", *(r.rsplit(",", 1)[0] for r in rows)])
    )
    result = run("--data", classes, "--target", "c", "--epochs", 60)
    assert "200 rows, 2 features, 2 classes" in result.stdout, result.stderr
    assert accuracies(result.stdout)["fastmlp"] > 85
    lines = ["a,b,c", *(",".join(np.take(row.split(","), [0, 1, 3])) for row in rows)]
    values = table(tmp_path / "v.csv", "\n".join(lines))
    result = run("--data", values, "--target", "c", "--epochs", 60)
    assert "regression" in result.stdout, result.stderr
    assert accuracies(result.stdout)["fastmlp"] > 0.8


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (None, "c", "no such file"),
        ("a,b\n1,2\n", "c", "--target: no column 'c' in .*; it has a, b"),
        ("a,c\n1,2\nx y,3\n", "c", "line 3, column 'a': 'x y' is not a number"),
        ("a,c\n1,2\n,3\n", "c", "line 3, column 'a': '' is not a number"),
        ("a,c\n1,2\nnan,3\n", "c", "column 'a': 'nan' is not a number"),
        ("a,c\n1,2,3\n", "c", "line 2: 3 fields, but the header has 2"),
        ("a,c\n", "c", "no rows below the header"),
        ("", "c", "no column 'c'"),
        ("c\n1\n", "c", "no column besides the target"),
        ("a,c\n" + "1,x\n" * 20, "c", "at least two classes"),
        ("a,c\n1,0.5\n2,0.7\n", "c", "2 rows; at least 8 are needed"),
        ("a,c\n" + "1,inf\n" * 20, "c", "not finite numbers"),
        ("a,c\n1,2\n1e300,3\n", "c", "line 3, column 'a': '1e300' is not a number of float32"),
        ("a,c\n1,\udce9\n", "c", "not a CSV file in UTF-8"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, monkeypatch, capsys, text, target, message):
    path = tmp_path / "t.csv"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    monkeypatch.setattr(sys, "argv", ["fastmlp", "--data", str(path), "--target", target])
    assert demo.main() == 2
    errors = capsys.readouterr().err
    assert len(errors.splitlines()) == 1
    assert re.search(message, errors)


def test_arguments_that_make_no_sense():
    assert "go together" in run("--data", "x.csv").stderr
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
