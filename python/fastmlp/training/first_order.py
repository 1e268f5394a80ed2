"""Python owns epochs: shuffling, schedules, early stopping, reports. C++ owns the batches within.

Every random number is drawn from the estimator's ``RandomState`` in scikit-learn's order: weights
and biases layer by layer, the validation split, then one shuffle per epoch.
"""

from math import isfinite
from time import monotonic
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp.core.network import DIAGNOSED, Blocks, Network
from fastmlp.core.typing import Array, Epoch, Order, Part
from fastmlp.core.warnings import warn
from fastmlp.training.data import Data, Validation
from fastmlp.training.distributed import Shard
from fastmlp.training.optimizer import Optimizer
from fastmlp.training.patience import Patience
from fastmlp.training.progress import printed
from fastmlp.training.training import Training

# what is recorded on the estimator from epoch to epoch
RECORDS = (
    "n_iter_",
    "t_",
    "loss_",
    "loss_curve_",
    "learning_rate_curve_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_loss_",
    "best_validation_score_",
    "_no_improvement_count",
    "_diagnostics",
)

# of a diagnosis: more would cost more than 5 % of an epoch on 2000 rows
_DIAGNOSED_ROWS = 32


class FirstOrderTraining(Training):
    """Epochs of mini-batches until no progress, `max_iter`, `max_time` or an interrupt.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The records begin as they are on it.
    network : Network
        Opened for the batch size, with the optimizer's state.
    blocks : Blocks
        The parameters to start from.
    data : Data
    shard : Shard
        Its rows among those of all that train.
    train : ndarray of row numbers, or None
        The rows to train on, among those of all ranks; None is all.
    validation : Validation or None
    optimizer : Optimizer
        Left with its state after the last step.
    random_state : RandomState
        Draws the shuffles.
    batch : int
        The rows of a step.
    one_epoch : bool
        `partial_fit`: stop after one, with no verdict on convergence.
    """

    def __init__(
        self,
        estimator: Any,
        network: Network,
        blocks: Blocks,
        data: Data,
        shard: Shard,
        optimizer: Optimizer,
        random_state: np.random.RandomState,
        *,
        batch: int,
        train: Order | None = None,
        validation: Validation | None = None,
        one_epoch: bool = False,
    ) -> None:
        super().__init__(estimator, network, data, shard)
        self.batch = batch
        self.optimizer = optimizer
        self.random_state = random_state
        self.train_rows = train
        self.validation = validation
        self.one_epoch = one_epoch
        self.n = self.shard.total if train is None else len(train)
        self.best_blocks = blocks  # of early stopping; a warm start begins with the best so far
        self.permutation = np.arange(self.n)
        self.patience = self._patience()
        self.rate = 0.0  # of the epoch at hand
        self.epoch: Epoch | None = None  # how far it has come; None between epochs
        self.remembered: tuple[dict[str, Any], dict[str, int]] | None = None
        self.diverged = False
        network.write(blocks)
        # whose contents are the state
        self.slots = [0, *optimizer.slots]
        if estimator.diagnostics:
            network.write(blocks, DIAGNOSED)
            self.slots.append(DIAGNOSED)

    # --- the epochs ------------------------------------------------------------------------------

    def _train(self) -> None:
        e = self.estimator
        while e.n_iter_ < e.max_iter:
            if self._run_epoch():
                return
        if self.optimizer.schedule.has_run_its_course:
            return
        warn(
            f"Stochastic Optimizer: Maximum iterations ({e.max_iter}) "
            "reached and the optimization hasn't converged yet.",
            ConvergenceWarning,
        )

    def advance(self, epochs: int, *, patiently: bool = True) -> bool:
        """Train for so many epochs more; returns whether all were made.

        Without `patiently` they end where those of a fit would, for want of progress.

        Raises
        ------
        ValueError
            Training diverged.
        """
        for _ in range(epochs):
            has_had_enough = self._run_epoch()
            if self.diverged:
                self._fail_as_diverged(self.blocks())
            if has_had_enough and not patiently:
                return False
        return True

    def _run_epoch(self) -> bool:
        """Train for an epoch; returns whether it is to be the last."""
        self.watchers.epoch_begins(self)
        if self.epoch is None:
            self._shuffle()
        self._make_steps()
        self._record()
        if self.diverged or self.team.any(self.watchers.epoch_ended(self)):
            return True
        return self._has_had_enough()

    def _shuffle(self) -> None:
        """Set the rate and the order of the rows for a new epoch."""
        self.rate = self.team.bcast(self.optimizer.schedule.next_rate())
        if self.estimator.shuffle:
            self.permutation = self.permutation.copy()  # watchers may hold the last epoch's
            self.random_state.shuffle(self.permutation)
        self.epoch = Epoch()

    def _make_steps(self) -> None:
        """Train for an epoch, or for the rest of the one at hand."""
        assert self.epoch is not None
        order, part = self._own_part()
        while self.epoch.rows < self.n:
            made = self.network.steps
            try:
                self.epoch, raised = self.optimizer.make_steps(
                    self.network,
                    self.held,
                    order,
                    self.rate,
                    self.epoch,
                    min(self.deadline, self.watchers.wake_at),
                    self.threads,
                    part,
                )
            except BaseException:  # a signal's handler may raise on the way back from the core, too
                if self.network.steps > made:
                    self.epoch = self.network.reached
                raise
            if raised is not None:
                raise raised
            self.watchers.steps_made(self)
            if self.team.any(monotonic() > self.deadline):
                break

    def _own_part(self) -> tuple[Order | None, Part | None]:
        """The rank's rows in the epoch's order (None: as they are), and how others join in."""
        order = self.train_rows
        if self.estimator.shuffle:
            order = self.permutation if order is None else order[self.permutation]
        if self.team.is_alone:
            return order, None
        rows, places = self.shard.own(self.shard.in_turn() if order is None else order)
        return rows, Part(places, self.n, self.batch, self._reduce)

    def _reduce(self, numbers: Array) -> bool:
        """Sum a step's gradient up over all ranks; whether to stop after the step."""
        return self.team.reduce(
            numbers, ends=monotonic() > min(self.deadline, self.watchers.wake_at)
        )

    def _record(self) -> None:
        """Record an epoch that has ended, and tell the schedule whether it made progress."""
        e, epoch = self.estimator, self.epoch
        assert epoch is not None
        loss = epoch.total_loss / max(epoch.counted_rows, 1)
        if self.validation is not None:  # before anything is recorded, for it may be interrupted
            blocks = self.blocks()
            score, validation_loss = self.validation.score(blocks)
            if np.isnan(validation_loss):  # whatever labels there are in NaN
                score = np.nan
        self.epoch = None
        self.optimizer.steps += epoch.steps  # signals are handled after calls: here is none between
        if self.validation is not None:
            e.validation_scores_.append(score)
            e.validation_loss_curve_.append(validation_loss)
        e.n_iter_ += 1
        e.loss_ = loss
        e.t_ += epoch.rows
        e.loss_curve_.append(loss)
        e.learning_rate_curve_.append(self.rate)
        lines = printed(e.verbose)
        if lines:
            print(f"Iteration {e.n_iter_}, loss = {loss:.8f}")
            if self.validation is not None:
                print(f"Validation score: {score:f}")
            if lines > 1:
                self._print_details()
        patience = self.patience
        if e.early_stopping:
            patience.watch(-score)
            if score > e.best_validation_score_:
                e.best_validation_score_ = score
                self.best_blocks = blocks
        else:
            patience.watch(loss)
            e.best_loss_ = patience.best
        self.diverged = not isfinite(loss)
        if not self.diverged and self.optimizer.schedule.epoch_ended(e.t_, patience.count == 0):
            patience.count = 0
        e._no_improvement_count = patience.count

    def _print_details(self) -> None:
        """Print of an epoch what scikit-learn does not."""
        e = self.estimator
        parts = [f"Epoch {e.n_iter_}" + ("" if self.one_epoch else f" of {e.max_iter}")]
        parts.append(f"learning rate = {self.rate:.3g}")
        if self.validation is not None:
            parts.append(f"validation loss = {e.validation_loss_curve_[-1]:.8f}")
        print(", ".join(parts))

    def _patience(self) -> Patience:
        """Patience with the loss, or minus the validation score, as the records have it."""
        e = self.estimator
        best = -e.best_validation_score_ if e.early_stopping else e.best_loss_
        return Patience(e.tol, best, e._no_improvement_count)

    def _has_had_enough(self) -> bool:
        """Whether an epoch that was recorded is to be the last, although `max_iter` allows more."""
        e = self.estimator
        if self.patience.count > e.n_iter_no_change:
            what = "Validation score" if e.early_stopping else "Training loss"
            reason = (
                f"{what} did not improve more than tol={e.tol:f} for "
                f"{e.n_iter_no_change:.0f} consecutive epochs."
            )
            if self.optimizer.schedule.gives_up(reason, printed(e.verbose)):
                self._tell_of_inherited_patience()
                self.gave_up = True
                return True
            self.patience.count = e._no_improvement_count = 0
        return self.one_epoch or self.team.any(monotonic() > self.deadline)

    def _tell_of_inherited_patience(self) -> None:
        """Warn where epochs of an earlier fit have used up the patience of a warm start."""
        e = self.estimator
        if self.one_epoch or e.n_iter_ >= e.max_iter or e.n_iter_ > e.n_iter_no_change:
            return
        best = (
            "best_validation_score_ = -numpy.inf" if e.early_stopping else "best_loss_ = numpy.inf"
        )
        warn(
            f"The warm start ended after {e.n_iter_} of max_iter={e.max_iter} epochs, by the "
            f"patience of the earlier fit: {best.split()[0]} and the epochs without progress are "
            f"counted on, as in scikit-learn, whatever the data. Set the estimator's {best} before "
            "fit for patience to begin anew, or warm_start=False for new weights."
        )

    # --- what comes of them ----------------------------------------------------------------------

    def _result(self) -> Blocks:
        e, optimizer = self.estimator, self.optimizer
        if self.epoch is not None:  # an interrupt has ended it
            optimizer.steps += self.epoch.steps
            if e.n_iter_ == 0 and self.epoch.counted_rows > 0:
                e.loss_ = self.epoch.total_loss / self.epoch.counted_rows
        has_best = e.early_stopping and e.best_validation_score_ > -np.inf
        if self.diverged:
            if not has_best:
                self._fail_as_diverged(self.blocks())
            text = self._divergence(self.blocks())
            warn(f"{text} The best weights so far are kept.", ConvergenceWarning)
        if self.one_epoch:
            optimizer.leave_open()
        else:
            optimizer.state = [self.network.read(slot) for slot in optimizer.slots]
        if not e.early_stopping:
            return self.blocks()
        if e.n_iter_ > 0 and np.isnan(e.validation_scores_[-e.n_iter_ :]).all():
            warn(
                "No score of the validation samples was a number, so there are no best weights: "
                "those of the last epoch are kept. Are there enough samples, of every class?",
                ConvergenceWarning,
            )
            return self.blocks()
        return self.best_blocks if has_best else self.blocks()  # interrupted before a score

    # --- what watchers may ask -------------------------------------------------------------------

    @property
    def epochs_made(self) -> float:
        """Epochs, with the share of one at hand."""
        return self.n_iter if self.epoch is None else self.n_iter + self.epoch.rows / self.n

    @property
    def within_epoch(self) -> bool:
        """Whether it is between two steps of an epoch."""
        return self.epoch is not None

    @property
    def has_rows_left(self) -> bool:
        """Whether more steps are to be made in an epoch at hand."""
        return self.epoch is not None and self.epoch.rows < self.n

    def blocks(self) -> Blocks:
        """The parameters as they are now."""
        return self.network.read()

    def diagnose(self) -> Array:
        """The core's diagnosis of each layer (n_layers, 4), on the first rows of the epoch."""
        rows = self.permutation[: min(_DIAGNOSED_ROWS, self.network.batch)]
        if self.train_rows is not None:
            rows = self.train_rows[rows]
        return self.network.diagnose(self.held, rows, n_threads=self.threads)

    def state(self) -> dict[str, Any]:
        """All that changes from step to step."""
        return {
            **self._progress(),
            "slots": [self.network.read(slot).in_core_order() for slot in self.slots],
            "seconds": monotonic() - self.began,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        own = self.state()
        if (
            state.keys() != own.keys()
            or state["records"].keys() != own["records"].keys()
            or len(state["slots"]) != len(own["slots"])
            or np.shape(state["permutation"]) != np.shape(own["permutation"])
        ):
            raise ValueError("it was not made by a training of this kind")
        for slot, arrays in zip(self.slots, state["slots"], strict=True):
            self.network.write(Blocks.from_core(arrays, *self.network.layers), slot)
        self.began -= state["seconds"]
        self._restore_progress(state)

    def _progress(self) -> dict[str, Any]:
        """What Python keeps beside the weights."""
        optimizer, schedule = self.optimizer, self.optimizer.schedule
        best = self.best_blocks.in_core_order() if self.estimator.early_stopping else None
        return {
            "records": {name: getattr(self.estimator, name) for name in RECORDS},
            "best": best,
            "steps": optimizer.steps,
            "schedule": [schedule.epoch, schedule.reduced_rate, schedule.bad_epochs],
            "rate": self.rate,
            "epoch": self.epoch and tuple(self.epoch),
            "permutation": self.permutation if self.estimator.shuffle else None,
            "random_state": self.random_state.get_state(legacy=False),
        }

    def _restore_progress(self, progress: dict[str, Any]) -> None:
        for name, value in progress["records"].items():
            setattr(self.estimator, name, value)
        self.patience = self._patience()
        if progress["best"] is not None:
            self.best_blocks = Blocks.from_core(progress["best"], *self.network.layers)
        optimizer, schedule = self.optimizer, self.optimizer.schedule
        optimizer.steps = progress["steps"]
        schedule.epoch, schedule.reduced_rate, schedule.bad_epochs = progress["schedule"]
        self.rate = progress["rate"]
        self.epoch = progress["epoch"] and Epoch(*progress["epoch"])
        if progress["permutation"] is not None:
            self.permutation = progress["permutation"]
        self.random_state.set_state(progress["random_state"])

    def remember_progress(self) -> None:
        """Remember what Python keeps beside the weights; lists by their lengths, for they grow."""
        progress = self._progress()
        records = progress["records"].items()
        lengths = {name: len(value) for name, value in records if isinstance(value, list)}
        self.remembered = progress, lengths

    def return_to_remembered(self) -> None:
        """Undo changes that an exception may have interrupted."""
        assert self.remembered is not None
        progress, lengths = self.remembered
        self._restore_progress(progress)
        for name, length in lengths.items():
            del getattr(self.estimator, name)[length:]
