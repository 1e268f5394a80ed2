"""How long training goes on without progress."""

from dataclasses import dataclass

import numpy as np


@dataclass(repr=False, eq=False)
class Patience:
    """Counts the epochs in a row that made no progress.

    Parameters
    ----------
    tol : float or None
        An epoch makes progress where its value is below the best one's by `tol` or more; None:
        each epoch does.
    best : float
        The lowest value so far.
    count : int
        The epochs in a row without progress.
    """

    tol: float | None
    best: float = np.inf
    count: int = 0

    def watch(self, value: float) -> None:
        """Take an epoch's value, of which less is better; NaN is no progress."""
        progress = self.tol is None or value <= self.best - self.tol
        self.count = 0 if progress else self.count + 1
        if value < self.best:
            self.best = value
