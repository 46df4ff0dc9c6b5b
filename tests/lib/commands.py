"""Commands run as a user runs them, or in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path

from dicomhouse.cli import main


def marked_processes(mark: str) -> list[int]:
    """The living processes with `mark` in the environment that they were started with."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def run_cli(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one dicomhouse command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "dicomhouse", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def call_cli(*words: str) -> subprocess.CompletedProcess[str]:
    """Run one command in this process, where what it says and its exit code are all that count."""
    told = BytesIO(), BytesIO()
    out, err = (TextIOWrapper(stream, encoding="utf-8", write_through=True) for stream in told)
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    return subprocess.CompletedProcess(words, code, *(one.getvalue().decode() for one in told))
