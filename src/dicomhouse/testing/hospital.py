"""Headers in the shape of a hospital's archive: made-up people, about 150 elements an image
at top level, and 165 to 182 with those in sequences.

Every patient has a CT study of two series and an MR study of one. Patients take turns: Siemens
scanners write explicit VR and sequences of undefined length among others, GE scanners implicit
VR; both write private blocks, and sequences nested two deep. Each series has a folder of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)

from .series import (
    Series,
    Shape,
    chance,
    decimal,
    element,
    elements,
    stack_values,
    tag,
    tube_current,
    uid,
)

PEOPLE = (
    ("ISO_IR 100", "Müller^Käthe^^Dr.", "F"),
    ("ISO_IR 192", "Šimić^Łucja", "F"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "M"),
    ("ISO_IR 100", "Dubois^Hélène^Zoë", "F"),
    ("ISO_IR 6", "Sample^Sam^Q", "O"),
)

SHARED: dict[str, Any] = {
    "InstitutionName": "St. Example Hospital",
    "InstitutionAddress": "1 Sample Road, Exampleton",
    "InstitutionalDepartmentName": "Radiology",
    "ReferringPhysicianName": "Referrer^Rita",
    "PerformingPhysicianName": "Performer^Paul",
    "OperatorsName": "Operator^Olga",
    "PhysiciansOfRecord": "Recorder^Rob",
    "NameOfPhysiciansReadingStudy": "Reader^Rosa",
    "TimezoneOffsetFromUTC": "+0100",
    "OtherPatientIDs": ["X-1", "X-2"],
    "PatientAddress": "",
    "PatientComments": "",
    "EthnicGroup": "",
    "PregnancyStatus": 4,
    "PatientIdentityRemoved": "NO",
    "BurnedInAnnotation": "NO",
    "LossyImageCompression": "00",
    "PositionReferenceIndicator": "",
    "PatientPosition": "HFS",
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "SmallestImagePixelValue": 0,
    "WindowCenterWidthExplanation": ["WINDOW1", "WINDOW2"],
    "RequestingPhysician": "Requester^Ron",
    "RequestingService": "Pneumology",
    "RequestedProcedureDescription": "Thorax and more",
    "AdmissionID": "ADM-1",
    "CurrentPatientLocation": "Ward 7",
    "PerformedStationName": "ROOM1",
    "PerformedLocation": "",
    "PerformedProcedureStepStartDate": "20190314",
    "PerformedProcedureStepStartTime": "083000.000000",
    "PerformedProcedureStepEndDate": "20190314",
    "PerformedProcedureStepEndTime": "084500.000000",
    "PerformedProcedureStepStatus": "COMPLETED",
    "PerformedProcedureStepID": "PPS-1",
    "PerformedProcedureStepDescription": "Thorax",
    "CommentsOnThePerformedProcedureStep": "",
    "ConfidentialityCode": "",
    "StudyPriorityID": "ROUTINE",
    "ReasonForStudy": "Follow-up",
}

CT: dict[str, Any] = {
    "SOPClassUID": CTImageStorage,
    "Modality": "CT",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "StudyDescription": "CT Thorax",
    "BodyPartExamined": "CHEST",
    "ScanOptions": "HELICAL MODE",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "ReconstructionDiameter": "360",
    "DistanceSourceToDetector": "1085.6",
    "DistanceSourceToPatient": "595",
    "GantryDetectorTilt": "0",
    "TableHeight": "144.5",
    "RotationDirection": "CW",
    "ExposureTime": "500",
    "FilterType": "WEDGE_3",
    "GeneratorPower": "36",
    "FocalSpots": "1.2",
    "DateOfLastCalibration": "20190301",
    "TimeOfLastCalibration": "070000",
    "ContrastBolusAgent": "APPLIED",
    "ContrastBolusRoute": "IV",
    "SingleCollimationWidth": 0.6,
    "TotalCollimationWidth": 38.4,
    "TableSpeed": 46.0,
    "TableFeedPerRotation": 23.0,
    "SpiralPitchFactor": 0.6,
    "ExposureModulationType": "XYZ_EC",
    "EstimatedDoseSaving": 12.5,
    "CTDIvol": 7.25,
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RescaleType": "HU",
}

MR: dict[str, Any] = {
    "SOPClassUID": MRImageStorage,
    "Modality": "MR",
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
    "StudyDescription": "MR Abdomen",
    "BodyPartExamined": "ABDOMEN",
    "ScanningSequence": "SE",
    "SequenceVariant": ["SK", "SP"],
    "ScanOptions": "FS",
    "MRAcquisitionType": "2D",
    "SequenceName": "*tse2d1_15",
    "AngioFlag": "N",
    "RepetitionTime": "4500",
    "EchoTime": "98",
    "NumberOfAverages": "2",
    "ImagingFrequency": "63.68",
    "ImagedNucleus": "1H",
    "EchoNumbers": "1",
    "MagneticFieldStrength": "1.5",
    "NumberOfPhaseEncodingSteps": "384",
    "EchoTrainLength": "15",
    "PercentSampling": "80",
    "PercentPhaseFieldOfView": "81.25",
    "PixelBandwidth": "130",
    "TransmitCoilName": "Body",
    "AcquisitionMatrix": [0, 320, 256, 0],
    "InPlanePhaseEncodingDirection": "ROW",
    "FlipAngle": "150",
    "VariableFlipAngleFlag": "N",
    "SAR": "1.2",
    "dBdt": "0",
    "TriggerTime": "0",
    "TemporalPositionIdentifier": "1",
    "NumberOfTemporalPositions": "1",
    "TemporalResolution": "0",
}

# Private blocks: group, creator, and (low byte of the element, VR, value). pydicom knows them all,
# so that implicit VR reads back with the same VR.
Block = tuple[int, str, Sequence[tuple[int, str, Any]]]

SIEMENS_CT: tuple[Block, ...] = (
    (
        0x0019,
        "SIEMENS CT VA0  COAD",
        (
            (0x10, "IS", "120"),
            (0x11, "IS", "860"),
            (0x20, "IS", "672"),
            (0x22, "DS", "1.0947"),
            (0x23, "DS", "336.5"),
            (0x52, "DS", "23"),
            (0x54, "DS", "0.5"),
            (0x65, "UL", 12),
            (0x80, "CS", "BODY"),
            (0x82, "CS", "ADULT"),
            (0xA4, "DS", "1.5"),
            (0xA8, "UL", [1, 2, 3]),
            (0xB0, "DS", "23"),
        ),
    ),
    (
        0x0029,
        "SIEMENS CSA HEADER",
        ((0x08, "CS", "SOM 5"), (0x09, "LO", "VA10A"), (0x10, "OB", bytes(range(256)) * 2)),
    ),
    (
        0x0029,
        "SIEMENS MEDCOM HEADER",
        ((0x08, "CS", "MEDCOM"), (0x31, "LO", "4.0.701169"), (0x32, "UL", 160), (0x40, "SQ", ())),
    ),
)

SIEMENS_MR: tuple[Block, ...] = (
    (
        0x0019,
        "SIEMENS MR HEADER",
        (
            (0x08, "CS", "IMAGE NUM 4"),
            (0x09, "LO", "1.0"),
            (0x0B, "DS", "4500"),
            (0x0C, "IS", "0"),
            (0x0D, "CS", "NONE"),
            (0x0F, "SH", "Normal"),
            (0x11, "SH", "No"),
            (0x12, "SL", [0, 0, -1344]),
            (0x14, "IS", ["0", "0", "-24"]),
            (0x15, "FD", [-150.5, -160.25, 48.0]),
            (0x28, "FD", 16.438),
        ),
    ),
    (0x0029, "SIEMENS CSA HEADER", ((0x08, "CS", "IMAGE NUM 4"), (0x10, "OB", bytes(512)))),
    (
        0x0051,
        "SIEMENS MR HEADER",
        ((0x0B, "SH", "320*256s"), (0x0F, "LO", "BO1,2;SP2"), (0x13, "SH", "+LPH")),
    ),
)

GE_CT: tuple[Block, ...] = (
    (
        0x0009,
        "GEMS_IDEN_01",
        ((0x01, "LO", "CT_LIGHTSPEED"), (0x02, "SH", "CT01"), (0x27, "SL", 1552552200)),
    ),
    (
        0x0019,
        "GEMS_ACQU_01",
        (
            (0x02, "SL", 912),
            (0x03, "DS", "389.75"),
            (0x04, "DS", "1.0239"),
            (0x0F, "DS", "12.5"),
            (0x18, "LO", "I"),
            (0x1A, "LO", "S"),
            (0x23, "DS", "39.375"),
            (0x27, "DS", "0.5"),
            (0x2C, "SL", 984),
            (0x47, "SS", 1),
            (0x5A, "FL", 3.5),
        ),
    ),
    (0x0021, "GEMS_RELA_01", ((0x03, "SS", 0), (0x05, "SH", "07"), (0x20, "DS", "-20.5"))),
    (
        0x0043,
        "GEMS_PARM_01",
        ((0x10, "US", 400), (0x12, "SS", [14, 2, 3]), (0x1A, "SL", 5), (0x28, "OB", b"\1\2" * 40)),
    ),
    (0x0045, "GEMS_HELIOS_01", ((0x01, "SS", 64), (0x02, "FL", 0.625), (0x06, "CS", "OUT"))),
)

GE_MR: tuple[Block, ...] = (*GE_CT[:1], *GE_CT[2:4])

SERIES = (
    ("CT", 1, "Thorax 1.5 B70f", "B70f", 1.5),
    ("CT", 2, "Thorax 5.0 B31f", "B31f", 5.0),
    ("MR", 1, "T2 TSE ax", None, 6.0),
)
"""Modality, SeriesNumber, description, kernel and spacing in mm of each patient's series."""


def patient_folder(seed: int, patient: int) -> str:
    return f"HOSP{patient:06d}"


def patient_series(seed: int, patient: int, shape: Shape) -> list[Series]:
    """The three series of a patient: two of CT and one of MR, `shape.slices` images each."""
    return [_series(seed, patient, shape, number) for number in range(len(SERIES))]


def _series(seed: int, patient: int, shape: Shape, place: int) -> Series:
    modality, number, description, kernel, spacing = SERIES[place]
    siemens = patient % 2 == 0
    name = patient_folder(seed, patient)
    random = chance("hospital", seed, patient)
    charset, person, sex = PEOPLE[patient % len(PEOPLE)]
    birth_year = random.randrange(1930, 2000)
    date = f"2019{random.randrange(1, 13):02d}{random.randrange(1, 29):02d}"
    pixel_spacing = 0.7 if modality == "CT" else 1.25
    study_uid = uid("hospital", seed, name, modality)
    series_uid = uid(study_uid, number)
    referenced_uid = uid(uid(study_uid, 1), 1)

    images = stack_values(shape, series_uid, pixel_spacing, spacing, first_z=-200)
    for k, image in enumerate(images):
        clock = f"0831{k // 10 % 60:02d}.{k % 10}00000".encode()
        image[tag("AcquisitionTime")] = image[tag("ContentTime")] = clock
        image[tag("LargestImagePixelValue")] = (1049 + k % 5).to_bytes(2, "little")
        image[tag("WindowCenter")] = b"%d\\50" % (-600 + 5 * (k % 7))
        image[tag("WindowWidth")] = b"%d\\350" % (1500 + 10 * (k % 11))
        if modality == "CT":
            current = tube_current(k, 240)
            image[tag("XRayTubeCurrent")] = b"%d" % current
            image[tag("Exposure")] = b"%d" % (current // 2)

    header = SHARED | (CT if modality == "CT" else MR)
    header |= {
        "SpecificCharacterSet": charset,
        "Manufacturer": "SIEMENS" if siemens else "GE MEDICAL SYSTEMS",
        "ManufacturerModelName": f"{'Exemplar' if siemens else 'Sampler'} {modality}",
        "DeviceSerialNumber": "10042",
        "SoftwareVersions": "VB20A" if siemens else "07MW18.4",
        "StationName": f"{modality}01",
        "InstanceCreationDate": date,
        "InstanceCreationTime": "083500.000000",
        "StudyDate": date,
        "SeriesDate": date,
        "AcquisitionDate": date,
        "ContentDate": date,
        "StudyTime": "082500.000000",
        "SeriesTime": f"083{number}00.000000",
        "AccessionNumber": f"A{patient:06d}{modality}",
        "SeriesDescription": description,
        "ProtocolName": description,
        "ConvolutionKernel": kernel,
        "PatientName": person,
        "PatientID": name,
        "IssuerOfPatientID": "EXAMPLE",
        "PatientBirthDate": f"{birth_year}0704",
        "PatientSex": sex,
        "PatientAge": f"{2019 - birth_year:03d}Y",
        "PatientSize": decimal(random.randrange(150, 200) / 100),
        "PatientWeight": str(random.randrange(45, 120)),
        "SliceThickness": decimal(spacing),
        "SpacingBetweenSlices": decimal(spacing) if modality == "MR" else None,
        "StudyInstanceUID": study_uid,
        "SeriesInstanceUID": series_uid,
        "StudyID": f"{patient + 1}",
        "SeriesNumber": str(number),
        "AcquisitionNumber": "1",
        "FrameOfReferenceUID": uid(study_uid, "frame"),
        "Rows": shape.rows,
        "Columns": shape.columns,
        "PixelSpacing": [decimal(pixel_spacing)] * 2,
    }
    dataset = elements(header)
    _add_sequences(dataset, referenced_uid, undefined_length=siemens)
    if modality == "CT":
        _add_private(dataset, SIEMENS_CT if siemens else GE_CT)
    else:
        _add_private(dataset, SIEMENS_MR if siemens else GE_MR)
    syntax = ExplicitVRLittleEndian if siemens else ImplicitVRLittleEndian
    folder = f"{name}/{modality}{number}"
    return Series(folder, dataset, syntax, images, spacing)


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return elements({"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning})


def _add_sequences(dataset: Dataset, referenced_uid: str, *, undefined_length: bool) -> None:
    """Sequences two deep; some of defined and some of undefined length in every file."""
    request = elements(
        {
            "RequestedProcedureID": "RP-1",
            "ScheduledProcedureStepDescription": "Thorax",
            "ScheduledProcedureStepID": "SPS-1",
            "ScheduledProtocolCodeSequence": [
                _code("P1", "99EXAMPLE", "Thorax routine"),
                _code("P2", "99EXAMPLE", "Thorax high resolution"),
            ],
        }
    )
    reference = elements(
        {
            "ReferencedSOPClassUID": dataset.SOPClassUID,
            "ReferencedSOPInstanceUID": referenced_uid,
            "PurposeOfReferenceCodeSequence": [_code("121311", "DCM", "Localizer")],
        }
    )
    step = elements(
        {
            "ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.3",
            "ReferencedSOPInstanceUID": uid(referenced_uid, "step"),
        }
    )
    for keyword, items in {
        "ProcedureCodeSequence": [_code("CTTHO", "99EXAMPLE", "CT Thorax")],
        "ReferencedPerformedProcedureStepSequence": [step],
        "ReferencedImageSequence": [reference],
        "RequestAttributesSequence": [request],
        "OtherPatientIDsSequence": [],
    }.items():
        sequence = element(keyword, items)
        sequence.is_undefined_length = undefined_length or keyword == "RequestAttributesSequence"
        if keyword == "ReferencedImageSequence":
            sequence.is_undefined_length = False
        for item in items:
            item.is_undefined_length_sequence_item = sequence.is_undefined_length
        dataset.add(sequence)


def _add_private(dataset: Dataset, blocks: Sequence[Block]) -> None:
    for group, creator, rows in blocks:
        block = dataset.private_block(group, creator, create=True)
        for low_byte, vr, value in rows:
            if vr == "SQ":
                value = [_application_header()]
            block.add_new(low_byte, vr, value)


def _application_header() -> Dataset:
    """The item of Siemens' Application Header Sequence, itself a private block."""
    item = Dataset()
    block = item.private_block(0x0029, "SIEMENS MEDCOM HEADER", create=True)
    block.add_new(0x41, "CS", "TEXT")
    block.add_new(0x42, "LO", "SOM 5 HISTORY")
    block.add_new(0x44, "OB", b"made up!")
    return item
