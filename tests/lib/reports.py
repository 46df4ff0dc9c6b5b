"""Files whose report shows what reports must show, and hide."""

from __future__ import annotations

from pathlib import Path

from dicomhouse.testing import build_cohort, write_image

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
PLANTED = (
    "Plantedname", "PLANTEDNAME", "PLANTED-ID-7", "19631122", "plantedfolder", "Planted Clinic",
    "planted description", "planted comment", "planted station", "plantedtext.txt",
)  # fmt: skip
"""What may identify, in names of files and folders too. PLANTEDNAME stands where codes do."""


def write_reported(folder: Path) -> None:
    """A source of a cohort with a gap, and one of identifying and hostile values.

    `write_later` adds to it what a second run finds.
    """
    build_cohort(folder / "cohort", patients=3, slices=60, defects=[("missing_slice", 1)])
    planted = folder / "planted"
    for number in range(1, 4):
        _write_planted(planted, number)
    for number in range(1, 3):
        write_image(
            planted / "hostile" / f"{number}.dcm", PatientName=HOSTILE[:60], PatientID="H",
            SeriesDescription=HOSTILE, InstanceNumber=number, SpecificCharacterSet="ISO_IR 192",
            StudyDescription="\u202egpj\u200b\N{IDEOGRAPHIC SPACE}\N{CJK UNIFIED IDEOGRAPH-5C71}",
        )  # fmt: skip
    for number in range(1, 4):  # a volume by its headers, whose pixels are cut short
        write_image(
            planted / "short" / f"{number}.dcm", PatientID="S", InstanceNumber=number,
            PixelData=b"\0\0",
        )  # fmt: skip
    (planted / "plantedtext.txt").write_text("no image")


def write_later(folder: Path) -> None:
    """One more image of the patient with planted values."""
    _write_planted(folder / "planted", 4)


def _write_planted(folder: Path, number: int) -> None:
    write_image(
        folder / "plantedfolder" / f"{number}.dcm", PatientName="Plantedname^Anna",
        PatientID="PLANTED-ID-7", PatientBirthDate="19631122", InstanceNumber=number,
        InstitutionName="Planted Clinic", SeriesDescription="planted description",
        ImageComments="planted comment", BodyPartExamined="PLANTEDNAME", Modality="PLANTEDNAME",
        StationName="planted station",
    )  # fmt: skip
