"""What show_config tells of the build and of the machine."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

import fastmlp
from fastmlp import _native
from fastmlp.core import config as config_module
from fastmlp.core.threads import n_threads

ENGINES = _native.engines()


def show(**environment):
    run = [sys.executable, "-c", "import fastmlp; fastmlp.show_config()"]
    return subprocess.run(run, env={**os.environ, **environment}, capture_output=True, text=True,
                          check=True).stdout  # fmt: skip


def test_the_values_are_those_of_the_core_and_the_environment():
    config = fastmlp.show_config(mode="dicts")
    assert config["engine"] == _native.engine()
    assert config["error"] is None
    assert list(config["engines"]) == list(ENGINES)
    for name, (device, lack) in ENGINES.items():
        found = config["engines"][name]
        assert (found["device"], found["lacks"], found["available"]) == (device, lack, not lack)
        assert found["card"] == (None if lack or device == "cpu" else _native.card(name))
    assert config["threads"] == n_threads(None)
    assert re.match(r"(GCC|Clang) \d+\.\d", config["build"]["compiler"])
    assert config["build"]["openmp"] or _native.max_threads() == 1
    for package in ("fastmlp", "numpy", "scipy", "scikit-learn"):
        assert config["versions"][package] == version(package)
    assert config["versions"]["python"] == platform.python_version()
    with pytest.raises(ValueError, match=r"mode must be 'stdout' or 'dicts'\. Got 'json'"):
        fastmlp.show_config("json")


def test_what_is_printed_has_all_of_it(capsys):
    assert fastmlp.show_config() is None
    text = capsys.readouterr().out
    for name, (device, lack) in ENGINES.items():
        line = re.search(rf"^    {name} .*$", text, re.M).group()
        assert f" {device} " in line
        assert ("not available" in line) == bool(lack)
    assert f"    threads: {n_threads(None)}\n" in text
    assert "    BLAS: none (kernels of its own)\n" in text
    assert f"    scikit-learn: {version('scikit-learn')}\n" in text
    assert f"    compiler: {_native.BUILD['compiler']}\n" in text


def test_a_gpu_and_its_absence(monkeypatch, capsys):
    """As machines have them that this one is not."""

    def printed(**engines):
        monkeypatch.setattr(_native, "engines", lambda: {"generic": ("cpu", None), **engines})
        monkeypatch.setattr(_native, "card", lambda name: f"{name.upper()}'s card")
        assert config_module.show_config() is None
        return capsys.readouterr().out

    assert "cuda     cuda  not in this build, made without FASTMLP_CUDA=ON\n" in printed()
    assert "    cuda     cuda  available: CUDA's card\n" in printed(cuda=("cuda", None))
    lacking = printed(cuda=("cuda", "no driver"))
    assert "    cuda     cuda  not available: no driver\n" in lacking
    assert "card" not in lacking


def test_it_says_what_is_wrong_with_a_forced_engine():
    assert "    engine: generic, as FASTMLP_ENGINE says\n" in show(FASTMLP_ENGINE="generic")
    wrong = show(FASTMLP_ENGINE="avx1024")
    assert "    engine: none. FASTMLP_ENGINE must be one of " in wrong
    assert "    generic " in wrong
