"""What some options are worth: accuracy and CPU time of fits on scikit-learn's bundled data.

``python -m benchmarks.options`` repeats a 5-fold cross-validation with ten shuffles of the rows.
The options were chosen with other shuffles (seeds 0 to 19).
"""

import time
import warnings

import numpy as np
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from fastmlp import MLPClassifier

SEEDS = range(20, 30)
DATA = {
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
}
SHOWN = {
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": 50,
    "batch_size": 32,
    "label_smoothing": 0.1,
}
VARIANTS = {
    "scikit-learn's MLPClassifier": (neural_network.MLPClassifier, {}),
    "default parameters": (MLPClassifier, {}),
    "early_stopping=True": (MLPClassifier, {"early_stopping": True}),
    "batch_size=32": (MLPClassifier, {"batch_size": 32}),
    "README's options": (MLPClassifier, SHOWN),
    "without label_smoothing": (MLPClassifier, {**SHOWN, "label_smoothing": 0.0}),
    "default parameters, label_smoothing=0.1": (MLPClassifier, {"label_smoothing": 0.1}),
    "with solver='adamw'": (MLPClassifier, {**SHOWN, "solver": "adamw"}),
    "with dropout=0.2": (MLPClassifier, {**SHOWN, "dropout": 0.2}),
}


def measure(make, options, X, y):
    """Accuracy and its standard deviation over the seeds, log loss, CPU milliseconds per fit."""
    accuracies, losses, seconds = [], [], []
    for seed in SEEDS:
        model = make_pipeline(StandardScaler(), make(random_state=seed, **options))
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        start = time.process_time()
        scores = cross_validate(model, X, y, cv=folds, scoring=["accuracy", "neg_log_loss"])
        seconds.append((time.process_time() - start) / 5)
        accuracies.append(100 * scores["test_accuracy"].mean())
        losses.append(-scores["test_neg_log_loss"].mean())
    return np.mean(accuracies), np.std(accuracies), np.mean(losses), 1000 * np.mean(seconds)


def main():
    """Print a table in Markdown."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| options | data | accuracy, % | log loss | CPU ms per fit |\n|---|---|---|---|---|")
    with threadpool_limits(1):
        for data, load in DATA.items():
            X, y = load(return_X_y=True)
            for name, (make, options) in VARIANTS.items():
                mean, deviation, loss, milliseconds = measure(make, options, X, y)
                print(
                    f"| {name} | {data} | {mean:.1f} ± {deviation:.1f} | {loss:.3f} | "
                    f"{milliseconds:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
