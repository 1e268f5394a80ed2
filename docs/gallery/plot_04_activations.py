"""
Activations, and how to choose one
==================================

Without a non-linear function between its layers a network of any depth is one linear model. This
page shows functions that fastmlp offers for the hidden layers, and compares them on one task.
"""

# %%
# The functions and their slopes
# ------------------------------
# To draw what the core really computes, we build a network whose only hidden unit has the weight 1
# and the bias 0, and ask for its activation; a tiny learning rate leaves the weights as they are.
# The slope, dashed, is what back-propagation multiplies with: where it is near zero, a unit hardly
# learns. Two more are not drawn: ``'prelu'`` is a ``'leaky_relu'`` that learns its slope for
# negative inputs, and ``'maxout'`` takes the largest of several weighted inputs.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.inspection import ActivationDisplay

warnings.simplefilter("ignore", ConvergenceWarning)  # we set the number of epochs ourselves

names = ["identity", "logistic", "tanh", "relu", "leaky_relu", "elu",
         "selu", "softplus", "swish", "gelu", "mish"]  # fmt: skip
z = np.linspace(-4, 4, 401)
one_unit = [np.ones((1, 1)), np.zeros(1), np.ones((1, 1)), np.zeros(1)]

blue, vermillion = "#0072B2", "#D55E00"
fig, axs = plt.subplots(3, 4, figsize=(8, 5.6), sharex=True, sharey=True, layout="constrained")
for ax, name in zip(axs.flat, names, strict=False):
    network = MLPRegressor(hidden_layer_sizes=(1,), activation=name, init=one_unit, solver="sgd",
                           learning_rate_init=1e-300, max_iter=1)  # fmt: skip
    value = network.fit([[0.0]], [0.0]).hidden_activations(z[:, None])[:, 0]
    ax.plot(z, value, "-", color=blue, linewidth=2, label="activation")
    ax.plot(z, np.gradient(value, z), "--", color=vermillion, label="slope")
    ax.axhline(0, color="grey", linewidth=0.6)
    ax.set(title=name, ylim=(-1.9, 3.2))
axs[-1, -1].set_axis_off()
axs[-1, -1].legend(*axs[0, 0].get_legend_handles_labels(), loc="center")
fig.supxlabel("weighted input z")
plt.show()

# %%
# One task, one budget
# --------------------
# Two spirals wind around each other. Every network has three hidden layers of 32 units, 60 epochs
# and the first weights that suit its activation (``init="auto"``), with three random states each.
rng = np.random.default_rng(0)
y = np.tile([0, 1], 300)
radius = np.sqrt(rng.uniform(0.02, 1, 600))
angle = 9 * radius + np.pi * y
X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]) * 2
X += rng.normal(scale=0.09, size=X.shape)
X, X_test, y, y_test = train_test_split(X, y, random_state=0)

accuracy = {}
for name in names:
    models = [
        MLPClassifier((32, 32, 32), name, init="auto", batch_size=50, learning_rate_init=0.003,
                      max_iter=60, n_iter_no_change=60, random_state=seed).fit(X, y)
        for seed in range(3)
    ]  # fmt: skip
    accuracy[name] = [model.score(X_test, y_test) for model in models]
    print(f"{name:10} {np.mean(accuracy[name]):.3f}")

# %%
# On the left the task, on the right the result: a dot is one training, a bar the mean of three.
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
left.scatter(*X[y == 0].T, s=12, c=blue, marker="o")
left.scatter(*X[y == 1].T, s=12, c=vermillion, marker="^")
left.set(title="training samples", aspect="equal")
for row, name in enumerate(names):
    right.plot(accuracy[name], [row] * 3, "o", color=blue, markersize=5)
    right.plot(np.mean(accuracy[name]), row, "|", color="black", markersize=14, markeredgewidth=2)
right.set_yticks(range(len(names)), names)
right.invert_yaxis()
right.set(xlabel="accuracy on test samples", title="after 60 epochs")
right.grid(axis="x", alpha=0.4)
plt.show()

# %%
# Where the units are
# -------------------
# ``ActivationDisplay`` shows, for each hidden layer of a fitted network, beneath the activation how
# the weighted inputs of its units are distributed over all samples. In the shaded zones the slope
# is 0 or nearly so. That half of the inputs of ``'relu'`` are there is as it should be: a unit is
# lost only if all of its inputs are.
network = MLPClassifier(
    (32, 32, 32),
    ["tanh", "relu", "gelu"],
    init="auto",
    batch_size=50,
    learning_rate_init=0.003,
    max_iter=60,
    random_state=0,
).fit(X, y)
ActivationDisplay.from_estimator(network, X, name="a network for the spirals")
plt.show()

# %%
# How to choose
# -------------
# - Start with ``'relu'``. It is cheap to compute, and its slope does not vanish for large inputs.
# - ``'gelu'``, ``'swish'`` and ``'mish'`` are smooth relatives of it, and a good second trial.
# - If many units are zero for all samples, take ``'leaky_relu'`` or ``'elu'``, whose slope is not
#   zero for negative inputs.
# - ``'tanh'`` and ``'logistic'`` saturate: their slopes vanish on both sides. They suit one or two
#   hidden layers. In deeper networks ``'logistic'`` learns slowly.
# - ``'identity'`` leaves a linear model.
# - The activation of the *output* is not chosen: it follows from the task and the loss, for
#   instance a softmax for several classes.
#
# **Try next**: set ``max_iter=300``. Which differences remain when every network has the time that
# it needs? Then change the depth to eight layers, ``(32,) * 8``.
