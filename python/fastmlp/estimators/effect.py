"""Parameters that a fit does not use: they are told of, once, and by what they need."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastmlp.core.rules import defaults_of, is_default
from fastmlp.core.warnings import warn
from fastmlp.training.schedules import SGD_SCHEDULES


class Need(NamedTuple):
    """What a parameter needs to have an effect, and the words for it."""

    is_met: Callable[[Any, bool], bool]  # of the estimator, and whether `fit` has validation data
    words: str


def _solver(*names: str) -> Need:
    return Need(lambda e, _: e.solver in names, "for " + f"solver={' or '.join(map(repr, names))}")


def _schedule(*names: str) -> Need:
    def is_met(estimator: Any, _: bool) -> bool:
        return estimator.solver != "lbfgs" and estimator.learning_rate in names

    return Need(is_met, f"for learning_rate={' or '.join(map(repr, names))} of first-order solvers")


def _activation(*names: str) -> Need:
    def is_met(estimator: Any, _: bool) -> bool:
        used = estimator._hidden_parameters().activation
        used = [used] if isinstance(used, str) else used
        return _has_hidden_layers(estimator) and any(name in names for name in used)

    return Need(is_met, f"for activation={' or '.join(map(repr, names))}")


def _loss(name: str) -> Need:
    return Need(lambda e, _: e.loss == name, f"for loss={name!r}")


def _has_hidden_layers(estimator: Any) -> bool:
    return bool(np.size(estimator.hidden_layer_sizes))


_FIRST_ORDER = "for first-order solvers"

# Parameters and values that scikit-learn lacks. Those that it has, it ignores without a word where
# they do nothing, and so does the package. What is refused elsewhere is not here.
NEEDS = {
    "weight_decay": _solver("adamw"),
    "rho": _solver("rmsprop", "adadelta"),
    "learning_rate": Need(
        lambda e, _: e.solver != "lbfgs" or e.learning_rate in SGD_SCHEDULES, _FIRST_ORDER
    ),
    "learning_rate_decay": _schedule("step", "exponential", "plateau"),
    "learning_rate_period": _schedule("cosine", "step", "plateau"),
    "learning_rate_period_mult": Need(
        lambda e, _: _schedule("cosine").is_met(e, _) and e.learning_rate_period is not None,
        "for learning_rate='cosine' of first-order solvers, with learning_rate_period",
    ),
    "learning_rate_min": _schedule("cosine", "one_cycle", "step", "exponential", "plateau"),
    "warmup_epochs": Need(lambda e, _: e.solver != "lbfgs", _FIRST_ORDER),
    "scoring": Need(
        lambda e, validates: e.solver != "lbfgs" and (e.early_stopping or validates),
        "with early_stopping or X_val, for first-order solvers",
    ),
    "activation": Need(
        lambda e, _: (
            _has_hidden_layers(e) or e.activation in ("identity", "logistic", "tanh", "relu")
        ),
        "with hidden layers",
    ),
    "activation_alpha": _activation("leaky_relu", "prelu", "elu", "swish", "silu", "softplus"),
    "maxout_pieces": _activation("maxout"),
    "dropout": Need(
        lambda e, _: _has_hidden_layers(e) or np.ndim(e.dropout) > 0, "with hidden layers"
    ),
    "max_norm": Need(lambda e, _: _has_hidden_layers(e), "with hidden layers"),
    "n_jobs": Need(lambda e, _: getattr(e, "device", "cpu") == "cpu", "for device='cpu'"),
    "checkpoint_every": Need(lambda e, _: e.checkpoint is not None, "with checkpoint"),
    "quantile": _loss("quantile"),
    "huber_delta": _loss("huber"),
}


def warn_of_unused_parameters(estimator: Any, *, validates: bool) -> None:
    """Name all parameters of ours that are not at their defaults and have no effect in this fit.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    validates : bool
        Whether `fit` was given validation data.
    """
    cls: Any = type(estimator)
    defaults = defaults_of(cls)
    unused = [
        f"{name} (only {need.words})"
        for name, need in NEEDS.items()
        if name in defaults
        and not is_default(getattr(estimator, name), defaults[name])
        and not need.is_met(estimator, validates)
    ]
    if unused:
        warn(f"Without effect here: {', '.join(unused)}.")
