"""Where the lake's files lie: hive partitions whose values are text from files, thus encoded."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

TABLES = ("files", "elements", "images")
VALUE_COUNTS = "_value_counts"
"""What the models need of each part beside its rows (`schema.VALUE_COUNTS`): a folder like those of
the tables that is none of them, and may change with any release."""
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
COLUMNS_PART = "0-columns.parquet"
"""An empty part with every column: globs always match, and the first file has the full schema."""

_CODE_STRING = re.compile(r"[A-Za-z0-9_ ]{1,16}")


def partition_value(modality: str | None) -> str | None:
    """The Modality a row is filed under; None for what is not a code string (PS3.5 6.2).

    The text itself stays in `elements`.
    """
    return modality if modality and _CODE_STRING.fullmatch(modality) else None


def source_folder(lake: Path, table: str, source: str) -> Path:
    return lake / table / f"source={quote(source, safe=' ')}"


def partition_folder(lake: Path, table: str, source: str, modality: str | None) -> Path:
    folder = source_folder(lake, table, source)
    if table == "files":
        return folder
    return folder / f"Modality={NULL_PARTITION if modality is None else quote(modality, safe=' ')}"


def written(lake: Path, source: str, name: str) -> list[str]:
    """The files of a part below `lake`, as they are found there."""
    found = []
    for table in (*TABLES, VALUE_COUNTS):
        folder = source_folder(lake, table, source)
        found += [folder / f"{name}.parquet", *folder.glob(f"*/{name}.parquet")]
    return [str(path.relative_to(lake)) for path in found if path.exists()]
