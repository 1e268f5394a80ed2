"""Accuracy of default parameters on tables as they come, beside gradient-boosted trees.

``python -m benchmarks.tabular`` takes scikit-learn's bundled tables; ``--tables FOLDER`` those of a
folder with ``manifest.json``, a list of entries with name, file, task ("binary", "multiclass" or
"regression"), target and categorical (names of columns), and perhaps core (whether the defaults
were tuned on it). ``--out FILE`` writes the page.

For each table and split: a random fifth, stratified by class, is the test set, of at most 10,000
rows drawn at random. Nothing is prepared: frames with missing cells and columns of dtype category.
One thread. The error is that of the classes, or the root mean squared error over the standard
deviation of the test targets; means over tables are geometric, of errors shifted by 0.01.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from fastmlp import TabularMLPClassifier, TabularMLPRegressor

ROWS, SPLITS, SHIFT = 10_000, 3, 0.01
BUNDLED = {
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}
OURS, TREES = "TabularMLP", "HistGradientBoosting"


def bundled():
    """(name, X, y, whether y are classes, whether the defaults were tuned on it) of each table."""
    for name, load in BUNDLED.items():
        X, y = load(return_X_y=True, as_frame=True)
        yield name, X, y.to_numpy(), name != "diabetes", False


def of_folder(folder):
    import pandas as pd

    for entry in json.loads((folder / "manifest.json").read_text()):
        classify = entry["task"] != "regression"
        texts = [*entry["categorical"], *([entry["target"]] if classify else [])]
        frame = pd.read_csv(
            folder / entry["file"],
            dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=[""],
        )  # fmt: skip
        X, y = frame.drop(columns=entry["target"]), frame[entry["target"]].to_numpy()
        X = X.astype(dict.fromkeys(entry["categorical"], "category"))
        yield entry["name"], X, y, classify, bool(entry.get("core"))


def estimators(classify, seed):
    """The two, with default parameters."""
    if classify:
        return {
            OURS: TabularMLPClassifier(random_state=seed, n_jobs=1),
            TREES: HistGradientBoostingClassifier(
                categorical_features="from_dtype", random_state=seed
            ),
        }
    return {
        OURS: TabularMLPRegressor(random_state=seed, n_jobs=1),
        TREES: HistGradientBoostingRegressor(categorical_features="from_dtype", random_state=seed),
    }


def measure(X, y, classify, seed):
    """{estimator: (error, log-loss or NaN, CPU seconds of the fit)} on one split."""
    n = min(len(y), ROWS)
    train, test = train_test_split(
        np.arange(len(y)), train_size=n - n // 5, test_size=n // 5, random_state=seed,
        stratify=y if classify else None,
    )  # fmt: skip
    results = {}
    for name, model in estimators(classify, seed).items():
        start = time.process_time()
        model.fit(X.iloc[train], y[train])
        seconds = time.process_time() - start
        predicted, truth = model.predict(X.iloc[test]), y[test]
        if classify:
            loss = log_loss(truth, model.predict_proba(X.iloc[test]), labels=model.classes_)
            results[name] = np.mean(predicted != truth), loss, seconds
        else:
            error = np.sqrt(np.mean((predicted - truth) ** 2)) / np.std(truth)
            results[name] = error, np.nan, seconds
    return results


def ratio(ours, theirs, shift):
    """The geometric mean of our figures over theirs."""
    logs = np.log(np.asarray(ours) + shift) - np.log(np.asarray(theirs) + shift)
    return float(np.exp(np.nanmean(logs)))


def line(name, rows, d, classify, figures):
    """A table's line of the page."""
    error, loss, seconds = (
        {who: [split[who][i] for split in figures] for who in (OURS, TREES)} for i in range(3)
    )
    cells = [name, rows, d, "classes" if classify else "values"]
    cells += [f"{np.mean(error[who]):.4f}" for who in (OURS, TREES)]
    cells.append(f"{ratio(error[OURS], error[TREES], SHIFT):.2f}")
    if classify:
        cells += [f"{np.mean(loss[who]):.4f}" for who in (OURS, TREES)]
        cells.append(f"{ratio(loss[OURS], loss[TREES], 0):.2f}")
    else:
        cells += ["", "", ""]
    cells += [f"{np.mean(seconds[who]):.1f}" for who in (OURS, TREES)]
    return "| " + " | ".join(map(str, cells)) + " |"


def summary(title, kept):
    """The means over some tables, each a list of figures per split."""
    errors = [ratio(*_columns(splits, 0), SHIFT) for _, splits in kept]
    losses = [ratio(*_columns(splits, 1), 0) for classify, splits in kept if classify]
    seconds = np.mean([split[OURS][2] for _, splits in kept for split in splits])
    mean_loss = f"{np.exp(np.mean(np.log(losses))):.3f}" if losses else "-"
    return (
        f"| {title} | {len(kept)} | {np.exp(np.mean(np.log(errors))):.3f} | {mean_loss} | "
        f"{seconds:.1f} |"
    )


def _columns(splits, i):
    return [split[OURS][i] for split in splits], [split[TREES][i] for split in splits]


def main():
    """Print a page in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular", description=__doc__)
    parser.add_argument("--tables", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FILE")
    parser.add_argument("--splits", type=int, default=SPLITS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [
        f"Error and log-loss of `{OURS}` and `{TREES}`, both with default parameters, and their",
        f"ratios (below 1: `{OURS}` is better); CPU seconds of a fit. Made by "
        "`python -m benchmarks.tabular`.",
        "",
        "| table | rows | columns | y | error | trees | ratio | log-loss | trees | ratio "
        "| s | trees |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    kept = {True: [], False: []}
    with threadpool_limits(1):
        for tables in [bundled(), *([of_folder(arguments.tables)] if arguments.tables else [])]:
            for name, X, y, classify, tuned in tables:
                splits = [measure(X, y, classify, seed) for seed in range(arguments.splits)]
                kept[tuned].append((classify, splits))
                mark = " (tuned on)" if tuned else ""
                lines.append(line(name + mark, min(len(y), ROWS), X.shape[1], classify, splits))
                print(lines[-1], flush=True)
    lines += ["", "| geometric means | tables | error ratio | log-loss ratio | s |",
              "|---|---|---|---|---|"]  # fmt: skip
    for tuned, title in ((True, "tuned on"), (False, "not tuned on")):
        if kept[tuned]:
            lines.append(summary(title, kept[tuned]))
    lines.append(summary("all", kept[True] + kept[False]))
    page = "\n".join(lines) + "\n"
    print(page)
    if arguments.out:
        arguments.out.write_text(page)


if __name__ == "__main__":
    main()
