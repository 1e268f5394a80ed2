import faulthandler
import os
import random
import shutil

import numpy as np
import pytest

from fastmlp import _native

SLOWNESS = float(os.environ.get("FASTMLP_SLOWNESS", "1"))  # of a core with sanitizers
LIMIT = 600  # seconds: so long takes only what hangs, on a busy machine and with sanitizers too


@pytest.fixture(autouse=True)
def seeded():
    """What no seed is given for is the same in each run, whatever ran before."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002


@pytest.fixture(params=[name for name, (_, lack) in _native.engines().items() if not lack])
def engine(request):
    """Each engine that this machine can run."""
    return request.param


@pytest.fixture
def unforced(monkeypatch):
    """Each device has the engine of its own, whatever FASTMLP_ENGINE says."""
    monkeypatch.delenv("FASTMLP_ENGINE", raising=False)


@pytest.fixture
def time_limit():
    """What hangs in the core no exception can end: the process is ended, with a traceback."""
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def server():
    """A server of the playground."""
    from fastmlp.playground.server import Server

    server = Server()
    server.start()
    yield server
    server.close()


@pytest.fixture
def page(server):
    """A page of it, without a browser."""
    from tests.playground_client import Page

    page = Page(server)
    yield page
    page.ask("bye")


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium; tests that need it are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    options = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


@pytest.fixture
def context(browser):
    """A browser that remembers nothing of other tests."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    yield context
    context.close()


@pytest.fixture
def tab(context, server):
    """The playground's page, which may have nothing to complain of."""
    from tests.playground_tab import Tab

    tab = Tab(context, server.url)
    yield tab
    assert tab.errors == []
