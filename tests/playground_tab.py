"""The playground's page in a real browser, as its tests handle it."""

from contextlib import contextmanager
from urllib.parse import quote

OUTPUT = "[data-lane='0'] [data-map=output]"  # what the first network says everywhere
POINTS = "[data-lane='0'] [data-map=points]"
PATIENCE = 120_000  # milliseconds until something that happens must have happened


class Tab:
    """A tab of a browser that shows the playground.

    Attributes
    ----------
    page : playwright's Page
    errors : list of str
        What the page has complained of in the console, and exceptions of its code.
    """

    def __init__(self, context, url):
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._note)
        self.open(url)

    def _note(self, message):
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def open(self, url):
        """Go to an address, and wait for the page to have shown its first frame."""
        self.page.goto(
            "about:blank"
        )  # an address that differs in its fragment alone is no new page
        self.page.goto(url)
        self.page.wait_for_selector("body[data-ready=true]")
        self.idle()

    # --- events ----------------------------------------------------------------------------------

    def until(self, condition):
        """Wait until a JavaScript expression is true, looking at each frame of the browser."""
        self.page.evaluate(
            f"""() => new Promise((resolve, reject) => {{
              const end = performance.now() + {PATIENCE};
              const look = () => ({condition}) ? resolve()
                : performance.now() > end ? reject(new Error("never: " + {condition!r}))
                : requestAnimationFrame(look);
              look(); }})"""
        )

    def idle(self):
        """Wait until nothing is asked of the server any more."""
        self.until("document.body.dataset.busy === 'false'")

    def train(self, epochs):
        """Play until so many epochs are made, and pause."""
        self.page.click("#play")
        self.until(f"Number(document.body.dataset.epoch) >= {epochs} || !window.playground.playing")
        if self.value("window.playground.playing"):
            self.page.click("#play")
        self.idle()

    @contextmanager
    def refusals_expected(self):
        """Within this, the browser may tell of requests that were refused or not answered."""
        yield
        self.errors = [text for text in self.errors if "Failed to load resource" not in text]

    # --- looking ---------------------------------------------------------------------------------

    def value(self, expression):
        """The value of a JavaScript expression."""
        return self.page.evaluate(f"() => {expression}")

    def lane(self, name, place=0):
        """What a network's part of the page says of it, by a data attribute."""
        return self.page.get_attribute(f"[data-lane='{place}']", f"data-{name}")

    @property
    def epoch(self):
        return int(self.lane("epoch"))

    def state(self, path, place=0):
        """A field of a network's state."""
        return self.value(f"window.playground.states[{place}].{path}")

    def pixels(self, selector):
        """A number made of all pixels of a canvas: equal where the pictures are."""
        return self._of_pixels(
            selector,
            "pixels.reduce((sum, pixel) => Math.imul(sum ^ pixel, 16777619) >>> 0, 2166136261)",
        )

    def colours(self, selector):
        """How many colours a canvas has."""
        return self._of_pixels(selector, "new Set(pixels).size")

    def colour_at(self, selector, across, down):
        """Red, green, blue and opacity at a place, in shares of the width and height."""
        return self._of_pixels(
            selector,
            f"""Array.from(new Uint8Array(pixels.buffer, 4 * (Math.round({across} * width)
                  + width * Math.round({down} * height)), 4))""",
        )

    def _of_pixels(self, selector, expression):
        return self.page.eval_on_selector(
            selector,
            f"""canvas => {{
              const {{ width, height }} = canvas;
              const copy = Object.assign(document.createElement("canvas"), {{ width, height }});
              const context = copy.getContext("2d", {{ willReadFrequently: true }});
              context.drawImage(canvas, 0, 0);
              const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
              return {expression}; }}""",
        )

    def text(self, selector):
        return self.page.inner_text(selector)

    def notice(self):
        """What the page says above all else, once it says something."""
        self.page.wait_for_selector("#notice:not([hidden])")
        return self.text("#notice")

    # --- doing -----------------------------------------------------------------------------------

    def change(self, control, value):
        """Set a control: an input, a box to tick, or a list to choose from."""
        parts = self.page.locator(f"[data-control='{control}']")
        parts.evaluate_all(
            "parts => parts.map(part => part.closest('details')).forEach(d => d && (d.open = true))"
        )
        part = parts.locator("visible=true").first
        field = part.locator("xpath=descendant-or-self::*[self::input or self::select]").first
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        elif isinstance(value, bool):
            field.set_checked(value)
        else:
            field.fill(str(value))
            field.dispatch_event("change")
        self.idle()

    def tab(self, name):
        self.page.click(f"[data-tab={name}]")
        self.idle()

    def choose(self, name):
        """Choose a data set."""
        self.page.check(f"[data-set={name}] input")
        self.idle()


def address(server, **fields):
    """The page's address with a state: `data__set="spiral"` is ``data.set=spiral``."""
    pairs = (f"{name.replace('__', '.')}={quote(str(value))}" for name, value in fields.items())
    return "&".join([server.url, *pairs])
