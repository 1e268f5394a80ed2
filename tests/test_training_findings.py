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


# --- parameters without effect -------------------------------------------------------------------

UNUSED = [
    # parameters, what they need, and other parameters with which they have an effect
    ({"weight_decay": 0.1}, "for solver='adamw'", {"solver": "adamw"}),
    ({"rho": 0.5}, "for solver='rmsprop' or 'adadelta'", {"solver": "adadelta"}),
    ({"learning_rate": "cosine", "solver": "lbfgs"}, "for first-order solvers", {"solver": "sgd"}),
    ({"warmup_epochs": 2, "solver": "lbfgs"}, "for first-order solvers", {"solver": "adam"}),
    ({"learning_rate_decay": 0.5, "learning_rate": "cosine"},
     "for learning_rate='step' or 'exponential' or 'plateau' of first-order solvers",
     {"learning_rate": "step"}),
    ({"learning_rate_period": 2, "learning_rate": "one_cycle"},
     "for learning_rate='cosine' or 'step' or 'plateau' of first-order solvers",
     {"learning_rate": "plateau"}),
    ({"learning_rate_period_mult": 2, "learning_rate": "cosine"},
     "for learning_rate='cosine' of first-order solvers, with learning_rate_period",
     {"learning_rate_period": 2}),
    ({"learning_rate_min": 1e-5}, "for learning_rate='cosine' or 'one_cycle'",
     {"learning_rate": "exponential"}),
    ({"scoring": "loss"}, "with early_stopping or X_val, for first-order solvers",
     {"early_stopping": True}),
    ({"activation": "gelu", "hidden_layer_sizes": ()}, "with hidden layers",
     {"hidden_layer_sizes": (3,)}),
    ({"activation_alpha": 0.5, "activation": "tanh"}, "for activation='leaky_relu' or 'prelu'",
     {"activation": ["silu", "relu"], "hidden_layer_sizes": (3, 3)}),
    ({"maxout_pieces": 3}, "for activation='maxout'", {"activation": "maxout"}),
    ({"dropout": 0.5, "hidden_layer_sizes": ()}, "with hidden layers", {"dropout": [0.5]}),
    ({"max_norm": 1.0, "hidden_layer_sizes": ()}, "with hidden layers",
     {"hidden_layer_sizes": (3,)}),
    ({"checkpoint_every": 5}, "with checkpoint", None),
    ({"quantile": 0.3}, "for loss='quantile'", {"loss": "quantile"}),
    ({"huber_delta": 2.0}, "for loss='huber'", {"loss": "huber"}),
]  # fmt: skip


@quiet
@pytest.mark.parametrize(("unused", "need", "used"), UNUSED, ids=lambda value: str(value)[:40])
def test_a_parameter_of_ours_without_effect_is_told_of(unused, need, used, tmp_path):
    """One refused, the next ignored in silence."""
    model = MLPRegressor(**{"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0, **unused})
    (text,) = said(model.fit, X, y)
    name = next(iter(unused))
    assert text.startswith(f"Without effect here: {name} (only {need}")
    # nor had it any
    plain = MLPRegressor(**{**model.get_params(), name: MLPRegressor().get_params()[name]})
    for one, other in zip(model.coefs_, plain.fit(X, y).coefs_, strict=True):
        np.testing.assert_array_equal(one, other)
    if used is None:
        pytest.importorskip("safetensors")
        used = {"checkpoint": tmp_path / "fit"}
    assert said(model.set_params(**used).fit, X, y) == []


def test_all_of_them_are_named_in_one_warning_at_the_line_of_the_call():
    model = MLPClassifier((3,), max_iter=2, solver="lbfgs", weight_decay=0.1, rho=0.5,
                          scoring="accuracy", warmup_epochs=1, learning_rate="one_cycle",
                          learning_rate_min=1e-6, random_state=0)  # fmt: skip
    with pytest.warns(UserWarning, match="Without effect here") as caught:
        model.fit(X, y)
    (warning,) = [w for w in caught if not issubclass(w.category, ConvergenceWarning)]
    assert warning.filename == __file__
    text = str(warning.message)
    for name in ("weight_decay", "rho", "scoring", "warmup_epochs", "learning_rate",
                 "learning_rate_min"):  # fmt: skip
        assert f" {name} (only " in text
    assert text.count("(only ") == 6


@both
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_scikit_learns_own_parameters_are_ignored_as_there(Estimator, solver):
    model = Estimator(
        hidden_layer_sizes=(3,), solver=solver, max_iter=2, random_state=0, power_t=0.7,
        learning_rate="adaptive", momentum=0.5, nesterovs_momentum=False, beta_1=0.5, beta_2=0.5,
        epsilon=1e-6, validation_fraction=0.2, n_iter_no_change=3, max_fun=50, batch_size=50,
        shuffle=False, early_stopping=solver == "lbfgs", n_jobs=1,
    )  # fmt: skip
    assert said(model.fit, X, y) == []


def test_validation_data_and_defaults_in_other_words_have_nothing_to_tell():
    model = MLPClassifier((3,), max_iter=2, random_state=0, scoring="loss", weight_decay=0.01,
                          checkpoint_every=60)  # fmt: skip
    assert said(model.fit, X, y, X_val=X, y_val=y) == []

    class Narrow(MLPClassifier):
        def __init__(self, rho=0.5):
            super().__init__((3,), rho=rho, max_iter=2, random_state=0)

    (text,) = said(Narrow().fit, X, y)
    assert text == "Without effect here: rho (only for solver='rmsprop' or 'adadelta')."


@both
def test_the_policy_is_in_the_class_docstring(Estimator):
    assert "then warns once and names all of them" in Estimator.__doc__


# --- scorers and rare classes --------------------------------------------------------------------

RARE = np.r_[0:50, 50:100, 100:105]  # five of the third class


@quiet
@pytest.mark.parametrize("scoring", ["neg_log_loss", "roc_auc_ovr", "loss"])
@pytest.mark.parametrize("seed", range(20))
def test_a_rare_class_is_among_the_validation_samples(scoring, seed):
    """12 of 20 seeds failed, after the first epoch, for want of the third class."""
    model = MLPClassifier((4,), max_iter=2, early_stopping=True, scoring=scoring, random_state=seed)
    model.fit(X[RARE], y[RARE])
    assert len(model.validation_scores_) == 2
    assert model.t_ == 2 * (105 - 11)  # a tenth, as without scoring


@quiet
def test_the_split_has_its_share_of_each_class():
    seen = []

    def scoring(estimator, X, y):
        seen.append(y)
        return 0.0

    common = {"early_stopping": True, "validation_fraction": 0.2, "max_iter": 1, "random_state": 0}
    MLPClassifier((4,), scoring=scoring, **common).fit(X, y)
    np.testing.assert_array_equal(np.bincount(seen[0]), [10, 10, 10])
    seen.clear()
    few = np.r_[0:90, 100:102, 148:150]  # 50, 40 and 4
    MLPClassifier((4,), scoring=scoring, **common).fit(X[few], y[few])
    np.testing.assert_array_equal(np.bincount(seen[0]), [10, 8, 1])
    seen.clear()
    MLPClassifier((4,), scoring=scoring, **common).fit(X[:101], y[:101])  # one of a class
    assert len(seen[0]) == 21
    seen.clear()
    rare = np.r_[0:50, 50:52]
    for seed in range(10):  # of two classes, too
        MLPClassifier((4,), scoring=scoring, **common | {"random_state": seed}).fit(
            X[rare], y[rare]
        )
        np.testing.assert_array_equal(np.bincount(seen[-1]), [10, 1])


@quiet
@both
@pytest.mark.parametrize("given", [False, True])
def test_what_a_scorer_cannot_do_is_found_before_training(Estimator, given):
    epochs = []

    def rate(epoch):
        epochs.append(epoch)
        return 0.01

    def without_weights(estimator, X, y):
        return 0.0

    val = {"X_val": X, "y_val": y, "sample_weight_val": np.ones(150)} if given else {}
    common = {"hidden_layer_sizes": (4,), "learning_rate": rate, "early_stopping": not given,
              "max_iter": 2, "random_state": 0}  # fmt: skip
    model = Estimator(scoring=without_weights, **common)
    with pytest.raises(ValueError, match=r"without_weights.* gave no score .*sample_weight"):
        model.fit(X, y, np.ones(150), **val)
    model.set_params(scoring="neg_mean_squared_log_error")
    if given:
        val["y_val"] = y - 5
    with pytest.raises(ValueError, match=r"'neg_mean_squared_log_error' gave no score"):
        model.fit(X, y - 5, np.ones(150), **val)
    assert epochs == []
    assert model.set_params(scoring="loss").fit(X, y - 5, np.ones(150), **val).n_iter_ == 2


# --- what is printed -----------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("given", [False, True])
def test_verbose_2_adds_total_rate_and_validation_loss(given, capsys):
    val = {"X_val": X, "y_val": y} if given else {}
    model = MLPClassifier((4,), max_iter=4, learning_rate="one_cycle", random_state=0, verbose=True)
    model.fit(X, y, **val)
    theirs = capsys.readouterr().out.splitlines()
    model.set_params(verbose=2).fit(X, y, **val)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("Epoch")] == theirs
    assert len(theirs) == 4 * (1 + given)
    step = 2 + given
    for k, rate in enumerate(model.learning_rate_curve_):
        right = f"Epoch {k + 1} of 4, learning rate = {rate:.3g}"
        if given:
            right += f", validation loss = {model.validation_loss_curve_[k]:.8f}"
        assert lines[step * k + step - 1] == right
    model.partial_fit(X, y)
    assert capsys.readouterr().out.splitlines()[-1].startswith("Epoch 1, learning rate = ")


@quiet
def test_verbose_2_of_lbfgs_adds_total_and_evaluations(capsys):
    model = MLPClassifier((4,), solver="lbfgs", max_iter=3, max_fun=70, random_state=0, verbose=2)
    model.fit(X, y)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Iteration")]
    assert lines[::2] == [f"Iteration {k}, loss = {v:.8f}" for k, v in
                          enumerate(model.loss_curve_, 1)]  # fmt: skip
    counts = []
    for k, line in enumerate(lines[1::2], 1):
        start, end = f"Iteration {k} of 3, evaluations = ", " of 70"
        assert line.startswith(start)
        assert line.endswith(end)
        counts.append(int(line[len(start):-len(end)]))  # fmt: skip
    assert counts[0] >= 2  # the start, and where the first step led
    assert np.all(np.diff(counts) >= 1)
