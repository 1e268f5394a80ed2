"""The playground's exercises: how they begin, what they ask for, and that they can be done."""

import numpy as np
import pytest

from fastmlp.playground.live import LiveNetwork
from fastmlp.playground.missions import MISSIONS, lines_drawn
from tests.playground_client import Page, Refused, state


class Learner:
    """Somebody who works on one of the exercises."""

    def __init__(self, server, name):
        self.page, self.name = Page(server), name
        mission = next(m for m in self.page.hello["missions"] if m["id"] == name)
        self.state = mission["state"]
        self.page.frame(self.state)

    def network(self, epochs=0, **changes):
        self.state["network"] = {**self.state["network"], **changes}
        return self.page.frame(self.state, epochs=epochs)

    def data(self, epochs=0, **changes):
        self.state["data"] = {**self.state["data"], **changes}
        return self.page.frame(self.state, epochs=epochs)

    @property
    def checks(self):
        answer = self.page.ask("mission", id=self.name)
        assert answer["done"] == all(check["done"] for check in answer["checks"])
        assert all(check["text"] for check in answer["checks"])
        return [check["done"] for check in answer["checks"]]


@pytest.mark.parametrize("name", MISSIONS)
def test_no_mission_is_done_at_its_beginning(server, name):
    learner = Learner(server, name)
    assert not all(learner.checks)
    assert all(getattr(MISSIONS[name], field) for field in ("title", "text", "hint"))
    learner.page.ask("bye")


def test_one_unit_draws_one_line(server):
    learner = Learner(server, "one-unit")
    learner.network(epochs=50)
    assert learner.checks == [True, False, False]
    learner.network(epochs=100)
    assert learner.checks == [True, True, False]
    learner.network(hidden_layer_sizes=[2], epochs=100)
    assert learner.checks == [True, True, True]


def test_numbers_of_hidden_nodes(server):
    learner = Learner(server, "hidden-nodes")
    for i, n in enumerate((1, 2, 3, 5, 10)):
        assert learner.checks == [True] + [True] * i + [False] * (5 - i)
        learner.network(hidden_layer_sizes=[n], epochs=200)
    assert all(learner.checks)


def test_the_spiral_from_x_and_y_alone(server):
    learner = Learner(server, "spiral")
    network = {"hidden_layer_sizes": [32, 32], "solver": "adam", "learning_rate_init": 0.01}
    learner.data(features=["x", "y", "sinx", "siny"])
    learner.network(**network)
    for _ in range(5):
        learner.network(epochs=100)
    assert learner.checks == [True, False, True]
    learner.data(features=["y", "x"])
    for _ in range(5):
        learner.network(epochs=100)
    assert all(learner.checks)


def test_gradients_vanish_and_are_cured(server):
    learner = Learner(server, "vanish")
    learner.network(epochs=1)
    assert learner.checks == [True, True, False, False]
    findings = learner.page.ask("diagnose")["findings"]
    cure = next(f for f in findings if f["kind"] == "gradients vanish")
    learner.page.frame(cure["state"], epochs=200)
    assert all(learner.checks)


def test_too_high_a_rate(server):
    learner = Learner(server, "rate")
    learner.network(epochs=20)
    assert learner.checks == [True, True, False]
    learner.network(learning_rate_init=0.1, epochs=0)
    learner.page.frame(reset=True)
    for _ in range(3):
        learner.network(epochs=300)
    assert all(learner.checks)


def test_learned_by_heart(server):
    learner = Learner(server, "overfit")
    learner.network(epochs=200)
    assert learner.checks == [True, True, False]
    learner.network(dropout=0.5)
    learner.page.frame(reset=True, epochs=200)
    assert all(learner.checks)


def test_a_feature_instead_of_a_layer(server):
    learner = Learner(server, "feature")
    learner.network(epochs=100)
    assert learner.checks == [True, True, False]
    learner.data(features=["x", "y", "xy"], epochs=200)
    assert all(learner.checks)


def test_layers_that_are_one(server):
    learner = Learner(server, "linear")
    learner.network(epochs=100)
    assert learner.checks == [True, True, False]
    learner.network(activation="tanh", epochs=200)
    assert all(learner.checks)


def test_reading_digits(server):
    learner = Learner(server, "digits")
    network = {"hidden_layer_sizes": [32], "solver": "adam", "learning_rate_init": 0.003}
    learner.network(activation="relu", epochs=40, **network)
    assert all(learner.checks)


def test_lines_are_counted():
    """Of a network with known weights: |x| < 2, which two lines bound."""
    init = [[[4.0, -4.0], [0.0, 0.0]], [8.0, 8.0], [[5.0], [5.0]], [-5.0]]
    wanted = state("gauss", network={"hidden_layer_sizes": [2], "init": init})
    live = LiveNetwork(wanted, None)
    assert lines_drawn(live) == 2
    outputs = live.session.activations([[0.0, 0.0], [-4.0, 0.0], [4.0, 0.0]])[-1]
    np.testing.assert_array_equal(outputs[:, 0] > 0.5, [True, False, False])
    init[3] = [20.0]
    assert lines_drawn(LiveNetwork(wanted, None)) == 0


def test_there_is_no_such_mission(server):
    learner = Learner(server, "spiral")
    with pytest.raises(Refused, match="a str among"):
        learner.page.ask("mission", id="fly")
