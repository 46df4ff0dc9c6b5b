"""One batch: open its files, read their elements, write them as one part. Runs in a worker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.dicom.elements import FileHeader, Headers
from dicomhouse.dicom.walk import Walker
from dicomhouse.lake.parts import FileFacts, Part, PartSummary

_MOST_ROWS = 600_000
_MOST_DISTINCT = 80_000
_MOST_BYTES = 48 << 20
"""Elements, distinct ones and their texts that are in memory at once: then they are written."""


@dataclass(frozen=True)
class Entry:
    """One file of a batch."""

    facts: FileFacts
    os_path: str
    problem: str | None
    """Why it could not even be looked at."""


@dataclass(frozen=True)
class Batch:
    """Files of one source that make one part."""

    name: str
    source: str
    run_id: str
    entries: Sequence[Entry]
    bounds: Bounds = field(default_factory=Bounds)

    def save(self, folder: Path) -> Path:
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(asdict(self)))  # lone surrogates of odd names are escaped
        return path

    @classmethod
    def load(cls, path: Path) -> Batch:
        plain = json.loads(path.read_text())
        entries = [
            Entry(FileFacts(**entry["facts"]), entry["os_path"], entry["problem"])
            for entry in plain.pop("entries")
        ]
        return cls(entries=entries, bounds=Bounds(**plain.pop("bounds")), **plain)


def extract_batch(work: Path, lake: Path) -> PartSummary:
    """Read the files of a saved batch and write its part below `lake`.

    A file that cannot be read is a row with its reason; the batch fails only where the lake
    cannot be written (OSError).
    """
    batch = Batch.load(work)
    part = Part(lake, batch.name, batch.source, batch.run_id)
    facts: list[FileFacts] = []
    headers = Headers()
    walker = Walker(headers, batch.bounds)
    for entry in batch.entries:
        facts.append(entry.facts)
        if entry.problem is not None:
            headers.add(FileHeader("unreadable", entry.problem), (), ())
            continue
        try:
            with FileIO(entry.os_path) as stream:  # the walker reads a header at once
                walker.read(stream)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            headers.add(FileHeader("unreadable", f"file_unreadable: {reason}"), (), ())
        if (
            headers.n_occurrences >= _MOST_ROWS
            or len(headers.elements) >= _MOST_DISTINCT
            or headers.n_characters + walker.n_kept >= _MOST_BYTES
        ):
            part.add(facts, headers)
            facts, headers = [], Headers()
            walker = Walker(headers, batch.bounds)
    if facts:
        part.add(facts, headers)
    return part.close()
