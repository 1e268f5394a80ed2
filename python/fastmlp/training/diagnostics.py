"""A watcher: numbers per layer and epoch that tell of a network's health."""

from typing import Any

from fastmlp.training.first_order import FirstOrderTraining
from fastmlp.training.training import Training, Watcher

# what is recorded, in the core's order
DIAGNOSTICS = ("gradient_norm", "update_ratio", "dead", "saturated")


class Diagnostics(Watcher):
    """Records the core's diagnosis after each epoch; idle without `diagnostics`."""

    def __init__(self, estimator: Any) -> None:
        self.is_idle = not estimator.diagnostics
        self.steps = 0  # of the optimizer, when the epoch began

    def begins(self, training: Training) -> None:
        """See how many steps there were before; a checkpoint has restored what it knows of."""
        assert isinstance(training, FirstOrderTraining)
        self.steps = training.optimizer.steps

    def epoch_ended(self, training: Training) -> bool:
        """Record a row per layer."""
        assert isinstance(training, FirstOrderTraining)
        steps, self.steps = training.optimizer.steps - self.steps, training.optimizer.steps
        layers = training.diagnose()
        layers[:, 1] /= max(steps, 1)
        training.estimator._diagnostics.append(layers.tolist())
        return False
