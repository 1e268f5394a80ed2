"""A network as Python describes it to the core, and its parameters."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Real
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

import numpy as np
import numpy.typing as npt

from fastmlp.core.arrays import as_block, steps_within
from fastmlp.core.native import _native
from fastmlp.core.typing import Array, Epoch, HiddenLayer, Order, Part, Rows

ALIASES = {"silu": "swish"}

# the slot that holds the weights as they were at the last diagnosis
DIAGNOSED = 4

ACTIVATION_NAMES = (*_native.ACTIVATIONS, *ALIASES)


class Blocks(NamedTuple):
    """Numbers for all parameters of a network: themselves, a gradient, or a state of a solver.

    Attributes
    ----------
    weights : list of ndarray of shape (n_inputs, n_units)
        One per layer; in a maxout layer n_units is that of its pieces, which lie side by side.
    biases : list of ndarray of shape (n_units,)
    slopes : sequence of (ndarray of shape (n_units,) or None)
        One per hidden layer, None where none is learned; empty where no layer learns any.
    recurrent : sequence of ndarray of shape (n_units, n_units or 3 * n_units)
        One per hidden layer of a recurrent network: weights of the units' own outputs one step
        earlier. Those of the gates r, z and of n lie side by side in a 'gru', as in `weights`.
    recurrent_biases : sequence of ndarray of shape (3 * n_units,)
        One per hidden layer of a 'gru', which adds them to what `recurrent` gives.
    """

    weights: list[Array]
    biases: list[Array]
    slopes: Sequence[Array | None] = ()
    recurrent: Sequence[Array] = ()
    recurrent_biases: Sequence[Array] = ()

    @classmethod
    def from_core(
        cls, arrays: Sequence[Array], hidden: Sequence[HiddenLayer], cell: str = ""
    ) -> "Blocks":
        """Blocks of arrays in the core's order, of a network with these hidden layers.

        Raises
        ------
        ValueError
            It is another number of arrays.
        """
        end = 2 * (len(hidden) + 1)
        learned = [layer.activation == "prelu" for layer in hidden]
        contexts = end + sum(learned)
        kinds = {"": 0, "elman": 1, "gru": 2}[cell]
        if len(arrays) != contexts + kinds * len(hidden):
            raise ValueError("its arrays are not those of this network")
        slopes = iter(arrays[end:contexts])
        return cls(
            list(arrays[0:end:2]),
            list(arrays[1:end:2]),
            [next(slopes) if learns else None for learns in learned] if any(learned) else (),
            list(arrays[contexts::kinds]) if kinds else (),
            list(arrays[contexts + 1 :: kinds]) if cell == "gru" else (),
        )

    def in_core_order(self) -> list[Array]:
        """Weight and bias, layer by layer, then the slopes, then the recurrent ones by layers."""
        arrays = [array for layer in zip(self.weights, self.biases, strict=True) for array in layer]
        arrays += [slope for slope in self.slopes if slope is not None]
        if not self.recurrent_biases:
            return [*arrays, *self.recurrent]
        pairs = zip(self.recurrent, self.recurrent_biases, strict=True)
        return arrays + [array for layer in pairs for array in layer]

    def for_core(self, dtype: npt.DTypeLike) -> list[Array]:
        """The arrays in the core's order and memory layout, whatever a user did to them."""
        return [as_block(array, dtype) for array in self.in_core_order()]

    def in_flat_order(self) -> list[Array]:
        """All weights, then all biases, as scikit-learn has them in one vector; then the others."""
        slopes = [slope for slope in self.slopes if slope is not None]
        return [*self.weights, *self.biases, *slopes, *self.recurrent, *self.recurrent_biases]

    def flat(self) -> Array:
        """All numbers as one vector."""
        return np.concatenate([array.ravel() for array in self.in_flat_order()])

    def unflat(self, vector: Array, dtype: npt.DTypeLike) -> "Blocks":
        """Blocks of the same shapes whose `flat` is a vector."""
        vector = vector.astype(dtype)
        end = 0

        def part(array: Array) -> Array:
            nonlocal end
            begin, end = end, end + array.size
            return vector[begin:end].reshape(array.shape)

        return self.map(part)

    def map(self, function: Callable[[Array], Array]) -> "Blocks":
        """Blocks of what a function makes of each array, called in the flat order."""
        return Blocks(
            [function(weight) for weight in self.weights],
            [function(bias) for bias in self.biases],
            [None if slope is None else function(slope) for slope in self.slopes],
            [function(weight) for weight in self.recurrent],
            [function(bias) for bias in self.recurrent_biases],
        )

    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the arrays in the core's order."""
        return [np.shape(array) for array in self.in_core_order()]

    def digest(self) -> str:
        """A short text that tells one set of numbers from another."""
        found = 0
        for array in self.in_core_order():
            found = crc32(np.ascontiguousarray(array).data, found)
        return f"{found:08x}"

    def is_finite(self) -> bool:
        """Whether no number is NaN or infinite."""
        return all(np.isfinite(array).all() for array in self.in_core_order())


def gates_of(cell: str) -> int:
    """What a unit of a recurrent layer adds up: the gates of a 'gru' are two of its three."""
    return 3 if cell == "gru" else 1


class Architecture(NamedTuple):
    """What a network is.

    Attributes
    ----------
    units : list of int
        Features, units of each hidden layer, outputs.
    hidden : list of HiddenLayer
    loss : str
        The core's name of it; its link is the output activation.
    loss_parameter : float
    input_dropout : float
    label_smoothing : float
        The share of a class number's target that is spread over all classes.
    cell : {'', 'elman', 'gru'}
        What the hidden layers are: dense, or recurrent ones whose units also have the layer's own
        outputs one step earlier as inputs.
    per_step : bool
        Whether a recurrent network has outputs at every step, not at a sequence's last one alone.
    """

    units: list[int]
    hidden: list[HiddenLayer]
    loss: str
    loss_parameter: float = 0.0
    input_dropout: float = 0.0
    label_smoothing: float = 0.0
    cell: str = ""
    per_step: bool = False

    @property
    def gates(self) -> int:
        """`gates_of` its cell."""
        return gates_of(self.cell)

    def fans(self) -> list[tuple[int, int]]:
        """Inputs and units of each layer, of a maxout layer the units of one piece."""
        return list(pairwise(self.units))

    def layer_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of weight and bias, layer by layer."""
        shapes: list[tuple[int, ...]] = []
        pieces = [layer.pieces * self.gates for layer in self.hidden] + [1]
        for (fan_in, fan_out), k in zip(self.fans(), pieces, strict=True):
            shapes += [(fan_in, fan_out * k), (fan_out * k,)]
        return shapes

    def shapes(self) -> list[tuple[int, ...]]:
        """What `Blocks.shapes` is for such a network."""
        layers = zip(self.units[1:-1], self.hidden, strict=True)
        slopes = [(units,) for units, layer in layers if layer.activation == "prelu"]
        return self.layer_shapes() + slopes + self.recurrent_shapes()

    def recurrent_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the recurrent weights, and in a 'gru' their biases, layer by layer."""
        shapes: list[tuple[int, ...]] = []
        for units in self.units[1:-1] if self.cell else []:
            shapes.append((units, self.gates * units))
            if self.cell == "gru":
                shapes.append((self.gates * units,))
        return shapes


def hidden_layers(
    activation: str | Sequence[str],
    parameter: float | Sequence[float | None] | None,
    pieces: int,
    dropout: Sequence[float],
) -> list[HiddenLayer]:
    """The hidden layers, as many as `dropout` has rates; the others by one value or one each."""
    n = len(dropout)
    names = [activation] * n if isinstance(activation, str) else activation
    one = parameter is None or isinstance(parameter, Real)
    values: Any = [parameter] * n if one else parameter
    layers: list[HiddenLayer] = []
    for name, value, rate in zip(names, values, dropout, strict=True):
        name = str(ALIASES.get(name, name))
        if value is None:
            value = _native.ACTIVATIONS[name] or 0.0
        layers.append(
            HiddenLayer(name, float(value), pieces if name == "maxout" else 1, float(rate))
        )
    return layers


class Samples(NamedTuple):
    """Rows, targets and weights as the core reads them.

    Attributes
    ----------
    rows : ndarray of shape (n, n_features), or the (data, indices, indptr) of a CSR matrix
        Of a recurrent network an ndarray of shape (n, n_steps, n_features), C-contiguous in the
        last two axes.
    targets : ndarray of shape (n,) int32 (classes) or (n, n_outputs)
        Of a network with outputs at every step (n, n_steps) int32 or (n, n_steps, n_outputs).
    weights : ndarray of shape (n,) or None
        A sequence's weight is that of each of its steps.
    lengths : ndarray of shape (n,) int64 or None
        The steps that each sequence has, from 1 to n_steps; None: all. What `rows` and `targets`
        hold past them is not looked at.
    """

    rows: Rows
    targets: Array
    weights: Array | None
    lengths: Array | None = None

    @property
    def is_sparse(self) -> bool:
        """Whether the rows are those of a CSR matrix."""
        return isinstance(self.rows, tuple)

    @property
    def n_steps(self) -> int:
        """The most steps of a sequence; 1 of rows."""
        rows = self.rows
        return rows.shape[1] if isinstance(rows, np.ndarray) and rows.ndim == 3 else 1

    def of_valid_steps(self) -> "Samples":
        """Of a network with outputs at every step: the steps of all sequences as one row each."""
        rows, targets, weights, lengths = self
        assert isinstance(rows, np.ndarray)
        n, steps = rows.shape[:2]
        counts = np.full(n, steps) if lengths is None else lengths
        valid = steps_within(counts, steps)
        weights = None if weights is None else np.repeat(weights, counts)
        return Samples(rows[valid], targets[valid], weights)


# samples in the hands of an engine, for any number of passes: their arrays are not to be changed
HeldSamples: TypeAlias = _native.Samples32 | _native.Samples64


def hold(
    samples: Samples, architecture: Architecture, dtype: npt.DTypeLike, engine: str
) -> HeldSamples:
    """Have an engine hold samples, for networks of this architecture and dtype."""
    kind = _native.Samples32 if dtype == np.float32 else _native.Samples64
    return kind(
        samples.rows,
        samples.targets,
        samples.weights,
        features=architecture.units[0],
        outputs=architecture.units[-1],
        per_step=architecture.per_step,
        sequences=bool(architecture.cell),
        lengths=samples.lengths,
        engine=engine,
    )


class Network:
    """A network on an engine: its parameters and a solver's state, and work space.

    Parameters
    ----------
    architecture : Architecture
    dtype : float32 or float64
    alpha, l1 : float
        Strengths of the penalties.
    batch : int
        The most rows per step.
    sparse : bool
        Whether the rows are those of CSR matrices.
    keep_gradient : bool
        Whether `gradient` or `diagnose` will be called, or the gradient be clipped.
    steps : int
        The most steps of a sequence, for a recurrent network. ``batch`` then counts sequences.
    engine : str
        Its name; '' is the one in use.
    precision : {'float32', 'tf32', 'bfloat16'}
        How a device may round what wide layers multiply, in float32.
    """

    def __init__(
        self,
        architecture: Architecture,
        dtype: npt.DTypeLike,
        *,
        alpha: float,
        l1: float = 0.0,
        batch: int,
        sparse: bool,
        keep_gradient: bool = False,
        steps: int = 1,
        engine: str = "",
        precision: str = "float32",
    ) -> None:
        self.layers = (architecture.hidden, architecture.cell)  # what arrays are read by
        self._architecture = architecture
        self.dtype = dtype
        self.batch = batch
        kind = _native.Network32 if dtype == np.float32 else _native.Network64
        self._native = kind(
            architecture.units,
            architecture.hidden,
            architecture.loss,
            loss_parameter=architecture.loss_parameter,
            label_smoothing=architecture.label_smoothing,
            input_dropout=architecture.input_dropout,
            alpha=alpha,
            l1=l1,
            batch=batch,
            sparse=sparse,
            keep_gradient=keep_gradient,
            cell=architecture.cell,
            per_step=architecture.per_step,
            steps=steps,
            engine=engine,
            precision=precision,
        )

    def write(self, blocks: Blocks, slot: int = 0) -> None:
        """Set the parameters (slot 0) or a part of the solver's state (slots 1, 2 and 3).

        What the next `diagnose` compares the weights with is in a slot, too: `DIAGNOSED`.
        """
        self._native.write(slot, blocks.for_core(self.dtype))

    def read(self, slot: int = 0) -> Blocks:
        """A copy of the parameters or of a part of the solver's state."""
        return Blocks.from_core(self._native.read(slot), *self.layers)

    def hold(self, samples: Samples) -> HeldSamples:
        """Have the engine hold samples, for `train`, `gradient` and `diagnose`."""
        return hold(samples, self._architecture, self.dtype, self._native.engine)

    def train(
        self, samples: HeldSamples, order: Order | None, epoch: Epoch, options: dict[str, Any]
    ) -> tuple[Epoch, BaseException | None]:
        """Make the steps over the rows in `order` that the epoch has not yet come to.

        Returns how far the epoch has come, and what a signal's handler or ``options["stop"]``
        raised between two steps, or None. The options are those of the native `train`.
        """
        reached, raised = self._native.train(samples, order=order, epoch=epoch, **options)
        return Epoch(*reached), raised

    @property
    def steps(self) -> int:
        """The updates that `train` has made in all."""
        return self._native.steps

    @property
    def reached(self) -> Epoch:
        """How far `train` has last come in an epoch.

        Where a signal's handler raised on the way back from it, it is only here.
        """
        return Epoch(*self._native.reached)

    def gradient(
        self, samples: HeldSamples, *, n_threads: int, part: Part | None = None
    ) -> tuple[float, Blocks]:
        """The loss over all samples, penalties included, and its derivatives.

        With a part they are over the samples of all processes.
        """
        loss, arrays = self._native.gradient(samples, part=part, n_threads=n_threads)
        return loss, Blocks.from_core(arrays, *self.layers)

    def diagnose(self, samples: HeldSamples, order: Order, *, n_threads: int) -> Array:
        """Look at the layers, over up to 64 rows and a batch; nothing is changed.

        Returns
        -------
        ndarray of shape (n_layers, 4)
            The norm of the exact gradient; the standard deviation of the change of the weights
            since the last time, divided by that of the weights; the shares of units that are dead
            in all rows, and saturated in most. A recurrent layer's weights are all of its own.
        """
        return self._native.diagnose(samples, order=order, n_threads=n_threads)
