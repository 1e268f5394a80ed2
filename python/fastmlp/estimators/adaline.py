"""Widrow and Hoff's adaptive linear neuron."""

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from fastmlp.core.network import Architecture, Blocks, Network, Samples
from fastmlp.core.rules import (
    Attribute,
    Parameter,
    any_of,
    check_parameters,
    integer,
    nothing,
    real,
)
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array, Epoch
from fastmlp.core.warnings import warn
from fastmlp.estimators.attributes import SINGLE_LAYER_ATTRIBUTES, count, numbers
from fastmlp.estimators.base import all_or_nothing
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

ADALINE_PARAMETERS = {
    **SINGLE_LAYER_PARAMETERS,
    "eta0": Parameter(
        real(0, brackets="()"),
        "float",
        """The step size. Steps grow with the samples in a batch and with the features' scale:
        training diverges if it is larger than about 2 divided by the largest eigenvalue of
        ``X.T @ X`` of a batch.""",
    ),
    "batch_size": Parameter(
        any_of(integer(1), nothing),
        "int or None",
        """Number of samples per step: None is all (gradient descent), 1 is online learning. With
        all samples in a batch `shuffle` makes no difference.""",
    ),
    "random_state": random_state_parameter("the first weights and the shuffles"),
    "init_scale": Parameter(
        real(0),
        "float",
        """Standard deviation of the first weights, which are normally distributed; intercepts
        start from 0.""",
    ),
    "class_weight": class_weight_parameter(
        """Factors on the squared errors by class label; 'balanced' makes all classes count the
        same. Those of a dict are divided by their mean over the classes, which leaves `eta0` its
        meaning."""
    ),
}

ADALINE_ATTRIBUTES = {
    **SINGLE_LAYER_ATTRIBUTES,
    "loss_curve_": Attribute(
        numbers,
        "list of float",
        """The cost of each epoch: half the weighted sum of the squared errors, of all classes,
        before each batch's step. With both weights and mini-batches, batches count by their number
        of samples. `partial_fit` and a warm start append.""",
    ),
    "n_iter_": Attribute(count, "int", "Number of epochs of the last call."),
}


@documented
class Adaline(SingleLayer):
    """Widrow and Hoff's adaptive linear neuron: a linear unit that learns by least squares.

    The targets are -1 and 1, the cost is half the sum of the squared errors of the weighted sums
    themselves, and ``w += eta0 * sum of (error * x)`` over all samples, or over those of a
    mini-batch, follows its gradient: the delta rule [1]_. Only `predict` has a threshold, at 0. For
    several classes there is one unit for each, against all the others.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

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

    _parameters: ClassVar[dict[str, Parameter]] = ADALINE_PARAMETERS
    _attributes: ClassVar[dict[str, Attribute]] = ADALINE_ATTRIBUTES

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
        verbose: bool | int | str = 0,
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
            Weights of the samples' squared errors, besides `class_weight`.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For a parameter or data outside of what is allowed, and for training that diverged to
            non-finite weights. The estimator then is as it was before the call.

        Examples
        --------
        >>> from fastmlp import Adaline
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
        >>> Adaline(eta0=0.1).fit(X, y)
        Adaline(eta0=0.1)
        """
        check_parameters(self)
        with all_or_nothing(self) as worker:
            worker._fit(X, y, sample_weight)
        return self

    def _initial(
        self, shape: tuple[int, int], dtype: npt.DTypeLike, random: np.random.RandomState
    ) -> Array:
        return random.normal(scale=self.init_scale, size=shape)

    def _train(
        self,
        data: Data,
        class_weights: Array,
        coef: Array,
        intercept: Array,
        random: np.random.RandomState,
        progress: Progress,
    ) -> tuple[Array, Array]:
        k, n_features = coef.shape
        batch = min(self.batch_size or data.n, data.n)
        samples = self._samples(data, class_weights, k, coef.dtype)
        network = Network(
            Architecture([n_features, k], [], "squared_error"),
            coef.dtype,
            alpha=0.0,
            batch=batch,
            sparse=samples.is_sparse,
        )
        network.write(Blocks([coef.T], [intercept]))
        held = network.hold(samples)
        weights = samples.weights
        total = data.n if weights is None else float(weights.sum(dtype=np.float64))
        options = {
            "solver": "sgd",
            "steps": 0,
            "rate": self.eta0,
            "summed": True,
            "bias_rate": float(self.fit_intercept),
            "n_threads": n_threads(None),
        }
        patience = Patience(self.tol)

        def epoch() -> float:
            reached, raised = network.train(
                held,
                random.permutation(data.n) if self.shuffle and batch < data.n else None,
                Epoch(),
                options,
            )
            if raised is not None:
                raise raised
            cost = reached.total_loss / data.n * k * total  # the mean is one over the outputs too
            self._require_finite(cost)
            patience.watch(cost)
            return cost

        self._run_epochs(epoch, lambda: patience.count >= self.n_iter_no_change, progress)
        trained = network.read()
        self._require_finite(trained.weights[0], trained.biases[0])
        self._warn_of_growth(progress.total)
        return np.ascontiguousarray(trained.weights[0].T), trained.biases[0]

    def _samples(
        self, data: Data, class_weights: Array, n_outputs: int, dtype: npt.DTypeLike
    ) -> Samples:
        """The samples with targets -1 and 1, and weights that include those of the classes."""
        places = np.arange(1, 2) if n_outputs == 1 else np.arange(n_outputs)
        targets = np.where(data.labels[:, None] == places, 1, -1).astype(dtype)
        weights = data.sample_weight
        if isinstance(self.class_weight, dict):
            class_weights = class_weights / class_weights.mean()
        if not np.all(class_weights == 1.0):
            weights = class_weights[data.labels].astype(dtype)
            if data.sample_weight is not None:
                weights = weights * data.sample_weight
        return Samples(data.samples.rows, targets, weights)

    def _warn_of_growth(self, max_iter: int) -> None:
        costs = self.loss_curve_[-self.n_iter_ :]
        if max_iter > 1 and costs and costs[-1] > costs[0]:
            warn(
                f"The cost has grown from {costs[0]:g} to {costs[-1]:g}: eta0={self.eta0} is too "
                "large for this data. Choose a smaller one, or scale X.",
                ConvergenceWarning,
            )

    def _require_finite(self, *values: Any) -> None:
        if not all(np.isfinite(value).all() for value in values):
            raise ValueError(
                f"Training diverged: eta0={self.eta0} is too large for this data. Choose a smaller "
                "one, or scale X, with StandardScaler for example."
            )
