"""Sequences as users give them, and as the core takes them: their padding, and targets per step.

Within the package sequences are an array (n, n_steps, n_features). Those that end before the others
are padded with rows of NaN, so that their lengths survive whatever picks some of them: pipelines,
cross-validation, early stopping. Targets per step are a masked array, (n, n_steps) or (n, n_steps,
n_outputs), whose mask is the padding.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array

from fastmlp.core.arrays import converted, is_native_array, steps_within
from fastmlp.core.typing import Array

_SWAPPED = (
    " Time steps and features look swapped: X must be (n_sequences, n_steps, n_features). Of an X "
    "as aeon has it, (n_sequences, n_features, n_steps), pass X.transpose(0, 2, 1)."
)


# --- X -------------------------------------------------------------------------------------------


def is_list_of_sequences(values: Any) -> bool:
    """Whether X or y are single sequences in a list, a tuple or an array of objects."""
    if isinstance(values, np.ndarray):
        if values.dtype != object or values.ndim != 1:
            return False
    elif not isinstance(values, (list, tuple)):
        return False
    first = values[0] if len(values) else None
    return hasattr(first, "__len__") and not isinstance(first, (str, bytes))


def checked_sequences(X: Any, name: str = "X") -> Array:
    """User's X as an array (n, n_steps, n_features) of numbers, padded with NaN.

    Raises
    ------
    ValueError, TypeError
        It is none, or has NaN elsewhere than after the end of a sequence, or a sequence of no step;
        the text says where.
    """
    if is_list_of_sequences(X):
        X = _padded(X, name)
    checked: Array = check_array(
        X,
        dtype="numeric" if is_native_array(X) else (np.float64, np.float32),
        allow_nd=True,
        ensure_all_finite="allow-nan",
        input_name=name,
    )
    if checked.ndim == 2:
        checked = checked[:, :, np.newaxis]
    if checked.ndim != 3 or min(checked.shape) == 0:
        raise ValueError(
            f"{name} must be an array of shape (n_sequences, n_steps, n_features), or (n_sequences,"
            " n_steps) of one feature, or a list of arrays (n_steps, n_features). Got "
            f"{np.shape(X)}."
        )
    _check_padding(checked, name)
    return checked


def _padded(items: Sequence[Any], name: str) -> Array:
    """Sequences (n_steps,) or (n_steps, n_features) of any lengths as one array."""
    arrays = [_one_sequence(item, f"{name}[{i}]") for i, item in enumerate(items)]
    n_features = arrays[0].shape[1]
    for i, array in enumerate(arrays):
        if array.shape[1] != n_features:
            raise ValueError(
                f"All sequences must have the same features. {name}[0] has {n_features}, "
                f"{name}[{i}] has {array.shape[1]}."
            )
    lengths = np.array([len(array) for array in arrays])
    dtype = np.result_type(*{array.dtype for array in arrays})
    if dtype.kind != "f":
        dtype = np.dtype(np.float64)
    padded = np.full((len(arrays), lengths.max(), n_features), np.nan, dtype)
    padded[steps_within(lengths, lengths.max())] = np.concatenate(arrays)
    return padded


def _one_sequence(item: Any, name: str) -> Array:
    got = ""
    with suppress(TypeError, ValueError):  # lists of different lengths, objects
        array = np.asarray(item)
        got = f"{array.dtype} of shape {array.shape}"
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
        if array.ndim in (1, 2) and array.size and array.dtype.kind in "fiub":
            return array.reshape(len(array), -1)
    raise ValueError(
        f"{name} must be numbers of shape (n_steps,) or (n_steps, n_features), one step or more. "
        f"Got {got or repr(item)[:60]}."
    )


def _check_padding(X: Array, name: str) -> None:
    """Check that NaN is in whole steps after the end of a sequence only."""
    if X.dtype.kind != "f":
        return
    missing = np.isnan(X)
    if not missing.any():
        return
    lengths = _lengths(missing)
    if lengths.min() == 0:
        raise ValueError(
            f"{name} contains NaN at all steps of sequence {np.argmin(lengths)}: it has none left."
        )
    inside = missing & steps_within(lengths, X.shape[1])[:, :, np.newaxis]
    if inside.any():
        sequence, step, feature = np.argwhere(inside)[0]
        raise ValueError(
            f"{name} contains NaN within sequence {sequence}, at step {step} in feature {feature}. "
            "Only the steps after a sequence's end may be NaN, in all features: that is padding. "
            "Fill missing values in before."
        )


def lengths_of(X: Array) -> Array | None:
    """The number of steps (n,) of each sequence in X that was checked; None where it is all."""
    if X.dtype.kind != "f" or not np.isnan(X[:, -1, 0]).any():
        return None
    return _lengths(np.isnan(X[:, :, :1]))


def _lengths(missing: Array) -> Array:
    """The steps (n,) up to the last one that is not missing in all features."""
    steps = missing.shape[1]
    present: Array = ~np.asarray(missing.all(axis=2))
    last = steps - np.argmax(present[:, ::-1], axis=1)
    return np.where(present.any(axis=1), last, 0).astype(np.int64)


def valid_steps(X: Array) -> Array:
    """Where X that was checked has steps, not padding (n, n_steps)."""
    lengths = lengths_of(X)
    return steps_within(np.full(len(X), X.shape[1]) if lengths is None else lengths, X.shape[1])


def check_features(X: Array, n_features: int, name: str) -> None:
    """Check that X that was checked has the features of the fit; the text is scikit-learn's."""
    _, steps, found = X.shape
    if found != n_features:
        swapped = _SWAPPED if steps == n_features else ""
        raise ValueError(
            f"X has {found} features, but {name} is expecting {n_features} features as input."
            f"{swapped}"
        )


def native_sequences(X: Array, dtype: npt.DTypeLike) -> Array:
    """X that was checked as the core reads it: copied only where its layout demands it.

    Raises
    ------
    ValueError
        There are numbers beyond `dtype`.
    """
    if X.dtype.kind == "f" and X.dtype.itemsize > np.dtype(dtype).itemsize:
        converted(np.array([np.nanmin(X), np.nanmax(X)]), dtype, "X")
    if not is_native_array(X):
        X = X.astype(dtype)
    return X if X[0].flags.c_contiguous and X.flags.aligned else np.array(X, order="C")


# --- y -------------------------------------------------------------------------------------------


def has_targets_per_step(y: Any, *, are_labels: bool) -> bool:
    """Whether y has one target per time step, by its form alone.

    It has if it is a list of sequences, or has three axes; of labels two are enough, unless it is
    a single column, which scikit-learn takes for (n,). Numbers (n, k) are k targets of a sequence.
    """
    shape: tuple[int, ...] = () if is_list_of_sequences(y) else np.shape(y)
    two = are_labels and len(shape) == 2 and shape[1] != 1
    return is_list_of_sequences(y) or len(shape) == 3 or two


def targets_per_step(y: Any, X: Array, *, are_labels: bool) -> Any:
    """User's targets per step as a masked array, (n, n_steps) or (n, n_steps, n_outputs).

    Parameters
    ----------
    y : list of array-like of shape (n_steps,) or (n_steps, n_outputs), or array-like
        What it holds after the end of a sequence is not looked at.
    X : ndarray of shape (n, n_steps, n_features)
        Checked.
    are_labels : bool

    Raises
    ------
    ValueError
        The numbers of sequences or steps are others than in X.
    """
    valid = valid_steps(X)
    values = _from_list(y, X, valid) if is_list_of_sequences(y) else np.asarray(y)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.shape[:2] != X.shape[:2] or (are_labels and values.ndim != 2):
        what = (
            "labels are (n_sequences,) or (n_sequences, n_steps)"
            if are_labels
            else ("targets per step are (n_sequences, n_steps, n_outputs)")
        )
        swapped = _SWAPPED if values.ndim > 1 and values.shape[1] == X.shape[2] else ""
        raise ValueError(
            f"y of shape {np.shape(y)} does not fit X, which has {len(X)} sequences of "
            f"{X.shape[1]} steps: {what}.{swapped}"
        )
    return masked(values, valid)


def _from_list(y: Sequence[Any], X: Array, valid: Array) -> Array:
    """Targets of single sequences as one array; what is after their ends is arbitrary."""
    if len(y) != len(X):
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {[len(X), len(y)]}"
        )
    arrays = [np.asarray(item) for item in y]
    lengths, steps = valid.sum(axis=1), X.shape[1]
    for i, array in enumerate(arrays):
        if len(array) not in (lengths[i], steps):
            swapped = _SWAPPED if len(array) == X.shape[2] else ""
            raise ValueError(
                f"y[{i}] has {len(array)} targets, but X[{i}] has {lengths[i]} steps.{swapped}"
            )
    flat = np.concatenate([a[:length] for a, length in zip(arrays, lengths, strict=True)])
    values = np.empty((*valid.shape, *flat.shape[1:]), flat.dtype)
    values[:] = flat[0]
    values[valid] = flat
    return values


def masked(values: Array, valid: Array) -> Any:
    """Targets per step, (n, n_steps) or (n, n_steps, n_outputs), without those of padding."""
    padding = ~valid if values.ndim == 2 else ~valid[:, :, np.newaxis]
    return np.ma.MaskedArray(values, np.broadcast_to(padding, values.shape))


def steps_of(y: Any) -> Array:
    """Where targets per step are of a step, not of padding (n, n_steps)."""
    mask = np.ma.getmaskarray(y)
    return np.asarray(~(mask if mask.ndim == 2 else mask[:, :, 0]))


def spread(values: Array, valid: Array, padding: Any = 0) -> Array:
    """Values of all valid steps, (m,) or (m, k), as (n, n_steps) or (n, n_steps, k)."""
    full = np.full((*valid.shape, *values.shape[1:]), padding, values.dtype)
    full[valid] = values
    return full


def predictions_per_step(values: Array, valid: Array, *, as_list: bool) -> Any:
    """What was predicted of all valid steps, (m,) or (m, k), as users get it.

    A list of arrays, or one array in which steps after a sequence's end are NaN; class labels
    become float or object for that, where there are such steps.
    """
    if as_list:
        return np.split(values, np.cumsum(valid.sum(axis=1))[:-1])
    if not valid.all() and values.dtype.kind != "f":
        values = values.astype(np.float64 if values.dtype.kind in "iub" else object)
    return spread(values, valid, np.nan) if not valid.all() else spread(values, valid)
