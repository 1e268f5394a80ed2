"""The autoencoder: a multi-layer network that reconstructs its inputs from a few numbers."""

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from fastmlp.core.arrays import converted, native_rows
from fastmlp.core.network import ACTIVATION_NAMES
from fastmlp.core.rules import Attribute, Parameter, check_parameters, option, real
from fastmlp.core.typing import Array
from fastmlp.estimators.attributes import MLP_ATTRIBUTES, out_activation
from fastmlp.estimators.base import Labels, all_or_nothing, snapshot
from fastmlp.estimators.documentation import documented
from fastmlp.estimators.mlp import MultilayerPerceptron, accepted_dtype, has_partial_fit
from fastmlp.estimators.parameters import MLP_PARAMETERS
from fastmlp.estimators.scoring import average
from fastmlp.estimators.setup import HiddenParameters, check_length, is_one, layer_sizes
from fastmlp.estimators.validation import checked_input
from fastmlp.exchange.values import Task
from fastmlp.training.distributed import ALONE, Team

# the core's losses by `loss` and the output activation
_LOSSES = {
    ("squared_error", "identity"): "squared_error",
    ("squared_error", "logistic"): "logistic_squared_error",
    ("log_loss", "logistic"): "binary_log_loss",
}

AUTOENCODER_PARAMETERS = {
    **MLP_PARAMETERS,
    "hidden_layer_sizes": MLP_PARAMETERS["hidden_layer_sizes"]._replace(
        text="""Number of units in each layer of the encoder; the last is the size of the code. The
        decoder has the same layers in reverse: ``(64, 2)`` is a network with hidden layers of 64,
        2 and 64 units. `activation`, `activation_alpha` and `dropout` are for the layers but the
        code: one value for all, or one for each in the encoder, which the decoder mirrors."""
    ),
    "code_activation": Parameter(
        option(*ACTIVATION_NAMES),
        "str",
        "Activation function of the code, one of those of `activation`.",
    ),
    "output_activation": Parameter(
        option("auto", "identity", "logistic"),
        "str",
        """Activation function of the reconstruction: 'identity', or 'logistic' for features in
        [0, 1]. 'auto' is 'identity' with 'squared_error' and 'logistic' with 'log_loss', which has
        no other.""",
    ),
    "loss": Parameter(
        option("squared_error", "log_loss"),
        "str",
        """The loss function:

        - 'squared_error', half the squared error: of 'identity' outputs the mean over the features,
          as in :class:`MLPRegressor`, of 'logistic' ones the sum;
        - 'log_loss', the sum of the cross-entropies of the features, for X in [0, 1].""",
    ),
    "noise": Parameter(
        real(0, 1),
        "float",
        """Share of the inputs that each training step sets to 0, at random for each sample, in
        [0, 1); the reconstruction is compared with the whole sample. This is the denoising
        autoencoder of Vincent et al. [9]_, but for the other inputs, which are divided by
        ``1 - noise`` as in `dropout`: units then get the same input on average as in `transform`,
        where nothing is set to 0. Not for 'lbfgs'.""",
    ),
    "scoring": MLP_PARAMETERS["scoring"]._replace(
        text="""How validation samples are scored. 'loss' is minus the loss, None what `score`
        gives, anything else a scikit-learn scorer, which is called with X as y, too."""
    ),
}

AUTOENCODER_ATTRIBUTES = {
    **MLP_ATTRIBUTES,
    "out_activation_": out_activation("identity", "logistic"),
}


@documented
class MLPAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, MultilayerPerceptron):
    """Multi-layer perceptron autoencoder.

    The network learns to reconstruct its inputs from a code of fewer numbers [10]_. `transform`
    gives the code, which serves as features or as coordinates to draw; `inverse_transform` makes
    samples of codes; samples that are reconstructed badly (`score_samples`) are unlike those of the
    training. With 'identity' as all activations the code spans the same subspace as
    :class:`~sklearn.decomposition.PCA` [11]_. Scale X first, as for all networks.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    A sparse X is trained on as it is, but what it is compared with is a dense copy of it, of
    ``n_samples * n_features`` numbers of the network's type; so are reconstructions.

    {effect}

    References
    ----------
    {references}
    .. [9] Vincent, Larochelle, Bengio & Manzagol (2008). "Extracting and composing robust features
       with denoising autoencoders". ICML.
    .. [10] Hinton & Salakhutdinov (2006). "Reducing the dimensionality of data with neural
       networks". Science 313.
    .. [11] Baldi & Hornik (1989). "Neural networks and principal component analysis: Learning from
       examples without local minima". Neural Networks 2.

    Examples
    --------
    >>> from fastmlp import MLPAutoencoder
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data / 16
    >>> model = MLPAutoencoder((32, 2), loss="log_loss", max_iter=20, random_state=0).fit(X)
    >>> model.transform(X).shape
    (1797, 2)
    """

    _parameters: ClassVar[dict[str, Parameter]] = AUTOENCODER_PARAMETERS
    _attributes: ClassVar[dict[str, Attribute]] = AUTOENCODER_ATTRIBUTES

    def __init__(
        self,
        hidden_layer_sizes: Any = (64, 2),
        *,
        activation: str | Sequence[str] = "relu",
        code_activation: str = "identity",
        output_activation: str = "auto",
        loss: str = "squared_error",
        noise: float = 0.0,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str | Callable[[int], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int | str = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        n_jobs: int | None = None,
        activation_alpha: float | Sequence[float | None] | None = None,
        maxout_pieces: int = 2,
        init: str | Callable[..., Any] | Sequence[Any] = "glorot_uniform",
        l1: float = 0.0,
        weight_decay: float = 0.01,
        rho: float = 0.9,
        dropout: float | Sequence[float] = 0.0,
        max_norm: float | None = None,
        clip_norm: float | None = None,
        learning_rate_decay: float | None = None,
        learning_rate_period: int | None = None,
        learning_rate_period_mult: int = 1,
        learning_rate_min: float = 0.0,
        warmup_epochs: int = 0,
        scoring: str | Callable[..., float] | None = "loss",
        max_time: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 60.0,
        diagnostics: bool = False,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.loss = loss
        self.noise = noise
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.n_jobs = n_jobs
        self.activation_alpha = activation_alpha
        self.maxout_pieces = maxout_pieces
        self.init = init
        self.l1 = l1
        self.weight_decay = weight_decay
        self.rho = rho
        self.dropout = dropout
        self.max_norm = max_norm
        self.clip_norm = clip_norm
        self.learning_rate_decay = learning_rate_decay
        self.learning_rate_period = learning_rate_period
        self.learning_rate_period_mult = learning_rate_period_mult
        self.learning_rate_min = learning_rate_min
        self.warmup_epochs = warmup_epochs
        self.scoring = scoring
        self.max_time = max_time
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.diagnostics = diagnostics
        self.device = device
        self.precision = precision

    # --- training --------------------------------------------------------------------------------

    def fit(  # type: ignore[override]  # there is no y_val
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the network to reconstruct X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples. float32 is trained in float32, all else in float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Weights of the samples.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation samples: their score and loss are recorded after each epoch, and
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
            As for :meth:`MLPRegressor.fit`; and for X outside of [0, 1] with ``loss='log_loss'``.
        OSError
            The checkpoint cannot be read, or its first state not be written.
        MemoryError
            The network or its work space does not fit into memory; the text says how large.

        Examples
        --------
        >>> from fastmlp import MLPAutoencoder
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.preprocessing import scale
        >>> X = scale(load_iris().data)
        >>> model = MLPAutoencoder((8, 2), solver="lbfgs", random_state=0).fit(X)
        >>> model.score(X) > -0.3
        True
        """
        check_parameters(self)
        given = checked_input(X_val, X_val, sample_weight_val)
        with all_or_nothing(self) as worker:
            worker._fit(X, None, sample_weight, given)
        return self

    @available_if(has_partial_fit)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Update the model with one pass over the given data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Weights of the samples.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            As for `fit`.

        Examples
        --------
        >>> from fastmlp import MLPAutoencoder
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> model = MLPAutoencoder((8, 2), random_state=0)
        >>> for first in range(0, 150, 50):  # the data come in parts
        ...     model = model.partial_fit(X[first : first + 50])
        >>> model.t_
        150
        """
        check_parameters(self)
        with all_or_nothing(self, goes_on=True) as worker:
            worker._fit(X, None, sample_weight, incremental=True)
        return self

    def _hidden_parameters(self) -> HiddenParameters:
        sizes = layer_sizes(self)
        if not sizes:
            raise ValueError("hidden_layer_sizes must end with the size of the code. Got none.")
        n = len(sizes) - 1
        for name in ("activation", "activation_alpha", "dropout"):
            check_length(self, name, n, "layer of the encoder but the code")
        return HiddenParameters(
            [*sizes, *reversed(sizes[:-1])],
            _mirrored(self.activation, self.code_activation, n),
            _mirrored(self.activation_alpha, None, n),
            [self.noise, *_mirrored(self.dropout, 0.0, n)],
            self.maxout_pieces,
        )

    def _dropout_rates(self) -> list[float]:
        return [self.noise, *_mirrored(self.dropout, 0.0, self._code_layer())]

    def _check_X_y(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        dtype = accepted_dtype(X)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=dtype, reset=reset)
        return X, X

    def _encode_targets(
        self, y: Any, dtype: npt.DTypeLike, labels: Labels, team: Team = ALONE
    ) -> tuple[Array, Array]:
        targets = converted(y.toarray() if issparse(y) else y, dtype, "X")
        if self.loss == "log_loss" and (np.min(targets) < 0 or np.max(targets) > 1):
            raise ValueError(
                "X must be in [0, 1] for loss='log_loss'. "
                f"Got numbers from {np.min(targets)} to {np.max(targets)}."
            )
        self.n_outputs_ = targets.shape[1]
        return targets, targets

    def _loss_to_train(self) -> str:
        output = self.output_activation
        if output == "auto":
            output = "logistic" if self.loss == "log_loss" else "identity"
        if (self.loss, output) not in _LOSSES:
            raise ValueError(f"loss={self.loss!r} is not for output_activation={output!r}.")
        return _LOSSES[self.loss, output]

    def _loss_options(self) -> dict[str, Any]:
        return {}

    def _default_score(
        self, outputs: Array, labels: Array, weights: Array | None, team: Team
    ) -> float:
        return float(average(_minus_squared_error(outputs, labels), weights, team))

    # --- codes and reconstructions ---------------------------------------------------------------

    def transform(self, X: Any) -> Array:
        """Compute the codes of samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_code)
            What the units in the middle of the network give.

        Examples
        --------
        >>> from fastmlp import MLPAutoencoder
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> model = MLPAutoencoder((8, 2), solver="lbfgs", random_state=0).fit(X)
        >>> model.transform(X).shape
        (150, 2)
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        codes: Array = fitted.hidden_activations(X, fitted._code_layer())
        return codes

    def inverse_transform(self, X: Any) -> Array:
        """Make samples of codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_code)
            The codes.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            What the decoder makes of them; of the codes that `transform` gives, the
            reconstructions.

        Raises
        ------
        ValueError
            The codes have another number of columns.

        Examples
        --------
        >>> from fastmlp import MLPAutoencoder
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> model = MLPAutoencoder((8, 2), solver="lbfgs", random_state=0).fit(X)
        >>> model.inverse_transform([[0.0, 0.0]]).shape
        (1, 4)
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        codes = check_array(X, dtype=(np.float64, np.float32), estimator=self)
        n = fitted._n_features_out
        if codes.shape[1] != n:
            raise ValueError(f"X has {codes.shape[1]} columns, but a code has {n} numbers.")
        single = np.result_type(codes, fitted.coefs_[0]) == np.float32
        dtype = np.dtype(np.float32 if single else np.float64)
        rows, decoder = native_rows(codes, dtype), slice(fitted._code_layer() + 1, None)
        samples: Array = fitted._outputs_of(rows, dtype, fitted._trained_loss, decoder)
        return samples

    def score_samples(self, X: Any) -> Array:
        """Compute minus the squared error of the reconstruction of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,)
            Minus the sum over the features, whatever the loss; the higher, the more normal.

        Examples
        --------
        >>> from fastmlp import MLPAutoencoder
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> model = MLPAutoencoder((8, 2), solver="lbfgs", random_state=0).fit(X)
        >>> normal, strange = model.score_samples([X[0], -X[0]])
        >>> bool(normal > strange)
        True
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        rows, dtype = fitted._check_rows(X)
        outputs = fitted._outputs_of(rows, dtype, fitted._trained_loss)
        if isinstance(rows, tuple):
            rows = csr_array(rows, shape=outputs.shape).toarray()
        return _minus_squared_error(outputs, rows)

    def score(self, X: Any, y: Any = None) -> float:
        """Compute the mean of `score_samples`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : None
            Ignored.

        Returns
        -------
        float
            Minus the mean squared distance between samples and reconstructions: at most 0.

        Examples
        --------
        >>> from fastmlp import MLPAutoencoder
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> model = MLPAutoencoder((8, 2), solver="lbfgs", random_state=0).fit(X)
        >>> model.score(X) > -0.2
        True
        """
        return float(np.mean(self.score_samples(X)))

    # --- the fitted network ----------------------------------------------------------------------

    def _task(self) -> Task:
        return Task.RECONSTRUCTION

    def _code_layer(self) -> int:
        """The number of the hidden layer in the middle, and of the layers before and after it."""
        return (self.n_layers_ - 3) // 2

    @property
    def _n_features_out(self) -> int:
        """The size of the code."""
        return len(self.coefs_[self._code_layer() + 1])

    def _check_whole(self) -> None:
        super()._check_whole()
        if self.n_layers_ < 3 or self.n_layers_ % 2 == 0:
            raise ValueError(f"n_layers_={self.n_layers_} are not those of an autoencoder")
        if self.n_outputs_ != self.n_features_in_:
            raise ValueError(f"{self.n_outputs_} outputs do not fit {self.n_features_in_} features")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _mirrored(values: Any, code: Any, n: int) -> list[Any]:
    """Values of all hidden layers: of the n before the code, of the code, and back."""
    outer = [values] * n if is_one(values) else list(values)
    return [*outer, code, *reversed(outer)]


def _minus_squared_error(outputs: Array, targets: Array) -> Array:
    """Minus the sum of squares of each row; the outputs are overwritten."""
    outputs -= targets
    errors: Array = np.einsum("ij,ij->i", outputs, outputs)
    return -errors
