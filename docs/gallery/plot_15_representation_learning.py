"""
What the hidden layer has learned
=================================

A network does two things: its hidden layers find new features, and its last layer, a linear model,
uses them. On this page we look at these features: first in a space of two dimensions, where they
can be drawn, then as inputs of another model.
"""

# %%
# The space of two hidden units
# -----------------------------
# Two moons, which no straight line separates. The network's last hidden layer has two units, so
# that its output for each sample is a point of the plane.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_moons
from sklearn.decomposition import PCA
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLPClassifier

X, y = make_moons(300, noise=0.1, random_state=0)
network = MLPClassifier(
    (4, 2), "tanh", solver="lbfgs", alpha=0.01, max_iter=300, random_state=4
).fit(X, y)
hidden = network.hidden_activations(X)
print("shape of the hidden features:", hidden.shape)
print(
    "accuracy of a linear model on the inputs:         ", LogisticRegression().fit(X, y).score(X, y)
)
print(
    "accuracy of a linear model on the hidden features:",
    LogisticRegression().fit(hidden, y).score(hidden, y),
)

# %%
# On the left the samples and the boundary of the network. On the right the same samples as the last
# layer sees them: the moons are no longer bent around each other, and the boundary is the straight
# line where the last layer's weighted sum is zero.
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
DecisionBoundaryDisplay.from_estimator(
    network,
    X,
    ax=left,
    response_method="predict_proba",
    plot_method="contour",
    levels=[0.5],
    colors="black",
)
for ax, points in [(left, X), (right, hidden)]:
    ax.scatter(*points[y == 0].T, s=14, c="#0072B2", marker="o", label="class 0")
    ax.scatter(*points[y == 1].T, s=14, c="#D55E00", marker="^", label="class 1")
(w1, w2), b = network.coefs_[-1][:, 0], network.intercepts_[-1][0]
across = np.array([-1.1, 1.1])
right.plot(across, -(w1 * across + b) / w2, color="black")
left.set(title="inputs", xlabel="feature 1", ylabel="feature 2")
right.set(
    title="hidden space",
    xlabel="hidden unit 1",
    ylabel="hidden unit 2",
    xlim=(-1.1, 1.1),
    ylim=(-1.1, 1.1),
)
fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
plt.show()

# %%
# Features for another model
# --------------------------
# The hidden layers of a network for handwritten digits give features to a ``LogisticRegression``.
# We compare them, layer by layer, with the pixels: in the hidden layers the digits are easier to
# separate by a linear model.
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
network = MLPClassifier(
    (64, 64, 64), dropout=0.2, learning_rate="one_cycle", learning_rate_init=0.01, max_iter=30,
    random_state=0,
).fit(X_train, y_train)  # fmt: skip

features = {"pixels": (X_train, X_test)}
for layer in range(3):
    features[f"hidden layer {layer + 1}"] = (
        network.hidden_activations(X_train, layer), network.hidden_activations(X_test, layer),
    )  # fmt: skip
for name, (train, test) in features.items():
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(
        train, y_train
    )
    print(f"logistic regression on {name:14}: test accuracy {linear.score(test, y_test):.3f}")
print(f"the network itself: {network.score(X_test, y_test):.3f}")

# %%
# A map of both spaces, by the two directions of largest variance, for the digits 0 to 4. Among the
# pixels the groups overlap; in the last hidden layer they lie further apart.
marks = [("#0072B2", "o"), ("#D55E00", "^"), ("#009E73", "s"), ("#CC79A7", "v"), ("black", "x")]
small = y_test < 5
fig, axs = plt.subplots(1, 2, figsize=(8, 3.9), layout="constrained")
for ax, name in zip(axs, ["pixels", "hidden layer 3"], strict=True):
    points = PCA(2, svd_solver="full").fit_transform(features[name][1][small])
    for digit, (colour, marker) in enumerate(marks):
        ax.scatter(
            *points[y_test[small] == digit].T, s=16, c=colour, marker=marker, label=str(digit)
        )
    ax.set(title=name, xlabel="first component", ylabel="second component")
fig.legend(*axs[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
plt.show()

# %%
# **Try next**: give the network for the digits a last hidden layer of two units, and draw its
# activations without ``PCA``. Train the network on the digits 0 to 4 only: do its features help to
# tell 5 to 9 apart, or are the pixels better?
