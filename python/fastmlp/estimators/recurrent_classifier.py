"""The recurrent classifier."""

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from fastmlp.core.rules import Attribute, Parameter, check_parameters, option
from fastmlp.core.typing import Array
from fastmlp.estimators.attributes import CLASS_FACTORS, CLASSES, out_activation
from fastmlp.estimators.base import all_or_nothing, snapshot
from fastmlp.estimators.classifier import CLASSIFIER_PARAMETERS
from fastmlp.estimators.documentation import documented
from fastmlp.estimators.labels import (
    MARGIN_LOSSES,
    LabelledPerceptron,
    has_margins,
    has_probabilities,
)
from fastmlp.estimators.mlp import has_partial_fit
from fastmlp.estimators.recurrent import (
    RECURRENT_ATTRIBUTES,
    RECURRENT_PARAMETERS,
    RecurrentPerceptron,
)
from fastmlp.training.distributed import Team

RNN_CLASSIFIER_PARAMETERS = {
    **RECURRENT_PARAMETERS,
    "loss": CLASSIFIER_PARAMETERS["loss"]._replace(
        rule=option("log_loss", "squared_error", *MARGIN_LOSSES),
        text="""The loss function:

        - 'log_loss', the cross-entropy;
        - 'squared_error', half the squared error of logistic outputs, one per class (of two
          classes one), as in [1]_;
        - 'hinge', max(0, 1 - t z) of linear outputs z with t = 1 for the class and -1 for the
          others;
        - 'perceptron', max(0, -t z).""",
    ),
    "label_smoothing": CLASSIFIER_PARAMETERS["label_smoothing"],
    "class_weight": CLASSIFIER_PARAMETERS["class_weight"]._replace(
        text="""Weights of the classes by their labels, which multiply those of the sequences in
        training; 'balanced' is ``n_samples / (n_classes * samples of the class)``. Not for one
        label per step."""
    ),
}

RNN_CLASSIFIER_ATTRIBUTES = {
    "classes_": CLASSES,
    **RECURRENT_ATTRIBUTES,
    "out_activation_": out_activation("softmax", "logistic", "identity"),
    "_class_factors": CLASS_FACTORS,
}


@documented
class RNNClassifier(ClassifierMixin, RecurrentPerceptron, LabelledPerceptron):
    """Recurrent classifier of sequences, or of each of their steps.

    A multi-layer perceptron with context: its hidden units are also fed with their own outputs one
    step earlier, so that what came before decides what the network makes of an input. It is trained
    by back-propagation through time over whole sequences.

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
    The first of five numbers decides the class, and has to be remembered:

    >>> import numpy as np
    >>> from fastmlp import RNNClassifier
    >>> X = np.random.RandomState(0).choice([-1.0, 1.0], size=(200, 5))
    >>> y = X[:, 0] > 0
    >>> clf = RNNClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    >>> clf.predict([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0]])
    array([ True, False])
    """

    _parameters: ClassVar[dict[str, Parameter]] = RNN_CLASSIFIER_PARAMETERS
    _attributes: ClassVar[dict[str, Attribute]] = RNN_CLASSIFIER_ATTRIBUTES

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
        loss: str = "log_loss",
        label_smoothing: float = 0.0,
        class_weight: dict[Any, float] | str | None = None,
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
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight

    @available_if(has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Update the model with one pass over the given sequences.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_steps, n_features) or (n_sequences, n_steps), or \
                list of array-like of shape (n_steps, n_features) or (n_steps,)
            The sequences, as for `fit`.
        y : array-like
            Their labels, as for `fit`.
        sample_weight : array-like of shape (n_sequences,), float or None, default=None
            Weights of the sequences.
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
        >>> from fastmlp import RNNClassifier
        >>> clf = RNNClassifier((4,), random_state=0)
        >>> clf = clf.partial_fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], classes=[0, 1, 2])
        >>> clf = clf.partial_fit([[0.5, 0.5, 0.5]], [2])  # of any length
        >>> clf.t_
        3
        """
        check_parameters(self)
        with all_or_nothing(self, goes_on=True) as worker:
            worker._set_classes(y, classes)
            worker._fit(X, y, sample_weight, incremental=True)
        return self

    def _set_class_factors(self, labels: Array, team: Team) -> None:
        if self._per_step and self.class_weight is not None:
            raise ValueError(
                "class_weight is for one label per sequence, and y has one per step. Use "
                "sample_weight, which weighs whole sequences."
            )
        super()._set_class_factors(labels, team)

    def predict(self, X: Any, initial_state: Any = None) -> Any:
        """Predict class labels.

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
        ndarray of shape (n_sequences,) or (n_sequences, n_steps), or list of ndarray
            The class labels after the last step. Of a network that was fitted to one label per
            step, those after each step: a list of arrays of shape (n_steps,) where X is a list,
            else one array, in which steps after the end of a sequence are NaN (numbers are float
            then, other labels object).

        Examples
        --------
        >>> from fastmlp import RNNClassifier
        >>> X = [[0.0, 1.0, 1.0], [1.0, 0.0]]
        >>> RNNClassifier((4,), solver="lbfgs", random_state=0).fit(X, [0, 1]).predict(X)
        array([0, 1])
        """
        fitted = snapshot(self)
        return fitted._predicted(X, initial_state, fitted._labels_of)

    @available_if(has_margins)
    def decision_function(self, X: Any, initial_state: Any = None) -> Any:
        """Return the outputs of a network trained on 'hinge' or 'perceptron'.

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
        ndarray of shape (n_sequences,) or (n_sequences, n_classes), or with an axis of steps
            Of two classes one value, above 0 for ``classes_[1]``. One label per step: as `predict`.

        Examples
        --------
        >>> from fastmlp import RNNClassifier
        >>> X = [[0.0, 1.0, 1.0], [1.0, 0.0]]
        >>> clf = RNNClassifier((4,), loss="hinge", solver="lbfgs", random_state=0).fit(X, [0, 1])
        >>> clf.decision_function(X).shape
        (2,)
        """
        fitted = snapshot(self)
        return fitted._predicted(X, initial_state, fitted._margins_of)

    @available_if(has_probabilities)
    def predict_proba(self, X: Any, initial_state: Any = None) -> Any:
        """Predict class probabilities.

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
        ndarray of shape (n_sequences, n_classes) or (n_sequences, n_steps, n_classes), or list \
                of ndarray
            In the order of `classes_`. One label per step: as `predict`.

        Examples
        --------
        >>> from fastmlp import RNNClassifier
        >>> X = [[0.0, 1.0, 1.0], [1.0, 0.0]]
        >>> clf = RNNClassifier((4,), solver="lbfgs", random_state=0).fit(X, [0, 1])
        >>> clf.predict_proba(X).shape
        (2, 2)
        """
        fitted = snapshot(self)
        return fitted._predicted(X, initial_state, fitted._probabilities_of)

    @available_if(has_probabilities)
    def predict_log_proba(self, X: Any, initial_state: Any = None) -> Any:
        """Return the logarithm of `predict_proba`.

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
        ndarray of shape (n_sequences, n_classes) or (n_sequences, n_steps, n_classes), or list \
                of ndarray
            In the order of `classes_`. One label per step: as `predict`.

        Examples
        --------
        >>> from fastmlp import RNNClassifier
        >>> X = [[0.0, 1.0, 1.0], [1.0, 0.0]]
        >>> clf = RNNClassifier((4,), solver="lbfgs", random_state=0).fit(X, [0, 1])
        >>> clf.predict_log_proba(X).shape
        (2, 2)
        """
        fitted = snapshot(self)
        return fitted._predicted(
            X, initial_state, lambda outputs: np.log(fitted._probabilities_of(outputs))
        )

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of `predict`.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_steps, n_features) or (n_sequences, n_steps), or \
                list of array-like of shape (n_steps, n_features) or (n_steps,)
            The sequences, as for `fit`.
        y : array-like
            Their labels, in one of the forms for `fit`. One label per step: the share of all steps
            that are right.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weights of the sequences, and so of their steps.

        Returns
        -------
        float
            In [0, 1].

        Examples
        --------
        >>> from fastmlp import RNNClassifier
        >>> X = [[0.0, 1.0, 1.0], [1.0, 0.0]]
        >>> RNNClassifier((4,), solver="lbfgs", random_state=0).fit(X, [0, 1]).score(X, [0, 1])
        1.0
        """
        from sklearn.metrics import accuracy_score

        fitted = snapshot(self)
        return float(fitted._scored(accuracy_score, X, y, sample_weight, fitted._labels_of))
