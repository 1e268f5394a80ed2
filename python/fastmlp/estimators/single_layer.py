"""What the networks of a single layer share: everything but the epochs."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp.core.arrays import native_rows
from fastmlp.core.files import prefixed_errors
from fastmlp.core.network import Samples
from fastmlp.core.random import random_generator
from fastmlp.core.rules import (
    Attribute,
    Parameter,
    any_of,
    boolean,
    check_parameters,
    dictionary,
    integer,
    nothing,
    option,
    random_state,
    real,
    verbosity,
)
from fastmlp.core.typing import Array
from fastmlp.core.warnings import warn
from fastmlp.estimators.base import (
    VersionMixin,
    all_or_nothing,
    are_whole_numbers,
    check_classes,
    check_data,
    check_sample_weight,
    clean_rows,
    one_row,
    snapshot,
    unknown_labels,
)
from fastmlp.estimators.consistency import check_single_layer
from fastmlp.exchange.model_files import SavableMixin
from fastmlp.exchange.values import FittedNetwork, Layer, Task
from fastmlp.training.data import Data
from fastmlp.training.distributed import check_alone
from fastmlp.training.interrupts import interruptible
from fastmlp.training.progress import Progress, printed
from fastmlp.views.mixins import NetworkBlockMixin, SummaryMixin

SINGLE_LAYER_PARAMETERS = {
    "fit_intercept": Parameter(
        boolean, "bool", "Whether to learn an intercept; if False it stays where it is, at 0."
    ),
    "max_iter": Parameter(integer(1), "int", "Maximum number of epochs of `fit`."),
    "tol": Parameter(
        any_of(real(0), nothing),
        "float or None",
        """Tolerance: an epoch makes progress if its cost is below the best one's by `tol` or
        more. None: `max_iter` epochs are trained.""",
    ),
    "n_iter_no_change": Parameter(
        integer(1), "int", "Number of epochs in a row without progress after which training stops."
    ),
    "shuffle": Parameter(boolean, "bool", "Whether to shuffle the samples before each epoch."),
    "verbose": Parameter(
        verbosity,
        "bool, int or 'bar'",
        """Whether to print the cost of each epoch. With 'bar' `fit` shows on stderr how far it
        has come, as :class:`MLPClassifier` does.""",
    ),
    "warm_start": Parameter(
        boolean,
        "bool",
        "Whether `fit` starts from the weights of the previous call instead of new ones.",
    ),
}


def random_state_parameter(draws: str) -> Parameter:
    """The parameter `random_state` of an estimator that draws these."""
    return Parameter(random_state, "int, RandomState instance or None", f"Determines {draws}.")


def class_weight_parameter(text: str) -> Parameter:
    """The parameter `class_weight` of an estimator with this meaning of it."""
    rule = any_of(option("balanced"), dictionary, nothing)
    return Parameter(rule, "dict, 'balanced' or None", text)


class SingleLayer(
    SavableMixin, SummaryMixin, NetworkBlockMixin, ClassifierMixin, VersionMixin, BaseEstimator
):
    """A weighted sum of the features per class, or one for two classes, and a threshold."""

    _parameters: ClassVar[dict[str, Parameter]]
    _attributes: ClassVar[dict[str, Attribute]]

    early_stopping: bool = False
    coef_: Any  # an array, or a CSR matrix
    intercept_: Array
    n_iter_: int
    t_: float
    loss_curve_: list[float]

    def _initial(
        self, shape: tuple[int, int], dtype: npt.DTypeLike, random: np.random.RandomState
    ) -> Array:
        """The weights that training starts from."""
        raise NotImplementedError

    def _train(
        self,
        data: Data,
        class_weights: Array,
        coef: Array,
        intercept: Array,
        random: np.random.RandomState,
        progress: Progress,
    ) -> tuple[Array, Array]:
        """Train for up to `progress.total` epochs; returns the new weights and biases.

        `data` has the numbers of the classes (n,) as targets, its weights are without
        `class_weights` (n_classes,).
        """
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
        check_alone(self)
        known = incremental and hasattr(self, "classes_")
        goes_on = hasattr(self, "coef_") and (incremental or self.warm_start)
        if goes_on and issparse(self.coef_):
            raise ValueError("coef_ is sparse: call densify() before fitting goes on from it.")
        X, y = check_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=self.coef_.dtype if known else (np.float64, np.float32),
            order="C",
            reset=not known,
        )
        self._check_labels(y, incremental, classes)
        class_weights = np.ones(len(self.classes_))
        if self.class_weight is not None:
            class_weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        dtype = self.coef_.dtype if known else X.dtype
        random = random_generator(self.random_state)
        coef, intercept = self._starting_point(
            coef_init, intercept_init, X.shape[1], dtype, random, goes_on=goes_on, known=known
        )
        n = X.shape[0]
        numbers = np.searchsorted(self.classes_, y)
        weights = check_sample_weight(sample_weight, n, dtype)
        data = Data(Samples(native_rows(X, dtype), numbers, weights), n, X, y, numbers, weights)
        self.loss_curve_ = list(self.loss_curve_) if goes_on else []
        self.coef_, self.intercept_ = self._train(
            data,
            class_weights,
            coef,
            intercept,
            random,
            Progress(self, 1 if incremental else self.max_iter, shown=not incremental),
        )
        self.t_ = (self.t_ if known else 1.0) + self.n_iter_ * n
        if not incremental and self.tol is not None and self.n_iter_ == self.max_iter:
            warn(
                f"Maximum number of iterations ({self.max_iter}) reached before convergence. "
                "Consider increasing max_iter to improve the fit.",
                ConvergenceWarning,
            )

    def _check_labels(self, y: Any, incremental: bool, classes: Any) -> None:
        """Set or check `classes_`."""
        found = np.unique(y) if are_whole_numbers(y) else None
        if found is None or 2 * len(found) > len(y):  # of so many classes it warns
            check_classification_targets(y)
            found = np.unique(y)
        if incremental:
            check_classes(self, classes)
        else:
            typed = unique_labels(found)  # as scikit-learn has them: of str no objects
            # but NumPy's str lose a NUL at their end
            self.classes_ = typed if np.array_equal(typed, found) else found
        n_classes = len(self.classes_)
        if n_classes < 2:
            raise ValueError(
                f"The number of classes has to be greater than one; got {n_classes} class"
            )
        strange = unknown_labels(found, self.classes_)
        if len(strange):
            raise ValueError(f"`y` has labels {strange} that are not in `classes` {self.classes_}.")

    def _starting_point(
        self,
        coef_init: Any,
        intercept_init: Any,
        n_features: int,
        dtype: npt.DTypeLike,
        random: np.random.RandomState,
        *,
        goes_on: bool,
        known: bool,
    ) -> tuple[Array, Array]:
        """Weights and biases to start from: given ones, those of the earlier fit, or new ones."""
        n_classes = len(self.classes_)
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
        return coef, intercept

    def _run_epochs(
        self, epoch: Callable[[], float], is_done: Callable[[], bool], progress: Progress
    ) -> None:
        """Call `epoch`, which returns its cost, until it is done or `progress` complete."""
        self.n_iter_ = 0
        with interruptible(), progress:
            while self.n_iter_ < progress.total and not is_done():
                cost = epoch()
                self.n_iter_ += 1
                self.loss_curve_.append(cost)
                progress.tell(self.n_iter_, {"cost": cost})
                if printed(self.verbose):
                    print(f"Epoch {self.n_iter_}, cost = {cost:.8f}")

    def _check_whole(self) -> None:
        """Check that all attributes fit each other."""
        check_single_layer(self)

    def _fitted_network(self) -> FittedNetwork:
        """The layer as a network of no other."""
        check_is_fitted(self)
        fitted = snapshot(self)
        with prefixed_errors("The network is not whole"):
            fitted._check_whole()
        coef = fitted.coef_.toarray() if issparse(fitted.coef_) else fitted.coef_
        layer = Layer(coef.T, fitted.intercept_, "identity", 0.0, 1)
        return FittedNetwork(
            type(self).__name__, [layer], Task.CLASSIFICATION, fitted.classes_, has_margins=True
        )

    def _unit_values(self, X: Any) -> list[Array]:
        """The features of one sample, and the decision function."""
        check_is_fitted(self)
        fitted = snapshot(self)
        return [one_row(fitted, X), np.ravel(fitted.decision_function(X))]

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
            Weights of the samples, besides `class_weight`.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            As for `fit`, and for labels outside of `classes`.

        Examples
        --------
        >>> from fastmlp import Perceptron
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
        >>> perceptron = Perceptron().partial_fit(X, y, classes=[0, 1])
        >>> for _ in range(10):
        ...     perceptron = perceptron.partial_fit(X, y)
        >>> perceptron.score(X, y)
        1.0
        """
        check_parameters(self)
        if not hasattr(self, "classes_"):
            if self.early_stopping:
                raise ValueError("early_stopping should be False with partial_fit")
            if self.class_weight == "balanced":
                raise ValueError(
                    "class_weight 'balanced' is not supported for partial_fit. Pass the weights "
                    "that sklearn.utils.compute_class_weight('balanced', classes=classes, y=y) "
                    "gives for all labels, or for a large enough sample of them."
                )
        with all_or_nothing(self, goes_on=True) as worker:
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

        Examples
        --------
        >>> from fastmlp import Adaline
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
        >>> adaline = Adaline(eta0=0.1).fit(X, y)
        >>> adaline.decision_function(X) > 0
        array([False, False, False,  True])
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        rows = clean_rows(fitted, X, fitted.coef_.dtype)
        X = validate_data(fitted, X, accept_sparse="csr", reset=False) if rows is None else rows
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

        Examples
        --------
        >>> from fastmlp import Perceptron
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
        >>> Perceptron().fit(X, y).predict([[1, 1], [0, 1]])
        array([1, 0])
        """
        fitted = snapshot(self)
        scores = fitted.decision_function(X)
        return fitted.classes_[np.argmax(scores, axis=1) if scores.ndim == 2 else 1 * (scores > 0)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
