"""All commands, and what runs one.

A command has HELP, EXAMPLES (each a call and what it is for), `add_options` and `run`, which gives
the exit code. What is heavy is imported where it is used: `--help` takes a twentieth of a second.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

from dicomhouse import __version__
from dicomhouse.cli import (
    build,
    check,
    demo,
    diff,
    docs,
    doctor,
    expect,
    export,
    init,
    metrics,
    notify,
    pixels,
    publish,
    report,
    serve,
    sql,
    status,
    tag,
    volume,
    waive,
)
from dicomhouse.cli.shared import add_warehouse
from dicomhouse.errors import (
    DicomhouseError,
    Interrupted,
    ModelsFailed,
    QueryError,
    StorageError,
)
from dicomhouse.output import printable
from dicomhouse.processes import hold_lifeline, is_interruption, raise_on_sigterm

COMMANDS = {
    "init": init,
    "build": build,
    "demo": demo,
    "check": check,
    "sql": sql,
    "tag": tag,
    "diff": diff,
    "volume": volume,
    "pixels": pixels,
    "status": status,
    "doctor": doctor,
    "metrics": metrics,
    "serve": serve,
    "notify": notify,
    "waive": waive,
    "expect": expect,
    "report": report,
    "docs": docs,
    "export": export,
    "publish": publish,
}
_SHELLS = ("bash", "zsh", "tcsh")


def run(words: Sequence[str], is_supervised: bool = False) -> int:
    """Run one command; returns its exit code (`errors.py` has the meanings).

    Args:
        words: of the command line, the command first.
        is_supervised: whether this process was started by `supervise`, and ends with it.
    """
    chosen = parser().parse_args(words)
    if isinstance(sys.stdout, TextIOWrapper):  # what the terminal has no letters for is escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    command = COMMANDS[chosen.command]
    try:
        if is_supervised:
            raise_on_sigterm()
            hold_lifeline()
        _configure(command, chosen)
        code = int(command.run(chosen))
        sys.stdout.flush()
        return code
    except DicomhouseError as error:
        if chosen.debug:
            raise
        # DuckDB points below the words that it means, and dbt speaks in several lines.
        several = isinstance(error, (QueryError, ModelsFailed))
        lines = error.message.split("\n") if several else [error.message]
        print("dicomhouse: " + "\n".join(map(printable, lines)), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output has seen enough
        _say_no_more()
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or chosen.debug:
            raise
        _say_no_more()
        print(f"dicomhouse: cannot write the output: {error.strerror}.", file=sys.stderr)
        return StorageError.exit_code
    except (KeyboardInterrupt, RuntimeError) as error:
        if not is_interruption(error) or chosen.debug:
            raise
        if is_supervised:
            sys.stdout.flush()
            os._exit(Interrupted.exit_code)  # libraries that are torn down while they work complain
        return Interrupted.exit_code


def parser() -> argparse.ArgumentParser:
    """Of all commands and their options."""
    top = argparse.ArgumentParser(
        prog="dicomhouse",
        description="Folders of DICOM files in, a tested warehouse of their tags out.",
    )
    top.add_argument("--version", action="version", version=f"dicomhouse {__version__}")
    top.add_argument(
        "--print-completion", action=_PrintCompletion, choices=_SHELLS,
        help="what a shell reads to complete commands and options",
    )  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        calls = [f"dicomhouse {call}" for call, _ in command.EXAMPLES]
        width = max(map(len, calls))
        examples = [
            f"  {call:{width}}  {what}"
            for call, (_, what) in zip(calls, command.EXAMPLES, strict=True)
        ]
        sub = commands.add_parser(
            name, help=command.HELP, description=command.HELP,
            epilog="\n".join(["examples:", *examples]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        add_warehouse(sub)
        sub.add_argument("--debug", action="store_true", help="show tracebacks of errors")
        command.add_options(sub)
    return top


class _PrintCompletion(argparse.Action):
    """`--print-completion SHELL`, without a command."""

    def __call__(
        self, top: argparse.ArgumentParser, chosen: object, shell: Any, option: object = None
    ) -> None:
        from shtab import complete

        print(complete(top, shell))
        top.exit()


def _say_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _configure(command: Any, chosen: argparse.Namespace) -> None:
    """Read what stands in for flags, unless the command stands for itself."""
    from dicomhouse import configuration

    ignores = hasattr(command, "READS_NO_CONFIGURATION")
    chosen.configuration = configuration.read(
        None if ignores else configuration.find(chosen.config)
    )
    chosen.is_default = chosen.warehouse is None
    if chosen.is_default:
        chosen.warehouse = chosen.configuration.warehouse
