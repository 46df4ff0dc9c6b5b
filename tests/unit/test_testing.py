"""The generator: pydicom reads back what it wrote, and each defect is what its name says."""

from __future__ import annotations

import csv
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from places import ROOT
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicomhouse.errors import UsageError
from dicomhouse.testing import Defect, build_cohort, dataset_bytes, write_image
from dicomhouse.testing.__main__ import main
from dicomhouse.testing.cohort import PROFILES, Cohort
from dicomhouse.testing.series import Shape
from dicomhouse.testing.template import Template


def read(path: Path) -> Dataset:
    """Every element converted, so that a value pydicom cannot read is an error here."""
    dataset = pydicom.dcmread(path)
    list(dataset.iterall())
    return dataset


def files_on_disk(cohort: Cohort) -> list[str]:
    return sorted(
        p.relative_to(cohort.folder).as_posix() for p in cohort.folder.rglob("*") if p.is_file()
    )


def filled(dataset: Dataset) -> set[str]:
    return {e.keyword for e in dataset if not e.is_empty and e.keyword != "PixelData"}


def positions(datasets: list[Dataset]) -> list[float]:
    return sorted(float(d.ImagePositionPatient[2]) for d in datasets)


def numbers(datasets: list[Dataset]) -> list[int]:
    return sorted(int(d.InstanceNumber) for d in datasets)


def planted(folder: Path, defect: Defect, **options: object) -> tuple[list[Dataset], list[Dataset]]:
    """The readable images of the first patient, and those of them that the defect names."""
    cohort = build_cohort(folder, patients=1, slices=10, defects={defect: 0}, **options)  # type: ignore[arg-type]
    paths = files_on_disk(cohort)
    assert len(paths) == cohort.n_files
    assert set(cohort.affected(defect)) <= set(paths)
    assert cohort.n_images == len(paths)
    datasets = {path: read(folder / path) for path in paths}
    return list(datasets.values()), [datasets[path] for path in cohort.affected(defect)]


# The OSIC profile


def test_osic_headers_have_46_filled_tags(tmp_path: Path) -> None:
    cohort = build_cohort(tmp_path, patients=4, slices=3)
    for path in files_on_disk(cohort):
        header = read(tmp_path / path)
        assert len(filled(header)) == 46
        assert header.StudyID == "" and header.PatientSex == ""
        assert not {"SeriesNumber", "StudyDate", "AccessionNumber"} & set(header.dir())


def test_osic_tags_differ_from_image_to_image(tmp_path: Path) -> None:
    build_cohort(tmp_path, patients=4, slices=20)
    for folder in tmp_path.iterdir():
        headers = [read(path) for path in folder.iterdir()]
        values = {k: {str(h[k].value) for h in headers} for k in filled(headers[0])}
        assert len([k for k, found in values.items() if len(found) > 1]) >= 8
        assert {k for k, found in values.items() if len(found) == len(headers)} == {
            "SOPInstanceUID",
            "InstanceNumber",
            "ImagePositionPatient",
            "SliceLocation",
        }


def test_folders_and_files_are_named_as_in_the_set(tmp_path: Path) -> None:
    cohort = build_cohort(tmp_path, patients=2, slices=3)
    assert len(cohort.series) == 2
    for series in cohort.series:
        assert series.folder == series.patient_id
        assert len(series.folder) == 25 and series.folder.startswith("ID000")
        names = {p.name for p in (tmp_path / series.folder).iterdir()}
        assert names == {"1.dcm", "2.dcm", "3.dcm"}


@pytest.mark.parametrize("profile", PROFILES)
def test_geometry_is_right(tmp_path: Path, profile: str) -> None:
    cohort = build_cohort(tmp_path, patients=2, slices=6, rows=12, columns=20, profile=profile)
    for series in cohort.series:
        images = [read(path) for path in (tmp_path / series.folder).iterdir()]
        steps = np.diff(positions(images))
        np.testing.assert_allclose(steps, series.spacing_mm, atol=1e-6)
        assert numbers(images) == list(range(1, series.images + 1))
        for image in images:
            row, column = np.reshape(np.array(image.ImageOrientationPatient, float), (2, 3))
            assert row @ column == 0 and row @ row == 1 and column @ column == 1
            assert float(image.SliceLocation) == float(image.ImagePositionPatient[2])
            assert image.pixel_array.shape == (12, 20)
            assert image.pixel_array.max() < 4096
            assert len({str(i.ImagePositionPatient[:2]) for i in images}) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_uids_are_valid_and_unique(tmp_path: Path, profile: str) -> None:
    cohort = build_cohort(tmp_path, patients=3, slices=4, profile=profile)
    headers = [read(tmp_path / path) for path in files_on_disk(cohort)]
    assert len({h.SOPInstanceUID for h in headers}) == cohort.n_images == len(headers)
    assert {h.SeriesInstanceUID for h in headers} == {s.series_uid for s in cohort.series}
    assert {h.StudyInstanceUID for h in headers} == {s.study_uid for s in cohort.series}
    for header in headers:
        assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID
        assert header.file_meta.MediaStorageSOPClassUID == header.SOPClassUID
        uids = [e.value for e in header.iterall() if e.VR == "UI"]
        assert all(pydicom.uid.UID(uid).is_valid for uid in uids)


@pytest.mark.parametrize("profile", PROFILES)
def test_same_arguments_write_the_same_bytes(tmp_path: Path, profile: str) -> None:
    def contents(name: str, **options: int) -> dict[str, bytes]:
        cohort = build_cohort(tmp_path / name, slices=3, profile=profile, **options)  # type: ignore[arg-type]
        return {path: (cohort.folder / path).read_bytes() for path in files_on_disk(cohort)}

    two = contents("a", patients=2)
    assert two == contents("b", patients=2)
    assert two.items() <= contents("c", patients=3).items()
    assert not set(two.values()) & set(contents("d", patients=2, seed=1).values())


@pytest.mark.parametrize("profile", PROFILES)
def test_headers_only_differ_by_the_pixels_alone(tmp_path: Path, profile: str) -> None:
    whole = build_cohort(tmp_path / "whole", patients=2, slices=2, profile=profile)
    build_cohort(tmp_path / "headers", patients=2, slices=2, profile=profile, pixels=False)
    for path in files_on_disk(whole):
        image = read(tmp_path / "whole" / path)
        del image.PixelData
        assert read(tmp_path / "headers" / path) == image


@pytest.mark.parametrize("patient", range(5))
@pytest.mark.parametrize("profile", PROFILES)
def test_spliced_bytes_are_what_pydicom_writes(profile: str, patient: int) -> None:
    """Read, written again by pydicom, equal: lengths, padding, order, nesting, character set."""
    for series in PROFILES[profile](0, patient, Shape(3, 8, 8, True)):
        template = Template(series.dataset, series.transfer_syntax)
        for values in series.images:
            spliced = template.file(values)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                dataset = pydicom.dcmread(DicomBytesIO(spliced))
                assert all(element.VR != "UN" for element in dataset.iterall())
            again = DicomBytesIO()
            pydicom.dcmwrite(again, dataset, enforce_file_format=True)
            assert again.getvalue() == spliced


# The hospital profile


def test_hospital_headers_are_large_and_mixed(tmp_path: Path) -> None:
    cohort = build_cohort(tmp_path, patients=4, slices=2, profile="hospital")
    headers = [read(tmp_path / path) for path in files_on_disk(cohort)]
    assert cohort.n_images == 4 * 3 * 2
    assert Counter(s.modality for s in cohort.series) == {"CT": 8, "MR": 4}
    for header in headers:
        assert 140 <= len(header) <= 165
        assert 160 <= len(list(header.iterall())) <= 190
    assert {h.file_meta.TransferSyntaxUID for h in headers} == {
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
    }
    assert len({str(h.PatientName) for h in headers}) == 4


def test_hospital_headers_have_private_blocks_known_to_pydicom(tmp_path: Path) -> None:
    cohort = build_cohort(tmp_path, patients=2, slices=1, profile="hospital")
    for path in files_on_disk(cohort):
        private = [e for e in read(tmp_path / path).iterall() if e.tag.is_private]
        creators = {e.value for e in private if e.tag.is_private_creator}
        assert len(creators) >= 2
        data = [e for e in private if not e.tag.is_private_creator]
        assert data and all(e.private_creator in creators and e.VR != "UN" for e in data)


def test_hospital_sequences_nest_two_deep_with_both_kinds_of_length(tmp_path: Path) -> None:
    def depth(dataset: Dataset) -> int:
        return 1 + max((depth(i) for e in dataset if e.VR == "SQ" for i in e.value), default=-1)

    cohort = build_cohort(tmp_path, patients=2, slices=1, profile="hospital")
    for path in files_on_disk(cohort):
        header = read(tmp_path / path)
        assert depth(header) == 2
        assert {e.is_undefined_length for e in header if e.VR == "SQ"} == {True, False}
    assert {
        item.is_undefined_length_sequence_item for item in header.RequestAttributesSequence
    } == {True}


def test_hospital_references_resolve(tmp_path: Path) -> None:
    cohort = build_cohort(tmp_path, patients=1, slices=2, profile="hospital")
    headers = [read(tmp_path / path) for path in files_on_disk(cohort)]
    referenced = {h.ReferencedImageSequence[0].ReferencedSOPInstanceUID for h in headers}
    assert referenced <= {h.SOPInstanceUID for h in headers}


# Defects


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> Iterator[str]:
    return request.param


def test_missing_slice(tmp_path: Path, profile: str) -> None:
    images, neighbours = planted(tmp_path, Defect.MISSING_SLICE, profile=profile)
    series = [i for i in images if i.SeriesInstanceUID == neighbours[0].SeriesInstanceUID]
    steps = np.diff(positions(series))
    spacing = np.median(steps)
    np.testing.assert_allclose(sorted(steps / spacing), [1] * 7 + [2])
    np.testing.assert_allclose(np.diff(positions(neighbours)), 2 * spacing)
    assert numbers(series) == list(range(1, 10))


def test_instance_number_gap(tmp_path: Path) -> None:
    images, neighbours = planted(tmp_path, Defect.INSTANCE_NUMBER_GAP)
    assert numbers(images) == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert numbers(neighbours) == [5, 7]
    assert np.ptp(np.diff(positions(images))) < 1e-6


def test_two_studies_in_series(tmp_path: Path) -> None:
    images, half = planted(tmp_path, Defect.TWO_STUDIES_IN_SERIES)
    assert Counter(Counter(i.StudyInstanceUID for i in images).values()) == {5: 2}
    assert len({i.StudyInstanceUID for i in half}) == 1 and len(half) == 5
    assert len({i.SeriesInstanceUID for i in images}) == 1


def test_mixed_orientation(tmp_path: Path) -> None:
    images, tilted = planted(tmp_path, Defect.MIXED_ORIENTATION)
    stacks = Counter(str(i.ImageOrientationPatient) for i in images)
    assert sorted(stacks.values()) == [2, 2, 6]
    for image in tilted:
        row, column = np.reshape(np.array(image.ImageOrientationPatient, float), (2, 3))
        np.testing.assert_allclose([row @ column, column @ column], [0, 1], atol=1e-5)


def test_mixed_matrix(tmp_path: Path) -> None:
    images, odd = planted(tmp_path, Defect.MIXED_MATRIX)
    assert Counter((i.Rows, i.Columns) for i in images) == {(16, 16): 9, (32, 32): 1}
    assert [i.pixel_array.shape for i in odd] == [(32, 32)]


def test_mixed_pixel_spacing(tmp_path: Path) -> None:
    images, odd = planted(tmp_path, Defect.MIXED_PIXEL_SPACING)
    usual = [i for i in images if i not in odd]
    assert len({str(i.PixelSpacing) for i in usual}) == 1
    ratio = float(odd[0].PixelSpacing[0]) / float(usual[0].PixelSpacing[0])
    assert ratio == pytest.approx(1.1)


def test_mixed_spacing(tmp_path: Path) -> None:
    images, (boundary,) = planted(tmp_path, Defect.MIXED_SPACING)
    steps = -np.diff(positions(images)[::-1])
    np.testing.assert_allclose(steps / np.median(steps), [1] * 6 + [2] * 3)
    assert positions(images)[::-1].index(float(boundary.ImagePositionPatient[2])) == 6


def test_irregular_slice(tmp_path: Path) -> None:
    images, (odd,) = planted(tmp_path, Defect.IRREGULAR_SLICE)
    steps = np.diff(positions(images))
    np.testing.assert_allclose(
        sorted(steps / np.median(steps)), [2 / 3] + [1] * 7 + [4 / 3], rtol=1e-5
    )
    assert float(odd.ImagePositionPatient[2]) == positions(images)[4]
    assert odd.SliceLocation == odd.ImagePositionPatient[2]


def test_sideways_slice(tmp_path: Path) -> None:
    images, (odd,) = planted(tmp_path, Defect.SIDEWAYS_SLICE)
    (usual,) = {float(i.ImagePositionPatient[1]) for i in images if i is not odd}
    assert float(odd.ImagePositionPatient[1]) - usual == pytest.approx(2)
    assert np.ptp(np.diff(positions(images))) < 1e-6


def test_sheared_stack(tmp_path: Path) -> None:
    images, all_images = planted(tmp_path, Defect.SHEARED_STACK)
    places = np.array([i.ImagePositionPatient for i in images], float)
    slope, _ = np.polyfit(places[:, 2], places[:, 1], 1)
    assert slope == pytest.approx(0.2, abs=1e-5)
    assert len(all_images) == len(images)


def test_missing_position(tmp_path: Path) -> None:
    cohort = build_cohort(tmp_path, patients=1, slices=8, defects=[("missing_position", 0)])
    (path,) = cohort.affected("missing_position")
    lacking = [p for p in files_on_disk(cohort) if "ImagePositionPatient" not in read(tmp_path / p)]
    assert lacking == [path]


def test_skewed_orientation(tmp_path: Path) -> None:
    images, (odd,) = planted(tmp_path, Defect.SKEWED_ORIENTATION)
    lengths = {
        i.SOPInstanceUID: float(np.linalg.norm(i.ImageOrientationPatient[:3])) for i in images
    }
    assert lengths.pop(odd.SOPInstanceUID) == pytest.approx(1.05)
    assert set(lengths.values()) == {1.0}


def test_embedded_localizer(tmp_path: Path) -> None:
    images, (localizer,) = planted(tmp_path, Defect.EMBEDDED_LOCALIZER)
    assert len(images) == 11 and "LOCALIZER" in localizer.ImageType
    assert ["LOCALIZER" in i.ImageType for i in images].count(True) == 1
    assert len({i.SOPInstanceUID for i in images}) == 11


def test_every_defect_names_a_rule_of_the_checks() -> None:
    with (ROOT / "dbt" / "seeds" / "check_rules.csv").open() as seed:
        rules = {row["rule"] for row in csv.DictReader(seed)}
    assert {defect.rule for defect in Defect} <= rules


@pytest.mark.parametrize(
    ("defect", "keyword", "value"),
    [
        (Defect.MIXED_RESCALE, "RescaleIntercept", -1000),
        (Defect.ANOTHER_PATIENT_NAME, "PatientName", "Another^Name"),
        (Defect.ANOTHER_MANUFACTURER, "Manufacturer", "Another maker"),
        (Defect.INVALID_UID, "IrradiationEventUID", "1.02.3"),
        (Defect.SHORT_PIXELS, "PixelData", bytes(2)),
    ],
)
def test_one_image_has_another_value(
    tmp_path: Path, defect: Defect, keyword: str, value: object
) -> None:
    images, (odd,) = planted(tmp_path, defect)
    assert odd[keyword].value == value
    assert [ds.get(keyword) == value for ds in images].count(True) == 1


def test_invalid_element(tmp_path: Path) -> None:
    _, (odd,) = planted(tmp_path, Defect.INVALID_ELEMENT)
    assert str(odd.get_item("WindowWidth").value) == "wide"


def test_mixed_kernel(tmp_path: Path) -> None:
    images, half = planted(tmp_path, Defect.MIXED_KERNEL)
    assert len(half) == 5
    assert all(ds.ConvolutionKernel == "SHARP" for ds in half)
    assert [ds.ConvolutionKernel for ds in images].count("SHARP") == 5


def test_duplicate_position(tmp_path: Path) -> None:
    images, both = planted(tmp_path, Defect.DUPLICATE_POSITION)
    assert len({i.SOPInstanceUID for i in images}) == 11
    assert numbers(images) == list(range(1, 12))
    assert numbers(both) == [10, 11]
    assert len(set(positions(both))) == 1 and len(set(positions(images))) == 10


def test_duplicate_instance(tmp_path: Path) -> None:
    cohort = build_cohort(tmp_path, patients=1, defects=[("duplicate_instance", 0)])
    first, second = cohort.affected("duplicate_instance")
    assert first != second
    assert (tmp_path / first).read_bytes() == (tmp_path / second).read_bytes()
    assert cohort.n_images == cohort.n_files == 21


def test_duplicate_conflict(tmp_path: Path) -> None:
    _, (first, second) = planted(tmp_path, Defect.DUPLICATE_CONFLICT)
    assert first.SOPInstanceUID == second.SOPInstanceUID
    assert [e.keyword for e in first if e != second[e.tag]] == ["WindowCenter"]


def test_two_series_in_folder(tmp_path: Path) -> None:
    images, second = planted(tmp_path, Defect.TWO_SERIES_IN_FOLDER)
    assert sorted(Counter(i.SeriesInstanceUID for i in images).values()) == [10, 10]
    assert len({i.SeriesInstanceUID for i in second}) == 1 and len(second) == 10
    assert len({i.SOPInstanceUID for i in images}) == 20
    assert len({i.StudyInstanceUID for i in images}) == 1


@pytest.mark.parametrize("pixels", [True, False])
def test_truncated_file(tmp_path: Path, profile: str, pixels: bool) -> None:
    whole = build_cohort(tmp_path / "whole", patients=2, slices=8, profile=profile, pixels=pixels)
    cut = build_cohort(
        tmp_path / "cut",
        patients=2,
        slices=8,
        profile=profile,
        pixels=pixels,
        defects=[("truncated_file", 0), ("truncated_file", 1)],
    )
    assert cut.n_files == whole.n_files and cut.n_images == whole.n_images - 2
    for path in cut.affected("truncated_file"):
        content = (cut.folder / path).read_bytes()
        original = (whole.folder / path).read_bytes()
        assert original.startswith(content)
        assert len(original) - len(content) == (256 if pixels else 1)


def test_files_that_are_no_dicom(tmp_path: Path) -> None:
    cohort = build_cohort(
        tmp_path,
        patients=1,
        slices=8,
        defects=[("empty_file", 0), ("text_file", 0), ("not_dicom", 0)],
    )
    assert cohort.n_images == 8 and cohort.n_files == 11 == len(files_on_disk(cohort))
    contents = [(tmp_path / p.files[0]).read_bytes() for p in cohort.defects]
    assert contents[0] == b""
    assert contents[1].isascii() and cohort.affected("text_file")[0].endswith(".dcm")
    assert contents[2].startswith(b"\x89PNG")
    for planted_defect in cohort.defects:
        with pytest.raises(pydicom.errors.InvalidDicomError):
            pydicom.dcmread(tmp_path / planted_defect.files[0])


@pytest.mark.parametrize("profile", PROFILES)
def test_all_defects_together_in_one_patient(tmp_path: Path, profile: str) -> None:
    cohort = build_cohort(
        tmp_path, patients=2, profile=profile, defects=[(d, 1) for d in reversed(Defect)]
    )
    assert [p.defect for p in cohort.defects] == list(Defect)
    paths = files_on_disk(cohort)
    assert len(paths) == cohort.n_files
    assert {f for p in cohort.defects for f in p.files} <= set(paths)
    assert all(f.startswith(cohort.defects[0].patient_id) for p in cohort.defects for f in p.files)


@pytest.mark.parametrize(
    "options",
    [
        {"profile": "clinic"},
        {"defects": [("bad_luck", 0)]},
        {"defects": [("missing_slice", 3)]},
        {"defects": [("missing_slice", 0)] * 2},
        {"defects": [("missing_slice", 0)], "slices": 7},
        {"slices": 0},
        {"rows": 40000},
    ],
)
def test_what_cannot_be_built_is_a_usage_error(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        build_cohort(tmp_path / "new", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError):
        build_cohort(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


# The command


def test_command_says_what_it_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--patients", "2", "--slices", "8", "--defect", "missing_slice:1"]
    assert main([str(tmp_path / "new"), *arguments]) == 0
    out = capsys.readouterr().out
    assert "2 patients, 2 series, 15 images, 15 files (osic)" in out
    assert "missing_slice in patient 1" in out


def test_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "new"), "--defect", "missing_slice:9"]) == 2
    assert capsys.readouterr().err.startswith("error: missing_slice: no patient 9")


def test_generator_imports_no_orchestrator_and_no_database() -> None:
    heavy = "{'prefect', 'dbt', 'duckdb', 'pyarrow', 'polars'}"
    code = f"import sys, dicomhouse.testing; print({heavy} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


# One image


def parsed(*others: DataElement, **overrides: object) -> Dataset:
    return pydicom.dcmread(DicomBytesIO(dataset_bytes(*others, **overrides)))


def test_image_is_valid_by_default() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = parsed()
        assert image.pixel_array.shape == (16, 16)
        list(image.iterall())


def test_image_differs_by_the_override_alone() -> None:
    base, other = parsed(), parsed(KVP="100")
    assert [e.keyword for e in base if e != other[e.tag]] == ["KVP"]
    assert other.file_meta == base.file_meta


def test_none_removes_an_element_and_empty_text_empties_it() -> None:
    image = parsed(KVP=None, PatientID="")
    assert "KVP" not in image and image["PatientID"].is_empty


def test_numbers_make_a_series() -> None:
    images = [parsed(InstanceNumber=n) for n in range(1, 5)]
    assert positions(images) == [1, 2, 3, 4]
    assert len({i.SOPInstanceUID for i in images}) == 4
    assert len({i.SeriesInstanceUID for i in images}) == 1
    assert parsed(PatientID="OTHER").StudyInstanceUID != images[0].StudyInstanceUID


def test_invalid_values_are_written_as_they_are() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert b"lower case" in dataset_bytes(BodyPartExamined="lower case")
        assert b"1.2.03." in dataset_bytes(SOPInstanceUID="1.2.03.")
        assert b"DS\x0c\0not a number" in dataset_bytes(SliceThickness=b"not a number")
        assert b"IS\3\0abc" in dataset_bytes(InstanceNumber=b"abc")
        assert b"US\1\0\7" in dataset_bytes(HighBit=b"\7")
        assert "Müller".encode() in dataset_bytes(
            SpecificCharacterSet="ISO_IR 192", PatientName="Müller", KVP=b"none"
        )


def test_meta_group_may_lack_the_transfer_syntax() -> None:
    image = pydicom.dcmread(DicomBytesIO(dataset_bytes(TransferSyntaxUID=None)), force=True)
    assert "TransferSyntaxUID" not in image.file_meta and image.Rows == 16


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_transfer_syntax_is_an_override(syntax: pydicom.uid.UID) -> None:
    image = parsed(TransferSyntaxUID=syntax)
    assert image.file_meta.TransferSyntaxUID == syntax
    assert image.Rows == 16 and image.PatientName == "Sample^Sam"


def test_meta_follows_the_instance_unless_it_is_overridden() -> None:
    assert parsed(SOPInstanceUID="1.2.3").file_meta.MediaStorageSOPInstanceUID == "1.2.3"
    image = parsed(MediaStorageSOPInstanceUID="1.2.4")
    assert image.file_meta.MediaStorageSOPInstanceUID == "1.2.4" != image.SOPInstanceUID


def test_private_and_nested_elements_can_be_added(tmp_path: Path) -> None:
    item = Dataset()
    item.ScheduledProcedureStepID = "S1"
    path = write_image(
        tmp_path / "deep" / "one",
        DataElement(Tag(0x00090010), "LO", "SOMEBODY"),
        DataElement(Tag(0x00091001), "LO", "private"),
        RequestAttributesSequence=[item],
    )
    image = read(path)
    assert image[0x00091001].value == "private"
    assert image.RequestAttributesSequence[0].ScheduledProcedureStepID == "S1"


def test_unknown_keyword_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="NoSuchKeyword"):
        dataset_bytes(NoSuchKeyword="1")


def test_chest_has_the_values_of_one(tmp_path: Path) -> None:
    """Air, lung, soft tissue and bone in HU; no two slices are equal, and none depends on order."""
    cohort = build_cohort(tmp_path / "c", patients=1, slices=[12], rows=64, columns=64, chest=True)
    datasets = [pydicom.dcmread(cohort.folder / path) for path in files_on_disk(cohort)]
    assert len({bytes(dataset.PixelData) for dataset in datasets}) == 12
    middle = sorted(datasets, key=lambda d: float(d.SliceLocation))[6]
    hu = middle.pixel_array.astype(float) + float(middle.RescaleIntercept)
    assert hu[0, 0] == -1024  # beyond the circle
    assert -900 < np.median(hu[28:36, 16:20]) < -820
    assert 25 < np.median(hu[20:24, 31:33]) < 60
    assert hu.max() > 300


def test_each_patient_may_have_slices_of_its_own_number(tmp_path: Path) -> None:
    cohort = build_cohort(tmp_path / "c", patients=2, slices=[8, 9], rows=4, columns=4)
    assert [series.images for series in cohort.series] == [8, 9]
    with pytest.raises(UsageError, match="3 numbers of slices for 2 patients"):
        build_cohort(tmp_path / "d", patients=2, slices=[8, 9, 10])
