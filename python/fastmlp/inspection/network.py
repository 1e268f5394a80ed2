"""Networks as matplotlib draws them."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from fastmlp.core.typing import Array
from fastmlp.estimators.adaline import Adaline
from fastmlp.estimators.autoencoder import MLPAutoencoder
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.perceptron import Perceptron
from fastmlp.estimators.recurrent_classifier import RNNClassifier
from fastmlp.estimators.recurrent_regressor import RNNRegressor
from fastmlp.estimators.regressor import MLPRegressor
from fastmlp.exchange.values import FittedNetwork
from fastmlp.inspection.checks import check_kind, last_step, network_input
from fastmlp.inspection.style import NEUTRAL, check_plot_support
from fastmlp.views.colours import BIAS, colour_of
from fastmlp.views.layout import LOOP, RADIUS, Drawing, Line, Loop, draw_network

_POINTS_PER_INCH = 72
_TITLE = 30
_DRAWN = (
    MLPClassifier,
    MLPRegressor,
    MLPAutoencoder,
    RNNClassifier,
    RNNRegressor,
    Perceptron,
    Adaline,
)


class NetworkDisplay:
    """A fitted network as a drawing: units as circles, weights as lines.

    Lines of positive weights are blue, those of negative ones orange and dashed; the larger a
    weight beside the others of its layer, the wider. Biases are the weights of a grey unit that is
    always 1. Of more than 16 units in a layer the first ones and the last are drawn, likewise of
    more than 8 layers. Of a maxout unit's weights for one input the largest is drawn. Recurrent
    units have loops: the weights of their own last outputs. Those of the others in the layer, and
    the gates of a 'gru', are not drawn.

    It is recommended to use `from_estimator` to create a display. All parameters are stored as
    attributes.

    Parameters
    ----------
    network : FittedNetwork
        What is drawn, as values.
    feature_names : sequence of str of length n_features or None, default=None
        The names of the inputs; None: x0, x1, ...
    values : list of ndarray of shape (n_units,), or None, default=None
        The features of a sample and what the units of each layer make of them. Units then show
        their values, and lines what they carry: the weight times the value of the unit before.
    weight_texts : list of ndarray of str, of shape (n_inputs + 1, n_units), or None, default=None
        What stands on the lines of each layer instead, those of the biases last.
    unit_texts : list of ndarray of str, of shape (n_units,), or None, default=None
        What stands below the units of each layer after the inputs.
    name : str or None, default=None
        What stands above the drawing.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure with the axes.
    lines_ : list of matplotlib LineCollection
        The weights: one collection for those of each sign.
    units_ : list of matplotlib Circle
        The units and the ones of the biases, layer by layer.
    texts_ : list of matplotlib Text
        All names and numbers.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.inspection import NetworkDisplay
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> clf = MLPClassifier((5,), solver="lbfgs", random_state=0).fit(X, y)
    >>> NetworkDisplay.from_estimator(clf, X[:1])
    <...>
    >>> plt.show()
    """

    def __init__(
        self,
        network: FittedNetwork,
        *,
        feature_names: Sequence[Any] | None = None,
        values: Sequence[Array] | None = None,
        weight_texts: Sequence[Array] | None = None,
        unit_texts: Sequence[Array] | None = None,
        name: str | None = None,
    ) -> None:
        self.network = network
        self.feature_names = feature_names
        self.values = values
        self.weight_texts = weight_texts
        self.unit_texts = unit_texts
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        ax: Any = None,
        name: str | None = None,
        line_kwargs: dict[str, Any] | None = None,
        unit_kwargs: dict[str, Any] | None = None,
        text_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw a fitted network, with the values of one sample if there is one.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor, MLPAutoencoder, RNNClassifier, RNNRegressor, \
                Perceptron, Adaline or Pipeline
            A fitted network, or a Pipeline that ends with one.
        X : {array-like, sparse matrix} of shape (1, n_features) or None, default=None
            A sample, whose values units and lines then show; of a recurrent network a sequence, of
            which they show the last step.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        name : str or None, default=None
            What stands above the drawing; None: the estimator's class.
        line_kwargs : dict or None, default=None
            Keyword arguments for matplotlib's LineCollection, over those of the display.
        unit_kwargs : dict or None, default=None
            Likewise for its Circle.
        text_kwargs : dict or None, default=None
            Likewise for its Text.

        Returns
        -------
        NetworkDisplay

        Raises
        ------
        ImportError
            The package matplotlib is not installed.
        NotFittedError
            The estimator is not fitted.
        TypeError
            It is no network.
        ValueError
            X is not one sample of the network's features, or the weights are not finite or do not
            fit each other.

        Examples
        --------
        >>> from fastmlp import MLPRegressor
        >>> from fastmlp.inspection import NetworkDisplay
        >>> reg = MLPRegressor(hidden_layer_sizes=(2,), solver="lbfgs", random_state=0)
        >>> display = NetworkDisplay.from_estimator(reg.fit([[0.0], [1], [2]], [0, 1, 4]), [[2.0]])
        >>> len(display.units_)
        6
        """
        check_plot_support(f"{cls.__name__}.from_estimator")
        network = last_step(estimator)
        check_kind(network, *_DRAWN)
        display = cls(
            network._fitted_network(),
            feature_names=getattr(network, "feature_names_in_", None),
            values=None if X is None else network._unit_values(network_input(estimator, X)),
            name=type(network).__name__ if name is None else name,
        )
        return display.plot(
            ax, line_kwargs=line_kwargs, unit_kwargs=unit_kwargs, text_kwargs=text_kwargs
        )

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        line_kwargs: dict[str, Any] | None = None,
        unit_kwargs: dict[str, Any] | None = None,
        text_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure, of the size in which all can be read.
        name : str or None, default=None
            What stands above the drawing; None: that given at the start.
        line_kwargs : dict or None, default=None
            Keyword arguments for matplotlib's LineCollection, over those of the display.
        unit_kwargs : dict or None, default=None
            Likewise for its Circle.
        text_kwargs : dict or None, default=None
            Likewise for its Text.

        Returns
        -------
        NetworkDisplay
            The display itself.

        Raises
        ------
        ImportError
            The package matplotlib is not installed.
        """
        check_plot_support(f"{type(self).__name__}.plot")
        drawing = draw_network(
            self.network,
            feature_names=self.feature_names,
            values=self.values,
            weight_texts=self.weight_texts,
            unit_texts=self.unit_texts,
        )
        self.ax_ = _new_axes(drawing) if ax is None else ax
        self.figure_ = self.ax_.figure
        self.ax_.set(xlim=(0, drawing.width), ylim=(drawing.height, 0), aspect="equal")
        self.ax_.set_axis_off()
        title = self.name if name is None else name
        if title is not None:
            self.ax_.set_title(title)
        points = _points_per_unit(self.ax_, drawing)
        self.lines_ = _paint_lines(self.ax_, drawing, points, line_kwargs or {})
        self.units_ = _paint_units(self.ax_, drawing, points, unit_kwargs or {})
        self.texts_ = _paint_texts(self.ax_, drawing, points, text_kwargs or {})
        return self


def _new_axes(drawing: Drawing) -> Any:
    """Axes of a new figure in which a unit of the drawing is a point, with room for a title."""
    from matplotlib import pyplot

    height = drawing.height + _TITLE
    figure = pyplot.figure(figsize=(drawing.width / _POINTS_PER_INCH, height / _POINTS_PER_INCH))
    return figure.add_axes((0, 0, 1, drawing.height / height))


def _points_per_unit(ax: Any, drawing: Drawing) -> float:
    """How large a unit of the drawing is on the axes, for what is measured in points."""
    ax.figure.draw_without_rendering()  # a layout that the figure makes decides it
    box = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    inches = min(box.width / drawing.width, box.height / drawing.height)
    return float(inches * _POINTS_PER_INCH)


def _paint_lines(ax: Any, drawing: Drawing, points: float, options: dict[str, Any]) -> list[Any]:
    from matplotlib.collections import LineCollection

    collections = []
    drawn: list[Line | Loop] = [*drawing.lines, *drawing.loops]
    for sign in sorted({line.sign for line in drawn}):
        lines = [line for line in drawn if line.sign == sign]
        look = {
            "colors": colour_of(sign),
            "linewidths": [line.width * points for line in lines],
            "linestyles": "dashed" if sign < 0 else "solid",
            "zorder": 1,
        }
        paths = [_path(line) for line in lines]
        collections.append(ax.add_collection(LineCollection(paths, **{**look, **options})))
    return collections


def _path(line: Line | Loop) -> Any:
    """The points of a line, or of a circle of which the unit's own hides the rest."""
    if isinstance(line, Line):
        return [(line.start.x, line.start.y), (line.end.x, line.end.y)]
    angles = np.linspace(0, 2 * np.pi, 33)
    centre = line.unit.x, line.unit.y - RADIUS
    return centre + LOOP * np.stack([np.sin(angles), np.cos(angles)], axis=1)


def _paint_units(ax: Any, drawing: Drawing, points: float, options: dict[str, Any]) -> list[Any]:
    from matplotlib.patches import Circle

    look = {"edgecolor": NEUTRAL, "linewidth": points, "zorder": 2}
    return [
        ax.add_patch(
            Circle(
                (circle.x, circle.y),
                RADIUS,
                **{**look, "facecolor": BIAS if circle.is_bias else "white", **options},
            )
        )
        for circle in drawing.circles
    ]


def _paint_texts(ax: Any, drawing: Drawing, points: float, options: dict[str, Any]) -> list[Any]:
    sides = {"start": "left", "middle": "center", "end": "right"}
    texts = []
    for text in drawing.texts:
        look = {
            "fontsize": text.size * points,
            "horizontalalignment": sides[text.anchor],
            "verticalalignment": "center_baseline",
            "parse_math": False,  # a $ in a name is a $
            "zorder": 3,
        }
        if text.is_on_line:
            look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5 * points}
        texts.append(ax.text(text.x, text.y, text.text, **{**look, **options}))
    return texts
