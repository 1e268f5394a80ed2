"""Rosenblatt's perceptron."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from numbers import Integral
from threading import Event
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, issparse
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted

from fastmlp.core.native import _native
from fastmlp.core.random import random_generator
from fastmlp.core.rules import (
    Attribute,
    Parameter,
    any_of,
    boolean,
    check_parameters,
    instance,
    nothing,
    option,
    real,
)
from fastmlp.core.typing import Array
from fastmlp.estimators.attributes import SINGLE_LAYER_ATTRIBUTES, count, numbers
from fastmlp.estimators.base import all_or_nothing, split_errors
from fastmlp.estimators.documentation import documented
from fastmlp.estimators.single_layer import (
    SINGLE_LAYER_PARAMETERS,
    SingleLayer,
    class_weight_parameter,
    random_state_parameter,
)
from fastmlp.training.data import Data
from fastmlp.training.patience import Patience
from fastmlp.training.progress import Progress

_MAX_INT = np.iinfo(np.int32).max

# trains for an epoch and returns its cost; it asks from time to time whether to stop
_Epoch: TypeAlias = Callable[[Callable[[], bool]], float]

PERCEPTRON_PARAMETERS = {
    **SINGLE_LAYER_PARAMETERS,
    "penalty": Parameter(
        any_of(option("l2", "l1", "elasticnet"), nothing),
        "{'l2', 'l1', 'elasticnet'} or None",
        "The penalty on the weights, not on the intercepts.",
    ),
    "alpha": Parameter(
        real(0),
        "float",
        """Strength of the penalty: alpha / 2 times the sum of the squared weights ('l2'), alpha
        times the sum of the absolute weights ('l1', which stops weights at zero [3]_), or a mean
        of both.""",
    ),
    "l1_ratio": Parameter(
        real(0, 1, "[]"), "float", "The share of 'l1' in 'elasticnet', in [0, 1]."
    ),
    "eta0": Parameter(
        real(0, brackets="()"),
        "float",
        "The step size. Without a penalty it only scales weights that start from zero.",
    ),
    "n_jobs": Parameter(
        any_of(instance(Integral, "int"), nothing),
        "int or None",
        """Number of threads for several classes, as joblib counts them: None is 1, -1 all. The
        model is the same for any number.""",
    ),
    "random_state": random_state_parameter("the shuffles and the validation split"),
    "early_stopping": Parameter(
        boolean,
        "bool",
        """Whether to set samples aside, and to stop when the accuracy on them, instead of the
        cost, no longer improves by `tol`.""",
    ),
    "validation_fraction": Parameter(
        real(0, 1, "()"),
        "float",
        "Proportion of the samples that `early_stopping` sets aside, of each class.",
    ),
    "class_weight": class_weight_parameter(
        "Factors on the steps by class label; 'balanced' makes all classes count the same."
    ),
}

PERCEPTRON_ATTRIBUTES = {
    **SINGLE_LAYER_ATTRIBUTES,
    "loss_curve_": Attribute(
        numbers,
        "list of float",
        """The mean cost of each epoch's samples as they were met: by how much the weighted sum was
        on the wrong side, plus the penalty, without sample and class weights. For several classes
        summed over the perceptrons that still were training. `partial_fit` and a warm start
        append.""",
    ),
    "n_iter_": Attribute(
        count, "int", "Number of epochs of the last call, of several classes the largest."
    ),
}


class _OneAgainstRest:
    """A perceptron for one of the classes: its network, its order, and when it stops."""

    def __init__(
        self,
        network: _native.Perceptron32 | _native.Perceptron64,
        n: int,
        train: Array | None,  # (n,) whether a row is trained on, not held out; None: all are
        seed: int | None,  # None: the order stays
        score: Callable[[Array, float], float] | None,
        patience: Patience,
        max_stale: int,
    ) -> None:
        self.network, self.train, self.seed = network, train, seed
        self.score, self.patience, self.max_stale = score, patience, max_stale
        self.order = np.arange(n)
        self.running = self.is_finite = True

    def run_epoch(self, stop: Callable[[], bool]) -> float:
        """Train for an epoch; returns the mean cost, which may overflow where the weights do not.

        Each epoch shuffles the order that the one before has left, with the same seed. `stop` is
        asked from time to time whether to end it.
        """
        if self.seed is not None:
            _native.shuffle(self.order, self.seed)
        order = self.order if self.train is None else self.order[self.train[self.order]]
        total, raised = self.network.epoch(order, stop)
        if raised is not None:
            raise raised
        cost = np.inf if np.isnan(total) else total / len(order)  # 0 times a norm that overflows
        stored, _, intercept = self.network.read()
        self.is_finite = bool(np.isfinite(stored).all() and np.isfinite(intercept))
        if not self.is_finite:
            return cost
        # the score is of the weights as they are stored, whatever `scale` is, as in scikit-learn
        judged = cost if self.score is None else -self.score(stored, intercept)
        self.patience.watch(judged)
        self.running = self.patience.count < self.max_stale
        return cost


@documented
class Perceptron(SingleLayer):
    """Rosenblatt's perceptron: a weighted sum, and a threshold at 0.

    Each sample that is on the wrong side of the threshold, or on it, moves the weights by `eta0`
    times its features, towards its class. If some hyperplane separates the classes, one is found
    after finitely many mistakes [2]_. For several classes one perceptron is trained for each,
    against all the others.

    Takes the place of :class:`sklearn.linear_model.Perceptron` and trains the same model from the
    same `random_state`.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

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

    _parameters: ClassVar[dict[str, Parameter]] = PERCEPTRON_PARAMETERS
    _attributes: ClassVar[dict[str, Attribute]] = PERCEPTRON_ATTRIBUTES

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
        verbose: bool | int | str = 0,
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
            Weights of the samples' steps, besides `class_weight`.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For a parameter or data outside of what is allowed, and for training that ended with
            non-finite weights. The estimator then is as it was before the call.

        Examples
        --------
        >>> from fastmlp import Perceptron
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
        >>> Perceptron().fit(X, y, coef_init=[[1, 1]], intercept_init=[-1.5]).n_iter_ > 0
        True
        """
        check_parameters(self)
        with all_or_nothing(self) as worker:
            worker._fit(X, y, sample_weight, coef_init=coef_init, intercept_init=intercept_init)
        return self

    def _initial(
        self, shape: tuple[int, int], dtype: npt.DTypeLike, random: np.random.RandomState
    ) -> Array:
        return np.zeros(shape, dtype)

    def _train(
        self,
        data: Data,
        class_weights: Array,
        coef: Array,
        intercept: Array,
        random: np.random.RandomState,
        progress: Progress,
    ) -> tuple[Array, Array]:
        problems = self._problems(data, class_weights, coef, intercept, random)
        with self._map(len(problems)) as run:

            def epoch() -> float:
                costs = run([p.run_epoch for p in problems if p.running])
                self._require_finite([p.is_finite for p in problems])
                return float(np.sum(costs))

            self._run_epochs(epoch, lambda: not any(p.running for p in problems), progress)
        trained = [p.network.read() for p in problems]
        coef = np.stack([stored * stored.dtype.type(scale) for stored, scale, _ in trained])
        # float64 for two classes, else of the weights' type: as scikit-learn has them
        dtype = None if len(trained) == 1 else coef.dtype
        intercept = np.array([b for _, _, b in trained], dtype)
        self._require_finite(
            [np.isfinite(coef).all(), np.isfinite(intercept).all()]
        )  # of an epoch that was interrupted
        return coef, intercept

    def _require_finite(self, finite: Iterable[Any]) -> None:
        if not all(finite):
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
        self,
        data: Data,
        class_weights: Array,
        coef: Array,
        intercept: Array,
        random: np.random.RandomState,
    ) -> list[_OneAgainstRest]:
        """One perceptron for two classes, else one per class; draws as scikit-learn draws."""
        several = len(coef) > 1
        train = self._split(data) if several else None
        draws = [random]
        if several:
            draws = [random_generator(seed) for seed in random.randint(_MAX_INT, size=len(coef))]
        problems = []
        for i, draw in enumerate(draws):
            draw.randint(1, _MAX_INT)  # for random access, which training does not use
            if not several:
                train = self._split(data)
            targets = (data.labels == (i if several else 1)).astype(np.int32)
            factors = np.array([1.0, class_weights[i]]) if several else class_weights
            weights = _weights(data.sample_weight, factors, targets, coef.dtype)
            problems.append(
                _OneAgainstRest(
                    self._network(data, targets, weights, coef[i], float(intercept[i])),
                    data.n,
                    train,
                    draw.randint(_MAX_INT) if self.shuffle else None,
                    None if train is None else _accuracy(data, targets, ~train),
                    Patience(self.tol),
                    self.n_iter_no_change,
                )
            )
        return problems

    def _network(
        self, data: Data, targets: Array, weights: Array | None, coef: Array, intercept: float
    ) -> _native.Perceptron32 | _native.Perceptron64:
        network = _native.Perceptron32 if coef.dtype == np.float32 else _native.Perceptron64
        return network(
            data.samples.rows,
            targets,
            weights,
            coef,
            intercept,
            alpha=0.0 if self.penalty is None else self.alpha,
            l1_ratio={"l1": 1.0, "l2": 0.0}.get(str(self.penalty), float(self.l1_ratio)),
            rate=self.eta0,
            bias_rate=(0.01 if data.samples.is_sparse else 1.0) * bool(self.fit_intercept),
        )

    def _split(self, data: Data) -> Array | None:
        """Whether a row is trained on, (n,); None where no rows are set aside."""
        if not self.early_stopping:
            return None
        from sklearn.model_selection import StratifiedShuffleSplit

        splitter = StratifiedShuffleSplit(
            test_size=self.validation_fraction, random_state=self.random_state
        )
        with split_errors(self.validation_fraction, data.n, data.labels, self.classes_):
            _, validation = next(splitter.split(np.zeros((data.n, 1)), data.labels))
        weights = data.sample_weight
        if weights is not None and not np.any(weights[validation] > 0):
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
            The estimator itself.

        Examples
        --------
        >>> from fastmlp import Perceptron
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
        >>> perceptron = Perceptron().fit(X, y).sparsify()
        >>> perceptron.densify().coef_.shape
        (1, 2)
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
            The estimator itself.

        Examples
        --------
        >>> from fastmlp import Perceptron
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
        >>> perceptron = Perceptron().fit(X, y).sparsify()
        >>> perceptron.coef_.shape
        (1, 2)
        """
        check_is_fitted(self)
        self.coef_ = csr_matrix(self.coef_)
        return self


def _accuracy(data: Data, targets: Array, rows: Array) -> Callable[[Array, float], float]:
    """The accuracy of weights and intercept on some rows (a mask), by their sample weights."""
    X, right = data.X[rows], targets[rows] == 1
    weights = None if data.sample_weight is None else data.sample_weight[rows]

    def score(coef: Array, intercept: float) -> float:
        sums = safe_sparse_dot(X, coef, dense_output=True) + np.float64(intercept)
        return float(np.average((sums > 0) == right, weights=weights))

    return score


def _weights(
    sample_weight: Array | None, factors: Array, targets: Array, dtype: npt.DTypeLike
) -> Array | None:
    """Sample weights times the factors (2,) of the other classes and of the class."""
    if np.all(factors == 1.0):
        return sample_weight
    weights: Array = factors.astype(dtype)[targets]
    return weights if sample_weight is None else weights * sample_weight
