"""What a run has to do, told list by list while its sources are still looked through."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from dicomhouse.errors import NothingSettled, SourceLost, UsageError
from dicomhouse.filesystem import Files, printable
from dicomhouse.lake.records import PartRecord
from dicomhouse.run import workers
from dicomhouse.run.context import Run, identity
from dicomhouse.sources.scan import Scan
from dicomhouse.sources.source import Source
from dicomhouse.store import generations, increment, waiting
from dicomhouse.store import unchanged as unchanged_runs
from dicomhouse.store.generations import Generation
from dicomhouse.store.increment import Lists, Stored
from dicomhouse.store.jobs import writing_lake
from dicomhouse.store.plan import Choice

DRIFT = ("new", "changed", "gone")
"""What files are since the published generation."""
_SHARE_LOST = 1 / 5
_FEW_LOST = 10
"""A source that lost more than this share of its files, and so many, may be half mounted."""
Others = Mapping[str, Collection[str]]
"""By source, files that changed though size and time are the same."""


@dataclass(frozen=True)
class Plan:
    """What becomes of the published lake."""

    reasons: list[str]
    """Why there is something to do; empty where nothing is."""
    drift: Mapping[str, int]
    """How many files are `new`, `changed` and `gone`."""
    other_contents: Others
    places: Mapping[str, tuple[int, int]]
    """By source, which folder it is: an unmounted one is another."""
    kept: Sequence[PartRecord] = ()
    """Parts that stand in the new lake as they are."""
    merged: frozenset[str] = frozenset()
    """Parts of the new lake that the last merges replace."""
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """By source, files and folders that its globs leave out."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """By source, new and changed files whose folder still changes: the next run's."""


@dataclass
class Work:
    """The work lists of a run. While the first are carried out, more become known."""

    first: Iterator[Path] = field(default_factory=lambda: iter(()))
    """Saved lists of files to read and of parts to write anew, in any order."""
    then: list[Path] = field(default_factory=list)
    """Of parts to merge once these are there."""
    n_lists: int = 0
    n_read: int = 0
    """Lists, and files to read, as far as they are known."""
    are_all_found: bool = False
    """Whether the scan is over."""
    waiting: Counter[str] = field(default_factory=Counter)
    """As `Plan` has them."""
    source_of: Mapping[str, str] = field(default_factory=dict)
    """Of each list, by the name of the part that it asks for."""
    plan: Plan | None = None
    """Once all is known."""


def prepare(run: Run) -> Work | None:
    """Find out what is to be done, or the beginning of it; None when nothing changed.

    Raises:
        UsageError: no source holds a single file.
        SourceLost: a source is gone, or suddenly empty.
        StorageError: the published lake cannot be read, or the new one not written.
    """
    work = Work()
    elsewhere = list(_other_sources(run))
    warehouse = run.settings.warehouse.resolve()
    looking = Scan(run.sources, elsewhere, [warehouse], apart=run.settings.jobs > 1)
    run.at_end.callback(looking.close)
    with run.clock.step("plan"), _uncollected():
        leftovers = generations.leftovers(run.settings.warehouse, but=run.generation)
        is_same = run.before.get("extractor") == run.extractor  # else all is read again
        needed = run.before["parts"] if is_same else 0
        parts = increment.stored(run.published, leftovers, _usable(run), needed)
        choice = _choice(run, parts, {})
    found: Iterable[tuple[str, Files]] = scan(run, looking, choice, work)
    others: Others = {}
    if run.settings.verify:
        from dicomhouse.run.verify import other_contents

        with run.clock.step("scan"), _uncollected():
            found = list(found)
        others = other_contents(run, found, parts, choice)
        choice = _choice(run, parts, others)
    first = _lists(run, work, looking, found, parts, choice, others)
    begun = []
    for path in first:
        begun.append(path)
        if work.n_read > workers.FEW_FILES and not work.are_all_found:
            break
    if work.plan is not None and not work.plan.reasons:
        clean_up(run)
        return None
    work.first = chain(begun, first)
    return work


def unchanged(run: Run) -> dict[str, Any]:
    """Tell that nothing changed, and return the record of the generation that stands.

    Generations that a reader held, or that a killed run would have removed, go now.
    """
    generations.prune(run.settings.warehouse, run.settings.keep_generations)
    noted = identity(run.run_id, run.started_at) | {"generation": run.before["generation"]}
    unchanged_runs.note(run.settings.warehouse, noted)
    run.say(f"nothing changed since generation {run.before['generation']}")
    return run.before


def clean_up(run: Run) -> None:
    """Remove what earlier runs left unpublished, once nothing of it is needed."""
    for leftover in generations.leftovers(run.settings.warehouse, but=run.generation):
        if run.settings.pixels:
            generations.take_measured_pixels(leftover, run.generation)
        generations.give_up(leftover)


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


def _choice(run: Run, parts: Sequence[Stored], others: Others) -> Choice:
    """Begin to choose where the rows of each file come from: of all that is not looked for."""
    choice = Choice([part.part for part in parts], others, run.settings.retry)
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
    run: Run,
    work: Work,
    looking: Scan,
    found: Iterable[tuple[str, Files]],
    parts: Sequence[Stored],
    choice: Choice,
    others: Others,
) -> Iterator[Path]:
    """Work lists, each as soon as it is known; the plan stands with the last of them."""
    lists = Lists(run.generation, run.run_id, run.settings, run.sources, run.file_id_key)
    work.source_of = lists.source_of
    to_read = lists.to_read(
        (source, files)
        for source, there in found
        if (files := choice.wanted(source, there)) is not None
    )
    while True:
        with run.clock.step("scan"), _uncollected():
            path = next(to_read, None)
        if path is None:
            break
        work.n_read = lists.n_read
        work.n_lists += 1
        yield path
    looking.close()
    rest = run.depends_on["sources"].keys() - lists.sources.keys()
    known = waiting.noted(run.settings.warehouse)
    still = {source: n for source, n in known.items() if source in rest}
    waiting.note(run.settings.warehouse, still | work.waiting)
    if n := work.waiting.total():
        run.say(
            f"scan: {n:,} new or changed files wait for the next run: their folders still change"
        )
    if n := looking.passed_over.total():
        run.say(f"scan: {n:,} files and folders passed over by globs")
    drift = choice.drift
    reasons = _reasons(run, drift, choice.tried_again, others)
    drift["changed"] += sum(map(len, others.values()))
    if not reasons:
        work.plan = Plan(reasons, drift, others, looking.places)
        return
    with run.clock.step("lay out"), writing_lake():
        layout = increment.lay_out(lists, choice.uses(), parts, run.settings)
    work.then = layout.then
    work.n_lists += len(layout.first) + len(layout.then)
    work.plan = Plan(
        reasons, drift, others, looking.places, layout.kept, layout.merged,
        looking.passed_over, work.waiting,
    )  # fmt: skip
    run.say(f"build: {'; '.join(reasons)}")
    run.say(f"plan: {len(layout.kept)} parts kept, {work.n_read:,} files to read")
    yield from layout.first


def scan(run: Run, looking: Scan, choice: Choice, work: Work) -> Iterator[tuple[str, Files]]:
    """Source and files, folder by folder: neither the warehouse's own, nor other sources' files.

    Raises:
        UsageError: there is not a single one.
        NothingSettled: all of them wait, and nothing was published yet.
        SourceLost: a source is gone, holds none any more, or only part of those it had.
    """
    in_all = 0
    now = time.time()
    for number, source in enumerate(run.sources, 1):
        n = 0
        for files in looking.files(source):
            n += files.n_files
            run.clock.count("scan", in_all + n, "files")
            if files.changed_within(source.rules.settle, now):
                there = choice.as_published(source.name, files)
                work.waiting[source.name] += files.n_files - sum(one.n_same(files) for one in there)
                yield from ((source.name, one) for one in there)
            else:
                yield source.name, files
        run.say(f"scan: {n:,} files in source {number} of {len(run.sources)}")
        in_all += n
        _check_known(run, choice, source, n)
    work.are_all_found = True
    others = run.depends_on["sources"].keys() - {source.name for source in run.sources}
    if not in_all and not others and not run.settings.allow_empty:
        folders = ", ".join(source.address for source in run.sources)
        raise UsageError(
            "no files below {folder}. Is it the right folder, and is it mounted?", folder=folders
        )
    if in_all and in_all == work.waiting.total() and not run.before:
        raise NothingSettled(
            f"nothing to build yet: {in_all:,} files wait, since their folders changed within the "
            "settle time. Build again later, or with a shorter --settle."
        )


def _check_known(run: Run, choice: Choice, source: Source, n: int) -> None:
    """Raise SourceLost where a source has so few files, `n`, that it may not be all there."""
    known = _n_known(source, choice.published(source.name))
    if known and not n and not run.settings.allow_empty:
        raise SourceLost(
            f"source {{source}}: no file below {{folder}}, where there were {known:,}. Is it "
            "mounted? If it is empty by intent: --allow-empty, or --forget {source}.",
            source=source.name,
            folder=source.address,
        )
    if not n or run.settings.allow_shrink or not _are_far_fewer(n, known):
        return
    inner = _other_sources_in(run, source.name)
    published = choice.published(source.name)
    known -= _n_known(source, (f for f in published if f"{f.folder}/".startswith(inner)))
    if _are_far_fewer(n, known):
        raise SourceLost(
            f"source {{source}}: {n:,} files below {{folder}}, where there were {known:,}. Is all "
            "of it mounted? If they are gone by intent: --allow-shrink. The published warehouse "
            "is unchanged.",
            source=source.name,
            folder=source.address,
        )


def _n_known(source: Source, published: Iterable[Files]) -> int:
    """How many files there were, of those that the source's globs do not leave out now."""
    rules = source.rules
    kept = (rules.sift(files) if rules.may_sift(files) else files for files in published)
    return sum(files.n_files for files in kept if files is not None)


def _are_far_fewer(n: int, known: int) -> bool:
    lost = known - n
    return lost >= _FEW_LOST and lost > _SHARE_LOST * known


def _other_sources(run: Run) -> Iterator[Source]:
    """The sources that stay as they are, below which this run's do not look."""
    named = {source.address for source in run.sources}
    lists = run.depends_on["lists"]
    for name, address in run.depends_on["sources"].items():
        if address not in named and name not in lists and Path(address).exists():
            yield Source(name, address)


def _other_sources_in(run: Run, name: str) -> tuple[str, ...]:
    """The folders below a source, with a slash each, that another source now has."""
    begin = f"{run.depends_on['sources'][name]}/"
    return tuple(
        printable(f"{source.address.removeprefix(begin)}/")
        for source in run.sources
        if source.address.startswith(begin) and source.list_file is None and not source.is_store
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


def _reasons(run: Run, drift: Mapping[str, int], tried_again: int, others: Others) -> list[str]:
    """Why the warehouse is not what a build would make; none when it is."""
    before, after = run.before, run.depends_on
    if not before:
        return ["nothing was published yet"]
    reasons = []
    if before.get("extractor") != after["extractor"]:
        reasons.append(
            "another reader, other bounds or another key of file ids: every file is read again"
        )
    elif run.settings.full_refresh:
        reasons.append("full refresh")
    counts = {**{what: drift[what] for what in DRIFT}, "tried again": tried_again,
              "of other contents": sum(map(len, others.values()))}  # fmt: skip
    reasons += [f"{n:,} file{'s' if n > 1 else ''} {what}" for what, n in counts.items() if n]
    if n := len(run.settings.forget):
        reasons.append(f"{n} source{'s' if n > 1 else ''} forgotten")
    if before.get("models") != after["models"]:
        reasons.append("the models changed")
    if before.get("settings", {}).get("tolerances") != dict(run.settings.tolerances):
        reasons.append("other tolerances")
    if before.get("waivers") != after["waivers"]:
        reasons.append("other waivers, or expired ones")
    if before.get("expected") != after["expected"]:
        reasons.append("another list of what is expected")
    if run.settings.pixels and not before.get("settings", {}).get("pixels"):
        reasons.append("pixels are to be measured")
    if before.get("sources") != after["sources"] and not run.settings.forget:
        reasons.append("other sources")
    return reasons
