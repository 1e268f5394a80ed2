"""device="cuda" trains the model of the CPU: the same steps, to rounding, and the same bits again.

Of few rows and steps, since an emulated device takes milliseconds for each of them.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

from fastmlp import _native
from fastmlp.core.network import ACTIVATION_NAMES, ALIASES
from fastmlp.inspection import check_gradients, diagnose, explain_step
from fastmlp.playground import TrainingSession
from fastmlp.training.schedules import SCHEDULES
from tests.devices import (
    EMULATED,
    W,
    X,
    agree,
    close,
    make,
    needs_device,
    needs_emulator,
    parameters_of,
    same_bits,
    y,
    z,
)

pytestmark = [
    needs_device,
    pytest.mark.usefixtures("unforced"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

TOLERANCE = {np.float64: 1e-9, np.float32: 1e-4}
both_types = pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: dtype.__name__)


def halve(epoch):
    return 0.01 / (1 + epoch)


rng = np.random.default_rng(1)
positive = np.exp(z / 4)  # of poisson and gamma
two = (X[:, 0] > 0).astype(int)
labels = (X[:, :3] > 0).astype(int)
shares = np.abs(X[:, :3]) / np.abs(X[:, :3]).sum(axis=1, keepdims=True)
in_unit = 1 / (1 + np.exp(-X))
counts = np.round(40 + 20 * X).clip(0, 255)  # for any type of numbers
few = X * (rng.random(X.shape) < 0.3)  # mostly zeros
wide = rng.normal(size=(40, 150))
big = {"hidden_layer_sizes": (70, 33), "max_iter": 3}  # beyond one tile of any kernel

ACTIVATIONS = [name for name in ACTIVATION_NAMES if name not in ALIASES]
FITS = {
    **{f"activation {name}": ({"activation": name}, X, y) for name in ACTIVATIONS},
    "activations": ({"activation": ["maxout", "leaky_relu"], "activation_alpha": [None, 0.2],
                     "maxout_pieces": 3}, X, y),
    "prelu, maxout": ({"activation": ["prelu", "maxout"]}, X, z),
    "log_loss, two classes": ({}, X, two),
    "log_loss, labels": ({}, X, labels),
    "label smoothing": ({"label_smoothing": 0.2}, X, y),
    "label smoothing, two classes": ({"label_smoothing": 0.2}, X, two),
    "squared_error, classes": ({"loss": "squared_error"}, X, y),
    "kl_divergence": ({"loss": "kl_divergence"}, X, shares),
    "hinge": ({"loss": "hinge"}, X, y),
    "perceptron": ({"loss": "perceptron"}, X, y),
    "squared_error": ({}, X, z),
    # far from 0, where what is rounded otherwise may have another sign, and another slope
    "absolute_error": ({"loss": "absolute_error"}, X, z + 10),
    "huber": ({"loss": "huber", "huber_delta": 0.7}, X, z),
    "quantile": ({"loss": "quantile", "quantile": 0.3}, X, z),
    "poisson": ({"loss": "poisson"}, X, positive),
    "gamma": ({"loss": "gamma"}, X, positive),
    "several outputs": ({}, X, np.column_stack([z, X[:, 0], X[:, 1]])),
    "autoencoder": ({"hidden_layer_sizes": (7, 2)}, X, None),
    "autoencoder, noise": ({"hidden_layer_sizes": (7, 2), "noise": 0.3}, X, None),
    "autoencoder, log_loss": ({"loss": "log_loss"}, in_unit, None),
    "autoencoder, logistic": ({"output_activation": "logistic"}, in_unit, None),
    **{f"solver {name}": ({"solver": name}, X, y) for name in _native.SOLVER_SLOTS},
    "sgd, momentum": ({"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5}, X, y),
    "sgd, no momentum": ({"solver": "sgd", "momentum": 0.0}, X, y),
    "lbfgs": ({"solver": "lbfgs", "max_iter": 8, "alpha": 0.1}, X, y),
    "lbfgs, numbers": ({"solver": "lbfgs", "max_iter": 8, "alpha": 0.1}, X, z),
    **{f"schedule {name}": ({"solver": "sgd", "learning_rate": name, "learning_rate_period": 2,
                             "n_iter_no_change": 3}, X, y) for name in SCHEDULES},
    "schedule, own": ({"learning_rate": halve}, X, y),
    "schedule, warm-up": ({"learning_rate": "cosine", "warmup_epochs": 3}, X, y),
    "schedule, plateau": ({"learning_rate": "plateau", "learning_rate_period": 1, "tol": 0.1}, X,
                          y),
    "penalties": ({"alpha": 0.5, "l1": 0.05}, X, y),
    "no penalty": ({"alpha": 0.0}, X, y),
    "dropout": ({"dropout": 0.4}, X, y),
    "dropout, input": ({"dropout": [0.2, 0.3, 0.1], "activation": ["maxout", "prelu"]}, X, z),
    "clip_norm": ({"clip_norm": 0.05}, X, y),
    "max_norm": ({"max_norm": 0.6}, X, y),
    "clip_norm, max_norm, maxout": ({"clip_norm": 0.05, "max_norm": 0.6, "activation": "maxout"},
                                    X, y),
    "everything": ({"dropout": 0.2, "clip_norm": 0.5, "max_norm": 0.8, "l1": 0.01, "alpha": 0.1,
                    "activation": ["prelu", "maxout"], "solver": "nadam"}, X, y),
    "weights": ({}, X, y, W),
    "weights, some zero": ({"shuffle": False}, X, y, np.repeat([1.0, 0.0, 2.0], 16)),
    "class_weight": ({"class_weight": {0: 2.0, 1: 0.5}}, X, y, W),
    "class_weight, early stopping": ({"class_weight": "balanced", "early_stopping": True}, X, y),
    "early stopping": ({"early_stopping": True, "n_iter_no_change": 2}, X, y, W),
    "early stopping, numbers": ({"early_stopping": True, "scoring": "r2"}, X, z),
    "loss as score": ({"early_stopping": True, "scoring": "loss"}, X, y),
    "no shuffle": ({"shuffle": False}, X, y),
    "a rest": ({"batch_size": 17}, X, y),
    "one row a batch": ({"batch_size": 1, "max_iter": 1}, X, y),
    "one batch": ({"batch_size": 48}, X, y),
    "no hidden layer": ({"hidden_layer_sizes": ()}, X, y),
    "five layers": ({"hidden_layer_sizes": (4, 3, 5, 2, 6), "activation": "tanh"}, X, y),
    "one unit": ({"hidden_layer_sizes": 1}, X, z),
    "larger layers": (big, wide, wide[:, 0]),
    "larger layers, classes": ({**big, "activation": "tanh"}, wide, np.arange(40) % 21),
    "a layer wider than a block": ({"hidden_layer_sizes": 300, "max_iter": 2}, X, y),
    "own weights": ({"hidden_layer_sizes": 2, "init": [np.eye(6, 2), np.zeros(2), np.eye(2, 3),
                                                       np.zeros(3)]}, X, y),
    "sparse": ({}, scipy.sparse.csr_array(few), y),
    "sparse, columns": ({}, scipy.sparse.csc_matrix(few), z),
    "sparse, dropout": ({"dropout": [0.3, 0.2, 0.1]}, scipy.sparse.csr_array(few), y, W),
    "sparse, larger": (big, scipy.sparse.random_array((40, 400), density=0.02, rng=rng,
                                                      format="csr"), np.arange(40) % 3),
    "sparse, lbfgs": ({"solver": "lbfgs"}, scipy.sparse.csr_array(few), y),
    "sparse, unsorted": ({}, scipy.sparse.csr_array((few[:, ::-1].ravel(), np.tile(
        np.arange(6)[::-1], 48), np.arange(0, 6 * 49, 6)), shape=(48, 6)), y),
    "sparse, empty rows": ({}, scipy.sparse.csr_array(few * (np.arange(48) % 3 > 0)[:, None]), y),
    "zeros": ({}, few, y),
}  # fmt: skip


@both_types
@pytest.mark.parametrize(("parameters", "X", "y", *["W"]),
                         [(*fit, None)[:4] for fit in FITS.values()], ids=FITS)  # fmt: skip
def test_the_model_of_the_cpu(parameters, X, y, W, dtype):
    X = X.astype(dtype)
    models = [
        make(parameters, y, device=device).fit(X, y, sample_weight=W) for device in ("cpu", "cuda")
    ]
    agree(*models, TOLERANCE[dtype])
    outputs = [model.loss_and_gradient(X, y, W, flat=True) for model in models]
    close(outputs[0][0], outputs[1][0], TOLERANCE[dtype])
    close(outputs[0][1], outputs[1][1], TOLERANCE[dtype])
    if models[0].n_layers_ > 2:
        close(*(model.hidden_activations(X) for model in models), TOLERANCE[dtype])
    last = "score_samples" if y is None else "predict_proba" if hasattr(
        models[0], "predict_proba") else "predict"  # fmt: skip
    close(*(getattr(model, last)(X) for model in models), TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64",
                                   "uint64", "float16", "bool", ">f8"])  # fmt: skip
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_numbers(dtype, order):
    data = np.asarray((counts > 128 if dtype == "bool" else counts // 4).astype(dtype), order=order)
    for given in (data, data[:, ::-1][::-1]):
        models = [make({"max_iter": 3}, y, device=device).fit(given, y) for device in
                  ("cpu", "cuda")]  # fmt: skip
        agree(*models, 1e-9)
        close(*(model.predict_proba(given) for model in models), 1e-9)


@both_types
def test_validation_data(dtype):
    arguments = {"X_val": X[::2] + 0.1, "y_val": y[::2], "sample_weight_val": W[::2]}
    models = [
        make({"early_stopping": True, "n_iter_no_change": 3}, y, device=device).fit(
            X.astype(dtype), y, W, **arguments
        )
        for device in ("cpu", "cuda")
    ]
    agree(*models, TOLERANCE[dtype])
    assert models[0].validation_scores_ == models[1].validation_scores_


@both_types
@pytest.mark.parametrize("solver", ["adam", "sgd", "nadam"])
def test_partial_fit(solver, dtype):
    models = [make({"solver": solver, "dropout": 0.1}, y, device=device) for device in
              ("cpu", "cuda")]  # fmt: skip
    for part in range(6):
        rows = slice(8 * part, 8 * part + 8)
        for model in models:
            model.partial_fit(X[rows].astype(dtype), y[rows], W[rows], classes=np.arange(3))
    agree(*models, TOLERANCE[dtype])
    for model in models[::-1]:  # each on the other's device
        model.set_params(device="cuda" if model.device == "cpu" else "cpu")
        model.partial_fit(X.astype(dtype), y)
    agree(*models, TOLERANCE[dtype])


@both_types
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_warm_start(solver, dtype):
    models = [make({"solver": solver, "warm_start": True, "alpha": 0.1, "max_iter": 3}, y,
                   device=device) for device in ("cpu", "cuda")]  # fmt: skip
    for _ in range(2):
        for model in models:
            model.fit(X.astype(dtype), y)
        agree(*models, TOLERANCE[dtype])


@both_types
def test_diagnostics(dtype):
    models = [make({"diagnostics": True, "activation": ["relu", "maxout"]}, y, device=device).fit(
        X.astype(dtype), y) for device in ("cpu", "cuda")]  # fmt: skip
    agree(*models, TOLERANCE[dtype])
    cpu, device = (model.diagnostics_ for model in models)
    for name in ("gradient_norm", "update_ratio"):
        close(cpu[name], device[name], 100 * TOLERANCE[dtype])
    for name in ("dead", "saturated"):
        np.testing.assert_array_equal(cpu[name], device[name])
    found = [diagnose(model, X.astype(dtype), y) for model in models]
    assert [f.name for f in found[0]] == [f.name for f in found[1]]


@both_types
def test_a_look_inside(dtype):
    for targets in (y, z):
        model = make({"activation": "tanh"}, targets, device="cuda").fit(X.astype(dtype), targets)
        assert max(check_gradients(model, X.astype(dtype), targets).values()) < 1e-6
        other = clone(model).set_params(device="cpu").fit(X.astype(dtype), targets)
        steps = [explain_step(e, X[:1].astype(dtype), targets[:1]) for e in (other, model)]
        for cpu, device in zip(*(step.layers for step in steps), strict=True):
            for name in ("z", "outputs", "delta", "gradient", "new_weights", "new_biases"):
                close(getattr(cpu, name), getattr(device, name), 10 * TOLERANCE[dtype])


@both_types
def test_a_session(dtype):
    sessions = [TrainingSession(make({"dropout": 0.1}, y, device=device), X.astype(dtype), y)
                for device in ("cpu", "cuda")]  # fmt: skip
    for change in ({}, {"alpha": 0.2, "batch_size": 24}, {"learning_rate_init": 0.02}):
        for session in sessions:
            session.change(**change)
            session.train(2)
            session.set_weight(0, 1, 2, 0.3)
    agree(*(session.fitted() for session in sessions), TOLERANCE[dtype])
    for layers in zip(*(session.activations(X.astype(dtype)) for session in sessions), strict=True):
        close(*layers, TOLERANCE[dtype])


@pytest.mark.skipif(EMULATED, reason="takes long; tests/test_device_faults.py has a small device")
@both_types
def test_a_batch_larger_than_its_work_space(dtype):
    """256 MiB of activations: 256 rows of 1 MiB in float32."""
    units = 2**16
    rows, targets = np.tile(X[:, :1], (12, 1)), np.tile(z, 12)
    init = [np.sin(np.arange(units))[None] / 9, np.zeros(units), np.cos(np.arange(units))[:, None]
            / units, np.zeros(1)]  # fmt: skip
    parameters = {"hidden_layer_sizes": units, "batch_size": 500, "max_iter": 1, "init": init,
                  "solver": "sgd", "activation": "tanh"}  # fmt: skip
    models = [make(parameters, z, device=device).fit(rows.astype(dtype), targets) for device in
              ("cpu", "cuda")]  # fmt: skip
    agree(*models, TOLERANCE[dtype])


def test_batches_without_weight_make_no_step():
    weights = np.repeat([1.0, 0.0, 0.0], 16)
    models = [make({"shuffle": False, "solver": "sgd"}, y, device=device).fit(X, y, weights)
              for device in ("cpu", "cuda")]  # fmt: skip
    agree(*models, 1e-9)
    assert models[1]._optimizer.steps == models[0]._optimizer.steps == 16


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@both_types
def test_divergence_is_the_same_error(solver, dtype):
    texts = []
    for device in ("cpu", "cuda"):
        model = make({"solver": solver, "learning_rate_init": 1e30, "alpha": 1e30}, z,
                     device=device)  # fmt: skip
        with pytest.raises(ValueError, match="Training diverged") as raised:
            model.fit(1e15 * X.astype(dtype), np.finfo(dtype).max ** 0.75 * z)
        assert not hasattr(model, "coefs_")
        texts.append(str(raised.value).split(", with")[0])
    assert texts[0] == texts[1]


# --- precision ------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_precision(precision):
    """Rounds what wide layers multiply, the same in each run; predictions are not rounded."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(64, 200)).astype(np.float32)
    labels = rows[:, :50].sum(axis=1)
    parameters = {"hidden_layer_sizes": (256, 160), "batch_size": 64, "max_iter": 3,
                  "device": "cuda", "solver": "sgd", "learning_rate_init": 0.001}  # fmt: skip
    whole = make(parameters, z).fit(rows, labels)
    rounded = [make(parameters, z, precision=precision).fit(rows, labels) for _ in range(2)]
    same_bits(*rounded)
    assert not np.array_equal(whole.coefs_[1], rounded[0].coefs_[1])
    tolerance = {"tf32": 3e-3, "bfloat16": 3e-2}[precision]
    for a, b in zip(parameters_of(whole), parameters_of(rounded[0]), strict=True):
        assert np.abs(a - b).max() <= tolerance * np.abs(a).max()
    np.testing.assert_array_equal(
        rounded[0].predict(rows), rounded[0].set_params(precision="float32").predict(rows)
    )


# --- the same bits -------------------------------------------------------------------------------

SAME = {
    "dense": ({"dropout": 0.2, "clip_norm": 0.5, "max_norm": 0.8, "l1": 0.01,
               "activation": ["prelu", "maxout"]}, X, y),
    "larger": (big, wide, wide[:, 0]),
    "sparse": ({}, scipy.sparse.csr_array(few), y),
    "lbfgs": ({"solver": "lbfgs"}, X, z),
    "diagnostics": ({"diagnostics": True, "early_stopping": True}, X, y),
}  # fmt: skip


@both_types
@pytest.mark.parametrize(("parameters", "X", "y"), SAME.values(), ids=SAME)
def test_the_same_bits_again(parameters, X, y, dtype):
    models = [make(parameters, y, device="cuda").fit(X.astype(dtype), y) for _ in range(2)]
    same_bits(*models)


@needs_emulator
@pytest.mark.parametrize("name", SAME)
def test_the_order_of_threads_does_not_matter(name):
    """Blocks and threads are run in another order by each seed of the emulator."""
    code = f"""
import numpy, sys
from tests.devices import make, parameters_of
from tests.test_device_agreement import SAME
parameters, X, y = SAME[{name!r}]
for dtype in (numpy.float32, numpy.float64):
    model = make(parameters, y, device="cuda").fit(X.astype(dtype), y)
    for array in parameters_of(model):
        sys.stdout.buffer.write(array.tobytes())
"""
    runs = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, "FASTMLP_EMULATOR_SEED": str(seed)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    ]
    assert runs[0]
    assert runs[0] == runs[1]
