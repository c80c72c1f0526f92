"""What a tracking run was asked for, and what it needs from the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hepatica.core.progress import Progress
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.request import LabelInput


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRequest:
    """One follow-up against one baseline.

    Parameters
    ----------
    baseline, followup
        Scans: folder, zip or file.
    baseline_labels, followup_labels
        Label sources of each, united.
    baseline_series, followup_series
        Series to use where several are found.
    earlier
        Folder of an earlier plan or tracking of the baseline scan, whose lesion names and UIDs go on.
    confirm
        File with a reader's decisions.
    reader
        Who decided; empty takes the name in the file.
    same_phase
        A person states that both scans are of one contrast phase.
    simulated
        The scans are simulated: every output says so.
    subject, study
        USUBJID and STUDYID of the tables.
    baseline_visit, followup_visit
        VISITNUM of each.
    """

    baseline: Path
    followup: Path
    baseline_labels: tuple[LabelInput, ...]
    followup_labels: tuple[LabelInput, ...]
    baseline_series: str | None = None
    followup_series: str | None = None
    earlier: Path | None = None
    confirm: Path | None = None
    reader: str = ""
    same_phase: bool = False
    simulated: bool = False
    subject: str = "SUBJECT"
    study: str = ""
    baseline_visit: int = 1
    followup_visit: int = 2

    @property
    def follows_tracking(self) -> bool:
        """Whether the baseline is the follow-up of an earlier tracking, whose tables hold its rows already."""
        return self.earlier is not None and (self.earlier / "track.json").is_file()

    @property
    def sources(self) -> dict[str, str]:
        """Path by role, absolute."""
        found = {"baseline": self.baseline, "followup": self.followup}
        for side, labels in (("baseline", self.baseline_labels), ("followup", self.followup_labels)):
            for number, label in enumerate(labels):
                found[f"{side} labels[{number}]"] = label.path
        if self.earlier is not None:
            found["baseline plan"] = self.earlier
        if self.confirm is not None:
            found["decisions"] = self.confirm
        return {role: str(path.absolute()) for role, path in found.items()}

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything but paths and people."""
        return {
            "baseline_series": self.baseline_series,
            "followup_series": self.followup_series,
            "same_phase": self.same_phase,
            "simulated": self.simulated,
            "baseline_visit": self.baseline_visit,
            "followup_visit": self.followup_visit,
        }


class TrackReportWriter(Protocol):
    """Writes the page with pictures."""

    def __call__(self, tracked: Any, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write and return the file names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPorts:
    """What tracking needs from the world: the readers and folders of planning, tables and the page."""

    base: PlanPorts
    write_table: Callable[[Path, Sequence[str], Sequence[Mapping[str, str]]], None]
    write_report: TrackReportWriter
