"""
Vanishing and exploding gradients, and dead units
=================================================

In a deep network the gradient passes through many layers on its way back. If each makes it a
little smaller, nothing arrives at the first layers; if each makes it larger, it explodes. And a
unit that is zero for every sample passes on nothing at all. On this page the three are seen,
diagnosed and cured.
"""

# %%
# Three networks that do not learn
# --------------------------------
# All of them have eight hidden layers. The first one has logistic units, the second one first
# weights that are four times too large, and the third one a learning rate that is far too high.
# With ``diagnostics=True`` a fit records, epoch by epoch, what happens in each layer.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from fastmlp import MLPClassifier
from fastmlp.inspection import GradientFlowDisplay, diagnose

warnings.simplefilter("ignore", UserWarning)  # that training fails is what we want to see

X, y = load_digits(return_X_y=True)
X = X / 16


def large(shape, rng):
    """First weights that are four times too large, biases zero."""
    if len(shape) == 2:
        return rng.normal(scale=4 / np.sqrt(shape[0]), size=shape)
    return np.zeros(shape)


common = {
    "hidden_layer_sizes": (32,) * 8, "diagnostics": True, "max_iter": 20, "n_iter_no_change": 20,
    "random_state": 0,
}  # fmt: skip
ill = {
    "vanishing": MLPClassifier(activation="logistic", **common),
    "exploding": MLPClassifier(init=large, **common),
    "dead units": MLPClassifier(learning_rate_init=0.1, **common),
}
for name, model in ill.items():
    model.fit(X, y)
    print(f"{name:10} accuracy after 20 epochs {model.score(X, y):.2f}")


# %%
# Seen: the gradients
# -------------------
# The size of the gradient in each layer, from epoch to epoch; layer 9 is the output.
def draw(models):
    fig, axs = plt.subplots(1, 3, figsize=(9, 3.4), sharey=True, layout="constrained")
    for ax, (name, model) in zip(axs, models.items(), strict=True):
        GradientFlowDisplay.from_estimator(model, ax=ax, name=name)
        ax.set_ylim(1e-6, 1e4)
        ax.get_legend().remove()
        ax.label_outer()
    fig.legend(*axs[0].get_legend_handles_labels(), loc="outside right center")
    plt.show()


draw(ill)

# %%
# Of the first network next to nothing arrives at the first layers: the slope of the logistic
# function is at most 1/4, and eight layers multiply eight such slopes. What is left there is the
# gradient of the penalty ``alpha``. In the second network the gradients are larger by orders of
# magnitude in all layers. Those of the third one look harmless.
#
# Seen: the units
# ---------------
# A unit with ``'relu'`` is dead if it is zero for every sample: its slope is zero too, and it
# learns nothing unless the layers below it change. A learning rate that is too high pushes units
# there. The network may still do something with the others, but it is smaller than it looks.
styles = [("#0072B2", "o-"), ("#D55E00", "s--"), ("#009E73", "^-.")]
fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for (name, model), (colour, style) in zip(ill.items(), styles, strict=True):
    dead = model.diagnostics_["dead"][:, :-1].mean(axis=1)  # of the hidden layers
    ax.plot(range(1, 21), dead, style, color=colour, markersize=4, label=name)
    print(f"{name:10} dead units {dead[-1]:.0%}")
ax.set(xlabel="epoch", ylabel="share of dead units", ylim=(-0.05, 1), xticks=range(0, 21, 5))
ax.legend(title="network", loc="center right")
plt.show()

# %%
# Diagnosed
# ---------
# ``diagnose`` looks for all this, and for more, such as inputs that are not scaled. It says what it
# has seen, the most likely cause first, and what helps. Layers are counted from 0 here.
findings = {name: diagnose(model, X, y) for name, model in ill.items()}
for name, found in findings.items():
    print(name, found, sep="\n", end="\n\n")

# %%
# Cured
# -----
# ``apply`` makes a copy of the network with the remedy of a finding. We take the first finding of
# each, train the copies, and look at their gradients: now they have about the same size in all
# layers.
cured = {name: found[0].apply(ill[name]).fit(X, y) for name, found in findings.items()}
for name, model in cured.items():
    print(f"{name:10} accuracy {ill[name].score(X, y):.2f} before, {model.score(X, y):.2f} after; "
          f"diagnosis: {diagnose(model, X, y)}")  # fmt: skip
draw(cured)

# %%
# ===================  ======================================================================
# vanishing            relu and its relatives, ``init="auto"``, fewer layers
# exploding            ``init="auto"``, ``clip_norm=1``, a lower rate, inputs of about size one
# dead units           a lower rate, ``'leaky_relu'``, ``'elu'`` or ``'gelu'``
# ===================  ======================================================================
#
# **Try next**: give the exploding network ``clip_norm=1`` and nothing else. Is it cured, or does it
# only survive? Which part of the remedy do the dead units need: the rate, or the activation? Put
# ``'tanh'`` with ``init="auto"`` next to the logistic network.
