"""What is wrong with what a run is asked, told before anything is read."""

from __future__ import annotations

import csv
import math
from typing import Any

from dicomhouse import versions
from dicomhouse.errors import UsageError, unknown
from dicomhouse.lake import keys
from dicomhouse.lake.layout import NULL_PARTITION
from dicomhouse.settings import Settings
from dicomhouse.sources.source import sources_of
from dicomhouse.store import generations, increment, waivers
from dicomhouse.warehouse import expected


def check_settings(settings: Settings) -> None:
    """Raise what a run would before it reads anything.

    Raises:
        UsageError: a source is missing, is there twice or is the warehouse, two bear one name,
            there is no dbt project, a list cannot be read, or a tolerance is none.
        SourceLost: the folder of a source that the warehouse has is gone.
    """
    names: dict[str, str] = {}
    for source in sources_of(settings.sources, _published(settings).get("sources", {})):
        if source.origin in names:
            raise UsageError(
                "sources {source} and {other} are one folder or list: {folder}. Name it once.",
                source=names[source.origin],
                other=source.name,
                folder=source.origin,
            )
        names[source.origin] = source.name
        if source.name == NULL_PARTITION:
            raise UsageError(
                f"no source can be named {NULL_PARTITION}: readers of Parquet take it for no name. "
                "Give another: NAME=PATH."
            )
        if source.address == str(settings.warehouse.resolve()):
            raise UsageError(
                "{folder} cannot be both source and warehouse. Choose another --warehouse.",
                folder=source.address,
            )
    waivers.listed(settings.warehouse, settings.waivers)
    expected.digest(settings.expect)
    if settings.pixels:
        check_decoders()
    if not (project := versions.dbt_project()).joinpath("dbt_project.yml").is_file():
        raise UsageError(f"DICOMHOUSE_DBT: no dbt project in {project}.")
    known = _known_tolerances()
    for name, number in settings.tolerances.items():
        if name not in known:
            raise unknown("tolerance", name, known)
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
        try:
            with path.open(encoding="utf-8", newline="") as text:
                known |= {row[column] for row in csv.DictReader(text) if row["tolerance"]}
        except (OSError, KeyError) as error:
            reason = getattr(error, "strerror", None) or f"it has no column {error}"
            raise UsageError(f"cannot read the tolerances in {path}: {reason}.") from error
    return known


def check_decoders() -> None:
    """Raise where the extra `[pixels]` is not installed.

    Raises:
        UsageError: naming what is missing.
    """
    try:
        import dicomhouse.pixels.statistics  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed: pip install 'dicomhouse[pixels]' brings it."
        ) from None
