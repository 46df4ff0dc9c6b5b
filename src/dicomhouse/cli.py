"""The command line: parse, call, translate errors. Heavy imports stay inside the commands."""

from __future__ import annotations

import argparse
import atexit
import errno
import gc
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from dicomhouse import __version__, failures
from dicomhouse.errors import (
    DicomhouseError,
    Interrupted,
    ModelsFailed,
    QueryError,
    ServerFailed,
    StorageError,
    UsageError,
    WarehouseNotFound,
)
from dicomhouse.filesystem import is_there, open_file, replace_file
from dicomhouse.output import printable, write
from dicomhouse.processes import hold_lifeline, leave_working_folder, raise_on_sigterm, supervise
from dicomhouse.questions import question, questions
from dicomhouse.resources import resource
from dicomhouse.settings import SERVED, Settings, absolute_source, default_warehouse

if TYPE_CHECKING:
    from dicomhouse.reader import Warehouse

_SUPERVISED = "DICOMHOUSE_SUPERVISED"
_SUPERVISED_COMMANDS = ("build", "demo")
_IMPORTED_LATER = ("dicomhouse.lake.extract", "dicomhouse.lake.rewrite", "fastapi.encoders",
                   "prefect.flow_engine", "prefect.task_engine",
                   "prefect.utilities.visualization")  # fmt: skip
"""By a flow's run, which has time for it while its private server starts."""
_SEVERITIES = {"E": "error", "W": "warning", "I": "information"}
_FINDING_COLUMNS = ("severity", "level", "rule", "source", "message", "n_offenders", "first_file")
_COUNT_COLUMNS = ("severity", "theme", "rule", "findings")
_FINDINGS_SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (`errors.py` has the meanings)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    chosen = _parser().parse_args(words)
    if isinstance(sys.stdout, TextIOWrapper):  # what the terminal has no letters for is escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if chosen.command in _SUPERVISED_COMMANDS:
            return _supervised(chosen, words)
        code = int(chosen.run(chosen))
        sys.stdout.flush()
        return code
    except DicomhouseError as error:
        if chosen.debug:
            raise
        # DuckDB points below the words that it means, and dbt speaks in several lines.
        several = isinstance(error, (QueryError, ModelsFailed))
        lines = error.told.split("\n") if several else [error.told]
        print("dicomhouse: " + "\n".join(map(printable, lines)), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output has seen enough
        _say_no_more()
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC or chosen.debug:
            raise
        _say_no_more()
        print(f"dicomhouse: cannot write the output: {error.strerror}.", file=sys.stderr)
        return StorageError.exit_code
    except (KeyboardInterrupt, RuntimeError) as error:
        if not _is_interruption(error) or chosen.debug:
            raise
        if chosen.command in _SUPERVISED_COMMANDS:
            sys.stdout.flush()
            os._exit(Interrupted.exit_code)  # libraries that are torn down while they work complain
        return Interrupted.exit_code


def _is_interruption(error: BaseException | None) -> bool:
    """Whether it is what becomes of Ctrl-C, for which DuckDB has a word of its own."""
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, RuntimeError) and "Query interrupted" in str(error)
    )


def _say_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _supervised(chosen: argparse.Namespace, words: Sequence[str]) -> int:
    if os.environ.pop(_SUPERVISED, None) is None:
        os.environ[_SUPERVISED] = "1"
        return supervise(["-m", "dicomhouse", *words])
    raise_on_sigterm()
    hold_lifeline()
    return int(chosen.run(chosen))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dicomhouse",
        description="Folders of DICOM files in, a tested warehouse of their tags out.",
    )
    parser.add_argument("--version", action="version", version=f"dicomhouse {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        sub.add_argument(
            "--warehouse", type=Path, default=default_warehouse(), metavar="DIR",
            help="the warehouse's folder (default: DICOMHOUSE_WAREHOUSE, or ./warehouse)",
        )  # fmt: skip
        sub.add_argument("--debug", action="store_true", help="show tracebacks of errors")
        return sub

    build = command("build", _build, "Read folders of DICOM files and publish a warehouse.")
    build.add_argument(
        "source", nargs="*",
        help="a folder, or NAME=PATH; none: the sources that the warehouse has, where they were. "
        "A source that is not named stays as it is",
    )  # fmt: skip
    build.add_argument(
        "--forget", action="append", default=[], metavar="NAME",
        help="take the files of a source out of the warehouse",
    )  # fmt: skip
    build.add_argument(
        "--allow-empty", action="store_true",
        help="believe that a source which had files has none any more",
    )  # fmt: skip
    build.add_argument(
        "--allow-shrink", action="store_true",
        help="believe that a source has lost more than a fifth of its files (and ten or more)",
    )  # fmt: skip
    demo = command("demo", _demo, "Build a warehouse from the studies that ship inside pydicom.")
    for sub in (build, demo):
        way = sub.add_mutually_exclusive_group()
        way.add_argument(
            "--flow", action="store_true",
            help="run the Prefect flow; on a private server where none is configured by "
            "PREFECT_API_URL or Prefect's profile (default: the flow where one is configured)",
        )  # fmt: skip
        way.add_argument(
            "--direct", action="store_true",
            help="run the same steps without Prefect (default: where no server is configured)",
        )  # fmt: skip
        sub.add_argument(
            "--jobs", type=int, metavar="N", help="worker processes (default: one a core)"
        )
        sub.add_argument(
            "--full-refresh", action="store_true",
            help="read every file of the sources again, whatever the published warehouse says",
        )  # fmt: skip
        sub.add_argument(
            "--retry", action="store_true",
            help="read again what could not be read in full, though it looks unchanged",
        )  # fmt: skip
        sub.add_argument(
            "--verify", action="store_true",
            help="read every header and compare, not only the files' sizes and times",
        )  # fmt: skip
        sub.add_argument(
            "--keep", type=int, default=2, metavar="N", help="generations to keep (default: 2)"
        )
        sub.add_argument(
            "--tolerance", action="append", default=[], metavar="RULE=NUMBER",
            help="another tolerance of a check for this run",
        )  # fmt: skip
    check = command("check", _check, "Show the findings; exit code 1 when one is an error.")
    check.add_argument(
        "--severity", type=_severity, action="append", metavar="SEVERITY",
        help="error, warning or information, or E, W or I",
    )  # fmt: skip
    check.add_argument("--rule", action="append", metavar="RULE")
    check.add_argument("--level", action="append", metavar="LEVEL")
    check.add_argument(
        "--privacy", action="store_true",
        help="count what may identify instead, by action and path, without a value",
    )  # fmt: skip
    diff = command("diff", _diff, "Show the elements that differ; exit code 0 even where some do.")
    diff.add_argument("a", nargs="?", help="a file, or a SOPInstanceUID of the warehouse")
    diff.add_argument("b", nargs="?", help="what to compare it with")
    diff.add_argument("--series", metavar="UID", help="what varies within a series instead")
    diff.add_argument(
        "--ignore", action="append", default=[], metavar="KEYWORD",
        help="an attribute to leave out, wherever it stands, with all inside it",
    )  # fmt: skip
    sql = command("sql", _sql, "Run one SELECT, or a named report.")
    sql.add_argument("query", nargs="?", help="the statement")
    sql.add_argument(
        "--report", nargs="?", const="", metavar="NAME",
        help="a question that is kept; without a name: a list of them",
    )  # fmt: skip
    sql.add_argument(
        "--param", action="append", default=[], metavar="KEY=VALUE",
        help="of the report; a statement of your own reads it by getvariable('KEY')",
    )  # fmt: skip
    sql.add_argument(
        "--allow-files", action="store_true",
        help="let the statement read files of this machine, as read_csv and read_parquet do; so "
        "may the views of a warehouse then, whoever made it",
    )  # fmt: skip
    tag = command("tag", _tag, "Tell what the standard and the warehouse say of a tag.")
    tag.add_argument("tag", help='PatientName, 0010,0010, 00100010, (0019,"CREATOR",0C), ...')
    tag.add_argument("--iod", action="append", metavar="IOD", help="only this one, as in ct-image")
    tag.set_defaults(warehouse=None)  # the standard is told without one
    volume = command("volume", _volume, "Put a series together as one array; write and show it.")
    volume.add_argument("series", help="a SeriesInstanceUID, a series_key, or a folder of files")
    volume.add_argument("--npy", type=Path, metavar="FILE", help="slices x rows x columns, NumPy's")
    volume.add_argument("--nifti", type=Path, metavar="FILE", help=".nii or .nii.gz")
    volume.add_argument("--png", type=Path, metavar="FILE", help="a montage of the slices")
    volume.add_argument("--planes", type=Path, metavar="FILE", help="the three mid planes, a PNG")
    volume.add_argument(
        "--gif", type=Path, metavar="FOLDER",
        help="three animations: top to bottom, left to right, front to back",
    )  # fmt: skip
    volume.add_argument("--webp", type=Path, metavar="FOLDER", help="the same as WebP")
    volume.add_argument(
        "--window", metavar="WINDOW",
        help="of pictures: tag (default where there is one), percentiles, abdomen, bone, brain, "
        "lung, mediastinum, soft-tissue, or CENTRE,WIDTH",
    )  # fmt: skip
    volume.add_argument("--size", type=_positive, metavar="N", help="pixels of a picture's side")
    volume.add_argument(
        "--frames", type=_positive, default=100, metavar="N",
        help="of an animation, at most (default: 100)",
    )  # fmt: skip
    volume.add_argument(
        "--speed", type=_positive, default=60, metavar="MS", help="of a frame (default: 60)"
    )
    for choice, text in (
        ("stack", "of several stacks, the number in series_geometry"),
        ("time", "of several images at each position, which one, from 1"),
        ("echo", "of several echoes, which one, from 1, the shortest first"),
    ):
        volume.add_argument(f"--{choice}", type=_positive, metavar="N", help=text)
    volume.add_argument("--force", action="store_true", help="stack what is no volume, too")
    volume.add_argument(
        "--mask-padding", action="store_true", help="NaN where PixelPaddingValue stands"
    )
    volume.add_argument("--jobs", type=_positive, default=2, metavar="N", help="worker processes")
    status = command("status", _status, "Show the last run and what it could not read.")
    status.add_argument(
        "--since", metavar="RUN", help="what changed since a run (its id, or its generation)"
    )
    report = command("report", _report, "Say where the HTML report lies, or copy it.")
    report.add_argument("--output", type=Path, metavar="FILE", help="write a copy there")
    for sub in (check, diff, sql, tag, status, report, volume):
        sub.add_argument("--generation", type=int, metavar="N", help="look back at generation N")
    for sub in (check, diff, sql, tag):
        sub.add_argument(
            "--format", choices=("table", "csv", "json", "parquet"), default="table",
            help="json: a line a row; csv: a text that a spreadsheet would take for a formula "
            "begins with an apostrophe",
        )  # fmt: skip
    return parser


def _build(chosen: argparse.Namespace) -> int:
    return _run(chosen, chosen.source)


def _demo(chosen: argparse.Namespace) -> int:
    pydicom = find_spec("pydicom")  # nothing is imported before a server is started
    (place,) = (pydicom and pydicom.submodule_search_locations) or [""]
    folder = Path(place, "data", "test_files")
    studies = folder / "dicomdirtests"
    if not studies.is_dir():
        raise UsageError(f"this pydicom has no test files in {folder}; install pydicom 3.")
    return _run(chosen, [str(studies), str(folder)])


def _run(chosen: argparse.Namespace, sources: Sequence[str]) -> int:
    from dicomhouse import orchestrator

    tolerances = {}
    for text in chosen.tolerance:
        rule, _, number = text.partition("=")
        try:
            tolerances[rule] = float(number)
        except ValueError:
            raise UsageError(f"--tolerance takes RULE=NUMBER, not {text}.") from None
    folder = leave_working_folder(resource("flows"))  # which has nothing but our own
    settings = Settings(
        sources=tuple(absolute_source(source, folder) for source in sources),
        warehouse=folder / chosen.warehouse,
        tolerances=tolerances,
        keep_generations=chosen.keep,
        forget=tuple(getattr(chosen, "forget", ())),
        full_refresh=chosen.full_refresh,
        retry=chosen.retry,
        verify=chosen.verify,
        allow_empty=getattr(chosen, "allow_empty", False),
        allow_shrink=getattr(chosen, "allow_shrink", False),
        **({} if chosen.jobs is None else {"jobs": chosen.jobs}),
    )
    ignored = orchestrator.settle_environment(folder)
    if chosen.flow or (not chosen.direct and orchestrator.is_configured()):
        if ignored:
            _say(f"these settings of Prefect's are set aside: {', '.join(ignored)}")
        record = _flow_run(settings)
    else:
        from dicomhouse.pipeline import build_direct

        record = build_direct(settings, _say)
    _summary(settings.warehouse, chosen.warehouse, record)
    return 0


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _flow_run(settings: Settings) -> dict[str, Any]:
    """Run the Prefect flow in this process, on the configured server or a private one."""
    from dicomhouse import orchestrator

    server = None
    if not orchestrator.is_configured():
        orchestrator.check_home()
        makes = "" if orchestrator.has_database() else " and makes its database, once"
        _say(f"a private Prefect server starts{makes}; --direct builds without one")
        server = orchestrator.Server()
        atexit.register(server.stop)  # when Prefect's threads have told it all
        os.environ |= server.environment | {"PREFECT_UI_URL": ""}  # there is none to be named
    gc.disable()  # thousands of modules come, and none of them goes
    from dicomhouse.pipeline import check_settings, check_sources

    check_settings(settings)  # wrong usage is told before the server answers
    check_sources(settings)
    from prefect.flows import load_flow_from_entrypoint

    os.environ[SERVED] = settings.served()  # parameters would stand in Prefect's database
    flow: Any = load_flow_from_entrypoint(f"{resource('flows', 'build.py')}:served")
    if server is not None:
        for name in _IMPORTED_LATER:
            with suppress(ImportError):
                import_module(name)
    gc.freeze()
    gc.enable()
    for logger in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(logger).addFilter(_without_expected_traceback)
    if server is None:
        _check_configured_server()
    else:
        server.wait_until_ready()
        server.watch(_give_up)
    record: dict[str, Any] = flow(
        full_refresh=settings.full_refresh, retry=settings.retry, verify=settings.verify
    )
    if server is not None:
        _remove_old_runs()
    return record


def _remove_old_runs() -> None:
    """Let a private server forget old runs, which one that serves does by itself."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterEndTime

    from dicomhouse.orchestrator import RUNS_ARE_KEPT

    before = datetime.now(UTC) - RUNS_ARE_KEPT
    old = FlowRunFilterEndTime.model_validate({"before_": before})
    chosen = FlowRunFilter(end_time=old)
    try:
        with get_client(sync_client=True) as client:
            for run in client.read_flow_runs(flow_run_filter=chosen, limit=100):
                client.delete_flow_run(run.id)
    except Exception as error:  # whatever it is: the warehouse is published
        _say(f"Prefect's old runs stay until another build: {type(error).__name__}")


def _check_configured_server() -> None:
    """Ask for its version, as the flow will, whose failure would be told in a hundred lines.

    Raises:
        ServerFailed: it does not answer, or refuses the login.
    """
    from httpx import HTTPError
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            client.raise_for_api_version_mismatch()
    except (HTTPError, RuntimeError) as error:
        why = str(error).partition(" - ")[0].rstrip(".")
        raise ServerFailed(
            f"Prefect, as configured: {why}. Start the server, mend PREFECT_API_URL or "
            "PREFECT_API_AUTH_STRING, or build with --direct."
        ) from error


def _give_up(error: ServerFailed) -> None:
    """End here and now: a flow whose server is gone asks it again for minutes.

    What was read is kept for the next run, as after any end.
    """
    _say(f"dicomhouse: {error}")
    os._exit(error.exit_code)


def _without_expected_traceback(record: logging.LogRecord) -> bool:
    """Log what a user may meet by its message alone, as the command line does."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, DicomhouseError) or _is_interruption(error):
        record.exc_info = None
    return True


def _summary(warehouse_folder: Path, named: Path, record: dict[str, Any]) -> None:
    import dicomhouse

    with dicomhouse.open(warehouse_folder) as warehouse:
        rows = warehouse.connection.execute(_statement("summary")).fetchall()
        worst = warehouse.connection.execute(_statement("worst_findings")).fetchall()
    files = ", ".join(f"{count:,} {status}" for status, count in record["files"].items())
    print(f"\nfiles      {files}")
    for name, count in rows:
        print(f"{name:<10} {count:,}")
    print("findings   " + ("none" if not worst else "most severe first"))
    for severity, rule, count, subjects in worst:
        print(f"           {_SEVERITIES[severity]:<12}{rule}: {count:,} of level {subjects}")
    place = "" if named == default_warehouse() else f" --warehouse {quote(printable(str(named)))}"
    print(f"warehouse  {printable(str(named))} (generation {record['generation']})")
    print("\nnext:")
    print(f"  dicomhouse check{place}")
    print(
        f"  dicomhouse sql{place} \"select * from patient_tags where state = 'constant' limit 20\""
    )


def _check(chosen: argparse.Namespace) -> int:
    if chosen.privacy:
        return _check_privacy(chosen)
    import dicomhouse
    from dicomhouse.warehouse.database import query

    with dicomhouse.open(chosen.warehouse, chosen.generation) as warehouse:
        known = query(warehouse.connection, _statement("known_rules"))
        _check_names("rule", chosen.rule or [], known.column("rule").to_pylist())
        _check_names("level", chosen.level or [], known.column("level").to_pylist())
        chosen_only = {
            "severities": chosen.severity or [],
            "rules": chosen.rule or [],
            "levels": chosen.level or [],
        }
        rows = query(warehouse.connection, _statement("findings"), chosen_only)
    if chosen.format != "table":
        write(rows.drop_columns(["first_file", "place"]), chosen.format)
    elif rows.num_rows:
        _write_findings(rows, shorten=not chosen.rule)
    else:
        print("no findings")
    return 1 if "E" in rows.column("severity").to_pylist() else 0


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("a number from 1 on is needed")
    return number


def _volume(chosen: argparse.Namespace) -> int:
    try:
        from dicomhouse.volumes import run
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed: pip install 'dicomhouse[pixels]' brings it."
        ) from None
    run(chosen, _say)
    return 0


def _check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"no {what} {name}; there are: {', '.join(sorted(set(known)))}.")


def _severity(word: str) -> str:
    """The letter of a severity, from the letter or the word."""
    for letter, name in _SEVERITIES.items():
        if word.lower() in (letter.lower(), name):
            return letter
    raise argparse.ArgumentTypeError(
        f"no severity {printable(word)}; there are: {', '.join(_SEVERITIES.values())}"
    )


def _write_findings(rows: Any, shorten: bool) -> None:
    """The findings for a reader: how many of each rule, then of one rule in one source the first
    few, and how many more."""
    import pyarrow.compute as pc

    counts = rows.group_by(["severity", "theme", "rule"], use_threads=False)
    write(counts.aggregate([([], "count_all")]).rename_columns(_COUNT_COLUMNS), "table")
    print()
    shown = rows.filter(pc.field("place") <= _FINDINGS_SHOWN) if shorten else rows
    write(shown.select(_FINDING_COLUMNS), "table")
    if hidden := rows.num_rows - shown.num_rows:
        print(
            f"\n{hidden:,} more: {_FINDINGS_SHOWN} are shown of each rule in a source; "
            "all with --rule RULE, or --format csv"
        )


def _diff(chosen: argparse.Namespace) -> int:
    from dicomhouse import diff

    ignored = diff.ignored_paths(chosen.ignore)
    if chosen.series is not None:
        if chosen.a is not None:
            raise UsageError("give either two files or instances, or --series UID.")
        with _opened(chosen) as warehouse:
            rows = diff.variation(warehouse, chosen.series, ignored)
    else:
        if chosen.b is None:
            raise UsageError("give two files or SOPInstanceUIDs, or --series UID.")
        rows = diff.difference(_side(chosen, chosen.a), _side(chosen, chosen.b), ignored)
    if chosen.format == "table" and not rows.num_rows:
        print("no difference")
    else:
        write(rows, chosen.format)
    return 0


def _side(chosen: argparse.Namespace, name: str) -> Any:
    """The elements of a file on disk, or of an instance of the warehouse."""
    from dicomhouse import diff

    if is_there(Path(name)):
        return diff.file_elements(Path(name))
    try:
        with _opened(chosen) as warehouse:
            return diff.instance_elements(warehouse, name)
    except WarehouseNotFound as error:
        raise UsageError(f"there is no file {name}, and {error}") from error


def _opened(chosen: argparse.Namespace) -> Warehouse:
    import dicomhouse

    return dicomhouse.open(chosen.warehouse, chosen.generation)


def _check_privacy(chosen: argparse.Namespace) -> int:
    import dicomhouse
    from dicomhouse.warehouse.database import query

    if chosen.severity or chosen.rule or chosen.level:
        raise UsageError("--privacy stands alone: --severity, --rule and --level choose findings.")
    with dicomhouse.open(chosen.warehouse, chosen.generation) as warehouse:
        rows = query(warehouse.connection, _statement("privacy"))
    if chosen.format == "table" and not rows.num_rows:
        print("nothing that may identify")
    else:
        write(rows, chosen.format)
    return 0


def _sql(chosen: argparse.Namespace) -> int:
    import dicomhouse
    from dicomhouse.warehouse.database import query

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
    statement, variables = chosen.query, dict[str, str | None](given)
    if chosen.report:
        asked = question(chosen.report)
        statement, variables = asked.sql, asked.variables(given)
    with dicomhouse.open(chosen.warehouse, chosen.generation, chosen.allow_files) as warehouse:
        rows = query(warehouse.connection, statement, variables)
    write(rows, chosen.format)
    if chosen.report and given and not rows.num_rows:
        _say(
            f"{chosen.report} has no row for {', '.join(given)} as given: is it in this warehouse?"
        )
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


def _tag(chosen: argparse.Namespace) -> int:
    import pyarrow as pa

    import dicomhouse
    from dicomhouse.tag_card import lines, tag_card

    folder = chosen.warehouse or default_warehouse()
    try:
        opened = dicomhouse.open(folder, chosen.generation)
    except WarehouseNotFound:
        if chosen.warehouse or chosen.generation:
            raise
        card = tag_card(chosen.tag, chosen.iod or [], None)
        _say(f"no warehouse in {folder}: this is what the standard says, --warehouse names one")
    else:
        with opened as warehouse:
            card = tag_card(chosen.tag, chosen.iod or [], warehouse.connection)
    if chosen.format == "table":
        for line in lines(card):
            print(line)
    else:
        write(pa.Table.from_pylist([card]), chosen.format)
    return 0


def _status(chosen: argparse.Namespace) -> int:
    import dicomhouse
    from dicomhouse.warehouse.database import query

    for failed in failures.noted(chosen.warehouse):
        print(printable(f"failed       {failed['finished_at']}: {failed['failure']}"))
    with dicomhouse.open(chosen.warehouse, chosen.generation) as warehouse:
        if chosen.since is not None:
            return _since(warehouse.connection, chosen.since)
        record = warehouse.generation.run()
        runs = query(warehouse.connection, _statement("last_runs"))
        quarantined = query(warehouse.connection, _statement("quarantined"))
    for name in ("run_id", "started_at", "finished_at", "images", "elements", "lake_bytes"):
        print(f"{name:<12} {printable(str(record[name]))}")
    for name in ("files", "seconds"):
        print(f"{name:<12} {printable(json.dumps(record[name]))}")
    print("\nlast runs:")
    write(runs, "table")
    if quarantined.num_rows:
        print("\nnot read in full:")
        write(quarantined, "table")
    return 0


def _since(connection: Any, run: str) -> int:
    from dicomhouse.warehouse.database import query

    asked = "select run_id, generation::varchar as generation from runs where generation > 0"
    known = query(connection, asked)
    if not any(run in row.values() for row in known.to_pylist()):
        told = ", ".join(map(str, known.column("run_id").to_pylist()))
        raise UsageError(f"no run {run}; there were: {told}.")
    drift = query(connection, _statement("since"), {"run": run})
    if drift.num_rows:
        write(drift, "table")
    else:
        print(f"nothing changed since run {run}")
    return 0


def _report(chosen: argparse.Namespace) -> int:
    import dicomhouse

    with dicomhouse.open(chosen.warehouse, chosen.generation) as warehouse:
        page = warehouse.generation.report / "index.html"
        if chosen.output is None:
            print(printable(str(page)))
            return 0
        try:
            with open_file(page, os.O_NOFOLLOW)[0] as file:
                content = file.read()
        except OSError as error:
            raise StorageError(f"cannot read {page}: {error.strerror}. Build again.") from error
    try:
        replace_file(chosen.output, content)
    except OSError as error:
        raise StorageError(f"cannot write {chosen.output}: {error.strerror}.") from error
    return 0


def _statement(name: str) -> str:
    """One of the questions that the commands themselves ask."""
    return resource("sql", "commands", f"{name}.sql").read_text()
