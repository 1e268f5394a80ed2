"""``python -m tests.digest DEVICE``: small trainings that take every kernel, a digest of each.

Two runs print the same lines if not a bit depends on the order in which threads come.
"""

import hashlib
import sys
import warnings

import numpy as np
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPClassifier, MLPRegressor

COMMON = {"max_iter": 4, "random_state": 0}
TRAININGS = {
    "narrow": (MLPClassifier, {"hidden_layer_sizes": (19, 7)}),
    "one layer": (MLPClassifier, {"hidden_layer_sizes": ()}),
    "dropout": (
        MLPClassifier,
        {"hidden_layer_sizes": (20, 20), "activation": "gelu", "dropout": 0.3},
    ),
    "limits": (
        MLPClassifier,
        {"hidden_layer_sizes": (30,), "clip_norm": 0.5, "max_norm": 1.0, "solver": "sgd"},
    ),
    "slopes and pieces": (
        MLPRegressor,
        {"hidden_layer_sizes": (33, 8), "activation": ["prelu", "maxout"], "l1": 1e-3},
    ),
    "wide": (MLPClassifier, {"hidden_layer_sizes": (300, 129), "batch_size": 100}),
}
PRECISIONS = ("tf32", "bfloat16")  # of the wide one on a device, besides its own


def trainings(device):
    """Name, estimator and data of each."""
    rng = np.random.RandomState(0)
    X = rng.randn(230, 37)
    y = {MLPClassifier: rng.randint(5, size=230), MLPRegressor: rng.randn(230, 2)}
    where = {} if device == "cpu" else {"device": device}
    for name, (Estimator, options) in TRAININGS.items():
        for dtype in (np.float32, np.float64):
            model = Estimator(**COMMON, **options, **where)
            yield f"{name}, {np.dtype(dtype)}", model, X.astype(dtype), y[Estimator]
    sparse = scipy.sparse.random(230, 60, 0.1, "csr", np.float32, random_state=rng)
    yield "sparse", MLPClassifier((9,), **COMMON, **where), sparse, y[MLPClassifier]
    for precision in PRECISIONS if where else ():
        Estimator, options = TRAININGS["wide"]
        model = Estimator(**COMMON, **options, **where, precision=precision)
        yield f"wide, {precision}", model, X.astype(np.float32), y[Estimator]


def main(device):
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, model, X, y in trainings(device):
        model.fit(X, y)
        arrays = [*model.coefs_, *model.intercepts_, model.predict(X), model.loss_curve_]
        bits = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
        print(f"{name}: {hashlib.sha256(bits).hexdigest()}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
