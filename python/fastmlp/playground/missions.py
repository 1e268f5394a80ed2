"""Exercises from the textbooks, which are checked by what the networks of a session have come to.

A mission is done when all its checks are; each is a line of text and whether it holds. What was
achieved by earlier networks counts where a check asks for more than one of them: `Progress` keeps
it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy.ndimage import label

from fastmlp.playground.live import LiveNetwork

_Check = tuple[str, bool]
_MAP = 60  # resolution at which the picture's parts are counted
_LEAST_PART = 9  # points of it


@dataclass
class Progress:
    """What the networks of a session have come to.

    Attributes
    ----------
    scores : dict
        The test score of a set and sizes of hidden layers, by the epochs made.
    done : set of str
        What is remembered of steps of missions.
    """

    scores: dict[tuple[str, tuple[int, ...]], tuple[int, float]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def watch(self, live: LiveNetwork) -> None:
        """Take note of a network that was trained."""
        key = live.state["data"]["set"], tuple(live.session.units)
        epoch, _ = self.scores.get(key, (0, 0.0))
        if live.epoch >= epoch:
            self.scores[key] = live.epoch, live.now.test_score


class Mission(NamedTuple):
    """An exercise.

    Attributes
    ----------
    title, text, hint : str
    state : dict
        To begin with.
    check : callable
        The checks of a network and of a session's progress.
    """

    title: str
    text: str
    hint: str
    state: dict[str, Any]
    check: Callable[[LiveNetwork, Progress], list[_Check]]


# --- what is looked at ---------------------------------------------------------------------------


def _is_on(live: LiveNetwork, name: str) -> _Check:
    return f"The data set is {name}", live.state["data"]["set"] == name


def _trained(live: LiveNetwork, epochs: int) -> _Check:
    return f"It has trained for {epochs} epochs ({live.epoch} so far)", live.epoch >= epochs


def _scores(live: LiveNetwork) -> tuple[float, float]:
    """Of the rows to train on, and of those to test on; 0 where there are none."""
    now = live.now
    return float(np.nan_to_num(now.train_score)), float(np.nan_to_num(now.test_score))


def _reaches(live: LiveNetwork, least: float, what: str = "accuracy") -> _Check:
    test = _scores(live)[1]
    return f"Test {what} is {least:g} or more ({test:.3f} now)", test >= least


def lines_drawn(live: LiveNetwork) -> int:
    """How many lines part the picture of a network for two classes."""
    picture = live.problem.picture
    if picture is None:
        return 0
    outputs = live.session.activations(picture.grid(_MAP), dtype=np.float32)[-1]
    threshold = 0.0 if live.session.loss_name in ("hinge", "perceptron") else 0.5
    above = outputs[:, 0].reshape(_MAP, _MAP) > threshold
    sizes = [size for side in (above, ~above) for size in np.bincount(label(side)[0][side])[1:]]
    return sum(size >= _LEAST_PART for size in sizes) - 1


def _gradient_ratio(live: LiveNetwork) -> float:
    """The first layer's gradient, divided by the last's."""
    norms = live.health()[:, 0]
    return float(norms[0] / norms[-1]) if norms[-1] > 0 else 1.0


def _best_constant(live: LiveNetwork) -> float:
    """The loss of the best constant prediction, of the losses that missions use."""
    y = live.problem.class_numbers(live.problem.y_train)
    if live.problem.classes is None:
        return float(np.var(y) / 2)
    shares = np.bincount(y) / len(y)
    return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())


# --- the checks ----------------------------------------------------------------------------------


def _one_unit(live: LiveNetwork, progress: Progress) -> list[_Check]:
    is_one = live.session.units == [1]
    n = lines_drawn(live)
    if is_one and live.epoch >= 100 and n == 1:
        progress.done.add("one line")
    is_two = live.session.units == [2] and live.epoch >= 100
    return [
        _is_on(live, "moons"),
        (
            "One hidden unit, 100 epochs: the picture is parted by one line",
            "one line" in progress.done,
        ),
        (
            f"Then two hidden units, 100 epochs, and look again ({n} now)",
            "one line" in progress.done and is_two,
        ),
    ]


def _hidden_nodes(live: LiveNetwork, progress: Progress) -> list[_Check]:
    checks = [_is_on(live, "circle")]
    for n in (1, 2, 3, 5, 10):
        epochs, score = progress.scores.get(("circle", (n,)), (0, 0.0))
        shown = f", test accuracy {score:.3f}" if epochs else ""
        checks.append((f"{n} hidden node{'s' * (n > 1)}, 200 epochs{shown}", epochs >= 200))
    return checks


def _spiral(live: LiveNetwork, progress: Progress) -> list[_Check]:
    features = live.state["data"]["features"]
    return [
        _is_on(live, "spiral"),
        ("The features are x and y alone", sorted(features) == ["x", "y"]),
        _reaches(live, 0.95),
    ]


def _vanish(live: LiveNetwork, progress: Progress) -> list[_Check]:
    layers, ratio = len(live.session.units), _gradient_ratio(live)
    if layers >= 5 and ratio < 1e-3 and live.epoch >= 1:
        progress.done.add("vanished")
    vanished = "vanished" in progress.done
    cured = vanished and layers >= 5 and ratio > 1e-2
    learns, does = _reaches(live, 0.9)
    return [
        (f"Five hidden layers or more ({layers} now)", layers >= 5),
        (
            f"The first layer's gradient is below a thousandth of the last's ({ratio:.1e} now)",
            vanished,
        ),
        ("Then the cure: as many layers, and it is above a hundredth", cured),
        (f"And the network learns: {learns.lower()}", cured and does),
    ]


def _rate(live: LiveNetwork, progress: Progress) -> list[_Check]:
    loss = live.now.train_loss
    too_high = live.ended == "diverged" or (live.epoch >= 10 and not loss < _best_constant(live))
    on_sine = live.state["data"]["set"] == "sine"
    if too_high and on_sine:
        progress.done.add("too high")
    was_too_high = "too high" in progress.done
    return [
        _is_on(live, "sine"),
        ("A rate so high that the loss does not fall, or is no number any more", was_too_high),
        (
            f"Then a rate with which it learns: {_reaches(live, 0.9, 'R2')[0].lower()}",
            was_too_high and on_sine and _reaches(live, 0.9, "R2")[1],
        ),
    ]


def _overfit(live: LiveNetwork, progress: Progress) -> list[_Check]:
    train, test = _scores(live)
    data, network = live.state["data"], live.state["network"]
    n = len(live.problem.y_train)
    few = data["set"] == "moons" and n <= 60 and data["noise"] >= 0.3
    gap = train - test
    if few and train >= 0.95 and gap >= 0.1:
        progress.done.add("overfitted")
    overfitted = "overfitted" in progress.done
    means = bool(np.any(network["dropout"]) or network["alpha"] or network["l1"])
    means |= bool(network["early_stopping"] or network["max_norm"])
    cured = overfitted and few and means and live.epoch >= 100 and gap <= 0.08
    return [
        (f"The moons: at most 60 points to train on ({n} now), noise 0.3 or more", few),
        (
            f"It learns by heart: {train:.2f} of the training rows, {test:.2f} of the others; "
            "0.95 and a gap of 0.1 are asked for",
            overfitted,
        ),
        (
            "Then dropout, a penalty or early stopping: a gap of 0.08 or less after 100 epochs",
            cured and train >= 0.7,
        ),
    ]


def _xor(live: LiveNetwork, progress: Progress) -> list[_Check]:
    return [
        _is_on(live, "xor"),
        ("There is no hidden layer", live.session.units == []),
        _reaches(live, 0.95),
    ]


def _linear(live: LiveNetwork, progress: Progress) -> list[_Check]:
    names = {layer.activation for layer in live.session.layers}
    identity = len(live.session.units) >= 2 and names == {"identity"}
    n = lines_drawn(live)
    if identity and live.epoch >= 100 and n <= 1:
        progress.done.add("linear")
    seen = "linear" in progress.done
    return [
        _is_on(live, "circle"),
        ("Two hidden layers or more of 'identity', 100 epochs: one line at most", seen),
        (
            f"Then another activation: {_reaches(live, 0.95)[0].lower()}",
            seen and not identity and _reaches(live, 0.95)[1],
        ),
    ]


def _digits(live: LiveNetwork, progress: Progress) -> list[_Check]:
    return [_is_on(live, "digits"), _reaches(live, 0.95)]


def _state(data: dict[str, Any], **network: Any) -> dict[str, Any]:
    return {"data": data, "network": network, "seed": 0}


MISSIONS = {
    "one-unit": Mission(
        "One unit, one line",
        "How many lines does one hidden unit draw through the picture? Train it, and count. Then "
        "give the network a second one.",
        "Its map is a slope: it is 0 along one straight line.",
        _state({"set": "moons", "noise": 0.1}, hidden_layer_sizes=[1]),
        _one_unit,
    ),
    "hidden-nodes": Mission(
        "1, 2, 3, 5, 10 hidden nodes",
        "Train the circle with each of these numbers of nodes in one hidden layer, for 200 epochs "
        "each, and compare how well the rows are told apart that were not trained on.",
        "It takes three lines to enclose something.",
        _state({"set": "circle", "noise": 0.1}, hidden_layer_sizes=[1]),
        _hidden_nodes,
    ),
    "spiral": Mission(
        "The spiral from x and y alone",
        "Tell the two arms apart, with no features but x and y.",
        "More units and layers; 'adam' as solver; some patience.",
        _state({"set": "spiral"}),
        _spiral,
    ),
    "vanish": Mission(
        "Make gradients vanish, then cure them",
        "Build a deep network whose first layer hardly hears of the error. Then cure it with as "
        "many layers.",
        "'logistic' units pass on a quarter of a gradient at most; 'relu' with init='auto' passes "
        "it on.",
        _state(
            {"set": "circle"},
            hidden_layer_sizes=[6, 6, 6, 6, 6, 6],
            activation="logistic",
            init="glorot_normal",
        ),
        _vanish,
    ),
    "rate": Mission(
        "Too high a rate",
        "Raise the learning rate until the network does not learn any more, then find one with "
        "which it does.",
        "Powers of ten: 3, 0.3, 0.03.",
        _state({"set": "sine", "features": ["x"]}, hidden_layer_sizes=[8, 8], learning_rate_init=3),
        _rate,
    ),
    "overfit": Mission(
        "Learned by heart",
        "A large network learns a few noisy points by heart. Make it, then bring the training and "
        "the test score together.",
        "Train long with many units first. Then try alpha, dropout or early stopping.",
        _state(
            {"set": "moons", "points": 200, "train": 0.3, "noise": 0.4},
            hidden_layer_sizes=[64, 64],
            activation="relu",
            solver="adam",
            learning_rate_init=0.01,
        ),
        _overfit,
    ),
    "feature": Mission(
        "A feature instead of a layer",
        "Solve the exclusive or with no hidden layer at all.",
        "Which of the features has one sign in two of the squares, and the other in the others?",
        _state({"set": "xor"}, hidden_layer_sizes=[]),
        _xor,
    ),
    "linear": Mission(
        "Layers that are one",
        "How much more can three layers of 'identity' do than one? See, then change what it takes.",
        "A sum of sums is a sum.",
        _state({"set": "circle"}, hidden_layer_sizes=[8, 8], activation="identity"),
        _linear,
    ),
    "digits": Mission(
        "Read digits",
        "Train a network that reads 95 of 100 digits it has not seen. Then draw some yourself.",
        "One layer of 32 units will do.",
        _state({"set": "digits"}, hidden_layer_sizes=[8], learning_rate_init=0.01, batch_size=50),
        _digits,
    ),
}


def describe() -> list[dict[str, Any]]:
    """What a page is told of the missions."""
    return [
        {"id": name, "title": m.title, "text": m.text, "hint": m.hint, "state": m.state}
        for name, m in MISSIONS.items()
    ]


def check(name: str, live: LiveNetwork, progress: Progress) -> dict[str, Any]:
    """How far a mission has come."""
    found = MISSIONS[name].check(live, progress)
    missing = [text for text, holds in found if not holds]
    return {
        "done": not missing,
        "text": "Done." if not missing else missing[0],
        "checks": [{"text": text, "done": bool(holds)} for text, holds in found],
    }
