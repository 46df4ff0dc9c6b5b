"""Whether files hold something else than the lake says, though size and time are the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from dicomhouse.filesystem import Files, below
from dicomhouse.lake.layout import COLUMNS_PART
from dicomhouse.run.context import Run
from dicomhouse.run.workers import checked
from dicomhouse.store import generations
from dicomhouse.store.increment import Lists, Stored
from dicomhouse.store.jobs import carry_out, writing_lake
from dicomhouse.store.plan import Choice


def other_contents(
    run: Run, found: Sequence[tuple[str, Files]], parts: Sequence[Stored], choice: Choice
) -> dict[str, set[str]]:
    """By source, the files that hold something else than the parts say, though they look the same.

    Each is read once more into a lake of its own, which is compared and removed.
    """
    from dicomhouse.lake.parts import write_columns_parts
    from dicomhouse.warehouse import database

    with run.clock.step("verify"):
        known = []
        for source, files in found:
            if (rest := files.without(choice.wanted(source, files))) is not None:
                known.append((source, rest))
        scratch = run.generation.scratch
        generations.create(scratch)
        again = Lists(scratch, run.run_id, run.settings, run.sources, run.file_id_key)
        lists = list(again.to_read(known))
        run.say(f"verify: {again.n_read:,} files are read again")
        with run.workers(max(1, min(run.settings.jobs, len(lists))), again.n_read) as pool:
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

    previous = digests_before(run)
    if previous is None:
        return []
    folders = {source.name: source.address for source in run.sources}
    settings = run.settings
    others, n_unread = other_pixels(previous, folders, settings.jobs, settings.budget)
    if n_unread:
        run.say(f"verify: the pixels of {n_unread:,} repeated instances could not be compared")
    return others


def digests_before(run: Run) -> Path | None:
    """The DuckDB file whose digests of pixels count; none where they were taken otherwise."""
    if run.published is None or run.before.get("extractor") != run.extractor:
        return None
    database = run.published.database
    return database if database.exists() else None
