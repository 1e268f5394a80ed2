"""The state of a fit in a file, from which the same call goes on when its process was ended.

The file (`_files`) holds what tells one fit from another, and a state, which `_training` makes and
takes. The state belongs to a training that has been set up by the same call: first weights and the
validation split are not in it.
"""

import hashlib
import os
import warnings
from importlib.metadata import version
from time import monotonic
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastmlp import _native
from fastmlp._files import (
    Decoder,
    Encoder,
    explained,
    library,
    read,
    remove_leftovers,
    replace_file,
    to_bytes,
    to_text,
)
from fastmlp._typing import Array

_KIND = "fastmlp-checkpoint"
_FORMAT = 1

# parameters that do not change what is trained
_FREE = ("checkpoint", "checkpoint_every", "verbose", "n_jobs")

# what a fit begins with, besides class and parameters
_PARTS = {
    "data": "it was given other data (X, y or sample_weight)",
    "validation": "it was given other validation data",
    "start": "it began with other weights (random_state, init, or the fit before a warm start)",
}


class Checkpoint:
    """A fit's checkpoint; without a path it does nothing.

    Parameters
    ----------
    path : str, path-like or None
        The file. Where there is one, the fit goes on from it.
    every : int or float
        Epochs (int) or seconds (float) from one writing to the next.

    Attributes
    ----------
    state : dict or None
        What the file held.
    due_at : float
        When it is to be written next, on the monotonic clock; infinity where epochs are counted.

    Raises
    ------
    ValueError
        The file is no checkpoint, or damaged, or of a newer version.
    """

    def __init__(self, path: str | os.PathLike[str] | None, every: float) -> None:
        self.path = None if path is None else os.fsdecode(path)
        self.every = every
        self.state: dict[str, Any] | None = None
        self.due_at = np.inf
        self._epochs: int | None = None  # that the state has which was written last
        self._keeps = False
        self._fit: dict[str, Any] = {}
        self._seed: int | None = None
        if self.path is None:
            return
        library()
        remove_leftovers(self.path)
        if os.path.lexists(self.path):
            with explained(f"checkpoint={self.path!r} cannot be used"):
                self._read(*read(self.path, _KIND, _FORMAT))

    def _read(self, config: Any, tensors: dict[str, Array]) -> None:
        content = Decoder(tensors).decode(config.get("content"))
        if not isinstance(content, dict) or content.keys() != _CONTENT:
            raise ValueError("its content does not fit its format")
        self._fit, self._seed = content["fit"], content["seed"]
        self.state, self._epochs = content["state"], content["epochs"]
        if content["engine"] != _native.engine():
            warnings.warn(
                f"checkpoint={self.path!r} was written on the engine {content['engine']!r}. This "
                f"is {_native.engine()!r}: the model will differ in its last digits.",
                stacklevel=6,
            )

    def random_state(self, random_state: Any) -> np.random.RandomState:
        """scikit-learn's generator; in the place of None one that the file can name."""
        if self.path is None or random_state is not None:
            return check_random_state(random_state)
        if self._seed is None:
            self._seed = int(check_random_state(None).randint(2**31))
        return np.random.RandomState(self._seed)

    def begin(self, estimator: Any, **parts: Any) -> None:
        """Hold the fit against the one of the file.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
        **parts : arrays, text and numbers, or nested lists and tuples of them
            The data, the validation data and what training starts from.

        Raises
        ------
        ValueError
            The file is of another fit; the text says what is different.
        """
        if self.path is None:
            return
        fit = {
            "class": type(estimator).__name__,
            "parameters": {
                name: _describe(value)
                for name, value in estimator.get_params(deep=False).items()
                if name not in _FREE
            },
            "parts": {name: _hash(part) for name, part in parts.items()},
        }
        if self.state is not None and fit != self._fit:
            raise ValueError(
                f"checkpoint={self.path!r} is of another fit: {_difference(self._fit, fit)}. Call "
                "fit as it was called then, or give another file, or delete this one."
            )
        self._fit = fit
        self._set_due()

    def _set_due(self) -> None:
        if isinstance(self.every, float):
            self.due_at = monotonic() + self.every

    def is_due(self, epochs: int) -> bool:
        """Whether it is to be written after so many epochs, now."""
        if self.path is None:
            return False
        if self._epochs is None:
            return True
        if isinstance(self.every, float):
            return monotonic() > self.due_at
        return epochs >= self._epochs + self.every

    def write(self, epochs: int, state: dict[str, Any]) -> None:
        """Write a state; what is there stays until the new one is complete on the disk.

        Raises
        ------
        OSError
            The first state of a fit cannot be written. A later failure is a warning: training goes
            on, and the last good state is there.
        """
        if self.path is None:
            return
        encoder = Encoder()
        content = {
            "fit": self._fit,
            "seed": self._seed,
            "engine": _native.engine(),
            "epochs": epochs,
            "state": state,
        }
        with explained(f"checkpoint={self.path!r} cannot be written"):
            config = {
                "format": _FORMAT,
                "version": version("fastmlp"),
                "content": encoder.encode(content, "content"),
            }
            data = to_bytes(_KIND, to_text(config), encoder.tensors)
        try:
            replace_file(self.path, data)
        except OSError as error:
            text = f"checkpoint={self.path!r} cannot be written: {error.strerror}"
            if self._epochs is None:
                raise OSError(error.errno, text) from error
            warnings.warn(
                f"{text}. Training goes on; the file is as it was written before.",
                RuntimeWarning,
                stacklevel=7,
            )
        self._epochs = epochs
        self._set_due()

    def keep(self) -> None:
        """Leave the file where it is, for the fit has not ended by itself."""
        self._keeps = True

    def end(self) -> None:
        """Remove the file: the fit has ended."""
        if self.path is None or self._keeps:
            return
        try:
            os.unlink(self.path)
        except OSError as error:
            warnings.warn(
                f"checkpoint={self.path!r} of a fit that has ended cannot be removed: "
                f"{error.strerror}.",
                RuntimeWarning,
                stacklevel=5,
            )


_CONTENT = {"fit", "seed", "engine", "epochs", "state"}


def _describe(value: Any) -> str:
    """A parameter's value as text; functions and other objects by their names."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return repr(value)
    if callable(value):
        return f"{value.__module__}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    if isinstance(value, np.random.RandomState):
        return "RandomState"  # the weights that it draws tell one from another
    encoder = Encoder()
    try:
        text = to_text(encoder.encode(value, ""))
    except ValueError:
        return type(value).__qualname__
    return f"{text} {_hash(list(encoder.tensors.values()))}" if encoder.tensors else text


def _hash(part: Any) -> str:
    """SHA-256 of all values, some megabytes at a time."""
    found = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, np.ndarray) and value.dtype != object and value.ndim > 0:
            found.update(repr((value.dtype.str, value.shape)).encode())
            n = 2**22 // max(1, value[:1].nbytes) + 1
            for start in range(0, len(value), n):
                found.update(value[start : start + n].tobytes())
        elif isinstance(value, (list, tuple)):
            found.update(f"{type(value).__name__} {len(value)}".encode())
            for item in value:
                add(item)
        else:
            found.update(repr(value.tolist() if isinstance(value, np.ndarray) else value).encode())

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
