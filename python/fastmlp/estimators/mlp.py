"""What the multi-layer classifier and regressor share: fitting, everything but the kind of y."""

from collections.abc import Callable
from math import ceil
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import column_or_1d

from fastmlp.core.arrays import converted, is_native_array, native_rows
from fastmlp.core.device import network_options
from fastmlp.core.first_weights import initial_blocks
from fastmlp.core.native import _native
from fastmlp.core.network import Architecture, Blocks, Network, Samples, hidden_layers
from fastmlp.core.rules import Attribute, Parameter, check_parameters
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array, Order
from fastmlp.core.warnings import warn
from fastmlp.estimators.base import (
    Labels,
    VersionMixin,
    all_or_nothing,
    check_data,
    check_sample_weight,
)
from fastmlp.estimators.constant import warn_of_nothing_learned
from fastmlp.estimators.effect import warn_of_unused_parameters
from fastmlp.estimators.fitted import FittedNetworkMixin, check_goes_on
from fastmlp.estimators.scoring import find_scorer, has_scorer
from fastmlp.estimators.setup import (
    HiddenParameters,
    architecture_of,
    check_device,
    check_ranks,
    dropout_rates,
    hidden_parameters,
    make_optimizer,
    share_records,
    start_records,
)
from fastmlp.estimators.validation import (
    ValidationInput,
    checked_input,
    given_validation,
    held_out_validation,
    split_validation,
)
from fastmlp.training.callbacks import Callbacks, CallbackSupportMixin, with_callbacks
from fastmlp.training.checkpoint import Checkpoint
from fastmlp.training.data import Data
from fastmlp.training.diagnostics import DIAGNOSTICS, Diagnostics
from fastmlp.training.distributed import ALONE, Shard, Team, current_team
from fastmlp.training.first_order import RECORDS, FirstOrderTraining
from fastmlp.training.lbfgs import LbfgsTraining
from fastmlp.training.optimizer import Optimizer
from fastmlp.training.progress import ProgressWatcher
from fastmlp.training.training import Training, Watchers


def has_partial_fit(estimator: "MultilayerPerceptron") -> bool:
    """Whether the solver trains on mini-batches; an AttributeError says why not."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


def accepted_dtype(X: Any) -> Any:
    """The types that the check of X leaves as they are.

    An array of other numbers stays as it is: the core converts it batch by batch.
    """
    return "numeric" if is_native_array(X) else (np.float64, np.float32)


class MultilayerPerceptron(CallbackSupportMixin, FittedNetworkMixin, VersionMixin, BaseEstimator):
    """Fits a network. The subclasses say what y means."""

    _parameters: ClassVar[dict[str, Parameter]]
    _attributes: ClassVar[dict[str, Attribute]]

    maxout_pieces: int
    n_iter_: int
    loss_: float
    t_: int
    out_activation_: str
    best_loss_: float | None
    best_validation_score_: float | None

    # --- what the subclasses say about the network and y ------------------------------------------

    def _hidden_parameters(self) -> HiddenParameters:
        """What the parameters say of the hidden layers, checked."""
        return hidden_parameters(self)._replace(maxout_pieces=self.maxout_pieces)

    def _encode_targets(
        self, y: Any, dtype: npt.DTypeLike, labels: Labels, team: Team = ALONE
    ) -> tuple[Array, Array]:
        """Make targets for the core of y, and what predictions are compared with."""
        raise NotImplementedError

    def _loss_to_train(self) -> str:
        """The core's name of the loss; its link is the output activation."""
        raise NotImplementedError

    def _loss_options(self) -> dict[str, Any]:
        """The core's options of the loss."""
        raise NotImplementedError

    def _set_class_factors(self, labels: Array, team: Team) -> None:
        """Take the weights of the classes in the training data of all ranks."""

    def _weigh_classes(self, labels: Array, sample_weight: Array | None) -> Array | None:
        """The sample weights times those of the samples' classes."""
        return sample_weight

    def _labels_for_scorers(self, y: Any, labels: Array) -> Any:
        """What scorers take as y."""
        return y

    def _default_score(
        self, outputs: Array, labels: Array, weights: Array | None, team: Team
    ) -> float:
        """The score of outputs as the core predicts them, those of all ranks."""
        raise NotImplementedError

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
        """Fit the model to data matrix X and targets y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples. float32 is trained in float32, all else in float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels (a classifier; a 0/1 matrix is multilabel, and with
            ``loss='kl_divergence'`` each row holds the probabilities of the classes) or values (a
            regressor).
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Weights of the samples.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation samples: their score and loss are recorded after each epoch, and
            `early_stopping` uses them.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), float or None, default=None
            Their weights.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For a parameter or data outside of what is allowed; for training that diverged; for a
            checkpoint that is of another fit, damaged, of another version or no checkpoint at all.
        OSError
            The checkpoint cannot be read, or its first state not be written.
        MemoryError
            The network or its work space does not fit into memory; the text says how large.

        Notes
        -----
        Whatever is raised, the estimator then is as it was before the call. A KeyboardInterrupt is
        not raised: training ends with a warning, and the model is that after the step at hand.

        A :class:`~sklearn.pipeline.Pipeline` transforms X, but passes `X_val` on as it is, unless
        ``Pipeline(steps, transform_input=["X_val"])`` asks for it, with metadata routing enabled
        and ``set_fit_request(X_val=True, y_val=True)``: see docs/validation.md.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> MLPClassifier((10,), solver="lbfgs", random_state=0).fit(X, y).score(X, y) > 0.9
        True
        """
        check_parameters(self)
        given = checked_input(X_val, y_val, sample_weight_val)
        with all_or_nothing(self) as worker:
            worker._fit(X, y, sample_weight, given)
        return self

    @with_callbacks
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_input: ValidationInput = ValidationInput(),  # noqa: B008 -- it is immutable
        *,
        incremental: bool = False,
    ) -> None:
        """Fit on a copy of the estimator that the caller takes over when all went well."""
        team = current_team()
        if not team.leads:  # rank 0 speaks for all
            self.__dict__["verbose"] = False
        path = None if incremental else self.checkpoint
        checkpoint = Checkpoint(path, self.checkpoint_every, team)
        training = self._begin(
            X, y, sample_weight, validation_input, checkpoint, incremental=incremental
        )
        if not incremental:
            warn_of_unused_parameters(self, validates=training.validation is not None)
        data = training.data
        callbacks = Callbacks(self, data.X, data.y, sample_weight, self._parameter_attributes)
        progress = ProgressWatcher(self, shown=not incremental)
        training.watchers = Watchers([checkpoint, Diagnostics(self), callbacks, progress])
        blocks = training.run()
        if isinstance(training, FirstOrderTraining):
            self._optimizer = training.optimizer
        self.__dict__.update(self._parameter_attributes(blocks))
        if not team.is_alone:
            team.check_same({"weights after training": blocks.digest()})
        elif not incremental:
            warn_of_nothing_learned(self, training)
        training.watchers.ended(training, blocks)

    def _begin(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_input: ValidationInput,
        checkpoint: Checkpoint,
        *,
        incremental: bool = False,
    ) -> Training:
        """Training, ready to run.

        The steps below draw random numbers in scikit-learn's order: first weights, validation
        split, and then, in training, the shuffles. Dropout's seed, which scikit-learn does not
        draw, comes after the split.
        """
        team = checkpoint.team
        new = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y = self._check_X_y(X, y, reset=new)
        dtype = np.float32 if (X if new else self.coefs_[0]).dtype == np.float32 else np.float64
        check_device(self, dtype, team)
        known = Labels.SAME if self.warm_start else Labels.SUBSET
        labels = Labels.NEW if new and not incremental else known
        if not team.is_alone:
            check_ranks(self, team, X, y, sample_weight, dtype, new=new, incremental=incremental)
        data = self._make_data(X, y, sample_weight, dtype, labels, team, training=True)
        shard = Shard.of(team, data.n)
        find_scorer(self)  # that there is none is an error, whether it is used or not
        architecture = architecture_of(self)
        # without dropout: what `predict` evaluates
        self._hidden_layers = [layer._replace(dropout=0.0) for layer in architecture.hidden]
        self._trained_loss = architecture.loss
        random = checkpoint.random_state(self.random_state)
        blocks = team.bcast(self._starting_blocks(architecture, dtype, random, new=new))
        make_training = (
            self._lbfgs_training if self.solver == "lbfgs" else self._first_order_training
        )
        training = make_training(
            architecture,
            blocks,
            data,
            shard,
            validation_input,
            random,
            new=new,
            incremental=incremental,
        )
        if not checkpoint.is_idle:
            self._identify(checkpoint, training, blocks, random)
        return training

    def _first_order_training(
        self,
        architecture: Architecture,
        blocks: Blocks,
        data: Data,
        shard: Shard,
        validation_input: ValidationInput,
        random: np.random.RandomState,
        *,
        new: bool,
        incremental: bool,
    ) -> Training:
        dtype = blocks.weights[0].dtype
        train: Order | None = None
        validation = None
        team = shard.team
        if self.diagnostics and not team.is_alone:
            raise ValueError("diagnostics are of one process: set diagnostics=False.")
        if team.any(validation_input.X is not None):
            validation = given_validation(self, validation_input, data, dtype, team)
        elif validation_input.rows is not None:
            train, validation = held_out_validation(self, data, validation_input.rows)
        elif self.early_stopping:
            train, validation = split_validation(self, data, random, shard)
        n = shard.total if train is None else len(train)
        batch = self._batch_size(n, team.size)
        optimizer = make_optimizer(self, blocks, random, goes_on=incremental)
        if not (new or team.is_alone):
            share_records(self, team)
        start_records(self, blocks, validation, goes_on=not new)
        network = self._open_network(
            optimizer,
            architecture,
            data.samples,
            dtype,
            n=n,
            batch=batch if team.is_alone else shard.room(batch),
            keep_gradient=not team.is_alone,
        )
        if validation is not None and has_scorer(self):
            try:
                validation.score(blocks)  # what the scorer cannot do is found before training
            except BaseException:
                validation.release()
                raise
        return FirstOrderTraining(
            self,
            network,
            blocks,
            data,
            shard,
            optimizer,
            random,
            batch=batch,
            train=train,
            validation=validation,
            one_epoch=incremental,
        )

    def _open_network(
        self,
        optimizer: Optimizer,
        architecture: Architecture,
        samples: Samples,
        dtype: npt.DTypeLike,
        *,
        n: int,
        batch: int,
        keep_gradient: bool = False,
    ) -> Network:
        """The network to train on n of the samples, with the optimizer's state in it."""
        return optimizer.open_network(
            batch=batch,
            n=n,
            architecture=architecture,
            dtype=dtype,
            alpha=self.alpha,
            l1=self.l1,
            sparse=samples.is_sparse,
            steps=samples.n_steps,
            keep_gradient=keep_gradient or self.diagnostics or "clip_norm" in optimizer.options,
            **network_options(self, dtype),
        )

    def _lbfgs_training(
        self,
        architecture: Architecture,
        blocks: Blocks,
        data: Data,
        shard: Shard,
        validation_input: ValidationInput,
        random: np.random.RandomState,
        *,
        new: bool,
        **_: bool,
    ) -> Training:
        if shard.team.any(validation_input.X is not None):
            raise ValueError("X_val is for first-order solvers. Got solver='lbfgs'.")
        network = self._differentiable_network(architecture, data.samples, blocks.weights[0].dtype)
        earlier = () if new else getattr(self, "loss_curve_", None) or ()
        return LbfgsTraining(self, network, blocks, data, shard, earlier)

    def _identify(
        self,
        checkpoint: Checkpoint,
        training: Training,
        blocks: Blocks,
        random: np.random.RandomState,
    ) -> None:
        """Tell the checkpoint what makes this fit another than others."""
        first_order = training if isinstance(training, FirstOrderTraining) else None
        samples, validation = training.data.samples, first_order and first_order.validation
        own = validation.data.samples if validation and validation.rows is None else None
        checkpoint.identify(
            self,
            data=[
                *(samples.rows, samples.targets, samples.weights),
                *(getattr(self, "classes_", None), getattr(self, "feature_names_in_", None)),
            ],
            validation=own and [own.rows, own.targets, own.weights],
            start=[
                blocks.in_core_order(),
                first_order and first_order.optimizer.options,
                random.get_state(legacy=False),
                first_order and [getattr(self, name) for name in RECORDS],
            ],
        )

    @property
    def diagnostics_(self) -> dict[str, Array]:
        """Numbers per layer that were recorded in each epoch; `diagnostics` says which.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> clf = MLPClassifier((3,), max_iter=5, tol=0, diagnostics=True, random_state=0)
        >>> clf.fit([[0.0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]).diagnostics_["dead"].shape
        (5, 2)
        """
        recorded = getattr(self, "_diagnostics", None)
        if not recorded:
            raise AttributeError("diagnostics_ is there after a fit with diagnostics=True.")
        return dict(zip(DIAGNOSTICS, np.array(recorded).transpose(2, 0, 1), strict=True))

    # --- data ------------------------------------------------------------------------------------

    def _check_X_y(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        X, y = check_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=not is_classifier(self),
            dtype=accepted_dtype(X),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1 and not issparse(y):
            y = column_or_1d(y, warn=True)
        return X, y

    def _make_data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        dtype: npt.DTypeLike,
        labels: Labels,
        team: Team = ALONE,
        *,
        training: bool = False,
    ) -> Data:
        targets, compared = self._encode_targets(y, dtype, labels, team)
        if training:
            self._set_class_factors(compared, team)
        n = X.shape[0]
        sample_weight = check_sample_weight(sample_weight, n, dtype, team)
        weights = self._weigh_classes(compared, sample_weight)
        if weights is not None:
            weights = converted(weights, dtype, "class_weight")
            if not team.any(bool(np.any(weights))):
                raise ValueError("class_weight leaves all samples a weight of zero.")
            if not team.sum(np.sum(weights, dtype=np.float64)) > 0:
                raise ValueError(
                    f"sample_weight must sum to more than zero. Got {np.sum(weights)} instead."
                )
        samples = self._samples(X, targets, weights, dtype)
        y = self._labels_for_scorers(y, compared)
        return Data(samples, n, X, y, compared, sample_weight)

    def _samples(
        self, X: Any, targets: Array, weights: Array | None, dtype: npt.DTypeLike
    ) -> Samples:
        """Samples for the core of X that was checked."""
        return Samples(native_rows(X, dtype), targets, weights)

    def _feature_rows(self, X: Any) -> Any:
        """X that was checked as rows (n, n_features), to compare the ranges of features."""
        return X

    def _batch_size(self, n: int, ranks: int = 1) -> int:
        """The rows of a step, of so many ranks together, when they train on n rows."""
        if self.batch_size == "auto":
            return min(200 * ranks, n)
        batch = int(self.batch_size) * ranks
        if batch > n:
            warn(
                "Got `batch_size` less than 1 or larger than "
                "sample size. It is going to be clipped",
            )
        return min(batch, n)

    def _steps_per_epoch(self) -> int | None:
        if self.solver == "lbfgs" or not self.t_:
            return None
        rows = self.t_ / len(self.loss_curve_)  # all samples seen, in all epochs
        return ceil(rows / (200 if self.batch_size == "auto" else int(self.batch_size)))

    def _dropout_rates(self) -> list[float]:
        return dropout_rates(self.dropout, self.n_layers_ - 2)

    # --- the network -----------------------------------------------------------------------------

    def _starting_blocks(
        self,
        architecture: Architecture,
        dtype: npt.DTypeLike,
        random: np.random.RandomState,
        *,
        new: bool,
    ) -> Blocks:
        """First weights, or those of the earlier fit."""
        if not new:
            blocks = self._blocks_as(dtype)
            check_goes_on(self, blocks, architecture)
            return blocks
        self.t_ = 0
        self.n_layers_ = len(architecture.units)
        self.out_activation_ = _native.LINKS[architecture.loss]
        activation = self.activation if isinstance(self.activation, str) else ""
        return initial_blocks(architecture, self.init, dtype, random, activation)

    def _differentiable_network(
        self, architecture: Architecture, samples: Samples, dtype: npt.DTypeLike
    ) -> Network:
        """A network for the gradient over all samples at once."""
        return Network(
            architecture,
            dtype,
            alpha=self.alpha,
            l1=self.l1,
            batch=len(samples.targets),
            sparse=samples.is_sparse,
            steps=samples.n_steps,
            keep_gradient=True,
            **network_options(self, dtype),
        )

    def _differentiable(
        self, X: Any, y: Any, sample_weight: Any, dtype: npt.DTypeLike
    ) -> tuple[Callable[[Blocks], tuple[float, Blocks]], Blocks]:
        X, y = self._check_X_y(X, y, reset=False)
        samples = self._make_data(X, y, sample_weight, dtype, Labels.SUBSET).samples
        architecture = architecture_of(self)
        blocks = self._blocks_as(dtype)
        check_goes_on(self, blocks, architecture)
        network = self._differentiable_network(architecture, samples, dtype)
        held = network.hold(samples)
        threads = n_threads(self.n_jobs)

        def differentiate(blocks: Blocks) -> tuple[float, Blocks]:
            network.write(blocks)
            return network.gradient(held, n_threads=threads)

        return differentiate, blocks.map(np.copy)

    def _derive_private_attributes(self) -> None:
        """Complete a fit whose parameters and public attributes were set from outside."""
        n = self.n_layers_ - 2
        self._hidden_layers = hidden_layers(
            self.activation, self.activation_alpha, self.maxout_pieces, [0.0] * n
        )
        self._trained_loss = self._loss_to_train()
        self._no_improvement_count = 0
        if self.early_stopping:
            self._comparable_scores = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
