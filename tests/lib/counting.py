"""The values that a lake says its images hold, and those that its elements show."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb

SQL = Path(__file__).with_name("value_counts.sql")


def counted(lake: Path) -> Counter[tuple[Any, ...]]:
    """What the parts count, rows that come again added up."""
    with _opened(lake, "_value_counts") as connection:
        connection.execute("""
            create view told as select source, Modality, * exclude
            (source, Modality, images, example_file_id), sum(images)::bigint as images,
            min(example_file_id) as example_file_id from lake__value_counts group by all
        """)
        return _rows(connection, "told")


def grouped(lake: Path) -> Counter[tuple[Any, ...]]:
    """What SQL groups from the rows of `elements`."""
    with _opened(lake, "elements") as connection:
        connection.execute(f"create view told as {SQL.read_text()}")
        return _rows(connection, "told")


def _opened(lake: Path, table: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"""
        create view lake_{table} as select * from read_parquet(
            '{lake}/{table}/**/*.parquet', hive_partitioning = true, union_by_name = true,
            hive_types = {{'source': varchar, 'Modality': varchar}}
        )
    """)
    return connection


def _rows(connection: duckdb.DuckDBPyConnection, view: str) -> Counter[tuple[Any, ...]]:
    columns = sorted(name for name, *_ in connection.execute(f"describe {view}").fetchall())
    names = ", ".join(f'"{name}"' for name in columns)
    return Counter(connection.execute(f"select {names} from {view}").fetchall())
