"""A fitted estimator over two of its features, the others at their medians."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Self

import narwhals as nw
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from fastmlp.core.typing import Array
from fastmlp.inspection.checks import last_step, network_input


def plane(estimator: Any, X: Any, features: Sequence[int | str] | None = None) -> "Plane":
    """Look at a fitted estimator as at one of two features, the others at their medians.

    scikit-learn's `DecisionBoundaryDisplay` takes it, with the two columns of X.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier or regressor, of this package or another, or a Pipeline.
    X : {array-like, data frame} of shape (n_samples, n_features)
        Samples, numbers only, as for `predict`.
    features : sequence of two int or str, default=None
        The two features, by their places or names. None: the two of the largest weights, by the
        norm of a feature's weights in the first layer times its standard deviation.

    Returns
    -------
    Plane
        An estimator with the methods `predict`, `predict_proba` and `decision_function` of the
        fitted one. Its `features` (tuple of int) are the two places.

    Raises
    ------
    ValueError
        There are no such features, or not two; None, and the estimator has no first layer whose
        inputs are the features.
    sklearn.exceptions.NotFittedError
        The estimator is not fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.inspection import DecisionBoundaryDisplay
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.inspection import plane
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
    >>> view = plane(clf, X, features=(2, 3))
    >>> DecisionBoundaryDisplay.from_estimator(view, X[:, view.features])
    <...DecisionBoundaryDisplay object at ...>
    """
    check_is_fitted(estimator)
    rows = check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        frame = None
    names = getattr(estimator, "feature_names_in_", ()) if frame is None else frame.columns
    if features is None:
        chosen = _of_largest_weights(estimator, X, rows.shape[1])
    else:
        chosen = [_place(feature, list(names), rows.shape[1]) for feature in features]
    if len(set(chosen)) != 2 or len(chosen) != 2:
        raise ValueError(f"features must be two different ones. Got {features!r}.")
    return Plane(estimator, (chosen[0], chosen[1]), np.nanmedian(rows, axis=0), frame)


def _has(method: str) -> Callable[[Any], bool]:
    return lambda plane: hasattr(plane.estimator, method)


class Plane(BaseEstimator):
    """A fitted estimator as one of two features; `plane` makes it.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    features : tuple of int
        The places of the two features.
    values : ndarray of shape (n_features,)
        What the other features are.
    frame : narwhals DataFrame or None, default=None
        Of the kind that the estimator is given, and with its names; None for arrays.
    """

    def __init__(
        self, estimator: Any, features: tuple[int, int], values: Array, frame: Any = None
    ) -> None:
        self.estimator = estimator
        self.features = features
        self.values = values
        self.frame = frame

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> Array:
        """The class labels; a regressor has none."""
        classes: Array = self.estimator.classes_
        return classes

    def fit(self, X: Any, y: Any = None) -> Self:
        """Do nothing, as the estimator is fitted."""
        return self

    def filled(self, X: Any) -> Any:
        """Samples (n_samples, 2) with all features, as the estimator is given them."""
        pair = np.asarray(X)
        rows = np.tile(self.values, (len(pair), 1))
        rows[:, self.features] = pair
        if self.frame is None:
            return rows
        names, kind = self.frame.columns, self.frame.implementation
        return nw.from_numpy(rows, schema=names, backend=kind).to_native()

    def labels(self) -> list[str]:
        """What the two features are called."""
        names: Any = getattr(self.estimator, "feature_names_in_", None)
        if self.frame is not None:
            names = self.frame.columns
        return [f"Feature {i}" if names is None else str(names[i]) for i in self.features]

    def predict(self, X: Any) -> Array:
        """Predict for samples (n_samples, 2)."""
        return self.estimator.predict(self.filled(X))

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> Array:
        """Predict the classes' probabilities for samples (n_samples, 2)."""
        return self.estimator.predict_proba(self.filled(X))

    @available_if(_has("decision_function"))
    def decision_function(self, X: Any) -> Array:
        """Compute the decision function for samples (n_samples, 2)."""
        return self.estimator.decision_function(self.filled(X))


def _of_largest_weights(estimator: Any, X: Any, n: int) -> list[int]:
    """The places of the two features that weigh most in the first layer."""
    coefs = getattr(last_step(estimator), "coefs_", None)
    if n == 2:
        return [0, 1]
    if coefs is None or len(coefs[0]) != n:
        raise ValueError("features must be given, as no first layer has weights for them.")
    spread = np.nanstd(np.asarray(network_input(estimator, X), dtype=np.float64), axis=0)
    weights = np.linalg.norm(coefs[0], axis=1) * spread
    return sorted(np.argsort(-weights, kind="stable")[:2].tolist())


def _place(feature: Any, names: list[str], n: int) -> int:
    """The place of a feature, which is given by it or by a name."""
    if isinstance(feature, str) and feature in names:
        return names.index(feature)
    if isinstance(feature, Integral) and int(feature) in range(n):
        return int(feature)
    raise ValueError(
        f"features must be names of features or ints from 0 to {n - 1}. Got {feature!r}."
    )
