"""What keeps a network from learning: rules by published numbers, each with a remedy."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from fastmlp.core.rules import is_default
from fastmlp.core.typing import Array
from fastmlp.estimators.classifier import MLPClassifier
from fastmlp.estimators.constant import has_learned_nothing
from fastmlp.estimators.regressor import MLPRegressor
from fastmlp.inspection.evidence import Evidence, Look, evidence_of
from fastmlp.inspection.findings import Finding, Findings

# rates at which the solvers usually learn
_USUAL_RATE = {"sgd": 0.01, "adagrad": 0.01, "adadelta": 1.0}
_USUAL_RATE_OF_OTHERS = 0.001

_TINY = float(np.finfo(np.float64).tiny)

# what a network learns with in most cases
_RECIPE = {
    "activation": "relu",
    "init": "auto",
    "solver": "adam",
    "learning_rate": "constant",
    "learning_rate_init": _USUAL_RATE_OF_OTHERS,
    "alpha": 0.0001,
    "l1": 0.0,
    "dropout": 0.0,
    "max_norm": None,
    "weight_decay": 0.01,
    "clip_norm": None,
}


def diagnose(estimator: MLPClassifier | MLPRegressor, X: Any, y: Any) -> list[Finding]:
    """Look for what keeps a fitted network from learning.

    Each rule has its number from the literature or from practice. Units and gradients are looked at
    as a fit starts, and as it ended. Where the loss is less than half of the best constant's, they
    are looked at as it starts only, and dead units and vanishing gradients, in spite of which the
    network has learned, are left out. Nothing is said of units, gradients and rates where inputs or
    targets are not scaled, which explains most else: scale them first, and look again.

    - inputs and targets are not scaled where a mean lies further from 0 than twice the range, where
      ranges differ by a factor of 100, or where values are beyond 100 in general;
    - a learning rate is too high where the loss jumps or climbs, or steps change weights by more
      than a tenth; too low where steps change them by less than 1e-5 (healthy steps are near 1e-3
      [1]_), or where the loss falls steadily and hardly moves;
    - units are dead where 'relu' is 0 for all samples, saturated where 'tanh' and 'logistic' are
      beyond 97 % of the way to a limit for most of them [2]_: half of the units of a layer count;
    - gradients vanish where the first layer's is less than a thousandth of the last's, and explode
      where one is 300 times as long as the outputs' error [2]_ [3]_; in healthy networks it is
      mostly shorter;
    - a network overfits where the validation loss has risen by a tenth while the training loss
      fell: this needs a fit with X_val;
    - it has learned nothing where its loss is no better than that of the best constant;
    - classes are out of balance where one is five times as frequent as another, which the network
      mostly misses.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, with or without `diagnostics`. It is left as it is. Of a
        :class:`~sklearn.pipeline.Pipeline` give the last step, and what the others make of X.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The samples that it was fitted on; of more than 5000 as many, evenly spread.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.

    Returns
    -------
    list of Finding
        The most likely cause first. Each finding has a `kind`, a `text` in plain words, the
        `number`, and where there is one the `layer` (from 0) and `epoch` (from 1) that it was seen
        in. ``finding.apply(estimator)`` gives an unfitted copy with the remedy.

    Raises
    ------
    ValueError, TypeError
        As `fit`, and for something else than a fitted network.

    See Also
    --------
    GradientFlowDisplay : Plots the norms of the gradients.

    References
    ----------
    .. [1] Karpathy (2016). "Neural networks part 3: learning and evaluation". Notes of the course
       CS231n, Stanford.
    .. [2] Glorot & Bengio (2010). "Understanding the difficulty of training deep feedforward
       neural networks". AISTATS.
    .. [3] Pascanu, Mikolov & Bengio (2013). "On the difficulty of training recurrent neural
       networks". ICML.

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.inspection import diagnose
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier((20,), max_iter=50, learning_rate_init=1e-6, tol=0, random_state=0)
    >>> finding = diagnose(clf.fit(X, y), X, y)[0]
    >>> finding.kind, finding.remedy
    ('rate too low', {'learning_rate_init': 0.001})
    >>> diagnose(finding.apply(clf).set_params(max_iter=500).fit(X, y), X, y)
    nothing found
    """
    evidence = evidence_of(estimator, X, y)
    found = Findings()
    for rule in _RULES:
        finding = rule(evidence, found)
        if finding is not None:
            found.append(finding)
    return found


# --- scales --------------------------------------------------------------------------------------


def _spread_text(values: Array, what: str) -> tuple[str, float] | None:
    """What is wrong with the scales of some columns, and the number."""
    ranges = np.ptp(values, axis=0)
    varies = ranges > 0
    if not varies.any():
        return None
    ranges = ranges[varies]
    offset = float((np.abs(values.mean(axis=0)[varies]) / ranges).max())
    if offset > 2:
        return f"A mean is {offset:.3g} times as large as the range in {what}.", offset
    ratio = float(ranges.max() / ranges.min())
    if ratio > 100:
        return f"Some ranges are {ratio:.3g} times as wide as others in {what}.", ratio
    size = float(np.median(np.sqrt((values[:, varies] ** 2).mean(axis=0))))
    if size > 100:
        return f"The values of {what} are about {size:.3g}.", size
    return None


def _inputs(evidence: Evidence, found: Findings) -> Finding | None:
    X, scaler = evidence.data.X, StandardScaler()
    if issparse(X):  # by its largest values, for zeros are to stay zeros
        largest = abs(X).max(axis=0).toarray()
        X, scaler = np.vstack([largest, 0 * largest]), MaxAbsScaler()
    spread = _spread_text(X.astype(np.float64), "the features")
    return spread and Finding("inputs not scaled", *spread, scaler=scaler)


def _targets(evidence: Evidence, found: Findings) -> Finding | None:
    if evidence.is_classifier or evidence.estimator.out_activation_ != "identity":
        return None
    y = evidence.data.samples.targets.astype(np.float64)
    spread = _spread_text(y, "the targets")
    size = float(y.std())
    if spread is None and 0 < size < 0.01:
        spread = f"The values of the targets are about {size:.3g}.", size
    if spread is None or evidence.has_learned:
        return None
    return Finding("targets not scaled", *spread, scaler=StandardScaler(), scales_targets=True)


# --- units ---------------------------------------------------------------------------------------


def _exchanged(evidence: Evidence, names: tuple[str, ...], new: str) -> str | tuple[str, ...]:
    """The parameter `activation` with another in the place of some."""
    layers = [layer.activation for layer in evidence.hidden]
    layers = [new if name in names else name for name in layers]
    return layers[0] if len(set(layers)) == 1 else tuple(layers)


def _looks(evidence: Evidence) -> list[tuple[str, Look]]:
    """The network at the start, and now where it has learned little, with the words for it.

    Training may leave units at their limits that have done their work; no network should start so.
    """
    looks = [("At the start", evidence.first)]
    return looks if evidence.has_learned else [("By now", evidence.now), *looks]


def _units(
    evidence: Evidence,
    found: Findings,
    kind: str,
    what: str,
    names: tuple[str, ...],
    instead: str,
    is_affected: Callable[[str, Array], Array],
) -> Finding | None:
    """A finding where half of a layer's units, of activations of these names, are affected."""
    if _is_scaling_found(found):
        return None
    for when, look in _looks(evidence):
        shares = [
            float(is_affected(hidden.activation, a).mean()) if hidden.activation in names else 0.0
            for hidden, a in zip(evidence.hidden, look.activations, strict=False)
        ]
        if max(shares, default=0) < 0.5:
            continue
        layer = int(np.argmax(shares))
        text = f"{when} {shares[layer]:.0%} of the units of hidden layer {layer} {what}."
        remedy: dict[str, Any] = {
            "activation": _exchanged(evidence, names, instead),
            "init": "auto",
            **_tamed_rate(evidence),
        }
        return Finding(kind, text, shares[layer], layer=layer, remedy=remedy)
    return None


def _dead(evidence: Evidence, found: Findings) -> Finding | None:
    if evidence.has_learned:  # with the units that are left, as small networks often do
        return None

    def is_dead(activation: str, a: Array) -> Array:
        return np.asarray((a == 0).all(axis=0))

    what = "are 0 for all samples"
    return _units(evidence, found, "dead units", what, ("relu",), "leaky_relu", is_dead)


def _saturation(evidence: Evidence, found: Findings) -> Finding | None:
    def is_saturated(activation: str, a: Array) -> Array:
        from_middle = a if activation == "tanh" else 2 * a - 1
        return np.asarray((np.abs(from_middle) > 0.97).mean(axis=0) > 0.5)

    what = "are at a limit of their range for most samples"
    return _units(evidence, found, "saturation", what, ("tanh", "logistic"), "relu", is_saturated)


# --- gradients -----------------------------------------------------------------------------------


def _vanishing(evidence: Evidence, found: Findings) -> Finding | None:
    looks = [evidence.first, evidence.now]
    if any(finding.kind == "dead units" for finding in found):
        looks.pop()  # for what has died passes no gradient on
    norms = min(
        (look.gradient_norms for look in looks), key=lambda norms: norms[0] / max(norms[-1], _TINY)
    )
    first, last = float(norms[0]), float(norms[-1])
    if evidence.has_learned or _is_scaling_found(found) or not 0 < first < 1e-3 * last:
        return None
    remedy: dict[str, Any] = {"activation": "relu", "init": "auto"}
    activation, init = evidence.estimator.activation, evidence.estimator.init
    if activation == "relu" and isinstance(init, str) and init == "auto":
        remedy = {"activation": "selu"}
    text = (
        f"The first layer's gradient is {first / last:.2g} times as long as that of the last of "
        f"{len(norms)} layers."
    )
    return Finding("gradients vanish", text, first / last, layer=0, remedy=remedy)


def _exploding(evidence: Evidence, found: Findings) -> Finding | None:
    when, ratios = max(
        (
            (when, look.gradient_norms / max(look.output_error, _TINY))
            for when, look in _looks(evidence)
        ),
        key=lambda found: found[1].max(),
    )
    layer = int(np.argmax(ratios))
    ratio = float(ratios[layer])
    if _is_scaling_found(found) or ratio < 300:
        return None
    remedy: dict[str, Any] = {"init": "auto"}
    if evidence.estimator.solver != "lbfgs":
        remedy |= {"clip_norm": 1.0, **_tamed_rate(evidence)}
    text = (
        f"{when} the gradient of layer {layer} is {ratio:.3g} times as long as the outputs' error."
    )
    return Finding("gradients explode", text, ratio, layer=layer, remedy=remedy)


# --- rates ---------------------------------------------------------------------------------------


def _usual_rate(evidence: Evidence) -> float:
    return _USUAL_RATE.get(evidence.estimator.solver, _USUAL_RATE_OF_OTHERS)


def _tamed_rate(evidence: Evidence) -> dict[str, float]:
    """The rate as a remedy where it is above the usual one."""
    usual = _usual_rate(evidence)
    return {"learning_rate_init": usual} if evidence.estimator.learning_rate_init > usual else {}


def _rate_too_high(evidence: Evidence, found: Findings) -> Finding | None:
    curve = evidence.curve
    if evidence.estimator.solver == "lbfgs" or len(curve) < 2 or _is_scaling_found(found):
        return None
    ratios, text, number, at = evidence.update_ratios, "", 0.0, 0
    best, worst = float(curve.min()), int(np.argmax(curve))
    usual = max(evidence.constant, evidence.first.loss)
    if len(ratios) and ratios.max() > 0.1:
        at, number = int(np.argmax(ratios.max(axis=1))), float(ratios.max())
        text = f"A step changed the weights of a layer by {number:.2g} of their spread."
    elif curve[0] > 10 * usual and _tamed_rate(evidence):
        number = float(curve[0] / usual)
        text = f"In the first epoch the loss rose to {number:.3g} times what it was before."
    elif curve[worst] > 2 * curve[0]:
        at, number = worst, float(curve[worst] / curve[0])
        text = f"The loss rose to {number:.3g} times that of the first epoch."
    elif len(curve) >= 5 and curve[-1] - best > 0.1 * (curve[0] - best):
        at, number = len(curve) - 1, float(curve[-1] / best)
        text = f"The loss ended at {number:.3g} times the least that it had reached."
    elif _is_rough(evidence):
        at, number = len(curve) - 1, float(evidence.loss / evidence.constant)
        text = "The loss jumps up and down and is hardly below that of the best constant."
    if not text:
        return None
    rate = evidence.estimator.learning_rate_init
    remedy = {"learning_rate_init": min(rate / 10, _usual_rate(evidence))}
    return Finding("rate too high", text, number, epoch=at + 1, remedy=remedy)


def _is_rough(evidence: Evidence) -> bool:
    """Whether the loss jumps by a twentieth from epoch to epoch, and little was learned."""
    late = evidence.curve[len(evidence.curve) // 2 :]
    jumps = np.abs(np.diff(late)).mean() if len(late) >= 5 else 0
    falls = np.all(np.diff(late) < 0)
    return bool(not falls and jumps > 0.05 * late.mean() and not evidence.has_learned)


def _rate_too_low(evidence: Evidence, found: Findings) -> Finding | None:
    curve, ratios = evidence.curve, evidence.update_ratios
    if evidence.estimator.solver == "lbfgs" or len(curve) < 10 or evidence.has_learned or found:
        return None
    progress = float(1 - curve[-1] / curve[0])
    typical = float(np.median(ratios.max(axis=1))) if len(ratios) else np.inf
    steady = float((np.diff(curve) < 0).mean()) > 0.8
    if typical < 1e-5:
        number, text = typical, f"A step changes the weights by {typical:.2g} of their spread."
    elif steady and progress < 0.2:
        number = progress
        text = f"The loss fell steadily, by {progress:.2g} of it in {len(curve)} epochs."
    else:
        return None
    rate = max(10 * evidence.estimator.learning_rate_init, _usual_rate(evidence))
    return Finding("rate too low", text, number, remedy={"learning_rate_init": rate})


# --- what came of it -----------------------------------------------------------------------------


def _overfitting(evidence: Evidence, found: Findings) -> Finding | None:
    train, validation = evidence.curve, evidence.validation_curve
    if evidence.estimator.early_stopping or len(validation) < 10 or len(train) != len(validation):
        return None
    best = int(np.argmin(validation))
    rise = float(validation[-1] - validation[best])
    if train[-1] >= train[best] or rise < max(0.1 * validation[best], 0.02 * evidence.constant):
        return None
    text = (
        f"The validation loss has risen from {validation[best]:.3g} in epoch {best + 1} to "
        f"{validation[-1]:.3g}, while the training loss fell to {train[-1]:.3g}."
    )
    number = float(validation[-1] / validation[best])
    return Finding("overfitting", text, number, epoch=best + 1, remedy={"early_stopping": True})


def _nothing(evidence: Evidence, found: Findings) -> Finding | None:
    loss, constant = evidence.loss, evidence.constant
    if np.isinf(constant) or not has_learned_nothing(loss, constant):
        return None
    text = f"The loss of {loss:.4g} is no better than the {constant:.4g} of the best constant."
    for cause in found:
        if cause.scaler is not None:
            return Finding(
                "learned nothing",
                text,
                loss / constant,
                scaler=cause.scaler,
                scales_targets=cause.scales_targets,
            )
    remedy = {
        name: value
        for name, value in _RECIPE.items()
        if not is_default(getattr(evidence.estimator, name), value)
    }
    if evidence.estimator.n_iter_ >= evidence.estimator.max_iter:
        remedy["max_iter"] = max(200, 2 * evidence.estimator.max_iter)
    return Finding("learned nothing", text, loss / constant, remedy=remedy)


def _balance(evidence: Evidence, found: Findings) -> Finding | None:
    e, labels = evidence.estimator, evidence.data.samples.targets
    if not evidence.is_classifier or labels.ndim != 1 or e.class_weight is not None:
        return None
    counts = np.bincount(labels, minlength=len(e.classes_))
    if len(counts) < 2 or counts.min() == 0 or counts.max() < 5 * counts.min():
        return None
    rarest = int(np.argmin(counts))
    recall = float(
        (evidence.fitted._decide(evidence.now.activations[-1])[labels == rarest] == rarest).mean()
    )
    if recall >= 0.5:
        return None
    text = (
        f"Class {e.classes_[rarest]!s} has {counts[rarest]} of {counts.sum()} samples, and the "
        f"network recognises {recall:.0%} of them."
    )
    return Finding("classes out of balance", text, recall, remedy={"class_weight": "balanced"})


def _is_scaling_found(found: Findings) -> bool:
    return any(finding.scaler is not None for finding in found)


# in the order in which one explains another
_RULES: tuple[Callable[[Evidence, Findings], Finding | None], ...] = (
    _inputs,
    _targets,
    _dead,
    _saturation,
    _vanishing,
    _exploding,
    _rate_too_high,
    _rate_too_low,
    _overfitting,
    _nothing,
    _balance,
)
