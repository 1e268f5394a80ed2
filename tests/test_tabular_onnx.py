"""Ensembles on tables as ONNX models, held against onnxruntime."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmlp
from fastmlp import TabularMLPClassifier, TabularMLPRegressor
from tests.test_convert import run_onnx

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

OPTIONS = {"n_ensemble": 2, "hidden_layer_sizes": (9, 7), "max_iter": 4, "random_state": 0}
N = 240

pytestmark = [
    pytest.mark.filterwarnings("ignore:Infinite values"),
    pytest.mark.filterwarnings("ignore:invalid value encountered"),
]


def mixed_table(n=N, seed=0):
    """Numbers with outliers, infinite and missing ones, text, booleans, dates, durations."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame({"size": random.lognormal(0, 3, n), "age in years": random.normal(size=n)})
    table.loc[::17, "size"] = np.nan
    table.loc[5::40, "size"] = np.inf
    table.loc[6::40, "size"] = -np.inf
    table.loc[7::40, "size"] = 1e12
    table["rooms"] = random.integers(0, 7, n)
    table["single"] = random.normal(size=n).astype(np.float32)
    table["town"] = random.choice(["Ulm", "Jena", "Köln", "3", "3.5"], n)
    table.loc[::11, "town"] = None
    table["heating"] = random.choice(["gas", "oil"], n)
    table["garden"] = random.random(n) < 0.4
    table["nothing"] = 1.0
    seconds = random.integers(-4_000_000_000, 4_000_000_000, n)  # from 1843 on
    table["sold"] = seconds.astype("M8[s]").astype("M8[us]") + random.integers(0, 10**6, n)
    table.loc[::13, "sold"] = pd.NaT
    table["took"] = random.integers(0, 10**9, n).astype("m8[ms]")
    return table


def targets(table, task, seed=1):
    random = np.random.default_rng(seed)
    z = np.nan_to_num(table["age in years"].to_numpy()) + (table["town"] == "Ulm") * 1.0
    z += 0.3 * random.normal(size=len(table)) + table["sold"].dt.month.fillna(0).to_numpy() / 6
    z = z.to_numpy()
    return {
        "regression": 1000 + 50 * z,
        "outputs": np.c_[z, -3 * z + 1],
        "positive": np.exp(z),
        "binary": np.where(z > np.median(z), "yes", "no"),
        "multiclass": np.digitize(z, np.quantile(z, [0.3, 0.7])) - 1,
        "multilabel": np.c_[z > 0, z > 1, z < 0.5].astype(int),
    }[task]


def feeds(session, table):
    """The columns of a frame as the inputs of a session."""
    columns = {}
    for put in session.get_inputs():
        values = table[put.name].to_numpy()
        if values.dtype.kind in "mM":
            values = values.astype(f"{values.dtype.kind}8[us]").astype(np.int64)
        elif put.type == "tensor(string)":
            values = np.array([cell if isinstance(cell, str) else "" for cell in values], object)
        elif put.type == "tensor(double)":
            values = values.astype(np.float64)
        columns[put.name] = values.reshape(-1, 1)
    return columns


def run(model, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    given = inputs if isinstance(inputs, dict) else feeds(session, inputs)
    results = dict(zip(names, session.run(None, given), strict=True))
    for output in session.get_outputs():  # declared as they are
        assert output.shape == ["N", *results[output.name].shape[1:]]
    return results


def assert_same(results, model, X):
    near = {"rtol": 1e-5, "atol": 1e-5, "strict": True}
    if isinstance(model, TabularMLPRegressor):
        scale = np.abs(model._scale).max()  # of y
        predicted = model.predict(X).reshape(len(X), -1) / scale
        np.testing.assert_allclose(results.pop("variable") / scale, predicted, **near)
    else:
        np.testing.assert_array_equal(results.pop("label"), model.predict(X))
        np.testing.assert_allclose(results.pop("probabilities"), model.predict_proba(X), **near)
    assert not results


# --- every task ----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_classifiers(task):
    table = mixed_table()
    model = TabularMLPClassifier(**OPTIONS).fit(table, targets(table, task))
    new = mixed_table(seed=2)
    assert_same(run(model.to_onnx(X=new), new), model, new)


@pytest.mark.parametrize(
    ("task", "parameters"),
    [
        ("regression", {}),
        ("outputs", {}),
        ("regression", {"loss": "quantile", "quantile": [0.9, 0.1, 0.5]}),
        ("positive", {"loss": "gamma"}),
    ],
)
def test_regressors(task, parameters):
    table = mixed_table()
    model = TabularMLPRegressor(**OPTIONS | parameters).fit(table, targets(table, task))
    new = mixed_table(seed=2)
    assert_same(run(model.to_onnx(X=new), new), model, new)


# --- what the columns become ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    table = mixed_table()
    return TabularMLPRegressor(**OPTIONS).fit(table, targets(table, "regression"))


def test_the_types_of_the_inputs(model):
    def types(X):
        content = model.to_onnx(X=X).SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return {put.name: put.type.removeprefix("tensor(")[:-1] for put in session.get_inputs()}

    text, double = "string", "double"
    expected = {
        "size": double, "age in years": double, "rooms": double, "single": double, "town": text,
        "heating": text, "garden": text, "nothing": double, "sold": "int64", "took": "int64",
    }  # fmt: skip
    assert types(None) == expected
    by_X = {"rooms": "int64", "single": "float", "garden": "bool"}
    assert types(mixed_table(1)) == expected | by_X


def test_unseen_missing_and_extreme_values(model):
    new = mixed_table(40, seed=3)
    new["garden"] = new["garden"].astype(object)
    new.loc[:2, "garden"] = None
    new.loc[3:9, "town"] = ["Rom", "", "3.0", "5", "ulm", None, "Köln"]
    new.loc[10:15, "age in years"] = [np.inf, -np.inf, np.nan, 1e300, -1e300, 5e-324]
    found = run(
        model.to_onnx(), new.assign(garden=new["garden"].map({True: "1", False: "0"}).fillna(""))
    )
    assert_same(found, model, new)


def test_dates_before_1970_and_leap_days():
    days = [
        "1582-10-15",
        "1600-02-29",
        "1899-12-31",
        "1900-02-28",
        "1900-03-01",
        "1969-12-31T23:59",
    ]
    days += [
        "1970-01-01",
        "1972-02-29",
        "2000-02-29T12:34:56.789",
        "2100-03-01",
        "0001-01-01",
        "NaT",
    ]
    dates = np.array(days, "M8[us]")
    random = np.random.default_rng(0)
    many = np.arange(N) * np.timedelta64(31_234_567_890_123, "us") + dates[0]
    table = pd.DataFrame({"when": np.append(many, dates)})
    y = random.normal(size=len(table))
    regressor = TabularMLPRegressor(**OPTIONS).fit(table, y)
    assert [part.name for part in regressor.encoder_.columns[0].parts][:4] == [
        "time", "year", "month", "day",
    ]  # fmt: skip
    assert_same(run(regressor.to_onnx(), table), regressor, table)


def test_values_of_the_interpolation_table_and_between():
    """A jump of the normal score shows where a value is taken for its neighbour."""
    x = np.repeat([-1e308, -3.0, 0.0, 1e-300, 2.0, 1e308], 20)
    table = pd.DataFrame({"x": x, "z": np.arange(120.0) ** 3})
    regressor = TabularMLPRegressor(**OPTIONS).fit(table, x.argsort() * 1.0)
    between = np.r_[x[::20], np.nextafter(x[::20], 0), np.nextafter(x[::20], 9), -2, 1, 1e200]
    new = pd.DataFrame({"x": between, "z": np.linspace(-9, 2e6, len(between))})
    assert_same(run(regressor.to_onnx(), new), regressor, new)


def test_numbers_that_are_codes():
    table = mixed_table()[["rooms", "age in years"]].assign(half=lambda t: t["rooms"] / 2)
    y = targets(mixed_table(), "regression")
    chosen = ["rooms", "half"]
    codes = TabularMLPRegressor(**OPTIONS, categorical_features=chosen).fit(table, y)
    table.loc[:3, "half"] = [np.nan, 77, -0.0, 0.1]
    assert_same(run(codes.to_onnx(X=table), table), codes, table)
    text = table.map(lambda cell: "" if np.isnan(cell) else f"{cell + 0:g}").assign(
        **{"age in years": table["age in years"]}
    )
    assert_same(run(codes.to_onnx(), text), codes, table)
    array = table.to_numpy()
    codes = TabularMLPRegressor(**OPTIONS, categorical_features=[0, 2]).fit(array, y)
    assert_same(run_onnx(codes.to_onnx(X=array), array), codes, array)
    assert [put.name for put in codes.to_onnx().graph.input] == ["x0", "x1", "x2"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_an_array_is_one_input(dtype):
    random = np.random.default_rng(0)
    X = (10 * random.normal(size=(N, 5))).astype(dtype)
    X[:, 2] = 1
    if dtype is not np.int64:
        X[::9, 1] = np.nan
    model = TabularMLPClassifier(**OPTIONS).fit(X, X[:, 0] > 0)
    assert_same(run_onnx(model.to_onnx(X=X), X), model, X)
    assert_same(run_onnx(model.to_onnx(), X.astype(np.float64)), model, X)


def test_an_array_of_objects_has_an_input_for_each_column():
    table = mixed_table()[["age in years", "town", "sold"]]
    X = table.to_numpy(object)
    model = TabularMLPClassifier(**OPTIONS).fit(X, targets(mixed_table(), "binary"))
    named = table.set_axis(["x0", "x1", "x2"], axis=1)
    assert_same(run(model.to_onnx(X=X), named), model, X)
    assert model.to_onnx() == model.to_onnx(X=X)


def test_a_frame_of_polars():
    polars = pytest.importorskip("polars")
    table = mixed_table()
    frame = polars.DataFrame({name: table[name].to_numpy() for name in table if name != "town"})
    frame = frame.with_columns(town=polars.Series(table["town"].tolist(), strict=False))
    model = TabularMLPClassifier(**OPTIONS).fit(frame, targets(table, "multiclass"))
    assert_same(run(model.to_onnx(X=frame[:1]), frame), model, frame)


# --- files, members, errors ----------------------------------------------------------------------


def test_the_function_is_the_method(model, tmp_path):
    table = mixed_table(3)
    written = fastmlp.to_onnx(model, tmp_path / "model", table)
    assert written == model.to_onnx(X=table)
    assert (tmp_path / "model").read_bytes() == written.SerializeToString()
    assert fastmlp.to_onnx(model) == model.to_onnx()
    assert model.to_onnx(X=table[table.columns[::-1]]) == written  # columns are taken by name


def test_a_loaded_model_is_written_the_same(model, tmp_path):
    model.save(tmp_path / "model")
    assert fastmlp.load(tmp_path / "model").to_onnx() == model.to_onnx()


def test_a_member_is_a_network_as_any_other(model):
    member, table = model.estimators_[0], mixed_table()
    encoded = model.encoder_.transform(model._table(table))
    found = run_onnx(member.to_onnx(), encoded)["variable"]
    np.testing.assert_allclose(found[:, 0], member.predict(encoded), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="MLPRegressor lacks activation='mish'"):
        member.to_sklearn()


def test_what_cannot_be_written(model):
    table, y = mixed_table(), targets(mixed_table(), "binary")
    with pytest.raises(NotFittedError):
        TabularMLPClassifier().to_onnx()
    with pytest.raises(ValueError, match="feature names"):
        model.to_onnx(X=table.rename(columns={"town": "city"}))
    with pytest.raises(ValueError, match="held numbers in `fit`"):
        model.to_onnx(X=table.assign(size="large"))
    named = table[["size"]].rename(columns={"size": "label"})
    with pytest.raises(ValueError, match="Columns named 'label', which cannot be inputs"):
        TabularMLPClassifier(**OPTIONS).fit(named, y).to_onnx()
    pytest.importorskip("skl2onnx")
    X = table[["age in years"]].to_numpy()
    inner = make_pipeline(StandardScaler(), TabularMLPClassifier(**OPTIONS)).fit(X, y)
    with pytest.raises(ValueError, match="to_onnx of the TabularMLPClassifier alone"):
        fastmlp.to_onnx(inner, X=X)
