"""
Loss functions, and the samples that cost most
==============================================

Training makes the mean loss small. Which loss is chosen decides what counts as a bad error, and so
which samples have the most influence.
"""

# %%
# Losses of a regressor and of a classifier
# -----------------------------------------
# On the left the loss as a function of the error, prediction minus target. The squared error grows
# fastest. On the right the losses of two classes as functions of the margin: the output, with the
# sign turned so that positive is right. The losses fall where the prediction is right, and grow
# without bound where it is surely wrong.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLPClassifier, MLPRegressor

blue, vermillion, green, pink = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
e = np.linspace(-3, 3, 301)
regression = {
    "squared_error": e**2 / 2,
    "absolute_error": np.abs(e),
    "huber": np.where(np.abs(e) < 1, e**2 / 2, np.abs(e) - 0.5),
    "quantile, 0.9": np.maximum(0.1 * e, -0.9 * e),
}
classification = {
    "log_loss": np.log1p(np.exp(-e)),
    "hinge": np.maximum(0, 1 - e),
    "perceptron": np.maximum(0, -e),
}
styles = [(blue, "-"), (vermillion, "--"), (green, "-."), (pink, ":")]
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), sharey=True, layout="constrained")
for ax, losses in [(left, regression), (right, classification)]:
    for (name, value), (colour, style) in zip(losses.items(), styles, strict=False):
        ax.plot(e, value, style, color=colour, linewidth=2, label=name)
    ax.legend()
left.set(title="regression", xlabel="error", ylabel="loss of one sample")
right.set(title="classification", xlabel="margin")
plt.show()

# %%
# Outliers
# --------
# A straight line through 60 points, five of which are far off. ``hidden_layer_sizes=()`` is a
# linear model. We print how much of the whole loss the five outliers make up.
rng = np.random.default_rng(0)
x = np.sort(rng.uniform(0, 4, 60))
y = 1 + x + rng.normal(scale=0.3, size=60)
outliers = np.arange(60) >= 55
y[outliers] -= 5

lines = {}
for loss in ["squared_error", "absolute_error"]:
    line = MLPRegressor(
        loss=loss, hidden_layer_sizes=(), alpha=0, learning_rate="cosine", learning_rate_init=0.1,
        max_iter=1000, random_state=0,
    ).fit(x[:, None], y)  # fmt: skip
    lines[loss] = line
    error = line.predict(x[:, None]) - y
    cost = error**2 / 2 if loss == "squared_error" else np.abs(error)
    print(f"{loss:15} slope {line.coefs_[0].item():.2f}, "
          f"the outliers' share of the loss {cost[outliers].sum() / cost.sum():.0%}")  # fmt: skip

# %%
# The data were made with slope 1. The squared error pulls the line towards the outliers, the
# absolute error moves it much less.
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.plot(x[~outliers], y[~outliers], "o", color="black", markersize=4, label="samples")
ax.plot(x[outliers], y[outliers], "x", color="black", markersize=7, label="outliers")
for (loss, line), (colour, style) in zip(lines.items(), styles, strict=False):
    ax.plot(x, line.predict(x[:, None]), style, color=colour, linewidth=2, label=loss)
ax.set(xlabel="x", ylabel="y")
ax.legend(loc="upper left")
plt.show()

# %%
# The samples that cost most
# --------------------------
# A classifier's loss is concentrated as well. For each sample of the breast cancer data we let a
# network predict that was trained without it, by cross-validation, and take the log loss: minus the
# logarithm of the probability of the right class.
X, y = load_breast_cancer(return_X_y=True)
network = MLPClassifier(
    (20,), learning_rate="one_cycle", learning_rate_init=0.01, max_iter=30, random_state=0
)
clf = make_pipeline(StandardScaler(), network)
probability = cross_val_predict(clf, X, y, method="predict_proba")
cost = -np.log(probability[np.arange(len(y)), y])
worst = np.argsort(cost)[::-1]
share = cost[worst[:10]].sum() / cost.sum()
print(f"the 10 samples of {len(y)} that cost most: {share:.0%} of the loss")
for i in worst[:5]:
    print(f"sample {i}: class {y[i]}, probability {probability[i, y[i]]:.4f}, loss {cost[i]:.2f}")

# %%
# A few samples make up much of the loss. They are worth a look: some may have a wrong label, others
# may show what the model lacks.
fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
ax.bar(range(60), cost[worst[:60]], color=[vermillion] * 10 + [blue] * 50)
ax.annotate(
    "the 10 worst", (10, cost[worst[5]]), (16, cost[worst[3]]), arrowprops={"arrowstyle": "->"}
)
ax.set(xlabel="sample, sorted by loss (the first 60)", ylabel="log loss")
plt.show()

# %%
# **Try next**: set ``loss="huber"`` for the line. Train the classifier with ``alpha=10``, which
# keeps it from being too sure: what becomes of the largest losses?
