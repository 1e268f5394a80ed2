"""README.md as a package index shows it: its links lead somewhere, and its code runs."""

import pathlib
import re

import pytest
from benchmarks.options import SHOWN

FOLDER = pathlib.Path(__file__).parent.parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_links_are_absolute_and_lead_to_files_of_the_repository():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 5
    for link in links:
        match = re.fullmatch(
            r"https://(?:github\.com/fastmlp/fastmlp/blob|"
            r"raw\.githubusercontent\.com/fastmlp/fastmlp)/main/(.+)",
            link,
        )
        assert match, link
        assert (FOLDER / match[1]).is_file(), link


def test_the_code_runs_and_shows_the_options_that_were_measured():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(block, names)
    scores = names["cross_val_score"](names["clf"], names["X"] / 16, names["y"])
    assert scores.mean() > 0.93
    shown = names["clf"].get_params()
    assert {name: shown[name] for name in SHOWN} == SHOWN
    assert names["clf"].set_params(**SHOWN) is names["clf"]
    changed = {name for name, value in type(names["clf"])().get_params().items()
               if shown[name] != value}  # fmt: skip
    assert changed == set(SHOWN)


@pytest.mark.parametrize("page", ["README.md", *(
    str(path.relative_to(FOLDER)) for path in sorted((FOLDER / "docs").glob("*.md")))])  # fmt: skip
def test_relative_links_of_the_pages_lead_to_files(page):
    text = (FOLDER / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert ((FOLDER / page).parent / link).exists(), link
