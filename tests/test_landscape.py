"""The loss around fitted weights: against plain NumPy, and as a picture."""

import sys
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fastmlp import MLPClassifier, MLPRegressor, Perceptron
from fastmlp.inspection import LossLandscapeDisplay, planes, training_path
from tests import reference

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

random = np.random.RandomState(0)
X = random.normal(size=(40, 3))
labels = (X @ [1.0, -1.0, 0.5] > 0) + (X[:, 0] > 1).astype(int)
values = 2 * X[:, 0] + 1 + 0.1 * random.normal(size=40)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    classifier = MLPClassifier((5,), max_iter=20, alpha=0.5, random_state=0).fit(X, labels)
    line = MLPRegressor(
        hidden_layer_sizes=(), solver="sgd", learning_rate_init=0.1, momentum=0, max_iter=20,
        alpha=0, random_state=0,
    ).fit(X[:, :1], values)  # fmt: skip
TWO_PARAMETERS = ((0, 0, 0), (0, 0))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


def landscape(model=classifier, data=(X, labels), **parameters):
    parameters = {"resolution": 5, "random_state": 0} | parameters
    return LossLandscapeDisplay.from_estimator(model, *data, **parameters)


def loss_of(model, blocks, target):
    """The loss without penalties, in plain NumPy."""
    arguments = model._hidden_layers, model._trained_loss, X, target, np.ones(len(X))
    return reference.penalised_loss(blocks, *arguments)


# --- the numbers ---------------------------------------------------------------------------------


def test_two_weights_are_the_coordinates():
    display = landscape(directions=((0, 1, 2), (1, -1, 0)), extent=0.7)
    assert display.names == ("coefs_[0][1, 2]", "coefs_[1][-1, 0]")
    center = [classifier.coefs_[0][1, 2], classifier.coefs_[1][-1, 0]]
    np.testing.assert_allclose(display.center, center)
    first, second = display.coordinates
    np.testing.assert_allclose(first, np.linspace(center[0] - 0.7, center[0] + 0.7, 5))
    blocks = [block.copy() for block in classifier._blocks().in_core_order()]
    for i, j in [(0, 0), (0, 4), (3, 1), (2, 2)]:
        blocks[0][1, 2], blocks[2][-1, 0] = first[j], second[i]
        assert display.losses[i, j] == pytest.approx(loss_of(classifier, blocks, np.eye(3)[labels]))


def test_the_center_has_the_models_loss_without_penalties():
    display = landscape()
    expected = classifier.loss_and_gradient(X, labels)[0]
    squares = sum((weight**2).sum() for weight in classifier.coefs_)
    assert display.center_loss == pytest.approx(expected - 0.5 * 0.5 * squares / len(X))
    np.testing.assert_allclose(display.center, [0, 0], atol=1e-12)
    assert display.losses[2, 2] == pytest.approx(display.center_loss)


@pytest.mark.parametrize("activation", ["relu", "maxout", "prelu"])
def test_random_directions_are_filter_normalised(activation):
    """Each unit's part of a direction is as long as the unit's weights; biases stay."""
    model = MLPClassifier((4,), activation, max_iter=2, random_state=0).fit(X, labels)
    center = model._blocks()
    plane = planes.plane_of("random", center, None, 0)
    for flat in plane.directions:
        direction = center.unflat(flat, float)
        for ours, weight in zip(direction.weights, model.coefs_, strict=True):
            lengths = np.linalg.norm(weight, axis=0)
            np.testing.assert_allclose(np.linalg.norm(ours, axis=0), lengths)
        rest = [*direction.biases, *(slope for slope in direction.slopes if slope is not None)]
        assert not any(array.any() for array in rest)
    assert (plane.directions != planes.plane_of("random", center, None, 1).directions).any()


@pytest.mark.parametrize(
    ("loss", "options"), [("huber", {"huber_delta": 0.5}), ("quantile", {"quantile": 0.9})]
)
def test_losses_with_options(loss, options):
    model = MLPRegressor(loss, (3,), alpha=0, max_iter=3, random_state=0, **options).fit(X, values)
    display = landscape(model, (X, values))
    assert display.center_loss == pytest.approx(model.loss_and_gradient(X, values)[0])


# --- the path of training ------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [
    {}, {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2},
    {"early_stopping": True, "dropout": 0.2}, {"activation": "prelu"},
], ids=str)  # fmt: skip
def test_the_path_leads_to_the_fitted_weights(parameters):
    model = MLPClassifier((4,), max_iter=12, random_state=3, **parameters).fit(X, labels)
    path = training_path(model, X, labels, n_points=4)
    assert len(path) <= 5
    assert {len(point) for point in path} == {3 if "activation" in parameters else 2}
    for ours, theirs in zip(
        path[-1][0] + path[-1][1], model.coefs_ + model.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    display = landscape(model, directions="pca", path=path)
    np.testing.assert_allclose(display.path_points[-1], display.center, atol=1e-12)
    assert display.path_losses[-1] == pytest.approx(display.center_loss)
    assert display.path_losses[0] > display.path_losses[-1]
    assert 0.5 < display.path_share <= 1
    assert landscape(model, path=path).path_share < display.path_share


def test_a_plane_of_all_parameters_holds_the_path():
    path = training_path(line, X[:, :1], values)
    assert len(path) == 21
    display = landscape(line, (X[:, :1], values), directions=TWO_PARAMETERS, path=path)
    assert display.path_share == pytest.approx(1)
    ways = [[coefs[0][0, 0], intercepts[0][0]] for coefs, intercepts in path]
    np.testing.assert_allclose(display.path_points, ways)
    errors = [X[:, 0] * weight + bias - values for weight, bias in ways]
    np.testing.assert_allclose(display.path_losses, [(e**2).mean() / 2 for e in errors])
    low, high = (np.array([f(c) for c in display.coordinates]) for f in (np.min, np.max))
    assert (low < np.min(ways, axis=0)).all()
    assert (high > np.max(ways, axis=0)).all()


def test_a_path_that_cannot_be_found_again():
    model = MLPClassifier((4,), max_iter=3).fit(X, labels)
    with pytest.raises(ValueError, match="random_state=None"):
        training_path(model, X, labels)
    with pytest.raises(ValueError, match="lbfgs"):
        training_path(classifier.set_params(solver="lbfgs"), X, labels)
    classifier.set_params(solver="adam")
    with pytest.raises(ValueError, match="n_points must be"):
        training_path(classifier, X, labels, n_points=0)


# --- the picture ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["contour", "surface"])
@pytest.mark.parametrize("with_path", [False, True])
def test_the_picture(kind, with_path):
    path = training_path(classifier, X, labels, n_points=3) if with_path else None
    display = landscape(kind=kind, path=path)
    assert display.figure_ is display.ax_.figure
    assert display.ax_.get_xlabel() == "first random direction"
    assert display.ax_.get_title().startswith("Loss around the fitted weights")
    assert ("of the path's variance" in display.ax_.get_title()) == with_path
    assert (display.path_ is not None) == (display.path_line_ is not None) == with_path
    if with_path:
        np.testing.assert_array_equal(display.path_.get_array(), display.path_losses)
        assert display.path_.norm is display.surface_.norm
    figure = matplotlib.pyplot.figure()
    ax = figure.add_subplot(projection="3d" if kind == "surface" else None)
    assert display.plot(ax, kind=kind, surface_kwargs={"cmap": "gray"}) is display
    assert display.ax_ is ax
    assert display.surface_.get_cmap().name == "gray"
    figure.canvas.draw()


def test_the_constructor_keeps_what_it_is_given():
    given = {
        "coordinates": (np.arange(3.0), np.arange(3.0)), "losses": np.ones((3, 3)),
        "center": np.ones(2), "center_loss": 1.0, "names": ("a", "b"), "path_points": None,
        "path_losses": None, "path_share": None,
    }  # fmt: skip
    display = LossLandscapeDisplay(**given)
    for name, value in given.items():
        assert getattr(display, name) is value
    assert not hasattr(display, "ax_")
    display.plot()  # the same loss everywhere
    given["losses"][0, 0] = np.inf  # beyond the numbers: left blank
    LossLandscapeDisplay(**given).plot(kind="surface")


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"from_estimator requires matplotlib.*fastmlp\[plot\]"):
        landscape()


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(("parameters", "text"), [
    ({"directions": "both"}, "'random', 'pca' or two places"),
    ({"directions": ((0, 0, 0),)}, "two places"),
    ({"directions": ((0, 0, 0), (0, 0, 9))}, "of a weight or"),
    ({"directions": ((0, 0, 0), 3)}, "of a weight or"),
    ({"directions": ((0, 0, 0), (0,))}, "of a weight or"),
    ({"directions": ((0, 0, 0), (0, 0, 0))}, "different"),
    ({"directions": "pca"}, "needs a path"),
    ({"path": [([np.ones((3, 2))], [np.ones(2)])]}, "of this network"),
    ({"path": []}, "at least one point"),
    ({"extent": 0.0}, "extent must be"),
    ({"resolution": 1}, "resolution must be"),
    ({"kind": "lines"}, "kind must be"),
], ids=str)  # fmt: skip
def test_parameters_that_are_refused(parameters, text):
    with pytest.raises(ValueError, match=text):
        landscape(**parameters)


def test_estimators_and_axes_that_are_refused():
    with pytest.raises(TypeError, match="Got Perceptron"):
        landscape(Perceptron().fit(X, labels))
    with pytest.raises(NotFittedError):
        landscape(MLPClassifier())
    with pytest.raises(ValueError, match="projection='3d'"):
        landscape(kind="surface", ax=matplotlib.pyplot.subplots()[1])
