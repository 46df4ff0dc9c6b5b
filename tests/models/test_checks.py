"""Rules about identity, entities, homogeneity and numbering: a case that just fails, and one
that just passes. Every case is a patient folder of one source, and nothing else may be found."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import call_cli
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    MRImageStorage,
    ParametricMapStorage,
    PositronEmissionTomographyImageStorage,
    RTStructureSetStorage,
)

import dicomhouse
from dicomhouse import cli
from dicomhouse.reader import Warehouse
from dicomhouse.resources import resource
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.testing import write_enhanced, write_image
from dicomhouse.testing.raw import data_set_at, raw_element, split, with_element
from dicomhouse.warehouse.database import query

Case = Callable[[Path], None]
Findings = dict[str, str]

CASES: dict[str, tuple[Case, Findings]] = {}


def case(name: str, writer: Case, **rules: str) -> None:
    """Name a case with the rules that must fail in it, each with its severity."""
    assert name not in CASES
    CASES[name] = (writer, rules)


def series(count: int = 4, odd: dict[str, Any] | None = None, **shared: Any) -> Case:
    """A writer of `count` slices 1 mm apart that share overrides; the first has `odd` ones too."""

    def write(folder: Path) -> None:
        for number in range(1, count + 1):
            overrides = {"PatientID": folder.name, "InstanceNumber": number, **shared}
            if number == 1:
                overrides |= odd or {}
            write_image(folder / f"{number}.dcm", **overrides)

    return write


def images(*each: dict[str, Any]) -> Case:
    """A writer of one image for each of these overrides."""

    def write(folder: Path) -> None:
        for number, overrides in enumerate(each, 1):
            own = {"PatientID": folder.name, "InstanceNumber": number} | overrides
            write_image(folder / f"{number}.dcm", **own)

    return write


def at(z: int, **overrides: Any) -> dict[str, Any]:
    return {"ImagePositionPatient": ["0", "0", str(z)], **overrides}


def reference(uid: str, sop_class: str = CTImageStorage) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = uid
    return item


def code(value: str) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID = value
    return item


case("clean", series())

# Files

PIXELS = {"Rows": 3, "Columns": 3, "BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
case("pixels short", series(PixelData=bytes(510)), pixel_length_mismatch="E")
case("pixels long", series(PixelData=bytes(514)), pixel_length_mismatch="W")
case("pixels of nine bits short", series(1, PixelData=b"\0", **PIXELS))  # padded to two bytes
YBR = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "YBR_FULL_422"}
BYTES = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
case("pixels padded by a byte", series(1, Rows=3, Columns=3, PixelData=bytes(10), **BYTES))
case("pixels of two samples", series(PixelData=bytes(512), **YBR, **BYTES))
case(
    "pixels of two samples, retired",
    series(PixelData=bytes(512), **YBR | {"PhotometricInterpretation": "YBR_PARTIAL_422"}, **BYTES),
)
case("pixels of less than two samples", series(PixelData=bytes(510), **YBR, **BYTES),
     pixel_length_mismatch="E")  # fmt: skip
case("pixels absent from one", series(odd={"PixelData": None}), pixel_data_missing="W")
case("map without pixels", series(1, SOPClassUID=ParametricMapStorage, PixelData=None),
     pixel_data_missing="W")  # fmt: skip
case("pixels elsewhere", series(PixelData=None, PixelDataProviderURL="http://example.org/1"))
case("element of no number", series(WindowCenter=b"abc "), element_invalid="W")
case("element too long", series(TableHeight=b"1.0000000000000000"), element_form="I")
case("element just long enough", series(DataCollectionDiameter=b"1.00000000000000"))
case("meta of another instance", series(odd={"MediaStorageSOPInstanceUID": "1.2.3.4"}),
     meta_mismatch="W")  # fmt: skip
case("meta of another class", series(odd={"MediaStorageSOPClassUID": MRImageStorage}),
     meta_mismatch="W")  # fmt: skip


def rewritten(change: Callable[[bytes], bytes], **overrides: Any) -> Case:
    """A writer of four slices, of which the first one's bytes are changed."""

    def write(folder: Path) -> None:
        series(**overrides)(folder)
        first = folder / "1.dcm"
        first.write_bytes(change(first.read_bytes()))

    return write


def named_twice(whole: bytes) -> bytes:
    name = dict(split(whole))[0x00181000]
    return with_element(whole, 0x00181000, name, name)


case("element twice", rewritten(named_twice, DeviceSerialNumber="1"), element_repeated="W")
case("element out of order", rewritten(
    lambda whole: with_element(whole, 0x00181020) + dict(split(whole))[0x00181020],
    SoftwareVersions="1",
), element_repeated="W")  # fmt: skip
case("text of no character set", series(AcquisitionProtocolDescription=b"M\xfcller"),
     charset_undeclared="W")  # fmt: skip
case("text of a misspelt character set", series(
    SpecificCharacterSet=b"ISO IR 100", ContrastBolusAgent=b"J\xf6d "
), element_form="I")  # fmt: skip
case("private element of no block", lambda folder: [
    write_image(folder / f"{n}.dcm", DataElement(0x0019100C, "LO", "x"), PatientID=folder.name,
                InstanceNumber=n) for n in range(1, 5)
] and None, private_without_creator="I")  # fmt: skip
SECOND_META = raw_element(0x00020010, "UI", b"1.2.840.10008.1.2\0")
case("second meta group", rewritten(
    lambda whole: whole[: data_set_at(whole)] + SECOND_META + whole[data_set_at(whole) :]
), meta_mismatch="W")  # fmt: skip
case("data set in another VR than it declares", rewritten(
    lambda whole: whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0", 1)
), meta_mismatch="W", mixed_transfer_syntax="I")  # fmt: skip
FRAGMENTS = b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0\x08\0\0\0\xff\xd8\1\2\3\4\xff\xd9"
case("pixels that nothing ends", rewritten(
    lambda whole: with_element(
        whole, 0x7FE00010, raw_element(0x7FE00010, "OB", FRAGMENTS, undefined=True)
    ),
    TransferSyntaxUID="1.2.840.10008.1.2.4.70",
    PixelData=FRAGMENTS,
), pixel_delimiter_missing="I")  # fmt: skip
case("zeros from within a header", rewritten(
    lambda whole: with_element(whole, 0x7FE00010) + bytes(524)
), file_zeroed="E", pixel_data_missing="W")  # fmt: skip
case("bytes behind the pixels", rewritten(lambda whole: whole + b"xyz"), file_trailing_bytes="I")


def other_files(*files: tuple[str, bytes]) -> Case:
    def write(folder: Path) -> None:
        series()(folder)
        for name, content in files:
            (folder / name).write_bytes(content)

    return write


XML = b"<?xml version='1.0'?><a/>"
case("text beside images", other_files(("readme.txt", b"hello"), ("LICENSE", b"hello"),
                                       ("a.json", b"[1]"), ("b.XML", XML)),
     file_not_dicom="I")  # fmt: skip
case("text named as an image", other_files(("5.DCM", b"hello")), file_not_dicom="W")
case("file of no known kind", other_files(("5", bytes(range(1, 200)))), file_not_dicom="W")
case("file of zeros", other_files(("5", bytes(530_000))), file_not_dicom="W")

# UIDs

for uid in ("1.02.3", "1..2", "1.a", "1." + "2" * 63):
    case(f"uid {uid[:4]}", series(odd={"IrradiationEventUID": uid}), uid_invalid="E")
case("uid with a zero alone", series(odd={"IrradiationEventUID": "1.0.3"}))
case("uid just short enough", series(odd={"IrradiationEventUID": "1." + "2" * 62}))
case("uid of two roles", series(StudyInstanceUID="1.2.3.5", SeriesInstanceUID="1.2.3.5"),
     uid_reused_across_roles="E")  # fmt: skip
case("frame of two patients", images(
    at(1, FrameOfReferenceUID="1.2.3.6"),
    at(2, FrameOfReferenceUID="1.2.3.6", PatientID="other", StudyInstanceUID="1.2.3.7",
       SeriesInstanceUID="1.2.3.8"),
), frame_of_reference_in_multiple_patients="E", folder_multiple_patients="W",
    folder_multiple_studies="I", folder_multiple_series="I")  # fmt: skip
case("frame of the standard", images(
    at(1, FrameOfReferenceUID="1.2.840.10008.1.4.1.1"),
    at(2, FrameOfReferenceUID="1.2.840.10008.1.4.1.1", PatientID="another",
       StudyInstanceUID="1.2.3.9", SeriesInstanceUID="1.2.3.10"),
), folder_multiple_patients="W", folder_multiple_studies="I",
    folder_multiple_series="I")  # fmt: skip
case("study of two patients", images(
    at(1, StudyInstanceUID="1.2.3.11"),
    at(2, StudyInstanceUID="1.2.3.11", PatientID="a third", SeriesInstanceUID="1.2.3.12",
       FrameOfReferenceUID="1.2.3.13"),
), study_in_multiple_patients="E", folder_multiple_patients="W",
    folder_multiple_series="I")  # fmt: skip
case("series of two studies", series(odd={"StudyInstanceUID": "1.2.3.14"}),
     series_in_multiple_studies="E", folder_multiple_studies="I")  # fmt: skip
case("instance of two series", images(
    at(1, SOPInstanceUID="1.2.3.15", SeriesInstanceUID="1.2.3.16"),
    at(2, SOPInstanceUID="1.2.3.15", SeriesInstanceUID="1.2.3.17"),
), instance_in_multiple_series="E", folder_multiple_series="I")  # fmt: skip
case("folder of another name", series(PatientID="by another name"), folder_name_mismatch="W")


def copied(folder: Path) -> None:
    series()(folder)
    shutil.copy(folder / "1.dcm", folder / "copy.dcm")


case("instance copied", copied, duplicate_instance_identical="I")
case("instance changed", images(
    {"SOPInstanceUID": "1.2.3.18"}, {}, {}, {}, {"SOPInstanceUID": "1.2.3.18"}
), duplicate_instance_conflict="E")  # fmt: skip
case("instance of a value too long to be read", images(
    *[{"InstanceNumber": 1, "EncapsulatedDocument": bytes(17 << 20)}] * 2
), duplicate_instance_not_compared="W", element_invalid="W")  # fmt: skip


def in_two_folders(folder: Path) -> None:
    series()(folder)
    (folder / "below").mkdir()
    (folder / "1.dcm").rename(folder / "below" / "1.dcm")


case("series in two folders", in_two_folders, series_in_multiple_folders="I")

# References

case("reference nowhere", series(odd={"ReferencedImageSequence": [reference("1.2.3.20")]}),
     reference_unresolved="I")  # fmt: skip
case("reference within", images(
    {"SOPInstanceUID": "1.2.3.21"},
    {"ReferencedImageSequence": [reference("1.2.3.21")]},
))  # fmt: skip
case("reference to a study", series(
    ReferencedStudySequence=[reference("1.2.3.22", "1.2.840.10008.3.1.2.3.1")]
))  # fmt: skip
STRUCTURES = {
    "SOPClassUID": RTStructureSetStorage, "Modality": "RTSTRUCT", "SeriesInstanceUID": "1.2.3.23",
    "Rows": None, "Columns": None, "PixelData": None, "ImagePositionPatient": None,
    "ImageOrientationPatient": None, "PixelSpacing": None,
}  # fmt: skip
case("structures of images here in part", images(
    {"SOPInstanceUID": "1.2.3.24"}, {},
    {**STRUCTURES, "ReferencedImageSequence": [reference("1.2.3.24"), reference("1.2.3.25")]},
), reference_unresolved="W", folder_multiple_series="I")  # fmt: skip
case("structures of images elsewhere", images(
    {**STRUCTURES, "SeriesInstanceUID": "1.2.3.26",
     "ReferencedImageSequence": [reference("1.2.3.27")]},
), reference_unresolved="I")  # fmt: skip

# Entities

for keyword, entity, first, second in [
    ("PatientSex", "patient", "F", "M"),
    ("PatientAge", "study", "041Y", "042Y"),
    ("SeriesDescription", "series", "thin", "thick"),
    ("StationName", "equipment", "CT1", "CT2"),
    ("PositionReferenceIndicator", "frame_of_reference", "XY", "SN"),
]:
    rule = f"{entity}_attribute_inconsistent"
    case(f"{keyword} of two values", series(odd={keyword: first}, **{keyword: second}),
         **{rule: "E"})  # fmt: skip
    for kind, odd in {"empty": "", "absent": None}.items():
        case(f"{keyword} {kind} in one", series(odd={keyword: odd}, **{keyword: second}),
             **{rule: "W"})  # fmt: skip
case("two and none", images(*(
    at(z, SeriesDescription=text) for z, text in enumerate(("", "thin", "thick", "thick"))
)), series_attribute_inconsistent="E")  # fmt: skip
for keyword, *forms in (
    ("StudyTime", "101112", "101112.000000"), ("SeriesTime", "101113.5", "101113.500"),
    ("PatientBirthTime", "0830", "083000"),
    ("PerformedProcedureStepStartTime", "10", "1000", "100000.0"),
):  # fmt: skip
    each = [at(z, **{keyword: form}) for z, form in enumerate(forms, 1)]
    case(f"one {keyword} of several precisions", images(*each))
case("one date in an older form", images(
    at(1, StudyDate="2020.01.02"), at(2, StudyDate="20200102")
), element_form="I")  # fmt: skip
case("one time in an older form", images(at(1, SeriesTime="10:11:12"), at(2, SeriesTime="101112")),
     element_form="I")  # fmt: skip
case("one age in several forms", images(*(
    at(z, PatientAge=age) for z, age in enumerate(("041Y", "41Y", "041Y ", " 41Y"), 1)
)), element_form="I")  # fmt: skip
case("ages of two units", series(odd={"PatientAge": "024M"}, PatientAge="002Y"),
     study_attribute_inconsistent="E")  # fmt: skip
case("one moment of two offsets", series(
    odd={"DateTimeOfLastCalibration": "20200131102030.5+0100"},
    DateTimeOfLastCalibration="20200131092030.50+0000",
))  # fmt: skip
case("two times", images(at(1, SeriesTime="101113.5"), at(2, SeriesTime="101113.51")),
     series_attribute_inconsistent="E")  # fmt: skip
case("FrameOfReferenceUID of two values", series(odd={"FrameOfReferenceUID": "1.2.3.30"}),
     series_attribute_inconsistent="E")  # fmt: skip
case("FrameOfReferenceUID absent in one", series(odd={"FrameOfReferenceUID": None}),
     series_attribute_inconsistent="W")  # fmt: skip
case("weights equal as numbers", series(odd={"PatientWeight": "70"}, PatientWeight="70.0"))
case("weights that differ", series(odd={"PatientWeight": "70"}, PatientWeight="70.1"),
     study_attribute_inconsistent="E")  # fmt: skip
case("name with empty components", series(odd={"PatientName": "A^B^^=="}, PatientName="A^B"))
case("name with a suffix", series(odd={"PatientName": "A^B^^^Jr"}, PatientName="A^B"),
     patient_attribute_inconsistent="E")  # fmt: skip
case("sequences that differ", series(
    odd={"RequestAttributesSequence": [code("1")]}, RequestAttributesSequence=[code("2")]
), series_attribute_inconsistent="W")  # fmt: skip
case("sequences that agree", series(RequestAttributesSequence=[code("1"), code("2")]))
case("padding value of two values", series(odd={"PixelPaddingValue": 5}, PixelPaddingValue=6))
case("exposure of the image alone", series(odd={"KVP": None}, KVP="100"))

# Homogeneity

for keyword, rule, first, second, severity in [
    ("BitsStored", "mixed_pixel_format", 11, 12, "E"),
    ("PhotometricInterpretation", "mixed_pixel_format", "MONOCHROME1", "MONOCHROME2", "E"),
    ("PixelRepresentation", "mixed_pixel_format", 1, 0, "E"),
    ("RescaleSlope", "mixed_rescale", "2", "1", "W"),
    ("RescaleIntercept", "mixed_rescale", "-1000", "-1024", "W"),
    ("ConvolutionKernel", "mixed_kernel", "B30f", "B70f", "W"),
    ("KVP", "mixed_kvp", "100", "120", "W"),
    ("SliceThickness", "mixed_slice_thickness", "1.01", "1", "W"),
    ("ImageType", "mixed_image_type", ["DERIVED", "PRIMARY", "AXIAL"],
     ["ORIGINAL", "PRIMARY", "AXIAL"], "W"),
]:  # fmt: skip
    odd = {keyword: first} | ({"HighBit": 10} if keyword == "BitsStored" else {})
    case(f"{keyword} mixed", series(odd=odd, **{keyword: second}), **{rule: severity})
case("Rows mixed", series(odd={"Rows": 32}), mixed_matrix="E")
case("spacing off", series(odd={"PixelSpacing": ["1.0002", "1"]}), mixed_pixel_spacing="E")
case("spacing of nothing", series(odd={"PixelSpacing": ["0", "0"]}), mixed_pixel_spacing="E",
     impossible_value="E")  # fmt: skip
case("spacing just off", series(odd={"PixelSpacing": ["1.00009", "1"]}))
case("voltage equal as numbers", series(odd={"KVP": "120.0"}))
case("zero of either sign", series(
    odd={"RescaleIntercept": "-0", "TransferSyntaxUID": "1.2.840.10008.1.2"},
    RescaleIntercept="0", PixelRepresentation=1,
), mixed_transfer_syntax="I")  # fmt: skip
case("class mixed", series(odd={"SOPClassUID": MRImageStorage}), mixed_sop_class="E")
case("modality mixed", series(odd={"Modality": "MR"}), mixed_modality="E",
     series_attribute_inconsistent="E")  # fmt: skip
case("transfer syntax mixed", series(odd={"TransferSyntaxUID": "1.2.840.10008.1.2"}),
     mixed_transfer_syntax="I")  # fmt: skip
case("high bit low", series(HighBit=10), bits_inconsistent="W")
case("bits above those allocated", series(BitsStored=17, HighBit=16), bits_inconsistent="W")
PET = {"Modality": "PT", "SOPClassUID": PositronEmissionTomographyImageStorage}
case("slices of a PET scaled each", series(odd={"RescaleSlope": "2"}, **PET), mixed_rescale="I")
FILM = {
    "Modality": "CR", "SOPClassUID": ComputedRadiographyImageStorage, "ImagePositionPatient": None,
    "ImageOrientationPatient": None, "PixelSpacing": None, "FrameOfReferenceUID": None,
    "PositionReferenceIndicator": None,
}  # fmt: skip
case("films of two sizes", series(odd={"Rows": 32}, **FILM), mixed_matrix="I",
     non_volume_image="I")  # fmt: skip

# Values

ERROR, WARNING = {"impossible_value": "E"}, {"impossible_value": "W"}
for keyword, value, findings in [
    ("PixelSpacing", ["0", "0"], ERROR), ("PixelSpacing", ["1", "-1"], ERROR),
    ("PixelSpacing", ["0.001", "0.001"], {}), ("RescaleSlope", "0", ERROR),
    ("RescaleSlope", "-0.0", ERROR), ("RescaleSlope", "1e-9", {}), ("RescaleSlope", "-1", {}),
    ("SliceThickness", "0", WARNING), ("SliceThickness", "-1", WARNING),
    ("NumberOfFrames", "0", ERROR), ("NumberOfFrames", "-1", ERROR), ("NumberOfFrames", "1", {}),
    ("ImagerPixelSpacing", ["0", "1"], ERROR), ("ImagerPixelSpacing", ["1", "-1"], ERROR),
    ("ImagerPixelSpacing", ["0.001", "0.001"], {}),
    ("SliceThickness", "0.01", {"slice_gap": "I"}), ("SliceThickness", "", {}),
]:  # fmt: skip
    case(f"{keyword} {value} of all", series(**{keyword: value}), **findings)
# One row has no distance to the next (PS3.3 10.7.1.3); its columns have.
LINE = {"Rows": 1, "Columns": 256}
case("spacing of a single row", series(PixelSpacing=["0", "1"], **LINE))
case("spacing of a single column", series(PixelSpacing=["1", "0"], Rows=256, Columns=1))
case("columns without spacing", series(PixelSpacing=["0", "0"], **LINE), impossible_value="E")
case("single row below nothing", series(PixelSpacing=["-1", "1"], **LINE), impossible_value="E")
for rows in ("Rows", "Columns"):
    case(f"{rows} of nothing", series(PixelData=b"", **{rows: 0}), impossible_value="E")
for first in (0, 3):
    cosines = ["1", "0", "0", "0", "1", "0"]
    cosines[first : first + 3] = ["0"] * 3
    case(f"direction {first} of nothing", series(ImageOrientationPatient=cosines),
         impossible_value="E", orientation_not_orthonormal="E")  # fmt: skip
case("intercept of zero", series(RescaleIntercept="0"), suspicious_rescale="W")
case("intercept just above", series(RescaleIntercept="-99.9"), suspicious_rescale="W")
case("intercept just low enough", series(RescaleIntercept="-100"))
case("intercept of zero, signed", series(RescaleIntercept="0", PixelRepresentation=1))
case("intercept of zero, 16 bits", series(RescaleIntercept="0", BitsStored=16, HighBit=15))
case("intercept of zero in MR", series(RescaleIntercept="0", Modality="MR",
                                       SOPClassUID=MRImageStorage))  # fmt: skip


FRAMES = [at(z) for z in range(10)]


def enhanced(frames: list[dict[str, Any]] = FRAMES, **overrides: Any) -> Case:
    """A writer of an enhanced MR object, of ten frames unless others are given."""

    def write(folder: Path) -> None:
        write_enhanced(folder / "1.dcm", frames, PatientID=folder.name, **overrides)

    return write


case("frames as counted", enhanced())
case("frames of either zero", enhanced([at(z, RescaleIntercept="-0" if z % 2 else "0")
                                        for z in range(10)]))  # fmt: skip
case("frames fewer than counted", enhanced(NumberOfFrames=11, PixelData=bytes(11 * 512)),
     frame_count_mismatch="E")  # fmt: skip
case("frames more than counted", enhanced(NumberOfFrames=9, PixelData=bytes(9 * 512)),
     frame_count_mismatch="E")  # fmt: skip
case("frames not counted", enhanced(NumberOfFrames=None))
case("frames of short pixels", enhanced(PixelData=bytes(10 * 512 - 2)), pixel_length_mismatch="E")
case("frames in implicit VR", enhanced(NumberOfFrames=9, PixelData=bytes(9 * 512),
                                       TransferSyntaxUID="1.2.840.10008.1.2"),
     frame_count_mismatch="E")  # fmt: skip
case("frames in a class for one", series(1, NumberOfFrames=2, PixelData=bytes(1024)),
     multiframe_in_single_frame_class="E")  # fmt: skip
case("groups in a class for one", enhanced(SOPClassUID=MRImageStorage),
     multiframe_in_single_frame_class="E")  # fmt: skip
case("frame in a class for one", series(1, NumberOfFrames=1))
case("frames in a private class", series(1, NumberOfFrames=2, SOPClassUID="1.2.3.48",
                                         PixelData=bytes(1024)))  # fmt: skip

# Numbering

case("number absent", images(at(1, InstanceNumber=None), at(2), at(3), at(4)),
     instance_number_missing="W")  # fmt: skip
case("number twice", images(
    at(1), at(2), at(3), at(4, InstanceNumber=1, SOPInstanceUID="1.2.3.40")
), instance_number_duplicate="W")  # fmt: skip
case("number twice in two acquisitions", images(
    at(1), at(2), at(3, InstanceNumber=1, AcquisitionNumber="2", SOPInstanceUID="1.2.3.41"),
    at(4, InstanceNumber=2, AcquisitionNumber="2", SOPInstanceUID="1.2.3.42"),
))  # fmt: skip
PART = {"ConcatenationUID": "1.2.3.43", "InstanceNumber": 1}
case("number of the parts of a concatenation", images(*(
    at(z, SOPInstanceUID=f"1.2.3.44.{z}", InConcatenationNumber=z, **PART) for z in range(1, 4)
)))  # fmt: skip
case("number of two concatenations", images(
    *(at(z, SOPInstanceUID=f"1.2.3.45.{z}", InConcatenationNumber=z, **PART) for z in (1, 2)),
    at(3, SOPInstanceUID="1.2.3.45.3", **PART | {"ConcatenationUID": "1.2.3.46"}),
), instance_number_duplicate="W")  # fmt: skip
for keyword in ("NominalPercentageOfCardiacPhase", "FrameReferenceTime"):
    case(f"number twice, told apart by {keyword}", images(
        *(at(z, InstanceNumber=z, SOPInstanceUID=f"1.2.3.47.{len(keyword)}.{z}.{time}",
             **{keyword: time}) for time in (0, 50) for z in (1, 2, 3)),
    ), temporal_positions="I")  # fmt: skip
case("number left out", images(at(1), at(2), at(3), at(4, InstanceNumber=5)),
     instance_number_gap="I")  # fmt: skip
case("number of an image that is set aside", images(
    *(at(z) for z in range(1, 9)), at(9, ImageOrientationPatient=["1", "0", "0", "0", "0", "-1"]),
    at(9), at(10),
), localizer_embedded="W")  # fmt: skip
HEAD = {"BodyPartExamined": "HEAD"}
case("burned-in annotation", series(odd={"BurnedInAnnotation": "YES"}), pixels_may_identify="I")
case("recognizable features", series(RecognizableVisualFeatures="YES"), pixels_may_identify="I")
case("thin slices of a head", series(32, **HEAD), pixels_may_identify="I")
case("few slices of a head", series(31, **HEAD))
case("thin slices of a chest", series(32, BodyPartExamined="CHEST"))
case("head without a face", series(32, RecognizableVisualFeatures="NO", **HEAD))
case("numbers that fall", images(at(4), at(3), at(2), at(1)))


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("checks")
    for name, (write, _) in CASES.items():
        write(folder / "source" / name)
    build_direct(Settings((str(folder / "source"),), folder / "warehouse"), lambda line: None)
    with dicomhouse.open(folder / "warehouse") as opened:
        yield opened


@pytest.fixture(scope="module")
def found(warehouse: Warehouse) -> dict[str, Findings]:
    """The findings of every case, by the folder of their offenders."""
    by_case: dict[str, Findings] = {name: {} for name in CASES}
    # What the modules of an IOD require, and the order in space, are tried elsewhere.
    for row in warehouse.sql("""
        select rule, severity, offenders, message from findings
        where rule not like 'type%missing' and rule <> 'instance_order_not_spatial'
    """).to_dicts():  # fmt: skip
        assert row["message"]
        assert row["offenders"]
        for name in {path.split("/")[0] for path in row["offenders"]}:
            by_case[name][row["rule"]] = row["severity"]
    return by_case


@pytest.mark.parametrize("name", CASES)
def test_case_fails_the_named_rules_and_no_others(name: str, found: dict[str, Findings]) -> None:
    assert found[name] == CASES[name][1]


def test_every_rule_has_a_case_that_fails(warehouse: Warehouse) -> None:
    """Files that are not images, and geometry, are tried elsewhere."""
    models = ("identity", "references", "entities", "homogeneity", "values", "numbering", "pixels")
    rules = " union ".join(f"select rule from intermediate.int_checks_{name}" for name in models)
    known = set(warehouse.sql(f"""
        {rules} union select rule from seeds.check_rules where level not in ('file', 'series')
    """)["rule"])  # fmt: skip
    tried = {rule for _, findings in CASES.values() for rule in findings}
    assert known <= tried


def test_a_finding_of_two_values_counts_the_images_of_each(warehouse: Warehouse) -> None:
    (row,) = warehouse.sql("""
        select message, offenders from findings
        where rule = 'series_attribute_inconsistent' and offenders[1] like 'two and none/%'
    """).to_dicts()  # fmt: skip
    assert row["message"] == "SeriesDescription has 2 values (2, 1 images)"
    assert row["offenders"][:2] == [f"two and none/{n}.dcm" for n in (1, 2)]
    assert row["offenders"][2:] in (["two and none/3.dcm"], ["two and none/4.dcm"])


def test_a_finding_of_an_absent_attribute_names_a_file_that_lacks_it(warehouse: Warehouse) -> None:
    rows = warehouse.sql("""
        select rule, offenders from findings
        where rule like '%_attribute_inconsistent' and offenders[1] like '% absent in one/%'
    """).to_dicts()  # fmt: skip
    assert len(rows) == 6
    for row in rows:
        # The series' first image lacks it; one of the others tells what they have.
        assert [path.endswith("/1.dcm") for path in row["offenders"]] == [True, False], row


def test_a_spacing_of_nothing_in_all_images_is_one(warehouse: Warehouse) -> None:
    rows = warehouse.sql("""
        select s.folder, g.why_not from series_geometry g join series s using (source, series_key)
        where contains(g.why_not, 'several pixel spacings')
    """).to_dicts()  # fmt: skip
    assert "spacing of nothing" in {row["folder"] for row in rows}
    assert "PixelSpacing ['0', '0'] of all" not in {row["folder"] for row in rows}


def check(warehouse: Warehouse, *words: str) -> subprocess.CompletedProcess[str]:
    return call_cli("check", "--warehouse", str(warehouse.generation.folder.parents[1]), *words)


def test_check_chooses_by_rule_level_and_severity(warehouse: Warehouse) -> None:
    def told(*words: str) -> tuple[int, list[dict[str, Any]]]:
        done = check(warehouse, *words, "--format", "json")
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    code, rows = told("--rule", "mixed_kvp", "--rule", "mixed_kernel")
    assert (code, [row["rule"] for row in rows]) == (0, ["mixed_kernel", "mixed_kvp"])
    assert rows[1]["offenders"] == ["KVP mixed/1.dcm"]
    assert "KVP 120.0 (3), 100.0 (1)" in rows[1]["message"]
    code, rows = told("--level", "patient", "--severity", "E")
    assert (code, {row["level"] + row["severity"] for row in rows}) == (1, {"patientE"})
    for word in ("W", "w", "warning"):
        code, rows = told("--severity", word)
        assert (code, {row["severity"] for row in rows}) == (0, {"W"})


def test_a_missing_tag_and_a_missing_slice_are_told_apart(warehouse: Warehouse) -> None:
    rows = warehouse.sql("""
        select distinct rule, theme, worst_geometry_finding, worst_conformance_finding
        from findings join series using (source, series_key)
        where
            message like '%direction of length 0%'
            or offenders = ['number absent/1.dcm']
            and rule in ('type2_missing', 'instance_number_missing')
        order by all
    """).to_dicts()  # fmt: skip
    assert [tuple(row.values()) for row in rows] == [
        ("impossible_value", "values", "E", None),
        ("instance_number_missing", "numbering", None, "W"),
        ("type2_missing", "conformance", None, "W"),
    ]


def test_what_cannot_be_makes_no_volume(warehouse: Warehouse) -> None:
    rows = warehouse.sql("""
        select folder, why_not from series where folder in (
            'clean', 'frames as counted', 'frames fewer than counted', 'Rows of nothing',
            'SliceThickness 0 of all', 'instance copied'
        )
    """).to_dicts()  # fmt: skip
    assert {row["folder"]: row["why_not"] for row in rows} == {
        "clean": None,
        "frames as counted": None,
        "frames fewer than counted": "fails frame_count_mismatch",
        "Rows of nothing": "fails impossible_value",
        "SliceThickness 0 of all": None,
        "instance copied": "fails duplicate_instance_identical",
    }


def test_a_file_of_another_kind_never_heads_a_summary(warehouse: Warehouse) -> None:
    everything: dict[str, list[str]] = {"severities": [], "rules": [], "levels": []}
    worst, all_rules = (
        query(
            warehouse.connection, resource("sql", "commands", f"{name}.sql").read_text(), everything
        ).column(column).to_pylist()
        for name, column in (("worst_findings", "name"), ("findings", "rule"))
    )  # fmt: skip
    assert not worst[0].startswith("file_not_dicom")
    assert worst[0].endswith(")")
    first = all_rules.index("file_not_dicom")
    assert first > 0
    assert set(all_rules[first:]) == {"file_not_dicom"}


def test_check_tells_an_unknown_rule_or_level(warehouse: Warehouse) -> None:
    for words in (("--rule", "mixed_everything"), ("--level", "planet"), ("--severity", "X")):
        done = check(warehouse, *words)
        assert (done.returncode, f"no {words[0][2:]} {words[1]}" in done.stderr) == (2, True)


def test_check_shows_the_first_findings_of_a_rule_and_how_many_more(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.check, "_FINDINGS_SHOWN", 3)
    at = ["--warehouse", str(warehouse.generation.folder.parents[1])]
    assert cli.main(["check", "--level", "image", *at]) == 1
    told = capsys.readouterr().out
    assert told.count("uid_invalid") == 3 + 1
    counts, details = told.split("\n\n")[:2]
    assert re.search(r"^E +identity +uid_invalid +4$", counts, re.MULTILINE)
    assert "message" in details
    assert "\n1 more: 3 are shown of each rule in a source" in told
    assert cli.main(["check", "--rule", "uid_invalid", *at]) == 1
    told = capsys.readouterr().out
    assert (told.count("uid_invalid"), "more:" in told) == (4 + 1, False)
