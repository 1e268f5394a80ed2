"""Networks that are trained side by side on one matrix, each validated on rows of its own."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from math import cos, log2, pi
from threading import Event, Lock
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array, Order
from fastmlp.core.warnings import warn
from fastmlp.estimators.validation import ValidationInput
from fastmlp.tables.table_encoder import EncodedRows
from fastmlp.training.checkpoint import Checkpoint
from fastmlp.training.progress import Progress
from fastmlp.training.training import Training, Watcher, Watchers


@dataclass(eq=False)
class Plan:
    """How long a member is trained, and at which rate.

    Attributes
    ----------
    rate : float
        The highest learning rate.
    epochs : int
    seconds : float
        Time limit of a member.
    stop : Event
        Set: the epoch at hand is the last.
    """

    rate: float
    epochs: int
    seconds: float = np.inf
    stop: Event = field(default_factory=Event)


class Sample(NamedTuple):
    """What all rows have besides their features, and how predictions of them are judged.

    Attributes
    ----------
    y : ndarray of shape (n,) or (n, n_outputs)
    weight : ndarray of shape (n,) or None
    score : callable
        Of a network, X, y and sample weights: the higher, the better.
    classes : ndarray of shape (n_classes,) or None
        None of a regressor.
    """

    y: Array
    weight: Array | None
    score: Callable[..., float]
    classes: Array | None = None


class EnsembleProgress:
    """How far all members have come together; their threads tell of it."""

    def __init__(self, progress: Progress, n_members: int) -> None:
        self.progress = progress
        self.epochs = [0.0] * n_members
        self.best = -np.inf
        self.lock = Lock()

    def tell(self, member: int, epochs: float, score: float = -np.inf) -> None:
        """Take how many epochs a member has made, and the score of the last one."""
        with self.lock:
            self.epochs[member] = epochs
            self.best = max(self.best, score)
            figures = {"best score": self.best} if self.best > -np.inf else {}
            self.progress.tell(sum(self.epochs), figures)

    def end(self, reason: str) -> None:
        """Show no more."""
        with self.lock:
            self.progress.end(reason)


class _Member(Watcher):
    """Ends the training of one member, and says how far along it is."""

    def __init__(self, plan: Plan, number: int, together: EnsembleProgress) -> None:
        self.plan, self.number, self.together = plan, number, together
        self.calls_per_epoch = 1
        self.began = monotonic()

    def rate(self, epoch: int) -> float:
        """The learning rate: four periods of a cosine, each twice as long as the one before.

        Holzmüller, Grinsztajn & Steinwart (NeurIPS 2024). Where time is short it runs out sooner.
        """
        share = (epoch + 0.5) / (self.plan.epochs * self.calls_per_epoch)
        share = min(max(share, (monotonic() - self.began) / self.plan.seconds), 1.0)
        return max(self.plan.rate * (1 - cos(2 * pi * log2(1 + 15 * share))) / 2, 1e-9)

    @property
    def wake_at(self) -> float:  # type: ignore[override]
        """When the next text is due."""
        return self.together.progress.wake_at

    def is_to_stop(self) -> bool:
        """Whether training was stopped, or its time is over."""
        return self.plan.stop.is_set() or monotonic() - self.began > self.plan.seconds

    def steps_made(self, training: Training) -> None:
        """Tell how far a long epoch has come."""
        if training.has_rows_left:
            self.together.tell(self.number, training.epochs_made)

    def epoch_ended(self, training: Training) -> bool:
        """Tell of it; whether it was the last one."""
        score = training.estimator.validation_scores_[-1]
        self.together.tell(self.number, training.n_iter, score)
        return training.n_iter >= self.plan.epochs or self.is_to_stop()


def assign_folds(
    n: int, n_folds: int, labels: Array | None, random: np.random.RandomState
) -> list[Order]:
    """Row numbers of some folds of n rows; with `labels` (n,) each has its share of each class."""
    order = random.permutation(n)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    return [np.sort(order[fold::n_folds]) for fold in range(n_folds)]


def train_member(
    member: Any,
    encoded: EncodedRows,
    sample: Sample,
    validation: ValidationInput,
    watcher: _Member,
) -> Any:
    """Train one network; the parameters are those of its best epoch on the validation rows."""
    member.learning_rate = watcher.rate
    if encoded.matrix is None:
        _train_in_blocks(member, encoded, sample, validation, watcher)
    else:
        member.early_stopping = True
        training = member._begin(
            encoded.matrix, sample.y, sample.weight, validation, Checkpoint(None, 1)
        )
        training.watchers = Watchers([watcher])
        blocks = training.run()
        vars(member).update(member._parameter_attributes(blocks))
    # what was needed for training only, a file could not hold
    member.set_params(learning_rate="constant", scoring=None, init="glorot_uniform")
    return member


def _train_in_blocks(
    member: Any,
    encoded: EncodedRows,
    sample: Sample,
    validation: ValidationInput,
    watcher: _Member,
) -> None:
    """The same for rows that are too many to be encoded at once: `partial_fit` block by block."""
    plan = watcher.plan
    random = np.random.RandomState(member.random_state)
    rows, validation = _held_out(encoded, sample, validation, random)
    classes = {} if sample.classes is None else {"classes": sample.classes}
    n_blocks = -(-len(rows) // encoded.block)
    watcher.calls_per_epoch = n_blocks
    best, scores = -np.inf, []
    for epoch in range(plan.epochs):
        random.shuffle(rows)
        for made, block in enumerate(np.array_split(rows, n_blocks)):
            watcher.together.tell(watcher.number, epoch + made / n_blocks)
            weight = None if sample.weight is None else sample.weight[block]
            member.partial_fit(
                encoded.take(block), sample.y[block], sample_weight=weight, **classes
            )
            if watcher.is_to_stop():
                break
        scores.append(sample.score(member, *validation[:3]))
        watcher.together.tell(watcher.number, epoch + 1, scores[-1])
        if scores[-1] > best:
            best, blocks = scores[-1], member._blocks()
        if watcher.is_to_stop():
            break
    vars(member).update(member._parameter_attributes(blocks), n_iter_=len(scores))
    member.validation_scores_ = scores
    vars(member).pop("_optimizer", None)


def _held_out(
    encoded: EncodedRows, sample: Sample, validation: ValidationInput, random: np.random.RandomState
) -> tuple[Order, ValidationInput]:
    """The rows to train on, and a sample of those that are held out, encoded."""
    n = len(sample.y)
    if validation.rows is None:
        return np.arange(n), validation
    train = np.delete(np.arange(n), validation.rows)
    some = validation.rows
    if len(some) > encoded.block:
        some = random.choice(some, encoded.block, replace=False)
    weight = None if sample.weight is None else sample.weight[some]
    return train, ValidationInput(encoded.take(some), sample.y[some], weight)


def train_members(
    members: Sequence[Any],
    encoded: EncodedRows,
    samples: Sequence[Sample],
    validations: Sequence[ValidationInput],
    plan: Plan,
    progress: Progress,
    n_jobs: int | None,
    least: int,
) -> list[Any]:
    """Train networks in threads, as many at a time as there are.

    Parameters
    ----------
    members : sequence of MLPClassifier or MLPRegressor
    encoded : EncodedRows
    samples : sequence of Sample
    validations : sequence of ValidationInput
    plan : Plan
        An interrupt from the keyboard stops it: members that have not begun are then left out.
    progress : Progress
        Of the epochs of all members.
    n_jobs : int or None
    least : int
        So many of the first are never left out: one of each kind.

    Returns
    -------
    list
        The fitted members.
    """
    threads = n_threads(n_jobs)
    workers = min(threads, len(members))
    together = EnsembleProgress(progress, len(members))
    for member in members:
        member.n_jobs = threads // workers

    def train(i: int) -> Any:
        if plan.stop.is_set() and i >= least:
            return None
        watcher = _Member(plan, i, together)
        return train_member(members[i], encoded, samples[i], validations[i], watcher)

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(train, i) for i in range(len(members))]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            together.end("interrupted")
            warn("Training interrupted by user.")
        finally:
            if not all(future.done() for future in futures):
                plan.stop.set()
        fitted = [future.result() for future in futures]
    for member in members:
        member.n_jobs = None
    return [member for member in fitted if member is not None]
