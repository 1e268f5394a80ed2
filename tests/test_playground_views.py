"""What the playground shows: maps, curves, health, steps, tables, digits."""

import base64
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLPClassifier
from fastmlp.inspection import explain_step
from fastmlp.playground import make_data, run
from fastmlp.playground.own_table import OwnTable
from tests.playground_client import (
    WANTS,
    Page,
    Refused,
    fitted_of,
    mixed_table,
    page_of,
    rows_of,
    send,
    state,
    unpack,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# --- views ----------------------------------------------------------------------------------------


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


# --- own data -------------------------------------------------------------------------------------


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


def test_run_returns_a_playground_that_closes(capsys):
    X, y = load_iris(return_X_y=True)
    with run(X, y, open_browser=False, block=False) as playground:
        assert playground.url in capsys.readouterr().out
        address, token = playground.url.split("/#token=")
        remote = SimpleNamespace(port=int(address.rpartition(":")[2]), token=token)
        assert Page(remote).hello["table"]["rows"] == 150
    with pytest.raises(ConnectionError):
        send(remote, "GET", "/")


# --- digits ---------------------------------------------------------------------------------------


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
