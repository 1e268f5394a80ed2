"""Fitted networks in ONNX, scikit-learn and PyTorch, and from scikit-learn."""

import pickle
import subprocess
import sys
import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn import neural_network
from sklearn.exceptions import NotFittedError

from fastmlp import MLPClassifier, MLPRegressor, Perceptron, _native, from_sklearn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_FEATURES = 6
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}
ALPHAS = {"leaky_relu": 0.2, "prelu": 0.3, "elu": 0.7, "swish": 1.5, "softplus": 2.0}
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
activations = pytest.mark.parametrize("activation", list(_native.ACTIVATIONS))


def data(kind, dtype=np.float64, n=60):
    """X and y of a kind of task, from outputs that depend on X."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, N_FEATURES)).astype(dtype)
    z = X @ rng.normal(size=(N_FEATURES, 3))
    y = {
        "binary": lambda: (z[:, 0] > 0).astype(int),
        "multiclass": lambda: z.argmax(axis=1),
        "multilabel": lambda: (z > 0).astype(int),
        "distribution": lambda: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
        "regression": lambda: abs(z[:, 0]) + 0.1,
        "multi-output": lambda: abs(z) + 0.1,
    }[kind]()
    return X, y


def to_onnx(estimator, *args, **options):
    return estimator.to_onnx(*args, **options)


def to_sklearn(estimator):
    return estimator.to_sklearn()


def to_torch(estimator, **options):
    return estimator.to_torch(**options)


def losses(Estimator):
    return Estimator._parameters["loss"].rule.text.split("'")[1::2]


def tasks():
    """(kind of data, estimator, loss) of all that the estimators do."""
    for loss in losses(MLPClassifier):
        soft = loss == "kl_divergence"
        for kind in ["distribution"] if soft else ["binary", "multiclass", "multilabel"]:
            yield kind, MLPClassifier, loss
    for loss, kind in product(losses(MLPRegressor), ["regression", "multi-output"]):
        yield kind, MLPRegressor, loss


def fitted(Estimator, kind, dtype, **parameters):
    X, y = data(kind, dtype)
    options = {"hidden_layer_sizes": (7, 5), "max_iter": 5, "random_state": 1, "n_jobs": 1}
    options |= {"learning_rate_init": 0.01, "maxout_pieces": 3, "batch_size": 20}
    return Estimator(**options | parameters).fit(X, y), 2 * X


def all_tasks(activation, dtype):
    """Fitted estimators of all tasks, each with samples."""
    alpha = ALPHAS.get(activation)
    for kind, Estimator, loss in tasks():
        yield fitted(
            Estimator, kind, dtype, loss=loss, activation=activation, activation_alpha=alpha
        )


# --- ONNX ----------------------------------------------------------------------------------------


def run_onnx(model, X, rows="N"):
    """The outputs of a model by name; `rows` is what their first dimension is called."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = model if isinstance(model, str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    results = dict(zip(names, session.run(None, {"X": X}), strict=True))
    for output in session.get_outputs():  # declared as they are
        shape = results[output.name].shape
        assert output.shape == [rows, *shape[1:]]
    return results


def assert_onnx_agrees(estimator, X, tolerance=1e-5, **options):
    pytest.importorskip("onnx")
    results = run_onnx(to_onnx(estimator, **options), X)
    near = {"rtol": tolerance, "atol": tolerance, "strict": True}
    if isinstance(estimator, MLPRegressor):
        predicted = estimator.predict(X).reshape(len(X), -1)
        np.testing.assert_allclose(results.pop("variable"), predicted, **near)
    else:
        np.testing.assert_array_equal(results.pop("label"), estimator.predict(X))
        if estimator.loss in ("hinge", "perceptron"):
            scores = estimator.decision_function(X)
            np.testing.assert_allclose(results.pop("scores"), scores, **near)
        else:
            probabilities = estimator.predict_proba(X)
            np.testing.assert_allclose(results.pop("probabilities"), probabilities, **near)
    assert not results


@dtypes
@activations
def test_onnx_agrees(activation, dtype):
    tolerance = 1e-6 if activation == "gelu" and dtype == np.float64 else TOLERANCE[dtype]
    for estimator, X in all_tasks(activation, dtype):
        assert_onnx_agrees(estimator, X, tolerance)


@dtypes
def test_onnx_at_extreme_inputs(dtype):
    pytest.importorskip("onnx")
    for activation in _native.ACTIVATIONS:
        reg, X = fitted(MLPRegressor, "regression", dtype, activation=activation)
        reg.intercepts_ = [bias * 0 for bias in reg.intercepts_]
        X = np.concatenate([X * scale for scale in (0, 1e-3, 30, 1e4)]).astype(dtype)
        result = run_onnx(to_onnx(reg), X)["variable"][:, 0]
        expected = reg.predict(X)
        assert np.isfinite(expected).all()
        terms = np.abs(reg.hidden_activations(X)) @ np.abs(reg.coefs_[-1][:, 0])
        assert (np.abs(result - expected) < 1e-6 * (1 + terms)).all()  # some sums nearly cancel


@pytest.mark.parametrize(
    ("layers", "activation"),
    [((), "relu"), ((), []), ((4, 5, 6, 3), ["prelu", "maxout", "gelu", "prelu"])],
)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_layers(layers, activation, kind):
    Estimator = MLPRegressor if kind == "regression" else MLPClassifier
    estimator, X = fitted(
        Estimator, kind, np.float32, hidden_layer_sizes=layers, activation=activation
    )
    assert_onnx_agrees(estimator, X)
    assert_torch_agrees(estimator, X)


@pytest.mark.parametrize(
    "names",
    [["no", "yes"], ["a", "b", "c"], ["long name", "ü", ""], [-5, 7, 2**40], [2.0, 3.0, 5.0]],
    ids=str,
)
def test_onnx_gives_the_class_labels(names):
    X, y = data("binary" if len(names) == 2 else "multiclass", np.float32)
    text = isinstance(names[0], str)
    for labels in [np.array(names)] + [np.array(names, dtype=object)] * text:
        clf = MLPClassifier((5,), max_iter=3, random_state=0).fit(X, labels[y])
        assert_onnx_agrees(clf, X)
        assert run_onnx(to_onnx(clf), X)["label"].dtype == (object if text else np.int64)


def test_onnx_of_one_class_and_of_bools():
    X, y = data("binary", np.float32)
    for labels in (["only"] * len(y), y > 0):
        assert_onnx_agrees(MLPClassifier((5,), max_iter=3, random_state=0).fit(X, labels), X)


def test_onnx_refuses_other_labels():
    pytest.importorskip("onnx")
    X, y = data("binary")
    clf = MLPClassifier((2,), max_iter=1).fit(X, y)
    whole = "must be strings or whole numbers"
    for classes, text in (
        ([0.5, 1.5], whole),
        ([1, 2**63], whole),
        ([b"a", b"b"], whole),
        ([np.nan, 1.0], "classes_ must be labels in ascending order"),
        (["a", "\ud800"], "must be text that UTF-8 can hold"),
    ):
        clf.classes_ = np.array(classes)
        with pytest.raises(ValueError, match=text):
            to_onnx(clf)


def test_weights_that_make_no_network_are_refused():
    X, y = data("multiclass")
    theirs = neural_network.MLPClassifier((5,), max_iter=3).fit(X, y)
    ours = from_sklearn(theirs)
    theirs.coefs_[0] = theirs.coefs_[0][:, :3].copy()
    ours.coefs_ = theirs.coefs_
    for convert in (from_sklearn, to_onnx, to_sklearn, to_torch):
        with pytest.raises(ValueError, match=r"The network is not whole: coefs_ of the shapes"):
            convert(theirs if convert is from_sklearn else ours)
    theirs.coefs_[0] = np.full((X.shape[1], 5), np.nan)
    with pytest.raises(ValueError, match="not whole: coefs_ must be finite"):
        from_sklearn(theirs)


@pytest.mark.parametrize("given", ["abc", 99, np.float64(4), np.zeros(3)], ids=str)
def test_onnx_of_samples_that_are_none(given):
    pytest.importorskip("onnx")
    clf = MLPClassifier((2,), max_iter=1).fit(*data("binary"))
    with pytest.raises(ValueError, match=r"X must be \d+, or of shape .* Got .* instead"):
        to_onnx(clf, X=given)
    with pytest.raises(ValueError, match=r"dtype must be float32 or float64\. Got 'foo'"):
        to_onnx(clf, dtype="foo")


def test_onnx_of_outputs_that_underflow():
    clf, X = fitted(MLPClassifier, "multiclass", np.float64, loss="squared_error")
    clf.intercepts_[-1] = np.full(3, -1e4)
    np.testing.assert_array_equal(clf.predict_proba(X), 1 / 3)
    assert_onnx_agrees(clf, X)


def test_onnx_of_either_type_and_of_edited_weights():
    clf, X = fitted(MLPClassifier, "multiclass", np.float64)
    assert_onnx_agrees(clf, X)
    result = run_onnx(to_onnx(clf, dtype="float32"), X.astype(np.float32))["probabilities"]
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, clf.predict_proba(X), atol=1e-5)
    clf.coefs_ = [np.asfortranarray(weight * 2) for weight in clf.coefs_]
    assert_onnx_agrees(clf, X)
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        to_onnx(clf, dtype=int)


def test_onnx_for_samples_or_a_number_of_features():
    """As other converters want them: they say the type of the input, and are checked."""
    pytest.importorskip("onnx")
    X = np.random.RandomState(0).randn(20, 5)
    reg = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0).fit(X, X[:, :3])
    n = X.shape[1]

    def type_of(model):
        return model.graph.input[0].type.tensor_type.elem_type

    float32, float64 = 1, 11  # onnx.TensorProto's
    for given, kind in [(n, float64), (X, float64), (X[:1].tolist(), float64),
                        (X.astype(np.float32), float32), (pd.DataFrame(X), float64)]:  # fmt: skip
        assert type_of(reg.to_onnx(None, given)) == kind
    assert type_of(reg.to_onnx(None, X, dtype="float32")) == float32
    for wrong in (n + 1, 0, X[:, 1:], X[0], X[None]):
        with pytest.raises(ValueError, match=rf"X must be {n}, or of shape \(n_samples, {n}\)"):
            reg.to_onnx(None, wrong)


def test_onnx_takes_any_number_of_rows():
    pytest.importorskip("onnx")
    reg, X = fitted(MLPRegressor, "multi-output", np.float32, activation="maxout")
    for n in (0, 1, 7):
        assert run_onnx(to_onnx(reg), X[:n])["variable"].shape == (n, 3)


def test_onnx_file(tmp_path):
    onnx = pytest.importorskip("onnx")
    clf, X = fitted(MLPClassifier, "binary", np.float32)
    path = tmp_path / "model.onnx"
    path.write_text("an earlier file")
    model = to_onnx(clf, path)
    assert onnx.load(path) == model
    np.testing.assert_array_equal(run_onnx(str(path), X)["label"], clf.predict(X))
    assert {(entry.domain, entry.version) for entry in model.opset_import} == {("", 17)}
    assert model.ir_version == 8
    to_onnx(clf, str(path))

    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):  # noqa: PT011
        to_onnx(clf, tmp_path / "folder")
    assert {entry.name for entry in tmp_path.iterdir()} == {"model.onnx", "folder"}


# --- PyTorch -------------------------------------------------------------------------------------


def import_torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # its idle threads would spin beside ours
    return torch


def assert_torch_agrees(estimator, X, tolerance=1e-5):
    torch = import_torch()
    module = to_torch(estimator)
    with torch.no_grad():
        outputs = module(torch.from_numpy(X)).numpy()
        logits = to_torch(estimator, logits=True)(torch.from_numpy(X)).numpy()
    expected = estimator._outputs(X)
    np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance, strict=True)
    links = {
        "identity": lambda z: z,
        "exp": np.exp,
        "logistic": lambda z: 1 / (1 + np.exp(-z)),
        "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
    }
    outputs = links[estimator.out_activation_](logits)
    np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance)


@dtypes
@activations
def test_torch_agrees(activation, dtype):
    for estimator, X in all_tasks(activation, dtype):
        assert_torch_agrees(estimator, X, TOLERANCE[dtype])


@dtypes
def test_torch_at_extreme_inputs(dtype):
    torch = import_torch()
    for activation in _native.ACTIVATIONS:
        reg, X = fitted(MLPRegressor, "regression", dtype, activation=activation)
        X = np.concatenate([X * scale for scale in (0, 1e-3, 30, 1e4)]).astype(dtype)
        with torch.no_grad():
            result = to_torch(reg)(torch.from_numpy(X)).numpy()[:, 0]
        np.testing.assert_allclose(result, reg.predict(X), rtol=TOLERANCE[dtype] * 10, atol=1e-5)


def test_torch_gives_our_probabilities():
    torch = import_torch()
    clf, X = fitted(MLPClassifier, "multiclass", np.float32)
    result = to_torch(clf)(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(result, clf.predict_proba(X), atol=1e-6)
    clf, X = fitted(MLPClassifier, "binary", np.float32)
    result = to_torch(clf)(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(result[:, 0], clf.predict_proba(X)[:, 1], atol=1e-6)


@dtypes
def test_torchs_gradient_is_ours(dtype):
    torch = import_torch()
    layers, names = (4, 5, 6, 3), ["prelu", "maxout", "swish", "softplus"]
    reg, X = fitted(
        MLPRegressor, "regression", dtype, hidden_layer_sizes=layers, activation=names, alpha=0,
        activation_alpha=[None, None, 1.5, 2.0],
    )  # fmt: skip
    y = data("regression", dtype)[1].astype(dtype)
    module = to_torch(reg)
    (0.5 * (module(torch.from_numpy(X))[:, 0] - torch.from_numpy(y)).square().mean()).backward()
    gradient = [block for layer in reg.loss_and_gradient(X, y)[1] for block in layer]
    for parameter, block in zip(module.parameters(), gradient, strict=True):
        np.testing.assert_allclose(parameter.grad.numpy().T, block, rtol=1e-4, atol=1e-5)


def test_torchs_module_is_its_own(tmp_path):
    torch = import_torch()
    names = ["maxout", "swish"]
    reg, X = fitted(
        MLPRegressor, "regression", np.float32, loss="poisson", activation=names, alpha=0.5,
        activation_alpha=1.5,
    )  # fmt: skip
    torch.manual_seed(1)
    before = torch.get_rng_state()
    module = to_torch(reg)
    assert torch.equal(torch.get_rng_state(), before)
    assert "pieces=3" in repr(module)
    assert "beta=1.5" in repr(module)
    torch.save(module, tmp_path / "module")
    predicted = reg.predict(X)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        again = torch.load(tmp_path / "module", weights_only=False)(torch.from_numpy(X))
    np.testing.assert_array_equal(reg.predict(X), predicted)
    np.testing.assert_allclose(again[:, 0], predicted, rtol=1e-5)


# --- scikit-learn --------------------------------------------------------------------------------

KINDS = ["binary", "multiclass", "multilabel", "regression", "multi-output", "counts"]
SETTINGS = [
    {},
    {"solver": "sgd", "learning_rate": "invscaling", "activation": "tanh"},
    {"solver": "lbfgs", "activation": "logistic"},
    {"early_stopping": True, "validation_fraction": 0.3, "activation": "identity"},
]


def pair(kind, **parameters):
    """Our class and scikit-learn's, data, and parameters for both."""
    loss = {"loss": "poisson"} if kind == "counts" else {}
    X, y = data("multi-output" if kind == "counts" else kind)
    name = "MLPRegressor" if y.dtype == float else "MLPClassifier"
    options = {"hidden_layer_sizes": (5, 4), "max_iter": 6, "random_state": 0, "batch_size": 16}
    options |= {"learning_rate_init": 0.01} | loss | parameters
    Ours = MLPRegressor if name == "MLPRegressor" else MLPClassifier
    return Ours, getattr(neural_network, name), X, y, options


def assert_same_predictions(one, other, X, y, **near):
    near = {"rtol": 1e-9, "atol": 1e-9} | near
    for samples in (X, scipy.sparse.csr_array(X)):
        predicted, expected = one.predict(samples), other.predict(samples)
        if hasattr(one, "predict_proba"):
            np.testing.assert_array_equal(predicted, expected)
            assert predicted.dtype == expected.dtype
            predicted, expected = one.predict_proba(samples), other.predict_proba(samples)
        np.testing.assert_allclose(predicted, expected, **near)
    assert one.score(X, y) == pytest.approx(other.score(X, y))


def assert_same_attributes(one, other):
    def public(estimator):
        ours_alone = ["learning_rate_curve_", "validation_loss_curve_"]
        if estimator.solver == "lbfgs":
            ours_alone.append("loss_curve_")
        return {
            name: value
            for name, value in vars(estimator).items()
            if name.endswith("_") and name[0] != "_" and name not in ours_alone
        }

    one, other = public(one), public(other)
    assert one.keys() == other.keys()
    for name, value in one.items():
        if name in ("coefs_", "intercepts_"):
            for a, b in zip(value, other[name], strict=True):
                np.testing.assert_array_equal(a, b, strict=True)
                assert not np.shares_memory(a, b)
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, other[name], strict=True)
        else:
            assert value == other[name], name


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_from_and_to_sklearn(kind, settings):
    Ours, Theirs, X, y, options = pair(kind, **settings)
    theirs = Theirs(**options).fit(X, y)
    ours = from_sklearn(theirs)
    assert type(ours) is Ours
    assert ours.get_params() == Ours(**options).get_params()
    assert_same_predictions(ours, theirs, X, y)
    assert_same_attributes(ours, theirs)

    back = pickle.loads(pickle.dumps(to_sklearn(ours)))
    assert type(back) is Theirs
    assert back.get_params() == theirs.get_params()
    assert_same_predictions(back, theirs, X, y)
    assert_same_attributes(back, theirs)

    ours = Ours(**options).fit(X, y)
    theirs = to_sklearn(ours)
    assert_same_predictions(theirs, ours, X, y)
    assert_same_attributes(theirs, ours)
    assert vars(theirs).keys() <= vars(Theirs(**options).fit(X, y)).keys()


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_warm_start_goes_the_same_way_in_both(kind, settings):
    Ours, Theirs, X, y, options = pair(kind, **settings)
    lbfgs = options.get("solver") == "lbfgs"
    theirs, ours = Theirs(**options).fit(X, y), Ours(**options).fit(X, y)
    for a, b in ((theirs, from_sklearn(theirs)), (ours, to_sklearn(ours))):
        for estimator in (a, b):
            estimator.set_params(warm_start=True, max_iter=3, random_state=4)
            if estimator.early_stopping:  # scikit-learn loses the best weights of the first fit
                estimator.best_validation_score_ = -np.inf
            estimator.fit(X, y)
        if not lbfgs:
            np.testing.assert_allclose(a.loss_curve_, b.loss_curve_)
            assert len(a.loss_curve_) == 9
        if not lbfgs or kind not in ("multi-output", "counts"):  # its gradient there is another
            assert_same_predictions(a, b, X, y, **({"rtol": 1e-5, "atol": 1e-5} if lbfgs else {}))


@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping_without_progress_keeps_the_converted_weights(kind):
    Ours, _, X, y, options = pair(kind, early_stopping=True)
    theirs = to_sklearn(Ours(**options).fit(X, y))
    theirs.best_validation_score_ = 2.0  # never reached
    weights = [weight.copy() for weight in theirs.coefs_]
    theirs.set_params(warm_start=True, max_iter=1, learning_rate_init=1e-300, solver="sgd")
    theirs.fit(X, y)
    for weight, before in zip(theirs.coefs_, weights, strict=True):
        np.testing.assert_allclose(weight, before, rtol=0, atol=1e-200)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_goes_on(kind, solver):
    _, Theirs, X, y, options = pair(kind, solver=solver, batch_size="auto")
    theirs = Theirs(**options).fit(X, y)
    ours = from_sklearn(theirs)
    back = to_sklearn(ours)
    for _ in range(3):
        ours.partial_fit(X, y)
        back.partial_fit(X, y)
    # both began with a new state of the solver
    assert_same_predictions(ours, back, X, y)
    assert len(ours.loss_curve_) == len(back.loss_curve_) == 9
    assert ours.t_ == back.t_ == 9 * len(X)


def test_partial_fit_knows_the_classes():
    X, y = data("multiclass")
    labels = np.array(["b", "c", "d"])[y]
    theirs = neural_network.MLPClassifier((3,), random_state=0)
    theirs.partial_fit(X[:20], labels[:20], classes=["a", "b", "c", "d"])
    ours = from_sklearn(theirs)
    back = to_sklearn(ours)
    for model in (ours, back):
        model.partial_fit(X, np.where(labels == "b", "a", labels))
        with pytest.raises(ValueError, match="has classes not in"):
            model.partial_fit(X, np.where(labels == "b", "e", labels))
    np.testing.assert_array_equal(ours.predict(X), back.predict(X))


@pytest.mark.parametrize("classes", [["no", "yes"], ["x", "y", "z"], ["one"], [3, 9], [True]])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_labels(classes, early_stopping):
    X, y = data("multiclass")
    y = np.array(classes, dtype=object)[y % len(classes)]
    y = np.array(y.tolist())
    ours = MLPClassifier((3,), max_iter=3, random_state=0, early_stopping=early_stopping)
    theirs = to_sklearn(ours.fit(X, y))
    again = from_sklearn(theirs)
    np.testing.assert_array_equal(again.predict(X), ours.predict(X), strict=True)
    np.testing.assert_array_equal(theirs.predict(X), ours.predict(X), strict=True)
    np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X))


def test_sparse_labels_stay_sparse():
    X, y = data("multilabel")
    ours = MLPClassifier((3,), max_iter=3, random_state=0).fit(X, scipy.sparse.csr_array(y))
    theirs = to_sklearn(ours)
    for model in (theirs, from_sklearn(theirs)):
        predicted = model.predict(X)
        assert scipy.sparse.issparse(predicted)
        np.testing.assert_array_equal(predicted.toarray(), ours.predict(X).toarray())


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_float32_stays_float32(solver):
    X, y = data("binary", np.float32)
    ours = MLPClassifier((3,), solver=solver, max_iter=3, random_state=0).fit(X, y)
    theirs = to_sklearn(ours)
    for model in (theirs, from_sklearn(theirs)):
        assert {weight.dtype for weight in model.coefs_} == {np.dtype(np.float32)}
        np.testing.assert_allclose(model.predict_proba(X), ours.predict_proba(X), rtol=1e-5)


def test_feature_names_go_along():
    pandas = pytest.importorskip("pandas")
    X, y = data("multilabel")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    ours = MLPClassifier((3,), max_iter=3, random_state=0).fit(frame, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs = to_sklearn(ours)
        again = from_sklearn(theirs)
        np.testing.assert_array_equal(theirs.predict(frame), again.predict(frame))
    assert list(again.feature_names_in_) == list("abcdef")
    with pytest.warns(UserWarning, match="feature names"):
        theirs.predict(X)


def test_conversion_draws_no_random_numbers_and_copies_the_state():
    X, y = data("binary")
    random = np.random.RandomState(0)
    ours = MLPClassifier((3,), max_iter=3, random_state=random).fit(X, y)
    before, everyones = pickle.dumps(random), pickle.dumps(np.random.get_state())  # noqa: NPY002
    theirs = to_sklearn(ours)
    assert from_sklearn(theirs).random_state is not theirs.random_state is not random
    assert pickle.dumps(random) == before
    assert pickle.dumps(np.random.get_state()) == everyones  # noqa: NPY002


def test_going_on_with_another_solver():
    X, y = data("binary")
    ours = MLPClassifier((3,), solver="lbfgs", max_iter=3, random_state=0).fit(X, y)
    theirs = to_sklearn(ours.set_params(solver="adam"))
    theirs.partial_fit(X, y)
    assert len(theirs.loss_curve_) == len(ours.loss_curve_) + 1 == 4
    theirs = to_sklearn(ours.set_params(early_stopping=True, warm_start=True))
    theirs.fit(X, y)
    assert len(theirs.validation_scores_) == 3


def test_one_activation_for_all_layers_may_be_a_list():
    X, y = data("binary")
    for sizes, names in (((4, 3), ["tanh", "tanh"]), ((), [])):
        ours = MLPClassifier(sizes, names, max_iter=3, random_state=0).fit(X, y)
        np.testing.assert_allclose(to_sklearn(ours).predict_proba(X), ours.predict_proba(X))


def test_parameters_set_after_fit_change_no_conversion():
    pytest.importorskip("onnx")
    clf, X = fitted(MLPClassifier, "binary", np.float64, activation="tanh")
    before = clf.predict_proba(X)
    clf.set_params(activation="relu", loss="hinge", hidden_layer_sizes=(3,), maxout_pieces=7)
    theirs = to_sklearn(clf)
    assert theirs.activation == "tanh"
    np.testing.assert_allclose(theirs.predict_proba(X), before)
    np.testing.assert_allclose(run_onnx(to_onnx(clf), X)["probabilities"], before)


def test_converted_models_can_be_stored():
    X, y = data("multiclass")
    theirs = neural_network.MLPClassifier((3,), max_iter=3, random_state=0).fit(X, y)
    ours = from_sklearn(theirs)
    for copy in (pickle.loads(pickle.dumps(ours)), from_sklearn(to_sklearn(ours))):
        np.testing.assert_array_equal(copy.predict_proba(X), ours.predict_proba(X))
        assert vars(copy).keys() == vars(ours).keys()


@pytest.mark.parametrize(
    ("Estimator", "parameters"),
    [(MLPClassifier, {"activation": name}) for name in ("gelu", "swish", ["relu", "tanh"])]
    + [(MLPClassifier, {"loss": loss}) for loss in ("squared_error", "hinge")]
    + [(MLPRegressor, {"loss": loss}) for loss in ("gamma", "huber")]
    + [(MLPRegressor, {"solver": "adamw"}), (MLPClassifier, {"learning_rate": "cosine"})]
    + [(MLPRegressor, {"dropout": [0.0, 0.1, 0]}), (MLPRegressor, {"l1": 0.1})]
    + [(MLPClassifier, {"class_weight": "balanced"}), (MLPClassifier, {"init": "auto"})]
    + [(MLPClassifier, {"solver": "nadam", "max_norm": 1.0, "label_smoothing": 0.1})],
    ids=str,
)
def test_what_scikit_learn_lacks_is_named(Estimator, parameters):
    kind = "binary" if Estimator is MLPClassifier else "regression"
    estimator, _ = fitted(Estimator, kind, np.float64, **parameters)
    with pytest.raises(ValueError, match=f"scikit-learn's {Estimator.__name__} lacks ") as error:
        to_sklearn(estimator)
    for name, value in parameters.items():
        assert f"{name}={value!r}" in str(error.value)


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("convert", [to_onnx, to_sklearn, to_torch])
def test_fitted_estimators_only(convert):
    for Estimator in (MLPClassifier, MLPRegressor):
        with pytest.raises(NotFittedError):
            convert(Estimator())
    assert not hasattr(Perceptron, convert.__name__)


def test_scikit_learns_fitted_estimators_only():
    for name in ("MLPClassifier", "MLPRegressor"):
        with pytest.raises(NotFittedError):
            from_sklearn(getattr(neural_network, name)())
    for other in (MLPClassifier(), neural_network.BernoulliRBM(), None):
        with pytest.raises(TypeError, match="Expected sklearn"):
            from_sklearn(other)


@pytest.mark.parametrize(("convert", "module"), [(to_onnx, "onnx"), (to_torch, "torch")])
def test_a_missing_package_is_named(convert, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    estimator, _ = fitted(MLPRegressor, "regression", np.float64)
    with pytest.raises(ImportError, match=f"needs the package {module}"):
        convert(estimator)


def test_nothing_is_imported_before_it_is_used():
    code = "import fastmlp, sys; print({'onnx', 'torch'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
