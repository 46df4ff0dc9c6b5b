"""What runs tell of themselves: each one's record, and what changed from one to the next."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from building import build_findings
from commands import call_cli

import dicomhouse
from dicomhouse.cli import main
from dicomhouse.errors import SourceLost, UsageError, WarehouseNotFound
from dicomhouse.reader import Warehouse
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.store import failures, generations
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
    settings = Settings((str(source),), warehouse)
    build_findings(settings)
    (source / "1" / "0").unlink()
    image(source / "1" / "1", SeriesInstanceUID="1.2.1", KVP="100", InstanceNumber=1,
          TableHeight="5", StudyID="changed")  # fmt: skip
    build_findings(settings)
    shutil.rmtree(source / "2")
    image(source / "3" / "0", SeriesInstanceUID="1.2.3", InstanceNumber=7)
    build_findings(replace(settings, keep_generations=2))
    told: list[str] = []
    build_findings(settings, told.append)
    assert "nothing changed since generation 3" in told[-1]
    return warehouse


def test_what_is_forgotten_is_not_said_any_more(tmp_path: Path) -> None:
    name = "DOE^JANE 19700101"
    image(tmp_path / "in" / "1", SeriesInstanceUID="1.2.1")
    image(tmp_path / name / f"of {name}", SeriesInstanceUID="1.2.2")
    image(tmp_path / "more" / "2", SeriesInstanceUID="1.2.3")

    warehouse = tmp_path / "w"
    build_findings(Settings((str(tmp_path / "in"), str(tmp_path / name)), warehouse))
    build_findings(Settings((f"other={tmp_path / 'more'}",), warehouse))
    (tmp_path / name / "late").write_text("no DICOM")
    build_findings(Settings((), warehouse))
    with dicomhouse.open(tmp_path / "w") as opened:
        assert opened.sql(f"select count(*) n from run_changes where source = '{name}'").item() > 0
    forgetting = Settings((), warehouse, forget=(name,), keep_generations=1)
    build_direct(forgetting, lambda line: None)
    with dicomhouse.open(tmp_path / "w") as opened:
        runs = opened.sql("select reasons, parameters, sources from runs order by generation")
        assert runs["sources"].to_list() == [
            ["in"],
            ["in", "other"],
            ["in", "other"],
            ["in", "other"],
        ]
        assert runs["reasons"].to_list()[-1] == ["2 files gone", "1 source forgotten"]
        assert json.loads(runs["parameters"][0])["sources"] == [str(tmp_path / "in")]
        assert opened.sql("select distinct source from run_changes").rows() == [("other",)]
        for (table,) in opened.sql("""
            select distinct schema_name || '.' || table_name from duckdb_columns()
            where database_name = current_database() and not internal
        """).rows():  # fmt: skip
            asked = f"select count(*) n from {table} as held where contains(held::varchar, 'DOE')"
            assert opened.sql(asked).item() == 0, table
    files = [path for path in (tmp_path / "w").rglob("*") if path.is_file()]
    assert [path for path in files if b"DOE^JANE" in path.read_bytes()] == []
    assert [path for path in files if "DOE" in path.relative_to(tmp_path).as_posix()] == []


def test_failed_run_is_told_until_one_publishes_and_then_stands_in_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--warehouse", str(tmp_path / "w"))
    image(tmp_path / "in" / "1", SeriesInstanceUID="1.2.1")
    settings = Settings((str(tmp_path / "in"),), tmp_path / "w")
    moved = (tmp_path / "in" / "1").rename(tmp_path / "1")
    with pytest.raises(UsageError):
        build_direct(settings, lambda line: None)
    assert main(["status", *at]) == WarehouseNotFound.exit_code
    assert "no files below" in capsys.readouterr().out
    moved.rename(tmp_path / "in" / "1")
    build_findings(settings)
    moved = (tmp_path / "in" / "1").rename(tmp_path / "1")
    with pytest.raises(SourceLost):
        build_direct(settings, lambda line: None)
    assert (tmp_path / "w" / "failures.jsonl").stat().st_mode & 0o777 == 0o600
    assert main(["status", *at]) == 0
    assert "source in: no file below" in capsys.readouterr().out
    build_findings(Settings((), tmp_path / "w", allow_empty=True))
    with dicomhouse.open(tmp_path / "w") as opened:
        runs = opened.sql("select generation, failure like '%file%below%' as is_told from runs")
    found = sorted(runs.rows(), key=str)
    assert found == [(1, None), (2, None), (None, True), (None, True)]
    assert main(["status", *at]) == 0
    assert capsys.readouterr().out.startswith("run_id")


@pytest.mark.parametrize("step", ["_point_to", "prune"])
def test_run_killed_as_it_publishes_stands_in_runs_once_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    settings = Settings((str(tmp_path / "in"),), tmp_path / "w")
    image(tmp_path / "in" / "1", SeriesInstanceUID="1.2.1")
    build_findings(settings)
    image(tmp_path / "in" / "2", SeriesInstanceUID="1.2.1")

    def killed(*given: object) -> None:
        raise ZeroDivisionError  # of which nothing is noted, as where the process is gone

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(generations, step, killed)
        if step == "prune":  # the link was replaced, and no more
            patch.setattr(failures, "clear", lambda warehouse: None)
        build_findings(settings)
    told: list[str] = []
    build_findings(settings, told.append)
    assert "nothing changed since generation 2" in told[-1]
    assert failures.noted(tmp_path / "w") == []
    image(tmp_path / "in" / "3", SeriesInstanceUID="1.2.1")
    build_findings(settings)
    with dicomhouse.open(tmp_path / "w") as opened:
        runs = opened.sql("select generation, failure from runs order by generation").rows()
    assert runs == [(1, None), (2, None), (3, None)]


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
        assert all(row["finished_at"] >= row["started_at"] for row in runs.to_dicts())
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
    told = call_cli("status", *at).stdout
    assert "nothing was published yet" in told
    assert "1 file changed; 1 file gone" in told
    assert re.search(r"KVP +source +image", call_cli("status", *at, "--since", "1").stdout)
    second = json.loads((warehouse / "generations" / "000002" / "run.json").read_text())
    since = call_cli("status", *at, "--since", second["run_id"]).stdout
    assert "000002-" not in since and "removed" in since
    assert "nothing changed since" in call_cli("status", *at, "--since", "3").stdout
    assert call_cli("status", *at, "--since", "9").returncode == 2
