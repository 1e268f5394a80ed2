"""
A search on many cores
======================

A search trains hundreds of networks that do not wait for each other. joblib shares them out among
threads, processes, or the machines of a Dask cluster, and the search itself stays as it is.
"""

# %%
# The search
# ----------
# Forty settings, drawn at random: the rate of learning over three powers of ten, the penalty over
# five, and the width of the hidden layer. Each is judged by cross-validation, which makes 120 fits.
import joblib
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import loguniform
from sklearn.datasets import load_digits
from sklearn.model_selection import RandomizedSearchCV

from fastmlp import MLPClassifier

X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
widths = [8, 32, 128]
search = RandomizedSearchCV(
    MLPClassifier(learning_rate="one_cycle", max_iter=10, random_state=0),
    {
        "learning_rate_init": loguniform(1e-4, 1e-1),
        "alpha": loguniform(1e-5, 1),
        "hidden_layer_sizes": [(width,) for width in widths],
    },
    n_iter=40,
    cv=3,
    scoring="neg_log_loss",
    random_state=0,
    n_jobs=2,
)

# %%
# Where it runs
# -------------
# With Dask (``pip install "fastmlp[dask]"``) the fits go to the workers of the client that was made
# last. Here that is a cluster of two threads within this process; ``Client("host:8786")`` would be
# one of many machines. Without Dask the same search runs on joblib's own threads.
try:
    from distributed import Client, LocalCluster
except ImportError:
    print("on joblib's threads, for Dask is not installed")
    with joblib.parallel_config("threading"):
        search.fit(X, y)
else:
    cluster = LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
    )
    with cluster, Client(cluster), joblib.parallel_config("dask"):
        search.fit(X, y)
    print("on a Dask cluster")
print(f"best log loss {-search.best_score_:.3f}, with")
for name, value in search.best_params_.items():
    print(f"  {name} = {value if isinstance(value, tuple) else format(value, '.2g')}")

# %%
# A worker runs as many fits at once as it has threads. Together they use no more threads than the
# process may have: fits side by side share them.
#
# What was found
# --------------
# Each point is one setting. Within ten epochs the rate of learning matters most: with less than
# 0.005 hardly anything is learned. Then comes the width, for wider networks learn more at any
# rate. The penalty, which is not shown, hardly matters here.
results = search.cv_results_
rates = np.array(results["param_learning_rate_init"], dtype=float)
losses = -results["mean_test_score"]
of_width = np.array([sizes[0] for sizes in results["param_hidden_layer_sizes"]])

fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for width, colour, marker in zip(widths, ["#0072B2", "#E69F00", "#009E73"], "os^", strict=True):
    these = of_width == width
    ax.scatter(rates[these], losses[these], color=colour, marker=marker, label=f"{width} units")
ax.scatter(
    rates[search.best_index_], losses[search.best_index_], s=220, facecolors="none",
    edgecolors="black", label="the best",
)  # fmt: skip
ax.set(xscale="log", yscale="log", xlabel="learning_rate_init", ylabel="log loss, cross-validated")
ax.legend()
plt.show()

# %%
# **Try next**: colour the points by ``alpha`` instead. Then leave out ``processes=False``: the
# workers become processes, which a script must start from within ``if __name__ == "__main__":``.
