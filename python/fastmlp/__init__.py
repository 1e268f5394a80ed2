"""Multi-layer perceptrons with scikit-learn's interface on a compiled core.

``from fastmlp import MLPClassifier, MLPRegressor`` takes the place of the same import from
``sklearn.neural_network`` and trains the same model from the same seed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastmlp.core.device import DeviceError
from fastmlp.estimators.adaline import Adaline
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.perceptron import Perceptron
from fastmlp.estimators.regressor import MLPRegressor
from fastmlp.estimators.tabular_classifier import TabularMLPClassifier
from fastmlp.estimators.tabular_regressor import TabularMLPRegressor
from fastmlp.exchange.model_files import load
from fastmlp.exchange.onnx_pipelines import to_onnx
from fastmlp.exchange.registry import ESTIMATORS, registered_class
from fastmlp.exchange.sklearn import from_sklearn
from fastmlp.training.distributed import distributed

if TYPE_CHECKING:  # see __getattr__
    from fastmlp.core.config import show_config
    from fastmlp.estimators.autoencoder import MLPAutoencoder
    from fastmlp.estimators.recurrent_classifier import RNNClassifier
    from fastmlp.estimators.recurrent_regressor import RNNRegressor

__all__ = [
    "Adaline",
    "DeviceError",
    "MLPAutoencoder",
    "MLPClassifier",
    "MLPRegressor",
    "Perceptron",
    "RNNClassifier",
    "RNNRegressor",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
    "__version__",
    "distributed",
    "from_sklearn",
    "load",
    "show_config",
    "to_onnx",
]

__version__: str

_ROOMS = ("inspection", "playground")  # which most programs do without


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"fastmlp.{name}")
    if name == "show_config":
        return import_module("fastmlp.core.config").show_config
    if name in ESTIMATORS:
        return registered_class(name)
    if name == "__version__":  # looking it up takes longer than all else here
        from importlib.metadata import version

        return version("fastmlp")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
