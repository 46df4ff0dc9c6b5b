"""A published generation, opened for reading from Python: SQL through DuckDB, Parquet as Polars."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

from dicomhouse.errors import StorageError
from dicomhouse.lake.generations import acquire

if TYPE_CHECKING:
    import duckdb
    import polars as pl


class Warehouse:
    """One generation of a warehouse, the same as long as it is open, whatever is built meanwhile.

    Args:
        folder: the warehouse's folder.
        generation: a number of `generations/` instead of the current one.
        allow_files: let queries read other files of this machine too. Then so do the views of a
            warehouse received from someone else.

    Raises:
        WarehouseNotFound: nothing was published there.
    """

    def __init__(
        self, folder: str | Path, generation: int | None = None, allow_files: bool = False
    ) -> None:
        self.generation, self._lock = acquire(Path(folder), generation)
        self._allow_files = allow_files
        self._connection: duckdb.DuckDBPyConnection | None = None

    @property
    def files(self) -> pl.LazyFrame:
        """One row per file found."""
        return self._scan("files")

    @property
    def elements(self) -> pl.LazyFrame:
        """One row per element of each file, nested ones too."""
        return self._scan("elements")

    @property
    def images(self) -> pl.LazyFrame:
        """One row per file that holds an instance, one typed column per attribute."""
        return self._scan("images")

    def sql(self, query: str) -> pl.DataFrame:
        """The result of one SELECT on the generation's DuckDB file.

        Raises:
            QueryError: DuckDB refuses it, or it would write.
        """
        import polars as pl

        from dicomhouse.warehouse.database import query as run

        return cast("pl.DataFrame", pl.from_arrow(run(self.connection, query)))

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """DuckDB's own connection, read-only; its settings and the files it reads are fixed."""
        if self._connection is None:
            from dicomhouse.warehouse.database import connect

            generation = self.generation
            self._connection = connect(generation.database, generation.lake, self._allow_files)
        return self._connection

    def close(self) -> None:
        """Let the generation go; it may then be removed by later runs."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.close()

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _scan(self, table: str) -> pl.LazyFrame:
        import polars as pl

        from dicomhouse.lake.layout import COLUMNS_PART

        folder = self.generation.lake / table
        # Parts differ in their columns; without the full schema Polars would take the first's.
        columns = next(folder.rglob(COLUMNS_PART), None)
        if columns is None:
            raise StorageError(
                f"cannot read {folder}: {COLUMNS_PART} is gone. Build again with --full-refresh."
            )
        partitions = {"source": pl.String} | ({} if table == "files" else {"Modality": pl.String})
        return pl.scan_parquet(
            f"{escape(str(folder))}/**/*.parquet",
            schema=pl.read_parquet_schema(escape(str(columns))),
            hive_partitioning=True,
            hive_schema=partitions,
            missing_columns="insert",
        )
