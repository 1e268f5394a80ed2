"""Who can use the playground's page, and how: its address, refusals, keys, phones, colours."""

from time import monotonic

import pytest

from fastmlp.playground.server import Server
from tests.playground_tab import OUTPUT, PATIENCE, Tab, address

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
        """async ([url, token]) => {
             const asked = { method: "POST", headers: { "X-Token": token }, body: "{}" };
             try { return (await fetch(url + "api/hello", asked)).status; }
             catch { return "not reached"; } }""",
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
    while is_open(server, name):
        assert monotonic() < until


def is_open(server, name):
    """Whether a session has not ended."""
    try:
        server.sessions.find(name)
    except LookupError:
        return False
    return True


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


# what can be used and has no name, of what is to be seen
NAMELESS = """Array.from(document.querySelectorAll(
    "button, input, select, [tabindex='0'], [role=img]"))
  .filter(e => e.getClientRects().length)
  .filter(e => !(e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim()
    || e.getAttribute("aria-labelledby")))
  .map(e => e.outerHTML.slice(0, 120))"""

# what has the focus, and whether there is a ring around it or around what stands for it
FOCUSED = """{
  const e = document.activeElement, { dataset } = e;
  const near = [e, e.parentElement, ...e.parentElement.querySelectorAll("*")];
  const ring = near.some(other => getComputedStyle(other).outlineStyle !== "none");
  return [e.id || dataset.tab || dataset.do || dataset.unit || e.tagName, ring]; }"""


def test_each_control_is_reached_by_keys_and_has_a_name(tab):
    assert tab.value(NAMELESS) == []
    reached = {}
    for _ in range(120):
        tab.page.keyboard.press("Tab")
        name, has_ring = tab.value(FOCUSED)
        reached[name] = has_ring
    reached.pop("BODY", None)  # between the last and the first
    assert all(reached.values()), reached
    controls = {"reset", "play", "step", "speed", "compare", "tab-missions", "add-layer", "0"}
    assert controls <= set(reached)


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
