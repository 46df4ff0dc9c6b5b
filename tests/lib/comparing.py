"""Warehouses compared, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dicomhouse
from dicomhouse.reader import Warehouse

_OF_THE_RUN = {
    "files": " exclude (run_id)",
    "findings": " exclude (first_run_id, state)",
}


def _rows(warehouse: Warehouse, query: str) -> list[dict[str, Any]]:
    return warehouse.sql(query).to_dicts()


def assert_equal_warehouses(one: Path, two: Path) -> None:
    """Every mart row by row, but for what names the run itself."""
    with dicomhouse.open(one) as a, dicomhouse.open(two) as b:
        tables = [
            row["table_name"]
            for row in _rows(a, "from information_schema.tables where table_schema = 'main'")
        ]
        assert {"patient_tags", "image_tags", "tag_levels", "series_checks"} <= set(tables)
        for table in set(tables) - {"runs", "run_changes"}:  # how it came to be may differ
            hidden = _OF_THE_RUN.get(table, "")
            query = f"select t::varchar as row from (select *{hidden} from {table}) t order by all"
            assert a.sql(query).equals(b.sql(query)), table
