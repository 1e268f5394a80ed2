"""The playground, with a user's table or without."""

from pathlib import Path

from fastmlp.app.tables import TableError, read_table
from fastmlp.app.targets import as_problem
from fastmlp.playground.own_table import OwnTable
from fastmlp.playground.server import PortTaken
from fastmlp.playground.start import serve


def run(path: Path | None, target: str | None, port: int, open_browser: bool) -> None:
    """Serve the page until Ctrl-C.

    Raises
    ------
    TableError
        The table cannot be used, or the port is taken.
    """
    own = None if path is None else own_table(path, target)
    try:
        serve(own, port=port, open_browser=open_browser, block=True)
    except PortTaken as error:
        raise TableError(f"--port: {error}") from error


def own_table(path: Path, target: str | None) -> OwnTable:
    """The table in a file.

    Raises
    ------
    TableError
        It cannot be used.
    """
    problem = as_problem(read_table(path), target, "auto")
    for note in problem.table.notes:
        print(f"- {note}")
    try:
        return OwnTable(
            problem.X,
            problem.y,
            name=path.name,
            target=problem.target,
            task="classification" if problem.classify else "regression",
            code=("import pandas as pd", "", *problem.table.code),
        )
    except (ValueError, TypeError) as error:
        raise TableError(f"{path}: {error}") from error
