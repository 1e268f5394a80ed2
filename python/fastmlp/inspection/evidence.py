"""What a diagnosis goes by: everything that is measured of a fitted network, in one place."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastmlp.core.native import _native
from fastmlp.core.rules import check_parameters
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array, HiddenLayer
from fastmlp.estimators.base import Labels, snapshot
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.constant import constant_loss, mean_loss
from fastmlp.estimators.regressor import MLPRegressor
from fastmlp.training.data import Data

_MOST_ROWS = 5000  # of the samples, evenly spread


@dataclass(frozen=True)
class Evidence:
    """A fitted network on some samples, and how its last fit went.

    Attributes
    ----------
    estimator : MLPClassifier or MLPRegressor
    data : Data
    activations : list of ndarray of shape (n, n_units)
        Of the hidden layers, and last the predictions.
    gradient_norms : ndarray of shape (n_layers,)
    loss, constant : float
        The loss, and that of the best constant, both without penalties.
    curve : ndarray of shape (n_epochs,)
        The training loss.
    validation_curve : ndarray of shape (n_epochs,) or (0,)
    update_ratios : ndarray of shape (n_epochs, n_layers) or (0, n_layers)
        As in `diagnostics_`.
    """

    estimator: Any
    data: Data
    activations: list[Array]
    gradient_norms: Array
    loss: float
    constant: float
    curve: Array
    validation_curve: Array
    update_ratios: Array

    @property
    def hidden(self) -> list[HiddenLayer]:
        """The hidden layers as they were fitted."""
        layers: list[HiddenLayer] = self.estimator._hidden_layers
        return layers

    @property
    def is_classifier(self) -> bool:
        """Whether y are classes."""
        return isinstance(self.estimator, MLPClassifier)

    def output_error(self) -> float:
        """The usual length of the loss's derivative by a row's outputs, to compare gradients with.

        It is 1 for losses whose derivative does not grow with the error.
        """
        targets, outputs = self.data.samples.targets, self.activations[-1]
        if not self.is_classifier and self.estimator._trained_loss != "squared_error":
            return 1.0
        if targets.ndim == 1:
            targets = targets[:, None] == (np.arange(outputs.shape[1]) + (outputs.shape[1] == 1))
        return float(np.sqrt(((outputs - targets) ** 2).sum(axis=1).mean()))


def evidence_of(estimator: MLPClassifier | MLPRegressor, X: Any, y: Any) -> Evidence:
    """Measure everything.

    Raises
    ------
    TypeError
        It is something else than a network.
    ValueError
        As of `fit`.
    """
    if not isinstance(estimator, (MLPClassifier, MLPRegressor)):
        raise TypeError(
            "estimator must be an MLPClassifier or MLPRegressor. "
            f"Got {type(estimator).__name__} instead."
        )
    check_is_fitted(estimator)
    check_parameters(estimator)
    fitted = snapshot(estimator)
    X, y = fitted._check_X_y(X, y, reset=False)
    fitted.__dict__.pop("feature_names_in_", None)  # the samples are arrays by now
    if X.shape[0] > _MOST_ROWS:
        rows = np.linspace(0, X.shape[0] - 1, _MOST_ROWS).astype(int)
        X, y = X[rows], y[rows]
    dtype = fitted.coefs_[0].dtype
    data = fitted._make_data(X, y, None, dtype, Labels.SUBSET)
    differentiate, blocks = fitted._differentiable(X, y, None, dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = differentiate(blocks)[1]
        norms = [
            float(np.hypot(np.linalg.norm(weight), np.linalg.norm(bias)))
            for weight, bias in zip(gradient.weights, gradient.biases, strict=True)
        ]
    loss = fitted._trained_loss
    activations = _native.activations(
        blocks.for_core(dtype),
        fitted._hidden_layers,
        loss,
        data.samples.rows,
        n_threads=n_threads(fitted.n_jobs),
    )
    recorded = getattr(fitted, "diagnostics_", {"update_ratio": np.empty((0, len(norms)))})
    return Evidence(
        fitted,
        data,
        activations,
        np.array(norms),
        mean_loss(fitted, blocks, fitted._hidden_layers, data.samples),
        constant_loss(fitted, data.samples),
        _of_last_fit(fitted, getattr(fitted, "loss_curve_", None)),
        _of_last_fit(fitted, getattr(fitted, "validation_loss_curve_", None)),
        _of_last_fit(fitted, recorded["update_ratio"]),
    )


def _of_last_fit(estimator: Any, curve: Any) -> Array:
    """The part of a record that belongs to the last fit, not to those before a warm start."""
    return np.asarray([] if curve is None else curve[-max(estimator.n_iter_, 1) :])
