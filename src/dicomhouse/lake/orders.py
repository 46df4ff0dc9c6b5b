"""What a worker is asked to do, as plain data that is saved for it: files to read, parts to join.

It imports nothing heavy, since every run needs it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dicomhouse.dicom.bounds import Bounds


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


@dataclass(frozen=True)
class Input:
    """A part of some generation, and the files whose rows are left behind."""

    generation: str
    name: str
    dropped: Sequence[int]
    """Their `file_id`s."""


@dataclass(frozen=True)
class Rewrite:
    """Parts of one source that become one, under a new name."""

    name: str
    source: str
    inputs: Sequence[Input]

    def save(self, folder: Path) -> Path:
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def load(cls, path: Path) -> Rewrite:
        plain = json.loads(path.read_text())
        return cls(inputs=[Input(**one) for one in plain.pop("inputs")], **plain)
