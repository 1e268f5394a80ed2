"""How training went: losses and learning rates from epoch to epoch."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from fastmlp.inspection.checks import last_step
from fastmlp.inspection.style import (
    COLORS,
    LINE_STYLES,
    MARKERS,
    NEUTRAL,
    check_plot_support,
    new_axes,
    panel_beneath,
)


class LossCurveDisplay:
    """Loss and learning rate from epoch to epoch.

    It is recommended to use `from_estimator` to create a display. All parameters are stored as
    attributes.

    Parameters
    ----------
    loss_curve : list of list of float
        For each network, the training loss of each epoch.
    validation_loss_curve : list of (list of float or None), default=None
        For each network, the loss on the validation samples, None where there were none.
    learning_rate_curve : list of (list of float or None), default=None
        For each network, the learning rate of each epoch.
    best_epoch : list of (int or None), default=None
        For each network, the epoch to mark, from 0.
    name : str or list of str, default=None
        Names of the networks, for the legend. Networks of one name have one colour.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the losses.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : list of matplotlib Line2D
        The training losses.
    validation_lines_ : list of matplotlib Line2D
        The validation losses that there are.
    best_markers_ : list of matplotlib Line2D
        The marks at the best epochs that there are.
    rate_ax_ : matplotlib Axes or None
        Axes with the learning rates, beneath the losses; None where none is known.
    rate_lines_ : list of matplotlib Line2D
        The learning rates that there are.

    See Also
    --------
    LossCurveDisplay.from_estimator : The curves of fitted networks.

    Examples
    --------
    >>> from fastmlp.inspection import LossCurveDisplay
    >>> display = LossCurveDisplay(
    ...     loss_curve=[[0.7, 0.4, 0.3]], validation_loss_curve=[[0.8, 0.5, 0.6]], best_epoch=[1]
    ... )
    >>> display.plot()
    <...LossCurveDisplay object at ...>
    """

    lines_: list[Any]
    validation_lines_: list[Any]
    best_markers_: list[Any]
    rate_lines_: list[Any]

    def __init__(
        self,
        *,
        loss_curve: Any,
        validation_loss_curve: Any = None,
        learning_rate_curve: Any = None,
        best_epoch: Any = None,
        name: str | list[str] | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.learning_rate_curve = learning_rate_curve
        self.best_epoch = best_epoch
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Any = None,
        name: str | list[str] | None = None,
        curve_kwargs: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> Self:
        """Plot the curves of fitted networks.

        The best epoch is that of the best validation score with `early_stopping`, whose parameters
        the network has; otherwise that of the least validation loss.

        Parameters
        ----------
        estimator : estimator or dict of str to estimator
            A fitted `MLPClassifier` or `MLPRegressor`, a `TabularMLPClassifier` or
            `TabularMLPRegressor`, whose networks are all drawn, another estimator with
            `loss_curve_`, or a Pipeline that ends with one. A dict names several.
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.
        name : str or list of str, default=None
            Names of the curves; the keys of a dict, or the name of the class, if None.
        curve_kwargs : dict or list of dict, default=None
            Keyword arguments of matplotlib's `plot` for the training losses, for all of them or
            for each.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        ValueError
            An estimator has no loss curve; `curve_kwargs` or `name` are of another length.
        sklearn.exceptions.NotFittedError
            An estimator is not fitted.
        ImportError
            matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastmlp import MLPClassifier
        >>> from fastmlp.inspection import LossCurveDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((5,), early_stopping=True, random_state=0).fit(X, y)
        >>> LossCurveDisplay.from_estimator(clf)
        <...LossCurveDisplay object at ...>
        """
        check_plot_support(f"{cls.__name__}.from_estimator")
        named = estimator
        if not isinstance(estimator, Mapping):
            named = {type(last_step(estimator)).__name__: estimator}
        networks = [(key, each) for key, value in named.items() for each in _networks(value)]
        display = cls(
            loss_curve=[each.loss_curve_ for _, each in networks],
            validation_loss_curve=[
                getattr(each, "validation_loss_curve_", None) for _, each in networks
            ],
            learning_rate_curve=[
                getattr(each, "learning_rate_curve_", None) for _, each in networks
            ],
            best_epoch=[_best_epoch(each) for _, each in networks],
            name=[key for key, _ in networks] if name is None else name,
        )
        return display.plot(ax, curve_kwargs=curve_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | list[str] | None = None,
        curve_kwargs: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; those of a new figure if None.
        name : str or list of str, default=None
            Names of the curves; those given at the start if None.
        curve_kwargs : dict or list of dict, default=None
            Keyword arguments of matplotlib's `plot` for the training losses, for all of them or
            for each.

        Returns
        -------
        LossCurveDisplay
            The display itself.

        Raises
        ------
        ValueError
            `curve_kwargs`, `name` or a parameter has another length than `loss_curve`.
        ImportError
            matplotlib is not installed.
        """
        check_plot_support(f"{type(self).__name__}.plot")
        n = len(self.loss_curve)
        names = _one_each("name", self.name if name is None else name, n)
        styles = _styles(names, _one_each("curve_kwargs", curve_kwargs, n))
        validations = _one_each("validation_loss_curve", self.validation_loss_curve, n)
        best = _one_each("best_epoch", self.best_epoch, n)
        rates = _one_each("learning_rate_curve", self.learning_rate_curve, n)
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        self.lines_, self.validation_lines_, self.best_markers_ = [], [], []
        for curve, validation, epoch, style in zip(
            self.loss_curve, validations, best, styles, strict=True
        ):
            self._plot_losses(curve, validation, epoch, style)
        self.ax_.set_ylabel("Loss")
        self._plot_rates(rates, styles)
        lowest = self.ax_ if self.rate_ax_ is None else self.rate_ax_
        lowest.set_xlabel(_x_label(rates))
        self._add_legend(names)
        return self

    def _plot_losses(
        self, curve: Any, validation: Any, best: int | None, style: dict[str, Any]
    ) -> None:
        """One network's training loss, validation loss in the same colour, and best epoch."""
        self.lines_ += self.ax_.plot(*_numbered(curve), **style)
        if validation is not None:
            curve, style = validation, style | {"linestyle": LINE_STYLES[1]}
            self.validation_lines_ += self.ax_.plot(*_numbered(curve), **style)
        if best is not None:
            color = self.lines_[-1].get_color()
            self.best_markers_ += self.ax_.plot(
                best + 1, curve[best], "*", color=color, markersize=14, markeredgecolor="black"
            )

    def _plot_rates(self, rates: list[Any], styles: list[dict[str, Any]]) -> None:
        """The learning rates that are known, beneath."""
        self.rate_ax_, self.rate_lines_ = None, []
        if any(rate is not None for rate in rates):
            self.rate_ax_ = panel_beneath(self.ax_)
            self.rate_ax_.set_ylabel("Learning\nrate")
            for rate, style in zip(rates, styles, strict=True):
                if rate is not None:
                    self.rate_lines_ += self.rate_ax_.plot(*_numbered(rate), **style)
            self.rate_ax_.set_ylim(bottom=0)

    def _add_legend(self, names: list[Any]) -> None:
        """The names; and what line styles and stars mean."""
        from matplotlib.lines import Line2D

        named = {name: line for name, line in zip(names, self.lines_, strict=True) if name}
        several = len(set(names)) > 1
        handles, labels = (list(named.values()), list(named)) if several else ([], [])
        color = NEUTRAL if len(named) != 1 else self.lines_[0].get_color()
        meanings = (
            ("training", LINE_STYLES[0], "", self.lines_),
            ("validation", LINE_STYLES[1], "", self.validation_lines_),
            ("best epoch", "", "*", self.best_markers_),
        )
        for label, linestyle, marker, drawn in meanings:
            if drawn:
                line = Line2D([], [], color=color, linestyle=linestyle, marker=marker)
                handles.append(line)
                labels.append(label)
        self.ax_.legend(handles, labels, title=None if several else next(iter(named), None))


def _numbered(curve: Any) -> tuple[Any, Any]:
    """A curve with the numbers of its epochs, from 1."""
    return np.arange(1, len(curve) + 1), curve


def _networks(estimator: Any) -> list[Any]:
    """The fitted networks of an estimator, each with a loss curve."""
    last = last_step(estimator)
    networks = list(getattr(last, "estimators_", [last]))
    if not all(hasattr(network, "loss_curve_") for network in networks):
        raise ValueError(f"{type(last).__name__} has no 'loss_curve_' to plot.")
    return networks


def _best_epoch(network: Any) -> int | None:
    """The place of the best epoch in the curves; None where it is not on record."""
    losses = getattr(network, "validation_loss_curve_", None)
    if getattr(network, "best_validation_score_", None) is not None:
        losses = [-score for score in network.validation_scores_]
    # where rows come block by block, there is one score for several losses
    if losses is None or len(losses) != len(network.loss_curve_) or np.isnan(losses).all():
        return None
    return int(np.nanargmin(losses))


def _one_each(parameter: str, value: Any, n: int) -> list[Any]:
    """A value for each of n curves."""
    if not isinstance(value, list):
        return [value] * n
    if len(value) != n:
        raise ValueError(f"{parameter} must have one entry per curve, {n}. Got {len(value)}.")
    return value


def _styles(names: list[Any], given: list[Any]) -> list[dict[str, Any]]:
    """How each network's line looks: a colour and, of several, a marker for each name."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    styles = []
    for i, (name, kwargs) in enumerate(zip(names, given, strict=True)):
        place = places[name] if name else i
        style: dict[str, Any] = {"color": COLORS[place % len(COLORS)]}
        if len(places) > 1:
            style |= {"marker": MARKERS[place % len(MARKERS)], "markevery": 0.15}
        if names.count(name) > 1:
            style["alpha"] = 0.5
        styles.append(style | normalize_kwargs(kwargs, Line2D))
    return styles


def _x_label(rates: list[Any]) -> str:
    """What the curves have one number for: 'lbfgs', which has no rates, counts iterations."""
    known = [rate is not None for rate in rates]
    if all(known):
        return "Epoch"
    return "Epoch or iteration" if any(known) else "Iteration"
