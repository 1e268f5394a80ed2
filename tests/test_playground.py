"""The playground's server: data, networks, training, views; each as its page asks for it."""

import base64
import json
import pathlib
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmlp
from fastmlp import MLPClassifier, MLPRegressor, _native
from fastmlp.inspection import explain_step
from fastmlp.playground import Server, TrainingSession, make_data, run, split_table
from fastmlp.playground.api import ROUTES
from fastmlp.playground.frames import quantised
from fastmlp.playground.live import LiveNetwork
from fastmlp.playground.own_table import OwnTable
from fastmlp.playground.state import LIMITS
from tests.playground_client import Page, Refused, send, state, unpack

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CLASSES = ("circle", "xor", "gauss", "spiral", "moons")
VALUES = ("plane", "bumps", "sine", "abs", "cubic")
WANTS = [
    "maps", "weights", "curves", "points", "inputs", "health", "confusion", "snapshots", "hidden"
]  # fmt: skip


@pytest.fixture(scope="module")
def server():
    server = Server()
    server.start()
    yield server
    server.close()


@pytest.fixture
def page(server):
    page = Page(server)
    yield page
    page.ask("bye")


def page_of(*table, **options):
    """A page of a server with a table, which is closed with it."""
    server = Server(OwnTable(*table, **options))
    server.start()
    return Page(server)


# --- data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CLASSES, *VALUES])
def test_each_set_has_points_noise_and_a_split(page, name):
    points = page.frame(state(name, points=200, train=0.3), want=["points"])
    train, test = points.arrays["train"], points.arrays["test"]
    assert points.data["train"] == len(train) == 60
    assert points.data["test"] == len(test) == 140
    assert np.abs(np.vstack([train, test])[:, :2]).max() <= 6
    assert points.task == ("classification" if name in CLASSES else "regression")
    if name in CLASSES:
        assert set(train[:, 2]) == {0, 1}
        assert abs(train[:, 2].mean() - 0.5) < 0.15
    else:
        low, high = points.data["target"]
        assert -1.01 < low < -0.5 < 0.5 < high < 1.01
    # other seeds draw other points, the same seed the same ones; noise moves them
    same = page.frame(state(name, points=200, train=0.3, seed=0), want=["points"]).arrays["train"]
    other = page.frame(state(name, points=200, train=0.3, seed=1), want=["points"]).arrays["train"]
    noisy = page.frame(state(name, points=200, train=0.3, noise=0.3), want=["points"])
    np.testing.assert_array_equal(train, same)
    assert not np.array_equal(train, other)
    assert not np.array_equal(train, noisy.arrays["train"])
    # the numbers of the rows are those of the problem
    X, y, _, _ = make_data(name, points=200, train=0.3)
    np.testing.assert_allclose(X[points.arrays["train.row"]], train[:, :2], rtol=1e-6)
    np.testing.assert_allclose(y, train[:, 2], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["circle", "gauss", "spiral"])
def test_several_classes(page, name):
    network = {"solver": "adam", "learning_rate_init": 0.01, "hidden_layer_sizes": [16, 16]}
    frame = page.frame(state(name, classes=4, network=network), epochs=300, want=WANTS)
    assert frame.classes == ["0", "1", "2", "3"]
    assert frame.units == [2, 16, 16, 4]
    assert frame.activations[-1] == "softmax"
    assert frame.arrays["output"].shape == (4, 20, 20)
    np.testing.assert_array_equal(frame.arrays["winner"], frame.arrays["output"].argmax(axis=0))
    confusion = np.array(frame.confusion["test"])
    assert confusion.shape == (4, 4)
    assert confusion.sum() == frame.data["test"]
    assert np.trace(confusion) / confusion.sum() == pytest.approx(frame.score["test"])
    assert frame.score["train"] > 0.5


def test_points_are_added(page):
    alone = state("points", added=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    frame = page.frame(alone, epochs=5, want=["points"])
    np.testing.assert_array_equal(frame.arrays["train"], [[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    assert frame.score["test"] is None
    values = state("points", task="regression", added=[[0, 0, 0.5], [1, 1, -1]])
    assert page.frame(values, epochs=1).metric == "R2"
    more = page.frame(state("xor", points=100, added=[[5, 5, 0]]), want=["points"])
    assert more.reset
    np.testing.assert_array_equal(more.arrays["train"][-1], [5, 5, 0])
    for added, message in (
        ([], "two classes"),
        ([[0, 0, 0]], "two classes"),
        ([[0, 0, 0.5], [1, 1, 1]], "whole number"),
        ([[0, 0], [1, 1]], "target"),
        ([[0, 0, 7], [1, 1, 1]], "from 0 to 5"),
    ):
        with pytest.raises(Refused, match=message) as refused:
            page.frame(state("points", added=added))
        assert refused.value.field == "data.added"
    with pytest.raises(Refused, match="Add a point"):
        page.frame(state("points", task="regression"))


def test_features(page):
    names = ["x", "y", "x2", "y2", "xy", "sinx", "siny"]
    frame = page.frame(state("xor", features=names), epochs=20, want=["inputs", "points"])
    assert frame.inputs == names
    maps, scale = frame.arrays["input"], frame.arrays["input.scale"]
    x, y = np.meshgrid(np.linspace(-6, 6, 20), np.linspace(6, -6, 20))
    for values, made, size in zip(
        (x, y, x * x, y * y, x * y, np.sin(x), np.sin(y)), maps, scale, strict=True
    ):
        np.testing.assert_allclose(made / 127 * size, values, atol=size / 120)
    one = page.frame(state("circle", features=["x2"]), epochs=20, want=["inputs", "maps"])
    again = page.frame(want=["maps"])  # inputs were scaled for a picture, and are what they were
    np.testing.assert_array_equal(one.arrays["output"], again.arrays["output"])


# --- networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", _native.ACTIVATIONS)
def test_every_activation(page, activation):
    network = {"activation": [activation, "tanh"], "learning_rate_init": 0.01}
    frame = page.frame(state(network=network), epochs=3, want=WANTS)
    assert frame.activations == [activation, "tanh", "logistic"]
    assert frame.ended is None
    fitted = fitted_of(page)
    _, _, X, _ = make_data("circle")
    np.testing.assert_allclose(
        page.frame(want=["hidden"]).arrays["hidden.1"],
        fitted.hidden_activations(make_data("circle").X_train, 1), atol=1e-5,
    )  # fmt: skip
    assert np.isfinite(fitted.predict_proba(X)).all()


def fitted_of(page, **about):
    """The model that a page saves."""
    folder = pathlib.Path(page.session)
    saved = page.ask("save", **about)
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / folder.name
        path.write_bytes(saved)
        return fastmlp.load(path)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_loss(page, task):
    losses = page.hello["choices"]["loss"][task]
    assert len(losses) in (5, 6)
    for loss in losses:
        data = "gauss" if task == "classification" else "plane"
        network = {"loss": loss, "learning_rate_init": 0.01}
        before = page.frame(state(data, network=network)).loss
        frame = page.frame(epochs=60, want=WANTS)
        assert frame.loss["train"] < before["train"], loss
        assert frame.ended is None
        if task == "classification":
            assert frame.score["test"] > 0.9, loss
        else:
            low, high = frame.data["target"]
            assert -1.01 < low < high < 1.01  # in units of the data, though some losses shift them
            error = np.abs(frame.arrays["profile"] - np.linspace(-0.5, 0.5, 20))
            assert error.max() < 0.5, loss


def test_every_solver_and_schedule(page):
    choices = page.hello["choices"]
    assert "lbfgs" not in choices["solver"]
    assert set(choices["schedule_fields"]) == set(choices["learning_rate"])
    for solver in choices["solver"]:
        network = {"solver": solver, "learning_rate_init": 0.01, "momentum": 0.5}
        assert page.frame(state("gauss", network=network), epochs=10).epoch == 10
    rates = {}
    for schedule, fields in choices["schedule_fields"].items():
        network = {"learning_rate": schedule, "max_iter": 100, "learning_rate_period": 3}
        frame = page.frame(state("gauss", network=network), epochs=20)
        rates[schedule] = frame.rate
        assert set(fields) <= set(page.hello["network"]["classification"])
    assert rates.pop("constant") == 0.03
    assert len(set(rates.values())) > 4
    with pytest.raises(Refused, match="epoch by epoch") as refused:
        page.frame(state(network={"solver": "lbfgs"}))
    assert refused.value.field == "network.solver"


def test_large_networks_and_their_limits(page):
    many = [64] * 12
    frame = page.frame(state(network={"hidden_layer_sizes": many}), epochs=1, want=["maps"])
    assert frame.units == [2, *many, 1]
    assert frame.arrays["map.11"].shape == (64, 20, 20)
    for sizes, message in (
        ([5000], "1 to 1024"),
        ([2] * 40, "at most 32"),
        ([0], "1 to 1024"),
        (["4"], "whole numbers"),
        ([1024, 1024], "1000000"),
    ):
        with pytest.raises(Refused, match=message) as refused:
            page.frame(state(network={"hidden_layer_sizes": sizes}))
        assert refused.value.field == "network.hidden_layer_sizes"
    assert page.frame().units == [2, *many, 1]  # as it was
    wide = page.frame(state(network={"hidden_layer_sizes": [1024]}), want=["maps"], resolution=200)
    assert wide.resolution < 200
    assert wide.arrays["map.0"].shape == (1024, wide.resolution, wide.resolution)


def test_dropout_and_penalties_act(page):
    def length():
        return np.linalg.norm(page.weights())

    plain = page.frame(state("moons"), epochs=50)
    without = length()
    for name, value in (("alpha", 1.0), ("l1", 1.0), ("max_norm", 0.5)):
        page.frame(state("moons", network={name: value}), epochs=50, reset=True)
        assert length() < 0.8 * without, name
    frame = page.frame(state("moons", network={"dropout": 0.3}), epochs=50, reset=True)
    assert frame.loss["train"] > plain.loss["train"]
    per_layer = page.frame(state("moons", network={"dropout": [0.0, 0.2, 0.1]}), epochs=1)
    assert per_layer.epoch == 51


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("data", "set", "nothing", "a str among"),
        ("data", "points", 10**9, "an int in the range"),
        ("data", "points", "many", "an int in the range"),
        ("data", "noise", -1, "a float in the range"),
        ("data", "train", 0, "a float in the range"),
        ("data", "features", ["z"], "a str among"),
        ("data", "features", [], "one or more"),
        ("data", "features", ["x", "x"], "each once"),
        ("data", "set", "table", "no table"),
        ("network", "alpha", -1, r"a float in the range \[0"),
        ("network", "activation", "rulu", "a str among"),
        ("network", "activation", ["relu"], "one per hidden layer"),
        ("network", "dropout", [0.1], "one per hidden layer"),
        ("network", "learning_rate_init", 0, r"a float in the range \(0"),
        ("network", "learning_rate_init", None, r"a float in the range \(0"),
        ("network", "loss", "quantile", "a str among"),
        ("network", "maxout_pieces", 1000, "at most 16"),
        ("network", "class_weight", {"0": 1}, "balanced"),
    ],
)
def test_one_clear_message_per_field(page, part, field, value, message):
    before = page.weights(state=state("xor"), epochs=3)
    wrong = state("xor")
    wrong[part][field] = value
    with pytest.raises(Refused, match=message) as refused:
        page.frame(wrong)
    assert (refused.value.status, refused.value.field) == (400, f"{part}.{field}")
    np.testing.assert_array_equal(page.weights(), before)


def test_what_is_no_state(page):
    for wrong, message in (
        ([], "must be an object"),
        ({"data": 3}, "data must be an object"),
        ({"dat": {}}, "no field 'dat'"),
        ({"network": {"warm_start": True}}, "no field 'warm_start'"),
        ({"seed": -1}, "seed must be"),
        ({"seed": True, "data": {"plane": "xy"}}, "data.plane"),
    ):
        with pytest.raises(Refused, match=message):
            page.frame(wrong)
    for fields in ({"networks": []}, {"networks": [{}] * 3}, {"networks": [{"epochs": 10**6}]}):
        with pytest.raises(Refused, match="must be"):
            page.ask("frame", **fields)
    with pytest.raises(Refused, match="want must be"):
        page.frame(want=["money"])


# --- training ------------------------------------------------------------------------------------


def test_epochs_in_frames_are_those_of_a_fit(page):
    """However they are parted; and a reset begins with the same weights."""
    wanted = state("spiral", random_state=5, network={"solver": "adam", "dropout": 0.1})
    first = page.weights(state=wanted)
    for epochs in (1, 9, 0, 40):
        page.frame(epochs=epochs)
    X, y, _, _ = make_data("spiral")
    model = MLPClassifier(
        (4, 2), "tanh", solver="adam", dropout=0.1, alpha=0, batch_size=10, momentum=0, max_iter=50,
        learning_rate_init=0.03, n_iter_no_change=np.inf, random_state=5,
    ).fit(X, y)  # fmt: skip
    fitted = fitted_of(page)
    for ours, right in zip(fitted.coefs_, model.coefs_, strict=True):
        np.testing.assert_array_equal(ours, right)
    reset = page.frame(reset=True)
    assert (reset.epoch, reset.reset) == (0, True)
    np.testing.assert_array_equal(page.weights(), first)
    assert not np.array_equal(page.weights(state={**wanted, "seed": 6}), first)


def test_rates_and_penalties_change_without_a_reset(page):
    live = {
        "learning_rate_init": 0.1, "alpha": 0.01, "l1": 0.001, "dropout": 0.1, "momentum": 0.5,
        "batch_size": 25, "learning_rate": "cosine", "clip_norm": 1.0,
    }  # fmt: skip
    assert set(live) <= set(page.hello["live"])
    now = state("moons")
    page.frame(now, epochs=10)
    for name, value in live.items():
        before = page.weights()
        now["network"][name] = value
        frame = page.frame(now)
        assert (frame.epoch, frame.reset) == (10, False)
        np.testing.assert_array_equal(page.weights(), before)
    changed = page.frame(epochs=10)
    assert changed.epoch == 20
    for name, value in {"hidden_layer_sizes": [3], "solver": "adam", "init": "auto"}.items():
        now["network"][name] = value
        assert page.frame(now, epochs=1).reset


def test_a_changed_rate_is_the_rate(page):
    now = state("moons", network={"learning_rate": "exponential", "learning_rate_decay": 0.5})
    assert page.frame(now, epochs=3).rate == 0.03 / 4
    now["network"]["learning_rate_init"] = 0.3
    assert page.frame(now, epochs=1).rate == 0.3 / 8
    plateau = {"learning_rate": "plateau", "learning_rate_period": 1, "tol": 100.0}
    now = state("moons", network=plateau)
    reduced = page.frame(now, epochs=5).rate
    assert reduced < 0.03
    now["network"]["learning_rate_init"] = 0.06
    assert page.frame(now, epochs=1).rate <= 2 * reduced * (1 + 1e-12)


def test_weights_are_set(page):
    page.frame(state("xor"), epochs=2)
    frame = page.frame(weight={"layer": 0, "input": 1, "unit": 3, "value": -2.5}, want=["weights"])
    assert frame.arrays["weights.0"][1, 3] == -2.5
    frame = page.frame(
        weight={"layer": 2, "input": None, "unit": 0, "value": 0.25}, want=["weights"]
    )
    assert frame.arrays["biases.2"] == [0.25]
    assert frame.epoch == 2
    for wrong in (
        {"layer": 9, "input": 0, "unit": 0, "value": 1.0},
        {"layer": 0, "input": 2, "unit": 0, "value": 1.0},
        {"layer": 0, "input": 0, "unit": 0, "value": "big"},
        {"layer": -1, "input": 0, "unit": 0, "value": 1.0},
    ):
        with pytest.raises(Refused):
            page.frame(weight=wrong)


def test_back_in_time(page):
    """To the bit, and from there on the same way."""
    now = state("spiral", network={"solver": "adam", "dropout": 0.2, "learning_rate": "adaptive"})
    page.frame(now)
    seen = {}
    for _ in range(8):
        frame = page.frame(epochs=5, want=["snapshots"])
        seen[frame.epoch] = page.weights()
    assert frame.snapshots == [0, *seen]
    for epoch in (10, 35, 5, 40):
        frame = page.frame(back=epoch, want=["curves", "snapshots"])
        assert frame.epoch == epoch
        np.testing.assert_array_equal(page.weights(), seen[epoch])
        assert frame.snapshots == [0, *seen]
    page.frame(back=10)
    np.testing.assert_array_equal(page.weights(epochs=5), seen[15])
    frame = page.frame(epochs=25, want=["curves", "snapshots"])
    np.testing.assert_array_equal(page.weights(), seen[40])
    assert frame.snapshots == [0, 5, 10, 15, 40]
    np.testing.assert_array_equal(frame.arrays["curves"][:, 0], [0, 5, 10, 15, 40])
    # with another rate it is another way
    page.frame(back=10)
    now["network"]["learning_rate_init"] = 0.001
    frame = page.frame(now, epochs=30)
    assert frame.rate == 0.001
    assert not np.array_equal(page.weights(), seen[40])
    # and before the change there was the earlier rate; the state says which is to be
    assert page.frame(back=10, epochs=1).rate == 0.001
    with pytest.raises(Refused, match="epoch of a snapshot"):
        page.frame(back=11_000)


def test_snapshots_are_thinned(page):
    page.frame(state(points=20, network={"hidden_layer_sizes": [1]}))
    for _ in range(450):
        page.frame(epochs=1)
    frame = page.frame(want=["snapshots", "curves"])
    assert 80 < len(frame.snapshots) <= 200
    assert (frame.snapshots[0], frame.snapshots[-1]) == (0, 450)
    assert page.frame(back=frame.snapshots[20]).epoch == frame.snapshots[20]
    curves = frame.arrays["curves"]
    assert curves.shape == (451, 5)
    assert (np.diff(curves[:, 0]) == 1).all()


def test_divergence_is_told_and_one_can_go_back(page):
    page.frame(state("plane", network={"activation": "relu"}), epochs=1)
    wild = state("plane", network={"activation": "relu", "learning_rate_init": 1e6})
    frame = page.frame(wild, epochs=50, want=WANTS)
    assert frame.ended == "diverged"
    assert "smaller learning rate" in frame.message
    assert frame.loss["train"] is None or frame.loss["train"] > 0
    assert page.frame(epochs=5).made == 0
    assert page.ask("diagnose")["findings"][0]["kind"] == "training diverged"
    assert page.ask("export", library="fastmlp")["code"] is None
    calm = state("plane", network={"activation": "relu"})
    frame = page.frame(calm, back=1, epochs=5)
    assert (frame.epoch, frame.ended) == (6, None)


def test_early_stopping_ends_as_in_a_fit(page):
    network = {"early_stopping": True, "n_iter_no_change": 5, "solver": "adam", "max_iter": 400}
    frame = page.frame(state("moons", noise=0.2, network=network))
    while frame.ended is None:
        frame = page.frame(epochs=20)
        assert frame.epoch < 400
    assert frame.ended == "early stopping"
    assert "best in epoch" in frame.message
    X, y, _, _ = make_data("moons", noise=0.2)
    model = MLPClassifier(
        (4, 2), "tanh", alpha=0, batch_size=10, max_iter=400, learning_rate_init=0.03,
        early_stopping=True, n_iter_no_change=5, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert frame.epoch == model.n_iter_
    for ours, right in zip(fitted_of(page).coefs_, model.coefs_, strict=True):
        np.testing.assert_array_equal(ours, right)
    assert frame.validation["best"] == model.best_validation_score_
    assert page.frame(epochs=10).made == 0
    off = state("moons", noise=0.2, network={**network, "early_stopping": False})
    assert page.frame(off, epochs=10).made == 10


def test_a_budget_ends_a_frame(page):
    network = {"hidden_layer_sizes": [200, 200], "batch_size": 1}
    frame = page.frame(state("spiral", points=2000, network=network))
    header, _ = page.frames({"epochs": 1000}, budget_ms=1)
    made = header["networks"][0]["made"]
    assert 0 < made < 1000
    assert header["networks"][0]["epoch"] == made
    assert frame.epoch == 0


def test_two_networks_side_by_side(page):
    one, other = (
        state("moons", random_state=3),
        state("moons", random_state=3, network={"activation": "relu"}),
    )
    header, arrays = page.frames(
        {"state": one, "epochs": 10}, {"state": other, "epochs": 10}, want=["points", "weights"]
    )
    assert [network["epoch"] for network in header["networks"]] == [10, 10]
    np.testing.assert_array_equal(arrays["0.train"], arrays["1.train"])
    assert not np.array_equal(arrays["0.weights.0"], arrays["1.weights.0"])
    assert "relu" in page.ask("export", network=1, library="fastmlp")["code"]
    header, arrays = page.frames({"epochs": 0}, want=["weights"])
    assert len(header["networks"]) == 1
    with pytest.raises(Refused, match="network must be below 1"):
        page.ask("diagnose", network=1)


# --- views ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["spiral", "cubic"])
def test_maps_show_units_and_output(page, name):
    frame = page.frame(state(name, network={"activation": "relu"}), epochs=30, want=WANTS)
    fitted = fitted_of(page)
    x, y = np.meshgrid(np.linspace(-6, 6, 20), np.linspace(6, -6, 20))
    grid = np.column_stack([x.ravel(), y.ravel()])
    for layer in (0, 1):
        right = fitted.hidden_activations(grid, layer).T.reshape(-1, 20, 20)
        scale = frame.arrays[f"scale.{layer}"]
        np.testing.assert_allclose(scale, np.abs(right).max(axis=(1, 2)), rtol=1e-4)
        shown = frame.arrays[f"map.{layer}"] / 127 * scale[:, None, None]
        np.testing.assert_allclose(shown, right, atol=float(scale.max()) / 200)
    output = frame.arrays["output"][0] / 127 * frame.output["scale"] + frame.output["center"]
    if name == "spiral":
        right = fitted.predict_proba(grid)[:, 1]
    else:
        low, high = frame.data["target"]
        right = np.clip(fitted.predict(grid), low, high)
        across = np.column_stack([x[0], np.full(20, y[10, 0])])
        np.testing.assert_allclose(frame.arrays["profile"], fitted.predict(across), atol=1e-4)
    np.testing.assert_allclose(output.ravel(), right, atol=frame.output["scale"] / 200)
    blocks = [w for layer in zip(fitted.coefs_, fitted.intercepts_, strict=True) for w in layer]
    shown = [frame.arrays[f"{kind}.{i}"] for i in range(3) for kind in ("weights", "biases")]
    for ours, right in zip(shown, blocks, strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-6)


def test_losses_scores_and_curves(page):
    frame = page.frame(state("moons", noise=0.2), epochs=20, want=["curves", "confusion"])
    X, y, X_test, y_test = make_data("moons", noise=0.2)
    fitted = fitted_of(page)
    for part, rows, labels in (("train", X, y), ("test", X_test, y_test)):
        assert frame.score[part] == fitted.score(rows, labels)
        p = fitted.predict_proba(rows)[np.arange(len(labels)), labels]
        assert frame.loss[part] == pytest.approx(-np.log(p).mean(), rel=1e-6)
        assert np.trace(frame.confusion[part]) == (fitted.predict(rows) == labels).sum()
    epoch, *numbers = frame.arrays["curves"][-1]
    assert epoch == 20
    shown = [frame.loss["train"], frame.loss["test"], frame.score["train"], frame.score["test"]]
    np.testing.assert_allclose(numbers, shown, rtol=1e-6)
    assert len(frame.arrays["curves"]) == 2
    regression = page.frame(state("sine"), epochs=20, want=["confusion"])
    assert regression.metric == "R2"
    assert not hasattr(regression, "confusion")


def test_health_and_diagnosis_with_its_cure(page):
    """The cure is a state to send back, with which the network learns."""
    # all units of the first layer are dead
    init = [[[0.0] * 4] * 2, [-1.0] * 4, [[1.0]] * 4, [0.0]]
    ill = state("gauss", network={"hidden_layer_sizes": [4], "activation": "relu", "init": init})
    frame = page.frame(ill, epochs=30, want=["health"])
    assert [layer["dead"] for layer in frame.layers] == [1.0, 0.0]
    assert frame.layers[0]["gradient"] == 0
    finding = page.ask("diagnose")["findings"][0]
    assert finding["kind"] == "dead units"
    assert finding["layer"] == 0
    assert finding["state"]["network"]["activation"] == finding["remedy"]["activation"]
    assert "activation='leaky_relu'" in finding["remedy_text"]
    cured = page.frame(finding["state"], epochs=100, want=["health"])
    assert cured.reset
    assert cured.score["test"] > 0.95
    network = {
        "activation": "tanh",
        "hidden_layer_sizes": [4],
        "init": [[[9.0] * 4] * 2, [9.0] * 4, [[1.0]] * 4, [0.0]],
    }
    frame = page.frame(state("gauss", network=network), want=["health"])
    assert frame.layers[0]["saturated"] > 0.5
    deep = {"hidden_layer_sizes": [6] * 7, "activation": "logistic", "init": "glorot_normal"}
    layers = page.frame(state(network=deep), epochs=1, want=["health"]).layers
    assert layers[0]["gradient"] < 1e-3 * layers[-1]["gradient"]


def test_landscape_around_the_weights(page):
    page.frame(state("gauss"))
    with pytest.raises(Refused, match="train first"):
        page.ask("landscape", directions="path")
    for _ in range(12):
        frame = page.frame(epochs=2)
    header, arrays = unpack(page.ask("landscape", resolution=21, seed=1))
    assert arrays["losses"].shape == (21, 21)
    assert header["center"] == [0.0, 0.0]
    assert header["center_loss"] == pytest.approx(frame.loss["train"], rel=1e-6)
    assert arrays["losses"][10, 10] == pytest.approx(frame.loss["train"], rel=1e-5)
    header, arrays = unpack(page.ask("landscape", resolution=11, directions="path"))
    assert header["path_epochs"] == list(range(0, 25, 2))
    assert arrays["path"].shape == (13, 2)
    curves = page.frame(want=["curves"]).arrays["curves"]
    np.testing.assert_allclose(arrays["path_losses"], curves[:, 1], rtol=1e-5)
    assert 0 < header["share"] <= 1


@pytest.mark.parametrize("preset", ["nine", "sigmoid", "slope"])
def test_step_view_of_the_worked_examples(page, preset):
    chosen = next(p for p in page.hello["presets"] if p["id"] == preset)
    page.frame(chosen["state"])
    step = page.ask("step", x=chosen["x"], target=chosen["target"])
    hidden, output = step["layers"][0], step["layers"][-1]
    if preset == "nine":
        assert hidden["outputs"] == [5, 1]
        assert output["outputs"] == [9]
        assert output["delta"] == [0]
    elif preset == "sigmoid":
        assert hidden["z"] == [3, 9]
        assert output["outputs"][0] == pytest.approx(0.905271648220853, rel=1e-12)
    else:
        assert output["outputs"] == [11]
        np.testing.assert_allclose(2 * np.ravel(output["gradient"]), [30, 40])
        np.testing.assert_allclose(np.ravel(output["new_weights"]), [0.7, 1.6])
    assert page.ask("step", row=0)["layers"] == step["layers"]
    assert page.frame().epoch == 0  # nothing has moved


def test_step_view_of_a_row(page):
    page.frame(state("moons", features=["x", "y", "xy"]), epochs=5)
    X, y, _, _ = make_data("moons", features=["x", "y", "xy"])
    step = page.ask("step", row=7)
    right = explain_step(fitted_of(page), X[7], y[7]).to_dict()
    assert step["inputs"] == ["x", "y", "xy"]
    assert step["layers"][1]["new_weights"] == right["layers"][1]["new_weights"]
    place = page.ask("step", x=[1.0, -2.0], target=1)
    assert place["layers"][0]["inputs"] == [1.0, -2.0, -2.0]
    for wrong, field in (
        ({"row": 10**6}, "row"),
        ({"x": [1.0], "target": 0}, "x"),
        ({"x": [1.0, 2.0], "target": 5}, "target"),
        ({"x": [1.0, 2.0]}, "target"),
        ({}, "x"),
    ):
        with pytest.raises(Refused) as refused:
            page.ask("step", **wrong)
        assert refused.value.field == field
    page.frame(state("moons", network={"loss": "kl_divergence"}), epochs=5)
    assert len(page.ask("step", row=0)["layers"][-1]["outputs"]) == 2


# --- own data ------------------------------------------------------------------------------------


def mixed_table(n=120):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "age": np.where(rng.random(n) < 0.1, np.nan, rng.normal(40, 10, n)),
        "town": rng.choice(["Ulm", "Jena", "Bonn", None], n),
        "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
        "income": rng.lognormal(8, 1, n),
    })  # fmt: skip
    y = np.select([frame["town"] == "Ulm", frame["income"] > 4000], ["a", "b"], "c")
    return frame, pd.Series(y, name="grade")


def test_a_table_with_text_dates_and_missing_cells():
    X, y = mixed_table()
    page = page_of(X, y)
    try:
        table = page.hello["table"]
        kinds = [column["kind"] for column in table["columns"]]
        assert kinds == ["number", "category", "date", "number"]
        assert (table["target"], table["task"], table["classes"]) == (
            "grade", "classification", ["a", "b", "c"]
        )  # fmt: skip
        begun = page.hello["state"]
        frame = page.frame(begun, epochs=60, want=WANTS)
        assert frame.score["train"] > 0.8
        assert {"age", "age is missing", "town=Ulm", "income"} <= set(frame.inputs)
        for plane in ([0, 1], [1, 2], [2, 3], [3, 0]):
            begun["data"]["plane"] = plane
            frame = page.frame(begun, want=WANTS)
            assert (frame.epoch, frame.reset) == (60, False)  # it is nothing but another view
            names = [table["columns"][i]["name"] for i in plane]
            assert [frame.data["xlabel"], frame.data["ylabel"]] == names
            if plane[0] == 1:
                assert frame.data["ticks"][0] == ["Bonn", "Jena", "Ulm"]
                assert frame.data["x"] == [-0.5, 2.5]
            assert frame.arrays["output"].max() > frame.arrays["output"].min()
        np.testing.assert_allclose(
            np.sort(frame.arrays["train"][:, 0]),
            np.sort(X["income"].iloc[rows_of(page)]),
            rtol=1e-6,
        )
        for wrong in ([0, 0], [0, 9], [0]):
            begun["data"]["plane"] = wrong
            with pytest.raises(Refused) as refused:
                page.frame(begun)
            assert refused.value.field == "data.plane"
        step = page.ask("step", row=0)
        assert len(step["layers"][0]["inputs"]) == len(frame.inputs)
        with pytest.raises(Refused, match="row"):
            page.ask("step", x=[1.0, 2.0], target=0)
    finally:
        page.server.close()


def rows_of(page):
    """The rows to train on."""
    session = page.server.sessions.find(page.session)
    return session.networks[0].problem.encoded.rows


def test_the_others_stay_at_their_medians():
    """The output over two of the columns is that of rows whose others are medians."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    page = page_of(X, y)
    try:
        begun = page.hello["state"]
        begun["data"]["plane"] = [2, 3]
        frame = page.frame(begun, epochs=30, want=["maps", "points"], resolution=9)
        rows = rows_of(page)
        some = X.iloc[rows]
        mean, std = some.mean().to_numpy(), some.std(ddof=0).to_numpy()
        across, up = np.meshgrid(
            np.linspace(*frame.data["x"], 9), np.linspace(*frame.data["y"], 9)[::-1]
        )
        grid = np.tile(some.median().to_numpy(), (81, 1))
        grid[:, 2], grid[:, 3] = across.ravel(), up.ravel()
        right = fitted_of(page).predict_proba((grid - mean) / std)
        shown = frame.arrays["output"].reshape(3, -1).T / 254 + 0.5
        np.testing.assert_allclose(shown, right, atol=0.004)
    finally:
        page.server.close()


def test_a_table_of_values_is_shown_in_its_units():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) * [1, 100, 0.01]
    y = 5000 + 300 * X[:, 0] + 2 * X[:, 1]
    page = page_of(X, y)
    try:
        assert page.hello["table"]["task"] == "regression"
        begun = page.hello["state"]
        frame = page.frame(begun, epochs=100, want=["points", "maps"])
        assert frame.score["test"] > 0.9
        assert frame.data["target"] == pytest.approx(
            [y[rows_of(page)].min(), y[rows_of(page)].max()]
        )
        assert 4000 < frame.arrays["train"][:, 2].mean() < 6000
        assert abs(frame.output["center"] - 5000) < 500
        assert "minus" in page.ask("step", row=0)["note"]
        for loss in ("gamma", "poisson"):
            begun["network"]["loss"] = loss
            frame = page.frame(begun, epochs=60, want=["points"])
            assert frame.score["test"] > 0.5
            assert 4000 < frame.arrays["train"][:, 2].mean() < 6000
    finally:
        page.server.close()


def test_a_table_of_one_column():
    X = np.linspace(-2, 2, 50)[:, None]
    page = page_of(X, (X[:, 0] > 0).astype(int))
    try:
        frame = page.frame(page.hello["state"], epochs=20, want=WANTS)
        assert frame.score["train"] > 0.9
        assert (frame.arrays["output"][0] == frame.arrays["output"][0, 0]).all()
    finally:
        page.server.close()


def test_a_fitted_estimator_goes_on():
    X, y = load_iris(return_X_y=True)
    names = load_iris().target_names[y]
    clf = make_pipeline(
        StandardScaler(), MLPClassifier((5,), "tanh", max_iter=30, random_state=0)
    ).fit(X, names)
    weights = [w.copy() for w in clf[-1].coefs_]
    page = page_of(X, names, estimator=clf)
    try:
        assert page.hello["table"]["fitted"]
        frame = page.frame(page.hello["state"], want=["weights", "points", "maps"])
        np.testing.assert_allclose(frame.arrays["weights.0"], weights[0], rtol=1e-6)
        assert frame.score["train"] == clf.score(X, names)
        assert frame.classes == ["setosa", "versicolor", "virginica"]
        assert page.frame(epochs=20).loss["train"] < frame.loss["train"]
        np.testing.assert_array_equal(clf[-1].coefs_[0], weights[0])
        np.testing.assert_allclose(
            page.frame(reset=True, want=["weights"]).arrays["weights.0"], weights[0], rtol=1e-6
        )
        other = page.hello["state"]
        other["network"]["hidden_layer_sizes"] = [5, 5]
        with pytest.raises(Refused, match="other layers"):
            page.frame(other)
        other["network"]["init"] = "auto"
        assert page.frame(other, epochs=1).units == [4, 5, 5, 3]
    finally:
        page.server.close()


def test_tables_that_cannot_be_used():
    X, y = load_iris(return_X_y=True)
    for table, options, message in (
        ((X, y[:-1]), {}, "inconsistent"),
        ((X, np.zeros(150)), {}, "two classes"),
        ((X, np.c_[y, y]), {}, "one column"),
        ((X, np.where(y, y, np.nan)), {}, "missing"),
        ((X, y), {"estimator": StandardScaler()}, "estimator must be"),
        ((X[:, :2], y), {"estimator": MLPClassifier(max_iter=1).fit(X, y)}, "4 features"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            OwnTable(*table, **options)
    with pytest.raises(ValueError, match="X and y go together"):
        run(X, open_browser=False, block=False)
    with pytest.raises(ValueError, match="estimator needs X and y"):
        run(estimator=MLPClassifier(), open_browser=False, block=False)


def test_run_returns_a_server_that_closes(capsys):
    X, y = load_iris(return_X_y=True)
    server = run(X, y, open_browser=False, block=False)
    assert server.url in capsys.readouterr().out
    assert Page(server).hello["table"]["rows"] == 150
    server.close()
    with pytest.raises(ConnectionError):
        send(server, "GET", "/")


# --- digits --------------------------------------------------------------------------------------


def test_digits_and_the_pad(page):
    frame = page.frame(
        state("digits", train=0.7, network=page_suggestion(page)), epochs=20, want=WANTS
    )
    assert frame.units == [64, 32, 10]
    assert frame.score["test"] > 0.93
    assert frame.arrays["weights.0"].shape == (64, 32)
    assert np.array(frame.confusion["test"]).shape == (10, 10)
    images, labels = load_digits().images, load_digits().target
    right, n = 0, 60
    for image, label in zip(images[:n], labels[:n], strict=True):
        # drawn large, and anywhere on the pad
        pad = np.zeros((128, 128), np.uint8)
        pad[20:84, 41:105] = 255 * (np.kron(image, np.ones((8, 8))) > 7)
        answer = page.ask("pad", size=128, bitmap=base64.b64encode(pad.tobytes()).decode())
        assert np.shape(answer["bitmap"]) == (32, 32)
        assert sum(answer["probabilities"]) == pytest.approx(1)
        assert len(answer["activations"][0]) == 32
        assert np.argmax(answer["probabilities"]) == answer["predicted"]
        right += answer["predicted"] == label
    assert right >= 0.8 * n
    # one click adds it to those to train on
    row = [*np.ravel(answer["pixels"]).tolist(), 8]
    more = page.frame(state("digits", train=0.7, added=[row]), want=["points"])
    assert more.data["train"] == frame.data["train"] + 1
    empty = base64.b64encode(bytes(32 * 32)).decode()
    assert page.ask("pad", size=32, bitmap=empty) == {"empty": True}
    for size, bitmap in ((32, "?"), (32, empty[:-4]), (8, empty), (32, None)):
        with pytest.raises(Refused) as refused:
            page.ask("pad", size=size, bitmap=bitmap)
        assert refused.value.field in ("size", "bitmap")
    page.frame(state("circle"))
    with pytest.raises(Refused, match="digits"):
        page.ask("pad", size=32, bitmap=empty)


def page_suggestion(page):
    return next(s["network"] for s in page.hello["data"]["sets"] if s["name"] == "digits")


# --- who may ask ---------------------------------------------------------------------------------


def test_pages_from_elsewhere_are_refused(server):
    token = {"X-Token": server.token}
    own = f"127.0.0.1:{server.port}"
    for headers, status in (
        (token, 200),
        ({**token, "Host": own, "Origin": f"http://{own}"}, 200),
        ({**token, "Host": f"localhost:{server.port}"}, 200),
        ({**token, "Host": "evil.example"}, 403),
        ({**token, "Host": f"evil.example:{server.port}"}, 403),
        ({**token, "Host": "127.0.0.1:1"}, 403),
        ({**token, "Origin": "http://evil.example"}, 403),
        ({**token, "Origin": "null"}, 403),
        ({**token, "Origin": f"https://{own}"}, 403),
        ({"X-Token": "guess"}, 403),
        ({"X-Token": ""}, 403),
        ({"X-Token": "gu\xe4ss"}, 403),
        ({}, 403),
    ):
        answer = send(server, "POST", "/api/hello", {}, headers)
        assert answer.status == status, headers
        assert "Access-Control-Allow-Origin" not in answer.headers
        if status == 200:
            session = json.loads(answer.body)["session"]
            body = {"session": session, "token": server.token}  # as a beacon sends it
            assert send(server, "POST", "/api/bye", body).status == 200
    assert send(server, "GET", "/", headers={"Host": "evil.example"}).status == 403
    assert send(server, "OPTIONS", "/api/hello", headers={"Host": own}).status == 501


def test_only_the_files_of_the_page_are_served(server):
    index = send(server, "GET", "/")
    assert index.status == 200
    assert index.headers["Content-Type"].startswith("text/html")
    assert "default-src 'self'" in index.headers["Content-Security-Policy"]
    assert server.token.encode() not in index.body
    assert send(server, "GET", "/static/index.html").body == index.body
    for path in (
        "/static/../server.py", "/../server.py", "/%2e%2e/server.py", "//etc/passwd", "/static/",
        "/server.py", "/static//index.html", "/api/hello",
    ):  # fmt: skip
        assert send(server, "GET", path).status == 404, path


def test_requests_that_are_none(server, page):
    token = {"X-Token": server.token}
    for body, status in (
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b"{}", 410),
    ):
        assert send(server, "POST", "/api/frame", body, token).status == status
    assert send(server, "POST", "/api/money", {}, token).status == 404
    assert send(server, "POST", "/frame", {}, token).status == 404
    large = {**token, "Content-Length": str(LIMITS["body_bytes"] + 1)}
    assert send(server, "POST", "/api/frame", b"", large).status == 413
    for length in ("-1", "many"):
        assert (
            send(server, "POST", "/api/frame", b"", {**token, "Content-Length": length}).status
            == 411
        )
    assert page.ask("ping") == {}  # and it is there still


def test_a_mistake_of_ours_is_told(server, page, monkeypatch, capsys):
    def fail(session, request):
        raise ZeroDivisionError("by zero")

    monkeypatch.setitem(ROUTES, "ping", fail)
    with pytest.raises(Refused, match="ZeroDivisionError: by zero") as refused:
        page.ask("ping")
    assert refused.value.status == 500
    assert "Traceback" in capsys.readouterr().err


def test_sessions_are_limited_and_end(server, monkeypatch):
    monkeypatch.setitem(LIMITS, "sessions", 3)
    own = Server()
    own.start()
    try:
        pages = [Page(own) for _ in range(3)]
        with pytest.raises(Refused, match="3 pages are open"):
            Page(own)
        pages[0].frame(state("xor"), epochs=1)
        pages[1].frame(state("moons"), epochs=2)
        assert (pages[0].frame().epoch, pages[1].frame().epoch) == (1, 2)  # each has its own
        pages[2].ask("bye")
        with pytest.raises(Refused) as refused:
            pages[2].frame(state())
        assert refused.value.status == 410
        # the page of one is silent for longer than is waited for
        own.sessions.find(pages[0].session).last_seen -= LIMITS["idle_seconds"] + 1
        while len(own.sessions) > 1:  # it ends without anybody asking
            pages[1].ask("ping")
        with pytest.raises(Refused, match="ended"):
            pages[0].frame()
        assert len(own.sessions) == 1
    finally:
        own.close()


def test_requests_of_one_session_wait_for_each_other(server, page):
    page.frame(state("spiral"))
    threads = [
        threading.Thread(target=lambda: page.frame(epochs=20, want=["maps"])) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert page.frame().epoch == 120


# --- the command ---------------------------------------------------------------------------------


def test_the_command_serves_a_table_until_ctrl_c(tmp_path):
    path = tmp_path / "iris.csv"
    load_iris(as_frame=True).frame.to_csv(path, index=False)
    command = [sys.executable, "-m", "fastmlp", "playground", "--no-browser", "--data", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert "http://127.0.0.1:" in line, process.stderr.read()
    assert "Ctrl-C" in process.stdout.readline()
    address, token = line.split()[-1].split("/#token=")
    remote = type("Remote", (), {"port": int(address.rpartition(":")[2]), "token": token})
    page = Page(remote)
    assert page.hello["table"]["target"] == "target"
    page.frame(page.hello["state"], epochs=5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "has ended" in out
    assert err == ""
    assert process.returncode == 0


def test_a_taken_port_and_a_bad_table_are_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments, message in (
            (["--port", str(port)], f"port {port} cannot be used"),
            (["--data", str(tmp_path / "none.csv")], "no such file"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "fastmlp", "playground", "--no-browser", *arguments],
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            assert done.returncode == 2
            assert message in done.stderr
            assert len(done.stderr.splitlines()) == 1


# --- what it costs -------------------------------------------------------------------------------


def calls_of(function):
    """How many calls a function makes, which does not depend on the machine."""
    n = 0

    def count(frame, event, argument):
        nonlocal n
        n += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return n


def test_epochs_in_frames_cost_what_they_cost_in_one_fit():
    X, y, _, _ = make_data("spiral")
    live = LiveNetwork(state("spiral"), None)
    live.train(10, None)

    def fit(epochs):
        return calls_of(lambda: live.estimator.set_params(max_iter=epochs).fit(X, y))

    def train(epochs):
        return calls_of(lambda: live.train(epochs, None))

    live.estimator.set_params(n_iter_no_change=np.inf)
    per_epoch = (fit(300) - fit(100)) / 200
    assert (train(300) - train(100)) / 200 < 1.02 * per_epoch
    # a frame of one epoch costs less than a call of partial_fit, with losses, scores and a snapshot
    model = MLPClassifier((4, 2), solver="sgd", batch_size=10).partial_fit(X, y, classes=[0, 1])
    partial_fit = calls_of(lambda: model.partial_fit(X, y))
    assert train(1) < partial_fit
    assert train(1) == train(1)  # nor does it cost more as time goes by


# --- sessions of training ------------------------------------------------------------------------


def test_what_a_training_session_refuses():
    X, y = load_iris(return_X_y=True)
    session = TrainingSession(MLPRegressor(hidden_layer_sizes=(3,), random_state=0), X, y)
    session.train(3)
    before = session.blocks().flat()
    for changes, message in (
        ({"alpha": -1}, "alpha"),
        ({"hidden_layer_sizes": (4,)}, "hidden_layer_sizes cannot be changed"),
        ({"learning_rate_init": 0.1, "momentum": 2}, "momentum"),
        ({"dropout": [0.1] * 5}, "dropout"),
    ):
        with pytest.raises(ValueError, match=message):
            session.change(**changes)
    np.testing.assert_array_equal(session.blocks().flat(), before)
    with pytest.raises(ValueError, match="finite"):
        session.set_weight(0, 0, 0, np.nan)
    session.train(3)
    other = TrainingSession(MLPRegressor(hidden_layer_sizes=(3,), random_state=0), X, y)
    other.train(6)
    np.testing.assert_array_equal(session.blocks().flat(), other.blocks().flat())


def test_small_integers_for_pictures():
    values = np.array([[0.0, -3, np.nan], [0, 1.5, np.inf], [0, 0, 1], [0, 3, -2]])
    maps, scale = quantised(values, 2)
    np.testing.assert_array_equal(scale, [0, 3, 2])
    np.testing.assert_array_equal(maps[1].ravel(), [-127, 64, 0, 127])
    np.testing.assert_array_equal(maps[2].ravel(), [0, 0, 64, -127])
    assert maps[0].any() == 0


def test_a_table_is_split_as_the_page_does():
    X, y = mixed_table()
    split = split_table(X, y, train=0.75, seed=3)
    assert len(split.X_train) == pytest.approx(90, abs=2)
    assert len(split.X_train) + len(split.X_test) == 120
    assert set(split.y_train) == {"a", "b", "c"}
    np.testing.assert_allclose(split.X_train[:, 0].mean(), 0, atol=1e-12)  # age, where it is known
    values = split_table(X, np.arange(120.0) * 3, train=0.5)
    assert values.y_train.mean() == pytest.approx(0, abs=1e-12)
    assert values.y_train.std() == pytest.approx(1)
    assert split_table(X, np.arange(120.0) + 1, centred=False).y_train.mean() == pytest.approx(1)
