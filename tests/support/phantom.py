"""A torso made of ellipsoids with known geometry, and a small plan on it, for tests of every room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, StructureSource
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.geometry import Grid
from hepatica.core.provenance import Manifest
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.lesions.lesion import Diameter, Lesion, Neighbour
from hepatica.planning.dose.values import Allocation, Injection
from hepatica.planning.eligibility.values import Answer, CriterionAnswer
from hepatica.planning.path.values import (
    Clearance,
    Deposit,
    LesionPath,
    Needle,
    Puncture,
    RankTerm,
    Run,
    SkinBlock,
    TissueClass,
    Track,
)
from hepatica.planning.plan import Plan, PlanStatus, ProtocolSummary
from hepatica.workflows.ports import ImageFacts, PlanContext, ReadImage

FRAME = "2.25.1234567890"
RUN_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LESION_CENTRE_LPS_MM = np.array([-60.0, -20.0, 10.0])
LESION_RADIUS_MM = 18.0


@dataclass(frozen=True)
class Phantom:
    """CT, anatomy and lesion of a simple torso: supine, +x patient left, +y back, +z head."""

    volume: Volume
    anatomy: Anatomy
    lesion: Mask


def ellipsoid(grid: Grid, centre_lps_mm, radii_mm) -> np.ndarray:
    """Voxels whose centre lies in an axis-aligned ellipsoid."""
    axes = [np.arange(n) for n in grid.shape]
    i, j, k = np.meshgrid(*axes, indexing="ij", sparse=True)
    affine = grid.lps_from_ijk
    total = 0.0
    for row in range(3):
        x = affine[row, 0] * i + affine[row, 1] * j + affine[row, 2] * k + affine[row, 3]
        total = total + ((x - centre_lps_mm[row]) / radii_mm[row]) ** 2
    return np.asfortranarray(total <= 1.0)


def make_phantom(*, spacing_mm=(2.0, 2.0, 4.0), frame=FRAME) -> Phantom:
    """Build the torso: body, liver, lesion, lung, bowel, kidney, ribs-like bone, portal vein, aorta, stomach."""
    shape = tuple(int(round(e / s)) for e, s in zip((360.0, 260.0, 240.0), spacing_mm, strict=True))
    grid = Grid.from_axes(
        shape=shape, spacing_mm=spacing_mm, origin_lps_mm=(-180.0, -130.0, -120.0), frame_of_reference=frame
    )
    body = ellipsoid(grid, (0, 0, 0), (165, 115, 1000))
    liver = ellipsoid(grid, (-65, -5, 0), (80, 85, 75))
    lesion = ellipsoid(grid, LESION_CENTRE_LPS_MM, [LESION_RADIUS_MM] * 3)
    parts = {
        StructureKind.LUNG: ellipsoid(grid, (-70, 20, 120), (70, 80, 40)),
        StructureKind.BOWEL: ellipsoid(grid, (20, -60, -90), (90, 35, 35)),
        StructureKind.STOMACH: ellipsoid(grid, (75, -40, 20), (40, 35, 50)),
        StructureKind.KIDNEY: ellipsoid(grid, (-60, 75, -80), (28, 25, 45)),
        StructureKind.BONE: ellipsoid(grid, (0, 90, 0), (22, 20, 1000)),
        StructureKind.PORTAL_VEIN: ellipsoid(grid, (-25, 15, 0), (35, 7, 7)),
        StructureKind.AORTA: ellipsoid(grid, (15, 60, 0), (11, 11, 1000)),
    }
    hu = np.full(grid.shape, -1000, dtype=np.int16, order="F")
    hu[body] = 40
    skin_fat = body & ~ellipsoid(grid, (0, 0, 0), (150, 100, 1000))
    hu[skin_fat] = -100
    hu[liver] = 110
    levels = {
        "lung": -850,
        "bowel": 20,
        "stomach": 30,
        "kidney": 180,
        "bone": 500,
        "portal_vein": 190,
        "aorta": 200,
    }
    masks = {StructureKind.BODY: body, StructureKind.LIVER: liver, StructureKind.LESION: lesion}
    for kind, part in parts.items():
        part = part & body & (~liver if kind is not StructureKind.PORTAL_VEIN else True)
        hu[part] = levels[kind.value]
        masks[kind] = part
    hu[lesion] = 70
    empty = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32, order="F"))
    anatomy = empty.with_structures(
        (
            StructureSource(kind=kind, origin=Origin.LABELLED, names=(kind.value,), source="phantom"),
            Mask.from_full(part, grid=grid),
        )
        for kind, part in masks.items()
    )
    return Phantom(
        volume=Volume(values=hu, grid=grid), anatomy=anatomy, lesion=Mask.from_full(lesion, grid=grid)
    )


NEEDLE = Needle(
    name="generic 22 G, 150 mm", gauge=22, outer_diameter_mm=0.72, length_mm=150.0, hub_allowance_mm=20.0,
    dead_space_ml=0.1, holes="end", source="test", status=EvidenceStatus.UNVERIFIED,
)  # fmt: skip


def make_puncture(name: str, entry_lps_mm, *, lesion_id: str = "L1", volume_ml: float = 2.0) -> Puncture:
    """Build a puncture from a skin point to just beyond the lesion's centre, with two deposits."""
    entry = np.asarray(entry_lps_mm, float)
    tip = LESION_CENTRE_LPS_MM.copy()
    length = float(np.linalg.norm(tip - entry))
    direction = (tip - entry) / length
    deposits = (
        Deposit(point_lps_mm=tip, volume_ml=volume_ml / 2, lesion_id=lesion_id, order=1),
        Deposit(point_lps_mm=tip - 8 * direction, volume_ml=volume_ml / 2, lesion_id=lesion_id, order=2),
    )
    runs = (
        Run(from_mm=0, to_mm=16, tissue=TissueClass.SKIN_FAT, structure=None, mean_hu=-98.0),
        Run(from_mm=16, to_mm=25, tissue=TissueClass.UNLABELLED, structure=None, mean_hu=41.0),
        Run(
            from_mm=25,
            to_mm=length - 18,
            tissue=TissueClass.LIVER,
            structure=StructureKind.LIVER,
            mean_hu=110.0,
        ),
        Run(
            from_mm=length - 18,
            to_mm=length,
            tissue=TissueClass.TARGET,
            structure=StructureKind.LESION,
            mean_hu=70.0,
        ),
    )
    clearances = (
        Clearance(kind=StructureKind.BOWEL, clearance_mm=31.2, margin_mm=10.0, run_out_mm=28.0, derived=False,
                  status=EvidenceStatus.UNVERIFIED),
        Clearance(kind=StructureKind.LUNG, clearance_mm=42.0, margin_mm=5.0, run_out_mm=40.0, derived=True,
                  status=EvidenceStatus.UNVERIFIED),
    )  # fmt: skip
    return Puncture(
        puncture_id=name, lesion_ids=(lesion_id,), entry_lps_mm=entry, length_mm=length,
        in_plane_angle_deg=-35.0, craniocaudal_angle_deg=0.0, capsule_angle_deg=71.0, liver_before_lesion_mm=24.0,
        clearances=clearances, runs=runs,
        terms=(RankTerm(name="length", value=0.4, weight=1.0, unit="", source="test", status=EvidenceStatus.UNVERIFIED),),
        tracks=(Track(tip_lps_mm=tip, deposits=deposits),), needle=NEEDLE,
        findings=(Finding(rule="path.length_warn", severity=Severity.INFO, message="Path is long.", measured=length,
                          limit=120.0, unit="mm", source="test", status=EvidenceStatus.UNVERIFIED, subject=name),),
    )  # fmt: skip


def make_lesion(phantom: Phantom) -> Lesion:
    """Describe the phantom's lesion with its closed-form measures."""
    x, y, z = LESION_CENTRE_LPS_MM
    r = LESION_RADIUS_MM
    ends = np.array([[x - r, y, z], [x + r, y, z]])
    perpendicular = np.array([[x, y - r, z], [x, y + r, z]])
    k = int(round(phantom.volume.grid.to_index([x, y, z])[2]))
    return Lesion(
        lesion_id="L1", label="lesion", mask=phantom.lesion,
        longest_diameter=Diameter(length_mm=2 * r, ends_lps_mm=ends, slice_index=k),
        short_axis=Diameter(length_mm=2 * r, ends_lps_mm=perpendicular, slice_index=k),
        longest_diameter_3d=Diameter(length_mm=2 * r, ends_lps_mm=ends, slice_index=None),
        volume_ml=phantom.lesion.volume_ml, volume_uncertainty_ml=1.2, liver_fraction=0.012,
        liver_fraction_uncertainty=0.001, distance_to_capsule_mm=40.0, depth_mm=75.0,
        neighbours=(Neighbour(kind=StructureKind.PORTAL_VEIN, distance_mm=12.0, derived=False),),
        viable=NotEvaluable(reason="one phase only"), is_new=None,
    )  # fmt: skip


def make_plan(phantom: Phantom) -> Plan:
    """Build a small complete plan on the phantom."""
    best, backup = make_puncture("P1", (-150.0, -60.0, 10.0)), make_puncture("P1b", (-120.0, -88.0, 14.0))
    injection = Injection(
        lesion_id="L1", rule_volume_ml=2.0, volume_ml=2.0, dose=2e6, dose_unit="pfu", rank=1,
        rule="2.5 cm < longest diameter <= 5 cm: up to 2.0 mL", source="T-VEC US label (Medscape UK monograph)",
        status=EvidenceStatus.UNVERIFIED,
    )  # fmt: skip
    allocation = Allocation(
        visit=1, injections=(injection,), total_ml=2.0, ceiling_ml=4.0, vials=3,
        vial_text="1 mL vials of 1e6 PFU/mL", draw_up_ml=2.1,
    )  # fmt: skip
    finding = Finding(
        rule="anatomy.not_cleared", severity=Severity.WARNING,
        message="heart, gallbladder, ducts: neither labelled nor declared absent.",
    )  # fmt: skip
    return Plan(
        plan_id="2.25.42", status=PlanStatus.NOT_CLEARED, visit=1,
        protocol=ProtocolSummary(
            name="tvec-label", title="T-VEC label table", agent="talimogene laherparepvec",
            notices=("Label table, not the liver protocol.", "Off label in the liver, investigational."), digest="0" * 64,
        ),
        lesions=(make_lesion(phantom),), allocation_all=allocation, allocation=allocation,
        paths=(LesionPath(lesion_id="L1", best=best, backup=backup,
                          blocks=(SkinBlock(limit="lung", blocked_fraction=0.4, only_fraction=0.1, only_cm2=55.0),),
                          examined_paths=12345),),
        punctures=(best,), backups=(backup,),
        eligibility=(CriterionAnswer(criterion="tumour_share_of_liver", answer=Answer.PASS, measured="1.2 %",
                                     limit="< 33.3 %", reason="", source="NCT02509507", status=EvidenceStatus.VERIFIED),),
        findings=(finding,), missing_structures=("heart", "gallbladder", "ducts"), patient_position="HFS",
    )  # fmt: skip


def make_context(phantom: Phantom | None = None) -> PlanContext:
    """Build everything a plan writer gets."""
    phantom = phantom or make_phantom()
    grid = phantom.volume.grid
    plan = make_plan(phantom)
    image = ReadImage(
        volume=phantom.volume,
        facts=ImageFacts(
            format="NIfTI", frame_of_reference=FRAME, series_description="phantom", study_date="20260101",
            patient_position="HFS",
            slice_locations_mm=tuple(float(z) for z in grid.to_lps_mm(
                np.stack([np.zeros(grid.shape[2]), np.zeros(grid.shape[2]), np.arange(grid.shape[2])], axis=1))[:, 2]),
        ),
        digest="1" * 64,
    )  # fmt: skip
    manifest = Manifest(
        command="plan", run_time=RUN_TIME, code_version="0.1.0", inputs={"ct": "1" * 64}, sources={"ct": "ct.nii.gz"},
        parameters={"visit": 1}, tables={},
    )  # fmt: skip
    return PlanContext(
        plan=plan, image=image, arterial=None, anatomy=phantom.anatomy, manifest=manifest, plan_document={}
    )
