"""How many threads to use, and how others limit them."""

import os
from functools import cache
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


def n_threads(n_jobs: int | None) -> int:
    """Threads to use.

    Parameters
    ----------
    n_jobs : int or None
        None is all that affinity, the cgroup's quota, OMP_NUM_THREADS and threadpoolctl leave; -1
        too, -2 one less. More than the latter two's limit is never taken.
    """
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    cpus = _cpu_count(os.getpid(), len(affinity))
    wanted = cpus if n_jobs is None else n_jobs if n_jobs > 0 else cpus + 1 + n_jobs
    return max(1, min(wanted, _native.max_threads()))


@cache
def _cpu_count(process: int, affinity: int) -> int:
    """Ask anew where the arguments differ: it takes 50 us, for it reads the cgroup's files."""
    import joblib

    return int(joblib.cpu_count())
