"""device="cuda" when something ends or fails: interrupts, checkpoints, memory, lost devices, forks.

Faults are injected by the emulator, in each allocation and each launch of a kernel in turn.
"""

import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

import fastmlp
from fastmlp import _native
from fastmlp.core import device as device_module
from tests.devices import (
    EMULATED,
    LAUNCH_FAILURE,
    Emulator,
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
from tests.midst import signal_after, told
from tests.test_checkpoint import Ended, ends_after

pytestmark = [
    needs_device,
    pytest.mark.usefixtures("time_limit", "unforced"),
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning",
        "ignore:.*multi-threaded, use of fork:DeprecationWarning",
    ),
]

ILLEGAL_ADDRESS = 700  # as CUDA numbers it
TEXTS = {ILLEGAL_ADDRESS: "illegal memory access", LAUNCH_FAILURE: "launch failure"}
GIB = 2**30


@pytest.fixture
def emulator():
    """The emulated device, which is whole again afterwards."""
    found = Emulator()
    yield found
    found.fail_malloc(0)
    found.fail_launch(0, 0)
    found.sticky(0)
    found.memory(4 * GIB)
    found.devices(1)


# --- faults --------------------------------------------------------------------------------------

CALLS = {
    "fit": lambda model: model.fit(X, y, W),
    "fit, early stopping": lambda model: model.set_params(early_stopping=True).fit(X, y, W),
    "fit, sparse": lambda model: model.fit(scipy.sparse.csr_array(X), y),
    "fit, lbfgs": lambda model: model.set_params(solver="lbfgs").fit(X, y),
    "fit, clipped": lambda model: model.set_params(clip_norm=0.1, max_norm=1.0).fit(X, y),
    "fit, diagnosed": lambda model: model.set_params(diagnostics=True).fit(X, y),
    "partial_fit": lambda model: model.partial_fit(X, y),
    "predict": lambda model: model.predict(X),
    "predict a row": lambda model: model.predict(X[:1]),
    "hidden_activations": lambda model: model.hidden_activations(X),
    "loss_and_gradient": lambda model: model.loss_and_gradient(X, y, W),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def after_each(call, inject, errors, match):
    """The number of times that a call failed, at one place after the other.

    Where memory for X is lacking it is made up for.
    """
    failed = 0
    for nth in range(1, 400):
        model = make({"max_iter": 2}, y, device="cuda").partial_fit(X, y, classes=np.arange(3))
        twin = pickle.loads(pickle.dumps(model))
        attributes, parameters = dict(vars(twin)), model.get_params()
        inject(nth)
        try:
            call(model)
        except errors as error:
            inject(0)
            assert match in str(error)  # noqa: PT017
        else:
            if inject(0) > 0:
                return failed
            continue
        failed += 1
        assert all(name in attributes for name in vars(model))
        model.set_params(**parameters)
        same_bits(model, twin)
        for estimator in (model, twin):  # it goes on from the state of the call before
            estimator.set_params(device="cpu").partial_fit(X, y)
        same_bits(model, twin)
    raise AssertionError("it fails without end")


@needs_emulator
@each_call
def test_it_is_the_device_that_computes(call, emulator):
    """And the CPU's engine where it is the CPU."""
    for device in ("cpu", "cuda"):
        model = make({"max_iter": 2}, y, device=device).partial_fit(X, y, classes=np.arange(3))
        before = emulator.launches()
        call(model)
        assert (emulator.launches() > before) == (device == "cuda")


@needs_emulator
@each_call
def test_memory_is_lacking_for_each_allocation_in_turn(call, emulator):
    expected = make({}, y).fit(X, y)
    assert after_each(call, emulator.fail_malloc, MemoryError, "Unable to allocate") > 0
    same_bits(make({}, y).fit(X, y), expected)


@needs_emulator
@each_call
@pytest.mark.parametrize("error", TEXTS)
def test_each_launch_fails_in_turn(call, error, emulator):
    expected = make({}, y).fit(X, y)
    again = make({}, y, device="cuda").fit(X, y)
    places = after_each(call, lambda nth: emulator.fail_launch(nth, error if nth else 0),
                        fastmlp.DeviceError, TEXTS[error])  # fmt: skip
    assert places > 0
    same_bits(make({}, y).fit(X, y), expected)
    same_bits(make({}, y, device="cuda").fit(X, y), again)


@needs_emulator
@pytest.mark.parametrize("error", TEXTS)
def test_a_device_that_is_lost_in_a_fit(error, emulator):
    """CUDA then answers each call with the error; fits on the CPU are what they were."""
    expected = make({}, y).fit(X, y)

    def loses(epoch):
        if epoch == 3:
            emulator.sticky(error)
        return 0.01

    model = make({}, y, device="cuda").fit(X, y)
    twin = pickle.loads(pickle.dumps(model))
    model.set_params(learning_rate=loses)
    with pytest.raises(fastmlp.DeviceError, match=TEXTS[error]) as raised:
        model.fit(X, y)
    assert isinstance(raised.value, RuntimeError)
    same_bits(model, twin)
    for call in (model.predict, model.hidden_activations):
        with pytest.raises((fastmlp.DeviceError, ValueError), match=TEXTS[error]):
            call(X)
    with pytest.raises((fastmlp.DeviceError, ValueError), match=TEXTS[error]):
        clone(twin).fit(X, y)
    same_bits(make({}, y).fit(X, y), expected)
    assert model.set_params(device="cpu").predict(X).shape == y.shape
    emulator.sticky(0)
    same_bits(clone(twin).fit(X, y), twin)


@needs_emulator
def test_a_device_that_is_lost_between_calls_of_partial_fit(emulator, tmp_path):
    """Nothing of the model is: neither weights, nor what the solver goes on with."""
    model = make({}, y, device="cuda").partial_fit(X, y, classes=np.arange(3))
    twin = pickle.loads(pickle.dumps(model))
    emulator.sticky(LAUNCH_FAILURE)
    with pytest.raises((fastmlp.DeviceError, ValueError), match="launch failure"):
        model.partial_fit(X, y)
    model.save(tmp_path / "model")
    models = [model, pickle.loads(pickle.dumps(model)), fastmlp.load(tmp_path / "model"), twin]
    for estimator in models:
        estimator.set_params(device="cpu").partial_fit(X, y)
    for estimator in models:
        same_bits(estimator, twin)


@needs_emulator
def test_there_is_no_device(emulator):
    model = make({}, y, device="cuda").fit(X, y)
    emulator.devices(0)
    for call in (model.fit, model.partial_fit, model.score, model.loss_and_gradient):
        with pytest.raises(ValueError, match=r"device='cuda': .*set_params\(device='cpu'\)"):
            call(X, y)
    assert model.set_params(device="cpu").score(X, y) > 0
    emulator.devices(1)
    model.set_params(device="cuda").fit(X, y)


@needs_emulator
def test_memory_that_is_too_small_says_how_much_is_wanted(emulator):
    emulator.memory(2**20)
    with pytest.raises(MemoryError, match=r"GiB|MiB|bytes"):
        make({"hidden_layer_sizes": (500, 500)}, y, device="cuda").fit(X, y)
    expected = make({}, y).fit(X, y)
    emulator.memory(4 * GIB)
    agree(expected, make({}, y, device="cuda").fit(X, y), 1e-9)


@needs_emulator
@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
def test_rows_that_do_not_fit_are_sent_batch_by_batch(dtype, emulator):
    """To the same bits; in batches that need no memory to speak of."""
    rows = np.random.default_rng(0).integers(0, 9, (1000, 800)).astype(dtype)
    labels = np.arange(1000) % 3
    model = make({"batch_size": 48, "max_iter": 2, "init": "he_normal"}, y, device="cuda")
    expected = clone(model).fit(rows, labels)
    predicted = expected.predict_proba(rows)
    emulator.memory(rows.nbytes * 3 // 4)
    same_bits(clone(model).fit(rows, labels), expected)
    np.testing.assert_array_equal(expected.predict_proba(rows), predicted)


@needs_emulator
def test_sparse_rows_that_do_not_fit_are_sent_batch_by_batch(emulator):
    rows = scipy.sparse.random_array((600, 300), density=0.5, format="csr",
                                     rng=np.random.default_rng(0))  # fmt: skip
    labels = np.arange(600) % 3
    model = make({"batch_size": 48, "max_iter": 2}, y, device="cuda")
    expected = clone(model).fit(rows, labels)
    predicted = expected.predict_proba(rows)
    emulator.memory(rows.data.nbytes)  # its columns take half as much more
    same_bits(clone(model).fit(rows, labels), expected)
    np.testing.assert_array_equal(expected.predict_proba(rows), predicted)


@needs_emulator
@pytest.mark.parametrize("parameters", [
    {}, {"clip_norm": 0.1, "max_norm": 1.0, "dropout": [0.1, 0.2, 0.1]},
    {"activation": ["prelu", "maxout"], "solver": "sgd"}, {"solver": "lbfgs", "alpha": 0.1},
    {"early_stopping": True, "diagnostics": True},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_a_batch_larger_than_its_work_space(parameters, sparse, emulator):
    """A quarter of the device's memory: the batch is worked on in several chunks."""
    rows, targets = np.tile(X, (12, 1)) + np.arange(576)[:, None] / 576, np.tile(z, 12)
    rows = scipy.sparse.csr_array(rows * (rows > 0.5)) if sparse else rows
    batch = {"batch_size": 500, "max_iter": 4}
    models = [make({**batch, **parameters}, z, device=device) for device in ("cpu", "cuda")]
    whole = clone(models[1]).fit(rows, targets)
    emulator.memory(2**18)
    for model in models:
        model.fit(rows, targets)
    agree(*models, 1e-9)
    assert not np.array_equal(models[1].coefs_[0], whole.coefs_[0])  # summed up otherwise
    gradients = [model.loss_and_gradient(rows, targets, flat=True)[1] for model in models]
    close(*gradients, 1e-9)
    close(*(model.predict(rows) for model in models), 1e-9)


@needs_emulator
def test_memory_is_given_back(emulator):
    """Of fits, failed ones too, of predictions, and of networks that stay open."""
    rows, labels = np.tile(X, (5, 20)), np.tile(y, 5)
    emulator.memory(10 * rows.nbytes)
    model = make({"max_iter": 1, "batch_size": 120}, y, device="cuda")
    for _ in range(20):
        model.fit(rows, labels)
        model.partial_fit(rows, labels)
        model.predict(rows)
        model.loss_and_gradient(rows, labels)
        emulator.fail_launch(5)
        with pytest.raises(fastmlp.DeviceError):
            model.fit(rows, labels)


def test_an_error_of_a_device_is_public():
    assert fastmlp.DeviceError is _native.DeviceError is device_module.DeviceError
    assert issubclass(fastmlp.DeviceError, RuntimeError)
    error = pickle.loads(pickle.dumps(fastmlp.DeviceError("lost")))
    assert str(error) == "lost"


# --- processes and threads -----------------------------------------------------------------------

FORK = """
import os, sys, traceback
import numpy as np
import fastmlp
rng = np.random.default_rng(0)
X, y = rng.normal(size=(48, 6)), np.arange(48) % 3


def make(device):
    return fastmlp.MLPClassifier((5,), max_iter=3, batch_size=16, random_state=0, device=device)


expected = make("cpu").fit(X, y).coefs_
if BEFORE:
    model = make("cuda").partial_fit(X, y, classes=[0, 1, 2])
child = os.fork()
if not child:
    code = 1
    try:
        if BEFORE:
            for call in (make("cuda").fit, model.fit, model.score):
                try:
                    call(X, y)
                except fastmlp.DeviceError as error:
                    assert "fork" in str(error), error
                else:
                    raise AssertionError("it went on")
            model.set_params(device="cpu").partial_fit(X, y).score(X, y)
        else:
            make("cuda").fit(X, y)
        for a, b in zip(expected, make("cpu").fit(X, y).coefs_):
            np.testing.assert_array_equal(a, b)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
make("cuda").fit(X, y)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("before", [True, False], ids=["used before", "not used before"])
def test_a_fork(before):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"BEFORE = {before}\n{FORK}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_threads_side_by_side():
    """Each fits, trains on and predicts; one of three on the CPU."""

    def work(i, results):
        model = make({"random_state": i}, y, device="cuda" if i % 3 else "cpu")
        model.fit(X, y).partial_fit(X, y)
        results[i] = [*parameters_of(model), model.predict_proba(X)]

    expected, found = {}, {}
    for i in range(6):
        work(i, expected)
    threads = [threading.Thread(target=work, args=(i, found)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, arrays in expected.items():
        for array, right in zip(found[i], arrays, strict=True):
            np.testing.assert_array_equal(array, right)


def test_threads_that_share_a_model():
    model = make({}, y, device="cuda").fit(X, y)
    expected, found = model.predict_proba(X), []
    threads = [threading.Thread(target=lambda: found.append(model.predict_proba(X)))
               for _ in range(4)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for array in found:
        np.testing.assert_array_equal(array, expected)
    assert len(found) == 4


def test_networks_that_stay_open_do_not_disturb_each_other():
    models = [make({"random_state": i}, y, device="cuda") for i in range(2)]
    for _ in range(3):
        for model in models:
            model.partial_fit(X, y, classes=np.arange(3))
    for i, model in enumerate(models):
        alone = make({"random_state": i}, y, device="cuda")
        for _ in range(3):
            alone.partial_fit(X, y, classes=np.arange(3))
        same_bits(model, alone)


def test_a_copy_of_a_network_that_stays_open():
    model = make({}, y, device="cuda").partial_fit(X, y, classes=np.arange(3))
    copies = [pickle.loads(pickle.dumps(model)), model]
    for estimator in copies:
        estimator.partial_fit(X, y)
    same_bits(*copies)


# --- interrupts, time, callbacks -----------------------------------------------------------------

MANY = 4000 if EMULATED else 400_000  # rows of an epoch that takes a second or so


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent by os.kill")
@pytest.mark.parametrize("parameters", [{}, {"solver": "sgd", "dropout": 0.2},
                                        {"clip_norm": 0.1, "max_norm": 1.5}], ids=str)  # fmt: skip
def test_an_interrupt_leaves_whole_steps(parameters):
    rows, labels = np.tile(X, (MANY // 48 + 1, 1)), np.tile(y, MANY // 48 + 1)
    model = make({"shuffle": False, "max_iter": 1, **parameters}, y, device="cuda")
    with (
        pytest.warns(UserWarning, match="Training interrupted by user"),
        told("train", asked=True) as event,
        signal_after(event),
    ):
        model.fit(rows, labels)
    steps = model._optimizer.steps
    assert 0 < 16 * steps < len(rows)
    assert model.n_iter_ == 0
    expected = clone(model).fit(rows[: 16 * steps], labels[: 16 * steps])
    for array, right in zip(parameters_of(model), parameters_of(expected), strict=True):
        np.testing.assert_array_equal(array, right)
    assert model.loss_ == expected.loss_


def test_max_time():
    rows, labels = np.tile(X, (MANY // 48 + 1, 1)), np.tile(y, MANY // 48 + 1)
    model = make({"max_iter": 10**6, "max_time": 0.2, "n_iter_no_change": np.inf,
                  "shuffle": False}, y, device="cuda")  # fmt: skip
    begun = time.monotonic()
    model.fit(rows, labels)
    assert time.monotonic() - begun >= 0.2
    assert model.t_ == 16 * model._optimizer.steps - (-len(rows) % 16) * (model.n_iter_ - 1) or (
        model.n_iter_ <= 1)  # fmt: skip
    assert all(np.isfinite(array).all() for array in parameters_of(model))


def test_what_a_schedule_raises_comes_out():
    def fails(epoch):
        if epoch == 2:
            raise RuntimeError("enough")
        return 0.01

    model = make({}, y, device="cuda").fit(X, y)
    twin = pickle.loads(pickle.dumps(model))
    with pytest.raises(RuntimeError, match="enough"):
        model.set_params(learning_rate=fails).fit(X, y)
    same_bits(model, twin)


class Watcher:
    """Scores the model at hand after each epoch, and stops after the fourth."""

    def __init__(self):
        self.scores = []

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(X, y))
        return context.task_name == "epoch" and context.task_id == 3


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks(solver):
    pytest.importorskip("sklearn.callback")
    watchers = [Watcher(), Watcher()]
    models = [
        make({"solver": solver}, y, device=device).set_callbacks(watcher).fit(X, y)
        for device, watcher in zip(("cpu", "cuda"), watchers, strict=True)
    ]
    agree(*models, 1e-9)
    assert watchers[0].scores == watchers[1].scores
    assert len(watchers[1].scores) == 4


# --- checkpoints ---------------------------------------------------------------------------------

STARTED = {
    "adam": ({"dropout": 0.2, "diagnostics": True}, y),
    "early stopping": ({"early_stopping": True, "solver": "nadam"}, y),
    "limits": ({"clip_norm": 0.1, "max_norm": 0.8, "activation": ["prelu", "maxout"]}, z),
    "lbfgs": ({"solver": "lbfgs", "alpha": 0.1}, z),
}
started = pytest.mark.parametrize(("parameters", "y"), STARTED.values(), ids=STARTED)


def ended_early(model, writes, monkeypatch, *data):
    """Begin a fit with a checkpoint, and end it after some writings."""
    with monkeypatch.context() as patch:
        ends_after(writes, patch)
        with pytest.raises(Ended):
            model.fit(*data)


@started
@pytest.mark.parametrize("writes", [1, 3])
def test_a_fit_goes_on_to_the_same_bits(parameters, y, writes, tmp_path, monkeypatch):
    model = make(parameters, y, device="cuda")
    expected = clone(model).fit(X, y, W)
    model.set_params(checkpoint=tmp_path / "fit", checkpoint_every=1)
    ended_early(model, writes, monkeypatch, X, y, W)
    same_bits(clone(model).fit(X, y, W), expected)
    assert not os.listdir(tmp_path)


@started
@pytest.mark.parametrize("devices", [("cpu", "cuda"), ("cuda", "cpu"), ("cpu", "cuda", "cpu")],
                         ids=" ".join)  # fmt: skip
def test_a_fit_goes_on_on_another_device(parameters, y, devices, tmp_path, monkeypatch):
    expected = make(parameters, y).fit(X, y, W)
    model = make(parameters, y, checkpoint=tmp_path / "fit", checkpoint_every=1)
    ended_early(model.set_params(device=devices[0]), 3, monkeypatch, X, y, W)
    for device in devices[1:-1]:
        with pytest.warns(UserWarning, match="was written on the engine"):
            ended_early(model.set_params(device=device), 2, monkeypatch, X, y, W)
    with pytest.warns(UserWarning, match=r"was written on the engine .* in its last digits"):
        model.set_params(device=devices[-1]).fit(X, y, W)
    agree(expected, model, 1e-9)


def test_another_precision_is_another_fit(tmp_path, monkeypatch):
    single = X.astype(np.float32)
    model = make({"checkpoint": tmp_path / "fit", "checkpoint_every": 1}, y, device="cuda")
    ended_early(model, 2, monkeypatch, single, y)
    with pytest.raises(ValueError, match="precision was 'float32', now it is 'tf32'"):
        model.set_params(precision="tf32").fit(single, y)
