"""The two networks of a single layer: Rosenblatt's perceptron, Widrow and Hoff's Adaline."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from threading import Event
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp import _native
from fastmlp._arrays import as_block, native_rows
from fastmlp._base import SavableMixin, check_classes, check_sample_weight, published, snapshot
from fastmlp._parameters import (
    any_of,
    boolean,
    check_parameters,
    instance,
    integer,
    nothing,
    option,
    random_state,
    real,
    verbosity,
)
from fastmlp._threads import n_threads
from fastmlp._typing import Array, Rows
from fastmlp._warnings import warn

_MAX_INT = np.iinfo(np.int32).max

_RULES = {
    "eta0": real(0, brackets="()"),
    "fit_intercept": boolean,
    "max_iter": integer(1),
    "tol": any_of(real(0), nothing),
    "shuffle": boolean,
    "verbose": verbosity,
    "random_state": random_state,
    "n_iter_no_change": integer(1),
    "class_weight": any_of(option("balanced"), instance(dict, "dict"), nothing),
    "warm_start": boolean,
}


@dataclass
class _Data:
    """Training data as both estimators take it."""

    X: Any  # as it was validated, for scores
    x: Rows  # as the core reads it
    codes: Array  # (n,) places in `classes_`
    weights: Array | None  # (n,) sample weights
    class_weights: Array  # (n_classes,)
    n: int
    dtype: npt.DTypeLike


@dataclass
class _Patience:
    """Counts epochs in a row whose cost is not below the best one's by more than `tol`."""

    tol: float | None
    epochs: int
    best: float = np.inf
    stale: int = 0

    def ends_with(self, cost: float) -> bool:
        stale = self.tol is not None and cost > self.best - self.tol
        self.stale = self.stale + 1 if stale else 0
        self.best = min(self.best, cost)
        return self.stale >= self.epochs


class _SingleLayer(SavableMixin, ClassifierMixin, BaseEstimator):
    """What the two share: everything but the epochs."""

    _rules: ClassVar = _RULES

    random_state: int | np.random.RandomState | None
    max_iter: int
    tol: float | None
    n_iter_no_change: int
    class_weight: Any
    warm_start: bool
    verbose: bool | int
    early_stopping: bool = False

    classes_: Array
    coef_: Any
    intercept_: Array
    loss_curve_: list[float]
    n_features_in_: int
    n_iter_: int
    t_: float

    def _initial(
        self, shape: tuple[int, int], dtype: npt.DTypeLike, random: np.random.RandomState
    ) -> Array:
        """The weights that training starts from."""
        raise NotImplementedError

    def _train(
        self,
        data: _Data,
        coef: Array,
        intercept: Array,
        random: np.random.RandomState,
        max_iter: int,
    ) -> tuple[Array, Array]:
        """Train for up to `max_iter` epochs; returns the new weights and biases."""
        raise NotImplementedError

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        incremental: bool = False,
        classes: Any = None,
        coef_init: Any = None,
        intercept_init: Any = None,
    ) -> None:
        known = incremental and hasattr(self, "classes_")
        goes_on = hasattr(self, "coef_") and (incremental or self.warm_start)
        if goes_on and issparse(self.coef_):
            raise ValueError("coef_ is sparse: call densify() before fitting goes on from it.")
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=self.coef_.dtype if known else (np.float64, np.float32),
            order="C",
            reset=not known,
        )
        check_classification_targets(y)
        if incremental:
            check_classes(self, classes)
        else:
            self.classes_ = np.unique(y)
        n_classes = len(self.classes_)
        if n_classes < 2:
            raise ValueError(
                f"The number of classes has to be greater than one; got {n_classes} class"
            )
        strange = np.setdiff1d(y, self.classes_)
        if len(strange):
            raise ValueError(f"`y` has labels {strange} that are not in `classes` {self.classes_}.")
        class_weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)

        n, n_features = X.shape
        dtype = self.coef_.dtype if known else X.dtype
        random = check_random_state(self.random_state)
        shape = (1 if n_classes == 2 else n_classes, n_features)
        if coef_init is None:
            coef_init = self.coef_ if goes_on else self._initial(shape, dtype, random)
        if intercept_init is None:
            intercept_init = self.intercept_ if goes_on else np.zeros(shape[0])
        coef = np.array(coef_init, dtype=dtype, order="C")
        intercept = np.array(intercept_init, dtype=None if known else dtype)
        if shape[0] == 1:
            coef, intercept = coef.reshape(1, -1), intercept.reshape(-1)
        if coef.shape != shape:
            raise ValueError("Provided coef_init does not match dataset.")
        if intercept.shape != shape[:1]:
            raise ValueError("Provided intercept_init does not match dataset.")

        data = _Data(
            X=X,
            x=native_rows(X, dtype),
            codes=np.searchsorted(self.classes_, y),
            weights=check_sample_weight(sample_weight, n, dtype),
            class_weights=class_weights,
            n=n,
            dtype=dtype,
        )
        self.loss_curve_ = list(self.loss_curve_) if goes_on else []
        self.coef_, self.intercept_ = self._train(
            data, coef, intercept, random, 1 if incremental else self.max_iter
        )
        self.t_ = (self.t_ if known else 1.0) + self.n_iter_ * n
        if not incremental and self.tol is not None and self.n_iter_ == self.max_iter:
            warn(
                f"Maximum number of iterations ({self.max_iter}) reached before convergence. "
                "Consider increasing max_iter to improve the fit.",
                ConvergenceWarning,
            )

    def _note_epoch(self, cost: float) -> None:
        self.n_iter_ += 1
        self.loss_curve_.append(cost)
        if self.verbose:
            print(f"Epoch {self.n_iter_}, cost = {cost:.8f}")

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go on training with one epoch over the given data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,)
            The class labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that any call will see; needed on the first call only.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts, besides `class_weight`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As for `fit`, and for labels outside of `classes`.
        """
        check_parameters(self, self._rules)
        if not hasattr(self, "classes_"):
            if self.early_stopping:
                raise ValueError("early_stopping should be False with partial_fit")
            if self.class_weight == "balanced":
                raise ValueError(
                    "class_weight 'balanced' is not supported for partial_fit. Pass the weights "
                    "that sklearn.utils.compute_class_weight('balanced', classes=classes, y=y) "
                    "gives for all labels, or for a large enough sample of them."
                )
        with published(self) as worker:
            worker._fit(X, y, sample_weight, incremental=True, classes=classes)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the weighted sums of the features, which `predict` compares with 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes those of ``classes_[1]``.
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        X = validate_data(fitted, X, accept_sparse="csr", reset=False)
        scores: Array = safe_sparse_dot(X, fitted.coef_.T, dense_output=True) + fitted.intercept_
        return scores.reshape(-1) if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> Array:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of two classes the second where the decision function is above 0, of several classes
            the one with the largest.
        """
        fitted = snapshot(self)
        scores = fitted.decision_function(X)
        return fitted.classes_[np.argmax(scores, axis=1) if scores.ndim == 2 else 1 * (scores > 0)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


@contextmanager
def _interruptible() -> Iterator[None]:
    """An interrupt ends training, and the model so far is kept."""
    try:
        yield
    except KeyboardInterrupt:
        warn("Training interrupted by user.")


_Scorer: TypeAlias = Callable[[Array, float], float]
_Epoch: TypeAlias = Callable[[Callable[[], bool]], float]


class _OneAgainstRest:
    """A perceptron for one of the classes: its network, its order, and when it stops."""

    def __init__(
        self,
        network: _native.Perceptron32 | _native.Perceptron64,
        n: int,
        train: Array | None,  # (n,) whether a row is trained on, not held out; None: all are
        seed: int | None,  # None: the order stays
        score: _Scorer | None,
        patience: _Patience,
    ) -> None:
        self.network, self.train, self.seed = network, train, seed
        self.score, self.patience = score, patience
        self.order = np.arange(n)
        self.running = True

    def run_epoch(self, stop: Callable[[], bool]) -> float:
        """Train for an epoch; returns the mean cost, or NaN for weights that are no longer finite.

        Each epoch shuffles the order that the one before has left, by the same seed. `stop` is
        asked from time to time whether to end it.
        """
        if self.seed is not None:
            _native.shuffle(self.order, self.seed)
        order = self.order if self.train is None else self.order[self.train[self.order]]
        total, raised = self.network.epoch(order, stop)
        if raised is not None:
            raise raised
        cost = total / len(order)
        stored, _, intercept = self.network.read()
        if not (np.isfinite(stored).all() and np.isfinite(intercept)):
            return np.nan
        # the score is of the weights as they are stored, whatever `scale` is, as in scikit-learn
        judged = cost if self.score is None else -self.score(stored, intercept)
        self.running = not self.patience.ends_with(judged)
        return cost


class Perceptron(_SingleLayer):
    """Rosenblatt's perceptron: a weighted sum, and a threshold at 0.

    Each sample that is on the wrong side of the threshold, or on it, moves the weights by `eta0`
    times its features, towards its class. If some hyperplane separates the classes, one is found
    after finitely many mistakes [2]_. For several classes one perceptron is trained for each,
    against all the others.

    Takes the place of :class:`sklearn.linear_model.Perceptron` and trains the same model from the
    same `random_state`.

    Parameters
    ----------
    penalty : {'l2', 'l1', 'elasticnet'} or None, default=None
        The penalty on the weights, not on the intercepts.
    alpha : float, default=0.0001
        Its strength: alpha / 2 times the sum of the squared weights ('l2'), alpha times the sum of
        the absolute weights ('l1', which stops weights at zero [3]_), or a mean of both.
    l1_ratio : float, default=0.15
        The share of 'l1' in 'elasticnet', in [0, 1].
    fit_intercept : bool, default=True
        Whether there is an intercept; else it stays where it is, at 0.
    max_iter : int, default=1000
        Most epochs of `fit`.
    tol : float or None, default=1e-3
        An epoch makes progress where its mean cost is below the best one's by `tol` or more;
        None: `max_iter` epochs are trained.
    shuffle : bool, default=True
        Whether the samples are shuffled before each epoch.
    verbose : bool or int, default=0
        Whether to print the cost of each epoch.
    eta0 : float, default=1.0
        The step size. Without a penalty it only scales weights that start from zero.
    n_jobs : int or None, default=None
        Threads for several classes, as joblib counts them: None is 1, -1 all. The model is the
        same for any number.
    random_state : int, RandomState instance or None, default=0
        Draws the shuffles and the validation split.
    early_stopping : bool, default=False
        Whether to set samples aside, and to stop when the accuracy on them no longer improves by
        `tol`, instead of the cost.
    validation_fraction : float, default=0.1
        The share of samples set aside, of each class.
    n_iter_no_change : int, default=5
        Epochs in a row without progress after which training stops.
    class_weight : dict, 'balanced' or None, default=None
        Factors on the steps by class label; 'balanced' makes all classes count the same.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the previous call instead of zeros.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        The weights, one row for two classes; float32 for float32 X.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        The biases.
    loss_curve_ : list of float
        The mean cost of each epoch's samples as they were met: by how much the weighted sum was on
        the wrong side, plus the penalty, without sample and class weights. For several classes
        summed over the perceptrons that still were training. `partial_fit` and a warm start append.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where all are strings.
    n_iter_ : int
        Epochs of the last call, of several classes the most.
    t_ : float
        One more than the samples seen: ``1 + n_iter_ * n_samples`` after `fit`.

    Notes
    -----
    For sparse X the intercept learns at a hundredth of the rate, and the penalty's part in the cost
    is that of the weights that the latest mistake has moved; both are scikit-learn's ways.

    References
    ----------
    .. [1] Rosenblatt (1958). "The perceptron: A probabilistic model for information storage and
       organization in the brain". Psychological Review 65.
    .. [2] Novikoff (1962). "On convergence proofs on perceptrons". Symposium on the Mathematical
       Theory of Automata 12.
    .. [3] Tsuruoka, Tsujii & Ananiadou (2009). "Stochastic gradient descent training for
       L1-regularized log-linear models with cumulative penalty". ACL.

    Examples
    --------
    >>> from fastmlp import Perceptron
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
    >>> Perceptron().fit(X, y).predict(X)
    array([0, 0, 0, 1])
    """

    _rules: ClassVar = {
        "penalty": any_of(option("l2", "l1", "elasticnet"), nothing),
        "alpha": real(0),
        "l1_ratio": real(0, 1, "[]"),
        **_RULES,
        "n_jobs": any_of(instance(Integral, "int"), nothing),
        "early_stopping": boolean,
        "validation_fraction": real(0, 1, "()"),
    }

    def __init__(
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.0001,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        verbose: bool | int = 0,
        eta0: float = 1.0,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.eta0 = eta0
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start

    def fit(
        self,
        X: Any,
        y: Any,
        coef_init: Any = None,
        intercept_init: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Fit the perceptron to data matrix X and labels y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples. float32 is trained in float32, all else in float64.
        y : array-like of shape (n_samples,)
            The class labels.
        coef_init : array-like of shape (1, n_features) or (n_classes, n_features), default=None
            The weights to start from.
        intercept_init : array-like of shape (1,) or (n_classes,), default=None
            The biases to start from.
        sample_weight : array-like of shape (n_samples,), default=None
            Factors on the samples' steps, besides `class_weight`.

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
        with published(self) as worker:
            worker._fit(X, y, sample_weight, coef_init=coef_init, intercept_init=intercept_init)
        return self

    def _initial(
        self, shape: tuple[int, int], dtype: npt.DTypeLike, random: np.random.RandomState
    ) -> Array:
        return np.zeros(shape, dtype)

    def _train(
        self,
        data: _Data,
        coef: Array,
        intercept: Array,
        random: np.random.RandomState,
        max_iter: int,
    ) -> tuple[Array, Array]:
        problems = self._problems(data, coef, intercept, random)
        self.n_iter_ = 0
        with _interruptible(), self._map(len(problems)) as run:
            while self.n_iter_ < max_iter:
                costs = run([p.run_epoch for p in problems if p.running])
                self._require_finite(costs)
                self._note_epoch(float(np.sum(costs)))
                if not any(p.running for p in problems):
                    break
        trained = [p.network.read() for p in problems]
        coef = np.stack([stored * stored.dtype.type(scale) for stored, scale, _ in trained])
        # float64 for two classes, else of the weights' type: as scikit-learn has them
        dtype = None if len(trained) == 1 else data.dtype
        intercept = np.array([b for _, _, b in trained], dtype)
        self._require_finite(coef, intercept)  # of an epoch that was interrupted
        return coef, intercept

    def _require_finite(self, *values: Any) -> None:
        if not all(np.isfinite(value).all() for value in values):
            raise ValueError(
                f"Floating-point under-/overflow occurred at epoch #{self.n_iter_ + 1}. "
                "Scaling input data with StandardScaler or MinMaxScaler might help."
            )

    @contextmanager
    def _map(self, n_problems: int) -> Iterator[Callable[[Iterable[_Epoch]], list[float]]]:
        """Runs epochs, on several threads where that was asked for; an interrupt ends them all."""
        from joblib import effective_n_jobs

        workers = min(effective_n_jobs(self.n_jobs), n_problems)
        ended = Event()
        if workers == 1:
            yield lambda epochs: [epoch(ended.is_set) for epoch in epochs]
            return
        with ThreadPoolExecutor(workers) as pool:
            try:
                yield lambda epochs: list(pool.map(lambda epoch: epoch(ended.is_set), epochs))
            finally:
                ended.set()

    def _problems(
        self, data: _Data, coef: Array, intercept: Array, random: np.random.RandomState
    ) -> list[_OneAgainstRest]:
        """One perceptron for two classes, else one per class; draws as scikit-learn draws."""
        several = len(coef) > 1
        train = self._split(data) if several else None
        if several:
            draws = [
                np.random.RandomState(seed) for seed in random.randint(_MAX_INT, size=len(coef))
            ]
        else:
            draws = [random]
        l1_ratio = {"l1": 1.0, "l2": 0.0}.get(str(self.penalty), float(self.l1_ratio))
        problems = []
        for i, draw in enumerate(draws):
            draw.randint(1, _MAX_INT)  # for random access, which training does not use
            if not several:
                train = self._split(data)
            targets = (data.codes == (i if several else 1)).astype(np.int32)
            class_weights = [1.0, data.class_weights[i]] if several else data.class_weights
            weights = data.weights
            if not np.all(class_weights == 1.0):
                weights = np.asarray(class_weights, data.dtype)[targets]
                if data.weights is not None:
                    weights = weights * data.weights
            network = _native.Perceptron32 if data.dtype == np.float32 else _native.Perceptron64
            problems.append(
                _OneAgainstRest(
                    network(
                        data.x,
                        targets,
                        weights,
                        coef[i],
                        float(intercept[i]),
                        alpha=0.0 if self.penalty is None else self.alpha,
                        l1_ratio=l1_ratio,
                        rate=self.eta0,
                        bias_rate=(0.01 if issparse(data.X) else 1.0) * bool(self.fit_intercept),
                    ),
                    data.n,
                    train,
                    draw.randint(_MAX_INT) if self.shuffle else None,
                    None if train is None else _accuracy(data, targets, ~train),
                    _Patience(self.tol, self.n_iter_no_change),
                )
            )
        return problems

    def _split(self, data: _Data) -> Array | None:
        """Whether a row is trained on, (n,); None where no rows are set aside."""
        if not self.early_stopping:
            return None
        from sklearn.model_selection import StratifiedShuffleSplit

        splitter = StratifiedShuffleSplit(
            test_size=self.validation_fraction, random_state=self.random_state
        )
        _, validation = next(splitter.split(np.zeros((data.n, 1)), data.codes))
        if data.weights is not None and not np.any(data.weights[validation] > 0):
            raise ValueError(
                "The sample weights for validation set are all zero, consider using a different "
                "random state."
            )
        train = np.ones(data.n, bool)
        train[validation] = False
        return train

    def densify(self) -> Self:
        """Turn `coef_` back into an array; training goes on from arrays only.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        if issparse(self.coef_):
            self.coef_ = self.coef_.toarray()
        return self

    def sparsify(self) -> Self:
        """Turn `coef_` into a CSR matrix, which is smaller where most weights are zero.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        self.coef_ = csr_matrix(self.coef_)
        return self


def _accuracy(data: _Data, targets: Array, rows: Array) -> _Scorer:
    """The accuracy of weights and intercept on some rows (a mask), by their sample weights."""
    X, right = data.X[rows], targets[rows] == 1
    weights = None if data.weights is None else data.weights[rows]

    def score(coef: Array, intercept: float) -> float:
        sums = safe_sparse_dot(X, coef, dense_output=True) + np.float64(intercept)
        return float(np.average((sums > 0) == right, weights=weights))

    return score


class Adaline(_SingleLayer):
    """Widrow and Hoff's adaptive linear neuron: a linear unit that learns by least squares.

    The targets are -1 and 1, the cost is half the sum of the squared errors of the weighted sums
    themselves, and ``w += eta0 * sum of (error * x)`` over all samples, or over those of a
    mini-batch, follows its gradient: the delta rule [1]_. Only `predict` has a threshold, at 0. For
    several classes there is one unit for each, against all the others.

    Parameters
    ----------
    eta0 : float, default=0.0001
        The step size. Steps grow with the samples in a batch and with the features' scale: training
        diverges from about 2 divided by the largest eigenvalue of ``X.T @ X`` of a batch on.
    batch_size : int or None, default=None
        Samples per step: None is all (gradient descent), 1 is online learning.
    fit_intercept : bool, default=True
        Whether there is an intercept; else it stays where it is, at 0.
    max_iter : int, default=1000
        Most epochs of `fit`.
    tol : float or None, default=1e-3
        An epoch makes progress where its cost is below the best one's by `tol` or more; None:
        `max_iter` epochs are trained.
    n_iter_no_change : int, default=5
        Epochs in a row without progress after which training stops.
    shuffle : bool, default=True
        Whether the samples are shuffled before each epoch; makes no difference to a single batch.
    verbose : bool or int, default=0
        Whether to print the cost of each epoch.
    random_state : int, RandomState instance or None, default=0
        Draws the first weights and the shuffles.
    init_scale : float, default=0.01
        Standard deviation of the first weights, which are normally distributed; intercepts start
        from 0.
    class_weight : dict, 'balanced' or None, default=None
        Factors on the squared errors by class label; 'balanced' makes all classes count the same.
        Those of a dict are divided by their mean over the classes, which leaves `eta0` its meaning.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the previous call instead of new ones.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        The weights, one row for two classes; float32 for float32 X.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        The biases.
    loss_curve_ : list of float
        The cost of each epoch: half the weighted sum of the squared errors, of all classes, before
        each batch's step. With both weights and mini-batches, batches count by their number of
        samples. `partial_fit` and a warm start append.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where all are strings.
    n_iter_ : int
        Epochs of the last call.
    t_ : float
        One more than the samples seen: ``1 + n_iter_ * n_samples`` after `fit`.

    References
    ----------
    .. [1] Widrow & Hoff (1960). "Adaptive switching circuits". IRE WESCON Convention Record 4.

    Examples
    --------
    >>> from fastmlp import Adaline
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
    >>> Adaline(eta0=0.1).fit(X, y).predict(X)
    array([0, 0, 0, 1])
    """

    _rules: ClassVar = {
        **_RULES,
        "batch_size": any_of(integer(1), nothing),
        "init_scale": real(0),
    }

    def __init__(
        self,
        *,
        eta0: float = 0.0001,
        batch_size: int | None = None,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        n_iter_no_change: int = 5,
        shuffle: bool = True,
        verbose: bool | int = 0,
        random_state: int | np.random.RandomState | None = 0,
        init_scale: float = 0.01,
        class_weight: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.eta0 = eta0
        self.batch_size = batch_size
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.shuffle = shuffle
        self.verbose = verbose
        self.random_state = random_state
        self.init_scale = init_scale
        self.class_weight = class_weight
        self.warm_start = warm_start

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the unit to data matrix X and labels y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples. float32 is trained in float32, all else in float64.
        y : array-like of shape (n_samples,)
            The class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Factors on the samples' squared errors, besides `class_weight`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a parameter or data outside of what is allowed, and for training that diverged to
            non-finite weights. The estimator then is as it was before the call.
        """
        check_parameters(self, self._rules)
        with published(self) as worker:
            worker._fit(X, y, sample_weight)
        return self

    def _initial(
        self, shape: tuple[int, int], dtype: npt.DTypeLike, random: np.random.RandomState
    ) -> Array:
        return random.normal(scale=self.init_scale, size=shape)

    def _train(
        self,
        data: _Data,
        coef: Array,
        intercept: Array,
        random: np.random.RandomState,
        max_iter: int,
    ) -> tuple[Array, Array]:
        k, n_features = coef.shape
        batch = min(self.batch_size or data.n, data.n)
        network = (_native.Network32 if data.dtype == np.float32 else _native.Network64)(
            [n_features, k],
            [],
            "squared_error",
            alpha=0.0,
            batch=batch,
            sparse=issparse(data.X),
        )
        network.write(0, [as_block(coef.T, data.dtype), as_block(intercept, data.dtype)])
        places = np.arange(1, 2) if k == 1 else np.arange(k)
        targets = np.where(data.codes[:, None] == places, 1, -1).astype(data.dtype)
        weights = data.weights
        class_weights = data.class_weights
        if isinstance(self.class_weight, dict):
            class_weights = class_weights / class_weights.mean()
        if not np.all(class_weights == 1.0):
            weights = class_weights[data.codes].astype(data.dtype)
            if data.weights is not None:
                weights = weights * data.weights
        total = data.n if weights is None else float(weights.sum(dtype=np.float64))
        threads = n_threads(None)
        patience = _Patience(self.tol, self.n_iter_no_change)
        self.n_iter_ = 0
        with _interruptible():
            while self.n_iter_ < max_iter:
                (_, _, loss, *_), raised = network.train(
                    data.x,
                    targets,
                    weights,
                    random.permutation(data.n) if self.shuffle and batch < data.n else None,
                    solver="sgd",
                    steps=0,
                    rate=self.eta0,
                    summed=True,
                    bias_rate=float(self.fit_intercept),
                    n_threads=threads,
                )
                if raised is not None:
                    raise raised
                cost = loss / data.n * k * total  # the mean is one over the outputs too
                self._require_finite(cost)
                self._note_epoch(cost)
                if patience.ends_with(cost):
                    break
        weight, bias = network.read(0)
        self._require_finite(weight, bias)
        costs = self.loss_curve_[-self.n_iter_ :]
        if max_iter > 1 and costs and costs[-1] > costs[0]:
            warn(
                f"The cost has grown from {costs[0]:g} to {costs[-1]:g}: eta0={self.eta0} is too "
                "large for this data. Choose a smaller one, or scale X.",
                ConvergenceWarning,
            )
        return np.ascontiguousarray(weight.T), bias

    def _require_finite(self, *values: Any) -> None:
        if not all(np.isfinite(value).all() for value in values):
            raise ValueError(
                f"Training diverged: eta0={self.eta0} is too large for this data. Choose a smaller "
                "one, or scale X, with StandardScaler for example."
            )
