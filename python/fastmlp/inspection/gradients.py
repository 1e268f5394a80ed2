"""Whether back-propagation computes the derivative."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastmlp.core.network import Blocks
from fastmlp.core.rules import integer
from fastmlp.core.typing import Array
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.recurrent_classifier import RNNClassifier
from fastmlp.estimators.recurrent_regressor import RNNRegressor
from fastmlp.estimators.regressor import MLPRegressor
from fastmlp.inspection.checks import check_parameter, fitted_network

# Central differences err by the third derivative times the square of the step, and by rounding
# divided by it. The smaller steps are for a neuron that is within the first of a kink.
_STEPS = (1e-5, 1e-6, 1e-4, 1e-7)


def check_gradients(
    estimator: MLPClassifier | MLPRegressor | RNNClassifier | RNNRegressor,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    max_parameters: int = 200,
) -> dict[str, float]:
    """Compare a fitted network's analytical gradient with a numerical one.

    The derivative of the training loss, penalties included, by each parameter: by
    back-propagation, and by central differences (Nocedal & Wright, "Numerical Optimization", 2006,
    section 8.1). Both in float64, whatever the network was trained in, and without dropout. The
    estimator stays as it is.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, RNNClassifier or RNNRegressor
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The samples.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets, as for `fit`.
    sample_weight : array-like of shape (n_samples,), float or None, default=None
        Weights of the samples.
    max_parameters : int, default=200
        Maximum number of parameters per block to look at; of a larger block as many, evenly
        spread.

    Returns
    -------
    dict of str to float
        For each block of parameters, ``'coefs_[0]'``, ``'intercepts_[0]'``, ...,
        ``'activation_slopes_[0]'``, ..., ``'recurrent_coefs_[0]'``, ..., the largest difference
        between the two gradients, relative to the block's largest derivative.

    Raises
    ------
    ValueError, TypeError
        As `fit`, and for something else than a fitted network.

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.inspection import check_gradients
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier((5,), activation="tanh", max_iter=5).fit(X, y)
    >>> max(check_gradients(clf, X, y).values()) < 1e-6
    True
    """
    fitted = fitted_network(estimator, MLPClassifier, MLPRegressor, RNNClassifier, RNNRegressor)
    check_parameter("max_parameters", max_parameters, integer(1))
    differentiate, blocks = fitted._differentiable(X, y, sample_weight, np.float64)
    gradient = differentiate(blocks)[1]

    def loss() -> float:
        return differentiate(blocks)[0]

    return {
        name: _largest_error(loss, block, analytical, max_parameters)
        for (name, block), (_, analytical) in zip(_named(blocks), _named(gradient), strict=True)
    }


def _named(blocks: Blocks) -> list[tuple[str, Array]]:
    """The arrays with the names of the attributes that hold them."""
    named = [
        (f"{kind}_[{i}]", array)
        for i, layer in enumerate(zip(blocks.weights, blocks.biases, strict=True))
        for kind, array in zip(("coefs", "intercepts"), layer, strict=True)
    ]
    further = {
        "activation_slopes_": blocks.slopes,
        "recurrent_coefs_": blocks.recurrent,
        "recurrent_intercepts_": blocks.recurrent_biases,
    }
    return named + [
        (f"{kind}[{i}]", array)
        for kind, arrays in further.items()
        for i, array in enumerate(arrays)
        if array is not None
    ]


def _largest_error(
    loss: Callable[[], float], block: Array, analytical: Array, max_parameters: int
) -> float:
    """The largest difference from central differences, relative to the largest derivative."""
    flat = block.reshape(-1)  # a view: changes reach `loss`
    chosen = np.linspace(0, flat.size - 1, min(flat.size, max_parameters)).astype(int)
    largest, difference = np.abs(analytical).max(), 0.0
    for place in chosen:
        here, best = flat[place], np.inf
        for step in _STEPS:
            step *= max(1.0, abs(here))
            flat[place] = here + step
            above = loss()
            flat[place] = here - step
            below = loss()
            flat[place] = here
            numerical = (above - below) / (2 * step)
            best = min(best, abs(numerical - analytical.flat[place]))
            largest = max(largest, abs(numerical))
            if best <= 1e-8 * largest:
                break
        difference = max(difference, best)
    return float(difference / largest) if largest > 0 else 0.0
