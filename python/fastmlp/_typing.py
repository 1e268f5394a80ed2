"""The shapes in which arrays go to and come from the core."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

# weight (in, out), bias (out,), layer by layer; C-contiguous, all float32 or all float64
Blocks: TypeAlias = list[Array]

# X with contiguous rows, or (data, indices int32, indptr int64) of a CSR matrix
Rows: TypeAlias = Array | tuple[Array, Array, Array]

# where the core stands in an epoch: rows worked on, those in batches whose weights do not sum to
# zero, sum of the losses of these, the penalty in it, steps
Epoch: TypeAlias = tuple[int, int, float, float, int]

# row numbers
Order: TypeAlias = npt.NDArray[np.int64]
