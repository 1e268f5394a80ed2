"""The loss around fitted weights, as a picture."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Self

import numpy as np

from fastmlp.core.network import Blocks
from fastmlp.core.rules import any_of, integer, nothing, option, real
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.regressor import MLPRegressor
from fastmlp.inspection.checks import check_parameter, fitted_network
from fastmlp.inspection.planes import data_loss, plane_of
from fastmlp.inspection.style import NEGATIVE, SEQUENTIAL, check_plot_support

_KIND = option("contour", "surface")


class Landscape(NamedTuple):
    """Losses on a plane through parameters: what a `LossLandscapeDisplay` is made of."""

    coordinates: tuple[Array, Array]
    losses: Array
    center: Array
    center_loss: float
    names: tuple[str, str]
    path_points: Array | None
    path_losses: Array | None
    path_share: float | None


def losses_around(
    fitted: Any,
    X: Any,
    y: Any,
    *,
    directions: Any = "random",
    extent: float | None = None,
    resolution: int = 31,
    path: Any = None,
    random_state: Any = None,
) -> Landscape:
    """Compute what `LossLandscapeDisplay.from_estimator` draws, whose parameters these are."""
    loss = data_loss(fitted, X, y)
    blocks = fitted._blocks().map(lambda array: np.asarray(array, np.float64))
    way = None if path is None else _flat_path(path, blocks)
    plane = plane_of(directions, blocks, way, random_state)
    center = plane.project(blocks.flat()[None])[0]
    points = None if way is None else plane.project(way)
    least = 0.0 if isinstance(directions, str) and directions == "pca" else 1.0
    low, high = _ranges(center, points, extent, least)
    first, second = np.linspace(low, high, resolution).T
    grid = np.stack(np.meshgrid(first, second), axis=-1)
    with ThreadPoolExecutor(n_threads(fitted.n_jobs)) as pool:  # a network each: none waits
        losses = list(pool.map(lambda place: loss(plane.at(place)), grid.reshape(-1, 2)))
        path_losses = None if way is None else np.array(list(pool.map(loss, way)))
    return Landscape(
        coordinates=(first, second),
        losses=np.reshape(losses, grid.shape[:2]),
        center=center,
        center_loss=loss(blocks.flat()),
        names=plane.names,
        path_points=points,
        path_losses=path_losses,
        path_share=None if way is None else plane.share(way, blocks.flat()),
    )


class LossLandscapeDisplay:
    """The loss of a network on a plane through its fitted parameters [1]_.

    It is recommended to use `from_estimator` to create a display. All parameters are stored as
    attributes.

    Parameters
    ----------
    coordinates : tuple of two ndarray of shape (resolution,)
        Those of the grid, along the first and along the second direction.
    losses : ndarray of shape (resolution, resolution)
        The loss without penalties at ``coordinates[0][j]`` and ``coordinates[1][i]``.
    center : ndarray of shape (2,)
        The coordinates of the fitted parameters.
    center_loss : float
        Their loss.
    names : tuple of two str
        What the coordinates are.
    path_points : ndarray of shape (n_points, 2) or None, default=None
        The path of training, projected onto the plane.
    path_losses : ndarray of shape (n_points,) or None, default=None
        The losses of the path's parameters themselves, not of their projections.
    path_share : float or None, default=None
        The part of the path's variance around the fitted parameters that lies in the plane.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What is drawn on.
    figure_ : matplotlib Figure
        It holds the axes.
    surface_ : matplotlib QuadContourSet or Poly3DCollection
        The losses.
    colorbar_ : matplotlib Colorbar
        What the colours mean.
    center_ : matplotlib artist
        The mark of the fitted parameters.
    path_, path_line_ : matplotlib artists or None
        The points of the path, and the line through them.

    References
    ----------
    .. [1] Li, Xu, Taylor, Studer & Goldstein (2018). "Visualizing the loss landscape of neural
       nets". NeurIPS.

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.inspection import LossLandscapeDisplay
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> clf = MLPClassifier((3,), solver="lbfgs", random_state=0).fit(X, y)
    >>> display = LossLandscapeDisplay.from_estimator(clf, X, y, random_state=0)
    >>> display.losses.shape
    (31, 31)
    """

    def __init__(
        self,
        *,
        coordinates: tuple[Array, Array],
        losses: Array,
        center: Array,
        center_loss: float,
        names: tuple[str, str],
        path_points: Array | None = None,
        path_losses: Array | None = None,
        path_share: float | None = None,
    ) -> None:
        self.coordinates = coordinates
        self.losses = losses
        self.center = center
        self.center_loss = center_loss
        self.names = names
        self.path_points = path_points
        self.path_losses = path_losses
        self.path_share = path_share

    @classmethod
    def from_estimator(
        cls,
        estimator: MLPClassifier | MLPRegressor,
        X: Any,
        y: Any,
        *,
        directions: Any = "random",
        extent: float | None = None,
        resolution: int = 31,
        path: Any = None,
        random_state: Any = None,
        kind: str = "contour",
        ax: Any = None,
        surface_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Compute the losses around a fitted network's parameters, and draw them.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted. It stays as it is.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples whose loss is computed, without penalties and dropout.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        directions : 'random', 'pca' or tuple of two tuples of int, default='random'
            - 'random': normal numbers, filter-normalised: those of each unit are as long as its
              weights. The biases stay.
            - 'pca': the two directions in which `path` is widest. A path is hardly seen in random
              directions.
            - two parameters, each a weight ``(layer, input, unit)`` or a bias ``(layer, unit)``.
        extent : float or None, default=None
            How far from the fitted parameters the grid goes in each direction. None: 1, and as far
            as the path; of 'pca' as far as the path alone.
        resolution : int, default=31
            Number of grid points in each direction.
        path : list of tuple or None, default=None
            Parameters in the course of training, ``(coefs_, intercepts_)`` and of 'prelu'
            `activation_slopes_`: see `training_path`.
        random_state : int, RandomState instance or None, default=None
            Draws the random directions.
        kind : {'contour', 'surface'}, default='contour'
            How to draw.
        ax : matplotlib Axes or None, default=None
            What to draw on, for 'surface' with ``projection='3d'``; None makes a new figure.
        surface_kwargs : dict or None, default=None
            Further arguments of matplotlib's `contourf` or `plot_surface`.

        Returns
        -------
        LossLandscapeDisplay

        Raises
        ------
        ImportError
            matplotlib is not installed.
        TypeError
            For another estimator.
        ValueError
            For an estimator that is not fitted, data that are not those of its kind, a path that is
            not of this network, or a parameter outside of what is allowed.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from fastmlp.inspection import LossLandscapeDisplay
        >>> X, y = [[0.0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
        >>> clf = MLPClassifier((3,), solver="lbfgs", random_state=0).fit(X, y)
        >>> display = LossLandscapeDisplay.from_estimator(clf, X, y, resolution=5, random_state=0)
        >>> display.losses.shape
        (5, 5)
        """
        check_plot_support(f"{cls.__name__}.from_estimator")
        fitted = fitted_network(estimator)
        check_parameter("extent", extent, any_of(real(0, brackets="()"), nothing))
        check_parameter("resolution", resolution, integer(2))
        check_parameter("kind", kind, _KIND)
        found = losses_around(
            fitted,
            X,
            y,
            directions=directions,
            extent=extent,
            resolution=resolution,
            path=path,
            random_state=random_state,
        )
        display = cls(**found._asdict())
        return display.plot(ax, kind=kind, surface_kwargs=surface_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "contour",
        surface_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the losses.

        The colours are on a logarithmic scale where the losses are positive and differ much.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            What to draw on, for 'surface' with ``projection='3d'``; None makes a new figure.
        kind : {'contour', 'surface'}, default='contour'
            How to draw.
        surface_kwargs : dict or None, default=None
            Further arguments of matplotlib's `contourf` or `plot_surface`.

        Returns
        -------
        LossLandscapeDisplay
            The display itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            `kind` is something else, or 'surface' was given axes without a third dimension.
        """
        check_plot_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        check_parameter("kind", kind, _KIND)
        solid = kind == "surface"
        if ax is None:
            third = {"projection": "3d", "computed_zorder": False} if solid else {}
            _, ax = plt.subplots(subplot_kw=third, layout="constrained")
        if solid and not hasattr(ax, "plot_surface"):
            raise ValueError("kind='surface' needs axes with projection='3d'.")
        levels, norm = self._levels()
        style = {"cmap": SEQUENTIAL, "norm": norm} | (surface_kwargs or {})
        grid = (*np.meshgrid(*self.coordinates), np.ma.masked_invalid(self.losses))
        if solid:
            self.surface_ = ax.plot_surface(*grid, **({"rcount": 100, "ccount": 100} | style))
            ax.set_zlabel("loss", labelpad=6)
            ax.locator_params(nbins=5)
            ax.set_box_aspect(None, zoom=0.85)  # or the labels are cut off
        else:
            self.surface_ = ax.contourf(*grid, **({"levels": levels} | style))
        self.colorbar_ = ax.figure.colorbar(
            self.surface_,
            ax=ax,
            label="loss",
            ticks=levels[::4],
            format="%.2g",
            **({"shrink": 0.6, "pad": 0.12} if solid else {}),
        )
        self.colorbar_.minorticks_off()
        self._mark(ax, solid)
        ax.set(xlabel=self.names[0], ylabel=self.names[1], title=self._title())
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _levels(self) -> tuple[Array, Any]:
        """The losses at which contours lie, and the scale of their colours."""
        from matplotlib.colors import LogNorm, Normalize

        values = np.append(self.losses, () if self.path_losses is None else self.path_losses)
        values = values[np.isfinite(values)]
        low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
        high = high if high > low else low + 1.0  # a loss that is the same everywhere
        if low > 0 and high > 20 * low:
            return np.geomspace(low, high, 21), LogNorm(low, high)
        return np.linspace(low, high, 21), Normalize(low, high)

    def _mark(self, ax: Any, solid: bool) -> None:
        """Draw the path, and a star at the fitted parameters."""
        self.path_ = self.path_line_ = None
        if self.path_points is not None and self.path_losses is not None:
            place = [*self.path_points.T, *([self.path_losses] if solid else [])]
            (self.path_line_,) = ax.plot(*place, color="white", linewidth=1, zorder=3)
            self.path_ = ax.scatter(
                *place,
                c=self.path_losses,
                cmap=self.surface_.get_cmap(),
                norm=self.surface_.norm,
                edgecolors="black",
                s=25,
                linewidths=0.7,
                zorder=4,
                label="training",
                **({"depthshade": False} if solid else {}),
            )
        place = [*self.center[:, None], *([[self.center_loss]] if solid else [])]
        self.center_ = ax.scatter(
            *place,
            marker="*",
            s=150,
            color=NEGATIVE,
            edgecolors="white",
            zorder=5,
            label="fitted weights",
        )
        ax.legend(loc="upper left" if solid else "best")

    def _title(self) -> str:
        if self.path_share is None:
            return "Loss around the fitted weights"
        share = f"{100 * self.path_share:.3g}"
        return f"Loss around the fitted weights\n{share} % of the path's variance is in this plane"


def _flat_path(path: Any, center: Blocks) -> Array:
    """The points of a path as the rows of a matrix."""
    rows = []
    if not len(path):
        raise ValueError("path must hold at least one point.")
    for point in path:
        blocks = Blocks(*point)
        if blocks.shapes() != center.shapes():
            raise ValueError(
                f"path must hold parameters of this network, of the shapes {center.shapes()}. Got "
                f"{blocks.shapes()}."
            )
        rows.append(blocks.flat())
    return np.array(rows, np.float64)


def _ranges(
    center: Array, points: Array | None, extent: float | None, least: float
) -> tuple[Array, Array]:
    """The lowest and the highest coordinates of the grid, (2,) each."""
    if extent is not None:
        return center - extent, center + extent
    seen = center[None] if points is None else np.vstack([points, center])
    low, high = seen.min(axis=0), seen.max(axis=0)
    margin = 0.2 * (high - low)
    margin[margin == 0] = 1.0
    return np.minimum(low - margin, center - least), np.maximum(high + margin, center + least)
