"""How far a run is, in words, in lines and in bars; what Prefect may call its sources."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from incremental import build_lake, here, without_processes

from dicomhouse.errors import ExtractionFailed, StorageError, StorageStalled
from dicomhouse.run import extract, progress
from dicomhouse.run.context import begin
from dicomhouse.run.extract import make_parts
from dicomhouse.run.plan import prepare
from dicomhouse.run.progress import Clock, Lines, Step
from dicomhouse.settings import Settings
from dicomhouse.store.jobs import writing_lake
from dicomhouse.testing import write_image


@pytest.mark.parametrize(
    ("done", "total", "told"),
    [
        (0, None, "extract: 4 s"),
        (8_000, None, "extract: 8,000 files, 2,000 a second"),
        (8_000, 12_000, "extract: 8,000 of 12,000 files, 2,000 a second, about 2 s left"),
        (1, 3, "extract: 1 of 3 files, 0.2 a second, about 8 s left"),
        (12_000, 12_000, "extract: 12,000 of 12,000 files, 3,000 a second"),
    ],
)
def test_step_tells_count_rate_and_rest(done: int, total: int | None, told: str) -> None:
    assert Step("extract", 10.0, done, total, "files").text(14.0) == told


def test_line_comes_where_five_seconds_would_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    told: list[str] = []
    lines, clock = Lines(told.append), Clock()
    with clock.step("extract"), clock.step("scan"):
        clock.count("scan", 40, "files")
        for second in range(1, 11):
            now[0] = float(second)
            lines(clock.present())
            if second == 3:
                lines.say("plan: 0 parts kept")
        assert told == ["plan: 0 parts kept", "scan: 40 files, 5 a second"]
    lines([])
    assert len(told) == 2
    assert clock.seconds == {"scan": 10.0, "extract": 0.0}


def test_bars_are_drawn_after_a_second_and_leave_the_cursor_seen() -> None:
    program = (
        "import time; from dicomhouse.run.progress import Bars, Clock, shown\n"
        "clock = Clock()\n"
        "with shown(clock, Bars()):\n"
        "    with clock.step('short'): time.sleep(0.4)\n"
        "    with clock.step('models'):\n"
        "        clock.count('models', 120, 'dbt nodes', 240); time.sleep(1.8)\n"
    )
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", program], stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    try:
        while block := os.read(ours, 4096):
            drawn += block
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert child.wait() == 0
    assert "models" in drawn.decode() and "120 of 240 dbt nodes" in drawn.decode()
    assert "short" not in drawn.decode()
    assert drawn.rindex(b"\x1b[?25h") > drawn.rindex(b"\x1b[?25l")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("ward_a={}/Doe", "ward_a"),
        ("Doe={}/Doe", "Doe"),  # which somebody wrote down
        ("{}/Doe", "source 1"),
        ("Doe^John={}/Doe", "source 1"),
        ("ward a={}/Doe", "source 1"),
    ],
)
def test_name_of_a_folder_is_not_told_to_prefect(tmp_path: Path, text: str, label: str) -> None:
    write_image(tmp_path / "Doe" / "1")
    settings = Settings((text.format(tmp_path),), tmp_path / "w")
    with begin(settings, lambda line: None, here) as run:
        assert list(run.labels.values()) == [label]
    build_lake(settings)
    with begin(Settings((), tmp_path / "w"), lambda line: None, here) as run:
        assert list(run.labels.values()) == [label if label == "ward_a" else "source 1"]


def test_lists_have_titles(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / name / "1")
    titles = []

    def begun(pool: Any, path: Path, extractor: str, title: str) -> Any:
        titles.append(title)
        return pool.submit(extract_one, path, extractor)

    from dicomhouse.store.jobs import carry_out as extract_one

    settings = Settings((f"ward_a={tmp_path}/a", f"{tmp_path}/b"), tmp_path / "w")
    with without_processes(), begin(settings, lambda line: None, here) as run:
        work = prepare(run)
        assert work is not None
        make_parts(run, work, begun, lambda future: future.result())
    assert titles == ["extract ward_a 1 of 2", "extract source 2 2 of 2"]


def test_storage_that_hangs_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "in" / "1")
    monkeypatch.setattr(extract, "_STALLED_SECONDS", 0.1)
    settings = Settings((str(tmp_path / "in"),), tmp_path / "w")
    with without_processes(), begin(settings, lambda line: None, here) as run:
        work = prepare(run)
        assert work is not None
        with pytest.raises(ExtractionFailed, match="Does the storage hang"):
            make_parts(run, work, lambda *given: Future(), lambda future: future.result())


@pytest.mark.parametrize(("code", "passes"), [("EIO", True), ("ESTALE", True), ("ENOSPC", False)])
def test_only_a_storage_that_is_away_is_worth_another_try(code: str, passes: bool) -> None:
    import errno

    with pytest.raises(StorageError) as failed, writing_lake():
        raise OSError(getattr(errno, code), "")
    assert isinstance(failed.value, StorageStalled) is passes
    assert isinstance(failed.value.without_names(), StorageStalled) is passes
