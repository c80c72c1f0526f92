"""Findings about vials and syringes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from hepatica.core.evidence import Evidence, EvidenceTable
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.procedure.planned import PlannedDay
from hepatica.procedure.settings import DaySettings
from hepatica.procedure.state import DayState
from hepatica.procedure.supply import ROUNDING_ML, STORAGES, Vial, is_agent, read_products

LABEL: Final = "the vial's label"
BALANCE: Final = "rule of this program: what is given was drawn, and what was drawn was in a vial"
SECONDS_PER_MIN: Final = 60.0
SAME_STRENGTH: Final = 1e-3
"""Strengths that differ by less than a thousandth are one: labels and plans are rounded."""


def check_supply(
    day: DayState, planned: PlannedDay, *, settings: DaySettings, as_of: datetime
) -> Iterator[Finding]:
    """Yield what is wrong with vials and syringes.

    Parameters
    ----------
    day
        The day.
    planned, settings
        What it is held against.
    as_of
        The moment; a vial that was not drawn from is judged as if it were drawn from now.
    """
    products = read_products()
    for vial in day.supply.vials.values():
        at = vial.last_draw or as_of
        yield from _check_label(vial, planned, at=at)
        yield from _check_thaw(vial, planned, products, at=at)
        yield from _check_use(vial, planned, products, settings=settings, at=at)
        yield from _check_content(vial, planned, products)
    yield from _check_syringes(day)


def _check_label(vial: Vial, planned: PlannedDay, *, at: datetime) -> Iterator[Finding]:
    if at.date() > vial.expiry_date:
        yield _find(
            "vial_expired",
            "The vial had expired.",
            subject=vial.vial_id,
            measured=at.date().isoformat(),
            limit=vial.expiry_date.isoformat(),
        )
    if not is_agent(vial.agent, planned):
        yield _find("vial_agent", "The vial holds another agent than planned.", subject=vial.vial_id)
    if isinstance(planned.strength, NotEvaluable):
        yield _find(
            "strength_not_set",
            "The plan sets no strength to hold the vial against.",
            subject=vial.vial_id,
            severity=Severity.WARNING,
        )
    elif vial.strength_unit != f"{planned.dose_unit}_per_ml":
        yield _find(
            "vial_unit",
            f"The strength is in {vial.strength_unit}, the plan in {planned.dose_unit} per mL.",
            subject=vial.vial_id,
        )
    elif abs(vial.strength - planned.strength) > SAME_STRENGTH * planned.strength:
        yield _find(
            "vial_strength",
            "The vial has another strength than this visit's.",
            subject=vial.vial_id,
            measured=vial.strength,
            limit=planned.strength,
            unit=vial.strength_unit,
        )


def _check_thaw(
    vial: Vial, planned: PlannedDay, products: EvidenceTable, *, at: datetime
) -> Iterator[Finding]:
    least = products.entries.get(f"{_name(planned)}:thaw_min")
    if least is None:
        return
    if vial.thaw_start is None:
        yield _find(
            "thaw_unknown",
            "Nobody recorded when the vial's thaw began: its limit of use cannot be judged.",
            subject=vial.vial_id,
            severity=Severity.WARNING,
        )
    elif vial.last_draw is not None:
        thawed_min = (at - vial.thaw_start).total_seconds() / SECONDS_PER_MIN
        if thawed_min < least.number:
            yield Finding.from_limit(
                least,
                rule="procedure.thaw_short",
                severity=Severity.WARNING,
                message="The vial was drawn from before its thaw was over.",
                measured=round(thawed_min, 2),
                subject=vial.vial_id,
            )


def _check_use(
    vial: Vial, planned: PlannedDay, products: EvidenceTable, *, settings: DaySettings, at: datetime
) -> Iterator[Finding]:
    if vial.thaw_start is None:
        return
    where = settings.jurisdiction.casefold()
    shares: list[float] = []
    for storage in STORAGES:
        hours = vial.measure_exposure_h(storage, until=at)
        if hours <= 0:
            continue
        limit = products.entries.get(f"{_name(planned)}:{vial.strength:g}:{where}:{storage}")
        if limit is None or limit.value is None:
            yield _find_unset(vial, limit, storage=storage, hours=hours, where=where)
            continue
        shares.append(hours / limit.number)
        if hours > limit.number:
            yield Finding.from_limit(
                limit,
                rule="procedure.beyond_use",
                severity=Severity.ERROR,
                message=f"The vial was kept {'at 2-8 C' if storage == 'refrigerated' else 'at 8-25 C'} after thaw "
                "longer than permitted.",
                measured=round(hours, 3),
                subject=vial.vial_id,
            )
    if sum(shares) > 1 and max(shares) <= 1:
        yield _find(
            "beyond_use_together",
            "Neither time after thaw is over its limit, but their shares of it together are above one.",
            subject=vial.vial_id,
            measured=round(sum(shares), 3),
            limit=1.0,
            severity=Severity.WARNING,
            source="rule of this program: shares of cumulative limits are added",
        )


def _find_unset(vial: Vial, limit: Evidence | None, *, storage: str, hours: float, where: str) -> Finding:
    place = f"in '{where}'" if where else "(no jurisdiction is named)"
    return Finding(
        rule="procedure.beyond_use_not_set",
        severity=Severity.WARNING,
        message=f"No limit of use after thaw is set {place} for this vial, {storage}.",
        measured=round(hours, 3),
        unit="h",
        source=limit.source if limit else "",
        status=limit.status if limit else None,
        subject=vial.vial_id,
    )


def _check_content(vial: Vial, planned: PlannedDay, products: EvidenceTable) -> Iterator[Finding]:
    content = products.entries.get(f"{_name(planned)}:{vial.strength:g}:volume")
    if content is not None and vial.volume_ml > content.number + ROUNDING_ML:
        yield Finding.from_limit(
            content,
            rule="procedure.vial_content",
            severity=Severity.WARNING,
            message="The vial is entered with more than such a vial holds.",
            measured=vial.volume_ml,
            subject=vial.vial_id,
        )
    if not vial.is_balanced:
        yield _find(
            "vial_overdrawn",
            "More was drawn from the vial than it holds.",
            subject=vial.vial_id,
            measured=vial.drawn_ml,
            limit=vial.volume_ml,
            unit="ml",
            source=BALANCE,
        )


def _check_syringes(day: DayState) -> Iterator[Finding]:
    charged: set[str] = set()
    for syringe in day.supply.syringes.values():
        for name in syringe.vial_ids:
            if name not in day.supply.vials:
                yield _find(
                    "unknown_vial",
                    "The syringe was filled from a vial that nobody entered.",
                    subject=syringe.syringe_id,
                    source=BALANCE,
                )
        if not syringe.is_balanced:
            yield _find(
                "syringe_overdrawn",
                "More left the syringe than was drawn: its volumes are not counted until this is corrected.",
                subject=syringe.syringe_id,
                measured=syringe.given_ml + syringe.discarded_ml,
                limit=syringe.drawn_ml,
                unit="ml",
                source=BALANCE,
            )
            continue
        # A needle is filled once, by the first syringe that is used through it.
        needles = [name for name in day.supply.needles_of[syringe.syringe_id] if name not in charged]
        charged.update(needles)
        kept = [day.needles[name] for name in needles if name in day.needles]
        dead_ml = sum(needle.dead_space_ml or 0.0 for needle in kept if not needle.flushed)
        left_ml = syringe.drawn_ml - syringe.given_ml
        if left_ml < dead_ml - ROUNDING_ML:
            yield _find(
                "dead_space",
                "The syringe held less than was given and what stays in the needle: less reached the lesion.",
                subject=syringe.syringe_id,
                measured=round(left_ml, 6),
                limit=dead_ml,
                unit="ml",
                severity=Severity.WARNING,
                source="dead space of the needle, as entered or planned",
            )


def _name(planned: PlannedDay) -> str:
    return " ".join(planned.agent.casefold().split())


def _find(
    rule: str,
    message: str,
    *,
    subject: str,
    measured: float | str = "",
    limit: float | str = "",
    unit: str = "",
    severity: Severity = Severity.ERROR,
    source: str = LABEL,
) -> Finding:
    return Finding(
        rule=f"procedure.{rule}",
        severity=severity,
        message=message,
        measured=measured,
        limit=limit,
        unit=unit,
        source=source,
        subject=subject,
    )
