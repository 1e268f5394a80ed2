"""
How many hidden units?
======================

One unit draws one line. A network with a hidden layer combines the lines of its units. Here 1, 2,
3, 5 and 10 of them try to enclose a disc, and we watch the largest network on its way there.
"""

# %%
# The task
# --------
# 500 points of the plane; class 1 is inside a circle. No line separates the classes.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import DecisionBoundaryDisplay

from fastmlp import MLPClassifier
from fastmlp.inspection import UnitsDisplay

warnings.simplefilter("ignore", ConvergenceWarning)  # we set the number of epochs ourselves

rng = np.random.RandomState(0)
X = rng.uniform(-1, 1, (500, 2))
y = (np.hypot(X[:, 0], X[:, 1]) < 0.7).astype(int)
print("share of the larger class:", max(np.mean(y == 0), np.mean(y == 1)))

# %%
# The network of the textbooks: logistic units, squared error, a step after every sample.
classic = {
    "activation": "logistic", "loss": "squared_error", "solver": "sgd", "batch_size": 1, "alpha": 0,
    "momentum": 0.9, "learning_rate_init": 0.05, "random_state": 3,
}  # fmt: skip


def draw(ax, model, title):
    common = {"ax": ax, "response_method": "predict_proba", "eps": 0.05, "grid_resolution": 80}
    DecisionBoundaryDisplay.from_estimator(
        model,
        X,
        plot_method="contourf",
        levels=[0, 0.5, 1],
        colors=["#CCE3F0", "#F9DFCC"],
        **common,
    )
    DecisionBoundaryDisplay.from_estimator(
        model, X, plot_method="contour", levels=[0.5], colors="black", **common
    )
    ax.scatter(*X[y == 0].T, s=6, c="#0072B2", marker="o")
    ax.scatter(*X[y == 1].T, s=6, c="#D55E00", marker="^")
    ax.set(title=title, xticks=[], yticks=[], xlabel="", ylabel="", aspect="equal")


# %%
# More units
# ----------
# One unit can only cut the plane in two, and no cut is better here than the larger class
# everywhere. Two make a strip, three a triangle with round corners, and with more the boundary
# comes closer to the circle.
fig, axs = plt.subplots(1, 5, figsize=(8, 2.1), layout="constrained")
for ax, n in zip(axs, [1, 2, 3, 5, 10], strict=True):
    model = MLPClassifier((n,), max_iter=200, n_iter_no_change=200, **classic).fit(X, y)
    accuracy = model.score(X, y)
    draw(ax, model, f"{n} unit{'s' * (n > 1)}\naccuracy {accuracy:.3f}")
    print(f"{n:2} hidden units: accuracy {accuracy:.3f}, loss {model.loss_:.4f}")
plt.show()

# %%
# More epochs
# -----------
# The network with 10 units after 1, 5, 10, 20 and 100 epochs. At first it takes one class
# everywhere or nearly so; then it finds one side of the disc after the other.
network = MLPClassifier((10,), **classic)
strip = [1, 5, 10, 20, 100]
fig, axs = plt.subplots(1, 5, figsize=(8, 2.1), layout="constrained")
for epoch in range(1, 101):
    network.partial_fit(X, y, classes=[0, 1])
    if epoch in strip:
        accuracy = network.score(X, y)
        draw(axs[strip.index(epoch)], network, f"epoch {epoch}\naccuracy {accuracy:.3f}")
        print(f"epoch {epoch:3}: accuracy {accuracy:.3f}")
plt.show()

# %%
# One by one
# ----------
# What the 10 hidden units of this network make of the plane. Four of them change from dark to
# bright at a line: these are the sides of the boundary above. The others hardly change over the
# whole plane: the network has more units than the disc needs.
UnitsDisplay.from_estimator(network, X, name="10 hidden units after 100 epochs")
plt.show()

# %%
# **Try next**: other values of ``random_state``: does every network with 3 units find the triangle?
# Take ``activation="relu"``, whose boundaries have corners. Make the circle smaller: which number
# of units is then enough?
