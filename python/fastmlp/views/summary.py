"""Networks, and ensembles of them on tables, in numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from fastmlp.core.text_tables import html_table, text_table
from fastmlp.exchange.values import FittedNetwork

_HEAD = ("layer", "shape", "activation", "dropout", "parameters", "multiply-adds")


@dataclass(frozen=True)
class LayerSummary:
    """A layer in numbers.

    Attributes
    ----------
    name : str
        'input', 'hidden 0', ..., 'output'.
    shape : tuple of int
        Inputs and units; of the input the features only.
    activation : str or None
        None of the input.
    dropout : float
        The share of the layer's outputs that training drops.
    n_parameters : int
        Weights, biases, and slopes of 'prelu'. A maxout unit has weights and biases for each piece.
        A recurrent layer's are also those from its own last outputs.
    multiply_adds : int
        For one row, or one step of a sequence: as many as weights.
    """

    name: str
    shape: tuple[int, ...]
    activation: str | None
    dropout: float
    n_parameters: int
    multiply_adds: int

    def row(self) -> tuple[str, ...]:
        """The layer as words, in the order of a table's columns."""
        return (
            self.name,
            " x ".join(f"{n:,}" for n in self.shape),
            self.activation or "-",
            f"{self.dropout:g}",
            f"{self.n_parameters:,}",
            f"{self.multiply_adds:,}",
        )


@dataclass(frozen=True)
class NetworkSummary:
    """A fitted network in numbers: ``print`` shows it as text, notebooks as a table.

    Attributes
    ----------
    name : str
        The estimator's class.
    dtype : str
        The type of the parameters.
    layers : list of LayerSummary
        From the input to the output.
    n_parameters : int
    memory : int
        Bytes of the parameters.
    multiply_adds : int
        For the prediction of one row, or of one step of a sequence.
    steps_per_epoch : int or None
        Mini-batches in an epoch of the last fit; None of a solver without them.
    cell : str
        The kind of the hidden layers of a recurrent network, '' of others.

    Examples
    --------
    >>> from fastmlp import MLPRegressor
    >>> import numpy as np
    >>> X = np.linspace(0, 1, 40).reshape(20, 2)
    >>> model = MLPRegressor(hidden_layer_sizes=(4,), batch_size=10, max_iter=10, tol=1.0)
    >>> summary = model.fit(X, X[:, 0]).summary()
    >>> summary.n_parameters, summary.memory, summary.multiply_adds, summary.steps_per_epoch
    (17, 136, 12, 2)
    """

    name: str
    dtype: str
    layers: list[LayerSummary]
    n_parameters: int
    memory: int
    multiply_adds: int
    steps_per_epoch: int | None = None
    cell: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values.

        Returns
        -------
        dict
            The attributes by their names; each layer is a dict as well.
        """
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join([self._title(), *text_table(self._rows(), "<<<>>>"), self._totals()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"{html_table(self._rows(), self._title())}<p>{escape(self._totals())}</p>"

    def _rows(self) -> list[tuple[str, ...]]:
        return [_HEAD, *(layer.row() for layer in self.layers)]

    def _title(self) -> str:
        units = "-".join(str(layer.shape[-1]) for layer in self.layers)
        return ", ".join([f"{self.name}: {units}", *filter(None, [self.cell]), self.dtype])

    def _totals(self) -> str:
        totals = [
            f"{self.n_parameters:,} parameters in {self.memory:,} bytes",
            f"{self.multiply_adds:,} multiply-adds per {'step' if self.cell else 'row'}",
        ]
        if self.steps_per_epoch is not None:
            s = "" if self.steps_per_epoch == 1 else "es" if self.cell else "s"
            what = "batch" if self.cell else "step"
            totals.append(f"{self.steps_per_epoch:,} {what}{s} per epoch")
        return ", ".join(totals) + "."


@dataclass(frozen=True)
class TableSummary:
    """An ensemble of networks on a table: what each column becomes, and the networks in numbers.

    Attributes
    ----------
    columns : list of tuple of str
        Of each column its name, its kind and what it becomes.
    text : str
        The same, as a table of text.
    networks : list of NetworkSummary
    """

    columns: list[tuple[str, str, str]]
    text: str
    networks: list[NetworkSummary]

    def to_dict(self) -> dict[str, Any]:
        """Return columns and networks as plain values.

        Returns
        -------
        dict
            'columns', a list of dicts of 'name', 'kind' and 'becomes', and 'networks', a list of
            what :meth:`NetworkSummary.to_dict` returns.
        """
        keys = ("name", "kind", "becomes")
        return {
            "columns": [dict(zip(keys, column, strict=True)) for column in self.columns],
            "networks": [network.to_dict() for network in self.networks],
        }

    def __str__(self) -> str:
        return "\n".join([self.text, "", self._count(), str(self.networks[0])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        *_, total = self.text.splitlines()
        columns = html_table([("column", "kind", "becomes"), *self.columns])
        return (
            f"{columns}<p>{escape(total)}</p><p>{self._count()}</p>{self.networks[0]._repr_html_()}"
        )

    def _count(self) -> str:
        n = len(self.networks)
        return "One network:" if n == 1 else f"{n} networks, the first of which is:"


def summarise(
    network: FittedNetwork, dropout: Sequence[float], steps_per_epoch: int | None
) -> NetworkSummary:
    """The numbers of a network.

    Parameters
    ----------
    network : FittedNetwork
    dropout : sequence of float
        The rates of the input and of each hidden layer.
    steps_per_epoch : int or None

    Returns
    -------
    NetworkSummary

    Raises
    ------
    ValueError
        There is another number of rates.
    """
    n = len(network.layers)
    if len(dropout) != n:
        raise ValueError(f"dropout={list(dropout)} does not fit the {n - 1} hidden layers.")
    layers = [LayerSummary("input", (network.n_features,), None, float(dropout[0]), 0, 0)]
    for i, (layer, rate) in enumerate(zip(network.layers, [*dropout[1:], 0.0], strict=True), 1):
        n_inputs, n_units = len(layer.weight), layer.n_units
        recurrent = [a for a in (layer.recurrent, layer.recurrent_bias) if a is not None]
        slopes = n_units if layer.activation == "prelu" else 0
        layers.append(
            LayerSummary(
                "output" if i == n else f"hidden {i - 1}",
                (n_inputs, n_units),
                layer.activation,
                float(rate),
                layer.weight.size + layer.bias.size + slopes + sum(a.size for a in recurrent),
                layer.weight.size + sum(a.size for a in recurrent[:1]),
            )
        )
    n_parameters = sum(layer.n_parameters for layer in layers)
    return NetworkSummary(
        name=network.name,
        dtype=network.dtype.__name__,
        layers=layers,
        n_parameters=n_parameters,
        memory=n_parameters * network.layers[0].weight.itemsize,
        multiply_adds=sum(layer.multiply_adds for layer in layers),
        steps_per_epoch=steps_per_epoch,
        cell=network.cell,
    )
