"""What a run has to do: the files that are there against the parts that earlier runs left.

The decision itself is `lake.plan`'s, on plain data; here its inputs are read from the disk and its
outcome becomes links and saved work lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from dicomhouse.errors import StorageError, UsageError
from dicomhouse.filesystem import Files, is_there
from dicomhouse.lake import keys, layout
from dicomhouse.lake.orders import Batch, Input, Rewrite
from dicomhouse.lake.records import PartRecord, adopt, records
from dicomhouse.settings import Settings
from dicomhouse.sources.opening import IS_STORE
from dicomhouse.sources.source import Source, common_folder, listed, lost, sources_of
from dicomhouse.store.generations import Generation
from dicomhouse.store.plan import Part, Use, batches, merges, n_files


@dataclass(frozen=True)
class Stored:
    """A part that an earlier run left, where it lies, and the files in it."""

    record: PartRecord
    generation: Generation
    part: Part


@dataclass(frozen=True)
class Layout:
    """What becomes of the parts that are there."""

    kept: list[PartRecord]
    """Those that stand in the new lake as they are."""
    first: list[Path]
    """Saved lists of parts to write anew, in any order."""
    then: list[Path]
    """Of parts to merge once the files are read."""
    merged: frozenset[str]
    """Parts of the new lake that the last merges replace."""


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
    rules = settings.rules_by_source()
    named = sources_of(settings.sources, known, rules)
    names = {source.name for source in named}
    for name in settings.forget:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise UsageError(
                "no source {name} to forget; the warehouse has: {known}.",
                name=name,
                known=there,
            )
        if name in names:
            raise UsageError("source {source} cannot be both read and forgotten.", source=name)
    rest = known.keys() - names - set(settings.forget)
    if not named and not rest:
        raise UsageError(
            "no source would be left; remove the warehouse's folder instead."
            if settings.forget
            else "no source: give at least one folder of DICOM files."
        )
    lists: dict[str, str] = before.get("lists", {})
    origins = {source.origin: source.name for source in named}
    for name in sorted(rest):
        origin = lists.get(name, known[name])
        if (other := origins.setdefault(origin, name)) != name:
            raise UsageError(
                "{folder} is the source {source} already. Build it under that name, or let it be "
                "{other} from now on: --forget {source}.",
                folder=origin,
                source=name,
                other=other,
            )
    if named and before.get("extractor") == extractor:
        return named
    for name in sorted(rest):
        if IS_STORE not in known[name] and not is_there(Path(known[name])):
            raise lost(name, known[name])
    # What a list names by now may lie elsewhere.
    begins = {n: str(common_folder(listed(lists[n]))) for n in rest & lists.keys()}
    return [
        *named,
        *(
            Source(name, begins.get(name, known[name]), rules.get(name, rules[""]), lists.get(name))
            for name in sorted(rest)
        ),
    ]


def stored(
    published: Generation | None,
    leftovers: Sequence[Generation],
    usable: Callable[[PartRecord, Generation], bool],
    needed: int,
) -> list[Stored]:
    """The parts that earlier runs left, those of unpublished runs first, the larger ones first.

    A damaged part is passed over where it may be: its files are read again.

    Args:
        published: the generation that readers see.
        leftovers: what runs left unpublished, newest first.
        usable: by its record and the generation it is in, whether a part may be used.
        needed: how many published parts there must be, lest files be lost.

    Raises:
        StorageError: the record of a published part, or its rows of `files`, cannot be read.
    """
    theirs = [] if published is None else list(records(published.parts))
    if published is not None and len(theirs) < needed:
        raise StorageError(
            f"{needed - len(theirs)} of the {needed} records in {published.parts} are damaged. "
            f"Remove {published.folder}, then build again: the generation before it is taken up."
        )
    there: list[tuple[PartRecord, Generation]] = []
    names = {record.name for record in theirs}
    for leftover in leftovers:
        own = [record for record in records(leftover.parts) if record.name not in names]
        there += [
            (record, leftover)
            for record in sorted(own, key=lambda record: -record.files)
            if usable(record, leftover)
        ]
        names |= {record.name for record in own}
    if published is not None:
        there += [(record, published) for record in theirs]
    paths = [
        layout.source_folder(generation.lake, "files", record.source) / f"{record.name}.parquet"
        for record, generation in there
    ]
    whole = [
        path
        for (record, generation), path in zip(there, paths, strict=True)
        if record.is_there(generation.folder)
    ]
    files = {}
    if whole:  # else DuckDB is not needed yet
        from dicomhouse.warehouse.database import files_of_parts

        files = files_of_parts(whole)
    found = []
    for (record, generation), path in zip(there, paths, strict=True):
        is_usable, is_published = usable(record, generation), generation == published
        if path in files:
            part = Part(record.name, record.source, *files[path], is_usable, is_published)
            found.append(Stored(record, generation, part))
        elif is_usable and is_published:
            raise StorageError("cannot read {path}. Build again with --full-refresh.", path=path)
    return found


class Lists:
    """The work lists of a run, saved one by one; each asks for a part of a name of its own."""

    def __init__(
        self,
        target: Generation,
        run_id: str,
        settings: Settings,
        sources: Sequence[Source],
        file_id_key: str,
    ) -> None:
        self.target = target
        self.file_id_key = file_id_key
        self.read: dict[str, dict[str, int]] = {}
        """By source, the parts of files that are read, and how many files each has."""
        self.source_of: dict[str, str] = {}
        """Of each list, by the name of the part that it asks for."""
        self._run_id = run_id
        self._settings = settings
        self.sources = {source.name: source.address for source in sources}
        """Those that are looked through."""
        self._number = count()

    @property
    def n_read(self) -> int:
        """Files to read, as far as they are known."""
        return sum(sum(parts.values()) for parts in self.read.values())

    def to_read(self, wanted: Iterable[tuple[str, Files]]) -> Iterator[Path]:
        """Lists of files to read, each as soon as its batch is full.

        Args:
            wanted: source and files, folder by folder, one source after the other.
        """
        size, jobs = self._settings.batch_files, self._settings.jobs
        for source, files in batches(wanted, size, jobs):
            name = self._name(source)
            batch = Batch.of(
                name,
                source,
                self._run_id,
                self.sources[source],
                files,
                self._settings.bounds,
                self.file_id_key,
            )
            self.read.setdefault(source, {})[name] = n_files(files)
            yield batch.save(self.target.work / "extract")

    def to_rewrite(self, source: str, inputs: Sequence[Input]) -> Path:
        """A list of parts that become one."""
        return Rewrite(self._name(source), source, inputs).save(self.target.work / "rewrite")

    def _name(self, source: str) -> str:
        name = f"part-{self._run_id}-{next(self._number):05d}"
        self.source_of[name] = source
        return name


def lay_out(
    lists: Lists, uses: Sequence[Use], parts: Sequence[Stored], settings: Settings
) -> Layout:
    """Link what is kept into the new generation, and save the lists of parts to write anew.

    Args:
        lists: those of the run, once all files to read are in them.
        uses: the parts that are there of which rows are wanted.
        parts: all that are there.
        settings: the run's.
    """
    target = lists.target
    by_name = {part.record.name: part for part in parts}
    used = {use.name: use for use in uses}
    sizes = {source: dict(lists.read.get(source, {})) for source in lists.sources}
    for use in uses:
        if use.source in sizes:
            sizes[use.source][use.name] = use.n_files
    groups = [
        (source, group)
        for source, of_source in sizes.items()
        for group in merges(of_source, settings.batch_files // 2)
    ]
    in_groups = {name for _, group in groups for name in group}
    groups += [(u.source, [u.name]) for u in uses if u.dropped and u.name not in in_groups]
    first: list[Path] = []
    then: list[Path] = []
    merged: set[str] = set()
    for source, group in groups:
        inputs = []
        for name in group:
            if name in used:
                dropped = [
                    keys.file_id(source, path, lists.file_id_key)
                    for path in sorted(used[name].dropped)
                ]
                inputs.append(Input(str(by_name[name].generation.folder), name, dropped))
            else:
                inputs.append(Input(str(target.folder), name, []))
                merged.add(name)
        stage = first if all(name in used for name in group) else then
        stage.append(lists.to_rewrite(source, inputs))
    kept = []
    for use in uses:
        if not use.dropped and use.name not in in_groups:
            part = by_name[use.name]
            adopt(part.record, part.generation.folder, target.folder)
            kept.append(part.record)
    return Layout(kept, first, then, frozenset(merged))
