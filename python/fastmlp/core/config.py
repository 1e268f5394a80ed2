"""What this installation of fastmlp is, and what this machine lets it use."""

import os
import platform
from importlib.metadata import version
from typing import Any

from fastmlp.core.native import _native
from fastmlp.core.text_tables import text_table
from fastmlp.core.threads import n_threads

# imported by fastmlp in any case
_PACKAGES = ("fastmlp", "numpy", "scipy", "scikit-learn")


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Show how fastmlp was built, and which engines this machine can run.

    An engine is what trains and predicts: an instruction set of the CPU, or a GPU. Only this
    function, and whoever asks for a GPU, looks for one.

    Parameters
    ----------
    mode : {'stdout', 'dicts'}, default='stdout'
        Whether to print or to return it.

    Returns
    -------
    dict or None
        For 'dicts' the values by their names, else None. ``"engine"`` is the one in use, or None
        where the environment variable FASTMLP_ENGINE asks for one that cannot be used; ``"error"``
        then says why.
        ``"engines"`` has of each one in this build, the preferred first, its ``"device"``, whether
        it is ``"available"``, what the machine ``"lacks"`` else, and the ``"card"``, the name of a
        GPU that it runs on. ``"threads"`` is how many a fit uses now, ``"cuda"`` in ``"build"`` the
        version of the CUDA toolkit.

    Raises
    ------
    ValueError
        The mode is another one.

    See Also
    --------
    sklearn.show_versions : The versions of scikit-learn's dependencies.

    Examples
    --------
    >>> import fastmlp
    >>> config = fastmlp.show_config(mode="dicts")
    >>> config["engines"][config["engine"]]["available"]
    True
    >>> config["blas"]
    'none (kernels of its own)'
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode must be 'stdout' or 'dicts'. Got {mode!r} instead.")
    config = _config()
    if mode == "dicts":
        return config
    print("\n".join(_lines(config)))
    return None


def _config() -> dict[str, Any]:
    engines = {}
    for name, (device, lack) in _native.engines().items():
        card = None if lack or device == "cpu" else _native.card(name)
        engines[name] = {"device": device, "available": not lack, "lacks": lack, "card": card}
    engine, error = None, None
    try:
        engine = _native.engine()
    except ValueError as why:
        error = str(why)
    return {
        "engine": engine,
        "error": error,
        "engines": engines,
        "threads": n_threads(None),
        "blas": "none (kernels of its own)",
        "build": dict(_native.BUILD),
        "versions": {
            **{name: version(name) for name in _PACKAGES},
            "python": platform.python_version(),
        },
        "platform": platform.platform(),
    }


def _lines(config: dict[str, Any]) -> list[str]:
    """A line for each value, those that belong together under a heading."""
    in_use = config["engine"] or f"none. {config['error']}"
    if config["engine"] and os.environ.get("FASTMLP_ENGINE"):
        in_use += ", as FASTMLP_ENGINE says"
    rows = []
    for name, engine in config["engines"].items():
        detail = engine["card"] or engine["lacks"]
        state = "available" if engine["available"] else "not available"
        rows.append((name, engine["device"], f"{state}: {detail}" if detail else state))
    if all(engine["device"] == "cpu" for engine in config["engines"].values()):
        rows.append(("cuda", "cuda", "not in this build, made without FASTMLP_CUDA=ON"))
    build = config["build"]
    groups = {
        "Engines": text_table(rows, "<<<"),
        "Use": [
            f"engine: {in_use}",
            f"threads: {config['threads']}",
            f"BLAS: {config['blas']}",
        ],
        "Build": [
            f"compiler: {build['compiler']}",
            f"OpenMP: {'yes' if build['openmp'] else 'no, so one thread only'}",
            f"CUDA toolkit: {build['cuda'] or 'none'}",
        ],
        "Versions": [
            *(f"{name}: {number}" for name, number in config["versions"].items()),
            f"platform: {config['platform']}",
        ],
    }
    return [
        line
        for title, lines in groups.items()
        for line in (f"{title}:", *(f"    {line}" for line in lines))
    ]
