"""What a run has to do: the files that are there against the parts that earlier runs left.

The decision itself is `lake.plan`'s, on plain data; here its inputs are read from the disk and its
outcome becomes links and saved work lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import compress, count, groupby
from operator import ne
from pathlib import Path
from typing import Any

from dicomhouse.errors import SourceLost, StorageError, UsageError
from dicomhouse.lake import keys
from dicomhouse.lake.generations import Generation, create
from dicomhouse.lake.orders import Batch, Entry, FileFacts, Input, Rewrite
from dicomhouse.lake.plan import Choice, Files, Part, choose, merges
from dicomhouse.lake.records import Manifest, PartRecord, adopt, manifest, records
from dicomhouse.scan import Found, Source, sources_of
from dicomhouse.settings import Settings


@dataclass(frozen=True)
class Stored:
    """A part that an earlier run left, where it lies, and the files in it."""

    record: PartRecord
    generation: Generation
    manifest: Manifest
    is_usable: bool
    """Whether its rows may stand in the next lake."""


@dataclass
class Work:
    """What is to be done, as saved work lists, and what is there already."""

    kept: list[PartRecord]
    first: list[Path] = field(default_factory=list)
    """Batches to read and parts to write anew, in any order."""
    then: list[Path] = field(default_factory=list)
    """Parts to merge once these are there."""
    merged: frozenset[str] = frozenset()
    """Parts of the new lake that the last merges replace."""
    n_read: int = 0
    """Files to read."""


def sources(settings: Settings, before: Mapping[str, Any], extractor: str) -> list[Source]:
    """The sources that a run looks through.

    Those that are named; without any, all that the warehouse has, where they were. When the
    extractor is another one, those that are not named too, since their parts are of no use.

    Args:
        settings: the run's.
        before: `run.json` of the published generation; empty for none.
        extractor: this program's.

    Raises:
        UsageError: a folder is missing, a name is there twice, or is not there to be forgotten;
            one folder would be two sources.
        SourceLost: the folder of a source that the warehouse has is gone.
    """
    known: dict[str, str] = before.get("sources", {})
    named = sources_of(list(settings.sources))
    names = {source.name for source in named}
    for name in settings.forget:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise UsageError(f"no source {name} to forget; the warehouse has: {there}.")
        if name in names:
            raise UsageError(f"source {name} cannot be both read and forgotten.")
    rest = known.keys() - names - set(settings.forget)
    if not named and not rest:
        raise UsageError(
            "no source would be left; remove the warehouse's folder instead."
            if settings.forget
            else "no source: give at least one folder of DICOM files."
        )
    folders = {source.folder: source.name for source in named}
    for name in sorted(rest):
        if (other := folders.setdefault(Path(known[name]), name)) != name:
            raise UsageError(
                f"{known[name]} is the source {name} already. Build it under that name, or let "
                f"it be {other} from now on: --forget {name}."
            )
    if named and before.get("extractor") == extractor:
        return named
    for name in sorted(rest):
        if not Path(known[name]).is_dir():
            raise SourceLost(
                f"source {name}: no folder {known[name]}. Is it mounted? Where it has moved: "
                f"{name}=PATH. If it is gone by intent: --forget {name}. The published warehouse "
                "is unchanged."
            )
    return [*named, *(Source(name, Path(known[name])) for name in sorted(rest))]


def stored(
    published: Generation | None,
    leftovers: Sequence[Generation],
    usable: Callable[[PartRecord, Generation], bool],
) -> list[Stored]:
    """The parts that earlier runs left, those of unpublished runs first, the larger ones first.

    A damaged part is passed over where it may be: its files are read again.

    Args:
        published: the generation that readers see.
        leftovers: what runs left unpublished, newest first.
        usable: by its record and the generation it is in, whether a part may be used.

    Raises:
        StorageError: the rows of `files` of a published part that is needed cannot be read.
    """
    theirs = [] if published is None else list(records(published.parts))
    found: list[Stored] = []
    names = {record.name for record in theirs}
    for leftover in leftovers:
        own = [record for record in records(leftover.parts) if record.name not in names]
        for record in sorted(own, key=lambda record: -record.files):
            if usable(record, leftover):
                with suppress(StorageError):
                    found.append(Stored(record, leftover, manifest(leftover.lake, record), True))
        names |= {record.name for record in own}
    if published is not None:
        for record in theirs:
            is_usable = usable(record, published)
            with suppress(*([] if is_usable else [StorageError])):
                files = manifest(published.lake, record)
                found.append(Stored(record, published, files, is_usable))
    return found


def published_files(parts: Iterable[Stored], published: Generation | None) -> dict[str, Files]:
    """By source, the files of the published generation."""
    files: dict[str, dict[str, Any]] = {}
    for part in parts:
        if part.generation == published:
            files.setdefault(part.record.source, {}).update(part.manifest.files)
    return dict(files)


def chosen(
    parts: Sequence[Stored], present: Mapping[str, Files], again: Mapping[str, Collection[str]]
) -> Choice:
    """Where the rows of each present file come from."""
    return choose(
        [
            Part(part.record.name, part.record.source, part.manifest.files)
            for part in parts
            if part.is_usable
        ],
        present,
        again,
    )


def not_read(parts: Iterable[Stored], present: Mapping[str, Files]) -> dict[str, set[str]]:
    """By source, the present files that were not read in full, where a second look may help."""
    found: dict[str, set[str]] = {}
    for part in parts:
        files = present.get(part.record.source, {})
        for path in part.manifest.not_read:
            if path in files and files[path][2] is None:
                found.setdefault(part.record.source, set()).add(path)
    return found


def drift(known: Mapping[str, Files], present: Mapping[str, Files]) -> Counter[str]:
    """How many files are `new`, `changed` and `gone` since the published generation."""
    counts: Counter[str] = Counter()
    for source in known.keys() | present.keys():
        then, now = known.get(source, {}), present.get(source, {})
        differing = list(compress(now, map(ne, now.values(), map(then.get, now))))
        new = sum(path not in then for path in differing)
        counts["new"] += new
        counts["changed"] += len(differing) - new
        counts["gone"] += len(then) - (len(now) - new)
    return counts


def lay_out(
    choice: Choice,
    parts: Sequence[Stored],
    found: Mapping[str, Sequence[Found]],
    target: Generation,
    run_id: str,
    settings: Settings,
) -> Work:
    """Link what is kept into the new generation, and save the lists of what is to be done."""
    by_name = {part.record.name: part for part in parts}
    number = count()
    uses = {use.name: use for use in choice.uses}
    read: dict[str, dict[str, int]] = {}
    work = Work([])
    for source, files in found.items():
        wanted = choice.read[source]
        for chunk in batches((file for file in files if file.path in wanted), settings.batch_files):
            name = f"part-{run_id}-{next(number):05d}"
            batch = Batch(name, source, run_id, chunk, settings.bounds)
            work.first.append(batch.save(target.work / "extract"))
            work.n_read += len(chunk)
            read.setdefault(source, {})[name] = len(chunk)
    groups: list[tuple[str, list[str]]] = []
    for source in found:
        sizes = {use.name: use.n_files for use in choice.uses if use.source == source}
        groups += [
            (source, group)
            for group in merges(sizes | read.get(source, {}), settings.batch_files // 2)
        ]
    in_groups = {name for _, group in groups for name in group}
    groups += [(u.source, [u.name]) for u in choice.uses if u.dropped and u.name not in in_groups]
    for source, group in groups:
        inputs = []
        for name in group:
            if name in uses:
                dropped = [keys.file_id(source, path) for path in sorted(uses[name].dropped)]
                inputs.append(Input(str(by_name[name].generation.folder), name, dropped))
            else:
                inputs.append(Input(str(target.folder), name, []))
                work.merged |= {name}
        order = Rewrite(f"part-{run_id}-{next(number):05d}", source, inputs)
        stage = work.first if all(name in uses for name in group) else work.then
        stage.append(order.save(target.work / "rewrite"))
    for use in choice.uses:
        if not use.dropped and use.name not in in_groups:
            part = by_name[use.name]
            adopt(part.record, part.generation.folder, target.folder)
            work.kept.append(part.record)
    return work


def lay_out_again(
    choice: Choice,
    parts: Sequence[Stored],
    found: Mapping[str, Sequence[Found]],
    target: Generation,
    run_id: str,
    settings: Settings,
) -> tuple[list[Path], list[Path]]:
    """Save lists to read once more, into the scratch folder, what parts have rows of.

    Returns:
        The lists, and the parts' files to compare with.
    """
    create(target.scratch)
    number = count()
    lists = []
    for source, files in found.items():
        known = (file for file in files if file.path not in choice.read[source])
        for chunk in batches(known, settings.batch_files):
            batch = Batch(
                f"part-{run_id}-{next(number):05d}", source, run_id, chunk, settings.bounds
            )
            lists.append(batch.save(target.scratch.work / "extract"))
    used = {use.name for use in choice.uses}
    before = [
        part.generation.lake / path
        for part in parts
        if part.record.name in used and part.record.source in found
        for path in part.record.paths
    ]
    return lists, before


def batches(found: Iterable[Found], size: int) -> Iterator[list[Entry]]:
    """Files in batches of neighbouring folders.

    A batch ends with the folder that brings it to `size`; a folder that would bring it beyond
    twice that is split.
    """
    batch: list[Entry] = []
    for _, folder in groupby(found, key=lambda file: file.path.rpartition("/")[0]):
        for file in folder:
            facts = FileFacts(file.path, file.size_bytes, file.modified_ns)
            batch.append(Entry(facts, file.os_path, file.problem))
            if len(batch) >= 2 * size:
                yield batch
                batch = []
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
