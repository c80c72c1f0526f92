"""Volume, its uncertainty and the share of the liver."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from lesion_shapes import ellipsoid_mask, make_grid, rotation

from hepatica.core.evidence import EvidenceStatus, read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.imaging.mask import Mask
from hepatica.lesions.volume import (
    LiverShare,
    ShareVerdict,
    assess_liver_share,
    check_liver_share,
    derive_diameter_band_mm,
    measure_liver_share,
    measure_shell_ml,
    measure_volume,
)

LIMIT = read_evidence_table("hepatica.lesions.tables", "extents.toml")["liver_share"]
GRID = make_grid((60, 60, 60), (1.0, 1.0, 1.0), origin=(-29.5, -29.5, -29.5))
RASTER = 0.02
"""Balls of 15 voxels radius have their volume and face counts to 2 %."""


READ_IN_THE_SOURCE = {
    "diameter_between_readers_low": -22.0, "diameter_between_readers_high": 25.0,
    "diameter_same_reader_low": -18.0, "diameter_same_reader_high": 16.0,
    "volume_between_measurements": 13.0, "liver_share": 1 / 3,
}  # fmt: skip
"""What may be called verified, with its value: changing a figure without reading its source again must fail."""
FIGURE_DIGITS = 1e-3
"""Tables may round one third."""


@pytest.mark.parametrize("name", ["variability.toml", "extents.toml", "enhancement.toml", "matching.toml"])
def test_every_number_of_the_room_names_its_source_and_only_what_was_read_there_is_called_verified(name):
    for evidence in read_evidence_table("hepatica.lesions.tables", name):
        assert evidence.source and np.isfinite(evidence.number)
        assert (evidence.status is EvidenceStatus.VERIFIED) == (evidence.key in READ_IN_THE_SOURCE)
        if evidence.key in READ_IN_THE_SOURCE:
            assert evidence.number == pytest.approx(READ_IN_THE_SOURCE[evidence.key], rel=FIGURE_DIGITS)


def test_the_shell_of_a_block_is_half_a_voxel_on_every_face():
    full = np.zeros((20, 20, 20), bool)
    full[4:14, 4:10, 4:7] = True
    mask = Mask.from_full(full, grid=make_grid(full.shape, (0.7, 0.8, 5.0)))
    a, b, c = 10 * 0.7, 6 * 0.8, 3 * 5.0
    expected_mm3 = 2 * (b * c * 0.35 + a * c * 0.4 + a * b * 2.5)
    assert measure_shell_ml(mask) == pytest.approx(expected_mm3 / 1000)


def test_the_shell_of_a_ball_is_three_pi_r_squared_h():
    ball = ellipsoid_mask(GRID, (0, 0, 0), [15] * 3)
    assert measure_shell_ml(ball) * 1000 == pytest.approx(3 * math.pi * 15**2, rel=RASTER)


@pytest.mark.requirement("A-lesion-volume")
def test_uncertainty_joins_shell_and_repeat_measurement_and_has_the_status_of_the_latter():
    ball = ellipsoid_mask(GRID, (0, 0, 0), [15] * 3)
    measured = measure_volume(ball)
    assert measured.volume_ml == pytest.approx(4 / 3 * math.pi * 15**3 / 1000, rel=RASTER)
    assert measured.uncertainty_ml == pytest.approx(
        math.hypot(measure_shell_ml(ball), 0.13 * measured.volume_ml)
    )
    assert measured.status is EvidenceStatus.VERIFIED
    table = read_evidence_table("hepatica.lesions.tables", "variability.toml")
    doubted = replace(table["volume_between_measurements"], status=EvidenceStatus.UNVERIFIED)
    changed = table.replace(volume_between_measurements=doubted)
    assert measure_volume(ball, variability=changed).status is EvidenceStatus.UNVERIFIED


@pytest.mark.requirement("A-lesion-volume")
@pytest.mark.parametrize("spacing_mm", [(0.7, 0.7, 5.0), (1.0, 1.0, 1.0), (0.9, 0.9, 2.5)])
@pytest.mark.parametrize("angle_deg", [0, 25, 50, 90])
def test_volume_and_uncertainty_hold_the_truth_however_an_ellipsoid_is_turned(spacing_mm, angle_deg):
    shape = tuple(int(70 / s) for s in spacing_mm)
    grid = make_grid(
        shape, spacing_mm, origin=[-(n - 1) * s / 2 for n, s in zip(shape, spacing_mm, strict=True)]
    )
    mask = ellipsoid_mask(grid, (0.3, 0.2, -0.4), (28, 18, 13), turn=rotation((1, 2, 0.5), angle_deg))
    truth_ml = 4 / 3 * math.pi * 28 * 18 * 13 / 1000
    assert abs(mask.volume_ml - truth_ml) < measure_shell_ml(mask)
    assert mask.volume_ml == pytest.approx(truth_ml, rel=RASTER)


@pytest.mark.requirement("A-liver-share")
def test_share_counts_tumours_in_the_liver_once_and_follows_the_stated_error_formula():
    liver = ellipsoid_mask(GRID, (0, 0, 0), [25] * 3)
    lesion = ellipsoid_mask(GRID, (5, 0, 0), [10] * 3)
    share = measure_liver_share([lesion, lesion], liver=liver)
    low, high = lesion.volume_ml, liver.volume_ml
    assert share.fraction == pytest.approx(low / high)
    assert share.fraction == pytest.approx((10 / 25) ** 3, rel=2 * RASTER)
    one = measure_liver_share([lesion], liver=liver)
    error_ml = measure_volume(lesion).uncertainty_ml
    expected = math.hypot((high - low) * error_ml, low * measure_shell_ml(liver)) / high**2
    assert one.uncertainty_fraction == pytest.approx(expected)
    assert one.liver_complete


def test_tumour_drawn_outside_the_liver_label_is_added_to_the_liver():
    liver = ellipsoid_mask(GRID, (-10, 0, 0), [15] * 3)
    lesion = ellipsoid_mask(GRID, (13, 0, 0), [8] * 3)
    share = measure_liver_share([lesion], liver=liver)
    assert share.liver_ml == pytest.approx(liver.volume_ml + lesion.volume_ml)
    assert isinstance(measure_liver_share([lesion], liver=None), NotEvaluable)


@pytest.mark.requirement("A-liver-share")
@pytest.mark.parametrize(
    ("fraction", "error", "verdict"),
    [(0.20, 0.05, "below"), (0.30, 0.05, "unsure"), (0.35, 0.05, "unsure"), (0.45, 0.05, "above"),
     (1 / 3, 0.0, "above"), (0.3333333333, 0.0, "below")],
)  # fmt: skip
def test_the_one_third_gate_is_sure_only_where_the_error_cannot_turn_it(fraction, error, verdict):
    share = LiverShare(
        fraction=fraction, uncertainty_fraction=error, liver_ml=1500, lesions_ml=1500 * fraction
    )
    assert assess_liver_share(share, limit=LIMIT) == ShareVerdict(verdict)
    found = check_liver_share(share)
    assert [f.rule for f in found] == ([] if verdict == "below" else ["lesions.liver_share"])


def test_a_liver_cut_off_by_the_scan_cannot_fail_the_gate_for_sure():
    share = LiverShare(
        fraction=0.5, uncertainty_fraction=0.02, liver_ml=900, lesions_ml=450, liver_complete=False
    )
    assert assess_liver_share(share, limit=LIMIT) is ShareVerdict.UNSURE
    low = replace(share, fraction=0.2)
    assert assess_liver_share(low, limit=LIMIT) is ShareVerdict.BELOW


def test_the_gate_cannot_be_judged_without_a_liver():
    nothing = NotEvaluable(reason="no liver label")
    assert assess_liver_share(nothing, limit=LIMIT) is nothing
    assert check_liver_share(nothing) == ()


def test_the_reader_band_holds_the_published_limits():
    low, high, status = derive_diameter_band_mm(40.0)
    assert (low, high) == (pytest.approx(31.2), pytest.approx(50.0))
    assert status is EvidenceStatus.VERIFIED
