"""Fitted estimators in files (`_files`): `save` and `load`.

Reading a file runs no code. What is made of it is built from the tables in this module and held
against the estimator's own rules; whatever does not fit is a ValueError that says what.
"""

import os
from collections.abc import Callable
from dataclasses import fields, replace
from importlib.metadata import version
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.utils.validation import check_is_fitted

from fastmlp import _native
from fastmlp._base import snapshot
from fastmlp._files import (
    Decoder,
    Encoder,
    explained,
    is_count,
    library,
    parse,
    read,
    replace_file,
    to_bytes,
    to_text,
)
from fastmlp._linear import Adaline, Perceptron
from fastmlp._mlp import MLPClassifier, MLPRegressor
from fastmlp._parameters import Rule, boolean, check_parameters, integer, option, real
from fastmlp._schedules import Schedule
from fastmlp._training import Optimizer
from fastmlp._typing import Array

_KIND = "fastmlp"
FORMAT = 2

# Parameters that came after format 1, and the format that brought each: files of an earlier one do
# not have it, and it takes its default. Who adds a parameter raises FORMAT and names it here.
_SINCE = {"checkpoint": 2, "checkpoint_every": 2}

_ESTIMATORS: dict[str, Any] = {
    cls.__name__: cls for cls in (MLPClassifier, MLPRegressor, Perceptron, Adaline)
}


# --- what a fitted estimator is made of ----------------------------------------------------------


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_vector(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1


def _list_of(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(accepts(item) for item in value)


_count = Rule(is_count, "a count")
_number = Rule(_is_number, "a number")
_number_or_none = Rule(lambda value: value is None or _is_number(value), "a number or None")
_numbers = Rule(_list_of(_is_number), "a list of numbers")
_numbers_or_none = Rule(
    lambda value: value is None or _numbers.accepts(value), "a list of numbers or None"
)
_vector = Rule(_is_vector, "an array with one axis")
_names = Rule(lambda value: _is_vector(value) and value.dtype == object, "an array of str")
_arrays = Rule(_list_of(lambda value: isinstance(value, np.ndarray)), "a list of arrays")
_arrays_or_none = Rule(
    _list_of(lambda value: value is None or isinstance(value, np.ndarray)),
    "a list of arrays or None",
)


def _is_layer(value: Any) -> bool:
    """Whether the value is one of `MLPClassifier._hidden_layers`."""
    rules = (option(*_native.ACTIVATIONS), real(0), integer(1), real(0, 1))
    return (
        isinstance(value, tuple)
        and len(value) == len(rules)
        and all(rule.accepts(item) for rule, item in zip(rules, value, strict=True))
    )


_layers = Rule(_list_of(_is_layer), "a list of (activation, parameter, pieces, dropout)")
_factors = Rule(
    lambda value: value is None or (_is_vector(value) and value.dtype.kind == "f"),
    "an array of float or None",
)
_matrix = Rule(lambda value: isinstance(value, np.ndarray) or issparse(value), "a matrix")

# (those that every fit leaves, those that some do)
_MLP_ATTRIBUTES: tuple[dict[str, Rule], dict[str, Rule]] = (
    {
        "coefs_": _arrays,
        "intercepts_": _arrays,
        "loss_": _number,
        "t_": _count,
        "n_iter_": _count,
        "n_features_in_": _count,
        "n_layers_": _count,
        "n_outputs_": _count,
        "out_activation_": option(*sorted(set(_native.LINKS.values()))),
        "_hidden_layers": _layers,
        "_trained_loss": option(*_native.LINKS),
    },
    {
        "activation_slopes_": _arrays_or_none,
        "best_loss_": _number_or_none,
        "loss_curve_": _numbers,
        "learning_rate_curve_": _numbers,
        "validation_scores_": _numbers_or_none,
        "validation_loss_curve_": _numbers_or_none,
        "best_validation_score_": _number_or_none,
        "feature_names_in_": _names,
        "_no_improvement_count": _count,
        "_comparable_scores": boolean,
        "_class_factors": _factors,
    },
)
_LINEAR_ATTRIBUTES: tuple[dict[str, Rule], dict[str, Rule]] = (
    {
        "classes_": _vector,
        "coef_": _matrix,
        "intercept_": _vector,
        "loss_curve_": _numbers,
        "t_": _number,
        "n_iter_": _count,
        "n_features_in_": _count,
    },
    {"feature_names_in_": _names},
)
_LABEL_KINDS = ("binary", "multiclass", "multilabel-indicator")


def _attributes(cls: Any) -> tuple[dict[str, Rule], dict[str, Rule]]:
    if cls in (Perceptron, Adaline):
        return _LINEAR_ATTRIBUTES
    always, sometimes = _MLP_ATTRIBUTES
    return ({**always, "classes_": _vector} if cls is MLPClassifier else always), sometimes


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


def _describe(estimator: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """The configuration, ready for JSON, and the tensors."""
    cls = type(estimator)
    encoder = Encoder()
    parameters = estimator.get_params(deep=False)
    state = {name: value for name, value in vars(estimator).items() if name not in parameters}
    state.pop("_skl_callbacks", None)  # code
    optimizer = state.pop("_optimizer", None)
    has_labels = "_label_binarizer" in state
    binarizer = state.pop("_label_binarizer", None)
    unknown = sorted(state.keys() - {name for group in _attributes(cls) for name in group})
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
            name: _encode_parameter(encoder, cls, name, value) for name, value in parameters.items()
        },
        "attributes": {name: encoder.encode(value, name) for name, value in state.items()},
    }
    if has_labels:
        config["labels"] = binarizer and {
            "kind": binarizer.y_type_,
            "sparse": bool(binarizer.sparse_input_),
            "classes": encoder.encode(binarizer.classes_, "labels"),
        }
    if optimizer is not None and _fits(optimizer, estimator):
        config["optimizer"] = _encode_optimizer(encoder, optimizer, estimator)
    return config, encoder.tensors


def _encode_parameter(encoder: Encoder, cls: Any, name: str, value: Any) -> Any:
    known = (list, tuple, np.ndarray, int, float)
    if name == "hidden_layer_sizes" and not isinstance(value, (*known, np.integer)):
        value = tuple(value)  # a range, a series
    if isinstance(value, os.PathLike):
        value = os.fsdecode(value)
    try:
        return encoder.encode(value, f"parameters.{name}")
    except ValueError as error:
        default = cls().get_params(deep=False)[name]
        what = "a function, " if callable(value) else ""
        raise ValueError(
            f"the parameter {name} is {value!r:.200}, {what}which a file cannot hold. Before "
            f"saving call set_params({name}={default!r}), or give another value made of numbers, "
            "strings and arrays: predictions stay the same, a later fit goes by the new value"
        ) from error


def _fits(optimizer: Optimizer, estimator: Any) -> bool:
    """Whether `partial_fit` would go on from the optimizer, not start another."""
    if len(estimator.coefs_) != len(estimator.intercepts_):
        return False  # which `check_network` will say
    shapes = [block.shape for block in estimator._blocks(np.float64)]
    return all([block.shape for block in state] == shapes for state in optimizer.state)


def _encode_optimizer(encoder: Encoder, optimizer: Optimizer, estimator: Any) -> dict[str, Any]:
    schedule = optimizer.schedule
    if callable(schedule.name):  # the parameter has been changed since: go on by the new schedule
        epoch = schedule.epoch
        schedule = replace(schedule, name=estimator.learning_rate)
        schedule.epoch = epoch
    return {
        "solver": optimizer.solver,
        "steps": optimizer.steps,
        "options": {k: encoder.encode(v, "options") for k, v in optimizer.options.items()},
        "schedule": {k: encoder.encode(v, "schedule") for k, v in vars(schedule).items()},
        "state": encoder.encode(optimizer.state, "optimizer"),
    }


# --- decoding ------------------------------------------------------------------------------------


def _restore(config: Any, tensors: dict[str, Array]) -> Any:
    """The estimator of a configuration, everything checked."""
    _require_keys(
        config,
        ("format", "version", "class", "parameters", "attributes"),
        ("labels", "optimizer"),
        what="sections",
    )
    name = config["class"]
    if not isinstance(name, str) or name not in _ESTIMATORS:
        raise ValueError(f"it holds an unknown class {name!r:.100}")
    cls = _ESTIMATORS[name]
    decoder = Decoder(tensors)
    added = {key for key, since in _SINCE.items() if config["format"] < since}
    names = cls().get_params(deep=False).keys()
    _require_keys(config["parameters"], names - added, what=f"parameters of {name}")
    estimator = cls(**{key: decoder.decode(code) for key, code in config["parameters"].items()})
    with config_context(skip_parameter_validation=False):
        check_parameters(estimator, cls._rules)

    always, sometimes = _attributes(cls)
    _require_keys(config["attributes"], always, sometimes, what=f"attributes of {name}")
    for key, code in config["attributes"].items():
        rule = always.get(key) or sometimes[key]
        setattr(estimator, key, _require(decoder.decode(code), rule, key))
    if cls is MLPClassifier:
        if "labels" not in config:
            raise ValueError("the labels are missing")
        estimator._label_binarizer = _restore_labels(decoder, config["labels"])
    _check_features(estimator)
    if cls in (Perceptron, Adaline):
        _check_linear(estimator)
    else:
        check_network(estimator)
        if "optimizer" in config:
            estimator._optimizer = _restore_optimizer(decoder, config["optimizer"], estimator)
    if decoder.tensors:
        raise ValueError(f"it holds tensors that belong to nothing: {sorted(decoder.tensors)!r}")
    return estimator


def _restore_labels(decoder: Decoder, code: Any) -> Any:
    from sklearn.preprocessing import LabelBinarizer

    if code is None:  # of probabilities
        return None
    _require_keys(code, ("kind", "sparse", "classes"), what="labels")
    binarizer = LabelBinarizer()
    binarizer.y_type_ = _require(code["kind"], option(*_LABEL_KINDS), "the kind of labels")
    binarizer.sparse_input_ = _require(code["sparse"], boolean, "sparse")
    binarizer.classes_ = _require(decoder.decode(code["classes"]), _vector, "the labels")
    return binarizer


def _restore_optimizer(decoder: Decoder, code: Any, estimator: Any) -> Optimizer:
    _require_keys(
        code, ("solver", "steps", "options", "schedule", "state"), what="optimizer's parts"
    )
    rules = estimator._rules
    options = {
        "nesterov": boolean,
        **{
            key: rules[key]
            for key in ("momentum", "beta_1", "beta_2", "epsilon", "rho", "weight_decay")
        },
    }
    more = {
        "clip_norm": rules["clip_norm"],
        "max_norm": rules["max_norm"],
        "seed": integer(0, 2**31),
    }
    of_schedule = {
        "name": rules["learning_rate"],
        "first": rules["learning_rate_init"],
        "last_epoch": rules["max_iter"],
        "power_t": rules["power_t"],
        "decay": rules["learning_rate_decay"],
        "period": rules["learning_rate_period"],
        "period_mult": rules["learning_rate_period_mult"],
        "least": rules["learning_rate_min"],
        "warmup": rules["warmup_epochs"],
        "for_sgd": boolean,
    }
    progress = {
        "epoch": _count,
        "slowed": real(0),
        "bad_epochs": _count,
        "factor": real(0, 1, "(]"),
        "epochs": integer(1),
    }

    def section(name: str, always: dict[str, Rule], sometimes: dict[str, Rule]) -> dict[str, Any]:
        _require_keys(code[name], always, sometimes, what=f"optimizer's {name}")
        both = {**always, **sometimes}
        return {
            key: _require(decoder.decode(value), both[key], f"the optimizer's {key}")
            for key, value in code[name].items()
        }

    solver = _require(code["solver"], option(*_native.SOLVER_SLOTS), "the optimizer's solver")
    steps = _require(code["steps"], _count, "the optimizer's steps")
    chosen = section("options", options, more)
    values = section("schedule", {**of_schedule, **progress}, {})
    schedule = Schedule(**{field.name: values[field.name] for field in fields(Schedule)})
    for key in progress:
        setattr(schedule, key, values[key])

    state = decoder.decode(code["state"])
    shapes = [block.shape for block in estimator._blocks(np.float64)]
    if (
        not isinstance(state, list)
        or len(state) != _native.SOLVER_SLOTS[solver]
        or not all(_arrays.accepts(slot) for slot in state)
        or any([block.shape for block in slot] != shapes for slot in state)
    ):
        raise ValueError("the optimizer's state does not fit the weights in number or shape")
    for slot in state:
        _require_floats("the optimizer's state", slot, finite=False)
    return Optimizer(solver, chosen, schedule, steps, state)


def _require_floats(name: str, arrays: Any, *, finite: bool = True) -> None:
    if {array.dtype for array in arrays} - {np.dtype(np.float32), np.dtype(np.float64)}:
        raise ValueError(f"{name} must be arrays of float32 or float64")
    if finite and not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(f"{name} must be finite, but some numbers are NaN or infinite")


def _check_features(estimator: Any) -> None:
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None and len(names) != estimator.n_features_in_:
        raise ValueError(
            f"feature_names_in_ has {len(names)} names for {estimator.n_features_in_} features"
        )


def _check_classes(name: str, classes: Array) -> None:
    ordered = len(classes) > 0 and bool(np.all(classes[:-1] < classes[1:]))
    if not ordered or classes.dtype.kind not in "biufUO":
        raise ValueError(f"{name} must be labels in ascending order")


def _check_linear(estimator: Any) -> None:
    """Whether weights, classes and features fit each other."""
    _check_classes("classes_", estimator.classes_)
    n = len(estimator.classes_)
    coef, intercept = estimator.coef_, estimator.intercept_
    _require_floats("coef_", [coef.data if issparse(coef) else coef])
    _require_floats("intercept_", [intercept])
    shape = (1 if n == 2 else n, estimator.n_features_in_)
    if n < 2 or coef.shape != shape or intercept.shape != shape[:1]:
        raise ValueError(
            f"coef_ of shape {coef.shape} and intercept_ of shape {intercept.shape} do not fit "
            f"{n} classes and {estimator.n_features_in_} features"
        )


def check_network(estimator: Any) -> None:
    """Whether the layers, the parameters that name them, and the labels fit each other."""
    e = estimator
    coefs, intercepts = e.coefs_, e.intercepts_
    n = len(coefs)
    if not n or len(intercepts) != n or e.n_layers_ != n + 1:
        raise ValueError(
            f"{n} coefs_ and {len(intercepts)} intercepts_ do not fit n_layers_={e.n_layers_}"
        )
    _require_floats("coefs_", coefs)
    _require_floats("intercepts_", intercepts)
    hidden = e._hidden_layers
    if len(hidden) != n - 1:
        raise ValueError(f"{len(hidden)} activations do not fit {n - 1} hidden layers")
    pieces = [layer[2] for layer in hidden] + [1]
    shapes = [array.shape for array in coefs]
    fit = all(len(shape) == 2 and min(shape) > 0 for shape in shapes) and (
        all(shape[1] % k == 0 for shape, k in zip(shapes, pieces, strict=True))
        and all(
            before[1] == k * after[0]
            for (before, after), k in zip(pairwise(shapes), pieces[:-1], strict=True)
        )
        and (shapes[0][0], shapes[-1][1]) == (e.n_features_in_, e.n_outputs_)
        and [array.shape for array in intercepts] == [shape[1:] for shape in shapes]
    )
    if not fit:
        raise ValueError(
            f"coefs_ of the shapes {shapes} and intercepts_ of the shapes "
            f"{[array.shape for array in intercepts]} do not make a network of "
            f"{e.n_features_in_} features and {e.n_outputs_} outputs"
        )
    slopes = getattr(e, "activation_slopes_", [None] * len(hidden))
    wanted = [
        shape[1:] if layer[0] == "prelu" else None
        for shape, layer in zip(shapes, hidden, strict=False)
    ]
    if [None if array is None else array.shape for array in slopes] != wanted:
        raise ValueError("activation_slopes_ do not fit the hidden layers")
    _require_floats("activation_slopes_", [array for array in slopes if array is not None])
    if isinstance(e, MLPClassifier):
        _check_labels(e)


def _check_labels(e: Any) -> None:
    _check_classes("classes_", e.classes_)
    n = len(e.classes_)
    if e._label_binarizer is not None:
        _check_classes("the labels", e._label_binarizer.classes_)
    if e._soft_targets():
        outputs = n
    elif e._is_multilabel():
        outputs = len(e._label_binarizer.classes_)
    else:
        outputs = 1 if n <= 2 else n
    if e.n_outputs_ != outputs:
        raise ValueError(f"{n} classes_ do not fit {e.n_outputs_} outputs")
    factors = getattr(e, "_class_factors", None)
    if factors is not None and (len(factors) != n or not np.all(factors >= 0)):
        raise ValueError(f"the weights of the classes do not fit {n} classes_")


# --- files ---------------------------------------------------------------------------------------


def _to_bytes(estimator: Any) -> bytes:
    library()
    config, tensors = _describe(estimator)
    text = to_text(config)
    _restore(parse(text), tensors)  # nothing is written that could not be read
    return to_bytes(_KIND, text, tensors)


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """``save`` of all estimators."""
    if type(estimator) not in _ESTIMATORS.values():
        raise TypeError(
            f"Only a {', '.join(list(_ESTIMATORS)[:-1])} or {list(_ESTIMATORS)[-1]} can be saved, "
            f"not a {type(estimator).__name__}."
        )
    check_is_fitted(estimator)
    with explained(f"{type(estimator).__name__} cannot be saved"):
        data = _to_bytes(snapshot(estimator))
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
    MLPClassifier, MLPRegressor, Perceptron or Adaline
        Fitted.

    Raises
    ------
    ValueError
        The file is damaged, no saved model, or of a newer version's format; the text says which.
    OSError
        There is no such file, or it cannot be read.
    ImportError
        safetensors is not installed.
    """
    name = os.fsdecode(path)
    with explained(f"{name!r} cannot be loaded"):
        return _restore(*read(name, _KIND, FORMAT))
