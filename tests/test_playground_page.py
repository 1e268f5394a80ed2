"""The playground's page in a browser: data, network, training, time, scores."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine

from fastmlp.playground.own_table import OwnTable
from fastmlp.playground.server import Server
from tests.playground_tab import OUTPUT, POINTS, Tab

CLASSES = ("circle", "xor", "gauss", "spiral", "moons")
VALUES = ("plane", "bumps", "sine", "abs", "cubic")


# --- data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSES + VALUES)
def test_each_set_is_shown_and_learned(tab, name):
    before = tab.pixels(POINTS)
    tab.choose("gauss" if name == "circle" else "circle")
    tab.choose(name)
    assert tab.page.is_checked(f"[data-set={name}] input")
    assert (tab.pixels(POINTS) == before) == (name == "circle")
    first, loss = tab.pixels(OUTPUT), float(tab.lane("loss"))
    tab.train(30)
    assert float(tab.lane("loss")) < loss
    assert tab.pixels(OUTPUT) != first
    assert tab.colours(OUTPUT) > 20
    assert f"data.set={name}" in tab.page.url
    picture = tab.page.get_attribute("[data-surface]", "aria-label")
    assert "250 points to train on, 250 to test on" in picture


@pytest.mark.parametrize(
    ("control", "value", "shown"),
    [("points", 100, "50 points to train on, 50"), ("train", 0.8, "400 points to train on, 100")],
)
def test_how_many_points_and_their_split(tab, control, value, shown):
    tab.change(f"data.{control}", value)
    assert shown in tab.page.get_attribute("[data-surface]", "aria-label")


def test_noise_and_another_sample(tab):
    pictures = [tab.pixels(POINTS)]
    tab.change("data.noise", 0.5)
    pictures.append(tab.pixels(POINTS))
    tab.page.click("#new-sample")
    tab.idle()
    pictures.append(tab.pixels(POINTS))
    assert len(set(pictures)) == 3
    tab.change("data.seed", 0)
    assert tab.pixels(POINTS) == pictures[1]


def test_several_classes(tab):
    tab.choose("gauss")
    tab.change("data.classes", 4)
    assert tab.lane("units") == "2,4,2,4"
    tab.train(100)
    assert float(tab.lane("test-score")) > 0.9
    assert len(tab.page.query_selector_all(".confusion td")) == 16
    counts = [int(cell.inner_text()) for cell in tab.page.query_selector_all(".confusion td")]
    assert sum(counts) == tab.value("window.playground.nets[0].data.test")
    tab.change("view.decided", True)
    decided = tab.colours(OUTPUT)
    assert decided <= 4


def test_features(tab):
    tab.choose("xor")
    tab.page.check("[data-feature=xy]")
    tab.idle()
    assert tab.lane("units") == "3,4,2,1"
    for name in ("x", "y", "xy"):  # a network has one input at least: the last stays
        tab.page.locator(f"[data-feature={name}]").click()
        tab.idle()
    assert tab.state("data.features") == ["xy"]
    assert tab.page.is_checked("[data-feature=xy]")


def test_a_click_adds_a_point_of_the_chosen_class(tab):
    box = tab.page.locator("[data-surface]").bounding_box()
    tab.page.check("[data-brush='0'] input")
    tab.page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"])
    tab.idle()
    [[x, y, label]] = tab.state("data.added")
    assert (abs(x - 3) < 0.1, abs(y - 3) < 0.1, label) == (True, True, 0)
    assert tab.page.get_attribute(POINTS, "data-points") == "501"
    centre = tab.colour_at(POINTS, 0.75, 0.25)
    assert centre == [213, 94, 0, 255]  # the colour of class 0
    tab.page.click("#clear-added")
    tab.idle()
    assert tab.state("data.added") == []


def test_points_are_added_by_keys_too(tab):
    tab.page.focus("[data-surface]")
    for key in ("ArrowRight", "ArrowUp", "Enter"):
        tab.page.keyboard.press(key)
    tab.idle()
    [[x, y, label]] = tab.state("data.added")
    assert (x > 0, y > 0, label) == (True, True, 1)


def test_nothing_but_own_points(tab):
    tab.choose("points")
    assert tab.page.get_attribute(POINTS, "data-points") == "2"  # one of each class to begin with
    box = tab.page.locator("[data-surface]").bounding_box()
    for label, across in ((0, 0.2), (1, 0.8)):
        tab.page.check(f"[data-brush='{label}'] input")
        tab.page.mouse.click(box["x"] + across * box["width"], box["y"] + box["height"] / 2)
        tab.idle()
    assert len(tab.state("data.added")) == 4
    tab.train(50)
    assert float(tab.lane("loss")) < 0.3
    tab.change("data.task", "regression")
    assert "R²" in tab.text(".scores")
    tab.page.click("#clear-added")
    tab.idle()
    assert len(tab.state("data.added")) == 2


def test_a_function_of_x_is_a_curve_with_values_to_click(tab):
    tab.choose("sine")
    assert tab.state("data.features") == ["x"]
    assert tab.page.locator(".axis.up .axis-title").text_content() == "value"
    box = tab.page.locator("[data-surface]").bounding_box()
    tab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.idle()
    [[x, _, value]] = tab.state("data.added")
    assert abs(x) < 0.1
    assert abs(value) < 0.3
    before = tab.pixels(POINTS)
    tab.train(20)
    assert tab.pixels(POINTS) != before  # the curve is drawn on the points
    assert "R²" in tab.text(".scores")
    tab.choose("circle")
    assert tab.state("data.features") == ["x", "y"]


def test_what_is_shown_is_of_the_frame_that_came_last(tab):
    """A change of the data is painted when its frame comes, also if colours change before that."""
    tab.value(
        """{ window.playground.changeData({ set: "sine", features: ["x"] });
             document.querySelector("[data-do=theme]").click();
             window.playground.changeData({ set: "circle", features: ["x", "y"] });
             document.querySelector("[data-do=theme]").click(); }"""
    )
    tab.idle()
    assert tab.lane("units") == "2,4,2,1"


# --- own tables ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table_server():
    wine = load_wine(as_frame=True).frame.drop(columns="target")
    table = wine[["alcohol", "hue", "proline"]].copy()
    table.insert(1, "soil", np.where(wine["ash"] > 2.36, "clay", "chalk"))
    table.loc[::9, "alcohol"] = np.nan
    kinds = pd.Series(load_wine().target).map({0: "Barolo", 1: "Grignolino", 2: "Barbera"})
    server = Server(OwnTable(table, kinds))
    server.start()
    yield server
    server.close()


def test_a_table_with_missing_cells_and_text(context, table_server):
    tab = Tab(context, table_server.url)
    assert tab.state("data.set") == "table"
    assert "178 rows, 4 columns" in tab.text("#data-text")
    tab.train(100)
    assert float(tab.lane("test-score")) > 0.85
    assert "Grignolino" in tab.text(".confusion")
    before, epoch = tab.pixels(OUTPUT), tab.epoch
    tab.change("data.plane.0", "2")
    assert tab.epoch == epoch  # another view of the same network
    assert tab.pixels(OUTPUT) != before
    assert tab.page.locator(".axis.across .axis-title").text_content() == "hue"
    tab.choose("circle")
    tab.choose("table")
    assert tab.errors == []


# --- the network ---------------------------------------------------------------------------------


def test_layers_and_units(tab):
    tab.page.click("[data-do='more.0']")
    tab.idle()
    assert tab.lane("units") == "2,5,2,1"
    assert tab.value("document.activeElement.dataset.do") == "more.0"  # the focus stays
    tab.page.click("[data-do='fewer.1']")
    tab.idle()
    tab.page.click("[data-do=add-layer]")
    tab.idle()
    assert tab.lane("units") == "2,5,1,1,1"
    tab.page.click("[data-do='remove.1']")
    tab.idle()
    tab.change("units.0", 60)
    assert tab.lane("units") == "2,60,1,1"
    assert "+ 45 more" in tab.text(".drawing")
    for _ in range(2):
        tab.page.click("[data-do='remove.0']")
        tab.idle()
    assert tab.lane("units") == "2,1"
    tab.page.click("[data-do=add-layer]")
    tab.idle()
    assert tab.lane("units") == "2,4,1"


def test_an_activation_for_each_layer(tab):
    names = tab.value("window.playground.hello.choices.activation")
    assert len(names) >= 13
    for name in names:
        tab.change("activation.0", name)
        assert tab.value("window.playground.nets[0].activations[0]") == name
    tab.change("activation.1", "relu")
    assert tab.state("network.activation") == [names[-1], "relu"]
    tab.train(5)


def test_the_map_of_a_unit_is_enlarged(tab):
    output = tab.pixels(OUTPUT)
    tab.page.hover("[data-layer='1'][data-unit='2']")
    unit = tab.pixels("[data-layer='1'][data-unit='2'] canvas")
    assert tab.pixels(OUTPUT) == unit != output
    assert "Layer 1, unit 3 (tanh)" in tab.text("[data-lane='0'] .caption")
    tab.page.hover("#scores-title")
    assert tab.pixels(OUTPUT) == output
    tab.page.focus("[data-layer='1'][data-unit='0']")
    tab.page.keyboard.press("Tab")  # by keys, too
    assert tab.page.get_attribute("[data-surface]", "data-shows") == "1.1"


def test_weights_are_shown_and_edited(tab):
    line = tab.page.locator(".weights g:last-child [data-layer='1'][data-from='0'][data-to='0']")
    sign = ".weights g:first-child [data-layer='1'][data-from='0'][data-to='0']"
    line.dispatch_event("pointermove", {"clientX": 500, "clientY": 300})
    assert re.fullmatch("[\N{MINUS SIGN}\\d.e]+", tab.text(".tip"))
    line.dispatch_event("click", {"clientX": 500, "clientY": 300})
    tab.page.fill("dialog [data-weight='0.0.0']", "-3.5")
    tab.page.keyboard.press("Enter")
    tab.until("window.playground.nets[0].arrays['weights.0'][0] === -3.5")
    tab.idle()
    assert tab.page.get_attribute(sign, "class") == "negative"
    dashes = tab.page.eval_on_selector(sign, "line => getComputedStyle(line).strokeDasharray")
    assert dashes != "none"  # the sign is seen without colours as well
    tab.page.wait_for_selector("dialog", state="detached")


def test_the_card_of_a_unit(tab):
    before = tab.pixels(OUTPUT)
    tab.page.click("[data-layer='3'][data-unit='0']")
    assert tab.text("dialog .formula").startswith("logistic(")
    tab.page.fill("dialog [data-bias='2.0']", "2")
    tab.page.keyboard.press("Tab")
    tab.until("window.playground.nets[0].arrays['biases.2'][0] === 2")
    tab.idle()
    assert tab.pixels(OUTPUT) != before
    tab.page.keyboard.press("Escape")
    tab.page.wait_for_selector("dialog", state="detached")


# --- training ------------------------------------------------------------------------------------

LIVE = [
    ("network.learning_rate_init", 30, "network.learning_rate_init", 0.01),
    ("network.alpha", 20, "network.alpha", 0.001),
    ("network.l1", 10, "network.l1", 0.0001),
    ("network.dropout", 0.5, "network.dropout", 0.5),
    ("network.momentum", 0.9, "network.momentum", 0.9),
    ("network.batch_size", 32, "network.batch_size", 32),
]
ANEW = [
    ("network.solver", "adam", "network.solver", "adam"),
    ("network.loss", "squared_error", "network.loss", "squared_error"),
    ("network.early_stopping", True, "network.early_stopping", True),
    ("network.init", "he_normal", "network.init", "he_normal"),
    ("seed", 7, "seed", 7),
]


@pytest.mark.parametrize(("control", "value", "field", "becomes"), LIVE + ANEW)
def test_each_control_of_training(tab, control, value, field, becomes):
    tab.page.click("#step")
    tab.idle()
    first = tab.pixels(OUTPUT)
    tab.change(control, value)
    assert tab.state(field) == becomes
    if (control, value, field, becomes) in LIVE:  # nothing has been reset
        assert tab.epoch == 1
        assert tab.pixels(OUTPUT) == first
    else:
        assert tab.epoch == 0
        assert tab.page.query_selector(f"[data-control='{control}']") is not None
    tab.train(3)


def test_each_solver_and_schedule(tab):
    tab.page.click("[data-part='Schedule and momentum'] summary")
    for solver in tab.value("window.playground.hello.choices.solver"):
        tab.change("network.solver", solver)
        tab.page.click("#step")
        tab.idle()
        assert tab.epoch == 1
    tab.change("network.solver", "sgd")
    for schedule in tab.value("window.playground.hello.choices.learning_rate"):
        tab.change("network.learning_rate", schedule)
        tab.page.click("#step")
        tab.idle()
        shown = tab.page.is_visible("[data-control='network.learning_rate_decay']")
        assert shown == (schedule in ("step", "exponential", "plateau"))


def test_early_stopping_and_divergence_are_told(tab):
    tab.change("network.early_stopping", True)
    tab.change("network.n_iter_no_change", 2)
    tab.train(10**6)
    assert "Early stopping ended training" in tab.text(".lane-message")
    tab.open(address_of_divergence(tab))
    tab.train(10**6)
    assert tab.lane("ended") == "diverged"
    assert tab.text(".lane-message") != ""
    tab.change("network.learning_rate_init", 30)
    tab.page.click("#reset")
    tab.idle()
    tab.train(5)
    assert tab.lane("ended") == ""


def address_of_divergence(tab):
    base = tab.page.url.split("#")[0]
    return f"{base}#data.set=plane&network.activation=identity&network.learning_rate_init=10"


# --- time ----------------------------------------------------------------------------------------


def test_play_step_pause_reset(tab):
    first = tab.pixels(OUTPUT)
    assert tab.page.get_attribute("#play", "aria-label") == "Play"
    tab.page.click("#play")
    tab.until("document.querySelector('#play').getAttribute('aria-label') === 'Pause'")
    tab.until("Number(document.body.dataset.epoch) >= 10")
    tab.page.click("#play")
    tab.idle()
    epoch = tab.epoch
    tab.page.click("#step")
    tab.idle()
    assert tab.epoch == epoch + 1
    assert tab.text("#epoch") == str(epoch + 1)
    tab.page.click("#reset")
    tab.idle()
    assert tab.epoch == 0
    assert tab.pixels(OUTPUT) == first  # the same first weights


@pytest.mark.parametrize(("place", "epochs"), [(0, 1), (3, 10), (9, 1000)])
def test_epochs_per_frame(tab, place, epochs):
    tab.page.fill("#speed", str(place))
    tab.page.click("#play")
    tab.until(f"Number(document.body.dataset.epoch) >= {2 * epochs}")
    tab.page.click("#play")
    tab.idle()
    if epochs < 1000:  # of which a frame makes as many as its time allows
        assert tab.epoch % epochs == 0
    assert tab.value("window.playground.epochsPerFrame") == epochs


def test_back_in_time_and_forth(tab):
    first = tab.pixels(OUTPUT)
    tab.train(60)
    last, epoch = tab.pixels(OUTPUT), tab.epoch
    slider = tab.page.locator("[data-control=timeline]")
    assert int(slider.get_attribute("data-snapshots")) > 5
    slider.fill("0")
    tab.idle()
    assert (tab.epoch, tab.pixels(OUTPUT)) == (0, first)
    slider.fill(slider.get_attribute("max"))
    tab.idle()
    assert (tab.epoch, tab.pixels(OUTPUT)) == (epoch, last)


def test_requests_do_not_queue(tab):
    """The page asks for a frame when the last one has come: one is on its way at a time."""
    tab.value(
        """{ const fetched = window.fetch; window.most = window.now = window.all = 0;
             window.fetch = async (...given) => {
               window.all += 1; window.most = Math.max(window.most, ++window.now);
               try { return await fetched(...given); } finally { window.now -= 1; } }; }"""
    )
    tab.train(300)
    assert tab.value("window.most") == 1
    assert tab.value("window.all") > 10


# --- how it goes ---------------------------------------------------------------------------------


def test_curves_and_scores(tab):
    tab.train(50)
    assert int(tab.page.get_attribute("svg.chart", "data-curves")) > 5
    axis = [text.text_content() for text in tab.page.query_selector_all(".chart .left")]
    assert len(axis) >= 3
    assert all(re.fullmatch(r"[\d.]+", text) for text in axis)
    assert len(tab.page.query_selector_all(".chart polyline[points*=',']")) == 2
    linear = tab.page.get_attribute(".chart polyline", "points")
    tab.change("log-axis", True)
    assert tab.page.get_attribute(".chart polyline", "points") != linear
    tab.page.check("[data-curve=score] input")
    assert tab.page.get_attribute(".chart polyline", "points") != linear
    tab.page.hover(".chart")
    assert re.match(r"epoch \d+: training [\d.]+, test [\d.]+", tab.text(".readout"))
    assert "accuracy" in tab.text(".scores")


def test_test_points_are_shown_if_asked_for(tab):
    before = tab.pixels(POINTS)
    tab.change("view.testPoints", True)
    assert tab.pixels(POINTS) != before
    assert "view.test=true" in tab.page.url
