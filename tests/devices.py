"""What the tests of device="cuda" share: whether there is an engine, and data for few steps."""

import ctypes

import numpy as np
import pytest

from fastmlp import MLPAutoencoder, MLPClassifier, MLPRegressor, _native

LACKS = [lack for device, lack in _native.engines().values() if device == "cuda"]
HAS_DEVICE = None in LACKS
EMULATED = _native.engines().get("emulated", ("", "no such engine"))[1] is None

needs_device = pytest.mark.skipif(
    not HAS_DEVICE, reason=f"device='cuda': {LACKS[0] if LACKS else 'not in this build'}"
)
needs_emulator = pytest.mark.skipif(not EMULATED, reason="faults are injected by the emulator only")

rng = np.random.default_rng(0)
X = rng.normal(size=(48, 6))
y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int) + (X[:, 3] > 0.5)  # three classes
z = X @ rng.normal(size=6) + 0.1 * rng.normal(size=48)
W = rng.uniform(0.5, 2, 48)

# 48 steps, 3 an epoch
FEW = {"hidden_layer_sizes": (7, 5), "batch_size": 16, "max_iter": 16, "tol": 0.0,
       "learning_rate_init": 0.01, "random_state": 3}  # fmt: skip


def make(parameters, y, **more):
    """An estimator for y: None is for an autoencoder."""
    Estimator = (
        MLPAutoencoder
        if y is None
        else MLPRegressor
        if y.dtype.kind == "f" and parameters.get("loss") != "kl_divergence"
        else MLPClassifier
    )
    return Estimator(**{**FEW, **parameters, **more})


def parameters_of(model):
    """All arrays of a fitted network."""
    slopes = [slope for slope in getattr(model, "activation_slopes_", ()) if slope is not None]
    return [*model.coefs_, *model.intercepts_, *slopes]


def same_bits(a, b):
    """Check that two networks and their records have the same bits."""
    for left, right in zip(parameters_of(a), parameters_of(b), strict=True):
        np.testing.assert_array_equal(left, right)
    assert a.loss_ == b.loss_
    assert a.loss_curve_ == b.loss_curve_


def close(a, b, tolerance):
    """Check that arrays agree, relative to the largest number."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    assert np.abs(a - b).max(initial=0) <= tolerance * max(np.abs(a).max(initial=0), 1e-30)


def agree(a, b, tolerance):
    """Check that two networks and their records agree, relative to the largest number of each."""
    for left, right in zip(parameters_of(a), parameters_of(b), strict=True):
        close(left, right, tolerance)
    assert a.n_iter_ == b.n_iter_
    assert a.t_ == b.t_
    for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
        if getattr(a, name, None) is not None:
            close(getattr(a, name), getattr(b, name), tolerance)
    rates = getattr(a, "learning_rate_curve_", None), getattr(b, "learning_rate_curve_", None)
    assert rates[0] == rates[1]


LAUNCH_FAILURE = 719  # as CUDA numbers it


class Emulator:
    """The controls of the emulated device."""

    def __init__(self):
        self.controls = ctypes.PyDLL(_native.__file__)

    def fail_malloc(self, nth):
        """Let the nth allocation from now on fail; returns how many were left of the one before."""
        return self.controls.fastmlp_emulator_fail_malloc(ctypes.c_int(nth))

    def fail_launch(self, nth, error=LAUNCH_FAILURE):
        """Let the nth launch from now on fail, likewise."""
        return self.controls.fastmlp_emulator_fail_launch(ctypes.c_int(nth), ctypes.c_int(error))

    def sticky(self, error):
        self.controls.fastmlp_emulator_sticky(ctypes.c_int(error))

    def memory(self, n_bytes):
        self.controls.fastmlp_emulator_memory(ctypes.c_size_t(n_bytes))

    def devices(self, count):
        self.controls.fastmlp_emulator_device_count(ctypes.c_int(count))

    def launches(self):
        self.controls.fastmlp_emulator_launches.restype = ctypes.c_uint64
        return self.controls.fastmlp_emulator_launches()
