"""The estimators: scikit-learn's multi-layer perceptrons, trained and evaluated by the core."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from numbers import Integral, Number
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp import _native
from fastmlp._parameters import (
    any_of,
    array_like,
    boolean,
    check_parameters,
    infinity,
    integer,
    nothing,
    option,
    random_state,
    real,
    verbosity,
)
from fastmlp._training import (
    Data,
    Optimizer,
    as_block,
    fit_lbfgs,
    fit_stochastic,
    is_native_array,
    n_threads,
    native_rows,
    split_rows,
)
from fastmlp._typing import Array, Blocks, Order, Rows

_RULES = {
    "hidden_layer_sizes": any_of(array_like, integer(1)),
    "activation": option(*_native.ACTIVATIONS),
    "solver": option("lbfgs", *_native.SOLVER_SLOTS),
    "alpha": real(0),
    "batch_size": any_of(option("auto"), integer(1)),
    "learning_rate": option("constant", "invscaling", "adaptive"),
    "learning_rate_init": real(0, brackets="()"),
    "power_t": real(0),
    "max_iter": integer(1),
    "shuffle": boolean,
    "random_state": random_state,
    "tol": real(0),
    "verbose": verbosity,
    "warm_start": boolean,
    "momentum": real(0, 1, "[]"),
    "nesterovs_momentum": boolean,
    "early_stopping": boolean,
    "validation_fraction": real(0, 1),
    "beta_1": real(0, 1),
    "beta_2": real(0, 1),
    "epsilon": real(0, brackets="()"),
    "n_iter_no_change": any_of(integer(1), infinity),
    "max_fun": integer(1),
    "n_jobs": any_of(integer(1), integer(-(2**31), -1, "[]"), nothing),
}

_PARAMETERS = """hidden_layer_sizes : int or array-like of int, default=(100,)
        Neurons in each hidden layer. ``()`` is a linear model.
    activation : {'identity', 'logistic', 'tanh', 'relu'}, default='relu'
        What a hidden neuron makes of its weighted input z: z itself, the logistic sigmoid
        1 / (1 + exp(-z)), tanh(z), or max(0, z).
    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        'sgd' is mini-batch stochastic gradient descent with momentum, 'adam' the method of Kingma
        and Ba [2]_, 'lbfgs' SciPy's L-BFGS-B on the loss over all samples; for small data sets
        the last often converges faster and to better models.
    alpha : float, default=0.0001
        Strength of the L2 penalty: alpha / 2 times the sum of the squared weights (not of the
        biases), divided by the samples of the batch, or by the sum of their weights.
    batch_size : int or 'auto', default='auto'
        Samples in a mini-batch of 'sgd' and 'adam'. 'auto' is ``min(200, n_samples)``.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of 'sgd'. 'invscaling' divides `learning_rate_init` by
        ``(samples seen + 1) ** power_t``, 'adaptive' divides the rate by 5 whenever
        `n_iter_no_change` epochs bring no progress and stops once it is 1e-6.
    learning_rate_init : float, default=0.001
        The step size of 'sgd' and 'adam' at the start.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Most epochs ('sgd', 'adam') or iterations ('lbfgs').
    shuffle : bool, default=True
        Whether 'sgd' and 'adam' draw a new order of the samples for each epoch.
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
        Whether to set `validation_fraction` of the samples aside (stratified in the binary case),
        to stop when the score on them no longer improves, and to keep the best weights. Otherwise
        training stops when the training loss no longer improves. Not for 'lbfgs'.
    validation_fraction : float, default=0.1
        Share of samples set aside by `early_stopping`.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the first and second moment estimates of 'adam', in [0, 1).
    epsilon : float, default=1e-8
        Added by 'adam' to the root of the second moment.
    n_iter_no_change : int or inf, default=10
        Epochs without progress after which 'sgd' and 'adam' stop.
    max_fun : int, default=15000
        Most evaluations of the loss by 'lbfgs'.
    n_jobs : int or None, default=None
        Most threads. None is all that CPU affinity, the cgroup's quota, OMP_NUM_THREADS and
        threadpoolctl's limits leave, -1 too, -2 one less; OpenMP's limits hold for any value.
        Fewer are used where they are faster. The model is the same for any number."""

_ATTRIBUTES = """loss_ : float
        The training loss of the last epoch or iteration, penalty included.
    best_loss_ : float or None
        The lowest training loss; None with `early_stopping`. Not set by 'lbfgs'.
    loss_curve_ : list of float
        The training loss of each epoch. Not set by 'lbfgs'.
    validation_scores_ : list of float or None
        The score on the validation samples after each epoch: accuracy of a classifier, R2 of a
        regressor. None without `early_stopping`, not set by 'lbfgs'.
    best_validation_score_ : float or None
        The best of them.
    t_ : int
        Training samples seen, all epochs together.
    coefs_ : list of ndarray
        The weights of each layer, of shape (n_inputs, n_neurons); float32 for float32 X.
    intercepts_ : list of ndarray
        The biases of each layer, of shape (n_neurons,).
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
       neural networks". AISTATS."""


@contextmanager
def _unchanged_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """An exception leaves the estimator, an earlier fit included, as it was.

    Fitting replaces attributes and never changes their values in place, so the references suffice.
    """
    now = vars(estimator)
    before = dict(now)
    try:
        yield
    except BaseException:
        now.update(before)  # first, so that no other thread ever sees it unfitted
        for name in now.keys() - before.keys():
            del now[name]
        raise


def _check_sample_weight(sample_weight: Any, n: int, dtype: npt.DTypeLike) -> Array | None:
    """Sample weights of shape (n,) and the core's dtype, or None; the texts are scikit-learn's."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Number):
        sample_weight = np.full(n, sample_weight)
    weights: Array = check_array(
        sample_weight,
        ensure_2d=False,
        dtype=(np.float64, np.float32),
        input_name="sample_weight",
    )
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array. "
            f"Expected either a scalar value or a 1D array of length {n}."
        )
    if weights.shape != (n,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n,)}!")
    if not np.any(weights):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return as_block(weights, dtype)


def _has_partial_fit(estimator: "_MultilayerPerceptron") -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


class _MultilayerPerceptron(BaseEstimator):
    """What the classifier and the regressor share: everything but the handling of y."""

    _rules: ClassVar = _RULES

    coefs_: list[Array]
    intercepts_: list[Array]
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    t_: int
    n_iter_: int
    n_features_in_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
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
    ) -> None:
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

    # --- what the subclasses say about y ---------------------------------------------------------

    def _encode_targets(self, y: Array, dtype: npt.DTypeLike, keep: bool) -> tuple[Array, Array]:
        """(targets for the core, y to score against); `keep`: go on from an earlier fit."""
        raise NotImplementedError

    def _loss_name(self) -> str:
        """The core's name of the loss; its link is the output activation."""
        raise NotImplementedError

    def _validation_score(self, blocks: Blocks, data: Data, rows: Order) -> float:
        """The score of the network `blocks` on some rows of the training data."""
        raise NotImplementedError

    # --- fitting ---------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model to data matrix X and targets y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples. float32 is trained in float32, all else in float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels (a classifier; a 0/1 matrix is multilabel) or values (a regressor).
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            How much each sample counts.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a parameter or data outside of what is allowed, and for training that ended with
            non-finite weights. The estimator then is as it was before the call.
        """
        check_parameters(self, self._rules)
        with _unchanged_on_error(self):
            return self._fit(X, y, sample_weight, incremental=False)

    def _layer_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if any(not isinstance(size, Integral) for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be whole numbers, got {sizes}.")
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [int(size) for size in sizes]

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool) -> Self:
        stochastic = self.solver != "lbfgs"
        hidden = self._layer_sizes()
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")

        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=not is_classifier(self),
            # an array of other numbers stays as it is: the core converts it batch by batch
            dtype="numeric" if is_native_array(X) else (np.float64, np.float32),
            reset=first,
        )
        if y.ndim == 2 and y.shape[1] == 1 and not issparse(y):
            y = column_or_1d(y, warn=True)
        n = X.shape[0]
        dtype: npt.DTypeLike = np.float32 if X.dtype == np.float32 else np.float64
        if not first:
            dtype = self.coefs_[0].dtype
        targets, y = self._encode_targets(y, dtype, keep=incremental or not first)
        weights = _check_sample_weight(sample_weight, n, dtype)
        data = Data(native_rows(X, dtype), targets, weights, y, n)

        units = [X.shape[1], *hidden, self.n_outputs_]
        random = check_random_state(self.random_state)
        blocks = self._initialize(units, dtype, random) if first else self._blocks(dtype)
        if len(blocks[-1]) != units[-1]:
            raise ValueError(
                f"y has {units[-1]} outputs, but the earlier fit that training goes on from had "
                f"{len(blocks[-1])}."
            )
        if [len(blocks[0]), *(len(bias) for bias in blocks[1::2])] != units:
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} with {units[0]} features and "
                f"{units[-1]} outputs does not fit the weights of the earlier fit that training "
                f"goes on from: {[weight.shape for weight in blocks[::2]]}."
            )

        rows: tuple[Order | None, Order | None] = (None, None)
        if stochastic and self.early_stopping:
            stratify = targets == 1 if is_classifier(self) and self.n_outputs_ == 1 else None
            rows = split_rows(n, self.validation_fraction, stratify, random)
        batch = self._batch_size(n if rows[0] is None else len(rows[0])) if stochastic else n
        network = (_native.Network32 if dtype == np.float32 else _native.Network64)(
            units,
            self.activation,
            self._loss_name(),
            alpha=self.alpha,
            batch=batch,
            sparse=issparse(X),
            keep_gradient=not stochastic,
        )
        if stochastic:
            optimizer = self._make_optimizer(goes_on=incremental)
            if not first:  # the earlier fit's lists stay as they are
                self.loss_curve_ = list(self.loss_curve_)
                self.validation_scores_ = self.validation_scores_ and list(self.validation_scores_)
            blocks = fit_stochastic(
                self, network, blocks, data, rows, optimizer, random, one_epoch=incremental
            )
            self._optimizer = optimizer
        else:
            blocks = fit_lbfgs(self, network, blocks, data)

        if not all(np.isfinite(block).all() for block in blocks):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may"
                " contain large values and need to be preprocessed."
            )
        self.coefs_, self.intercepts_ = blocks[0::2], blocks[1::2]
        return self

    def _initialize(
        self, units: list[int], dtype: npt.DTypeLike, random: np.random.RandomState
    ) -> Blocks:
        """New weights by Glorot & Bengio's rule, and the attributes that accumulate from here."""
        self.t_ = 0
        self.n_layers_ = len(units)
        self.out_activation_ = _native.LINKS[self._loss_name()]
        if self.solver != "lbfgs":
            self.loss_curve_ = []
            self._no_improvement_count = 0
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_ = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None

        blocks = []
        factor = 2.0 if self.activation == "logistic" else 6.0
        for fan_in, fan_out in pairwise(units):
            bound = np.sqrt(factor / (fan_in + fan_out))
            for shape in ((fan_in, fan_out), (fan_out,)):
                blocks.append(random.uniform(-bound, bound, shape).astype(dtype, copy=False))
        return blocks

    def _blocks(self, dtype: npt.DTypeLike) -> Blocks:
        """The fitted parameters in the core's order, whatever a user did to `coefs_`."""
        pairs = zip(self.coefs_, self.intercepts_, strict=True)
        return [as_block(block, dtype) for pair in pairs for block in pair]

    def _batch_size(self, n: int) -> int:
        if self.batch_size == "auto":
            return min(200, n)
        batch = int(self.batch_size)
        if batch > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than "
                "sample size. It is going to be clipped",
                stacklevel=4,
            )
        return min(batch, n)

    def _make_optimizer(self, *, goes_on: bool) -> Optimizer:
        earlier = getattr(self, "_optimizer", None)
        if goes_on and earlier is not None:
            shapes = [weight.shape for weight in self.coefs_]
            if all([block.shape for block in state[::2]] == shapes for state in earlier.state):
                return replace(earlier)
        return Optimizer(
            solver=self.solver,
            learning_rate_init=float(self.learning_rate_init),
            schedule=self.learning_rate,
            power_t=self.power_t,
            momentum=self.momentum,
            nesterovs_momentum=self.nesterovs_momentum,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            learning_rate=float(self.learning_rate_init),
        )

    # --- prediction ------------------------------------------------------------------------------

    def _forward(self, X: Any) -> Array:
        """The output layer's activations (n_samples, n_outputs) for user's X."""
        if self._is_clean(X):
            return self._predict_rows(self._blocks(X.dtype), X, None)
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        single = np.result_type(X.dtype, self.coefs_[0].dtype) == np.float32
        dtype = np.float32 if single else np.float64
        return self._predict_rows(self._blocks(dtype), native_rows(X, dtype), None)

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

    def _predict_rows(self, blocks: Blocks, x: Rows, rows: Order | None) -> Array:
        few = rows is None and isinstance(x, np.ndarray) and len(x) < 64  # not worth a second
        threads = 1 if few else n_threads(self.n_jobs)
        return _native.predict(
            blocks, self.activation, self._loss_name(), x, rows, n_threads=threads
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class MLPClassifier(ClassifierMixin, _MultilayerPerceptron):
    __doc__ = f"""Multi-layer perceptron classifier, trained on the log loss.

    Takes the place of :class:`sklearn.neural_network.MLPClassifier` and trains the same model from
    the same `random_state`. Two classes share one logistic output, several classes a softmax; a
    0/1 matrix as y is multilabel classification with one logistic output per label.

    Parameters
    ----------
    {_PARAMETERS}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    {_ATTRIBUTES}
    out_activation_ : {{'softmax', 'logistic'}}
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

    loss = "log_loss"

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
        with _unchanged_on_error(self):
            self._set_classes(y, classes)
            return self._fit(X, y, sample_weight, incremental=True)

    def _set_classes(self, y: Any, classes: Any) -> None:
        """Take the `classes` of a first `partial_fit`; hold those of a later one against them."""
        known = getattr(self, "classes_", None)
        if classes is None:
            if known is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
        elif known is None:
            from sklearn.preprocessing import LabelBinarizer

            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
            self.classes_ = unique_labels(classes)
        elif not np.array_equal(known, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, "
                f"was: {known!r}"
            )

    def _encode_targets(self, y: Array, dtype: npt.DTypeLike, keep: bool) -> tuple[Array, Array]:
        if not keep:
            from sklearn.preprocessing import LabelBinarizer

            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        elif self.warm_start:
            labels = unique_labels(y)
            if set(labels) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same "
                    "classes as in the previous call to fit. Previously "
                    f"got {self.classes_}, `y` has {labels}"
                )
        else:
            labels = unique_labels(y)
            if len(np.setdiff1d(labels, self.classes_, assume_unique=True)):
                raise ValueError(
                    "`y` has classes not in `self.classes_`. "
                    f"`self.classes_` has {self.classes_}. 'y' has {labels}."
                )
        if self._is_multilabel() != (y.ndim == 2):
            raise ValueError(
                f"The object was {'' if self._is_multilabel() else 'not '}fitted with multilabel "
                f"input, but y is {type_of_target(y)!r}."
            )
        if self._is_multilabel():
            targets = np.asarray(self._label_binarizer.transform(y), dtype=dtype, order="C")
            self.n_outputs_ = targets.shape[1]
            return targets, targets
        self.n_outputs_ = 1 if len(self.classes_) <= 2 else len(self.classes_)
        labels = np.searchsorted(self.classes_, y).astype(np.int32)
        return labels, labels

    def _is_multilabel(self) -> bool:
        return bool(self._label_binarizer.y_type_.startswith("multilabel"))

    def _loss_name(self) -> str:
        softmax = len(self.classes_) > 2 and not self._is_multilabel()
        return "log_loss" if softmax else "binary_log_loss"

    def _validation_score(self, blocks: Blocks, data: Data, rows: Order) -> float:
        # accuracy_score's definition; calling it would take longer than the epoch on small data
        right = self._decide(self._predict_rows(blocks, data.x, rows)) == data.y[rows]
        if right.ndim == 2:
            right = right.all(axis=1)
        return float(
            np.average(right, weights=None if data.weights is None else data.weights[rows])
        )

    def _decide(self, probabilities: Array) -> Array:
        """Class numbers (n,), or the 0/1 matrix (n, n_labels) of multilabel."""
        if self._is_multilabel():
            return (probabilities > 0.5).astype(int)
        if self.n_outputs_ == 1:
            return (probabilities[:, 0] > 0.5).astype(int) * (len(self.classes_) - 1)
        return np.argmax(probabilities, axis=1)

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
        probabilities = self._forward(X)
        if self._is_multilabel():  # sparse y gives sparse predictions
            return self._label_binarizer.inverse_transform(probabilities)
        return self.classes_[self._decide(probabilities)]

    def predict_proba(self, X: Any) -> Array:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; of multilabel each label's own probability.
        """
        probabilities = self._forward(X)
        if self.n_outputs_ == 1:
            return np.hstack([1 - probabilities, probabilities])
        return probabilities

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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _MultilayerPerceptron):
    __doc__ = f"""Multi-layer perceptron regressor, trained on squared error or Poisson deviance.

    Takes the place of :class:`sklearn.neural_network.MLPRegressor` and trains the same model from
    the same `random_state`. A matrix as y is multi-output regression.

    Parameters
    ----------
    loss : {{'squared_error', 'poisson'}}, default='squared_error'
        Half the squared error, or half the Poisson deviance with a log link (y >= 0).
    {_PARAMETERS}

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

    _rules: ClassVar = {"loss": option("squared_error", "poisson"), **_RULES}

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
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
    ) -> None:
        self.loss = loss
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            n_jobs=n_jobs,
        )

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
        with _unchanged_on_error(self):
            return self._fit(X, y, sample_weight, incremental=True)

    def _encode_targets(self, y: Array, dtype: npt.DTypeLike, keep: bool) -> tuple[Array, Array]:
        if issparse(y) or y.dtype.kind not in "fiub":
            raise ValueError(f"y must be a dense array of numbers, got {type(y)} of {y.dtype}.")
        if self.loss == "poisson" and np.any(y < 0):
            raise ValueError(
                "Some value(s) of y are out of the valid range of the loss 'poisson': "
                f"must be >= 0, got {np.min(y)}."
            )
        targets = np.asarray(y.reshape(len(y), -1), dtype=dtype, order="C")
        self.n_outputs_ = targets.shape[1]
        return targets, y

    def _loss_name(self) -> str:
        return self.loss

    def _validation_score(self, blocks: Blocks, data: Data, rows: Order) -> float:
        from sklearn.metrics import r2_score

        predicted = self._predict_rows(blocks, data.x, rows)
        if not np.isfinite(predicted).all():
            return float(np.nan)
        weights = None if data.weights is None else data.weights[rows]
        predicted = predicted.reshape(data.y[rows].shape)
        return float(r2_score(data.y[rows], predicted, sample_weight=weights))

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
        predicted = self._forward(X)
        return predicted.ravel() if self.n_outputs_ == 1 else predicted
