"""What goes beyond scikit-learn: solvers, schedules, regularisation, control, losses, weights."""

import math
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from functools import cache

import numpy as np
import pytest
import scipy.sparse
from sklearn import datasets, neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score, log_loss, make_scorer, mean_pinball_loss
from sklearn.model_selection import GridSearchCV

from fastmlp import MLPClassifier, MLPRegressor, _native
from fastmlp.inspection import check_gradients
from tests import reference
from tests.midst import moments
from tests.test_core import NETWORKS, PARAMETERS, PIECES, hidden_layers, network_of, problem

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BOTH = [MLPClassifier, MLPRegressor]
both = pytest.mark.parametrize("Estimator", BOTH)
X_iris, y_iris = datasets.load_iris(return_X_y=True)
X_iris = (X_iris - X_iris.mean(axis=0)) / X_iris.std(axis=0)

# --- solvers -------------------------------------------------------------------------------------

OPTIONS = {
    "rate": 0.02, "momentum": 0.9, "nesterov": True, "beta_1": 0.9, "beta_2": 0.99,
    "epsilon": 1e-6, "rho": 0.95, "weight_decay": 0.3,
}  # fmt: skip


def published(solver, rate, momentum, beta_1, beta_2, epsilon, rho, weight_decay, **_):
    """One parameter's update, a generator: send a gradient (w, g), get the new value."""
    m = v = u = 0.0
    product, t = 1.0, 0
    w, g, is_weight = yield None
    while True:
        t += 1
        m_hat = v_hat = 0.0
        if solver in ("adam", "adamw", "amsgrad", "nadam", "adamax"):
            m = beta_1 * m + (1 - beta_1) * g
            v = beta_2 * v + (1 - beta_2) * g**2
            m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        if solver == "sgd":
            m = momentum * m - rate * g
            w = w + momentum * m - rate * g
        elif solver == "adam":  # scikit-learn's place for epsilon
            step = rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            w = w - step * m / (math.sqrt(v) + epsilon)
        elif solver == "adamw":
            w = w * (1 - rate * weight_decay) if is_weight else w
            w = w - rate * m_hat / (math.sqrt(v_hat) + epsilon)
        elif solver == "amsgrad":
            u = max(u, v)
            w = w - rate * m_hat / (math.sqrt(u / (1 - beta_2**t)) + epsilon)
        elif solver == "nadam":
            mu = beta_1 * (1 - 0.5 * 0.96 ** (0.004 * t))
            following = beta_1 * (1 - 0.5 * 0.96 ** (0.004 * (t + 1)))
            product *= mu
            direction = (1 - mu) / (1 - product) * g + following / (1 - product * following) * m
            w = w - rate * direction / (math.sqrt(v_hat) + epsilon)
        elif solver == "adamax":
            u = max(beta_2 * u, abs(g) + epsilon)
            w = w - rate / (1 - beta_1**t) * m / u
        elif solver == "rmsprop":
            v = rho * v + (1 - rho) * g**2
            w = w - rate * g / (math.sqrt(v) + epsilon)
        elif solver == "adagrad":
            v += g**2
            w = w - rate * g / (math.sqrt(v) + epsilon)
        elif solver == "adadelta":
            v = rho * v + (1 - rho) * g**2
            change = math.sqrt(u + epsilon) / math.sqrt(v + epsilon) * g
            u = rho * u + (1 - rho) * change**2
            w = w - rate * change
        w, g, is_weight = yield w


SOLVERS = list(_native.SOLVER_SLOTS)


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_follows_its_published_update_on_scalars(engine, solver):
    """A single neuron, one sample per step: its gradient is known by hand."""
    rng = np.random.RandomState(0)
    X, y = rng.randn(40, 1), rng.randn(40, 1)
    network = _native.Network64([1, 1], [], "squared_error", alpha=0.0, batch=1, engine=engine)
    network.write(0, [np.array([[0.7]]), np.array([-0.2])])
    network.train(X, y, None, None, solver=solver, steps=0, n_threads=1, **OPTIONS)
    w, b = 0.7, -0.2
    weight, bias = published(solver, **OPTIONS), published(solver, **OPTIONS)
    next(weight), next(bias)
    for x, target in zip(X[:, 0], y[:, 0], strict=True):
        error = w * x + b - target
        w, b = weight.send((w, error * x, True)), bias.send((b, error, False))
    got = network.read(0)
    assert got[0][0, 0] == pytest.approx(w, rel=1e-12)
    assert got[1][0] == pytest.approx(b, rel=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_equal_pytorchs(solver):
    torch = pytest.importorskip("torch")
    makers = {
        "sgd": lambda p, r: torch.optim.SGD(p, r, momentum=0.9, nesterov=True),
        "adam": lambda p, r: torch.optim.Adam(p, r, (0.9, 0.99), 1e-12),
        "adamw": lambda p, r: torch.optim.AdamW(
            [{"params": p[::2], "weight_decay": 0.3}, {"params": p[1::2], "weight_decay": 0.0}],
            r, (0.9, 0.99), 1e-6,
        ),
        "nadam": lambda p, r: torch.optim.NAdam(p, r, (0.9, 0.99), 1e-6),
        "adamax": lambda p, r: torch.optim.Adamax(p, r, (0.9, 0.99), 1e-6),
        "amsgrad": lambda p, r: torch.optim.Adam(p, r, (0.9, 0.99), 1e-6, amsgrad=True),
        "rmsprop": lambda p, r: torch.optim.RMSprop(p, r, 0.95, 1e-6),
        "adagrad": lambda p, r: torch.optim.Adagrad(p, r, eps=1e-6),
        "adadelta": lambda p, r: torch.optim.Adadelta(p, r, 0.95, 1e-6),
    }  # fmt: skip
    # 'adam' is scikit-learn's, with epsilon in another place: small enough not to matter
    options = {**OPTIONS, "epsilon": 1e-12 if solver == "adam" else 1e-6}
    units, rows = (6, 20, 3), 50
    blocks, X, _, Y, _ = problem(units, rows, "squared_error", False)
    network = network_of(units, "tanh", "squared_error", alpha=0.0, batch=rows)
    network.write(0, blocks)
    parameters = [torch.tensor(block, requires_grad=True) for block in blocks]
    optimizer = makers[solver](parameters, options["rate"])
    inputs, targets = torch.tensor(X), torch.tensor(Y)
    for step in range(50):
        network.train(X, Y, None, None, solver=solver, steps=step, n_threads=1, **options)
        optimizer.zero_grad()
        output = torch.tanh(inputs @ parameters[0] + parameters[1]) @ parameters[2] + parameters[3]
        (0.5 * ((output - targets) ** 2).sum(axis=1).mean()).backward()
        optimizer.step()
    for ours, theirs in zip(network.read(0), parameters, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-6)


@both
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_trains(Estimator, solver):
    rate = {"adagrad": 0.05, "adadelta": 30.0, "sgd": 0.05}.get(solver, 0.01)
    model = Estimator((10,), max_iter=60, random_state=0) if Estimator is MLPClassifier else (
        Estimator(hidden_layer_sizes=(10,), max_iter=60, random_state=0)
    )  # fmt: skip
    model.set_params(solver=solver, learning_rate_init=rate, batch_size=20)
    assert model.fit(X_iris, y_iris).score(X_iris, y_iris) > 0.85
    again = clone(model).fit(X_iris.copy(order="F"), y_iris)
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])


@pytest.mark.parametrize("solver", ["nadam", "amsgrad", "adadelta"])
def test_partial_fit_goes_on_with_the_state_of_every_solver(solver):
    """Two epochs in two calls equal two epochs in one network, state and step count included."""
    model = MLPRegressor(
        hidden_layer_sizes=(9,), solver=solver, batch_size=30, shuffle=False, random_state=0
    )
    model.partial_fit(X_iris, y_iris)
    copy = pickle.loads(pickle.dumps(model))
    model.partial_fit(X_iris, y_iris)
    copy.partial_fit(X_iris, y_iris)
    straight = clone(model).set_params(max_iter=2).fit(X_iris, y_iris)
    for a, b, c in zip(model.coefs_, copy.coefs_, straight.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


# --- regularisation ------------------------------------------------------------------------------


def mask(rate, seed, step, layer, rows, units, first=0):
    """The dropout factors of a layer's outputs (rows, units) from row `first` on, in NumPy."""

    def mix(x):
        x &= 2**64 - 1
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & 2**64 - 1
        x = (x ^ x >> 27) * 0x94D049BB133111EB & 2**64 - 1
        return x ^ x >> 31

    golden = 0x9E3779B97F4A7C15
    key = mix(mix(seed + step * golden) + layer)
    factors = np.empty((rows, units))
    for row in range(first, first + rows):
        row_key = mix(key + (row - row % 2) * golden)
        x = (np.arange(units, dtype=np.uint64) + (row_key & 0xFFFFFFFF)).astype(np.uint32)
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x ^= x >> np.uint32(15)
        x ^= np.uint32(row_key >> 32)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
        half = x >> np.uint32(16) if row % 2 else x & np.uint32(0xFFFF)
        dropped = round(rate * 2**16)
        factors[row - first] = np.where(half < dropped, 0.0, 2**16 / (2**16 - dropped))
    return factors


@cache
def two_steps(activation, loss, units, rows):
    """By the oracle, with L1, L2, dropout and clipping: losses with and without penalty, parameters
    after two steps of gradient descent, and whether a gradient was clipped.
    """
    blocks, X, _, Y, weights = problem(units, rows, loss, True, activation)
    hidden = hidden_layers(activation, len(units) - 2)
    parameter, losses, clipped = PARAMETERS.get(loss, 0.0), [], False
    for step in (1, 2):
        masks = [
            mask(rate, SEED, step, layer, rows, n)
            for layer, (rate, n) in enumerate(zip(RATES, units[:-1], strict=True))
        ]
        args = (hidden, loss, X, Y, weights, 0.2, 0.1, parameter, masks)
        bare = (*args[:5], 0.0, 0.0, parameter, masks)
        losses.append([reference.penalised_loss(blocks, *args),
                       reference.penalised_loss(blocks, *bare)])  # fmt: skip
        # the steps of several outputs are by the sum over them, the loss is their mean
        scale = units[-1] if reference.IS_MEAN[loss] else 1
        data = [scale * g for g in reference.gradient(blocks, *bare)]
        matrices = 2 * (len(units) - 1)
        gradient = [
            g + (0.2 * w + 0.1 * np.sign(w)) / weights.sum() if k < matrices and k % 2 == 0 else g
            for k, (g, w) in enumerate(zip(data, blocks, strict=True))
        ]
        norm = math.sqrt(sum((g**2).sum() for g in gradient))
        clipped |= norm > CLIP
        blocks = [w - 0.1 * min(1, CLIP / norm) * g for w, g in zip(blocks, gradient, strict=True)]
    return losses, blocks, clipped


SEED, CLIP, RATES = 99, 0.2, [0.3, 0.25, 0.5]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("activation", _native.ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_steps_with_every_regulariser(engine, activation, dtype, sparse):
    """Every loss on a small network, one on a larger; two steps by the oracle's gradient."""
    small, large = ((5, 4, 3, 2), 5), ((11, 19, 6, 3), 7)
    for loss, (units, rows) in [*((loss, small) for loss in _native.LOSSES), ("log_loss", large)]:
        losses, right, clipped = two_steps(activation, loss, units, rows)
        blocks, X, targets, _, weights = problem(units, rows, loss, True, activation)
        hidden = [(*layer[:3], rate) for layer, rate in zip(
            hidden_layers(activation, 2), RATES[1:], strict=True)]  # fmt: skip
        network = NETWORKS[dtype](
            list(units), hidden, loss, loss_parameter=PARAMETERS.get(loss, 0.0),
            input_dropout=RATES[0], alpha=0.2, l1=0.1, batch=rows, sparse=sparse,
            keep_gradient=True, engine=engine,
        )  # fmt: skip
        network.write(0, [block.astype(dtype) for block in blocks])
        x = X.astype(dtype)
        if sparse:
            csr = scipy.sparse.csr_array(x)
            x = (csr.data, csr.indices.astype(np.int32), csr.indptr.astype(np.int64))
        y = targets if targets.dtype == np.int32 else targets.astype(dtype)
        for step in (1, 2):
            (done, _, loss_sum, penalty, _), _ = network.train(
                x, y, weights.astype(dtype), None, solver="sgd", steps=step - 1, rate=0.1,
                clip_norm=CLIP, seed=SEED, n_threads=2,
            )  # fmt: skip
            with_penalty, bare = losses[step - 1]
            assert loss_sum / done == pytest.approx(with_penalty, rel=1e-5)
            assert (loss_sum - penalty) / done == pytest.approx(bare, rel=1e-5, abs=1e-6)
        assert clipped or loss in ("perceptron", "logistic_squared_error", "huber", "quantile")
        tolerance = 500 * float(np.finfo(dtype).eps)
        for got, wanted in zip(network.read(0), right, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance)


def test_dropout_masks_are_fair():
    """The rate, the expectation of an inverted mask, no correlation with any neighbour."""
    for rate in (0.1, 0.5, 0.8):
        factors = mask(rate, 12345, 7, 1, 400, 512)
        dropped = factors == 0
        error = 4 * math.sqrt(rate * (1 - rate) / dropped.size)
        assert abs(dropped.mean() - rate) < error
        assert abs(factors.mean() - 1) < error / (1 - rate)
        others = [
            mask(rate, 12345, 8, 1, 400, 512), mask(rate, 12345, 7, 2, 400, 512),
            mask(rate, 12346, 7, 1, 400, 512), np.roll(factors, 1, 0), np.roll(factors, 1, 1),
        ]  # fmt: skip
        for other in others:
            assert abs(np.corrcoef(factors.ravel(), other.ravel())[0, 1]) < 0.012


def test_dropout_is_the_same_for_any_number_of_threads_and_off_in_predict():
    X, y = datasets.load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    models = [
        MLPClassifier((120, 80), dropout=[0.1, 0.5, 0.3], max_iter=4, random_state=3,
                      n_jobs=n).fit(X, y)
        for n in (1, 2, 3)
    ]  # fmt: skip
    for model in models[1:]:
        for a, b in zip(models[0].coefs_, model.coefs_, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(models[0].predict_proba(X), models[0].predict_proba(X))
    plain = MLPClassifier((120, 80), max_iter=4, random_state=3).fit(X, y)
    assert plain.loss_ < models[0].loss_  # dropout was on in training
    first = MLPClassifier((120, 80), max_iter=1, random_state=3, dropout=0.5).fit(X, y)
    other = MLPClassifier((120, 80), max_iter=1, random_state=4, dropout=0.5).fit(X, y)
    assert first.loss_ != other.loss_


@pytest.mark.parametrize("activation", ["tanh", "maxout"])
@pytest.mark.parametrize("units", [(9, 2, 21, 3), (40, 33, 17, 2)])
def test_max_norm_holds_and_keeps_the_copies_in_step(engine, activation, units):
    """Into every hidden neuron, narrow layers included; a fresh network goes on the same way."""
    rows = 30
    blocks, X, targets, _, _ = problem(units, rows, "log_loss", False, activation)
    limit = 0.7

    def train(blocks, steps):
        network = network_of(units, activation, "log_loss", alpha=0.0, batch=10, engine=engine)
        network.write(0, blocks)
        network.train(X, targets, None, None, solver="sgd", steps=steps, rate=0.5, max_norm=limit,
                      n_threads=2)  # fmt: skip
        network.train(X, targets, None, None, solver="sgd", steps=steps, rate=0.5, max_norm=limit,
                      n_threads=2)  # fmt: skip
        return network

    once = train(blocks, 0)
    norms = [np.linalg.norm(w, axis=0) for w in once.read(0)[:4:2]]
    assert max(n.max() for n in norms) == pytest.approx(limit)
    assert np.linalg.norm(once.read(0)[4], axis=0).max() > limit  # the output layer is free

    network = network_of(units, activation, "log_loss", alpha=0.0, batch=10, engine=engine)
    network.write(0, blocks)
    plain = [block.copy() for block in blocks]
    for start in (0, 10, 20):
        rows_now = slice(start, start + 10)
        hidden = hidden_layers(activation, 2)
        Y = np.eye(units[-1])[targets[rows_now]]
        gradient = reference.gradient(plain, hidden, "log_loss", X[rows_now], Y, np.ones(10))
        plain = [w - 0.5 * g for w, g in zip(plain, gradient, strict=True)]
        for block in (0, 2):
            norm = np.linalg.norm(plain[block], axis=0)
            plain[block] = plain[block] * np.where(norm > limit, limit / norm, 1)
    network.train(X, targets, None, None, solver="sgd", steps=0, rate=0.5, max_norm=limit,
                  n_threads=1)  # fmt: skip
    for got, wanted in zip(network.read(0), plain, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)


def test_l1_empties_useless_weights():
    rng = np.random.RandomState(0)
    X = rng.randn(300, 6)
    y = (X[:, 0] > 0).astype(int)
    common = {"hidden_layer_sizes": (), "alpha": 0.0, "solver": "lbfgs", "max_iter": 500}
    plain, sparse = (MLPClassifier(l1=l1, **common).fit(X, y).coefs_[0][1:] for l1 in (0.0, 30.0))
    assert np.abs(sparse).max() < 0.02 * np.abs(plain).max()


def test_clipping_tames_an_exploding_gradient():
    X, y = 100 * X_iris, 1e4 * y_iris
    common = {"hidden_layer_sizes": (10,), "solver": "sgd", "learning_rate_init": 0.01,
              "momentum": 0.0, "max_iter": 20, "random_state": 0}  # fmt: skip
    with pytest.raises(ValueError, match="non-finite"), np.errstate(all="ignore"):
        MLPRegressor(**common).fit(X, y)
    model = MLPRegressor(clip_norm=1.0, **common).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()


# --- schedules -----------------------------------------------------------------------------------


def rates(epochs=12, **parameters):
    model = MLPClassifier(
        (3,), max_iter=epochs, tol=0, n_iter_no_change=np.inf, random_state=0,
        learning_rate_init=0.1, **parameters,
    )  # fmt: skip
    return np.array(model.fit(X_iris, y_iris).learning_rate_curve_)


def test_schedules():
    e = np.arange(12)
    half_cosine = 0.01 + 0.09 * (1 + np.cos(np.pi * e / 12)) / 2
    np.testing.assert_allclose(rates(learning_rate="cosine", learning_rate_min=0.01), half_cosine)
    restarts = np.concatenate([(1 + np.cos(np.pi * np.arange(n) / n)) / 2 for n in (2, 4, 8)])
    np.testing.assert_allclose(
        rates(learning_rate="cosine", learning_rate_period=2, learning_rate_period_mult=2),
        0.1 * restarts[:12],
    )
    np.testing.assert_allclose(
        rates(learning_rate="step", learning_rate_period=5, learning_rate_decay=0.5),
        0.1 * 0.5 ** (e // 5),
    )
    np.testing.assert_allclose(rates(learning_rate="step")[9:], [0.1, 0.01, 0.01])
    np.testing.assert_allclose(rates(learning_rate="exponential"), 0.1 * 0.95**e)
    np.testing.assert_allclose(
        rates(learning_rate="exponential", learning_rate_decay=0.5, learning_rate_min=0.02)[-1],
        0.02,
    )
    np.testing.assert_allclose(rates(learning_rate=lambda epoch: 0.1 / (epoch + 1)), 0.1 / (e + 1))
    warm = rates(learning_rate="exponential", warmup_epochs=4)
    np.testing.assert_allclose(warm[:4], [0.02, 0.04, 0.06, 0.08])
    np.testing.assert_allclose(warm[4:], 0.1 * 0.95 ** np.arange(8))
    # scikit-learn's names mean what they mean there: for sgd
    np.testing.assert_allclose(rates(learning_rate="invscaling"), 0.1)
    seen = 150 * e + 1
    np.testing.assert_allclose(
        rates(learning_rate="invscaling", solver="sgd"), np.where(e == 0, 0.1, 0.1 / np.sqrt(seen))
    )


def test_one_cycle():
    curve = rates(epochs=41, learning_rate="one_cycle", solver="rmsprop")
    assert curve[0] == pytest.approx(0.1 / 25)
    assert curve[12] == pytest.approx(0.1)
    assert curve[-1] == pytest.approx(0.1 / 25e4)
    assert (np.diff(curve[:13]) > 0).all()
    assert (np.diff(curve[12:]) < 0).all()
    assert rates(epochs=1, learning_rate="one_cycle") == pytest.approx(0.1)


def test_one_cycle_and_cosine_equal_pytorchs():
    torch = pytest.importorskip("torch")
    parameter = [torch.nn.Parameter(torch.zeros(1))]
    for name, parameters, make in [
        ("cosine", {"learning_rate_period": 3, "learning_rate_period_mult": 2}, lambda o:
         torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2)),
        ("exponential", {"learning_rate_decay": 0.9}, lambda o:
         torch.optim.lr_scheduler.ExponentialLR(o, 0.9)),
        ("step", {"learning_rate_period": 4}, lambda o: torch.optim.lr_scheduler.StepLR(o, 4)),
    ]:  # fmt: skip
        optimizer = torch.optim.SGD(parameter, 0.1)
        scheduler, right = make(optimizer), []
        for _ in range(12):
            right.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        np.testing.assert_allclose(rates(learning_rate=name, **parameters), right, rtol=1e-6)


def test_plateau_slows_down_when_nothing_improves():
    model = MLPClassifier(
        (3,), learning_rate="plateau", learning_rate_period=2, learning_rate_decay=0.5,
        learning_rate_min=2e-4, tol=10.0, n_iter_no_change=100, max_iter=15, random_state=0,
    ).fit(X_iris, y_iris)  # fmt: skip
    # nothing improves by 10 but the first epoch: more than 2 bad ones, then half the rate
    assert model.learning_rate_curve_ == pytest.approx(
        [1e-3] * 4 + [5e-4] * 3 + [2.5e-4] * 3 + [2e-4] * 5
    )


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, "fast", None])
def test_a_callable_schedule_must_give_rates(value):
    with pytest.raises(ValueError, match=r"learning_rate, called with an epoch, must return .*1"):
        MLPClassifier(learning_rate=lambda epoch: 0.1 if epoch < 1 else value).fit(X_iris, y_iris)


# --- control -------------------------------------------------------------------------------------


@both
def test_early_stopping_on_given_data(Estimator):
    train, val = np.arange(0, 150, 2), np.arange(1, 150, 2)
    weight = np.random.RandomState(0).rand(75) + 0.5
    model = Estimator(hidden_layer_sizes=(10,), early_stopping=True, max_iter=200, random_state=0,
                      learning_rate_init=0.05, n_iter_no_change=5)  # fmt: skip
    model.fit(X_iris[train], y_iris[train], X_val=X_iris[val], y_val=y_iris[val],
              sample_weight_val=weight)  # fmt: skip
    assert model.n_iter_ < 200
    scores = model.validation_scores_
    assert len(scores) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.best_validation_score_ == max(scores)
    # the best weights are back, and the score is scikit-learn's
    assert model.score(X_iris[val], y_iris[val], weight) == pytest.approx(max(scores))
    best_loss = model.validation_loss_curve_[int(np.argmax(scores))]
    if Estimator is MLPClassifier:
        proba = model.predict_proba(X_iris[val])
        assert best_loss == pytest.approx(log_loss(y_iris[val], proba, sample_weight=weight))
    else:
        error = (model.predict(X_iris[val]) - y_iris[val]) ** 2 / 2
        assert best_loss == pytest.approx(np.average(error, weights=weight))


def test_the_training_data_alone_decides_without_early_stopping():
    """Given validation data are then only watched."""
    plain = MLPClassifier((5,), max_iter=20, random_state=0).fit(X_iris, y_iris)
    watched = MLPClassifier((5,), max_iter=20, random_state=0).fit(
        X_iris, y_iris, X_val=X_iris[::3], y_val=y_iris[::3]
    )
    np.testing.assert_array_equal(plain.coefs_[0], watched.coefs_[0])
    assert plain.validation_scores_ is None
    assert plain.validation_loss_curve_ is None
    assert len(watched.validation_scores_) == len(watched.validation_loss_curve_) == 20
    assert watched.best_validation_score_ is None


@pytest.mark.parametrize("given", [False, True])
def test_scoring(given):
    val = {"X_val": X_iris[::3], "y_val": y_iris[::3]} if given else {}
    common = {"hidden_layer_sizes": (6,), "early_stopping": True, "max_iter": 15,
              "random_state": 0, "learning_rate_init": 0.02}  # fmt: skip
    by_loss = MLPClassifier(scoring="loss", **common).fit(X_iris, y_iris, **val)
    np.testing.assert_array_equal(
        by_loss.validation_scores_, -np.array(by_loss.validation_loss_curve_)
    )
    accuracy = MLPClassifier(**common).fit(X_iris, y_iris, **val)
    named = MLPClassifier(scoring="accuracy", **common).fit(X_iris, y_iris, **val)
    if given:  # the split of several classes is stratified with scoring only
        np.testing.assert_allclose(named.validation_scores_, accuracy.validation_scores_)
        np.testing.assert_array_equal(named.coefs_[0], accuracy.coefs_[0])
    scorer = make_scorer(f1_score, average="macro")
    f1 = MLPClassifier(scoring=scorer, **common).fit(X_iris, y_iris, **val)
    if given:
        assert max(f1.validation_scores_) == pytest.approx(scorer(f1, X_iris[::3], y_iris[::3]))
    frame = pytest.importorskip("pandas").DataFrame(X_iris, columns=list("abcd"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        MLPClassifier(scoring="neg_log_loss", **common).fit(frame, y_iris)


def test_bad_validation_data():
    model = MLPClassifier((5,), max_iter=3).fit(X_iris, y_iris)
    before = dict(vars(model))
    for arguments, message in [
        ({"X_val": X_iris}, "X_val and y_val go together. Got X_val alone"),
        ({"y_val": y_iris}, "Got y_val alone"),
        ({"sample_weight_val": y_iris}, "sample_weight_val needs X_val"),
        (
            {"X_val": X_iris[:, :2], "y_val": y_iris},
            "X_val, y_val, sample_weight_val: X has 2 features",
        ),
        ({"X_val": X_iris, "y_val": y_iris[:3]}, "X_val, y_val, sample_weight_val: .*inconsistent"),
        ({"X_val": X_iris, "y_val": y_iris + 1}, "X_val, .*classes not in"),
        ({"X_val": X_iris, "y_val": y_iris, "sample_weight_val": np.ones(3)}, "X_val, .*shape"),
        ({"X_val": X_iris * np.nan, "y_val": y_iris}, "X_val, y_val, .*: Input X contains NaN"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.fit(X_iris, y_iris, **arguments)
        assert vars(model) == before
    with pytest.raises(ValueError, match=r"X_val is for first-order solvers. Got solver='lbfgs'"):
        MLPClassifier(solver="lbfgs").fit(X_iris, y_iris, X_val=X_iris, y_val=y_iris)
    Y = np.column_stack([y_iris, y_iris])
    with pytest.raises(ValueError, match=r"y_val has 1 outputs, y has 2"):
        MLPRegressor().fit(X_iris, Y, X_val=X_iris, y_val=y_iris)


@pytest.mark.measures
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_max_time(solver):
    rng = np.random.RandomState(0)
    X = rng.randn(20000, 100)
    y = rng.randint(2, size=20000)
    model = MLPClassifier((200,), max_time=0.3, solver=solver, max_iter=100_000, tol=0,
                          max_fun=10**9, n_iter_no_change=np.inf, verbose=True)  # fmt: skip
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)  # the user asked for it
        ends = moments(model.fit, X, y)
    assert time.monotonic() - start > 0.3
    # one that ends when the time is over is the last one
    assert sum(end > ends[0] + 0.3 for end in ends) <= 1
    assert model.predict(X).shape == (20000,)
    assert np.isfinite(model.loss_)


def test_max_time_ends_within_an_epoch():
    X = np.zeros((400_000, 50), np.float32)
    model = MLPClassifier((300, 300), max_time=0.2, batch_size=32)
    model.fit(X, np.arange(400_000) % 2)
    assert 0 < model.t_ < 100_000  # rows; all of them would take some 20 seconds
    assert model.n_iter_ == 1
    assert np.isfinite(model.loss_)


# --- first weights -------------------------------------------------------------------------------


def test_init_rules():
    rng = np.random.RandomState(0)
    X, y = rng.randn(50, 400), np.arange(50) % 2

    def weights(**parameters):
        model = MLPClassifier((300, 200), max_iter=1, learning_rate_init=1e-30, random_state=0,
                              **parameters).fit(X, y)  # fmt: skip
        return model.coefs_, model.intercepts_

    for rule, fan in [("glorot", 350), ("he", 200), ("lecun", 400)]:
        (uniform, *_), biases = weights(init=f"{rule}_uniform")
        (normal, *_), _ = weights(init=f"{rule}_normal")
        for w in (uniform, normal):
            assert w.var() == pytest.approx(1 / fan, rel=0.03)
        assert np.abs(uniform).max() <= np.sqrt(3 / fan)
        assert np.abs(normal).max() > np.sqrt(3 / fan)
        assert rule == "glorot" or max(np.abs(b).max() for b in biases) < 1e-20
    for activation, fan in [("relu", 200), ("gelu", 200), ("selu", 400), ("tanh", 350)]:
        (first, second, _), _ = weights(init="auto", activation=activation)
        assert first.var() == pytest.approx(1 / fan, rel=0.03)
    (first, second, _), _ = weights(init="auto", activation=["selu", "relu"])
    assert first.var() == pytest.approx(1 / 400, rel=0.03)
    assert second.var() == pytest.approx(2 / 300, rel=0.03)
    (leaky, *_), _ = weights(init="auto", activation="leaky_relu", activation_alpha=1.0)
    assert leaky.var() == pytest.approx(1 / 400, rel=0.03)


@both
def test_own_initial_weights(Estimator):
    shapes = []

    def init(shape, rng):
        shapes.append(shape)
        return rng.normal(size=shape) / 3

    outputs = 3 if Estimator is MLPClassifier else 1
    common = {"hidden_layer_sizes": (7, 5), "max_iter": 4, "random_state": 1}
    called = Estimator(init=init, **common).fit(X_iris, y_iris)
    assert shapes == [(4, 7), (7,), (7, 5), (5,), (5, outputs), (outputs,)]
    rng = np.random.RandomState(1)
    arrays = [rng.normal(size=shape) / 3 for shape in shapes]
    given = Estimator(init=arrays, shuffle=False, **common).fit(X_iris, y_iris)
    same = Estimator(init=init, shuffle=False, **common).fit(X_iris, y_iris)
    for a, b in zip(given.coefs_, same.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert called.coefs_[0].dtype == np.float64
    for wrong in (arrays[:-1], [a.T for a in arrays], lambda shape, rng: np.zeros(3)):
        with pytest.raises(ValueError, match=r"init must give arrays of the shapes"):
            Estimator(init=wrong, **common).fit(X_iris, y_iris)
    with pytest.raises(ValueError, match="init must give finite numbers"):
        Estimator(init=[a * np.nan for a in arrays], **common).fit(X_iris, y_iris)


# --- losses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "hinge", "perceptron"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_classifier_losses(loss, kind):
    y = {"binary": (y_iris > 0).astype(int), "multiclass": np.array(list("abc"))[y_iris],
         "multilabel": np.column_stack([y_iris > 0, y_iris > 1]).astype(int)}[kind]  # fmt: skip
    model = MLPClassifier((15,), loss=loss, max_iter=300, random_state=0, learning_rate_init=0.02)
    assert model.fit(X_iris, y).score(X_iris, y) > 0.93
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    if loss in ("hinge", "perceptron"):
        assert not hasattr(model, "predict_proba")
        margins = model.decision_function(X_iris)
        assert margins.shape == {"binary": (150,), "multiclass": (150, 3),
                                 "multilabel": (150, 2)}[kind]  # fmt: skip
        assert model.out_activation_ == "identity"
        decided = model.classes_[margins.argmax(axis=1)] if kind == "multiclass" else margins > 0
        np.testing.assert_array_equal(model.predict(X_iris), decided)
    else:
        assert not hasattr(model, "decision_function")
        proba = model.predict_proba(X_iris)
        assert (proba >= 0).all()
        assert (proba <= 1).all()
        if kind != "multilabel":
            np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_sigmoid_outputs_that_all_vanish_share_the_probability():
    model = MLPClassifier((), loss="squared_error", max_iter=1).fit(X_iris, y_iris)
    model.coefs_ = [np.zeros((4, 3))]
    model.intercepts_ = [np.full(3, -1e5)]
    np.testing.assert_allclose(model.predict_proba(X_iris[:2]), 1 / 3)


def test_kl_divergence_takes_soft_targets():
    rng = np.random.RandomState(0)
    soft = rng.dirichlet([1, 1, 1], 150)
    model = MLPClassifier((30,), loss="kl_divergence", max_iter=30, random_state=0)
    model.fit(X_iris, soft)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    p = model.predict_proba(X_iris)
    loss = model.loss_and_gradient(X_iris, soft)[0]
    squares = sum((w**2).sum() for w in model.coefs_)
    expected = (soft * np.log(soft / p)).sum(axis=1).mean() + 0.5e-4 * squares / 150
    assert loss == pytest.approx(expected)
    # hard targets: the same model as from labels
    hard = np.eye(3)[y_iris]
    for a, b in zip(
        clone(model).fit(X_iris, hard).coefs_,
        clone(model).set_params(loss="log_loss").fit(X_iris, y_iris).coefs_, strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(a, b)
    assert model.score(X_iris, soft) == np.mean(model.predict(X_iris) == soft.argmax(axis=1))
    stopped = clone(model).set_params(early_stopping=True, max_iter=5).fit(X_iris, hard)
    assert len(stopped.validation_scores_) == 5
    model.partial_fit(X_iris, soft)
    for wrong, message in [
        (y_iris, "array of probabilities of shape"),
        (soft * 2, "summing to 1"),
        (np.column_stack([soft[:, 0] + 2, -2 * np.ones(150), soft[:, 1:].sum(axis=1)]),
         "0 or more"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            clone(model).fit(X_iris, wrong)
    with pytest.raises(ValueError, match=r"y has 2 classes\. There must be 3"):
        model.partial_fit(X_iris, np.full((150, 2), 0.5))


def test_label_smoothing():
    for y, k in [(y_iris, 3), ((y_iris > 0).astype(int), 2)]:
        model = MLPClassifier((5,), label_smoothing=0.2, max_iter=3, alpha=0).fit(X_iris, y)
        p = model.predict_proba(X_iris)
        smooth = 0.8 * np.eye(k)[y] + 0.2 / k
        expected = -(smooth * np.log(p)).sum(axis=1).mean()
        assert model.loss_and_gradient(X_iris, y)[0] == pytest.approx(expected)
    Y = np.column_stack([y_iris > 0, y_iris > 1]).astype(int)
    model = MLPClassifier((5,), label_smoothing=0.2, max_iter=3, alpha=0).fit(X_iris, Y)
    p, smooth = model.predict_proba(X_iris), 0.8 * Y + 0.1
    expected = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).sum(axis=1).mean()
    assert model.loss_and_gradient(X_iris, Y)[0] == pytest.approx(expected)
    for loss, y in [
        ("hinge", y_iris),
        ("perceptron", y_iris),
        ("kl_divergence", np.eye(3)[y_iris]),
    ]:
        with pytest.raises(ValueError, match="label_smoothing is for loss='log_loss'"):
            MLPClassifier(loss=loss, label_smoothing=0.1).fit(X_iris, y)


def test_class_weight_is_a_factor_on_sample_weights():
    y = np.array(list("abc"))[np.minimum(y_iris, 1) + (np.arange(150) % 50 == 0)]
    weight = np.random.RandomState(0).rand(150) + 0.1
    counts = {label: np.mean(y == label) for label in np.unique(y)}
    balanced = {label: 1 / (len(counts) * share) for label, share in counts.items()}
    common = {"hidden_layer_sizes": (5,), "max_iter": 10, "random_state": 0}
    for class_weight in ({"a": 2.0, "c": 0.5}, "balanced"):
        factors = balanced if class_weight == "balanced" else {"b": 1.0, **class_weight}
        product = weight * np.array([factors[label] for label in y])
        one = MLPClassifier(class_weight=class_weight, **common).fit(X_iris, y, weight)
        two = MLPClassifier(**common).fit(X_iris, y, product)
        for a, b in zip(one.coefs_, two.coefs_, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
    alone = MLPClassifier(class_weight="balanced", **common).fit(X_iris, y)
    assert not np.array_equal(alone.coefs_[0], MLPClassifier(**common).fit(X_iris, y).coefs_[0])
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X_iris, y, classes=list("abc"))
    with pytest.raises(ValueError, match="class_weight"):
        MLPClassifier(class_weight="even").fit(X_iris, y)


@pytest.mark.parametrize(
    ("loss", "parameters", "best"),
    [
        ("squared_error", {}, np.mean),
        ("absolute_error", {}, np.median),
        ("quantile", {"quantile": 0.8}, lambda y: np.quantile(y, 0.8)),
        ("huber", {"huber_delta": 1e-3}, np.median),
        ("huber", {"huber_delta": 1e3}, np.mean),
        ("poisson", {}, np.mean),
        ("gamma", {}, np.mean),
    ],
)
def test_regressor_losses_estimate_what_they_should(loss, parameters, best):
    """With nothing to learn from, the best constant."""
    y = np.random.RandomState(0).gamma(2.0, 2.0, 501)
    model = MLPRegressor(
        loss, (), alpha=0, max_iter=3000, tol=0, n_iter_no_change=np.inf, batch_size=501,
        learning_rate_init=0.05, learning_rate="cosine", random_state=0, **parameters,
    ).fit(np.zeros((501, 1)), y)  # fmt: skip
    assert model.predict([[0.0]])[0] == pytest.approx(best(y), rel=2e-3)


def test_quantiles_are_quantiles():
    rng = np.random.RandomState(0)
    X = rng.uniform(-2, 2, (600, 1))
    y = np.sin(2 * X[:, 0]) + rng.normal(size=600) * (0.2 + 0.3 * np.abs(X[:, 0]))
    losses = []
    for q in (0.1, 0.5, 0.9):
        model = MLPRegressor("quantile", (30,), quantile=q, max_iter=300, random_state=0,
                             learning_rate_init=0.01).fit(X, y)  # fmt: skip
        assert np.mean(y <= model.predict(X)) == pytest.approx(q, abs=0.05)
        losses.append(mean_pinball_loss(y, model.predict(X), alpha=q))
        assert model.loss_and_gradient(X, y)[0] == pytest.approx(losses[-1], rel=1e-3)


def test_gamma_refuses_targets_that_are_not_positive():
    with pytest.raises(ValueError, match=r"valid range of the loss 'gamma': must be > 0, got 0"):
        MLPRegressor("gamma").fit(X_iris, y_iris)


# --- activations ---------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("activation", [*_native.ACTIVATIONS, "silu", ["prelu", "maxout"]], ids=str)
def test_every_activation_learns(Estimator, activation):
    model = Estimator(
        hidden_layer_sizes=(12, 8), activation=activation, max_iter=200, init="auto",
        random_state=0, learning_rate_init=0.01, tol=0, n_iter_no_change=np.inf,
    )  # fmt: skip
    model.fit(X_iris, y_iris)
    assert model.score(X_iris, y_iris) > 0.9
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(X_iris), model.predict(X_iris))
    csr = scipy.sparse.csr_array(X_iris)
    np.testing.assert_allclose(model._outputs(csr), model._outputs(X_iris), atol=1e-12)
    for n in (1, 5, 40):  # weights read in place and packed
        np.testing.assert_allclose(model._outputs(X_iris[:n]), model._outputs(X_iris)[:n],
                                   atol=1e-12)  # fmt: skip


def test_prelu_learns_its_slopes_and_maxout_its_pieces():
    X = np.linspace(-1, 1, 200)[:, None]
    y = np.abs(X[:, 0])
    model = MLPRegressor(hidden_layer_sizes=(2,), activation="prelu", max_iter=2000, tol=0,
                         learning_rate_init=0.02, random_state=3, activation_alpha=0.5,
                         n_iter_no_change=np.inf).fit(X, y)  # fmt: skip
    assert model.score(X, y) > 0.999
    assert model.activation_slopes_[0].shape == (2,)
    assert np.abs(model.activation_slopes_[0] - 0.5).max() > 0.1
    more = model.set_params(max_iter=1).partial_fit(X, y)
    assert more.score(X, y) > 0.99
    maxout = MLPRegressor(
        hidden_layer_sizes=(2,), activation="maxout", maxout_pieces=3, max_iter=2000, tol=0,
        n_iter_no_change=np.inf, learning_rate_init=0.02, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert maxout.coefs_[0].shape == (1, 6)
    assert maxout.score(X, y) > 0.999


def test_predictions_and_hidden_activations_equal_the_oracles():
    for activation in _native.ACTIVATIONS:
        model = MLPClassifier((6, 5), activation=activation, maxout_pieces=PIECES, max_iter=2,
                              random_state=0).fit(X_iris, y_iris)  # fmt: skip
        blocks = [b for pair in zip(model.coefs_, model.intercepts_, strict=True) for b in pair]
        blocks += getattr(model, "activation_slopes_", [])
        parameter = _native.ACTIVATIONS[activation] or 0.0
        hidden = [(activation, parameter, PIECES if activation == "maxout" else 1, 0.0)] * 2
        outputs = reference.hidden_outputs(blocks, hidden, X_iris)
        for layer in (0, 1, -1, -2):
            np.testing.assert_allclose(
                model.hidden_activations(X_iris, layer), outputs[layer], atol=1e-12
            )
        np.testing.assert_allclose(
            model.predict_proba(X_iris), reference.predict(blocks, hidden, "log_loss", X_iris),
            atol=1e-12,
        )  # fmt: skip
    for wrong in (2, -3, 0.5, "first", None):
        with pytest.raises(ValueError, match=r"layer must be an int in \[-2, 2\), of 2 hidden"):
            model.hidden_activations(X_iris, wrong)


# --- looking inside ------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [*_native.ACTIVATIONS, ["prelu", "maxout"]], ids=str)
@pytest.mark.parametrize("loss", [
    "log_loss", "squared_error", "kl_divergence", "hinge", "perceptron", "absolute_error", "huber",
    "quantile", "poisson", "gamma",
])  # fmt: skip
def test_check_gradients(activation, loss):
    classify = loss in ("log_loss", "kl_divergence", "hinge", "perceptron")
    y = np.eye(3)[y_iris] if loss == "kl_divergence" else y_iris if classify else y_iris + 1.0
    Estimator = MLPClassifier if classify else MLPRegressor
    model = Estimator(
        hidden_layer_sizes=(4, 3), activation=activation, loss=loss, max_iter=3, random_state=0,
        dropout=0.2, l1=0.01, alpha=0.1,
    ).fit(X_iris.astype(np.float32)[::5], y[::5])  # fmt: skip
    before = pickle.dumps(model)
    errors = check_gradients(model, X_iris[::5], y[::5], np.linspace(0.5, 2, 30))
    names = ["coefs_[0]", "intercepts_[0]", "coefs_[1]", "intercepts_[1]", "coefs_[2]",
             "intercepts_[2]"]  # fmt: skip
    if "prelu" in activation:
        names += ["activation_slopes_[0]"] + ["activation_slopes_[1]"] * (activation == "prelu")
    assert list(errors) == names
    assert max(errors.values()) < 1e-6
    assert pickle.dumps(model) == before


def test_check_gradients_sees_a_wrong_gradient(monkeypatch):
    model = MLPClassifier((4,), max_iter=3, random_state=0).fit(X_iris, y_iris)
    right = MLPClassifier._differentiable

    def wrong(self, *args):
        differentiate, blocks = right(self, *args)

        def spoiled(blocks):
            loss, gradient = differentiate(blocks)
            gradient.biases[0] *= 1.01
            return loss, gradient

        return spoiled, blocks

    monkeypatch.setattr(MLPClassifier, "_differentiable", wrong)
    errors = check_gradients(model, X_iris, y_iris)
    assert errors["intercepts_[0]"] > 5e-3
    assert errors["coefs_[0]"] < 1e-6


def test_check_gradients_refuses():
    with pytest.raises(
        TypeError, match="estimator must be an MLPClassifier, MLPRegressor, RNNClassifier or RNN"
    ):
        check_gradients("clf", X_iris, y_iris)
    model = MLPClassifier((4,), max_iter=1).fit(X_iris, y_iris)
    with pytest.raises(ValueError, match="max_parameters must be an int"):
        check_gradients(model, X_iris, y_iris, max_parameters=0)
    with pytest.raises(ValueError, match="classes not in"):
        check_gradients(model, X_iris, y_iris + 1)


@both
@pytest.mark.parametrize("activation", ["tanh", ["prelu", "elu"]], ids=str)
def test_loss_and_gradient(Estimator, activation):
    model = Estimator(hidden_layer_sizes=(5, 4), activation=activation, max_iter=5, random_state=0)
    model.fit(X_iris, y_iris)
    before = dict(vars(model))
    loss, layers = model.loss_and_gradient(X_iris, y_iris)
    flat_loss, flat = model.loss_and_gradient(X_iris, y_iris, flat=True)
    assert loss == flat_loss
    assert vars(model) == before
    prelu = activation != "tanh"
    assert [len(layer) for layer in layers] == [2 + prelu, 2, 2]
    parts = [layer[0].ravel() for layer in layers] + [layer[1] for layer in layers]
    parts += [layer[2] for layer in layers if len(layer) > 2]
    np.testing.assert_array_equal(flat, np.concatenate(parts))
    assert [layer[0].shape for layer in layers] == [w.shape for w in model.coefs_]
    stepped = model.set_params(solver="sgd", learning_rate_init=1e-3, momentum=0, max_iter=1,
                               batch_size=150, warm_start=True, shuffle=False)  # fmt: skip
    old = [w.copy() for w in model.coefs_]
    stepped.fit(X_iris, y_iris)
    for w, start, layer in zip(stepped.coefs_, old, layers, strict=True):
        np.testing.assert_allclose(w, start - 1e-3 * layer[0], atol=1e-12)


# --- callbacks -----------------------------------------------------------------------------------


class Watcher:
    """Notes what it is told; wants to stop after some epochs."""

    def __init__(self, stop_after=None):
        self.stop_after, self.log, self.scores = stop_after, [], []

    def setup(self, estimator, context):
        self.log.append("setup")

    def teardown(self, estimator, context):
        self.log.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.log.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.log.append(("end", context.task_name, context.task_id))
        if fitted_estimator is not None:
            self.scores.append(fitted_estimator.score(X, y))
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after


@both
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_at_fit_and_epoch(Estimator, solver):
    callback_module = pytest.importorskip("sklearn.callback")
    model = Estimator(hidden_layer_sizes=(5,), max_iter=6, random_state=0, solver=solver)
    plain = clone(model).fit(X_iris, y_iris)
    score = "accuracy" if Estimator is MLPClassifier else "r2"
    watcher, monitor = Watcher(), callback_module.ScoringMonitor(scoring=score)
    model.set_callbacks(watcher, monitor).fit(X_iris, y_iris)
    np.testing.assert_array_equal(plain.coefs_[0], model.coefs_[0])
    epochs = [e for i in range(6) for e in (("begin", "epoch", i), ("end", "epoch", i))]
    assert watcher.log == ["setup", ("begin", "fit", 0), *epochs, ("end", "fit", 0), "teardown"]
    assert watcher.scores[-1] == model.score(X_iris, y_iris)
    logged = monitor.get_logs().data
    assert len(logged) == 7
    assert not [name for name in vars(model) if "callback_" in name and "skl" not in name]

    watcher = Watcher(stop_after=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)  # it did not run out of epochs
        model.set_callbacks(watcher).fit(X_iris, y_iris)
    assert model.n_iter_ == 3
    assert watcher.log[-2:] == [("end", "fit", 0), "teardown"]
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X_iris * np.nan, y_iris)
    assert model.n_iter_ == 3


@both
def test_callbacks_are_torn_down_whatever_happens(Estimator):
    pytest.importorskip("sklearn.callback")
    watcher = Watcher()
    model = Estimator(hidden_layer_sizes=(5,), max_iter=6, learning_rate=lambda epoch: 0.1 - epoch)
    with pytest.raises(ValueError, match="learning_rate, called"):
        model.set_callbacks(watcher).fit(X_iris, y_iris)
    assert watcher.log[-1] == "teardown"
    classes = {"classes": [0, 1, 2]} if Estimator is MLPClassifier else {}
    model.set_params(learning_rate="constant").partial_fit(X_iris, y_iris, **classes)
    assert watcher.log[-2:] == [("end", "fit", 0), "teardown"]
    assert not hasattr(model, "_callback_fit_ctx")


def test_before_scikit_learn_1_9_there_are_no_callbacks_to_set():
    code = """
import sys
sys.modules["sklearn.callback"] = None  # importing it fails, as where it does not exist
from fastmlp import MLPClassifier
del sys.modules["sklearn.callback"]  # scikit-learn itself needs it
model = MLPClassifier((3,), max_iter=2).fit([[0.0], [1.0]], [0, 1])
assert not hasattr(model, "set_callbacks"), "there are"
"""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_scikit_learns_progress_bar(capsys):
    callback_module = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    model = MLPClassifier((5,), max_iter=6, random_state=0)
    model.set_callbacks(callback_module.ProgressBar()).fit(X_iris, y_iris)
    assert "MLPClassifier" in capsys.readouterr().out


# --- parameters ----------------------------------------------------------------------------------

NEW = {
    "activation": (["prelu", "mish"], ["relu", "step"], 3, []),
    "activation_alpha": (0.3, -0.1, "a", [0.1, -1], np.nan),
    "maxout_pieces": (3, 0, 1.5, None),
    "init": ("auto", "xavier", None, 3),
    "l1": (0.1, -1, np.nan, "x", None),
    "weight_decay": (0.1, -1, np.nan, None),
    "rho": (0.5, 1.0, -0.1, None),
    "dropout": ([0.1, 0.2, 0.3], 1.0, -0.1, np.nan, [0.1, 1.0, 0.2], None),
    "max_norm": (2.0, 0, -1, np.nan, "x"),
    "clip_norm": (2.0, 0, -1, np.nan, "x"),
    "learning_rate": ("cosine", "linear", 0.1, None),
    "learning_rate_decay": (0.5, 0, 1.5, np.nan, "x"),
    "learning_rate_period": (3, 0, 1.5, "x"),
    "learning_rate_period_mult": (2, 0, 1.5, None),
    "learning_rate_min": (1e-5, -1, np.nan, None),
    "warmup_epochs": (2, -1, 0.5, None),
    "scoring": ("loss", 3, ["accuracy"]),
    "max_time": (5.0, 0, -1, np.nan, "x"),
    "checkpoint": (os.path.join(tempfile.gettempdir(), f"fastmlp-test-{os.getpid()}"), 3, b"x"),
    "checkpoint_every": (2, 0, -1, 0.0, np.nan, np.inf, "1s", None),
    "diagnostics": (True, 1, None, "yes"),
    "device": ("cpu", "gpu", None, 0),
    "precision": ("float32", "float16", "TF32", None),
}


def neural_network_parameters():
    return {*neural_network.MLPRegressor().get_params(), "n_jobs"}


OWN = {
    MLPClassifier: {
        "loss": ("hinge", "huber", None),
        "label_smoothing": (0.1, 1.0, -0.1, np.nan, None),
        "class_weight": ({1: 2.0}, "even", 3, [1, 2]),
    },
    MLPRegressor: {
        "loss": ("gamma", "hinge", None),
        "quantile": (0.3, 0, 1, np.nan, None),
        "huber_delta": (2.0, 0, -1, np.nan, None),
    },
}


@both
def test_every_new_parameter_survives_and_is_checked(Estimator):
    parameters = {**NEW, **OWN[Estimator]}
    right = {name: values[0] for name, values in parameters.items()}
    if Estimator is MLPClassifier:
        right.update(loss="log_loss")
    model = Estimator(hidden_layer_sizes=(5, 4), max_iter=4, random_state=0, early_stopping=True,
                      **right)  # fmt: skip
    assert clone(model).get_params() == model.get_params()
    model.fit(X_iris, y_iris + 1)
    copy = pickle.loads(pickle.dumps(model))
    assert copy.get_params() == model.get_params()
    np.testing.assert_array_equal(copy.predict(X_iris), model.predict(X_iris))
    for name, (_, *wrong) in parameters.items():
        for value in wrong:
            bad = Estimator(hidden_layer_sizes=(5, 4)).set_params(**{name: value})
            with pytest.raises(ValueError, match=name):
                bad.fit(X_iris, y_iris + 1)
            classes = {"classes": [1, 2, 3]} if Estimator is MLPClassifier else {}
            with pytest.raises(ValueError, match=name):
                bad.partial_fit(X_iris, y_iris + 1, **classes)
    # none is forgotten here
    assert set(Estimator().get_params()) - set(right) <= neural_network_parameters()


@both
def test_grid_search_over_new_parameters(Estimator):
    grid = [
        {"activation": ["gelu", "prelu", ["relu", "tanh"]], "dropout": [0.0, [0.1, 0.2, 0.0]]},
        {"solver": ["adamw"], "weight_decay": [0.0, 0.1], "learning_rate": ["one_cycle"]},
        {"loss": list(OWN[Estimator]["loss"][:1]), "init": ["auto"], "max_norm": [None, 1.0]},
    ]
    model = Estimator(hidden_layer_sizes=(6, 5), max_iter=10, random_state=0)
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X_iris, y_iris + 1)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": ["relu"]}, r"activation must have one item per hidden layer: 2 for"),
        ({"activation_alpha": [0.1] * 3}, "activation_alpha must have one item per hidden layer"),
        ({"dropout": [0.1, 0.2]}, "dropout must have one item .* and one for the input .* 3 for"),
        ({"solver": "lbfgs", "dropout": 0.1}, "dropout is for first-order solvers"),
        ({"solver": "lbfgs", "dropout": [0.1, 0, 0]}, "dropout is for first-order solvers"),
        ({"solver": "lbfgs", "max_norm": 1.0}, "max_norm is for first-order solvers"),
        ({"solver": "lbfgs", "clip_norm": 1.0}, "clip_norm is for first-order solvers"),
        ({"activation": "softplus", "activation_alpha": 0}, "must be above 0 for 'softplus'"),
        ({"scoring": "acuracy"}, "acuracy"),
        ({"learning_rate": "cosine", "learning_rate_min": 1.0}, "learning_rate_min=1.0 must not"),
        ({"init": [[1.0], [1.0, 2.0]]}, "init must give arrays of the shapes"),
        ({"init": lambda shape, rng: np.full(shape, 1j)}, "init must give arrays of real numbers"),
        ({"init": lambda shape, rng: [[1], [2, 3]]}, "init must give arrays of real numbers"),
    ],
)
def test_parameters_that_do_not_go_together(parameters, message):
    model = MLPClassifier((4, 3), max_iter=2).fit(X_iris, y_iris)
    before = {**vars(model), **parameters}
    with pytest.raises(ValueError, match=message):
        model.set_params(**parameters).fit(X_iris, y_iris)
    assert vars(model) == before


@both
def test_going_on_after_a_change_of_solver_or_of_early_stopping(Estimator):
    model = Estimator(hidden_layer_sizes=(5,), max_iter=3, random_state=0, warm_start=True,
                      solver="lbfgs").fit(X_iris, y_iris)  # fmt: skip
    model.set_params(solver="adam").fit(X_iris, y_iris)
    assert len(model.loss_curve_) == 6
    model.set_params(early_stopping=True).fit(X_iris, y_iris)
    assert len(model.loss_curve_) == 9
    assert len(model.validation_scores_) == 3
    model.set_params(early_stopping=False).fit(X_iris, y_iris)
    assert model.validation_scores_ is None
    assert np.isfinite(model.best_loss_)
    model.set_params(solver="lbfgs").fit(X_iris, y_iris)
    assert model.set_params(solver="sgd").partial_fit(X_iris, y_iris).predict(X_iris).shape


@both
def test_predictions_are_of_the_fitted_network(Estimator):
    """Whatever `set_params` says afterwards."""
    loss, other = ("log_loss", "hinge") if Estimator is MLPClassifier else ("poisson", "huber")
    model = Estimator(hidden_layer_sizes=(5, 4), activation=["prelu", "maxout"], loss=loss,
                      max_iter=3, random_state=0).fit(X_iris, y_iris)  # fmt: skip
    before = model.predict(X_iris), model.hidden_activations(X_iris, 0)
    model.set_params(loss=other, activation="identity", maxout_pieces=7, activation_alpha=0.9)
    after = model.predict(X_iris), model.hidden_activations(X_iris, 0)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])
    assert hasattr(model, "predict_proba") == (Estimator is MLPClassifier)
    with pytest.raises(ValueError, match="do not fit the weights of the earlier fit"):
        model.loss_and_gradient(X_iris, y_iris)


def test_going_on_with_other_losses_or_limits():
    model = MLPClassifier((4,), clip_norm=0.1, max_iter=3, random_state=0).fit(X_iris, y_iris)
    model.set_params(clip_norm=None).partial_fit(X_iris, y_iris)  # with the solver as it was
    soft = MLPClassifier((4,), loss="kl_divergence", max_iter=3, warm_start=True)
    soft.fit(X_iris, np.eye(3)[y_iris]).set_params(loss="log_loss")
    for method in (soft.fit, soft.partial_fit):
        with pytest.raises(ValueError, match="cannot go on from a fit with loss='kl_divergence'"):
            method(X_iris, y_iris)
    named = MLPClassifier((4,), loss="kl_divergence")
    named.partial_fit(X_iris, np.eye(3)[y_iris], classes=["a", "b", "c"])
    assert set(named.predict(X_iris)) <= {"a", "b", "c"}


def test_class_weights_are_those_of_the_fit():
    weights = {0: 2.0, 2: 3.0}
    model = MLPClassifier((4,), class_weight=weights, max_iter=3, random_state=0)
    few, classes = y_iris < 2, [0, 1, 2]  # of a class with a weight there is no sample
    model.partial_fit(X_iris[few], y_iris[few], classes=classes)
    plain = MLPClassifier((4,), max_iter=3, random_state=0)
    factors = np.array([2.0, 1.0, 3.0])[y_iris]
    plain.partial_fit(X_iris[few], y_iris[few], factors[few], classes=classes)
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])
    model.fit(X_iris, y_iris, X_val=X_iris[few], y_val=y_iris[few])  # which are as they are
    plain.fit(X_iris, y_iris, factors)
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])
    proba = model.predict_proba(X_iris[few])
    loss = log_loss(y_iris[few], proba, labels=classes)
    assert model.validation_loss_curve_[-1] == pytest.approx(loss)
    rare = y_iris[45:60]  # 5 of class 0, 10 of class 1
    model = MLPClassifier((4,), class_weight="balanced", max_iter=3, random_state=0, alpha=0)
    model.fit(X_iris[45:60], rare)
    p = model.predict_proba(X_iris[45:55])[np.arange(10), rare[:10]]
    factors = np.where(rare[:10] == 0, 15 / (2 * 5), 15 / (2 * 10))
    loss = model.loss_and_gradient(X_iris[45:55], rare[:10])[0]
    assert loss == pytest.approx(np.average(-np.log(p), weights=factors))
    Y = np.column_stack([y_iris > 0, y_iris > 1]).astype(int)
    with pytest.raises(ValueError, match="class_weight is for one label per sample"):
        MLPClassifier(class_weight="balanced").fit(X_iris, Y)
    for wrong in ({0: -1.0}, {0: np.nan}):
        with pytest.raises(ValueError, match="class_weight must hold finite numbers, 0 or more"):
            MLPClassifier(class_weight=wrong).fit(X_iris, y_iris)
    with pytest.raises(ValueError, match="class_weight leaves all samples a weight of zero"):
        MLPClassifier(class_weight={0: 0.0, 1: 0.0, 2: 0.0}).fit(X_iris, y_iris)


def test_validation_scores_that_say_nothing():
    model = MLPRegressor(hidden_layer_sizes=(4,), early_stopping=True, max_iter=5, random_state=0)
    with pytest.warns(ConvergenceWarning, match="No score of the validation samples was a number"):
        model.fit(X_iris, y_iris, X_val=X_iris[:1], y_val=y_iris[:1])  # R2 of a single sample
    plain = clone(model).set_params(early_stopping=False).fit(X_iris, y_iris)
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])  # not the first weights
    weight = np.eye(150)[0]
    with pytest.raises(ValueError, match="sample weights of all validation samples are zero"):
        MLPClassifier(early_stopping=True, random_state=0).fit(X_iris, y_iris, weight)
    for scoring, message in [
        (lambda e, X, y: "good", "gave no score"),
        (lambda e, X, y, **_: None, "gave no score"),
        ("excellence", "excellence"),
    ]:
        with pytest.raises(ValueError, match=message):
            MLPRegressor(scoring=scoring, early_stopping=True, max_iter=2).fit(
                X_iris, y_iris, np.ones(150)
            )


def test_a_warm_start_with_another_score_begins_with_its_own_scale():
    model = MLPClassifier((4,), early_stopping=True, warm_start=True, max_iter=5, random_state=0)
    model.fit(X_iris, y_iris)
    start = model.coefs_[0]
    model.set_params(scoring="loss").fit(X_iris, y_iris)  # scores below 0, accuracies above
    assert model.best_validation_score_ < 0
    assert not np.array_equal(start, model.coefs_[0])
    model.fit(X_iris, y_iris, X_val=X_iris[::2], y_val=y_iris[::2])
    assert model.best_validation_score_ == pytest.approx(
        -log_loss(y_iris[::2], model.predict_proba(X_iris[::2]))
    )


def test_arrays_where_sequences_are_meant():
    one = MLPClassifier((4, 3), dropout=np.array([0.1, 0.2, 0.0]), max_iter=3, random_state=0,
                        activation_alpha=np.array([0.1, 0.2]),
                        activation=np.array(["elu", "elu"]))  # fmt: skip
    two = clone(one).set_params(dropout=[0.1, 0.2, 0.0], activation_alpha=[0.1, 0.2],
                                activation="elu")  # fmt: skip
    np.testing.assert_array_equal(
        one.fit(X_iris, y_iris).coefs_[0], two.fit(X_iris, y_iris).coefs_[0]
    )


def test_losses_and_activations_cover_the_core():
    """What the core can do has a name in Python."""
    named = {"binary_log_loss", "logistic_squared_error"}  # chosen by the kind of y
    public = {*MLPClassifier._parameters["loss"].rule.text.split("'")[1::2],
              *MLPRegressor._parameters["loss"].rule.text.split("'")[1::2]}  # fmt: skip
    assert set(_native.LOSSES) == public | named
