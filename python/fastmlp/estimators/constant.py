"""The best constant prediction, and a warning where a fit has learned no more than that."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor

from fastmlp.core.network import Blocks, Samples
from fastmlp.core.typing import Array
from fastmlp.core.warnings import warn
from fastmlp.estimators.scoring import mean_loss
from fastmlp.training.training import Training

# A loss within this share of the constant's is no better: deep networks that learn the frequencies
# of the classes alone end there.
_TOLERANCE = 1e-3

_PROBABILITY = 1e-12  # the least that is told from 0


def constant_loss(estimator: Any, samples: Samples) -> float:
    """The least mean loss, without penalties, of a network whose outputs are constant.

    For 'huber' it is the lesser one of mean and median. It is infinite where all targets are the
    same, so that there is nothing to learn, and for 'perceptron', whose loss of nothing is zero.
    """
    if estimator._per_step:
        samples = samples.of_valid_steps()
    targets = samples.targets
    if estimator._trained_loss == "perceptron" or np.all(targets == targets[:1]):
        return np.inf
    return min(
        mean_loss(
            estimator,
            Blocks([np.zeros((1, z.size), z.dtype)], [z]),
            [],
            samples._replace(rows=np.zeros((len(targets), 1), z.dtype), lengths=None),
        )
        for z in _best_outputs(estimator, samples)
    )


def _best_outputs(estimator: Any, samples: Samples) -> list[Array]:
    """The output layer's weighted inputs z (n_outputs,) that constants are made of."""
    e = estimator
    loss, dtype = e._trained_loss, e.coefs_[0].dtype
    mean = _mean_targets(e, samples)
    if loss in ("log_loss", "kl_divergence", "poisson", "gamma"):
        found = [np.log(np.maximum(mean, _PROBABILITY))]
    elif loss in ("binary_log_loss", "logistic_squared_error"):
        p = np.clip(mean, _PROBABILITY, 1 - _PROBABILITY)
        found = [np.log(p / (1 - p))]
    elif loss == "hinge":
        found = [np.where(mean > 0.5, 1.0, -1.0)]
    elif loss == "squared_error":
        found = [mean]
    else:
        quantile = e.quantile if loss == "quantile" else 0.5
        found = [_quantiles(samples.targets, samples.weights, quantile)]
        if loss == "huber":
            found.append(mean)
    return [z.astype(dtype) for z in found]


def _mean_targets(estimator: Any, samples: Samples) -> Array:
    """The weighted mean of the targets (n_outputs,); of classes their frequencies, smoothed."""
    targets, weights = samples.targets, samples.weights
    if targets.ndim == 2:
        return np.asarray(np.average(targets, axis=0, weights=weights))
    n = estimator.n_outputs_
    counts = np.bincount(targets, weights, minlength=max(n, 2))
    frequencies = counts / counts.sum()
    share = estimator._loss_options().get("label_smoothing", 0.0)
    frequencies = (1 - share) * frequencies + share / len(frequencies)
    return np.asarray(frequencies[1:] if n == 1 else frequencies)


def _quantiles(targets: Array, weights: Array | None, quantile: float) -> Array:
    """The weighted quantile of each column."""
    if weights is None:
        return np.asarray(np.quantile(targets, quantile, axis=0))
    order = np.argsort(targets, axis=0)
    below = np.cumsum(weights[order], axis=0, dtype=np.float64)
    place = np.argmax(below >= quantile * below[-1], axis=0)
    columns = np.arange(targets.shape[1])
    return np.asarray(targets[order[place, columns], columns])


def has_learned_nothing(loss: float, constant: float) -> bool:
    """Whether a mean loss is no better than that of the best constant."""
    return not loss < (1 - _TOLERANCE) * constant


def warn_of_nothing_learned(estimator: Any, training: Training) -> None:
    """Say so where a fit that had time to learn is no better than the best constant prediction.

    The loss of the last epoch decides whether the fitted network is evaluated: it contains the
    penalties, and may be of other weights than those that early stopping has kept.
    """
    if not training.had_time:
        return
    e, samples = estimator, training.data.samples
    constant = constant_loss(e, samples)
    if np.isinf(constant) or not has_learned_nothing(e.loss_, constant):
        return
    loss = mean_loss(e, e._blocks(), e._hidden_layers, samples)
    if has_learned_nothing(loss, constant):
        text = (
            f"The {type(e).__name__} has learned nothing: its training loss of {loss:.4g} is no "
            f"better than the {constant:.4g} of the best constant prediction."
        )
        if (is_classifier(e) or is_regressor(e)) and not e._cell:  # diagnose takes no others
            text += " fastmlp.inspection.diagnose(estimator, X, y) looks for the cause."
        warn(text)
