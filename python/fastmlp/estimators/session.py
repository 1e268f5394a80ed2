"""Training that goes on by some epochs per call, with a look at the network in between."""

from copy import copy
from dataclasses import replace
from typing import Any

from fastmlp.core.native import _native
from fastmlp.core.rules import check_parameters
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array
from fastmlp.estimators.base import snapshot
from fastmlp.estimators.validation import ValidationInput
from fastmlp.training.checkpoint import Checkpoint
from fastmlp.training.first_order import FirstOrderTraining


class TrainingSession:
    """A `fit` in parts, for those who draw the network as it learns.

    After k epochs the network is that of ``fit`` with ``max_iter=k``, to the bit. It goes on as
    long as it is asked to, whatever `max_iter`, `max_time` and `n_iter_no_change` are; there are
    neither checkpoints nor callbacks. The network stays open: a call costs some microseconds
    besides its epochs. It is for one thread at a time.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its parameters count, and with `warm_start` its weights. It is left as it is.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,), float or None, default=None

    Raises
    ------
    ValueError, TypeError
        As of `fit`; and for 'lbfgs', whose iterations cannot be parted.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> None:
        check_parameters(estimator)
        self._worker = snapshot(estimator)
        training = self._worker._begin(X, y, sample_weight, ValidationInput(), Checkpoint(None, 1))
        if not isinstance(training, FirstOrderTraining):
            raise ValueError("A session is for first-order solvers. Got solver='lbfgs'.")
        self._training = training
        self._show_parameters(self._worker)

    def _show_parameters(self, estimator: Any) -> None:
        """Give an estimator the network's parameters as its attributes."""
        vars(estimator).update(estimator._parameter_attributes(self._training.blocks()))

    def train(self, epochs: int = 1) -> float:
        """Train for some epochs.

        Returns
        -------
        loss : float
            That of the last one.

        Raises
        ------
        ValueError
            Training diverged.
        """
        self._training.advance(epochs)
        return float(self._worker.loss_)

    def activations(self, X: Any) -> list[Array]:
        """Compute the outputs of all layers, in one pass.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, n_features)

        Returns
        -------
        list of ndarray of shape (n, n_units)
            Of the hidden layers, and last of the output layer.
        """
        worker = self._worker
        rows, dtype = worker._check_rows(X)
        blocks = self._training.blocks().for_core(dtype)
        threads = n_threads(worker.n_jobs)
        return _native.activations(
            blocks, worker._hidden_layers, worker._trained_loss, rows, n_threads=threads
        )

    def fitted(self) -> Any:
        """Return an estimator fitted by the epochs so far, which does not change any more.

        Its `partial_fit` goes on with the solver's state.
        """
        fitted = copy(self._worker)
        self._show_parameters(fitted)
        optimizer, network = self._training.optimizer, self._training.network
        state = [network.read(slot) for slot in optimizer.slots]
        fitted._optimizer = replace(
            optimizer, schedule=copy(optimizer.schedule), _state=state, _open=None
        )
        return fitted
