"""The one style of all pictures: colours, line styles, panels.

matplotlib is imported where something is drawn, never with the package.
"""

from math import ceil, sqrt
from typing import Any

import numpy as np

from fastmlp.core.typing import Array
from fastmlp.views.colours import NEGATIVE, NEUTRAL, POSITIVE

__all__ = ["NEGATIVE", "NEUTRAL", "POSITIVE"]

# Colours of several curves, with a marker for each: in grey print the colours are not enough.
COLORS = (POSITIVE, NEGATIVE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINE_STYLES = ("-", "--", "-.", ":")
SEQUENTIAL = "cividis"


def check_plot_support(name: str) -> None:
    """Check that matplotlib can be imported, for the sake of a caller with this name.

    Raises
    ------
    ImportError
        It cannot.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{name} requires matplotlib. You can install it with `pip install fastmlp[plot]`."
        ) from error


def new_axes(ax: Any, width: float = 6.4, height: float = 4.8) -> Any:
    """The axes to draw on: those given, or those of a new figure of this size in inches."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax


def diverging() -> Any:
    """The colormap from `NEGATIVE` through white to `POSITIVE`; dark where there is no number."""
    from matplotlib.colors import LinearSegmentedColormap

    cmap = LinearSegmentedColormap.from_list("fastmlp", [NEGATIVE, "white", POSITIVE])
    return cmap.with_extremes(bad="#333333")


def diverging_style(values: Array) -> dict[str, Any]:
    """Colormap and limits of an image of numbers of both signs: 0 is white."""
    largest = float(np.nanmax(np.abs(values))) or 1.0
    return {"cmap": diverging(), "vmin": -largest, "vmax": largest}


def sequential_style(values: Array) -> dict[str, Any]:
    """Colormap and limits of an image of numbers from 0; white where there is no number."""
    from matplotlib import colormaps

    cmap = colormaps[SEQUENTIAL].with_extremes(bad="white")
    return {"cmap": cmap, "vmin": 0.0, "vmax": float(np.nanmax(values)) or 1.0}


def tiled(images: Array) -> Array:
    """Images (n, height, width) row by row in one, with NaN between them."""
    n, height, width = images.shape
    columns = ceil(sqrt(n * height / width))
    gap = ceil(height / 25)
    down, across = height + gap, width + gap
    picture = np.full((ceil(n / columns) * down - gap, columns * across - gap), np.nan)
    for i, image in enumerate(images):
        top, left = i // columns * down, i % columns * across
        picture[top : top + height, left : left + width] = image
    return picture


def panel_beneath(ax: Any) -> Any:
    """Axes beneath `ax`, which makes room for them and shares its x axis."""
    spec = _place(ax).subgridspec(2, 1, height_ratios=(3, 1), hspace=0.08)
    ax.set_subplotspec(spec[0])
    ax.tick_params(labelbottom=False)
    return ax.figure.add_subplot(spec[1], sharex=ax)


def panels(ax: Any, rows: int, columns: int, **options: Any) -> Array:
    """Axes in a grid in the place of `ax`, of which a strip above them stays, for the title.

    Parameters
    ----------
    ax : matplotlib Axes
    rows, columns : int
    **options : dict
        `sharex` and `sharey` of matplotlib's `GridSpec.subplots`, others of `subgridspec`.

    Returns
    -------
    ndarray of shape (rows, columns), of matplotlib Axes
    """
    strip, rest = _place(ax).subgridspec(2, 1, height_ratios=(0.01, 1), hspace=0)
    ax.set_subplotspec(strip)
    ax.set(frame_on=False, xticks=[], yticks=[])
    shared = {name: options.pop(name) for name in ("sharex", "sharey") if name in options}
    grid: Array = rest.subgridspec(rows, columns, **options).subplots(squeeze=False, **shared)
    return grid


def _place(ax: Any) -> Any:
    """The place of axes in the grid of their figure."""
    spec = ax.get_subplotspec()
    if spec is None:
        raise ValueError("ax must be one of plt.subplots or Figure.add_subplot.")
    return spec
