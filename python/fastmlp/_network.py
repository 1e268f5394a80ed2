"""A network as Python describes it to the core: layers, activations, first weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from numbers import Real
from sys import maxsize
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastmlp import _native
from fastmlp._typing import Array, Blocks

Network: TypeAlias = _native.Network32 | _native.Network64
Hidden: TypeAlias = tuple[str, float, int, float]  # activation, its parameter, pieces, dropout

ALIASES = {"silu": "swish"}
ACTIVATION_NAMES = (*_native.ACTIVATIONS, *ALIASES)


@dataclass(frozen=True)
class Architecture:
    """What a network is; `hidden` as the core wants it, one tuple per hidden layer."""

    units: list[int]
    hidden: list[Hidden]
    loss: str
    loss_parameter: float
    input_dropout: float = 0.0

    def open(
        self,
        dtype: npt.DTypeLike,
        *,
        alpha: float,
        l1: float,
        batch: int,
        sparse: bool,
        keep_gradient: bool,
    ) -> Network:
        """A network on the engine in use, for steps over up to `batch` rows."""
        kind = _native.Network32 if dtype == np.float32 else _native.Network64
        return kind(
            self.units,
            self.hidden,
            self.loss,
            loss_parameter=self.loss_parameter,
            input_dropout=self.input_dropout,
            alpha=alpha,
            l1=l1,
            batch=batch,
            sparse=sparse,
            keep_gradient=keep_gradient,
        )

    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of weight and bias, layer by layer; a maxout layer's pieces are side by side."""
        shapes: list[tuple[int, ...]] = []
        pieces = [layer[2] for layer in self.hidden] + [1]
        for (fan_in, fan_out), k in zip(pairwise(self.units), pieces, strict=True):
            shapes += [(fan_in, fan_out * k), (fan_out * k,)]
        return shapes

    def slope_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the slopes that hidden layers learn, the blocks after those of `shapes`."""
        layers = zip(self.units[1:-1], self.hidden, strict=True)
        return [(units,) for units, layer in layers if layer[0] == "prelu"]


def hidden_layers(
    activation: str | Sequence[str],
    parameter: float | Sequence[float | None] | None,
    pieces: int,
    dropout: Sequence[float],
) -> list[Hidden]:
    """One tuple per hidden layer, as many as `dropout` has rates."""
    n = len(dropout)
    names = [activation] * n if isinstance(activation, str) else activation
    one = parameter is None or isinstance(parameter, Real)
    values: Any = [parameter] * n if one else parameter
    layers: list[Hidden] = []
    for name, value, rate in zip(names, values, dropout, strict=True):
        name = ALIASES.get(name, name)
        if value is None:
            value = _native.ACTIVATIONS[name] or 0.0
        layers.append((str(name), float(value), pieces if name == "maxout" else 1, float(rate)))
    return layers


# --- first weights -------------------------------------------------------------------------------

# (variance of the weights times fan-in, or times the mean of fan-in and fan-out; distribution).
# Glorot & Bengio 2010, He et al. 2015, LeCun et al. 1998 ("Efficient BackProp").
_VARIANCES = {"glorot": 1.0, "he": 2.0, "lecun": 1.0}
_RELU_FAMILY = ("relu", "leaky_relu", "prelu", "elu", "swish", "gelu", "mish", "maxout")
INIT_NAMES = (
    "auto",
    *(f"{rule}_{kind}" for rule in _VARIANCES for kind in ("uniform", "normal")),
)


def initial_blocks(
    architecture: Architecture,
    init: str | Callable[[tuple[int, ...], np.random.RandomState], Any] | Sequence[Any],
    dtype: npt.DTypeLike,
    random: np.random.RandomState,
) -> Blocks:
    """New weights and biases, drawn layer by layer as scikit-learn draws them.

    Parameters
    ----------
    architecture : Architecture
    init : str, callable or sequence of array
        As `init` of the estimators.
    dtype : float32 or float64
    random : RandomState

    Raises
    ------
    ValueError
        Own weights of a wrong number or shape, or that are not finite.
    MemoryError
        There are more weights than there is memory.
    """
    shapes = architecture.shapes()
    n_weights = sum(prod(shape) for shape in shapes)
    if 8 * n_weights > maxsize:
        raise MemoryError(f"Unable to allocate {n_weights:.3g} weights for hidden_layer_sizes.")
    if isinstance(init, str):
        layers = [(name, parameter) for name, parameter, _, _ in architecture.hidden]
        # scikit-learn's rule knows one activation, the output layer's bound is by it as well
        layers.append(layers[-1] if layers and init == "glorot_uniform" else ("", 0.0))
        blocks = [
            block
            for (name, slope), units, shape in zip(
                layers, pairwise(architecture.units), shapes[::2], strict=True
            )
            for block in _layer(init, name, slope, units, shape, random)
        ]
    else:
        given = [init(shape, random) for shape in shapes] if callable(init) else init
        try:
            blocks = [np.asarray(block) for block in given]
            real = all(block.dtype.kind in "fiub" for block in blocks)
        except ValueError:  # lists of different lengths
            real = False
        if not real:
            raise ValueError("init must give arrays of real numbers.")
    got = [block.shape for block in blocks]
    if got != shapes:
        raise ValueError(f"init must give arrays of the shapes {shapes}. Got {got} instead.")
    blocks = [np.array(block, dtype=dtype, order="C") for block in blocks]
    if not all(np.isfinite(block).all() for block in blocks):
        raise ValueError("init must give finite numbers.")
    for units, (name, slope, _, _) in zip(
        architecture.units[1:-1], architecture.hidden, strict=True
    ):
        if name == "prelu":
            blocks.append(np.full(units, slope, dtype))
    return blocks


def _layer(
    init: str,
    activation: str,
    slope: float,
    units: tuple[int, int],
    shape: tuple[int, ...],
    random: np.random.RandomState,
) -> tuple[Array, Array]:
    """One layer's weight and bias; `units` are one piece's fan-in and fan-out."""
    if init == "auto":
        relu = activation in _RELU_FAMILY
        init = "he_uniform" if relu else "lecun_normal" if activation == "selu" else "glorot_normal"
    if init == "glorot_uniform":  # as scikit-learn has it: smaller for the sigmoid, and biases too
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / sum(units))
        return random.uniform(-bound, bound, shape), random.uniform(-bound, bound, shape[1:])
    rule, distribution = init.split("_")
    fans = sum(units) / 2 if rule == "glorot" else units[0]
    variance = _VARIANCES[rule] / fans
    if rule == "he" and activation in ("leaky_relu", "prelu"):
        variance /= 1 + slope**2  # He et al., section 2.2
    if distribution == "uniform":
        bound = np.sqrt(3 * variance)
        return random.uniform(-bound, bound, shape), np.zeros(shape[1:])
    return random.normal(0, np.sqrt(variance), shape), np.zeros(shape[1:])
