"""scikit-learn's callbacks (1.9 and later) on our estimators; before, there are none to set."""

from collections.abc import Callable
from typing import Any

from fastmlp.core.network import Blocks
from fastmlp.training.training import Training, Watcher

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Any) -> Any:
        """The method itself."""
        return method


__all__ = ["CallbackSupportMixin", "Callbacks", "with_callbacks"]


class Callbacks(Watcher):
    """Tells an estimator's callbacks of the fit and of each epoch or iteration in it.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    X, y : array-like
        The training data.
    sample_weight : array-like or None
    fitted_attributes : callable
        From parameters to the attributes that make a copy of the estimator a fitted one.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any,
        fitted_attributes: Callable[[Blocks], dict[str, Any]],
    ) -> None:
        self.about = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        self.fitted_attributes = fitted_attributes
        self.fit: Any = None  # their contexts, where there are any
        self.epoch: Any = None
        self.is_idle = not getattr(estimator, "_skl_callbacks", None)

    def begins(self, training: Training) -> None:
        """Tell of the fit."""
        estimator = training.estimator
        self.fit = estimator._init_callback_context(max_subtasks=estimator.max_iter)
        self.fit.call_on_fit_task_begin(**self.about)

    def epoch_begins(self, training: Training) -> None:
        """Tell of an epoch."""
        self.epoch = self.fit.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.about)

    def epoch_ended(self, training: Training) -> bool:
        """Tell of its end; whether a callback wants to stop."""
        epoch, self.epoch = self.epoch, None
        return bool(
            epoch.call_on_fit_task_end(
                **self.about,
                reconstruction_attributes=lambda: self.fitted_attributes(training.blocks()),
            )
        )

    def ended(self, training: Training, blocks: Blocks | None) -> None:
        """Tell of the fit's end; an epoch that was begun and never made ends with nothing to show.

        An error is not told: scikit-learn ends the contexts then.
        """
        if blocks is None:
            return
        if self.epoch is not None:
            self.epoch.call_on_fit_task_end(estimator=self.about["estimator"])
        self.fit.call_on_fit_task_end(
            **self.about, reconstruction_attributes=self.fitted_attributes(blocks)
        )
