"""The site: the tutorial runs and says what it shows, and the pages hang together."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from places import ROOT

from dicomhouse.cli.commands import COMMANDS
from dicomhouse.resources import resource

ZENSICAL = ROOT / ".venv-docs/bin/zensical"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, ROOT / "docs/pages.py", folder / "pages"], cwd=folder,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "pages"


@pytest.fixture(scope="module")
def tutorial(pages: Path) -> str:
    return (pages / "tutorial.html").read_text(encoding="utf-8")


def test_tutorial_finds_what_the_study_did(tutorial: str) -> None:
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", tutorial)).split())
    for found in (
        "277 images",
        "nothing changed since generation 1",
        "'Patient Name' is not a DICOM tag. The nearest keywords are PatientName",
        '"SeriesNumber" "2" "general-series" "type2_missing" 277 0 0 277',
        '"DeidentificationMethod" "constant" "Table;"',
        '"StudyID" "always empty" null',
        '"RescaleType"',
        "corner: one byte 0, two bytes 0, pixel 0 back: one byte 26, two bytes 1050, pixel 1050",
        "in uint16: 0 to 65522; in float: -1024.0 to 587.0",
        "1 slice missing between",
        "((62, 128, 128), (3.312, 3.312, 5.0), dtype('float32'))",
        '"one series alone" 8 277',
    ):
        assert found in text, found


def test_tutorial_shows_its_charts_and_animations(tutorial: str) -> None:
    gifs = re.findall(r'src="data:image/gif;base64,([A-Za-z0-9+/=]+)"', tutorial)
    assert [base64.b64decode(gif)[:6] for gif in gifs] == [b"GIF89a"] * 3
    assert tutorial.count('<div class="jp-RenderedSVG') == 6


def test_tutorial_asks_nothing_of_the_network(tutorial: str) -> None:
    assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?:[^"]*', tutorial) == []
    assert not re.search(r"import[^;]{0,80}https?:|@import", tutorial)


def test_reference_has_every_command_and_table(pages: Path) -> None:
    commands = (pages / "reference/commands.md").read_text()
    assert re.findall(r"^## (.+)$", commands, re.M) == list(COMMANDS)
    columns = (pages / "reference/columns.md").read_text()
    assert set(re.findall(r"^## (.+)$", columns, re.M)) == {
        path.stem
        for path in resource("dbt", "models").rglob("*.sql")
        if not path.stem.startswith(("int_", "stg_"))
    }
    assert "| `is_volume` | `BOOLEAN` | " in columns
    assert "KVP (00180060" not in columns


def test_site_builds_without_a_warning(pages: Path, tmp_path: Path) -> None:
    if not ZENSICAL.exists():
        pytest.skip(f"no {ZENSICAL}: `make docs` installs it")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")
    shutil.copytree(pages, tmp_path / "build/site/pages")
    build = [ZENSICAL, "build", "--strict"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    html = tmp_path / "build/site/html"
    listed = re.findall(r"^ +- .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")} == set(listed)
    for name in listed:
        page = html / name.replace("README.md", "index.md")
        text = page.with_suffix(".html").read_text(encoding="utf-8")
        assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?:[^"]*', text) == []
    assert "wh.plot.spacing()" in (html / "docs/python.html").read_text(encoding="utf-8")
    with (tmp_path / "build/site/pages/README.md").open("a") as file:
        file.write("[gone](gone.md)\n")
    assert subprocess.run(build, cwd=tmp_path, capture_output=True, check=False).returncode != 0
