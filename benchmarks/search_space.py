"""What a random search finds: docs/settings.md's search space on scikit-learn's bundled data.

``python -m benchmarks.search_space`` compares default parameters, two choices of ours
and those that RandomizedSearchCV finds, on five outer folds that the search has not seen.
"""

import time
import warnings

import numpy as np
from scipy.stats import loguniform
from sklearn import datasets
from sklearn.base import clone, is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, RandomizedSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from fastmlp import MLPClassifier, MLPRegressor

SEEDS = range(3)
N_CANDIDATES = 24
FIRST = {
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": 50,
    "batch_size": 32,
    "alpha": 0.1,
}
LBFGS = {"solver": "lbfgs", "alpha": 1.0}
SPACE = {
    "learning_rate_init": loguniform(1e-3, 3e-2),
    "alpha": loguniform(1e-5, 1),
    "hidden_layer_sizes": [(50,), (100,), (200,), (100, 100)],
    "activation": ["relu", "tanh", "gelu"],
    "batch_size": [16, 32, 64],
    "dropout": [0.0, 0.2],
}
DATA = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    "diabetes": datasets.load_diabetes,
}


def compare(X, y, network, seed):
    """Scores and CPU seconds of each choice and of the search, means over the outer folds."""
    model = make_pipeline(StandardScaler(), network(random_state=seed))
    if is_classifier(model):
        prefix, Folds, scoring = "mlpclassifier__", StratifiedKFold, ["accuracy", "neg_log_loss"]
    else:
        prefix, Folds, scoring = "regressor__mlpregressor__", KFold, ["r2"]
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    inner, outer = (Folds(n, shuffle=True, random_state=seed) for n in (3, 5))
    space = {prefix + name: values for name, values in SPACE.items()}
    for options, search in (({}, False), (FIRST, False), (LBFGS, False), (FIRST, True)):
        candidate = clone(model).set_params(**{prefix + k: value for k, value in options.items()})
        if search:
            candidate = RandomizedSearchCV(
                candidate, space, n_iter=N_CANDIDATES, scoring=scoring[-1], cv=inner,
                random_state=seed,
            )  # fmt: skip
        start = time.process_time()
        scores = cross_validate(candidate, X, y, cv=outer, scoring=scoring)
        seconds = (time.process_time() - start) / 5
        yield [scores[f"test_{name}"].mean() for name in scoring], seconds


def main():
    """Print a table in Markdown."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| data | default | first | lbfgs | found | CPU s per search |")
    print("|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for name, load in DATA.items():
            X, y = load(return_X_y=True)
            network = MLPRegressor if name == "diabetes" else MLPClassifier
            runs = [list(compare(X, y, network, seed)) for seed in SEEDS]
            cells = []
            for variant in zip(*runs, strict=True):
                score, *loss, seconds = np.mean([[*scores, taken] for scores, taken in variant], 0)
                cells.append(f"{score:.3f}" + "".join(f" ({-value:.3f})" for value in loss))
            print(f"| {name} | {' | '.join(cells)} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
