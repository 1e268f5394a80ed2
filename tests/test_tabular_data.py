"""TabularMLPClassifier and TabularMLPRegressor on data as they are: labels, losses, columns."""

import datetime as dt

import narwhals
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from fastmlp import TabularMLPClassifier, TabularMLPRegressor, load
from fastmlp.estimators import tabular
from fastmlp.tables.reading import Kind

random = np.random.RandomState(0)
X = random.normal(size=(60, 3))
k = np.arange(60) % 3


def classifier(**parameters):
    return small(TabularMLPClassifier, parameters)


def regressor(loss="squared_error", **parameters):
    return small(TabularMLPRegressor, {"loss": loss, **parameters})


def small(Estimator, parameters):
    defaults = {
        "n_ensemble": 2, "hidden_layer_sizes": 16, "max_iter": 3, "random_state": 0, "n_jobs": 1
    }  # fmt: skip
    return Estimator(**{**defaults, **parameters})


def frames(columns):
    """The same table in each library."""
    yield pd.DataFrame(columns)
    yield pd.DataFrame(columns, index=np.arange(len(next(iter(columns.values()))))[::-1] + 100)
    yield pl.DataFrame(columns)
    yield narwhals.from_native(pl.DataFrame(columns))


# --- labels --------------------------------------------------------------------------------------

ABC = np.array(["a", "b", "c"])


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (ABC[k], ABC),
        (ABC.astype(object)[k], ABC.astype(object)),
        (ABC[k].tolist(), ABC),
        (pd.Series(ABC[k], index=k), ABC.astype(object)),
        (pd.Series(ABC[k], dtype="category"), ABC.astype(object)),
        (pd.Series(ABC[k], dtype="string"), ABC.astype(object)),
        (pl.Series(ABC[k], dtype=pl.Enum(ABC)), ABC.astype(object)),
        (k * 10 - 10, np.array([-10, 0, 10])),
        (k.astype(np.uint8), np.arange(3, dtype=np.uint8)),
        (k * 1.0, np.array([0.0, 1, 2])),
        (k > 0, np.array([False, True])),
        (pd.Series(k > 0, dtype="boolean"), np.array([False, True])),
        (pd.Series(k, dtype="Int64"), np.arange(3)),
        (pl.Series(k > 0), np.array([False, True])),
        (np.array(["2020", "1960"], "M8[D]")[k // 2], np.array(["1960", "2020"], "M8[D]")),
    ],
    ids=str,
)
def test_labels_of_every_type(y, classes, tmp_path):
    model = classifier(max_iter=30, learning_rate_init=0.02).fit(k[:, None], y)
    assert model.classes_.dtype == classes.dtype
    np.testing.assert_array_equal(model.classes_, classes)
    predicted = model.predict(k[:, None])
    assert predicted.dtype == classes.dtype
    assert predicted.tolist() == np.asarray(y).tolist()
    probabilities = model.predict_proba(k[:, None])
    assert probabilities.shape == (60, len(classes))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    if classes.dtype.kind == "M":
        with pytest.raises(ValueError, match=r"classes_ is an array of datetime64\[D\]"):
            model.save(tmp_path / "model")
        return
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").predict(k[:, None]).dtype == classes.dtype


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.array(["a", None], object)[k // 2], "Some labels in y are missing"),
        (pd.Series(["a", None] * 30, dtype="string"), "Some labels in y are missing"),
        (pl.Series([True, None] * 30), "Some labels in y are missing"),
        (np.array(["2020", "NaT"], "M8[D]")[k // 2], "Some labels in y are missing"),
        (np.array([0, np.nan])[k // 2], "Some labels in y are missing"),
        (np.array(["a", 1], object)[k // 2], "must be all strings, or none"),
        (X[:, 0], "Unknown label type: continuous"),
        (np.full(60, 7), "y has one class, 7: there must be two"),
        (np.c_[k, k], "Multioutput target data is not supported"),
        (np.c_[k > 0, k > 1] * 2, "y must be 0 or 1 for each label"),
        (k[1:], "inconsistent numbers of samples"),
    ],
)
def test_labels_that_are_none(y, text):
    with pytest.raises(ValueError, match=text):
        classifier().fit(X, y)


MANY = np.c_[k > 0, k > 1, k == 0].astype(int)


@pytest.mark.parametrize(
    "y",
    [MANY, MANY > 0, MANY * 1.0, MANY.tolist(), pd.DataFrame(MANY), pl.DataFrame(MANY),
     scipy.sparse.csr_matrix(MANY)],
    ids=lambda y: type(y).__name__,
)  # fmt: skip
def test_several_labels(y):
    model = classifier(max_iter=30, learning_rate_init=0.02).fit(k[:, None], y)
    np.testing.assert_array_equal(model.predict(k[:, None]), MANY)
    assert np.all((model.predict_proba(k[:, None]) > 0.5) == MANY)
    assert model.score(k[:, None], MANY) == 1


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-310, 1e-300, 1e-30, 1e30, 1e300])
def test_targets_of_any_scale(scale):
    z = X[:, 0] / abs(X).max()
    small_scale = regressor().fit(X, z * scale).predict(X)
    np.testing.assert_allclose(small_scale / scale, regressor().fit(X, z).predict(X), atol=1e-3)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_a_constant_target_is_predicted_exactly(loss):
    y = np.c_[np.full(60, 0.1), X[:, 0]]
    assert np.all(regressor(loss).fit(X, y).predict(X)[:, 0] == 0.1)
    assert np.all(regressor(loss).fit(X, y[:, 0]).predict(X) == 0.1)


def test_zeros_of_poisson():
    assert not regressor("poisson").fit(X, np.zeros(60)).predict(X).any()


@pytest.mark.parametrize(
    ("loss", "values", "text"),
    [
        ("poisson", k - 1, "y are out of the valid range of the loss 'poisson': must be >= 0"),
        ("gamma", k, "y are out of the valid range of the loss 'gamma': must be > 0, got 0"),
        ("squared_error", np.where(k, k, np.nan), "Input y contains NaN"),
        ("squared_error", ABC[k], "could not convert string to float"),
    ],
)
def test_targets_out_of_range(loss, values, text):
    with pytest.raises(ValueError, match=text):
        regressor(loss).fit(X, values)


def noisy(n=3000):
    """One of two numbers, and targets whose distribution at it is exponential."""
    state = np.random.RandomState(5)
    x = state.randint(0, 2, n)
    return x[:, None] * 1.0, state.exponential(1 + 3 * x), 1 + 3 * x


@pytest.mark.parametrize(
    ("loss", "factor", "parameters"),
    [
        ("squared_error", 1, {}),
        ("poisson", 1, {}),
        ("gamma", 1, {}),
        ("absolute_error", np.log(2), {}),
        ("quantile", np.log(2), {}),
        ("quantile", -np.log(0.2), {"quantile": 0.8}),
    ],
)
def test_losses_estimate_what_they_are_of(loss, factor, parameters):
    x, y, mean = noisy()
    predicted = regressor(loss, max_iter=30, **parameters).fit(x, y).predict(x)
    for half in (mean == 1, mean == 4):
        assert np.mean(predicted[half]) == pytest.approx(factor * mean[half][0], rel=0.12)


def test_huber_lies_between_mean_and_median():
    x, y, mean = noisy()
    wide, narrow = [
        regressor("huber", max_iter=30, huber_delta=d).fit(x, y).predict(x)[mean == 4].mean()
        for d in (20, 0.02)
    ]
    assert wide == pytest.approx(4, rel=0.12)
    assert narrow == pytest.approx(4 * np.log(2), rel=0.12)


def test_several_quantiles():
    x, y, _ = noisy()
    model = regressor("quantile", quantile=[0.9, 0.1, 0.5], max_iter=30).fit(x[:2000], y[:2000])
    upper, lower, median = model.predict(x[2000:]).T
    assert np.all(lower <= median)
    assert np.all(median <= upper)
    for quantile, share in ((upper, 0.9), (lower, 0.1), (median, 0.5)):
        assert np.mean(y[2000:] <= quantile) == pytest.approx(share, abs=0.05)
    assert model.n_outputs_ == 3
    for one in (0.3, [0.3], np.float32(0.3), np.array([0.3])):
        assert regressor("quantile", quantile=one).fit(X, k).predict(X).shape == (60,)
    with pytest.raises(ValueError, match=r"for one target\. Got 3 targets"):
        model.fit(X, X)
    for wrong in ([], [0.5, 1], 0, "median", [[0.5]]):
        with pytest.raises(ValueError, match="'quantile' parameter"):
            regressor("quantile", quantile=wrong).fit(X, k)
    with pytest.warns(UserWarning, match="Without effect here: quantile"):
        regressor(quantile=[0.1, 0.9]).fit(X, k)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 10, 29, 30])
@pytest.mark.filterwarnings("error")
def test_few_rows(n):
    assert classifier(n_ensemble=4).fit(X[:n], np.arange(n) % 2).predict(X).shape == (60,)
    assert np.isfinite(regressor(n_ensemble=4).fit(X[:n], np.arange(n)).predict(X)).all()


# --- columns -------------------------------------------------------------------------------------


def test_the_same_predictions_from_every_library():
    moments = [dt.datetime(2020, 1, 1) + dt.timedelta(hours=37 * i) for i in range(60)]
    columns = {
        "n": X[:, 0], "i": k * 7, "b": k > 1, "t": ABC[k].tolist(), "d": moments,
        "s": [m.time() for m in moments], "e": [m - moments[0] for m in moments],
        "m": [None if i == 1 else float(i) for i in range(60)],
        "c": [None if i == 1 else "xyz"[i] for i in k],
    }  # fmt: skip
    models = [regressor().fit(table, X[:, 0]) for table in frames(columns)]
    expected = models[0].predict(pd.DataFrame(columns))
    for model in models:
        assert "".join(c.kind.value[0] for c in model.encoder_.columns) == "nnccdddnc"
        for later in frames(columns):
            np.testing.assert_array_equal(model.predict(later), expected)
    rows = pd.DataFrame(columns).to_numpy(dtype=object)
    for later in (rows, rows.tolist()):
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            np.testing.assert_array_equal(models[0].predict(later), expected)


def test_columns_are_taken_by_name():
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    model = regressor().fit(table, k)
    expected = model.predict(table)
    np.testing.assert_array_equal(model.predict(table[["c", "a", "b"]]), expected)
    np.testing.assert_array_equal(model.predict(pl.DataFrame(table)[["b", "c", "a"]]), expected)
    for wrong in (table[["a", "b"]], table.assign(d=1), table.rename(columns={"a": "A"})):
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(wrong)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize(
    "names", [[0, 1, 2], pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]), [1.5, (), None]]
)
def test_names_that_are_no_strings(names):
    model = regressor().fit(pd.DataFrame(X, columns=names), k)
    assert not hasattr(model, "feature_names_in_")
    expected = regressor().fit(X, k).predict(X)
    np.testing.assert_array_equal(model.predict(pd.DataFrame(X, columns=names)), expected)
    assert model.encoder_.names == ["x0", "x1", "x2"]
    with pytest.raises(ValueError, match="X has 2 features"):
        model.predict(pd.DataFrame(X[:, :2]))


def test_names_of_several_types():
    with pytest.raises(TypeError, match="only supported if all input features have string names"):
        regressor().fit(pd.DataFrame(X, columns=["a", 1, 2]), k)


def test_arrays_of_all_layouts(tmp_path):
    np.save(tmp_path / "X.npy", X)
    expected = regressor().fit(X, k).predict(X)
    read_only = X.copy()
    read_only.flags.writeable = False
    same = [
        np.load(tmp_path / "X.npy", mmap_mode="r"), np.asfortranarray(X), read_only,
        np.c_[X, X][:, :3], X.astype(">f8"), X.astype(object), X.astype(str),
        X.tolist(), X.astype(str).tolist(),
    ]  # fmt: skip
    for given in same:
        np.testing.assert_array_equal(regressor().fit(given, k).predict(given), expected)


def test_later_types_that_hold_the_same_values():
    table = pd.DataFrame({"a": k * 1.0, "b": ABC[k], "c": k > 1, "d": pd.Categorical(k)})
    model = regressor().fit(table, k)
    expected = model.predict(table)
    for change in (
        {"a": k}, {"a": pd.array(k, dtype="Int8")}, {"a": k.astype(str)},
        {"b": pd.Categorical(ABC[k])}, {"b": pd.array(ABC[k], dtype="string")},
        {"c": k // 2}, {"c": pd.array(k > 1, dtype="boolean")}, {"d": k}, {"d": k.astype(str)},
        {"d": k * 1.0},
    ):  # fmt: skip
        np.testing.assert_array_equal(model.predict(table.assign(**change)), expected)
    with pytest.raises(ValueError, match="Column 'a' held numbers"):
        model.predict(table.assign(a=ABC[k]))


def test_what_is_unknown_or_missing_at_predict():
    table = pd.DataFrame({"a": X[:, 0], "b": ABC[k]})
    model = regressor().fit(table, k)
    unknown = model.predict(table.assign(b="never seen"))
    for missing in (None, np.nan, pd.NA):
        np.testing.assert_array_equal(model.predict(table.assign(b=missing)), unknown)
    later = table.astype(object)
    later.loc[0, :] = None
    np.testing.assert_array_equal(model.predict(later)[1:], model.predict(table)[1:])
    assert np.isfinite(model.predict(later)).all()
    with_missing = table.copy()
    with_missing.loc[::7, ["a", "b"]] = None
    assert np.isfinite(regressor().fit(with_missing, k).predict(table)).all()


def test_scale_and_outliers_do_not_matter():
    rank = np.argsort(np.argsort(X, axis=0), axis=0) / 30 - 1
    expected = regressor().fit(rank, k)
    outliers = np.where(rank > 0.9, 1e308, rank)
    for table in (rank * 1e300, rank * 1e-300, outliers):
        model = regressor().fit(table, k)
        assert np.isfinite(model.predict(table)).all()
        for found, old in zip(model.encoder_.columns, expected.encoder_.columns, strict=True):
            np.testing.assert_allclose(found.scores[:50], old.scores[:50])
    offset = 1e30 + rank * 1e20
    np.testing.assert_allclose(
        regressor().fit(offset, k).predict(offset),
        expected.predict(rank),
        atol=0.01,
    )


@pytest.mark.filterwarnings("error")
def test_infinite_values():
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table.loc[3, "b"], table.loc[4, "b"] = np.inf, -np.inf
    with pytest.warns(UserWarning, match="Infinite values in 'b': they count as the smallest"):
        model = regressor().fit(table, k)
    assert np.isfinite(model.predict(table)).all()
    assert np.isfinite(model.predict(pd.DataFrame({"a": [np.inf], "b": [-np.inf], "c": [0]}))).all()


def test_columns_that_say_nothing():
    table = pd.DataFrame({"a": X[:, 0], "same": 1, "none": None, "a again": X[:, 0], "text": "x"})
    model = regressor().fit(table, k)
    assert [c is None for c in model.encoder_.columns] == [False, True, True, False, True]
    np.testing.assert_array_equal(
        model.predict(table), model.predict(table.assign(same=7, none="now", text=None))
    )


def test_5000_columns():
    wide = random.normal(size=(40, 5000))
    model = regressor().fit(wide, wide[:, 0])
    assert model.encoder_.width == 5000
    in_polars = regressor().fit(pl.DataFrame(wide), wide[:, 0])
    np.testing.assert_array_equal(in_polars.predict(pl.DataFrame(wide)), model.predict(wide))


def test_many_levels():
    n = 20_000
    table = pd.DataFrame({"id": [f"user {i % 10_000}" for i in range(n)], "x": np.arange(n) % 7})
    model = regressor(max_iter=1).fit(table, np.arange(n) % 7)
    assert model.encoder_.columns[0].n_rare == 9_745
    assert np.isfinite(model.predict(table)).all()


def test_statistics_of_some_of_many_rows(monkeypatch):
    monkeypatch.setattr(tabular, "_STATISTICS_ROWS", 40)
    columns = {"a": X[:, 0], "b": ABC[k].tolist()}
    predicted = [regressor().fit(table, k).predict(table) for table in frames(columns)]
    for other in predicted[1:]:
        np.testing.assert_array_equal(other, predicted[0])
    assert regressor().fit(X, k).encoder_.columns[0].scores.max() < 2.3  # of 40 ranks


def test_chosen_categories():
    table = pd.DataFrame({"code": k, "x": X[:, 0], "day": pd.date_range("2020-01-01", periods=60)})
    for chosen in (["code"], [0], [True, False, False], np.array([0]), pd.Series(["code"])):
        model = regressor(categorical_features=chosen).fit(table, k)
        kinds = [column.kind for column in model.encoder_.columns]
        assert kinds == [Kind.CATEGORY, Kind.NUMBER, Kind.DATE]
        assert model.encoder_.columns[0].levels == ["0", "1", "2"]
    assert (
        regressor(categorical_features=None).fit(table, k).encoder_.columns[0].kind is Kind.NUMBER
    )
    with pytest.raises(ValueError, match=r"Got 'code'"):
        regressor(categorical_features=["code"]).fit(X, k)


def test_tables_of_pyarrow():
    pyarrow = pytest.importorskip("pyarrow")
    table = pd.DataFrame({"a": X[:, 0], "b": ABC[k], "c": k > 1})
    model = regressor().fit(table, k)
    np.testing.assert_array_equal(
        model.predict(pyarrow.Table.from_pandas(table)), model.predict(table)
    )
    strings = table.astype({"b": "string[pyarrow]"})
    np.testing.assert_array_equal(model.predict(strings), model.predict(table))
