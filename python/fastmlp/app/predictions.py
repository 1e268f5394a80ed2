"""Predictions of the rows in a file, by a model from a file."""

import sys
from pathlib import Path
from typing import Any

from fastmlp.app.tables import TableError, import_pandas, read_table
from fastmlp.estimators.tabular import TabularMLP
from fastmlp.exchange.model_files import load


def run(model_path: Path, path: Path, out: Path | None) -> None:
    """Write the predictions of a table's rows as CSV, in the order of the rows.

    Parameters
    ----------
    model_path : Path
        A model that was fitted to a data frame, and saved.
    path : Path
        A table with the columns of that data frame; others do not count.
    out : Path or None
        Where to write; None: standard output.

    Raises
    ------
    TableError
        Says why the model or the table cannot be used.
    """
    model = _load(model_path)
    encodings = [column for column in model.encoder_.columns if column is not None]
    table = read_table(path, encodings)
    for note in table.notes:
        print(f"- {note}", file=sys.stderr)
    missing = [name for name in model.feature_names_in_ if name not in table.frame]
    if missing:
        shown = ", ".join(map(repr, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise TableError(f"{path}: no column {shown}, which {model_path} was fitted to")
    try:
        predictions = _predict(model, table.frame[list(model.feature_names_in_)])
    except (ValueError, TypeError) as error:  # names the column
        raise TableError(f"{path}: {str(error).partition(chr(10))[0]}") from error
    if out is None:
        predictions.to_csv(sys.stdout, index=False)
        return
    try:
        predictions.to_csv(out, index=False)
    except OSError as error:
        raise TableError(f"--out: {error}") from error
    print(f"{len(predictions)} predictions written to {out}")


def _load(path: Path) -> Any:
    """The model in a file."""
    if not path.is_file():
        raise TableError(f"no such file: {path}")
    try:
        model = load(path)
    except (OSError, ValueError) as error:  # names the file
        raise TableError(str(error)) from error
    if not isinstance(model, TabularMLP) or not hasattr(model, "feature_names_in_"):
        raise TableError(
            f"{path}: the model must be one that was fitted to a table with named columns, as "
            f"--save writes them. Got {type(model).__name__}."
        )
    return model


def _predict(model: Any, X: Any) -> Any:
    """The predictions as a data frame."""
    pandas = import_pandas()
    predicted = model.predict(X)
    if predicted.ndim == 1:
        columns = {"prediction": predicted}
    else:  # several quantiles or targets
        columns = {f"prediction_{i}": values for i, values in enumerate(predicted.T)}
    if hasattr(model, "predict_proba"):
        shares = model.predict_proba(X)
        columns |= {f"probability_{label}": shares[:, i] for i, label in enumerate(model.classes_)}
    return pandas.DataFrame(columns)
