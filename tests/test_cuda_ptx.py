"""The CUDA engine as nvcc compiles it, against the emulator: every launch of small trainings.

A recorder (tests/kernels/recorder.cpp) trains networks on the emulator, and writes down each launch
with the device's memory before and after it. The interpreter runs nvcc's code on the same memory.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.devices import needs_device
from tests.ptx import Machine, Module

ROOT = Path(__file__).parent.parent
pytestmark = [
    needs_device,
    *(
        pytest.mark.skipif(shutil.which(compiler) is None, reason=f"{compiler} is not installed")
        for compiler in ("nvcc", "g++")
    ),
]
WORD = np.dtype("u4")
NEVER_WRITTEN = 0xFFFFFFFF  # what the emulator fills new memory with


class Launch:
    """A launch that was recorded: a kernel, its arguments, and memory by its addresses."""

    def __init__(self, path):
        head, _, data = path.read_bytes().partition(b"\n")
        head = json.loads(head)
        self.kernel, self.shape = head["kernel"], [head[k] for k in ("blocks", "threads", "shared")]
        pieces = iter(np.split(np.frombuffer(data, np.uint8), np.cumsum(head["sizes"])))
        self.arguments = [next(pieces).tobytes() for _ in range(head["arguments"])]
        self.before = {address: next(pieces) for address in head["addresses"]}
        self.after = {address: next(pieces) for address in head["addresses"]}

    def run(self, module):
        """The memory after the launch, as nvcc's code leaves it."""
        machine = Machine(module)
        for address, data in self.before.items():
            machine.memory.map([address], data.size)
            words = data.view(WORD)
            written = np.flatnonzero(words != NEVER_WRITTEN)
            machine.memory.store((address + 4 * written).astype("u8"), words[written], WORD)
        machine.launch(module.kernel(self.kernel), *self.shape, self.arguments)
        return {
            address: np.frombuffer(machine.memory.peek(address, data.size), np.uint8)
            for address, data in self.before.items()
        }


@pytest.fixture(scope="module")
def launches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("launches")
    # without fused multiply-adds, as nvcc's code with which bits are compared
    options = ["-std=c++17", "-O1", "-ffp-contract=off", "-pthread", "-DFASTMLP_EMULATED",
               "-Wno-subobject-linkage"]  # fmt: skip
    sources = ["tests/kernels/recorder.cpp", "cpp/errors.cpp", "cpp/threads.cpp"]
    command = ["g++", *options, "-Itests/emulator", "-Icpp", "-x", "c++", *sources]
    subprocess.run([*command, "-o", folder / "recorder"], check=True, cwd=ROOT)
    subprocess.run([folder / "recorder", folder], check=True)
    return [Launch(path) for path in sorted(folder.glob("launch-*"))]


def compiled(*flags):
    command = ["nvcc", "-std=c++17", "-O3", "-arch=compute_80", "-ptx", "cpp/cuda/engine.cu"]
    done = subprocess.run(
        [*command, *flags, "-o", "/dev/stdout"], check=True, cwd=ROOT, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    return done.stdout


@pytest.fixture(scope="module")
def ptx():
    """The engine as users get it."""
    return compiled()


def own_name(mangled):
    """The name of a kernel within the unnamed namespace, with its template arguments."""
    length, rest = re.fullmatch(r"_ZN7fastmlp(\d+)(_GLOBAL__N_.*)", mangled).groups()
    return re.fullmatch(r"\d+(\w+?I.*?E)Ev\w*", rest[int(length) :])[1]


def test_every_kernel_was_launched(ptx, launches):
    names = {own_name(kernel) for kernel in Module(ptx).kernels}
    others = {"multiply_addIfE", "multiply_addIdE"}  # they measure the device's speed
    # for float64 a tile as large is of layers too wide for the emulator; float takes it for tf32
    others |= {"forward_wideIdLi64EE", "backward_wideIdLi64EE"}
    # what follows products by cuBLASLt: test_cublaslt.py
    others |= {f"finish_{way}I{kind}E" for way in ("forward", "backward") for kind in "fd"}
    assert {launch.kernel for launch in launches} == names - others


def test_kernels_are_compiled_whole(ptx):
    for never in ("trap", ".local", ".func", "atom.", "red."):
        assert not re.search(rf"^\s*(@!?%p\d+\s+)?{re.escape(never)}", ptx, re.M), never


def test_bits_are_the_emulators(launches):
    """Without fused multiply-adds there is one way to round."""
    module = Module(compiled("-fmad=false"))
    for launch in launches:
        for address, data in launch.run(module).items():
            np.testing.assert_array_equal(data, launch.after[address], launch.kernel)


def test_numbers_are_the_emulators(ptx, launches):
    module = Module(ptx)
    for launch in launches:
        kind = "f4" if re.search(r"If(Li\d+E)?E$", launch.kernel) else "f8"
        for address, data in launch.run(module).items():
            assert_close(data, launch.after[address], kind, launch.kernel)


def assert_close(got, right, kind, kernel):
    """Numbers of a kind, and sums of them, which are float64; all else to the bit."""
    tolerance = {"f4": 1e-5, "f8": 1e-12}[kind]
    different = got.view(WORD) != right.view(WORD)
    for of in {kind, "f8"}:
        a, b = got[: got.size // 8 * 8].view(of), right[: right.size // 8 * 8].view(of)
        with np.errstate(invalid="ignore", over="ignore"):
            close = abs(a - b) <= tolerance * np.maximum(abs(b), 1e-2)
        different[: close.size * a.itemsize // 4] &= ~np.repeat(close, a.itemsize // 4)
    assert not different.any(), kernel
