import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import Adaline, MLPClassifier, MLPRegressor, TabularMLPClassifier, _native
from fastmlp.core.typing import HiddenLayer
from fastmlp.inspection import (
    ActivationDisplay,
    GradientFlowDisplay,
    LossCurveDisplay,
    NetworkDisplay,
    UnitsDisplay,
    WeightsDisplay,
    activations,
    plane,
)

matplotlib.use("Agg")
import matplotlib.pyplot as plt

X, y = load_iris(return_X_y=True)
frame = load_iris(as_frame=True).data
FEW = {"max_iter": 5, "random_state": 0, "n_jobs": 1}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def clf():
    parameters = {"activation": ["tanh", "relu"], "early_stopping": True, "diagnostics": True}
    return MLPClassifier((6, 3), **parameters, **FEW).fit(X, y)


@pytest.fixture(scope="module")
def lbfgs():
    return MLPClassifier((6,), solver="lbfgs", **FEW).fit(X, y)


def drawn(display):
    display.figure_.canvas.draw()
    return display


# --- what all displays have in common ------------------------------------------------------------

DRAW = {
    LossCurveDisplay: lambda estimator, **rest: LossCurveDisplay.from_estimator(estimator, **rest),
    WeightsDisplay: lambda estimator, **rest: WeightsDisplay.from_estimator(estimator, **rest),
    ActivationDisplay: lambda estimator, **rest: ActivationDisplay.from_estimator(
        estimator, X, **rest
    ),
    UnitsDisplay: lambda estimator, **rest: UnitsDisplay.from_estimator(estimator, X, **rest),
    GradientFlowDisplay: lambda estimator, **rest: GradientFlowDisplay.from_estimator(
        estimator, **rest
    ),
    NetworkDisplay: lambda estimator, **rest: NetworkDisplay.from_estimator(
        estimator, X[:1], **rest
    ),
}
every_display = pytest.mark.parametrize("kind", DRAW, ids=lambda kind: kind.__name__)


@every_display
def test_axes_may_be_given_or_are_made(kind, clf):
    made = drawn(DRAW[kind](clf))
    assert isinstance(made, kind)
    assert made.figure_ is made.ax_.figure
    figure, axes = plt.subplots(1, 2)
    given = drawn(DRAW[kind](clf, ax=axes[1]))
    assert given.ax_ is axes[1]
    assert given.figure_ is figure
    assert not axes[0].lines


@every_display
def test_a_display_is_plotted_again_on_other_axes(kind, clf):
    display = DRAW[kind](clf)
    first, data = display.ax_, {k: v for k, v in vars(display).items() if not k.endswith("_")}
    assert display.plot(name="again") is display
    assert display.ax_ is not first
    assert all(vars(display)[name] is value for name, value in data.items())
    texts = [text.get_text() for text in drawn(display).figure_.findobj(matplotlib.text.Text)]
    assert "again" in texts


@every_display
def test_pipelines(kind):
    clf = MLPClassifier((4,), diagnostics=True, **FEW)
    pipe = make_pipeline(StandardScaler(), clf).fit(X, y)
    drawn(DRAW[kind](pipe))


@every_display
def test_a_name_given_at_first_stays(kind, clf):
    display = DRAW[kind](clf, name="ours")
    assert display.name == "ours"
    texts = drawn(display.plot()).figure_.findobj(matplotlib.text.Text)
    assert "ours" in [text.get_text() for text in texts]


def test_a_sample_goes_through_the_pipeline_to_the_drawn_network():
    pipe = make_pipeline(StandardScaler(), MLPClassifier((4,), **FEW)).fit(X, y)
    values = NetworkDisplay.from_estimator(pipe, X[:1]).values
    assert np.array_equal(values[0], pipe[0].transform(X[:1])[0])


@every_display
def test_unfitted(kind):
    with pytest.raises(NotFittedError):
        DRAW[kind](MLPClassifier())
    with pytest.raises(NotFittedError):
        DRAW[kind](make_pipeline(StandardScaler(), MLPClassifier()))


@every_display
def test_other_estimators(kind):
    with pytest.raises((TypeError, ValueError), match=r"LogisticRegression"):
        DRAW[kind](LogisticRegression().fit(X, y))


@every_display
def test_axes_that_are_in_no_grid(kind, clf):
    ax = plt.figure().add_axes([0.1, 0.1, 0.5, 0.5])
    if kind in (LossCurveDisplay, ActivationDisplay):
        with pytest.raises(ValueError, match=r"plt\.subplots"):
            DRAW[kind](clf, ax=ax)
    else:
        drawn(DRAW[kind](clf, ax=ax))


@every_display
def test_without_matplotlib(kind, clf, monkeypatch):
    display = DRAW[kind](clf)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=rf"{kind.__name__}\.plot requires .*fastmlp\[plot\]"):
        display.plot()
    with pytest.raises(ImportError, match=rf"{kind.__name__}\.from_estimator requires"):
        DRAW[kind](clf)


def test_matplotlib_is_imported_on_plotting_only():
    code = "import sys, fastmlp.inspection; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- loss curves ---------------------------------------------------------------------------------


def test_loss_curves_of_a_network(clf):
    display = LossCurveDisplay.from_estimator(clf)
    assert display.loss_curve == [clf.loss_curve_]
    assert display.loss_curve[0] is clf.loss_curve_
    assert display.best_epoch == [int(np.argmax(clf.validation_scores_))]
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), clf.loss_curve_)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(
        display.validation_lines_[0].get_ydata(), clf.validation_loss_curve_
    )
    np.testing.assert_array_equal(display.rate_lines_[0].get_ydata(), clf.learning_rate_curve_)
    best = display.best_epoch[0]
    assert display.best_markers_[0].get_xydata().tolist() == [
        [best + 1, clf.validation_loss_curve_[best]]
    ]
    assert display.rate_ax_.get_xlabel() == "Epoch"


def test_without_early_stopping_the_least_validation_loss_is_the_best():
    clf = MLPClassifier((4,), **FEW).fit(X, y, X_val=X[::2], y_val=y[::2])
    best = int(np.argmin(clf.validation_loss_curve_))
    assert LossCurveDisplay.from_estimator(clf).best_epoch == [best]


def test_lbfgs_has_a_training_loss_only(lbfgs):
    display = LossCurveDisplay.from_estimator(lbfgs)
    assert len(display.lines_) == 1
    assert display.validation_lines_ == display.best_markers_ == display.rate_lines_ == []
    assert display.rate_ax_ is None
    assert display.ax_.get_xlabel() == "Iteration"


def test_a_dict_of_estimators(clf, lbfgs):
    display = LossCurveDisplay.from_estimator({"early": clf, "lbfgs": lbfgs})
    assert display.name == ["early", "lbfgs"]
    assert len({line.get_color() for line in display.lines_}) == 2
    assert len({line.get_marker() for line in display.lines_}) == 2  # for grey print
    assert display.rate_ax_.get_xlabel() == "Epoch or iteration"
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["early", "lbfgs", "training", "validation", "best epoch"]


def test_all_networks_of_a_tabular_estimator():
    tabular = TabularMLPClassifier(n_ensemble=3, **FEW).fit(frame[:60], y[:60])
    display = drawn(LossCurveDisplay.from_estimator(tabular))
    assert len(display.lines_) == 3
    assert len({line.get_color() for line in display.lines_}) == 1


def test_other_estimators_with_a_loss_curve():
    binary = y[:100]
    adaline = Adaline(max_iter=3).fit(X[:100], binary)
    theirs = SklearnMLPClassifier(max_iter=3).fit(X, y)
    display = LossCurveDisplay.from_estimator({"Adaline": adaline, "scikit-learn": theirs})
    assert len(display.lines_) == 2


def test_styles_of_curves(clf, lbfgs):
    pair = {"a": clf, "b": lbfgs}
    display = LossCurveDisplay.from_estimator(pair, curve_kwargs={"c": "red", "lw": 3})
    assert {line.get_color() for line in display.lines_} == {"red"}
    display.plot(curve_kwargs=[{"color": "red"}, {"color": "green"}])
    assert [line.get_color() for line in display.lines_] == ["red", "green"]
    with pytest.raises(ValueError, match=r"curve_kwargs must have one entry per curve, 2\. Got 1"):
        display.plot(curve_kwargs=[{}])
    with pytest.raises(ValueError, match="name must have one entry per curve"):
        display.plot(name=["a", "b", "c"])


def test_curves_without_names():
    display = drawn(LossCurveDisplay(loss_curve=[[3, 2], [2, 1]]).plot())
    assert len({line.get_color() for line in display.lines_}) == 2
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["training"]


# --- weights -------------------------------------------------------------------------------------


def test_weights_as_a_matrix():
    clf = MLPClassifier((6,), **FEW).fit(frame, y)
    display = drawn(WeightsDisplay.from_estimator(clf))
    assert display.coefs is clf.coefs_
    np.testing.assert_array_equal(display.image_.get_array(), clf.coefs_[0])
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == list(frame.columns)
    low, high = display.image_.get_clim()
    assert -low == high == np.abs(clf.coefs_[0]).max()  # 0 in the middle


def test_weights_as_images():
    coefs = [np.arange(18.0).reshape(6, 3) + 1]
    picture = WeightsDisplay(coefs=coefs, image_shape=(2, 3)).plot().image_.get_array()
    first = picture[:2, :3]
    np.testing.assert_array_equal(first, coefs[0][:, 0].reshape(2, 3))
    assert np.sum(~np.ma.getmaskarray(np.ma.masked_invalid(picture))) == 18


def test_histograms_of_weights(clf):
    display = drawn(WeightsDisplay.from_estimator(clf, kind="histograms"))
    assert display.axes_.shape == (3,)
    assert display.image_ is None
    counts = [sum(bar.get_height() for bar in bars) for bars in display.bars_]
    assert counts == [layer.size for layer in clf.coefs_]


def test_weights_of_no_hidden_layer():
    reg = MLPRegressor(hidden_layer_sizes=(), **FEW).fit(X, y)
    drawn(WeightsDisplay.from_estimator(reg))
    drawn(WeightsDisplay.from_estimator(reg, kind="histograms"))


def test_errors_of_weights(clf):
    with pytest.raises(ValueError, match=r"image_shape=\(3, 3\) has 9 pixels, but there are 4"):
        WeightsDisplay.from_estimator(clf, image_shape=(3, 3))
    with pytest.raises(ValueError, match="kind must be"):
        WeightsDisplay.from_estimator(clf, kind="matrix")
    assert not plt.get_fignums()  # nothing is left half drawn


# --- activations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _native.ACTIVATIONS)
def test_curves_are_the_cores(name):
    """The value at the point, and the slope by differences."""
    layer = HiddenLayer(name, _native.ACTIVATIONS[name] or 0.0, 2 if name == "maxout" else 1, 0.0)
    z = np.linspace(-3, 3, 60)  # not at the kink
    values, slopes = activations._curves(layer, z)
    above, below = (activations._curves(layer, z + step)[0] for step in (1e-6, -1e-6))
    np.testing.assert_allclose(slopes, (above - below) / 2e-6, atol=1e-8)
    if name == "tanh":
        np.testing.assert_allclose(values, np.tanh(z), rtol=1e-14)


def as_frame(rows):
    return pd.DataFrame(rows, columns=frame.columns)


@pytest.mark.parametrize(
    "make", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csr_array, as_frame]
)
def test_inputs_are_what_the_activations_are_of(make):
    given = make(X)
    fitted = MLPClassifier((6, 3), activation=["tanh", "relu"], **FEW).fit(given, y)
    display = ActivationDisplay.from_estimator(fitted, given)
    tanh, relu = display.inputs
    np.testing.assert_allclose(np.tanh(tanh), fitted.hidden_activations(given, 0), rtol=1e-12)
    np.testing.assert_allclose(np.maximum(relu, 0), fitted.hidden_activations(given, 1), atol=1e-12)


def test_activations_of_each_layer(clf):
    display = drawn(ActivationDisplay.from_estimator(clf, X))
    assert display.axes_.shape == (2, 2)
    assert len(display.lines_) == len(display.slope_lines_) == len(display.bars_) == 2
    assert display.titles == ["Layer 0: tanh", "Layer 1: relu"]
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), display.values[0])
    np.testing.assert_array_equal(display.slope_lines_[0].get_ydata(), display.slopes[0])
    for inputs, bars in zip(display.inputs, display.bars_, strict=True):
        assert sum(bar.get_height() for bar in bars) == inputs.size


def test_zones():
    """Of relu the negative side is dead; of tanh both ends are saturated."""
    z = np.linspace(-4, 4, 801)
    relu, tanh = (
        ActivationDisplay(inputs=[z], grid=[z], values=[values], slopes=[slopes], titles=["layer"])
        for values, slopes in ((np.maximum(z, 0), z > 0), (np.tanh(z), 1 - np.tanh(z) ** 2))
    )
    title = relu.plot().axes_[0, 0].get_title()
    assert title == "layer\ndead 50%\nsaturated 0%"
    assert len(relu.zones_) == 2  # in each of the panels
    title = tanh.plot().axes_[0, 0].get_title()
    assert title == "layer\ndead 0%\nsaturated 46%"
    assert len(tanh.zones_) == 4


def test_a_flat_place_amid_the_curve_is_no_zone():
    z = np.linspace(-5, 5, 1001)
    values, slopes = activations._curves(HiddenLayer("gelu", 0.0, 1, 0.0), z)
    display = ActivationDisplay(
        inputs=[z], grid=[z], values=[values], slopes=[slopes], titles=["gelu"]
    ).plot()
    assert len(display.zones_) == 2  # the left end, in each of the panels


def test_learned_slopes_and_maxout():
    clf = MLPClassifier((4, 3), activation=["prelu", "maxout"], **FEW).fit(X, y)
    display = drawn(ActivationDisplay.from_estimator(clf, X))
    assert display.slopes[0][0] == pytest.approx(clf.activation_slopes_[0].mean())
    np.testing.assert_array_equal(display.inputs[1], clf.hidden_activations(X, 1))


def test_no_hidden_layer():
    reg = MLPRegressor(hidden_layer_sizes=(), **FEW).fit(X, y)
    with pytest.raises(ValueError, match="no hidden layer"):
        ActivationDisplay.from_estimator(reg, X)
    with pytest.raises(ValueError, match="no hidden layer"):
        UnitsDisplay.from_estimator(reg, X)


# --- units and planes ----------------------------------------------------------------------------


def test_units_over_two_features(clf):
    display = drawn(UnitsDisplay.from_estimator(clf, X, layer=0, features=(1, 3)))
    assert display.activations.shape == (50, 50, 6)
    rows = np.tile(np.median(X, axis=0), (2500, 1))
    rows[:, 1], rows[:, 3] = display.xx0.ravel(), display.xx1.ravel()
    np.testing.assert_array_equal(
        display.activations.reshape(2500, 6), clf.hidden_activations(rows, 0)
    )
    assert display.ax_.get_title() == (
        "MLPClassifier: hidden layer 0, other features at their medians"
    )
    assert display.ax_.get_xlabel().startswith("Feature 1\n")


def test_a_map_is_drawn_upwards():
    xx0, xx1 = np.meshgrid([0.0, 1.0], [0.0, 1.0])
    display = UnitsDisplay(xx0=xx0, xx1=xx1, activations=2 * xx1[..., None]).plot()
    np.testing.assert_array_equal(display.image_.get_array(), [[1, 1], [0, 0]])


def test_two_features_need_no_medians():
    clf = MLPClassifier((3,), **FEW).fit(X[:, :2], y)
    display = UnitsDisplay.from_estimator(clf, X[:, :2], grid_resolution=5)
    assert display.name == "MLPClassifier: hidden layer 0"
    assert display.activations.shape == (5, 5, 3)


def test_features_of_the_largest_weights(clf):
    fitted = MLPClassifier((3,), **FEW).fit(X, y)
    fitted.coefs_[0][:] = np.array([1.0, 8.0, 3.0, 2.0])[:, None] / X.std(axis=0)[:, None]
    assert plane(fitted, X).features == (1, 2)
    scaled = make_pipeline(StandardScaler(), fitted)
    scaled[0].fit(X)
    assert plane(scaled, X * 10).features == plane(fitted, scaled[0].transform(X * 10)).features


@pytest.mark.filterwarnings("error:X does not have valid feature names")
def test_frames():
    clf = MLPClassifier((3,), **FEW).fit(frame, y)
    view = plane(clf, frame, ("petal width (cm)", 0))
    assert view.features == (3, 0)
    assert isinstance(view.filled(X[:, [3, 0]]), pd.DataFrame)
    display = UnitsDisplay.from_estimator(clf, frame, features=("petal width (cm)", 0))
    assert display.xlabel == "petal width (cm)"


@pytest.mark.parametrize("kind", ["network", "pipeline", "tabular", "linear", "regressor"])
@pytest.mark.filterwarnings("error:X does not have valid feature names")
def test_scikit_learns_decision_boundaries(kind):
    estimator = {
        "network": MLPClassifier((3,), **FEW),
        "pipeline": make_pipeline(StandardScaler(), MLPClassifier((3,), **FEW)),
        "tabular": TabularMLPClassifier(n_ensemble=2, **FEW),
        "linear": LogisticRegression(max_iter=500),
        "regressor": MLPRegressor(hidden_layer_sizes=(3,), **FEW),
    }[kind].fit(frame[::5], y[::5])
    view = plane(estimator, frame, (2, 3))
    pair = frame.iloc[:, list(view.features)]
    display = DecisionBoundaryDisplay.from_estimator(view, pair, grid_resolution=10)
    rows = np.tile(np.median(X, axis=0), (100, 1))
    rows[:, 2], rows[:, 3] = display.xx0.ravel(), display.xx1.ravel()
    predicted = estimator.predict(as_frame(rows))
    np.testing.assert_array_equal(view.predict(rows[:, 2:]), predicted)
    assert hasattr(view, "predict_proba") == (kind != "regressor")


def test_errors_of_features(clf):
    for wrong in ((0, 4), ("a", 0), (0.5, 1), (-1, 2)):
        with pytest.raises(ValueError, match="features must be names of features or ints"):
            plane(clf, X, wrong)
    for wrong in ((1, 1), (0, 1, 2), (0,)):
        with pytest.raises(ValueError, match="features must be two different ones"):
            plane(clf, X, wrong)
    with pytest.raises(ValueError, match="features must be given"):
        plane(LogisticRegression(max_iter=500).fit(X, y), X)
    with pytest.raises(NotFittedError):
        plane(MLPClassifier(), X)


def test_errors_of_units(clf):
    with pytest.raises(ValueError, match="layer must be an int"):
        UnitsDisplay.from_estimator(clf, X, layer=2)
    with pytest.raises(ValueError, match="grid_resolution must be an int"):
        UnitsDisplay.from_estimator(clf, X, grid_resolution=1)
    with pytest.raises(ValueError, match="expecting 4 features"):
        UnitsDisplay.from_estimator(clf, X[:, :3], features=(0, 1))
