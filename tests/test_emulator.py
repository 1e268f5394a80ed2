"""The check of the checker: the emulator of CUDA runs kernels right, and reports seeded mistakes.

The engine for GPUs is tested on it (tests/emulator). A mistake that only it could find, and that it
misses, would be found by nobody.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from tests.devices import needs_device

EMULATOR = pathlib.Path(__file__).parent / "emulator"
GXX = shutil.which("g++")
pytestmark = [
    needs_device,
    pytest.mark.skipif(GXX is None, reason="there is no g++"),
    pytest.mark.skipif(sys.platform != "linux", reason="the emulator is made for Linux"),
]

BUILDS = {
    "plain": ["-O2"],
    "portable": ["-O0", "-DEMULATOR_UCONTEXT"],
    "tsan": ["-O1", "-fsanitize=thread"],
    "asan": ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
}
SEEDS = [0, 1, 2, 3, 4, 5]  # two of each schedule
# a suite that runs under a sanitizer preloads its library
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"} | {
    "TSAN_OPTIONS": "halt_on_error=1:atexit_sleep_ms=0",
    "ASAN_OPTIONS": "",
    "UBSAN_OPTIONS": "",
}

AT = r"checks\.cu:\d+"
RACE = "data race"
# what each mutant of checks.cu is reported as, by which build
REPORTS = {
    "no_barrier_before_tile_is_used": [("tsan", rf"{RACE} .*{AT} in product"), ("plain", "WRONG")],
    "no_barrier_after_tile_is_used": [("tsan", rf"{RACE} .*{AT} in product"), ("plain", "WRONG")],
    "no_barrier_before_overwriting": [("tsan", rf"{RACE} .*{AT} in overwrite"), ("plain", "WRONG")],
    "blocks_write_the_same": [("tsan", rf"{RACE} .*{AT} in add"), ("plain", "WRONG")],
    "pinned_buffer_reused": [("tsan", rf"{RACE}[\s\S]* check_copies")],
    "result_read_too_early": [("tsan", rf"{RACE}[\s\S]* check_copies")],
    "streams_not_ordered": [("tsan", rf"{RACE}[\s\S]* check_two_streams")],
    "a_row_too_many": [("asan", rf"heap-buffer-overflow .*{AT} in product")],
    "shared_memory_too_small": [("asan", rf"heap-buffer-overflow .*{AT} in product")],
    "host_reads_device_memory": [("asan", rf"use-after-poison .*{AT} in check_memory")],
    "one_array_runs_into_the_next": [
        ("asan", rf"(use-after-poison|unknown-crash) .*{AT} in barriers")
    ],
    "sum_not_cleared": [("plain", "WRONG")],
    "some_threads_at_the_barrier": [("plain", rf"emulator: a (barrier|thread) .*{AT}")],
    "threads_at_different_barriers": [("plain", rf"emulator: threads wait at different .*{AT}")],
    "one_lane_leaves": [("plain", rf"emulator: a (barrier|thread) .*{AT}")],
}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Compiles checks.cu, once each way."""
    folder = tmp_path_factory.mktemp("emulator")

    def build(name):
        program = folder / name
        if not program.exists():
            subprocess.run(
                [GXX, "-std=c++17", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas",
                 *BUILDS[name], f"-I{EMULATOR}", "-x", "c++", EMULATOR / "checks.cu",
                 "-o", program],
                env=ENVIRONMENT, check=True,
            )  # fmt: skip
        return program

    return build


def run(program, seed, *mutant):
    done = subprocess.run(
        [program, *mutant], env={**ENVIRONMENT, "FASTMLP_EMULATOR_SEED": str(seed)},
        capture_output=True, text=True,
    )  # fmt: skip
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("ThreadSanitizer does not run on this kernel")
    return done


@pytest.fixture(scope="module")
def right(build):
    """What checks.cu prints: a line for each kernel, with the bits of its results."""
    done = run(build("plain"), 0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 9
    return done.stdout


@pytest.mark.parametrize("name", BUILDS)
def test_kernels_are_right_to_the_same_bits_in_every_order(build, right, name):
    for seed in SEEDS:
        done = run(build(name), seed)
        assert (done.returncode, done.stdout, done.stderr) == (0, right, ""), done.stderr


@pytest.mark.parametrize("mutant", REPORTS)
def test_a_mistake_is_reported(build, mutant):
    for name, report in REPORTS[mutant]:
        for seed in SEEDS[:3]:
            done = run(build(name), seed, mutant)
            assert done.returncode != 0
            assert re.search(report, done.stdout + done.stderr), done.stdout + done.stderr


@pytest.mark.parametrize(
    "mutant", ["pinned_buffer_reused", "result_read_too_early", "streams_not_ordered"]
)
def test_work_that_is_waited_for_too_late_gives_wrong_numbers_where_it_waits(build, mutant):
    results = [run(build("plain"), seed, mutant).returncode for seed in (0, 1)]
    assert results == [0, 1]


def test_every_mutant_is_expected_to_be_reported():
    names = re.findall(r"M\((\w+)\)", (EMULATOR / "checks.cu").read_text())
    assert sorted(names) == sorted(["none", *REPORTS])
