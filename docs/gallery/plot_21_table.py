"""
A table as it comes
===================

Real tables mix numbers, text and dates, and have gaps. ``TabularMLPClassifier`` takes them as they
are, and so scikit-learn's tools for inspection work on the columns that people know, not on an
encoded matrix.
"""

# %%
# The table
# ---------
# 1500 invented customers. Whether they stay depends on the income, on the contract and, in one
# city, on the age. The shoe size has nothing to do with it.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.inspection import PartialDependenceDisplay, partial_dependence, permutation_importance
from sklearn.model_selection import train_test_split

from fastmlp import TabularMLPClassifier

rng = np.random.default_rng(0)
n = 1500
df = pd.DataFrame(
    {
        "income": rng.lognormal(10, 0.6, n).round(),
        "age": rng.integers(18, 80, n).astype(float),
        "city": rng.choice(["Bern", "Basel", "Chur"], n),
        "contract": rng.choice(["monthly", "yearly"], n),
        "since": pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, n), unit="D"),
        "shoe_size": rng.integers(36, 47, n).astype(float),
    }
)
score = (
    1.5 * np.log(df["income"] / 22000)
    + np.where(df["contract"] == "yearly", 1.0, -1.0)
    + np.where(df["city"] == "Chur", (df["age"] - 50) / 10, 0)
)
y = np.where(score + rng.logistic(scale=0.4, size=n) > 0, "stays", "leaves")
df.loc[rng.uniform(size=n) < 0.1, "income"] = np.nan
df.loc[rng.uniform(size=n) < 0.1, "city"] = None
print(df.head().to_string())

# %%
# Training
# --------
# Nothing is encoded, scaled or filled in. ``summary`` says what became of each column. Two networks
# instead of the default four, and fewer epochs, keep this page quick.
df_train, df_test, y_train, y_test = train_test_split(df, y, random_state=0)
model = TabularMLPClassifier(n_ensemble=2, max_iter=20, random_state=0).fit(df_train, y_train)
print(model.summary())
print(f"accuracy on test rows: {model.score(df_test, y_test):.3f}")
print(f"of always saying 'leaves': {np.mean(y_test == 'leaves'):.3f}")

# %%
# Which columns matter?
# ---------------------
# Permutation importance shuffles one column of the test rows, and looks how much the accuracy
# falls. What a model does not use can be shuffled without harm; small values of either sign are
# chance.
importance = permutation_importance(model, df_test, y_test, n_repeats=5, random_state=0)
mean, std = importance.importances_mean, importance.importances_std
order = mean.argsort()
for k in order[::-1]:
    print(f"{df.columns[k]:10} {mean[k]:6.3f} +/- {std[k]:.3f}")

fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
ax.barh(df.columns[order], mean[order], xerr=std[order], color="#0072B2", capsize=3)
ax.set(xlabel="accuracy lost when the column is shuffled")
plt.show()

# %%
# How do they matter?
# -------------------
# Partial dependence sets a column to one value in all rows, and averages the predicted probability
# of "stays".
complete = df_test.dropna()
fig, axs = plt.subplots(1, 3, figsize=(8, 3.2), sharey=True, layout="constrained")
PartialDependenceDisplay.from_estimator(
    model, complete, ["income", "age", "contract"], categorical_features=["contract"],
    grid_resolution=20, line_kw={"color": "#0072B2", "linewidth": 2}, ax=axs,
)  # fmt: skip
for ax in axs:
    ax.set(ylabel="", ylim=(0, 1))
for bar in axs[2].patches:
    bar.set_color("#0072B2")
axs[0].set_ylabel("mean probability of 'stays'")
plt.show()

# %%
# The age on average hides that it counts in one city only. Curves by city show it:
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for city, colour, style in [
    ("Bern", "#0072B2", "-"),
    ("Basel", "#D55E00", "--"),
    ("Chur", "#009E73", "-."),
]:
    rows = complete[complete["city"] == city]
    result = partial_dependence(model, rows, ["age"], grid_resolution=20)
    ax.plot(
        result["grid_values"][0], result["average"][0], style, color=colour, linewidth=2, label=city
    )
ax.set(xlabel="age", ylabel="mean probability of 'stays'")
ax.legend(title="city")
plt.show()

# %%
# **Try next**: leave out ``max_iter`` and ``n_ensemble``, and see what the defaults gain. Add a
# column that is nearly a copy of the income: what becomes of the importance of both?
# ``docs/tables.md`` says how the columns are encoded.
