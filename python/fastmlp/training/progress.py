"""How far a fit has come, shown on stderr as it goes on: ``verbose="bar"``."""

import sys
from collections.abc import Mapping
from datetime import timedelta
from math import inf, isfinite
from multiprocessing import parent_process
from shutil import get_terminal_size
from threading import current_thread, main_thread
from time import monotonic
from types import TracebackType
from typing import Any, Self, TextIO

from fastmlp.training.training import Training, Watcher

# seconds from one text to the next: of one that is written over, and of lines that stay
_LIVE, _LOGGED = 0.1, 10.0


def wants_bar(verbose: Any) -> bool:
    """Whether an estimator's `verbose` is 'bar'."""
    return isinstance(verbose, str)


def printed(verbose: Any) -> Any:
    """How much `verbose` wants to have printed of each epoch, which is nothing with a bar."""
    return 0 if wants_bar(verbose) else verbose


class Progress:
    """What is shown of a fit with ``verbose="bar"``; with another value nothing.

    Parameters
    ----------
    estimator : estimator
        Its `verbose` counts, and the final line begins with the name of its class.
    total : int
        The largest number of epochs or iterations.
    unit : str
        What one of them is called.
    shown : bool
        False for a call of `partial_fit`.

    Attributes
    ----------
    is_shown : bool
        Whether there is anything to show.
    wake_at : float
        When the next text is due, on the monotonic clock.
    """

    def __init__(
        self, estimator: Any, total: int, unit: str = "epoch", *, shown: bool = True
    ) -> None:
        self.name, self.unit, self.total = type(estimator).__name__, unit, total
        self.is_shown = shown and wants_bar(estimator.verbose)
        self.wake_at = inf
        self.done: float = 0
        self.figures: Mapping[str, float] = {}
        self._screen: _Lines | None = None

    def begin(self, done: int = 0) -> None:
        """Begin with what an earlier process has made."""
        self.first = self.done = done
        self.began = monotonic()
        if self.is_shown:
            self._screen = _screen()
        if self._screen is not None:
            self.wake_at = self.began + self._screen.period

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.end(error)

    def tell(self, done: float, figures: Mapping[str, float]) -> None:
        """Take how many epochs were made, and figures of the last one; show them where it is time.

        A text costs as much as a short epoch, so there is none in between.
        """
        self.done, self.figures = done, figures
        if self._screen is not None and self.is_due():
            self._screen.show(self)
            self.wake_at = monotonic() + self._screen.period

    def is_due(self) -> bool:
        """Whether it is time for the next text."""
        return monotonic() > self.wake_at

    def end(self, reason: BaseException | str | None = None) -> None:
        """Leave one final line; what is told later is not shown.

        Parameters
        ----------
        reason : exception, str or None
            Why there are no more epochs, where that is known.
        """
        if self._screen is None:
            return
        if isinstance(reason, BaseException):
            reason = "interrupted" if isinstance(reason, KeyboardInterrupt) else "failed"
        elif reason is None and self.done < self.total:
            reason = "ended early"
        screen, self._screen, self.wake_at = self._screen, None, inf
        time = _duration(monotonic() - self.began)
        parts = [f"{self._count_text()} in {time}", *self.figure_texts()]
        screen.clear()
        screen.write(", ".join(parts) + (f" ({reason})" if reason else ""))

    # --- its texts -------------------------------------------------------------------------------

    def line(self) -> str:
        """A line on a fit that goes on."""
        parts = [self._count_text(), *self.figure_texts()]
        made, seconds = self.done - self.first, monotonic() - self.began
        if made > 0 and seconds > 0:
            left = _duration((self.total - self.done) * seconds / made)
            pace = made / seconds
            speed = f"{pace:.3g} {self.unit}s/s" if pace > 1 else f"{1 / pace:.3g} s/{self.unit}"
            parts[1:1] = [f"{left} left", speed]
        return ", ".join(parts)

    def figure_texts(self) -> list[str]:
        """The loss and the like."""
        return [f"{name} {value:.4g}" for name, value in self.figures.items()]

    def count(self) -> float:
        """Epochs to one decimal, which is not there between two of them."""
        rounded = round(self.done, 1)
        return int(rounded) if rounded == int(rounded) else rounded

    def _count_text(self) -> str:
        return f"{self.name}: {self.count()} of {self.total} {self.unit}s"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


# --- where it is shown ---------------------------------------------------------------------------


class _Lines:
    """Lines one below the other."""

    def __init__(self, stream: TextIO, period: float) -> None:
        self.stream, self.period = stream, period

    def show(self, progress: Progress) -> None:
        """Show how far a fit is that goes on."""
        self.write(progress.line())

    def clear(self) -> None:
        """Take away what is not to stay."""

    def write(self, text: str) -> None:
        """Write a line that stays, above the bars that the user or other threads may have."""
        tqdm = sys.modules.get("tqdm")
        if tqdm is None:
            self.stream.write(f"{text}\n")  # at once, for other processes may write too
        else:
            tqdm.tqdm.write(f"{text}\n", self.stream, end="")


class _OneLine(_Lines):
    """A line that is written over, where tqdm is not installed."""

    def show(self, progress: Progress) -> None:
        """Write over it."""
        self._replace(progress.line())

    def clear(self) -> None:
        """Leave it empty."""
        self._replace("")
        self.stream.write("\r")

    def _replace(self, text: str) -> None:
        width = get_terminal_size().columns - 1  # a longer one could not be written over
        self.stream.write(f"\r{text[:width]:<{width}}")
        self.stream.flush()


class _Bar(_Lines):
    """A bar of tqdm's; a fit that is shorter than the period has none."""

    def __init__(self, stream: TextIO, period: float, tqdm: Any) -> None:
        super().__init__(stream, period)
        self.tqdm = tqdm
        self.bar: Any = None

    def show(self, progress: Progress) -> None:
        """Move it on."""
        if self.bar is None:
            self.bar = self.tqdm(
                total=progress.total,
                initial=progress.first,
                unit=progress.unit,
                file=self.stream,
                leave=False,
                dynamic_ncols=True,
            )
            self.bar.start_t -= monotonic() - progress.began
        bar = self.bar
        bar.n = progress.count()
        bar.set_postfix_str(", ".join(progress.figure_texts()), refresh=False)
        with bar.get_lock():  # not `refresh`, in which an interrupt would leave it locked
            bar.refresh(nolock=True)

    def clear(self) -> None:
        """Take it away."""
        if self.bar is not None:
            self.bar.total = self.bar.n  # else a notebook keeps it, in red
            self.bar.close()


def _screen() -> _Lines | None:
    """The best that there is where a fit runs."""
    stream = sys.stderr
    if stream is None:  # a program without a console
        return None
    if current_thread() is not main_thread() or parent_process() is not None:
        return _Lines(stream, inf)  # there may be others beside it: only final lines
    notebook = _is_notebook()
    if not notebook and not stream.isatty():
        return _Lines(stream, _LOGGED)
    tqdm = _find_tqdm(notebook)
    return _OneLine(stream, _LIVE) if tqdm is None else _Bar(stream, _LIVE, tqdm)


def _is_notebook() -> bool:
    """Whether the code runs in a kernel of Jupyter's, whose stderr is no terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return "IPKernelApp" in getattr(shell, "config", {})


def _find_tqdm(notebook: bool) -> Any:
    """The class of tqdm's bars, or None where it is not installed.

    Not `tqdm.auto`, which warns in a notebook without ipywidgets.
    """
    try:
        if notebook:
            try:
                import ipywidgets  # noqa: F401
                from tqdm.notebook import tqdm

                return tqdm
            except ImportError:
                pass
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm


class ProgressWatcher(Watcher):
    """Shows the progress of a network's training.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    shown : bool
        False for a call of `partial_fit`.
    """

    def __init__(self, estimator: Any, *, shown: bool) -> None:
        unit = "iteration" if estimator.solver == "lbfgs" else "epoch"
        self.progress = Progress(estimator, estimator.max_iter, unit, shown=shown)
        self.is_idle = not self.progress.is_shown

    @property
    def wake_at(self) -> float:  # type: ignore[override]
        """When the next text is due."""
        return self.progress.wake_at

    def begins(self, training: Training) -> None:
        """Begin with what an earlier process has made."""
        self.progress.begin(training.n_iter)

    def steps_made(self, training: Training) -> None:
        """Tell how far a long epoch has come."""
        if training.has_rows_left:
            self._tell(training)

    def epoch_ended(self, training: Training) -> bool:
        """Tell of it where it is time; after the last one make room for a warning."""
        if training.n_iter >= training.estimator.max_iter:
            self.stopped(training)
        elif self.progress.is_due():
            self._tell(training)
        return False

    def stopped(self, training: Training) -> None:
        """End with the reason."""
        diverged = not isfinite(training.estimator.loss_)
        late = training.n_iter < self.progress.total and monotonic() > training.deadline
        self._tell(training)
        self.progress.end("diverged" if diverged else "max_time is over" if late else None)

    def failed(self, training: Training, error: BaseException) -> None:
        """End with it."""
        self._tell(training)
        self.progress.end(error)

    def _tell(self, training: Training) -> None:
        e, figures = training.estimator, {}
        if training.n_iter > 0:
            figures["loss"] = e.loss_
            if training.validation is not None:
                figures["score"] = e.validation_scores_[-1]
        self.progress.tell(training.epochs_made, figures)
