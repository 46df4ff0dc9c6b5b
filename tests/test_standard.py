"""The tables of the standard and the SQL over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from dicomhouse.standard import TABLES, build

Ask = Callable[[str], list[tuple[Any, ...]]]
SQL = Path(__file__).parents[1] / "sql" / "lake" / "standard.sql"


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Answers a query over the registered views."""
    with duckdb.connect() as connection:
        connection.execute(SQL.read_text().replace("{tables}", str(TABLES).replace("'", "''")))
        yield lambda query: connection.execute(query).fetchall()


class TestTables:
    def test_shipped_tables_are_what_the_installed_libraries_give(self) -> None:
        made = build.tables()
        assert set(made) == {path.stem for path in TABLES.iterdir()}
        for name, table in made.items():
            shipped = pq.read_table(TABLES / f"{name}.parquet")
            assert shipped.equals(table, check_metadata=True), (
                f"{name} is stale: run python -m dicomhouse.standard.build"
            )

    def test_writing_twice_gives_the_same_bytes(self, tmp_path: Path) -> None:
        first = build.write(tmp_path / "first")
        second = build.write(tmp_path / "second")
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]

    def test_the_files_stay_small(self) -> None:
        assert sum(path.stat().st_size for path in TABLES.iterdir()) < 1_000_000

    def test_every_page_belongs_to_a_module(self) -> None:
        pages = {line.split(",")[0] for line in build.PAGES.read_text().splitlines()[1:]}
        modules = set(pq.read_table(TABLES / "iod_modules.parquet")["module"].to_pylist())
        assert pages <= modules | {build.FUNCTIONAL_GROUPS}


class TestViews:
    def test_ct_series_number_is_type_2_of_the_series(self, ask: Ask) -> None:
        assert ask("""
            select module, usage, information_entity, attribute_type, tag, link_innolitics
            from standard.module_attributes
            where iod = 'ct-image' and path = 'SeriesNumber'
        """) == [
            (
                "general-series",
                "M",
                "Series",
                "2",
                "00200011",
                "https://dicom.innolitics.com/ciods/ct-image/general-series/00200011",
            )
        ]

    def test_ct_patient_id_belongs_to_the_patient(self, ask: Ask) -> None:
        assert ask("""
            select module, information_entity, attribute_type
            from standard.module_attributes
            where iod = 'ct-image' and path = 'PatientID'
        """) == [("patient", "Patient", "2")]

    def test_referenced_sop_class_uid_is_required_only_in_items(self, ask: Ask) -> None:
        types: dict[bool, list[str]] = dict(
            ask("""
                select path = keyword, list(distinct attribute_type)
                from standard.module_attributes
                where iod = 'ct-image' and keyword = 'ReferencedSOPClassUID'
                group by all
            """)
        )
        assert True not in types
        assert "1" in types[False]

    def test_nested_link_holds_the_tags_of_the_path(self, ask: Ask) -> None:
        assert ask("""
            select link_innolitics
            from standard.module_attributes
            where
                iod = 'ct-image'
                and path = 'ReferencedStudySequence.ReferencedSOPClassUID'
        """) == [("https://dicom.innolitics.com/ciods/ct-image/general-study/00081110/00081150",)]

    def test_modules_link_to_part_3(self, ask: Ask) -> None:
        pages: dict[str, str] = dict(
            ask("""
                select distinct module, link_standard
                from standard.iod_modules
                where iod in ('ct-image', 'enhanced-ct-image')
            """)
        )
        assert pages["image-plane"] == build.PART_3 + "sect_C.7.6.2.html#table_C.7-10"
        assert pages["enhanced-ct-image-multi-frame-functional-groups"] == (
            build.PART_3 + "sect_C.7.6.16.html#table_C.7.6.16-1"
        )

    def test_every_keyword_is_in_the_dictionary(self, ask: Ask) -> None:
        assert not ask("""
            select distinct unnest(split(path, '.')) as keyword from standard.module_attributes
            except
            select keyword from standard.attributes
        """)

    def test_types_and_usages_are_the_standards(self, ask: Ask) -> None:
        [(types, usages)] = ask("""
            select list_sort(list(distinct attribute_type)), list_sort(list(distinct usage))
            from standard.module_attributes
        """)
        assert types == ["1", "1C", "2", "2C", "3"]
        assert usages == ["C", "M", "U"]

    @pytest.mark.parametrize(
        ("view", "key"),
        [
            ("attributes", "tag"),
            ("sop_classes", "sop_class_uid"),
            ("iod_modules", "iod, module"),
            ("module_attributes", "iod, module, path"),
            ("iod_attributes", "sop_class_uid, module, path"),
        ],
    )
    def test_grain_is_unique(self, ask: Ask, view: str, key: str) -> None:
        [(rows, keys)] = ask(f"select count(*), count(distinct ({key})) from standard.{view}")
        assert rows == keys > 0

    def test_ct_image_storage_has_its_attributes(self, ask: Ask) -> None:
        assert ask("""
            select iod, module, usage, information_entity, keyword, attribute_type
            from standard.iod_attributes
            where sop_class_uid = '1.2.840.10008.5.1.4.1.1.2' and path = 'RescaleSlope'
        """) == [("ct-image", "ct-image", "M", "Image", "RescaleSlope", "1")]

    def test_repeating_groups_are_one_entry(self, ask: Ask) -> None:
        assert ask("""
            select tag, vr, is_retired from standard.attributes where keyword = 'OverlayData'
        """) == [("60xx3000", "OB or OW", False)]
