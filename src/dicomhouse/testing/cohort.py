"""Build a cohort: a folder of made-up patients, and the truth about what lies in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from . import hospital, osic
from .defects import SMALLEST_STACK, Defect, Plan, PlannedFile
from .series import Series, Shape
from .template import Template

PROFILES: dict[str, Callable[[int, int, Shape], list[Series]]] = {
    "osic": osic.patient_series,
    "hospital": hospital.patient_series,
}

Defects = Mapping[str, int] | Iterable[tuple[str, int]]
"""Names of `Defect` with the patient's index, from 0."""


@dataclass(frozen=True)
class BuiltSeries:
    """A series as it was planned; a defect in it stands in `Cohort.defects` alone."""

    patient_id: str
    folder: str
    """Below the cohort's folder, with slashes."""
    study_uid: str
    series_uid: str
    modality: str
    images: int
    spacing_mm: float
    """Between the centres of neighbouring slices."""


@dataclass(frozen=True)
class PlantedDefect:
    defect: Defect
    patient: int
    patient_id: str
    series_uid: str
    files: tuple[str, ...]
    """Paths below the cohort's folder, with slashes; `Defect` says which files they are."""


@dataclass(frozen=True)
class Cohort:
    """What was built, for tests to compare with."""

    folder: Path
    profile: str
    patients: int
    series: tuple[BuiltSeries, ...]
    defects: tuple[PlantedDefect, ...]
    n_files: int
    """All files on disk."""
    n_images: int
    """Files that hold a whole DICOM image, duplicates counted; not the truncated ones."""

    def affected(self, defect: str) -> tuple[str, ...]:
        """The files of a defect, of all patients that have it."""
        return tuple(
            f for planted in self.defects if planted.defect == defect for f in planted.files
        )


def build_cohort(
    folder: str | Path,
    *,
    patients: int = 3,
    slices: int | Sequence[int] = 20,
    rows: int = 16,
    columns: int = 16,
    profile: str = "osic",
    defects: Defects = (),
    seed: int = 0,
    pixels: bool = True,
    chest: bool = False,
) -> Cohort:
    """Write a folder a patient, with `slices` images in each series, named 1.dcm, 2.dcm, ...

    Of several numbers of slices each is one patient's.

    `profile` is "osic" (one CT series a patient) or "hospital" (two CT series and one MR series).
    The same arguments write the same bytes; a patient does not depend on how many there are.
    Pixels are `rows` x `columns` of unsigned 16 bit, a disc of water, or with `chest` a chest in
    HU; without `pixels` the files are headers only.
    A defect is planted in its patient's first series.

    Raises `UsageError` for an unknown profile or defect, a patient that is not there, the same
    defect twice in one patient, numbers of slices for fewer or more patients, a number below 1, a
    stack too small for a defect, a matrix too large for its elements, or a folder that holds
    something already.
    """
    folder = Path(folder)
    wanted = _wanted(defects, patients)
    if profile not in PROFILES:
        raise UsageError(f"unknown profile {profile!r}: choose from {', '.join(PROFILES)}")
    stacks = [slices] * patients if isinstance(slices, int) else list(slices)
    if min(patients, rows, columns, *stacks) < 1:
        raise UsageError("patients, slices, rows and columns must be 1 or more")
    if max(rows, columns) > 32767:
        raise UsageError("rows and columns must be 32767 or less")
    if len(stacks) != patients:
        raise UsageError(f"{len(stacks)} numbers of slices for {patients} patients")
    if any(stacks[patient] < SMALLEST_STACK for patient in wanted):
        raise UsageError(f"a series with a defect needs {SMALLEST_STACK} slices or more")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder: name a new one")

    built: list[BuiltSeries] = []
    planted: list[PlantedDefect] = []
    n_files = n_images = 0
    for patient, stack in enumerate(stacks):
        shape = Shape(stack, rows, columns, pixels, chest)
        for place, series in enumerate(PROFILES[profile](seed, patient, shape)):
            plan = Plan(series)
            truth = _truth(series)
            built.append(truth)
            for defect in wanted.get(patient, ()) if place == 0 else ():
                paths = tuple(file.path for file in plan.plant(defect))
                planted.append(
                    PlantedDefect(defect, patient, truth.patient_id, truth.series_uid, paths)
                )
            _write(folder, series, plan.files)
            n_files += len(plan.files)
            n_images += sum(file.is_image for file in plan.files)
    return Cohort(folder, profile, patients, tuple(built), tuple(planted), n_files, n_images)


def _wanted(defects: Defects, patients: int) -> dict[int, list[Defect]]:
    """The defects of each patient, in the order in which they are planted."""
    wanted: dict[int, list[Defect]] = {}
    for name, patient in defects.items() if isinstance(defects, Mapping) else defects:
        if name not in list(Defect):
            raise UsageError(f"unknown defect {name!r}: choose from {', '.join(Defect)}")
        if not 0 <= patient < patients:
            raise UsageError(f"{name}: no patient {patient} among {patients}, counted from 0")
        if name in wanted.get(patient, ()):
            raise UsageError(f"{name} is asked for twice in patient {patient}")
        wanted.setdefault(patient, []).append(Defect(name))
    order = list(Defect)
    return {patient: sorted(found, key=order.index) for patient, found in wanted.items()}


def _truth(series: Series) -> BuiltSeries:
    header = series.dataset
    return BuiltSeries(
        patient_id=str(header.PatientID),
        folder=series.folder,
        study_uid=str(header.StudyInstanceUID),
        series_uid=str(header.SeriesInstanceUID),
        modality=str(header.Modality),
        images=len(series.images),
        spacing_mm=series.spacing_mm,
    )


def _write(folder: Path, series: Series, files: Iterable[PlannedFile]) -> None:
    template = Template(series.dataset, series.transfer_syntax)
    (folder / series.folder).mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.path).write_bytes(file.render(template))
