"""What users have found: each of one kind, with the right value."""

import copy
import pickle
import re
import warnings

import numpy as np
import pytest
from sklearn import linear_model, neural_network
from sklearn.exceptions import InconsistentVersionWarning

from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron, __version__, from_sklearn

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

random = np.random.RandomState(0)
X = random.normal(size=(60, 4))
y = (X @ [1.0, -1.0, 0.5, 0.2] > 0).astype(int)


# --- no hidden layer -----------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "lbfgs"}, {"solver": "sgd", "learning_rate": "adaptive"},
     {"early_stopping": True, "alpha": 0.1}, {"batch_size": 7, "shuffle": False}],
    ids=str,
)  # fmt: skip
def test_without_hidden_layers_the_model_is_scikit_learns(activation, parameters):
    parameters = {"hidden_layer_sizes": (), "max_iter": 5, "random_state": 0} | parameters
    for name, target in (("MLPClassifier", y), ("MLPClassifier", y + (X[:, 0] > 1)),
                         ("MLPRegressor", X[:, 0] - X[:, 1])):  # fmt: skip
        Ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name]
        ours = Ours(activation=activation, **parameters).fit(X, target)
        theirs = getattr(neural_network, name)(activation=activation, **parameters).fit(X, target)
        np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(ours.intercepts_[0], theirs.intercepts_[0], rtol=1e-6, atol=1e-9)


# --- labels of all types -------------------------------------------------------------------------

DATES = {
    "date": np.array(["2020-01-01", "2021-02-03", "2022-03-05"], "M8[D]"),
    "nanoseconds": np.array(["2020-01-01", "2021-02-03", "2022-03-05"], "M8[ns]"),
    "duration": np.array([-1, 2, 5], "m8[h]"),
    "duration in nanoseconds": np.array([-1, 2, 5], "m8[ns]"),
}


@quiet
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", DATES)
def test_dates_as_labels_export_or_get_the_true_reason(kind, n_classes, tmp_path):
    labels = DATES[kind][np.arange(60) % n_classes]
    ours = MLPClassifier((3,), max_iter=3, random_state=0).fit(X, labels)
    for other in (ours.to_sklearn(), from_sklearn(ours.to_sklearn())):
        np.testing.assert_array_equal(other.predict(X), ours.predict(X), strict=True)
    for write, text in (
        (ours.to_onnx, "Class labels must be strings or whole numbers"),
        (lambda: ours.save(tmp_path / "model"), f"classes_ is an array of {labels.dtype}, which"),
    ):
        pytest.importorskip("onnx")
        pytest.importorskip("safetensors")
        with pytest.raises(ValueError, match=re.escape(text)):
            write()


@quiet
def test_a_torch_module_needs_no_labels():
    torch = pytest.importorskip("torch")
    ours = MLPClassifier((3,), max_iter=3, random_state=0).fit(X, DATES["date"][y])
    outputs = ours.to_torch()(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(outputs[:, 0], ours.predict_proba(X)[:, 1])


@quiet
def test_missing_dates_are_named():
    ours = MLPClassifier((3,), max_iter=3).fit(X, DATES["date"][y])
    ours.classes_ = np.array(["2020", "NaT"], "M8[D]")
    with pytest.raises(ValueError, match=r"classes_ must be labels .* none of them NaN or NaT"):
        ours.to_sklearn()


@quiet
@pytest.mark.parametrize("Estimator", [Perceptron, Adaline])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_labels_have_the_type_that_scikit_learn_gives_them(Estimator, class_weight):
    pandas = pytest.importorskip("pandas")
    names = np.array(["no", "yes"])[y]
    for labels in (
        names,
        names.astype(object),
        pandas.Series(names),
        pandas.Series(names).astype("category"),
        pandas.Series(y).astype("category"),
        y.astype(">i4"),
        DATES["date"][y],
    ):
        ours = Estimator(class_weight=class_weight).fit(X, labels)
        theirs = linear_model.Perceptron(class_weight=class_weight).fit(X, labels)
        np.testing.assert_array_equal(ours.classes_, theirs.classes_, strict=True)
        assert ours.predict(X).dtype == theirs.predict(X).dtype
        if Estimator is Perceptron:
            np.testing.assert_array_equal(ours.predict(X), theirs.predict(X), strict=True)


# --- large values --------------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("penalty", [None, "l2", "l1"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_perceptron_trains_where_only_the_cost_overflows(penalty, n_classes):
    # sums over the features overflow, no single product does; every tenth label is wrong
    side = np.arange(60) % n_classes - 1 + (n_classes == 2) * (np.arange(60) % 2)
    large = (side[:, None] * np.linspace(0.9, 1.1, 60 * 8).reshape(60, 8) * 1e19).astype(np.float32)
    labels = np.where(np.arange(60) % 10 == 0, -side, side)
    ours = Perceptron(penalty=penalty, max_iter=20).fit(large, labels)
    theirs = linear_model.Perceptron(penalty=penalty, max_iter=20).fit(large, labels)
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-4)
    assert np.isinf(ours.loss_curve_[0])
    with pytest.raises(ValueError, match="overflow occurred at epoch #1"):
        Perceptron().fit(X * 1e300, labels, sample_weight=np.full(60, 1e300))


@quiet
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(np.float32, 1e37), (np.float32, 3e38), (np.float64, 1e200), (np.float64, 1e308)],
)
def test_the_perceptron_takes_no_step_where_products_overflow_and_cancel(dtype, scale, n_classes):
    rng = np.random.RandomState(0)
    large = (rng.uniform(-1, 1, (60, 4)) * scale).astype(dtype)
    labels = rng.randint(0, n_classes, 60)
    ours = Perceptron(max_iter=20).fit(large, labels)
    theirs = linear_model.Perceptron(max_iter=20).fit(large, labels)
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_array_equal(ours.coef_, theirs.coef_)
    np.testing.assert_array_equal(ours.intercept_, theirs.intercept_)


# --- pickles of other versions -------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, Perceptron, Adaline])
def test_a_pickle_of_another_version_warns(Estimator):
    fitted = Estimator(max_iter=2).fit(X, y)
    data = pickle.dumps(fitted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for same in (pickle.loads(data), copy.copy(fitted), copy.deepcopy(fitted)):
            assert vars(same).keys() == vars(fitted).keys()
            np.testing.assert_array_equal(same.predict(X), fitted.predict(X))
    other = "x" + __version__[1:]
    assert data.count(__version__.encode()) == 1
    with pytest.warns(InconsistentVersionWarning, match=f"{Estimator.__name__} from version x"):
        old = pickle.loads(data.replace(__version__.encode(), other.encode()))
    assert vars(old).keys() == vars(fitted).keys()
    with pytest.warns(InconsistentVersionWarning, match="from version unknown"):
        Estimator().__setstate__(vars(fitted))  # as of versions that wrote none


# --- errors that help ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("Estimator", "parameters", "meant"),
    [
        (MLPClassifier, {"activation": "sigmoid"}, "logistic"),
        (MLPClassifier, {"activation": ["relu", "lrelu"]}, "leaky_relu"),
        (MLPClassifier, {"activation": "linear"}, "identity"),
        (MLPClassifier, {"loss": "cross_entropy"}, "log_loss"),
        (MLPClassifier, {"loss": "MSE"}, "squared_error"),
        (MLPRegressor, {"loss": "mae"}, "absolute_error"),
        (MLPClassifier, {"solver": "Adam"}, "adam"),
        (MLPClassifier, {"solver": "rms_prop"}, "rmsprop"),
        (MLPClassifier, {"init": "xavier_normal"}, "glorot_normal"),
        (Perceptron, {"penalty": "elastic-net"}, "elasticnet"),
        (Perceptron, {"class_weight": "balance"}, "balanced"),
    ],
)
def test_errors_of_options_name_the_one_that_was_meant(Estimator, parameters, meant):
    with pytest.raises(ValueError, match=f"instead\\. Did you mean '{meant}'\\?$"):
        Estimator(**parameters).fit(X, y)


@pytest.mark.parametrize("solver", ["zzz", 3, None])
def test_errors_of_other_values_guess_nothing(solver):
    with pytest.raises(ValueError, match=r"instead\.$"):
        MLPClassifier(solver=solver).fit(X, y)


@pytest.mark.parametrize("Estimator", [MLPClassifier, Perceptron])
def test_early_stopping_on_too_few_rows_speaks_of_the_users_labels(Estimator):
    for labels, counts in (
        (["no"] * 39 + ["yes"], "39 of 'no', 1 of 'yes'"),
        (["no"] * 2 + ["yes"] * 2, "2 of 'no', 2 of 'yes'"),
    ):
        n = len(labels)
        text = f"validation_fraction=0.1 of {n} samples aside, of each class; y has {counts}\\."
        with pytest.raises(ValueError, match=text):
            Estimator(early_stopping=True).fit(np.eye(n), labels)


def test_early_stopping_on_one_row():
    with pytest.raises(ValueError, match=r"validation_fraction=0\.1 of 1 samples aside\. Give"):
        MLPRegressor(early_stopping=True).fit([[1.0]], [1.0])


def test_targets_of_a_regression_are_not_printed_whole():
    values = np.linspace(0, 1, 1001)
    wrong = r"^Unknown label type: continuous\. .* y begins with \[0\.0, 0\.001, 0\.002\]$"
    with pytest.raises(ValueError, match=wrong):
        MLPClassifier().fit(values[:, None], values)
    with pytest.raises(ValueError, match=r"^Unknown label type: unknown") as error:
        MLPClassifier().fit(values[:, None], np.array([2**70, 1, 2] * 333 + [1, 2], dtype=object))
    assert len(str(error.value)) < 300
    with pytest.raises(ValueError, match=r" classes begins with \[0\.0, 0\.001, 0\.002\]$"):
        MLPClassifier().partial_fit(X, y, classes=values)
