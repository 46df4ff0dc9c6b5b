"""The command line by itself: what it says before any work."""

from __future__ import annotations

import argparse
import io
import os
import pty
import re
import shlex
import subprocess
import sys

import pyarrow as pa
import pytest
from commands import run_cli

from dicomhouse import cli, output
from dicomhouse.cli import commands

COMMANDS = sorted(commands.COMMANDS)


def test_first_call_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "dicomhouse demo" in told.err
    assert "dicomhouse build FOLDER" in told.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_examples_that_parse(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.run([command, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for call, what in commands.COMMANDS[command].EXAMPLES:
        assert f"dicomhouse {call}" in told
        assert what in told
        words = shlex.split(call.partition(" > ")[0])
        assert commands.parser().parse_args(words).command == command


def test_help_loads_nothing_heavy() -> None:
    program = "from dicomhouse.cli.commands import parser; parser().format_help()"
    assert _loaded(program, _HEAVY | {"rich"}) == []


def test_supervisor_loads_no_command() -> None:
    """Else what its child does first would be done twice."""
    program = (
        "from dicomhouse import cli; cli.supervise = lambda words: 0; cli.main(['build', 'in'])"
    )
    assert _loaded(program, {"argparse", "dicomhouse.cli.commands"}) == []
    assert commands.COMMANDS.keys() >= cli.SUPERVISED


def test_a_run_begins_without_what_it_may_not_need() -> None:
    """A run that finds nothing changed ends before it; a flow waits for its server meanwhile."""
    assert _loaded("import dicomhouse.run.build", _HEAVY) == []


_HEAVY = {"dbt", "duckdb", "numpy", "prefect", "pyarrow", "pydicom"}


def _loaded(program: str, modules: set[str]) -> list[str]:
    """Which of these modules a program has loaded at its end."""
    program += f"; import sys; print(*sorted({modules!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--print-completion", shell])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(command in told for command in COMMANDS)
    assert "keep-generations" in told


def test_completion_is_one_that_bash_reads(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--print-completion", "bash"])
    script = capsys.readouterr().out
    asked = (
        f"{script}\nCOMP_WORDS=(dicomhouse che); COMP_CWORD=1\n_shtab_dicomhouse\necho $COMPREPLY"
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
    assert done.stdout.split() == ["check"], done.stderr


def test_every_setting_that_is_told_is_a_flag_and_a_parameter_of_the_flow() -> None:
    from dataclasses import fields
    from inspect import signature

    from prefect.flows import load_flow_from_entrypoint

    from dicomhouse.resources import resource
    from dicomhouse.settings import Settings

    told = {setting.name for setting in fields(Settings) if setting.metadata}
    flags = {action.dest for action in _subparser("build")._actions}
    flow = load_flow_from_entrypoint(f"{resource('flows', 'build.py')}:build")
    assert told
    assert told <= flags
    assert told | {"sources", "warehouse"} == set(signature(flow.fn).parameters)


def _subparser(name: str) -> argparse.ArgumentParser:
    (choices,) = (
        a for a in commands.parser()._actions if isinstance(a, argparse._SubParsersAction)
    )
    chosen: argparse.ArgumentParser = choices.choices[name]
    return chosen


def test_table_fits_the_terminal_and_obeys_nothing_in_it() -> None:
    rows = "pa.table({'name': ['[red]x[/red] \\x1b[31m' + 'long ' * 60], 'n': [7]})"
    program = f"import pyarrow as pa; from dicomhouse.output import write; write({rows}, 'table')"
    lines = _on_a_terminal(program, columns=60)
    assert len(lines) > 4
    assert max(map(len, lines)) <= 60
    assert "[red]x[/red] \\x1b" in "".join(lines)


def test_table_too_wide_for_the_terminal_is_a_line_a_value() -> None:
    table = "pa.table({f'name_{i}': [f'value {i}', '[b]'] for i in range(40)})"
    program = "import pyarrow as pa; from dicomhouse.output import write; write({}, 'table')"
    lines = [line.rstrip() for line in _on_a_terminal(program.format(table), columns=60)]
    assert len(lines) == 2 * 41
    assert lines[0].startswith("row 1 of 2")
    assert lines[40] == "name_39  value 39"
    assert lines[81] == "name_39  [b]"
    none = " ".join(_on_a_terminal(program.format(f"{table}[:0]"), columns=60))
    assert "name_0," in none
    assert "name_39" in none


def _on_a_terminal(program: str, columns: int) -> list[str]:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    child = subprocess.Popen([sys.executable, "-c", program], stdout=theirs, env=environment)
    os.close(theirs)
    told = io.BytesIO()
    try:
        while block := os.read(ours, 4096):
            told.write(block)
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert child.wait() == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", told.getvalue().decode()).splitlines()


def test_table_in_a_file_is_a_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    output.write(pa.table({"name": ["long " * 20, "b"]}), "table")
    assert len(capsys.readouterr().out.splitlines()) == 4


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf"])
def test_notify_within_no_time_is_wrong_usage(hours: str) -> None:
    refused = run_cli("notify", "https://hooks.example.org", "--within", hours)
    assert refused.returncode == 2 and "--within takes hours" in refused.stderr
