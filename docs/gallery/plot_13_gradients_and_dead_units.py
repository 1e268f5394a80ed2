"""
Vanishing and exploding gradients, and dead units
=================================================

In a deep network the gradient passes through many layers on its way back. If each makes it a
little smaller, nothing arrives at the first layers; if each makes it larger, it explodes. And a
unit that is zero for every sample passes on nothing at all. This page shows the three, how to
diagnose them, and the cures.
"""

# %%
# Gradients, layer by layer
# -------------------------
# ``loss_and_gradient`` returns the derivatives of each layer. Their root mean square tells how much
# a layer is asked to change. All networks have eight hidden layers.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)  # we set the number of epochs ourselves

X, y = load_digits(return_X_y=True)
X = X / 16


def gradient_sizes(model):
    _, layers = model.loss_and_gradient(X, y)
    return [np.sqrt(np.mean(by_weight**2)) for by_weight, *_ in layers]


def follow(epochs=20, **parameters):
    """Gradient sizes before training and after each epoch, and the accuracy."""
    model = MLPClassifier((32,) * 8, random_state=0, **parameters)
    start = MLPClassifier(
        (32,) * 8, random_state=0, **{**parameters, "solver": "sgd", "learning_rate_init": 1e-300}
    )
    sizes = [gradient_sizes(start.partial_fit(X, y, classes=range(10)))]
    for _ in range(epochs):
        model.partial_fit(X, y, classes=range(10))
        sizes.append(gradient_sizes(model))
    return np.array(sizes), model.score(X, y)


def large(shape, rng):
    """First weights that are four times too large."""
    return (
        rng.normal(scale=4 / np.sqrt(shape[0]), size=shape) if len(shape) == 2 else np.zeros(shape)
    )


deep = {
    "vanishing: logistic": follow(activation="logistic"),
    "exploding: relu, weights too large": follow(activation="relu", init=large),
    "cured: relu, He's first weights": follow(activation="relu", init="he_normal"),
}
for name, (sizes, accuracy) in deep.items():
    print(f"{name:35} first layer {sizes[0][0]:.1e}, last {sizes[0][-1]:.1e}, "
          f"accuracy after 20 epochs {accuracy:.2f}")  # fmt: skip

# %%
# The lines show the gradients before training. Of the logistic network next to nothing arrives at
# the first layer: the slope of the logistic function is at most 1/4, and eight layers multiply
# eight such slopes. With weights that are too large the gradients are larger by orders of magnitude
# everywhere. With the first weights that suit ``'relu'`` they have about the same size in all
# layers.
styles = [("#0072B2", "o-"), ("#D55E00", "s--"), ("#009E73", "^-.")]
fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for (name, (sizes, _)), (colour, style) in zip(deep.items(), styles, strict=True):
    ax.semilogy(range(1, 10), sizes[0], style, color=colour, label=name)
ax.set(xlabel="layer, from the inputs to the output", ylabel="gradient, root mean square")
fig.legend(loc="outside upper center", ncols=1)
plt.show()

# %%
# The same over 20 epochs, one row for each layer, on a logarithmic scale:
fig, axs = plt.subplots(1, 3, figsize=(8, 3), sharey=True, layout="constrained")
for ax, (name, (sizes, accuracy)) in zip(axs, deep.items(), strict=True):
    image = ax.imshow(np.log10(sizes.T), aspect="auto", origin="lower", cmap="cividis", vmin=-8,
                      vmax=1, extent=(-0.5, 20.5, 0.5, 9.5))  # fmt: skip
    ax.set(title=f"{name.split(',')[0]}\naccuracy {accuracy:.2f}", xlabel="epoch")
axs[0].set_ylabel("layer")
fig.colorbar(image, label="log10 of the gradient")
plt.show()

# %%
# Dead units
# ----------
# A unit with ``'relu'`` is dead if it is zero for every sample: its slope is zero too, and it
# learns nothing unless the layers below it change. A learning rate that is too high pushes units
# there. We count them with ``hidden_activations``. The network may still do well with the others,
# but it is smaller than it looks.


def dead_share(model):
    values = np.hstack([model.hidden_activations(X, layer) for layer in range(3)])
    return np.mean(np.abs(values).max(axis=0) < 1e-12)


trials = {
    "relu, rate 0.05": {"activation": "relu", "learning_rate_init": 0.05},
    "relu, rate 0.002": {"activation": "relu", "learning_rate_init": 0.002},
    "leaky_relu, rate 0.05": {"activation": "leaky_relu", "learning_rate_init": 0.05},
}
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for (name, parameters), (colour, style) in zip(trials.items(), styles, strict=True):
    model = MLPClassifier((64,) * 3, random_state=0, **parameters)
    dead = []
    for _ in range(20):
        model.partial_fit(X, y, classes=range(10))
        dead.append(dead_share(model))
    ax.plot(range(1, 21), dead, style, color=colour, markersize=4, label=name)
    print(f"{name:22} dead units {dead[-1]:.0%}, accuracy {model.score(X, y):.2f}")
ax.set(xlabel="epoch", ylabel="share of dead units", xticks=range(0, 21, 5))
ax.legend()
plt.show()

# %%
# Cures
# -----
# ===================  ======================================================================
# vanishing            relu and its relatives, ``init="auto"``, fewer layers
# exploding            ``init="auto"``, ``clip_norm=1``, a lower rate, inputs of about size one
# dead units           a lower rate, ``'leaky_relu'``, ``'elu'`` or ``'gelu'``
# ===================  ======================================================================
#
# **Try next**: give the exploding network ``clip_norm=1``. Is it cured, or does it only survive?
# Put ``'tanh'`` with ``init="auto"`` next to the logistic network.
