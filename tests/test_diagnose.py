"""What is recorded of layers and epochs, and what a diagnosis makes of a network."""

import warnings

import matplotlib
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_classification, make_moons
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler, scale

from fastmlp import MLPClassifier, MLPRegressor, load
from fastmlp.estimators.base import Labels
from fastmlp.estimators.constant import constant_loss
from fastmlp.inspection import Finding, GradientFlowDisplay, diagnose

from . import reference

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:The MLP.* has learned nothing"
)
matplotlib.use("agg")

digits, digit = load_digits(return_X_y=True)
digits, digit = digits[:600] / 16, digit[:600]
iris, flower = load_iris(return_X_y=True)
flowers = scale(iris)
patients, progression = load_diabetes(return_X_y=True)
patients, progression = scale(patients), scale(progression)


def bits(estimator):
    return [array.tobytes() for array in (*estimator.coefs_, *estimator.intercepts_)]


# --- diagnostics ---------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "prelu", ("maxout", "relu")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_diagnostics_are_those_of_the_oracle(activation, dtype):
    """Over one step: its rows are the sample."""
    parameters = {"hidden_layer_sizes": (5, 4), "activation": activation, "alpha": 0.1}
    X, y = flowers[40:72].astype(dtype) * 3, flower[40:72]
    order = np.arange(32)
    np.random.RandomState(1).shuffle(order)
    start = MLPClassifier(**parameters, random_state=0, solver="sgd", learning_rate_init=1e-9)
    start.fit(X, y, X_val=None)
    model = clone(start).set_params(
        max_iter=1, diagnostics=True, learning_rate_init=0.5, warm_start=True, shuffle=False,
        init=start.coefs_ and [a for pair in zip(start.coefs_, start.intercepts_, strict=True)
                               for a in pair],
    ).fit(X, y)  # fmt: skip
    found = model.diagnostics_
    blocks = [a.astype(float) for pair in zip(model.coefs_, model.intercepts_, strict=True)
              for a in pair]  # fmt: skip
    blocks += [a.astype(float) for a in getattr(model, "activation_slopes_", []) if a is not None]
    Y = (y[:, None] == np.unique(y)).astype(float)
    if Y.shape[1] == 2:
        Y = Y[:, 1:]
    gradient = reference.gradient(
        blocks, model._hidden_layers, model._trained_loss, X.astype(float), Y, np.ones(32), 0.1
    )
    slopes = iter(gradient[6:])
    squares = [(gradient[2 * i] ** 2).sum() + (gradient[2 * i + 1] ** 2).sum() for i in range(3)]
    if activation == "prelu":
        squares = [s + (next(slopes) ** 2).sum() if i < 2 else s for i, s in enumerate(squares)]
    rtol = 1e-4 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(found["gradient_norm"], [np.sqrt(squares)], rtol=rtol)
    ratios = [np.std(b - a) / np.std(b) for a, b in zip(start.coefs_, model.coefs_, strict=True)]
    np.testing.assert_allclose(found["update_ratio"], [ratios], rtol=1e-3)
    outputs = reference.hidden_outputs(blocks, model._hidden_layers, X.astype(float))
    names = [layer.activation for layer in model._hidden_layers]
    dead = [(a == 0).all(axis=0).mean() if n == "relu" else 0 for n, a in zip(names, outputs)]
    low_high = {"tanh": (-0.97, 0.97), "logistic": (0.015, 0.985)}
    saturated = [
        (((a < low) | (a > high)).mean(axis=0) > 0.5).mean()
        for n, a in zip(names, outputs)
        for low, high in [low_high.get(n, (-np.inf, np.inf))]
    ]
    assert found["dead"].tolist() == [[*dead, 0]]
    assert found["saturated"].tolist() == [[*saturated, 0]]
