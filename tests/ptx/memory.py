"""Memory by generic addresses, in which an access is checked."""

import numpy as np

U1, U4, U8, I8 = (np.dtype(name) for name in ("u1", "u4", "u8", "i8"))
# Where the state spaces lie. Each block's and each thread's own part is far from its neighbour's.
BASES = {"param": 1 << 56, "const": 2 << 56, "global": 3 << 56, "shared": 4 << 56, "local": 5 << 56}
APART = 1 << 24
HEAP = 6 << 56
_ALLOCATED, _WRITTEN = 1, 2  # states of a byte; of 0 it is nobody's
_UNIT = 64  # windows begin and end at multiples, so that vectors can be looked at whole


class Fault(Exception):
    """What a kernel may not do."""


def whole(size: int, unit: int) -> int:
    """The least multiple of `unit` that is `size` or more."""
    return -(-size // unit) * unit


class Memory:
    """Windows of addresses, each on a part of one array of bytes, and the state of each byte."""

    def __init__(self) -> None:
        self._bytes = np.zeros(0, U1)
        self._state = np.zeros(0, U1)
        self._starts = np.zeros(0, U8)
        self._ends = np.zeros(0, U8)
        self._places = np.zeros(0, I8)

    @property
    def size(self) -> int:
        return self._bytes.size

    def map(self, starts: np.ndarray | list[int], size: int) -> None:
        """Adds windows of `size` bytes, which are NaN as floats and count as never written."""
        starts = np.asarray(starts, U8)
        first = int(starts[0]) % _UNIT
        step = whole(first + size, _UNIT)
        places = self.size + first + step * np.arange(starts.size)
        state = np.zeros((starts.size, step), U1)
        state[:, first : first + size] = _ALLOCATED
        self._bytes = np.concatenate([self._bytes, np.full(state.size, 0xFF, U1)])
        self._state = np.concatenate([self._state, state.ravel()])
        starts = np.concatenate([self._starts, starts])
        order = np.argsort(starts, kind="stable")
        ends = np.concatenate([self._ends, starts[self._starts.size :] + U8.type(size)])
        self._starts, self._ends = starts[order], ends[order]
        self._places = np.concatenate([self._places, places])[order]
        if (self._ends[:-1] > self._starts[1:]).any():
            raise ValueError("windows overlap")

    def forget(self, size: int) -> None:
        """Takes away what was mapped since the memory had this size."""
        keep = self._places < size
        self._starts, self._ends = self._starts[keep], self._ends[keep]
        self._places = self._places[keep]
        self._bytes, self._state = self._bytes[:size].copy(), self._state[:size].copy()

    def load(self, at: np.ndarray, of: np.dtype) -> np.ndarray:
        place = self._find(at, of.itemsize)
        if (self._state.view(f"u{of.itemsize}")[place] != _written(of)).any():
            raise Fault("load of what was never written")
        return self._bytes.view(of)[place]

    def store(self, at: np.ndarray, value: np.ndarray, of: np.dtype) -> None:
        place = self._find(at, of.itemsize)
        self._bytes.view(of)[place] = value
        self._state.view(f"u{of.itemsize}")[place] = _written(of)

    def read(self, address: int, size: int) -> bytes:
        return self.load(address + np.arange(size, dtype=U8), U1).tobytes()

    def peek(self, address: int, size: int) -> bytes:
        """Bytes that may never have been written."""
        return self._bytes[self._find(address + np.arange(size, dtype=U8), 1)].tobytes()

    def write(self, address: int, data: bytes) -> None:
        self.store(address + np.arange(len(data), dtype=U8), np.frombuffer(data, U1), U1)

    def _find(self, at: np.ndarray, size: int) -> np.ndarray:
        """Where in the array, counted in elements of `size` bytes."""
        if (at % U8.type(size)).any():
            raise Fault("misaligned access")
        window = np.searchsorted(self._starts, at, side="right") - 1
        if (window < 0).any() or (at + U8.type(size) > self._ends[window]).any():
            raise Fault("access outside of what was allocated")
        return (self._places[window] + (at - self._starts[window]).astype(I8)) // size


def _written(of: np.dtype) -> int:
    return int.from_bytes(bytes([_WRITTEN]) * of.itemsize, "little")
