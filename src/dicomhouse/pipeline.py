"""The steps of a run as plain functions. Who calls them, a flow or a loop, changes nothing.

What only a run with something to do needs is imported where it is used.
"""

from __future__ import annotations

import csv
import errno
import gc
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

from dicomhouse import failures, increment, versions
from dicomhouse.errors import (
    DicomhouseError,
    ExtractionFailed,
    Interrupted,
    SourceLost,
    StorageError,
    UsageError,
)
from dicomhouse.filesystem import Files, below, printable
from dicomhouse.increment import Lists, Stored
from dicomhouse.lake import generations, keys
from dicomhouse.lake.generations import Generation
from dicomhouse.lake.jobs import carry_out, writing_lake
from dicomhouse.lake.layout import COLUMNS_PART, NULL_PARTITION
from dicomhouse.lake.plan import Choice
from dicomhouse.lake.records import PartRecord, remove, total
from dicomhouse.processes import how_a_worker_ended, is_given_up, light_pool
from dicomhouse.scan import Scan, Source, sources_of, still_there
from dicomhouse.settings import Settings
from dicomhouse.warehouse.plan import Compilation, NodeResult

Say = Callable[[str], None]
_CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES,
                             errno.EPERM, errno.EIO})  # fmt: skip
_FEW_FILES = 1_000
_FEW_ELEMENTS = 5_000_000
"""Up to these, to plan the models' queries takes longer than to carry them out."""
_NEEDED_NEXT = ("dicomhouse.lake.parts", "dicomhouse.warehouse.database",
                "dicomhouse.warehouse.models", "dicomhouse.warehouse.pixels",
                 "dicomhouse.report")  # fmt: skip
"""What a run imports once its files are read."""
_SHARE_LOST = 1 / 5
_FEW_LOST = 10
"""A source that lost more than this share of its files, and so many, may be half mounted."""
_DRIFT = ("new", "changed", "gone")


@dataclass
class Work:
    """What a run has to do. While the first lists are carried out, more become known."""

    first: Iterator[Path] = field(default_factory=lambda: iter(()))
    """Saved lists of files to read and of parts to write anew, in any order."""
    then: list[Path] = field(default_factory=list)
    """Of parts to merge once these are there."""
    kept: list[PartRecord] = field(default_factory=list)
    """Parts that stand in the new lake as they are."""
    merged: frozenset[str] = frozenset()
    """Parts of the new lake that the last merges replace."""
    n_lists: int = 0
    n_read: int = 0
    """Lists, and files to read, as far as they are known."""
    are_all_found: bool = False
    """Whether the scan is over."""
    is_whole: bool = False
    """Whether all is known."""


@dataclass
class Run:
    """A run in progress: its settings, the generation it builds, and what it has done so far."""

    settings: Settings
    sources: Sequence[Source]
    published: Generation | None
    generation: Generation
    say: Say
    run_id: str
    file_id_key: str = field(default="", repr=False)
    """What keeps others from aiming at ids of files: see `lake.keys`. It stands in no record."""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: dict[str, float] = field(default_factory=dict)
    """By step, how long the run was at it and at nothing else: together, all of its time."""
    looking: Scan | None = None
    """At the sources' files."""
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By source, which folder it is: an unmounted one is another."""
    reasons: list[str] = field(default_factory=list)
    """Why there is something to do."""
    drift: Counter[str] = field(default_factory=Counter)
    """Files `new`, `changed` and `gone` since the published generation."""
    other_contents: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By source, files that changed though size and time are the same."""
    work: Work = field(default_factory=Work)
    parts: list[PartRecord] = field(default_factory=list)
    """All of the new lake."""
    compilation: Compilation | None = None
    """Of the models."""
    _in_steps: float = 0.0
    """Seconds of the steps within the present one."""

    @property
    def extractor(self) -> str:
        """What decides how a file is read."""
        return versions.extractor(str(self.settings.bounds), self.file_id_key)

    @cached_property
    def before(self) -> dict[str, Any]:
        """The record of the published generation; empty where there is none."""
        return {} if self.published is None else self.published.run()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step, or some more of it, under its name.

        What passes in a step within it counts for that one alone.
        """
        begun, around = time.perf_counter(), self._in_steps
        self._in_steps = 0.0
        yield
        took = time.perf_counter() - begun
        self.seconds[name] = self.seconds.get(name, 0.0) + took - self._in_steps
        self._in_steps = around + took


@contextmanager
def begin(settings: Settings, say: Say) -> Iterator[Run]:
    """Check the sources, take the warehouse, and clean up whatever way the run ends.

    What a run has read stays where the next one finds it, should this one not be published.

    Raises:
        UsageError, WarehouseBusy, WarehouseTooNew, StorageError: before anything was read.
    """
    os.umask(0o077)  # names and identifiers: readable by their owner alone
    check_settings(settings)
    with generations.building(settings.warehouse) as generation:
        published = generations.current(settings.warehouse)
        run_id = f"{generation.number:06d}-{uuid4().hex[:8]}"
        run = Run(settings, (), published, generation, say, run_id)
        try:
            run.file_id_key = settings.file_id_key or keys.key_of(settings.warehouse)
            run.sources = increment.sources(settings, run.before, run.extractor)
            if settings.full_refresh:
                generation.mark_as_refresh()
            yield run
        except DicomhouseError as error:
            failures.note(settings.warehouse, failure(run, error))
            raise
        except OSError as error:
            if error.errno not in _CANNOT_WRITE:
                raise
            raise StorageError(
                f"cannot write {settings.warehouse}: {error.strerror}. Free space or rights, "
                "then build again; the published warehouse is unchanged, what was read is kept."
            ) from error
        finally:
            if run.looking is not None:
                run.looking.close()
            if run.compilation is not None:
                run.compilation.close()


def check_settings(settings: Settings) -> None:
    """Raise what a run would before it reads anything.

    Raises:
        UsageError: a source is missing, is there twice or is the warehouse, two bear one name,
            there is no dbt project, or a tolerance is none.
        SourceLost: the folder of a source that the warehouse has is gone.
    """
    names: dict[Path, str] = {}
    for source in sources_of(settings.sources, _published(settings).get("sources", {})):
        if source.folder in names:
            raise UsageError(
                "sources {source} and {other} are one folder: {folder}. Name it once.",
                source=names[source.folder],
                other=source.name,
                folder=source.folder,
            )
        names[source.folder] = source.name
        if source.name == NULL_PARTITION:
            raise UsageError(
                f"no source can be named {NULL_PARTITION}: readers of Parquet take it for no name. "
                "Give another: NAME=PATH."
            )
        if source.folder == settings.warehouse.resolve():
            raise UsageError(
                "{folder} cannot be both source and warehouse. Choose another --warehouse.",
                folder=source.folder,
            )
    if not (project := versions.dbt_project()).joinpath("dbt_project.yml").is_file():
        raise UsageError(f"DICOMHOUSE_DBT: no dbt project in {project}.")
    known = _known_tolerances()
    for name, number in settings.tolerances.items():
        if name not in known:
            raise UsageError(f"no tolerance {name}; there are: {', '.join(sorted(known))}.")
        if not (math.isfinite(number) and number >= 0):
            raise UsageError(f"the tolerance {name} must be a number from 0 up, not {number}.")


def check_sources(settings: Settings) -> None:
    """Raise what `increment.sources` would of the warehouse as it is now."""
    key = settings.file_id_key or keys.stored_key(settings.warehouse)
    extractor = versions.extractor(str(settings.bounds), key)
    increment.sources(settings, _published(settings), extractor)


def _published(settings: Settings) -> dict[str, Any]:
    """The record of the published generation; empty for none."""
    published = generations.current(settings.warehouse)
    return {} if published is None else published.run()


def _known_tolerances() -> set[str]:
    """The names that a run may set: rules and limits that have a number in dbt's seeds."""
    known = set()
    for seed, column in (("check_rules", "rule"), ("check_limits", "name")):
        path = versions.dbt_project() / "seeds" / f"{seed}.csv"
        with path.open(encoding="utf-8", newline="") as text:
            known |= {row[column] for row in csv.DictReader(text) if row["tolerance"]}
    return known


def prepare(run: Run) -> Work | None:
    """Find out what is to be done, or the beginning of it; None when nothing changed.

    Raises:
        UsageError: no source holds a single file.
        SourceLost: a source is gone, or suddenly empty.
        StorageError: the published lake cannot be read, or the new one not written.
    """
    elsewhere = list(_other_sources(run))
    warehouse = run.settings.warehouse.resolve()
    run.looking = Scan(run.sources, elsewhere, [warehouse], apart=run.settings.jobs > 1)
    run.places = run.looking.places
    with run.step("plan"), _uncollected():
        leftovers = generations.leftovers(run.settings.warehouse, but=run.generation)
        is_same = run.before.get("extractor") == run.extractor  # else all is read again
        needed = run.before["parts"] if is_same else 0
        parts = increment.stored(run.published, leftovers, _usable(run), needed)
        choice = _choice(run, parts)
    found: Iterable[tuple[str, Files]] = scan(run, choice)
    if run.settings.verify:
        with run.step("scan"), _uncollected():
            found = list(found)
        run.other_contents = other_contents(run, found, parts, choice)
        choice = _choice(run, parts)
    first = _lists(run, found, parts, choice)
    begun = []
    for path in first:
        begun.append(path)
        if run.work.n_read > _FEW_FILES and not run.work.are_all_found:
            break
    if run.work.is_whole and not run.reasons:
        _clean_up(run)
        return None
    # Where dbt has to compile the models, it does so while the files are read.
    run.compilation = Compilation(run.generation.work, run.say)
    run.work.first = chain(begun, first)
    return run.work


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let Python not look for garbage: it would look through all folders over and over."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _choice(run: Run, parts: Sequence[Stored]) -> Choice:
    """Begin to choose where the rows of each file come from: of all that is not looked for."""
    choice = Choice([part.part for part in parts], run.other_contents, run.settings.retry)
    for name in _not_looked_through(run, parts):
        inner = _other_sources_in(run, name)
        for files in choice.published(name):
            if not f"{files.folder}/".startswith(inner):
                choice.wanted(name, files)
    return choice


def _not_looked_through(run: Run, parts: Sequence[Stored]) -> set[str]:
    """The sources whose files the new lake has as the published one has them."""
    known = {part.record.source for part in parts if part.part.is_published}
    return known - {source.name for source in run.sources} - set(run.settings.forget)


def _lists(
    run: Run, found: Iterable[tuple[str, Files]], parts: Sequence[Stored], choice: Choice
) -> Iterator[Path]:
    """Work lists, each as soon as it is known; the last of them when all files are found."""
    lists = Lists(run.generation, run.run_id, run.settings, run.sources, run.file_id_key)
    to_read = lists.to_read(
        (source, files)
        for source, there in found
        if (files := choice.wanted(source, there)) is not None
    )
    assert run.looking is not None
    work = run.work
    while True:
        with run.step("scan"), _uncollected():
            path = next(to_read, None)
        if path is None:
            break
        work.n_read = lists.n_read
        work.n_lists += 1
        yield path
    run.looking.close()
    run.drift = choice.drift
    run.reasons = _reasons(run, choice.tried_again)
    run.drift["changed"] += sum(map(len, run.other_contents.values()))
    work.is_whole = True
    if not run.reasons:
        return
    with run.step("lay out"), writing_lake():
        layout = increment.lay_out(lists, choice.uses(), parts, run.settings)
    work.kept, work.then, work.merged = layout.kept, layout.then, layout.merged
    work.n_lists += len(layout.first) + len(layout.then)
    run.say(f"build: {'; '.join(run.reasons)}")
    run.say(f"plan: {len(work.kept)} parts kept, {work.n_read:,} files to read")
    yield from layout.first


def other_contents(
    run: Run, found: Sequence[tuple[str, Files]], parts: Sequence[Stored], choice: Choice
) -> dict[str, set[str]]:
    """By source, the files that hold something else than the parts say, though they look the same.

    Each is read once more into a lake of its own, which is compared and removed.
    """
    from dicomhouse.lake.parts import write_columns_parts
    from dicomhouse.warehouse import database

    with run.step("verify"):
        known = []
        for source, files in found:
            if (rest := files.without(choice.wanted(source, files))) is not None:
                known.append((source, rest))
        scratch = run.generation.scratch
        generations.create(scratch)
        again = Lists(scratch, run.run_id, run.settings, run.sources, run.file_id_key)
        lists = list(again.to_read(known))
        run.say(f"verify: {again.n_read:,} files are read again")
        with workers(run, len(lists), again.n_read) as pool:
            for future in [pool.submit(carry_out, path, run.extractor) for path in lists]:
                checked(future.result)
        # Where no file has an element there is no file of the table but for this.
        with writing_lake():
            write_columns_parts(scratch.lake, [source.name for source in run.sources], set())
        now = list(scratch.lake.rglob("*.parquet"))
        columns = [path for path in now if path.name == COLUMNS_PART]
        before = _files_in_use(choice, parts, again.sources)
        differing = database.differing([*before, *columns], now, scratch.folder / "spill")
        generations.discard(scratch)
        differing += _other_pixels(run)
    looked_at = {
        (source, below(files.folder, name))
        for source, files in known
        for name in files.names.split("/")
    }
    others: dict[str, set[str]] = {}
    for source, path in looked_at.intersection(differing):
        others.setdefault(source, set()).add(path)
    return others


def _files_in_use(
    choice: Choice, parts: Sequence[Stored], sources: Collection[str]
) -> Iterator[Path]:
    """The lake's files of the parts that have rows of some sources' files."""
    used = {use.name for use in choice.uses()}
    for part in parts:
        if part.record.name in used and part.record.source in sources:
            yield from (part.generation.lake / path for path in part.record.paths)


def _other_pixels(run: Run) -> list[tuple[str, str]]:
    """Source and path of the repeated instances whose pixels are not the published ones."""
    from dicomhouse.warehouse.pixels import other_pixels

    previous = _digests_before(run)
    if previous is None:
        return []
    folders = {source.name: source.folder for source in run.sources}
    settings = run.settings
    others, n_unread = other_pixels(previous, folders, settings.jobs, settings.budget)
    if n_unread:
        run.say(f"verify: the pixels of {n_unread:,} repeated instances could not be compared")
    return others


def _digests_before(run: Run) -> Path | None:
    """The DuckDB file whose digests of pixels count; none where they were taken otherwise."""
    if run.published is None or run.before.get("extractor") != run.extractor:
        return None
    database = run.published.database
    return database if database.exists() else None


def scan(run: Run, choice: Choice) -> Iterator[tuple[str, Files]]:
    """Source and files, folder by folder: neither the warehouse's own, nor other sources' files.

    Raises:
        UsageError: there is not a single one.
        SourceLost: a source is gone, holds none any more, or only part of those it had.
    """
    assert run.looking is not None
    in_all = 0
    for number, source in enumerate(run.sources, 1):
        n = 0
        for files in run.looking.files(source):
            n += files.n_files
            yield source.name, files
        run.say(f"scan: {n:,} files in source {number} of {len(run.sources)}")
        in_all += n
        _check_known(run, choice, source, n)
    run.work.are_all_found = True
    others = _depends_on(run)["sources"].keys() - {source.name for source in run.sources}
    if not in_all and not others and not run.settings.allow_empty:
        folders = ", ".join(str(source.folder) for source in run.sources)
        raise UsageError(
            "no files below {folder}. Is it the right folder, and is it mounted?", folder=folders
        )


def _check_known(run: Run, choice: Choice, source: Source, n: int) -> None:
    """Raise SourceLost where a source has so few files, `n`, that it may not be all there."""
    known = sum(files.n_files for files in choice.published(source.name))
    if known and not n and not run.settings.allow_empty:
        raise SourceLost(
            f"source {{source}}: no file below {{folder}}, where there were {known:,}. Is it "
            "mounted? If it is empty by intent: --allow-empty, or --forget {source}.",
            source=source.name,
            folder=source.folder,
        )
    if not n or run.settings.allow_shrink or not _are_far_fewer(n, known):
        return
    inner = _other_sources_in(run, source.name)
    known -= sum(
        files.n_files
        for files in choice.published(source.name)
        if f"{files.folder}/".startswith(inner)
    )
    if _are_far_fewer(n, known):
        raise SourceLost(
            f"source {{source}}: {n:,} files below {{folder}}, where there were {known:,}. Is all "
            "of it mounted? If they are gone by intent: --allow-shrink. The published warehouse "
            "is unchanged.",
            source=source.name,
            folder=source.folder,
        )


def _are_far_fewer(n: int, known: int) -> bool:
    lost = known - n
    return lost >= _FEW_LOST and lost > _SHARE_LOST * known


def _other_sources(run: Run) -> Iterator[Source]:
    """The sources that stay as they are, below which this run's do not look."""
    named = {source.folder for source in run.sources}
    for name, path in _depends_on(run)["sources"].items():
        if (folder := Path(path)) not in named and folder.is_dir():
            yield Source(name, folder)


def _other_sources_in(run: Run, name: str) -> tuple[str, ...]:
    """The folders below a source, with a slash each, that another source now has."""
    folder = Path(_depends_on(run)["sources"][name])
    return tuple(
        printable(f"{source.folder.relative_to(folder)}/")
        for source in run.sources
        if folder in source.folder.parents
    )


def _usable(run: Run) -> Callable[[PartRecord, Generation], bool]:
    """Which parts of earlier runs may be used, by their record and the generation they are in."""
    names = {source.name for source in run.sources}
    extractor = run.extractor

    def usable(record: PartRecord, generation: Generation) -> bool:
        # An interrupted refresh is taken up again: what it has read is newer than the refresh.
        is_old = record.rewritten or not generation.is_refresh or generation == run.published
        refreshed = run.settings.full_refresh and record.source in names and is_old
        return record.extractor == extractor and not refreshed

    return usable


def _reasons(run: Run, tried_again: int) -> list[str]:
    """Why the warehouse is not what a build would make; none when it is."""
    before, after = run.before, _depends_on(run)
    if not before:
        return ["nothing was published yet"]
    told = []
    if before.get("extractor") != after["extractor"]:
        told.append(
            "another reader, other bounds or another key of file ids: every file is read again"
        )
    elif run.settings.full_refresh:
        told.append("full refresh")
    counts = {**{what: run.drift[what] for what in _DRIFT}, "tried again": tried_again,
              "of other contents": sum(map(len, run.other_contents.values()))}  # fmt: skip
    told += [f"{n:,} file{'s' if n > 1 else ''} {what}" for what, n in counts.items() if n]
    if n := len(run.settings.forget):
        told.append(f"{n} source{'s' if n > 1 else ''} forgotten")
    if before.get("models") != after["models"]:
        told.append("the models changed")
    if before.get("settings", {}).get("tolerances") != dict(run.settings.tolerances):
        told.append("other tolerances")
    if before.get("sources") != after["sources"] and not run.settings.forget:
        told.append("other sources")
    return told


def _depends_on(run: Run) -> dict[str, Any]:
    """What the warehouse depends on beside the files themselves."""
    rest = {k: v for k, v in run.before.get("sources", {}).items() if k not in run.settings.forget}
    return {
        "extractor": run.extractor,
        "dictionary": versions.dictionary(),
        "models": versions.models(),
        "sources": rest | {source.name: str(source.folder) for source in run.sources},
    }


def _clean_up(run: Run) -> None:
    for leftover in generations.leftovers(run.settings.warehouse, but=run.generation):
        generations.give_up(leftover)


def unchanged(run: Run) -> dict[str, Any]:
    """Tell that nothing changed, and return the record of the generation that stands.

    Generations that a reader held, or that a killed run would have removed, go now.
    """
    generations.prune(run.settings.warehouse, run.settings.keep_generations)
    run.say(f"nothing changed since generation {run.before['generation']}")
    return run.before


def finish_lake(run: Run, made: Sequence[PartRecord]) -> None:
    """Take out the parts that were merged, and give every table the part with all its columns.

    Raises:
        SourceLost: a source was unmounted while it was read.
        StorageError: the lake cannot be written, or the record of a part is damaged.
    """
    from dicomhouse.lake.parts import write_columns_parts
    from dicomhouse.lake.schema import IMAGE_LINEAGE
    from dicomhouse.standard.dictionary import attribute_of_keyword

    for source in run.sources:
        still_there(source, run.places[source.name])
    run.parts = [*run.work.kept, *(part for part in made if part.name not in run.work.merged)]
    seen = {column for part in run.parts for column in part.image_columns}
    keywords = seen - set(IMAGE_LINEAGE.names)
    if not all(map(attribute_of_keyword, keywords)):
        raise StorageError(
            "the record of a part names a column that is no attribute's. "
            "Build again with --full-refresh; the published warehouse is unchanged."
        )
    names = list(_depends_on(run)["sources"])
    with writing_lake():
        for part in made:
            if part.name in run.work.merged:
                remove(part, run.generation.folder)
        write_columns_parts(run.generation.lake, names, keywords)
    _clean_up(run)


def register(run: Run) -> None:
    """Make the generation's DuckDB file, with views over its lake, and compare repeated pixels.

    Raises:
        ModelsFailed: the dbt project cannot be compiled.
    """
    from dicomhouse.warehouse import database
    from dicomhouse.warehouse.pixels import digest_repeated

    assert run.compilation is not None
    with run.step("wait for dbt"):
        template = run.compilation.template()
    with run.step("register"):
        previous = run.published.database if run.published and "format" in run.before else None
        database.register(
            run.generation.database,
            run.generation.lake,
            run.settings.tolerances,
            run.other_contents,
            record(run) | {"forgotten": run.settings.forget, "failed": _failed(run)},
            previous,
            template,
        )
    with run.step("pixels"):
        folders = {name: Path(folder) for name, folder in _depends_on(run)["sources"].items()}
        kept = None if run.settings.full_refresh else _digests_before(run)
        generation, settings = run.generation, run.settings
        digest_repeated(
            generation.database, generation.lake, folders, kept, settings.jobs, settings.budget
        )


def transform(run: Run) -> list[NodeResult]:
    """Run the dbt models and their tests.

    Raises:
        ModelsFailed: naming what failed; the published generation stays.
    """
    from dicomhouse.warehouse import models

    assert run.compilation is not None
    with run.step("models"):
        is_small = sum(part.elements for part in run.parts) <= _FEW_ELEMENTS
        threads = min(2, run.settings.jobs) if is_small else 1
        results = models.build(run.generation.database, run.compilation.plan(), threads)
    run.say(f"models: {len(results)} dbt nodes in {run.seconds['models']:.1f} s")
    return results


def report(run: Run) -> None:
    """Write the generation's HTML report."""
    from dicomhouse.report import render
    from dicomhouse.warehouse import database

    with run.step("report"):
        connection = database.connect(run.generation.database, run.generation.lake)
        with connection:
            page = render(connection, record(run))
        run.generation.report.mkdir()
        (run.generation.report / "index.html").write_text(page, encoding="utf-8")


def publish(run: Run) -> dict[str, Any]:
    """Make the generation current and return its record (`run.json`)."""
    from dicomhouse.warehouse import database

    told = record(run)
    database.finish(run.generation.database, told)
    generations.publish(run.settings.warehouse, run.generation, told)
    failures.clear(run.settings.warehouse)
    generations.prune(run.settings.warehouse, run.settings.keep_generations)
    return told


def record(run: Run) -> dict[str, Any]:
    """What is known of the run by now: nothing that was read from a file."""
    return {
        "format": versions.FORMAT,
        "run_id": run.run_id,
        "generation": run.generation.number,
        "dicomhouse": version("dicomhouse"),
        **_depends_on(run),
        "started_at": run.started_at.isoformat(timespec="seconds"),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "reasons": run.reasons,
        "drift": {what: run.drift[what] for what in _DRIFT},
        "settings": run.settings.as_json(),
        **total(run.parts),
        "parts": len(run.parts),
        "seconds": {step: round(seconds, 3) for step, seconds in run.seconds.items()},
    }


def failure(run: Run, error: DicomhouseError) -> dict[str, Any]:
    """What stands of a run that published nothing."""
    known = record(run)
    kept = ("run_id", "started_at", "finished_at", "dicomhouse")
    return {**{name: known[name] for name in kept}, "failure": error.told}


def _failed(run: Run) -> list[dict[str, Any]]:
    """The runs before this one that published nothing; without their words where some forget."""
    failed = failures.noted(run.settings.warehouse)
    return [told | {"failure": None} for told in failed] if run.settings.forget else failed


def build_direct(settings: Settings, say: Say) -> dict[str, Any]:
    """The whole run without an orchestrator; returns the record of the published generation."""
    with begin(settings, say) as run:
        if prepare(run) is None:
            return unchanged(run)
        make_lake(run)
        register(run)
        transform(run)
        report(run)
        return publish(run)


def make_lake(run: Run) -> None:
    """Carry out the work lists, in worker processes, and finish the lake."""

    def begin(pool: Executor, work: Path) -> Future[PartRecord]:
        return pool.submit(carry_out, work, run.extractor)

    finish_lake(run, make_parts(run, begin, lambda begun: checked(begun.result)))


def make_parts(
    run: Run, begin: Callable[[Executor, Path], Any], end: Callable[[Any], PartRecord]
) -> list[PartRecord]:
    """Have the work lists carried out, each as soon as it is known.

    Args:
        run: a run that was prepared.
        begin: what hands a list to the workers; returns its future.
        end: what gives the record of a future that is done.
    """
    work = run.work
    made: list[PartRecord] = []
    done: SimpleQueue[Any] = SimpleQueue()

    def take() -> None:
        made.append(end(done.get()))
        read = sum(part.files for part in made if not part.rewritten)
        told = f"{len(made)} of {work.n_lists}" if work.is_whole else f"{len(made)}"
        run.say(f"extract: {told} batches, {read:,} files")

    def carry_out_all(pool: Executor, paths: Iterable[Path]) -> None:
        n_begun = len(made)
        for path in paths:
            begin(pool, path).add_done_callback(done.put)
            n_begun += 1
            while not done.empty():
                take()
        for name in _NEEDED_NEXT:  # the workers are busy meanwhile
            import_module(name)
        while len(made) < n_begun:
            take()

    lists = work.n_lists if work.is_whole else run.settings.jobs
    with run.step("extract"), workers(run, lists, work.n_read) as pool:
        carry_out_all(pool, work.first)
        carry_out_all(pool, work.then)
    return made


@contextmanager
def workers(run: Run, lists: int, n_read: int) -> Iterator[Executor]:
    """As many workers as there are work lists for.

    Where few files are read, to start processes would take longer than the work: then threads do
    it, most of which is Arrow's.
    """
    jobs = min(run.settings.jobs, max(lists, 1))
    if n_read <= _FEW_FILES:
        import dicomhouse.lake.extract
        import dicomhouse.lake.rewrite  # noqa: F401 -- before the threads start

        with ThreadPoolExecutor(jobs) as pool:
            yield pool
    else:
        with light_pool(jobs) as processes:
            yield processes


def checked(result: Callable[[], PartRecord]) -> PartRecord:
    """The result of a batch, the end of its worker told as an error of the run.

    Raises:
        StorageError: as `carry_out`.
        ExtractionFailed: a worker ended, or met a bug.
        Interrupted: the run ends, and has ended its workers.
    """
    try:
        return result()
    except (BrokenProcessPool, CancelledError) as error:
        if is_given_up():
            raise Interrupted("the run ended before this batch was read.") from error
        raise ExtractionFailed(
            f"a worker process {how_a_worker_ended()}. "
            "Build again with fewer --jobs; what was read is kept."
        ) from error
