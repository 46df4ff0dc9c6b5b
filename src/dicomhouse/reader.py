"""A published generation, opened for reading from Python: SQL through DuckDB, Parquet as Polars."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

from dicomhouse.errors import StorageError, UsageError
from dicomhouse.store.generations import acquire

if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from dicomhouse.pixels.volume import Volume


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

    def volume(
        self,
        series: str,
        *,
        stack: int | None = None,
        time: int | None = None,
        echo: int | None = None,
        force: bool = False,
        mask_padding: bool = False,
    ) -> Volume:
        """A series as one array, its slices in order of position, in output units.

        Args:
            series: a SeriesInstanceUID, or a series_key.
            stack: the number of a stack in `series_geometry`; needed where there are several.
            time: of several images at each position, which one, from 1.
            echo: of several echoes, which one, from 1, the shortest first.
            force: put together what is no volume, too.
            mask_padding: NaN where PixelPaddingValue stands.

        Raises:
            PixelsFailed: it is no volume, or pixels cannot be decoded; the message says why.
            UsageError: no such series, stack, time or echo.
        """
        from dicomhouse.pixels.volume import find_stack

        chosen = find_stack(self.connection, series, stack=stack, time=time, echo=echo, force=force)
        return chosen.read(mask_padding)

    def absolute_path(self, source: str, path: str) -> Path:
        """Where a file of `files` lies, by its source and path.

        Raises:
            UsageError: no such source, or a path that leads out of it.
        """
        from dicomhouse.pixels.volume import absolute_path

        found = self.connection.execute(
            "select address from sources where source = ?", [source]
        ).fetchall()
        if not found:
            raise UsageError("no such source in this warehouse; `from sources` lists them.")
        return absolute_path(found[0][0], path)

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
