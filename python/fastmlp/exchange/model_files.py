"""Fitted estimators in files (`core.container`): `save` and `load`.

Reading a file runs no code. What is made of it is an estimator of the registry, of the parameters
and attributes that its class declares; whatever does not fit is a ValueError that says what.
"""

import os
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.utils.validation import check_is_fitted

from fastmlp.core.container import (
    Decoder,
    Encoder,
    is_count,
    parse,
    read,
    to_bytes,
    to_text,
)
from fastmlp.core.files import prefixed_errors, replace_file
from fastmlp.core.native import _native
from fastmlp.core.network import Blocks
from fastmlp.core.rules import (
    Attribute,
    Parameter,
    Rule,
    boolean,
    check_parameters,
    integer,
    option,
    real,
)
from fastmlp.core.typing import Array
from fastmlp.exchange.registry import ESTIMATORS, is_registered, registered_class
from fastmlp.training.optimizer import Optimizer
from fastmlp.training.schedules import Schedule

_KIND = "fastmlp"

# Who adds a parameter raises it, and declares the parameter as of this format.
FORMAT = 4

_ESTIMATORS = "estimators"  # the key under which there are configurations of several

_LABEL_KINDS = ("binary", "multiclass", "multilabel-indicator")

_count = Rule(is_count, "a count")

# what a schedule has besides its parameters: the file's name, the attribute, its rule
_SCHEDULE_PROGRESS = (
    ("epoch", "epoch", _count),
    ("slowed", "reduced_rate", real(0)),
    ("bad_epochs", "bad_epochs", _count),
    ("factor", "factor", real(0, 1, "(]")),
    ("epochs", "epochs", integer(1)),
)


class SavableMixin:
    """Estimators that a file can hold."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted estimator as a safetensors file.

        It holds the parameters, all fitted attributes and the solver's state: what
        :func:`fastmlp.load` makes of it predicts the same bits, and `partial_fit` and a warm start
        go on to the same bits. Callbacks are left out. A RandomState as `random_state` is saved as
        it is, and a sequence of arrays as `init` with its arrays.

        Parameters
        ----------
        path : str or path-like
            The file to write. It is replaced once the new one is complete on the disk: whatever
            fails before leaves an earlier file as it was.

        Raises
        ------
        ValueError
            A file cannot hold a parameter (a function as `learning_rate`, `init` or `scoring`: set
            another value first), the labels (other objects than strings) or attributes that were
            added to the estimator; or the weights are not finite or do not fit the parameters any
            more; or the path names no file.
        TypeError
            The estimator is of a class derived from the package's.
        NotFittedError
            The estimator is not fitted.
        OSError
            The file cannot be written.

        Examples
        --------
        >>> import fastmlp
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = fastmlp.MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y)
        >>> clf.save("model.safetensors")
        >>> fastmlp.load("model.safetensors").score(X, y) == clf.score(X, y)
        True
        """
        if not is_registered(type(self)):
            *names, last = ESTIMATORS
            raise TypeError(
                f"Only a {', '.join(names)} or {last} can be saved, not a {type(self).__name__}."
            )
        check_is_fitted(self)
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)  # as it is now, whatever other threads do
        with prefixed_errors(f"{type(self).__name__} cannot be saved"):
            data = _to_bytes(copied)
        replace_file(path, data)


def load(path: str | os.PathLike[str]) -> Any:
    """Load an estimator that `save` has written.

    No code of the file's is run: classes, parameters and attributes are those that this version
    knows, and all are checked.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator
        Fitted, of the class that was saved.

    Raises
    ------
    ValueError
        The file is damaged, no saved model, or of a newer version's format; the text says which.
    OSError
        There is no such file, or it cannot be read.

    Examples
    --------
    >>> import fastmlp
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = fastmlp.MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y)
    >>> clf.save("model.safetensors")
    >>> fastmlp.load("model.safetensors")
    MLPClassifier(hidden_layer_sizes=(10,), random_state=0, solver='lbfgs')
    """
    name = os.fsdecode(path)
    with prefixed_errors(f"{name!r} cannot be loaded"):
        return _restore(*read(name, _KIND, FORMAT))


def _to_bytes(estimator: Any) -> bytes:
    encoder = Encoder()
    text = to_text(_configuration(encoder, estimator))
    _restore(parse(text), encoder.tensors)  # nothing is written that could not be read
    return to_bytes(_KIND, text, encoder.tensors)


def _require_keys(found: Any, always: Any, sometimes: Any = (), *, what: str) -> None:
    """Whether a mapping from the file has the keys that it must have, and no others."""
    if not isinstance(found, dict):
        raise ValueError(f"the {what} are missing")
    missing = sorted(set(always) - set(found))
    if missing:
        raise ValueError(f"the {what} lack {', '.join(missing)}")
    unknown = sorted(set(found) - set(always) - set(sometimes))
    if unknown:
        raise ValueError(f"the {what} have unknown names: {', '.join(unknown)!r:.200}")


def _require(value: Any, rule: Rule, name: str) -> Any:
    if not rule.accepts(value):
        raise ValueError(f"{name} must be {rule.text}, got {value!r:.200}")
    return value


# --- encoding ------------------------------------------------------------------------------------


def _configuration(encoder: Encoder, estimator: Any, place: str = "") -> dict[str, Any]:
    """The configuration, ready for JSON; the names of its tensors begin with `place`."""
    cls = type(estimator)
    parameters = estimator.get_params(deep=False)
    state = {name: value for name, value in vars(estimator).items() if name not in parameters}
    state.pop("_skl_callbacks", None)  # code
    optimizer = state.pop("_optimizer", None)
    has_labels = "_label_binarizer" in state
    binarizer = state.pop("_label_binarizer", None)
    unknown = sorted(state.keys() - cls._attributes.keys())
    if unknown:
        raise ValueError(
            f"a file cannot hold the attributes {', '.join(unknown)}, which {cls.__name__} does "
            "not have by itself: delete them from the estimator or from a copy of it"
        )
    config: dict[str, Any] = {
        "format": FORMAT,
        "version": version("fastmlp"),
        "class": cls.__name__,
        "parameters": {
            name: _encode_parameter(encoder, cls, name, value, place)
            for name, value in parameters.items()
        },
        "attributes": {
            name: _encode_attribute(encoder, cls._attributes[name], value, place + name)
            for name, value in state.items()
        },
    }
    if has_labels:
        config["labels"] = binarizer and {
            "kind": binarizer.y_type_,
            "sparse": bool(binarizer.sparse_input_),
            "classes": encoder.encode(binarizer.classes_, f"{place}labels"),
        }
    if optimizer is not None and _goes_on(optimizer, estimator):
        config["optimizer"] = _encode_optimizer(encoder, optimizer, estimator, place)
    return config


def _encode_attribute(encoder: Encoder, declared: Attribute, value: Any, place: str) -> Any:
    """An attribute's value; of a list of estimators the configuration of each."""
    if isinstance(value, list) and value and all(is_registered(type(item)) for item in value):
        configs = [_configuration(encoder, e, f"{place}.{i}.") for i, e in enumerate(value)]
        return {_ESTIMATORS: configs}
    return encoder.encode(declared.write(value), place)


def _encode_parameter(encoder: Encoder, cls: Any, name: str, value: Any, place: str) -> Any:
    known = (list, tuple, np.ndarray, int, float)
    if name == "hidden_layer_sizes" and not isinstance(value, (*known, np.integer)):
        value = tuple(value)  # a range, a series
    if isinstance(value, os.PathLike):
        value = os.fsdecode(value)
    try:
        return encoder.encode(value, f"{place}parameters.{name}")
    except ValueError as error:
        default = cls().get_params(deep=False)[name]
        what = "a function, " if callable(value) else ""
        raise ValueError(
            f"the parameter {name} is {value!r:.200}, {what}which a file cannot hold. Before "
            f"saving call set_params({name}={default!r}), or give another value made of numbers, "
            "strings and arrays: predictions stay the same, a later fit goes by the new value"
        ) from error


def _goes_on(optimizer: Optimizer, estimator: Any) -> bool:
    """Whether `partial_fit` would go on from the optimizer, not start another."""
    try:
        return optimizer.fits(estimator._blocks())
    except ValueError:  # the numbers of arrays do not fit each other, which the estimator will say
        return False


def _encode_optimizer(
    encoder: Encoder, optimizer: Optimizer, estimator: Any, place: str
) -> dict[str, Any]:
    schedule = optimizer.schedule
    if callable(schedule.name):  # the parameter has been changed since: go on by the new schedule
        epoch = schedule.epoch
        schedule = replace(schedule, name=estimator.learning_rate)
        schedule.epoch = epoch
    values = {field: getattr(schedule, field) for field in schedule.parameters()}
    values |= {name: getattr(schedule, attribute) for name, attribute, _ in _SCHEDULE_PROGRESS}
    state = [blocks.in_core_order() for blocks in optimizer.state]
    return {
        "solver": optimizer.solver,
        "steps": optimizer.steps,
        "options": {k: encoder.encode(v, "options") for k, v in optimizer.options.items()},
        "schedule": {k: encoder.encode(v, "schedule") for k, v in values.items()},
        "state": encoder.encode(state, f"{place}optimizer"),
    }


# --- decoding ------------------------------------------------------------------------------------


def _restore(config: Any, tensors: dict[str, Array]) -> Any:
    """The estimator of a configuration, everything checked."""
    decoder = Decoder(tensors)
    estimator = _restore_estimator(config, decoder)
    if decoder.tensors:
        raise ValueError(f"it holds tensors that belong to nothing: {sorted(decoder.tensors)!r}")
    return estimator


def _restore_estimator(config: Any, decoder: Decoder) -> Any:
    """The estimator of a configuration, which takes its tensors from the decoder."""
    _require_keys(
        config,
        ("format", "version", "class", "parameters", "attributes"),
        ("labels", "optimizer"),
        what="sections",
    )
    name = config["class"]
    cls = registered_class(name)
    if cls is None:
        raise ValueError(f"it holds an unknown class {name!r:.100}")
    estimator = _restore_parameters(decoder, cls, config["parameters"], config["format"])
    _restore_attributes(decoder, estimator, config["attributes"])
    if hasattr(cls, "_set_labels"):
        if "labels" not in config:
            raise ValueError("the labels are missing")
        estimator._set_labels(_restore_labels(decoder, config["labels"]))
    estimator._check_whole()
    if "optimizer" in config and hasattr(cls, "_blocks"):
        estimator._optimizer = _restore_optimizer(decoder, config["optimizer"], estimator)
    return estimator


def _restore_parameters(decoder: Decoder, cls: Any, found: Any, file_format: int) -> Any:
    """A new estimator of the file's parameters; those of later formats are at their defaults."""
    declared: dict[str, Parameter] = cls._parameters
    names = [name for name, parameter in declared.items() if parameter.since <= file_format]
    _require_keys(found, names, what=f"parameters of {cls.__name__}")
    estimator = cls(**{name: decoder.decode(code) for name, code in found.items()})
    with config_context(skip_parameter_validation=False):
        check_parameters(estimator)
    return estimator


def _restore_attributes(decoder: Decoder, estimator: Any, found: Any) -> None:
    declared: dict[str, Attribute] = estimator._attributes
    always = [name for name, attribute in declared.items() if not attribute.optional]
    _require_keys(found, always, declared, what=f"attributes of {type(estimator).__name__}")
    for name, code in found.items():
        if isinstance(code, dict) and list(code) == [_ESTIMATORS]:
            value: Any = [_restore_estimator(config, decoder) for config in code[_ESTIMATORS]]
        else:
            value = decoder.decode(code)
        value = _require(value, declared[name].rule, name)
        setattr(estimator, name, declared[name].read(value))


def _restore_labels(decoder: Decoder, code: Any) -> Any:
    from sklearn.preprocessing import LabelBinarizer

    if code is None:  # of probabilities
        return None
    _require_keys(code, ("kind", "sparse", "classes"), what="labels")
    vector = Rule(
        lambda value: isinstance(value, np.ndarray) and value.ndim == 1, "an array with one axis"
    )
    binarizer = LabelBinarizer()
    binarizer.y_type_ = _require(code["kind"], option(*_LABEL_KINDS), "the kind of labels")
    binarizer.sparse_input_ = _require(code["sparse"], boolean, "sparse")
    binarizer.classes_ = _require(decoder.decode(code["classes"]), vector, "the labels")
    return binarizer


def _restore_optimizer(decoder: Decoder, code: Any, estimator: Any) -> Optimizer:
    _require_keys(
        code, ("solver", "steps", "options", "schedule", "state"), what="optimizer's parts"
    )
    declared: list[Parameter] = list(estimator._parameters.values())
    # what is None by default is an option only where it was set
    defaults = type(estimator)().get_params(deep=False)
    options = {p.solver_option: p.rule for p in declared if p.solver_option}
    may_lack = {
        p.solver_option
        for name, p in estimator._parameters.items()
        if p.solver_option and defaults[name] is None
    }
    schedule_rules = {p.schedule_field: p.rule for p in declared if p.schedule_field}
    schedule_rules["for_sgd"] = boolean
    schedule_rules |= {name: rule for name, _, rule in _SCHEDULE_PROGRESS}

    def section(name: str, rules: dict[str, Rule], optional: Any = ()) -> dict[str, Any]:
        _require_keys(code[name], rules.keys() - optional, optional, what=f"optimizer's {name}")
        return {
            key: _require(decoder.decode(value), rules[key], f"the optimizer's {key}")
            for key, value in code[name].items()
        }

    solver = _require(code["solver"], option(*_native.SOLVER_SLOTS), "the optimizer's solver")
    steps = _require(code["steps"], _count, "the optimizer's steps")
    seeded = {**options, "seed": integer(0, 2**31)}
    chosen = section("options", seeded, may_lack | {"seed"})
    values = section("schedule", schedule_rules)
    schedule = Schedule(**{field: values[field] for field in Schedule.parameters()})
    for name, attribute, _ in _SCHEDULE_PROGRESS:
        setattr(schedule, attribute, values[name])

    optimizer = Optimizer(solver, chosen, schedule, steps)
    slots = decoder.decode(code["state"])
    if not _are_slots(slots) or len(slots) != len(optimizer.slots):
        raise ValueError("the optimizer's state does not fit the weights in number or shape")
    try:
        layers = (estimator._hidden_layers, estimator._cell)
        optimizer.state = [Blocks.from_core(slot, *layers) for slot in slots]
        fits = optimizer.fits(estimator._blocks())
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("the optimizer's state does not fit the weights in number or shape")
    floats = (np.float32, np.float64)
    if any(array.dtype not in floats for slot in slots for array in slot):
        raise ValueError("the optimizer's state must be arrays of float32 or float64")
    return optimizer


def _are_slots(value: Any) -> bool:
    """Whether the value is a list of lists of arrays."""
    return isinstance(value, list) and all(
        isinstance(slot, list) and all(isinstance(array, np.ndarray) for array in slot)
        for slot in value
    )
