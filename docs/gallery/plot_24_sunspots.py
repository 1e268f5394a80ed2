"""
Sunspots, one year ahead
========================

Sunspots come and go in cycles of some eleven years, which are higher at times and lower at others.
A recurrent network predicts the number of each year from those before. Does it do better than
simple methods? The comparison is on years that nothing was fitted to.
"""

# %%
# The series
# ----------
# The mean numbers of sunspots of the years 1700 to 2008, from the National Geophysical Data Center
# (public domain; the file lies in the folder ``data`` beside this page in the repository). Models
# are fitted to the years up to 1920, and tested on the 88 that follow. Large numbers spread more
# than small ones: their square roots are easier to predict.
import matplotlib.pyplot as plt
import numpy as np

from fastmlp import RNNRegressor

years, spots = np.loadtxt("data/sunspots.csv", delimiter=",", skiprows=3, unpack=True)
n_train, n_test = np.sum(years <= 1920), np.sum(years > 1920)
roots = np.sqrt(spots)
print(f"{n_train} years to fit, {n_test} to test")


def error(predicted):
    """The root mean squared error on the last years, in sunspots."""
    return np.sqrt(np.mean((predicted - spots[-len(predicted) :]) ** 2))


# %%
# Two simple methods
# ------------------
# *Persistence*: next year is as this year. *Autoregression*: next year is a linear function of the
# last nine years, fitted by least squares. Yule invented it in 1927 for this very series, with two
# years.


def autoregression(series, order, n_fit):
    """Predictions of all values after the first n_fit, each from those before it."""
    last = np.lib.stride_tricks.sliding_window_view(series, order)[:-1]
    A = np.column_stack([np.ones(len(last)), last])
    n = n_fit - order
    return A[n:] @ np.linalg.lstsq(A[:n], series[order:][:n])[0]


results = {
    "persistence": spots[n_train - 1 : -1],
    "AR(9)": autoregression(spots, 9, n_train),
    "AR(9) of roots": autoregression(roots, 9, n_train) ** 2,
}

# %%
# The recurrent network
# ---------------------
# Its input is one number per year, not nine: what it needs of the years before it has to keep in
# its state. It is trained to predict the next value at each step, on overlapping pieces of 22
# years, as the whole series would be a single sample. For the test it runs through the series once,
# from the first year to the last, and so has seen all years before the one that it predicts.
#
# With some 200 numbers any network overfits sooner or later. After how many epochs it is to stop,
# and which cell is better, the last 88 years before 1921 decide, not the test.


def network(series, n_fit, seeds=3, **parameters):
    """Mean predictions of some networks of all values after the first n_fit."""
    centre, scale = series[:n_fit].mean(), series[:n_fit].std()
    z = (series - centre) / scale
    pieces = np.lib.stride_tricks.sliding_window_view(z[:n_fit], 23)[::3, :, np.newaxis]
    predicted = [
        RNNRegressor(
            (8,), batch_size=8, clip_norm=1.0, learning_rate="one_cycle", learning_rate_init=0.01,
            random_state=seed, **parameters,
        )
        .fit(pieces[:, :-1], pieces[:, 1:])
        .predict(z[np.newaxis, :-1, np.newaxis])[0, n_fit - 1 :]
        for seed in range(seeds)
    ]  # fmt: skip
    return np.mean(predicted, axis=0) * scale + centre


choices = [{"cell": c, "max_iter": n} for c in ("elman", "gru") for n in (50, 150, 450)]
errors = []
for parameters in choices:
    predicted = network(roots[:n_train], n_train - 88, **parameters) ** 2
    errors.append(np.sqrt(np.mean((predicted - spots[n_train - 88 : n_train]) ** 2)))
    print(f"{parameters}: error before 1921 {errors[-1]:.1f}")
best = choices[np.argmin(errors)]

# %%
# The test
# --------
results["network"] = network(spots, n_train, **best)
results["network of roots"] = network(roots, n_train, **best) ** 2
errors = {name: error(predicted) for name, predicted in results.items()}
for name, value in errors.items():
    print(f"{name:16} error {value:5.1f}")

blue, vermillion = "#0072B2", "#D55E00"
fig, (top, bottom) = plt.subplots(
    2, 1, figsize=(7.5, 5.6), layout="constrained", gridspec_kw={"height_ratios": [3, 2]}
)
top.plot(years[-88:], spots[-88:], "o", color="grey", markersize=3, label="sunspots")
top.plot(years[-88:], results["AR(9) of roots"], "--", color=vermillion, label="AR(9) of roots")
top.plot(years[-88:], results["network of roots"], "-", color=blue, label="network of roots")
top.set(xlabel="year", ylabel="sunspots", title="One year ahead")
top.legend(loc="upper left", ncols=3)
top.set_ylim(top=240)
colours = ["#b3b3b3", vermillion, vermillion, blue, blue]
bars = bottom.barh(list(errors), list(errors.values()), color=colours)
bottom.bar_label(bars, fmt="%.1f", padding=3)
bottom.invert_yaxis()
bottom.set(xlabel="root mean squared error, 1921 to 2008", xlim=(0, 34))
plt.show()

# %%
# The network found by itself, from one number per year, about what the nine coefficients say, and
# no more: on the roots, which even out the spread, the linear model is better. A series as short
# and as regular as this one leaves little to a network. Always compare with the simple methods.
#
# What the state has kept
# -----------------------
# The states of the hidden units swing with the cycle, each in a phase of its own: together they say
# where in the cycle a year is, which its number alone does not.
z = (roots - roots[:n_train].mean()) / roots[:n_train].std()
pieces = np.lib.stride_tricks.sliding_window_view(z[:n_train], 23)[::3, :, np.newaxis]
model = RNNRegressor(
    (8,), batch_size=8, clip_norm=1.0, learning_rate="one_cycle", learning_rate_init=0.01,
    random_state=0, **best,
).fit(pieces[:, :-1], pieces[:, 1:])  # fmt: skip
(states,) = model.hidden_states(z[np.newaxis, :, np.newaxis])
fig, (top, bottom) = plt.subplots(
    2, 1, figsize=(7.5, 3.8), sharex=True, layout="constrained",
    gridspec_kw={"height_ratios": [1, 2]},
)  # fmt: skip
top.plot(years[-88:], spots[-88:], color="grey")
top.set(ylabel="sunspots")
edges = (years[-88] - 0.5, years[-1] + 0.5, 7.5, -0.5)
image = bottom.imshow(states[0, -88:].T, cmap="RdBu", vmin=-1, vmax=1, aspect="auto", extent=edges)
bottom.set(xlabel="year", ylabel="hidden unit", yticks=range(8))
fig.colorbar(image, ax=bottom, label="state")
plt.show()

# %%
# **Try next**: predict two years ahead (``y = pieces[:, 2:]``); go on by yourself: begin with the
# states and the prediction of 2008, feed each prediction back as the next input with
# ``initial_state``, and compare with what came (solar maxima were in 2014 and 2024). Fit the
# autoregression to more years, or give it 20 coefficients.
