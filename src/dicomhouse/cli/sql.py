"""`dicomhouse sql`: one SELECT, or a question that is kept."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dicomhouse.cli.shared import add_format, add_generation, say, writing_to
from dicomhouse.errors import UsageError
from dicomhouse.output import write
from dicomhouse.questions import question, questions

HELP = "Run one SELECT, or a named report."
EXAMPLES = (
    ('sql "select Modality, count(*) from images group by all"', "a question of your own"),
    ("sql --report", "the questions that are kept"),
    ("sql --report volumes --format parquet --output volumes.parquet", "one, for Polars"),
    ("sql --report my_question.sql --param patient=P1", "one of your own"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", nargs="?", help="the statement; -: it comes by standard input")
    parser.add_argument(
        "--report", nargs="?", const="", metavar="NAME",
        help="a question that is kept, or a file of your own (.sql); without a name: a list",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument(
        "--param", action="append", default=[], metavar="KEY=VALUE",
        help="of the report; a statement of your own reads it by getvariable('KEY')",
    )  # fmt: skip
    parser.add_argument(
        "--allow-files", action="store_true",
        help="let the statement read files of this machine, as read_csv and read_parquet do; so "
        "may the views of a warehouse then, whoever made it",
    )  # fmt: skip
    add_generation(parser)
    add_format(parser)


def run(chosen: argparse.Namespace) -> int:
    import dicomhouse
    from dicomhouse.warehouse.database import query as ask

    if (chosen.query is None) == (chosen.report is None):
        raise UsageError('give either a statement, as in "select ...", or --report NAME.')
    if chosen.report == "":
        return _list_reports(chosen.format)
    given: dict[str, str] = {}
    for text in chosen.param:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--param takes KEY=VALUE, not {text}.")
        given[name] = value
    text, variables = chosen.query, dict[str, str | None](given)
    if text == "-":
        text = sys.stdin.read()
    if chosen.report:
        asked = question(chosen.report)
        text, variables = asked.sql, asked.variables(given)
    with dicomhouse.open(chosen.warehouse, chosen.generation, chosen.allow_files) as warehouse:
        rows = ask(warehouse.connection, text, variables)
    with writing_to(chosen.output):
        write(rows, chosen.format)
    if chosen.report and given and not rows.num_rows:
        say(f"{chosen.report} has no row for {', '.join(given)} as given: is it in this warehouse?")
    return 0


def _list_reports(form: str) -> int:
    import pyarrow as pa

    listed = [
        {
            "report": asked.name,
            "answers": asked.text,
            "parameters": "; ".join(
                f"{parameter.name}{' (needed)' * parameter.is_needed}: {parameter.text}"
                for parameter in asked.parameters
            ),
        }
        for asked in questions()
    ]
    write(pa.Table.from_pylist(listed), form)
    return 0
