"""The multi-layer classifier."""

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from fastmlp.core.rules import (
    Attribute,
    Parameter,
    any_of,
    check_parameters,
    dictionary,
    nothing,
    option,
    real,
)
from fastmlp.core.typing import Array
from fastmlp.estimators.attributes import CLASS_FACTORS, CLASSES, MLP_ATTRIBUTES, out_activation
from fastmlp.estimators.base import all_or_nothing, are_whole_numbers, snapshot
from fastmlp.estimators.documentation import documented
from fastmlp.estimators.labels import (
    MARGIN_LOSSES,
    LabelledPerceptron,
    has_margins,
    has_probabilities,
)
from fastmlp.estimators.mlp import has_partial_fit
from fastmlp.estimators.parameters import MLP_PARAMETERS
from fastmlp.exchange.sklearn import SklearnMixin

CLASSIFIER_PARAMETERS = {
    **MLP_PARAMETERS,
    "loss": Parameter(
        option("log_loss", "squared_error", "kl_divergence", *MARGIN_LOSSES),
        "str",
        """The loss function:

        - 'log_loss', the cross-entropy;
        - 'squared_error', half the squared error of logistic outputs, one per class (of two
          classes one), as in [1]_;
        - 'kl_divergence', the Kullback-Leibler divergence of the softmax from y, which then is an
          array of probabilities;
        - 'hinge', max(0, 1 - t z) of linear outputs z with t = 1 for the class and -1 for the
          others;
        - 'perceptron', max(0, -t z).""",
        in_sklearn=("log_loss",),
    ),
    "label_smoothing": Parameter(
        real(0, 1),
        "float",
        """Share of each target that is spread over all classes, in [0, 1): for 'log_loss' and
        'squared_error'.""",
        in_sklearn=(),
    ),
    "class_weight": Parameter(
        any_of(option("balanced"), dictionary, nothing),
        "dict, 'balanced' or None",
        """Weights of the classes by their labels, which multiply those of the samples in
        training; 'balanced' is ``n_samples / (n_classes * samples of the class)``. Not for
        multilabel y.""",
        in_sklearn=(),
    ),
}

CLASSIFIER_ATTRIBUTES = {
    "classes_": Attribute(
        CLASSES.rule, CLASSES.type, "The class labels; of 'kl_divergence' 0, 1, ..."
    ),
    **MLP_ATTRIBUTES,
    "out_activation_": out_activation("softmax", "logistic", "identity"),
    "_class_factors": CLASS_FACTORS,
}


@documented
class MLPClassifier(ClassifierMixin, LabelledPerceptron, SklearnMixin):
    """Multi-layer perceptron classifier.

    Takes the place of :class:`sklearn.neural_network.MLPClassifier` and trains the same model from
    the same `random_state`. Two classes share one logistic output, several classes a softmax; a
    0/1 matrix as y is multilabel classification with one logistic output per label.

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
    >>> from fastmlp import MLPClassifier
    >>> from sklearn.datasets import make_classification
    >>> X, y = make_classification(n_samples=100, random_state=1)
    >>> clf = MLPClassifier(random_state=1, max_iter=300).fit(X, y)
    >>> clf.predict(X[:5])
    array([1, 1, 1, 0, 0])
    """

    _parameters: ClassVar[dict[str, Parameter]] = CLASSIFIER_PARAMETERS
    _attributes: ClassVar[dict[str, Attribute]] = CLASSIFIER_ATTRIBUTES

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
        loss: str = "log_loss",
        label_smoothing: float = 0.0,
        class_weight: dict[Any, float] | str | None = None,
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
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight

    @available_if(has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Update the model with one pass over the given data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The class labels.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Weights of the samples.
        classes : array-like of shape (n_classes,), default=None
            All labels that any call will see; needed on the first call only.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            As for `fit`, and for labels outside of `classes`.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier(random_state=0)
        >>> for first in range(0, 150, 50):  # the data come in parts
        ...     rows = slice(first, first + 50)
        ...     clf = clf.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        >>> clf.t_
        150
        """
        check_parameters(self)
        with all_or_nothing(self, goes_on=True) as worker:
            worker._set_classes(y, classes)
            worker._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The class labels, or the 0/1 matrix of multilabel; sparse if y was.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y)
        >>> clf.predict(X[::50])
        array([0, 1, 2])
        """
        fitted = snapshot(self)
        labels: Array = fitted._labels_of(fitted._outputs(X))
        return labels

    @available_if(has_margins)
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

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier(loss="hinge", random_state=0).fit(X, y)
        >>> clf.decision_function(X).shape
        (150, 3)
        """
        fitted = snapshot(self)
        margins: Array = fitted._margins_of(fitted._outputs(X))
        return margins

    @available_if(has_probabilities)
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

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y)
        >>> clf.predict_proba(X).shape
        (150, 3)
        """
        fitted = snapshot(self)
        probabilities: Array = fitted._probabilities_of(fitted._outputs(X))
        return probabilities

    @available_if(has_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y)
        >>> clf.predict_log_proba(X).shape
        (150, 3)
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
            Weights of the samples.

        Returns
        -------
        float
            In [0, 1].

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y)
        >>> clf.score(X, y) > 0.9
        True
        """
        fitted = snapshot(self)
        if fitted._has_soft_targets() and np.ndim(y) == 2:
            y = fitted.classes_[np.argmax(y, axis=1)]
        if sample_weight is None and are_whole_numbers(y):
            # as accuracy_score computes it, whose checks take several times as long as the rest
            predicted = fitted.predict(X)
            if are_whole_numbers(predicted) and predicted.shape == y.shape:
                return float(np.average(predicted == y))
        return float(super(MLPClassifier, fitted).score(X, y, sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
