"""The night's mail, from values alone."""

from __future__ import annotations

from typing import Any

import pytest

from dicomhouse.cli.status import mail


def values(**other: Any) -> dict[str, Any]:
    """A night on which all that can happen did."""
    return {
        "last_run": {
            "outcome": "published", "started_at": "2026-11-28T02:00:00+00:00", "failure": None,
        },
        "run": {
            "generation": 42, "finished_at": "2026-11-28T02:06:00+00:00", "seconds": {"scan": 3.2},
            "reasons": ["12 files new"],
        },
        "since": {"run_id": "000041-0", "generation": 41},
        "changes": {"files": {"added": 12}, "series": {"added": 2}, "tags": {"level": 1}},
        "findings": {"E": 120, "W": 3_000, "I": 0},
        "waived": {"E": 14, "W": 0, "I": 0},
        "finding_changes": [
            {"change": change, "severity": "E", "rule": f"rule_{n}", "findings": 1}
            for change in ("new", "fixed", "worse", "better", "waived", "unwaived")
            for n in range(9)
        ],
        "not_read": [{"source": "s", "status": "empty", "reason": None, "files": 3}],
        "waivers": [
            {"line": n, "rule": "x", "state": state, "problem": None}
            for n, state in enumerate(("expired", "unmatched", "invalid"), 2)
        ],
        "expected": {"complete": 7, "missing": 1, "incomplete": 2},
        **other,
    }  # fmt: skip


def test_mail_of_the_fullest_night_has_ten_lines() -> None:
    lines = mail(values())
    assert len(lines) == 10
    assert lines[0] == "New: 9 errors; Fixed: 9 errors; Worse: 9 errors; Waived no more: 9 errors"
    assert lines[3] == ("New: 1 rule_0 (E), 1 rule_1 (E), 1 rule_2 (E), 1 rule_3 (E) and 5 more")
    assert "Expected: 1 missing, 2 incomplete" in lines
    assert lines[-1].endswith("expired: line 2; matching nothing: line 3; not valid: line 4)")


@pytest.mark.parametrize(
    ("outcome", "title"),
    [
        ("unchanged", "Nothing changed"),
        ("failed", "The run of 2026-11-28 02:00 failed"),
        ("published", "No finding came or went"),
    ],
)
def test_title_says_how_a_quiet_night_went(outcome: str, title: str) -> None:
    last = {"outcome": outcome, "started_at": "2026-11-28T02:00:00+00:00", "failure": "disk full\n"}
    lines = mail(values(last_run=last, finding_changes=[]))
    assert lines[0] == title
    assert any("disk full" in line for line in lines) == (outcome == "failed")
    assert mail(values(since=None))[0] == "First run: 120 errors, 3,000 warnings"
