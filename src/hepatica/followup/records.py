"""What was seen of each lesion at each visit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from hepatica.core.errors import InputError
from hepatica.core.findings import NotEvaluable
from hepatica.followup.dates import UNDATED, PartialDate
from hepatica.followup.words import LesionRole, LesionState

NOT_MEASURED = NotEvaluable(reason="not measured")
NO_ROW = NotEvaluable(reason="no reading at this visit")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedLesion:
    """A lesion that keeps its name for life.

    Parameters
    ----------
    lesion_id
        Name, for example ``T01``; fragments of a split lesion are called ``T01.1``, ``T01.2``.
    role
        Target, non-target or new; never changes.
    site
        Organ or region as given.
    is_node
        Lymph node: measured by its short axis, normal below 10 mm.
    injections
        When it was injected; empty for never.
    """

    lesion_id: str
    role: LesionRole
    site: str = ""
    is_node: bool = False
    injections: tuple[PartialDate, ...] = ()

    def injected_before(self, when: PartialDate) -> bool:
        """Whether an injection surely lies before a visit; one on the scan day counts from the next."""
        return any(injection.surely_before(when) for injection in self.injections)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One lesion at one visit, by one evaluator.

    Parameters
    ----------
    size
        Diameter (short axis of a node) in mm, viable diameter in mm, or volume in mm3, as the criterion asks;
        or why there is none. 0 for a lesion that is gone, 5 mm for one too small to measure.
    state
        What the reader says of it; None where the lesion was measured only.
    merged
        Swallowed by another lesion without a plane between: its size is counted there, it is not missing.
    """

    size: float | NotEvaluable = NOT_MEASURED
    state: LesionState | None = None
    merged: bool = False

    def __post_init__(self) -> None:
        """Refuse a size that cannot be."""
        if isinstance(self.size, float) and not 0.0 <= self.size < float("inf"):
            raise InputError(
                expected="a finite size of 0 or more",
                given=f"{self.size:g}",
                action="correct the measurement",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One assessment.

    Parameters
    ----------
    number, name
        VISITNUM, by which visits are ordered, and VISIT.
    date
        As collected; may be partial.
    readings
        By lesion id. A lesion without an entry was not assessed.
    new_lesions
        Ids of lesions first identified as new at this visit.
    equivocal_lesions
        Ids of new lesions that are only suspected at this visit.
    symptom_driven
        Scan made early because of symptoms (iRECIST).
    """

    number: float
    name: str = ""
    date: PartialDate = UNDATED
    readings: Mapping[str, Reading] = field(default_factory=dict)
    new_lesions: frozenset[str] = frozenset()
    equivocal_lesions: frozenset[str] = frozenset()
    symptom_driven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One subject as one evaluator saw it: the lesions, the baseline and the visits after it in order.

    Parameters
    ----------
    lesions
        All lesions, new ones included.
    baseline
        The visit at which targets and non-targets were chosen.
    follow_ups
        Visits after it, by rising number.

    Raises
    ------
    InputError
        If visits are out of order or a lesion has two names.

    Examples
    --------
    >>> course = Course(
    ...     lesions=(TrackedLesion(lesion_id="T01", role=LesionRole.TARGET, site="LIVER"),),
    ...     baseline=Visit(number=1, readings={"T01": Reading(size=40.0)}),
    ...     follow_ups=(Visit(number=2, readings={"T01": Reading(size=28.0)}),),
    ... )
    >>> [lesion.lesion_id for lesion in course.targets]
    ['T01']
    """

    lesions: tuple[TrackedLesion, ...]
    baseline: Visit
    follow_ups: tuple[Visit, ...] = ()

    def __post_init__(self) -> None:
        """Refuse visits out of order and lesions named twice."""
        numbers = [self.baseline.number, *(visit.number for visit in self.follow_ups)]
        if any(later <= earlier for earlier, later in pairwise(numbers)):
            raise InputError(
                expected="visits by rising number, each once", given="another order", where="visits"
            )
        if len({lesion.lesion_id for lesion in self.lesions}) != len(self.lesions):
            raise InputError(expected="one name for each lesion", given="a name twice", where="lesions")

    @property
    def targets(self) -> tuple[TrackedLesion, ...]:
        """Target lesions."""
        return tuple(lesion for lesion in self.lesions if lesion.role is LesionRole.TARGET)

    @property
    def non_targets(self) -> tuple[TrackedLesion, ...]:
        """Non-target lesions."""
        return tuple(lesion for lesion in self.lesions if lesion.role is LesionRole.NON_TARGET)

    @property
    def new(self) -> tuple[TrackedLesion, ...]:
        """Lesions that were not there at baseline."""
        return tuple(lesion for lesion in self.lesions if lesion.role.is_new)
