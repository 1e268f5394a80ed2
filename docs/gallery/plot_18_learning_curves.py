"""
How much data is enough?
========================

A learning curve shows the accuracy against the number of training samples. It tells whether more
data would help, or a better model.
"""

# %%
# Two models on the handwritten digits: one without hidden layers, which is linear, and one with 100
# hidden units. ``LearningCurveDisplay`` of scikit-learn trains both on growing parts of the data,
# with cross-validation.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import LearningCurveDisplay, StratifiedKFold

from fastmlp import MLPClassifier

X, y = load_digits(return_X_y=True)
X = X / 16
common = {
    "learning_rate": "one_cycle", "learning_rate_init": 0.02, "batch_size": 32, "max_iter": 20,
    "random_state": 0,
}  # fmt: skip
models = {
    "linear": MLPClassifier((), **common),
    "100 hidden units": MLPClassifier((100,), **common),
}

fig, axs = plt.subplots(1, 2, figsize=(8, 3.8), sharey=True, layout="constrained")
for ax, (name, model) in zip(axs, models.items(), strict=True):
    display = LearningCurveDisplay.from_estimator(
        model, X, y, train_sizes=[50, 100, 200, 400, 800, 1400], shuffle=True, random_state=0,
        cv=StratifiedKFold(5, shuffle=True, random_state=0), score_type="both",
        score_name="accuracy", ax=ax,
    )  # fmt: skip
    training, test = display.lines_
    training.set(color="#0072B2", linestyle="--", marker="s", label="training")
    test.set(color="#D55E00", linestyle="-", marker="o", label="test")
    for band, line in zip(display.fill_between_, display.lines_, strict=True):
        band.set(color=line.get_color(), label=None)
    ax.set(title=name, xscale="log", xlabel="training samples")
    ax.legend(handles=[training, test], loc="lower right")
    for size, seen, unseen in zip(
        display.train_sizes, display.train_scores, display.test_scores, strict=True
    ):
        print(f"{name:16} {size:5} samples: training {seen.mean():.3f}, test {unseen.mean():.3f}")
plt.show()

# %%
# The bands are one standard deviation over the five parts of the cross-validation.
#
# How to read it
# --------------
# - The gap between the two lines is what the model learned of its samples only. More data close it.
# - Where the lines meet and run level, more data do not help: the model is at its limit, and a
#   richer one is worth a trial.
# - Where the test line still rises at its right end, more data are worth their price.
#
# **Try next**: add a model with two hidden layers of 200 units. Then add noise to the pixels, ``X +
# rng.normal(scale=0.3, size=X.shape)``. Which of the two models needs more samples now?
