"""The samples that training is validated on: given to `fit`, or set aside by early stopping."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import is_classifier

from fastmlp.core.network import Blocks
from fastmlp.core.typing import Array, Order
from fastmlp.estimators.base import Labels, split_errors
from fastmlp.estimators.scoring import find_scorer, score_and_loss
from fastmlp.training.data import (
    Data,
    Validation,
    can_be_stratified,
    split_rows,
    warn_of_other_scale,
)
from fastmlp.training.distributed import ALONE, Shard, Team


class ValidationInput(NamedTuple):
    """Validation data as `fit` was given them, or the rows of the data that are held out for it."""

    X: Any = None
    y: Any = None
    sample_weight: Any = None
    rows: Order | None = None


def checked_input(X_val: Any, y_val: Any, sample_weight_val: Any) -> ValidationInput:
    """What `fit` was given to validate on.

    Raises
    ------
    ValueError
        One goes without another that belongs to it.
    """
    if (X_val is None) != (y_val is None):
        raise ValueError(
            f"X_val and y_val go together. Got {'X_val' if y_val is None else 'y_val'} alone."
        )
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val needs X_val and y_val.")
    return ValidationInput(X_val, y_val, sample_weight_val)


def given_validation(
    estimator: Any, given: ValidationInput, train: Data, dtype: npt.DTypeLike, team: Team
) -> Validation:
    """The validation data that `fit` was given, on this rank or on others."""
    if given.X is None:
        return validation_on(estimator, train, np.empty(0, np.int64), team)
    n_outputs = estimator.n_outputs_
    try:
        X, y = estimator._check_X_y(given.X, given.y, reset=False)
        data = estimator._make_data(X, y, given.sample_weight, dtype, Labels.SUBSET)
    except ValueError as error:
        raise ValueError(f"X_val, y_val, sample_weight_val: {error}") from error
    if estimator.n_outputs_ != n_outputs:
        raise ValueError(f"y_val has {estimator.n_outputs_} outputs, y has {n_outputs}.")
    warn_of_other_scale(estimator._feature_rows(X), estimator._feature_rows(train.X))
    return validation_on(estimator, data, None, team)


def split_validation(
    estimator: Any, data: Data, random: np.random.RandomState, shard: Shard
) -> tuple[Order, Validation]:
    """The rows to train on, among those of all ranks, and those of this rank to set aside."""
    fraction = float(estimator.validation_fraction)
    team = shard.team
    stratify: Array | None = None
    scored = estimator.scoring is not None  # else the split is scikit-learn's
    binary = is_classifier(estimator) and estimator.n_outputs_ == 1 and not estimator._per_step
    labels = data.labels
    if binary or (is_classifier(estimator) and scored):
        labels = np.concatenate(team.gather(labels)) if not team.is_alone else labels
        if binary:
            stratify = labels == 1
        elif can_be_stratified(labels, fraction):
            stratify = labels
    compared = None if stratify is None else labels
    with split_errors(fraction, shard.total, compared, getattr(estimator, "classes_", None)):
        train, held_out = split_rows(shard.total, fraction, stratify, random, each_class=scored)
    validation = validation_on(estimator, data, shard.own(held_out)[0], team)
    weight = validation.pick(data.sample_weight)
    if weight is not None and not team.any(bool(np.any(weight))):
        raise ValueError(
            "The sample weights of all validation samples are zero: choose another "
            "random_state, or give X_val and y_val."
        )
    return train, validation


def held_out_validation(estimator: Any, data: Data, rows: Order) -> tuple[Order, Validation]:
    """The rows to train on, and those that are to be set aside."""
    return np.delete(np.arange(data.n), rows), validation_on(estimator, data, rows)


def validation_on(estimator: Any, data: Data, rows: Order | None, team: Team = ALONE) -> Validation:
    """Some rows of the data, or all of them, to validate on."""
    scorer = find_scorer(estimator)

    def score(blocks: Blocks) -> tuple[float, float]:
        return score_and_loss(estimator, blocks, validation, scorer)

    validation = Validation(data, rows, score, team)
    return validation
