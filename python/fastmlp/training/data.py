"""The samples that a network is trained on, and those that it is validated on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fastmlp.core.network import Blocks, Samples
from fastmlp.core.typing import Array, Order


class Data(NamedTuple):
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


@dataclass(repr=False, eq=False)
class Validation:
    """The samples that early stopping watches: some rows of the data, or data of their own.

    `score` gives the score and the loss of a network of these parameters on them.
    """

    data: Data
    rows: Order | None
    score: Callable[[Blocks], tuple[float, float]]

    def pick(self, values: Any) -> Any:
        """The part of some (n, ...) of the data that belongs to these samples; None stays None."""
        return values if values is None or self.rows is None else values[self.rows]

    @cached_property
    def user_data(self) -> tuple[Any, Any, Array | None]:
        """X, y and sample weights for a scorer: copied once, and only where there is one."""
        data = self.data
        return self.pick(data.X), self.pick(data.y), self.pick(data.sample_weight)


def split_rows(
    n: int, fraction: float, stratify: Array | None, random_state: np.random.RandomState
) -> tuple[Order, Order]:
    """Row numbers for training and for validation, as scikit-learn splits the rows themselves.

    Parameters
    ----------
    n : int
        Number of rows to split.
    fraction : float
        Proportion of the validation rows.
    stratify : ndarray of bool of shape (n,), or None
    random_state : RandomState

    Raises
    ------
    ValueError
        Fewer than two validation rows, or a class with too few members to stratify.
    """
    from sklearn.model_selection import train_test_split

    if stratify is not None:
        stratify = np.where(stratify, "True", "False")
    train, validation = train_test_split(
        np.arange(n), test_size=fraction, random_state=random_state, stratify=stratify
    )
    if len(validation) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    return train, validation
