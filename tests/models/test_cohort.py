"""A cohort with planted defects: all are found in the right files, and nothing else is flagged.

`DICOMHOUSE_COHORT=176x187 pytest tests/models/test_cohort.py` plants them among 33,000 images.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from building import build_findings

import dicomhouse
from dicomhouse.settings import Settings
from dicomhouse.testing import Cohort, Defect, build_cohort

PATIENTS, SLICES = map(int, os.environ.get("DICOMHOUSE_COHORT", "36x12").split("x"))

# Of each kind one, then the first ones again in other patients.
PLANTED = (list(Defect) * 2)[:30]

# One file of each parent or value, or the one set aside, stands for all that the defect names.
NAMES_SOME = {
    Defect.TWO_STUDIES_IN_SERIES, Defect.TWO_SERIES_IN_FOLDER, Defect.DUPLICATE_INSTANCE,
    Defect.INSTANCE_NUMBER_GAP, Defect.ANOTHER_PATIENT_NAME, Defect.ANOTHER_MANUFACTURER,
}  # fmt: skip

ALSO = {
    Defect.SHEARED_STACK: {"tilt_tag_mismatch"},
    Defect.MISSING_POSITION: {"type1_missing"},
}
"""Other sides of the same deviation."""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cohort]:
    folder = tmp_path_factory.mktemp("cohort")
    defects = [(defect, 2 + patient) for patient, defect in enumerate(PLANTED)]
    cohort = build_cohort(folder / "in", patients=PATIENTS, slices=SLICES, defects=defects)
    build_findings(Settings((str(cohort.folder),), folder / "w"))
    yield cohort


@pytest.fixture(scope="module")
def findings(cohort: Cohort) -> list[dict[str, Any]]:
    """By rule and patient folder; of severity I only what a planted defect is found by.

    Attributes of type 2 that headers like OSIC's lack by nature are left out.
    """
    wanted = ", ".join(f"'{defect.rule}'" for defect in PLANTED)
    with dicomhouse.open(cohort.folder.with_name("w")) as warehouse:
        return warehouse.sql(f"""
            select rule, n_offenders, offenders, split_part(offenders[1], '/', 1) as patient
            from findings
            where (severity <> 'I' or rule in ({wanted})) and rule <> 'type2_missing'
        """).to_dicts()  # fmt: skip


def test_every_planted_defect_is_found_in_its_files(
    cohort: Cohort, findings: list[dict[str, Any]]
) -> None:
    assert len(cohort.defects) == 30 and len({p.defect for p in cohort.defects}) >= 15
    by_subject = {(row["rule"], row["patient"]): row for row in findings}
    for planted in cohort.defects:
        row = by_subject[planted.defect.rule, planted.files[0].split("/")[0]]
        if planted.defect in NAMES_SOME:
            assert set(planted.files) & set(row["offenders"]), planted.defect
        else:
            assert row["n_offenders"] == len(planted.files), planted.defect
            assert row["offenders"] == sorted(planted.files)[:20], planted.defect


def test_nothing_else_is_flagged(cohort: Cohort, findings: list[dict[str, Any]]) -> None:
    expected = {
        (rule, planted.files[0].split("/")[0])
        for planted in cohort.defects
        for rule in {planted.defect.rule} | ALSO.get(planted.defect, set())
    }
    assert {(row["rule"], row["patient"]) for row in findings} == expected
