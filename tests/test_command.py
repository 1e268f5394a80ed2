"""`python -m fastmlp --data` and `predict`: tables as they come, what is said of them, models."""

import re
import shlex
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import fastmlp
from fastmlp import __main__ as command
from fastmlp.app import evaluation, report, targets
from fastmlp.app.evaluation import CONSTANT, LINEAR, TREES, Result
from fastmlp.app.tables import read_table
from fastmlp.app.targets import as_problem

pd = pytest.importorskip("pandas")


@pytest.fixture
def run(monkeypatch, capsys):
    """The command in this process: exit status, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fastmlp", *map(str, arguments)])
        with threadpool_limits(1):
            status = command.main()
        return status, *capsys.readouterr()

    return run


def example(n=100):
    """A table of each kind of column, whose y depends on three of them."""
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=n), 3)
    colour = rng.choice(["red", "grün", "blue"], n)
    when = pd.date_range("2020-01-05", periods=n, freq="5D")
    y = np.round(3 * x + 2 * (colour == "red") + when.month / 3 + 0.1 * rng.normal(size=n), 3)
    code = rng.choice(["007", "010", "A3"], n)
    return pd.DataFrame({"x": x, "when": when, "colour": colour, "code": code, "y": y})


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("t.csv", {}),
        ("t.csv", {"encoding": "utf-8-sig"}),
        ("t.csv.gz", {"sep": ";", "decimal": ",", "encoding": "cp1252"}),
        ("t.csv.zip", {"sep": "|"}),
        ("t.tsv", {"sep": "\t", "encoding": "utf-16"}),
        ("t.txt", {"sep": " "}),
        ("t.csv.bz2", {"date_format": "%d.%m.%Y"}),
        ("t.csv.xz", {"date_format": "%m/%d/%Y"}),
        ("t.csv", {"index": True}),
        ("t.csv", {"index": True, "index_label": "id"}),
        ("t.jsonl", None),
    ],
)
def test_the_same_table_however_it_is_written(tmp_path, name, options):
    path, expected = tmp_path / name, example()
    if options is None:
        expected.assign(when=expected.when.astype(str)).to_json(path, orient="records", lines=True)
    else:
        expected.to_csv(path, **{"index": False, **options})
    table = read_table(path)
    pd.testing.assert_frame_equal(table.frame, expected, check_dtype=False)
    assert pd.api.types.is_datetime64_dtype(table.frame["when"])
    names = {"pd": pd}
    exec("\n".join(table.code), names)
    pd.testing.assert_frame_equal(names["frame"], table.frame)


def test_columns_without_names(tmp_path):
    rng = np.random.default_rng(0)
    np.savetxt(tmp_path / "numbers.csv", rng.normal(size=(20, 3)), delimiter=",")
    assert list(read_table(tmp_path / "numbers.csv").frame) == ["x0", "x1", "x2"]
    rows = [f"{i},{c},{c * 2}\n" for i, c in enumerate("abcab" * 4)]
    table = read_table(write(tmp_path / "t.csv", "".join(rows)))
    assert list(table.frame) == ["x1", "x2"]
    assert table.frame["x2"][0] == "aa"
    assert "'x0' left out: it counts the rows" in table.notes[-1]
    pd.DataFrame(rng.normal(size=(20, 3))).to_csv(tmp_path / "named.csv", index=False)
    assert list(read_table(tmp_path / "named.csv").frame) == ["0", "1", "2"]
    years = "country,1990,1991\n" + "".join(f"c{i},{i},{i + 0.5}\n" for i in range(20))
    assert list(read_table(write(tmp_path / "t.csv", years)).frame) == ["country", "1990", "1991"]


def test_spaces_and_question_marks(tmp_path):
    text = "a, b ,c\n" + "1, x, ?\n?, y , 2\n" * 10
    table = read_table(write(tmp_path / "t.csv", text))
    assert list(table.frame) == ["a", "b", "c"]
    assert table.frame.isna().sum().tolist() == [10, 0, 10]
    assert table.frame["c"].dtype == float
    assert "'?' is missing" in table.notes[0]


def test_a_first_line_that_tells_excel_the_separator(tmp_path):
    rows = "".join(f"{i},5;{'ja' if i % 2 else 'nein'}\n" for i in range(20))
    table = read_table(write(tmp_path / "t.csv", "sep=;\na;y\n" + rows))
    assert list(table.frame) == ["a", "y"]
    assert table.frame["a"][1] == 1.5
    assert "first line, 'sep=', skipped" in table.notes[0]
    names = {}
    exec("import pandas as pd\n" + "\n".join(table.code), names)
    pd.testing.assert_frame_equal(names["frame"], table.frame)


def test_dates_that_some_cells_are_not(tmp_path):
    cells = [f"2020-01-{day:02}" for day in range(1, 31)]
    text = "when,y\n" + "".join(f"{cell},1\n" for cell in [*cells, "unknown"])
    table = read_table(write(tmp_path / "t.csv", text))
    assert table.frame["when"].isna().sum() == 1
    assert "1 cells that are none" in table.notes[0]


def test_a_date_that_can_be_read_in_two_ways_is_told(tmp_path):
    both = read_table(write(tmp_path / "a.csv", "d,x\n03/11/2023,1\n04/11/2023,2\n"))
    assert list(both.frame["d"].dt.month) == [3, 4]
    assert both.notes == ["column 'd' read as dates, %m/%d/%Y; %d/%m/%Y would fit as well"]
    for cells, form in [
        (("03/11/2023", "13/11/2023"), "%d/%m/%Y"),
        (("11/03/2023", "11/13/2023"), "%m/%d/%Y"),
        (("03.11.2023", "04.11.2023"), "%d.%m.%Y"),
        (("2023-03-11", "2023-04-11"), "%Y-%m-%d"),
    ]:
        path = write(tmp_path / "b.csv", f"d,x\n{cells[0]},1\n{cells[1]},2\n")
        assert read_table(path).notes == [f"column 'd' read as dates, {form}"]


def test_cells_that_hold_lists_are_left_out(tmp_path):
    frame = pd.DataFrame({"a": range(10), "tags": [["x"]] * 10, "y": range(10)})
    frame.to_json(tmp_path / "t.json")
    table = read_table(tmp_path / "t.json")
    assert list(table.frame) == ["a", "y"]
    assert "'tags' left out" in table.notes[0]


def test_a_cell_longer_than_the_csv_module_takes(tmp_path):
    text = "a,c\n" + "1,x\n" * 10 + '"' + "2" * 200_000 + '",y\n'
    assert len(read_table(write(tmp_path / "t.csv", text)).frame) == 11


def test_an_engine_or_pandas_is_missing(tmp_path, run, monkeypatch):
    path = write(tmp_path / "t.parquet", "")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "fastparquet", None)
    status, _, errors = run("--data", path)
    assert status == 2
    assert re.search(r"t\.parquet cannot be read: .*pyarrow", errors)
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert "pip install 'fastmlp[table]'" in run("--data", path)[2]


# --- targets -------------------------------------------------------------------------------------


def problem(tmp_path, values, target=None, task="auto", column="y"):
    lines = [f"{i % 7},{value}" for i, value in enumerate(values)]
    path = write(tmp_path / "t.csv", "\n".join([f"a,{column}", *lines]))
    return as_problem(read_table(path), target, task)


def test_blank_targets_are_no_class(tmp_path):
    for blank in ("", " ", "NA"):
        found = problem(tmp_path, [0, 1] * 20 + [blank] * 8)
        assert found.classify
        assert found.y.dtype == int
        assert found.y.tolist() == [0, 1] * 20
        assert len(found.X) == 40
        assert "8 rows without a target left out" in found.table.notes
    text = problem(tmp_path, ["up", "down"] * 10 + ['"  "'] * 3)
    assert sorted(text.y.unique()) == ["down", "up"]
    infinite = problem(tmp_path, [*np.arange(20) / 3, "inf", "-inf"])
    assert len(infinite.y) == 20


@pytest.mark.parametrize(
    ("values", "task", "classify"),
    [
        (["up", "down"] * 10, "auto", True),
        (["True", "False"] * 10, "auto", True),
        (["True", "False"] * 10, "regression", False),
        ([1, 2, 3] * 10, "auto", True),
        ([1, 2, 3] * 10, "regression", False),
        ([1.5, 2] * 10, "auto", False),
        ([1.5, 2] * 10, "classification", True),
        (range(21), "auto", False),
    ],
)
def test_tasks(tmp_path, values, task, classify):
    found = problem(tmp_path, values, task=task)
    assert found.classify == classify
    names = {"pd": pd}
    exec("\n".join(found.table.code), names)
    pd.testing.assert_series_equal(names["y"], found.y)
    pd.testing.assert_frame_equal(names["frame"], found.X)


def test_the_target_is_chosen_and_rare_classes_are_told(tmp_path):
    frame = example().rename(columns={"code": "Label"})
    frame = frame.drop(columns="y")
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert as_problem(read_table(tmp_path / "t.csv"), None, "auto").target == "Label"
    found = problem(tmp_path, ["a", "b"] * 10 + ["c"] * 2 + ["d"], column="last")
    assert found.chosen == "the last column"
    assert found.table.notes == ["3 rows of classes with fewer than 5 left out: c (2), d (1)"]


ROWS = "1,x\n2,y\n" * 10


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (None, [], "no such file"),
        ("", [], "cannot be read: No columns"),
        ("a,c\n", [], "no rows below the header"),
        ("a,c\n" + ROWS, ["--target", "q"], "--target: no column 'q' in .*; it has a, c"),
        ("a,c\n1,2\n1,2,3\n1,2\n", [], "cannot be read: .*line 3"),
        ("c\n" + "1\n" * 20, [], "no column besides the target"),
        ("a,c\n" + "1,x\n" * 20, [], "has only the value 'x'"),
        ("a,c\n" + "1,x\n1,y\n" * 10, [], "no column besides the target has two different"),
        ("a,c\n1,0.5\n2,0.7\n", [], "2 rows have a target; at least 10"),
        ("a,c\n" + "1,inf\n" * 20, [], "no row has a value in column 'c'"),
        ("a,c\n" + "".join(f"1,n{i}\n" for i in range(20)), [], "another value in each"),
        ("a,c\n" + "1,x\n" * 20 + "2,y\n" * 3, [], "fewer than two classes of column 'c'"),
        ("a,c\n" + ROWS, ["--task", "regression"], "holds text such as 'x'"),
        ("a,c\n" + "1,2020-01-01\n2,2020-01-02\n" * 10, [], "holds dates"),
    ],
)
def test_what_cannot_be_a_target_is_told(tmp_path, run, text, arguments, message):
    path = tmp_path / "t.csv"
    if text is not None:
        write(path, text)
    status, _, errors = run("--data", path, *arguments)
    assert status == 2
    assert len(errors.splitlines()) == 1
    assert re.search(message, errors)


# --- the report, the model, its predictions ------------------------------------------------------


def printed_code(text):
    block = text.split("The same in Python:\n\n")[1].split("\n\nWhere to go next")[0]
    return re.sub("^    ", "", block, flags=re.MULTILINE)


def test_a_classifier_from_table_to_predictions(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = example()
    frame["y"] = np.where(frame["y"] > frame["y"].median(), "high", "low")
    frame.loc[:3, "y"] = None
    frame.to_csv("t.csv", sep=";", decimal=",", date_format="%d.%m.%Y", encoding="cp1252")
    status, text, errors = run("--data", "t.csv", "--save", "m.fastmlp")
    assert status == 0, errors
    assert max(map(len, text.splitlines())) <= 90
    for expected in (
        "96 rows, 4 features",
        "target 'y' (by its name), 2 classes",
        "4 rows without a target left out",
        "column 'Unnamed: 0' left out",
        "predict m.fastmlp NEW_FILE",
    ):
        assert expected in text
    assert re.search(r"4 networks \d+-128-128-128-1, fitted to all 96 rows", text)
    for name in (CONSTANT, LINEAR, TREES, "TabularMLPClassifier"):
        assert re.search(rf"^{name} .* ± .* %  .* ± ", text, re.MULTILINE)
    assert re.search("^x .*█", text, re.MULTILINE)

    names = {}
    exec(printed_code(text).replace("m.fastmlp", "again.fastmlp"), names)
    model = fastmlp.load("m.fastmlp")
    probabilities = model.predict_proba(names["frame"])
    np.testing.assert_array_equal(probabilities, names["model"].predict_proba(names["frame"]))

    status, text, errors = run("predict", "m.fastmlp", "t.csv", "--out", "out.csv")
    assert (status, text) == (0, "100 predictions written to out.csv\n")
    out = pd.read_csv("out.csv")
    assert list(out) == ["prediction", "probability_high", "probability_low"]
    np.testing.assert_allclose(out.to_numpy()[4:, 1:].astype(float), probabilities, rtol=1e-12)
    assert out["prediction"][4:].tolist() == model.predict(names["frame"]).tolist()

    few = frame.drop(columns="y")[frame["code"] == "007"].iloc[:2]  # all digits, still text
    few.insert(0, "id", [0, 1])  # of no column of the model
    few.to_csv("few.csv", index=False)
    text = run("predict", "m.fastmlp", "few.csv")[1]
    np.testing.assert_allclose(
        pd.read_csv(write(tmp_path / "few-out.csv", text))["probability_high"],
        out["probability_high"][few.index],
        rtol=1e-12,
    )


def test_a_regressor_beside_others(tmp_path, run):
    example().to_csv(tmp_path / "t.csv", index=False)
    status, text, errors = run("--data", tmp_path / "t.csv")
    assert status == 0, errors
    assert "regression: " in text
    assert "R2" in text
    assert "TabularMLPRegressor is the best of them" in text
    assert "--save model.fastmlp" in text
    assert ".save(" not in printed_code(text)


def test_the_next_steps_can_be_run_as_they_are_printed(tmp_path):
    path = tmp_path / "my table.csv"
    steps = report._next_steps(path, "the price", "regression", None).splitlines()
    words = shlex.split(steps[0])
    assert words[words.index("--data") + 1] == str(path)
    assert words[words.index("--target") + 1] == "the price"
    assert words[words.index("--task") + 1] == "regression"
    assert "--task" not in report._next_steps(path, None, "auto", None)
    (step,) = report._next_steps(path, None, "auto", tmp_path / "my model").splitlines()
    assert str(tmp_path / "my model") in shlex.split(step)


def test_where_no_model_can_be_saved_is_told_before_the_evaluation(tmp_path, run):
    path = tmp_path / "t.csv"
    example(20).to_csv(path, index=False)
    for save, message in [(tmp_path / "none" / "m", "there is no folder"), (tmp_path, "a folder")]:
        status, output, errors = run("--data", path, "--save", save)
        assert (status, output) == (2, "")
        assert re.search(f"--save: .*{message}", errors)


def test_tables_that_cannot_be_predicted(tmp_path, run):
    frame = example(20)[["x", "colour"]]
    model = fastmlp.TabularMLPClassifier(n_ensemble=1, max_iter=1, batch_size=5)
    model.fit(frame, np.arange(20) % 2).save(tmp_path / "m")
    model.fit(frame.to_numpy(), np.arange(20) % 2).save(tmp_path / "nameless")
    whole = write(tmp_path / "t.csv", "colour,x\nred,1\nred,2\n")
    assert run("predict", tmp_path / "m", whole)[0] == 0
    for name, path, message in [
        ("missing", whole, "no such file: .*missing"),
        ("m", tmp_path / "none.csv", "no such file: .*none"),
        ("t.csv", whole, "no safetensors file"),
        ("nameless", whole, "fitted to a table with named columns"),
        ("m", write(tmp_path / "a.csv", "x,b\n1,2\n"), "no column 'colour'"),
        ("m", write(tmp_path / "b.csv", "x,colour\nmany,red\n"), "'x' held numbers in `fit`"),
    ]:
        status, _, errors = run("predict", tmp_path / name, path)
        assert status == 2
        assert re.search(message, errors.splitlines()[-1])
    folder = tmp_path / "none" / "out.csv"
    assert "--out: " in run("predict", tmp_path / "m", whole, "--out", folder)[2]


def test_arguments_that_make_no_sense(run, capsys):
    for arguments, message in [
        (["--target", "y"], "--target goes with --data"),
        (["--save", "m"], "--save goes with --data"),
        (["--data", "x.csv", "--epochs", "3"], "--epochs is for the handwritten digits"),
        (["--data", "x.csv", "--task", "guess"], "--task: invalid choice"),
    ]:
        with pytest.raises(SystemExit):
            run(*arguments)
        assert message in capsys.readouterr().err


def test_an_interrupt_ends_the_evaluation(tmp_path, run, monkeypatch):
    def interrupted(*_, **__):
        raise UserWarning("Training interrupted by user.")

    example().to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setattr(evaluation, "cross_validate", interrupted)
    status, _, errors = run("--data", tmp_path / "t.csv")
    assert (status, errors) == (130, "python -m fastmlp: interrupted\n")


def test_large_tables_are_sampled_by_class(monkeypatch, tmp_path):
    monkeypatch.setattr(evaluation, "_MOST_ROWS", 50)
    found = problem(tmp_path, ["a", "b"] * 60 + ["c"] * 6)
    rows = evaluation.sample_rows(found)
    assert 40 < len(rows) <= 50
    assert found.y.iloc[rows].value_counts().min() >= targets.FOLDS
    assert len(evaluation.sample_rows(problem(tmp_path, ["a", "b"] * 10))) == 20


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ([0.5, 0.7, 0.8, 0.9], "Ours is the best"),
        ([0.5, 0.7, 0.9, 0.8], f"{TREES} is better on this table"),
        ([0.5, 0.9, 0.9, 0.8], f"{LINEAR} is better on this table"),
        ([0.5, 0.9, 0.7, 0.9], "A linear model is as good"),
        ([0.5, 0.7, 0.9, 0.9], "do not clearly differ"),
        ([0.5, 0.5, 0.5, 0.5], "No model is clearly better than a constant"),
    ],
)
def test_the_verdict_is_honest(means, verdict):
    noise = np.random.default_rng(0).normal(size=(4, 5)) / 100
    noise -= noise.mean(axis=1, keepdims=True)
    names = (CONSTANT, LINEAR, TREES, "Ours")
    results = [
        Result(name, mean + spread, spread, 0.0, [], [])
        for name, mean, spread in zip(names, means, noise, strict=True)
    ]
    assert verdict in report._verdict(results)


def test_hard_columns_are_no_trouble_to_any_model(tmp_path):
    """Many levels, infinities, nothing at all, dates that are missing."""
    n = 300
    frame = pd.DataFrame(
        {
            "id": [f"n{i}" for i in range(n)],
            "huge": np.r_[np.inf, -np.inf, 1e300, np.arange(n - 3)],
            "empty": np.nan,
            "when": [None, *pd.date_range("2020", periods=n - 1).astype(str)],
            "flag": ["True", None, "False"] * (n // 3),
            "y": np.arange(n) / 3,
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = as_problem(read_table(tmp_path / "t.csv"), None, "auto")
    assert "a different text in each row" in report._list_columns(found.X)
    plain = evaluation._plain(found.X)
    assert plain["id"].nunique() == 254
    assert np.isfinite(plain["huge"]).all()
    steps = evaluation._columns(plain)
    assert np.isfinite(steps.fit_transform(plain).toarray()).all()
