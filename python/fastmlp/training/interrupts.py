"""What an interrupt from the keyboard means for training."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastmlp.core.warnings import warn


@contextmanager
def interruptible() -> Iterator[None]:
    """Training that an interrupt ends with a warning: the model so far is kept."""
    try:
        yield
    except KeyboardInterrupt:
        warn("Training interrupted by user.")
