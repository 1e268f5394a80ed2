"""
Codes, noise and anomalies with an autoencoder
==============================================

An :class:`~fastmlp.MLPAutoencoder` learns to reconstruct its inputs from a code of few numbers. Here
the inputs are images of handwritten digits, of 8 by 8 pixels.
"""

# %%
# Two numbers per digit, and back
# -------------------------------
# The encoder has a layer of 64 units and the code, which has 2. The decoder mirrors it. Pixels are
# in [0, 1], so that the cross-entropy suits them.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from fastmlp import MLPAutoencoder

X, y = load_digits(return_X_y=True)
X = X / 16
train, test = X[:1400], X[1400:]

plan = {"learning_rate": "one_cycle", "learning_rate_init": 0.01, "batch_size": 64, "max_iter": 60}
model = MLPAutoencoder((64, 2), activation="gelu", loss="log_loss", random_state=0, **plan)
codes = model.fit(train).transform(test)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for digit in range(10):
    some = codes[y[1400:] == digit]
    colour = plt.get_cmap("tab10")(digit)
    left.scatter(*some.T, s=8, color=colour)
    left.annotate(str(digit), np.median(some, axis=0), color=colour, fontsize=16, weight="bold")
left.set(title="Codes of new digits", xlabel="Code 0", ylabel="Code 1")

n = 15
across, down = (np.quantile(codes[:, i], [0.02, 0.98]) for i in (0, 1))
grid = np.stack(np.meshgrid(np.linspace(*across, n), np.linspace(*down[::-1], n)), axis=-1)
images = model.inverse_transform(grid.reshape(-1, 2)).reshape(n, n, 8, 8)
right.imshow(images.swapaxes(1, 2).reshape(8 * n, 8 * n), cmap="gray_r", extent=[*across, *down],
             aspect="auto")  # fmt: skip
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
    filler = MLPAutoencoder(
        (128,), code_activation="gelu", loss="log_loss", noise=noise, random_state=0, **plan
    )
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
# What is unlike the training samples is reconstructed badly. This network has seen no nines and no
# other damage than that of the scanner. `score_samples` is minus the squared error: the pictures
# with the lowest scores are those to look at.

seen = train[y[:1400] != 9]
guard = MLPAutoencoder((64, 8), activation="gelu", loss="log_loss", random_state=0, **plan).fit(seen)
upside_down = test.reshape(-1, 8, 8)[:, ::-1, ::-1].reshape(test.shape)
new = y[1400:] != 9
groups = {"New digits 0 to 8": test[new], "Upside down": upside_down[new & (y[1400:] != 0)]}

fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
bins = np.linspace(-12, 0, 49)
for (name, images), colour in zip(groups.items(), ["#0072B2", "#D55E00"], strict=True):
    ax.hist(guard.score_samples(images), bins, density=True, alpha=0.6, color=colour, label=name)
ax.set(title="Scores of samples", xlabel="Minus the squared error", ylabel="Density")
ax.legend()

plt.show()
