from typing import type_check_only

from fastmlp._typing import Array, Blocks, Order, Rows

ACTIVATIONS: tuple[str, ...]
LOSSES: tuple[str, ...]
LINKS: dict[str, str]
SOLVER_SLOTS: dict[str, int]

def engines() -> dict[str, bool]: ...
def engine() -> str: ...
def max_threads() -> int: ...
def is_clean(x: object, features: int, single: bool) -> bool: ...
def peak(single: bool) -> float: ...
def predict(
    blocks: Blocks,
    activation: str,
    loss: str,
    x: Rows,
    order: Order | None = None,
    *,
    n_threads: int,
    engine: str = "",
) -> Array: ...

# Targets are (n,) int32 classes or (n, outputs) values.
@type_check_only
class _Network:
    def __init__(
        self,
        units: list[int],
        activation: str,
        loss: str,
        *,
        alpha: float,
        batch: int,
        sparse: bool = False,
        keep_gradient: bool = False,
        engine: str = "",
    ) -> None: ...
    def write(self, slot: int, blocks: Blocks) -> None: ...
    def read(self, slot: int) -> Blocks: ...
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
        momentum: float,
        nesterov: bool,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        n_threads: int,
    ) -> tuple[float, int]: ...
    def gradient(
        self,
        x: Rows,
        targets: Array,
        weights: Array | None,
        order: Order | None,
        *,
        n_threads: int,
    ) -> tuple[float, Blocks]: ...

class Network32(_Network): ...
class Network64(_Network): ...
