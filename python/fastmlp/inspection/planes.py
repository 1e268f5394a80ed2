"""Planes through a network's parameters, the loss on them, and the path of training in them."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from fastmlp.core.network import Blocks
from fastmlp.core.rules import InvalidParameterError, integer
from fastmlp.core.typing import Array
from fastmlp.estimators.base import Labels
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.regressor import MLPRegressor
from fastmlp.estimators.scoring import mean_loss
from fastmlp.estimators.session import TrainingSession
from fastmlp.inspection.checks import check_parameter, fitted_network


def training_path(
    estimator: MLPClassifier | MLPRegressor, X: Any, y: Any, *, n_points: int = 50
) -> list[tuple[Sequence[Array | None], ...]]:
    """Train again as a fit did, and record the parameters on the way.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, by one call of `fit` and with an int as `random_state`. It stays as it is.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The samples of the fit.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.
    n_points : int, default=50
        Number of epochs after which the parameters are recorded, evenly spread, besides the first
        weights; each epoch where there are fewer.

    Returns
    -------
    list of tuple
        ``(coefs_, intercepts_)`` from the first weights to the fitted ones, of 'prelu' with
        `activation_slopes_` as a third.

    Raises
    ------
    TypeError
        For another estimator.
    ValueError
        For an estimator that is not fitted, for 'lbfgs', and where training does not lead to the
        fitted weights: they are of other data, or were not drawn from an int.

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.inspection import training_path
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> clf = MLPClassifier((3,), max_iter=4, random_state=0).fit(X, y)
    >>> len(training_path(clf, X, y))
    5
    """
    check_parameter("n_points", n_points, integer(1))
    fitted = fitted_network(estimator)
    epochs = fitted.n_iter_
    if fitted.early_stopping:  # which keeps the weights of the first epoch with the best score
        epochs = 1 + int(np.nanargmax(fitted.validation_scores_))
    session = TrainingSession(clone(fitted).set_params(verbose=False), X, y)
    path, now = [], 0
    for epoch in np.unique(np.linspace(0, epochs, n_points + 1).round().astype(int)):
        session.train(epoch - now)
        now = epoch
        path.append(session.fitted()._blocks())
    if not np.array_equal(path[-1].flat(), fitted._blocks().flat()):
        raise ValueError(
            "Training again does not lead to the fitted weights. It takes X and y of the fit, one "
            "call of `fit` without sample weights and X_val, and an int as random_state. Got "
            f"random_state={fitted.random_state!r}."
        )
    has_slopes = any(slope is not None for slope in path[0].slopes)
    return [tuple(blocks[: 3 if has_slopes else 2]) for blocks in path]


def data_loss(fitted: Any, X: Any, y: Any) -> Callable[[Array], float]:
    """The function from a network's parameters, as one vector, to its loss without penalties.

    It computes on one thread, and may be called by several.
    """
    blocks, dtype = fitted._blocks(), fitted.coefs_[0].dtype
    X, y = fitted._check_X_y(X, y, reset=False)
    samples = fitted._make_data(X, y, None, dtype, Labels.SUBSET).samples

    def loss(parameters: Array) -> float:
        moved = blocks.unflat(parameters, dtype)
        return mean_loss(fitted, moved, fitted._hidden_layers, samples, threads=1)

    return loss


@dataclass(frozen=True, eq=False)
class ParameterPlane:
    """A plane of parameters; `feature_plane.Plane` is one of features.

    Attributes
    ----------
    origin : ndarray of shape (n_parameters,)
        The parameters at the coordinates (0, 0).
    directions : ndarray of shape (2, n_parameters)
    names : tuple of str
        What the coordinates are.
    """

    origin: Array
    directions: Array
    names: tuple[str, str]

    def at(self, coordinates: Array) -> Array:
        """The parameters (n_parameters,) at some coordinates (2,)."""
        return self.origin + coordinates @ self.directions

    def project(self, parameters: Array) -> Array:
        """The coordinates (n, 2) of the plane's points next to parameters (n, n_parameters)."""
        found: Array = np.linalg.lstsq(self.directions.T, (parameters - self.origin).T)[0].T
        return found

    def share(self, parameters: Array, center: Array) -> float:
        """The part of parameters' squared distances from a center that lies in the plane."""
        steps = parameters - center
        total = (steps**2).sum()
        within = (self.project(parameters) - self.project(center[None])) @ self.directions
        return float((within**2).sum() / total) if total > 0 else 1.0


def plane_of(
    directions: Any, center: Blocks, path: Array | None, random_state: Any
) -> ParameterPlane:
    """The plane that a user has asked for.

    Raises
    ------
    ValueError
        `directions` is something else than what is allowed.
    """
    if isinstance(directions, str) and directions == "random":
        random = check_random_state(random_state)
        both = np.stack([_random_direction(center, random) for _ in range(2)])
        names = ("first random direction", "second random direction")
        return ParameterPlane(center.flat(), both, names)
    if isinstance(directions, str) and directions == "pca":
        return _principal_plane(center.flat(), path)
    if not isinstance(directions, (tuple, list)) or len(directions) != 2:
        raise InvalidParameterError(
            "directions must be 'random', 'pca' or two places of parameters. "
            f"Got {directions!r} instead."
        )
    both = np.stack([_unit_direction(center, place) for place in directions])
    if (both[0] == both[1]).all():
        raise InvalidParameterError(f"directions must be two different ones. Got {directions!r}.")
    # the coordinates are the two parameters themselves
    origin = np.where(both.any(axis=0), 0.0, center.flat())
    first, second = (_name(place) for place in directions)
    return ParameterPlane(origin, both, (first, second))


def _random_direction(center: Blocks, random: np.random.RandomState) -> Array:
    """Normal numbers, for each unit as long as its weights; none for biases and slopes."""

    def along(weight: Array) -> Array:
        drawn = random.normal(size=weight.shape)
        direction: Array = drawn * (np.linalg.norm(weight, axis=0) / np.linalg.norm(drawn, axis=0))
        return direction

    still = center.map(np.zeros_like)
    return still._replace(weights=[along(weight) for weight in center.weights]).flat()


def _principal_plane(center: Array, path: Array | None) -> ParameterPlane:
    if path is None or len(path) < 2:
        raise ValueError("directions='pca' needs a path of at least two points.")
    directions = np.linalg.svd(path - center, full_matrices=False)[2][:2]
    largest = np.abs(directions).argmax(axis=1)
    directions *= np.sign(directions[[0, 1], largest])[:, None]  # svd leaves the signs open
    names = ("first principal direction", "second principal direction")
    return ParameterPlane(center, directions, names)


def _unit_direction(center: Blocks, place: Sequence[int]) -> Array:
    """One at the place of a weight (layer, input, unit) or of a bias (layer, unit), else zero."""
    direction = center.map(lambda array: np.zeros(array.shape))
    try:
        layer, *index = map(operator.index, place)
        arrays = {1: direction.biases, 2: direction.weights}[len(index)]
        arrays[layer][tuple(index)] = 1.0
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise InvalidParameterError(
            "A direction must be (layer, input, unit) of a weight or (layer, unit) of a bias. "
            f"Got {place!r}."
        ) from error
    return direction.flat()


def _name(place: Sequence[int]) -> str:
    layer, *index = place
    attribute = "coefs_" if len(index) == 2 else "intercepts_"
    return f"{attribute}[{layer}][{', '.join(map(str, index))}]"
