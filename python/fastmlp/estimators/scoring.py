"""Scores of validation samples by scikit-learn's scorers."""

from copy import copy
from typing import Any

from fastmlp.core.network import Blocks
from fastmlp.training.data import Validation


def has_scorer(estimator: Any) -> bool:
    """Whether `scoring` is one of scikit-learn's, or a callable like one."""
    return estimator.scoring not in (None, "loss")


def check_scorer(estimator: Any) -> None:
    """Check that there is such a scorer."""
    if has_scorer(estimator):
        from sklearn.metrics import check_scoring

        check_scoring(estimator, estimator.scoring)


def score_by_scorer(estimator: Any, blocks: Blocks, validation: Validation) -> float:
    """The score of a network of these parameters.

    Raises
    ------
    ValueError
        Names the scorer, and what it says of the samples.
    """
    from sklearn.metrics import check_scoring

    fitted = copy(estimator)
    fitted.__dict__.update(estimator._parameter_attributes(blocks))
    fitted.__dict__.pop("feature_names_in_", None)  # the samples are arrays by now
    X, y, weight = validation.user_data
    arguments = {} if weight is None else {"sample_weight": weight}
    try:
        return float(check_scoring(fitted, estimator.scoring)(fitted, X, y, **arguments))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"scoring={estimator.scoring!r} gave no score of the validation samples: {error}"
        ) from error
