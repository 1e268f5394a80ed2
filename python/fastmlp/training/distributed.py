"""Several processes that train one network together, each on rows of its own.

A `Team` is what training knows of them. Of one process alone, the usual case, its calls give back
what they are given. Of several (`Ranks`) all make the same calls in the same order, and each call
begins with a few numbers that say how the ranks are: one that has failed tells so in whatever call
the others are, and all are out of it together. So no rank waits for one that does not come.
"""

import os
import platform
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array, Order
from fastmlp.training.communicators import Communicator, MpiCommunicator, as_communicator


class RankError(RuntimeError):
    """What ranks are told whose own work is in order, when another rank has failed."""


class InterruptOfAll(KeyboardInterrupt):
    """An interrupt that all ranks have been told of, and raise in the same call."""


class Team:
    """One process, which trains alone.

    Attributes
    ----------
    rank, size : int
    leads : bool
        Whether it is rank 0, which decides.
    is_alone : bool
        Whether nobody else is to be asked.
    """

    rank = 0
    size = 1
    is_alone = True

    @property
    def leads(self) -> bool:
        """Whether it is the rank that decides."""
        return self.rank == 0

    @contextmanager
    def in_step(self) -> Iterator[None]:
        """A piece of work that all ranks end, or none: an error of one is told to all."""
        yield

    def sum(self, values: Any) -> Any:
        """The sums of a number or an array over all ranks."""
        return values

    def any(self, flag: bool) -> bool:
        """Whether a rank says so."""
        return flag

    def bcast(self, value: Any) -> Any:
        """The value of rank 0."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks."""
        return [value]

    def check_same(self, values: dict[str, Any]) -> None:
        """Check that all ranks have the same values, by what they are called.

        Raises
        ------
        ValueError
            On the ranks that differ from rank 0.
        """

    def reduce(self, numbers: Array, ends: bool) -> bool:
        """Replace numbers by their sums over all ranks.

        Returns whether all are to end: one says so, or was interrupted.
        """
        raise NotImplementedError


ALONE = Team()


class Ranks(Team):
    """Several processes, or as many threads, with a communicator.

    Parameters
    ----------
    comm : Communicator
    """

    is_alone = False

    def __init__(self, comm: Communicator) -> None:
        self.comm = comm
        self.rank, self.size = comm.rank, comm.size
        self._interrupted = False  # by a Ctrl-C that is yet to be told
        self._closed = False  # no rank listens any more

    # --- how the ranks are -----------------------------------------------------------------------

    def _meet(
        self, error: BaseException | None = None, *, ends: bool = False, leaves: bool = False
    ) -> tuple[bool, bool]:
        """Say how this rank is, and hear of all.

        Returns whether one has been interrupted, and whether one says that all are to end.

        Raises
        ------
        RankError
            Another has failed, or makes another call, and this one has no error of its own.
        """
        if self._closed:
            if error is not None:
                return False, False
            raise RankError("Other ranks have left `with fastmlp.distributed()` before.")
        told = np.array([error is not None, self._interrupted, ends, leaves], np.int64)
        failed, interrupted, end, leaving = self._summed(told).tolist()
        apart = 0 < leaving < self.size
        self._closed = leaving > 0
        if failed or apart:
            texts = self._gathered(_text(error, leaves))
            if error is None:
                told_of = [f"Rank {rank} of {self.size} {t}" for rank, t in enumerate(texts) if t]
                raise RankError("; ".join(told_of) or "Other ranks have failed.")
        return interrupted > 0, end > 0

    def _meet_or_raise(self, *, ends: bool = False) -> bool:
        """The same where an interrupt of one rank is one of all."""
        interrupted, end = self._meet(ends=ends)
        if interrupted:
            self._interrupted = False
            raise InterruptOfAll
        return end

    @contextmanager
    def in_step(self) -> Iterator[None]:
        """A piece of work that all ranks end, or none."""
        with self._deferring_interrupts():
            try:
                yield
                self._meet_or_raise()
            except RankError:
                raise
            except BaseException as error:
                self._interrupted = False
                self._meet(error)
                raise

    @contextmanager
    def block(self) -> Iterator[None]:
        """What is between entering and leaving `distributed`."""
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            if not self._closed:
                with self._deferring_interrupts():
                    self._meet(error, leaves=True)

    @contextmanager
    def _deferring_interrupts(self) -> Iterator[None]:
        """Ctrl-C is told at the next meeting: a rank that left one would keep the others waiting.

        A handler of the user's is left alone.
        """
        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return

        def remember(*_: Any) -> None:
            self._interrupted = True

        signal.signal(signal.SIGINT, remember)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt

    # --- what they say ---------------------------------------------------------------------------

    def _summed(self, numbers: Array) -> Array:
        summed = self.comm.allreduce(numbers)
        if summed is not numbers:
            numbers[...] = summed
        return numbers

    def _gathered(self, value: Any) -> list[Any]:
        ranks = range(self.size)
        return [self.comm.bcast(value if rank == self.rank else None, rank) for rank in ranks]

    def sum(self, values: Any) -> Any:
        """The sums of a number or an array over all ranks, in float64 or int64."""
        array = np.asarray(values)
        wide = np.array(array, np.float64 if array.dtype.kind == "f" else np.int64, order="C")
        self._meet_or_raise()
        summed = self._summed(wide.reshape(-1)).reshape(wide.shape)
        return summed if summed.ndim else summed[()]

    def any(self, flag: bool) -> bool:
        """Whether a rank says so."""
        return self._meet_or_raise(ends=flag)

    def bcast(self, value: Any) -> Any:
        """The value of rank 0."""
        self._meet_or_raise()
        return self.comm.bcast(value if self.leads else None, 0)

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks."""
        self._meet_or_raise()
        return self._gathered(value)

    def check_same(self, values: dict[str, Any]) -> None:
        """Check that all ranks have the same values, by what they are called."""
        leaders = self.bcast(values)
        for name, value in values.items():
            if value != leaders.get(name):
                raise ValueError(
                    f"All ranks must have the same {name}. Rank 0 has {leaders.get(name)}, rank "
                    f"{self.rank} has {value}."
                )

    def reduce(self, numbers: Array, ends: bool) -> bool:
        """Replace numbers by their sums; whether all are to end."""
        interrupted, end = self._meet(ends=ends)
        self._summed(numbers)
        return interrupted or end


def _text(error: BaseException | None, leaves: bool) -> str | None:
    """What a rank says of itself to those that ask why it does not go on."""
    if isinstance(error, RankError):
        return None  # it was told, too
    if error is not None:
        words = f": {error}" if str(error) else ""
        return f"has failed: {type(error).__name__}{words}"
    return "leaves `with fastmlp.distributed()` while others train" if leaves else None


# --- the team of a thread ------------------------------------------------------------------------

_teams: dict[int, Ranks] = {}  # by the threads that entered `distributed`
if hasattr(os, "register_at_fork"):  # a child is no rank
    os.register_at_fork(after_in_child=_teams.clear)


def current_team() -> Team:
    """The ranks that the calling thread trains with.

    Raises
    ------
    RuntimeError
        Another thread does: a fit here would be of a rank's own rows alone.
    """
    if not _teams:
        return ALONE
    team = _teams.get(threading.get_ident())
    if team is None:
        raise RuntimeError(
            "Within `with fastmlp.distributed()` only the thread that entered it can fit, one "
            "estimator at a time. For searches use n_jobs=None."
        )
    return team


@contextmanager
def distributed(comm: Any = None) -> Iterator[None]:
    """Train on all ranks of a communicator together: each `fit` within gets this rank's rows.

    The ranks' gradients are summed up in each step, so that k ranks train the model of one process
    with all rows and k times the `batch_size`, to rounding: see docs/distributed.md.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm, object or None, default=None
        The communicator; None is ``mpi4py.MPI.COMM_WORLD``. Any object will do that has `rank`,
        `size`, ``allreduce(array)``, which returns the sums over all ranks, and
        ``bcast(value, root)``.

    Yields
    ------
    None

    Raises
    ------
    ImportError
        mpi4py, or an MPI library, is not installed.
    TypeError
        `comm` is no communicator.
    RuntimeError
        Another rank has failed; the text has its error. The estimator then is as it was.

    Notes
    -----
    All ranks make the same calls. What an error ends on one rank, it ends on all.

    Examples
    --------
    Started by ``mpiexec -n 4 python train.py`` this trains on four ranks; by itself, on one:

    >>> import fastmlp
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = fastmlp.MLPClassifier(random_state=0)
    >>> with fastmlp.distributed():  # doctest: +SKIP
    ...     clf.fit(X, y)
    """
    thread = threading.get_ident()
    if thread in _teams:
        raise RuntimeError("`with fastmlp.distributed()` cannot be entered twice.")
    communicator = as_communicator(comm)
    team = Ranks(communicator)
    is_mpi = isinstance(communicator, MpiCommunicator)
    _teams[thread] = team
    try:
        with team.block(), _own_threads(team) if is_mpi else nullcontext():
            yield
    finally:
        del _teams[thread]
    if isinstance(communicator, MpiCommunicator):
        communicator.free()


@contextmanager
def _own_threads(team: Team) -> Iterator[None]:
    """As many threads as are this rank's part of the processors that ranks of a host share."""
    if "OMP_NUM_THREADS" in os.environ or not hasattr(os, "sched_getaffinity"):
        yield
        return
    own, host = os.sched_getaffinity(0), platform.node()
    with team.in_step():
        here = [cpus for other, cpus in team.gather((host, own)) if other == host]
    claims = Counter(cpu for cpus in here for cpu in cpus)
    part = sum(1 / claims[cpu] for cpu in own) / len(own)
    limit = max(1, round(n_threads(None) * part))
    with ThreadpoolController().select(internal_api="fastmlp").limit(limits=limit):
        yield


def check_alone(estimator: Any) -> None:
    """Refuse to fit an estimator that several ranks cannot train.

    Raises
    ------
    ValueError
        There are several.
    """
    if not current_team().is_alone:
        raise ValueError(
            f"{type(estimator).__name__} trains in one process: fastmlp.distributed is for "
            "MLPClassifier, MLPRegressor, MLPAutoencoder, RNNClassifier and RNNRegressor."
        )


# --- rows ----------------------------------------------------------------------------------------


class Shard(NamedTuple):
    """The rows of this rank among those of all, which are numbered rank after rank.

    Attributes
    ----------
    team : Team
    counts : tuple of int
        The rows of each rank.
    """

    team: Team
    counts: tuple[int, ...]

    @classmethod
    def of(cls, team: Team, n: int) -> "Shard":
        """A rank's n rows among those of its team."""
        counts = np.zeros(team.size, np.int64)
        counts[team.rank] = n
        return cls(team, tuple(team.sum(counts).tolist()))

    @property
    def n(self) -> int:
        """The rows of this rank."""
        return self.counts[self.team.rank]

    @property
    def first(self) -> int:
        """The number of its first row."""
        return sum(self.counts[: self.team.rank])

    @property
    def total(self) -> int:
        """The rows of all ranks."""
        return sum(self.counts)

    def own(self, order: Order) -> tuple[Order, Order]:
        """Of some rows of all this rank's: their own numbers, and their places in the order."""
        rows = order - self.first
        places = np.flatnonzero((rows >= 0) & (rows < self.n))
        return rows[places], places

    def room(self, batch: int) -> int:
        """How many rows of a batch are this rank's, but rarely: more are worked on in pieces."""
        expected = batch * self.n / self.total
        return max(1, min(batch, ceil(expected + 4 * sqrt(expected))))

    def in_turn(self) -> Order:
        """All rows, of each rank the next in turn, so that each has its part of every stretch."""
        shares = [(np.arange(n) + 0.5) / max(n, 1) for n in self.counts]
        return np.argsort(np.concatenate(shares), kind="stable")
