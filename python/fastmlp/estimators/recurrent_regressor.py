"""The recurrent regressor."""

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from fastmlp.core.rules import Attribute, Parameter, check_parameters
from fastmlp.estimators.attributes import out_activation
from fastmlp.estimators.base import all_or_nothing, snapshot
from fastmlp.estimators.documentation import documented
from fastmlp.estimators.mlp import has_partial_fit
from fastmlp.estimators.recurrent import (
    RECURRENT_ATTRIBUTES,
    RECURRENT_PARAMETERS,
    RecurrentPerceptron,
)
from fastmlp.estimators.regression import ValuedPerceptron
from fastmlp.estimators.regressor import REGRESSOR_PARAMETERS

RNN_REGRESSOR_PARAMETERS = {
    **RECURRENT_PARAMETERS,
    **{name: REGRESSOR_PARAMETERS[name] for name in ("loss", "quantile", "huber_delta")},
}

RNN_REGRESSOR_ATTRIBUTES = {
    **RECURRENT_ATTRIBUTES,
    "out_activation_": out_activation("identity", "exp"),
}


@documented
class RNNRegressor(RegressorMixin, RecurrentPerceptron, ValuedPerceptron):
    """Recurrent regressor of sequences, or of each of their steps.

    A multi-layer perceptron with context: its hidden units are also fed with their own outputs one
    step earlier, so that what came before decides what the network makes of an input. It is trained
    by back-propagation through time over whole sequences. Scale X, and y, first, as for all
    networks.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    Predictions at a step depend on the steps before it alone. X may be in any of the forms that
    `fit` names, whatever the form in training was; only the number of features must be the same.

    {effect}

    References
    ----------
    {references}
    .. [9] Elman (1990). "Finding structure in time". Cognitive Science 14.
    .. [10] Cho et al. (2014). "Learning phrase representations using RNN encoder-decoder for
       statistical machine translation". EMNLP.

    Examples
    --------
    The next value of a wave, at each step:

    >>> import numpy as np
    >>> from fastmlp import RNNRegressor
    >>> wave = np.sin(np.arange(200) / 3)
    >>> X, y = wave[:-1].reshape(1, -1, 1), wave[1:].reshape(1, -1, 1)
    >>> reg = RNNRegressor((8,), solver="lbfgs", random_state=0).fit(X, y)
    >>> reg.score(X, y) > 0.95
    True
    """

    _parameters: ClassVar[dict[str, Parameter]] = RNN_REGRESSOR_PARAMETERS
    _attributes: ClassVar[dict[str, Attribute]] = RNN_REGRESSOR_ATTRIBUTES

    def __init__(
        self,
        hidden_layer_sizes: Any = (64,),
        *,
        cell: str = "elman",
        activation: str | Sequence[str] = "tanh",
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
        loss: str = "squared_error",
        quantile: float = 0.5,
        huber_delta: float = 1.0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
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
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta

    @available_if(has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Update the model with one pass over the given sequences.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_steps, n_features) or (n_sequences, n_steps), or \
                list of array-like of shape (n_steps, n_features) or (n_steps,)
            The sequences, as for `fit`.
        y : array-like
            Their targets, as for `fit`.
        sample_weight : array-like of shape (n_sequences,), float or None, default=None
            Weights of the sequences.

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
        >>> from fastmlp import RNNRegressor
        >>> reg = RNNRegressor((4,), random_state=0)
        >>> reg = reg.partial_fit([[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0])
        >>> reg = reg.partial_fit([[0.5, 0.5, 0.5]], [2.0])  # of any length
        >>> reg.t_
        3
        """
        check_parameters(self)
        with all_or_nothing(self, goes_on=True) as worker:
            worker._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any, initial_state: Any = None) -> Any:
        """Predict target values.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_steps, n_features) or (n_sequences, n_steps), or \
                list of array-like of shape (n_steps, n_features) or (n_steps,)
            The sequences, as for `fit`.
        initial_state : list of array-like of shape (n_sequences, n_units), default=None
            For each hidden layer its state before the first step, for example from
            `hidden_states`; None is 0.

        Returns
        -------
        ndarray of shape (n_sequences,) or (n_sequences, n_outputs), or with an axis of steps, or \
                list of ndarray
            The values predicted after the last step. Of a network that was fitted to targets per
            step, those after each step, (n_sequences, n_steps) or (n_sequences, n_steps,
            n_outputs): a list of arrays where X is a list, else one array, which is NaN after the
            end of a sequence.

        Examples
        --------
        >>> from fastmlp import RNNRegressor
        >>> X = [[0.0, 1.0, 1.0], [1.0, 0.0]]
        >>> RNNRegressor((4,), solver="lbfgs", random_state=0).fit(X, [0.5, 1.5]).predict(X).shape
        (2,)
        """
        fitted = snapshot(self)
        return fitted._predicted(X, initial_state, fitted._values_of)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2, the coefficient of determination of `predict`.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_steps, n_features) or (n_sequences, n_steps), or \
                list of array-like of shape (n_steps, n_features) or (n_steps,)
            The sequences, as for `fit`.
        y : array-like
            Their targets, in one of the forms for `fit`. Targets per step: R2 over all steps.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weights of the sequences, and so of their steps.

        Returns
        -------
        float
            1 at best; 0 is that of the mean of y.

        Examples
        --------
        >>> from fastmlp import RNNRegressor
        >>> X = [[0.0, 1.0, 1.0], [1.0, 0.0]]
        >>> reg = RNNRegressor((4,), solver="lbfgs", random_state=0).fit(X, [0.5, 1.5])
        >>> reg.score(X, [0.5, 1.5]) > 0.9
        True
        """
        from sklearn.metrics import r2_score

        fitted = snapshot(self)
        return float(fitted._scored(r2_score, X, y, sample_weight, fitted._values_of))
