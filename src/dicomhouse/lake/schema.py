"""The lake's contract: the columns of its three tables, as plain Arrow types.

`source` and `Modality` are partitions (folders), never columns inside the files.
"""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from dicomhouse.standard.dictionary import Attribute, attribute, attribute_of_keyword

_text = pa.dictionary(pa.int32(), pa.string())
_time = pa.timestamp("us")  # UTC

FILES = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("folder", pa.string(), nullable=False),
        pa.field("patient_folder", pa.string(), nullable=False),
        pa.field("image_name", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("modified_at", _time),
        pa.field("file_id", pa.int64(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("SOPInstanceUID", pa.string()),
        pa.field("TransferSyntaxUID", pa.string()),
        pa.field("run_id", pa.string(), nullable=False),
    ]
)

KEYS = [
    pa.field("patient_key", pa.string()),
    pa.field("study_key", pa.string()),
    pa.field("series_key", pa.string()),
]
"""The entities a file belongs to; null for files that are not images."""

ELEMENTS = pa.schema(
    [
        pa.field("file_id", pa.int64(), nullable=False),
        *KEYS,
        pa.field("position", pa.int32(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("tag", pa.string(), nullable=False),
        pa.field("keyword", pa.string()),
        pa.field("private_creator", pa.string()),
        pa.field("depth", pa.int32(), nullable=False),
        pa.field("vr", pa.string(), nullable=False),
        pa.field("vr_file", pa.string(), nullable=False),
        pa.field("vm", pa.int32(), nullable=False),
        pa.field("value", pa.string()),
        pa.field("number", pa.float64()),
        pa.field("n_bytes", pa.int64()),
        pa.field("digest", pa.string()),
        pa.field("problem", pa.string()),
        pa.field("problem_class", pa.string()),
        pa.field("structural", pa.bool_(), nullable=False),
    ]
)

VALUE_COUNTS = pa.schema(
    [
        *KEYS,
        pa.field("path", pa.string(), nullable=False),
        pa.field("tag", pa.string(), nullable=False),
        pa.field("vr", pa.string(), nullable=False),
        pa.field("vm", pa.int32(), nullable=False),
        pa.field("content", pa.string()),
        pa.field("is_bulk", pa.bool_(), nullable=False),
        pa.field("is_unread", pa.bool_(), nullable=False),
        pa.field("is_invalid", pa.bool_(), nullable=False),
        pa.field("has_empty", pa.bool_(), nullable=False),
        pa.field("elements", pa.int32(), nullable=False),
        pa.field("items", pa.int64(), nullable=False),
        pa.field("number_min", pa.float64()),
        pa.field("number_max", pa.float64()),
        pa.field("number_mean", pa.float64()),
        pa.field("images", pa.int64(), nullable=False),
        pa.field("example_file_id", pa.int64(), nullable=False),
    ]
)
"""Of what an image says at a path (`counts.value_counts`), how many images of its lineage say it.

`content` is a text, a sequence's number of items, or bulk data's length and digest; null when
empty. Of several `elements` these are joined by U+001F, `tag` and `vr` are the least, `vm` is the
largest, and `number_max` and `number_mean` are given too. A row may come again, in the same part
and in others.
"""

IMAGE_LINEAGE = pa.schema(
    [
        pa.field("file_id", pa.int64(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("folder", pa.string(), nullable=False),
        pa.field("patient_folder", pa.string(), nullable=False),
        pa.field("image_name", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("modified_at", _time),
        pa.field("status", pa.string(), nullable=False),
        *KEYS,
        pa.field("pixel_bytes", pa.int64()),
        pa.field("expected_pixel_bytes", pa.int64()),
    ]
)

CORE = (
    # Those that models name,
    "PatientID", "IssuerOfPatientID", "PatientName", "PatientSex", "PatientBirthDate",
    "StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription",
    "AccessionNumber", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "SeriesDate",
    "FrameOfReferenceUID", "SOPInstanceUID", "SOPClassUID", "TransferSyntaxUID",
    "MediaStorageSOPInstanceUID", "MediaStorageSOPClassUID", "InstanceNumber",
    "AcquisitionNumber", "EchoTime", "TriggerTime", "TemporalPositionIdentifier",
    "DiffusionBValue", "DiffusionGradientOrientation", "ImageType", "Manufacturer",
    "ManufacturerModelName",
    "BodyPartExamined", "PatientPosition", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "SliceLocation",
    "GantryDetectorTilt", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel",
    "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "RescaleType", "ConvolutionKernel",
    "KVP", "PatientIdentityRemoved", "DeidentificationMethod", "AcquisitionTime",
    "NominalPercentageOfCardiacPhase", "FrameReferenceTime", "ImageIndex", "ConcatenationUID",
    "BurnedInAnnotation", "RecognizableVisualFeatures", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "SmallestImagePixelValue", "LargestImagePixelValue",
    "ModalityLUTSequence", "DoseGridScaling", "PatientAge", "ExposureTime", "XRayTubeCurrent",
    "Exposure", "CTDIvol", "ImageAndFluoroscopyAreaDoseProduct", "OrganDose",
    "SeriesTime", "ProtocolName", "Laterality", "MagneticFieldStrength", "InstitutionName",
    "StationName", "DeviceSerialNumber", "SoftwareVersions",
    # what else is asked of patients, studies, series and images,
    "PatientSize", "PatientWeight", "ReferringPhysicianName", "AcquisitionDate",
    "AcquisitionDateTime", "ContentDate", "ContentTime", "InstanceCreationDate",
    "SpecificCharacterSet", "LongitudinalTemporalInformationModified", "ImageLaterality",
    "ViewPosition", "WindowCenter", "WindowWidth", "PixelAspectRatio", "PlanarConfiguration",
    "ImagerPixelSpacing", "LossyImageCompression", "LossyImageCompressionRatio",
    "TotalPixelMatrixColumns", "TotalPixelMatrixRows", "ContrastBolusAgent",
    "ContrastBolusIngredient", "ContrastBolusRoute",
    # of CT and other X-rays,
    "ScanOptions", "FilterType", "DataCollectionDiameter", "ReconstructionDiameter",
    "SpiralPitchFactor", "SingleCollimationWidth", "TotalCollimationWidth", "TableHeight",
    "RotationDirection", "DistanceSourceToDetector", "DistanceSourceToPatient", "ExposureIndex",
    "TargetExposureIndex", "DeviationIndex", "BodyPartThickness", "CompressionForce",
    # of MR,
    "ScanningSequence", "SequenceVariant", "SequenceName", "MRAcquisitionType", "RepetitionTime",
    "InversionTime", "EchoNumbers", "EchoTrainLength", "FlipAngle", "NumberOfAverages",
    "PixelBandwidth", "ImagingFrequency", "ImagedNucleus", "ReceiveCoilName",
    "NumberOfTemporalPositions",
    # of PET.
    "SeriesType", "Units", "DecayCorrection", "CorrectedImage", "RandomsCorrectionMethod",
    "ReconstructionMethod", "ScatterCorrectionMethod", "AttenuationCorrectionMethod",
    "ActualFrameDuration", "NumberOfSlices", "NumberOfTimeSlices",
    "RadiopharmaceuticalInformationSequence",
)  # fmt: skip
"""Attributes that are columns of `images` in every warehouse, with nulls where no file has them: a
query that was written for one runs on every other. Those of CT, MR and PET are what the indices of
the Imaging Data Commons (`ct_index`, `mr_index`, `pt_index`, `contrast_index`) are made from.
"""

_ARROW_OF_VR: dict[str, pa.DataType] = {
    "DS": pa.float64(), "FL": pa.float64(), "FD": pa.float64(),
    "IS": pa.int64(), "US": pa.int64(), "SS": pa.int64(), "UL": pa.int64(),
    "SL": pa.int64(), "SV": pa.int64(), "US or SS": pa.int64(), "UV": pa.uint64(),
    "DA": pa.date32(), "TM": pa.time64("us"), "DT": pa.timestamp("us"),
}  # fmt: skip
_NO_COLUMN = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "US or OW", "NONE"})


def image_type(attribute: Attribute) -> pa.DataType | None:
    """The type of an attribute's column in `images`, or None where it has none.

    It follows from the dictionary's VR and VM alone, never from the data.
    """
    if attribute.vr in _NO_COLUMN or " or OW" in attribute.vr:
        return None
    if attribute.vr == "SQ":
        return pa.string()
    value = _ARROW_OF_VR.get(attribute.vr, pa.string())
    return value if attribute.vm == "1" else pa.list_(value)


_FUNCTIONAL_GROUPS = frozenset({0x52009229, 0x52009230})


def image_column(tag: int) -> Attribute | None:
    """The attribute of a top-level tag that has a column in `images`; None for the others."""
    entry = attribute(tag)
    if entry is None or not entry.keyword or entry.keyword == "Modality":
        return None
    return None if tag in _FUNCTIONAL_GROUPS or image_type(entry) is None else entry


@cache
def core() -> pa.Schema:
    """The typed columns of attributes that every warehouse has."""
    fields = []
    for keyword in CORE:
        attribute = attribute_of_keyword(keyword)
        assert attribute is not None, keyword
        fields.append(pa.field(keyword, image_type(attribute)))
    return pa.schema(fields)
