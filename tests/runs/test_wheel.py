"""The wheel carries all that a run needs, and a build from it works in any folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from places import ROOT

from dicomhouse.testing import build_cohort

NOT_SHIPPED = ("__pycache__", ".pyc")


def built(project: Path, folder: Path) -> Path:
    words = ("--quiet", "--no-deps", "--no-build-isolation")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *words, "-w", folder, project], check=True
    )
    (wheel,) = folder.glob("dicomhouse-*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("dist"))


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(listed.stdout.split())


def test_wheel_holds_package_flows_sql_and_dbt_and_nothing_else(wheel: Path) -> None:
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    expected = {path.removeprefix("src/") for path in tracked("src")} | {
        f"dicomhouse/{path}" for path in tracked("flows", "sql", "dbt")
    }
    assert names == expected
    assert "dicomhouse/dbt/__init__.py" not in names


def test_same_sources_give_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """Wherever they lie, and whenever they were written."""
    copied = tmp_path / "elsewhere"
    for path in tracked("."):
        (copied / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, copied / path)
        os.utime(copied / path, (1_000_000_000, 1_000_000_000))
    subprocess.run(["git", "init", "--quiet", copied], check=True)
    assert built(copied, tmp_path).read_bytes() == wheel.read_bytes()


def test_all_that_is_installed_is_pinned_by_hash() -> None:
    locks = sorted((ROOT / "requirements").iterdir())
    assert {"build.txt", "development.txt", "runtime.txt"} <= {path.name for path in locks}
    for path in locks:
        for entry in re.split(r"\n(?=\S)", path.read_text().strip()):
            assert re.fullmatch(
                r"[\w.-]+==[\w.]+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", entry
            ), (path.name, entry[:60])


def test_build_works_from_the_wheel_in_another_folder(wheel: Path, tmp_path: Path) -> None:
    """The dependencies are this environment's; the package itself is the wheel's alone."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    build_cohort(tmp_path / "in", patients=1, slices=8)
    program = (
        "import sys, dicomhouse; sys.stderr.write(dicomhouse.__file__);"
        "from dicomhouse.cli import main; sys.exit(main())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(
        [str(site), sysconfig.get_path("purelib")])}  # fmt: skip
    for words in (["build", "in", "--direct"], ["check"], ["sql", "--report", "overview"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert str(site) in done.stderr
