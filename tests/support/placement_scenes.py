"""Scenes, punctures and models for placement error, made so that answers have closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from path_scenes import NEEDLE, to_scene, world

from hepatica.anatomy.structures import NEEDED_FOR_CLEARANCE
from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.geometry import Grid
from hepatica.planning.path.placement_values import PlacementModel
from hepatica.planning.path.values import Deposit, Puncture, Track

SIGMAS = (
    "entry", "in_plane", "out_of_plane", "depth", "motion_left_right", "motion_craniocaudal",
    "motion_anterior_posterior", "label",
)  # fmt: skip


def make_model(status=EvidenceStatus.DERIVED, **sigmas):
    """A model with the given sigmas in mm; all others are zero."""
    values = {key: Evidence(key=key, value=0.0, unit="mm", source="test", status=status) for key in SIGMAS}
    for key, value in sigmas.items():
        values[key] = replace(values[key], value=float(value))
    return PlacementModel(name="test", **values)


def make_puncture(entry, *tips, stops_mm=(), volume_ml=0.5, lesion_id="L1"):
    """A puncture with a track for each tip and deposits that far behind each tip."""
    entry = np.asarray(entry, float)
    tracks = []
    for tip in tips:
        tip = np.asarray(tip, float)
        back = (entry - tip) / np.linalg.norm(entry - tip)
        deposits = tuple(
            Deposit(point_lps_mm=tip + stop * back, volume_ml=volume_ml, lesion_id=lesion_id, order=n + 1)
            for n, stop in enumerate(stops_mm)
        )
        tracks.append(Track(tip_lps_mm=tip, deposits=deposits))
    return Puncture(
        puncture_id="P1", lesion_ids=(lesion_id,), entry_lps_mm=entry,
        length_mm=float(np.linalg.norm(np.asarray(tips[0]) - entry)), in_plane_angle_deg=0.0,
        craniocaudal_angle_deg=0.0, capsule_angle_deg=90.0, liver_before_lesion_mm=10.0, clearances=(),
        runs=(), terms=(), tracks=tuple(tracks), needle=NEEDLE,
    )  # fmt: skip


def declare_all(scene):
    """The same scene with every group that must be known declared absent."""
    return replace(scene, anatomy=replace(scene.anatomy, declared_absent=frozenset(NEEDED_FOR_CLEARANCE)))


def make_slab_scene(axis=0, upto_mm=20.0, kind=Kind.BOWEL, **options):
    """A cube of 80 mm from the origin, body all through but for a rim; one structure fills ``axis`` < upto.

    The lesion is the block from 40 to 60 mm on every axis.
    """
    grid = Grid.from_axes(shape=(80, 40, 32), spacing_mm=(1, 2, 2.5), origin_lps_mm=(0.5, 1.0, 1.25))
    where = world(grid)
    body = np.ones(grid.shape, bool)
    body[:, :2] = False  # air in front, where the needle comes from
    lesion = ((where > 40) & (where < 60)).all(axis=-1)
    slab = where[..., axis] < upto_mm
    parts = {Kind.BODY: body, Kind.LIVER: lesion, Kind.LESION: lesion, kind: slab & body}
    return to_scene(grid, parts, {"L1": lesion}, **options)


def make_ball_scene(radius_mm, spacing_mm=0.5):
    """A ball as target in the middle of a cube."""
    half = radius_mm + 4.0
    count = round(2 * half / spacing_mm)
    origin = -half + 0.5 * spacing_mm
    grid = Grid.from_axes(shape=(count,) * 3, spacing_mm=(spacing_mm,) * 3, origin_lps_mm=(origin,) * 3)
    body = np.ones(grid.shape, bool)
    body[:, :2] = False
    ball = np.linalg.norm(world(grid), axis=-1) <= radius_mm
    return to_scene(grid, {Kind.BODY: body, Kind.LIVER: ball, Kind.LESION: ball}, {"L1": ball}), ball


def make_lumps(seed, spacing=(3.0, 2.5, 5.0)):
    """A random trunk: liver, lesion and lumps of six kinds, vessels among them, on an uneven grid."""
    rng = np.random.default_rng(seed)
    shape = (28, 26, 14)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1).astype(float)
    centre = np.array([13.5, 12.5, 6.5])
    body = (((index - centre) / (12, 11, 99)) ** 2).sum(-1) <= 1
    liver = (((index - centre) / (9, 8, 5)) ** 2).sum(-1) <= 1
    lesion = (((index - centre) / (2.5, 2.5, 1.6)) ** 2).sum(-1) <= 1
    parts = {Kind.BODY: body, Kind.LIVER: liver, Kind.LESION: lesion}
    for kind in (Kind.LUNG, Kind.BOWEL, Kind.KIDNEY, Kind.BONE, Kind.PORTAL_VEIN, Kind.GALLBLADDER):
        lump = np.zeros(shape, bool)
        for _ in range(3):
            at = centre + rng.uniform(-11, 11, 3) * (1, 1, 0.6)
            lump |= (((index - at) / rng.uniform(1, 3, 3)) ** 2).sum(-1) <= 1
        parts[kind] = lump & body & ~lesion
    return Grid.from_axes(shape=shape, spacing_mm=spacing, origin_lps_mm=(-40, -30, -33)), parts


def store_otherwise(grid, parts, order, flips):
    """The same world on a grid whose axes are permuted and flipped."""
    affine = grid.lps_from_ijk.copy()
    affine[:3, :3] = affine[:3, :3][:, list(order)]
    arrays = {kind: part.transpose(order) for kind, part in parts.items()}
    shape = tuple(grid.shape[a] for a in order)
    for axis in flips:
        arrays = {kind: np.flip(part, axis) for kind, part in arrays.items()}
        affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
        affine[:3, axis] *= -1
    return Grid(shape=shape, lps_from_ijk=affine), {k: np.ascontiguousarray(a) for k, a in arrays.items()}
