"""
Codes, noise and anomalies with an autoencoder
==============================================

An :class:`~fastmlp.MLPAutoencoder` learns to reconstruct its inputs from a code of few numbers.
Here the inputs are images of handwritten digits, of 8 by 8 pixels.
"""

# %%
# Two numbers per digit, and back
# -------------------------------
# The encoder has a layer of 64 units and the code, which has 2; 'tanh' keeps it within [-1, 1]. The
# decoder mirrors the encoder. Pixels are in [0, 1], so that the cross-entropy suits them.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from fastmlp import MLPAutoencoder

X, y = load_digits(return_X_y=True)
X = X / 16
train, test = X[:1400], X[1400:]

plan = {"learning_rate": "one_cycle", "learning_rate_init": 0.01, "batch_size": 64, "max_iter": 60}
plan |= {"activation": "gelu", "loss": "log_loss", "random_state": 0}
model = MLPAutoencoder((64, 2), code_activation="tanh", **plan)
codes = model.fit(train).transform(test)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
for digit in range(10):
    some = codes[y[1400:] == digit]
    colour = plt.get_cmap("tab10")(digit)
    left.scatter(*some.T, s=8, color=colour)
    left.annotate(str(digit), np.median(some, axis=0), fontsize=16, weight="bold")
left.set(title="Codes of new digits", xlabel="Code 0", ylabel="Code 1", aspect="equal")

n = 11
places = np.linspace(-0.95, 0.95, n)
grid = np.stack(np.meshgrid(places, places[::-1]), axis=-1).reshape(-1, 2)
images = model.inverse_transform(grid).reshape(n, n, 8, 8)
framed = np.pad(images, [(0, 0), (0, 0), (1, 1), (1, 1)])
picture = framed.swapaxes(1, 2).reshape(10 * n, 10 * n)
right.imshow(picture, cmap="gray_r", extent=[-1, 1, -1, 1])
right.set(title="Images of a grid of codes", xlabel="Code 0", ylabel="Code 1")

# %%
# Digits are sorted without their labels, and codes in between make digits in between.
#
# Denoising
# ---------
# With `noise` each training step hides a part of the pixels, and the network has to fill them in.
# The peak signal-to-noise ratio, ``-10 log10(mean squared error)``, says how well it does for new
# digits half of whose pixels are missing. The code may have as many numbers as there are pixels, or
# more: with noise the identity is no solution.

hidden = np.random.RandomState(0).random_sample(test.shape) < 0.5
damaged = np.where(hidden, 0, test)
results = {"Digits": test, "Half of the pixels": damaged}
for noise, name in ((0.0, "Trained without noise"), (0.5, "Trained with noise=0.5")):
    filler = MLPAutoencoder((128,), code_activation="gelu", noise=noise, **plan)
    results[name] = filler.fit(train).inverse_transform(filler.transform(damaged))

fig, rows = plt.subplots(4, 1, figsize=(8, 4.8), layout="constrained")
for ax, (name, images) in zip(rows, results.items(), strict=True):
    error = np.mean((images - test) ** 2)
    psnr = f", {-10 * np.log10(error):.1f} dB" if error else ""
    ax.imshow(np.hstack(images[:12].reshape(-1, 8, 8)), cmap="gray_r", vmin=0, vmax=1)
    ax.set_title(f"{name}{psnr}", loc="left")
    ax.set_axis_off()

# %%
# Anomalies
# ---------
# What is unlike the training samples is reconstructed badly. This network has seen no fours:
# `score_samples`, minus the squared error, is much lower for them than for new digits of the kinds
# that it knows.

is_four = y == 4
guard = MLPAutoencoder((64, 8), **plan).fit(train[~is_four[:1400]])
scores, strange = guard.score_samples(test), is_four[1400:]

fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
bins = np.linspace(scores.min(), 0, 40)
ax.hist(scores[~strange], bins, density=True, alpha=0.6, color="#0072B2", label="Other digits")
ax.hist(scores[strange], bins, density=True, alpha=0.6, color="#D55E00", label="Fours")
ax.set(title="Scores of new digits", xlabel="Minus the squared error", ylabel="Density")
ax.legend()

print(f"A four has the lower score in {roc_auc_score(~strange, scores):.0%} of all pairs.")
plt.show()

# %%
# **Try next**: a code of 3 units; ``code_activation="tanh"``; the same with PCA, of which an
# autoencoder without non-linear activations finds the subspace; other digits left out.
