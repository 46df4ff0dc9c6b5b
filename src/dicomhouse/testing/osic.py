"""Headers in the shape of the OSIC training set: one anonymised CT series a patient.

Every header has 46 filled elements beside PixelData (group 0002 not counted), of which SOP
instance UID, instance number, position, slice location, tube current, generator power and both
windows differ from image to image. Four scanners' protocols take turns; they differ in which
elements are absent, not in their number. SeriesNumber, StudyDate and AccessionNumber are absent.
"""

from __future__ import annotations

from typing import Any

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from .series import Series, Shape, chance, decimal, elements, stack_values, tag, tube_current, uid

SHARED: dict[str, Any] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "SOPClassUID": CTImageStorage,
    "Modality": "CT",
    "PatientSex": "",
    "DeidentificationMethod": "Table;",
    "BodyPartExamined": "Chest",
    "KVP": "120",
    "RotationDirection": "CW",
    "FocalSpots": "1.2",
    "PatientPosition": "FFS",
    "RevolutionTime": 0.5,
    "SingleCollimationWidth": 0.6,
    "TotalCollimationWidth": 38.4,
    "TableSpeed": 46.0,
    "TableFeedPerRotation": 23.0,
    "SpiralPitchFactor": 0.6,
    "StudyID": "",
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "PositionReferenceIndicator": "",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "PixelPaddingValue": 0,
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RescaleType": "HU",
}

PROTOCOLS: tuple[dict[str, Any], ...] = (
    {
        "Manufacturer": "SIEMENS",
        "ManufacturerModelName": "Definition AS",
        "ConvolutionKernel": "B70f",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"],
        "SpacingBetweenSlices": None,
        "PixelPaddingValue": None,
    },
    {
        "Manufacturer": "GE MEDICAL SYSTEMS",
        "ManufacturerModelName": "LightSpeed VCT",
        "ConvolutionKernel": "BONE",
        "PositionReferenceIndicator": "SN",
        "BitsStored": 16,
        "HighBit": 15,
        "RescaleType": "US",
        "SpacingBetweenSlices": None,
        "TableFeedPerRotation": None,
        "SpiralPitchFactor": None,
    },
    {
        "Manufacturer": "Philips",
        "ManufacturerModelName": "iCT 256",
        "ConvolutionKernel": "YC",
        "FocalSpots": None,
        "PixelPaddingValue": None,
    },
    {
        "SpecificCharacterSet": "ISO_IR 100",
        "Manufacturer": "TOSHIBA",
        "ManufacturerModelName": "Aquilion",
        "ConvolutionKernel": "FC51",
        "KVP": "100",
        "SpacingBetweenSlices": None,
        "PixelPaddingValue": None,
        "TableSpeed": None,
    },
)


def patient_folder(seed: int, patient: int) -> str:
    """A name of 25 characters, as the set's own, that sorts by the patient's number."""
    return f"ID000{patient:06d}{chance('osic', seed, patient).randrange(10**14):014d}"


def patient_series(seed: int, patient: int, shape: Shape) -> list[Series]:
    """The one series of a patient."""
    name = patient_folder(seed, patient)
    random = chance("osic", seed, patient, "scan")
    spacing = random.choice((0.625, 1.0, 1.25, 2.0, 2.5, 5.0, 10.0))
    pixel_spacing = random.randrange(580, 900) / 1000
    if shape.is_chest:
        pixel_spacing *= 512 / shape.columns  # as wide as a chest, whatever the matrix
    mean_current = random.randrange(150, 450)
    series_uid = uid("osic", seed, name, "series")

    images = stack_values(
        shape, series_uid, pixel_spacing, -spacing, first_z=random.randrange(-100, 400)
    )
    for k, image in enumerate(images):
        current = tube_current(k, mean_current)
        image[tag("XRayTubeCurrent")] = b"%d" % current
        image[tag("GeneratorPower")] = b"%d" % (current * 120 // 1000)
        image[tag("WindowCenter")] = b"%d" % (-600 + 5 * (k % 7))
        image[tag("WindowWidth")] = b"%d" % (1500 + 10 * (k % 11))

    header = SHARED | {
        "PatientName": name,
        "PatientID": name,
        "SliceThickness": decimal(min(spacing, 1.25)),
        "SpacingBetweenSlices": decimal(spacing),
        "TableHeight": decimal(random.randrange(1200, 1800) / 10),
        "StudyInstanceUID": uid("osic", seed, name, "study"),
        "SeriesInstanceUID": series_uid,
        "FrameOfReferenceUID": uid("osic", seed, name, "frame"),
        "Rows": shape.rows,
        "Columns": shape.columns,
        "PixelSpacing": [decimal(pixel_spacing)] * 2,
    }
    header |= PROTOCOLS[patient % len(PROTOCOLS)]
    dataset = elements(header)
    return [Series(name, dataset, ExplicitVRLittleEndian, images, spacing)]
