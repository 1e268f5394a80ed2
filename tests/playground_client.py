"""A page of the playground without a browser: it sends requests, and takes frames apart."""

import http.client
import json
import pathlib
import tempfile
from types import SimpleNamespace

import numpy as np
import pandas as pd

import fastmlp
from fastmlp.playground.own_table import OwnTable
from fastmlp.playground.server import Server

WANTS = [
    "maps", "weights", "curves", "points", "inputs", "health", "confusion", "snapshots", "hidden"
]  # fmt: skip


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status, answer):
        super().__init__(f"{status}: {answer['error']}")
        self.status, self.error, self.field = status, answer["error"], answer["field"]


def send(server, method, path, body=None, headers=()):
    """The answer of the server; headers are sent as they are."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        connection.putrequest(method, path, skip_host="Host" in dict(headers))
        data = (
            b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        headers = {"Content-Length": str(len(data)), **dict(headers)}
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        return SimpleNamespace(status=answer.status, headers=answer.headers, body=answer.read())
    finally:
        connection.close()


class Page:
    """A session of its own on a server."""

    def __init__(self, server):
        self.server = server
        self.hello = self.post("hello", {})
        self.session = self.hello["session"]

    def post(self, name, body):
        """A request's answer: JSON, or bytes."""
        answer = send(self.server, "POST", f"/api/{name}", body, {"X-Token": self.server.token})
        if answer.status != 200:
            raise Refused(answer.status, json.loads(answer.body))
        if answer.headers["Content-Type"] == "application/json":
            return json.loads(answer.body)
        return answer.body

    def ask(self, name, **fields):
        """A request about this session."""
        return self.post(name, {"session": self.session, **fields})

    def frames(self, *networks, want=(), **fields):
        """Header and arrays of a frame of some networks."""
        return unpack(self.ask("frame", networks=list(networks), want=list(want), **fields))

    def frame(self, state=None, epochs=0, want=(), resolution=20, **asked):
        """What there is of one network: its part of the header, with `arrays`."""
        if state is not None:
            asked["state"] = state
        header, arrays = self.frames({"epochs": epochs, **asked}, want=want, resolution=resolution)
        found = SimpleNamespace(**header["networks"][0])
        found.arrays = {name.removeprefix("0."): array for name, array in arrays.items()}
        found.resolution = header["resolution"]
        return found

    def weights(self, **asked):
        """All weights and biases as one vector, float32."""
        arrays = self.frame(want=["weights"], **asked).arrays
        return np.concatenate([array.ravel() for array in arrays.values()])


def unpack(frame):
    """A frame's header, and its arrays by their names."""
    size = int.from_bytes(frame[:4], "little")
    header = json.loads(frame[4 : 4 + size])
    assert (4 + size) % 8 == 0
    arrays = {
        entry["name"]: np.frombuffer(
            frame, entry["dtype"], int(np.prod(entry["shape"])), entry["offset"]
        ).reshape(entry["shape"])
        for entry in header["arrays"]
    }
    end = max(
        (e["offset"] + arrays[e["name"]].nbytes for e in header["arrays"]), default=len(frame)
    )
    assert len(frame) - end < 8
    return header, arrays


def state(data="circle", network=(), random_state=0, **options):
    """A state of a set, with options of the data."""
    return {"data": {"set": data, **options}, "network": dict(network), "seed": random_state}


def page_of(*table, **options):
    """A page of a server with a table, which is closed with it."""
    server = Server(OwnTable(*table, **options))
    server.start()
    return Page(server)


def rows_of(page):
    """The rows to train on."""
    session = page.server.sessions.find(page.session)
    return session.networks[0].problem.encoded.rows


def fitted_of(page, **about):
    """The model that a page saves."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model"
        path.write_bytes(page.ask("save", **about))
        return fastmlp.load(path)


def mixed_table(n=120):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "age": np.where(rng.random(n) < 0.1, np.nan, rng.normal(40, 10, n)),
        "town": rng.choice(["Ulm", "Jena", "Bonn", None], n),
        "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
        "income": rng.lognormal(8, 1, n),
    })  # fmt: skip
    y = np.select([frame["town"] == "Ulm", frame["income"] > 4000], ["a", "b"], "c")
    return frame, pd.Series(y, name="grade")
