"""The estimators: scikit-learn's multi-layer perceptrons, trained and evaluated by the core."""

import os
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp import _native
from fastmlp._arrays import as_block, converted, is_native_array, native_rows
from fastmlp._base import (
    SavableMixin,
    check_classes,
    check_sample_weight,
    published,
    snapshot,
)
from fastmlp._callbacks import Callbacks, CallbackSupportMixin, with_callbacks
from fastmlp._checkpoint import Checkpoint
from fastmlp._network import (
    ACTIVATION_NAMES,
    INIT_NAMES,
    Architecture,
    Hidden,
    hidden_layers,
    initial_blocks,
)
from fastmlp._parameters import (
    Rule,
    any_of,
    array_like,
    boolean,
    check_parameters,
    dictionary,
    each,
    function,
    infinity,
    instance,
    integer,
    nothing,
    option,
    random_state,
    real,
    verbosity,
)
from fastmlp._schedules import SCHEDULES, SGD_SCHEDULES, Schedule
from fastmlp._threads import n_threads
from fastmlp._training import (
    RECORDS,
    Data,
    Optimizer,
    Training,
    Validation,
    all_finite,
    divergence,
    fit_lbfgs,
    flat_order,
    split_rows,
)
from fastmlp._typing import Array, Blocks, Rows
from fastmlp._warnings import warn

_activation = option(*ACTIVATION_NAMES)
_parameter = any_of(real(0), nothing)
_rate = real(0, 1)
_positive = real(0, brackets="()")
_seconds = Rule(
    lambda value: _positive.accepts(value) and not isinstance(value, Integral), _positive.text
)

_RULES = {
    "hidden_layer_sizes": any_of(array_like, integer(1)),
    "activation": any_of(_activation, each(_activation)),
    "activation_alpha": any_of(_parameter, each(_parameter)),
    "maxout_pieces": integer(1),
    "init": any_of(option(*INIT_NAMES), function, instance((list, tuple), "list or tuple")),
    "solver": option("lbfgs", *_native.SOLVER_SLOTS),
    "alpha": real(0),
    "l1": real(0),
    "weight_decay": real(0),
    "dropout": any_of(_rate, each(_rate)),
    "max_norm": any_of(_positive, nothing),
    "clip_norm": any_of(_positive, nothing),
    "batch_size": any_of(option("auto"), integer(1)),
    "learning_rate": any_of(option(*SCHEDULES), function),
    "learning_rate_init": _positive,
    "learning_rate_decay": any_of(real(0, 1, "(]"), nothing),
    "learning_rate_period": any_of(integer(1), nothing),
    "learning_rate_period_mult": integer(1),
    "learning_rate_min": real(0),
    "warmup_epochs": integer(0),
    "power_t": real(0),
    "max_iter": integer(1),
    "max_time": any_of(_positive, nothing),
    "checkpoint": any_of(instance((str, os.PathLike), "str or os.PathLike"), nothing),
    "checkpoint_every": any_of(integer(1), _seconds),
    "shuffle": boolean,
    "random_state": random_state,
    "tol": real(0),
    "verbose": verbosity,
    "warm_start": boolean,
    "momentum": real(0, 1, "[]"),
    "nesterovs_momentum": boolean,
    "early_stopping": boolean,
    "validation_fraction": real(0, 1),
    "scoring": any_of(instance(str, "str"), function, nothing),
    "beta_1": real(0, 1),
    "beta_2": real(0, 1),
    "epsilon": _positive,
    "rho": real(0, 1),
    "n_iter_no_change": any_of(integer(1), infinity),
    "max_fun": integer(1),
    "n_jobs": any_of(integer(1), integer(-(2**31), -1, "[]"), nothing),
}

_CLASSIFIER_LOSSES = ("log_loss", "squared_error", "kl_divergence", "hinge", "perceptron")
_MARGIN_LOSSES = ("hinge", "perceptron")
_REGRESSOR_LOSSES = ("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma")

_PARAMETERS = """hidden_layer_sizes : int or array-like of int, default=(100,)
        Neurons in each hidden layer. ``()`` is a linear model.
    activation : str or sequence of str, default='relu'
        What a hidden neuron makes of its weighted input z, for all hidden layers or one name for
        each: 'identity', 'logistic' (1 / (1 + exp(-z))), 'tanh', 'relu' (max(0, z)),
        'leaky_relu', 'prelu' (its slope for z < 0 is learned, per neuron), 'elu', 'selu',
        'swish' or 'silu' (z times the sigmoid), 'gelu' (z times the normal distribution's
        cumulative probability), 'mish' (z tanh(softplus(z))), 'softplus' (log(1 + exp(z))),
        'maxout' (the largest of several weighted inputs).
    solver : str, default='adam'
        'sgd' is mini-batch stochastic gradient descent with momentum, 'adam' the method of Kingma
        and Ba [2]_; 'adamw', 'nadam', 'adamax', 'amsgrad', 'rmsprop', 'adagrad' and 'adadelta' are
        its relatives in Ruder's overview [4]_, with PyTorch's formulas. 'lbfgs' is SciPy's
        L-BFGS-B on the loss over all samples, often the fastest and best for small data sets; all
        others are first-order solvers, which take a step per mini-batch.
    alpha : float, default=0.0001
        Strength of the L2 penalty: alpha / 2 times the sum of the squared weights (not of the
        biases), divided by the samples of the batch, or by the sum of their weights.
    batch_size : int or 'auto', default='auto'
        Samples in a mini-batch. 'auto' is ``min(200, n_samples)``. Not for 'lbfgs'.
    learning_rate : str or callable, default='constant'
        Schedule of the rate. scikit-learn's three are for 'sgd' alone, others keep their rate:
        'constant'; 'invscaling' divides `learning_rate_init` by ``(samples seen + 1) ** power_t``;
        'adaptive' divides the rate by 5 whenever `n_iter_no_change` epochs bring no progress and
        stops once it is 1e-6. These are for every first-order solver: 'cosine' falls along half a
        cosine to `learning_rate_min`, in `learning_rate_period` epochs, and then starts again
        [5]_; 'one_cycle' rises along a cosine from a 25th in 0.3 of `max_iter` epochs and falls to
        a 250000th in the rest [6]_; 'step' is multiplied by `learning_rate_decay` every
        `learning_rate_period` epochs, 'exponential' every epoch, 'plateau' after more than
        `learning_rate_period` epochs without progress, and as 'adaptive' it then counts
        `n_iter_no_change` anew until the rate is 1e-6. A callable is given the epoch, from 0, and
        returns its rate.
    learning_rate_init : float, default=0.001
        The step size to start from; of 'one_cycle' the largest.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Most epochs, or iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether a new order of the samples is drawn for each epoch. Not for 'lbfgs'.
    random_state : int, RandomState instance or None, default=None
        Draws initial weights and biases, the validation split and the shuffles. An int gives the
        same model on each call, and the same as scikit-learn's from the same int.
    tol : float, default=1e-4
        Progress below it does not count; for 'lbfgs' the largest gradient component to stop at.
    verbose : bool or int, default=False
        Whether to print the loss of each epoch or iteration.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the previous call instead of new ones.
    momentum : float, default=0.9
        Momentum of 'sgd', in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.
    early_stopping : bool, default=False
        Whether to stop when the score on validation samples no longer improves, and to keep the
        best weights. They are those given to `fit`, or else `validation_fraction` of the samples,
        set aside (stratified in the binary case). Otherwise training stops when the training loss
        no longer improves. Not for 'lbfgs'.
    validation_fraction : float, default=0.1
        Share of samples set aside by `early_stopping`.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the first and second moment estimates of 'adam' and its kin, in [0, 1).
    epsilon : float, default=1e-8
        Added where solvers other than 'sgd' divide by the root of the second moment.
    n_iter_no_change : int or inf, default=10
        Epochs without progress after which a first-order solver stops.
    max_fun : int, default=15000
        Most evaluations of the loss by 'lbfgs'.
    n_jobs : int or None, default=None
        Most threads. None is all that CPU affinity, the cgroup's quota, OMP_NUM_THREADS and
        threadpoolctl's limits leave, -1 too, -2 one less; OpenMP's limits hold for any value.
        Fewer are used where they are faster. The model is the same for any number.
    activation_alpha : float, sequence of float or None, default=None
        The parameter of 'leaky_relu' (slope for z < 0, default 0.01), 'prelu' (the same to start
        from, 0.25), 'elu' (minus its limit at -inf, 1), 'swish' (factor on z in the sigmoid, 1)
        and 'softplus' (sharpness, 1), for all hidden layers or one for each; None is the default.
    maxout_pieces : int, default=2
        Weighted inputs of each 'maxout' neuron.
    init : str, callable or sequence of array, default='glorot_uniform'
        First weights. 'glorot_uniform' is scikit-learn's [3]_, 'auto' suits the activation: He's
        uniform for the relu family, LeCun's normal for 'selu', Glorot's normal for the others.
        '{glorot,he,lecun}_{uniform,normal}' name a rule; biases are 0 but in 'glorot_uniform'. A
        callable ``(shape, rng) -> array`` is called for each weight matrix and bias in
        scikit-learn's drawing order; a sequence holds these arrays themselves.
    l1 : float, default=0
        Strength of the L1 penalty: l1 times the sum of the absolute weights, divided as `alpha`'s.
    weight_decay : float, default=0.01
        What 'adamw' takes off the weights in each step, times the learning rate.
    rho : float, default=0.9
        Decay of the mean squares of 'rmsprop' and 'adadelta', in [0, 1).
    dropout : float or sequence of float, default=0
        Share of a layer's outputs that each training step sets to 0, the rest being scaled up
        [7]_: a rate for all hidden layers, or one for the input and each hidden layer. Not for
        'lbfgs'.
    max_norm : float or None, default=None
        The largest norm of the weights into a hidden neuron; held after each step [7]_. Not for
        'lbfgs'.
    clip_norm : float or None, default=None
        The largest norm of the whole gradient; a longer one is scaled down [8]_. Not for 'lbfgs'.
    learning_rate_decay : float or None, default=None
        Factor of 'step' and 'plateau' (0.1) and 'exponential' (0.95), in (0, 1].
    learning_rate_period : int or None, default=None
        Epochs between changes of 'step' (10), of the first cycle of 'cosine' (all of `max_iter`
        after the warm-up), and of patience of 'plateau' (5).
    learning_rate_period_mult : int, default=1
        By how much each cycle of 'cosine' is longer than the one before.
    learning_rate_min : float, default=0
        The least rate of 'cosine', 'one_cycle', 'step', 'exponential' and 'plateau'.
    warmup_epochs : int, default=0
        Epochs in which the rate rises to `learning_rate_init` in equal steps, before any schedule.
    scoring : str, callable or None, default=None
        What validation samples are scored by: None is accuracy or R2, 'loss' minus the loss, else
        a scikit-learn scorer or its name, called with arrays.
    max_time : float or None, default=None
        Seconds after which training ends with the step at hand, and keeps its model.
    checkpoint : str, path-like or None, default=None
        A file for the state of `fit`. The same call, made again after the process was killed or the
        fit interrupted, goes on from it to the same model, bit by bit; with other data, parameters
        or random numbers it is an error. A fit that ends, or diverges, removes the file. One file
        is for one fit at a time: not for grid search or cross-validation. A warm start after an
        interrupt, and a RandomState that has moved on, are other fits; callbacks begin anew.
        `partial_fit` has none. Needs the package safetensors (``fastmlp[save]``).
    checkpoint_every : int or float, default=60.0
        Epochs (int; iterations of 'lbfgs') or seconds (float) from one writing of the file to the
        next: 1 is each epoch, 1.0 each second."""

_ATTRIBUTES = """loss_ : float
        The training loss of the last epoch or iteration, penalty included.
    best_loss_ : float or None
        The lowest training loss; None with `early_stopping`. Not set by 'lbfgs'.
    loss_curve_ : list of float
        The training loss of each epoch. Not set by 'lbfgs'.
    learning_rate_curve_ : list of float
        The learning rate of each epoch. Not set by 'lbfgs'.
    validation_scores_ : list of float or None
        The score on the validation samples after each epoch: accuracy of a classifier, R2 of a
        regressor, or by `scoring`. None without validation samples, not set by 'lbfgs'.
    validation_loss_curve_ : list of float or None
        The loss on the validation samples after each epoch, without penalty; likewise.
    best_validation_score_ : float or None
        The best of them; None without `early_stopping`.
    t_ : int
        Training samples seen, all epochs together.
    coefs_ : list of ndarray
        The weights of each layer, of shape (n_inputs, n_neurons); float32 for float32 X.
    intercepts_ : list of ndarray
        The biases of each layer, of shape (n_neurons,). In a maxout layer n_neurons is the number
        of pieces times that of its neurons, piece after piece, in both.
    activation_slopes_ : list of (ndarray or None)
        For each hidden layer the slopes that 'prelu' learned, of shape (n_neurons,). Only where
        there is such a layer.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where all are strings.
    n_iter_ : int
        Epochs or iterations of the last `fit`.
    n_layers_ : int
        Layers, input and output included.
    n_outputs_ : int
        Neurons of the output layer."""

_REFERENCES = """.. [1] Rumelhart, Hinton & Williams (1986). "Learning representations by
       back-propagating errors". Nature 323.
    .. [2] Kingma & Ba (2015). "Adam: A method for stochastic optimization". arXiv:1412.6980.
    .. [3] Glorot & Bengio (2010). "Understanding the difficulty of training deep feedforward
       neural networks". AISTATS.
    .. [4] Ruder (2016). "An overview of gradient descent optimization algorithms".
       arXiv:1609.04747.
    .. [5] Loshchilov & Hutter (2017). "SGDR: Stochastic gradient descent with warm restarts". ICLR.
    .. [6] Smith & Topin (2018). "Super-convergence". arXiv:1708.07120.
    .. [7] Srivastava et al. (2014). "Dropout: A simple way to prevent neural networks from
       overfitting". JMLR 15.
    .. [8] Pascanu, Mikolov & Bengio (2013). "On the difficulty of training recurrent neural
       networks". ICML."""


def _has_partial_fit(estimator: "_MultilayerPerceptron") -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


def _has_margins(estimator: "MLPClassifier") -> bool:
    loss = getattr(estimator, "_trained_loss", estimator.loss)
    if loss not in _MARGIN_LOSSES:
        raise AttributeError(
            "decision_function is available for loss='hinge' and loss='perceptron'. "
            f"This one has probabilities ({loss!r}): see predict_proba."
        )
    return True


def _has_probabilities(estimator: "MLPClassifier") -> bool:
    loss = getattr(estimator, "_trained_loss", estimator.loss)
    if loss in _MARGIN_LOSSES:
        raise AttributeError(
            f"probabilities are not available for loss={loss!r}, which has margins: see "
            "decision_function."
        )
    return True


class _MultilayerPerceptron(CallbackSupportMixin, SavableMixin, BaseEstimator):
    """What the classifier and the regressor share: everything but the handling of y."""

    _rules: ClassVar = _RULES

    coefs_: list[Array]
    intercepts_: list[Array]
    activation_slopes_: list[Array | None]
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    learning_rate_curve_: list[float]
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None
    t_: int
    n_iter_: int
    n_features_in_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    _hidden_layers: list[Hidden]
    _trained_loss: str

    # the constructors' parameters; each subclass lists them, as scikit-learn's contract wants
    hidden_layer_sizes: Any
    activation: str | Sequence[str]
    solver: str
    alpha: float
    batch_size: int | str
    learning_rate: str | Callable[[int], float]
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool | int
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    n_jobs: int | None
    activation_alpha: float | Sequence[float | None] | None
    maxout_pieces: int
    init: str | Callable[..., Any] | Sequence[Any]
    l1: float
    weight_decay: float
    rho: float
    dropout: float | Sequence[float]
    max_norm: float | None
    clip_norm: float | None
    learning_rate_decay: float | None
    learning_rate_period: int | None
    learning_rate_period_mult: int
    learning_rate_min: float
    warmup_epochs: int
    scoring: str | Callable[..., float] | None
    max_time: float | None
    checkpoint: str | os.PathLike[str] | None
    checkpoint_every: float

    def _set_parameters(self, parameters: dict[str, Any]) -> None:
        for name in self._rules:
            setattr(self, name, parameters[name])

    # --- what the subclasses say about y ---------------------------------------------------------

    def _encode_targets(self, y: Array, dtype: npt.DTypeLike, labels: str) -> tuple[Array, Array]:
        """(targets for the core, y to score against).

        Labels may be 'new', or must be the 'same' as an earlier fit's, or 'some' of them.
        """
        raise NotImplementedError

    def _loss_to_train(self) -> str:
        """The core's name of the loss; its link is the output activation."""
        raise NotImplementedError

    def _loss_parameter(self) -> float:
        """The loss's parameter."""
        raise NotImplementedError

    def _set_class_factors(self, labels: Array) -> None:
        """Take the weights of the classes in the training data."""

    def _weigh_classes(self, labels: Array, sample_weight: Array | None) -> Array | None:
        """The sample weights times those of the samples' classes."""
        return sample_weight

    def _labels_of(self, y: Any, labels: Array) -> Any:
        """What scorers take as y."""
        return y

    def _default_score(self, predicted: Array, labels: Array, weights: Array | None) -> float:
        """The score of outputs as the core predicts them."""
        raise NotImplementedError

    # --- fitting ---------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the model to data matrix X and targets y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples. float32 is trained in float32, all else in float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels (a classifier; a 0/1 matrix is multilabel, and with
            ``loss='kl_divergence'`` each row holds the probabilities of the classes) or values (a
            regressor).
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            How much each sample counts.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation samples: their score and loss are recorded after each epoch, and
            `early_stopping` goes by them.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), float or None, default=None
            Their weights.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a parameter or data outside of what is allowed; for training that diverged; for a
            checkpoint that is of another fit, damaged, of another version or no checkpoint at all.
        OSError
            The checkpoint cannot be read, or its first state not be written.
        ImportError
            There is a checkpoint, and safetensors is not installed.
        MemoryError
            The network or its work space does not fit into memory; the text says how large.

        Notes
        -----
        Whatever is raised, the estimator then is as it was before the call. A KeyboardInterrupt is
        not: training ends with a warning, and the model is that after the step at hand.
        """
        check_parameters(self, self._rules)
        if (X_val is None) != (y_val is None):
            raise ValueError(
                f"X_val and y_val go together. Got {'X_val' if y_val is None else 'y_val'} alone."
            )
        if X_val is None and sample_weight_val is not None:
            raise ValueError("sample_weight_val needs X_val and y_val.")
        with published(self) as worker:
            worker._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val), incremental=False)
        return self

    def _layer_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if any(not isinstance(size, Integral) for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be whole numbers, got {sizes}.")
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [int(size) for size in sizes]

    def _architecture(self, n_features: int) -> Architecture:
        """The network to train, its parameters held against each other."""
        sizes = self._layer_sizes()
        n = len(sizes)
        for name, expected in (("activation", n), ("activation_alpha", n), ("dropout", n + 1)):
            value = getattr(self, name)
            one = isinstance(value, (str, Real)) or value is None
            if not one and len(value) != expected:
                raise ValueError(
                    f"{name} must have one item per hidden layer"
                    f"{', and one for the input before them' if name == 'dropout' else ''}: "
                    f"{expected} for hidden_layer_sizes={self.hidden_layer_sizes!r}. "
                    f"Got {value!r} instead."
                )
        dropout: Any = self.dropout
        one_each = not isinstance(dropout, Real)
        rates: list[float] = list(dropout) if one_each else [0.0] + [dropout] * n
        hidden = hidden_layers(
            self.activation, self.activation_alpha, self.maxout_pieces, rates[1:]
        )
        if any(name == "softplus" and alpha == 0 for name, alpha, _, _ in hidden):
            raise ValueError("activation_alpha must be above 0 for 'softplus'. Got 0 instead.")
        if self.solver == "lbfgs":
            for name in ("max_norm", "clip_norm"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is for first-order solvers. Got solver='lbfgs'.")
            if any(rates):
                raise ValueError("dropout is for first-order solvers. Got solver='lbfgs'.")
        units = [n_features, *sizes, self.n_outputs_]
        return Architecture(units, hidden, self._loss_to_train(), self._loss_parameter(), rates[0])

    def _check_X_y(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=not is_classifier(self),
            # an array of other numbers stays as it is: the core converts it batch by batch
            dtype="numeric" if is_native_array(X) else (np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1 and not issparse(y):
            y = column_or_1d(y, warn=True)
        return X, y

    def _make_data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        dtype: npt.DTypeLike,
        labels: str,
        *,
        training: bool = False,
    ) -> Data:
        targets, scored = self._encode_targets(y, dtype, labels)
        if training:
            self._set_class_factors(scored)
        n = X.shape[0]
        sample_weight = check_sample_weight(sample_weight, n, dtype)
        weights = self._weigh_classes(scored, sample_weight)
        if weights is not None:
            weights = converted(weights, dtype, "class_weight")
            if not np.any(weights):
                raise ValueError("class_weight leaves all samples a weight of zero.")
            if not np.sum(weights, dtype=np.float64) > 0:
                raise ValueError(
                    f"sample_weight must sum to more than zero. Got {np.sum(weights)} instead."
                )
        y = self._labels_of(y, scored)
        return Data(native_rows(X, dtype), targets, weights, n, X, y, scored, sample_weight)

    @with_callbacks
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: tuple[Any, Any, Any] = (None, None, None),
        *,
        incremental: bool,
    ) -> None:
        stochastic = self.solver != "lbfgs"
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")

        X, y = self._check_X_y(X, y, reset=first)
        dtype: npt.DTypeLike = np.float32 if X.dtype == np.float32 else np.float64
        if not first:
            dtype = self.coefs_[0].dtype
        labels = "new" if first and not incremental else "same" if self.warm_start else "some"
        data = self._make_data(X, y, sample_weight, dtype, labels, training=True)
        if self.scoring not in (None, "loss"):
            from sklearn.metrics import check_scoring

            check_scoring(self, self.scoring)  # that there is such a scorer
        architecture = self._architecture(X.shape[1])
        self._hidden_layers = [(*layer[:3], 0.0) for layer in architecture.hidden]
        self._trained_loss = architecture.loss
        checkpoint = Checkpoint(None if incremental else self.checkpoint, self.checkpoint_every)
        random = checkpoint.random_state(self.random_state)
        if first:
            self.t_ = 0
            self.n_layers_ = len(architecture.units)
            self.out_activation_ = _native.LINKS[architecture.loss]
            blocks = initial_blocks(architecture, self.init, dtype, random)
        else:
            blocks = self._blocks(dtype)
            self._check_goes_on(blocks, architecture)

        train, own, validation = None, None, None
        if validation_data[0] is not None:
            if not stochastic:
                raise ValueError("X_val is for first-order solvers. Got solver='lbfgs'.")
            own = self._make_validation_data(*validation_data, dtype)
            validation = Validation(own, None)
            if self.n_outputs_ != architecture.units[-1]:
                raise ValueError(
                    f"y_val has {self.n_outputs_} outputs, y has {architecture.units[-1]}."
                )
        elif stochastic and self.early_stopping:
            binary = is_classifier(self) and self.n_outputs_ == 1
            stratify = data.labels == 1 if binary else None
            train, held_out = split_rows(data.n, float(self.validation_fraction), stratify, random)
            validation = Validation(data, held_out)
            weight = validation.pick(data.sample_weight)
            if weight is not None and not np.any(weight):
                raise ValueError(
                    "The sample weights of all validation samples are zero: choose another "
                    "random_state, or give X_val and y_val."
                )

        batch = self._batch_size(data.n if train is None else len(train)) if stochastic else data.n
        optimizer = self._make_optimizer(blocks, random, goes_on=incremental)
        if stochastic:
            self._start_records(blocks, validation, goes_on=not first)
        checkpoint.begin(
            self,
            data=[
                *(data.x, data.targets, data.weights, getattr(self, "classes_", None)),
                getattr(self, "feature_names_in_", None),
            ],
            validation=own and [own.x, own.targets, own.weights],
            start=[
                *(blocks, optimizer.options, random.get_state(legacy=False)),
                [getattr(self, name) for name in RECORDS if stochastic],
            ],
        )
        network = architecture.open(
            dtype,
            alpha=self.alpha,
            l1=self.l1,
            batch=batch,
            sparse=issparse(X),
            keep_gradient=not stochastic or "clip_norm" in optimizer.options,
        )
        callbacks = Callbacks(self, X, data.y, sample_weight, self.max_iter, self._fitted)
        if stochastic:
            training = Training(
                self,
                network,
                blocks,
                data,
                train,
                validation,
                optimizer,
                random,
                callbacks,
                checkpoint,
                one_epoch=incremental,
            )
            blocks = training.run()
            self._optimizer = optimizer
        else:
            blocks = fit_lbfgs(self, network, blocks, data, callbacks, checkpoint)

        if not all_finite(blocks):
            checkpoint.end()
            raise ValueError(divergence(self, blocks))
        self.__dict__.update(self._fitted(blocks))
        callbacks.fit_ended(blocks)
        checkpoint.end()

    def _check_goes_on(self, blocks: Blocks, architecture: Architecture) -> None:
        """Whether training can go on from the earlier fit's parameters."""
        if len(blocks[2 * self.n_layers_ - 3]) != self.n_outputs_:
            raise ValueError(
                f"y has {self.n_outputs_} outputs, but the earlier fit that training goes on from "
                f"had {len(blocks[2 * self.n_layers_ - 3])}."
            )
        if [block.shape for block in blocks] != architecture.shapes() + architecture.slope_shapes():
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} and activation="
                f"{self.activation!r} with {architecture.units[0]} features and "
                f"{architecture.units[-1]} outputs do not fit the weights of the earlier fit that "
                f"training goes on from: {[weight.shape for weight in self.coefs_]}."
            )

    def _make_validation_data(
        self, X_val: Any, y_val: Any, sample_weight: Any, dtype: npt.DTypeLike
    ) -> Data:
        try:
            X_val, y_val = self._check_X_y(X_val, y_val, reset=False)
            return self._make_data(X_val, y_val, sample_weight, dtype, "some")
        except ValueError as error:
            raise ValueError(f"X_val, y_val, sample_weight_val: {error}") from error

    def _start_records(
        self, blocks: Blocks, validation: Validation | None, *, goes_on: bool
    ) -> None:
        """What is recorded from epoch to epoch: new, or copies of the earlier fit's lists.

        An earlier fit by another solver or without validation has none of some: they begin here.
        """
        earlier = vars(self) if goes_on else {}
        watched = validation is not None
        for name, kept in (
            ("loss_curve_", True),
            ("learning_rate_curve_", True),
            ("validation_scores_", watched),
            ("validation_loss_curve_", watched),
        ):
            setattr(self, name, list(earlier.get(name) or ()) if kept else None)
        self.n_iter_ = 0
        self.loss_ = earlier.get("loss_", np.nan)
        self._no_improvement_count = earlier.get("_no_improvement_count", 0)
        best_loss, best_score = earlier.get("best_loss_"), earlier.get("best_validation_score_")
        self.best_loss_ = np.inf if best_loss is None else best_loss
        self.best_validation_score_ = None
        if self.early_stopping and validation is not None:
            self.best_loss_ = None
            # scikit-learn's accuracies and R2 on its own split go on; other scores or samples
            # have another scale, on which the weights that training starts from have their place
            comparable = self.scoring is None and validation.rows is not None
            if not goes_on:
                best_score = -np.inf
            elif best_score is None or not (comparable and earlier.get("_comparable_scores")):
                best_score = self._validation_score(blocks, validation)[0]
            self.best_validation_score_ = best_score
            self._comparable_scores = comparable

    def _blocks(self, dtype: npt.DTypeLike) -> Blocks:
        """The fitted parameters in the core's order, whatever a user did to `coefs_`."""
        pairs = zip(self.coefs_, self.intercepts_, strict=True)
        blocks = [as_block(block, dtype) for pair in pairs for block in pair]
        for slopes in getattr(self, "activation_slopes_", ()):
            if slopes is not None:
                blocks.append(as_block(slopes, dtype))
        return blocks

    def _fitted(self, blocks: Blocks) -> dict[str, Any]:
        """The attributes that hold parameters: `_blocks` the other way."""
        end = 2 * (self.n_layers_ - 1)
        attributes: dict[str, Any] = {"coefs_": blocks[0:end:2], "intercepts_": blocks[1:end:2]}
        if len(blocks) > end:
            slopes = iter(blocks[end:])
            attributes["activation_slopes_"] = [
                next(slopes) if name == "prelu" else None for name, *_ in self._hidden()
            ]
        return attributes

    def _hidden(self) -> list[Hidden]:
        """The hidden layers of the fitted network, whatever `set_params` said since."""
        return self._hidden_layers

    def _loss_name(self) -> str:
        """The core's name of the fitted network's loss, likewise."""
        return self._trained_loss

    def _batch_size(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(200, n)
        batch = int(self.batch_size)
        if batch > n:
            warn(
                "Got `batch_size` less than 1 or larger than "
                "sample size. It is going to be clipped",
            )
        return min(batch, n)

    def _make_optimizer(
        self, blocks: Blocks, random: np.random.RandomState, *, goes_on: bool
    ) -> Optimizer:
        earlier = getattr(self, "_optimizer", None)
        if goes_on and earlier is not None:
            shapes = [block.shape for block in blocks]
            if all([block.shape for block in state] == shapes for state in earlier.state):
                return replace(earlier, schedule=copy(earlier.schedule))
        options = {
            "momentum": self.momentum,
            "nesterov": bool(self.nesterovs_momentum),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            # in float32 a smaller one would be 0, and 0 / 0 the step of a weight without gradient
            "epsilon": max(self.epsilon, float(np.finfo(blocks[0].dtype).tiny)),
            "rho": self.rho,
            "weight_decay": self.weight_decay,
        }
        for name in ("clip_norm", "max_norm"):
            if getattr(self, name) is not None:
                options[name] = getattr(self, name)
        if np.any(self.dropout):  # drawn last, and only then: all else is scikit-learn's stream
            options["seed"] = int(random.randint(2**31))
        has_least = self.learning_rate not in SGD_SCHEDULES
        if has_least and self.learning_rate_min > self.learning_rate_init:
            raise ValueError(
                f"learning_rate_min={self.learning_rate_min} must not be above "
                f"learning_rate_init={self.learning_rate_init}."
            )
        schedule = Schedule(
            name=self.learning_rate,
            first=float(self.learning_rate_init),
            last_epoch=self.max_iter,
            power_t=self.power_t,
            decay=self.learning_rate_decay,
            period=self.learning_rate_period,
            period_mult=self.learning_rate_period_mult,
            least=self.learning_rate_min,
            warmup=self.warmup_epochs,
            for_sgd=self.solver == "sgd",
        )
        return Optimizer(self.solver, options, schedule)

    def _validation_score(self, blocks: Blocks, validation: Validation) -> tuple[float, float]:
        """The score and the loss of the network `blocks` on validation samples."""
        data = validation.data
        predicted, loss = _native.evaluate(
            blocks,
            self._hidden(),
            self._loss_name(),
            data.x,
            data.targets,
            data.sample_weight,
            validation.rows,
            loss_parameter=self._loss_parameter(),
            n_threads=n_threads(self.n_jobs),
        )
        if self.scoring == "loss":
            return -loss, loss
        if self.scoring is None:
            labels, weights = validation.pick(data.labels), validation.pick(data.sample_weight)
            return self._default_score(predicted, labels, weights), loss
        from sklearn.metrics import check_scoring

        fitted = copy(self)
        fitted.__dict__.update(self._fitted(blocks))
        fitted.__dict__.pop("feature_names_in_", None)  # the samples are arrays by now
        X, y, weight = validation.user_data
        arguments = {} if weight is None else {"sample_weight": weight}
        try:
            return float(check_scoring(fitted, self.scoring)(fitted, X, y, **arguments)), loss
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"scoring={self.scoring!r} gave no score of the validation samples: {error}"
            ) from error

    # --- looking inside --------------------------------------------------------------------------

    def hidden_activations(self, X: Any, layer: int = -1) -> Array:
        """What a hidden layer makes of samples: the representation that it has learned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        layer : int, default=-1
            The hidden layer, from 0; negative ones count from the last.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons)

        Raises
        ------
        ValueError
            There is no such layer.
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        n = fitted.n_layers_ - 2
        if n == 0:
            raise ValueError("The network has no hidden layer.")
        if not isinstance(layer, Integral) or not -n <= layer < n:
            raise ValueError(f"layer must be an int in [{-n}, {n}), of {n} hidden. Got {layer!r}.")
        layers = int(layer) % n + 1
        rows, blocks = fitted._check_rows(X)
        hidden = fitted._hidden()
        slopes = sum(name == "prelu" for name, *_ in hidden[:layers])
        first_slopes = 2 * (fitted.n_layers_ - 1)
        chosen = blocks[: 2 * layers] + blocks[first_slopes : first_slopes + slopes]
        return _native.predict(
            chosen, hidden[:layers], None, rows, n_threads=n_threads(self.n_jobs)
        )

    def loss_and_gradient(
        self, X: Any, y: Any, sample_weight: Any = None, *, flat: bool = False
    ) -> tuple[float, Any]:
        """The training loss of the fitted network and its derivative by each parameter.

        Penalties are included, and class weights; dropout is off.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets, as for `fit`.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            How much each sample counts.
        flat : bool, default=False
            Whether to return the gradient as one vector.

        Returns
        -------
        loss : float
        gradient : list of tuple of ndarray, or ndarray of shape (n_parameters,)
            For each layer the derivatives by its weights (n_inputs, n_neurons), its biases
            (n_neurons,) and, of 'prelu', its slopes (n_neurons,). Flat, those by all weights come
            first, then by all biases, then by all slopes.
        """
        check_is_fitted(self)
        check_parameters(self, self._rules)
        fitted = snapshot(self)
        differentiate, blocks = fitted._differentiable(X, y, sample_weight, fitted.coefs_[0].dtype)
        loss, gradient = differentiate(blocks)
        if flat:
            places = flat_order(fitted.n_layers_ - 1, len(blocks))
            return loss, np.concatenate([gradient[place].ravel() for place in places])
        parts = fitted._fitted(gradient)
        slopes = parts.get("activation_slopes_", [None] * (fitted.n_layers_ - 2))
        return loss, [
            (weight, bias) if slope is None else (weight, bias, slope)
            for weight, bias, slope in zip(
                parts["coefs_"], parts["intercepts_"], [*slopes, None], strict=True
            )
        ]

    def _differentiable(
        self, X: Any, y: Any, sample_weight: Any, dtype: npt.DTypeLike
    ) -> tuple[Callable[[Blocks], tuple[float, Blocks]], Blocks]:
        """The function from parameters to loss and gradient on some samples, and the fitted ones.

        The parameters are copies.
        """
        X, y = self._check_X_y(X, y, reset=False)
        data = self._make_data(X, y, sample_weight, dtype, "some")
        architecture = self._architecture(self.n_features_in_)
        blocks = self._blocks(dtype)
        self._check_goes_on(blocks, architecture)
        network = architecture.open(
            dtype,
            alpha=self.alpha,
            l1=self.l1,
            batch=data.n,
            sparse=issparse(X),
            keep_gradient=True,
        )
        threads = n_threads(self.n_jobs)

        def differentiate(blocks: Blocks) -> tuple[float, Blocks]:
            network.write(0, blocks)
            return network.gradient(data.x, data.targets, data.weights, None, n_threads=threads)

        return differentiate, [block.copy() for block in blocks]

    # --- other runtimes --------------------------------------------------------------------------

    def to_onnx(
        self,
        path: str | os.PathLike[str] | None = None,
        X: Any = None,
        *,
        dtype: npt.DTypeLike | None = None,
    ) -> Any:
        """Write the fitted network as an ONNX model (opset 17, operators of the default domain).

        Parameters
        ----------
        path : str or path-like, default=None
            File to write, complete or not at all.
        X : array-like of shape (n_samples, n_features) or int, default=None
            Samples as the model will be given them, float32 or of another type, for `dtype`; or the
            number of features. Either is held against the network's.
        dtype : float32 or float64, default=None
            Type of the input, the parameters and the outputs; None is that of X, without X that of
            `coefs_`. The error function of 'gelu' is float32 in either.

        Returns
        -------
        onnx.ModelProto
            Its input is `X` of shape (N, n_features). The outputs of a classifier are `label`, what
            `predict` gives, of shape (N,) or of multilabel (N, n_labels), int64 or string, and
            `probabilities` (N, n_classes), what `predict_proba` gives; with the losses 'hinge' and
            'perceptron' `scores` in its place, what `decision_function` gives. The output of a
            regressor is `variable` (N, n_outputs).

        Raises
        ------
        ImportError
            The package onnx is not installed.
        NotFittedError
            The estimator is not fitted.
        ValueError
            The class labels are neither strings nor whole numbers (bool and whole floats are),
            `dtype` is no type of a network, X has another number of features, or the weights are
            not finite or do not fit each other.
        OSError
            The file cannot be written.
        """
        from fastmlp._convert import to_onnx

        return to_onnx(self, path, X, dtype=dtype)

    def to_sklearn(self) -> Any:
        """Make scikit-learn's estimator of the fitted network.

        It predicts the same, and training goes on there from the same weights. `fit` with
        `warm_start` goes the same way in both; `partial_fit` begins with a new state of the solver
        there.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor
            Fitted, of the network's activation and loss and otherwise the same parameters; it
            shares no memory with the estimator.

        Raises
        ------
        NotFittedError
            The estimator is not fitted.
        ValueError
            scikit-learn lacks the activation, the loss, the solver or another parameter that is not
            at its default; all are named. Or the weights are not finite or do not fit each other.
        """
        from fastmlp._convert import to_sklearn

        return to_sklearn(self)

    def to_torch(self, *, logits: bool = False) -> Any:
        """Make a PyTorch module of the fitted network.

        Parameters
        ----------
        logits : bool, default=False
            Whether to leave out the activation of the output layer, `out_activation_`.

        Returns
        -------
        torch.nn.Sequential
            From (N, n_features) to (N, n_outputs): a linear layer and an activation in turn, on
            copies of the parameters and in their type. Its outputs are a regressor's predictions
            and a classifier's probabilities; with two classes only that of ``classes_[1]``, with
            ``loss='squared_error'`` not divided by their sum, with 'hinge' and 'perceptron' the
            scores. It has no dropout.

        Raises
        ------
        ImportError
            The package torch is not installed.
        NotFittedError
            The estimator is not fitted.
        ValueError
            The weights are not finite or do not fit each other.
        """
        from fastmlp._convert import to_torch

        return to_torch(self, logits=logits)

    # --- prediction ------------------------------------------------------------------------------

    def _forward(self, X: Any) -> Array:
        """The output layer's activations (n_samples, n_outputs) for user's X."""
        if self._is_clean(X):
            return self._predict_rows(self._blocks(X.dtype), X)
        rows, blocks = self._check_rows(X)
        return self._predict_rows(blocks, rows)

    def _check_rows(self, X: Any) -> tuple[Rows, Blocks]:
        """User's X as the core takes it, and the parameters in the same type."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        single = np.result_type(X.dtype, self.coefs_[0].dtype) == np.float32
        dtype = np.float32 if single else np.float64
        return native_rows(X, dtype), self._blocks(dtype)

    def _is_clean(self, X: Any) -> bool:
        """Whether X needs none of scikit-learn's validation, which takes 100 us.

        That is a C-contiguous array of the network's own dtype and shape, finite, and no feature
        names to compare. All else, errors and warnings included, goes through the validation.
        """
        attributes = vars(self)
        return (
            "coefs_" in attributes
            and "feature_names_in_" not in attributes
            and _native.is_clean(X, self.n_features_in_, self.coefs_[0].dtype == np.float32)
        )

    def _predict_rows(self, blocks: Blocks, x: Rows) -> Array:
        few = isinstance(x, np.ndarray) and len(x) < 64  # not worth a second
        threads = 1 if few else n_threads(self.n_jobs)
        return _native.predict(blocks, self._hidden(), self._loss_name(), x, n_threads=threads)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class MLPClassifier(ClassifierMixin, _MultilayerPerceptron):
    __doc__ = f"""Multi-layer perceptron classifier.

    Takes the place of :class:`sklearn.neural_network.MLPClassifier` and trains the same model from
    the same `random_state`. Two classes share one logistic output, several classes a softmax; a
    0/1 matrix as y is multilabel classification with one logistic output per label.

    Parameters
    ----------
    {_PARAMETERS}
    loss : str, default='log_loss'
        'log_loss'; 'squared_error', half the squared error of logistic outputs, one per class (of
        two classes one), as in [1]_; 'kl_divergence', the Kullback-Leibler divergence of the
        softmax from y, then an array of probabilities; 'hinge', max(0, 1 - t z) of linear outputs z
        with t = 1 for the class and -1 for the others; 'perceptron', max(0, -t z).
    label_smoothing : float, default=0
        Share of each target that is spread over all classes, in [0, 1): for 'log_loss' and
        'squared_error'.
    class_weight : dict, 'balanced' or None, default=None
        A factor on the weight of each training sample by its class label; 'balanced' is
        ``n_samples / (n_classes * samples of the class)``. Not for multilabel y.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels; of 'kl_divergence' 0, 1, ...
    {_ATTRIBUTES}
    out_activation_ : {{'softmax', 'logistic', 'identity'}}
        Activation of the output layer.

    References
    ----------
    {_REFERENCES}

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from sklearn.datasets import make_classification
    >>> X, y = make_classification(n_samples=100, random_state=1)
    >>> clf = MLPClassifier(random_state=1, max_iter=300).fit(X, y)
    >>> clf.predict(X[:5])
    array([1, 1, 1, 0, 0])
    """

    _rules: ClassVar = {
        **_RULES,
        "loss": option(*_CLASSIFIER_LOSSES),
        "label_smoothing": real(0, 1),
        "class_weight": any_of(option("balanced"), dictionary, nothing),
    }

    loss: str
    label_smoothing: float
    class_weight: dict[Any, float] | str | None

    def __init__(
        self,
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
        verbose: bool | int = False,
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
        loss: str = "log_loss",
        label_smoothing: float = 0.0,
        class_weight: dict[Any, float] | str | None = None,
    ) -> None:
        self._set_parameters(locals())

    @available_if(_has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Update the model with one pass over the given data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The class labels.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            How much each sample counts.
        classes : array-like of shape (n_classes,), default=None
            All labels that any call will see; needed on the first call only.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As for `fit`, and for labels outside of `classes`.
        """
        check_parameters(self, self._rules)
        with published(self) as worker:
            worker._set_classes(y, classes)
            worker._fit(X, y, sample_weight, incremental=True)
        return self

    def _set_classes(self, y: Any, classes: Any) -> None:
        """Take the `classes` of a first `partial_fit`; hold those of a later one against them."""
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit: give the weights as a "
                "dict, for instance from sklearn.utils.class_weight.compute_class_weight."
            )
        known = getattr(self, "classes_", None)
        if self.loss == "kl_divergence" and known is None:
            if classes is not None:
                self.classes_ = unique_labels(classes)
            return  # else y itself says how many there are
        check_classes(self, classes)
        if known is None:
            from sklearn.preprocessing import LabelBinarizer

            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)

    def _encode_targets(self, y: Array, dtype: npt.DTypeLike, labels: str) -> tuple[Array, Array]:
        if self.loss == "kl_divergence":
            return self._encode_probabilities(y, dtype, labels)
        if labels != "new" and self._label_binarizer is None:
            raise ValueError(
                f"loss={self.loss!r} cannot go on from a fit with loss='kl_divergence'."
            )
        if labels == "new":
            from sklearn.preprocessing import LabelBinarizer

            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            found = unique_labels(y)
            if labels == "same" and set(found) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same "
                    "classes as in the previous call to fit. Previously "
                    f"got {self.classes_}, `y` has {found}"
                )
            if len(np.setdiff1d(found, self.classes_, assume_unique=True)):
                raise ValueError(
                    "`y` has classes not in `self.classes_`. "
                    f"`self.classes_` has {self.classes_}. 'y' has {found}."
                )
        if self._is_multilabel() != (y.ndim == 2):
            raise ValueError(
                f"The object was {'' if self._is_multilabel() else 'not '}fitted with multilabel "
                f"input, but y is {type_of_target(y)!r}."
            )
        if self._is_multilabel():
            targets = np.asarray(self._label_binarizer.transform(y), dtype=dtype, order="C")
            self.n_outputs_ = targets.shape[1]
            return self._smooth(targets, 2), targets
        self.n_outputs_ = 1 if len(self.classes_) <= 2 else len(self.classes_)
        numbers = np.searchsorted(self.classes_, y).astype(np.int32)
        if not self.label_smoothing:
            return numbers, numbers
        if self.n_outputs_ == 1:
            return self._smooth(numbers[:, None].astype(dtype), 2), numbers
        rows = np.eye(self.n_outputs_, dtype=dtype)[numbers]
        return self._smooth(rows, self.n_outputs_), numbers

    def _encode_probabilities(
        self, y: Any, dtype: npt.DTypeLike, labels: str
    ) -> tuple[Array, Array]:
        if issparse(y) or y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "fiub":
            raise ValueError(
                "y must be an array of probabilities of shape (n_samples, n_classes) with "
                f"loss='kl_divergence'. Got {type(y).__name__} of shape {y.shape}."
            )
        targets = np.asarray(y, dtype=dtype, order="C")
        sums = targets.sum(axis=1)
        if np.any(targets < 0) or np.any(abs(sums - 1) > 1e-3):
            raise ValueError(
                "Each row of y must hold probabilities, 0 or more and summing to 1, with "
                f"loss='kl_divergence'. Got a smallest value of {targets.min()} and sums from "
                f"{sums.min()} to {sums.max()}."
            )
        if labels == "new" or not hasattr(self, "classes_"):
            self.classes_ = np.arange(y.shape[1])
        elif len(self.classes_) != y.shape[1]:
            raise ValueError(
                f"y has {y.shape[1]} classes. There must be {len(self.classes_)}, as before or in "
                "`classes`."
            )
        if labels == "new" or not hasattr(self, "_label_binarizer"):
            self._label_binarizer = None
        self.n_outputs_ = y.shape[1]
        return targets, np.argmax(targets, axis=1)

    def _smooth(self, targets: Array, n_classes: int) -> Array:
        """A share of each target spread over all classes (Szegedy et al., CVPR 2016)."""
        share = self.label_smoothing
        if not share:
            return targets
        return targets * targets.dtype.type(1 - share) + targets.dtype.type(share / n_classes)

    def _soft_targets(self) -> bool:
        return self._loss_name() == "kl_divergence"

    def _is_margin(self) -> bool:
        return self._loss_name() in _MARGIN_LOSSES

    def _is_multilabel(self) -> bool:
        known = self._label_binarizer
        return known is not None and bool(known.y_type_.startswith("multilabel"))

    def _loss_to_train(self) -> str:
        if self.label_smoothing and self.loss not in ("log_loss", "squared_error"):
            raise ValueError(
                "label_smoothing is for loss='log_loss' and loss='squared_error'. "
                f"Got label_smoothing={self.label_smoothing} with loss={self.loss!r}."
            )
        if self.loss == "log_loss":
            softmax = len(self.classes_) > 2 and not self._is_multilabel()
            return "log_loss" if softmax else "binary_log_loss"
        return "logistic_squared_error" if self.loss == "squared_error" else self.loss

    def _loss_parameter(self) -> float:
        return 0.0

    def _set_class_factors(self, labels: Array) -> None:
        """Take `class_weight` as a factor per class; 'balanced' is by these labels for good."""
        self._class_factors: Array | None = None
        if self.class_weight is None:
            return
        if labels.ndim == 2:
            raise ValueError(
                "class_weight is for one label per sample, and y is multilabel. Use sample_weight."
            )
        from sklearn.utils.class_weight import compute_class_weight

        factors: Array = compute_class_weight(
            self.class_weight, classes=self.classes_, y=self.classes_[labels]
        )
        if not np.all(factors >= 0) or not np.isfinite(factors).all():
            raise ValueError(
                f"class_weight must hold finite numbers, 0 or more. Got {self.class_weight!r}."
            )
        self._class_factors = factors

    def _weigh_classes(self, labels: Array, sample_weight: Array | None) -> Array | None:
        factors = getattr(self, "_class_factors", None)
        if factors is None:
            return sample_weight
        return factors[labels] if sample_weight is None else factors[labels] * sample_weight

    def _labels_of(self, y: Any, labels: Array) -> Any:
        return self.classes_[labels] if self.loss == "kl_divergence" else y

    def _default_score(self, predicted: Array, labels: Array, weights: Array | None) -> float:
        # accuracy_score's definition; calling it would take longer than the epoch on small data
        right = self._decide(predicted) == labels
        if right.ndim == 2:
            right = right.all(axis=1)
        return float(np.average(right, weights=weights))

    def _decide(self, outputs: Array) -> Array:
        """Class numbers (n,), or the 0/1 matrix (n, n_labels) of multilabel."""
        threshold = 0.0 if self._is_margin() else 0.5
        if self._is_multilabel():
            return (outputs > threshold).astype(int)
        if self.n_outputs_ == 1:
            return (outputs[:, 0] > threshold).astype(int) * (len(self.classes_) - 1)
        return np.argmax(outputs, axis=1)

    def predict(self, X: Any) -> Array:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        fitted = snapshot(self)
        decided = fitted._decide(fitted._forward(X))
        if fitted._is_multilabel():  # sparse y gives sparse predictions
            return fitted._label_binarizer.inverse_transform(decided)
        return fitted.classes_[decided]

    @available_if(_has_margins)
    def decision_function(self, X: Any) -> Array:
        """Return the outputs of a network trained on 'hinge' or 'perceptron'.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Of two classes one value, above 0 for ``classes_[1]``.
        """
        fitted = snapshot(self)
        outputs = fitted._forward(X)
        return outputs[:, 0] if fitted.n_outputs_ == 1 and not fitted._is_multilabel() else outputs

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; of multilabel each label's own probability. With
            ``loss='squared_error'`` the outputs of several classes, divided by their sum.
        """
        fitted = snapshot(self)
        probabilities = fitted._forward(X)
        if fitted.n_outputs_ == 1:
            return np.hstack([1 - probabilities, probabilities])
        if fitted._loss_name() == "logistic_squared_error" and not fitted._is_multilabel():
            total = probabilities.sum(axis=1, keepdims=True)
            probabilities[total[:, 0] == 0] = 1 / fitted.n_outputs_  # all outputs underflowed
            total[total == 0] = 1
            probabilities /= total
        return probabilities

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of `predict`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their labels; with ``loss='kl_divergence'`` also their classes' probabilities, of which
            the most probable counts.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts.

        Returns
        -------
        float
            In [0, 1].
        """
        fitted = snapshot(self)
        if fitted._soft_targets() and np.ndim(y) == 2:
            y = fitted.classes_[np.argmax(y, axis=1)]
        return float(super(MLPClassifier, fitted).score(X, y, sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _MultilayerPerceptron):
    __doc__ = f"""Multi-layer perceptron regressor.

    Takes the place of :class:`sklearn.neural_network.MLPRegressor` and trains the same model from
    the same `random_state`. A matrix as y is multi-output regression.

    Parameters
    ----------
    loss : str, default='squared_error'
        'squared_error', half the squared error; 'absolute_error'; 'huber', half the squared error
        up to an error of `huber_delta`, then linear; 'quantile', the pinball loss; 'poisson'
        (y >= 0) and 'gamma' (y > 0), half the deviance with a log link.
    {_PARAMETERS}
    quantile : float, default=0.5
        What 'quantile' estimates, in (0, 1).
    huber_delta : float, default=1
        The error from which 'huber' is linear, in units of y.

    Attributes
    ----------
    {_ATTRIBUTES}
    out_activation_ : {{'identity', 'exp'}}
        Activation of the output layer.

    References
    ----------
    {_REFERENCES}

    Examples
    --------
    >>> from fastmlp import MLPRegressor
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> reg = MLPRegressor(random_state=1, max_iter=2000, tol=0.1).fit(X, y)
    >>> reg.score(X, y) > 0.9
    True
    """

    _rules: ClassVar = {
        **_RULES,
        "loss": option(*_REGRESSOR_LOSSES),
        "quantile": real(0, 1, "()"),
        "huber_delta": _positive,
    }

    loss: str
    quantile: float
    huber_delta: float

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
        verbose: bool | int = False,
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
        quantile: float = 0.5,
        huber_delta: float = 1.0,
    ) -> None:
        self._set_parameters(locals())

    @available_if(_has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Update the model with one pass over the given data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            How much each sample counts.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As for `fit`.
        """
        check_parameters(self, self._rules)
        with published(self) as worker:
            worker._fit(X, y, sample_weight, incremental=True)
        return self

    def _encode_targets(self, y: Array, dtype: npt.DTypeLike, labels: str) -> tuple[Array, Array]:
        if issparse(y) or y.dtype.kind not in "fiub":
            raise ValueError(f"y must be a dense array of numbers, got {type(y)} of {y.dtype}.")
        targets = converted(y.reshape(len(y), -1), dtype, "y")  # the smallest may become 0
        low = np.min(targets, initial=1)
        if (self.loss == "poisson" and low < 0) or (self.loss == "gamma" and low <= 0):
            raise ValueError(
                f"Some value(s) of y are out of the valid range of the loss {self.loss!r}: "
                f"must be {'>=' if self.loss == 'poisson' else '>'} 0, got {np.min(y)}."
            )
        self.n_outputs_ = targets.shape[1]
        return targets, y

    def _loss_to_train(self) -> str:
        return self.loss

    def _loss_parameter(self) -> float:
        return {"quantile": self.quantile, "huber": self.huber_delta}.get(self.loss, 0.0)

    def _default_score(self, predicted: Array, labels: Array, weights: Array | None) -> float:
        from sklearn.metrics import r2_score

        if not np.isfinite(predicted).all():
            return float(np.nan)
        return float(r2_score(labels, predicted.reshape(labels.shape), sample_weight=weights))

    def predict(self, X: Any) -> Array:
        """Predict target values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        predicted = snapshot(self)._forward(X)
        return predicted.ravel() if predicted.shape[1] == 1 else predicted
