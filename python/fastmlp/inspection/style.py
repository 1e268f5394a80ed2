"""What the drawings have in common."""

from fastmlp.views.colours import NEGATIVE, NEUTRAL, POSITIVE

__all__ = ["NEGATIVE", "NEUTRAL", "POSITIVE", "check_plot_support"]


def check_plot_support(name: str) -> None:
    """Check that matplotlib is installed, for a caller of this name.

    Raises
    ------
    ImportError
        It is not; the text says how to install it.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{name} needs matplotlib: pip install 'fastmlp[plot]'.") from error
