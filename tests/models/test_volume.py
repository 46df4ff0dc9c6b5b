"""Volumes against SimpleITK and dcm2niix on real series, and what broken pixels end in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from building import build_tables
from commands import call_cli, run_cli
from PIL import Image
from places import PYDICOM_DATA
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    NuclearMedicineImageStorage,
    RLELossless,
)
from stacks import axial, numbered, stepped, times, write_series

import dicomhouse
from dicomhouse.errors import PixelsFailed, UsageError
from dicomhouse.pixels import slices
from dicomhouse.pixels.decode import codestream_size
from dicomhouse.pixels.slices import Place, Slice, read_slices
from dicomhouse.reader import Warehouse
from dicomhouse.settings import Settings
from dicomhouse.testing import write_image

REAL = ("covid_ny_sbu", "dcm_qa_ct", "dcm_qa_nih", "dicom2nifti", "lidc_small", "tcga_lihc_mr")

VOLUMES = ("sources", "series", "series_geometry", "frames", "int_slices")
"""The tables that volumes are made by."""


def read(path: Path, frame: int = 0) -> Slice:
    return slices.read_slice(Place(str(path), frame))


def test_volumes_agree_with_simpleitk(studies: Warehouse) -> None:
    """Order, values, spacing, origin and direction of every real series that is a volume."""
    series = studies.sql(
        "select series_key from series where is_volume and modalities[1] in ('CT', 'MR', 'PT') "
        f"and source in {REAL}"
    )["series_key"].to_list()
    assert len(series) >= 6
    for key in series:
        volume = studies.volume(key)
        assert all(place.frame == 0 for place in volume.frames)
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames([place.file for place in volume.frames])
        image = reader.Execute()
        assert np.abs(volume.array - SimpleITK.GetArrayFromImage(image)).max() <= 1
        assert volume.spacing == pytest.approx(image.GetSpacing(), abs=1e-4)
        assert volume.origin == pytest.approx(image.GetOrigin(), abs=1e-4)
        assert volume.direction.ravel() == pytest.approx(image.GetDirection(), abs=1e-4)


def by_dcm2niix(files: list[Path], folder: Path) -> Any:
    """What dcm2niix makes of files."""
    (folder / "in").mkdir()
    for number, file in enumerate(files):
        shutil.copyfile(file, folder / "in" / f"{number:04}.dcm")
    program = Path(sys.executable).with_name("dcm2niix")
    subprocess.run(
        [program, "-b", "n", "-f", "other", "-o", folder, folder / "in"], check=True,
        capture_output=True,
    )  # fmt: skip
    return nibabel.load(folder / "other.nii")


def assert_same_places(ours: Any, other: Any) -> None:
    """Images whose voxels may run in other directions hold the same values at the same places."""
    values = np.asarray(ours.dataobj), np.asarray(other.dataobj)
    if values[1].ndim == 4:
        values = values[0], values[1][..., 0]
    assert ours.shape == values[1].shape
    flip = np.linalg.inv(ours.affine) @ other.affine  # from their voxels to ours
    for voxel in np.ndindex(2, 2, 2):
        theirs = np.array([*(np.array(values[1].shape) - 1) * voxel, 1])
        mine = flip @ theirs
        assert mine == pytest.approx(np.round(mine), abs=1e-3)
        i, j, k = np.round(mine[:3]).astype(int)
        assert values[0][i, j, k] == values[1][tuple(theirs[:3])]
    assert np.array_equal(np.sort(values[0], axis=None), np.sort(values[1], axis=None))


def test_affine_of_nifti_is_that_of_dcm2niix(studies: Warehouse, tmp_path: Path) -> None:
    """dcm2niix stores rows from below: its affine maps the flipped voxel to the same place."""
    row = studies.sql("select * from series where source = 'tcga_lihc_mr'").row(0, named=True)
    files = [Path(place.file) for place in studies.volume(row["series_key"]).frames]
    at = ("--warehouse", str(studies.generation.folder.parents[1]))
    done = call_cli("volume", row["series_key"], "--nifti", str(tmp_path / "ours.nii.gz"), *at)
    assert done.returncode == 0, done.stderr
    assert_same_places(nibabel.load(tmp_path / "ours.nii.gz"), by_dcm2niix(files, tmp_path))


def test_mosaics_are_the_volumes_of_dcm2niix(studies: Warehouse, tmp_path: Path) -> None:
    rows = studies.sql(
        "select series_key, list(source order by path) as sources, list(path order by path) as "
        f"paths from frames where geometry_source = 'mosaic' and source in {REAL} "
        "group by all order by 1"
    ).to_dicts()
    assert len(rows) >= 4
    at = ("--warehouse", str(studies.generation.folder.parents[1]))
    for number, row in enumerate(rows):
        files = [
            studies.absolute_path(source, path)
            for source, path in zip(row["sources"], row["paths"], strict=True)
        ]
        folder = tmp_path / str(number)
        folder.mkdir()
        words = (row["series_key"], "--time", "1", "--nifti", str(folder / "ours.nii.gz"), *at)
        done = call_cli("volume", *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert_same_places(nibabel.load(folder / "ours.nii.gz"), by_dcm2niix(files, folder))
    with pytest.raises(PixelsFailed, match="2 objects each hold a stack"):
        studies.volume(rows[0]["series_key"])
    with pytest.raises(UsageError, match="no time 3; there are 2"):
        studies.volume(rows[0]["series_key"], time=3)


def write_tomography(folder: Path, **others: Any) -> None:
    """Four reconstructed NM frames, each of one value."""
    detector = Dataset()
    detector.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    detector.ImagePositionPatient = [10, 20, 30]
    plain = {
        "Modality": "NM", "SOPClassUID": NuclearMedicineImageStorage,
        "ImageType": ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"], "NumberOfFrames": "4",
        "ImagePositionPatient": None, "ImageOrientationPatient": None, "RescaleSlope": None,
        "RescaleIntercept": None, "Rows": 4, "Columns": 4, "PixelSpacing": ["2", "3"],
        "SliceThickness": None, "SpacingBetweenSlices": "5",
        "DetectorInformationSequence": [detector],
        "PixelData": np.repeat(np.arange(4, dtype="<u2"), 16).tobytes(),
    }  # fmt: skip
    write_series(folder, [plain | others])


def test_tomography_runs_along_the_normal_of_its_detector(made: Warehouse) -> None:
    for name, origin, values in (
        ("up", (10, 20, 30), [0, 1, 2, 3]),
        ("down", (10, 20, 15), [3, 2, 1, 0]),
    ):
        volume = made.volume(key_of(made, name))
        assert volume.array[:, 0, 0].tolist() == values
        assert (volume.spacing, volume.origin) == ((3, 2, 5), origin)
        assert np.array_equal(volume.direction, np.eye(3))


def test_frames_that_are_no_slices_are_refused(made: Warehouse) -> None:
    with pytest.raises(PixelsFailed, match="its frames are not slices of a reconstruction"):
        made.volume(key_of(made, "dynamic"))


def test_compressed_files_hold_what_their_uncompressed_twins_hold() -> None:
    files = PYDICOM_DATA / "test_files"
    for one, other in (
        ("MR_small.dcm", "MR_small_RLE.dcm"),
        ("MR_small.dcm", "MR_small_jp2klossless.dcm"),
        ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm"),
        ("rtdose.dcm", "rtdose_rle.dcm"),
        ("rtdose_1frame.dcm", "rtdose_rle_1frame.dcm"),
        ("MR_small.dcm", "MR_small_bigendian.dcm"),
    ):
        assert np.array_equal(read(files / one).values, read(files / other).values), other
    dose = pydicom.dcmread(files / "rtdose.dcm")
    found = read(files / "rtdose.dcm", 3)
    assert found.values == pytest.approx(dose.pixel_array[3] * float(dose.DoseGridScaling))
    assert found.unit == dose.DoseUnits


def test_first_bytes_of_the_pixels_lead_to_the_first_value(studies: Warehouse) -> None:
    """The example of docs/pixels.md, on a real series."""
    (key,) = studies.sql(
        "select series_key from series where source = 'lidc_small' and is_volume limit 1"
    ).row(0)
    volume = studies.volume(key)
    dataset = pydicom.dcmread(volume.frames[0].file)
    signed = dataset.PixelRepresentation == 1
    stored = int.from_bytes(dataset.PixelData[:2], "little", signed=signed)
    assert stored == dataset.pixel_array[0, 0]
    assert stored * dataset.RescaleSlope + dataset.RescaleIntercept == volume.array[0, 0, 0]
    counts, _ = np.histogram(volume.array, bins=range(-2100, 4100, 20))
    assert counts.sum() == volume.array.size


def explained(dataset: Dataset) -> str | None:
    """Why SimpleITK's values of a file are others than ours."""
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        return "it inverts MONOCHROME1"
    if dataset.BitsAllocated == 1:
        return "its bits are 0 and 255"
    if "DoseGridScaling" in dataset:
        return "it leaves doses as they are stored"
    if dataset.get("SamplesPerPixel") == 3 and dataset.BitsAllocated > 8:
        return "colour has 8 bits here"
    return None


def test_frames_of_odd_files_agree_with_simpleitk(shared_data: Path) -> None:
    """Every transfer syntax, photometric interpretation and width that real files come in."""
    SimpleITK.ProcessObject.GlobalWarningDisplayOff()
    folders = [shared_data / name for name in ("fo_dicom_zoo", "dcm_qa_agfa", "pacsman")]
    agreed, refused, syntaxes = 0, set(), set()
    for path in sorted(p for f in (*folders, PYDICOM_DATA / "test_files") for p in f.rglob("*")):
        if not path.is_file():
            continue
        try:
            dataset = pydicom.dcmread(path, force=True)
            is_image = "PixelData" in dataset and "Rows" in dataset
            image = SimpleITK.ReadImage(str(path)) if is_image else None
        except Exception:
            continue
        if image is None:
            continue
        theirs = SimpleITK.GetArrayFromImage(image)
        theirs = theirs if image.GetDimension() == 2 else theirs[0]
        try:
            ours = slices.read_slice(Place(str(path), 0)).values
        except PixelsFailed:
            refused.add(path.name)
            continue
        if explained(dataset) is None:
            assert ours.shape == theirs.shape, path.name
            assert np.abs(ours.astype(float) - theirs).max() <= 1, path.name
            agreed += 1
            syntaxes.add(dataset.file_meta.TransferSyntaxUID)
    # BitsAllocated 12, and a NumberOfFrames that is not a number.
    assert refused == {"GH340.dcm", "badVR.dcm"}
    assert agreed >= 200
    assert len(syntaxes) >= 9


WIDE = {"Rows": 4, "Columns": 4, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}


def pixels(*values: int, dtype: str = "<u2") -> dict[str, Any]:
    return WIDE | {"PixelData": np.resize(np.array(values, dtype), 16).tobytes()}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (pixels(65535) | {"RescaleSlope": "2", "RescaleIntercept": "-1024"}, 130046),
        (pixels(-5, dtype="<i2") | {"PixelRepresentation": 1}, -1029),
        (pixels(7) | {"RescaleSlope": "0.5", "RescaleIntercept": "0.25"}, 3.75),
        (pixels(9) | {"PhotometricInterpretation": "MONOCHROME1"}, -1015),
        (pixels(9) | {"RescaleSlope": None, "RescaleIntercept": None}, 9),
        (
            {"Rows": 4, "Columns": 4, "BitsAllocated": 32, "BitsStored": 32, "HighBit": 31,
             "PixelData": np.full(16, 70000, "<u4").tobytes()}, 68976,
        ),
        (
            {"Rows": 4, "Columns": 4, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7,
             "PixelData": bytes([200]) * 16}, -824,
        ),
    ],
    ids=["no overflow", "signed", "fractions", "monochrome1", "no rescale", "32 bit", "8 bit"],
)  # fmt: skip
def test_stored_values_become_output_units(
    tmp_path: Path, image: dict[str, Any], expected: float
) -> None:
    found = read(
        write_image(tmp_path / "1", **{"RescaleSlope": "1", "RescaleIntercept": "-1024"} | image)
    )
    assert found.values.dtype == np.float32
    assert found.values[0, 0] == expected
    assert found.is_inverted == (image.get("PhotometricInterpretation") == "MONOCHROME1")


def test_padding_is_nan_where_asked(made: Warehouse) -> None:
    key = key_of(made, "padded")
    plain, masked = made.volume(key), made.volume(key, mask_padding=True)
    assert not np.isnan(plain.array).any()
    assert np.isnan(masked.array).sum() == 24


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    root = tmp_path_factory.mktemp("made")
    each = {
        "backwards": list(reversed(axial(range(5)))),
        "gap": stepped(1, 1, 2, 1),
        "times": numbered(times(axial(range(4)))),
        "matrices": [*axial(range(4)), axial(range(5))[4] | {"Rows": 8}],
    }
    for name, images in each.items():
        write_series(root / "in" / name, [
            image | pixels(number) | {"Rows": image.get("Rows", 4)}
            | ({"PixelData": bytes(64)} if "Rows" in image else {})
            for number, image in enumerate(images)
        ])  # fmt: skip
    padded = pixels(0, 500) | {"PixelPaddingValue": 0}
    write_series(root / "in" / "padded", [image | padded for image in axial(range(3))])
    write_tomography(root / "in" / "up", SpacingBetweenSlices="5")
    write_tomography(root / "in" / "down", SpacingBetweenSlices="-5")
    write_tomography(
        root / "in" / "dynamic", ImageType=["ORIGINAL", "PRIMARY", "DYNAMIC", "EMISSION"]
    )
    build_tables(Settings((str(root / "in"),), root / "w"), VOLUMES)
    with dicomhouse.open(root / "w") as opened:
        yield opened


def key_of(warehouse: Warehouse, folder: str) -> str:
    return str(
        warehouse.sql(f"select series_key from series where folder = '{folder}'")["series_key"][0]
    )


def test_slices_stand_in_order_of_position(made: Warehouse) -> None:
    volume = made.volume(key_of(made, "backwards"))
    assert (volume.array[:, 0, 0] - volume.array[0, 0, 0]).tolist() == [0, -1, -2, -3, -4]
    assert volume.origin == (0, 0, 0)
    assert repr(volume).startswith(f"<Volume, {volume.array.shape[0]} x ")
    assert "dcm" not in repr(volume)


def test_what_is_no_volume_is_refused_with_the_reason(made: Warehouse) -> None:
    for folder, reason in (
        ("gap", "1 slice missing"), ("times", "positions hold several images"),
        ("matrices", "several matrices"),
    ):  # fmt: skip
        with pytest.raises(PixelsFailed, match=reason):
            made.volume(key_of(made, folder))
    assert made.volume(key_of(made, "gap"), force=True).array.shape == (5, 4, 4)
    with pytest.raises(UsageError, match="no series"):
        made.volume("1.2.3")
    with pytest.raises(UsageError, match="no stack 7"):
        made.volume(key_of(made, "times"), stack=7)


def test_a_time_is_chosen(made: Warehouse) -> None:
    key = key_of(made, "times")
    first, third = made.volume(key, time=1), made.volume(key, time=3)
    assert (third.array[:, 0, 0] - first.array[:, 0, 0]).tolist() == [8, 8, 8, 8]
    with pytest.raises(PixelsFailed, match="has no time 4"):
        made.volume(key, time=4)


def jpeg(rows: int, columns: int) -> bytes:
    """A frame header that claims a size, and nothing behind it."""
    return (
        b"\xff\xd8\xff\xc0\0\x0b\x08"
        + rows.to_bytes(2)
        + columns.to_bytes(2)
        + b"\1\1\x11\0\xff\xd9"
    )


def jpeg_2000(rows: int, columns: int) -> bytes:
    return (
        b"\xff\x4f\xff\x51\0\x29\0\0" + columns.to_bytes(4) + rows.to_bytes(4) + bytes(8)
        + columns.to_bytes(4) + rows.to_bytes(4) + bytes(8) + b"\0\1\x0f\1\1"
    )  # fmt: skip


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "cut": (WIDE | {"PixelData": bytes(20)}, "cannot be decoded"),
    "empty": (WIDE | {"PixelData": b""}, "cannot be decoded"),
    "none": (WIDE | {"PixelData": None}, "cannot be decoded"),
    "bomb of native pixels": (
        WIDE | {"Rows": b"\xff\xff", "Columns": b"\xff\xff", "PixelData": bytes(64)},
        "beyond the bound",
    ),
    "no rows": (WIDE | {"Rows": 0, "PixelData": bytes(64)}, "Rows x Columns is 0 x 4"),
    "bomb of JPEG": (
        WIDE | {"TransferSyntaxUID": JPEGBaseline8Bit,
                "PixelData": encapsulate([jpeg(65500, 65500)])},
        "the codestream is of 65500 x 65500",
    ),
    "bomb of JPEG 2000": (
        WIDE | {"TransferSyntaxUID": JPEG2000Lossless,
                "PixelData": encapsulate([jpeg_2000(65535, 65535)])},
        "the codestream is of 65535 x 65535",
    ),
    "another syntax": (
        WIDE | {"TransferSyntaxUID": RLELossless, "PixelData": encapsulate([jpeg(4, 4)])},
        "cannot be decoded",
    ),
    "a million frames": (
        WIDE | {"NumberOfFrames": "1000000", "PixelData": bytes(64)}, "cannot be decoded",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pixels_are_told(name: str, tmp_path: Path) -> None:
    overrides, reason = BROKEN[name]
    path = write_image(tmp_path / "1", **overrides)
    with pytest.raises(PixelsFailed, match=reason) as caught:
        list(read_slices([Place(str(path), 0)], jobs=1))
    assert "Sample" not in caught.value.message


def test_sizes_of_codestreams_are_their_own() -> None:
    assert codestream_size(jpeg(7, 9)) == (7, 9)
    assert codestream_size(jpeg_2000(7, 9)) == (7, 9)
    assert codestream_size(b"\xff\xd8\xff\xe0\0\4ab" + jpeg(7, 9)[2:]) == (7, 9)
    for cut in range(9):
        assert codestream_size(jpeg(7, 9)[:cut]) is None
    assert codestream_size(bytes(64)) is None


def test_pictures_show_the_patient_upright(studies: Warehouse, tmp_path: Path) -> None:
    at = ("--warehouse", str(studies.generation.folder.parents[1]))
    uid = studies.sql("select SeriesInstanceUID from series where source = 'tcga_lihc_mr'").item()
    done = call_cli(
        "volume", uid, "--png", str(tmp_path / "m.png"), "--planes", str(tmp_path / "p.png"),
        "--gif", str(tmp_path / "gif"), "--webp", str(tmp_path / "webp"), "--npy",
        str(tmp_path / "v.npy"), *at,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    volume = studies.volume(uid)
    assert np.array_equal(np.load(tmp_path / "v.npy"), volume.array)
    planes = Image.open(tmp_path / "p.png")
    assert planes.mode == "L" and planes.height == 400
    animation = Image.open(tmp_path / "gif" / "front-back.gif")
    assert max(animation.size) == 256
    assert len(animation.getcolors() or []) <= 32
    names = {path.name for folder in ("gif", "webp") for path in (tmp_path / folder).iterdir()}
    assert names == {
        f"{view}.{ending}"
        for view in ("top-bottom", "left-right", "front-back") for ending in ("gif", "webp")
    }  # fmt: skip
    # Coronal slices, 400 mm to a side and 30 of 8.75 mm: so is the axial plane.
    width, height = Image.open(tmp_path / "gif" / "top-bottom.gif").size
    assert height / width == pytest.approx(30 * 8.75 / 400, abs=0.02)


def test_a_folder_needs_no_warehouse(shared_data: Path, tmp_path: Path) -> None:
    done = run_cli("volume", str(shared_data / "tcga_lihc_mr"), "--npy", str(tmp_path / "v.npy"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("shape      30 x 256 x 256")
    several = call_cli("volume", str(shared_data / "lidc_small"))
    assert several.returncode == 2
    assert "the folder holds 2 series" in several.stderr


def test_colour_stays_colour() -> None:
    found = read(PYDICOM_DATA / "test_files" / "SC_rgb_jpeg_dcmtk.dcm")
    assert found.values.dtype == np.uint8
    assert found.values.shape[2] == 3
    assert found.padding is None
