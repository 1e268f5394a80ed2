"""The oracle: what the core computes, in plain float64 NumPy, as the textbook writes it.

There is no back-propagation here. A derivative is taken by the complex step (Squire & Trapp, SIAM
Review 40, 1998): f'(x) = Im f(x + ih) / h, exact to rounding for h = 1e-30, so that a mistake in
the core's chain rule cannot be made here a second time.
"""

import numpy as np

# one line per activation of the core; z may be complex
ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.where(z.real > 0, z, 0),
}


def _softplus(z):
    return np.log(1 + np.exp(z))


def _log_softmax(z):
    z = z - z.real.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


# per loss of the core: prediction, and the loss of each row (n,), from the output layer's z
LOSSES = {
    "squared_error": (lambda z: z, lambda z, y: 0.5 * ((z - y) ** 2).mean(axis=1)),
    "poisson": (
        np.exp,
        lambda z, y: (
            np.where(y > 0, y * np.log(np.where(y > 0, y, 1)), 0) - y * z - y + np.exp(z)
        ).sum(axis=1),
    ),
    "binary_log_loss": (
        ACTIVATIONS["logistic"],
        lambda z, y: (_softplus(z) - y * z).sum(axis=1),
    ),
    "log_loss": (
        lambda z: np.exp(_log_softmax(z)),
        lambda z, y: -(y * _log_softmax(z)).sum(axis=1),
    ),
}


def output(blocks, activation, X):
    """z of the output layer (n, outputs) of the network [weight, bias, ...]."""
    a = X
    for weight, bias in zip(blocks[::2], blocks[1::2], strict=True):
        z = a @ weight + bias
        a = ACTIVATIONS[activation](z)
    return z


def predict(blocks, activation, loss, X):
    """Predictions (n, outputs)."""
    return LOSSES[loss][0](output(blocks, activation, X))


def penalised_loss(blocks, activation, loss, alpha, X, Y, weights):
    """Weighted mean of the rows' losses plus alpha / 2 |W|^2 / sum of weights."""
    rows = LOSSES[loss][1](output(blocks, activation, X), Y)
    squares = sum((weight**2).sum() for weight in blocks[::2])
    return ((weights * rows).sum() + 0.5 * alpha * squares) / weights.sum()


def gradient(blocks, *args):
    """The derivative of `penalised_loss` by each parameter, in the shape of `blocks`."""
    blocks = [block.astype(complex) for block in blocks]
    gradients = [np.empty(block.shape) for block in blocks]
    for block, derivative in zip(blocks, gradients, strict=True):
        for place in np.ndindex(block.shape):
            block[place] += 1e-30j
            derivative[place] = penalised_loss(blocks, *args).imag / 1e-30
            block[place] = block[place].real
    return gradients
