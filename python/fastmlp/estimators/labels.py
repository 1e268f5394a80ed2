"""What a classifier makes of y: class numbers, 0/1 matrices, probabilities; weights of classes."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.utils.multiclass import type_of_target, unique_labels

from fastmlp.core.typing import Array
from fastmlp.estimators.base import (
    Labels,
    are_whole_numbers,
    check_classes,
    label_errors,
    labels_in,
    unknown_labels,
)
from fastmlp.estimators.consistency import check_classes_attribute
from fastmlp.estimators.mlp import MultilayerPerceptron
from fastmlp.estimators.scoring import average
from fastmlp.exchange.values import FittedNetwork, Layer, Task
from fastmlp.training.distributed import ALONE, Team

MARGIN_LOSSES = ("hinge", "perceptron")


def has_margins(estimator: "LabelledPerceptron") -> bool:
    """Whether the outputs are margins; an AttributeError says why not."""
    loss = getattr(estimator, "_trained_loss", estimator.loss)
    if loss not in MARGIN_LOSSES:
        raise AttributeError(
            "decision_function is available for loss='hinge' and loss='perceptron'. "
            f"This one has probabilities ({loss!r}): see predict_proba."
        )
    return True


def has_probabilities(estimator: "LabelledPerceptron") -> bool:
    """Whether the outputs are probabilities; an AttributeError says why not."""
    loss = getattr(estimator, "_trained_loss", estimator.loss)
    if loss in MARGIN_LOSSES:
        raise AttributeError(
            f"probabilities are not available for loss={loss!r}, which has margins: see "
            "decision_function."
        )
    return True


class LabelledPerceptron(MultilayerPerceptron):
    """A multi-layer perceptron whose y are class labels."""

    classes_: Array
    _label_binarizer: Any  # None: y are probabilities
    _class_factors: Array | None
    loss: str
    label_smoothing: float
    class_weight: dict[Any, float] | str | None

    def _set_classes(self, y: Any, classes: Any) -> None:
        """Take the `classes` of a first `partial_fit`; compare those of a later one with them."""
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
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = _binarizer_of(y if multilabel else classes)

    def _encode_targets(
        self, y: Any, dtype: npt.DTypeLike, labels: Labels, team: Team = ALONE
    ) -> tuple[Array, Array]:
        if self.loss == "kl_divergence":
            return self._encode_probabilities(y, dtype, labels)
        if labels is not Labels.NEW and self._label_binarizer is None:
            raise ValueError(
                f"loss={self.loss!r} cannot go on from a fit with loss='kl_divergence'."
            )
        if labels is Labels.NEW:
            alone = team.is_alone or y.ndim == 2
            self._label_binarizer = _binarizer_of(y if alone else _labels_of_all(y, team))
            self.classes_ = self._label_binarizer.classes_
        else:
            with label_errors(y):
                found = labels_in(y) if labels is Labels.SUBSET else _labels_of_all(y, team)
            if labels is Labels.SAME and set(found) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same "
                    "classes as in the previous call to fit. Previously "
                    f"got {self.classes_}, `y` has {found}"
                )
            if len(unknown_labels(found, self.classes_)):
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
            return self._smooth(targets), targets
        self.n_outputs_ = 1 if len(self.classes_) <= 2 else len(self.classes_)
        numbers = np.searchsorted(self.classes_, y).astype(np.int32)
        return numbers, numbers

    def _encode_probabilities(
        self, y: Any, dtype: npt.DTypeLike, labels: Labels
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
        if labels is Labels.NEW or not hasattr(self, "classes_"):
            self.classes_ = np.arange(y.shape[1])
        elif len(self.classes_) != y.shape[1]:
            raise ValueError(
                f"y has {y.shape[1]} classes. There must be {len(self.classes_)}, as before or in "
                "`classes`."
            )
        if labels is Labels.NEW or not hasattr(self, "_label_binarizer"):
            self._label_binarizer = None
        self.n_outputs_ = y.shape[1]
        return targets, np.argmax(targets, axis=1)

    def _smooth(self, targets: Array) -> Array:
        """The targets of several labels with a share of each spread over yes and no.

        Class numbers are smoothed by the core.
        """
        share = self.label_smoothing
        if not share:
            return targets
        return targets * targets.dtype.type(1 - share) + targets.dtype.type(share / 2)

    def _has_soft_targets(self) -> bool:
        """Whether the fitted network was trained on probabilities."""
        return self._trained_loss == "kl_divergence"

    def _is_multilabel(self) -> bool:
        """Whether y has several labels per sample."""
        known = self._label_binarizer
        return known is not None and bool(known.y_type_.startswith("multilabel"))

    def _set_class_factors(self, labels: Array, team: Team) -> None:
        """Take `class_weight` as a factor per class; 'balanced' is by these labels for good."""
        self._class_factors = None
        if self.class_weight is None:
            return
        self._class_factors = class_factors(self.class_weight, self.classes_, labels, team)

    def _weigh_classes(self, labels: Array, sample_weight: Array | None) -> Array | None:
        factors = getattr(self, "_class_factors", None)
        if factors is None:
            return sample_weight
        return factors[labels] if sample_weight is None else factors[labels] * sample_weight

    def _labels_for_scorers(self, y: Any, labels: Array) -> Any:
        return self.classes_[labels] if self.loss == "kl_divergence" else y

    def _task(self) -> Task:
        return Task.MULTILABEL if self._is_multilabel() else Task.CLASSIFICATION

    # --- the network and its outputs --------------------------------------------------------------

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

    def _loss_options(self) -> dict[str, Any]:
        return {"label_smoothing": float(self.label_smoothing)}

    def _is_margin(self) -> bool:
        """Whether the outputs are compared with 0 and are not probabilities."""
        return self._trained_loss in MARGIN_LOSSES

    def _network_of(self, layers: list[Layer]) -> FittedNetwork:
        return FittedNetwork(
            type(self).__name__,
            layers,
            self._task(),
            classes=self.classes_,
            has_margins=self._is_margin(),
            is_normalised=self._is_normalised(),
        )

    def _is_normalised(self) -> bool:
        """Whether the probabilities are the outputs divided by their sum."""
        several = self.n_outputs_ > 1 and not self._is_multilabel()
        return several and self._trained_loss == "logistic_squared_error"

    def _default_score(
        self, outputs: Array, labels: Array, weights: Array | None, team: Team
    ) -> float:
        # accuracy_score's definition; calling it would take longer than the epoch on small data
        right = self._decide(outputs) == labels
        if right.ndim == 2:
            right = right.all(axis=1)
        return float(average(right, weights, team))

    def _decide(self, outputs: Array) -> Array:
        """Class numbers (n,), or the 0/1 matrix (n, n_labels) of multilabel."""
        threshold = 0.0 if self._is_margin() else 0.5
        if self._is_multilabel():
            return (outputs > threshold).astype(int)
        if self.n_outputs_ == 1:
            return (outputs[:, 0] > threshold).astype(int) * (len(self.classes_) - 1)
        return np.argmax(outputs, axis=1)

    def _labels_of(self, outputs: Array) -> Array:
        """The labels (n,), or the 0/1 matrix of multilabel, that outputs (n, n_outputs) say."""
        decided = self._decide(outputs)
        if self._is_multilabel():  # sparse y gives sparse predictions
            labels: Array = self._label_binarizer.inverse_transform(decided)
            return labels
        return np.asarray(self.classes_[decided])

    def _margins_of(self, outputs: Array) -> Array:
        """Outputs as `decision_function` returns them."""
        return outputs[:, 0] if self.n_outputs_ == 1 and not self._is_multilabel() else outputs

    def _probabilities_of(self, outputs: Array) -> Array:
        """The probabilities (n, n_classes) that outputs (n, n_outputs) are, or stand for."""
        if self.n_outputs_ == 1:
            return np.hstack([1 - outputs, outputs])
        if self._is_normalised():
            total = outputs.sum(axis=1, keepdims=True)
            outputs[total[:, 0] == 0] = 1 / self.n_outputs_  # all outputs underflowed
            total[total == 0] = 1
            outputs /= total
        return outputs

    def _has_sparse_labels(self) -> bool:
        """Whether y was a sparse matrix."""
        return self._label_binarizer is not None and bool(self._label_binarizer.sparse_input_)

    def _set_labels(self, binarizer: Any) -> None:
        """Take the labels of a file."""
        self._label_binarizer = binarizer

    def _check_whole(self) -> None:
        super()._check_whole()
        check_classes_attribute("classes_", self.classes_)
        n = len(self.classes_)
        if self._label_binarizer is not None:
            check_classes_attribute("the labels", self._label_binarizer.classes_)
        if self._has_soft_targets():
            outputs = n
        elif self._is_multilabel():
            outputs = len(self._label_binarizer.classes_)
        else:
            outputs = 1 if n <= 2 else n
        if self.n_outputs_ != outputs:
            raise ValueError(f"{n} classes_ do not fit {self.n_outputs_} outputs")
        factors = getattr(self, "_class_factors", None)
        if factors is not None and (len(factors) != n or not np.all(factors >= 0)):
            raise ValueError(f"the weights of the classes do not fit {n} classes_")


def class_factors(class_weight: Any, classes: Array, labels: Array, team: Team = ALONE) -> Array:
    """The weight of each class (n_classes,) by `class_weight`.

    Parameters
    ----------
    class_weight : dict or 'balanced'
    classes : ndarray of shape (n_classes,)
    labels : ndarray of shape (n,)
        The numbers of the classes; of multilabel, for which there are none, (n, n_labels).
    """
    from sklearn.utils.class_weight import compute_class_weight

    if labels.ndim == 2:
        raise ValueError(
            "class_weight is for one label per sample, and y is multilabel. Use sample_weight."
        )
    if class_weight == "balanced":
        counts = team.sum(np.bincount(labels, minlength=len(classes)))
        return np.asarray(counts.sum() / (len(classes) * counts))
    factors: Array = compute_class_weight(class_weight, classes=classes, y=classes[labels])
    if not np.all(factors >= 0) or not np.isfinite(factors).all():
        raise ValueError(f"class_weight must hold finite numbers, 0 or more. Got {class_weight!r}.")
    return factors


def _labels_of_all(y: Any, team: Team) -> Array:
    """The labels that the y of some rank has, in ascending order."""
    with label_errors(y):
        found = labels_in(y)
    if team.is_alone:
        return found
    together: Array = unique_labels(*team.gather(found))
    return together


def _binarizer_of(y: Any) -> Any:
    """A LabelBinarizer that is fitted to y."""
    from sklearn.preprocessing import LabelBinarizer

    binarizer = LabelBinarizer()
    if not are_whole_numbers(y):
        with label_errors(y):
            return binarizer.fit(y)
    binarizer.classes_ = labels_in(y)
    binarizer.y_type_ = "binary" if len(binarizer.classes_) <= 2 else "multiclass"
    binarizer.sparse_input_ = False
    return binarizer
