"""Builds served on a schedule."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from commands import marked_processes
from places import ROOT


@contextmanager
def serving(source: Path, warehouse: Path, *words: str, cwd: Path | None = None) -> Iterator[int]:
    """`flows/serve.py` on a free port, which is given; it ends, and all that it has started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    mark = uuid4().hex
    serve = subprocess.Popen(
        [sys.executable, str(ROOT / "flows" / "serve.py"), str(source),
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
