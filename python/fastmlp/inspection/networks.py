"""The network that is looked into, alone or at the end of a Pipeline."""

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def last_step(estimator: Any) -> Any:
    """The fitted estimator itself, or that which a Pipeline ends with.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        It is not fitted.
    """
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    check_is_fitted(last)
    return last


def network_in(estimator: Any, attribute: str) -> Any:
    """The fitted network itself, or that which a Pipeline ends with.

    Raises
    ------
    TypeError
        It does not have the attribute that a picture is drawn from.
    sklearn.exceptions.NotFittedError
        It is not fitted.
    """
    network = last_step(estimator)
    if not hasattr(network, attribute):
        raise TypeError(
            "estimator must be a multi-layer network, or a Pipeline that ends with one. "
            f"Got {type(network).__name__} instead, which has no {attribute!r}."
        )
    return network


def network_input(estimator: Any, X: Any) -> Any:
    """What the network is given of X: what the earlier steps of a Pipeline make of it."""
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        return estimator[:-1].transform(X)
    return X
