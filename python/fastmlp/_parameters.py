"""What a constructor parameter may be, and the error for what it may not.

The texts are scikit-learn's, so that code which reads them finds what it knows.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import get_config


class InvalidParameterError(ValueError, TypeError):
    """A parameter of the wrong type or out of range; both kinds of error, as in scikit-learn."""


@dataclass(frozen=True)
class Rule:
    """Which values are accepted, and the words for them."""

    accepts: Callable[[Any], bool]
    text: str


def any_of(*rules: Rule) -> Rule:
    """Accept what one of the rules accepts."""
    texts = [rule.text for rule in rules]
    return Rule(
        lambda value: any(rule.accepts(value) for rule in rules),
        f"{', '.join(texts[:-1])} or {texts[-1]}",
    )


def _interval(kind: type, low: float, high: float, brackets: str) -> Rule:
    def accepts(value: Any) -> bool:
        if not isinstance(value, kind):
            return False
        number: Any = value
        above = number >= low if brackets[0] == "[" else number > low
        below = number <= high if brackets[1] == "]" else number < high
        return bool(above and below)  # NaN is neither

    article = "an int" if kind is Integral else "a float"
    return Rule(accepts, f"{article} in the range {brackets[0]}{low}, {high}{brackets[1]}")


def integer(low: int, high: float = np.inf, brackets: str = "[)") -> Rule:
    """A whole number in an interval."""
    return _interval(Integral, low, high, brackets)


def real(low: float, high: float = np.inf, brackets: str = "[)") -> Rule:
    """A number in an interval."""
    return _interval(Real, float(low), float(high), brackets)


def each(rule: Rule) -> Rule:
    """A sequence of values that are accepted."""

    def accepts(value: Any) -> bool:
        sequence = isinstance(value, (list, tuple)) or (
            isinstance(value, np.ndarray) and value.ndim == 1
        )
        return sequence and all(rule.accepts(item) for item in value)

    return Rule(accepts, f"a sequence, each {rule.text}")


def option(*names: str) -> Rule:
    """One of some names."""
    listed = ", ".join(repr(name) for name in names)
    return Rule(
        lambda value: isinstance(value, str) and value in names, f"a str among {{{listed}}}"
    )


def instance(kind: type | tuple[type, ...], name: str) -> Rule:
    """An object of a type."""
    return Rule(lambda value: isinstance(value, kind), f"an instance of {name!r}")


def _is_array_like(value: Any) -> bool:
    return (
        (isinstance(value, Iterable) or hasattr(value, "__array__") or hasattr(value, "shape"))
        and not isinstance(value, (str, bytes, dict, set))
        and np.ndim(value) > 0
    )


boolean = any_of(instance(bool, "bool"), instance(np.bool_, "numpy.bool"))
verbosity = any_of(integer(0), instance(bool, "bool"), instance(np.bool_, "numpy.bool"))
infinity = Rule(lambda value: isinstance(value, Real) and value == np.inf, "a float among {inf}")
array_like = Rule(_is_array_like, "an array-like")
nothing = Rule(lambda value: value is None, "None")
function = Rule(callable, "a callable")
dictionary = instance(dict, "dict")
random_state = any_of(
    integer(0, 2**32 - 1, "[]"),
    instance(np.random.RandomState, "numpy.random.mtrand.RandomState"),
    nothing,
)


def check_parameters(estimator: Any, rules: dict[str, Rule]) -> None:
    """Hold an estimator's parameters against the rules.

    Raises
    ------
    InvalidParameterError
        Names the parameter, what it may be, and what was given.
    """
    if get_config()["skip_parameter_validation"]:
        return
    for name, rule in rules.items():
        value = getattr(estimator, name)
        if not rule.accepts(value):
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(estimator).__name__} must be {rule.text}. "
                f"Got {value!r} instead."
            )
