"""Python owns epochs: shuffling, schedules, early stopping, reports. C++ owns the batches within.

Every random number is drawn from the estimator's ``RandomState`` in scikit-learn's order: weights
and biases layer by layer, the validation split, then one shuffle per epoch.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from time import monotonic
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning

from fastmlp import _native
from fastmlp._arrays import as_block
from fastmlp._callbacks import Callbacks
from fastmlp._checkpoint import Checkpoint
from fastmlp._network import Network
from fastmlp._schedules import Schedule
from fastmlp._threads import n_threads
from fastmlp._typing import Array, Blocks, Epoch, Order, Rows
from fastmlp._warnings import warn


@dataclass
class Data:
    """Samples as the core takes them, and as scores are taken of them.

    `X` and `y` are what the user gave, validated; `labels` what predictions are compared with.
    """

    x: Rows
    targets: Array  # (n,) int32 classes or (n, outputs) values
    weights: Array | None  # (n,), class weights included
    n: int
    X: Any
    y: Any
    labels: Array
    sample_weight: Array | None  # (n,)


@dataclass
class Validation:
    """The samples that early stopping watches: some rows of the data, or data of their own."""

    data: Data
    rows: Order | None

    def pick(self, values: Any) -> Any:
        """The part of some (n, ...) of the data that belongs to these samples; None stays None."""
        return values if values is None or self.rows is None else values[self.rows]

    @cached_property
    def user_data(self) -> tuple[Any, Any, Array | None]:
        """X, y and sample weights for a scorer: copied once, and only where there is one."""
        data = self.data
        return self.pick(data.X), self.pick(data.y), self.pick(data.sample_weight)


@dataclass
class Optimizer:
    """A first-order solver with its state, which `partial_fit` goes on from.

    `options` are those of ``Network.train``, `steps` the updates made, `state` the values
    remembered per parameter, one list of blocks per slot.
    """

    solver: str
    options: dict[str, Any]
    schedule: Schedule
    steps: int = 0
    state: list[Blocks] = field(default_factory=list)

    @property
    def learning_rate(self) -> float:
        """The rate of the schedules that look back: scikit-learn's own tests ask for it."""
        return self.schedule.slowed

    def go_on(
        self,
        network: Network,
        data: Data,
        order: Order | None,
        rate: float,
        epoch: Epoch,
        until: float,
        threads: int,
    ) -> tuple[Epoch, BaseException | None]:
        """Train the network on the rows in `order` that the epoch has not yet come to.

        Returns where the epoch stands, at its end or after the step in which the clock has passed
        `until`, and what a signal's handler raised between two steps: a KeyboardInterrupt, or None.
        """
        return network.train(
            data.x,
            data.targets,
            data.weights,
            order,
            solver=self.solver,
            steps=self.steps,
            rate=rate,
            epoch=epoch,
            stop=None if until == np.inf else lambda: monotonic() > until,
            n_threads=threads,
            **self.options,
        )


def split_rows(
    n: int, fraction: float, stratify: Array | None, random_state: np.random.RandomState
) -> tuple[Order, Order]:
    """Row numbers for training and for validation, as scikit-learn splits the rows themselves.

    Parameters
    ----------
    n : int
        Rows to split.
    fraction : float
        Share of the validation rows.
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


def all_finite(blocks: Blocks) -> bool:
    """Whether there is neither NaN nor infinity in any of the parameters."""
    return all(np.isfinite(block).all() for block in blocks)


def divergence(estimator: Any, blocks: Blocks) -> str:
    """What to say of a training that has led to a loss or to parameters that are not finite.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        With its latest loss.
    blocks : list of ndarray
        The parameters.
    """
    e = estimator
    first_order = e.solver != "lbfgs"
    advice = [f"scale X{'' if is_classifier(e) else ' and y'}, with StandardScaler for example"]
    if first_order:
        advice.append(f"choose a smaller learning rate (learning_rate_init={e.learning_rate_init})")
        if e.clip_norm is None:
            advice.append("set clip_norm")
    weights = (
        ""
        if all_finite(blocks)
        else " Solver produced non-finite parameter weights. The input data may contain large "
        "values and need to be preprocessed."
    )
    return (
        f"Training diverged in {'epoch' if first_order else 'iteration'} {e.n_iter_}, with a loss "
        f"of {e.loss_:g}.{weights} What helps: {', or '.join(advice)}."
    )


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
)


class Training:
    """Epochs of mini-batches until no progress, `max_iter`, `max_time` or an interrupt.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its parameters are read; `loss_curve_` and the like are written.
    network : Network32 or Network64
        Opened for the batch size.
    blocks : list of ndarray
        The parameters to start from.
    data : Data
    train : ndarray of row numbers, or None
        The rows to train on; None is all.
    validation : Validation or None
    optimizer : Optimizer
        Left with its state after the last step.
    random_state : RandomState
        Draws the shuffles.
    callbacks : Callbacks
    checkpoint : Checkpoint
    one_epoch : bool
        `partial_fit`: stop after one, with no verdict on convergence.
    """

    def __init__(
        self,
        estimator: Any,
        network: Network,
        blocks: Blocks,
        data: Data,
        train: Order | None,
        validation: Validation | None,
        optimizer: Optimizer,
        random_state: np.random.RandomState,
        callbacks: Callbacks,
        checkpoint: Checkpoint,
        *,
        one_epoch: bool,
    ) -> None:
        self.estimator = estimator
        self.network = network
        self.data = data
        self.train = train
        self.n = data.n if train is None else len(train)
        self.validation = validation
        self.optimizer = optimizer
        self.random_state = random_state
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.one_epoch = one_epoch
        self.threads = n_threads(estimator.n_jobs)
        self.began = monotonic()
        self.best_blocks = blocks  # of early stopping; a warm start begins with the best so far
        self.permutation = np.arange(self.n)
        self.rate = 0.0  # of the epoch at hand
        self.epoch: Epoch | None = None  # where it stands; None between epochs
        self.marked: tuple[dict[str, Any], dict[str, int]] | None = None
        network.write(0, blocks)
        for slot, state in enumerate(optimizer.state, start=1):
            network.write(slot, [as_block(block, blocks[0].dtype) for block in state])

    def state(self) -> dict[str, Any]:
        """All that changes from step to step: `restore` makes a new training go on from it."""
        slots = range(1 + _native.SOLVER_SLOTS[self.optimizer.solver])
        return {
            **self._books(),
            "slots": [self.network.read(slot) for slot in slots],
            "seconds": monotonic() - self.began,
        }

    def _books(self) -> dict[str, Any]:
        """What Python keeps of it."""
        optimizer, schedule = self.optimizer, self.optimizer.schedule
        return {
            "records": {name: getattr(self.estimator, name) for name in RECORDS},
            "best": self.best_blocks if self.estimator.early_stopping else None,
            "steps": optimizer.steps,
            "schedule": [schedule.epoch, schedule.slowed, schedule.bad_epochs],
            "rate": self.rate,
            "epoch": self.epoch,
            "permutation": self.permutation if self.estimator.shuffle else None,
            "random_state": self.random_state.get_state(legacy=False),
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
        for slot, blocks in enumerate(state["slots"]):
            self.network.write(slot, blocks)
        self.began -= state["seconds"]
        self._restore_books(state)

    def _restore_books(self, books: dict[str, Any]) -> None:
        for name, value in books["records"].items():
            setattr(self.estimator, name, value)
        if books["best"] is not None:
            self.best_blocks = books["best"]
        optimizer, schedule = self.optimizer, self.optimizer.schedule
        optimizer.steps = books["steps"]
        schedule.epoch, schedule.slowed, schedule.bad_epochs = books["schedule"]
        self.rate, self.epoch = books["rate"], books["epoch"]
        if books["permutation"] is not None:
            self.permutation = books["permutation"]
        self.random_state.set_state(books["random_state"])

    def _mark(self) -> None:
        """Remember the books, which fit the weights now; changes to them follow."""
        if self.checkpoint.path is None:
            return
        books = self._books()
        records = books["records"].items()
        lengths = {name: len(value) for name, value in records if isinstance(value, list)}
        self.marked = books, lengths

    def _leave(self) -> None:
        """Leave a checkpoint. An exception may have come in the midst of changes to the books."""
        if self.marked is None:
            return
        if self.epoch is None:
            books, lengths = self.marked
            self._restore_books(books)
            for name, length in lengths.items():
                del getattr(self.estimator, name)[length:]
        self.checkpoint.leave(self.estimator.n_iter_, self.state())

    def run(self) -> Blocks:
        """Train; returns the parameters, with early stopping the best ones."""
        e, optimizer, network = self.estimator, self.optimizer, self.network
        self.checkpoint.restore(self.restore)
        self._mark()
        deadline = np.inf if e.max_time is None else self.began + e.max_time
        diverged = False
        try:
            while e.n_iter_ < e.max_iter:
                self._run_epoch(deadline)
                self._mark()
                self._record_epoch()
                diverged = not np.isfinite(e.loss_)
                if diverged:
                    break
                if optimizer.schedule.epoch_ended(e.t_, e._no_improvement_count == 0):
                    e._no_improvement_count = 0
                if self.callbacks.epoch_ended(lambda: network.read(0)):
                    break

                if e._no_improvement_count > e.n_iter_no_change:
                    what = "Validation score" if e.early_stopping else "Training loss"
                    reason = (
                        f"{what} did not improve more than tol={e.tol:f} for "
                        f"{e.n_iter_no_change:.0f} consecutive epochs."
                    )
                    if optimizer.schedule.gives_up(reason, e.verbose):
                        break
                    e._no_improvement_count = 0
                if self.one_epoch or monotonic() > deadline:
                    break
                if e.n_iter_ == e.max_iter:
                    warn(
                        f"Stochastic Optimizer: Maximum iterations ({e.max_iter}) "
                        "reached and the optimization hasn't converged yet.",
                        ConvergenceWarning,
                    )
        except KeyboardInterrupt:
            self._leave()
            if self.epoch is not None:
                _, counted, loss, _, steps = self.epoch
                optimizer.steps += steps
                if e.n_iter_ == 0 and counted > 0:
                    e.loss_ = loss / counted
            warn("Training interrupted by user.")
        except BaseException:
            self._leave()
            raise
        if diverged:
            self._tell_divergence()
        slots = _native.SOLVER_SLOTS[optimizer.solver]
        optimizer.state = [network.read(slot) for slot in range(1, 1 + slots)]
        if not e.early_stopping:
            return network.read(0)
        if e.n_iter_ > 0 and np.isnan(e.validation_scores_[-e.n_iter_ :]).all():
            warn(
                "No score of the validation samples was a number, so there are no best weights: "
                "those of the last epoch are kept. Are there enough samples, of every class?",
                ConvergenceWarning,
            )
            return network.read(0)
        if e.best_validation_score_ == -np.inf:  # interrupted before there was a score
            return network.read(0)
        return self.best_blocks

    def _run_epoch(self, deadline: float) -> None:
        """Train for an epoch, or for the rest of the one at hand."""
        e, checkpoint = self.estimator, self.checkpoint
        if self.epoch is None:
            self._mark()
            if checkpoint.is_due(e.n_iter_):
                checkpoint.write(e.n_iter_, self.state())
            self.rate = self.optimizer.schedule.next_rate()
            if e.shuffle:
                shuffled = np.arange(self.n)
                self.random_state.shuffle(shuffled)
                self.permutation = self.permutation[shuffled]
            self.epoch = (0, 0, 0.0, 0.0, 0)
        order = self.train
        if e.shuffle:
            order = self.permutation if order is None else order[self.permutation]
        self.callbacks.epoch_begins()
        while self.epoch[0] < self.n:
            self.epoch, raised = self.optimizer.go_on(
                self.network,
                self.data,
                order,
                self.rate,
                self.epoch,
                min(deadline, checkpoint.due_at),
                self.threads,
            )
            if raised is not None:
                raise raised
            if monotonic() > deadline:
                break
            if self.epoch[0] < self.n and monotonic() > checkpoint.due_at:
                checkpoint.write(e.n_iter_, self.state())

    def _record_epoch(self) -> None:
        """Record an epoch that has ended, and whether it was an improvement."""
        e = self.estimator
        assert self.epoch is not None
        rows, counted, total, _, steps = self.epoch
        loss = total / max(counted, 1)
        if self.validation is not None:  # before anything is recorded, for it may be interrupted
            blocks = self.network.read(0)
            score, validation_loss = e._validation_score(blocks, self.validation)
            if np.isnan(validation_loss):  # whatever labels there are in NaN
                score = np.nan
        self.epoch = None
        if self.validation is not None:
            e.validation_scores_.append(score)
            e.validation_loss_curve_.append(validation_loss)
        self.optimizer.steps += steps
        e.n_iter_ += 1
        e.loss_ = loss
        e.t_ += rows
        e.loss_curve_.append(loss)
        e.learning_rate_curve_.append(self.rate)
        if e.verbose:
            print(f"Iteration {e.n_iter_}, loss = {loss:.8f}")
            if self.validation is not None:
                print(f"Validation score: {score:f}")
        if e.early_stopping:
            improved = score >= e.best_validation_score_ + e.tol  # NaN is no progress
            if score > e.best_validation_score_:
                e.best_validation_score_ = score
                self.best_blocks = blocks
        else:
            improved = not loss > e.best_loss_ - e.tol
            e.best_loss_ = min(e.best_loss_, loss)
        e._no_improvement_count = 0 if improved else e._no_improvement_count + 1

    def _tell_divergence(self) -> None:
        """An error, unless early stopping has weights from before."""
        e = self.estimator
        text = divergence(e, self.network.read(0))
        if not e.early_stopping or e.best_validation_score_ == -np.inf:
            self.checkpoint.end()
            raise ValueError(text)
        warn(f"{text} The best weights so far are kept.", ConvergenceWarning)


def flat_order(n_layers: int, n_blocks: int) -> list[int]:
    """Places of the blocks in one flat vector, scikit-learn's: weights, biases, then the rest."""
    return [
        *range(0, 2 * n_layers, 2),
        *range(1, 2 * n_layers, 2),
        *range(2 * n_layers, n_blocks),
    ]


def fit_lbfgs(
    estimator: Any,
    network: Network,
    blocks: Blocks,
    data: Data,
    callbacks: Callbacks,
    checkpoint: Checkpoint,
) -> Blocks:
    """Minimise the loss over all rows with SciPy's L-BFGS-B, on the core's loss and gradient.

    The parameters and returned blocks are as of `Training`; the network keeps its gradient. A
    checkpoint holds all evaluations so far: played back to SciPy, they lead it the same way. Where
    it asks for another point than before (it is another SciPy), the rest is not played back.
    """
    from scipy.optimize import minimize

    e = estimator
    dtype = blocks[0].dtype
    places = flat_order(e.n_layers_ - 1, len(blocks))
    ends = np.cumsum([blocks[place].size for place in places])

    def flat(blocks: Blocks) -> Array:
        return np.concatenate([blocks[place].ravel() for place in places])

    def unflat(theta: Array) -> Blocks:
        parts = np.split(theta.astype(dtype), ends[:-1])
        new = list(blocks)
        for place, part in zip(places, parts, strict=True):
            new[place] = part.reshape(blocks[place].shape)
        return new

    threads = n_threads(e.n_jobs)
    evaluations: list[tuple[str, float, Array]] = []  # point, loss, gradient; for the checkpoint
    to_play_back = 0
    began = monotonic()
    theta = flat(blocks).astype(np.float64)  # of the last iteration
    made = 0
    stopped = False

    def state() -> dict[str, Any]:
        return {"evaluations": evaluations, "seconds": monotonic() - began}

    def restore(state: dict[str, Any]) -> None:
        nonlocal to_play_back, began
        for point, loss, gradient in state["evaluations"]:
            if gradient.shape != theta.shape or gradient.dtype != dtype:
                raise ValueError("its gradients are not those of this network")
            evaluations.append((point, loss, gradient))
        to_play_back = len(evaluations)
        began -= state["seconds"]

    def loss_and_gradient(theta: Array) -> tuple[float, Array]:
        nonlocal made, to_play_back
        made += 1
        point = "" if checkpoint.path is None else hashlib.sha256(theta.data).hexdigest()
        if made <= to_play_back and evaluations[made - 1][0] != point:
            to_play_back = made - 1
            del evaluations[to_play_back:]
        if made <= to_play_back:
            _, loss, gradient = evaluations[made - 1]
        else:
            network.write(0, unflat(theta))
            loss, derivatives = network.gradient(
                data.x, data.targets, data.weights, None, n_threads=threads
            )
            gradient = flat(derivatives)
            if checkpoint.path is not None:
                evaluations.append((point, loss, gradient))
        if made == 1:
            e.loss_ = loss
        return loss, gradient.astype(np.float64)

    def iteration_ended(intermediate_result: Any) -> None:
        nonlocal theta, stopped
        theta, e.loss_ = intermediate_result.x.copy(), float(intermediate_result.fun)
        e.n_iter_ += 1
        new = made > to_play_back
        if e.verbose and new:
            print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
        stopped = callbacks.epoch_ended(lambda: unflat(theta)) or (new and monotonic() > deadline)
        if stopped:
            raise StopIteration
        if checkpoint.is_due(e.n_iter_):
            checkpoint.write(e.n_iter_, state())
        if e.n_iter_ < e.max_iter:
            callbacks.epoch_begins()

    e.n_iter_ = 0
    e.loss_ = np.nan
    checkpoint.restore(restore)
    deadline = np.inf if e.max_time is None else began + e.max_time
    try:
        if checkpoint.is_due(0):
            checkpoint.write(0, state())
        callbacks.epoch_begins()
        result = minimize(
            loss_and_gradient,
            theta,
            method="L-BFGS-B",
            jac=True,
            callback=iteration_ended,
            options={"maxfun": e.max_fun, "maxiter": e.max_iter, "gtol": e.tol},
        )
    except KeyboardInterrupt:
        checkpoint.leave(e.n_iter_, state())
        warn("Training interrupted by user.")
        return unflat(theta)
    except BaseException:
        checkpoint.leave(e.n_iter_, state())
        raise
    e.n_iter_ = min(result.nit, e.max_iter)
    e.loss_ = float(result.fun)
    if not np.isfinite(e.loss_):
        checkpoint.end()
        raise ValueError(divergence(e, unflat(result.x)))
    if result.status != 0 and not stopped:
        more = (
            "\nIncrease the number of iterations to improve the convergence "
            f"(max_iter={e.max_iter})."
            if e.n_iter_ == e.max_iter
            else ""
        )
        warn(
            f"lbfgs failed to converge after {e.n_iter_} iteration(s) (status={result.status}):\n"
            f"{result.message}\n{more}\nYou might also want to scale the data as shown in:\n"
            "    https://scikit-learn.org/stable/modules/preprocessing.html",
            ConvergenceWarning,
        )
    return unflat(result.x)
