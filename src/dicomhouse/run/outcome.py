"""What a run came to, in counts alone: nothing in it names a patient, a folder, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dicomhouse.resources import resource
from dicomhouse.run.context import Run

_SEVERITIES = ("error", "warning", "information")


def findings_by_rule(run: Run) -> list[dict[str, Any]]:
    """By rule, how many findings stand once a run has built its models, and how many are new.

    What someone has accepted is left out. New are those, too, that are worse than before or that
    are accepted no more; of the first run all are.

    Returns:
        Rows of `severity`, `rule`, `level`, `findings` and `new`, the most severe first.
    """
    from dicomhouse.warehouse.database import connect, query

    by_rule = resource("sql", "commands", "findings_by_rule.sql").read_text()
    with connect(run.generation.database, run.generation.lake) as connection:
        rows: list[dict[str, Any]] = query(connection, by_rule, {"run": run.run_id}).to_pylist()
        return rows


def summary(record: dict[str, Any], found: list[dict[str, Any]], warehouse: Path) -> str:
    """A page in Markdown about a generation that was published.

    Args:
        record: of the run (`run.json`).
        found: as `findings_by_rule` has them.
        warehouse: its folder, which the operator chose.
    """
    drift = ", ".join(f"{count:,} {what}" for what, count in record["drift"].items())
    unread = sum(record["files"].get(status, 0) for status in ("truncated", "unreadable", "empty"))
    reasons = "; ".join(record["reasons"])
    lines = [
        f"# Generation {record['generation']}",
        f"{reasons[0].upper()}{reasons[1:]}. Files: {drift}.",
        "",
        f"**{record['images']:,}** images, **{record['elements']:,}** elements, "
        f"**{unread:,}** files not read in full ([by status](/artifacts/key/files-by-status)).",
        "",
        "| findings | standing | new |",
        "|---|---:|---:|",
    ]
    for severity in _SEVERITIES:
        rows = [row for row in found if row["severity"] == severity]
        standing = sum(row["findings"] - row["new"] for row in rows)
        lines.append(f"| {severity} | {standing:,} | {sum(row['new'] for row in rows):,} |")
    lines += [
        "",
        "[New findings by rule](/artifacts/key/new-findings) · "
        "[seconds per model](/artifacts/key/seconds-per-model) · "
        f"[report]({(warehouse / 'report' / 'index.html').as_uri()})",
        "",
        "| step | seconds |",
        "|---|---:|",
        *(f"| {step} | {seconds:,.1f} |" for step, seconds in record["seconds"].items()),
    ]
    return "\n".join(lines) + "\n"
