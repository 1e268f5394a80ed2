"""RNNClassifier and RNNRegressor: forms of X and y, states, and scikit-learn's contract.

Gradients and steps of training are compared with references in test_recurrent_core.py.
"""

import copy
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import fastmlp
from fastmlp import MLPClassifier, MLPRegressor, RNNClassifier, RNNRegressor
from fastmlp.core.native import _native
from fastmlp.estimators.session import TrainingSession
from fastmlp.inspection import (
    ActivationDisplay,
    NetworkDisplay,
    UnitsDisplay,
    check_gradients,
    diagnose,
    explain_step,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BOTH = [RNNClassifier, RNNRegressor]
both = pytest.mark.parametrize("Estimator", BOTH)
cells = pytest.mark.parametrize("cell", ["elman", "gru"])

random = np.random.RandomState(0)
N, STEPS, FEATURES = 40, 6, 3
X = random.normal(size=(N, STEPS, FEATURES))
LENGTHS = random.randint(1, STEPS + 1, N)
LENGTHS[:3] = [STEPS, 1, 2]
RAGGED = [x[:length] for x, length in zip(X, LENGTHS, strict=True)]
VALID = np.arange(STEPS) < LENGTHS[:, None]
PADDED = np.where(VALID[:, :, None], X, np.nan)
SUMS = np.cumsum(X[:, :, 0], axis=1)  # what a network has to remember for
LABELS = np.array(["down", "up", "way up"])[np.digitize(SUMS, [-0.5, 0.5])]


def last(values):
    """Of values (n, n_steps) those of each sequence's last step."""
    return values[np.arange(N), LENGTHS - 1]


def targets(Estimator, form="last"):
    values = LABELS if Estimator is RNNClassifier else SUMS
    if form == "last":
        return last(values)
    if form == "list":
        return [v[:length] for v, length in zip(values, LENGTHS, strict=True)]
    return values if Estimator is RNNClassifier else values[:, :, np.newaxis]


def fitted(Estimator, X=PADDED, y="last", sample_weight=None, **parameters):
    parameters = {"hidden_layer_sizes": (5, 4), "max_iter": 8, "random_state": 0, **parameters}
    y = targets(Estimator, y) if isinstance(y, str) else y
    return Estimator(**parameters).fit(X, y, sample_weight)


def same(a, b):
    """Whether two networks have the same parameters, to the bit."""
    return all(np.array_equal(x, y) for x, y in zip(
        a._blocks().in_core_order(), b._blocks().in_core_order(), strict=True))  # fmt: skip


# --- forms of X ----------------------------------------------------------------------------------


@both
@cells
def test_lists_arrays_of_objects_and_padded_arrays_are_the_same(Estimator, cell):
    array = np.empty(N, object)
    array[:] = RAGGED
    assert array.dtype == object
    longer = np.concatenate([PADDED, np.full((N, 2, FEATURES), np.nan)], axis=1)
    models = [fitted(Estimator, given, cell=cell) for given in (PADDED, RAGGED, array, longer)]
    assert models[0].n_features_in_ == FEATURES
    assert not hasattr(models[0], "feature_names_in_")
    for model in models[1:]:
        assert same(model, models[0])
        for given in (PADDED, RAGGED, array, longer):
            np.testing.assert_array_equal(model.predict(given), models[0].predict(PADDED))


@both
def test_one_feature_needs_no_axis(Estimator):
    y = targets(Estimator)
    flat = fitted(Estimator, PADDED[:, :, 0], y)
    assert flat.n_features_in_ == 1
    for given in (PADDED[:, :, :1], [x[:, 0] for x in RAGGED], [x[:, 0].tolist() for x in RAGGED]):
        assert same(fitted(Estimator, given, y), flat)
        np.testing.assert_array_equal(flat.predict(given), flat.predict(PADDED[:, :, 0]))


@both
def test_types_of_numbers(Estimator):
    whole = np.round(X * 5).astype(np.int32)
    y = targets(Estimator)
    model = fitted(Estimator, whole, y)
    assert model.coefs_[0].dtype == model.recurrent_coefs_[0].dtype == np.float64
    assert same(model, fitted(Estimator, whole.astype(float), y))
    single = fitted(Estimator, PADDED.astype(np.float32))
    assert {a.dtype for a in single._blocks().in_core_order()} == {np.dtype(np.float32)}
    assert same(single, fitted(Estimator, [x.astype(np.float32) for x in RAGGED]))
    np.testing.assert_array_equal(
        model.predict(whole[:, ::-1][:, ::-1]), model.predict(np.asfortranarray(whole))
    )


@both
def test_what_is_padded_is_not_looked_at(Estimator):
    """The length of the padding, and other sequences in the batch, change no bit."""
    model = fitted(Estimator)
    for i in (0, 1, 2):
        alone = model.hidden_states([RAGGED[i]])
        for layer, states in enumerate(model.hidden_states(PADDED)):
            np.testing.assert_array_equal(states[i, : LENGTHS[i]], alone[layer][0])
            assert np.isnan(states[i, LENGTHS[i] :]).all()


@both
@pytest.mark.parametrize("y", ["last", "array"])
def test_pipelines_and_cross_validation_keep_lengths(Estimator, y):
    model = Estimator((4,), max_iter=3, random_state=0)
    y = targets(Estimator, y)
    cv = KFold(4)
    scores = cross_val_score(make_pipeline(FunctionTransformer(), model), PADDED, y, cv=cv)
    np.testing.assert_array_equal(cross_val_score(model, RAGGED, y, cv=cv), scores)
    for (train, test), score in zip(cv.split(PADDED), scores, strict=True):
        folded = clone(model).fit([RAGGED[i] for i in train], y[train])
        assert folded.score([RAGGED[i] for i in test], y[test]) == score
    predicted = cross_val_predict(model, PADDED, y, cv=cv)
    assert predicted.shape[:1] == (N,)


def test_scaling_in_a_pipeline_and_a_grid_search():
    y = targets(RNNClassifier)
    pipe = make_pipeline(StandardScaler(), RNNClassifier(max_iter=3, random_state=0))
    pipe.fit(PADDED[:, :, 0], y)
    assert pipe.predict(PADDED[:, :, 0]).shape == (N,)
    grid = {"cell": ["elman", "gru"], "hidden_layer_sizes": [(3,), (3, 3)]}
    search = GridSearchCV(RNNClassifier(max_iter=3, random_state=0), grid, cv=2).fit(RAGGED, y)
    assert set(search.best_params_) == set(grid)
    assert search.best_estimator_.score(RAGGED, y) == search.score(PADDED, y)


def test_labels_per_step_in_a_list_are_cross_validated_by_a_splitter():
    y = targets(RNNClassifier, "list")
    scores = cross_val_score(RNNClassifier((4,), max_iter=3), RAGGED, y, cv=KFold(3))
    assert np.isfinite(scores).all()


# --- errors --------------------------------------------------------------------------------------


def nan_at(*place):
    damaged = X.copy()
    damaged[place] = np.nan
    return damaged


@both
@pytest.mark.parametrize(
    ("X", "text"),
    [
        (nan_at(3, 2), "NaN within sequence 3, at step 2 in feature 0"),
        (nan_at(4, STEPS - 1, 1), "NaN within sequence 4, at step 5 in feature 1"),
        (nan_at(5), "NaN at all steps of sequence 5"),
        (np.where(X > 2, np.inf, X), "infinity"),
        (X[:, 0, 0], "Reshape your data"),
        (X[np.newaxis], "n_sequences, n_steps, n_features"),
        (X[:, :0], r"Got \(40, 0, 3\)"),
        (X[:0], "minimum of 1 is required"),
        ([*RAGGED[:-1], RAGGED[0][:, :2]], r"X\[0\] has 3, X\[39\] has 2"),
        ([*RAGGED[:-1], []], r"X\[39\] must be numbers of shape \(n_steps,\)"),
        ([*RAGGED[:-1], [["a", "b", "c"]]], r"X\[39\] must be numbers"),
        ([*RAGGED[:-1], [[1, 2, 3], [4, 5]]], r"X\[39\] must be numbers .* Got \[\[1, 2, 3\], "),
        ([*RAGGED[:-1], [[1, 2, None]]], r"NaN within sequence 39, at step 0 in feature 2"),
        (X.astype(complex), "Complex data not supported"),
    ],
)
def test_errors_of_X(Estimator, X, text):
    model = fitted(Estimator)
    before = pickle.dumps(model)
    for call in (model.predict, lambda X: model.fit(X, targets(Estimator)), model.hidden_states):
        with pytest.raises(ValueError, match=text):
            call(X)
    assert pickle.dumps(model) == before


@both
def test_swapped_axes_are_told_of(Estimator):
    model = fitted(Estimator)
    for call in (model.predict, lambda X: model.score(X, targets(Estimator))):
        with pytest.raises(ValueError, match=r"look swapped.*X\.transpose\(0, 2, 1\)"):
            call(X.transpose(0, 2, 1))
        with pytest.raises(
            ValueError, match=r"X has 2 features, but RNN.* is expecting 3"
        ) as error:
            call(X[:, :, :2])
        assert "swapped" not in str(error.value)
    with pytest.raises(ValueError, match="look swapped"):  # y tells
        Estimator().fit(X.transpose(0, 2, 1), targets(Estimator, "array"))
    whole = list(targets(Estimator, "array"))
    with pytest.raises(ValueError, match="look swapped"):
        Estimator().fit(list(X.transpose(0, 2, 1)), whole)


@both
def test_sparse_data_are_refused(Estimator):
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        Estimator().fit(scipy.sparse.csr_array(X[:, :, 0]), targets(Estimator))
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        Estimator().fit(X, scipy.sparse.csr_array(np.eye(N)))


@pytest.mark.parametrize(
    ("Estimator", "y", "text"),
    [
        (RNNClassifier, None, "requires y to be passed"),
        (RNNClassifier, last(LABELS)[:-1], "inconsistent numbers of samples"),
        (RNNClassifier, LABELS[:, :-1], r"labels are \(n_sequences,\) or \(n_sequences, n_steps\)"),
        (RNNClassifier, LABELS[:-1], "has 40 sequences of 6 steps"),
        (RNNClassifier, np.stack([LABELS, LABELS], axis=2), "labels are"),
        (RNNClassifier, targets(RNNClassifier, "list")[:-1], "inconsistent numbers of samples"),
        (RNNClassifier, [*targets(RNNClassifier, "list")[:-1], ["up"] * 9],
         rf"y\[39\] has 9 targets, but X\[39\] has {LENGTHS[-1]} steps"),
        (RNNClassifier, last(SUMS), "Unknown label type: continuous"),
        (RNNClassifier, SUMS, "Unknown label type: continuous"),
        (RNNRegressor, SUMS[:, :-1, np.newaxis], "targets per step are"),
        (RNNRegressor, np.where(VALID, np.nan, 0)[:, :, np.newaxis], "y contains NaN"),
        (RNNRegressor, np.where(SUMS > 1, np.inf, SUMS)[:, -1], "y contains infinity"),
        (RNNRegressor, last(LABELS), "y must be a dense array of numbers"),
    ],
)  # fmt: skip
def test_errors_of_y(Estimator, y, text):
    with pytest.raises(ValueError, match=text):
        Estimator().fit(PADDED, y)


@both
@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"hidden_layer_sizes": ()}, "must have one recurrent layer or more"),
        ({"activation": "maxout"}, "'activation' parameter of RNN.* must be"),
        ({"activation": ["tanh", "prelu"]}, "'activation' parameter of RNN.* must be"),
        ({"cell": "lstm"}, "'cell' parameter of RNN.* must be a str among {'elman', 'gru'}"),
        ({"dropout": [0.1, 0.1]}, "dropout must have one item per hidden layer"),
        ({"dropout": 0.1, "solver": "lbfgs"}, "dropout is for first-order solvers"),
        ({"init": [np.zeros((3, 5))]}, "init must give arrays of the shapes"),
    ],
)
def test_errors_of_parameters(Estimator, parameters, text):
    with pytest.raises(ValueError, match=text):
        fitted(Estimator, **parameters)


@both
def test_errors_of_states(Estimator):
    model = fitted(Estimator)
    states = [h[:, -1] for h in model.hidden_states(X)]
    for given in (states[:1], [states[0], states[1][:5]], [s.astype(str) for s in states]):
        with pytest.raises(ValueError, match=r"of the shapes \[\(40, 5\), \(40, 4\)\]"):
            model.predict(X, initial_state=given)
    with pytest.raises(ValueError, match="initial_state must be finite"):
        model.predict(X, initial_state=[h[:, -1] for h in model.hidden_states(PADDED)])
    for name in ("predict", "hidden_states", "hidden_activations"):
        with pytest.raises(NotFittedError):
            getattr(Estimator(), name)(X)
    with pytest.raises(ValueError, match="layer must be an int"):
        model.hidden_activations(X, 2)


def test_targets_of_the_other_kind_are_refused():
    model = fitted(RNNClassifier)
    with pytest.raises(ValueError, match="one target per step, but the RNNClassifier was fitted"):
        model.loss_and_gradient(PADDED, LABELS)
    per_step = fitted(RNNClassifier, y="array")
    with pytest.raises(ValueError, match="y has one target per sequence, but"):
        per_step.score(PADDED, last(LABELS))
    with pytest.raises(ValueError, match=r"X_val.*y has one target per sequence"):
        per_step.fit(PADDED, LABELS, X_val=PADDED, y_val=last(LABELS))
    with pytest.raises(ValueError, match="class_weight is for one label per sequence"):
        fitted(RNNClassifier, y="array", class_weight="balanced")


# --- forms of y ----------------------------------------------------------------------------------


@both
@cells
def test_targets_per_step_in_lists_and_arrays(Estimator, cell):
    model = fitted(Estimator, y="array", cell=cell)
    assert same(fitted(Estimator, RAGGED, "list", cell=cell), model)
    assert same(fitted(Estimator, PADDED, "list", cell=cell), model)
    y = targets(Estimator, "array").copy()
    y[~VALID] = "up" if Estimator is RNNClassifier else np.nan  # after the ends anything goes
    assert same(fitted(Estimator, PADDED, y, cell=cell), model)
    lists, array = model.predict(RAGGED), model.predict(PADDED)
    assert [len(predicted) for predicted in lists] == LENGTHS.tolist()
    assert array.shape == (N, STEPS)
    np.testing.assert_array_equal(np.concatenate(lists), array[VALID])
    assert all(value != value for value in array[~VALID])  # NaN
    assert model.predict(X).dtype.kind == ("U" if Estimator is RNNClassifier else "f")


def test_score_per_step():
    clf, reg = fitted(RNNClassifier, y="array"), fitted(RNNRegressor, y="array")
    weight = random.uniform(size=N)
    steps = np.repeat(weight, LENGTHS)
    for model, y, metric in ((clf, LABELS, accuracy_score), (reg, SUMS, r2_score)):
        Estimator = type(model)
        predicted = model.predict(PADDED)[VALID]
        if Estimator is RNNClassifier:
            predicted = predicted.astype(str)
        for w, repeated in ((None, None), (weight, steps)):
            expected = metric(y[VALID], predicted, sample_weight=repeated)
            assert model.score(PADDED, targets(Estimator, "array"), w) == pytest.approx(expected)
            assert model.score(RAGGED, targets(Estimator, "list"), w) == pytest.approx(expected)


def test_several_outputs():
    Y = np.stack([SUMS, -SUMS], axis=2)
    reg = fitted(RNNRegressor, y=last(Y))
    assert reg.predict(RAGGED).shape == (N, 2)
    steps = fitted(RNNRegressor, y=Y)
    assert steps.predict(PADDED).shape == (N, STEPS, 2)
    assert steps.score(PADDED, Y) == pytest.approx(r2_score(Y[VALID], steps.predict(PADDED)[VALID]))
    assert same(fitted(RNNRegressor, RAGGED, [y[:k] for y, k in zip(Y, LENGTHS, strict=True)]),
                steps)  # fmt: skip


def test_as_many_values_as_steps_are_told_of():
    with pytest.warns(UserWarning, match=r"taken as 6 values of each whole sequence.*np\.newaxis"):
        model = fitted(RNNRegressor, y=SUMS)
    assert model.n_outputs_ == STEPS
    with pytest.warns(DataConversionWarning):
        column = fitted(RNNClassifier, y=last(LABELS)[:, np.newaxis])
    assert same(column, fitted(RNNClassifier))


def test_probabilities_and_margins():
    for y in ("last", "array"):
        clf = fitted(RNNClassifier, y=y)
        proba = clf.predict_proba(PADDED)
        assert clf.classes_.tolist() == ["down", "up", "way up"]
        assert proba.shape == (*targets(RNNClassifier, y).shape, 3)
        valid = ~np.isnan(proba[..., 0])
        np.testing.assert_allclose(proba[valid].sum(axis=-1), 1)
        np.testing.assert_allclose(np.exp(clf.predict_log_proba(PADDED)[valid]), proba[valid])
        assert (clf.classes_[proba[valid].argmax(-1)] == clf.predict(PADDED)[valid]).all()
        two = fitted(RNNClassifier, y=targets(RNNClassifier, y) == "up", loss="hinge")
        margins = two.decision_function(PADDED)
        assert margins.shape == targets(RNNClassifier, y).shape
        assert not hasattr(two, "predict_proba")
        np.testing.assert_array_equal(margins[valid] > 0, two.predict(PADDED)[valid] == 1)
    ragged = clf.predict_proba(RAGGED)
    assert [p.shape for p in ragged] == [(length, 3) for length in LENGTHS]


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "hinge", "perceptron"])
def test_losses_of_the_classifier(loss):
    clf = fitted(RNNClassifier, X, LABELS[:, -1], loss=loss, max_iter=60, learning_rate_init=0.02)
    assert clf.score(X, LABELS[:, -1]) > 0.8


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile",
                                  "poisson", "gamma"])  # fmt: skip
def test_losses_of_the_regressor(loss):
    y = np.exp(SUMS / 3)[:, :, np.newaxis]
    reg = fitted(RNNRegressor, X, y, loss=loss, max_iter=60, learning_rate_init=0.02)
    assert reg.score(X, y) > 0.3
    with pytest.raises(ValueError, match="out of the valid range"):
        fitted(RNNRegressor, X, -y, loss="gamma")


# --- states --------------------------------------------------------------------------------------


@cells
def test_states_are_the_formula(cell):
    """One sequence by hand, in NumPy."""
    model = fitted(RNNRegressor, cell=cell, activation=["tanh", "elu"])
    inputs = X[0]
    states = model.hidden_states(X[:1])
    for layer, f in enumerate((np.tanh, lambda z: np.where(z > 0, z, np.expm1(z)))):
        W, b, U = model.coefs_[layer], model.intercepts_[layer], model.recurrent_coefs_[layer]
        n = len(U)
        h, rows = np.zeros(n), []
        for x in inputs:
            if cell == "elman":
                h = f(x @ W + b + h @ U)
            else:
                zx, zh = x @ W + b, h @ U + model.recurrent_intercepts_[layer]
                r, z = np.split(1 / (1 + np.exp(-(zx + zh)[: 2 * n])), 2)
                h = (1 - z) * f(zx[2 * n :] + r * zh[2 * n :]) + z * h
            rows.append(h)
        np.testing.assert_allclose(states[layer][0], rows, rtol=1e-12, atol=1e-14)
        inputs = np.array(rows)
    output = inputs[-1] @ model.coefs_[-1] + model.intercepts_[-1]
    np.testing.assert_allclose(model.predict(X[:1]), output)
    np.testing.assert_array_equal(model.hidden_activations(X[:1]), states[-1][:, -1])


@both
@cells
@pytest.mark.parametrize("y", ["last", "array"])
def test_prediction_goes_on_from_a_state(Estimator, cell, y):
    model = fitted(Estimator, cell=cell, y=y)
    whole, states = model.predict(X), model.hidden_states(X)
    state = None
    for t in range(STEPS):
        step = X[:, t : t + 1]
        predicted = model.predict(step, initial_state=state)
        found = model.hidden_states(step, initial_state=state)
        for one, all_ in zip(found, states, strict=True):
            np.testing.assert_allclose(one[:, 0], all_[:, t], rtol=1e-12, atol=1e-14)
        state = [one[:, -1] for one in found]
        if y == "array":
            assert same_values(predicted[:, 0], whole[:, t])
    if y == "last":
        assert same_values(predicted, whole)
    # in two pieces
    state = [one[:, 2] for one in states]
    rest = model.predict(X[:, 3:], initial_state=state)
    assert same_values(rest, whole[:, 3:] if y == "array" else whole)


def same_values(a, b):
    return np.array_equal(a, b) if a.dtype.kind == "U" else np.allclose(a, b, rtol=1e-12)


@both
def test_hidden_activations_are_states_after_the_last_step(Estimator):
    model = fitted(Estimator)
    states = model.hidden_states(PADDED)
    for layer in (0, 1):
        expected = last(states[layer])
        np.testing.assert_array_equal(model.hidden_activations(RAGGED, layer), expected)
    np.testing.assert_array_equal(model.hidden_activations(PADDED), expected)


# --- training ------------------------------------------------------------------------------------


@both
@cells
@pytest.mark.parametrize("solver", ["lbfgs", *_native.SOLVER_SLOTS])
def test_each_solver_learns(Estimator, cell, solver):
    first = fitted(Estimator, cell=cell, solver=solver, max_iter=1)
    rate = {"adadelta": 5.0, "sgd": 0.1}.get(solver, 0.01)
    model = fitted(Estimator, cell=cell, solver=solver, max_iter=60, learning_rate_init=rate,
                   batch_size=5)  # fmt: skip
    assert model.loss_ < 0.9 * first.loss_
    assert model._blocks().is_finite()


@both
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"solver": "sgd", "alpha": 0.1, "l1": 0.01},
        {"early_stopping": True, "clip_norm": 0.1, "alpha": 0},
    ],
    ids=str,
)
def test_sequences_of_one_step_are_the_samples_of_a_dense_network(Estimator, parameters):
    """There is no context at the first step: the same training, but for the rounding of sums."""
    Dense = MLPClassifier if Estimator is RNNClassifier else MLPRegressor
    options = {"hidden_layer_sizes": (5, 4), "activation": "tanh", "max_iter": 12, "shuffle": False,
               "batch_size": 7, "learning_rate_init": 0.01, "random_state": 0}  # fmt: skip
    y = targets(Estimator)
    models = [
        cls(**options, **parameters).fit(rows, y, X_val=rows[:10], y_val=y[:10])
        for cls, rows in ((Dense, X[:, 0]), (Estimator, X[:, :1]))
    ]
    for a, b in zip(models[0].coefs_, models[1].coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        models[0].validation_scores_, models[1].validation_scores_, rtol=1e-9
    )


def test_context_is_needed_and_learned():
    """The parity of the bits so far: no network without context tells it from the last bit."""
    bits = random.randint(0, 2, (200, 8))
    parity = np.cumsum(bits, axis=1) % 2
    clf = RNNClassifier((8,), solver="lbfgs", max_iter=500, alpha=1e-6, random_state=0)
    clf.fit(2.0 * bits - 1, parity)
    assert clf.score(2.0 * bits - 1, parity) > 0.99
    long = random.randint(0, 2, (20, 30))  # the rule, not the length
    assert clf.score(2.0 * long - 1, np.cumsum(long, axis=1) % 2) > 0.9


def test_scorers_cannot_take_targets_per_step_of_different_lengths():
    ragged = [np.zeros(3), np.ones(5)] * 10
    labels = [x.astype(int) for x in ragged]
    clf = RNNClassifier((2,), early_stopping=True, scoring="accuracy", random_state=0)
    with pytest.raises(ValueError, match="scoring='accuracy' cannot compare targets per step"):
        clf.fit(ragged, labels)
    clf.set_params(max_iter=2, scoring="loss").fit(ragged, labels)


@both
@pytest.mark.parametrize("y", ["last", "array"])
@pytest.mark.parametrize("scoring", [None, "loss"])
def test_early_stopping(Estimator, y, scoring):
    model = fitted(Estimator, y=y, early_stopping=True, scoring=scoring, max_iter=30,
                   learning_rate_init=0.01)  # fmt: skip
    scores = model.validation_scores_
    assert len(scores) == len(model.loss_curve_)
    assert model.best_validation_score_ == max(scores)
    if scoring == "loss":
        np.testing.assert_allclose(scores, -np.array(model.validation_loss_curve_))


@both
@pytest.mark.parametrize("y", ["last", "array"])
def test_validation_data(Estimator, y):
    y = targets(Estimator, y)
    model = Estimator((4,), max_iter=5, random_state=0)
    model.fit(PADDED[:30], y[:30], X_val=RAGGED[30:], y_val=y[30:], sample_weight_val=np.ones(10))
    assert model.validation_scores_[-1] == pytest.approx(model.score(RAGGED[30:], y[30:]))
    scored = clone(model).set_params(scoring=lambda fit, X, y: fit.score(X, y))
    scored.fit(PADDED[:30], y[:30], X_val=PADDED[30:], y_val=y[30:])
    np.testing.assert_allclose(scored.validation_scores_, model.validation_scores_)
    longer = np.concatenate([X[30:], X[30:]], axis=1)  # of another length than in training
    y_longer = y[30:] if y.ndim == 1 else np.concatenate([y[30:], y[30:]], axis=1)
    assert np.isfinite(
        model.fit(X[:30], y[:30], X_val=longer, y_val=y_longer).validation_scores_[0]
    )
    with pytest.warns(UserWarning, match="X_val lies far outside of the range of X in 3 of 3"):
        model.fit(PADDED[:30], y[:30], X_val=100 + PADDED[30:], y_val=y[30:])


@both
@pytest.mark.parametrize("y", ["last", "array"])
def test_sample_weights(Estimator, y):
    """A weight of zero is as if the sequence were not there, and weights act per sequence."""
    y = targets(Estimator, y)
    weight = np.r_[np.ones(25), np.zeros(15)]
    options = {"solver": "lbfgs", "max_iter": 4, "alpha": 0}
    weighted = fitted(Estimator, PADDED, y, weight, **options)
    alone = fitted(Estimator, PADDED[:25], y[:25], **options) if len(set(y[:25].flat)) > 2 else None
    assert alone is not None
    np.testing.assert_allclose(weighted.coefs_[0], alone.coefs_[0], atol=1e-8)
    losses = [weighted.loss_and_gradient(PADDED, y, w)[0] for w in (None, np.full(N, 3.0))]
    assert losses[0] == pytest.approx(losses[1])


def test_loss_per_step_is_the_mean_over_steps():
    clf = fitted(RNNClassifier, y="array", alpha=0)
    proba = clf.predict_proba(PADDED)[VALID]
    classes = np.searchsorted(clf.classes_, LABELS[VALID])
    losses = -np.log(proba[np.arange(len(classes)), classes])
    weight = random.uniform(size=N)
    for w, repeated in ((None, None), (weight, np.repeat(weight, LENGTHS))):
        expected = np.average(losses, weights=repeated)
        assert clf.loss_and_gradient(PADDED, LABELS, w)[0] == pytest.approx(expected, rel=1e-12)


def test_class_weights():
    y = last(LABELS)
    weights = {"down": 1.0, "up": 2.0, "way up": 5.0}
    by_class = fitted(RNNClassifier, class_weight=weights)
    by_sample = fitted(RNNClassifier, sample_weight=np.array([weights[label] for label in y]))
    assert same(by_class, by_sample)
    assert not same(by_class, fitted(RNNClassifier))
    assert fitted(RNNClassifier, class_weight="balanced").score(PADDED, y) >= 0


@both
@cells
@pytest.mark.parametrize("y", ["last", "array"])
def test_partial_fit_and_warm_start(Estimator, cell, y):
    y = targets(Estimator, y)
    more = {"classes": np.unique(LABELS)} if Estimator is RNNClassifier else {}
    options = {"hidden_layer_sizes": (5, 4), "cell": cell, "shuffle": False, "random_state": 0}
    parts = Estimator(**options)
    for _ in range(3):
        parts.partial_fit(PADDED, y, **more)
    whole = Estimator(max_iter=3, **options).fit(PADDED, y)
    assert same(parts, whole)
    longer = np.concatenate([PADDED, np.full((N, 3, FEATURES), np.nan)], axis=1)
    y_longer = y if y.ndim == 1 else np.concatenate([y, y[:, :3]], axis=1)
    copied = copy.deepcopy(parts).partial_fit(PADDED, y)
    assert same(parts.partial_fit(longer, y_longer), copied)  # the state goes on
    before = whole.loss_
    assert whole.set_params(warm_start=True).fit(PADDED, y).loss_ < before
    other = "gru" if cell == "elman" else "elman"
    with pytest.raises(ValueError, match=f"cell='{other}'.* do not fit the weights"):
        whole.set_params(cell=other).fit(PADDED, y)
    assert whole.predict(PADDED).shape == y.shape[:2]  # by the network that it still is


@both
def test_dropout_and_other_options(Estimator):
    model = fitted(Estimator, dropout=[0.1, 0.2, 0.0], clip_norm=1.0, max_norm=2.0, l1=0.001,
                   learning_rate="one_cycle", max_iter=5, batch_size=7)  # fmt: skip
    assert not same(model, fitted(Estimator, max_iter=5, batch_size=7))
    assert same(model, clone(model).fit(PADDED, targets(Estimator)))  # seeded
    np.testing.assert_array_equal(model.predict(X), model.predict(X))


@both
def test_diagnostics(Estimator):
    model = fitted(Estimator, diagnostics=True, max_iter=3)
    assert model.diagnostics_["gradient_norm"].shape == (3, 3)
    assert (model.diagnostics_["gradient_norm"] > 0).all()
    assert same(model, fitted(Estimator, max_iter=3))


@both
@pytest.mark.parametrize("y", ["last", "array"])
def test_checkpoints(Estimator, y, tmp_path):
    """A fit that was interrupted goes on to the same bits."""
    y = targets(Estimator, y)
    path = tmp_path / "checkpoint"
    options = {"hidden_layer_sizes": (5,), "cell": "gru", "max_iter": 6, "random_state": 0}
    whole = Estimator(**options).fit(PADDED, y)

    class Stop(Exception):
        pass

    def rate(epoch):
        if epoch == 4 and not resumed:
            raise Stop
        return 0.001

    resumed = False
    model = Estimator(checkpoint=path, checkpoint_every=1, learning_rate=rate, **options)
    with pytest.raises(Stop):
        model.fit(PADDED, y)
    assert path.exists()
    with pytest.raises(ValueError, match="checkpoint"):
        clone(model).fit(PADDED[::-1], y[::-1])
    resumed = True
    assert same(model.fit(PADDED, y), whole)
    assert not path.exists()


class Watcher:
    """A callback that scores the fitted estimator after each epoch."""

    def __init__(self):
        self.scores = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(X, y))


@both
@pytest.mark.parametrize("y", ["last", "list"])
def test_callbacks(Estimator, y):
    pytest.importorskip("sklearn.callback")
    y, watcher = targets(Estimator, y), Watcher()
    model = Estimator((4,), max_iter=5, random_state=0).set_callbacks(watcher).fit(RAGGED, y)
    assert len(watcher.scores) == 5
    assert watcher.scores[-1] == pytest.approx(model.score(RAGGED, y))


@both
def test_an_interrupt_keeps_the_model(Estimator):
    def rate(epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        return 0.001

    with pytest.warns(UserWarning, match="[Ii]nterrupt"):
        model = fitted(Estimator, learning_rate=rate, max_iter=9)
    assert model.n_iter_ == 2
    assert model.predict(PADDED).shape == (N,)


def test_a_fit_that_learns_nothing_says_so():
    y = random.randint(0, 2, (N, STEPS))
    with pytest.warns(UserWarning, match="has learned nothing") as caught:
        fitted(RNNClassifier, np.zeros((N, STEPS, 1)), y, max_iter=60, tol=0)
    assert "diagnose" not in str(caught[-1].message)


@both
def test_divergence_is_an_error(Estimator):
    with pytest.raises(ValueError, match="Training diverged"), np.errstate(all="ignore"):
        fitted(Estimator, X * 1e3, targets(Estimator), activation="relu", solver="sgd",
               learning_rate_init=1e30, max_iter=30)  # fmt: skip


@both
@cells
@pytest.mark.parametrize("y", ["last", "array"])
def test_check_gradients(Estimator, cell, y):
    model = fitted(Estimator, cell=cell, y=y)
    errors = check_gradients(model, PADDED, targets(Estimator, y), random.uniform(size=N))
    assert {"coefs_[0]", "recurrent_coefs_[1]"} <= set(errors)
    assert ("recurrent_intercepts_[0]" in errors) == (cell == "gru")
    assert max(errors.values()) < 1e-6
    _, gradient = model.loss_and_gradient(PADDED, targets(Estimator, y))
    assert [len(layer) for layer in gradient] == [3 + (cell == "gru")] * 2 + [2]


# --- first weights -------------------------------------------------------------------------------


@cells
@pytest.mark.parametrize("init", ["glorot_uniform", "auto", "he_normal"])
def test_first_weights(cell, init):
    """Layers are drawn as in the network without context, recurrent weights after them."""
    model = fitted(RNNClassifier, cell=cell, init=init, max_iter=1, learning_rate_init=1e-12)
    gates = 3 if cell == "gru" else 1
    assert [w.shape for w in model.coefs_] == [(3, 5 * gates), (5, 4 * gates), (4, 3)]
    assert [u.shape for u in model.recurrent_coefs_] == [(5, 5 * gates), (4, 4 * gates)]
    assert [len(c) for c in model.recurrent_intercepts_] == ([15, 12] if cell == "gru" else [])
    if cell == "elman":
        dense = MLPClassifier((5, 4), "tanh", init=init, max_iter=1, random_state=0,
                              learning_rate_init=1e-12)  # fmt: skip
        dense.fit(X[:, 0], targets(RNNClassifier))
        for a, b in zip(dense.coefs_, model.coefs_, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10)


@cells
def test_own_first_weights(cell):
    given = []

    def init(shape, rng):
        given.append(rng.normal(size=shape))
        return given[-1]

    model = fitted(RNNRegressor, cell=cell, init=init, max_iter=1, learning_rate_init=1e-12)
    ours = [a for layer in zip(model.coefs_, model.intercepts_, strict=True) for a in layer]
    if cell == "gru":
        pairs = zip(model.recurrent_coefs_, model.recurrent_intercepts_, strict=True)
        ours += [a for pair in pairs for a in pair]
    else:
        ours += model.recurrent_coefs_
    for a, b in zip(given, ours, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
    again = fitted(RNNRegressor, cell=cell, init=given, max_iter=1, learning_rate_init=1e-12)
    assert same(again, model)


# --- elsewhere -----------------------------------------------------------------------------------


@both
@cells
@pytest.mark.parametrize("y", ["last", "array"])
def test_saving_pickling_copying(Estimator, cell, y, tmp_path):
    y = targets(Estimator, y)
    model = fitted(Estimator, PADDED, y, cell=cell, dropout=0.1).partial_fit(PADDED, y)
    model.save(tmp_path / "model")
    loaded = fastmlp.load(tmp_path / "model")
    assert loaded.get_params() == model.get_params()
    assert type(loaded) is Estimator
    others = [loaded, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    for other in others:
        assert same(other, model)
        assert np.array_equal(model.predict(X), other.predict(X))
    went_on = model.partial_fit(PADDED, y)
    for other in others:
        assert same(other.partial_fit(PADDED, y), went_on)
    model.recurrent_coefs_ = model.recurrent_coefs_[:1]
    with pytest.raises(ValueError, match="cannot be saved: recurrent_coefs_ of the shapes"):
        model.save(tmp_path / "model")


@both
@cells
@pytest.mark.parametrize("y", ["last", "array"])
@pytest.mark.parametrize("sizes", [(5,), (5, 4)])
def test_torch(Estimator, cell, y, sizes):
    torch = pytest.importorskip("torch")
    model = fitted(Estimator, cell=cell, y=y, hidden_layer_sizes=sizes)
    module = model.to_torch()
    layers = [type(layer).__name__ for layer in module.layers]
    assert layers == [{"elman": "RNN", "gru": "GRU"}[cell]] * len(sizes)

    def outputs(model, X):
        if Estimator is RNNClassifier:
            return model.predict_proba(X)
        return model.predict(X)[..., np.newaxis]

    with torch.no_grad():
        np.testing.assert_allclose(module(torch.tensor(X)), outputs(model, X), atol=1e-12)
        padded = torch.tensor(np.nan_to_num(PADDED))
        found = module(padded, torch.tensor(LENGTHS)).numpy()
    expected = outputs(model, PADDED)
    valid = VALID if y == "array" else np.ones(N, bool)
    np.testing.assert_allclose(found[valid], expected[valid], atol=1e-12)
    with pytest.raises(ValueError, match="PyTorch's recurrent layers have the activations 'tanh'"):
        fitted(Estimator, cell=cell, activation="elu").to_torch()


@both
@cells
@pytest.mark.parametrize("activation", ["tanh", "elu", "softplus"])
def test_onnx(Estimator, cell, activation, tmp_path):
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    model = fitted(Estimator, X, targets(Estimator), cell=cell, activation=activation)
    model.to_onnx(tmp_path / "model.onnx", X)
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for given in (X, X[:3, :2], X[:, :1]):
        found = session.run(None, {"X": given})
        if Estimator is RNNClassifier:
            np.testing.assert_array_equal(found[0], model.predict(given))
            np.testing.assert_allclose(found[1], model.predict_proba(given), atol=1e-9)
        else:
            np.testing.assert_allclose(found[0][:, 0], model.predict(given), atol=1e-9)
    with pytest.raises(ValueError, match=r"of shape \(n_sequences, n_steps, 3\)"):
        model.to_onnx(X=X[:, 0])
    with pytest.raises(ValueError, match="one output per sequence"):
        fitted(Estimator, y="array").to_onnx()


def test_pipelines_in_onnx_are_refused():
    for package in ("onnx", "skl2onnx"):
        pytest.importorskip(package)
    pipe = make_pipeline(StandardScaler(), RNNClassifier((3,), max_iter=2))
    pipe.fit(X[:, :, 0], targets(RNNClassifier))
    with pytest.raises(ValueError, match="RNNClassifier among other steps has no ONNX model"):
        fastmlp.to_onnx(pipe, X=X[:, :, 0])


@both
@cells
def test_representations(Estimator, cell):
    model = fitted(Estimator, cell=cell, dropout=[0.1, 0.2, 0.0])
    summary = model.summary()
    gates = 3 if cell == "gru" else 1
    outputs = 3 if Estimator is RNNClassifier else 1
    n = gates * (3 * 5 + 5 + 5 * 5 + 5 * 4 + 4 + 4 * 4) + 4 * outputs + outputs
    n += 27 if cell == "gru" else 0  # the second biases
    assert summary.n_parameters == n == len(model._blocks().flat())
    assert summary.multiply_adds == gates * (15 + 25 + 20 + 16) + 4 * outputs
    assert f"3-5-4-{outputs}, {cell}, float64" in str(summary)
    assert "multiply-adds per step" in str(summary)
    assert summary.steps_per_epoch == 1
    html = model._repr_html_()
    assert html.count("context of") == 2
    assert f"cell='{cell}'" in repr(model) or cell == "elman"
    assert not hasattr(model, "to_sklearn")


def test_drawings():
    pytest.importorskip("matplotlib").use("Agg")
    model = fitted(RNNClassifier)
    display = NetworkDisplay.from_estimator(model, PADDED[:1])
    texts = {text.get_text() for text in display.texts_}
    assert {"context of 5", "context of 4"} <= texts
    paths = sum(len(collection.get_paths()) for collection in display.lines_)
    assert paths == 4 * 5 + 6 * 4 + 5 * 3 + 9  # weights and biases; a loop for each unit
    values = model._unit_values(RAGGED[:1])
    np.testing.assert_array_equal(values[0], RAGGED[0][-1])
    np.testing.assert_allclose(values[-1], model.predict_proba(RAGGED[:1])[0])
    with pytest.raises(ValueError, match="X must be one sequence"):
        NetworkDisplay.from_estimator(model, X)


@both
def test_what_does_not_look_into_them_says_so(Estimator):
    model = fitted(Estimator)
    with pytest.raises(TypeError, match=f"Got {Estimator.__name__} instead"):
        diagnose(model, X, targets(Estimator))
    with pytest.raises(TypeError, match=f"Got {Estimator.__name__} instead"):
        explain_step(model, X[:1], targets(Estimator)[:1])
    with pytest.raises(TypeError, match=f"dense networks. Got {Estimator.__name__}"):
        TrainingSession(model, X, targets(Estimator))
    pytest.importorskip("matplotlib").use("Agg")
    for display in (ActivationDisplay, UnitsDisplay):
        with pytest.raises(TypeError, match=f"Got {Estimator.__name__} instead, whose units"):
            display.from_estimator(model, X)


# --- scikit-learn's contract ---------------------------------------------------------------------

# In the form (n, n_steps) the columns are time steps of one feature. Sequences may be of any
# length, and each may be of another: so their number does not belong to the model.
STEPS_ARE_NO_FEATURES = "columns are time steps, of which there may be any number in any call"
EXPECTED_TO_FAIL = {
    # that n_features_in_ is the number of columns
    "check_n_features_in": STEPS_ARE_NO_FEATURES,
    "check_n_features_in_after_fitting": STEPS_ARE_NO_FEATURES,
    # that another number of columns is an error
    "check_estimators_partial_fit_n_features": STEPS_ARE_NO_FEATURES,
    "check_classifiers_train": STEPS_ARE_NO_FEATURES,
}


@both
@cells
def test_check_estimator(Estimator, cell):
    results = check_estimator(
        Estimator((16,), cell=cell, learning_rate_init=0.003), on_skip=None, on_fail=None,
        expected_failed_checks=EXPECTED_TO_FAIL,
    )  # fmt: skip
    assert not {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert {r["check_name"] for r in results if r["status"] == "xfail"} <= set(EXPECTED_TO_FAIL)
    assert sum(result["status"] == "passed" for result in results) >= 50


class OfOneLength:
    """Refuses another number of columns than in `fit`."""

    def _check_X_y(self, X, y, *, reset):
        X, y = super()._check_X_y(X, y, reset=reset)
        if reset:
            self.columns_ = X.shape[1]
        return self.checked(X), y

    def _check_rows(self, X):
        rows, dtype = super()._check_rows(X)
        return self.checked(rows), dtype

    def checked(self, X):
        if X.shape[1] != self.columns_:
            raise ValueError("another number of columns")
        return X


class ClassifierOfOneLength(OfOneLength, RNNClassifier):
    __init__ = RNNClassifier.__init__


class RegressorOfOneLength(OfOneLength, RNNRegressor):
    __init__ = RNNRegressor.__init__


@both
def test_the_expected_failures_have_no_other_reason(Estimator):
    """Where another number of columns is refused, all is well but what n_features_in_ is."""
    refusing = {RNNClassifier: ClassifierOfOneLength, RNNRegressor: RegressorOfOneLength}
    results = check_estimator(refusing[Estimator]((16,)), on_skip=None, on_fail=None)
    failed = {r["check_name"] for r in results if r["status"] == "failed"}
    assert failed == {"check_n_features_in", "check_n_features_in_after_fitting"}


@both
def test_frames_have_steps_as_columns(Estimator):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(PADDED[:, :, 0], columns=[f"{year}" for year in range(2000, 2006)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = fitted(Estimator, frame, pd.Series(targets(Estimator)))
        model.predict(frame.iloc[:, :3].dropna())
    assert not hasattr(model, "feature_names_in_")
    assert same(model, fitted(Estimator, PADDED[:, :, 0]))


@both
def test_set_params_after_a_fit_changes_no_prediction(Estimator):
    model = fitted(Estimator)
    before = model.predict(PADDED)
    model.set_params(cell="gru", activation="relu", hidden_layer_sizes=(2,), loss="squared_error")
    np.testing.assert_array_equal(model.predict(PADDED), before)


def test_digits_row_by_row():
    digits = load_digits()
    rows, y = digits.images[:900] / 16, digits.target[:900]
    clf = RNNClassifier((32,), cell="gru", max_iter=30, batch_size=20, learning_rate="one_cycle",
                        learning_rate_init=0.01, random_state=0)  # fmt: skip
    assert clf.fit(rows[::2], y[::2]).score(rows[1::2], y[1::2]) > 0.9


def test_threads_change_no_bit():
    models = [fitted(RNNClassifier, RAGGED, "list", n_jobs=n, cell="gru") for n in (1, 2, 4)]
    assert same(models[0], models[1])
    assert same(models[0], models[2])


def test_no_warning_without_a_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        for Estimator in BOTH:
            fitted(Estimator, RAGGED).predict(RAGGED)
