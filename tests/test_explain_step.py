"""One step by hand: the numbers of the textbook, and those of plain NumPy."""

import json
import warnings

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron
from fastmlp.inspection import explain_step
from tests import reference

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

random = np.random.RandomState(0)
X = random.normal(size=(30, 4))
labels = random.randint(3, size=30)
values = random.uniform(0.5, 2, size=30)


def with_weights(*layers, **parameters):
    """A regressor by plain gradient descent with given weights, and no biases."""
    weights = [np.array(layer, float) for layer in layers]
    sizes = [weight.shape[1] for weight in weights[:-1]]
    init = [array for weight in weights for array in (weight, np.zeros(weight.shape[1]))]
    model = MLPRegressor(
        hidden_layer_sizes=sizes, init=init, solver="sgd", momentum=0, alpha=0, **parameters
    )
    model.partial_fit(np.zeros((1, len(weights[0]))), [0.0])
    model.coefs_, model.intercepts_ = init[::2], init[1::2]
    return model


# --- the textbook --------------------------------------------------------------------------------


def test_the_forward_pass_of_the_textbook():
    linear = with_weights([[1, -1], [1, 1]], [[2], [-1]], activation="identity")
    hidden, output = explain_step(linear, [2, 3], 0.0).layers
    np.testing.assert_array_equal(hidden.outputs, [5, 1])
    np.testing.assert_array_equal(output.inputs, [5, 1])
    np.testing.assert_array_equal(output.outputs, [9])
    sigmoid = with_weights([[3, 1], [3, 5]], [[2], [-1]], activation="logistic")
    hidden, output = explain_step(sigmoid, [-1, 2], 0.0).layers
    np.testing.assert_array_equal(hidden.z, [3, 9])
    assert output.outputs[0] == pytest.approx(0.905271648220853, rel=1e-15)


def test_the_step_of_the_textbook():
    """The core's loss is half the squared error: its rate is twice the textbook's."""
    step = explain_step(with_weights([[1], [2]], learning_rate_init=2 * 0.01), [3, 4], 6)
    (layer,) = step.layers
    np.testing.assert_array_equal(layer.z, [11])
    np.testing.assert_array_equal(layer.delta, [5])
    np.testing.assert_allclose(2 * layer.gradient[:, 0], [30, 40])
    np.testing.assert_allclose(layer.new_weights[:, 0], [0.7, 1.6])
    assert step.loss == 12.5
    assert step.learning_rate == 0.02
    assert step.solver == "sgd"


# --- plain NumPy ---------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "gelu", "maxout", ["logistic", "prelu"]])
@pytest.mark.parametrize("target", [labels, labels > 0, values], ids=["three", "two", "value"])
def test_every_number_is_that_of_the_reference(activation, target):
    Model = MLPRegressor if target is values else MLPClassifier
    n = 2 if isinstance(activation, list) else 1
    model = Model(
        hidden_layer_sizes=[5] * n, activation=activation, alpha=0.3, max_iter=3, random_state=0
    ).fit(X, target)
    step = explain_step(model, X[7], target[7])
    blocks, hidden, loss = (
        model._blocks().in_core_order(),
        model._hidden_layers,
        model._trained_loss,
    )
    row, y = X[7:8], np.atleast_2d(target[7]).astype(float)
    if loss == "log_loss":
        y = np.eye(3)[target[7:8]]
    arguments = (hidden, loss, row, y, np.ones(1), 0.3)
    derivatives = reference.gradient(blocks, *arguments)
    assert step.loss == pytest.approx(reference.penalised_loss(blocks, *arguments), rel=1e-12)
    outputs = [*reference.hidden_outputs(blocks, hidden, row),
               reference.predict(blocks, hidden, loss, row)]  # fmt: skip
    for i, (layer, expected) in enumerate(zip(step.layers, outputs, strict=True)):
        np.testing.assert_allclose(layer.inputs, outputs[i - 1][0] if i else X[7], rtol=1e-12)
        np.testing.assert_allclose(layer.z, layer.inputs @ layer.weights + layer.biases)
        np.testing.assert_allclose(layer.outputs, expected[0], rtol=1e-12)
        np.testing.assert_allclose(layer.gradient, derivatives[2 * i], rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(layer.delta, derivatives[2 * i + 1], rtol=1e-9, atol=1e-15)
        by_hand = np.outer(layer.inputs, layer.delta) + 0.3 * layer.weights
        np.testing.assert_allclose(layer.gradient, by_hand, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "hinge", "perceptron"])
def test_losses_of_classifiers(loss):
    model = MLPClassifier((3,), loss=loss, max_iter=3, random_state=0).fit(X, labels)
    step = explain_step(model, X[:1], labels[0])
    assert step.loss == model.loss_and_gradient(X[:1], labels[:1])[0]


def test_probabilities_and_several_values_as_target():
    shares = random.dirichlet(np.ones(3), size=30)
    model = MLPClassifier((3,), loss="kl_divergence", max_iter=3, random_state=0).fit(X, shares)
    step = explain_step(model, X[0], shares[0])
    np.testing.assert_allclose(step.layers[-1].delta, step.layers[-1].outputs - shares[0])
    model = MLPRegressor(max_iter=3, random_state=0).fit(X, X[:, :2])
    last = explain_step(model, X[0], X[0, :2]).layers[-1]
    np.testing.assert_allclose(last.delta, (last.outputs - X[0, :2]) / 2)


@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop"])
def test_the_new_weights_are_those_of_partial_fit(solver):
    """With what the solver remembers of the fit; the estimator stays as it is."""
    model = MLPClassifier((5,), solver=solver, max_iter=3, random_state=0).fit(X, labels)
    coefs, curve = [w.copy() for w in model.coefs_], list(model.loss_curve_)
    step = explain_step(model, X[3], labels[3])
    assert model.loss_curve_ == curve
    for layer, coef in zip(step.layers, coefs, strict=True):
        np.testing.assert_array_equal(layer.weights, coef)
    model.partial_fit(X[3:4], labels[3:4])
    for layer, coef, bias in zip(step.layers, model.coefs_, model.intercepts_, strict=True):
        np.testing.assert_array_equal(layer.new_weights, coef)
        np.testing.assert_array_equal(layer.new_biases, bias)
    assert step.new_loss == model.loss_and_gradient(X[3:4], labels[3:4])[0]


@pytest.mark.parametrize("parameters", [
    {"dropout": 0.5}, {"early_stopping": True}, {"class_weight": "balanced"}, {"batch_size": 7},
], ids=str)  # fmt: skip
def test_what_one_row_has_no_use_for_is_left_out(parameters, recwarn):
    generator = np.random.RandomState(0)
    model = MLPClassifier((5,), max_iter=3, random_state=generator, **parameters).fit(X, labels)
    state = generator.get_state()[1].copy()
    recwarn.clear()
    first, second = (explain_step(model, X[3], labels[3]) for _ in range(2))
    assert not recwarn
    np.testing.assert_array_equal(generator.get_state()[1], state)
    for a, b in zip(first.layers, second.layers, strict=True):
        np.testing.assert_array_equal(a.new_weights, b.new_weights)
        assert (a.new_weights != a.weights).any()


# --- single layers -------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [labels > 0, labels], ids=["two", "three"])
@pytest.mark.parametrize("Model", [Perceptron, Adaline])
def test_single_layers_step_down_the_gradient(Model, target):
    model = Model(eta0=0.1, max_iter=2).fit(X, target)
    for row, label in zip(X, target, strict=True):
        step = explain_step(model, row, label)
        (layer,) = step.layers
        np.testing.assert_allclose(
            layer.z, np.atleast_2d(model.decision_function(row[None]).T).T[0]
        )
        sign = np.where(model.classes_[-len(layer.z) :] == label, 1, -1)
        error = layer.z - sign if Model is Adaline else -sign * (sign * layer.z <= 0)
        np.testing.assert_allclose(layer.delta, error, rtol=1e-12)
        np.testing.assert_allclose(layer.new_weights, layer.weights - 0.1 * layer.gradient)
        np.testing.assert_allclose(layer.new_biases, layer.biases - 0.1 * layer.delta)
        loss = (error**2).sum() / 2 if Model is Adaline else np.abs(layer.z * error).sum()
        assert step.loss == pytest.approx(loss)


# --- how it is shown -----------------------------------------------------------------------------


def test_the_table_fits_a_terminal():
    model = MLPClassifier((100,), max_iter=3, random_state=0).fit(X, labels)
    lines = str(explain_step(model, X[0], labels[0])).splitlines()
    assert max(map(len, lines)) <= 90
    assert len(lines) < 50
    title = lines.index("Its weights: 10 of 400 weights, those of the largest derivatives")
    shown = [float(line.split()[4]) for line in lines[title + 2 : title + 12]]
    gradient = explain_step(model, X[0], labels[0]).layers[0].gradient
    largest = np.sort(np.abs(gradient).ravel())[-10:]
    np.testing.assert_allclose(np.sort(np.abs(shown)), largest, rtol=1e-5)


def test_html_and_dict():
    model = MLPClassifier((2,), max_iter=3, random_state=0).fit(
        X, np.array(["<a>", "b"])[labels % 2]
    )
    step = explain_step(model, X[0], "<a>")
    html = step._repr_html_()
    assert html.count("<table>") == 4
    assert "<a>" not in html
    restored = json.loads(json.dumps(step.to_dict()))
    assert restored["target"] == "<a>"
    assert restored["layers"][1]["activation"] == "logistic"
    np.testing.assert_array_equal(restored["layers"][0]["gradient"], step.layers[0].gradient)


# --- what is refused -----------------------------------------------------------------------------


def test_errors():
    model = MLPClassifier((2,), max_iter=3, random_state=0).fit(X, labels)
    with pytest.raises(ValueError, match="one row"):
        explain_step(model, X[:2], labels[:2])
    with pytest.raises(ValueError, match="classes"):
        explain_step(model, X[0], 7)
    with pytest.raises(ValueError, match="lbfgs"):
        explain_step(model.set_params(solver="lbfgs"), X[0], 1)
    with pytest.raises(TypeError, match=r"Perceptron or Adaline\. Got str instead"):
        explain_step("model", X[0], 1)
    for unfitted in (MLPClassifier(), Perceptron()):
        with pytest.raises(NotFittedError):
            explain_step(unfitted, X[0], 1)


def test_a_row_without_its_names_is_warned_of_once():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"a": [0.0, 1, 2], "b": [1.0, 0, 1]})
    model = MLPClassifier((3,), max_iter=2, random_state=0).fit(X, [0, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named = explain_step(model, X[:1], 0)
        with pytest.raises(ValueError, match="feature names"):
            explain_step(model, X[["b", "a"]][:1], 0)
    with pytest.warns(UserWarning, match="valid feature names") as noticed:
        nameless = explain_step(model, X.iloc[0], 0)
    assert len(noticed) == 1
    assert str(nameless) == str(named)
    assert list(model.feature_names_in_) == ["a", "b"]


def test_a_step_on_the_drawing():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    reg = MLPRegressor(
        hidden_layer_sizes=(), solver="sgd", momentum=0, alpha=0, learning_rate_init=0.02
    ).partial_fit([[3.0, 4.0]], [6.0])
    reg.coefs_, reg.intercepts_ = [np.array([[1.0], [2.0]])], [np.zeros(1)]
    display = explain_step(reg, [3.0, 4.0], 6).plot()
    shown = [text.get_text() for text in display.texts_]
    for text in ("3.00", "4.00", "11.0", "δ 5.00", "1.00 → 0.70", "2.00 → 1.60", "0.00 → -0.10"):
        assert text in shown
    assert display.ax_.get_title() == "loss 12.5 → 2.88"
    matplotlib.pyplot.close("all")
    hidden = MLPClassifier((3,), activation="maxout", max_iter=2, random_state=0)
    step = explain_step(hidden.fit([[0.0, 1], [1, 0]], [0, 1]), [0.0, 1], 0)
    shown = [text.get_text() for text in step.plot(name="a step").texts_]
    assert sum("→" in text for text in shown) == 4  # the pieces of maxout have no room
    assert sum(text.startswith("δ") for text in shown) == 1
    matplotlib.pyplot.close("all")
