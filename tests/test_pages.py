"""The code of the documentation: of its pages, and in docstrings."""

import doctest
import importlib
import pathlib
import pkgutil

import pytest

import fastmlp
import fastmlp.inspection
import fastmlp.playground

DOCS = pathlib.Path(__file__).parent.parent / "docs"
NEEDS = {
    "callbacks": ["sklearn.callback"],
    "chunks": ["pyarrow", "dask"],
    "searches": ["distributed"],
}
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# the other pages have tests of their own
@pytest.mark.parametrize(("name", "examples"), [
    ("quick-start", 19), ("settings", 5), ("callbacks", 12), ("reproducibility", 10),
    ("keras-and-pytorch", 8), ("faq", 6), ("sequences", 18), ("chunks", 40),
    ("searches", 12),
])  # fmt: skip
def test_the_page_says_what_happens(name, examples, tmp_path, monkeypatch):
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(
        str(DOCS / f"{name}.md"), module_relative=False, optionflags=FLAGS
    )
    assert tried >= examples
    assert failed == 0


def test_examples_in_docstrings(tmp_path, monkeypatch):
    for package in ("onnx", "skl2onnx"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    tried = 0
    for found in pkgutil.walk_packages(fastmlp.__path__, "fastmlp."):
        if found.name.startswith(("fastmlp.app", "fastmlp._", "fastmlp.exchange.torch_modules")):
            continue
        results = doctest.testmod(importlib.import_module(found.name), optionflags=FLAGS)
        assert results.failed == 0, found.name
        tried += results.attempted
    assert tried >= 160


@pytest.mark.parametrize("module", [fastmlp, fastmlp.inspection, fastmlp.playground])
def test_the_reference_has_every_public_name(module):
    listed = (DOCS / "api.rst").read_text(encoding="utf-8").split()
    assert {name for name in module.__all__ if not name.startswith("_")} <= set(listed)
