"""What the tags say: profiles, levels, privacy and the named reports, against pydicom's reading."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from commands import call_cli
from places import PYDICOM_DATA, ROOT
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

import dicomhouse
from dicomhouse.errors import UsageError
from dicomhouse.questions import question, questions
from dicomhouse.reader import Warehouse
from dicomhouse.resources import resource
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.standard import confidentiality
from dicomhouse.testing import build_cohort, write_image
from dicomhouse.testing.image import dataset_bytes
from dicomhouse.testing.raw import raw_element, with_element

REAL = PYDICOM_DATA / "test_files" / "dicomdirtests"
NUMBERS = ("DS", "IS", "FL", "FD", "US", "SS", "UL", "SL")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of an OSIC-like cohort, pydicom's real studies, and images with secrets."""
    root = tmp_path_factory.mktemp("tags")
    build_cohort(root / "osic", patients=5, slices=8)
    for number, sex in enumerate("FFM"):
        write_image(
            root / "secrets" / "one" / f"{number}.dcm",
            PatientID="SECRET-4711", PatientName="Musterfrau^Erika", PatientSex=sex,
            StudyDescription="thorax of ERIKA", StationName="CT99", InstanceNumber=number,
            PatientIdentityRemoved="YES", DeidentificationMethod="by hand",
            StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.4", StudyID="SECRET 4711",
            **({"ImageComments": "seen"} if number else {}),
        )  # fmt: skip
    write_image(
        root / "secrets" / "two" / "0.dcm",
        PatientID="", PatientName="", StudyInstanceUID="1.2.5", SeriesInstanceUID="1.2.5.6",
        PatientIdentityRemoved="YES", DeidentificationMethod="by machine",
    )  # fmt: skip
    write_left_behind(root / "left")
    sources = (*map(str, (root / "osic", REAL, root / "secrets", root / "left")),)
    build_direct(Settings(sources, root / "w"), lambda line: None)
    return root


def write_left_behind(source: Path) -> None:
    """What a de-identification may leave: an index of names, names and dates in other forms."""
    claim = {"PatientIdentityRemoved": "YES", "StudyDate": "20200131"}
    for patient, folder, method in [
        ("ANON1", "ANON1", "well"), ("ANON2", "ANON2", "but the index"),
        ("ANON4", "Roe/CT", "but the folder"),
    ]:  # fmt: skip
        write_image(
            source / folder / "1.dcm", PatientID=patient, PatientName="Roe^Rita",
            DeidentificationMethod=method, **claim,
        )  # fmt: skip
    person = Dataset()
    person.PersonName = "Roe^Rita"
    request = Dataset()
    request.PersonIdentificationCodeSequence = [person]
    write_image(
        source / "ANON3" / "1.dcm", DataElement(0x00090010, "LO", "ACME"),
        DataElement(0x00091001, "LO", "RITA ROE"), DataElement(0x00091002, "LO", "1956-02-03"),
        DataElement(0x00091003, "DT", "19560203101112"),
        DataElement(0x00091004, "UN", b"Roe^Rita"), PatientID="ANON3", PatientName="Roe^Rita",
        PatientBirthDate="19560203", StudyID="02/03/1956", RequestAttributesSequence=[request],
        SeriesDescription="CT of Ms Roe, Rita", DeidentificationMethod="hardly", **claim,
    )  # fmt: skip
    named = dataset_bytes(
        PatientID="ANON5", PatientName="Roth^Rut", StudyComments="Mrs Lind called",
        DeidentificationMethod="twice", **claim,
    )  # fmt: skip
    names = (raw_element(0x00101001, "PN", name) for name in (b"Lind^Lia ", b"Roth^Rut", b"ANON"))
    (source / "ANON5").mkdir()
    (source / "ANON5" / "1.dcm").write_bytes(with_element(named, 0x00101001, *names))
    record = Dataset()
    record.DirectoryRecordType = "PATIENT"
    record.PatientName, record.PatientID = "Doe^Dora", "77-1234"
    write_image(
        source / "ANON2" / "DICOMDIR", SOPClassUID="1.2.840.10008.1.3.10", SOPInstanceUID=None,
        Modality=None, PatientName=None, PatientID=None, DirectoryRecordSequence=[record],
    )  # fmt: skip


@pytest.fixture
def warehouse(folder: Path) -> Iterator[Warehouse]:
    with dicomhouse.open(folder / "w") as opened:
        yield opened


def rows(warehouse: Warehouse, query: str) -> list[dict[str, Any]]:
    return warehouse.sql(query).to_dicts()


def datasets(root: Path) -> list[Dataset]:
    """The images below a folder, as pydicom reads them."""
    found = []
    for path in sorted(root.rglob("*")):
        if path.is_file() and pydicom.misc.is_dicom(path):
            dataset = pydicom.dcmread(path)
            if "SOPInstanceUID" in dataset:
                found.append(dataset)
    return found


def value_of(dataset: Dataset, keyword: str) -> Any:
    """A value as it is compared: numbers as numbers, text without padding; None where empty."""
    if keyword not in dataset or dataset[keyword].VM == 0:
        return None
    element = dataset[keyword]
    values = element.value if element.VM > 1 else [element.value]
    if element.VR in NUMBERS:
        return tuple(float(value) for value in values)
    return "\\".join(str(value).strip() for value in values)


def plain_keywords(images: list[Dataset]) -> list[str]:
    return sorted(
        {
            e.keyword for image in images for e in image
            if e.keyword and e.VR not in ("SQ", "OB", "OW", "UN")
        }
    )  # fmt: skip


class TestProfile:
    @pytest.mark.parametrize("source", ["osic", "dicomdirtests"])
    def test_it_answers_what_the_notebook_prints_of_every_tag(
        self, folder: Path, warehouse: Warehouse, source: str
    ) -> None:
        images = datasets(folder / "osic" if source == "osic" else REAL)
        profile = {
            row["path"]: row
            for row in rows(warehouse, f"from tag_profile where source = '{source}'")
        }
        distribution = defaultdict(list)
        for row in rows(warehouse, f"from tag_values where source = '{source}'"):
            distribution[row["path"]].append(row)
        keywords = plain_keywords(images)
        assert len(keywords) > 40
        for keyword in keywords:
            values = [value_of(image, keyword) for image in images]
            counts = Counter(value for value in values if value is not None)
            told = profile[keyword]
            assert told["images"] == len(images)
            assert told["absent"] == sum(keyword not in image for image in images), keyword
            assert told["empty"] == values.count(None) - told["absent"], keyword
            assert told["present"] == sum(counts.values())
            assert told["distinct_values"] == len(counts), keyword
            assert told["percent_missing"] == pytest.approx(100 * values.count(None) / len(values))
            assert len(told["examples"] or []) == min(5, len(counts))
            assert (told["verdict"] == "always empty") == (not counts)
            useless = len(counts) == 1 and 2 * sum(counts.values()) >= len(images)
            assert (told["verdict"] == "constant") == useless, keyword
            assert sorted(row["images"] for row in distribution[keyword]) == sorted(counts.values())
            assert told["is_constant"] == (len(counts) == 1 and None not in values)
            if counts:
                (_, most) = counts.most_common(1)[0]
                assert told["commonest_share"] == pytest.approx(most / sum(counts.values()))
            numbers = [value for value in counts if isinstance(value, tuple)]
            if numbers:
                assert told["number_min"] == min(value[0] for value in numbers), keyword
                assert told["number_max"] == max(value[0] for value in numbers), keyword
                total = sum(value[0] * n for value, n in counts.items())
                assert told["number_mean"] == pytest.approx(total / sum(counts.values()))

    def test_verdicts_of_a_cohort_like_osic(self, warehouse: Warehouse) -> None:
        verdicts = {
            row["path"]: row["verdict"]
            for row in rows(warehouse, "from tag_profile where source = 'osic'")
        }
        expected = {
            "StudyID": "always empty", "PatientSex": "always empty",
            "DeidentificationMethod": "constant", "Modality": "constant",
            "PositionReferenceIndicator": "mostly missing", "SOPInstanceUID": "identifier",
            "PatientID": "constant per patient", "KVP": "constant per patient",
            "InstanceNumber": "varies by image", "SliceLocation": "varies by image",
        }  # fmt: skip
        assert {path: verdicts[path] for path in expected} == expected

    def test_modality_has_a_profile_of_its_own(self, warehouse: Warehouse) -> None:
        images = datasets(REAL)
        by_modality = defaultdict(list)
        for image in images:
            by_modality[image.Modality].append(image)
        assert len(by_modality) == 3
        told = rows(warehouse, "from tag_profile_by_modality where source = 'dicomdirtests'")
        profile = {(row["Modality"], row["path"]): row for row in told}
        for modality, some in by_modality.items():
            for keyword in plain_keywords(images):
                values = [value_of(image, keyword) for image in some]
                if not any(keyword in image for image in some):
                    assert (modality, keyword) not in profile
                    continue
                row = profile[modality, keyword]
                assert row["images"] == len(some)
                assert row["present"] == len(some) - values.count(None), keyword
                assert row["distinct_values"] == len(set(values) - {None}), keyword

    def test_only_modality_of_a_source_has_the_profile_of_the_source(
        self, warehouse: Warehouse
    ) -> None:
        both = rows(warehouse, """
            select count(*) as n, count(*) filter (Modality <> 'CT') as others from (
                from tag_profile_by_modality where source = 'osic'
            ) union all
            select count(*), 0 from tag_profile where source = 'osic'
        """)  # fmt: skip
        assert both[0] == both[1]
        assert both[0]["n"] > 40


class TestLevels:
    @pytest.mark.parametrize("source", ["osic", "dicomdirtests"])
    def test_states_of_patients_and_series_are_those_of_their_files(
        self, folder: Path, warehouse: Warehouse, source: str
    ) -> None:
        images = datasets(folder / "osic" if source == "osic" else REAL)
        keywords = plain_keywords(images)
        groups = {"PatientID": ("patient", "patient_tags"), "SeriesInstanceUID": ("series", "")}
        for parent, (entity, mart) in groups.items():
            entities = defaultdict(list)
            for image in images:
                entities[str(image[parent].value)].append(image)
            expected = {}
            for key, some in entities.items():
                for keyword in keywords:
                    if not any(keyword in image for image in some):
                        continue
                    values = [value_of(image, keyword) for image in some]
                    present = set(values) - {None}
                    expected[key, keyword] = (
                        "always_empty" if not present
                        else "varies" if len(present) > 1
                        else "constant_where_present" if None in values
                        else "constant"
                    )  # fmt: skip
            if entity == "patient":
                told = rows(warehouse, f"""
                    select distinct i.PatientID as id, t.path, t.state from {mart} t
                    join images i using (source, patient_key) where source = '{source}'
                """)  # fmt: skip
                assert {
                    (r["id"], r["path"]): r["state"] for r in told if r["path"] in keywords
                } == (expected)
            else:
                told = rows(warehouse, f"""
                    select distinct i.SeriesInstanceUID as id, t.path from image_tags t
                    join images i using (source, series_key) where source = '{source}'
                """)  # fmt: skip
                assert {(r["id"], r["path"]) for r in told if r["path"] in keywords} == {
                    key for key, state in expected.items() if state == "varies"
                }

    def test_range_of_numbers_is_that_of_numbers(self, warehouse: Warehouse) -> None:
        told = rows(warehouse, """
            select distinct path, value_min, value_max, number_min, number_max from image_tags
            where source = 'osic' and path in ('InstanceNumber', 'ImagePositionPatient')
            order by path
        """)  # fmt: skip
        assert told[0]["value_min"].count("\\") == 2
        assert told[-1] == {
            "path": "InstanceNumber", "value_min": None, "value_max": None,
            "number_min": 1, "number_max": 8,
        }  # fmt: skip

    def test_contradiction_leads_to_values_and_files(self, warehouse: Warehouse) -> None:
        (level,) = rows(warehouse, """
            from tag_levels where source = 'secrets' and path = 'PatientSex'
        """)  # fmt: skip
        assert (level["level"], level["standard_level"]) == ("image", "patient")
        assert level["contradicting_entities"] == 1
        told = rows(warehouse, """
            select level, value, images, example_file, is_standard_level from tag_contradictions
            where source = 'secrets' and path = 'PatientSex' order by rank
        """)  # fmt: skip
        assert [(r["level"], r["value"], r["images"]) for r in told] == [
            ("patient", "F", 2), ("patient", "M", 1),
        ]  # fmt: skip
        assert told[1]["example_file"] == "one/2.dcm"
        assert all(r["is_standard_level"] for r in told)

    def test_absent_in_part_is_a_state_and_no_contradiction(self, warehouse: Warehouse) -> None:
        (level,) = rows(warehouse, """
            from tag_levels where source = 'secrets' and path = 'ImageComments'
        """)  # fmt: skip
        assert (level["patients_varying"], level["patients_partly"]) == (0, 1)


class TestPrivacy:
    def test_values_of_the_profile_and_repeated_identifiers_are_found(
        self, warehouse: Warehouse
    ) -> None:
        found = {
            row["path"]: (row["value"], row["action"], row["identifiers"])
            for row in rows(warehouse, "from privacy where source = 'secrets'")
        }
        assert found["PatientName"] == ("Musterfrau^Erika", "Z", [])
        assert found["StationName"] == ("CT99", "X/Z/D", [])
        assert found["StudyDescription"] == ("thorax of ERIKA", "X", ["PatientName"])
        assert found["StudyID"] == ("SECRET 4711", "Z", ["PatientID"])
        assert found["StudyInstanceUID"][1] == "U"
        assert "Rows" not in found
        assert "Modality" not in found

    def test_what_was_left_behind_is_found(self, warehouse: Warehouse) -> None:
        found = {
            row["path"]: (row["identifiers"], row["is_whole_identifier"], row["images"])
            for row in rows(warehouse, """
                from privacy
                where source = 'left' and value not like 'ANON%' and value <> 'Lind^Lia'
            """)
        }  # fmt: skip
        person = "RequestAttributesSequence.PersonIdentificationCodeSequence.PersonName"
        assert found[person] == (["PatientName"], True, 1)
        assert found['(0009,"ACME",01)'] == (["PatientName"], True, 1)
        assert found['(0009,"ACME",04)'] == (["PatientName"], True, 1)
        assert found["SeriesDescription"] == (["PatientName"], False, 1)
        for path in ('(0009,"ACME",02)', '(0009,"ACME",03)', "StudyID"):
            assert found[path] == (["PatientBirthDate"], True, 1)
        assert found["folder"] == (["PatientName"], False, 1)
        assert found["DirectoryRecordSequence.PatientName"] == ([], None, 0)
        assert found["OtherPatientNames"] == (["PatientName"], True, 1)  # overridden
        assert found["StudyComments"] == (["OtherPatientNames"], False, 1)  # by its name alone
        verdicts = {
            row["DeidentificationMethod"]: (row["verdict"], row["identifiers_beside"])
            for row in rows(warehouse, "from privacy_claims where source = 'left'")
        }
        # A folder may bear the PatientID, and no index lies above.
        assert verdicts["well"] == ("nothing against it", 0)
        assert verdicts["but the index"] == ("contradicted", 2)
        assert verdicts["but the folder"] == ("contradicted", 0)

    def test_private_elements_are_all_found(self, warehouse: Warehouse) -> None:
        (counts,) = rows(warehouse, """
            select
                (select count(distinct path) from elements where source = 'dicomdirtests'
                 and not structural and path like '(%' and vm > 0 and vr <> 'SQ'
                 and patient_key is not null) as elements,
                (select count(distinct path) from privacy where source = 'dicomdirtests'
                 and is_private) as told
        """)  # fmt: skip
        assert counts["told"] == counts["elements"] > 0

    def test_claims_are_held_against_what_was_found(self, warehouse: Warehouse) -> None:
        told = {
            row["DeidentificationMethod"]: (row["verdict"], row["images"])
            for row in rows(warehouse, "from privacy_claims where source in ('secrets', 'osic')")
        }
        assert told["by hand"] == ("contradicted", 3)
        assert told["by machine"][1] == 1
        assert told["Table;"][1] == 40

    def test_command_counts_without_a_value(self, folder: Path, warehouse: Warehouse) -> None:
        done = call_cli("check", "--privacy", "--warehouse", str(folder / "w"))
        assert done.returncode == 0, done.stderr
        assert "PatientName" in done.stdout
        assert "DirectoryRecordSequence.PatientName" in done.stdout
        for row in rows(warehouse, "from privacy where source in ('secrets', 'left')"):
            if len(row["value"]) > 3:
                assert row["value"] not in done.stdout
        refused = call_cli("check", "--privacy", "--rule", "x", "--warehouse", str(folder / "w"))
        assert refused.returncode == 2

    def test_seed_is_what_the_command_makes(self) -> None:
        pytest.importorskip("dicomanonymizer")
        with resource("dbt", "seeds", "confidentiality_profile.csv").open(newline="") as file:
            seed = [tuple(row.values()) for row in csv.DictReader(file)]
        assert seed == confidentiality.rows()
        actions = {keyword: action for _, keyword, action in seed}
        known = {
            "PatientName": "Z", "PatientBirthDate": "Z", "AccessionNumber": "Z",
            "StudyInstanceUID": "U", "InstitutionName": "X/Z/D", "OtherPatientIDs": "X",
            "OverlayData": "X",
        }  # fmt: skip
        assert {keyword: actions[keyword] for keyword in known} == known
        assert ("50xxxxxx", "", "X") in seed

    def test_seed_of_identifiers_names_attributes(self) -> None:
        with resource("dbt", "seeds", "identifiers.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                assert pydicom.datadict.tag_for_keyword(row["keyword"]), row


class TestReports:
    def ask(self, warehouse: Warehouse, name: str, **given: str) -> list[dict[str, Any]]:
        from dicomhouse.warehouse.database import query

        asked = question(name)
        rows: list[dict[str, Any]] = query(
            warehouse.connection, asked.sql, asked.variables(given)
        ).to_pylist()
        return rows

    def test_every_report_says_what_it_answers_and_has_rows(self, warehouse: Warehouse) -> None:
        for asked in questions():
            assert asked.text.endswith("."), asked.name
            given = {"patient": "77654033"} if asked.name == "patient_modules" else {}
            assert self.ask(warehouse, asked.name, **given), asked.name

    def test_source_narrows_every_report_that_takes_it(self, warehouse: Warehouse) -> None:
        for asked in questions():
            if "source" in {parameter.name for parameter in asked.parameters}:
                given = {"patient": "77654033"} if asked.name == "patient_modules" else {}
                some = self.ask(warehouse, asked.name, source="dicomdirtests", **given)
                assert {row["source"] for row in some} == {"dicomdirtests"}, asked.name

    def test_modules_of_a_patient_in_the_order_of_a_case_study(self, warehouse: Warehouse) -> None:
        image = datasets(REAL / "77654033")[0]
        told = self.ask(warehouse, "patient_modules", patient=str(image.PatientID))
        order = list(dict.fromkeys(row["module"] for row in told))
        known = [
            "patient", "general-study", "general-series", "general-image", "ct-image",
            "image-pixel", "image-plane", "voi-lut", "sop-common", "frame-of-reference",
            "general-equipment",
        ]  # fmt: skip
        assert [module for module in order if module in known] == known
        paths = [row["path"] for row in told]
        assert len(paths) == len(set(paths))
        by_path = {row["path"]: row for row in told}
        assert by_path["PatientName"]["value"] == str(image.PatientName)
        assert by_path["BitsAllocated"]["module"] == "image-pixel"
        assert by_path["KVP"]["module"] == "ct-image"
        assert by_path["SOPInstanceUID"]["state"] == "varies"
        images = [i for i in datasets(REAL) if i.PatientID == image.PatientID]
        modalities = Counter(i.Modality for i in images)
        assert by_path["Modality"]["commonest_counts"] == [
            f"{name}: {n}" for name, n in sorted(modalities.items(), key=lambda m: (-m[1], m[0]))
        ]

    def test_a_cohort_like_osic_has_one_series_per_patient(self, warehouse: Warehouse) -> None:
        relations = [row["relation"] for row in self.ask(warehouse, "uid_counts", source="osic")]
        assert "one series per patient" in relations
        assert "8 images per series" in relations
        (use,) = self.ask(warehouse, "frame_of_reference", source="osic")
        assert (use["use"], use["frames_of_reference"], use["images"]) == (
            "one series alone", 5, 40,
        )  # fmt: skip
        missing = {row["path"] for row in self.ask(warehouse, "missing_required", source="osic")}
        assert {"SeriesNumber", "StudyDate", "AccessionNumber"} <= missing
        assert "ReferencedSOPClassUID" not in missing
        bits = self.ask(warehouse, "bits", source="osic")
        assert {(row["BitsStored"], row["HighBit"]) for row in bits} == {(12, 11), (16, 15)}
        types = {row["RescaleType"] for row in self.ask(warehouse, "rescale_types", source="osic")}
        assert types == {"HU", "US"}
        useless = {row["path"] for row in self.ask(warehouse, "useless_tags", source="osic")}
        assert {"PatientSex", "DeidentificationMethod"} <= useless
        assert not {"PatientID", "SliceLocation"} & useless
        scanners = self.ask(warehouse, "scanners_and_protocols", source="osic")
        assert sum(row["images"] for row in scanners) == 40

    def test_parameters_are_checked(self) -> None:
        with pytest.raises(UsageError, match="needs --param patient"):
            question("patient_modules").variables({})
        with pytest.raises(UsageError, match="it takes: source"):
            question("bits").variables({"sauce": "x"})
        with pytest.raises(UsageError, match="useless_tags"):
            question("nothing")

    def test_list_of_reports_needs_no_warehouse(self, tmp_path: Path) -> None:
        done = call_cli("sql", "--report", "--format", "json", "--warehouse", str(tmp_path))
        listed = [json.loads(line) for line in done.stdout.splitlines()]
        assert [row["report"] for row in listed] == [asked.name for asked in questions()]
        assert all(row["answers"] for row in listed)


def test_bench_of_models_measures_a_small_cohort() -> None:
    done = subprocess.run(
        [sys.executable, "bench/models.py", "--images", "60", "--jobs", "1"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "models: " in done.stdout
    assert re.search("  seconds by kind: .*model [0-9.]+", done.stdout)
