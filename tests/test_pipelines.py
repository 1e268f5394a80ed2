"""Pipelines that hold our networks: as ONNX models, and in files of joblib and skops."""

import doctest
import pathlib
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import fastmlp
from fastmlp import MLPClassifier, MLPRegressor, Perceptron
from tests.test_convert import activations, data, dtypes, run_onnx

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OPTIONS = {"hidden_layer_sizes": (7, 5), "max_iter": 5, "random_state": 1, "batch_size": 20}


def pipeline(Estimator, X, y, **parameters):
    return make_pipeline(StandardScaler(), Estimator(**OPTIONS | parameters)).fit(X, y)


def convert(model, X, path=None):
    pytest.importorskip("skl2onnx")
    return fastmlp.to_onnx(model, path, X)


def assert_agrees(model, X, tolerance=1e-5, values="probabilities"):
    alone = isinstance(getattr(model, "best_estimator_", model), MLPClassifier)
    results = run_onnx(convert(model, X), X, "N" if alone else None)
    np.testing.assert_array_equal(results.pop("label"), model.predict(X))
    ours = model.predict_proba(X) if values == "probabilities" else model.decision_function(X)
    np.testing.assert_allclose(results.pop(values), ours, rtol=tolerance, atol=tolerance)
    assert not results


@dtypes
@activations
def test_a_scaler_and_a_network_of_every_activation(activation, dtype):
    X, y = data("multiclass", dtype)
    tolerance = 1e-5 if dtype == np.float32 or activation == "gelu" else 1e-12
    model = pipeline(MLPClassifier, X, y, activation=activation, maxout_pieces=3)
    assert_agrees(model, 2 * X, tolerance)
    assert run_onnx(convert(model, X), X, None)["probabilities"].dtype == dtype


@pytest.mark.parametrize("names", [["a", "b", "ä"], [3, -1, 2**40], [False, True]])
def test_class_labels(names):
    X, numbers = data("multiclass")
    y = np.array(names)[numbers % len(names)]
    assert_agrees(pipeline(MLPClassifier, X, y), X)


@pytest.mark.parametrize("loss", ["hinge", "perceptron"])
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_margins(loss, kind):
    X, y = data(kind)
    assert_agrees(pipeline(MLPClassifier, X, y, loss=loss), X, values="scores")


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_probabilities(loss, kind):
    X, y = data(kind)
    assert_agrees(pipeline(MLPClassifier, X, y, loss=loss), X)


@pytest.mark.parametrize("kind", ["regression", "multi-output"])
def test_regression(kind):
    X, y = data(kind)
    model = pipeline(MLPRegressor, X, y, activation="prelu")
    results = run_onnx(convert(model, X), X, None)
    expected = model.predict(X).reshape(len(X), -1)
    np.testing.assert_allclose(results["variable"], expected, rtol=1e-12)


def test_a_search_is_its_best_estimator():
    X, y = data("multiclass")
    for model in (pipeline(MLPClassifier, X, y), MLPClassifier(**OPTIONS)):
        name = "alpha" if isinstance(model, MLPClassifier) else "mlpclassifier__alpha"
        search = GridSearchCV(model, {name: [1e-4, 1.0]}, cv=2).fit(X, y)
        assert_agrees(search, X)
        assert convert(search, X) == convert(search.best_estimator_, X)


def test_an_ensemble_that_holds_a_network():
    X, y = data("multiclass", np.float32)
    network = MLPClassifier(**OPTIONS)
    model = VotingClassifier([("a", network), ("b", LogisticRegression())], voting="soft",
                             flatten_transform=False)  # fmt: skip
    assert_agrees(make_pipeline(StandardScaler(), model).fit(X, y), X)


# --- data frames ---------------------------------------------------------------------------------


def frame():
    X, y = data("regression")
    table = pd.DataFrame({"size": X[:, 0], "age": X[:, 1].astype(np.float32)})
    table["town"] = np.where(X[:, 2] > 0, "Ulm", np.where(X[:, 3] > 0, "Jena", "Köln"))
    table["rooms"] = (4 * abs(X[:, 4])).astype(int)
    return table, y


def test_columns_of_a_data_frame_are_inputs(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    table, y = frame()
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["town"]), (StandardScaler(), ["size", "age"]),
        ("passthrough", ["rooms"]), sparse_threshold=0,
    )  # fmt: skip
    model = make_pipeline(columns, MLPRegressor(**OPTIONS)).fit(table, y)
    path = tmp_path / "houses.onnx"
    assert convert(model, table, path).SerializeToString() == path.read_bytes()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    kinds = {column.name: column.type for column in session.get_inputs()}
    assert kinds == {"size": "tensor(double)", "age": "tensor(float)", "town": "tensor(string)",
                     "rooms": "tensor(int64)"}  # fmt: skip
    inputs = {name: table[[name]].to_numpy() for name in table}
    (predicted,) = session.run(["variable"], inputs)
    np.testing.assert_allclose(predicted[:, 0], model.predict(table), rtol=1e-4, atol=1e-5)


def test_columns_that_go_into_a_network_as_they_are():
    onnxruntime = pytest.importorskip("onnxruntime")
    table, y = frame()
    table = table[["size", "rooms"]]
    model = make_pipeline(MLPRegressor(**OPTIONS)).fit(table, y)
    content = convert(model, table).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (predicted,) = session.run(None, {name: table[[name]].to_numpy() for name in table})
    np.testing.assert_allclose(predicted[:, 0], model.predict(table), rtol=1e-12)


# --- networks alone, errors ----------------------------------------------------------------------


def test_a_network_alone_is_its_own_method(tmp_path):
    pytest.importorskip("onnx")
    X, y = data("multiclass")
    clf = MLPClassifier(**OPTIONS).fit(X, y)
    assert fastmlp.to_onnx(clf) == clf.to_onnx()
    model = fastmlp.to_onnx(clf, tmp_path / "model", X.astype(np.float32))
    assert model == clf.to_onnx(X=X.astype(np.float32))
    assert (tmp_path / "model").read_bytes() == model.SerializeToString()


def test_what_cannot_be_written(tmp_path):
    X, y = data("binary")
    with pytest.raises(NotFittedError):
        convert(make_pipeline(StandardScaler(), MLPClassifier()), X)
    with pytest.raises(NotFittedError):
        convert(MLPClassifier(), X)
    model = pipeline(MLPClassifier, X, y)
    with pytest.raises(ValueError, match="to_onnx of a Pipeline needs X"):
        convert(model, None)
    with pytest.raises(ValueError, match=r"X must be of shape \(n_samples, n_features\)"):
        convert(model, X[0])
    with pytest.raises(OSError, match="missing"):
        convert(model, X, tmp_path / "missing" / "model")
    with pytest.raises(Exception, match="Perceptron"):  # of skl2onnx: there is no converter
        convert(make_pipeline(StandardScaler(), Perceptron()).fit(X, y), X)


@pytest.mark.parametrize("module", ["onnx", "skl2onnx"])
def test_a_missing_package_is_named(module, monkeypatch):
    model, X = pipeline(MLPClassifier, *data("binary")), data("binary")[0]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"needs the package {module}: pip .*fastmlp\[onnx\]"):
        fastmlp.to_onnx(model, X=X)


# --- docs/pipelines.md ---------------------------------------------------------------------------


def test_the_page_says_what_happens(tmp_path, monkeypatch):
    for package in ("skl2onnx", "skops", "onnxruntime"):
        pytest.importorskip(package)
    page = pathlib.Path(__file__).parent.parent / "docs" / "pipelines.md"
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(
        str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried > 15
    assert failed == 0
