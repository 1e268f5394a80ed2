"""What users have found: each of one kind, with the right value."""

import numpy as np
import pytest
from sklearn import neural_network

from fastmlp import MLPClassifier, MLPRegressor

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

random = np.random.RandomState(0)
X = random.normal(size=(60, 4))
y = (X @ [1.0, -1.0, 0.5, 0.2] > 0).astype(int)


# --- no hidden layer -----------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "lbfgs"}, {"solver": "sgd", "learning_rate": "adaptive"},
     {"early_stopping": True, "alpha": 0.1}, {"batch_size": 7, "shuffle": False}],
    ids=str,
)  # fmt: skip
def test_without_hidden_layers_the_model_is_scikit_learns(activation, parameters):
    parameters = {"hidden_layer_sizes": (), "max_iter": 5, "random_state": 0} | parameters
    for name, target in (("MLPClassifier", y), ("MLPClassifier", y + (X[:, 0] > 1)),
                         ("MLPRegressor", X[:, 0] - X[:, 1])):  # fmt: skip
        Ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name]
        ours = Ours(activation=activation, **parameters).fit(X, target)
        theirs = getattr(neural_network, name)(activation=activation, **parameters).fit(X, target)
        np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(ours.intercepts_[0], theirs.intercepts_[0], rtol=1e-6, atol=1e-9)
