"""The tables of the standard, the SQL over them, and the spellings of a tag."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

from dicomhouse.errors import UsageError
from dicomhouse.standard import TABLES, build
from dicomhouse.standard.tags import PrivateTag, parse_tag

Ask = Callable[[str], list[tuple[Any, ...]]]
SQL = ROOT / "sql" / "standard.sql"


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
            ("private_attributes", "private_creator, tag"),
            ("dicom_tags", "path"),
            ("sop_classes", "sop_class_uid"),
            ("iod_modules", "iod, module"),
            ("functional_groups", "iod, sequence"),
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

    def test_links_are_spelled_as_the_browser_does(self, ask: Ask) -> None:
        # Its slugs are lower case, spaces and slashes as hyphens, without brackets, commas and
        # apostrophes; a functional group's module bears the name of its IOD.
        assert not ask("""
            select distinct link_innolitics from standard.module_attributes
            where not regexp_full_match(
                link_innolitics,
                'https://dicom.innolitics.com/ciods/[a-z0-9-]+/[a-z0-9-]+(/[0-9a-fx]{8})+'
            )
        """)
        assert ask("""
            select link_innolitics from standard.module_attributes
            where iod = 'enhanced-ct-image'
                and path = 'SharedFunctionalGroupsSequence.PixelMeasuresSequence.PixelSpacing'
        """) == [(
            "https://dicom.innolitics.com/ciods/enhanced-ct-image/"
            "enhanced-ct-image-multi-frame-functional-groups/52009229/00289110/00280030",
        )]  # fmt: skip

    def test_modules_without_attributes_are_the_known_newer_ones(self, ask: Ask) -> None:
        [(modules,)] = ask("""
            select list_sort(list(distinct module)) from standard.iod_modules
            where module not in (select module from standard.modules)
        """)
        assert len(modules) == 9
        assert all(re.search("waveform|montage|current-frame", module) for module in modules)

    def test_private_attributes_have_the_paths_of_the_lake(self, ask: Ask) -> None:
        assert ask("""
            select path, tag, name, vr, vm, keyword from standard.dicom_tags
            where private_creator = 'SIEMENS MR HEADER' and tag = '0019xx0C'
        """) == [('(0019,"SIEMENS MR HEADER",0C)', "0019xx0C", "B_value", "IS", "1", None)]

    def test_attribute_is_told_with_its_dictionary_entry(self, ask: Ask) -> None:
        assert ask("""
            select name, vr, vm, is_retired from standard.module_attributes
            where iod = 'ct-image' and path = 'PixelSpacing'
        """) == [("Pixel Spacing", "DS", "2", False)]

    def test_functional_groups_are_those_of_their_iods(self, ask: Ask) -> None:
        assert not ask("""
            select functional_groups.iod, sequence from standard.functional_groups
            anti join standard.module_attributes
                on functional_groups.iod = module_attributes.iod
                and 'PerFrameFunctionalGroupsSequence.' || sequence = path
                and functional_groups.attribute_type = module_attributes.attribute_type
        """)
        assert ask("""
            select sequence, image_types from standard.functional_groups
            where iod = 'segmentation' or (iod = 'enhanced-mr-image' and sequence like 'MREcho%')
            order by sequence
        """) == [
            ("FrameContentSequence", None), ("MREchoSequence", ["ORIGINAL", "MIXED"]),
            ("SegmentIdentificationSequence", None),
        ]  # fmt: skip

    def test_file_meta_information_has_its_types(self, ask: Ask) -> None:
        assert ask("""
            select count(*) filter (attribute_type = '1'), count(*), bool_and(tag like '0002%')
            from standard.modules where module = 'file-meta-information'
        """) == [(6, 15, True)]

    def test_repeating_groups_are_one_entry(self, ask: Ask) -> None:
        assert ask("""
            select tag, vr, is_retired from standard.attributes where keyword = 'OverlayData'
        """) == [("60xx3000", "OB or OW", False)]


class TestParseTag:
    @pytest.mark.parametrize(
        "text",
        [
            "PatientName",
            "patientname",
            "Patient's Name",
            "Patient’s Name",
            "patients name",
            "0010,0010",
            "0010, 0010",
            "(0010,0010)",
            "( 0010 , 0010 )",
            "00100010",
            "0x00100010",
            "0X100010",
            "1048592",
            "  PatientName\n",
        ],
    )
    def test_every_spelling_of_patient_name(self, text: str) -> None:
        assert parse_tag(text) == 0x00100010

    def test_eight_digits_are_hexadecimal_and_ten_are_decimal(self) -> None:
        assert parse_tag("16777216") == 0x16777216
        assert parse_tag("2145386512") == 0x7FE00010

    def test_letters_of_hexadecimal_in_both_cases(self) -> None:
        assert parse_tag("7fe00010") == parse_tag("7FE0,0010") == 0x7FE00010

    def test_repeating_attribute_is_its_first_tag(self) -> None:
        assert parse_tag("OverlayData") == 0x60003000

    def test_no_name_reads_as_a_number(self, ask: Ask) -> None:
        named = ask("""
            select keyword, name, tag from standard.attributes where keyword is not null
        """)
        for keyword, name, tag in named:
            number = int(tag.replace("x", "0"), 16)
            assert parse_tag(keyword) == parse_tag(name) == number

    @pytest.mark.parametrize(
        ("text", "tag"),
        [
            ('(0019,"SIEMENS MR HEADER",0C)', PrivateTag(0x19, "SIEMENS MR HEADER", 0x0C)),
            ('(0019, "SIEMENS MR HEADER", 0c)', PrivateTag(0x19, "SIEMENS MR HEADER", 0x0C)),
            ('(0019,"SIEMENS MR HEADER")', PrivateTag(0x19, "SIEMENS MR HEADER", None)),
            ('(0009,"a ""quoted"" one",01)', PrivateTag(0x09, 'a "quoted" one', 1)),
            ("(0019,?,0C)", PrivateTag(0x19, None, 0x0C)),
            ("(0019,?)", PrivateTag(0x19, None, None)),
            ("0019,xx0C,SIEMENS MR HEADER", PrivateTag(0x19, "SIEMENS MR HEADER", 0x0C)),
            ('(2007,20b9,"Philips 017")', PrivateTag(0x2007, "Philips 017", 0xB9)),
            ("0019,SIEMENS MR HEADER,0C", PrivateTag(0x19, "SIEMENS MR HEADER", 0x0C)),
            ("0013[CTP]10", PrivateTag(0x13, "CTP", 0x10)),
        ],
    )
    def test_private_forms(self, text: str, tag: PrivateTag) -> None:
        assert parse_tag(text) == tag
        assert parse_tag(str(tag)) == tag

    @pytest.mark.parametrize(
        ("text", "keyword"),
        [
            ("Patient Name", "PatientName"),
            ("PatientNmae", "PatientName"),
            ("slice thicknes", "SliceThickness"),
            ("Slice", "SliceVector, SliceLocation, SliceThickness"),
            ("Kernel", "MakerNote, ConvolutionKernel"),
        ],
    )
    def test_unknown_name_is_answered_with_the_nearest(self, text: str, keyword: str) -> None:
        with pytest.raises(UsageError, match=rf"nearest keywords are {keyword}\b"):
            parse_tag(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "0010",
            "0010,001",
            "(0010,0010",
            "0x",
            "0x001000100",
            "4294967296",
            "-1",
            "١٠٤٨٥٩٢",
            '(0018,"CREATOR",0C)',
            '(0019,"",0C)',
            "x" * 1_000_000,
            "\ud800",
        ],
    )
    def test_what_is_no_tag_is_a_usage_error(self, text: str) -> None:
        with pytest.raises(UsageError) as error:
            parse_tag(text)
        assert len(str(error.value)) < 400

    @given(st.text() | st.from_regex(r"\(?[0-9a-fx]*,?\s*[?\"0-9A-F]*,?[0-9a-f]*\)?"))
    def test_any_text_is_a_tag_or_a_usage_error(self, text: str) -> None:
        try:
            tag = parse_tag(text)
        except UsageError:
            return
        assert isinstance(tag, PrivateTag) or 0 <= tag <= 0xFFFFFFFF

    @given(st.integers(0, 0xFFFFFFFF))
    def test_written_tags_are_read_back(self, tag: int) -> None:
        group, element = f"{tag >> 16:04X}", f"{tag & 0xFFFF:04x}"
        for text in (group + element, f"{group},{element}", f"({group},{element})", hex(tag)):
            assert parse_tag(text) == tag

    @given(
        st.integers(0, 0x7FFF).map(lambda half: 2 * half + 1),
        st.text(min_size=1).filter(lambda creator: creator == creator.strip(" \0") != ""),
        st.none() | st.integers(0, 0xFF),
    )
    def test_private_tags_are_read_back(
        self, group: int, creator: str, element: int | None
    ) -> None:
        tag = PrivateTag(group, creator, element)
        assert parse_tag(str(tag)) == tag

    def test_reading_a_name_imports_no_pydicom(self) -> None:
        program = (
            "import sys; from dicomhouse.standard.tags import parse_tag; parse_tag('Rows');"
            "sys.exit('pydicom' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", program], check=True)
