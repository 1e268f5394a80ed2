"""The types in which Python and the native core speak to each other."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

# X with contiguous rows, or (data, indices int32, indptr int64) of a CSR matrix; sequences are
# (n, n_steps, n_features)
Rows: TypeAlias = Array | tuple[Array, Array, Array]

# row numbers
Order: TypeAlias = npt.NDArray[np.int64]


class Epoch(NamedTuple):
    """How far the core has come in an epoch."""

    rows: int = 0  # worked on
    counted_rows: int = 0  # of them, those in batches whose weights do not sum to zero
    total_loss: float = 0.0  # the sum of the losses of the counted rows
    penalty: float = 0.0  # the part of the penalties in it
    steps: int = 0


class Part(NamedTuple):
    """What a process makes of an epoch that several make together, each on rows of its own.

    Attributes
    ----------
    places : ndarray of shape (n_own,)
        Where its rows stand in the whole epoch, in their order there.
    n : int
        The rows of the whole epoch.
    batch : int
        The rows of a step, of all processes.
    reduce : callable
        Replaces the numbers of an array by their sums over all processes; returns whether all are
        to stop after this step.
    """

    places: Order
    n: int
    batch: int
    reduce: Callable[[Array], bool]


class HiddenLayer(NamedTuple):
    """A hidden layer as the core is told of it."""

    activation: str
    parameter: float  # of the activation
    pieces: int  # weighted inputs of each 'maxout' unit, 1 for the others
    dropout: float
