"""A network as it learns in the playground: its training session, its past, its curves."""

from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from fastmlp.core.arrays import native_rows
from fastmlp.core.device import network_options
from fastmlp.core.network import Blocks, HeldSamples, Network
from fastmlp.core.typing import Array
from fastmlp.estimators.session import CHANGEABLE
from fastmlp.estimators.setup import architecture_of
from fastmlp.playground.own_table import OwnTable
from fastmlp.playground.problem import Problem, make_problem, show_plane
from fastmlp.playground.state import (
    LIMITS,
    StateError,
    check_parameters_fit,
    complete,
    estimator_parameters,
    live_changes,
    make_estimator,
    task_of,
)
from fastmlp.playground.watched import WatchedSession

_MOST_SNAPSHOTS, _SNAPSHOT_BYTES = 200, 64 << 20
_MOST_ON_CURVE = 2000
_PART = 25  # epochs between two looks at the clock
_HEALTH_ROWS = 64


class Measures(NamedTuple):
    """The losses and scores of a network; nan where there are no rows."""

    train_loss: float
    test_loss: float
    train_score: float
    test_score: float


class LiveNetwork:
    """A network on its problem.

    Parameters
    ----------
    state : dict
        As it came; what is missing has its default.
    own : OwnTable or None

    Attributes
    ----------
    state : dict
        The complete one.
    problem : Problem
    session : WatchedSession
    log : list of tuple
        What was done since the first weights: ``("train", epochs)``, ``("change", parameters)``,
        ``("weight", layer, input, unit, value)``.
    now : Measures
        Of the network as it is.
    curve : list of tuple
        Epochs, and the measures then; after going back also those that are still to come.
    ended : str or None
        'diverged', 'early stopping' or 'limit'.
    message : str
        Why, in words.
    """

    def __init__(self, state: Any, own: OwnTable | None) -> None:
        self.own = own
        self._given = state
        self.state = complete(state, own)
        self.problem = self._make_problem()
        self._begin()

    # --- the state -------------------------------------------------------------------------------

    def declare(self, state: Any) -> bool:
        """Make the network that of a state by the least that it takes; whether it began anew."""
        if state == self._given:
            return False
        earlier, new = self.state, complete(state, self.own)
        changes = live_changes(earlier, new)
        unmoved = self.epoch == 0 and not self.log  # where a new start loses nothing
        if changes is None or (changes and unmoved):
            self._replace(new, state)
            return True
        if changes:
            self._change(new)
        if new["data"]["plane"] != earlier["data"]["plane"]:
            show_plane(self.problem, new["data"]["plane"])
        self.state, self._given = new, state
        return False

    def _replace(self, new: dict[str, Any], given: Any) -> None:
        """Begin anew with another state; where that fails, all stays as it is."""
        before = dict(vars(self))
        try:
            same = new["data"] == self.state["data"]
            same &= new["network"]["loss"] == self.state["network"]["loss"]
            self.state = new
            if not same:
                self.problem = self._make_problem()
            self._begin()
        except Exception:
            vars(self).clear()
            vars(self).update(before)
            raise
        self._given = given

    def _change(self, new: dict[str, Any]) -> None:
        """Change a running network's parameters."""
        parameters = estimator_parameters(new, len(self.problem.y_train), self.own)
        wanted = {name: parameters[name] for name in CHANGEABLE}
        earlier = estimator_parameters(self.state, len(self.problem.y_train), self.own)
        changes = {name: v for name, v in wanted.items() if v != earlier[name]}
        if changes:  # batches of more rows than there are were all rows before
            self.session.change(**changes)
            self._note(("change", changes))

    def _make_problem(self) -> Problem:
        return make_problem(self.state["data"], self.state["network"]["loss"], self.own)

    def reset(self) -> None:
        """Begin anew from the first weights of the seed."""
        self._begin()

    def _begin(self) -> None:
        problem = self.problem
        n = len(problem.y_train)
        task = task_of(self.state["data"], self.own)
        self.estimator = make_estimator(self.state, task, n, self.own)
        check_parameters_fit(self.estimator, problem.X_train.shape[1], problem.n_outputs)
        self.session = WatchedSession(
            self.estimator, problem.X_train, self.targets(problem.y_train)
        )
        self._samples = [
            self.session.samples(X, self.targets(y)) if len(y) else None
            for X, y in ((problem.X_train, problem.y_train), (problem.X_test, problem.y_test))
        ]
        self.log: list[tuple[Any, ...]] = []
        self.ended: str | None = None
        self.message = ""
        self.seconds = 0.0
        self.curve: list[tuple[float, ...]] = []
        self._snapshots: dict[int, dict[str, Any]] = {}
        self._probe: tuple[Network, HeldSamples, int] | None = None
        self._record()

    def targets(self, y: Array) -> Array:
        """Targets as the loss takes them: shares of the classes for 'kl_divergence'."""
        if self.state["network"]["loss"] != "kl_divergence":
            return y
        return np.eye(len(self.problem.classes))[self.problem.class_numbers(y)]  # type: ignore[arg-type]

    # --- training --------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Epochs made since the first weights."""
        return self.session.epoch

    def train(self, epochs: int, budget: float | None) -> int:
        """Train; returns the epochs made, fewer where the budget of seconds is spent."""
        if self.ended or not epochs:
            return 0
        first, began = self.epoch, monotonic()
        self._forget_what_would_have_come()
        try:
            while self.epoch < first + epochs and not self.session.has_ended:
                left = min(first + epochs, LIMITS["epochs"]) - self.epoch
                self.session.train(left if budget is None else min(left, _PART))
                if budget is not None and monotonic() - began > budget:
                    break
                if self.epoch >= LIMITS["epochs"]:
                    self.ended = "limit"
                    self.message = f"Training ends after {LIMITS['epochs']} epochs. Reset it."
                    break
        except ValueError as error:
            self.ended, self.message = "diverged", str(error)
        if self.session.has_ended:
            self._tell_of_early_stopping()
        self.seconds = monotonic() - began
        made = self.epoch - first
        self._note(("train", made))
        self._record()
        return made

    def _tell_of_early_stopping(self) -> None:
        best, score = self.session.best_validation()
        self.ended = "early stopping"
        self.message = (
            f"Early stopping ended training: the score on the rows set aside was best in epoch "
            f"{best} ({score:.3f}). The network is that of this epoch."
        )

    def set_weight(self, layer: int, input: int | None, unit: int, value: float) -> None:
        """Set a weight, or a bias."""
        self._forget_what_would_have_come()
        self.session.set_weight(layer, input, unit, value)
        self._note(("weight", layer, input, unit, value))
        self._record()

    def _note(self, entry: tuple[Any, ...]) -> None:
        """Note in the log what was done; epochs in a row are one entry."""
        if entry[0] == "train" and self.log and self.log[-1][0] == "train":
            entry = ("train", self.log.pop()[1] + entry[1])
        if entry != ("train", 0):
            self.log.append(entry)

    # --- the past --------------------------------------------------------------------------------

    @property
    def snapshots(self) -> list[int]:
        """The epochs that one can go back to."""
        return sorted(self._snapshots)

    def blocks_of(self, epoch: int) -> Blocks:
        """The parameters of a snapshot."""
        return self.session.blocks_of(self._snapshots[epoch]["session"])

    def back(self, epoch: int) -> None:
        """Go back to a snapshot, or forth to one from which nothing else was done."""
        found = self._snapshots.get(epoch)
        if found is None:
            raise StateError(
                f"back must be the epoch of a snapshot. Got {epoch}; there are "
                f"{', '.join(map(str, self.snapshots)) or 'none'}.",
                "back",
            )
        self.session.restore(found["session"])
        self.log = list(found["log"])
        self.ended, self.message = found["ended"], found["message"]
        self.now = self._measure()
        wanted, self.state = self.state, found["state"]
        if live_changes(self.state, wanted):
            self._change(wanted)
        self.state = wanted

    def _forget_what_would_have_come(self) -> None:
        """Forget the snapshots after the epoch at hand, and the curve there."""
        now = self.epoch
        for epoch in [epoch for epoch in self._snapshots if epoch > now]:
            del self._snapshots[epoch]
        while self.curve and self.curve[-1][0] > now:
            self.curve.pop()

    def _record(self) -> None:
        """Put the losses and scores on the curve, and keep a snapshot."""
        self.now = self._measure()
        if self.curve and self.curve[-1][0] == self.epoch:
            self.curve.pop()
        self.curve.append((self.epoch, *self.now))
        if len(self.curve) > _MOST_ON_CURVE:
            del self.curve[1:-1:2]
        if self.ended == "diverged":
            return
        self._snapshots[self.epoch] = {
            "session": self.session.snapshot(),
            "log": list(self.log),
            "state": self.state,
            "ended": self.ended,
            "message": self.message,
        }
        if len(self._snapshots) > self._most_snapshots():
            for epoch in self.snapshots[1:-1:2]:
                del self._snapshots[epoch]

    def _measure(self) -> Measures:
        """Losses and scores of the network as it is."""
        scores, losses = [], []
        for samples in self._samples:
            score, loss = (np.nan, np.nan) if samples is None else self._evaluate(samples)
            scores.append(score)
            losses.append(loss)
        return Measures(*losses, *scores)

    def _evaluate(self, samples: Any) -> tuple[float, float]:
        """The score and the loss; R2 needs two samples."""
        score, loss = (
            self.session.evaluate(samples)
            if samples.data.n > 1 or self.problem.classes is not None
            else (np.nan, self.session.loss(samples))
        )
        return score, loss

    def _most_snapshots(self) -> int:
        size = self.session.snapshot_bytes
        return int(np.clip(_SNAPSHOT_BYTES // size, 4, _MOST_SNAPSHOTS))

    # --- a look at it ----------------------------------------------------------------------------

    def health(self) -> Array:
        """Gradient norm, shares of dead and of saturated units, per layer (n_layers, 3)."""
        if self._probe is None:
            self._probe = self._make_probe()
        network, held, n = self._probe
        network.write(self.session.blocks())
        rows = np.linspace(0, n - 1, min(n, _HEALTH_ROWS))
        found = network.diagnose(held, rows.astype(np.int64), n_threads=1)
        return found[:, [0, 2, 3]]

    def _make_probe(self) -> tuple[Network, HeldSamples, int]:
        """A network of the same kind without penalties, and the rows to train on, so many."""
        worker = self.session.fitted()
        prepared = self._samples[0]
        assert prepared is not None
        samples = prepared.data.samples
        dtype = worker.coefs_[0].dtype
        architecture = architecture_of(worker.set_params(dropout=0.0))
        network = Network(
            architecture,
            dtype,
            alpha=0.0,
            batch=min(len(samples.targets), _HEALTH_ROWS),
            sparse=False,
            keep_gradient=True,
            **network_options(worker, dtype),
        )
        samples = samples._replace(rows=native_rows(self.problem.X_train, dtype))
        return network, network.hold(samples), len(samples.targets)
