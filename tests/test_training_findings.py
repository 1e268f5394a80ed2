"""What training tells of itself: its course, its end, its warnings, what it prints."""

import warnings

import numpy as np
import pytest
import scipy.optimize
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPClassifier, MLPRegressor, from_sklearn

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both = pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
X, y = datasets.load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)


def said(function, *args, **kwargs):
    """The warnings of a call, but for those of convergence."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ConvergenceWarning)
        function(*args, **kwargs)
    return [str(warning.message) for warning in caught]


# --- the curve of 'lbfgs' ------------------------------------------------------------------------


@quiet
@both
def test_lbfgs_records_the_loss_of_each_iteration(Estimator, capsys):
    common = {"hidden_layer_sizes": (5,), "solver": "lbfgs", "max_iter": 12, "random_state": 0}
    model = Estimator(verbose=True, **common).fit(X, y)
    lines = [line for line in capsys.readouterr().out.splitlines() if "loss = " in line]
    assert lines == [
        f"Iteration {k}, loss = {loss:.8f}" for k, loss in enumerate(model.loss_curve_, 1)
    ]
    assert len(model.loss_curve_) == model.n_iter_ == 12
    assert model.loss_curve_[-1] == model.loss_
    assert np.all(np.diff(model.loss_curve_) <= 0)
    # each is that of the weights at the time
    shorter = Estimator(**common).set_params(max_iter=5).fit(X, y)
    assert shorter.loss_curve_ == model.loss_curve_[:5]
    assert shorter.loss_and_gradient(X, y)[0] == pytest.approx(model.loss_curve_[4], rel=1e-12)


@quiet
def test_lbfgs_goes_on_with_the_curve_of_a_warm_start():
    model = MLPClassifier((5,), solver="lbfgs", max_iter=4, random_state=0, warm_start=True)
    first = list(model.fit(X, y).loss_curve_)
    kept = model.loss_curve_
    model.fit(X, y)
    assert model.loss_curve_[:4] == first == kept  # a curve that was taken does not grow
    assert len(model.loss_curve_) == 8
    model.set_params(solver="adam").fit(X, y)
    assert len(model.loss_curve_) == 12
    model.set_params(solver="lbfgs", warm_start=False).fit(X, y)
    assert model.loss_curve_ == first


@quiet
def test_scikit_learns_lbfgs_keeps_no_curve():
    model = MLPClassifier((5,), solver="lbfgs", max_iter=4, random_state=0).fit(X, y)
    theirs = model.to_sklearn()
    assert not hasattr(theirs, "loss_curve_")
    back = from_sklearn(theirs).set_params(warm_start=True).fit(X, y)
    assert len(back.loss_curve_) == 4


@quiet
def test_an_lbfgs_that_goes_on_from_its_checkpoint_has_the_whole_curve(tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    model = MLPClassifier((5,), solver="lbfgs", max_iter=12, random_state=0)
    whole = model.fit(X, y).loss_curve_
    model.set_params(checkpoint=tmp_path / "fit", checkpoint_every=1)
    minimize = scipy.optimize.minimize

    def interrupted(function, *args, callback, **kwargs):
        iterations = 0

        def after(intermediate_result):
            nonlocal iterations
            callback(intermediate_result=intermediate_result)
            iterations += 1
            if iterations == 7:
                raise RuntimeError

        return minimize(function, *args, callback=after, **kwargs)

    monkeypatch.setattr(scipy.optimize, "minimize", interrupted)
    with pytest.raises(RuntimeError):
        model.fit(X, y)
    monkeypatch.undo()
    assert model.fit(X, y).loss_curve_ == whole


# --- schedules that plan their course ------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    "schedule",
    [
        {"learning_rate": "one_cycle"},
        {"learning_rate": "cosine"},
        {"learning_rate": "one_cycle", "warmup_epochs": 3},
        {"learning_rate": "cosine", "warmup_epochs": 3, "learning_rate_period": 17},
    ],
    ids=str,
)
def test_a_planned_schedule_runs_its_course_and_has_converged(schedule, early_stopping):
    """Patience that ends it near its highest rate; a warning that it has not converged."""
    model = MLPClassifier(
        (5,), max_iter=20, tol=10.0, n_iter_no_change=2, random_state=0,
        early_stopping=early_stopping, **schedule,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
    assert model.n_iter_ == 20
    assert model.learning_rate_curve_[-1] < 0.02 * model.learning_rate_init
    if early_stopping:
        assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.parametrize(
    "schedule",
    [
        {"learning_rate": "cosine", "learning_rate_period": 10},  # starts again
        {"learning_rate": "cosine", "learning_rate_period": 30},  # is cut off
        {"learning_rate": "exponential"},
        {"learning_rate": "constant"},
        {"learning_rate": "cosine", "warmup_epochs": 20},  # has only warmed up
        {"learning_rate": "one_cycle", "warmup_epochs": 25},
    ],
    ids=str,
)
def test_other_schedules_that_run_out_of_epochs_say_so(schedule):
    model = MLPClassifier((5,), max_iter=20, tol=0.0, random_state=0, **schedule)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(20\) reached"):
        model.fit(X, y)


@quiet
@pytest.mark.parametrize("period", [10, 30])
def test_patience_ends_a_cosine_that_is_not_planned_for_all_epochs(period):
    model = MLPClassifier(
        (5,), max_iter=20, tol=10.0, n_iter_no_change=2, random_state=0,
        learning_rate="cosine", learning_rate_period=period,
    ).fit(X, y)  # fmt: skip
    assert model.n_iter_ == 1 + 3


# --- the patience of a warm start ----------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_warm_start_that_the_earlier_fits_patience_ends_says_so(early_stopping):
    """One epoch of 500 on other data, and silence."""
    model = MLPClassifier(
        (10,), max_iter=500, n_iter_no_change=5, learning_rate_init=0.05, random_state=0,
        early_stopping=early_stopping, warm_start=True,
    )  # fmt: skip
    assert said(model.fit, X, y) == []
    converged, other = model.n_iter_, np.random.RandomState(0).permutation(y)
    assert 5 < converged < 500
    before = model.best_validation_score_ if early_stopping else model.best_loss_
    (text,) = said(model.fit, X, other)
    assert model.n_iter_ == 1
    name = "best_validation_score_" if early_stopping else "best_loss_"
    value = "-numpy.inf" if early_stopping else "numpy.inf"
    assert "ended after 1 of max_iter=500 epochs, by the patience of the earlier fit" in text
    assert f"Set the estimator's {name} = {value} before fit" in text
    assert getattr(model, name) == before
    # what it advises helps
    setattr(model, name, -np.inf if early_stopping else np.inf)
    assert said(model.fit, X, other) == []
    assert model.n_iter_ > 5


@quiet
def test_a_warm_start_within_its_own_patience_says_nothing():
    model = MLPClassifier((10,), max_iter=1, tol=10.0, random_state=0, warm_start=True)
    for _ in range(15):  # each has the one epoch that it asked for
        assert said(model.fit, X, y) == []
    for _ in range(3):
        assert said(model.partial_fit, X, y) == []


@quiet
def test_another_score_has_a_patience_of_its_own():
    """Epochs without progress in accuracy counted against a score on other samples."""
    model = MLPClassifier(
        (10,), max_iter=500, tol=0.01, n_iter_no_change=5, learning_rate_init=0.05, random_state=0,
        early_stopping=True, warm_start=True,
    ).fit(X, y)  # fmt: skip
    model.set_params(tol=10.0)  # no epoch makes progress
    assert said(model.fit, X, y, X_val=X[::3], y_val=y[::3]) == []
    assert model.n_iter_ == 1 + 5
