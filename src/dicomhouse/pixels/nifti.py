"""A volume as NIfTI, by nibabel."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from dicomhouse.errors import UsageError
from dicomhouse.pixels.volume import Volume

_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From DICOM's axes (left, posterior, superior) to NIfTI's (right, anterior, superior)."""


def write_nifti(volume: Volume, path: Path) -> None:
    """Write float32 voxels in output units, with the affine in both the sform and the qform.

    Raises:
        UsageError: the path ends in neither .nii nor .nii.gz, or the volume is of colour.
    """
    if not path.name.endswith((".nii", ".nii.gz")):
        raise UsageError("a NIfTI file ends in .nii or .nii.gz.")
    if volume.array.ndim != 3:
        raise UsageError("volumes of colour are written as pictures only.")
    image = nibabel.Nifti1Image(volume.array.transpose(2, 1, 0), _RAS @ volume.affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
