"""The state of a fit in a file, from which the same call goes on when its process was ended.

The file (`core.container`) holds what tells one fit from another, and a state, which `Training`
makes and takes. The state belongs to a training that was set up by the same call: first weights and
the validation split are not in it.
"""

import functools
import hashlib
import os
from importlib.metadata import version
from numbers import Integral
from time import monotonic
from typing import Any

import numpy as np

from fastmlp.core.container import Decoder, Encoder, read, to_bytes, to_text
from fastmlp.core.device import engine_of
from fastmlp.core.files import full_path, prefixed_errors, remove_leftovers, replace_file
from fastmlp.core.native import _native
from fastmlp.core.network import Blocks
from fastmlp.core.random import random_generator
from fastmlp.core.rules import Parameter
from fastmlp.core.typing import Array
from fastmlp.core.warnings import warn
from fastmlp.training.distributed import ALONE, Team
from fastmlp.training.progress import printed
from fastmlp.training.training import Training, Watcher

_KIND = "fastmlp-checkpoint"
_FORMAT = 1

_CONTENT = {"fit", "seed", "engine", "epochs", "state"}

# what a fit begins with, besides class and parameters
_PARTS = {
    "data": "it was given other data (X, y or sample_weight)",
    "validation": "it was given other validation data",
    "start": "it began with other weights or random numbers (random_state, init, or the fit "
    "before a warm start)",
}


class Checkpoint(Watcher):
    """A fit's checkpoint; without a path it does nothing.

    Parameters
    ----------
    path : str, path-like or None
        The file. Where there is one, the fit goes on from it.
    every : int or float
        Epochs (int) or seconds (float) from one writing to the next.
    team : Team
        Whose rank 0 alone reads and writes the file.

    Attributes
    ----------
    state : dict or None
        What the file held.
    wake_at : float
        When it is to be written next, on the monotonic clock; infinity where epochs are counted.

    Raises
    ------
    ValueError
        The file is no checkpoint, or damaged, or of another version.
    OSError
        It cannot be read.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, every: float, team: Team = ALONE
    ) -> None:
        self.path: str | None = None
        self.team = team
        self.is_idle = path is None
        self.every = every
        self.state: dict[str, Any] | None = None
        self._epochs: int | None = None  # that the state has which was written last
        self._remembers = False  # whether the training has remembered its progress
        self._stays = False  # at the end
        self._fit: dict[str, Any] = {}
        self._engine = self._written_on = ""  # of this fit, and of the file's
        self._seed: int | None = None
        self._what = f"checkpoint={path and os.fspath(path)!r}"
        if path is None or not team.leads:
            return
        with prefixed_errors(f"{self._what} cannot be used"):
            self.path = full_path(path)
            self.needs_state = True
            remove_leftovers(self.path)
            if os.path.exists(self.path):
                try:
                    self._read(*read(self.path, _KIND, _FORMAT))
                except OSError as error:
                    text = f"{self._what} cannot be read: {error.strerror}"
                    raise OSError(error.errno, text) from error

    def _read(self, config: Any, tensors: dict[str, Array]) -> None:
        if config.get("version") != version("fastmlp"):
            raise ValueError(
                f"it was written by fastmlp {config.get('version')}, this is "
                f"{version('fastmlp')}. End the fit with that one, or delete the file"
            )
        content = Decoder(tensors).decode(config.get("content"))
        if not isinstance(content, dict) or content.keys() != _CONTENT:
            raise ValueError("its content does not fit its format")
        self._fit, self._seed = content["fit"], content["seed"]
        self.state, self._epochs = content["state"], content["epochs"]
        self._written_on = content["engine"]

    def random_state(self, random_state: Any) -> np.random.RandomState:
        """scikit-learn's generator; in the place of None one that the file can name.

        On all ranks it is in the state of rank 0's.
        """
        if random_state is None and not (self.is_idle and self.team.is_alone):
            if self._seed is None:
                self._seed = int(random_generator(None).randint(2**31))
            random_state = self._seed
        generator = random_generator(random_state)
        if not self.team.is_alone:
            generator.set_state(self.team.bcast(generator.get_state()))
        return generator

    def identify(self, estimator: Any, **parts: Any) -> None:
        """Take what tells the fit from others; compare it with the one of the file.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
        **parts : arrays, text and numbers, or nested lists, tuples and dicts of them
            The data, the validation data and what training starts from.

        Raises
        ------
        ValueError
            The file is of another fit; the text says what is different.
        """
        digests = {name: _hash(part) for name, part in parts.items()}
        if not self.team.is_alone:
            digests = {name: _hash(self.team.gather(digest)) for name, digest in digests.items()}
        if self.path is None:
            return
        parameters: dict[str, Parameter] = estimator._parameters
        fit = {
            "class": type(estimator).__name__,
            "parameters": {
                name: as_text(value)
                for name, value in estimator.get_params(deep=False).items()
                if not parameters[name].free_on_resuming
            },
            "parts": digests,
        }
        if self.state is not None and fit != self._fit:
            raise ValueError(
                f"{self._what} is of another fit: {_difference(self._fit, fit)}. Call fit as it "
                "was called then, or give another file, or delete this one."
            )
        self._fit = fit
        self._engine = engine_of(estimator.device) or _native.engine()
        if self.state is not None and self._engine != self._written_on:
            warn(
                f"{self._what} was written on the engine {self._written_on!r}. This is "
                f"{self._engine!r}: the model will differ in its last digits."
            )
        self._set_due()
        if self.state is not None and printed(estimator.verbose):
            print(f"Going on from {self._what}, written after {self._epochs} epochs or iterations")

    # --- what it does as training goes on --------------------------------------------------------

    def begins(self, training: Training) -> None:
        """Have the training go on from the state of the file, where there is one.

        Raises
        ------
        ValueError
            The state is not one of such a training.
        """
        state = self.team.bcast(self.state)
        if state is not None:
            with prefixed_errors(f"{self._what} cannot be used"):
                try:
                    training.restore(state)
                except (AttributeError, KeyError, TypeError) as error:
                    raise ValueError("its state does not fit its format") from error
        if self.path is None:
            return
        training.remember_progress()
        self._remembers = True

    def epoch_begins(self, training: Training) -> None:
        """Write the file where it is due."""
        if training.within_epoch or self.path is None:
            return
        training.remember_progress()
        if self._is_due(training.n_iter):
            self._write(training)

    def steps_made(self, training: Training) -> None:
        """Write the file where it is due within an epoch."""
        if self.path is None:
            return
        training.remember_progress()
        if training.has_rows_left and monotonic() > self.wake_at:
            self._write(training)

    def failed(self, training: Training, error: BaseException) -> None:
        """Leave a file for the next call; the exception may have come amid changes to records."""
        if not self._remembers:
            return
        if not training.within_epoch:
            training.return_to_remembered()
        if self._epochs is not None:  # else it may have come of the first writing
            self._write(training)
        self._stays = True

    def ended(self, training: Training, blocks: Blocks | None) -> None:
        """Remove the file, unless an exception has left it for the next call."""
        if self._stays or self._epochs is None:
            return
        assert self.path is not None
        try:
            os.unlink(self.path)
        except OSError as error:
            warn(
                f"{self._what} of a fit that has ended cannot be removed: {error.strerror}.",
                RuntimeWarning,
            )

    def _set_due(self) -> None:
        if not isinstance(self.every, Integral):
            self.wake_at = monotonic() + self.every

    def _is_due(self, epochs: int) -> bool:
        """Whether it is to be written after so many epochs, now."""
        if self._epochs is None:
            return True
        if not isinstance(self.every, Integral):
            return monotonic() > self.wake_at
        return epochs >= self._epochs + self.every

    def _write(self, training: Training) -> None:
        """Write the state; what is there stays until the new one is complete on the disk.

        Raises
        ------
        OSError, ValueError
            The first state of a fit cannot be written. A later failure is a warning: training goes
            on, and the last good state is there.
        """
        assert self.path is not None
        epochs = training.n_iter
        encoder = Encoder()
        content = {
            "fit": self._fit,
            "seed": self._seed,
            "engine": self._engine,
            "epochs": epochs,
            "state": training.state(),
        }
        try:
            config = {
                "format": _FORMAT,
                "version": version("fastmlp"),
                "content": encoder.encode(content, "content"),
            }
            replace_file(self.path, to_bytes(_KIND, to_text(config), encoder.tensors))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            text = f"{self._what} cannot be written: {reason}"
            if self._epochs is None:
                if isinstance(error, OSError):
                    raise OSError(error.errno, text) from error
                raise ValueError(text) from error
            warn(f"{text}. Training goes on; the file is as it was before.", RuntimeWarning)
        self._epochs = epochs
        self._set_due()


def as_text(value: Any) -> str:
    """A parameter's value as text; functions and other objects by their names."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} ({_hash(value)[:16]})"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(as_text, value))}]"
    if isinstance(value, dict):
        items = sorted(f"{as_text(key)}: {as_text(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, np.random.RandomState):
        return "a RandomState"  # what it draws tells one from another
    if isinstance(value, functools.partial):
        return f"partial{as_text((value.func, value.args, value.keywords))}"
    text = repr(value)
    if " at 0x" not in text:
        return text
    return f"{value.__module__}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _hash(part: Any) -> str:
    """SHA-256 of all values, some megabytes at a time."""
    found = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, np.ndarray) and value.dtype != object and value.ndim > 0:
            found.update(repr((value.dtype.str, value.shape)).encode())
            n = 2**22 // max(1, value[:1].nbytes) + 1
            for start in range(0, len(value), n):
                found.update(value[start : start + n].tobytes())
        elif isinstance(value, dict):
            add(list(value.items()))
        elif isinstance(value, (list, tuple)):
            found.update(f"{type(value).__name__} {len(value)}".encode())
            for item in value:
                add(item)
        else:
            plain = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
            found.update(repr(plain).encode())

    add(part)
    return found.hexdigest()


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    if before["class"] != now["class"]:
        return f"of {before['class']}"
    old, new = before["parameters"], now["parameters"]
    changed = [
        f"{name} was {old.get(name)}, now it is {new.get(name)}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    parts = [
        text for name, text in _PARTS.items() if before["parts"].get(name) != now["parts"][name]
    ]
    return "; ".join(changed or parts)
