"""The weights that a network has learned."""

from typing import Any, Self

import numpy as np

from fastmlp.core.rules import option
from fastmlp.core.typing import Array
from fastmlp.inspection.checks import check_parameter, network_in
from fastmlp.inspection.style import (
    POSITIVE,
    check_plot_support,
    diverging_style,
    new_axes,
    panels,
    tiled,
)

_MOST_NAMES = 30  # beside a matrix more would overlap


class WeightsDisplay:
    """The weights of the first layer as images or as a matrix, or histograms of all layers.

    It is recommended to use `from_estimator` to create a display. All parameters are stored as
    attributes.

    Parameters
    ----------
    coefs : list of ndarray of shape (n_inputs, n_units)
        The weights of each layer.
    image_shape : tuple of int or None, default=None
        Height and width of the images that the samples are, whose pixels are the features row by
        row. None where the features are no pixels.
    feature_names : sequence of str or None, default=None
        Names of the features.
    name : str, default=None
        Name of the network, for the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the weights of the first layer; of histograms those whose place they took.
    figure_ : matplotlib Figure
        Figure that holds them.
    image_ : matplotlib AxesImage or None
        The weights of the first layer; None of histograms.
    colorbar_ : matplotlib Colorbar or None
        Its colours: blue is positive, orange negative.
    axes_ : ndarray of shape (n_layers,) or None
        Axes with a histogram each, from the first layer; None of the first layer's weights.
    bars_ : list of matplotlib BarContainer
        The histograms.

    See Also
    --------
    WeightsDisplay.from_estimator : The weights of a fitted network.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.inspection import WeightsDisplay
    >>> WeightsDisplay(coefs=[np.eye(4)], image_shape=(2, 2)).plot()
    <...WeightsDisplay object at ...>
    """

    image_: Any
    colorbar_: Any
    axes_: Any
    bars_: list[Any]

    def __init__(
        self,
        *,
        coefs: list[Array],
        image_shape: tuple[int, int] | None = None,
        feature_names: Any = None,
        name: str | None = None,
    ) -> None:
        self.coefs = coefs
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        image_shape: tuple[int, int] | None = None,
        kind: str = "first_layer",
        ax: Any = None,
        name: str | None = None,
        image_kwargs: dict[str, Any] | None = None,
        hist_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the weights of a fitted network.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Pipeline
            A fitted network, or a Pipeline that ends with one.
        image_shape : tuple of int or None, default=None
            Height and width of the images that the samples are, whose pixels are the features row
            by row: each unit's weights are drawn as such an image. None where the features are no
            pixels: the weights are drawn as a matrix.
        kind : {'first_layer', 'histograms'}, default='first_layer'
            The weights of the first layer, or how those of each layer are distributed.
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.
        name : str, default=None
            The title; the name of the class if None.
        image_kwargs : dict, default=None
            Keyword arguments of matplotlib's `imshow`, for the first layer.
        hist_kwargs : dict, default=None
            Keyword arguments of matplotlib's `hist`, for the histograms.

        Returns
        -------
        WeightsDisplay

        Raises
        ------
        ValueError
            `image_shape` has another number of pixels than there are features; there is no such
            `kind`.
        TypeError
            The estimator is no multi-layer network.
        sklearn.exceptions.NotFittedError
            The estimator is not fitted.
        ImportError
            matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from fastmlp import MLPClassifier
        >>> from fastmlp.inspection import WeightsDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = MLPClassifier((12,), early_stopping=True, random_state=0).fit(X, y)
        >>> WeightsDisplay.from_estimator(clf, image_shape=(8, 8))
        <...WeightsDisplay object at ...>
        """
        check_plot_support(f"{cls.__name__}.from_estimator")
        network = network_in(estimator, "coefs_")
        display = cls(
            coefs=network.coefs_,
            image_shape=image_shape,
            feature_names=getattr(network, "feature_names_in_", None),
            name=type(network).__name__ if name is None else name,
        )
        return display.plot(ax, kind=kind, image_kwargs=image_kwargs, hist_kwargs=hist_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "first_layer",
        name: str | None = None,
        image_kwargs: dict[str, Any] | None = None,
        hist_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.
        kind : {'first_layer', 'histograms'}, default='first_layer'
            The weights of the first layer, or how those of each layer are distributed.
        name : str, default=None
            The title; that given at the start if None.
        image_kwargs : dict, default=None
            Keyword arguments of matplotlib's `imshow`, for the first layer.
        hist_kwargs : dict, default=None
            Keyword arguments of matplotlib's `hist`, for the histograms.

        Returns
        -------
        WeightsDisplay
            The display itself.

        Raises
        ------
        ValueError
            `image_shape` has another number of pixels than there are features; there is no such
            `kind`.
        ImportError
            matplotlib is not installed.
        """
        check_plot_support(f"{type(self).__name__}.plot")
        check_parameter("kind", kind, option("first_layer", "histograms"))
        first_layer = kind == "first_layer"
        picture = self._picture() if first_layer else None
        self.ax_ = new_axes(ax, height=4.8 if first_layer else 0.8 + 1.2 * len(self.coefs))
        self.figure_ = self.ax_.figure
        self.ax_.set_title(self.name if name is None else name)
        self.image_, self.colorbar_, self.axes_, self.bars_ = None, None, None, []
        if picture is None:
            self._plot_histograms(hist_kwargs or {})
        else:
            self._plot_first_layer(picture, image_kwargs or {})
        return self

    def _picture(self) -> Array:
        """The weights of the first layer as they are drawn."""
        weights = np.asarray(self.coefs[0])
        if self.image_shape is None:
            return weights
        height, width = self.image_shape
        if height * width != len(weights):
            raise ValueError(
                f"image_shape={self.image_shape!r} has {height * width} pixels, but there are "
                f"{len(weights)} features."
            )
        return tiled(weights.T.reshape(-1, height, width))

    def _plot_first_layer(self, picture: Array, image_kwargs: dict[str, Any]) -> None:
        """Images side by side, or the matrix with a column for each unit."""
        is_matrix = self.image_shape is None
        style = diverging_style(picture) | {"aspect": "auto" if is_matrix else "equal"}
        style["interpolation"] = "nearest"
        self.image_ = self.ax_.imshow(picture, **(style | image_kwargs))
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label="Weight")
        if not is_matrix:
            self.ax_.set(xticks=[], yticks=[], xlabel="Units of the first layer, row by row")
            return
        self.ax_.set(xlabel="Unit of the first layer", ylabel="Feature")
        self.ax_.locator_params(integer=True)
        if self.feature_names is not None and len(picture) <= _MOST_NAMES:
            self.ax_.set_yticks(range(len(picture)), self.feature_names)

    def _plot_histograms(self, hist_kwargs: dict[str, Any]) -> None:
        """One beneath the other, over the same axis."""
        self.axes_ = panels(self.ax_, len(self.coefs), 1, sharex=True)[:, 0]
        weights = [np.asarray(layer) for layer in self.coefs]
        edges = np.histogram_bin_edges(np.concatenate([layer.ravel() for layer in weights]), 60)
        style = {"bins": edges, "color": POSITIVE} | hist_kwargs
        for i, (layer, ax) in enumerate(zip(weights, self.axes_, strict=True)):
            self.bars_.append(ax.hist(layer.ravel(), **style)[2])
            size = f"{layer.shape[0]} × {layer.shape[1]}"  # noqa: RUF001
            ax.set_ylabel(f"Layer {i}\n{size}", rotation=0, ha="right", va="center", labelpad=12)
        self.axes_[-1].set_xlabel("Weight")
