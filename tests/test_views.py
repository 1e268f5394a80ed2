"""Networks drawn and summed up: SVG, HTML representation, `summary`, NetworkDisplay."""

import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import (
    Adaline,
    MLPClassifier,
    MLPRegressor,
    Perceptron,
    TabularMLPClassifier,
    TabularMLPRegressor,
    from_sklearn,
    load,
)
from fastmlp.exchange.values import FittedNetwork, Layer, Task
from fastmlp.inspection import NetworkDisplay
from fastmlp.views.colours import NEGATIVE, NEUTRAL, POSITIVE
from fastmlp.views.layout import draw_network, short
from fastmlp.views.svg import network_svg

matplotlib.use("Agg")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_iris, y_iris = load_iris(return_X_y=True, as_frame=True)
NAME = "{http://www.w3.org/2000/svg}"


def network(*sizes, classes=None, seed=0):
    """A network of random weights, none of them zero."""
    random = np.random.RandomState(seed)
    layers = [
        Layer(random.randn(n, m), random.randn(m), "relu", 0.0, 1) for n, m in pairwise(sizes)
    ]
    return FittedNetwork("MLPRegressor", layers, Task.REGRESSION, classes)


def paths(root):
    """The numbers of lines by their colours."""
    found = {}
    for path in root.iter(f"{NAME}path"):
        colour = path.get("stroke")
        found[colour] = found.get(colour, 0) + path.get("d").count("M")
        assert (path.get("stroke-dasharray") is not None) == (colour == NEGATIVE)
    return found


def texts(root):
    return [text.text for text in root.iter(f"{NAME}text")]


# --- SVG -----------------------------------------------------------------------------------------


def test_svg_has_a_circle_for_each_unit_and_a_line_for_each_weight():
    net = network(3, 4, 2)
    root = ElementTree.fromstring(network_svg(net))
    assert len(list(root.iter(f"{NAME}circle"))) == 3 + 1 + 4 + 1 + 2
    parameters = np.concatenate(
        [array.ravel() for layer in net.layers for array in (layer.weight, layer.bias)]
    )
    assert paths(root) == {POSITIVE: (parameters > 0).sum(), NEGATIVE: (parameters < 0).sum()}
    assert texts(root).count("1") == 2  # what the biases are the weights of
    assert {"x0", "x2", "y0", "y1", "4 relu"} <= set(texts(root))
    assert root.find(f"{NAME}title").text == "MLPRegressor: 3-4-2"
    assert {element.tag for element in root.iter()} <= {
        NAME + tag for tag in ("svg", "title", "rect", "path", "g", "circle", "text")
    }


def test_lines_are_the_wider_the_larger_the_weight_is():
    layer = Layer(np.array([[4.0], [-1.0], [0.0]]), np.array([2.0]), "identity", 0.0, 1)
    lines = draw_network(FittedNetwork("Adaline", [layer], Task.REGRESSION)).lines
    assert [line.sign for line in lines] == [1, -1, 0, 1]
    assert [line.width for line in lines] == [2.4, 0.9, 0.4, 1.4]
    zero = network(2, 1)
    zero.layers[0].weight[:] = zero.layers[0].bias[:] = 0.0
    assert paths(ElementTree.fromstring(network_svg(zero))) == {NEUTRAL: 3}


def test_labels_are_escaped_and_cut():
    names = ["<script>", 'a & "b"', "\x00\ud800\n", "long" * 50]
    classes = np.array(["x < y", "]]>&amp;"], object)
    root = ElementTree.fromstring(network_svg(network(4, 2, classes=classes), feature_names=names))
    found = texts(root)
    assert {"<script>", 'a & "b"', "x < y", "]]>&amp;"} <= set(found)
    assert "\N{REPLACEMENT CHARACTER}" * 3 in found
    assert any(text.startswith("longlong") and text.endswith("…") for text in found)
    assert max(map(len, found)) <= 20


def test_large_networks_are_abbreviated():
    drawing = draw_network(network(100, *[1024] * 9, 3))
    columns = {circle.x for circle in drawing.circles}
    assert len(columns) == 7  # the first six, dots, the last
    assert sum(not circle.is_bias for circle in drawing.circles) == 6 * 15 + 3
    assert len(drawing.lines) == 5 * 16 * 15  # with the biases; none over the dots
    words = [text.text for text in drawing.texts]
    assert words.count("⋮") == 6
    assert words.count("…") == 1
    assert {"100", "1,024 relu", "3 relu", "x13", "x99"} <= set(words)
    assert "x14" not in words
    whole = draw_network(network(*[16] * 8))
    assert sum(not circle.is_bias for circle in whole.circles) == 8 * 16
    assert not {"⋮", "…"} & {text.text for text in whole.texts}


@pytest.mark.parametrize("sizes", [(16,) * 8, (3, 3, 2, 1), (40, 2)])
def test_no_two_texts_overlap(sizes):
    net = network(*sizes)
    values = [np.full(n, -123.4) for n in sizes]
    names = ["W" * 50] * sizes[0]
    drawing = draw_network(net, feature_names=names, values=values)
    boxes = []
    for text in drawing.texts:
        width = 0.6 * text.size * len(text.text)
        left = text.x - {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
        boxes.append((left, left + width, text.y - text.size / 2, text.y + text.size / 2))
        assert boxes[-1][0] >= 0
        assert boxes[-1][1] <= drawing.width
        assert boxes[-1][3] <= drawing.height
    for i, (left, right, top, bottom) in enumerate(boxes):
        for other in boxes[:i]:
            apart = right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top
            assert apart, (drawing.texts[i], other)


@pytest.mark.parametrize("activation", ["tanh", "prelu", "maxout"])
def test_values_of_a_sample_stand_on_units_and_lines(activation):
    X = np.random.RandomState(0).randn(30, 3)
    y = X[:, :2].sum(axis=1)
    clf = MLPRegressor(
        hidden_layer_sizes=(2,), activation=activation, max_iter=5, random_state=0
    ).fit(X, y)
    values = clf._unit_values(X[:1])
    np.testing.assert_array_equal(values[0], X[0])
    np.testing.assert_array_equal(values[1], clf.hidden_activations(X[:1])[0])
    np.testing.assert_array_equal(values[2], clf.predict(X[:1]))
    found = texts(ElementTree.fromstring(network_svg(clf._fitted_network(), values=values)))
    for value in np.concatenate(values):
        assert short(value) in found
    carried = [values[1][j] * clf.coefs_[1][j, 0] for j in range(2)] + [clf.intercepts_[1][0]]
    for value in carried:
        assert short(value) in found
    if activation == "maxout":  # of the piece that is the largest
        sums = X[0] @ clf.coefs_[0] + clf.intercepts_[0]
        piece = sums.reshape(2, 2).argmax(axis=0)
        for j in range(2):
            assert short(X[0, 1] * clf.coefs_[0][1, 2 * piece[j] + j]) in found


def test_numbers_are_short():
    assert [short(x) for x in (0, -0.0, 0.123, -12.34, 99.99, 1234.5, -1e4)] == [
        "0.00", "0.00", "0.12", "-12.3", "100", "1234", "-1e4",
    ]  # fmt: skip
    assert [short(x) for x in (1e-10, 3e300, np.inf, np.nan)] == ["1e-10", "3e300", "inf", "nan"]


# --- the HTML representation ---------------------------------------------------------------------

needs_fitted_attributes = pytest.mark.skipif(
    not hasattr(StandardScaler, "_get_fitted_attr_html"), reason="scikit-learn 1.9 has the block"
)


def svgs(html):
    """The drawn networks in some HTML."""
    begin = "<summary>Network"
    found = []
    for part in html.split(begin)[1:]:
        svg = part[part.index("<svg") : part.index("</svg>") + len("</svg>")]
        ElementTree.fromstring(svg)
        found.append(svg)
    return found


@needs_fitted_attributes
def test_the_network_is_in_html_representations():
    clf = MLPClassifier((3,), max_iter=2, random_state=0)
    assert not svgs(clf._repr_html_())
    pipeline = make_pipeline(StandardScaler(), clf).fit(X_iris, y_iris)
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1, 1.0]}, cv=2)
    for model in (clf.fit(X_iris, y_iris), pipeline, search.fit(X_iris, y_iris)):
        assert len(svgs(model._repr_html_())) == 1
    html = clf._repr_html_()
    assert "petal width (cm)" in svgs(html)[0]
    for tooltip in ("max_iter: int", "coefs_: list of ndarray"):  # from the class docstring
        assert tooltip in html


@needs_fitted_attributes
@pytest.mark.parametrize("Estimator", [Perceptron, Adaline])
def test_single_layers_are_in_html_representations(Estimator):
    model = Estimator(max_iter=2).fit(X_iris, y_iris)
    assert len(svgs(model._repr_html_())) == 1


@needs_fitted_attributes
def test_an_ensemble_shows_its_first_network():
    model = TabularMLPClassifier(
        n_ensemble=2, hidden_layer_sizes=(4,), max_iter=1, random_state=0
    ).fit(X_iris, y_iris)
    html = model._repr_html_()
    assert len(svgs(html)) == 1
    assert "Network, the first of 2" in html


@needs_fitted_attributes
def test_the_largest_drawing_stays_below_20_kB():
    X = np.random.RandomState(0).randn(20, 9)
    reg = MLPRegressor(hidden_layer_sizes=(9,) * 6, max_iter=1, random_state=0).fit(X, X)
    reg.feature_names_in_ = np.array(["&" * 50] * 9, object)
    (svg,) = svgs(reg._repr_html_())
    assert len(svg.encode()) < 20_000


@pytest.mark.parametrize(
    "attributes",
    [
        {"coefs_": "nonsense"},
        {"coefs_": []},
        {"intercepts_": [np.full(3, np.nan), np.zeros(3)]},
        {"feature_names_in_": np.array([], object)},
        {"classes_": None},
        {"n_layers_": 7},
        {"_hidden_layers": None},
    ],
    ids=str,
)
def test_representations_never_raise(attributes):
    clf = MLPClassifier((3,), max_iter=2).fit(X_iris, y_iris)
    vars(clf).update(attributes)
    assert "MLPClassifier" in clf._repr_html_()
    assert not svgs(clf._repr_html_())
    assert repr(clf) == "MLPClassifier(hidden_layer_sizes=(3,), max_iter=2)"
    for name in attributes:
        delattr(clf, name)
    assert "MLPClassifier" in clf._repr_html_()


# --- summary -------------------------------------------------------------------------------------


def fitted(X=None, **parameters):
    """A network 20-100-2."""
    X = np.random.RandomState(0).randn(50, 20) if X is None else X
    options = {"max_iter": 2, "batch_size": 20, "random_state": 0, **parameters}
    return MLPRegressor(**options).fit(X, X[:, :2])


def test_summary_in_numbers(capsys):
    summary = fitted(dropout=(0.1, 0.5)).summary()
    assert summary.to_dict() == {
        "name": "MLPRegressor",
        "dtype": "float64",
        "layers": [
            {"name": "input", "shape": (20,), "activation": None, "dropout": 0.1,
             "n_parameters": 0, "multiply_adds": 0},
            {"name": "hidden 0", "shape": (20, 100), "activation": "relu", "dropout": 0.5,
             "n_parameters": 2100, "multiply_adds": 2000},
            {"name": "output", "shape": (100, 2), "activation": "identity", "dropout": 0.0,
             "n_parameters": 202, "multiply_adds": 200},
        ],
        "n_parameters": 2302,
        "memory": 18416,
        "multiply_adds": 2200,
        "steps_per_epoch": 3,
        "cell": "",
    }  # fmt: skip
    assert str(summary) == repr(summary)
    assert str(summary).splitlines() == [
        "MLPRegressor: 20-100-2, float64",
        "layer     shape     activation  dropout  parameters  multiply-adds",
        "input     20        -               0.1           0              0",
        "hidden 0  20 x 100  relu            0.5       2,100          2,000",
        "output    100 x 2   identity          0         202            200",
        "2,302 parameters in 18,416 bytes, 2,200 multiply-adds per row, 3 steps per epoch.",
    ]
    html = ElementTree.fromstring(f"<div>{summary._repr_html_()}</div>")
    assert len(list(html.iter("tr"))) == 4
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("activation", "n_parameters", "multiply_adds"),
    [
        ("prelu", 2302 + 100, 2200),
        # two pieces: 20 * 200 + 200 and 100 * 2 + 2
        ("maxout", 4402, 4200),
    ],
)
def test_summary_of_activations_with_more_parameters(activation, n_parameters, multiply_adds):
    X = np.random.RandomState(0).randn(50, 20).astype(np.float32)
    summary = fitted(X, activation=activation).summary()
    assert (summary.n_parameters, summary.multiply_adds) == (n_parameters, multiply_adds)
    assert summary.memory == 4 * n_parameters
    assert summary.layers[1].shape == (20, 100)


def test_steps_per_epoch(tmp_path):
    assert fitted(solver="lbfgs").summary().steps_per_epoch is None
    assert fitted(early_stopping=True).summary().steps_per_epoch == 3  # 45 rows
    assert fitted(batch_size="auto").summary().steps_per_epoch == 1
    model = fitted(warm_start=True)
    X = np.random.RandomState(0).randn(50, 20)
    assert model.fit(X, X[:, :2]).summary().steps_per_epoch == 3
    assert model.partial_fit(X, X[:, :2]).summary().steps_per_epoch == 3
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").summary() == model.summary()
    assert from_sklearn(fitted().to_sklearn()).summary() == fitted().summary()


def test_summary_says_what_is_wrong():
    with pytest.raises(NotFittedError):
        MLPClassifier().summary()
    with pytest.raises(NotFittedError):
        TabularMLPRegressor().summary()
    with pytest.raises(ValueError, match=r"dropout=\[0.1\] does not fit the 1 hidden layers"):
        fitted().set_params(dropout=(0.1,)).summary()


@pytest.mark.parametrize("Estimator", [Perceptron, Adaline])
def test_summary_of_single_layers(Estimator):
    summary = Estimator(max_iter=2).fit(X_iris, y_iris).summary()
    assert (summary.n_parameters, summary.multiply_adds) == (15, 12)
    assert "4-3" in str(summary)


def test_summary_of_an_ensemble_on_a_table(capsys):
    model = TabularMLPRegressor(
        n_ensemble=2, hidden_layer_sizes=(4,), max_iter=1, random_state=0
    ).fit(X_iris, y_iris)
    summary = model.summary()
    assert str(summary).startswith("column ")
    assert "2 networks, the first of which is:\nMLPRegressor: " in str(summary)
    values = summary.to_dict()
    assert values["columns"][3]["name"] == "petal width (cm)"
    assert values["networks"] == [member.summary().to_dict() for member in model.estimators_]
    assert values["networks"][0]["steps_per_epoch"] == 3  # 135 rows, 64 at a time
    ElementTree.fromstring(f"<div>{summary._repr_html_()}</div>")
    assert capsys.readouterr() == ("", "")


# --- NetworkDisplay ------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def clf():
    return MLPClassifier((5,), solver="lbfgs", max_iter=20, random_state=0).fit(X_iris, y_iris)


def test_display_draws_a_network(clf):
    display = NetworkDisplay.from_estimator(clf)
    assert isinstance(display, NetworkDisplay)
    assert display.values is None
    assert display.figure_ is display.ax_.figure
    assert display.ax_.get_title() == "MLPClassifier"
    assert len(display.units_) == 4 + 1 + 5 + 1 + 3
    assert sum(len(lines.get_segments()) for lines in display.lines_) == 5 * 5 + 6 * 3
    assert [lines.get_linestyle()[0][1] is not None for lines in display.lines_] == [True, False]
    words = {text.get_text() for text in display.texts_}
    assert {"petal width (cm)", "5 relu", "2"} <= words
    display.figure_.canvas.draw()


def test_display_keeps_what_it_is_given(clf):
    net, names, values = (
        clf._fitted_network(),
        ["a $b", "b", "c", "d"],
        clf._unit_values(X_iris[:1]),
    )
    display = NetworkDisplay(net, feature_names=names, values=values, name="mine")
    assert (display.network, display.feature_names) == (net, names)
    assert (display.values, display.name) == (values, "mine")
    assert not hasattr(display, "ax_")
    _, ax = plt.subplots(figsize=(3, 2))
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert ax.get_title() == "mine"
    assert display.plot(ax, name="other").ax_.get_title() == "other"
    assert short(values[1][0]) in {text.get_text() for text in display.texts_}
    display.figure_.canvas.draw()


def test_display_passes_options_on(clf):
    display = NetworkDisplay.from_estimator(
        clf,
        name="name",
        line_kwargs={"alpha": 0.5},
        unit_kwargs={"facecolor": "red"},
        text_kwargs={"color": "green"},
    )
    assert display.ax_.get_title() == "name"
    assert all(lines.get_alpha() == 0.5 for lines in display.lines_)
    assert all(unit.get_facecolor() == (1, 0, 0, 1) for unit in display.units_)
    assert all(text.get_color() == "green" for text in display.texts_)


@pytest.mark.parametrize("Estimator", [Perceptron, Adaline])
def test_display_of_single_layers(Estimator):
    model = Estimator(max_iter=2).fit(X_iris, y_iris)
    display = NetworkDisplay.from_estimator(model, X_iris[:1])
    np.testing.assert_array_equal(display.values[1], model.decision_function(X_iris[:1])[0])


def test_display_takes_sparse_samples():
    X = scipy.sparse.csr_matrix(X_iris.to_numpy())
    model = MLPRegressor(hidden_layer_sizes=(2,), max_iter=2).fit(X, y_iris)
    values = NetworkDisplay.from_estimator(model, X[:1]).values
    np.testing.assert_array_equal(values[0], X_iris.to_numpy()[0])


def test_display_says_what_is_wrong(clf):
    with pytest.raises(NotFittedError):
        NetworkDisplay.from_estimator(MLPClassifier())
    with pytest.raises(TypeError, match="Got StandardScaler instead"):
        NetworkDisplay.from_estimator(StandardScaler().fit(X_iris))
    with pytest.raises(ValueError, match=r"one sample, of shape \(1, n_features\). Got \(2, 4\)"):
        NetworkDisplay.from_estimator(clf, X_iris[:2])
