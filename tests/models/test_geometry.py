"""Geometry rules on made-up series: each just beyond its tolerance and just within it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydicom.dataelem import DataElement
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    BasicTextSRStorage,
    ImplicitVRLittleEndian,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    NuclearMedicineImageStorage,
    OphthalmicTomographyImageStorage,
    RTDoseStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from stacks import (
    AXIAL,
    Image,
    at,
    axial,
    changed,
    coronal,
    grouped,
    numbered_down,
    repeated,
    stepped,
    tilted,
    turned,
    without,
    write_series,
)  # fmt: skip

import dicomhouse
from dicomhouse.errors import UsageError
from dicomhouse.reader import Warehouse
from dicomhouse.run.build import build_direct
from dicomhouse.settings import Settings
from dicomhouse.testing import write_enhanced, write_image
from dicomhouse.testing.series import decimal, elements, uid

FOURS = [[start + 4 * k for k in range(5)] for start in (0, 1, 2, 0.39, 0.41)]
"""Stacks of 4 mm steps, beside one another."""
HEAD = [5 * k for k in range(8)]
THIGH = [340 + z for z in HEAD]
TURNS_OF_TIME = ("100000", "100100")
DAYS = ("20200131", "20200201")
TURNS = sorted(FOURS[0] + FOURS[1])

RULE_CASES: dict[str, list[tuple[str, list[Image]]]] = {
    "missing_position": [
        ("E", changed(axial(range(4)), 3, ImagePositionPatient=None)),
        ("E", changed(axial(range(4)), 3, ImagePositionPatient=["1", "2"])),
        ("pass", axial(range(4))),
        ("not_applicable", [image | {"ImagePositionPatient": None} for image in axial(range(4))]),
        *(
            ("E", changed(axial(range(9)), 4, ImagePositionPatient=position))
            for position in (None, b"", ["1", "2"], ["1", "2", "3", "4"], b"a\\b\\c", b"nan\\0\\4")
        ),
        ("E", changed(changed(axial(range(9)), 4, ImagePositionPatient=None), 5,
                      ImagePositionPatient=b"")),
        ("E", changed(repeated(axial(range(4)), EchoTime=[1, 2, 3]), 5,
                      ImagePositionPatient=None)),
        ("pass", axial(range(5)) + [i | {"ImagePositionPatient": None} for i in coronal(4)]),
        ("E", axial(range(5)) + changed(coronal(4), 3, ImagePositionPatient=None)),
    ],
    "missing_orientation": [
        ("E", changed(axial(range(4)), 0, ImageOrientationPatient=None)),
        ("pass", axial(range(4))),
        ("E", changed(axial(range(9)), 4, ImageOrientationPatient=None)),
    ],
    "orientation_not_orthonormal": [
        ("E", changed(axial(range(4)), 1, ImageOrientationPatient=["1.0101", 0, 0, 0, 1, 0])),
        ("E", changed(axial(range(4)), 1, ImageOrientationPatient=[1, 0, 0, "0.011", 1, 0])),
        ("I", changed(axial(range(4)), 1, ImageOrientationPatient=["1.0099", 0, 0, 0, 1, 0])),
        ("I", changed(axial(range(4)), 1, ImageOrientationPatient=["1.00011", 0, 0, 0, 1, 0])),
        ("pass", changed(axial(range(4)), 1, ImageOrientationPatient=["1.00009", 0, 0, 0, 1, 0])),
        ("I", changed(axial(range(4)), 1, ImageOrientationPatient=["1.01", 0, 0, 0, 1, 0])),
        ("pass", changed(axial(range(4)), 1, ImageOrientationPatient=["1.0001", 0, 0, 0, 1, 0])),
    ],
    "localizer_embedded": [
        ("W", changed(axial(range(8)), 0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])),
        ("pass", axial(range(8), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])),
        ("W", axial(range(16)) + coronal(3)),
        ("pass", axial(range(17)) + coronal(4)),
        ("pass", axial(range(12)) + coronal(3)),
        ("W", changed(axial(range(10)), 9, **at(10.1, 0, 4.5))),
        ("pass", changed(axial(range(10)), 9, **at(9.9, 0, 4.5))),
        ("W", changed(axial(range(10), PixelSpacing=["2", "2"]), 9, **at(20.1, 0, 4.5))),
        ("pass", changed(axial(range(10), PixelSpacing=["2", "2"]), 9, **at(19.9, 0, 4.5))),
    ],
    "non_volume_image": [
        ("W", changed(axial(range(4)), 0, SOPClassUID=SecondaryCaptureImageStorage)),
        ("I", axial(range(2), SOPClassUID=SecondaryCaptureImageStorage)),
        ("I", axial(range(1), SOPClassUID=MultiFrameTrueColorSecondaryCaptureImageStorage)),
        ("I", [
            {"SOPClassUID": SecondaryCaptureImageStorage},
            {"SOPClassUID": BasicTextSRStorage, "Modality": "SR", "Rows": None, "PixelData": None},
        ]),
        ("pass", axial(range(4))),
        ("pass", axial(range(4), SOPClassUID=OphthalmicTomographyImageStorage, Modality="OPT")),
    ],
    "mixed_orientation": [
        ("E", axial(range(3)) + coronal(2)),
        ("pass", axial(range(3)) + coronal(3)),
        ("pass", turned(0.80)),
    ],
    "multiple_stacks": [
        ("I", axial(range(3)) + coronal(3)),
        ("I", axial(range(1)) + coronal(1)),
        ("I", turned(0.82)),
        ("pass", turned(0.80)),
        ("I", grouped("AcquisitionNumber", FOURS[0], FOURS[1])),
        ("I", grouped("EchoTime", *FOURS[:3])),
        ("I", grouped("AcquisitionNumber", FOURS[0], FOURS[4])),
        ("pass", grouped("AcquisitionNumber", FOURS[0], FOURS[3])),
        ("pass", grouped("AcquisitionNumber", [0, 4, 8], [12, 16, 20])),
        ("pass", grouped("AcquisitionNumber", [0, 4, 8], [16, 20, 24])),
        ("I", grouped("AcquisitionNumber", [0, 4, 8, 12], [0.5, 3, 5.5, 8])),
        ("I", grouped("AcquisitionTime", *FOURS[:2], values=TURNS_OF_TIME)),
        ("pass", grouped("AcquisitionTime", range(0, 9, 2), [1, 3, 7, 9], values=TURNS_OF_TIME)),
        ("pass", grouped("AcquisitionTime", range(0, 9, 2), range(1, 9, 2), values=TURNS_OF_TIME)),
        ("I", grouped("ConvolutionKernel", *FOURS[:2], values=("B30f", "B60f"))),
        ("I", grouped("ContrastBolusAgent", *FOURS[:2], values=("NONE", "IODINE"))),
        ("I", grouped("AcquisitionDate", *FOURS[:2], values=DAYS)),
        ("I", grouped("AcquisitionNumber", HEAD, THIGH)),
        ("I", grouped("AcquisitionNumber", THIGH, HEAD)),
        ("I", grouped("AcquisitionTime", HEAD, THIGH, values=TURNS_OF_TIME)),
        ("I", grouped("AcquisitionNumber", [0, 4, 8], [24.1, 28.1, 32.1])),
        ("I", grouped("AcquisitionNumber", [0, 4, 8], [24, 28, 32])),
        ("pass", grouped("AcquisitionNumber", [0, 4, 8], [20, 24, 28])),
        ("pass", axial(HEAD + THIGH)),
    ],
    "duplicate_position": [
        ("W", grouped("AcquisitionNumber", range(6), range(5, 9))),
        ("W", grouped("AcquisitionNumber", range(6), range(1, 8))),
        ("W", grouped("AcquisitionNumber", range(6), range(2, 8), range(4, 10))),
        ("W", grouped("AcquisitionTime", range(6), range(5, 9), values=("100000", "100100"))),
        ("E", axial([0, 1, 2, 3, 3])),
        ("E", axial([0, 1, 2, 3, 3.009])),
        ("pass", axial([0, 1, 2, 3, 3.011])),
        ("E", repeated(axial(range(3)), AcquisitionNumber=[1, 1])),
        ("pass", repeated(axial(range(3)), AcquisitionNumber=[1, 2])),
        ("pass", axial([0, 0.009, 0.018, 0.027])),
        ("E", stepped(0.05, 0.05, 0.05, 0.005)),
    ],
    "temporal_positions": [
        ("I", repeated(axial(range(3)), TemporalPositionIdentifier=[1, 2])),
        ("I", repeated(axial(range(2)), EchoTime=[10, 20, 30])),
        ("I", repeated(axial(range(3)), NominalPercentageOfCardiacPhase=[0, 50])),
        ("I", repeated(axial(range(3)), FrameReferenceTime=[500, 1500])),
        ("I", repeated(axial(range(3)), AcquisitionTime=["101200", "101300"])),
        ("I", [i | {"InstanceNumber": 1, "ImageIndex": n}
               for n, i in enumerate(repeated(axial(range(3)), KVP=[120, 120]))]),
        ("I", grouped("TemporalPositionIdentifier", FOURS[0], FOURS[3])),
        ("I", grouped("AcquisitionTime", FOURS[0], FOURS[3], values=TURNS_OF_TIME)),
        ("I", repeated(axial(range(3)), InversionTime=[100, 300, 500])),
        ("I", repeated(axial(range(3)), FlipAngle=[5, 15])),
        ("I", repeated(axial(range(3)), KVP=[80, 140])),
        ("I", repeated(axial(range(3)), EchoNumbers=[1, 2])),
        ("I", repeated(axial(range(3), DiffusionBValue=1000),
                       DiffusionGradientOrientation=[[1, 0, 0], [0, 1, 0]])),
        ("I", repeated(axial(range(3), AcquisitionTime="000000"), AcquisitionDate=DAYS)),
        ("I", repeated(axial(range(3)), ContrastBolusAgent=[None, "IODINE"])),
        ("I", grouped("ContrastBolusAgent", FOURS[0], FOURS[3], values=("NONE", "IODINE"))),
        ("pass", grouped("TemporalPositionIdentifier", FOURS[0], FOURS[4])),
        ("pass", repeated(axial(range(3)), TemporalPositionIdentifier=[1, 2])[:-1]),
    ],
    "incomplete_repetition": [
        ("E", repeated(axial(range(3)), TemporalPositionIdentifier=[1, 2])[:-1]),
        ("pass", repeated(axial(range(3)), TemporalPositionIdentifier=[1, 2])),
        ("pass", axial([0, 1, 2, 2])),
        ("pass", grouped("AcquisitionNumber", range(6), range(1, 8))),
        ("E", grouped("AcquisitionNumber", range(6), range(1, 6))),
        ("E", grouped("AcquisitionNumber", range(8), [1, 2, *range(4, 10)])),
    ],
    "single_position": [
        ("W", axial([0, 0, 0])),
        ("I", repeated(axial([0]), TriggerTime=[0, 40])),
        ("I", repeated(axial([0]), InversionTime=[100, 300, 500])),
        ("pass", axial([0, 0.11])),
    ],
    "missing_slices": [
        ("E", stepped(10, 10, 19.1, 10)),
        ("pass", stepped(10, 10, 18.9, 10)),
        ("E", stepped(10, 10, 20.9, 10)),
        ("pass", stepped(10, 10, 21.1, 10)),
        ("E", stepped(5, 10)),
        ("pass", stepped(1, 1, 1, 2, 2, 2)),
        ("E", stepped(5, 5, 5, 9.5, 5)),
        ("E", stepped(3, 3, 3, 5.7, 3)),
        ("pass", grouped("AcquisitionNumber", FOURS[0], FOURS[1])),
        ("pass", axial(TURNS)),
        ("E", grouped("AcquisitionNumber", FOURS[0], [1, 5, 13, 17])),
        ("E", grouped("TemporalPositionIdentifier", [0, 4, 12, 16], [0.3, 4.3, 12.3, 16.3])),
        ("E", grouped("AcquisitionNumber", [0, 4, 8], [16, 20, 24])),
        *(
            (expected, without(changed(axial(range(12)), place, ImagePositionPatient=None), *gone))
            for expected, place, *gone in [
                ("pass", 4), ("E", 4, 5), ("E", 4, 8), ("E", 11, 4), ("E", 0, 4),
            ]
        ),
        ("E", changed(without([*axial(range(9)), *coronal(5)], 4), 10, ImagePositionPatient=None)),
        ("pass", axial(HEAD + THIGH)),
        ("pass", grouped("AcquisitionNumber", HEAD, THIGH)),
        ("E", without(axial(range(0, 400, 5)), *range(8, 68))),
        ("E", without(numbered_down(axial(range(0, 400, 5))), *range(8, 68))),
    ],
    "coverage_gap": [
        ("W", axial(HEAD + THIGH)),
        ("W", axial(HEAD + THIGH, AcquisitionNumber="")),
        ("W", axial([*HEAD, *(z + 2.2 for z in THIGH)])),
        ("W", numbered_down(axial(HEAD + THIGH))),
        ("W", axial([*HEAD, 90, 95, 100])),
        ("pass", axial([*HEAD, 85, 90, 95])),
        ("W", axial([0, 5.1, 10.2, 61.3, 66.4])),
        ("pass", axial([0, 5.2, 10.4, 61.5, 66.7])),
        ("pass", without(axial(range(0, 400, 5)), *range(8, 68))),
        ("pass", without(numbered_down(axial(range(0, 400, 5))), *range(8, 68))),
        ("pass", grouped("AcquisitionNumber", HEAD, THIGH)),
        ("pass", axial([0, 1, 2, 3e6])),
    ],
    "mixed_spacing": [
        ("E", stepped(1, 1, 1, 1.11, 1.11, 1.11)),
        ("pass", stepped(1, 1, 1, 1.09, 1.09, 1.09)),
        ("E", stepped(4, 4, 4, 4.21, 4.21, 4.21)),
        ("pass", stepped(4, 4, 4, 4.19, 4.19, 4.19)),
        ("E", stepped(1, 1, 1, 2, 3, 3, 3)),
        ("pass", stepped(1, 1, 1, 3, 3)),
        ("E", stepped(*(1 + 0.021 * k for k in range(12)))),
        ("pass", stepped(2, 2, 2, 2.1, 2.1, 2.1)),
    ],
    "irregular_spacing": [
        ("W", stepped(5, 5, 5.051, 5, 5)),
        ("pass", stepped(5, 5, 5.049, 5, 5)),
        ("W", axial([0, 1, 2.021, 3, 4])),
        ("pass", axial([0, 1, 2.019, 3, 4])),
        ("pass", stepped(1, 1, 1, 2, 3, 3, 3)),
        ("W", stepped(1, 1, 1, 1.09, 1.09, 1.09)),
        ("pass", stepped(5, 5, 5.05, 5, 5)),
        *(
            ("pass", axial([start + z for z in (0, 1, 2, 3.02, 4.02, 5.02)]))
            for start in (0, 100, -300)
        ),
        ("pass", stepped(*[0.3125] * 9)),
        ("W", axial(TURNS)),
        ("pass", grouped("AcquisitionNumber", FOURS[0], FOURS[1])),
    ],
    "sheared_stack": [
        ("W", tilted(0.51)),
        ("pass", tilted(0.49)),
        ("W", tilted(1, spacing=1, n=7)),
        ("pass", tilted(1, spacing=1, n=6)),
        ("I", tilted(14, GantryDetectorTilt="-14")),
        ("W", tilted(14, GantryDetectorTilt="13.4")),
        ("not_applicable", tilted(14, n=2)),
    ],
    "tilt_tag_mismatch": [
        ("W", tilted(14, GantryDetectorTilt="13.49")),
        ("pass", tilted(14, GantryDetectorTilt="13.51")),
        ("W", tilted(0, GantryDetectorTilt="0.51")),
        ("pass", tilted(0, GantryDetectorTilt="0.49")),
        ("W", tilted(0.51)),
        ("not_applicable", tilted(14, Modality="MR")),
    ],
    "in_plane_drift": [
        ("W", changed(axial(range(9)), 4, **at(0.08, 0.08, 4))),
        ("pass", changed(axial(range(9)), 4, **at(0.07, 0.07, 4))),
        ("W", changed(tilted(14, GantryDetectorTilt="14"), 0, **at(0, 0.11, 0))),
        ("pass", tilted(14)),
    ],
    "slice_overlap": [
        ("I", axial(range(4), SliceThickness="1.011")),
        ("pass", axial(range(4), SliceThickness="1.01")),
        ("not_applicable", axial(range(4), SliceThickness=None)),
    ],
    "slice_gap": [
        ("I", axial(range(4), SliceThickness="0.989")),
        ("pass", axial(range(4), SliceThickness="0.99")),
    ],
    "spacing_tag_mismatch": [
        ("I", axial(range(4), SpacingBetweenSlices="1.021")),
        ("pass", axial(range(4), SpacingBetweenSlices="1.019")),
        ("I", [image | {"SliceLocation": 1.03 * k} for k, image in enumerate(axial(range(4)))]),
        ("pass", [image | {"SliceLocation": -k} for k, image in enumerate(axial(range(4)))]),
        ("not_applicable", axial(range(4))),
    ],
    "instance_number_duplicate": [
        ("pass", repeated(axial(range(3)), AcquisitionDate=DAYS)),
        ("pass", repeated(axial(range(3)), ContrastBolusAgent=[None, "IODINE"])),
    ],
    "instance_order_not_spatial": [
        ("I", axial([0, 1, 3, 2, 4])),
        ("I", [*axial(range(3)), at(0, 0, 3) | {"InstanceNumber": 3}]),
        ("pass", axial([4, 3, 2, 1, 0])),
        ("pass", axial([*range(4), *range(4)])),
        ("pass", axial([0, 0, 1, 1, 2, 2])),
    ],
}  # fmt: skip

CASES = {
    f"{rule}-{number}": (rule, expected, images)
    for rule, cases in RULE_CASES.items()
    for number, (expected, images) in enumerate(cases)
}


EXTREMES: dict[str, list[Image]] = {
    "one far": changed(axial(range(4)), 3, ImagePositionPatient=["0", "0", "1e300"]),
    "beyond doubles": [
        {"ImagePositionPatient": [f"{sign}1e308"] * 3, "InstanceNumber": n}
        for n, sign in enumerate(("", "-", "", "-"))
    ],
    "long directions": axial(range(4), ImageOrientationPatient=["1e200"] * 3 + ["-1e200"] * 3),
    "short directions": axial(range(4), ImageOrientationPatient=["1e-300", 0, 0, 0, "1e-300", 0]),
    "tags": axial(
        range(4), PixelSpacing=["1e308"] * 2, SliceThickness="1e308", GantryDetectorTilt="90",
        SpacingBetweenSlices="-1e308", SliceLocation="1e308",
    ),
    "ever wider": axial([10**k for k in range(14)]),
    "offsets": [
        {"SOPClassUID": RTDoseStorage, "NumberOfFrames": 4, "GridFrameOffsetVector": b"1e308\\x"}
    ],
    "no frames": [{"NumberOfFrames": -5}],
    "numbers": changed(
        axial(range(4), InstanceNumber="9223372036854775807"), 1,
        InstanceNumber="-9223372036854775808",
    ),
}  # fmt: skip
"""What no scanner writes: it must be told of, and stop nothing."""


def write_extreme_elements(folder: Path) -> None:
    """Elements of a VR that nobody gives them."""
    smallest = -(2**63)
    for name, element, values in [
        ("bits", DataElement(0x00280101, "SV", smallest), {}),
        ("slices", DataElement(0x00540080, "SV", [smallest] * 2), {"NumberOfFrames": 2}),
        ("groups", DataElement(0x52009230, "FD", 1e300), {}),
        ("many groups", DataElement(0x52009230, "FD", 2e6), {}),
    ]:
        dropped = {"BitsStored": None} if name == "bits" else {}
        write_image(folder / name / "1", element, PatientID=name, **dropped, **values)
    box = elements({"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": AXIAL})
    detector = elements({"ImageBoxesSequence": Items([box, box])})
    write_image(
        folder / "boxes" / "1", PatientID="boxes", Modality="NM", NumberOfFrames=2,
        SOPClassUID=NuclearMedicineImageStorage, DetectorInformationSequence=Items([detector]),
    )  # fmt: skip


def clean_series(random: Random) -> list[Image]:
    """A stack without a defect: any spacing, tilt and repetition, jitter below 0.005 mm."""
    n = random.randrange(3, 15)
    spacing = random.choice([0.4, 0.625, 1, 2.5, 5])
    degrees = random.choice([0, 0, -12, 20])
    slope = math.tan(math.radians(degrees))
    tilt = {"GantryDetectorTilt": degrees} if degrees else {}
    start = random.uniform(-900, 900)

    def jitter() -> float:
        return random.uniform(-0.0049, 0.0049)

    images = []
    times = random.choice([1, 1, 3])
    told_apart = random.choice(
        ["TemporalPositionIdentifier", "EchoTime", "DiffusionBValue", "InstanceNumber"]
    )
    for k in range(n):
        for time in range(times):
            offset = k * spacing
            image = at(jitter(), slope * offset + jitter(), start + offset + jitter())
            image |= tilt | {"SliceThickness": decimal(spacing)}
            image["ImageOrientationPatient"] = random.choice(
                [["1", "0", "0", "0", "1", "0"], ["1", "-0", "0.0", "-0", "1", "-0.000001"]]
            )
            image["InstanceNumber"] = k + 1 + time * n
            if times > 1 and told_apart != "InstanceNumber":
                image |= {told_apart: time, "InstanceNumber": k + 1, "AcquisitionNumber": time}
            images.append(image)
    if random.random() < 0.5:
        for image in images:
            image["InstanceNumber"] = 1000 - image["InstanceNumber"]
    return images


CLEAN = 40


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("geometry")
    for name, (_, _, images) in CASES.items():
        write_series(folder / "cases" / name, images)
    for seed in range(CLEAN):
        random = Random(seed)
        images = clean_series(random)
        random.shuffle(images)
        names = [f"{random.random():.16f}" for _ in images]
        write_series(folder / "clean" / f"clean{seed}", images, names)
    write_multiframe(folder / "multiframe")
    for name, images in EXTREMES.items():
        write_series(folder / "extremes" / name, images)
    write_extreme_elements(folder / "extremes")
    sources = tuple(str(folder / name) for name in ("cases", "clean", "multiframe", "extremes"))
    build_direct(Settings(sources, folder / "w"), lambda line: None)
    with dicomhouse.open(folder / "w") as warehouse:
        yield warehouse


def frames(z: Sequence[float], **shared: Any) -> list[dict[str, Any]]:
    return [
        shared | at(0, 0, p) | {"InStackPositionNumber": n, "DimensionIndexValues": [1, n]}
        for n, p in enumerate(z, 1)
    ]


DOSES = {
    "dose": [0, 2.5, 5, 10, 12.5],
    "dose by z": [1, 2, 3, 4, 5],
    "dose of fewer offsets": [0, 2.5, 5],
    "dose of more offsets": [0, 1, 2, 3, 4, 5],
    "dose without offsets": None,
    "dose of empty offsets": b"",
    "dose of words": b"0\\1\\two\\3\\4",
    "dose out of order": [0, 2, 1, 3, 4],
    "dose begun elsewhere": [5, 6, 7, 8, 9],
}
"""The offsets of doses of five frames whose first lies at z = 1 mm."""


B_VALUES: dict[str, tuple[tuple[int, str], str, Any]] = {
    "b-values of GE": ((0x00431039, "GEMS_PARM_01"), "IS", lambda b: [1_000_000_000 + b, 8, 0]),
    "b-values of Philips": ((0x20011003, "Philips Imaging DD 001"), "FL", float),
    "b-values of Siemens": ((0x0019100C, "SIEMENS MR HEADER"), "IS", str),
    "b-values of United": ((0x00651009, "Image Private Header"), "FD", float),
}
"""Private elements that tell images of one number apart."""


def private(place: tuple[int, str], vr: str, value: Any) -> list[DataElement]:
    tag, creator = place
    return [DataElement((tag >> 16 << 16) + 0x10, "LO", creator), DataElement(tag, vr, value)]


def write_multiframe(folder: Path) -> None:
    """One object or two of each kind in a folder of its own."""

    def enhanced(name: str, frames: Sequence[Image], number: int = 1, **values: Any) -> None:
        path = folder / name / f"{number}.dcm"
        write_enhanced(path, frames, PatientID=name, InstanceNumber=number, **values)

    enhanced("even", frames(range(6)))
    enhanced("gap", frames([0, 1, 2, 5, 6, 7]))
    times = [frame | {"TemporalPositionIndex": t} for t in (1, 2, 3) for frame in frames(range(4))]
    enhanced("times", times)
    enhanced("a frame short", times[:-1])
    enhanced("twice", [*frames(range(4)), *frames([3])])
    for keyword, *values in (
        ("FlipAngle", 10, 20), ("KVP", 80, 140), ("ConvolutionKernel", "B30f", "B70f"),
    ):  # fmt: skip
        each = [frame | {keyword: v} for v in values for frame in frames(range(4))]
        enhanced(f"two of {keyword}", each)
    for number in (1, 2):
        enhanced("two objects", frames(range(4 * number, 4 * number + 4)), number)
    segments = [
        at(0, 0, z) | {"ReferencedSegmentNumber": segment, "DimensionIndexValues": [segment, z + 1]}
        for segment, slices in ((1, (0, 1, 2, 3)), (2, (0, 1, 3)))
        for z in slices
    ]
    enhanced("one place", frames([0, 0, 0]))
    enhanced("two spacings", [
        frame | {"PixelSpacing": [n // 3 + 1] * 2, "SliceThickness": n // 3 + 1}
        for n, frame in enumerate(frames(range(6)))
    ], shared={"ImageOrientationPatient": AXIAL})  # fmt: skip
    for number in (1, 2):
        enhanced("without planes", [{"SliceThickness": 1}] * 3, number, Rows=16 * number,
                 shared={"SliceThickness": 1})  # fmt: skip
    meeting = [
        at(0, 0, z) | {"ReferencedSegmentNumber": segment, "DimensionIndexValues": [segment, z + 1]}
        for segment, slices in ((1, (0, 1, 2, 3)), (2, (3, 4, 5)))
        for z in slices
    ]
    enhanced("segments that meet", meeting, SOPClassUID=SegmentationStorage, Modality="SEG")
    enhanced("segments", segments, SOPClassUID=SegmentationStorage, Modality="SEG")
    for name, places in (
        ("two lesions", [0, 1, 2, 5, 6, 7]),
        ("thinned out", [0, 1, 2, 3, 5, 7, 9]),
        ("lesions far apart", [0, 1, 2, 203, 204]),
    ):
        lesions = [frame | {"ReferencedSegmentNumber": 1} for frame in frames(places)]
        enhanced(name, lesions, SOPClassUID=SegmentationStorage, Modality="SEG")
    for name, offsets in DOSES.items():
        write_image(
            folder / name / "1.dcm", PatientID=name, SOPClassUID=RTDoseStorage, Modality="RTDOSE",
            NumberOfFrames=5, GridFrameOffsetVector=offsets,
            ImageOrientationPatient=[1, 0, 0, 0, -1 if name == "dose" else 1, 0],
        )  # fmt: skip
    detector = elements(
        {"ImagePositionPatient": [0, 0, 50], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    )
    for name, numbers in (
        ("nuclear", [1, 2, 3, 1, 2, 3]), ("nuclear of fewer numbers", [1, 2, 3]),
    ):  # fmt: skip
        write_image(
            folder / name / "1.dcm", PatientID=name, SOPClassUID=NuclearMedicineImageStorage,
            Modality="NM", NumberOfFrames=6, SliceVector=numbers,
            TimeSlotVector=[1, 1, 1, 2, 2, 2], SpacingBetweenSlices="-4", ImagePositionPatient=None,
            ImageOrientationPatient=None, DetectorInformationSequence=Items([detector]),
        )  # fmt: skip
    for name, (creator, vr, value_of) in B_VALUES.items():
        for number, b in enumerate(b for b in (0, 500, 1000) for _ in range(3)):
            write_image(
                folder / name / f"{number}.dcm", *private(creator, vr, value_of(b)),
                PatientID=name, InstanceNumber=number % 3 + 1, Modality="MR",
                SOPInstanceUID=uid(name, number),
            )  # fmt: skip
    for number in range(3):
        write_image(
            folder / "mosaic" / f"{number}.dcm", PatientID="mosaic", InstanceNumber=number,
            ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"],
        )  # fmt: skip
    write_image(folder / "claim" / "1.dcm", PatientID="claim", NumberOfFrames=2_000_000_000)
    write_image(
        folder / "very many" / "1.dcm", PatientID="very many", NumberOfFrames=70_000,
        Rows=1, Columns=1, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes(70_000),
    )  # fmt: skip


Results = dict[tuple[str, str], dict[str, Any]]


def checked(warehouse: Warehouse, source: str) -> Results:
    """The result of each rule by patient and rule."""
    rows = warehouse.sql(f"""
        select images.PatientID, checks.*
        from series_checks checks
        join (select distinct source, series_key, PatientID from images) images
            using (source, series_key)
        where source = '{source}'
    """).to_dicts()  # fmt: skip
    return {(row["PatientID"], row["rule"]): row for row in rows}


@pytest.fixture(scope="module")
def cases(series: Warehouse) -> Results:
    return checked(series, "cases")


@pytest.mark.parametrize("case", CASES)
def test_rule_at_its_tolerance(cases: Results, case: str) -> None:
    rule, expected, images = CASES[case]
    row = cases[case, rule]
    found = row["severity"] if row["status"] == "fail" else row["status"]
    assert found == expected, row
    assert (row["message"] is not None) == (expected in ("E", "W", "I"))
    assert (row["n_offenders"] > 0) == (expected in ("E", "W", "I"))
    assert all(path.startswith(f"{case}/IM") for path in row["offenders"])
    assert row["n_offenders"] <= len(images)


COMPANIONS = {
    "missing_slices": {"missing_position", "type1_missing"},
    "sheared_stack": {"tilt_tag_mismatch"},
    "tilt_tag_mismatch": {"sheared_stack"},
    "duplicate_position": {"instance_number_duplicate"},
    "mixed_spacing": {"irregular_spacing"},
    "missing_position": {"type1_missing", "type1_empty"},
    "missing_orientation": {"type1_missing"},
    "non_volume_image": {"type1_missing"},
}
"""What may fail beside a rule: another side of the same deviation."""


def test_one_deviation_raises_no_other_error(cases: Results) -> None:
    found: dict[str, set[str]] = {}
    for (case, rule), row in cases.items():
        if row["status"] == "fail" and row["severity"] in ("E", "W"):
            found.setdefault(case, set()).add(rule)
    for case, (rule, expected, _) in CASES.items():
        if expected in ("E", "W"):
            assert found[case] - COMPANIONS.get(rule, set()) == {rule}, case


def test_clean_series_raise_neither_error_nor_warning(series: Warehouse) -> None:
    rows = series.sql("""
        select subject, rule, message from findings
        where source = 'clean' and severity <> 'I'
    """).to_dicts()  # fmt: skip
    assert rows == []
    (counts,) = series.sql("""
        select count(*) as stacks, 
            bool_and(is_volume = (repetition = 1)) as volumes,
            bool_and(is_regular = (repetition = 1 and gantry_tilt_degrees is null)) as regular,
            count(*) filter (repetition = 3) > 3 as repeated
        from series_geometry where source = 'clean'
    """).to_dicts()  # fmt: skip
    assert counts == {"stacks": CLEAN, "volumes": True, "regular": True, "repeated": True}


VOLUMES = {
    "missing_slices-0": "1 slice missing",
    "coverage_gap-0": "a gap of 305 mm",
    "coverage_gap-2": "a gap of 307.2 mm",
    "coverage_gap-8": "60 slices missing",
    "coverage_gap-10": "2 stacks",
    "mixed_spacing-4": "spacing from 1 to 3 mm",
    "irregular_spacing-1": None,
    "duplicate_position-0": "1 of 9 positions hold several images",
    "temporal_positions-0": "3 of 3 positions hold several images",
    "single_position-0": "one position",
    "sheared_stack-0": "sheared by 0.51 degrees",
    "sheared_stack-1": None,
    "sheared_stack-4": None,
    "sheared_stack-5": "sheared by 14 degrees",
    "in_plane_drift-0": "slices beside the line of the others",
    "multiple_stacks-0": "2 stacks",
    "multiple_stacks-4": "2 stacks",
    "missing_position-0": "1 image without a place; fails missing_position",
    "missing_position-6": "1 image without a place; fails missing_position",
    "missing_position-10": "2 images without a place; fails missing_position",
    "missing_position-11": (
        "4 of 4 positions hold several images; 1 image without a place; fails missing_position"
    ),
    "missing_orientation-2": "1 image without a place; fails missing_orientation",
    "missing_slices-14": "1 image without a place; 2 slices missing; fails missing_position",
    "missing_slices-15": "1 image without a place; 1 slice missing; fails missing_position",
    "missing_position-2": None,
    "missing_position-3": "no image has position and orientation",
    "orientation_not_orthonormal-0": "fails orientation_not_orthonormal",
    "orientation_not_orthonormal-2": None,
    "localizer_embedded-0": "fails localizer_embedded",
    "non_volume_image-0": "fails non_volume_image",
}
"""Why the images of a case do not form a volume; None where they are one."""


def test_a_series_is_a_volume_or_says_why_not(series: Warehouse) -> None:
    rows = series.sql("""
        select PatientID, why_not, is_volume from series where source = 'cases'
    """).to_dicts()  # fmt: skip
    found = {row["PatientID"]: row["why_not"] for row in rows}
    assert {case: found[case] for case in VOLUMES} == VOLUMES
    assert all(row["is_volume"] == (row["why_not"] is None) for row in rows)


def told(cases: Results, case: str) -> tuple[str, list[str]]:
    row = cases[case, CASES[case][0]]
    return row["message"], row["offenders"]


def test_messages_say_where_and_by_how_much(cases: Results) -> None:
    assert told(cases, "missing_slices-0") == (
        "1 slice missing between IM0002 and IM0003: step 19.1 mm where the spacing is 10 mm",
        ["missing_slices-0/IM0002", "missing_slices-0/IM0003"],
    )
    assert told(cases, "coverage_gap-0") == (
        "305 mm without a slice between IM0007 and IM0008, where the spacing is 5 mm",
        ["coverage_gap-0/IM0007", "coverage_gap-0/IM0008"],
    )
    assert told(cases, "mixed_spacing-4") == (
        "The slice spacing changes: 3 steps of 1 mm from IM0000 to IM0003, "
        "3 steps of 3 mm from IM0004 to IM0007",
        ["mixed_spacing-4/IM0004"],
    )
    assert told(cases, "irregular_spacing-2") == (
        "Step 1.021 mm between IM0001 and IM0002 where the spacing is 1 mm (and 1 more step)",
        ["irregular_spacing-2/IM0002"],
    )
    assert told(cases, "duplicate_position-0") == (
        "IM0005 and IM0006 lie at one position, told apart by AcquisitionNumber, InstanceNumber",
        ["duplicate_position-0/IM0005", "duplicate_position-0/IM0006"],
    )
    assert told(cases, "duplicate_position-4")[0] == (
        "IM0003 and IM0004 lie at one position, told apart by InstanceNumber"
    )
    assert told(cases, "duplicate_position-7")[0] == (
        "IM0000 and IM0003 lie at one position and nothing tells them apart (and 4 more images)"
    )
    assert told(cases, "multiple_stacks-4")[0] == (
        "2 stacks in one series, told apart by AcquisitionNumber: axial (5), axial (5)"
    )
    assert told(cases, "missing_slices-10")[0] == (
        "stack 2: 1 slice missing between IM0006 and IM0007: step 8 mm where the spacing is 4 mm"
    )
    assert told(cases, "incomplete_repetition-0") == (
        "Most positions hold 2 images, that of IM0002 holds 1",
        ["incomplete_repetition-0/IM0002"],
    )
    assert told(cases, "tilt_tag_mismatch-0")[0] == (
        "The stack is tilted by 14 degrees, GantryDetectorTilt says 13.49"
    )
    assert told(cases, "in_plane_drift-0") == (
        "IM0004 lies 0.11 mm off the line through the slices", ["in_plane_drift-0/IM0004"],
    )  # fmt: skip
    assert told(cases, "localizer_embedded-5") == (
        "1 localizer in the series, set aside: 1 beside the line of the other slices",
        ["localizer_embedded-5/IM0009"],
    )
    assert told(cases, "missing_position-0") == (
        "IM0003 has no ImagePositionPatient of three numbers, others of its series do",
        ["missing_position-0/IM0003"],
    )


def test_geometry_tells_planes_angles_and_programs(series: Warehouse) -> None:
    rows = {
        row["PatientID"]: row
        for row in series.sql("""
            select PatientID, g.* from series_geometry g
            join (select distinct source, series_key, PatientID from images)
                using (source, series_key)
            where source = 'cases' and stack = 1
        """).to_dicts()
    }  # fmt: skip
    gap = rows["missing_slices-0"]
    assert (gap["plane"], gap["oblique_degrees"]) == ("axial", pytest.approx(0))
    assert gap["gaps_between"] == ["IM0002 - IM0003"]
    assert (gap["spacing_median"], gap["spacing_mode"], gap["extent_mm"]) == (
        pytest.approx(10), 10, pytest.approx(49.1),
    )  # fmt: skip
    assert gap["spacing_deviation"] == pytest.approx(0.91)
    assert gap["spacing_verdicts"].startswith("fails in 3D Slicer, Flywheel,")
    assert rows["mixed_spacing-4"]["run_spacings"] == [1, 3]
    lean = rows["sheared_stack-4"]
    assert lean["shear_degrees"] == pytest.approx(14, abs=1e-3)
    assert lean["shear_mm"] == pytest.approx(90 * math.tan(math.radians(14)), abs=1e-3)
    assert (lean["is_regular"], lean["is_volume"]) == (False, True)
    # A spacing of more digits than a micrometre has.
    fine = rows["irregular_spacing-10"]
    assert fine["spacing_mode"] == pytest.approx(0.3125, abs=1e-9)
    assert "fails" not in fine["spacing_verdicts"]
    uneven = rows["irregular_spacing-3"]["spacing_verdicts"]
    assert uneven == (
        "passes in OHIF, dcm2niix, dicom-numpy, dicom2nifti; "
        "fails in 3D Slicer, Flywheel, IDC, SimpleITK/ITK, highdicom"
    )
    assert rows["incomplete_repetition-0"]["repeated_positions"] == 2
    # Nobody who sorts and subtracts gets past a step of nothing.
    assert "passes" not in rows["duplicate_position-0"]["spacing_verdicts"]
    assert rows["temporal_positions-0"]["spacing_verdicts"].startswith("passes in 3D Slicer, OHIF,")
    assert rows["multiple_stacks-4"]["grouped_by"] == "AcquisitionNumber"


def test_frames_of_enhanced_objects_pass_the_same_checks(series: Warehouse) -> None:
    results = checked(series, "multiframe")
    failed = {
        patient: {
            rule
            for (of, rule), row in results.items()
            if of == patient
            and row["status"] == "fail"
            and row["severity"] != "I"
            and not rule.startswith("type")  # the made-up objects hold little beside geometry
        }
        for patient, _ in results
    }
    assert failed == {
        "even": set(),
        "gap": {"missing_slices"},
        "times": set(),
        "a frame short": {"incomplete_repetition"},
        "twice": {"duplicate_position"},
        "two of FlipAngle": set(),
        "two of KVP": set(),
        "two of ConvolutionKernel": set(),
        "two objects": set(),
        "one place": set(),
        "two spacings": {"mixed_pixel_spacing", "mixed_slice_thickness"},
        "without planes": set(),
        "segments": set(),
        "two lesions": set(),
        "thinned out": set(),
        "lesions far apart": set(),
        "segments that meet": set(),
        "dose": {"missing_slices"},
        "dose by z": set(),
        **{name: {"frame_offsets_invalid"} for name in DOSES.keys() - {"dose", "dose by z"}},
        "nuclear": set(),
        "nuclear of fewer numbers": {"frame_offsets_invalid"},
        **{name: set() for name in B_VALUES},
        "mosaic": set(),
        "claim": {"multiframe_in_single_frame_class"},
        "very many": {"multiframe_in_single_frame_class"},
    }
    assert results["gap", "missing_slices"]["message"] == (
        "2 slices missing between 1.dcm frame 3 and 1.dcm frame 4: "
        "step 3 mm where the spacing is 1 mm"
    )
    assert results["gap", "missing_slices"]["offenders"] == ["gap/1.dcm"]
    assert results["times", "temporal_positions"]["measured"] == 3
    assert results["segments", "incomplete_repetition"]["severity"] == "I"
    assert results["two lesions", "missing_slices"]["measured"] == 2
    assert results["thinned out", "mixed_spacing"]["severity"] == "I"
    assert results["lesions far apart", "coverage_gap"]["severity"] == "I"
    assert results["segments that meet", "duplicate_position"]["severity"] == "I"
    assert results["b-values of GE", "temporal_positions"]["measured"] == 3
    assert results["one place", "single_position"]["severity"] == "I"
    assert results["two spacings", "mixed_pixel_spacing"]["offenders"] == ["two spacings/1.dcm"]
    assert results["without planes", "mixed_matrix"]["severity"] == "I"
    assert results["mosaic", "missing_slices"]["status"] == "not_applicable"


def test_offsets_of_a_dose_are_told(series: Warehouse) -> None:
    rows = series.sql("""
        select PatientID, severity, message, is_volume, why_not
        from findings join series using (source, series_key)
        where source = 'multiframe' and rule = 'frame_offsets_invalid'
    """).rows()  # fmt: skip
    unplaced, failed = "no image has position and orientation", "fails frame_offsets_invalid"
    has = "GridFrameOffsetVector has "
    assert {name: found for name, *found in rows} == {
        "nuclear of fewer numbers": [
            "E", "SliceVector has 3 slice numbers for 6 frames", False,
            f"3 images without a place; {failed}",
        ],
        "dose of fewer offsets": [
            "E", has + "3 offsets for 5 frames", False, f"2 images without a place; {failed}",
        ],
        "dose of more offsets": ["E", has + "6 offsets for 5 frames", False, failed],
        "dose without offsets": [
            "E", has + "0 offsets for 5 frames", False, f"{unplaced}; {failed}",
        ],
        "dose of empty offsets": [
            "E", has + "0 offsets for 5 frames", False, f"{unplaced}; {failed}",
        ],
        "dose of words": [
            "E", has + "1 offset without a number", False, f"1 image without a place; {failed}",
        ],
        "dose out of order": [
            "E", has + "offsets that neither rise nor fall from frame to frame", False, failed,
        ],
        "dose begun elsewhere": [
            "W", has + "a first offset of 5, which is neither 0 nor the z of an axial grid", True,
            None,
        ],
    }  # fmt: skip


def test_frames_have_positions_by_their_source(series: Warehouse) -> None:
    rows = series.sql("""
        select
            i.PatientID,
            geometry_source,
            list(f.ImagePositionPatient[3] order by f.path, frame) as z
        from frames f join images i using (source, file_id)
        where source = 'multiframe' and PatientID in ('gap', 'dose', 'nuclear', 'mosaic')
        group by all
    """).to_dicts()  # fmt: skip
    found = {row["PatientID"]: (row["geometry_source"], row["z"]) for row in rows}
    assert found == {
        "gap": ("functional_groups", [0, 1, 2, 5, 6, 7]),
        "dose": ("grid_frame_offset_vector", [1, -1.5, -4, -9, -11.5]),
        "nuclear": ("detector", [50, 46, 42, 50, 46, 42]),
        "mosaic": ("mosaic", [0, 1, 2]),
    }
    (claimed,) = series.sql("""
        select count(*) as n, max(f.frames) <= 65536 as is_bounded
        from frames f join images i using (source, file_id) where i.PatientID = 'claim'
    """).to_dicts()  # fmt: skip
    assert claimed["is_bounded"] and claimed["n"] > 1


def test_frames_beyond_the_bound_are_told(series: Warehouse) -> None:
    (found,) = series.sql("""
        select severity, measured, message from findings where rule = 'frames_not_listed'
    """).to_dicts()  # fmt: skip
    assert found == {
        "severity": "I",
        "measured": 70_000,
        "message": "NumberOfFrames is 70000; the table frames has the first 65536",
    }


def test_extreme_numbers_stop_nothing(series: Warehouse) -> None:
    results = checked(series, "extremes")
    written = {"bits", "slices", "groups", "many groups", "boxes"}
    assert {patient for patient, _ in results} == set(EXTREMES) | written
    assert results["numbers", "instance_number_gap"]["status"] == "fail"
    assert results["bits", "bits_inconsistent"]["status"] == "fail"
    (most,) = series.sql("""
        select max(frames) as n from frames where source = 'extremes' and path like '%groups/%'
    """).to_dicts()  # fmt: skip
    assert most == {"n": 1}
    assert results["one far", "missing_slices"]["status"] == "pass"
    assert results["one far", "irregular_spacing"]["status"] == "fail"
    assert results["long directions", "orientation_not_orthonormal"]["severity"] == "E"
    assert results["tags", "tilt_tag_mismatch"]["status"] == "fail"
    assert results["ever wider", "irregular_spacing"]["status"] == "fail"


def test_a_run_sets_tolerances_and_limits(tmp_path: Path) -> None:
    for name in ("missing_slices-0", "sheared_stack-0", "irregular_spacing-0"):
        write_series(tmp_path / "in" / name, CASES[name][2])
    tolerances = {"missing_slices": 0.05, "sheared_stack.mm": 5.0, "irregular_spacing": 0.02}
    settings = Settings((str(tmp_path / "in"),), tmp_path / "w", tolerances=tolerances)
    build_direct(settings, lambda line: None)
    with dicomhouse.open(tmp_path / "w") as warehouse:
        results = checked(warehouse, "in")
    missing = results["missing_slices-0", "missing_slices"]
    assert (missing["status"], missing["tolerance"]) == ("pass", 0.05)
    assert results["missing_slices-0", "irregular_spacing"]["status"] == "fail"
    assert results["sheared_stack-0", "sheared_stack"]["status"] == "pass"
    assert results["irregular_spacing-0", "irregular_spacing"]["status"] == "pass"


def test_grid_of_very_many_uneven_frames_is_no_work_without_end(tmp_path: Path) -> None:
    """Two lists of 20,000 offsets, joined to each frame or walked, would take minutes here."""
    random = Random(1)
    steps = [random.choice((1, 1.5, 2.25)) for _ in range(19_999)]
    offsets = "\\".join(f"{z:g}" for z in accumulate(steps, initial=0.0))
    write_image(
        tmp_path / "in" / "1",
        TransferSyntaxUID=ImplicitVRLittleEndian,  # the others' lengths end at 64 KB
        SOPClassUID=RTDoseStorage,
        Modality="RTDOSE",
        NumberOfFrames=20_000,
        GridFrameOffsetVector=offsets.encode(),
        Rows=1,
        Columns=1,
        PixelData=bytes(40_000),
    )
    settings = Settings((str(tmp_path / "in"),), tmp_path / "w")
    build_direct(settings, lambda line: None)
    with dicomhouse.open(tmp_path / "w") as warehouse:
        result = checked(warehouse, "in")["PATIENT", "mixed_spacing"]
        (last,) = warehouse.sql("select max(ImagePositionPatient[3]) z from frames").rows()
    assert (result["status"], result["severity"]) == ("fail", "I")
    assert result["message"].endswith("not looked for: 20000 positions are too many")
    assert last == (pytest.approx(1 + sum(steps), rel=1e-4),)


@pytest.mark.parametrize(
    "tolerances",
    [
        {"missing_slice": 0.1},
        {"file_empty": 1},
        {"missing_slices": math.nan},
        {"sheared_stack": -1},
    ],
)
def test_what_is_no_tolerance_is_refused(tmp_path: Path, tolerances: dict[str, float]) -> None:
    settings = Settings((str(tmp_path),), tmp_path / "w", tolerances=tolerances)
    with pytest.raises(UsageError, match="tolerance"):
        build_direct(settings, lambda line: None)
    assert not (tmp_path / "w").exists()
