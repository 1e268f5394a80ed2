"""Multi-layer perceptrons with scikit-learn's interface on a compiled core.

``from fastmlp import MLPClassifier, MLPRegressor`` takes the place of the same import from
``sklearn.neural_network`` and trains the same model from the same seed.
"""

from importlib.metadata import version

from fastmlp._convert import from_sklearn
from fastmlp._linear import Adaline, Perceptron
from fastmlp._mlp import MLPClassifier, MLPRegressor
from fastmlp._saving import load

__all__ = [
    "Adaline",
    "MLPClassifier",
    "MLPRegressor",
    "Perceptron",
    "__version__",
    "from_sklearn",
    "load",
]

__version__ = version("fastmlp")
