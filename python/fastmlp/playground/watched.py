"""A training session that the playground looks into, and that goes back in time."""

from typing import Any

import numpy as np

from fastmlp.core.network import Blocks
from fastmlp.core.typing import HiddenLayer
from fastmlp.estimators.base import Labels
from fastmlp.estimators.scoring import mean_loss
from fastmlp.estimators.session import CHANGEABLE, LISTS, TrainingSession
from fastmlp.estimators.setup import layer_sizes
from fastmlp.estimators.validation import validation_on
from fastmlp.training.data import Validation


class WatchedSession(TrainingSession):
    """A training session whose network is measured, and which goes back to what it was.

    Its parameters are those of `TrainingSession`.
    """

    def __init__(self, estimator: Any, X: Any, y: Any) -> None:
        super().__init__(estimator, X, y)
        self._lists: dict[str, Any] = {}  # records that are longer than those gone back to

    def train(self, epochs: int = 1) -> float:
        """Train for some epochs; what would have come where it went back is forgotten."""
        if epochs:
            self._lists = {}
        return super().train(epochs)

    # --- what it is ------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Epochs made since the first weights."""
        return int(self._worker.n_iter_)

    @property
    def rate(self) -> float:
        """The learning rate of the last epoch; nan before the first."""
        rates = self._worker.learning_rate_curve_
        return float(rates[-1]) if rates else float("nan")

    @property
    def layers(self) -> list[HiddenLayer]:
        """The hidden layers as the core knows them."""
        return list(self._worker._hidden_layers)

    @property
    def units(self) -> list[int]:
        """The units of the hidden layers."""
        return layer_sizes(self._worker)

    @property
    def loss_name(self) -> str:
        """The core's name of the loss."""
        return str(self._worker._trained_loss)

    @property
    def last_validation(self) -> float:
        """The last score on the rows set aside."""
        return float(self._worker.validation_scores_[-1])

    def best_validation(self) -> tuple[int, float]:
        """Return the epoch of the best score on the rows set aside, and that score."""
        scores = self._worker.validation_scores_
        best = int(np.nanargmax(scores)) if np.isfinite(scores).any() else len(scores) - 1
        return best + 1, float(scores[best])

    # --- how good it is --------------------------------------------------------------------------

    def blocks(self) -> Blocks:
        """Return copies of the parameters."""
        return self._training.blocks()

    def samples(self, X: Any, y: Any) -> Validation:
        """Prepare samples for `evaluate`."""
        X, y = self._worker._check_X_y(X, y, reset=False)
        dtype = self._training.blocks().weights[0].dtype
        data = self._worker._make_data(X, y, None, dtype, Labels.SUBSET)
        return validation_on(self._worker, data, None)

    def evaluate(self, samples: Validation) -> tuple[float, float]:
        """Compute accuracy or R2, and the mean loss without penalties."""
        return samples.score(self._training.blocks())

    def loss(self, samples: Validation) -> float:
        """Compute the mean loss without penalties."""
        worker, blocks = self._worker, self._training.blocks()
        return mean_loss(worker, blocks, worker._hidden_layers, samples.data.samples)

    # --- back in time ----------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Return all that changes in the course of training, for `restore`."""
        state = self._training.state()
        records = state["records"]
        return {
            **state,
            "records": {
                name: len(value) if name in LISTS and value is not None else value
                for name, value in records.items()
            },
            "options": self._training.optimizer.options,
            "parameters": {name: getattr(self._worker, name) for name in CHANGEABLE},
            "has_ended": self.has_ended,
        }

    def blocks_of(self, snapshot: dict[str, Any]) -> Blocks:
        """Return the parameters that a snapshot holds."""
        return Blocks.from_core(snapshot["slots"][0], *self._training.network.layers)

    @property
    def snapshot_bytes(self) -> int:
        """About how much memory a snapshot takes."""
        training = self._training
        parameters = training.best_blocks.in_core_order()
        arrays = sum(array.nbytes for array in parameters) * (len(training.slots) + 1)
        return arrays + training.permutation.nbytes + 8192

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to a snapshot, or forth again unless training went on from an earlier one.

        From there it goes the same way again, to the bit.
        """
        state = dict(snapshot)
        self.change(**state.pop("parameters"))
        options, self.has_ended = state.pop("options"), state.pop("has_ended")
        self._lists = self._lists or {name: getattr(self._worker, name) for name in LISTS}
        state["records"] = {
            name: self._lists[name][:value] if name in LISTS and value is not None else value
            for name, value in state["records"].items()
        }
        self._training.restore(state)
        self._training.optimizer.options = options
