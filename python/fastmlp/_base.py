"""What all estimators share: fits that are whole or not there, sample weights, files."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Number
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.multiclass import unique_labels

from fastmlp._arrays import converted
from fastmlp._typing import Array


def snapshot(estimator: Any) -> Any:
    """A copy of the estimator as it is now: later changes by other threads do not reach it.

    Fitting replaces attributes and never changes their values in place, so the references suffice.
    """
    copied = object.__new__(type(estimator))
    copied.__dict__.update(estimator.__dict__)  # in one step, as the interpreter has it
    return copied


@contextmanager
def published(estimator: BaseEstimator) -> Iterator[Any]:
    """A copy to fit, whose attributes the estimator takes over at the end, all in one step.

    An exception leaves the estimator, an earlier fit included, as it was. Other threads see the
    earlier fit or the new one, whole.
    """
    copied = snapshot(estimator)
    yield copied
    now = vars(estimator)
    parameters = {name: now[name] for name in estimator.get_params(deep=False) if name in now}
    estimator.__dict__ = {**vars(copied), **parameters}


def check_sample_weight(sample_weight: Any, n: int, dtype: npt.DTypeLike) -> Array | None:
    """Sample weights of shape (n,) and the core's dtype, or None; the texts are scikit-learn's."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Number):
        sample_weight = np.full(n, sample_weight)
    weights: Array = check_array(
        sample_weight,
        ensure_2d=False,
        dtype=(np.float64, np.float32),
        input_name="sample_weight",
    )
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array. "
            f"Expected either a scalar value or a 1D array of length {n}."
        )
    if weights.shape != (n,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n,)}!")
    if not np.any(weights):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return converted(weights, dtype, "sample_weight")


def check_classes(estimator: Any, classes: Any) -> None:
    """Take the `classes` of a first `partial_fit`; hold those of a later one against them."""
    known = getattr(estimator, "classes_", None)
    if classes is None:
        if known is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
    elif known is None:
        estimator.classes_ = unique_labels(classes)
    elif not np.array_equal(known, unique_labels(classes)):
        raise ValueError(
            f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}"
        )


class SavableMixin:
    """Estimators that a file can hold."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted estimator as a safetensors file.

        It holds the parameters, all fitted attributes and the solver's state: what
        :func:`fastmlp.load` makes of it predicts the same bits, and `partial_fit` and a warm start
        go on to the same bits. Callbacks are left out. A RandomState as `random_state` is saved as
        it stands, and a sequence of arrays as `init` with its arrays. Needs the package
        safetensors, which ``pip install 'fastmlp[save]'`` installs.

        Parameters
        ----------
        path : str or path-like
            The file to write. It is replaced once the new one is complete on the disk: whatever
            fails before leaves an earlier file as it was.

        Raises
        ------
        ValueError
            A file cannot hold a parameter (a function as `learning_rate`, `init` or `scoring`: set
            another value first), the labels (other objects than strings) or attributes that were
            added to the estimator; or the weights are not finite or do not fit the parameters any
            more; or the path names no file.
        TypeError
            The estimator is of a class derived from the package's.
        NotFittedError
            The estimator is not fitted.
        OSError
            The file cannot be written.
        ImportError
            safetensors is not installed.
        """
        from fastmlp._saving import save

        save(self, path)
