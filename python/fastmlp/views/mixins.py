"""What estimators inherit of the views, which are imported when something is looked at."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastmlp.exchange.values import FittedNetwork

if TYPE_CHECKING:
    from fastmlp.views.summary import NetworkSummary

_BLOCK = '<div class="estimator-table"><details open><summary>{}</summary>{}</details></div>'
_MAX_UNITS = 9  # keeps the largest drawing below 20 kB: a notebook may hold many


class SummaryMixin:
    """Fitted networks that can be summed up."""

    def _fitted_network(self) -> FittedNetwork:
        raise NotImplementedError

    def _dropout_rates(self) -> list[float]:
        """The rates of the input and of each hidden layer."""
        return [0.0] * len(self._fitted_network().layers)

    def _steps_per_epoch(self) -> int | None:
        """How many mini-batches an epoch of the last fit had."""
        return None

    def summary(self) -> "NetworkSummary":
        """Sum the fitted network up: its layers, parameters, memory and work. Prints nothing.

        Returns
        -------
        NetworkSummary
            ``print`` shows it as text, notebooks as a table; `to_dict` has the numbers.

        Raises
        ------
        NotFittedError
            The estimator is not fitted.
        ValueError
            The weights are not finite or do not fit each other, or `dropout` does not fit them.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> clf = MLPClassifier((3,), solver="lbfgs", random_state=0)
        >>> clf.fit([[0.0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]).summary().n_parameters
        13
        """
        from fastmlp.views.summary import summarise

        network = self._fitted_network()
        return summarise(network, self._dropout_rates(), self._steps_per_epoch())


class NetworkBlockMixin:
    """Estimators that show their network in notebooks, in pipelines and searches too.

    All of scikit-learn that this builds on is private to it: where it is missing, as before 1.9,
    or different, the representation is scikit-learn's own.
    """

    # links, and with them scikit-learn's tooltips of parameters and attributes
    _doc_link_module = "fastmlp"
    _doc_link_template = "https://github.com/fastmlp/fastmlp/tree/main/docs"

    def _fitted_network(self) -> FittedNetwork:
        raise NotImplementedError

    def _networks_to_show(self) -> list[FittedNetwork]:
        """The fitted network, or those of an ensemble."""
        return [self._fitted_network()]

    def _names_to_show(self) -> Any:
        """The names of the inputs, or None."""
        return getattr(self, "feature_names_in_", None)

    def _get_fitted_attr_html(self, *args: Any, **options: Any) -> Any:
        """scikit-learn's table of fitted attributes, below the drawn network."""
        from fastmlp.views.svg import network_svg

        table = super()._get_fitted_attr_html(*args, **options)  # type: ignore[misc]
        with suppress(Exception):  # whatever a user did to the attributes: a cell shows something
            networks = self._networks_to_show()
            svg = network_svg(
                networks[0], feature_names=self._names_to_show(), max_units=_MAX_UNITS
            )
            head = "Network" if len(networks) == 1 else f"Network, the first of {len(networks)}"
            block, inner = _BLOCK.format(head, svg), table._repr_html_inner
            table._repr_html_inner = lambda: block + inner()
        return table
