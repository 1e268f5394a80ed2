"""Threads, memory, import, latency: what a fit may take, with room for a slow and busy machine."""

import os
import pathlib
import subprocess
import sys
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.utils import check_array
from threadpoolctl import threadpool_limits

import fastmlp
from fastmlp import MLPClassifier, MLPRegressor, _native
from fastmlp.core.threads import n_threads
from tests.conftest import LIMIT

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_digits, y_digits = load_digits(return_X_y=True)


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip


# --- threads -------------------------------------------------------------------------------------

ASK = "from fastmlp.core.threads import n_threads as n; print(n(None), n(1), n(3), n(-1), n(-2))"


def test_the_number_of_threads_follows_the_machine_and_its_limits():
    cpus = len(os.sched_getaffinity(0))
    assert 1 <= n_threads(None) <= cpus
    assert n_threads(-1) == n_threads(None)
    with threadpool_limits(1):
        assert n_threads(None) == n_threads(4) == 1
    assert run(ASK, OMP_NUM_THREADS="1") == ["1"] * 5
    assert run(ASK, LOKY_MAX_CPU_COUNT="1", OMP_NUM_THREADS="4") == ["1", "1", "3", "1", "1"]
    one = f"import os; os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}]); "
    assert run(one + ASK)[0] == "1"


@pytest.mark.skipif(_native.max_threads() < 2, reason="one thread only")
def test_n_jobs_changes_no_bit_of_the_model():
    fits = [
        MLPClassifier((300,), max_iter=8, random_state=0, n_jobs=n_jobs).fit(X_digits, y_digits)
        for n_jobs in (1, 2, None)
    ]
    for other in fits[1:]:
        assert other.loss_curve_ == fits[0].loss_curve_
        for a, b in zip(fits[0].coefs_, other.coefs_, strict=True):
            np.testing.assert_array_equal(a, b)


FIT_SECONDS = """
import time, numpy as np
from fastmlp import MLPClassifier
from sklearn.datasets import load_digits
X, y = load_digits(return_X_y=True)
fit = MLPClassifier(max_iter=60, random_state=0, n_iter_no_change=np.inf, n_jobs={n_jobs}).fit
fit(X, y); start = time.process_time(); fit(X, y); print(time.process_time() - start)
"""


@pytest.mark.measures
def test_four_fits_at_once_share_two_cores_without_collapse():
    """Barriers that only spin were a hundred times slower than alone.

    In the processor's time: what threads that wait for each other waste, on top of the work, which
    one thread does without any waiting.
    """
    work = min(float(run(FIT_SECONDS.format(n_jobs=1))[0]) for _ in range(3))
    fits = [subprocess.Popen([sys.executable, "-W", "ignore", "-c",
                              FIT_SECONDS.format(n_jobs=None)], stdout=subprocess.PIPE)
            for _ in range(4)]  # fmt: skip
    seconds = [float(fit.communicate(timeout=LIMIT)[0]) for fit in fits]
    assert np.median(seconds) < 5 * work


# --- memory --------------------------------------------------------------------------------------

MEMORY = """
import sys, threading, time, numpy as np
from fastmlp import MLPClassifier
X = np.memmap(sys.argv[1] if len(sys.argv) > 1 else {path!r}, {dtype!r}, "r", shape=(200_000, 400))
y = np.arange(len(X)) % 2

def anonymous():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024

MLPClassifier((4,), max_iter=1).fit(np.asarray(X[:500]), y[:500])
before, peak, done = anonymous(), 0, False

def watch():
    global peak
    while not done:
        peak = max(peak, anonymous())
        time.sleep(0.002)

watcher = threading.Thread(target=watch)
watcher.start()
clf = MLPClassifier((4,), max_iter=2, early_stopping={early}).fit(X, y)
clf.predict(X[:100_000])
done = True
watcher.join()
print(peak - before)
"""


@pytest.mark.measures
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("dtype", "early"), [("float32", False), ("int8", True)])
def test_x_is_never_copied_whole(tmp_path, dtype, early):
    """80 million elements, a memory map: 320 MB in float32; 640 MB, were int8 converted whole."""
    path = tmp_path / "X"
    rng = np.random.default_rng(0)
    with open(path, "wb") as file:
        for _ in range(20):
            file.write(rng.integers(-9, 9, (10_000, 400)).astype(dtype).tobytes())
    megabytes = float(run(MEMORY.format(path=str(path), dtype=dtype, early=early))[0])
    assert megabytes < 40


LEAKS = """
import gc, os, resource, sys, tempfile, warnings
import numpy as np
import scipy.sparse
from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron, _native, load
warnings.simplefilter("ignore")
np.random.seed(0)
X, y = np.random.default_rng(0).random((300, 64), np.float32), np.arange(300) % 3
S = scipy.sparse.csr_array(X > 0.9, dtype=np.float64)
path = os.path.join(tempfile.mkdtemp(), "model")

def refused(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except (ValueError, MemoryError):
        return
    raise AssertionError

def work():
    clf = MLPClassifier((100,), max_iter=2, early_stopping=True).fit(X, y)
    clf.set_params(early_stopping=False).partial_fit(X, y)
    clf.predict_proba(X), clf.predict(X[:1]), clf.hidden_activations(X), clf.loss_and_gradient(X, y)
    clf.save(path)
    load(path).predict(X)
    MLPClassifier((10,), max_iter=2, checkpoint=path + "2", checkpoint_every=1).fit(S, y).predict(S)
    MLPRegressor(solver="lbfgs", max_iter=2).fit(X, y)
    Perceptron(max_iter=2).fit(X, y), Adaline(max_iter=2).fit(S, y)
    refused(MLPClassifier(solver="sgd", learning_rate_init=1e30).fit, X, y)
    refused(_native.Network32, [64, 3], [], "no_loss", alpha=0.0, batch=1)
    network = _native.Network32([64, 100, 3], [("relu", 0.0, 1, 0.0)], "log_loss", alpha=0.0,
                                batch=10)
    how = {"solver": "sgd", "steps": 0, "rate": 0.1, "n_threads": 2}
    refused(network.train, X, np.full(300, 7, np.int32), None, None, **how)
    rows = np.tile(np.arange(300), 3000)
    ended = network.train(X, y.astype(np.int32), None, rows, stop=lambda: 1 / 0, **how)
    assert isinstance(ended[1], ZeroDivisionError)
    del ended  # its traceback leads back to this frame

def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20

for _ in range(15):
    work()
before = resident()
for _ in range(30):
    work()
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_memory_is_lost():
    """30 rounds of everything; a session that was not closed would be some 200 kB each time."""
    assert float(run(LEAKS)[0]) < 2


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "f2", "f4",
                                   ">f8", ">i2", "g", "O"])  # fmt: skip
def test_numbers_of_all_types_train_the_same_model(dtype):
    X = np.round(X_digits[:400, :37]) if dtype != "f2" else X_digits[:400, :37] / 3 - 1e-6
    X, y = X.astype(dtype), y_digits[:400]
    right = X.astype(np.float32 if dtype == "f4" else np.float64)
    for estimator in (MLPClassifier((9,), max_iter=3, random_state=0, early_stopping=True),
                      MLPRegressor("squared_error", (9,), max_iter=3, random_state=0)):  # fmt: skip
        expected = estimator.fit(right, y).coefs_[0]
        predicted = estimator.predict(right[:70])
        np.testing.assert_array_equal(estimator.fit(X, y).coefs_[0], expected)
        np.testing.assert_array_equal(estimator.predict(X[:70]), predicted)


def test_arrays_of_all_layouts_train_the_same_model(tmp_path):
    X, y = X_digits[:300].copy(), y_digits[:300]
    expected = MLPClassifier((9,), max_iter=3, random_state=0).fit(X, y).coefs_[0]
    read_only = X.copy()
    read_only.flags.writeable = False
    np.save(tmp_path / "X.npy", X)
    unaligned = np.frombuffer(b"." + X.tobytes(), np.float64, X.size, 1).reshape(X.shape)
    wide = np.repeat(X, 2, axis=1)
    for same in (
        read_only, np.asfortranarray(X), np.load(tmp_path / "X.npy", mmap_mode="r"), unaligned,
        wide[:, ::2], np.hstack([X, X])[:, :64], np.vstack([X, X])[:300], X[::-1].copy()[::-1],
        X[:, ::-1].copy()[:, ::-1], np.repeat(X, 2, axis=0)[::2],
    ):  # fmt: skip
        fitted = MLPClassifier((9,), max_iter=3, random_state=0).fit(same, y)
        np.testing.assert_array_equal(fitted.coefs_[0], expected)
        np.testing.assert_array_equal(fitted.predict(same), fitted.predict(X))


# --- latency and size ----------------------------------------------------------------------------


def best_seconds(call, repeats=200, rounds=10):
    times = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(repeats):
            call()
        times.append((time.process_time() - start) / repeats)
    return min(times)


@pytest.mark.measures
def test_one_row_is_predicted_at_once_and_checked_all_the_same():
    """In a seventh of the time that scikit-learn's validation alone takes, some 10 us of 80."""
    clf = MLPClassifier(max_iter=2).fit(X_digits, y_digits)
    row = X_digits[:1]
    validation = best_seconds(lambda: check_array(row))
    assert best_seconds(lambda: clf.predict_proba(row)) < 0.4 * validation
    assert best_seconds(lambda: clf.predict(row)) < 0.45 * validation
    for value, message in [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]:
        wrong = row.copy()
        wrong[0, 5] = value
        with pytest.raises(ValueError, match=message):
            clf.predict(wrong)
    both = row.copy()
    both[0, :2] = np.inf, -np.inf
    with pytest.raises(ValueError, match="infinity"):
        clf.predict_proba(both)
    for wrong in (row[:, :-1], row[0], row[:0], row[None]):
        with pytest.raises(ValueError, match=r"features|dim|1D|sample"):
            clf.predict(wrong)
    huge = np.full_like(row, 1e308)  # finite, though its sum is not
    assert clf.predict(huge).shape == (1,)


COUNT_CALLS = """
import sys
sys.modules["rich"] = None  # scikit-learn's callbacks, on which ours build, import it if they can
import sklearn.base
n = 0
def count(frame, event, argument):
    global n
    n += event in ("call", "c_call")
sys.setprofile(count)"""


def test_import_takes_little_more_than_scikit_learn():
    """Counted in calls, which do not depend on the machine: three fifths of those that
    scikit-learn's own networks take beyond its base. No heavy module comes along."""

    def calls(module):
        return int(run(f"{COUNT_CALLS}; import {module}; sys.setprofile(None); print(n)")[0])

    assert calls("fastmlp") < 0.6 * calls("sklearn.neural_network")
    loaded = run(
        "import sklearn.base, sys; before = set(sys.modules); import fastmlp; "
        "print(*set(sys.modules) - before)"
    )
    for heavy in ("matplotlib", "pandas", "scipy.optimize", "sklearn.model_selection"):
        assert heavy not in loaded


@pytest.mark.measures
def test_the_package_is_small():
    """Compressed, as it is in a wheel; a tenth of it is the playground and its page, 1 % what a
    build without them has of devices."""
    folder = pathlib.Path(fastmlp.__file__).parent
    files = [f for f in folder.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    assert sum(len(zlib.compress(f.read_bytes())) for f in files) < 1.41e6


def test_label_smoothing_of_many_classes_makes_no_dense_targets():
    """1000 classes of 20,000 samples: a matrix of targets would take 160 MB."""
    X, y = np.random.default_rng(0).random((20_000, 2)), np.arange(20_000) % 1000
    peaks = []
    for share in (0.0, 0.1):
        clf = MLPClassifier(
            (2,), label_smoothing=share, max_iter=1, early_stopping=True, batch_size=1000, n_jobs=1,
            random_state=0,
        )  # fmt: skip
        tracemalloc.start()
        clf.fit(X, y)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2e6
