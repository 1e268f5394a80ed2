"""What training by any solver has in common, and the interface through which others watch it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, NoReturn

import numpy as np
from sklearn.base import is_regressor

from fastmlp.core.network import Blocks, HeldSamples, Network
from fastmlp.core.threads import most_threads, shared_threads
from fastmlp.training.data import Data, Validation
from fastmlp.training.distributed import Shard
from fastmlp.training.interrupts import interruptible

# Epochs or iterations in which a network that can learn has learned something: in fewer, where it
# was training that ended for want of progress, not a `max_iter` that was chosen for a quick look.
_TIME_TO_LEARN, _TIME_TO_PROGRESS = 50, 10


class Watcher:
    """What is told how training goes. Here nothing comes of it; a watcher overrides what it needs.

    Attributes
    ----------
    is_idle : bool
        Whether there is nothing for it to do, so that it need not be told.
    needs_state : bool
        Whether it will ask for ``training.state()``.
    wake_at : float
        When it wants to be told of steps within an epoch, on the monotonic clock.
    """

    is_idle: bool = False
    needs_state: bool = False
    wake_at: float = np.inf

    def begins(self, training: "Training") -> None:
        """Before the first epoch or iteration: the place to restore an earlier state."""

    def epoch_begins(self, training: "Training") -> None:
        """Before an epoch or iteration, or what an earlier process left of one."""

    def steps_made(self, training: "Training") -> None:
        """Within an epoch after `wake_at`, and at its end before anything of it is recorded."""

    def epoch_ended(self, training: "Training") -> bool:
        """After an epoch or iteration was recorded; returns whether training is to stop."""
        return False

    def stopped(self, training: "Training") -> None:
        """There are no more epochs or iterations, for whatever reason."""

    def failed(self, training: "Training", error: BaseException) -> None:
        """An exception, or an interrupt, has ended training."""

    def ended(self, training: "Training", blocks: Blocks | None) -> None:
        """The fit has ended: with these parameters, or with None as training diverged."""


class Watchers(Watcher):
    """Several watchers, told in their order, and in the reverse order of the end."""

    def __init__(self, watchers: Iterable[Watcher] = ()) -> None:
        self.watchers = [watcher for watcher in watchers if not watcher.is_idle]
        self.needs_state = any(watcher.needs_state for watcher in self.watchers)

    @property
    def wake_at(self) -> float:  # type: ignore[override]
        """The first time that one of them wants."""
        earliest = np.inf
        for watcher in self.watchers:
            earliest = min(earliest, watcher.wake_at)
        return earliest

    def begins(self, training: "Training") -> None:
        """Tell all."""
        for watcher in self.watchers:
            watcher.begins(training)

    def epoch_begins(self, training: "Training") -> None:
        """Tell all."""
        for watcher in self.watchers:
            watcher.epoch_begins(training)

    def steps_made(self, training: "Training") -> None:
        """Tell all."""
        for watcher in self.watchers:
            watcher.steps_made(training)

    def epoch_ended(self, training: "Training") -> bool:
        """Tell all; whether one of them wants to stop."""
        return any([watcher.epoch_ended(training) for watcher in self.watchers])

    def stopped(self, training: "Training") -> None:
        """Tell all."""
        for watcher in self.watchers:
            watcher.stopped(training)

    def failed(self, training: "Training", error: BaseException) -> None:
        """Tell all."""
        for watcher in self.watchers:
            watcher.failed(training, error)

    def ended(self, training: "Training", blocks: Blocks | None) -> None:
        """Tell all."""
        for watcher in reversed(self.watchers):
            watcher.ended(training, blocks)


class Training(ABC):
    """Training of a network on data, from the first epoch or iteration to the last.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its parameters are read; `n_iter_`, `loss_` and the like are written.
    network : Network
    data : Data
    shard : Shard
        Its rows among those of all that train.

    Attributes
    ----------
    watchers : Watchers
        Told how it goes.
    validation : Validation or None
        The samples that epochs are validated on.
    """

    def __init__(self, estimator: Any, network: Network, data: Data, shard: Shard) -> None:
        self.estimator = estimator
        self.network = network
        self.data = data
        self.shard = shard
        self.team = shard.team
        self.watchers = Watchers()
        self.validation: Validation | None = None
        self._most_threads = most_threads(estimator.n_jobs)
        self.began = monotonic()
        self.deadline = np.inf  # of `max_time`, on the monotonic clock
        self.was_interrupted = True  # until it has ended otherwise
        self.gave_up = False  # for want of progress

    def run(self) -> Blocks:
        """Train; returns the parameters that the estimator takes over.

        Raises
        ------
        ValueError
            Training diverged.
        """
        self.watchers.begins(self)
        # an earlier process may have spent some of it; one clock decides
        if self.estimator.max_time is not None and self.team.leads:
            self.deadline = self.began + float(self.estimator.max_time)
        with self._releasing_data(), interruptible(self.team), self._telling_of_failures():
            self._train()
            self.was_interrupted = False
        self.watchers.stopped(self)
        blocks = self._result()
        if not blocks.is_finite():
            self._fail_as_diverged(blocks)
        return blocks

    @property
    def held(self) -> HeldSamples:
        """The data in the hands of the network's engine."""
        return self.data.held_by(self.network.hold)

    @contextmanager
    def _releasing_data(self) -> Iterator[None]:
        """At the end nothing is held, whoever may still know of this training."""
        try:
            yield
        finally:
            self.data.release()
            if self.validation is not None:
                self.validation.release()

    @contextmanager
    def _telling_of_failures(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.watchers.failed(self, error)
            raise

    @abstractmethod
    def _train(self) -> None:
        """Go through the epochs or iterations."""

    @abstractmethod
    def _result(self) -> Blocks:
        """The parameters to keep, however `_train` ended."""

    @property
    def threads(self) -> int:
        """How many to use for the next epoch: other fits may have begun or ended since the last."""
        return shared_threads(self.estimator.n_jobs, self._most_threads)

    # --- what watchers may ask -------------------------------------------------------------------

    @property
    def n_iter(self) -> int:
        """Epochs or iterations that were recorded."""
        return int(self.estimator.n_iter_)

    @property
    def epochs_made(self) -> float:
        """The same, with the share of an epoch at hand that was made."""
        return self.n_iter

    @property
    def had_time(self) -> bool:
        """Whether a network that can learn would have learned something by now."""
        needed = _TIME_TO_PROGRESS if self.gave_up else _TIME_TO_LEARN
        return not self.was_interrupted and self.n_iter > needed

    @property
    def within_epoch(self) -> bool:
        """Whether it is between two steps of an epoch."""
        return False

    @property
    def has_rows_left(self) -> bool:
        """Whether more steps are to be made in an epoch at hand."""
        return False

    @abstractmethod
    def blocks(self) -> Blocks:
        """The parameters as they are now."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that changes in the course of training, as values that a file can hold."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of an earlier training.

        Raises
        ------
        ValueError
            The state was not made by a training of this kind.
        """

    def remember_progress(self) -> None:
        """Remember what Python keeps beside the weights, which fits them now."""
        return None

    def return_to_remembered(self) -> None:
        """Undo changes that an exception may have interrupted."""
        return None

    # --- divergence ------------------------------------------------------------------------------

    def _fail_as_diverged(self, blocks: Blocks) -> NoReturn:
        self.watchers.ended(self, None)
        raise ValueError(self._divergence(blocks))

    def _divergence(self, blocks: Blocks) -> str:
        """What to say of a loss or of parameters that are no longer finite."""
        e = self.estimator
        first_order = e.solver != "lbfgs"
        advice = [f"scale X{' and y' if is_regressor(e) else ''}, with StandardScaler for example"]
        if first_order:
            rate = e.learning_rate_init
            advice.append(f"choose a smaller learning rate (learning_rate_init={rate})")
            if e.clip_norm is None:
                advice.append("set clip_norm")
        weights = (
            ""
            if blocks.is_finite()
            else " Solver produced non-finite parameter weights. The input data may contain large "
            "values and need to be preprocessed."
        )
        return (
            f"Training diverged in {'epoch' if first_order else 'iteration'} {e.n_iter_}, with a "
            f"loss of {e.loss_:g}.{weights} What helps: {', or '.join(advice)}."
        )
