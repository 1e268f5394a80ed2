"""The estimators by their names: what files and conversions make estimators of."""

from importlib import import_module
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)

_ESTIMATORS: dict[str, Any] = {}

# Those that most programs do without, and where they are: imported when they are asked for.
LATER = {
    "MLPAutoencoder": "fastmlp.estimators.autoencoder",
    "RNNClassifier": "fastmlp.estimators.recurrent_classifier",
    "RNNRegressor": "fastmlp.estimators.recurrent_regressor",
}


def register(cls: Class) -> Class:
    """Enter an estimator's class; a decorator."""
    _ESTIMATORS[cls.__name__] = cls
    return cls


def registered_names() -> list[str]:
    """The names of all estimators."""
    return list({**_ESTIMATORS, **LATER})


def registered_classes() -> list[Any]:
    """The classes of all estimators."""
    return [registered_class(name) for name in registered_names()]


def registered_class(name: Any) -> Any:
    """The class of a name, or None."""
    if not isinstance(name, str):
        return None
    if name in LATER and name not in _ESTIMATORS:
        import_module(LATER[name])
    return _ESTIMATORS.get(name)


def is_registered(cls: Any) -> bool:
    """Whether a class is one of the estimators, not one derived from them."""
    return cls in _ESTIMATORS.values()
