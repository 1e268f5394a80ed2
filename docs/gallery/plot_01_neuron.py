"""
A neuron and the perceptron
===========================

An artificial neuron multiplies each input by a weight, adds the products and a bias, and compares
the sum with a threshold. Rosenblatt's perceptron learns the weights from its mistakes. On this
page one neuron tells two kinds of iris apart by their sepals.
"""

# %%
# What a neuron computes
# ----------------------
# We take the first 100 flowers of the iris data: 50 of the kind *setosa* (class 0) and 50 of the
# kind *versicolor* (class 1). The two inputs are the length and the width of a sepal in
# centimetres, as differences from their means.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris

from fastmlp import Perceptron

X, y = load_iris(return_X_y=True)
X, y = X[:100, [0, 1]], y[:100]
X = X - X.mean(axis=0)

weights, bias = np.array([0.5, -1.0]), 0.1
flower = X[0]
print("inputs:             ", flower.round(2))
print("weights times inputs:", (weights * flower).round(2))
z = weights @ flower + bias
print("weighted sum z:     ", z.round(2))
print("class, 1 if z > 0:  ", int(z > 0))

# %%
# The points where the weighted sum is exactly zero form a straight line. On one side of it the
# neuron says 1, on the other side 0. The weights determine the direction of the line, the bias how
# far it is from the origin.
#
# Learning from mistakes
# ----------------------
# The perceptron starts from zero weights and goes through the samples one by one. Where the class
# is right, nothing happens. Where it is wrong, the inputs times the step size ``eta0`` are added to
# the weights, or subtracted from them, which moves the line so that this sample comes nearer to its
# right side.
#
# We give the samples to ``partial_fit`` one at a time, and note when the weights have changed. The
# loop ends after an epoch, which is a pass over all samples, without a mistake.
order = np.random.default_rng(0).permutation(len(X))
perceptron = Perceptron(eta0=0.1)
w, mistakes, found_one = np.zeros(3), [], True
while found_one:
    found_one = False
    for i in order:
        perceptron.partial_fit(X[i : i + 1], y[i : i + 1], classes=[0, 1])
        new = np.append(perceptron.coef_, perceptron.intercept_)
        if (new != w).any():
            found_one = True
            w = new
            mistakes.append((i, w))
            print(f"mistake {len(mistakes)}: w = {w[:2].round(3)}, b = {w[2]:.1f}, "
                  f"accuracy now {perceptron.score(X, y):.2f}")  # fmt: skip

# %%
# The pictures show the line after each mistake, and a ring around the sample that caused it. Each
# step looks at one sample only and may be bad for others. If a line separates the classes, as it
# does here, the number of mistakes is nevertheless finite, and the last picture makes none.
blue, vermillion = "#0072B2", "#D55E00"
fig, axs = plt.subplots(1, len(mistakes), figsize=(8, 2.7), sharey=True, layout="constrained")
across = np.array([-1.5, 2.0])
for number, (ax, (i, (w1, w2, b))) in enumerate(zip(axs, mistakes, strict=True), start=1):
    ax.scatter(*X[y == 0].T, s=14, c=blue, marker="o", label="setosa")
    ax.scatter(*X[y == 1].T, s=14, c=vermillion, marker="^", label="versicolor")
    ax.scatter(*X[i], s=120, facecolors="none", edgecolors="black", linewidths=1.5)
    ax.plot(across, -(w1 * across + b) / w2, color="black")
    ax.set(title=f"after mistake {number}", xlabel="sepal length")
    ax.set(xlim=across, ylim=(-1.3, 1.5))
axs[0].set_ylabel("sepal width")
fig.legend(*axs[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
plt.show()

# %%
# **Try next**: take the kinds *versicolor* and *virginica*, ``X[50:]`` and ``y[50:] - 1``. No line
# separates them, and so the loop above would not end: limit the number of epochs. The next page
# shows a rule that settles even then.
