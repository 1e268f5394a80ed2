"""What the tabular classifier and regressor share: a table as it comes, an ensemble of networks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from math import ceil
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fastmlp.core.files import prefixed_errors
from fastmlp.core.rules import (
    Attribute,
    Parameter,
    any_of,
    array_like,
    check_parameters,
    instance,
    integer,
    nothing,
    option,
)
from fastmlp.core.threads import n_threads
from fastmlp.core.typing import Array
from fastmlp.estimators.attributes import FEATURES, count
from fastmlp.estimators.base import (
    VersionMixin,
    all_or_nothing,
    check_sample_weight,
    snapshot,
)
from fastmlp.estimators.consistency import check_features
from fastmlp.estimators.effect import warn_of_unused_parameters
from fastmlp.estimators.ensemble import Plan, Sample, assign_folds, train_members
from fastmlp.estimators.parameters import MLP_PARAMETERS, positive
from fastmlp.estimators.setup import layer_sizes
from fastmlp.estimators.validation import ValidationInput, checked_input
from fastmlp.exchange.model_files import SavableMixin
from fastmlp.exchange.onnx_tables import OnnxTableMixin
from fastmlp.exchange.values import FittedEnsemble, FittedNetwork
from fastmlp.tables.reading import Kind, Table, take_rows
from fastmlp.tables.table_encoder import (
    ENERGY,
    EncodedRows,
    TableEncoder,
    encoded_blocks,
    fit_encoder,
)
from fastmlp.training.distributed import check_alone
from fastmlp.training.progress import Progress, printed
from fastmlp.views.mixins import NetworkBlockMixin

if TYPE_CHECKING:
    from fastmlp.views.summary import NetworkSummary, TableSummary

_FOLDS = 10
_STATISTICS_ROWS = 200_000  # are enough for quantiles and levels

TABULAR_PARAMETERS = {
    "n_ensemble": Parameter(
        integer(1),
        "int",
        """Number of networks whose predictions are averaged. Each is validated on another tenth of
        the samples. 4 networks make some 4 % fewer errors than one; 8 hardly fewer than 4.""",
    ),
    "hidden_layer_sizes": Parameter(
        any_of(array_like, integer(1)),
        "int or array-like of int",
        "Number of units in each hidden layer. Wider networks were not more accurate.",
    ),
    "learning_rate_init": Parameter(
        positive,
        "float",
        """The highest learning rate of Adam, which goes up and down four times, along
        ``(1 - cos(2 pi log2(1 + 15 t))) / 2`` for t from 0 to 1 [1]_.""",
    ),
    "batch_size": Parameter(
        any_of(option("auto"), integer(1)),
        "int or 'auto'",
        """Number of samples in a mini-batch. 'auto' is 64 below 2,000 samples, 128 below 20,000,
        else 256: few samples need the noise of small batches, many the speed of large ones.""",
    ),
    "max_iter": Parameter(
        any_of(option("auto"), integer(1)),
        "int or 'auto'",
        """Number of epochs. 'auto' is ``2 ** 18 / n_samples`` within [24, 64], and beyond 10^6
        samples as many as make 24 million samples, but at least 4. Of each network the weights
        after its best epoch on its validation samples are kept.""",
    ),
    "categorical_features": Parameter(
        any_of(option("from_dtype"), array_like, nothing),
        "'from_dtype', array-like of {bool, int, str} or None",
        """Which columns are categories besides those that can be nothing else:

        - 'from_dtype', those of a data frame's types text, category, enum and boolean; of an array,
          whose columns have no types of their own, booleans, and text that does not spell numbers;
        - a boolean mask of all columns, or places or names of some: these too, for instance
          numbers that are codes;
        - None is the same as 'from_dtype'.""",
    ),
    "max_time": Parameter(
        MLP_PARAMETERS["max_time"].rule,
        "float or None",
        """Time limit of all training in seconds, shared by the networks. The learning rate then
        comes to its end with the time.""",
    ),
    "random_state": Parameter(
        MLP_PARAMETERS["random_state"].rule,
        "int, RandomState instance or None",
        "Determines the folds, the initial weights and the shuffles.",
    ),
    "n_jobs": MLP_PARAMETERS["n_jobs"]._replace(
        text="""Maximum number of threads; the networks are trained side by side. -1 means as many
        as CPU affinity, the cgroup's quota, OMP_NUM_THREADS and threadpoolctl's limits allow, -2
        one less. None means the same as -1, divided by the number of fits that run in the process
        when training begins. The model is the same for any number."""
    ),
    "verbose": Parameter(
        MLP_PARAMETERS["verbose"].rule,
        "bool, int or 'bar'",
        """Whether to print what the columns became, and of each network how its training went.
        'bar' shows on stderr how far all networks have come together, and their best score, as
        :class:`MLPClassifier` does.""",
    ),
}

TABULAR_ATTRIBUTES = {
    "estimators_": Attribute(
        instance(list, "list"), "list of estimator", "The fitted networks, on the encoded table."
    ),
    "encoder_": Attribute(
        instance((TableEncoder, dict), "TableEncoder"),
        "TableEncoder",
        "What each column became: ``print(model.summary())`` shows it.",
        write=TableEncoder.to_values,
        read=TableEncoder.from_values,
    ),
    "n_iter_": Attribute(count, "int", "The largest number of epochs of a network."),
    **FEATURES,
}


class Targets(NamedTuple):
    """y as the networks are given it.

    Attributes
    ----------
    of_members : list of ndarray of shape (n,) or (n, n_outputs)
        One for each kind of network; several quantiles have one each.
    n_outputs : int
    score : callable
        Of a network, X, y and sample weights: the higher, the better.
    classes : ndarray of shape (n_classes,) or None
        As the networks know them; None of a regressor.
    """

    of_members: list[Array]
    n_outputs: int
    score: Callable[..., float]
    classes: Array | None = None


class TabularMLP(SavableMixin, OnnxTableMixin, NetworkBlockMixin, VersionMixin, BaseEstimator):
    """Fits an ensemble to a table. The subclasses say what y means."""

    _parameters: ClassVar[dict[str, Parameter]]
    _attributes: ClassVar[dict[str, Attribute]]

    n_ensemble: int
    hidden_layer_sizes: Any
    learning_rate_init: float
    batch_size: int | str
    max_iter: int | str
    categorical_features: Any
    max_time: float | None
    random_state: Any
    n_jobs: int | None
    verbose: bool | int | str
    encoder_: TableEncoder
    estimators_: list[Any]
    n_features_in_: int

    # --- what the subclasses say about y ---------------------------------------------------------

    def _encode_y(self, y: Any, sample_weight: Array | None) -> Targets:
        """Take the training targets, and what there is to know of them."""
        raise NotImplementedError

    def _encode_y_val(self, y: Any) -> list[Array]:
        """Validation targets as those of training were."""
        raise NotImplementedError

    def _new_members(self, parameters: dict[str, Any]) -> list[Any]:
        """A network for each of the targets."""
        raise NotImplementedError

    def _weigh(self, codes: Array, sample_weight: Array | None) -> Array | None:
        """The sample weights with those of classes."""
        return sample_weight

    def _calibrate(
        self, encoded: EncodedRows, codes: Array, held_out: list[Any], weight: Array | None
    ) -> None:
        """Learn from predictions of rows that each network was not trained on."""

    def _combined(self, ensemble: FittedEnsemble) -> FittedEnsemble:
        """The value for other runtimes, with how the networks' outputs become a prediction."""
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
        """Fit the ensemble to a table X and targets y.

        Parameters
        ----------
        X : data frame, or array-like of shape (n_samples, n_features)
            Numbers, booleans, text, categories, dates and times; cells may be missing. Rows and
            targets go together by their places, whatever the index of a frame.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels (a classifier) or values (a regressor).
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Weights of the samples; only their ratios count. With a weight of 0 it is as if the
            sample were not there.
        X_val : data frame, or array-like of shape (n_val, n_features), default=None
            Validation samples for all networks, instead of a tenth of X for each.
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
            For a parameter or data outside of what is allowed. The estimator then is as it was.
        MemoryError
            The networks or their work space do not fit into memory.

        Notes
        -----
        A KeyboardInterrupt is not raised: training ends with a warning, and the model is made of
        the networks so far.

        Examples
        --------
        >>> import pandas as pd
        >>> from fastmlp import TabularMLPClassifier
        >>> age, town = [31, None, 54, 42] * 20, ["Ulm", "Jena", "Ulm", None] * 20
        >>> X, y = pd.DataFrame({"age": age, "town": town}), ["stays", "leaves"] * 40
        >>> TabularMLPClassifier(random_state=0).fit(X, y).score(X, y)
        1.0
        """
        check_parameters(self)
        given = checked_input(X_val, y_val, sample_weight_val)
        with all_or_nothing(self) as worker:
            worker._fit(X, y, sample_weight, given)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, given: ValidationInput) -> None:
        """Fit on a copy of the estimator that the caller takes over when all went well."""
        check_alone(self)
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        warn_of_unused_parameters(self, validates=given.X is not None)
        table = Table(X)
        validate_data(self, X, reset=True, skip_check_array=True)
        self.n_features_in_ = table.width
        if table.names is not None:  # also of frames that scikit-learn does not know
            self.feature_names_in_ = np.array(table.names, object)
        check_consistent_length(X, y)
        n = table.n
        random = check_random_state(self.random_state)
        weight = _relative_weights(sample_weight, n)
        if weight is not None and not weight.all():  # as if these samples were not there
            kept = np.flatnonzero(weight)
            table, y, weight = table.rows(kept), take_rows(y, kept), weight[kept]
            n = table.n
        if n < 2:
            raise ValueError(
                f"Found array with {n} sample(s) of weights other than 0 while a minimum of 2 is "
                "required."
            )
        targets = self._encode_y(y, weight)
        kinds = self._kinds(table)
        some = table
        if n > _STATISTICS_ROWS:
            some = table.rows(np.sort(random.choice(n, _STATISTICS_ROWS, replace=False)))
        self.encoder_ = fit_encoder(some, kinds)
        if printed(self.verbose):
            print(self.encoder_.summary())
        weight = self._weigh(targets.of_members[0], weight)
        encoded = EncodedRows(table, self.encoder_)
        self._train(encoded, targets, weight, given, random)

    def _train(
        self,
        encoded: EncodedRows,
        targets: Targets,
        weight: Array | None,
        given: ValidationInput,
        random: np.random.RandomState,
    ) -> None:
        """Train the networks."""
        n = encoded.table.n
        kinds = len(targets.of_members)
        validations = self._validations(n, targets, given, random)
        units = [self.encoder_.width, *layer_sizes(self), targets.n_outputs]
        networks = []
        for _ in range(self.n_ensemble):
            parameters = self._member_parameters(n, int(random.randint(2**31 - 1)))
            networks += self._new_members(parameters)
        for network in networks:
            network.init = _first_weights(units, random)
        plan = Plan(float(self.learning_rate_init), self._epochs(n))
        if self.max_time is not None:
            side_by_side = min(n_threads(self.n_jobs), len(networks))
            plan.seconds = float(self.max_time) * side_by_side / len(networks)
        samples = [
            Sample(y, weight, targets.score, targets.classes) for y in targets.of_members
        ] * self.n_ensemble
        with Progress(self, plan.epochs * len(networks)) as progress:
            self.estimators_ = train_members(
                networks, encoded, samples, validations, plan, progress, self.n_jobs, least=kinds
            )
        self.n_iter_ = max(member.n_iter_ for member in self.estimators_)
        if printed(self.verbose):
            for i, member in enumerate(self.estimators_):
                scores = member.validation_scores_
                print(
                    f"Network {i + 1}: best epoch {1 + int(np.argmax(scores))} of {len(scores)}, "
                    f"validation score {max(scores):.4g}"
                )
        held_out = [validation.rows for validation in validations[::kinds]]
        held_out = held_out[: len(self.estimators_)]
        self._calibrate(encoded, targets.of_members[0], held_out, weight)

    def _validations(
        self, n: int, targets: Targets, given: ValidationInput, random: np.random.RandomState
    ) -> list[ValidationInput]:
        """What each network is validated on."""
        kinds = len(targets.of_members)
        if given.X is not None:
            try:
                table = self._table(given.X)
                ys = self._encode_y_val(given.y)
                check_consistent_length(given.X, given.y)
                weight = _relative_weights(given.sample_weight, table.n)
                encoded = self.encoder_.transform(table)
            except ValueError as error:
                raise ValueError(f"X_val, y_val, sample_weight_val: {error}") from error
            return [ValidationInput(encoded, y, weight) for y in ys] * self.n_ensemble
        n_folds = _n_folds(n)
        one_label = targets.classes is not None and targets.of_members[0].ndim == 1
        strata = targets.of_members[0] if one_label else None
        folds: list[Any] = []
        while len(folds) < self.n_ensemble:
            folds += assign_folds(n, n_folds, strata, random)
        return [
            ValidationInput(rows=rows) for rows in folds[: self.n_ensemble] for _ in range(kinds)
        ]

    def _member_parameters(self, n: int, seed: int) -> dict[str, Any]:
        """The parameters of one network, trained on n samples."""
        batch = self.batch_size
        if batch == "auto":
            batch = 64 if n < 2_000 else 128 if n < 20_000 else 256
        trained = n - ceil(n / _n_folds(n))
        return {
            "hidden_layer_sizes": self.hidden_layer_sizes,
            "activation": "mish",
            "beta_2": 0.95,
            "alpha": 0.0,
            "batch_size": min(int(batch), trained),
            "max_iter": self._epochs(n),
            "n_iter_no_change": np.inf,
            "random_state": seed,
        }

    def _epochs(self, n: int) -> int:
        if self.max_iter != "auto":
            return int(self.max_iter)
        return int(np.clip(2**18 // n, 24, 64)) if n <= 10**6 else max(4, 24 * 10**6 // n)

    # --- the table -------------------------------------------------------------------------------

    def _kinds(self, table: Table) -> list[Kind]:
        """The kind of each column, by its type and `categorical_features`."""
        kinds = [table.kind(i) for i in range(table.width)]
        for i in self._chosen_categories(table):
            kinds[i] = Kind.CATEGORY
        return kinds

    def _chosen_categories(self, table: Table) -> Sequence[int]:
        """The columns that `categorical_features` names."""
        chosen = self.categorical_features
        if chosen is None or isinstance(chosen, str):
            return []
        asked = np.asarray(chosen)
        if asked.dtype.kind == "b":
            if asked.shape != (table.width,):
                raise ValueError(
                    f"categorical_features must be a mask of {table.width} columns. Got one of "
                    f"shape {asked.shape}."
                )
            return np.flatnonzero(asked).tolist()
        names = table.names or []
        places = []
        for item in asked.tolist():
            if isinstance(item, str) and item in names:
                places.append(names.index(item))
            elif isinstance(item, Integral) and 0 <= int(item) < table.width:
                places.append(int(item))
            else:
                raise ValueError(
                    f"categorical_features must name columns of X, by names of a data frame or "
                    f"places in [0, {table.width}). Got {item!r}."
                )
        return places

    def _table(self, X: Any) -> Table:
        """User's X as the table that was fitted; a frame's columns are taken by name."""
        table = Table(X)
        known = getattr(self, "feature_names_in_", None)
        if known is not None and table.names is not None and set(known) == set(table.names):
            return table.select(list(known))
        validate_data(self, X, reset=False, skip_check_array=True)
        if table.width != self.n_features_in_:
            raise ValueError(
                f"X has {table.width} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        return table

    def _encoded(self, X: Any) -> Iterator[Array]:
        """User's X as the networks are given it, some rows at a time."""
        return encoded_blocks(self._table(X), self.encoder_)

    def _check_whole(self) -> None:
        """Check that all attributes fit each other."""
        check_features(self)
        if len(self.encoder_.columns) != self.n_features_in_:
            raise ValueError("the encoder does not fit n_features_in_")
        cls, n_outputs = self._networks()
        if not self.estimators_ or not all(
            type(member) is cls
            and (member.n_features_in_, member.n_outputs_) == (self.encoder_.width, n_outputs)
            for member in self.estimators_
        ):
            raise ValueError("the networks do not fit each other and the encoder")

    def _networks(self) -> tuple[Any, int]:
        """The class of the networks, and the number of their outputs."""
        raise NotImplementedError

    def _fitted_ensemble(self) -> FittedEnsemble:
        """The encoder and the networks as other runtimes are told of them."""
        check_is_fitted(self)
        fitted = snapshot(self)
        with prefixed_errors("The ensemble is not whole"):
            fitted._check_whole()
        networks = [member._fitted_network() for member in fitted.estimators_]
        has_names = hasattr(fitted, "feature_names_in_")
        name = type(fitted).__name__
        return fitted._combined(FittedEnsemble(name, fitted.encoder_, has_names, networks))

    def summary(self) -> "TableSummary":
        """Describe what each column became, and the networks in numbers. Prints nothing.

        Returns
        -------
        TableSummary
            ``print`` shows it as text, notebooks as tables; `to_dict` has the values.

        Raises
        ------
        NotFittedError
            The estimator is not fitted.

        Examples
        --------
        >>> import pandas as pd
        >>> from fastmlp import TabularMLPClassifier
        >>> age, town = [31, 25, 54, 42] * 20, ["Ulm", "Jena", "Bonn", None] * 20
        >>> X, y = pd.DataFrame({"age": age, "town": town}), ["stays", "leaves"] * 40
        >>> print(TabularMLPClassifier(n_ensemble=1).fit(X, y).summary())
        column  kind      becomes
        age     number    normal score + 3 quantile bins
        town    category  one-hot, 3 levels
        2 columns become 7 numbers.
        ...
        """
        check_is_fitted(self)
        fitted = snapshot(self)
        from fastmlp.views.summary import TableSummary

        networks = [_member_summary(member) for member in fitted.estimators_]
        return TableSummary(fitted.encoder_.rows(), fitted.encoder_.summary(), networks)

    def _networks_to_show(self) -> list[FittedNetwork]:
        return self._fitted_ensemble().networks

    def _names_to_show(self) -> Any:
        return None  # the networks' inputs are what the columns became

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _member_summary(member: Any) -> "NetworkSummary":
    """The summary of a network, of which many rows may have been trained block by block."""
    summary: NetworkSummary = member.summary()
    blocks = len(member.loss_curve_) // member.n_iter_
    return replace(summary, steps_per_epoch=(summary.steps_per_epoch or 0) * blocks)


def _relative_weights(sample_weight: Any, n: int) -> Array | None:
    """Sample weights as float32 (n,), of which the largest is 1: no sum of them is infinite."""
    weights = check_sample_weight(sample_weight, n, np.float64)
    if weights is None:
        return None
    if weights.min() < 0:
        raise ValueError(f"Sample weights must be 0 or more. Got {weights.min()}.")
    relative: Array = (weights / weights.max()).astype(np.float32)
    return relative


def _n_folds(n: int) -> int:
    """How many folds n samples are cut into."""
    return min(_FOLDS, max(2, n // 3))


def _first_weights(units: list[int], random: np.random.RandomState) -> list[Array]:
    """Weights and biases, layer by layer, that keep the variance of a row from layer to layer.

    Both are normal (Jacot, Gabriel & Hongler, NeurIPS 2018); the last biases are 0, so that all
    networks begin around the mean.
    """
    arrays: list[Array] = []
    for i, (n_in, n_out) in enumerate(pairwise(units)):
        fan_in = n_in if i else ENERGY
        last = i == len(units) - 2
        arrays.append(random.standard_normal((n_in, n_out)) / np.sqrt(fan_in))
        arrays.append(np.zeros(n_out) if last else random.standard_normal(n_out))
    return arrays
