"""The benchmarks count what they say: all processes of a command, and every figure to reach."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

BENCH = ROOT / "bench"
MEGABYTE = 1 << 20
WITH_CHILD = """
import subprocess, sys
held = bytearray(60 << 20)
subprocess.run([sys.executable, "-c", "import time; held = bytearray(120 << 20); time.sleep(0.5)"])
"""
MEASURED = """
import dataclasses, json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import children
use = children.run([sys.executable, "-c", sys.argv[2]], folder=pathlib.Path())
print(json.dumps(dataclasses.asdict(use)))
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of bench/, whose modules find each other as they do when one is run."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="memory of all processes needs /proc")
def test_the_memory_of_a_child_is_counted() -> None:
    # In a process of its own, since a child never has less than who starts it had.
    command = [sys.executable, "-c", MEASURED, str(BENCH), WITH_CHILD]
    use = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert 120 * MEGABYTE < use["largest_bytes"] < 160 * MEGABYTE
    assert 180 * MEGABYTE < use["together_bytes"] < 240 * MEGABYTE
    assert use["seconds"] > 0.5


def test_a_failed_command_is_told_with_its_last_words(module: Any, tmp_path: Path) -> None:
    children = module("children")
    with pytest.raises(children.Failed, match=r"ended with 3.*\n.*why"):
        children.run(
            [sys.executable, "-c", "import sys; print('why'); sys.exit(3)"], folder=tmp_path
        )


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ({}, ""),
        ({"seconds": 10, "of_loop": 0.5, "models": 4, "gigabytes": 1}, "kept"),
        ({"seconds": 9.9}, "missed"),
        ({"of_loop": 0.49}, "missed"),
        ({"models": 3.9}, "missed"),
        ({"gigabytes": 0.9}, "missed"),
        ({"seconds": 10, "goal": 9}, "kept, goal missed"),
    ],
)
def test_every_figure_to_reach_counts(module: Any, target: dict[str, float], told: str) -> None:
    build = module("build")
    use = build.Use(seconds=10, cpu_seconds=12, largest_bytes=10**9, together_bytes=None)
    work = build.Work("work", build.Target(**target), [use], [0.5], [{"models": 4.0}])
    assert work.verdict() == told


def test_a_step_that_is_not_told_keeps_no_target(module: Any) -> None:
    build = module("build")
    use = build.Use(seconds=1, cpu_seconds=1, largest_bytes=1, together_bytes=None)
    work = build.Work("work", build.Target(models=4), [use], [], [{"scan": 1.0}])
    assert work.verdict() == "not all is measured"
