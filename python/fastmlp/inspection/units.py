"""What each hidden unit makes of two inputs."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from fastmlp.core.rules import integer
from fastmlp.core.typing import Array
from fastmlp.inspection.checks import check_parameter, network_in, network_input
from fastmlp.inspection.feature_plane import plane
from fastmlp.inspection.style import (
    check_plot_support,
    diverging_style,
    new_axes,
    sequential_style,
    tiled,
)

_MARGIN = 0.05  # around the samples, of their range


class UnitsDisplay:
    """A heat map for each hidden unit: its activation over two inputs.

    The maps lie row by row from the first unit, each with its own scale: colours are shares of the
    unit's largest activation in the map. The first input grows to the right, the second upwards.

    It is recommended to use `from_estimator` to create a display. All parameters are stored as
    attributes.

    Parameters
    ----------
    xx0, xx1 : ndarray of shape (grid_resolution, grid_resolution)
        The two inputs, as of `numpy.meshgrid`.
    activations : ndarray of shape (grid_resolution, grid_resolution, n_units)
        The units' activations there.
    xlabel, ylabel : str, default=''
        Names of the two inputs.
    name : str, default=None
        The title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the maps.
    figure_ : matplotlib Figure
        Figure that holds them.
    image_ : matplotlib AxesImage
        All maps.
    colorbar_ : matplotlib Colorbar
        Their colours.

    See Also
    --------
    UnitsDisplay.from_estimator : The units of a fitted network.
    plane : The network itself over two features.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.inspection import UnitsDisplay
    >>> xx0, xx1 = np.meshgrid(np.linspace(-2, 2, 20), np.linspace(-2, 2, 20))
    >>> activations = np.tanh(np.stack([xx0, xx1, xx0 - xx1], axis=-1))
    >>> UnitsDisplay(xx0=xx0, xx1=xx1, activations=activations).plot()
    <...UnitsDisplay object at ...>
    """

    def __init__(
        self,
        *,
        xx0: Array,
        xx1: Array,
        activations: Array,
        xlabel: str = "",
        ylabel: str = "",
        name: str | None = None,
    ) -> None:
        self.xx0 = xx0
        self.xx1 = xx1
        self.activations = activations
        self.xlabel = xlabel
        self.ylabel = ylabel
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        layer: int = -1,
        features: Sequence[int | str] | None = None,
        grid_resolution: int = 50,
        ax: Any = None,
        name: str | None = None,
        image_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the hidden units of a fitted network.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Pipeline
            A fitted network, or a Pipeline that ends with one.
        X : {array-like, data frame} of shape (n_samples, n_features)
            Samples, numbers only, as for `predict`.
        layer : int, default=-1
            The hidden layer, from 0; negative ones count from the last.
        features : sequence of two int or str, default=None
            The two inputs, features by their places or names; all others are at their medians.
            None: the two of the largest weights, by the norm of a feature's weights in the first
            layer times its standard deviation.
        grid_resolution : int, default=50
            Number of points along each input.
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.
        name : str, default=None
            The title; what is drawn if None.
        image_kwargs : dict, default=None
            Keyword arguments of matplotlib's `imshow`.

        Returns
        -------
        UnitsDisplay

        Raises
        ------
        ValueError
            There is no such layer, or there are no such features; X is not as `predict` wants it.
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
        >>> from fastmlp.inspection import UnitsDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((9,), solver="lbfgs", random_state=0).fit(X, y)
        >>> UnitsDisplay.from_estimator(clf, X, features=(2, 3))
        <...UnitsDisplay object at ...>
        """
        check_plot_support(f"{cls.__name__}.from_estimator")
        check_parameter("grid_resolution", grid_resolution, integer(2))
        network = network_in(estimator, "hidden_activations")
        view = plane(estimator, X, features)
        xx0, xx1 = np.meshgrid(
            *(_along(column, grid_resolution) for column in np.asarray(X).T[list(view.features)])
        )
        rows = view.filled(np.column_stack([xx0.ravel(), xx1.ravel()]))
        activations = network.hidden_activations(network_input(estimator, rows), layer)
        if name is None:
            name = f"{type(network).__name__}: hidden layer {layer % (network.n_layers_ - 2)}"
            if len(view.values) > 2:
                name += ", other features at their medians"
        xlabel, ylabel = view.labels()
        display = cls(
            xx0=xx0,
            xx1=xx1,
            activations=activations.reshape(*xx0.shape, -1),
            xlabel=xlabel,
            ylabel=ylabel,
            name=name,
        )
        return display.plot(ax, image_kwargs=image_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        image_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the heat maps.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.
        name : str, default=None
            The title; that given at the start if None.
        image_kwargs : dict, default=None
            Keyword arguments of matplotlib's `imshow`.

        Returns
        -------
        UnitsDisplay
            The display itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        check_plot_support(f"{type(self).__name__}.plot")
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        maps = np.moveaxis(np.asarray(self.activations), -1, 0)[:, ::-1]  # up is up
        largest = np.abs(maps).max(axis=(1, 2), keepdims=True)
        maps = maps / np.where(largest > 0, largest, 1)
        style = diverging_style(maps) if maps.min() < 0 else sequential_style(maps)
        style |= {"aspect": "auto", "interpolation": "nearest"}
        self.image_ = self.ax_.imshow(tiled(maps), **(style | (image_kwargs or {})))
        self.colorbar_ = self.figure_.colorbar(
            self.image_, ax=self.ax_, label="Activation, of the unit's largest"
        )
        self.ax_.set(
            xticks=[],
            yticks=[],
            xlabel=_ranged(self.xlabel, self.xx0),
            ylabel=_ranged(self.ylabel, self.xx1),
            title=self.name if name is None else name,
        )
        return self


def _along(column: Array, n: int) -> Array:
    """Points along an input, from a little below its values to a little above."""
    low, high = np.nanmin(column), np.nanmax(column)
    margin = _MARGIN * (high - low)
    return np.linspace(low - margin, high + margin, n)


def _ranged(label: str, values: Array) -> str:
    """An input with the values that it has in each map."""
    return f"{label}\n{np.min(values):.3g} to {np.max(values):.3g} in each map".lstrip()
