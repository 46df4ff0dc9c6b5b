"""Ask other programs about the spacing of series, in an environment that has them.

`python programs.py FOLDER...` prints a line of JSON for each folder, which holds one series:
what each program makes of it, "passes", "fails", or why it does not come to the spacing.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import dicom2nifti.settings
import dicom_numpy
import pydicom
import SimpleITK
from dicom2nifti.convert_dicom import dicom_array_to_nifti
from dicom2nifti.exceptions import ConversionError, ConversionValidationError


class Warnings(SimpleITK.LoggerBase):  # type: ignore[misc]
    """What ITK warns of, kept instead of printed."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.SetAsGlobalITKLogger()

    def DisplayWarningText(self, text: str) -> None:
        self.texts.append(text)


def ask_simpleitk(folder: Path) -> str:
    warned = Warnings()
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    try:
        reader.Execute()
    except RuntimeError as error:
        return str(error).splitlines()[-1]
    return "fails" if any("Non uniform sampling" in text for text in warned.texts) else "passes"


UNEVEN = ("SLICE_INCREMENT_INCONSISTENT", "MISSING_DICOM_FILES")


def ask_dicom2nifti(folder: Path) -> str:
    dicom2nifti.settings.disable_validate_slicecount()
    dicom2nifti.settings.disable_validate_orthogonal()
    try:
        dicom_array_to_nifti(read(folder), None, reorient_nifti=False)
    except (ConversionError, ConversionValidationError) as error:
        return "fails" if str(error) in UNEVEN else str(error)
    return "passes"


def ask_dicom_numpy(folder: Path) -> str:
    try:
        dicom_numpy.combine_slices(read(folder))
    except dicom_numpy.DicomImportException as error:
        return "fails" if "missing slices" in str(error) else str(error)
    return "passes"


def ask_dcm2niix(folder: Path) -> str:
    program = Path(sys.executable).with_name("dcm2niix")
    with tempfile.TemporaryDirectory() as target:
        words = subprocess.run(
            [program, "-b", "n", "-f", "%s", "-o", target, folder],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    if "Convert " not in words:
        return words.splitlines()[-1]
    return "fails" if "Interslice distance varies" in words else "passes"


PROGRAMS = {
    "SimpleITK/ITK": ask_simpleitk,
    "dicom2nifti": ask_dicom2nifti,
    "dicom-numpy": ask_dicom_numpy,
    "dcm2niix": ask_dcm2niix,
}


def read(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def main(folders: list[str]) -> None:
    logging.disable()
    warnings.simplefilter("ignore")
    for folder in folders:
        print(json.dumps({name: ask(Path(folder)) for name, ask in PROGRAMS.items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
