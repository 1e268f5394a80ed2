import pytest

from fastmlp import _native


@pytest.fixture(params=[name for name, available in _native.engines().items() if available])
def engine(request):
    """Each engine that this machine can run."""
    return request.param
