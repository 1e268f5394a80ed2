"""The playground: data, parameters and training of its networks, as a page asks for them."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastmlp import MLPClassifier, MLPRegressor, _native
from fastmlp.playground import make_data, split_table
from fastmlp.playground.frames import quantised
from fastmlp.playground.live import LiveNetwork
from fastmlp.playground.state import LIMITS
from fastmlp.playground.watched import WatchedSession
from tests.playground_client import WANTS, Refused, fitted_of, mixed_table, state

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CLASSES = ("circle", "xor", "gauss", "spiral", "moons")
VALUES = ("plane", "bumps", "sine", "abs", "cubic")

# --- data -----------------------------------------------------------------------------------------


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


# --- networks -------------------------------------------------------------------------------------


def test_what_there_is_to_choose_from(page):
    choices = page.hello["choices"]
    assert choices["activation"] == list(_native.ACTIVATIONS)
    assert choices["solver"] == list(_native.SOLVER_SLOTS)
    for task in ("classification", "regression"):
        defaults = page.hello["network"][task]
        assert {"hidden_layer_sizes", "dropout", "early_stopping", "loss"} <= set(defaults)
    sets = {each["name"]: each for each in page.hello["data"]["sets"]}
    assert set(sets) == {*CLASSES, *VALUES, "points", "digits"}
    for name in (*CLASSES, *VALUES):
        assert np.shape(sets[name]["preview"]) == (60, 3)


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


# --- training -------------------------------------------------------------------------------------


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


def test_there_is_an_end_to_epochs(page, monkeypatch):
    monkeypatch.setitem(LIMITS, "epochs", 30)
    assert page.frame(state(), epochs=25).ended is None
    frame = page.frame(epochs=25)
    assert (frame.epoch, frame.ended) == (30, "limit")
    assert "Reset" in frame.message
    assert page.frame(epochs=25).made == 0
    assert page.frame(reset=True, epochs=5).epoch == 5


def test_larger_batches_than_all_rows_are_no_change(page):
    page.frame(state(points=20, network={"batch_size": 20}), epochs=5)
    before = page.weights()
    assert not page.frame(state(points=20, network={"batch_size": 200})).reset
    np.testing.assert_array_equal(page.weights(), before)
    assert "batch_size=10," in page.ask("export")["code"]


# --- what it costs --------------------------------------------------------------------------------


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


# --- sessions of training -------------------------------------------------------------------------


def test_what_a_training_session_refuses():
    X, y = load_iris(return_X_y=True)
    session = WatchedSession(MLPRegressor(hidden_layer_sizes=(3,), random_state=0), X, y)
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
    other = WatchedSession(MLPRegressor(hidden_layer_sizes=(3,), random_state=0), X, y)
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
