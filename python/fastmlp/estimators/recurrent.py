"""What the recurrent classifier and regressor share: sequences in, context units, states."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from fastmlp.core.native import _native
from fastmlp.core.network import ACTIVATION_NAMES, Samples
from fastmlp.core.rules import Attribute, Parameter, any_of, boolean, each, option
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array
from fastmlp.core.warnings import warn
from fastmlp.estimators.attributes import MLP_ATTRIBUTES
from fastmlp.estimators.base import Labels, check_sample_weight, snapshot
from fastmlp.estimators.mlp import MultilayerPerceptron
from fastmlp.estimators.parameters import MLP_PARAMETERS
from fastmlp.estimators.scoring import has_scorer
from fastmlp.estimators.sequences import (
    check_features,
    checked_sequences,
    has_targets_per_step,
    is_list_of_sequences,
    lengths_of,
    masked,
    native_sequences,
    predictions_per_step,
    spread,
    steps_of,
    targets_per_step,
    valid_steps,
)
from fastmlp.estimators.setup import HiddenParameters, hidden_parameters
from fastmlp.training.distributed import ALONE, Team

CELLS = ("elman", "gru")

# prelu and maxout have parameters of their own, or several sums, in each unit
_activation = option(*(name for name in ACTIVATION_NAMES if name not in ("prelu", "maxout")))

RECURRENT_PARAMETERS = {
    **{
        name: parameter
        for name, parameter in MLP_PARAMETERS.items()
        if name not in ("maxout_pieces", "device", "precision")
    },
    "hidden_layer_sizes": MLP_PARAMETERS["hidden_layer_sizes"]._replace(
        text="""Number of units in each hidden layer, one layer or more. All are recurrent; the
        output layer is not."""
    ),
    "cell": Parameter(
        option(*CELLS),
        "{'elman', 'gru'}",
        """What a hidden layer makes of its input x and of its own last output h:

        - 'elman', h = f(x W + b + h U), where f is the activation: context units, which hold the
          last output, are further inputs [9]_;
        - 'gru', h = (1 - z) n + z h with n = f(x W_n + b_n + r (h U_n + c_n)), where the gates
          r = s(x W_r + b_r + h U_r + c_r) and z, likewise, are logistic: a gated recurrent unit
          [10]_, which remembers longer.""",
    ),
    "activation": MLP_PARAMETERS["activation"]._replace(
        rule=any_of(_activation, each(_activation)),
        text="""Activation function f of the hidden layers. One name for all of them, or one for
        each: one of those of :class:`MLPClassifier` other than 'prelu' and 'maxout'. Those whose
        values have no limits, as 'relu', may let the states grow from step to step.""",
    ),
    "activation_alpha": MLP_PARAMETERS["activation_alpha"]._replace(
        text="""Parameter of the activation, as of :class:`MLPClassifier`, for all hidden layers or
        one for each. None is its default."""
    ),
    "dropout": MLP_PARAMETERS["dropout"]._replace(
        text="""Share of the outputs of a layer that the layer above it does not see, while the
        others are scaled up [7]_, drawn anew for each step of each sequence: one rate for all
        hidden layers, or one for the input and one for each hidden layer. A layer's context is
        whole. Not for 'lbfgs'."""
    ),
    "max_norm": MLP_PARAMETERS["max_norm"]._replace(
        text="""Maximum norm of the weights into a hidden unit from the layer below, and of those
        from its context, enforced after each step of the solver [7]_. Not for 'lbfgs'."""
    ),
    "init": MLP_PARAMETERS["init"]._replace(
        text="""Initial weights. 'glorot_uniform' is scikit-learn's rule [3]_. 'auto' depends on the
        activation: He's uniform for those like relu, LeCun's normal for 'selu', Glorot's normal
        for the others. '{glorot,he,lecun}_{uniform,normal}' name a rule; biases are 0 except in
        'glorot_uniform'. A callable ``(shape, rng) -> array`` is called for each array, a sequence
        holds them: weights and biases layer by layer, then for each hidden layer the recurrent
        weights, of a 'gru' with their biases."""
    ),
}

RECURRENT_ATTRIBUTES = {
    **{
        name: attribute
        for name, attribute in MLP_ATTRIBUTES.items()
        if name not in ("activation_slopes_", "feature_names_in_")
    },
    "coefs_": MLP_ATTRIBUTES["coefs_"]._replace(
        text="""The weights of each layer, of shape (n_inputs, n_units), in the hidden layers of a
        'gru' (n_inputs, 3 * n_units), for r, z and n; float32 for float32 X."""
    ),
    "intercepts_": MLP_ATTRIBUTES["intercepts_"]._replace(
        text="The biases of each layer, of shape (n_units,) or (3 * n_units,)."
    ),
    "recurrent_coefs_": MLP_ATTRIBUTES["coefs_"]._replace(
        text="""The weights U of each hidden layer from its context, of shape (n_units, n_units) or
        (n_units, 3 * n_units)."""
    ),
    "recurrent_intercepts_": MLP_ATTRIBUTES["intercepts_"]._replace(
        text="""The biases c of each hidden layer of a 'gru', of shape (3 * n_units,); empty with
        'elman'."""
    ),
    "n_features_in_": MLP_ATTRIBUTES["n_features_in_"]._replace(
        text="Number of features at each step, seen during `fit`."
    ),
    "_cell": Attribute(option(*CELLS)),
    "_per_step": Attribute(boolean),
}


class RecurrentPerceptron(MultilayerPerceptron):
    """A multi-layer perceptron whose hidden layers see their own outputs one step earlier."""

    cell: str
    recurrent_coefs_: list[Array]
    recurrent_intercepts_: list[Array]

    # --- fitting ---------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the model to sequences X and targets y.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_steps, n_features) or (n_sequences, n_steps), or \
                list of array-like of shape (n_steps, n_features) or (n_steps,)
            The sequences; without an axis of features they have one. Those in a list may be of
            different lengths; in an array rows of NaN at the end of a sequence are padding.
            float32 is trained in float32, all else in float64.
        y : array-like of shape (n_sequences,) or (n_sequences, n_outputs), or with one target per \
                step
            Class labels (a classifier) or values (a regressor): one per sequence, which is compared
            with the output after its last step; or one per step. Which of the two is told by the
            form of y alone: one per step is a list of arrays of shape (n_steps,) or (n_steps,
            n_outputs), an array of shape (n_sequences, n_steps, n_outputs), and of class labels
            also (n_sequences, n_steps). A regressor takes an array (n_sequences, k) as k values
            per sequence. What y holds for steps after the end of a sequence is not looked at.
        sample_weight : array-like of shape (n_sequences,), float or None, default=None
            Weights of the sequences.
        X_val, y_val : as X and y, default=None
            Validation sequences: their score and loss are recorded after each epoch, and
            `early_stopping` uses them.
        sample_weight_val : array-like of shape (n_val,), float or None, default=None
            Their weights.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For a parameter or data outside of what is allowed, NaN within a sequence for example;
            for training that diverged; for a checkpoint that is of another fit, damaged, of another
            version or no checkpoint at all.
        OSError
            The checkpoint cannot be read, or its first state not be written.
        MemoryError
            The network or its work space does not fit into memory; the text says how large.

        Notes
        -----
        Whatever is raised, the estimator then is as it was before the call. A KeyboardInterrupt is
        not raised: training ends with a warning, and the model is that after the step at hand.

        With one target per step the loss is the mean over all steps of the sequences in the batch,
        each with the weight of its sequence.

        Examples
        --------
        >>> import numpy as np
        >>> from fastmlp import RNNClassifier
        >>> X = [np.array([0.0, 1, 0]), np.array([0.0, 0]), np.array([1.0, 0, 0, 0])]
        >>> y = [np.maximum.accumulate(x).astype(int) for x in X]  # has there been a one yet?
        >>> clf = RNNClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> clf.predict([[0.0, 0, 1, 0]])[0]
        array([0, 0, 1, 1])
        """
        return super().fit(
            X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val
        )

    def _hidden_parameters(self) -> HiddenParameters:
        found = hidden_parameters(self)
        if not found.sizes:
            raise ValueError("hidden_layer_sizes must have one recurrent layer or more. Got none.")
        return found._replace(cell=self.cell)

    def _check_X_y(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        name = type(self).__name__
        if y is None:
            raise ValueError(
                f"This {name} estimator requires y to be passed, but the target y is None."
            )
        if issparse(y):
            raise TypeError("Sparse data was passed as y, but dense data is required.")
        is_list, X = is_list_of_sequences(X), checked_sequences(X)
        if not is_list_of_sequences(y):
            y = np.asarray(y)
        per_step = has_targets_per_step(y, are_labels=is_classifier(self))
        if reset:
            self.n_features_in_, self._cell, self._per_step = X.shape[2], self.cell, per_step
        check_features(X, self.n_features_in_, name)
        if per_step != self._per_step:
            kinds = ("one target per sequence", "one target per step")
            raise ValueError(
                f"y has {kinds[per_step]}, but the {name} was fitted to {kinds[not per_step]}."
            )
        if not per_step:
            return X, self._checked_targets(y, X, warns=reset)
        if is_list and not is_list_of_sequences(y):
            y = y[:, : X.shape[1]]  # it may be padded for a longer sequence than those picked here
        y = targets_per_step(y, X, are_labels=is_classifier(self))
        check_array(y.data[steps_of(y)], ensure_2d=False, dtype=None, input_name="y")
        return X, y

    def _checked_targets(self, y: Array, X: Array, *, warns: bool) -> Array:
        """Targets of whole sequences, (n,) or (n, n_outputs)."""
        numeric = y.dtype == object and not is_classifier(self)
        checked: Array = check_array(
            y, ensure_2d=False, dtype=np.float64 if numeric else None, input_name="y"
        )
        check_consistent_length(X, checked)
        if checked.ndim == 2 and checked.shape[1] == 1:
            checked = column_or_1d(checked, warn=True)
        if warns and checked.shape[1:] == X.shape[1:2]:
            warn(
                f"y of shape {y.shape} is taken as {y.shape[1]} values of each whole sequence, and "
                "X has as many steps. Of one value per step pass y[:, :, np.newaxis]."
            )
        return checked

    def _samples(
        self, X: Any, targets: Array, weights: Array | None, dtype: npt.DTypeLike
    ) -> Samples:
        return Samples(native_sequences(X, dtype), targets, weights, lengths_of(X))

    def _feature_rows(self, X: Any) -> Any:
        return X[valid_steps(X)]

    def _encode_targets(
        self, y: Any, dtype: npt.DTypeLike, labels: Labels, team: Team = ALONE
    ) -> tuple[Array, Array]:
        if not self._per_step:
            return super()._encode_targets(y, dtype, labels, team)
        if not team.is_alone:
            raise ValueError(
                "One target per step is for one process: fastmlp.distributed trains recurrent "
                "networks on one target per sequence."
            )
        valid = steps_of(y)
        targets, compared = super()._encode_targets(y.data[valid], dtype, labels)
        return spread(targets, valid), masked(spread(compared, valid), valid)

    def _labels_for_scorers(self, y: Any, labels: Array) -> Any:
        if self._per_step:
            named = isinstance(self.scoring, str) and has_scorer(self)
            if named and not steps_of(y).all():
                raise ValueError(
                    f"scoring={self.scoring!r} cannot compare targets per step of sequences of "
                    "different lengths: use scoring=None or scoring='loss'."
                )
            # numbers need their third axis to be known for what they are
            y = y.data if is_classifier(self) or y.ndim == 3 else y.data[:, :, np.newaxis]
        return super()._labels_for_scorers(y, labels)

    def _default_score(
        self, outputs: Array, labels: Array, weights: Array | None, team: Team
    ) -> float:
        if self._per_step:
            valid = steps_of(labels)
            outputs, labels = outputs[valid], np.asarray(labels)[valid]
            weights = None if weights is None else np.repeat(weights, valid.sum(axis=1))
        return super()._default_score(outputs, labels, weights, team)

    # --- prediction ------------------------------------------------------------------------------

    def _check_rows(self, X: Any) -> tuple[Array, npt.DTypeLike]:
        check_is_fitted(self)
        X = checked_sequences(X)
        check_features(X, self.n_features_in_, type(self).__name__)
        single = np.result_type(X.dtype, self.coefs_[0].dtype) == np.float32
        dtype = np.dtype(np.float32 if single else np.float64)
        return native_sequences(X, dtype), dtype

    def _predicted(self, X: Any, initial_state: Any, read: Callable[[Array], Array]) -> Any:
        """What is read of the outputs at the end of each sequence, or of each of its steps."""
        found, valid = self._read_outputs(X, initial_state, read)
        if valid is None:
            return found
        return predictions_per_step(found, valid, as_list=is_list_of_sequences(X))

    def _scored(
        self,
        metric: Callable[..., float],
        X: Any,
        y: Any,
        sample_weight: Any,
        read: Callable[[Array], Array],
    ) -> float:
        """A metric of what is read of the outputs, compared with y."""
        found, valid = self._read_outputs(X, None, read)
        if valid is not None:
            X, y = self._check_X_y(X, y, reset=False)
            y = y.data[valid]
            weights = check_sample_weight(sample_weight, len(X), np.float64)
            sample_weight = None if weights is None else np.repeat(weights, valid.sum(axis=1))
        return metric(y, found, sample_weight=sample_weight)

    def _read_outputs(
        self, X: Any, initial_state: Any, read: Callable[[Array], Array]
    ) -> tuple[Array, Array | None]:
        """What is read of outputs (m, n_outputs), and with outputs per step where these are.

        The latter (n, n_steps) says which steps are no padding; it is None with one output each.
        """
        rows, dtype = self._check_rows(X)
        outputs = _native.predict(
            self._blocks().for_core(dtype),
            self._hidden_layers,
            self._trained_loss,
            rows,
            **self._forward_options(rows, dtype, initial_state),
        )
        if not self._per_step:
            return read(outputs), None
        valid = valid_steps(rows)
        return read(outputs[valid]), valid

    def _forward_options(
        self, rows: Array, dtype: npt.DTypeLike, initial_state: Any
    ) -> dict[str, Any]:
        """What the core needs to know for a forward pass besides parameters and rows."""
        return {
            "cell": self._cell,
            "per_step": self._per_step,
            "lengths": lengths_of(rows),
            "initial_state": self._checked_state(initial_state, len(rows), dtype),
            "n_threads": n_threads(self.n_jobs),
        }

    def _checked_state(self, state: Any, n: int, dtype: npt.DTypeLike) -> list[Array] | None:
        """The states to begin from as the core takes them."""
        if state is None:
            return None
        wanted = [(n, len(weight)) for weight in self.recurrent_coefs_]
        arrays = [np.asarray(array) for array in state]
        got = [array.shape for array in arrays]
        if got != wanted or any(array.dtype.kind not in "fiub" for array in arrays):
            raise ValueError(
                "initial_state must be a list of one array of numbers per hidden layer, of the "
                f"shapes {wanted}. Got the shapes {got}."
            )
        arrays = [np.ascontiguousarray(array, dtype) for array in arrays]
        if not all(np.isfinite(array).all() for array in arrays):
            raise ValueError(
                "initial_state must be finite, but it contains NaN or infinity. After the end of a "
                "sequence hidden_states are NaN."
            )
        return arrays

    def hidden_states(self, X: Any, initial_state: Any = None) -> list[Array]:
        """Compute the states of all hidden layers: what their context units hold after each step.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_steps, n_features) or (n_sequences, n_steps), or \
                list of array-like of shape (n_steps, n_features) or (n_steps,)
            The sequences, as for `fit`.
        initial_state : list of array-like of shape (n_sequences, n_units), default=None
            For each hidden layer its state before the first step; None is 0.

        Returns
        -------
        list of ndarray of shape (n_sequences, n_steps, n_units)
            Of each hidden layer; NaN after the end of a sequence.

        Raises
        ------
        ValueError
            X or initial_state is not of the shape or the numbers that it has to be.

        Examples
        --------
        The last states are what a prediction goes on from, when the next steps come:

        >>> import numpy as np
        >>> from fastmlp import RNNRegressor
        >>> X = np.random.RandomState(0).normal(size=(20, 6))
        >>> reg = RNNRegressor((4,), solver="lbfgs", random_state=0).fit(X, X.sum(axis=1))
        >>> states = reg.hidden_states(X[:, :5])
        >>> [state.shape for state in states]
        [(20, 5, 4)]
        >>> last = [state[:, -1] for state in states]
        >>> np.allclose(reg.predict(X[:, 5:], initial_state=last), reg.predict(X))
        True
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        rows, states = fitted._states(X, initial_state)
        padding = ~valid_steps(rows)
        for state in states:
            state[padding] = np.nan
        hidden: list[Array] = states
        return hidden

    def _unit_values(self, X: Any) -> list[Array]:
        """The features of one sequence's last step, and what the units of each layer make of it."""
        check_is_fitted(self)
        fitted = snapshot(self)
        rows, states = fitted._states(X)
        if len(rows) != 1:
            raise ValueError(f"X must be one sequence. Got {len(rows)}.")
        last = valid_steps(rows).sum() - 1
        outputs, _ = fitted._read_outputs(X, None, lambda outputs: outputs)
        return [rows[0, last], *(state[0, last] for state in states), outputs[-1]]

    def _states(self, X: Any, initial_state: Any = None) -> tuple[Array, list[Array]]:
        """X for the core, and the states (n, n_steps, n_units), 0 after the ends."""
        rows, dtype = self._check_rows(X)
        *states, _ = _native.activations(
            self._blocks().for_core(dtype),
            self._hidden_layers,
            self._trained_loss,
            rows,
            **self._forward_options(rows, dtype, initial_state),
        )
        return rows, states

    def hidden_activations(self, X: Any, layer: int = -1) -> Array:
        """Compute the state of a hidden layer after the last step of each sequence.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_steps, n_features) or (n_sequences, n_steps), or \
                list of array-like of shape (n_steps, n_features) or (n_steps,)
            The sequences, as for `fit`.
        layer : int, default=-1
            The hidden layer, from 0; negative ones count from the last.

        Returns
        -------
        ndarray of shape (n_sequences, n_units)
            A vector of one length for sequences of any.

        Raises
        ------
        ValueError
            There is no such layer.

        Examples
        --------
        >>> from fastmlp import RNNClassifier
        >>> X = [[0.0, 1.0, 1.0], [1.0, 0.0]]
        >>> clf = RNNClassifier((4,), solver="lbfgs", random_state=0).fit(X, [0, 1])
        >>> clf.hidden_activations(X).shape
        (2, 4)
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        place = fitted._checked_layer(layer)
        rows, states = fitted._states(X)
        last = valid_steps(rows).sum(axis=1) - 1
        found: Array = states[place][np.arange(len(rows)), last]
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.three_d_array = True
        return tags
