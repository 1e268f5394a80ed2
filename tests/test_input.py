"""Input of every kind: layouts, types, containers, values, sizes. The right answer, or one error.

Hypothesis draws it; FASTMLP_EXAMPLES=5000 draws that many. `fit` and `predict` are held against
plain NumPy: mini-batches of gradient descent by the oracle's gradients.
"""

import os
import subprocess
import sys
import tempfile
from itertools import pairwise

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.exceptions import DataConversionWarning

from fastmlp import Adaline, MLPClassifier, MLPRegressor, Perceptron
from tests import reference
from tests.conftest import LIMIT
from tests.test_core import hidden_layers

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

EXAMPLES = int(os.environ.get("FASTMLP_EXAMPLES", "60"))
drawn = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES < 1000,
    suppress_health_check=list(hypothesis.HealthCheck),
)

# --- X and y of every kind -----------------------------------------------------------------------

DTYPES = ["f2", "f4", "f8", ">f2", ">f4", ">f8", "g", "i1", "i2", "i4", "i8", ">i4", "u1", "u2",
          "u4", "u8", "?", "O"]  # fmt: skip
LAYOUTS = ["C", "F", "reversed", "columns", "rows", "spread", "unaligned", "read-only", "mapped",
           "repeated"]  # fmt: skip
CONTAINERS = ["array", "list", "matrix subclass", "pandas", "polars", "csr", "csc", "coo", "lil",
              "dok", "bsr", "dia", "csr64", "csc64", "unsorted", "duplicates"]  # fmt: skip


class Subclass(np.ndarray):
    pass


def laid_out(values, layout):
    """The same numbers in memory of another layout."""
    n, width = values.shape
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "reversed":
        return values[::-1].copy()[::-1]
    if layout == "columns":
        return np.repeat(values, 2, axis=1)[:, ::2]
    if layout == "rows":
        return np.repeat(values, 3, axis=0)[::3]
    if layout == "spread":
        wide = np.zeros((n, width + 3), values.dtype)
        wide[:, 1 : width + 1] = values
        return wide[:, 1 : width + 1]
    if layout == "unaligned" and values.dtype != object:
        raw = np.frombuffer(b"." + values.tobytes(), values.dtype, values.size, 1)
        return raw.reshape(values.shape)
    if layout == "read-only":
        values = values.copy()
        values.flags.writeable = False
    if layout == "mapped" and values.dtype != object:
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file.name, values)
            return np.load(file.name, mmap_mode="r")
    return values


def contained(values, container):
    """The same numbers in another container; scipy's hold no float16 and no other byte order."""
    if container == "list":
        return values.tolist()
    if container == "matrix subclass":
        return values.view(Subclass)
    if container == "pandas":
        return pd.DataFrame(values.astype(values.dtype.newbyteorder("=")))
    if container == "polars":
        values = values.astype(float) if values.dtype == np.longdouble else values
        return pl.DataFrame({f"c{i}": column.tolist() for i, column in enumerate(values.T)})
    if container == "array":
        return values
    values = values.astype(np.float32 if values.dtype == np.float32 else np.float64)
    if container in ("coo", "lil", "dok", "bsr", "dia"):
        return getattr(scipy.sparse, f"{container}_array")(values)
    matrix = scipy.sparse.csr_array(values)
    if container == "csc":
        return scipy.sparse.csc_matrix(matrix)
    if container in ("csr64", "csc64"):
        matrix = matrix if container == "csr64" else scipy.sparse.csc_array(matrix)
        matrix.indices, matrix.indptr = matrix.indices.astype("i8"), matrix.indptr.astype("i8")
    if container == "unsorted":
        for row in range(matrix.shape[0]):
            part = slice(matrix.indptr[row], matrix.indptr[row + 1])
            matrix.indices[part] = matrix.indices[part][::-1].copy()
            matrix.data[part] = matrix.data[part][::-1].copy()
        matrix.has_sorted_indices = False
    if container == "duplicates":  # each entry in two halves, and a stored zero
        halves = scipy.sparse.coo_array(matrix)
        row, column = (np.concatenate([c, c, [0]]) for c in halves.coords)
        data = np.concatenate([halves.data / 2, halves.data / 2, [0]])
        order = np.argsort(row, kind="stable")
        counts = np.bincount(row, minlength=matrix.shape[0])
        matrix = scipy.sparse.csr_array(
            (
                data[order].astype(values.dtype),
                column[order],
                np.concatenate([[0], counts.cumsum()]),
            ),
            shape=matrix.shape,
        )
    return matrix


@st.composite
def samples(draw):
    """(X as a user has it, the same as a plain array of float64)."""
    n, width = draw(st.integers(2, 12)), draw(st.integers(1, 6))
    kind = np.dtype(draw(st.sampled_from(DTYPES)))
    layout, container = draw(st.sampled_from(LAYOUTS)), draw(st.sampled_from(CONTAINERS))
    numbers = st.floats(-3, 3, width=16, allow_subnormal=True)
    values = np.array(draw(st.lists(numbers, min_size=n * width, max_size=n * width)))
    values = values.reshape(n, width)
    if kind.kind in "iub":
        values = np.round(values) if kind.kind == "i" else abs(np.round(values))
    values = values.astype(kind)
    if layout == "repeated":  # one row in all places: a stride of zero
        values = np.broadcast_to(values[:1], values.shape)
    return contained(laid_out(values, layout), container), np.array(values, np.float64)


def spelled(codes, spelling):
    """Class numbers as labels of another kind, which sort in the same order."""
    return {
        "int": codes,
        "list": codes.tolist(),
        "negative": codes - 5,
        "int8": codes.astype(np.int8),
        "large": codes.astype(np.uint64) + np.uint64(2**63),
        "swapped": codes.astype(">i2"),
        "float": codes / 1.0,
        "bool": codes > 0,
        "str": np.array(["a", "b", "cç", "d"])[codes],
        "object": np.array(["a", "b", "cç", "d"], object)[codes],
        "list of str": np.array(["a", "b", "cç", "d"])[codes].tolist(),
        "series": pd.Series(codes, index=range(5, 5 + len(codes))),
        "categories": pd.Series(np.array(["a", "b", "cç", "d"])[codes]).astype("category"),
        "polars": pl.Series(codes),
        "column": codes[:, None],
        "read-only": np.broadcast_to(codes[:1], codes.shape),
        "every other": np.repeat(codes, 2)[::2],
        "multilabel": (codes[:, None] > np.arange(3)).astype(int),
        "multilabel, bool": codes[:, None] > np.arange(3),
        "multilabel, list": (codes[:, None] > np.arange(3)).astype(int).tolist(),
        "multilabel, sparse": scipy.sparse.csr_matrix(codes[:, None] > np.arange(3)).astype(int),
        "multilabel, csc": scipy.sparse.csc_array((codes[:, None] > np.arange(3)).astype(int)),
    }[spelling]


SPELLINGS = ["int", "list", "negative", "int8", "large", "swapped", "float", "bool", "str",
             "object", "list of str", "series", "categories", "polars", "column", "read-only",
             "every other", "multilabel", "multilabel, bool", "multilabel, list",
             "multilabel, sparse", "multilabel, csc"]  # fmt: skip

NUMBERS = {
    "float": lambda z: z,
    "float32": lambda z: z.astype(np.float32),
    "float16": lambda z: z.astype(np.float16),
    "long double": lambda z: z.astype(np.longdouble),
    "int": lambda z: np.round(z).astype(int),
    "bool": lambda z: z > 0,
    "swapped": lambda z: z.astype(">f8"),
    "list": lambda z: z.tolist(),
    "object": lambda z: z.astype(object),
    "series": lambda z: pd.Series(z, index=range(7, 7 + len(z))),
    "polars": pl.Series,
    "column": lambda z: z[:, None],
    "reversed": lambda z: z[::-1].copy()[::-1],
    "several": lambda z: np.stack([z, -z, z**2], axis=1),
    "several, Fortran": lambda z: np.asfortranarray(np.stack([z, -z], axis=1)),
    "frame": lambda z: pd.DataFrame({"a": z, "b": np.round(z)}),
}


def train(blocks, hidden, loss, X, Y, weights, batch, epochs):
    """Mini-batch gradient descent as the textbook has it, by the oracle's gradients."""
    scale = Y.shape[1] if reference.IS_MEAN[loss] else 1  # steps are by the sum over the outputs
    for _ in range(epochs):
        for start in range(0, len(X), batch):
            rows = slice(start, start + batch)
            gradient = reference.gradient(blocks, hidden, loss, X[rows], Y[rows], weights[rows])
            blocks = [w - 0.1 * scale * g for w, g in zip(blocks, gradient, strict=True)]
    return blocks


def check(Estimator, X, plain, y, Y, loss, weights, batch):
    """Hold fit and predict on X and y, in whatever form, against plain NumPy on `plain` and Y."""
    rng = np.random.default_rng(len(plain))
    units = [plain.shape[1], 3, Y.shape[1]]
    blocks = []
    for fan_in, fan_out in pairwise(units):
        blocks += [rng.normal(size=(fan_in, fan_out)) / 2, rng.normal(size=fan_out) / 2]
    estimator = Estimator(
        hidden_layer_sizes=3, activation="tanh", init=blocks, solver="sgd", momentum=0.0, alpha=0.0,
        nesterovs_momentum=False, learning_rate_init=0.1, batch_size=batch, max_iter=2, tol=0,
        shuffle=False,
    )  # fmt: skip
    estimator.fit(X, y, weights)
    hidden = hidden_layers("tanh", 1)
    counts = np.ones(len(plain)) if weights is None else np.broadcast_to(weights, len(plain)) / 1.0
    expected = train(blocks, hidden, loss, plain, Y, counts, batch, 2)
    error = 1e-12 if estimator.coefs_[0].dtype == np.float64 else 1e-5
    near = {"rtol": error, "atol": error}
    np.testing.assert_allclose(estimator.coefs_[0], expected[0], **near)
    np.testing.assert_allclose(estimator.coefs_[1], expected[2], **near)
    return estimator, reference.predict(expected, hidden, loss, plain), near


@drawn
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@hypothesis.given(
    data=samples(), spelling=st.sampled_from(SPELLINGS), batch=st.integers(1, 12),
    weighting=st.sampled_from([None, 2, "list", "float", "float32", "int", "swapped"]),
    several=st.booleans(), seed=st.integers(0, 100),
)  # fmt: skip
def test_a_classifier_on_anything_is_plain_numpy(data, spelling, batch, weighting, several, seed):
    X, plain = data
    n, rng = len(plain), np.random.default_rng(seed)
    codes = rng.integers(4 if several else 2, size=n)
    y = spelled(codes, spelling)
    multilabel = spelling.startswith("multilabel")
    if multilabel:
        Y = (codes[:, None] > np.arange(3)).astype(float)
        loss = "binary_log_loss"
    else:
        classes, numbers = np.unique(np.ravel(y), return_inverse=True)
        Y = numbers[:, None].astype(float)
        loss = "binary_log_loss"
        if len(classes) > 2:
            Y, loss = np.eye(len(classes))[numbers], "log_loss"
    weights = None if weighting is None else rng.integers(1, 4, n)
    if weighting == 2:
        weights = 2
    elif weighting == "list":
        weights = weights.tolist()
    elif weighting is not None:
        kinds = {"float": float, "float32": np.float32, "int": int, "swapped": ">f4"}
        weights = weights.astype(kinds[weighting])
    clf, expected, near = check(MLPClassifier, X, plain, y, Y, loss, weights, min(batch, n))
    probabilities, predicted = clf.predict_proba(X), clf.predict(X)
    if multilabel:
        np.testing.assert_allclose(probabilities, expected, **near)
        assert scipy.sparse.issparse(predicted) == ("sparse" in spelling or "csc" in spelling)
        predicted = predicted.toarray() if scipy.sparse.issparse(predicted) else predicted
        np.testing.assert_array_equal(predicted, probabilities > 0.5)
        return
    assert clf.classes_.tolist() == classes.tolist()
    if len(classes) <= 2:
        expected = np.hstack([1 - expected, expected])
    np.testing.assert_allclose(probabilities, expected, **near)
    if len(classes) > 1:
        np.testing.assert_array_equal(predicted, clf.classes_[probabilities.argmax(axis=1)])
    assert clf.score(X, y) == np.mean(predicted == np.ravel(y))


@drawn
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@hypothesis.given(
    data=samples(), kind=st.sampled_from(sorted(NUMBERS)), batch=st.integers(1, 12),
    seed=st.integers(0, 100),
)  # fmt: skip
def test_a_regressor_on_anything_is_plain_numpy(data, kind, batch, seed):
    X, plain = data
    z = np.random.default_rng(seed).normal(size=len(plain)).astype(np.float16).astype(float)
    y = NUMBERS[kind](z)
    Y = np.asarray(y, np.float64).reshape(len(z), -1)
    reg, expected, near = check(MLPRegressor, X, plain, y, Y, "squared_error", None,
                                min(batch, len(z)))  # fmt: skip
    predicted = reg.predict(X)
    assert predicted.shape == ((len(z),) if Y.shape[1] == 1 else Y.shape)
    np.testing.assert_allclose(predicted.reshape(Y.shape), expected, **near)


@drawn
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@hypothesis.given(data=samples(), spelling=st.sampled_from(SPELLINGS[:17]), seed=st.integers(0, 9))
def test_single_layers_on_anything(data, spelling, seed):
    """As on the plain array; the Perceptron steps differently on sparse X, as scikit-learn's."""
    X, plain = data
    codes = np.random.default_rng(seed).integers(4, size=len(plain))
    if spelling in ("bool", "read-only") and len(np.unique(codes > 0)) < 2:
        codes[:2] = 0, 1
    y = spelled(codes, "int" if spelling == "read-only" else spelling)
    if len(np.unique(np.ravel(y))) < 2:
        return
    near = {"rtol": 1e-4, "atol": 1e-4}
    for estimator in (Adaline(eta0=0.01, max_iter=3), Perceptron(max_iter=3)):
        estimator.fit(X, y)
        if isinstance(estimator, Adaline) or not scipy.sparse.issparse(X):
            other = type(estimator)(**estimator.get_params()).fit(
                plain.astype(estimator.coef_.dtype), np.ravel(y))  # fmt: skip
            np.testing.assert_allclose(estimator.coef_, other.coef_, **near)
            np.testing.assert_allclose(estimator.intercept_, other.intercept_, **near)
        scores = plain @ np.asarray(estimator.coef_, float).T + estimator.intercept_
        np.testing.assert_allclose(
            estimator.decision_function(X).reshape(scores.shape), scores, **near
        )
        assert set(estimator.predict(X)) <= set(np.ravel(y))


# --- values --------------------------------------------------------------------------------------


@drawn
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@hypothesis.given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=12, max_size=12),
    targets=st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4),
    single=st.booleans(),
)  # fmt: skip
def test_subnormal_and_huge_numbers(values, targets, single):
    """A linear network, trained and evaluated as NumPy does it; or both of them diverge."""
    kind = np.float32 if single else np.float64
    X = np.array(values).reshape(4, 3)
    X = np.clip(X, np.finfo(kind).min, np.finfo(kind).max).astype(kind)
    y = np.array(targets).astype(kind)
    w, b = np.array([[0.5], [-0.25], [0.125]], kind), np.zeros(1, kind)
    reg = MLPRegressor(hidden_layer_sizes=(), init=[w, b], solver="sgd", momentum=0.0, alpha=0.0,
                       nesterovs_momentum=False, learning_rate_init=0.01, max_iter=1)  # fmt: skip
    big, tiny, eps = (float(getattr(np.finfo(kind), name)) for name in ("max", "tiny", "eps"))
    x, w, b, t = (array.astype(np.longdouble) for array in (X, w, b, y[:, None]))
    error = x @ w + b - t
    rounding = 8 * eps * (abs(x) @ abs(w) + abs(b) + abs(t)) + tiny  # of each error
    loss = (error**2).mean() / 2
    if max((error**2).sum(), (abs(x).T @ abs(error)).max(), abs(x).max()) > big / 64:
        # some number on the way is near the largest there is: which one is for rounding to say
        if loss > 64 * big:
            with pytest.raises(
                ValueError, match="Training diverged in epoch 1, with a loss of inf"
            ):
                reg.fit(X, y)
        return
    reg.fit(X, y)
    off = (abs(error) * rounding + rounding**2).sum() + 8 * eps * loss + tiny
    assert abs(reg.loss_ - loss) <= off
    right = w - 0.01 * x.T @ error / 4
    off = 0.01 * abs(x).T @ (rounding + 8 * eps * abs(error)) + 2 * eps * abs(right) + tiny
    assert (abs(reg.coefs_[0] - right) <= off).all()
    w, b = (array.astype(np.longdouble) for array in (reg.coefs_[0], reg.intercepts_[0]))
    if (abs(x) @ abs(w)).max() < big / 64:
        off = 8 * eps * (abs(x) @ abs(w) + abs(b)) + tiny
        assert (abs(reg.predict(X)[:, None] - (x @ w + b)) <= off).all()


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, Perceptron, Adaline])
@pytest.mark.parametrize("X", [
    np.zeros((0, 3)), np.zeros((4, 0)), np.zeros((0, 0)), scipy.sparse.csr_array((0, 3)),
    scipy.sparse.csr_array((4, 0)), [[]], [], pd.DataFrame({"a": []}),
], ids=repr)  # fmt: skip
def test_nothing_is_refused(Estimator, X):
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    with pytest.raises(ValueError, match=r"0 sample|0 feature|Expected 2D array"):
        Estimator().fit(X, np.arange(n))
    model = Estimator(max_iter=2, tol=1e9).fit(np.eye(3), [0, 1, 0])
    with pytest.raises(ValueError, match=r"0 sample|0 feature|Expected 2D array|features"):
        model.predict(X)


def test_rows_and_columns_of_nothing_but_zeros():
    X = np.zeros((6, 4))
    X[2, 1] = 1.0
    y = [0, 1, 1, 0, 1, 0]
    explicit = scipy.sparse.csr_array(X)
    stored = scipy.sparse.csr_array((np.append(explicit.data, 0.0), ([2, 5], [1, 3])), (6, 4))
    fits = [MLPClassifier(3, max_iter=3, random_state=0).fit(data, y)
            for data in (X, explicit, stored)]  # fmt: skip
    for fitted in fits[1:]:
        np.testing.assert_allclose(fitted.coefs_[0], fits[0].coefs_[0], rtol=1e-12)


def test_a_warning_for_a_column_as_y():
    with pytest.warns(DataConversionWarning):
        MLPClassifier(max_iter=2).fit(np.eye(3), [[0], [1], [0]])


# --- sizes ---------------------------------------------------------------------------------------

MANY = """
import sys, warnings
import numpy as np
from fastmlp import MLPRegressor
warnings.simplefilter("ignore")
rows, width = 2**22 + 1, 513
with open(sys.argv[1], "wb") as file:
    file.truncate(rows * width)
X = np.memmap(sys.argv[1], np.int8, "r+", shape=(rows, width))
assert X.size > 2**31
X[-2000:] = np.random.default_rng(0).integers(-9, 9, (2000, width))
X[:2000] = X[-2000:]
y = np.zeros(rows)
y[:2000] = y[-2000:] = X[-2000:, 0]
fit = lambda X, y: MLPRegressor("squared_error", (), solver="sgd", max_iter=1, shuffle=False,
                                batch_size=2000, random_state=0, learning_rate_init=1e-3).fit(X, y)
reg = fit(X, y)
predicted = reg.predict(X)
assert predicted.shape == (rows,)
np.testing.assert_allclose(predicted[-2000:], predicted[:2000], rtol=1e-9)
np.testing.assert_allclose(predicted[-2000:], reg.predict(np.array(X[-2000:])), rtol=1e-9)
# the last step is by the rows beyond element 2**31: without them the weights are others
assert not np.allclose(fit(X[:-2000], y[:-2000]).coefs_[0], reg.coefs_[0], rtol=1e-3)
"""


def test_more_than_2_to_the_31_elements(tmp_path):
    run = subprocess.run([sys.executable, "-c", MANY, str(tmp_path / "X")], capture_output=True,
                         text=True, timeout=LIMIT, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_more_features_than_the_indices_can_count():
    X = scipy.sparse.csr_array(
        (np.ones(2), np.array([0, 2**31]), np.array([0, 1, 2])), shape=(2, 2**31 + 1)
    )
    with pytest.raises((ValueError, MemoryError), match=r"2\*\*31 features|Unable to allocate"):
        MLPClassifier(1, max_iter=1).fit(X, [0, 1])


MEMORY = """
import resource, sys
import numpy as np
from fastmlp import MLPClassifier
X, y = np.random.default_rng(0).random((3000, 20), np.float32), np.arange(3000) % 3
clf = MLPClassifier((4,), max_iter=2).fit(X, y)
before = dict(vars(clf))
large = MLPClassifier((3000, 3000), max_iter=1, n_jobs=1).fit(X[:9], y[:9])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
_, most = resource.getrlimit(resource.RLIMIT_AS)
for megabytes, call in [
    (20, lambda: large.predict(X)),
    (20, lambda: large.loss_and_gradient(X, y)),
    (150, lambda: clf.set_params(hidden_layer_sizes=(3000, 3000)).fit(X, y)),
    (150, lambda: clf.set_params(hidden_layer_sizes=(10**7, 10**7)).fit(X, y)),
    (150, lambda: clf.set_params(hidden_layer_sizes=(2**62,)).fit(X, y)),
    (150, lambda: clf.set_params(hidden_layer_sizes=(2000, 2000), solver="lbfgs").fit(X, y)),
]:
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, most))
    try:
        call()
    except MemoryError as error:
        print(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    names = ("hidden_layer_sizes", "solver")
    assert all(vars(clf)[name] is before[name] for name in before if name not in names)
    assert vars(clf).keys() == before.keys()
clf.set_params(hidden_layer_sizes=(4,), solver="adam").fit(X, y).predict(X)
"""


@pytest.mark.measures
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_out_of_memory_names_the_sizes_and_leaves_the_estimator():
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", MEMORY], capture_output=True,
                         text=True, timeout=LIMIT, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) == 6, lines
    assert all(line.startswith("Unable to allocate ") for line in lines)
    assert "for packed weights and activations" in lines[0]
    assert "for training a network of 20-3000-3000-3 neurons in batches of 200 rows" in lines[2]
    assert "for an array with shape (20, 10000000)" in lines[3]
    assert "weights for hidden_layer_sizes" in lines[4]


# --- random numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor, Perceptron, Adaline])
def test_a_generator_as_random_state_is_refused_with_advice(Estimator):
    """As scikit-learn refuses it; the error says what takes its place."""
    rng = np.random.default_rng(0)
    X, y = [[0.0], [1.0]], [0, 1]
    with pytest.raises(ValueError, match=r"pass int\(rng\.integers\(2\*\*32\)\)"):
        Estimator(random_state=rng).fit(X, y)
    with pytest.raises(ValueError, match=r"Got 'x' instead\.$"):
        Estimator(random_state="x").fit(X, y)
    seed = int(rng.integers(2**32))
    first, second = (Estimator(random_state=seed, max_iter=2).fit(X, y) for _ in range(2))
    assert first.predict(X).tolist() == second.predict(X).tolist()
