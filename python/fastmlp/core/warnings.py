"""Warnings that point at the user's line, however many calls of ours lie between."""

import sys
import warnings

# scikit-learn's wrapper for callbacks calls our methods; contexts of ours are left with a warning
_BETWEEN = ("fastmlp", "sklearn", "contextlib")


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn as of the line that called into the package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)
