"""
Handwritten digits
==================

The classic task: images of 8 by 8 pixels, ten classes. Beyond the accuracy we look at which digits
are confused, at the worst errors, and at what the first layer looks for.
"""

# %%
# Training
# --------
# Pixels from 0 to 16 are divided by 16. A quarter of the images is kept for the test.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from fastmlp import MLPClassifier
from fastmlp.inspection import WeightsDisplay

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.data / 16, digits.target, stratify=digits.target, random_state=0
)
clf = MLPClassifier(
    (64,), alpha=1, learning_rate="one_cycle", learning_rate_init=0.01, max_iter=40, random_state=0
).fit(X_train, y_train)
print(f"accuracy: training {clf.score(X_train, y_train):.3f}, test {clf.score(X_test, y_test):.3f}")

# %%
# Which digits are confused?
# --------------------------
# A row holds the images of one digit, a column those that the network took for it. Errors are off
# the diagonal.
fig, ax = plt.subplots(figsize=(6.4, 5), layout="constrained")
ConfusionMatrixDisplay.from_estimator(clf, X_test, y_test, cmap="cividis", ax=ax)
plt.show()

# %%
# The worst errors
# ----------------
# The images whose right digit the network thinks least likely. Some of them would puzzle a reader
# too.
probability = clf.predict_proba(X_test)
right = probability[np.arange(len(y_test)), y_test]
worst = np.argsort(right)[:8]
fig, axs = plt.subplots(2, 4, figsize=(6.4, 4), layout="constrained")
for ax, i in zip(axs.flat, worst, strict=True):
    guess = probability[i].argmax()
    ax.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    ax.set(xticks=[], yticks=[])
    ax.set_title(
        f"is {y_test[i]} ({right[i]:.0%})\nguess {guess} ({probability[i, guess]:.0%})", fontsize=9
    )
    print(f"image {i}: is {y_test[i]}, probability {right[i]:.3f}; "
          f"guess {guess}, probability {probability[i, guess]:.3f}")  # fmt: skip
plt.show()

# %%
# The first layer
# ---------------
# Each hidden unit has a weight for every pixel: an image of what it looks for. Ink on the bright
# pixels raises the unit, ink on the dark ones lowers it.
WeightsDisplay.from_estimator(
    clf, image_shape=(8, 8), name="64 hidden units", image_kwargs={"cmap": "cividis"}
)
plt.show()

# %%
# **Try next**: set ``alpha=0`` and look at the weights again: what has the penalty done? Then try
# ``dropout=0.3`` instead of it. Which of the two makes fewer errors?
