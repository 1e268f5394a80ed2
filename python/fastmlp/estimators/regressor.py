"""The multi-layer regressor."""

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from fastmlp.core.rules import Attribute, Parameter, check_parameters, option, real
from fastmlp.core.typing import Array
from fastmlp.estimators.attributes import MLP_ATTRIBUTES, out_activation
from fastmlp.estimators.base import all_or_nothing, snapshot
from fastmlp.estimators.documentation import documented
from fastmlp.estimators.mlp import has_partial_fit
from fastmlp.estimators.parameters import MLP_PARAMETERS, positive
from fastmlp.estimators.regression import ValuedPerceptron
from fastmlp.exchange.sklearn import SklearnMixin

REGRESSOR_PARAMETERS = {
    **MLP_PARAMETERS,
    "loss": Parameter(
        option("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma"),
        "str",
        """The loss function:

        - 'squared_error', half the squared error;
        - 'absolute_error';
        - 'huber', half the squared error up to an error of `huber_delta`, then linear;
        - 'quantile', the pinball loss of `quantile`;
        - 'poisson' (y >= 0) and 'gamma' (y > 0), half the deviance with a log link.""",
        in_sklearn=("squared_error", "poisson"),
    ),
    "quantile": Parameter(
        real(0, 1, "()"), "float", "The quantile that 'quantile' estimates, in (0, 1)."
    ),
    "huber_delta": Parameter(
        positive, "float", "The error from which 'huber' is linear, in units of y."
    ),
}

REGRESSOR_ATTRIBUTES = {**MLP_ATTRIBUTES, "out_activation_": out_activation("identity", "exp")}


@documented
class MLPRegressor(RegressorMixin, ValuedPerceptron, SklearnMixin):
    """Multi-layer perceptron regressor.

    Takes the place of :class:`sklearn.neural_network.MLPRegressor` and trains the same model from
    the same `random_state`. A matrix as y is multi-output regression.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    {effect}

    References
    ----------
    {references}

    Examples
    --------
    >>> from fastmlp import MLPRegressor
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> reg = MLPRegressor(random_state=1, max_iter=2000, tol=0.1).fit(X, y)
    >>> reg.score(X, y) > 0.9
    True
    """

    _parameters: ClassVar[dict[str, Parameter]] = REGRESSOR_PARAMETERS
    _attributes: ClassVar[dict[str, Attribute]] = REGRESSOR_ATTRIBUTES

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Callable[[int], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int | str = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        n_jobs: int | None = None,
        activation_alpha: float | Sequence[float | None] | None = None,
        maxout_pieces: int = 2,
        init: str | Callable[..., Any] | Sequence[Any] = "glorot_uniform",
        l1: float = 0.0,
        weight_decay: float = 0.01,
        rho: float = 0.9,
        dropout: float | Sequence[float] = 0.0,
        max_norm: float | None = None,
        clip_norm: float | None = None,
        learning_rate_decay: float | None = None,
        learning_rate_period: int | None = None,
        learning_rate_period_mult: int = 1,
        learning_rate_min: float = 0.0,
        warmup_epochs: int = 0,
        scoring: str | Callable[..., float] | None = None,
        max_time: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
        diagnostics: bool = False,
        device: str = "cpu",
        precision: str = "float32",
        quantile: float = 0.5,
        huber_delta: float = 1.0,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.n_jobs = n_jobs
        self.activation_alpha = activation_alpha
        self.maxout_pieces = maxout_pieces
        self.init = init
        self.l1 = l1
        self.weight_decay = weight_decay
        self.rho = rho
        self.dropout = dropout
        self.max_norm = max_norm
        self.clip_norm = clip_norm
        self.learning_rate_decay = learning_rate_decay
        self.learning_rate_period = learning_rate_period
        self.learning_rate_period_mult = learning_rate_period_mult
        self.learning_rate_min = learning_rate_min
        self.warmup_epochs = warmup_epochs
        self.scoring = scoring
        self.max_time = max_time
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.diagnostics = diagnostics
        self.device = device
        self.precision = precision
        self.quantile = quantile
        self.huber_delta = huber_delta

    @available_if(has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Update the model with one pass over the given data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Weights of the samples.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            As for `fit`.

        Examples
        --------
        >>> from fastmlp import MLPRegressor
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> reg = MLPRegressor(random_state=0)
        >>> for first in range(0, 442, 221):  # the data come in parts
        ...     rows = slice(first, first + 221)
        ...     reg = reg.partial_fit(X[rows], y[rows])
        >>> reg.t_
        442
        """
        check_parameters(self)
        with all_or_nothing(self, goes_on=True) as worker:
            worker._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Predict target values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predicted values.

        Examples
        --------
        >>> from fastmlp import MLPRegressor
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> reg = MLPRegressor(solver="lbfgs", random_state=0).fit(X, y)
        >>> reg.predict(X).shape
        (442,)
        """
        fitted = snapshot(self)
        values: Array = fitted._values_of(fitted._outputs(X))
        return values
