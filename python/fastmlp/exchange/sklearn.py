"""Fitted networks to scikit-learn's estimators, and from them."""

import warnings
from copy import deepcopy
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from fastmlp.core.rules import Parameter, defaults_of, is_default
from fastmlp.exchange.registry import registered_class
from fastmlp.exchange.values import Task
from fastmlp.training.progress import wants_bar

# attributes that scikit-learn's estimators do not have
_OUR_ATTRIBUTES = ("learning_rate_curve_", "validation_loss_curve_")
_PUBLIC_LOSS = {"binary_log_loss": "log_loss", "logistic_squared_error": "squared_error"}


def label_binarizer(classes: Any, *, multilabel: bool, sparse: bool = False) -> Any:
    """A LabelBinarizer as `fit` leaves it on labels of these classes."""
    from sklearn.preprocessing import LabelBinarizer

    if multilabel:
        y: Any = np.zeros((1, len(classes)), dtype=int)
        return LabelBinarizer().fit(csr_array(y) if sparse else y)
    return LabelBinarizer().fit(classes)


class SklearnMixin:
    """Networks that can be made scikit-learn's estimators."""

    def _checked_snapshot(self) -> Any:
        raise NotImplementedError

    def to_sklearn(self) -> Any:
        """Make scikit-learn's estimator of the fitted network.

        It predicts the same, and training goes on there from the same weights. `fit` with
        `warm_start` goes the same way in both; `partial_fit` begins with a new state of the solver
        there.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor
            Fitted, of the network's activation and loss and otherwise the same parameters; it
            shares no memory with the estimator.

        Raises
        ------
        NotFittedError
            The estimator is not fitted.
        ValueError
            scikit-learn lacks the activation, the loss, the solver or another parameter that is not
            at its default; all are named. Or the weights are not finite or do not fit each other.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y)
        >>> clf.to_sklearn().score(X, y) == clf.score(X, y)
        True
        """
        from sklearn import neural_network

        estimator = self._checked_snapshot()
        classifier = is_classifier(estimator)
        Theirs = neural_network.MLPClassifier if classifier else neural_network.MLPRegressor
        parameters = estimator.get_params(deep=False) | _trained(estimator)
        _check_parameters(type(estimator), parameters, Theirs.__name__)
        if wants_bar(parameters["verbose"]):  # which theirs cannot show
            parameters["verbose"] = True
        names = Theirs().get_params()
        theirs = Theirs(**{name: deepcopy(parameters[name]) for name in names})
        vars(theirs).update(_their_attributes(estimator))
        _set_private_attributes(theirs, estimator)
        return theirs


def _trained(estimator: Any) -> dict[str, Any]:
    """Activation and loss of the fitted network, by the estimators' names."""
    names = [layer.activation for layer in estimator._hidden_layers]
    activation: Any = names
    if not names:
        activation = estimator.activation if isinstance(estimator.activation, str) else "relu"
    elif len(set(names)) == 1:
        activation = names[0]
    loss = estimator._trained_loss
    return {"activation": activation, "loss": _PUBLIC_LOSS.get(loss, loss)}


def _check_parameters(cls: Any, values: dict[str, Any], theirs: str) -> None:
    """Whether scikit-learn's estimator can be what the parameters say."""
    lacking = lacking_in_sklearn(cls, values)
    if lacking:
        raise ValueError(
            f"scikit-learn's {theirs} lacks {', '.join(lacking)}. What only training needs may be "
            "changed by set_params before, for a model that is only to predict."
        )


def lacking_in_sklearn(cls: Any, values: dict[str, Any]) -> list[str]:
    """The parameters, as ``name=value``, that scikit-learn's estimator cannot have."""
    defaults = defaults_of(cls)
    declared: dict[str, Parameter] = cls._parameters
    return [
        f"{name}={value!r}"
        for name, value in values.items()
        if not _is_possible(value, defaults[name], declared[name].in_sklearn)
    ]


def _is_possible(value: Any, default: Any, possible: tuple[str, ...] | None) -> bool:
    if possible is None:
        return True
    if possible:
        return value in possible
    return is_default(value, default)


def _public_attributes(estimator: Any) -> dict[str, Any]:
    """Copies of the public fitted attributes."""
    return {
        name: deepcopy(value)
        for name, value in vars(estimator).items()
        if name.endswith("_") and not name.startswith("_")
    }


def _their_attributes(estimator: Any) -> dict[str, Any]:
    """The public fitted attributes of scikit-learn's estimator."""
    attributes = _public_attributes(estimator)
    for name in _OUR_ATTRIBUTES:
        attributes.pop(name, None)
    if estimator.solver == "lbfgs":
        attributes.pop("loss_curve_", None)  # it keeps none there
    else:  # where an earlier solver left none, records begin here
        early = estimator.early_stopping
        for name, start in (
            ("loss_curve_", []),
            ("best_loss_", None if early else np.inf),
            ("validation_scores_", [] if early else None),
            ("best_validation_score_", -np.inf if early else None),
        ):
            if attributes.get(name) is None:
                attributes[name] = start
    return attributes


def _set_private_attributes(theirs: Any, estimator: Any) -> None:
    """Give scikit-learn's estimator what its `predict` and a warm start need beside the weights.

    scikit-learn has no public way to make a network of given weights, nor are these attributes
    public. They are the same from scikit-learn 1.7 to 1.9. Nowhere else does the package write
    private attributes of other libraries.
    """
    if theirs.solver != "lbfgs":
        theirs._no_improvement_count = 0
    # where no epoch scores better, a fit with early stopping returns to these
    theirs._best_coefs, theirs._best_intercepts = theirs.coefs_, theirs.intercepts_
    if is_classifier(estimator):
        theirs._label_binarizer = label_binarizer(
            theirs.classes_,
            multilabel=estimator._task() is Task.MULTILABEL,
            sparse=estimator._has_sparse_labels(),
        )


def from_sklearn(model: Any) -> Any:
    """Make a fitted estimator of a network that scikit-learn fitted.

    It predicts the same, and training goes on here from the same weights. `fit` with `warm_start`
    goes the same way in both; `partial_fit` begins with a new state of the solver here.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or MLPRegressor
        A fitted one.

    Returns
    -------
    MLPClassifier or MLPRegressor
        Fitted, of the same parameters and attributes; it shares no memory with the model.

    Raises
    ------
    TypeError
        The model is of another class.
    NotFittedError
        The model is not fitted.
    ValueError
        Its weights are not finite or do not fit each other.

    Examples
    --------
    >>> import fastmlp
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> theirs = MLPClassifier(random_state=0).fit(X, y)
    >>> ours = fastmlp.from_sklearn(theirs)
    >>> ours.score(X, y) == theirs.score(X, y)
    True
    """
    from sklearn import neural_network

    if not isinstance(model, neural_network.MLPClassifier | neural_network.MLPRegressor):
        raise TypeError(
            "Expected sklearn.neural_network's MLPClassifier or MLPRegressor. "
            f"Got {type(model).__module__}.{type(model).__name__}."
        )
    check_is_fitted(model)
    classifier = is_classifier(model)
    Ours = registered_class("MLPClassifier" if classifier else "MLPRegressor")
    estimator = Ours(**deepcopy(model.get_params(deep=False)))
    vars(estimator).update(_public_attributes(model))
    multilabel = classifier and model.n_outputs_ > 1 and model.out_activation_ == "logistic"
    sparse = False
    if multilabel:  # only its predictions show what y it was fitted on
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # feature names
            sparse = issparse(model.predict(np.zeros((1, model.n_features_in_))))
    if classifier:
        estimator._label_binarizer = label_binarizer(
            model.classes_, multilabel=multilabel, sparse=sparse
        )
    estimator._derive_private_attributes()
    return estimator._checked_snapshot()
