"""The playground's page in Debian's Chromium: each control, each data set, each panel."""

import re
import shutil
from time import monotonic

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine

import fastmlp
from fastmlp.playground import Server
from fastmlp.playground.own_table import OwnTable
from tests.playground_tab import PATIENCE, Tab, address

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

OUTPUT = "[data-lane='0'] [data-map=output]"
POINTS = "[data-lane='0'] [data-map=points]"
CLASSES = ("circle", "xor", "gauss", "spiral", "moons")
VALUES = ("plane", "bumps", "sine", "abs", "cubic")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        options = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
        browser = started.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server():
    server = Server()
    server.start()
    yield server
    server.close()


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    yield context
    context.close()


@pytest.fixture
def tab(context, server):
    """The page, which may have nothing to complain of."""
    tab = Tab(context, server.url)
    yield tab
    assert tab.errors == []


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
    assert re.fullmatch(r"[−\d.e]+", tab.text(".tip"))
    line.dispatch_event("click", {"clientX": 500, "clientY": 300})
    tab.page.fill("dialog [data-weight='0.0.0']", "-3.5")
    tab.page.keyboard.press("Enter")
    tab.idle()
    assert tab.value("window.playground.nets[0].arrays['weights.0'][0]") == -3.5
    assert tab.page.get_attribute(sign, "class") == "negative"
    dashes = tab.page.eval_on_selector(sign, "line => getComputedStyle(line).strokeDasharray")
    assert dashes != "none"  # the sign is seen without colours as well
    assert tab.page.query_selector("dialog") is None


def test_the_card_of_a_unit(tab):
    before = tab.pixels(OUTPUT)
    tab.page.click("[data-layer='3'][data-unit='0']")
    assert tab.text("dialog .formula").startswith("logistic(")
    tab.page.fill("dialog [data-bias='2.0']", "2")
    tab.page.keyboard.press("Tab")
    tab.idle()
    assert tab.value("window.playground.nets[0].arrays['biases.2'][0]") == 2
    assert tab.pixels(OUTPUT) != before
    tab.page.keyboard.press("Escape")
    assert tab.page.query_selector("dialog") is None


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


def test_gradients_vanish_and_the_cure_is_applied(tab):
    tab.page.click("[data-mission=vanish]")
    tab.page.click("[data-do=begin-mission]")
    tab.idle()
    tab.train(10)
    tab.page.click("[data-do=check-mission]")
    tab.page.wait_for_selector(".checks .done >> nth=1")
    tab.tab("health")
    norms = [float(row.get_attribute("data-gradient")) for row in rows_of_layers(tab)]
    assert len(norms) == 7
    assert norms[0] < 1e-3 * norms[-1]
    tab.page.click("[data-do=diagnose]")
    tab.page.wait_for_selector("[data-kind='gradients vanish']")
    tab.page.click("[data-kind='gradients vanish'] [data-do=cure]")
    tab.idle()
    assert tab.state("network.activation") == "relu"
    assert tab.epoch == 0
    tab.page.fill("#speed", "4")
    tab.train(200)
    assert float(tab.lane("test-score")) > 0.9
    tab.tab("missions")
    tab.page.click("[data-do=check-mission]")
    tab.page.wait_for_selector("[data-mission=vanish].done")


def rows_of_layers(tab):
    tab.page.wait_for_selector(".layers tbody tr")
    return tab.page.query_selector_all(".layers tbody tr")


def test_dead_units_are_counted(tab):
    tab.open(f"{tab.page.url.split('#')[0]}#data.set=circle&network.activation=relu")
    tab.tab("health")
    tab.page.click("[data-layer='1'][data-unit='0']")
    tab.page.fill("dialog [data-bias='0.0']", "-1000")
    tab.page.keyboard.press("Tab")
    tab.idle()
    tab.page.keyboard.press("Escape")
    assert float(rows_of_layers(tab)[0].get_attribute("data-dead")) >= 0.25


# --- one step ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "numbers"),
    [
        ("nine", {"[data-node='1.0']": ["z 5", "a 5"], "[data-node='2.0']": ["a 9", "δ 0"]}),
        ("sigmoid", {"[data-node='2.0']": ["a 0.9053"]}),
        ("slope", {
            "[data-edge='0.0.0']": ["1 → 0.7", "∂ 15"],
            "[data-edge='0.1.0']": ["2 → 1.6", "∂ 20"],
            "[data-node='1.0']": ["a 11", "δ 5"],
        }),
    ],
)  # fmt: skip
def test_worked_examples_step_by_step(tab, preset, numbers):
    tab.tab("step")
    tab.page.click(f"[data-preset={preset}]")
    tab.idle()
    tab.page.wait_for_selector("[data-stage=row]")
    first = next(iter(numbers))
    assert not any(text in words(tab, first) for text in numbers[first])
    while not tab.page.is_disabled("[data-do=stage-next]"):
        tab.page.click("[data-do=stage-next]")
    assert tab.page.get_attribute("h3[data-stage]", "data-stage") == "update"
    for part, texts in numbers.items():
        assert all(text in words(tab, part) for text in texts), words(tab, part)


def words(tab, part):
    """The numbers that a part of the step's drawing has."""
    tab.page.wait_for_selector(f".step {part}")
    texts = tab.page.locator(f".step {part} text").all_text_contents()
    return [re.sub(r"\s+", " ", text) for text in texts]


def test_a_row_of_the_data_step_by_step(tab):
    tab.train(5)
    tab.tab("step")
    tab.page.wait_for_selector("[data-node='3.0']")
    tab.change("step-row", 3)
    tab.page.click("[data-do=stage-all]")
    x = tab.value("window.playground.nets[0].arrays['train'][9]")
    assert float(words(tab, "[data-node='0.0']")[1].replace("−", "-")) == pytest.approx(x, rel=1e-3)
    before = set(
        tab.page.locator("[data-edge]").evaluate_all("all => all.map(e => e.dataset.edge)")
    )
    tab.page.locator("[data-node='1.1']").press("Enter")
    after = set(tab.page.locator("[data-edge]").evaluate_all("all => all.map(e => e.dataset.edge)"))
    assert after == {"0.0.1", "0.1.1"} != before
    assert "→" in tab.text(".arithmetic")


# --- the loss around it --------------------------------------------------------------------------


@pytest.mark.parametrize("directions", ["random", "path"])
def test_loss_landscape(tab, directions):
    tab.train(40)
    tab.tab("landscape")
    tab.page.select_option("[data-control=landscape-directions]", directions)
    tab.page.click("[data-do=landscape]:enabled")
    tab.page.wait_for_selector("[data-center-loss]")
    center = float(tab.page.get_attribute("[data-center-loss]", "data-center-loss"))
    assert center == pytest.approx(float(tab.lane("loss")), rel=1e-4)
    assert tab.colours("[data-map=landscape]") > 50
    assert tab.page.locator(".contour").count() == 9
    assert (tab.page.locator(".path").count() == 1) == (directions == "path")


# --- two networks --------------------------------------------------------------------------------


def test_two_networks_side_by_side(tab):
    tab.train(20)
    tab.page.click("#compare")
    tab.idle()
    other = "[data-lane='1'] [data-map=output]"
    assert (tab.lane("epoch"), tab.lane("epoch", 1)) == ("0", "0")
    assert tab.pixels(OUTPUT) == tab.pixels(other)  # the same seed and data
    tab.change("network.learning_rate_init", 40)  # of the second, 0.1
    assert (
        tab.state("network.learning_rate_init"),
        tab.state("network.learning_rate_init", 1),
    ) == (0.03, 0.1)
    tab.train(30)
    assert tab.lane("epoch") == tab.lane("epoch", 1)
    assert tab.pixels(OUTPUT) != tab.pixels(other)
    assert len(tab.page.query_selector_all(".chart polyline[points*=',']")) == 4
    tab.page.check("[data-which=A] input")
    tab.page.locator("[data-lane='0'] [data-do='more.0']").click()
    tab.idle()
    assert (tab.lane("units"), tab.lane("units", 1)) == ("2,5,2,1", "2,4,2,1")
    url = tab.page.url
    tab.open(url)
    assert (tab.lane("units"), tab.lane("units", 1)) == ("2,5,2,1", "2,4,2,1")
    assert tab.state("network.learning_rate_init", 1) == 0.1
    tab.page.click("#compare")
    tab.idle()
    assert tab.page.locator("[data-lane]").count() == 1


# --- digits --------------------------------------------------------------------------------------


@pytest.fixture
def digits(tab):
    tab.choose("digits")
    tab.train(40)
    return tab


def test_a_digit_is_drawn_and_read(digits):
    tab = digits
    pad = tab.page.locator("[data-pad]")
    assert pad.evaluate("pad => getComputedStyle(pad).touchAction") == "none"
    box = pad.bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in RING]
    tab.page.mouse.move(*at[0])
    tab.page.mouse.down()
    for place in at[1:]:
        tab.page.mouse.move(*place, steps=3)
    tab.page.mouse.up()
    tab.until("document.querySelector('.pad-box').dataset.predicted !== ''")
    tab.until("!document.querySelector('.teach').hidden")
    assert tab.page.get_attribute(".pad-box", "data-predicted") == "0"
    assert tab.page.locator(".bars .best").get_attribute("data-digit") == "0"
    assert tab.page.locator(".saw canvas").count() == 12
    assert tab.colours(".pixels") > 3
    tab.page.click("[data-do=clear]")
    tab.until("document.querySelector('.pad-box').dataset.predicted === ''")


# a ring in the middle of the pad
RING = [(0.5 + 0.2 * np.sin(a), 0.5 - 0.32 * np.cos(a)) for a in np.linspace(0, 2 * np.pi, 13)]


def test_a_digit_is_typed_and_taught(digits):
    tab = digits
    tab.page.focus("[data-pad]")
    tab.page.keyboard.press("1")
    tab.until("!document.querySelector('.teach').hidden")
    tab.change("pad-label", "1")
    tab.page.click("[data-do=teach]")
    tab.idle()
    [added] = tab.state("data.added")
    assert len(added) == 65
    assert added[-1] == 1
    assert max(added[:64]) <= 16


# --- missions ------------------------------------------------------------------------------------


def test_each_mission_is_set_up_and_checked(tab):
    names = [mission["id"] for mission in tab.value("window.playground.hello.missions")]
    assert len(names) >= 8
    for name in names:
        tab.page.click(f"[data-mission={name}]")
        tab.page.click("[data-do=begin-mission]")
        tab.idle()
        tab.page.click("[data-do=check-mission]")
        tab.page.wait_for_selector("[data-verdict=open]")
        assert tab.page.locator(".checks li").count() >= 2


def test_a_mission_is_done_while_it_plays(tab):
    tab.page.click("[data-mission=feature]")
    tab.page.click("[data-do=begin-mission]")
    tab.idle()
    tab.page.check("[data-feature=xy]")
    tab.idle()
    tab.train(60)
    tab.page.wait_for_selector("[data-mission=feature].done")
    assert tab.text(".verdict[data-verdict=done]") == "Done!"


def test_one_unit_draws_one_line(tab):
    tab.page.click("[data-mission=one-unit]")
    tab.page.click("[data-do=begin-mission]")
    tab.idle()
    tab.train(120)
    tab.page.click("[data-do='more.0']")
    tab.idle()
    tab.train(120)
    tab.page.click("[data-do=check-mission]")
    tab.page.wait_for_selector("[data-mission=one-unit].done")


# --- out of it -----------------------------------------------------------------------------------


def test_copied_python_gives_the_same_weights(context, server):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab = Tab(context, address(server, data__set="moons", data__noise=0.2, network__alpha=0.01))
    tab.train(25)
    tab.tab("code")
    tab.until("document.querySelector('pre').textContent.includes('fit')")
    tab.page.click("[data-do=copy-code]")
    tab.until("document.querySelector('#panel-code [role=status]').textContent === 'Copied.'")
    code = tab.value("navigator.clipboard.readText()")
    assert code == tab.page.text_content("pre")
    space = {}
    exec(code, space)
    expected = tab.value("Array.from(window.playground.nets[0].arrays['weights.0'])")
    found = next(v for v in space.values() if isinstance(v, fastmlp.MLPClassifier))
    np.testing.assert_array_equal(found.coefs_[0].astype(np.float32).ravel(), np.float32(expected))
    tab.page.check("[data-library=scikit-learn] input")
    tab.until("document.querySelector('pre').textContent.includes('sklearn.neural_network')")
    tab.change("activation.0", "gelu")
    tab.until("document.querySelector('#panel-code pre').hidden")
    assert "gelu" in tab.text("#panel-code")
    assert tab.errors == []


def test_the_model_is_saved(tab, tmp_path):
    tab.train(20)
    with tab.page.expect_download(timeout=PATIENCE) as download:
        tab.page.click("[data-do=save]")
    file = tmp_path / "model"
    download.value.save_as(file)
    model = fastmlp.load(file)
    weights = tab.value("Array.from(window.playground.nets[0].arrays['weights.0'])")
    np.testing.assert_array_equal(model.coefs_[0].astype(np.float32).ravel(), np.float32(weights))


# --- the address ---------------------------------------------------------------------------------


def test_the_address_holds_the_state(tab, context):
    tab.choose("spiral")
    tab.change("data.noise", 0.3)
    tab.change("units.0", 7)
    tab.change("activation.1", "relu")
    tab.change("network.solver", "adam")
    tab.change("view.testPoints", True)
    tab.page.fill("#speed", "4")
    tab.tab("landscape")
    first = tab.pixels(OUTPUT)
    url = tab.page.url
    assert "token" not in url
    other = Tab(context, url)
    assert other.state("data") == tab.state("data")
    assert other.state("network") == tab.state("network")
    assert other.pixels(OUTPUT) == first
    assert other.value("window.playground.epochsPerFrame") == 20
    assert other.page.is_visible("#panel-landscape")
    other.page.evaluate("() => { location.hash = 'data.set=moons&seed=3' }")
    other.until("window.playground.states[0].data.set === 'moons'")
    other.idle()
    assert other.state("seed") == 3
    assert other.errors == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network__alpha": -1}, "network.alpha must be"),
        ({"data__set": "nonsense"}, "data.set must be"),
        ({"network__hidden_layer_sizes": "[100000]"}, "network.hidden_layer_sizes"),
        ({"network__nonsense": 1}, "nonsense"),
        ({"constructor__prototype": 1}, None),
    ],
)
def test_an_address_that_asks_for_what_cannot_be(context, server, fields, message):
    tab = Tab(context, address(server, **fields))
    if message:
        assert message in tab.notice()
    tab.train(5)
    with tab.refusals_expected():
        pass
    assert tab.errors == []


def test_two_tabs_are_two_sessions(tab, context, server):
    other = Tab(context, server.url)
    tab.choose("xor")
    tab.train(30)
    assert (other.epoch, other.state("data.set")) == (0, "circle")
    other.train(10)
    assert tab.state("data.set") == "xor"
    assert other.errors == []


# --- when something goes wrong -------------------------------------------------------------------


def test_what_the_server_refuses_is_said_and_undone(tab):
    tab.train(5)
    before = tab.epoch
    with tab.refusals_expected():
        tab.change("units.0", 2000)
        assert "network.hidden_layer_sizes" in tab.notice()
    assert tab.lane("units") == "2,4,2,1"
    assert tab.page.input_value("[data-control='units.0']") == "4"
    assert tab.epoch == before
    tab.page.click("#notice button")
    assert tab.page.is_hidden("#notice")


def test_a_wrong_token_is_said(context, server):
    page = context.new_page()
    page.goto(f"{server.url.split('#')[0]}#token=wrong")
    page.wait_for_selector("#notice:not([hidden])", timeout=PATIENCE)
    assert "token" in page.inner_text("#notice")


def test_a_page_from_elsewhere_does_not_reach_the_server(context, server):
    page = context.new_page()
    page.route("http://elsewhere.test/", lambda route: route.fulfill(body="<title>x</title>"))
    page.goto("http://elsewhere.test/")
    reached = page.evaluate(
        """async ([url, token]) => { try {
             return (await fetch(url + "api/hello", {method: "POST", headers: {"X-Token": token}, body: "{}"})).status;
           } catch { return "not reached"; } }""",
        [server.url.split("#")[0], server.token],
    )
    assert reached == "not reached"


def test_a_session_that_has_ended_begins_again(tab, server):
    tab.train(10)
    server.sessions.close(tab.value("window.playground.api.session"))
    with tab.refusals_expected():
        tab.page.click("#step")
        assert "had ended" in tab.notice()
        tab.idle()
    tab.train(10)
    assert tab.epoch >= 10


def test_a_server_that_is_gone_is_said(context):
    server = Server()
    server.start()
    tab = Tab(context, server.url)
    tab.page.route("**/api/*", lambda route: route.abort())
    tab.page.click("#play")
    assert "does not answer" in tab.notice()
    assert tab.page.get_attribute("#play", "aria-label") == "Play"
    tab.page.unroute("**/api/*")
    tab.page.click("[data-do=retry]")
    tab.idle()
    tab.train(5)
    assert tab.page.is_hidden("#notice")
    server.close()


def test_a_page_that_is_left_ends_its_session(context, server):
    tab = Tab(context, server.url)
    name = tab.value("window.playground.api.session")
    tab.page.goto("about:blank")
    until = monotonic() + PATIENCE / 1000
    with pytest.raises(LookupError):
        while monotonic() < until:
            server.sessions.find(name)


# --- for everybody -------------------------------------------------------------------------------


def test_keys(tab):
    tab.page.keyboard.press("s")
    tab.idle()
    assert tab.epoch == 1
    tab.page.keyboard.press(" ")
    tab.until("Number(document.body.dataset.epoch) >= 10")
    tab.page.keyboard.press(" ")
    tab.idle()
    tab.page.keyboard.press("r")
    tab.idle()
    assert tab.epoch == 0
    tab.page.focus("[data-tab=missions]")
    tab.page.keyboard.press("ArrowRight")
    assert tab.page.is_visible("#panel-health")
    assert tab.value("document.activeElement.dataset.tab") == "health"
    assert tab.text("#live").startswith("Paused at epoch")


def test_each_control_is_reached_by_keys_and_has_a_name(tab):
    nameless = tab.value(
        """Array.from(document.querySelectorAll("button, input, select, [tabindex='0'], [role=img]"))
             .filter(e => e.getClientRects().length)
             .filter(e => !(e.ariaLabel || e.textContent.trim() || e.labels?.length && e.labels[0].textContent.trim()
                            || e.getAttribute("aria-labelledby")))
             .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    tab.page.focus("body")
    reached = set()
    for _ in range(120):
        tab.page.keyboard.press("Tab")
        reached.add(
            tab.value(
                """{ const e = document.activeElement;
                     const ring = getComputedStyle(e).outlineStyle !== "none"
                       || getComputedStyle(e.nextElementSibling ?? e).outlineStyle !== "none"
                       || getComputedStyle(e.parentElement).outlineStyle !== "none"
                       || e.parentElement.querySelector(":scope > span > canvas, :scope > span > .glyph");
                     return (e.id || e.dataset.tab || e.dataset.do || e.dataset.surface || e.name
                       || e.dataset.unit || e.tagName) + (ring ? "" : " has no ring"); }"""
            )
        )
    assert not {name for name in reached if "no ring" in name} - {"BODY has no ring"}
    assert {
        "reset",
        "play",
        "step",
        "speed",
        "compare",
        "tab-missions",
        "add-layer",
        "0",
    } <= reached


@pytest.mark.parametrize(
    "fragment", ["data.set=circle", "data.set=digits", "data.set=gauss&data.classes=6&b=1"]
)
def test_phone_width(browser, server, fragment):
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True
    )
    tab = Tab(context, f"{server.url}&{fragment}")
    tab.page.tap("#step")
    tab.idle()
    for name in ("missions", "health", "step", "landscape", "code"):
        tab.tab(name)
        assert tab.value("document.documentElement.scrollWidth") <= 360
    if "digits" not in fragment:
        tab.page.locator("[data-surface]").first.tap(position={"x": 50, "y": 50})
        tab.idle()
        assert len(tab.state("data.added")) == 1
    assert tab.errors == []
    context.close()


def test_light_and_dark(browser, server):
    grounds = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        tab = Tab(context, server.url)
        tab.train(20)
        ground = tab.value("getComputedStyle(document.body).backgroundColor")
        maps = tab.pixels(OUTPUT)
        tab.page.click("[data-do=theme]")
        tab.idle()
        assert tab.value("getComputedStyle(document.body).backgroundColor") != ground
        assert tab.pixels(OUTPUT) != maps  # 0 is as light or as dark as the page
        grounds.append(ground)
        assert tab.errors == []
        context.close()
    assert len(set(grounds)) == 2


def test_nothing_comes_from_elsewhere(context, server):
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    tab = Tab(context, server.url)
    tab.train(5)
    home = server.url.split("#")[0]
    assert len(asked) > 20
    assert all(url.startswith((home, "data:", "blob:", "about:")) for url in asked)
