"""Saved models: the same bits again, and one clear error for whatever is no saved model.

The mutation tests run a few hundred examples; FASTMLP_MUTATIONS=100000 runs that many.
"""

import errno
import importlib.util
import inspect
import json
import os
import pathlib
import stat
import subprocess
import sys
import tracemalloc

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import safetensors.numpy
from scipy.sparse import csr_matrix, issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron, _native, load
from fastmlp.core import container
from fastmlp.exchange import model_files
from fastmlp.training.optimizer import Optimizer

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Got `batch_size`"
)
posix = pytest.mark.skipif(os.name != "posix", reason="links, permissions, signals of POSIX")
MUTATIONS = int(os.environ.get("FASTMLP_MUTATIONS", "200"))
FOLDER = pathlib.Path(__file__).parent / "data"
STORED = FOLDER / "model-v4.safetensors"  # of today's format

random = np.random.RandomState(0)
X = random.normal(size=(60, 5))
y = np.arange(60) % 3
z = X @ random.normal(size=5)
Y = (X[:, :3] > 0).astype(int)


class Frame:
    """A data frame, as far as scikit-learn looks at one."""

    def __init__(self, values, columns):
        self.values, self.columns, self.shape = values, np.array(columns, object), values.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __len__(self):
        return len(self.values)


def bits(value):
    """Everything there is to a value, to be compared with ==."""
    if isinstance(value, np.ndarray):
        data = value.tolist() if value.dtype == object else value.tobytes()
        return type(value), value.dtype.str, value.shape, data
    if issparse(value):
        return value.shape, bits([value.data, value.indices, value.indptr])
    if isinstance(value, np.random.RandomState):
        return bits(value.get_state(legacy=False))
    if isinstance(value, (list, tuple)):
        return type(value), [bits(item) for item in value]
    if isinstance(value, dict):
        return type(value), {key: bits(item) for key, item in value.items()}
    if isinstance(value, Optimizer):  # whose state may be in an open network
        return type(value), bits(value.__getstate__())
    if hasattr(value, "__dict__"):
        return type(value), {key: bits(item) for key, item in vars(value).items()}
    return type(value), repr(value)


def save(estimator, path):
    estimator.save(path)


def saved(estimator, tmp_path):
    save(estimator, tmp_path / "model.safetensors")
    return load(tmp_path / "model.safetensors")


def rewritten(path, change):
    """Change configuration and tensors of a file, and give it the checksum that fits."""
    tensors = safetensors.numpy.load(path.read_bytes())
    config = config_of(path)
    del tensors["sha256"]
    change(config, tensors)
    text = json.dumps(config)
    tensors = {name: np.array(tensor, order="C") for name, tensor in tensors.items()}
    tensors["sha256"] = container.digest(text, tensors)
    path.write_bytes(safetensors.numpy.save(tensors, metadata={"fastmlp": text}))


def config_of(path):
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["fastmlp"])


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    clf = MLPClassifier((4, 3), ["prelu", "maxout"], max_iter=2, random_state=0)
    save(clf.fit(X, np.array(["a", "b", "ç"])[y]), path)
    return path


# --- there and back ------------------------------------------------------------------------------

CLASSIFIERS = {
    "default": ({}, X, y),
    "float32": ({}, X.astype(np.float32), y),
    "sparse": ({}, csr_matrix(X), y),
    "linear": ({"hidden_layer_sizes": ()}, X, y),
    "sizes in an array": ({"hidden_layer_sizes": np.array([3, 2])}, X, y),
    "sizes in a range": ({"hidden_layer_sizes": range(2, 4)}, X, y),
    "prelu, maxout": (
        {"hidden_layer_sizes": [4, 3, 2], "activation": ("prelu", "maxout", "prelu")}, X, y),
    "prelu everywhere": ({"activation": "prelu", "activation_alpha": [None, 0.1]}, X, y),
    "early stopping": ({"early_stopping": True}, X, y),
    "lbfgs": ({"solver": "lbfgs"}, X, y),
    "dropout": ({"dropout": (0.1, 0.2, 0.3), "clip_norm": 1.0, "max_norm": 2.0}, X, y),
    "plateau": ({"learning_rate": "plateau", "learning_rate_period": 1, "tol": 10.0}, X, y),
    "one_cycle": ({"learning_rate": "one_cycle", "warmup_epochs": 2}, X, y),
    "adaptive": (
        {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 9.0}, X, y),
    "invscaling": ({"solver": "sgd", "learning_rate": "invscaling"}, X, y),
    "without end": ({"n_iter_no_change": np.inf, "tol": 0.0}, X, y),
    "NumPy's numbers": (
        {"alpha": np.float32(0.1), "max_iter": np.int64(3), "shuffle": np.bool_(True)}, X, y),
    "own weights": ({"hidden_layer_sizes": 2, "init": [
        np.ones((5, 2), np.float32), np.zeros(2), np.ones((2, 3)), [0.1, 0.2, 0.3]]}, X, y),
    "RandomState": ({"random_state": np.random.RandomState(3)}, X, y),
    "two classes": ({}, X, y > 0),
    "hinge": ({"loss": "hinge"}, X, y),
    "perceptron": ({"loss": "perceptron"}, X, y > 0),
    "squared_error": ({"loss": "squared_error", "label_smoothing": 0.1}, X, y),
    "kl_divergence": ({"loss": "kl_divergence"}, X, np.full((60, 4), 0.25)),
    "multilabel": ({}, X, Y),
    "sparse multilabel": ({}, X, csr_matrix(Y)),
    "class weights": ({"class_weight": {"a": 2, "b": 0.5, "c": 1}}, X, np.array(list("abc"))[y]),
    "balanced": ({"class_weight": "balanced"}, X, y),
    "names": ({}, Frame(X, ["a", "b", "é", "\U0001f600", "\ud800"]), y),
    "scoring": ({"early_stopping": True, "scoring": "f1_macro"}, X, y),
    **{solver: ({"solver": solver}, X, y) for solver in _native.SOLVER_SLOTS},
}  # fmt: skip
REGRESSORS = {
    "one output": ({}, X, z),
    "several outputs": ({}, X.astype(np.float32), np.column_stack([z, -z])),
    "quantile": ({"loss": "quantile", "quantile": 0.3}, X, z),
    "huber": ({"loss": "huber", "huber_delta": 2, "early_stopping": True}, X, z),
    "poisson": ({"loss": "poisson", "activation": "maxout", "maxout_pieces": 3}, X, abs(z)),
}


@pytest.mark.parametrize(
    ("Estimator", "parameters", "X", "y"),
    [pytest.param(MLPClassifier, *case, id=name) for name, case in CLASSIFIERS.items()]
    + [pytest.param(MLPRegressor, *case, id=name) for name, case in REGRESSORS.items()],
)
def test_a_network_comes_back_with_all_its_bits(Estimator, parameters, X, y, tmp_path):
    defaults = {"hidden_layer_sizes": (4, 3), "max_iter": 5, "random_state": 0}
    estimator = Estimator(**{**defaults, **parameters}).fit(X, y)
    copy = saved(estimator, tmp_path)
    sizes = estimator.hidden_layer_sizes
    if isinstance(sizes, range):
        assert copy.hidden_layer_sizes == tuple(sizes)
        estimator.hidden_layer_sizes = tuple(sizes)
    assert bits(copy) == bits(estimator)
    methods = [name for name in ("predict", "predict_proba", "decision_function")
               if hasattr(estimator, name)]  # fmt: skip
    for method in methods:
        assert bits(getattr(copy, method)(X)) == bits(getattr(estimator, method)(X))
    # both go on to the same model
    partial = hasattr(estimator, "partial_fit") and not estimator.early_stopping
    for each in (estimator, copy):
        for _ in range(2 if partial and parameters.get("class_weight") != "balanced" else 0):
            each.partial_fit(X, y)
        if not isinstance(each.init, list):
            each.set_params(warm_start=True).fit(X, y)
        each.set_params(warm_start=False)
    assert bits(copy) == bits(estimator)
    assert bits(clone(copy).fit(X, y)) == bits(clone(estimator).fit(X, y))


@pytest.mark.parametrize("Estimator", [Perceptron, Adaline])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_single_layer_comes_back_with_all_its_bits(Estimator, n_classes, dtype, tmp_path):
    rows, labels = X.astype(dtype), np.array(list("abc"))[y % n_classes]
    estimator = Estimator(max_iter=5, class_weight={"a": 2.0}).fit(rows, labels)
    copy = saved(estimator, tmp_path)
    assert bits(copy) == bits(estimator)
    assert bits(copy.decision_function(rows)) == bits(estimator.decision_function(rows))
    for each in (copy, estimator):
        each.partial_fit(rows, labels).set_params(warm_start=True).fit(rows, labels)
    assert bits(copy) == bits(estimator)


def test_a_sparse_coef_(tmp_path):
    estimator = Perceptron(penalty="l1", alpha=0.01).fit(X, y).sparsify()
    copy = saved(estimator, tmp_path)
    assert bits(copy) == bits(estimator)
    assert bits(copy.predict(X)) == bits(estimator.predict(X))


LABELS = [
    *(np.arange(3).astype(kind) for kind in "bBhHiIlLfd"),
    np.array([-(2**63), 0, 2**63 - 1]),
    np.array([0, 1, 2**64 - 1], np.uint64),
    np.array([False, True, True]),
    np.array([1, 2, 3], ">i2"),
    np.array(["a", "b", "c"]),
    np.array(["a", "bc", "d"], "U40"),
    np.array(["a", "b", "c"], ">U3"),
    np.array(["", "Ångström", "日本語 \U0001f600"]),
    np.array(["a\0b", "x" * 1000, "\ud800"]),
    np.array(["no", "yes", "ja\0"], object),
]


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: f"{labels.dtype} {labels[-1]!r:.20}")
@pytest.mark.parametrize("Estimator", [MLPClassifier, Perceptron])
def test_labels_of_every_dtype(Estimator, labels, tmp_path):
    estimator = Estimator(max_iter=2).fit(X, labels[y])
    copy = saved(estimator, tmp_path)
    assert bits(copy) == bits(estimator)
    assert bits(copy.predict(X)) == bits(estimator.predict(X))


def test_labels_that_no_file_can_hold(tmp_path):
    estimator = MLPClassifier(max_iter=2).fit(X, y)
    for labels in (np.array([1, "a", None], object), np.array([b"a", b"b", b"c"])):
        estimator.classes_ = labels
        with pytest.raises(ValueError, match="MLPClassifier cannot be saved: classes_"):
            save(estimator, tmp_path / "model")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("loss", "y", "classes"),
    [
        ("log_loss", Y, [0, 1, 2]),
        ("log_loss", y, [0, 1, 2, 5]),
        ("kl_divergence", np.full((60, 3), 1 / 3), ["a", "b", "c"]),
    ],
)
def test_a_first_partial_fit(loss, y, classes, tmp_path):
    estimator = MLPClassifier((3,), loss=loss, random_state=0).partial_fit(X, y, classes=classes)
    copy = saved(estimator, tmp_path)
    assert bits(copy) == bits(estimator)
    assert bits(copy.partial_fit(X, y)) == bits(estimator.partial_fit(X, y))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -0.0, 5e-324, 0.1 + 0.2, np.float64(1)])
def test_every_float_comes_back(value, tmp_path):
    estimator = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2).fit(X, z)
    estimator.loss_, estimator.loss_curve_ = value, [value, 1.0]
    assert bits(saved(estimator, tmp_path)) == bits(estimator)


def test_the_state_of_another_network_is_left_out(tmp_path):
    estimator = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2).fit(X, z)
    estimator.set_params(hidden_layer_sizes=(4,), solver="lbfgs").fit(X, z)
    copy = saved(estimator, tmp_path)
    assert not hasattr(copy, "_optimizer")
    assert bits(copy.predict(X)) == bits(estimator.predict(X))


def test_the_same_model_is_the_same_file(model, tmp_path):
    save(load(model), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == model.read_bytes()


def test_loaded_arrays_are_the_users_own(model):
    estimator = load(model)
    for array in (*estimator.coefs_, *estimator.intercepts_, estimator.classes_):
        assert array.flags.owndata
        assert array.flags.writeable
        assert array.flags.aligned


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", lambda epoch: 0.1 / (epoch + 1)),
        ("init", lambda shape, rng: rng.normal(size=shape)),
        ("scoring", lambda estimator, X, y: 1.0),
        ("random_state", np.random.RandomState(np.random.PCG64(0))),
    ],
)
def test_a_parameter_that_no_file_can_hold(name, value, tmp_path):
    estimator = MLPClassifier((3,), max_iter=2, early_stopping=True, **{name: value}).fit(X, y)
    with pytest.raises(ValueError, match=f"the parameter {name} is .*set_params\\({name}="):
        save(estimator, tmp_path / "model")
    assert not os.listdir(tmp_path)
    default = inspect.signature(MLPClassifier).parameters[name].default
    copy = saved(estimator.set_params(**{name: default}), tmp_path)
    assert bits(copy.predict(X)) == bits(estimator.predict(X))
    copy.set_params(early_stopping=False).partial_fit(X, y)


def test_a_callback_is_left_out(tmp_path):
    callback = pytest.importorskip("sklearn.callback")
    estimator = MLPClassifier((3,), max_iter=2, random_state=0)
    estimator.set_callbacks(callback.ScoringMonitor(scoring="accuracy")).fit(X, y)
    copy = saved(estimator, tmp_path)
    assert bits(copy.predict_proba(X)) == bits(estimator.predict_proba(X))


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "model"

    class Own(MLPClassifier):
        pass

    with pytest.raises(NotFittedError):
        save(MLPClassifier(), path)
    with pytest.raises(TypeError, match="not a Own"):
        save(Own(max_iter=2).fit(X, y), path)
    estimator = MLPClassifier((3,), max_iter=2).fit(X, y)
    estimator.note = 1
    with pytest.raises(ValueError, match="attributes note"):
        save(estimator, path)
    del estimator.note
    coefs, estimator.coefs_ = estimator.coefs_, estimator.coefs_[:1]
    with pytest.raises(ValueError, match="1 coefs_ and 2 intercepts_ do not fit"):
        save(estimator, path)
    estimator.coefs_ = coefs
    coefs[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="coefs_ must be finite"):
        save(estimator, path)
    assert not os.listdir(tmp_path)


def test_a_header_that_is_too_long(model, monkeypatch):
    estimator = load(model)
    monkeypatch.setattr(container, "_MAX_HEADER", 1000)
    with pytest.raises(ValueError, match="longer than the format allows"):
        save(estimator, model)


# --- files ---------------------------------------------------------------------------------------


def failing(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failure_leaves_the_earlier_file(function, model, monkeypatch):
    before = model.read_bytes()
    other = MLPClassifier((8,), max_iter=2).fit(X, y)
    monkeypatch.setattr(os, function, failing)
    with pytest.raises(OSError, match="No space left"):
        save(other, model)
    assert model.read_bytes() == before
    assert os.listdir(model.parent) == [model.name]


def test_a_full_disk_leaves_the_earlier_file(model):
    before = model.read_bytes()
    other = MLPClassifier((100,), max_iter=2).fit(X, y)
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            save(other, model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert model.read_bytes() == before
    assert os.listdir(model.parent) == [model.name]


@posix
def test_a_process_that_is_killed_while_writing_leaves_the_earlier_file(model):
    before = model.read_bytes()
    code = (
        "import os, sys; from fastmlp import load; m = load(sys.argv[1]); "
        "os.fsync = lambda fd: os.kill(os.getpid(), 9); m.alpha = 1.0; m.save(sys.argv[1])"
    )
    run = subprocess.run([sys.executable, "-c", code, str(model)], check=False)
    assert run.returncode == -9
    assert model.read_bytes() == before


@posix
def test_permissions_and_links_are_those_of_any_file(model):
    umask = os.umask(0o022)
    os.umask(umask)
    assert stat.S_IMODE(model.stat().st_mode) == 0o666 & ~umask
    link = model.parent / "link"
    link.symlink_to(model)
    estimator = load(link)
    save(estimator.set_params(alpha=7.0), link)
    assert link.is_symlink()
    assert load(model).alpha == 7.0


@posix
def test_paths(model):
    assert bits(load(str(model))) == bits(load(os.fsencode(model))) == bits(load(model))
    with pytest.raises(FileNotFoundError):
        load(model.parent / "none")
    with pytest.raises(FileNotFoundError):
        save(load(model), model.parent / "none" / "model")
    with pytest.raises(ValueError, match="it is a folder"):
        load(model.parent)
    with pytest.raises(IsADirectoryError):
        save(load(model), model.parent)
    os.mkfifo(model.parent / "pipe")
    with pytest.raises(ValueError, match="no regular file"):
        load(model.parent / "pipe")


# --- damage --------------------------------------------------------------------------------------


def refused(path, text):
    with pytest.raises(ValueError, match=text) as info:
        load(path)
    assert type(info.value) is ValueError
    assert repr(str(path)) in str(info.value)
    assert len(str(info.value)) < 2000


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "the file is empty"),
        (b"abc", "no safetensors file, or cut off"),
        (b"x,y\n1,2\n3,4\n", "no safetensors file"),
        (b"\x80\x04\x95" + bytes(100), "no safetensors file"),  # a pickle
        (b"\xff" * 8 + b"{}", "no safetensors file"),
        ((2**40).to_bytes(8, "little") + b"{}", "no safetensors file, or cut off"),
        (b"\2" + bytes(7) + b"{}", "fastmlp has not saved it"),
        (b"\2" + bytes(7) + b"[]", "fastmlp has not saved it"),
        (b"\2" + bytes(7) + b"{a", "no safetensors file, or damaged"),
        ((10**5).to_bytes(8, "little") + b"[" * 10**5, "nested too deeply"),
        (safetensors.numpy.save({"a": X}), "fastmlp has not saved it"),
        (safetensors.numpy.save({"a": X}, {"fastmlp": "[]"}), "format None is unknown"),
        (safetensors.numpy.save({"a": X}, {"fastmlp": '{"format":NaN}'}), "NaN is no JSON"),
        (safetensors.numpy.save({"a": X}, {"fastmlp": '{"format":1}'}), "checksum"),
        (safetensors.numpy.save({"a": X}, {"fastmlp": '{"format":-1}'}), "format -1 is unknown"),
    ],
    ids=range(15),
)
def test_no_saved_model(data, text, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(data)
    refused(path, text)


def test_a_file_that_is_cut_off(model):
    data = model.read_bytes()
    for end in {*range(0, len(data), 97), len(data) - 1}:
        model.write_bytes(data[:end])
        refused(model, "the file is empty" if not end else "cut off")
    model.write_bytes(data + b"\0")
    refused(model, "damaged")


def test_a_flipped_bit(model):
    data = model.read_bytes()
    for place in range(0, len(data), 13):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        model.write_bytes(damaged)
        refused(model, "cannot be loaded")
    model.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    refused(model, "the checksum does not fit")


def test_no_more_memory_than_the_file_is_worth(model):
    data = model.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    header["coefs_.0"]["shape"] = [2**31, 2**31]
    header["coefs_.0"]["data_offsets"] = [0, 2**65]
    text = json.dumps(header).encode()
    vast = {"array": ["coefs_.0", "<U999999999"]}
    for damaged in (
        (2**60).to_bytes(8, "little") + data[8:],
        len(text).to_bytes(8, "little") + text + data,
        None,
    ):
        if damaged is None:
            model.write_bytes(data)
            rewritten(model, lambda config, _: config["attributes"].update(classes_=vast))
        else:
            model.write_bytes(damaged)
        tracemalloc.start()
        refused(model, "cannot be loaded")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000


def change_parameter(name, value):
    return lambda config, tensors: config["parameters"].update({name: value})


def change_attribute(name, value):
    return lambda config, tensors: config["attributes"].update({name: value})


def change_tensor(name, function):
    return lambda config, tensors: tensors.update({name: function(tensors[name])})


def change_all(name, function):
    def change(config, tensors):
        tensors[name] = function(tensors[name])
        config["attributes"]["coefs_"][0]["array"][1] = tensors[name].dtype.str

    return change


CHANGES = {
    "a newer format": (lambda c, t: c.update(format=99), "format 99, of a newer version"),
    "an unknown class": (lambda c, t: c.update({"class": "os.system"}), "class 'os.system'"),
    "no class's name": (lambda c, t: c.update({"class": ["MLPClassifier"]}), "unknown class"),
    "another class": (lambda c, t: c.update({"class": "MLPRegressor"}), "parameters of MLPReg"),
    "no parameters": (lambda c, t: c.pop("parameters"), "sections lack parameters"),
    "a list of parameters": (lambda c, t: c.update(parameters=[]), "parameters of MLPCl.* missing"),
    "one section more": (lambda c, t: c.update(code="1"), "unknown names: 'code'"),
    "a missing parameter": (lambda c, t: c["parameters"].pop("alpha"), "lack alpha"),
    "an unknown parameter": (change_parameter("beta", 1), "unknown names: 'beta'"),
    "a wrong parameter": (change_parameter("alpha", -1), "'alpha' parameter .* Got -1"),
    "a parameter's type": (change_parameter("solver", ["adam"]), "'solver' parameter"),
    "a vast number": (change_parameter("alpha", 1e999), "Infinity is no JSON"),
    "an unknown kind": (change_parameter("alpha", {"eval": "1"}), "called \\['eval'\\]"),
    "a wrong scalar": (change_parameter("alpha", {"numpy": ["int8", 300]}), "300 is no int8"),
    "no scalar": (change_parameter("alpha", {"numpy": ["object", 1]}), "called 'object'"),
    "a wrong float": (change_parameter("alpha", {"float": "1"}), "'1' is no number"),
    "a missing attribute": (lambda c, t: c["attributes"].pop("coefs_"), "lack coefs_"),
    "an unknown attribute": (change_attribute("predict", 1), "unknown names: 'predict'"),
    "an attribute's type": (change_attribute("n_iter_", "1"), "n_iter_ must be a count"),
    "a truth value": (change_attribute("n_iter_", True), "n_iter_ must be a count"),
    "layers": (change_attribute("n_layers_", 2**60), "n_layers_=1152921504606846976"),
    "features": (change_attribute("n_features_in_", 6), "6 features"),
    "outputs": (change_attribute("n_outputs_", 4), "4 outputs"),
    "link": (change_attribute("out_activation_", "step"), "out_activation_ must be"),
    "an activation": (change_attribute("_hidden_layers", []), "0 activations do not fit 2 hidden"),
    "a layer": (change_attribute("_hidden_layers", ["relu"]), "_hidden_layers must be a list of"),
    "the loss": (change_attribute("_trained_loss", "l"), "_trained_loss must be"),
    "factors": (change_attribute("_class_factors", [1.0]), "_class_factors must be"),
    "slopes": (change_attribute("activation_slopes_", []), "activation_slopes_ do not fit"),
    "names": (change_attribute("feature_names_in_", {"strings": ["a"]}), "1 names for 5"),
    "strings": (change_attribute("feature_names_in_", {"strings": [1]}), "holds other objects"),
    "the order of classes": (change_tensor("classes_", lambda t: t[::-1]), "in ascending order"),
    "fewer classes": (change_tensor("classes_", lambda t: t[:2]), "classes_ do not fit 3 outputs"),
    "no characters": (change_tensor("classes_", lambda t: t + np.uint32(2**30)), "no characters"),
    "a kind of labels": (lambda c, t: c["labels"].update(kind="?"), "kind of labels must be"),
    "no labels": (lambda c, t: (c.pop("labels"), t.pop("labels")), "labels are missing"),
    "a wrong shape": (change_tensor("coefs_.0", lambda t: t.T), "do not make a network"),
    "one axis": (change_tensor("coefs_.0", np.ravel), "do not make a network"),
    "a wrong bias": (change_tensor("intercepts_.1", lambda t: t[1:]), "do not make a network"),
    "a wrong dtype": (change_tensor("coefs_.0", lambda t: t.astype("f4")), "dtype float32, not"),
    "whole numbers": (change_all("coefs_.0", lambda t: t.astype(int)), "float32 or float64"),
    "a NaN": (change_tensor("coefs_.1", lambda t: t * np.nan), "coefs_ must be finite"),
    "an infinity": (change_tensor("intercepts_.0", lambda t: t / 0), "must be finite"),
    "a missing tensor": (lambda c, t: t.pop("coefs_.0"), "no tensor 'coefs_.0'"),
    "one tensor more": (lambda c, t: t.update(more=np.zeros(1)), "belong to nothing: \\['more'\\]"),
    "a tensor used twice": (
        lambda c, t: c["attributes"]["coefs_"][1].update(array=["coefs_.0", "<f8"]), "used twice"),
    "a solver": (lambda c, t: c["optimizer"].update(solver="x"), "optimizer's solver must be"),
    "another solver": (lambda c, t: c["optimizer"].update(solver="sgd"), "state does not fit"),
    "an option": (lambda c, t: c["optimizer"]["options"].update(rho=2), "optimizer's rho"),
    "unknown options": (lambda c, t: c["optimizer"]["options"].update(a=2), "unknown names: 'a'"),
    "a schedule": (lambda c, t: c["optimizer"]["schedule"].update(epoch=-1), "optimizer's epoch"),
    "no schedule": (lambda c, t: c["optimizer"].pop("schedule"), "parts lack schedule"),
    "the state's shape": (change_tensor("optimizer.0.0", np.ravel), "state does not fit"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("change", "text"), CHANGES.values(), ids=CHANGES)
def test_a_file_that_fits_its_checksum_but_no_model(change, text, model):
    rewritten(model, change)
    refused(model, text)


def test_a_parameter_of_a_later_format_takes_its_default(model, monkeypatch):
    rewritten(model, lambda config, tensors: config["parameters"].pop("max_time"))
    refused(model, "lack max_time")
    monkeypatch.setattr(model_files, "FORMAT", model_files.FORMAT + 1)
    later = MLPClassifier._parameters["max_time"]._replace(since=model_files.FORMAT)
    monkeypatch.setitem(MLPClassifier._parameters, "max_time", later)
    assert load(model).max_time is None


# --- mutations -----------------------------------------------------------------------------------

many = hypothesis.settings(
    max_examples=MUTATIONS,
    deadline=None,
    database=None,
    derandomize=MUTATIONS < 1000,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@st.composite
def mutations(draw):
    """Places (as shares of the file), what happens there, and bytes for it."""
    kinds = st.sampled_from(["flip", "write", "insert", "delete", "copy", "cut"])
    share = st.floats(0, 1, exclude_max=True)
    where = share | share.map(lambda s: s / 8)  # more often in the header
    change = st.tuples(kinds, where, share, st.binary(min_size=1, max_size=9))
    return draw(st.lists(change, min_size=1, max_size=4))


def mutated(data, changes):
    data = bytearray(data)
    for kind, where, other, new in changes:
        place, source = int(where * len(data)), int(other * len(data))
        if kind == "flip" and data:
            data[place] ^= 1 << new[0] % 8
        elif kind == "write":
            data[place : place + len(new)] = new
        elif kind == "insert":
            data[place:place] = new
        elif kind == "delete":
            del data[place : place + len(new)]
        elif kind == "copy":
            data[place : place + 20 * new[0]] = data[source : source + 20 * new[0]]
        elif kind == "cut":
            del data[place:]
    return bytes(data)


@many
@hypothesis.given(changes=mutations())
def test_a_mutated_file_is_refused_or_the_same(changes, tmp_path_factory):
    data = STORED.read_bytes()
    path = tmp_path_factory.getbasetemp() / "mutated"
    path.write_bytes(mutated(data, changes))
    try:
        estimator = load(path)
    except ValueError as error:
        assert repr(str(path)) in str(error)  # noqa: PT017
    else:
        assert bits(estimator) == bits(load(STORED))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([-1, 0, 1, 2**31, 2**63, 2**64, 10**30, "adam", "relu", "coefs_.0", "<f8"])
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["float", "numpy", "tuple", "dict", "array", "strings", "csr",
                         "random_state", "x"]), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


def places(code, path=()):
    yield path
    items = code.items() if isinstance(code, dict) else enumerate(code)
    for key, item in items if isinstance(code, (dict, list)) else ():
        if isinstance(item, (dict, list)):
            yield from places(item, (*path, key))
        else:
            yield (*path, key)


@many
@hypothesis.given(
    share=st.floats(0, 1, exclude_max=True), new=values, remove=st.booleans(),
    tensor=st.none() | st.sampled_from([np.ravel, np.transpose, lambda t: t[:1], lambda t: t * 0,
                                        lambda t: t.astype(np.float32), lambda t: t[None]]),
)  # fmt: skip
def test_a_forged_configuration_is_refused_or_a_model_that_works(
    share, new, remove, tensor, tmp_path_factory
):
    path = tmp_path_factory.getbasetemp() / "forged"
    path.write_bytes(STORED.read_bytes())

    def change(config, tensors):
        if tensor is not None:
            name = sorted(tensors)[int(share * len(tensors))]
            tensors[name] = tensor(tensors[name])
            return
        found = [place for place in places(config) if place]
        *above, last = found[int(share * len(found))]
        for key in above:
            config = config[key]
        if remove:
            del config[last]
        else:
            config[last] = new

    rewritten(path, change)
    try:
        estimator = load(path)
    except ValueError as error:
        assert repr(str(path)) in str(error)  # noqa: PT017
    else:
        assert estimator.set_params(device="cpu").predict(X[:, :4]).shape == (60,)
        model_files._to_bytes(estimator)


# --- stored files --------------------------------------------------------------------------------


def make_stored(path):
    """A stored file, which was made once by ``python -m tests.test_saving PATH``."""
    labels = np.array(["no", "perhaps", "yes, très"])[np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7])]
    estimator = MLPClassifier(
        (6, 4),
        ("prelu", "maxout"),
        max_iter=30,
        learning_rate_init=0.02,
        early_stopping=True,
        n_iter_no_change=4,
        random_state=7,
        checkpoint_every=5,
        diagnostics=True,
    )
    estimator.fit(X[:, :4], labels)
    print(repr(estimator.predict_proba(probes()).tolist()), estimator.predict(probes()).tolist())
    save(estimator.set_params(device="cuda"), path)


def probes():
    return np.linspace(-1, 1, 12).reshape(3, 4)


@pytest.mark.parametrize("version", range(1, model_files.FORMAT + 1))
def test_the_stored_file_of_each_format(version):
    path = FOLDER / f"model-v{version}.safetensors"
    assert config_of(path)["format"] == version
    assert path.stat().st_size < 20_000
    estimator = load(path)
    assert estimator.get_params() == {
        **MLPClassifier().get_params(),
        "hidden_layer_sizes": (6, 4),
        "activation": ("prelu", "maxout"),
        "max_iter": 30,
        "learning_rate_init": 0.02,
        "early_stopping": True,
        "n_iter_no_change": 4,
        "random_state": 7,
        "checkpoint_every": 60.0 if version == 1 else 5,
        "diagnostics": version >= 3,
        "device": "cpu" if version < 4 else "cuda",
    }
    estimator.set_params(device="cpu")
    assert estimator.classes_.tolist() == ["no", "perhaps", "yes, très"]
    assert [None if a is None else a.shape for a in estimator.activation_slopes_] == [(6,), None]
    assert estimator.n_iter_ == len(estimator.validation_scores_)
    np.testing.assert_allclose(estimator.predict_proba(probes()), EXPECTED, rtol=1e-10)
    assert estimator.predict(probes()).tolist() == LABELS_EXPECTED
    estimator.set_params(early_stopping=False).partial_fit(probes(), estimator.classes_)


EXPECTED = [
    [0.4060810877113174, 0.43837086541373044, 0.15554804687495227],
    [0.2668857989327358, 0.4702631536594361, 0.26285104740782816],
    [0.06207146655804801, 0.24818766488426577, 0.6897408685576862],
]
LABELS_EXPECTED = ["perhaps", "perhaps", "yes, très"]

if __name__ == "__main__":
    make_stored(sys.argv[1])


def test_a_number_of_any_type_as_size(tmp_path):
    for size in (np.int64(5), np.uint8(5)):
        clf = MLPClassifier(size, max_iter=2).fit(X, y)
        clf.save(tmp_path / "model")
        assert load(tmp_path / "model").hidden_layer_sizes == size


@posix
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path):
    path = tmp_path / "model"
    clf = MLPClassifier((2,), max_iter=2).fit(X, y)
    clf.save(path)
    for mode in (0o600, 0o640):
        path.chmod(mode)
        clf.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("path", ["missing/model", "new/", "", "\0"])
def test_a_path_of_no_file_is_named(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clf = MLPClassifier((2,), max_iter=2).fit(X, y)
    for write in (clf.save, *([clf.to_onnx] if importlib.util.find_spec("onnx") else [])):
        with pytest.raises((OSError, ValueError)) as raised:
            write(path)
        assert repr(path)[1:-1] in str(raised.value)
        assert ".tmp" not in str(raised.value)
    assert not os.listdir(tmp_path)
