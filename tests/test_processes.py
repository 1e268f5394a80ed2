"""Processes that fork, threads that share, libraries side by side. Each test has a time limit."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_info, threadpool_limits

from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron, _native, load
from fastmlp.core.threads import n_threads
from tests.conftest import LIMIT
from tests.midst import told

pytestmark = [
    pytest.mark.usefixtures("time_limit"),
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:.*use of fork:DeprecationWarning"
    ),
]


def forks(test):
    """Mark a test that forks."""
    return pytest.mark.forks(pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")(test))


X, y = load_digits(return_X_y=True)
X = X.astype(np.float32)


def fit_and_predict(seed=0):
    """Each kind of training and prediction, some of them on several threads."""
    clf = MLPClassifier((300,), max_iter=3, random_state=seed).fit(X, y)
    reg = MLPRegressor("squared_error", (20,), solver="lbfgs", max_iter=5, random_state=seed)
    return [
        clf.predict_proba(X),
        clf.predict(X[:1]),
        reg.fit(X, y).predict(X),
        Perceptron(max_iter=5, n_jobs=2).fit(X, y).coef_,
        Adaline(max_iter=5, eta0=1e-7).fit(X, y).coef_,
    ]


def assert_same(results, expected):
    for result, right in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, right)


# --- processes -----------------------------------------------------------------------------------


@pytest.mark.forks
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_after_training(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    expected = fit_and_predict()
    with multiprocessing.get_context(method).Pool(2) as pool:
        for results in pool.map_async(fit_and_predict, [0, 0, 0]).get(timeout=LIMIT):
            assert_same(results, expected)
    assert_same(fit_and_predict(), expected)


@pytest.mark.forks
@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib(backend):
    expected = [fit_and_predict(seed) for seed in range(3)]
    results = Parallel(n_jobs=2, backend=backend, timeout=LIMIT)(
        delayed(fit_and_predict)(seed) for seed in range(3)
    )
    for result, right in zip(results, expected, strict=True):
        assert_same(result, right)


def in_child(task):
    """Run a task in a forked process; returns its exit code, -9 past half of the time limit."""
    child = os.fork()
    if not child:
        code = 1
        try:  # its time limit is the parent's: the thread that watched over it is not here
            task()
            code = 0
        finally:
            os._exit(code)
    killer = threading.Timer(LIMIT / 2, os.kill, (child, signal.SIGKILL))
    killer.start()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    killer.cancel()
    return code


@forks
def test_a_child_that_ends_by_itself_while_the_parent_trains():
    """At its exit it waits for no calls but its own."""
    code = """
import os, sys, threading, time, numpy as np
from fastmlp import MLPClassifier
X = np.random.default_rng(0).random((20_000, 50))
begun, ended = threading.Event(), threading.Event()

def rate(epoch):
    begun.set()
    if ended.is_set():
        raise SystemExit  # of this thread
    return 0.001

fit = MLPClassifier((300, 300), max_iter=10**6, tol=0, n_iter_no_change=np.inf,
                    learning_rate=rate).fit
training = threading.Thread(target=fit, args=(X, X[:, 0] > 0.5))
training.start()
begun.wait()
codes = set()
for _ in range(5):
    worked = time.process_time() + 0.05
    while time.process_time() < worked:  # epochs are all but a little of the work
        time.sleep(0.001)
    child = os.fork()
    if not child:
        sys.exit(7)
    codes.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert training.is_alive()
ended.set()
training.join()
sys.exit(7 if codes == {7} else 1)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=LIMIT / 2).returncode == 7


@forks
def test_a_child_of_a_child():
    expected = fit_and_predict()

    def grandchild():
        assert_same(fit_and_predict(), expected)

    def child():
        assert_same(fit_and_predict(), expected)
        assert in_child(grandchild) == 0

    assert in_child(child) == 0


@forks
def test_a_fork_while_another_thread_trains():
    expected = fit_and_predict()
    ended = threading.Event()

    def train():
        while not ended.is_set():
            MLPClassifier((300,), max_iter=2, random_state=0).fit(X, y)

    trainers = [threading.Thread(target=train) for _ in range(2)]
    for trainer in trainers:
        trainer.start()
    try:
        for _ in range(5):
            assert in_child(lambda: assert_same(fit_and_predict(), expected)) == 0
    finally:
        ended.set()
        for trainer in trainers:
            trainer.join()


@forks
def test_a_preloaded_model_in_a_servers_workers(tmp_path):
    """As a server does that loads its application and then forks: each worker takes requests from
    the same socket; one that dies is replaced; the first process goes on predicting.
    """
    MLPClassifier((300,), max_iter=3, random_state=0).fit(X, y).save(tmp_path / "model")
    model = load(tmp_path / "model")
    expected = model.predict_proba(X)
    listener = socket.create_server(("127.0.0.1", 0))
    row_bytes = X[0].nbytes

    def serve():
        signal.alarm(int(LIMIT))
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as file:
                (count,) = np.frombuffer(file.read(8), np.int64)
                rows = np.frombuffer(file.read(int(count) * row_bytes), np.float32)
                rows = rows.reshape(-1, X.shape[1])
                connection.sendall(model.predict_proba(rows).tobytes())

    def start():
        worker = os.fork()
        if not worker:
            serve()
        return worker

    def ask(first, count):
        with socket.create_connection(listener.getsockname(), timeout=LIMIT) as connection:
            connection.sendall(np.array([count]).tobytes())
            connection.sendall(X[first : first + count].tobytes())
            with connection.makefile("rb") as file:
                answer = np.frombuffer(file.read(), expected.dtype)
        if answer.size != 10 * count:
            raise ConnectionError
        answer = answer.reshape(-1, 10)  # few rows are predicted otherwise than many
        np.testing.assert_allclose(answer, expected[first : first + count], rtol=1e-5)

    workers = [start() for _ in range(3)]
    try:
        with ThreadPoolExecutor(6) as clients:
            asked = [clients.submit(ask, i % 50, 1 + 97 * (i % 15)) for i in range(60)]
            os.kill(workers[0], signal.SIGTERM)
            os.waitpid(workers[0], 0)
            workers[0] = start()
            np.testing.assert_array_equal(model.predict_proba(X), expected)
            lost = 0
            for answer in asked:
                try:
                    answer.result(timeout=LIMIT)
                except ConnectionError:  # asked of the worker that was ended
                    lost += 1
            assert lost <= 1
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
        listener.close()


# --- threads -------------------------------------------------------------------------------------


def at_once(*tasks):
    """Run all tasks in threads of their own, which begin together."""
    barrier = threading.Barrier(len(tasks))

    def run(task):
        barrier.wait(LIMIT)
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result(timeout=LIMIT) for future in [pool.submit(run, t) for t in tasks]]


def test_eight_threads_with_estimators_of_their_own():
    expected = [fit_and_predict(seed) for seed in range(8)]
    results = at_once(*(lambda seed=seed: fit_and_predict(seed) for seed in range(8)))
    for result, right in zip(results, expected, strict=True):
        assert_same(result, right)


def test_eight_threads_predict_by_one_model():
    clf = MLPClassifier((300,), max_iter=3, random_state=0).fit(X, y)
    expected = [clf.predict_proba(X), clf.predict(X[:1]), clf.hidden_activations(X)]

    def predict():
        for _ in range(20):
            assert_same([clf.predict_proba(X), clf.predict(X[:1]), clf.hidden_activations(X)],
                        expected)  # fmt: skip

    at_once(*[predict] * 8)


# of different numbers, types and kinds of outputs: nothing of one fits another
LABELS = [y, np.array(list("abcdefghij"))[y], y % 2 == 0, (y[:, None] > [2, 4, 6]).astype(int)]


def test_eight_threads_fit_and_predict_with_one_estimator():
    """Each prediction is that of one of the fits, whole."""
    clf = MLPClassifier((40, 20), ["prelu", "maxout"], max_iter=3, random_state=0)
    right = []
    for labels in LABELS:
        clf.fit(X, labels)
        right.append((clf.predict(X[:50]), clf.predict_proba(X[:50])))
    ended = threading.Event()

    def fit(labels):
        def run():
            for _ in range(20):
                assert clf.fit(X, labels) is clf

        return run

    def fit_all():
        try:
            at_once(*(fit(labels) for labels in LABELS))
        finally:
            ended.set()

    def predict():
        seen = set()
        while not ended.is_set():
            labels, probabilities = clf.predict(X[:50]), clf.predict_proba(X[:50])
            found = [i for i, (those, _) in enumerate(right) if np.array_equal(labels, those)]
            assert len(found) == 1
            assert any(np.array_equal(probabilities, those) for _, those in right)
            seen.update(found)
        return seen

    seen = set().union(*at_once(fit_all, *[predict] * 4)[1:])
    assert len(seen) > 1
    assert any(np.array_equal(clf.predict(X[:50]), those) for those, _ in right)


def test_predictions_wait_for_no_other():
    """Small ones are made while a large one is under way, in another thread, on the same model."""
    clf = MLPClassifier((500, 500), max_iter=1, n_jobs=1).fit(X, y)
    many = np.broadcast_to(X[:1], (300_000, 64))
    ended, made = threading.Event(), 0

    def large():
        clf.predict_proba(many)
        ended.set()

    with told("predict") as begun:
        other = threading.Thread(target=large)
        other.start()
        begun.wait()
        worked = time.process_time() + 0.02
        while time.process_time() < worked:  # it is in the core
            time.sleep(0.001)
        while not ended.is_set():
            clf.predict_proba(X[:1])
            made += not ended.is_set()
            time.sleep(0.001)
        other.join()
    assert made > 20


# --- other libraries -----------------------------------------------------------------------------

SIDE_BY_SIDE = """
import json, sys, warnings
import numpy as np
from threadpoolctl import threadpool_info
from sklearn.ensemble import HistGradientBoostingClassifier
if "torch" in sys.argv:
    import torch
from fastmlp import MLPClassifier, _native
from fastmlp.core.threads import n_threads
warnings.simplefilter("ignore")

def threads():
    return {info["filepath"]: info["num_threads"] for info in threadpool_info()}

X, y = np.random.RandomState(0).rand(1000, 20), np.arange(1000) % 3
ours = [_native.max_threads(), n_threads(None)]

def ours_at_work():
    for n_jobs in (1, 2, None):
        clf = MLPClassifier((300,), max_iter=2, n_jobs=n_jobs).fit(X, y)
        clf.predict(X)
    return [_native.max_threads(), n_threads(None)]

HistGradientBoostingClassifier(max_iter=3).fit(X, y).predict(X)
if "torch" in sys.argv:
    a = torch.rand(500, 500); a @ a
    torch_threads = torch.get_num_threads()
before = threads()
assert ours_at_work() == ours
assert threads() == before, (before, threads())
if "torch" in sys.argv:
    assert torch.get_num_threads() == torch_threads
    torch.set_num_threads(1)
    a @ a
    assert ours_at_work() == ours
    torch.set_num_threads(torch_threads)
HistGradientBoostingClassifier(max_iter=3).fit(X, y).predict(X)
assert ours_at_work() == ours
print(json.dumps([info["user_api"] for info in threadpool_info()]))
"""


@pytest.mark.parametrize("library", ["", "torch"])
def test_nobodys_number_of_threads_is_changed(library):
    """Not theirs by us, and not ours by them: scikit-learn's and PyTorch's OpenMP, and BLAS."""
    if library:
        pytest.importorskip(library)
    calm = {"OMP_WAIT_POLICY": "passive"}  # three pools that spin on two cores take seconds
    run = subprocess.run([sys.executable, "-c", SIDE_BY_SIDE, library], capture_output=True,
                         text=True, timeout=LIMIT, check=False, env=os.environ | calm)  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert {"openmp", "blas"} <= set(json.loads(run.stdout))


def test_threadpoolctl_knows_our_limit():
    limit = _native.max_threads()
    ours = [info for info in threadpool_info() if info["internal_api"] == "fastmlp"]
    assert [info["num_threads"] for info in ours] == [limit]
    with threadpool_limits(1, user_api="openmp"):
        assert _native.max_threads() == n_threads(None) == n_threads(2) == 1
    with threadpool_limits(1, user_api="blas"):
        assert _native.max_threads() == limit
    assert _native.max_threads() == limit


def test_no_other_librarys_threads_are_touched():
    before = {info["filepath"]: info["num_threads"] for info in threadpool_info()}
    limit = _native.max_threads()
    MLPClassifier(max_iter=2, n_jobs=1).fit(X, y)
    assert _native.max_threads() == limit
    assert {info["filepath"]: info["num_threads"] for info in threadpool_info()} == before


# --- the interpreter's end -----------------------------------------------------------------------

BEGINS = """
import atexit, sys, threading, time, warnings
import numpy as np
from fastmlp import MLPClassifier, MLPRegressor, Perceptron
warnings.simplefilter("ignore")
X = np.random.RandomState(0).rand(100_000, 50); y = np.arange(100_000) % 3
small = MLPClassifier((300,), max_iter=1).fit(X[:500], y[:500])
"""
ENDS = {
    "a fit": "MLPClassifier((300,), max_iter=10**6).fit(X, y)",
    # a regressor: NumPy's own unique(), which classifiers call, aborts at such a moment
    "many fits": "[MLPRegressor('huber', max_iter=2).fit(X[:500], y[:500]) for _ in range(10**6)]",
    "lbfgs": "MLPRegressor(solver='lbfgs', max_iter=10**6).fit(X, y)",
    "a perceptron": "Perceptron(max_iter=10**6, tol=None).fit(X, y)",
    "predictions": "[small.predict(X) for _ in range(10**6)]",
    "small predictions": "[small.predict(X[:3]) for _ in range(10**9)]",
}


@pytest.mark.parametrize("work", ENDS.values(), ids=ENDS)
def test_daemon_threads_at_the_interpreters_end(work):
    """They are ended in the middle of their work, without a word; the process ends well."""
    code = (
        f"{BEGINS}\n"
        f"for _ in range(2): threading.Thread(target=lambda: {work}, daemon=True).start()\n"
        "def at_exit(): print(len(small.predict(X)), time.process_time(), flush=True)\n"
        "atexit.register(at_exit)\n"
        "worked = time.process_time() + 1\n"
        "while time.process_time() < worked: time.sleep(0.001)"
    )
    before = os.times().children_user + os.times().children_system
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                         timeout=LIMIT, check=False)  # fmt: skip
    seconds = os.times().children_user + os.times().children_system - before
    assert (run.returncode, run.stderr) == (0, "")
    predicted, at_exit = run.stdout.split()
    assert predicted == "100000"
    assert seconds < 2 * float(at_exit)  # of the processor: what the threads had begun is short


def test_a_thread_that_is_waited_for_ends_its_fit():
    code = (
        f"{BEGINS}\n"
        "def work(): print(MLPClassifier((300,), max_iter=2).fit(X[:9000], y[:9000]).n_iter_)\n"
        "threading.Thread(target=work).start()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                         timeout=LIMIT, check=False)  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "2\n", "")
