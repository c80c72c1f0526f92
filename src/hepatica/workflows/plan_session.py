"""A plan opened for questions: another margin, another protocol, a moved entry or tip."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hepatica.core.geometry import FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.dose.protocol import Protocol
from hepatica.planning.eligibility.check import check_eligibility
from hepatica.planning.path.memory import MOST_BYTES
from hepatica.planning.path.needle_choice import fit_needle
from hepatica.planning.path.placement_presets import make_placement_model
from hepatica.planning.path.session import CheckedPath, PathSession
from hepatica.workflows.plan_case import PlannedCase, plan_prepared
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.prepare_case import to_scan_facts
from hepatica.workflows.reopen_plan import ReopenedPlan, reopen_plan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replanned:
    """A plan under other limits or another protocol.

    Parameters
    ----------
    sequence
        Number of the question; an answer with a smaller one than another is older and may be dropped.
    planned
        The plan, equal to one made from scratch under the same limits and protocol.
    """

    sequence: int
    planned: PlannedCase


class PlanSession:
    """One plan with its scan, its scene and what searches in it found out.

    Parameters
    ----------
    opened
        The plan, read back.
    most_bytes
        Bound of what is kept of searches, beside the scan and the scene.
    """

    def __init__(self, opened: ReopenedPlan, *, most_bytes: int = MOST_BYTES) -> None:
        self._opened = opened
        self._paths = PathSession(opened.prepared.scene, most_bytes=most_bytes)
        self._protocol, self._visit = opened.case.protocol, opened.case.request.visit
        self._lock = threading.Lock()

    @property
    def opened(self) -> ReopenedPlan:
        """The plan as it was written, with case and scene."""
        return self._opened

    @property
    def sequence(self) -> int:
        """Number of the latest question; 0 before the first."""
        return self._paths.sequence

    def count_bytes(self) -> int:
        """Return the memory held beyond scan and scene."""
        return self._paths.count_bytes()

    def is_stale(self, answer: Replanned | CheckedPath) -> bool:
        """Tell whether a later question than this answer's has been asked."""
        return answer.sequence < self.sequence

    def change_limits(self, values: Mapping[str, float]) -> None:
        """Set path limits by name for the questions to come; all others are as in the plan.

        Parameters
        ----------
        values
            Number by key of the table of path limits.

        Raises
        ------
        InputError
            If a limit is unknown, or decides what the scene consists of.
        """
        self._paths.change_limits(values)

    def change_protocol(self, protocol: Protocol, *, visit: int | None = None) -> None:
        """Use another dose protocol, or another visit of it, for the questions to come.

        Parameters
        ----------
        protocol
            Protocol.
        visit
            Visit number; None keeps it.
        """
        self._protocol, self._visit = protocol, visit or self._visit

    def replan(self, *, progress: Progress = SILENT) -> Replanned:
        """Plan again under the present limits and protocol.

        Parameters
        ----------
        progress
            Told of stages; may cancel.
        """
        sequence, scene = self._paths.ask()
        case = replace(
            self._opened.case,
            protocol=self._protocol,
            request=replace(self._opened.case.request, visit=self._visit),
        )
        prepared = replace(self._opened.prepared, scene=scene)
        if self._protocol is not self._opened.case.protocol:
            scan = to_scan_facts(prepared.lesions, prepared.anatomy)
            answers = check_eligibility(self._protocol, facts=case.facts, scan=scan)
            prepared = replace(prepared, eligibility=answers)
        with self._lock:
            run_id = str(self._opened.manifest["run_id"])
            planned = plan_prepared(case, prepared, run_id=run_id, progress=progress)
        return Replanned(sequence=sequence, planned=planned)

    def check_path(
        self,
        *,
        lesion_id: str,
        entry_lps_mm: FloatArray,
        tip_lps_mm: FloatArray,
        volume_ml: float = 0.0,
    ) -> CheckedPath:
        """Measure and judge one path that somebody chose, with the plan's placement error and seed.

        Parameters
        ----------
        lesion_id
            Lesion it is for.
        entry_lps_mm, tip_lps_mm
            (3,) ends.
        volume_ml
            Volume to place along it.

        Raises
        ------
        GeometryError
            If the ends are not finite or coincide.
        NotFoundError
            If there is no such lesion.
        """
        case = self._opened.case
        request = case.request
        answer = self._paths.check_path(
            lesion_id=lesion_id,
            entry_lps_mm=entry_lps_mm,
            tip_lps_mm=tip_lps_mm,
            volume_ml=volume_ml,
            model=make_placement_model(request.placement),
            seed=request.seed,
        )
        if request.needle:
            return answer
        # As in the plan: the shortest needle that fits, unless somebody named one.
        puncture = answer.puncture
        needle = fit_needle(puncture.needle, length_mm=puncture.length_mm, needles=case.needles)
        return replace(answer, puncture=replace(puncture, needle=needle))


def open_plan_session(
    folder: Path, *, ports: PlanPorts, most_bytes: int = MOST_BYTES, progress: Progress = SILENT
) -> PlanSession:
    """Rebuild a session from the folder of a plan.

    Parameters
    ----------
    folder
        Folder that ``hepatica plan`` wrote.
    ports
        The world.
    most_bytes
        Bound of what is kept of searches.
    progress
        Told of stages; may cancel.

    Raises
    ------
    ReplayMismatchError
        If the plan, an input or a table has changed since.
    """
    return PlanSession(reopen_plan(folder, ports=ports, progress=progress), most_bytes=most_bytes)
