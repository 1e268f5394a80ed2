"""scikit-learn's estimator contract: its checks, its own tests, its ecosystem, its errors."""

import inspect
import os
import pathlib
import pickle
import re
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse
from sklearn import datasets, neural_network
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor, BaggingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

import fastmlp
from fastmlp import MLPClassifier, MLPRegressor, Perceptron

BOTH = [MLPClassifier, MLPRegressor]
both = pytest.mark.parametrize("Estimator", BOTH)
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_iris, y_iris = datasets.load_iris(return_X_y=True)


def theirs(Estimator):
    return getattr(neural_network, Estimator.__name__)


# --- scikit-learn's checks and tests -------------------------------------------------------------


@quiet
@both
def test_check_estimator(Estimator):
    results = check_estimator(Estimator(), on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "passed" for result in results) >= 55


def test_scikit_learns_own_tests_pass_on_our_classes():
    """All but the two that call private functions of scikit-learn's implementation."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "sklearn_plugin", "-p", "no:cacheprovider",
         "--pyargs", "sklearn.neural_network.tests.test_mlp",
         "-k", "not (test_fit or test_gradient)", "-c", os.devnull],
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:]
    assert int(run.stdout.split(" passed")[0].split()[-1]) > 50


@both
def test_parameters_defaults_and_tags_are_scikit_learns(Estimator):
    ours, reference = Estimator().get_params(), theirs(Estimator)().get_params()
    assert {name: ours[name] for name in reference} == reference
    order = [list(inspect.signature(cls).parameters) for cls in (Estimator, theirs(Estimator))]
    assert order[0][: len(order[1])] == order[1]
    ours, reference = get_tags(Estimator()), get_tags(theirs(Estimator)())
    assert ours == reference
    assert repr(Estimator(alpha=3)) == repr(theirs(Estimator)(alpha=3))


@quiet
@both
@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_fitted_attributes_are_scikit_learns(Estimator, parameters):
    ours, reference = [
        cls(max_iter=3, **parameters).fit(X_iris, y_iris) for cls in (Estimator, theirs(Estimator))
    ]

    def public(estimator):
        return {name for name in vars(estimator) if name.endswith("_") and name[0] != "_"}

    new = {"learning_rate_curve_", "validation_loss_curve_"}
    if "solver" in parameters:
        new.add("loss_curve_")  # of 'lbfgs' there is none there
    assert public(ours) - public(reference) <= new
    assert public(reference) <= public(ours)
    for name in public(reference):
        # np.float64 there may be a float here, which it is a subclass of
        assert isinstance(getattr(reference, name), type(getattr(ours, name))), name
    lacking = {name for name in dir(type(reference)) if name[0] != "_"} - set(dir(Estimator))
    assert not lacking


# --- the ecosystem -------------------------------------------------------------------------------


def in_use(module):
    """Real use of both estimators of a module: what it found and predicted."""
    clf = module.MLPClassifier((8,), max_iter=25, random_state=0, learning_rate_init=0.02)
    reg = module.MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=25, random_state=0, learning_rate_init=0.02
    )
    pipe = make_pipeline(StandardScaler(), clf)
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__activation": ["relu", "tanh"]}
    search = GridSearchCV(pipe, grid, n_jobs=2, cv=3).fit(X_iris, y_iris)
    yield search.cv_results_["mean_test_score"]
    yield cross_val_predict(pipe, X_iris, y_iris, method="predict_proba")
    yield cross_val_score(reg, X_iris, y_iris, cv=3)
    for ensemble in (
        BaggingClassifier(pipe, 3, random_state=0),
        CalibratedClassifierCV(pipe, cv=2),
        AdaBoostClassifier(clf, n_estimators=3, random_state=0),  # passes sample weights
        AdaBoostRegressor(reg, n_estimators=3, random_state=0),
    ):
        yield ensemble.fit(X_iris, y_iris).predict(X_iris)
    Y = np.column_stack([y_iris, -y_iris])
    yield MultiOutputRegressor(reg).fit(X_iris, Y).predict(X_iris)


@quiet
def test_in_use():
    """The same results as scikit-learn's estimators give in the same places."""
    for ours, reference in zip(in_use(fastmlp), in_use(neural_network), strict=True):
        np.testing.assert_allclose(ours, reference, atol=1e-7)


@quiet
@both
def test_clone_pickle_joblib(Estimator, tmp_path):
    estimator = Estimator(max_iter=5, random_state=0).fit(X_iris, y_iris)
    fresh = clone(estimator)
    assert fresh.get_params() == estimator.get_params()
    assert not hasattr(fresh, "coefs_")

    joblib.dump(estimator, tmp_path / "model")
    for copy in (pickle.loads(pickle.dumps(estimator)), joblib.load(tmp_path / "model")):
        np.testing.assert_array_equal(copy.predict(X_iris), estimator.predict(X_iris))
        # the solver's state came along: both go on to the same model
        copy.partial_fit(X_iris, y_iris)
        again = pickle.loads(pickle.dumps(estimator)).partial_fit(X_iris, y_iris)
        np.testing.assert_array_equal(copy.coefs_[0], again.coefs_[0])


@quiet
@both
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(Estimator, library):
    frames = pytest.importorskip(library)
    names = ["a", "b", "c", "d"]
    frame = frames.DataFrame(dict(zip(names, X_iris.T, strict=True)))
    y = frames.Series(y_iris)
    estimator = Estimator(max_iter=5, random_state=0, early_stopping=True).fit(frame, y)
    assert estimator.feature_names_in_.tolist() == names
    plain = Estimator(max_iter=5, random_state=0, early_stopping=True).fit(X_iris, y_iris)
    np.testing.assert_array_equal(estimator.predict(frame), plain.predict(X_iris))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        estimator.predict(X_iris)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.predict(frame[names[::-1]])


@quiet
def test_metadata_routing():
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        clf = MLPClassifier(hidden_layer_sizes=(9,), solver="lbfgs", random_state=0)
        clf.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(clf, {"alpha": [0.1]}, cv=2)
        search.fit(X_iris, y_iris, sample_weight=np.ones(150))
        assert search.best_score_ > 0.8


@quiet
def test_sparse_multilabel_targets_give_sparse_predictions():
    X, Y = datasets.make_multilabel_classification(60, random_state=0)
    fitted = [
        cls(max_iter=5, random_state=0).fit(X, scipy.sparse.csr_matrix(Y))
        for cls in (MLPClassifier, neural_network.MLPClassifier)
    ]
    ours, reference = [estimator.predict(X) for estimator in fitted]
    assert scipy.sparse.issparse(ours) == scipy.sparse.issparse(reference)
    assert (ours != reference).sum() == 0


@quiet
def test_in_place_edits_of_the_weights_are_seen():
    clf = MLPClassifier(hidden_layer_sizes=(5,), max_iter=5, random_state=0).fit(X_iris, y_iris)
    before = clf.predict_proba(X_iris)
    clf.coefs_[0] *= 2
    assert not np.allclose(clf.predict_proba(X_iris), before)
    clf.coefs_ = [np.asfortranarray(w) for w in clf.coefs_]
    clf.coefs_[0] /= 2
    np.testing.assert_allclose(clf.predict_proba(X_iris), before)


@pytest.mark.measures
@quiet
def test_sparse_x_is_never_made_dense():
    """200000 features by 400 rows are 640 MB dense; training and predicting take far less."""
    import tracemalloc

    X = scipy.sparse.random(400, 200_000, 1e-4, "csr", random_state=0)
    y = np.arange(400) % 2
    tracemalloc.start()
    for container in (X, X.tocsc()):
        for solver in ("adam", "lbfgs"):
            clf = MLPClassifier(hidden_layer_sizes=(2,), solver=solver, max_iter=2).fit(
                container, y
            )
            clf.predict(container)
    python_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert python_peak < 200e6
    code = (
        "import resource, scipy.sparse, numpy as np; from fastmlp import MLPClassifier\n"
        "X = scipy.sparse.random(400, 200_000, 1e-4, 'csr', random_state=0)\n"
        "y = np.arange(400) % 2; m = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = m()\n"
        "MLPClassifier(2, max_iter=2, batch_size=400).fit(X, y).predict(X)\n"
        "print(m() - before)"
    )
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True,
                         text=True, check=True)  # fmt: skip
    assert int(run.stdout) < 150_000  # kB, the native side's included


# --- faults of scikit-learn that are not copied --------------------------------------------------


@quiet
@both
def test_warm_start_keeps_the_best_weights_of_early_stopping(Estimator):
    """scikit-learn trains on in the arrays that hold the best weights, and so loses them."""
    estimator = Estimator(
        hidden_layer_sizes=(10,), max_iter=60, random_state=0, warm_start=True, early_stopping=True,
        learning_rate_init=0.01,
    ).fit(X_iris, y_iris)  # fmt: skip
    best, score = [w.copy() for w in estimator.coefs_], estimator.best_validation_score_
    # steps that can only ruin the model: the second fit does not improve on the first
    estimator.set_params(learning_rate_init=5.0, max_iter=3).fit(X_iris, y_iris)
    assert estimator.best_validation_score_ == score
    assert max(estimator.validation_scores_[-3:]) <= score
    for weight, kept in zip(estimator.coefs_, best, strict=True):
        np.testing.assert_array_equal(weight, kept)


@both
def test_lbfgs_offers_no_partial_fit(Estimator):
    assert not hasattr(Estimator(solver="lbfgs"), "partial_fit")
    assert hasattr(Estimator(solver="sgd"), "partial_fit")
    with pytest.raises(AttributeError) as caught:
        _ = Estimator(solver="lbfgs").partial_fit
    assert "only available for stochastic" in str(caught.value.__cause__)


@quiet
@both
def test_lbfgs_on_float32_stays_float32(Estimator):
    estimator = Estimator(solver="lbfgs", max_iter=5).fit(X_iris.astype(np.float32), y_iris)
    assert {w.dtype for w in estimator.coefs_ + estimator.intercepts_} == {np.dtype(np.float32)}
    if Estimator is MLPRegressor:
        assert estimator.predict(X_iris.astype(np.float32)).dtype == np.float32


def test_multi_output_lbfgs_minimises_the_loss_it_reports():
    """scikit-learn #8349: there the gradient is `n_outputs` times that of the reported loss."""
    X, Y = datasets.make_regression(80, 5, n_targets=4, noise=1.0, random_state=0)
    X, Y = X / X.std(), Y / Y.std(axis=0)
    reg = MLPRegressor(
        hidden_layer_sizes=(), solver="lbfgs", alpha=3.0, tol=1e-10, max_iter=1000, random_state=0
    ).fit(X, Y)
    # the linear model has a closed solution: mean over outputs of half the squared error, plus
    # alpha / 2n |W|^2, so alpha is 4 times as strong as in a sum over outputs
    centred, targets = X - X.mean(axis=0), Y - Y.mean(axis=0)
    right = np.linalg.solve(centred.T @ centred + 3.0 * 4 * np.eye(5), centred.T @ targets)
    np.testing.assert_allclose(reg.coefs_[0], right, atol=1e-5)
    residual = reg.predict(X) - Y
    assert reg.loss_ == pytest.approx(
        0.5 * (residual**2).mean() + 1.5 * (reg.coefs_[0] ** 2).sum() / 80
    )


@quiet
@both
def test_a_pickle_holds_the_model_once_and_the_solvers_state(Estimator):
    """Ours: weights, and two moments of adam. scikit-learn's: gradients and best weights too."""
    X = np.random.RandomState(0).rand(30, 500)
    sizes = [
        len(
            pickle.dumps(
                cls(hidden_layer_sizes=(100,), max_iter=1, early_stopping=True).fit(
                    X, np.arange(30) % 2
                )
            )
        )
        for cls in (Estimator, theirs(Estimator))
    ]
    model = 8 * (500 * 100 + 100 + 100 + 1)
    assert 3 * model < sizes[0] < 3.05 * model
    lbfgs = Estimator(hidden_layer_sizes=(100,), max_iter=1, solver="lbfgs").fit(
        X, np.arange(30) % 2
    )
    assert model < len(pickle.dumps(lbfgs)) < 1.05 * model


# --- bad input -----------------------------------------------------------------------------------

BAD_PARAMETERS = [
    ("hidden_layer_sizes", [0, -1, "100", 1.5, None]),
    ("activation", ["rleu", None, 3]),
    ("solver", ["newton", None]),
    ("alpha", [-1, np.nan, "small", None]),
    ("batch_size", [0, -3, 1.5, "all", None]),
    ("learning_rate", ["fast", 0.1, None]),
    ("learning_rate_init", [0, -1.0, "auto", None]),
    ("power_t", [-1, "x"]),
    ("max_iter", [0, -1, 1.5, None, np.inf]),
    ("shuffle", ["yes", 1, None]),
    ("random_state", [-1, 2**33, "seed", 1.5]),
    ("tol", [-1e-9, None, np.nan]),
    ("verbose", [-1, "yes", None]),
    ("warm_start", [0, "no", None]),
    ("momentum", [-0.1, 1.1, None]),
    ("nesterovs_momentum", [1, None]),
    ("early_stopping", [1, None, "auto"]),
    ("validation_fraction", [-0.1, 1.0, None]),
    ("beta_1", [-0.1, 1.0, None]),
    ("beta_2", [-0.1, 1.0, None]),
    ("epsilon", [0, -1e-8, None]),
    ("n_iter_no_change", [0, -1, 2.5, None, -np.inf]),
    ("max_fun", [0, 1.5, None]),
    ("loss", ["cross_entropy", None]),
    ("n_jobs", [0, 1.5, "all"]),
]
MORE_ALLOWED = ("activation", "solver", "learning_rate", "loss", "verbose")  # than by scikit-learn


def words(text):
    """Its words in alphabetical order: scikit-learn lists options in the order of a set."""
    return sorted(text.replace("{", " ").replace("}", " ").replace(",", " ").split())


@both
@pytest.mark.parametrize(("name", "values"), BAD_PARAMETERS)
def test_bad_parameters_get_scikit_learns_errors(Estimator, name, values):
    as_there = name not in ("n_jobs", *MORE_ALLOWED)
    for value in values:
        texts = []
        for cls in (Estimator, theirs(Estimator) if as_there else Estimator):
            estimator = cls().set_params(**{name: value})
            for error in (ValueError, TypeError):
                with pytest.raises(error) as caught:
                    estimator.fit(X_iris, y_iris)
            texts.append(words(str(caught.value)))
            assert not [attribute for attribute in vars(estimator) if attribute.endswith("_")]
        assert texts[0] == texts[1]
        assert repr(name) in " ".join(texts[0])
        with pytest.raises(ValueError, match=name):
            Estimator().set_params(**{name: value}).partial_fit(X_iris, y_iris)


@both
@pytest.mark.parametrize("sizes", [[0], (10, -2), [2.5], ["10"], [[3, 4]]])
def test_bad_hidden_layer_sizes(Estimator, sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes must be"):
        Estimator(hidden_layer_sizes=sizes).fit(X_iris, y_iris)


def spoiled(array, value):
    array = array.astype(float)
    array[3, ...] = value
    return array


BAD_DATA = {
    "nan in X": ((spoiled(X_iris, np.nan), y_iris), "Input X contains NaN"),
    "infinity in X": ((spoiled(X_iris, np.inf), y_iris), "Input X contains infinity"),
    "nan in y": ((X_iris, spoiled(y_iris, np.nan)), "Input y contains NaN"),
    "infinity in y": ((X_iris, spoiled(y_iris, np.inf)), "Input y contains infinity"),
    "no rows": ((X_iris[:0], y_iris[:0]), "Found array with 0 sample"),
    "no features": ((X_iris[:, :0], y_iris), "Found array with 0 feature"),
    "one-dimensional": ((X_iris[:, 0], y_iris), "Expected 2D array, got 1D array instead"),
    "three-dimensional": ((X_iris[None], y_iris), "Found array with dim 3"),
    "lengths": ((X_iris, y_iris[:-1]), "inconsistent numbers of samples"),
    "no y": ((X_iris, None), "requires y to be passed"),
    "weight lengths": ((X_iris, y_iris, np.ones(3)), r"sample_weight.shape == \(3,\), expected"),
    "weight shape": ((X_iris, y_iris, np.ones((150, 2))), "Sample weights must be 1D"),
    "nan weight": ((X_iris, y_iris, spoiled(y_iris, np.nan)), "sample_weight contains NaN"),
    "zero weights": ((X_iris, y_iris, np.zeros(150)), "at least one non-zero"),
    "text in X": ((np.full((150, 4), "a"), y_iris), "could not convert string to float"),
    "complex X": ((X_iris + 1j, y_iris), "Complex data not supported"),
}


@quiet
@both
@pytest.mark.parametrize("case", BAD_DATA)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_data_is_refused_and_the_earlier_fit_is_kept(Estimator, case, method):
    arguments, message = BAD_DATA[case]
    estimator = Estimator(hidden_layer_sizes=(5,), max_iter=3, random_state=0, warm_start=True)
    estimator.fit(X_iris, y_iris)
    before, state = dict(vars(estimator)), pickle.dumps(estimator)
    with pytest.raises(ValueError, match=message):
        getattr(estimator, method)(*arguments)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is before[name] for name in before)
    assert pickle.dumps(estimator) == state


@quiet
@both
def test_wrong_feature_count(Estimator):
    estimator = Estimator(hidden_layer_sizes=(5,), max_iter=3).fit(X_iris, y_iris)
    for method in ("predict", "score", "partial_fit"):
        arguments = (X_iris[:, :2],) if method == "predict" else (X_iris[:, :2], y_iris)
        with pytest.raises(ValueError, match=r"X has 2 features, but .* is expecting 4 features"):
            getattr(estimator, method)(*arguments)
    for X, message in [(spoiled(X_iris, np.nan), "NaN"), (X_iris[0], "Expected 2D array"),
                       (X_iris[:0], "0 sample")]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            estimator.predict(X)


@both
def test_not_fitted(Estimator):
    with pytest.raises(NotFittedError):
        Estimator().predict(X_iris)


@quiet
def test_errors_about_classes():
    clf = MLPClassifier(hidden_layer_sizes=(5,), max_iter=3)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        clf.partial_fit(X_iris, y_iris)
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        clf.partial_fit(X_iris, y_iris, classes=[0, 1])
    assert not hasattr(clf, "classes_")  # a first call that failed leaves nothing behind
    clf.partial_fit(X_iris, y_iris, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="`y` has classes not in"):
        clf.partial_fit(X_iris, y_iris + 1)
    with pytest.raises(ValueError, match="is not the same as on last call"):
        clf.partial_fit(X_iris, y_iris, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match="Unknown label type"):
        clf.fit(X_iris, X_iris[:, 0])
    with pytest.raises(ValueError, match="Multioutput target data is not supported"):
        clf.fit(X_iris, np.column_stack([y_iris, y_iris]))
    warm = MLPClassifier(hidden_layer_sizes=(5,), max_iter=3, warm_start=True).fit(X_iris, y_iris)
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same"):
        warm.fit(X_iris, y_iris % 2)


@quiet
@both
def test_going_on_with_other_layers_is_refused(Estimator):
    estimator = Estimator(hidden_layer_sizes=(5,), max_iter=3, warm_start=True).fit(X_iris, y_iris)
    with pytest.raises(ValueError, match="do not fit the weights of the earlier fit"):
        estimator.set_params(hidden_layer_sizes=(6,)).fit(X_iris, y_iris)
    assert estimator.coefs_[0].shape == (4, 5)


def test_poisson_refuses_negative_targets():
    with pytest.raises(ValueError, match=r"loss 'poisson': must be >= 0, got -1"):
        MLPRegressor("poisson").fit(X_iris, y_iris - 1.0)


def no_more(epoch):
    return 0.01 if epoch < 3 else 1e300


DIVERGING = {
    "large X": (MLPClassifier(solver="sgd"), X_iris * 1e160, y_iris, "scale X, with"),
    "large y": (MLPRegressor(), X_iris.astype("f4"), y_iris * 1e25, "with a loss of inf.*X and y"),
    "large rate": (MLPRegressor(solver="sgd", learning_rate_init=1e9), X_iris, y_iris,
                   r"learning rate \(learning_rate_init=1000000000.0\), or set clip_norm"),
    "clipped": (MLPRegressor(clip_norm=1.0), X_iris * 1e300, y_iris, "learning_rate_init"),
    "a schedule": (MLPClassifier(learning_rate=no_more), X_iris, y_iris, "in epoch 5, with a loss"),
    "exp": (MLPRegressor("poisson"), X_iris * 1e5, y_iris, "loss of inf"),
    "no best weights": (MLPClassifier(activation="identity", solver="sgd", early_stopping=True),
                        X_iris * 1e160, y_iris, "non-finite"),
    "lbfgs": (MLPRegressor(solver="lbfgs"), X_iris * 1e200, y_iris, "loss of nan. What helps"),
}  # fmt: skip


@quiet
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("estimator", "X", "y", "text"), DIVERGING.values(), ids=DIVERGING)
def test_divergence_is_an_error_that_says_what_to_do_and_keeps_the_earlier_model(
    estimator, X, y, text
):
    estimator = clone(estimator).set_params(random_state=0)
    with pytest.raises(ValueError, match=text) as caught:
        estimator.fit(X, y)
    assert ("clip_norm" in str(caught.value)) == (
        estimator.solver != "lbfgs" and estimator.clip_norm is None
    )
    assert not hasattr(estimator, "coefs_")
    reg = MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, random_state=0).fit(X_iris, y_iris)
    before = dict(vars(reg))
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        reg.set_params(solver="sgd", learning_rate_init=1e10).fit(X_iris * 1e100, y_iris)
    assert all(vars(reg)[name] is before[name] for name in before if name.endswith("_"))
    reg.set_params(solver="adam")
    with pytest.raises(ValueError, match="diverged in epoch 1, with a loss of inf"):
        reg.partial_fit(X_iris * 1e300, y_iris)
    assert all(vars(reg)[name] is before[name] for name in before if name.endswith("_"))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_under_early_stopping_keeps_the_best_weights():
    parameters = {"early_stopping": True, "random_state": 0, "learning_rate": no_more}
    clf = MLPClassifier((5,), **parameters)
    with pytest.warns(ConvergenceWarning, match=r"diverged in epoch 5.*The best weights so far"):
        clf.fit(X_iris, y_iris)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        expected = MLPClassifier((5,), max_iter=3, **parameters).fit(X_iris, y_iris)
    assert clf.best_validation_score_ == expected.best_validation_score_
    np.testing.assert_array_equal(clf.coefs_[0], expected.coefs_[0])
    assert np.isnan(clf.validation_scores_[3:]).all()  # no accuracy of NaN


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_numbers_beyond_float32_are_refused():
    X = X_iris.astype(np.float32)
    with pytest.raises(ValueError, match=r"y must be within float32, which .* to 2e\+300"):
        MLPRegressor().fit(X, y_iris * 1e300)
    with pytest.raises(ValueError, match="sample_weight must be within float32"):
        MLPClassifier().fit(X, y_iris, np.full(150, 1e39))
    with pytest.raises(ValueError, match="class_weight must be within float32"):
        MLPClassifier(class_weight={0: 1e300}).fit(X, y_iris)
    with pytest.raises(ValueError, match="out of the valid range of the loss 'gamma'"):
        MLPRegressor("gamma").fit(X, np.full(150, 1e-50))  # 0 in float32
    huge = X_iris.copy()
    huge[3, 2] = -1e39
    clf = MLPClassifier(max_iter=3, warm_start=True).fit(X, y_iris)
    before = dict(vars(clf))
    for call in (
        clf.fit,
        clf.partial_fit,
        clf.loss_and_gradient,
        lambda X, y: clf.fit(X_iris.astype(np.float32), y_iris, X_val=X, y_val=y),
        lambda X, y: clf.partial_fit(scipy.sparse.csr_matrix(X), y),
    ):
        with pytest.raises(ValueError, match=r"X must be within float32.*from -1e\+39 to 7.9"):
            call(huge, y_iris)
    assert vars(clf) == before
    assert np.isfinite(clf.predict_proba(huge)).all()  # in float64


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sample_weights_that_sum_to_nothing_are_refused(solver):
    clf = MLPClassifier((3,), max_iter=3, solver=solver).fit(X_iris, y_iris)
    weights = np.where(np.arange(150) % 2, 1.0, -1.0)
    for call in (clf.fit, clf.loss_and_gradient):
        with pytest.raises(ValueError, match=r"sample_weight must sum to more than zero. Got 0.0"):
            call(X_iris, y_iris, weights)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_batches_without_weight_do_not_count_in_the_loss():
    weights = np.arange(150) % 2.0
    parameters = {"hidden_layer_sizes": (3,), "batch_size": 1, "max_iter": 2, "random_state": 0}
    parameters |= {"shuffle": False, "alpha": 0.0}
    clf = MLPClassifier(**parameters).fit(X_iris, y_iris, weights)
    expected = MLPClassifier(**parameters).fit(X_iris[1::2], y_iris[1::2])
    np.testing.assert_array_equal(clf.coefs_[0], expected.coefs_[0])
    assert clf.loss_curve_ == expected.loss_curve_


@both
def test_an_interrupt_keeps_the_model_so_far(Estimator, monkeypatch):
    from fastmlp.training.optimizer import Optimizer

    make_steps, calls = Optimizer.make_steps, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return make_steps(*args)

    monkeypatch.setattr(Optimizer, "make_steps", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator = Estimator(hidden_layer_sizes=(5,), random_state=0).fit(X_iris, y_iris)
    assert estimator.n_iter_ == 3
    monkeypatch.undo()
    with pytest.warns(ConvergenceWarning):
        other = Estimator(hidden_layer_sizes=(5,), random_state=0, max_iter=3).fit(X_iris, y_iris)
    np.testing.assert_array_equal(estimator.coefs_[0], other.coefs_[0])


def test_version():
    assert fastmlp.__version__.count(".") == 2


@both
def test_lbfgs_reports_its_iterations(Estimator, capsys):
    estimator = Estimator(solver="lbfgs", verbose=True, max_iter=300, tol=0.05, alpha=1.0)
    estimator.fit(X_iris, y_iris)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == estimator.n_iter_
    assert lines[-1] == f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}"


def test_a_single_class_scores_as_scikit_learn_does():
    X = np.random.RandomState(0).randn(60, 4)
    fitted = [
        cls(
            (5,), early_stopping=True, random_state=0, learning_rate_init=0.01, n_iter_no_change=3
        ).fit(X, ["only"] * 60)
        for cls in (MLPClassifier, neural_network.MLPClassifier)
    ]
    assert fitted[0].validation_scores_ == fitted[1].validation_scores_
    assert fitted[0].predict(X).tolist() == ["only"] * 60


@quiet
def test_going_on_after_other_things_happened():
    """partial_fit after a change of dtype, by a user or by a fit in between."""
    single = X_iris.astype(np.float32)
    clf = MLPClassifier((5,), max_iter=3).fit(single, y_iris)
    clf.coefs_ = [w.astype(np.float64) for w in clf.coefs_]
    clf.partial_fit(single, y_iris)
    assert clf.coefs_[0].dtype == np.float64
    clf.set_params(solver="lbfgs", hidden_layer_sizes=(6,)).fit(X_iris, y_iris)
    clf.set_params(solver="adam").partial_fit(X_iris, y_iris)
    assert clf.coefs_[0].shape == (4, 6)
    with pytest.raises(ValueError, match="not fitted with multilabel input"):
        clf.partial_fit(X_iris, np.eye(3, dtype=int)[y_iris])
    reg = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3).fit(X_iris, X_iris[:, :3])
    with pytest.raises(ValueError, match=r"y has 1 outputs, but the earlier fit .* had 3"):
        reg.partial_fit(X_iris, y_iris)


@pytest.mark.parametrize("y", [scipy.sparse.csr_array(np.eye(150)), y_iris.astype("M8[s]"),
                               y_iris.astype(str)])  # fmt: skip
def test_a_regressors_targets_must_be_dense_numbers(y):
    with pytest.raises(ValueError, match="y must be a dense array of numbers"):
        MLPRegressor().fit(X_iris, y)


def interrupts(epoch):
    raise KeyboardInterrupt


@pytest.mark.parametrize("fit", [
    lambda X, y, path: MLPClassifier(max_iter=1).fit(X, y),
    lambda X, y, path: MLPClassifier(max_iter=1, solver="lbfgs").fit(X, y),
    lambda X, y, path: MLPRegressor(max_iter=1, batch_size=999).fit(X, y),
    lambda X, y, path: MLPClassifier(learning_rate=interrupts).fit(X, y),
    lambda X, y, path: MLPClassifier(max_iter=2, checkpoint=path).fit(X, y),
    lambda X, y, path: Perceptron(max_iter=1).fit(X, y),
], ids=["epochs", "lbfgs", "batch", "interrupt", "checkpoint", "perceptron"])  # fmt: skip
def test_warnings_point_at_the_line_of_the_call(fit, tmp_path, monkeypatch):
    def fails(path):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("fastmlp.training.checkpoint.os.unlink", fails)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(X_iris, y_iris, tmp_path / "fit")
    assert caught
    assert {warning.filename for warning in caught} == {__file__}


def test_the_reliability_page_names_tests_that_exist():
    folder = pathlib.Path(__file__).parent
    page = (folder.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("test_*.py"))
    tests = re.findall(r"def (test_\w+)\(", code)
    for name in re.findall(r"`(test_\w+)`", page):
        assert name in tests
    for end in re.findall(r"`\.\.\.(_\w+)`", page):
        assert any(name.endswith(end) for name in tests), end
    for name in re.findall(r"`(test_\w+\.py)`", page):
        assert (folder / name).exists()
