"""A first-order solver with its state."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np

from fastmlp.core.native import _native
from fastmlp.core.network import Blocks, Network, Samples
from fastmlp.core.typing import Epoch, Order
from fastmlp.training.schedules import Schedule


@dataclass(repr=False, eq=False)
class Optimizer:
    """A first-order solver with its state, from which `partial_fit` goes on.

    Attributes
    ----------
    solver : str
    options : dict
        Those of ``Network.train``.
    schedule : Schedule
    steps : int
        The updates made so far.
    state : list of Blocks
        What the solver remembers per parameter, one item for each of its slots.
    """

    solver: str
    options: dict[str, Any]
    schedule: Schedule
    steps: int = 0
    state: list[Blocks] = field(default_factory=list)

    @property
    def learning_rate(self) -> float:
        """The rate of the schedules that look back: scikit-learn's own tests ask for it."""
        return self.schedule.reduced_rate

    @property
    def slots(self) -> range:
        """The network's slots that hold its state."""
        return range(1, 1 + _native.SOLVER_SLOTS[self.solver])

    def fits(self, blocks: Blocks) -> bool:
        """Whether its state is one for parameters of these shapes."""
        return all(state.shapes() == blocks.shapes() for state in self.state)

    def make_steps(
        self,
        network: Network,
        samples: Samples,
        order: Order | None,
        rate: float,
        epoch: Epoch,
        until: float,
        threads: int,
    ) -> tuple[Epoch, BaseException | None]:
        """Train the network on the rows in `order` that the epoch has not yet come to.

        Returns how far the epoch has come, at its end or after the step in which the clock has
        passed `until`, and what a signal's handler raised between two steps: a KeyboardInterrupt,
        or None.
        """
        options = {
            **self.options,
            "solver": self.solver,
            "steps": self.steps,
            "rate": rate,
            "stop": None if until == np.inf else lambda: monotonic() > until,
            "n_threads": threads,
        }
        return network.train(samples, order, epoch, options)
