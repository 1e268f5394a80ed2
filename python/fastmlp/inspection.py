"""Looking inside: whether back-propagation computes the derivative."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastmlp._base import snapshot
from fastmlp._mlp import MLPClassifier, MLPRegressor
from fastmlp._parameters import InvalidParameterError, check_parameters, integer

__all__ = ["check_gradients"]

# Central differences err by the third derivative times the square of the step, and by rounding
# divided by it. The smaller steps are for a neuron that is within the first of a kink.
_STEPS = (1e-5, 1e-6, 1e-4, 1e-7)


def check_gradients(
    estimator: MLPClassifier | MLPRegressor,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    max_parameters: int = 200,
) -> dict[str, float]:
    """Hold a fitted network's analytical gradient against a numerical one.

    The derivative of the training loss, penalties included, by each parameter: by
    back-propagation, and by central differences (Nocedal & Wright, "Numerical Optimization", 2006,
    section 8.1). Both in float64, whatever the network was trained in, and without dropout. The
    estimator stays as it is.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The samples.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets, as for `fit`.
    sample_weight : array-like of shape (n_samples,), float or None, default=None
        How much each sample counts.
    max_parameters : int, default=200
        Most parameters per block to look at; of a larger block as many, evenly spread.

    Returns
    -------
    dict of str to float
        For each block of parameters, ``'coefs_[0]'``, ``'intercepts_[0]'``, ...,
        ``'activation_slopes_[0]'``, the largest difference between the two gradients, relative to
        the block's largest derivative.

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
    if not isinstance(estimator, (MLPClassifier, MLPRegressor)):
        raise TypeError(
            "estimator must be an MLPClassifier or MLPRegressor. "
            f"Got {type(estimator).__name__} instead."
        )
    rule = integer(1)
    if not rule.accepts(max_parameters):
        raise InvalidParameterError(
            f"max_parameters must be {rule.text}. Got {max_parameters!r} instead."
        )
    check_is_fitted(estimator)
    check_parameters(estimator, estimator._rules)
    estimator = snapshot(estimator)
    differentiate, blocks = estimator._differentiable(X, y, sample_weight, np.float64)
    gradient = differentiate(blocks)[1]
    layers = range(estimator.n_layers_ - 1)
    names = [f"{kind}_[{layer}]" for layer in layers for kind in ("coefs", "intercepts")]
    slopes = getattr(estimator, "activation_slopes_", ())
    names += [f"activation_slopes_[{i}]" for i, slope in enumerate(slopes) if slope is not None]
    errors = {}
    for name, block, analytical in zip(names, blocks, gradient, strict=True):
        flat = block.reshape(-1)  # a view: changes reach `blocks`
        chosen = np.linspace(0, flat.size - 1, min(flat.size, max_parameters)).astype(int)
        largest, difference = np.abs(analytical).max(), 0.0
        for place in chosen:
            here, best = flat[place], np.inf
            for step in _STEPS:
                step *= max(1.0, abs(here))
                flat[place] = here + step
                above = differentiate(blocks)[0]
                flat[place] = here - step
                below = differentiate(blocks)[0]
                flat[place] = here
                numerical = (above - below) / (2 * step)
                best = min(best, abs(numerical - analytical.flat[place]))
                largest = max(largest, abs(numerical))
                if best <= 1e-8 * largest:
                    break
            difference = max(difference, best)
        errors[name] = float(difference / largest) if largest > 0 else 0.0
    return errors
