"""Same seed, same model: whole fits against scikit-learn's, in float64."""

import itertools
import warnings
from functools import cache

import numpy as np
import pytest
import scipy.sparse
from sklearn import datasets, neural_network

import fastmlp

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:The MLP.* has learned nothing"
)

ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]


@cache
def data(kind):
    """(X, y) with 230 rows: neither a multiple of the batch sizes used nor of any tile."""
    common = {"n_samples": 230, "random_state": 0}
    if kind in ("binary", "multiclass"):
        return datasets.make_classification(
            n_features=11, n_informative=6, n_classes=2 if kind == "binary" else 4, flip_y=0.1,
            **common,
        )  # fmt: skip
    if kind == "multilabel":
        X, y = datasets.make_multilabel_classification(n_features=9, n_classes=5, **common)
        return X / X.std(), y
    X, y = datasets.make_regression(
        n_features=8, n_targets=3 if kind == "multioutput" else 1, noise=5.0, **common
    )
    y = y / y.std(axis=0)
    return (X, np.round(np.exp(y))) if kind == "poisson" else (X, y)


def pair(kind, **parameters):
    """Our estimator and scikit-learn's, unfitted."""
    regression = kind in ("regression", "multioutput", "poisson")
    if kind == "poisson":
        parameters["loss"] = "poisson"
    name = "MLPRegressor" if regression else "MLPClassifier"
    parameters = {"hidden_layer_sizes": (17,), "max_iter": 40, "random_state": 5, **parameters}
    return [getattr(module, name)(**parameters) for module in (fastmlp, neural_network)]


def assert_same_model(ours, theirs, X, tolerance=1e-8, lbfgs=False):
    largest = max(np.abs(w).max() for w in theirs.coefs_ + theirs.intercepts_)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * largest, err_msg=name)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=tolerance, abs=tolerance)
    if not lbfgs:
        assert ours.n_iter_ == theirs.n_iter_
        assert len(ours.loss_curve_) == len(theirs.loss_curve_)
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=0, atol=tolerance)
        assert (ours.validation_scores_ is None) == (theirs.validation_scores_ is None)
        if ours.validation_scores_ is not None:
            np.testing.assert_allclose(
                ours.validation_scores_, theirs.validation_scores_, rtol=0, atol=tolerance
            )
            assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_)
        assert (ours.best_loss_ is None) == (theirs.best_loss_ is None)
        assert ours.best_loss_ is None or ours.best_loss_ == pytest.approx(theirs.best_loss_)
        assert ours._no_improvement_count == theirs._no_improvement_count
    for name in ("t_", "n_layers_", "n_outputs_", "n_features_in_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    if hasattr(theirs, "classes_"):
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        assert ours.classes_.dtype == theirs.classes_.dtype
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=tolerance)
    else:
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=tolerance * 100,
                                   atol=tolerance * 100)  # fmt: skip
        assert ours.predict(X).shape == theirs.predict(X).shape


def compare(kind, X=None, y=None, sample_weight=None, **parameters):
    X, y = (data(kind)[0] if X is None else X), (data(kind)[1] if y is None else y)
    ours, theirs = pair(kind, **parameters)
    for estimator in (ours, theirs):
        estimator.fit(X, y, sample_weight=sample_weight)
    lbfgs = ours.solver == "lbfgs"
    assert_same_model(ours, theirs, X, 1e-3 if lbfgs else 1e-8, lbfgs)
    return ours, theirs


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("solver", "learning_rate"),
    list(itertools.product(["sgd", "adam"], ["constant", "invscaling", "adaptive"])),
)
def test_activation_solver_schedule(kind, activation, solver, learning_rate):
    ours, _ = compare(
        kind, activation=activation, solver=solver, learning_rate=learning_rate,
        learning_rate_init=0.02, max_iter=120, n_iter_no_change=4, tol=1e-3,
    )  # fmt: skip
    assert ours.n_iter_ > 5


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression", "poisson"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_lbfgs(kind, activation):
    """Fifty iterations, by which a third has converged. After some hundred the paths of two
    roundings of one function may part for good.
    """
    compare(kind, activation=activation, solver="lbfgs", max_iter=50)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression",
                                  "multioutput", "poisson"])  # fmt: skip
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("weighted", [False, True])
def test_kinds_of_targets_with_and_without_weights(kind, solver, weighted):
    weight = np.random.RandomState(1).rand(230) + 0.1 if weighted else None
    rate = 0.001 if kind == "poisson" else 0.01
    compare(kind, sample_weight=weight, solver=solver, learning_rate_init=rate)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression",
                                  "multioutput"])  # fmt: skip
@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping(kind, weighted):
    weight = np.random.RandomState(1).rand(230) + 0.1 if weighted else None
    ours, _ = compare(
        kind, sample_weight=weight, early_stopping=True, learning_rate_init=0.02, max_iter=200,
        n_iter_no_change=5, validation_fraction=0.21,
    )  # fmt: skip
    assert ours.n_iter_ < 200


@pytest.mark.parametrize(
    "parameters",
    [
        {"momentum": 0.0},
        {"momentum": 0.5, "nesterovs_momentum": False},
        {"momentum": 0.5, "nesterovs_momentum": True},
        {"momentum": 0.95, "batch_size": 230},
        {"batch_size": 1, "max_iter": 5},
        {"batch_size": 7},
        {"batch_size": 64},
        {"batch_size": 229},
        {"shuffle": False},
        {"shuffle": False, "batch_size": 32},
        {"alpha": 0.0},
        {"alpha": 30.0},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 9},
        {"hidden_layer_sizes": np.array([6, 3])},
        {"hidden_layer_sizes": [13, 8, 5]},
        {"hidden_layer_sizes": (1, 1)},
        {"hidden_layer_sizes": (129, 65)},
        {"power_t": 0.2, "learning_rate": "invscaling"},
        {"tol": 0.0, "n_iter_no_change": 2},
        {"n_iter_no_change": np.inf, "tol": 1.0},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"random_state": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_parameters(solver, parameters):
    compare("multiclass", **{"solver": solver, "learning_rate_init": 0.01, **parameters})
    compare("regression", **{"solver": solver, "learning_rate_init": 0.01, **parameters})


def test_batch_larger_than_the_data_is_clipped_with_a_warning():
    with pytest.warns(UserWarning, match="It is going to be clipped"):
        compare("binary", batch_size=500)


@pytest.mark.parametrize("container", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_sparse(container, solver):
    X, y = data("multiclass")
    X = getattr(scipy.sparse, container)(np.where(np.abs(X) > 1, X, 0))
    iterations = 50 if solver == "lbfgs" else 40
    compare("multiclass", X=X, solver=solver, learning_rate_init=0.01, max_iter=iterations)
    compare("binary", X=X[:, :6], y=y == 1, solver=solver, early_stopping=solver != "lbfgs",
            max_iter=iterations)  # fmt: skip


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_warm_start_twice(kind, solver):
    X, y = data(kind)
    iterations = 15
    ours, theirs = pair(kind, solver=solver, warm_start=True, max_iter=iterations)
    lbfgs = solver == "lbfgs"
    for _ in range(3):
        for estimator in (ours, theirs):
            estimator.fit(X, y)
        assert_same_model(ours, theirs, X, 1e-3 if lbfgs else 1e-8, lbfgs)
    if not lbfgs:
        assert len(ours.loss_curve_) == 45
        assert ours.n_iter_ == 15


def test_warm_start_with_the_same_random_state_instance():
    X, y = data("binary")
    ours, theirs = pair("binary", warm_start=True, max_iter=4)
    ours.set_params(random_state=np.random.RandomState(3))
    theirs.set_params(random_state=np.random.RandomState(3))
    for _ in range(2):
        assert_same_model(ours.fit(X, y), theirs.fit(X, y), X)
    assert ours.random_state.randint(1 << 30) == theirs.random_state.randint(1 << 30)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression",
                                  "multioutput", "poisson"])  # fmt: skip
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_ten_calls_of_partial_fit(kind, solver):
    X, y = data(kind)
    parameters = {"solver": solver, "batch_size": 16}
    if solver == "sgd":
        parameters["learning_rate"] = "invscaling"
    ours, theirs = pair(kind, **parameters)
    weights = np.random.RandomState(0).rand(len(X)) + 0.1
    for call in range(10):
        rows = slice(20 * call, 20 * call + 40)
        for estimator in (ours, theirs):
            more = {"classes": np.arange(5 if kind == "multilabel" else y.max() + 1)}
            estimator.partial_fit(
                X[rows], y[rows], sample_weight=weights[rows] if call % 2 else None,
                **(more if call == 0 and hasattr(estimator, "predict_proba") else {}),
            )  # fmt: skip
        assert_same_model(ours, theirs, X)
    assert len(ours.loss_curve_) == 10


def test_partial_fit_goes_on_from_fit():
    X, y = data("multiclass")
    ours, theirs = pair("multiclass", max_iter=5)
    for estimator in (ours, theirs):
        estimator.fit(X, y)
        estimator.partial_fit(X[:50], y[:50])
    assert_same_model(ours, theirs, X)


@pytest.mark.parametrize("labels", [["no", "yes"], ["a", "b", "c", "d"], [3.0, 7.0, 1.0, 5.0],
                                    [-1, 1], [True, False], ["only"]])  # fmt: skip
@pytest.mark.parametrize("kind", [object, None])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_labels_of_all_types(labels, kind, early_stopping):
    X, codes = data("multiclass")
    y = np.array(labels, dtype=kind)[codes % len(labels)]
    if kind is object and not isinstance(labels[0], str):
        pytest.skip("scikit-learn takes object labels only as strings")
    ours, theirs = compare("multiclass", y=y, early_stopping=early_stopping)
    assert ours.predict(X).dtype == theirs.predict(X).dtype


def test_unscaled_real_data():
    """Raw digits, iris and breast cancer data saturate the output layer in the first epochs.

    scikit-learn clips probabilities to within 2e-16 of 0 and 1 before it takes their logarithm;
    our losses come from the outputs z. Its curve is therefore only near ours there; the models are
    the same.
    """
    for load in (datasets.load_digits, datasets.load_iris, datasets.load_breast_cancer):
        X, y = load(return_X_y=True)
        ours, theirs = pair("multiclass", hidden_layer_sizes=(30,), max_iter=15)
        for a, b in zip(ours.fit(X, y).coefs_, theirs.fit(X, y).coefs_, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-8)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        lost = np.array(ours.loss_curve_) - theirs.loss_curve_
        assert lost.min() > -1e-3
        assert lost[-1] < 1e-3


def test_float32_trains_a_float32_model_close_to_scikit_learns():
    X, y = data("multiclass")
    X = X.astype(np.float32)
    for solver in ("sgd", "adam"):
        ours, theirs = pair("multiclass", solver=solver, max_iter=10)
        for estimator in (ours.fit(X, y), theirs.fit(X, y)):
            assert {w.dtype for w in estimator.coefs_ + estimator.intercepts_} == {X.dtype}
            assert estimator.predict_proba(X).dtype == np.float32
        for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)
        assert ours.predict_proba(X.astype(np.float64)).dtype == np.float64


def test_verbose_prints_the_same(capsys):
    X, y = data("binary")
    printed = []
    for estimator in pair(
        "binary", verbose=True, early_stopping=True, solver="sgd", learning_rate="adaptive",
        n_iter_no_change=1, max_iter=60, tol=0.5,
    ):  # fmt: skip
        estimator.fit(X, y)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "Learning rate too small. Stopping." in printed[0]


def test_warnings_are_the_same():
    X, y = data("binary")
    texts = []
    for module in (fastmlp, neural_network):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            module.MLPClassifier(max_iter=2, batch_size=1000, random_state=0).fit(X, y[:, None])
            module.MLPRegressor(max_iter=2, solver="lbfgs", random_state=0).fit(X, y)
            module.MLPRegressor(max_fun=2, solver="lbfgs", random_state=0).fit(X, y)
        texts.append([(w.category, str(w.message)) for w in caught])
    assert texts[0] == texts[1]
    assert len(texts[0]) == 5
