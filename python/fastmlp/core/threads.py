"""How many threads to use, and how others limit them."""

import os
from functools import cache
from threading import get_ident
from types import TracebackType
from typing import Any

import threadpoolctl

from fastmlp.core.native import _native


class _Controller(threadpoolctl.LibController):
    """What makes threadpoolctl's limits reach the core, whose limit is its own.

    That of OpenMP will not do: where another library has brought an OpenMP of the same name, the
    core shares it, and that library's settings with it.
    """

    user_api = "openmp"
    internal_api = "fastmlp"
    filename_prefixes = ("_native",)
    check_symbols = ("fastmlp_get_num_threads", "fastmlp_set_num_threads")

    def get_num_threads(self) -> Any:
        return self.dynlib.fastmlp_get_num_threads()

    def set_num_threads(self, num_threads: int) -> None:
        self.dynlib.fastmlp_set_num_threads(num_threads)

    def get_version(self) -> None:
        return None


threadpoolctl.register(_Controller)


# The threads that are within a fit, by their identifiers. Single operations on it are atomic; a
# lock could be held by another thread at the moment of a fork, and then in the child for ever.
_fitting: set[int] = set()
if hasattr(os, "register_at_fork"):  # in a child none is under way
    os.register_at_fork(after_in_child=_fitting.clear)


class FitUnderWay:
    """For its time the calling thread counts as one that fits: fits side by side share the threads.

    However they come to be side by side: by joblib's threads, those of a Dask worker or of others,
    none of which limits the threads of the fits that it runs. A fit within a fit, of the same
    thread, is none more.
    """

    def __enter__(self) -> None:
        thread = get_ident()
        self._mine = thread if thread not in _fitting else None
        _fitting.add(thread)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._mine is not None:
            _fitting.discard(self._mine)


def n_threads(n_jobs: int | None) -> int:
    """Threads to use now.

    Parameters
    ----------
    n_jobs : int or None
        None is all that affinity, the cgroup's quota, OMP_NUM_THREADS and threadpoolctl leave,
        divided by the fits under way in this process. -1 is all of them, -2 one less. More than the
        latter two's limit is never taken.
    """
    return shared_threads(n_jobs, most_threads(n_jobs))


def shared_threads(n_jobs: int | None, most: int) -> int:
    """`n_threads` where `most_threads` is known, for asking often."""
    return most if n_jobs is not None else max(1, most // max(1, len(_fitting)))


def most_threads(n_jobs: int | None) -> int:
    """`n_threads` of a fit that has the process for itself."""
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    cpus = _cpu_count(os.getpid(), len(affinity))
    wanted = cpus if n_jobs is None else n_jobs if n_jobs > 0 else cpus + 1 + n_jobs
    return max(1, min(wanted, _native.max_threads()))


@cache
def _cpu_count(process: int, affinity: int) -> int:
    """Ask anew where the arguments differ: it takes 50 us, for it reads the cgroup's files."""
    import joblib

    return int(joblib.cpu_count())
