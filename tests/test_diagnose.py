"""What is recorded of layers and epochs, and what a diagnosis makes of a network."""

import pickle

import matplotlib
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_classification, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from fastmlp import MLPAutoencoder, MLPClassifier, MLPRegressor, Perceptron, _native, load
from fastmlp.core.network import Network
from fastmlp.core.typing import HiddenLayer
from fastmlp.estimators.base import Labels
from fastmlp.estimators.constant import constant_loss
from fastmlp.inspection import GradientFlowDisplay, diagnose

from . import reference

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:The MLP.* has learned nothing"
)
matplotlib.use("agg")

digits, digit = load_digits(return_X_y=True)
digits, digit = digits[:600] / 16, digit[:600]
flowers, flower = load_iris(return_X_y=True)
flowers = scale(flowers)
patients, progression = load_diabetes(return_X_y=True)
patients, raw_progression, progression = scale(patients), progression, scale(progression)
moons, moon = make_moons(600, noise=0.25, random_state=0)
few_moons = np.r_[np.flatnonzero(moon == 0), np.flatnonzero(moon == 1)[:12]]
noisy, noisy_class = make_classification(300, 20, n_informative=5, flip_y=0.2, random_state=0)


def bits(estimator):
    return [array.tobytes() for array in (*estimator.coefs_, *estimator.intercepts_)]


def same(ours, theirs):
    return all(np.array_equal(ours[name], theirs[name]) for name in ours) and ours.keys() == (
        theirs.keys()
    )


# --- diagnostics ---------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "prelu", ("maxout", "relu")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_diagnostics_are_those_of_the_oracle(activation, dtype):
    """Over an epoch of one step, whose rows are the sample."""
    size = 30 if activation in ("tanh", "logistic") else 3
    X, y = size * flowers[60:92].astype(dtype), flower[80:112]
    start = MLPClassifier(
        (9, 4), activation, alpha=0.1, max_iter=1, random_state=0, shuffle=False, solver="sgd",
        learning_rate_init=1e-9,
    ).fit(X, y)  # fmt: skip
    layers = zip(start.coefs_, start.intercepts_, strict=True)
    model = clone(start).set_params(
        learning_rate_init=0.5,
        diagnostics=True,
        init=[array for layer in layers for array in layer],
    )
    found = model.fit(X, y).diagnostics_

    blocks = [a.astype(float) for a in model._blocks().in_core_order()]
    network = model._hidden_layers, model._trained_loss, X.astype(float)
    gradient = reference.gradient(blocks, *network[:2], X.astype(float),
                                  (y[:, None] == 2).astype(float), np.ones(32), 0.1)  # fmt: skip
    squares = [(array**2).sum() for array in gradient]
    norms = np.sqrt([squares[2 * i] + squares[2 * i + 1] for i in range(3)])
    for i, square in enumerate(squares[6:]):
        norms[i] = np.hypot(norms[i], np.sqrt(square))
    rtol = 1e-4 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(found["gradient_norm"], [norms], rtol=rtol)
    ratios = [np.std(b - a) / np.std(b) for a, b in zip(start.coefs_, model.coefs_, strict=True)]
    np.testing.assert_allclose(found["update_ratio"], [ratios], rtol=1e-3)

    dead, saturated = [], []
    outputs = reference.hidden_outputs(blocks, model._hidden_layers, X.astype(float))
    for layer, a in zip(model._hidden_layers, outputs, strict=True):
        limits = {"tanh": (-0.97, 0.97), "logistic": (0.015, 0.985)}
        low, high = limits.get(layer.activation, (-np.inf, np.inf))
        dead.append((a == 0).all(axis=0).mean() if layer.activation == "relu" else 0)
        saturated.append((((a < low) | (a > high)).mean(axis=0) > 0.5).mean())
    assert found["dead"].tolist() == [[*dead, 0]]
    assert found["saturated"].tolist() == [[*saturated, 0]]
    if activation in ("tanh", "logistic"):
        assert sum(saturated) > 0


@pytest.mark.parametrize("kind", [_native.Network32, _native.Network64])
def test_diagnosis_is_the_same_on_each_engine_and_moves_nothing(kind, engine):
    """Layers wider and narrower than a vector, and maxout, whose pieces are padded."""
    dtype = np.float32 if kind is _native.Network32 else np.float64
    hidden = [HiddenLayer("relu", 0.0, 1, 0.0), HiddenLayer("maxout", 0.0, 2, 0.0),
              HiddenLayer("tanh", 0.0, 1, 0.0)]  # fmt: skip
    random = np.random.RandomState(0)
    sizes = [(4, 19), (19,), (19, 2 * 5), (2 * 5,), (5, 33), (33,), (33, 1), (1,)]
    blocks = [random.normal(size=size).astype(dtype) for size in sizes]
    others = [random.normal(size=size).astype(dtype) for size in sizes]
    blocks[1][:7] = -99  # dead
    blocks[5][:11] = 99  # saturated
    X, targets = flowers.astype(dtype), (flower > 0).astype(np.int32)
    network = kind([4, 19, 5, 33, 1], hidden, "binary_log_loss", alpha=0.0, batch=64,
                   keep_gradient=True, engine=engine)  # fmt: skip
    network.write(4, others)
    network.write(0, blocks)
    order = np.arange(100, 140)
    found = network.diagnose(X, targets, None, order, n_threads=2)
    gradient = network.gradient(X, targets, None, order, n_threads=1)[1]
    pairs = zip(gradient[::2], gradient[1::2], strict=True)
    norms = [np.hypot(np.linalg.norm(a), np.linalg.norm(b)) for a, b in pairs]
    np.testing.assert_allclose(found[:, 0], norms, rtol=1e-5)
    ratios = [np.std(a - b) / np.std(a) for a, b in zip(blocks[::2], others[::2], strict=True)]
    np.testing.assert_allclose(found[:, 1], ratios, rtol=1e-5)
    assert found[0, 2] >= 7 / 19
    assert found[2, 3] >= 11 / 33
    assert not found[1:, 2].any()
    assert not found[[0, 1, 3], 3].any()
    again = network.diagnose(X, targets, None, order, n_threads=1)
    assert np.array_equal(again[:, [0, 2, 3]], found[:, [0, 2, 3]])
    assert not again[:, 1].any()
    for before, after in zip(blocks, network.read(0), strict=True):
        assert np.array_equal(before, after)

    with pytest.raises(ValueError, match="no rows, or more"):
        network.diagnose(X, targets, None, np.arange(65), n_threads=1)
    larger = kind([4, 1], [], "binary_log_loss", alpha=0.0, batch=99, keep_gradient=True)
    with pytest.raises(ValueError, match="more than 64"):
        larger.diagnose(X, targets, None, np.arange(65), n_threads=1)
    with pytest.raises(ValueError, match="made without"):
        kind([4, 1], [], "binary_log_loss", alpha=0.0, batch=9).diagnose(
            X, targets, None, np.arange(9), n_threads=1
        )


@pytest.mark.parametrize("parameters", [
    {}, {"early_stopping": True}, {"dropout": 0.3}, {"clip_norm": 0.5}, {"batch_size": 7},
    {"solver": "sgd", "shuffle": False}, {"activation": ("tanh", "prelu")}, {"n_jobs": 2},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
def test_the_model_is_the_same_with_diagnostics(parameters, form):
    plain = MLPClassifier((6, 5), max_iter=5, random_state=0, **parameters)
    watched = clone(plain).set_params(diagnostics=True)
    X = form(flowers)
    assert bits(watched.fit(X, flower)) == bits(plain.fit(X, flower))
    assert watched.loss_curve_ == plain.loss_curve_
    assert {found.shape for found in watched.diagnostics_.values()} == {(watched.n_iter_, 3)}
    assert not hasattr(plain, "diagnostics_")


def test_diagnostics_go_on_and_are_kept(tmp_path):
    clf = MLPClassifier((6, 5), diagnostics=True, random_state=0)
    for _ in range(3):
        clf.partial_fit(flowers, flower, classes=[0, 1, 2])
    assert clf.diagnostics_["dead"].shape == (3, 3)
    clf.save(tmp_path / "model")
    for copy in (load(tmp_path / "model"), pickle.loads(pickle.dumps(clf))):
        assert same(copy.diagnostics_, clf.diagnostics_)
        copy.partial_fit(flowers, flower)
        assert copy.diagnostics_["dead"].shape == (4, 3)
    assert clf.diagnostics_["dead"].shape == (3, 3)
    clf.set_params(diagnostics=False).partial_fit(flowers, flower)
    assert clf.diagnostics_["dead"].shape == (3, 3)
    assert not hasattr(clf.fit(flowers, flower), "diagnostics_")


@pytest.mark.parametrize("epochs", [1, 4])
def test_a_resumed_fit_has_the_same_diagnostics(epochs, tmp_path, monkeypatch):
    """Also where it was stopped amid an epoch, of which the weights at its beginning are needed."""
    clf = MLPClassifier((6,), max_iter=8, batch_size=20, diagnostics=True, random_state=0)
    whole = clone(clf).fit(flowers, flower)
    clf.set_params(checkpoint=tmp_path / "fit", checkpoint_every=1)

    class Stop(Exception):
        pass

    train = Network.train

    def stop(network, samples, order, epoch, options):
        """Three steps of the epoch, and an error as of a signal's handler."""
        if network.steps >= epochs * 8 and epoch.rows == 0:
            reached, _ = train(network, samples, order[:60], epoch, options)
            return reached, Stop()
        return train(network, samples, order, epoch, options)

    monkeypatch.setattr(Network, "train", stop)
    with pytest.raises(Stop):
        clone(clf).fit(flowers, flower)
    monkeypatch.undo()
    resumed = clone(clf).fit(flowers, flower)
    assert bits(resumed) == bits(whole)
    assert same(resumed.diagnostics_, whole.diagnostics_)


def test_diagnostics_of_rows_that_count_for_nothing():
    weight = np.r_[np.zeros(75), np.ones(75)]
    clf = MLPClassifier((5,), max_iter=2, shuffle=False, diagnostics=True, random_state=0)
    found = clf.fit(flowers, flower, weight).diagnostics_
    assert not found["gradient_norm"].any()
    assert found["update_ratio"].all()


def test_lbfgs_has_no_diagnostics():
    with pytest.raises(ValueError, match="diagnostics are for first-order solvers"):
        MLPClassifier(solver="lbfgs", diagnostics=True).fit(flowers, flower)


# --- fits that learned nothing -------------------------------------------------------------------

LOSSES = [("log_loss", 1), ("squared_error", 1), ("hinge", 1), ("squared_error", 0),
          ("absolute_error", 0), ("huber", 0), ("quantile", 0), ("poisson", 0),
          ("gamma", 0)]  # fmt: skip


@pytest.mark.parametrize(("loss", "classifies"), LOSSES)
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("weighs", [False, True])
def test_the_best_constant_is_what_a_network_without_inputs_finds(
    loss, classifies, several, weighs
):
    Estimator = MLPClassifier if classifies else MLPRegressor
    values = patients[:150, :2] - patients.min() + 0.1
    y = (flower if several else (flower > 0)) if classifies else values[:, : 1 + several]
    weight = np.random.RandomState(0).uniform(0.1, 2, 150) if weighs else None
    model = Estimator(hidden_layer_sizes=(), loss=loss, solver="lbfgs", alpha=0, tol=1e-9)
    if loss == "quantile":
        model.set_params(quantile=0.3)
    y = y.ravel() if y.ndim == 2 and not several else y
    model.fit(np.zeros((150, 1)), y, weight)
    samples = model._make_data(np.zeros((150, 1)), y, weight, float, Labels.SUBSET).samples
    found = constant_loss(model, samples)
    assert found == pytest.approx(model.loss_, rel=0.03 if loss in ("huber", "hinge") else 1e-4)


DISEASED = {
    "rate": lambda: (MLPClassifier((64, 64, 64), solver="sgd", learning_rate_init=1.0),
                     digits * 16, digit),
    "twelve logistic layers": lambda: (MLPClassifier((32,) * 12, "logistic"), digits, digit),
    "targets": lambda: (MLPRegressor(early_stopping=True), patients, 1e5 * raw_progression),
    "lbfgs": lambda: (MLPClassifier((5,), solver="lbfgs", init=lambda shape, rng: np.zeros(shape)
                                    if len(shape) == 2 else np.full(shape, -1.0)),
                      flowers, flower),
}  # fmt: skip


@pytest.mark.parametrize("disease", DISEASED)
def test_a_fit_that_learned_nothing_says_so_once(disease):
    estimator, X, y = DISEASED[disease]()
    estimator.set_params(random_state=0)
    with pytest.warns(UserWarning, match="has learned nothing: .*diagnose") as caught:
        estimator.fit(X, y)
    texts = [w for w in caught if "learned nothing" in str(w.message)]
    assert len(texts) == 1
    assert texts[0].filename == __file__


def test_an_autoencoder_is_not_sent_to_diagnose():
    with pytest.warns(UserWarning, match="The MLPAutoencoder has learned nothing") as caught:
        MLPAutoencoder((2,), learning_rate_init=1e-9, max_iter=20).fit(flowers)
    (text,) = [str(w.message) for w in caught if "learned nothing" in str(w.message)]
    assert text.endswith("of the best constant prediction.")


@pytest.mark.filterwarnings("error:The MLP.* has learned nothing")
@pytest.mark.parametrize("fit", [
    lambda: MLPClassifier(max_iter=3, learning_rate_init=1.0).fit(digits, digit),  # a quick look
    lambda: MLPClassifier(max_time=1e-9, learning_rate_init=1.0).fit(digits, digit),
    lambda: MLPClassifier(max_iter=12).fit(flowers, np.zeros(150)),  # there is nothing to learn
    lambda: MLPRegressor(max_iter=12).fit(flowers, np.full(150, 0.1)),
    lambda: MLPClassifier(loss="perceptron", max_iter=20).fit(digits, digit),
    lambda: MLPClassifier(learning_rate_init=1.0).partial_fit(digits, digit, classes=digit),
    lambda: MLPRegressor(early_stopping=True).fit(patients, progression),
])  # fmt: skip
def test_other_fits_do_not(fit):
    fit()


# --- diagnose ------------------------------------------------------------------------------------


def scattered(deviation, bias=0.0):
    def init(shape, rng):
        return rng.normal(size=shape) * deviation if len(shape) == 2 else np.full(shape, bias)

    return init


# kind: the network made ill in this way alone, and its data
ILL = {
    "gradients vanish": (MLPClassifier((32,) * 12, "logistic"), digits, digit),
    "gradients explode": (
        MLPClassifier((64,) * 6, init=scattered(1.5), max_iter=30),
        digits,
        digit,
    ),
    "dead units": (MLPClassifier((30, 30), init=scattered(0.1, -3)), digits, digit),
    "saturation": (MLPClassifier((50,), "tanh", init=scattered(5), max_iter=100), digits, digit),
    "rate too high": (
        MLPClassifier((64,) * 3, solver="sgd", learning_rate_init=1.0),
        digits,
        digit,
    ),
    "rate too low": (MLPClassifier((50,), learning_rate_init=1e-6), digits, digit),
    "overfitting": (
        MLPClassifier(max_iter=300, tol=0, n_iter_no_change=300),
        *(noisy[:100], noisy_class[:100], noisy[100:], noisy_class[100:]),
    ),
    "inputs not scaled": (MLPClassifier((50,)), flowers * [1, 1000, 1, 1], flower),
    "targets not scaled": (MLPRegressor(early_stopping=True), patients, 1e5 * raw_progression),
    "learned nothing": (MLPClassifier((50,), alpha=1e5), digits, digit),
    "classes out of balance": (MLPClassifier((20,)), moons[few_moons], moon[few_moons]),
}


def fitted(estimator, X, y, *validation):
    return estimator.fit(X, y, **dict(zip(("X_val", "y_val"), validation, strict=False)))


@pytest.mark.parametrize("diagnostics", [False, True])
@pytest.mark.parametrize("kind", ILL)
def test_what_ails_a_network_is_found_and_cured(kind, diagnostics):
    estimator, *data = ILL[kind]
    X, y = data[:2]
    ill = fitted(clone(estimator).set_params(random_state=0, diagnostics=diagnostics), *data)
    findings = diagnose(ill, X, y)
    assert kind in [finding.kind for finding in findings]
    assert kind in repr(findings)
    finding = findings[[finding.kind for finding in findings].index(kind)]
    assert np.isfinite(finding.number)
    assert f"{finding}" == f"{kind}: {finding.text} Remedy: {finding._remedy_in_words()}."

    cured = finding.apply(ill)
    assert not hasattr(cured, "coefs_")
    fitted(cured, *data)
    if isinstance(cured, Pipeline):
        inner, X = cured[-1], cured[:-1].transform(X)
    elif isinstance(cured, TransformedTargetRegressor):
        inner, y = cured.regressor_, cured.transformer_.transform(y[:, None])[:, 0]
    else:
        inner = cured
    assert kind not in [finding.kind for finding in diagnose(inner, X, y)]
    if kind == "overfitting":
        assert min(inner.validation_loss_curve_) < ill.validation_loss_curve_[-1]
    elif kind == "classes out of balance":
        rare = data[1] == 1
        assert inner.score(X[rare], y[rare]) > 0.8
    else:
        assert inner.score(X, y) > max(0.45, ill.score(*data[:2]))


HEALTHY = {
    "digits": (MLPClassifier((50,)), digits, digit),
    "digits in float32": (MLPClassifier((50, 30), batch_size=32), digits.astype("f"), digit),
    "digits as they come": (MLPClassifier((50,)), digits * 16, digit),
    "sparse": (MLPClassifier((50,)), csr_matrix(digits), digit),
    "tanh": (MLPClassifier((50,), "tanh"), digits, digit),
    "logistic": (MLPClassifier((50,), "logistic"), digits, digit),
    "deep": (MLPClassifier((64,) * 6, init="auto"), digits, digit),
    "selu": (MLPClassifier((64,) * 6, "selu", init="auto"), digits, digit),
    "maxout": (MLPClassifier((30,), "maxout"), digits, digit),
    "linear": (MLPClassifier(()), digits, digit),
    "sgd": (MLPClassifier((50,), solver="sgd", learning_rate_init=0.1), digits, digit),
    "lbfgs": (MLPClassifier((20,), "tanh", solver="lbfgs"), digits, digit),
    "dropout": (MLPClassifier((100,), dropout=0.3), digits, digit),
    "hinge": (MLPClassifier((30,), loss="hinge"), digits, digit),
    "cosine": (MLPClassifier((50,), learning_rate="cosine", max_iter=50), digits, digit),
    "validated": (MLPClassifier((50,)), digits[:400], digit[:400], digits[400:], digit[400:]),
    "iris": (MLPClassifier((20,), max_iter=500), flowers, flower),
    "moons": (MLPClassifier((30, 30), max_iter=400), moons, moon),
    "multilabel": (MLPClassifier((50,)), patients, (patients[:, :3] > 0).astype(int)),
    "regression": (MLPRegressor(hidden_layer_sizes=(50,)), patients, progression),
    "huber": (MLPRegressor("huber", (50,)), patients, progression),
    "poisson": (MLPRegressor("poisson", (30,)), patients,
                np.random.RandomState(0).poisson(np.exp(patients[:, 2]))),
    "outputs": (MLPRegressor(hidden_layer_sizes=(50,)), patients,
                np.c_[progression, patients[:, 0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_found_in_healthy_networks(name):
    estimator, *data = HEALTHY[name]
    for seed in range(2):
        model = clone(estimator).set_params(random_state=seed)
        model.set_params(diagnostics=model.solver != "lbfgs")
        findings = diagnose(fitted(model, *data), *data[:2])
        assert findings == []
        assert repr(findings) == "nothing found"


def test_what_cannot_be_diagnosed():
    with pytest.raises(TypeError, match="must be an MLPClassifier or MLPRegressor"):
        diagnose(Pipeline([("mlp", MLPClassifier())]), flowers, flower)
    with pytest.raises(NotFittedError):
        diagnose(MLPClassifier(), flowers, flower)
    clf = MLPClassifier((5,), max_iter=2).fit(flowers, flower)
    before = clf.__dict__.copy()
    diagnose(clf, np.repeat(flowers, 40, axis=0), np.repeat(flower, 40))
    assert clf.__dict__ == before
    with pytest.raises(ValueError, match="features"):
        diagnose(clf, flowers[:, :2], flower)


# --- GradientFlowDisplay -------------------------------------------------------------------------


def test_gradient_flow():
    clf = MLPClassifier((6, 5), max_iter=4, diagnostics=True, random_state=0).fit(flowers, flower)
    display = GradientFlowDisplay.from_estimator(clf)
    norms = clf.diagnostics_["gradient_norm"]
    assert np.array_equal(display.gradient_norm, norms)
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_title() == "MLPClassifier"
    assert display.figure_ is display.ax_.figure
    assert [line.get_ydata().tolist() for line in display.lines_] == norms.T.tolist()
    again = display.plot(display.ax_, name="flow", curve_kwargs={"linewidth": 3})
    assert again is display
    assert {line.get_linewidth() for line in display.lines_} == {3}
    assert display.ax_.get_title() == "flow"
    matplotlib.pyplot.close("all")
    with pytest.raises(ValueError, match="fit it with diagnostics=True"):
        GradientFlowDisplay.from_estimator(MLPClassifier((5,), max_iter=1).fit(flowers, flower))
    with pytest.raises(NotFittedError):
        GradientFlowDisplay.from_estimator(MLPClassifier())
    with pytest.raises(TypeError, match="Got Perceptron"):
        GradientFlowDisplay.from_estimator(Perceptron().fit(flowers, flower))


def test_gradient_flow_of_a_pipeline():
    clf = MLPClassifier((5,), max_iter=3, diagnostics=True, random_state=0)
    pipeline = make_pipeline(StandardScaler(), clf).fit(flowers, flower)
    display = GradientFlowDisplay.from_estimator(pipeline)
    assert np.array_equal(display.gradient_norm, clf.diagnostics_["gradient_norm"])
    assert display.ax_.get_title() == "MLPClassifier"
    matplotlib.pyplot.close("all")
