"""The playground's panels in a browser: step, landscape, two networks, digits, missions, code."""

import re

import numpy as np
import pytest

import fastmlp
from tests.playground_tab import OUTPUT, PATIENCE, Tab, address

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# --- health --------------------------------------------------------------------------------------


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
    assert float(
        words(tab, "[data-node='0.0']")[1].replace("\N{MINUS SIGN}", "-")
    ) == pytest.approx(x, rel=1e-3)
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
