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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from dicomhouse import increment, versions
from dicomhouse.errors import ExtractionFailed, Interrupted, SourceLost, StorageError, UsageError
from dicomhouse.filesystem import printable
from dicomhouse.increment import Stored, Work
from dicomhouse.lake import generations
from dicomhouse.lake.generations import Generation
from dicomhouse.lake.jobs import carry_out
from dicomhouse.lake.layout import COLUMNS_PART
from dicomhouse.lake.plan import Choice, Files
from dicomhouse.lake.records import PartRecord, remove, total
from dicomhouse.processes import is_given_up, light_pool
from dicomhouse.scan import Found, Source, identity, scan_all, sources_of, still_there
from dicomhouse.settings import Settings
from dicomhouse.warehouse import database
from dicomhouse.warehouse.pixels import digest_repeated, other_pixels
from dicomhouse.warehouse.transform import DbtProcess, NodeResult

Say = Callable[[str], None]
_CANNOT_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES,
                             errno.EPERM, errno.EIO})  # fmt: skip
_FEW_FILES = 1_000
_DRIFT = ("new", "changed", "gone")


@dataclass
class Run:
    """A run in progress: its settings, the generation it builds, and what it has done so far."""

    settings: Settings
    sources: Sequence[Source]
    published: Generation | None
    generation: Generation
    say: Say
    run_id: str
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: dict[str, float] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By source, which folder it is: an unmounted one is another."""
    reasons: list[str] = field(default_factory=list)
    """Why there is something to do."""
    drift: Counter[str] = field(default_factory=Counter)
    """Files `new`, `changed` and `gone` since the published generation."""
    other_contents: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By source, files that changed though size and time are the same."""
    work: Work = field(default_factory=lambda: Work([]))
    parts: list[PartRecord] = field(default_factory=list)
    """All of the new lake."""
    dbt: DbtProcess | None = None

    @property
    def extractor(self) -> str:
        """What decides how a file is read."""
        return versions.extractor(str(self.settings.bounds))

    @cached_property
    def before(self) -> dict[str, Any]:
        """The record of the published generation; empty where there is none."""
        return {} if self.published is None else self.published.run()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step under its name."""
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 3)


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
            run.sources = increment.sources(settings, run.before, run.extractor)
            if settings.full_refresh:
                generation.mark_as_refresh()
            yield run
        except OSError as error:
            if error.errno not in _CANNOT_WRITE:
                raise
            raise StorageError(
                f"cannot write {settings.warehouse}: {error.strerror}. Free space or rights, "
                "then build again; the published warehouse is unchanged, what was read is kept."
            ) from error
        finally:
            if run.dbt is not None:
                run.dbt.close()


def check_settings(settings: Settings) -> None:
    """Raise what a run would before it reads anything.

    Raises:
        UsageError: a source is missing, is there twice or is the warehouse, two bear one name,
            there is no dbt project, or a tolerance is none.
    """
    names: dict[Path, str] = {}
    for source in sources_of(list(settings.sources)):
        if source.folder in names:
            raise UsageError(
                f"sources {names[source.folder]} and {source.name} are one folder: "
                f"{source.folder}. Name it once."
            )
        names[source.folder] = source.name
        if source.folder == settings.warehouse.resolve():
            raise UsageError(
                f"{source.folder} cannot be both source and warehouse. Choose another --warehouse."
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
    published = generations.current(settings.warehouse)
    before = {} if published is None else published.run()
    increment.sources(settings, before, versions.extractor(str(settings.bounds)))


def _known_tolerances() -> set[str]:
    """The names that a run may set: rules and limits that have a number in dbt's seeds."""
    known = set()
    for seed, column in (("check_rules", "rule"), ("check_limits", "name")):
        path = versions.dbt_project() / "seeds" / f"{seed}.csv"
        with path.open(encoding="utf-8", newline="") as text:
            known |= {row[column] for row in csv.DictReader(text) if row["tolerance"]}
    return known


def prepare(run: Run) -> Work | None:
    """Scan the sources and lay out what is to be done; None when nothing changed.

    Raises:
        UsageError: no source holds a single file.
        SourceLost: a source is gone, or suddenly empty.
        StorageError: the published lake cannot be read, or the new one not written.
    """
    gc.disable()  # it would look through a million paths over and over, and free none of them
    try:
        return _prepare(run)
    finally:
        gc.enable()


def _prepare(run: Run) -> Work | None:
    found = scan(run)
    with run.step("plan"):
        leftovers = generations.leftovers(run.settings.warehouse, but=run.generation)
        parts = increment.stored(run.published, leftovers, _usable(run))
        known = increment.published_files(parts, run.published)
        present = _present(run, found, known)
        again = increment.not_read(parts, present) if run.settings.retry else {}
        tried_again = sum(map(len, again.values()))
        run.drift = increment.drift(known, present)
    if run.settings.verify:
        choice = increment.chosen(parts, present, again)
        run.other_contents = other_contents(run, found, choice, parts)
        for source, paths in run.other_contents.items():
            again[source] = again.get(source, set()) | paths
    run.reasons = _reasons(run, tried_again)
    run.drift["changed"] += sum(map(len, run.other_contents.values()))
    if not run.reasons:
        _clean_up(run)
        return None
    with run.step("lay out"):
        # dbt's process starts early: it gets ready while the files are read.
        run.dbt = DbtProcess(run.settings.warehouse / "dbt", run.generation.folder)
        choice = increment.chosen(parts, present, again)
        run.work = increment.lay_out(choice, parts, found, run.generation, run.run_id, run.settings)
    run.say(f"build: {'; '.join(run.reasons)}")
    run.say(f"plan: {len(run.work.kept)} parts kept, {run.work.n_read:,} files to read")
    return run.work


def other_contents(
    run: Run, found: Mapping[str, Sequence[Found]], choice: Choice, parts: Sequence[Stored]
) -> dict[str, set[str]]:
    """By source, the files that hold something else than the parts say, though they look the same.

    Each is read once more into a lake of its own, which is compared and removed.
    """
    from dicomhouse.lake.parts import write_columns_parts

    with run.step("verify"):
        lists, before = increment.lay_out_again(choice, parts, found, run.generation, run.run_id,
                                                run.settings)  # fmt: skip
        n_read = sum(use.n_files for use in choice.uses)
        run.say(f"verify: {n_read:,} files are read again")
        scratch = run.generation.scratch
        with workers(run, len(lists), n_read) as pool:
            for future in [pool.submit(carry_out, path, run.extractor) for path in lists]:
                checked(future.result)
        # Where no file has an element there is no file of the table but for this.
        write_columns_parts(scratch.lake, list(found), set())
        now = list(scratch.lake.rglob("*.parquet"))
        columns = [path for path in now if path.name == COLUMNS_PART]
        differing = database.differing([*before, *columns], now)
        generations.discard(scratch)
        differing += _other_pixels(run)
    looked_at = {name: {f.path for f in files} - choice.read[name] for name, files in found.items()}
    others: dict[str, set[str]] = {}
    for source, path in differing:
        if path in looked_at.get(source, ()):
            others.setdefault(source, set()).add(path)
    return others


def _other_pixels(run: Run) -> list[tuple[str, str]]:
    """Source and path of the repeated instances whose pixels are not the published ones."""
    previous = _digests_before(run)
    if previous is None:
        return []
    folders = {source.name: source.folder for source in run.sources}
    return other_pixels(previous, folders, run.settings.jobs)


def _digests_before(run: Run) -> Path | None:
    """The DuckDB file whose digests of pixels count; none where they were taken otherwise."""
    if run.published is None or run.before.get("extractor") != run.extractor:
        return None
    database = run.published.database
    return database if database.exists() else None


def scan(run: Run) -> dict[str, list[Found]]:
    """By source, the files there are: neither the warehouse's own, nor those of other sources."""
    found = {}
    elsewhere = [*run.sources, *_other_sources(run), Source("", run.settings.warehouse.resolve())]
    with run.step("scan"):
        for source in run.sources:
            run.places[source.name] = identity(source)
            found[source.name] = scan_all(source, elsewhere)
            run.say(f"scan: {len(found[source.name]):,} files in {source.name}")
    return found


def _other_sources(run: Run) -> Iterator[Source]:
    """The sources that stay as they are, below which this run's do not look."""
    named = {source.folder for source in run.sources}
    for name, path in _depends_on(run)["sources"].items():
        if (folder := Path(path)) not in named and folder.is_dir():
            yield Source(name, folder)


def _present(
    run: Run, found: Mapping[str, Sequence[Found]], known: Mapping[str, Files]
) -> dict[str, Files]:
    """By source, the files that the new lake has: what was found, and what was not looked for."""
    for source in run.sources:
        files = found[source.name]
        if len(files) == 1 and files[0].os_path == str(source.folder):  # it could not be listed
            raise SourceLost(
                f"source {source.name}: cannot look into {source.folder}: {files[0].problem}. "
                "Give the right to read it; the published warehouse is unchanged."
            )
        if not files and known.get(source.name) and not run.settings.allow_empty:
            raise SourceLost(
                f"source {source.name}: no file below {source.folder}, where there were "
                f"{len(known[source.name]):,}. Is it mounted? If it is empty by intent: "
                f"--allow-empty, or --forget {source.name}."
            )
    kept = {
        name: _left_to_it(run, name, known[name])
        for name in known.keys() - found.keys() - set(run.settings.forget)
    }
    if not any(found.values()) and not kept and not run.settings.allow_empty:
        folders = ", ".join(str(source.folder) for source in run.sources)
        raise UsageError(f"no files below {folders}. Is it the right folder, and is it mounted?")
    return {name: {f.path: f.fingerprint for f in files} for name, files in found.items()} | kept


def _left_to_it(run: Run, name: str, files: Files) -> Files:
    """The files of a source that is not looked through, without those that another now has."""
    folder = Path(_depends_on(run)["sources"][name])
    inner = tuple(
        printable(f"{source.folder.relative_to(folder)}/")
        for source in run.sources
        if folder in source.folder.parents
    )
    if not inner:
        return files
    return {path: facts for path, facts in files.items() if not path.startswith(inner)}


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
        told.append("this dicomhouse reads files differently: every file is read again")
    elif run.settings.full_refresh:
        told.append("full refresh")
    counts = {**{what: run.drift[what] for what in _DRIFT}, "tried again": tried_again,
              "of other contents": sum(map(len, run.other_contents.values()))}  # fmt: skip
    told += [f"{n:,} file{'s' if n > 1 else ''} {what}" for what, n in counts.items() if n]
    told += [f"source {name} forgotten" for name in run.settings.forget]
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
    """
    from dicomhouse.lake.parts import write_columns_parts
    from dicomhouse.lake.schema import IMAGE_LINEAGE

    for source in run.sources:
        still_there(source, run.places[source.name])
    for part in made:
        if part.name in run.work.merged:
            remove(part, run.generation.folder)
    run.parts = [*run.work.kept, *(part for part in made if part.name not in run.work.merged)]
    seen = {column for part in run.parts for column in part.image_columns}
    names = list(_depends_on(run)["sources"])
    write_columns_parts(run.generation.lake, names, seen - set(IMAGE_LINEAGE.names))
    _clean_up(run)


def register(run: Run) -> None:
    """Make the generation's DuckDB file, with views over its lake, and compare repeated pixels."""
    with run.step("register"):
        previous = run.published.database if run.published and "format" in run.before else None
        database.register(
            run.generation.database,
            run.generation.lake,
            run.settings.tolerances,
            run.other_contents,
            record(run),
            previous,
        )
    with run.step("pixels"):
        folders = {name: Path(folder) for name, folder in _depends_on(run)["sources"].items()}
        kept = None if run.settings.full_refresh else _digests_before(run)
        digest_repeated(run.generation.database, folders, kept, run.settings.jobs)


def transform(run: Run) -> list[NodeResult]:
    """Run the dbt models and their tests.

    Raises:
        ModelsFailed: naming what failed; the published generation stays.
    """
    assert run.dbt is not None
    with run.step("wait for dbt"):
        run.dbt.wait_until_ready()
    with run.step("models"):
        results = run.dbt.build()
    run.say(f"models: {len(results)} dbt nodes in {run.seconds['models']:.1f} s")
    return results


def report(run: Run) -> None:
    """Write the generation's HTML report."""
    from dicomhouse.report import render

    with run.step("report"):
        connection = database.connect(run.generation.database, run.generation.lake)
        with connection:
            page = render(connection, record(run))
        run.generation.report.mkdir()
        (run.generation.report / "index.html").write_text(page, encoding="utf-8")


def publish(run: Run) -> dict[str, Any]:
    """Make the generation current and return its record (`run.json`)."""
    told = record(run)
    database.finish(run.generation.database, told)
    generations.publish(run.settings.warehouse, run.generation, told)
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
        "seconds": run.seconds,
    }


def carried_out(run: Run, made: Sequence[PartRecord]) -> None:
    """Say how far the work is."""
    lists = len(run.work.first) + len(run.work.then)
    read = sum(part.files for part in made if not part.rewritten)
    run.say(f"extract: {len(made)} of {lists} batches, {read:,} files")


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
    """Carry out the saved work lists, in worker processes."""
    made: list[PartRecord] = []
    with run.step("extract"), workers(run, len(run.work.first), run.work.n_read) as pool:
        for stage in (run.work.first, run.work.then):
            futures = [pool.submit(carry_out, path, run.extractor) for path in stage]
            for future in futures:
                made.append(checked(future.result))
                carried_out(run, made)
    finish_lake(run, made)


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
    """The result of a batch, its failures told as errors of the run.

    Raises:
        StorageError: the lake cannot be written.
        ExtractionFailed: a worker ended, or met a bug.
        Interrupted: the run ends, and has ended its workers.
    """
    try:
        return result()
    except OSError as error:
        raise StorageError(
            f"cannot write the lake: {error.strerror or type(error).__name__}. "
            "Free space or rights, then build again; the published warehouse is unchanged."
        ) from error
    except (BrokenProcessPool, CancelledError) as error:
        if is_given_up():
            raise Interrupted("the run ended before this batch was read.") from error
        raise ExtractionFailed(
            "a worker process ended unexpectedly, perhaps for lack of memory. "
            "Build again with fewer --jobs."
        ) from error
