"""verbose="bar": what is on the screen during a fit and after it, by a clock of the tests' own."""

import io
import re
import subprocess
import sys
import threading
import types
import warnings

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from tqdm import tqdm

import fastmlp
from fastmlp import (
    Adaline,
    MLPClassifier,
    MLPRegressor,
    Perceptron,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from fastmlp.tables import table_encoder
from fastmlp.training import progress

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
X = (X - X.mean(0)) / X.std(0)
FINAL = r"{}: {} of {} {}s in \d+\.\d s, {} -?[\d.e+-]+{}"


def small(**parameters):
    ours = {"hidden_layer_sizes": (4,), "max_iter": 30, "random_state": 0, "verbose": "bar"}
    return MLPClassifier(**ours | parameters)


def final(name="MLPClassifier", n=30, total=30, unit="epoch", loss="loss", more=""):
    return re.compile(FINAL.format(name, n, total, unit, loss, more))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def lines_on(stream):
    """What is to be seen on the screen in the end."""
    lines, column = [""], 0
    for sign in stream.getvalue():
        if sign == "\n":
            lines.append("")
        if sign in "\r\n":
            column = 0
            continue
        lines[-1] = lines[-1][:column] + sign + lines[-1][column + 1 :]
        column += 1
    return [line.rstrip() for line in lines if line.strip()]


def stderr_is(stream, monkeypatch):
    """Have the module see this as ``sys.stderr``, which pytest sets before each test anew."""
    ours = types.SimpleNamespace(stderr=stream, modules=sys.modules)
    monkeypatch.setattr(progress, "sys", ours)
    return stream


@pytest.fixture
def terminal(monkeypatch):
    return stderr_is(Terminal(), monkeypatch)


@pytest.fixture
def no_terminal(monkeypatch):
    return stderr_is(io.StringIO(), monkeypatch)


class Clock:
    """Goes on by some seconds whenever it is read; far ahead of that of the core."""

    def __init__(self):
        self.seconds, self.step = 1e9, 0.03

    def __call__(self):
        self.seconds += self.step
        return self.seconds


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(progress, "monotonic", Clock())
    return progress.monotonic


@pytest.fixture
def shown(monkeypatch):
    """How far fits were at the times that a text was made."""
    found = []
    for screen in (progress._Bar, progress._OneLine, progress._Lines):

        def show(self, of, earlier=screen.show):
            found.append(of.done)
            earlier(self, of)

        monkeypatch.setattr(screen, "show", show)
    return found


# --- where it is shown ---------------------------------------------------------------------------


def test_a_terminal_has_a_bar_and_in_the_end_one_line(terminal, clock, capsys):
    small().fit(X, y)
    text = terminal.getvalue()
    assert re.search(r" 13%\|.*\| 4/30 \[00:00<00:01, 22.22epoch/s, loss 1\.\d+\]", text)
    assert [line for line in lines_on(terminal) if not final().fullmatch(line)] == []
    assert len(lines_on(terminal)) == 1
    assert capsys.readouterr().out == ""


def test_no_more_texts_than_ten_a_second(terminal, clock, shown):
    begun = clock()
    small(max_iter=500, n_iter_no_change=np.inf).fit(X, y)
    assert 100 < len(shown) <= (clock() - begun) / 0.1


def test_a_fit_shorter_than_a_tenth_of_a_second_only_has_its_line(terminal, clock, shown):
    clock.step = 0.0
    small(max_iter=500).fit(X, y)
    assert not shown
    assert terminal.getvalue().count("\r") == 0
    assert len(lines_on(terminal)) == 1


def test_a_line_where_tqdm_is_not_installed(terminal, clock, shown, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setenv("COLUMNS", "100")
    small().fit(X, y)
    assert re.search(
        r"\rMLPClassifier: 4 of 30 epochs, 1\.2 s left, 22\.2 epochs/s, loss 1\.\d+ *\r",
        terminal.getvalue(),
    )
    (line,) = lines_on(terminal)
    assert final().fullmatch(line)
    assert max(map(len, terminal.getvalue().split("\r"))) < 100
    assert len(shown) > 5


def test_no_terminal_has_a_line_every_ten_seconds(no_terminal, clock, shown):
    clock.step, begun = 1.0, clock()
    small().fit(X, y)
    lines = no_terminal.getvalue().splitlines()
    assert 2 <= len(shown) == len(lines) - 1 <= (clock() - begun) / 10
    assert re.fullmatch(
        r"MLPClassifier: \d+ of 30 epochs, \d+\.\d s left, [\d.]+ (s/epoch|epochs/s), loss 1\.\d+",
        lines[0],
    )
    assert final().fullmatch(lines[-1])
    assert "\r" not in no_terminal.getvalue()


def test_long_times_are_told_in_hours():
    assert progress._duration(3.14) == "3.1 s"
    assert progress._duration(7384) == "2:03:04"


def test_a_long_epoch_is_told_of_before_its_end(terminal, shown, monkeypatch):
    monkeypatch.setattr(progress, "_LIVE", 0.0)
    rows = np.tile(X, (1000, 1))
    clf = small(hidden_layer_sizes=(100,), max_iter=1, batch_size=1)
    clf.fit(rows, np.tile(y, 1000))  # 150,000 steps; the core looks at the clock every 0.05 s
    assert any(0 < done < 1 for done in shown)
    assert shown == sorted(shown)


def test_a_program_without_stderr_shows_nothing(monkeypatch, clock):
    stderr_is(None, monkeypatch)
    assert small().fit(X, y).n_iter_ == 30


def test_a_notebook_has_its_own_bar_where_it_can(monkeypatch, no_terminal, clock):
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as tqdm.auto warns
        warnings.simplefilter("ignore", ConvergenceWarning)
        small().fit(X, y)
    assert "epoch/s" in no_terminal.getvalue()
    made = []

    class Bar(tqdm):
        def __init__(self, **arguments):
            made.append(arguments)
            super().__init__(**arguments)

    monkeypatch.setitem(sys.modules, "ipywidgets", types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "tqdm.notebook", types.SimpleNamespace(tqdm=Bar))
    small().fit(X, y)
    assert [arguments["total"] for arguments in made] == [30]


# --- several at once -----------------------------------------------------------------------------


def test_fits_in_threads_leave_their_final_lines_only(terminal, clock, shown):
    search = GridSearchCV(small(), {"alpha": [0, 1]}, cv=2, n_jobs=2, refit=False)
    with joblib.parallel_backend("threading"):
        search.fit(X, y)
    assert not shown
    assert len(lines_on(terminal)) == 4
    assert all(final().fullmatch(line) for line in lines_on(terminal))


SEARCH = """
import numpy as np
from sklearn.model_selection import GridSearchCV
from fastmlp import MLPClassifier
X = np.random.RandomState(0).normal(size=(5000, 20))
clf = MLPClassifier((50,), max_iter=30, n_iter_no_change=99, random_state=0, verbose="bar")
GridSearchCV(clf, {"alpha": [0, 1]}, cv=2, n_jobs=2, refit=False).fit(X, X[:, 0] > 0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_fits_in_processes_leave_their_final_lines_only(monkeypatch):
    import os
    import pty

    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", SEARCH], stderr=theirs, check=True)
    lines = os.read(ours, 10_000).decode().replace("\r\n", "\n").splitlines()
    os.close(ours)
    os.close(theirs)
    assert len(lines) == 4
    assert all(final().fullmatch(line) for line in lines)


def test_a_line_from_a_thread_goes_above_a_bar(terminal):
    with tqdm(total=7, file=terminal, ascii=True) as bar:
        thread = threading.Thread(target=small().fit, args=(X, y))
        thread.start()
        thread.join()
        line, below = lines_on(terminal)
        assert final().fullmatch(line)
        assert below.startswith("  0%|")
        bar.update(7)


# --- how fits end --------------------------------------------------------------------------------


def test_lbfgs_has_iterations(terminal, clock):
    clf = small(solver="lbfgs", max_iter=200, alpha=1.0).fit(X, y)
    assert "iteration/s" in terminal.getvalue()
    (line,) = lines_on(terminal)
    expected = final(n=clf.n_iter_, total=200, unit="iteration", more=r" \(ended early\)")
    assert clf.n_iter_ < 200
    assert expected.fullmatch(line)


def test_early_stopping_shows_the_score_and_ends_early(terminal, clock):
    clf = small(max_iter=500, early_stopping=True, n_iter_no_change=3).fit(X, y)
    (line,) = lines_on(terminal)
    more = rf", score {clf.validation_scores_[-1]:.4g} \(ended early\)"
    assert clf.n_iter_ < 500
    assert final(n=clf.n_iter_, total=500, more=more).fullmatch(line)


def rate_that_raises(error, after):
    def rate(epoch):
        if epoch == after:
            raise error
        return 0.01

    return rate


def test_an_interrupt_leaves_the_line(terminal, clock):
    with pytest.warns(UserWarning, match="interrupted by user"):
        clf = small(learning_rate=rate_that_raises(KeyboardInterrupt, 20)).fit(X, y)
    assert clf.n_iter_ == 20
    assert "epoch/s" in terminal.getvalue()
    (line,) = lines_on(terminal)
    assert final(n=20, more=r" \(interrupted\)").fullmatch(line)


def test_an_error_leaves_the_line(terminal, clock):
    with pytest.raises(RuntimeError):
        small(learning_rate=rate_that_raises(RuntimeError, 20)).fit(X, y)
    (line,) = lines_on(terminal)
    assert final(n=20, more=r" \(failed\)").fullmatch(line)


def test_divergence_leaves_the_line(terminal, clock):
    model = MLPRegressor(hidden_layer_sizes=(4,), solver="sgd", learning_rate_init=1e9,
                         random_state=0, verbose="bar")  # fmt: skip
    with pytest.raises(ValueError, match="diverged"):
        model.fit(X, y)
    (line,) = lines_on(terminal)
    assert re.fullmatch(r"MLPRegressor: \d of 200 .* loss (inf|nan) \(diverged\)", line)


def test_max_time_is_told(terminal):
    small(max_time=1e-9).fit(X, y)
    (line,) = lines_on(terminal)
    assert final(n=1, more=r" \(max_time is over\)").fullmatch(line)


def test_a_warning_comes_below_the_bar(terminal, clock, monkeypatch):
    found = []
    monkeypatch.setattr(warnings, "showwarning", lambda *_: found.append(lines_on(terminal)))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        small().fit(X, y)
    ((line,),) = found
    assert final().fullmatch(line)


def test_a_resumed_fit_begins_where_the_earlier_one_ended(terminal, clock, tmp_path):
    rate = rate_that_raises(RuntimeError, 20)
    clf = small(learning_rate=rate, checkpoint=tmp_path / "fit", verbose=False)
    with pytest.raises(RuntimeError):
        clf.fit(X, y)
    assert not lines_on(terminal)
    rate.__closure__[0].cell_contents = -1  # it goes on now
    clf.set_params(verbose="bar").fit(X, y)
    drawn = re.findall(r"(\d+)/30", terminal.getvalue())
    assert 20 <= int(drawn[0]) <= 25
    assert final().fullmatch(lines_on(terminal)[-1])


def test_partial_fit_shows_nothing(terminal, clock, capsys):
    for estimator in (small(), Perceptron(verbose="bar"), Adaline(verbose="bar")):
        estimator.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    assert terminal.getvalue() == capsys.readouterr().out == ""


@pytest.mark.parametrize("Estimator", [Perceptron, Adaline])
def test_single_layers(Estimator, terminal, clock):
    model = Estimator(max_iter=12, tol=None, verbose="bar").fit(X, y)
    assert re.search(r"\d/12 \[.*epoch/s, cost", terminal.getvalue())
    (line,) = lines_on(terminal)
    assert final(Estimator.__name__, model.n_iter_, 12, loss="cost").fullmatch(line)


def tabular(Estimator, **parameters):
    return Estimator(n_ensemble=3, hidden_layer_sizes=8, max_iter=5, random_state=0, n_jobs=2,
                     verbose="bar", **parameters)  # fmt: skip


@pytest.mark.parametrize("Estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_an_ensemble_has_one_bar(Estimator, terminal, clock, capsys):
    model = tabular(Estimator).fit(X, y)
    best = max(max(network.validation_scores_) for network in model.estimators_)
    assert re.search(r"\d+/15 \[.*epoch/s, best score -?[\d.]+\]", terminal.getvalue())
    (line,) = lines_on(terminal)
    assert final(Estimator.__name__, 15, 15, loss="best score").fullmatch(line)
    assert f"best score {best:.4g}" in line
    assert capsys.readouterr().out == ""


def test_an_ensemble_in_blocks_is_told_of_block_by_block(terminal, clock, shown, monkeypatch):
    clock.step = 0.2
    monkeypatch.setattr(table_encoder, "_MOST_BYTES", 0)
    monkeypatch.setattr(table_encoder, "_BLOCK_ROWS", 50)
    model = tabular(TabularMLPClassifier, batch_size=10).fit(X, y)
    assert any(done % 1 for done in shown)
    (line,) = lines_on(terminal)
    assert final(type(model).__name__, 15, 15, loss="best score").fullmatch(line)


# --- the parameter -------------------------------------------------------------------------------


def test_lines_are_scikit_learns_as_before(terminal, capsys):
    small(verbose=True, max_iter=2).fit(X, y)
    assert terminal.getvalue() == ""
    assert capsys.readouterr().out.startswith("Iteration 1, loss = ")


def test_another_word_is_an_error():
    with pytest.raises(ValueError, match="Did you mean 'bar'"):
        small(verbose="Bar").fit(X, y)


def test_a_bar_is_saved_and_converted(tmp_path, no_terminal):
    clf = small().fit(X, y)
    clf.save(tmp_path / "model")
    assert fastmlp.load(tmp_path / "model").verbose == "bar"
    theirs = clf.to_sklearn()
    assert theirs.verbose is True
    assert clf.verbose == "bar"
    theirs.set_params(verbose=False, warm_start=True).fit(X, y)


def test_the_model_is_the_same(terminal, clock):
    plain = small(verbose=False).fit(X, y)
    for a, b in zip(plain.coefs_, small().fit(X, y).coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
