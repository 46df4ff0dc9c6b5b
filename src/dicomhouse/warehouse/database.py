"""The only room that opens DuckDB: makes a generation's file, and reads published ones."""

from __future__ import annotations

from collections.abc import Mapping
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from dicomhouse.errors import QueryError, StorageError
from dicomhouse.resources import resource

if TYPE_CHECKING:
    import pyarrow as pa

_STORAGE = "v1.5.0"  # the format that DuckDB 1.5 and 2.0 both read
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_READS = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.RELATION,
}


def register(database: Path, lake: Path, tolerances: Mapping[str, float]) -> None:
    """Create a generation's DuckDB file: views over its lake, the standard, the run's settings.

    The SQL is that of `sql/lake/`; its placeholders are filled with literal paths, since a
    variable of the connection would be gone when dbt connects.

    Raises:
        StorageError: the file cannot be written.
    """
    places = {
        "lake": _quoted(str(lake)),
        "lake_glob": _quoted(escape(str(lake))),
        "tables": _quoted(escape(str(resource("standard", "tables")))),
    }
    try:
        with duckdb.connect(config=_SETTINGS) as connection:
            connection.execute(
                f"attach '{_quoted(str(database))}' as warehouse (storage_version '{_STORAGE}')"
            )
            connection.execute("use warehouse")
            for script in sorted(resource("sql", "lake").glob("*.sql")):
                connection.execute(_filled(script.read_text(), places))
            if tolerances:
                connection.executemany(
                    "insert into run.tolerances values (?, ?)", list(tolerances.items())
                )
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise StorageError(
            f"cannot write {database.name}: {type(error).__name__}. Is the disk full?"
        ) from error


def checkpoint(database: Path) -> None:
    """Fold the write-ahead log into the file, so that it stands alone."""
    with duckdb.connect(str(database), config=_SETTINGS) as connection:
        connection.execute("checkpoint")
    database.with_name(database.name + ".wal").unlink(missing_ok=True)


def connect(database: Path, lake: Path) -> duckdb.DuckDBPyConnection:
    """Open a published generation for reading alone.

    The views over the lake hold its path; where the warehouse's folder has moved since, temporary
    ones with the present path take their place.
    """
    connection = duckdb.connect(str(database), read_only=True, config=_SETTINGS)
    connection.execute("set timezone = 'UTC'")
    (built,) = connection.execute("select lake from run.place").fetchall()[0]
    if built != str(lake):
        script = resource("sql", "moved.sql").read_text()
        connection.execute(_filled(script, {"lake_glob": _quoted(escape(str(lake)))}))
    return connection


def query(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    variables: Mapping[str, str | list[str]] | None = None,
) -> duckdb.DuckDBPyRelation:
    """Run one reading statement; `getvariable('name')` in it reads one of `variables`.

    Raises:
        QueryError: it is no single SELECT (or EXPLAIN, DESCRIBE, SHOW), or DuckDB refuses it.
    """
    try:
        statements = duckdb.extract_statements(sql)
        if len(statements) != 1:
            raise QueryError(f"one statement is needed, {len(statements)} were given.")
        if statements[0].type not in _READS:
            raise QueryError(
                f"only reading is allowed here, this is {statements[0].type.name}. "
                "To write, attach the DuckDB file to a database of your own."
            )
        for name, value in (variables or {}).items():
            quoted = name.replace('"', '""')
            connection.execute(f'set variable "{quoted}" = ?', [value])
        return connection.sql(sql)
    except duckdb.Error as error:
        raise QueryError(f"DuckDB: {error}") from error


def ask(
    tables: Mapping[str, pa.Table], sql: str, variables: Mapping[str, str | list[str]]
) -> pa.Table:
    """Run one reading statement over tables in memory, by their names."""
    with duckdb.connect(config=_SETTINGS) as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return query(connection, sql, variables).to_arrow_table()


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _filled(script: str, places: Mapping[str, str]) -> str:
    for name, text in places.items():
        script = script.replace("{" + name + "}", text)
    return script
