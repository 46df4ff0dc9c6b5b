"""What a worker is asked to do, as plain data that is saved for it: files to read, parts to join.

It imports nothing heavy, since every run needs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dicomhouse.dicom.bounds import Bounds
from dicomhouse.filesystem import UNKNOWN, Files, below, os_path


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
class Batch:
    """Files of one source that make one part."""

    name: str
    source: str
    run_id: str
    root: str
    """The source's address."""
    folders: Sequence[tuple[str, str]]
    """Path below the source and names, joined by slashes, of the files of each folder."""
    problems: Mapping[str, tuple[str, int | None, int | None]] = field(default_factory=dict)
    """By path below the source, of what could not even be looked at, or is not a file: why,
    its size, and its modification time in nanoseconds."""
    bounds: Bounds = field(default_factory=Bounds)
    file_id_key: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        source: str,
        run_id: str,
        root: str,
        files: Iterable[Files],
        bounds: Bounds,
        file_id_key: str = "",
    ) -> Batch:
        """Make one of the files that were found in some folders."""
        found = list(files)
        problems: dict[str, tuple[str, int | None, int | None]] = {}
        for one in found:
            for file, size, time in one.rows() if one.problems else ():
                if file in one.problems:
                    problem = one.problems[file], _number(size), _number(time, 1_000)
                    problems[below(one.folder, file)] = problem
        folders = [(one.folder, one.names) for one in found]
        return cls(name, source, run_id, root, folders, problems, bounds, file_id_key)

    def files(self) -> Iterator[tuple[str, str]]:
        """Path below the source and place of each file."""
        for folder, names in self.folders:
            for name in names.split("/"):
                path = below(folder, name)
                yield path, f"{self.root}/{os_path(path)}"

    def save(self, folder: Path) -> Path:
        path = folder / f"{self.name}.json"
        plain = {**vars(self), "bounds": asdict(self.bounds)}
        path.write_text(json.dumps(plain))  # lone surrogates of odd names are escaped
        return path

    @classmethod
    def load(cls, path: Path) -> Batch:
        plain = json.loads(path.read_text())
        return cls(bounds=Bounds(**plain.pop("bounds")), **plain)


def _number(text: str, unit: int = 1) -> int | None:
    return None if text == UNKNOWN else int(text) * unit


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
