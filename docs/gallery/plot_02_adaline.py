"""
Adaline: a cost that falls, or grows
====================================

The perceptron only knows right and wrong. Adaline, the adaptive linear neuron, measures *how*
wrong the weighted sum is, and follows the slope of this cost downhill. How far it goes in each
step is the learning rate. This page shows what a good rate does and what one that is too large
does.
"""

# %%
# Adaline's targets are -1 and 1. Its cost is half the sum of the squared differences between the
# targets and the weighted sums. The inputs are standardised first: with mean 0 and standard
# deviation 1 in each column, one learning rate suits all weights.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from fastmlp import Adaline

X, y = load_iris(return_X_y=True)
X, y = X[:100, [0, 2]], y[:100]
X = (X - X.mean(axis=0)) / X.std(axis=0)

good = Adaline(eta0=0.001, max_iter=30, tol=None).fit(X, y)
print("first and last cost:", np.round(good.loss_curve_[0], 2), np.round(good.loss_curve_[-1], 2))
print("accuracy:", good.score(X, y))

# %%
# With a rate twenty times as large each step overshoots the minimum and lands higher on the other
# side. fastmlp warns that the cost has grown; here this is what we want to see.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    large = Adaline(eta0=0.02, max_iter=15, tol=None).fit(X, y)
print("first and last cost:", np.round(large.loss_curve_[0], 2), f"{large.loss_curve_[-1]:.2g}")

# %%
# The cost is a parabola in each direction of the weights, so the limit can be computed: training
# diverges beyond 2 divided by the largest eigenvalue of the matrix ``X.T @ X``, where X includes a
# column of ones for the bias.
with_ones = np.column_stack([np.ones(len(X)), X])
limit = 2 / np.linalg.eigvalsh(with_ones.T @ with_ones).max()
print(f"limit of the learning rate: {limit:.4f}")
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    below = Adaline(eta0=0.98 * limit, max_iter=30, tol=None).fit(X, y)
    above = Adaline(eta0=1.02 * limit, max_iter=30, tol=None).fit(X, y)

# %%
# On the left the cost of the good rate, next to one just below the limit, which still falls, and
# one just above it, which turns upwards. On the right the rate that is far too large: mind the
# logarithmic scale.
blue, vermillion, green = "#0072B2", "#D55E00", "#009E73"
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
for model, colour, style, name in [
    (good, blue, "-", "0.001"),
    (below, green, "-.", f"{below.eta0:.4f}, below the limit"),
    (above, vermillion, "--", f"{above.eta0:.4f}, above the limit"),
]:
    left.plot(range(1, 31), model.loss_curve_, style, color=colour, label=name)
left.set(xlabel="epoch", ylabel="cost", title="near the limit")
left.legend(title="learning rate")
right.semilogy(range(1, 16), large.loss_curve_, "--", color=vermillion, marker="s", label="0.02")
right.set(xlabel="epoch", title="far too large")
right.legend(title="learning rate")
plt.show()

# %%
# **Try next**: leave out the line that standardises X. What does the limit become, and how many
# epochs does a rate below it need? Then set ``batch_size=1``, which makes a step after each sample.
