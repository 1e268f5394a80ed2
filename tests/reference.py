"""The oracle: what the core computes, in plain float64 NumPy, as the textbook writes it.

There is no back-propagation here. A derivative is taken by the complex step (Squire & Trapp, SIAM
Review 40, 1998): f'(x) = Im f(x + ih) / h, exact to rounding for h = 1e-30, so that a mistake in
the core's chain rule cannot be made here a second time.
"""

import numpy as np
import scipy.special


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _softplus(z):
    return np.log1p(np.exp(z))


def _negative(z, value):
    """`value` where z < 0, else z."""
    return np.where(z.real < 0, value, z)


def _gelu(z):
    """scipy's erfc takes complex numbers, but no long doubles."""
    z = z if np.iscomplexobj(z) else z.astype(float)
    return z * 0.5 * scipy.special.erfc(-z / np.sqrt(2))


# one line per activation of the core; z may be complex, p is the parameter
ACTIVATIONS = {
    "identity": lambda z, p: z,
    "logistic": lambda z, p: _sigmoid(z),
    "tanh": lambda z, p: np.tanh(z),
    "relu": lambda z, p: _negative(z, 0),
    "leaky_relu": lambda z, p: _negative(z, p * z),
    "prelu": lambda z, p: _negative(z, p * z),
    "elu": lambda z, p: _negative(z, p * np.expm1(z)),
    "selu": lambda z, p: 1.0507009873554805 * _negative(z, 1.6732632423543772 * np.expm1(z)),
    "swish": lambda z, p: z * _sigmoid(p * z),
    "gelu": lambda z, p: _gelu(z),
    "mish": lambda z, p: z * np.tanh(_softplus(z)),
    "softplus": lambda z, p: _softplus(p * z) / p,
    "maxout": lambda z, p: z,  # the largest piece is taken in `hidden_outputs`
}


def _log_softmax(z):
    z = z - z.real.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def _magnitude(z):
    return np.where(z.real < 0, -z, z)


def _y_log_y(y):
    return np.where(y > 0, y * np.log(np.where(y > 0, y, 1)), 0)


def _huber(z, y, p):
    e = _magnitude(z - y)
    return np.where(e.real > p, p * (e - p / 2), e**2 / 2).mean(axis=1)


def _margin(margin):
    def loss(z, y, p):
        short_of = margin - (2 * y - 1) * z
        return np.where(short_of.real < 0, 0, short_of).sum(axis=1)

    return loss


# per loss of the core: prediction, and the loss of each row (n,), from the output layer's z
LOSSES = {
    "squared_error": (lambda z: z, lambda z, y, p: 0.5 * ((z - y) ** 2).mean(axis=1)),
    "absolute_error": (lambda z: z, lambda z, y, p: _magnitude(z - y).mean(axis=1)),
    "huber": (lambda z: z, _huber),
    "quantile": (
        lambda z: z,
        lambda z, y, p: np.where((y - z).real < 0, (p - 1) * (y - z), p * (y - z)).mean(axis=1),
    ),
    "poisson": (np.exp, lambda z, y, p: (_y_log_y(y) - y * z - y + np.exp(z)).sum(axis=1)),
    "gamma": (np.exp, lambda z, y, p: (z - np.log(y) + y * np.exp(-z) - 1).mean(axis=1)),
    "binary_log_loss": (_sigmoid, lambda z, y, p: (_softplus(z) - y * z).sum(axis=1)),
    "logistic_squared_error": (
        _sigmoid,
        lambda z, y, p: 0.5 * ((_sigmoid(z) - y) ** 2).sum(axis=1),
    ),
    "hinge": (lambda z: z, _margin(1)),
    "perceptron": (lambda z: z, _margin(0)),
    "log_loss": (
        lambda z: np.exp(_log_softmax(z)),
        lambda z, y, p: -(y * _log_softmax(z)).sum(axis=1),
    ),
    "kl_divergence": (
        lambda z: np.exp(_log_softmax(z)),
        lambda z, y, p: (_y_log_y(y) - y * _log_softmax(z)).sum(axis=1),
    ),
}


# losses whose reported value is the mean over a row's outputs, not their sum
IS_MEAN = {loss: loss in ("squared_error", "absolute_error", "huber", "quantile", "gamma")
           for loss in LOSSES}  # fmt: skip


def hidden_outputs(blocks, hidden, X, masks=None):
    """Outputs of the hidden layers (activation, parameter, pieces, dropout) of [weight, bias, ...].

    `masks` are factors on the input and on each layer's outputs.
    """
    slopes = iter(blocks[2 * (len(hidden) + 1) :])
    a, outputs = X if masks is None else X * masks[0], []
    for (name, parameter, pieces, _), weight, bias in zip(
        hidden, blocks[::2], blocks[1::2], strict=False
    ):
        z = a @ weight + bias
        if name == "maxout":
            z = z.reshape(len(z), pieces, -1)
            largest = z.real.argmax(axis=1)[:, None]
            z = np.take_along_axis(z, largest, 1)[:, 0]
        a = ACTIVATIONS[name](z, next(slopes) if name == "prelu" else parameter)
        a = a if masks is None else a * masks[1 + len(outputs)]
        outputs.append(a)
    return outputs


def output(blocks, hidden, X, masks=None):
    """z of the output layer (n, outputs)."""
    n = len(hidden)
    first = X if masks is None else X * masks[0]
    a = hidden_outputs(blocks, hidden, X, masks)[-1] if hidden else first
    return a @ blocks[2 * n] + blocks[2 * n + 1]


def predict(blocks, hidden, loss, X):
    """Predictions (n, outputs)."""
    return LOSSES[loss][0](output(blocks, hidden, X))


def penalised_loss(blocks, hidden, loss, X, Y, weights, alpha=0.0, l1=0.0, parameter=0.0,
                   masks=None):  # fmt: skip
    """Weighted mean of the rows' losses plus penalties on W / sum of weights."""
    rows = LOSSES[loss][1](output(blocks, hidden, X, masks), Y, parameter)
    matrices = blocks[: 2 * (len(hidden) + 1) : 2]
    squares = sum((weight**2).sum() for weight in matrices)
    absolutes = sum(_magnitude(weight).sum() for weight in matrices)
    penalty = 0.5 * alpha * squares + l1 * absolutes
    return ((weights * rows).sum() + penalty) / weights.sum()


def gradient(blocks, *args, **kwargs):
    """The derivative of `penalised_loss` by each parameter, in the shape of `blocks`."""
    blocks = [block.astype(complex) for block in blocks]
    gradients = [np.empty(block.shape) for block in blocks]
    for block, derivative in zip(blocks, gradients, strict=True):
        for place in np.ndindex(block.shape):
            block[place] += 1e-30j
            derivative[place] = penalised_loss(blocks, *args, **kwargs).imag / 1e-30
            block[place] = block[place].real
    return gradients
