"""The requests of the page and their answers. `frames` says what a frame is.

Each request is ``POST /api/NAME`` with a JSON object; `ROUTES` has them all. An answer is a dict,
which is sent as JSON, or bytes. A `StateError` says which field of a request is wrong.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastmlp.core.rules import any_of, boolean, each, integer, nothing, option, real
from fastmlp.estimators.session import CHANGEABLE
from fastmlp.playground import frames
from fastmlp.playground.datasets import FEATURES, PLANE_SETS
from fastmlp.playground.live import LiveNetwork
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
    }
    return answer


def _sets(own: Any) -> list[dict[str, Any]]:
    """The data sets, with what is suggested for them."""
    sets = [
        {"name": name, "title": s.title, "task": s.task, "classes": [2, s.most_classes]}
        for name, s in PLANE_SETS.items()
    ]
    sets.append({"name": "points", "title": "Your own points", "task": None, "classes": [2, 6]})
    sets.append(
        {"name": "digits", "title": "Digits", "task": "classification", "classes": [10, 10]}
    )
    if own is not None:
        sets.append({"name": "table", "title": own.name, "task": own.task})
    for each_set in sets:
        each_set["network"] = SUGGESTED.get(str(each_set["name"]), {})
    return sets


def _choices() -> dict[str, Any]:
    """The options of parameters that have some."""
    choices: dict[str, Any] = {}
    for name in ("activation", "solver", "learning_rate", "init"):
        choices[name] = list(ESTIMATORS["classification"]._parameters[name].rule.names)
    choices["activation"].remove("silu")  # another name of 'swish'
    choices["activation"] = list(dict.fromkeys(choices["activation"]))
    choices["solver"].remove("lbfgs")
    choices["loss"] = {task: list(e._parameters["loss"].rule.names) for task, e in ESTIMATORS.items()}
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
        session.networks.append(LiveNetwork(asked.get("state", first_state(session.own)), session.own))
        began_anew = True
    live = session.networks[place]
    if not began_anew and "state" in asked:
        began_anew = live.declare(asked["state"])
    if reset and not began_anew:
        live.reset()
        began_anew = True
    if asked.get("back") is not None:
        live.back(asked["back"])
    if asked.get("weight") is not None:
        live.set_weight(*_weight(asked["weight"]))
    return {"made": live.train(epochs, seconds), "reset": began_anew}


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


# requests that open or close sessions, and those about one
OPENING: dict[str, Callable[[Sessions, dict[str, Any]], Answer]] = {"hello": hello, "bye": bye}
ROUTES: dict[str, Callable[[Session, dict[str, Any]], Answer]] = {"ping": ping, "frame": frame}


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
    with session.lock:
        return handle(session, request)
