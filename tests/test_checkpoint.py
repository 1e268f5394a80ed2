"""Checkpoints: a fit that was ended at any moment and is called again ends with the same bits."""

import errno
import functools
import os
import pathlib
import signal
import time
import types

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.metrics import accuracy_score, make_scorer

from fastmlp import MLPClassifier, MLPRegressor, _native, load
from fastmlp.core import container, files
from fastmlp.training import checkpoint
from tests.midst import moments, signal_after, told
from tests.test_saving import bits

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:.*multi-threaded, use of fork:DeprecationWarning",
)

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 6))
y = np.arange(120) % 3
z = X @ rng.normal(size=6)
W = rng.uniform(0.5, 2, 120)


class Ended(BaseException):
    """As if the process had been ended."""


def ends_after(writes, monkeypatch):
    """Let the `writes`-th writing of a checkpoint be the last thing that a process does."""
    count = [0]
    write = checkpoint.Checkpoint._write

    def ending(self, training):
        write(self, training)
        count[0] += 1
        if count[0] == writes:
            raise Ended

    monkeypatch.setattr(checkpoint.Checkpoint, "_write", ending)
    monkeypatch.setattr(checkpoint.Checkpoint, "failed", lambda *args: None)


def attributes(estimator):
    """All that was fitted."""
    return {
        name: bits(value)
        for name, value in vars(estimator).items()
        if name not in estimator.get_params()
    }


def halve(epoch):
    return 0.01 / (1 + epoch)


FITS = {
    "adam": ({}, X, y),
    **{solver: ({"solver": solver}, X, y) for solver in _native.SOLVER_SLOTS if solver != "adam"},
    "momentum": ({"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False}, X, y),
    "float32": ({}, X.astype(np.float32), y),
    "sparse": ({}, scipy.sparse.csr_matrix(X), y),
    "int8": ({}, (3 * X).astype(np.int8), y),
    "labels": ({}, X, np.array(["a", "b", "ç"])[y]),
    "multilabel": ({}, X, (X[:, :3] > 0).astype(int)),
    "probabilities": ({"loss": "kl_divergence"}, X, np.eye(3)[y]),
    "weights of classes": ({"class_weight": {0: 2.0}, "label_smoothing": 0.1}, X, y),
    "weights": ({}, X, y, W),
    "early stopping": ({"early_stopping": True, "n_iter_no_change": 4}, X, y),
    "early stopping, weights": ({"early_stopping": True, "scoring": "f1_macro"}, X, y, W),
    "dropout": ({"dropout": [0.1, 0.3, 0.2]}, X, y),
    "limits": ({"max_norm": 1.0, "clip_norm": 0.1, "l1": 0.01}, X, y),
    "prelu, maxout": ({"activation": ["prelu", "maxout"]}, X, y),
    "no shuffle": ({"shuffle": False, "batch_size": 50}, X, y),
    "own schedule": ({"learning_rate": halve}, X, y),
    "cosine": ({"learning_rate": "cosine", "learning_rate_period": 3, "warmup_epochs": 2}, X, y),
    "plateau": ({"learning_rate": "plateau", "learning_rate_period": 1, "tol": 0.1}, X, y),
    "adaptive": ({"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 2},
                 X, y),
    "invscaling": ({"solver": "sgd", "learning_rate": "invscaling"}, X, y),
    "own weights": ({"hidden_layer_sizes": 2, "init": [np.ones((6, 2)), np.zeros(2), np.eye(2, 3),
                                                       np.zeros(3)]}, X, y),
    "many classes": ({"max_iter": 9}, X, np.arange(120) % 40),
    "a number": ({}, X, z),
    "numbers": ({"loss": "huber", "early_stopping": True}, X, X[:, :2]),
    "lbfgs": ({"solver": "lbfgs", "max_iter": 30}, X, y),
    "lbfgs, float32": ({"solver": "lbfgs", "max_iter": 30}, X.astype(np.float32), z),
}  # fmt: skip


def make(parameters, y, **more):
    Estimator = MLPRegressor if y.dtype.kind == "f" and "kl_" not in str(parameters) else (
        MLPClassifier)  # fmt: skip
    return Estimator(**{"hidden_layer_sizes": (5, 4), "max_iter": 12, "random_state": 3,
                        "learning_rate_init": 0.01, **parameters, **more})  # fmt: skip


@pytest.mark.parametrize(("parameters", "X", "y", *["W"]),
                         [(*fit, None)[:4] for fit in FITS.values()], ids=FITS)  # fmt: skip
@pytest.mark.parametrize("writes", [1, 2, 5])
def test_a_fit_goes_on_to_the_same_bits(parameters, X, y, W, writes, tmp_path, monkeypatch):
    path = tmp_path / "fit"
    expected = make(parameters, y).fit(X, y, W)
    estimator = make(parameters, y, checkpoint=path, checkpoint_every=1)
    with monkeypatch.context() as patch:
        ends_after(writes, patch)
        with pytest.raises(Ended):
            estimator.fit(X, y, W)
    assert os.listdir(tmp_path) == ["fit"]
    assert not attributes(estimator)
    estimator = clone(estimator).fit(X, y, W)
    assert attributes(estimator) == attributes(expected)
    assert not os.listdir(tmp_path)


def test_validation_data(tmp_path, monkeypatch):
    arguments = {"X_val": X[:40] + 0.1, "y_val": y[:40], "sample_weight_val": W[:40]}
    expected = make({"early_stopping": True}, y).fit(X, y, W, **arguments)
    clf = make({"early_stopping": True}, y, checkpoint=str(tmp_path / "fit"), checkpoint_every=2)
    with monkeypatch.context() as patch:
        ends_after(3, patch)
        with pytest.raises(Ended):
            clf.fit(X, y, W, **arguments)
    for other in ({}, {**arguments, "X_val": X[:40]}, {**arguments, "sample_weight_val": None}):
        with pytest.raises(ValueError, match="is of another fit: it was given other validation"):
            clf.fit(X, y, W, **other)
    assert attributes(clf.fit(X, y, W, **arguments)) == attributes(expected)


def test_a_warm_start(tmp_path, monkeypatch):
    path = tmp_path / "fit"
    expected = make({"warm_start": True}, y).fit(X, y).fit(X, y)
    clf = make({"warm_start": True}, y, checkpoint=path, checkpoint_every=1).fit(X, y)
    with monkeypatch.context() as patch:
        ends_after(3, patch)
        with pytest.raises(Ended):
            clf.fit(X, y)
    with pytest.raises(ValueError, match=r"it began with other weights or random numbers \(random"):
        clone(clf).fit(X, y)
    assert attributes(clf.fit(X, y)) == attributes(expected)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_generators(early_stopping, tmp_path, monkeypatch):
    """A generator ends as it would have; without one the file holds the seed."""
    path = tmp_path / "fit"
    one, other = np.random.RandomState(5), np.random.RandomState(5)
    parameters = {"early_stopping": early_stopping, "checkpoint": path, "checkpoint_every": 1}
    expected = make(parameters, y, random_state=one).fit(X, y)
    for random_state in (other, None):
        clf = make(parameters, y, random_state=random_state)
        with monkeypatch.context() as patch:
            ends_after(4, patch)
            with pytest.raises(Ended):
                clf.fit(X, y)
        first = path.read_bytes()
        if random_state is not None:
            other.seed(5)  # as the process that makes the call anew begins
            assert attributes(clf.fit(X, y)) == attributes(expected)
            assert bits(one) == bits(other)
            continue
        fitted = attributes(clf.fit(X, y))
        path.write_bytes(first)
        before = bits(np.random.mtrand._rand)
        assert attributes(clf.fit(X, y)) == fitted
        assert bits(np.random.mtrand._rand) == before


# --- processes that are killed -------------------------------------------------------------------

LARGE = rng.random((60_000, 30), np.float32)
KILLED = {
    "epochs": ({"hidden_layer_sizes": (100,), "max_iter": 100}, 1, LARGE[:5000]),
    "within epochs": ({"hidden_layer_sizes": (150, 150), "max_iter": 4, "batch_size": 50,
                       "dropout": 0.1, "early_stopping": True}, 0.001, LARGE),
    "lbfgs": ({"hidden_layer_sizes": (100,), "solver": "lbfgs", "max_iter": 100}, 2,
              LARGE[:8000]),
}  # fmt: skip


def kill_after_work(seconds):
    """Let the system end this process, at whatever point of its work it then is."""
    signal.setitimer(signal.ITIMER_PROF, seconds)  # of the processor; SIGPROF ends it on the spot


def kill_at_sync(writes):
    """End this process in the midst of writing a file, some number of writings from now."""
    sync, left = os.fsync, [writes]

    def ending(file):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(file)

    os.fsync = ending


@pytest.mark.forks
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.usefixtures("time_limit")
@pytest.mark.parametrize(("parameters", "every", "X"), KILLED.values(), ids=KILLED)
def test_a_process_that_is_killed_at_random_moments(parameters, every, X, tmp_path):
    """Ten times each, thirty in all; every third in the middle of writing the file."""
    path, result = tmp_path / "fit", tmp_path / "result"
    y = np.arange(len(X)) % 4
    clf = MLPClassifier(**parameters, random_state=0, tol=0, n_jobs=1)
    start = time.process_time()
    expected = repr(attributes(clone(clf).fit(X, y)))
    seconds = time.process_time() - start
    clf.set_params(checkpoint=path, checkpoint_every=every)
    random = np.random.default_rng(len(X))
    kills, files, ends, signals = 0, set(), 0, []
    while kills < 10 or not ends:
        child = os.fork()
        if not child:
            try:
                if kills % 3 == 2 and kills < 10:
                    kill_at_sync(random.integers(2, 8))
                elif kills < 10:
                    kill_after_work(random.uniform(0.001, seconds / 2))
                result.write_text(repr(attributes(clf.fit(X, y))))
            finally:
                os._exit(0)
        random.random()  # the next child draws other moments
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            signals.append(os.WTERMSIG(status))
            kills += 1
            files |= {path.read_bytes()} if path.exists() else set()
        else:
            ends += 1
            assert result.read_text() == expected
            assert os.listdir(tmp_path) == ["result"]
    assert set(signals) == {signal.SIGPROF, signal.SIGKILL}
    assert len(files) > 3


@pytest.fixture(params=[SystemExit, KeyboardInterrupt])
def signalled(request):
    """Calls a function and sends it SIGTERM after an event, whose handler raises one or the other;
    what the function returns, None where it raised."""

    def call(function, event):
        def handler(*_):
            raise request.param

        earlier = signal.signal(signal.SIGTERM, handler)
        try:
            with signal_after(event, signal.SIGTERM):
                if request.param is SystemExit:
                    with pytest.raises(SystemExit):
                        function()
                    return None
                with pytest.warns(UserWarning, match="interrupted"):
                    return function()
        finally:
            signal.signal(signal.SIGTERM, earlier)

    return call


TWICE = np.tile(LARGE, (2, 1))
INTERRUPTED = {"hidden_layer_sizes": (300, 300), "batch_size": 20, "max_iter": 1,
               "random_state": 0, "n_jobs": 1}  # fmt: skip


@functools.cache
def never_interrupted():
    return attributes(MLPClassifier(**INTERRUPTED).fit(TWICE, np.arange(len(TWICE)) % 4))


def test_an_interrupted_fit_goes_on_where_it_was(signalled, tmp_path):
    """Within an epoch, long before a checkpoint was due; and again when it had gone on."""
    path = tmp_path / "fit"
    y = np.arange(len(TWICE)) % 4
    clf = MLPClassifier(**INTERRUPTED, checkpoint=path)
    before = 0
    for _ in range(2):
        with told("train", asked=True) as a_step:
            interrupted = signalled(lambda: clf.fit(TWICE, y), a_step)
        rows, counted, _, _, steps = checkpoint.Checkpoint(path, 60.0).state["epoch"]
        assert rows == counted == 20 * steps
        assert before < steps < 6000
        if interrupted is not None:
            assert steps == clf._optimizer.steps
        before = steps
    assert attributes(clf.fit(TWICE, y)) == never_interrupted()
    assert not path.exists()


def test_interrupted_short_epochs_go_on_where_they_were(signalled, tmp_path):
    """Between two epochs, or before or after the one step that each of them has."""
    path = tmp_path / "fit"
    waits = False

    def rate(epoch):
        """Towards its end the fit waits for a signal that a busy machine keeps back."""
        while waits and epoch > 2900:
            time.sleep(0.001)
        return 0.01

    parameters = {"max_iter": 3000, "n_iter_no_change": np.inf, "learning_rate": rate}
    expected = make(parameters, y).fit(X, y)
    clf = make(parameters, y, checkpoint=path)
    waits = True
    with told("train", 150) as event:
        signalled(lambda: clf.fit(X, y), event)
    waits = False
    state = checkpoint.Checkpoint(path, 60.0).state
    assert state["steps"] == state["records"]["n_iter_"] > 100
    rows, *_, steps = state["epoch"] or (0, 0)
    assert rows == 120 * steps
    assert attributes(clf.fit(X, y)) == attributes(expected)


class Slow:
    """A scorer or a callable rate that raises once, in the midst of a fit."""

    def __init__(self, value, calls, error):
        self.value, self.calls, self.error = value, calls, error

    def __call__(self, *args):
        self.calls -= 1
        if self.calls == 0:
            raise self.error
        return self.value


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize(("parameter", "value"), [("learning_rate", 0.01), ("scoring", 0.5)])
def test_a_fit_goes_on_from_what_its_callables_raised(parameter, value, error, tmp_path):
    parameters = {"early_stopping": True, "max_iter": 8, "tol": 0}
    expected = make(parameters, y, **{parameter: Slow(value, 0, None)}).fit(X, y)
    first = parameter == "scoring"  # called before the first epoch, too
    slow = Slow(value, 6 + first, error)
    clf = make(parameters, y, **{parameter: slow}, checkpoint=tmp_path / "fit")
    if error is KeyboardInterrupt:
        with pytest.warns(UserWarning, match="interrupted"):
            clf.fit(X, y)
        assert clf.n_iter_ == 5
    else:
        with pytest.raises(error):
            clf.fit(X, y)
    calls = getattr(clf, parameter)
    assert calls.calls == 0
    clf.fit(X, y)
    assert calls.calls == -(9 - 6 + first)  # not for the epochs before
    assert bits(clf.coefs_) == bits(expected.coefs_)
    assert bits(clf.validation_scores_) == bits(expected.validation_scores_)


def test_an_interrupted_fit_of_lbfgs_goes_on_where_it_was(signalled, tmp_path):
    path = tmp_path / "fit"
    y = np.arange(len(LARGE)) % 4
    parameters = {"hidden_layer_sizes": (100,), "solver": "lbfgs", "max_iter": 60, "tol": 0,
                  "random_state": 0}  # fmt: skip
    expected = MLPClassifier(**parameters).fit(LARGE, y)
    clf = MLPClassifier(**parameters, checkpoint=path, checkpoint_every=1000)
    with told("gradient", 10) as event:
        interrupted = signalled(lambda: clf.fit(LARGE, y), event)
    assert interrupted is None or 0 < clf.n_iter_ < 60
    evaluated = len(checkpoint.Checkpoint(path, 60.0).state["evaluations"])
    calls = []
    gradient = _native.Network32.gradient
    try:
        _native.Network32.gradient = lambda *a, **k: calls.append(1) or gradient(*a, **k)
        assert attributes(clf.fit(LARGE, y)) == attributes(expected)
    finally:
        _native.Network32.gradient = gradient
    assert evaluated > 2
    assert len(calls) < 80 - evaluated


def test_a_lbfgs_that_goes_another_way_is_not_led_by_the_file(tmp_path, monkeypatch):
    """As of another SciPy: its fit is then the one that it makes without a file."""
    import scipy.optimize

    minimize = scipy.optimize.minimize

    def other(*args, options, **more):
        return minimize(*args, options={**options, "maxcor": 3}, **more)

    clf = make({"solver": "lbfgs", "max_iter": 40, "tol": 0}, y, checkpoint=tmp_path / "fit",
               checkpoint_every=10)  # fmt: skip
    with monkeypatch.context() as patch:
        ends_after(4, patch)
        with pytest.raises(Ended):
            clf.fit(X, y)
    monkeypatch.setattr(scipy.optimize, "minimize", other)
    expected = clone(clf).set_params(checkpoint=None).fit(X, y)
    assert attributes(clf.fit(X, y)) == attributes(expected)


def test_lbfgs_does_not_fall_behind_its_file_for_lack_of_time(tmp_path, monkeypatch):
    path = tmp_path / "fit"
    clf = make({"solver": "lbfgs", "max_iter": 40, "tol": 0}, y, checkpoint=path,
               checkpoint_every=10, max_time=100.0)  # fmt: skip
    with monkeypatch.context() as patch:
        ends_after(4, patch)
        with pytest.raises(Ended):
            clf.fit(X, y)
    monkeypatch.setattr("fastmlp.training.lbfgs.monotonic", lambda: time.monotonic() + next(later))
    later = iter([0.0] + 10**3 * [200.0])  # it is late from the first iteration on
    assert 30 < clf.fit(X, y).n_iter_ < 33


# --- when it is written --------------------------------------------------------------------------


def epochs_written(monkeypatch):
    epochs = []
    write = checkpoint.Checkpoint._write
    monkeypatch.setattr(checkpoint.Checkpoint, "_write",
                        lambda *args: (epochs.append(args[1].n_iter), write(*args)))  # fmt: skip
    return epochs


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(("every", "expected"), [
    (1, [0, 1, 2, 3, 4, 5, 6, 7, 8]), (2, [0, 2, 4, 6, 8]), (4, [0, 4, 8]), (100, [0]),
    (np.int64(4), [0, 4, 8]), (60.0, [0]), (1e-9, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
])  # fmt: skip
def test_every_so_many_epochs_or_seconds(every, expected, solver, tmp_path, monkeypatch):
    epochs = epochs_written(monkeypatch)
    clf = make({"max_iter": 9, "tol": 0, "solver": solver}, y)
    clf.set_params(checkpoint=tmp_path / "fit", checkpoint_every=every).fit(X, y)
    assert epochs == expected


def test_seconds_count_within_an_epoch_too(tmp_path, monkeypatch):
    epochs = epochs_written(monkeypatch)
    MLPClassifier((300, 300), batch_size=8, max_iter=1, checkpoint=tmp_path / "fit",
                  checkpoint_every=1e-9).fit(LARGE, np.arange(len(LARGE)) % 4)  # fmt: skip
    assert len(epochs) > 3
    assert set(epochs) == {0}


def test_a_fit_ends_by_its_time_limit(tmp_path, monkeypatch):
    """The seconds before the process was ended count; a fit that ends in time leaves no file."""
    clf = make({"max_iter": 10**6, "tol": 0, "n_iter_no_change": np.inf, "max_time": 3600.0}, y,
               checkpoint=tmp_path / "fit", checkpoint_every=0.4)  # fmt: skip
    start = time.monotonic()
    with monkeypatch.context() as patch:
        ends_after(2, patch)
        with pytest.raises(Ended):
            clf.fit(X, y)
    most = time.monotonic() - start
    begins = checkpoint.Checkpoint.begins

    def restored(self, training):
        assert 0.4 <= self.state["seconds"] <= most
        self.state["seconds"] += 3599.5  # as if it had been at work for longer
        begins(self, training)

    monkeypatch.setattr(checkpoint.Checkpoint, "begins", restored)
    ends = moments(clf.set_params(verbose=True).fit, X, y)
    # an epoch that ends when the rest of the time is over is the last one
    assert sum(end > ends[0] + 0.1 for end in ends) <= 1
    assert not os.listdir(tmp_path)


def test_partial_fit_has_no_checkpoint(tmp_path):
    clf = make({}, y, checkpoint=tmp_path / "missing" / "fit").partial_fit(X, y, classes=[0, 1, 2])
    assert clf.t_ == 120


def test_the_file_is_of_the_models_size(tmp_path, monkeypatch):
    """Weights, adam's two moments, the order of rows; no data."""
    path = tmp_path / "fit"
    many = np.random.default_rng(1).random((3000, 200))
    ends_after(3, monkeypatch)
    with pytest.raises(Ended):
        MLPClassifier((50,), checkpoint=path, checkpoint_every=1).fit(many, np.arange(3000) % 2)
    expected = 8 * (3 * (200 * 50 + 50 + 50 + 1) + 3000 + 624 / 2)
    assert expected < path.stat().st_size < 1.1 * expected


# --- errors --------------------------------------------------------------------------------------


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A fit with a checkpoint after three epochs."""
    path = tmp_path / "fit"
    clf = make({}, y, checkpoint=path, checkpoint_every=1)
    with monkeypatch.context() as patch:
        ends_after(4, patch)
        with pytest.raises(Ended):
            clf.fit(X, y)
    return clf


OTHER = {
    "alpha": ({"alpha": 0.5}, (X, y), r"alpha was 0.0001, now it is 0.5"),
    "several": ({"alpha": 0.5, "max_iter": 99}, (X, y), r"alpha was .*; max_iter was 12, now it"),
    "the seed": ({"random_state": 4}, (X, y), "random_state was 3, now it is 4"),
    "a generator": ({"random_state": np.random.RandomState(3)}, (X, y),
                    "random_state was 3, now it is a RandomState"),
    "a function": ({"learning_rate": halve}, (X, y), "learning_rate was 'constant', now it is "
                   "tests.test_checkpoint.halve"),
    "an object": ({"learning_rate": Slow(1, 0, None)}, (X, y),
                  ".*now it is tests.test_checkpoint.Slow"),
    "a partial function": ({"learning_rate": functools.partial(halve, 1)}, (X, y),
                           r".*now it is partial\[tests.test_checkpoint.halve, \[1\], {}\]"),
    "a scorer": ({"scoring": make_scorer(accuracy_score)}, (X, y),
                 r".*now it is make_scorer\(accuracy_score"),
    "sizes": ({"hidden_layer_sizes": (5, 5)}, (X, y),
              r"hidden_layer_sizes was \[5, 4\], now it is \[5, 5\]"),
    "X": ({}, (X + 1e-9, y), "it was given other data"),
    "a type": ({}, (X.astype(np.float32), y), "it was given other data"),
    "rows": ({}, (X[:-1], y[:-1]), "it was given other data"),
    "y": ({}, (X, (y + 1) % 3), "it was given other data"),
    "labels": ({}, (X, y + 1), "it was given other data"),
    "weights": ({}, (X, y, W), "it was given other data"),
    "columns": ({}, (pd.DataFrame(X, columns=list("abcdef")), y), "it was given other data"),
}  # fmt: skip


@pytest.mark.parametrize(("parameters", "data", "text"), OTHER.values(), ids=OTHER)
def test_the_file_of_another_fit_is_an_error(parameters, data, text, begun):
    content = pathlib.Path(begun.checkpoint).read_bytes()
    with pytest.raises(ValueError, match=rf"checkpoint='.*fit' is of another fit: {text}.*delete"):
        clone(begun).set_params(**parameters).fit(*data)
    assert pathlib.Path(begun.checkpoint).read_bytes() == content
    expected = clone(begun).set_params(checkpoint=None).fit(X, y)
    # these make no other model
    same = {"hidden_layer_sizes": [np.int64(5), 4], "alpha": np.float64(0.0001), "n_jobs": 1,
            "checkpoint_every": np.float32(3), "random_state": np.int64(3)}  # fmt: skip
    assert attributes(begun.set_params(**same).fit(X, y)) == attributes(expected)


def test_it_is_told_that_a_fit_goes_on(begun, capsys):
    begun.set_params(verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Going on from checkpoint=")
    assert lines[0].endswith("written after 3 epochs or iterations")
    assert lines[1].startswith("Iteration 4, loss")


@pytest.mark.parametrize("more", [{}, {"early_stopping": True}, {"dropout": 0.1}], ids=str)
def test_another_generators_fit_is_another_fit(more, tmp_path, monkeypatch):
    """Where it draws no weights, either."""
    clf = make({**FITS["own weights"][0], **more}, y, checkpoint=tmp_path / "fit")
    with monkeypatch.context() as patch:
        ends_after(1, patch)
        with pytest.raises(Ended):
            clf.set_params(random_state=np.random.RandomState(5)).fit(X, y)
    with pytest.raises(ValueError, match="other weights or random numbers"):
        clf.set_params(random_state=np.random.RandomState(6)).fit(X, y)
    clf.set_params(random_state=np.random.RandomState(5)).fit(X, y)


def test_another_estimator_is_another_fit(begun):
    reg = MLPRegressor(checkpoint=begun.checkpoint)
    with pytest.raises(ValueError, match="is of another fit: of MLPClassifier"):
        reg.fit(X, z)


@pytest.mark.parametrize(("content", "text"), [
    (b"", "the file is empty"), (b"my only copy of a poem", "no safetensors file"),
    (b"\0" * 100, "no safetensors file, or damaged"),
])  # fmt: skip
def test_a_file_that_is_no_checkpoint_is_left_alone(content, text, tmp_path):
    path = tmp_path / "poem"
    path.write_bytes(content)
    clf = make({}, y).fit(X, y)
    before = dict(vars(clf))
    clf.set_params(checkpoint=str(path))
    with pytest.raises(ValueError, match=rf"checkpoint='.*poem' cannot be used: .*{text}"):
        clf.fit(X, y)
    assert path.read_bytes() == content
    assert all(vars(clf)[name] is before[name] for name in before if name.endswith("_"))


def test_a_saved_model_is_no_checkpoint_and_the_other_way_round(begun, tmp_path):
    with pytest.raises(ValueError, match="it is the checkpoint of a fit, not a saved model"):
        load(begun.checkpoint)
    make({}, y).fit(X, y).save(tmp_path / "model")
    with pytest.raises(ValueError, match="it is a saved model, not the checkpoint of a fit"):
        make({}, y, checkpoint=tmp_path / "model").fit(X, y)


def test_a_damaged_checkpoint_is_refused(begun):
    path = pathlib.Path(begun.checkpoint)
    content = path.read_bytes()
    for place in np.linspace(0, len(content) - 1, 60).astype(int):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        for damaged in (bytes(flipped), content[:place]):
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match=r"checkpoint='.*fit' cannot be used: "):
                begun.fit(X, y)
            assert path.read_bytes() == damaged


def test_a_checkpoint_of_a_newer_version(begun, monkeypatch):
    monkeypatch.setattr(checkpoint, "_FORMAT", 0)
    with pytest.raises(ValueError, match="it has format 1, of a newer version of fastmlp"):
        begun.fit(X, y)


def test_a_checkpoint_of_another_version(begun, monkeypatch):
    monkeypatch.setattr(checkpoint, "version", lambda name: "9.0")
    with pytest.raises(ValueError, match=r"written by fastmlp \d.*, this is 9.0. End the fit with"):
        begun.fit(X, y)


@pytest.mark.parametrize("forge", [
    lambda s: s.clear(),
    lambda s: s["records"].update(n_features_in_=99),
    lambda s: s["records"].pop("loss_"),
    lambda s: s.update(slots=s["slots"][:1]),
    lambda s: s.update(slots=[[block[:1] for block in s["slots"][0]]] * 3),
    lambda s: s.update(permutation=s["permutation"][:5]),
    lambda s: s.update(schedule=3),
    lambda s: s.update(random_state=None),
    lambda s: s.update(steps="x"),
    lambda s: s.update(epoch=(-20, 0, 0.0, 0.0, 0)),
    lambda s: s.update(epoch=(20, 0)),
    lambda s: s.update(permutation=np.full(120, 120)),
], ids=range(12))  # fmt: skip
def test_a_state_that_no_training_made_is_refused(forge, begun, monkeypatch):
    begins = checkpoint.Checkpoint.begins

    def forged(self, training):
        forge(self.state)
        begins(self, training)

    monkeypatch.setattr(checkpoint.Checkpoint, "begins", forged)
    with pytest.raises((ValueError, TypeError)):
        begun.fit(X, y)
    assert not hasattr(begun, "coefs_")


def test_a_checkpoint_of_another_engine(begun, monkeypatch):
    monkeypatch.setattr(checkpoint, "_native", types.SimpleNamespace(engine=lambda: "other"))
    with pytest.warns(UserWarning, match=r"was written on the engine .* will differ in its last"):
        begun.fit(X, y)


@pytest.mark.parametrize("path", ["missing/fit", ".", "\0", "fit/", "\ud800", "x" * 999])
def test_a_path_that_cannot_be_written_is_an_error_before_training(path, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(
        "fastmlp.training.optimizer.Optimizer.make_steps", lambda *args: trained.append(1)
    )
    clf = make({}, y, checkpoint=os.path.join(tmp_path, path))
    with pytest.raises((OSError, ValueError), match=r"checkpoint="):
        clf.fit(X, y)
    assert not trained
    assert not hasattr(clf, "coefs_")
    assert not os.listdir(tmp_path)


def test_a_file_that_cannot_be_read(begun, monkeypatch):
    def fails(*args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(checkpoint, "read", fails)
    with pytest.raises(PermissionError, match=r"checkpoint='.*fit' cannot be read: Permission"):
        begun.fit(X, y)


def test_the_file_stays_where_it_is_when_the_process_goes_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    def goes_elsewhere(epoch):
        if epoch == 2:
            os.chdir("elsewhere")
        return 0.01

    make({"learning_rate": goes_elsewhere}, y, checkpoint="fit", checkpoint_every=1).fit(X, y)
    assert os.listdir(tmp_path) == ["elsewhere"]
    assert not os.listdir()


def test_a_link_is_followed(tmp_path, monkeypatch):
    (tmp_path / "store").mkdir()
    (tmp_path / "fit").symlink_to(tmp_path / "store" / "real")
    clf = make({}, y, checkpoint=tmp_path / "fit", checkpoint_every=1)
    with monkeypatch.context() as patch:
        ends_after(4, patch)
        with pytest.raises(Ended):
            clf.fit(X, y)
    assert os.listdir(tmp_path / "store") == ["real"]
    clf.fit(X, y)
    assert not os.listdir(tmp_path / "store")
    assert (tmp_path / "fit").is_symlink()


def test_a_fit_that_diverges_removes_its_file(tmp_path):
    """Going on from it would lead there again; with other parameters it would be in the way."""
    for solver, rate, more in (("sgd", 1e6, {}), ("lbfgs", 0.1, {"alpha": 1e308})):
        reg = make({"solver": solver, "learning_rate_init": rate, **more}, z,
                   checkpoint=tmp_path / "fit", checkpoint_every=1)  # fmt: skip
        with pytest.raises(ValueError, match="diverged"), np.errstate(all="ignore"):
            reg.fit(1e3 * X, 1e3 * z)
        assert not os.listdir(tmp_path)


def test_a_state_that_outgrows_the_format_is_a_warning(tmp_path, monkeypatch):
    clf = make({}, y, checkpoint=tmp_path / "fit", checkpoint_every=1)
    expected = make({}, y).fit(X, y)

    def shrinks(epoch):
        if epoch == 3:
            monkeypatch.setattr(container, "_MAX_HEADER", 10)
        return 0.01

    clf.set_params(learning_rate=shrinks)
    with pytest.warns(RuntimeWarning, match="longer than the format allows. Training goes on"):
        clf.fit(X, y)
    assert clf.loss_curve_ == expected.loss_curve_


def test_a_generator_that_no_file_can_hold(tmp_path):
    random = np.random.RandomState(np.random.PCG64(0))
    clf = make({}, y, checkpoint=tmp_path / "fit", random_state=random)
    with pytest.raises(ValueError, match=r"checkpoint='.*fit' cannot be written: .* cannot hold"):
        clf.fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_full_disk_leaves_training_and_the_last_checkpoint(solver, begun, monkeypatch):
    """Later writings fail: each is a warning, training goes on to the same model."""
    path = pathlib.Path(begun.checkpoint)
    clf = begun
    if solver == "lbfgs":
        path.unlink()
        clf.set_params(solver="lbfgs")
    expected = clone(clf).set_params(checkpoint=None).fit(X, y)
    replace_file, contents = files.replace_file, []

    def fails_after_the_first(name, data):
        if not contents and solver == "lbfgs":
            replace_file(name, data)
            contents.append(path.read_bytes())
            return
        contents.append(path.read_bytes())
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "replace_file", fails_after_the_first)
    with pytest.warns(RuntimeWarning, match=r"fit' cannot be written: No space.*Training goes on"):
        clf.fit(X, y)
    assert attributes(clf) == attributes(expected)
    assert len(contents) > 5
    assert len(set(contents)) == 1
    assert not path.exists()


def test_a_limit_on_the_size_of_files(tmp_path):
    """A real error of the system, at the first writing and at a later one."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "fit"
    clf = make({"hidden_layer_sizes": (100, 100)}, y, checkpoint=path, checkpoint_every=1)
    expected = clone(clf).set_params(checkpoint=None).fit(X, y)
    earlier = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, earlier[1]))
    try:
        with pytest.raises(OSError, match=r"checkpoint='.*fit' cannot be written: File too large"):
            clf.fit(X, y)
        assert not hasattr(clf, "coefs_")
        assert not os.listdir(tmp_path)
        resource.setrlimit(resource.RLIMIT_FSIZE, earlier)

        def limit_after_two_epochs(epoch):
            if epoch == 2:
                resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, earlier[1]))
            return 0.01

        clf.set_params(learning_rate=limit_after_two_epochs)
        with pytest.warns(RuntimeWarning, match="File too large. Training goes on"):
            clf.fit(X, y)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, earlier)
    np.testing.assert_array_equal(clf.coefs_[0], expected.coefs_[0])
    assert not os.listdir(tmp_path)


def test_a_file_that_cannot_be_removed_is_a_warning(tmp_path, monkeypatch):
    path = tmp_path / "fit"
    clf = make({}, y, checkpoint=path)

    def fails(path):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("fastmlp.training.checkpoint.os.unlink", fails)
    with pytest.warns(RuntimeWarning, match=r"of a fit that has ended cannot be removed: Operat"):
        clf.fit(X, y)
    assert clf.n_iter_ == 12


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    name = "f" * 200
    mine, other = (files._temporary(str(tmp_path / name)) for name in (name, name + "2"))
    for left in (f"{mine}01.tmp", f"{mine}01", f"{other}01.tmp", "fit.tmp"):
        (tmp_path / left).write_text("x")
    make({}, y, checkpoint=tmp_path / name).fit(X, y)
    assert sorted(os.listdir(tmp_path)) == sorted([f"{mine}01", f"{other}01.tmp", "fit.tmp"])


def test_the_parameter_is_saved_with_the_model(tmp_path):
    clf = make({}, y, checkpoint=tmp_path / "fit").fit(X, y)
    clf.save(tmp_path / "model")
    assert load(tmp_path / "model").checkpoint == str(tmp_path / "fit")
