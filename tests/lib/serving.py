"""Builds served on a schedule."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

from commands import marked_processes


@contextmanager
def serving(*words: str, cwd: Path | None = None) -> Iterator[int]:
    """`dicomhouse serve` on a free port, which is given; it ends, and all that it has started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    mark = uuid4().hex
    serve = subprocess.Popen(
        [sys.executable, "-P", "-m", "dicomhouse", "serve", *words],
        cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PREFECT_SERVER_API_PORT": str(port), "DICOMHOUSE_MARK": mark},
    )  # fmt: skip
    left: list[int] = []
    try:
        yield port
        assert serve.poll() is None
    finally:
        serve.send_signal(signal.SIGTERM)
        serve.wait(timeout=15)
        left = marked_processes(mark)
        for process in left:
            os.kill(process, signal.SIGKILL)
    assert left == []


def wait_for(what: Callable[[], Any], seconds: float = 400) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def ask(url: str, body: dict[str, Any] | None, login: str | None = None) -> tuple[int, Any]:
    """The status and the answer of an API; 0 where nobody listens yet."""
    headers = {"content-type": "application/json"}
    if login is not None:
        headers["authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, headers), timeout=90) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, None
    except OSError:  # and URLError, which is one
        return 0, None


Api = Callable[..., Any]
"""Takes a path and perhaps a body; gives what the API answers, once it does."""


def login_of(prefect_home: Path) -> str:
    """The login of the server that serves."""
    found: str = wait_for(lambda: "".join(f.read_text() for f in prefect_home.glob("*.login")))
    return found


def api_of(port: int, prefect_home: Path) -> Api:
    """The API of a server that serves, which is asked again while it is busy or not there yet."""
    login = login_of(prefect_home)

    def api(path: str, body: dict[str, Any] | None = None) -> Any:
        def answer() -> Any:
            status, found = ask(f"http://127.0.0.1:{port}/api/{path}", body, login)
            return [found] if 200 <= status < 300 else None

        return wait_for(answer)[0]

    return api


@contextmanager
def webhook() -> Iterator[tuple[str, list[str]]]:
    """An address on loopback, and the texts that were posted to it."""
    told: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            told.append(json.loads(self.rfile.read(size))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", told
    finally:
        server.shutdown()
        server.server_close()
