"""How well a table is predicted: the estimators beside three others on the same folds."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastmlp.app.tables import import_pandas
from fastmlp.app.targets import FOLDS, Problem
from fastmlp.core.typing import Array
from fastmlp.estimators.tabular_classifier import TabularMLPClassifier
from fastmlp.estimators.tabular_regressor import TabularMLPRegressor
from fastmlp.tables.reading import Kind, Table

_MOST_ROWS = 20_000  # in the cross-validation
_MOST_SHUFFLED_ROWS = 1_000
_MOST_LEVELS = 254  # what HistGradientBoosting takes, but for one
_LARGEST = 1e30  # beyond it squares overflow

TREES = "HistGradientBoosting"
LINEAR = "linear model"
CONSTANT = "constant"


@dataclass
class Result:
    """The scores of a model on each fold.

    Attributes
    ----------
    name : str
    scores, losses : ndarray of shape (n_folds,)
        Accuracy and log loss of a classifier, R2 and root mean squared error of a regressor.
    seconds : float
        Mean time of a fit.
    estimators : list of estimator
        Those fitted, one for each fold.
    test_rows : list of ndarray
        The rows that each was not fitted on.
    """

    name: str
    scores: Array
    losses: Array
    seconds: float
    estimators: list[Any]
    test_rows: list[Array]


def new_model(problem: Problem) -> Any:
    """The estimator that this package has for the problem."""
    cls = TabularMLPClassifier if problem.classify else TabularMLPRegressor
    return cls(random_state=0)


def sample_rows(problem: Problem) -> Array:
    """The rows to evaluate on: all, or of a large table as many as take a few minutes."""
    n = len(problem.y)
    if n <= _MOST_ROWS:
        return np.arange(n)
    classes = problem.y if problem.classify else None
    rows: Array
    rows, _ = train_test_split(
        np.arange(n), train_size=_MOST_ROWS, stratify=classes, random_state=0
    )
    if problem.classify:  # a class that is rare in the table may be too rare now
        sampled = problem.y.iloc[rows]
        rows = rows[(sampled.map(sampled.value_counts()) >= FOLDS).to_numpy()]
    return np.sort(rows)


def evaluate(problem: Problem, rows: Array) -> Iterator[Result]:
    """Cross-validate a constant, a linear model, trees and our own, in this order."""
    y = problem.y.iloc[rows]
    X = problem.X.iloc[rows]
    plain = _plain(X)
    splitter = StratifiedKFold if problem.classify else KFold
    folds = list(splitter(FOLDS, shuffle=True, random_state=0).split(X, y))
    if problem.classify:
        scoring = {"score": "accuracy", "loss": "neg_log_loss"}
        constant: Any = DummyClassifier()
        linear: Any = LogisticRegression(max_iter=1000)
        trees = HistGradientBoostingClassifier
    else:
        scoring = {"score": "r2", "loss": "neg_root_mean_squared_error"}
        constant, linear = DummyRegressor(), Ridge()
        trees = HistGradientBoostingRegressor
    ours = new_model(problem)
    for name, model, table in (
        (CONSTANT, constant, plain),
        (LINEAR, make_pipeline(_columns(plain), linear), plain),
        (TREES, trees(categorical_features="from_dtype", random_state=0), plain),
        (type(ours).__name__, ours, X),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # of a fit that is interrupted the model so far would do for a user, not for a score
            warnings.filterwarnings("error", "Training interrupted")
            found = cross_validate(
                model, table, y, cv=folds, scoring=scoring,
                return_estimator=True, error_score="raise",
            )  # fmt: skip
        yield Result(
            name,
            found["test_score"],
            -found["test_loss"],
            float(found["fit_time"].mean()),
            found["estimator"],
            [rows[test] for _, test in folds],
        )


def _plain(X: Any) -> Any:
    """A frame for scikit-learn's models: texts are categories of few levels, dates are numbers."""
    pandas = import_pandas()
    table = Table(X)
    columns = {}
    for i, name in enumerate(X.columns):
        kind = table.kind(i)
        if kind is Kind.CATEGORY:
            codes, texts = table.texts(i)
            levels = np.argsort(-np.bincount(codes[codes >= 0]), kind="stable")[:_MOST_LEVELS]
            place = np.full(len(texts) + 1, -1)  # the last one is what is missing
            place[levels] = np.arange(len(levels))
            columns[name] = pandas.Categorical.from_codes(
                place[codes], categories=[texts[level] for level in levels]
            )
        elif kind is Kind.DATE:
            dates = table.dates(i)
            columns[name] = np.where(np.isnat(dates), np.nan, dates.astype(np.int64) / 1e6)
        else:
            columns[name] = np.clip(table.numbers(i), -_LARGEST, _LARGEST)
    return pandas.DataFrame(columns, index=X.index)


def _columns(plain: Any) -> ColumnTransformer:
    """What a linear model needs: one-hot categories, imputed and scaled numbers."""
    categories = list(plain.select_dtypes("category"))
    numbers = [name for name in plain if name not in set(categories)]
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(impute, StandardScaler()), numbers),
            ("categories", OneHotEncoder(handle_unknown="ignore"), categories),
        ]
    )


def importances(problem: Problem, result: Result) -> list[tuple[str, float]]:
    """The features, and how much the score falls when each is shuffled; the most important first.

    The rows are some that the model was not fitted on.
    """
    rows = result.test_rows[0][:_MOST_SHUFFLED_ROWS]
    X = problem.X.iloc[rows]
    found = permutation_importance(
        result.estimators[0], X, problem.y.iloc[rows], random_state=0,
        n_repeats=5 if X.shape[1] <= 100 else 1,
    )  # fmt: skip
    order = np.argsort(-found.importances_mean, kind="stable")
    return [(X.columns[i], float(found.importances_mean[i])) for i in order]
