"""Numbers and angles as words."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phantom import make_puncture

from hepatica.adapters.reports.puncture_view import find_lateral_axis, to_in_plane_words
from hepatica.adapters.reports.wording import (
    Cell,
    shorten,
    to_cell,
    to_date_words,
    to_dose_words,
    to_list_words,
    to_measure_words,
    to_ml_words,
    to_number_words,
    to_percent_words,
    to_readable_words,
    to_run_time_words,
    to_tilt_words,
)
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import NotEvaluable
from hepatica.core.position import PatientPosition, derive_gravity_lps


def turned(angle, tip_offset=(30.0, 40.0, 0.0)):
    import dataclasses

    puncture = make_puncture("P1", (0.0, 0.0, 0.0))
    track = dataclasses.replace(puncture.tracks[0], tip_lps_mm=puncture.entry_lps_mm + np.array(tip_offset))
    return dataclasses.replace(puncture, in_plane_angle_deg=angle, tracks=(track,))


@pytest.mark.requirement("A-sheet-angle-words")
@pytest.mark.parametrize(
    ("angle", "words"),
    [
        (12.34, "12.3° toward patient left"),
        (-12.34, "12.3° toward patient right"),
        (0.04, "0.0° (straight down)"),
        (-0.04, "0.0° (straight down)"),
        (100.0, "100.0° toward patient left, pointing up"),
    ],
)
@pytest.mark.parametrize("position", ["HFS", "FFS", "HFP", "FFP"])
def test_in_plane_angle_names_the_patients_side_supine_and_prone(angle, words, position):
    assert to_in_plane_words(turned(angle), derive_gravity_lps(position)) == words


@pytest.mark.requirement("A-sheet-angle-words")
@pytest.mark.parametrize("position", ["HFDR", "HFDL", "FFDR", "FFDL"])
def test_in_plane_angle_names_front_or_back_for_a_patient_on_the_side(position):
    gravity = derive_gravity_lps(position)
    assert to_in_plane_words(turned(20.0, (5.0, 9.0, 0)), gravity) == "20.0° toward the patient's back"
    assert to_in_plane_words(turned(20.0, (5.0, -9.0, 0)), gravity) == "20.0° toward the patient's front"


def test_in_plane_angle_without_gravity_gives_the_reason():
    unknown = NotEvaluable(reason="Patient Position (0018,5100) is unknown")
    assert to_in_plane_words(turned(unknown), unknown) == "n/e: Patient Position (0018,5100) is unknown"


@pytest.mark.requirement("A-sheet-angle-words")
@pytest.mark.parametrize(
    ("angle", "words"),
    [
        (5.0, "5.0° toward the head"),
        (-5.0, "5.0° toward the feet"),
        (0.0, "0.0° (axial)"),
        (-0.01, "0.0° (axial)"),
    ],
)
def test_tilt_names_head_or_feet(angle, words):
    assert to_tilt_words(angle) == words


@pytest.mark.parametrize("position", list(PatientPosition))
def test_lateral_axis_is_horizontal(position):
    gravity = derive_gravity_lps(position)
    axis, plus, minus = find_lateral_axis(gravity)
    assert axis @ gravity == 0
    assert plus != minus


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "words"),
    [
        (-3.14159, "mm", 1, "−3.1 mm"),
        (-0.01, "mm", 1, "0.0 mm"),
        (2.0, "", 0, "2"),
        (NotEvaluable(reason="the scan ends there"), "mm", 1, "n/e: the scan ends there"),
    ],
)
def test_numbers_bear_unit_real_minus_and_no_negative_zero(value, unit, decimals, words):
    assert to_number_words(value, unit=unit, decimals=decimals) == words


@pytest.mark.parametrize(
    ("volume", "words"),
    [(2.0, "2.00 mL"), (0.1, "0.10 mL"), (1 / 3, "0.333 mL"), (0.0, "0.00 mL"), (0.125, "0.125 mL")],
)
def test_volumes_keep_the_microlitre_where_needed(volume, words):
    assert to_ml_words(volume) == words


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(1, 12), st.integers(100, 8000))
def test_printed_equal_deposits_add_up_to_the_printed_total(count, microlitres):
    total = microlitres / 1000
    printed = [float(to_ml_words(total / count).split()[0])] * count
    # Half a microlitre of rounding for each printed deposit and for the total.
    assert abs(sum(printed) - float(to_ml_words(total).split()[0])) <= 0.0005 * (count + 1) + 1e-9


@pytest.mark.parametrize(
    ("dose", "unit", "words"),
    [
        (2e6, "pfu", "2 × 10⁶ PFU"),
        (4.5e8, "pfu", "4.5 × 10⁸ PFU"),
        (9.9999e5, "pfu", "1 × 10⁶ PFU"),
        (120.0, "mg", "120 mg"),
        (1.5, "ml", "1.50 mL"),
        (0.0, "pfu", "0 PFU"),
        (NotEvaluable(reason="the strength is not set"), "pfu", "n/e: the strength is not set"),
    ],
)
def test_doses_are_powers_of_ten_where_large(dose, unit, words):
    assert to_dose_words(dose, unit) == words


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.42, "fraction", "42 %"),
        (31.25, "mm", "31.2 mm"),
        (-4.5, "hu", "−4.5 HU"),
        (20.0, "deg", "20°"),
        ("", "mm", ""),
        ("2.0 or 4.0 mL", "ml", "2.0 or 4.0 mL"),
        (150000.0, "pfu", "1.5 × 10⁵ PFU"),
    ],
)
def test_measured_values_of_findings_bear_their_unit_once(value, unit, words):
    assert to_measure_words(value, unit) == words


def test_fractions_are_percent():
    assert to_percent_words(0.3333) == "33.3 %"
    assert to_percent_words(NotEvaluable(reason="no liver label")) == "n/e: no liver label"


@pytest.mark.requirement("A-sheet-unverified")
def test_cell_says_unverified_for_unverified_evidence_only():
    said = {status: "unverified" in str(to_cell("2 mL", status=status)) for status in EvidenceStatus}
    assert said == {
        EvidenceStatus.VERIFIED: False,
        EvidenceStatus.DERIVED: False,
        EvidenceStatus.UNVERIFIED: True,
        EvidenceStatus.NOT_SET: False,
    }
    assert str(Cell(text="2 mL", note="why")) == "2 mL, why"


def test_times_and_dates():
    assert to_run_time_words(datetime(2026, 1, 2, 3, 4, 59, tzinfo=UTC)) == "2026-01-02 03:04 UTC"
    zone = timezone(timedelta(hours=-5))
    assert to_run_time_words(datetime(2026, 1, 2, 3, 4, tzinfo=zone)) == "2026-01-02 03:04 UTC-05:00"
    assert to_date_words("20260102") == "2026-01-02"
    assert to_date_words("") == "–"


def test_lists_and_long_names():
    assert to_list_words(("bile_duct", "heart", "bowel")) == "bile duct, heart and bowel"
    assert to_list_words(()) == ""
    assert shorten("a\x00b\n  c", 10) == "a b c"
    assert shorten("x" * 100, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (">= 50 1e9_per_l", "≥ 50 × 10⁹/L"),
        ("88 1e9_per_l (2026-01-02)", "88 × 10⁹/L (2026-01-02)"),
        ("1.2 ratio (date not given)", "1.2 (date not given)"),
        ("3 x 1 mL, 1e+06 pfu_per_ml, green cap", "3 x 1 mL, 1 × 10⁶ PFU/mL, green cap"),
        ("> 100 mg_per_dl", "> 100 mg/dL"),
        ("absent", "absent"),
        ("", ""),
    ],
)
def test_text_for_programs_is_printed_as_people_write_it(text, words):
    assert to_readable_words(text) == words


def test_a_bare_number_given_as_text_gets_its_unit():
    assert to_measure_words("25, 50", "mm") == "25, 50 mm"
    assert to_measure_words("cutaneous, nodal", "mm") == "cutaneous, nodal"
