"""docs/tables.md: its code, and the summary that it shows."""

import pathlib
import re

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "tables.md"


def test_the_code_of_the_page_runs():
    """Its assertions hold, and the summary is that of its model."""
    text = PAGE.read_text()
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    names = {}
    for language, code in blocks:
        if language == "python":
            exec(compile(code, "docs/tables.md", "exec"), names)
    assert len([language for language, _ in blocks if language == "python"]) == 4
    shown = next(code for language, code in blocks if not language)
    assert str(names["model"].summary()).startswith(shown.rstrip())
