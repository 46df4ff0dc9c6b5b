"""`dicomhouse tag`: what the standard and the warehouse say of a tag."""

from __future__ import annotations

import argparse

from dicomhouse.cli.shared import add_format, add_generation, say
from dicomhouse.errors import WarehouseNotFound
from dicomhouse.output import write

HELP = "Tell what the standard and the warehouse say of a tag."
EXAMPLES = (
    ("tag SliceThickness", "by keyword"),
    ("tag 0018,0050 --iod ct-image", "by number, in one kind of object"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tag", help='PatientName, 0010,0010, 00100010, (0019,"CREATOR",0C), ...')
    parser.add_argument(
        "--iod", action="append", metavar="IOD", help="only this one, as in ct-image"
    )
    add_generation(parser)
    add_format(parser)


def run(chosen: argparse.Namespace) -> int:
    import pyarrow as pa

    import dicomhouse
    from dicomhouse.tag_card import lines, tag_card

    try:
        opened = dicomhouse.open(chosen.warehouse, chosen.generation)
    except WarehouseNotFound:
        if not chosen.is_default or chosen.generation:
            raise
        card = tag_card(chosen.tag, chosen.iod or [], None)
        say(
            f"no warehouse in {chosen.warehouse}: this is what the standard says, "
            "--warehouse names one"
        )
    else:
        with opened as warehouse:
            card = tag_card(chosen.tag, chosen.iod or [], warehouse.connection)
    if chosen.format == "table":
        for line in lines(card):
            print(line)
    else:
        write(pa.Table.from_pylist([card]), chosen.format)
    return 0
