"""Training on chunks: what docs/chunks.md promises beyond what its code shows."""

import os
import subprocess
import sys
from copy import copy

import numpy as np
import pytest

from fastmlp import MLPClassifier, MLPRegressor
from tests.conftest import LIMIT

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
CHUNKS = [(X, (X[:, 0] > 0).astype(int)) for X in rng.normal(size=(30, 50, 3)).astype("f4")]


@pytest.mark.parametrize("schedule", [
    {"learning_rate": "one_cycle"}, {"learning_rate": "cosine", "warmup_epochs": 2},
    {"learning_rate": "exponential"}, {"learning_rate": lambda call: 1 / (10 + call)},
])  # fmt: skip
def test_a_schedule_counts_calls_as_it_counts_epochs(schedule):
    clf = MLPClassifier((4,), max_iter=30, **schedule)
    for X, y in CHUNKS:
        clf.partial_fit(X, y, classes=[0, 1])
    epochs = MLPClassifier((4,), max_iter=30, tol=0, n_iter_no_change=np.inf, **schedule)
    assert clf.learning_rate_curve_ == epochs.fit(*CHUNKS[0]).learning_rate_curve_
    assert len(clf.partial_fit(*CHUNKS[0]).loss_curve_) == 31  # more calls than were planned


def test_the_best_model_is_kept_by_a_shallow_copy():
    X, y = CHUNKS[0]
    clf = MLPClassifier((4,), random_state=0).partial_fit(X, y, classes=[0, 1])
    best, expected, weights = copy(clf), clf.predict_proba(X), [w.copy() for w in clf.coefs_]
    for chunk in CHUNKS[1:4]:
        clf.partial_fit(*chunk)
    np.testing.assert_array_equal(best.predict_proba(X), expected)
    assert not np.array_equal(clf.predict_proba(X), expected)
    for chunk in CHUNKS[1:4]:  # and it can go on, from where it was
        best.partial_fit(*chunk)
    np.testing.assert_array_equal(best.predict_proba(X), clf.predict_proba(X))
    assert not any(np.array_equal(w, now) for w, now in zip(weights, best.coefs_, strict=True))


@pytest.mark.parametrize("same_each_time", [True, False])
def test_a_generator_as_random_state_goes_on_from_call_to_call(same_each_time):
    """The same chunk twice, at a rate that moves nothing: the order of the rows alone differs."""
    state = 0 if same_each_time else np.random.RandomState(0)
    X, y = CHUNKS[0]
    reg = MLPRegressor("squared_error", (4,), solver="sgd", batch_size=1, momentum=0,
                       random_state=state)  # fmt: skip
    reg.partial_fit(X[:25], y[:25])
    start = [w.copy() for w in reg.coefs_], [b.copy() for b in reg.intercepts_]
    first = [w.copy() for w in reg.partial_fit(X, y).coefs_]
    reg.coefs_, reg.intercepts_ = start
    second = reg.partial_fit(X, y).coefs_
    same = all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert same is same_each_time


def test_the_first_chunk_decides_the_type():
    X, y = CHUNKS[0]
    clf = MLPClassifier((4,)).partial_fit(X, y, classes=[0, 1]).partial_fit(X.astype("f8"), y)
    assert clf.coefs_[0].dtype == np.float32


PEAK = """
import gc, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from fastmlp import MLPClassifier
path, how = sys.argv[1:]
file = pq.ParquetFile(path, memory_map=False, buffer_size=2**16)
names = [f"f{i}" for i in range(20)]

def arrays(table):
    X = np.column_stack([table[name].to_numpy() for name in names])
    return X, table["label"].to_numpy()

def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024

clf = MLPClassifier((8,), random_state=0, n_jobs=1, max_iter=1)
clf.partial_fit(*arrays(file.read_row_group(0)), classes=[0, 1])
gc.collect()
pa.default_memory_pool().release_unused()
before = peak()
if how == "chunks":
    for epoch in range(2):
        for group in range(file.num_row_groups):
            clf.partial_fit(*arrays(file.read_row_group(group)))
else:
    clf.fit(*arrays(file.read()))
print(peak() - before)
"""


@pytest.mark.measures
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_row_groups_take_the_memory_of_one(tmp_path):
    """50 MB of samples in 50 row groups; beside it all of them at once, which take twice that."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = str(tmp_path / "samples.parquet")
    schema = pa.schema([*((f"f{i}", pa.float32()) for i in range(20)), ("label", pa.int64())])
    with parquet.ParquetWriter(path, schema, compression="none") as writer:
        for _ in range(50):
            X = rng.random((12_500, 20), np.float32)
            columns = [*map(pa.array, X.T.copy()), pa.array((X[:, 0] > 0.5).astype(np.int64))]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    megabytes = {
        how: float(subprocess.run([sys.executable, "-W", "ignore", "-c", PEAK, path, how],
                                  capture_output=True, text=True, check=True, timeout=LIMIT,
                                  env=os.environ).stdout)
        for how in ("chunks", "whole")
    }  # fmt: skip
    assert megabytes["whole"] > 50
    assert megabytes["chunks"] < 0.25 * megabytes["whole"]
