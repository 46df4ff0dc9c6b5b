"""The only room that opens DuckDB: makes a generation's file, and reads published ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from glob import escape
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from dicomhouse.errors import ModelsFailed, QueryError, StorageError, UsageError
from dicomhouse.filesystem import Files
from dicomhouse.ownership import is_private_folder
from dicomhouse.resources import resource

if TYPE_CHECKING:
    import pyarrow as pa

    from dicomhouse.warehouse.plan import Description

_STORAGE = "v1.5.0"  # the format that DuckDB 1.5 and 2.0 both read
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": "4GB",
}
IN_MEMORY = SETTINGS | {"temp_directory": ""}
"""Without a folder to spill to, which would be the working folder, for all to read."""
_ROWS_AT_ONCE = 100_000
_READING = SETTINGS | {"memory_limit": "3500MB"}
"""With it a process that answers, Python and Arrow included, stays below 4 GB."""
_READS = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.RELATION,
}
STORAGE_ERRORS = (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException)
"""What DuckDB raises where a disk or the memory is full; the last where a commit cannot write."""
FilesOfPart = tuple[list[Files], dict[str, list[str]]]
"""Its files, and by folder the names of those that were not read in full."""
_setting_up = threading.Lock()
"""Held meanwhile, since the connections of one process to one file have all settings in common."""
_ANALYZE = re.compile(r"\banalyze\b", re.IGNORECASE)


def register(
    database: Path,
    lake: Path,
    tolerances: Mapping[str, float],
    other_contents: Mapping[str, Collection[str]],
    record: Mapping[str, Any],
    previous: Path | None,
    template: bytes | None = None,
    expected: Path | None = None,
) -> None:
    """Create a generation's DuckDB file: views over its lake, the standard, the run's settings.

    The SQL is that of `sql/lake/`; its placeholders are filled with literal paths, since a
    variable of the connection would be gone when dbt connects.

    Args:
        database: the file to make.
        lake: the generation's lake.
        tolerances: by rule, what stands in for the default.
        other_contents: by source, paths of files that changed though size and time did not.
        record: what is known of the run by now.
        previous: the DuckDB file of the published generation, where there is one.
        template: what the file begins with: a plan's template, or the standard alone.
        expected: a list of what should be there.

    Raises:
        StorageError: the file cannot be written.
        UsageError: the list cannot be read.
    """
    if template is None:
        create_template(database)
    else:
        database.write_bytes(template)
    with writing(database), duckdb.connect(str(database), config=SETTINGS) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("set variable record = ?", [_json(record)])
        if previous is None:
            connection.execute("attach ':memory:' as previous")
            connection.execute(resource("sql", "previous", "none.sql").read_text())
        else:
            attach(connection, previous)
        lock(connection, lake)
        for script in sorted(resource("sql", "lake").glob("*.sql")):
            with asking(previous):
                connection.execute(filled(script.read_text(), _places(lake)))
        if tolerances:
            connection.executemany(
                "insert into run.tolerances values (?, ?)", list(tolerances.items())
            )
        others = [(source, path) for source, paths in other_contents.items() for path in paths]
        if others:
            connection.executemany("insert into run.other_contents values (?, ?)", others)
        if expected is not None:
            from dicomhouse.warehouse.expected import load

            load(connection, expected, "run.expected")


@contextmanager
def asking(previous: Path | None) -> Iterator[None]:
    """Tell what DuckDB says of a published generation whose tables are not what they should be.

    Raises:
        StorageError: it is damaged.
    """
    try:
        yield
    except STORAGE_ERRORS:
        raise
    except duckdb.Error as error:
        if previous is None:
            raise
        raise _unreadable(previous, error) from error


def create_template(database: Path) -> None:
    """Create a DuckDB file that holds the standard alone, in the form that every file has.

    Raises:
        StorageError: the file cannot be written.
    """
    with writing(database), duckdb.connect(config=IN_MEMORY) as connection:
        connection.execute(
            f"attach '{_quoted(str(database))}' as warehouse (storage_version '{_STORAGE}')"
        )
        connection.execute("use warehouse")
        connection.execute(_standard())


@contextmanager
def modelling(
    database: Path, settings: Mapping[str, Any], spill: Path
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection on which the models of a generation's file are made; checkpointed at the end.

    Nothing is logged meanwhile, so no table is written twice: a file whose models were not all made
    is never published. The file is current in the connection, in its cursors after `use warehouse`.

    Args:
        database: the file.
        settings: DuckDB's, of the dbt project's profile.
        spill: a private folder for what does not fit into memory; removed afterwards.

    Raises:
        StorageError: the file cannot be written, or there is not enough memory.
    """
    config = {**SETTINGS, **settings, "temp_directory": str(spill)}
    try:
        with writing(database), duckdb.connect(config=config) as connection:
            connection.execute(
                f"attach '{_quoted(str(database))}' as warehouse (recovery_mode no_wal_writes)"
            )
            connection.execute("use warehouse")
            connection.execute("set timezone = 'UTC'")
            yield connection
            connection.execute("checkpoint")
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def relations(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """Schema and name of every table and view."""
    found = connection.execute(resource("sql", "relations.sql").read_text()).fetchall()
    return {(schema, name) for schema, name in found}


def create_schemas(connection: duckdb.DuckDBPyConnection, names: Collection[str]) -> None:
    """Create the schemas that are not there."""
    for name in sorted(names):
        quoted = name.replace('"', '""')
        connection.execute(f'create schema if not exists "{quoted}"')


def describe(
    connection: duckdb.DuckDBPyConnection, descriptions: Sequence[Description], threads: int = 1
) -> None:
    """Make descriptions comments of their relations and columns.

    Columns that only the data bring, as those of `images`, have the standard's name of theirs.

    Args:
        connection: to the database that the relations stand in, which is current.
        descriptions: of the relations.
        threads: how many relations may be described at a time.
    """
    script = resource("sql", "comments.sql").read_text()
    rows = [
        {"schema": d.schema, "name": d.name, "kind": d.kind, "text": d.text,
         "columns": [{"name": name, "text": text} for name, text in d.columns.items()]}
        for d in descriptions
    ]  # fmt: skip
    connection.execute("set variable descriptions = ?", [json.dumps(rows)])
    found = connection.execute(script).fetchall()

    def carry_out(statements: Sequence[str]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("use warehouse")
            # One transaction: each statement by itself would be written to the log by itself.
            cursor.execute(";\n".join(["begin", *statements, "commit"]))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(carry_out, (statements for (statements,) in found)))


def attach(connection: duckdb.DuckDBPyConnection, previous: Path) -> None:
    """Attach a published generation's DuckDB file as `previous`.

    Raises:
        StorageError: it is damaged, or open for writing elsewhere.
    """
    try:
        connection.execute(f"attach '{_quoted(str(previous))}' as previous (read_only)")
    except duckdb.Error as error:
        raise _unreadable(previous, error) from error


def _unreadable(database: Path, error: duckdb.Error) -> StorageError:
    if "Could not set lock" in str(error):
        return StorageError(
            f"{database} is open for writing in another program, which keeps all others out. "
            "Close it there, or open it for reading alone (read_only=True, duckdb -readonly)."
        )
    return StorageError(
        f"cannot read {database}: {type(error).__name__}. Where it is damaged, remove the "
        "folder that it is in, then build again: the generation before it is taken up."
    )


@contextmanager
def writing(database: Path) -> Iterator[None]:
    """Tell what DuckDB says of a disk that is full, or refuses, as an error of the run.

    Raises:
        StorageError: the file cannot be written.
    """
    try:
        yield
    except STORAGE_ERRORS as error:
        raise StorageError(
            f"cannot write {database.name}: {type(error).__name__}. Is the disk full?"
        ) from error


def differing(before: Sequence[Path], now: Sequence[Path], spill: Path) -> list[tuple[str, str]]:
    """Source and path of the files whose rows in `files` and `elements` are not the same.

    Args:
        before: files of the lake, one at least of each table.
        now: likewise, of a lake that read the same files again.
        spill: a private folder for what does not fit into memory.
    """
    with duckdb.connect(config=SETTINGS | {"temp_directory": str(spill)}) as connection:
        for when, paths in (("before", before), ("now", now)):
            for table in ("files", "elements"):
                own = [escape(str(path)) for path in paths if table in path.parts]
                connection.execute(f"set variable {table}_{when} = ?", [own])
        script = resource("sql", "differing.sql").read_text()
        return [(source, path) for source, path in connection.execute(script).fetchall()]


def files_of_parts(paths: Sequence[Path]) -> dict[Path, FilesOfPart]:
    """What parts say of their files. Parts that cannot be read are left out.

    Args:
        paths: what the parts have in the table `files`.
    """
    if not paths:
        return {}
    try:
        return _files_of_parts(paths)
    except duckdb.Error:
        found: dict[Path, FilesOfPart] = {}
        for path in paths:
            with suppress(duckdb.Error):
                found |= _files_of_parts([path])
        return found


def _files_of_parts(paths: Sequence[Path]) -> dict[Path, FilesOfPart]:
    with duckdb.connect(config=IN_MEMORY) as connection:
        connection.execute("set variable files = ?", [[escape(str(path)) for path in paths]])
        rows = connection.execute(resource("sql", "files_of_parts.sql").read_text()).fetchall()
    by_part: dict[str, FilesOfPart] = {str(path): ([], {}) for path in paths}
    for part, folder, names, sizes, times, problems, not_read in rows:
        files, unread = by_part[part]
        reasons = {problem["name"]: problem["reason"] for problem in problems or ()}
        files.append(Files(folder, names, sizes, times, reasons))
        if not_read:
            unread[folder] = not_read
    return {path: by_part[str(path)] for path in paths}


def finish(database: Path, record: Mapping[str, Any]) -> None:
    """Note how the run ended, and fold the write-ahead log into the file: it stands alone then.

    Raises:
        ModelsFailed: the tables hold another number of files, images or elements than the lake.
        StorageError: the file cannot be written.
    """
    with writing(database), duckdb.connect(str(database), config=SETTINGS) as connection:
        connection.execute("set timezone = 'UTC'")
        _check_counts(connection, record)
        connection.execute("set variable record = ?", [_json(record)])
        connection.execute(resource("sql", "finish.sql").read_text())
        connection.execute("checkpoint")
    database.with_name(database.name + ".wal").unlink(missing_ok=True)


def _check_counts(connection: duckdb.DuckDBPyConnection, record: Mapping[str, Any]) -> None:
    wanted = {
        "files": sum(record["files"].values()),
        "images": record["images"],
        "elements": record["elements"],
    }
    (counted,) = connection.execute(resource("sql", "counts.sql").read_text()).fetchall()
    for (name, lake), table in zip(wanted.items(), counted, strict=True):
        if table != lake:
            raise ModelsFailed(
                f"the table {name} has {table:,} rows, where the lake has {lake:,}, so nothing was "
                f"published; what this run has read is kept for the next one. Does the model "
                f"{name} leave some out?"
            )


def connect(database: Path, lake: Path, allow_files: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a published generation for reading alone.

    Args:
        database: the generation's file.
        lake: its lake: besides the file all that a query may read.
        allow_files: let queries read any file of this machine.

    Raises:
        StorageError: it is damaged, or open for writing elsewhere.
        UsageError: this process has it open with the other answer to `allow_files`.
    """
    folder = database.parent
    spill = folder / f".spill-{os.getpid()}"
    can_spill = is_private_folder(folder) and not spill.is_symlink()
    config = _READING | {"temp_directory": str(spill) if can_spill else ""}
    try:
        connection = duckdb.connect(str(database), read_only=True, config=config)
        with _setting_up:
            _set_up(connection, lake, allow_files)
        connection.execute("set variable dicomhouse_lake = ?", [str(lake)])
    except duckdb.Error as error:
        raise _unreadable(database, error) from error
    return connection


def _set_up(connection: duckdb.DuckDBPyConnection, lake: Path, allow_files: bool) -> None:
    """Set the zone and lock a connection, or find that another one to the same file has."""
    ((is_locked, has_files),) = connection.execute(
        "select current_setting('lock_configuration'), current_setting('enable_external_access')"
    ).fetchall()
    if not is_locked:
        connection.execute("set global timezone = 'UTC'")
        lock(connection, lake, allow_files)
    elif has_files != allow_files:
        connection.close()
        raise UsageError(
            f"{lake.parent} is open in this process already, with{'' if has_files else 'out'} "
            "leave to read other files. Close it first."
        )


def lock(connection: duckdb.DuckDBPyConnection, lake: Path, allow_files: bool = False) -> None:
    """Let a connection, which may ask what others wrote, read and write no file but its own.

    Those are its databases and the lake. With `allow_files` it may read all; either way no setting
    can be changed any more, and with that no log or profile be written.
    """
    if allow_files:
        connection.execute("set lock_configuration = true")
    else:
        script = resource("sql", "lock.sql").read_text()
        connection.execute(filled(script, _places(lake)))


def connect_standard() -> duckdb.DuckDBPyConnection:
    """A database in memory that holds the standard alone, as `sql/standard.sql` makes it."""
    connection = duckdb.connect(config=IN_MEMORY)
    connection.execute(_standard())
    return connection


def _standard() -> str:
    script = resource("sql", "standard.sql").read_text()
    return filled(script, {"tables": _quoted(escape(str(resource("standard", "tables"))))})


def query(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    variables: Mapping[str, str | int | list[str] | None] | None = None,
) -> pa.Table:
    """Run one reading statement; `getvariable('name')` in it reads one of `variables`.

    Raises:
        QueryError: it is not a single SELECT (or EXPLAIN, DESCRIBE, SHOW), or DuckDB refuses it, or
            cannot carry it out; then its message leaves out the value that DuckDB names.
    """
    relation = _reading(connection, sql, variables)
    with _without_values():
        return _told_apart(relation.to_arrow_table())


def stream(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    variables: Mapping[str, str | int | list[str] | None] | None = None,
) -> Iterator[pa.RecordBatch]:
    """The rows of one reading statement of ours, some at a time: there may be millions.

    The first batch comes without rows, for the columns' sake.

    Raises:
        QueryError: as `query`.
    """
    import pyarrow as pa

    relation = _reading(connection, sql, variables)
    with _without_values():
        rows = relation.to_arrow_reader(_ROWS_AT_ONCE)
        yield pa.RecordBatch.from_pylist([], rows.schema)
        yield from rows


def _reading(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    variables: Mapping[str, str | int | list[str] | None] | None,
) -> duckdb.DuckDBPyRelation:
    try:
        statements = duckdb.extract_statements(sql)
        if len(statements) != 1:
            raise QueryError(f"one statement is needed, {len(statements)} were given.")
        if statements[0].type not in _READS:
            raise QueryError(
                f"only reading is allowed here, this is {statements[0].type.name}. "
                "To write, attach the DuckDB file to a database of your own."
            )
        if statements[0].type == duckdb.StatementType.EXPLAIN and _ANALYZE.search(sql):
            raise QueryError(
                "EXPLAIN ANALYZE carries the statement out, whatever it is; EXPLAIN alone shows "
                "the plan."
            )
        for name, value in (variables or {}).items():
            quoted = name.replace('"', '""')
            connection.execute(f'set variable "{quoted}" = ?', [value])
        return connection.sql(sql)
    except duckdb.Error as error:
        raise QueryError(f"DuckDB: {error}") from error


@contextmanager
def _without_values() -> Iterator[None]:
    """Tell what DuckDB says of rows, without the values of theirs that it names."""
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise QueryError(f"DuckDB: {error}") from error
    except duckdb.Error as error:
        kind, _, words = str(error).partition(":")
        _, _, place = words.partition("\n\nLINE ")
        raise QueryError(
            f"DuckDB: {kind} in the rows; its words may hold a value of theirs and are left out."
            + (f"\n\nLINE {place}" if place else "")
        ) from None


def _told_apart(rows: pa.Table) -> pa.Table:
    """Rows whose columns have names of their own, as DuckDB's tables would, and plain numbers.

    The second column `path` is `path_1`. A HUGEINT, as a sum of integers is one, comes from DuckDB
    as a decimal; where the numbers fit it is a BIGINT.
    """
    import pyarrow as pa

    names: list[str] = []
    for name in rows.column_names:
        others = {*names, *(rows.column_names if name in names else ())}
        free = (f"{name}_{n}" if n else name for n in count())
        names.append(next(new for new in free if new not in others))
    columns = []
    for column in rows.columns:
        plain = column
        if column.type == pa.decimal128(38, 0):
            with suppress(pa.ArrowInvalid):
                plain = column.cast(pa.int64())
        columns.append(plain)
    return pa.table(columns, names=names)


def ask(
    tables: Mapping[str, pa.Table], sql: str, variables: Mapping[str, str | list[str]]
) -> pa.Table:
    """Run one reading statement over tables in memory, by their names."""
    with duckdb.connect(config=IN_MEMORY) as connection:
        connection.execute(resource("sql", "lake", "values.sql").read_text())
        for name, table in tables.items():
            connection.register(name, table)
        return query(connection, sql, variables)


def _json(record: Mapping[str, Any]) -> str:
    """A record as JSON that DuckDB reads; bytes of a path that are not UTF-8 as `\\xNN`."""
    text = json.dumps(record, ensure_ascii=False)
    return re.sub("[\udc80-\udcff]", lambda odd: rf"\\x{ord(odd[0]) - 0xDC00:02x}", text)


def _places(lake: Path) -> dict[str, str]:
    """What fills the placeholders of a script that reads the lake."""
    return {"lake": _quoted(str(lake)), "lake_glob": _quoted(escape(str(lake)))}


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def filled(script: str, places: Mapping[str, str]) -> str:
    """A script with its `{placeholders}` filled; other braces stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda place: places.get(place[1], place[0]), script)
