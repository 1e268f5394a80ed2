"""A first-order solver with its state."""

from copy import copy
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np

from fastmlp.core.native import _native
from fastmlp.core.network import Blocks, HeldSamples, Network
from fastmlp.core.typing import Epoch, Order, Part
from fastmlp.training.schedules import Schedule


@dataclass(repr=False, eq=False)
class Optimizer:
    """A first-order solver with its state, from which `partial_fit` goes on.

    The state is in arrays; or, after a `partial_fit`, in the network that was trained, which stays
    open. The next call goes on with a `successor`, to which that network belongs from then on: it
    has its state without copies, and only the parameters are written into it, whatever was done to
    them since. The predecessor keeps the state in arrays: an estimator whose call fails, and copies
    that share the predecessor, open a network of their own and write the arrays into it. So does
    a successor that needs another network (of other layers, batches, penalties). Pickles and deep
    copies have arrays only.

    Attributes
    ----------
    solver : str
    options : dict
        Those of ``Network.train``.
    schedule : Schedule
    steps : int
        The updates made so far.
    """

    solver: str
    options: dict[str, Any]
    schedule: Schedule
    steps: int = 0
    _state: list[Blocks] | None = field(default_factory=list)  # None: it is in the network
    _open: tuple[Network, dict[str, Any]] | None = None  # a network, and what it was made of

    @property
    def state(self) -> list[Blocks]:
        """What the solver remembers per parameter, one item for each of its slots."""
        found = self._open  # before the next line: who takes it leaves the arrays first
        if self._state is None:
            assert found is not None
            read = [found[0].read(slot) for slot in self.slots]
            # where another thread took the network meanwhile, these may be of its training
            self._state = self._state or read
        return self._state

    @state.setter
    def state(self, state: list[Blocks]) -> None:
        self._state, self._open = state, None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_state": self.state, "_open": None}

    def successor(self) -> "Optimizer":
        """The optimizer to go on with; the open network is its own from now on."""
        state = self.state
        found = vars(self).pop("_open", None)  # in one step: of several threads one has it
        return Optimizer(self.solver, self.options, copy(self.schedule), self.steps, state, found)

    def open_network(self, *, batch: int, n: int, **description: Any) -> Network:
        """The network to train on n rows, with the state in it: the open one where it is the same.

        It is of this description, and for these batches; or larger ones, and all rows are in one.

        Parameters
        ----------
        batch : int
            At most n.
        n : int
        **description
            The other parameters of `Network`.
        """
        if self._open is not None:
            network, earlier = self._open
            if earlier == description and (network.batch == batch or n == batch < network.batch):
                return network
        network = Network(batch=batch, **description)
        for slot, state in zip(self.slots, self.state, strict=False):
            network.write(state, slot)
        self._open = network, description
        return network

    def leave_open(self) -> None:
        """Leave the state in the network, which was trained.

        That of a device, which may be lost and does not survive a fork, is read out at once.
        """
        assert self._open is not None
        network, description = self._open
        of_device = description["engine"] != ""
        self._state = [network.read(slot) for slot in self.slots] if of_device else None

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
        samples: HeldSamples,
        order: Order | None,
        rate: float,
        epoch: Epoch,
        until: float,
        threads: int,
        part: Part | None = None,
    ) -> tuple[Epoch, BaseException | None]:
        """Train the network on the rows in `order` that the epoch has not yet come to.

        Returns how far the epoch has come, at its end or after the step in which the clock has
        passed `until`, and what a signal's handler raised between two steps: a KeyboardInterrupt,
        or None. With a part of an epoch, its `reduce` says when to stop.
        """
        options = {
            **self.options,
            "solver": self.solver,
            "steps": self.steps,
            "rate": rate,
            "stop": None if part or until == np.inf else lambda: monotonic() > until,
            "part": part,
            "n_threads": threads,
        }
        return network.train(samples, order, epoch, options)
