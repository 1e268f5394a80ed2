from collections.abc import Callable
from typing import Any, type_check_only

from fastmlp.core.typing import Array, Epoch, HiddenLayer, Order, Part, Rows

# what it was compiled with: "compiler" and its version; "openmp", a bool; "cuda", the version of
# CUDA's toolkit or None
BUILD: dict[str, Any]

# names with the default of their parameter, None where they have none
ACTIVATIONS: dict[str, float | None]
LOSSES: dict[str, float | None]
LINKS: dict[str, str]
SOLVER_SLOTS: dict[str, int]

# A device has failed: the session or the samples of the call are of no use any more.
class DeviceError(RuntimeError): ...

# by name: its device, and what this machine lacks to run it
def engines() -> dict[str, tuple[str, str | None]]: ...
def engine(device: str = "cpu") -> str: ...
def card(engine: str) -> str: ...
def max_threads() -> int: ...
def shuffle(order: Order, seed: int) -> None: ...
def is_clean(x: object, features: int, single: bool) -> bool: ...
def peak(single: bool) -> float: ...

# Samples that an engine holds for many calls, in the place of their x: checked once, and not to be
# changed meanwhile. They are for networks of these features and outputs, and this engine; those for
# `predict` and `activations` are without targets.
#
# Targets are (n,) int32 classes, which label smoothing is for, or (n, outputs) values; with
# `per_step` (n, steps) or (n, steps, outputs).
@type_check_only
class _Samples:
    def __init__(
        self,
        x: Rows,
        targets: Array | None = None,
        weights: Array | None = None,
        *,
        features: int,
        outputs: int,
        per_step: bool = False,
        sequences: bool = False,
        lengths: Array | None = None,
        engine: str = "",
    ) -> None: ...

class Samples32(_Samples): ...
class Samples64(_Samples): ...

# `blocks` is [weight, bias, ...] layer by layer, then the slopes, then what is recurrent: see
# fastmlp.core.network.Blocks. A recurrent network (`cell`) takes sequences x (n, steps, features)
# and their `lengths` (n,) int64, and can begin at an `initial_state`, (n, units) per hidden layer.
# With `per_step` its predictions are (n, steps, outputs). Hidden layers' outputs are (n, steps,
# units). Past a sequence's end all of these are 0.
def predict(
    blocks: list[Array],
    hidden: list[HiddenLayer],
    loss: str | None,
    x: Rows | _Samples,
    order: Order | None = None,
    *,
    cell: str = "",
    per_step: bool = False,
    lengths: Array | None = None,
    initial_state: list[Array] | None = None,
    n_threads: int,
    engine: str = "",
) -> Array: ...
def activations(
    blocks: list[Array],
    hidden: list[HiddenLayer],
    loss: str,
    x: Rows | _Samples,
    *,
    cell: str = "",
    per_step: bool = False,
    lengths: Array | None = None,
    initial_state: list[Array] | None = None,
    n_threads: int,
    engine: str = "",
) -> list[Array]: ...
def evaluate(
    blocks: list[Array],
    hidden: list[HiddenLayer],
    loss: str,
    x: Rows | _Samples,
    targets: Array | None = None,
    weights: Array | None = None,
    order: Order | None = None,
    *,
    loss_parameter: float = 0.0,
    label_smoothing: float = 0.0,
    cell: str = "",
    per_step: bool = False,
    lengths: Array | None = None,
    initial_state: list[Array] | None = None,
    n_threads: int,
    engine: str = "",
) -> tuple[Array, float]: ...

# `steps` is the most that a sequence has. `precision` is how a device may round what wide layers
# multiply, in float32: "float32", "tf32" or "bfloat16".
@type_check_only
class _Network:
    def __init__(
        self,
        units: list[int],
        hidden: list[HiddenLayer],
        loss: str,
        *,
        loss_parameter: float = 0.0,
        label_smoothing: float = 0.0,
        input_dropout: float = 0.0,
        alpha: float,
        l1: float = 0.0,
        batch: int,
        sparse: bool = False,
        keep_gradient: bool = False,
        cell: str = "",
        per_step: bool = False,
        steps: int = 1,
        precision: str = "float32",
        engine: str = "",
    ) -> None: ...
    @property
    def engine(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def reached(self) -> tuple[int, int, float, float, int]: ...
    def write(self, slot: int, blocks: list[Array]) -> None: ...
    def read(self, slot: int) -> list[Array]: ...
    def train(
        self,
        x: Rows | _Samples,
        targets: Array | None = None,
        weights: Array | None = None,
        order: Order | None = None,
        *,
        solver: str,
        steps: int,
        rate: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        beta_1: float = 0.0,
        beta_2: float = 0.0,
        epsilon: float = 0.0,
        rho: float = 0.0,
        weight_decay: float = 0.0,
        summed: bool = False,
        clip_norm: float = ...,
        max_norm: float = ...,
        seed: int = 0,
        bias_rate: float = 1.0,
        lengths: Array | None = None,
        epoch: Epoch = ...,
        stop: Callable[[], bool] | None = None,
        part: Part | None = None,
        n_threads: int,
    ) -> tuple[tuple[int, int, float, float, int], BaseException | None]: ...
    def gradient(
        self,
        x: Rows | _Samples,
        targets: Array | None = None,
        weights: Array | None = None,
        order: Order | None = None,
        *,
        lengths: Array | None = None,
        part: Part | None = None,
        n_threads: int,
    ) -> tuple[float, list[Array]]: ...
    def diagnose(
        self,
        x: Rows | _Samples,
        targets: Array | None = None,
        weights: Array | None = None,
        order: Order | None = None,
        *,
        lengths: Array | None = None,
        n_threads: int,
    ) -> Array: ...

class Network32(_Network): ...
class Network64(_Network): ...

@type_check_only
class _Perceptron:
    def __init__(
        self,
        x: Rows,
        targets: Array,
        weights: Array | None,
        coef: Array,
        intercept: float,
        *,
        alpha: float,
        l1_ratio: float,
        rate: float,
        bias_rate: float,
    ) -> None: ...
    def epoch(
        self, order: Order | None, stop: Callable[[], bool] | None = None
    ) -> tuple[float, BaseException | None]: ...
    def read(self) -> tuple[Array, float, float]: ...

class Perceptron32(_Perceptron): ...
class Perceptron64(_Perceptron): ...
