"""Real scans: a plausible path, checked from scratch. Read in place; skipped where absent."""

from __future__ import annotations

import numpy as np
import pytest
from path_scenes import SUPINE, read_hcc_015, read_ircadb, to_scene

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.findings import Severity
from hepatica.planning.path.checks import check_path
from hepatica.planning.path.deposits import place_deposits
from hepatica.planning.path.search import plan_lesion_path
from hepatica.planning.path.values import TissueClass

IN_PLANE_DEG = 20.0
"""Beyond this a warning would be due; both scans have level ways to every lesion."""


def assert_usable(puncture, scene, lesion_id):
    placed, undelivered, _ = place_deposits(puncture, scene, lesion_id=lesion_id, volume_ml=2.0)
    assert undelivered == 0.0
    assert not [f for f in check_path(placed, scene) if f.severity is Severity.ERROR]
    assert puncture.entry_lps_mm @ SUPINE < puncture.tracks[0].tip_lps_mm @ SUPINE, "from above"
    assert abs(puncture.craniocaudal_angle_deg) <= IN_PLANE_DEG
    tissues = [run.tissue for run in puncture.runs]
    assert tissues[-1] is TissueClass.TARGET
    assert TissueClass.LIVER in tissues
    assert not {TissueClass.BONE, TissueClass.LUNG, TissueClass.GAS, TissueClass.FORBIDDEN} & set(tissues)
    assert sum(run.to_mm - run.from_mm for run in puncture.runs) == pytest.approx(puncture.length_mm)


@pytest.mark.requirement("A-path-real")
@pytest.mark.real_data("hcc-tace-seg-015")
def test_the_demo_lesion_gets_a_plausible_path_through_liver_from_the_front(real_data):
    values, grid, parts, lesion, gravity, position = read_hcc_015(real_data)
    assert position == "FFS"
    scene = to_scene(grid, parts, {"L1": lesion}, hu=values, gravity=gravity)
    path = plan_lesion_path(scene, lesion_id="L1")
    for puncture in (path.best, path.backup):
        assert_usable(puncture, scene, "L1")
        assert puncture.entry_lps_mm[0] > -40, "not across the right lobe"
        fat = [run for run in puncture.runs if run.tissue is TissueClass.SKIN_FAT]
        assert sum(run.to_mm - run.from_mm for run in fat) > 10, "the wall's fat is seen"
    assert np.linalg.norm(path.best.entry_lps_mm - path.backup.entry_lps_mm) >= 20
    assert {"bone", "gas"} <= {block.limit for block in path.blocks}


@pytest.mark.requirement("A-path-real")
@pytest.mark.real_data("3d-ircadb-01-17")
def test_both_expert_lesions_are_planned_around_vessels_ribs_and_lung(real_data):
    values, grid, parts, tumours, _ = read_ircadb(real_data)
    scene = to_scene(grid, parts, tumours, hu=values, derived=(Kind.LUNG,))
    for lesion_id in tumours:
        path = plan_lesion_path(scene, lesion_id=lesion_id)
        assert_usable(path.best, scene, lesion_id)
        assert TissueClass.OTHER_LESION not in {run.tissue for run in path.best.runs}
        kinds = {clearance.kind for clearance in path.best.clearances}
        assert {Kind.PORTAL_VEIN, Kind.HEPATIC_VEIN, Kind.BONE, Kind.LUNG} <= kinds
