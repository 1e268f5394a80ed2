"""Python owns epochs: shuffling, schedules, early stopping, reports. C++ owns the batches within.

Every random number is drawn from the estimator's ``RandomState`` in scikit-learn's order: weights
and biases layer by layer, the validation split, then one shuffle per epoch.
"""

import os
import warnings
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning

from fastmlp import _native
from fastmlp._typing import Array, Blocks, Order, Rows

Network: TypeAlias = _native.Network32 | _native.Network64


def native_rows(X: Any, dtype: npt.DTypeLike) -> Rows:
    """X as the core reads it: copied only where its type or its memory layout demands it.

    Parameters
    ----------
    X : ndarray or CSR/CSC matrix of shape (n_samples, n_features)
    dtype : float32 or float64

    Returns
    -------
    An array with contiguous rows, or the (data, indices, indptr) of a CSR matrix.
    """
    if issparse(X):
        X = X.tocsr()
        return (
            as_block(X.data, dtype),
            as_block(X.indices, np.int32),
            as_block(X.indptr, np.int64),
        )
    if not is_native_array(X):
        X = np.asarray(X, dtype=dtype)
    contiguous_rows = X.strides[1] == X.itemsize or X.shape[1] == 1
    return X if contiguous_rows and X.flags.aligned else np.array(X, order="C")


def is_native_array(X: Any) -> bool:
    """Whether X is an array of numbers that the core reads, and converts, row by row."""
    kind = X.dtype if isinstance(X, np.ndarray) else None
    return kind is not None and kind.kind in "fiub" and kind.isnative and kind.itemsize <= 8


def as_block(array: Any, dtype: npt.DTypeLike) -> Array:
    """`array` C-contiguous, aligned and of the core's dtype; itself where it is so."""
    block = np.ascontiguousarray(array, dtype=dtype)
    return block if block.flags.aligned else block.copy()


def n_threads(n_jobs: int | None) -> int:
    """Threads to use.

    Parameters
    ----------
    n_jobs : int or None
        None is all that affinity, the cgroup's quota and OpenMP's own limits (OMP_NUM_THREADS,
        threadpoolctl) leave; -1 too, -2 one less. More than OpenMP's limit is never taken.
    """
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    cpus = _cpu_count(os.getpid(), len(affinity))
    wanted = cpus if n_jobs is None else n_jobs if n_jobs > 0 else cpus + 1 + n_jobs
    return max(1, min(wanted, _native.max_threads()))


@cache
def _cpu_count(process: int, affinity: int) -> int:
    """Ask anew where the arguments differ: it takes 50 us, for it reads the cgroup's files."""
    import joblib

    return int(joblib.cpu_count())


@dataclass
class Data:
    """Training data as the core takes it; `y` is what validation scores are taken against."""

    x: Rows
    targets: Array  # (n,) int32 classes or (n, outputs) values
    weights: Array | None  # (n,)
    y: Array
    n: int


@dataclass
class Optimizer:
    """A first-order solver with its state, which `partial_fit` goes on from.

    Parameters are those of the estimators; `learning_rate` is the rate in force, `steps` the
    updates made, `state` the values remembered per weight, one list of blocks per slot.
    """

    solver: str
    learning_rate_init: float
    schedule: str
    power_t: float
    momentum: float
    nesterovs_momentum: bool
    beta_1: float
    beta_2: float
    epsilon: float
    learning_rate: float
    steps: int = 0
    state: list[Blocks] = field(default_factory=list)

    def run_epoch(self, network: Network, data: Data, order: Order | None, threads: int) -> float:
        """Train the network on the rows in `order`, once; returns the mean loss."""
        loss, steps = network.train(
            data.x,
            data.targets,
            data.weights,
            order,
            solver=self.solver,
            steps=self.steps,
            rate=self.learning_rate,
            momentum=self.momentum,
            nesterov=bool(self.nesterovs_momentum),
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            n_threads=threads,
        )
        self.steps += steps
        return loss

    def epoch_ended(self, samples_seen: int) -> None:
        """Follow the 'invscaling' schedule."""
        if self.solver == "sgd" and self.schedule == "invscaling":
            self.learning_rate = self.learning_rate_init / (samples_seen + 1) ** self.power_t

    def gives_up(self, reason: str, verbose: Any) -> bool:
        """No progress: stop, unless the 'adaptive' schedule can still slow down."""
        adaptive = self.solver == "sgd" and self.schedule == "adaptive"
        if adaptive and self.learning_rate > 1e-6:
            self.learning_rate /= 5.0
            if verbose:
                print(f"{reason} Setting learning rate to {self.learning_rate:f}")
            return False
        if verbose:
            print(f"{reason} {'Learning rate too small. ' if adaptive else ''}Stopping.")
        return True


def split_rows(
    n: int, fraction: float, stratify: Array | None, random_state: np.random.RandomState
) -> tuple[Order, Order]:
    """Row numbers for training and for validation, as scikit-learn splits the rows themselves.

    Parameters
    ----------
    n : int
        Rows to split.
    fraction : float
        Share of the validation rows.
    stratify : ndarray of bool of shape (n,), or None
    random_state : RandomState

    Raises
    ------
    ValueError
        Fewer than two validation rows, or a class with too few members to stratify.
    """
    from sklearn.model_selection import train_test_split

    if stratify is not None:
        stratify = np.where(stratify, "True", "False")
    train, validation = train_test_split(
        np.arange(n), test_size=fraction, random_state=random_state, stratify=stratify
    )
    if len(validation) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    return train, validation


class Progress:
    """Watches loss or validation score from epoch to epoch, on the estimator's attributes."""

    def __init__(self, estimator: Any, blocks: Blocks) -> None:
        self.estimator = estimator
        self.best_blocks = blocks  # of early stopping; a warm start begins with the best so far

    def note(self, network: Network, data: Data, validation: Array | None) -> None:
        """Record an epoch that has ended; counts the epochs without improvement."""
        e = self.estimator
        if validation is None:
            improved = not e.loss_ > e.best_loss_ - e.tol
            e.best_loss_ = min(e.best_loss_, e.loss_)
        else:
            blocks = network.read(0)
            score = e._validation_score(blocks, data, validation)
            e.validation_scores_.append(score)
            if e.verbose:
                print(f"Validation score: {score:f}")
            improved = not score < e.best_validation_score_ + e.tol
            if score > e.best_validation_score_:
                e.best_validation_score_ = score
                self.best_blocks = blocks
        e._no_improvement_count = 0 if improved else e._no_improvement_count + 1


def fit_stochastic(
    estimator: Any,
    network: Network,
    blocks: Blocks,
    data: Data,
    rows: tuple[Order | None, Order | None],
    optimizer: Optimizer,
    random_state: np.random.RandomState,
    *,
    one_epoch: bool,
) -> Blocks:
    """Train by epochs of mini-batches until no progress, `max_iter`, or an interrupt.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its parameters are read; `loss_curve_` and the like are written.
    network : Network32 or Network64
        Opened for the batch size.
    blocks : list of ndarray
        The parameters to start from.
    data : Data
    rows : (train, validation)
        Row numbers; (None, None) trains on all.
    optimizer : Optimizer
        Left with its state after the last step.
    random_state : RandomState
        Draws the shuffles.
    one_epoch : bool
        `partial_fit`: stop after one, with no verdict on convergence.

    Returns
    -------
    list of ndarray
        The trained parameters; with early stopping the best ones.
    """
    e = estimator
    train, validation = rows
    n = data.n if train is None else len(train)
    network.write(0, blocks)
    for slot, state in enumerate(optimizer.state, start=1):
        network.write(slot, [as_block(block, blocks[0].dtype) for block in state])
    progress = Progress(e, blocks)
    permutation = np.arange(n)
    order = train
    threads = n_threads(e.n_jobs)
    e.n_iter_ = 0
    try:
        for _ in range(e.max_iter):
            if e.shuffle:
                shuffled = np.arange(n)
                random_state.shuffle(shuffled)
                permutation = permutation[shuffled]
                order = permutation if train is None else train[permutation]
            loss = optimizer.run_epoch(network, data, order, threads)

            e.n_iter_ += 1
            e.loss_ = loss
            e.t_ += n
            e.loss_curve_.append(loss)
            if e.verbose:
                print(f"Iteration {e.n_iter_}, loss = {loss:.8f}")
            progress.note(network, data, validation)
            optimizer.epoch_ended(e.t_)

            if e._no_improvement_count > e.n_iter_no_change:
                what = "Validation score" if validation is not None else "Training loss"
                reason = (
                    f"{what} did not improve more than tol={e.tol:f} for "
                    f"{e.n_iter_no_change:.0f} consecutive epochs."
                )
                if optimizer.gives_up(reason, e.verbose):
                    break
                e._no_improvement_count = 0
            if one_epoch:
                break
            if e.n_iter_ == e.max_iter:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({e.max_iter}) "
                    "reached and the optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=5,
                )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=5)
    slots = _native.SOLVER_SLOTS[optimizer.solver]
    optimizer.state = [network.read(slot) for slot in range(1, 1 + slots)]
    return network.read(0) if validation is None else progress.best_blocks


def fit_lbfgs(estimator: Any, network: Network, blocks: Blocks, data: Data) -> Blocks:
    """Minimise the loss over all rows with SciPy's L-BFGS-B, on the core's loss and gradient.

    The parameters and returned blocks are as in `fit_stochastic`; the network keeps its gradient.
    """
    from scipy.optimize import minimize

    e = estimator
    dtype = blocks[0].dtype
    # the order of one flat vector, scikit-learn's: all weights, then all biases
    places = [*range(0, len(blocks), 2), *range(1, len(blocks), 2)]
    ends = np.cumsum([blocks[place].size for place in places])

    def flat(blocks: Blocks) -> Array:
        return np.concatenate([blocks[place].ravel() for place in places]).astype(np.float64)

    def unflat(theta: Array) -> Blocks:
        parts = np.split(theta.astype(dtype), ends[:-1])
        new = list(blocks)
        for place, part in zip(places, parts, strict=True):
            new[place] = part.reshape(blocks[place].shape)
        return new

    threads = n_threads(e.n_jobs)

    def loss_and_gradient(theta: Array) -> tuple[float, Array]:
        network.write(0, unflat(theta))
        loss, gradient = network.gradient(
            data.x, data.targets, data.weights, None, n_threads=threads
        )
        return loss, flat(gradient)

    def report(intermediate_result: Any) -> None:
        print(f"Iteration {e.n_iter_ + 1}, loss = {intermediate_result.fun:.8f}")
        e.n_iter_ += 1

    e.n_iter_ = 0
    result = minimize(
        loss_and_gradient,
        flat(blocks),
        method="L-BFGS-B",
        jac=True,
        callback=report if e.verbose else None,
        options={"maxfun": e.max_fun, "maxiter": e.max_iter, "gtol": e.tol},
    )
    e.n_iter_ = min(result.nit, e.max_iter)
    e.loss_ = float(result.fun)
    if result.status != 0:
        more = (
            "\nIncrease the number of iterations to improve the convergence "
            f"(max_iter={e.max_iter})."
            if e.n_iter_ == e.max_iter
            else ""
        )
        warnings.warn(
            f"lbfgs failed to converge after {e.n_iter_} iteration(s) (status={result.status}):\n"
            f"{result.message}\n{more}\nYou might also want to scale the data as shown in:\n"
            "    https://scikit-learn.org/stable/modules/preprocessing.html",
            ConvergenceWarning,
            stacklevel=5,
        )
    return unflat(result.x)
