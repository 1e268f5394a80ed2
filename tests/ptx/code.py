"""PTX as nvcc writes it, read into instructions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tests.ptx.memory import whole

SIZES = {"8": 1, "16": 2, "32": 4, "64": 8, "16x2": 4}
KINDS = {"f": "f", "bf": "u", "tf": "u", "s": "i", "u": "u", "b": "u"}

_PARAMETER = re.compile(
    r"\.param\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+(?:\.ptr\s+(?:\.\w+\s+)?\.align\s+\d+\s+)?"
    r"([\w$]+)(?:\[(\d*)\])?"
)
_VARIABLE = re.compile(
    r"(?:\.(?:visible|extern|weak|common)\s+)*\.(global|const|shared|local)\s+"
    r"(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$]+)((?:\[\d*\])*)\s*(?:=\s*(.*))?$",
    re.S,
)
_FUNCTION = re.compile(
    r"(?:\.(?:visible|weak|extern)\s+)*\.(entry|func)\s*(?:\(([^)]*)\))?\s*([\w$]+)\s*(?:\(([^)]*)\))?"
)


def dtype_of(name: str) -> np.dtype:
    """The NumPy type of PTX's: what has no arithmetic in NumPy are its bits, unsigned."""
    if name == "pred":
        return np.dtype(bool)
    kind = name.rstrip("0123456789x")
    return np.dtype(f"{KINDS[kind]}{SIZES[name.removeprefix(kind)]}")


@dataclass
class Variable:
    """A place in a state space; `offset` counts from where the space begins."""

    space: str
    offset: int
    size: int
    data: bytes | None = None


@dataclass
class Instruction:
    """`@guard name.modifiers operands`; `place` is where a branch goes."""

    line: str
    guard: str | None
    negated: bool
    name: str
    modifiers: tuple[str, ...]
    operands: tuple[str, ...]
    function: str
    place: int = -1

    @property
    def type(self) -> np.dtype:
        return dtype_of(self.modifiers[-1])


@dataclass
class Function:
    """A kernel or a device function; its code begins at `start` of the module's."""

    name: str
    start: int = 0
    parameters: dict[str, Variable] = field(default_factory=dict)
    result: str = ""
    types: dict[str, np.dtype] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)


class Module:
    """The kernels, functions and variables of a PTX file, with all code in one list."""

    def __init__(self, text: str) -> None:
        self.functions: dict[str, Function] = {}
        self.kernels: set[str] = set()
        self.variables: dict[str, Variable] = {}
        self.code: list[Instruction] = []
        self._used = {"global": 0, "const": 0, "shared": 0, "local": 0}
        text = re.sub(r"//[^\n]*|\.(version|target|address_size)\b[^\n]*", "", text)
        at = 0
        while (found := _next_part(text, at)) is not None:
            head, body, at = found
            if function := _FUNCTION.match(head):
                if body is not None:  # else it is declared only
                    self._read_function(function, body)
            elif variable := _VARIABLE.match(head):
                self._declare(self.variables, variable)

    def size_of(self, space: str) -> int:
        return self._used[space]

    def kernel(self, *parts: str) -> str:
        """The one kernel whose mangled name has all `parts`."""
        found = [name for name in self.kernels if all(part in name for part in parts)]
        if len(found) != 1:
            raise KeyError(f"{len(found)} kernels have {parts} in their names")
        return found[0]

    def _declare(self, variables: dict[str, Variable], declaration: re.Match[str]) -> None:
        space, align, kind, name, dimensions, values = declaration.groups()
        of = dtype_of(kind)
        counts = [int(count or 0) for count in re.findall(r"\[(\d*)\]", dimensions)]
        size = of.itemsize * int(np.prod(counts, dtype=int))
        offset = whole(self._used[space], int(align or of.itemsize))
        self._used[space] = offset + size
        data = None
        if values is not None:
            numbers = [_number(value, of) for value in values.strip("{} \n").split(",")]
            data = np.array(numbers, of).tobytes().ljust(size, b"\0")
        elif space in ("global", "const"):
            data = bytes(size)
        variables[name] = Variable(space, offset, size, data)

    def _read_function(self, head: re.Match[str], body: str) -> None:
        kind, result, name, parameters = head.groups()
        function = Function(name, len(self.code))
        self.functions[name] = function
        if kind == "entry":
            self.kernels.add(name)
        offset = 0
        for align, of, parameter, count in _PARAMETER.findall(parameters or ""):
            size = int(count) if count else dtype_of(of).itemsize
            offset = whole(offset, int(align or dtype_of(of).itemsize))
            function.parameters[parameter] = Variable("param", offset, size)
            offset += size
        for _, of, parameter, count in _PARAMETER.findall(result or ""):
            function.result = parameter
            size = int(count) if count else dtype_of(of).itemsize
            function.variables[parameter] = Variable("param", 0, size)
        labels: dict[str, int] = {}
        for label, statement in _statements(body):
            if label is not None:
                labels[label] = len(self.code)
            if statement.startswith(".reg"):
                _declare_registers(function.types, statement)
            elif statement.startswith(".param"):
                (parts,) = _PARAMETER.findall(statement)
                size = int(parts[3]) if parts[3] else dtype_of(parts[1]).itemsize
                function.variables[parts[2]] = Variable("param", 0, size)
            elif variable := _VARIABLE.match(statement):
                self._declare(function.variables, variable)
            elif statement and not statement.startswith((".pragma", ".loc", ".maxn", ".minn")):
                self.code.append(_instruction(statement, name))
        for instruction in self.code[function.start :]:
            if instruction.name == "bra":
                instruction.place = labels[instruction.operands[0]]


def _next_part(text: str, at: int) -> tuple[str, str | None, int] | None:
    """The next directive of a file from `at`: its head, its body in braces, and where it ends."""
    if (end := re.compile(r"[;{]").search(text, at)) is None:
        return None
    if text[end.start()] == ";" or "=" in text[at : end.start()]:
        stop = text.index(";", at)
        return text[at:stop].strip(), None, stop + 1
    depth, place = 1, end.end()
    while depth:
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        place += 1
    return text[at : end.start()].strip(), text[end.end() : place - 1], place


def _statements(body: str) -> Iterator[tuple[str | None, str]]:
    """Label (or None) and text of each statement; scopes in braces are opened up."""
    at, label = 0, None
    token = re.compile(r"\s*(?:([{}])|([\w$]+):(?!:)|([^;]*);)")
    while match := token.match(body, at):
        at = match.end()
        if match[2]:
            if label is not None:
                yield label, ""
            label = match[2]
        elif match[3] is not None:
            yield label, " ".join(match[3].split())
            label = None
    if body[at:].strip():
        raise SyntaxError(f"not understood: {body[at : at + 80]}")
    if label is not None:
        yield label, ""


def _declare_registers(types: dict[str, np.dtype], statement: str) -> None:
    of, names = _groups(r"\.reg\s+\.(\w+)\s+(.*)", statement)
    for name in names.split(","):
        name = re.sub(r"<\d+>$", "*", name.strip())
        if types.setdefault(name, dtype_of(of)) != dtype_of(of):
            raise SyntaxError(f"{name} is declared twice, with two types")


def _instruction(statement: str, function: str) -> Instruction:
    negated, guard, name, rest = _groups(r"(?:@(!?)([%\w]+)\s+)?([\w.:]+)\s*(.*)", statement)
    operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)|[^,\s][^,]*", rest)
    parts = re.sub(r"::\w+", "", name).split(".")  # of .shared::cta the space is enough
    stripped = tuple(operand.strip() for operand in operands)
    return Instruction(
        statement, guard, negated == "!", parts[0], tuple(parts[1:]), stripped, function
    )


def _groups(pattern: str, text: str) -> tuple[str, ...]:
    if (match := re.fullmatch(pattern, text)) is None:
        raise SyntaxError(f"not understood: {text}")
    return match.groups()


def _number(text: str, of: np.dtype) -> np.ndarray:
    text = text.strip()
    if match := re.fullmatch(r"0[fFdD]([0-9a-fA-F]+)", text):
        return np.array(int(match[1], 16), f"u{of.itemsize}").view(of)
    return np.array(int(text, 0) & (1 << 8 * of.itemsize) - 1, f"u{of.itemsize}").view(of)


def literal(text: str, of: np.dtype) -> np.ndarray | None:
    """The value of a number as an operand, or None where it is not one."""
    if re.fullmatch(r"0[fFdD][0-9a-fA-F]+|-?\d\w*", text):
        return _number(text, of)
    return None
