"""Products by cuBLASLt, of which a stand-in runs on the emulated device.

What the engine asks of the library is shown right, and that it is loaded where it is asked for and
nowhere else; that NVIDIA's library does what the stand-in (tests/emulator) does is not.
"""

import ctypes
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

import fastmlp
from fastmlp import _native
from tests.devices import Emulator, agree, make, needs_emulator, same_bits

GXX = shutil.which("g++")
pytestmark = [
    needs_emulator,
    pytest.mark.skipif(GXX is None, reason="there is no g++"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
SOURCE = pathlib.Path(__file__).parent / "emulator" / "fake_cublaslt.cpp"
VARIABLE = "FASTMLP_CUBLASLT"
# the stand-in adds up in the order of the emulated tensor cores; compilers may fuse differently
SAME = 1e-5
# of the way that weights go in a few steps: rounding turns some units on or off
ROUNDED = {"tf32": 0.1, "bfloat16": 0.3}
GIB = 2**30


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The stand-in, compiled."""
    library = tmp_path_factory.mktemp("cublaslt") / "libcublasLt.so.13"
    # a suite that runs under a sanitizer preloads its library
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    subprocess.run(
        [GXX, "-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared",
         "-fPIC", "-fvisibility=hidden", SOURCE, "-o", library],
        env=environment, check=True,
    )  # fmt: skip
    return library


class Fake:
    """The stand-in's controls, and whether the engine is to use it."""

    def __init__(self, path, monkeypatch):
        self.path, self.monkeypatch = str(path), monkeypatch
        self.emulator = Emulator()
        self.module = ctypes.PyDLL(self.path)
        enqueue = ctypes.cast(self.emulator.controls.fastmlp_emulator_enqueue, ctypes.c_void_p)
        self.module.fake_cublaslt_use(enqueue)
        for name in ("products", "additions", "choices"):
            getattr(self.module, f"fake_cublaslt_{name}").restype = ctypes.c_uint64

    def __getattr__(self, name):
        return getattr(self.module, f"fake_cublaslt_{name}")

    def on(self):
        self.monkeypatch.setenv(VARIABLE, self.path)

    def off(self):
        self.monkeypatch.delenv(VARIABLE, raising=False)

    def seed(self, seed):
        self.emulator.controls.fastmlp_emulator_seed(ctypes.c_uint64(seed))


@pytest.fixture
def fake(path, monkeypatch):
    """The stand-in, in use; the engine's networks are to leave none of its objects behind."""
    monkeypatch.delenv("FASTMLP_ENGINE", raising=False)
    fake = Fake(path, monkeypatch)
    fake.on()
    yield fake
    fake.fail(0)
    fake.find(True)
    fake.emulator.memory(4 * GIB)
    fake.seed(int(os.environ.get("FASTMLP_EMULATOR_SEED", "0")))
    assert fake.alive() == 0


def fitted(parameters, X, y, sample_weight=None, **more):
    """A model fitted in steps that multiply small differences by little."""
    few = {"batch_size": 20, "max_iter": 2, "solver": "sgd", "device": "cuda"}
    return make({**few, **parameters, **more}, y).fit(X, y, sample_weight=sample_weight)


def near(model, exact, first, tolerance):
    """Check how far from those of another network weights have come, of the way that they went."""
    for got, right, before in zip(model.coefs_, exact.coefs_, first.coefs_, strict=True):
        assert np.linalg.norm(got - right) <= tolerance * np.linalg.norm(right - before)


rng = np.random.default_rng(0)
X = rng.normal(size=(50, 123)).astype(np.float32)  # a rest of 10 rows in each epoch
few = X[:, :6]
y = np.arange(50) % 3
W = rng.uniform(0.5, 2, 50)
many = rng.normal(size=(50, 131)).astype(np.float32)
zeros = scipy.sparse.csr_array(X * (rng.random(X.shape) < 0.2))

# Of 48 KiB in float32 on, a layer is wide.
CASES = {
    "two wide layers": ({"hidden_layer_sizes": (113, 112)}, X, y),
    "sizes of all alignments": ({"hidden_layer_sizes": (113, 127, 110, 128, 121)}, X, y),
    "wide behind narrow": ({"hidden_layer_sizes": (113, 112), "activation": "tanh"}, few, y),
    "narrow among wide": ({"hidden_layer_sizes": (113, 9, 120, 108, 8),
                           "activation": ["gelu", "tanh", "elu", "swish", "relu"]}, X, y),
    "a wide last layer": ({"hidden_layer_sizes": (7, 120)}, few, many),
    "maxout": ({"hidden_layer_sizes": (60, 71), "activation": "maxout", "maxout_pieces": 3}, X, y),
    "maxout, narrow and wide": ({"hidden_layer_sizes": (60, 130, 120),
                                 "activation": ["maxout", "maxout", "relu"]}, few, y),
    "maxout, relu": ({"hidden_layer_sizes": (113, 70, 112),
                      "activation": ["relu", "maxout", "tanh"]}, X, y),
    "prelu": ({"hidden_layer_sizes": (113, 112), "activation": "prelu"}, X, y),
    "dropout": ({"hidden_layer_sizes": (113, 112), "dropout": [0.1, 0.2, 0.3],
                 "activation": ["gelu", "maxout"]}, X, y),
    "clip_norm": ({"hidden_layer_sizes": (113, 112), "clip_norm": 0.05,
                   "activation": "prelu"}, X, y),
    "max_norm": ({"hidden_layer_sizes": (113, 112), "max_norm": 0.8}, X, y),
    "penalties": ({"hidden_layer_sizes": (113, 112), "alpha": 0.5, "l1": 0.05}, X, y),
    "weights": ({"hidden_layer_sizes": (113, 112)}, X, y, W),
    "sparse": ({"hidden_layer_sizes": (113, 112), "dropout": [0.2, 0, 0]}, zeros, y),
    "autoencoder": ({"hidden_layer_sizes": (113, 4, 112), "output_activation": "logistic"},
                    np.abs(X[:, :110]) / 4, None),
    "early stopping": ({"hidden_layer_sizes": (113, 112), "early_stopping": True}, X, y),
    "diagnostics": ({"hidden_layer_sizes": (113, 112), "diagnostics": True}, X, y),
    "adam": ({"hidden_layer_sizes": (113, 112), "solver": "adam", "max_iter": 1}, X, y),
}  # fmt: skip
both = pytest.mark.parametrize("precision", ROUNDED)


@both
@pytest.mark.parametrize(("parameters", "X", "y", "W"), [(*case, None)[:4] for case in
                         CASES.values()], ids=CASES)  # fmt: skip
def test_the_engines_own_products(fake, parameters, X, y, W, precision):
    before = fake.products()
    models = []
    for seed in range(3):  # of each way to run what streams are given
        fake.seed(seed)
        models.append(fitted(parameters, X, y, W, precision=precision))
    assert fake.products() > before
    same_bits(models[0], models[1])
    same_bits(models[0], models[2])

    fake.off()
    before = fake.products()
    agree(models[0], fitted(parameters, X, y, W, precision=precision), SAME)
    assert fake.products() == before
    first, exact = (
        fitted(parameters, X.astype(np.float64), y, W, device="cpu", learning_rate_init=rate)
        for rate in (1e-30, 0.01)
    )
    near(models[0], exact, first, ROUNDED[precision])


@both
@pytest.mark.parametrize("more", [{}, {"clip_norm": 0.05}], ids=["plain", "clip_norm"])
def test_chunks_of_a_batch(fake, precision, more):
    rows = np.tile(X, (10, 1)) + rng.normal(size=(500, 123)).astype(np.float32)
    labels = np.tile(y, 10)
    parameters = {"hidden_layer_sizes": (113, 112), "activation": ["prelu", "tanh"], "alpha": 0.1,
                  "dropout": 0.2, "batch_size": 450, **more}  # fmt: skip
    models = []
    for use in (fake.on, fake.off):
        use()
        fake.emulator.memory(2_000_000)
        before = fake.additions()
        models.append(fitted(parameters, rows, labels, precision=precision))
        assert (fake.additions() > before) == (use == fake.on)
    agree(*models, SAME)


PRODUCTS = 6 - 1  # of a turn of two wide layers: there is no way back through the first


@pytest.mark.parametrize(
    ("precision", "n", "counted"),
    [
        # once one by one, then while the graph is recorded, which is launched in the last epoch
        ("tf32", 5 * 40, 40 + 40 + 8),
        ("bfloat16", 5 * 40 + 3, 41 + 41 + 9),  # the rest is in no graph
        ("tf32", 5 * 31 + 3, 32 + 32 + 32),  # nor are turns that it is launched with
    ],
)
def test_steps_in_a_graph(fake, precision, n, counted):
    rows, labels = rng.normal(size=(n, 123)).astype(np.float32), np.arange(n) % 3
    parameters = {"hidden_layer_sizes": (113, 112), "batch_size": 5, "dropout": 0.1, "max_iter": 3}
    before = fake.products()
    model = fitted(parameters, rows, labels, precision=precision)
    assert fake.products() - before == PRODUCTS * counted
    fake.off()
    agree(model, fitted(parameters, rows, labels, precision=precision), SAME)


def test_algorithms_are_chosen_once(fake):
    before = fake.choices()
    fitted({"hidden_layer_sizes": (113, 112)}, X, y, precision="tf32")
    assert fake.choices() - before == 2 * PRODUCTS  # for whole batches, and the rest


def test_networks_that_have_no_use_for_it(fake):
    before = fake.products()
    fitted({"hidden_layer_sizes": (113, 112)}, X, y)
    fitted({"hidden_layer_sizes": (113, 112)}, X.astype(np.float64), y)
    fitted({"hidden_layer_sizes": (9, 8)}, X, y, precision="tf32")
    fitted({"hidden_layer_sizes": 9}, zeros, y, precision="tf32")
    assert fake.products() == before


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("nth", [1, 4, PRODUCTS + 1, PRODUCTS * 40 + 7])  # the last in a graph
def test_a_product_fails(fake, nth):
    rows, labels = rng.normal(size=(200, 123)).astype(np.float32), np.arange(200) % 3
    parameters = {"hidden_layer_sizes": (113, 112), "batch_size": 5, "precision": "tf32",
                  "max_iter": 2}  # fmt: skip
    fake.fail(nth)
    with pytest.raises(fastmlp.DeviceError, match=r"cuBLASLt: .*failed to execute"):
        fitted(parameters, rows, labels)
    model = fitted(parameters, rows, labels)
    same_bits(model, fitted(parameters, rows, labels))


def test_no_algorithm(fake):
    fake.find(False)
    with pytest.raises(fastmlp.DeviceError, match=r"cuBLASLt: .*not supported"):
        fitted({"hidden_layer_sizes": 113}, X, y, precision="tf32")


FIT = """
import sys
import numpy as np
import fastmlp

X, y = np.ones((8, 123), np.float32), np.arange(8) % 2
model = fastmlp.MLPClassifier(int(sys.argv[2]), max_iter=1, device="cuda", precision=sys.argv[1])
try:
    model.fit(X, y)
except fastmlp.DeviceError as error:
    print(error)
    fastmlp.MLPClassifier(int(sys.argv[2]), max_iter=1).fit(X, y)
else:
    print("fitted")
print("loaded" if "libcublasLt" in open("/proc/self/maps").read() else "not loaded")
"""


def in_a_process(variable, precision="tf32", units=113, **environment):
    """What a process says that fits a network; loaded, the stand-in cannot be initialized."""
    environment = {**os.environ, **environment}
    environment.pop(VARIABLE, None)
    if variable is not None:
        environment[VARIABLE] = variable
    environment.pop("FASTMLP_ENGINE", None)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIT, precision, str(units)],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip


UNINITIALIZED = ["cuBLASLt: the library was not initialized.", "loaded"]


@pytest.mark.parametrize("off", [None, "", "0"])
def test_not_loaded_unless_asked_for(path, off):
    libraries = {"LD_LIBRARY_PATH": str(path.parent)}
    assert in_a_process(off, **libraries) == ["fitted", "not loaded"]


@pytest.mark.parametrize(("precision", "units"), [("float32", 113), ("tf32", 5)])
def test_not_loaded_unless_needed(path, precision, units):
    assert in_a_process(str(path), precision, units) == ["fitted", "not loaded"]


def test_loaded_from_a_path(path):
    assert in_a_process(str(path)) == UNINITIALIZED


def test_loaded_from_where_the_loader_looks(path):
    assert in_a_process("1", LD_LIBRARY_PATH=str(path.parent)) == UNINITIALIZED


@pytest.mark.parametrize(
    "place", ["nvidia/cu13/lib/libcublasLt.so.13", "nvidia/cublas/lib/libcublasLt.so.12"]
)
def test_loaded_from_nvidias_packages(path, place, tmp_path):
    package = pathlib.Path(_native.__file__).parent
    if not (package / "__init__.py").exists():
        pytest.skip("the package is not installed as a whole")
    (tmp_path / "fastmlp").symlink_to(package)
    (tmp_path / place).parent.mkdir(parents=True)
    shutil.copy(path, tmp_path / place)
    packages = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert in_a_process("1", PYTHONPATH=packages) == UNINITIALIZED


def test_a_library_that_cannot_be_loaded(tmp_path):
    for variable, why in [
        (str(tmp_path / "libcublasLt.so"), "No such file"),
        (str(SOURCE), "invalid ELF header"),
        ("1", "libcublasLt.so.13"),
    ]:
        told, loaded = in_a_process(variable)
        assert told.startswith("FASTMLP_CUBLASLT asks for cuBLASLt, which cannot be loaded: ")
        assert why in told
        assert "pip install nvidia-cublas" in told
        assert loaded == "not loaded"


def test_another_library(tmp_path):
    told, _ = in_a_process("libm.so.6")
    assert told == "cuBLASLt lacks a function: cublasLtGetStatusString."
