"""The record of a part: written last, so that what has one is whole.

It lies beside the lake, as `parts/NAME.json` of a generation, and holds no value from a file but
the Modality in the name of a partition.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

from dicomhouse.filesystem import replacing
from dicomhouse.lake.forms import PART, has_form, is_path_of_part, read_json


@dataclass(frozen=True)
class PartRecord:
    """What a part holds, and what was needed to make it."""

    name: str
    source: str
    extractor: str
    """`versions.extractor()` of the program that read its files."""
    rewritten: bool
    """Whether its rows stood in other parts before."""
    files: int
    images: int
    elements: int
    n_bytes: int
    statuses: dict[str, int]
    image_columns: list[str]
    paths: list[str]
    """Its files below the lake."""

    @classmethod
    def load(cls, path: Path) -> PartRecord:
        """Read a record.

        Raises:
            ValueError: it is damaged, of another release's form, or another part's.
            OSError: it is not there, or cannot be read.
        """
        plain = read_json(path)
        if not has_form(plain, PART) or plain.keys() != PART.keys():
            raise ValueError("of another form")
        record = cls(**plain)
        if record.name != path.stem or not all(
            is_path_of_part(below, record.source, record.name) for below in record.paths
        ):
            raise ValueError("another part's")
        return record

    def is_there(self, generation: Path) -> bool:
        """Whether all of its files are plain ones, in folders of a generation's and no links."""
        files = [generation / "lake" / path for path in self.paths]
        folders = {
            folder
            for path in files
            for folder in path.parents
            if folder.is_relative_to(generation / "lake")
        }
        try:
            return all(S_ISDIR(folder.lstat().st_mode) for folder in folders) and all(
                S_ISREG(path.lstat().st_mode) for path in files
            )
        except OSError:
            return False

    def save(self, parts: Path) -> None:
        """Write the record; the part's files are on the disk, since they have their names.

        Raises:
            OSError: the folder `parts` is gone: the generation was given up.
        """
        with replacing(parts / f"{self.name}.json") as private:
            private.write_text(json.dumps(asdict(self)))


def records(parts: Path) -> Iterator[PartRecord]:
    """The records in a folder `parts`; those of another form are passed over."""
    for path in sorted(parts.glob("[!.]*.json")):
        with suppress(ValueError):
            yield PartRecord.load(path)


def adopt(record: PartRecord, generation: Path, target: Path) -> None:
    """Give a part of one generation's folder to another's too: hard links, else copies.

    The record comes last.

    Raises:
        OSError: the target cannot be written.
    """
    below = [*(f"lake/{path}" for path in record.paths), f"parts/{record.name}.json"]
    for path in below:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        if (target / path).exists():
            continue
        try:
            (target / path).hardlink_to(generation / path)
        except OSError:  # no links here, too many of them, or another file system
            with replacing(target / path) as private:
                shutil.copyfile(generation / path, private)


def remove(record: PartRecord, generation: Path) -> None:
    """Take a part out of an unpublished generation: its record first."""
    (generation / "parts" / f"{record.name}.json").unlink(missing_ok=True)
    for path in record.paths:
        (generation / "lake" / path).unlink(missing_ok=True)


def total(parts: Sequence[PartRecord]) -> dict[str, Any]:
    """What parts hold together: files by status, images, elements, bytes."""
    statuses: Counter[str] = Counter()
    for part in parts:
        statuses.update(part.statuses)
    return {
        "files": dict(sorted(statuses.items())),
        "images": sum(part.images for part in parts),
        "elements": sum(part.elements for part in parts),
        "lake_bytes": sum(part.n_bytes for part in parts),
    }
