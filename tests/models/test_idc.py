"""The views that bear the names of Imaging Data Commons (IDC), held against what it publishes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import dicomhouse
from dicomhouse.reader import Warehouse

INDEX = {
    "collection_id": "VARCHAR", "analysis_result_id": "VARCHAR", "PatientID": "VARCHAR",
    "SeriesInstanceUID": "VARCHAR", "StudyInstanceUID": "VARCHAR", "source_DOI": "VARCHAR",
    "PatientAge": "VARCHAR", "PatientSex": "VARCHAR", "StudyDate": "VARCHAR",
    "StudyDescription": "VARCHAR", "BodyPartExamined": "VARCHAR", "Modality": "VARCHAR",
    "SOPClassUID": "VARCHAR", "sop_class_name": "VARCHAR", "TransferSyntaxUID": "VARCHAR",
    "transfer_syntax_name": "VARCHAR", "PhotometricInterpretation": "VARCHAR",
    "PixelRepresentation": "VARCHAR", "Manufacturer": "VARCHAR",
    "ManufacturerModelName": "VARCHAR", "SeriesDate": "VARCHAR", "SeriesDescription": "VARCHAR",
    "SeriesNumber": "VARCHAR", "instanceCount": "BIGINT", "license_short_name": "VARCHAR",
    "series_init_idc_version": "BIGINT", "series_revised_idc_version": "BIGINT",
    "aws_bucket": "VARCHAR", "crdc_series_uuid": "VARCHAR", "series_aws_url": "VARCHAR",
    "series_size_MB": "DOUBLE",
}  # fmt: skip
"""Columns of `idc_index` in idc-index-data 25.0.5 (MIT), as DuckDB reads its Parquet."""

OF_IDC_ALONE = {
    "analysis_result_id", "source_DOI", "license_short_name", "series_init_idc_version",
    "series_revised_idc_version", "aws_bucket", "crdc_series_uuid", "series_aws_url",
}  # fmt: skip
"""What IDC says of its own holdings, and nobody else can know."""

PUBLISHED = {
    # README of idc-index (MIT)
    "README, chest CT": """
        SELECT
            collection_id,
            PatientID,
            SeriesInstanceUID,
            SeriesDescription,
            series_size_MB
        FROM index
        WHERE Modality = 'CT'
          AND BodyPartExamined = 'CHEST'
        LIMIT 10
    """,
    "README of 0.2.7": """
        SELECT
          collection_id,
          STRING_AGG(DISTINCT(Modality)) as modalities,
          STRING_AGG(DISTINCT(BodyPartExamined)) as body_parts
        FROM
          index
        GROUP BY
          collection_id
        ORDER BY
          collection_id ASC
    """,
    # Tests of idc-index (MIT)
    "tests": "SELECT DISTINCT(collection_id) FROM index",
    # Query patterns that IDC publishes for assistants (idc-claude-skill, MIT)
    "body parts": """
        SELECT DISTINCT BodyPartExamined, COUNT(*) as n
        FROM index WHERE Modality = 'CT' AND BodyPartExamined IS NOT NULL
        GROUP BY BodyPartExamined ORDER BY n DESC
    """,
    "manufacturers": """
        SELECT DISTINCT Manufacturer, COUNT(*) as n
        FROM index WHERE Modality = 'MR'
        GROUP BY Manufacturer ORDER BY n DESC
    """,
    "segmentations": """
        SELECT collection_id, Modality, COUNT(*) as series_count
        FROM index
        WHERE Modality IN ('SEG', 'RTSTRUCT')
        GROUP BY collection_id, Modality
        ORDER BY series_count DESC
    """,
}


@pytest.fixture(scope="module")
def warehouse(demo: Path) -> Iterator[Warehouse]:
    with dicomhouse.open(demo) as opened:
        yield opened


def test_index_has_the_columns_that_can_be_known(warehouse: Warehouse) -> None:
    columns = dict(warehouse.columns("idc_index").select("name", "type").rows())
    assert list(columns) == [name for name in INDEX if name not in OF_IDC_ALONE]
    assert columns == {name: INDEX[name] for name in columns}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_query_runs_with_the_name_of_the_table_alone_changed(
    warehouse: Warehouse, name: str
) -> None:
    found = warehouse.sql(PUBLISHED[name].replace("index", "idc_index"))
    assert len(found) > 0 or name == "README, chest CT"  # the demo has no chest


def test_index_counts_and_sizes_are_those_of_the_files(warehouse: Warehouse) -> None:
    images = warehouse.sql("from images")
    index = warehouse.sql("from idc_index")
    assert len(index) == images.select("source", "series_key").n_unique()
    sizes = index["series_size_MB"].sum()
    assert sizes == pytest.approx(images["size_bytes"].sum() / 1e6)
    instances = images.group_by("source", "series_key").agg(
        pl.col("SOPInstanceUID").drop_nulls().n_unique()
    )
    assert index["instanceCount"].sum() == instances["SOPInstanceUID"].sum()
    dates = index["StudyDate"].drop_nulls()
    assert len(dates) > 10 and dates.str.to_date("%Y-%m-%d").null_count() == 0


def test_dicom_all_is_the_images_by_keyword(warehouse: Warehouse) -> None:
    images = warehouse.sql("from images")
    every = warehouse.sql("from dicom_all")
    ours = {"collection_id", "instance_size", "file_id"}
    assert all(name[0].isupper() for name in every.columns if name not in ours)
    assert {name for name in images.columns if name[0].isupper()} == set(every.columns) - ours
    both = every.join(images, on="file_id", suffix="_of_images")
    assert len(both) == len(images)
    for name in ("PatientID", "PixelSpacing", "Modality", "KVP", "StudyDate"):
        assert both[name].equals(both[f"{name}_of_images"], null_equal=True), name
    assert both["instance_size"].equals(both["size_bytes"])
    assert every.schema["SliceThickness"] == pl.Float64  # text in BigQuery


SINGLE_FRAME = {
    "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.128",
}  # fmt: skip


def volume_geometry(images: pl.DataFrame) -> dict[str, bool | None]:
    """The checks of `volume_geometry_index` (idc-index-data 25.0.5) on one series, by its names.

    Its `regularly_spaced_3d_volume` is whether all hold; the tolerances are its own.
    """
    orientation = np.array(images["ImageOrientationPatient"].to_list(), float)
    rows, columns = orientation[:, :3], orientation[:, 3:]
    normal = np.cross(rows, columns)
    origin = np.array(images["ImagePositionPatient"].to_list(), float)
    position = np.sort((origin * normal).sum(axis=1))
    spacing = np.ptp(position) / (len(position) - 1) if len(position) > 1 else None
    off = None if spacing is None else np.abs(np.diff(position) - spacing).max()
    return {
        "single_orientation": images["ImageOrientationPatient"].n_unique() == 1,
        "orthogonal_orientation": bool((abs(np.linalg.norm(normal, axis=1) - 1) <= 0.01).all()),
        "unique_slice_positions": images["SOPInstanceUID"].n_unique() == len(np.unique(position)),
        "consistent_in_plane_row": bool(np.ptp((origin * rows).sum(axis=1)) < 0.1),
        "consistent_in_plane_col": bool(np.ptp((origin * columns).sum(axis=1)) < 0.1),
        "consistent_pixel_spacing": images["PixelSpacing"].n_unique() == 1,
        "consistent_image_dimensions": images.select("Rows", "Columns").n_unique() == 1,
        "uniform_slice_spacing": None if off is None else bool(off < 0.01 * spacing),
    }


def test_volumes_are_those_of_idc_but_for_known_differences(studies: Warehouse) -> None:
    images = studies.sql("from images").filter(
        pl.col("SOPClassUID").is_in(list(SINGLE_FRAME)),
        pl.col("ImagePositionPatient").is_not_null(),
    )
    told = {
        (row["source"], row["series_key"]): row for row in studies.sql("from series").to_dicts()
    }
    compared, different = 0, {}
    for key, series in images.group_by("source", "series_key"):
        types = series["ImageType"].explode().drop_nulls()
        if (types == "LOCALIZER").any() or types.str.contains("MIP").any():
            continue
        checks = volume_geometry(series)
        theirs = all(checks.values())
        ours = told[key]
        compared += 1
        if theirs != ours["is_volume"]:
            failed = sorted(name for name, holds in checks.items() if not holds)
            different[key[0], ours["folder"], ours["why_not"]] = failed
    print(compared, different)
    assert (compared, different) == (0, {})
