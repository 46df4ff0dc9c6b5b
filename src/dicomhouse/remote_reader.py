"""A generation on object storage, read by Polars where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dicomhouse.errors import UsageError
from dicomhouse.reader import Warehouse, scan_table
from dicomhouse.store.remote import find

if TYPE_CHECKING:
    import duckdb
    import polars as pl


class RemoteWarehouse(Warehouse):
    """A published copy of a generation: every table as a Polars LazyFrame, and no SQL.

    Args:
        address: as `dicomhouse publish` was given it.
        generation: a number instead of the current one.
        storage_options: Polars' own, where the environment does not say all that it needs.

    Raises:
        WarehouseNotFound: nothing was published there.
        StorageError: it cannot be read.
    """

    def __init__(
        self,
        address: str,
        generation: int | None = None,
        storage_options: Mapping[str, str] | None = None,
    ) -> None:
        self._copy = find(address, generation)
        self._options = None if storage_options is None else dict(storage_options)
        self._is_closed = False

    @property
    def tables(self) -> pl.DataFrame:
        return self._mart("tables").collect()

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        raise UsageError(
            "there is no SQL on object storage: tables are Polars LazyFrames here, which "
            "polars.SQLContext asks in SQL. Fetch warehouse.duckdb for the rest."
        )

    def close(self) -> None:
        self._is_closed = True

    def __getattr__(self, name: str) -> pl.LazyFrame:
        if name.startswith("_") or name not in self._names():
            raise AttributeError(f"no table or attribute {name}; `tables` lists the tables")
        return self._mart(name)

    def __repr__(self) -> str:
        return f"<RemoteWarehouse, generation {self._copy.number}: {self._copy.address}>"

    def _scan(self, table: str) -> pl.LazyFrame:
        self._check_open()
        folder = f"{self._copy.address}/lake/{table}"
        columns = f"{self._copy.address}/{self._copy.columns[table]}"
        return scan_table(table, folder, columns, self._options)

    def _mart(self, name: str) -> pl.LazyFrame:
        import polars as pl

        self._check_open()
        place = f"{self._copy.address}/tables/{name}.parquet"
        return pl.scan_parquet(place, storage_options=self._options)
