"""
Back-propagation, step by step
==============================

Gradient descent needs the derivative of the loss by every weight. Back-propagation computes all of
them in one pass from the output back to the inputs. On this page we do it by hand, compare the
result with that of the library, and check both by numbers.
"""

# %%
# One neuron first
# ----------------
# Weights [1, 2], inputs [3, 4], target 6, no bias. The squared error is a chain of simple
# functions, and its derivative is the product of their derivatives.
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit

from fastmlp import MLPRegressor
from fastmlp.inspection import check_gradients

w, x, target = np.array([1.0, 2.0]), np.array([3.0, 4.0]), 6
error = w @ x - target
gradient = 2 * error * x
print("prediction:", w @ x, " error:", error, " gradient of the squared error:", gradient)
new_w = w - 0.01 * gradient
print("weights after a step at rate 0.01:", new_w, " new error:", round(new_w @ x - target, 6))

# %%
# A network
# ---------
# Two inputs, two logistic hidden units, one output, a target of 1. ``partial_fit`` with a tiny
# learning rate builds the network from the weights in ``init``.
W1 = np.array([[0.5, -1.0], [1.0, 0.5]])  # a row for each input, a column for each hidden unit
W2 = np.array([[2.0], [-1.0]])
x, target = np.array([[-1.0, 2.0]]), np.array([1.0])
model = MLPRegressor(
    hidden_layer_sizes=(2,), activation="logistic", init=[W1, np.zeros(2), W2, np.zeros(1)],
    solver="sgd", learning_rate_init=1e-300, alpha=0,
).partial_fit(x, target)  # fmt: skip

# %%
# Forward: each layer from the one before.
hidden = expit(x @ W1)
output = hidden @ W2
print("hidden units:", hidden[0].round(4), " output:", output[0].round(4))

# %%
# Backward: the *delta* of a unit is the derivative of the loss by its weighted sum. fastmlp's loss
# is half the squared error, so the output's delta is the error itself. The delta of a hidden unit
# is the output's delta, times the weight between them, times the slope of the activation, which for
# the logistic function is h (1 - h).
output_delta = output - target
hidden_delta = (output_delta @ W2.T) * hidden * (1 - hidden)
print("delta of the output:      ", output_delta[0].round(4))
print("deltas of the hidden units:", hidden_delta[0].round(4))

# %%
# The derivative by a weight is the value at its start times the delta at its end; the derivative by
# a bias is the delta. The library says the same.
by_W1, by_W2 = x.T @ hidden_delta, hidden.T @ output_delta
loss, [(ours_W1, ours_b1), (ours_W2, ours_b2)] = model.loss_and_gradient(x, target)
print("loss:", round(loss, 6))
print("by hand:\n", by_W1.round(4), "\n", by_W2.round(4))
print("largest difference:", max(np.abs(ours_W1 - by_W1).max(), np.abs(ours_W2 - by_W2).max()))


# %%
# The picture shows the values on their way forward, in the circles, and the deltas on their way
# back, below them. At each line stands the derivative by its weight.
def draw(ax, layers, deltas, gradients):
    places = [[(0, 1), (0, 0)], [(1, 1), (1, 0)], [(2, 0.5)]]
    for layer, by_weight in enumerate(gradients):
        for i, (x0, y0) in enumerate(places[layer]):
            for j, (x1, y1) in enumerate(places[layer + 1]):
                ax.plot([x0, x1], [y0, y1], color="grey", zorder=1)
                ax.text(x0 + 0.32 * (x1 - x0), y0 + 0.32 * (y1 - y0), f"{by_weight[i, j]:.3f}",
                        ha="center", va="center", color="#D55E00", style="italic",
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    for values, points in zip(layers, places, strict=True):
        ax.scatter(
            *zip(*points, strict=True), s=1800, facecolor="white", edgecolor="#0072B2", zorder=2
        )
        for value, point in zip(values, points, strict=True):
            ax.annotate(f"{value:.3g}", point, ha="center", va="center", color="#0072B2")
    for values, points in zip(deltas, places[1:], strict=True):
        for value, (px, py) in zip(values, points, strict=True):
            ax.text(
                px, py - 0.28, f"delta {value:.3f}", ha="center", color="#D55E00", style="italic"
            )
    ax.set(xlim=(-0.3, 2.3), ylim=(-0.4, 1.3))
    ax.set_axis_off()


fig, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
draw(ax, [x[0], hidden[0], output[0]], [hidden_delta[0], output_delta[0]], [by_W1, by_W2])
plt.show()

# %%
# Checked by numbers
# ------------------
# A derivative can be estimated without any calculus: change a weight by a little to both sides, and
# see how the loss changes. ``check_gradients`` does this for every parameter, and returns the
# largest relative difference for each block of parameters.
for block, difference in check_gradients(model, x, target).items():
    print(f"{block:15} {difference:.1e}")


# %%
# How little is a little? With a large change the curve of the loss spoils the estimate, with a tiny
# one the rounding of the numbers does. In between is the best choice.
def loss_at(w):
    changed = W1.copy()
    changed[0, 0] = w
    return ((expit(x @ changed) @ W2 - target) ** 2).item() / 2


sizes = np.logspace(-12, 0, 49)
estimates = np.array([(loss_at(W1[0, 0] + h) - loss_at(W1[0, 0] - h)) / (2 * h) for h in sizes])
fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
ax.loglog(sizes, np.abs(estimates - by_W1[0, 0]), ".-", color="#0072B2")
ax.set(xlabel="change of the weight", ylabel="error of the estimated derivative")
plt.show()

# %%
# **Try next**: put ``activation="tanh"`` into the network. Its slope is 1 - h²; which line of the
# backward pass changes? What happens to the deltas of the hidden units if the weights ``W1`` are
# ten times as large?
