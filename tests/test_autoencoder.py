"""MLPAutoencoder: the network that it is, its codes, and scikit-learn's contract."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from scipy.linalg import subspace_angles
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.estimator_checks import check_estimator

import fastmlp
from fastmlp import MLPAutoencoder, MLPRegressor
from fastmlp.inspection import LossCurveDisplay

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_iris = scale(load_iris().data)
X_digits = load_digits().data[:300] / 16


def fitted(X=X_iris, **parameters):
    parameters = {"hidden_layer_sizes": (6, 2), "max_iter": 5, "random_state": 0, **parameters}
    return MLPAutoencoder(**parameters).fit(X)


def reconstruct(model, X):
    return model.inverse_transform(model.transform(X))


# --- the network ---------------------------------------------------------------------------------


def test_check_estimator():
    results = check_estimator(MLPAutoencoder(), on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "passed" for result in results) >= 50


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"solver": "lbfgs"},
        {"dropout": [0.0, 0.2, 0.0, 0.2]},
        {"noise": 0.3, "dropout": [0.3, 0.0, 0.0, 0.0]},
        {"early_stopping": True, "scoring": "loss", "batch_size": 16, "warm_start": True},
        {"activation_alpha": [0.2, None, 0.2], "activation": ["elu", "identity", "elu"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_is_the_regressor_of_X_on_X(parameters, dtype):
    """To the bit, with the mirrored layers written out."""
    X = X_iris.astype(dtype)
    theirs = {
        "hidden_layer_sizes": (6, 2, 6),
        "activation": ["tanh", "identity", "tanh"],
        "max_iter": 5,
        "random_state": 0,
        **parameters,
    }
    noise = theirs.pop("noise", 0.0)
    regressor = MLPRegressor(**theirs).fit(X, X)
    ours = {**theirs, "hidden_layer_sizes": (6, 2), "noise": noise}
    ours["activation"] = theirs["activation"][0]
    ours["activation_alpha"] = theirs.get("activation_alpha", [None])[0]
    ours["dropout"] = theirs.get("dropout", [0.0, 0.0])[1]
    model = MLPAutoencoder(**ours).fit(X)
    for a, b in zip(regressor.coefs_, model.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.loss_curve_ == regressor.loss_curve_
    np.testing.assert_array_equal(model.transform(X), regressor.hidden_activations(X, 1))
    np.testing.assert_allclose(reconstruct(model, X), regressor.predict(X), rtol=1e-5, atol=1e-6)
    assert model.transform(X).dtype == reconstruct(model, X).dtype == dtype


def test_identity_activations_span_the_subspace_of_pca():
    X = X_iris @ np.diag([3.0, 2.0, 1.0, 0.5])
    model = MLPAutoencoder(
        (2,), code_activation="identity", solver="lbfgs", alpha=0, tol=1e-9, max_iter=2000,
        random_state=0,
    ).fit(X)  # fmt: skip
    pca = PCA(2).fit(X)
    assert np.max(subspace_angles(model.coefs_[1].T, pca.components_.T)) < 1e-4
    errors = X - pca.inverse_transform(pca.transform(X))
    assert model.score(X) == pytest.approx(-np.mean(np.sum(errors**2, axis=1)), rel=1e-4)


@pytest.mark.parametrize("code", ["prelu", "maxout", "tanh"])
def test_activations_of_code_and_layers(code):
    model = fitted(hidden_layer_sizes=(8, 5, 3), activation=["prelu", "maxout"],
                   code_activation=code)  # fmt: skip
    names = [layer.activation for layer in model._hidden_layers]
    assert names == ["prelu", "maxout", code, "maxout", "prelu"]
    assert model.transform(X_iris).shape == (150, 3)
    np.testing.assert_allclose(reconstruct(model, X_iris), model._outputs(X_iris), atol=1e-12)
    assert model.summary().layers[3].shape == (5, 3)


@pytest.mark.parametrize(
    ("loss", "output", "link"),
    [("squared_error", "auto", "identity"), ("squared_error", "logistic", "logistic"),
     ("log_loss", "auto", "logistic")],
)  # fmt: skip
def test_losses(loss, output, link):
    model = fitted(X_digits, loss=loss, output_activation=output, alpha=0)
    assert model.out_activation_ == link
    P, (value, _) = reconstruct(model, X_digits), model.loss_and_gradient(X_digits, None)
    errors = (P - X_digits) ** 2 / 2
    if loss == "log_loss":
        errors = -X_digits * np.log(P) - (1 - X_digits) * np.log1p(-P)
    errors = errors.mean(axis=1) if link == "identity" else errors.sum(axis=1)
    np.testing.assert_allclose(value, errors.mean(), rtol=1e-9)
    scores = -((P - X_digits) ** 2).sum(axis=1)
    np.testing.assert_allclose(model.score_samples(X_digits), scores, rtol=1e-9)
    assert model.score(X_digits) == pytest.approx(scores.mean())


def test_gradient():
    """Of soft targets, too: the slope along a direction is that of the loss."""
    model = fitted(X_digits, loss="log_loss", activation="tanh")
    gradient = model.loss_and_gradient(X_digits, None, flat=True)[1]
    blocks = model._blocks()
    direction = np.random.RandomState(0).normal(size=len(gradient))
    values = []
    for step in (1e-5, -1e-5):
        moved = blocks.unflat(blocks.flat() + step * direction, np.float64)
        vars(model).update(model._parameter_attributes(moved))
        values.append(model.loss_and_gradient(X_digits, None)[0])
    np.testing.assert_allclose((values[0] - values[1]) / 2e-5, direction @ gradient, rtol=1e-5)


def test_noise_makes_a_network_that_fills_gaps():
    masked = X_digits * (np.random.RandomState(0).random_sample(X_digits.shape) > 0.3)
    errors = []
    for noise in (0.0, 0.3):
        model = fitted(X_digits, hidden_layer_sizes=(64,), loss="log_loss", noise=noise,
                       max_iter=60, batch_size=20, learning_rate_init=0.01)  # fmt: skip
        errors.append(np.mean((reconstruct(model, masked) - X_digits) ** 2))
    assert errors[1] < 0.7 * errors[0]
    assert model.summary().layers[0].dropout == 0.3
    np.testing.assert_array_equal(model.transform(X_digits), model.transform(X_digits))


# --- what fit takes ------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_sparse_X(loss):
    dense = fitted(X_digits, loss=loss)
    for kind in (scipy.sparse.csr_array, scipy.sparse.csc_matrix):
        X = kind(X_digits)
        model = fitted(X, loss=loss)
        for a, b in zip(dense.coefs_, model.coefs_, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-9)
        np.testing.assert_allclose(model.transform(X), dense.transform(X_digits), atol=1e-9)
        np.testing.assert_allclose(model.score_samples(X), dense.score_samples(X_digits))


def test_whole_numbers():
    X = load_digits().data[:100].astype(np.int8)
    model = fitted(X)
    np.testing.assert_allclose(model.transform(X), fitted(X.astype(float)).transform(X), atol=1e-9)
    assert model.score(X) == pytest.approx(model.score(X.astype(float)))


def test_frames_and_names():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X_iris, columns=list("abcd"))
    model = fitted(frame).set_output(transform="pandas")
    assert model.feature_names_in_.tolist() == list("abcd")
    names = ["mlpautoencoder0", "mlpautoencoder1"]
    assert model.get_feature_names_out().tolist() == names
    codes = model.transform(frame)
    assert codes.columns.tolist() == names
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.score_samples(frame).shape == (150,)
        assert model.inverse_transform(codes).shape == (150, 4)


def test_early_stopping_and_validation_data():
    model = fitted(early_stopping=True, max_iter=30)
    np.testing.assert_allclose(model.validation_scores_, -np.array(model.validation_loss_curve_))
    train, held_out = X_iris[:100], X_iris[100:]
    model = MLPAutoencoder((6, 2), max_iter=8, random_state=0, scoring=None)
    model.fit(train, X_val=held_out, sample_weight_val=np.ones(50))
    assert model.validation_scores_[-1] == pytest.approx(model.score(held_out))
    scored = clone(model).set_params(scoring=lambda fit, X, y: fit.score(y) + len(X))
    scored.fit(train, X_val=held_out)
    np.testing.assert_allclose(scored.validation_scores_, np.array(model.validation_scores_) + 50)
    with pytest.raises(ValueError, match="sample_weight_val needs X_val"):
        model.fit(train, sample_weight_val=np.ones(50))


def test_sample_weights():
    weights = np.r_[np.ones(50), np.zeros(100)]
    model = MLPAutoencoder((6, 2), solver="lbfgs", max_iter=5, random_state=0)
    weighted = model.fit(X_iris, sample_weight=weights).transform(X_iris)
    np.testing.assert_allclose(model.fit(X_iris[:50]).transform(X_iris), weighted, atol=1e-6)


def test_partial_fit_and_warm_start():
    parts = MLPAutoencoder((6, 2), shuffle=False, random_state=0)
    for _ in range(3):
        parts.partial_fit(X_iris)
    whole = fitted(shuffle=False, max_iter=3)
    np.testing.assert_array_equal(parts.coefs_[0], whole.coefs_[0])
    before = whole.loss_
    assert whole.set_params(warm_start=True).fit(X_iris).loss_ < before


# --- elsewhere -----------------------------------------------------------------------------------


def test_in_pipelines_and_searches():
    X, y = load_digits(return_X_y=True)
    X, y = X[:200], y[:200]
    network = MLPAutoencoder(max_iter=10, random_state=0)
    pipe = make_pipeline(StandardScaler(), network)
    search = GridSearchCV(pipe, {"mlpautoencoder__hidden_layer_sizes": [(2,), (16, 8)]}, cv=2)
    best = search.fit(X).best_estimator_
    assert best[-1].hidden_layer_sizes == (16, 8)
    assert best.inverse_transform(best.transform(X)).shape == X.shape
    features = make_pipeline(StandardScaler(), network, LogisticRegression())
    assert features.fit(X, y).predict(X).shape == y.shape


@pytest.mark.parametrize("parameters", [{}, {"loss": "log_loss", "noise": 0.2}], ids=str)
def test_saving(tmp_path, parameters):
    model = fitted(X_digits, **parameters).partial_fit(X_digits)
    model.save(tmp_path / "model")
    loaded = fastmlp.load(tmp_path / "model")
    assert loaded.get_params() == model.get_params()
    for each in (lambda m: m.transform(X_digits), lambda m: reconstruct(m, X_digits),
                 lambda m: m.partial_fit(X_digits).score_samples(X_digits)):  # fmt: skip
        np.testing.assert_array_equal(each(loaded), each(model))
    model.n_layers_ = 4
    with pytest.raises(ValueError, match="cannot be saved"):
        model.save(tmp_path / "model")


@pytest.mark.parametrize("code", ["identity", "gelu"])
def test_onnx(code):
    for package in ("onnx", "skl2onnx"):
        pytest.importorskip(package)
    ort = pytest.importorskip("onnxruntime")

    def run(proto, X):
        session = ort.InferenceSession(
            proto.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        return dict(zip([o.name for o in session.get_outputs()], session.run(None, {"X": X}),
                        strict=True))  # fmt: skip

    model = fitted(X_digits, hidden_layer_sizes=(9, 7, 3), loss="log_loss", code_activation=code)
    results = run(model.to_onnx(), X_digits)
    np.testing.assert_allclose(results["code"], model.transform(X_digits), atol=1e-6)
    np.testing.assert_allclose(results["reconstruction"], reconstruct(model, X_digits), atol=1e-6)
    pipe = make_pipeline(StandardScaler(), MLPAutoencoder((9, 3), max_iter=3, random_state=0))
    codes = run(fastmlp.to_onnx(pipe.fit(X_digits), X=X_digits), X_digits)
    assert len(codes) == 1
    np.testing.assert_allclose(codes["variable"], pipe.transform(X_digits), atol=1e-5)


def test_torch():
    torch = pytest.importorskip("torch")
    model = fitted(X_digits, loss="log_loss")
    module = model.to_torch()
    X = torch.tensor(X_digits)
    with torch.no_grad():
        np.testing.assert_allclose(module(X), reconstruct(model, X_digits), atol=1e-9)
        codes = module[: len(module) // 2](X)
    np.testing.assert_allclose(codes, model.transform(X_digits), atol=1e-9)


def test_representations():
    model = fitted()
    assert "4-6-2-6-4" in str(model.summary())
    assert "svg" in model._repr_html_()
    assert not hasattr(model, "to_sklearn")  # which has no autoencoder
    pytest.importorskip("matplotlib").use("Agg")
    LossCurveDisplay.from_estimator(model)


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"loss": "log_loss", "output_activation": "identity"}, "is not for output_activation="),
        ({"hidden_layer_sizes": ()}, "must end with the size of the code"),
        ({"activation": ["relu", "tanh"]}, "one item per layer of the encoder but the code: 1 for"),
        ({"dropout": [0.1, 0.1]}, "dropout must have one item per layer of the encoder"),
        ({"noise": 1.0}, "'noise' parameter of MLPAutoencoder must be"),
        ({"noise": 0.1, "solver": "lbfgs"}, "noise is for first-order solvers"),
        ({"code_activation": "sigmoid"}, "Did you mean 'logistic'"),
        ({"loss": "huber"}, "'loss' parameter of MLPAutoencoder must be"),
    ],
)
def test_errors_of_fit(parameters, text):
    with pytest.raises(ValueError, match=text):
        fitted(X_digits, **parameters)


def test_log_loss_is_for_numbers_from_0_to_1():
    model = fitted(X_digits, loss="log_loss")
    with pytest.raises(ValueError, match=r"X must be in \[0, 1\] .* Got numbers from -"):
        model.fit(X_iris)
    with pytest.raises(ValueError, match=r"X_val.* X must be in \[0, 1\]"):
        model.fit(X_digits, X_val=X_digits * 2)
    assert model.score(X_digits * 2) < model.score(X_digits)  # of new samples it is no condition


def test_errors_of_codes():
    model = fitted()
    with pytest.raises(ValueError, match="X has 3 columns, but a code has 2 numbers"):
        model.inverse_transform(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="NaN"):
        model.inverse_transform([[np.nan, 0]])
    for name in ("transform", "inverse_transform", "score_samples", "score"):
        with pytest.raises(NotFittedError):
            getattr(MLPAutoencoder(), name)(X_iris)


def test_divergence_speaks_of_X_alone():
    with (
        pytest.raises(ValueError, match="scale X, with"),
        np.errstate(all="ignore"),
        warnings.catch_warnings(action="ignore", category=ConvergenceWarning),
    ):
        fitted(X_iris * 1e6, solver="sgd", learning_rate_init=1e6)
