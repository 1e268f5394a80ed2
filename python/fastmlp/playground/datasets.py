"""The data sets of the plane, and the features that a network may be given of a point."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastmlp.core.typing import Array

EXTENT = 6.0  # points lie within [-6, 6] in both directions
_RADIUS = 5.0  # of what is drawn in there

# draws points (n, 2) and their targets (n,), by n, the noise, the number of classes, a generator
_Maker = Callable[[int, float, int, np.random.RandomState], tuple[Array, Array]]

FEATURES: dict[str, Callable[[Array, Array], Array]] = {
    "x": lambda x, y: x,
    "y": lambda x, y: y,
    "x2": lambda x, y: x**2,
    "y2": lambda x, y: y**2,
    "xy": lambda x, y: x * y,
    "sinx": lambda x, y: np.sin(x),
    "siny": lambda x, y: np.sin(y),
}


def features_of(points: Array, names: Any) -> Array:
    """The features (n, n_names) of points (n, 2)."""
    x, y = points[:, 0], points[:, 1]
    return np.column_stack([FEATURES[name](x, y) for name in names])


# --- classes -------------------------------------------------------------------------------------


def _polar(radius: Array, angle: Array) -> Array:
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def _numbers_of_classes(n: int, classes: int) -> Array:
    """Class numbers (n,), as many of each as may be."""
    return np.arange(n) % classes


def _circle(n: int, noise: float, classes: int, random: Any) -> tuple[Array, Array]:
    """A disc within a ring, or rings."""
    label = _numbers_of_classes(n, classes)
    width = _RADIUS / classes
    inner = label * width + 0.2 * width * (label > 0)
    radius = random.uniform(inner, (label + 1) * width - 0.2 * width * (label < classes - 1))
    points = _polar(radius, random.uniform(0, 2 * np.pi, n))
    return points + noise * _RADIUS * random.uniform(-1, 1, (n, 2)), classes - 1 - label


def _xor(n: int, noise: float, classes: int, random: Any) -> tuple[Array, Array]:
    """Four squares, opposite ones of the same class."""
    points = random.uniform(-_RADIUS, _RADIUS, (n, 2))
    points += np.where(points > 0, 0.3, -0.3)  # a gap between the squares
    label = (points[:, 0] * points[:, 1] >= 0).astype(int)
    return points + noise * _RADIUS * random.uniform(-1, 1, (n, 2)), label


def _gauss(n: int, noise: float, classes: int, random: Any) -> tuple[Array, Array]:
    """A cloud for each class."""
    label = _numbers_of_classes(n, classes)
    angle = np.pi / 4 + np.pi + 2 * np.pi * label / classes
    center = _polar(np.full(n, 2 * np.sqrt(2)), angle)
    return center + (0.7 + 3 * noise) * random.normal(size=(n, 2)), label


def _spiral(n: int, noise: float, classes: int, random: Any) -> tuple[Array, Array]:
    """An arm for each class, which turn around each other."""
    label = _numbers_of_classes(n, classes)
    each = np.ceil(n / classes)
    along = (np.arange(n) // classes) / each
    angle = 1.75 * 2 * np.pi * along + 2 * np.pi * label / classes
    points = np.column_stack([np.sin(angle), np.cos(angle)]) * (_RADIUS * along)[:, None]
    return points + noise * random.uniform(-2, 2, (n, 2)), 1 - label if classes == 2 else label


def _moons(n: int, noise: float, classes: int, random: Any) -> tuple[Array, Array]:
    """Two half circles that reach into each other."""
    label = _numbers_of_classes(n, 2)
    angle = random.uniform(0, np.pi, n)
    upper = np.column_stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25])
    points = 3.0 * np.where(label[:, None] == 0, upper, -upper)
    return points + 3 * noise * random.normal(size=(n, 2)), label


# --- values --------------------------------------------------------------------------------------


def _of_points(function: Callable[[Array, Array], Array]) -> _Maker:
    """Values between -1 and 1 at random points."""

    def make(n: int, noise: float, classes: int, random: Any) -> tuple[Array, Array]:
        points = random.uniform(-EXTENT, EXTENT, (n, 2))
        return points, function(points[:, 0], points[:, 1]) + noise * random.normal(size=n)

    return make


def _bumps(x: Array, y: Array) -> Array:
    """Hills and hollows; the strongest of them counts at each point."""
    centers = [(-4, 2.5, 1), (0, 2.5, -1), (4, 2.5, 1), (-4, -2.5, -1), (0, -2.5, 1), (4, -2.5, -1)]
    heights = [
        sign * np.clip(1 - np.hypot(x - cx, y - cy) / 2, 0, None) for cx, cy, sign in centers
    ]
    strongest = np.abs(heights).argmax(axis=0)
    return np.take_along_axis(np.array(heights), strongest[None], 0)[0]


class PlaneSet(NamedTuple):
    """A data set of the plane.

    Attributes
    ----------
    title : str
    task : str
        'classification' or 'regression'.
    make : callable
    most_classes : int
    """

    title: str
    task: str
    make: _Maker
    most_classes: int = 2


PLANE_SETS = {
    "circle": PlaneSet("Circle", "classification", _circle, 6),
    "xor": PlaneSet("XOR", "classification", _xor),
    "gauss": PlaneSet("Clouds", "classification", _gauss, 6),
    "spiral": PlaneSet("Spiral", "classification", _spiral, 6),
    "moons": PlaneSet("Moons", "classification", _moons),
    "plane": PlaneSet("Plane", "regression", _of_points(lambda x, y: (x + y) / (2 * EXTENT))),
    "bumps": PlaneSet("Hills", "regression", _of_points(_bumps)),
    "sine": PlaneSet("Sine", "regression", _of_points(lambda x, y: np.sin(x))),
    "abs": PlaneSet("|x|", "regression", _of_points(lambda x, y: np.abs(x) / 3 - 1)),
    "cubic": PlaneSet(
        "Cubic", "regression", _of_points(lambda x, y: (x**3 / 27 - x) / 2)
    ),
}  # fmt: skip


# --- training and test rows ----------------------------------------------------------------------


class Split(NamedTuple):
    """Rows to train on, and to test on.

    Attributes
    ----------
    X_train, y_train, X_test, y_test : ndarray
    """

    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array


def train_and_test_rows(
    y: Array, train: float, seed: int, *, by_class: bool
) -> tuple[Array, Array]:
    """The numbers of the rows to train on, and of those to test on, both at random.

    With `by_class` the share of each class is the same in both, and each is among those to train
    on.
    """
    random = np.random.RandomState(seed)
    groups = [np.flatnonzero(y == label) for label in np.unique(y)] if by_class else None
    chosen, left = [], []
    for group in groups or [np.arange(len(y))]:
        rows = random.permutation(group)
        n = max(round(train * len(rows)), 1)
        chosen.append(rows[:n])
        left.append(rows[n:])
    return random.permutation(np.concatenate(chosen)), random.permutation(np.concatenate(left))


def make_points(
    name: str,
    points: int,
    noise: float,
    train: float,
    classes: int,
    seed: int,
    added: Any,
) -> Split:
    """Points (n, 2) of a set with their targets, parted; those that were added are to train on."""
    more = np.array(added, float).reshape(-1, 3)
    if name == "points":
        whole = (more[:, 2] % 1 == 0).all()
        empty = np.empty((0, 2)), np.empty(0, int if whole else float)
        made = Split(*empty, *empty)
    else:
        chosen = PLANE_SETS[name]
        random = np.random.RandomState(seed)
        X, y = chosen.make(points, noise, min(classes, chosen.most_classes), random)
        rows, rest = train_and_test_rows(y, train, seed, by_class=chosen.task == "classification")
        made = Split(X[rows], y[rows], X[rest], y[rest])
    y_train = np.concatenate([made.y_train, more[:, 2].astype(made.y_train.dtype)])
    return Split(np.vstack([made.X_train, more[:, :2]]), y_train, made.X_test, made.y_test)


def make_digits(train: float, seed: int, added: Any) -> Split:
    """scikit-learn's digits with pixels from 0 to 1, parted; `added` is as of 0 to 16."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    more = np.array(added, float).reshape(-1, 65)
    rows, rest = train_and_test_rows(y, train, seed, by_class=True)
    return Split(
        np.vstack([X[rows], more[:, :64]]) / 16,
        np.concatenate([y[rows], more[:, 64].astype(int)]),
        X[rest] / 16,
        y[rest],
    )


def make_data(
    name: str,
    *,
    points: int = 500,
    noise: float = 0.0,
    train: float = 0.5,
    classes: int = 2,
    seed: int = 0,
    features: Any = ("x", "y"),
    added: Any = (),
) -> Split:
    """Make the data of the playground that have this name, as the page does.

    Parameters
    ----------
    name : str
        'circle', 'xor', 'gauss', 'spiral' or 'moons' (classes); 'plane', 'bumps', 'sine', 'abs'
        or 'cubic' (values); 'points', of which there are only those in `added`; 'digits', which are
        scikit-learn's.
    points : int, default=500
        Number of points.
    noise : float, default=0.0
        How far points are from where they belong, from 0 to 1.
    train : float, default=0.5
        Share of the points to train on.
    classes : int, default=2
        Number of classes, of 'circle', 'gauss' and 'spiral' up to 6.
    seed : int, default=0
        Draws the points, and which of them are to train on.
    features : sequence of str, default=('x', 'y')
        What the network is given of a point: some of 'x', 'y', 'x2', 'y2', 'xy', 'sinx', 'siny'.
    added : sequence of tuple (x, y, target), default=()
        More points to train on; of 'digits' 64 pixels from 0 to 16, and the digit.

    Returns
    -------
    X_train : ndarray of shape (n_train, n_features)
        The points to train on.
    y_train : ndarray of shape (n_train,)
        Their class numbers, or values.
    X_test : ndarray of shape (n_test, n_features)
        The points to test on.
    y_test : ndarray of shape (n_test,)
        Their class numbers, or values.

    Raises
    ------
    KeyError
        There is no such set, or no such feature.

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from fastmlp.playground import make_data
    >>> X_train, y_train, X_test, y_test = make_data("xor", features=["x", "y", "xy"])
    >>> model = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X_train, y_train)
    >>> model.score(X_test, y_test) > 0.95
    True
    """
    if name == "digits":
        return make_digits(train, seed, added)
    made = make_points(name, points, noise, train, classes, seed, added)
    return Split(
        features_of(made.X_train, features),
        made.y_train,
        features_of(made.X_test, features),
        made.y_test,
    )
