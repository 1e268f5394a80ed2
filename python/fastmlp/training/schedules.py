"""The learning rate from epoch to epoch."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import cos, isfinite, pi
from typing import Any

# scikit-learn's names are for 'sgd' only, as there; the others for every first-order solver
SGD_SCHEDULES = ("constant", "invscaling", "adaptive")
SCHEDULES = (*SGD_SCHEDULES, "cosine", "one_cycle", "step", "exponential", "plateau")


def _cosine_between(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) * (1 + cos(pi * min(share, 1.0))) / 2


@dataclass(repr=False, eq=False)
class Schedule:
    """A schedule and how far it has come.

    Parameters
    ----------
    name : str or callable
        The estimators' `learning_rate`.
    first : float
        `learning_rate_init`.
    last_epoch : int
        Epochs that 'one_cycle' plans for, and a 'cosine' without a period.
    power_t, decay, period, period_mult, least, warmup
        The estimators' `power_t`, `learning_rate_decay`, `_period`, `_period_mult`, `_min` and
        `warmup_epochs`.
    for_sgd : bool
        Whether the solver is 'sgd'.
    """

    name: str | Callable[[int], float]
    first: float
    last_epoch: int
    power_t: float
    decay: float | None
    period: int | None
    period_mult: int
    least: float
    warmup: int
    for_sgd: bool

    def __post_init__(self) -> None:
        self.epoch = 0  # the next one
        self.reduced_rate = self.first  # of 'adaptive', 'plateau' and 'invscaling'
        self.bad_epochs = 0
        if self.name in SGD_SCHEDULES and not self.for_sgd:
            self.name = "constant"
        defaults = {"step": 10, "plateau": 5}
        self.factor = self.decay or (0.95 if self.name == "exponential" else 0.1)
        rest = max(self.last_epoch - self.warmup, 1)
        self.epochs = self.period or defaults.get(str(self.name), rest)

    @property
    def is_planned(self) -> bool:
        """Whether it descends once, over all epochs of the fit: only at their end it is done."""
        rest = self.last_epoch - self.warmup
        return self.name == "one_cycle" or (self.name == "cosine" and self.epochs == max(rest, 1))

    @property
    def has_run_its_course(self) -> bool:
        """Whether it was planned and has come to its end."""
        return self.is_planned and self.epoch >= max(self.last_epoch, self.warmup + 1)

    def go_on_from(self, earlier: "Schedule") -> None:
        """Go on where another schedule has come to; what it reduced the rate by stays."""
        self.epoch = earlier.epoch
        if self.name == earlier.name:
            self.bad_epochs = earlier.bad_epochs
            self.reduced_rate = self.first * (earlier.reduced_rate / earlier.first)

    @classmethod
    def parameters(cls) -> list[str]:
        """The names of the constructor's parameters."""
        return [field.name for field in fields(cls)]

    def next_rate(self) -> float:
        """The rate of the epoch that begins now.

        Raises
        ------
        ValueError
            A callable gave anything but a positive finite number.
        """
        epoch = self.epoch
        if epoch < self.warmup:
            rate = self.first * (epoch + 1) / (self.warmup + 1)
        else:
            rate = self._rate(epoch - self.warmup)
        self.epoch += 1  # a callable that raises leaves all as it was
        return rate

    def _rate(self, epoch: int) -> float:
        if callable(self.name):
            rate: Any = self.name(epoch)
            try:
                if rate > 0 and isfinite(rate):
                    return float(rate)
            except TypeError:
                pass
            raise ValueError(
                "learning_rate, called with an epoch, must return a positive finite number. "
                f"Got {rate!r} for epoch {epoch} instead."
            )
        if self.name == "step":
            return max(self.first * self.factor ** (epoch // self.epochs), self.least)
        if self.name == "exponential":
            return max(self.first * self.factor**epoch, self.least)
        if self.name == "cosine":  # Loshchilov & Hutter, ICLR 2017 (SGDR)
            length = self.epochs
            while epoch >= length:  # a warm restart
                epoch -= length
                length *= self.period_mult
            return _cosine_between(self.first, self.least, epoch / length)
        if self.name == "one_cycle":  # Smith & Topin, 2018: up for 0.3 of the epochs, then down
            total = max(self.last_epoch - self.warmup, 1)
            top = 0.3 * (total - 1)
            if epoch < top:
                return _cosine_between(self.first / 25, self.first, epoch / top)
            rest = total - 1 - top
            share = (epoch - top) / rest if rest > 0 else 0.0
            return _cosine_between(self.first, max(self.first / 25e4, self.least), share)
        return self.reduced_rate

    def epoch_ended(self, samples_seen: int, improved: bool) -> bool:
        """Take note of an epoch; returns whether 'plateau' has just reduced the rate."""
        if self.name == "invscaling":
            self.reduced_rate = self.first / (samples_seen + 1) ** self.power_t
        elif self.name == "plateau":
            self.bad_epochs = 0 if improved else self.bad_epochs + 1
            if self.bad_epochs > self.epochs:
                before = self.reduced_rate
                self.reduced_rate = max(before * self.factor, self.least)
                self.bad_epochs = 0
                return 1e-6 < self.reduced_rate < before
        return False

    def gives_up(self, reason: str, verbose: Any) -> bool:
        """No progress: stop, unless the rate is to fall as planned or 'adaptive' can reduce it."""
        if self.is_planned:
            return False
        adaptive = self.name == "adaptive"
        if adaptive and self.reduced_rate > 1e-6:
            self.reduced_rate /= 5.0
            if verbose:
                print(f"{reason} Setting learning rate to {self.reduced_rate:f}")
            return False
        if verbose:
            print(f"{reason} {'Learning rate too small. ' if adaptive else ''}Stopping.")
        return True
