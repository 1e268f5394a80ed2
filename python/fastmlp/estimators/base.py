"""What all estimators share: fits that take effect whole or not at all, weights, classes."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from importlib.metadata import version
from numbers import Number
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import check_array
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from fastmlp.core.arrays import converted
from fastmlp.core.native import _native
from fastmlp.core.threads import FitUnderWay
from fastmlp.core.typing import Array
from fastmlp.training.distributed import ALONE, Team, current_team

_VERSION_KEY = "_fastmlp_version"

# the records of epochs that `partial_fit` adds to, in place
CURVES = ("loss_curve_", "learning_rate_curve_", "_diagnostics")


@cache
def _version() -> str:
    return version("fastmlp")


class VersionMixin:
    """Estimators whose pickles say which version has made them, as scikit-learn's own do."""

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        # a copy's curves do not grow with the original's
        curves = {name: list(state[name]) for name in CURVES if isinstance(state.get(name), list)}
        return {**state, **curves, _VERSION_KEY: _version()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        made_by = state.pop(_VERSION_KEY, "unknown")
        if made_by != _version():
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=_version(),
                    original_sklearn_version=made_by,
                ),
                stacklevel=2,
            )
        super().__setstate__(state)  # type: ignore[misc]

    @classmethod
    def _get_param_names(cls) -> list[str]:
        this: Any = cls  # a class is hashable, which mypy does not see
        return list(_parameter_names(this))


class Labels(Enum):
    """Which class labels y may have."""

    NEW = "those that it has are the classes"
    SAME = "exactly those of the earlier fit"
    SUBSET = "some of the known classes"


def snapshot(estimator: Any) -> Any:
    """A copy of the estimator as it is now: later changes by other threads do not reach it.

    Fitting replaces attributes and never changes their values in place, so the references suffice.
    """
    copied = object.__new__(type(estimator))
    copied.__dict__.update(estimator.__dict__)  # in one step, as the interpreter has it
    return copied


@contextmanager
def all_or_nothing(estimator: BaseEstimator, *, goes_on: bool = False) -> Iterator[Any]:
    """A copy to fit, whose attributes the estimator takes over in one step at the end.

    An exception leaves the estimator, an earlier fit included, as it was. Other threads see the
    earlier fit or the new one, whole.

    So it is on all ranks that fit together: none takes over what another has failed at.

    A fit that `goes_on` (`partial_fit`) has curves of its own epochs alone. At the end they are
    added to the earlier ones, which grow in place as scikit-learn's do: a copy of them would take
    longer with every call.
    """
    copied = snapshot(estimator)
    earlier = {}
    for name in CURVES if goes_on else ():
        curve = vars(copied).get(name)
        if isinstance(curve, list):
            earlier[name] = curve, len(curve)
            setattr(copied, name, [])
    with FitUnderWay(), current_team().in_step():
        yield copied
    cls: Any = type(estimator)
    now = vars(estimator)
    parameters = {name: now[name] for name in _parameter_names(cls) if name in now}
    attributes = {**vars(copied), **parameters}
    for name, (curve, n) in earlier.items():
        curve[n:] = attributes[name]  # in the place of what another thread may have added
        attributes[name] = curve
    estimator.__dict__ = attributes


@cache
def _parameter_names(cls: Any) -> list[str]:
    """The names of the constructor's parameters.

    Looking at its signature takes 100 us, and a search does so six times per fit.
    """
    names: list[str] = super(VersionMixin, cls)._get_param_names()
    return names


def check_data(estimator: Any, X: Any, y: Any, *, reset: bool, dtype: Any, **options: Any) -> Any:
    """X and y as scikit-learn's `validate_data` returns them.

    Its checks take longer than a small fit. Of clean arrays it would change nothing: only the
    number of features is then left to take.
    """
    if not _are_clean(estimator, X, y, reset=reset, dtype=dtype):
        return validate_data(estimator, X, y, reset=reset, dtype=dtype, **options)
    if reset:
        estimator.n_features_in_ = X.shape[1]
        vars(estimator).pop("feature_names_in_", None)
    return X, y


def _are_clean(estimator: Any, X: Any, y: Any, *, reset: bool, dtype: Any) -> bool:
    """Whether X is a finite array as the core reads it, and y one of as many finite numbers.

    X is neither to be converted to `dtype`, nor to be compared with feature names.
    """
    if type(X) is not np.ndarray or X.ndim != 2 or not X.size or type(y) is not np.ndarray:
        return False
    if isinstance(dtype, np.dtype) and dtype != X.dtype:
        return False
    known = vars(estimator)
    features = X.shape[1] if reset else known.get("n_features_in_")
    return (
        (reset or "feature_names_in_" not in known)
        and features == X.shape[1]
        and _native.is_clean(X, features, X.dtype == np.float32)
        and y.shape == (len(X),)
        and (y.dtype.kind in "biu" or (y.dtype.kind == "f" and bool(np.isfinite(y).all())))
    )


def clean_rows(estimator: Any, X: Any, dtype: npt.DTypeLike) -> Array | None:
    """X as the core reads it, where it needs none of scikit-learn's validation; else None.

    The validation takes 100 us, of a frame 400. X needs none of it as a C-contiguous finite array
    of this type and the fit's number of features, without feature names to compare; or as some rows
    of a frame that make such an array, under the names of the fit. All else, errors and warnings
    included, goes through the validation.
    """
    known = vars(estimator)
    names = known.get("feature_names_in_")
    if names is not None:
        if not (_is_frame(X) and len(X) < 64 and np.array_equal(X.columns, names)):
            return None
        X = np.ascontiguousarray(X.to_numpy())
    features = known.get("n_features_in_", -1)
    return X if _native.is_clean(X, features, dtype == np.float32) else None


def one_row(estimator: Any, X: Any) -> Array:
    """The features (n_features,) of the only sample of user's X."""
    X = validate_data(estimator, X, accept_sparse="csr", reset=False)
    if X.shape[0] != 1:
        raise ValueError(f"X must be one sample, of shape (1, n_features). Got {X.shape}.")
    row: Array = X.toarray()[0] if issparse(X) else X[0]
    return row


def _is_frame(X: Any) -> bool:
    """Whether X is a data frame of pandas or polars."""
    modules = (sys.modules.get(name) for name in ("pandas", "polars"))
    return any(module is not None and type(X) is module.DataFrame for module in modules)


def are_whole_numbers(y: Any) -> bool:
    """Whether labels need none of scikit-learn's checks, which take longer than a small fit."""
    return (
        type(y) is np.ndarray
        and y.ndim == 1
        and y.size > 0
        and y.dtype.kind in "biu"
        and y.dtype.isnative
    )


def labels_in(y: Any) -> Array:
    """The labels that y has, in ascending order."""
    found: Array = np.unique(y) if are_whole_numbers(y) else unique_labels(y)
    return found


def unknown_labels(found: Array, classes: Array) -> Array:
    """Those of some different labels that are not among the classes."""
    if np.array_equal(found, classes):  # as nearly always, and ten times as fast
        return found[:0]
    return np.setdiff1d(found, classes, assume_unique=True)


def check_sample_weight(
    sample_weight: Any, n: int, dtype: npt.DTypeLike, team: Team = ALONE
) -> Array | None:
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
    if not team.any(bool(np.any(weights))):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return converted(weights, dtype, "sample_weight")


@contextmanager
def label_errors(y: Any, name: str = "y") -> Iterator[None]:
    """What is wrong with labels, said without printing all of them, as scikit-learn does."""
    try:
        yield
    except ValueError as error:
        kind = type_of_target(y, input_name=name)
        if kind not in ("continuous", "continuous-multioutput", "unknown"):
            raise
        first = np.asarray(y).ravel()[:3].tolist()
        raise ValueError(
            f"Unknown label type: {kind}. Maybe you are trying to fit a classifier, which expects "
            f"discrete classes on a regression target with continuous values. "
            f"{name} begins with {first}"
        ) from error


@contextmanager
def split_errors(fraction: float, n: int, labels: Array | None, classes: Any) -> Iterator[None]:
    """What does not let samples be set aside, said in the user's labels.

    `labels` are the class numbers (n,) by which the split is stratified, or None.
    """
    try:
        yield
    except ValueError as error:
        if str(error).startswith("The validation set"):
            raise
        counts = "" if labels is None else ", of each class"
        if labels is not None:
            found = zip(classes.tolist(), np.bincount(labels, minlength=len(classes)), strict=True)
            listed = ", ".join(f"{count} of {label!r}" for label, count in found)
            counts += f"; y has {listed}"
        raise ValueError(
            f"{error} early_stopping cannot set validation_fraction={fraction} of {n} samples aside"
            f"{counts}. Give more samples or another validation_fraction, or set "
            "early_stopping=False."
        ) from error


def check_classes(estimator: Any, classes: Any) -> None:
    """Take the `classes` of a first `partial_fit`; compare those of a later one with them."""
    known = getattr(estimator, "classes_", None)
    if classes is None:
        if known is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return
    if known is not None and np.array_equal(known, classes):
        return
    with label_errors(classes, "classes"):
        given = labels_in(classes)
    if known is None:
        estimator.classes_ = given
    elif not np.array_equal(known, given):
        raise ValueError(
            f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}"
        )
