"""
The logistic curve
==================

A threshold jumps from 0 to 1. The logistic function, also called sigmoid, rises smoothly, and its
value can be read as a probability. A weight sets how steep it is, a bias where it stands.
"""

# %%
# Steepness and position
# ----------------------
# The curve is :math:`1 / (1 + \exp(-(w x + b)))`. On the left the weight changes, on the right the
# bias. The curve crosses one half where :math:`w x + b = 0`, at :math:`x = -b / w`, and its slope
# there is :math:`w / 4`. With a negative weight it falls.
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.datasets import load_iris

from fastmlp import MLPClassifier

blue, vermillion, green, pink = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
x = np.linspace(-6, 6, 241)
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True, layout="constrained")
styles = [(blue, "-"), (vermillion, "--"), (green, "-."), (pink, ":")]
for w, (colour, style) in zip([0.5, 1, 4, -1], styles, strict=True):
    left.plot(x, expit(w * x), style, color=colour, linewidth=2, label=f"w = {w}")
for b, (colour, style) in zip([-3, 0, 2], styles, strict=False):
    right.plot(x, expit(x + b), style, color=colour, linewidth=2, label=f"b = {b}")
left.set(title="steepness: weight w, with b = 0", xlabel="x", ylabel="logistic function")
right.set(title="position: bias b, with w = 1", xlabel="x")
for ax, place in [(left, "center left"), (right, "upper left")]:
    ax.axhline(0.5, color="grey", linewidth=0.8)
    ax.legend(loc=place)
plt.show()

# %%
# A curve learned from data
# -------------------------
# ``MLPClassifier`` without hidden layers is one neuron with this curve: logistic regression. It
# learns from the petal lengths of 100 flowers how likely each is to be *virginica* rather than
# *versicolor*.
X, y = load_iris(return_X_y=True)
X, y = X[50:, [2]], y[50:] - 1
neuron = MLPClassifier(hidden_layer_sizes=(), solver="lbfgs", alpha=0.01, random_state=0).fit(X, y)
w, b = neuron.coefs_[0].item(), neuron.intercepts_[0].item()
print(f"w = {w:.2f}, b = {b:.2f}")
print(f"one half at {-b / w:.2f} cm, slope there {w / 4:.2f} per cm")
print(f"accuracy: {neuron.score(X, y):.2f}")

# %%
# Short and long petals are predicted with certainty. In between, where the two kinds overlap, the
# probability is near one half.
length = np.linspace(2.8, 7.2, 200)[:, None]
rng = np.random.default_rng(0)
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.plot(length, neuron.predict_proba(length)[:, 1], color="black", label="probability of virginica")
for kind, (colour, marker, name) in enumerate(
    [(blue, "o", "versicolor"), (vermillion, "^", "virginica")]
):
    flowers = X[y == kind, 0]
    height = kind + rng.uniform(-0.04, 0.04, len(flowers))
    ax.scatter(flowers, height, s=20, c=colour, marker=marker, label=name)
ax.axvline(-b / w, color="grey", linestyle=":")
ax.annotate("x = -b / w", (-b / w, 0.5), (8, -4), textcoords="offset points")
ax.set(xlabel="petal length in cm", ylabel="probability")
ax.legend(loc="center left")
plt.show()

# %%
# **Try next**: change ``alpha``, which penalises large weights. Is the curve steeper with
# ``alpha=0``? Take the kinds *setosa* and *versicolor* instead: as a line separates them, the curve
# becomes a step unless the penalty holds the weight back.
