from collections.abc import Callable
from typing import type_check_only

from fastmlp.core.typing import Array, Epoch, HiddenLayer, Order, Part, Rows

# names with the default of their parameter, None where they have none
ACTIVATIONS: dict[str, float | None]
LOSSES: dict[str, float | None]
LINKS: dict[str, str]
SOLVER_SLOTS: dict[str, int]

def engines() -> dict[str, bool]: ...
def engine() -> str: ...
def max_threads() -> int: ...
def shuffle(order: Order, seed: int) -> None: ...
def is_clean(x: object, features: int, single: bool) -> bool: ...
def peak(single: bool) -> float: ...

# `blocks` is [weight, bias, ...] layer by layer, then the slopes, then what is recurrent: see
# fastmlp.core.network.Blocks. A recurrent network (`cell`) takes sequences x (n, steps, features)
# and their `lengths` (n,) int64, and can begin at an `initial_state`, (n, units) per hidden layer.
# With `per_step` its predictions are (n, steps, outputs). Hidden layers' outputs are (n, steps,
# units). Past a sequence's end all of these are 0.
def predict(
    blocks: list[Array],
    hidden: list[HiddenLayer],
    loss: str | None,
    x: Rows,
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
    x: Rows,
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
    x: Rows,
    targets: Array,
    weights: Array | None,
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

# Targets are (n,) int32 classes, which label smoothing is for, or (n, outputs) values; with
# `per_step` (n, steps) or (n, steps, outputs). `steps` is the most that a sequence has.
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
        engine: str = "",
    ) -> None: ...
    @property
    def steps(self) -> int: ...
    @property
    def reached(self) -> tuple[int, int, float, float, int]: ...
    def write(self, slot: int, blocks: list[Array]) -> None: ...
    def read(self, slot: int) -> list[Array]: ...
    def train(
        self,
        x: Rows,
        targets: Array,
        weights: Array | None,
        order: Order | None,
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
        x: Rows,
        targets: Array,
        weights: Array | None,
        order: Order | None,
        *,
        lengths: Array | None = None,
        part: Part | None = None,
        n_threads: int,
    ) -> tuple[float, list[Array]]: ...
    def diagnose(
        self,
        x: Rows,
        targets: Array,
        weights: Array | None,
        order: Order | None,
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
