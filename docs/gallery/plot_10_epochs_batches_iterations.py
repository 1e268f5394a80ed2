"""
Epochs, batches and iterations
==============================

An *epoch* is one pass over all training samples. It is cut into *mini-batches* of ``batch_size``
samples. Every batch gives one *iteration*: a gradient, and a step of the weights. This page counts
them, and shows why it matters against which of them a curve is drawn.
"""

# %%
# Counting
# --------
# After ``fit``, ``n_iter_`` is the number of epochs, and ``t_`` the number of samples seen in all
# of them.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)  # we set the number of epochs ourselves

X, y = load_digits(return_X_y=True)
X, y = X[:1600] / 16, y[:1600]
models = {}
print("batch_size  epochs  samples seen  iterations per epoch  iterations   loss")
for batch_size in [16, 160, 1600]:
    model = MLPClassifier((32,), batch_size=batch_size, max_iter=20, random_state=0).fit(X, y)
    models[batch_size] = model
    per_epoch = int(np.ceil(len(X) / batch_size))
    print(f"{batch_size:10}  {model.n_iter_:6}  {model.t_:12}  {per_epoch:20}  "
          f"{per_epoch * model.n_iter_:10}  {model.loss_:.3f}")  # fmt: skip

# %%
# The same losses against two axes
# --------------------------------
# ``loss_curve_`` has one value for each epoch. Against epochs the small batches win by far: they
# make a hundred steps where the single large batch makes one. Against iterations it is the other
# way round at first: an iteration with a large batch is the more exact one, but also costs a
# hundred times the work.
styles = {16: ("#0072B2", "-o"), 160: ("#D55E00", "--s"), 1600: ("#009E73", "-.^")}
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True, layout="constrained")
for batch_size, model in models.items():
    colour, style = styles[batch_size]
    epochs = np.arange(1, 21)
    label = f"batch_size={batch_size}"
    left.plot(epochs, model.loss_curve_, style, color=colour, markersize=4, label=label)
    iterations = epochs * (len(X) // batch_size)
    right.semilogx(iterations, model.loss_curve_, style, color=colour, markersize=4, label=label)
left.set(xlabel="epochs", ylabel="training loss")
right.set(xlabel="iterations")
fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()

# %%
# The data do not have to divide evenly: with 1600 samples and ``batch_size=300`` the last batch has
# 100 samples. Before each epoch the samples are shuffled, so that the batches differ from epoch to
# epoch.
#
# How to choose
# -------------
# The default, 200 samples or all if there are fewer, is a good start. Smaller batches make more
# steps per epoch, and their noisy gradients often help; larger ones use the processor better, and
# allow a higher learning rate.
#
# **Try next**: give the largest batch a rate of ``learning_rate_init=0.03``. How many epochs does
# it need to reach the loss that the smallest has after five?
