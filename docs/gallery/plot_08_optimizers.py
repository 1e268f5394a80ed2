"""
Momentum and adaptive learning rates
====================================

Plain gradient descent is slow in a long valley: the slope across it is steep, the slope along it
is gentle, and one rate has to serve both. Momentum remembers the direction, adaptive methods give
each parameter a rate of its own. Here they all walk on one surface.
"""

# %%
# The surface
# -----------
# The loss of a straight line, half the mean squared error, as a function of its slope and its
# intercept. The x values are from 0 to 4, which makes the valley long.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.inspection import LossLandscapeDisplay, training_path

rng = np.random.default_rng(0)
x = rng.uniform(0, 4, 100)
y = 1 + x + rng.normal(scale=0.5, size=100)
X = x[:, None]


def loss(slope, intercept):
    error = np.multiply.outer(slope, x) + np.asarray(intercept)[..., None] - y
    return (error**2).mean(axis=-1) / 2


best = np.polyfit(x, y, 1)
ones = np.column_stack([x, np.ones(100)])
print("curvature along and across the valley:", np.linalg.eigvalsh(ones.T @ ones / 100).round(2))
print(f"loss at the lowest point: {loss(*best):.4f}")

# %%
# Six methods, 60 steps each
# --------------------------
# Every step uses all samples, so that the only difference is the method. The rates were found by
# trial for each method.
start = (3.0, 2.5)
methods = {
    "plain": {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.2},
    "momentum": {
        "solver": "sgd",
        "momentum": 0.7,
        "nesterovs_momentum": False,
        "learning_rate_init": 0.1,
    },
    "Nesterov": {"solver": "sgd", "momentum": 0.7, "learning_rate_init": 0.1},
    "adagrad": {"solver": "adagrad", "learning_rate_init": 0.8},
    "rmsprop": {"solver": "rmsprop", "learning_rate_init": 0.1},
    "adam": {"solver": "adam", "learning_rate_init": 0.3},
}
paths = {}
for name, parameters in methods.items():
    init = [np.array([[start[0]]]), np.array([start[1]])]
    model = MLPRegressor(hidden_layer_sizes=(), init=init, alpha=0, **parameters)
    path = [start]
    for _ in range(60):
        model.partial_fit(X, y)
        path.append((model.coefs_[0].item(), model.intercepts_[0].item()))
    paths[name] = np.array(path)
    print(f"{name:9} loss after 20 steps {loss(*path[20]):.4f}, after 60 {loss(*path[60]):.4f}")

# %%
# The paths, from the white circle to the cross at the lowest point:
blue, vermillion, green = "#0072B2", "#D55E00", "#009E73"
slopes, intercepts = np.meshgrid(np.linspace(-0.6, 3.4, 120), np.linspace(-1.6, 3.2, 120))
surface = loss(slopes, intercepts)
fig, axs = plt.subplots(2, 3, figsize=(8, 5.6), sharex=True, sharey=True, layout="constrained")
for ax, (name, path) in zip(axs.flat, paths.items(), strict=True):
    ax.contour(
        slopes, intercepts, surface, levels=np.geomspace(0.12, 20, 12), colors="0.6", linewidths=0.8
    )
    ax.plot(*path.T, ".-", color=vermillion, linewidth=1.2, markersize=5)
    ax.plot(*start, "o", color="white", markeredgecolor="black", markersize=8)
    ax.plot(*best, "+", color="black", markersize=12, markeredgewidth=2)
    ax.set(title=name, xlim=(-0.6, 3.4), ylim=(-1.6, 3.2))
fig.supxlabel("slope")
fig.supylabel("intercept")
plt.show()

# %%
# - *plain* jumps across the valley at first and then creeps along it.
# - *momentum* adds up the steps: those across the valley cancel, those along it grow, and it
#   overshoots like a heavy ball. *Nesterov* looks ahead before it steps, and swings less.
# - *adagrad* divides by the root of all squared gradients so far: its steps get smaller and
#   smaller.
# - *rmsprop* divides by a fading mean of them, so that old gradients are forgotten.
# - *adam* combines such a mean with momentum, and overshoots as momentum does.
#
# On this small and exact surface the adaptive methods have no advantage. It comes with many
# parameters whose gradients differ in size and are estimated from mini-batches, where they need
# less tuning.
#
# How far the loss still is from the lowest possible one:
fig, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
styles = ["-", "-o", "--", "-.", ":", "-^"]
colours = ["black", blue, blue, green, green, vermillion]
for (name, path), style, colour in zip(paths.items(), styles, colours, strict=True):
    ax.semilogy(loss(*path.T) - loss(*best), style, color=colour, markevery=6, label=name)
ax.set(xlabel="step", ylabel="loss above the minimum")
ax.legend(ncols=2)
plt.show()

# %%
# A network's surface
# -------------------
# A network has too many parameters for a picture of all of them, but there are planes through its
# fitted weights, and ``LossLandscapeDisplay`` computes the loss on such a plane. Here it is the one
# in which the path of training is widest. ``training_path`` trains the network once more and notes
# the weights on the way; the star is where it ends. At the same rate *adam* gets three times as far
# as *sgd* in 60 epochs, and lower: mind the scales.
warnings.simplefilter("ignore", ConvergenceWarning)  # we set the number of epochs ourselves
X, y = make_moons(200, noise=0.2, random_state=0)
fig, axs = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, solver in zip(axs, ["sgd", "adam"], strict=True):
    network = MLPClassifier(
        (16, 16),
        solver=solver,
        learning_rate_init=0.01,
        batch_size=20,
        max_iter=60,
        n_iter_no_change=60,
        random_state=0,
    ).fit(X, y)
    path = training_path(network, X, y)
    display = LossLandscapeDisplay.from_estimator(network, X, y, directions="pca", path=path, ax=ax)
    ax.set_title(f"{solver}, 60 epochs")
    print(f"{solver:4} loss {display.path_losses[0]:.3f} before, {display.center_loss:.3f} after; "
          f"{display.path_share:.0%} of the path's variance is in the plane")  # fmt: skip
plt.show()

# %%
# **Try next**: vary ``learning_rate_init`` of one method by factors of three: over which range does
# it still work? Set the rate of *rmsprop* to 0.3: what happens when its mean has forgotten the
# large gradients? Then shift x by its mean, ``x - x.mean()``: the valley becomes round, and plain
# descent needs no help. This is what scaling the inputs is for.
