"""What a plan says, as rows of text: the sheet and the report print the same rows.

Pure: a `PlanContext` goes in, frozen rows come out; no pictures, no files. Free text (labels, descriptions,
names) passes through unchanged in meaning; escaping is the business of the format that prints it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hepatica.adapters.reports.eligibility_view import (
    CriterionRow,
    EligibilityView,
    derive_criteria,
    derive_eligibility_view,
)
from hepatica.adapters.reports.puncture_view import PunctureView, derive_puncture_view
from hepatica.adapters.reports.spread_view import SpreadView, derive_spread_view
from hepatica.adapters.reports.wording import (
    ABSENT,
    DERIVED_NOTE,
    Cell,
    shorten,
    to_cell,
    to_date_words,
    to_dose_words,
    to_list_words,
    to_measure_words,
    to_ml_words,
    to_not_evaluable_words,
    to_number_words,
    to_percent_words,
    to_readable_words,
    to_run_time_words,
    to_short_id,
)
from hepatica.core.evidence import EvidenceStatus, EvidenceTable, read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.lesions.lesion import Lesion
from hepatica.planning.dose.values import Allocation, Injection
from hepatica.planning.path.scene import read_path_limits
from hepatica.planning.plan import Plan, PlanStatus, collect_findings
from hepatica.workflows.ports import PlanContext

DISCLAIMER: Final = "Research use, not a medical device."
LEGEND: Final = (
    "Axial pictures: patient right on the left. Thick outline: lesion to inject; dashed: new or not injected"
    f"; thin: liver; dotted: labelled structure; dash-dot and *: {DERIVED_NOTE}. "
    "Needle solid in its slice, dashed outside it. "
    "Beyond tip: clearance of the {run_out_mm:g} mm run-out."
)
NAME_CHARACTERS: Final = 48
BAR_REM: Final = 10.0
"""Width of a full bar in the report."""
ROUND_NOTE: Final = "round: SA to the outline"
"""Beside a short axis above the longest diameter, which would else look like a mistake."""
UNDELIVERED_TOLERANCE_ML: Final = 5e-4
"""Half the closure of one microlitre (DESIGN 10): below it nothing is undelivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionRow:
    """One lesion as printed; ``injected`` and ``is_new`` decide how it is drawn."""

    lesion_id: str
    name: str
    size: Cell
    diameter_3d: Cell
    volume: Cell
    viable: Cell
    liver_share: Cell
    capsule: Cell
    depth: Cell
    planned: Cell
    dose: Cell
    undelivered: Cell
    order: str
    puncture: str
    injected: bool
    is_new: bool
    neighbours: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseRow:
    """One line of an allocation."""

    lesion_id: str
    order: str
    rule_amount: Cell
    planned: Cell
    dose: Cell
    rule: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationView:
    """One allocation as printed."""

    title: str
    rows: tuple[DoseRow, ...]
    total: str
    ceiling: str
    vials: str
    draw_up: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """One finding as printed; ``severity`` is ``error``, ``warning`` or ``info``."""

    severity: str
    rule: str
    subject: str
    message: str
    measured: str
    limit: Cell
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRow:
    """What one hard limit costs in skin."""

    limit: str
    blocked: str
    blocked_width: float
    only: str
    area: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionPathView:
    """The search for one lesion as printed."""

    lesion_id: str
    answer: str
    examined: str
    blocks: tuple[BlockRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One source that some printed number rests on."""

    text: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """Everything a report prints, in words.

    Parameters
    ----------
    cleared, banner, missing
        Status, its words, and what is missing for clearance.
    facts, manifest
        Label and text pairs: on the scan, and on the run.
    lesions, punctures, backups, allocations, paths, criteria, findings, sources
        Rows. ``allocations`` holds the one to use first.
    eligibility, deposited
        Criteria in short; volume of all stops of the first choices, without what stays undelivered.
    notices, stop_rules
        Lines of the protocol that must be printed, and when to stop.
    stops_unverified, capsule_unverified
        Whether the deposit rules (volume per stop, pull-back) and the capsule's smoothing lean on unchecked numbers.
    stop_rules_unverified
        Whether nobody has checked any one of the latter.
    """

    plan_id: str
    short_id: str
    run_time: str
    protocol: str
    agent: str
    visit: str
    cleared: bool
    banner: str
    missing: str
    facts: tuple[tuple[str, str], ...]
    lesions: tuple[LesionRow, ...]
    punctures: tuple[PunctureView, ...]
    backups: tuple[PunctureView, ...]
    allocations: tuple[AllocationView, ...]
    paths: tuple[LesionPathView, ...]
    criteria: tuple[CriterionRow, ...]
    eligibility: EligibilityView
    deposited: str
    findings: tuple[FindingRow, ...]
    sources: tuple[SourceRow, ...]
    notices: tuple[str, ...]
    stop_rules: tuple[str, ...]
    stops_unverified: bool
    capsule_unverified: bool
    stop_rules_unverified: bool
    legend: str
    disclaimer: str
    software: str
    input_digest: str
    manifest: tuple[tuple[str, str], ...]
    spread: SpreadView | None = None

    def count_findings(self, severity: str) -> int:
        """Return how many findings have a severity."""
        return sum(row.severity == severity for row in self.findings)


def derive_plan_view(context: PlanContext) -> PlanView:
    """Turn a plan and its surroundings into rows of text."""
    plan, manifest = context.plan, context.manifest
    cleared = plan.status is PlanStatus.CLEARED
    missing = to_list_words(plan.missing_structures)
    stop_rules = tuple(read_stop_rules())
    return PlanView(
        plan_id=plan.plan_id,
        short_id=to_short_id(plan.plan_id),
        run_time=to_run_time_words(manifest.run_time),
        protocol=plan.protocol.title or plan.protocol.name,
        agent=plan.protocol.agent,
        visit=str(plan.visit),
        cleared=cleared,
        banner="Cleared" if cleared else "NOT CLEARED",
        missing="" if cleared else _say_missing(missing),
        facts=_derive_facts(context),
        lesions=tuple(_derive_lesion_row(lesion, plan) for lesion in plan.lesions),
        punctures=tuple(derive_puncture_view(puncture, context) for puncture in plan.punctures),
        backups=tuple(derive_puncture_view(puncture, context) for puncture in plan.backups),
        allocations=(
            _derive_allocation(plan.allocation, "Lesions with a needle path (the one to use)"),
            _derive_allocation(plan.allocation_all, "All lesions, path or not"),
        ),
        paths=_derive_paths(plan),
        criteria=derive_criteria(plan.eligibility),
        eligibility=derive_eligibility_view(plan.eligibility),
        deposited=_say_deposited(plan),
        findings=_derive_findings(plan),
        sources=_derive_sources(plan),
        notices=plan.protocol.notices,
        stop_rules=tuple(str(rule.value) for rule in stop_rules),
        stops_unverified=any(
            read_path_limits()[key].unverified for key in ("deposit_max", "deposit_spacing")
        ),
        capsule_unverified=read_path_limits()["capsule_sigma"].unverified,
        stop_rules_unverified=any(rule.unverified for rule in stop_rules),
        legend=LEGEND.format(run_out_mm=read_path_limits()["run_out"].number),
        disclaimer=DISCLAIMER,
        software=f"Hepatica {manifest.code_version}",
        input_digest=context.image.digest[:12],
        manifest=_derive_manifest(context),
        spread=None if context.spread is None else derive_spread_view(context.spread),
    )


def read_stop_rules() -> EvidenceTable:
    """Read when to stop an injection, leave the needle where it is and look again.

    Examples
    --------
    >>> [rule.key for rule in read_stop_rules()][0]
    'resistance'
    """
    return read_evidence_table("hepatica.planning.tables", "stop_rules.toml")


def _say_missing(missing: str) -> str:
    if not missing:
        return "Not everything in reach of the needle is known."
    return f"Neither labelled nor declared absent: {missing}. Look for them along the path before going on."


def _derive_facts(context: PlanContext) -> tuple[tuple[str, str], ...]:
    facts, position = context.image.facts, context.plan.patient_position
    spacing = context.image.volume.grid.spacing_mm
    words = (
        to_not_evaluable_words(position) if isinstance(position, NotEvaluable) else _say_position(position)
    )
    phase = facts.phase_hint or "unknown"
    return (
        ("Position", words),
        (
            "Series",
            shorten(facts.series_description, NAME_CHARACTERS) or f"{facts.format} without description",
        ),
        ("Study date", to_date_words(facts.study_date)),
        ("Contrast phase", phase),
        ("Breath phase", "unknown: rescan in the breath hold you will use"),
        ("Voxels", " × ".join(f"{step:.2f}" for step in spacing) + " mm"),
    )


_POSITION_WORDS: Final = {
    "HFS": "head first, supine", "HFP": "head first, prone",
    "FFS": "feet first, supine", "FFP": "feet first, prone",
    "HFDR": "head first, right side down", "HFDL": "head first, left side down",
    "FFDR": "feet first, right side down", "FFDL": "feet first, left side down",
}  # fmt: skip


def _say_position(position: str) -> str:
    word = _POSITION_WORDS.get(position)
    return f"{position}: {word}" if word else position


def _find_injection(allocation: Allocation, lesion_id: str) -> Injection | None:
    return next((item for item in allocation.injections if item.lesion_id == lesion_id), None)


def _derive_lesion_row(lesion: Lesion, plan: Plan) -> LesionRow:
    injection = _find_injection(plan.allocation, lesion.lesion_id)
    short = lesion.short_axis
    short_words = (
        to_not_evaluable_words(short) if isinstance(short, NotEvaluable) else f"{short.length_mm:.1f} mm"
    )
    injected = injection is not None and injection.volume_ml > 0
    planned, dose, undelivered = _say_amounts(injection)
    unreachable = {path.lesion_id for path in plan.paths if path.best is None}
    rounder = not isinstance(short, NotEvaluable) and short.length_mm > lesion.longest_diameter.length_mm
    return LesionRow(
        lesion_id=lesion.lesion_id,
        name=shorten(lesion.label, NAME_CHARACTERS),
        size=Cell(
            text=f"{lesion.longest_diameter.length_mm:.1f} × {short_words}",
            note=ROUND_NOTE if rounder else "",
        ),
        diameter_3d=Cell(text=f"{lesion.longest_diameter_3d.length_mm:.1f} mm"),
        volume=Cell(text=f"{lesion.volume_ml:.1f} ± {lesion.volume_uncertainty_ml:.1f} mL"),
        viable=_say_viable(lesion),
        liver_share=_say_share(lesion),
        capsule=Cell(text=to_number_words(lesion.distance_to_capsule_mm, unit="mm")),
        depth=Cell(text=to_number_words(lesion.depth_mm, unit="mm")),
        planned=planned,
        dose=dose,
        undelivered=undelivered,
        order=str(injection.rank) if injection is not None and injection.rank else ABSENT,
        puncture=", ".join(p.puncture_id for p in plan.punctures if lesion.lesion_id in p.lesion_ids)
        or ("no path" if lesion.lesion_id in unreachable else ABSENT),
        injected=injected,
        is_new=bool(lesion.is_new),
        neighbours=tuple(
            f"{near.kind.value.replace('_', ' ')} {near.distance_mm:.0f} mm"
            + (f" ({DERIVED_NOTE})" if near.derived else "")
            for near in lesion.neighbours
        ),
    )


def _say_share(lesion: Lesion) -> Cell:
    share = to_percent_words(lesion.liver_fraction)
    error = lesion.liver_fraction_uncertainty
    if isinstance(lesion.liver_fraction, NotEvaluable) or isinstance(error, NotEvaluable):
        return Cell(text=share)
    return Cell(text=f"{100 * lesion.liver_fraction:.1f} ± {100 * error:.1f} %")


def _say_viable(lesion: Lesion) -> Cell:
    if isinstance(lesion.viable, NotEvaluable):
        return Cell(text=to_not_evaluable_words(lesion.viable))
    part = lesion.viable
    low, middle, high = (mask.volume_ml for mask in (part.low, part.middle, part.high))
    text = f"{middle:.1f} mL"
    if low != high:
        text += f" ({low:.1f} to {high:.1f})"
    return Cell(text=text, note="" if part.origin == "label" else part.origin)


def _say_amounts(injection: Injection | None) -> tuple[Cell, Cell, Cell]:
    if injection is None:
        return Cell(text=ABSENT), Cell(text=ABSENT), Cell(text=ABSENT)
    planned = to_cell(to_ml_words(injection.volume_ml), status=injection.status, note=injection.reason)
    dose = to_cell(to_dose_words(injection.dose, injection.dose_unit), status=injection.status)
    if injection.undelivered_ml < UNDELIVERED_TOLERANCE_ML:
        return planned, dose, Cell(text="none")
    reason = injection.undelivered_reason or "no reason given"
    return planned, dose, to_cell(to_ml_words(injection.undelivered_ml), status=injection.status, note=reason)


def _derive_allocation(allocation: Allocation, title: str) -> AllocationView:
    rows = []
    for injection in allocation.injections:
        planned, dose, _ = _say_amounts(injection)
        rows.append(
            DoseRow(
                lesion_id=injection.lesion_id,
                order=str(injection.rank) if injection.rank else ABSENT,
                rule_amount=to_cell(to_ml_words(injection.rule_volume_ml), status=injection.status),
                planned=Cell(text=planned.text, unverified=planned.unverified),
                dose=dose,
                rule=injection.rule,
                reason="; ".join(filter(None, (injection.reason, injection.undelivered_reason))),
                source=injection.source,
            )
        )
    vials = allocation.vials
    words = to_readable_words(allocation.vial_text)
    if isinstance(vials, NotEvaluable):
        words = f"{to_not_evaluable_words(vials)} {words}".strip()
    return AllocationView(
        title=title,
        rows=tuple(rows),
        total=to_ml_words(allocation.total_ml),
        ceiling="no ceiling in the protocol"
        if allocation.ceiling_ml is None
        else to_ml_words(allocation.ceiling_ml),
        vials=words,
        draw_up=f"{to_ml_words(allocation.draw_up_ml)} with dead space",
    )


def _say_deposited(plan: Plan) -> str:
    return to_ml_words(
        sum(
            deposit.volume_ml
            for puncture in plan.punctures
            for track in puncture.tracks
            for deposit in track.deposits
        )
    )


def _derive_paths(plan: Plan) -> tuple[LesionPathView, ...]:
    views = []
    for path in plan.paths:
        answer = "no path meets every hard limit"
        if path.best is not None:
            answer = f"path {path.best.puncture_id}"
            answer += (
                f", backup {path.backup.puncture_id}" if path.backup is not None else ", no backup entry"
            )
        views.append(
            LesionPathView(
                lesion_id=path.lesion_id,
                answer=answer,
                examined=f"{path.examined_paths:,}".replace(",", " "),
                blocks=tuple(
                    BlockRow(
                        limit=block.limit.replace("_", " "),
                        blocked=f"{100 * block.blocked_fraction:.0f} %",
                        blocked_width=round(BAR_REM * block.blocked_fraction, 2),
                        only=f"{100 * block.only_fraction:.0f} %",
                        area=f"{block.only_cm2:.0f} cm²",
                    )
                    for block in path.blocks
                ),
            )
        )
    return tuple(views)


def _derive_findings(plan: Plan) -> tuple[FindingRow, ...]:
    return tuple(
        FindingRow(
            severity=finding.severity.value,
            rule=finding.rule,
            subject=finding.subject,
            message=finding.message,
            measured=to_measure_words(finding.measured, finding.unit),
            limit=to_cell(to_measure_words(finding.limit, finding.unit), status=finding.status),
            source=finding.source,
        )
        for finding in collect_findings(plan)
    )


def _derive_sources(plan: Plan) -> tuple[SourceRow, ...]:
    pairs: list[tuple[str, EvidenceStatus | None]] = []
    pairs += [(item.source, item.status) for item in plan.allocation.injections]
    for puncture in (*plan.punctures, *plan.backups):
        pairs.append((puncture.needle.source, puncture.needle.status))
        pairs += [(term.source, term.status) for term in puncture.terms]
        if puncture.risk:
            sigmas = (*puncture.risk.model.sigmas, puncture.risk.redirection)
            pairs += [(s.source, s.status) for s in sigmas if s is not None]
    pairs += [(item.source, item.status) for item in plan.eligibility]
    pairs += [(finding.source, finding.status) for finding in collect_findings(plan)]
    pairs += [(f"stop rules: {rule.source}", rule.status) for rule in read_stop_rules()]
    unique = dict.fromkeys((source, status) for source, status in pairs if source)
    return tuple(
        SourceRow(text=source, status=status.value if status is not None else "") for source, status in unique
    )


def _derive_manifest(context: PlanContext) -> tuple[tuple[str, str], ...]:
    manifest = context.manifest
    rows = [
        ("Plan id", context.plan.plan_id),
        ("Run time", manifest.run_time.isoformat()),
        ("Software", f"Hepatica {manifest.code_version}"),
        ("Run id", manifest.run_id),
        ("Protocol file", f"{context.plan.protocol.name}, SHA-256 {context.plan.protocol.digest}"),
        ("Seed", ABSENT if manifest.seed is None else str(manifest.seed)),
    ]
    rows += [(f"Input {role}", f"SHA-256 {digest}") for role, digest in sorted(manifest.inputs.items())]
    rows += [(f"Table {name}", f"SHA-256 {digest}") for name, digest in sorted(manifest.tables.items())]
    rows += [(f"Parameter {name}", str(value)) for name, value in sorted(manifest.parameters.items())]
    rows += [(f"Library {name}", version) for name, version in sorted(manifest.libraries.items())]
    return tuple(rows)
