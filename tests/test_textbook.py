"""The worked examples of docs/textbook.md, number by number, on the core."""

import doctest
import math
import pathlib

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron, _native

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_the_page_says_what_happens():
    """Every line of code on the page, and what it prints."""
    page = pathlib.Path(__file__).parent.parent / "docs" / "textbook.md"
    failed, tried = doctest.testfile(
        str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried > 20
    assert failed == 0


# --- forward pass, one step ----------------------------------------------------------------------


def two_hidden_nodes(activation, hidden, output):
    """A regressor with given weights into two hidden nodes and into the output; no biases."""
    init = [np.array(hidden, float).T, np.zeros(2), np.array(output, float)[:, None], np.zeros(1)]
    model = MLPRegressor(
        hidden_layer_sizes=(2,), activation=activation, init=init, solver="sgd", max_iter=1,
        learning_rate_init=1e-300,
    )  # fmt: skip
    return model.fit([[0.0, 0.0]], [0.0])


def test_forward_pass():
    model = two_hidden_nodes("identity", [[1, 1], [-1, 1]], [2, -1])
    np.testing.assert_array_equal(model.hidden_activations([[2, 3]], 0), [[5, 1]])
    np.testing.assert_array_equal(model.predict([[2, 3]]), [9])
    model = two_hidden_nodes("logistic", [[3, 3], [1, 5]], [2, -1])
    assert model.predict([[-1, 2]])[0] == pytest.approx(0.905271648220853, rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_gradient_step(dtype):
    """The squared error (w x - y)^2 has the gradient 2 (w x - y) x; the core's loss is half."""
    x, y = np.array([[3, 4]], dtype), np.array([6], dtype)
    model = MLPRegressor(
        hidden_layer_sizes=(), init=[[[1.0], [2.0]], [0.0]], solver="sgd", momentum=0.0, alpha=0.0,
        learning_rate_init=2 * 0.01, max_iter=1,
    )  # fmt: skip
    model.fit(x, y)
    np.testing.assert_allclose(model.coefs_[0][:, 0], [0.7, 1.6], rtol=1e-6)
    model.coefs_, model.intercepts_ = [np.array([[1], [2]], dtype)], [np.zeros(1, dtype)]
    _, [(gradient, _)] = model.loss_and_gradient(x, y)
    np.testing.assert_allclose(2 * gradient[:, 0], [30, 40])
    # without the bias, which has moved as well: the error that the textbook goes on with
    assert np.array([0.7, 1.6]) @ [3, 4] - 6 == pytest.approx(2.5)


# --- the classic network, by hand ----------------------------------------------------------------


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


class PlainNetwork:
    """2-n-1, sigmoid everywhere, squared error, online updates with momentum: plain Python."""

    def __init__(self, w, b, v, c):
        self.w, self.b, self.v, self.c = w.tolist(), b.tolist(), v[:, 0].tolist(), float(c[0])
        n = len(self.b)
        self.dw, self.db = [[0.0] * n for _ in range(2)], [0.0] * n
        self.dv, self.dc = [0.0] * n, 0.0

    def step(self, x, target, rate, momentum):
        """One sample: forward, output delta, hidden deltas, update. Returns all of them."""
        n = len(self.b)
        hidden = [sigmoid(x[0] * self.w[0][j] + x[1] * self.w[1][j] + self.b[j]) for j in range(n)]
        output = sigmoid(sum(self.v[j] * hidden[j] for j in range(n)) + self.c)
        output_delta = (output - target) * output * (1 - output)
        hidden_delta = [output_delta * self.v[j] * hidden[j] * (1 - hidden[j]) for j in range(n)]
        for j in range(n):
            self.dv[j] = momentum * self.dv[j] - rate * output_delta * hidden[j]
            self.v[j] += self.dv[j]
            self.db[j] = momentum * self.db[j] - rate * hidden_delta[j]
            self.b[j] += self.db[j]
            for i in range(2):
                self.dw[i][j] = momentum * self.dw[i][j] - rate * hidden_delta[j] * x[i]
                self.w[i][j] += self.dw[i][j]
        self.dc = momentum * self.dc - rate * output_delta
        self.c += self.dc
        return hidden, output, output_delta, hidden_delta

    def blocks(self):
        return [np.array(self.w), np.array(self.b), np.array(self.v)[:, None], np.array([self.c])]


def planar():
    """500 points of the plane; class 1 lies within a circle: one line does not separate it."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, (500, 2))
    return X, (np.hypot(X[:, 0], X[:, 1]) < 0.7).astype(int)


@pytest.mark.parametrize("n", [1, 10])
def test_every_intermediate_of_the_classic_network(engine, n):
    """Forward pass, output delta, hidden deltas, updates of online training, sample by sample."""
    X, y = planar()
    rng = np.random.RandomState(1)
    start = [rng.randn(2, n), rng.randn(n), rng.randn(n, 1), rng.randn(1)]
    plain = PlainNetwork(*start)
    hidden_layer = [("logistic", 0.0, 1, 0.0)]
    loss = "logistic_squared_error"
    network = _native.Network64(
        [2, n, 1], hidden_layer, loss, alpha=0.0, batch=1, keep_gradient=True, engine=engine
    )
    network.write(0, start)
    for step in range(500):
        x, target = X[step : step + 1], y[step : step + 1].astype(np.int32)
        before = network.read(0)
        hidden, output, output_delta, hidden_delta = plain.step(
            X[step].tolist(), float(y[step]), 0.5, 0.8
        )
        got = _native.predict(before[:2], hidden_layer, None, x, n_threads=1, engine=engine)
        np.testing.assert_allclose(got[0], hidden, rtol=1e-12)
        got = _native.predict(before, hidden_layer, loss, x, n_threads=1, engine=engine)
        assert got[0, 0] == pytest.approx(output, rel=1e-12)
        # the derivative by a bias is the delta of its neuron
        value, gradient = network.gradient(x, target, None, None, n_threads=1)
        assert value == pytest.approx((output - y[step]) ** 2 / 2, rel=1e-11)
        np.testing.assert_allclose(gradient[3], [output_delta], rtol=1e-9)
        np.testing.assert_allclose(gradient[1], hidden_delta, rtol=1e-9, atol=1e-18)
        network.train(
            x, target, None, None, solver="sgd", steps=step, rate=0.5, momentum=0.8, n_threads=1
        )
        for ours, theirs in zip(network.read(0), plain.blocks(), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10)


@pytest.mark.parametrize("n", [1, 10])
def test_whole_epochs_of_the_classic_network(n):
    """The same through the estimator: fifty epochs, each in the order of the data."""
    X, y = planar()
    rng = np.random.RandomState(1)
    start = [rng.randn(2, n), rng.randn(n), rng.randn(n, 1), rng.randn(1)]
    plain = PlainNetwork(*start)
    epochs = 50
    for _ in range(epochs):
        for x, target in zip(X.tolist(), y.tolist(), strict=True):
            plain.step(x, target, 0.1, 0.5)
    model = MLPClassifier(
        (n,), activation="logistic", loss="squared_error", solver="sgd", batch_size=1, init=start,
        learning_rate_init=0.1, momentum=0.5, nesterovs_momentum=False, alpha=0.0, shuffle=False,
        max_iter=epochs, tol=0.0, n_iter_no_change=epochs,
    ).fit(X, y)  # fmt: skip
    got = [model.coefs_[0], model.intercepts_[0], model.coefs_[1], model.intercepts_[1]]
    for ours, theirs in zip(got, plain.blocks(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7)


def test_the_larger_network_separates_what_the_smaller_cannot():
    X, y = planar()
    scores = {}
    for n in (1, 10):
        scores[n] = MLPClassifier(
            (n,), activation="logistic", loss="squared_error", solver="sgd", batch_size=1,
            learning_rate_init=0.1, momentum=0.9, alpha=0.0, max_iter=200, random_state=1,
            n_iter_no_change=200,
        ).fit(X, y).score(X, y)  # fmt: skip
    assert scores[1] < 0.75
    assert scores[10] > 0.97


# --- single layers -------------------------------------------------------------------------------


def two_irises():
    """Setosa and versicolor by sepal and petal length, standardised."""
    X, y = load_iris(return_X_y=True)
    X = X[:100, [0, 2]]
    return (X - X.mean(axis=0)) / X.std(axis=0), y[:100]


def test_perceptron_and_adaline_on_two_irises():
    X, y = two_irises()
    perceptron = Perceptron(eta0=0.1).fit(X, y)
    assert perceptron.score(X, y) == 1
    assert perceptron.loss_curve_[-1] == 0  # an epoch without a mistake
    small = Adaline(eta0=0.001, max_iter=30, tol=None).fit(X, y)
    assert (np.diff(small.loss_curve_) < 0).all()
    assert small.score(X, y) >= 0.99
    large = Adaline(eta0=0.02, max_iter=15, tol=None).fit(X, y)
    assert (np.diff(large.loss_curve_) > 0).all()
