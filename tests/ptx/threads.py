"""The threads of one launch: their registers and operands, and where each of them is."""

import re
from collections.abc import Callable

import numpy as np

from tests.ptx.code import Function, Instruction, Module, Variable, literal
from tests.ptx.memory import APART, BASES, U4, U8, Fault, Memory, whole

WARP = 32
PREDICATE = np.dtype(bool)
Dimensions = tuple[int, int, int]


class Threads:
    """All threads of a launch. `who` are the numbers of those that an operation is for."""

    def __init__(
        self,
        module: Module,
        memory: Memory,
        kernel: Function,
        blocks: Dimensions,
        threads: Dimensions,
        shared: int,
    ) -> None:
        self.module, self.memory = module, memory
        self.per_block = int(np.prod(threads))
        n_blocks = int(np.prod(blocks))
        self.n = n = self.per_block * n_blocks
        block, thread = np.divmod(np.arange(n), self.per_block)
        self.lane = thread % WARP
        self.warp = block * -(-self.per_block // WARP) + thread // WARP
        left = np.minimum(self.per_block - thread // WARP * WARP, WARP)
        self.lanes = ((1 << left) - 1).astype(U4)  # of the warp, as bits: a block's last is short
        self._special = {"laneid": self.lane, "warpid": thread // WARP}
        for name, sizes, number in (("tid", threads, thread), ("ctaid", blocks, block)):
            for axis, size in zip("xyz", sizes, strict=True):
                self._special[f"{name}.{axis}"] = number % size
                self._special[f"n{name}.{axis}"] = np.full(n, size)
                number = number // size
        self._dynamic = whole(module.size_of("shared"), 16)
        self._bases = {space: np.full(n, base, U8) for space, base in BASES.items()}
        self._own("shared", block, n_blocks, self._dynamic + shared)
        self._own("local", np.arange(n), n, module.size_of("local"))
        self._registers: dict[tuple[str, str], np.ndarray] = {}
        self._passed: dict[tuple[str, str], np.ndarray] = {}
        self.pc = np.full(n, kernel.start)
        self.end = len(module.code)
        self.returns = np.zeros((0, n), int)  # addresses, from the outermost call inwards
        self.depth = np.zeros(n, int)
        self.at_barrier = np.zeros(n, bool)
        self.awaits_warp = np.zeros(n, bool)

    def _own(self, space: str, owner: np.ndarray, owners: int, size: int) -> None:
        starts = (BASES[space] + APART * np.arange(owners)).astype(U8)
        if size:
            self.memory.map(starts, size)
        self._bases[space] = starts[owner]

    # --- where threads are -----------------------------------------------------------------------

    def ready(self) -> np.ndarray:
        return ~self.at_barrier & ~self.awaits_warp & (self.pc < self.end)

    def at(self, place: int) -> np.ndarray:
        """Who is at an instruction, those included that wait there for others of their warp."""
        return np.flatnonzero((self.pc == place) & ~self.at_barrier)

    def release_barrier(self) -> bool:
        """When none is ready: whether threads go on that waited at their block's barrier."""
        if self.awaits_warp.any():
            line = self.module.code[int(self.pc[self.awaits_warp].min())].line
            raise Fault(f"not all threads of a warp come to {line}")
        waits = self.at_barrier.reshape(-1, self.per_block)
        pc = self.pc.reshape(-1, self.per_block)
        if not waits.any():
            return False
        if (waits.any(1) & ~waits.all(1)).any():
            raise Fault("a thread ended while others wait at a barrier")
        if (pc != pc[:, :1]).any():
            raise Fault("threads of a block wait at different barriers")
        self.at_barrier[:] = False
        return True

    # --- operands --------------------------------------------------------------------------------

    def register(self, instruction: Instruction, name: str) -> np.ndarray:
        """A register of all threads, as bits; at first NaN, if it is a float."""
        key = (instruction.function, name)
        if key not in self._registers:
            types = self.module.functions[instruction.function].types
            of = types[name] if name in types else types[re.sub(r"\d+$", "*", name)]
            bits = of if of == PREDICATE else np.dtype(f"u{of.itemsize}")
            self._registers[key] = np.full(self.n, ~bits.type(0), bits)
        return self._registers[key]

    def _is_register(self, instruction: Instruction, name: str) -> bool:
        return name[0] == "%" or name in self.module.functions[instruction.function].types

    def read(
        self, instruction: Instruction, operand: str, of: np.dtype, who: np.ndarray
    ) -> np.ndarray:
        """An operand as a type: of a register that is wider, the low bits."""
        if operand[1:] in self._special:
            return self._special[operand[1:]][who].astype(of)
        if self._is_register(instruction, operand):
            value = self.register(instruction, operand)[who]
        elif operand.startswith("!"):
            return ~self.register(instruction, operand[1:])[who]
        elif operand.startswith("{"):
            return self._joined(instruction, operand, of, who)
        elif (number := literal(operand, of)) is not None:
            return np.broadcast_to(number, who.size)
        else:
            value = np.full(who.size, self._offset(self.variable(instruction, operand)), U8)
        if value.dtype.itemsize > of.itemsize:
            value = value.astype(f"u{of.itemsize}")
        elif value.dtype.itemsize < of.itemsize:
            raise TypeError(f"{operand} is narrower than what is read of it")
        return value.view(of)

    def reader(
        self, instruction: Instruction, who: np.ndarray
    ) -> Callable[[int, np.dtype], np.ndarray]:
        """A function that reads an operand by its place."""
        operands = instruction.operands
        return lambda place, of: self.read(instruction, operands[place], of, who)

    def _joined(
        self, instruction: Instruction, operand: str, of: np.dtype, who: np.ndarray
    ) -> np.ndarray:
        """{low, ..., high} as one number."""
        names = parts(operand)
        size = of.itemsize // len(names)
        values = [self.read(instruction, name, np.dtype(f"u{size}"), who) for name in names]
        return np.stack(values, axis=1).view(of)[:, 0]

    def write(
        self, instruction: Instruction, target: str, value: np.ndarray, who: np.ndarray
    ) -> None:
        """Set a register; a narrower number is extended, by its sign where it has one."""
        if target == "_":
            return
        value = np.ascontiguousarray(np.broadcast_to(value, who.size))
        if target.startswith("{"):
            names = parts(target)
            pieces = value.view(f"u{value.dtype.itemsize // len(names)}").reshape(who.size, -1)
            for name, piece in zip(names, pieces.T, strict=True):
                self.write(instruction, name, piece, who)
            return
        register = self.register(instruction, target)
        if value.dtype.itemsize > register.dtype.itemsize:
            raise TypeError(f"{target} is narrower than what it is to hold")
        if value.dtype.itemsize < register.dtype.itemsize:
            value = value.astype(f"{value.dtype.kind}{register.dtype.itemsize}")
        register[who] = value.view(register.dtype)

    # --- addresses -------------------------------------------------------------------------------

    def variable(self, instruction: Instruction, name: str) -> Variable:
        function = self.module.functions[instruction.function]
        for variables in (function.parameters, function.variables, self.module.variables):
            if name in variables:
                return variables[name]
        raise NotImplementedError(f"the address of {name}")

    def _offset(self, variable: Variable) -> int:
        """Where in its space a variable is; shared memory of no size is the launch's."""
        dynamic = variable.space == "shared" and variable.size == 0
        return self._dynamic if dynamic else variable.offset

    def base(self, space: str, who: np.ndarray) -> np.ndarray:
        """The generic address of where a state space begins, for each thread."""
        return self._bases[space][who]

    def address(self, instruction: Instruction, operand: str, who: np.ndarray) -> np.ndarray:
        """The generic address of [register + offset] or [variable + offset]."""
        name, offset = split_address(operand)
        space = next((m for m in instruction.modifiers if m in BASES), "")
        offset_bits = U8.type(offset & (1 << 64) - 1)
        if not self._is_register(instruction, name):
            place = self._offset(self.variable(instruction, name))
            return self.base(space, who) + U8.type(place) + offset_bits
        at = self.register(instruction, name)[who].astype(U8) + offset_bits
        # what a register holds of global memory is a generic address
        return at if space in ("", "global") else at + self.base(space, who)

    def passed(self, function: str, name: str, size: int) -> np.ndarray:
        """The bytes (threads, size) of a parameter that a device function is called with."""
        key = (function, name)
        if key not in self._passed:
            self._passed[key] = np.full((self.n, size), 0xFF, np.uint8)
        return self._passed[key]


def parts(operand: str) -> list[str]:
    """The operands in braces or parentheses."""
    return [part.strip() for part in operand.strip("{}()").split(",") if part.strip()]


def split_address(operand: str) -> tuple[str, int]:
    """The name and the offset in [name + offset]."""
    match = re.fullmatch(r"\[([%\w$.]+)\s*(?:\+\s*(-?\w+))?\]", operand)
    if match is None:
        raise NotImplementedError(f"the address {operand}")
    return match[1], int(match[2] or "0", 0)
