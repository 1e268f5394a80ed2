"""
Class imbalance
===============

Where one class is rare, a model may hardly ever predict it and still have a high accuracy. This
page shows how to see that, and two ways to find more of the rare class: class weights and the
threshold.
"""

# %%
# A rare class
# ------------
# One sample in twenty belongs to class 1, and the classes overlap.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.metrics import PrecisionRecallDisplay, precision_score, recall_score
from sklearn.model_selection import train_test_split

from fastmlp import MLPClassifier

rng = np.random.default_rng(0)
y = (rng.uniform(size=4000) < 0.05).astype(int)
X = rng.normal(size=(4000, 2)) + np.where(y == 1, 1.5, 0)[:, None] * [1, 0.5]
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
print("accuracy of always saying 0:", np.mean(y_test == 0))

common = {
    "hidden_layer_sizes": (16,), "learning_rate": "one_cycle", "learning_rate_init": 0.02,
    "max_iter": 30, "random_state": 0,
}  # fmt: skip
plain = MLPClassifier(**common).fit(X_train, y_train)
weighted = MLPClassifier(class_weight="balanced", **common).fit(X_train, y_train)

# %%
# *Recall* is the share of the rare samples that are found, *precision* the share of those called
# rare that are. The accuracy hides both. ``class_weight="balanced"`` lets both classes count the
# same in the loss: the network finds most of the rare samples, at the price of many false alarms.
threshold = 0.2
predictions = {
    "plain": plain.predict(X_test),
    "balanced weights": weighted.predict(X_test),
    f"plain, threshold {threshold}": (plain.predict_proba(X_test)[:, 1] > threshold).astype(int),
}
for name, predicted in predictions.items():
    print(f"{name:20} accuracy {np.mean(predicted == y_test):.3f}, "
          f"recall {recall_score(y_test, predicted):.2f}, "
          f"precision {precision_score(y_test, predicted):.2f}")  # fmt: skip

# %%
# The boundaries, where the predicted probability of class 1 is one half, and for the plain network
# also where it is the lower threshold. The weights move the boundary much as a threshold does.
blue, vermillion, green = "#0072B2", "#D55E00", "#009E73"
fig, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
ax.scatter(*X_test[y_test == 0].T, s=8, c=blue, marker="o", alpha=0.35, label="class 0")
ax.scatter(
    *X_test[y_test == 1].T,
    s=26,
    c=vermillion,
    marker="^",
    edgecolors="black",
    linewidths=0.5,
    label="class 1",
)
for model, level, style, name in [
    (plain, 0.5, "-", "plain"),
    (plain, threshold, ":", f"plain, threshold {threshold}"),
    (weighted, 0.5, "--", "balanced weights"),
]:
    DecisionBoundaryDisplay.from_estimator(
        model, X_test, ax=ax, response_method="predict_proba", plot_method="contour", eps=0.2,
        levels=[level], colors="black", linestyles=style, linewidths=2,
    )  # fmt: skip
    ax.plot([], [], style, color="black", linewidth=2, label=name)
ax.set(xlabel="feature 1", ylabel="feature 2")
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
plt.show()

# %%
# All thresholds at once
# ----------------------
# A precision-recall curve goes through all thresholds of a model. Both networks lie on nearly the
# same curve: weights do not make the classes easier to separate, they choose another point on it.
fig, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
for model, name, colour, style in [
    (plain, "plain", blue, "-"),
    (weighted, "balanced weights", vermillion, "--"),
]:
    PrecisionRecallDisplay.from_estimator(
        model, X_test, y_test, ax=ax, name=name, curve_kwargs={"color": colour, "linestyle": style}
    )
for (name, predicted), marker in zip(predictions.items(), ["o", "^", "s"], strict=True):
    recall, precision = recall_score(y_test, predicted), precision_score(y_test, predicted)
    ax.plot(recall, precision, marker, color="black", markersize=9, label=f"point: {name}")
ax.set(xlabel="recall", ylabel="precision")
ax.get_legend().remove()
fig.legend(*ax.get_legend_handles_labels(), loc="outside right upper", fontsize=9)
plt.show()

# %%
# The probabilities of the plain network agree, on average, with the share of the rare class. Those
# of the weighted one are as if both classes were equally frequent, and are far too high. Where
# probabilities are needed, choose the threshold instead.
print(f"rare class in the test set: {np.mean(y_test):.3f}")
print(f"mean predicted probability, plain:    {plain.predict_proba(X_test)[:, 1].mean():.3f}")
print(f"mean predicted probability, balanced: {weighted.predict_proba(X_test)[:, 1].mean():.3f}")

# %%
# **Try next**: let :class:`~sklearn.model_selection.TunedThresholdClassifierCV` choose the
# threshold for you, with ``scoring="f1"``. Pass your own costs as weights: ``class_weight={0: 1, 1:
# 5}``.
