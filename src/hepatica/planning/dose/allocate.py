"""How many millilitres go into which lesion at one visit, under the ceiling over all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from types import MappingProxyType
from typing import Final

from hepatica.core.errors import InputError, NotSetError, ProtocolError
from hepatica.core.evidence import Evidence, EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.planning.dose.edges import check_dose_edges, check_lesion_share, check_smallest_lesion
from hepatica.planning.dose.ordering import check_lesions, order_lesions
from hepatica.planning.dose.protocol import Protocol
from hepatica.planning.dose.protocol_parts import VisitRow
from hepatica.planning.dose.rules.rule import RuleVolume
from hepatica.planning.dose.section import join_sources, to_decimal, weakest_status
from hepatica.planning.dose.values import Allocation, DoseLesion, Injection

SEVERITY_ORDER: Final = (Severity.ERROR, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationOptions:
    """What the day adds to the protocol.

    Parameters
    ----------
    punctures
        Needles to fill, each with its dead space; one for each injected lesion where None.
    strength_per_ml
        Strength in hand, in the unit of the protocol's concentration; checked against the visit.
    given_ml
        Millilitres given before by lesion, for rules whose amount is for the whole course.
    variability_mm
        A site's own reader variability in place of the packaged table.
    """

    punctures: int | None = None
    strength_per_ml: float | None = None
    given_ml: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    variability_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """One lesion's part of the visit."""

    lesion: DoseLesion
    wanted: RuleVolume
    due: Decimal
    planned: Decimal
    step: Decimal | None
    reason: str


def allocate_dose(
    lesions: Sequence[DoseLesion],
    *,
    protocol: Protocol,
    visit: int,
    dead_space_ml: float = 0.0,
    options: AllocationOptions | None = None,
) -> Allocation:
    """Share one visit's dose over the lesions, in the protocol's order, never above its ceiling.

    Volumes are decimals until the end: their sum is the total, exactly. Each is rounded down to a step of the
    syringe. A lesion reached with less than its amount left gets what is left; who got less is told why.

    Parameters
    ----------
    lesions
        All lesions, in any order; the answer does not depend on it.
    protocol
        Protocol, with a level where it has levels.
    visit
        Visit number from 1.
    dead_space_ml
        What stays in one needle; draw-up = dose + dead space of each puncture.
    options
        What the day adds.

    Raises
    ------
    NotSetError
        If a number the dose depends on has not been supplied; the message says how to supply it.
    ProtocolError
        If the protocol has no such visit, or the strength in hand is another one.
    InputError
        On sizes that are no measurements.

    Examples
    --------
    >>> from hepatica.planning.dose.protocol import read_protocol
    >>> lesions = [DoseLesion(lesion_id="L1", longest_diameter_mm=32.0, volume_ml=14.0),
    ...            DoseLesion(lesion_id="L2", longest_diameter_mm=51.0, volume_ml=60.0)]
    >>> allocation = allocate_dose(lesions, protocol=read_protocol("tvec-label"), visit=1)
    >>> [(injection.lesion_id, injection.volume_ml) for injection in allocation.injections]
    [('L2', 4.0), ('L1', 0.0)]
    """
    options = options or AllocationOptions()
    table = read_evidence_table("hepatica.planning.tables", "dose.toml")
    _check_request(visit, dead_space_ml, options)
    check_lesions(lesions)
    row = protocol.visit_row(visit)
    _check_strength(row, visit=visit, options=options, protocol=protocol)
    protocol.require_set(visit)
    order = order_lesions(lesions, protocol=protocol, visit=visit)
    ceiling = _find_ceiling(row, protocol.rule.cap_for_visit(visit))
    wanted = (
        protocol.rule.derive_volumes(order.lesions, concentration=row.concentration) if order.lesions else ()
    )
    shares = _fill(order.lesions, wanted, ceiling=ceiling, protocol=protocol, options=options, table=table)
    injections = _make_injections(shares, row=row, protocol=protocol)
    injections += [_leave_out(lesion, reason, unit=_amount_unit(row)) for lesion, reason in order.left_out]
    total = sum((share.planned for share in shares), Decimal(0))
    injected = sum(1 for share in shares if share.planned > 0)
    punctures = injected if options.punctures is None else options.punctures
    draw_up = total + to_decimal(dead_space_ml) * punctures if injected else Decimal(0)
    vials, vial_text = _count_vials(draw_up, row=row)
    findings = [*order.findings, *_check_shares(shares, protocol=protocol, options=options)]
    findings += [
        item
        for lesion in lesions
        if lesion.injectable
        for item in check_smallest_lesion(lesion, protocol=protocol)
    ]
    findings += _check_earlier_amounts(shares, visit=visit, protocol=protocol, options=options)
    findings += _check_ceiling(ceiling, protocol=protocol) + _check_unverified(
        row, ceiling, shares, table, protocol
    )
    return Allocation(
        visit=visit,
        injections=tuple(injections),
        total_ml=float(total),
        ceiling_ml=None if ceiling is None else ceiling.number,
        vials=vials,
        vial_text=vial_text,
        draw_up_ml=float(draw_up),
        findings=tuple(sorted(findings, key=lambda finding: SEVERITY_ORDER.index(finding.severity))),
    )


def _check_request(visit: int, dead_space_ml: float, options: AllocationOptions) -> None:
    if isinstance(visit, bool) or not isinstance(visit, int) or visit < 1:
        raise InputError(expected="a visit number from 1", given=repr(visit), where="visit")
    numbers = {"dead space": dead_space_ml, **{f"given to {key}": ml for key, ml in options.given_ml.items()}}
    for name, number in numbers.items():
        if not math.isfinite(number) or number < 0:
            raise InputError(expected="millilitres from 0", given=f"{number}", where=name)
    if options.punctures is not None and options.punctures < 0:
        raise InputError(
            expected="a number of punctures from 0", given=f"{options.punctures}", where="punctures"
        )


def _check_strength(row: VisitRow, *, visit: int, options: AllocationOptions, protocol: Protocol) -> None:
    """Refuse a vial of another strength than the visit's."""
    if options.strength_per_ml is None:
        return
    expected = row.concentration
    if expected is None or expected.value is None:
        raise NotSetError(
            expected=f"a concentration for visit {visit} to hold the strength in hand against",
            given="not set",
            where=f"protocol '{protocol.name}'",
            action="give the concentration in the protocol file",
        )
    if options.strength_per_ml != expected.number:
        label = f" ({row.label})" if row.label else ""
        raise ProtocolError(
            expected=f"{expected.number:g} {expected.unit} at visit {visit}{label}",
            given=f"{options.strength_per_ml:g} {expected.unit}",
            where=f"protocol '{protocol.name}'",
            action="take the vial of this visit, or correct the visit number",
        )


def _find_ceiling(row: VisitRow, cap: Evidence | None) -> Evidence | None:
    ceilings = [item for item in (row.ceiling, cap) if item is not None]
    return min(ceilings, key=lambda item: item.number) if ceilings else None


def _round_down(volume: Decimal, table: EvidenceTable) -> tuple[Decimal, Decimal]:
    """Return the volume a syringe can measure, and its step."""
    small = volume <= to_decimal(table["syringe_small_max"].number)
    step = to_decimal(table["syringe_step_small" if small else "syringe_step_large"].number)
    return (volume / step).to_integral_value(rounding=ROUND_FLOOR) * step, step


def _fill(
    lesions: Sequence[DoseLesion],
    wanted: Sequence[RuleVolume],
    *,
    ceiling: Evidence | None,
    protocol: Protocol,
    options: AllocationOptions,
    table: EvidenceTable,
) -> list[_Share]:
    """Give each lesion in turn what its rule says or what the ceiling leaves."""
    left = None if ceiling is None else to_decimal(ceiling.number)
    served: list[str] = []
    shares = []
    for lesion, rule_volume in zip(lesions, wanted, strict=True):
        before = (
            to_decimal(options.given_ml.get(lesion.lesion_id, 0.0))
            if protocol.rule.whole_course
            else Decimal(0)
        )
        due = max(rule_volume.volume - before, Decimal(0))
        available = due if left is None else min(due, left)
        planned, step = _round_down(available, table)
        reasons = [rule_volume.reason] if rule_volume.reason else []
        if before > 0:
            reasons.append(f"{float(before):g} mL of its amount was given before")
        if available < due and ceiling is not None:
            after = f" after {', '.join(served)}" if served else ""
            reasons.append(
                f"the ceiling of {ceiling.number:g} mL over all lesions left {float(available):g} mL{after}"
            )
        if planned < available:
            reasons.append(f"rounded down to the syringe's step of {float(step):g} mL")
        if planned > 0:
            served.append(lesion.lesion_id)
        if left is not None:
            # Not passed on what rounding spares: else one lesion more could give a later one more.
            left = left - planned if available == due else Decimal(0)
        shares.append(
            _Share(
                lesion=lesion,
                wanted=rule_volume,
                due=due,
                planned=planned,
                step=step if planned < available else None,
                reason="; ".join(reasons),
            )
        )
    return shares


def _make_injections(shares: Sequence[_Share], *, row: VisitRow, protocol: Protocol) -> list[Injection]:
    """Turn shares into injections: those with volume in order, then those without."""
    table = read_evidence_table("hepatica.planning.tables", "dose.toml")
    prepared = sum((_round_down(share.due, table)[0] for share in shares), Decimal(0))
    given = [share for share in shares if share.planned > 0]
    nothing = [share for share in shares if share.planned == 0]
    injections = []
    for rank, share in enumerate(given + nothing, 1):
        amount = protocol.rule.derive_dose(share.planned, prepared=prepared, concentration=row.concentration)
        dose: float | NotEvaluable = NotEvaluable(reason="the concentration of this visit is not set")
        unit = _amount_unit(row)
        if amount is not None:
            dose, unit = float(amount[0]), amount[1]
        elif share.planned == 0:
            dose = 0.0
        injections.append(
            Injection(
                lesion_id=share.lesion.lesion_id,
                rule_volume_ml=float(share.wanted.volume),
                volume_ml=float(share.planned),
                dose=dose,
                dose_unit=unit,
                rank=rank if share.planned > 0 else 0,
                rule=share.wanted.rule,
                source=join_sources(share.wanted.used),
                status=weakest_status(share.wanted.used),
                reason=share.reason,
            )
        )
    return injections


def _leave_out(lesion: DoseLesion, reason: str, *, unit: str) -> Injection:
    return Injection(
        lesion_id=lesion.lesion_id,
        rule_volume_ml=0.0,
        volume_ml=0.0,
        dose=0.0,
        dose_unit=unit,
        rank=0,
        rule="not part of this visit",
        source="",
        status=weakest_status(()),
        reason=reason,
    )


def _amount_unit(row: VisitRow) -> str:
    return "ml" if row.concentration is None else row.concentration.unit.removesuffix("_per_ml")


def _count_vials(draw_up: Decimal, *, row: VisitRow) -> tuple[int | NotEvaluable, str]:
    strength = row.concentration
    words = "strength not set"
    if strength is None:
        words = "as supplied"
    elif strength.value is not None:
        words = f"{strength.number:g} {strength.unit}" + (" (unverified)" if strength.unverified else "")
    if row.label:
        words += f", {row.label}"
    if row.vial is None or row.vial.value is None:
        return NotEvaluable(reason="the protocol gives no vial size"), words
    count = int((draw_up / to_decimal(row.vial.number)).to_integral_value(rounding=ROUND_CEILING))
    return count, f"{count} x {row.vial.number:g} mL, {words}"


def _check_shares(
    shares: Sequence[_Share], *, protocol: Protocol, options: AllocationOptions
) -> list[Finding]:
    findings: list[Finding] = []
    for share in shares:
        findings += check_dose_edges(share.lesion, protocol=protocol, variability_mm=options.variability_mm)
        findings += check_lesion_share(share.lesion, float(share.planned))
    return findings


def _check_earlier_amounts(
    shares: Sequence[_Share], *, visit: int, protocol: Protocol, options: AllocationOptions
) -> list[Finding]:
    """Say so where a rule for the whole course does not know what was given before."""
    if visit == 1 or not protocol.rule.whole_course:
        return []
    unknown = [
        share.lesion.lesion_id
        for share in shares
        if share.lesion.lesion_id not in options.given_ml and share.lesion.is_new is not True
    ]
    if not unknown:
        return []
    return [
        Finding(
            rule="dose.given_before_unknown",
            severity=Severity.WARNING,
            message=(
                f"The rule's amount is for the whole course, but what {', '.join(unknown)} got before "
                f"visit {visit} is not given: nothing was taken off. Give the earlier plans."
            ),
            source=protocol.title,
            subject=", ".join(unknown),
        )
    ]


def _check_ceiling(ceiling: Evidence | None, *, protocol: Protocol) -> list[Finding]:
    if ceiling is not None:
        return []
    return [
        Finding(
            rule="dose.no_ceiling",
            severity=Severity.INFO,
            message="The protocol gives no ceiling for all lesions of a visit together; none was applied.",
            source=protocol.title,
        )
    ]


def _check_unverified(
    row: VisitRow,
    ceiling: Evidence | None,
    shares: Sequence[_Share],
    table: EvidenceTable,
    protocol: Protocol,
) -> list[Finding]:
    """Name every number of the allocation that nobody has checked."""
    used = [item for share in shares for item in share.wanted.used]
    used += [item for item in (row.concentration, row.vial, ceiling) if item is not None]
    used += [protocol.order_first if row.first == 1 else protocol.order_later]
    if any(share.step is not None for share in shares):
        used += [table["syringe_step_small"], table["syringe_small_max"], table["syringe_step_large"]]
    findings = []
    for item in {item.key: item for item in used if item.unverified}.values():
        findings.append(
            Finding.from_limit(
                item,
                rule="dose.unverified",
                severity=Severity.INFO,
                message=f"The allocation leans on '{item.key}' = {item.value} {item.unit}, unverified.",
            )
        )
    return findings
