"""One shape for the answers of every criterion, and the trail that explains them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.followup.assess import VisitAssessment
from hepatica.followup.criteria import irecist, itrecist, mrecist, recist11, volumetric
from hepatica.followup.immune_state import read_immune_limits
from hepatica.followup.overall import NewLesionAssessment
from hepatica.followup.records import Course, Visit
from hepatica.followup.target import TABLES, TargetAssessment, TargetLimits
from hepatica.followup.words import TO_IMMUNE

DIGITS: Final = 6
"""Decimals of a sum in mm that are printed: the tolerance of every comparison."""


MOST_INJECTED_AND_NOT: Final = 10
"""itRECIST, Goldmacher 2020, figure 1: up to five injected and five non-injected targets."""


class Criterion(StrEnum):
    """Response criteria by the names of the command line."""

    RECIST = recist11.NAME
    IRECIST = irecist.NAME
    ITRECIST = itrecist.NAME
    MRECIST = mrecist.NAME
    VOLUMETRIC = volumetric.NAME

    @property
    def category(self) -> str:
        """Value of RSCAT."""
        return CATEGORIES[self]


CATEGORIES: Final[Mapping[Criterion, str]] = MappingProxyType(
    {
        Criterion.RECIST: recist11.CATEGORY,
        Criterion.IRECIST: irecist.CATEGORY,
        Criterion.ITRECIST: itrecist.CATEGORY,
        Criterion.MRECIST: mrecist.CATEGORY,
        Criterion.VOLUMETRIC: volumetric.CATEGORY,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSettings:
    """Named settings of a derivation; stored in every trail.

    Parameters
    ----------
    criterion
        The criterion.
    continuing_pr
        Keep PR after PR as long as there is no PD.
    least_increase
        mRECIST only: ask for 5 mm as well.
    early_tolerance
        iRECIST only: accept a confirmation scan two days early.
    """

    criterion: Criterion
    continuing_pr: bool = False
    least_increase: bool = False
    early_tolerance: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready document."""
        return {
            "criterion": str(self.criterion),
            "continuing_pr": self.continuing_pr,
            "least_increase": self.least_increase,
            "early_tolerance": self.early_tolerance,
        }

    @property
    def tables(self) -> tuple[EvidenceTable, ...]:
        """Evidence tables that the derivation rests on."""
        names = {
            Criterion.RECIST: ("recist.toml",),
            Criterion.IRECIST: ("recist.toml", "irecist.toml"),
            Criterion.ITRECIST: ("recist.toml", "irecist.toml"),
            Criterion.MRECIST: ("mrecist.toml",),
            Criterion.VOLUMETRIC: ("volumetric.toml",),
        }[self.criterion]
        return tuple(read_evidence_table(TABLES, name) for name in (*names, "variability.toml"))

    @property
    def limits(self) -> TargetLimits:
        """Limits of the criterion."""
        if self.criterion is Criterion.MRECIST:
            return mrecist.read_mrecist_limits(
                continuing_pr=self.continuing_pr, least_increase=self.least_increase
            )
        if self.criterion is Criterion.VOLUMETRIC:
            return volumetric.read_volume_limits(continuing_pr=self.continuing_pr)
        return recist11.read_recist_limits(continuing_pr=self.continuing_pr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer for one visit and one group of lesions.

    Parameters
    ----------
    visit
        The visit.
    group
        Group of lesions; empty where the criterion has only one.
    target, non_target, overall
        Codes in the words of the criterion; empty where there is no such disease. ``overall`` is empty where
        the group is not applicable.
    rule
        What decided the overall code.
    assessed
        Target assessment with the numbers; None where not applicable.
    new
        New lesions; None where they do not count.
    details
        Anything else the trail keeps.
    """

    visit: Visit
    group: str = ""
    target: str = ""
    non_target: str = ""
    overall: str = ""
    rule: str = ""
    assessed: TargetAssessment | None = None
    new: NewLesionAssessment | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def derive_verdicts(course: Course, *, settings: ResponseSettings) -> tuple[Verdict, ...]:
    """Derive every answer of one course by the criterion of the settings.

    Parameters
    ----------
    course
        One subject as one evaluator saw it, in the sizes the criterion asks for.
    settings
        Criterion and named settings.

    Examples
    --------
    >>> from hepatica.followup.records import Reading, TrackedLesion
    >>> from hepatica.followup.words import LesionRole
    >>> course = Course(
    ...     lesions=(TrackedLesion(lesion_id="T01", role=LesionRole.TARGET),),
    ...     baseline=Visit(number=1, readings={"T01": Reading(size=40.0)}),
    ...     follow_ups=(Visit(number=2, readings={"T01": Reading(size=50.0)}),),
    ... )
    >>> for criterion in (Criterion.RECIST, Criterion.IRECIST):
    ...     print(derive_verdicts(course, settings=ResponseSettings(criterion=criterion))[0].overall)
    PD
    iUPD
    """
    return DERIVATIONS[settings.criterion](course, settings)


def _from_assessment(answer: VisitAssessment, *, group: str = "", **details: Any) -> Verdict:
    return Verdict(
        visit=answer.visit,
        group=group,
        target=answer.target.response,
        non_target=answer.non_target.response,
        overall=answer.overall,
        rule=answer.rule,
        assessed=answer.target,
        new=answer.new,
        details={
            "non_target_rule": answer.non_target.rule,
            "non_target_lesions": answer.non_target.lesions,
            **details,
        },
    )


def _derive_recist(course: Course, settings: ResponseSettings) -> tuple[Verdict, ...]:
    return tuple(_from_assessment(a) for a in recist11.derive_recist(course, limits=settings.limits))


def _derive_mrecist(course: Course, settings: ResponseSettings) -> tuple[Verdict, ...]:
    return tuple(_from_assessment(a) for a in mrecist.derive_mrecist(course, limits=settings.limits))


def _derive_volumetric(course: Course, settings: ResponseSettings) -> tuple[Verdict, ...]:
    return tuple(_from_assessment(a) for a in volumetric.derive_volumetric(course, limits=settings.limits))


def _derive_irecist(course: Course, settings: ResponseSettings) -> tuple[Verdict, ...]:
    immune = read_immune_limits(early_tolerance=settings.early_tolerance)
    return tuple(
        Verdict(
            visit=a.visit,
            target=TO_IMMUNE[a.target.response],
            non_target=TO_IMMUNE[a.non_target.response],
            overall=a.answer.response,
            rule=a.answer.rule,
            assessed=a.target,
            new=a.new,
            details={
                "non_target_rule": a.non_target.rule,
                "non_target_lesions": a.non_target.lesions,
                "causes": a.answer.causes,
                "late_confirmation": a.answer.late_confirmation,
                "set_aside": a.answer.set_aside,
                "new_targets": a.new_targets,
                "new_target_sum": a.facts.new_target_sum_mm,
                "recist_1_1": a.recist,
            },
        )
        for a in irecist.derive_irecist(course, limits=settings.limits, immune=immune)
    )


def _derive_itrecist(course: Course, settings: ResponseSettings) -> tuple[Verdict, ...]:
    immune = irecist.derive_irecist(course, limits=settings.limits)
    verdicts = []
    for answer, beside in zip(itrecist.derive_itrecist(course, limits=settings.limits), immune):
        shared = {"injected": answer.injected, "iteration": answer.iteration, "status": "unverified reading"}
        for group, found in answer.answers.items():
            if isinstance(found, NotEvaluable):
                verdicts.append(Verdict(visit=answer.visit, group=group, rule=found.reason, details=shared))
                continue
            more = {"irecist": beside.answer.response} if group is itrecist.Group.ALL else {}
            verdict = _from_assessment(found, group=group, **shared, **more)
            # New lesions do not count among injected ones: "no new lesion" there would be said of nothing.
            counts = group in (itrecist.Group.ALL, itrecist.Group.NON_INJECTED)
            verdicts.append(verdict if counts else replace(verdict, new=None))
    return tuple(verdicts)


DERIVATIONS: Final[Mapping[Criterion, Callable[[Course, ResponseSettings], tuple[Verdict, ...]]]] = (
    MappingProxyType(
        {
            Criterion.RECIST: _derive_recist,
            Criterion.IRECIST: _derive_irecist,
            Criterion.ITRECIST: _derive_itrecist,
            Criterion.MRECIST: _derive_mrecist,
            Criterion.VOLUMETRIC: _derive_volumetric,
        }
    )
)


def to_trail(verdict: Verdict, *, settings: ResponseSettings) -> dict[str, Any]:
    """Return why a verdict is what it is: rule, numbers, lesions, settings, distance to the limits, noise
    band.

    Parameters
    ----------
    verdict
        The answer.
    settings
        What it was derived with.
    """
    trail: dict[str, Any] = {
        "visit": verdict.visit.name,
        "group": verdict.group,
        "overall": verdict.overall or "not applicable",
        "rule": verdict.rule,
        "target": verdict.target,
        "non_target": verdict.non_target,
    }
    if verdict.new is not None:
        trail["new"] = {
            "answer": verdict.new.answer,
            "present": verdict.new.present,
            "suspected": verdict.new.suspected,
        }
    if verdict.assessed is not None and verdict.target:
        trail["numbers"] = _to_numbers(verdict.assessed)
    trail.update(verdict.details)
    trail["settings"] = settings.to_dict()
    return trail


def _to_numbers(assessed: TargetAssessment) -> dict[str, Any]:
    noise = assessed.noise
    return {
        "rule": assessed.rule,
        "sum": _to_number(assessed.now.total),
        "sum_is_complete": assessed.now.complete,
        "missing": assessed.now.missing,
        "baseline": _to_number(assessed.baseline),
        "nadir": _to_number(assessed.nadir),
        "above_response_limit": _to_number(assessed.to_response),
        "below_progression_limit": _to_number(assessed.to_progression),
        "lesions": {key: _to_number(size) for key, size in assessed.now.sizes.items()},
        "noise": noise.reason
        if isinstance(noise, NotEvaluable)
        else {
            "two_readers": [round(value, DIGITS) for value in noise.between_readers],
            "two_readers_codes": noise.codes_between_readers,
            "one_reader": [round(value, DIGITS) for value in noise.same_reader],
            "one_reader_codes": noise.codes_same_reader,
        },
    }


def _to_number(value: float | NotEvaluable) -> float | str:
    return str(value) if isinstance(value, NotEvaluable) else round(value, DIGITS)
