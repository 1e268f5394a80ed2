"""Samples that an engine holds: what comes of them, what is refused, how long they are kept."""

import gc
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest
import scipy.sparse

from fastmlp import Adaline, MLPClassifier, MLPRegressor, _native
from fastmlp.playground import TrainingSession
from fastmlp.training.first_order import FirstOrderTraining

SAMPLES = {np.float32: _native.Samples32, np.float64: _native.Samples64}
NETWORKS = {np.float32: _native.Network32, np.float64: _native.Network64}
HIDDEN, LOSS = [("tanh", 0.0, 1, 0.0)], "log_loss"
CPU = next(
    name for name, (device, lack) in _native.engines().items() if device == "cpu" and not lack
)
STEPS = {"solver": "adam", "steps": 0, "rate": 0.01, "beta_1": 0.9, "beta_2": 0.9, "epsilon": 1e-8}
ORDER = np.array([5, 0, 3, 3, 11])


def data_of(kind, dtype=np.float64):
    """x, targets, weights, and what else calls are told of the samples."""
    rng = np.random.default_rng(0)
    x, targets = rng.normal(size=(12, 3)).astype(dtype), rng.integers(2, size=12).astype(np.int32)
    weights = rng.random(12).astype(dtype)
    if kind == "sparse":
        csr = scipy.sparse.csr_array(np.where(x > 0, x, 0))
        x = (csr.data, csr.indices.astype(np.int32), csr.indptr.astype(np.int64))
    if kind == "sequences":
        x = rng.normal(size=(12, 4, 3)).astype(dtype)
        return x, targets, weights, rng.integers(1, 5, 12)
    return x, targets, weights, None


def held(kind, dtype=np.float64, **changed):
    x, targets, weights, lengths = data_of(kind, dtype)
    options = {"features": 3, "outputs": 2, "sequences": kind == "sequences", "lengths": lengths}
    return SAMPLES[dtype](x, targets, weights, **{**options, **changed})


def network_of(kind, dtype=np.float64, **options):
    recurrent = {"cell": "gru", "steps": 4} if kind == "sequences" else {}
    network = NETWORKS[dtype]([3, 5, 2], HIDDEN, LOSS, alpha=0.1, batch=6, keep_gradient=True,
                              sparse=kind == "sparse", **{**recurrent, **options})  # fmt: skip
    rng = np.random.default_rng(1)
    blocks = [rng.normal(size=b.shape).astype(dtype) for b in network.read(0)]
    network.write(0, blocks)
    return network, blocks


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["dense", "sparse", "sequences"])
def test_held_samples_are_those_that_were_given(engine, kind, dtype):
    if kind == "sequences" and _native.engines()[engine][0] != "cpu":
        pytest.skip("recurrent networks are of the CPU")
    x, targets, weights, lengths = data_of(kind, dtype)
    cell = {"cell": "gru"} if kind == "sequences" else {}

    def results(samples, unlabelled, **ends):
        network, blocks = network_of(kind, dtype, engine=engine)
        options = {"n_threads": 2, **ends}
        found = [*network.train(*samples, **STEPS, **options)[0], *network.read(0)]
        found += [*network.train(*samples, order=ORDER, **STEPS, **options)[0], *network.read(1)]
        loss, gradient = network.gradient(*samples, order=ORDER, **options)
        found += [loss, *gradient, network.diagnose(*samples, order=ORDER, **options)]
        options |= {**cell, "engine": engine}
        found += _native.evaluate(blocks, HIDDEN, LOSS, *samples, order=ORDER, **options)
        found += _native.activations(blocks, HIDDEN, LOSS, unlabelled, **options)
        return [*found, _native.predict(blocks, HIDDEN, LOSS, unlabelled, ORDER, **options)]

    expected = results((x, targets, weights), x, lengths=lengths)
    # of copies that nobody else keeps
    samples = held(kind, dtype, engine=engine)
    options = {"sequences": kind == "sequences", "lengths": lengths, "engine": engine}
    unlabelled = SAMPLES[dtype](data_of(kind, dtype)[0], features=3, outputs=2, **options)
    gc.collect()
    litter = [np.full(36, np.nan, dtype) for _ in range(100)]
    for _ in range(2):
        got = results((samples,), unlabelled)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    del litter


def test_samples_are_checked_when_they_are_held():
    x, targets, weights, _ = data_of("dense")
    make, options = _native.Samples64, {"features": 3, "outputs": 2}
    make(x, targets, weights, **options)
    data, indices, indptr = data_of("sparse")[0]
    sequences, _, _, lengths = data_of("sequences")
    per_step = {"sequences": True, "per_step": True}
    for arguments, changed, message in [
        ((x, targets[:5]), {}, "targets"),
        ((x, targets + 1), {}, "a class outside"),
        ((x, targets, weights.astype(np.float32)), {}, "weights"),
        ((x, None, weights), {}, "weights: without targets"),
        ((x, np.zeros((12, 3))), {}, "targets"),
        ((x.T, targets), {}, "X: wrong shape"),
        ((x, targets), {"features": 2}, "X: wrong shape"),
        ((x, targets), {"features": 0}, "must be positive"),
        ((x, targets), {"lengths": lengths}, "have none"),
        ((x, targets), {"per_step": True}, "of sequences only"),
        (((data, indices + 3, indptr),), {}, "a column outside"),
        (((data, indices, indptr[::-1].copy()),), {}, "X.indptr"),
        ((held("dense"),), {}, "X: not an array"),
        ((sequences, targets), per_step, "targets"),
        ((sequences, targets), {"sequences": True, "lengths": lengths + 4}, "lengths: must be"),
        ((x, targets), {"engine": "avx1024"}, "engine must be one of"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(*arguments, **{**options, **changed})


def test_samples_of_another_kind_are_refused():
    """On a CPU's engine, which takes all kinds."""
    ours = {"engine": CPU}
    dense, sparse, sequences = (held(kind, **ours) for kind in ("dense", "sparse", "sequences"))
    unlabelled = _native.Samples64(data_of("dense")[0], features=3, outputs=2, **ours)
    wide = _native.Samples64(data_of("dense")[0][:, :2].copy(), features=2, outputs=2, **ours)
    refused = [
        ("dense", held("dense", np.float32, **ours), "held in this dtype"),
        ("dense", held("dense", outputs=3, **ours), "another number of features or outputs"),
        ("dense", wide, "another number of features or outputs"),
        ("dense", sparse, "sparse and dense mixed"),
        ("sparse", dense, "sparse and dense mixed"),
        ("dense", sequences, "sequences and rows mixed"),
        ("sequences", dense, "sequences and rows mixed"),
        ("dense", unlabelled, "targets: the samples have none"),
    ]
    others = [name for name, (_, lack) in _native.engines().items() if not lack and name != CPU]
    refused += [("dense", held("dense", engine=name), "another engine") for name in others]
    for kind, samples, message in refused:
        network, blocks = network_of(kind, **ours)
        cell = {"cell": "gru"} if kind == "sequences" else {}
        for call in (
            lambda n=network, s=samples: n.train(s, **STEPS, n_threads=1),
            lambda n=network, s=samples: n.gradient(s, order=ORDER, n_threads=1),
            lambda n=network, s=samples: n.diagnose(s, order=ORDER, n_threads=1),
        ):
            with pytest.raises(ValueError, match=message):
                call()
        if "sparse" not in message:  # these calls take both
            with pytest.raises(ValueError, match=message.replace("the samples have none", "")):
                _native.evaluate(blocks, HIDDEN, LOSS, samples, n_threads=1, **cell, **ours)
    network, blocks = network_of("dense", **ours)
    predict = _native.predict
    with pytest.raises(ValueError, match="take samples without"):
        predict(blocks, HIDDEN, LOSS, dense, n_threads=1, **ours)
    with pytest.raises(ValueError, match="take samples without"):
        predict(blocks[:2], HIDDEN, None, held("dense", outputs=5, **ours), n_threads=1, **ours)
    _, targets, weights, _ = data_of("dense")
    for more in ((targets,), (None, weights)):
        with pytest.raises(ValueError, match="held samples have their own"):
            network.train(dense, *more, **STEPS, n_threads=1)
    with pytest.raises(ValueError, match="lengths"):
        network.train(dense, lengths=np.ones(12, np.int64), **STEPS, n_threads=1)
    with pytest.raises(ValueError, match="order: a row outside"):
        network.train(dense, order=np.array([12]), **STEPS, n_threads=1)
    sequences, targets = data_of("sequences")[0], np.zeros((12, 4), np.int32)
    per_step = {"features": 3, "outputs": 2, "sequences": True, "per_step": True, **ours}
    steps = _native.Samples64(sequences, targets, **per_step)
    with pytest.raises(ValueError, match="another `per_step`"):
        network_of("sequences", **ours)[0].train(steps, **STEPS, n_threads=1)


def test_precision_is_of_devices():
    make = {"units": [3, 2], "hidden": [], "loss": LOSS, "alpha": 0.0, "batch": 1}
    _native.Network64(**make, precision="float32")
    for kind, precision, message in [
        (_native.Network32, "float16", "precision must be one of float32, tf32, bfloat16"),
        (_native.Network64, "tf32", "a network of float64 has no other"),
    ]:
        with pytest.raises(ValueError, match=message):
            kind(**make, precision=precision)
    for name, (device, lack) in _native.engines().items():
        if device == "cpu" and not lack:
            with pytest.raises(ValueError, match="precision: the CPU's is float32"):
                _native.Network32(**make, engine=name, precision="bfloat16")


def test_an_engine_is_of_a_device():
    for name, (device, lack) in _native.engines().items():
        assert device in ("cpu", "cuda")
        if device == "cpu":
            assert lack in (None, "this machine cannot run it")
        if not lack:
            assert isinstance(_native.card(name), str)
    assert _native.engines()[_native.engine()][1] is None
    with pytest.raises(ValueError, match="device='tpu': this build of fastmlp has no engine for"):
        _native.engine("tpu")
    code = "from fastmlp import _native; print(_native.engine())"
    environment = {k: v for k, v in os.environ.items() if k != "FASTMLP_ENGINE"}
    chosen = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True,
                            text=True, check=True).stdout.strip()  # fmt: skip
    assert _native.engines()[chosen][0] == "cpu"  # others are used where they are asked for
    assert issubclass(_native.DeviceError, RuntimeError)


# --- fits ----------------------------------------------------------------------------------------

X, Y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
MLP = {"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning",
                                        "ignore::UserWarning")  # fmt: skip


@pytest.fixture
def held_since(monkeypatch):
    """References to all samples that were held since."""
    references = []

    def watched(kind):
        def hold(*args, **options):
            samples = kind(*args, **options)
            references.append(weakref.ref(samples))
            return samples

        return hold

    for name in ("Samples32", "Samples64"):
        monkeypatch.setattr(_native, name, watched(getattr(_native, name)))
    return references


@pytest.mark.parametrize(
    ("estimator", "fit", "times"),
    [
        (MLPClassifier(**MLP), {}, 1),
        (MLPRegressor(**MLP, diagnostics=True), {}, 1),
        (MLPClassifier(**MLP, solver="lbfgs"), {}, 1),
        (MLPClassifier(**MLP, early_stopping=True), {}, 1),  # some of its rows are for validation
        (MLPClassifier(**MLP, early_stopping=True, class_weight="balanced"), {}, 2),
        (MLPClassifier(**MLP), {"X_val": X[:20], "y_val": Y[:20]}, 2),
        (MLPClassifier(**MLP, scoring="accuracy"), {"X_val": X[:20], "y_val": Y[:20]}, 2),
        (Adaline(max_iter=4), {}, 1),
    ],
)
def test_a_fit_has_its_samples_held_once(held_since, estimator, fit, times):
    estimator.fit(X, Y, **fit)
    assert len(held_since) == times
    assert estimator.n_iter_ > 1


def fit(estimator, X, y):
    estimator.fit(X, y)


def partial_fit(estimator, X, y):
    for _ in range(2):
        estimator.partial_fit(X, y, classes=range(3))


def validated_fit(estimator, X, y):
    estimator.fit(X, y, X_val=X.copy(), y_val=y)


def session(estimator, X, y):
    TrainingSession(estimator, X, y).train(3)


@pytest.mark.parametrize("train", [fit, partial_fit, validated_fit, session])
@pytest.mark.parametrize("sparse", [False, True])
def test_an_estimator_keeps_no_data_alive(train, sparse):
    """Nor does the network that `partial_fit` leaves open."""
    y = Y.copy()
    data = scipy.sparse.csr_array(np.where(X > 0, X, 0)) if sparse else X.copy()
    values = data.data if sparse else data
    watched = [weakref.ref(values), weakref.ref(y)]
    estimator = MLPClassifier(**MLP)
    train(estimator, data, y)
    del data, values, y
    gc.collect()
    assert [ref() for ref in watched] == [None, None]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_nothing_is_held_after_a_fit_that_failed(held_since, monkeypatch, early_stopping):
    """Although whoever catches the exception has its frames, and in them the training."""
    record = FirstOrderTraining._record

    def failing(training):
        record(training)
        if training.n_iter == 2:
            raise ArithmeticError

    monkeypatch.setattr(FirstOrderTraining, "_record", failing)
    estimator = MLPClassifier(**MLP, early_stopping=early_stopping, class_weight="balanced")
    with pytest.raises(ArithmeticError) as raised:
        estimator.fit(X, Y)
    assert raised.traceback
    assert [ref() for ref in held_since] == [None] * (1 + early_stopping)
