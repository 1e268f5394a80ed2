"""Fitted networks, and ensembles of them on tables, as values: what other runtimes are told."""

from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastmlp.core.typing import Array
from fastmlp.tables.table_encoder import TableEncoder


class Task(Enum):
    """What the outputs of a network stand for."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"
    MULTILABEL = "multilabel"
    RECONSTRUCTION = "reconstruction"


class Layer(NamedTuple):
    """A layer: weighted inputs, and the activation after them.

    Attributes
    ----------
    weight : ndarray of shape (n_inputs, n_units * pieces)
    bias : ndarray of shape (n_units * pieces,)
    activation : str
        A hidden layer's, or the link of the output layer.
    parameter : float, or ndarray of shape (n_units,) of 'prelu'
    pieces : int
    recurrent : ndarray of shape (n_units, n_units or 3 * n_units), or None
        The weights of the layer's own outputs one step earlier; in a 'gru' those of the gates r, z
        and of n side by side, as in `weight` and `bias`.
    recurrent_bias : ndarray of shape (3 * n_units,), or None
        Of a 'gru'.
    """

    weight: Array
    bias: Array
    activation: str
    parameter: Any
    pieces: int
    recurrent: Array | None = None
    recurrent_bias: Array | None = None

    @property
    def n_units(self) -> int:
        """The layer's outputs."""
        if self.recurrent is not None:
            return len(self.recurrent)
        return len(self.bias) // self.pieces

    def astype(self, dtype: npt.DTypeLike) -> "Layer":
        """The layer with parameters of this type."""
        arrays: dict[str, Any] = {
            name: value.astype(dtype)
            for name, value in self._asdict().items()
            if isinstance(value, np.ndarray)
        }
        return self._replace(**arrays)


class FittedNetwork(NamedTuple):
    """The network that `predict` evaluates, and how its outputs are read.

    Attributes
    ----------
    name : str
        The estimator's class.
    layers : list of Layer
    task : Task
    classes : ndarray of shape (n_classes,) or None
        None of a regressor.
    has_margins : bool
        Whether the outputs are compared with 0 and are not probabilities.
    is_normalised : bool
        Whether the outputs are divided by their sum.
    cell : {'', 'elman', 'gru'}
        What the hidden layers are: dense, or recurrent.
    per_step : bool
        Whether there are outputs at each step of a sequence, not after the last one alone.
    """

    name: str
    layers: list[Layer]
    task: Task
    classes: Array | None = None
    has_margins: bool = False
    is_normalised: bool = False
    cell: str = ""
    per_step: bool = False

    def astype(self, dtype: npt.DTypeLike) -> "FittedNetwork":
        """The network with parameters of this type."""
        return self._replace(layers=[layer.astype(dtype) for layer in self.layers])

    def halves(self) -> "tuple[FittedNetwork, FittedNetwork]":
        """The encoder and the decoder of an autoencoder, each as a network of its own."""
        middle = len(self.layers) // 2
        return (
            self._replace(layers=self.layers[:middle], task=Task.REGRESSION),
            self._replace(layers=self.layers[middle:], task=Task.REGRESSION),
        )

    @property
    def dtype(self) -> type[np.floating[Any]]:
        """The type of the parameters."""
        return np.float32 if self.layers[0].weight.dtype == np.float32 else np.float64

    @property
    def n_features(self) -> int:
        """Inputs of the first layer."""
        return int(self.layers[0].weight.shape[0])

    @property
    def n_outputs(self) -> int:
        """Units of the last layer."""
        return int(self.layers[-1].weight.shape[1])


class FittedEnsemble(NamedTuple):
    """Networks on an encoded table, and how their outputs become one prediction.

    Attributes
    ----------
    name : str
        The estimator's class.
    encoder : TableEncoder
    has_names : bool
        Whether the columns have names of their own, as those of a data frame.
    networks : list of FittedNetwork
        Of several quantiles those of each first member, then those of each second.
    classes : ndarray of shape (n_classes,) or None
        None of a regressor.
    temperature : float
    doubt : float
        The share of the probabilities that is spread evenly over all classes.
        What the logarithms of a classifier's probabilities are divided by.
    scale, shift : ndarray of shape (n_outputs,)
        What a regressor's outputs are multiplied by, and what is then added.
    ranks : ndarray of shape (n_quantiles,) or None
        The places of several quantiles in ascending order; None where the outputs are not sorted.
    """

    name: str
    encoder: TableEncoder
    has_names: bool
    networks: list[FittedNetwork]
    classes: Array | None = None
    temperature: float = 1.0
    doubt: float = 0.0
    scale: Array = np.ones(1)
    shift: Array = np.zeros(1)
    ranks: Array | None = None

    @property
    def task(self) -> Task:
        """What the outputs stand for."""
        return self.networks[0].task
