"""docs/validation.md: its code, and what it says is checked."""

import doctest
import pathlib
import warnings

import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.training.data import warn_of_other_scale

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FAR = "X_val lies far outside of the range of X"
rng = np.random.default_rng(0)
X, y = rng.normal(size=(300, 4)), np.arange(300) % 2


def test_the_page_says_what_happens():
    """Every line of code on the page, and what it prints."""
    page = pathlib.Path(__file__).parent.parent / "docs" / "validation.md"
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    with sklearn.config_context():  # which the page changes
        failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=flags)
    assert tried > 20
    assert failed == 0


def fit(X_val, X=X, model=MLPClassifier):
    return model(hidden_layer_sizes=(3,), max_iter=1).fit(
        X, y, X_val=X_val, y_val=y[: X_val.shape[0]]
    )


def test_an_X_val_that_was_not_scaled_is_noticed():
    data, target = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), MLPClassifier((3,), max_iter=1))
    arguments = {"mlpclassifier__X_val": data[::4], "mlpclassifier__y_val": target[::4]}
    with pytest.warns(UserWarning, match=f"{FAR} in 4 of 30 features: the median of feature 2"):
        model.fit(data, target, **arguments)


@pytest.mark.parametrize("model", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8])
def test_one_feature_of_another_scale_is_noticed(model, dtype):
    whole = np.arange(1200).reshape(300, 4) % 9  # 0 to 8
    other = whole + np.array([0, 0, 90, 0])
    with pytest.warns(UserWarning, match=rf"{FAR} in 1 of 4 .* 2 is 94 .* 0 to 8\.") as caught:
        fit(other.astype(dtype), whole.astype(dtype), model)
    assert caught[0].filename == __file__


SHIFTED = X + 0.9 * np.ptp(X, axis=0)
OUTLIERS = X.copy()
OUTLIERS[:100] *= 1e6
CONSTANT = X * [1, 0, 1, 1]
INTEGERS = np.arange(-128, 128, dtype=np.int8)[rng.permutation(1200) % 256].reshape(300, 4)


@pytest.mark.parametrize(("X_val", "X"), [
    (X[:50], X),
    (X[:1], X),
    (SHIFTED, X),
    (OUTLIERS, X),
    (X, CONSTANT),
    (X, 100 * X),
    (INTEGERS[:, ::-1], INTEGERS),
    (X > 0, X > 0),
    (X[:10].astype(np.float32), X.astype(np.float32)),
    (scipy.sparse.csr_array(100 + X), X),
    (100 + X, scipy.sparse.csr_array(X)),
], ids=["part", "row", "shifted", "outliers", "constant", "smaller", "int8", "bool", "float32",
        "sparse", "X sparse"])  # fmt: skip
@pytest.mark.filterwarnings("error")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_may_well_be_of_one_population_is_not(X_val, X):
    fit(X_val, X)


@pytest.mark.filterwarnings("error")
def test_differences_beyond_float64_are_quiet():
    warn_of_other_scale(1.7e308 * np.sign(X[::-1]), 1.7e308 * np.sign(X))
    warn_of_other_scale(np.full((2, 4), -1.7e308), np.full((2, 4), 1.7e308))


@pytest.mark.filterwarnings("error")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_splits_of_real_data_are_quiet():
    for load in (load_iris, load_breast_cancer):
        data, target = load(return_X_y=True)
        few = MLPClassifier((3,), max_iter=1)
        for seed in range(20):
            order = np.random.RandomState(seed).permutation(len(data))
            val, train = order[:20], order[20:]
            few.fit(data[train], target[train], X_val=data[val], y_val=target[val])


def test_a_refused_warning_keeps_the_earlier_fit():
    clf = fit(X[:50])
    before = clf.coefs_[0].copy()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", FAR)
        with pytest.raises(UserWarning, match=FAR):
            clf.fit(X, y, X_val=X + 1000, y_val=y)
    np.testing.assert_array_equal(clf.coefs_[0], before)


def test_data_frames_whose_columns_differ_are_an_error():
    frame, target = load_iris(return_X_y=True, as_frame=True)
    clf = MLPClassifier((3,), max_iter=1)
    for other in (frame[frame.columns[::-1]], frame.rename(columns=str.upper)):
        with pytest.raises(ValueError, match=r"X_val, .*: The feature names should match"):
            clf.fit(frame, target, X_val=other, y_val=target)
