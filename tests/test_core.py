"""The native core against the oracle, on every engine the machine has."""

import os
import subprocess
import sys
from functools import cache, partial
from itertools import chain, pairwise

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse

from fastmlp import MLPRegressor, _native
from tests import reference

NETWORKS = {np.float32: _native.Network32, np.float64: _native.Network64}

# Lanes are 2, 4, 8 or 16: sizes of one, lanes - 1, lanes, lanes + 1, primes, several tiles.
SHAPES = [
    ([1, 1], 1),
    ([1, 1, 1], 2),
    ([3, 2], 5),
    ([2, 1, 5, 3], 1),
    ([4, 3, 5], 7),
    ([7, 8, 9], 8),
    ([9, 7, 1], 9),
    ([15, 16, 17], 13),
    ([17, 15, 4, 2], 4),
    ([5, 33, 31, 3], 3),
    ([13, 53, 19], 29),
]


PIECES = 3  # of maxout
ROWWISE = ("log_loss", "kl_divergence")
PARAMETERS = {"huber": 0.7, "quantile": 0.3}  # of losses


def hidden_layers(activation, n, dropout=0.0):
    """`n` hidden layers as the core takes them."""
    parameter = _native.ACTIVATIONS[activation]
    # not the default: a parameter that is not heeded is noticed
    parameter = 0.0 if parameter is None else parameter + 0.3
    return [(activation, parameter, PIECES if activation == "maxout" else 1, dropout)] * n


def network_of(units, activation, loss, dtype=np.float64, dropout=0.0, **options):
    hidden = hidden_layers(activation, len(units) - 2, dropout)
    options = {"loss_parameter": PARAMETERS.get(loss, 0.0), **options}
    return NETWORKS[dtype](list(units), hidden, loss, **options)


def outputs_allowed(loss, outputs):
    return outputs > 1 if loss in ROWWISE else True


@cache
def problem(units, rows, loss, weighted, activation="relu"):
    """Parameters, X, targets for the core and for the oracle, weights; float64."""
    rng = np.random.RandomState(rows + len(units))
    blocks = []
    for fan_in, fan_out in pairwise(units):
        pieces = PIECES if activation == "maxout" and len(blocks) < 2 * len(units) - 4 else 1
        blocks += [
            rng.randn(fan_in, fan_out * pieces) / np.sqrt(fan_in),
            0.5 * rng.randn(fan_out * pieces),
        ]
    if activation == "prelu":
        blocks += [0.3 + 0.2 * rng.randn(n) for n in units[1:-1]]
    X = rng.randn(rows, units[0])
    if loss == "log_loss":
        targets = rng.randint(units[-1], size=rows).astype(np.int32)
        Y = np.eye(units[-1])[targets]
    elif loss == "kl_divergence":
        targets = Y = rng.dirichlet(np.ones(units[-1]), rows)
        Y[0] = np.eye(units[-1])[0]
    else:
        Y = rng.randint(3 if loss == "poisson" else 2, size=(rows, units[-1])).astype(float)
        if _native.LINKS[loss] == "identity" and loss not in ("hinge", "perceptron"):
            Y += rng.randn(*Y.shape)
        if loss == "gamma":
            Y = rng.rand(*Y.shape) + 0.1
        targets = Y
    weights = rng.rand(rows) + 0.5 if weighted else None
    return blocks, X, targets, Y, weights


@cache
def expected(units, rows, activation, loss, alpha, l1, weighted):
    blocks, X, _, Y, weights = problem(units, rows, loss, weighted, activation)
    weights = np.ones(rows) if weights is None else weights
    hidden = hidden_layers(activation, len(units) - 2)
    args = (hidden, loss, X, Y, weights, alpha, l1, PARAMETERS.get(loss, 0.0))
    return reference.penalised_loss(blocks, *args), reference.gradient(blocks, *args)


def as_dtype(dtype, *arrays):
    return [a.astype(dtype) if a is not None and a.dtype.kind == "f" else a for a in arrays]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", _native.LOSSES)
@pytest.mark.parametrize("activation", _native.ACTIVATIONS)
def test_loss_and_gradient(engine, activation, loss, dtype):
    """All shapes for each activation and each loss; each pair on a third of them."""
    pair = [*_native.ACTIVATIONS].index(activation) + [*_native.LOSSES].index(loss)
    everywhere = activation == "tanh" or loss == "binary_log_loss"
    for case, (units, rows) in enumerate(SHAPES):
        if not outputs_allowed(loss, units[-1]) or not (everywhere or (case + pair) % 3 == 0):
            continue
        weighted, alpha, l1 = case % 2 == 1, [0.0, 0.3, 2.0][case % 3], [0.0, 0.2][case % 2]
        blocks, X, targets, _, weights = problem(tuple(units), rows, loss, weighted, activation)
        value, gradient = expected(tuple(units), rows, activation, loss, alpha, l1, weighted)
        X, targets, weights, *blocks = as_dtype(dtype, X, targets, weights, *blocks)
        network = network_of(
            units, activation, loss, dtype, alpha=alpha, l1=l1, batch=rows, keep_gradient=True,
            engine=engine,
        )  # fmt: skip
        network.write(0, blocks)
        got, got_gradient = network.gradient(X, targets, weights, None, n_threads=1)
        tolerance = 200 * float(np.finfo(dtype).eps)
        assert got == pytest.approx(value, rel=tolerance)
        largest = max(np.abs(g).max() for g in gradient)
        for ours, right in zip(got_gradient, gradient, strict=True):
            np.testing.assert_allclose(ours, right, rtol=0, atol=tolerance * max(largest, 1))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("loss", "outputs"),
    [("binary_log_loss", 1), ("logistic_squared_error", 1), ("logistic_squared_error", 21),
     ("log_loss", 3), ("log_loss", 16), ("log_loss", 37)],
)  # fmt: skip
def test_smoothed_class_numbers_are_the_same_as_dense_targets(engine, loss, outputs, dtype):
    """Loss, gradient, steps and evaluation, bit by bit."""
    units, rows, share, k = (5, 4, outputs), 33, 0.3, max(outputs, 2)
    rng = np.random.RandomState(outputs)
    classes = rng.randint(k, size=rows).astype(np.int32)
    dense = classes[:, None] if outputs == 1 else np.eye(k)[classes]
    dense = dense.astype(dtype) * dtype(1 - share) + dtype(share / k)
    X, weights = rng.randn(rows, 5).astype(dtype), rng.rand(rows).astype(dtype)
    blocks = [rng.randn(*shape).astype(dtype) for shape in [(5, 4), (4,), (4, outputs), (outputs,)]]
    results = []
    for targets, smoothing in [(classes, share), (dense, 0.0), (dense, share)]:
        network = network_of(
            units, "tanh", loss, dtype, alpha=0.1, batch=rows, keep_gradient=True, engine=engine,
            label_smoothing=smoothing,
        )  # fmt: skip
        network.write(0, blocks)
        value, gradient = network.gradient(X, targets, weights, None, n_threads=1)
        epoch, _ = network.train(X, targets, weights, None, solver="sgd", steps=0, rate=0.1,
                                 n_threads=1)  # fmt: skip
        outputs_, loss_ = _native.evaluate(
            blocks, hidden_layers("tanh", 1), loss, X, targets, weights, n_threads=1,
            engine=engine, label_smoothing=smoothing,
        )  # fmt: skip
        results.append([value, *gradient, *epoch, *network.read(0), outputs_, loss_])
    for ours, right, ignored in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, right)
        np.testing.assert_array_equal(ignored, right)  # values are never smoothed
    with pytest.raises(ValueError, match=r"label_smoothing: must be in \[0, 1\)"):
        network_of(units, "tanh", loss, dtype, alpha=0.0, batch=1, label_smoothing=1.0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", _native.LOSSES)
def test_predictions(engine, loss, dtype):
    """Few rows (weights read in place), many (packed), row numbers, several threads."""
    for units, _ in SHAPES:
        if not outputs_allowed(loss, units[-1]):
            continue
        blocks, X, *_ = problem(tuple(units), 203, loss, False)
        hidden = hidden_layers("tanh", len(units) - 2)
        right = reference.predict(blocks, hidden, loss, X)
        X, *blocks = as_dtype(dtype, X, *blocks)
        some = np.array([5, 0, 202, 5])
        calls = [(X, None, slice(None)), (X[:1], None, [0]), (X[::2][:9], None, slice(0, 18, 2))]
        for x, order, which in [*calls, (X, some, some), (X, np.arange(200), slice(200))]:
            for n_threads in (1, 3):
                got = _native.predict(
                    blocks, hidden, loss, x, order, n_threads=n_threads, engine=engine
                )
                assert got.dtype == dtype
                # sums of terms of size 1 may cancel: absolute as well
                eps = np.finfo(dtype).eps
                np.testing.assert_allclose(got, right[which], rtol=100 * eps, atol=20 * eps)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_rows_equal_dense_rows(engine, dtype):
    rng = np.random.RandomState(0)
    units, rows = [37, 19, 3], 50
    blocks, _, targets, _, weights = problem(tuple(units), rows, "log_loss", True)
    X = scipy.sparse.random(rows, 37, 0.2, "csr", dtype=dtype, random_state=rng)
    X.indptr[1:3] = X.indptr[2]  # rows with all and with none
    X.has_canonical_format = False
    weights, *blocks = as_dtype(dtype, weights, *blocks)
    csr = (X.data, X.indices.astype(np.int32), X.indptr.astype(np.int64))
    results = []
    for x, sparse in [(X.toarray(), False), (csr, True)]:
        for n_threads in (1, 3):
            network = network_of(
                units, "tanh", "log_loss", dtype, alpha=0.1, batch=rows, sparse=sparse,
                keep_gradient=True, engine=engine,
            )  # fmt: skip
            network.write(0, blocks)
            loss, gradient = network.gradient(x, targets, weights, None, n_threads=n_threads)
            predicted = _native.predict(
                blocks, hidden_layers("tanh", 1), "log_loss", x, n_threads=1, engine=engine
            )
            results.append([np.array(loss), predicted, *gradient])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=100 * np.finfo(dtype).eps)


def as_csr(X):
    """What the core takes as CSR."""
    csr = scipy.sparse.csr_array(X)
    return csr.data, csr.indices.astype(np.int32), csr.indptr.astype(np.int64)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", ["tanh", "prelu", "maxout"])
def test_few_sparse_rows_are_predicted_as_many_are(engine, activation, dtype):
    """Many pack the weights, few read them where they are: the same bits."""
    units = (90, 37, 19, 2)
    blocks, X, _, _, _ = problem(units, 70, "log_loss", False, activation)
    X = np.where(np.random.RandomState(0).rand(*X.shape) < 0.1, X, 0)
    X[3] = 0
    X, *blocks = as_dtype(dtype, X, *blocks)

    def predict(rows):
        x = as_csr(X[rows])
        hidden = hidden_layers(activation, 2)
        return _native.predict(blocks, hidden, "log_loss", x, n_threads=1, engine=engine)

    packed = predict(slice(None))
    for few in (1, 5):
        for first in range(0, 70, few):
            rows = slice(first, first + few)
            np.testing.assert_array_equal(predict(rows), packed[rows])


READ_ONE_ROW = """
import ctypes, mmap
import numpy as np
from fastmlp import _native

features, units, page = 1 << 16, {units}, mmap.PAGESIZE
memory = mmap.mmap(-1, features * units * 4)
weights = np.frombuffer(memory, np.float32).reshape(features, units)
weights[-1] = 1.5
libc = ctypes.CDLL(None, use_errno=True)
begin = weights.ctypes.data  # all but the last pages may not be read from here on
but_last = (len(memory) - units * 4) // page * page
assert libc.mprotect(ctypes.c_void_p(begin), ctypes.c_size_t(but_last), 0) == 0
blocks = [weights, np.ones(units, np.float32)]
x = np.float32([2]), np.int32([features - 1]), np.int64([0, 1])
print(_native.predict(blocks, [], "squared_error", x, n_threads=1, engine="{engine}").sum())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="protects memory by mprotect")
@pytest.mark.parametrize("units", [16, 20, 1])
def test_sparse_prediction_reads_only_the_weights_that_entries_name(engine, units):
    """All others lie in memory that may not be read."""
    done = subprocess.run(
        [sys.executable, "-c", READ_ONE_ROW.format(units=units, engine=engine)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(4.0 * units)), done.stderr


def train_steps(network, blocks, X, targets, weights, order, epochs, n_threads, **options):
    """Train from `blocks` and a blank state; returns losses and everything the session holds."""
    options = {
        "rate": 0.05, "momentum": 0.9, "nesterov": True, "beta_1": 0.9, "beta_2": 0.99,
        "epsilon": 1e-8, **options,
    }  # fmt: skip
    network.write(0, blocks)
    steps, losses = 0, []
    for _ in range(epochs):
        (done, _, loss, _, made), raised = network.train(
            X, targets, weights, order, steps=steps, n_threads=n_threads, **options
        )
        assert done == len(X if order is None else order)
        assert raised is None
        losses.append(loss / done)
        steps += made
    slots = _native.SOLVER_SLOTS[options["solver"]]
    return losses, [network.read(slot) for slot in range(1 + slots)]


def reference_steps(
    blocks, activation, X, Y, weights, order, batch, epochs, alpha, solver, nesterov
):
    """The same by the oracle's gradients and the solvers' published formulas."""
    blocks = [block.copy() for block in blocks]
    first = [np.zeros_like(block) for block in blocks]
    second = [np.zeros_like(block) for block in blocks]
    losses, t = [], 0
    for _ in range(epochs):
        total = 0.0
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            hidden = hidden_layers(activation, len(blocks) // 2 - 1)
            args = (hidden, "squared_error", X[rows], Y[rows], weights[rows], alpha)
            total += reference.penalised_loss(blocks, *args) * len(rows)
            t += 1
            for g, w, m, v in zip(reference.gradient(blocks, *args), blocks, first, second,
                                  strict=True):  # fmt: skip
                if solver == "sgd":
                    m[...] = 0.9 * m - 0.05 * g
                    w += 0.9 * m - 0.05 * g if nesterov else m
                else:
                    m[...] = 0.9 * m + 0.1 * g
                    v[...] = 0.99 * v + 0.01 * g**2
                    w -= 0.05 * np.sqrt(1 - 0.99**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8)
        losses.append(total / len(order))
    return losses, [blocks, first, second][: 1 + _native.SOLVER_SLOTS[solver]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("solver", "nesterov"), [("sgd", True), ("sgd", False), ("adam", False)])
@pytest.mark.parametrize("activation", ["logistic", "tanh"])  # of 0: not 0, and 0
@pytest.mark.parametrize("units", [(5, 11, 1), (19, 2, 13, 1, 17, 1)])  # narrow layers among them
def test_steps_follow_the_published_formulas(engine, solver, nesterov, dtype, activation, units):
    """Mini-batches with a short last one, in a given order; state after three epochs."""
    rows, batch = 23, 4
    blocks, X, _, Y, weights = problem(units, rows, "squared_error", True)
    order = np.random.RandomState(3).permutation(rows)[:22]
    right_losses, right = reference_steps(
        blocks, activation, X, Y, weights, order, batch, 3, 0.2, solver, nesterov
    )
    network = network_of(
        units, activation, "squared_error", dtype, alpha=0.2, batch=batch, engine=engine
    )
    X, Y, weights, *blocks = as_dtype(dtype, X, Y, weights, *blocks)
    losses, slots = train_steps(
        network, blocks, X, Y, weights, order, 3, 1, solver=solver, nesterov=nesterov
    )
    tolerance = 2000 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(losses, right_losses, rtol=tolerance)
    for got_slot, right_slot in zip(slots, right, strict=True):
        for got, wanted in zip(got_slot, right_slot, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_same_bits_for_any_number_of_threads(engine, dtype, sparse):
    """Large enough for the core to take all threads it is given."""
    units, rows = [70, 130, 90, 12], 410
    blocks, X, targets, _, weights = problem(tuple(units), rows, "log_loss", True)
    X = np.where(np.random.RandomState(0).rand(*X.shape) < 0.3, X, 0)
    X, weights, *blocks = as_dtype(dtype, X, weights, *blocks)
    order = np.random.RandomState(1).permutation(rows)
    if sparse:
        X = as_csr(X)
    runs = []
    for n_threads in (1, 2, 3, 5, 2):
        network = network_of(
            units, "relu", "log_loss", dtype, alpha=0.1, batch=128, sparse=sparse, engine=engine
        )
        runs.append(
            train_steps(network, blocks, X, targets, weights, order, 3, n_threads, solver="adam")
        )
    for losses, slots in runs[1:]:
        assert losses == runs[0][0]
        for got_slot, first_slot in zip(slots, runs[0][1], strict=True):
            for got, first in zip(got_slot, first_slot, strict=True):
                np.testing.assert_array_equal(got, first)


def mostly_zeros(rng, rows, columns):
    """Scattered entries, whole columns of zeros, and rows without any."""
    X = np.where(rng.rand(rows, columns) < 0.04, rng.randn(rows, columns), 0.0)
    X[:, columns // 2 : columns // 2 + 20] = 0
    X[rows // 3 : rows // 2] = rng.randn(len(X[rows // 3 : rows // 2]), columns)
    return X


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", ["relu", "prelu", "maxout"])
def test_zeros_of_x_are_left_out_without_changing_a_bit(engine, activation, dtype, dropout):
    """-0 adds as little to a sum as 0 does, but is not left out."""
    units, rows = (75, 37, 5), 203
    blocks, _, targets, _, weights = problem(units, rows, "log_loss", True, activation)
    X = mostly_zeros(np.random.RandomState(0), rows, units[0])
    X, weights, *blocks = as_dtype(dtype, X, weights, *blocks)
    hidden = hidden_layers(activation, 1, dropout)
    order = np.random.RandomState(1).permutation(rows)
    results = []
    for x in (np.where(X == 0, dtype(-0.0), X), X):
        for n_threads in (1, 3):
            network = network_of(
                units, activation, "log_loss", dtype, dropout, alpha=0.1, batch=70,
                input_dropout=dropout, engine=engine,
            )  # fmt: skip
            losses, slots = train_steps(
                network, blocks, x, targets, weights, order, 3, n_threads, solver="adam"
            )
            predicted, loss = _native.evaluate(
                blocks, hidden, "log_loss", x, targets, weights, n_threads=n_threads, engine=engine
            )
            results.append([np.array([*losses, loss]), predicted, *chain(*slots)])
    for other in results[1:]:
        for got, wanted in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_zeros_of_x_are_left_out(engine, dtype):
    """What is multiplied by zeros only is not read: it may be NaN."""
    units, rows, features = [40, 30, 1], 64, 40
    rng = np.random.RandomState(0)
    blocks = as_dtype(dtype, rng.randn(40, 30), rng.randn(30), rng.randn(30, 1), rng.randn(1))
    X, Y = as_dtype(dtype, rng.randn(rows, features), rng.randn(rows, 1))
    X[:, 8:] = 0
    blocks[0][8:] = np.nan
    hidden = hidden_layers("tanh", 1)

    def run(x, y):
        network = network_of(
            units, "tanh", "squared_error", dtype, alpha=0.0, batch=rows, keep_gradient=True,
            engine=engine,
        )  # fmt: skip
        network.write(0, blocks)
        return (
            _native.predict(blocks, hidden, "squared_error", x, n_threads=1, engine=engine),
            network.gradient(x, y, None, None, n_threads=1)[1],
        )

    predicted, gradient = run(X, Y)
    assert np.isfinite(predicted).all()
    assert all(np.isfinite(g).all() for g in [gradient[0][:8], *gradient[1:]])
    predicted, gradient = run(np.where(X == 0, dtype(-0.0), X), Y)
    assert np.isnan(predicted).all()
    assert np.isnan(gradient[0]).all()

    blocks[0][8:] = 1  # NaN as the delta of one row, for the gradient of all features but 8
    Y[3] = np.nan
    _, gradient = run(X, Y)
    assert np.isnan(gradient[0][:8]).all()
    assert np.isfinite(gradient[0][8:]).all()


def test_a_batch_larger_than_the_work_space_is_one_step():
    """600 rows of 20000 features are worked on in two stretches, and are still one gradient."""
    rng = np.random.RandomState(0)
    units, rows = [20000, 3, 1], 600
    X, Y = rng.randn(rows, 20000), rng.randn(rows, 1)
    blocks = [rng.randn(20000, 3) / 100, rng.randn(3), rng.randn(3, 1), rng.randn(1)]

    def gradient(part):
        network = network_of(
            units, "tanh", "squared_error", alpha=0.0, batch=len(X[part]), keep_gradient=True
        )
        network.write(0, blocks)
        return network.gradient(X[part], Y[part], None, None, n_threads=2)

    loss, whole = gradient(slice(None))
    halves = [gradient(slice(0, 300)), gradient(slice(300, 600))]
    assert loss == pytest.approx((halves[0][0] + halves[1][0]) / 2, rel=1e-12)
    for got, a, b in zip(whole, halves[0][1], halves[1][1], strict=True):
        np.testing.assert_allclose(got, (a + b) / 2, rtol=0, atol=1e-12)

    network = network_of(units, "tanh", "squared_error", alpha=0.0, batch=rows)
    _, slots = train_steps(
        network, blocks, X, Y, None, None, 1, 2, solver="sgd", momentum=0.0, nesterov=False
    )
    for got, start, g in zip(slots[0], blocks, whole, strict=True):
        np.testing.assert_allclose(got, start - 0.05 * g, rtol=0, atol=1e-12)


def test_a_batch_whose_weights_are_all_zero_moves_nothing(engine):
    units, rows = (5, 4, 1), 8
    blocks, X, _, Y, _ = problem(units, rows, "squared_error", False)
    weights = np.array([1.0] * 4 + [0.0] * 4)
    results = []
    for order in (np.arange(4), np.arange(8)):
        network = network_of(units, "tanh", "squared_error", alpha=0.5, batch=4, engine=engine)
        results.append(train_steps(network, blocks, X, Y, weights, order, 1, 1, solver="adam")[1])
    for a, b in zip(*(chain(*slots) for slots in results), strict=True):
        np.testing.assert_array_equal(a, b)


SCALED = ("swish", "gelu", "mish")  # z times something that exp flushes to 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", _native.ACTIVATIONS)
def test_activations_are_accurate_everywhere(engine, activation, dtype):
    """Within a few units in the last place over the whole range; infinities and NaN as they are."""
    z = np.concatenate([np.linspace(-120, 120, 20011), np.geomspace(1e-30, 1, 500),
                        -np.geomspace(1e-30, 1, 500), [0.0, -0.0]]).astype(dtype)  # fmt: skip
    one, zero = np.ones((1, 1), dtype), np.zeros(1, dtype)
    parameter = _native.ACTIVATIONS[activation] or 0.0
    slopes = [np.full(1, parameter, dtype)] if activation == "prelu" else []

    def run(z):
        return _native.predict(
            [one, zero, *slopes], [(activation, parameter, 1, 0.0)], None, z[:, None], n_threads=1,
            engine=engine,
        )[:, 0]  # fmt: skip

    formula = partial(reference.ACTIVATIONS[activation], p=dtype(parameter))
    with np.errstate(over="ignore"):
        right = formula(z.astype(np.longdouble)).astype(float)
    tiny = float(np.finfo(dtype).tiny)
    eps = np.finfo(dtype).eps
    # exp(-z^2 / 2) magnifies the rounding of its argument, here and in SciPy
    units = 8 + 2 * z.astype(float) ** 2 if activation == "gelu" else 4
    # below exp's flush to zero the sigmoid is 0 instead of some 1e-38 (1e-307 in float64)
    with np.errstate(over="ignore"):
        error = np.abs(run(z) - right) - units * eps * np.abs(right)
    assert error.max() <= 4 * tiny * max(abs(z).max() if activation in SCALED else 1, 1)
    limits = run(np.array([np.inf, -np.inf, np.nan], dtype))
    with np.errstate(over="ignore", invalid="ignore"):
        expected_limits = formula(np.array([np.inf, -np.inf]))
    np.testing.assert_array_equal(limits[:2], expected_limits.astype(dtype))
    assert np.isnan(limits[2])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", _native.LOSSES)
def test_losses_at_extreme_outputs(engine, loss, dtype):
    """Finite where they should be, and not clipped; NaN is seen."""
    x = np.array([[0.0]], dtype)
    for z in (-1000.0, -50.0, 50.0, 80.0, 1000.0, np.nan):
        outputs = 2 if loss in ROWWISE else 1
        bias = np.array([z, 0.0][:outputs], dtype)
        for label in (0, 1):
            network = network_of(
                [1, outputs], "identity", loss, dtype, alpha=0.0, batch=1, keep_gradient=True,
                engine=engine,
            )  # fmt: skip
            network.write(0, [np.zeros((1, outputs), dtype), bias])
            classes = np.array([label], np.int32)
            value, gradient = network.gradient(x, classes, None, None, n_threads=1)
            delta = gradient[1][0]
            if np.isnan(z):
                assert np.isnan(value)
                assert np.isnan(delta)
            elif loss in (*ROWWISE, "binary_log_loss"):
                wrong = (z > 0) == (label == (1 if loss in ROWWISE else 0))
                assert value == pytest.approx(abs(z) if wrong else 0.0, abs=1e-20)
                assert delta == pytest.approx(np.sign(z) if wrong else 0.0, abs=1e-20)
            elif loss in ("poisson", "gamma"):
                low = loss == "gamma" and (z < -80 or not label)
                assert np.isfinite(value) or low or (loss == "poisson" and z > 80)
            else:
                assert np.isfinite(value)
                assert np.isfinite(delta)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_infinite_row_stays_alone(engine, dtype):
    """What overflows in one row does not reach others through padding, narrow layers included."""
    rng = np.random.RandomState(0)
    X = rng.randn(300, 20).astype(dtype)
    X[5] = np.finfo(dtype).max
    blocks = [rng.randn(*shape).astype(dtype) for shape in ((20, 2), (2,), (2, 40), (40,))]
    hidden = [("identity", 0.0, 1, 0.0)]
    with np.errstate(all="ignore"):
        for n_threads in (1, 2):
            got = _native.predict(blocks, hidden, "poisson", X, n_threads=n_threads, engine=engine)
            assert np.isfinite(np.delete(got, 5, axis=0)).all()
    # infinite activations ahead of a narrow layer: tanh makes numbers of them again
    wide = [np.full((3, 3), 3e38 if dtype == np.float32 else 1e308, dtype), np.zeros(3, dtype),
            np.ones((3, 12), dtype), np.zeros(12, dtype), np.ones((12, 1), dtype),
            np.zeros(1, dtype)]  # fmt: skip
    hidden = [("relu", 0.0, 1, 0.0), ("tanh", 0.0, 1, 0.0)]
    got = _native.predict(wide, hidden, "squared_error", np.ones((3, 3), dtype), n_threads=1,
                          engine=engine)  # fmt: skip
    np.testing.assert_array_equal(got, 12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", _native.ACTIVATIONS)
def test_slopes_far_out(engine, activation, dtype):
    """The derivative of a + 0 by the weight, at outputs where exponentials overflow."""
    if activation == "maxout":
        pytest.skip("no slope of its own")
    far = {"identity": (1, 1), "logistic": (0, 0), "tanh": (0, 0), "selu": (0, 1.0507009873554805),
           "leaky_relu": (0.01, 1), "prelu": (0.25, 1)}.get(activation, (0, 1))  # fmt: skip
    for z, slope in [(-300.0, far[0]), (300.0, far[1]), (-1e16, far[0]), (1e16, far[1])]:
        parameter = _native.ACTIVATIONS[activation] or 0.0
        network = NETWORKS[dtype](
            [1, 1, 1], [(activation, parameter, 1, 0.0)], "absolute_error", alpha=0.0, batch=1,
            keep_gradient=True, engine=engine,
        )  # fmt: skip
        blocks = [[[0.0]], [z], [[1.0]], [0.0]] + [[parameter]] * (activation == "prelu")
        network.write(0, [np.array(block, dtype) for block in blocks])
        target = np.array([[-3e38]], dtype)
        _, gradient = network.gradient(np.ones((1, 1), dtype), target, None, None, n_threads=1)
        assert gradient[1][0] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("limit", ["clip_norm", "max_norm"])
def test_norms_that_overflow_are_seen(engine, limit):
    """They would otherwise make zeros of numbers that are finite."""
    network = network_of((2, 3, 1), "identity", "squared_error", np.float32, alpha=0.0, batch=4,
                         keep_gradient=True, engine=engine)  # fmt: skip
    huge = np.full((2, 3), 3e19, np.float32)
    network.write(0, [huge, np.zeros(3, np.float32), np.full((3, 1), 1e-19, np.float32),
                      np.zeros(1, np.float32)])  # fmt: skip
    X = np.full((4, 2), 1e10, np.float32)
    network.train(X, np.zeros((4, 1), np.float32), None, None, solver="sgd", steps=0, rate=1e-30,
                  n_threads=1, **{limit: 1.0})  # fmt: skip
    assert np.isnan(network.read(0)[0]).all()


def test_what_ends_a_pass():
    """A callable that is asked between steps; its exceptions, an odd answer's too, come out."""
    X = np.zeros((200_000, 8))

    def train(stop, n_threads=1):
        network = network_of((8, 640, 1), "relu", "squared_error", alpha=0.0, batch=8)
        return network.train(X, np.zeros((200_000, 1)), None, None, solver="sgd", steps=0,
                             rate=0.1, stop=stop, n_threads=n_threads)  # fmt: skip

    class Odd:
        def __bool__(self):
            raise ArithmeticError

    for n_threads in (1, 2):
        (rows, _, _, _, steps), raised = train(lambda: "yes", n_threads)
        assert rows == 8 * steps < 200_000
        assert raised is None
        assert isinstance(train(Odd, n_threads)[-1], ArithmeticError)
        assert isinstance(train(lambda: 1 / 0, n_threads)[-1], ZeroDivisionError)
        assert train(lambda: [], n_threads)[0][0] == 200_000


def test_an_engine_can_be_forced_and_never_falls_back(engine):
    def run(name):
        return subprocess.run(
            [sys.executable, "-c", "from fastmlp import _native; print(_native.engine())"],
            env={**os.environ, "FASTMLP_ENGINE": name},
            capture_output=True,
            text=True,
            check=False,
        )

    assert run(engine).stdout.strip() == engine
    wrong = run("avx1024")
    assert wrong.returncode != 0
    assert "FASTMLP_ENGINE must be one of" in wrong.stderr
    assert "'avx1024'" in wrong.stderr
    for name, (_, lack) in _native.engines().items():
        if lack:
            assert f"FASTMLP_ENGINE='{name}': {lack}." in run(name).stderr


def test_native_calls_refuse_what_would_read_outside_of_an_array():
    blocks = [np.ones((3, 2)), np.ones(2)]
    X = np.ones((4, 3))

    def predict(blocks=blocks, x=X, order=None):
        return _native.predict(blocks, [], "squared_error", x, order, n_threads=1)

    predict()
    for call in (
        lambda: predict(x=np.ones((4, 2))),
        lambda: predict(x=np.ones((4, 3), np.longdouble)),
        lambda: predict(x=np.ones((4, 3), ">f8")),
        lambda: predict(x=np.frombuffer(b"x" * 97, np.float64, 12, 1).reshape(4, 3)),
        lambda: predict(x=np.ones((3, 4)).T),
        lambda: predict(blocks=[np.ones((3, 2)), np.ones(3)]),
        lambda: predict(blocks=[np.ones((2, 3)).T, np.ones(2)]),
        lambda: predict(order=np.array([4])),
        lambda: predict(order=np.array([-1])),
        lambda: predict(x=(np.ones(2), np.array([0, 3], np.int32), np.array([0, 2]))),
        lambda: predict(x=(np.ones(2), np.array([0, 1], np.int32), np.array([0, 3]))),
        lambda: predict(x=(np.ones(2), np.array([0, 1], np.int32), np.array([0, 2, 1]))),
    ):
        with pytest.raises(ValueError, match=r"X|order|weight|blocks"):
            call()

    network = _native.Network64([3, 2], [], "log_loss", alpha=0.0, batch=4)
    network.write(0, blocks)
    arguments = {
        "x": X, "targets": np.zeros(4, np.int32), "weights": None, "order": None, "solver": "sgd",
        "steps": 0, "rate": 0.1, "momentum": 0.0, "nesterov": False, "beta_1": 0.9,
        "beta_2": 0.9, "epsilon": 1e-8, "n_threads": 1,
    }  # fmt: skip
    network.train(**arguments)
    for wrong in (
        {"targets": np.full(4, 2, np.int32)},
        {"targets": np.zeros(3, np.int32)},
        {"targets": np.zeros((4, 1))},
        {"weights": np.ones(3)},
        {"weights": np.ones(4, np.float32)},
        {"solver": "newton"},
        {"n_threads": 0},
        {"x": X[:0], "targets": np.zeros(0, np.int32)},
    ):
        with pytest.raises(ValueError, match=r"targets|weights|solver|n_threads|X"):
            network.train(**{**arguments, **wrong})


ENGINES = [name for name, (_, lack) in _native.engines().items() if not lack]
EXAMPLES = int(os.environ.get("FASTMLP_EXAMPLES", "60"))
STEPS = {"rate": 0.01, "momentum": 0.9, "nesterov": True, "beta_1": 0.9, "beta_2": 0.99,
         "epsilon": 0.1, "rho": 0.9, "weight_decay": 0.01, "seed": 5, "n_threads": 2}  # fmt: skip
LIMITS = {"clip_norm": 0.5, "max_norm": 1.5}


@hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES < 1000,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(
    units=st.lists(st.integers(1, 70), min_size=2, max_size=5), rows=st.integers(1, 60),
    batch=st.integers(1, 60), loss=st.sampled_from(list(_native.LOSSES)), data=st.data(),
    dtype=st.sampled_from([np.float64, np.float32]), solver=st.sampled_from(
        [name for name in _native.SOLVER_SLOTS if name != "adamax"]),  # it has no epsilon's place
    sparse=st.booleans(), weighted=st.booleans(), limits=st.booleans(),
    rates=st.lists(st.sampled_from([0.0, 0.3]), min_size=5, max_size=5),
)  # fmt: skip
def test_engines_agree_over_random_shapes(
    units, rows, batch, loss, data, dtype, solver, sparse, weighted, limits, rates
):
    """Training, its loss, the solver's state, predictions: each engine against the first."""
    if not outputs_allowed(loss, units[-1]):
        units = [*units[:-1], units[-1] + 1]
    names = data.draw(st.lists(st.sampled_from(list(_native.ACTIVATIONS)),
                               min_size=len(units) - 2, max_size=len(units) - 2))  # fmt: skip
    hidden = [
        (*hidden_layers(name, 1)[0][:3], rate) for name, rate in zip(names, rates[1:], strict=False)
    ]
    _, X, targets, _, weights = problem(tuple(units), rows, loss, weighted)
    blocks, rng = [], np.random.default_rng(rows)
    for (fan_in, fan_out), layer in zip(pairwise(units), [*hidden, (0, 0, 1)], strict=True):
        blocks += [rng.normal(size=(fan_in, fan_out * layer[2])) / np.sqrt(fan_in),
                   0.5 * rng.normal(size=fan_out * layer[2])]  # fmt: skip
    blocks += [0.3 + 0.2 * rng.normal(size=n) for n, layer in zip(units[1:], hidden, strict=False)
               if layer[0] == "prelu"]  # fmt: skip
    blocks = [block.astype(dtype) for block in blocks]
    x = X.astype(dtype)
    if sparse:
        csr = scipy.sparse.csr_array(np.where(X > 0, x, 0).astype(dtype))
        x = (csr.data, csr.indices.astype(np.int32), csr.indptr.astype(np.int64))
    y = targets if targets.dtype == np.int32 else targets.astype(dtype)
    weights = weights if weights is None else weights.astype(dtype)
    results = []
    for engine in ENGINES:
        network = NETWORKS[dtype](
            units, hidden, loss, loss_parameter=PARAMETERS.get(loss, 0.0), input_dropout=rates[0],
            alpha=0.1, l1=0.01, batch=batch, sparse=sparse, keep_gradient=limits, engine=engine,
        )  # fmt: skip
        network.write(0, blocks)
        # an epsilon of the gradients' size: without it adam's kin make steps of rounding errors
        options = {**STEPS, "solver": solver, **(LIMITS if limits else {})}
        steps, losses = 0, []
        for _ in range(2):
            (done, _, total, _, made), raised = network.train(
                x, y, weights, None, steps=steps, **options
            )
            assert (done, made, raised) == (rows, -(-rows // batch), None)
            losses.append(total / done)
            steps += made
        slots = [network.read(slot) for slot in range(1 + _native.SOLVER_SLOTS[solver])]
        predicted = _native.predict(slots[0], hidden, loss, x, n_threads=1, engine=engine)
        results.append([np.array(losses), predicted, *chain(*slots)])
    error = 1e-9 if dtype == np.float64 else 5e-3
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=error, atol=error * max(1, abs(a).max()))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_gradient_whose_square_overflows_float32_is_clipped():
    """exp(60) * 300 is 3e28, its square beyond float32: the step has the length of the rate."""
    X = np.full((20, 1), 300.0)
    init = [np.full((1, 1), 0.2), np.zeros(1)]
    for dtype in (np.float32, np.float64):
        reg = MLPRegressor("poisson", (), solver="sgd", momentum=0, clip_norm=1.0,
                           learning_rate_init=0.01, max_iter=1, init=init)  # fmt: skip
        reg.fit(X.astype(dtype), np.ones(20))
        assert reg.coefs_[0][0, 0] == pytest.approx(0.19, abs=1e-5)
