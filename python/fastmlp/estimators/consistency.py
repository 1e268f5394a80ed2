"""Whether the attributes of a fitted estimator fit each other, after edits or out of a file."""

from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastmlp.core.network import gates_of
from fastmlp.core.typing import Array


def _require_floats(name: str, arrays: Any) -> None:
    if {array.dtype for array in arrays} - {np.dtype(np.float32), np.dtype(np.float64)}:
        raise ValueError(f"{name} must be arrays of float32 or float64")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(f"{name} must be finite, but some numbers are NaN or infinite")


def check_features(estimator: Any) -> None:
    """Check that there are as many names of features as features."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and len(names) != estimator.n_features_in_:
        raise ValueError(
            f"feature_names_in_ has {len(names)} names for {estimator.n_features_in_} features"
        )


def check_classes_attribute(name: str, classes: Array) -> None:
    """Check that class labels are in ascending order, whatever their type."""
    if np.any(classes != classes):
        raise ValueError(f"{name} must be labels in ascending order, none of them NaN or NaT")
    if not len(classes) or not np.all(classes[:-1] < classes[1:]):
        raise ValueError(f"{name} must be labels in ascending order")


def check_single_layer(estimator: Any) -> None:
    """Check that weights, classes and features fit each other.

    Raises
    ------
    ValueError
        Says what does not fit.
    """
    check_features(estimator)
    check_classes_attribute("classes_", estimator.classes_)
    n = len(estimator.classes_)
    coef, intercept = estimator.coef_, estimator.intercept_
    _require_floats("coef_", [coef.data if issparse(coef) else coef])
    _require_floats("intercept_", [intercept])
    shape = (1 if n == 2 else n, estimator.n_features_in_)
    if n < 2 or coef.shape != shape or intercept.shape != shape[:1]:
        raise ValueError(
            f"coef_ of shape {coef.shape} and intercept_ of shape {intercept.shape} do not fit "
            f"{n} classes and {estimator.n_features_in_} features"
        )


def check_network(estimator: Any) -> None:
    """Check that the layers of a network and the numbers of their units fit each other.

    Raises
    ------
    ValueError
        Says what does not fit.
    """
    e = estimator
    check_features(e)
    coefs, intercepts, hidden = e.coefs_, e.intercepts_, e._hidden_layers
    n = len(coefs)
    if not n or len(intercepts) != n or e.n_layers_ != n + 1:
        raise ValueError(
            f"{n} coefs_ and {len(intercepts)} intercepts_ do not fit n_layers_={e.n_layers_}"
        )
    _require_floats("coefs_", coefs)
    _require_floats("intercepts_", intercepts)
    if len(hidden) != n - 1:
        raise ValueError(f"{len(hidden)} activations do not fit {n - 1} hidden layers")
    gates = gates_of(e._cell)
    pieces = [layer.pieces * gates for layer in hidden] + [1]
    if not _fit_each_other(e, pieces):
        raise ValueError(
            f"coefs_ of the shapes {[array.shape for array in coefs]} and intercepts_ of the "
            f"shapes {[array.shape for array in intercepts]} do not make a network of "
            f"{e.n_features_in_} features and {e.n_outputs_} outputs"
        )
    slopes = getattr(e, "activation_slopes_", [None] * len(hidden))
    wanted = [
        array.shape[1:] if layer.activation == "prelu" else None
        for array, layer in zip(coefs, hidden, strict=False)
    ]
    if [None if array is None else array.shape for array in slopes] != wanted:
        raise ValueError("activation_slopes_ do not fit the hidden layers")
    _require_floats("activation_slopes_", [array for array in slopes if array is not None])
    if e._cell:
        _check_recurrent(e, [array.shape[0] for array in coefs[1:]], gates)


def _check_recurrent(estimator: Any, units: list[int], gates: int) -> None:
    """Check that there are recurrent weights for each hidden layer, and of a 'gru' biases."""
    e = estimator
    _require_floats("recurrent_coefs_", e.recurrent_coefs_)
    _require_floats("recurrent_intercepts_", e.recurrent_intercepts_)
    weights = [array.shape for array in e.recurrent_coefs_]
    biases = [array.shape for array in e.recurrent_intercepts_]
    wanted = [(n, gates * n) for n in units]
    if weights != wanted or biases != [shape[1:] for shape in wanted if gates > 1]:
        raise ValueError(
            f"recurrent_coefs_ of the shapes {weights} and recurrent_intercepts_ of the shapes "
            f"{biases} do not fit hidden layers of {units} units of the kind {e._cell!r}"
        )


def _fit_each_other(estimator: Any, pieces: list[int]) -> bool:
    """Whether each layer's outputs are the next one's inputs, and its biases as many."""
    shapes = [array.shape for array in estimator.coefs_]
    return (
        all(len(shape) == 2 and min(shape) > 0 for shape in shapes)
        and all(shape[1] % k == 0 for shape, k in zip(shapes, pieces, strict=True))
        and all(
            before[1] == k * after[0]
            for (before, after), k in zip(pairwise(shapes), pieces[:-1], strict=True)
        )
        and (shapes[0][0], shapes[-1][1]) == (estimator.n_features_in_, estimator.n_outputs_)
        and [array.shape for array in estimator.intercepts_] == [shape[1:] for shape in shapes]
    )
