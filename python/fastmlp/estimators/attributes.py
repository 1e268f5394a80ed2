"""The attributes of fitted estimators, each declared once."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse import issparse

from fastmlp.core.container import is_count
from fastmlp.core.native import _native
from fastmlp.core.rules import Attribute, Rule, any_of, boolean, integer, nothing, option, real
from fastmlp.core.typing import HiddenLayer


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_vector(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _list_of(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(accepts(item) for item in value)


def _are_diagnostics(value: Any) -> bool:
    if not _list_of(_list_of(_list_of(_is_number)))(value):
        return False
    shapes = {(len(epoch), *map(len, epoch)) for epoch in value}
    return len(shapes) <= 1 and all(length == 4 for shape in shapes for length in shape[1:])


def _is_hidden_layer(value: Any) -> bool:
    rules = (option(*_native.ACTIVATIONS), real(0), integer(1), real(0, 1))
    return (
        isinstance(value, tuple)
        and len(value) == len(rules)
        and all(rule.accepts(item) for rule, item in zip(rules, value, strict=True))
    )


count = Rule(is_count, "a count")
number = Rule(_is_number, "a number")
numbers = Rule(_list_of(_is_number), "a list of numbers")
vector = Rule(_is_vector, "an array with one axis")
_diagnostics = Rule(_are_diagnostics, "four numbers for each layer of each epoch")
_never = Rule(lambda value: False, "left out")
_names = Rule(lambda value: _is_vector(value) and value.dtype == object, "an array of str")
_arrays = Rule(_list_of(_is_array), "a list of arrays")
_arrays_or_none = Rule(
    _list_of(lambda value: value is None or _is_array(value)), "a list of arrays or None"
)
floats = Rule(lambda value: _is_vector(value) and value.dtype.kind == "f", "an array of float")
_layers = Rule(_list_of(_is_hidden_layer), "a list of (activation, parameter, pieces, dropout)")

# --- what all estimators have --------------------------------------------------------------------

CLASSES = Attribute(vector, "ndarray of shape (n_classes,)", "The class labels.")
FEATURES = {
    "n_features_in_": Attribute(count, "int", "Number of features seen during `fit`."),
    "feature_names_in_": Attribute(
        _names,
        "ndarray of shape (`n_features_in_`,)",
        "Names of features seen during `fit`. Defined only when all of them are strings.",
        optional=True,
    ),
}

# --- multi-layer networks ------------------------------------------------------------------------

MLP_ATTRIBUTES = {
    "loss_": Attribute(
        number,
        "float",
        "The training loss of the last epoch or iteration, penalties included.",
    ),
    "best_loss_": Attribute(
        any_of(number, nothing),
        "float or None",
        "The minimum training loss; None with `early_stopping`. Not set by 'lbfgs'.",
        optional=True,
    ),
    "loss_curve_": Attribute(
        numbers,
        "list of float",
        "The training loss of each epoch, or of each iteration of 'lbfgs'.",
        optional=True,
    ),
    "learning_rate_curve_": Attribute(
        numbers,
        "list of float",
        "The learning rate of each epoch. Not set by 'lbfgs'.",
        optional=True,
    ),
    "validation_scores_": Attribute(
        any_of(numbers, nothing),
        "list of float or None",
        """The score on the validation samples after each epoch: accuracy of a classifier, R2 of a
        regressor, or by `scoring`. None without validation samples, not set by 'lbfgs'.""",
        optional=True,
    ),
    "validation_loss_curve_": Attribute(
        any_of(numbers, nothing),
        "list of float or None",
        """The loss on the validation samples after each epoch, without penalties. None without
        validation samples, not set by 'lbfgs'.""",
        optional=True,
    ),
    "best_validation_score_": Attribute(
        any_of(number, nothing),
        "float or None",
        "The best of `validation_scores_`; None without `early_stopping`.",
        optional=True,
    ),
    "_diagnostics": Attribute(_diagnostics, optional=True),
    "diagnostics_": Attribute(
        _never,  # it is computed from the one above
        "dict of str to ndarray of shape (n_epochs, n_layers)",
        """With `diagnostics`, of each epoch and layer of weights, the output layer's last:

        - 'gradient_norm', the norm of the gradient by the layer's parameters, penalties included;
        - 'update_ratio', the standard deviation of the change of its weights over the epoch,
          divided by the number of steps and by the standard deviation of the weights;
        - 'dead', the share of 'relu' units that are 0 in all rows;
        - 'saturated', the share of 'tanh' and 'logistic' units that in most rows are beyond 97 %
          of the way from the middle to a limit of their range.

        The last two are 0 for other activations and the output layer. Rows whose weights sum to
        zero have no gradient: it is 0 then, as the shares are.""",
        optional=True,
    ),
    "t_": Attribute(count, "int", "Number of training samples seen, over all epochs."),
    "coefs_": Attribute(
        _arrays,
        "list of ndarray",
        "The weights of each layer, of shape (n_inputs, n_units); float32 for float32 X.",
    ),
    "intercepts_": Attribute(
        _arrays,
        "list of ndarray",
        """The biases of each layer, of shape (n_units,). In a maxout layer n_units is the number
        of pieces times that of its units, piece after piece, in both.""",
    ),
    "activation_slopes_": Attribute(
        _arrays_or_none,
        "list of (ndarray or None)",
        """For each hidden layer the slopes that 'prelu' learned, of shape (n_units,). Defined only
        when there is such a layer.""",
        optional=True,
    ),
    **FEATURES,
    "n_iter_": Attribute(count, "int", "Number of epochs or iterations of the last `fit`."),
    "n_layers_": Attribute(count, "int", "Number of layers, input and output included."),
    "n_outputs_": Attribute(count, "int", "Number of units in the output layer."),
    "_hidden_layers": Attribute(
        _layers, read=lambda layers: [HiddenLayer(*layer) for layer in layers]
    ),
    "_trained_loss": Attribute(option(*_native.LINKS)),
    "_no_improvement_count": Attribute(count, optional=True),
    "_comparable_scores": Attribute(boolean, optional=True),
}


def out_activation(*links: str) -> Attribute:
    """The `out_activation_` of an estimator that has these."""
    return Attribute(
        option(*sorted(set(_native.LINKS.values()))),
        f"{{{', '.join(map(repr, links))}}}",
        "Activation function of the output layer.",
    )


CLASS_FACTORS = Attribute(any_of(floats, nothing), optional=True)

# --- single layers -------------------------------------------------------------------------------

SINGLE_LAYER_ATTRIBUTES = {
    "classes_": CLASSES,
    "coef_": Attribute(
        Rule(lambda value: _is_array(value) or issparse(value), "a matrix"),
        "ndarray of shape (1, n_features) or (n_classes, n_features)",
        "The weights, one row for two classes; float32 for float32 X.",
    ),
    "intercept_": Attribute(vector, "ndarray of shape (1,) or (n_classes,)", "The biases."),
    **FEATURES,
    "t_": Attribute(
        number,
        "float",
        "One more than the samples seen: ``1 + n_iter_ * n_samples`` after `fit`.",
    ),
}
