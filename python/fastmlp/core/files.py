"""Files that are replaced in one step, and errors that say what failed."""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def prefixed_errors(what: str) -> Iterator[None]:
    """Put what failed before the text of a ValueError; of a RecursionError make one."""
    try:
        yield
    except RecursionError as error:
        raise ValueError(f"{what}: it is nested too deeply.") from error
    except ValueError as error:
        raise ValueError(f"{what}: {str(error).removesuffix('.')}.") from error


def full_path(path: str | os.PathLike[str]) -> str:
    """The path of a file, or of the target of a link to one, wherever the process goes.

    Raises
    ------
    ValueError
        It is not the path of a file.
    """
    text = os.fsdecode(path)
    if not os.path.basename(text) or "\0" in text:
        raise ValueError(f"{text!r} is not the path of a file")
    return os.path.realpath(text)


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file, or the target of a link, under another name, then give it its name."""
    path = full_path(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise IsADirectoryError(errno.EISDIR, "It is no file that could be replaced", path)
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f"{_temporary(path)}{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    with suppress(OSError, AttributeError):  # who may read the earlier file may read this one
        os.fchmod(descriptor, stat.S_IMODE(os.stat(path).st_mode))
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    with suppress(OSError):  # the new name, too, is to outlast a power failure
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what processes that were killed while they wrote a file have left behind."""
    path = full_path(path)
    folder, begins = os.path.dirname(path), _temporary(path)
    with suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(begins) and name.endswith(".tmp"):
                os.unlink(os.path.join(folder, name))


def _temporary(path: str) -> str:
    name = hashlib.sha256(os.fsencode(os.path.basename(path))).hexdigest()
    return f".fastmlp-{name[:16]}-"  # of the same length for any name
