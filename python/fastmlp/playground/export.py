"""A network of the playground as Python that trains the same one, to the bit."""

import textwrap
from pprint import pformat
from typing import Any

from fastmlp.core.rules import defaults_of
from fastmlp.exchange.sklearn import lacking_in_sklearn
from fastmlp.playground.live import LiveNetwork
from fastmlp.playground.problem import OFFSET, POSITIVE_LOSSES
from fastmlp.playground.state import data_defaults

_DATA_OPTIONS = ("points", "noise", "train", "classes", "seed", "features", "added")
_UNUSED = {"points": ("points", "noise", "train", "classes", "seed"), "digits": ("features",)}
_WIDTH = 88


class NoCode(ValueError):
    """There is no such code; the text says why."""


def fastmlp_code(live: LiveNetwork) -> str:
    """The code for this package."""
    if live.ended == "diverged":
        raise NoCode("The network has diverged: go back, or reset it.")
    model = _Model(live)
    lines = [f"from fastmlp import {model.name}", *_data_imports(live, session=not model.is_fit)]
    lines = [*sorted(lines), "", *_data_lines(live), ""]
    if model.is_fit:
        lines += [*model.lines("model", model.parameters()), "model.fit(X_train, y_train)"]
    else:
        lines += model.lines("model", model.parameters(max_iter=live.estimator.max_iter))
        lines += ["session = TrainingSession(model, X_train, y_train)"]
        lines += [_log_line(*entry) for entry in live.log]
        lines += ["model = session.fitted()"]
    return "\n".join([*lines, *_last_lines(live)])


def sklearn_code(live: LiveNetwork) -> str:
    """The code for scikit-learn.

    Raises
    ------
    NoCode
        scikit-learn cannot train this network.
    """
    if live.ended == "diverged":
        raise NoCode("The network has diverged: go back, or reset it.")
    model = _Model(live)
    lacking = lacking_in_sklearn(type(live.estimator), model.estimator_parameters())
    if lacking:
        raise NoCode(f"scikit-learn's {model.name} lacks {', '.join(lacking)}.")
    if not live.log:
        raise NoCode("scikit-learn shows no network before its first epoch.")
    if any(entry[0] == "weight" for entry in live.log):
        raise NoCode("A weight was set by hand, which scikit-learn has no way for.")
    if any(entry[0] == "change" for entry in live.log):
        raise NoCode(
            "Parameters were changed in the course of training, which scikit-learn has no way for: "
            "reset the network, and train it with the new ones from the start."
        )
    if not model.is_fit:
        raise NoCode(
            "scikit-learn trains until early stopping ends training, or keeps the best weights of "
            "what it has trained: go on until it ends."
        )
    lines = [
        f"from sklearn.neural_network import {model.name}",
        *_data_imports(live, session=False),
    ]
    parameters = model.parameters(longest=live.epoch)
    return "\n".join(
        [
            *sorted(lines),
            "",
            *_data_lines(live),
            "",
            *model.lines("model", parameters),
            "model.fit(X_train, y_train)",
            *_last_lines(live),
        ]
    )


class _Model:
    """The estimator to write down.

    Attributes
    ----------
    is_fit : bool
        Whether one `fit` leads to the network; otherwise it takes a session.
    """

    def __init__(self, live: LiveNetwork) -> None:
        self.live = live
        self.estimator = live.estimator  # as it was before changes in the course of training
        self.name = type(self.estimator).__name__
        e = self.estimator
        self.is_adaptive = e.learning_rate == "adaptive" and e.solver == "sgd"
        self.is_fit = [entry[0] for entry in live.log] == ["train"] and self._ends_as_fit()

    def _ends_as_fit(self) -> bool:
        """Whether a `fit` of as many epochs makes the same steps, and keeps the last weights."""
        live, e = self.live, self.estimator
        plans = e.learning_rate in ("one_cycle", "cosine")
        if e.early_stopping:
            return live.ended == "early stopping" and not plans
        if plans:
            return bool(e.max_iter == live.epoch)
        return not self.is_adaptive or live.session.rate > 1e-6  # else `fit` has stopped before

    def estimator_parameters(self) -> dict[str, Any]:
        """All parameters of the estimator."""
        return {name: getattr(self.estimator, name) for name in self.estimator._parameters}

    def parameters(
        self, *, max_iter: int | None = None, longest: float = float("inf")
    ) -> dict[str, Any]:
        """The parameters to write down: those that are not at their defaults.

        Parameters
        ----------
        max_iter : int or None
            None: the epochs made.
        longest : float
            What `n_iter_no_change` is, so that training does not end before.
        """
        values = self.estimator_parameters()
        if max_iter is None:
            max_iter = self.live.epoch
            if values["early_stopping"]:
                max_iter = max(max_iter, values["max_iter"])
            elif not self.is_adaptive:
                values["n_iter_no_change"] = longest
        values["max_iter"] = max_iter
        cls: Any = type(self.estimator)
        defaults = defaults_of(cls)
        kept = ("hidden_layer_sizes", "activation", "solver", "learning_rate_init", "max_iter")
        return {
            name: value
            for name, value in values.items()
            if name in (*kept, "random_state") or not _is_same(value, defaults[name])
        }

    def lines(self, target: str, parameters: dict[str, Any]) -> list[str]:
        """The constructor's call."""
        written = [f"    {name}={_written(name, value)}," for name, value in parameters.items()]
        if self.live.state["network"]["init"] == "fitted":
            written = [line for line in written if not line.startswith("    init=")]
            written.append("    init=init,")
        return [f"{target} = {self.name}(", *written, ")"]


def _is_same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and value == default


def _written(name: str, value: Any) -> str:
    """A value as Python."""
    if name == "hidden_layer_sizes":
        sizes = value if isinstance(value, list) else [value]
        return repr(tuple(sizes))
    if name == "init" and isinstance(value, list):
        return f"[{', '.join(str(array.tolist()) for array in value)}]"
    if value == float("inf"):
        return 'float("inf")'
    return repr(value)


# --- data ----------------------------------------------------------------------------------------


def _data_imports(live: LiveNetwork, *, session: bool) -> list[str]:
    names = ["TrainingSession"] if session else []
    own = live.problem.encoded
    if own is None:
        names.append("make_data")
    elif not own.own.is_raw:
        names.append("split_table")
    lines = [f"from fastmlp.playground import {', '.join(names)}"] if names else []
    if own is not None and own.own.code:
        lines += [line for line in own.own.code if line.startswith("import ")]
    return lines


def _data_lines(live: LiveNetwork) -> list[str]:
    """The lines that make the rows to train and to test on."""
    data, loss = live.state["data"], live.state["network"]["loss"]
    encoded = live.problem.encoded
    if encoded is None:
        lines = _call_lines("make_data", [repr(data["set"])], _data_options(data))
        if loss in POSITIVE_LOSSES and data["set"] != "points":
            lines.append(f"y_train, y_test = y_train + {OFFSET}, y_test + {OFFSET}")
    else:
        lines = _table_lines(live)
    if loss == "kl_divergence" and live.problem.classes is not None:
        classes = live.problem.classes.tolist()
        lines += ["# the share of each class", f"classes = {classes!r}"]
        lines += [f"{y} = ({y}[:, None] == classes).astype(float)" for y in ("y_train", "y_test")]
    return lines


def _data_options(data: dict[str, Any]) -> dict[str, Any]:
    """The options of `make_data` that are not at their defaults."""
    unused, defaults = _UNUSED.get(data["set"], ()), data_defaults()
    return {
        name: data[name]
        for name in _DATA_OPTIONS
        if name not in unused and data[name] != defaults[name]
    }


def _call_lines(function: str, arguments: list[str], options: dict[str, Any]) -> list[str]:
    """A call that gives the four arrays, wrapped where it is long."""
    given = [*arguments, *(f"{name}={value!r}" for name, value in options.items())]
    start = "X_train, y_train, X_test, y_test = "
    line = f"{start}{function}({', '.join(given)})"
    if len(line) <= _WIDTH:
        return [line]
    inner = [
        f"{name}={pformat(value, width=_WIDTH - 16, compact=True)}"
        for name, value in options.items()
    ]
    body = textwrap.indent(",\n".join([*arguments, *inner]) + ",", "    ")
    return [f"{start}{function}(", *body.split("\n"), ")"]


def _table_lines(live: LiveNetwork) -> list[str]:
    encoded, data = live.problem.encoded, live.state["data"]
    assert encoded is not None
    own = encoded.own
    if own.is_raw:
        return [
            "# X, y and estimator are what fastmlp.playground.run was given",
            "X_train, y_train = X, y",
            "layers = zip(estimator.coefs_, estimator.intercepts_)",
            "init = [array for layer in layers for array in layer]",
        ]
    code = [line for line in own.code if line and not line.startswith("import ")]
    table = "frame" if own.code else "X"
    options = {"train": data["train"], "seed": data["seed"], "task": own.task}
    if live.state["network"]["loss"] in POSITIVE_LOSSES:
        options["centred"] = False
    lines = code or ["# X and y are what fastmlp.playground.run was given"]
    return [*lines, *_call_lines("split_table", [table, "y"], options)]


# --- training ------------------------------------------------------------------------------------


def _log_line(kind: str, *what: Any) -> str:
    """A line that does what was done."""
    if kind == "train":
        return f"session.train({what[0]})"
    if kind == "change":
        changes = ", ".join(f"{name}={value!r}" for name, value in what[0].items())
        return f"session.change({changes})"
    layer, source, unit, value = what
    return f"session.set_weight({layer}, {source}, {unit}, {value!r})"


def _last_lines(live: LiveNetwork) -> list[str]:
    """How good it is."""
    which = "test" if len(live.problem.y_test) else "train"
    return [f"print(model.score(X_{which}, y_{which}))", ""]
