"""What ranks that fail do to the others: in threads, or under MPI as a script.

mpiexec -n 3 python -m tests.rank_faults all REPORT
mpiexec -n 3 python -m tests.rank_faults NAME
"""

import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

import fastmlp
from fastmlp import (
    MLPClassifier,
    MLPRegressor,
    Perceptron,
    RNNClassifier,
    TabularMLPClassifier,
)
from fastmlp.estimators import setup
from fastmlp.estimators.session import TrainingSession

X, y = load_iris(return_X_y=True)
TOGETHER = {"max_iter": 3, "random_state": 0, "tol": 0}


def own(rank, size):
    """The rows of a rank."""
    return X[rank::size].copy(), y[rank::size]


def classifier(**parameters):
    return MLPClassifier((4,), **{**TOGETHER, **parameters})


class Raises:
    """Data that raise when they are looked at."""

    def __init__(self, error):
        self.error = error

    def __array__(self, *_, **__):
        raise self.error


# What rank 1 does, while the others fit as they should.


def not_a_number(X, y):
    X[3, 1] = np.nan
    classifier().fit(X, y)


def no_rows(X, y):
    classifier().fit(X[:0], y[:0])


def other_features(X, y):
    classifier().fit(X[:, :3], y)


def other_dtype(X, y):
    classifier().fit(X.astype(np.float32), y)


def other_parameters(X, y):
    classifier(alpha=0.5).fit(X, y)


def bad_parameters(X, y):
    classifier(alpha=-1).fit(X, y)


def other_estimator(X, y):
    MLPRegressor(hidden_layer_sizes=(4,), **TOGETHER).fit(X, y)


def other_call(X, y):
    classifier().partial_fit(X, y, classes=[0, 1, 2])


def other_version(X, y):
    kept = setup.version
    setup.version = lambda _: "0.0.0"
    try:
        classifier().fit(X, y)
    finally:
        setup.version = kept


def other_labels(X, y):
    classifier().fit(X, y.astype(str))


def other_weights(X, y):
    classifier().fit(X, y, np.ones(len(y)))


def outside_of_fit(X, y):
    raise OSError("the file of this rank is not there")


def leaves(X, y):
    pass


def interrupted_in_data(X, y):
    classifier().fit(Raises(KeyboardInterrupt()), y)


def in_the_second_epoch(X, y):
    classifier(learning_rate=Rate(fails_at=1)).fit(X, y)


def interrupted_in_the_second_epoch(X, y):
    """By an interrupt that no other rank has been told of, as a handler of one's own raises it."""
    classifier(learning_rate=Rate(fails_at=1, error=KeyboardInterrupt)).fit(X, y)


class Rate:
    """A schedule with an epoch in which something happens; its text is the same on all ranks."""

    def __init__(
        self,
        fails_at=None,
        signals_at=None,
        sleeps_at=None,
        tells_in=None,
        slow=0,
        error=ArithmeticError,
    ):
        self.fails_at, self.signals_at, self.sleeps_at = fails_at, signals_at, sleeps_at
        self.tells_in, self.slow, self.error = tells_in, slow, error

    def __repr__(self):
        return "Rate"

    def __call__(self, epoch):
        time.sleep(self.slow)
        if self.tells_in is not None and epoch == 3:  # that it is training
            Path(self.tells_in).write_text(str(os.getpid()))
        if epoch == self.fails_at:
            raise self.error("no rate")
        if epoch == self.signals_at:
            os.kill(os.getpid(), signal.SIGINT)
        if epoch == self.sleeps_at:
            time.sleep(1)
        return 0.01


# what rank 1 does; what its error is, and what the others', else RankError with this text
FAULTS = {
    "not_a_number": (not_a_number, "ValueError: Input X contains NaN"),
    "no_rows": (no_rows, "ValueError: Found array with 0 sample(s)"),
    "other_features": (other_features, "ValueError: All ranks must have the same number of feat"),
    "other_dtype": (
        other_dtype,
        "ValueError: All ranks must have the same dtype. Rank 0 has",
    ),
    "other_parameters": (other_parameters, "ValueError: All ranks must have the same alpha"),
    "bad_parameters": (bad_parameters, "InvalidParameterError: The 'alpha' parameter"),
    "other_estimator": (other_estimator, "ValueError: All ranks must have the same estimator"),
    "other_call": (other_call, "ValueError: All ranks must have the same call. Rank 0 has fit"),
    "other_version": (other_version, "ValueError: All ranks must have the same version"),
    "other_weights": (other_weights, "ValueError: All ranks must have the same kind of sample_w"),
    "outside_of_fit": (outside_of_fit, "OSError: the file of this rank is not there"),
    "leaves": (leaves, "RankError: "),
    "interrupted_in_data": (interrupted_in_data, "KeyboardInterrupt: "),
    "in_the_second_epoch": (in_the_second_epoch, "ArithmeticError: no rate"),
    "interrupted_in_the_second_epoch": (
        interrupted_in_the_second_epoch,
        "KeyboardInterrupt: no rate",
    ),
}


def rates(name):
    """The parameters of the other ranks, which must be those of rank 1."""
    return {"learning_rate": Rate()} if name.endswith("in_the_second_epoch") else {}


def meet_fault(name, comm, rank, size):
    """What becomes of a rank: the error's text, whether the estimator is as it was, seconds."""
    fault, _ = FAULTS[name]
    estimator = classifier(**rates(name))
    began = time.monotonic()
    text = "nothing"
    try:
        with fastmlp.distributed(comm):
            if rank == min(1, size - 1):
                fault(*own(rank, size))
            else:
                estimator.fit(*own(rank, size))
    except BaseException as error:
        text = f"{type(error).__name__}: {error}"
    return text, not hasattr(estimator, "coefs_"), time.monotonic() - began


def all_alike(name, comm, rank, size):
    """What all ranks do, and all come out of alike; returns a text."""
    X, y = own(rank, size)
    try:
        with fastmlp.distributed(comm):
            if name == "diverges":
                classifier(solver="sgd", learning_rate_init=1e300, max_iter=50).fit(X, y)
            elif name == "labels of two kinds":
                classifier().fit(X, y.astype(str) if rank else y)
            elif name == "perceptron":
                Perceptron().fit(X, y)
            elif name == "table":
                TabularMLPClassifier().fit(X, y)
            elif name == "diagnostics":
                classifier(diagnostics=True).fit(X, y)
            elif name == "targets per step":
                steps = X[:, : 3 + rank]
                RNNClassifier((2,), max_iter=2).fit(steps, (steps > 1).astype(int))
            elif name == "session":
                TrainingSession(classifier(), X, y)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


ALIKE = {
    "diverges": "ValueError: Training diverged in epoch",
    "labels of two kinds": "ValueError: Mix of label input types",
    "perceptron": "ValueError: Perceptron trains in one process",
    "table": "ValueError: TabularMLPClassifier trains in one process",
    "diagnostics": "ValueError: diagnostics",
    "targets per step": "ValueError: One target per step is for one process",
    "session": "ValueError: A session is of one process",
}


def interrupted(comm, rank, size):
    """Ctrl-C on the last rank within training: all end after the same step, with a warning."""
    rate = Rate(signals_at=2 if rank == size - 1 else None)
    clf = classifier(learning_rate=rate, max_iter=10**6)
    with warnings.catch_warnings(record=True) as told, fastmlp.distributed(comm):
        warnings.simplefilter("always")
        clf.fit(*own(rank, size))
    return [str(w.message) for w in told], clf.n_iter_, clf.coefs_[0].tolist()


def waiting(comm, rank, size):
    """The last rank is late for a second; seconds of the processor that this one takes."""
    rate = Rate(sleeps_at=1 if rank == size - 1 else None)
    used = time.process_time()
    with fastmlp.distributed(comm):
        classifier(learning_rate=rate).fit(*own(rank, size))
    return time.process_time() - used


def report(world):
    """All faults one after the other, in one job: a fault leaves the ranks fit for the next."""
    found = {}
    for name in FAULTS:
        found[name] = world.gather(meet_fault(name, world, world.rank, world.size))
    for name in ALIKE:
        found[name] = world.gather(all_alike(name, world, world.rank, world.size))
    found["interrupted"] = world.gather(interrupted(world, world.rank, world.size))
    found["waiting"] = world.gather(waiting(world, world.rank, world.size))
    clf = classifier()
    with fastmlp.distributed(world):
        clf.fit(*own(world.rank, world.size))
    found["after all"] = world.gather(clf.n_iter_)
    return found


def main(name, path=None):
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    rank, size = world.rank, world.size
    if name == "all":
        found = report(world)
        if rank == 0:
            with open(path, "w") as file:
                json.dump(found, file)
        return
    if name == "before":  # an error that no `with` knows of
        if rank == 1:
            raise OSError("before anything")
        with fastmlp.distributed(world):
            classifier().fit(*own(rank, size))
    if name == "uncaught":
        with fastmlp.distributed(world):
            if rank == 1:
                raise OSError("this rank's own error")
            classifier().fit(*own(rank, size))
    if name == "endless":  # until a signal comes
        rate = Rate(tells_in=f"{path}.{rank}")
        with fastmlp.distributed(world):
            clf = classifier(max_iter=10**8, learning_rate=rate).fit(*own(rank, size))
        print(f"rank {rank} has {sum(c.sum() for c in clf.coefs_)!r}", flush=True)
    if name == "checkpoint":
        clf = classifier(
            max_iter=40, checkpoint=f"{path}.checkpoint", checkpoint_every=1, dropout=0.2
        )
        clf.set_params(learning_rate=Rate(tells_in=f"{path}.{rank}", slow=0.02))
        with fastmlp.distributed(world):
            clf.fit(*own(rank, size))
        np.save(f"{path}.{rank}", np.concatenate([c.ravel() for c in clf.coefs_]))


if __name__ == "__main__":
    main(*sys.argv[1:])
