"""Simulate where a plan's injections go: every lesion's deposits in order, over draws of what is not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hepatica.core.evidence import Evidence
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.progress import SILENT, Progress
from hepatica.planning.dose.values import Injection
from hepatica.planning.spread.budget import SourceSetting
from hepatica.planning.spread.member import Draw
from hepatica.planning.spread.scene import SpreadScene, derive_setting, trace_backflow
from hepatica.planning.spread.simulate import (
    BAND_PERCENT,
    Band,
    SpreadOutcome,
    draw_members,
    list_unverified,
    simulate_spread,
)
from hepatica.planning.spread.split import derive_contained_volume_ml, suggest_split
from hepatica.planning.spread.tissue import SpreadParameters, derive_parameters
from hepatica.planning.spread.verification import VerificationRow
from hepatica.planning.spread.verify import verify_spread
from hepatica.workflows.plan_case import PlannedCase
from hepatica.workflows.plan_ports import PlanPorts
from hepatica.workflows.read_case import Case
from hepatica.workflows.spread_request import SpreadRequest, find_rate, is_cirrhotic
from hepatica.workflows.spread_scenes import LesionScene, derive_lesion_scene, read_grid_limits
from hepatica.workflows.spread_values import (
    AlternativeSpread,
    ContainedVolume,
    LesionSpread,
    MakeCard,
    PlanSpread,
    SplitAdvice,
)

BUDGET_OF_ONE_HOLE: Final = (
    "the algebraic budget is of one opening: it says nothing of a needle with side holes"
)
FEWEST_FOR_BAND: Final = 20
"""From here on at least one draw lies beyond each end of a band from the 5th to the 95th percentile."""
ALTERNATIVE_SHARE: Final = 0.25
"""Part of the draws that the backups get: enough to see whether they do worse, without doubling the time."""


def open_here() -> AbstractContextManager[Executor | None]:
    """Run everything in this process."""
    return nullcontext(None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpreadWork:
    """Where a spread is simulated, with the analytic suite on its way.

    Parameters
    ----------
    rate
        Rate of injection.
    executor
        What the draws are shared out to; None runs them in this process.
    pending
        The analytic suite as it runs there; None where it still has to be run here.
    """

    rate: Evidence
    executor: Executor | None
    pending: Future[tuple[VerificationRow, ...]] | None

    def verify(self) -> tuple[VerificationRow, ...]:
        """Return the rows of the analytic suite."""
        return verify_spread() if self.pending is None else self.pending.result()


def start_work(executor: Executor | None, *, rate: Evidence) -> SpreadWork:
    """Let what runs the draws run the analytic suite, and compile, until they come.

    Planning uses one processor: beside it this costs no time of its own.

    Parameters
    ----------
    executor
        From `open_pool`; None runs all in this process, when it is needed.
    rate
        Rate of injection, from `find_rate`.
    """
    pending = None if executor is None else executor.submit(verify_spread)
    return SpreadWork(rate=rate, executor=executor, pending=pending)


@contextmanager
def open_pool(request: SpreadRequest | None, *, ports: PlanPorts) -> Iterator[Executor | None]:
    """Open what the draws are shared out to, before anything is read: an address without answer is told at once.

    Parameters
    ----------
    request
        What is asked; None for no spread opens nothing.
    ports
        The world.
    """
    open_executor = open_here if request is None else ports.open_executor or open_here
    with open_executor() as executor:
        yield executor


def start_case_work(
    executor: Executor | None, case: Case, *, request: SpreadRequest | None
) -> SpreadWork | None:
    """Start the work of a case's spread; None where nobody asked for one.

    Raises
    ------
    NotSetError
        If nobody says how fast it is injected.
    """
    return None if request is None else start_work(executor, rate=find_rate(request, case.protocol))


def simulate_plan_spread(
    planned: PlannedCase,
    *,
    request: SpreadRequest,
    work: SpreadWork,
    cirrhosis: bool | None,
    make_card: MakeCard | None = None,
    progress: Progress = SILENT,
) -> PlanSpread:
    """Predict where the first-choice deposits of a plan go.

    Parameters
    ----------
    planned
        Plan with the anatomy it was made in.
    request
        Draws and seed.
    work
        Rate of injection, and where the draws run, from `start_work`.
    cirrhosis
        From `is_cirrhotic`.
    make_card
        Makes the credibility card of each lesion's run.
    progress
        Told of stages; may cancel.
    """
    plan, rate, executor = planned.plan, work.rate, work.executor
    injections = [item for item in plan.allocation.injections if item.volume_ml > 0]
    by_id = {lesion.lesion_id: lesion for lesion in plan.lesions}
    progress.stage("Preparing the spread")
    sites = [
        derive_lesion_scene(
            by_id[item.lesion_id],
            others=plan.lesions,
            anatomy=planned.anatomy,
            punctures=plan.punctures,
            rate=rate,
            cirrhosis=cirrhosis,
        )
        for item in injections
    ]
    drawn = [
        draw_members(
            request.draws,
            deposits=max(len(site.deposits), 1),
            rng=np.random.default_rng((request.seed, number)),
        )
        for number, site in enumerate(sites)
    ]
    lesions = tuple(
        _simulate_lesion(site, injection, draws=draws, executor=executor, progress=progress)
        for site, injection, draws in zip(sites, injections, drawn, strict=True)
    )
    progress.stage("Spread along the backups")
    alternatives = tuple(
        _simulate_alternative(
            site, injection, planned, rate=rate, cirrhosis=cirrhosis, draws=draws, executor=executor
        )
        for site, injection, draws in zip(sites, injections, drawn, strict=True)
    )
    progress.stage("Checking the solver on exact cases")
    verification = work.verify()
    if make_card is not None:
        progress.stage("Credibility of the spread")
        lesions = tuple(
            replace(lesion, card=make_card(verification, draws, _to_outcome(lesion)))
            for lesion, draws in zip(lesions, drawn, strict=True)
        )
    return PlanSpread(
        request=request,
        rate=rate,
        lesions=lesions,
        verification=verification,
        alternatives=tuple(one for one in alternatives if one is not None),
    )


def _simulate_alternative(
    site: LesionScene,
    injection: Injection,
    planned: PlannedCase,
    *,
    rate: Evidence,
    cirrhosis: bool | None,
    draws: Sequence[Draw],
    executor: Executor | None,
) -> AlternativeSpread | None:
    """Run the first of a lesion's draws along its backup; None where it has none."""
    lesion = site.lesion
    backup = next((one for one in planned.plan.backups if lesion.lesion_id in one.lesion_ids), None)
    if backup is None:
        return None
    other = derive_lesion_scene(
        lesion,
        others=planned.plan.lesions,
        anatomy=planned.anatomy,
        punctures=[backup],
        rate=rate,
        cirrhosis=cirrhosis,
    )
    few = draws[: max(1, round(ALTERNATIVE_SHARE * len(draws)))]
    outcome: SpreadOutcome | NotEvaluable
    if isinstance(other.scene, NotEvaluable):
        outcome = other.scene
    else:
        strength, _ = derive_strength(injection)
        outcome = simulate_spread(
            other.scene,
            draws=few,
            strength_per_ml=strength,
            threshold_per_ml=read_grid_limits()["reached_fraction"].number * strength,
            executor=executor,
        )
    return AlternativeSpread(
        lesion_id=lesion.lesion_id, puncture_id=backup.puncture_id, draws=len(few), outcome=outcome
    )


def _to_outcome(lesion: LesionSpread) -> SpreadOutcome | None:
    return None if isinstance(lesion.outcome, NotEvaluable) else lesion.outcome


def derive_strength(injection: Injection) -> tuple[float, str]:
    """Return the concentration of the injected fluid and the unit of its amount; 1 mL per mL where not set."""
    if isinstance(injection.dose, NotEvaluable) or injection.dose_unit == "ml" or not injection.dose > 0:
        return 1.0, "ml"
    return injection.dose / injection.volume_ml, injection.dose_unit


def _simulate_lesion(
    site: LesionScene,
    injection: Injection,
    *,
    draws: Sequence[Draw],
    executor: Executor | None,
    progress: Progress,
) -> LesionSpread:
    strength, unit = derive_strength(injection)
    findings = (*site.findings, *_check_delivery(injection))
    if isinstance(site.scene, NotEvaluable):
        return LesionSpread(
            site=site, injection=injection, outcome=site.scene, strength_per_ml=strength, unit=unit,
            contained=(), split=site.scene,
            findings=(*findings, _to_finding(site.scene, injection)),
        )  # fmt: skip
    outcome = simulate_spread(
        site.scene,
        draws=draws,
        strength_per_ml=strength,
        threshold_per_ml=read_grid_limits()["reached_fraction"].number * strength,
        executor=executor,
        progress=progress,
    )
    settings = [derive_setting(site.scene, one, trace_backflow(site.scene, one)) for one in site.scene.sites]
    choices = [derive_parameters(draw.shares) for draw in draws]
    if isinstance(outcome, NotEvaluable):
        findings = (*findings, _to_finding(outcome, injection))
    else:
        said = {finding.rule for finding in findings}
        findings = (*findings, *_list_regime(outcome, injection, draws=draws, said=said))
    one_hole = all(len(one.hole_offsets_mm) == 1 for one in site.scene.sites)
    refused = NotEvaluable(reason=BUDGET_OF_ONE_HOLE)
    return LesionSpread(
        site=site,
        injection=injection,
        outcome=outcome,
        strength_per_ml=strength,
        unit=unit,
        contained=tuple(_derive_contained(one, choices) if one_hole else refused for one in settings),
        split=_advise_split(site.scene, settings[0], choices) if one_hole else refused,
        findings=findings,
    )


def _to_finding(answer: NotEvaluable, injection: Injection) -> Finding:
    return Finding(
        rule="spread.not_applicable",
        severity=Severity.WARNING,
        message=f"The spread is not simulated: {answer.reason}.",
        subject=injection.lesion_id,
    )


def _check_delivery(injection: Injection) -> tuple[Finding, ...]:
    if injection.undelivered_ml <= 0:
        return ()
    return (
        Finding(
            rule="spread.undelivered",
            severity=Severity.WARNING,
            message="Part of the planned volume has no deposit: its spread is not simulated.",
            measured=injection.undelivered_ml,
            unit="ml",
            subject=injection.lesion_id,
        ),
    )


def _list_regime(
    outcome: SpreadOutcome, injection: Injection, *, draws: Sequence[Draw], said: Set[str]
) -> tuple[Finding, ...]:
    """Return regime checks that hold in some draw, and draws that gave no answer, as findings of the lesion.

    Rules that are ``said`` of the lesion already, for example what it touches, are not repeated.
    """
    found = [
        replace(
            finding,
            message=f"{finding.message} (in {share:.0%} of the draws)",
            subject=injection.lesion_id,
        )
        for finding, share in outcome.findings
        if finding.rule not in said
    ]
    if outcome.draws < len(draws):
        reasons = "; ".join(f"{count} x {reason}" for reason, count in outcome.not_evaluable.items())
        found.append(
            Finding(
                rule="spread.draws_without_answer",
                severity=Severity.WARNING,
                message=f"The model does not apply in some draws ({reasons}); they are in no band.",
                measured=float(len(draws) - outcome.draws),
                limit=0.0,
                subject=injection.lesion_id,
            )
        )
    if outcome.draws < FEWEST_FOR_BAND:
        found.append(
            Finding(
                rule="spread.few_draws",
                severity=Severity.WARNING,
                message=f"With so few draws a 5 to 95 % band is their range: ask for {FEWEST_FOR_BAND} or more.",
                measured=float(outcome.draws),
                limit=float(FEWEST_FOR_BAND),
                subject=injection.lesion_id,
            )
        )
    if outcome.fallbacks:
        found.append(
            Finding(
                rule="spread.second_solver",
                severity=Severity.INFO,
                message="In some draws the own pressure solver did not converge: pyamg's Ruge-Stueben stood in.",
                measured=float(sum(outcome.fallbacks.values())),
                limit=0.0,
                subject=injection.lesion_id,
            )
        )
    return tuple(found)


def _derive_contained(
    setting: SourceSetting, choices: Sequence[SpreadParameters]
) -> ContainedVolume | NotEvaluable:
    answers = [derive_contained_volume_ml(setting, choice) for choice in choices]
    held = [answer for answer in answers if not isinstance(answer, NotEvaluable)]
    if not held:
        reasons = Counter(answer.reason for answer in answers if isinstance(answer, NotEvaluable))
        return NotEvaluable(reason=reasons.most_common(1)[0][0])
    low, middle, high = np.percentile(held, BAND_PERCENT)
    return ContainedVolume(
        volume_ml=Band(low=float(low), middle=float(middle), high=float(high)),
        held_fraction=len(held) / len(answers),
    )


def _advise_split(
    scene: SpreadScene, setting: SourceSetting, choices: Sequence[SpreadParameters]
) -> SplitAdvice | NotEvaluable:
    whole = replace(setting, volume_ml=sum(site.volume_ml for site in scene.sites))
    answers = [suggest_split(whole, choice) for choice in choices]
    counts = Counter(0 if isinstance(answer, NotEvaluable) else answer.deposits for answer in answers)
    return SplitAdvice(middle=suggest_split(whole, derive_parameters()), counts=dict(sorted(counts.items())))


def list_unverified_inputs() -> tuple[str, ...]:
    """Return the inputs whose range nobody has checked, working numbers of the grid included."""
    return (*list_unverified(), *(entry.key for entry in read_grid_limits() if entry.unverified))


def simulate_case_spread(
    case: Case,
    planned: PlannedCase,
    *,
    request: SpreadRequest | None,
    work: SpreadWork | None,
    ports: PlanPorts,
    progress: Progress,
) -> PlanSpread | None:
    """Simulate the spread of a planned case with what its inputs say; None where nobody asked.

    Parameters
    ----------
    case, planned
        What was read, and the plan made of it.
    request
        What is asked; None for nothing.
    work
        From `start_case_work`.
    ports
        The world.
    progress
        Told of stages; may cancel.
    """
    if request is None or work is None:
        return None
    return simulate_plan_spread(
        planned,
        request=request,
        work=work,
        cirrhosis=is_cirrhotic(case.facts),
        make_card=ports.make_card,
        progress=progress,
    )
