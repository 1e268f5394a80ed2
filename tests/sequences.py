"""The oracle of recurrent networks, step by step in plain float64 NumPy; see `reference`.

Blocks are in the core's order: weight and bias of each layer, then of each hidden layer the
recurrent weights, and a gru's biases. A hidden layer is (activation, parameter, pieces, dropout).
"""

import numpy as np

from tests.reference import ACTIVATIONS, LOSSES, _magnitude, _sigmoid


def matrices(blocks, hidden, cell):
    """All weights without the biases."""
    end = 2 * (len(hidden) + 1)
    return [*blocks[:end:2], *blocks[end :: 2 if cell == "gru" else 1]]


def hidden_states(blocks, hidden, cell, X, initial=None, masks=None):
    """The states (n, T, units) of each hidden layer.

    `masks` are factors on the input and on what each layer gives to the one above it.
    """
    end = 2 * (len(hidden) + 1)
    below, states = X if masks is None else X * masks[0], []
    for i, (name, parameter, _, _) in enumerate(hidden):
        weight, bias = blocks[2 * i : 2 * i + 2]
        own = blocks[end + i * (2 if cell == "gru" else 1) :]
        h = np.zeros((len(X), own[0].shape[0])) if initial is None else initial[i]
        layer = []
        for t in range(X.shape[1]):
            z = below[:, t] @ weight + bias
            if cell == "elman":
                h = ACTIVATIONS[name](z + h @ own[0], parameter)
            else:
                zr, zz, zn = np.split(z, 3, axis=1)
                hr, hz, hn = np.split(h @ own[0] + own[1], 3, axis=1)
                reset, update = _sigmoid(zr + hr), _sigmoid(zz + hz)
                candidate = ACTIVATIONS[name](zn + reset * hn, parameter)
                h = (1 - update) * candidate + update * h
            layer.append(h)
        states.append(np.stack(layer, axis=1))
        is_last = i == len(hidden) - 1
        below = states[-1] if masks is None or is_last else states[-1] * masks[1 + i]
    return states


def output(blocks, hidden, cell, X, lengths, per_step, initial=None, masks=None):
    """z of the output layer, of each step (n, T, outputs) or of each last one (n, outputs)."""
    weight, bias = blocks[2 * len(hidden) : 2 * len(hidden) + 2]
    top = hidden_states(blocks, hidden, cell, X, initial, masks)[-1]
    if not per_step:
        top = top[np.arange(len(X)), lengths - 1]
    if masks is not None:
        top = top * masks[-1]
    return top @ weight + bias


def penalised_loss(blocks, hidden, cell, loss, X, Y, weights, lengths, per_step, alpha=0.0,
                   l1=0.0, parameter=0.0, masks=None):  # fmt: skip
    """Weighted mean of the losses of sequences or valid steps, and penalties / sum of weights."""
    z = output(blocks, hidden, cell, X, lengths, per_step, masks=masks)
    if per_step:
        valid = np.arange(X.shape[1]) < lengths[:, None]
        z, Y = z[valid], Y[valid]
        weights = np.broadcast_to(weights[:, None], valid.shape)[valid]
    rows = LOSSES[loss][1](z, Y, parameter)
    squares = sum((weight**2).sum() for weight in matrices(blocks, hidden, cell))
    absolutes = sum(_magnitude(weight).sum() for weight in matrices(blocks, hidden, cell))
    return ((weights * rows).sum() + 0.5 * alpha * squares + l1 * absolutes) / weights.sum()


def gradient(blocks, *args, **kwargs):
    """The derivative of `penalised_loss` by each parameter, by complex steps."""
    blocks = [block.astype(complex) for block in blocks]
    gradients = [np.empty(block.shape) for block in blocks]
    for block, derivative in zip(blocks, gradients, strict=True):
        for place in np.ndindex(block.shape):
            block[place] += 1e-30j
            derivative[place] = penalised_loss(blocks, *args, **kwargs).imag / 1e-30
            block[place] = block[place].real
    return gradients
