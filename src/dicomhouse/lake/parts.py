"""Write what one batch read as a part of the three tables, straight from the readers' codes.

Rows of `elements` are path-major: equal values stand together, and no Python object is made for
an occurrence. Each distinct element is turned into column values once.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydicom.uid import UID

from dicomhouse.dicom.elements import Element, Headers
from dicomhouse.dicom.typed import column_value, sequence_json
from dicomhouse.lake import keys, layout
from dicomhouse.lake.schema import (
    ELEMENTS,
    FILES,
    IMAGE_LINEAGE,
    image_column,
    image_type,
    named_by_models,
)
from dicomhouse.standard.dictionary import Attribute, attribute_of_keyword

Codes = NDArray[np.int32]

_ROW_GROUP_IMAGES = 65_536
_ROW_GROUP_ELEMENTS = 1 << 20


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the file system says of one file of a batch."""

    path: str
    size_bytes: int | None
    modified_ns: int | None

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def patient_folder(self) -> str:
        """The first folder below the source; empty for files that lie in the source itself."""
        return self.path.split("/", 1)[0] if "/" in self.path else ""

    @property
    def image_name(self) -> str:
        return self.path.rpartition("/")[2]


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
    batch = _Batch(source, files, headers)
    summary = PartSummary(name, len(files), int(batch.is_image.sum()), len(batch.codes))
    summary.statuses.update(header.status for header in headers.files)
    summary.n_bytes += _write(
        batch.files_table(run_id), layout.source_folder(lake, "files", source), name, 1 << 20
    )
    for modality in sorted(set(batch.modalities), key=lambda value: (value is not None, value)):
        chosen = np.array([value == modality for value in batch.modalities])
        elements = batch.elements_table(chosen)
        if elements.num_rows:
            folder = layout.partition_folder(lake, "elements", source, modality)
            summary.n_bytes += _write(elements, folder, name, _ROW_GROUP_ELEMENTS)
        if (chosen & batch.is_image).any():
            images = batch.images_table(chosen & batch.is_image)
            summary.image_columns.update(images.column_names)
            folder = layout.partition_folder(lake, "images", source, modality)
            summary.n_bytes += _write(images, folder, name, _ROW_GROUP_IMAGES)
    return summary


def write_columns_parts(lake: Path, sources: Sequence[str], image_columns: set[str]) -> None:
    """Write the empty parts that hold every column of their table (`layout.COLUMNS_PART`).

    They lie in the first partition, so that a glob's first file has the full schema.
    """
    for table, schema in (
        ("files", FILES),
        ("elements", ELEMENTS),
        ("images", image_schema(image_columns)),
    ):
        partitions = sorted({part.parent for part in (lake / table).rglob("*.parquet")})
        folder = partitions[0] if partitions else layout.partition_folder(
            lake, table, min(sources), None
        )  # fmt: skip
        _write(schema.empty_table(), folder, layout.COLUMNS_PART.removesuffix(".parquet"), 1)


def image_schema(columns: set[str]) -> pa.Schema:
    """Lineage, the columns that models name, then the others seen, by name."""
    fields = {f.name: f for f in (*IMAGE_LINEAGE, *named_by_models())}
    for keyword in sorted(columns - fields.keys()):
        entry = attribute_of_keyword(keyword)
        assert entry is not None, keyword
        fields[keyword] = pa.field(keyword, image_type(entry))
    return pa.schema(list(fields.values()))


def _write(table: pa.Table, folder: Path, name: str, row_group: int) -> int:
    """Write a Parquet file under a private name, then give it its own. Returns its bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    private = folder / f".{name}.{os.getpid()}.tmp"
    # Without Arrow's own schema the types are Parquet's plain ones for every reader.
    pq.write_table(table, private, compression="zstd", row_group_size=row_group, store_schema=False)
    size = private.stat().st_size
    private.rename(folder / f"{name}.parquet")
    return size


class _Batch:
    """The columns of one batch, derived once from the codes."""

    def __init__(self, source: str, files: Sequence[FileFacts], headers: Headers) -> None:
        if len(files) != len(headers):
            raise ValueError(f"{len(files)} files but headers of {len(headers)}")
        self.source = source
        self.files = files
        self.headers = headers
        self.elements = headers.elements
        self.codes = headers.codes
        self.file_of = np.repeat(np.arange(len(files), dtype=np.int32), headers.counts)
        self.starts = np.concatenate(([0], np.cumsum(headers.counts)))
        self.file_ids = np.array(
            [keys.file_id(source, file.path) for file in files], dtype=np.int64
        )
        self.is_image = np.array([h.status in ("ok", "truncated") for h in headers.files])
        self.depths = self._of_element(lambda e: e.depth, np.int32)
        self.top = self._top_level()
        self._set_keys()

    def _of_element(self, get: Callable[[Element], Any], dtype: Any) -> NDArray[Any]:
        return np.fromiter((get(e) for e in self.elements), dtype, len(self.elements))

    def _top_level(self) -> dict[int, Codes]:
        """By tag, the code of each file's top-level element of the dictionary; -1 where absent."""
        tags = self._of_element(lambda e: e.tag, np.int64)
        chosen = np.flatnonzero(self.depths[self.codes] == 0)
        chosen = chosen[np.argsort(tags[self.codes[chosen]], kind="stable")]
        sorted_tags = tags[self.codes[chosen]]
        bounds = np.flatnonzero(np.diff(sorted_tags, prepend=-1, append=-1))
        top: dict[int, Codes] = {}
        for start, end in pairwise(bounds.tolist()):
            column = np.full(len(self.files), -1, dtype=np.int32)
            column[self.file_of[chosen[start:end]]] = self.codes[chosen[start:end]]
            top[int(sorted_tags[start])] = column
        return top

    def _values(self, keyword: str) -> list[str | None]:
        """The canonical text of one top-level attribute for each file."""
        entry = attribute_of_keyword(keyword)
        assert entry is not None
        column = self.top.get(entry.tag)
        if column is None:
            return [None] * len(self.files)
        return [None if code < 0 else self.elements[code].value for code in column.tolist()]

    def _set_keys(self) -> None:
        ids, issuers = self._values("PatientID"), self._values("IssuerOfPatientID")
        studies, series = self._values("StudyInstanceUID"), self._values("SeriesInstanceUID")
        known: dict[tuple[str | None, ...], tuple[str, str, str]] = {}
        self.keys: list[tuple[str | None, str | None, str | None]] = []
        for i, file in enumerate(self.files):
            if not self.is_image[i]:
                self.keys.append((None, None, None))
                continue
            identity = (ids[i], issuers[i], studies[i], series[i], file.folder)
            if identity not in known:
                known[identity] = (
                    keys.patient_key(self.source, ids[i], issuers[i], file.patient_folder),
                    keys.uid_key("study", self.source, studies[i], file.folder),
                    keys.uid_key("series", self.source, series[i], file.folder),
                )
            self.keys.append(known[identity])
        values = self._values("Modality")
        self.modalities = [
            layout.partition_value(value) if is_image else None
            for value, is_image in zip(values, self.is_image, strict=True)
        ]

    def files_table(self, run_id: str) -> pa.Table:
        headers, files = self.headers.files, self.files
        columns = {
            "path": [f.path for f in files],
            "folder": [f.folder for f in files],
            "patient_folder": [f.patient_folder for f in files],
            "image_name": [f.image_name for f in files],
            "size_bytes": [f.size_bytes for f in files],
            "modified_at": pa.array([_microseconds(f) for f in files], pa.timestamp("us")),
            "file_id": self.file_ids,
            "status": [h.status for h in headers],
            "reason": [h.reason for h in headers],
            "SOPInstanceUID": self._values("SOPInstanceUID"),
            "TransferSyntaxUID": self._values("TransferSyntaxUID"),
            "run_id": [run_id] * len(files),
        }
        return pa.table(columns, schema=FILES)

    def images_table(self, chosen: NDArray[np.bool_]) -> pa.Table:
        """The images among the files of `chosen`, one typed column per attribute seen in them."""
        rows: NDArray[np.intp] = np.flatnonzero(chosen)
        files = [self.files[i] for i in rows.tolist()]
        headers = [self.headers.files[i] for i in rows.tolist()]
        expected = self._expected_pixel_bytes()
        columns: dict[str, Any] = {
            "file_id": self.file_ids[rows],
            "path": [f.path for f in files],
            "folder": [f.folder for f in files],
            "patient_folder": [f.patient_folder for f in files],
            "image_name": [f.image_name for f in files],
            "size_bytes": [f.size_bytes for f in files],
            "modified_at": pa.array([_microseconds(f) for f in files], pa.timestamp("us")),
            "status": [h.status for h in headers],
            "patient_key": [self.keys[i][0] for i in rows],
            "study_key": [self.keys[i][1] for i in rows],
            "series_key": [self.keys[i][2] for i in rows],
            "pixel_bytes": [h.pixel_bytes for h in headers],
            "expected_pixel_bytes": [expected[i] for i in rows],
        }
        table = pa.table(columns, schema=IMAGE_LINEAGE)
        for tag, codes in self.top.items():
            entry = image_column(tag)
            if entry is None or (codes[rows] < 0).all():
                continue
            type_ = image_type(entry)
            make = self._sequence_column if entry.vr == "SQ" else self._typed_column
            table = table.append_column(pa.field(entry.keyword, type_), make(entry, codes, rows))
        return table

    def _typed_column(self, entry: Attribute, codes: Codes, rows: NDArray[np.intp]) -> pa.Array:
        distinct, inverse = np.unique(codes[rows], return_inverse=True)
        values = [None if c < 0 else column_value(entry, self.elements[c]) for c in distinct]
        return pa.array(values, image_type(entry)).take(pa.array(inverse))

    def _sequence_column(self, entry: Attribute, codes: Codes, rows: NDArray[np.intp]) -> pa.Array:
        known: dict[tuple[bytes, bytes], str] = {}
        texts: list[str | None] = []
        items = self.headers.item_codes
        for row in rows.tolist():
            if codes[row] < 0 or self.elements[codes[row]].vr != "SQ":
                texts.append(None)
                continue
            start, end = int(self.starts[row]), int(self.starts[row + 1])
            at = start + int(np.flatnonzero(self.codes[start:end] == codes[row])[0])
            deeper = self.depths[self.codes[at + 1 : end]] > 0
            stop = at + 1 + (int(np.argmin(deeper)) if not deeper.all() else len(deeper))
            below = self.codes[at:stop], items[at + 1 : stop]
            key = (below[0].tobytes(), below[1].tobytes())
            if key not in known:
                occurrences = [
                    (self.elements[c], self.headers.items[i])
                    for c, i in zip(below[0][1:].tolist(), below[1].tolist(), strict=True)
                ]
                count = int(self.elements[codes[row]].number or 0)
                known[key] = sequence_json(count, occurrences)
            texts.append(known[key])
        return pa.array(texts, image_type(entry))

    def _expected_pixel_bytes(self) -> list[int | None]:
        """Bytes of native pixel data by the image's own attributes (PS3.5 8.1); None if unknown."""
        wanted = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames",
                  "PhotometricInterpretation", "TransferSyntaxUID")  # fmt: skip
        columns = zip(*(self._values(keyword) for keyword in wanted), strict=True)
        known: dict[tuple[str | None, ...], int | None] = {}
        return [known.setdefault(row, _pixel_bytes(*row)) for row in columns]

    def elements_table(self, chosen: NDArray[np.bool_]) -> pa.Table:
        """The elements of the files of `chosen`: by path, then by file, then by position."""
        at = np.flatnonzero(chosen[self.file_of])
        paths = sorted({e.path for e in self.elements})
        rank_of = {path: rank for rank, path in enumerate(paths)}
        ranks = self._of_element(lambda e: rank_of[e.path], np.int32)
        at = at[np.argsort(ranks[self.codes[at]], kind="stable")]
        codes, file_of = self.codes[at], self.file_of[at]
        position = (np.arange(len(self.codes)) - self.starts[self.file_of])[at]

        def text(get: Callable[[Element], str | None]) -> pa.Array:
            return _dictionary([get(e) for e in self.elements], codes)

        numbers = self._of_element(lambda e: np.nan if e.number is None else e.number, np.float64)
        sizes = self._of_element(lambda e: -1 if e.n_bytes is None else e.n_bytes, np.int64)
        columns = {
            "file_id": self.file_ids[file_of],
            **{
                f"{entity}_key": _dictionary([key[i] for key in self.keys], file_of)
                for i, entity in enumerate(("patient", "study", "series"))
            },
            "position": position.astype(np.int32),
            "path": text(lambda e: e.path),
            "item": _dictionary(self.headers.items, self.headers.item_codes[at]),
            "tag": text(lambda e: f"{e.tag:08X}"),
            "keyword": text(lambda e: e.keyword),
            "private_creator": text(lambda e: e.private_creator),
            "depth": self.depths[codes],
            "vr": text(lambda e: e.vr),
            "vr_file": text(lambda e: e.vr_file),
            "vm": self._of_element(lambda e: e.vm, np.int32)[codes],
            "value": text(lambda e: e.value),
            "number": pa.array(numbers[codes], mask=np.isnan(numbers)[codes]),
            "n_bytes": pa.array(sizes[codes], mask=(sizes < 0)[codes]),
            "digest": text(lambda e: e.digest),
            "problem": text(lambda e: e.problem),
            "problem_class": text(lambda e: e.problem_class),
            "structural": pa.array(self._of_element(lambda e: e.structural, np.bool_)[codes]),
        }
        arrays = [columns[name] for name in ELEMENTS.names]
        return pa.table(arrays, names=ELEMENTS.names)


def _dictionary(values: Sequence[str | None], codes: Codes) -> pa.DictionaryArray:
    """Texts chosen by code, as a dictionary of just those that occur.

    A dictionary cannot hold a null, so the indices are masked instead.
    """
    used = np.flatnonzero(np.bincount(codes, minlength=len(values)))
    label: dict[str, int] = {}
    compact = np.full(len(values), -1, dtype=np.int32)
    for code in used.tolist():
        value = values[code]
        if value is not None:
            compact[code] = label.setdefault(value, len(label))
    indices = compact[codes]
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, pa.int32(), mask=indices < 0), pa.array(list(label), pa.string())
    )


def _microseconds(file: FileFacts) -> int | None:
    return None if file.modified_ns is None else file.modified_ns // 1000


def _pixel_bytes(
    rows: str | None,
    columns: str | None,
    samples: str | None,
    bits: str | None,
    frames: str | None,
    photometric: str | None,
    transfer_syntax: str | None,
) -> int | None:
    if (
        transfer_syntax
        and UID(transfer_syntax).is_transfer_syntax
        and UID(transfer_syntax).is_compressed
    ):
        return None
    try:
        per_pixel = 2 if photometric == "YBR_FULL_422" else int(samples or 1)
        total = (
            int(rows or "") * int(columns or "") * per_pixel * int(frames or 1) * int(bits or "")
        )
    except ValueError:
        return None
    return -(-total // 8) if 0 <= total < 1 << 62 else None
