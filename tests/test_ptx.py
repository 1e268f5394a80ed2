"""What nvcc compiles, run on the CPU: the interpreter itself, and every formula."""

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fastmlp import _native
from tests import reference
from tests.devices import needs_device
from tests.ptx import Fault, Machine
from tests.test_vocabulary import OPTIONS, published

pytestmark = [
    needs_device,
    pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed"),
]
HERE = Path(__file__).parent


def compiled(name, *flags):
    """The PTX of tests/kernels/<name>.cu."""
    command = ["nvcc", "-std=c++17", "-O3", "-Werror", "all-warnings", "-arch=compute_80", "-ptx"]
    source = HERE / "kernels" / f"{name}.cu"
    command += [*flags, f"-I{HERE.parent / 'cpp'}", str(source), "-o", "/dev/stdout"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def machine_ptx():
    return compiled("machine")


@pytest.fixture(scope="module")
def formulas_ptx():
    return compiled("formulas")


@pytest.fixture
def machine(machine_ptx):
    return Machine(machine_ptx)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- the interpreter -----------------------------------------------------------------------------


def test_threads_meet_at_barriers_and_shuffles(machine, rng):
    x = rng.integers(-9, 9, (3, 200)).astype(np.float32)
    total = machine.allocate(12)
    machine.launch("sums", 3, 96, 3 * 4, [machine.put(x), total, np.int32(200)])
    np.testing.assert_array_equal(machine.get(total, 3, np.float32), x.sum(axis=1))


def test_shuffles(machine):
    out = machine.allocate(6 * 64 * 4)
    machine.launch("shuffles", 1, 64, 0, [out])
    up, down, from_5, ballot, any_, all_ = machine.get(out, (6, 64), np.int32)
    t = np.arange(64)
    np.testing.assert_array_equal(up, np.where(t % 32 < 3, t, t - 3))
    np.testing.assert_array_equal(down, np.where(t % 8 < 5, t + 3, t))
    np.testing.assert_array_equal(from_5, t // 16 * 16 + 5)
    bits = [sum(1 << k % 32 for k in t if k // 32 == warp and k % 3 == 0) for warp in (0, 1)]
    np.testing.assert_array_equal(ballot.view(np.uint32), np.repeat(bits, 32))
    np.testing.assert_array_equal(any_, t >= 32)
    np.testing.assert_array_equal(all_, t < 32)


def nearest(x, dtype):
    """The float nearest to a fraction."""
    guess = dtype(float(x))
    around = [np.nextafter(guess, dtype(way)) for way in (-np.inf, np.inf)]
    return min([guess, *around], key=lambda y: (abs(Fraction(float(y)) - x), y != guess))


def test_fused_multiply_adds_round_once(machine, rng):
    n = 256
    arguments, expected = [], []
    for dtype in (np.float32, np.float64):
        x = rng.standard_normal((3, n)).astype(dtype)
        x[2, ::2] = -(x[0] * x[1])[::2]  # what is left is the product's rounding error
        x[2, 1::4] *= dtype(2.0**-23)
        arguments.append(machine.put(x))
        exact = [Fraction(a) * Fraction(b) + Fraction(c) for a, b, c in x.T.tolist()]
        expected.append([nearest(value, dtype) for value in exact])
    out = [machine.allocate(n * 4), machine.allocate(n * 8)]
    machine.launch("fused", 1, n, 0, [*arguments, *out])
    np.testing.assert_array_equal(machine.get(out[0], n, np.float32), expected[0])
    np.testing.assert_array_equal(machine.get(out[1], n, np.float64), expected[1])


def test_integers(machine, rng):
    n = 64
    a, b = (rng.integers(-(2**31), 2**31, n) >> rng.integers(0, 28, n) for _ in range(2))
    b[b == 0] = 3
    a[:4], b[:4] = [0, -1, 2**31 - 1, -(2**31)], [1, -7, -2, 5]
    out = machine.allocate(25 * n * 8)
    arguments = [machine.put(a.astype(np.int32)), machine.put(b.astype(np.int32)), out]
    machine.launch("integers", 1, n, 0, arguments)
    got = machine.get(out, (25, n), np.int64).T.tolist()
    for p, q, row in zip(a.tolist(), b.tolist(), got, strict=True):
        x, y = p % 2**32, q % 2**32

        def signed(value, bits=32):
            value %= 2**bits
            return value - 2**bits if value >> bits - 1 else value

        def towards_0(c, d):
            return abs(c) // abs(d) * (1 if (c < 0) == (d < 0) else -1)

        by = q & 31
        source = (x | y << 32).to_bytes(8, "little")
        assert row == [
            towards_0(p, q), p - q * towards_0(p, q), x // y, x % y,
            p >> by, x >> by, (x << by) % 2**32,
            p * q >> 32, x * y >> 32, p * q,
            x.bit_count(), 32 - x.bit_length(), int(f"{x:032b}"[::-1], 2),
            int.from_bytes(bytes(source[k] for k in (0, 4, 1, 5)), "little"),
            ((x | y << 32) << (p & 31) >> 32) % 2**32, min(p, q), max(x, y), signed(abs(p)),
            x >> 3 & 0x7F, signed(p << 12) >> 20, ((x & y) ^ (x | ~y)) % 2**32, signed(p, 8),
            q % 2**16, x if p < q else -y % 2**32, towards_0(p, q << 9),
        ]  # fmt: skip


def test_instructions_that_nvcc_seldom_takes(machine, rng):
    n = 64
    x, y, z = rng.integers(0, 2**32, (3, n), np.uint32)
    f = rng.standard_normal(n).astype(np.float32)
    f[::5] = np.nan
    out = machine.allocate(10 * n * 4)
    machine.launch("assembly", 1, n, 0, [*map(machine.put, (x, y, z, f)), out])
    got = machine.get(out, (10, n), np.uint32)
    start, length = (y % 40).tolist(), (z % 40).tolist()
    for i, (a, b, c) in enumerate(zip(x.tolist(), y.tolist(), z.tolist(), strict=True)):
        mask = 2 ** length[i] - 1
        field = a >> start[i] & mask
        top = a >> min(start[i] + length[i] - 1, 31) & 1 if length[i] else 0
        signed = (field | -1 << min(length[i], max(0, 32 - start[i])) if top else field) % 2**32
        inserted = (b & ~(mask << start[i]) | (a & mask) << start[i]) % 2**32
        assert got[:, i].tolist() == [
            field, signed, inserted, (a ^ b) & c, a if f[i] >= 0 else b,
            2**32 - 1 if f[i] < 1 else 0, int(not f[i] >= 0 and a > b), (a + b * c >> 0) % 2**32,
            (a | b << 32) >> (c & 31) & 2**32 - 1, np.float32(2**0.5).view(np.uint32),
        ]  # fmt: skip


def test_conversions(machine, rng):
    x = np.concatenate([rng.standard_normal(50) * 10.0 ** rng.integers(-3, 3, 50),
                        [0.5, 1.5, -2.5, 3e9, -3e9, 5e9, np.inf, -np.inf, np.nan, 0]])  # fmt: skip
    x32, n = x.astype(np.float32), len(x)
    wide = x.copy()
    wide[~np.isfinite(wide)] = 1.25
    out = machine.allocate(19 * n * 8)
    machine.launch("conversions", 1, n, 0, [machine.put(x32), machine.put(wide), out])
    known = np.where(np.isnan(x32), 0, x32).astype(float)

    def within(y, low=-(2**31), high=2**31 - 1):
        return np.clip(y, low, high)

    def bfloat(y):
        bits = y.view(np.uint32).astype(np.int64)
        return np.where(np.isfinite(y), (((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) << 16), bits)

    expected = [
        within(np.trunc(known)), within(np.trunc(known), 0, 2**32 - 1), within(np.rint(known)),
        within(np.floor(known)), within(np.ceil(known)), wide.astype(np.float32),
        within(np.trunc(wide)), np.trunc(wide), np.rint(x32), np.floor(wide),
        within(np.trunc(known)).astype(np.float32), np.fmin(x32, 1), np.maximum(wide, -1),
        bfloat(x32).astype(np.uint32).view(np.float32), x32 == x32, np.where(x32 != x32, 1, 2),
        ~(x32 < 1), (np.arange(n) * 2.0**40), abs(wide),
    ]  # fmt: skip
    got = machine.get(out, (19, n), np.float64)
    np.testing.assert_array_equal(got, np.array(expected, float))


@pytest.mark.parametrize(("kind", "depth", "bits"), [("tf32", 8, 10), ("bf16", 16, 7)])
def test_matrix_products_of_a_warp(machine, rng, kind, depth, bits):
    a, b, c = (
        rng.standard_normal(s).astype(np.float32) for s in ((16, depth), (depth, 8), (16, 8))
    )
    out = machine.allocate(c.nbytes)
    machine.launch(f"mma_{kind}", 1, 32, 0, [*map(machine.put, (a, b, c)), out])

    def rounded(x):
        mantissa, exponent = np.frexp(x.astype(float))
        return np.ldexp(np.rint(mantissa * 2.0 ** (bits + 1)), exponent - bits - 1)

    expected = rounded(a) @ rounded(b) + c
    np.testing.assert_allclose(machine.get(out, (16, 8), np.float32), expected, atol=1e-6)


def test_device_functions_that_are_called(machine):
    out = machine.allocate(2 * 40 * 4)
    machine.launch("calls", 1, 40, 0, [out])
    steps, last = machine.get(out, (2, 40), np.float32)
    for t in range(40):
        n, count = t + 1, 0
        while n != 1:
            n, count = 3 * n + 1 if n % 2 else n // 2, count + 1
        assert (steps[t], last[t]) == ((count, 2 ** (count % 4)) if t % 2 else (-1, 0))


def test_vectors_and_local_memory(machine, rng):
    which, x = np.arange(20, dtype=np.int32) * 7, rng.standard_normal((20, 4)).astype(np.float32)
    at = machine.put(x)
    machine.launch("indexed", 1, 20, 0, [machine.put(which), at, np.int32(20)])
    expected = np.stack([(which % 16) ** 2, x[:, 0], x[:, 1] + x[:, 2], x[:, 3]], axis=1)
    np.testing.assert_array_equal(machine.get(at, (20, 4), np.float32), expected.astype(np.float32))


@pytest.mark.parametrize(
    ("kernel", "threads", "message"),
    [
        ("outside", 64, "outside of what was allocated"),
        ("misaligned", 1, "misaligned"),
        ("unwritten", 64, "never written"),
        ("beyond_shared", 64, "outside of what was allocated"),
        ("apart", 64, "ended while others wait"),
        ("elsewhere", 64, "different barriers"),
        ("lone_shuffle", 64, "not all threads of a warp"),
        ("trapped", 64, "trap"),
        ("atomic", 64, "atomic"),
    ],
)
def test_what_a_kernel_may_not_do(machine, kernel, threads, message):
    x = machine.put(np.ones(64, np.int32))
    arguments = [] if kernel == "apart" else [x]
    with pytest.raises(Fault, match=message):
        machine.launch(kernel, 1, threads, 64 * 4, arguments)
    machine.launch("calls", 1, 16, 0, [x])  # what was wrong has left nothing behind


def test_code_that_nvcc_drops_is_noticed():
    machine = Machine(compiled("dropped", "--expt-relaxed-constexpr"))
    out = machine.allocate(4)
    machine.launch("dropped", 1, 1, 0, [out, np.float32(1)])
    with pytest.raises(Fault, match="never written"):
        machine.get(out, 1, np.int32)


# --- the formulas --------------------------------------------------------------------------------


def test_formulas_are_compiled_whole(formulas_ptx):
    assert "trap" not in formulas_ptx
    assert ".local" not in formulas_ptx
    assert ".func" not in formulas_ptx  # all is inlined


DTYPES = {"f": np.float32, "d": np.float64}
THREADS = 64
both_types = pytest.mark.parametrize("code", DTYPES)


def run(ptx, kernel, code, n, outputs, *arguments):
    """The arrays (outputs, n) that a kernel of `n` threads fills, its last arguments but for n."""
    machine = Machine(ptx)
    inputs = [machine.put(a) if isinstance(a, np.ndarray) else a for a in arguments]
    shapes = [(rows, n) for rows in outputs]
    out = [machine.put(np.full(shape, np.nan, DTYPES[code])) for shape in shapes]
    name = machine.module.kernel(kernel, f"I{code}E")
    machine.launch(name, -(-n // THREADS), THREADS, 0, [*inputs, *out, np.int32(n)])
    return [machine.get(at, shape, DTYPES[code]) for at, shape in zip(out, shapes, strict=True)]


def derivative(function, z, *arguments):
    return function(z + 1e-30j, *arguments).imag / 1e-30


def assert_close(got, right, ulps, of=1.0):
    """Within units in the last place of the right value, or of `of` where that is larger."""
    units = np.finfo(got.dtype).eps * np.maximum(abs(right), of)
    error = abs(got - right) / units
    worst = error.argmax()
    assert error[worst] <= ulps, (got[worst], right[worst])


@both_types
def test_activations(formulas_ptx, code):
    """As accurate as `test_activations_are_accurate_everywhere` of tests/test_core.py wants it."""
    dtype = DTYPES[code]
    small = np.geomspace(1e-30, 1, 100)
    z = np.concatenate([np.linspace(-120, 120, 2000), small, -small]).astype(dtype)
    limits = np.array([np.inf, -np.inf, np.nan], dtype)
    names, n = list(reference.ACTIVATIONS), len(z)
    assert names == list(_native.ACTIVATIONS)
    parameters = np.array([default or 0 for default in _native.ACTIVATIONS.values()], dtype)
    values, slopes = run(formulas_ptx, "activations", code, n + 3, [len(names)] * 2,
                         np.concatenate([z, limits]), parameters)  # fmt: skip
    tiny, eps = np.finfo(dtype).tiny, np.finfo(dtype).eps
    for name, p, a, slope in zip(names, parameters, values, slopes, strict=True):
        function = reference.ACTIVATIONS[name]
        with np.errstate(over="ignore", invalid="ignore"):
            right = function(z.astype(np.longdouble), p).astype(float)
            at_limits = function(limits[:2].astype(float), float(p)).astype(dtype)
        units = 8 + 2 * z.astype(float) ** 2 if name == "gelu" else 4
        error = abs(a[:n] - right) - units * eps * abs(right)
        assert error.max() <= 4 * tiny * 120, name
        np.testing.assert_array_equal(a[n : n + 2], at_limits)
        assert np.isnan(a[-1])
        near = abs(z) < 30  # the oracle's exponentials do not overflow
        right = derivative(function, z[near].astype(float), p)
        assert_close(slope[:n][near], right, ulps=4, of=np.maximum(1, abs(z[near])))


@both_types
def test_losses(formulas_ptx, code):
    dtype, n = DTYPES[code], 600
    rng = np.random.default_rng(0)
    z = rng.uniform(-9, 9, n).astype(dtype)
    names = list(reference.LOSSES)
    assert names == list(_native.LOSSES)
    rowwise = ("log_loss", "kl_divergence")  # in the tests of the engine
    parameters = np.array([{"huber": 0.7, "quantile": 0.3}.get(name, 0) for name in names], dtype)
    y = rng.uniform(0, 1, (len(names), n))
    y[names.index("poisson")] = rng.poisson(2, n)
    for name in ("hinge", "perceptron", "binary_log_loss"):
        y[names.index(name)] = rng.integers(0, 2, n)
    y = y.astype(dtype)
    links, values, deltas = run(formulas_ptx, "losses", code, n, [len(names)] * 3, z, y, parameters)
    for k, name in enumerate(names):
        if name in rowwise:
            assert np.isnan([links[k], values[k], deltas[k]]).all()
            continue
        link, value = reference.LOSSES[name]
        z_, y_, p = z.astype(float), y[k].astype(float), float(parameters[k])

        def loss(z, y_=y_, p=p, value=value):
            return value(z[:, None], y_[:, None], p)

        # of the terms that are added up
        of = np.maximum(abs(z_) * np.maximum(1, y_), y_ * np.exp(abs(z_)) if name == "gamma" else 1)
        assert_close(links[k], link(z_), ulps=4)
        assert_close(values[k], loss(z_), ulps=4, of=np.maximum(of, link(z_)))
        assert_close(deltas[k], derivative(loss, z_), ulps=4, of=np.maximum(of, link(z_)))


def solver_fields(solver, t, rate, momentum, beta_1, beta_2, epsilon, rho, weight_decay, **_):
    """The numbers of a solver's struct at step t, of `OPTIONS` with Nesterov's momentum."""
    c_1, root = 1 - beta_1**t, np.sqrt(1 - beta_2**t)
    adam = [rate * root / c_1, beta_1, beta_2, 1 - beta_1, 1 - beta_2, epsilon * root]
    if solver == "nadam":
        mu = [beta_1 * (1 - 0.5 * 0.96 ** (0.004 * k)) for k in range(1, t + 2)]
        adam += [rate * root * (1 - mu[-2]) / (1 - np.prod(mu[:-1])),
                 rate * root * mu[-1] / (1 - np.prod(mu))]  # fmt: skip
    return {
        "sgd": [rate, momentum, momentum, rate, 1.0],
        "adam": [*adam[:5], epsilon],
        "adamw": [*adam, 1 - rate * weight_decay],
        "nadam": adam,
        "amsgrad": adam,
        "adamax": [rate / c_1, beta_1, beta_2, 1 - beta_1, epsilon],
        "rmsprop": [rate, rho, 1 - rho, epsilon],
        "adagrad": [rate, epsilon],
        "adadelta": [rate, rho, 1 - rho, epsilon],
    }[solver]


@both_types
@pytest.mark.parametrize("solver", _native.SOLVER_SLOTS)
def test_solvers(formulas_ptx, code, solver):
    dtype, n, steps = DTYPES[code], 10, 5
    w, *gradients = np.random.default_rng(0).standard_normal((1 + steps, n)).astype(dtype)
    machine = Machine(formulas_ptx)
    at = machine.put(w)
    slots = machine.put(np.zeros((_native.SOLVER_SLOTS[solver], n), dtype))
    struct = next(c for c in STRUCTS if c.lower() == solver)
    kernel = machine.module.kernel("step", f"I{code}", f"{len(struct)}{struct}E")
    for t, g in enumerate(gradients, 1):
        fields = np.array(solver_fields(solver, t, **OPTIONS), dtype).tobytes()
        machine.launch(kernel, 1, THREADS, 0, [at, machine.put(g), slots, np.int32(n), fields])
    got = machine.get(at, n, dtype)
    for i in range(n):
        oracle, right = published(solver, **OPTIONS), float(w[i])
        next(oracle)
        for g in gradients:
            right = oracle.send((right, float(g[i]), i % 2 == 0))
        assert got[i] == pytest.approx(right, rel=float(4 * steps * np.finfo(dtype).eps))


STRUCTS = ("Sgd", "Adam", "AdamW", "NAdam", "AdaMax", "AmsGrad", "RmsProp", "AdaGrad", "AdaDelta")
