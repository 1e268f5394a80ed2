"""Files of values: arrays as tensors of a safetensors file, all else as JSON in its metadata.

The metadata have one key, which names the kind of file, and its text is the JSON; the tensor
'sha256' is the SHA-256 of that text and of all other tensors in the order of their names
(`digest`). Reading a file runs no code, and allocates no more than some times its size; whatever
does not fit is a ValueError that says what.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from math import isfinite
from numbers import Integral
from typing import Any, BinaryIO

import numpy as np
from scipy.sparse import csr_matrix, issparse

from fastmlp.core.typing import Array

# the key of a file's metadata, and what the file is
KINDS = {"fastmlp": "a saved model", "fastmlp-checkpoint": "the checkpoint of a fit"}

_MAX_HEADER = 100_000_000  # bytes; the library's limit
_DTYPES = {
    **{f"{sign}{bits}": np.dtype(f"{kind}int{bits}")
       for sign, kind in (("I", ""), ("U", "u")) for bits in (8, 16, 32, 64)},
    **{f"F{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
    "BOOL": np.dtype(bool),
}  # fmt: skip
_SCALARS = {dtype.name: dtype.type for dtype in _DTYPES.values()}


def is_count(value: Any) -> bool:
    """Whether it is a whole number, 0 or more."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0


# --- values --------------------------------------------------------------------------------------


class Encoder:
    """Turns values into JSON; arrays become tensors, which it collects.

    None, bool, int, str, finite float and list are JSON's own; all else is an object with one key
    that names the kind.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Array] = {}

    def encode(self, value: Any, place: str) -> Any:
        """JSON that `Decoder.decode` turns back into `value`; `place` names its tensors."""
        kind = type(value)
        if value is None or kind in (bool, str) or (kind is int and abs(value) < 2**64):
            return value
        if kind is float:
            return value if isfinite(value) else {"float": repr(value)}
        if kind is np.str_:
            return str(value)
        if kind in _SCALARS.values():
            return {"numpy": [value.dtype.name, self.encode(value.item(), place)]}
        if kind is list or isinstance(value, tuple):  # a named tuple is read as a plain one
            items = [self.encode(item, f"{place}.{i}") for i, item in enumerate(value)]
            return items if kind is list else {"tuple": items}
        if kind is dict:
            pairs = enumerate(value.items())
            return {"dict": [self.encode(list(pair), f"{place}.{i}") for i, pair in pairs]}
        if kind is np.ndarray:
            return self._encode_array(value, place)
        if issparse(value):
            value = value.tocsr()
            parts = [value.data, value.indices, value.indptr]
            return {"csr": [list(map(int, value.shape)), self.encode(parts, place)]}
        if kind is np.random.RandomState:
            state = value.get_state(legacy=False)
            if state["bit_generator"] == "MT19937":
                values = [*state["state"].values(), state["has_gauss"], state["gauss"]]
                return {"random_state": self.encode(values, place)}
        raise ValueError(f"{place} holds {value!r:.200} of {kind}, which a file cannot hold")

    def _encode_array(self, array: Array, place: str) -> Any:
        if array.dtype.kind == "O" and array.ndim == 1:
            items = array.tolist()
            if all(isinstance(item, str) for item in items):
                return {"strings": [str(item) for item in items]}
            raise ValueError(f"{place} holds objects other than str, which a file cannot hold")
        native = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
        if native.dtype.kind == "U" and native.itemsize:  # as code points
            native = native[..., None].view(np.uint32)
        if native.dtype not in _DTYPES.values():
            raise ValueError(f"{place} is an array of {array.dtype}, which a file cannot hold")
        self.tensors[place] = native
        return {"array": [place, array.dtype.str]}


class Decoder:
    """Turns JSON and tensors back into values; takes each tensor once."""

    def __init__(self, tensors: dict[str, Array]) -> None:
        self.tensors = dict(tensors)

    def decode(self, code: Any) -> Any:
        """The value that was encoded."""
        if isinstance(code, list):
            return [self.decode(item) for item in code]
        if isinstance(code, float) and not isfinite(code):
            raise ValueError("a number is too large")
        if isinstance(code, int) and abs(code) >= 2**64:
            raise ValueError("a whole number is too large")
        if not isinstance(code, dict):
            return code
        kind = next(iter(code), None)
        decoders: dict[Any, Callable[[Any], Any]] = {
            "float": self._float,
            "numpy": self._scalar,
            "tuple": lambda items: tuple(self._list(items)),
            "dict": self._dict,
            "array": self._array,
            "strings": self._strings,
            "csr": self._csr,
            "random_state": self._random_state,
        }
        if len(code) != 1 or kind not in decoders:
            raise ValueError(f"no kind of value is called {list(code)!r:.100}")
        return decoders[kind](code[kind])

    def _list(self, items: Any, n: int | None = None) -> list[Any]:
        """Decode a list, of n items."""
        if not isinstance(items, list) or n not in (None, len(items)):
            raise ValueError(f"a list is expected in the place of {items!r:.100}")
        return [self.decode(item) for item in items]

    def _float(self, text: Any) -> float:
        if text not in ("inf", "-inf", "nan"):
            raise ValueError(f"{text!r:.100} is no number")
        return float(text)

    def _scalar(self, code: Any) -> Any:
        name, value = self._list(code, 2)
        if not isinstance(name, str) or name not in _SCALARS:
            raise ValueError(f"no kind of number is called {name!r:.100}")
        if type(value) not in (bool, int, float):
            raise ValueError(f"{value!r:.100} is no {name}")
        try:
            with np.errstate(all="ignore"):  # what does not fit becomes another value
                scalar = np.asarray(value).astype(_SCALARS[name])[()]
        except OverflowError as error:
            raise ValueError(f"{value!r:.100} is no {name}") from error
        if scalar != value and value == value:
            raise ValueError(f"{value!r:.100} is no {name}")
        return scalar

    def _dict(self, code: Any) -> dict[Any, Any]:
        pairs = [self._list(pair, 2) for pair in code] if isinstance(code, list) else None
        if pairs is None or any(not np.isscalar(key) for key, _ in pairs):
            raise ValueError("a dict is not a list of keys and values")
        return dict(pairs)

    def _strings(self, code: Any) -> Array:
        items = self._list(code)
        if any(type(item) is not str for item in items):
            raise ValueError("an array of str holds other objects")
        array = np.empty(len(items), dtype=object)
        array[:] = items
        return array

    def _array(self, code: Any) -> Array:
        name, dtype = self._list(code, 2)
        tensor = self.tensors.pop(name, None) if isinstance(name, str) else None
        if tensor is None:
            raise ValueError(f"there is no tensor {name!r:.100}, or it is used twice")
        if not isinstance(dtype, str) or not re.fullmatch("[<>|][biufU][0-9]{1,9}", dtype):
            raise ValueError(f"tensor {name!r} has an unknown dtype {dtype!r:.100}")
        if tensor.dtype == bool and np.any(tensor.view(np.uint8) > 1):
            raise ValueError(f"tensor {name!r} holds other numbers than truth values")
        if dtype[1] == "U":
            if tensor.dtype != np.uint32 or not tensor.ndim or tensor.shape[-1] != int(dtype[2:]):
                raise ValueError(f"tensor {name!r} does not hold strings of dtype {dtype}")
            if not tensor.shape[-1] or np.any(tensor > 0x10FFFF):
                raise ValueError(f"tensor {name!r} holds numbers that are no characters")
            tensor = tensor.view(f"U{tensor.shape[-1]}")[..., 0]
        native = tensor.dtype.str[1:]
        if dtype[1:] != native:
            raise ValueError(f"tensor {name!r} has dtype {tensor.dtype}, not {dtype}")
        return tensor.astype(dtype)  # a copy, which is the reader's own

    def _csr(self, code: Any) -> Any:
        shape, parts = self._list(code, 2)
        if (
            not isinstance(shape, list)
            or len(shape) != 2
            or any(not is_count(size) or size >= 2**31 for size in shape)
            or not isinstance(parts, list)
            or len(parts) != 3
            or any(not isinstance(part, np.ndarray) or part.ndim != 1 for part in parts)
            or any(part.dtype.kind != "i" for part in parts[1:])
            or len(parts[2]) != shape[0] + 1
        ):
            raise ValueError("a sparse matrix has parts that do not fit")
        matrix = csr_matrix(tuple(parts), shape=shape)
        matrix.check_format(full_check=True)
        return matrix

    def _random_state(self, code: Any) -> np.random.RandomState:
        key, pos, has_gauss, gauss = self._list(code, 4)
        if (
            not isinstance(key, np.ndarray)
            or key.dtype != np.uint32
            or key.shape != (624,)
            or not is_count(pos)
            or pos > 624
            or has_gauss not in (0, 1)
            or not isinstance(gauss, float)
        ):
            raise ValueError("the state of a RandomState does not fit")
        random = np.random.RandomState()
        random.set_state(("MT19937", key, int(pos), int(has_gauss), gauss))
        return random


# --- bytes ---------------------------------------------------------------------------------------


def _library() -> Any:
    """The package safetensors, imported where a file needs it: `import fastmlp` is faster."""
    import safetensors.numpy

    return safetensors


def digest(text: str, tensors: dict[str, Array]) -> Array:
    """SHA-256 of all that a file holds."""
    found = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(repr((name, tensor.dtype.name, tensor.shape)).encode())
        found.update(tensor.reshape(-1).view(np.uint8).data)
    return np.frombuffer(found.digest(), dtype=np.uint8)


def to_text(config: Any) -> str:
    """A configuration as JSON, the same text for the same content."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)


def to_bytes(kind: str, text: str, tensors: dict[str, Array]) -> bytes:
    """The content of a file of a kind, which is the key of its metadata."""
    tensors = {**tensors, "sha256": digest(text, tensors)}
    # one key: the library writes several in an order of its own, new in each process
    data = _library().numpy.save(tensors, metadata={kind: text})
    if int.from_bytes(data[:8], "little") > _MAX_HEADER:
        raise ValueError("labels, names and curves together are longer than the format allows")
    return bytes(data)


def parse(text: str | bytes) -> Any:
    """The value of a JSON text, which knows neither NaN nor infinity."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def read(path: str, kind: str, newest: int) -> tuple[Any, dict[str, Array]]:
    """The configuration and the tensors of a file of a kind.

    Raises
    ------
    ValueError
        It is damaged, of another kind, or of a format beyond `newest`.
    OSError
        There is no such file, or it cannot be read.
    """
    os.stat(path)
    if not os.path.isfile(path):
        raise ValueError("it is a folder, or no regular file")
    with open(path, "rb") as file:
        return _from_file(file, kind, newest)


def _from_file(file: BinaryIO, kind: str, newest: int) -> tuple[Any, dict[str, Array]]:
    """The content; all that is read before the checks is the header."""
    size = os.fstat(file.fileno()).st_size
    if not size:
        raise ValueError("the file is empty")
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _MAX_HEADER):
        raise ValueError("it is no safetensors file, or cut off")
    try:
        header = parse(file.read(length))
    except ValueError as error:
        raise ValueError(f"it is no safetensors file, or damaged: {error}") from error
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict):
        metadata = {}
    text = metadata.get(kind)
    if not isinstance(text, str):
        others = [other for other in KINDS if other in metadata and other != kind]
        what = f": it is {KINDS[others[0]]}, not {KINDS[kind]}" if others else ""
        raise ValueError(f"fastmlp has not saved it{what}")
    config = parse(text)
    found = config.get("format") if isinstance(config, dict) else None
    if type(found) is not int or found < 1:
        raise ValueError(f"its format {found!r:.100} is unknown")
    if found > newest:
        raise ValueError(
            f"it has format {found}, of a newer version of fastmlp than this one, which reads "
            f"up to {newest}"
        )
    file.seek(0)
    try:
        parts = _library().deserialize(file.read())
    except _library().SafetensorError as error:
        raise ValueError(f"it is no safetensors file, or cut off or damaged: {error}") from error
    tensors = {name: _tensor(name, part) for name, part in parts}
    checksum = tensors.pop("sha256", np.empty(0))
    if not np.array_equal(checksum, digest(text, tensors)):
        raise ValueError("it is damaged: the checksum does not fit the content")
    return config, tensors


def _tensor(name: str, part: dict[str, Any]) -> Array:
    dtype, shape = part["dtype"], part["shape"]
    if dtype not in _DTYPES:
        raise ValueError(f"tensor {name!r:.100} has the dtype {dtype}, which no model has")
    stored = _DTYPES[dtype].newbyteorder("<")
    values = np.frombuffer(part["data"], dtype=stored).reshape(shape)
    return values.astype(_DTYPES[dtype], copy=False)
