"""Perceptron and Adaline: scikit-learn's perceptron to the last bit, the textbook's Adaline."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn import datasets, linear_model
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from fastmlp import Adaline, Perceptron, _native

BOTH = [Adaline, Perceptron]
both = pytest.mark.parametrize("Estimator", BOTH)
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_iris, y_iris = datasets.load_iris(return_X_y=True)
two = y_iris < 2
X_two, y_two = StandardScaler().fit_transform(X_iris[two]), y_iris[two]


# --- the perceptron is scikit-learn's ------------------------------------------------------------

FORMATS = {
    "dense": np.ascontiguousarray,
    "csr": scipy.sparse.csr_matrix,
    "csc": scipy.sparse.csc_matrix,
}


def problem(n_classes, dtype, n=120, seed=0):
    """Classes that overlap; a third of the entries is zero, and a sample weight now and then."""
    X, y = datasets.make_classification(
        n, 12, n_informative=6, n_classes=n_classes, flip_y=0.1, random_state=seed
    )
    random = np.random.RandomState(seed)
    X[random.uniform(size=X.shape) < 0.3] = 0
    weights = random.uniform(0.2, 3, n)
    weights[random.uniform(size=n) < 0.15] = 0
    return X.astype(dtype), np.array(["a", "b", "c", "d"])[y], weights


def assert_same_model(ours, theirs, dtype=np.float64):
    """All that was fitted, to rounding."""
    tolerance = 1e-10 if dtype == np.float64 else 1e-4
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    for name in ("coef_", "intercept_"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)


def pair(**parameters):
    return Perceptron(**parameters), linear_model.Perceptron(**parameters)


PENALTIES = [
    {},
    {"penalty": "l2", "alpha": 0.01},
    {"penalty": "l1", "alpha": 0.01},
    {"penalty": "elasticnet", "alpha": 0.02, "l1_ratio": 0.4},
]


@quiet
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_same_model(penalty, n_classes, layout, dtype, weighted):
    X, y, sample_weight = problem(n_classes, dtype)
    X = FORMATS[layout](X)
    for more in (
        {},
        {"fit_intercept": False, "class_weight": "balanced"},
        {"shuffle": False, "tol": 0.1, "n_iter_no_change": 2},
        {"early_stopping": True, "validation_fraction": 0.3, "random_state": 3},
        {"class_weight": {"b": 3.0, "a": 0.3}, "eta0": 0.3, "early_stopping": True, "tol": None},
    ):
        parameters = {"max_iter": 20, "random_state": 7, **penalty, **more}
        fitted = [
            estimator.fit(X, y, sample_weight=sample_weight if weighted else None)
            for estimator in pair(**parameters)
        ]
        assert_same_model(*fitted, dtype)
        a, b = [estimator.decision_function(X) for estimator in fitted]
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


@quiet
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_same_model_step_by_step(penalty, n_classes, layout):
    """`partial_fit`, its state and a fit that follows; then warm starts, from given weights too."""
    X, y, sample_weight = problem(n_classes, np.float64)
    X = FORMATS[layout](X)
    ours, theirs = pair(max_iter=4, warm_start=True, **penalty)
    for call in range(3):
        for estimator in (ours, theirs):
            part = slice(call * 40, call * 40 + 60)
            estimator.partial_fit(X[part], y[part], np.unique(y), sample_weight[part])
        assert_same_model(ours, theirs)
    for init in ({}, {"intercept_init": np.ones(len(ours.coef_))}, {"coef_init": 2 * ours.coef_}):
        for estimator in (ours, theirs):
            estimator.fit(X, y, **{name: value.copy() for name, value in init.items()})
        assert_same_model(ours, theirs)
        for estimator in (ours, theirs):
            estimator.partial_fit(X, y)
        assert_same_model(ours, theirs)


@quiet
@pytest.mark.parametrize("seed", range(8))
def test_same_model_where_rows_lie_on_the_boundary(seed):
    """Data of few digits: which side a row is on may be a matter of rounding."""
    for data, target in (
        (X_iris, y_iris),
        (X_iris, y_iris == 1),
        (np.round(X_iris), y_iris > 0),
        (np.random.RandomState(seed).randint(-1, 2, (60, 4)) / 10, np.arange(60) % 3),
    ):
        for extra in ({}, {"penalty": "l2", "alpha": 2.0}, {"tol": 0, "n_iter_no_change": 2}):
            parameters = {"random_state": seed, "max_iter": 50, **extra}
            assert_same_model(*[p.fit(data, target) for p in pair(**parameters)])


@quiet
def test_same_model_from_generators_and_threads():
    X, y, _ = problem(4, np.float64)
    for labels in (y, y == "a"):
        parameters = {"max_iter": 10, "early_stopping": True}
        ours, theirs = [
            Model(random_state=np.random.RandomState(5), **parameters).fit(X, labels)
            for Model in (Perceptron, linear_model.Perceptron)
        ]
        assert_same_model(ours, theirs)
        threaded = Perceptron(random_state=np.random.RandomState(5), n_jobs=3, **parameters)
        assert_same_model(threaded.fit(X, labels), theirs)


def test_same_contract():
    ours, theirs = pair()
    assert list(ours.get_params()) == list(theirs.get_params())
    assert ours.get_params() == theirs.get_params()
    assert get_tags(ours) == get_tags(theirs)
    ours, theirs = ours.fit(X_two, y_two), theirs.fit(X_two, y_two)
    public = [{n for n in vars(e) if n.endswith("_") and n[0] != "_"} for e in (ours, theirs)]
    assert public[0] == public[1] | {"loss_curve_"}
    assert set(dir(theirs)) - set(dir(ours)) <= {n for n in dir(theirs) if n[0] == "_"} | {
        "average", "epsilon", "learning_rate", "loss", "loss_functions", "power_t",
    }  # fmt: skip


def test_native_arguments():
    X, targets, coef = np.ones((3, 2)), np.array([0, 1, 1], np.int32), np.zeros(2)
    parameters = {"alpha": 0.0, "l1_ratio": 0.0, "rate": 1.0, "bias_rate": 1.0}
    _native.Perceptron64(X, targets, None, coef, 0.0, **parameters).epoch(None)
    for bad in (
        (X[:, :1], targets, None, coef),
        (X.astype(np.float32), targets, None, coef),
        (X, targets + np.int32(1), None, coef),
        (X, targets[:2], None, coef),
        (X, np.ones((3, 1)), None, coef),
        (X, targets, np.ones(2), coef),
        (X, targets, None, np.zeros(4)[::2]),
        (X, targets, None, coef.astype(np.float32)),
    ):
        with pytest.raises((ValueError, TypeError)):
            _native.Perceptron64(*bad, 0.0, **parameters)
    order = np.arange(5)
    order.flags.writeable = False
    for bad in (order, np.arange(10)[::2], np.arange(5.0)):
        with pytest.raises((ValueError, TypeError)):
            _native.shuffle(bad, 1)


# --- the perceptron itself -----------------------------------------------------------------------


def test_perceptron_separates_two_classes():
    clf = Perceptron(tol=None, max_iter=50).fit(X_two, y_two)
    assert clf.loss_curve_[-1] == 0  # an epoch without a mistake
    assert clf.score(X_two, y_two) == 1
    assert set(clf.predict(X_two)) == {0, 1}


@quiet
def test_perceptron_cost():
    """Of one epoch of two samples, by hand, with and without the penalty; then of three classes."""
    X, y = [[1.0, 2.0], [2.0, 1.0]], [1, 0]
    weights = np.array([1.0, 2.0])  # after the first sample, which is on the boundary
    mistake = weights @ X[1] + 1
    clf = Perceptron(shuffle=False, max_iter=1).fit(X, y)
    assert clf.loss_curve_ == [mistake / 2]
    np.testing.assert_array_equal(clf.coef_, [weights - X[1]])
    np.testing.assert_array_equal(clf.intercept_, [0])
    clf = Perceptron(shuffle=False, max_iter=1, penalty="l2", alpha=0.1).fit(X, y)
    assert clf.loss_curve_[0] == pytest.approx((mistake + 0.1 / 2 * weights @ weights) / 2)

    parameters = {"shuffle": False, "tol": None, "max_iter": 5}
    total = Perceptron(**parameters).fit(X_iris, y_iris).loss_curve_
    parts = [Perceptron(**parameters).fit(X_iris, y_iris == c).loss_curve_ for c in range(3)]
    np.testing.assert_allclose(total, np.sum(parts, axis=0))


def test_perceptron_overflow():
    clf = Perceptron().fit(X_two, y_two)
    before = clf.coef_
    large = np.array([[1e308, 1e308], [-1e308, 1e308]] * 2)
    with pytest.raises(ValueError, match="overflow occurred at epoch #1"):  # the weights'
        clf.fit(large, [0, 1, 1, 0], sample_weight=np.full(4, 10.0))
    assert clf.coef_ is before
    assert clf.n_features_in_ == 4


def test_sparsify():
    clf = Perceptron(penalty="l1", alpha=0.1).fit(X_two, y_two)
    dense, predicted = clf.coef_, clf.predict(X_two)
    assert scipy.sparse.issparse(clf.sparsify().coef_)
    np.testing.assert_array_equal(clf.predict(X_two), predicted)
    with pytest.raises(ValueError, match="densify"):
        clf.partial_fit(X_two, y_two)
    np.testing.assert_array_equal(clf.densify().coef_, dense)
    with pytest.raises(NotFittedError):
        Perceptron().sparsify()


# --- Adaline -------------------------------------------------------------------------------------


def textbook(X, targets, eta0, batch, epochs, order, weights=None, fit_intercept=True):
    """Widrow and Hoff's rule: (weights, bias, cost of each epoch) for one unit from zeros."""
    weights = np.ones(len(X)) if weights is None else weights
    w, b, costs = np.zeros(X.shape[1]), 0.0, []
    for _ in range(epochs):
        rows, cost = order(), 0.0
        for start in range(0, len(X), batch):
            part = rows[start : start + batch]
            errors = targets[part] - (X[part] @ w + b)
            cost += 0.5 * weights[part] @ errors**2
            w = w + eta0 * (weights[part] * errors) @ X[part]
            b = b + eta0 * (weights[part] @ errors) * fit_intercept
        costs.append(cost)
    return w, b, costs


@quiet
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [None, 32, 1])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_adaline_is_the_textbooks(n_classes, batch, dtype, layout):
    X, y, weights = problem(n_classes, dtype)
    n = len(X)
    classes = np.unique(y)[1:] if n_classes == 2 else np.unique(y)
    for shuffle, fit_intercept, sample_weight in (
        (True, True, None),
        (False, False, None),
        (True, False, weights if batch is None else None),
    ):
        clf = Adaline(
            eta0=0.002, batch_size=batch, shuffle=shuffle, fit_intercept=fit_intercept,
            init_scale=0, max_iter=6, tol=None, random_state=1,
        ).fit(FORMATS[layout](X), y, sample_weight)  # fmt: skip
        expected = []
        for label in classes:
            random = np.random.RandomState(1)
            random.normal(size=clf.coef_.shape)  # the first weights
            expected.append(
                textbook(
                    X.astype(np.float64), np.where(y == label, 1, -1), 0.002, batch or n, 6,
                    (lambda r=random: r.permutation(n)) if shuffle else lambda: np.arange(n),
                    sample_weight, fit_intercept,
                )
            )  # fmt: skip
        assert clf.coef_.dtype == dtype
        tolerance = {"rtol": 1e-9 if dtype == np.float64 else 1e-4, "atol": 1e-5}
        np.testing.assert_allclose(clf.coef_, [w for w, _, _ in expected], **tolerance)
        np.testing.assert_allclose(clf.intercept_, [b for _, b, _ in expected], **tolerance)
        np.testing.assert_allclose(
            clf.loss_curve_, np.sum([costs for *_, costs in expected], axis=0), rtol=1e-5
        )


@quiet
def test_adaline_step_size():
    small = Adaline(eta0=0.001, max_iter=30, tol=None).fit(X_two, y_two)
    assert np.all(np.diff(small.loss_curve_) < 0)
    assert small.score(X_two, y_two) == 1
    largest = 2 / np.linalg.eigvalsh(X_two.T @ X_two)[-1]
    with pytest.warns(ConvergenceWarning, match="Choose a smaller one"):
        large = Adaline(eta0=1.1 * largest, max_iter=30, tol=None).fit(X_two, y_two)
    assert np.all(np.diff(large.loss_curve_[5:]) > 0)
    assert len(Adaline(eta0=1.1 * largest).fit(X_two, y_two).loss_curve_) < 30  # gives up


def test_adaline_finds_the_least_squares():
    clf = Adaline(eta0=0.005, max_iter=5000, tol=1e-12).fit(X_two, y_two)
    design = np.column_stack([X_two, np.ones(len(X_two))])
    solution, *_ = np.linalg.lstsq(design, 2.0 * y_two - 1, rcond=None)
    np.testing.assert_allclose([*clf.coef_[0], *clf.intercept_], solution, atol=1e-4)


def test_adaline_divergence_leaves_the_earlier_fit():
    clf = Adaline().fit(X_two, y_two)
    before = dict(vars(clf))
    clf.set_params(eta0=10.0, tol=None)
    with pytest.raises(ValueError, match=r"eta0=10.0 is too large.*smaller"):
        clf.fit(X_two, y_two)
    clf.set_params(eta0=before["eta0"], tol=before["tol"])
    assert vars(clf) == before


@quiet
def test_adaline_class_weight_is_sample_weight():
    weights = np.where(y_iris == 1, 2.0, 0.5)
    a = Adaline(max_iter=20, class_weight={1: 400, 0: 100, 2: 100}).fit(X_iris, y_iris)
    b = Adaline(max_iter=20).fit(X_iris, y_iris, weights)
    np.testing.assert_array_equal(a.coef_, b.coef_)
    assert a.loss_curve_ == b.loss_curve_


@quiet
def test_adaline_goes_on():
    """Warm starts and `partial_fit` go on where the last call ended."""
    whole = Adaline(max_iter=6, tol=None).fit(X_two, y_two)
    warm = Adaline(max_iter=3, tol=None, warm_start=True).fit(X_two, y_two).fit(X_two, y_two)
    steps = Adaline(tol=None)
    for _ in range(6):
        steps.partial_fit(X_two, y_two, [0, 1])
    for other in (warm, steps):
        np.testing.assert_allclose(other.coef_, whole.coef_, rtol=1e-13)
        np.testing.assert_allclose(other.loss_curve_, whole.loss_curve_)
    assert (whole.n_iter_, steps.n_iter_) == (6, 1)
    assert whole.t_ == steps.t_ == 601


# --- both ----------------------------------------------------------------------------------------


@quiet
@both
def test_check_estimator(Estimator):
    # a weighted sample is one longer step, not several; scikit-learn's perceptron fails these too
    why = dict.fromkeys(
        [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")], ""
    )
    results = check_estimator(
        Estimator(), on_skip=None, expected_failed_checks=why if Estimator is Perceptron else {}
    )
    assert {result["status"] for result in results} <= {"passed", "skipped", "xfail"}
    assert sum(result["status"] == "passed" for result in results) >= 50


@quiet
@both
def test_clone_pickle_grid_search(Estimator):
    clf = Estimator(max_iter=20).fit(X_iris, y_iris)
    assert clone(clf).get_params() == clf.get_params()
    copy = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copy.predict(X_iris), clf.predict(X_iris))
    np.testing.assert_array_equal(
        copy.partial_fit(X_iris, y_iris).coef_, clf.partial_fit(X_iris, y_iris).coef_
    )
    name = Estimator.__name__.lower()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Estimator()), {f"{name}__eta0": [1e-4, 1e-3]}, cv=3
    ).fit(X_iris, y_iris)
    assert search.best_score_ > 0.75


@both
def test_warns_of_no_convergence(Estimator, capsys):
    with pytest.warns(ConvergenceWarning, match=r"Maximum number of iterations \(2\)") as caught:
        Estimator(max_iter=2, verbose=1, eta0=1e-4).fit(X_iris, y_iris)
    assert caught[0].filename == __file__
    assert capsys.readouterr().out.count("Epoch") == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Estimator(max_iter=2, tol=None, eta0=1e-4).fit(X_iris, y_iris)
        Estimator().partial_fit(X_iris, y_iris, [0, 1, 2])


@both
@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"eta0": 0}, "must be a float in the range (0.0, inf). Got 0 instead."),
        ({"max_iter": 0}, "must be an int in the range [1, inf). Got 0 instead."),
        ({"tol": -1}, "must be a float in the range [0.0, inf) or None. Got -1 instead."),
        ({"n_iter_no_change": 0}, "must be an int in the range [1, inf). Got 0 instead."),
        ({"class_weight": "x"}, "must be a str among {'balanced'}, an instance of 'dict' or None."),
        ({"shuffle": 2}, "must be an instance of 'bool' or an instance of 'numpy.bool'."),
    ],
)
def test_bad_parameters(Estimator, parameters, text):
    for call in (Estimator(**parameters).fit, Estimator(**parameters).partial_fit):
        with pytest.raises(ValueError, match="parameter of") as error:
            call(X_two, y_two)
        assert text in str(error.value)


@pytest.mark.parametrize(
    "clf",
    [
        Perceptron(penalty="l3"), Perceptron(alpha=-1), Perceptron(l1_ratio=1.5),
        Perceptron(validation_fraction=1), Perceptron(n_jobs="all"), Adaline(batch_size=0),
        Adaline(init_scale=-1),
    ],
    ids=repr,
)  # fmt: skip
def test_bad_parameters_of_one(clf):
    with pytest.raises(ValueError, match="parameter of"):
        clf.fit(X_two, y_two)


@both
def test_bad_data(Estimator):
    clf = Estimator().fit(X_two, y_two)
    before = dict(vars(clf))
    for call, text in (
        (lambda: clf.fit(X_two, np.zeros(100)), "greater than one; got 1 class"),
        (lambda: clf.fit(X_two, np.linspace(0, 1, 100)), "Unknown label type"),
        (lambda: clf.fit(X_two, y_two, sample_weight=np.ones(99)), "sample_weight.shape"),
        (lambda: clf.partial_fit(X_two, y_two + 1), r"labels \[2\] that are not in"),
        (lambda: clf.partial_fit(X_two[:, :2], y_two), "2 features"),
        (lambda: clf.partial_fit(X_two, y_two, [0, 2]), "is not the same as on last call"),
        (lambda: Estimator().partial_fit(X_two, y_two), "classes must be passed on the first"),
        (lambda: Estimator(class_weight="balanced").partial_fit(X_two, y_two), "not supported"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
        assert vars(clf) == before


def test_bad_starts_of_the_perceptron():
    for start, text in (
        ({"coef_init": np.zeros(3)}, "coef_init"),
        ({"intercept_init": np.zeros(2)}, "intercept_init"),
    ):
        with pytest.raises(ValueError, match=text):
            Perceptron().fit(X_two, y_two, **start)
        with pytest.raises(ValueError, match=text):
            Perceptron().fit(X_iris, y_iris, **start)
    with pytest.raises(ValueError, match="early_stopping should be False"):
        Perceptron(early_stopping=True).partial_fit(X_two, y_two, [0, 1])
    with pytest.raises(ValueError, match="weights for validation set are all zero"):
        Perceptron(early_stopping=True).fit(X_two, y_two, sample_weight=np.eye(100)[1])


@both
def test_interrupt_keeps_the_model_so_far(Estimator, monkeypatch):
    epochs = iter(range(3))

    def interrupted(text):
        if next(epochs) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("builtins.print", interrupted)
    with pytest.warns(UserWarning, match="interrupted by user"):
        clf = Estimator(tol=None, verbose=True).fit(X_iris, y_iris)
    assert clf.n_iter_ == 3
    monkeypatch.undo()
    expected = Estimator(tol=None, max_iter=3).fit(X_iris, y_iris)
    np.testing.assert_array_equal(clf.coef_, expected.coef_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("Estimator", [Perceptron, Adaline])
@pytest.mark.parametrize("layout", [np.asarray, scipy.sparse.csr_matrix])
def test_partial_fit_takes_numbers_of_another_type(Estimator, layout):
    X, y = datasets.load_iris(return_X_y=True)
    for first, then in ((np.float32, np.float64), (np.float64, np.float32)):
        model = Estimator(max_iter=5).fit(layout(X.astype(first)), y)
        same = copy.deepcopy(model).partial_fit(layout(X.astype(then).astype(first)), y)
        model.partial_fit(layout(X.astype(then)), y)
        assert model.coef_.dtype == first
        np.testing.assert_array_equal(model.coef_, same.coef_)
