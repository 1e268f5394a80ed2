"""Recurrent networks in the core against the oracle in `sequences`, and against PyTorch."""

from functools import cache
from itertools import chain, product

import numpy as np
import pytest

from fastmlp import _native
from fastmlp.core.network import Architecture, Blocks, Network
from fastmlp.core.typing import HiddenLayer
from tests import sequences
from tests.reference import IS_MEAN
from tests.test_core import NETWORKS, PARAMETERS, ROWWISE, as_dtype
from tests.test_vocabulary import OPTIONS, mask, published

CELLS = ("elman", "gru")
ACTIVATIONS = [name for name in _native.ACTIVATIONS if name not in ("maxout", "prelu")]
# Lanes are 2, 4, 8 or 16: units, sequences, steps
SHAPES = [
    ((1, 1, 1), 2, 1),
    ((2, 3, 1), 7, 5),
    ((17, 2, 3), 9, 3),  # a first layer that is narrow
    ((2, 5, 6, 2), 4, 4),
    ((3, 9, 2), 5, 6),
]
MASK_STEP = 2**40  # rows that dropout counts from a step to the next


def hidden_layers(activation, n, dropout=()):
    parameter = _native.ACTIVATIONS[activation]
    parameter = 0.0 if parameter is None else parameter + 0.3
    return [HiddenLayer(activation, parameter, 1, dropout[i] if dropout else 0.0) for i in range(n)]


def draw_blocks(units, cell, rng):
    """Parameters in the core's order, float64."""
    shapes = Architecture(
        list(units), hidden_layers("tanh", len(units) - 2), "", cell=cell
    ).shapes()
    return [rng.randn(*s) * (0.8 / np.sqrt(s[0]) if len(s) == 2 else 0.3) for s in shapes]


@cache
def problem(units, cell, n, steps, loss, per_step, weighted, ragged):
    """Parameters, X, targets for the core and for the oracle, weights, lengths; float64.

    What the core is given past a sequence's end is NaN, or no class.
    """
    rng = np.random.RandomState(n + len(units))
    blocks = draw_blocks(units, cell, rng)
    X, outputs = rng.randn(n, steps, units[0]), units[-1]
    lengths = rng.randint(1, steps + 1, size=n) if ragged else np.full(n, steps)
    shape = (n, steps) if per_step else (n,)
    padding = np.arange(steps) >= lengths[:, None]
    if loss == "log_loss":
        targets = rng.randint(outputs, size=shape).astype(np.int32)
        Y = np.eye(outputs)[targets]
        if per_step:
            targets[padding] = -7
    else:
        if loss == "kl_divergence":
            Y = rng.dirichlet(np.ones(outputs), shape)
        elif loss == "gamma":
            Y = rng.rand(*shape, outputs) + 0.1
        else:
            Y = rng.randint(3 if loss == "poisson" else 2, size=(*shape, outputs)).astype(float)
            if _native.LINKS[loss] == "identity" and loss not in ("hinge", "perceptron"):
                Y += rng.randn(*Y.shape)
        targets = Y.copy()
        if per_step:
            targets[padding] = np.nan
    weights = rng.rand(n) + 0.5 if weighted else None
    given = X.copy()
    given[padding] = np.nan
    return blocks, X, given, targets, Y, weights, lengths


def network_of(units, hidden, cell, per_step, loss, dtype, steps, **options):
    return NETWORKS[dtype](
        list(units), hidden, loss, loss_parameter=PARAMETERS.get(loss, 0.0), cell=cell,
        per_step=per_step, steps=steps, **{"alpha": 0.0, "keep_gradient": True, **options},
    )  # fmt: skip


def assert_near(arrays, wanted, dtype, factor=200):
    tolerance = factor * float(np.finfo(dtype).eps)
    largest = max(1, *(np.abs(w).max() for w in wanted))
    for got, right in zip(arrays, wanted, strict=True):
        np.testing.assert_allclose(got, right, rtol=0, atol=tolerance * largest)


@cache
def expected(case, cell, activation, loss, per_step, weighted, ragged, alpha, l1):
    units, n, steps = SHAPES[case]
    blocks, X, _, _, Y, weights, lengths = problem(
        units, cell, n, steps, loss, per_step, weighted, ragged
    )
    weights = np.ones(n) if weights is None else weights
    args = (hidden_layers(activation, len(units) - 2), cell, loss, X, Y, weights, lengths, per_step)
    args = (*args, alpha, l1, PARAMETERS.get(loss, 0.0))
    return sequences.penalised_loss(blocks, *args), sequences.gradient(blocks, *args)


PAIRS = [("tanh", loss) for loss in _native.LOSSES]
PAIRS += [(activation, "squared_error") for activation in ACTIVATIONS if activation != "tanh"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("activation", "loss"), PAIRS)
@pytest.mark.parametrize("cell", CELLS)
def test_loss_and_gradient(engine, cell, activation, loss, dtype):
    """Each loss and each activation, over all shapes; with outputs at the end and at every step, of
    sequences of one and of several lengths, all four for some and in turns for the others."""
    pair = PAIRS.index((activation, loss))
    for case, (units, n, steps) in enumerate(SHAPES):
        if loss in ROWWISE and units[-1] == 1:
            continue
        kinds = [*product((False, True), repeat=2)]
        if pair % 6 > 0:
            kinds = [kinds[(case + pair) % 4]]
        for per_step, ragged in kinds:
            weighted, alpha, l1 = case % 2 == 1, [0.0, 0.3, 2.0][case % 3], [0.0, 0.2][case % 2]
            blocks, _, X, targets, _, weights, lengths = problem(
                units, cell, n, steps, loss, per_step, weighted, ragged
            )
            value, gradient = expected(
                case, cell, activation, loss, per_step, weighted, ragged, alpha, l1
            )
            X, targets, weights, *blocks = as_dtype(dtype, X, targets, weights, *blocks)
            network = network_of(
                units, hidden_layers(activation, len(units) - 2), cell, per_step, loss, dtype,
                steps, alpha=alpha, l1=l1, batch=n, engine=engine,
            )  # fmt: skip
            network.write(0, blocks)
            for wrote, block in zip(network.read(0), blocks, strict=True):
                np.testing.assert_array_equal(wrote, block)
            got, got_gradient = network.gradient(
                X, targets, weights, None, lengths=lengths if ragged else None, n_threads=1
            )
            assert got == pytest.approx(value, rel=200 * float(np.finfo(dtype).eps))
            assert_near(got_gradient, gradient, dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "poisson"])
@pytest.mark.parametrize("cell", CELLS)
def test_predictions(engine, cell, loss, dtype):
    """Outputs, states and mean losses; those in an order; more sequences than go together."""
    units, n, steps = (3, 9, 5, 2), 131, 4
    hidden = hidden_layers("tanh", 2)
    order = np.random.RandomState(0).permutation(n)
    for per_step, ragged in product((False, True), repeat=2):
        blocks, X, given, targets, Y, weights, lengths = problem(
            units, cell, n, steps, loss, per_step, True, ragged
        )
        states = sequences.hidden_states(blocks, hidden, cell, X)
        z = sequences.output(blocks, hidden, cell, X, lengths, per_step)
        value = sequences.penalised_loss(
            blocks, hidden, cell, loss, X, Y, weights, lengths, per_step
        )
        flat = sequences.LOSSES[loss][0](z.reshape(-1, units[-1])).reshape(z.shape)
        valid = (np.arange(steps) < lengths[:, None])[..., None]
        right = [np.where(valid, s, 0) for s in states] + [
            np.where(valid, flat, 0) if per_step else flat
        ]
        given, targets, weights, *blocks = as_dtype(dtype, given, targets, weights, *blocks)
        options = {
            "cell": cell, "per_step": per_step, "lengths": lengths if ragged else None,
            "engine": engine,
        }  # fmt: skip
        all_layers = _native.activations(blocks, hidden, loss, given, n_threads=2, **options)
        assert_near(all_layers, right, dtype)
        predicted = _native.predict(blocks, hidden, loss, given, order, n_threads=2, **options)
        np.testing.assert_array_equal(predicted, all_layers[-1][order])
        again, mean_loss = _native.evaluate(
            blocks, hidden, loss, given, targets, weights, n_threads=2, **options
        )
        np.testing.assert_array_equal(again, all_layers[-1])
        assert mean_loss == pytest.approx(value, rel=200 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("cell", CELLS)
def test_prediction_step_by_step_is_that_of_the_whole(engine, cell, dtype):
    """To the bit: the last states are where the next step begins."""
    units, n, steps = (3, 9, 5, 2), 70, 6
    blocks, X, *_ = problem(units, cell, n, steps, "squared_error", True, False, False)
    hidden, initial = hidden_layers("tanh", 2), None
    X, *blocks = as_dtype(dtype, X, *blocks)
    options = {"cell": cell, "per_step": True, "engine": engine, "n_threads": 2}
    whole = _native.activations(blocks, hidden, "squared_error", X, **options)
    for t in range(steps):
        at_t = np.ascontiguousarray(X[:, t : t + 1])
        layers = _native.activations(
            blocks, hidden, "squared_error", at_t, initial_state=initial, **options
        )
        for got, right in zip(layers, whole, strict=True):
            np.testing.assert_array_equal(got[:, 0], right[:, t])
        initial = [layer[:, 0].copy() for layer in layers[:-1]]
    given = [np.asarray(s, float) for s in initial]
    right = sequences.hidden_states(
        [b.astype(float) for b in blocks], hidden, cell, X.astype(float), given
    )
    got = _native.activations(blocks, hidden, "squared_error", X, initial_state=initial, **options)[
        :-1
    ]
    assert_near(got, right, dtype)


def train(network, blocks, X, targets, weights, lengths, epochs, n_threads, order=None, **options):
    """Epochs from `blocks` on; the losses and all that the session holds."""
    network.write(0, blocks)
    options = {"solver": "adam", **OPTIONS, **options}
    made, losses = 0, []
    for _ in range(epochs):
        (*_, loss, penalty, steps), raised = network.train(
            X, targets, weights, order, lengths=lengths, steps=made, n_threads=n_threads, **options
        )
        assert raised is None
        losses += [loss, penalty]
        made += steps
    slots = 1 + _native.SOLVER_SLOTS[options["solver"]]
    return [np.array(losses), *(array for slot in range(slots) for array in network.read(slot))]


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_for_any_number_of_threads_and_any_padding(engine, cell, dtype, per_step):
    """Large enough for the core to take all threads it is given; with dropout."""
    units, n, steps = (9, 40, 33, 5), 150, 12
    blocks, _, X, targets, _, weights, lengths = problem(
        units, cell, n, steps, "log_loss", per_step, True, True
    )
    lengths[lengths == steps] -= 1  # so that the last step is no one's
    X, weights, *blocks = as_dtype(dtype, X, weights, *blocks)
    hidden = hidden_layers("tanh", 2, (0.3, 0.2))
    order = np.random.RandomState(1).permutation(n)
    runs = []
    for n_threads, extra in ((1, 0), (2, 0), (3, 0), (5, 0), (2, -1), (2, 7)):
        end = steps + extra
        x = np.full((n, end, units[0]), np.nan, dtype)
        x[:, :steps] = X[:, :end]
        y = targets
        if per_step:
            y = np.full((n, end), -1, np.int32)
            y[:, :steps] = targets[:, :end]
        network = network_of(
            units, hidden, cell, per_step, "log_loss", dtype, end, alpha=0.1, batch=64,
            input_dropout=0.1, engine=engine,
        )  # fmt: skip
        runs.append(train(network, blocks, x, y, weights, lengths, 2, n_threads, order, seed=3))
    assert np.abs(runs[0][1] - blocks[0]).max() > 0
    for run in runs[1:]:
        for got, first in zip(run, runs[0], strict=True):
            np.testing.assert_array_equal(got, first)


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_batch_larger_than_the_work_space_is_one_step(cell, per_step):
    """150 long sequences are worked on in stretches, and are still one gradient."""
    units, n, steps = (2, 3, 1), 150, 2000
    blocks, _, X, targets, _, weights, lengths = problem(
        units, cell, n, steps, "squared_error", per_step, True, True
    )
    hidden = hidden_layers("tanh", 1)

    def gradient(part, n_threads=2):
        network = network_of(
            units, hidden, cell, per_step, "squared_error", np.float64, steps, batch=n
        )
        network.write(0, blocks)
        loss, arrays = network.gradient(
            X[part], targets[part], weights[part], None, lengths=lengths[part], n_threads=n_threads
        )
        share = (weights[part] * (lengths[part] if per_step else 1)).sum()
        return np.array([loss, *np.concatenate([a.ravel() for a in arrays])]), share

    whole, total = gradient(slice(None))
    alone, _ = gradient(slice(None), 1)
    np.testing.assert_array_equal(whole, alone)
    parts = [gradient(slice(first, first + 10)) for first in range(0, n, 10)]
    right = sum(part * share for part, share in parts) / total
    np.testing.assert_allclose(whole, right, rtol=0, atol=1e-12)

    network = network_of(
        units, hidden, cell, per_step, "squared_error", np.float64, steps, batch=n,
        keep_gradient=False,
    )  # fmt: skip
    after = train(
        network, blocks, X, targets, weights, lengths, 1, 2, solver="sgd", momentum=0.0, rate=0.1
    )[1 : 1 + len(blocks)]
    moved = np.concatenate([((a - b) / -0.1).ravel() for a, b in zip(after, blocks, strict=True)])
    np.testing.assert_allclose(moved, whole[1:], rtol=0, atol=1e-12)


RATES, SEED, CLIP = (0.3, 0.25, 0.5), 99, 0.2


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("cell", CELLS)
def test_steps_with_every_regulariser(engine, cell, dtype):
    """Two steps of gradient descent by the oracle's gradient: dropout of inputs and of what layers
    give to the one above, L1 and L2 on all weights, the norm of the whole gradient clipped."""
    units, n, steps = (4, 5, 3, 2), 5, 3
    hidden = hidden_layers("tanh", 2, RATES[1:])
    for loss, per_step in product(("squared_error", "log_loss"), (False, True)):
        blocks, X, given, targets, Y, weights, lengths = problem(
            units, cell, n, steps, loss, per_step, True, True
        )
        first = [block.astype(dtype) for block in blocks]
        given, targets, w = as_dtype(dtype, given, targets, weights)
        network = network_of(
            units, hidden, cell, per_step, loss, dtype, steps, alpha=0.2, l1=0.1, batch=n,
            input_dropout=RATES[0], engine=engine,
        )  # fmt: skip
        network.write(0, first)
        total = weights @ (lengths if per_step else np.ones(n))
        for step in (1, 2):
            masks = [
                np.stack(
                    [mask(rate, SEED, step, layer, n, k, t * MASK_STEP) for t in range(steps)], 1
                )
                for layer, (rate, k) in enumerate(zip(RATES, units[:-1], strict=True))
            ]
            if not per_step:
                masks[-1] = masks[-1][:, 0]
            args = (hidden, cell, loss, X, Y, weights, lengths, per_step)
            bare = sequences.penalised_loss(blocks, *args, masks=masks)
            with_penalty = sequences.penalised_loss(blocks, *args, 0.2, 0.1, masks=masks)
            scale = units[-1] if IS_MEAN[loss] else 1  # a step is by the sum over outputs
            gradient = [scale * g for g in sequences.gradient(blocks, *args, masks=masks)]
            weighted = {id(matrix) for matrix in sequences.matrices(blocks, hidden, cell)}
            gradient = [
                g + (0.2 * b + 0.1 * np.sign(b)) / total if id(b) in weighted else g
                for g, b in zip(gradient, blocks, strict=True)
            ]
            norm = np.sqrt(sum((g**2).sum() for g in gradient))
            assert norm > CLIP
            blocks = [b - 0.1 * CLIP / norm * g for b, g in zip(blocks, gradient, strict=True)]
            (done, counted, loss_sum, penalty, _), _ = network.train(
                given, targets, w, None, lengths=lengths, solver="sgd", steps=step - 1, rate=0.1,
                clip_norm=CLIP, seed=SEED, n_threads=2,
            )  # fmt: skip
            assert (done, counted) == (n, n)
            assert loss_sum / n == pytest.approx(with_penalty, rel=1e-5)
            assert (loss_sum - penalty) / n == pytest.approx(bare, rel=1e-5)
        assert_near(network.read(0), blocks, dtype, 500)


@pytest.mark.parametrize("solver", _native.SOLVER_SLOTS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_solver_moves_all_parameters_by_the_oracles_gradient(engine, cell, solver):
    """By its published update, which tells weights from biases."""
    units, n, steps = (2, 3, 1), 6, 4
    hidden = hidden_layers("tanh", 1)
    blocks, X, _, _, Y, _, lengths = problem(
        units, cell, n, steps, "squared_error", False, False, True
    )
    network = network_of(
        units, hidden, cell, False, "squared_error", np.float64, steps, batch=n, engine=engine
    )
    network.write(0, blocks)
    updates = [[published(solver, **OPTIONS) for _ in range(b.size)] for b in blocks]
    for update in chain(*updates):
        next(update)
    matrices = sequences.matrices(list(range(len(blocks))), hidden, cell)
    for step in range(3):
        network.train(
            X, Y, None, None, lengths=lengths, solver=solver, steps=step, n_threads=1, **OPTIONS
        )
        args = (hidden, cell, "squared_error", X, Y, np.ones(n), lengths, False)
        moved = []
        for i, g in enumerate(sequences.gradient(blocks, *args)):
            values = zip(updates[i], blocks[i].ravel(), g.ravel(), strict=True)
            new = [update.send((w, d, i in matrices)) for update, w, d in values]
            moved.append(np.reshape(new, g.shape))
        blocks = moved
        for got, right in zip(network.read(0), blocks, strict=True):
            np.testing.assert_allclose(got, right, rtol=0, atol=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_max_norm_holds_for_inputs_and_contexts(engine, cell):
    """Each by itself, of every hidden unit, and not of the outputs."""
    units, n, steps = (3, 9, 5, 2), 8, 4
    blocks, X, _, targets, *_ = problem(units, cell, n, steps, "squared_error", False, False, False)
    hidden = hidden_layers("tanh", 2)
    runs = []
    for limit in (np.inf, 0.3):
        network = network_of(
            units, hidden, cell, False, "squared_error", np.float64, steps, batch=n, engine=engine
        )
        options = {"solver": "sgd", "momentum": 0.0, "max_norm": limit}
        runs.append(train(network, blocks, X, targets, None, None, 1, 2, **options)[1:])
    plain, limited = (run[: len(blocks)] for run in runs)
    for matrix in sequences.matrices(list(range(len(blocks))), hidden, cell):
        norms = np.linalg.norm(plain[matrix], axis=0)
        factor = 1 if matrix == 4 else np.minimum(1, 0.3 / norms)
        assert matrix == 4 or np.max(norms) > 0.3
        np.testing.assert_allclose(limited[matrix], plain[matrix] * factor, rtol=1e-12)
    # the transposed copies, which the way back reads, were scaled too
    network.write(0, limited)
    fresh = network.gradient(X, targets, None, None, n_threads=1)
    network.write(0, blocks)
    network.train(X, targets, None, None, steps=0, n_threads=1, **{**OPTIONS, **options})
    kept = network.gradient(X, targets, None, None, n_threads=1)
    for a, b in zip(fresh[1], kept[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cell", CELLS)
def test_what_lies_past_the_end_counts_for_nothing(engine, cell):
    """States there could grow beyond all bounds: they are not made."""
    units, n, steps = (1, 2, 1), 3, 3000
    rng = np.random.RandomState(0)
    blocks = draw_blocks(units, cell, rng)
    for matrix in sequences.matrices(blocks, hidden_layers("identity", 1), cell)[2:]:
        matrix[...] = 5 * np.eye(2, matrix.shape[1])
    X, Y, lengths = rng.randn(n, steps, 1), rng.randn(n, 1), np.array([2, 1, 3000])
    X[2] = 0
    hidden = hidden_layers("identity", 1)
    results = []
    for end, weights in ((steps, np.array([1.0, 1.0, 0.0])), (2, np.ones(2))):
        part = slice(0, len(weights))
        network = network_of(
            units, hidden, cell, False, "squared_error", np.float64, steps, batch=n, engine=engine
        )
        network.write(0, blocks)
        x = np.ascontiguousarray(X[part, :end])
        results.append(
            network.gradient(x, Y[part], weights, None, lengths=lengths[part], n_threads=1)
        )
    (_, whole), (_, short) = results
    assert all(np.isfinite(g).all() for g in short)
    if cell == "elman":  # the third sequence overflows, and that is seen although it weighs nothing
        assert not all(np.isfinite(g).all() for g in whole)
    network = network_of(
        units, hidden, cell, False, "squared_error", np.float64, steps, batch=n, engine=engine
    )
    network.write(0, blocks)
    _, padded = network.gradient(X[:2].copy(), Y[:2], None, None, lengths=lengths[:2], n_threads=1)
    for a, b in zip(padded, short, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cell", CELLS)
def test_an_infinite_sequence_stays_alone(engine, cell):
    units, n, steps = (3, 9, 5, 2), 33, 4
    blocks, X, *_ = problem(units, cell, n, steps, "squared_error", True, False, False)
    hidden, options = hidden_layers("tanh", 2), {"cell": cell, "per_step": True}
    options |= {"n_threads": 1, "engine": engine}
    right = _native.predict(blocks, hidden, "squared_error", X, **options)
    X = X.copy()
    X[17, 2] = np.nan
    got = _native.predict(blocks, hidden, "squared_error", X, **options)
    seen = np.zeros((n, steps), bool)
    seen[17, 2:] = True
    assert np.isnan(got[seen]).all()
    np.testing.assert_array_equal(got[~seen], right[~seen])


@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_an_interrupt_ends_a_pass_between_steps_or_gives_one_up(cell, within):
    """What is raised comes back, and what was done until then is whole."""
    units, n, steps = (8, 64, 1), 64, 300
    rng = np.random.RandomState(0)
    blocks = draw_blocks(units, cell, rng)
    X, Y = rng.randn(n, steps, 8), rng.randn(n, 1)
    batch = n if within else 4
    network = network_of(
        units, hidden_layers("tanh", 1), cell, False, "squared_error", np.float64, steps,
        batch=batch,
    )  # fmt: skip
    network.write(0, blocks)
    calls = 0

    def stop():
        nonlocal calls
        calls += 1
        return calls > 1

    options = {"solver": "adam", **OPTIONS, "n_threads": 2}
    epoch, made = (0, 0, 0.0, 0.0, 0), 0
    for _ in range(10_000):
        calls = 0
        epoch, raised = network.train(
            X, Y, None, None, steps=made, epoch=epoch, stop=stop, **options
        )
        assert raised is None
        if epoch[0] == n:
            break
        calls = 1
    straight = network_of(
        units, hidden_layers("tanh", 1), cell, False, "squared_error", np.float64, steps,
        batch=batch,
    )  # fmt: skip
    straight.write(0, blocks)
    whole, _ = straight.train(X, Y, None, None, steps=0, **options)
    assert epoch == whole
    for slot in range(3):
        for a, b in zip(network.read(slot), straight.read(slot), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cell", CELLS)
def test_diagnosis(engine, cell):
    """A recurrent layer's numbers are those of all its weights, over the steps that there are."""
    units, n, steps = (3, 7, 5, 2), 9, 4
    for activation in ("relu", "logistic"):
        hidden = hidden_layers(activation, 2)
        blocks, X, given, targets, Y, weights, lengths = problem(
            units, cell, n, steps, "squared_error", True, True, True
        )
        blocks = [block.copy() for block in blocks]
        blocks[1][: units[1]] = -50 if cell == "elman" else blocks[1][: units[1]]
        network = network_of(
            units, hidden, cell, True, "squared_error", np.float64, steps, batch=n, engine=engine
        )
        network.write(0, blocks)
        rng = np.random.RandomState(1)
        before = [block - 0.1 * rng.randn(*block.shape) for block in blocks]
        network.write(4, before)
        numbers = network.diagnose(
            given, targets, weights, np.arange(n), lengths=lengths, n_threads=1
        )
        args = (hidden, cell, "squared_error", X, Y, weights, lengths, True)
        gradient = Blocks.from_core(sequences.gradient(blocks, *args), hidden, cell)
        now, then = (Blocks.from_core(b, hidden, cell) for b in (blocks, before))
        states = sequences.hidden_states(blocks, hidden, cell, X)
        valid = np.arange(steps) < lengths[:, None]
        for layer, got in enumerate(numbers):
            recurrent = layer < len(hidden)
            own = [gradient.weights[layer], gradient.biases[layer]]
            w, old = now.weights[layer].ravel(), then.weights[layer].ravel()
            if recurrent:
                own += [gradient.recurrent[layer], *gradient.recurrent_biases[layer : layer + 1]]
                w = np.r_[w, now.recurrent[layer].ravel()]
                old = np.r_[old, then.recurrent[layer].ravel()]
            assert got[0] == pytest.approx(np.sqrt(sum((g**2).sum() for g in own)), rel=1e-9)
            assert got[1] == pytest.approx(np.std(w - old) / np.std(w), rel=1e-9)
            dead = saturated = 0.0
            if recurrent and activation == "relu":
                dead = (states[layer][valid] == 0).all(axis=0).mean()
            if recurrent and activation == "logistic":
                a = states[layer][valid]
                saturated = (((a < 0.015) | (a > 0.985)).mean(axis=0) > 0.5).mean()
            assert got[2:] == pytest.approx([dead, saturated])


def test_native_calls_refuse_what_does_not_fit():
    rng = np.random.RandomState(0)
    hidden, make = [("tanh", 0.0, 1, 0.0)], _native.Network64
    options = {"alpha": 0.0, "batch": 4, "cell": "elman", "steps": 3, "keep_gradient": True}
    refused = [
        (([2, 3, 1], [("prelu", 0.25, 1, 0.0)], "squared_error"), {}, "maxout and prelu"),
        (([2, 3, 1], [("maxout", 0.0, 2, 0.0)], "squared_error"), {}, "maxout and prelu"),
        (([2, 1], [], "squared_error"), {}, "needs a layer"),
        (([2, 3, 1], hidden, "squared_error"), {"cell": "lstm"}, "cell must be one of"),
        (([2, 3, 1], hidden, "squared_error"), {"cell": ""}, "of recurrent networks only"),
        (([2, 3, 1], hidden, "squared_error"), {"steps": 0}, "steps: must be positive"),
        (([2, 3, 1], hidden, "squared_error"), {"sparse": True}, "sparse: sequences"),
    ]
    for arguments, changed, message in refused:
        with pytest.raises(ValueError, match=message):
            make(*arguments, **{**options, **changed})
    X, Y, lengths = rng.randn(5, 3, 2), rng.randn(5, 1), np.array([1, 2, 3, 3, 3])
    network = make([2, 3, 1], hidden, "squared_error", **options)
    blocks = draw_blocks((2, 3, 1), "elman", rng)
    network.write(0, blocks)

    def calls(x, y, ends, initial=None):
        yield from (
            lambda: network.train(
                x, y, None, None, lengths=ends, solver="sgd", steps=0, rate=0.1, n_threads=1
            ),
            lambda: network.gradient(x, y, None, np.arange(3), lengths=ends, n_threads=1),
            lambda: network.diagnose(x, y, None, np.arange(3), lengths=ends, n_threads=1),
            lambda: _native.evaluate(
                blocks, hidden, "squared_error", x, y, None, cell="elman", lengths=ends,
                initial_state=initial, n_threads=1,
            ),
        )  # fmt: skip

    for call in calls(X, Y, lengths):
        call()
    bad = [
        (X[:, :, :1], Y, lengths, "X: wrong shape"),
        (X[:, 0], Y, lengths, "X: wrong shape"),
        (X.transpose(1, 0, 2), Y[:3], None, "X: sequences must be contiguous|more than `steps`"),
        (X, Y[:4], lengths, "targets"),
        (X, np.zeros((5, 3, 1)), lengths, "targets"),
        (X, Y, lengths[:4], "lengths"),
        (X, Y, lengths - 1, "lengths: must be from 1"),
        (X, Y, lengths + 1, "lengths: must be from 1"),
        (X, Y, lengths.astype(np.int32), "lengths"),
        (X, np.full(5, 2, np.int32), lengths, "a class outside"),
    ]
    for x, y, ends, message in bad:
        for call in calls(x, y, ends):
            with pytest.raises(ValueError, match=message):
                call()
    with pytest.raises(ValueError, match="more than `steps`"):
        network.gradient(rng.randn(5, 4, 2), Y, None, np.arange(3), n_threads=1)
    for state in ([np.zeros((4, 3))], [np.zeros((5, 3), np.float32)], []):
        with pytest.raises(ValueError, match="initial_state"):
            _native.predict(
                blocks, hidden, "squared_error", X, cell="elman", initial_state=state, n_threads=1
            )
    with pytest.raises(ValueError, match="needs one"):
        _native.predict(blocks, hidden, None, X, cell="elman", n_threads=1)
    with pytest.raises(ValueError, match="have none"):
        _native.predict(
            [np.ones((2, 1)), np.ones(1)], [], "squared_error", X[:, 0], n_threads=1,
            lengths=lengths,
        )  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
def test_blocks_come_and_go_in_every_order(cell):
    architecture = Architecture([2, 3, 4, 1], hidden_layers("tanh", 2), "squared_error", cell=cell)
    blocks = Blocks.from_core(
        draw_blocks((2, 3, 4, 1), cell, np.random.RandomState(0)), architecture.hidden, cell
    )
    assert blocks.shapes() == architecture.shapes()
    assert [b.shape for b in blocks.recurrent] == [(3, 3), (4, 4)] if cell == "elman" else [
        (3, 9), (4, 12)
    ]  # fmt: skip
    back = blocks.unflat(blocks.flat(), np.float64)
    network = Network(architecture, np.float64, alpha=0.0, batch=2, sparse=False, steps=3)
    network.write(back)
    read = network.read()
    for field, other in zip(read, blocks, strict=True):
        for a, b in zip(field, other, strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="not those of this network"):
        Blocks.from_core(blocks.in_core_order(), architecture.hidden, "")


# --- PyTorch -------------------------------------------------------------------------------------


@pytest.fixture
def one_torch_thread():
    """PyTorch, whose threads wait for each other by spinning: slow where others run too."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(before)


def torch_network(torch, cell, blocks, n_hidden):
    """PyTorch's recurrent layer and output layer with these parameters; the redundant second bias
    of its Elman units is 0 and stays it."""
    blocks = Blocks.from_core(blocks, hidden_layers("tanh", n_hidden), cell)
    units = [len(u) for u in blocks.recurrent]
    kind = {"elman": torch.nn.RNN, "gru": torch.nn.GRU}[cell]
    layers, size = [], len(blocks.weights[0])
    for i, n in enumerate(units):  # one by one, for their numbers of units differ
        layer = kind(size, n, batch_first=True, dtype=torch.float64)
        values = [blocks.weights[i].T, blocks.recurrent[i].T, blocks.biases[i]]
        values.append(np.zeros(n) if cell == "elman" else blocks.recurrent_biases[i])
        for parameter, value in zip(layer.parameters(), values, strict=True):
            parameter.data = torch.tensor(np.ascontiguousarray(value))
        layer.bias_hh_l0.requires_grad = cell == "gru"
        layers.append(layer)
        size = n
    last = torch.nn.Linear(size, blocks.weights[-1].shape[1], dtype=torch.float64)
    last.weight.data = torch.tensor(np.ascontiguousarray(blocks.weights[-1].T))
    last.bias.data = torch.tensor(blocks.biases[-1])
    return torch.nn.ModuleList([*layers, last])


def torch_outputs(torch, network, X, lengths, per_step):
    """Outputs of packed sequences, as PyTorch's users write it."""
    *layers, last = network
    rnn = torch.nn.utils.rnn
    packed = rnn.pack_padded_sequence(X, lengths, batch_first=True, enforce_sorted=False)
    for layer in layers:
        packed, state = layer(packed)
    if not per_step:
        return last(state[-1])
    return last(rnn.pad_packed_sequence(packed, batch_first=True, total_length=X.shape[1])[0])


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("units", [(5, 20, 3), (4, 9, 12, 3)])
@pytest.mark.parametrize("cell", CELLS)
def test_predictions_and_training_equal_pytorchs(one_torch_thread, cell, units, per_step):
    """Fifty steps of AdamW, Adam's relative with epsilon in PyTorch's place; unequal lengths."""
    torch = one_torch_thread
    n, steps, batch = 40, 11, 8
    blocks, X, given, targets, _, _, lengths = problem(
        units, cell, n, steps, "log_loss", per_step, False, True
    )
    hidden = hidden_layers("tanh", len(units) - 2)
    theirs = torch_network(torch, cell, blocks, len(hidden))
    valid = torch.tensor(np.arange(steps) < lengths[:, None])
    ours = network_of(units, hidden, cell, per_step, "log_loss", np.float64, steps, batch=batch)
    ours.write(0, blocks)

    def assert_same_predictions():
        got = _native.predict(
            ours.read(0), hidden, "log_loss", given, cell=cell, per_step=per_step, lengths=lengths,
            n_threads=1,
        )  # fmt: skip
        with torch.no_grad():
            z = torch_outputs(torch, theirs, torch.tensor(X), torch.tensor(lengths), per_step)
            right = z.softmax(-1).numpy()
        if per_step:
            right = np.where(valid.numpy()[..., None], right, 0)
        np.testing.assert_allclose(got, right, rtol=0, atol=1e-9)

    assert_same_predictions()
    options = {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-6, "weight_decay": 0.0, "rate": 0.01}
    optimizer = torch.optim.AdamW(
        [p for p in theirs.parameters() if p.requires_grad], 0.01, (0.9, 0.99), 1e-6, 0.0
    )
    loss = torch.nn.CrossEntropyLoss()
    for epoch in range(10):
        order = np.random.RandomState(epoch).permutation(n)
        ours.train(
            given, targets, None, order, lengths=lengths, solver="adamw", steps=5 * epoch,
            n_threads=2, **options,
        )  # fmt: skip
        for start in range(0, n, batch):
            rows = order[start : start + batch]
            optimizer.zero_grad()
            z = torch_outputs(
                torch, theirs, torch.tensor(X[rows]), torch.tensor(lengths[rows]), per_step
            )
            y = torch.tensor(targets[rows]).long()
            counts = valid[rows] if per_step else slice(None)
            loss(z[counts], y[counts]).backward()
            optimizer.step()
    assert ours.steps == 50
    assert_same_predictions()
    moved = Blocks.from_core(ours.read(0), hidden, cell)
    for i, layer in enumerate(theirs[:-1]):
        for got, right in ((moved.weights[i], layer.weight_ih_l0),
                           (moved.recurrent[i], layer.weight_hh_l0)):  # fmt: skip
            np.testing.assert_allclose(got, right.detach().numpy().T, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        moved.weights[-1], theirs[-1].weight.detach().numpy().T, rtol=0, atol=1e-9
    )
