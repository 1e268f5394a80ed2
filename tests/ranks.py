"""Fits on several ranks, compared with one process: in threads, or under MPI as a script.

mpiexec -n 2 python -m tests.ranks REPORT
"""

import json
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_diabetes, load_digits

import fastmlp
from fastmlp import MLPAutoencoder, MLPClassifier, MLPRegressor, RNNClassifier, RNNRegressor

# --- ranks that are threads ----------------------------------------------------------------------


class ThreadRank:
    """A communicator between threads."""

    def __init__(self, rank, slots, barrier):
        self.rank, self.slots, self.barrier = rank, slots, barrier
        self.size = len(slots)

    def _exchange(self, value):
        self.slots[self.rank] = value
        self.barrier.wait(60)
        values = list(self.slots)
        self.barrier.wait(60)
        return values

    def allreduce(self, numbers):
        return sum(self._exchange(numbers.copy()))

    def bcast(self, value, root):
        return self._exchange(value)[root]


def in_threads(k, call):
    """What call(comm) returns, or raises, on each of k ranks."""
    slots, barrier = [None] * k, threading.Barrier(k)
    results = [None] * k

    def run(rank):
        try:
            results[rank] = call(ThreadRank(rank, slots, barrier))
        except BaseException as error:
            results[rank] = error

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(k)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    return results


# --- cases ---------------------------------------------------------------------------------------


def uneven(n, k):
    """Rows of each rank, in a ratio of 1 : 2 : 3 ..."""
    ends = np.cumsum(range(k + 1)) * n // (k * (k + 1) // 2)
    return np.diff(ends)


def few(n, k):
    """Rank 0 has two rows, and most steps are made without it."""
    return np.array([n]) if k == 1 else np.append(2, uneven(n - 2, k - 1))


def by_class(case, k):
    """The rows in the order of their classes: of most ranks each knows some only."""
    order = np.argsort(case.y, kind="stable")
    return [np.sort(part) for part in np.array_split(order, k)]


def take(values, rows):
    """Some rows, as a view where they lie together; None of None, and where there are no rows."""
    if values is None or not len(rows):
        return None
    if np.all(np.diff(rows) == 1):
        return values[rows[0] : rows[-1] + 1]
    return values[rows]


@dataclass
class Case:
    """An estimator and its data; `batch_size` is that of a rank."""

    estimator: Any
    X: Any
    y: Any = None
    weight: Any = None
    validation: tuple[Any, ...] = ()  # X_val, y_val, sample_weight_val
    sizes: Callable[[int, int], Any] = uneven
    how: str = "fit"
    tolerance: float = 1e-9
    parts: Callable[[Any, int], list[Any]] | None = None
    fitted: list[str] = field(default_factory=lambda: ["coefs_", "intercepts_"])

    def rows_of(self, k):
        """The rows of each rank."""
        if self.parts is not None:
            return self.parts(self, k)
        ends = np.cumsum([0, *self.sizes(self.X.shape[0], k)])
        return [np.arange(a, b) for a, b in pairwise(ends)]

    def validation_rows(self, k):
        """Those for validation; rank 0 has none, where there are others."""
        n = self.validation[0].shape[0]
        return [np.arange(n)] if k == 1 else [[], *np.array_split(np.arange(n), k - 1)]

    def on_rank(self, comm):
        """The estimator as it is fitted on a rank."""
        rows = self.rows_of(comm.size)[comm.rank]
        own = self.validation_rows(comm.size)[comm.rank] if self.validation else []
        with fastmlp.distributed(comm):
            return self._fitted(1, [rows], own)

    def alone(self, k):
        """The estimator as one process fits it, with k times the batch."""
        rows = self.rows_of(k)
        if not self.estimator.shuffle:  # of each rank the next in turn
            shares = np.concatenate([(np.arange(len(r)) + 0.5) / len(r) for r in rows])
            rows = [np.concatenate(rows)[np.argsort(shares, kind="stable")]]
        own = np.concatenate(self.validation_rows(k)).astype(int) if self.validation else []
        return self._fitted(k, rows, own)

    def _fitted(self, k, rows, validation_rows):
        estimator = clone(self.estimator)
        batch = estimator.batch_size
        estimator.set_params(batch_size=(200 if batch == "auto" else batch) * k)

        def data(first, step):
            chosen = np.concatenate([r[first::step] for r in rows])
            return [take(values, chosen) for values in (self.X, self.y, self.weight)]

        if self.how == "partial_fit":  # three calls, each with a third of each rank's rows
            labels = {"classes": np.unique(self.y)} if is_classifier(estimator) else {}
            for first in range(3):
                estimator.partial_fit(*data(first, 3), **labels)
            return estimator
        names = ("X_val", "y_val", "sample_weight_val")
        given = {
            name: take(values, validation_rows)
            for name, values in zip(names, self.validation, strict=False)
        }
        for _ in range(2 if self.how == "warm start" else 1):
            estimator.fit(*data(0, 1), **given)
        return estimator


def differences(case, fitted, right):
    """In what an estimator differs from the right one, as texts."""
    found = []
    for name in case.fitted:
        pairs = zip(getattr(fitted, name), getattr(right, name), strict=True)
        ratios = (float(np.abs(a - b).max() / (1e-12 + np.abs(b).max())) for a, b in pairs)
        apart = max(ratios, default=0.0)  # of an elman's biases there are none
        if not apart < case.tolerance:
            found.append(f"{name}: {apart:.2g} apart")
    for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_", "loss_"):
        a, b = getattr(fitted, name, None), getattr(right, name, None)
        if (a is None) != (b is None) or (
            a is not None and not np.allclose(a, b, rtol=100 * case.tolerance, atol=1e-12)
        ):
            found.append(f"{name}: {a} and {b}")
    for name in ("n_iter_", "t_", "n_outputs_", "out_activation_"):
        a, b = getattr(fitted, name), getattr(right, name)
        if a != b:
            found.append(f"{name}: {a} and {b}")
    if is_classifier(fitted) and not np.array_equal(fitted.classes_, right.classes_):
        found.append(f"classes_: {fitted.classes_} and {right.classes_}")
    return found


def bits(estimator):
    """All fitted numbers, as bytes."""
    slopes = getattr(estimator, "activation_slopes_", None) or []
    arrays = [*estimator.coefs_, *estimator.intercepts_, *(a for a in slopes if a is not None)]
    numbers = repr((estimator.loss_, estimator.n_iter_)).encode()
    return b"".join(a.tobytes() for a in arrays) + numbers


def cases(file=None):
    """All cases by their names; the file is for rows that are memory-mapped."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:450] / 16, y[:450]
    names = np.array(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    )
    mapped = X
    if file is not None:
        X.tofile(file)
        mapped = np.memmap(file, X.dtype, "r", shape=X.shape)
    x, target = load_diabetes(return_X_y=True)
    x, target = x / x.std(axis=0), target / target.std()
    random = np.random.RandomState(0)
    weight = random.uniform(0, 2, len(X))
    weight[100:260] = 0  # some steps count for nothing
    clf = partial(
        MLPClassifier, hidden_layer_sizes=(16,), max_iter=4, batch_size=20, random_state=0
    )
    reg = partial(MLPRegressor, hidden_layer_sizes=(16,), max_iter=4, batch_size=20, random_state=0)
    two = y % 2
    own = (X[400:], y[400:], weight[:50])
    XT, yT, weightT = X[:400], y[:400], weight[:400]
    found = {
        f"solver {name}": Case(clf(solver=name, learning_rate_init=0.01), X, y)
        for name in (
            "sgd",
            "adam",
            "adamw",
            "nadam",
            "adamax",
            "amsgrad",
            "rmsprop",
            "adagrad",
            "adadelta",
        )
    }
    found |= {
        f"schedule {name}": Case(clf(learning_rate=name, solver="sgd", warmup_epochs=1), X, y)
        for name in (
            "invscaling",
            "adaptive",
            "cosine",
            "one_cycle",
            "step",
            "exponential",
            "plateau",
        )
    }
    found |= {
        "auto batch": Case(clf(batch_size="auto"), X, y),
        "one step per epoch": Case(clf(batch_size=1000), X, y),
        "few rows": Case(clf(), X, y, sizes=few),
        "classes apart": Case(clf(), X, names[y], parts=by_class),
        "no shuffle": Case(clf(shuffle=False), X, y),
        "sample weights": Case(clf(batch_size=5, shuffle=False), X, y, weight),
        "sample weights, shuffled": Case(clf(batch_size=3, solver="nadam"), X, y, weight),
        "balanced classes": Case(clf(class_weight="balanced"), X, y, parts=by_class),
        "class weights": Case(clf(class_weight={3: 2.5, 4: 0}), X, y, weight),
        "binary": Case(clf(), X, two),
        "multilabel": Case(clf(label_smoothing=0.1), X, np.stack([two, y > 4], 1).astype(int)),
        "probabilities": Case(clf(loss="kl_divergence"), X, random.dirichlet(np.ones(4), len(X))),
        "split, binary": Case(clf(early_stopping=True, max_iter=8), X, two, weight),
        "split, classes": Case(clf(early_stopping=True, max_iter=8), X, y),
        "split, apart": Case(clf(early_stopping=True, scoring="loss"), X, y, parts=by_class),
        "split, scorer": Case(clf(early_stopping=True, scoring="f1_macro"), X, y),
        "split, regressor": Case(reg(early_stopping=True), x, target, sizes=few),
        "split, stops early": Case(
            clf(early_stopping=True, max_iter=60, n_iter_no_change=2, tol=0.05), X, y
        ),
        "given data": Case(clf(early_stopping=True), XT, yT, weightT, own),
        "given data, watched": Case(clf(), XT, yT, None, own[:2]),
        "given data, scorer": Case(
            reg(scoring="neg_median_absolute_error"),
            x[:400],
            target[:400],
            None,
            (x[400:], target[400:]),
        ),
        "loss stops": Case(clf(max_iter=60, n_iter_no_change=1, tol=0.3, batch_size=5), X, y),
        "dropout": Case(clf(dropout=[0.1, 0.4]), X, y, sizes=few),
        "clip_norm": Case(clf(clip_norm=0.1), X, y, weight),
        "max_norm": Case(clf(max_norm=0.5), X, y),
        "penalties": Case(clf(alpha=0.1, l1=0.01), X, y, weight),
        "deep": Case(
            clf(hidden_layer_sizes=(9, 8, 7), activation=["prelu", "maxout", "tanh"], dropout=0.2),
            X,
            y,
        ),
        "partial_fit": Case(clf(), X, y, weight, how="partial_fit"),
        "partial_fit, regressor": Case(reg(solver="nadam"), x, target, how="partial_fit"),
        "warm start": Case(clf(warm_start=True), X, y, how="warm start"),
        "warm start, split": Case(
            clf(warm_start=True, early_stopping=True), X, y, how="warm start"
        ),
        "sparse": Case(clf(dropout=[0.2, 0.2]), csr_array(X), y, weight),
        "mapped": Case(clf(), mapped, y),
        "bytes": Case(clf(), (X * 16).astype(np.uint8), y),
        "float32": Case(clf(dropout=0.2), X.astype(np.float32), y, weight, tolerance=1e-3),
        "wide": Case(
            clf(hidden_layer_sizes=(300,), max_iter=2, learning_rate_init=1e-4, batch_size=100),
            X,
            y,
            sizes=few,
        ),
        "regressor": Case(reg(), x, target, sizes=few),
        "two targets": Case(reg(early_stopping=True), x, np.stack([target, -(target**2)], 1)),
        "poisson": Case(reg(loss="poisson"), x, target),
        "autoencoder": Case(
            MLPAutoencoder((8, 2), noise=0.2, batch_size=20, max_iter=4, random_state=0), X
        ),
        "autoencoder, split": Case(
            MLPAutoencoder((8, 2), scoring=None, early_stopping=True, max_iter=4, random_state=0), X
        ),
        "lbfgs": Case(clf(solver="lbfgs", max_iter=8), X, y, tolerance=1e-7),
        "lbfgs, weights": Case(
            clf(solver="lbfgs", max_iter=8), X, y, weight, parts=by_class, tolerance=1e-7
        ),
        "lbfgs, sparse": Case(clf(solver="lbfgs", max_iter=5), csr_array(X), y, tolerance=1e-7),
        "lbfgs, warm": Case(
            reg(solver="lbfgs", max_iter=5, warm_start=True),
            x,
            target,
            how="warm start",
            tolerance=1e-7,
        ),
    }
    images = X.reshape(-1, 8, 8)  # rows of pixels as steps
    ragged = images.copy()
    ragged[np.arange(8) >= random.randint(3, 9, len(X))[:, None]] = np.nan
    options = {"max_iter": 4, "batch_size": 20, "random_state": 0}
    recurrent = ["coefs_", "intercepts_", "recurrent_coefs_", "recurrent_intercepts_"]
    found |= {
        "recurrent": Case(
            RNNClassifier((12, 7), early_stopping=True, dropout=[0.1, 0.2, 0.2], **options),
            ragged,
            y,
            weight,
            sizes=few,
            fitted=recurrent,
        ),
        "recurrent, gated": Case(
            RNNRegressor((9,), cell="gru", clip_norm=0.1, **options),
            ragged,
            np.stack([y, -y], 1) / 10,
            fitted=recurrent,
        ),
        "recurrent, lbfgs": Case(
            RNNClassifier((8,), solver="lbfgs", max_iter=5, random_state=0),
            ragged,
            y,
            tolerance=1e-7,
            fitted=recurrent,
        ),
    }
    return found


def main(report):
    """Run all cases under MPI; rank 0 writes what was found wrong with each."""
    from mpi4py import MPI

    world, found = MPI.COMM_WORLD, {}
    for name, case in cases(f"{report}.rows{world.rank}").items():
        fitted = case.on_rank(world)
        same = len(set(world.allgather(bits(fitted)))) == 1
        if world.rank == 0:
            found[name] = differences(case, fitted, case.alone(world.size))
            if not same:
                found[name].append("the ranks have different bits")
        world.barrier()
    if world.rank == 0:
        with open(report, "w") as file:
            json.dump(found, file)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BaseException:
        traceback.print_exc()
        raise
