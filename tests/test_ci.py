"""The scripts for machines with a GPU, as far as one without can tell."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(not (ROOT / ".ci").exists(), reason="not a checkout of the repository")
@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there may be a GPU")
def test_without_a_gpu_there_is_one_clear_line():
    done = subprocess.run([ROOT / ".ci" / "gpu"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "no NVIDIA GPU on this machine\n", "")


def test_two_runs_give_the_same_digests():
    command = [sys.executable, "-m", "tests.digest", "cpu"]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    lines = runs[0].stdout.splitlines()
    assert len(lines) == len({line.split()[-1] for line in lines}) >= 13
