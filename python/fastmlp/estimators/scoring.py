"""Scores of validation samples: R2, and those of scikit-learn's scorers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from fastmlp.core.device import engine_of
from fastmlp.core.native import _native
from fastmlp.core.network import Blocks, Samples, hold
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array, HiddenLayer
from fastmlp.core.warnings import warn
from fastmlp.estimators.base import snapshot
from fastmlp.estimators.setup import architecture_of
from fastmlp.training.data import Validation
from fastmlp.training.distributed import ALONE, Team


def average(values: Array, weights: Array | None, team: Team) -> Any:
    """The weighted average of the rows of an array, those of all ranks."""
    if team.is_alone:
        return np.average(values, axis=0, weights=weights)
    weight = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    return team.sum(weight @ values) / team.sum(weight.sum())


def r2(targets: Array, predicted: Array, weights: Array | None, team: Team = ALONE) -> float:
    """R2 as scikit-learn's `r2_score` computes it, to the bit, without its checks of the arrays.

    These take longer than an epoch on small data.

    Parameters
    ----------
    targets : ndarray of shape (n,) or (n, n_outputs)
    predicted : ndarray of shape (n, n_outputs)
        Finite.
    weights : ndarray of shape (n,) or None
    team : Team
        Whose ranks each have some of the rows.
    """
    if team.sum(len(predicted)) < 2:
        warn("R^2 score is not well-defined with less than two samples.", UndefinedMetricWarning)
        return float("nan")
    given = (targets, predicted, weights)
    dtype = np.result_type(*(a for a in given if a is not None and a.dtype.kind == "f"))
    y = targets.reshape(predicted.shape).astype(dtype, copy=False)
    weight: Any = 1.0 if weights is None else weights.astype(dtype, copy=False)[:, None]
    error = team.sum((weight * (y - predicted) ** 2).sum(axis=0))
    spread = team.sum((weight * (y - average(y, weights, team)) ** 2).sum(axis=0))
    # a constant target is predicted exactly, or not at all
    scores = np.where(error == 0, 1.0, 0.0).astype(dtype)
    usual = (error != 0) & (spread != 0)
    scores[usual] = 1 - error[usual] / spread[usual]
    return float(scores.mean())


def has_scorer(estimator: Any) -> bool:
    """Whether `scoring` is one of scikit-learn's, or a callable like one."""
    return estimator.scoring not in (None, "loss")


def find_scorer(estimator: Any) -> Callable[..., float] | None:
    """The scorer that `scoring` names; None where it is a score of ours."""
    if not has_scorer(estimator):
        return None
    from sklearn.metrics import check_scoring

    scorer: Callable[..., float] = check_scoring(estimator, estimator.scoring)
    return scorer


def score_and_loss(
    estimator: Any, blocks: Blocks, validation: Validation, scorer: Callable[..., float] | None
) -> tuple[float, float]:
    """The score and the loss of a network of these parameters on validation samples."""
    data, team = validation.data, validation.team
    labels, weights = validation.pick(data.labels), validation.pick(data.sample_weight)
    outputs, loss = np.empty((0, estimator.n_outputs_)), 0.0
    if len(labels):  # else they are other ranks'
        engine = engine_of(estimator.device)
        outputs, loss = _native.evaluate(
            blocks.in_core_order(),
            estimator._hidden_layers,
            estimator._trained_loss,
            validation.held_by(
                lambda samples: hold(
                    samples, architecture_of(estimator), blocks.weights[0].dtype, engine
                )
            ),
            order=validation.rows,
            n_threads=n_threads(estimator.n_jobs),
            cell=estimator._cell,
            per_step=estimator._per_step,
            engine=engine,
            **estimator._loss_options(),
        )
    if not team.is_alone:
        weight = float(len(labels) if weights is None else weights.sum(dtype=np.float64))
        total, weight = team.sum(np.array([loss * weight if weight else 0.0, weight]))
        loss = float(total / weight)
    if estimator.scoring == "loss":
        return -loss, loss
    if scorer is None:
        return estimator._default_score(outputs, labels, weights, team), loss
    user_data = validation.user_data
    score = _score_by(scorer, estimator, blocks, user_data) if team.leads else None
    return team.bcast(score), loss


def mean_loss(
    estimator: Any,
    blocks: Blocks,
    hidden: list[HiddenLayer],
    samples: Samples,
    *,
    threads: int | None = None,
) -> float:
    """The mean loss of a network on some samples, without penalties."""
    return _native.evaluate(
        blocks.for_core(blocks.weights[0].dtype),
        hidden,
        estimator._trained_loss,
        samples.rows,
        samples.targets,
        samples.weights,
        cell=estimator._cell if hidden else "",
        per_step=estimator._per_step and bool(hidden),
        lengths=samples.lengths,
        n_threads=threads or n_threads(estimator.n_jobs),
        **estimator._loss_options(),
        engine=engine_of(estimator.device),
    )[1]


def _score_by(
    scorer: Callable[..., float],
    estimator: Any,
    blocks: Blocks,
    user_data: tuple[Any, Any, Array | None],
) -> float:
    """The score of a network of these parameters.

    Raises
    ------
    ValueError
        Names the scorer, and what it says of the samples.
    """
    fitted = snapshot(estimator)
    fitted.__dict__.update(estimator._parameter_attributes(blocks))
    fitted.__dict__.pop("feature_names_in_", None)  # the samples are arrays by now
    X, y, weight = user_data
    arguments = {} if weight is None else {"sample_weight": weight}
    try:
        return float(scorer(fitted, X, y, **arguments))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"scoring={estimator.scoring!r} gave no score of the validation samples: {error}"
        ) from error
