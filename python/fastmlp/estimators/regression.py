"""What a regressor makes of y: numbers, in the range of the loss."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from fastmlp.core.arrays import converted
from fastmlp.core.typing import Array
from fastmlp.estimators.base import Labels
from fastmlp.estimators.mlp import MultilayerPerceptron
from fastmlp.estimators.scoring import r2
from fastmlp.exchange.values import Task
from fastmlp.training.distributed import ALONE, Team


def check_range(loss: str, targets: Array, y: Array, name: str = "y") -> None:
    """Check that targets, which were given as `y`, are such as a loss can be of."""
    low = np.min(targets, initial=1)
    if (loss == "poisson" and low < 0) or (loss == "gamma" and low <= 0):
        raise ValueError(
            f"Some value(s) of {name} are out of the valid range of the loss {loss!r}: "
            f"must be {'>=' if loss == 'poisson' else '>'} 0, got {np.min(y)}."
        )


class ValuedPerceptron(MultilayerPerceptron):
    """A multi-layer perceptron whose y are numbers."""

    loss: str
    quantile: float
    huber_delta: float

    def _encode_targets(
        self, y: Any, dtype: npt.DTypeLike, labels: Labels, team: Team = ALONE
    ) -> tuple[Array, Array]:
        if issparse(y) or y.dtype.kind not in "fiub":
            raise ValueError(f"y must be a dense array of numbers, got {type(y)} of {y.dtype}.")
        targets = converted(y.reshape(len(y), -1), dtype, "y")  # the smallest may become 0
        check_range(self.loss, targets, y)
        self.n_outputs_ = targets.shape[1]
        return targets, y

    def _task(self) -> Task:
        return Task.REGRESSION

    def _loss_to_train(self) -> str:
        return self.loss

    def _loss_options(self) -> dict[str, Any]:
        parameters = {"quantile": self.quantile, "huber": self.huber_delta}
        return {"loss_parameter": parameters.get(self.loss, 0.0)}

    def _default_score(
        self, outputs: Array, labels: Array, weights: Array | None, team: Team
    ) -> float:
        if team.any(not np.isfinite(outputs).all()):
            return float(np.nan)
        return r2(labels, outputs, weights, team)

    def _values_of(self, outputs: Array) -> Array:
        """Outputs (n, n_outputs) as `predict` returns them: of a single one (n,)."""
        return outputs.ravel() if outputs.shape[1] == 1 else outputs
