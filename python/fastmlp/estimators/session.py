"""Training that goes on by some epochs per call, with a look at the network in between."""

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from fastmlp.core.device import engine_of
from fastmlp.core.native import _native
from fastmlp.core.rules import check_parameters
from fastmlp.core.threads import FitUnderWay, n_threads
from fastmlp.core.typing import Array
from fastmlp.estimators.base import snapshot
from fastmlp.estimators.parameters import MLP_PARAMETERS
from fastmlp.estimators.setup import (
    architecture_of,
    draw_dropout_seed,
    solver_rule,
)
from fastmlp.estimators.validation import ValidationInput
from fastmlp.training.checkpoint import Checkpoint
from fastmlp.training.distributed import current_team
from fastmlp.training.first_order import RECORDS, FirstOrderTraining

# the parameters that `TrainingSession.change` takes
CHANGEABLE = (
    "alpha",
    "l1",
    "dropout",
    "batch_size",
    *(
        name
        for name, parameter in MLP_PARAMETERS.items()
        if parameter.solver_option or parameter.schedule_field
    ),
)

LISTS = tuple(name for name in RECORDS if name.endswith(("curve_", "scores_", "_diagnostics")))


class TrainingSession:
    """A `fit` in parts, for those who draw the network as it learns.

    After k epochs the network is that of ``fit`` with ``max_iter=k``, to the bit. It goes on as
    long as it is asked to, whatever `max_iter`, `max_time` and `n_iter_no_change` are; there are
    neither checkpoints nor callbacks. The network stays open: a call costs some microseconds
    besides its epochs. It is for one thread at a time.

    With `early_stopping` the validation samples are set aside as in `fit`, and training ends where
    that of `fit` would: from then on the network is that of the best epoch, and `train` does
    nothing. Before, it is that of the last epoch.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its parameters count, and with `warm_start` its weights. It is left as it is.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The samples.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.
    sample_weight : array-like of shape (n_samples,), float or None, default=None
        Weights of the samples.

    Attributes
    ----------
    has_ended : bool
        Whether early stopping has ended it.

    Raises
    ------
    ValueError, TypeError
        As of `fit`; for 'lbfgs', whose iterations cannot be parted; for recurrent networks; and
        within `fastmlp.distributed`.

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.playground import TrainingSession
    >>> X, y = [[0.0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> session = TrainingSession(MLPClassifier((3,), random_state=0), X, y)
    >>> session.train(10) > session.train(10)
    True
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> None:
        check_parameters(estimator)
        if not current_team().is_alone:
            raise ValueError("A session is of one process: use fit within fastmlp.distributed.")
        self._worker = snapshot(estimator)
        training = self._worker._begin(X, y, sample_weight, ValidationInput(), Checkpoint(None, 1))
        if not isinstance(training, FirstOrderTraining):
            raise ValueError("A session is for first-order solvers. Got solver='lbfgs'.")
        if self._worker._cell:
            raise TypeError(f"A session is for dense networks. Got {type(estimator).__name__}.")
        self._training = training
        self.has_ended = False
        self._show_parameters(self._worker)

    def _show_parameters(self, estimator: Any) -> None:
        """Give an estimator the network's parameters as its attributes."""
        vars(estimator).update(estimator._parameter_attributes(self._training.blocks()))

    # --- training --------------------------------------------------------------------------------

    def train(self, epochs: int = 1) -> float:
        """Train for some epochs.

        Parameters
        ----------
        epochs : int, default=1
            How many.

        Returns
        -------
        float
            The loss of the last one.

        Raises
        ------
        ValueError
            Training diverged.

        Examples
        --------
        >>> from fastmlp import MLPRegressor
        >>> from fastmlp.playground import TrainingSession
        >>> session = TrainingSession(MLPRegressor(random_state=0), [[0.0], [1]], [0, 1])
        >>> session.train(20) < session.train(0) + 1e-12
        True
        """
        if self.has_ended or not epochs:
            return float(self._worker.loss_)
        training, patiently = self._training, not self._worker.early_stopping
        with FitUnderWay():
            goes_on = training.advance(epochs, patiently=patiently)
        if not goes_on:
            self.has_ended = True
            if self._worker.best_validation_score_ > -np.inf:
                training.network.write(training.best_blocks)
        return float(self._worker.loss_)

    def change(self, **parameters: Any) -> None:
        """Change parameters without a new start: weights, solver's state and epochs stay.

        Parameters
        ----------
        **parameters
            Those of the learning rate and its schedule, of the solver and the penalties, `dropout`
            and `batch_size`.

        Raises
        ------
        ValueError, TypeError
            A parameter is another one, or outside of what is allowed. Nothing is changed then.

        Examples
        --------
        >>> from fastmlp import MLPRegressor
        >>> from fastmlp.playground import TrainingSession
        >>> session = TrainingSession(MLPRegressor(random_state=0), [[0.0], [1]], [0, 1])
        >>> session.change(learning_rate_init=0.01, alpha=0.1)
        """
        fixed = [name for name in parameters if name not in CHANGEABLE]
        if fixed:
            raise ValueError(
                f"{', '.join(fixed)} cannot be changed within a session, only "
                f"{', '.join(CHANGEABLE)}."
            )
        changed = copy(self._worker)
        vars(changed).update(parameters)
        check_parameters(changed)
        options, schedule = solver_rule(changed)
        architecture = architecture_of(changed)
        training, earlier = self._training, self._training.optimizer
        if np.any(changed.dropout):
            seed = earlier.options.get("seed")
            options["seed"] = draw_dropout_seed(training.random_state) if seed is None else seed
        elif "seed" in earlier.options:  # for a later change
            options["seed"] = earlier.options["seed"]
        schedule.go_on_from(earlier.schedule)
        blocks, samples = training.blocks(), training.data.samples
        optimizer = replace(
            earlier,
            options=options,
            schedule=schedule,
            _state=[training.network.read(slot) for slot in earlier.slots],
            _open=None,
        )
        batch = changed._batch_size(training.n)
        network = changed._open_network(
            optimizer, architecture, samples, blocks.weights[0].dtype, n=training.n, batch=batch
        )
        for slot in training.slots:
            network.write(training.network.read(slot), slot)
        vars(self._worker).update(parameters)
        training.optimizer, training.network, training.batch = optimizer, network, batch

    def set_weight(self, layer: int, input: int | None, unit: int, value: float) -> None:
        """Set one weight, or a bias.

        Parameters
        ----------
        layer : int
            The layer, from 0.
        input : int or None
            The input of the layer that the weight comes from; None for the bias.
        unit : int
            The unit that it goes to.
        value : float
            What it is to be.

        Raises
        ------
        ValueError
            There is no such weight, or the value is not finite.

        Examples
        --------
        >>> from fastmlp import MLPRegressor
        >>> from fastmlp.playground import TrainingSession
        >>> session = TrainingSession(MLPRegressor(random_state=0), [[0.0], [1]], [0, 1])
        >>> session.set_weight(0, 0, 99, 0.5)
        """
        blocks = self._training.blocks()
        layers: list[Array] = blocks.biases if input is None else blocks.weights
        place = (unit,) if input is None else (input, unit)
        is_there = 0 <= layer < len(layers) and all(
            0 <= i < n for i, n in zip(place, layers[layer].shape, strict=True)
        )
        if not is_there:
            raise ValueError(f"There is no weight at layer={layer}, input={input}, unit={unit}.")
        if not np.isfinite(value):
            raise ValueError(f"A weight must be finite. Got {value}.")
        layers[layer][place] = value
        self._training.network.write(blocks)

    # --- a look at the network -------------------------------------------------------------------

    def activations(self, X: Any, *, dtype: Any = None) -> list[Array]:
        """Compute the outputs of all layers, in one pass.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, n_features)
            The samples.
        dtype : dtype, default=None
            That of the computation, float32 for example where it is for a picture. None: that of
            the network.

        Returns
        -------
        list of ndarray of shape (n, n_units)
            Of the hidden layers, and last of the output layer.

        Examples
        --------
        >>> from fastmlp import MLPRegressor
        >>> from fastmlp.playground import TrainingSession
        >>> session = TrainingSession(MLPRegressor(random_state=0), [[0.0], [1]], [0, 1])
        >>> [layer.shape for layer in session.activations([[0.5]])]
        [(1, 100), (1, 1)]
        """
        worker = self._worker
        if dtype is None:
            rows, dtype = worker._check_rows(X)
        else:
            rows = np.ascontiguousarray(X, dtype)
        blocks = self._training.blocks().for_core(dtype)
        threads = n_threads(worker.n_jobs)
        return _native.activations(
            blocks,
            worker._hidden_layers,
            worker._trained_loss,
            rows,
            n_threads=threads,
            engine=engine_of(worker.device),
        )

    def fitted(self) -> Any:
        """Return an estimator fitted by the epochs so far, which does not change any more.

        Its `partial_fit` goes on with the solver's state.

        Returns
        -------
        MLPClassifier or MLPRegressor
            The estimator.

        Examples
        --------
        >>> from fastmlp import MLPRegressor
        >>> from fastmlp.playground import TrainingSession
        >>> session = TrainingSession(MLPRegressor(random_state=0), [[0.0], [1]], [0, 1])
        >>> session.fitted().predict([[0.5]]).shape
        (1,)
        """
        fitted = copy(self._worker)
        self._show_parameters(fitted)
        for name in LISTS:
            if isinstance(getattr(fitted, name, None), list):
                setattr(fitted, name, list(getattr(fitted, name)))
        optimizer, network = self._training.optimizer, self._training.network
        state = [network.read(slot) for slot in optimizer.slots]
        fitted._optimizer = replace(
            optimizer, schedule=copy(optimizer.schedule), _state=state, _open=None
        )
        return fitted
