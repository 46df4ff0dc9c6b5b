"""What runs tell of themselves: each one's record, and what changed from one to the next."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import run_cli

import dicomhouse
from dicomhouse.reader import Warehouse
from dicomhouse.testing import write_image


def image(path: Path, **attributes: object) -> None:
    write_image(path, PatientID="P", StudyInstanceUID="1.2", Modality="CT", **attributes)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs on two series, of which two generations are kept."""
    root = tmp_path_factory.mktemp("history")
    source, warehouse = root / "in", root / "w"
    for series in ("1", "2"):
        for number in range(3):
            image(source / series / str(number), SeriesInstanceUID=f"1.2.{series}", KVP="120",
                  InstanceNumber=number, TableHeight="5")  # fmt: skip
    words = ("--direct", "--warehouse", str(warehouse))
    assert run_cli("build", str(source), *words).returncode == 0
    (source / "1" / "0").unlink()
    image(source / "1" / "1", SeriesInstanceUID="1.2.1", KVP="100", InstanceNumber=1,
          TableHeight="5", StudyID="changed")  # fmt: skip
    assert run_cli("build", *words).returncode == 0
    shutil.rmtree(source / "2")
    image(source / "3" / "0", SeriesInstanceUID="1.2.3", InstanceNumber=7)
    assert run_cli("build", *words, "--keep", "2").returncode == 0
    again = run_cli("build", *words)
    assert "nothing changed since generation 3" in again.stderr
    return warehouse


def changes(opened: Warehouse, generation: int, entity: str) -> set[tuple[str, ...]]:
    rows = opened.sql(f"""
        select change, subject, before, after from run_changes inner join runs using (run_id)
        where generation = {generation} and entity = '{entity}'
    """)
    return set(rows.rows())


def test_runs_survive_their_generations(warehouse: Path) -> None:
    with dicomhouse.open(warehouse) as opened:
        runs = opened.sql("from runs order by generation")
        assert runs["generation"].to_list() == [1, 2, 3]
        assert runs["files"].to_list() == [6, 5, 3]
        told = runs.select("files_new", "files_changed", "files_gone").rows()
        assert told == [(6, 0, 0), (0, 1, 1), (1, 0, 3)]
        assert runs["reasons"].to_list()[1] == ["1 file changed", "1 file gone"]
        assert all(row["finished_at"] > row["started_at"] for row in runs.to_dicts())
        steps = opened.sql("select map_keys(seconds) as steps from runs")["steps"].to_list()
        assert all({"scan", "extract", "models"} <= set(named) for named in steps)
        assert opened.generation.run()["run_id"] == runs["run_id"].to_list()[-1]
    assert not (warehouse / "generations" / "000001").exists()


def test_changes_name_files_series_and_tags(warehouse: Path) -> None:
    with dicomhouse.open(warehouse) as opened:
        assert changes(opened, 1, "file") == set()  # nothing to compare with
        assert changes(opened, 2, "file") == {
            ("removed", "1/0", "ok", None), ("changed", "1/1", "ok", "ok"),
        }  # fmt: skip
        assert {(c, b, a) for c, _, b, a in changes(opened, 2, "series")} == {("changed", "3", "2")}
        tags = changes(opened, 2, "tag")
        assert ("level", "KVP", "source", "image") in tags
        assert not [row for row in tags if row[1] in ("TableHeight", "PatientID")]
        assert {(c, b, a) for c, _, b, a in changes(opened, 3, "series")} == {
            ("removed", "3", None), ("added", None, "1"),
        }  # fmt: skip


def test_status_tells_the_runs_and_what_came_after_one(warehouse: Path) -> None:
    at = ("--warehouse", str(warehouse))
    told = run_cli("status", *at).stdout
    assert "nothing was published yet" in told
    assert "1 file changed; 1 file gone" in told
    assert re.search(r"KVP +source +image", run_cli("status", *at, "--since", "1").stdout)
    second = json.loads((warehouse / "generations" / "000002" / "run.json").read_text())
    since = run_cli("status", *at, "--since", second["run_id"]).stdout
    assert "000002-" not in since and "removed" in since
    assert "nothing changed since" in run_cli("status", *at, "--since", "3").stdout
    assert run_cli("status", *at, "--since", "9").returncode == 2
