"""Write what one batch read as a part of the three tables, straight from the readers' codes.

Rows of `elements` are path-major: equal values stand together, and no Python object is made for
an occurrence. Each distinct element is turned into column values once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dicomhouse.without_decoders  # noqa: F401

# isort: split
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydicom.config import IGNORE
from pydicom.uid import UID

from dicomhouse.dicom.elements import Element, Headers
from dicomhouse.dicom.problems import is_counted
from dicomhouse.dicom.typed import column_value, sequence_json
from dicomhouse.filesystem import microseconds, private_name, put_in_place
from dicomhouse.lake import counts, keys, layout
from dicomhouse.lake.coded import Coded, Codes
from dicomhouse.lake.orders import FileFacts
from dicomhouse.lake.schema import (
    ELEMENTS,
    FILES,
    IMAGE_LINEAGE,
    KEYS,
    VALUE_COUNTS,
    core,
    image_column,
    image_type,
)
from dicomhouse.standard.dictionary import Attribute, attribute, attribute_of_keyword

# With Arrow's own allocator the first part that a process writes takes twice as long.
pa.set_memory_pool(pa.system_memory_pool())

ROW_GROUP_IMAGES = 65_536
ROW_GROUP_ELEMENTS = 1 << 20
_PAGE_BYTES = 16 << 20
_WRITE_ROWS = 1 << 16
_ZSTD_LEVEL = 1
_MOST_OPEN = 24
"""Files of a part that are open at once: its images may have as many Modalities as they like."""
_SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")
"""Two samples a pixel (PS3.3 C.7.6.3.1.2)."""


@dataclass(frozen=True)
class Form:
    """How the files of a table are written."""

    statistics: Sequence[str] | None = None
    """The columns whose least and greatest values are noted, as they tell row groups apart."""
    hardly_repeated: Sequence[str] = ()
    """Columns whose values mostly come once: a dictionary of them would only cost."""


_OF_A_FILE = ("file_id", "path", "modified_at", "SOPInstanceUID", "MediaStorageSOPInstanceUID")
FORMS = {
    "files": Form(hardly_repeated=_OF_A_FILE),
    "images": Form(hardly_repeated=_OF_A_FILE),
    "elements": Form(statistics=("path", "tag", "keyword")),
    layout.VALUE_COUNTS: Form(statistics=("path",), hardly_repeated=("content",)),
}


@dataclass
class PartSummary:
    """What a part holds: small, and without any value from a file."""

    name: str
    files: int = 0
    images: int = 0
    elements: int = 0
    n_bytes: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    image_columns: set[str] = field(default_factory=set)


def write_part(
    lake: Path, name: str, source: str, run_id: str, files: Sequence[FileFacts], headers: Headers
) -> PartSummary:
    """Write the rows of one batch below `lake`, as the file `name`.parquet of each partition.

    Args:
        lake: the folder of a generation's lake.
        name: the part's name, never used before.
        source: the source that all files of the batch belong to.
        run_id: the run that read them.
        files: one entry a file, in the order of `headers`.
        headers: the elements of these files.
    """
    part = Part(lake, name, source, run_id)
    part.add(files, headers)
    return part.close()


class Part:
    """A part that is being written: the file `name`.parquet in each partition of the tables.

    One `add` holds a whole batch; where its elements would fill the memory, several follow each
    other, and each begins row groups of its own.
    """

    def __init__(
        self, lake: Path, name: str, source: str, run_id: str, file_id_key: str = ""
    ) -> None:
        self.lake = lake
        self.source = source
        self.run_id = run_id
        self._file_id_key = file_id_key
        self.summary = PartSummary(name)
        self._writers: dict[Path, PartFile] = {}
        self._open: dict[Path, PartFile] = {}
        """Those with an open file, the last one written to last."""
        self._images: dict[str | None, list[pa.Table]] = {}

    def add(self, files: Sequence[FileFacts], headers: Headers) -> None:
        """Write the rows of some files, one entry a file in the order of `headers`."""
        batch = _Batch(self.source, files, headers, self._file_id_key)
        self.summary.files += len(files)
        self.summary.images += int(batch.is_image.sum())
        self.summary.elements += len(batch.codes)
        self.summary.statuses.update(header.status for header in headers.files)
        files_table = batch.files_table(self.run_id)
        self._write("files", None, files_table)
        for modality, chosen in batch.modalities().items():
            rows = batch.rows_of(chosen)
            codes, file_of = batch.codes.take(rows), batch.file_of.take(rows)
            for start in range(0, len(rows), ROW_GROUP_ELEMENTS):
                some = slice(start, start + ROW_GROUP_ELEMENTS)
                table = batch.elements_table(rows[some], codes[some], file_of[some])
                self._write("elements", modality, table)
            table = batch.value_counts(codes, file_of)
            if len(table):
                self._write(layout.VALUE_COUNTS, modality, table)
            images = np.flatnonzero(chosen & batch.is_image)
            if len(images):
                table = batch.images_table(files_table, images)
                self._images.setdefault(modality, []).append(table)

    def close(self) -> PartSummary:
        """Give the written files their names."""
        for modality, tables in self._images.items():
            images = pa.concat_tables(tables, promote_options="default")
            self.summary.image_columns.update(images.column_names)
            for start in range(0, len(images), ROW_GROUP_IMAGES):
                self._write("images", modality, images.slice(start, ROW_GROUP_IMAGES))
        self.summary.n_bytes = sum(writer.close() for writer in self._writers.values())
        return self.summary

    def _write(self, table: str, modality: str | None, rows: pa.Table) -> None:
        folder = layout.partition_folder(self.lake, table, self.source, modality)
        writer = self._writers.get(folder)
        if writer is None:
            writer = PartFile(folder, self.summary.name, rows.schema, FORMS[table])
            self._writers[folder] = writer
        writer.write(rows)
        self._open.pop(folder, None)
        self._open[folder] = writer
        if len(self._open) > _MOST_OPEN:
            self._open.pop(next(iter(self._open))).pause()


def write_columns_parts(lake: Path, sources: Sequence[str], image_columns: set[str]) -> None:
    """Write the empty parts that hold every column of their table (`layout.COLUMNS_PART`).

    They lie in the first partition, so that a glob's first file has the full schema.
    """
    for table, schema in (
        ("files", FILES),
        ("elements", ELEMENTS),
        ("images", image_schema(image_columns)),
        (layout.VALUE_COUNTS, VALUE_COUNTS),
    ):
        partitions = sorted({part.parent for part in (lake / table).rglob("*.parquet")})
        folder = partitions[0] if partitions else layout.partition_folder(
            lake, table, min(sources), None
        )  # fmt: skip
        name = layout.COLUMNS_PART.removesuffix(".parquet")
        writer = PartFile(folder, name, schema, FORMS[table])
        writer.write(schema.empty_table())
        writer.close()


def image_schema(columns: set[str]) -> pa.Schema:
    """Lineage, the core, then the other attributes seen, by name."""
    fields = {f.name: f for f in (*IMAGE_LINEAGE, *core())}
    for keyword in sorted(columns - fields.keys()):
        entry = attribute_of_keyword(keyword)
        assert entry is not None, keyword
        fields[keyword] = pa.field(keyword, image_type(entry))
    return pa.schema(list(fields.values()))


class PartFile:
    """The file of a part in one partition, under a private name until it is whole.

    Args:
        folder: the partition's, made where it is not there.
        name: the part's.
        schema: of its rows.
        form: how they are written.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema, form: Form) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{name}.parquet"
        self._private = private_name(self._path)
        self._schema = schema
        self._form = form
        self._pieces: list[Path] = []
        self._writer: pq.ParquetWriter | None = None

    def _open(self, path: Path) -> pq.ParquetWriter:
        form = self._form
        return pq.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            write_statistics=True if form.statistics is None else list(form.statistics),
            use_dictionary=[
                _leaf(field) for field in self._schema if field.name not in form.hardly_repeated
            ],
            # Without Arrow's own schema the types are Parquet's plain ones for every reader.
            store_schema=False,
            # The same files follow each other at every path: zstd sees it where a page holds many.
            max_rows_per_page=ROW_GROUP_ELEMENTS,
            data_page_size=_PAGE_BYTES,
            write_batch_size=_WRITE_ROWS,
            dictionary_pagesize_limit=_PAGE_BYTES,
        )

    def write(self, table: pa.Table) -> None:
        """Add the rows as one row group."""
        if self._writer is None:
            self._pieces.append(self._private.with_suffix(f".{len(self._pieces)}.tmp"))
            self._writer = self._open(self._pieces[-1])
        _write(self._writer, table)

    def pause(self) -> None:
        """Hold no file open until more rows come, if any do."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def close(self) -> int:
        """Give the file its own name, once it is on the disk. Returns its bytes."""
        self.pause()
        whole = self._joined() if len(self._pieces) > 1 else self._pieces[0]
        size = whole.stat().st_size
        put_in_place(whole, self._path)
        return size

    def _joined(self) -> Path:
        """One file of the row groups of all pieces, which are removed."""
        texts = [f.name for f in self._schema if pa.types.is_dictionary(f.type)]
        with self._open(self._private) as writer:
            for piece in self._pieces:
                with pq.ParquetFile(piece, read_dictionary=texts) as file:
                    for number in range(file.num_row_groups):
                        _write(writer, file.read_row_group(number).cast(self._schema))
                piece.unlink()
        return self._private


def _write(writer: pq.ParquetWriter, table: pa.Table) -> None:
    """Add the rows as one row group."""
    writer.write_table(table, row_group_size=max(1, len(table)))


def _leaf(field: pa.Field) -> str:
    """A column as Parquet names it."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name


class _Batch:
    """The columns of one batch, derived once from the codes.

    A row is the occurrence of an element; rows are numbered in the order of the files.
    """

    def __init__(
        self, source: str, files: Sequence[FileFacts], headers: Headers, file_id_key: str
    ) -> None:
        if len(files) != len(headers):
            raise ValueError(f"{len(files)} files but headers of {len(headers)}")
        self.source = source
        self.files = files
        self.headers = headers
        self.elements = headers.elements
        self.codes = headers.codes
        self.file_of = np.repeat(np.arange(len(files), dtype=np.int32), headers.counts)
        self.starts = np.cumsum(headers.counts, dtype=np.int32) - headers.counts
        self.is_image = np.array([h.status in ("ok", "truncated") for h in headers.files])
        self.file_ids = np.array(
            [keys.file_id(source, f.path, file_id_key) for f in files], dtype=np.int64
        )
        self._typed: dict[int, pa.Array] = {}
        self._set_kinds()
        self._set_order()
        self._set_keys()
        self.distinct = self._distinct()
        self.holders = self._holders()

    def _set_kinds(self) -> None:
        """Tell the elements apart by all but their values: there are few such kinds."""
        columns = (
            zip(*self.elements, strict=True) if self.elements else ((),) * len(Element._fields)
        )
        of: Any = Element._make(columns)
        kinds: dict[tuple[Any, ...], int] = {}
        names = zip(
            of.path, of.tag, of.private_creator, of.depth, of.vr, of.vr_file, of.vm, of.problem,
            strict=True,
        )  # fmt: skip
        self.kind_of = np.fromiter(
            (kinds.setdefault(name, len(kinds)) for name in names), np.int32, len(self.elements)
        )
        self.kinds = [self.elements[code] for code in np.unique(self.kind_of, return_index=True)[1]]
        self.values = pa.array(of.value, pa.string())
        self.digests = pa.array(of.digest, pa.string())
        self.numbers = np.array(of.number, dtype=np.float64)  # None becomes NaN
        self.sizes = np.array([-1 if size is None else size for size in of.n_bytes], dtype=np.int64)

    def _distinct(self) -> counts.Distinct:
        def texts(get: Callable[[Element], str]) -> counts.Texts:
            return counts.Texts.of([get(kind) for kind in self.kinds], self.kind_of)

        return counts.Distinct(
            path=texts(lambda e: e.path),
            tag=texts(lambda e: f"{e.tag:08X}"),
            vr=texts(lambda e: e.vr),
            vm=np.array([kind.vm for kind in self.kinds], np.int32)[self.kind_of],
            value=self.values,
            number=self.numbers,
            n_bytes=self.sizes,
            digest=self.digests,
            is_invalid=np.array([e.problem_class == "value" for e in self.kinds], np.bool_)[
                self.kind_of
            ],
        )

    def _holders(self) -> counts.Holders:
        known: dict[tuple[str | None, ...], int] = {}
        lineage = [known.setdefault(keys, len(known)) for keys in self.keys]
        return counts.Holders(self.file_ids, np.array(lineage, np.int32), list(known))

    def _set_order(self) -> None:
        """Sort the rows by path, and find each file's top-level attributes on the way."""
        paths = sorted({kind.path for kind in self.kinds})
        rank_of = {path: rank for rank, path in enumerate(paths)}
        # Narrow ranks are sorted by their digits.
        narrow = np.uint16 if len(paths) <= 1 << 16 else np.int32
        ranks = np.array([rank_of[kind.path] for kind in self.kinds], dtype=narrow)[self.kind_of]
        of_rows = ranks[self.codes]
        self.order = np.argsort(of_rows, kind="stable").astype(np.int32)
        depths = np.array([kind.depth for kind in self.kinds], dtype=np.int32)
        self.is_top = (depths == 0)[self.kind_of][self.codes]
        counted = np.array([is_counted(kind.problem) for kind in self.kinds], dtype=np.bool_)
        has_uncounted = not counted.all()
        ends = [0, *np.cumsum(np.bincount(of_rows, minlength=len(paths))).tolist()]
        members = np.argsort(ranks, kind="stable").astype(np.int32)
        stops = [0, *np.cumsum(np.bincount(ranks, minlength=len(paths))).tolist()]
        self.top: dict[int, Codes] = {}
        """By tag, the row of each file's top-level attribute of the dictionary; -1 where absent."""
        self.members: dict[int, Codes] = {}
        """By tag, the codes of all elements of that attribute, rising."""
        for kind in self.kinds:
            if kind.depth or kind.tag in self.top or attribute(kind.tag) is None:
                continue
            rank = rank_of[kind.path]
            found = self.order[ends[rank] : ends[rank + 1]]
            if has_uncounted:
                found = found[counted[self.kind_of[self.codes[found]]]]
            if not len(found):  # only files that were given up had it
                continue
            rows = np.full(len(self.files), -1, dtype=np.int32)
            rows[self.file_of[found]] = found
            self.top[kind.tag] = rows
            self.members[kind.tag] = members[stops[rank] : stops[rank + 1]]

    def _codes_of(self, keyword: str) -> list[int]:
        """The code of one top-level attribute for each file; -1 where absent."""
        entry = attribute_of_keyword(keyword)
        assert entry is not None
        rows = self.top.get(entry.tag)
        if rows is None:
            return [-1] * len(self.files)
        codes: list[int] = np.where(rows < 0, -1, self.codes[rows]).tolist()
        return codes

    def _text(self, code: int) -> str | None:
        return None if code < 0 else self.elements[code].value

    def _set_keys(self) -> None:
        identities = zip(
            *map(self._codes_of, ("PatientID", "IssuerOfPatientID", "StudyInstanceUID",
                                  "SeriesInstanceUID", "Modality")),
            strict=True,
        )  # fmt: skip
        known: dict[tuple[Any, ...], tuple[tuple[str, str, str], str | None]] = {}
        self.keys: list[tuple[str | None, str | None, str | None]] = []
        self.modality_of: list[str | None] = []
        for file, is_image, codes in zip(self.files, self.is_image, identities, strict=True):
            if not is_image:
                self.keys.append((None, None, None))
                self.modality_of.append(None)
                continue
            folder = file.folder
            found = known.get((folder, *codes))
            if found is None:
                patient, issuer, study, series, modality = map(self._text, codes)
                entities = (
                    keys.patient_key(self.source, patient, issuer, file.patient_folder),
                    keys.uid_key("study", self.source, study, folder),
                    keys.uid_key("series", self.source, series, folder),
                )
                found = known[folder, *codes] = entities, layout.partition_value(modality)
            self.keys.append(found[0])
            self.modality_of.append(found[1])

    def modalities(self) -> dict[str | None, NDArray[np.bool_]]:
        """Which files are filed under each Modality."""
        found = sorted(set(self.modality_of), key=lambda value: (value is not None, value))
        return {
            modality: np.array([value == modality for value in self.modality_of])
            for modality in found
        }

    def files_table(self, run_id: str) -> pa.Table:
        headers, files = self.headers.files, self.files
        columns = {
            "path": [f.path for f in files],
            "folder": [f.folder for f in files],
            "patient_folder": [f.patient_folder for f in files],
            "image_name": [f.image_name for f in files],
            "size_bytes": [f.size_bytes for f in files],
            "modified_at": pa.array(
                [microseconds(f.modified_ns) for f in files], pa.timestamp("us")
            ),
            "file_id": self.file_ids,
            "status": [h.status for h in headers],
            "reason": [h.reason for h in headers],
            "SOPInstanceUID": [self._text(code) for code in self._codes_of("SOPInstanceUID")],
            "TransferSyntaxUID": [self._text(code) for code in self._codes_of("TransferSyntaxUID")],
            "run_id": [run_id] * len(files),
        }
        return pa.table(columns, schema=FILES)

    def images_table(self, files: pa.Table, images: NDArray[np.intp]) -> pa.Table:
        """The rows of some files' images, with one typed column per attribute seen in them.

        Args:
            files: the table of all files of the batch.
            images: which of them.
        """
        chosen = files.take(pa.array(images))
        numbers = images.tolist()
        expected = self._expected_pixel_bytes()
        own: dict[str, Any] = {
            f.name: [self.keys[i][place] for i in numbers] for place, f in enumerate(KEYS)
        }
        own["pixel_bytes"] = [self.headers.files[i].pixel_bytes for i in numbers]
        own["expected_pixel_bytes"] = [expected[i] for i in numbers]
        columns = {
            f: pa.array(own[f.name], f.type) if f.name in own else chosen.column(f.name)
            for f in IMAGE_LINEAGE
        }
        for tag, rows_of_files in sorted(self.top.items()):
            entry = image_column(tag)
            rows = rows_of_files[images]
            if entry is None or rows.max() < 0:
                continue
            make = self._sequence_column if entry.vr == "SQ" else self._typed_column
            column = make(entry, rows)
            columns[pa.field(entry.keyword, column.type)] = column
        return pa.table(list(columns.values()), schema=pa.schema(list(columns)))

    def _typed_column(self, entry: Attribute, rows: Codes) -> pa.Array:
        members = self.members[entry.tag]
        values = self._typed.get(entry.tag)
        if values is None:
            converted = [column_value(entry, self.elements[code]) for code in members.tolist()]
            values = self._typed[entry.tag] = pa.array(converted, image_type(entry))
        places = np.searchsorted(members, self.codes[rows]).astype(np.int32)
        if values.type == pa.string():
            places[rows < 0] = -1
            return Coded(places, len(values)).texts(values)
        return values.take(pa.array(places, mask=rows < 0))

    def _sequence_column(self, entry: Attribute, rows: Codes) -> pa.Array:
        tops = np.append(np.flatnonzero(self.is_top), len(self.codes))
        stops = tops[np.searchsorted(tops, rows, side="right")].tolist()
        codes, items = self.codes, self.headers.item_codes
        known: dict[tuple[bytes, bytes], str] = {}
        texts: list[str | None] = []
        for row, stop in zip(rows.tolist(), stops, strict=True):
            if row < 0 or self.elements[codes[row]].vr != "SQ":
                texts.append(None)
                continue
            key = (codes[row:stop].tobytes(), items[row:stop].tobytes())
            if key not in known:
                occurrences = [
                    (self.elements[code], self.headers.items[item])
                    for code, item in zip(
                        codes[row + 1 : stop].tolist(), items[row + 1 : stop].tolist(), strict=True
                    )
                ]
                count = int(self.elements[codes[row]].number or 0)
                known[key] = sequence_json(count, occurrences)
            texts.append(known[key])
        return pa.array(texts, image_type(entry))

    def _expected_pixel_bytes(self) -> list[int | None]:
        """Bytes of native pixel data by the image's own attributes (PS3.5 8.1); None if unknown."""
        wanted = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames",
                  "PhotometricInterpretation", "TransferSyntaxUID")  # fmt: skip
        known: dict[tuple[int, ...], int | None] = {}
        expected = []
        for codes in zip(*map(self._codes_of, wanted), strict=True):
            if codes not in known:
                known[codes] = _pixel_bytes(*map(self._text, codes))
            expected.append(known[codes])
        return expected

    def rows_of(self, chosen: NDArray[np.bool_]) -> Codes:
        """The rows of the files of `chosen`: by path, then by file, then by position."""
        return self.order if chosen.all() else self.order[chosen[self.file_of[self.order]]]

    def elements_table(self, rows: Codes, codes: Codes, file_of: Codes) -> pa.Table:
        """Some rows of `elements`: their numbers, elements and files."""
        kinds = Coded(self.kind_of.take(codes), len(self.kinds))
        values = Coded(codes, len(self.elements))
        files = Coded(file_of, len(self.files))
        numbers, sizes = self.numbers.take(values.at), self.sizes.take(values.at)

        def of_kind(get: Callable[[Element], str | None]) -> pa.Array:
            return kinds.texts(pa.array(map(get, self.kinds), pa.string()))

        def number_of_kind(get: Callable[[Element], int], dtype: Any) -> pa.Array:
            return pa.array(np.array([get(kind) for kind in self.kinds], dtype).take(kinds.at))

        items = pa.array(self.headers.items, pa.string())
        columns = {
            "file_id": pa.array(self.file_ids.take(files.at)),
            **{
                f.name: files.texts(pa.array([key[place] for key in self.keys], f.type))
                for place, f in enumerate(KEYS)
            },
            "position": pa.array(rows - self.starts.take(files.at)),
            "path": of_kind(lambda e: e.path),
            "item": Coded(self.headers.item_codes.take(rows), len(items)).texts(items),
            "tag": of_kind(lambda e: f"{e.tag:08X}"),
            "keyword": of_kind(lambda e: e.keyword),
            "private_creator": of_kind(lambda e: e.private_creator),
            "depth": number_of_kind(lambda e: e.depth, np.int32),
            "vr": of_kind(lambda e: e.vr),
            "vr_file": of_kind(lambda e: e.vr_file),
            "vm": number_of_kind(lambda e: e.vm, np.int32),
            "value": values.texts(self.values),
            "number": pa.array(numbers, mask=np.isnan(numbers)),
            "n_bytes": pa.array(sizes, mask=sizes < 0),
            "digest": values.texts(self.digests),
            "problem": of_kind(lambda e: e.problem),
            "problem_class": of_kind(lambda e: e.problem_class),
            "structural": number_of_kind(lambda e: e.structural, np.bool_),
        }
        fields = [f.with_type(columns[f.name].type) for f in ELEMENTS]
        return pa.table([columns[f.name] for f in ELEMENTS], schema=pa.schema(fields))

    def value_counts(self, codes: Codes, file_of: Codes) -> pa.Table:
        """What the images among some rows say, in the order of `rows_of`, and how many say it."""
        structural = np.array([kind.structural for kind in self.kinds], np.bool_)[self.kind_of]
        said = ~structural.take(codes)
        if not self.is_image.all():
            said &= self.is_image.take(file_of)
        return counts.value_counts(self.distinct, codes[said], file_of[said], self.holders)


def _pixel_bytes(
    rows: str | None,
    columns: str | None,
    samples: str | None,
    bits: str | None,
    frames: str | None,
    photometric: str | None,
    transfer_syntax: str | None,
) -> int | None:
    if transfer_syntax:
        uid = UID(transfer_syntax, validation_mode=IGNORE)  # else a warning quotes it
        if uid.is_transfer_syntax and uid.is_compressed:
            return None
    try:
        per_pixel = 2 if photometric in _SUBSAMPLED else int(samples or 1)
        total = (
            int(rows or "") * int(columns or "") * per_pixel * int(frames or 1) * int(bits or "")
        )
    except ValueError:
        return None
    return -(-total // 8) if 0 < total < 1 << 62 else None
