"""Lines of the package that could once be changed without a test that noticed.

What is right is computed in NumPy here, or by scikit-learn. Each docstring names the change.
"""

import os
import threading
import warnings

import joblib
import numpy as np
import pytest
import scipy.special
from sklearn import config_context, datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, mean_pinball_loss, r2_score
from sklearn.model_selection import train_test_split

from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron, load
from fastmlp.inspection import check_gradients
from tests import reference

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

both = pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])

X, y = datasets.load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
n = len(X)
rng = np.random.default_rng(0)
weight = rng.uniform(0.2, 3, n)
z = X @ [1.0, -2.0, 0.5, 0.3] + rng.normal(size=n)

no_step = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1, "shuffle": False}


class Script:
    """A callable that gives a value, but raises or does something else in one of its calls."""

    def __init__(self, value, call, act):
        self.value, self.call, self.act, self.calls = value, call, act, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.act() if self.calls == self.call else self.value


def raising(error):
    def act():
        raise error

    return act


def linear(n_outputs, seed=0):
    """First weights and biases of a network without hidden layers."""
    random = np.random.default_rng(seed)
    return [random.normal(size=(4, n_outputs)), random.normal(size=n_outputs)]


def same_models(one, other):
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


# --- the loss and what it weighs -----------------------------------------------------------------


@pytest.mark.parametrize("class_weight", [{0: 0.3, 1: 4.0}, "balanced"], ids=str)
@pytest.mark.parametrize("sample_weight", [None, weight], ids=["", "weighted"])
def test_lbfgs_weighs_the_classes(class_weight, sample_weight):
    """L-BFGS that is given the sample weights without those of the classes."""
    labels = (y > 1).astype(int)
    clf = MLPClassifier(
        (), solver="lbfgs", alpha=4.0, class_weight=class_weight, tol=1e-7, max_iter=1000,
        random_state=0,
    ).fit(X, labels, sample_weight)  # fmt: skip
    factors = np.array([0.3, 4.0])
    if class_weight == "balanced":  # by the samples, not by their weights as scikit-learn's now is
        factors = n / (2 * np.bincount(labels))
    right, plain = (
        LogisticRegression(C=1 / 4.0, class_weight=given, tol=1e-9, max_iter=1000).fit(
            X, labels, sample_weight
        )
        for given in (dict(enumerate(factors)), None)
    )
    np.testing.assert_allclose(clf.coefs_[0][:, 0], right.coef_[0], atol=2e-4)
    np.testing.assert_allclose(clf.intercepts_[0], right.intercept_, atol=2e-4)
    assert np.abs(right.coef_ - plain.coef_).max() > 0.03
    weights = factors[labels] * (1 if sample_weight is None else sample_weight)
    expected = log_loss(labels, clf.predict_proba(X), sample_weight=weights)
    expected += 4.0 / 2 * (clf.coefs_[0] ** 2).sum() / weights.sum()
    assert clf.loss_ == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_labels_of_multilabel_are_smoothed_one_by_one(loss):
    """The share spread over the number of labels instead of over yes and no."""
    Y = np.column_stack([y > 0, y > 1, X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 1]).astype(int)
    W, b = linear(5)
    clf = MLPClassifier((), loss=loss, label_smoothing=0.3, alpha=0, init=[W, b], **no_step)
    clf.fit(X, Y)
    targets, p = 0.7 * Y + 0.15, scipy.special.expit(X @ W + b)
    rows = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    rows = rows if loss == "log_loss" else 0.5 * (p - targets) ** 2
    assert clf.loss_curve_ == pytest.approx([rows.sum(axis=1).mean()], rel=1e-12)
    assert clf.loss_and_gradient(X, Y)[0] == pytest.approx(rows.sum(axis=1).mean(), rel=1e-12)


def test_the_loss_that_is_looked_into_has_both_penalties():
    """`loss_and_gradient` without L1, or with the strengths in each other's place."""
    W, b = linear(1)
    reg = MLPRegressor(
        hidden_layer_sizes=(), alpha=3.0, l1=7.0, init=[W, b], **no_step
    ).fit(X, z)  # fmt: skip
    loss, [(by_weights, by_biases)] = reg.loss_and_gradient(X, z, weight)
    error = (X @ W + b)[:, 0] - z
    total = weight.sum()
    expected = (0.5 * weight @ error**2 + 1.5 * (W**2).sum() + 7 * np.abs(W).sum()) / total
    assert loss == pytest.approx(expected, rel=1e-12)
    gradient = (X.T @ (weight * error))[:, None] + 3 * W + 7 * np.sign(W)
    np.testing.assert_allclose(by_weights, gradient / total, rtol=1e-12)
    np.testing.assert_allclose(by_biases, [weight @ error / total], rtol=1e-12)


def test_one_rate_of_dropout_is_for_hidden_layers_alone():
    """A single rate that reaches the input too."""
    common = {"max_iter": 3, "random_state": 0, "learning_rate_init": 0.01}
    one = MLPClassifier((6, 5), dropout=0.5, **common).fit(X, y)
    same_models(one, MLPClassifier((6, 5), dropout=[0.0, 0.5, 0.5], **common).fit(X, y))
    W, b = linear(3)
    clf = MLPClassifier((), dropout=0.5, alpha=0, init=[W, b], **no_step).fit(X, y)
    p = scipy.special.softmax(X @ W + b, axis=1)
    assert clf.loss_ == pytest.approx(log_loss(y, p), rel=1e-12)


def test_rows_of_probabilities_sum_to_one_within_a_thousandth():
    """Other limits on their sums."""
    soft = np.tile([0.2, 0.3, 0.5], (n, 1))
    clf = MLPClassifier((), loss="kl_divergence", max_iter=1)
    for sum_ in (0.9992, 1.0008):
        clf.fit(X, soft * sum_)
    for sum_ in (0.998, 1.002):
        wrong = soft.copy()
        wrong[7] *= sum_
        with pytest.raises(ValueError, match=r"sums from 0\.998|to 1\.002"):
            clf.fit(X, wrong)


# --- steps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "amsgrad", "adamax", "adagrad", "rmsprop", "adadelta"])
def test_an_epsilon_below_float32_moves_no_weight_without_gradient(solver):
    """Epsilon as it is: 0 in float32, and the step of a weight without gradient 0 / 0.

    The first step of these solvers is the rate times the sign of the gradient, but of 'rmsprop'.
    """
    single, targets = X.astype(np.float32), z.astype(np.float32)
    single[:, 2] = 0
    W, b = linear(1)
    reg = MLPRegressor(
        hidden_layer_sizes=(), solver=solver, epsilon=1e-60, alpha=0, init=[W, b], max_iter=1,
        batch_size=n, learning_rate_init=0.25,
    ).fit(single, targets)  # fmt: skip
    gradient = reference.gradient(
        [W, b], [], "squared_error", single.astype(float), targets[:, None].astype(float),
        np.ones(n),
    )  # fmt: skip
    size = {"rmsprop": 0.25 / np.sqrt(1 - 0.9), "adadelta": 0.0}.get(solver, 0.25)
    assert gradient[0][2, 0] == 0
    assert np.abs(np.delete(gradient[0], 2)).min() > 1e-2
    for got, start, g in zip([reg.coefs_[0], reg.intercepts_[0]], [W, b], gradient, strict=True):
        np.testing.assert_allclose(got, start - size * np.sign(g), rtol=1e-5)


def test_lbfgs_stops_at_its_tolerance():
    """`tol` not handed on as the largest gradient component to stop at."""
    common = {"solver": "lbfgs", "hidden_layer_sizes": (5,), "random_state": 1, "max_iter": 400}
    iterations = []
    for tol in (3e-1, 3e-2, 3e-3):
        ours, theirs = (
            module(tol=tol, activation="tanh", **common).fit(X, y)
            for module in (MLPClassifier, neural_network.MLPClassifier)
        )
        assert ours.n_iter_ == theirs.n_iter_
        assert np.abs(ours.loss_and_gradient(X, y, flat=True)[1]).max() <= tol
        iterations.append(ours.n_iter_)
    assert iterations[0] < iterations[1] < iterations[2]


@pytest.mark.parametrize("limit", ["clip_norm", "max_norm"])
def test_a_limit_that_is_never_reached_changes_nothing(limit):
    """A random number drawn for another option than dropout: the shuffles are then others.

    Not with each seed, for shuffles pass over numbers beyond the rows that are left.
    """
    for seed in range(4):
        common = {"hidden_layer_sizes": (5,), "max_iter": 2, "batch_size": 30, "random_state": seed}
        clf = MLPClassifier(**{limit: 1e9}, **common).fit(X, y)
        plain = neural_network.MLPClassifier(**common).fit(X, y)
        for one, other in zip(clf.coefs_, plain.coefs_, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-10)


def test_a_batch_of_all_samples_needs_no_warning():
    """`batch_size` equal to the number of samples said to be too large."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        MLPClassifier((3,), batch_size=n, max_iter=1).fit(X, y)


# --- rates ---------------------------------------------------------------------------------------


def rates(epochs, tol=0.0, n_iter_no_change=np.inf, first=0.1, **parameters):
    clf = MLPClassifier(
        (3,), max_iter=epochs, tol=tol, n_iter_no_change=n_iter_no_change, random_state=0,
        learning_rate_init=first, **parameters,
    )  # fmt: skip
    return np.array(clf.fit(X, y).learning_rate_curve_)


def bow(start, end, share):
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2


@pytest.mark.parametrize("warmup", [0, 3])
@pytest.mark.parametrize("least", [0.0, 0.03])
def test_one_cycle_goes_down_to_the_least_rate_after_the_warm_up(warmup, least):
    """'one_cycle' that ignores `learning_rate_min`, or plans as if there were no warm-up."""
    curve = rates(warmup + 11, learning_rate="one_cycle", learning_rate_min=least,
                  warmup_epochs=warmup)  # fmt: skip
    up, down = np.arange(3), np.arange(3, 11)
    end = max(0.1 / 25e4, least)
    np.testing.assert_allclose(
        curve,
        [
            *0.1 * np.arange(1, warmup + 1) / (warmup + 1),
            *bow(0.1 / 25, 0.1, up / 3),
            *bow(0.1, end, (down - 3) / 7),
        ],
        rtol=1e-12,
    )
    assert curve[-1] == pytest.approx(end, rel=1e-9)


def test_one_cosine_takes_the_epochs_after_the_warm_up():
    """The epochs of the warm-up counted into a 'cosine' without a period."""
    curve = rates(10, learning_rate="cosine", warmup_epochs=4)
    np.testing.assert_allclose(curve[4:], bow(0.1, 0.0, np.arange(6) / 6), rtol=1e-12)


def test_steps_end_at_the_least_rate():
    """'step' that ignores `learning_rate_min`."""
    curve = rates(8, learning_rate="step", learning_rate_period=2, learning_rate_decay=0.5,
                  learning_rate_min=0.03)  # fmt: skip
    np.testing.assert_allclose(curve, [0.1, 0.1, 0.05, 0.05, 0.03, 0.03, 0.03, 0.03])


def test_plateau_by_its_defaults():
    """Another patience than 5 epochs, or another factor than 0.1."""
    curve = rates(14, learning_rate="plateau", tol=10.0)
    # the first epoch is progress, the next 6 are more than 5 without
    np.testing.assert_allclose(curve, [0.1] * 7 + [0.01] * 6 + [0.001])


def test_plateau_counts_anew_while_the_rate_is_above_a_millionth():
    """Not counting `n_iter_no_change` anew when the rate falls, or doing so for ever."""
    curve = rates(50, learning_rate="plateau", learning_rate_period=2, tol=10.0, first=2e-5,
                  n_iter_no_change=4)  # fmt: skip
    # one epoch of progress, 3 without; anew 3 without; then 3 + 2 of them in a row, as 2e-7 < 1e-6
    np.testing.assert_allclose(curve, [2e-5] * 4 + [2e-6] * 3 + [2e-7] * 2)


def test_the_least_rate_may_be_the_first():
    """`learning_rate_min` equal to `learning_rate_init` refused."""
    np.testing.assert_array_equal(rates(3, learning_rate="cosine", learning_rate_min=0.1), 0.1)


@both
def test_a_partial_fit_that_fails_leaves_the_schedule(Estimator):
    """The schedule shared with the earlier fit instead of copied."""
    model = Estimator(hidden_layer_sizes=(3,), learning_rate="exponential", random_state=0,
                      solver="sgd", batch_size=10)  # fmt: skip
    classes = {"classes": [0, 1, 2]} if Estimator is MLPClassifier else {}
    model.partial_fit(X, y, **classes)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="diverged"):
        model.partial_fit(X * 1e160, y)
    model.partial_fit(X, y).partial_fit(X, y)
    np.testing.assert_allclose(model.learning_rate_curve_, 0.001 * 0.95 ** np.arange(3))


# --- validation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
@pytest.mark.parametrize("given", [False, True], ids=["set aside", "given"])
def test_scorers_get_the_weights_of_the_validation_samples(given, scoring):
    """`sample_weight_val`, or the weights of the samples set aside, not handed to a scorer."""
    clf = MLPClassifier(
        (), scoring=scoring, early_stopping=True, max_iter=1, random_state=3, init=linear(3),
        learning_rate_init=0.01,
    )  # fmt: skip
    if given:
        rows = np.arange(0, n, 2)
        val = {"X_val": X[rows], "y_val": y[rows], "sample_weight_val": weight[rows]}
        clf.fit(X, y, **val)
    else:
        rows = train_test_split(np.arange(n), test_size=0.1, random_state=3, stratify=y)[1]
        clf.fit(X, y, weight)
    predicted, p = clf.predict(X[rows]), clf.predict_proba(X[rows])
    right, plain = (
        accuracy_score(y[rows], predicted, sample_weight=w)
        if scoring == "accuracy"
        else -log_loss(y[rows], p, sample_weight=w)
        for w in (weight[rows], None)
    )
    assert clf.validation_scores_ == pytest.approx([right], rel=1e-12)
    assert abs(right - plain) > 1e-3


@pytest.mark.parametrize("value", [0.15, 0.9])
@pytest.mark.parametrize("loss", ["quantile", "huber"])
def test_the_validation_loss_has_the_losss_parameter(loss, value):
    """The validation loss computed without `quantile` or `huber_delta`."""
    W, b = linear(1)
    name = "quantile" if loss == "quantile" else "huber_delta"
    reg = MLPRegressor(loss, (), init=[W, b], **{name: value}, **no_step)
    reg.fit(X, z, X_val=X[::2], y_val=z[::2], sample_weight_val=weight[::2])
    predicted = (X[::2] @ W + b)[:, 0]
    expected = mean_pinball_loss(z[::2], predicted, sample_weight=weight[::2], alpha=value)
    if loss == "huber":
        error = np.abs(predicted - z[::2])
        rows = np.where(error > value, value * (error - value / 2), error**2 / 2)
        expected = np.average(rows, weights=weight[::2])
    assert reg.validation_loss_curve_ == pytest.approx([expected], rel=1e-12)
    right = r2_score(z[::2], predicted, sample_weight=weight[::2])
    assert reg.validation_scores_ == pytest.approx([right], rel=1e-12)


def test_class_weights_are_of_the_training_samples_alone():
    """The validation loss weighed by the classes too."""
    W, b = linear(3)
    clf = MLPClassifier((), class_weight={0: 5.0, 2: 0.1}, init=[W, b], alpha=0, **no_step)
    clf.fit(X, y, X_val=X[1::3], y_val=y[1::3], sample_weight_val=weight[1::3])
    p = scipy.special.softmax(X @ W + b, axis=1)
    expected = log_loss(y[1::3], p[1::3], sample_weight=weight[1::3])
    assert clf.validation_loss_curve_ == pytest.approx([expected], rel=1e-12)
    trained = log_loss(y, p, sample_weight=np.array([5.0, 1.0, 0.1])[y])
    assert clf.loss_curve_ == pytest.approx([trained], rel=1e-12)


def test_scorers_get_the_most_probable_class_of_soft_targets():
    """The probabilities themselves handed to a scorer as y."""
    soft = np.random.default_rng(1).dirichlet([1, 1, 1], n)
    clf = MLPClassifier((), loss="kl_divergence", scoring="accuracy", init=linear(3), **no_step)
    clf.fit(X, soft, X_val=X[::2], y_val=soft[::2])
    expected = accuracy_score(soft[::2].argmax(axis=1), clf.predict(X[::2]))
    assert clf.validation_scores_ == [pytest.approx(expected)]


def test_a_warm_start_on_given_samples_begins_with_their_own_score():
    """The best score on the samples set aside held against scores of samples that are given."""
    clf = MLPClassifier((5,), early_stopping=True, warm_start=True, max_iter=40, random_state=0,
                        learning_rate_init=0.02).fit(X, y)  # fmt: skip
    assert clf.best_validation_score_ > 0.8
    other = (y + 1) % 3
    clf.set_params(learning_rate_init=1e-300).fit(X, y, X_val=X, y_val=other)
    expected = accuracy_score(other, clf.predict(X))
    assert clf.best_validation_score_ == pytest.approx(expected)
    assert expected < 0.2


def test_a_warm_start_on_samples_set_aside_begins_with_their_own_score():
    """The best score on samples that were given taken for one on the samples set aside."""
    clf = MLPClassifier((), early_stopping=True, warm_start=True, max_iter=1, random_state=3,
                        init=linear(3), learning_rate_init=1e-300)  # fmt: skip
    clf.fit(X, y, X_val=X, y_val=clf.fit(X, y).predict(X))
    assert clf.best_validation_score_ == 1
    clf.fit(X, y)
    rows = train_test_split(np.arange(n), test_size=0.1, random_state=3)[1]
    expected = accuracy_score(y[rows], clf.predict(X[rows]))
    assert expected < 0.9
    assert clf.best_validation_score_ == pytest.approx(expected)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_standing_still_is_progress_where_the_tolerance_is_zero(early_stopping):
    """`>=` for `>`, or the other way round, where an epoch is held against the best one."""
    iterations = [
        module((3,), early_stopping=early_stopping, tol=tol, n_iter_no_change=2, max_iter=9,
               solver="sgd", learning_rate_init=1e-300, shuffle=False, random_state=0)
        .fit(X, y).n_iter_
        for module in (MLPClassifier, neural_network.MLPClassifier) for tol in (0.0, 1e-9)
    ]  # fmt: skip
    assert iterations == [9, 4, 9, 4]


def test_an_epoch_without_a_score_leaves_the_best_weights():
    """The best weights given up for a single NaN among the scores."""
    scores = [0.5, np.nan, 0.9, 0.6, 0.7]
    model = MLPClassifier((4,), early_stopping=True, max_iter=5, random_state=0,
                          scoring=lambda *_: given.pop(0))  # fmt: skip
    given = [0.0, *scores]  # the first weights are scored, too
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="No score")
        model.fit(X, y, X_val=X, y_val=y)
    np.testing.assert_array_equal(model.validation_scores_, scores)
    assert model.best_validation_score_ == 0.9
    same_models(model, MLPClassifier((4,), max_iter=3, random_state=0).fit(X, y))


# --- predictions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_an_output_at_the_threshold_is_the_first_class(kind, loss):
    """`>=` for `>` at a probability of a half, or a score of 0."""
    labels = y > 0 if kind == "binary" else np.column_stack([y > 0, y > 1]).astype(int)
    clf = MLPClassifier((), loss=loss, max_iter=1).fit(X, labels)
    clf.coefs_, clf.intercepts_ = [np.zeros((4, labels.ndim))], [np.zeros(labels.ndim)]
    np.testing.assert_array_equal(clf.predict(X), np.zeros_like(labels))


@pytest.mark.parametrize("Estimator", [Perceptron, Adaline])
def test_a_sum_at_the_threshold_is_the_first_class(Estimator):
    """`>=` for `>` where weighted sums are compared with 0."""
    clf = Estimator(max_iter=2).fit(X, y > 0)
    clf.coef_, clf.intercept_ = np.zeros((1, 4)), np.zeros(1)
    np.testing.assert_array_equal(clf.predict(X), np.zeros(n, bool))


def test_a_loss_may_be_of_samples_of_some_classes():
    """`loss_and_gradient` that wants all classes, or is of the classes that it sees."""
    W, b = linear(3)
    clf = MLPClassifier((), alpha=0, init=[W, b], warm_start=True, **no_step).fit(X, y)
    p = scipy.special.softmax(X @ W + b, axis=1)
    few = slice(40, 60)
    expected = -np.log(p[few][np.arange(20), y[few]]).mean()
    assert clf.loss_and_gradient(X[few], y[few])[0] == pytest.approx(expected, rel=1e-12)


# --- an estimator during a fit, and after one that failed ----------------------------------------


@both
def test_parameters_set_by_another_thread_during_a_fit_stay(Estimator):
    """`set_params` during a fit lost at its end; or heeded by the fit that has begun."""
    common = {"hidden_layer_sizes": (4,), "max_iter": 6, "random_state": 0}
    model = Estimator(**common)

    def change():
        changes = {"alpha": 0.5, "max_iter": 3, "hidden_layer_sizes": (9,)}
        other = threading.Thread(target=model.set_params, kwargs=changes)
        other.start()
        other.join()
        return 0.01

    model.set_params(learning_rate=Script(0.01, 3, change)).fit(X, y)
    assert (model.alpha, model.max_iter, model.hidden_layer_sizes) == (0.5, 3, (9,))
    assert model.n_iter_ == 6
    same_models(model, Estimator(learning_rate=lambda epoch: 0.01, **common).fit(X, y))


def test_a_warm_start_interrupted_at_once_keeps_the_loss():
    """The loss not taken over from the earlier fit."""
    clf = MLPClassifier((4,), max_iter=3, random_state=0, warm_start=True).fit(X, y)
    loss = clf.loss_
    clf.set_params(learning_rate=Script(0.01, 1, raising(KeyboardInterrupt)))
    with pytest.warns(UserWarning, match="interrupted"):
        clf.fit(X, y)
    assert clf.n_iter_ == 0
    assert clf.loss_ == loss
    assert len(clf.loss_curve_) == 3


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_failed_adaline_leaves_the_costs_of_the_earlier_one(method):
    """New costs appended to the earlier fit's list instead of to a copy."""
    clf = Adaline(max_iter=3, tol=None, warm_start=True).fit(X, y > 0)
    costs = list(clf.loss_curve_)
    assert len(costs) == 3
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="diverged"):
        getattr(clf.set_params(eta0=1e300), method)(X * 1e100, y > 0)
    assert clf.loss_curve_ == costs


def test_an_interrupt_warns_at_the_line_of_the_call():
    """A warning that points into contextlib."""

    class Interrupted(np.random.RandomState):
        def permutation(self, x):
            raise KeyboardInterrupt

    clf = Adaline(batch_size=10, random_state=Interrupted(0))
    with pytest.warns(UserWarning, match="interrupted") as caught:
        clf.fit(X, y > 0)
    assert [warning.filename for warning in caught] == [__file__]
    assert clf.n_iter_ == 0


# --- single layers -------------------------------------------------------------------------------


def test_adaline_multiplies_the_weights_of_classes_and_samples():
    """Sample weights dropped where there are weights of classes."""
    labels = y > 1
    factors = np.array([3.0, 1.0]) / 2  # a dict's are divided by their mean
    for class_weight in ({False: 3.0, True: 1.0}, "balanced"):
        if class_weight == "balanced":
            factors = n / (2 * np.bincount(labels))
        weights = factors[labels.astype(int)] * weight
        clf = Adaline(eta0=1e-3, max_iter=2, tol=None, init_scale=0, class_weight=class_weight)
        clf.fit(X, labels, weight)
        w, b, costs = np.zeros(4), 0.0, []
        for _ in range(2):
            error = np.where(labels, 1, -1) - X @ w - b
            costs.append(0.5 * weights @ error**2)
            w, b = w + 1e-3 * (weights * error) @ X, b + 1e-3 * weights @ error
        np.testing.assert_allclose([*clf.coef_[0], *clf.intercept_], [*w, b], rtol=1e-10)
        assert clf.loss_curve_ == pytest.approx(costs, rel=1e-10)


def test_the_perceptrons_score_at_the_threshold_is_scikit_learns():
    """`>=` for `>` in the accuracy of early stopping; integers often lie on the boundary."""
    from sklearn.linear_model import Perceptron as Theirs

    for seed in range(12):
        random = np.random.RandomState(seed)
        rows, labels = random.randint(-1, 2, (60, 3)), random.randint(2, size=60)
        ours, theirs = (
            Model(early_stopping=True, validation_fraction=0.4, n_iter_no_change=2, tol=1e-3,
                  fit_intercept=False, random_state=seed, max_iter=40).fit(rows, labels)
            for Model in (Perceptron, Theirs)
        )  # fmt: skip
        assert ours.n_iter_ == theirs.n_iter_
        np.testing.assert_array_equal(ours.coef_, theirs.coef_)


def test_given_weights_stay_as_they_were():
    """Training in the arrays that were given as the first weights."""
    coef, intercept = np.ones((1, 4)), np.ones(1)
    clf = Perceptron(max_iter=3).fit(X, y > 0, coef_init=coef, intercept_init=intercept)
    assert not np.array_equal(clf.coef_, coef)
    np.testing.assert_array_equal(coef, 1)
    np.testing.assert_array_equal(intercept, 1)
    init = linear(3)
    for solver in ("adam", "lbfgs"):
        MLPClassifier((), init=init, solver=solver, max_iter=2).fit(X, y)
    for given, first in zip(init, linear(3), strict=True):
        np.testing.assert_array_equal(given, first)


# --- first weights -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("init", "activation", "alpha", "variances"),
    [
        *(
            ("auto", activation, None, [("uniform", 2 / 4), ("normal", 2 / (7 + 3))])
            for activation in ("relu", "elu", "swish", "silu", "gelu", "mish")
        ),
        ("auto", "selu", None, [("normal", 1 / 4), ("normal", 2 / (7 + 3))]),
        ("auto", "logistic", None, [("normal", 2 / (4 + 7)), ("normal", 2 / (7 + 3))]),
        ("he_normal", "prelu", 0.5, [("normal", 2 / 4 / 1.25), ("normal", 2 / 7)]),
        ("he_uniform", "leaky_relu", 2.0, [("uniform", 2 / 4 / 5), ("uniform", 2 / 7)]),
        ("lecun_uniform", "prelu", 0.5, [("uniform", 1 / 4), ("uniform", 1 / 7)]),
    ],
)  # fmt: skip
def test_first_weights_by_rule(init, activation, alpha, variances):
    """An activation left out of its family; the output layer by the hidden layers' activation."""
    clf = MLPClassifier((7,), activation, activation_alpha=alpha, init=init, random_state=5,
                        **no_step).fit(X, y)  # fmt: skip
    random = np.random.RandomState(5)
    for weights, (distribution, variance) in zip(clf.coefs_, variances, strict=True):
        if distribution == "normal":
            expected = random.normal(0, np.sqrt(variance), weights.shape)
        else:
            bound = np.sqrt(3 * variance)
            expected = random.uniform(-bound, bound, weights.shape)
        np.testing.assert_allclose(weights, expected, rtol=1e-12)
    for bias in clf.intercepts_:
        np.testing.assert_allclose(bias, 0, atol=1e-290)


@pytest.mark.parametrize(("init", "bound"), [
    ("auto", np.sqrt(3 * 2 / 4)), ("glorot_uniform", np.sqrt(6 / (4 + 7))),
])  # fmt: skip
def test_a_maxout_piece_is_drawn_as_a_layer(init, bound):
    """Fan-out counted over all pieces, or 'maxout' left out of the relu family."""
    clf = MLPClassifier((7,), "maxout", maxout_pieces=3, init=init, random_state=5, **no_step)
    clf.fit(X, y)
    expected = np.random.RandomState(5).uniform(-bound, bound, (4, 21))
    np.testing.assert_allclose(clf.coefs_[0], expected, rtol=1e-12)


def test_prelu_starts_from_activation_alpha():
    """The slopes always started from the default."""
    for alpha, slope in ((0.7, 0.7), (None, 0.25), ([0.1, None], 0.1)):
        clf = MLPClassifier((7, 2), "prelu", activation_alpha=alpha, random_state=0, **no_step)
        first, second = clf.fit(X, y).activation_slopes_
        np.testing.assert_array_equal(first, slope)
        np.testing.assert_array_equal(second, 0.25 if isinstance(alpha, list) else slope)


# --- what parameters and arrays may be -----------------------------------------------------------


@pytest.mark.parametrize("Estimator", [MLPClassifier, Perceptron])
def test_scikit_learn_may_be_told_not_to_validate(Estimator):
    """`skip_parameter_validation` not heeded."""
    clf = Estimator(tol=-1.0, max_iter=2)
    with pytest.raises(ValueError, match="'tol' parameter of"):
        clf.fit(X, y)
    with config_context(skip_parameter_validation=True):
        assert clf.fit(X, y).n_iter_ == 2


def test_limits_that_belong_to_the_range():
    """The largest seed refused, or the largest momentum."""
    common = {"hidden_layer_sizes": (3,), "max_iter": 4, "solver": "sgd", "momentum": 1.0}
    for nesterovs_momentum in (False, True):
        ours, theirs = (
            module(random_state=2**32 - 1, nesterovs_momentum=nesterovs_momentum, **common)
            .fit(X, y)
            for module in (MLPClassifier, neural_network.MLPClassifier)
        )  # fmt: skip
        for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10)
    for wrong in ({"random_state": 2**32}, {"momentum": np.nextafter(1.0, 2.0)}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            MLPClassifier(**wrong).fit(X, y)


@pytest.mark.parametrize("layout", [np.asarray, scipy.sparse.csr_matrix])
def test_a_single_number_beyond_float32_is_refused_without_a_warning(layout):
    """One value not checked; NumPy's warning of the overflow let through."""
    reg = MLPRegressor(hidden_layer_sizes=(), max_iter=1)
    reg.fit(np.ones((2, 1), np.float32), [0.0, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"X must be within float32.*from 1e\+300 to 1e\+300"):
            reg.partial_fit(layout([[1e300]]), [1.0])


def test_targets_are_judged_as_the_network_takes_them():
    """`y` itself held against the range of the loss: in float32 its smallest value may be 0."""
    targets = np.full(n, 1e-60)
    MLPRegressor("gamma", (), max_iter=1).fit(X, targets)
    with pytest.raises(
        ValueError, match=r"valid range of the loss 'gamma': must be > 0, got 1e-60"
    ):
        MLPRegressor("gamma", (), max_iter=1).fit(X.astype(np.float32), targets)


# --- files ---------------------------------------------------------------------------------------


def saved(estimator, path):
    estimator.save(path)
    return load(path)


def test_nothing_is_saved_that_could_not_be_loaded(tmp_path):
    """Parameters that are not held against the rules where scikit-learn does not validate."""
    with config_context(skip_parameter_validation=True):
        clf = MLPClassifier((3,), tol=-1.0, max_iter=2).fit(X, y)
        with pytest.raises(ValueError, match="cannot be saved: The 'tol' parameter"):
            clf.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_whole_numbers_of_up_to_64_bits_are_saved(tmp_path):
    """Another limit on them."""
    clf = MLPClassifier((3,), max_iter=1).fit(X, y)
    for weights in ({2**64 - 1: 2.0}, {-(2**63): 2.0}):
        copy = saved(clf.set_params(class_weight=weights), tmp_path / "model")
        assert copy.class_weight == weights
    before = (tmp_path / "model").read_bytes()
    with pytest.raises(ValueError, match=r"class_weight is .*which a file cannot hold"):
        clf.set_params(class_weight={2**64: 2.0}).save(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_nothing_but_a_file_is_replaced(tmp_path):
    """A pipe, or a device such as /dev/null, replaced by the model."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no file that could be replaced"):
        MLPClassifier((3,), max_iter=1).fit(X, y).save(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_solvers_state_may_be_infinite(tmp_path):
    """Only a finite state saved: the square of a gradient may be beyond float32."""
    rows = (1e3 * X).astype(np.float32)
    reg = MLPRegressor(hidden_layer_sizes=(), max_iter=2, random_state=0).fit(rows, 1e18 * z)
    copy = saved(reg, tmp_path / "model")
    np.testing.assert_array_equal(copy.predict(rows), reg.predict(rows))
    same_models(copy.partial_fit(rows, 1e18 * z), reg.partial_fit(rows, 1e18 * z))


def test_a_saved_solver_goes_on_by_the_epoch_where_its_callable_was(tmp_path):
    """The epoch lost where `save` puts a named schedule in the place of a callable."""
    reg = MLPRegressor(hidden_layer_sizes=(3,), learning_rate=lambda epoch: 0.5, max_iter=4,
                       random_state=0).fit(X, z)  # fmt: skip
    reg.set_params(learning_rate="exponential")
    again = saved(reg, tmp_path / "model").partial_fit(X, z)
    assert again.learning_rate_curve_ == pytest.approx([0.5] * 4 + [0.001 * 0.95**4], rel=1e-12)


def test_class_weights_in_another_order_are_of_the_same_fit(tmp_path):
    """Parameters of a checkpoint told apart by the order of a dict."""
    common = {"hidden_layer_sizes": (4,), "max_iter": 6, "random_state": 0}
    weights = {0: 2.0, 1: 0.5, 2: 3.0}
    rate = Script(0.01, 4, raising(RuntimeError))
    clf = MLPClassifier(class_weight=weights, learning_rate=rate, checkpoint=tmp_path / "fit",
                        **common)  # fmt: skip
    with pytest.raises(RuntimeError):
        clf.fit(X, y)
    clf.set_params(class_weight=dict(reversed(weights.items()))).fit(X, y)
    assert rate.calls == 4 + 3  # it went on
    right = MLPClassifier(class_weight=weights, learning_rate=lambda epoch: 0.01, **common)
    same_models(clf, right.fit(X, y))


OTHER = {
    "hidden_layer_sizes": (4,), "activation": "tanh", "solver": "sgd", "alpha": 0.5,
    "batch_size": 70, "learning_rate": "step", "learning_rate_init": 0.5, "power_t": 0.1,
    "max_iter": 5, "shuffle": False, "random_state": 1, "tol": 0.5, "warm_start": True,
    "momentum": 0.5, "nesterovs_momentum": False, "early_stopping": True,
    "validation_fraction": 0.2, "beta_1": 0.5, "beta_2": 0.5, "epsilon": 0.5,
    "n_iter_no_change": 5, "max_fun": 5, "activation_alpha": 0.5, "maxout_pieces": 3,
    "init": "auto", "l1": 0.5, "weight_decay": 0.5, "rho": 0.5, "dropout": 0.5, "max_norm": 0.5,
    "clip_norm": 0.5, "learning_rate_decay": 0.5, "learning_rate_period": 5,
    "learning_rate_period_mult": 5, "learning_rate_min": 1e-9, "warmup_epochs": 5,
    "scoring": "loss", "max_time": 99.0, "loss": "squared_error", "label_smoothing": 0.5,
    "class_weight": "balanced", "diagnostics": True,
}  # fmt: skip


def test_every_parameter_tells_one_fit_from_another(tmp_path):
    """A parameter that matters left out of what a checkpoint is held against."""
    rate = Script(0.01, 4, raising(RuntimeError))
    clf = MLPClassifier((3,), max_iter=6, random_state=0, learning_rate=rate,
                        checkpoint=tmp_path / "fit")  # fmt: skip
    with pytest.raises(RuntimeError):
        clf.fit(X, y)
    free = {"verbose", "n_jobs", "checkpoint", "checkpoint_every", "device"}
    given = clf.get_params()
    # another precision needs a device: tests/test_device.py
    assert given.keys() == OTHER.keys() | free | {"precision"}
    for name, value in OTHER.items():
        with pytest.raises(ValueError, match=rf"is of another fit: {name} was .*, now it is "):
            clf.set_params(**{name: value}).fit(X, y)
        clf.set_params(**given)
    assert clf.set_params(n_jobs=1, checkpoint_every=5).fit(X, y).n_iter_ == 6


def test_a_checkpoint_of_long_rows(tmp_path):
    """Rows of over 4 MiB, of which less than one is hashed at a time: none at all."""
    rows = np.zeros((2, 2**19 + 1))
    rows[1] = 1
    common = {"hidden_layer_sizes": (), "max_iter": 1, "random_state": 0}
    clf = MLPClassifier(checkpoint=tmp_path / "fit", **common).fit(rows, [0, 1])
    same_models(clf, MLPClassifier(**common).fit(rows, [0, 1]))


# --- other runtimes, callbacks, inspection -------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("init", "auto"), ("l1", 0.1), ("dropout", 0.1), ("max_norm", 1.0), ("clip_norm", 1.0),
        ("warmup_epochs", 1), ("scoring", "accuracy"), ("max_time", 9.0), ("label_smoothing", 0.1),
        ("class_weight", "balanced"), ("learning_rate", "step"), ("solver", "nadam"),
    ],
)  # fmt: skip
def test_each_parameter_that_scikit_learn_lacks_is_named(name, value):
    """A parameter forgotten, which scikit-learn's estimator would not heed."""
    clf = MLPClassifier((3,), max_iter=1).fit(X, y).set_params(**{name: value})
    with pytest.raises(ValueError, match=rf"MLPClassifier lacks {name}={value!r}\. What only"):
        clf.to_sklearn()


def test_records_that_begin_in_scikit_learn():
    """Records that are None left as they are, though early stopping is to come there."""
    clf = MLPClassifier((3,), max_iter=2, random_state=0, warm_start=True).fit(X, y)
    theirs = clf.set_params(early_stopping=True).to_sklearn()
    assert theirs.validation_scores_ == []
    assert theirs.best_validation_score_ == -np.inf
    assert len(theirs.fit(X, y).validation_scores_) == 2


def test_callbacks_are_told_of_the_sample_weights_and_of_the_most_epochs():
    """The weights left out of what callbacks are given, or `max_iter`."""
    pytest.importorskip("sklearn.callback")
    told, expected = [], []

    class Watcher:
        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context):
            expected.append((context.task_name, context.max_subtasks))

        def on_fit_task_end(self, estimator, context, *, X, y, metadata):
            told.append(metadata)

    for given in (weight, None):
        told.clear(), expected.clear()
        MLPClassifier((3,), max_iter=2).set_callbacks(Watcher()).fit(X, y, given)
        assert expected == [("fit", 2), ("epoch", 0), ("epoch", 0)]
        assert len(told) == 3
        for metadata in told:
            if given is None:
                assert metadata is None
            else:
                assert list(metadata) == ["sample_weight"]
                np.testing.assert_array_equal(metadata["sample_weight"], weight)


def test_every_task_that_callbacks_see_begin_ends():
    """The iteration that L-BFGS begins and does not make, as it has converged, left without end."""
    pytest.importorskip("sklearn.callback")
    log = []

    class Watcher:
        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context):
            log.append(("begin", context.task_name, context.task_id))

        def on_fit_task_end(self, estimator, context):
            log.append(("end", context.task_name, context.task_id))

    clf = MLPClassifier((), solver="lbfgs", tol=0.1, random_state=0).set_callbacks(Watcher())
    made = clf.fit(X, y).n_iter_
    assert 1 < made < 50
    epochs = [(what, "epoch", i) for i in range(made + 1) for what in ("begin", "end")]
    assert log == [("begin", "fit", 0), *epochs, ("end", "fit", 0)]


def test_gradients_are_checked_with_the_sample_weights():
    """The weights dropped: a sample that does not count may lie at a kink of the loss."""
    W, b = linear(1)
    reg = MLPRegressor("absolute_error", (), init=[W, b], **no_step).fit(X, z)
    targets = z.copy()
    targets[5] = reg.predict(X)[5] + 1e-9
    counts = np.ones(n)
    assert max(check_gradients(reg, X, targets, counts).values()) > 1e-3
    counts[5] = 0
    assert max(check_gradients(reg, X, targets, counts).values()) < 1e-6
    with pytest.raises(ValueError, match="'alpha' parameter of MLPRegressor"):
        check_gradients(reg.set_params(alpha=-1.0), X, z)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_the_gradient_by_every_weight_is_checked(place):
    """The first or the last weight left out: a sample at a kink of the loss moves one of them."""
    W, b = linear(1)
    rows = X.copy()
    rows[5] = np.eye(4)[place]
    reg = MLPRegressor("absolute_error", (), init=[W, b], alpha=0, **no_step).fit(rows, z)
    assert check_gradients(reg, rows, z)["coefs_[0]"] < 1e-6
    targets = z.copy()
    targets[5] = reg.predict(rows)[5] + 1e-9
    assert check_gradients(reg, rows, targets)["coefs_[0]"] > 1e-3


def test_gradients_of_weights_that_cannot_be_written_to_are_checked(tmp_path):
    """The parameters changed where they are instead of in copies."""
    reg = MLPRegressor(hidden_layer_sizes=(3,), activation="tanh", max_iter=2).fit(X, z)
    joblib.dump(reg, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert not mapped.coefs_[0].flags.writeable
    assert max(check_gradients(mapped, X, z).values()) < 1e-6
