"""Copies of generations on object storage: whole before a pointer leads to them.

    ADDRESS/generations/000042-1f0c9a3e/    lake/  tables/  warehouse.duckdb  report/  run.json
    ADDRESS/current.json                    which of them readers take

A generation has the name of its run, so that two warehouses do not mix. What an earlier copy has
the storage itself copies. Credentials, regions and endpoints are taken in the library's own ways
(https://developmentseed.org/obstore), and stand in no file of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicomhouse.errors import StorageError, UsageError, WarehouseNotFound, WarehouseTooNew
from dicomhouse.lake.forms import has_form
from dicomhouse.lake.layout import COLUMNS_PART, TABLES, VALUE_COUNTS
from dicomhouse.store.generations import Generation
from dicomhouse.versions import FORMAT

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
_POINTER = "current.json"
_NAME = re.compile(r"[0-9]{6,18}-[0-9a-f]{8}")
_IN_FLIGHT = 16
_MOST_BYTES = 1 << 20
_COPY = {
    "format": int, "dicomhouse": str, "run_id": _NAME,
    "columns": {table: re.compile(rf"lake/{table}/.+/{COLUMNS_PART}") for table in TABLES},
}  # fmt: skip


@dataclass(frozen=True)
class Copy:
    """A generation on object storage."""

    address: str
    """Of its folder, without a slash at its end."""
    columns: Mapping[str, str]
    """By table of the lake, the part below it that has all columns."""

    @property
    def number(self) -> int:
        return int(self.address.rpartition("/")[2].partition("-")[0])


def publish(
    generation: Generation, tables: Path, address: str, keep: int, say: Callable[[str], None]
) -> Copy:
    """Copy a generation, and let the pointer lead to it last; remove the oldest beyond `keep`.

    Args:
        generation: a published one, which is held.
        tables: a folder with the tables that are none of the lake's, as Parquet.
        address: `s3://BUCKET/PREFIX` and the like.
        keep: how many copies stay.
        say: what is told of the progress.

    Raises:
        UsageError: it is no such address.
        StorageError: it cannot be written, or another publication was quicker.
    """
    with _opened(address) as store:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        pointer, version = _record(store, _POINTER)
        record = generation.run()
        name = record["run_id"]
        files = dict(_files(generation, tables))
        before = _sizes(store, pointer["run_id"]) if pointer else {}

        def put(below: str) -> int:
            path, size = files[below], files[below].stat().st_size
            target = f"generations/{name}/{below}"
            if pointer and before.get(below) == size and not below.endswith(COLUMNS_PART):
                if pointer["run_id"] != name:  # else it is there
                    obstore.copy(store, f"generations/{pointer['run_id']}/{below}", target)
                return 0
            obstore.put(store, target, path)
            return size

        with ThreadPoolExecutor(_IN_FLIGHT) as pool:
            sent = list(pool.map(put, files))
        n_sent = sum(size > 0 for size in sent)
        say(f"publish: {n_sent:,} files sent ({sum(sent):,} bytes), {len(files) - n_sent:,} kept")
        columns = {
            table: next(below for below in files
                        if below.startswith(f"lake/{table}/") and below.endswith(COLUMNS_PART))
            for table in TABLES
        }  # fmt: skip
        pointer = {"format": FORMAT, "dicomhouse": record["dicomhouse"], "run_id": name,
                "columns": columns}  # fmt: skip
        content = json.dumps(pointer).encode()
        obstore.put(store, f"generations/{name}/copy.json", content)
        try:
            obstore.put(store, _POINTER, content, mode=version or "create")
        except (AlreadyExistsError, PreconditionError):
            raise StorageError(
                f"another publication to {address} was quicker. Publish again if need be."
            ) from None
        _prune(store, name, keep)
    return Copy(f"{address.rstrip('/')}/generations/{name}", columns)


def find(address: str, number: int | None = None) -> Copy:
    """The copy that readers take, or that of a generation.

    Raises:
        WarehouseNotFound: nothing was published there, or not that generation.
        WarehouseTooNew: a later dicomhouse made it.
        StorageError: it cannot be read.
    """
    with _opened(address) as store:
        record, _ = _record(store, _POINTER)
        if record is not None and number is not None:
            names = [name for name in _names(store) if int(name.partition("-")[0]) == number]
            record = _record(store, f"generations/{names[-1]}/copy.json")[0] if names else None
    if record is None:
        what = "warehouse" if number is None else f"generation {number}"
        raise WarehouseNotFound(
            f"no {what} at {address}. Publish one: dicomhouse publish {address}"
        )
    return Copy(f"{address.rstrip('/')}/generations/{record['run_id']}", record["columns"])


def check_address(address: str) -> None:
    """Raise UsageError for what is no address of object storage, or names no bucket."""
    scheme, _, below = address.partition("://")
    if scheme not in SCHEMES or not below.partition("/")[0]:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise UsageError(
            f"{address} is no address of object storage. Give one as {known}BUCKET/PREFIX."
        )


@contextmanager
def _opened(address: str) -> Iterator[ObjectStore]:
    """The store, which refuses in a sentence, without its answer: that may name keys."""
    check_address(address)
    from dicomhouse.sources.objects import store_of  # says so where obstore is not installed

    # isort: split
    from obstore.exceptions import BaseError

    try:
        yield store_of(address.rstrip("/"))
    except (BaseError, OSError) as error:
        raise StorageError(
            f"cannot use {address}: {type(error).__name__}. Look at the address, the credentials "
            "(AWS_ACCESS_KEY_ID and the like) and the network."
        ) from error


def _files(generation: Generation, tables: Path) -> Iterator[tuple[str, Path]]:
    """What makes a copy, by its path below it."""
    for path in sorted(generation.lake.rglob("*.parquet")):
        below = path.relative_to(generation.folder)
        if below.parts[1] != VALUE_COUNTS:
            yield str(below), path
    for path in sorted(tables.glob("*.parquet")):
        yield f"tables/{path.name}", path
    yield "warehouse.duckdb", generation.database
    for path in generation.report.glob("*"):
        yield f"report/{path.name}", path
    yield "run.json", generation.folder / "run.json"


def _record(store: ObjectStore, key: str) -> tuple[dict[str, Any] | None, Any]:
    """What a pointer says, and by what its version is known; None where there is none.

    Raises:
        WarehouseTooNew: a later dicomhouse wrote it.
        StorageError: it is none of ours.
    """
    import obstore

    try:
        found = obstore.get(store, key)
    except FileNotFoundError:
        return None, None
    content = bytes(found.bytes()) if found.meta["size"] <= _MOST_BYTES else b""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        record = None
    if has_form(record, {"format": int, "dicomhouse": str}) and record["format"] > FORMAT:
        raise WarehouseTooNew(
            f"{key} was written by a later dicomhouse in a form that this one does not know. "
            "Install that release."
        )
    if not has_form(record, _COPY):
        raise StorageError(f"{key} at that address is none of dicomhouse's. Choose another.")
    version = {"e_tag": found.meta["e_tag"], "version": found.meta["version"]}
    return record, {name: known for name, known in version.items() if known is not None}


def _sizes(store: ObjectStore, name: str) -> dict[str, int]:
    """Bytes of what a copy has, by path below it."""
    prefix = f"generations/{name}/"
    return {
        one["path"].removeprefix(prefix): one["size"] for one in _objects(store, prefix + "lake/")
    }


def _objects(store: ObjectStore, prefix: str) -> Iterable[Any]:
    import obstore

    return (one for page in obstore.list(store, prefix) for one in page)


def _names(store: ObjectStore) -> list[str]:
    """The copies that are there, oldest first."""
    import obstore

    folders = obstore.list_with_delimiter(store, "generations")["common_prefixes"]
    names = (folder.rpartition("/")[2] for folder in folders)
    return sorted(filter(_NAME.fullmatch, names), key=lambda name: int(name.partition("-")[0]))


def _prune(store: ObjectStore, current: str, keep: int) -> None:
    import obstore

    others = [name for name in _names(store) if name != current]
    for name in others[: max(0, len(others) + 1 - keep)]:
        keys = [one["path"] for one in _objects(store, f"generations/{name}/")]
        obstore.delete(store, keys)
