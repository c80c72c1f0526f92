"""The short readable summary of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from hepatica.core.findings import NotEvaluable, Severity
from hepatica.entrypoints.cli.spread import print_spread
from hepatica.planning.eligibility.values import Answer
from hepatica.planning.path.placement_values import PlacementRisk
from hepatica.planning.path.values import Puncture, Track
from hepatica.planning.plan import Plan, PlanStatus, collect_findings

if TYPE_CHECKING:
    from rich.console import Console

    from hepatica.workflows.plan_injection import PlanOutcome

MOST_FINDINGS = 8
"""Longer lists stay in the report; a screen should be read."""


def print_summary(outcome: PlanOutcome) -> None:
    """Print what matters of a plan on stdout: lesions, amounts, needle, findings, and the file to open."""
    from rich.console import Console

    console = Console(highlight=False)
    plan = outcome.plan
    _print_head(console, plan)
    _print_lesions(console, plan)
    for puncture in plan.punctures:
        _print_puncture(console, puncture)
    for puncture in plan.backups:
        _print_backup(console, puncture)
    _print_patterns(console, plan)
    _print_unreached(console, plan)
    _print_eligibility(console, plan)
    _print_findings(console, plan)
    if outcome.spread is not None:
        print_spread(outcome.spread)
    folder = escape(str(outcome.folder))
    console.print(f"\nOpen [bold]{folder}/sheet.pdf[/bold] (sheet) or {folder}/report.html (all details).")
    console.print("Research use, not a medical device.")


def _print_head(console: Console, plan: Plan) -> None:
    status = "[bold green]cleared[/]" if plan.status is PlanStatus.CLEARED else "[bold red]NOT CLEARED[/]"
    title, agent = escape(plan.protocol.title), escape(plan.protocol.agent)
    console.print(f"\n[bold]{title}[/] - {agent}, visit {plan.visit}: {status}")
    if plan.missing_structures:
        console.print(f"  neither labelled nor declared absent: {', '.join(plan.missing_structures)}")
    for notice in plan.protocol.notices:
        console.print(f"  {notice}", style="dim", markup=False)


def _print_lesions(console: Console, plan: Plan) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("lesion", "LD x SA mm", "volume mL", "planned mL", "PFU", "undelivered", "rule"):
        table.add_column(title, justify="left" if title in ("lesion", "rule") else "right")
    amounts = {injection.lesion_id: injection for injection in plan.allocation.injections}
    for lesion in plan.lesions:
        injection = amounts[lesion.lesion_id]
        short = lesion.short_axis
        axis = "n/e" if isinstance(short, NotEvaluable) else f"{short.length_mm:.0f}"
        dose = injection.dose_pfu
        unverified = " (unverified)" if injection.status == "unverified" else ""
        table.add_row(
            lesion.lesion_id,
            f"{lesion.longest_diameter.length_mm:.0f} x {axis}",
            f"{lesion.volume_ml:.1f} ± {lesion.volume_uncertainty_ml:.1f}",
            f"{injection.volume_ml:.2f}",
            "n/e" if isinstance(dose, NotEvaluable) else f"{dose:.3g}",
            f"{injection.undelivered_ml:.2f}",
            escape(injection.reason or injection.rule) + unverified,
        )
    console.print()
    console.print(table)


def _print_puncture(console: Console, puncture: Puncture) -> None:
    x, y, z = puncture.entry_lps_mm
    console.print(
        f"\n[bold]{puncture.puncture_id}[/] to {', '.join(puncture.lesion_ids)}: "
        f"entry ({x:.1f}, {y:.1f}, {z:.1f}) mm LPS, "
        f"{puncture.length_mm:.0f} mm, {_say_in_plane(puncture)}, {_say_craniocaudal(puncture)}, {puncture.needle.name}"
    )
    nearest = sorted(
        (c for c in puncture.clearances if not isinstance(c.clearance_mm, NotEvaluable)),
        key=lambda clearance: float(clearance.clearance_mm),  # type: ignore[arg-type]
    )[:4]
    for clearance in nearest:
        marks = [f"margin {clearance.margin_mm:g} mm"]
        marks += ["derived, not reviewed"] if clearance.derived else []
        marks += ["unverified"] if clearance.status == "unverified" else []
        console.print(
            f"   {clearance.clearance_mm:6.1f} mm to {clearance.kind} ({', '.join(marks)})", markup=False
        )
    _print_sharing(console, puncture)
    for number, track in enumerate(puncture.tracks, start=1):
        stops = ", ".join(f"{d.volume_ml:.2f} mL" for d in track.deposits)
        console.print(
            f"   {_say_track(puncture, track, number)}deposits, deepest first: {stops}", markup=False
        )
    if puncture.risk is not None:
        _print_risk(console, puncture.risk)


def _print_patterns(console: Console, plan: Plan) -> None:
    for one in plan.patterns:
        ranking, own = one.ranking, one.planned_row
        if isinstance(ranking, NotEvaluable):
            text = f"not ranked: {ranking.reason}"
        else:
            text = f"of {len(ranking.ranked)} suggested: {ranking.words}"
            if not isinstance(own, NotEvaluable):
                text += f"; the plan's own {own.expected_fraction:.0%}"
                text += f" ({own.retained.low:.0%} to {own.retained.high:.0%})"
            text += " (algebraic budget, unverified)"
        console.print(f"\nDeposit patterns of {one.lesion_id}, {text}", markup=False)


def _print_sharing(console: Console, puncture: Puncture) -> None:
    if puncture.pivot_lps_mm is not None:
        from hepatica.planning.path.redirection import measure_depth_mm

        depth_mm = measure_depth_mm(puncture, puncture.tracks[0], puncture.pivot_lps_mm)
        each = ", a fresh inner needle for each lesion" if len(puncture.lesion_ids) > 1 else ""
        console.print(f"   coaxial needle to {depth_mm:.0f} mm, {len(puncture.tracks)} tracks{each}")
    if puncture.shares_skin_with:
        console.print(
            f"   same hole in the skin as {', '.join(puncture.shares_skin_with)}, with a fresh needle"
        )


def _say_track(puncture: Puncture, track: Track, number: int) -> str:
    if puncture.pivot_lps_mm is None:
        return ""
    from hepatica.planning.path.redirection import derive_redirection_deg, measure_track_mm

    turn = derive_redirection_deg(puncture.entry_lps_mm, puncture.pivot_lps_mm, track.tip_lps_mm)
    lesion = f" to {track.deposits[0].lesion_id}" if track.deposits else ""
    return f"track {number}{lesion}: {measure_track_mm(puncture, track):.0f} mm, turned by {turn:.0f}°; "


def _print_risk(console: Console, risk: PlacementRisk) -> None:
    bound = " (lower bound)" if risk.lower_bound else ""
    volume = risk.expected_in_target
    console.print(
        f"   placement error, {risk.model.name}{', unverified' if risk.unverified else ''}: a structure touched "
        f"{risk.any_touched.probability:.1%}{bound}, tip in target {risk.tip_in_target.probability:.0%}, "
        f"expected in target {volume.mean_ml:.2f} of {volume.planned_ml:.2f} mL",
        markup=False,
    )


def _print_backup(console: Console, puncture: Puncture) -> None:
    x, y, z = puncture.entry_lps_mm
    console.print(
        f"   backup {puncture.puncture_id}: entry ({x:.1f}, {y:.1f}, {z:.1f}), {puncture.length_mm:.0f} mm, "
        f"{_say_in_plane(puncture)}, {_say_craniocaudal(puncture)}"
    )


def _say_in_plane(puncture: Puncture) -> str:
    angle = puncture.in_plane_angle_deg
    if isinstance(angle, NotEvaluable):
        return f"in-plane n/e ({angle.reason})"
    return f"{abs(angle):.0f}° toward patient {'left' if angle >= 0 else 'right'}"


def _say_craniocaudal(puncture: Puncture) -> str:
    angle = puncture.craniocaudal_angle_deg
    return f"{abs(angle):.0f}° toward the {'head' if angle >= 0 else 'feet'}"


def _print_unreached(console: Console, plan: Plan) -> None:
    for path in plan.paths:
        if path.best is None:
            console.print(f"\n[bold red]No path to {path.lesion_id}[/] among {path.examined_paths} examined.")
            for block in path.blocks[:4]:
                console.print(
                    f"   {block.limit}: blocks {block.blocked_fraction:.0%} of the skin, alone {block.only_cm2:.0f} cm²"
                )


def _print_eligibility(console: Console, plan: Plan) -> None:
    if not plan.eligibility:
        return
    failed = [item for item in plan.eligibility if item.answer is Answer.FAIL]
    unknown = [item.criterion for item in plan.eligibility if item.answer is Answer.UNKNOWN]
    passed = len(plan.eligibility) - len(failed) - len(unknown)
    console.print(
        f"\nEligibility: {passed} pass, {len(failed)} fail, {len(unknown)} not known"
        + (f" ({', '.join(unknown)})" if unknown else ""),
        markup=False,
    )
    for item in failed:
        console.print(f"  FAIL {item.criterion}: {item.measured}; {item.reason}", markup=False)


def _print_findings(console: Console, plan: Plan) -> None:
    findings = collect_findings(plan)
    shown = [finding for finding in findings if finding.severity is not Severity.INFO]
    if shown:
        console.print(f"\nFindings ({len(shown)} of {len(findings)} need attention):")
    for finding in shown[:MOST_FINDINGS]:
        mark = " (unverified)" if finding.unverified else ""
        subject = f"{finding.subject}: " if finding.subject else ""
        console.print(f"  {finding.severity}: {subject}{finding.message}{mark}", markup=False)
    if len(shown) > MOST_FINDINGS:
        console.print(f"  ... and {len(shown) - MOST_FINDINGS} more in report.html")
