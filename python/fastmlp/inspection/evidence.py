"""What a diagnosis goes by: everything that is measured of a fitted network, in one place."""

from dataclasses import dataclass
from math import hypot
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.core.device import engine_of
from fastmlp.core.first_weights import initial_blocks
from fastmlp.core.native import _native
from fastmlp.core.network import Blocks
from fastmlp.core.random import random_generator
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array, HiddenLayer
from fastmlp.estimators.base import Labels
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.constant import constant_loss
from fastmlp.estimators.regressor import MLPRegressor
from fastmlp.estimators.setup import architecture_of
from fastmlp.inspection.checks import fitted_network
from fastmlp.training.data import Data

_MOST_ROWS = 5000  # of the samples, evenly spread


@dataclass(frozen=True)
class Look:
    """A network of some parameters, looked at on some samples; all of it without penalties.

    Attributes
    ----------
    loss : float
    gradient_norms : ndarray of shape (n_layers,)
    activations : list of ndarray of shape (n, n_units)
        Of the hidden layers, and last the predictions.
    output_error : float
        The usual length of the loss's derivative by a row's outputs, to compare gradients with; 1
        for losses whose derivative does not grow with the error.
    """

    loss: float
    gradient_norms: Array
    activations: list[Array]
    output_error: float


@dataclass(frozen=True)
class Evidence:
    """A fitted network on some samples, and how its last fit went.

    Attributes
    ----------
    estimator : MLPClassifier or MLPRegressor
        As it was given.
    fitted : MLPClassifier or MLPRegressor
        A copy without penalties.
    data : Data
    first, now : Look
        At a network of the weights that a fit starts from, and at the fitted one.
    constant : float
        The loss of the best constant.
    curve : ndarray of shape (n_epochs,)
        The training loss.
    validation_curve : ndarray of shape (n_epochs,) or (0,)
    update_ratios : ndarray of shape (n_epochs, n_layers) or (0, n_layers)
        As in `diagnostics_`.
    """

    estimator: Any
    fitted: Any
    data: Data
    first: Look
    now: Look
    constant: float
    curve: Array
    validation_curve: Array
    update_ratios: Array

    @property
    def hidden(self) -> list[HiddenLayer]:
        """The hidden layers as they were fitted."""
        layers: list[HiddenLayer] = self.fitted._hidden_layers
        return layers

    @property
    def loss(self) -> float:
        """The loss of the fitted network."""
        return self.now.loss

    @property
    def is_classifier(self) -> bool:
        """Whether y are classes."""
        return isinstance(self.estimator, MLPClassifier)

    @property
    def has_learned(self) -> bool:
        """Whether the loss is less than half of what the best constant leaves."""
        return self.loss < 0.5 * self.constant


def evidence_of(estimator: MLPClassifier | MLPRegressor, X: Any, y: Any) -> Evidence:
    """Measure everything.

    Raises
    ------
    TypeError
        It is something else than a network.
    ValueError
        As of `fit`.
    """
    fitted = fitted_network(estimator)
    X, y = fitted._check_X_y(X, y, reset=False)
    fitted.__dict__.pop("feature_names_in_", None)  # the samples are arrays by now
    if X.shape[0] > _MOST_ROWS:
        rows = np.linspace(0, X.shape[0] - 1, _MOST_ROWS).astype(int)
        X, y = X[rows], y[rows]
    dtype = fitted.coefs_[0].dtype
    data = fitted._make_data(X, y, None, dtype, Labels.SUBSET)
    fitted.alpha = fitted.l1 = 0.0  # what gradients tell of layers is without penalties
    differentiate, blocks = fitted._differentiable(X, y, None, dtype)
    first = _first_blocks(fitted, dtype)
    n = len(blocks.weights)
    recorded = getattr(fitted, "diagnostics_", {"update_ratio": np.empty((0, n))})
    return Evidence(
        estimator,
        fitted,
        data,
        _look(fitted, first, differentiate(first), data),
        _look(fitted, blocks, differentiate(blocks), data),
        constant_loss(fitted, data.samples),
        _of_last_fit(fitted, getattr(fitted, "loss_curve_", None)),
        _of_last_fit(fitted, getattr(fitted, "validation_loss_curve_", None)),
        _of_last_fit(fitted, recorded["update_ratio"]),
    )


def _first_blocks(estimator: Any, dtype: npt.DTypeLike) -> Blocks:
    """Weights that a fit starts from: the fit's own where `random_state` is a number."""
    e = estimator
    seed = e.random_state if isinstance(e.random_state, Integral) else 0
    activation = e.activation if isinstance(e.activation, str) else ""
    architecture = architecture_of(e)
    return initial_blocks(architecture, e.init, dtype, random_generator(seed), activation)


def _look(estimator: Any, blocks: Blocks, derivatives: tuple[float, Blocks], data: Data) -> Look:
    loss, gradient = derivatives
    activations = _native.activations(
        blocks.for_core(blocks.weights[0].dtype),
        estimator._hidden_layers,
        estimator._trained_loss,
        data.samples.rows,
        n_threads=n_threads(estimator.n_jobs),
        engine=engine_of(estimator.device),
    )
    norms = [
        hypot(*(float(np.linalg.norm(array.astype(np.float64))) for array in layer))
        for layer in zip(gradient.weights, gradient.biases, strict=True)
    ]
    return Look(loss, np.array(norms), activations, _output_error(estimator, activations[-1], data))


def _output_error(estimator: Any, outputs: Array, data: Data) -> float:
    targets = data.samples.targets
    if not isinstance(estimator, MLPClassifier) and estimator._trained_loss != "squared_error":
        return 1.0
    if targets.ndim == 1:
        n = outputs.shape[1]
        targets = targets[:, None] == (np.arange(n) if n > 1 else 1)
    return float(np.sqrt(((outputs.astype(np.float64) - targets) ** 2).sum(axis=1).mean()))


def _of_last_fit(estimator: Any, curve: Any) -> Array:
    """The part of a record that belongs to the last fit, not to those before a warm start."""
    return np.asarray([] if curve is None else curve[-max(estimator.n_iter_, 1) :])
