"""What is looked into, and how: fitted networks, and parameters of what is made of them."""

from typing import Any

from sklearn.utils.validation import check_is_fitted

from fastmlp.core.rules import InvalidParameterError, Rule, check_parameters
from fastmlp.estimators.base import snapshot
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.regressor import MLPRegressor


def fitted_network(estimator: Any) -> Any:
    """A copy of a fitted MLPClassifier or MLPRegressor, which later changes do not reach.

    Raises
    ------
    TypeError
        It is another estimator.
    ValueError
        It is not fitted (`NotFittedError`), or has a parameter outside of what is allowed.
    """
    if not isinstance(estimator, (MLPClassifier, MLPRegressor)):
        raise TypeError(
            "estimator must be an MLPClassifier or MLPRegressor. "
            f"Got {type(estimator).__name__} instead."
        )
    check_is_fitted(estimator)
    check_parameters(estimator)
    return snapshot(estimator)


def check_parameter(name: str, value: Any, rule: Rule) -> None:
    """Check a parameter of a function.

    Raises
    ------
    InvalidParameterError
        Names the parameter, what it may be, and what was given.
    """
    if not rule.accepts(value):
        raise InvalidParameterError(f"{name} must be {rule.text}. Got {value!r} instead.")
