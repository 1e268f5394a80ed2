"""Subnormal numbers count as zero in the core's passes, and nowhere else."""

import os
import threading
from itertools import pairwise

import numpy as np
import pytest

from fastmlp import _native

LINEAR = ([], "squared_error")  # no hidden layer: hidden, loss
KINDS = {np.float32: _native.Network32, np.float64: _native.Network64}


def python_has_subnormals():
    """Whether NumPy's arithmetic on the calling thread gives them and takes them."""
    kinds = (np.float32, np.float64)
    least = [np.full(37, np.finfo(kind).smallest_subnormal) for kind in kinds]
    return all((x * x.dtype.type(2) / x.dtype.type(2) == x).all() and (x > 0).all() for x in least)


def steps(network, X, y, solver="adam", **options):
    defaults = {"steps": 0, "rate": 1e-3, "momentum": 0.9, "beta_1": 0.9, "beta_2": 0.9,
                "epsilon": 1e-8, "rho": 0.9, "n_threads": 1}  # fmt: skip
    return network.train(X, y, None, None, solver=solver, **{**defaults, **options})


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("sparse", [False, True])
def test_those_that_arrive_count_as_zero(engine, dtype, sparse):
    """As samples and as weights; factors that would lift them to 1 tell."""
    one, small = dtype(1), np.finfo(dtype).tiny / dtype(4)
    big = one / dtype(2) / small
    assert small * big == dtype(0.5)
    X = np.array([[small, 0], [0, big], [1, 0]], dtype)
    rows = X
    if sparse:
        rows = (
            np.array([small, big, 1], dtype),
            np.array([0, 1, 0], np.int32),
            np.arange(4, dtype=np.int64),
        )
    blocks = [np.array([[big], [small]], dtype), np.array([3], dtype)]
    predicted = _native.predict(blocks, *LINEAR, rows, n_threads=1, engine=engine)
    assert predicted[:2].tolist() == [[3], [3]]

    network = KINDS[dtype](
        [2, 1], *LINEAR, alpha=0.0, batch=3, sparse=sparse, keep_gradient=True, engine=engine
    )
    network.write(0, [np.array([[1], [small]], dtype), np.array([big], dtype)])
    y = np.array([[0], [big], [big + 1]], dtype)
    _, (by_weight, by_bias) = network.gradient(rows, y, None, None, n_threads=1)
    assert by_weight[0, 0] == 0  # small * big, and an error of zero
    assert by_bias[0] == big / dtype(3)


@pytest.mark.parametrize("solver", _native.SOLVER_SLOTS)
def test_none_are_left_by_training(engine, solver):
    """Without a gradient momenta and second moments shrink until they are gone."""
    network = KINDS[np.float32](
        [3, 20, 2], [("relu", 0.0, 1, 0.0)], "log_loss", alpha=0.0, batch=1, engine=engine
    )
    rng = np.random.RandomState(0)
    blocks = rng.randn(3, 20), np.zeros(20), rng.randn(20, 2), np.zeros(2)
    network.write(0, [block.astype(np.float32) for block in blocks])
    X = np.zeros((1200, 3), np.float32)
    X[0] = 1e-3, 1, -1  # the one row that moves the first layer's weights
    steps(network, X, np.arange(1200, dtype=np.int32) % 2, solver)
    tiny = np.finfo(np.float32).tiny
    for slot in range(1 + _native.SOLVER_SLOTS[solver]):
        for values in network.read(slot):
            assert not ((values != 0) & (abs(values) < tiny)).any()
    if solver not in ("adagrad", "adamax"):  # the sum of all squares, and what epsilon holds up
        assert (network.read(1)[0] == 0).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_python_keeps_them(n_threads):
    """Before a pass, after it, in what is called within it, in another thread, in a child."""
    assert python_has_subnormals()
    rng = np.random.RandomState(0)
    X, y = rng.randn(20000, 64), (np.arange(20000) % 10).astype(np.int32)
    units = [64, 400, 400, 10]  # an epoch takes long enough for `stop` to be called within it
    hidden = [("relu", 0.0, 1, 0.0)] * 2
    network = KINDS[np.float64](units, hidden, "log_loss", alpha=1e-4, batch=200)
    network.write(0, [a for n, m in pairwise(units) for a in (rng.randn(n, m) / n, np.zeros(m))])
    within, beside, done = [], [], threading.Event()

    def watch():
        while not done.is_set():
            beside.append(python_has_subnormals())

    def stop():
        within.append(python_has_subnormals())
        child = os.fork()
        if child == 0:
            os._exit(0 if python_has_subnormals() else 1)
        within.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0)
        raise RuntimeError("enough")

    thread = threading.Thread(target=watch)
    thread.start()
    raised = None
    while raised is None or len(beside) < 10:
        *_, raised = steps(network, X, y, n_threads=n_threads, stop=stop)
        assert python_has_subnormals()
    done.set()
    thread.join()
    assert isinstance(raised, RuntimeError)
    assert within
    assert all(within + beside)
