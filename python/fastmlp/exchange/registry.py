"""The estimators by their names: what files and conversions make estimators of."""

from importlib import import_module
from typing import Any

# where each is: imported when it is asked for
ESTIMATORS = {
    "Adaline": "fastmlp.estimators.adaline",
    "MLPAutoencoder": "fastmlp.estimators.autoencoder",
    "MLPClassifier": "fastmlp.estimators.classifier",
    "Perceptron": "fastmlp.estimators.perceptron",
    "MLPRegressor": "fastmlp.estimators.regressor",
    "RNNClassifier": "fastmlp.estimators.recurrent_classifier",
    "RNNRegressor": "fastmlp.estimators.recurrent_regressor",
    "TabularMLPClassifier": "fastmlp.estimators.tabular_classifier",
    "TabularMLPRegressor": "fastmlp.estimators.tabular_regressor",
}


def registered_class(name: Any) -> Any:
    """The class of a name, or None."""
    if not isinstance(name, str) or name not in ESTIMATORS:
        return None
    return getattr(import_module(ESTIMATORS[name]), name)


def registered_classes() -> list[Any]:
    """The classes of all estimators."""
    return [registered_class(name) for name in ESTIMATORS]


def is_registered(cls: Any) -> bool:
    """Whether a class is one of the estimators, not one derived from them."""
    return ESTIMATORS.get(cls.__name__) == cls.__module__
