"""Where networks are computed: on the CPU, or where it is asked for on a device."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.core.native import _native

DeviceError = _native.DeviceError
DeviceError.__module__ = "fastmlp"  # where users find it
DeviceError.__doc__ = """A device has failed: says what it could not do, and in its own words why.

The estimator is as it was before the call, and goes on with ``device="cpu"``.

Examples
--------
>>> import fastmlp
>>> issubclass(fastmlp.DeviceError, RuntimeError)
True
"""

DEVICES = ("cpu", "cuda")
PRECISIONS = ("float32", "tf32", "bfloat16")

_HOW = (
    " Build fastmlp from source with `pip install . -C cmake.define.FASTMLP_CUDA=ON`, where CUDA's "
    "nvcc is (docs/gpu.md)."
)


def engine_of(device: str) -> str:
    """The name of the engine that computes on a device; '' is the one in use for the CPU.

    Raises
    ------
    ValueError
        There is none in this build, or this machine cannot run it: nothing else is used instead.
    """
    if device == "cpu":
        return ""
    try:
        return _native.engine(device)
    except ValueError as error:
        built = any(found == device for found, _ in _native.engines().values())
        how = "" if built else _HOW
        raise ValueError(f"{error}{how} set_params(device='cpu') computes on the CPU.") from error


def network_options(estimator: Any, dtype: npt.DTypeLike) -> dict[str, Any]:
    """What a network to train is told of an estimator's device: its engine, and how it may round.

    In float64 nothing is rounded, and on the CPU neither, whatever a network was trained with.
    """
    rounds = dtype == np.float32 and estimator.device != "cpu"
    return {
        "engine": engine_of(estimator.device),
        "precision": estimator.precision if rounds else "float32",
    }
