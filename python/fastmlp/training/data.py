"""The samples that a network is trained on, and those that it is validated on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from scipy.sparse import issparse, vstack

from fastmlp.core.network import Blocks, HeldSamples, Samples
from fastmlp.core.typing import Array, Order
from fastmlp.core.warnings import warn
from fastmlp.training.distributed import ALONE, Team


@dataclass(repr=False, eq=False)
class Data:
    """Samples as the core takes them, and as scores are taken of them.

    Attributes
    ----------
    samples : Samples
        For the core; class weights are included in the weights.
    n : int
        The number of rows.
    X, y : array-like
        What the user gave, validated.
    labels : ndarray of shape (n,) or (n, n_outputs)
        What predictions are compared with.
    sample_weight : ndarray of shape (n,) or None
        Without class weights.
    """

    samples: Samples
    n: int
    X: Any
    y: Any
    labels: Array
    sample_weight: Array | None
    _held: HeldSamples | None = None

    def held_by(self, hold: Callable[[Samples], HeldSamples]) -> HeldSamples:
        """The samples in the hands of an engine: called at first, and after a `release`."""
        if self._held is None:
            self._held = hold(self.samples)
        return self._held

    def release(self) -> None:
        """Take the samples out of the engine's hands."""
        self._held = None


@dataclass(repr=False, eq=False)
class Validation:
    """The samples that early stopping watches: some rows of the data, or data of their own.

    `score` gives the score and the loss of a network of these parameters on them. Each rank of the
    team has some of the samples, and may have none.
    """

    data: Data
    rows: Order | None
    score: Callable[[Blocks], tuple[float, float]]
    team: Team = ALONE
    _user_data: tuple[Any, Any, Array | None] | None = None
    _held: HeldSamples | None = None  # where scores weigh them otherwise than training does

    def pick(self, values: Any) -> Any:
        """The part of some (n, ...) of the data that belongs to these samples; None stays None."""
        return values if values is None or self.rows is None else values[self.rows]

    def held_by(self, hold: Callable[[Samples], HeldSamples]) -> HeldSamples:
        """The data in the hands of an engine, without class weights, as `Data.held_by`."""
        samples, weights = self.data.samples, self.data.sample_weight
        if samples.weights is weights:  # an engine has once what is trained on and held out
            return self.data.held_by(hold)
        if self._held is None:
            self._held = hold(samples._replace(weights=weights))
        return self._held

    def release(self) -> None:
        """Take the data out of the engine's hands."""
        self._held = None
        self.data.release()

    @property
    def user_data(self) -> tuple[Any, Any, Array | None]:
        """X, y and sample weights for a scorer: copied once, and only where there is one.

        Rank 0 has those of all ranks.
        """
        if self._user_data is None:
            data = self.data
            own = self.pick(data.X), self.pick(data.y), self.pick(data.sample_weight)
            self._user_data = own
            if not self.team.is_alone:
                X, y, weight = map(_joined, zip(*self.team.gather(own), strict=True))
                if self.team.leads:
                    self._user_data = X, y, weight
        return self._user_data


def _joined(parts: Sequence[Any]) -> Any:
    """Some rows after others; sequences (n, n_steps, n_features) padded to the longest."""
    if parts[0] is None:
        return None
    if issparse(parts[0]):
        return vstack(parts, format="csr")
    if parts[0].ndim == 3 and len({part.shape[1] for part in parts}) > 1:
        steps = max(part.shape[1] for part in parts)
        parts = [
            np.pad(
                part.astype(np.result_type(part.dtype, np.float32), copy=False),  # which has NaN
                ((0, 0), (0, steps - part.shape[1]), (0, 0)),
                constant_values=np.nan,
            )
            for part in parts
        ]
    return np.concatenate(parts)


def split_rows(
    n: int,
    fraction: float,
    stratify: Array | None,
    random_state: np.random.RandomState,
    *,
    each_class: bool = False,
) -> tuple[Order, Order]:
    """Row numbers for training and for validation, as scikit-learn splits the rows themselves.

    Parameters
    ----------
    n : int
        Number of rows to split.
    fraction : float
        Proportion of the validation rows.
    stratify : ndarray of shape (n,), or None
        The classes.
    random_state : RandomState
    each_class : bool
        Whether every class of `stratify` is to be among the validation rows, however rare.

    Raises
    ------
    ValueError
        Fewer than two validation rows, or a class with too few members to stratify.
    """
    from sklearn.model_selection import train_test_split

    names = stratify
    if stratify is not None and stratify.dtype == bool:
        names = np.where(stratify, "True", "False")
    train, validation = train_test_split(
        np.arange(n), test_size=fraction, random_state=random_state, stratify=names
    )
    if len(validation) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    if stratify is not None and each_class:
        _exchange_for_lacking_classes(train, validation, stratify)
    return train, validation


def can_be_stratified(labels: Array, fraction: float) -> bool:
    """Whether a split by one label per sample is possible: each class twice, room for one each."""
    if labels.ndim != 1:
        return False
    counts = np.unique(labels, return_counts=True)[1]
    n_validation = ceil(fraction * len(labels))
    return bool(counts.min() >= 2 and len(counts) <= min(n_validation, len(labels) - n_validation))


def _exchange_for_lacking_classes(train: Order, validation: Order, labels: Array) -> None:
    """Have a row of each class among the validation rows, in the place of one of the commonest."""
    for lacking in np.setdiff1d(labels, labels[validation]):
        classes, counts = np.unique(labels[validation], return_counts=True)
        if counts.max() < 2:
            return
        given = np.flatnonzero(labels[validation] == classes[np.argmax(counts)])[-1]
        taken = np.flatnonzero(labels[train] == lacking)[0]
        train[taken], validation[given] = validation[given], train[taken]


def warn_of_other_scale(X_val: Any, X: Any) -> None:
    """Warn where validation samples can hardly have been transformed as the training samples were.

    Samples of one population may be shifted, but hardly by five times the range of a feature;
    a feature that was scaled here and not there usually is. The median is compared, so that
    outliers in `X_val` do not matter, and features that are constant in `X`, which have no scale,
    are left out. Some 1000 rows of each are enough, and cost the same for any number of rows.
    Sparse data are not checked: the median of most of their features is 0.
    """
    if issparse(X_val) or issparse(X):
        return
    some = X[:: 1 + len(X) // 1000]
    low, high = some.min(axis=0).astype(np.float64), some.max(axis=0).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float64 nothing is noticed
        median = np.median(X_val[:: 1 + len(X_val) // 1000].astype(np.float64), axis=0)
        distance, scale = np.maximum(low - median, median - high), high - low
    far = np.flatnonzero((distance > 5 * scale) & (scale > 0))
    if len(far):
        first = far[0]
        warn(
            f"X_val lies far outside of the range of X in {len(far)} of {len(low)} features: the "
            f"median of feature {first} is {median[first]:.3g} in X_val, its range in X is "
            f"{low[first]:.3g} to {high[first]:.3g}. X_val must be transformed as X is; a Pipeline "
            "does so only with transform_input=['X_val'], see fit's documentation."
        )
