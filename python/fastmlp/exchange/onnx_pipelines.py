"""Pipelines and other estimators of scikit-learn that hold our networks, as ONNX models.

All but our networks is converted by skl2onnx, which is told how to convert these.
"""

import os
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from fastmlp.core.files import replace_file
from fastmlp.exchange.onnx import ML_OPSET, OPSET, OnnxMixin, network_graph, package
from fastmlp.exchange.onnx_tables import OnnxTableMixin
from fastmlp.exchange.registry import registered_classes
from fastmlp.exchange.values import FittedNetwork, Task


def to_onnx(model: Any, path: str | os.PathLike[str] | None = None, X: Any = None) -> Any:
    """Write a fitted estimator, with all that it holds, as one ONNX model.

    Parameters
    ----------
    model : estimator
        A Pipeline, a ColumnTransformer or another estimator of scikit-learn's that skl2onnx knows,
        around an :class:`MLPClassifier`, :class:`MLPRegressor` or :class:`MLPAutoencoder` (which
        transforms there); or one of these alone, or a
        :class:`TabularMLPClassifier` or :class:`TabularMLPRegressor` alone, for which this is its
        method `to_onnx`. Of a search, its `best_estimator_`.
    path : str or path-like, default=None
        File to write, complete or not at all.
    X : array-like or data frame of shape (n_samples, n_features), default=None
        Samples as the model will be given them, one is enough; for one of ours alone they may be
        left out. An array makes one input `X` of its type. A data frame makes one input of shape
        (N, 1) per column, of the column's name and type.

    Returns
    -------
    onnx.ModelProto
        The outputs are those of the last step. A network has the outputs that
        :meth:`MLPClassifier.to_onnx` describes; they are float64 where its inputs are, else
        float32. Other classifiers have `label` and `probabilities`.

    Raises
    ------
    ImportError
        The package onnx or skl2onnx is not installed.
    NotFittedError
        The model is not fitted.
    ValueError
        X is missing, the model holds a tabular network beside other steps; or as for a network
        alone.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import fastmlp
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = fastmlp.MLPClassifier(max_iter=200, random_state=0)
    >>> model = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> proto = fastmlp.to_onnx(model, "model.onnx", X)
    """
    check_is_fitted(model)
    model = getattr(model, "best_estimator_", model)  # of a search
    if isinstance(model, OnnxMixin | OnnxTableMixin):
        return model.to_onnx(path, X)
    package("onnx")
    skl2onnx = package("skl2onnx")
    if X is None:
        raise ValueError(f"to_onnx of a {type(model).__name__} needs X: samples for its inputs.")
    _register(skl2onnx)
    converted = skl2onnx.convert_sklearn(
        model,
        type(model).__name__,
        initial_types=_inputs(X),
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
        # a tensor of probabilities, not a dictionary per sample
        options={id(model): {"zipmap": False}} if is_classifier(model) else None,
    )
    if path is not None:
        replace_file(path, converted.SerializeToString())
    return converted


def _inputs(X: Any) -> list[tuple[str, Any]]:
    """The inputs as skl2onnx is told of them: by column of a data frame, else one."""
    if hasattr(X, "columns"):
        types = [_tensor_type(np.asarray(X[name]).dtype, [None, 1]) for name in X.columns]
        return list(zip(map(str, X.columns), types, strict=True))
    X = np.asarray(X)
    if X.ndim != 2:
        raise ValueError(f"X must be of shape (n_samples, n_features). Got {X.shape} instead.")
    return [("X", _tensor_type(X.dtype, [None, X.shape[1]]))]


def _tensor_type(dtype: np.dtype[Any], shape: list[int | None]) -> Any:
    """Of numbers as skl2onnx knows them; what is no number is text."""
    from skl2onnx.common import data_types

    kinds = {"f": "Double", "i": "Int64", "u": "Int64", "b": "Boolean"}
    name = "Float" if dtype == np.float32 else kinds.get(dtype.kind, "String")
    return getattr(data_types, f"{name}TensorType")(shape)


# --- a network among skl2onnx's operators ---------------------------------------------------------


def _register(skl2onnx: Any) -> None:
    """Tell skl2onnx of our networks."""
    for cls in registered_classes():
        if issubclass(cls, OnnxMixin | OnnxTableMixin):
            skl2onnx.update_registered_converter(
                cls,
                f"Fastmlp{cls.__name__}",
                _set_types,
                _convert,
                parser=_declare if issubclass(cls, OnnxMixin) else _refuse,
                options={"zipmap": [False, True, "columns"]},  # asked for, and never needed
            )


def _refuse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> None:
    """An ensemble on a table is written by itself only: among other steps columns have no types."""
    name = type(model).__name__
    raise ValueError(f"A {name} among other steps has no ONNX model. to_onnx of the {name} alone.")


def _step(model: Any) -> FittedNetwork:
    """What a network does among other steps: an autoencoder transforms."""
    network: FittedNetwork = model._fitted_network()
    if network.cell:
        raise ValueError(
            f"A {network.name} among other steps has no ONNX model. to_onnx of the {network.name} "
            "alone."
        )
    return network.halves()[0] if network.task is Task.RECONSTRUCTION else network


def _declare(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """A network as an operator, with its outputs by name; types are set later."""
    from skl2onnx.common.data_types import FloatTensorType

    network = _step(model)
    names = ["variable"]
    if network.task is not Task.REGRESSION:
        names = ["label", "scores" if network.has_margins else "probabilities"]
    operator = scope.declare_local_operator(f"Fastmlp{type(model).__name__}", model)
    operator.inputs = inputs
    for name in names:
        operator.outputs.append(scope.declare_local_variable(name, FloatTensorType()))
    return operator.outputs


def _graph_of(operator: Any) -> Any:
    """The network's graph and results, in float64 where the inputs are."""
    from skl2onnx.common.data_types import DoubleTensorType

    double = any(isinstance(variable.type, DoubleTensorType) for variable in operator.inputs)
    dtype = np.float64 if double else np.float32
    return network_graph(package("onnx"), _step(operator.raw_operator), dtype)


def _set_types(operator: Any) -> None:
    """Give the outputs of a network's operator their types and shapes."""
    to_dtype = package("onnx").helper.tensor_dtype_to_np_dtype
    for variable, (_, kind, shape) in zip(operator.outputs, _graph_of(operator)[1], strict=True):
        variable.type = _tensor_type(to_dtype(kind), [None, *shape[1:]])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add a network's nodes to those of the whole model, under names that are free there."""
    onnx = package("onnx")
    graph, results = _graph_of(operator)
    names = {"X": scope.get_unique_variable_name("X")}
    for (name, _, _), variable in zip(results, operator.outputs, strict=True):
        names[name] = variable.full_name

    def renamed(values: Any) -> list[str]:
        for value in values:
            if value not in names:
                names[value] = scope.get_unique_variable_name(value)
        return [names[value] for value in values]

    def add(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        name = scope.get_unique_operator_name(op)
        container.add_node(op, inputs, outputs, op_version=OPSET, name=name, **attributes)

    columns = [scope.get_unique_variable_name("cast") for _ in operator.inputs]
    for variable, column in zip(operator.inputs, columns, strict=True):
        add("Cast", [variable.full_name], [column], to=graph.type(graph.dtype))
    add("Concat", columns, [names["X"]], axis=1)
    for tensor in graph.constants:
        values = onnx.numpy_helper.to_array(tensor)
        container.add_initializer(
            renamed([tensor.name])[0], tensor.data_type, values.shape, values.ravel()
        )
    for node in graph.nodes:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        add(node.op_type, renamed(node.input), renamed(node.output), **attributes)
