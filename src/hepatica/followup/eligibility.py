"""What a baseline should look like: findings, never an exclusion."""

from __future__ import annotations

from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.followup.limits import is_below
from hepatica.followup.records import Course, TrackedLesion
from hepatica.followup.selection import THICKNESS_UNKNOWN, find_least_size, name_organ
from hepatica.followup.sums import measure_lesion
from hepatica.followup.target import TABLES


def check_baseline(
    course: Course, *, most_targets: int | None = None, table: EvidenceTable | None = None
) -> tuple[Finding, ...]:
    """Check the targets of a baseline against the limits of RECIST 1.1.

    Rules: ``response.targets_most``, ``response.targets_per_organ``, ``response.target_small``,
    ``response.target_unmeasured``. Each is a warning; the response is derived all the same.

    Parameters
    ----------
    course
        Sizes in mm.
    most_targets
        Targets allowed in all; that of the table by default.
    table
        Table ``recist.toml``, or a protocol's own.
    """
    limits = table or read_evidence_table(TABLES, "recist.toml")
    most = limits["targets_most"]
    allowed = int(most.number) if most_targets is None else most_targets
    targets = course.targets
    findings = []
    if len(targets) > allowed:
        findings.append(
            Finding(
                rule="response.targets_most",
                severity=Severity.WARNING,
                message=f"{len(targets)} targets at baseline; at most {allowed}.",
                measured=float(len(targets)),
                limit=float(allowed),
                source=most.source,
                status=most.status,
            )
        )
    per_organ: dict[str, list[TrackedLesion]] = {}
    for lesion in targets:
        per_organ.setdefault(name_organ(lesion), []).append(lesion)
    for organ, lesions in per_organ.items():
        if organ and len(lesions) > limits["targets_per_organ"].number:
            findings.append(
                Finding.from_limit(
                    limits["targets_per_organ"],
                    rule="response.targets_per_organ",
                    severity=Severity.WARNING,
                    message=f"{len(lesions)} targets in one organ at baseline.",
                    measured=float(len(lesions)),
                    subject=lesions[-1].lesion_id,
                )
            )
    for lesion in targets:
        findings += _check_size(lesion, course, limits)
    return tuple(findings)


def _check_size(lesion: TrackedLesion, course: Course, limits: EvidenceTable) -> list[Finding]:
    size = measure_lesion(lesion, course.baseline)
    if isinstance(size, NotEvaluable):
        return [
            Finding(
                rule="response.target_unmeasured",
                severity=Severity.WARNING,
                message="A target without a size at baseline: there is no complete baseline sum.",
                subject=lesion.lesion_id,
            )
        ]
    least_mm = find_least_size(lesion, slice_thickness_mm=THICKNESS_UNKNOWN, table=limits)
    if not is_below(size, least_mm):
        return []
    return [
        Finding.from_limit(
            limits["node_target" if lesion.is_node else "lesion_target"],
            rule="response.target_small",
            severity=Severity.WARNING,
            message=f"A target of {size:g} mm at baseline; {least_mm:g} mm is measurable.",
            measured=size,
            subject=lesion.lesion_id,
        )
    ]
