"""What dose reports and image headers say of exposures, and which series refer to which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from building import build_tables
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, RTStructureSetStorage, XRayRadiationDoseSRStorage

import dicomhouse
from dicomhouse.reader import Warehouse
from dicomhouse.settings import Settings
from dicomhouse.testing import write_image
from dicomhouse.testing.series import uid

NO_IMAGE = {"Rows": None, "Columns": None, "PixelData": None, "KVP": None}


def one(**attributes: Any) -> Sequence:
    """A sequence of one item."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return Sequence([made])


def coded(value: str, meaning: str, scheme: str = "DCM") -> Sequence:
    return one(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def item(concept: str, kind: str, *content: Dataset, **attributes: Any) -> Dataset:
    if content:
        attributes["ContentSequence"] = Sequence(content)
    names = {"ConceptNameCodeSequence": coded(concept, "a concept")}
    return one(RelationshipType="CONTAINS", ValueType=kind, **names, **attributes)[0]


def number(concept: str, value: float, unit: str) -> Dataset:
    units = coded(unit, unit, "UCUM")
    measured = one(NumericValue=str(value), MeasurementUnitsCodeSequence=units)
    return item(concept, "NUM", MeasuredValueSequence=measured)


def image(instance: str) -> Sequence:
    return one(ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID=instance)


CT_EVENT = item(
    "113819", "CONTAINER",
    item("113769", "UIDREF", UID="1.2.3.1"),
    item("111526", "DATETIME", DateTime="202001+0100"),
    item("125203", "TEXT", TextValue="Thorax"),
    item("113820", "CODE", ConceptCodeSequence=coded("P5-08001", "Spiral Acquisition", "SRT")),
    item(
        "113822", "CONTAINER",
        number("113824", 2.5, "s"),
        number("113825", 300, "mm"),
        item("113831", "CONTAINER", number("113733", 120, "kV"), number("113734", 90, "mA")),
        item("113831", "CONTAINER", number("113733", 140, "kV"), number("113734", 60, "mA")),
    ),
    item(
        "113829", "CONTAINER",
        number("113830", 7.5, "mGy"),
        number("113838", 225, "mGycm"),  # as scanners write it
        item("113900", "CONTAINER", number("113904", 99, "mGy")),  # an alert's level is no dose
    ),
)  # fmt: skip

XRAY_EVENT = item(
    "113706", "CONTAINER",
    item("113769", "UIDREF", UID="1.2.3.2"),
    item("111526", "DATETIME", DateTime="20200131102030.250+0100"),
    item("113721", "CODE", ConceptCodeSequence=coded("P5-06000", "Fluoroscopy", "SRT")),
    number("122130", 0.00025, "Gy.m2"),
    number("113738", 0.0125, "Gy"),
    number("113733", 80, "furlong"),
)  # fmt: skip

TOTAL = item("113811", "CONTAINER", number("113813", 225, "mGy.cm"))


def write_report(path: Path, **attributes: Any) -> None:
    write_image(
        path, SOPClassUID=XRayRadiationDoseSRStorage, Modality="SR", **NO_IMAGE, **attributes,
        ContentSequence=Sequence([TOTAL, CT_EVENT, XRAY_EVENT]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("dose")
    source = folder / "in"
    report = {"PatientID": "A", "SeriesNumber": 9}
    write_report(source / "report-1.dcm", **report, InstanceNumber=1)
    write_report(source / "report-2.dcm", **report, InstanceNumber=2)  # sent again
    for n, dose in enumerate((0.3, 0.2, 0.1), 1):  # added up in this order it is less
        write_image(
            source / f"ct-{n}.dcm", PatientID="A", SeriesNumber=1, InstanceNumber=n, KVP="120",
            XRayTubeCurrent=str(80 + 20 * n), ExposureTime="500", CTDIvol=dose,
            SOPInstanceUID=uid("slice", n),
        )  # fmt: skip
    write_image(
        source / "dx.dcm", PatientID="B", Modality="DX", KVP=None,
        ImageAndFluoroscopyAreaDoseProduct="2.5",
    )  # fmt: skip
    series = one(
        SeriesInstanceUID=uid("another series"), ContourImageSequence=image(uid("another slice"))
    )
    study = one(RTReferencedSeriesSequence=series)
    line = one(ContourImageSequence=image(uid("slice", 1)))
    write_image(
        source / "rtstruct.dcm", SOPClassUID=RTStructureSetStorage, Modality="RTSTRUCT",
        PatientID="A", SeriesNumber=5, **NO_IMAGE,
        ReferencedFrameOfReferenceSequence=one(RTReferencedStudySequence=study),
        ROIContourSequence=one(ContourSequence=line),
    )  # fmt: skip
    build_tables(Settings((str(source),), folder / "w"), ["dose", "series_references"])
    with dicomhouse.open(folder / "w") as opened:
        yield opened


def test_events_of_reports_have_what_the_report_says(warehouse: Warehouse) -> None:
    found = warehouse.sql("""
        select kind, event_uid, is_repeated, protocol, acquisition_type, started_at::varchar as at,
            kvp_kv, tube_current_ma, exposure_time_ms, scanning_length_mm, ctdi_vol_mgy, dlp_mgy_cm,
            dose_area_product_gy_cm2, reference_point_dose_mgy, problem
        from dose where origin = 'report' order by is_repeated, kind
    """).rows()  # fmt: skip
    ct = (
        *("Thorax", "Spiral Acquisition", "2020-01-01 00:00:00", 140, 90, 2500, 300, 7.5, 225),
        *(None, None, None),
    )
    problem = "unknown unit of kvp_kv"
    xray = (
        *(None, "Fluoroscopy", "2020-01-31 10:20:30", None, None, None, None, None, None),
        *(pytest.approx(2.5), pytest.approx(12.5), problem),
    )
    assert found == [
        ("CT", "1.2.3.1", False, *ct), ("projection", "1.2.3.2", False, *xray),
        ("CT", "1.2.3.1", True, *ct), ("projection", "1.2.3.2", True, *xray),
    ]  # fmt: skip


def test_series_have_what_their_images_state(warehouse: Warehouse) -> None:
    found = warehouse.sql("""
        select kind, images, kvp_kv, tube_current_ma, exposure_time_ms, ctdi_vol_mgy, dlp_mgy_cm,
            dose_area_product_gy_cm2, is_repeated
        from dose where origin = 'image' order by kind
    """).rows()  # fmt: skip
    assert found == [
        ("CT", 3, 120, 120, 500, (0.1 + 0.2 + 0.3) / 3, None, None, False),
        ("projection", 1, None, None, None, None, None, 0.25, False),
    ]


def test_structure_set_refers_to_series_here_and_not(warehouse: Warehouse) -> None:
    found = warehouse.sql("""
        select kind, referenced_modality, instances, instances_here, is_resolved,
            referenced_series_uid
        from series_references where Modality = 'RTSTRUCT' order by is_resolved
    """).rows()  # fmt: skip
    assert found == [
        ("contour", None, 1, 0, False, uid("another series")),
        ("contour", "CT", 1, 1, True, uid("image", "A", 1)),
    ]
