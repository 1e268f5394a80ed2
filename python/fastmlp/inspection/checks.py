"""What is looked into, alone or at the end of a Pipeline, and parameters of what is made of it."""

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from fastmlp.core.rules import InvalidParameterError, Rule, check_parameters
from fastmlp.estimators.base import snapshot
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.regressor import MLPRegressor


def check_kind(estimator: Any, *kinds: type) -> None:
    """Check that an estimator is of one of some classes; its text says 'an' of the first.

    Raises
    ------
    TypeError
        It is another one.
    """
    if not isinstance(estimator, kinds):
        *names, last = (kind.__name__ for kind in kinds)
        raise TypeError(
            f"estimator must be an {', '.join(names)} or {last}. "
            f"Got {type(estimator).__name__} instead."
        )


def fitted_network(estimator: Any, *kinds: type) -> Any:
    """A copy of a fitted network of one of some classes, which later changes do not reach.

    Without classes it must be an MLPClassifier or MLPRegressor.

    Raises
    ------
    TypeError
        It is another estimator.
    ValueError
        It is not fitted (`NotFittedError`), or has a parameter outside of what is allowed.
    """
    check_kind(estimator, *(kinds or (MLPClassifier, MLPRegressor)))
    check_is_fitted(estimator)
    check_parameters(estimator)
    return snapshot(estimator)


def last_step(estimator: Any) -> Any:
    """The fitted estimator itself, or that which a Pipeline ends with.

    Raises
    ------
    NotFittedError
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
        It does not have the attribute that a picture is drawn from; or it is of activations, which
        in a recurrent network are those of each step.
    NotFittedError
        It is not fitted.
    """
    network = last_step(estimator)
    if not hasattr(network, attribute):
        raise TypeError(
            "estimator must be a multi-layer network, or a Pipeline that ends with one. "
            f"Got {type(network).__name__} instead, which has no {attribute!r}."
        )
    if attribute == "hidden_activations" and network._cell:
        raise TypeError(
            "estimator must be a network whose units depend on one sample. Got "
            f"{type(network).__name__} instead, whose units depend on the steps before, too."
        )
    return network


def network_input(estimator: Any, X: Any) -> Any:
    """What the network is given of X: what the earlier steps of a Pipeline make of it."""
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        return estimator[:-1].transform(X)
    return X


def check_parameter(name: str, value: Any, rule: Rule) -> None:
    """Check a parameter of a function.

    Raises
    ------
    InvalidParameterError
        Names the parameter, what it may be, and what was given.
    """
    if not rule.accepts(value):
        raise InvalidParameterError(f"{name} must be {rule.text}. Got {value!r} instead.")
