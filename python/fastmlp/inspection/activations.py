"""The activations of hidden layers, and where the units of a fitted network are on them."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse

from fastmlp.core.native import _native
from fastmlp.core.network import Architecture, Blocks, Network, Samples
from fastmlp.core.typing import Array, HiddenLayer
from fastmlp.inspection.checks import network_in, network_input
from fastmlp.inspection.style import (
    LINE_STYLES,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    check_plot_support,
    new_axes,
    panels,
)

_POINTS = 1001
_LEAST_RANGE = 4.0  # to either side of 0, that the shape is seen
_SATURATED = 0.05  # slopes below this share of the largest
_SHADES = {"dead": "#AAAAAA", "saturated": "#DDDDDD"}


class ActivationDisplay:
    """Each hidden layer's activation and its slope, and beneath what its units are given.

    Shaded are the zones at the ends where the slope is 0, in which a unit is dead: it passes no
    gradient back; and where it is less than 5 % of the largest, in which a unit is saturated.

    It is recommended to use `from_estimator` to create a display. All parameters are stored as
    attributes.

    Parameters
    ----------
    inputs : list of ndarray of shape (n_samples, n_units)
        For each hidden layer the weighted inputs of its units.
    grid : list of ndarray of shape (n_points,)
        For each hidden layer the inputs, in ascending order, at which the curves are drawn.
    values : list of ndarray of shape (n_points,)
        The activation there.
    slopes : list of ndarray of shape (n_points,)
        Its slope there.
    titles : list of str
        What each layer is called.
    name : str, default=None
        Name of the network, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes whose place the panels took; the legend, with the name, is theirs.
    figure_ : matplotlib Figure
        Figure that holds them.
    axes_ : ndarray of shape (2, n_layers), of matplotlib Axes
        The curves of each layer, and beneath them the histograms.
    lines_ : list of matplotlib Line2D
        The activations.
    slope_lines_ : list of matplotlib Line2D
        Their slopes.
    zones_ : list of matplotlib Patch
        The dead and saturated zones.
    bars_ : list of matplotlib BarContainer
        The histograms.

    See Also
    --------
    ActivationDisplay.from_estimator : The activations of a fitted network.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.inspection import ActivationDisplay
    >>> z = np.linspace(-3, 3, 101)
    >>> display = ActivationDisplay(
    ...     inputs=[z[:, None]], grid=[z], values=[np.tanh(z)], slopes=[1 - np.tanh(z) ** 2],
    ...     titles=["tanh"],
    ... )
    >>> display.plot()
    <...ActivationDisplay object at ...>
    """

    lines_: list[Any]
    slope_lines_: list[Any]
    zones_: list[Any]
    bars_: list[Any]

    def __init__(
        self,
        *,
        inputs: list[Array],
        grid: list[Array],
        values: list[Array],
        slopes: list[Array],
        titles: list[str],
        name: str | None = None,
    ) -> None:
        self.inputs = inputs
        self.grid = grid
        self.values = values
        self.slopes = slopes
        self.titles = titles
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        ax: Any = None,
        name: str | None = None,
        curve_kwargs: dict[str, Any] | None = None,
        hist_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the activations of a fitted network and what its units are given of some samples.

        Of 'prelu' the units' mean slope is drawn, of 'maxout' the largest of the pieces.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Pipeline
            A fitted network, or a Pipeline that ends with one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples, as for `predict`.
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.
        name : str, default=None
            Heading of the legend; the name of the class if None.
        curve_kwargs : dict, default=None
            Keyword arguments of matplotlib's `plot`, for the activations.
        hist_kwargs : dict, default=None
            Keyword arguments of matplotlib's `hist`, for the histograms.

        Returns
        -------
        ActivationDisplay

        Raises
        ------
        ValueError
            The network has no hidden layer; X is not as `predict` wants it.
        TypeError
            The estimator is no multi-layer network of fastmlp.
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        ImportError
            matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastmlp import MLPClassifier
        >>> from fastmlp.inspection import ActivationDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((8, 5), activation=["tanh", "relu"], max_iter=20, random_state=0)
        >>> _ = clf.partial_fit(X, y, classes=[0, 1, 2])
        >>> ActivationDisplay.from_estimator(clf, X)
        <...ActivationDisplay object at ...>
        """
        check_plot_support(f"{cls.__name__}.from_estimator")
        network = network_in(estimator, "hidden_activations")
        inputs = _weighted_inputs(network, network_input(estimator, X))
        layers = _scalar_layers(network)
        grid = [_grid(z) for z in inputs]
        curves = [_curves(layer, z) for layer, z in zip(layers, grid, strict=True)]
        display = cls(
            inputs=inputs,
            grid=grid,
            values=[value for value, _ in curves],
            slopes=[slope for _, slope in curves],
            titles=[f"Layer {i}: {layer.activation}" for i, layer in enumerate(layers)],
            name=type(network).__name__ if name is None else name,
        )
        return display.plot(ax, curve_kwargs=curve_kwargs, hist_kwargs=hist_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        curve_kwargs: dict[str, Any] | None = None,
        hist_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the activations.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.
        name : str, default=None
            Heading of the legend; that given at the start if None.
        curve_kwargs : dict, default=None
            Keyword arguments of matplotlib's `plot`, for the activations.
        hist_kwargs : dict, default=None
            Keyword arguments of matplotlib's `hist`, for the histograms.

        Returns
        -------
        ActivationDisplay
            The display itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        check_plot_support(f"{type(self).__name__}.plot")
        self.ax_ = new_axes(ax, width=max(6.4, 1.6 * len(self.grid)))
        self.figure_ = self.ax_.figure
        self.axes_ = panels(self.ax_, 2, len(self.grid), height_ratios=(3, 1), sharex="col")
        self.lines_, self.slope_lines_, self.zones_, self.bars_ = [], [], [], []
        for layer in range(len(self.grid)):
            self._plot_curves(layer, curve_kwargs or {})
            self._plot_inputs(layer, hist_kwargs or {})
        self.axes_[1, 0].set_ylabel("Inputs")
        self._add_heading(self.name if name is None else name)
        return self

    def _plot_curves(self, layer: int, curve_kwargs: dict[str, Any]) -> None:
        """The activation of a layer and its slope, over the zones."""
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        ax, z, slope = self.axes_[0, layer], self.grid[layer], np.abs(self.slopes[layer])
        dead = _at_the_ends(slope == 0)
        zones = {"dead": dead, "saturated": _at_the_ends(slope < _SATURATED * slope.max()) & ~dead}
        title = [self.titles[layer]]
        for label, zone in zones.items():
            title.append(f"{label} {np.interp(self.inputs[layer], z, zone).mean():.0%}")
            for first, last in _runs(zone):
                for panel in self.axes_[:, layer]:
                    span = panel.axvspan(z[first], z[last], color=_SHADES[label], linewidth=0)
                    self.zones_.append(span)
        style = {"color": POSITIVE} | normalize_kwargs(curve_kwargs, Line2D)
        self.lines_ += ax.plot(z, self.values[layer], **style)
        self.slope_lines_ += ax.plot(
            z, self.slopes[layer], color=NEGATIVE, linestyle=LINE_STYLES[1]
        )
        ax.set_title("\n".join(title), fontsize="small")

    def _plot_inputs(self, layer: int, hist_kwargs: dict[str, Any]) -> None:
        """How the weighted inputs of a layer are distributed."""
        ax = self.axes_[1, layer]
        style = {"bins": 50, "color": NEUTRAL} | hist_kwargs
        self.bars_.append(ax.hist(self.inputs[layer].ravel(), **style)[2])
        ax.set(xlabel="Weighted input", yticks=[])
        ax.set_xlim(self.grid[layer][0], self.grid[layer][-1])

    def _add_heading(self, name: str | None) -> None:
        """The title, and beneath it what lines and shades mean."""
        from matplotlib.patches import Patch

        handles = [self.lines_[0], self.slope_lines_[0]]
        handles += [Patch(color=shade) for shade in _SHADES.values()]
        labels = ["activation", "slope", *_SHADES]
        self.ax_.legend(handles, labels, title=name, ncols=4, loc="lower center")


def _weighted_inputs(network: Any, X: Any) -> list[Array]:
    """For each hidden layer what its units are given of samples (n_samples, n_units)."""
    inputs, below = [], X
    for i, layer in enumerate(network._hidden_layers):
        above = network.hidden_activations(X, i)
        if layer.activation == "maxout":
            inputs.append(above)  # which is the largest of them
        else:
            rows = below if issparse(below) else np.asarray(below)
            inputs.append(np.asarray(rows @ network.coefs_[i] + network.intercepts_[i]))
        below = above
    if not inputs:
        raise ValueError("The network has no hidden layer.")
    return inputs


def _scalar_layers(network: Any) -> list[HiddenLayer]:
    """The hidden layers, each with one parameter where units have learned their own."""
    slopes: Sequence[Any] = network._blocks().slopes or [None] * len(network._hidden_layers)
    return [
        layer if slope is None else layer._replace(parameter=float(np.mean(slope)))
        for layer, slope in zip(network._hidden_layers, slopes, strict=True)
    ]


def _grid(inputs: Array) -> Array:
    """Points from the least to the largest input, and around 0."""
    low, high = min(float(inputs.min()), -_LEAST_RANGE), max(float(inputs.max()), _LEAST_RANGE)
    return np.linspace(low, high, _POINTS)


def _curves(layer: HiddenLayer, z: Array) -> tuple[Array, Array]:
    """A layer's activation and its slope at the points z, from the core.

    A network has a unit for each point, whose bias it is. Their sum is the output, which is 1 off
    its target: the loss's derivative by a bias is the slope there.
    """
    n, nothing = len(z), np.zeros((1, 1))
    learned = [np.full(n, layer.parameter)] if layer.activation == "prelu" else ()
    units = Blocks([np.zeros((1, n * layer.pieces))], [np.tile(z, layer.pieces)], learned)
    values = _native.predict(units.for_core(np.float64), [layer], None, nothing, n_threads=1)[0]
    network = Network(
        Architecture([1, n, 1], [layer], "squared_error"),
        np.float64,
        alpha=0.0,
        batch=1,
        sparse=False,
        keep_gradient=True,
    )
    weights, bias = np.ones((n, 1)), -values.sum(keepdims=True)
    network.write(Blocks([*units.weights, weights], [*units.biases, bias], learned))
    held = network.hold(Samples(nothing, nothing - 1, None))
    _, gradient = network.gradient(held, n_threads=1)
    return values, gradient.biases[0][:n]


def _at_the_ends(is_flat: Array) -> Array:
    """Of the points where a curve is flat those from which it is so to the end."""
    to_left = np.logical_and.accumulate(is_flat)
    to_right = np.logical_and.accumulate(is_flat[::-1])[::-1]
    return to_left | to_right


def _runs(mask: Array) -> list[tuple[int, int]]:
    """First and last place of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]
