"""What a predicted spread says, as rows of text for the sheet, the report and its own page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from hepatica.adapters.reports.wording import (
    ABSENT,
    Cell,
    to_cell,
    to_dose_words,
    to_measure_words,
    to_ml_words,
    to_not_evaluable_words,
    to_unit_words,
)
from hepatica.core.evidence import Evidence
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.planning.spread.budget import BackflowClass
from hepatica.planning.spread.simulate import Band, SpreadOutcome
from hepatica.workflows.simulate_plan_spread import list_unverified_inputs
from hepatica.workflows.spread_document import SPREAD_NOTICE, to_verification_rows
from hepatica.workflows.spread_scenes import read_grid_limits
from hepatica.workflows.spread_values import AlternativeSpread, LesionSpread, PlanSpread

PLACE_WORDS: Final = {
    "viable": "viable tumour",
    "necrosis": "necrosis",
    "liver": "liver beside the tumour",
    "vessel": "vessels (lost into the blood)",
    "outside": "out of the liver, along the needle or through the capsule",
    "decayed": "decayed",
    "beyond_grid": "beyond the working grid",
}
MOST_DRIVERS: Final = 6
BAR_REM: Final = 12.0
"""Width of a full bar on a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRow:
    """One share with its band; bar ends in rem."""

    name: str
    text: str
    low_rem: float
    middle_rem: float
    width_rem: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositRow:
    """One deposit as simulated."""

    number: str
    place: str
    planned: str
    contained: str
    pressure: str
    holes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadFindingRow:
    """One finding as printed."""

    severity: str
    rule: str
    message: str
    measured: str
    limit: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRow:
    """One line of the credibility card: what, its text, and how far it can be trusted."""

    name: str
    text: str
    note: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSection:
    """One part of the credibility card, in the order of ASME V&V 40."""

    title: str
    lead: str
    rows: tuple[CardRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionSpreadView:
    """One lesion's prediction as printed; ``not_applicable`` says why there is none."""

    lesion_id: str
    not_applicable: str
    planned: str
    reached: str
    reached_words: str
    retained: tuple[BandRow, ...]
    histogram: tuple[BandRow, ...]
    backflow: tuple[BandRow, ...]
    fluid: str
    deposits: tuple[DepositRow, ...]
    split: str
    split_draws: str
    drivers: tuple[BandRow, ...]
    drivers_words: str
    findings: tuple[SpreadFindingRow, ...]
    card: tuple[CardSection, ...]
    sheet_line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadView:
    """A predicted spread as printed."""

    draws: str
    rate: Cell
    notice: str
    lesions: tuple[LesionSpreadView, ...]
    unverified: str
    verification: str
    verified: bool
    alternatives: tuple[str, ...] = ()


def derive_spread_view(spread: PlanSpread) -> SpreadView:
    """Turn a prediction into rows of text.

    Parameters
    ----------
    spread
        The prediction.
    """
    passed = sum(bool(row.passed) for row in spread.verification)
    return SpreadView(
        draws=str(spread.request.draws),
        rate=to_cell(f"{spread.rate.number:g} mL/min", status=spread.rate.status, note=spread.rate.source),
        notice=SPREAD_NOTICE,
        lesions=tuple(_derive_lesion(lesion, spread) for lesion in spread.lesions),
        unverified=", ".join(name.replace("_", " ") for name in list_unverified_inputs()),
        verification=f"{passed} of {len(spread.verification)} exact cases within their tolerance",
        verified=passed == len(spread.verification),
        alternatives=tuple(_say_alternative(one) for one in spread.alternatives),
    )


def _say_alternative(one: AlternativeSpread) -> str:
    head = f"{one.puncture_id} to {one.lesion_id}, {one.draws} draws"
    if isinstance(one.outcome, NotEvaluable):
        return f"{head}: not applicable, {one.outcome.reason}"
    reached, viable = say_band(one.outcome.covered), say_band(one.outcome.retained["viable"])
    return f"{head}: viable tumour reached {reached}; drug in viable tumour {viable}"


def _say_placed(lesion: LesionSpread) -> str:
    placed, planned = to_ml_words(lesion.placed_ml), to_ml_words(lesion.injection.volume_ml)
    of_planned = "" if placed == planned else f" of the planned {planned}"
    return f"{placed}{of_planned} in {len(lesion.site.deposits)} deposits"


def _derive_lesion(lesion: LesionSpread, spread: PlanSpread) -> LesionSpreadView:
    outcome = lesion.outcome
    held = None if isinstance(outcome, NotEvaluable) else outcome
    drivers, drivers_words = _derive_drivers(held)
    return LesionSpreadView(
        lesion_id=lesion.lesion_id,
        not_applicable=outcome.reason if isinstance(outcome, NotEvaluable) else "",
        planned=_say_placed(lesion),
        reached=ABSENT if held is None else say_band(held.covered),
        reached_words="" if held is None else _say_reached(held, lesion.unit),
        retained=() if held is None else _derive_retained(held),
        histogram=() if held is None else _derive_histogram(held, lesion.unit),
        backflow=() if held is None else _derive_backflow(held),
        fluid=""
        if held is None
        else f"Still in clefts {say_band(held.cleft)}, along needle tracks {say_band(held.track)} "
        "(both counted above by the tissue they lie in)",
        deposits=_derive_deposits(lesion, held),
        split=_say_split(lesion),
        split_draws=_say_split_draws(lesion),
        drivers=drivers,
        drivers_words=drivers_words,
        findings=tuple(_derive_finding(finding) for finding in lesion.findings),
        card=() if lesion.card is None else derive_card(lesion.card),
        sheet_line=_say_sheet_line(lesion, spread),
    )


def say_band(band: Band) -> str:
    """Return a share as ``middle (5 % to 95 %)`` in per cent.

    Examples
    --------
    >>> say_band(Band(low=0.0, middle=0.0532, high=0.0714))
    '5.3 % (0 to 7.1)'
    """
    low, middle, high = (_say_percent(value) for value in (band.low, band.middle, band.high))
    return f"{middle} % ({low} to {high})"


def _say_percent(fraction: float) -> str:
    percent = 100 * fraction
    if percent >= 9.95:
        return f"{percent:.0f}"
    text = f"{percent:.1f}"
    return "0" if text == "0.0" else text


def _say_values(band: Band, unit: str) -> str:
    return f"{band.middle:.2g} {unit} ({band.low:.2g} to {band.high:.2g})"


def _to_row(name: str, band: Band) -> BandRow:
    return BandRow(
        name=name,
        text=say_band(band),
        low_rem=round(BAR_REM * band.low, 2),
        middle_rem=round(BAR_REM * band.middle, 2),
        width_rem=round(BAR_REM * (band.high - band.low), 2),
    )


def say_amount(value: float, unit: str) -> str:
    """Return an amount per mL of tissue."""
    if unit == "ml":
        return f"{value:.3g} of the injected concentration"
    return f"{to_dose_words(value, unit)} per mL"


def _say_reached(outcome: SpreadOutcome, unit: str) -> str:
    return f"at least {say_amount(outcome.threshold_per_ml, unit)} of tissue"


def _derive_retained(outcome: SpreadOutcome) -> tuple[BandRow, ...]:
    return tuple(_to_row(PLACE_WORDS[place], band) for place, band in outcome.retained.items())


def _derive_histogram(outcome: SpreadOutcome, unit: str) -> tuple[BandRow, ...]:
    return tuple(
        _to_row(f"≥ {say_amount(level, unit)}", band)
        for level, band in zip(outcome.levels_per_ml, outcome.histogram, strict=True)
    )


_BACKFLOW_WORDS: Final = {
    BackflowClass.CONTAINED: "dies within the lesion",
    BackflowClass.BEYOND_LESION: "leaves the lesion",
    BackflowClass.REACHES_CAPSULE: "reaches the capsule",
    BackflowClass.OPEN: "more than half runs out along the needle",
}


def _derive_backflow(outcome: SpreadOutcome) -> tuple[BandRow, ...]:
    return tuple(
        BandRow(
            name=_BACKFLOW_WORDS[kind],
            text=f"{count} of {outcome.draws} draws",
            low_rem=0.0,
            middle_rem=0.0,
            width_rem=round(BAR_REM * count / outcome.draws, 2),
        )
        for kind, count in outcome.backflow.items()
    )


def _derive_deposits(lesion: LesionSpread, outcome: SpreadOutcome | None) -> tuple[DepositRow, ...]:
    rows = []
    for number, one in enumerate(lesion.site.deposits):
        contained = ABSENT
        if lesion.contained:
            answer = lesion.contained[number]
            contained = (
                to_not_evaluable_words(answer)
                if isinstance(answer, NotEvaluable)
                else _say_contained(answer.volume_ml, answer.held_fraction)
            )
        rows.append(
            DepositRow(
                number=str(number + 1),
                place=f"{one.puncture_id}, track {one.track}, stop {one.deposit.order}",
                planned=to_ml_words(one.deposit.volume_ml),
                contained=contained,
                pressure=ABSENT if outcome is None else _say_values(outcome.tip_pressure_kpa[number], "kPa"),
                holes=ABSENT if outcome is None else _say_holes(outcome.hole_shares[number]),
            )
        )
    return tuple(rows)


def _say_contained(volume: Band | NotEvaluable, held: float) -> str:
    if isinstance(volume, NotEvaluable):
        return to_not_evaluable_words(volume)
    words = _say_values(volume, "mL")
    return words if held == 1 else f"{words} in {held:.0%} of the draws; none in the others"


def _say_holes(shares: tuple[Band, ...]) -> str:
    if len(shares) == 1:
        return "one hole: all of it"
    return "; ".join(f"{number}: {say_band(band)}" for number, band in enumerate(shares, start=1))


def _say_split(lesion: LesionSpread) -> str:
    if isinstance(lesion.split, NotEvaluable):
        return to_not_evaluable_words(lesion.split)
    middle = lesion.split.middle
    if isinstance(middle, NotEvaluable):
        return to_not_evaluable_words(middle)
    if middle.deposits == 1:
        return f"one deposit of {to_ml_words(middle.volume_ml)} stays in the lesion"
    return (
        f"split into {middle.deposits} deposits of {to_ml_words(middle.volume_ml)}, "
        f"at least {middle.spacing_mm:.0f} mm apart"
    )


def _say_split_draws(lesion: LesionSpread) -> str:
    if isinstance(lesion.split, NotEvaluable):
        return ""
    words = [
        f"{'no number' if number == 0 else number} in {count}"
        for number, count in lesion.split.counts.items()
    ]
    return "Deposits that suffice, by draws: " + ", ".join(words)


def _derive_drivers(outcome: SpreadOutcome | None) -> tuple[tuple[BandRow, ...], str]:
    if outcome is None:
        return (), ""
    if isinstance(outcome.drivers, NotEvaluable):
        return (), to_not_evaluable_words(outcome.drivers)
    return tuple(
        BandRow(
            name=driver.name.replace("_", " "),
            text=f"{driver.correlation:+.2f}".replace("-", "−"),
            low_rem=0.0,
            middle_rem=0.0,
            width_rem=round(BAR_REM * abs(driver.correlation), 2),
        )
        for driver in outcome.drivers[:MOST_DRIVERS]
    ), ""


def _derive_finding(finding: Finding) -> SpreadFindingRow:
    return SpreadFindingRow(
        severity=finding.severity.value,
        rule=finding.rule,
        message=finding.message,
        measured=to_measure_words(finding.measured, finding.unit),
        limit=to_cell(to_measure_words(finding.limit, finding.unit), status=finding.status),
    )


def _say_sheet_line(lesion: LesionSpread, spread: PlanSpread) -> str:
    """Return what the table-side sheet says of one lesion, in two printed lines at most."""
    outcome = lesion.outcome
    if isinstance(outcome, NotEvaluable):
        return f"not applicable: {outcome.reason}"
    out = sum(outcome.backflow[kind] for kind in (BackflowClass.REACHES_CAPSULE, BackflowClass.OPEN))
    warnings = sum(finding.severity is not Severity.INFO for finding in lesion.findings)
    reached = read_grid_limits()["reached_fraction"].number
    words = (
        f"viable tumour reached by ≥ {reached:.0%} of the injected concentration {say_band(outcome.covered)}; "
        f"of the drug in viable tumour {say_band(outcome.retained['viable'])}, "
        f"out of the liver {say_band(outcome.retained['outside'])}; "
        f"backflow to the capsule in {out} of {outcome.draws} draws"
    )
    return words + (f"; {warnings} warning{'s' if warnings > 1 else ''} in the report" if warnings else "")


def derive_card(card: Any) -> tuple[CardSection, ...]:
    """Turn a credibility card into sections of rows, in the order of ASME V&V 40.

    Parameters
    ----------
    card
        Values as `hepatica.workflows.spread_card.CardValues` lists them.
    """
    return (
        CardSection(title="Question of interest", lead="", rows=(_to_statement("", card.question),)),
        CardSection(title="Context of use", lead="", rows=(_to_statement("", card.context_of_use),)),
        CardSection(
            title=f"Model risk: {card.risk.level}",
            lead="The larger of two: influence of the model on the decision, consequence of a wrong decision.",
            rows=(
                _to_statement("influence", card.risk.influence),
                _to_statement("consequence", card.risk.consequence),
            ),
        ),
        _derive_verification(card),
        _derive_validation(card),
        CardSection(
            title="Parameters",
            lead="Both ends of every range; the status is that of the weaker end.",
            rows=tuple(_to_parameter(row) for row in card.parameters),
        ),
        CardSection(
            title="Applicability to this run",
            lead=f"{card.draws} draws gave an answer"
            + "".join(f"; {count} did not: {reason}" for reason, count in card.not_evaluable.items()),
            rows=tuple(
                CardRow(
                    name=row.finding.rule.removeprefix("spread.").replace("_", " "),
                    text=row.finding.message,
                    note=f"in {row.share_fraction:.0%} of the draws",
                    status=row.finding.status.value if row.finding.status is not None else "",
                )
                for row in card.applicability
            ),
        ),
        CardSection(
            title="What is left out", lead="", rows=tuple(_to_statement("", entry) for entry in card.limits)
        ),
    )


def _to_statement(name: str, entry: Evidence) -> CardRow:
    return CardRow(name=name, text=str(entry.value), note=entry.source, status=entry.status.value)


def _derive_verification(card: Any) -> CardSection:
    rows = to_verification_rows(tuple(card.verification))
    return CardSection(
        title="Verification",
        lead=f"{sum(row['passed'] for row in rows)} of {len(rows)} rows within their tolerance, run with this code "
        "on this machine.",
        rows=tuple(
            CardRow(
                name=row["case"],
                text=row["quantity"],
                note=f"error {row['error']:.2g}, allowed {row['tolerance']:.2g}"
                if row["error"] is not None
                else "no number",
                status="passed" if row["passed"] else "FAILED",
            )
            for row in rows
        ),
    )


def _derive_validation(card: Any) -> CardSection:
    goal = card.anchor_goal
    return CardSection(
        title="Validation",
        lead=f"Measured experiments predicted from the ranges, never fitted; the goal is that at least "
        f"{goal.number:.0%} of the draws agree ({goal.status}).",
        rows=tuple(
            CardRow(
                name=anchor.key.replace("_", " "),
                text=f"{anchor.agreeing} of {anchor.draws} draws agree. Measured: {anchor.measured.value} "
                f"{to_unit_words(anchor.measured.unit)} ({anchor.system}). Criterion: {anchor.criterion}. "
                f"Predicted: {anchor.predicted}",
                note=anchor.measured.source
                + ("" if anchor.independent else "; a range of the model was taken from this experiment"),
                status="agrees" if anchor.agrees(goal) else "DISAGREES",
            )
            for anchor in card.anchors
        ),
    )


def _to_parameter(row: Any) -> CardRow:
    same = row.low.value == row.high.value
    unit = to_unit_words(row.low.unit)
    words = f"{row.low.value:g}" if same else f"{row.low.value:g} to {row.high.value:g}"
    grip = "" if row.correlation is None else f"; grip on the result {row.correlation:+.2f}".replace("-", "−")
    sources = dict.fromkeys((row.low.source, row.high.source))
    return CardRow(
        name=row.name.replace("_", " "),
        text=f"{words} {unit}, {row.drawn}{grip}".replace(" ,", ","),
        note="; ".join(source for source in sources if source),
        status=row.status.value,
    )
