"""L-BFGS-B: SciPy decides where to evaluate the loss, the core evaluates it."""

import hashlib
from collections.abc import Sequence
from time import monotonic
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp.core.network import Blocks, Network
from fastmlp.core.typing import Array, Part
from fastmlp.core.warnings import warn
from fastmlp.training.data import Data
from fastmlp.training.distributed import Shard
from fastmlp.training.progress import printed
from fastmlp.training.training import Training


class LbfgsTraining(Training):
    """Minimises the loss over all rows with SciPy's L-BFGS-B.

    Its state is all evaluations so far: played back to SciPy, they lead it the same way. Where it
    asks for another point than before (it is another SciPy), the rest is not played back.

    On several ranks the SciPy of rank 0 decides, and the others do what it asks for.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    network : Network
        It keeps its gradient.
    blocks : Blocks
        The parameters to start from.
    data : Data
    shard : Shard
    loss_curve : list of float
        That of the earlier fit, which this one goes on with; empty for a new one.
    """

    def __init__(
        self,
        estimator: Any,
        network: Network,
        blocks: Blocks,
        data: Data,
        shard: Shard,
        loss_curve: Sequence[float] = (),
    ) -> None:
        super().__init__(estimator, network, data, shard)
        self.first_blocks = blocks
        self.point = blocks.flat().astype(np.float64)  # of the last iteration
        self.evaluations: list[tuple[str, float, Array]] = []  # digest of a point, loss, gradient
        self.to_play_back = 0  # of the evaluations
        self.evaluated = 0
        self.stopped = False  # by a callback or by the clock
        self.result: Any = None  # SciPy's
        self.part: Part | None = None
        if not self.team.is_alone:
            n, own = shard.total, np.arange(shard.first, shard.first + shard.n)
            self.part = Part(own, n, n, lambda numbers: self.team.reduce(numbers, ends=False))
        estimator.n_iter_ = 0
        estimator.loss_ = np.nan
        estimator.loss_curve_ = list(loss_curve)

    @property
    def plays_back(self) -> bool:
        """Whether the last evaluation was one of an earlier process."""
        return self.evaluated <= self.to_play_back

    def _train(self) -> None:
        self.watchers.epoch_begins(self)
        if self.team.leads:
            self.result = self._minimize()
            self.team.bcast(("end", self.result))
        else:
            self._follow()

    def _minimize(self) -> Any:
        from scipy.optimize import minimize

        e = self.estimator
        found = minimize(
            self._loss_and_gradient,
            self.point,
            method="L-BFGS-B",
            jac=True,
            callback=self._iteration_ended,
            options={"maxfun": e.max_fun, "maxiter": e.max_iter, "gtol": e.tol},
        )
        names = ("x", "fun", "nit", "status", "success", "message")
        return SimpleNamespace(**{name: found[name] for name in names})

    def _follow(self) -> None:
        """Take part in what rank 0 is asked for, to its end."""
        while True:
            what, value = self.team.bcast(None)
            if what == "evaluate":
                self._evaluate(value)
            elif what == "record":
                self._record(*value)
            else:
                self.result = value
                return

    def _loss_and_gradient(self, point: Array) -> tuple[float, Array]:
        self.evaluated += 1
        keep = self.watchers.needs_state
        digest = hashlib.sha256(point.data).hexdigest() if keep else ""
        last = self.evaluated - 1
        if self.plays_back and self.evaluations[last][0] != digest:
            self.to_play_back = last
            del self.evaluations[last:]
        if self.plays_back:
            _, loss, gradient = self.evaluations[last]
        else:
            self.team.bcast(("evaluate", point))
            loss, gradient = self._evaluate(point)
            if keep:
                self.evaluations.append((digest, loss, gradient))
        if self.evaluated == 1:
            self.estimator.loss_ = loss
        return loss, gradient.astype(np.float64)

    def _evaluate(self, point: Array) -> tuple[float, Array]:
        """The loss over the rows of all ranks, and its gradient."""
        self.network.write(self._unflat(point))
        loss, derivatives = self.network.gradient(self.held, n_threads=self.threads, part=self.part)
        return loss, derivatives.flat()

    def _iteration_ended(self, intermediate_result: Any) -> None:
        """Record an iteration; SciPy wants this name of the argument."""
        found = intermediate_result.x.copy(), float(intermediate_result.fun)
        self.team.bcast(("record", found))
        self._record(*found)
        if self.stopped:
            raise StopIteration
        if self.n_iter < self.estimator.max_iter:
            self.watchers.epoch_begins(self)

    def _record(self, point: Array, loss: float) -> None:
        e = self.estimator
        self.point, e.loss_ = point, loss
        e.n_iter_ += 1
        e.loss_curve_.append(e.loss_)
        lines = printed(e.verbose)
        if lines and not self.plays_back:
            print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
            if lines > 1:
                print(
                    f"Iteration {e.n_iter_} of {e.max_iter}, "
                    f"evaluations = {self.evaluated} of {e.max_fun}"
                )
        too_late = not self.plays_back and monotonic() > self.deadline
        self.stopped = self.team.any(self.watchers.epoch_ended(self) or too_late)

    def _result(self) -> Blocks:
        e, result = self.estimator, self.result
        if result is None:  # interrupted
            return self.blocks()
        self.point = result.x
        e.n_iter_ = min(result.nit, e.max_iter)
        e.loss_ = float(result.fun)
        if not np.isfinite(e.loss_):
            self._fail_as_diverged(self.blocks())
        if result.status != 0 and not self.stopped:
            more = (
                "\nIncrease the number of iterations to improve the convergence "
                f"(max_iter={e.max_iter})."
                if e.n_iter_ == e.max_iter
                else ""
            )
            warn(
                f"lbfgs failed to converge after {e.n_iter_} iteration(s) (status={result.status}):"
                f"\n{result.message}\n{more}\nYou might also want to scale the data as shown in:\n"
                "    https://scikit-learn.org/stable/modules/preprocessing.html",
                ConvergenceWarning,
            )
        return self.blocks()

    # --- what watchers may ask -------------------------------------------------------------------

    @property
    def had_time(self) -> bool:
        """Whether a network that can learn would have learned something by now."""
        converged = self.result is not None and self.result.success and not self.stopped
        return converged or super().had_time

    def blocks(self) -> Blocks:
        """The parameters after the last iteration."""
        return self._unflat(self.point)

    def _unflat(self, point: Array) -> Blocks:
        return self.first_blocks.unflat(point, self.network.dtype)

    def state(self) -> dict[str, Any]:
        """All evaluations."""
        return {"evaluations": self.evaluations, "seconds": monotonic() - self.began}

    def restore(self, state: dict[str, Any]) -> None:
        """Play the evaluations of a state back."""
        for digest, loss, gradient in state["evaluations"]:
            if gradient.shape != self.point.shape or gradient.dtype != self.network.dtype:
                raise ValueError("its gradients are not those of this network")
            self.evaluations.append((digest, loss, gradient))
        self.to_play_back = len(self.evaluations)
        self.began -= state["seconds"]
