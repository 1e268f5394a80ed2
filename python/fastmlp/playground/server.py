"""A server for this machine alone: the page's files, and the answers to its requests.

It listens on 127.0.0.1. A page elsewhere on the web must not reach it: requests need a token,
which is in the fragment of the page's address and so is not sent to anybody, and both the Host and
the Origin they name must be this server, whatever name the browser was led here by.
"""

import json
import secrets
import sys
import traceback
import webbrowser
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from threading import Thread
from typing import Any

from fastmlp.playground import api
from fastmlp.playground.frames import to_json
from fastmlp.playground.own_table import OwnTable
from fastmlp.playground.sessions import Gone, Sessions, TooMany
from fastmlp.playground.state import LIMITS, StateError

_HOST = "127.0.0.1"
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
    "png": "image/png",
}
_POLICY = "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; frame-ancestors 'none'"


class PortTaken(OSError):
    """Another program listens there."""


class Server(ThreadingHTTPServer):
    """The playground's server.

    Parameters
    ----------
    own : OwnTable or None
    port : int, default=0
        0 is any that is free.

    Attributes
    ----------
    url : str
        The page's address, with the token.

    Raises
    ------
    PortTaken
        The port is not free.
    """

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # where it would share the port

    def __init__(self, own: OwnTable | None = None, port: int = 0) -> None:
        self.sessions = Sessions(own)
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((_HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise PortTaken(
                f"port {port} cannot be used ({error}): choose another, or 0 for any that is free"
            ) from error
        self.port = int(self.server_address[1])
        self.hosts = {f"{_HOST}:{self.port}", f"localhost:{self.port}"}
        self.origins = {f"http://{host}" for host in self.hosts}

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{_HOST}:{self.port}/#token={self.token}"

    def start(self) -> None:
        """Serve in a thread of its own."""
        Thread(target=self.serve_forever, name="fastmlp playground", daemon=True).start()

    def open_browser(self) -> None:
        """Show the page, where there is a browser."""
        Thread(target=webbrowser.open, args=(self.url,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.shutdown()
        self.server_close()

    def service_actions(self) -> None:
        """End the sessions of pages that are gone; called twice a second."""
        self.sessions.end_idle()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that a page has dropped."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers a connection's requests."""

    server: Server
    protocol_version = "HTTP/1.1"  # connections stay open
    server_version, sys_version = "fastmlp", ""
    timeout = 120
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Send a file of the page."""
        if not self._is_from_here():
            return
        path = self.path.split("?")[0]
        name = "index.html" if path == "/" else path.removeprefix("/static").removeprefix("/")
        folder = resources.files("fastmlp.playground") / "page"
        names = {item.name for item in folder.iterdir()} if folder.is_dir() else set()
        if name not in names:
            self._refuse(HTTPStatus.NOT_FOUND, f"There is no {path[:100]}.")
            return
        kind = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        self._send(HTTPStatus.OK, kind, (folder / name).read_bytes())

    def do_POST(self) -> None:
        """Answer a request of the page."""
        if not self._is_from_here():
            return
        token = self.headers.get("X-Token")
        if token is not None and not self._knows(token):
            return
        request = self._read_body()
        # a page that is left sends a beacon, which has no headers of its own
        if request is None or (token is None and not self._knows(request.pop("token", ""))):
            return
        name = self.path.removeprefix("/api/")
        if not self.path.startswith("/api/") or name not in api.OPENING | api.ROUTES:
            self._refuse(HTTPStatus.NOT_FOUND, f"There is no {self.path[:100]}.")
            return
        try:
            answer = api.answer(self.server.sessions, name, request)
        except Gone as error:
            self._refuse(HTTPStatus.GONE, str(error))
        except TooMany as error:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, str(error))
        except (ValueError, TypeError) as error:
            field = error.field if isinstance(error, StateError) else None
            self._refuse(HTTPStatus.BAD_REQUEST, str(error), field)
        except MemoryError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error) or "There is not enough memory.")
        except Exception as error:  # a mistake of ours, which the page is to tell of
            traceback.print_exc()
            message = f"The playground failed: {type(error).__name__}: {error}"
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, message)
        else:
            if isinstance(answer, bytes):
                self._send(HTTPStatus.OK, "application/octet-stream", answer)
            else:
                self._send(HTTPStatus.OK, "application/json", to_json(answer))

    def _knows(self, token: object) -> bool:
        """Whether a token is the server's; says so if not."""
        if compare_digest(str(token).encode(), self.server.token.encode()):
            return True
        self._refuse(
            HTTPStatus.FORBIDDEN,
            "The token is wrong or missing: open the address that the playground printed.",
        )
        return False

    def _is_from_here(self) -> bool:
        """Whether Host and Origin are this server's; says so if not."""
        origin = self.headers.get("Origin")
        is_own = self.headers.get("Host") in self.server.hosts
        if is_own and (origin is None or origin in self.server.origins):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "The playground answers pages of its own address alone.")
        return False

    def _read_body(self) -> dict[str, Any] | None:
        """The request's JSON object; None where it is none, which has been said then."""
        try:
            size = int(self.headers.get("Content-Length", ""))
        except ValueError:
            size = -1
        if size < 0:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "The request says no length.")
            return None
        if size > LIMITS["body_bytes"]:
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The request has {size} bytes; {LIMITS['body_bytes']} are allowed.",
            )
            return None
        try:
            request = json.loads(self.rfile.read(size))
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            self._refuse(HTTPStatus.BAD_REQUEST, "The request is no JSON object.")
            return None
        return request

    def _refuse(self, status: HTTPStatus, message: str, field: str | None = None) -> None:
        if status is not HTTPStatus.BAD_REQUEST and status is not HTTPStatus.GONE:
            self.close_connection = True  # there may be a body that nobody reads
        self._send(status, "application/json", to_json({"error": message, "field": field}))

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Content-Security-Policy", _POLICY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""
