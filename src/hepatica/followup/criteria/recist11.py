"""RECIST 1.1: sums of diameters against baseline and nadir.

Eisenhauer 2009, Eur J Cancer 45:228, with the clarifications of the EORTC RECIST group.
"""

from __future__ import annotations

from typing import Final

from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.followup.assess import VisitAssessment, assess_course
from hepatica.followup.records import Course
from hepatica.followup.target import TABLES, TargetLimits

NAME: Final = "recist-1.1"
CATEGORY: Final = "RECIST 1.1"
"""Value of RSCAT; CDISC list ONCRSCAT, C124415."""


def read_recist_limits(*, continuing_pr: bool = False, table: EvidenceTable | None = None) -> TargetLimits:
    """Return the limits of RECIST 1.1 from evidence data.

    Parameters
    ----------
    continuing_pr
        Keep PR after PR as long as there is no PD; off by default, stored with every trail.
    table
        Table ``recist.toml``, or a protocol's own.

    Examples
    --------
    >>> read_recist_limits().progression_limit(20.0)
    25.0
    """
    limits = table or read_evidence_table(TABLES, "recist.toml")
    return TargetLimits(
        response_ratio=limits["response_ratio"].number,
        progression_ratio=limits["progression_ratio"].number,
        progression_least=limits["progression_least"].number,
        node_normal=limits["node_normal"].number,
        continuing_pr=continuing_pr,
    )


def derive_recist(course: Course, *, limits: TargetLimits | None = None) -> tuple[VisitAssessment, ...]:
    """Derive RECIST 1.1 for every visit after the baseline.

    Parameters
    ----------
    course
        One subject as one evaluator saw it; sizes in mm.
    limits
        From `read_recist_limits`.

    Examples
    --------
    >>> from hepatica.followup.records import Reading, TrackedLesion, Visit
    >>> from hepatica.followup.words import LesionRole
    >>> course = Course(
    ...     lesions=(TrackedLesion(lesion_id="T01", role=LesionRole.TARGET),),
    ...     baseline=Visit(number=1, readings={"T01": Reading(size=40.0)}),
    ...     follow_ups=(Visit(number=2, readings={"T01": Reading(size=28.0)}),),
    ... )
    >>> [str(answer.overall) for answer in derive_recist(course)]
    ['PR']
    """
    return assess_course(course, limits=limits or read_recist_limits())
