"""The tabular regressor."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from fastmlp.core.network import Samples
from fastmlp.core.rules import Attribute, Parameter, Rule, any_of, each, real
from fastmlp.core.typing import Array
from fastmlp.estimators.attributes import count, floats, numbers
from fastmlp.estimators.base import snapshot
from fastmlp.estimators.documentation import documented
from fastmlp.estimators.regression import check_range
from fastmlp.estimators.regressor import REGRESSOR_PARAMETERS, MLPRegressor
from fastmlp.estimators.scoring import mean_loss
from fastmlp.estimators.tabular import (
    TABULAR_ATTRIBUTES,
    TABULAR_PARAMETERS,
    TabularMLP,
    Targets,
)
from fastmlp.exchange.values import FittedEnsemble

_quantile = real(0, 1, "()")
_each = each(_quantile)
_quantiles = Rule(lambda value: _each.accepts(value) and len(value) > 0, f"{_each.text}, not empty")


def _minus_loss(network: Any, X: Array, y: Array, sample_weight: Array | None = None) -> float:
    samples = Samples(X, y.reshape(len(y), -1), sample_weight)
    return -mean_loss(network, network._blocks(), network._hidden_layers, samples)


@documented
class TabularMLPRegressor(RegressorMixin, TabularMLP):
    """Regressor for tables as they come: an ensemble of multi-layer perceptrons.

    Columns may hold numbers of any scale, text, categories, booleans, dates and times, with cells
    missing; targets may have any scale. Nothing is to be prepared.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    References
    ----------
    .. [1] Holzmüller, Grinsztajn & Steinwart (2024). "Better by default: Strong pre-tuned MLPs and
       boosted trees on tabular data". NeurIPS.
    .. [2] Gorishniy, Rubachev & Babenko (2022). "On embeddings for numerical features in tabular
       deep learning". NeurIPS.

    Examples
    --------
    >>> from fastmlp import TabularMLPRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TabularMLPRegressor(loss="quantile", quantile=[0.1, 0.9], random_state=0)
    >>> model.fit(X, y).predict(X).shape
    (442, 2)
    """

    _parameters: ClassVar[dict[str, Parameter]] = {
        "loss": REGRESSOR_PARAMETERS["loss"],
        **TABULAR_PARAMETERS,
        "quantile": Parameter(
            any_of(_quantile, _quantiles),
            "float or sequence of float",
            """The quantile that 'quantile' estimates, in (0, 1); of several, `predict` gives a
            column for each, in ascending order in every row. Of [0.05, 0.95] nine in ten new values
            lie between the two.""",
        ),
        "huber_delta": Parameter(
            REGRESSOR_PARAMETERS["huber_delta"].rule,
            "float",
            "The error from which 'huber' is linear, in standard deviations of y.",
        ),
    }
    _attributes: ClassVar[dict[str, Attribute]] = {
        **TABULAR_ATTRIBUTES,
        "_shift": Attribute(floats),
        "_scale": Attribute(floats),
        "_fitted_quantiles": Attribute(numbers),
        "n_outputs_": Attribute(count, "int", "Number of targets, or of quantiles."),
    }

    def __init__(
        self,
        loss: str = "squared_error",
        *,
        n_ensemble: int = 4,
        hidden_layer_sizes: Any = (128, 128, 128),
        learning_rate_init: float = 0.004,
        batch_size: int | str = "auto",
        max_iter: int | str = "auto",
        quantile: float | Sequence[float] = 0.5,
        huber_delta: float = 1.0,
        categorical_features: Any = "from_dtype",
        max_time: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: bool | int | str = False,
    ) -> None:
        self.loss = loss
        self.n_ensemble = n_ensemble
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.categorical_features = categorical_features
        self.max_time = max_time
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _quantiles(self) -> list[float]:
        """The quantiles asked for, of any other loss one that does not count."""
        asked = self.quantile if self.loss == "quantile" else 0.5
        return [float(q) for q in np.atleast_1d(asked)]

    def _is_relative(self) -> bool:
        """Whether the loss is of a mean above 0, through its logarithm."""
        return self.loss in ("poisson", "gamma")

    def _encode_y(self, y: Any, sample_weight: Array | None) -> Targets:
        y = self._checked(y, "y")
        self._fitted_quantiles = self._quantiles()
        kinds = len(self._fitted_quantiles)
        if kinds > 1 and y.shape[1] > 1:
            raise ValueError(f"Several quantiles are for one target. Got {y.shape[1]} targets.")
        self.n_outputs_ = max(kinds, y.shape[1])
        largest = abs(y).max(axis=0)
        largest[largest == 0] = 1
        y_in_1 = y / largest  # of which neither sums nor squares are infinite or 0
        mean = np.average(y_in_1, axis=0, weights=sample_weight)
        if self._is_relative():
            self._shift, scale = np.zeros_like(mean), mean
        else:
            self._shift = mean * largest
            scale = np.sqrt(np.average((y_in_1 - mean) ** 2, axis=0, weights=sample_weight))
        self._scale = scale * largest
        return Targets([self._scaled(y)] * kinds, y.shape[1], _minus_loss)

    def _encode_y_val(self, y: Any) -> list[Array]:
        y, kinds = self._checked(y, "y_val"), len(self._quantiles())
        n_targets = len(self._shift)
        if y.shape[1] != n_targets:
            raise ValueError(f"y_val has {y.shape[1]} targets, and y has {n_targets}.")
        return [self._scaled(y)] * kinds

    def _checked(self, y: Any, name: str) -> Array:
        """Y as float64 (n, n_targets)."""
        values: Array = check_array(y, ensure_2d=False, dtype=np.float64, input_name=name)
        check_range(self.loss, values, values, name)
        return values.reshape(len(values), -1)

    def _scaled(self, y: Array) -> Array:
        scale = np.where(self._scale > 0, self._scale, 1)  # a constant is predicted exactly
        scaled: Array = ((y - self._shift) / scale).astype(np.float32)
        return scaled[:, 0] if scaled.shape[1] == 1 else scaled

    def _new_members(self, parameters: dict[str, Any]) -> list[Any]:
        return [
            MLPRegressor(
                loss=self.loss,
                quantile=quantile,
                huber_delta=self.huber_delta,
                scoring="loss",
                **parameters,
            )
            for quantile in self._quantiles()
        ]

    def _ranks(self) -> Array | None:
        """The places of several quantiles in ascending order: they do not cross. Else None."""
        quantiles = self._fitted_quantiles
        return np.argsort(np.argsort(quantiles)) if len(quantiles) > 1 else None

    def _combined(self, ensemble: FittedEnsemble) -> FittedEnsemble:
        return ensemble._replace(scale=self._scale, shift=self._shift, ranks=self._ranks())

    def _networks(self) -> tuple[Any, int]:
        return MLPRegressor, len(self._shift)

    def _check_whole(self) -> None:
        super()._check_whole()
        targets, kinds = len(self._shift), len(self._fitted_quantiles)
        if self._scale.shape != (targets,) or not np.isfinite([self._shift, self._scale]).all():
            raise ValueError("the scale of the targets is not whole")
        if len(self.estimators_) < kinds or self.n_outputs_ != max(targets, kinds):
            raise ValueError(f"{len(self.estimators_)} networks do not fit {kinds} quantiles")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any) -> Array:
        """Predict target values: the mean of the networks' predictions.

        Parameters
        ----------
        X : data frame, or array-like of shape (n_samples, n_features)
            The samples, with the columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of several quantiles a column for each, in the order of `quantile`.

        Examples
        --------
        >>> from fastmlp import TabularMLPRegressor
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
        >>> TabularMLPRegressor(random_state=0).fit(X, y).predict(X).shape
        (442,)
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        kinds = len(fitted._fitted_quantiles)
        parts = []
        for encoded in fitted._encoded(X):
            every = [m.predict(encoded).reshape(len(encoded), -1) for m in fitted.estimators_]
            columns = [np.mean(every[k::kinds], axis=0, dtype=np.float64) for k in range(kinds)]
            parts.append(np.hstack(columns))
        predicted = np.concatenate(parts) * fitted._scale + fitted._shift
        ranks = fitted._ranks()
        if ranks is not None:
            predicted = np.sort(predicted, axis=1)[:, ranks]
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted
