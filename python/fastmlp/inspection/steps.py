"""One step of training on one row, with every number on the way."""

from collections.abc import Callable
from copy import copy
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from fastmlp.core.device import engine_of
from fastmlp.core.native import _native
from fastmlp.core.network import Architecture, Blocks, Network, Samples
from fastmlp.core.text_tables import html_table, text_table
from fastmlp.core.typing import Array, HiddenLayer
from fastmlp.estimators.adaline import Adaline
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.perceptron import Perceptron
from fastmlp.estimators.regressor import MLPRegressor
from fastmlp.exchange.values import FittedNetwork, Layer, Task
from fastmlp.inspection.checks import check_kind, fitted_network
from fastmlp.inspection.network import NetworkDisplay
from fastmlp.views.layout import short

_MOST_ROWS = 10  # of a table that is printed


@dataclass(frozen=True, eq=False)
class LayerStep:
    """What one step makes of a layer.

    Parameters
    ----------
    activation : str
        Its name.
    inputs : ndarray of shape (n_inputs,)
        What comes in: the row, or the outputs of the layer before.
    z : ndarray of shape (n_units,)
        The weighted sums, biases included; of a 'maxout' layer those of all pieces.
    outputs : ndarray of shape (n_units,)
        Their activations.
    delta : ndarray of shape (n_units,)
        The derivative of the loss by `z`, which is that by the biases as well.
    gradient : ndarray of shape (n_inputs, n_units)
        The derivative of the loss by the weights: ``np.outer(inputs, delta)``, and that of the
        penalties.
    weights, new_weights : ndarray of shape (n_inputs, n_units)
        Before and after the step.
    biases, new_biases : ndarray of shape (n_units,)
        Before and after the step.

    Examples
    --------
    >>> from fastmlp import MLPRegressor
    >>> from fastmlp.inspection import explain_step
    >>> reg = MLPRegressor(hidden_layer_sizes=(2,), max_iter=3, tol=0, random_state=0)
    >>> step = explain_step(reg.partial_fit([[0.0], [1]], [0, 1]), [1.0], 1)
    >>> step.layers[0].gradient.shape
    (1, 2)
    """

    activation: str
    inputs: Array
    z: Array
    outputs: Array
    delta: Array
    gradient: Array
    weights: Array
    new_weights: Array
    biases: Array
    new_biases: Array


class _Table(NamedTuple):
    """A table of numbers to print, with a line above it; its first row is the head."""

    title: str
    rows: list[list[str]]


@dataclass(frozen=True, eq=False)
class StepExplanation:
    """One step of training on one row, as `explain_step` returns it.

    Printed, it is a table per layer of the units and of the weights; of a wide layer those with the
    largest derivatives. A weight is that from one input to one unit, ``coefs_[layer][from, to]``. A
    notebook shows the same as HTML.

    Parameters
    ----------
    estimator : str
        The name of its class.
    solver : str
        The name of the rule that made the step.
    learning_rate : float
        Its rate.
    target : object
        The row's label or value, as it was given.
    loss, new_loss : float
        The row's loss before and after the step, penalties included.
    layers : list of LayerStep
        From the first to the output layer.

    Examples
    --------
    >>> from fastmlp import MLPRegressor
    >>> from fastmlp.inspection import explain_step
    >>> reg = MLPRegressor(hidden_layer_sizes=(2,), max_iter=3, tol=0, random_state=0)
    >>> step = explain_step(reg.partial_fit([[0.0], [1]], [0, 1]), [1.0], 1)
    >>> step.solver, step.layers[-1].activation
    ('adam', 'identity')
    """

    estimator: str
    solver: str
    learning_rate: float
    target: Any
    loss: float
    new_loss: float
    layers: list[LayerStep]

    def to_dict(self) -> dict[str, Any]:
        """Return all that it holds in dicts, lists and numbers, as JSON can have it.

        Returns
        -------
        dict
            The attributes by their names; `layers` is a list of dicts of lists.

        Examples
        --------
        >>> from fastmlp import MLPRegressor
        >>> from fastmlp.inspection import explain_step
        >>> reg = MLPRegressor(hidden_layer_sizes=(2,), random_state=0)
        >>> step = explain_step(reg.partial_fit([[0.0], [1]], [0, 1]), [1.0], 1)
        >>> len(step.to_dict()["layers"])
        2
        """

        def plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
            return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in items}

        result = asdict(self, dict_factory=plain)
        return {**result, "target": np.asarray(self.target).tolist()}

    def __str__(self) -> str:
        lines = [*self._summary(), ""]
        for table in self._tables():
            sides = ">" * len(table.rows[0])
            lines.append(table.title)
            lines += [f"   {line}" for line in text_table(table.rows, sides, gap="   ")]
            lines.append("")
        return "\n".join(lines[:-1])

    def _repr_html_(self) -> str:
        """The tables for a notebook."""
        parts = [f"<p>{'<br>'.join(map(escape, self._summary()))}</p>"]
        return "\n".join([*parts, *(html_table(rows, title) for title, rows in self._tables())])

    def plot(self, ax: Any = None, *, name: str | None = None) -> NetworkDisplay:
        """Draw the step on the network.

        Units show their outputs, and below them their deltas; lines show weights before and after
        the step, where there is room. Those of a 'maxout' layer are left out.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        name : str or None, default=None
            What stands above the drawing; None: the losses before and after.

        Returns
        -------
        NetworkDisplay
            With the drawing.

        Raises
        ------
        ImportError
            The package matplotlib is not installed.

        Examples
        --------
        >>> from fastmlp import MLPRegressor
        >>> from fastmlp.inspection import explain_step
        >>> reg = MLPRegressor(hidden_layer_sizes=(2,), random_state=0)
        >>> step = explain_step(reg.partial_fit([[0.0], [1]], [0, 1]), [1.0], 1)
        >>> len(step.plot().units_)
        6
        """
        weights, deltas = [], []
        for layer in self.layers:
            old = np.vstack([layer.weights, layer.biases])
            new = np.vstack([layer.new_weights, layer.new_biases])
            one = _pieces(layer) == 1  # a unit of 'maxout' has several of each
            weights.append(_texts("{} \N{RIGHTWARDS ARROW} {}" if one else "", old, new))
            deltas.append(_texts("\N{GREEK SMALL LETTER DELTA} {}" if one else "", layer.delta))
        network = FittedNetwork(
            self.estimator,
            [
                Layer(step.weights, step.biases, step.activation, 0.0, _pieces(step))
                for step in self.layers
            ],
            Task.REGRESSION,
        )
        display = NetworkDisplay(
            network,
            values=[self.layers[0].inputs, *(layer.outputs for layer in self.layers)],
            weight_texts=weights,
            unit_texts=deltas,
            name=f"loss {short(self.loss)} \N{RIGHTWARDS ARROW} {short(self.new_loss)}",
        )
        return display.plot(ax, name=name)

    def _summary(self) -> list[str]:
        """What is said above the tables."""
        target = np.array2string(np.asarray(self.target), separator=", ", threshold=10)
        return [
            f"One step of {self.estimator} by {self.solver!r} at the rate {self.learning_rate:.6g}",
            f"Target {target}, loss {self.loss:.6g} before and {self.new_loss:.6g} after",
        ]

    def _tables(self) -> list[_Table]:
        """Two tables per layer: of its units, and of its weights."""
        tables = []
        for i, layer in enumerate(self.layers):
            name = "Output layer" if i == len(self.layers) - 1 else f"Hidden layer {i}"
            tables.append(_unit_table(f"{name}, {layer.activation}", layer))
            tables.append(_weight_table("Its weights", layer))
        return tables


def _texts(template: str, *numbers: Array) -> Array:
    """The template filled in with each place's numbers."""
    fill = np.vectorize(lambda *at: template.format(*map(short, at)), otypes=[object])
    texts: Array = fill(*numbers)
    return texts


def _pieces(layer: LayerStep) -> int:
    """How many pieces a unit of 'maxout' has."""
    return len(layer.z) // len(layer.outputs)


def _unit_table(title: str, layer: LayerStep) -> _Table:
    shown = _largest(layer.delta)
    outputs = np.tile(layer.outputs, _pieces(layer))  # of 'maxout' the output is its largest piece
    columns = (layer.z, outputs, layer.delta, layer.biases, layer.new_biases)
    return _Table(
        title + _share(len(shown), layer.delta.size, "units"),
        [
            ["unit", "z", "output", "delta", "bias", "new bias"],
            *([str(j), *(f"{column[j]:.6g}" for column in columns)] for (j,) in shown),
        ],
    )


def _weight_table(title: str, layer: LayerStep) -> _Table:
    shown = _largest(layer.gradient)
    columns = (layer.gradient, layer.weights, layer.new_weights)
    return _Table(
        title + _share(len(shown), layer.gradient.size, "weights"),
        [
            ["from", "to", "input", "delta", "gradient", "weight", "new weight"],
            *(
                [
                    *(str(i), str(j), f"{layer.inputs[i]:.6g}", f"{layer.delta[j]:.6g}"),
                    *(f"{column[i, j]:.6g}" for column in columns),
                ]
                for i, j in shown
            ),
        ],
    )


def _largest(derivatives: Array) -> list[tuple[int, ...]]:
    """The places of the largest derivatives, in the order in which they lie."""
    order = np.argsort(-np.abs(derivatives), axis=None, kind="stable")[:_MOST_ROWS]
    places = np.unravel_index(np.sort(order), derivatives.shape)
    return list(zip(*(axis.tolist() for axis in places), strict=True))


def _share(shown: int, n: int, what: str) -> str:
    return "" if shown == n else f": {shown} of {n} {what}, those of the largest derivatives"


def explain_step(
    estimator: MLPClassifier | MLPRegressor | Perceptron | Adaline, x: Any, y: Any
) -> StepExplanation:
    """Show what the next step of training would be on one row: each number on the way.

    From the inputs through each layer's weighted sums and activations to the loss, back through
    the deltas to the gradient [1]_, and to the new weights, which are those of ``partial_fit(x,
    y)`` on a copy: by the estimator's own solver, at its own rate and with what it remembers of
    earlier steps. The estimator stays as it is. Dropout and class weights are left out.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, Perceptron or Adaline
        Fitted.
    x : {array-like, sparse matrix} of shape (n_features,) or (1, n_features)
        The row.
    y : object, or array-like of shape (1,), (n_outputs,) or (1, n_outputs)
        Its label or value, or one per output.

    Returns
    -------
    StepExplanation
        All numbers of the step; ``print`` shows them.

    Raises
    ------
    TypeError
        For another estimator.
    ValueError
        As `partial_fit`; for an estimator that is not fitted, more than one row, or 'lbfgs', which
        makes no step on one row.

    Notes
    -----
    The loss is the one that training minimises: that of 'squared_error' is half the squared error.

    References
    ----------
    .. [1] Rumelhart, Hinton & Williams (1986). "Learning representations by back-propagating
       errors". Nature 323.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLPRegressor
    >>> from fastmlp.inspection import explain_step
    >>> reg = MLPRegressor(hidden_layer_sizes=(), solver="sgd", momentum=0, alpha=0,
    ...                    learning_rate_init=0.02).partial_fit([[3.0, 4.0]], [6.0])
    >>> reg.coefs_, reg.intercepts_ = [np.array([[1.0], [2.0]])], [np.zeros(1)]
    >>> step = explain_step(reg, [3.0, 4.0], 6)
    >>> step.layers[0].gradient.ravel()
    array([15., 20.])
    >>> print(step)
    One step of MLPRegressor by 'sgd' at the rate 0.02
    Target 6, loss 12.5 before and 2.88 after
    <BLANKLINE>
    Output layer, identity
       unit    z   output   delta   bias   new bias
          0   11       11       5      0       -0.1
    <BLANKLINE>
    Its weights
       from   to   input   delta   gradient   weight   new weight
          0    0       3       5         15        1          0.7
          1    0       4       5         20        2          1.6
    """
    check_kind(estimator, MLPClassifier, MLPRegressor, Perceptron, Adaline)
    row = x.toarray() if issparse(x) else np.reshape(x, (1, -1)) if np.ndim(x) == 1 else x
    target = np.reshape(y, (1, -1) if np.size(y) > 1 else (1,))
    if np.ndim(row) != 2 or np.shape(row)[0] != 1:
        raise ValueError(f"x must be one row. Got an array of shape {np.shape(x)}.")
    look = _look_into_layer if isinstance(estimator, (Perceptron, Adaline)) else _look_into_network
    solver, rate, losses, layers = look(estimator, row, target)
    return StepExplanation(type(estimator).__name__, solver, rate, y, *losses, layers)


_Look = tuple[str, float, tuple[float, float], list[LayerStep]]


def _alone(estimator: Any, **parameters: Any) -> Any:
    """A copy for one row, on which there is nothing to be drawn, set aside or weighed."""
    alone = copy(estimator)
    vars(alone).pop("_skl_callbacks", None)
    changed = {"early_stopping": False, "class_weight": None, "shuffle": False, "verbose": False}
    for name, value in (changed | parameters).items():
        if name in alone._parameters:
            setattr(alone, name, value)
    return alone


def _look_into_network(estimator: Any, x: Any, y: Array) -> _Look:
    before = _alone(fitted_network(estimator), batch_size="auto", dropout=0.0)
    if before.solver == "lbfgs":
        raise ValueError(
            "explain_step is for first-order solvers. Got solver='lbfgs', whose steps are searches "
            "over all rows: set_params(solver='sgd') shows the gradient's own."
        )
    vars(before)["_class_factors"] = None
    row = before._check_rows(x)[0]
    # from here on without names: they are checked, and a row without them is warned of once
    x = np.asarray(x)
    vars(before).pop("feature_names_in_", None)
    after = copy(before).partial_fit(x, y)
    loss, gradient = before.loss_and_gradient(x, y)
    layers = _layers(
        before._blocks(),
        before._hidden_layers,
        before._trained_loss,
        row,
        Blocks([layer[0] for layer in gradient], [layer[1] for layer in gradient]),
        after._blocks(),
        engine=engine_of(before.device),
    )
    losses = loss, after.loss_and_gradient(x, y)[0]
    return after._optimizer.solver, after.learning_rate_curve_[-1], losses, layers


def _look_into_layer(estimator: Any, x: Any, y: Array) -> _Look:
    check_is_fitted(estimator)
    before = _alone(estimator)
    after = copy(before).partial_fit(x, y)
    old, new = (Blocks([e.coef_.T], [e.intercept_]) for e in (before, after))
    loss = "squared_error" if isinstance(estimator, Adaline) else "perceptron"
    row = np.ascontiguousarray(x, old.weights[0].dtype)
    differentiate = _differentiable_layer(before, loss, row, y)
    value, gradient = differentiate(old)
    layers = _layers(old, [], loss, row, gradient, new)
    return "sgd", before.eta0, (value, differentiate(new)[0]), layers


def _differentiable_layer(
    estimator: Any, loss: str, row: Array, y: Array
) -> Callable[[Blocks], tuple[float, Blocks]]:
    """The function from the parameters of a Perceptron or Adaline to its loss and gradient."""
    n_features, n_outputs = estimator.coef_.T.shape
    architecture = Architecture([n_features, n_outputs], [], loss)
    network = Network(architecture, row.dtype, alpha=0.0, batch=1, sparse=False, keep_gradient=True)
    targets = (estimator.classes_[-n_outputs:] == y).astype(row.dtype)[None]
    is_mean = loss == "squared_error"  # over the outputs, of which Adaline has the sum
    held = network.hold(Samples(row, 2 * targets - 1 if is_mean else targets, None))
    times = n_outputs if is_mean else 1

    def differentiate(blocks: Blocks) -> tuple[float, Blocks]:
        network.write(blocks)
        value, gradient = network.gradient(held, n_threads=1)
        return times * value, gradient.map(lambda array: times * array)

    return differentiate


def _layers(
    blocks: Blocks,
    hidden: list[HiddenLayer],
    loss: str,
    row: Any,
    gradient: Blocks,
    new: Blocks,
    *,
    engine: str = "",
) -> list[LayerStep]:
    """The layers of a network: what the core says of them."""
    dtype = blocks.weights[0].dtype
    outputs = _native.activations(
        blocks.for_core(dtype), hidden, loss, row, n_threads=1, engine=engine
    )
    names = [*(layer.activation for layer in hidden), _native.LINKS[loss]]
    layers = []
    for i, name in enumerate(names):
        upto = Blocks(blocks.weights[: i + 1], blocks.biases[: i + 1], blocks.slopes[:i])
        # as the output of a network that ends here, with a link that changes nothing
        z = _native.predict(
            upto.for_core(dtype), hidden[:i], "squared_error", row, n_threads=1, engine=engine
        )
        layers.append(
            LayerStep(
                activation=name,
                inputs=(row if i == 0 else outputs[i - 1])[0].copy(),
                z=z[0],
                outputs=outputs[i][0],
                delta=gradient.biases[i],
                gradient=gradient.weights[i],
                weights=blocks.weights[i].copy(),
                new_weights=new.weights[i].copy(),
                biases=blocks.biases[i].copy(),
                new_biases=new.biases[i].copy(),
            )
        )
    return layers
