"""One enhanced multi-frame object for a test: frames by their functional groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedMRImageStorage

from .image import dataset_bytes
from .series import element, elements, phantom

FUNCTIONAL_GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
    "StackID": "FrameContentSequence",
    "InStackPositionNumber": "FrameContentSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "DimensionIndexValues": "FrameContentSequence",
    "FrameAcquisitionNumber": "FrameContentSequence",
    "FrameType": "MRImageFrameTypeSequence",
    "EffectiveEchoTime": "MREchoSequence",
    "DiffusionBValue": "MRDiffusionSequence",
    "NominalCardiacTriggerDelayTime": "CardiacSynchronizationSequence",
    "NominalPercentageOfCardiacPhase": "CardiacSynchronizationSequence",
    "ReferencedSegmentNumber": "SegmentIdentificationSequence",
    "FlipAngle": "MRTimingAndRelatedParametersSequence",
    "KVP": "CTXRayDetailsSequence",
    "ConvolutionKernel": "CTReconstructionSequence",
}
"""The functional group that a test may fill, by the attribute in it."""

SHARED = {
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "PixelSpacing": ["1", "1"],
    "SliceThickness": "1",
}


def write_enhanced(
    path: str | Path,
    frames: Sequence[Mapping[str, Any]],
    shared: Mapping[str, Any] = SHARED,
    **overrides: Any,
) -> Path:
    """Write an enhanced MR object of 16 x 16 pixels a frame; give the path back.

    `frames` and `shared` hold attributes by keyword, those of `FUNCTIONAL_GROUPS`; another is a
    KeyError. Overrides are those of `dataset_bytes`: `SOPClassUID` and `Modality` make a CT or a
    segmentation of it.
    """
    defaults: dict[str, Any] = {
        "SOPClassUID": EnhancedMRImageStorage,
        "Modality": "MR",
        "NumberOfFrames": len(frames),
        "PixelData": phantom(16, 16) * len(frames),
    }
    nowhere = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
               "RescaleSlope", "RescaleIntercept", "KVP")  # fmt: skip
    content = dataset_bytes(
        _groups("SharedFunctionalGroupsSequence", [shared]),
        _groups("PerFrameFunctionalGroupsSequence", frames),
        **dict.fromkeys(nowhere),
        **defaults | overrides,
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _groups(keyword: str, frames: Sequence[Mapping[str, Any]]) -> DataElement:
    return element(keyword, Items([_item(frame) for frame in frames]))


def _item(attributes: Mapping[str, Any]) -> Dataset:
    groups: dict[str, dict[str, Any]] = {}
    for keyword, value in attributes.items():
        groups.setdefault(FUNCTIONAL_GROUPS[keyword], {})[keyword] = value
    return elements({group: Items([elements(values)]) for group, values in groups.items()})
