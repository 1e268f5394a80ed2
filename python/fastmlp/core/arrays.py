"""Arrays as users give them, and as the core takes them."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from fastmlp.core.typing import Array, Rows


def steps_within(lengths: Array, steps: int) -> Array:
    """Where sequences of these lengths (n,) have steps, of so many at most (n, steps)."""
    return np.asarray(np.arange(steps) < lengths[:, np.newaxis])


def native_rows(X: Any, dtype: npt.DTypeLike) -> Rows:
    """Finite X as the core reads it: copied only where its type or its memory layout demands it.

    Parameters
    ----------
    X : ndarray or CSR/CSC matrix of shape (n_samples, n_features)
    dtype : float32 or float64

    Returns
    -------
    An array with contiguous rows, or the (data, indices, indptr) of a CSR matrix.

    Raises
    ------
    ValueError
        There are numbers beyond `dtype`, or too many features.
    """
    values = X.data if issparse(X) else X
    wider = values.dtype.kind == "f" and values.dtype.itemsize > np.dtype(dtype).itemsize
    if wider and values.size:
        converted(np.array([values.min(), values.max()]), dtype, "X")
    if issparse(X):
        X = X.tocsr()
        if X.shape[1] > 2**31:
            raise ValueError(f"Sparse X must have up to 2**31 features. Got {X.shape[1]}.")
        return (
            as_block(X.data, dtype),
            as_block(X.indices, np.int32),
            as_block(X.indptr, np.int64),
        )
    if not is_native_array(X):
        X = np.asarray(X, dtype=dtype)
    contiguous_rows = X.strides[1] == X.itemsize or X.shape[1] == 1
    return X if contiguous_rows and X.flags.aligned else np.array(X, order="C")


def is_native_array(X: Any) -> bool:
    """Whether X is an array of numbers that the core reads, and converts, row by row."""
    kind = X.dtype if isinstance(X, np.ndarray) else None
    return kind is not None and kind.kind in "fiub" and kind.isnative and kind.itemsize <= 8


def as_block(array: Any, dtype: npt.DTypeLike) -> Array:
    """`array` C-contiguous, aligned and of the core's dtype; itself where it is so."""
    block = np.ascontiguousarray(array, dtype=dtype)
    return block if block.flags.aligned else block.copy()


def converted(values: Array, dtype: npt.DTypeLike, name: str) -> Array:
    """Finite values as the core takes them; an error where they are beyond `dtype`."""
    with np.errstate(over="ignore"):
        block = as_block(values, dtype)
    if not np.isfinite(block).all():
        limits = np.finfo(block.dtype)
        raise ValueError(
            f"{name} must be within {limits.dtype}, which the network is of: up to "
            f"{limits.max:.2g}. Got numbers from {np.min(values)} to {np.max(values)}."
        )
    return block
