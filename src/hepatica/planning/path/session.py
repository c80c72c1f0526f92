"""Questions asked of one scene again and again, each answered as a fresh plan would answer it, but sooner."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hepatica.core.errors import GeometryError
from hepatica.core.evidence import EvidenceStatus, EvidenceTable
from hepatica.core.findings import Finding
from hepatica.core.geometry import FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.path.checks import check_path
from hepatica.planning.path.deposits import place_deposits
from hepatica.planning.path.entry import ON_SKIN_TOLERANCE_MM
from hepatica.planning.path.limit_values import require_limit_values
from hepatica.planning.path.measure import measure_track
from hepatica.planning.path.memory import MOST_BYTES, SearchMemory
from hepatica.planning.path.pairs import LENGTH_TOLERANCE_MM
from hepatica.planning.path.placement_error import DRAWS, simulate_placement
from hepatica.planning.path.placement_values import PlacementModel
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.search import plan_lesion_paths, to_puncture
from hepatica.planning.path.values import LesionPath, Puncture


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankedPaths:
    """The ranked paths of some lesions.

    Parameters
    ----------
    sequence
        Number of the question; an answer with a smaller one than another is older and may be dropped.
    paths
        One answer for each lesion asked for.
    """

    sequence: int
    paths: tuple[LesionPath, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedPath:
    """One path that somebody chose, measured and judged from scratch.

    Parameters
    ----------
    sequence
        As in `RankedPaths`.
    puncture
        The path with clearances, runs, angles, deposits, and its risk where a placement model was given.
    undelivered_ml
        What of the volume finds no place along it.
    findings
        Every limit it misses; hard ones are errors.
    """

    sequence: int
    puncture: Puncture
    undelivered_ml: float
    findings: tuple[Finding, ...]


class PathSession:
    """A scene that keeps what it learns, for somebody who moves margins, entries and tips.

    Answers equal those of a scene built anew under the same limits. Several threads may ask at once; the
    answers carry the numbers of their questions.

    Parameters
    ----------
    scene
        Scene to ask.
    most_bytes
        Bound of what is kept of earlier searches.

    Examples
    --------
    >>> session = PathSession(scene)  # doctest: +SKIP
    >>> session.change_limits({"margin_lung": 8.0})  # doctest: +SKIP
    >>> answer = session.rank_paths({"L1": 1.0})  # doctest: +SKIP
    >>> answer.sequence, answer.paths[0].best.length_mm  # doctest: +SKIP
    (1, 84.2)
    """

    def __init__(self, scene: Scene, *, most_bytes: int = MOST_BYTES) -> None:
        self._memory = scene.memory or SearchMemory(most_bytes=most_bytes)
        self._first = self._scene = replace(scene, memory=self._memory)
        self._sequence = 0
        self._lock, self._searching = threading.Lock(), threading.Lock()

    @property
    def scene(self) -> Scene:
        """Scene under the present limits."""
        return self._scene

    @property
    def sequence(self) -> int:
        """Number of the latest question; 0 before the first."""
        return self._sequence

    def count_bytes(self) -> int:
        """Return the memory held beyond the scene itself: kept searches and the slack field."""
        return self._memory.count_bytes() + self._scene.slack.slack.nbytes

    def is_stale(self, answer: RankedPaths | CheckedPath) -> bool:
        """Tell whether a later question than this answer's has been asked."""
        return answer.sequence < self._sequence

    def change_limits(self, values: Mapping[str, float]) -> Scene:
        """Set limits by name, marked as changed and unverified; all others are as at the start.

        Parameters
        ----------
        values
            Number by key of the limits table, such as ``margin_lung`` in mm, ``tilt_max`` or a weight.

        Raises
        ------
        InputError
            If a limit is unknown, no number or beyond its range, or decides what the scene consists of.
        """
        table = self._first.limits
        require_limit_values(values, table=table)
        return self.set_limits(
            table.replace(
                **{
                    key: replace(
                        table[key],
                        value=value,
                        source="changed by the user",
                        status=EvidenceStatus.UNVERIFIED,
                    )
                    for key, value in values.items()
                }
            )
        )

    def set_limits(self, limits: EvidenceTable) -> Scene:
        """Use another table of limits from now on.

        Parameters
        ----------
        limits
            Table.

        Raises
        ------
        InputError
            If it decides what the scene consists of.
        """
        self._scene = self._first.with_margins(limits)
        return self._scene

    def rank_paths(self, volumes_ml: Mapping[str, float], *, progress: Progress = SILENT) -> RankedPaths:
        """Find the best paths of lesions under the present limits.

        Parameters
        ----------
        volumes_ml
            Planned volume by lesion id.
        progress
            What to report to; may cancel.

        Raises
        ------
        NotFoundError
            If there is no such lesion.
        """
        sequence, scene = self.ask()
        # One search at a time: they share what they keep.
        with self._searching:
            paths = plan_lesion_paths(scene, volumes_ml=volumes_ml, progress=progress)
        return RankedPaths(sequence=sequence, paths=paths)

    def check_path(
        self,
        *,
        lesion_id: str,
        entry_lps_mm: FloatArray,
        tip_lps_mm: FloatArray,
        volume_ml: float = 0.0,
        model: PlacementModel | None = None,
        seed: int = 1,
    ) -> CheckedPath:
        """Measure and judge one path that somebody chose.

        Parameters
        ----------
        lesion_id
            Lesion it is for.
        entry_lps_mm, tip_lps_mm
            (3,) ends.
        volume_ml
            Volume to place along it.
        model, seed
            Placement error to simulate, with the seed of its draws; without a model, no probabilities.

        Raises
        ------
        GeometryError
            If the ends are not finite, coincide, or lie outside the scan, where nothing can be judged.
        NotFoundError
            If there is no such lesion.
        """
        sequence, scene = self.ask()
        entry, tip = np.asarray(entry_lps_mm, np.float64), np.asarray(tip_lps_mm, np.float64)
        _require_in_scan(scene, entry, tip, lesion_id=lesion_id)
        way = tip - entry
        if not np.isfinite(way).all() or float(np.linalg.norm(way)) < LENGTH_TOLERANCE_MM:
            raise GeometryError(
                expected="an entry and a tip that differ",
                given=f"a way of {way.tolist()} mm",
                where=lesion_id,
                action="move one of them",
            )
        measure = measure_track(
            scene, scene.paint_target(lesion_id), lesion_id=lesion_id, entry_lps_mm=entry, tip_lps_mm=tip
        )
        drawn = to_puncture(scene, measure, name="P1")
        puncture, left_ml, _ = place_deposits(drawn, scene, lesion_id=lesion_id, volume_ml=volume_ml)
        if model is not None:
            rng = np.random.default_rng(seed)
            risk = simulate_placement(puncture, scene, model=model, draws=DRAWS, rng=rng)
            puncture = replace(puncture, risk=replace(risk, seed=seed))
        return CheckedPath(
            sequence=sequence,
            puncture=puncture,
            undelivered_ml=left_ml,
            findings=check_path(puncture, scene),
        )

    def ask(self) -> tuple[int, Scene]:
        """Give the next question its number, and return it with the scene it is asked of."""
        with self._lock:
            self._sequence += 1
            return self._sequence, self._scene


def _require_in_scan(scene: Scene, *ends_lps_mm: FloatArray, lesion_id: str) -> None:
    size_mm = np.array(scene.grid.shape) * scene.grid.spacing_mm
    for point in ends_lps_mm:
        if point.shape == (3,):
            local = scene.to_local_mm(point)
            # Written so that NaN counts as outside.
            if (local >= -ON_SKIN_TOLERANCE_MM).all() and (local <= size_mm + ON_SKIN_TOLERANCE_MM).all():
                continue
        raise GeometryError(
            expected="an entry and a tip inside the scan",
            given=f"{point.tolist()} mm",
            where=lesion_id,
            action="choose points of the scan",
        )
