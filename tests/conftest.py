import faulthandler
import os
import random

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


@pytest.fixture(params=[name for name, available in _native.engines().items() if available])
def engine(request):
    """Each engine that this machine can run."""
    return request.param


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
