"""
The first weights
=================

Training starts somewhere. If all weights are equal, the units stay equal; if they are too small,
the signal dies on its way through the layers; if they are too large, it saturates. This page shows
how rules such as Glorot's and He's hit the right size.
"""

# %%
# Equal weights: units that cannot part
# -------------------------------------
# With constant first weights all units of a layer get the same gradient, and so remain the same for
# ever. ``init`` takes a function that returns the array of first weights for a shape.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from fastmlp import MLPClassifier

warnings.simplefilter("ignore", UserWarning)  # that training fails is what we want to see

X, y = load_digits(return_X_y=True)
X = (X - X.mean()) / X.std()


def constant(shape, rng):
    return np.full(shape, 0.1)


same = MLPClassifier((32,), init=constant, max_iter=20, random_state=0).fit(X, y)
hidden = same.hidden_activations(X)
print("largest difference between two of 32 hidden units:", np.ptp(hidden, axis=1).max())
print("accuracy after 20 epochs:", round(same.score(X, y), 3))

# %%
# The size of the signal
# ----------------------
# A unit adds up *n* inputs. For the sum to be about as large as the inputs, the variance of the
# weights has to be about 1/n. Glorot's rule takes 2 / (inputs + outputs), He's rule, for
# ``'relu'``, takes 2 / inputs, since half of the units are zero. Below is the standard deviation of
# the activations in ten layers before training, once more for two fixed standard deviations.


def normal(scale):
    """First weights of this standard deviation, biases zero."""
    return lambda shape, rng: (
        rng.normal(scale=scale, size=shape) if len(shape) == 2 else np.zeros(shape)
    )


rules = {
    "too small: 0.03": normal(0.03),
    "too large: 0.5": normal(0.5),
    "glorot_normal": "glorot_normal",
    "he_normal": "he_normal",
}
depth = 10
styles = [("#0072B2", "o-"), ("#D55E00", "s--"), ("#009E73", "^-."), ("black", "D:")]


def spread(activation, init):
    """Standard deviation of the activations of each hidden layer, before training."""
    model = MLPClassifier(
        (64,) * depth,
        activation,
        init=init,
        solver="sgd",
        learning_rate_init=1e-300,
        random_state=0,
    )
    model.partial_fit(X, y, classes=range(10))
    return [model.hidden_activations(X, layer).std() for layer in range(depth)]


fig, axs = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
for ax, activation in zip(axs, ["tanh", "relu"], strict=True):
    for (name, init), (colour, style) in zip(rules.items(), styles, strict=True):
        sizes = spread(activation, init)
        ax.semilogy(range(1, depth + 1), sizes, style, color=colour, markersize=5, label=name)
        print(f"{activation}  {name:16} layer 1: {sizes[0]:.2g}, layer {depth}: {sizes[-1]:.2g}")
    ax.set(title=activation, xlabel="hidden layer")
axs[0].set_ylabel("standard deviation")
fig.legend(*axs[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %%
# What it does to training
# ------------------------
# Too small, and there is no gradient to start with. Too large with ``'tanh'``, and the units
# saturate: they are near -1 and 1, where the slope is almost zero. Too large with ``'relu'``, and
# the first losses are larger by orders of magnitude. The rules keep the signal alive.
fig, axs = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
for ax, activation in zip(axs, ["tanh", "relu"], strict=True):
    for (name, init), (colour, style) in zip(rules.items(), styles, strict=True):
        model = MLPClassifier(
            (64,) * depth, activation, init=init, max_iter=15, n_iter_no_change=15, random_state=0
        ).fit(X, y)
        ax.semilogy(range(1, 16), model.loss_curve_, style, color=colour, markersize=5, label=name)
        print(f"{activation}  {name:16} accuracy after 15 epochs {model.score(X, y):.3f}")
    ax.set(title=activation, xlabel="epoch")
axs[0].set_ylabel("training loss")
fig.legend(*axs[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %%
# ``init="auto"`` chooses the rule that suits the activation. The default, ``"glorot_uniform"``, is
# that of scikit-learn.
#
# **Try next**: ``activation="selu"`` with ``init="auto"`` and 50 layers in ``spread``. How does the
# standard deviation behave? Which fixed scale is the best one for ``'relu'`` and 64 units? The
# square root of 2/64 is a good guess.
