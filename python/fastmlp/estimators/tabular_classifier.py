"""The tabular classifier."""

from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from fastmlp.core.rules import Attribute, Parameter, boolean
from fastmlp.core.typing import Array
from fastmlp.estimators.attributes import CLASSES, count, number
from fastmlp.estimators.base import snapshot
from fastmlp.estimators.classifier import CLASSIFIER_PARAMETERS, MLPClassifier
from fastmlp.estimators.consistency import check_classes_attribute
from fastmlp.estimators.documentation import documented
from fastmlp.estimators.labels import class_factors
from fastmlp.estimators.tabular import (
    TABULAR_ATTRIBUTES,
    TABULAR_PARAMETERS,
    TabularMLP,
    Targets,
)
from fastmlp.exchange.values import FittedEnsemble
from fastmlp.tables.reading import is_missing
from fastmlp.tables.table_encoder import EncodedRows


def brier_score(network: Any, X: Array, y: Array, sample_weight: Array | None = None) -> float:
    """Minus the mean squared distance of the probabilities from 0 and 1."""
    wrong = network.predict_proba(X)
    if y.ndim == 2:
        wrong = wrong - y
    else:
        wrong[np.arange(len(y)), y] -= 1
    squares = (wrong * wrong).sum(axis=1)
    if sample_weight is not None and not np.any(sample_weight):
        sample_weight = None
    return -float(np.average(squares, weights=sample_weight))


def _as_labels(y: Any, name: str) -> Any:
    """Class labels as a vector that can be sorted; several labels per sample as they are.

    A column of a data frame keeps its type, booleans and whole numbers that could be missing, too.
    """
    if issparse(y):
        return y
    shape = np.asarray(y).shape
    if len(shape) > 1:
        return y if shape[1] > 1 else column_or_1d(y, warn=True)
    import narwhals

    column = narwhals.from_native(y, allow_series=True, pass_through=True)
    labels = column.to_numpy() if isinstance(column, narwhals.Series) else y
    labels = column_or_1d(labels, input_name=name)
    of_objects = labels.dtype == object
    if np.any([is_missing(label) for label in labels] if of_objects else labels != labels):
        raise ValueError(f"Some labels in {name} are missing.")
    if of_objects and len({isinstance(label, str) for label in labels}) > 1:
        raise ValueError(f"Labels in {name} must be all strings, or none of them.")
    return labels


def _label_matrix(y: Any, name: str) -> Array:
    """Several labels per sample as a dense matrix of 0 and 1, (n, n_labels)."""
    dense: Array = np.asarray(y.toarray() if issparse(y) else y)
    if not np.isin(dense, (0, 1)).all():
        raise ValueError(f"{name} must be 0 or 1 for each label. Got others as well.")
    return dense.astype(int)


def _logits(network: Any, X: Array) -> Array:
    """What goes into a network's link, (n, n_outputs): unlike probabilities it keeps its digits."""
    logits: Array = network._outputs(X, linked=False).astype(np.float64)
    return logits


def _log_loss(probabilities: Array, truth: Array, weights: Array | None) -> float:
    """The mean over samples of minus the logarithm of what came true; of labels, all of them."""
    if truth.ndim == 2:
        right = np.where(truth == 1, probabilities, 1 - probabilities)
        losses = -np.log(np.maximum(right, 1e-15)).sum(axis=1)
    else:
        losses = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-15))
    return float(np.average(losses, weights=weights))


@documented
class TabularMLPClassifier(ClassifierMixin, TabularMLP):
    """Classifier for tables as they come: an ensemble of multi-layer perceptrons.

    Columns may hold numbers of any scale, text, categories, booleans, dates and times, with cells
    missing. Nothing is to be prepared.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    References
    ----------
    .. [1] Holzmüller, Grinsztajn & Steinwart (2024). "Better by default: Strong pre-tuned MLPs and
       boosted trees on tabular data". NeurIPS.
    .. [2] Gorishniy, Rubachev & Babenko (2022). "On embeddings for numerical features in tabular
       deep learning". NeurIPS.
    .. [3] Guo, Pleiss, Sun & Weinberger (2017). "On calibration of modern neural networks". ICML.

    Examples
    --------
    >>> from fastmlp import TabularMLPClassifier
    >>> from sklearn.datasets import load_wine
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> model = TabularMLPClassifier(random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    _parameters: ClassVar[dict[str, Parameter]] = {
        **TABULAR_PARAMETERS,
        "class_weight": CLASSIFIER_PARAMETERS["class_weight"],
    }
    _attributes: ClassVar[dict[str, Attribute]] = {
        **TABULAR_ATTRIBUTES,
        "classes_": CLASSES,
        "_is_multilabel": Attribute(boolean),
        "temperature_": Attribute(
            number,
            "float",
            """What all networks' logits are divided by, so that they are
            as sure as they are right on samples that they were not trained on [3]_; 1 or more.""",
        ),
        "n_samples_fit_": Attribute(count, "int", "Number of samples in `fit`."),
    }

    def __init__(
        self,
        *,
        n_ensemble: int = 4,
        hidden_layer_sizes: Any = (128, 128, 128),
        learning_rate_init: float = 0.004,
        batch_size: int | str = "auto",
        max_iter: int | str = "auto",
        class_weight: Any = None,
        categorical_features: Any = "from_dtype",
        max_time: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: bool | int | str = False,
    ) -> None:
        self.n_ensemble = n_ensemble
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.categorical_features = categorical_features
        self.max_time = max_time
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _encode_y(self, y: Any, sample_weight: Array | None) -> Targets:
        y = _as_labels(y, "y")
        check_classification_targets(y)
        self._is_multilabel = type_of_target(y).startswith("multilabel")
        if self._is_multilabel:
            codes = _label_matrix(y, "y")
            self.classes_ = np.arange(codes.shape[1])
            return Targets([codes], codes.shape[1], brier_score, self.classes_)
        self.classes_, codes = np.unique(y, return_inverse=True)
        n = len(self.classes_)
        if n < 2:
            raise ValueError(
                f"y has one class, {self.classes_.tolist()[0]!r}: there must be two or more "
                "classes."
            )
        return Targets([codes], 1 if n == 2 else n, brier_score, np.arange(n))

    def _encode_y_val(self, y: Any) -> list[Array]:
        if self._is_multilabel:
            codes = _label_matrix(y, "y_val")
            n = len(self.classes_)
            if codes.ndim != 2 or codes.shape[1] != n:
                raise ValueError(f"y_val must have {n} labels, as y. Got shape {codes.shape}.")
            return [codes]
        y = _as_labels(y, "y_val")
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y_val has classes that y has not: {unknown}.")
        return [np.searchsorted(self.classes_, y)]

    def _weigh(self, codes: Array, sample_weight: Array | None) -> Array | None:
        if self.class_weight is None:
            return sample_weight
        factors = class_factors(self.class_weight, self.classes_, codes)
        weights: Array = (factors / (factors.max() or 1))[codes].astype(np.float32)
        return weights if sample_weight is None else weights * sample_weight

    def _new_members(self, parameters: dict[str, Any]) -> list[Any]:
        return [MLPClassifier(scoring=brier_score, **parameters)]

    def _calibrate(
        self, encoded: EncodedRows, codes: Array, held_out: list[Any], weight: Array | None
    ) -> None:
        self.temperature_ = 1.0
        self.n_samples_fit_ = len(codes)
        pairs = []
        for member, rows in zip(self.estimators_, held_out, strict=True):
            if rows is not None:  # a block of them is enough
                some = rows[:: 1 + len(rows) // encoded.block]
                pairs.append((_logits(member, encoded.take(some)), some))
        if not pairs:
            return
        from scipy.optimize import minimize_scalar

        logits = np.concatenate([found for found, _ in pairs])
        rows = np.concatenate([rows for _, rows in pairs])
        weights = None if weight is None else weight[rows]
        if weights is not None and not np.any(weights):
            return

        def loss(log_temperature: float) -> float:
            return _log_loss(self._cool(logits, np.exp(log_temperature)), codes[rows], weights)

        # below 1 only where few samples happened to be predicted well
        found = minimize_scalar(loss, bounds=(0, np.log(4)), method="bounded")
        self.temperature_ = float(np.exp(found.x))

    def _combined(self, ensemble: FittedEnsemble) -> FittedEnsemble:
        return ensemble._replace(
            classes=self.classes_, temperature=self.temperature_, doubt=self._doubt()
        )

    def _doubt(self) -> float:
        """The share of the probabilities that is spread evenly over all classes.

        n samples cannot tell that something happens more rarely than one time in n: without it,
        one confident mistake would outweigh many good probabilities.
        """
        return 1 / (self.n_samples_fit_ + 1)

    def _cool(self, logits: Array, temperature: float) -> Array:
        """Probabilities (n, n_classes) of logits (n, n_outputs) divided by a temperature."""
        z = logits / temperature
        if self._is_multilabel:
            return expit(z)
        if z.shape[1] == 1:
            return np.hstack([expit(-z), expit(z)])
        return softmax(z, axis=1)

    def predict_proba(self, X: Any) -> Array:
        """Predict class probabilities: the mean of the networks' calibrated ones.

        Of n samples in `fit`, one part in n + 1 is spread evenly over all classes: so many samples
        cannot tell that something never happens.

        Parameters
        ----------
        X : data frame, or array-like of shape (n_samples, n_features)
            The samples, with the columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; of multilabel each label's own probability.

        Examples
        --------
        >>> from fastmlp import TabularMLPClassifier
        >>> from sklearn.datasets import load_wine
        >>> X, y = load_wine(return_X_y=True, as_frame=True)
        >>> model = TabularMLPClassifier(n_ensemble=1, random_state=0).fit(X, y)
        >>> model.predict_proba(X).shape
        (178, 3)
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        parts = []
        for encoded in fitted._encoded(X):
            cooled = [
                fitted._cool(_logits(member, encoded), fitted.temperature_)
                for member in fitted.estimators_
            ]
            parts.append(np.mean(cooled, axis=0))
        probabilities = np.concatenate(parts)
        doubt, n_even = fitted._doubt(), 2 if fitted._is_multilabel else probabilities.shape[1]
        return (1 - doubt) * probabilities + doubt / n_even

    def predict(self, X: Any) -> Array:
        """Predict class labels.

        Parameters
        ----------
        X : data frame, or array-like of shape (n_samples, n_features)
            The samples, with the columns of `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The class labels, or the 0/1 matrix of multilabel.

        Examples
        --------
        >>> from fastmlp import TabularMLPClassifier
        >>> from sklearn.datasets import load_wine
        >>> X, y = load_wine(return_X_y=True, as_frame=True)
        >>> model = TabularMLPClassifier(n_ensemble=1, random_state=0).fit(X, y)
        >>> model.predict(X[::80])
        array([0, 1, 2])
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        probabilities = fitted.predict_proba(X)
        if fitted._is_multilabel:
            return (probabilities > 0.5).astype(int)
        return fitted.classes_[np.argmax(probabilities, axis=1)]

    def _networks(self) -> tuple[Any, int]:
        n = len(self.classes_)
        return MLPClassifier, 1 if n == 2 and not self._is_multilabel else n

    def _check_whole(self) -> None:
        check_classes_attribute("classes_", self.classes_)
        super()._check_whole()
        if any(len(member.classes_) != len(self.classes_) for member in self.estimators_):
            raise ValueError("the networks do not fit the classes")
        if not 0 < self.temperature_ < np.inf:
            raise ValueError(f"temperature_ must be above 0, and is {self.temperature_}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
