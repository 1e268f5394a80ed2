"""device="cuda" as a parameter: refused where there is no engine, kept, saved, taken back."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import fastmlp
from fastmlp import MLPAutoencoder, MLPClassifier, MLPRegressor, _native, load
from fastmlp.inspection import check_gradients, explain_step
from fastmlp.playground import TrainingSession
from tests.devices import HAS_DEVICE, LACKS, W, X, make, needs_device, same_bits, y, z
from tests.ranks import in_threads

pytestmark = [
    pytest.mark.usefixtures("unforced"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

without_device = pytest.mark.skipif(HAS_DEVICE, reason="there is an engine for it")

KINDS = {"classifier": y, "regressor": z, "autoencoder": None}
each_kind = pytest.mark.parametrize("targets", KINDS.values(), ids=KINDS)


# --- without an engine for it --------------------------------------------------------------------


def refuses(call, *args, **options):
    how = "" if LACKS else ".*FASTMLP_CUDA=ON"
    with pytest.raises(ValueError, match=rf"device='cuda': .*{how}.*device='cpu'"):
        call(*args, **options)


@without_device
@each_kind
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_fit_is_refused_and_the_earlier_fit_stays(targets, solver):
    model = make({"solver": solver, "batch_size": "auto"}, targets).fit(X, targets)
    before = clone(model).fit(X, targets)
    model.set_params(device="cuda")
    refuses(model.fit, X, targets)
    if solver == "adam":
        refuses(model.partial_fit, X, targets)
    same_bits(model, before)


@without_device
@each_kind
def test_a_fitted_model_is_refused_everything_but_the_cpu(targets, tmp_path):
    model = make({}, targets).fit(X, targets)
    expected = model.hidden_activations(X)
    model.set_params(device="cuda").save(tmp_path / "model")
    for found in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), model):
        assert found.device == "cuda"
        calls = ["predict", "hidden_activations"] if targets is not None else ["transform"]
        for name in calls:
            refuses(getattr(found, name), X)
            refuses(getattr(found, name), X[:1])  # one row takes another way
        refuses(found.score, X, targets)
        refuses(found.loss_and_gradient, X, targets)
        same_bits(found, model)
        found.set_params(device="cpu")
        np.testing.assert_array_equal(found.hidden_activations(X), expected)


@without_device
def test_inspection_and_sessions_are_refused():
    model = make({}, y).fit(X, y).set_params(device="cuda")
    refuses(check_gradients, model, X, y)
    refuses(explain_step, model, X[:1], y[:1])
    refuses(TrainingSession, make({}, y, device="cuda"), X, y)
    refuses(fastmlp.inspection.diagnose, model, X, y)


@without_device
def test_a_checkpoint_is_not_made(tmp_path):
    refuses(make({}, y, device="cuda", checkpoint=tmp_path / "fit").fit, X, y)
    assert not list(tmp_path.iterdir())


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [
    {"device": "gpu"}, {"device": "cuda:0"}, {"device": None}, {"device": 0},
    {"precision": "float16"}, {"precision": None}, {"precision": "float64"},
], ids=str)  # fmt: skip
@each_kind
def test_other_values_are_refused(values, targets):
    for call in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=rf"The '{next(iter(values))}' parameter of"):
            getattr(make(values, targets), call)(X, targets)


@each_kind
@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_precision_is_for_float32_on_a_device(precision, targets):
    with pytest.raises(ValueError, match=r"is for device='cuda'. Got device='cpu'"):
        make({"precision": precision}, targets).fit(X.astype(np.float32), targets)
    with pytest.raises(ValueError, match=r"is for networks of float32. This one is of float64"):
        make({"precision": precision, "device": "cuda"}, targets).fit(X, targets)


def test_a_network_of_any_precision_is_used_on_the_cpu():
    single = X.astype(np.float32)
    model = make({}, y).fit(single, y)
    expected, (loss, _) = model.predict_proba(single), model.loss_and_gradient(single, y)
    model.set_params(precision="bfloat16")
    np.testing.assert_array_equal(model.predict_proba(single), expected)
    assert model.loss_and_gradient(single, y)[0] == loss
    assert max(check_gradients(model, single, y).values()) < 1e-6


@each_kind
def test_the_parameters_are_kept(targets, tmp_path):
    model = make({"device": "cuda", "precision": "tf32"}, targets)
    copies = [clone(model), pickle.loads(pickle.dumps(model))]
    fitted = make({}, targets).fit(X, targets).set_params(device="cuda", precision="tf32")
    fitted.save(tmp_path / "model")
    for found in (*copies, load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted))):
        assert found.get_params()["device"] == found.device == "cuda"
        assert found.get_params()["precision"] == found.precision == "tf32"


def test_other_libraries_get_the_model_all_the_same():
    for targets in (y, z):
        model = make({}, targets).fit(X, targets)
        expected = model.predict(X)
        model.set_params(device="cuda", precision="tf32")
        np.testing.assert_allclose(model.to_sklearn().predict(X), expected)
        assert "device" in repr(model)
        assert str(model.summary())


@pytest.mark.parametrize("name", [
    "Adaline", "Perceptron", "RNNClassifier", "RNNRegressor", "TabularMLPClassifier",
    "TabularMLPRegressor",
])  # fmt: skip
def test_who_has_no_device(name):
    parameters = getattr(fastmlp, name)().get_params()
    assert not {"device", "precision"} & set(parameters)


def test_the_cpu_is_the_default_and_an_engine_is_never_chosen_by_itself():
    for Estimator in (MLPAutoencoder, MLPClassifier, MLPRegressor):
        assert Estimator().device == "cpu"
        assert Estimator().precision == "float32"
    engines = _native.engines()
    assert engines[_native.engine()][0] == "cpu"
    assert engines[_native.engine("cpu")][0] == "cpu"
    devices = [device for device, _ in engines.values()]
    assert devices == sorted(devices, key=lambda device: device != "cpu")  # others come last


@pytest.mark.parametrize("forced", [n for n, (d, lack) in _native.engines().items()
                                    if d == "cpu" and lack is None])  # fmt: skip
def test_a_forced_engine_is_for_the_cpu(forced, monkeypatch):
    monkeypatch.setenv("FASTMLP_ENGINE", forced)
    assert _native.engine() == forced
    if HAS_DEVICE:
        assert _native.engines()[_native.engine("cuda")][0] == "cuda"
    else:
        refuses(make({}, y, device="cuda").fit, X, y)


def test_importing_touches_no_driver():
    """The driver's library is not loaded before a device is asked for."""
    code = "import fastmlp\nprint([line for line in open('/proc/self/maps') if 'libcuda' in line])"
    if sys.platform != "linux":
        pytest.skip("there is no /proc/self/maps")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_ranks_are_for_the_cpu():
    def fit(comm):
        error = pytest.raises(ValueError, match=r"is for device='cpu'. Got device='cuda'")
        with error, fastmlp.distributed(comm):
            make({}, y, device="cuda").fit(X, y)

    assert in_threads(2, fit) == [None, None]


# --- with one ------------------------------------------------------------------------------------


@needs_device
def test_n_jobs_has_no_effect():
    with pytest.warns(UserWarning, match=r"Without effect here: n_jobs \(only for device='cpu'\)"):
        model = make({}, y, device="cuda", n_jobs=2).fit(X, y)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Without effect")
        same_bits(model, make({}, y, device="cuda").fit(X, y))
        make({}, y, n_jobs=2).fit(X, y)


@needs_device
def test_a_search():
    grid = {"alpha": [1e-4, 1.0], "device": ["cpu", "cuda"]}
    search = GridSearchCV(make({}, y), grid, cv=3, n_jobs=2, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    np.testing.assert_array_equal(scores[:, 0], scores[:, 1])


@needs_device
def test_from_one_device_to_the_other(tmp_path):
    model = make({}, y, device="cuda").fit(X, y, W)
    with pytest.raises(NotFittedError):
        make({}, y, device="cuda").predict(X)
    model.save(tmp_path / "model")
    found = load(tmp_path / "model")
    same_bits(found, model)
    np.testing.assert_array_equal(found.predict_proba(X), model.predict_proba(X))
    on_cpu = found.set_params(device="cpu").predict_proba(X)
    np.testing.assert_allclose(on_cpu, model.predict_proba(X), rtol=1e-9)
