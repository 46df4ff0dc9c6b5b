"""Named defects: each one deviation, planted in a patient's first series.

A defect changes the plan of the patient's files before they are written, and names those files
that show it. Several defects on one patient are planted in the order of `Defect`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from .series import Series, decimal, phantom, tag, uid
from .template import Template, Values, text


class Defect(StrEnum):
    """What can be wrong, and which files `PlantedDefect.files` names for it."""

    MISSING_SLICE = "missing_slice"
    """A slice inside the stack is gone, instance numbers run on: both neighbours of the gap."""
    INSTANCE_NUMBER_GAP = "instance_number_gap"
    """A number is left out, no slice is: both neighbours of the gap."""
    TWO_STUDIES_IN_SERIES = "two_studies_in_series"
    """The second half has another StudyInstanceUID: that half."""
    MIXED_ORIENTATION = "mixed_orientation"
    """The last four images are tilted by 5, 5, 10 and 10 degrees: those four."""
    MIXED_MATRIX = "mixed_matrix"
    """One image has twice the Rows and Columns: that one."""
    MIXED_PIXEL_SPACING = "mixed_pixel_spacing"
    """One image has a PixelSpacing a tenth larger: that one."""
    MIXED_SPACING = "mixed_spacing"
    """The last three steps are twice as long: the image where they begin."""
    IRREGULAR_SLICE = "irregular_slice"
    """A slice lies a third of the spacing off its place: that one."""
    SIDEWAYS_SLICE = "sideways_slice"
    """A slice lies 2 mm beside the line of the others: that one."""
    SHEARED_STACK = "sheared_stack"
    """Each slice lies a fifth of the spacing further sideways, and no tilt is told: all."""
    MISSING_POSITION = "missing_position"
    """The last image has no ImagePositionPatient: that one."""
    SKEWED_ORIENTATION = "skewed_orientation"
    """The row direction of one image has a length of 1.05: that one."""
    EMBEDDED_LOCALIZER = "embedded_localizer"
    """One image more, a coronal LOCALIZER: that one."""
    DUPLICATE_POSITION = "duplicate_position"
    """One image more, with UID and number of its own, where the last one lies: both."""
    DUPLICATE_INSTANCE = "duplicate_instance"
    """One image again, byte for byte: both files."""
    DUPLICATE_CONFLICT = "duplicate_conflict"
    """One SOPInstanceUID again with another WindowCenter: both files."""
    TWO_SERIES_IN_FOLDER = "two_series_in_folder"
    """A whole second series of the same study in the same folder: its files."""
    MIXED_RESCALE = "mixed_rescale"
    """One image has another RescaleIntercept: that one."""
    MIXED_KERNEL = "mixed_kernel"
    """The last half, the smaller one, has another ConvolutionKernel: that half."""
    ANOTHER_PATIENT_NAME = "another_patient_name"
    """One image has another PatientName: that one."""
    ANOTHER_MANUFACTURER = "another_manufacturer"
    """One image has another Manufacturer: that one."""
    INVALID_UID = "invalid_uid"
    """One image has an IrradiationEventUID with a leading zero in a component: that one."""
    INVALID_ELEMENT = "invalid_element"
    """One image has a WindowWidth that is not a number: that one."""
    SHORT_PIXELS = "short_pixels"
    """One image has two bytes of pixel data: that one."""
    TRUNCATED_FILE = "truncated_file"
    """The first image ends inside its last element: that file."""
    EMPTY_FILE = "empty_file"
    """One file more, of no bytes: that file."""
    TEXT_FILE = "text_file"
    """One file more, plain text named .dcm: that file."""
    NOT_DICOM = "not_dicom"
    """One file more, a PNG image: that file."""

    @property
    def rule(self) -> str:
        """The rule that finds it."""
        return _RULES.get(self, self.value)


SMALLEST_STACK = 8
"""Images a series needs so that every defect shows."""

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c63f80f0001010100b138f6140000000049454e44ae426082"
)
"""One grey pixel."""


@dataclass(eq=False)
class PlannedFile:
    """A file to be written: an image of a series, or other bytes."""

    path: str
    values: Values | None = None
    content: bytes = b""
    is_cut: bool = False

    def render(self, template: Template) -> bytes:
        if self.values is None:
            return self.content
        whole = template.file(self.values)
        if not self.is_cut:
            return whole
        pixels = self.values.get(tag("PixelData")) or b""
        return whole[: -max(1, len(pixels) // 2)]

    @property
    def is_image(self) -> bool:
        return self.values is not None and not self.is_cut


class Plan:
    """The files of one series, named by their place; the first `stack` of them are its slices."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self.files: list[PlannedFile] = []
        for values in series.images:
            self.add(dict(values))
        self.stack = list(self.files)

    def add(self, values: Values | None, content: bytes = b"", ending: str = "dcm") -> PlannedFile:
        name = f"{len(self.files) + 1}.{ending}"
        file = PlannedFile(f"{self.series.folder}/{name}", values, content)
        self.files.append(file)
        return file

    def plant(self, defect: Defect) -> Iterable[PlannedFile]:
        """Change the plan; give the files that show the defect, in the order of the plan."""
        return _PLANTERS[defect](self)

    def middle(self) -> int:
        return len(self.stack) // 2


def _values(file: PlannedFile) -> Values:
    assert file.values is not None
    return file.values


def _missing_slice(plan: Plan) -> Iterable[PlannedFile]:
    gap = plan.middle()
    values = [_values(file) for file in plan.stack]
    del values[gap]
    plan.files.clear()
    for number, image in enumerate(values, 1):
        plan.add(image | {tag("InstanceNumber"): b"%d" % number})
    plan.stack = list(plan.files)
    return plan.stack[gap - 1 : gap + 1]


def _instance_number_gap(plan: Plan) -> Iterable[PlannedFile]:
    gap = plan.middle()
    for number, file in enumerate(plan.stack[gap:], gap + 2):
        _values(file)[tag("InstanceNumber")] = b"%d" % number
    return plan.stack[gap - 1 : gap + 1]


def _two_studies_in_series(plan: Plan) -> Iterable[PlannedFile]:
    other = uid(plan.series.dataset.StudyInstanceUID, "other study").encode()
    half = plan.stack[plan.middle() :]
    for file in half:
        _values(file)[tag("StudyInstanceUID")] = other
    return half


def _mixed_orientation(plan: Plan) -> Iterable[PlannedFile]:
    tilted = plan.stack[-4:]
    for file, degrees in zip(tilted, (5, 5, 10, 10), strict=True):
        angle = math.radians(degrees)
        column = (0, decimal(math.cos(angle)), decimal(math.sin(angle)))
        _values(file)[tag("ImageOrientationPatient")] = text((1, 0, 0, *column))
    return tilted


def _mixed_matrix(plan: Plan) -> Iterable[PlannedFile]:
    file = plan.stack[1]
    rows, columns = 2 * plan.series.dataset.Rows, 2 * plan.series.dataset.Columns
    values = _values(file)
    values[tag("Rows")] = struct.pack("<H", rows)
    values[tag("Columns")] = struct.pack("<H", columns)
    if tag("PixelData") in values:
        values[tag("PixelData")] = phantom(rows, columns)
    return [file]


def _mixed_pixel_spacing(plan: Plan) -> Iterable[PlannedFile]:
    file = plan.stack[2]
    wider = (decimal(1.1 * float(spacing)) for spacing in plan.series.dataset.PixelSpacing)
    _values(file)[tag("PixelSpacing")] = text(wider)
    return [file]


def _moved(file: PlannedFile, y: float = 0, z: float = 0) -> None:
    """Shift a slice, its SliceLocation with it, by mm along y and z."""
    values = _values(file)
    place = [float(p) for p in (values[tag("ImagePositionPatient")] or b"").split(b"\\")]
    values[tag("ImagePositionPatient")] = text(
        (decimal(place[0]), decimal(place[1] + y), decimal(place[2] + z))
    )
    values[tag("SliceLocation")] = decimal(place[2] + z).encode()


def _step(plan: Plan) -> float:
    """From one slice to the next along z, in mm."""
    first, second = (
        float((_values(file)[tag("SliceLocation")] or b"").decode()) for file in plan.stack[:2]
    )
    return second - first


def _mixed_spacing(plan: Plan) -> Iterable[PlannedFile]:
    step = _step(plan)
    for n, file in enumerate(plan.stack[-3:], 1):
        _moved(file, z=n * step)
    return [plan.stack[-4]]


def _irregular_slice(plan: Plan) -> Iterable[PlannedFile]:
    file = plan.stack[plan.middle()]
    _moved(file, z=_step(plan) / 3)
    return [file]


def _sideways_slice(plan: Plan) -> Iterable[PlannedFile]:
    file = plan.stack[plan.middle()]
    _moved(file, y=2)
    return [file]


def _sheared_stack(plan: Plan) -> Iterable[PlannedFile]:
    step = _step(plan)
    for n, file in enumerate(plan.stack):
        _moved(file, y=n * step / 5)
    return plan.stack


def _missing_position(plan: Plan) -> Iterable[PlannedFile]:
    _values(plan.stack[-1])[tag("ImagePositionPatient")] = None
    return [plan.stack[-1]]


def _skewed_orientation(plan: Plan) -> Iterable[PlannedFile]:
    _values(plan.stack[1])[tag("ImageOrientationPatient")] = text((1.05, 0, 0, 0, 1, 0))
    return [plan.stack[1]]


def _embedded_localizer(plan: Plan) -> Iterable[PlannedFile]:
    last = _values(plan.stack[-1])
    number = int(last[tag("InstanceNumber")] or 0) + 1
    own: Values = {
        tag("SOPInstanceUID"): uid(plan.series.dataset.SeriesInstanceUID, "localizer").encode(),
        tag("InstanceNumber"): b"%d" % number,
        tag("ImageType"): text(("ORIGINAL", "PRIMARY", "LOCALIZER")),
        tag("ImageOrientationPatient"): text((1, 0, 0, 0, 0, -1)),
    }
    return [plan.add(last | own)]


def _duplicate_position(plan: Plan) -> Iterable[PlannedFile]:
    last = plan.stack[-1]
    values = _values(last)
    number = int(values[tag("InstanceNumber")] or 0) + 1
    own: Values = {
        tag("SOPInstanceUID"): uid(plan.series.dataset.SeriesInstanceUID, "again").encode(),
        tag("InstanceNumber"): b"%d" % number,
    }
    return [last, plan.add(values | own)]


def _duplicate_instance(plan: Plan) -> Iterable[PlannedFile]:
    file = plan.stack[plan.middle()]
    return [file, plan.add(dict(_values(file)))]


def _duplicate_conflict(plan: Plan) -> Iterable[PlannedFile]:
    file = plan.stack[3]
    return [file, plan.add(_values(file) | {tag("WindowCenter"): b"40"})]


def _two_series_in_folder(plan: Plan) -> Iterable[PlannedFile]:
    series_uid = uid(plan.series.dataset.SeriesInstanceUID, "other series").encode()
    second = []
    for number, image in enumerate(plan.series.images, 1):
        own: Values = {
            tag("SeriesInstanceUID"): series_uid,
            tag("SOPInstanceUID"): uid(series_uid.decode(), number).encode(),
        }
        second.append(plan.add(image | own))
    return second


def _odd_value(place: int, keyword: str, value: bytes) -> Callable[[Plan], Iterable[PlannedFile]]:
    """A planter that gives the slice at `place` another value field."""

    def plant(plan: Plan) -> Iterable[PlannedFile]:
        _values(plan.stack[place])[tag(keyword)] = value
        return [plan.stack[place]]

    return plant


def _mixed_kernel(plan: Plan) -> Iterable[PlannedFile]:
    half = plan.stack[-plan.middle() :]
    for file in half:
        _values(file)[tag("ConvolutionKernel")] = b"SHARP"
    return half


def _truncated_file(plan: Plan) -> Iterable[PlannedFile]:
    plan.stack[0].is_cut = True
    return [plan.stack[0]]


def _empty_file(plan: Plan) -> Iterable[PlannedFile]:
    return [plan.add(None)]


def _text_file(plan: Plan) -> Iterable[PlannedFile]:
    return [plan.add(None, b"These are notes, not an image.\n" * 20)]


def _not_dicom(plan: Plan) -> Iterable[PlannedFile]:
    return [plan.add(None, PNG, ending="png")]


_PLANTERS: dict[Defect, Callable[[Plan], Iterable[PlannedFile]]] = {
    Defect.MISSING_SLICE: _missing_slice,
    Defect.INSTANCE_NUMBER_GAP: _instance_number_gap,
    Defect.TWO_STUDIES_IN_SERIES: _two_studies_in_series,
    Defect.MIXED_ORIENTATION: _mixed_orientation,
    Defect.MIXED_MATRIX: _mixed_matrix,
    Defect.MIXED_PIXEL_SPACING: _mixed_pixel_spacing,
    Defect.MIXED_SPACING: _mixed_spacing,
    Defect.IRREGULAR_SLICE: _irregular_slice,
    Defect.SIDEWAYS_SLICE: _sideways_slice,
    Defect.SHEARED_STACK: _sheared_stack,
    Defect.MISSING_POSITION: _missing_position,
    Defect.SKEWED_ORIENTATION: _skewed_orientation,
    Defect.EMBEDDED_LOCALIZER: _embedded_localizer,
    Defect.DUPLICATE_POSITION: _duplicate_position,
    Defect.DUPLICATE_INSTANCE: _duplicate_instance,
    Defect.DUPLICATE_CONFLICT: _duplicate_conflict,
    Defect.TWO_SERIES_IN_FOLDER: _two_series_in_folder,
    Defect.MIXED_RESCALE: _odd_value(1, "RescaleIntercept", b"-1000"),
    Defect.MIXED_KERNEL: _mixed_kernel,
    Defect.ANOTHER_PATIENT_NAME: _odd_value(2, "PatientName", b"Another^Name"),
    Defect.ANOTHER_MANUFACTURER: _odd_value(3, "Manufacturer", b"Another maker"),
    Defect.INVALID_UID: _odd_value(4, "IrradiationEventUID", b"1.02.3"),
    Defect.INVALID_ELEMENT: _odd_value(5, "WindowWidth", b"wide"),
    Defect.SHORT_PIXELS: _odd_value(6, "PixelData", bytes(2)),
    Defect.TRUNCATED_FILE: _truncated_file,
    Defect.EMPTY_FILE: _empty_file,
    Defect.TEXT_FILE: _text_file,
    Defect.NOT_DICOM: _not_dicom,
}

_RULES: dict[Defect, str] = {
    Defect.MISSING_SLICE: "missing_slices",
    Defect.TWO_STUDIES_IN_SERIES: "series_in_multiple_studies",
    Defect.IRREGULAR_SLICE: "irregular_spacing",
    Defect.SIDEWAYS_SLICE: "in_plane_drift",
    Defect.SKEWED_ORIENTATION: "orientation_not_orthonormal",
    Defect.EMBEDDED_LOCALIZER: "localizer_embedded",
    Defect.DUPLICATE_INSTANCE: "duplicate_instance_identical",
    Defect.DUPLICATE_CONFLICT: "duplicate_instance_conflict",
    Defect.TWO_SERIES_IN_FOLDER: "folder_multiple_series",
    Defect.ANOTHER_PATIENT_NAME: "patient_attribute_inconsistent",
    Defect.ANOTHER_MANUFACTURER: "equipment_attribute_inconsistent",
    Defect.INVALID_UID: "uid_invalid",
    Defect.INVALID_ELEMENT: "element_invalid",
    Defect.SHORT_PIXELS: "pixel_length_mismatch",
    Defect.TRUNCATED_FILE: "file_truncated",
    Defect.EMPTY_FILE: "file_empty",
    Defect.TEXT_FILE: "file_not_dicom",
    Defect.NOT_DICOM: "file_not_dicom",
}
"""Where the rule's name is not the defect's own."""
