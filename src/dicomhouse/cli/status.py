"""`dicomhouse status`: the last run, what it could not read, what changed; the night's mail."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dicomhouse.cli.shared import SEVERITIES, add_generation, opened, statement
from dicomhouse.output import printable, write
from dicomhouse.store import failures, waiting

HELP = "Show the last run, what it could not read, and what is new."
EXAMPLES = (
    ("status --since last --format md", "the night's mail: ten lines and a link"),
    ("status --since 41", "what came and went since generation 41"),
    ("status --format json", "the same for a program"),
)
_NAMED = 4
"""Rules that a line of the mail names."""
_STEPS = 3
"""Steps that it gives the seconds of: those that took longest."""
_CHANGES = {"new": "New", "fixed": "Fixed", "worse": "Worse", "unwaived": "Waived no more"}


_LACKING = ("missing", "incomplete", "unasked", "invalid")
_WORDS = {"level": "constant at another level"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since", metavar="RUN",
        help="what changed since a run (its id, or its generation); last: what the last run did",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=("text", "md", "json"), default="text",
        help="md: a mail of ten lines and a link; json: one object, for programs",
    )  # fmt: skip
    add_generation(parser)


def run(chosen: argparse.Namespace) -> int:
    if chosen.format == "text" and chosen.since is None:
        return _show(chosen)
    from dicomhouse.status import status_of

    values = status_of(chosen.warehouse, chosen.generation, chosen.since or "last")
    if chosen.format == "json":
        print(json.dumps(values, ensure_ascii=True))
        return 0
    title, *lines = mail(values)
    if chosen.format == "md":
        print(f"**{title}**\n")
        print("\n".join(f"- {_markdown(line)}" for line in lines))
        print(f"\n[Report]({Path(values['report']).as_uri()})")
        return 0
    print(printable(title))
    print("\n".join(map(printable, lines)))
    print(printable(f"Report: {values['report']}"))
    if chosen.since != "last":
        _show_since(chosen)
    return 0


def mail(values: Mapping[str, Any]) -> list[str]:
    """What `status_of` gives in at most ten lines for a person, the first of them a title."""
    return [_title(values), *_lines(values)]


def _title(values: Mapping[str, Any]) -> str:
    last = values["last_run"]
    if last["outcome"] == "failed":
        return f"The run of {_moment(last['started_at'])} failed"
    if values["since"] is None:
        return f"First run: {_severities(values['findings']) or 'no finding'}"
    parts = [
        f"{word}: {_severities(found)}"
        for change, word in _CHANGES.items()
        if (found := _by_severity(values, change))
    ]
    if parts:
        return "; ".join(parts)
    return "Nothing changed" if last["outcome"] == "unchanged" else "No finding came or went"


def _lines(values: Mapping[str, Any]) -> Iterator[str]:
    last, of_run = values["last_run"], values["run"]
    stands = f"generation {of_run['generation']} of {_moment(of_run['finished_at'])} UTC"
    if last["outcome"] == "failed":
        yield f"Failed: {last['failure'].partition(chr(10))[0]}"
        yield f"Published: still {stands}"
    elif last["outcome"] == "unchanged":
        yield f"Run: {_moment(last['started_at'])} UTC, nothing changed; {stands} stands"
    else:
        yield f"Run: {stands}, {_took(of_run['seconds'])}: {'; '.join(of_run['reasons'])}"
    came = [
        f"{entity} " + ", ".join(f"{n:,} {_WORDS.get(word, word)}" for word, n in counts.items())
        for entity, counts in values["changes"].items()
        if counts
    ]
    if came:
        yield f"Changed: {'; '.join(came)}"
    for change, word in _CHANGES.items():
        if rows := [row for row in values["finding_changes"] if row["change"] == change]:
            yield f"{word}: {_rules(rows)}"
    if values["not_read"]:
        files: Counter[str] = Counter()
        for row in values["not_read"]:
            files[row["status"]] += row["files"]
        yield f"Not read in full: {_few([f'{n:,} {status}' for status, n in files.items()])}"
    if lacking := [f"{values['expected'][s]:,} {s}" for s in _LACKING if s in values["expected"]]:
        yield f"Expected: {', '.join(lacking)}"
    waived = sum(values["waived"].values())
    yield (
        f"Findings in all: {_severities(values['findings']) or 'none'}"
        + (f"; {waived:,} waived" if waived else "")
        + _waivers(values["waivers"])
    )


def _took(seconds: Mapping[str, float]) -> str:
    steps = sorted(seconds.items(), key=lambda step: -step[1])[:_STEPS]
    longest = ", ".join(f"{name} {_duration(took)}" for name, took in steps)
    return f"{_duration(sum(seconds.values()))} ({longest})"


def _waivers(rows: Sequence[Mapping[str, Any]]) -> str:
    """What is to be looked at in the waivers' list."""
    problems = []
    for state, words in {
        "expired": "expired",
        "unmatched": "matching nothing",
        "invalid": "not valid",
    }.items():
        if lines := [str(row["line"]) for row in rows if row["state"] == state]:
            problems.append(f"{words}: line {', '.join(lines[:_NAMED])}{_more(lines, _NAMED)}")
    return f" (waivers {'; '.join(problems)})" if problems else ""


def _by_severity(values: Mapping[str, Any], change: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in values["finding_changes"]:
        if row["change"] == change:
            counts[row["severity"]] += row["findings"]
    return counts


def _severities(counts: Mapping[str, int]) -> str:
    """How many errors and warnings, how much information; nothing where there is none."""
    return ", ".join(
        f"{n:,} {'for ' if severity == 'I' else ''}{SEVERITIES[severity]}"
        f"{'' if n == 1 or severity == 'I' else 's'}"
        for severity, n in sorted(counts.items(), key=lambda one: "EWI".index(one[0]))
        if n
    )


def _rules(rows: Sequence[Mapping[str, Any]]) -> str:
    return _few([f"{row['findings']:,} {row['rule']} ({row['severity']})" for row in rows])


def _few(words: Sequence[str]) -> str:
    return ", ".join(words[:_NAMED]) + _more(words, _NAMED)


def _more(words: Sequence[str], shown: int) -> str:
    return f" and {len(words) - shown} more" if len(words) > shown else ""


def _moment(time: str) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _markdown(line: str) -> str:
    """A line in which nothing is markup."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|&~" else c for c in printable(line))


def _show(chosen: argparse.Namespace) -> int:
    from dicomhouse.lake.forms import has_form
    from dicomhouse.store import unchanged
    from dicomhouse.warehouse.database import query

    for failed in failures.noted(chosen.warehouse):
        print(printable(f"failed       {failed['finished_at']}: {failed['failure']}"))
    for source, n in waiting.noted(chosen.warehouse).items():
        line = f"{n:,} new or changed files of {source}: their folders still change"
        print(printable(f"waiting      {line}"))
    with opened(chosen) as warehouse:
        record = warehouse.generation.run()
        runs = query(warehouse.connection, statement("last_runs"))
        quarantined = query(warehouse.connection, statement("quarantined"))
    if looked := unchanged.noted(chosen.warehouse, record["generation"]):
        print(printable(f"unchanged    {looked['finished_at']}"))
    for name in ("run_id", "started_at", "finished_at"):
        print(f"{name:<12} {printable(record[name])}")
    for name in ("images", "elements", "lake_bytes"):
        print(f"{name:<12} {record[name]:,}")
    passed_over = record.get("passed_over", {})  # the form of a record does not ask for it
    if not has_form(passed_over, {str: int}):
        passed_over = {}
    for name, words in {
        "files": [f"{n:,} {status}" for status, n in record["files"].items()],
        "passed_over": [f"{n:,} in {source}" for source, n in passed_over.items()],
        "seconds": [f"{seconds:.1f} {step}" for step, seconds in record["seconds"].items()],
    }.items():
        print(f"{name:<12} {printable(', '.join(words)) or 'none'}")
    print("\nlast runs:")
    write(runs, "table")
    if quarantined.num_rows:
        print("\nnot read in full:")
        write(quarantined, "table")
    return 0


def _show_since(chosen: argparse.Namespace) -> None:
    from dicomhouse.warehouse.database import query

    with opened(chosen) as warehouse:
        drift = query(warehouse.connection, statement("since"), {"run": chosen.since})
    print()
    if drift.num_rows:
        write(drift, "table")
    else:
        print(f"nothing changed since run {chosen.since}")
