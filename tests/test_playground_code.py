"""What the playground copies out as Python trains the same network, to the bit."""

import contextlib
import io

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.app.play import own_table
from fastmlp.playground.export import NoCode, fastmlp_code, sklearn_code
from fastmlp.playground.live import LiveNetwork
from fastmlp.playground.own_table import OwnTable
from tests.playground_client import mixed_table, state

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def run(code, **given):
    """The model that code leads to, and what it prints."""
    printed = io.StringIO()
    names = dict(given)
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "copied", "exec"), names)
    return names["model"], float(printed.getvalue())


def check(live, **given):
    """Run the code for this package, and compare all weights."""
    model, score = run(fastmlp_code(live), **given)
    np.testing.assert_array_equal(model._blocks().flat(), live.session.blocks().flat())
    if model.loss != "kl_divergence":
        now = live.now
        assert score == (now.train_score if np.isnan(now.test_score) else now.test_score)
    return model


def check_sklearn(live, **given):
    """Run the code for scikit-learn, and compare all weights."""
    code = sklearn_code(live)
    assert "from sklearn.neural_network import" in code
    assert "from fastmlp import" not in code
    model, _ = run(code, **given)
    blocks = live.session.blocks()
    for ours, theirs in zip(
        [*blocks.weights, *blocks.biases], [*model.coefs_, *model.intercepts_], strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def trained(wanted, *epochs, own=None):
    live = LiveNetwork(wanted, own)
    for each in epochs or (25,):
        live.train(each, None)
    return live


IN_BOTH = {
    "default": state(),
    "adam": state("spiral", points=300, noise=0.1, seed=4, random_state=7, network={
        "solver": "adam", "activation": "relu", "hidden_layer_sizes": [8, 8], "alpha": 0.01}),
    "momentum": state("xor", features=["x", "y", "xy", "sinx"], network={
        "momentum": 0.9, "nesterovs_momentum": True, "activation": "logistic"}),
    "invscaling": state("moons", network={"learning_rate": "invscaling"}),
    "adaptive": state("gauss", noise=0.5, network={
        "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.01}),
    "classes": state("circle", classes=4, train=0.8),
    "added": state("plane", points=50, added=[[0.5, 0.25, 1], [1, 1, 0.5]]),
    "regression": state("cubic", features=["x"], network={"hidden_layer_sizes": []}),
    "points": state("points", added=[[0, 0, 0], [1, 1, 1], [2, 3, 1]]),
    "small batches": state("circle", points=20, network={"batch_size": 200}),
    "digits": state("digits", train=0.3, network={"hidden_layer_sizes": [8], "batch_size": 100}),
    "poisson": state("bumps", network={"loss": "poisson", "learning_rate_init": 0.001}),
}  # fmt: skip

OURS_ALONE = {
    "activations": state("circle", network={"activation": ["prelu", "maxout"]}),
    "huber": state("sine", network={"loss": "huber", "huber_delta": 0.3}),
    "kl": state("gauss", classes=3, network={"loss": "kl_divergence"}),
    "hinge": state("gauss", network={"loss": "hinge"}),
    "dropout": state("moons", network={"dropout": [0.0, 0.1, 0.2]}),
    "gamma": state("plane", network={"loss": "gamma", "learning_rate_init": 0.001}),
    "plateau": state("moons", network={"learning_rate": "plateau", "learning_rate_period": 1}),
    "init": state("moons", network={"init": "auto", "solver": "rmsprop"}),
    "balanced": state("points", added=[[0, 0, 0], [1, 1, 1], [2, 3, 1]], network={
        "class_weight": "balanced"}),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_BOTH)
def test_both_codes_lead_to_the_same_weights(name):
    live = trained(IN_BOTH[name], 7, 13)
    check(live)
    check_sklearn(live)
    assert "TrainingSession" not in fastmlp_code(live)


@pytest.mark.parametrize("name", OURS_ALONE)
def test_what_scikit_learn_lacks_is_named(name):
    live = trained(OURS_ALONE[name], 7, 13)
    check(live)
    with pytest.raises(NoCode, match=r"lacks \w+="):
        sklearn_code(live)


def test_training_that_was_changed_is_played_back():
    wanted = state("spiral", network={"solver": "adam", "learning_rate": "one_cycle"})
    live = trained(wanted, 10)
    for name, value in (
        ("learning_rate_init", 0.1), ("alpha", 0.01), ("dropout", 0.1), ("batch_size", 7),
        ("max_iter", 40), ("learning_rate", "constant"),
    ):  # fmt: skip
        changed = {**wanted, "network": {**wanted["network"], name: value}}
        live.declare(changed)
        live.train(3, None)
        wanted = changed
    live.set_weight(0, 1, 2, 0.125)
    live.train(4, None)
    check(live)
    assert "session.change(alpha=0.01)" in fastmlp_code(live)
    assert "session.set_weight(0, 1, 2, 0.125)" in fastmlp_code(live)
    live.back(16)
    check(live)
    live.train(5, None)
    check(live)
    with pytest.raises(NoCode, match="lacks learning_rate='one_cycle'"):
        sklearn_code(live)


def test_a_changed_rate_is_no_fit_of_scikit_learn():
    live = trained(state("moons"), 10)
    live.declare(state("moons", network={"learning_rate_init": 0.3}))
    live.train(5, None)
    check(live)
    with pytest.raises(NoCode, match="changed in the course of training"):
        sklearn_code(live)
    live.set_weight(0, 0, 0, 1.0)
    check(live)
    with pytest.raises(NoCode, match="by hand"):
        sklearn_code(live)
    # before the first epoch it is the rate to begin with
    live = LiveNetwork(state("moons"), None)
    live.declare(state("moons", network={"learning_rate_init": 0.3}))
    live.train(5, None)
    check(live)
    check_sklearn(live)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_planned_schedules(schedule):
    network = {"learning_rate": schedule, "max_iter": 30, "solver": "adam"}
    for epochs in (10, 30, 45):
        live = trained(state("moons", network=network), epochs)
        check(live)
        assert ("TrainingSession" in fastmlp_code(live)) == (epochs != 30)


def test_an_adaptive_rate_beyond_its_end():
    """`fit` stops where the rate is below 1e-6; the page goes on if it is asked to."""
    network = {"learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 10.0}
    live = trained(state("moons", network=network), 60)
    assert live.session.rate <= 1e-6
    check(live)
    with pytest.raises(NoCode):
        sklearn_code(live)


def test_early_stopping():
    network = {"early_stopping": True, "n_iter_no_change": 4}
    live = trained(state("moons", noise=0.2, network=network), 5)
    assert live.ended is None
    check(live)
    with pytest.raises(NoCode, match="go on until it ends"):
        sklearn_code(live)
    live.train(1000, None)
    assert live.ended == "early stopping"
    check(live)
    check_sklearn(live)
    live.back(5)
    check(live)


def test_first_weights():
    live = LiveNetwork(state("moons"), None)
    check(live)
    with pytest.raises(NoCode, match="before its first epoch"):
        sklearn_code(live)


def test_tables():
    X, y = mixed_table()
    begun = {"data": {"set": "table", "train": 0.6, "seed": 2}, "seed": 1}
    live = trained(begun, own=OwnTable(X, y))
    check(live, X=X, y=y)
    check_sklearn(live, X=X, y=y)
    for loss in ("squared_error", "gamma"):
        values = np.random.default_rng(0).gamma(2.0, 100.0, 120)
        wanted = {**begun, "network": {"loss": loss, "learning_rate_init": 0.001}}
        live = trained(wanted, own=OwnTable(X, values))
        check(live, X=X, y=values)


def test_a_file(tmp_path):
    X, y = mixed_table()
    path = tmp_path / "some 'quoted' name.csv"
    pd.concat([X, y], axis=1).to_csv(path, index=False)
    own = own_table(path, "grade")
    live = trained({"data": {"set": "table"}}, own=own)
    assert (
        live.problem.inputs
        == trained({"data": {"set": "table"}}, own=OwnTable(X, y)).problem.inputs
    )
    check(live)
    check_sklearn(live)


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_a_fitted_estimator(Estimator):
    X, y = load_iris(return_X_y=True)
    fitted = Estimator(hidden_layer_sizes=(5,), max_iter=20, random_state=0).fit(X, y)
    live = LiveNetwork(
        {"data": {"set": "table"}, "network": {"hidden_layer_sizes": [5], "init": "fitted"}},
        OwnTable(X, y, estimator=fitted),
    )
    np.testing.assert_array_equal(live.session.blocks().flat(), fitted._blocks().flat())
    live.train(10, None)
    check(live, X=X, y=y, estimator=fitted)
