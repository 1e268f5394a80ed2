"""What a constructor's parameter may be, all that is declared of one, and the error otherwise.

The texts are scikit-learn's, so that code which reads them finds what it knows.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config


class InvalidParameterError(ValueError, TypeError):
    """A parameter of the wrong type or out of range; both kinds of error, as in scikit-learn."""


class Rule(NamedTuple):
    """Which values are accepted, the words for them, and advice on values that are not."""

    accepts: Callable[[Any], bool]
    text: str
    names: tuple[str, ...] = ()  # the options among them
    advice: Callable[[Any], str] = lambda value: ""


def any_of(*rules: Rule) -> Rule:
    """Accept what one of the rules accepts."""
    texts = [rule.text for rule in rules]
    return Rule(
        lambda value: any(rule.accepts(value) for rule in rules),
        f"{', '.join(texts[:-1])} or {texts[-1]}",
        tuple(name for rule in rules for name in rule.names),
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

    return Rule(accepts, f"a sequence, each {rule.text}", rule.names)


def option(*names: str) -> Rule:
    """One of some names."""
    listed = ", ".join(repr(name) for name in names)
    return Rule(
        lambda value: isinstance(value, str) and value in names, f"a str among {{{listed}}}", names
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
verbosity = any_of(
    integer(0), instance(bool, "bool"), instance(np.bool_, "numpy.bool"), option("bar")
)
infinity = Rule(lambda value: isinstance(value, Real) and value == np.inf, "a float among {inf}")
array_like = Rule(_is_array_like, "an array-like")
nothing = Rule(lambda value: value is None, "None")
function = Rule(callable, "a callable")
dictionary = instance(dict, "dict")
random_state = any_of(
    integer(0, 2**32 - 1, "[]"),
    instance(np.random.RandomState, "numpy.random.mtrand.RandomState"),
    nothing,
)._replace(
    advice=lambda value: (
        " Of a Generator `rng`, pass int(rng.integers(2**32)), as random_state is scikit-learn's."
        if isinstance(value, np.random.Generator)
        else ""
    )
)


class Parameter(NamedTuple):
    """All that is declared of a constructor's parameter, but for its default in the signature.

    Checks, docstrings, model files, conversions and checkpoints derive from it.

    Attributes
    ----------
    rule : Rule
    type : str
        The type as the docstring names it.
    text : str
        The paragraph of the docstring.
    since : int
        The format of model files that first has it; files of an earlier one give it its default.
    free_on_resuming : bool
        Whether it may be another when a fit goes on from its checkpoint.
    in_sklearn : tuple of str or None
        The only values that scikit-learn's estimator can have; empty where it lacks the parameter,
        which then must be at its default. None where nothing is lost.
    solver_option : str
        The name of the solver's option that it is.
    schedule_field : str
        The name of the field of `Schedule` that it is.
    """

    rule: Rule
    type: str
    text: str
    since: int = 1
    free_on_resuming: bool = False
    in_sklearn: tuple[str, ...] | None = None
    solver_option: str = ""
    schedule_field: str = ""


class Attribute(NamedTuple):
    """All that is declared of an attribute of fitted estimators.

    Attributes
    ----------
    rule : Rule
        What a model file may hold as its value.
    type, text : str
        As of a parameter; without a text the attribute is not documented.
    optional : bool
        Whether some fits do not leave it.
    read : callable
        Makes the attribute's value of what a model file holds.
    write : callable
        Makes what a model file can hold of the attribute's value.
    """

    rule: Rule
    type: str = ""
    text: str = ""
    optional: bool = False
    read: Callable[[Any], Any] = lambda value: value
    write: Callable[[Any], Any] = lambda value: value


# what other libraries call the options
_OTHER_NAMES = {
    "sigmoid": "logistic",
    "linear": "identity",
    "lrelu": "leaky_relu",
    "mse": "squared_error",
    "l2": "squared_error",
    "l2_loss": "squared_error",
    "mae": "absolute_error",
    "l1": "absolute_error",
    "l1_loss": "absolute_error",
    "smooth_l1": "huber",
    "pinball": "quantile",
    "cross_entropy": "log_loss",
    "crossentropy": "log_loss",
    "binary_crossentropy": "log_loss",
    "categorical_crossentropy": "log_loss",
    "bce": "log_loss",
    "kld": "kl_divergence",
    "xavier": "glorot_uniform",
    "xavier_uniform": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "kaiming_uniform": "he_uniform",
    "kaiming_normal": "he_normal",
    "elastic_net": "elasticnet",
    "reduce_on_plateau": "plateau",
}


def _hint(rule: Rule, value: Any) -> str:
    """The option that was probably meant, as a question after the error."""
    given = [value] if isinstance(value, str) else value
    if not rule.names or not isinstance(given, (list, tuple)):
        return ""
    for item in given:
        if not isinstance(item, str) or item in rule.names:
            continue
        plain = item.strip().lower().replace("-", "_").replace(" ", "_")
        meant = _OTHER_NAMES.get(plain)
        if meant not in rule.names:
            meant = next(iter(get_close_matches(plain, rule.names, 1, 0.7)), None)
        if meant:
            return f" Did you mean {meant!r}?"
    return ""


@cache
def defaults_of(cls: type) -> dict[str, Any]:
    """The defaults of the parameters, also where a subclass of the user's has other arguments.

    In the order of the signature, of which `inspect` would make objects for a millisecond.
    """
    ours: Any = next(base for base in cls.__mro__ if "_parameters" in vars(base))
    init = ours.__init__
    code, positional = init.__code__, init.__defaults__ or ()
    n = code.co_argcount
    return {
        **dict(zip(code.co_varnames[n - len(positional) : n], positional, strict=True)),
        **init.__kwdefaults__,
    }


def is_default(value: Any, default: Any) -> bool:
    """Whether a value means what the default does; a default of 0 may be 0 for each layer, too."""
    if value is default:
        return True
    return not np.any(value) if default == 0 else bool(np.all(value == default))


def check_parameters(estimator: Any) -> None:
    """Check an estimator's parameters by the rules of its class.

    Raises
    ------
    InvalidParameterError
        Names the parameter, what it may be, and what was given.
    """
    if get_config()["skip_parameter_validation"]:
        return
    parameters: dict[str, Parameter] = estimator._parameters
    cls: Any = type(estimator)
    defaults = defaults_of(cls)
    for name, parameter in parameters.items():
        value = getattr(estimator, name)
        if value is not defaults[name] and not parameter.rule.accepts(value):
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(estimator).__name__} must be "
                f"{parameter.rule.text}. Got {value!r} instead."
                f"{_hint(parameter.rule, value)}{parameter.rule.advice(value)}"
            )
