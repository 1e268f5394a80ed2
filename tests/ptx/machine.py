"""A device: code, memory, and launches of kernels."""

import numpy as np
import numpy.typing as npt

from tests.ptx.arithmetic import COMPUTE, refuse_modifiers
from tests.ptx.code import Function, Instruction, Module
from tests.ptx.instructions import ATOMIC, INSTRUCTIONS
from tests.ptx.memory import BASES, HEAP, Fault, Memory, whole
from tests.ptx.threads import Dimensions, Threads

MOST_THREADS, MOST_SHARED = 1024, 227 << 10  # of a block


class Machine:
    """A device with the code of a PTX file, which may have been read before."""

    def __init__(self, ptx: str | Module) -> None:
        self.module = Module(ptx) if isinstance(ptx, str) else ptx
        self.memory = Memory()
        self.executed = 0  # instructions so far, each for any number of threads
        self._next = HEAP
        for space in ("global", "const"):
            if size := self.module.size_of(space):
                self.memory.map([BASES[space]], size)
        for variable in self.module.variables.values():
            if variable.data:
                self.memory.write(BASES[variable.space] + variable.offset, variable.data)

    def allocate(self, size: int) -> int:
        """The address of new memory, to which nobody wrote."""
        address = self._next
        self._next += whole(size, 256) + 256
        self.memory.map([address], size)
        return address

    def put(self, array: np.ndarray, address: int | None = None) -> int:
        """The address of a copy of an array; new memory unless it is given."""
        data = np.ascontiguousarray(array).tobytes()
        if address is None:
            address = self.allocate(len(data))
        else:
            self.memory.map([address], len(data))
        self.memory.write(address, data)
        return address

    def get(self, address: int, shape: int | tuple[int, ...], of: npt.DTypeLike) -> np.ndarray:
        """The array at an address, all of which must have been written."""
        size = int(np.prod(shape)) * np.dtype(of).itemsize
        return np.frombuffer(self.memory.read(address, size), of).reshape(shape)

    def launch(
        self,
        kernel: str,
        blocks: int | Dimensions,
        threads: int | Dimensions,
        shared: int,
        arguments: list[object],
    ) -> None:
        """Run a kernel; an argument is its bytes, a NumPy scalar, or an address.

        `shared` is the size of the dynamic shared memory in bytes.
        """
        function = self.module.functions[kernel]
        packed = pack(function, arguments)
        grid, block = ((n, 1, 1) if isinstance(n, int) else n for n in (blocks, threads))
        static = whole(self.module.size_of("shared"), 16)
        if np.prod(block) > MOST_THREADS or static + shared > MOST_SHARED:
            raise Fault("a block larger than a device runs")
        before = self.memory.size
        try:
            if packed:
                self.memory.map([BASES["param"]], len(packed))
                self.memory.write(BASES["param"], packed)
            with np.errstate(all="ignore"):
                self._run(Threads(self.module, self.memory, function, grid, block, shared))
        finally:
            self.memory.forget(before)

    def _run(self, threads: Threads) -> None:
        code, pc = self.module.code, threads.pc
        while True:
            ready = threads.ready()
            if not ready.any():
                if threads.release_barrier():
                    continue
                return
            at = int(pc[ready].min())
            who = threads.at(at)
            instruction = code[at]
            if instruction.guard is not None:
                go = threads.register(instruction, instruction.guard)[who] != instruction.negated
                pc[who[~go]] = at + 1
                who = who[go]
            if who.size:
                self.executed += 1
                pc[who] = execute(threads, instruction, who, at)


def pack(function: Function, arguments: list[object]) -> bytes:
    """Arguments as a kernel finds them in its parameters."""
    packed = b""
    for variable, argument in zip(function.parameters.values(), arguments, strict=True):
        data = argument if isinstance(argument, bytes) else np.asarray(argument).tobytes()
        if len(data) != variable.size:
            raise ValueError(f"an argument of {len(data)} bytes, not {variable.size}")
        packed = packed.ljust(variable.offset, b"\0") + data
    return packed


def execute(
    threads: Threads, instruction: Instruction, who: np.ndarray, at: int
) -> np.ndarray | int:
    """Where the threads `who` go on after the instruction at place `at`."""
    name = instruction.name
    try:
        if name in COMPUTE:
            refuse_modifiers(name, instruction.modifiers)
            value = COMPUTE[name](instruction.modifiers, threads.reader(instruction, who))
            threads.write(instruction, instruction.operands[0], value, who)
            return at + 1
        if name in ATOMIC:
            raise Fault("an atomic operation, whose order would decide the result's bits")
        if name not in INSTRUCTIONS:
            raise NotImplementedError("not known to the interpreter")
        following = INSTRUCTIONS[name](threads, instruction, who)
        return at + 1 if following is None else following
    except (Fault, NotImplementedError, ZeroDivisionError, ValueError, TypeError) as error:
        where = f"{instruction.line} in {instruction.function}"
        raise type(error)(f"{error}: {where}") from error
