"""Who may ask the playground's server, what it answers, and the command that starts it."""

import json
import signal
import socket
import subprocess
import sys
import threading

import pytest
from sklearn.datasets import load_iris

from fastmlp.playground.api import ROUTES
from fastmlp.playground.server import Server
from fastmlp.playground.state import LIMITS
from tests.playground_client import Page, Refused, send, state

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# --- who may ask ----------------------------------------------------------------------------------


def test_pages_from_elsewhere_are_refused(server):
    token = {"X-Token": server.token}
    own = f"127.0.0.1:{server.port}"
    for headers, status in (
        (token, 200),
        ({**token, "Host": own, "Origin": f"http://{own}"}, 200),
        ({**token, "Host": f"localhost:{server.port}"}, 200),
        ({**token, "Host": "evil.example"}, 403),
        ({**token, "Host": f"evil.example:{server.port}"}, 403),
        ({**token, "Host": "127.0.0.1:1"}, 403),
        ({**token, "Origin": "http://evil.example"}, 403),
        ({**token, "Origin": "null"}, 403),
        ({**token, "Origin": f"https://{own}"}, 403),
        ({"X-Token": "guess"}, 403),
        ({"X-Token": ""}, 403),
        ({"X-Token": "gu\xe4ss"}, 403),
        ({}, 403),
    ):
        answer = send(server, "POST", "/api/hello", {}, headers)
        assert answer.status == status, headers
        assert "Access-Control-Allow-Origin" not in answer.headers
        if status == 200:
            session = json.loads(answer.body)["session"]
            body = {"session": session, "token": server.token}  # as a beacon sends it
            assert send(server, "POST", "/api/bye", body).status == 200
    assert send(server, "GET", "/", headers={"Host": "evil.example"}).status == 403
    assert send(server, "OPTIONS", "/api/hello", headers={"Host": own}).status == 501


def test_only_the_files_of_the_page_are_served(server):
    index = send(server, "GET", "/")
    assert index.status == 200
    assert index.headers["Content-Type"].startswith("text/html")
    assert "default-src 'self'" in index.headers["Content-Security-Policy"]
    assert server.token.encode() not in index.body
    assert send(server, "GET", "/static/index.html").body == index.body
    for path in (
        "/static/../server.py", "/../server.py", "/%2e%2e/server.py", "//etc/passwd", "/static/",
        "/server.py", "/static//index.html", "/api/hello",
    ):  # fmt: skip
        assert send(server, "GET", path).status == 404, path


def test_requests_that_are_none(server, page):
    token = {"X-Token": server.token}
    for body, status in (
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b"{}", 410),
    ):
        assert send(server, "POST", "/api/frame", body, token).status == status
    assert send(server, "POST", "/api/money", {}, token).status == 404
    assert send(server, "POST", "/frame", {}, token).status == 404
    large = {**token, "Content-Length": str(LIMITS["body_bytes"] + 1)}
    assert send(server, "POST", "/api/frame", b"", large).status == 413
    for length in ("-1", "many"):
        assert (
            send(server, "POST", "/api/frame", b"", {**token, "Content-Length": length}).status
            == 411
        )
    assert page.ask("ping") == {}  # and it is there still


def test_a_mistake_of_ours_is_told(server, page, monkeypatch, capsys):
    def fail(session, request):
        raise ZeroDivisionError("by zero")

    monkeypatch.setitem(ROUTES, "ping", fail)
    with pytest.raises(Refused, match="ZeroDivisionError: by zero") as refused:
        page.ask("ping")
    assert refused.value.status == 500
    assert "Traceback" in capsys.readouterr().err


def test_sessions_are_limited_and_end(server, monkeypatch):
    monkeypatch.setitem(LIMITS, "sessions", 3)
    own = Server()
    own.start()
    try:
        pages = [Page(own) for _ in range(3)]
        with pytest.raises(Refused, match="3 pages are open"):
            Page(own)
        pages[0].frame(state("xor"), epochs=1)
        pages[1].frame(state("moons"), epochs=2)
        assert (pages[0].frame().epoch, pages[1].frame().epoch) == (1, 2)  # each has its own
        pages[2].ask("bye")
        with pytest.raises(Refused) as refused:
            pages[2].frame(state())
        assert refused.value.status == 410
        # the page of one is silent for longer than is waited for
        own.sessions.find(pages[0].session).last_seen -= LIMITS["idle_seconds"] + 1
        while len(own.sessions) > 1:  # it ends without anybody asking
            pages[1].ask("ping")
        with pytest.raises(Refused, match="ended"):
            pages[0].frame()
        assert len(own.sessions) == 1
    finally:
        own.close()


def test_requests_of_one_session_wait_for_each_other(server, page):
    page.frame(state("spiral"))
    threads = [
        threading.Thread(target=lambda: page.frame(epochs=20, want=["maps"])) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert page.frame().epoch == 120


# --- the command ----------------------------------------------------------------------------------


def test_the_command_serves_a_table_until_ctrl_c(tmp_path):
    path = tmp_path / "iris.csv"
    load_iris(as_frame=True).frame.to_csv(path, index=False)
    command = [sys.executable, "-m", "fastmlp", "playground", "--no-browser", "--data", str(path)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # which a process that a script starts in the background ignores
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    line = process.stdout.readline()
    assert "http://127.0.0.1:" in line, process.stderr.read()
    assert "Ctrl-C" in process.stdout.readline()
    address, token = line.split()[-1].split("/#token=")
    remote = type("Remote", (), {"port": int(address.rpartition(":")[2]), "token": token})
    page = Page(remote)
    assert page.hello["table"]["target"] == "target"
    page.frame(page.hello["state"], epochs=5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "has ended" in out
    assert err == ""
    assert process.returncode == 0


def test_a_taken_port_and_a_bad_table_are_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments, message in (
            (["--port", str(port)], f"port {port} cannot be used"),
            (["--data", str(tmp_path / "none.csv")], "no such file"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "fastmlp", "playground", "--no-browser", *arguments],
                capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            assert done.returncode == 2
            assert message in done.stderr
            assert len(done.stderr.splitlines()) == 1
