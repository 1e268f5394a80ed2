"""What a call costs depends on its own data, and not on what was before."""

import copy
import pickle

import numpy as np
import pytest
import sklearn.metrics
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import r2_score

from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron
from fastmlp.estimators.scoring import r2

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
