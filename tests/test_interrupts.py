"""Ctrl-C and other signals: a fit ends at once, between two steps, and what it has made is kept."""

import contextlib
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from threadpoolctl import threadpool_limits

from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron, _native
from tests.conftest import LIMIT, SLOWNESS
from tests.midst import signal_after, told

pytestmark = [
    pytest.mark.usefixtures("time_limit"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals are sent by os.kill"),
]

X = np.random.default_rng(0).random((200_000, 100), np.float32)
y = np.arange(len(X)) % 10


def bound():
    """Seconds of the processor in which a fit ends, some 0.2 on a core with AVX2.

    Signals are looked at every 0.05 s, and what has begun then is at most 6e9 multiply-adds: as
    NumPy does them here and now, on one thread.
    """
    a, b = np.ones((2000, 1500), np.float32), np.ones((1500, 2000), np.float32)
    with threadpool_limits(1):
        start = time.thread_time()
        a @ b
        return (0.05 + time.thread_time() - start) * SLOWNESS


def interrupted(call, method, times=1, *, asked=False):
    """What a call returns that is sent SIGINT within a method of the core, and seconds from it."""
    with told(method, times, asked=asked) as event, signal_after(event) as since:
        return call(), since()


def share_of_bound(call, method, times):
    """What the call returns, and its seconds from a signal to the end as a share of the bound.

    The least of three: waiting for a thread that has no core just now takes the processor too.
    """
    shares = []
    for _ in range(3):
        limit = bound()
        result, seconds = interrupted(call, method, times)
        shares.append(seconds / limit)
    return result, min(shares)


FITS = {
    "small steps": (lambda: MLPClassifier((300, 300), batch_size=32).fit(X, y), "train", 1),
    "large steps": (lambda: MLPClassifier((1024, 1024), batch_size=4096).fit(X[:30_000],
                                                                            y[:30_000]),
                    "train", 1),
    "a regressor": (lambda: MLPRegressor("huber", (300,), solver="sgd").fit(X, y / 10), "train", 1),
    "clipped": (lambda: MLPClassifier((1024,), batch_size=8192, clip_norm=1.0).fit(X, y), "train",
                1),
    "lbfgs": (lambda: MLPClassifier((300, 300), solver="lbfgs").fit(X, y), "gradient", 1),
    "validation": (lambda: MLPClassifier((300, 300)).fit(X[:40], y[:40], X_val=X, y_val=y),
                   "evaluate", 1),
    "a perceptron": (lambda: Perceptron(max_iter=10**6, tol=None).fit(X, y % 2), "epoch", 5),
    "perceptrons": (lambda: Perceptron(max_iter=10**6, tol=None, n_jobs=2).fit(X, y), "epoch", 20),
    "adaline": (lambda: Adaline(max_iter=10**6, tol=None, eta0=1e-9).fit(X, y), "train", 5),
}  # fmt: skip


@pytest.mark.parametrize(("fit", "method", "times"), FITS.values(), ids=FITS)
def test_an_interrupt_ends_a_fit_at_once_and_keeps_the_model(fit, method, times):
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model, share = share_of_bound(fit, method, times)
    assert share < 1
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
        model, _ = interrupted(lambda: MLPClassifier(**parameters).fit(X, y), "train", asked=True)
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
    parameters = {"hidden_layer_sizes": (50,), "n_iter_no_change": np.inf, "random_state": 0,
                  "shuffle": False}  # fmt: skip
    for begun in (100, 150, 200):
        clf = MLPClassifier(**parameters, max_iter=10**6)
        with pytest.warns(UserWarning, match="interrupted"):
            model, _ = interrupted(lambda clf=clf: clf.fit(few, labels), "train", begun)
        epochs, steps = divmod(model._optimizer.steps, 10)
        assert epochs >= begun - 1
        expected = MLPClassifier(**parameters, max_iter=epochs).fit(few, labels)
        if steps:  # it came within an epoch that took long enough for signals to be looked at
            expected.partial_fit(few[: 200 * steps], labels[: 200 * steps])
        np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])


@contextlib.contextmanager
def lost(epoch):
    """Ctrl-C comes when the core has trained that epoch and before Python has what it returns."""
    train, n = _native.Network32.train, 0

    def loses(*args, **options):
        nonlocal n
        n += 1
        result = train(*args, **options)
        if n == epoch:
            raise KeyboardInterrupt
        return result

    _native.Network32.train = loses
    try:
        yield
    finally:
        _native.Network32.train = train


@pytest.mark.parametrize("epoch", [1, 4])
def test_steps_count_whose_result_a_signal_keeps_back(epoch, tmp_path):
    few, labels = X[:500], y[:500]
    parameters = {"hidden_layer_sizes": (20,), "max_iter": 6, "random_state": 0}
    with lost(epoch), pytest.warns(UserWarning, match="interrupted"):
        clf = MLPClassifier(**parameters).fit(few, labels)
    assert clf.n_iter_ == epoch - 1
    assert clf._optimizer.steps == 3 * epoch
    expected = MLPClassifier(**{**parameters, "max_iter": epoch}).fit(few, labels)
    np.testing.assert_array_equal(clf.coefs_[0], expected.coefs_[0])
    if epoch == 1:
        assert clf.loss_ == expected.loss_

    file = tmp_path / "state"
    saved = MLPClassifier(**parameters, checkpoint=file, checkpoint_every=1)
    with lost(epoch), pytest.warns(UserWarning, match="interrupted"):
        clone(saved).fit(few, labels)
    resumed, whole = saved.fit(few, labels), MLPClassifier(**parameters).fit(few, labels)
    assert resumed.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(resumed.coefs_[0], whole.coefs_[0])


SEARCHED = MLPClassifier((200,), max_iter=20, n_iter_no_change=20)
FEW = slice(10_000)


def test_an_interrupt_within_cross_validation_ends_one_fit_only():
    def search():
        return cross_validate(SEARCHED, X[FEW], y[FEW], cv=3, return_estimator=True)

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        results, _ = interrupted(search, "train")
    first, *others = [model.n_iter_ for model in results["estimator"]]
    assert first < 20
    assert others == [20, 20]
    assert np.isfinite(results["test_score"]).all()


@pytest.mark.parametrize("search", [
    lambda: cross_validate(SEARCHED, X[FEW], y[FEW], cv=3, error_score="raise"),
    lambda: GridSearchCV(SEARCHED, {"alpha": [0, 1]}, cv=3, error_score="raise").fit(X[FEW],
                                                                                     y[FEW]),
], ids=["cross_validate", "GridSearchCV"])  # fmt: skip
def test_an_interrupt_ends_a_search_where_its_warning_is_an_error(search, monkeypatch):
    fits = []
    fit = MLPClassifier.fit
    monkeypatch.setattr(
        MLPClassifier, "fit", lambda self, *arrays: fits.append(self) or fit(self, *arrays)
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Training interrupted")
        with pytest.raises(UserWarning, match="Training interrupted by user"):
            interrupted(search, "train")
    assert len(fits) == 1


def test_before_the_first_score_the_weights_at_hand_are_kept():
    parameters = {"hidden_layer_sizes": (500, 500), "random_state": 0, "early_stopping": True}
    labels = X[:, 0] > 0.5
    clf = MLPClassifier(**parameters, batch_size=32)
    with pytest.warns(UserWarning, match="interrupted"):
        model, _ = interrupted(lambda: clf.fit(X, labels), "train", 3, asked=True)
    assert (model.n_iter_, model.validation_scores_) == (0, [])
    first = MLPClassifier(**parameters, max_iter=1, learning_rate_init=1e-30)
    first.fit(X[:100], labels[:100])
    assert abs(model.coefs_[0] - first.coefs_[0]).max() > 1e-3


def test_an_interrupted_fit_of_lbfgs_keeps_its_last_iteration():
    clf = MLPClassifier((20,), solver="lbfgs", tol=0, max_iter=10**6, max_fun=10**9, random_state=0)
    with pytest.warns(UserWarning, match="interrupted"):
        model, _ = interrupted(lambda: clf.fit(X, y), "gradient", 10)
    assert 0 < model.n_iter_ < 10**6
    np.testing.assert_allclose(model.loss_and_gradient(X, y)[0], model.loss_, rtol=1e-5)


@pytest.mark.parametrize("method", ["predict", "hidden_activations"])
def test_an_interrupt_ends_a_prediction(method):
    model = MLPClassifier((1000, 1000), max_iter=1).fit(X[:500], y[:500])
    many = np.broadcast_to(X[:1], (1_000_000, 100))

    def call():
        with pytest.raises(KeyboardInterrupt):
            getattr(model, method)(many)

    _, share = share_of_bound(call, "predict", 1)
    assert share < 1


def test_what_another_signals_handler_raises_comes_out_and_the_earlier_fit_stays():
    model = MLPClassifier((300, 300)).fit(X[:200], y[:200])
    before = dict(vars(model))

    def handler(*_):
        raise TimeoutError("too long")

    earlier = signal.signal(signal.SIGALRM, handler)
    try:
        with (
            pytest.raises(TimeoutError, match="too long") as raised,
            told("train", asked=True) as a_step,
            signal_after(a_step, signal.SIGALRM),
        ):
            model.fit(X, y)
        assert raised.traceback[-1].name == "handler"
    finally:
        signal.signal(signal.SIGALRM, earlier)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


SCRIPT = """
import os, signal, socket, threading, time
import numpy as np
from fastmlp import MLPClassifier

def work(epoch):
    threading.Thread(target=tell).start()
    return 0.001

def tell():
    begun = time.process_time()
    while time.process_time() < begun + 0.5:
        time.sleep(0.001)
    print("within the epoch", flush=True)
    received.recv(1)
    at.append(time.process_time())

X = np.random.default_rng(0).random((500_000, 100), np.float32)
received, written, at = *socket.socketpair(), []
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored in the background
written.setblocking(False)
signal.set_wakeup_fd(written.fileno())
model = MLPClassifier((500, 500), batch_size=16, learning_rate=work).fit(X, np.arange(len(X)) % 10)
ended = time.process_time()
while not at:
    time.sleep(0.001)
print("ended", model.n_iter_, len(model.predict(X[:5])), ended - at[0], flush=True)
"""


def test_an_interrupt_from_a_terminal():
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout.readline() == "within the epoch\n"
    limit = bound() * _native.max_threads()  # for its seconds are those of all threads
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    *words, seconds = output.split()
    assert words == ["ended", "0", "5"]
    assert float(seconds) < 2 * limit
    assert "Training interrupted by user." in errors
