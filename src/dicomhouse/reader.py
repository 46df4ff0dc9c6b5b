"""A published generation, opened for reading from Python: SQL through DuckDB, Parquet as Polars."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property, partial
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

from dicomhouse.errors import DicomhouseError, StorageError, UsageError, unknown
from dicomhouse.resources import resource
from dicomhouse.store.generations import acquire

if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from dicomhouse.pixels.volume import Volume
    from dicomhouse.plots import Plots


class Warehouse:
    """One generation of a warehouse, the same as long as it is open, whatever is built meanwhile.

    Every table of `tables` is an attribute: `wh.series`, `wh.findings`, ... are Polars LazyFrames,
    and `help(wh.series)` says what its columns hold.

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
        self._is_closed = False
        self._texts: dict[str, str] = {}

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

    @property
    def tables(self) -> pl.DataFrame:
        """The tables that people query: `name`, `rows`, `columns` and `description` of each."""
        self._check_open()
        return self._tables

    def columns(self, table: str) -> pl.DataFrame:
        """The columns of a table: `name`, `type` and `description`.

        Raises:
            UsageError: there is no such table.
        """
        if table not in self._names():
            raise unknown("table", table, self._names())
        return self._asked("commands", "columns", table=table)

    def report(self, name: str, **parameters: str) -> pl.DataFrame:
        """The answer to a question that is kept, or to one of your own in a file (`.sql`).

        Args:
            name: as `dicomhouse sql --report` lists them.
            parameters: those that it takes.

        Raises:
            UsageError: no such report, or other parameters than it takes.
            QueryError: DuckDB refuses it.
        """
        import polars as pl

        from dicomhouse.questions import question
        from dicomhouse.warehouse.database import query as run

        asked = question(name)
        rows = run(self.connection, asked.sql, asked.variables(parameters))
        return cast("pl.DataFrame", pl.from_arrow(rows))

    def sql(self, query: str) -> pl.DataFrame:
        """The result of one SELECT on the generation's DuckDB file.

        Raises:
            QueryError: DuckDB refuses it, or it would write.
        """
        import polars as pl

        from dicomhouse.warehouse.database import query as run

        return cast("pl.DataFrame", pl.from_arrow(run(self.connection, query)))

    @property
    def plot(self) -> Plots:
        """Charts: `wh.plot.spacing()`, `.tag("KVP")`, `.slices_per_patient()`, ...

        Raises:
            UsageError: Altair is not installed.
        """
        from dicomhouse.plots import Plots

        return Plots(partial(self._asked, "plots"))

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
            force: put together what is not a volume, too.
            mask_padding: NaN where PixelPaddingValue stands.

        Raises:
            PixelsFailed: it is not a volume, or pixels cannot be decoded; the message says why.
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
        from dicomhouse.sources.opening import IS_STORE, place

        found = self.connection.execute(
            "select address from sources where source = ?", [source]
        ).fetchall()
        if not found:
            raise UsageError("no such source in this warehouse; `from sources` lists them.")
        if IS_STORE in found[0][0]:
            raise UsageError("an object has no path; absolute_path of SQL has its address.")
        return Path(place(found[0][0], path))

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """DuckDB's own connection, read-only; its settings and the files it reads are fixed."""
        self._check_open()
        if self._connection is None:
            from dicomhouse.warehouse.database import connect

            generation = self.generation
            self._connection = connect(generation.database, generation.lake, self._allow_files)
        return self._connection

    def close(self) -> None:
        """Let the generation go; it may then be removed by later runs."""
        self._is_closed = True
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

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            self.close()

    def __getattr__(self, name: str) -> pl.LazyFrame:
        if name.startswith("_") or name not in self._names():
            raise AttributeError(f"no table or attribute {name}; `tables` lists the tables")
        return self._described(name, self.connection.table(name).pl(lazy=True))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._names()})

    def __repr__(self) -> str:
        if self._is_closed:
            return f"<Warehouse, closed: generation {self.generation.number}>"
        counts = ", ".join(f"{n:,} {name}" for name, n in self._counts())
        return f"<Warehouse, generation {self.generation.number}: {counts}>"

    def _repr_html_(self) -> str:
        from html import escape as text

        if self._is_closed:
            return text(repr(self))
        left = "style='text-align: left'"
        rows = "".join(
            f"<tr><td {left}><code>{text(row['name'])}</code></td>"
            f"<td>{'' if row['rows'] is None else format(row['rows'], ',')}</td>"
            f"<td {left}>{text((row['description'] or '').partition('. ')[0])}</td></tr>"
            for row in self.tables.to_dicts()
        )
        return f"<p>{text(repr(self)[1:-1])}</p><table>{rows}</table>"

    @cached_property
    def _tables(self) -> pl.DataFrame:
        return self._asked("commands", "tables")

    def _counts(self) -> list[tuple[str, int]]:
        rows = self._asked("commands", "summary").rows()
        return [(str(name), int(n)) for name, n in rows]

    def _names(self) -> list[str]:
        return cast("list[str]", self.tables["name"].to_list())

    def _asked(self, folder: str, name: str, **variables: str | int | None) -> pl.DataFrame:
        """The answer to one of the questions in a folder of `sql/`."""
        import polars as pl

        from dicomhouse.warehouse.database import query as run

        statement = resource("sql", folder, f"{name}.sql").read_text()
        return cast("pl.DataFrame", pl.from_arrow(run(self.connection, statement, variables)))

    def _described(self, table: str, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The frame, with what its table and columns hold as its documentation."""
        if table not in self._texts:
            texts = self.tables.filter(name=table)["description"]
            if texts.is_empty():  # a lake whose models were not made
                return frame
            columns = [
                f"{name} ({kind}): {what}" for name, kind, what in self.columns(table).rows()
            ]
            self._texts[table] = "\n".join([texts[0] or "", "", *columns])
        frame.__doc__ = self._texts[table]
        return frame

    def _check_open(self) -> None:
        if self._is_closed:
            raise UsageError("this warehouse is closed; open it again.")

    def _scan(self, table: str) -> pl.LazyFrame:
        self._check_open()
        from dicomhouse.lake.layout import COLUMNS_PART

        folder = self.generation.lake / table
        # Parts differ in their columns; without the full schema Polars would take the first's.
        columns = next(folder.rglob(COLUMNS_PART), None)
        if columns is None:
            raise StorageError(
                f"cannot read {folder}: {COLUMNS_PART} is gone. Build again with --full-refresh."
            )
        frame = scan_table(table, escape(str(folder)), escape(str(columns)))
        with suppress(DicomhouseError):  # to read the lake, DuckDB is not needed
            return self._described(table, frame)
        return frame


def scan_table(
    table: str, folder: str, columns: str, storage_options: dict[str, str] | None = None
) -> pl.LazyFrame:
    """A table of the lake.

    Args:
        table: its name.
        folder: its own, as Polars takes a glob.
        columns: the part in it that has all columns.
        storage_options: for object storage.
    """
    import polars as pl

    whole = pl.scan_parquet(columns, hive_partitioning=False, storage_options=storage_options)
    partitions = {"source": pl.String} | ({} if table == "files" else {"Modality": pl.String})
    return pl.scan_parquet(
        f"{folder}/**/*.parquet",
        schema=whole.collect_schema(),
        hive_partitioning=True,
        hive_schema=partitions,
        missing_columns="insert",
        storage_options=storage_options,
    )
