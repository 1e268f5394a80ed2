"""
Regression with quantiles as a band
===================================

A single prediction does not say how sure it is. Quantiles do: between the 0.05 and the 0.95
quantile lie nine of ten values. The quantile loss makes a network learn them, also where the
spread is not the same everywhere.
"""

# %%
# Data whose spread grows
# -----------------------
# A wave, with noise that grows from left to right and is not symmetric. Half of the samples are
# kept for the test.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from fastmlp import MLPRegressor

rng = np.random.default_rng(0)
x = rng.uniform(0, 4, 3000)
y = np.sin(1.5 * x) + (0.1 + 0.15 * x) * rng.gamma(2, size=3000)
X = (x[:, None] - 2) / 2
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, test_size=0.5)

# %%
# One network per quantile
# ------------------------
# For the quantile 0.95 the loss charges 19 times as much for a value above the prediction as for
# one below. The network is in balance when one value in twenty lies above.
models = {
    q: MLPRegressor(
        loss="quantile", quantile=q, hidden_layer_sizes=(32, 32), activation="tanh", alpha=0.001,
        batch_size=50, learning_rate="one_cycle", learning_rate_init=0.02, max_iter=80,
        random_state=0,
    ).fit(X_train, y_train)
    for q in [0.05, 0.5, 0.95]
}  # fmt: skip
for q, model in models.items():
    below = np.mean(y_test < model.predict(X_test))
    print(f"quantile {q:4}: {below:.3f} of the test values lie below it")
low, high = models[0.05].predict(X_test), models[0.95].predict(X_test)
print(f"between the outer two: {np.mean((low < y_test) & (y_test < high)):.3f}")

# %%
# The band is narrow where the data lie close together, and wide where they scatter. The median is
# not in its middle, as the noise is not symmetric.
grid = np.linspace(0, 4, 200)
curves = {q: model.predict((grid[:, None] - 2) / 2) for q, model in models.items()}
blue, vermillion = "#0072B2", "#D55E00"
fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
ax.plot(2 * X_test[:, 0] + 2, y_test, ".", color="grey", markersize=3, label="test samples")
ax.fill_between(grid, curves[0.05], curves[0.95], color=blue, alpha=0.25, label="0.05 to 0.95")
ax.plot(grid, curves[0.05], "--", color=blue)
ax.plot(grid, curves[0.95], "--", color=blue)
ax.plot(grid, curves[0.5], "-", color=vermillion, linewidth=2, label="median")
ax.set(xlabel="x", ylabel="y")
ax.legend(loc="upper left")
plt.show()

# %%
# Is the band right everywhere?
# -----------------------------
# The share of covered values in eight parts of the range. It should be near nine tenths in each of
# them, within what chance allows: the whiskers are two standard deviations of a share of 0.9.
part = np.clip(((X_test[:, 0] + 1) * 4).astype(int), 0, 7)
covered = (low < y_test) & (y_test < high)
share = np.array([covered[part == k].mean() for k in range(8)])
count = np.bincount(part, minlength=8)
print("covered in each part:", share.round(2))
fig, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
ax.errorbar(
    np.arange(8) / 2 + 0.25, share, yerr=2 * np.sqrt(0.09 / count), fmt="o", color=blue, capsize=4
)
ax.axhline(0.9, color="black", linestyle="--")
ax.set(xlabel="x", ylabel="share covered", ylim=(0.7, 1.02))
plt.show()

# %%
# **Try next**: train on 100 samples only: the band becomes too narrow on new samples. Predict
# beyond x = 4: does the band say that there were no data? Use ``loss="squared_error"``, and compare
# the mean that it learns with the median.
