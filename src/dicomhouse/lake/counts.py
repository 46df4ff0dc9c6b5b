"""How many images of each series hold each value, counted as the rows of `elements` are written.

Most elements say the same in every image of a series, so that these rows are few beside those of
`elements`. The models that compare values start from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dicomhouse.lake.coded import Coded, Codes, coded
from dicomhouse.lake.schema import KEYS, VALUE_COUNTS

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

SCHEMA = coded(VALUE_COUNTS, but=("content",))
"""Of the counts as they are made: a content mostly comes once."""

_COUNTED = ["file_id", *(field.name for field in KEYS), "path", "tag", "vr", "vm", "value",
            "number", "n_bytes", "digest", "problem_class", "structural"]  # fmt: skip
"""Columns of `elements` that the counts follow from."""
_BETWEEN = "\x1f"
_ROWS_AT_ONCE = 1 << 17
_SEED = np.random.default_rng().integers(1 << 63, dtype=np.uint64)
"""Nobody who makes a file knows it."""


@dataclass(frozen=True)
class Texts:
    """A column of few distinct texts, as ranks in their order."""

    ranks: Codes
    distinct: pa.StringArray

    @classmethod
    def of(cls, texts: Sequence[str], codes: Codes) -> Texts:
        """The column `[texts[code] for code in codes]`."""
        distinct = sorted(set(texts))
        rank_of = {text: rank for rank, text in enumerate(distinct)}
        ranks = np.array([rank_of[text] for text in texts], dtype=np.int32)
        return cls(ranks[codes], pa.array(distinct, pa.string()))

    def column(self, ranks: Codes) -> pa.DictionaryArray:
        """The texts of some ranks, and no others in the dictionary."""
        is_used = np.zeros(len(self.distinct), dtype=np.bool_)
        is_used[ranks] = True
        if is_used.all():
            return pa.DictionaryArray.from_arrays(pa.array(ranks), self.distinct)
        places = np.cumsum(is_used, dtype=np.int32) - 1
        texts = self.distinct.filter(pa.array(is_used))
        return pa.DictionaryArray.from_arrays(pa.array(places[ranks]), texts)


@dataclass(frozen=True)
class Distinct:
    """Distinct elements, each with one place in every column."""

    path: Texts
    tag: Texts
    vr: Texts
    vm: Codes
    value: pa.StringArray
    number: Numbers
    """NaN for none."""
    n_bytes: NDArray[np.int64]
    """-1 for none."""
    digest: pa.StringArray
    is_invalid: Flags
    """Whether the value is not usable."""


@dataclass(frozen=True)
class Holders:
    """The files that elements stand in."""

    file_ids: NDArray[np.int64]
    lineage: Codes
    """Which one of `lineages` each belongs to."""
    lineages: Sequence[tuple[str | None, ...]]
    """Keys of patient, study and series."""


def value_counts(elements: Distinct, codes: Codes, files: Codes, holders: Holders) -> pa.Table:
    """Count the images of each lineage that say the same at a path (`schema.VALUE_COUNTS`).

    What an image says at a path is one element's content; of several elements (in the items of a
    sequence, or in two private blocks of one creator) it is the list of theirs.

    Args:
        elements: the distinct ones.
        codes: which one stands in each row; rows by path, then by file, then by position.
        files: which one of `holders` each row stands in.
        holders: images.
    """
    same_file = np.flatnonzero(files[1:] == files[:-1])
    paths = elements.path.ranks
    same_path = paths[codes[same_file]] == paths[codes[same_file + 1]]
    lists = _Lists.of(codes, same_file[same_path] + 1)
    said = lists.in_place(codes, len(elements.vm))
    files = lists.in_place(files)
    # One image after the other mostly says the same.
    lineage = holders.lineage.take(files)
    runs = np.flatnonzero(_changes(said, lineage))
    images = np.diff(runs, append=len(said))
    file_ids = holders.file_ids.take(files)
    examples = np.minimum.reduceat(file_ids, runs) if len(runs) else file_ids
    said, lineage = said[runs], lineage[runs]
    again = np.flatnonzero(np.bincount(said)[said] > 1)
    if len(again):
        key = said[again].astype(np.int64) * len(holders.lineages) + lineage[again]
        order = np.argsort(key, kind="stable")
        groups = np.flatnonzero(_changes(key[order]))
        again = again[order]
        first = again[groups]
        images[first] = np.add.reduceat(images[again], groups)
        examples[first] = np.minimum.reduceat(examples[again], groups)
        more = np.delete(again, groups)
        said, lineage, images, examples = (
            np.delete(column, more) for column in (said, lineage, images, examples)
        )
    columns = _contents(elements, lists, said)
    lineages = Coded(lineage, len(holders.lineages))
    for place, field in enumerate(KEYS):
        keys = pa.array([one[place] for one in holders.lineages], pa.string())
        columns[field.name] = lineages.texts(keys)
    columns["images"] = pa.array(images)
    columns["example_file_id"] = pa.array(examples)
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _changes(*columns: NDArray[Any]) -> Flags:
    """Where a row differs from the one before; the first one does."""
    changed = np.zeros(len(columns[0]), dtype=np.bool_)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed


@dataclass(frozen=True)
class _Lists:
    """The distinct lists of elements that images have at a path with several."""

    begins: NDArray[np.intp]
    """The rows where one begins, whichever."""
    follows: NDArray[np.intp]
    """The rows that continue one."""
    of_each: NDArray[np.intp]
    """Which distinct one begins there."""
    codes: Codes
    """The elements of the distinct ones, one after the other."""
    starts: NDArray[np.intp]
    """Where each of these begins."""

    @classmethod
    def of(cls, codes: Codes, follows: NDArray[np.intp]) -> _Lists:
        """
        Args:
            codes: which element stands in each row.
            follows: the rows that belong to the list of the row before.
        """
        where = np.flatnonzero(np.diff(follows, prepend=-2) != 1)
        begins, lengths = follows[where] - 1, np.diff(where, append=len(follows)) + 1
        rows, starts = _stretches(begins, lengths)
        places = np.arange(len(rows)) - np.repeat(starts, lengths)
        marks = _scattered((places << 32 | codes[rows]).astype(np.uint64))
        sums = np.add.reduceat(marks, starts) if len(starts) else marks
        _, firsts, of_each = np.unique(sums, return_index=True, return_inverse=True)
        rows, starts = _stretches(begins[firsts], lengths[firsts])
        return cls(begins, follows, of_each, codes[rows], starts)

    def in_place(self, column: Codes, labels_from: int | None = None) -> Codes:
        """A column of all rows with one row for each list, labelled by its number where asked."""
        if not len(self):
            return column
        if labels_from is not None:
            column = column.copy()
            column[self.begins] = labels_from + self.of_each
        return np.delete(column, self.follows)

    def __len__(self) -> int:
        return len(self.starts)

    def contents(self, content: pa.StringArray, has_value: Flags) -> pa.StringArray:
        """The contents of each, in one text; none where no element of it has a value."""
        offsets = np.append(self.starts, len(self.codes)).astype(np.int32)
        texts = content.take(pa.array(self.codes)).fill_null("")
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, texts), _BETWEEN)
        if not len(self):
            return joined
        is_empty = ~np.logical_or.reduceat(has_value[self.codes], self.starts)
        return pc.if_else(pa.array(is_empty), pa.scalar(None, pa.string()), joined)

    def means(self, numbers: Numbers) -> Numbers:
        """The mean of each one's numbers, added up in their order; NaN where there are none."""
        own = numbers[self.codes]
        has_number = ~np.isnan(own)
        ends = np.append(self.starts, len(own))
        of_row = np.repeat(np.arange(len(self)), np.diff(ends))[has_number]
        counts = np.bincount(of_row, minlength=len(self))
        sums = np.bincount(of_row, own[has_number], minlength=len(self))
        return np.divide(sums, counts, out=np.full(len(self), np.nan), where=counts > 0)


def _stretches(
    starts: NDArray[np.intp], lengths: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every place of some stretches, one after the other, and where each begins among them."""
    begins = np.cumsum(lengths) - lengths
    places = np.arange(lengths.sum()) + np.repeat(starts - begins, lengths)
    return places, begins


def _scattered(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers of 64 bits mixed, one to one, as SplitMix64 does.

    Sums of them tell lists apart as surely as `file_id` tells files.
    """
    mixed = numbers + _SEED
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _contents(elements: Distinct, lists: _Lists, said: Codes) -> dict[str, Any]:
    """The columns of what is said: each the code of an element or, after these, of a list."""
    n = len(elements.vm)
    has_value = elements.vm > 0
    # Pixel data may be declared as a sequence: it is measured all the same, and has no items.
    is_measured = has_value & np.isnan(elements.number)
    is_sequence = (elements.vr.ranks == elements.vr.distinct.index("SQ").as_py()) & ~is_measured
    has_text = elements.value.is_valid().to_numpy(zero_copy_only=False)
    is_bulk = has_value & ~has_text & ~is_sequence
    is_unread = is_bulk & elements.digest.is_null().to_numpy(zero_copy_only=False)
    items = np.where(is_sequence, np.nan_to_num(elements.number), 0).astype(np.int64)
    none = np.full(n, np.nan)
    at = said.astype(np.intp)

    def joined(column: NDArray[Any], join: np.ufunc, alone: NDArray[Any] | None = None) -> Any:
        """A column of the elements, or what stands in it for one `alone`, and of the lists."""
        alone = column if alone is None else alone
        if not len(lists):
            return alone.take(at)
        return np.append(alone, join.reduceat(column[lists.codes], lists.starts)).take(at)

    def texts(column: Texts) -> pa.DictionaryArray:
        return column.column(joined(column.ranks, np.minimum))

    def numbers(column: Numbers) -> pa.Array:
        # Of 0 and -0, which are equal, whichever comes first would be the least or the greatest.
        return pa.array(column + 0.0, mask=np.isnan(column))

    alone = _content(elements, is_sequence & has_value, is_bulk)
    return {
        "path": texts(elements.path),
        "tag": texts(elements.tag),
        "vr": texts(elements.vr),
        "vm": pa.array(joined(elements.vm, np.maximum)),
        "content": pa.concat_arrays([alone, lists.contents(alone, has_value)]).take(pa.array(said)),
        "is_bulk": pa.array(joined(is_bulk, np.logical_or)),
        "is_unread": pa.array(joined(is_unread, np.logical_or)),
        "is_invalid": pa.array(joined(elements.is_invalid, np.logical_or)),
        "has_empty": pa.array(joined(~has_value, np.logical_or)),
        "elements": pa.array(joined(np.ones(n, np.int32), np.add), pa.int32()),
        "items": pa.array(joined(items, np.add)),
        "number_min": numbers(joined(elements.number, np.fmin)),
        "number_max": numbers(joined(elements.number, np.fmax, none)),
        "number_mean": numbers(np.append(none, lists.means(elements.number)).take(at)),
    }


def _content(elements: Distinct, has_items: Flags, is_bulk: Flags) -> pa.StringArray:
    """What each says: its text; a sequence its number of items, bulk data length and digest."""
    where = np.flatnonzero(has_items | is_bulk)
    if not len(where):
        return elements.value
    digests = elements.digest.take(pa.array(where)).to_pylist()
    texts = [
        f"{'' if size < 0 else size}:{digest or ''}" if bulk else str(int(number))
        for bulk, size, digest, number in zip(
            is_bulk[where].tolist(),
            elements.n_bytes[where].tolist(),
            digests,
            elements.number[where].tolist(),
            strict=True,
        )
    ]
    mask = pa.array(has_items | is_bulk)
    return pc.replace_with_mask(elements.value, mask, pa.array(texts, pa.string()))


class Recount:
    """Counts rows of `elements` that are written anew, a path or many at a time.

    Args:
        write: takes the counts, some at a time.
    """

    def __init__(self, write: Callable[[pa.Table], None]) -> None:
        self._write = write
        self._waiting: list[pa.Table] = []
        self._rows = self._left = 0

    def add(self, table: pa.Table) -> None:
        """Count more rows, their texts as dictionaries; by path, then by file, then by position."""
        self._waiting.append(table.select(_COUNTED))
        self._rows += table.num_rows
        if self._rows >= self._left + _ROWS_AT_ONCE:
            self._count(is_last=False)

    def close(self) -> None:
        """Count the rest."""
        if self._rows:
            self._count(is_last=True)

    def _count(self, is_last: bool) -> None:
        table = pa.concat_tables(self._waiting).unify_dictionaries().combine_chunks()
        end = table.num_rows
        if not is_last:  # more rows of the last path may come
            paths = table["path"].chunk(0).indices.to_numpy()
            end = int(np.flatnonzero(_changes(paths))[-1])
        self._waiting = [table.slice(end)]
        self._rows = self._left = table.num_rows - end
        table = table.slice(0, end)
        # Files without keys are not images.
        said = pc.and_(pc.is_valid(table["patient_key"]), pc.invert(table["structural"]))
        if pc.any(said).as_py():
            self._write(_of_rows(table.filter(said).combine_chunks()))


def _of_rows(table: pa.Table) -> pa.Table:
    """The counts of some rows of `elements`, each column in one chunk."""

    def codes(name: str) -> Codes:
        """Of a column with a dictionary; -1 for null."""
        return table[name].chunk(0).indices.fill_null(-1).to_numpy()

    def numbers(name: str, none: float) -> NDArray[Any]:
        return table[name].chunk(0).fill_null(none).to_numpy()

    files = _changes(numbers("file_id", 0))
    keys = [codes(field.name)[files] for field in KEYS]
    first, lineage = _unique(keys)
    names = [table[field.name].chunk(0).dictionary.to_pylist() for field in KEYS]
    lineages = [
        tuple(texts[code] for texts, code in zip(names, one, strict=True))
        for one in zip(*(column[first].tolist() for column in keys), strict=True)
    ]
    holders = Holders(numbers("file_id", 0)[files], lineage, lineages)
    first, which = _unique([
        *map(codes, ("path", "tag", "vr", "value", "digest", "problem_class")),
        numbers("vm", 0),
        numbers("number", np.nan).view(np.int64),
        numbers("n_bytes", -1),
    ])  # fmt: skip
    distinct = table.take(pa.array(first))

    def texts(name: str) -> Texts:
        column = distinct[name].combine_chunks()
        return Texts.of(column.dictionary.to_pylist(), column.indices.to_numpy())

    elements = Distinct(
        path=texts("path"),
        tag=texts("tag"),
        vr=texts("vr"),
        vm=distinct["vm"].to_numpy(),
        value=distinct["value"].combine_chunks().cast(pa.string()),
        number=distinct["number"].combine_chunks().fill_null(np.nan).to_numpy(),
        n_bytes=distinct["n_bytes"].combine_chunks().fill_null(-1).to_numpy(),
        digest=distinct["digest"].combine_chunks().cast(pa.string()),
        is_invalid=pc.equal(distinct["problem_class"].cast(pa.string()), "value")
        .fill_null(False)
        .to_numpy(),
    )
    return value_counts(elements, which, np.cumsum(files, dtype=np.int32) - 1, holders)


def _unique(columns: Sequence[NDArray[Any]]) -> tuple[NDArray[np.intp], Codes]:
    """Which rows differ in any column, and for each row which of them it equals."""
    runs = _changes(*columns)  # equal rows mostly stand together
    label = np.zeros(int(runs.sum()), dtype=np.int64)
    for column in columns:
        label = _codes(label * len(label) + _codes(column[runs]))
    first = np.flatnonzero(np.diff(np.maximum.accumulate(label), prepend=-1))
    return np.flatnonzero(runs)[first], label.astype(np.int32)[np.cumsum(runs) - 1]


def _codes(column: NDArray[Any]) -> NDArray[np.int64]:
    """Numbers in the place of values, from 0 as they first occur. Hashed: a sort takes longer."""
    codes: NDArray[np.int64] = pa.array(column).dictionary_encode().indices.to_numpy()
    return codes.astype(np.int64)
