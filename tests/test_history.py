"""What a call costs depends on its own data, and not on what was before."""

import copy
import multiprocessing
import os
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.metrics
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state

from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron
from fastmlp.core.network import Network
from fastmlp.core.random import random_generator
from fastmlp.estimators.scoring import r2
from fastmlp.estimators.session import TrainingSession

rng = np.random.RandomState(0)
X = rng.normal(size=(60, 4))
y = (X[:, 0] + X[:, 1] > 0).astype(int)
z = X @ [1.0, 2.0, -1.0, 0.5]


# --- curves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, Perceptron, Adaline])
def test_partial_fit_adds_to_its_curves_and_copies_none(Estimator, monkeypatch):
    """Each call copied them: after a million calls it took ten times as long."""
    model = Estimator(random_state=0)
    first = {} if Estimator is MLPRegressor else {"classes": [0, 1]}
    model.partial_fit(X, y, **first)
    names = [name for name in ("loss_curve_", "learning_rate_curve_") if hasattr(model, name)]
    curves = [getattr(model, name) for name in names]
    for n in (2, 3):
        model.partial_fit(X, y)
        for name, curve in zip(names, curves, strict=True):
            assert getattr(model, name) is curve
            assert len(curve) == n
    before = [list(curve) for curve in curves]

    copies = [copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for other in copies:
        other.partial_fit(X, y)
        assert [len(getattr(other, name)) for name in names] == [4] * len(names)
        assert curves == before
    model.partial_fit(X, y)
    assert model.loss_curve_ == copies[0].loss_curve_ == copies[1].loss_curve_

    for curve in curves:
        del curve[3:]  # a user's own edit
    monkeypatch.setattr("builtins.print", None)  # which fails when the epoch was recorded
    with pytest.raises(TypeError):
        model.set_params(verbose=True).partial_fit(X, y)
    assert curves == before
    assert all(getattr(model, name) is curve for name, curve in zip(names, curves, strict=True))


# --- the network that stays open -----------------------------------------------------------------


def weights(model):
    slopes = getattr(model, "activation_slopes_", ())
    return [*model.coefs_, *model.intercepts_, *(slope for slope in slopes if slope is not None)]


def assert_same(a, b):
    """The same weights, and the same state of the solver."""
    for left, right in zip(weights(a), weights(b), strict=True):
        np.testing.assert_array_equal(left, right)
    for one, other in zip(a._optimizer.state, b._optimizer.state, strict=True):
        for left, right in zip(one.in_core_order(), other.in_core_order(), strict=True):
            np.testing.assert_array_equal(left, right)
    assert a._optimizer.steps == b._optimizer.steps


@pytest.fixture
def opened(monkeypatch):
    """Weak references to the networks that are opened."""
    found = []

    class Watched(Network):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            found.append(weakref.ref(self))

    monkeypatch.setattr("fastmlp.training.optimizer.Network", Watched)
    return found


@pytest.mark.parametrize("parameters", [
    {},
    {"solver": "sgd", "alpha": 0.1, "learning_rate": "invscaling"},
    {"solver": "amsgrad", "activation": "prelu", "dropout": 0.3},
    {"solver": "adadelta", "activation": ["maxout", "tanh"], "clip_norm": 0.1, "max_norm": 1.0},
])  # fmt: skip
@pytest.mark.parametrize("kind", [np.float32, np.float64, csr_matrix])
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_partial_fit_goes_on_with_an_open_network(Estimator, parameters, kind, opened):
    """Each call copied weights and state in and out, which took as long as training."""
    rows = kind(X) if kind is csr_matrix else X.astype(kind)
    model = Estimator(hidden_layer_sizes=(6, 5), batch_size=20, random_state=0, **parameters)
    first = {} if Estimator is MLPRegressor else {"classes": [0, 1]}
    model.partial_fit(rows, y, **first)
    assert len(opened) == 1
    for _ in range(4):
        other = pickle.loads(pickle.dumps(model)).partial_fit(rows, y)
        model.partial_fit(rows, y)
        assert_same(model, other)
    del other
    assert sum(network() is not None for network in opened) == 1
    assert len(opened) == 1 + 4


def test_what_is_done_to_the_weights_is_honoured(opened):
    model = MLPRegressor("squared_error", (6, 5), "prelu", random_state=0).partial_fit(X, z)
    for change in (
        lambda: model.coefs_[0].__imul__(0.5),
        lambda: model.activation_slopes_[1].fill(0.1),
        lambda: model.coefs_.__setitem__(1, model.coefs_[1] - 0.1),
        lambda: setattr(model, "intercepts_", [np.zeros_like(b) for b in model.intercepts_]),
    ):
        change()
        other = pickle.loads(pickle.dumps(model)).partial_fit(X, z)
        assert_same(model.partial_fit(X, z), other)
    assert len(opened) == 1 + 4


def test_another_network_is_opened_where_another_is_needed(opened):
    model = MLPClassifier((6,), random_state=0).partial_fit(X, y, classes=[0, 1])
    for change in (
        {},
        {"alpha": 0.1},
        {"l1": 0.1},
        {"activation": "tanh"},
        {"label_smoothing": 0.1},
        {"batch_size": 7},
        {"batch_size": "auto"},
    ):
        model.set_params(**change)
        other = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
        assert_same(model.partial_fit(X, y), other)
        assert len(opened) == (3 if change else 2)
        del opened[:-1]
    for rows in (csr_matrix(X), X):
        other = pickle.loads(pickle.dumps(model)).partial_fit(rows, y)
        assert_same(model.partial_fit(rows, y), other)
    del opened[:]
    for n in (40, 60, 13, 1):  # fewer rows than in a batch need no other
        other = pickle.loads(pickle.dumps(model)).partial_fit(X[:n], y[:n])
        assert_same(model.partial_fit(X[:n], y[:n]), other)
    assert len(opened) == 4


@pytest.mark.parametrize("duplicate", [
    copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))
])  # fmt: skip
@pytest.mark.parametrize("first", ["original", "duplicate"])
def test_a_copy_shares_no_open_network(duplicate, first):
    model, expected = (MLPClassifier((6,), random_state=0) for _ in range(2))
    for each in (model, expected):
        each.partial_fit(X, y, classes=[0, 1]).partial_fit(X, y)
    other = duplicate(model)
    one, two = (model, other) if first == "original" else (other, model)
    before = two.predict_proba(X)
    one.partial_fit(X, 1 - y)
    np.testing.assert_array_equal(two.predict_proba(X), before)
    two.partial_fit(X, y)
    assert_same(two, expected.partial_fit(X, y))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_call_that_fails_leaves_the_solvers_state(solver, monkeypatch):
    model, expected = (
        MLPRegressor(hidden_layer_sizes=(6,), solver=solver, random_state=0) for _ in range(2)
    )
    for each in (model, expected):
        each.partial_fit(X, z).partial_fit(X, z)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="diverged"):
        model.partial_fit(1e200 * X, z)
    with monkeypatch.context() as failing:
        failing.setattr("builtins.print", None)  # after the steps
        with pytest.raises(TypeError):
            model.set_params(verbose=True).partial_fit(X, z)
    model.set_params(verbose=False)
    assert vars(model) == before
    assert_same(model, expected)
    for _ in range(2):
        assert_same(model.partial_fit(X, z), expected.partial_fit(X, z))


def test_fits_leave_no_network_open(opened):
    model = MLPClassifier((6,), max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    model.partial_fit(X, y)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    assert not any(network() for network in opened)
    clone(model.partial_fit(X, y))
    assert sum(network() is not None for network in opened) == 1
    del model
    assert not any(network() for network in opened)


def test_threads_go_on_from_one_estimator():
    """Each of them from the same point, and a pickle of any moment is of one."""
    model = MLPClassifier((60, 60), random_state=0).partial_fit(X, y, classes=[0, 1])
    right, seen = [], []
    again = pickle.loads(pickle.dumps(model))
    for _ in range(41):
        right.append([array.sum() for state in again._optimizer.state for array in state.weights])
        again.partial_fit(X, y)
    ended = threading.Event()

    def watch():
        while not ended.is_set():
            found = pickle.loads(pickle.dumps(model))._optimizer
            seen.append([array.sum() for state in found.state for array in state.weights])

    with ThreadPoolExecutor(4) as pool:
        watching = pool.submit(watch)
        try:
            for _ in range(20):  # two go on from the same point: one of them counts
                for done in [pool.submit(model.partial_fit, X, y) for _ in range(2)]:
                    done.result()
        finally:
            ended.set()
        watching.result()
    assert model._optimizer.steps <= 41
    assert seen
    assert all(found in right for found in seen)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_goes_on_with_the_open_network():
    many, labels = np.tile(X, (50, 1)), np.tile(y, 50)
    model = MLPClassifier((60, 60), random_state=0).partial_fit(many, labels, classes=[0, 1])
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(weights(model.partial_fit(many, labels))))
    child.start()
    assert receiver.poll(60)
    found = receiver.recv()
    child.join()
    for left, right in zip(found, weights(model.partial_fit(many, labels)), strict=True):
        np.testing.assert_array_equal(left, right)


# --- epochs with a look at the network in between ------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("parameters", [
    {},
    {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.1},
    {"solver": "rmsprop", "activation": ["prelu", "tanh"], "dropout": 0.2},
    {"learning_rate": "one_cycle", "activation": "maxout", "clip_norm": 0.1},
    {"early_stopping": True, "scoring": "loss"},
])  # fmt: skip
@pytest.mark.parametrize("kind", [np.float32, csr_matrix])
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_a_session_trains_what_fit_trains(Estimator, parameters, kind, opened):
    rows = kind(X)
    common = {"hidden_layer_sizes": (6, 5), "batch_size": 20, "random_state": 0, **parameters}
    model = Estimator(max_iter=8, **common)
    before = dict(vars(model))
    session = TrainingSession(model, rows, y)
    for epochs in (1, 3, 4):
        loss = session.train(epochs)
    fitted, expected = session.fitted(), clone(model).fit(rows, y)
    assert vars(model) == before
    assert len(opened) == 2
    assert loss == fitted.loss_ == expected.loss_
    assert fitted.loss_curve_ == expected.loss_curve_
    assert fitted.learning_rate_curve_ == expected.learning_rate_curve_
    assert fitted.n_iter_ == 8
    if not model.early_stopping:  # which keeps the best weights
        assert_same(fitted, expected)


def test_a_session_trains_what_partial_fit_trains():
    """Which shuffles as its first epoch each time."""
    model = MLPClassifier((6,), shuffle=False, random_state=0, batch_size=20)
    session = TrainingSession(model, X, y)
    session.train(3)
    fitted = session.fitted()
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1])
    assert_same(fitted, model)
    session.train(2)
    right = session.fitted()
    for each in (fitted, model):
        each.partial_fit(X, y).partial_fit(X, y)
        assert_same(each, right)


@pytest.mark.parametrize("activation", [["relu", "tanh"], ["maxout", "prelu"]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_session_shows_the_outputs_of_all_layers(activation, dtype):
    many = np.tile(X, (5, 1))
    for rows in (many.astype(dtype), csr_matrix(many.astype(dtype)), many[:1], many.tolist()):
        for labels in (y, y + (X[:, 2] > 0)):
            model = MLPClassifier((9, 5), activation, random_state=0)
            session = TrainingSession(model, X.astype(dtype), labels)
            for epochs in (0, 2):
                session.train(epochs)
                fitted, layers = session.fitted(), session.activations(rows)
                assert len(layers) == 3
                for layer in (0, 1):
                    right = fitted.hidden_activations(rows, layer)
                    np.testing.assert_array_equal(layers[layer], right)
                right = fitted.predict_proba(rows)
                np.testing.assert_array_equal(layers[2], right[:, -layers[2].shape[1] :])
    linear = TrainingSession(MLPRegressor(hidden_layer_sizes=(), random_state=0), X, z)
    np.testing.assert_array_equal(linear.activations(X)[0][:, 0], linear.fitted().predict(X))


def test_what_ends_a_session():
    session = TrainingSession(MLPRegressor(hidden_layer_sizes=(6,), random_state=0), X, z)
    fitted = session.fitted()
    before = weights(fitted.partial_fit(X, z))
    session.train(3)
    assert all(left is right for left, right in zip(weights(fitted), before, strict=True))
    session = TrainingSession(session.fitted().set_params(warm_start=True), 1e200 * X, z)
    with pytest.raises(ValueError, match="diverged"):
        session.train()
    with pytest.raises(ValueError, match="first-order"):
        TrainingSession(MLPRegressor(solver="lbfgs"), X, z)
    with pytest.raises(ValueError, match="alpha"):
        TrainingSession(MLPRegressor(alpha=-1), X, z)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        TrainingSession(MLPRegressor(), np.full_like(X, np.nan), z)


# --- fixed costs ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, Perceptron, Adaline])
def test_clean_arrays_are_not_checked_by_scikit_learn(Estimator, monkeypatch):
    """Its checks took longer than the fit of a few rows, and come to the same."""
    for labels in (y, y > 0, np.arange(60, dtype=np.uint8) % 3):
        model = Estimator(random_state=0, max_iter=3)
        first = {} if Estimator is MLPRegressor else {"classes": np.unique(labels)}
        checked = clone(model).fit(X.tolist(), labels.tolist())
        with monkeypatch.context() as without:
            for name in ("validate_data", "unique_labels", "type_of_target"):
                without.setattr(f"fastmlp.estimators.base.{name}", None)
            model.fit(X, labels)
            for _ in range(2):
                clone(model).partial_fit(X, labels, **first).partial_fit(X, labels, **first)
        assert vars(model).keys() == vars(checked).keys()
        assert model.n_features_in_ == 4
        np.testing.assert_array_equal(model.predict(X), checked.predict(X))
        if Estimator is MLPClassifier:
            ours, theirs = model._label_binarizer, checked._label_binarizer
            assert vars(ours).keys() == vars(theirs).keys()
            assert ours.y_type_ == theirs.y_type_
        if Estimator is not MLPRegressor:
            assert model.classes_.dtype == labels.dtype
            np.testing.assert_array_equal(model.classes_, np.unique(labels))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, Perceptron, Adaline])
def test_what_is_wrong_with_arrays_is_said_as_ever(Estimator):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = Estimator(random_state=0, max_iter=3).fit(frame, y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.partial_fit(X, y)
    model.fit(X, y)
    assert not hasattr(model, "feature_names_in_")
    with pytest.raises(ValueError, match="X has 3 features"):
        model.partial_fit(X[:, :3].copy(), y)
    for wrong, text in (
        ((X[:0], y[:0]), "Found array with 0 sample"),
        ((X[:, :0], y), "Found array with 0 feature"),
        ((X, y[:5]), "inconsistent numbers of samples"),
        ((np.where(X > 0, X, np.nan), y), "Input X contains NaN"),
        ((X, np.where(y, 1.0, np.inf)), "Input y contains infinity"),
        ((X, y[:0]), "0 sample|inconsistent"),
    ):
        for method in (model.fit, model.partial_fit):
            with pytest.raises(ValueError, match=text):
                method(*wrong)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("Frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, Perceptron, Adaline])
def test_a_few_rows_of_a_frame_are_not_checked_by_scikit_learn(Estimator, Frame, monkeypatch):
    """Its checks of a frame's row took fifty times as long as the prediction."""
    columns = dict(zip("abcd", X.T, strict=True))
    frame = Frame(columns)
    model = Estimator(random_state=0, max_iter=3).fit(frame, y)
    right = model.predict(frame)
    with monkeypatch.context() as without:
        for module in ("fitted", "single_layer"):
            without.setattr(f"fastmlp.estimators.{module}.validate_data", None)
        for n in (1, 3):
            np.testing.assert_array_equal(model.predict(frame[:n]), right[:n])
    np.testing.assert_array_equal(model.predict(Frame(columns)[:3]), right[:3])

    with pytest.raises(ValueError, match="same order as they were in fit"):
        model.predict(frame[["b", "a", "c", "d"]][:1])
    with pytest.raises(ValueError, match="unseen at fit time"):
        model.predict(Frame({"e": [1.0], "f": [1.0], "g": [1.0], "h": [1.0]}))
    with pytest.raises(ValueError, match="contains NaN"):
        model.predict(Frame({name: [np.nan] for name in "abcd"}))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X[:1])
    whole = Frame({name: [1, 2] for name in "abcd"})  # is converted
    np.testing.assert_array_equal(model.predict(whole), model.predict(Frame(
        {name: [1.0, 2.0] for name in "abcd"})))  # fmt: skip
    single = Estimator(random_state=0, max_iter=3).fit(X.astype(np.float32), y)
    with pytest.warns(UserWarning, match="X has feature names"):
        single.predict(frame[:1])


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, np.int64(7), True])
def test_generators_are_scikit_learns_to_the_bit(seed):
    ours, theirs = random_generator(seed), check_random_state(seed)
    for again in (ours, pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        assert again.get_state()[0] == theirs.get_state()[0]
        np.testing.assert_array_equal(again.get_state()[1], theirs.get_state()[1])
        assert again.get_state()[2:] == theirs.get_state()[2:]
    np.testing.assert_array_equal(ours.normal(size=700), theirs.normal(size=700))


def test_so_many_classes_that_scikit_learn_warns():
    labels = np.arange(40) // 2 + np.arange(40) % 2
    with pytest.warns(UserWarning, match="number of unique classes is greater than 50%"):
        Perceptron(max_iter=1, tol=None).fit(X[:40], labels)


# --- scores --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_r2_is_scikit_learns_to_the_bit(dtype, weighted, n_outputs):
    predicted = rng.normal(size=(50, n_outputs)).astype(dtype)
    weights = rng.rand(50).astype(dtype) if weighted else None
    constant, exact = np.full(predicted.shape, 3.0), predicted.astype(np.float64)
    some = np.where(np.arange(n_outputs) == 0, 3.0, predicted + 0.1)
    whole = rng.randint(5, size=predicted.shape)
    for targets in (predicted + 0.5, some, constant, exact, whole):
        if n_outputs == 1:
            targets = targets[:, 0]
        right = r2_score(targets, predicted, sample_weight=weights)
        assert r2(targets, predicted, weights) == right


def test_r2_of_one_sample_is_none():
    with pytest.warns(UndefinedMetricWarning, match="less than two samples"):
        assert np.isnan(r2(z[:1], z[:1, None], None))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_scorer_is_looked_up_once_and_r2_not_at_all(monkeypatch):
    """Looking it up took as long as many epochs; so did the checks of `r2_score`."""
    found = []
    look_up = sklearn.metrics.check_scoring
    monkeypatch.setattr(
        sklearn.metrics, "check_scoring", lambda *args: found.append(args) or look_up(*args)
    )
    common = {"hidden_layer_sizes": (3,), "early_stopping": True, "n_iter_no_change": 100}
    counts = []
    for epochs in (2, 40):
        MLPClassifier(scoring="roc_auc", max_iter=epochs, **common).fit(X, y)
        counts.append(len(found))
        found.clear()
    assert counts[0] == counts[1] <= 2
    monkeypatch.setattr(sklearn.metrics, "r2_score", None)
    MLPRegressor(max_iter=3, **common).fit(X, z)
    assert not found
