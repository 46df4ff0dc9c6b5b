"""Write a part from the rows of others: without some of their files, or several as one.

No DICOM file is opened. `elements` streams through, path by path, so that equal values stand
together as in what a batch wrote, and its values are counted on the way; of the other two tables
one part is held at a time.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dicomhouse.lake import counts, layout
from dicomhouse.lake.coded import coded, used
from dicomhouse.lake.orders import Input, Rewrite
from dicomhouse.lake.parts import (
    FORMS,
    ROW_GROUP_ELEMENTS,
    ROW_GROUP_IMAGES,
    PartFile,
    image_schema,
)
from dicomhouse.lake.records import PartRecord
from dicomhouse.lake.schema import ELEMENTS, FILES, IMAGE_LINEAGE, image_column

_ROWS_AT_ONCE = 1 << 17
_TEXTS = [field.name for field in ELEMENTS if field.type == pa.string()]


class _Rows:
    """The wanted rows of one part."""

    def __init__(self, one: Input) -> None:
        self._generation = Path(one.generation)
        self.record = PartRecord.load(self._generation / "parts" / f"{one.name}.json")
        self._dropped = pa.array(one.dropped, pa.int64())

    def folders(self, table: str) -> Iterator[str]:
        """The partitions of a table that the part has a file in, below the lake."""
        for path in self.record.paths:
            if path.startswith(f"{table}/"):
                yield path.rpartition("/")[0]

    def batches(self, folder: str, texts: Sequence[str] = ()) -> Iterator[pa.Table]:
        """The rows in one partition; the columns `texts` as dictionaries."""
        path = self._generation / "lake" / folder / f"{self.record.name}.parquet"
        if folder not in (stored.rpartition("/")[0] for stored in self.record.paths):
            return
        with pq.ParquetFile(path, read_dictionary=list(texts)) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                table = pa.Table.from_batches([batch])
                if len(self._dropped):
                    gone = pc.is_in(table["file_id"], value_set=self._dropped)
                    table = table.filter(pc.invert(gone))
                if table.num_rows:
                    yield table

    def by_path(self, folder: str) -> Iterator[tuple[str, pa.Table]]:
        """The rows of `elements`, in runs of one path; the paths in order."""
        for table in self.batches(folder, _TEXTS):
            paths = table["path"].combine_chunks()
            codes = paths.indices.to_numpy()
            starts = np.flatnonzero(np.diff(codes, prepend=-1)).tolist()
            for start, end in pairwise([*starts, len(codes)]):
                yield paths[start].as_py(), table.slice(start, end - start)


def rewrite(work: Path, lake: Path, extractor: str) -> PartRecord:
    """Carry out a saved rewrite below `lake`; the record of the part that it made.

    Raises:
        OSError: the lake cannot be written, or an input is gone.
    """
    order = Rewrite.load(work)
    parts = [_Rows(one) for one in order.inputs]

    def folders(table: str) -> list[str]:
        return sorted({folder for part in parts for folder in part.folders(table)})

    (folder,) = folders("files")
    files = pa.concat_tables([t for part in parts for t in part.batches(folder)])
    out = _Rewritten(lake, folder, order.name, ROW_GROUP_ELEMENTS, FILES)
    out.write(files)
    out.close()
    used: dict[str, set[str]] = {}
    n_elements = 0
    for folder in folders("elements"):
        n, columns = _elements(parts, lake, folder, order.name)
        n_elements += n
        used[folder.rpartition("/")[2]] = columns
    n_images = 0
    for folder in folders("images"):
        n_images += _images(
            parts, lake, folder, order.name, used.get(folder.rpartition("/")[2], set())
        )
    paths = layout.written(lake, order.source, order.name)
    return PartRecord(
        name=order.name,
        source=order.source,
        extractor=extractor,
        rewritten=True,
        files=files.num_rows,
        images=n_images,
        elements=n_elements,
        n_bytes=sum((lake / path).stat().st_size for path in paths),
        statuses=dict(Counter(files["status"].to_pylist())),
        image_columns=sorted(set().union(*used.values())),
        paths=paths,
    )


def _elements(parts: Sequence[_Rows], lake: Path, folder: str, name: str) -> tuple[int, set[str]]:
    """Write one partition of `elements`: its rows, and the columns its images have by them."""
    rows = 0
    tags: set[str] = set()
    if len(parts) == 1:
        tables = parts[0].batches(folder, _TEXTS)
    else:
        runs = [part.by_path(folder) for part in parts]
        tables = (table for _, table in heapq.merge(*runs, key=lambda run: run[0]))
    out = _Rewritten(lake, folder, name, ROW_GROUP_ELEMENTS, coded(ELEMENTS))
    counts_folder = f"{layout.VALUE_COUNTS}/{folder.partition('/')[2]}"
    out_counts = _Rewritten(lake, counts_folder, name, ROW_GROUP_ELEMENTS, counts.SCHEMA)
    recount = counts.Recount(out_counts.write)
    for table in tables:
        rows += table.num_rows
        # Files without keys are not images: what they hold makes no column.
        top = pc.and_(pc.equal(table["depth"], 0), pc.is_valid(table["patient_key"]))
        tags.update(pc.unique(table["tag"].filter(top)).to_pylist())
        out.write(table)
        recount.add(table)
    out.close()
    recount.close()
    out_counts.close()
    columns = (image_column(int(tag, 16)) for tag in tags)
    return rows, {column.keyword for column in columns if column is not None}


def _images(parts: Sequence[_Rows], lake: Path, folder: str, name: str, columns: set[str]) -> int:
    """Write one partition of `images` with the columns that its rows still have."""
    typed = image_schema(columns)
    names = [*IMAGE_LINEAGE.names, *sorted(columns - set(IMAGE_LINEAGE.names))]
    schema = pa.schema([typed.field(name) for name in names])
    rows = 0
    out = _Rewritten(lake, folder, name, ROW_GROUP_IMAGES, schema)
    for part in parts:
        for table in part.batches(folder):
            rows += table.num_rows
            arrays = [
                table[field.name].cast(field.type)
                if field.name in table.column_names
                else pa.nulls(table.num_rows, field.type)
                for field in schema
            ]
            out.write(pa.table(arrays, schema=schema))
    out.close()
    return rows


class _Rewritten:
    """A part's file in one partition, written in full row groups; none where there are no rows."""

    def __init__(
        self, lake: Path, folder: str, name: str, row_group: int, schema: pa.Schema
    ) -> None:
        form = FORMS[folder.partition("/")[0]]
        self._new = partial(PartFile, lake / folder, name, form=form)
        self._row_group = row_group
        self._schema = schema
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._file: PartFile | None = None

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._rows += table.num_rows
        if self._rows >= self._row_group:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        table = pa.concat_tables(self._waiting, promote_options="default").unify_dictionaries()
        table = table.combine_chunks().cast(self._schema)
        table = pa.table([used(column) for column in table.columns], schema=self._schema)
        if self._file is None:
            self._file = self._new(schema=self._schema)
        for start in range(0, len(table), self._row_group):
            self._file.write(table.slice(start, self._row_group))
        self._waiting, self._rows = [], 0
