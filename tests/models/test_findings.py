"""The life of a finding: new, standing, fixed; accepted by someone, and told once."""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from building import build_findings

import dicomhouse
from dicomhouse.cli import main
from dicomhouse.errors import UsageError
from dicomhouse.resources import resource
from dicomhouse.settings import Settings
from dicomhouse.status import status_of
from dicomhouse.store import waivers
from dicomhouse.testing import write_image
from dicomhouse.warehouse.database import query
from dicomhouse.warehouse.plan import Compilation

TODAY = datetime.now(UTC).date()


def build(root: Path, **chosen: Any) -> None:
    build_findings(Settings((str(root / "in"),), root / "w", **chosen))


def findings(root: Path) -> dict[tuple[str, str], dict[str, Any]]:
    with dicomhouse.open(root / "w") as opened:
        rows = opened.sql("from findings").to_dicts()
    return {(row["rule"], row["subject"]): row for row in rows}


def write_cut(path: Path, uid: str) -> None:
    """An image whose file ends too early."""
    write_image(path, PatientID="P", SOPInstanceUID=uid)
    path.write_bytes(path.read_bytes()[:-20])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: a cut file and a text are renamed, one cut file comes, and one is mended."""
    root = tmp_path_factory.mktemp("findings")
    folder = root / "in" / "P"
    write_cut(folder / "a", "1.2.1")
    write_cut(folder / "b", "1.2.2")
    (folder / "text.txt").write_text("no DICOM")
    build(root)
    (folder / "a").rename(folder / "renamed")
    (folder / "text.txt").rename(folder / "words.txt")
    write_image(folder / "b", PatientID="P", SOPInstanceUID="1.2.2")
    write_cut(folder / "c", "1.2.3")
    build(root)
    return root


def test_finding_is_new_once_and_stands_though_its_file_is_renamed(root: Path) -> None:
    found = findings(root)
    first, second = (f"00000{n}" for n in (1, 2))
    told = {
        subject: (row["state"], row["first_run_id"][:6])
        for (rule, subject), row in found.items()
        if row["level"] == "file"
    }
    assert told == {
        "P/renamed": ("standing", first),
        "P/words.txt": ("standing", first),
        "P/c": ("new", second),
    }
    with dicomhouse.open(root / "w") as opened:
        rows = opened.sql("""
            select change, rule, subject, before, after from run_changes
            where entity = 'finding' and rule like 'file%' order by change
        """).rows()  # fmt: skip
    assert rows == [
        ("fixed", "file_truncated", "P/b", "E", None),
        ("new", "file_truncated", "P/c", None, "E"),
    ]


def test_key_is_that_of_a_clean_build_and_of_this_warehouse_alone(
    root: Path, tmp_path: Path
) -> None:
    keys = {name: row["finding_key"] for name, row in findings(root).items()}
    sources = (f"in={root / 'in'}",)
    build_findings(Settings(sources, tmp_path / "w", jobs=1))
    assert {n: row["finding_key"] for n, row in findings(tmp_path).items()} == keys
    other = Settings(sources, tmp_path / "other" / "w", file_id_key="another")
    build_findings(other)
    others = {row["finding_key"] for row in findings(tmp_path / "other").values()}
    assert not others & set(keys.values())


def test_check_tells_what_is_new_and_fails_on_what_is_asked(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--warehouse", str(root / "w"), "--rule", "file_truncated")
    assert main(["check", *at, "--new", "--format", "json"]) == 1
    (row,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert row["subject"] == "P/c"
    assert main(["check", *at, "--fail-on", "new-errors"]) == 1
    assert main(["check", *at, "--fail-on", "never"]) == 0
    assert main(["check", *at[:2], "--severity", "I", "--fail-on", "warnings"]) == 0


def test_mail_has_ten_lines_at_most_and_names_no_file(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("status", "--warehouse", str(root / "w"), "--since", "last", "--format")
    assert main([*words, "md"]) == 0
    told = capsys.readouterr().out
    *lines, link = [line for line in told.splitlines() if line]
    assert len(lines) <= 10
    assert lines[0] == "**New: 1 error; Fixed: 1 error**"
    assert "- New: 1 file\\_truncated (E)" in lines
    assert link.startswith("[Report](file:///")
    assert not any(name in told for name in ("renamed", "words.txt", "P/c"))
    assert main([*words, "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values == json.loads(json.dumps(status_of(root / "w")))
    assert values["since"]["generation"] == 1
    assert values["changes"]["files"] == {"added": 3, "changed": 1, "removed": 2}
    assert main(["status", "--warehouse", str(root / "w"), "--since", "1"]) == 0
    assert "fixed" in capsys.readouterr().out


def test_waived_finding_stays_and_neither_counts_nor_is_told_until_it_expires(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ("--warehouse", str(tmp_path / "w"))
    write_cut(tmp_path / "in" / "P" / "a", "1.2.1")
    build(tmp_path)
    assert main(["check", *at]) == 1
    until = ("--expires", TODAY.isoformat(), "--author", "me")
    waive = ("waive", "file_truncated", "P/*", "--reason", 'as sent, "so be it"', *until, *at)
    assert main([*waive]) == 0
    assert "1 finding" in capsys.readouterr().out
    assert main(["check", *at]) == 0  # without another build
    assert "1 waived" in capsys.readouterr().err
    assert main(["waive", "file_zeroed", "*", "--reason", "none of them", *at]) == 0
    assert "no finding that stands now" in capsys.readouterr().out
    build(tmp_path)
    row = findings(tmp_path)["file_truncated", "P/a"]
    assert (row["is_waived"], row["waiver"], row["state"]) == (True, 2, "standing")
    values = status_of(tmp_path / "w")
    assert values["run"]["reasons"] == ["other waivers, or expired ones"]
    assert values["waived"] == {"E": 1, "W": 0, "I": 0} and values["findings"]["E"] == 0
    assert [row["change"] for row in values["finding_changes"]] == ["waived"]
    assert [(row["line"], row["state"]) for row in values["waivers"]] == [(3, "unmatched")]
    with dicomhouse.open(tmp_path / "w") as opened:
        assert opened.sql("select findings from series").item() < len(findings(tmp_path))

    listed = waivers.own_list(tmp_path / "w")
    yesterday = (TODAY - timedelta(days=1)).isoformat()
    with pytest.raises(SystemExit):
        main(["waive", "file_zeroed", "*", "--reason", "late", "--expires", yesterday, *at])
    assert f"{yesterday} is past" in capsys.readouterr().err
    listed.write_text(listed.read_text().replace(TODAY.isoformat(), yesterday))
    assert main(["check", *at]) == 1
    assert "line 2: it has expired" in capsys.readouterr().err
    build(tmp_path)
    values = status_of(tmp_path / "w")
    assert [row["change"] for row in values["finding_changes"]] == ["unwaived"]
    assert (2, "expired") in [(row["line"], row["state"]) for row in values["waivers"]]
    assert main(["check", *at, "--fail-on", "new-errors"]) == 1


def test_finding_that_is_worse_is_news(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A birth date that one image lacks is a warning; two dates are an error."""
    at = ("--warehouse", str(tmp_path / "w"), "--rule", "patient_attribute_inconsistent")
    write_image(tmp_path / "in" / "a", PatientBirthDate="19500101")
    write_image(tmp_path / "in" / "b", PatientBirthDate=None, InstanceNumber=2)
    build(tmp_path)
    assert main(["check", *at, "--fail-on", "new-errors"]) == 0
    write_image(tmp_path / "in" / "b", PatientBirthDate="19510202", InstanceNumber=2)
    build(tmp_path)
    capsys.readouterr()
    assert main(["check", *at, "--new", "--fail-on", "new-errors", "--format", "json"]) == 1
    (row,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (row["severity"], row["state"]) == ("E", "standing")
    values = status_of(tmp_path / "w")
    assert ("worse", "E") in [(row["change"], row["severity"]) for row in values["finding_changes"]]


def test_night_without_a_change_or_that_failed_tells_nothing_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--warehouse", str(tmp_path / "w"))
    write_image(tmp_path / "in" / "P" / "a", PatientID="P")
    build(tmp_path)
    write_cut(tmp_path / "in" / "P" / "b", "1.2.1")
    build(tmp_path)
    assert status_of(tmp_path / "w")["finding_changes"]
    assert main(["check", *at, "--fail-on", "new-errors"]) == 1
    build(tmp_path)
    values = status_of(tmp_path / "w")
    assert values["last_run"]["outcome"] == "unchanged" and values["finding_changes"] == []
    assert main(["check", *at, "--fail-on", "new-errors"]) == 0
    assert status_of(tmp_path / "w", since="1")["finding_changes"]
    (tmp_path / "in" / "P").rename(tmp_path / "away")
    with pytest.raises(dicomhouse.errors.DicomhouseError):
        build(tmp_path)
    values = status_of(tmp_path / "w")
    assert values["last_run"]["outcome"] == "failed" and values["finding_changes"] == []
    capsys.readouterr()
    assert main(["status", *at, "--format", "md"]) == 0
    assert "failed" in capsys.readouterr().out.splitlines()[0]


def test_waivers_of_many_at_a_time_all_stand(tmp_path: Path) -> None:
    given = [str(number) for number in range(40)]

    def waive(subject: str) -> None:
        waivers.add(tmp_path / "list", {"rule": "x", "subject": subject, "reason": "so"})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(waive, given))
    assert sorted(str(line["subject"]) for line in waivers.read(tmp_path / "list")) == sorted(given)


def test_finding_that_two_lines_cover_is_waived_until_the_last_expires(tmp_path: Path) -> None:
    write_cut(tmp_path / "in" / "P" / "a", "1.2.1")
    listed = tmp_path / "accepted.csv"
    today = TODAY.isoformat()
    listed.write_text(
        "rule,subject,reason,expires\n"
        f"file_truncated,P/*,for now,{today}\nfile_truncated,P/a,for good,\n"
    )
    build(tmp_path, waivers=listed)
    database = tmp_path / "copy.duckdb"
    database.write_bytes((tmp_path / "w" / "warehouse.duckdb").read_bytes())
    asked = resource("sql", "commands", "findings.sql").read_text()
    everything = {"severities": [], "rules": ["file_truncated"], "levels": [], "waivers": None}
    with duckdb.connect(str(database)) as connection:
        for passed, waiver in ((0, 2), (2, 3), (3, None)):  # as on the day after a line expires
            connection.execute(
                "update waivers set expires = current_date - 1 where line = ?", [passed]
            )
            (row,) = query(connection, asked, everything).to_pylist()
            assert (row["is_waived"], row["waiver"]) == (waiver is not None, waiver)


def test_list_that_people_share_keeps_its_rights_and_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = {"rule": "x", "subject": "a", "reason": "so"}
    path = tmp_path / "waivers.csv"
    waivers.add(path, line)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o664)
    group = 12_345 if os.geteuid() == 0 else os.getegid()
    os.chown(path, -1, group)
    waivers.add(path, line)
    assert (path.stat().st_mode & 0o777, path.stat().st_gid) == (0o664, group)

    def not_ours(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", not_ours)
    waivers.add(path, line)
    assert path.stat().st_mode & 0o777 == 0o604


def test_list_of_waivers_is_kept_as_it_was_written_and_bad_lines_are_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "waivers.csv"
    path.write_text("reason,rule,subject,expires\nwhy,x,a,soon\n,x,b,\nwhy,x,c,2020-01-01\n")
    waivers.add(path, {"rule": "y", "subject": "d,e", "reason": "so", "author": "me"})
    assert path.read_text().endswith('why,x,c,2020-01-01\nso,y,"d,e",\n')
    listed = waivers.read(path)
    assert [line["line"] for line in listed] == [2, 3, 4, 5]
    with duckdb.connect() as connection:
        connection.execute("create schema run")
        connection.execute(
            "set variable record = ?",
            [json.dumps({"started_at": "2026-01-01T00:00:00+00:00", "waiver_list": listed})],
        )
        connection.execute(resource("sql", "lake", "waivers.sql").read_text())
        rows = connection.execute("select line, state, problem from run.waivers").fetchall()
    assert rows == [
        (2, "invalid", "expires is no date such as 2026-12-31"),
        (3, "invalid", "it gives no reason"),
        (4, "expired", None),
        (5, "active", None),
    ]
    path.write_text("rule,subject\n")
    with pytest.raises(UsageError, match="no column reason"):
        waivers.read(path)
    path.write_bytes(b"rule,subject,reason\n\xff\n")
    with pytest.raises(UsageError, match="UTF-8"):
        waivers.read(path)


def test_digest_of_the_list_is_another_on_the_day_after_it_expires() -> None:
    listed = [{"line": 2, "rule": "x", "subject": "a", "expires": "2026-11-28", "reason": "so"}]
    days = [waivers.digest(listed, date(2026, 11, day)) for day in (27, 28, 29, 30)]
    assert days[0] == days[1] != days[2] == days[3]
    assert waivers.digest([], date(2026, 11, 28)) is None


MODELS = (
    "int_findings", "int_standing_findings", "int_waived_findings", "findings", "waivers",
    "int_finding_changes", "run_changes", "runs",
)  # fmt: skip
FINDINGS = "source varchar, rule varchar, subject varchar, patient_key varchar, study_key varchar, "
FINDINGS += "series_key varchar, severity varchar, measured double, n_offenders bigint, "
FINDINGS += "offenders varchar[], message varchar"
INPUTS = {
    "main.images": "file_id bigint, source varchar, patient_key varchar, study_key varchar, "
    "series_key varchar",
    "main.files": "source varchar, path varchar, SOPInstanceUID varchar, size_bytes bigint, "
    "modified_at timestamp, status varchar, reason varchar, file_id bigint",
    "main.series": "source varchar, series_key varchar, images bigint",
    "main.tag_levels": "source varchar, path varchar, level varchar",
    "main.series_checks": "source varchar, series_key varchar, rule varchar, severity varchar, "
    "message varchar, measured double, tolerance double, n_offenders bigint, "
    "offenders varchar[], status varchar",
    "intermediate.int_check_rules": "rule varchar, level varchar, theme varchar, "
    "severity varchar, tolerance double",
    "intermediate.int_file_changes": "source varchar, path varchar, change varchar, "
    "status_before varchar, status_after varchar, series_key_before varchar, "
    "series_key_after varchar",
    **{
        f"intermediate.{path.stem}": FINDINGS
        for path in resource("dbt", "models", "checks").glob("int_findings_*.sql")
    },
}  # fmt: skip


def test_forty_regressions_among_five_thousand_findings_are_told_once_each(
    tmp_path: Path,
) -> None:
    """Thirty nights: each shuffles, words anew, counts anew and renames what stands."""
    compilation = Compilation(tmp_path / "scratch", lambda line: None)
    try:
        sql = {node.name: node.sql for node in compilation.plan().nodes if node.kind == "model"}
    finally:
        compilation.close()
    chance = random.Random(20)
    planted = {f"planted_{n}": chance.randrange(2, 31) for n in range(40)}
    accepted = {f"waived_{n}": chance.randrange(2, 31) for n in range(10)}
    mended = {rule: night + chance.randrange(1, 9) for rule, night in planted.items()}
    mails: dict[str, list[str]] = {}
    previous: Path | None = None
    for night in range(1, 31):
        folder = tmp_path / str(night)
        folder.mkdir()
        database = folder / "warehouse.duckdb"
        found = [(f"rule_{n % 25}", f"1.2.{n}") for n in range(5000)]
        found += [(rule, "1.3") for rule, first in planted.items() if first <= night < mended[rule]]
        found += [(rule, f"{rule}/1") for rule, first in accepted.items() if first <= night]
        chance.shuffle(found)
        with duckdb.connect(str(database)) as connection:
            _register(connection, night, previous)
            rows = [
                ("s", rule, subject, "WE"[night % 2] if rule == "rule_0" else "E", night * 1.5,
                 f"{night} of {subject}") for rule, subject in found
            ]  # fmt: skip
            connection.executemany(
                "insert into main.files (source, path, SOPInstanceUID) values ('s', ?, ?)",
                [(f"{night}/{n}", f"1.2.{n}") for n in range(200)],
            )
            connection.execute("set variable rows = ?", [json.dumps(rows)])
            connection.execute(_FOUND)
            for name in MODELS:
                connection.execute(sql[name])
            asked = resource("sql", "commands", "finding_changes.sql").read_text()
            for row in query(connection, asked, {"generation": night - 1}).to_pylist():
                mails.setdefault(row["change"], []).extend([row["rule"]] * row["findings"])
            states = "select count(*) filter (state = 'standing') from findings"
            ((standing,),) = connection.execute(states).fetchall()
            assert standing >= 5000 * (night > 1)
            connection.execute("drop schema history cascade")
        previous = database
    assert sorted(mails["new"]) == sorted(planted)
    assert sorted(mails["fixed"]) == sorted(rule for rule in planted if mended[rule] <= 30)
    assert mails.keys() == {"new", "fixed", "better", "worse"}


_FOUND = """
create temporary table given as
select
    row ->> 0 as source, row ->> 1 as rule, row ->> 2 as subject, row ->> 3 as severity,
    (row ->> 4)::double as measured, row ->> 5 as message
from (select unnest(getvariable('rows')::json[]) as row);
insert into intermediate.int_check_rules (rule, level, severity)
select distinct rule, case when rule like 'rule%' then 'file' else 'image' end, 'E' from given;
-- The first 200 are files, whose subject is a path that is another every night.
insert into intermediate.int_findings_files by name
select given.* replace (coalesce(files.path, given.subject) as subject)
from given left join main.files on given.subject = files.SOPInstanceUID where rule like 'rule%';
insert into intermediate.int_findings_images by name select * from given where rule not like 'rule%'
"""


def _register(connection: duckdb.DuckDBPyConnection, night: int, previous: Path | None) -> None:
    record = {
        "run_id": f"r{night}",
        "generation": night,
        "salt": "pepper",
        "started_at": f"2026-11-{night:02}T02:00:00+00:00",
        "finished_at": f"2026-11-{night:02}T02:06:00+00:00",
        "sources": {"s": "/s"},
        "files": {"ok": 1},
        "waiver_list": [
            {"line": n, "rule": f"waived_{n}", "subject": "waived_*", "reason": "so it is"}
            for n in range(10)
        ],
    }
    connection.execute("set timezone = 'UTC'")
    connection.execute("set variable record = ?", [json.dumps(record)])
    if previous is None:
        connection.execute("attach ':memory:' as previous")
        connection.execute(resource("sql", "previous", "none.sql").read_text())
    else:
        connection.execute(f"attach '{previous}' as previous (read_only)")
    connection.execute("create schema run; create schema intermediate")
    for name, columns in INPUTS.items():
        connection.execute(f"create table {name} ({columns})")
    for script in ("history", "news", "waivers"):
        connection.execute(resource("sql", "lake", f"{script}.sql").read_text())
    connection.execute("detach previous")
