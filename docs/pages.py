"""Lay out the pages of the site (`mkdocs.yml`): those of the repository, and those made from code.

The tutorial is run, and the tables are described, on the warehouse that it builds.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
from nbclient import NotebookClient
from nbconvert import HTMLExporter

import dicomhouse
from dicomhouse.cli.commands import COMMANDS, parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
NOTEBOOK = ROOT / "examples/osic_study/osic_study.py"
FROM_THE_NETWORK = (
    "jquery_url",
    "mathjax_url",
    "mermaid_js_url",
    "require_js_url",
    "widget_renderer_url",
)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("target", type=Path, help="the folder of the pages; it is made anew")
    target = words.parse_args().target
    shutil.rmtree(target, ignore_errors=True)
    (target / "reference").mkdir(parents=True)
    for name in PAGES:
        shutil.copy(ROOT / name, target)
    shutil.copytree(ROOT / "docs", target / "docs", ignore=shutil.ignore_patterns("*.py", "__*"))
    tutorial = target / "docs/tutorial.md"
    link = "[`tutorial.html`](../tutorial.html)"  # which only the site has
    tutorial.write_text(tutorial.read_text().replace("`tutorial.html`", link))
    with TemporaryDirectory() as folder:
        (target / "tutorial.html").write_text(run_notebook(Path(folder)), encoding="utf-8")
        text = "\n".join(describe_tables(Path(folder, "warehouse")))
    (target / "reference/columns.md").write_text(text, encoding="utf-8")
    text = "\n".join(describe_commands())
    (target / "reference/commands.md").write_text(text, encoding="utf-8")


def run_notebook(folder: Path) -> str:
    """The notebook as an HTML page that needs no other, run in a folder of its own."""
    notebook = jupytext.read(NOTEBOOK)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    notebook.metadata["title"] = "The tags of a CT study"
    exporter = HTMLExporter(**dict.fromkeys(FROM_THE_NETWORK, ""))
    html, _ = exporter.from_notebook_node(notebook)
    return str(html)


def describe_tables(warehouse: Path) -> Iterator[str]:
    """Each table and its columns, as comments of the DuckDB file have them."""
    yield "# Columns\n"
    yield "Of the tables in the schema `main`, as every warehouse has them. `images` has one more"
    yield "for each top-level attribute that the files hold.\n"
    with dicomhouse.open(warehouse) as opened:
        for table in opened.tables.to_dicts():
            yield f"## {table['name']}\n\n{table['description']}\n"
            yield "| column | type | holds |\n|---|---|---|"
            for name, kind, text in opened.columns(table["name"]).rows():
                if text is None or not text.startswith(f"{name} ("):  # the data's own
                    yield f"| `{name}` | `{kind}` | {(text or '').replace('|', '&#124;')} |"
            yield ""


def describe_commands() -> Iterator[str]:
    """What `--help` says of each command."""
    os.environ["COLUMNS"] = "96"
    chosen = parser()
    yield "# Options of the commands\n"
    yield "What `--help` says; [all at a glance](../docs/commands.md), with the exit codes.\n"
    for action in chosen._subparsers._group_actions:  # type: ignore[union-attr]
        for name in COMMANDS:
            text = action.choices[name].format_help()  # type: ignore[call-overload, index]
            yield f"## {name}\n\n```text\n{text.rstrip()}\n```\n"


if __name__ == "__main__":
    main()
