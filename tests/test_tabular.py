"""TabularMLPClassifier and TabularMLPRegressor: tables as they come, scikit-learn's contract."""

import pickle
from concurrent.futures import wait
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from fastmlp import TabularMLPClassifier, TabularMLPRegressor, load
from fastmlp.core import container
from fastmlp.estimators import ensemble
from fastmlp.exchange.model_files import FORMAT
from fastmlp.tables import table_encoder
from fastmlp.tables.reading import Table

BOTH = [TabularMLPClassifier, TabularMLPRegressor]
both = pytest.mark.parametrize("Estimator", BOTH)
SMALL = {
    "n_ensemble": 2, "hidden_layer_sizes": 16, "max_iter": 4, "random_state": 0, "n_jobs": 1
}  # fmt: skip


def small(Estimator, **parameters):
    return Estimator(**{**SMALL, **parameters})


def mixed_table(n=200, seed=0):
    """A pandas frame of all kinds of columns, with cells missing."""
    random = np.random.RandomState(seed)
    X = pd.DataFrame({
        "size": random.lognormal(0, 3, n),
        "count": pd.array(random.poisson(3, n), dtype="Int64"),
        "flag": pd.array(random.rand(n) < 0.4, dtype="boolean"),
        "color": random.choice(["red", "green", "blue"], n),
        "grade": pd.Categorical(random.choice([1, 2, 3], n)),
        "day": np.datetime64("1999-12-30") + random.randint(0, 9000, n),
        "same": "x",
    })  # fmt: skip
    signal = np.log(X["size"]) + 2 * (X["color"] == "red") - X["flag"].astype(float)
    for i, name in enumerate(["size", "count", "flag", "color", "grade", "day"]):
        X.loc[random.rand(n) < 0.05 * (i % 2 + 1), name] = None
    return X, signal.to_numpy() + random.normal(0, 0.1, n)


X_mixed, z_mixed = mixed_table()
y_mixed = np.where(z_mixed > 0, "high", "low")


def target(Estimator):
    return y_mixed if Estimator is TabularMLPClassifier else z_mixed


def scores(model, X):
    """What the model says of X, as finely as it does."""
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def assert_same(a, b, X=X_mixed):
    np.testing.assert_array_equal(scores(a, X), scores(b, X))


# --- scikit-learn's contract ---------------------------------------------------------------------


@both
def test_check_estimator(Estimator):
    known = {
        "check_sample_weight_equivalence_on_dense_data": "mini-batches and folds are of rows, and "
        "repeated rows are more of them",
    }
    if Estimator is TabularMLPClassifier:
        known["check_class_weight_classifiers"] = (
            "with all weight on a class's few samples nothing is learned of where there are none: "
            "the share of predictions that is asked for is met or just missed, by rounding"
        )
    results = check_estimator(
        Estimator(n_jobs=1, n_ensemble=2), on_skip=None, expected_failed_checks=known
    )
    assert {result["status"] for result in results} <= {"passed", "skipped", "xfail"}
    assert sum(result["status"] == "passed" for result in results) >= 55


@both
def test_the_ecosystem_takes_tables(Estimator):
    model, y = small(Estimator, hidden_layer_sizes=[8], max_iter=2), target(Estimator)
    assert len(cross_val_score(model, X_mixed, y, cv=2)) == 2
    assert len(cross_val_predict(model, X_mixed, y, cv=2)) == len(y)
    search = GridSearchCV(model, {"hidden_layer_sizes": [4, (6, 5)]}, cv=2).fit(X_mixed, y)
    assert search.best_estimator_.encoder_.names == list(X_mixed.columns)
    pipe = make_pipeline(FunctionTransformer(lambda X: X.drop(columns="same")), model)
    assert pipe.fit(X_mixed, y)[-1].feature_names_in_.tolist() == list(X_mixed.columns[:-1])
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert_same(copied.fit(X_mixed, y), model.fit(X_mixed, y))
    if Estimator is TabularMLPRegressor:
        TransformedTargetRegressor(model, func=np.exp, inverse_func=np.log).fit(X_mixed, y)


@both
def test_not_fitted(Estimator, tmp_path):
    for use in (lambda e: e.predict(X_mixed), lambda e: e.save(tmp_path / "model")):
        with pytest.raises(NotFittedError):
            use(Estimator())


@both
@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"n_ensemble": 0}, "'n_ensemble' parameter"),
        ({"hidden_layer_sizes": 0}, "'hidden_layer_sizes' parameter"),
        ({"learning_rate_init": 0}, "'learning_rate_init' parameter"),
        ({"batch_size": "small"}, "'batch_size' parameter"),
        ({"max_iter": 0}, "'max_iter' parameter"),
        ({"max_time": 0}, "'max_time' parameter"),
        ({"categorical_features": "all"}, "'categorical_features' parameter"),
        ({"categorical_features": [True]}, "mask of 7 columns"),
        ({"categorical_features": ["colour"]}, "names? of a data frame .* Got 'colour'"),
        ({"categorical_features": [7]}, r"places in \[0, 7\). Got 7"),
        ({"categorical_features": [-1]}, r"Got -1"),
        ({"hidden_layer_sizes": [5, -1]}, "hidden_layer_sizes must be > 0"),
        ({"hidden_layer_sizes": [2.5]}, "hidden_layer_sizes must be whole numbers"),
    ],
    ids=str,
)
def test_parameters_out_of_range(Estimator, parameters, text):
    with pytest.raises(ValueError, match=text):
        small(Estimator, **parameters).fit(X_mixed, target(Estimator))


@both
def test_the_same_seed_gives_the_same_model(Estimator):
    y = target(Estimator)
    first, second, other = [
        small(Estimator, n_jobs=n_jobs, random_state=seed, n_ensemble=3).fit(X_mixed, y)
        for n_jobs, seed in ((1, 0), (2, 0), (1, 1))
    ]
    assert_same(first, second)
    assert np.any(scores(first, X_mixed) != scores(other, X_mixed))
    from_state = small(Estimator, random_state=np.random.RandomState(0), n_ensemble=3)
    assert_same(first, from_state.fit(X_mixed, y))


@both
def test_a_failed_fit_leaves_the_earlier_one(Estimator):
    y = target(Estimator)
    model = small(Estimator).fit(X_mixed, y)
    before = scores(model, X_mixed)
    for X, wrong in ((X_mixed, y[1:]), (X_mixed.assign(day=[[1]] * len(y)), y), (X_mixed, None)):
        with pytest.raises((ValueError, TypeError)):
            model.fit(X, wrong)
    with pytest.raises(ValueError, match="No column of X has two different values"):
        model.fit(X_mixed[["same"]], y)
    np.testing.assert_array_equal(scores(model, X_mixed), before)


# --- pickles and files ---------------------------------------------------------------------------

FITS = [
    (TabularMLPClassifier, {}, y_mixed),
    (TabularMLPClassifier, {"class_weight": "balanced"}, np.digitize(z_mixed, [-1, 1])),
    (TabularMLPClassifier, {}, np.stack([z_mixed > 0, z_mixed > 1], axis=1).astype(int)),
    (TabularMLPRegressor, {}, z_mixed),
    (TabularMLPRegressor, {"loss": "gamma"}, np.exp(z_mixed)),
    (TabularMLPRegressor, {}, np.stack([z_mixed, -z_mixed], axis=1)),
    (TabularMLPRegressor, {"loss": "quantile", "quantile": [0.1, 0.9]}, z_mixed),
]


@pytest.mark.parametrize(("Estimator", "parameters", "y"), FITS)
def test_saved_and_pickled_models_predict_the_same_bits(Estimator, parameters, y, tmp_path):
    model = small(Estimator, **parameters).fit(X_mixed, y)
    model.save(tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert again.get_params() == model.get_params()
        assert_same(again, model)
        np.testing.assert_array_equal(again.predict(X_mixed), model.predict(X_mixed))
        assert again.summary() == model.summary()
        assert_same(again.fit(X_mixed, y), model)


def saved(tmp_path, Estimator=TabularMLPClassifier, **parameters):
    model = small(Estimator, **parameters).fit(X_mixed, target(Estimator))
    path = tmp_path / "model"
    model.save(path)
    return model, path


@pytest.mark.parametrize(
    ("Estimator", "attributes"),
    [
        (TabularMLPClassifier, {"estimators_": []}),
        (TabularMLPClassifier, {"n_features_in_": 6}),
        (TabularMLPClassifier, {"feature_names_in_": np.array(["a"], object)}),
        (TabularMLPClassifier, {"classes_": np.array(["high"], object)}),
        (TabularMLPClassifier, {"classes_": np.array(["a", "b", "c"], object)}),
        (TabularMLPClassifier, {"classes_": np.array(["low", "high"], object)}),
        (TabularMLPClassifier, {"_is_multilabel": True}),
        (TabularMLPClassifier, {"temperature_": -1.0}),
        (TabularMLPClassifier, {"temperature_": np.nan}),
        (TabularMLPRegressor, {"_scale": np.array([1.0, 2.0])}),
        (TabularMLPRegressor, {"_scale": np.array([np.nan])}),
        (TabularMLPRegressor, {"_shift": np.array([1.0, 2.0])}),
        (TabularMLPRegressor, {"n_outputs_": 2}),
        (TabularMLPRegressor, {"_fitted_quantiles": [0.1, 0.5, 0.9]}),
    ],
    ids=str,
)
def test_models_that_are_not_whole_are_not_saved(Estimator, attributes, tmp_path):
    model, path = saved(tmp_path, Estimator)
    before = path.read_bytes()
    vars(model).update(attributes)
    with pytest.raises(ValueError, match="cannot be saved"):
        model.save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda e: {"columns": [*e.columns[:3], None, *e.columns[4:]]},
        lambda e: {"columns": e.columns[:-1]},
        lambda e: {"names": e.names[:-1], "columns": e.columns[:-1]},
        lambda e: {"columns": [replace(c, levels=["red"]) if c is e.columns[3] else c
                               for c in e.columns]},
        lambda e: {"scale": float("inf")},
    ],
)  # fmt: skip
def test_encoders_that_do_not_fit_are_not_saved(change, tmp_path):
    model, path = saved(tmp_path)
    model.encoder_ = replace(model.encoder_, **change(model.encoder_))
    with pytest.raises(ValueError, match="cannot be saved"):
        model.save(path)


def forge(path, change):
    """Change the configuration in a file."""
    config, tensors = container.read(str(path), "fastmlp", FORMAT)
    change(config["attributes"])
    path.write_bytes(container.to_bytes("fastmlp", container.to_text(config), tensors))


def other_networks(attributes):
    for config in attributes["estimators_"]["estimators"]:
        config["class"] = "MLPRegressor"


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.pop("encoder_"),
        lambda a: a.update(encoder_=a["classes_"]),
        lambda a: a.update(encoder_=3),
        lambda a: a.update(estimators_=[1, 2]),
        lambda a: a.update(estimators_={"estimators": [1]}),
        lambda a: a["estimators_"].update(estimators=a["estimators_"]["estimators"][:1]),
        lambda a: a.update(n_features_in_=-1),
        lambda a: a.update(temperature_="hot"),
        other_networks,
    ],
)
def test_forged_files(change, tmp_path):
    _, path = saved(tmp_path)
    forge(path, lambda attributes: None)
    load(path)
    forge(path, change)
    with pytest.raises(ValueError, match="cannot be loaded"):
        load(path)


def test_damaged_files(tmp_path):
    _, path = saved(tmp_path)
    data = path.read_bytes()
    random = np.random.RandomState(0)
    for _ in range(60):
        damaged = bytearray(data)
        damaged[random.randint(0, min(len(data), 20_000))] ^= 1 << random.randint(8)
        path.write_bytes(damaged)
        try:
            scores(load(path), X_mixed)
        except ValueError as error:
            assert "cannot be loaded" in str(error)  # noqa: PT017
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="cannot be loaded"):
        load(path)


# --- weights -------------------------------------------------------------------------------------


@both
def test_a_weight_of_0_is_as_if_the_sample_were_not_there(Estimator):
    y = target(Estimator)
    kept = np.random.RandomState(0).rand(len(y)) < 0.7
    X = X_mixed.copy()
    X.loc[~kept, "size"] = 1e300
    X.loc[~kept, "color"] = "only here"
    weighed = small(Estimator).fit(X, y, sample_weight=kept.astype(float))
    left_out = small(Estimator).fit(X[kept], y[kept], sample_weight=np.ones(kept.sum()))
    assert_same(weighed, left_out)
    with pytest.raises(ValueError, match="at least one non-zero"):
        small(Estimator).fit(X, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(ValueError, match=r"1 sample\(s\) of weights other than 0"):
        small(Estimator).fit(X, y, sample_weight=np.eye(len(y))[0])
    with pytest.raises(ValueError, match="sample_weight"):
        small(Estimator).fit(X, y, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match=r"Sample weights must be 0 or more. Got -1\.0"):
        small(Estimator).fit(X, y, sample_weight=2.0 * kept - 1)


@both
@pytest.mark.parametrize("scale", [2.0, 1e-300, 1e300])
def test_weights_are_relative(Estimator, scale):
    y = target(Estimator)
    weights = np.random.RandomState(0).randint(1, 5, len(y)) / 4
    expected = small(Estimator).fit(X_mixed, y, weights)
    model = small(Estimator).fit(X_mixed, y, weights * scale)
    np.testing.assert_allclose(scores(model, X_mixed), scores(expected, X_mixed), atol=1e-4)
    assert_same(small(Estimator).fit(X_mixed, y, scale), small(Estimator).fit(X_mixed, y))


def test_weights_count_as_repetitions_in_the_scale_of_y():
    weights = np.random.RandomState(0).randint(1, 4, len(z_mixed))
    weighed = small(TabularMLPRegressor).fit(X_mixed, z_mixed, sample_weight=weights)
    repeated = np.repeat(z_mixed, weights)
    assert weighed._shift == pytest.approx(repeated.mean())
    assert weighed._scale == pytest.approx(repeated.std())


def test_heavy_samples_decide():
    X = np.zeros((200, 2)) + np.arange(200)[:, None] % 2
    y = np.arange(200) // 2 % 2  # both classes at either place
    for heavy in (0, 1):
        for kind in ("sample", "class"):
            weight = np.where(y == heavy, 50, 1) if kind == "sample" else None
            model = small(
                TabularMLPClassifier, max_iter=15,
                class_weight={heavy: 50, 1 - heavy: 1} if kind == "class" else None,
            )  # fmt: skip
            assert np.all(model.fit(X, y, weight).predict(X) == heavy)


def test_balanced_classes_are_factors():
    y = np.where(np.arange(200) < 20, "rare", "usual")
    X = np.arange(200.0)[:, None]
    factors = {"rare": 200 / 40, "usual": 200 / 360}
    models = [
        small(TabularMLPClassifier, class_weight="balanced").fit(X, y),
        small(TabularMLPClassifier, class_weight=factors).fit(X, y),
        small(TabularMLPClassifier).fit(X, y, np.vectorize(factors.get)(y)),
    ]
    assert_same(models[0], models[1], X)
    np.testing.assert_allclose(scores(models[0], X), scores(models[2], X), atol=1e-4)
    huge = small(
        TabularMLPClassifier, class_weight={name: 1e300 * f for name, f in factors.items()}
    )
    np.testing.assert_allclose(scores(huge.fit(X, y), X), scores(models[0], X), atol=1e-4)
    for wrong in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="class_weight must hold finite numbers, 0 or more"):
            small(TabularMLPClassifier, class_weight={"rare": wrong}).fit(X, y)
    with pytest.raises(ValueError, match="class_weight is for one label per sample"):
        small(TabularMLPClassifier, class_weight="balanced").fit(
            X, np.eye(2, dtype=int)[[0, 1] * 100]
        )


# --- validation data, time, interrupts -----------------------------------------------------------


@both
def test_validation_data(Estimator):
    y = target(Estimator)
    model = small(Estimator, max_iter=3)
    shuffled = X_mixed[150:][X_mixed.columns[::-1]]
    model.fit(X_mixed[:150], y[:150], X_val=shuffled, y_val=y[150:])
    again = clone(model).fit(
        X_mixed[:150], y[:150], X_val=X_mixed[150:], y_val=y[150:], sample_weight_val=np.ones(50)
    )
    assert_same(model, again)
    assert len(model.estimators_[0].validation_scores_) == 3
    for given, text in (
        ({"X_val": X_mixed}, "X_val and y_val go together. Got X_val alone"),
        ({"y_val": y}, "Got y_val alone"),
        ({"sample_weight_val": [1]}, "sample_weight_val needs"),
        ({"X_val": X_mixed, "y_val": y[1:]}, "X_val, y_val, .* inconsistent"),
        ({"X_val": X_mixed[["size"]], "y_val": y}, "X_val, y_val, .* feature names"),
        ({"X_val": X_mixed.assign(size="x"), "y_val": y}, "X_val, y_val, .* 'size' held numbers"),
    ):
        with pytest.raises(ValueError, match=text):
            model.fit(X_mixed, y, **given)
    assert_same(model, again)


@pytest.mark.parametrize(
    ("Estimator", "parameters", "y", "y_val"),
    [
        (TabularMLPClassifier, {}, y_mixed, ["low", "new"] * 100),
        (TabularMLPClassifier, {}, np.c_[z_mixed > 0, z_mixed > 1] * 1, np.ones((200, 3), int)),
        (TabularMLPClassifier, {}, np.c_[z_mixed > 0, z_mixed > 1] * 1, np.full((200, 2), 7)),
        (TabularMLPRegressor, {}, np.c_[z_mixed, z_mixed], z_mixed),
        (TabularMLPRegressor, {}, z_mixed, np.c_[z_mixed, z_mixed]),
        (TabularMLPRegressor, {}, z_mixed, np.full(200, np.nan)),
        (TabularMLPRegressor, {"loss": "gamma"}, np.exp(z_mixed), z_mixed),
    ],
)
def test_validation_targets_that_do_not_fit(Estimator, parameters, y, y_val):
    with pytest.raises(ValueError, match="X_val, y_val, sample_weight_val: "):
        small(Estimator, **parameters).fit(X_mixed, y, X_val=X_mixed, y_val=y_val)


@both
def test_a_fit_in_no_time_gives_a_model(Estimator):
    y = target(Estimator)
    model = small(Estimator, max_time=1e-9, max_iter=1000).fit(X_mixed, y)
    assert len(model.estimators_) == 2
    assert model.n_iter_ == 1
    assert np.isfinite(scores(model, X_mixed)).all()


@pytest.mark.parametrize(("Estimator", "parameters", "y"), FITS)
def test_an_interrupt_keeps_a_model(Estimator, parameters, y, monkeypatch, tmp_path):
    def interrupted(futures, **options):
        monkeypatch.setattr(ensemble, "wait", wait)
        raise KeyboardInterrupt

    monkeypatch.setattr(ensemble, "wait", interrupted)
    model = small(Estimator, n_ensemble=8, max_iter=10**9, **parameters)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X_mixed, y)
    n_quantiles = 2 if "quantile" in parameters else 1
    assert len(model.estimators_) == n_quantiles
    predicted = scores(model, X_mixed)
    assert predicted.shape[0] == len(y)
    assert np.isfinite(predicted).all()
    model.save(tmp_path / "model")
    assert_same(load(tmp_path / "model"), model)


# --- tables too large to be encoded at once ------------------------------------------------------


@pytest.fixture
def small_blocks(monkeypatch):
    """As if 300 rows were too many for one matrix."""
    monkeypatch.setattr(table_encoder, "_MOST_BYTES", 0)
    monkeypatch.setattr(table_encoder, "_BLOCK_ROWS", 100)


def numbers_and_text(n, seed=0):
    random = np.random.RandomState(seed)
    X = pd.DataFrame({"a": random.randn(n), "b": random.choice(["x", "y"], n)})
    return X, X["a"] * np.where(X["b"] == "x", 1, -1)


@pytest.mark.parametrize("given", [{}, {"validation": True}, {"weights": True}])
def test_learning_block_by_block(given, small_blocks):
    X, y = numbers_and_text(400)
    arguments = {}
    if "validation" in given:
        arguments["X_val"], arguments["y_val"] = X[300:], y[300:]
    if "weights" in given:
        arguments["sample_weight"] = np.linspace(1, 2, 300)
    reg = TabularMLPRegressor(n_ensemble=2, max_iter=30, random_state=0)
    assert reg.fit(X[:300], y[:300], **arguments).score(X[300:], y[300:]) > 0.9
    assert [len(member.validation_scores_) for member in reg.estimators_] == [30, 30]
    if "validation" in given:
        arguments["y_val"] = y[300:] > 0
    clf = TabularMLPClassifier(n_ensemble=2, max_iter=30, random_state=0)
    assert clf.fit(X[:300], y[:300] > 0, **arguments).score(X[300:], y[300:] > 0) > 0.9
    assert (clf.temperature_ == 1) == ("validation" in given)


def test_a_block_wise_fit_is_the_same_for_any_number_of_threads(small_blocks):
    X, y = numbers_and_text(300)
    first, second = (
        TabularMLPRegressor(n_ensemble=3, max_iter=3, random_state=0, n_jobs=jobs).fit(X, y)
        for jobs in (1, 2)
    )
    assert np.array_equal(first.predict(X), second.predict(X))
    # 270 rows in three blocks, of which batches take 64 at a time
    assert first.summary().networks[0].steps_per_epoch == 6


def test_the_best_epoch_is_kept_of_a_block_wise_fit(small_blocks):
    X, y = numbers_and_text(300)
    reg = TabularMLPRegressor(n_ensemble=1, max_iter=12, learning_rate_init=0.3, random_state=0)
    reg.fit(X, y, X_val=X[:50], y_val=y[:50])
    member = reg.estimators_[0]
    assert np.argmax(member.validation_scores_) < 11  # at such a rate
    encoded, targets = reg.encoder_.transform(Table(X[:50])), reg._encode_y_val(y[:50])[0]
    loss = member.loss_and_gradient(encoded, targets)[0]
    assert -loss == pytest.approx(max(member.validation_scores_), rel=1e-5)


def test_a_tiny_max_time_block_by_block(small_blocks):
    X, y = numbers_and_text(300)
    clf = TabularMLPClassifier(n_ensemble=2, max_time=1e-9, random_state=0).fit(X, y > 0)
    assert clf.n_iter_ == 1
    assert np.allclose(clf.predict_proba(X).sum(axis=1), 1)


def test_predictions_in_blocks_are_those_of_all_rows(monkeypatch):
    X, y = numbers_and_text(300)
    clf = TabularMLPClassifier(n_ensemble=2, max_iter=3, random_state=0).fit(X, y > 0)
    reg = TabularMLPRegressor(n_ensemble=2, max_iter=3, random_state=0).fit(X, y)
    whole = clf.predict_proba(X), reg.predict(X)
    monkeypatch.setattr(table_encoder, "_BLOCK_ROWS", 64)
    np.testing.assert_allclose(clf.predict_proba(X), whole[0], rtol=1e-5)
    np.testing.assert_allclose(reg.predict(X), whole[1], rtol=1e-5, atol=1e-6)
