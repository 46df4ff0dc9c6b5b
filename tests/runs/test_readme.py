"""README and docs stay true: their commands run, and their examples print what they say."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path

import pytest
from commands import run_cli
from places import ROOT

from dicomhouse.resources import resource

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.M | re.S)
]


def examples(language: str, beginning: str) -> list[tuple[str, str]]:
    """Blocks of a language with the output block that follows each."""
    return [
        (code, following[1])
        for (name, code), following in pairwise(BLOCKS)
        if name == language and code.startswith(beginning) and following[0] == "output"
    ]


def test_sql_example_prints_what_the_readme_says(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo.parent)
    ((command, output),) = examples("sh", "dicomhouse sql")
    done = run_cli(*shlex.split(command)[1:])
    assert done.stdout == output


def test_tag_example_prints_what_the_readme_says(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo.parent)
    ((command, output),) = examples("sh", "dicomhouse tag")
    done = run_cli(*shlex.split(command)[1:])
    assert done.stdout == output


def test_polars_example_prints_what_the_readme_says(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo.parent)
    ((code, output),) = examples("python", "import")
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "asking.md", "exec"), {})
    assert printed.getvalue() == output


def test_make_targets_of_the_readme_exist() -> None:
    named = {
        line.split()[1] for language, code in BLOCKS if language == "sh"
        for line in code.splitlines() if line.startswith("make ")
    }  # fmt: skip
    assert named >= {"demo", "test", "check"}
    for target in named:
        done = subprocess.run(
            ["make", "--dry-run", target, "SOURCES=x"], cwd=ROOT, capture_output=True, check=False
        )
        assert done.returncode == 0, target
    demo = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "demo"], cwd=ROOT, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert demo.stdout.splitlines()[-1].endswith("dicomhouse demo --flow")


def test_commands_of_the_docs_are_those_of_the_program() -> None:
    text = (ROOT / "docs/commands.md").read_text()
    told = set(re.findall(r"^\| `dicomhouse (\w+)", text, re.M))
    shown = subprocess.run(
        [sys.executable, "-m", "dicomhouse", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert told == set(re.findall(r"^    (\w+) ", shown, re.M))


def test_tables_of_the_docs_are_the_marts() -> None:
    text = (ROOT / "docs/tables.md").read_text()
    told = {
        name for line in text.splitlines() if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }  # fmt: skip
    assert told == {
        path.stem
        for path in resource("dbt", "models").rglob("*.sql")
        if not path.stem.startswith(("int_", "stg_"))
    }


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)


def test_python_of_the_readme_runs(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo.parent)
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGES[0].read_text(), re.M | re.S)
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert "FAST LOCALIZER" in printed.getvalue()
