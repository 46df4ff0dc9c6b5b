"""What a reader gives: the distinct elements of many files, and where each of them stands.

Headers of a series are nearly equal, so an element is decoded once and then counted by code.
`Element` is everything that depends on an element's bytes and their context alone; what depends
on the file (its place, its item numbers) is an `Occurrence` column in `Headers`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Element(NamedTuple):
    """One distinct element. Two readers agree on a file when they give equal elements for it."""

    path: str
    """Keywords from the outermost sequence, joined by dots, without item numbers."""
    tag: int
    keyword: str | None
    private_creator: str | None
    depth: int
    vr: str
    """The value representation the value was decoded with."""
    vr_file: str
    """What stood in the file; empty text where the file is implicit VR."""
    vm: int
    """Number of values: 0 when empty; for a sequence 1, or 0 without items; for bulk data 1."""
    value: str | None
    """Canonical text, values joined by a backslash; None when empty, bulk, or a sequence."""
    number: float | None
    """First numeric value where it is finite; for a sequence its number of items."""
    n_bytes: int | None
    """Length of the value field in the file, padding included; None for a sequence."""
    digest: str | None
    """BLAKE2b-128 of bulk data in hexadecimal; None for values that stand in `value`."""
    problem: str | None
    problem_class: str | None
    """`form`: the value is usable all the same. `value`: it is not."""
    structural: bool
    """Group 0002, group lengths and private creators: part of the file's build, not of its say."""


@dataclass(slots=True)
class FileHeader:
    """What one file turned out to be. The elements stand in `Headers` under the same number."""

    status: str
    """`ok`, `not_dicom`, `empty`, `truncated`, `unreadable` or `no_image`."""
    reason: str | None = None
    """A code and plain words; never a value from the file."""
    pixel_bytes: int | None = None
    """Length of the pixel data's value field; of encapsulated data, of its fragments' values."""


class Headers:
    """The elements of many files as integer codes, in the order of the files.

    `elements[codes[i]]` is the i-th occurrence, `items[item_codes[i]]` its item numbers from the
    outermost (`""` at top level, `"0"`, `"137.0"`). `counts[f]` occurrences belong to file f.
    """

    def __init__(self) -> None:
        self.elements: list[Element] = []
        self.items: list[str] = [""]
        self.files: list[FileHeader] = []
        self._codes = array("i")
        self._item_codes = array("i")
        self._counts = array("i")
        self._element_code: dict[Element, int] = {}
        self._item_code: dict[str, int] = {"": 0}

    def code(self, element: Element) -> int:
        """The code of a distinct element, new or known."""
        code = self._element_code.setdefault(element, len(self.elements))
        if code == len(self.elements):
            self.elements.append(element)
        return code

    def item_code(self, item: str) -> int:
        code = self._item_code.setdefault(item, len(self.items))
        if code == len(self.items):
            self.items.append(item)
        return code

    def add(self, header: FileHeader, codes: Sequence[int], item_codes: Sequence[int]) -> None:
        """Close one file: its header and its occurrences, in the order of the file."""
        self.files.append(header)
        self._codes.extend(codes)
        self._item_codes.extend(item_codes)
        self._counts.append(len(codes))

    @property
    def codes(self) -> NDArray[np.int32]:
        return np.array(self._codes, dtype=np.int32)

    @property
    def item_codes(self) -> NDArray[np.int32]:
        return np.array(self._item_codes, dtype=np.int32)

    @property
    def counts(self) -> NDArray[np.int32]:
        return np.array(self._counts, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.files)

    def occurrences(self, file: int) -> Iterator[tuple[Element, str]]:
        """The elements of one file with their item numbers, in the order of the file."""
        start = sum(self._counts[:file])
        for i in range(start, start + self._counts[file]):
            yield self.elements[self._codes[i]], self.items[self._item_codes[i]]
