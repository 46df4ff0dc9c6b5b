"""`dicomhouse metrics`: counts of a warehouse for Prometheus, by its textfile collector."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from dicomhouse.cli.shared import SEVERITIES, statement
from dicomhouse.errors import StorageError, WarehouseNotFound

HELP = "Write counts of the last run for Prometheus; they name no patient, folder or file."
EXAMPLES = (
    ("metrics --output /var/lib/node_exporter/dicomhouse.prom", "for the textfile collector"),
    ("metrics", "to standard output"),
)

Metric = tuple[str, str, dict[str, str], float]
"""Name without its prefix, help, labels, value."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="in one step, readable by all; not to the screen",
    )


def run(chosen: argparse.Namespace) -> int:
    from prometheus_client import CollectorRegistry, Gauge, generate_latest, write_to_textfile

    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for name, text, labels, value in _metrics(chosen.warehouse):
        if name not in gauges:
            gauges[name] = Gauge(f"dicomhouse_{name}", text, list(labels), registry=registry)
        (gauges[name].labels(**labels) if labels else gauges[name]).set(value)
    if chosen.output is None:
        print(generate_latest(registry).decode(), end="")
        return 0
    try:
        write_to_textfile(str(chosen.output), registry)
        chosen.output.chmod(0o644)  # the collector is another user
    except OSError as error:
        raise StorageError(f"cannot write {chosen.output}: {error.strerror}.") from error
    return 0


def _metrics(warehouse: Path) -> Iterator[Metric]:
    from dicomhouse.store import failures

    failed = failures.noted(warehouse)
    yield "failed_runs", "Runs that failed since the last that published", {}, len(failed)
    if failed:
        yield (
            "failed_timestamp_seconds", "When the last run failed", {},
            _seconds(failed[-1]["finished_at"]),
        )  # fmt: skip
    try:
        yield from _of_generation(warehouse)
    except WarehouseNotFound:
        yield "generation", "The generation that readers see; 0 for none", {}, 0


def _of_generation(warehouse: Path) -> Iterator[Metric]:
    import dicomhouse
    from dicomhouse.store import unchanged

    with dicomhouse.open(warehouse) as opened:
        record = opened.generation.run()
        found = opened.connection.execute(statement("finding_counts")).fetchall()
    yield "generation", "The generation that readers see; 0 for none", {}, record["generation"]
    begun, ended = _seconds(record["started_at"]), _seconds(record["finished_at"])
    yield "published_timestamp_seconds", "When it was published", {}, ended
    looked = unchanged.noted(warehouse, record["generation"]) or record
    yield (
        "succeeded_timestamp_seconds", "When a run last published, or found nothing changed", {},
        _seconds(looked["finished_at"]),
    )  # fmt: skip
    yield "run_seconds", "How long its run took", {}, ended - begun
    for step, seconds in record["seconds"].items():
        yield "step_seconds", "How long its run was at a step", {"step": step}, seconds
    for status, count in record["files"].items():
        yield "files", "Files by status", {"status": status}, count
    for what, count in record["drift"].items():
        yield "changed_files", "Files that its run found changed", {"change": what}, count
    yield "images", "Images", {}, record["images"]
    yield "elements", "Elements", {}, record["elements"]
    yield "lake_bytes", "Size of the lake", {}, record["lake_bytes"]
    counts = {letter: (standing, waived) for letter, standing, waived in found}
    for letter, severity in SEVERITIES.items():
        standing, waived = counts.get(letter, (0, 0))
        yield "findings", "Findings that nobody has accepted", {"severity": severity}, standing
        yield "waived_findings", "Findings that are accepted", {"severity": severity}, waived


def _seconds(time: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(time).timestamp()
