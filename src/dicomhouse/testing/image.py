"""One CT image for a test: valid by default, and off by exactly what the test names."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import correct_ambiguous_vr, dcmwrite
from pydicom.tag import Tag
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import BYTES_VR, VR

from .series import decimal, element, elements, phantom, tag, uid
from .template import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


def dataset_bytes(*others: DataElement, **overrides: Any) -> bytes:
    """A Part 10 file of one CT slice, 16 x 16, 1 mm from its neighbours.

    Each override is a DICOM keyword, of group 0002 too; its value is written as it is, valid or
    not, and None removes the element. Bytes are the value field itself, whatever the VR: text
    that is not a number in a DS, an odd length. `others` are elements without a keyword: private
    ones, or ones with an odd VR.

    What is not overridden follows: study, series and frame of reference UIDs from PatientID,
    the series UID from SeriesNumber too, SOPInstanceUID and position (z in mm) from
    InstanceNumber, meta UIDs from SOPClassUID and SOPInstanceUID, PixelData from Rows and
    Columns. So `InstanceNumber=1, 2, 3...` gives a series. Encapsulated pixels are the caller's.

    An unknown keyword is a ValueError.
    """
    defaults = _defaults(overrides)
    dataset = elements({k: v for k, v in defaults.items() if k not in overrides})
    meta = FileMetaDataset()
    meta.update(
        elements(
            {
                "FileMetaInformationGroupLength": 0,  # counted when it is written
                "FileMetaInformationVersion": b"\0\1",
                "MediaStorageSOPClassUID": overrides.get("SOPClassUID") or CTImageStorage,
                "MediaStorageSOPInstanceUID": overrides.get("SOPInstanceUID")
                or defaults["SOPInstanceUID"],
                "TransferSyntaxUID": ExplicitVRLittleEndian,
                "ImplementationClassUID": IMPLEMENTATION_CLASS_UID,
                "ImplementationVersionName": IMPLEMENTATION_VERSION_NAME,
            }
        )
    )
    for keyword, value in overrides.items():
        home: Dataset = meta if tag(keyword) >> 16 == 2 else dataset
        if value is None:
            home.pop(tag(keyword), None)
        else:
            home[tag(keyword)] = _element(keyword, value)
    for other in others:
        dataset.add(other)

    dataset.file_meta = meta
    dataset.preamble = b"\0" * 128
    syntax = UID(meta.get("TransferSyntaxUID", ExplicitVRLittleEndian))
    implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
    correct_ambiguous_vr(dataset, little)
    # pydicom writes raw elements as they are only where it takes the encoding for unchanged.
    dataset.set_original_encoding(implicit, little, dataset._character_set)
    buffer = BytesIO()
    with config.disable_value_validation():
        if "TransferSyntaxUID" in meta:
            dcmwrite(buffer, dataset)
        else:
            dcmwrite(buffer, dataset, implicit_vr=implicit, little_endian=little)
    return buffer.getvalue()


def _element(keyword: str, value: Any) -> DataElement | RawDataElement:
    if not isinstance(value, bytes) or dictionary_VR(keyword) in BYTES_VR | {VR.OB_OW}:
        return element(keyword, value)
    number = Tag(tag(keyword))
    return RawDataElement(number, dictionary_VR(number), len(value), value, 0, False, True)


def write_image(path: str | Path, *others: DataElement, **overrides: Any) -> Path:
    """Write `dataset_bytes` to `path`, making its folders; give the path back."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dataset_bytes(*others, **overrides))
    return path


def _defaults(overrides: dict[str, Any]) -> dict[str, Any]:
    """Every attribute of types 1 and 2 of a CT image, as the overrides leave it."""

    def chosen(keyword: str, otherwise: Any, *kinds: type) -> Any:
        value = overrides.get(keyword)
        return value if isinstance(value, kinds) else otherwise

    patient = chosen("PatientID", "PATIENT", str)
    series_number = chosen("SeriesNumber", "1", str, int)
    number = chosen("InstanceNumber", "1", str, int)
    rows, columns = chosen("Rows", 16, int), chosen("Columns", 16, int)
    z = decimal(float(number)) if str(number).strip().lstrip("-").isdecimal() else "0"
    series = uid("image", patient, series_number)
    return {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": uid(series, number),
        "StudyDate": "20200131",
        "StudyTime": "120000",
        "AccessionNumber": "",
        "Modality": "CT",
        "Manufacturer": "dicomhouse",
        "ReferringPhysicianName": "",
        "PatientName": "Sample^Sam",
        "PatientID": patient,
        "PatientBirthDate": "",
        "PatientSex": "",
        "SliceThickness": "1",
        "KVP": "120",
        "PatientPosition": "HFS",
        "StudyInstanceUID": uid("image", patient, "study"),
        "SeriesInstanceUID": series,
        "StudyID": "",
        "SeriesNumber": series_number,
        "AcquisitionNumber": "1",
        "InstanceNumber": number,
        "ImagePositionPatient": ["-7.5", "-7.5", z],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "FrameOfReferenceUID": uid("image", patient, "frame"),
        "PositionReferenceIndicator": "",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "PixelSpacing": ["1", "1"],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "PixelData": phantom(rows, columns),
    }
