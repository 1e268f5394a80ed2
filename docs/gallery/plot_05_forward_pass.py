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
# biases themselves. To get a fitted model that keeps them, we train it on one sample that it
# already predicts exactly: where there is no error, no weight changes.
import matplotlib.pyplot as plt
import numpy as np

from fastmlp import MLPRegressor
from fastmlp.inspection import NetworkDisplay


def network(activation, hidden_weights, output_weights, output_of_zeros):
    init = [np.array(hidden_weights).T, np.zeros(2), np.array([output_weights]).T, np.zeros(1)]
    model = MLPRegressor(hidden_layer_sizes=(2,), activation=activation, init=init, alpha=0)
    return model.partial_fit([[0.0, 0.0]], [output_of_zeros])


linear = network("identity", [[1.0, 1.0], [-1.0, 1.0]], [2.0, -1.0], 0.0)
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
logistic = network("logistic", [[3.0, 3.0], [1.0, 5.0]], [2.0, -1.0], 0.5)
x2 = np.array([[-1.0, 2.0]])
hidden2 = logistic.hidden_activations(x2)
output2 = logistic.predict(x2)
print("weighted inputs:", x2 @ logistic.coefs_[0])
print("hidden units:   ", hidden2)
print("output:         ", output2[0])

# %%
# The drawing
# -----------
# ``NetworkDisplay`` draws a fitted network. Given a sample, each circle shows the value of a unit,
# and each line what it carries: its weight times the value where it starts. Follow the numbers from
# left to right: what arrives at a hidden unit is added up, and goes through the activation. The
# grey circles are the ones that carry the biases, which are 0 here. Lines of positive weights are
# solid and blue, those of negative ones dashed and orange.
fig, axs = plt.subplots(2, 1, figsize=(6.4, 7.5))
NetworkDisplay.from_estimator(linear, x, ax=axs[0], name="identity")
NetworkDisplay.from_estimator(logistic, x2, ax=axs[1], name="logistic")
plt.show()

# %%
# **Try next**: give the hidden units biases (the second array of ``init``) and predict the output
# before you run it. With ``"identity"``, find one weight for each input that gives the same output
# without a hidden layer: the product ``W1 @ W2`` tells them.
