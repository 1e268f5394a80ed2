"""What the command prints of a table: its columns, the scores, what matters, the code."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp.app.drawings import bars
from fastmlp.app.evaluation import (
    CONSTANT,
    LINEAR,
    TREES,
    Result,
    evaluate,
    importances,
    new_model,
    sample_rows,
)
from fastmlp.app.tables import TableError, read_table
from fastmlp.app.targets import FOLDS, Problem, as_problem
from fastmlp.core.text_tables import text_table
from fastmlp.tables.reading import Kind, Table

_MOST_COLUMNS = 40  # that are listed
_MOST_IMPORTANT = 10


def run(path: Path, target: str | None, task: str, save: Path | None) -> None:
    """Evaluate a model of the table in a file, and print how it went.

    Parameters
    ----------
    path : Path
        A file that pandas reads.
    target : str or None
        Its column to predict; None: it is chosen.
    task : {'auto', 'classification', 'regression'}
    save : Path or None
        Where to save the model, fitted to all rows.

    Raises
    ------
    TableError
        Says why the table cannot be used, or the model not be saved.
    """
    if save is not None and (save.is_dir() or not save.parent.is_dir()):
        what = "is a folder" if save.is_dir() else f"there is no folder {save.parent}"
        raise TableError(f"--save: {save} cannot be written: {what}")
    problem = as_problem(read_table(path), target, task)
    print(_headline(problem))
    print(f"\n{_list_columns(problem.X)}\n", flush=True)
    results = _evaluate(problem)
    print(f"\n{_verdict(results)}")
    print(f"\n{_what_matters(problem, results[-1])}")
    if save is not None:
        _save(problem, save)
    print("\nThe same in Python:\n")
    print("\n".join(f"    {line}".rstrip() for line in python_code(problem, save)))
    print(f"\nWhere to go next:\n{_next_steps(path, target, task, save)}")


def python_code(problem: Problem, save: Path | None) -> list[str]:
    """The lines of Python that fit the same model, and save it."""
    name = type(new_model(problem)).__name__
    table = problem.table
    return [
        "import pandas as pd",
        f"from fastmlp import {name}",
        "",
        *table.code,
        f"model = {name}(random_state=0).fit(frame, y)",
        *([f"model.save({str(save)!r})"] if save is not None else []),
    ]


def _headline(problem: Problem) -> str:
    """The file, the target and what is worth telling of the two."""
    X, y, table = problem.X, problem.y, problem.table
    lines = [f"{table.path.name}: {_count(len(y), 'row')}, {_count(X.shape[1], 'feature')}"]
    chosen = f" ({problem.chosen})" if problem.chosen else ""
    if problem.classify:
        shares = y.value_counts(normalize=True)
        shown = ", ".join(
            f"{_short(str(label), 16)} {100 * s:.3g} %" for label, s in shares.iloc[:3].items()
        )
        what = f"{len(shares)} classes: {shown}{', ...' if len(shares) > 3 else ''}"
    else:
        what = f"regression: {y.min():.6g} to {y.max():.6g}, mean {y.mean():.6g}"
    lines.append(f"target {problem.target!r}{chosen}, {what}")
    return "\n".join([*lines, *(f"- {note}" for note in table.notes)])


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}{'' if n == 1 else 's'}"


# --- columns -------------------------------------------------------------------------------------


def _list_columns(X: Any) -> str:
    """A line for each column: what it is, how much is missing, which values it has."""
    table = Table(X)
    rows = [("feature", "kind", "missing", "different", "values")]
    for i, name in enumerate(X.columns[:_MOST_COLUMNS]):
        column, kind = X[name], table.kind(i)
        missing = column.isna().mean()
        rows.append(
            (
                _short(name, 24),
                kind.value,
                f"{100 * missing:.1f} %" if missing else "-",
                str(column.nunique()),
                _values(table, i, kind),
            )
        )
    lines = text_table(rows, "<<>><")
    if X.shape[1] > _MOST_COLUMNS:
        lines.append(f"... and {X.shape[1] - _MOST_COLUMNS} more")
    return "\n".join(lines)


def _values(table: Table, i: int, kind: Kind) -> str:
    """The range of a column's numbers or dates, the most frequent of its categories."""
    if kind is Kind.CATEGORY:
        codes, texts = table.texts(i)
        counts = np.bincount(codes[codes >= 0])
        if len(counts) > 1 and counts.max() == 1:
            return "a different text in each row"
        order = np.argsort(-counts, kind="stable")[:3]
        shown = [f"{_short(texts[j], 12)} {100 * counts[j] / table.n:.0f} %" for j in order]
        return ", ".join(shown)
    values = table.dates(i) if kind is Kind.DATE else table.numbers(i)
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return "none"
    low, high = values.min(), values.max()
    if kind is Kind.DATE:
        unit = "datetime64[D]" if values.dtype.kind == "M" else "timedelta64[s]"
        return f"{low.astype(unit)} to {high.astype(unit)}"
    return f"{low:.6g} to {high:.6g}, median {np.median(values):.6g}"


def _short(text: str, length: int) -> str:
    """A text on one line, and not too long."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


# --- scores --------------------------------------------------------------------------------------


def _evaluate(problem: Problem) -> list[Result]:
    """Evaluate the models, and print the scores of each as soon as they are there."""
    rows = sample_rows(problem)
    of = f"{len(rows)} rows" if len(rows) == len(problem.y) else f"{len(rows)} rows at random"
    score, loss = ("accuracy", "log loss") if problem.classify else ("R2", "RMSE")
    print(f"{FOLDS}-fold cross-validation of {of}: mean ± standard deviation of the folds\n")
    print(f"{'':22}{score:>16}{loss:>20}{'seconds per fit':>18}", flush=True)
    results = []
    try:
        for result in evaluate(problem, rows):
            results.append(result)
            shown = _percent(result) if problem.classify else _spread(result.scores)
            print(
                f"{result.name:<22}{shown:>16}{_spread(result.losses):>20}{result.seconds:>18.2f}",
                flush=True,
            )
    except UserWarning as interrupted:  # of which evaluate makes an error
        raise KeyboardInterrupt from interrupted
    except (ValueError, TypeError) as error:  # in the words of the estimators
        raise TableError(f"{problem.table.path}: {str(error).partition(chr(10))[0]}") from error
    return results


def _percent(result: Result) -> str:
    return f"{100 * result.scores.mean():.1f} ± {100 * result.scores.std():.1f} %"


def _spread(values: Any) -> str:
    """Mean and standard deviation, with as many digits as say something."""
    mean = values.mean()
    digits = int(np.clip(3 - np.floor(np.log10(abs(mean) or 1)), 0, 3))
    return f"{mean:.{digits}f} ± {values.std():.{digits}f}"


def _verdict(results: list[Result]) -> str:
    """Which model to take, by what the folds can tell apart."""
    by_name = {result.name: result for result in results}
    ours = results[-1]
    trees, linear, constant = by_name[TREES], by_name[LINEAR], by_name[CONSTANT]
    # of equal ones the simplest
    best = max((constant, linear, trees), key=lambda result: round(result.scores.mean(), 9))
    if not any(_is_better(result, constant) for result in (trees, linear, ours)):
        return "No model is clearly better than a constant: these columns say little of the target."
    if _is_better(best, ours):
        return f"{best.name} is better on this table: take it."
    if not _is_better(ours, linear):
        return "A linear model is as good here, and simpler: take it."
    if not _is_better(ours, trees):
        return f"{ours.name} and {TREES} do not clearly differ on this table."
    return f"{ours.name} is the best of them on this table."


def _is_better(one: Result, other: Result) -> bool:
    """Whether the mean difference over the folds is more than two standard errors."""
    gains = one.scores - other.scores
    return bool(gains.mean() > 2 * gains.std(ddof=1) / np.sqrt(len(gains)))


def _what_matters(problem: Problem, result: Result) -> str:
    """The columns that the score falls most without."""
    found = importances(problem, result)
    what = "accuracy falls, in points," if problem.classify else "R2 falls"
    factor, digits = (100, 1) if problem.classify else (1, 3)
    names = [_short(name, 24) for name, _ in found[:_MOST_IMPORTANT]]
    falls = [factor * fall for _, fall in found[:_MOST_IMPORTANT]]
    title = f"The columns that matter most: how much {what} when one is shuffled"
    return f"{title}\n\n{bars(names, falls, digits)}"


def _save(problem: Problem, path: Path) -> None:
    """Fit to all rows, and save the model."""
    model = new_model(problem).fit(problem.X, problem.y)
    try:
        model.save(path)
    except OSError as error:
        raise TableError(f"--save: {error}") from error
    units = [weights.shape[0] for weights in model.estimators_[0].coefs_]
    sizes = "-".join(map(str, [*units, model.estimators_[0].n_outputs_]))
    print(
        f"\nSaved {path}: {len(model.estimators_)} networks {sizes}, "
        f"fitted to all {len(problem.y)} rows."
    )


def _next_steps(path: Path, target: str | None, task: str, save: Path | None) -> str:
    """The commands and pages that follow from here."""
    command = "python -m fastmlp"
    steps = []
    if save is None:
        chosen = f" --target {shlex.quote(target)}" if target else ""
        chosen += f" --task {task}" if task != "auto" else ""
        data = shlex.quote(str(path))
        steps.append(("save the model", f"{command} --data {data}{chosen} --save model.fastmlp"))
    model = shlex.quote(str(save or "model.fastmlp"))
    steps.append(("predict new rows", f"{command} predict {model} NEW_FILE --out predictions.csv"))
    return "\n".join(f"    {what:<18}{how}" for what, how in steps)
