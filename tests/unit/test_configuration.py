"""`dicomhouse.toml`: what it says counts, what it cannot say is told with its line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from commands import call_cli, run_cli

from dicomhouse import configuration
from dicomhouse.configuration import SCHEDULE, SETTINGS, SOURCE, find, read
from dicomhouse.errors import UsageError
from dicomhouse.settings import Settings
from dicomhouse.sources.globs import Rules
from dicomhouse.testing import write_image

FULL = """\
warehouse = "w"
jobs = 3
settle = 60
exclude = ["a"]
waivers = "own.csv"

[tolerances]
kvp_too_low = 50

[schedule]
cron = "0 3 * * *"
timezone = "Europe/Zurich"

[[sources]]
name = "one"
address = "in"

[[sources]]
name = "two"
address = "s3://bucket/x"
exclude = ["b"]
settle = 5
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "dicomhouse.toml"
    file.write_text(text)
    return file


def settings(folder: Path, text: str, *sources: str, **given: object) -> Settings:
    told = read(written(folder, text), {})
    return told.settings_of(sources, told.warehouse, folder / "elsewhere", given)


def test_what_it_says_counts_from_where_it_lies(tmp_path: Path) -> None:
    made = settings(tmp_path, FULL)
    assert made.warehouse == tmp_path / "w" and made.waivers == tmp_path / "own.csv"
    assert made.sources == (f"one={tmp_path / 'in'}", "two=s3://bucket/x")
    assert (made.jobs, made.tolerances) == (3, {"kvp_too_low": 50})
    assert made.rules_by_source() == {
        "": Rules((), ("a",), 60),
        "one": Rules((), ("a",), 60),
        "two": Rules((), ("a", "b"), 5),
    }
    assert Settings.of_served(made.served()) == made


def test_environment_overrides_it_and_flags_override_both(tmp_path: Path) -> None:
    file = written(tmp_path, FULL)
    environment = {
        "DICOMHOUSE_JOBS": "5", "DICOMHOUSE_SETTLE": "7", "DICOMHOUSE_EXCLUDE": "x y",
        "DICOMHOUSE_WAREHOUSE": "/elsewhere", "DICOMHOUSE_TOLERANCES": "kvp_too_low=1.5",
        "DICOMHOUSE_PIXELS": "true",
    }  # fmt: skip
    told = read(file, environment)
    made = told.settings_of(["/other"], told.warehouse, tmp_path, {"jobs": 9})
    assert (made.jobs, made.settle, made.exclude, made.pixels) == (9, 7, ("x", "y"), True)
    assert (made.warehouse, made.sources) == (Path("/elsewhere"), ("/other",))
    assert made.tolerances == {"kvp_too_low": 1.5}


def test_what_a_source_has_of_its_own_is_overridden_too(tmp_path: Path) -> None:
    own = '[[sources]]\nname = "one"\naddress = "in"\n'
    file = written(tmp_path, f'{own}settle = 5\ninclude = ["a"]\nexclude = ["b"]\n')
    told = read(file, {"DICOMHOUSE_SETTLE": "7"})
    given = {"include": ("c",)}
    made = told.settings_of((), told.warehouse, tmp_path, given)
    assert made.rules_by_source()["one"] == Rules(("c",), ("b",), 7)
    made = told.settings_of((), told.warehouse, tmp_path, {"settle": 9, "exclude": ("d",)})
    assert made.rules_by_source()["one"] == Rules(("a",), ("d",), 9)
    assert read(file, {}).settings_of((), tmp_path, tmp_path, {}).rules_by_source()["one"] == Rules(
        ("a",), ("b",), 5
    )


def test_paths_of_the_environment_begin_where_the_command_runs(tmp_path: Path) -> None:
    file = written(tmp_path, 'waivers = "own.csv"\nexpect = "list.csv"')
    told = read(file, {"DICOMHOUSE_WAIVERS": "other.csv"})
    made = told.settings_of(["in"], told.warehouse, Path("/working"), {})
    assert (made.waivers, made.expect) == (Path("/working/other.csv"), tmp_path / "list.csv")


def test_home_is_known_in_its_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/own")
    told = read(written(tmp_path, 'warehouse = "~/w"\nwaivers = "~/own.csv"'), {})
    assert (told.warehouse, told.settings["waivers"]) == (Path("/own/w"), Path("/own/own.csv"))


@pytest.mark.parametrize(
    ("variable", "text"), [("JOBS", "many"), ("PIXELS", "yes"), ("TOLERANCES", "x")]
)
def test_variable_that_says_nothing_is_wrong_usage(variable: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"DICOMHOUSE_{variable} takes"):
        read(None, {f"DICOMHOUSE_{variable}": text})


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("jobs = 2\nsettel = 3", 2, "settel is no key there"),
        ("jobs = 'two'", 1, "jobs has to be a whole number"),
        ("jobs = true", 1, "jobs has to be a whole number"),
        ("settle = -1", 1, "settle has to be a whole number"),
        ("\nexclude = 'a'", 2, "exclude has to be a list of texts"),
        ("exclude = [1]", 1, "exclude has to be a list of texts"),
        ("pixels = 1", 1, "pixels has to be true or false"),
        ("forget = ['a']", 1, "forget is no key there"),
        ("[tolerances]\nx = 'y'", 1, "tolerances has to be a table of numbers"),
        ("[bounds]\nmax_depth = 1.5", 2, "bounds.max_depth has to be a whole number"),
        ("[bounds]\n\nmax_dept = 9", 3, "bounds.max_dept is no key there"),
        ("[schedule]\nevery = 5\ncron = 'x'", 2, "schedule.every cannot stand beside cron"),
        ("[schedule]\ntimezone = 'Mars/Base'", 2, "schedule.timezone is no time zone"),
        ("schedule = 3", 1, "schedule has to be a table"),
        ("[sources]\nname = 'a'", 1, "sources are tables"),
        (
            "[[sources]]\nname = 'a'\naddress = 'b'\n[[sources]]\nname = 'c'",
            4,
            "sources lacks address",
        ),
        (
            "[[sources]]\nname='a'\naddress='b'\n[[sources]]\nadress='c'",
            5,
            "sources.adress is no key",
        ),
    ],
)
def test_what_it_cannot_say_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    with pytest.raises(UsageError) as told:
        read(written(tmp_path, text), {})
    assert told.value.message.startswith(f"{tmp_path}/dicomhouse.toml, line {line}: {words}")


@pytest.mark.parametrize("text", ["jobs = ", "jobs = 1\njobs = 2", "[a"])
def test_file_that_is_no_toml_is_told_with_line_and_column(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*line|cannot read .*end of document"):
        read(written(tmp_path, text), {})


def test_mark_of_an_editor_before_it_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "dicomhouse.toml").write_bytes(b"\xef\xbb\xbfjobs = 3\r\n")
    assert read(tmp_path / "dicomhouse.toml", {}).settings["jobs"] == 3


def test_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read(tmp_path / "nowhere", {})


def test_file_of_others_is_passed_over_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(None, {}) is None
    written(tmp_path, FULL).chmod(0o644)
    assert find(None, {}) == Path("dicomhouse.toml")
    (tmp_path / "dicomhouse.toml").chmod(0o666)
    assert find(None, {}) is None and "--config" in capsys.readouterr().err
    assert find(Path("dicomhouse.toml"), {}) == Path("dicomhouse.toml")
    assert find(None, {"DICOMHOUSE_CONFIG": "x"}) == Path("x")


def test_template_names_every_key_and_is_valid(tmp_path: Path) -> None:
    assert call_cli("init", str(tmp_path)).returncode == 0
    file = tmp_path / "dicomhouse.toml"
    assert read(file, {}).sources == ()  # all of it is commented
    meant = re.compile(r"^# (?=\[|[a-z_]+ = )", re.MULTILINE)
    text = meant.sub("", file.read_text())
    told = tomllib.loads(text)
    assert told.keys() == {"warehouse", "sources", "schedule", "bounds", "budget", *SETTINGS}
    assert set(told["schedule"]) | {"every"} == set(SCHEDULE)
    assert set(told["sources"][0]) | {"include", "exclude"} == set(SOURCE)
    read(written(tmp_path, text), {})
    assert call_cli("init", str(tmp_path)).returncode == 2  # and is left as it is


def test_settings_have_keys_but_those_of_one_run() -> None:
    told = {setting.name for setting in fields(Settings) if "help" in setting.metadata}
    assert told > configuration._OF_ONE_RUN
    assert {"jobs", "include", "exclude", "settle", "tolerances"} <= set(SETTINGS)


def test_commands_read_it_in_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "in" / "1")
    write_image(tmp_path / "in" / "junk" / "2")
    (tmp_path / "own.csv").write_text("rule,subject,reason\n")
    text = 'warehouse = "w"\nexclude = ["junk"]\nwaivers = "own.csv"\n'
    written(tmp_path, f'{text}[[sources]]\nname = "ward"\naddress = "in"\n')
    built = run_cli("build", "--direct")
    assert built.returncode == 0, built.stderr
    told = call_cli("sql", "select source, files from sources", "--format", "csv")
    assert told.stdout.splitlines()[1:] == ["ward,1"]
    assert call_cli("check").returncode == 0
    waived = call_cli("waive", "file_empty", "*", "--reason", "so sent")
    assert waived.stdout.startswith(f"waived in {tmp_path / 'own.csv'}: ")
    assert (tmp_path / "own.csv").read_text().splitlines()[1:] == ["file_empty,*,so sent"]
    assert "waivers, line 2: " in call_cli("check").stderr
    written(tmp_path, "jobs = 0.5\n")
    refused = call_cli("status")
    assert refused.returncode == 2 and "dicomhouse.toml, line 1: jobs has to be" in refused.stderr
