"""scikit-learn's random generators, made faster."""

from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random import MT19937, RandomState
from numpy.random.bit_generator import ISeedSequence
from sklearn.utils import check_random_state


class _SeededLater(ISeedSequence):
    """What a MT19937 is made of that is seeded afterwards: zeros, at no cost."""

    def generate_state(self, n_words: int, dtype: npt.DTypeLike = np.uint32) -> Any:
        """Return that many zeros."""
        return np.zeros(n_words, dtype)


def random_generator(random_state: Any) -> RandomState:
    """scikit-learn's `check_random_state`, to the bit.

    NumPy's ``RandomState(seed)`` hashes 624 numbers of entropy before it is seeded, which is a
    quarter of what a `partial_fit` of a few rows costs.
    """
    if not isinstance(random_state, Integral):
        generator: RandomState = check_random_state(random_state)
        return generator
    later: Any = _SeededLater()  # NumPy's annotation does not know that MT19937 takes it
    generator = RandomState(MT19937(later))
    generator.seed(int(random_state))
    return generator
