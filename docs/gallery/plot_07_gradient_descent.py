"""
Gradient descent on a real surface
==================================

A model with two parameters has a loss that can be drawn as a landscape. Gradient descent walks
downhill in it. This page shows what the learning rate does, and what it means to compute the
gradient from all samples, from some, or from one.
"""

# %%
# The surface
# -----------
# A straight line has a slope and an intercept. We fit one to 100 points, and compute its loss, half
# the mean squared error, for a grid of slopes and intercepts.
import matplotlib.pyplot as plt
import numpy as np

from fastmlp import MLPRegressor

rng = np.random.default_rng(0)
x = rng.uniform(0, 2, 100)
y = 1 + 2 * x + rng.normal(scale=0.5, size=100)
X = x[:, None]


def loss(slope, intercept):
    error = np.multiply.outer(slope, x) + np.asarray(intercept)[..., None] - y
    return (error**2).mean(axis=-1) / 2


slopes, intercepts = np.meshgrid(np.linspace(-0.6, 3.8, 120), np.linspace(-1.4, 3.2, 120))
surface = loss(slopes, intercepts)
best = np.polyfit(x, y, 1)
print(f"lowest point: slope {best[0]:.2f}, intercept {best[1]:.2f}, loss {loss(*best):.3f}")


# %%
# A step of the model
# -------------------
# ``partial_fit`` makes a step for every mini-batch that it is given. We give it the batches one by
# one, and note the two parameters after each.
def walk(rate, batch_size, epochs):
    model = MLPRegressor(hidden_layer_sizes=(), init=[np.array([[-0.4]]), np.array([0.9])],
                         solver="sgd", momentum=0, alpha=0, learning_rate_init=rate)  # fmt: skip
    path, shuffle = [(-0.4, 0.9)], np.random.default_rng(1)
    for _ in range(epochs):
        order = shuffle.permutation(len(X))
        for batch in np.split(order, len(X) // batch_size):
            model.partial_fit(X[batch], y[batch])
            path.append((model.coefs_[0].item(), model.intercepts_[0].item()))
    return np.array(path)


def draw(ax, path, colour, title):
    ax.contour(
        slopes, intercepts, surface, levels=np.geomspace(0.13, 8, 12), colors="0.6", linewidths=0.8
    )
    ax.plot(*path.T, ".-", color=colour, linewidth=1.2, markersize=5)
    ax.plot(*path[0], "o", color="white", markeredgecolor="black", markersize=8)
    ax.plot(*best, "+", color="black", markersize=12, markeredgewidth=2)
    ax.set(title=title, xlabel="slope", xlim=(-0.6, 3.8), ylim=(-1.4, 3.2))


# %%
# The learning rate
# -----------------
# All samples in one batch, 20 steps from the white circle; the cross is the lowest point. A good
# rate goes straight down and then along the valley. One that is too low does not arrive, one that
# is too high jumps from side to side and gets ever higher.
blue, vermillion, green, pink = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
paths = {rate: walk(rate, batch_size=100, epochs=20) for rate in [0.05, 0.5, 0.84]}
fig, axs = plt.subplots(1, 3, figsize=(8, 3.2), sharey=True, layout="constrained")
for ax, (rate, path), word in zip(axs, paths.items(), ["too low", "good", "too high"], strict=True):
    draw(ax, path, vermillion, f"rate {rate}: {word}")
    print(f"rate {rate}: loss {loss(*path[0]):.3f} at first, {loss(*path[-1]):.3f} after 20 steps")
axs[0].set_ylabel("intercept")
plt.show()

# %%
# Batch, mini-batch, online
# -------------------------
# Now every path sees all samples three times, at a rate that suits it. With all samples in a batch
# these are 3 steps in the exact direction, with mini-batches of 10 they are 30 steps, and online,
# one sample at a time, 300 steps. The gradient of few samples is only an estimate, so the path
# trembles, but for the same work it makes many more steps.
fig, axs = plt.subplots(1, 3, figsize=(8, 3.2), sharey=True, layout="constrained")
curves = {}
for ax, (name, batch_size, rate) in zip(
    axs, [("batch", 100, 0.5), ("mini-batch", 10, 0.2), ("online", 1, 0.05)], strict=True
):
    path = walk(rate, batch_size, epochs=3)
    draw(ax, path, vermillion, f"{name}: {len(path) - 1} steps")
    curves[name] = loss(*path.T)
    print(f"{name:10} {len(path) - 1:4} steps, loss {curves[name][-1]:.3f}")
axs[0].set_ylabel("intercept")
plt.show()

# %%
# The same against the number of samples seen:
fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for (name, curve), style in zip(
    curves.items(), [(blue, "o-"), (vermillion, "--"), (green, "-")], strict=True
):
    seen = np.linspace(0, 300, len(curve))
    ax.semilogy(
        seen, curve, style[1], color=style[0], linewidth=1 if name == "online" else 2, label=name
    )
ax.set(xlabel="samples seen", ylabel="loss over all samples")
ax.legend()
plt.show()

# %%
# **Try next**: find by trial the largest rate that still goes down with all samples in a batch, and
# compare it with 2 divided by the largest eigenvalue of ``A.T @ A / 100``, where ``A`` has x and
# ones as its columns. Let the online path run for 20 epochs: does it come to rest?
