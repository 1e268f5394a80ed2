"""scikit-learn's callbacks (1.9 and later) on our estimators; before, there are none to set."""

from collections.abc import Callable
from typing import Any

from fastmlp._typing import Blocks

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Any) -> Any:
        """The method itself."""
        return method


__all__ = ["CallbackSupportMixin", "Callbacks", "with_callbacks"]


class Callbacks:
    """Tells an estimator's callbacks of the fit and of each epoch or iteration in it.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    X, y : array-like
        The training data.
    sample_weight : array-like or None
    max_epochs : int
    fitted : callable
        From parameters to the attributes that make a copy of the estimator a fitted one.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any,
        max_epochs: int,
        fitted: Callable[[Blocks], dict[str, Any]],
    ) -> None:
        self.about = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        self.fitted = fitted
        self.fit: Any = None
        self.epoch: Any = None
        if getattr(estimator, "_skl_callbacks", None):
            self.fit = estimator._init_callback_context(max_subtasks=max_epochs)
            self.fit.call_on_fit_task_begin(**self.about)

    def epoch_begins(self) -> None:
        """Before an epoch."""
        if self.fit is not None:
            self.epoch = self.fit.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(**self.about)

    def epoch_ended(self, blocks: Callable[[], Blocks]) -> bool:
        """After an epoch that left the parameters `blocks()`; whether a callback wants to stop."""
        if self.epoch is None:
            return False
        epoch, self.epoch = self.epoch, None
        return bool(
            epoch.call_on_fit_task_end(
                **self.about, reconstruction_attributes=lambda: self.fitted(blocks())
            )
        )

    def fit_ended(self, blocks: Blocks) -> None:
        """After the last epoch; one that was begun and never made ends with nothing to show."""
        if self.epoch is not None:
            self.epoch.call_on_fit_task_end(estimator=self.about["estimator"])
        if self.fit is not None:
            self.fit.call_on_fit_task_end(
                **self.about, reconstruction_attributes=self.fitted(blocks)
            )
