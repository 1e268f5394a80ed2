"""The protocol of the playground: the requests of the page and their answers.

Each request is ``POST /api/NAME`` with a JSON object, and the server's token in the header X-Token.
The page asks, and the server never speaks first, so that nothing queues. An answer is JSON, or
bytes: a frame, as `frames` describes it, or a file. What is wrong is answered by a status of 400 or
more and ``{"error": words, "field": name or null}``; 410 says that the session has ended.

``hello {}`` opens a session, and gives all there is to choose from. The others name it, as
``"session"``, and of two networks side by side one by its place, as ``"network"``:

- ``frame {networks: [{state, reset, back, weight, epochs}], want, resolution, budget_ms}`` makes
  the networks those of the states, by the least that it takes; begins anew, goes back to the epoch
  of a snapshot, sets a weight ``{layer, input, unit, value}``, trains so many epochs (or as many as
  fit into the budget), in this order, and answers with a frame of what is wanted: see
  `frames.WANTS`. All but one of `networks` may be left out.
- ``step {row}`` or ``step {x, target}``: the next step of training on one row, in numbers.
- ``landscape {resolution, directions, seed, extent}``: a frame of the losses around the weights.
- ``diagnose {}``: what keeps the network from learning, each with the state that cures it.
- ``mission {id}``: how far an exercise has come.
- ``pad {size, bitmap}``: what a drawn digit is read as; `bitmap` is base64 of bytes, row by row.
- ``export {library}``: Python that trains this network, or the reason why there is none.
- ``save {}``: the file of the fitted model.
- ``ping {}`` keeps the session, which ends after a minute without requests; ``bye {}`` ends it.

`state` says what a state is.
"""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fastmlp.core.network import ALIASES
from fastmlp.core.rules import any_of, boolean, each, integer, nothing, option, real
from fastmlp.estimators.parameters import MLP_PARAMETERS
from fastmlp.estimators.session import CHANGEABLE
from fastmlp.playground import digits, frames, missions, views
from fastmlp.playground.datasets import FEATURES, PLANE_SETS, make_points
from fastmlp.playground.export import NoCode, fastmlp_code, sklearn_code
from fastmlp.playground.live import LiveNetwork
from fastmlp.playground.presets import PRESETS
from fastmlp.playground.sessions import Session, Sessions
from fastmlp.playground.state import (
    ESTIMATORS,
    LIMITS,
    SUGGESTED,
    StateError,
    check_field,
    check_fields,
    data_defaults,
    fields_of,
    network_defaults,
)

Answer = dict[str, Any] | bytes

# the fields of a state's network that belong to a schedule
SCHEDULE_FIELDS = {
    "constant": [],
    "invscaling": ["power_t"],
    "adaptive": ["tol", "n_iter_no_change"],
    "cosine": ["learning_rate_period", "learning_rate_period_mult", "learning_rate_min"],
    "one_cycle": ["max_iter", "learning_rate_min"],
    "step": ["learning_rate_period", "learning_rate_decay", "learning_rate_min"],
    "exponential": ["learning_rate_decay", "learning_rate_min"],
    "plateau": ["learning_rate_period", "learning_rate_decay", "learning_rate_min", "tol"],
}

_BUDGET = any_of(real(0, brackets="()"), nothing)


# --- the beginning and the end -------------------------------------------------------------------


def hello(sessions: Sessions, request: dict[str, Any]) -> Answer:
    """Open a session, and say all there is to choose from."""
    check_fields(request, (), "hello")
    own = sessions.own
    answer = {
        "session": sessions.open(),
        "version": version("fastmlp"),
        "data": {
            "sets": _sets(own),
            "features": list(FEATURES),
            "defaults": data_defaults(),
        },
        "network": {task: network_defaults(task) for task in ESTIMATORS},
        "choices": _choices(),
        "live": list(CHANGEABLE),
        "limits": LIMITS,
        "table": own and own.describe(),
        "state": first_state(own),
        "missions": missions.describe(),
        "presets": PRESETS,
    }
    return answer


def _sets(own: Any) -> list[dict[str, Any]]:
    """The data sets, with what is suggested for them."""
    sets: list[dict[str, Any]] = [
        {"name": name, "title": s.title, "task": s.task, "classes": [2, s.most_classes]}
        for name, s in PLANE_SETS.items()
    ]
    sets.append({"name": "points", "title": "Points", "task": None, "classes": [2, 6]})
    sets.append(
        {"name": "digits", "title": "Digits", "task": "classification", "classes": [10, 10]}
    )
    if own is not None:
        sets.append({"name": "table", "title": "Table", "task": own.task})
    for each_set in sets:
        name = str(each_set["name"])
        each_set["network"] = SUGGESTED.get(name, {})
        each_set["preview"] = _preview(name) if name in PLANE_SETS else []
    return sets


def _preview(name: str) -> list[list[float]]:
    """Some points of a set, [x, y, target] each, for a small picture of it."""
    made = make_points(name, 60, 0.0, 1.0, 2, 0, [])
    return np.column_stack([made.X_train, made.y_train]).round(2).tolist()


def _choices() -> dict[str, Any]:
    """The options of parameters that have some."""
    choices: dict[str, Any] = {}
    for name in ("activation", "solver", "learning_rate", "init"):
        names = MLP_PARAMETERS[name].rule.names
        choices[name] = [each for each in dict.fromkeys(names) if each not in (*ALIASES, "lbfgs")]
    choices["schedule_fields"] = SCHEDULE_FIELDS
    choices["loss"] = {
        task: list(e._parameters["loss"].rule.names) for task, e in ESTIMATORS.items()
    }
    return choices


def first_state(own: Any) -> dict[str, Any]:
    """The state that a page begins with."""
    if own is None:
        return {"data": {"set": "circle"}, "network": {}, "seed": 0}
    data = {"set": "table", "train": 0.75}
    if own.table.width == 1:
        data["plane"] = [0, 0]
    if own.is_raw:
        return {"data": data, "network": {**fields_of(own.estimator), "init": "fitted"}, "seed": 0}
    network = {"hidden_layer_sizes": [8, 8], "learning_rate_init": 0.03}
    return {"data": data, "network": network, "seed": 0}


def ping(session: Session, request: dict[str, Any]) -> Answer:
    """Keep the session."""
    return {}


def bye(sessions: Sessions, request: dict[str, Any]) -> Answer:
    """End the session."""
    sessions.close(request.get("session"))
    return {}


# --- networks ------------------------------------------------------------------------------------


def frame(session: Session, request: dict[str, Any]) -> Answer:
    """Set the networks' states, train them, and look at them."""
    allowed = ("session", "networks", "want", "resolution", "budget_ms")
    check_fields(request, allowed, "frame")
    networks, want = request.get("networks", []), request.get("want", [])
    if not isinstance(networks, list) or not 1 <= len(networks) <= 2:
        raise StateError("networks must be a list of one or two objects.", "networks")
    check_field(want, each(option(*frames.WANTS)), "want")
    resolution = request.get("resolution", 60)
    check_field(resolution, integer(8, LIMITS["resolution"], "[]"), "resolution")
    budget = request.get("budget_ms")
    check_field(budget, _BUDGET, "budget_ms")
    seconds = None if budget is None else budget / 1000 / len(networks)
    header: dict[str, Any] = {"resolution": resolution, "networks": []}
    arrays: frames.Arrays = {}
    for place, asked in enumerate(networks):
        done = _advance(session, place, asked, seconds)
        live = session.networks[place]
        part, of_part, used = frames.look_at(live, place, want, resolution)
        header["resolution"] = min(header["resolution"], used)
        header["networks"].append({**part, **done})
        arrays |= of_part
    del session.networks[len(networks) :]
    return frames.pack(header, arrays)


def _advance(
    session: Session, place: int, asked: Any, seconds: float | None
) -> dict[str, Any]:  # fmt: skip
    """Do what is asked of one network; what was done, for the header."""
    fields = ("state", "epochs", "reset", "back", "weight")
    check_fields(asked, fields, f"networks[{place}]")
    epochs, reset = asked.get("epochs", 0), asked.get("reset", False)
    check_field(epochs, integer(0, LIMITS["epochs_per_frame"], "[]"), "epochs")
    check_field(reset, boolean, "reset")
    began_anew = False
    if place == len(session.networks):
        session.networks.append(
            LiveNetwork(asked.get("state", first_state(session.own)), session.own)
        )
        began_anew = True
    live = session.networks[place]
    if not began_anew and "state" in asked:
        began_anew = live.declare(asked["state"])
    if reset and not began_anew:
        live.reset()
        began_anew = True
    back = asked.get("back")
    check_field(back, any_of(integer(0), nothing), "back")
    if back is not None:
        live.back(back)
    if asked.get("weight") is not None:
        live.set_weight(*_weight(asked["weight"]))
    made = live.train(epochs, seconds)
    session.progress.watch(live)
    return {"made": made, "reset": began_anew}


def _weight(given: Any) -> tuple[int, int | None, int, float]:
    """The place of a weight, and its value."""
    check_fields(given, ("layer", "input", "unit", "value"), "weight")
    for name, rule in (
        ("layer", integer(0)),
        ("input", any_of(integer(0), nothing)),
        ("unit", integer(0)),
        ("value", real(-1e6, 1e6, "[]")),
    ):
        check_field(given.get(name), rule, f"weight.{name}")
    return given["layer"], given.get("input"), given["unit"], float(given["value"])


def find_network(session: Session, request: dict[str, Any]) -> LiveNetwork:
    """The network that a request is about, the first one unless it says another."""
    place = request.get("network", 0)
    check_field(place, integer(0), "network")
    if place >= len(session.networks):
        raise StateError(
            f"network must be below {len(session.networks)}, the number of networks. Got {place}.",
            "network",
        )
    return session.networks[place]


# --- closer looks --------------------------------------------------------------------------------


def step(session: Session, request: dict[str, Any]) -> Answer:
    """Show the next step of training on one row: one to train on, or a point of the picture."""
    check_fields(request, ("session", "network", "row", "x", "target"), "step")
    live = find_network(session, request)
    problem = live.problem
    if request.get("row") is not None:
        n = len(problem.y_train)
        check_field(request["row"], integer(0, n - 1, "[]"), "row")
        row = request["row"]
        return views.step(live, problem.X_train[row : row + 1], problem.y_train[row])
    if problem.encoded is not None:
        raise StateError("row must be the number of one of the table's rows.", "row")
    width = 64 if problem.to_inputs is None else 2
    x: Any = request.get("x")
    target: Any = request.get("target")
    check_field(x, each(real(-1e6, 1e6)), "x")
    check_field(target, real(-1e6, 1e6), "target")
    if len(x) != width:
        raise StateError(f"x must be {width} numbers. Got {len(x)}.", "x")
    if problem.classes is not None and target not in problem.classes:
        names = ", ".join(map(str, problem.classes))
        raise StateError(f"target must be one of the classes {names}. Got {target}.", "target")
    place = np.array(x, float)
    inputs = place[None] / 16 if problem.to_inputs is None else problem.to_inputs(place)
    label = float(target) if problem.classes is None else int(target)
    return views.step(live, inputs, label - problem.scale[0] if problem.classes is None else label)


def landscape(session: Session, request: dict[str, Any]) -> Answer:
    """Show the loss on a plane through the weights."""
    options = {"resolution": 41, "directions": "random", "seed": 0, "extent": None}
    check_fields(request, ("session", "network", *options), "landscape")
    chosen = {name: request.get(name, default) for name, default in options.items()}
    for name, rule in (
        ("resolution", integer(3, 101, "[]")),
        ("directions", option("random", "path")),
        ("seed", integer(0, 2**32, "[)")),
        ("extent", any_of(real(0, 1e6, "(]"), nothing)),
    ):
        check_field(chosen[name], rule, name)
    return frames.pack(*views.landscape(find_network(session, request), **chosen))


def diagnose(session: Session, request: dict[str, Any]) -> Answer:
    """Say what keeps the network from learning, with the states that cure it."""
    check_fields(request, ("session", "network"), "diagnose")
    return {"findings": views.findings(find_network(session, request))}


def mission(session: Session, request: dict[str, Any]) -> Answer:
    """Say how far a mission has come."""
    check_fields(request, ("session", "network", "id"), "mission")
    name = request.get("id")
    check_field(name, option(*missions.MISSIONS), "id")
    assert isinstance(name, str)
    return missions.check(name, find_network(session, request), session.progress)


def pad(session: Session, request: dict[str, Any]) -> Answer:
    """Read a drawn digit."""
    check_fields(request, ("session", "network", "size", "bitmap"), "pad")
    return digits.pad(find_network(session, request), request)


# --- out of it -----------------------------------------------------------------------------------


def export(session: Session, request: dict[str, Any]) -> Answer:
    """Write the network down as Python."""
    check_fields(request, ("session", "network", "library"), "export")
    library = request.get("library", "fastmlp")
    check_field(library, option("fastmlp", "scikit-learn"), "library")
    write = fastmlp_code if library == "fastmlp" else sklearn_code
    try:
        return {"code": write(find_network(session, request)), "reason": None}
    except NoCode as error:
        return {"code": None, "reason": str(error)}


def save(session: Session, request: dict[str, Any]) -> Answer:
    """Give the file of the fitted model."""
    check_fields(request, ("session", "network"), "save")
    live = find_network(session, request)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        live.session.fitted().save(path)
        return path.read_bytes()


# requests that open or close sessions, and those about one
OPENING: dict[str, Callable[[Sessions, dict[str, Any]], Answer]] = {"hello": hello, "bye": bye}
ROUTES: dict[str, Callable[[Session, dict[str, Any]], Answer]] = {
    route.__name__: route
    for route in (ping, frame, step, landscape, diagnose, mission, pad, export, save)
}


def answer(sessions: Sessions, name: str, request: dict[str, Any]) -> Answer:
    """The answer to a request.

    Raises
    ------
    KeyError
        There is no such request.
    StateError, ValueError, TypeError
        It is not as it must be; the text is for the user.
    Gone, TooMany
        Of the session.
    """
    if name in OPENING:
        return OPENING[name](sessions, request)
    handle = ROUTES[name]
    session = sessions.find(request.get("session"))
    # numbers of networks that diverge are told of in words
    with session.lock, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return handle(session, request)
