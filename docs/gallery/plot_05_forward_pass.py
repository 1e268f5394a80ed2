"""
The forward pass
================

A network computes its output layer by layer: every unit adds up its inputs times the weights, adds
a bias, and applies the activation. Here all numbers of a small network are written into its
drawing.
"""

# %%
# A network with weights that we choose
# -------------------------------------
# Two inputs, two hidden units, one output, and all biases zero. ``init`` takes the weights and
# biases themselves. One step with a tiny learning rate leaves them as they are, and gives us a
# fitted model.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # one step is no convergence


def network(activation, hidden_weights, output_weights):
    init = [np.array(hidden_weights).T, np.zeros(2), np.array([output_weights]).T, np.zeros(1)]
    model = MLPRegressor(
        hidden_layer_sizes=(2,), activation=activation, init=init, solver="sgd", max_iter=1,
        learning_rate_init=1e-300,
    )  # fmt: skip
    return model.fit([[0.0, 0.0]], [0.0])


linear = network("identity", [[1.0, 1.0], [-1.0, 1.0]], [2.0, -1.0])
x = np.array([[2.0, 3.0]])
hidden = linear.hidden_activations(x)
output = linear.predict(x)
print("hidden units:", hidden)
print("output:      ", output)

# %%
# The same by NumPy: a forward pass is a matrix product per layer.
W1, W2 = linear.coefs_
print("by hand:     ", x @ W1, x @ W1 @ W2)

# %%
# With the logistic function as activation, other inputs and other hidden weights:
logistic = network("logistic", [[3.0, 3.0], [1.0, 5.0]], [2.0, -1.0])
x2 = np.array([[-1.0, 2.0]])
hidden2 = logistic.hidden_activations(x2)
output2 = logistic.predict(x2)
print("weighted inputs:", x2 @ logistic.coefs_[0])
print("hidden units:   ", hidden2)
print("output:         ", output2[0])


# %%
# The drawing
# -----------
# A circle holds the value of a unit, a line carries a weight. Follow the numbers from left to
# right.
def draw(ax, model, x, title):
    layers = [x[0], model.hidden_activations(x)[0], model.predict(x)]
    places = [[(0, 1), (0, 0)], [(1, 1), (1, 0)], [(2, 0.5)]]
    for layer, weights in enumerate(model.coefs_):
        for i, (x0, y0) in enumerate(places[layer]):
            for j, (x1, y1) in enumerate(places[layer + 1]):
                w = weights[i, j]
                ax.plot([x0, x1], [y0, y1], "-" if w > 0 else "--", zorder=1,
                        color="#0072B2" if w > 0 else "#D55E00")  # fmt: skip
                ax.text(x0 + 0.35 * (x1 - x0), y0 + 0.35 * (y1 - y0), f"{w:g}", ha="center",
                        va="center", bbox={"fc": "white", "ec": "none", "pad": 1})  # fmt: skip
    for values, points in zip(layers, places, strict=True):
        ax.scatter(
            *zip(*points, strict=True), s=2000, facecolor="white", edgecolor="black", zorder=2
        )
        for value, point in zip(values, points, strict=True):
            ax.annotate(f"{value:.4g}", point, ha="center", va="center")
    for place, name in enumerate(["inputs", "hidden units", "output"]):
        ax.text(place, 1.4, name, ha="center")
    ax.set(title=title, xlim=(-0.3, 2.3), ylim=(-0.35, 1.55))
    ax.set_axis_off()


fig, axs = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
draw(axs[0], linear, x, "identity")
draw(axs[1], logistic, x2, "logistic")
plt.show()

# %%
# Solid blue lines are positive weights, dashed vermillion ones negative weights.
#
# **Try next**: give the hidden units biases (the second array of ``init``) and predict the output
# before you run it. With ``"identity"``, find one weight for each input that gives the same output
# without a hidden layer: the product ``W1 @ W2`` tells them.
