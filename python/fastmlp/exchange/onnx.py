"""Fitted networks as ONNX models."""

import os
from contextlib import suppress
from copy import copy
from importlib import import_module
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastmlp.core.files import prefixed_errors, replace_file
from fastmlp.core.typing import Array
from fastmlp.exchange.values import FittedNetwork, Layer, Task

# name, type and shape of an input or output
Result: TypeAlias = tuple[str, int, list[str | int]]

OPSET = 17
ML_OPSET = 3  # of the domain ai.onnx.ml, in which preprocessing has operators
_IR_VERSION = 8  # the format that came with this opset


class OnnxMixin:
    """Networks that can be written as ONNX models."""

    n_features_in_: int

    def _fitted_network(self) -> FittedNetwork:
        raise NotImplementedError

    def to_onnx(
        self,
        path: str | os.PathLike[str] | None = None,
        X: Any = None,
        *,
        dtype: npt.DTypeLike | None = None,
    ) -> Any:
        """Write the fitted network as an ONNX model (opset 17, operators of the default domain).

        Parameters
        ----------
        path : str or path-like, default=None
            File to write, complete or not at all.
        X : array-like of shape (n_samples, n_features) or int, default=None
            Samples as the model will be given them, float32 or of another type, for `dtype`; or the
            number of features. Either must be that of the network.
        dtype : float32 or float64, default=None
            Type of the input, the parameters and the outputs; None is that of X, without X that of
            `coefs_`. The error function of 'gelu' is float32 in either.

        Returns
        -------
        onnx.ModelProto
            Its input is `X` of shape (N, n_features), of a recurrent network (N, n_steps,
            n_features), of whole sequences without padding. The outputs of a classifier are
            `label`, what `predict` gives, of shape (N,) or of multilabel (N, n_labels), int64 or
            string, and `probabilities` (N, n_classes), what `predict_proba` gives; with the losses
            'hinge' and 'perceptron' `scores` in its place, what `decision_function` gives. The
            output of a regressor is `variable` (N, n_outputs). Those of an autoencoder are `code`,
            what `transform` gives, and `reconstruction` (N, n_features).

        Raises
        ------
        ImportError
            The package onnx is not installed.
        NotFittedError
            The estimator is not fitted.
        ValueError
            The class labels are neither strings nor whole numbers (bool and whole floats are),
            `dtype` is no type of a network, X has another number of features, or the weights are
            not finite or do not fit each other; or a recurrent network has outputs at each step.
        OSError
            The file cannot be written.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y)
        >>> proto = clf.to_onnx("model.onnx", dtype="float32")
        >>> [output.name for output in proto.graph.output]
        ['label', 'probabilities']
        """
        network = self._fitted_network()
        onnx = package("onnx")
        chosen = _chosen_dtype(network, X, dtype)
        graph, results = network_graph(onnx, network, chosen)
        shape: list[str | int] = ["N", *(["n_steps"] if network.cell else []), network.n_features]
        inputs: list[Result] = [("X", graph.type(chosen), shape)]
        return graph.model(network.name, inputs, results, path)


def package(name: str) -> Any:
    """A package that is imported where it is used, or an ImportError that names it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f'to_onnx needs the package {name}: pip install "fastmlp[onnx]".'
        ) from error


def _chosen_dtype(network: FittedNetwork, X: Any, dtype: Any) -> type[np.floating[Any]]:
    """The type of the model by the arguments of `to_onnx`, which are checked."""
    n = network.n_features
    given: Any = X
    if X is not None and not isinstance(X, Integral):
        X = X if hasattr(X, "dtype") else np.asarray(X)
        given = X.shape or given
        if dtype is None:
            dtype = np.float32 if X.dtype == np.float32 else np.float64
    axes = "n_sequences, n_steps" if network.cell else "n_samples"
    features = given[axes.count(",") + 1 :] if isinstance(given, tuple) else (given,)
    if X is not None and (features != (n,) or isinstance(given, np.generic)):
        raise ValueError(f"X must be {n}, or of shape ({axes}, {n}). Got {given!r} instead.")
    given = network.dtype if dtype is None else dtype
    found = None
    with suppress(TypeError):  # it names no type at all
        found = np.dtype(given).type
    if found is not np.float32 and found is not np.float64:
        raise ValueError(f"dtype must be float32 or float64. Got {given!r} instead.")
    return found


def network_graph(
    onnx: Any, network: FittedNetwork, dtype: type[np.floating[Any]]
) -> tuple["Graph", list[Result]]:
    """The nodes from the input `X` to the results, all of this type, and the results."""
    network = network.astype(dtype)
    graph = Graph(onnx, dtype)
    if network.task is Task.RECONSTRUCTION:
        encoder, decoder = network.halves()
        code = graph.values(graph.layers("X", encoder.layers), "code", encoder.n_outputs)
        outputs = graph.layers("code", decoder.layers)
        return graph, [code, graph.values(outputs, "reconstruction", decoder.n_outputs)]
    if network.per_step:
        raise ValueError(
            "to_onnx writes recurrent networks with one output per sequence. This one has outputs "
            "at each step."
        )
    x, layers = "X", network.layers
    if network.cell:
        *recurrent, output = layers
        states = x
        for layer in recurrent:
            states, x = graph.recurrent(states, layer)
        layers = [output]
    outputs = graph.layers(x, layers)
    if network.task is Task.REGRESSION:
        return graph, [graph.values(outputs, "variable", network.n_outputs)]
    return graph, _decision(graph, network, outputs)


class Graph:
    """An ONNX graph in the making; its values are named by numbers, after a prefix of its own."""

    def __init__(self, onnx: Any, dtype: npt.DTypeLike, prefix: str = "") -> None:
        self.onnx = onnx
        self.prefix = prefix
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def typed(self, dtype: npt.DTypeLike) -> "Graph":
        """The same graph, to which nodes with constants of another type are added."""
        graph = copy(self)
        graph.dtype = dtype
        return graph

    def model(
        self,
        name: str,
        inputs: list[Result],
        results: list[Result],
        path: str | os.PathLike[str] | None,
        *,
        with_ml: bool = False,
    ) -> Any:
        """The model of this graph, checked and written; `with_ml` has operators of ai.onnx.ml."""
        helper = self.onnx.helper
        domains = {"": OPSET, "ai.onnx.ml": ML_OPSET} if with_ml else {"": OPSET}
        model = helper.make_model(
            helper.make_graph(
                self.nodes,
                name,
                [helper.make_tensor_value_info(*value) for value in inputs],
                [helper.make_tensor_value_info(*value) for value in results],
                self.constants,
            ),
            opset_imports=[helper.make_opsetid(*domain) for domain in domains.items()],
            ir_version=_IR_VERSION,
            producer_name="fastmlp",
        )
        self.onnx.checker.check_model(model, full_check=True)
        if path is not None:
            replace_file(path, model.SerializeToString())
        return model

    def node(self, op: str, *inputs: Any, output: str = "", **attributes: Any) -> str:
        """A new node's output, which may be given its name; inputs are names or constants."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        output = output or f"{self.prefix}{op}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(op, names, [output], **attributes))
        return output

    def values(self, x: str, name: str, n: int) -> Result:
        """A matrix of n columns as a result of this name."""
        return self.node("Identity", x, output=name), self.type(self.dtype), ["N", n]

    def cast(self, x: str, dtype: npt.DTypeLike, output: str = "") -> str:
        """A value as another type."""
        return self.node("Cast", x, to=self.type(dtype), output=output)

    def columns(self, x: str, places: Any) -> str:
        """Some columns of a matrix, as a matrix."""
        return self.node("Gather", x, self.constant(places, np.int64), axis=1)

    def sorted_rows(self, x: str, n: int) -> str:
        """A matrix of n columns with each row in ascending order."""
        output = f"TopK_{len(self.nodes)}"
        names = [x, self.constant([n], np.int64)]
        outputs = [output, f"{output}_places"]
        self.nodes.append(self.onnx.helper.make_node("TopK", names, outputs, largest=0))
        return output

    def column(self, x: str, output: str = "") -> str:
        """The only column of a matrix, as a vector."""
        return self.node("Squeeze", x, self.constant([1], np.int64), output=output)

    def type(self, dtype: npt.DTypeLike) -> int:
        """ONNX's number of a type; that of objects is text."""
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def constant(self, value: Any, dtype: npt.DTypeLike | None = None) -> str:
        """A new constant, of the graph's type or another."""
        name = f"{self.prefix}constant_{len(self.constants)}"
        array = np.asarray(value, self.dtype if dtype is None else dtype)
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def layers(self, x: str, layers: list[Layer]) -> str:
        """The outputs of the last of some layers."""
        for layer in layers:
            x = self.activation(self.node("Gemm", x, layer.weight, layer.bias), layer)
        return x

    def recurrent(self, x: str, layer: Layer) -> tuple[str, str]:
        """A recurrent layer's states after all steps (N, n_steps, n_units), and the last ones."""
        helper, number = self.onnx.helper, self.type(self.dtype)
        n_inputs, n = len(layer.weight), layer.n_units
        last, states, prefix = (f"{name}_{len(self.nodes)}" for name in ("last", "states", "step"))
        body = Graph(self.onnx, self.dtype, f"{prefix}_")
        x_t, h = f"{prefix}_x", f"{prefix}_h"
        state = body.next_state(x_t, h, layer)
        ends = [body.node("Identity", state) for _ in range(2)]
        step = helper.make_graph(
            body.nodes,
            prefix,
            [
                helper.make_tensor_value_info(h, number, ["N", n]),
                helper.make_tensor_value_info(x_t, number, ["N", n_inputs]),
            ],
            [helper.make_tensor_value_info(name, number, ["N", n]) for name in ends],
            body.constants,
        )
        shape = self.node(
            "Concat", self.node("Shape", x, end=1), self.constant([n], np.int64), axis=0
        )
        first = self.node("Expand", np.zeros((1, n)), shape)
        axes = {"scan_input_axes": [1], "scan_output_axes": [1]}
        self.nodes.append(
            helper.make_node(
                "Scan", [first, x], [last, states], body=step, num_scan_inputs=1, **axes
            )
        )
        return states, last

    def next_state(self, x: str, h: str, layer: Layer) -> str:
        """What a recurrent layer makes of an input (N, n_inputs) and its state (N, n_units)."""
        node, n = self.node, layer.n_units
        assert layer.recurrent is not None
        if layer.recurrent_bias is None:
            z = node("Gemm", x, layer.weight, layer.bias)
            return self.activation(node("Add", z, node("MatMul", h, layer.recurrent)), layer)
        parts = [slice(i * n, (i + 1) * n) for i in range(3)]
        inputs = [node("Gemm", x, layer.weight[:, part], layer.bias[part]) for part in parts]
        contexts = [
            node("Gemm", h, layer.recurrent[:, part], layer.recurrent_bias[part]) for part in parts
        ]
        reset, update = (node("Sigmoid", node("Add", inputs[i], contexts[i])) for i in range(2))
        candidate = self.activation(node("Add", inputs[2], node("Mul", reset, contexts[2])), layer)
        kept = node("Mul", update, node("Sub", h, candidate))
        return node("Add", candidate, kept)

    def activation(self, z: str, layer: Layer) -> str:
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
        """log(1 + e^x), which does not overflow."""
        near = self.node("Exp", self.node("Neg", self.node("Abs", x)))
        return self.node("Add", self.node("Relu", x), self.node("Log", self.node("Add", near, 1)))


def _decision(graph: Graph, network: FittedNetwork, outputs: str) -> list[Result]:
    """Nodes from the network's outputs to a classifier's; name, type and shape of these."""
    node = graph.node
    n, margin = network.n_outputs, network.has_margins
    above = graph.cast(node("Greater", outputs, 0 if margin else 0.5), np.int64)
    if network.task is Task.MULTILABEL:
        label: Result = (node("Identity", above, output="label"), graph.type(np.int64), ["N", n])
    else:
        number = graph.column(above) if n == 1 else node("ArgMax", outputs, axis=1, keepdims=0)
        label = label_result(graph, network.classes, number)
    values = "scores" if margin else "probabilities"
    network_values(graph, network, outputs, values)
    shape: list[str | int] = ["N", max(n, 2)]
    if margin and n == 1:
        shape = ["N"]
    return [label, (values, graph.type(graph.dtype), shape)]


def network_values(graph: Graph, network: FittedNetwork, outputs: str, name: str = "") -> str:
    """The node from a classifier's outputs to its probabilities or scores, which it may name."""
    node, n = graph.node, network.n_outputs
    if network.has_margins and n == 1:
        return graph.column(outputs, output=name)
    if n == 1:
        return node("Concat", node("Sub", 1, outputs), outputs, axis=1, output=name)
    if network.is_normalised:
        total = node("ReduceSum", outputs, graph.constant([1], np.int64), keepdims=1)
        underflowed = node("Equal", total, 0)
        return node("Where", underflowed, 1 / n, node("Div", outputs, total), output=name)
    return node("Identity", outputs, output=name)


def label_result(graph: Graph, classes: Any, number: str) -> Result:
    """The node from class numbers (N,) to labels; a single class has the numbers 0 and 1."""
    labels = _labels(classes)
    if len(labels) == 1:
        labels = labels.repeat(2)
    name = graph.node("Gather", graph.constant(labels, labels.dtype), number, output="label")
    return name, graph.type(labels.dtype), ["N"]


def _labels(classes: Any) -> Array:
    """Class labels as ONNX's consumers know them: int64, or str in an array of objects."""
    listed = classes.tolist()
    if all(isinstance(label, str) for label in listed):
        with prefixed_errors("Class labels must be text that UTF-8 can hold, in ONNX"):
            "".join(listed).encode()
        return np.array(listed, dtype=object)
    labels = np.asarray(listed)
    if labels.dtype.kind in "biuf" and classes.dtype.kind not in "mM":  # times listed as counts
        with np.errstate(invalid="ignore"):  # out of range
            whole = labels.astype(np.int64)
        if whole.astype(object).tolist() == listed:
            return whole
    raise ValueError(
        "Class labels must be strings or whole numbers of up to 64 bits in ONNX. "
        f"Got classes_={classes!r} instead."
    )
