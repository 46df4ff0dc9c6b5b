"""A warehouse received from someone else is data: it decides neither what is read nor written."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from incremental import build_lake

import dicomhouse
from dicomhouse import filesystem
from dicomhouse.cli import main
from dicomhouse.dicom.bounds import Budget
from dicomhouse.errors import QueryError, StorageError, UsageError, WarehouseNotFound
from dicomhouse.lake.layout import COLUMNS_PART
from dicomhouse.lake.records import records
from dicomhouse.settings import Settings
from dicomhouse.testing import write_image
from dicomhouse.warehouse import database
from dicomhouse.warehouse.pixels import other_pixels

SECRET = "the reader's own secret"


@pytest.fixture
def received(demo: Path, tmp_path: Path) -> Path:
    """A warehouse that a test may change."""
    return Path(shutil.copytree(demo, tmp_path / "received", symlinks=True))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the reader's that is no business of the warehouse."""
    path = tmp_path / "secret.csv"
    path.write_text(SECRET)
    return path


def plant(warehouse: Path, *statements: str) -> None:
    """Change the DuckDB file of the current generation."""
    path = Path(os.path.realpath(warehouse / "warehouse.duckdb"))
    path.chmod(0o600)
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def plant_view(warehouse: Path, name: str, function: str) -> None:
    """Put a view in the place of a table, of the same columns, that first calls a function."""
    plant(
        warehouse,
        f"alter table {name} rename to planted",
        f"create view {name} as select planted.* from planted, {function}",
    )


def ways_out(secret: Path) -> dict[str, str]:
    written = secret.with_name("planted")
    return {
        "read_text": f"read_text('{secret}')",
        "read_csv": f"read_csv('{secret}')",
        "glob": f"glob('{secret.parent}/*')",
        "log": f"enable_logging(storage := 'file', storage_path := '{written}')",
        "profile": f"enable_profiling(save_location := '{written}')",
    }


@pytest.mark.parametrize("way", ["read_text", "read_csv", "glob", "log", "profile"])
@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("runs", ("status",)),
        ("runs", ("status", "--since", "1")),
        ("findings", ("check",)),
        ("studies", ("sql", "from studies")),
    ],
)
def test_planted_view_reads_and_writes_no_file(
    received: Path, secret: Path, capsys: pytest.CaptureFixture[str],
    way: str, table: str, words: tuple[str, ...],
) -> None:  # fmt: skip
    plant_view(received, table, ways_out(secret)[way])
    assert main([*words, "--warehouse", str(received)]) == QueryError.exit_code
    told = capsys.readouterr()
    assert SECRET not in told.out + told.err
    assert "disabled by configuration" in told.err or "has been locked" in told.err
    assert not secret.with_name("planted").exists()


def test_link_in_the_lake_leads_no_query_out_of_it(received: Path, secret: Path) -> None:
    lake = Path(os.path.realpath(received / "lake"))
    (lake / "link").symlink_to(secret)
    with dicomhouse.open(received) as opened, pytest.raises(QueryError, match="disabled"):
        opened.sql(f"from read_text('{lake}/link')")


def test_statement_reads_files_only_where_it_says_so(
    received: Path, secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("sql", f"select content from read_text('{secret}')", "--warehouse", str(received))
    assert main(words) == QueryError.exit_code
    assert SECRET not in capsys.readouterr().out
    assert main([*words, "--allow-files"]) == 0
    assert SECRET in capsys.readouterr().out


@pytest.mark.parametrize(
    "statement",
    ["copy (select 1) to '{}'", "attach '{}' as other", "install httpfs", "set threads = 1",
     "from enable_logging(storage := 'file', storage_path := '{}')"],
)  # fmt: skip
def test_allowed_files_are_only_read(
    received: Path, tmp_path: Path, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("sql", statement.format(tmp_path / "written"), "--allow-files")
    assert main([*words, "--warehouse", str(received)]) == QueryError.exit_code
    assert not (tmp_path / "written").exists()


def test_one_process_opens_a_warehouse_as_often_as_it_likes_but_in_one_way(received: Path) -> None:
    zone = "select current_setting('timezone')"
    with dicomhouse.open(received) as one, dicomhouse.open(received) as two:
        assert one.sql(zone).item() == two.sql(zone).item() == "UTC"
        third = dicomhouse.open(received, allow_files=True)
        with third, pytest.raises(UsageError, match="open in this process already"):
            third.sql(zone)
    with dicomhouse.open(received, allow_files=True) as alone:
        assert alone.sql(zone).item() == "UTC"


@pytest.mark.parametrize("way", ["read_text", "log"])
def test_build_reads_the_generation_before_without_its_views(
    received: Path, secret: Path, tmp_path: Path, way: str
) -> None:
    plant_view(received, "runs", ways_out(secret)[way])
    plant_view(received, "run.pixel_digests", ways_out(secret)[way])
    previous = Path(os.path.realpath(received / "warehouse.duckdb"))
    made = tmp_path / "warehouse.duckdb"
    with pytest.raises(StorageError, match="cannot read"):
        database.register(made, tmp_path / "lake", {}, {}, {}, previous)
    assert other_pixels(previous, {}, 1, Budget()) == ([], 0)  # views are not digests
    assert not secret.with_name("planted").exists()


def test_damaged_tables_are_told(received: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(received, "drop table main.runs")
    assert main(["status", "--warehouse", str(received)]) == QueryError.exit_code
    assert "Table with name runs does not exist" in capsys.readouterr().err


def test_reading_spills_only_where_nobody_else_looks(received: Path, tmp_path: Path) -> None:
    setting = "select current_setting('temp_directory')"
    folder = Path(os.path.realpath(received / "current"))
    with dicomhouse.open(received) as opened:
        assert opened.sql(setting).item().startswith(f"{folder}/")
    (folder / f".spill-{os.getpid()}").symlink_to(tmp_path)
    with dicomhouse.open(received) as opened:
        assert opened.sql(setting).item() == ""
    (folder / f".spill-{os.getpid()}").unlink()
    folder.chmod(0o755)
    with dicomhouse.open(received) as opened:
        assert opened.sql(setting).item() == ""


def test_connections_in_memory_spill_into_no_working_folder(
    received: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, found = duckdb.connect, []

    def connect(*words: Any, **named: Any) -> duckdb.DuckDBPyConnection:
        connection = real(*words, **named)
        asked = "select current_setting('temp_directory'), current_setting('memory_limit')"
        found.extend(connection.execute(asked).fetchall())
        return connection

    monkeypatch.setattr(duckdb, "connect", connect)
    parts = list((received / "lake").rglob("part-*.parquet"))
    database.connect_standard().close()
    database.ask({"rows": pa.table({"a": [1]})}, "from rows", {})
    database.files_of_parts([path for path in parts if "files" in path.parts])
    database.create_template(tmp_path / "template.duckdb")
    other_pixels(Path(os.path.realpath(received / "warehouse.duckdb")), {}, 1, Budget())
    assert found == [("", "3.7 GiB")] * 5
    database.differing(parts, parts, tmp_path / "spill")
    assert found[5:] == [(str(tmp_path / "spill"), "3.7 GiB")]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for patient in ("a", "b"):
        write_image(tmp_path / "in" / patient / "1", PatientID=patient)
    return tmp_path / "in"


def build(source: Path, **named: Any) -> list[str]:
    told: list[str] = []
    build_lake(Settings((str(source),), source.parent / "w", **named), told)
    return told


def outside(source: Path) -> list[str]:
    """What lies beside the source and the warehouse."""
    return sorted(path.name for path in source.parent.iterdir() if path.name not in ("in", "w"))


PLANTED: dict[str, dict[str, Any]] = {
    "upwards": {"paths": ["../../../../planted/files.parquet"]},
    "within": {"paths": ["files/source=in/../../../../../planted/files.parquet"]},
    "absolute": {"paths": ["/elsewhere/planted.parquet"]},
    "another's": {"paths": ["files/source=other/part-000001-01234567-00000.parquet"]},
    "name": {"name": "../../planted"},
    "source": {"source": "../planted"},
    "number": {"files": "1"},
    "column": {"image_columns": ['"; drop']},
    "status": {"statuses": {"\x1b[2J": 1}},
    "more": {"planted": 1},
}


@pytest.mark.parametrize("kind", PLANTED)
def test_record_of_a_part_is_believed_only_in_its_form(source: Path, kind: str) -> None:
    build(source)
    victim = source.parent / "planted"
    victim.mkdir()
    (victim / "files.parquet").write_text(SECRET)
    (path,) = (source.parent / "w" / "current" / "parts").glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | PLANTED[kind]))
    write_image(source / "c" / "1", PatientID="c")
    with pytest.raises(StorageError, match=r"1 of the 1 records in .* are damaged"):
        build(source)
    assert outside(source) == ["planted"]
    assert [path.name for path in victim.iterdir()] == ["files.parquet"]
    assert list(records(path.parent)) == []


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_part_that_is_no_plain_file_of_the_lake_is_not_taken_over(source: Path, kind: str) -> None:
    build(source)
    (path,) = (source.parent / "w" / "lake" / "images").rglob("part-*.parquet")
    real = source.parent / "elsewhere"
    if kind == "folder":
        path = path.parent
    path.rename(real)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(real)
    write_image(source / "c" / "1", PatientID="c")
    with pytest.raises(StorageError, match="--full-refresh"):
        build(source)
    assert real.exists()
    assert "build: full refresh" in build(source, full_refresh=True)[1]
    assert outside(source) == ["elsewhere"]


@pytest.mark.parametrize("name", [".build-lock", "generations"])
def test_command_that_builds_tells_of_a_link_in_one_sentence(
    source: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    build(source)
    victim = source.parent / "victim"
    (source.parent / "w" / name).rename(victim)
    (source.parent / "w" / name).symlink_to(victim)
    with pytest.raises((StorageError, UsageError)) as told:
        build(source)
    assert "\n" not in str(told.value)
    assert victim.exists()


def test_status_tells_of_a_damaged_generation_in_one_sentence(
    received: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (received / "current" / "run.json").write_text("\x1b[2J")
    assert main(["status", "--warehouse", str(received)]) == WarehouseNotFound.exit_code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("dicomhouse: no warehouse in") and told.err.count("\n") == 1


def test_report_is_written_beside_its_place_for_its_owner_alone(
    received: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("report", "--warehouse", str(received), "--output")
    page, victim = tmp_path / "page.html", tmp_path / "victim"
    page.write_text("old")
    page.chmod(0o644)
    with page.open() as opened:
        assert main([*words, str(page)]) == 0
        assert opened.read() == "old"  # the file that was there is another one
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert page.read_text() == (received / "report" / "index.html").read_text()
    victim.write_text("mine")
    guessed = tmp_path / ".guessed"
    guessed.hardlink_to(victim)
    with monkeypatch.context() as patch:
        patch.setattr(filesystem, "private_name", lambda path: guessed)
        assert main([*words, str(page)]) == StorageError.exit_code
    page.unlink()
    page.symlink_to(victim)
    assert main([*words, str(page)]) == StorageError.exit_code
    assert victim.read_text() == "mine"
    assert main([*words, str(tmp_path)]) == StorageError.exit_code
    assert {path.name for path in tmp_path.iterdir()} == {"page.html", "victim", "received"}


def test_report_that_is_a_link_is_not_copied(
    received: Path, secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = received / "report" / "index.html"
    page.unlink()
    page.symlink_to(secret)
    copy = secret.with_name("copy.html")
    words = ["report", "--warehouse", str(received), "--output", str(copy)]
    assert main(words) == StorageError.exit_code
    assert "cannot read" in capsys.readouterr().err
    assert not copy.exists()


def test_another_user_reads_nothing_of_a_warehouse(source: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("no second user: it takes root and setpriv")
    build(source)
    for folder in source.parents:  # pytest's own are closed too
        if folder == Path(tempfile.gettempdir()):
            break
        folder.chmod(0o755)
    (source.parent / "open").mkdir()
    (source.parent / "open").chmod(0o755)
    (source.parent / "open" / "letter").touch()
    other = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    look = [*other, "find", str(source.parent / "w"), str(source.parent / "open")]
    found = subprocess.run(look, capture_output=True, text=True, check=False).stdout
    assert f"{source.parent}/open/letter" in found
    assert f"{source.parent}/w/" not in found


def test_threads_open_a_warehouse_at_once(received: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = database.lock

    def slow(*words: Any) -> None:
        time.sleep(0.1)
        real(*words)

    def count(_: int) -> int:
        with dicomhouse.open(received) as opened:
            return int(opened.sql("select count(*) from files").item())

    monkeypatch.setattr(database, "lock", slow)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(count, range(8)))) == 1


def test_lake_without_its_columns_is_told(received: Path) -> None:
    (path,) = (received / "lake" / "images").rglob(COLUMNS_PART)
    path.unlink()
    with dicomhouse.open(received) as opened, pytest.raises(StorageError, match="is gone"):
        opened.images.collect()


def test_record_names_no_column_but_an_attributes(source: Path) -> None:
    build(source)
    (path,) = (source.parent / "w" / "current" / "parts").glob("*.json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"image_columns": [*record["image_columns"], "Planted"]}))
    write_image(source / "c" / "1", PatientID="c")
    with pytest.raises(StorageError, match="not an attribute's"):
        build(source, batch_files=1)
    build(source, full_refresh=True)
