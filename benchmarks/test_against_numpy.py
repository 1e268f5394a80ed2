"""A training step and a prediction, beside a good pure NumPy implementation (float32, in place).

pytest benchmarks                       # measures; compare the columns within a group
pytest benchmarks --benchmark-disable   # only runs each once, and checks that both learn
"""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.cases import CASES
from fastmlp import _native
from fastmlp.app.numpy_mlp import NumpyMLP

BATCHES = 4
cases = pytest.mark.parametrize("case", CASES, ids=str)
threads = pytest.mark.parametrize("threads", [1, 2])


def numpy_mlp(case):
    return NumpyMLP(list(case.units), classify=not case.regression)


def blocks_of(model):
    pairs = zip(model.weights, model.biases, strict=True)
    return [np.ascontiguousarray(block) for pair in pairs for block in pair]


def hidden(case):
    """The case's hidden layers as the core takes them."""
    return [("relu", 0.0, 1, 0.0)] * (len(case.units) - 2)


@cases
@threads
@pytest.mark.parametrize("library", ["fastmlp", "numpy"])
def test_training_steps(benchmark, case, threads, library):
    """Four steps on shuffled mini-batches, from the same weights."""
    benchmark.group = f"step {case.name}, {threads} threads"
    X, y = case.data(case.batch * BATCHES)
    Y = y[:, None] if case.regression else np.eye(case.units[-1], dtype=np.float32)[y]
    model = numpy_mlp(case)
    order = np.random.default_rng(1).permutation(len(X))
    losses = []

    if library == "numpy":

        def run():
            total = 0.0
            for start in range(0, len(X), case.batch):
                rows = order[start : start + case.batch]
                total += model.step(X[rows], Y[rows])
            losses.append(total / BATCHES)

    else:
        loss = "squared_error" if case.regression else "log_loss"
        network = _native.Network32(
            list(case.units), hidden(case), loss, alpha=1e-4, batch=case.batch
        )
        network.write(0, blocks_of(model))

        def run():
            losses.append(
                network.train(
                    X, Y, None, order, solver="adam", steps=BATCHES * len(losses), rate=1e-3,
                    momentum=0.0, nesterov=False, beta_1=0.9, beta_2=0.999, epsilon=1e-8,
                    n_threads=threads,
                )[0]
            )  # fmt: skip

    with threadpool_limits(threads):
        run()
        benchmark(run)
    assert losses[-1] < losses[0]


@cases
@threads
@pytest.mark.parametrize("library", ["fastmlp", "numpy"])
def test_prediction(benchmark, case, threads, library):
    """The outputs for 1000 rows."""
    benchmark.group = f"predict {case.name}, {threads} threads"
    X, _ = case.data(1000)
    model = numpy_mlp(case)
    blocks = blocks_of(model)
    loss = "squared_error" if case.regression else "log_loss"

    def ours():
        return _native.predict(blocks, hidden(case), loss, X, n_threads=threads)

    def theirs():
        return model.forward(X)[-1]

    with threadpool_limits(threads):
        benchmark(theirs if library == "numpy" else ours)
    np.testing.assert_allclose(ours(), theirs(), atol=1e-5)
