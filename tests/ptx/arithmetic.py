"""What PTX instructions compute, on arrays with an element per thread.

Each function takes the instruction's modifiers (types last) and a function that reads an operand as
a type, and returns the result. Additions, products, quotients, roots and fused multiply-adds round
as the device rounds them; `ex2.approx` and its kin are more accurate here than there.
"""

from collections.abc import Callable

import numpy as np

from tests.ptx.code import dtype_of

Modifiers = tuple[str, ...]
Read = Callable[[int, np.dtype], np.ndarray]
Compute = Callable[[Modifiers, Read], np.ndarray]

U32 = np.dtype("u4")
_COMPARISONS: dict[str, Callable[..., np.ndarray]] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "lo": np.less, "ls": np.less_equal, "hi": np.greater,
    "hs": np.greater_equal,
    "num": lambda a, b: (a == a) & (b == b),
    "nan": lambda a, b: (a != a) | (b != b),
}  # fmt: skip
# true where either is NaN as well: the opposite of what is false there
_UNORDERED = {"equ": "ne", "neu": "eq", "ltu": "ge", "leu": "gt", "gtu": "le", "geu": "lt"}
_BOOLEAN: dict[str, np.ufunc] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}
_ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rni": np.rint,
    "rzi": np.trunc,
    "rmi": np.floor,
    "rpi": np.ceil,
}


def fused(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a b + c, rounded once."""
    if a.dtype.itemsize == 4:
        # the product is exact in float64; a sum rounded to odd can be rounded once more
        product, c = a.astype("f8") * b.astype("f8"), c.astype("f8")
        total = product + c
        error = _sum_error(product, c, total)
        inexact = np.isfinite(total) & (error != 0) & (total.view("i8") & 1 == 0)
        total = np.where(inexact, np.nextafter(total, np.where(error > 0, np.inf, -np.inf)), total)
        return total.astype("f4")
    product = a * b
    # the product's own error, by Dekker's splitting; beyond its range the sum is rounded twice
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    rest = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    total = product + c
    corrected = total + (_sum_error(product, c, total) + rest)
    return np.where(np.isfinite(corrected), corrected, total)


def _sum_error(a: np.ndarray, b: np.ndarray, total: np.ndarray) -> np.ndarray:
    part = total - a
    return (a - (total - part)) + (b - part)


def _halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scaled = x * 134217729.0
    high = scaled - (scaled - x)
    return high, x - high


def _wide(of: np.dtype) -> np.dtype:
    return np.dtype(f"{of.kind}{2 * of.itemsize}")


def _product(modifiers: Modifiers, of: np.dtype, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if "wide" in modifiers:
        return a.astype(_wide(of)) * b.astype(_wide(of))
    if "hi" in modifiers:
        if of.itemsize == 4:
            return ((a.astype(_wide(of)) * b.astype(_wide(of))) >> 32).astype(of)
        return np.array([x * y >> 64 for x, y in zip(a.tolist(), b.tolist(), strict=True)]).astype(
            of
        )
    return a * b


def _multiply(m: Modifiers, read: Read) -> np.ndarray:
    of = dtype_of(m[-1])
    return _product(m, of, read(1, of), read(2, of))


def _multiply_add(m: Modifiers, read: Read) -> np.ndarray:
    of = dtype_of(m[-1])
    if of.kind == "f":
        return fused(read(1, of), read(2, of), read(3, of))
    product = _product(m, of, read(1, of), read(2, of))
    return product + read(3, product.dtype)


def _divide(m: Modifiers, read: Read) -> np.ndarray:
    of = dtype_of(m[-1])
    a, b = read(1, of), read(2, of)
    if of.kind == "f":
        return a / b
    if (b == 0).any():
        raise ZeroDivisionError("an integer is divided by 0")
    quotient = a // b
    towards_0 = ((a < 0) != (b < 0)) & (quotient * b != a)
    return np.where(towards_0, quotient + of.type(1), quotient)


def _remainder(m: Modifiers, read: Read) -> np.ndarray:
    of = dtype_of(m[-1])
    if (read(2, of) == 0).any():
        raise ZeroDivisionError("an integer is divided by 0")
    return np.fmod(read(1, of), read(2, of))


def _extreme(numbers: np.ufunc, propagating: np.ufunc) -> Compute:
    def instruction(m: Modifiers, read: Read) -> np.ndarray:
        of = dtype_of(m[-1])
        return (propagating if "NaN" in m else numbers)(read(1, of), read(2, of))

    return instruction


def _one(function: Callable[[np.ndarray], np.ndarray]) -> Compute:
    def instruction(m: Modifiers, read: Read) -> np.ndarray:
        return function(read(1, dtype_of(m[-1])))

    return instruction


def _two(function: np.ufunc) -> Compute:
    def instruction(m: Modifiers, read: Read) -> np.ndarray:
        of = dtype_of(m[-1])
        return function(read(1, of), read(2, of))

    return instruction


def _shift(m: Modifiers, read: Read, left: bool) -> np.ndarray:
    of = dtype_of(m[-1])
    a, by = read(1, of), read(2, U32)
    bits = 8 * of.itemsize
    within = np.minimum(by, bits - 1).astype(of)
    if left:
        return np.where(by < bits, a << within, of.type(0)).astype(of)
    # a signed number's sign fills what is shifted in, however far
    return (
        a >> within if of.kind == "i" else np.where(by < bits, a >> within, of.type(0)).astype(of)
    )


def _funnel_shift(m: Modifiers, read: Read) -> np.ndarray:
    low, high, by = read(1, U32), read(2, U32), read(3, U32)
    by = by & U32.type(31) if "wrap" in m else np.minimum(by, 32)
    both = low.astype("u8") | high.astype("u8") << np.uint64(32)
    if "l" in m:
        return (both << by.astype("u8") >> np.uint64(32)).astype("u4")
    return (both >> by.astype("u8")).astype("u4")


def _extract(m: Modifiers, read: Read) -> np.ndarray:
    of = dtype_of(m[-1])
    bits = 8 * of.itemsize
    a, start, length = read(1, of), read(2, U32) & 255, read(3, U32) & 255
    shifted = a.view(f"u{of.itemsize}") >> np.minimum(start, bits - 1).astype(f"u{of.itemsize}")
    shifted = np.where(start < bits, shifted, 0).astype(f"u{of.itemsize}")
    mask = _mask(length, bits)
    if of.kind == "u":
        return shifted & mask
    last = np.minimum(np.where(length > 0, start + length - 1, 0), bits - 1)
    sign = (a.view(f"u{of.itemsize}") >> last.astype(mask.dtype)) & mask.dtype.type(1)
    negative = (sign == 1) & (length > 0)
    mask = mask & np.where(start < bits, _mask(bits - np.minimum(start, bits), bits), 0)
    return np.where(negative, (shifted & mask) | ~mask, shifted & mask).view(of)


def _insert(m: Modifiers, read: Read) -> np.ndarray:
    of = dtype_of(m[-1])
    bits = 8 * of.itemsize
    a, b, start, length = read(1, of), read(2, of), read(3, U32) & 255, read(4, U32) & 255
    place = np.minimum(start, bits - 1).astype(of)
    mask = np.where(start < bits, _mask(length, bits) << place, 0).astype(of)
    return (b & ~mask) | (a << place & mask)


def _mask(length: np.ndarray, bits: int) -> np.ndarray:
    of = np.dtype(f"u{bits // 8}")
    ones = (of.type(1) << np.minimum(length, bits - 1).astype(of)) - of.type(1)
    return np.where(length < bits, ones, ~of.type(0)).astype(of)


def _permute(m: Modifiers, read: Read) -> np.ndarray:
    if m != ("b32",):
        raise NotImplementedError("modes of prmt")
    both = read(1, U32).astype("u8") | read(2, U32).astype("u8") << np.uint64(32)
    selector, result = read(3, U32), np.zeros_like(both, "u4")
    for place in range(4):
        which = selector >> U32.type(4 * place)
        byte = (both >> (8 * (which & 7)).astype("u8")).astype("u4") & U32.type(255)
        byte = np.where(which & 8 != 0, np.where(byte & 128 != 0, 255, 0), byte).astype("u4")
        result = result | byte << U32.type(8 * place)
    return result


def _logic3(m: Modifiers, read: Read) -> np.ndarray:
    a, b, c, table = read(1, U32), read(2, U32), read(3, U32), int(np.ravel(read(4, U32))[0])
    result = np.zeros_like(a | b | c)
    for row in range(8):
        if table >> row & 1:
            result |= (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
    return result


def _count_bits(m: Modifiers, read: Read) -> np.ndarray:
    of = dtype_of(m[-1])
    return np.bitwise_count(read(1, of)).astype("u4")


def _leading_zeros(m: Modifiers, read: Read) -> np.ndarray:
    of = dtype_of(m[-1])
    widths = [int(x).bit_length() for x in np.ravel(read(1, of))]
    return (8 * of.itemsize - np.array(widths)).astype("u4")


def _reverse(m: Modifiers, read: Read) -> np.ndarray:
    of = dtype_of(m[-1])
    bits = 8 * of.itemsize
    return np.array([int(f"{int(x):0{bits}b}"[::-1], 2) for x in np.ravel(read(1, of))], of)


def _sign_copy(m: Modifiers, read: Read) -> np.ndarray:
    of = dtype_of(m[-1])
    return np.copysign(read(2, of), read(1, of))


def compare(comparison: str, of: np.dtype, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The truth of a comparison, which decides for itself what NaN is."""
    if comparison in _UNORDERED:
        return ~_COMPARISONS[_UNORDERED[comparison]](a, b)
    if comparison == "ne" and of.kind == "f":
        return (a < b) | (a > b)
    return _COMPARISONS[comparison](a, b)


def set_predicate(m: Modifiers, read: Read) -> tuple[np.ndarray, np.ndarray]:
    """`setp`: the comparison and its opposite, each combined with a predicate, if any."""
    of = dtype_of(m[-1])
    truth = compare(m[0], of, read(1, of), read(2, of))
    if m[1] in _BOOLEAN:
        with_ = read(3, np.dtype(bool))
        return _BOOLEAN[m[1]](truth, with_), _BOOLEAN[m[1]](~truth, with_)
    return truth, ~truth


def _set(m: Modifiers, read: Read) -> np.ndarray:
    to, of = dtype_of(m[-2]), dtype_of(m[-1])
    truth = compare(m[0], of, read(1, of), read(2, of))
    if m[1] in _BOOLEAN:
        truth = _BOOLEAN[m[1]](truth, read(3, np.dtype(bool)))
    return truth.astype(to) if to.kind == "f" else np.where(truth, ~to.type(0), to.type(0))


def _select(m: Modifiers, read: Read) -> np.ndarray:
    of = dtype_of(m[-1])
    return np.where(read(3, np.dtype(bool)), read(1, of), read(2, of))


def _select_by_sign(m: Modifiers, read: Read) -> np.ndarray:
    of, by = dtype_of(m[-2]), dtype_of(m[-1])
    return np.where(read(3, by) >= 0, read(1, of), read(2, of))


def _test_property(m: Modifiers, read: Read) -> np.ndarray:
    x = read(1, dtype_of(m[-1]))
    finite, number = np.isfinite(x), ~np.isnan(x)
    return {
        "finite": finite, "infinite": number & ~finite, "number": number, "notanumber": ~number
    }[m[0]]  # fmt: skip


# --- conversions ---------------------------------------------------------------------------------


def _to_bfloat(x: np.ndarray) -> np.ndarray:
    """The bits of the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(x).view("u4")
    rounded = (bits + U32.type(0x7FFF) + (bits >> U32.type(16) & U32.type(1))) >> U32.type(16)
    return np.where(np.isnan(x), 0x7FFF, rounded).astype("u2")


def from_bfloat(bits: np.ndarray) -> np.ndarray:
    """Bits of bfloat16 as float32."""
    return (bits.astype("u4") << U32.type(16)).view("f4")


def _to_tf32(x: np.ndarray) -> np.ndarray:
    """The bits of the nearest float32 of 10 mantissa bits, ties away from 0 (`rna`)."""
    bits = np.ascontiguousarray(x).view("u4")
    rounded = (bits + U32.type(0x1000)) & U32.type(0xFFFFE000)
    return np.where(np.isfinite(x), rounded, bits)


def _to_integer(x: np.ndarray, to: np.dtype) -> np.ndarray:
    """Whole numbers as integers, the nearest where out of range; NaN is 0."""
    low, high = np.iinfo(to).min, np.iinfo(to).max
    inside = (x >= float(low)) & (x < float(high) + (1.0 if to.itemsize < 8 else 0.0))
    whole = np.where(inside, x, 0).astype(to)
    whole = np.where(x < float(low), to.type(low), whole)
    return np.where(x > float(low), np.where(inside, whole, to.type(high)), whole)


def _convert(m: Modifiers, read: Read) -> np.ndarray:
    to_name, of_name = m[-2], m[-1]
    to, of = dtype_of(to_name), dtype_of(of_name)
    if to_name == "bf16x2":
        high, low = (_to_bfloat(read(place, of)).astype("u4") for place in (1, 2))
        return high << U32.type(16) | low
    x = read(1, of)
    if of_name == "bf16":
        x = from_bfloat(x)
    if to_name in ("bf16", "tf32"):
        if ("rn" if to_name == "bf16" else "rna") not in m:
            raise NotImplementedError(f"this rounding to {to_name}")
        return _to_bfloat(x.astype("f4")) if to_name == "bf16" else _to_tf32(x)
    if x.dtype.kind != "f":
        return x.astype(to)
    for name in _ROUNDINGS.keys() & set(m):
        x = _ROUNDINGS[name](x)
    if to.kind != "f":
        return _to_integer(x, to)
    if to.itemsize < x.dtype.itemsize and "rn" not in m:
        raise NotImplementedError(f"this rounding to {to_name}")
    return np.clip(x, 0, 1).astype(to) if "sat" in m else x.astype(to)


COMPUTE: dict[str, Compute] = {
    "add": _two(np.add), "sub": _two(np.subtract), "mul": _multiply, "mad": _multiply_add,
    "mul24": _multiply, "fma": _multiply_add, "div": _divide, "rem": _remainder,
    "neg": _one(np.negative), "abs": _one(np.abs), "min": _extreme(np.fmin, np.minimum),
    "max": _extreme(np.fmax, np.maximum), "sqrt": _one(np.sqrt),
    "rcp": _one(lambda x: x.dtype.type(1) / x),
    "rsqrt": _one(lambda x: x.dtype.type(1) / np.sqrt(x)),
    "ex2": _one(np.exp2), "lg2": _one(np.log2), "tanh": _one(np.tanh), "sin": _one(np.sin),
    "cos": _one(np.cos), "copysign": _sign_copy, "testp": _test_property,
    "not": _one(np.invert), "and": _two(np.bitwise_and), "or": _two(np.bitwise_or),
    "xor": _two(np.bitwise_xor), "cnot": _one(lambda x: (x == 0).astype(x.dtype)),
    "shl": lambda m, read: _shift(m, read, True), "shr": lambda m, read: _shift(m, read, False),
    "shf": _funnel_shift, "bfe": _extract, "bfi": _insert, "prmt": _permute, "lop3": _logic3,
    "popc": _count_bits, "clz": _leading_zeros, "brev": _reverse,
    "set": _set, "selp": _select, "slct": _select_by_sign, "cvt": _convert,
}  # fmt: skip


def refuse_modifiers(name: str, m: Modifiers) -> None:
    """What would change the result and is not followed here; conversions see to it themselves."""
    others = {"ftz", "cc"} if name == "cvt" else {"ftz", "cc", "sat", "rz", "rm", "rp"}
    packed = name != "cvt" and (m[-1].endswith("x2") or m[-1].startswith("bf"))
    if others & set(m) or packed:
        raise NotImplementedError("modifiers not known to the interpreter")


# --- matrix products -----------------------------------------------------------------------------


def multiply_accumulate(m: Modifiers, read: Callable[[int], list[np.ndarray]]) -> list[np.ndarray]:
    """`mma.sync` of tf32 or bf16 into float32, by a warp's 32 threads.

    `read(k)` gives the registers (warps, 32) of operand k; PTX ISA, "Matrix fragments for
    mma.m16n8k8", "... .m16n8k16", says which elements they hold. Products, which are exact, are
    added up in their order here; a device has an order of its own.
    """
    if not {"sync", "aligned", "row", "col"} <= set(m) or m[-4:] not in (
        ("f32", "tf32", "tf32", "f32"),
        ("f32", "bf16", "bf16", "f32"),
    ):
        raise NotImplementedError("this kind of mma")
    a, b, c = (read(operand) for operand in (1, 2, 3))
    packed = 2 if m[-2] == "bf16" else 1  # elements in a register
    depth = int(m[2].removeprefix("m16n8k"))
    if len(a) != depth // (2 * packed) or len(b) != len(a) // 2 or len(c) != 4:
        raise NotImplementedError("this shape of mma")
    lane = np.arange(32)
    group, within = lane // 4, lane % 4
    A = np.zeros((len(a[0]), 16, depth), "f4")
    B = np.zeros((len(a[0]), depth, 8), "f4")
    C = np.zeros((len(a[0]), 16, 8), "f4")
    for half in range(packed):
        for i, register in enumerate(a):
            k = packed * (within + 4 * (i // 2)) + half
            A[:, group + 8 * (i % 2), k] = _element(register, packed, half)
        for i, register in enumerate(b):
            B[:, packed * (within + 4 * i) + half, group] = _element(register, packed, half)
    places = [(group + 8 * (i // 2), 2 * within + i % 2) for i in range(4)]
    for (row, column), register in zip(places, c, strict=True):
        C[:, row, column] = register.view("f4")
    for k in range(depth):
        C += A[:, :, k, None] * B[:, k, None]
    return [C[:, row, column] for row, column in places]


def _element(register: np.ndarray, packed: int, half: int) -> np.ndarray:
    if packed == 2:
        return from_bfloat(register >> U32.type(16 * half) & U32.type(0xFFFF))
    if (register & U32.type(0x1FFF)).any():
        raise ValueError("an operand of mma is not rounded to tf32")
    return register.view("f4")
