"""The pages of the learner's path run, draw, and warn of nothing."""

import pathlib
import runpy
import warnings

import pytest
from threadpoolctl import threadpool_limits

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

GALLERY = pathlib.Path(__file__).parent.parent / "docs" / "gallery"
PAGES = sorted(GALLERY.glob("plot_*.py"))


@pytest.fixture(autouse=True)
def no_figures_left():
    plt.close("all")
    yield
    plt.close("all")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_and_draws(page, capsys, monkeypatch):
    """A warning that a page does not expect, and so switches off itself, is an error."""
    monkeypatch.chdir(GALLERY)  # where it finds its data
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("error")
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.filterwarnings("default", category=category)  # of other packages
        warnings.filterwarnings("error", category=DeprecationWarning, module="fastmlp")
        names = runpy.run_path(str(page))
    assert plt.get_fignums()
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    assert capsys.readouterr().out
    text = names["__doc__"].strip().splitlines()
    assert set(text[1]) == {"="}
    assert len(text[1]) == len(text[0])


def test_every_page_has_its_number_and_says_what_to_try_next():
    assert [page.stem[5:7] for page in PAGES] == [f"{n:02}" for n in range(1, len(PAGES) + 1)]
    for page in PAGES:
        assert "**Try next**" in page.read_text(encoding="utf-8"), page.name
