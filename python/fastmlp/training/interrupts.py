"""What an interrupt from the keyboard means for training."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastmlp.core.warnings import warn
from fastmlp.training.distributed import ALONE, InterruptOfAll, Team


@contextmanager
def interruptible(team: Team = ALONE) -> Iterator[None]:
    """Training that an interrupt ends with a warning: the model so far is kept.

    On several ranks it must be one of all. Where a user's own handler or callable has raised it on
    one rank, the others are still training, and it is an error like any other.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if team.size > 1 and not isinstance(interrupt, InterruptOfAll):
            raise
        warn("Training interrupted by user.")
