"""Small dbt projects, which compile in a third of the time that ours takes, and dbt itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from dicomhouse.resources import resource

READ_BY_RUNS = ("check_rules", "check_limits")
"""The seeds that a run reads before its models begin."""


def write_project(folder: Path, models: Mapping[str, str], seeds: Collection[str] = ()) -> Path:
    """A project of these models alone, and of these of our seeds; returns its folder."""
    for name in ("dbt_project.yml", "profiles.yml", *(f"seeds/{seed}.csv" for seed in seeds)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(resource("dbt", *name.split("/")), folder / name)
    (folder / "models").mkdir()
    for name, sql in models.items():
        (folder / "models" / f"{name}.sql").write_text(sql)
    return folder


def run_dbt(
    command: str, project: Path, folder: Path, *words: str, parsed: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of dbt's in a folder that it leaves its files in.

    Args:
        command: `parse`, `build`, ...
        project: the project's folder.
        folder: where the database is, and what dbt writes.
        words: more of the command.
        parsed: a folder with what dbt has parsed; only what differs from it is parsed.
    """
    known = (
        () if parsed is None else ("--partial-parse-file-path", parsed / "partial_parse.msgpack")
    )
    return subprocess.run(
        [
            *(sys.executable, "-m", "dbt.cli.main", command, *words, *known),
            *("--project-dir", project, "--profiles-dir", project),
            *("--target-path", folder, "--log-path", folder),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
