"""How gradients flow through the layers as a network learns."""

from typing import Any, Self

import numpy as np

from fastmlp.core.typing import Array
from fastmlp.inspection.checks import network_in
from fastmlp.inspection.style import SEQUENTIAL, check_plot_support, new_axes


class GradientFlowDisplay:
    """The norm of each layer's gradient over the epochs, on a logarithmic scale.

    Lines that lie apart by orders of magnitude are gradients that vanish or explode on their way
    back through the layers (Glorot & Bengio, "Understanding the difficulty of training deep
    feedforward neural networks", AISTATS 2010).

    It is recommended to use `from_estimator` to create a display. All parameters are stored as
    attributes.

    Parameters
    ----------
    gradient_norm : ndarray of shape (n_epochs, n_layers)
        The norms; the output layer's are the last.
    name : str, default=None
        Name of the network, the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of matplotlib Line2D
        One per layer.

    See Also
    --------
    diagnose : Looks for what keeps a network from learning.

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.inspection import GradientFlowDisplay
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier((8, 8), learning_rate_init=0.01, diagnostics=True, random_state=0)
    >>> GradientFlowDisplay.from_estimator(clf.fit(X, y))
    <...GradientFlowDisplay object at ...>
    """

    def __init__(self, gradient_norm: Array, *, name: str | None = None) -> None:
        self.gradient_norm = gradient_norm
        self.name = name

    def plot(
        self, ax: Any = None, *, name: str | None = None, curve_kwargs: dict[str, Any] | None = None
    ) -> Self:
        """Plot the norms.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.
        name : str, default=None
            The title; that given at the start if None.
        curve_kwargs : dict, default=None
            Arguments of matplotlib's `plot` for all lines.

        Returns
        -------
        GradientFlowDisplay
            The display itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        check_plot_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        ax = new_axes(ax)
        norms = np.asarray(self.gradient_norm)
        epochs = np.arange(1, len(norms) + 1)
        colours = plt.get_cmap(SEQUENTIAL)(np.linspace(0, 0.85, norms.shape[1]))
        self.lines_ = []
        for layer, colour in enumerate(colours):
            # a logarithm has no place for 0
            norm = np.where(norms[:, layer] > 0, norms[:, layer], np.nan)
            label = f"layer {layer}"
            style = {"color": colour, "label": label, **(curve_kwargs or {})}
            self.lines_ += ax.plot(epochs, norm, **style)
        ax.set(xlabel="Epoch", ylabel="Norm of the gradient", yscale="log")
        title = self.name if name is None else name
        if title is not None:
            ax.set_title(title)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Any = None,
        name: str | None = None,
        curve_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Plot the norms that a fit with ``diagnostics=True`` has recorded.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor, MLPAutoencoder or Pipeline
            A network that was fitted with ``diagnostics=True``, or a Pipeline that ends with one.
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.
        name : str, default=None
            The title; the name of the class if None.
        curve_kwargs : dict, default=None
            Arguments of matplotlib's `plot` for all lines.

        Returns
        -------
        GradientFlowDisplay

        Raises
        ------
        ValueError
            The fit has recorded no diagnostics.
        ImportError
            matplotlib is not installed.
        TypeError
            It is no multi-layer network.
        NotFittedError
            The estimator is not fitted.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from fastmlp.inspection import GradientFlowDisplay
        >>> clf = MLPClassifier((3,), max_iter=5, tol=0, diagnostics=True, random_state=0)
        >>> clf.fit([[0.0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
        MLPClassifier(...)
        >>> len(GradientFlowDisplay.from_estimator(clf).lines_)
        2
        """
        check_plot_support(f"{cls.__name__}.from_estimator")
        network = network_in(estimator, "diagnostics")
        diagnostics = getattr(network, "diagnostics_", None)
        if diagnostics is None:
            raise ValueError(
                f"The {type(network).__name__} has no diagnostics_: fit it with diagnostics=True."
            )
        display = cls(
            diagnostics["gradient_norm"], name=type(network).__name__ if name is None else name
        )
        return display.plot(ax, curve_kwargs=curve_kwargs)
