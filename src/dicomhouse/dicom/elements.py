"""What a reader gives: the distinct elements of many files, and where each of them stands.

Headers of a series are nearly equal, so an element is decoded once and then counted by code.
`Element` is everything that depends on an element's bytes and their context alone; what depends
on the file (its place, its item numbers) is an `Occurrence` column in `Headers`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
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
    """Codes of `problems.PROBLEM_CLASS`, the heaviest first, joined by blanks."""
    problem_class: str | None
    """Of the heaviest. `form`: the value is usable all the same. `value`: it is not."""
    structural: bool
    """Group 0002, group lengths, private creators, and what another occurrence of its tag
    overrides: part of the file's build, not of its say."""


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

    `elements[codes[i]]` is the i-th occurrence (equal ones mostly have one code) and
    `items[item_codes[i]]` its item numbers from the outermost (`""` at top level, `"0"`,
    `"137.0"`). `counts[f]` occurrences belong to file f, `n_occurrences` to all of them.

    Inside, a file is a list of references: the code of one element at top level, or the complement
    (`~n`, so below 0) of block n, a stretch of occurrences that is kept once.
    """

    def __init__(self) -> None:
        self.elements: list[Element] = []
        self.items: list[str] = [""]
        self.files: list[FileHeader] = []
        self.n_occurrences = 0
        self.n_characters = 0
        """Of the values and paths of all elements."""
        self._element_code: dict[Element, int] = {}
        self._item_code: dict[str, int] = {"": 0}
        self._references = array("i")
        self._references_of_file = array("i")
        self._block_codes = array("i")
        self._block_item_codes = array("i")
        self._block_ends = array("q", [0])
        self._block_lengths: dict[int, int] = {}
        self._expanded: _Expanded | None = None

    def code(self, element: Element) -> int:
        """The code of a distinct element, new or known."""
        code = self._element_code.get(element)
        if code is None:
            code = self._element_code[element] = self.new(element)
        return code

    def new(self, element: Element) -> int:
        """A code for an element that is most likely new: not looked up, it may get a second one."""
        self.elements.append(element)
        self.n_characters += len(element.path) + len(element.value or "")
        return len(self.elements) - 1

    def forget(self, n_elements: int) -> None:
        """Drop all but the first elements; no file may have one of the others."""
        del self.elements[n_elements:]
        self._element_code = {e: c for e, c in self._element_code.items() if c < n_elements}

    def item_code(self, item: str) -> int:
        code = self._item_code.setdefault(item, len(self.items))
        if code == len(self.items):
            self.items.append(item)
        return code

    def block(self, codes: Sequence[int], item_codes: Sequence[int]) -> int:
        """A reference to these occurrences, for `add_references`."""
        self._block_codes.extend(codes)
        self._block_item_codes.extend(item_codes)
        reference = ~len(self._block_lengths)
        self._block_lengths[reference] = len(codes)
        self._block_ends.append(len(self._block_codes))
        return reference

    def joined(self, references: Sequence[int]) -> int:
        """One reference for several in a row."""
        codes, item_codes = array("i"), array("i")
        for reference in references:
            if reference >= 0:
                codes.append(reference)
                item_codes.append(0)
            else:
                start, end = self._block_ends[~reference], self._block_ends[~reference + 1]
                codes.extend(self._block_codes[start:end])
                item_codes.extend(self._block_item_codes[start:end])
        return self.block(codes, item_codes)

    def count(self, references: Sequence[int]) -> int:
        """How many occurrences the references stand for."""
        return sum(map(self._block_lengths.get, references, repeat(1)))

    def add(self, header: FileHeader, codes: Sequence[int], item_codes: Sequence[int]) -> None:
        """Close one file: its header and its occurrences, in the order of the file."""
        self.add_references(header, [self.block(codes, item_codes)] if codes else [])

    def add_references(self, header: FileHeader, references: Sequence[int]) -> None:
        """Close one file whose occurrences are given by references."""
        self.files.append(header)
        self._references.extend(references)
        self._references_of_file.append(len(references))
        self.n_occurrences += self.count(references)

    def _expand(self) -> _Expanded:
        if self._expanded is None or len(self._expanded.counts) != len(self.files):
            references = np.array(self._references, dtype=np.int64)
            is_block = references < 0
            ends = np.array(self._block_ends, dtype=np.int64)
            blocks = ~references[is_block]
            lengths = np.ones(len(references), dtype=np.int64)
            lengths[is_block] = ends[blocks + 1] - ends[blocks]
            # Elements of their own stand behind the blocks, so that one index finds both.
            sources = np.array(references)
            sources[is_block] = ends[blocks]
            sources[~is_block] += len(self._block_codes)
            stops = np.cumsum(lengths)
            within = np.arange(stops[-1] if len(stops) else 0) - np.repeat(stops - lengths, lengths)
            at = np.repeat(sources, lengths) + within
            alone = np.arange(len(self.elements), dtype=np.int32)
            codes = np.concatenate((np.array(self._block_codes, dtype=np.int32), alone))
            item_codes = np.concatenate(
                (np.array(self._block_item_codes, dtype=np.int32), np.zeros_like(alone))
            )
            per_file = np.cumsum(np.array(self._references_of_file, dtype=np.int64))
            totals = np.concatenate(([0], stops))[np.concatenate(([0], per_file))]
            self._expanded = _Expanded(
                codes[at], item_codes[at], np.diff(totals).astype(np.int32), totals
            )
        return self._expanded

    @property
    def codes(self) -> NDArray[np.int32]:
        return self._expand().codes

    @property
    def item_codes(self) -> NDArray[np.int32]:
        return self._expand().item_codes

    @property
    def counts(self) -> NDArray[np.int32]:
        return self._expand().counts

    def __len__(self) -> int:
        return len(self.files)

    def occurrences(self, file: int) -> Iterator[tuple[Element, str]]:
        """The elements of one file with their item numbers, in the order of the file."""
        expanded = self._expand()
        file %= len(self)
        where = slice(int(expanded.starts[file]), int(expanded.starts[file + 1]))
        for code, item in zip(
            expanded.codes[where].tolist(), expanded.item_codes[where].tolist(), strict=True
        ):
            yield self.elements[code], self.items[item]


@dataclass(frozen=True, slots=True)
class _Expanded:
    """All references of a `Headers` written out."""

    codes: NDArray[np.int32]
    item_codes: NDArray[np.int32]
    counts: NDArray[np.int32]
    starts: NDArray[np.int64]
