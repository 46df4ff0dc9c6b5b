"""A warehouse received from someone else is data: it decides neither what is read nor written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb
import pytest

import dicomhouse
from dicomhouse.cli import main
from dicomhouse.errors import QueryError, UsageError
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
    with pytest.raises(database.StorageError, match="cannot read"):
        database.register(made, tmp_path / "lake", {}, {}, {}, previous)
    assert other_pixels(previous, {}, 1) == []  # views are no digests
    assert not secret.with_name("planted").exists()


def test_damaged_tables_are_told(received: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(received, "drop table run.place")
    assert main(["status", "--warehouse", str(received)]) == database.StorageError.exit_code
    assert "cannot read" in capsys.readouterr().err


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


def test_connections_in_memory_spill_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with database.connect_standard() as connection:
        asked = "select current_setting('temp_directory'), current_setting('memory_limit')"
        assert connection.execute(asked).fetchall() == [("", "3.7 GiB")]
