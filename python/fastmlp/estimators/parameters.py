"""The parameters that the multi-layer estimators share, each declared once."""

import os
from numbers import Integral

from fastmlp.core.device import DEVICES, PRECISIONS
from fastmlp.core.first_weights import INIT_NAMES
from fastmlp.core.native import _native
from fastmlp.core.network import ACTIVATION_NAMES
from fastmlp.core.rules import (
    Parameter,
    Rule,
    any_of,
    array_like,
    boolean,
    each,
    function,
    infinity,
    instance,
    integer,
    nothing,
    option,
    random_state,
    real,
    verbosity,
)
from fastmlp.training.schedules import SCHEDULES, SGD_SCHEDULES

positive = real(0, brackets="()")
_activation = option(*ACTIVATION_NAMES)
_activation_parameter = any_of(real(0), nothing)
_rate = real(0, 1)
_seconds = Rule(
    lambda value: positive.accepts(value) and not isinstance(value, Integral), positive.text
)

MLP_PARAMETERS = {
    "hidden_layer_sizes": Parameter(
        any_of(array_like, integer(1)),
        "int or array-like of int",
        "Number of units in each hidden layer. ``()`` is a linear model.",
    ),
    "activation": Parameter(
        any_of(_activation, each(_activation)),
        "str or sequence of str",
        """Activation function of the hidden layers, of the weighted input z. One name for all
        hidden layers, or one for each:

        - 'identity', z;
        - 'logistic', 1 / (1 + exp(-z));
        - 'tanh', the hyperbolic tangent;
        - 'relu', max(0, z);
        - 'leaky_relu', z for z > 0 and a small multiple of z below;
        - 'prelu', the same, but the slope for z < 0 is learned, per unit;
        - 'elu', z for z > 0 and exp(z) - 1 below;
        - 'selu', a scaled 'elu' that keeps mean and variance;
        - 'swish' or 'silu', z times the sigmoid of z;
        - 'gelu', z times the cumulative probability of the normal distribution;
        - 'mish', z tanh(softplus(z));
        - 'softplus', log(1 + exp(z));
        - 'maxout', the largest of several weighted inputs.""",
        in_sklearn=("identity", "logistic", "tanh", "relu"),
    ),
    "solver": Parameter(
        option("lbfgs", *_native.SOLVER_SLOTS),
        "str",
        """The solver for the weights. 'sgd' is mini-batch stochastic gradient descent with
        momentum, 'adam' the method of Kingma and Ba [2]_. 'adamw', 'nadam', 'adamax', 'amsgrad',
        'rmsprop', 'adagrad' and 'adadelta' are related methods, described in Ruder's overview
        [4]_, with PyTorch's formulas. 'lbfgs' is SciPy's L-BFGS-B on the loss over all samples,
        often the fastest and most accurate for small data sets; all others are first-order
        solvers, which make a step per mini-batch.""",
        in_sklearn=("lbfgs", "sgd", "adam"),
    ),
    "alpha": Parameter(
        real(0),
        "float",
        """Strength of the L2 penalty: alpha / 2 times the sum of the squared weights (not of the
        biases), divided by the number of samples in the batch, or by the sum of their weights.""",
    ),
    "batch_size": Parameter(
        any_of(option("auto"), integer(1)),
        "int or 'auto'",
        """Number of samples in a mini-batch. 'auto' is ``min(200, n_samples)``. Not used by
        'lbfgs'.""",
    ),
    "learning_rate": Parameter(
        any_of(option(*SCHEDULES), function),
        "str or callable",
        """Learning rate schedule. scikit-learn's three change the rate of 'sgd' only; with the
        other solvers the rate stays constant:

        - 'constant';
        - 'invscaling' divides `learning_rate_init` by ``(samples seen + 1) ** power_t``;
        - 'adaptive' divides the rate by 5 when `n_iter_no_change` epochs in a row made no
          progress, and stops when the rate is below 1e-6.

        These change the rate of every first-order solver:

        - 'cosine' falls along half a cosine to `learning_rate_min` within `learning_rate_period`
          epochs, and then starts again [5]_;
        - 'one_cycle' rises along a cosine from a 25th of `learning_rate_init` in the first 0.3 of
          `max_iter` epochs, and falls to a 250000th in the rest [6]_;
        - 'step' is multiplied by `learning_rate_decay` every `learning_rate_period` epochs;
        - 'exponential' is multiplied by `learning_rate_decay` every epoch;
        - 'plateau' is multiplied by `learning_rate_decay` after more than `learning_rate_period`
          epochs without progress. Until the rate is below 1e-6 the count of `n_iter_no_change`
          then starts again;
        - a callable is given the number of the epoch, from 0, and returns its rate.

        'one_cycle', and 'cosine' with one cycle, plan the whole course of `max_iter` epochs:
        `n_iter_no_change` does not end them before, and no warning says that they should go on.
        `early_stopping` keeps the best weights all the same.""",
        in_sklearn=SGD_SCHEDULES,
        schedule_field="name",
    ),
    "learning_rate_init": Parameter(
        positive,
        "float",
        "The initial learning rate; for 'one_cycle' the largest.",
        schedule_field="first",
    ),
    "power_t": Parameter(real(0), "float", "Exponent of 'invscaling'.", schedule_field="power_t"),
    "max_iter": Parameter(
        integer(1),
        "int",
        "Maximum number of epochs, or of iterations of 'lbfgs'.",
        schedule_field="last_epoch",
    ),
    "shuffle": Parameter(
        boolean,
        "bool",
        "Whether to shuffle the samples before each epoch. Not used by 'lbfgs'.",
    ),
    "random_state": Parameter(
        random_state,
        "int, RandomState instance or None",
        """Determines the initial weights and biases, the validation split and the shuffles. An
        int gives the same model on each call, and the same as scikit-learn's from the same int.""",
    ),
    "tol": Parameter(
        real(0),
        "float",
        """Tolerance: an improvement of the loss or score by less is no progress. For 'lbfgs' the
        largest component of the gradient at which it stops.""",
    ),
    "verbose": Parameter(
        verbosity,
        "bool, int or 'bar'",
        """Whether to print the loss of each epoch or iteration, and the validation score, as
        scikit-learn does. 2 or more adds a line: how many epochs there are to be, the learning rate
        and the validation loss, or the iterations and evaluations of 'lbfgs'.

        'bar' shows on stderr how far `fit` has come, and at its end leaves one line. In a terminal
        or notebook it is a bar of `tqdm` (extra ``progress``), or without `tqdm` a line that is
        written over; elsewhere a new line every ten seconds. Fits side by side, in the threads or
        processes of a `GridSearchCV` for example, leave their final lines only. `partial_fit` shows
        nothing.""",
        free_on_resuming=True,
    ),
    "warm_start": Parameter(
        boolean,
        "bool",
        """Whether `fit` starts from the weights of the previous call instead of new ones. As in
        scikit-learn the patience of the earlier fit goes on, too: its best loss (with
        `early_stopping` its best score, unless there is `scoring` or X_val) and its epochs without
        progress. A fit that had converged may therefore end after one epoch, with a warning. On
        other data set `best_loss_` to ``numpy.inf`` before, or `best_validation_score_` to
        ``-numpy.inf``.""",
    ),
    "momentum": Parameter(
        real(0, 1, "[]"), "float", "Momentum of 'sgd', in [0, 1].", solver_option="momentum"
    ),
    "nesterovs_momentum": Parameter(
        boolean,
        "bool",
        "Whether to use Nesterov's momentum in 'sgd'.",
        solver_option="nesterov",
    ),
    "early_stopping": Parameter(
        boolean,
        "bool",
        """Whether to stop training when the score on validation samples no longer improves, and
        to keep the best weights. The validation samples are those given to `fit`, or else a part
        of the training samples, `validation_fraction`, which is set aside (stratified in the
        binary case, and with `scoring` also for several classes). If False, training stops when
        the training loss no longer improves. Not used by 'lbfgs'.""",
    ),
    "validation_fraction": Parameter(
        real(0, 1), "float", "Proportion of the samples that `early_stopping` sets aside."
    ),
    "beta_1": Parameter(
        real(0, 1),
        "float",
        """Decay rate of the estimates of the first moment in 'adam' and the solvers related to
        it, in [0, 1).""",
        solver_option="beta_1",
    ),
    "beta_2": Parameter(
        real(0, 1),
        "float",
        "Decay rate of the estimates of the second moment, in [0, 1).",
        solver_option="beta_2",
    ),
    "epsilon": Parameter(
        positive,
        "float",
        """Added where solvers other than 'sgd' divide by the root of the second moment, for
        numerical stability.""",
        solver_option="epsilon",
    ),
    "n_iter_no_change": Parameter(
        any_of(integer(1), infinity),
        "int or inf",
        """Number of epochs in a row without progress after which a first-order solver stops,
        unless `learning_rate` plans the whole course.""",
    ),
    "max_fun": Parameter(
        integer(1), "int", "Maximum number of evaluations of the loss by 'lbfgs'."
    ),
    "n_jobs": Parameter(
        any_of(integer(1), integer(-(2**31), -1, "[]"), nothing),
        "int or None",
        """Maximum number of threads. -1 means as many as CPU affinity, the cgroup's quota,
        OMP_NUM_THREADS and threadpoolctl's limits allow, -2 one less. None means the same as -1,
        divided by the number of fits that run in the process at the time. The limits of OpenMP hold
        for any value. Fewer threads are used where that is faster. The model is the same for any
        number.""",
        free_on_resuming=True,
    ),
    "activation_alpha": Parameter(
        any_of(_activation_parameter, each(_activation_parameter)),
        "float, sequence of float or None",
        """Parameter of the activation, for all hidden layers or one for each. None is its
        default:

        - 'leaky_relu': the slope for z < 0 (0.01);
        - 'prelu': the slope to start from (0.25);
        - 'elu': minus its limit at -inf (1);
        - 'swish': the factor on z in the sigmoid (1);
        - 'softplus': the sharpness (1).""",
    ),
    "maxout_pieces": Parameter(
        integer(1), "int", "Number of weighted inputs of each 'maxout' unit."
    ),
    "init": Parameter(
        any_of(option(*INIT_NAMES), function, instance((list, tuple), "list or tuple")),
        "str, callable or sequence of array",
        """Initial weights. 'glorot_uniform' is scikit-learn's rule [3]_. 'auto' depends on the
        activation: He's uniform for those like relu, LeCun's normal for 'selu', Glorot's normal
        for the others. '{glorot,he,lecun}_{uniform,normal}' name a rule; biases are 0 except in
        'glorot_uniform'. A callable ``(shape, rng) -> array`` is called for each weight matrix and
        bias in the order in which scikit-learn draws them; a sequence holds these arrays.""",
        in_sklearn=(),
    ),
    "l1": Parameter(
        real(0),
        "float",
        """Strength of the L1 penalty: l1 times the sum of the absolute weights, divided as the
        penalty of `alpha` is.""",
        in_sklearn=(),
    ),
    "weight_decay": Parameter(
        real(0),
        "float",
        """Weight decay of 'adamw': each step subtracts the weights times this and the learning
        rate.""",
        solver_option="weight_decay",
    ),
    "rho": Parameter(
        real(0, 1),
        "float",
        "Decay rate of the mean squares in 'rmsprop' and 'adadelta', in [0, 1).",
        solver_option="rho",
    ),
    "dropout": Parameter(
        any_of(_rate, each(_rate)),
        "float or sequence of float",
        """Share of the outputs of a layer that each training step sets to 0, while the others are
        scaled up [7]_: one rate for all hidden layers, or one for the input and one for each
        hidden layer. Not for 'lbfgs'.""",
        in_sklearn=(),
    ),
    "max_norm": Parameter(
        any_of(positive, nothing),
        "float or None",
        """Maximum norm of the weights into a hidden unit, enforced after each step [7]_. Not for
        'lbfgs'.""",
        in_sklearn=(),
        solver_option="max_norm",
    ),
    "clip_norm": Parameter(
        any_of(positive, nothing),
        "float or None",
        """Maximum norm of the whole gradient; a longer one is scaled down [8]_. Not for
        'lbfgs'.""",
        in_sklearn=(),
        solver_option="clip_norm",
    ),
    "learning_rate_decay": Parameter(
        any_of(real(0, 1, "(]"), nothing),
        "float or None",
        """Factor of 'step' and 'plateau' (0.1 if None) and of 'exponential' (0.95 if None), in
        (0, 1].""",
        schedule_field="decay",
    ),
    "learning_rate_period": Parameter(
        any_of(integer(1), nothing),
        "int or None",
        """Number of epochs between the changes of 'step' (10 if None), of the first cycle of
        'cosine' (if None, all of `max_iter` after the warm-up), and without progress before
        'plateau' changes the rate (5 if None).""",
        schedule_field="period",
    ),
    "learning_rate_period_mult": Parameter(
        integer(1),
        "int",
        "Factor by which each cycle of 'cosine' is longer than the one before.",
        schedule_field="period_mult",
    ),
    "learning_rate_min": Parameter(
        real(0),
        "float",
        "Minimum rate of 'cosine', 'one_cycle', 'step', 'exponential' and 'plateau'.",
        schedule_field="least",
    ),
    "warmup_epochs": Parameter(
        integer(0),
        "int",
        """Number of epochs, before those of the schedule, in which the rate rises to
        `learning_rate_init` in equal steps.""",
        in_sklearn=(),
        schedule_field="warmup",
    ),
    "scoring": Parameter(
        any_of(instance(str, "str"), function, nothing),
        "str, callable or None",
        """How validation samples are scored. None is accuracy or R2, 'loss' minus the loss,
        anything else a scikit-learn scorer or its name. Scorers are called with arrays, and once
        before training, so that an error of theirs comes before it.""",
        in_sklearn=(),
    ),
    "max_time": Parameter(
        any_of(positive, nothing),
        "float or None",
        """Time limit in seconds. Training ends with the step during which it passes, and the
        model is kept.""",
        in_sklearn=(),
    ),
    "checkpoint": Parameter(
        any_of(instance((str, os.PathLike), "str or os.PathLike"), nothing),
        "str, path-like or None",
        """A file for the state of `fit`. The same call, made again after the process was killed
        or the fit interrupted, goes on from it to the same model, bit by bit; with other data,
        parameters or random numbers it raises an error. A fit that ends, or diverges, removes the
        file. One file is for one fit at a time: do not set it in a grid search or a
        cross-validation. A warm start after an interrupt, and a RandomState that was used
        meanwhile, are other fits; callbacks start again. `partial_fit` has no checkpoint.""",
        since=2,
        free_on_resuming=True,
    ),
    "checkpoint_every": Parameter(
        any_of(integer(1), _seconds),
        "int or float",
        """Number of epochs (int; iterations of 'lbfgs') or seconds (float) between two writings
        of the checkpoint: 1 is each epoch, 1.0 each second.""",
        since=2,
        free_on_resuming=True,
    ),
    "diagnostics": Parameter(
        boolean,
        "bool",
        """Whether to record in each epoch, for each layer, what tells of the network's health:
        `diagnostics_`, which :func:`fastmlp.inspection.diagnose` makes words of. It is measured
        after the epoch on its first rows, at most 32 and a batch; the model stays the same. Not
        for 'lbfgs'.""",
        since=3,
    ),
    "device": Parameter(
        option(*DEVICES),
        "{'cpu', 'cuda'}",
        """Where to compute: 'cuda' is an NVIDIA GPU, for builds of fastmlp that have an engine for
        it (docs/gpu.md); all others raise an error. Of a fitted estimator it may be changed by
        `set_params` at any time. Experimental.""",
        since=4,
        free_on_resuming=True,
    ),
    "precision": Parameter(
        option(*PRECISIONS),
        "{'float32', 'tf32', 'bfloat16'}",
        """How training on ``device='cuda'`` may round what layers multiply, where X is float32:
        'tf32' and 'bfloat16' let wide layers use tensor cores, with 10 or 7 bits after the point.
        Sums, weights and predictions stay float32.""",
        since=4,
    ),
}
