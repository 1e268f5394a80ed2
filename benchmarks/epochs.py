"""``python -m benchmarks.epochs``: late epochs cost what early ones do, whatever the numbers are.

Weights and momenta without gradient shrink to subnormal numbers, which some processors are slow
with. Digits, 64-200-10, at a rate that lets many units die; the time of epochs from the 360th on
divided by that of the first ones, for each solver, strength of the penalty and dtype. Of 'lbfgs' it
is the loss and its gradient at the weights of iteration 100 and at the first. Ends with status 1 if
a ratio is above 1.2.
"""

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from fastmlp import MLPClassifier, _native

LIMIT = 1.2
LATE, TIMED = 360, 40  # epochs before the late ones, and how many are timed
Array = npt.NDArray[np.floating]


def ratio(late: Callable[[], object], early: Callable[[], object]) -> float:
    """Best time of the one divided by the best of the other, in turns."""
    best = [np.inf, np.inf]
    for _ in range(TIMED):
        for i, call in enumerate((late, early)):
            start = time.perf_counter()
            call()
            best[i] = min(best[i], time.perf_counter() - start)
    return best[0] / best[1]


def epochs_of(first: MLPClassifier, X: Array, y: npt.NDArray[np.int32]) -> Callable[[], None]:
    """A function that trains a network for an epoch, from the estimator's weights on."""
    kind = _native.Network32 if X.dtype == np.float32 else _native.Network64
    hidden = [("relu", 0.0, 1, 0.0)]
    network = kind([64, 200, 10], hidden, "log_loss", alpha=first.alpha, batch=200)
    network.write(0, [first.coefs_[0], first.intercepts_[0], first.coefs_[1], first.intercepts_[1]])
    steps = 0

    def train() -> None:
        nonlocal steps
        (*_, made), _ = network.train(
            X, y, None, None, solver=first.solver, steps=steps, rate=0.05, momentum=0.9,
            nesterov=True, beta_1=0.9, beta_2=0.999, epsilon=1e-8, rho=0.9, n_threads=1,
        )  # fmt: skip
        steps += made

    return train


def late_to_early(solver: str, alpha: float, X: Array, y: npt.NDArray[np.int32]) -> float:
    """Time of late epochs divided by that of the first, one thread."""
    options = {"solver": solver, "alpha": alpha, "n_jobs": 1, "random_state": 0}
    first = MLPClassifier((200,), max_iter=1, **options).fit(X, y)
    if solver == "lbfgs":
        last = MLPClassifier((200,), max_iter=100, **options).fit(X, y)
        return ratio(lambda: last.loss_and_gradient(X, y), lambda: first.loss_and_gradient(X, y))
    late, early = epochs_of(first, X, y), epochs_of(first, X, y)
    for _ in range(LATE):
        late()
    return ratio(late, early)


def main() -> int:
    """Print the table."""
    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    y = y.astype(np.int32)
    worst, alphas = 0.0, (0.0, 1e-4, 1e-2)
    print(f"{'':20}" + "".join(f"  alpha {alpha:<8g}" for alpha in alphas))
    for solver in ("lbfgs", *_native.SOLVER_SLOTS):
        for dtype in (np.float32, np.float64):
            ratios = [late_to_early(solver, alpha, (X / 16).astype(dtype), y) for alpha in alphas]
            worst = max(worst, *ratios)
            print(f"{solver:10}{dtype.__name__:10}" + "".join(f"  {r:<14.2f}" for r in ratios))
    print(f"\nworst: {worst:.2f}, at most {LIMIT} is allowed")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
