"""The estimators by their names: what files and conversions make estimators of."""

from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)

_ESTIMATORS: dict[str, Any] = {}


def register(cls: Class) -> Class:
    """Enter an estimator's class; a decorator."""
    _ESTIMATORS[cls.__name__] = cls
    return cls


def registered_names() -> list[str]:
    """The names of all estimators."""
    return list(_ESTIMATORS)


def registered_classes() -> list[Any]:
    """The classes of all estimators."""
    return list(_ESTIMATORS.values())


def registered_class(name: Any) -> Any:
    """The class of a name, or None."""
    return _ESTIMATORS.get(name) if isinstance(name, str) else None


def is_registered(cls: Any) -> bool:
    """Whether a class is one of the estimators, not one derived from them."""
    return cls in _ESTIMATORS.values()
