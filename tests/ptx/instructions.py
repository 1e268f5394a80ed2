"""Instructions that do more than compute: memory, branches, calls, and what threads do together.

Each function returns where the threads go on, or None: at the next instruction.
"""

from collections.abc import Callable
from functools import wraps

import numpy as np

from tests.ptx.arithmetic import multiply_accumulate, set_predicate
from tests.ptx.code import Function, Instruction
from tests.ptx.memory import BASES, U1, U4, U8, Fault
from tests.ptx.threads import PREDICATE, WARP, Threads, parts, split_address

Following = np.ndarray | int | None
Run = Callable[[Threads, Instruction, np.ndarray], Following]

ATOMIC = {"atom", "red", "multimem"}
MOST_CALLS = 20  # one within the other: more than the engine has, so it is recursion


def move(threads: Threads, instruction: Instruction, who: np.ndarray) -> None:
    target, source = instruction.operands
    threads.write(
        instruction, target, threads.read(instruction, source, instruction.type, who), who
    )


def compare(threads: Threads, instruction: Instruction, who: np.ndarray) -> None:
    results = set_predicate(instruction.modifiers, threads.reader(instruction, who))
    for name, result in zip(instruction.operands[0].split("|"), results, strict=False):
        threads.write(instruction, name, result, who)


# --- memory --------------------------------------------------------------------------------------


def convert_address(threads: Threads, instruction: Instruction, who: np.ndarray) -> None:
    target, source = instruction.operands
    space = next(m for m in instruction.modifiers if m in BASES)
    at = threads.read(instruction, source, U8, who)
    if space != "global" or not source.startswith("%"):  # else it is generic as it is
        base = threads.base(space, who)
        at = at - base if "to" in instruction.modifiers else at + base
    threads.write(instruction, target, at, who)


def load(threads: Threads, instruction: Instruction, who: np.ndarray) -> None:
    target, source = instruction.operands
    of = instruction.type
    if (data := _passed(threads, instruction, source)) is not None:
        value = np.ascontiguousarray(data[who]).view(of)[:, 0]
        threads.write(instruction, target, value, who)
        return
    at = threads.address(instruction, source, who)
    for i, name in enumerate(_vector(instruction, target, at)):
        value = threads.memory.load(at + U8.type(i * of.itemsize), of)
        threads.write(instruction, name, value, who)


def store(threads: Threads, instruction: Instruction, who: np.ndarray) -> None:
    target, source = instruction.operands
    of = instruction.type
    if (data := _passed(threads, instruction, target)) is not None:
        value = np.ascontiguousarray(threads.read(instruction, source, of, who))
        data[who] = value.view(U1).reshape(who.size, -1)
        return
    at = threads.address(instruction, target, who)
    if ((at >= U8.type(BASES["param"])) & (at < U8.type(BASES["global"]))).any():
        raise Fault("store to what is constant")
    for i, name in enumerate(_vector(instruction, source, at)):
        value = threads.read(instruction, name, of, who)
        threads.memory.store(at + U8.type(i * of.itemsize), value, of)


def _vector(instruction: Instruction, registers: str, at: np.ndarray) -> list[str]:
    names = parts(registers) if registers.startswith("{") else [registers]
    if (at % U8.type(len(names) * instruction.type.itemsize)).any():
        raise Fault("misaligned access")
    return names


def _passed(threads: Threads, instruction: Instruction, operand: str) -> np.ndarray | None:
    """The part of a device function's parameter, or of its result, that a load or store is of."""
    if "param" not in instruction.modifiers:
        return None
    name, offset = split_address(operand)
    function = instruction.function
    if (
        function in threads.module.kernels
        and name not in threads.module.functions[function].variables
    ):
        return None  # a kernel's own parameters are memory
    size = threads.variable(instruction, name).size
    return threads.passed(function, name, size)[:, offset : offset + instruction.type.itemsize]


# --- where threads go ----------------------------------------------------------------------------


def branch(threads: Threads, instruction: Instruction, who: np.ndarray) -> Following:
    return instruction.place


def call(threads: Threads, instruction: Instruction, who: np.ndarray) -> Following:
    callee, _, given = _call_of(threads, instruction)
    for name, (formal, variable) in zip(given, callee.parameters.items(), strict=True):
        data = threads.passed(instruction.function, name, variable.size)
        threads.passed(callee.name, formal, variable.size)[who] = data[who]
    depth = threads.depth[who]
    if depth.max() >= MOST_CALLS:
        raise NotImplementedError("recursion")
    if depth.max() >= len(threads.returns):
        threads.returns = np.concatenate([threads.returns, np.zeros((1, threads.n), int)])
    threads.returns[depth, who] = threads.pc[who] + 1
    threads.depth[who] += 1
    return callee.start


def _call_of(threads: Threads, instruction: Instruction) -> tuple[Function, list[str], list[str]]:
    """The function that is called, and the names of its result, if any, and its arguments here."""
    operands = list(instruction.operands)
    result = parts(operands.pop(0)) if operands[0].startswith("(") else []
    callee = threads.module.functions.get(operands[0])
    if callee is None or len(operands) > 2:
        raise NotImplementedError("a call of what is not known before it runs")
    return callee, result, parts("".join(operands[1:]))


def return_(threads: Threads, instruction: Instruction, who: np.ndarray) -> Following:
    following = np.full(who.size, threads.end)
    inner = threads.depth[who] > 0
    threads.depth[who[inner]] -= 1
    following[inner] = threads.returns[threads.depth[who[inner]], who[inner]]
    for place in np.unique(following[inner]):
        back = who[following == place]
        made = threads.module.code[place - 1]
        callee, result, _ = _call_of(threads, made)
        for name in result:
            size = callee.variables[callee.result].size
            data = threads.passed(callee.name, callee.result, size)
            threads.passed(made.function, name, size)[back] = data[back]
    return following


def leave(threads: Threads, instruction: Instruction, who: np.ndarray) -> Following:
    return threads.end


def trap(threads: Threads, instruction: Instruction, who: np.ndarray) -> None:
    raise Fault("trap")


def nothing(threads: Threads, instruction: Instruction, who: np.ndarray) -> None:
    """Fences and hints: here all threads see all stores at once."""


# --- what threads do together --------------------------------------------------------------------


def barrier(threads: Threads, instruction: Instruction, who: np.ndarray) -> Following:
    if instruction.modifiers[0] == "warp":
        return warp_barrier(threads, instruction, who)
    if "sync" not in instruction.modifiers or instruction.operands != ("0",):
        raise NotImplementedError("barriers other than the block's")
    threads.at_barrier[who] = True
    return None


def by_warps(mask: Callable[[Instruction], str]) -> Callable[[Run], Run]:
    """Of those who came, the threads go on that are here with all whom their mask names."""

    def decorate(run: Run) -> Run:
        @wraps(run)
        def wait_and_run(threads: Threads, instruction: Instruction, who: np.ndarray) -> Following:
            wanted = threads.read(instruction, mask(instruction), U4, who) & threads.lanes[who]
            missing = wanted & ~_bits(threads, np.ones(who.size, bool), who)
            threads.awaits_warp[who] = missing != 0
            if (complete := who[missing == 0]).size:
                run(threads, instruction, complete)
            return threads.pc[who] + (missing == 0)

        return wait_and_run

    return decorate


def _bits(threads: Threads, truth: np.ndarray, who: np.ndarray) -> np.ndarray:
    """For each thread the lanes of its warp for which something is true, as bits."""
    warp = threads.warp[who]
    return np.bincount(warp, truth * 2.0 ** threads.lane[who])[warp].astype(U4)


@by_warps(lambda instruction: instruction.operands[0])
def warp_barrier(threads: Threads, instruction: Instruction, who: np.ndarray) -> None:
    """They have met."""


@by_warps(lambda instruction: instruction.operands[-1])
def shuffle(threads: Threads, instruction: Instruction, who: np.ndarray) -> None:
    value = threads.read(instruction, instruction.operands[1], U4, who)
    by = threads.read(instruction, instruction.operands[2], U4, who).astype(int)
    limits = threads.read(instruction, instruction.operands[3], U4, who).astype(int)
    lane, mode = threads.lane[who], instruction.modifiers[1]
    segment, clamp = limits >> 8 & 31, limits & 31
    last = (lane & segment) | (clamp & ~segment)
    wanted = {
        "up": lane - by,
        "down": lane + by,
        "bfly": lane ^ by,
        "idx": (lane & segment) | (by & ~segment),
    }[mode]
    inside = wanted >= last if mode == "up" else wanted <= last
    source = who - lane + np.where(inside, wanted, lane)
    place = np.minimum(np.searchsorted(who, source), who.size - 1)
    if (who[place] != source).any():
        raise Fault("shuffle from a thread that does not take part")
    target, _, took = instruction.operands[0].partition("|")
    threads.write(instruction, target, value[place], who)
    if took:
        threads.write(instruction, took, inside, who)


@by_warps(lambda instruction: instruction.operands[-1])
def vote(threads: Threads, instruction: Instruction, who: np.ndarray) -> None:
    truth = threads.read(instruction, instruction.operands[1], PREDICATE, who)
    yes, no = _bits(threads, truth, who), _bits(threads, ~truth, who)
    results = {"ballot": yes, "any": yes != 0, "all": no == 0, "uni": (yes == 0) | (no == 0)}
    threads.write(instruction, instruction.operands[0], results[instruction.modifiers[1]], who)


@by_warps(lambda instruction: "-1")
def matrix_product(threads: Threads, instruction: Instruction, who: np.ndarray) -> None:
    if who.size % WARP or (threads.lane[who].reshape(-1, WARP) != np.arange(WARP)).any():
        raise Fault("mma of fewer threads than a warp has")

    def registers(place: int) -> list[np.ndarray]:
        names = parts(instruction.operands[place])
        return [threads.read(instruction, name, U4, who).reshape(-1, WARP) for name in names]

    results = multiply_accumulate(instruction.modifiers, registers)
    for name, value in zip(parts(instruction.operands[0]), results, strict=True):
        threads.write(instruction, name, value.ravel(), who)


INSTRUCTIONS: dict[str, Run] = {
    "mov": move,
    "setp": compare,
    "cvta": convert_address,
    "ld": load,
    "ldu": load,
    "st": store,
    "bra": branch,
    "call": call,
    "ret": return_,
    "exit": leave,
    "trap": trap,
    "membar": nothing,
    "fence": nothing,
    "prefetch": nothing,
    "bar": barrier,
    "barrier": barrier,
    "shfl": shuffle,
    "vote": vote,
    "mma": matrix_product,
}
