"""Makes dbt's seed of the basic confidentiality profile (PS3.15 table E.1-1) from dicom-anonymizer.

`python -m dicomhouse.standard.confidentiality` reads the table that dicom-anonymizer ships as lists
of tags, one a kind of action, and writes `dbt/seeds/confidentiality_profile.csv`; it needs the dev
extra. Private attributes, which the profile removes as well, are not rows: no tag stands for them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

from dicomhouse.resources import resource

EDITION = "2026c"
SEED = resource("dbt", "seeds", "confidentiality_profile.csv")

ACTIONS = {
    "D_TAGS": "D",
    "Z_TAGS": "Z",
    "X_TAGS": "X",
    "U_TAGS": "U",
    "Z_D_TAGS": "Z/D",
    "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D",
    "X_Z_D_TAGS": "X/Z/D",
    "X_Z_U_STAR_TAGS": "X/Z/U*",
}


def rows() -> list[tuple[str, str, str]]:
    """Tag, keyword and action of each attribute, sorted; `x` in a tag stands for any digit."""
    return sorted(_rows())


def write(seed: Path) -> None:
    with seed.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("tag", "keyword", "action"))
        writer.writerows(rows())


def _rows() -> Iterator[tuple[str, str, str]]:
    folder = "dicomanonymizer.dicom_anonymization_databases"
    table = import_module(f"{folder}.dicomfields_{EDITION}")
    for name, action in ACTIONS.items():
        for entry in getattr(table, name):
            tag = _pattern(*entry)
            yield tag, _keyword(tag), action


def _pattern(group: int, element: int, group_mask: int = 0xFFFF, element_mask: int = 0xFFFF) -> str:
    """A tag as `GGGGEEEE`, with `x` where its mask leaves a digit open."""
    digits = f"{group:04X}{element:04X}"
    masks = f"{group_mask:04X}{element_mask:04X}"
    return "".join("x" if mask == "0" else digit for digit, mask in zip(digits, masks, strict=True))


def _keyword(tag: str) -> str:
    """The dictionary's keyword; empty where a pattern stands for several attributes."""
    if tag in RepeatersDictionary:
        return str(RepeatersDictionary[tag][4])
    return "" if "x" in tag else str(DicomDictionary.get(int(tag, 16), [""])[-1])


if __name__ == "__main__":
    write(SEED)
    print(f"{SEED.name}: {len(rows())} attributes, edition {EDITION}")
