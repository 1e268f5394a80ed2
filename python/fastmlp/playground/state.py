"""The state of a network in the playground: one JSON object, checked field by field.

``{"data": {...}, "network": {...}, "seed": 0}``: the data set with its options, the estimator's
parameters by their names, and its `random_state`. A field that is missing has its default.
"""

from itertools import pairwise
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np

from fastmlp.core.rules import (
    InvalidParameterError,
    Rule,
    any_of,
    defaults_of,
    each,
    integer,
    nothing,
    option,
    real,
)
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.parameters import MLP_PARAMETERS
from fastmlp.estimators.regressor import MLPRegressor
from fastmlp.estimators.session import CHANGEABLE
from fastmlp.estimators.setup import layer_sizes
from fastmlp.playground.datasets import FEATURES, PLANE_SETS
from fastmlp.playground.own_table import OwnTable

ESTIMATORS: dict[str, Any] = {"classification": MLPClassifier, "regression": MLPRegressor}

LIMITS = {
    "layers": 32,
    "units": 1024,
    "parameters": 1_000_000,
    "pieces": 16,
    "points": 5000,
    "added": 2000,
    "epochs_per_frame": 1000,
    "epochs": 1_000_000,
    "resolution": 200,
    "body_bytes": 8 << 20,
    "sessions": 20,
    "idle_seconds": 60,
}

_number = Rule(
    lambda value: isinstance(value, Real) and not isinstance(value, bool) and isfinite(value),
    "a finite number",
)

_DATA_RULES: dict[str, tuple[Rule, Any]] = {
    "set": (option(*PLANE_SETS, "points", "digits", "table"), "circle"),
    "points": (integer(4, LIMITS["points"], "[]"), 500),
    "noise": (real(0, 1, "[]"), 0.0),
    "train": (real(0.05, 1, "[]"), 0.5),
    "classes": (integer(2, 6, "[]"), 2),
    "seed": (integer(0, 2**31, "[)"), 0),
    "features": (each(option(*FEATURES)), ["x", "y"]),
    "added": (each(each(_number)), []),
    "task": (option(*ESTIMATORS), "classification"),
    "plane": (each(integer(0)), [0, 1]),
}

# parameters that say nothing of a network which is looked at as it learns
_LEFT_OUT = {
    "verbose",
    "warm_start",
    "random_state",
    "max_time",
    "checkpoint",
    "checkpoint_every",
    "diagnostics",
    "n_jobs",
    "max_fun",
    "scoring",
}

# where the playground's network begins otherwise than an estimator
_NETWORK_DEFAULTS = {
    "hidden_layer_sizes": [4, 2],
    "activation": "tanh",
    "solver": "sgd",
    "learning_rate_init": 0.03,
    "momentum": 0.0,
    "nesterovs_momentum": False,
    "alpha": 0.0,
    "batch_size": 10,
    "max_iter": 1000,
}

_OWN_RULES = {
    "solver": option(*(name for name in MLP_PARAMETERS["solver"].rule.names if name != "lbfgs")),
    "class_weight": any_of(option("balanced"), nothing),
}

# what is suggested for a set that is not of the plane
SUGGESTED = {
    "digits": {
        "hidden_layer_sizes": [32],
        "activation": "relu",
        "solver": "adam",
        "learning_rate_init": 0.003,
        "batch_size": 50,
    }
}

# fields of the data that are nothing but a view
_VIEWS = ("plane",)


class StateError(ValueError):
    """A field of a state, or of a request, that is not as it must be; its text names the field."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def network_defaults(task: str) -> dict[str, Any]:
    """The fields of a state's network with their defaults."""
    defaults = defaults_of(ESTIMATORS[task])
    return {
        name: value for name, value in defaults.items() if name not in _LEFT_OUT
    } | _NETWORK_DEFAULTS


def fields_of(estimator: Any) -> dict[str, Any]:
    """The fields of a state's network that an estimator's parameters are, where it can have them.

    What cannot be watched or written as JSON has its default.
    """
    task = "classification" if isinstance(estimator, MLPClassifier) else "regression"
    fields: dict[str, Any] = {}
    for name, default in network_defaults(task).items():
        value = getattr(estimator, name)
        value = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
        value = list(value) if isinstance(value, tuple) else value
        plain = isinstance(value, (str, int, float, list)) or value is None
        if plain and name != "init" and value not in (default, "lbfgs"):
            fields[name] = value
    return fields


def data_defaults() -> dict[str, Any]:
    """The fields of a state's data with their defaults."""
    return {name: default for name, (_, default) in _DATA_RULES.items()}


def check_field(value: Any, rule: Rule, field: str) -> None:
    """Check a value.

    Raises
    ------
    StateError
        It is not what the rule accepts.
    """
    if not rule.accepts(value):
        raise StateError(f"{field} must be {rule.text}. Got {value!r:.100}.", field)


def check_fields(given: Any, allowed: Any, what: str) -> dict[str, Any]:
    """Check that something is an object of no other fields than those allowed."""
    if not isinstance(given, dict):
        raise StateError(f"{what} must be an object. Got {given!r:.100}.", what)
    for name in given:
        if name not in allowed:
            raise StateError(
                f"{what} has no field {name!r:.50}. It has {', '.join(allowed)}.", what
            )
    return given


def complete(state: Any, own: OwnTable | None) -> dict[str, Any]:
    """The state with all its fields, each checked.

    Raises
    ------
    StateError
        Names the field.
    """
    check_fields(state, ("data", "network", "seed"), "state")
    data = _complete_data(state.get("data", {}), own)
    task = task_of(data, own)
    network = _complete_network(state.get("network", {}), task, own)
    seed = state.get("seed", 0)
    check_field(seed, integer(0, 2**32, "[)"), "seed")
    return {"data": data, "network": network, "seed": seed}


def task_of(data: dict[str, Any], own: OwnTable | None) -> str:
    """Whether there are classes or values to learn."""
    name = data["set"]
    if name == "table":
        assert own is not None
        return own.task
    if name == "points":
        return str(data["task"])
    return "classification" if name == "digits" else PLANE_SETS[name].task


def _complete_data(given: Any, own: OwnTable | None) -> dict[str, Any]:
    data = data_defaults() | check_fields(given, tuple(_DATA_RULES), "data")
    for name, (rule, _) in _DATA_RULES.items():
        check_field(data[name], rule, f"data.{name}")
    name, added = data["set"], data["added"]
    if name == "table":
        if own is None:
            raise StateError(
                "data.set: there is no table. Start with `python -m fastmlp playground --data "
                "FILE.csv`, or fastmlp.playground.run(X, y).",
                "data.set",
            )
        if added:
            raise StateError("data.added: points are not added to a table.", "data.added")
        plane = data["plane"]
        width = own.table.width
        if len(plane) != 2 or max(plane) >= width or (width > 1 and plane[0] == plane[1]):
            raise StateError(
                f"data.plane must be two different columns, from 0 to {width - 1}. Got {plane}.",
                "data.plane",
            )
    if not data["features"] or len(set(data["features"])) < len(data["features"]):
        raise StateError(
            f"data.features must be one or more, each once. Got {data['features']}.",
            "data.features",
        )
    if len(added) > LIMITS["added"]:
        raise StateError(
            f"data.added must be at most {LIMITS['added']} points. Got {len(added)}.", "data.added"
        )
    _check_added(name, data, added)
    return data


def _check_added(name: str, data: dict[str, Any], added: list[list[float]]) -> None:
    width = 65 if name == "digits" else 3
    if any(len(point) != width for point in added):
        what = "64 numbers and a class" if name == "digits" else "[x, y, target]"
        raise StateError(f"data.added must hold {what} for each point.", "data.added")
    if name == "points":
        classes = 6
    else:
        classes = 10 if name == "digits" else data["classes"]
        if name in PLANE_SETS:
            if PLANE_SETS[name].task == "regression":
                return
            classes = min(classes, PLANE_SETS[name].most_classes)
    if name == "points" and data["task"] == "regression":
        return
    for *_, target in added:
        if target not in range(classes):
            raise StateError(
                f"data.added: a class must be a whole number from 0 to {classes - 1}. "
                f"Got {target}.",
                "data.added",
            )


def _complete_network(given: Any, task: str, own: OwnTable | None) -> dict[str, Any]:
    defaults = network_defaults(task)
    network = defaults | check_fields(given, tuple(defaults), "network")
    if network["solver"] == "lbfgs":
        raise StateError(
            "network.solver: 'lbfgs' searches over all rows at once, which cannot be watched epoch "
            "by epoch. Choose another solver.",
            "network.solver",
        )
    rules = ESTIMATORS[task]._parameters
    for name, value in network.items():
        rule = _OWN_RULES.get(name) or rules[name].rule
        if name == "init" and value == "fitted" and own is not None and own.is_raw:
            continue
        check_field(value, rule, f"network.{name}")
    _check_sizes(network)
    return network


def _check_sizes(network: dict[str, Any]) -> None:
    sizes = network["hidden_layer_sizes"]
    sizes = sizes if isinstance(sizes, list) else [sizes]
    field = "network.hidden_layer_sizes"
    whole = all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)
    if (
        not whole
        or len(sizes) > LIMITS["layers"]
        or not all(0 < size <= LIMITS["units"] for size in sizes)
    ):
        raise StateError(
            f"{field} must be at most {LIMITS['layers']} whole numbers from 1 to "
            f"{LIMITS['units']}. Got {sizes}.",
            field,
        )
    if network["maxout_pieces"] > LIMITS["pieces"]:
        raise StateError(
            f"network.maxout_pieces must be at most {LIMITS['pieces']}. "
            f"Got {network['maxout_pieces']}.",
            "network.maxout_pieces",
        )
    for name, n in (("activation", 0), ("activation_alpha", 0), ("dropout", 1)):
        value = network[name]
        if isinstance(value, list) and len(value) != len(sizes) + n:
            each_one = "one per hidden layer" + (", and one for the input before" if n else "")
            raise StateError(
                f"network.{name} must be one value, or {each_one}: {len(sizes) + n}. Got {value}.",
                f"network.{name}",
            )


def check_parameters_fit(estimator: Any, n_inputs: int, n_outputs: int) -> None:
    """Check that the network does not have more parameters than the playground takes."""
    units = [n_inputs, *layer_sizes(estimator), n_outputs]
    n = sum((a + 1) * b for a, b in pairwise(units))
    if n > LIMITS["parameters"]:
        raise StateError(
            f"network.hidden_layer_sizes: the network would have {n} parameters; the playground "
            f"takes {LIMITS['parameters']}.",
            "network.hidden_layer_sizes",
        )


# --- estimators ----------------------------------------------------------------------------------


def estimator_parameters(
    state: dict[str, Any], n_train: int, own: OwnTable | None
) -> dict[str, Any]:
    """The estimator's parameters; batches are at most all rows."""
    parameters = dict(state["network"])
    if parameters["batch_size"] != "auto":
        parameters["batch_size"] = min(parameters["batch_size"], n_train)
    init = parameters["init"]
    if init == "fitted":
        assert own is not None
        assert own.estimator is not None
        if layer_sizes(own.estimator) != np.atleast_1d(parameters["hidden_layer_sizes"]).tolist():
            raise StateError(
                "network.init: the fitted weights are of other layers than these. Choose another "
                "init.",
                "network.init",
            )
        init = own.estimator._blocks().in_core_order()
    if isinstance(init, list):
        parameters["init"] = [np.asarray(array, float) for array in init]
    parameters["random_state"] = state["seed"]
    return parameters


def make_estimator(
    state: dict[str, Any], task: str, n_train: int, own: OwnTable | None
) -> Any:  # fmt: skip
    """The estimator that a complete state describes."""
    estimator = ESTIMATORS[task](**estimator_parameters(state, n_train, own))
    try:
        layer_sizes(estimator)
    except InvalidParameterError as error:
        raise StateError(str(error), "network") from error
    return estimator


def live_changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any] | None:
    """What is to be changed of a running network; None where it must begin anew."""
    data, earlier = (
        {k: v for k, v in s["data"].items() if k not in _VIEWS} for s in (after, before)
    )
    if data != earlier or after["seed"] != before["seed"]:
        return None
    changes = {
        name: value for name, value in after["network"].items() if value != before["network"][name]
    }
    return changes if all(name in CHANGEABLE for name in changes) else None
