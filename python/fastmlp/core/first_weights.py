"""The first weights and biases of a network."""

from collections.abc import Callable, Sequence
from math import prod
from sys import maxsize
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.core.network import Architecture, Blocks
from fastmlp.core.typing import Array

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
    activation: str = "",
) -> Blocks:
    """New weights, biases and slopes; the former two drawn layer by layer as in scikit-learn.

    Parameters
    ----------
    architecture : Architecture
    init : str, callable or sequence of array
        As `init` of the estimators.
    dtype : float32 or float64
    random : RandomState
    activation : str, default=""
        What scikit-learn's rule goes by where there is no hidden layer.

    Raises
    ------
    ValueError
        Own weights of a wrong number or shape, or that are not finite.
    MemoryError
        There are more weights than there is memory.
    """
    n_layers = 2 * len(architecture.units) - 2
    shapes = architecture.layer_shapes() + architecture.recurrent_shapes()
    n_weights = sum(prod(shape) for shape in shapes)
    if 8 * n_weights > maxsize:
        raise MemoryError(f"Unable to allocate {n_weights:.3g} weights for hidden_layer_sizes.")
    if isinstance(init, str):
        arrays = _by_rule(init, architecture, random, activation)
    else:
        arrays = _given(init, shapes, random)
    arrays = [np.array(array, dtype=dtype, order="C") for array in arrays]
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("init must give finite numbers.")
    slopes = [
        np.full(units, layer.parameter, dtype) if layer.activation == "prelu" else None
        for units, layer in zip(architecture.units[1:-1], architecture.hidden, strict=True)
    ]
    layers, context = arrays[:n_layers], arrays[n_layers:]
    if architecture.cell == "gru":
        return Blocks(layers[0::2], layers[1::2], slopes, context[0::2], context[1::2])
    return Blocks(layers[0::2], layers[1::2], slopes, context)


def _given(init: Any, shapes: list[tuple[int, ...]], random: np.random.RandomState) -> list[Array]:
    """A user's own weights and biases, layer by layer."""
    given = [init(shape, random) for shape in shapes] if callable(init) else init
    try:
        arrays = [np.asarray(array) for array in given]
        real = all(array.dtype.kind in "fiub" for array in arrays)
    except ValueError:  # lists of different lengths
        real = False
    if not real:
        raise ValueError("init must give arrays of real numbers.")
    got = [array.shape for array in arrays]
    if got != shapes:
        raise ValueError(f"init must give arrays of the shapes {shapes}. Got {got} instead.")
    return arrays


def _by_rule(
    init: str, architecture: Architecture, random: np.random.RandomState, activation: str
) -> list[Array]:
    """Weights and biases, layer by layer, by the rule of this name."""
    activations = [(layer.activation, layer.parameter) for layer in architecture.hidden]
    # scikit-learn's rule knows one activation: the bound of the output layer is by it,
    # too, and without hidden layers it still goes by the estimator's parameter
    last = [(activation, 0.0), *activations][-1] if init == "glorot_uniform" else ("", 0.0)
    layers = zip(
        [*activations, last],
        architecture.fans(),
        architecture.layer_shapes()[0::2],
        strict=True,
    )
    arrays = [
        array
        for (name, parameter), fans, shape in layers
        for array in _layer(init, name, parameter, fans, shape, random)
    ]
    for (name, parameter), units in zip(activations, architecture.units[1:-1], strict=True):
        if not architecture.cell:
            break
        shape = (units, architecture.gates * units)
        weight, bias = _layer(init, name, parameter, (units, units), shape, random)
        arrays += [weight, bias] if architecture.cell == "gru" else [weight]
    return arrays


def _layer(
    init: str,
    activation: str,
    slope: float,
    fans: tuple[int, int],
    shape: tuple[int, ...],
    random: np.random.RandomState,
) -> tuple[Array, Array]:
    """One layer's weight and bias; `fans` are one piece's fan-in and fan-out."""
    if init == "auto":
        relu = activation in _RELU_FAMILY
        init = "he_uniform" if relu else "lecun_normal" if activation == "selu" else "glorot_normal"
    if init == "glorot_uniform":  # as scikit-learn has it: smaller for the sigmoid, and biases too
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / sum(fans))
        return random.uniform(-bound, bound, shape), random.uniform(-bound, bound, shape[1:])
    rule, distribution = init.split("_")
    fan = sum(fans) / 2 if rule == "glorot" else fans[0]
    variance = _VARIANCES[rule] / fan
    if rule == "he" and activation in ("leaky_relu", "prelu"):
        variance /= 1 + slope**2  # He et al., section 2.2
    if distribution == "uniform":
        bound = np.sqrt(3 * variance)
        return random.uniform(-bound, bound, shape), np.zeros(shape[1:])
    return random.normal(0, np.sqrt(variance), shape), np.zeros(shape[1:])
