"""What a fit begins with, by an estimator's parameters: architecture, solver, records."""

from copy import copy
from importlib.metadata import version
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from fastmlp.core.device import engine_of
from fastmlp.core.native import _native
from fastmlp.core.network import Architecture, Blocks, hidden_layers
from fastmlp.training.checkpoint import as_text
from fastmlp.training.data import Validation
from fastmlp.training.distributed import Team
from fastmlp.training.first_order import RECORDS
from fastmlp.training.optimizer import Optimizer
from fastmlp.training.schedules import SGD_SCHEDULES, Schedule


def layer_sizes(estimator: Any) -> list[int]:
    """The numbers of units of an estimator's hidden layers."""
    sizes = estimator.hidden_layer_sizes
    sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    if any(not isinstance(size, Integral) for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be whole numbers, got {sizes}.")
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


class HiddenParameters(NamedTuple):
    """What an estimator's parameters say of the hidden layers of its network.

    Attributes
    ----------
    sizes : list of int
    activation, activation_alpha, dropout
        One value for all hidden layers, or a sequence of one for each; that of `dropout` begins
        with the input's.
    maxout_pieces : int
    cell : str
        As of `Architecture`.
    """

    sizes: list[int]
    activation: Any
    activation_alpha: Any
    dropout: Any
    maxout_pieces: int = 1
    cell: str = ""


def hidden_parameters(estimator: Any) -> HiddenParameters:
    """The parameters as they are; sequences of other lengths are an error."""
    sizes = layer_sizes(estimator)
    n = len(sizes)
    check_length(estimator, "activation", n)
    check_length(estimator, "activation_alpha", n)
    check_length(estimator, "dropout", n + 1, "hidden layer, and one for the input before them")
    e = estimator
    return HiddenParameters(sizes, e.activation, e.activation_alpha, e.dropout)


def check_length(estimator: Any, name: str, n: int, each: str = "hidden layer") -> None:
    """Check that a parameter is one value for all layers, or n values."""
    value = getattr(estimator, name)
    if not is_one(value) and len(value) != n:
        raise ValueError(
            f"{name} must have one item per {each}: {n} for "
            f"hidden_layer_sizes={estimator.hidden_layer_sizes!r}. Got {value!r} instead."
        )


def is_one(value: Any) -> bool:
    """Whether a parameter is one value for all layers."""
    return isinstance(value, (str, Real)) or value is None


def dropout_rates(dropout: Any, n: int) -> list[float]:
    """The rates of the input and of each of n hidden layers, as the parameter says."""
    return [0.0] + [float(dropout)] * n if isinstance(dropout, Real) else list(dropout)


def architecture_of(estimator: Any) -> Architecture:
    """The network to train; parameters that do not fit each other are an error."""
    sizes, activation, activation_alpha, dropout, pieces, cell = estimator._hidden_parameters()
    rates = dropout_rates(dropout, len(sizes))
    hidden = hidden_layers(activation, activation_alpha, pieces, rates[1:])
    if any(layer.activation == "softplus" and layer.parameter == 0 for layer in hidden):
        raise ValueError("activation_alpha must be above 0 for 'softplus'. Got 0 instead.")
    if estimator.solver == "lbfgs":
        for name in ("max_norm", "clip_norm", "noise", "dropout"):
            if np.any(getattr(estimator, name, 0)):
                raise ValueError(f"{name} is for first-order solvers. Got solver='lbfgs'.")
        if estimator.diagnostics:
            raise ValueError("diagnostics are for first-order solvers. Got solver='lbfgs'.")
    e = estimator
    units = [e.n_features_in_, *sizes, e.n_outputs_]
    return Architecture(
        units,
        hidden,
        e._loss_to_train(),
        input_dropout=rates[0],
        cell=cell,
        per_step=e._per_step,
        **e._loss_options(),
    )


def make_optimizer(
    estimator: Any, blocks: Blocks, random: np.random.RandomState, *, goes_on: bool
) -> Optimizer:
    """A new optimizer, or that of the earlier `partial_fit`."""
    earlier = getattr(estimator, "_optimizer", None)
    if goes_on and earlier is not None and earlier.fits(blocks):
        return earlier.successor()
    options, schedule = solver_rule(estimator)
    # drawn last, and only then: all else is scikit-learn's stream
    if np.any(estimator._hidden_parameters().dropout):
        options["seed"] = draw_dropout_seed(random)
    return Optimizer(estimator.solver, options, schedule)


def draw_dropout_seed(random: np.random.RandomState) -> int:
    """The seed that all masks of a fit are made of."""
    return int(random.randint(2**31))


def solver_rule(estimator: Any) -> tuple[dict[str, Any], Schedule]:
    """The solver's options, but for dropout's seed, and the schedule, as the parameters say."""
    if estimator.learning_rate not in SGD_SCHEDULES:
        least, first = estimator.learning_rate_min, estimator.learning_rate_init
        if least > first:
            raise ValueError(
                f"learning_rate_min={least} must not be above learning_rate_init={first}."
            )
    options, fields = {}, {"for_sgd": estimator.solver == "sgd"}
    for name, parameter in estimator._parameters.items():
        value = getattr(estimator, name)
        if parameter.solver_option and value is not None:
            options[parameter.solver_option] = value
        if parameter.schedule_field:
            fields[parameter.schedule_field] = value
    options["nesterov"] = bool(options["nesterov"])
    fields["first"] = float(fields["first"])
    return options, Schedule(**fields)


def start_records(
    estimator: Any, blocks: Blocks, validation: Validation | None, *, goes_on: bool
) -> None:
    """Begin the records of the epochs: new, or with copies of the earlier fit's lists.

    An earlier fit by another solver or without validation has none of some: they begin here.
    """
    earlier = vars(estimator) if goes_on else {}
    watched = validation is not None
    for name, kept in (
        ("loss_curve_", True),
        ("learning_rate_curve_", True),
        ("_diagnostics", True),
        ("validation_scores_", watched),
        ("validation_loss_curve_", watched),
    ):
        setattr(estimator, name, list(earlier.get(name) or ()) if kept else None)
    estimator.n_iter_ = 0
    estimator.loss_ = earlier.get("loss_", np.nan)
    estimator._no_improvement_count = earlier.get("_no_improvement_count", 0)
    best_loss, best_score = earlier.get("best_loss_"), earlier.get("best_validation_score_")
    estimator.best_loss_ = np.inf if best_loss is None else best_loss
    estimator.best_validation_score_ = None
    if estimator.early_stopping and validation is not None:
        estimator.best_loss_ = None
        # scikit-learn's accuracies and R2 on its own split go on; other scores or samples
        # have another scale, on which the weights that training starts from have their place,
        # and their own patience
        comparable = estimator.scoring is None and validation.rows is not None
        if not goes_on:
            best_score = -np.inf
        elif best_score is None or not (comparable and earlier.get("_comparable_scores")):
            best_score = validation.score(blocks)[0]
            estimator._no_improvement_count = 0
        estimator.best_validation_score_ = best_score
        estimator._comparable_scores = comparable


def share_records(estimator: Any, team: Team) -> None:
    """Take rank 0's records of an earlier fit: patience is to end training on all ranks at once."""
    names = (*RECORDS, "_comparable_scores")
    own = vars(estimator)
    found = team.bcast({name: own[name] for name in names if name in own})
    for name in names:
        own.pop(name, None)
    # ranks that are threads are given the same lists
    own.update({name: copy(value) for name, value in found.items()})


def check_device(estimator: Any, dtype: npt.DTypeLike, team: Team) -> None:
    """Check that training in numbers of a type can be where and how the parameters say.

    Raises
    ------
    ValueError
        There is no engine for `device`, or none that several ranks can share; or `precision` is for
        another device, or for other numbers.
    """
    device, precision = estimator.device, estimator.precision
    if precision != "float32" and device == "cpu":
        raise ValueError(
            f"precision={precision!r} is for device='cuda'. Got device={device!r}: "
            "set_params(precision='float32') is for the CPU."
        )
    if precision != "float32" and dtype != np.float32:
        raise ValueError(
            f"precision={precision!r} is for networks of float32. This one is of "
            f"{np.dtype(dtype).name}: pass X.astype(numpy.float32) to a new fit."
        )
    if device != "cpu" and not team.is_alone:
        raise ValueError(f"fastmlp.distributed is for device='cpu'. Got device={device!r}.")
    engine_of(device)


def check_ranks(
    estimator: Any,
    team: Team,
    X: Any,
    y: Any,
    sample_weight: Any,
    dtype: npt.DTypeLike,
    *,
    new: bool,
    incremental: bool,
) -> None:
    """Check that all ranks are at the same fit."""
    names = getattr(estimator, "feature_names_in_", None)
    # of a new fit they are yet to be found in the y of all ranks
    classes = None if new and not incremental else getattr(estimator, "classes_", None)
    values: dict[str, Any] = {
        "version of fastmlp": version("fastmlp"),
        "engine": _native.engine(),
        "estimator": type(estimator).__name__,
        "call": "partial_fit" if incremental else "fit",
        "number of features": estimator.n_features_in_,
        "feature names": None if names is None else names.tolist(),
        "dtype": np.dtype(dtype).name,
        "kind of X": "sparse" if issparse(X) else "dense",
        # of targets per step, which are refused, the steps may be of any number
        "shape of a row of y": "one per step" if estimator._per_step else y.shape[1:],
        "classes": None if classes is None else classes.tolist(),
        "kind of sample_weight": "None" if sample_weight is None else "given",
        "number of samples seen before (t_)": 0 if new else estimator.t_,
    }
    for name, value in estimator.get_params(deep=False).items():
        if name not in ("n_jobs", "verbose"):
            values[name] = as_text(value)
    team.check_same(values)
