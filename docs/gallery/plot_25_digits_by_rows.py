"""
Digits read row by row
======================

A dense network sees all 64 pixels of a handwritten digit at once. A recurrent one may read the
image like a text: eight steps of eight pixels, from the top row to the bottom row, with the same
weights for every row. What it has read it keeps in its state. Which of them reads better?
"""

# %%
# Images as sequences
# -------------------
# ``images`` has the shape (n_images, 8, 8): that is (n_sequences, n_steps, n_features) already. y
# has one label per image, which the output after the last row is compared with.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastmlp import MLPClassifier, RNNClassifier

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images / 16, digits.target, stratify=digits.target, random_state=0
)
print("training:", X_train.shape, " test:", X_test.shape)

# %%
# Three networks
# --------------
# All have 32 hidden units and the same plan of training, each with three seeds.
plan = {"batch_size": 32, "learning_rate": "one_cycle", "learning_rate_init": 0.01, "max_iter": 40}
rows = {"X_train": X_train, "X_test": X_test}
pixels = {name: X.reshape(len(X), -1) for name, X in rows.items()}
candidates = {
    "dense": (MLPClassifier, {}, pixels),
    "elman": (RNNClassifier, {"clip_norm": 1.0}, rows),
    "gru": (RNNClassifier, {"cell": "gru", "clip_norm": 1.0}, rows),
}
models, scores = {}, {}
for name, (Estimator, options, X) in candidates.items():
    fits = [
        Estimator((32,), **plan, **options, random_state=seed).fit(X["X_train"], y_train)
        for seed in range(3)
    ]
    models[name] = fits[0]
    scores[name] = [model.score(X["X_test"], y_test) for model in fits]
    n_parameters = models[name].summary().n_parameters
    accuracies = ", ".join(f"{score:.3f}" for score in scores[name])
    print(f"{name:5}  {n_parameters} parameters, test accuracy {accuracies}")

# %%
# In 450 test images 1 % is four or five images: differences of less say little. The Elman network
# has two thirds of the dense one's parameters, and an image is short enough for it to remember.
#
# Guessing early
# --------------
# The network may be asked before it has read all: the first rows of an image are a shorter
# sequence. But it was trained to be right after the last row, and what it says before is no guess
# of the digit. So we train another one with a label after each row: y is (n_images, 8) then, and so
# are the predictions.
model = RNNClassifier((32,), cell="gru", clip_norm=1.0, **plan, random_state=0)
model.fit(X_train, np.repeat(y_train[:, np.newaxis], 8, axis=1))
early = np.mean(model.predict(X_test) == y_test[:, np.newaxis], axis=0)
late = [models["gru"].score(X_test[:, :n], y_test) for n in range(1, 9)]
print("label after each row:    ", early.round(2))
print("label after the last row:", np.round(late, 2))

blue, vermillion = "#0072B2", "#D55E00"
fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
ax.plot(range(1, 9), early, "o-", color=blue, label="trained with a label after each row")
ax.plot(range(1, 9), late, "s--", color=vermillion, label="trained with one after the last row")
ax.set(xlabel="rows read", ylabel="test accuracy", ylim=(0, 1.02))
ax.legend()
plt.show()

# %%
# The upper half of an image tells the digit in nine of ten cases. After the last row the network
# that was trained for it alone is better.
#
# Changing its mind
# -----------------
# The probabilities after each row of some images, darker for more probable. Read them from the top
# to the bottom: several digits are possible at first, and fewer with each row.
chosen = [np.flatnonzero(y_test == digit)[0] for digit in (0, 3, 4, 7, 9)]
probabilities = model.predict_proba(X_test[chosen])  # (5 images, 8 rows, 10 digits)
fig, axs = plt.subplots(2, len(chosen), figsize=(7.5, 3.6), layout="constrained")
for i, read, (image_ax, ax) in zip(chosen, probabilities, axs.T, strict=True):
    image_ax.imshow(X_test[i], cmap="gray_r", aspect="auto")
    image_ax.set(xticks=[], yticks=range(8), yticklabels=range(1, 9), title=f"a {y_test[i]}")
    ax.imshow(read, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set(xticks=range(10), yticks=range(8), yticklabels=range(1, 9))
    for both in (image_ax, ax):
        both.tick_params(labelsize=7)
axs[0, 0].set_ylabel("row of the image")
axs[1, 0].set_ylabel("rows read")
fig.supxlabel("probability of the digits 0 to 9", fontsize=10)
plt.show()

# %%
# **Try next**: read from left to right (``X.transpose(0, 2, 1)``), or from the bottom up
# (``X[:, ::-1]``). Read pixel by pixel, 64 steps of one feature: how does the Elman network fare,
# how the GRU?
