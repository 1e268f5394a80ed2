"""Tables as they come: how columns are read, and what numbers they become."""

import datetime as dt
import tracemalloc
import warnings
from decimal import Decimal
from itertools import pairwise

import narwhals
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from scipy.stats import norm, rankdata

from fastmlp.tables import table_encoder
from fastmlp.tables.encodings import (
    PARTS,
    calendar_part,
    fit_categories,
    fit_dates,
    fit_numbers,
)
from fastmlp.tables.reading import Kind, Table
from fastmlp.tables.table_encoder import ENERGY, TableEncoder, fit_encoder


def encode(encoding, values):
    n = len(values[0]) if isinstance(values, tuple) else len(values)
    out = np.full((n, encoding.width), 7, np.float32)
    encoding.encode(values, out)
    return out


def column(values):
    return Table(pd.DataFrame({"a": values}))


def encoder_of(X):
    table = Table(X)
    return fit_encoder(table, [table.kind(i) for i in range(table.width)])


# --- the statistics, beside plain computations ---------------------------------------------------


@pytest.mark.parametrize("n", [2, 7, 900])
def test_a_number_is_its_normal_score(n):
    values = np.random.RandomState(n).randint(0, max(3, n // 3), n).astype(float)
    values[:2] = 0, 1
    found = encode(fit_numbers("a", values, 0), values)
    assert found.shape == (n, 1)
    # the mean rank from 1, less a half
    expected = norm.ppf((rankdata(values) - 0.5) / n)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)


def test_normal_scores_of_many_values_are_interpolated():
    values = np.random.RandomState(0).lognormal(0, 3, 50_000)
    found = encode(fit_numbers("a", values, 0), values)[:, 0]
    expected = norm.ppf((rankdata(values) - 0.5) / len(values))
    inner = abs(expected) < 2.5
    np.testing.assert_allclose(found[inner], expected[inner], atol=0.02)
    assert np.all(np.diff(found[np.argsort(values)]) >= 0)


def plain_bins(values, edges):
    rows = []
    for value in values:
        passed = [(value - a) / (b - a) for a, b in pairwise(edges)]
        rows.append([min(max(share, 0), 1) - 0.5 for share in passed])
    return np.array(rows)


@pytest.mark.parametrize("scale", [1e-300, 1e-40, 1.0, 1e40, 1e300])
def test_quantile_bins_of_any_scale(scale):
    values = np.random.RandomState(1).normal(size=300)
    encoding = fit_numbers("a", values * scale, 8)
    edges = np.quantile(values, np.arange(9) / 8, method="nearest")
    np.testing.assert_allclose(encoding.edges, edges * scale, rtol=1e-12)
    new = np.random.RandomState(2).normal(0, 2, size=100)
    with np.errstate(all="raise"):
        found = encode(encoding, new * scale)
    np.testing.assert_allclose(found[:, 1:], plain_bins(new, edges), atol=1e-6)
    np.testing.assert_allclose(found, encode(fit_numbers("a", values, 8), new), atol=1e-5)


def test_numbers_at_the_ends_of_what_is_a_float():
    tiny = np.array([0, 1, 2, 3, 4]) * 1e-310  # whose reciprocals are infinite
    encoding = fit_numbers("a", tiny, 4)
    assert np.isfinite(encode(encoding, np.array([0.5, 1.5, 2.5, -1, 9]) * 1e-310)).all()
    huge = np.array([-1.7e308, -1, 0, 1, 1.7e308])
    with np.errstate(all="raise"):
        found = encode(fit_numbers("a", huge, 4), np.array([-1e308, 1e308, 0]))
    assert np.isfinite(found).all()
    assert found[0, 0] < found[2, 0] < found[1, 0]


def test_infinite_values_count_as_the_extremes():
    values = np.array([-np.inf, 1, 2, 3, np.inf])
    found = encode(fit_numbers("a", values, 0), values)[:, 0]
    np.testing.assert_allclose(found, norm.ppf((np.arange(5) + 0.5) / 5), atol=1e-6)
    encoding = fit_numbers("a", np.arange(100.0), 4)
    found = encode(encoding, np.array([-np.inf, 0, np.inf, 99]))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], found[3])
    with pytest.warns(UserWarning, match="Infinite values in 'a':"):
        encoder_of(pd.DataFrame({"a": [1, np.inf, 3], "b": [1, 2, 3]}))


def test_missing_numbers_are_zeros_and_told():
    encoding = fit_numbers("a", np.array([1, np.nan, 2, 3, 4.0]), 2)
    found = encode(encoding, np.array([np.nan, 2]))
    np.testing.assert_array_equal(found[0], [0] * (encoding.width - 1) + [1])
    assert found[1, -1] == 0
    complete = fit_numbers("a", np.arange(5.0), 2)  # nothing is missing but later
    assert not encode(complete, np.array([np.nan])).any()
    constant = fit_numbers("a", np.array([3, np.nan]), 16)  # whether it is there tells something
    np.testing.assert_array_equal(encode(constant, np.array([3, np.nan])), [[0, 0], [0, 1]])


@pytest.mark.parametrize("values", [[5.0, 5, 5], [np.nan, np.nan]])
def test_columns_that_say_nothing_are_left_out(values):
    assert fit_numbers("a", np.array(values), 16) is None


def test_bins_where_one_value_has_nearly_all_rows():
    values = np.r_[np.zeros(990), 1:11]
    encoding = fit_numbers("a", values, 16)
    assert len(encoding.edges) >= 3
    assert len(np.unique(encode(encoding, np.arange(11.0)), axis=0)) == 11


def test_categories():
    texts = column(["b", "a", None, "b", "c"]).texts(0)
    encoding = fit_categories("a", texts, 255)
    assert (encoding.levels, encoding.n_rare) == (["a", "b", "c"], 0)
    found = encode(encoding, column(["c", "zzz", None, "a"]).texts(0))
    np.testing.assert_array_equal(found, [[0, 0, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0]])
    two = fit_categories("a", column(["y", "x"]).texts(0), 255)
    np.testing.assert_array_equal(
        encode(two, column(["x", "y", "z", None]).texts(0)), [[-1], [1], [0], [0]]
    )
    assert fit_categories("a", column(["x", "x"]).texts(0), 255) is None
    present = fit_categories("a", column(["x", None]).texts(0), 255)
    np.testing.assert_array_equal(encode(present, column(["x", None]).texts(0)), [[1], [0]])


def test_rare_levels_count_as_unknown():
    texts = column(["a"] * 3 + ["b"] * 2 + ["c"]).texts(0)
    encoding = fit_categories("a", texts, 2)
    assert (encoding.levels, encoding.n_rare) == (["a", "b"], 1)
    np.testing.assert_array_equal(encode(encoding, texts)[[0, 3, 5]], [[1, 0], [0, 1], [0, 0]])
    assert fit_categories("a", column(["c", "b", "a"]).texts(0), 2).levels == ["a", "b"]


def random_moments(n):
    random = np.random.RandomState(3)
    days = random.randint(dt.date(1, 1, 1).toordinal(), dt.date(9999, 12, 31).toordinal(), n)
    moments = [
        dt.datetime.combine(dt.date.fromordinal(int(day)), dt.time.min)
        + dt.timedelta(seconds=int(second), microseconds=int(micro))
        for day, second, micro in zip(
            days, random.randint(0, 86400, n), random.randint(0, 10**6, n), strict=True
        )
    ]
    return [
        *moments,
        dt.datetime(2000, 2, 29, 23, 59, 59, 999999),
        dt.datetime(1968, 2, 29),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999999),
        dt.datetime(1970, 1, 1),
    ]


@pytest.mark.parametrize("part", PARTS)
def test_calendar_parts_are_those_of_datetime(part):
    moments = random_moments(300)
    expected = {
        "time": [(m - dt.datetime(1970, 1, 1)) / dt.timedelta(seconds=1) for m in moments],
        "weekday": [m.weekday() for m in moments],
    }.get(part) or [getattr(m, part) for m in moments]
    found = calendar_part(np.array([*moments, None], "M8[us]"), part)
    np.testing.assert_allclose(found[:-1], expected, rtol=1e-15)
    assert np.isnan(found[-1])


def test_constant_parts_are_left_out_and_what_is_missing_is_told():
    days = np.array(["2020-01-01", "2020-03-05", "NaT"], "M8[us]")
    assert [part.name for part in fit_dates("a", days, 0).parts] == [
        "time", "month", "day", "weekday"
    ]  # fmt: skip
    same = fit_dates("a", days[[0, 0, 2]], 0)
    np.testing.assert_array_equal(encode(same, days[[0, 2]]), [[0, 0], [0, 1]])
    assert fit_dates("a", days[[0, 0]], 0) is None


def test_the_energy_of_the_training_matrix():
    random = np.random.RandomState(0)
    X = pd.DataFrame({
        "n": random.lognormal(0, 5, 500),
        "m": np.where(random.rand(500) < 0.3, np.nan, random.rand(500)),
        "c": random.choice(list("abcde"), 500),
        "d": np.datetime64("2020-01-01") + random.randint(0, 900, 500),
        "same": 1,
    })  # fmt: skip
    encoder = encoder_of(X)
    matrix = encoder.transform(Table(X)).astype(float)
    assert matrix.shape == (500, encoder.width)
    assert ((matrix - matrix.mean(axis=0)) ** 2).sum(axis=1).mean() == pytest.approx(ENERGY)
    assert ENERGY == 256
    assert encoder.columns[4] is None
    assert encoder.summary().splitlines()[5] == "same    left out  constant: says nothing"


# --- what columns are ----------------------------------------------------------------------------

DAY, MOMENT = dt.date(2020, 5, 17), dt.datetime(2020, 5, 17, 13, 45, 30, 123456)
BERLIN = dt.timezone(dt.timedelta(hours=2))
NUMBERS = [
    np.array([1, 2], np.uint8),
    np.array([1, 2], np.float16),
    pd.array([1, None], dtype="Int64"),
    pd.array([1.5, None], dtype="Float32"),
    np.array([Decimal("1.5"), None], object),
    np.array([1, 2.5], object),
    np.array([10**400, None], object),
    np.array([True, 2.5], object),
    pd.arrays.SparseArray([0, 1.0]),
    pl.Series([1, None], dtype=pl.Int8),
    pl.Series([2**100, None], dtype=pl.Int128),
    pl.Series(["1.50", None]).cast(pl.Decimal(10, 2)),
    pl.Series([None, None]),
]
CATEGORIES = [
    np.array(["1", "2"], object),
    pd.array(["a", None], dtype="string"),
    pd.array(["a", None], dtype="str"),
    pd.Categorical(["a", None]),
    pd.Categorical([1, 2]),
    pd.Categorical([1.5, None]),
    np.array([True, False]),
    np.array([True, None], object),
    pd.array([True, None], dtype="boolean"),
    np.array(["a", 1, None], object),
    np.array([b"a", b"b"], object),
    np.array([DAY, dt.timedelta(1)], object),
    pd.interval_range(0, 2),
    pl.Series(["a", None]),
    pl.Series([True, None]),
    pl.Series(["a", None], dtype=pl.Categorical),
    pl.Series(["a", None], dtype=pl.Enum(["a", "b"])),
    pl.Series([b"a", None]),
]
DATES = [
    pd.to_datetime(["2020-05-17", None]),
    pd.to_datetime(["2020-05-17", None]).tz_localize("Asia/Tokyo"),
    pd.to_timedelta(["1h", None]),
    pd.period_range("2020-01", periods=2, freq="M"),
    np.array([DAY, None], object),
    np.array([MOMENT, pd.NaT], object),
    np.array([DAY, MOMENT], object),
    np.array([dt.time(13, 45), None], object),
    np.array([dt.timedelta(1), None], object),
    np.array([np.datetime64("2020-05-17"), np.nan], object),
    pl.Series([DAY, None]),
    pl.Series([MOMENT, None]),
    pl.Series([MOMENT.replace(tzinfo=dt.UTC), None]),
    pl.Series([dt.time(13, 45), None]),
    pl.Series([dt.timedelta(1), None]),
]


def frame(values):
    return (
        pl.DataFrame({"a": values})
        if isinstance(values, pl.Series)
        else pd.DataFrame({"a": values})
    )


OF_FRAMES = {Kind.NUMBER: NUMBERS, Kind.CATEGORY: CATEGORIES, Kind.DATE: DATES}


@pytest.mark.parametrize(
    ("values", "kind"), [(v, kind) for kind in Kind for v in OF_FRAMES[kind]], ids=str
)
def test_kinds_of_a_frames_columns(values, kind):
    table = Table(frame(values))
    assert table.kind(0) is kind
    reader = {Kind.NUMBER: table.numbers, Kind.CATEGORY: table.texts, Kind.DATE: table.dates}
    found = reader[kind](0)
    missing = [value is None or bool(pd.isna(value)) for value in values]
    found = found[0] < 0 if kind is Kind.CATEGORY else pd.isna(found)
    np.testing.assert_array_equal(found, missing)


@pytest.mark.parametrize(
    ("X", "kinds"),
    [
        ([[1, "a"], [2.5, None]], "nc"),
        ([["1", "x"], ["2", "y"]], "nc"),
        (np.array([["1.5", "x"], ["-2e3", "y"]]), "nc"),
        (np.array([[b"1.5", b"x"], [b"2", b"y"]]), "nc"),
        (np.array([["1", 2], [None, "3"]], object), "nn"),
        (np.array([[True], [False]]), "c"),
        ([[True, "a"], [False, "b"]], "cc"),
        ([[MOMENT, dt.timedelta(1)], [None, None]], "dd"),
        (np.array([["2020-01-01"], ["2021-05-05"]], "M8[ns]"), "d"),
        (np.array([[1], [2]], "m8[ns]"), "d"),
    ],
    ids=str,
)
def test_kinds_of_an_arrays_columns(X, kinds):
    table = Table(X)
    assert "".join(table.kind(i).value[0] for i in range(table.width)) == kinds


def test_numbers_that_text_of_an_array_spells():
    table = Table(np.array([["1.5", "nan"], ["-2e3", "inf"]]))
    np.testing.assert_array_equal(table.numbers(0), [1.5, -2000])
    np.testing.assert_array_equal(table.numbers(1), [np.nan, np.inf])
    np.testing.assert_array_equal(column([10**400, -(10**400)]).numbers(0), [np.inf, -np.inf])


def test_equal_values_are_one_level_whatever_their_types():
    values = [1, 1.0, True, np.bool_(True), Decimal("1.0"), "1", b"1", np.float32(1), 1.5]
    values += [Decimal("1.50"), "1.5", None, np.nan, pd.NA, pd.NaT]
    for order in (values, values[::-1]):
        codes, texts = column(np.array(order, object)).texts(0)
        assert sorted(texts) == ["1", "1.5"]
        assert (codes == -1).sum() == 4
    ids = [2**60, 2**60 + 1]  # more digits than a float has
    for given in (
        np.array(ids, object),
        np.array(ids),
        pd.array([*ids, None], dtype="Int64"),
        pl.Series([*ids, None]),
        pl.Series([*ids, None], dtype=pl.Int128),
    ):
        codes, texts = Table(frame(given)).texts(0)
        assert texts == [str(i) for i in ids]
        assert codes.tolist() == [0, 1, -1][: len(given)]


def test_dates_of_all_libraries_are_the_same():
    aware = MOMENT.replace(tzinfo=BERLIN)
    expected = np.array([MOMENT - dt.timedelta(hours=2)], "M8[us]")
    for values in (
        np.array([aware], object),
        pd.to_datetime([aware]),
        pl.Series([aware], dtype=pl.Datetime("ns", "Europe/Berlin")),
        np.array([aware.isoformat()], object),
    ):
        np.testing.assert_array_equal(Table(frame(values)).dates(0), expected)
    for values in (np.array([dt.time(13, 45)], object), pl.Series([dt.time(13, 45)])):
        np.testing.assert_array_equal(
            Table(frame(values)).dates(0), np.array([13 * 60 + 45], "m8[m]")
        )
    month = pd.period_range("2020-03", periods=1, freq="M")
    assert column(month).dates(0)[0] == np.datetime64("2020-03-01")


# --- what is no table, and other values than in fit ----------------------------------------------


@pytest.mark.parametrize(
    ("X", "error", "text"),
    [
        (pd.Series([1, 2]), ValueError, "Expected a 2-dimensional container"),
        (pl.Series([1, 2]), ValueError, "Expected 2D array, got 1D"),
        (np.zeros(3, [("a", float), ("b", int)]), ValueError, "Expected 2D array, got 1D"),
        (None, ValueError, "Expected 2D array"),
        ([[1, 2], [3]], ValueError, "inhomogeneous"),
        (scipy.sparse.eye(3), TypeError, "Sparse data was passed"),
        (pl.LazyFrame({"a": [1]}), TypeError, "Got a LazyFrame: collect it"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "different names. Got 'a' more"),
        (pd.DataFrame({"a": []}), ValueError, r"0 sample\(s\)"),
        (pd.DataFrame(index=[0, 1]), ValueError, r"0 feature\(s\)"),
        (np.zeros((2, 0)), ValueError, r"0 feature\(s\)"),
        (np.ones((2, 2), complex), ValueError, "Complex data not supported"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_table(X, error, text):
    with pytest.raises(error, match=text):
        Table(X)


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ([[1], [2]], TypeError, "Column 'a' holds a list: an argument must be a string"),
        ([{}, {}], TypeError, "Column 'a' holds a dict"),
        ([np.arange(2), None], TypeError, "Column 'a' holds a ndarray"),
        (np.array([1j, 2]), ValueError, "Complex data not supported: column 'a'"),
        (pl.Series([[1], [2]]), TypeError, r"Column 'a' holds List\(Int64\)"),
        (pl.Series([{"b": 1}]), TypeError, "Column 'a' holds Struct"),
    ],
    ids=str,
)
def test_cells_that_are_no_values(values, error, text):
    with pytest.raises(error, match=text):
        encoder_of(frame(values))


@pytest.mark.parametrize(
    ("fitted", "later", "text"),
    [
        ([1, 2], ["x", "2"], "'a' held numbers in `fit`, and now other values: .*'x'"),
        ([1, 2], pd.to_datetime(["2020-01-01", "2020-01-02"]), "'a' held numbers"),
        ([DAY, MOMENT], [1, 2], "'a' held dates in `fit`, and now other values: 1 is no date"),
        ([DAY, MOMENT], ["x", "y"], "'a' held dates in `fit`, and now other values: .*'x'"),
        ([DAY, MOMENT], [DAY, dt.timedelta(1)], "'a' held dates.*some are dates and some are"),
    ],
    ids=str,
)
def test_other_values_than_in_fit(fitted, later, text):
    encoder = encoder_of(pd.DataFrame({"a": fitted}))
    with pytest.raises(ValueError, match=text):
        encoder.transform(column(later))


@pytest.mark.parametrize("values", [[1, 2.5, 3], ["a", "b", "a"], [DAY, MOMENT, DAY]], ids=str)
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_a_later_column_in_which_all_is_missing(values, missing):
    encoder = encoder_of(pd.DataFrame({"a": values}))
    later = np.array([[missing]] * 3, object)
    assert not encoder.transform(Table(pd.DataFrame(later, columns=["a"]))).any()
    assert not encoder.transform(Table(pl.DataFrame({"a": [None] * 3}))).any()
    assert not encoder.transform(column(np.full(3, np.nan))).any()


def test_text_that_spells_numbers_and_numbers_for_each_other():
    numbers = encoder_of(pd.DataFrame({"a": [1.0, 2, 3]}))
    texts = encoder_of(pd.DataFrame({"a": ["1", "2", "3"]}))
    for encoder in (numbers, texts):
        np.testing.assert_array_equal(
            encoder.transform(column([1, 2, 3])), encoder.transform(column(["1", "2", "3"]))
        )
    booleans = encoder_of(pd.DataFrame({"a": [True, False]}))
    for same in ([True, False, None], [1, 0, None], [1.0, 0.0, np.nan]):
        assert np.sign(booleans.transform(column(same))).ravel().tolist() == [1, -1, 0]


def test_narwhals_frames_rows_and_columns():
    table = Table(narwhals.from_native(pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})))
    assert table.rows(np.array([0, 2])).texts(1)[1] == ["x", "z"]
    assert table.select(["b", "a"]).numbers(1).tolist() == [1, 2, 3]
    assert table.rows(slice(1, 2)).n == 1
    assert Table(np.eye(3)).rows(np.array([1])).numbers(1).tolist() == [1]


def test_memory_of_10000_levels_is_bounded(monkeypatch):
    monkeypatch.setattr(table_encoder, "_BLOCK_BYTES", 2**18)
    n = 20_000
    X = pd.DataFrame({"a": [f"user {i % 10_000}" for i in range(n)], "b": np.arange(n)})
    tracemalloc.start()
    encoder = encoder_of(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert encoder.columns[0].width == 255
    assert encoder.columns[0].n_rare == 9_745
    assert peak < 4 * n * encoder.width  # less than the matrix
    matrix = encoder.transform(Table(X))
    assert matrix.var(axis=0, dtype=float).sum() == pytest.approx(ENERGY)


# --- encoders in files ---------------------------------------------------------------------------


def values_of_encoder():
    X = pd.DataFrame({
        "n": [1, 2, np.nan, 4], "c": ["a", "b", "c", None], "same": 1,
        "d": pd.to_datetime(["2020-01-01", "2021-05-05", "2022-03-03", None]),
    })  # fmt: skip
    return X, encoder_of(X).to_values()


def test_an_encoder_is_made_of_values():
    X, values = values_of_encoder()
    assert np.array_equal(
        TableEncoder.from_values(values).transform(Table(X)), encoder_of(X).transform(Table(X))
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("scale"),
        lambda v: v.update(scale=0.0),
        lambda v: v.update(scale=np.nan),
        lambda v: v.update(scale="1"),
        lambda v: v.update(names="ncsd"),
        lambda v: v.update(names=v["names"][1:]),
        lambda v: v.update(names=[1, 2, 3, 4]),
        lambda v: v.update(columns=None),
        lambda v: v["columns"].__setitem__(0, 0),
        lambda v: v["columns"].__setitem__(0, {}),
        lambda v: v["columns"].__setitem__(0, "number"),
        lambda v: v["columns"][0].update(kind="category"),
        lambda v: v["columns"][0].update(kind="zip"),
        lambda v: v["columns"][0].update(kind=[]),
        lambda v: v["columns"][0].pop("edges"),
        lambda v: v["columns"][0].update(more=1),
        lambda v: v["columns"][0].update(name=None),
        lambda v: v["columns"][0].update(tells_missing=5),
        lambda v: v["columns"][0].update(values=v["columns"][0]["values"][:-1]),
        lambda v: v["columns"][0].update(values=v["columns"][0]["values"][::-1]),
        lambda v: v["columns"][0].update(edges=np.array([1.0])),
        lambda v: v["columns"][0].update(edges=[1.0, 2.0]),
        lambda v: v["columns"][0].update(scores=v["columns"][0]["scores"] * np.nan),
        lambda v: v["columns"][1].pop("levels"),
        lambda v: v["columns"][1].update(levels="abc"),
        lambda v: v["columns"][1].update(levels=["a", 1]),
        lambda v: v["columns"][1].update(levels=["a", "a"]),
        lambda v: v["columns"][1].update(levels=[]),
        lambda v: v["columns"][1].update(n_rare="no"),
        lambda v: v["columns"][3].update(parts=[]),
        lambda v: v["columns"][3].update(parts=7),
        lambda v: v["columns"][3].update(parts=[v["columns"][1]]),
        lambda v: v["columns"][3]["parts"][0].update(name="century"),
    ],
)
def test_forged_encoders(change):
    _, values = values_of_encoder()
    change(values)
    with pytest.raises(ValueError, match=r"is no encod|not whole|is no str"):
        TableEncoder.from_values(values)


# --- values that are spelled as text -------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ([f"{i / 7:.3f}" for i in range(100)], "numbers as text.*pandas.to_numeric"),
        (pd.date_range("2024", periods=100).astype(str), "dates as text.*pandas.to_datetime"),
    ],
)
def test_a_text_column_of_numbers_or_dates_is_told_of(values, what):
    X = pd.DataFrame({"spelled": values, "b": np.arange(100)})
    with pytest.warns(UserWarning, match=f"Column 'spelled' holds {what}"):
        encoder_of(X)


def test_text_that_is_meant_as_it_is_gives_no_warning():
    n = 100
    X = pd.DataFrame({
        "few codes": [f"{i % 20}" for i in range(n)],
        "category": pd.Categorical([f"{i}" for i in range(n)]),
        "names": [f"user {i}" for i in range(n)],
        "some numbers": [f"{i}" if i else "none" for i in range(n)],
    })  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder_of(X)
