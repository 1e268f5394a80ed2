"""Many fits at once: joblib's threads and Dask's workers, threads that they share, sizes sent."""

import pickle
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from threadpoolctl import threadpool_limits

from fastmlp import (
    Adaline,
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
    Perceptron,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from fastmlp.core import threads
from fastmlp.core.network import Network
from fastmlp.core.threads import n_threads
from fastmlp.playground import TrainingSession
from tests.conftest import LIMIT

pytestmark = [
    pytest.mark.usefixtures("time_limit"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32)


# --- threads -------------------------------------------------------------------------------------


@pytest.fixture
def six_threads(monkeypatch):
    """A machine of six processors, as far as the number of threads goes."""
    monkeypatch.setattr(threads, "_cpu_count", lambda *_: 6)
    with threadpool_limits(6):
        yield


@pytest.fixture
def teams(monkeypatch):
    """The numbers of threads that epochs are given, as they are made. One thread makes them all."""
    given, train = [], Network.train

    def recorded(self, samples, order, epoch, options):
        given.append(options["n_threads"])
        return train(self, samples, order, epoch, {**options, "n_threads": 1})

    monkeypatch.setattr(Network, "train", recorded)
    return given


class Together:
    """A learning rate that lets no fit go on to its next epoch before all have come so far.

    Copies, and what was pickled, meet at the same barrier.
    """

    barrier: threading.Barrier

    def __init__(self, fits):
        Together.barrier = threading.Barrier(fits)

    def __call__(self, epoch):
        Together.barrier.wait(LIMIT / 2)
        return 0.001


def fit(rate="constant", n_jobs=None):
    clf = MLPClassifier((5,), max_iter=3, random_state=0, learning_rate=rate, n_jobs=n_jobs)
    return clf.fit(X[:100], y[:100])


@pytest.mark.usefixtures("six_threads")
def test_fits_side_by_side_share_the_threads(teams):
    fit()
    assert teams == [6, 6, 6]
    for fits, each in ((2, 3), (4, 1), (7, 1)):
        teams.clear()
        rate = Together(fits)
        with joblib.parallel_config("threading", n_jobs=fits):
            joblib.Parallel()(joblib.delayed(fit)(rate) for _ in range(fits))
        assert set(teams[: 2 * fits]) == {each}  # one may end before another's third epoch begins
    teams.clear()
    fit()
    assert teams == [6, 6, 6]


@pytest.mark.usefixtures("six_threads")
def test_a_number_of_threads_that_was_asked_for_is_not_shared(teams):
    rate = Together(2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n_jobs: fit(rate, n_jobs), (4, -1)))
    assert sorted(teams) == [4, 4, 4, 6, 6, 6]


@pytest.mark.usefixtures("six_threads")
def test_a_session_shares_the_threads(teams):
    session = TrainingSession(MLPClassifier((5,), random_state=0), X[:100], y[:100])
    with threads.FitUnderWay(), ThreadPoolExecutor(1) as pool:
        pool.submit(session.train, 2).result()
    session.train(1)
    assert teams == [3, 3, 6]


@pytest.mark.usefixtures("six_threads")
def test_threads_are_shared_by_fits_under_way_only():
    """One that failed is over, and a fit within a fit waits for the inner one."""
    seen = []

    def rate(epoch):
        seen.append(n_threads(None))
        if epoch == 1:
            MLPClassifier((5,), max_iter=1).fit(X[:50], y[:50])
            seen.append(n_threads(None))
        if epoch == 2:
            raise RuntimeError
        return 0.001

    with pytest.raises(RuntimeError):
        fit(rate)
    assert seen == [6] * 4
    with ThreadPoolExecutor(1) as pool:  # another thread, while this one fits

        def rate(epoch):
            seen.append(pool.submit(n_threads, None).result(LIMIT))
            pool.submit(fit).result(LIMIT)
            return 0.001

        seen.clear()
        fit(rate)
    assert seen == [6] * 3
    assert n_threads(None) == 6


@pytest.mark.usefixtures("six_threads")
def test_networks_of_a_table_share_them_with_other_fits(monkeypatch):
    """Two ensembles at once train three networks each at the same time, not six."""
    from fastmlp.estimators import ensemble

    met, sizes = threading.Barrier(2), []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers):
            sizes.append(workers)
            super().__init__(workers)

    train_members = ensemble.train_members

    def together(*arguments, **named):
        met.wait(LIMIT)
        try:
            return train_members(*arguments, **named)
        finally:
            met.wait(LIMIT)

    monkeypatch.setattr(ensemble, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr("fastmlp.estimators.tabular.train_members", together)
    few = {"n_ensemble": 6, "hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
    with ThreadPoolExecutor(2) as pool:
        models = [TabularMLPClassifier(**few) for _ in range(2)]
        list(pool.map(lambda model: model.fit(X[:300], y[:300]), models))
    assert sizes == [3, 3]


# --- the interpreter's lock ----------------------------------------------------------------------

GRID = {"alpha": [1e-4, 1e-2], "learning_rate_init": [1e-3, 1e-2]}


@pytest.mark.measures
def test_a_search_hardly_holds_the_interpreters_lock(monkeypatch):
    """In one thread, by the processor's time: what is not spent in epochs, which run without it.

    Threads can do this part in turn only. It is a seventh where an epoch takes a millisecond.
    """
    seconds, train = [], Network.train

    def timed(self, *arguments):
        began = time.thread_time()
        made = train(self, *arguments)
        seconds.append(time.thread_time() - began)
        return made

    monkeypatch.setattr(Network, "train", timed)
    clf = MLPClassifier(max_iter=40, tol=0, n_iter_no_change=np.inf, random_state=0, n_jobs=1)
    search = GridSearchCV(clf, GRID, cv=3, refit=False)
    shares = []
    for _ in range(3):
        seconds.clear()
        began = time.thread_time()
        search.fit(X, y)
        shares.append(1 - sum(seconds) / (time.thread_time() - began))
    assert len(seconds) == 4 * 3 * 40
    assert min(shares) < 0.25


@pytest.fixture
def gained(monkeypatch):
    """How often another thread got the lock in each epoch's call: only where it was let go."""
    turns, ended, during, train = [0], threading.Event(), [], Network.train

    def take_turns():
        while not ended.is_set():
            turns[0] += 1
            time.sleep(0)

    def watched(self, *arguments):
        before = turns[0]
        made = train(self, *arguments)
        during.append(turns[0] - before)
        return made

    monkeypatch.setattr(Network, "train", watched)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # nobody is asked to let it go
    other = threading.Thread(target=take_turns)
    other.start()
    yield during
    ended.set()
    sys.setswitchinterval(interval)
    other.join()


def test_brief_calls_keep_the_lock_and_long_ones_do_not(gained):
    clf = MLPClassifier((50,), max_iter=1000, tol=0, n_iter_no_change=np.inf, n_jobs=1)
    clf.fit(X[:10], y[:10])
    assert gained == [0] * 1000
    clf.set_params(max_iter=1)
    for _ in range(1000):  # until the system lets the other thread run
        clf.fit(X, y)
        if gained[-1]:
            break
    assert gained[-1]


# --- sizes ---------------------------------------------------------------------------------------

ESTIMATORS = [
    MLPClassifier, MLPRegressor, MLPAutoencoder, Perceptron, Adaline, TabularMLPClassifier,
    TabularMLPRegressor,
]  # fmt: skip


def parameter_bytes(fitted):
    networks = getattr(fitted, "estimators_", [fitted])
    if hasattr(fitted, "coef_"):
        return fitted.coef_.nbytes
    return sum(a.nbytes for net in networks for a in (*net.coefs_, *net.intercepts_))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_estimators_are_sent_small(cls):
    """Unfitted below 2 kB; fitted as large as the parameters and the solver's state."""
    few = {"max_iter": 2, "random_state": 0}
    new = cls(**few)
    assert len(pickle.dumps(new)) < 2000
    fitted = new.fit(X, y)
    expected = parameter_bytes(fitted)
    if cls in (MLPClassifier, MLPRegressor, MLPAutoencoder):
        expected *= 3  # 'adam' keeps two numbers per parameter, for partial_fit to go on from
        assert len(pickle.dumps(cls(solver="lbfgs", **few).fit(X, y))) < expected / 3 + 5000
    encoder = len(pickle.dumps(getattr(fitted, "encoder_", None)))
    records = 3000 * (1 + len(getattr(fitted, "estimators_", [])))
    assert expected < len(pickle.dumps(fitted)) < 1.01 * expected + encoder + records


def test_callbacks_are_sent_small():
    callback = pytest.importorskip("sklearn.callback")
    few = MLPClassifier(max_iter=2, random_state=0)
    without = len(pickle.dumps(few)), len(pickle.dumps(few.fit(X, y)))
    clf = MLPClassifier(max_iter=2, random_state=0)
    clf.set_callbacks(callback.ScoringMonitor(scoring="accuracy"))
    assert len(pickle.dumps(clf)) < 2000
    assert len(pickle.dumps(clf.fit(X, y))) < without[1] + 2000


# --- Dask ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client():
    """Two processes of one thread each, on this machine."""
    distributed = pytest.importorskip("distributed")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)  # the workers' own, if it is there
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


SEARCHES = [
    GridSearchCV(MLPClassifier(max_iter=3, random_state=0), GRID, cv=3),
    RandomizedSearchCV(
        TabularMLPClassifier(n_ensemble=2, max_iter=2, random_state=0),
        {"learning_rate_init": loguniform(1e-3, 1e-1)}, n_iter=3, cv=2, random_state=0,
    ),
]  # fmt: skip


@pytest.mark.forks
@pytest.mark.parametrize("search", SEARCHES, ids=["grid", "randomized"])
def test_searches_on_dask_find_the_same(client, search):
    with joblib.parallel_config("dask"):
        search.fit(X[:600], y[:600])
        there = search.cv_results_
    here = search.set_params(n_jobs=1).fit(X[:600], y[:600]).cv_results_
    assert there["params"] == here["params"]
    np.testing.assert_array_equal(there["mean_test_score"], here["mean_test_score"])


@pytest.mark.forks
def test_a_task_of_dask_takes_one_thread(client):
    """Dask's nanny sets OMP_NUM_THREADS for its workers: cores are not used twice."""
    assert set(client.run(n_threads, None).values()) == {1}


@pytest.mark.usefixtures("six_threads")
def test_tasks_in_one_worker_of_dask_share_the_threads(teams):
    """A worker in this process has no nanny: three tasks at once would take 18 threads."""
    distributed = pytest.importorskip("distributed")
    rate = Together(3)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=3, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        clf = MLPClassifier((5,), max_iter=3, learning_rate=rate, random_state=0)
        GridSearchCV(clf, {"alpha": [0, 1, 2]}, cv=[(range(90), range(90, 100))],
                     refit=False, error_score="raise").fit(X[:100], y[:100])  # fmt: skip
    assert set(teams[:6]) == {2}
