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
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import uuid4

from commands import marked_processes


@contextmanager
def serving(source: Path, warehouse: Path, *words: str, cwd: Path | None = None) -> Iterator[int]:
    """`dicomhouse serve` on a free port, which is given; it ends, and all that it has started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    mark = uuid4().hex
    serve = subprocess.Popen(
        [sys.executable, "-P", "-m", "dicomhouse", "serve", str(source),
         "--warehouse", str(warehouse), *words],
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


def wait_for(what: Callable[[], Any], seconds: float = 180) -> Any:
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
    except (URLError, TimeoutError):
        return 0, None
