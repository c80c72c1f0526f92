"""SIMULATED tumours: lobed balls in a liver, and what becomes of them. See `simulated_pair`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatica.core.errors import InputError
from hepatica.core.geometry import FloatArray
from hepatica.imaging.mask import Mask

GAP_MM: Final = 5.0
"""Least liver between two planted tumours, and between the pair that later merges."""
GROWTH: Final = (0.6, 1.5)
"""Radius at the follow-up over that at baseline: volumes to a fifth and to three times."""
LOBES: Final = 0.12
MOST_TRIES: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ball:
    """A lobed, stretched ball in the baseline's anatomy.

    Parameters
    ----------
    centre_lps_mm, radius_mm
        Where and how large.
    stretch
        (3,) half axes over the radius.
    phase
        (3,) phases of its lobes.
    """

    centre_lps_mm: FloatArray
    radius_mm: float
    stretch: FloatArray
    phase: FloatArray

    def measure_depth_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Return about how deep (n, 3) points lie inside, negative outside."""
        away = (points_lps_mm - self.centre_lps_mm) / self.stretch
        distance = np.linalg.norm(away, axis=1)
        unit = away / np.maximum(distance, 1e-9)[:, None]
        lobe = 1.0 + LOBES * np.sin(3.0 * unit + self.phase).mean(axis=1)
        return np.asarray(self.radius_mm * lobe - distance)

    def resize(self, factor: float, *, offset_mm: FloatArray | float = 0.0) -> Ball:
        """Return a larger or smaller ball of the same shape, somewhat aside."""
        return Ball(
            centre_lps_mm=self.centre_lps_mm + offset_mm,
            radius_mm=self.radius_mm * factor,
            stretch=self.stretch,
            phase=self.phase,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedLesion:
    """What one, or one group of, simulated tumours is at both visits.

    Parameters
    ----------
    names_before, names_after
        Internal names of its parts.
    before, after
        Its balls; parts with one name are one tumour.
    """

    names_before: tuple[str, ...]
    names_after: tuple[str, ...]
    before: tuple[Ball, ...]
    after: tuple[Ball, ...]

    def measure_before_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Return depth below the surface at baseline."""
        return _measure_union(self.before, points_lps_mm)

    def measure_after_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Return depth below the surface at the follow-up."""
        return _measure_union(self.after, points_lps_mm)

    def find_part_before(self, points_lps_mm: FloatArray) -> NDArray[np.int64]:
        """Return to which baseline name each point belongs."""
        return _find_part(self.before, points_lps_mm, count=len(self.names_before))

    def find_part_after(self, points_lps_mm: FloatArray) -> NDArray[np.int64]:
        """Return to which follow-up name each point belongs."""
        return _find_part(self.after, points_lps_mm, count=len(self.names_after))

    @property
    def balls(self) -> tuple[Ball, ...]:
        """All its balls."""
        return (*self.before, *self.after)


def _measure_union(balls: Sequence[Ball], points: FloatArray) -> FloatArray:
    if not balls:
        return np.full(len(points), -np.inf)
    return np.asarray(np.max([ball.measure_depth_mm(points) for ball in balls], axis=0))


def _find_part(balls: Sequence[Ball], points: FloatArray, *, count: int) -> NDArray[np.int64]:
    if count < 2:
        return np.zeros(len(points), dtype=np.int64)
    return np.asarray(np.argmax([ball.measure_depth_mm(points) for ball in balls], axis=0))


def plant_lesions(
    liver: Mask,
    *,
    known: Sequence[Mask],
    rng: np.random.Generator,
    count: int,
    radius_mm: tuple[float, float],
    chance_of_event_fraction: float,
) -> tuple[SimulatedLesion, ...]:
    """Place SIMULATED tumours in a liver and decide what becomes of each.

    Parameters
    ----------
    liver, known
        Liver, and tumours to keep away from.
    rng
        Source of chance.
    count
        Tumours at baseline, the pair that merges counted as two.
    radius_mm
        Least and most radius.
    chance_of_event_fraction
        Chance of each of: one vanishes, one splits, two merge, one or two are new.

    Raises
    ------
    InputError
        If there is no room for them.
    """
    events = rng.random(4) < chance_of_event_fraction
    kinds = [
        kind for kind, happens in zip(("vanish", "split", "merge", "new"), events, strict=True) if happens
    ]
    if "new" in kinds and rng.random() < 0.4:
        kinds.append("new")
    before = sum({"merge": 2, "new": 0}.get(kind, 1) for kind in kinds)
    kinds += ["grow"] * max(count - before, 1)
    place = _Room(liver, known=known, rng=rng)
    # The largest need the most room: merging pairs and splitting tumours first.
    order = {"merge": 0, "split": 1}
    lesions = []
    for number, kind in enumerate(sorted(kinds, key=lambda kind: order.get(kind, 2))):
        lesions.append(place.plant(kind, name=f"s{number}", radius_mm=radius_mm))
    return tuple(lesions)


class _Room:
    """Free places in a liver."""

    def __init__(self, liver: Mask, *, known: Sequence[Mask], rng: np.random.Generator) -> None:
        self.rng = rng
        free = liver.crop.copy()
        for mask in known:
            free &= ~mask.cut(liver.box)
        depth = ndimage.distance_transform_edt(np.pad(free, 1), sampling=liver.grid.spacing_mm)[
            1:-1, 1:-1, 1:-1
        ]
        index = np.argwhere(free)
        self.points = liver.grid.to_lps_mm(index + np.array(liver.start_ijk))
        self.depth_mm = depth[free]
        self.taken: list[Ball] = []

    def plant(self, kind: str, *, name: str, radius_mm: tuple[float, float]) -> SimulatedLesion:
        """Return one tumour, or group, where there is room for all it will be."""
        for _ in range(MOST_TRIES):
            number = int(self.rng.integers(len(self.points)))
            lesion = self._make(kind, name=name, centre=self.points[number], radius_mm=radius_mm)
            if self._fits(lesion, float(self.depth_mm[number])):
                self.taken += lesion.balls
                return lesion
        raise InputError(
            expected="room in the liver for the tumours asked for",
            given=f"none after {MOST_TRIES} tries",
            where="simulated pair",
            action="ask for fewer or smaller tumours",
        )

    def _fits(self, lesion: SimulatedLesion, depth_mm: float) -> bool:
        first = lesion.balls[0].centre_lps_mm
        for ball in lesion.balls:
            inside = depth_mm - float(np.linalg.norm(ball.centre_lps_mm - first))
            if inside < 0.5 * ball.radius_mm:
                return False
            for other in self.taken:
                apart = float(np.linalg.norm(ball.centre_lps_mm - other.centre_lps_mm))
                if apart < 1.2 * (ball.radius_mm + other.radius_mm) + GAP_MM:
                    return False
        return True

    def _draw_unit(self) -> FloatArray:
        vector = self.rng.normal(size=3)
        return np.asarray(vector / np.linalg.norm(vector))

    def _make(
        self, kind: str, *, name: str, centre: FloatArray, radius_mm: tuple[float, float]
    ) -> SimulatedLesion:
        low, high = radius_mm
        radius = float(self.rng.uniform(low, high))
        if kind in ("split", "merge"):
            radius = float(self.rng.uniform(max(low, 0.45 * high), 0.8 * high))
        ball = Ball(
            centre_lps_mm=centre,
            radius_mm=radius,
            stretch=self.rng.uniform(0.85, 1.2, size=3),
            phase=self.rng.uniform(0, 2 * np.pi, size=3),
        )
        aside = self._draw_unit()
        if kind == "vanish":
            return SimulatedLesion(names_before=(name,), names_after=(), before=(ball,), after=())
        if kind == "new":
            return SimulatedLesion(names_before=(), names_after=(name,), before=(), after=(ball,))
        if kind == "split":
            parts = tuple(ball.resize(0.5, offset_mm=sign * 0.62 * radius * aside) for sign in (-1, 1))
            return SimulatedLesion(
                names_before=(name,), names_after=(f"{name}a", f"{name}b"), before=(ball,), after=parts
            )
        if kind == "merge":
            apart = 1.2 * 2 * radius * 0.9 + GAP_MM / 2
            pair = (ball, ball.resize(0.8, offset_mm=apart * aside))
            grown = tuple(one.resize(1.45) for one in pair)
            return SimulatedLesion(
                names_before=(f"{name}a", f"{name}b"), names_after=(name,), before=pair, after=grown
            )
        factor = float(np.exp(self.rng.uniform(*np.log(GROWTH))))
        moved = ball.resize(factor, offset_mm=0.3 * radius * abs(factor - 1.0) * aside)
        return SimulatedLesion(names_before=(name,), names_after=(name,), before=(ball,), after=(moved,))
