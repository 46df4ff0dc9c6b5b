"""`dicomhouse publish`: a generation on object storage, for readers anywhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from dicomhouse.cli.shared import add_generation, opened, positive, say

HELP = "Copy a generation to object storage."
EXAMPLES = (("publish s3://bucket/study", "then, anywhere: dicomhouse.open('s3://bucket/study')"),)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("address", help="s3://BUCKET/PREFIX, gs://... or az://...")
    parser.add_argument(
        "--keep", type=positive, default=2, metavar="N", help="copies to keep there (default: 2)"
    )
    add_generation(parser)


def run(chosen: argparse.Namespace) -> int:
    from tempfile import TemporaryDirectory

    from dicomhouse.lake.layout import TABLES
    from dicomhouse.store.remote import check_address, publish

    check_address(chosen.address)
    with opened(chosen) as warehouse, TemporaryDirectory(prefix="dicomhouse-") as folder:
        names = warehouse.tables["name"].to_list()
        warehouse.tables.write_parquet(Path(folder, "tables.parquet"))
        for name in names:
            if name not in TABLES:
                getattr(warehouse, name).sink_parquet(Path(folder, f"{name}.parquet"))
        copy = publish(warehouse.generation, Path(folder), chosen.address, chosen.keep, say)
    print(f"generation {copy.number} is at {copy.address}")
    return 0
