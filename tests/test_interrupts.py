"""Ctrl-C and other signals: a fit ends at once, between two steps, and what it has made is kept."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron
from tests.conftest import SLOWNESS

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals are sent by os.kill"),
]

X = np.random.default_rng(0).random((200_000, 100), np.float32)
y = np.arange(len(X)) % 10
BOUND = 0.2 * SLOWNESS  # seconds


def interrupted(call, after=0.4):
    """Call, and send this process SIGINT after a while; returns the result, and seconds from it."""
    sent = []

    def send():
        time.sleep(after * SLOWNESS)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        result = call()
        seconds = time.perf_counter() - sent[0]
    finally:
        sender.join()
    return result, seconds


def best_of(attempts, call, **options):
    """The fit that ended soonest: other processes may have the core when the signal comes."""
    return min((interrupted(call, **options) for _ in range(attempts)), key=lambda pair: pair[1])


FITS = {
    "small steps": lambda: MLPClassifier((300, 300), batch_size=32).fit(X, y),
    "large steps": lambda: MLPClassifier((1024, 1024), batch_size=4096).fit(X[:30_000], y[:30_000]),
    "a regressor": lambda: MLPRegressor("huber", (300,), solver="sgd").fit(X, y / 10),
    "clipped": lambda: MLPClassifier((1024,), batch_size=8192, clip_norm=1.0).fit(X, y),
    "lbfgs": lambda: MLPClassifier((300, 300), solver="lbfgs").fit(X, y),
    "validation": lambda: MLPClassifier((300, 300)).fit(X[:40], y[:40], X_val=X, y_val=y),
    "a perceptron": lambda: Perceptron(max_iter=10**6, tol=None).fit(X, y % 2),
    "perceptrons": lambda: Perceptron(max_iter=10**6, tol=None, n_jobs=2).fit(X, y),
    "adaline": lambda: Adaline(max_iter=10**6, tol=None, eta0=1e-9).fit(X, y),
}  # fmt: skip


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_an_interrupt_ends_a_fit_at_once_and_keeps_the_model(fit):
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model, seconds = best_of(3, fit)
    assert seconds < BOUND
    parameters = [model.coef_] if hasattr(model, "coef_") else model.coefs_
    assert all(np.isfinite(weight).all() for weight in parameters)
    assert model.predict(X[:7]).shape == (7,)


@pytest.mark.parametrize("parameters", [
    {"solver": "adam"}, {"solver": "sgd"}, {"solver": "adamw", "max_norm": 1.5, "dropout": 0.2},
    {"clip_norm": 0.1}, {"hidden_layer_sizes": (1024, 1024), "batch_size": 2048},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_never_half_a_step(parameters, n_jobs):
    """The weights after k steps are those of an epoch over the first k batches alone."""
    parameters = {
        "hidden_layer_sizes": (500, 300), "batch_size": 64, "shuffle": False, "random_state": 3,
        "max_iter": 1, "n_jobs": n_jobs, **parameters,
    }  # fmt: skip
    with pytest.warns(UserWarning, match="interrupted"):
        model, _ = interrupted(lambda: MLPClassifier(**parameters).fit(X, y))
    steps = model._optimizer.steps
    rows = steps * parameters["batch_size"]
    assert 0 < rows < len(X)
    assert model.n_iter_ == 0
    expected = MLPClassifier(**parameters).fit(X[:rows], y[:rows])
    assert expected.loss_ == model.loss_
    for a, b in zip(expected.coefs_ + expected.intercepts_, model.coefs_ + model.intercepts_,
                    strict=True):  # fmt: skip
        np.testing.assert_array_equal(a, b)


def test_short_epochs_lose_nothing():
    """Not even what came after signals were last looked at: steps and weights belong together."""
    few, labels = X[:2000], y[:2000]
    parameters = {"hidden_layer_sizes": (50,), "n_iter_no_change": np.inf, "random_state": 0}
    for after in (0.3, 0.33, 0.37):
        with pytest.warns(UserWarning, match="interrupted"):
            model, _ = interrupted(
                lambda: MLPClassifier(**parameters, max_iter=10**6).fit(few, labels), after=after
            )
        epochs, steps = divmod(model._optimizer.steps, 10)
        assert epochs > 0
        if not steps:
            expected = MLPClassifier(**parameters, max_iter=epochs).fit(few, labels)
            np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])


def test_before_the_first_score_the_weights_at_hand_are_kept():
    parameters = {"hidden_layer_sizes": (500, 500), "random_state": 0, "early_stopping": True}
    labels = X[:, 0] > 0.5
    with pytest.warns(UserWarning, match="interrupted"):
        model, _ = interrupted(lambda: MLPClassifier(**parameters, batch_size=32).fit(X, labels))
    assert (model.n_iter_, model.validation_scores_) == (0, [])
    first = MLPClassifier(**parameters, max_iter=1, learning_rate_init=1e-30)
    first.fit(X[:100], labels[:100])
    assert abs(model.coefs_[0] - first.coefs_[0]).max() > 1e-3


def test_an_interrupted_fit_of_lbfgs_keeps_its_last_iteration():
    reports = []

    class Reporting(MLPClassifier):
        def _fitted(self, blocks):
            reports.append(blocks)
            return super()._fitted(blocks)

    with pytest.warns(UserWarning, match="interrupted"):
        model, _ = interrupted(lambda: Reporting((20,), solver="lbfgs", tol=0, max_iter=10**6,
                                                 max_fun=10**9).fit(X, y))  # fmt: skip
    assert model.n_iter_ > 0
    np.testing.assert_allclose(model.loss_and_gradient(X, y)[0], model.loss_, rtol=1e-5)


@pytest.mark.parametrize("method", ["predict", "hidden_activations"])
def test_an_interrupt_ends_a_prediction(method):
    model = MLPClassifier((1000, 1000), max_iter=1).fit(X[:500], y[:500])
    many = np.broadcast_to(X[:1], (1_000_000, 100))

    def call():
        with pytest.raises(KeyboardInterrupt):
            getattr(model, method)(many)

    _, seconds = best_of(3, call, after=1)  # the checks of X come first
    assert seconds < BOUND


def test_what_another_signals_handler_raises_comes_out_and_the_earlier_fit_stays():
    model = MLPClassifier((300, 300)).fit(X[:200], y[:200])
    before = dict(vars(model))

    def handler(*_):
        raise TimeoutError("too long")

    earlier = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3 * SLOWNESS)
    try:
        with pytest.raises(TimeoutError, match="too long") as raised:
            model.fit(X, y)
        assert raised.traceback[-1].name == "handler"
    finally:
        signal.signal(signal.SIGALRM, earlier)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


SCRIPT = """
import numpy as np
from fastmlp import MLPClassifier
X = np.random.default_rng(0).random((500_000, 100), np.float32)
print("begins", flush=True)
model = MLPClassifier((500, 500), batch_size=16).fit(X, np.arange(len(X)) % 10)
print("ended", model.n_iter_, len(model.predict(X[:5])), flush=True)
"""


def test_an_interrupt_from_a_terminal():
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout.readline() == "begins\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    start = time.perf_counter()
    assert process.stdout.readline() == "ended 0 5\n"
    assert time.perf_counter() - start < 5 * BOUND  # some of it is this process's own
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Training interrupted by user." in errors
