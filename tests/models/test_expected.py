"""Every series of the shared studies against what their headers are known to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dicomhouse.reader import Warehouse


@pytest.fixture(scope="module")
def expected(shared_data: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads((shared_data / "EXPECTED.json").read_text())
    return plain


HUNDREDTH = 0.01  # the known figures are rounded to it

# Every rule that fails somewhere in a folder, by its severity; all others must not fail.
FAILING: dict[str, dict[str, set[str]]] = {
    "dcm_qa_agfa": {"I": {"slice_gap", "temporal_positions"}},
    "covid_ny_sbu": {
        "I": {
            "duplicate_instance_identical", "series_in_multiple_folders",
            "folder_multiple_studies", "folder_multiple_series",
            "reference_unresolved",  # to localizers that are not there
        },
    },
    "dcm_qa_ct": {
        "E": {"duplicate_instance_conflict"},
        "W": {
            "pixel_data_missing",  # ten again without pixels
            "dicomdir_file_missing",  # its DICOMDIR names the discs' own files
        },
        "I": {
            "file_no_image", "series_in_multiple_folders", "reference_unresolved",
            # A gantry tilt of 16.5 degrees brings slices of 2.5 mm to a spacing of 2.397.
            "sheared_stack", "slice_overlap", "spacing_tag_mismatch",
            "pixels_may_identify",  # thin slices of a brain
        },
    },
    "dcm_qa_nih": {
        "W": {"patient_attribute_inconsistent"},  # one of two scanners fills sex and birth date
        "I": {
            "file_not_dicom",
            "temporal_positions", "folder_multiple_series", "reference_unresolved",
            "slice_gap",  # slices of 3 mm every 5
        },
    },
    "dcm_qa_ts": {  # one image in nine transfer syntaxes, under one SeriesInstanceUID
        "E": {"series_attribute_inconsistent"},  # and nine SeriesNumbers
        "W": {"instance_number_duplicate"},
        "I": {"mixed_transfer_syntax", "reference_unresolved"},
    },
    "dicom2nifti": {
        "E": {
            "missing_slices", "mixed_orientation", "mixed_pixel_spacing", "type1_missing",
            "patient_attribute_inconsistent",  # many people under one PatientID
            "series_attribute_inconsistent",  # failing/sliceorientation: two SeriesNumbers
        },
        "W": {
            "folder_multiple_patients",
            "meta_mismatch",  # anonymised with new UIDs in the data sets alone
            "sheared_stack", "tilt_tag_mismatch",  # 14 degrees, and no GantryDetectorTilt
            "type2_missing",
        },
        "I": {
            "temporal_positions",  # philips_enhanced: 8 positions at 4 times
            "spacing_tag_mismatch",  # failing/gantrytilting: SliceLocation by 5 mm, not 4.85
            "folder_multiple_studies", "folder_multiple_series", "non_volume_image",
            "element_form",  # PatientAge of 0Y
            "private_without_creator",  # philips_enhanced: the stacks of group 2001
            "reference_unresolved",
            "pixels_may_identify",  # secondary captures
        },
    },
    "fo_dicom_zoo": {
        # GH1146 has emptied pixel data, and a reference with a leading zero in its UID.
        "E": {"pixel_length_mismatch", "type1_missing", "uid_invalid"},
        "W": {
            "dicomdir_file_missing",  # its DICOMDIR stands among files of other discs
            "element_invalid",  # GH340: InstanceNumber beyond 32 bits
            "instance_number_missing", "meta_mismatch", "pixel_data_missing", "type2_missing",
        },
        "I": {"file_no_image", "mixed_sop_class", "non_volume_image", "element_form",
              "private_without_creator", "reference_unresolved", "pixels_may_identify"},
    },
    "lidc_headers": {
        "W": {"pixel_data_missing", "type2_missing"}, "I": {"reference_unresolved"},
    },
    "lidc_small": {"W": {"type2_missing"}, "I": {"reference_unresolved"}},
    "pacsman": {
        "E": {"type1_missing"},
        "W": {"series_attribute_inconsistent", "type2_missing"},  # a procedure step in every slice
    },
    "tcga_lihc_mr": {"I": {"element_form", "slice_gap"}},  # slices of 7 mm every 8.75
}  # fmt: skip


def test_findings_are_the_known_ones_and_no_others(studies: Warehouse) -> None:
    found: dict[str, dict[str, set[str]]] = {source: {} for source in FAILING}
    for source, severity, rule in studies.sql("""
        select distinct source, severity, rule from findings
    """).rows():  # fmt: skip
        found[source].setdefault(severity, set()).add(rule)
    different = {s: (found[s], FAILING[s]) for s in FAILING if found[s] != FAILING[s]}
    assert different == {}


def test_files_are_counted_as_on_disk(studies: Warehouse, expected: dict[str, Any]) -> None:
    counts = {
        row["source"]: (row["dicom"], row["other"])
        for row in studies.sql("""
            select source, count(*) filter (status in ('ok', 'no_image')) dicom,
                count(*) filter (status = 'not_dicom') other
            from files group by source
        """).to_dicts()
    }  # fmt: skip
    assert counts == {
        source: (known["n_dicom"], known["non_dicom"]) for source, known in expected.items()
    }


def known_series(expected: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(source, s) for source, known in expected.items() for s in known["series"]]


def test_every_series_has_its_images_matrix_and_folders(
    studies: Warehouse, expected: dict[str, Any]
) -> None:
    measured = {
        (row["source"], row["SeriesInstanceUID"]): row
        for row in studies.sql("from series where SeriesInstanceUID is not null").to_dicts()
    }
    compared = 0
    for source, known in known_series(expected):
        if not known["series"]:
            continue  # without a UID the folder stands in, here
        ours = measured[source, known["series"]]
        compared += 1
        assert ours["images"] == known["n"], (source, known["desc"])
        assert ours["folders"] == known["ndirs"]
        assert ours["images"] - ours["instances"] == known["dup_sop"]
        assert known["mod"] in ours["modalities"] or not known["mod"]
    assert compared == len(measured) > 50


def test_geometry_agrees_where_the_headers_state_it(
    studies: Warehouse, expected: dict[str, Any]
) -> None:
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in studies.sql("""
        select s.SeriesInstanceUID as uid, g.* from series_geometry g
        join series s using (source, series_key) order by stack
    """).to_dicts():  # fmt: skip
        measured.setdefault((row["source"], row["uid"]), []).append(row)
    with_planes = with_steps = with_shear = 0
    for source, known in known_series(expected):
        stacks = measured.get((source, known["series"]), [])
        if not known["series"] or not known["n_iop"] or not stacks:
            continue  # mosaics and projections have no planes
        where = (source, known["desc"])
        assert len(stacks) == known["n_iop"], where
        axes = [max(range(3), key=lambda k: abs(stack["normal"][k])) for stack in stacks]
        assert {"sca"[axis] for axis in axes} == set(known["planes"]), where
        # An instance that stands twice lies there once.
        assert sum(stack["images"] for stack in stacks) == known["n"] - known["dup_sop"], where
        with_planes += 1
        if len(stacks) > 1 or known["n"] == 1:
            continue
        (ours,) = stacks
        assert ours["positions"] == known["n_slices_pos"], where
        repeated = known["dup_pos"] - known["dup_sop"]
        assert ours["images"] - ours["positions"] == repeated, where
        assert (ours["repeated_positions"] > 0) == (repeated > 0), where
        if "step_med" not in known:
            assert ours["spacing_median"] is None, where
            continue
        assert ours["spacing_median"] == pytest.approx(known["step_med"], abs=HUNDREDTH), where
        assert ours["spacing_mode"] == pytest.approx(known["step_med"], abs=HUNDREDTH), where
        assert ours["spacing_min"] == pytest.approx(known["step_min"], abs=HUNDREDTH), where
        assert ours["spacing_max"] == pytest.approx(known["step_max"], abs=HUNDREDTH), where
        assert ours["gaps"] == known["gaps"] == len(ours["gaps_between"]), where
        assert ours["missing_slices"] == known["missing_est"], where
        is_sheared = known.get("shear_deg", 0) > 0.5
        assert ours["is_regular"] == (
            known["missing_est"] == 0 and repeated == 0 and not is_sheared
        ), where
        with_steps += 1
        assert ours["shear_degrees"] == pytest.approx(known.get("shear_deg", 0), abs=0.1), where
        if "tilt_tag" in known:
            assert [ours["gantry_tilt_degrees"]] == [float(tag) for tag in known["tilt_tag"]]
        with_shear += "shear_deg" in known
    assert (with_planes, with_steps, with_shear) == (38, 14, 2)


def test_every_frame_of_an_enhanced_object_has_a_place(studies: Warehouse) -> None:
    found = studies.sql("""
        select source, folder, g.images, g.positions, repetition,
            round(spacing_median, 3) as spacing
        from series_geometry g join series using (source, series_key)
        where source = 'dcm_qa_agfa' or folder like 'philips_enhanced%'
        order by folder
    """).rows()  # fmt: skip
    assert found == [
        ("dcm_qa_agfa", "Agfa", 100, 25, 4, 3.3),
        ("dcm_qa_agfa", "Siemens", 100, 25, 4, 3.3),
        ("dicom2nifti", "philips_enhanced/fmri/001", 32, 8, 4, 3.313),
    ]


def test_mosaics_are_named_and_have_no_geometry(studies: Warehouse) -> None:
    found = studies.sql("""
        select frames.source, count(*) as frames, count(g.series_key) as stacks
        from frames left join series_geometry g using (source, series_key)
        where geometry_source = 'mosaic' group by all order by all
    """).rows()  # fmt: skip
    assert found == [("dcm_qa_nih", 8, 0), ("dcm_qa_ts", 9, 0)]


def test_lidc_headers_are_two_clean_patients(studies: Warehouse) -> None:
    (found,) = studies.sql("""
        select count(distinct patient_key) patients, count(distinct g.series_key) series,
            sum(g.images) images, min(spacing_median) low, max(spacing_median) high,
            sum(missing_slices) missing
        from series_geometry g
        join (select distinct source, series_key, patient_key from images)
            using (source, series_key)
        where source = 'lidc_headers'
    """).to_dicts()  # fmt: skip
    assert found.pop("low") == pytest.approx(2.5)
    assert found.pop("high") == pytest.approx(2.5)
    assert found == {"patients": 2, "series": 2, "images": 273, "missing": 0}


@pytest.mark.parametrize(
    ("folder", "rule", "measured"),
    [
        ("failing/sliceincrement/001", "missing_slices", 1),
        ("failing/sliceorientation/001", "mixed_orientation", 2),
    ],
)
def test_known_defect_is_found_in_its_folder(
    studies: Warehouse, folder: str, rule: str, measured: float
) -> None:
    (found,) = studies.sql(f"""
        select measured, offenders from series_checks
        where source = 'dicom2nifti' and rule = '{rule}' and status = 'fail'
    """).to_dicts()  # fmt: skip
    assert found["measured"] == measured
    assert all(path.startswith(folder) for path in found["offenders"])


def test_dcm_qa_ct_has_ten_instances_twice(studies: Warehouse) -> None:
    (found,) = studies.sql("""
        select measured, n_offenders from series_checks
        where source = 'dcm_qa_ct' and rule = 'duplicate_instance_conflict' and status = 'fail'
    """).to_dicts()  # fmt: skip
    assert found == {"measured": 10, "n_offenders": 20}


def test_pacsman_is_128_slices_of_one_millimetre(studies: Warehouse) -> None:
    (found,) = studies.sql("""
        select images, positions, spacing_median from series_geometry where source = 'pacsman'
    """).to_dicts()  # fmt: skip
    assert (found["images"], found["positions"]) == (128, 128)
    assert found["spacing_median"] == pytest.approx(1, abs=1e-3)
