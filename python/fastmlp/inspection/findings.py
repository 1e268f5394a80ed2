"""What a diagnosis finds."""

from dataclasses import dataclass, field
from typing import Any

from sklearn.base import clone


@dataclass(frozen=True)
class Finding:
    """Something that keeps a network from learning, with the evidence and a remedy.

    Parameters
    ----------
    kind : str
        What it is, in a word or two.
    text : str
        What was seen, in plain words.
    number : float
        The number that gave it away.
    layer : int or None
        The layer that it was seen in, from 0; None where it is not in one layer.
    epoch : int or None
        The epoch, from 1; None where it is not of one epoch.
    remedy : dict
        The parameters that are to be changed.
    scaler : transformer or None
        What is to scale the inputs, or the targets, where that is the remedy.
    scales_targets : bool
        Whether it is the targets.

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.inspection import Finding
    >>> cure = {"learning_rate_init": 0.01}
    >>> finding = Finding("rate too high", "The loss rose.", 3.0, remedy=cure)
    >>> print(finding)
    rate too high: The loss rose. Remedy: learning_rate_init=0.01.
    >>> finding.apply(MLPClassifier(learning_rate_init=1.0)).learning_rate_init
    0.01
    """

    kind: str
    text: str
    number: float
    layer: int | None = None
    epoch: int | None = None
    remedy: dict[str, Any] = field(default_factory=dict)
    scaler: Any = None
    scales_targets: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.text} Remedy: {self._remedy_in_words()}."

    def _remedy_in_words(self) -> str:
        if self.scaler is None:
            return ", ".join(f"{name}={value!r}" for name, value in self.remedy.items())
        if self.scales_targets:
            return f"TransformedTargetRegressor(estimator, transformer={self.scaler!r})"
        return f"make_pipeline({self.scaler!r}, estimator)"

    def apply(self, estimator: Any) -> Any:
        """Make an unfitted copy of the estimator to which the remedy is applied.

        Parameters
        ----------
        estimator : estimator
            It is left as it is.

        Returns
        -------
        estimator
            A clone with other parameters. Where something is to be scaled, it is within a
            :class:`~sklearn.pipeline.Pipeline` or a
            :class:`~sklearn.compose.TransformedTargetRegressor`.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from fastmlp.inspection import Finding
        >>> Finding("dead units", "All are.", 1.0, remedy={"init": "auto"}).apply(MLPClassifier())
        MLPClassifier(init='auto')
        """
        cured = clone(estimator).set_params(**self.remedy)
        if self.scaler is None:
            return cured
        if self.scales_targets:
            from sklearn.compose import TransformedTargetRegressor

            return TransformedTargetRegressor(cured, transformer=clone(self.scaler))
        from sklearn.pipeline import make_pipeline

        return make_pipeline(clone(self.scaler), cured)


class Findings(list[Finding]):
    """A list of findings, which is shown in plain words, one to a line."""

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "nothing found"

    __str__ = __repr__
