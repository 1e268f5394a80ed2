"""Fitted networks in other runtimes: ONNX, scikit-learn and PyTorch."""

import os
import warnings
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from fastmlp import _native
from fastmlp._base import snapshot
from fastmlp._files import explained, replace_file
from fastmlp._mlp import MLPClassifier, MLPRegressor
from fastmlp._saving import check_network
from fastmlp._typing import Array


@dataclass(frozen=True)
class _Layer:
    """A layer: weight (in, out), bias (out,), and what comes after them.

    `activation` is a hidden layer's, or the link of the output layer; `parameter` the former's,
    of 'prelu' a slope per neuron.
    """

    weight: Array
    bias: Array
    activation: str
    parameter: Any
    pieces: int


def _whole(estimator: Any) -> Any:
    """The estimator as it is now; an error where it is no fitted network."""
    if not isinstance(estimator, MLPClassifier | MLPRegressor):
        raise TypeError(
            f"Expected fastmlp's MLPClassifier or MLPRegressor. Got {type(estimator).__name__}."
        )
    check_is_fitted(estimator)
    fitted = snapshot(estimator)
    with explained("The network is not whole"):
        check_network(fitted)
    return fitted


def _dtype(estimator: Any) -> type[np.floating[Any]]:
    return np.float32 if estimator.coefs_[0].dtype == np.float32 else np.float64


def _layers(estimator: Any, dtype: npt.DTypeLike) -> list[_Layer]:
    """The network that `predict` evaluates."""
    blocks = estimator._blocks(dtype)
    end = 2 * (estimator.n_layers_ - 1)
    slopes = iter(blocks[end:])
    after = [
        (name, next(slopes) if name == "prelu" else parameter, pieces)
        for name, parameter, pieces, _ in estimator._hidden()
    ]
    after.append((_native.LINKS[estimator._loss_name()], 0.0, 1))
    return [
        _Layer(weight, bias, *rest)
        for weight, bias, rest in zip(blocks[0:end:2], blocks[1:end:2], after, strict=True)
    ]


# --- ONNX ----------------------------------------------------------------------------------------

_OPSET = 17
_IR_VERSION = 8  # the format that came with this opset


class _Graph:
    """An ONNX graph in the making; its values are named by numbers."""

    def __init__(self, onnx: Any, dtype: npt.DTypeLike) -> None:
        self.onnx = onnx
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, op: str, *inputs: Any, output: str = "", **attributes: Any) -> str:
        """A new node's output, which may be given its name; inputs are names or constants."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        output = output or f"{op}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(op, names, [output], **attributes))
        return output

    def cast(self, x: str, dtype: npt.DTypeLike, output: str = "") -> str:
        return self.node("Cast", x, to=self.type(dtype), output=output)

    def column(self, x: str, output: str = "") -> str:
        """The only column of a matrix, as a vector."""
        return self.node("Squeeze", x, self.constant([1], np.int64), output=output)

    def type(self, dtype: npt.DTypeLike) -> int:
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def constant(self, value: Any, dtype: npt.DTypeLike | None = None) -> str:
        name = f"constant_{len(self.constants)}"
        array = np.asarray(value, self.dtype if dtype is None else dtype)
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def layer(self, x: str, layer: _Layer) -> str:
        return self.activation(self.node("Gemm", x, layer.weight, layer.bias), layer)

    def activation(self, z: str, layer: _Layer) -> str:
        """What comes after Gemm; of operators that onnxruntime has for both float types."""
        node, p = self.node, layer.parameter
        match layer.activation:
            case "identity":
                return z
            case "logistic":
                return node("Sigmoid", z)
            case "tanh":
                return node("Tanh", z)
            case "softmax":
                return node("Softmax", z, axis=1)
            case "exp":
                return node("Exp", z)
            case "relu":
                return node("Relu", z)
            case "leaky_relu" | "prelu":
                return node("PRelu", z, np.atleast_1d(p))
            case "elu":
                return node("Add", node("Relu", z), self.negative_side(z, p))
            case "selu":
                scale, alpha = 1.0507009873554804934, 1.6732632423543772848
                return node(
                    "Mul", node("Add", node("Relu", z), self.negative_side(z, alpha)), scale
                )
            case "swish":
                # not z Sigmoid(p z), of which onnxruntime 1.19 makes an operator without float64
                return node("Div", z, node("Add", node("Exp", node("Mul", z, -p)), 1))
            case "gelu":
                x = self.cast(node("Mul", z, np.sqrt(0.5)), np.float32)
                erf = self.cast(node("Erf", x), self.dtype)  # onnxruntime's Erf is float32
                return node("Mul", node("Mul", z, 0.5), node("Add", erf, 1))
            case "mish":
                return node("Mul", z, node("Tanh", self.softplus(z)))
            case "softplus":
                return node("Div", self.softplus(node("Mul", z, p)), p)
            case "maxout":
                shape = [-1, layer.pieces, len(layer.bias) // layer.pieces]
                pieces = node("Reshape", z, self.constant(shape, np.int64))
                return node("ReduceMax", pieces, axes=[1], keepdims=0)
        raise NotImplementedError(f"to_onnx does not know the activation {layer.activation!r}.")

    def negative_side(self, z: str, factor: float) -> str:
        """Factor times (e^z - 1) below 0, and 0 above."""
        below = self.node("Exp", self.node("Min", z, 0))
        return self.node("Mul", self.node("Sub", below, 1), factor)

    def softplus(self, x: str) -> str:
        near = self.node("Exp", self.node("Neg", self.node("Abs", x)))
        return self.node("Add", self.node("Relu", x), self.node("Log", self.node("Add", near, 1)))


def to_onnx(
    estimator: Any,
    path: str | os.PathLike[str] | None = None,
    X: Any = None,
    *,
    dtype: npt.DTypeLike | None = None,
) -> Any:
    """``MLPClassifier.to_onnx`` and ``MLPRegressor.to_onnx``."""
    estimator = _whole(estimator)
    try:
        import onnx
    except ImportError as error:
        raise ImportError('to_onnx needs the package onnx: pip install "fastmlp[onnx]".') from error
    n = estimator.n_features_in_
    given: Any = X
    if X is not None and not isinstance(X, Integral):
        X = X if hasattr(X, "dtype") else np.asarray(X)
        given = X.shape or given
        if dtype is None:
            dtype = np.float32 if X.dtype == np.float32 else np.float64
    features = given[1:] if isinstance(given, tuple) else (given,)
    if X is not None and (features != (n,) or isinstance(given, np.generic)):
        raise ValueError(f"X must be {n}, or of shape (n_samples, {n}). Got {given!r} instead.")
    given = _dtype(estimator) if dtype is None else dtype
    with suppress(TypeError):  # it names no type at all
        dtype = np.dtype(given).type
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64. Got {given!r} instead.")

    graph = _Graph(onnx, dtype)
    outputs = "X"
    for layer in _layers(estimator, dtype):
        outputs = graph.layer(outputs, layer)
    if is_classifier(estimator):
        results = _decision(graph, estimator, outputs)
    else:
        name = graph.node("Identity", outputs, output="variable")
        results = [(name, graph.type(dtype), ["N", estimator.n_outputs_])]

    value = onnx.helper.make_tensor_value_info
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            type(estimator).__name__,
            [value("X", graph.type(dtype), ["N", estimator.n_features_in_])],
            [value(*result) for result in results],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="fastmlp",
    )
    onnx.checker.check_model(model, full_check=True)
    if path is not None:
        replace_file(path, model.SerializeToString())
    return model


def _decision(
    graph: _Graph, estimator: Any, outputs: str
) -> list[tuple[str, int, list[str | int]]]:
    """Nodes from the network's outputs to a classifier's; name, type and shape of these."""
    node = graph.node
    n = estimator.n_outputs_
    margin, multilabel = estimator._is_margin(), estimator._is_multilabel()
    above = graph.cast(node("Greater", outputs, 0 if margin else 0.5), np.int64)
    labels = np.zeros(0, np.int64)
    if multilabel:
        node("Identity", above, output="label")
    else:
        labels = _labels(estimator.classes_)
        if len(labels) == 1:
            labels = labels.repeat(2)
        number = graph.column(above) if n == 1 else node("ArgMax", outputs, axis=1, keepdims=0)
        node("Gather", graph.constant(labels, labels.dtype), number, output="label")

    values = "scores" if margin else "probabilities"
    shape: list[str | int] = ["N", n]
    if margin and n == 1:
        graph.column(outputs, output=values)
        shape = ["N"]
    elif n == 1:
        node("Concat", node("Sub", 1, outputs), outputs, axis=1, output=values)
        shape = ["N", 2]
    elif estimator._loss_name() == "logistic_squared_error" and not multilabel:
        total = node("ReduceSum", outputs, graph.constant([1], np.int64), keepdims=1)
        underflowed = node("Equal", total, 0)
        node("Where", underflowed, 1 / n, node("Div", outputs, total), output=values)
    else:
        node("Identity", outputs, output=values)
    return [
        ("label", graph.type(labels.dtype), ["N", n] if multilabel else ["N"]),
        (values, graph.type(graph.dtype), shape),
    ]


def _labels(classes: Array) -> Array:
    """Class labels as ONNX's consumers know them: int64, or str in an array of objects."""
    listed = classes.tolist()
    if all(isinstance(label, str) for label in listed):
        with explained("Class labels must be text that UTF-8 can hold, in ONNX"):
            "".join(listed).encode()
        return np.array(listed, dtype=object)
    labels = np.asarray(listed)
    if labels.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):  # out of range
            whole = labels.astype(np.int64)
        if whole.astype(object).tolist() == listed:
            return whole
    raise ValueError(
        "Class labels must be strings or whole numbers of up to 64 bits in ONNX. "
        f"Got classes_={classes!r} instead."
    )


# --- scikit-learn --------------------------------------------------------------------------------

# what scikit-learn's estimators can do, and parameters that must be at their defaults
_THEIR_CHOICES = {
    "activation": ("identity", "logistic", "tanh", "relu"),
    "solver": ("lbfgs", "sgd", "adam"),
    "learning_rate": ("constant", "invscaling", "adaptive"),
}
_THEIR_LOSSES = {"MLPClassifier": ("log_loss",), "MLPRegressor": ("squared_error", "poisson")}
_OUR_PARAMETERS = (
    "init",
    "l1",
    "dropout",
    "max_norm",
    "clip_norm",
    "warmup_epochs",
    "scoring",
    "max_time",
    "label_smoothing",
    "class_weight",
)
_OUR_ATTRIBUTES = ("learning_rate_curve_", "validation_loss_curve_")
_PUBLIC_LOSS = {"binary_log_loss": "log_loss", "logistic_squared_error": "squared_error"}


def to_sklearn(estimator: Any) -> Any:
    """``MLPClassifier.to_sklearn`` and ``MLPRegressor.to_sklearn``."""
    estimator = _whole(estimator)
    from sklearn import neural_network

    classifier = is_classifier(estimator)
    Theirs = neural_network.MLPClassifier if classifier else neural_network.MLPRegressor
    parameters = {name: getattr(estimator, name) for name in Theirs().get_params()}
    parameters |= _trained(estimator)
    lacking = [
        f"{name}={parameters[name]!r}"
        for name, choices in _THEIR_CHOICES.items()
        if parameters[name] not in choices
    ]
    if parameters["loss"] not in _THEIR_LOSSES[Theirs.__name__]:
        lacking.append(f"loss={parameters['loss']!r}")
    defaults = MLPClassifier() if classifier else MLPRegressor()
    for name in _OUR_PARAMETERS:
        value, default = (getattr(e, name, None) for e in (estimator, defaults))
        if np.any(value) if name == "dropout" else value != default:
            lacking.append(f"{name}={value!r}")
    if lacking:
        raise ValueError(
            f"scikit-learn's {Theirs.__name__} lacks {', '.join(lacking)}. What only training "
            "needs may be changed by set_params before, for a model that is only to predict."
        )
    if classifier:
        del parameters["loss"]

    multilabel = classifier and estimator._is_multilabel()
    sparse = multilabel and estimator._label_binarizer.sparse_input_
    fitted = _fitted_attributes(estimator)
    for name in _OUR_ATTRIBUTES:
        fitted.pop(name, None)
    if parameters["solver"] != "lbfgs":  # where an earlier solver left none, records begin here
        early = parameters["early_stopping"]
        for name, start in (
            ("loss_curve_", []),
            ("best_loss_", None if early else np.inf),
            ("validation_scores_", [] if early else None),
            ("best_validation_score_", -np.inf if early else None),
        ):
            if fitted.get(name) is None:
                fitted[name] = start
    return _assemble(Theirs, parameters, fitted, multilabel=multilabel, sparse=sparse)


def _trained(estimator: Any) -> dict[str, Any]:
    """Activation and loss of the fitted network, by the estimators' names."""
    names = [name for name, *_ in estimator._hidden()]
    activation: Any = names
    if not names:
        activation = estimator.activation if isinstance(estimator.activation, str) else "relu"
    elif len(set(names)) == 1:
        activation = names[0]
    loss = estimator._loss_name()
    return {"activation": activation, "loss": _PUBLIC_LOSS.get(loss, loss)}


def _fitted_attributes(estimator: Any) -> dict[str, Any]:
    """Copies of the public fitted attributes."""
    return {
        name: deepcopy(value)
        for name, value in vars(estimator).items()
        if name.endswith("_") and not name.startswith("_")
    }


def _assemble(
    Class: Any,
    parameters: dict[str, Any],
    fitted: dict[str, Any],
    *,
    multilabel: bool,
    sparse: bool,
) -> Any:
    """An estimator of these parameters and public fitted attributes.

    Its predictions and further training need private attributes as well, such as a LabelBinarizer.
    Its own `fit` makes them, whatever their names, in an epoch on a few zeros with these classes.
    Only the solver's state is then taken away, so that the next call makes a new one.
    """
    n = fitted["n_outputs_"]
    if multilabel:
        y: Any = np.zeros((4, n), dtype=int)
        y = csr_array(y) if sparse else y
    elif "classes_" in fitted:
        y = np.repeat(fitted["classes_"], 4)  # early stopping's split wants some of each
    else:
        y = np.ones(4) if n == 1 else np.ones((4, n))
    needed = ("activation", "solver", "early_stopping", "loss")
    estimator = Class(
        hidden_layer_sizes=(1,) * (fitted["n_layers_"] - 2),
        max_iter=1,
        validation_fraction=0.5,
        random_state=0,
        **{name: parameters[name] for name in needed if name in parameters},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no convergence
        estimator.fit(np.zeros((y.shape[0], 1)), y)
    vars(estimator).pop("_optimizer", None)
    for name in _fitted_attributes(estimator).keys() - {"coefs_", "intercepts_"}:
        delattr(estimator, name)
    # of scikit-learn's early stopping these lists are also the best weights: they stay the same
    estimator.coefs_[:] = fitted["coefs_"]
    estimator.intercepts_[:] = fitted["intercepts_"]
    others = fitted.keys() - {"coefs_", "intercepts_"}
    vars(estimator).update({name: fitted[name] for name in others})
    return estimator.set_params(**deepcopy(parameters))


def from_sklearn(model: Any) -> MLPClassifier | MLPRegressor:
    """Make a fitted estimator of a network that scikit-learn fitted.

    It predicts the same, and training goes on here from the same weights. `fit` with `warm_start`
    goes the same way in both; `partial_fit` begins with a new state of the solver here.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or MLPRegressor
        A fitted one.

    Returns
    -------
    MLPClassifier or MLPRegressor
        Fitted, of the same parameters and attributes; it shares no memory with the model.

    Raises
    ------
    TypeError
        The model is of another class.
    NotFittedError
        The model is not fitted.
    ValueError
        Its weights are not finite or do not fit each other.
    """
    from sklearn import neural_network

    if not isinstance(model, neural_network.MLPClassifier | neural_network.MLPRegressor):
        raise TypeError(
            "Expected sklearn.neural_network's MLPClassifier or MLPRegressor. "
            f"Got {type(model).__module__}.{type(model).__name__}."
        )
    check_is_fitted(model)
    classifier = is_classifier(model)
    multilabel = classifier and model.n_outputs_ > 1 and model.out_activation_ == "logistic"
    sparse = False
    if multilabel:  # only its predictions show what y it was fitted on
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # feature names
            sparse = issparse(model.predict(np.zeros((1, model.n_features_in_))))
    return _whole(
        _assemble(
            MLPClassifier if classifier else MLPRegressor,
            model.get_params(deep=False),
            _fitted_attributes(model),
            multilabel=multilabel,
            sparse=sparse,
        )
    )


# --- PyTorch -------------------------------------------------------------------------------------


def to_torch(estimator: Any, *, logits: bool = False) -> Any:
    """``MLPClassifier.to_torch`` and ``MLPRegressor.to_torch``."""
    estimator = _whole(estimator)
    try:
        import torch
    except ImportError as error:
        raise ImportError("to_torch needs the package torch.") from error
    from fastmlp import _torch

    modules: list[Any] = []
    for layer in _layers(estimator, _dtype(estimator)):
        # the weights first drawn here would change torch's random state
        linear = torch.nn.Linear(*layer.weight.shape, device="meta")
        linear.weight = torch.nn.Parameter(torch.tensor(layer.weight.T))
        linear.bias = torch.nn.Parameter(torch.tensor(layer.bias))
        modules += [linear, _torch.activation(layer.activation, layer.parameter, layer.pieces)]
    return torch.nn.Sequential(*(modules[:-1] if logits else modules))
