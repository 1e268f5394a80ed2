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
from fastmlp.inspection import check_gradients, explain_step

w, x, target = np.array([1.0, 2.0]), np.array([3.0, 4.0]), 6
error = w @ x - target
gradient = 2 * error * x
print("prediction:", w @ x, " error:", error, " gradient of the squared error:", gradient)
new_w = w - 0.01 * gradient
print("weights after a step at rate 0.01:", new_w, " new error:", round(new_w @ x - target, 6))

# %%
# A network
# ---------
# Two inputs, two logistic hidden units, one output, a target of 1. ``partial_fit`` builds the
# network from the weights in ``init``; it leaves them as they are, since for inputs of zero the
# output is exactly 0.5.
W1 = np.array([[0.5, -1.0], [1.0, 0.5]])  # a row for each input, a column for each hidden unit
W2 = np.array([[2.0], [-1.0]])
x, target = np.array([[-1.0, 2.0]]), np.array([1.0])
model = MLPRegressor(
    hidden_layer_sizes=(2,), activation="logistic", init=[W1, np.zeros(2), W2, np.zeros(1)],
    solver="sgd", learning_rate_init=0.5, momentum=0, alpha=0,
).partial_fit([[0.0, 0.0]], [0.5])  # fmt: skip

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
# A step
# ------
# Gradient descent subtracts the derivative times the learning rate, here 0.5. ``explain_step``
# makes this step on a copy, and notes every number on the way: those that we have computed by hand,
# the new weights, and the loss, which falls.
step = explain_step(model, x, target)
print(step)

# %%
# The picture shows the values on their way forward, in the circles, and the deltas on their way
# back, below them. At each line stands its weight before and after the step.
step.plot()
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
