"""
Context neurons
===============

A network that forgets each input before the next one comes cannot tell what came before. Context
units hand the hidden units their own last outputs as further inputs: the same input then has
different consequences in different contexts. The task is the one with which Jeffrey Elman showed it
in "Finding structure in time" (Cognitive Science 14, 1990).
"""

# %%
# Exclusive or in time
# --------------------
# In each group of three bits the first two are random, and the third is their exclusive or. The
# task is to predict the next bit. Two of three bits cannot be predicted by anybody, and the third
# one only by who remembers the two before it, and where the groups begin.
import matplotlib.pyplot as plt
import numpy as np

from fastmlp import RNNClassifier
from fastmlp.inspection import NetworkDisplay


def bits_of(n_sequences, n_groups, seed):
    first, second = np.random.default_rng(seed).integers(0, 2, (2, n_sequences, n_groups))
    return np.stack([first, second, first ^ second], axis=2).reshape(n_sequences, -1)


bits, new_bits = bits_of(200, 5, seed=0), bits_of(1000, 10, seed=1)
print("fifteen bits:", "".join(map(str, bits[0])))

# %%
# X holds 200 sequences of bits, as -1 and 1, and y at each step the bit that comes next. As y has
# one label per step, the network's output is compared with it after every bit. Four hidden units
# are enough. The new sequences are twice as long as those of the training.
X, y = 2.0 * bits[:, :-1] - 1, bits[:, 1:]
X_new, y_new = 2.0 * new_bits[:, :-1] - 1, new_bits[:, 1:]
model = RNNClassifier(
    (4,), batch_size=10, learning_rate="one_cycle", learning_rate_init=0.02, max_iter=100,
    clip_norm=1.0, random_state=0,
).fit(X, y)  # fmt: skip
print(f"accuracy on new bits: {model.score(X_new, y_new):.3f}")

# %%
# Two thirds are as much as there can be: one half of the random bits, and all of the others. Bit by
# bit it is plain which ones are predicted.
right = model.predict(X_new) == y_new
places = np.arange(2, 2 + X_new.shape[1])
blue, vermillion = "#0072B2", "#D55E00"
fig, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
for third in places[places % 3 == 0]:
    ax.axvspan(third - 0.5, third + 0.5, color="#e6e6e6")
ax.plot(places, right.mean(axis=0), "o-", color=blue)
ax.axhline(0.5, color="black", linestyle="--", linewidth=1)
ax.annotate("guessing", (1, 0.43))
ax.set(
    xlabel="predicted bit (the third of each group on grey)", ylabel="accuracy", ylim=(0.4, 1.05)
)
plt.show()

# %%
# The same input in two contexts
# ------------------------------
# After both pairs of bits the last input is a 1. What the network expects next depends on the bit
# before, which it cannot see any more. All that it has of it is in its hidden units.
for pair in ([0, 1], [1, 1]):
    x = 2.0 * np.array([pair]) - 1
    state = model.hidden_states(x)[0][0, -1]
    probability = model.predict_proba(x)[0, -1, 1]
    print(f"after {pair}: next bit is 1 with probability {probability:.3f}, "
          f"hidden units {np.round(state, 2)}")  # fmt: skip

# %%
# The states over time
# --------------------
# ``hidden_states`` gives the outputs of the hidden units after each step: what the context units
# hold at the next one. Here they are for the first new bits. Columns with the same bit differ,
# as the bits before them do, and where the group is at its end.
n = 18
states = model.hidden_states(X_new[:1, :n])[0][0]
probability = model.predict_proba(X_new[:1, :n])[0, :, 1]
fig, (top, middle, bottom) = plt.subplots(
    3, 1, figsize=(7.5, 4.2), sharex=True, layout="constrained",
    gridspec_kw={"height_ratios": [1, 4, 3]},
)  # fmt: skip
top.imshow(new_bits[:1, :n], cmap="gray_r", vmin=-0.5, vmax=1.5, aspect="auto")
for t in range(n):
    top.text(t, 0, str(new_bits[0, t]), ha="center", va="center")
top.set(yticks=[], ylabel="input")
image = middle.imshow(states.T, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
middle.set(yticks=range(4), ylabel="hidden unit")
fig.colorbar(image, ax=middle, label="state")
bottom.bar(range(n), probability, color="#b3b3b3", label="probability of a 1")
bottom.plot(range(n), new_bits[0, 1 : n + 1], "o", color=vermillion, label="what came next")
bottom.set(xlabel="step", ylabel="next bit", ylim=(-0.1, 1.1), yticks=[0, 0.5, 1], xticks=range(n))
bottom.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
plt.show()

# %%
# The bars are near one half before a random bit, and near the dot before the third of a group.
#
# The network, and the network unrolled
# -------------------------------------
# The hidden units compute ``h[t] = tanh(x[t] W + b + h[t-1] U)``. Each of the four is fed with the
# last outputs of all four; the loops in the drawing are the weights from a unit to itself, the
# diagonal of U, which is in ``recurrent_coefs_``.
NetworkDisplay.from_estimator(model)
print("U:")
print(np.round(model.recurrent_coefs_[0], 1))
plt.show()

# %%
# Side by side for each step, the network with its loop becomes a deep network without: as many
# layers as steps, all with the same weights. Back-propagation through time is back-propagation in
# this network. The error at a step goes back along all arrows that lead there; W, U and V get the
# sum of their gradients at all steps.
fig, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
arrow = {"arrowstyle": "-|>", "color": "black", "shrinkA": 15, "shrinkB": 15}
for t in range(4):
    for level, name in enumerate(["x", "h", "y"]):
        ax.text(2 * t, level, f"{name}[{t}]", ha="center", va="center",
                bbox={"boxstyle": "circle,pad=0.5", "facecolor": "white"})  # fmt: skip
    for level, weight in enumerate("WV"):
        ax.annotate("", (2 * t, level + 1), (2 * t, level), arrowprops=arrow)
        ax.text(2 * t + 0.1, level + 0.5, weight, color=blue)
    ax.annotate("", (2 * t, 1), (2 * t - 2, 1), arrowprops=arrow)
    ax.text(2 * t - 1, 1.1, "U", color=vermillion, ha="center")
ax.text(-2.1, 1, "0", ha="center", va="center")
ax.set(xlim=(-2.5, 6.8), ylim=(-0.5, 2.5))
ax.set_axis_off()
plt.show()

# %%
# Step by step
# ------------
# A prediction can begin from a given state. So a series that is not over yet is predicted as its
# bits come in, one call for each, with the state of the last one.
state = None
for bit in (1, 0, 1, 1, 0):
    step = np.array([[2.0 * bit - 1]])  # one sequence of one step
    probability = model.predict_proba(step, initial_state=state)[0, 0, 1]
    state = [layer[:, -1] for layer in model.hidden_states(step, initial_state=state)]
    print(f"bit {bit}: next is 1 with probability {probability:.3f}")

# %%
# **Try next**: two hidden units, and several seeds: do all learn it? Four random bits before each
# exclusive or of the first and the last: with ``cell="elman"``, and with ``cell="gru"``, which
# remembers longer. Set ``model.recurrent_coefs_[0][:] = 0``: what is left of the accuracy?
