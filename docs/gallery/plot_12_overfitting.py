"""
Overfitting, dropout and early stopping
=======================================

A large network can learn its training samples by heart, with their noise. The loss on samples that
it has not seen tells when this happens. Two remedies: dropout, and stopping in time.
"""

# %%
# Both curves
# -----------
# Two moons with much noise, 100 samples for training and 500 for validation. Samples given to
# ``fit`` as ``X_val`` and ``y_val`` are not trained on; their loss is recorded after every epoch.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import DecisionBoundaryDisplay

from fastmlp import MLPClassifier
from fastmlp.inspection import LossCurveDisplay

warnings.simplefilter("ignore", ConvergenceWarning)  # we set the number of epochs ourselves

X, y = make_moons(100, noise=0.35, random_state=0)
X_val, y_val = make_moons(500, noise=0.35, random_state=1)
common = {
    "hidden_layer_sizes": (64, 64), "learning_rate_init": 0.005, "alpha": 0, "batch_size": 20,
    "max_iter": 150, "random_state": 0,
}  # fmt: skip
models = {
    "no remedy": MLPClassifier(n_iter_no_change=150, **common),
    "dropout": MLPClassifier(dropout=0.5, n_iter_no_change=150, **common),
    "early stopping": MLPClassifier(
        early_stopping=True, scoring="loss", n_iter_no_change=20, **common
    ),
}
for name, model in models.items():
    model.fit(X, y, X_val=X_val, y_val=y_val)
    val_loss = model.validation_loss_curve_
    best = int(np.argmin(val_loss)) + 1
    print(f"{name}: {model.n_iter_} epochs")
    print(
        f"  validation loss: lowest {min(val_loss):.3f}, in epoch {best}; last {val_loss[-1]:.3f}"
    )
    print(f"  accuracy: training {model.score(X, y):.3f}, "
          f"validation {model.score(X_val, y_val):.3f}")  # fmt: skip

# %%
# Without a remedy the training loss falls towards zero, while the validation loss, dashed, turns
# and rises: from there on the network learns the noise. Dropout sets half of the hidden units to
# zero in each step, at random. No unit can rely on another one, and the validation loss rises later
# and more slowly. Early stopping takes the same way as no remedy, but ends when the validation loss
# has not improved for 20 epochs, and goes back to the weights of the best epoch, at the star.
blue, vermillion = "#0072B2", "#D55E00"
display = LossCurveDisplay.from_estimator(models)
display.ax_.set_ylim(0, 1.3)
display.ax_.get_legend().set_loc("upper center")
plt.show()

# %%
# Too sure
# --------
# The lines are where the predicted probability of class 1 is 0.1 (dotted), 0.5 and 0.9 (dashed).
# Without a remedy the three lines lie close together: the network is nearly certain almost
# everywhere, also where the classes overlap. We compare the probability that each network gives to
# its predictions with the share of them that is right.
for name, model in models.items():
    confidence = model.predict_proba(X_val).max(axis=1).mean()
    print(f"{name:15} mean probability of the predictions {confidence:.3f}, "
          f"accuracy {model.score(X_val, y_val):.3f}")  # fmt: skip

fig, axs = plt.subplots(1, 3, figsize=(8, 2.8), sharex=True, sharey=True, layout="constrained")
for ax, (name, model) in zip(axs, models.items(), strict=True):
    ax.scatter(*X[y == 0].T, s=10, c=blue, marker="o")
    ax.scatter(*X[y == 1].T, s=10, c=vermillion, marker="^")
    DecisionBoundaryDisplay.from_estimator(
        model, X, ax=ax, response_method="predict_proba", plot_method="contour", eps=0.3,
        levels=[0.1, 0.5, 0.9], colors="black", linestyles=[":", "-", "--"],
    )  # fmt: skip
    ax.set(title=name, xticks=[], yticks=[], xlabel="", ylabel="")
plt.show()

# %%
# **Try next**: the other remedies. ``alpha=1`` penalises large weights; ``hidden_layer_sizes=(4,)``
# is too small to learn the noise; and the best one, if you can get it: ``make_moons(1000, ...)``
# for training.
