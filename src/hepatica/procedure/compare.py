"""Planned against performed, deposit by deposit and lesion by lesion; every deviation asks for a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hepatica.core.evidence import read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.procedure.entry import Entry
from hepatica.procedure.planned import PlannedDay, PlannedDeposit, PlannedPuncture
from hepatica.procedure.settings import DaySettings
from hepatica.procedure.supply import Supply
from hepatica.procedure.tip import TipDeviation, measure_tip

CONTRADICTED: Final = NotEvaluable(reason="a syringe gave more than it held; correct the entries")
NO_MORE: Final = ("planned_volume_given", "")
"""Stop reasons that explain nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """Something done otherwise than planned.

    Parameters
    ----------
    key
        Stable name that a reason refers to, such as ``volume:L1``.
    subject
        Lesion or needle.
    message
        What differs.
    planned, performed
        The two, in ``unit``; None where there is none.
    unit
        Their unit.
    reason
        Why; empty where nobody has said.
    """

    key: str
    subject: str
    message: str
    planned: float | None = None
    performed: float | None = None
    unit: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositRow:
    """One deposit, planned or given or both.

    Parameters
    ----------
    key
        ``puncture/track/order``, or ``+`` and the entry where it was not planned.
    lesion_id, puncture_id, track, order
        Which; track and order None where not recorded.
    entry_ids
        Entries that gave it; several where it was given in portions.
    planned_ml, given_ml, leaked_ml
        Volumes; planned is None for one that was not planned, leaked NotEvaluable where nobody looked.
    planned_depth_mm, depth_mm
        From the skin; None where there is none.
    resistance, stop_reason
        As entered.
    """

    key: str
    lesion_id: str
    puncture_id: str
    track: int | None
    order: int | None
    entry_ids: tuple[str, ...]
    planned_ml: float | None
    given_ml: float | NotEvaluable
    leaked_ml: float | NotEvaluable
    planned_depth_mm: float | None
    depth_mm: float | None
    resistance: str
    stop_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionRow:
    """One lesion.

    Parameters
    ----------
    lesion_id
        Which; also lesions that no plan lists.
    planned_ml, no_place_ml
        Planned amount, and the part of it the plan found no place for.
    given_ml, leaked_ml, retained_ml
        Given, leaked, and the difference.
    dose, dose_unit
        Amount of agent given, by the vials' strength.
    deposits, tip_deviation_mm
        Number of deposits, and the largest deviation of a tip.
    stop_reason
        Why it was stopped; empty where it was not.
    """

    lesion_id: str
    planned_ml: float
    no_place_ml: float
    given_ml: float | NotEvaluable
    leaked_ml: float | NotEvaluable
    retained_ml: float | NotEvaluable
    dose: float | NotEvaluable
    dose_unit: str
    deposits: int
    tip_deviation_mm: float | NotEvaluable
    stop_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Planned against performed.

    Parameters
    ----------
    deposits, lesions
        Rows; lesions in the order of the plan, then those it does not list.
    tips
        Every control of a tip.
    deviations
        What differs. While needles go in, what is still to be given is none.
    """

    deposits: tuple[DepositRow, ...]
    lesions: tuple[LesionRow, ...]
    tips: tuple[TipDeviation, ...]
    deviations: tuple[Deviation, ...]

    @property
    def unexplained(self) -> tuple[Deviation, ...]:
        """Deviations without a reason."""
        return tuple(deviation for deviation in self.deviations if not deviation.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """What was entered, made ready to be compared.

    Parameters
    ----------
    live
        Entries that hold, by when they happened.
    supply
        Vials and syringes.
    is_final
        Whether no more is to be given.
    """

    live: tuple[Entry, ...]
    supply: Supply
    is_final: bool

    def of(self, kind: str) -> tuple[Entry, ...]:
        """Return the entries of a kind."""
        return tuple(entry for entry in self.live if entry.kind == kind)

    @property
    def puncture_of(self) -> dict[str, str]:
        """Planned puncture by needle; empty text for none."""
        return {entry.text("needle_id"): entry.text("puncture_id") for entry in self.of("needle_in")}


def compare_day(performed: Performed, planned: PlannedDay, *, settings: DaySettings) -> Comparison:
    """Hold what was done against the plan.

    Parameters
    ----------
    performed
        What was entered.
    planned
        The plan.
    settings
        Limit of a tip's deviation, where the site has set one.
    """
    tips = tuple(
        measure_tip(
            check, puncture_id=performed.puncture_of.get(check.text("needle_id"), ""), planned=planned
        )
        for check in performed.of("tip_check")
    )
    deposits = tuple(_list_deposits(performed, planned))
    lesions = tuple(
        _to_lesion_row(name, performed, planned, tips) for name in _list_lesions(performed, planned)
    )
    found = (
        *_find_lesion_deviations(lesions, planned, performed),
        *_find_deposit_deviations(deposits, performed),
        *_find_needle_deviations(performed, planned),
        *_find_tip_deviations(tips, settings),
    )
    reasons = {entry.text("deviation"): entry.text("text") for entry in performed.of("deviation_reason")}
    explained = tuple(_explain(deviation, performed, reasons) for deviation in found)
    return Comparison(deposits=deposits, lesions=lesions, tips=tips, deviations=explained)


def find_step_ml(volume_ml: float) -> float:
    """Return the step in which a volume can be read on a syringe: below it nothing differs."""
    table = read_evidence_table("hepatica.planning.tables", "dose.toml")
    small = volume_ml <= table["syringe_small_max"].number
    return table["syringe_step_small" if small else "syringe_step_large"].number


def _list_lesions(performed: Performed, planned: PlannedDay) -> list[str]:
    given = [entry.text("lesion_id") for entry in performed.of("deposit")]
    return list(dict.fromkeys((*(lesion.lesion_id for lesion in planned.injected), *given)))


def _choose_punctures(performed: Performed, planned: PlannedDay) -> Iterator[PlannedPuncture]:
    """Yield the punctures that count: a backup that was used stands in for the puncture of its lesions."""
    used = set(performed.puncture_of.values())
    backups = [p for name, p in planned.punctures.items() if p.is_backup and name in used]
    served = {deposit.lesion_id for puncture in backups for deposit in puncture.deposits}
    for puncture in planned.punctures.values():
        if puncture.is_backup:
            if puncture in backups:
                yield puncture
        elif puncture.puncture_id in used or not {d.lesion_id for d in puncture.deposits} <= served:
            yield puncture


def _list_deposits(performed: Performed, planned: PlannedDay) -> Iterator[DepositRow]:
    given: dict[tuple[str, int | None, int | None, str], list[Entry]] = {}
    for entry in performed.of("deposit"):
        puncture = performed.puncture_of.get(entry.text("needle_id"), "")
        place = (puncture, entry.whole("track"), entry.whole("order"), entry.text("lesion_id"))
        given.setdefault(place, []).append(entry)
    for puncture_ in _choose_punctures(performed, planned):
        for wanted in puncture_.deposits:
            at = (wanted.puncture_id, wanted.track, wanted.order, wanted.lesion_id)
            yield _to_deposit_row(wanted, given.pop(at, []), performed.supply)
    for (puncture, track, order, lesion_id), entries in given.items():
        for entry in entries:
            yield replace(
                _to_deposit_row(None, [entry], performed.supply),
                key=f"+{entry.entry_id}",
                puncture_id=puncture,
                track=track,
                order=order,
                lesion_id=lesion_id,
            )


def _to_deposit_row(wanted: PlannedDeposit | None, entries: Sequence[Entry], supply: Supply) -> DepositRow:
    words = [entry.text("stop_reason") for entry in entries]
    depths = [depth for entry in entries if (depth := entry.number("depth_mm")) is not None]
    resistances = [entry.text("resistance") for entry in entries]
    worst = max(resistances, key=("", "none", "raised", "blocked").index, default="")
    return DepositRow(
        key="" if wanted is None else f"{wanted.puncture_id}/{wanted.track}/{wanted.order}",
        lesion_id="" if wanted is None else wanted.lesion_id,
        puncture_id="" if wanted is None else wanted.puncture_id,
        track=None if wanted is None else wanted.track,
        order=None if wanted is None else wanted.order,
        entry_ids=tuple(entry.entry_id for entry in entries),
        planned_ml=None if wanted is None else wanted.volume_ml,
        given_ml=_sum_given(entries, supply),
        leaked_ml=_sum_leaked(entries),
        planned_depth_mm=None if wanted is None else wanted.depth_mm,
        depth_mm=depths[-1] if depths else None,
        resistance=worst,
        stop_reason=next(
            (word for word in reversed(words) if word not in NO_MORE), words[-1] if words else ""
        ),
    )


def _sum_given(entries: Sequence[Entry], supply: Supply) -> float | NotEvaluable:
    if any(not _is_sound(entry.text("syringe_id"), supply) for entry in entries):
        return CONTRADICTED
    return sum(entry.number("volume_ml") or 0.0 for entry in entries)


def _is_sound(syringe_id: str, supply: Supply) -> bool:
    """Whether a syringe and the vials behind it gave no more than they held."""
    syringe = supply.syringes[syringe_id]
    vials = [supply.vials[name] for name in syringe.vial_ids if name in supply.vials]
    return syringe.is_balanced and all(vial.is_balanced for vial in vials)


def _sum_leaked(entries: Sequence[Entry]) -> float | NotEvaluable:
    for entry in entries:
        if entry.text("leak") == "not_assessed":
            return NotEvaluable(reason="nobody looked for a leak")
        if entry.text("leak") == "seen" and entry.number("leaked_ml") is None:
            return NotEvaluable(reason="a leak was seen and not measured")
    return sum(entry.number("leaked_ml") or 0.0 for entry in entries)


def _to_lesion_row(
    name: str, performed: Performed, planned: PlannedDay, tips: Sequence[TipDeviation]
) -> LesionRow:
    entries = [entry for entry in performed.of("deposit") if entry.text("lesion_id") == name]
    lesion = planned.lesions.get(name)
    given, leaked = _sum_given(entries, performed.supply), _sum_leaked(entries)
    needles = {entry.text("needle_id") for entry in entries}
    seen = [
        tip.deviation_mm
        for tip in tips
        if tip.needle_id in needles and not isinstance(tip.deviation_mm, NotEvaluable)
    ]
    stops = [entry.text("stop_reason") for entry in performed.of("stop") if entry.text("lesion_id") == name]
    dose, unit = _sum_dose(entries, performed.supply, planned)
    return LesionRow(
        lesion_id=name,
        planned_ml=lesion.volume_ml if lesion else 0.0,
        no_place_ml=lesion.undelivered_ml if lesion else 0.0,
        given_ml=given,
        leaked_ml=leaked,
        retained_ml=_subtract(given, leaked),
        dose=dose,
        dose_unit=unit,
        deposits=len(entries),
        tip_deviation_mm=max(seen) if seen else NotEvaluable(reason="no control image of its needles"),
        stop_reason=stops[-1] if stops else "",
    )


def _subtract(a: float | NotEvaluable, b: float | NotEvaluable) -> float | NotEvaluable:
    if isinstance(a, NotEvaluable):
        return a
    return b if isinstance(b, NotEvaluable) else a - b


def _sum_dose(
    entries: Sequence[Entry], supply: Supply, planned: PlannedDay
) -> tuple[float | NotEvaluable, str]:
    unit = planned.dose_unit
    total = 0.0
    for entry in entries:
        strength = supply.find_strength(entry.text("syringe_id"), unit=f"{unit}_per_ml")
        if isinstance(strength, NotEvaluable):
            return strength, unit
        total += strength * (entry.number("volume_ml") or 0.0)
    given = _sum_given(entries, supply)
    return (given if isinstance(given, NotEvaluable) else total), unit


def _find_lesion_deviations(
    rows: Sequence[LesionRow], planned: PlannedDay, performed: Performed
) -> Iterator[Deviation]:
    listed = {lesion.lesion_id: lesion.to_give_ml for lesion in planned.injected}
    for row in rows:
        if row.lesion_id not in listed:
            yield Deviation(
                key=f"lesion:{row.lesion_id}",
                subject=row.lesion_id,
                message="A lesion that the plan gives nothing to was injected.",
                planned=0.0,
                performed=None if isinstance(row.given_ml, NotEvaluable) else row.given_ml,
                unit="ml",
            )
            continue
        wanted = listed[row.lesion_id]
        if isinstance(row.given_ml, NotEvaluable):
            continue
        difference = row.given_ml - wanted
        if difference < 0 and not performed.is_final:
            continue
        if abs(difference) >= find_step_ml(wanted) - 1e-9:
            yield Deviation(
                key=f"volume:{row.lesion_id}",
                subject=row.lesion_id,
                message=f"{'More' if difference > 0 else 'Less'} was given than planned.",
                planned=wanted,
                performed=row.given_ml,
                unit="ml",
            )


def _find_deposit_deviations(rows: Sequence[DepositRow], performed: Performed) -> Iterator[Deviation]:
    for row in rows:
        if isinstance(row.given_ml, NotEvaluable):
            continue
        if row.planned_ml is None:
            yield Deviation(
                key=f"deposit:{row.key}",
                subject=row.lesion_id,
                message="A deposit was given that is not in the plan.",
                performed=row.given_ml,
                unit="ml",
            )
            continue
        difference = row.given_ml - row.planned_ml
        pending = difference < 0 and not performed.is_final
        if not pending and abs(difference) >= find_step_ml(row.planned_ml) - 1e-9:
            yield Deviation(
                key=f"deposit:{row.key}",
                subject=row.lesion_id,
                message="A deposit differs from the plan." if row.entry_ids else "A deposit was not given.",
                planned=row.planned_ml,
                performed=row.given_ml,
                unit="ml",
            )


def _find_needle_deviations(performed: Performed, planned: PlannedDay) -> Iterator[Deviation]:
    for needle, name in performed.puncture_of.items():
        puncture = planned.punctures.get(name)
        if puncture is None:
            message = "A needle went in where no puncture is planned."
        elif puncture.is_backup:
            message = f"{'An entry that was not chosen' if planned.chosen else 'The backup entry'} was used."
        else:
            continue
        yield Deviation(key=f"puncture:{needle}", subject=needle, message=message)


def _find_tip_deviations(tips: Sequence[TipDeviation], settings: DaySettings) -> Iterator[Deviation]:
    limit = settings.limits["tip_deviation_max"]
    if limit.value is None:
        return
    last = {(tip.needle_id, tip.track): tip for tip in tips}
    # The control after a correction of the needle counts.
    for tip in last.values():
        if not isinstance(tip.deviation_mm, NotEvaluable) and tip.deviation_mm > limit.number:
            yield Deviation(
                key=f"tip:{tip.needle_id}/{tip.track}",
                subject=tip.needle_id,
                message="The tip is farther from its plan than the site's limit.",
                planned=limit.number,
                performed=tip.deviation_mm,
                unit="mm",
            )


def _explain(deviation: Deviation, performed: Performed, reasons: Mapping[str, str]) -> Deviation:
    wider = _list_wider_keys(deviation, performed)
    given = [reasons[key] for key in (deviation.key, *wider) if key in reasons]
    reason = given[0] if given else _find_reason(deviation, performed)
    return replace(deviation, reason=reason)


def _list_wider_keys(deviation: Deviation, performed: Performed) -> list[str]:
    """Return deviations whose reason explains this one too: those of a deposit's lesion and needle."""
    if not deviation.key.startswith("deposit:"):
        return []
    lesion = deviation.subject
    needles = [e.text("needle_id") for e in performed.of("deposit") if e.text("lesion_id") == lesion]
    return [f"volume:{lesion}", f"lesion:{lesion}", *(f"puncture:{needle}" for needle in needles)]


def _find_reason(deviation: Deviation, performed: Performed) -> str:
    """Find a reason that was already given where it happened; it explains less than planned, never more."""
    is_less = (
        deviation.planned is not None
        and deviation.performed is not None
        and deviation.performed < deviation.planned
    )
    if not is_less:
        return ""
    family, _, name = deviation.key.partition(":")
    entries = [
        entry
        for entry in performed.live
        if entry.kind in ("deposit", "stop") and entry.text("lesion_id") == deviation.subject
    ]
    if family == "deposit":
        own = [entry for entry in entries if _is_at(entry, name, performed)]
        entries = own if any(entry.text("stop_reason") not in NO_MORE for entry in own) else entries
    words = [entry.text("stop_reason") for entry in entries if entry.text("stop_reason") not in NO_MORE]
    if words:
        return words[-1]
    cancelled = performed.of("cancel")
    return cancelled[-1].text("text") if cancelled else ""


def _is_at(entry: Entry, place: str, performed: Performed) -> bool:
    puncture = performed.puncture_of.get(entry.text("needle_id"), "")
    return place == f"{puncture}/{entry.whole('track')}/{entry.whole('order')}"
