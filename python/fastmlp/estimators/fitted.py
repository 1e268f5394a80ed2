"""A fitted multi-layer network: its parameters, its predictions, and a look inside."""

from collections.abc import Callable
from itertools import zip_longest
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp.core.arrays import as_block, native_rows
from fastmlp.core.device import engine_of
from fastmlp.core.files import prefixed_errors
from fastmlp.core.native import _native
from fastmlp.core.network import Architecture, Blocks
from fastmlp.core.rules import check_parameters
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array, HiddenLayer, Rows
from fastmlp.estimators.base import clean_rows, one_row, snapshot
from fastmlp.estimators.consistency import check_network
from fastmlp.exchange.model_files import SavableMixin
from fastmlp.exchange.onnx import OnnxMixin
from fastmlp.exchange.torch import TorchMixin
from fastmlp.exchange.values import FittedNetwork, Layer, Task
from fastmlp.views.mixins import NetworkBlockMixin, SummaryMixin


class FittedNetworkMixin(SavableMixin, OnnxMixin, TorchMixin, SummaryMixin, NetworkBlockMixin):
    """What a network can do once it is fitted. The estimator says what its outputs stand for."""

    n_jobs: int | None
    # where it computes now, and how training may round there; recurrent networks have no choice
    device: str = "cpu"
    precision: str = "float32"
    coefs_: list[Array]
    intercepts_: list[Array]
    n_features_in_: int
    n_layers_: int
    n_outputs_: int
    # of the fitted network, whatever `set_params` said since; the loss by the core's name
    _hidden_layers: list[HiddenLayer]
    _trained_loss: str
    # of a recurrent network: its kind of hidden layers, and whether there are outputs at each step
    _cell: str = ""
    _per_step: bool = False

    def _task(self) -> Task:
        """What the outputs stand for."""
        raise NotImplementedError

    def _differentiable(
        self, X: Any, y: Any, sample_weight: Any, dtype: npt.DTypeLike
    ) -> tuple[Callable[[Blocks], tuple[float, Blocks]], Blocks]:
        """The function from parameters to loss and gradient on some samples, and the fitted ones.

        The parameters are copies.
        """
        raise NotImplementedError

    # --- parameters ------------------------------------------------------------------------------

    def _blocks(self) -> Blocks:
        """The fitted parameters."""
        return Blocks(
            self.coefs_,
            self.intercepts_,
            getattr(self, "activation_slopes_", ()),
            getattr(self, "recurrent_coefs_", ()),
            getattr(self, "recurrent_intercepts_", ()),
        )

    def _blocks_as(self, dtype: npt.DTypeLike) -> Blocks:
        """The fitted parameters in the core's memory layout, whatever a user did to `coefs_`."""
        return self._blocks().map(lambda array: as_block(array, dtype))

    def _parameter_attributes(self, blocks: Blocks) -> dict[str, Any]:
        """The attributes that hold parameters: `_blocks` the other way."""
        attributes: dict[str, Any] = {"coefs_": blocks.weights, "intercepts_": blocks.biases}
        if any(slope is not None for slope in blocks.slopes):
            attributes["activation_slopes_"] = list(blocks.slopes)
        if self._cell:
            attributes["recurrent_coefs_"] = list(blocks.recurrent)
            attributes["recurrent_intercepts_"] = list(blocks.recurrent_biases)
        return attributes

    def _check_whole(self) -> None:
        """Check that all attributes fit each other."""
        check_network(self)

    def _checked_snapshot(self) -> Any:
        """The estimator as it is now; an error where it is not fitted, or no network."""
        check_is_fitted(self)
        fitted = snapshot(self)
        with prefixed_errors("The network is not whole"):
            fitted._check_whole()
        return fitted

    def _fitted_network(self) -> FittedNetwork:
        """The network as other runtimes are told of it."""
        fitted = self._checked_snapshot()
        blocks = fitted._blocks_as(fitted.coefs_[0].dtype)
        slopes = blocks.slopes or [None] * len(fitted._hidden_layers)
        after = [
            (layer.activation, layer.parameter if slope is None else slope, layer.pieces)
            for layer, slope in zip(fitted._hidden_layers, slopes, strict=True)
        ]
        after.append((_native.LINKS[fitted._trained_loss], 0.0, 1))
        layers = [
            Layer(weight, bias, *rest)
            for weight, bias, rest in zip(blocks.weights, blocks.biases, after, strict=True)
        ]
        network = fitted._network_of(layers)
        if not fitted._cell:
            return network
        contexts = zip(
            layers,
            [*blocks.recurrent, None],
            [*(blocks.recurrent_biases or [None] * len(blocks.recurrent)), None],
            strict=True,
        )
        layers = [layer._replace(recurrent=u, recurrent_bias=c) for layer, u, c in contexts]
        return network._replace(layers=layers, cell=fitted._cell, per_step=fitted._per_step)

    def _network_of(self, layers: list[Layer]) -> FittedNetwork:
        """The value for other runtimes, with what the outputs stand for."""
        return FittedNetwork(type(self).__name__, layers, self._task())

    def _unit_values(self, X: Any) -> list[Array]:
        """The features of one sample, and what the units of each layer make of them."""
        check_is_fitted(self)
        fitted = snapshot(self)
        features = one_row(fitted, X)
        rows, dtype = fitted._check_rows(X)
        outputs = _native.activations(
            fitted._blocks().for_core(dtype),
            fitted._hidden_layers,
            fitted._trained_loss,
            rows,
            n_threads=1,
            engine=engine_of(fitted.device),
        )
        return [features, *(layer[0] for layer in outputs)]

    # --- prediction ------------------------------------------------------------------------------

    def _outputs(self, X: Any, *, linked: bool = True) -> Array:
        """The output layer's activations (n_samples, n_outputs) for user's X, or what goes in."""
        rows, dtype = self._check_rows(X)
        loss = self._trained_loss if linked else "squared_error"  # whose link is the identity
        return self._outputs_of(rows, dtype, loss)

    def _outputs_of(
        self,
        rows: Rows,
        dtype: npt.DTypeLike,
        loss: str | None,
        layers: slice = slice(None),
    ) -> Array:
        """What some layers make of rows; the loss is that of the output layer, None without it."""
        blocks = self._blocks()
        some = Blocks(blocks.weights[layers], blocks.biases[layers], blocks.slopes[layers])
        few = isinstance(rows, np.ndarray) and len(rows) < 64  # not worth a second
        return _native.predict(
            some.for_core(dtype),
            self._hidden_layers[layers],
            loss,
            rows,
            n_threads=1 if few else n_threads(self.n_jobs),
            engine=engine_of(self.device),
        )

    def _check_rows(self, X: Any) -> tuple[Rows, npt.DTypeLike]:
        """User's X as the core takes it, and the type for it and the parameters."""
        if "coefs_" in vars(self):
            dtype = self.coefs_[0].dtype
            rows = clean_rows(self, X, dtype)
            if rows is not None:
                return rows, dtype
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        single = np.result_type(X.dtype, self.coefs_[0].dtype) == np.float32
        dtype = np.dtype(np.float32 if single else np.float64)
        return native_rows(X, dtype), dtype

    # --- looking inside --------------------------------------------------------------------------

    def hidden_activations(self, X: Any, layer: int = -1) -> Array:
        """Compute the activations of a hidden layer: the representation that it has learned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        layer : int, default=-1
            The hidden layer, from 0; negative ones count from the last.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            The outputs of the layer.

        Raises
        ------
        ValueError
            There is no such layer.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y)
        >>> clf.hidden_activations(X).shape
        (150, 10)
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        upto = slice(fitted._checked_layer(layer) + 1)
        outputs: Array = fitted._outputs_of(*fitted._check_rows(X), None, upto)
        return outputs

    def _checked_layer(self, layer: Any) -> int:
        """The number of a hidden layer, negative ones counted from the last."""
        n = self.n_layers_ - 2
        if n == 0:
            raise ValueError("The network has no hidden layer.")
        if not isinstance(layer, Integral) or not -n <= int(layer) < n:
            raise ValueError(f"layer must be an int in [{-n}, {n}), of {n} hidden. Got {layer!r}.")
        return int(layer) % n

    def loss_and_gradient(
        self, X: Any, y: Any, sample_weight: Any = None, *, flat: bool = False
    ) -> tuple[float, Any]:
        """Compute the training loss of the fitted network and its derivative by each parameter.

        Penalties are included, and class weights; dropout is off.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets, as for `fit`.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Weights of the samples.
        flat : bool, default=False
            Whether to return the gradient as one vector.

        Returns
        -------
        loss : float
            The mean over the samples, and the penalties.
        gradient : list of tuple of ndarray, or ndarray of shape (n_parameters,)
            For each layer the derivatives by its weights (n_inputs, n_units), its biases (n_units,)
            and, of 'prelu', its slopes (n_units,), of a recurrent layer by its recurrent weights
            and, of a 'gru', their biases. Flat, those by all weights come first, then by all
            biases, then by each further kind.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y)
        >>> loss, gradient = clf.loss_and_gradient(X, y)
        >>> [(weights.shape, biases.shape) for weights, biases in gradient]
        [((4, 10), (10,)), ((10, 3), (3,))]
        """
        check_is_fitted(self)
        check_parameters(self)
        fitted = snapshot(self)
        differentiate, blocks = fitted._differentiable(X, y, sample_weight, fitted.coefs_[0].dtype)
        loss, gradient = differentiate(blocks)
        if flat:
            return loss, gradient.flat()
        layers = zip_longest(
            gradient.weights,
            gradient.biases,
            gradient.slopes,
            gradient.recurrent,
            gradient.recurrent_biases,
        )  # hidden layers come first, and alone have the latter three
        return loss, [tuple(array for array in layer if array is not None) for layer in layers]


def check_goes_on(estimator: Any, blocks: Blocks, architecture: Architecture) -> None:
    """Check that training can go on from the earlier fit's parameters.

    Raises
    ------
    ValueError
        They are those of another network.
    """
    e = estimator
    n_outputs = len(blocks.biases[-1])
    if n_outputs != architecture.units[-1]:
        raise ValueError(
            f"y has {architecture.units[-1]} outputs, but the earlier fit that training goes on "
            f"from had {n_outputs}."
        )
    if blocks.shapes() != architecture.shapes():
        raise ValueError(
            f"hidden_layer_sizes={e.hidden_layer_sizes!r} and activation={e.activation!r}"
            f"{f' and cell={architecture.cell!r}' if architecture.cell else ''} with "
            f"{architecture.units[0]} features and {n_outputs} outputs do not fit the weights of "
            f"the earlier fit that training goes on from: {[w.shape for w in blocks.weights]}."
        )
