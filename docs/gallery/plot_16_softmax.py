"""
Softmax: from logits to probabilities
=====================================

For several classes a network has one output for each, and these outputs, the logits, may be any
numbers. The softmax turns them into probabilities: all positive, with sum 1. On this page we
follow three irises from logits to bars.
"""

# %%
# Logits
# ------
# A small network learns the three kinds of iris. The logits are the weighted sums of its last
# layer.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.preprocessing import StandardScaler

from fastmlp import MLPClassifier
from fastmlp.inspection import plane

np.set_printoptions(suppress=True)
iris = load_iris()
X, y = StandardScaler().fit_transform(iris.data), iris.target
network = MLPClassifier((8,), solver="lbfgs", alpha=0.3, max_iter=500, random_state=0).fit(X, y)

probability = network.predict_proba(X)
most_doubtful = int(np.argmin(probability.max(axis=1)))
flowers = [0, 50, most_doubtful]
logits = network.hidden_activations(X[flowers]) @ network.coefs_[-1] + network.intercepts_[-1]
print("flowers:", flowers)
print("logits:\n", logits.round(2))

# %%
# Softmax
# -------
# The exponential function makes every number positive, and a difference of logits becomes a ratio.
# Divided by their sum, the numbers add up to 1. The library's ``predict_proba`` gives the same.
exponentials = np.exp(logits)
softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
print("exponentials:\n", exponentials.round(3))
print("probabilities:\n", softmax.round(4))
print("largest difference from predict_proba:", np.abs(softmax - probability[flowers]).max())

# %%
# From left to right: logits, exponentials, probabilities. Each row is a flower.
blue, vermillion, green = "#0072B2", "#D55E00", "#009E73"
titles = ["logits", "exponentials", "probabilities"]
fig, axs = plt.subplots(3, 3, figsize=(8, 5.6), layout="constrained")
for row, flower in zip(axs, range(3), strict=True):
    for ax, values, title in zip(row, [logits, exponentials, softmax], titles, strict=True):
        bars = ax.bar(
            iris.target_names, values[flower], color=[blue, vermillion, green], edgecolor="black"
        )
        for bar, hatch in zip(bars, ["", "///", "..."], strict=True):
            bar.set_hatch(hatch)
        ax.bar_label(bars, fmt="{:.2f}", padding=2)
        ax.axhline(0, color="black", linewidth=0.8)
        ax.margins(y=0.25)
        ax.tick_params(axis="x", labelsize=8)
        ax.set_title(title if flower == 0 else "")
    row[0].set_ylabel(f"flower {flowers[flower]}\n({iris.target_names[y[flowers[flower]]]})")
    row[2].set_ylim(0, 1.25)
plt.show()

# %%
# Only differences count: the same number added to all three logits changes nothing. That is used in
# computing, where the largest logit is subtracted first, so that no exponential becomes infinite.
print("with 1000 added to each logit:")
shifted = logits + 1000
shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
print((shifted / shifted.sum(axis=1, keepdims=True)).round(4))

# %%
# From place to place
# -------------------
# The doubtful flower is near the border of two kinds. ``plane`` looks at the network as at one of
# two features, here the length and the width of the petals, while the others stay at their medians.
# The colour is that of the most likely kind, and the paler, the less sure the network is. The
# doubtful flower is at the star.
view = plane(network, X, features=(2, 3))
petals = X[:, view.features]
fig, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
DecisionBoundaryDisplay.from_estimator(
    view, petals, ax=ax, response_method="predict_proba", plot_method="pcolormesh", alpha=0.5,
    multiclass_colors=[blue, vermillion, green],
    xlabel="petal length, standardised", ylabel="petal width, standardised",
)  # fmt: skip
for kind, (colour, marker) in enumerate([(blue, "o"), (vermillion, "^"), (green, "s")]):
    ax.scatter(*petals[y == kind].T, s=24, c=colour, marker=marker, edgecolor="black",
               linewidth=0.6, label=iris.target_names[kind])  # fmt: skip
ax.plot(*petals[most_doubtful], "*", color="white", markeredgecolor="black", markersize=16)
ax.legend()
plt.show()

# %%
# **Try next**: divide the logits by a temperature before the softmax. With 0.5 the network becomes
# surer, with 5 it hesitates; the order of the classes stays. Train with ``alpha=0.001``: what
# becomes of the logits of the doubtful flower?
