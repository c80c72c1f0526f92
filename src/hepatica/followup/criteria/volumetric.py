"""Response by sums of volumes, with the sphere equivalents of the RECIST 1.1 limits."""

from __future__ import annotations

from typing import Final

from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.followup.assess import VisitAssessment, assess_course
from hepatica.followup.records import Course
from hepatica.followup.target import TABLES, TargetLimits

NAME: Final = "volumetric"
CATEGORY: Final = "VOLUMETRIC"
"""Value of RSCAT; no CDISC term exists."""
NO_NORMAL_VOLUME: Final = 0.0
"""No volume of a normal node is known: a node is gone only when it is absent."""


def read_volume_limits(*, continuing_pr: bool = False, table: EvidenceTable | None = None) -> TargetLimits:
    """Return the limits for volumes from evidence data.

    Parameters
    ----------
    continuing_pr
        As for RECIST 1.1; off by default.
    table
        Table ``volumetric.toml``, or a protocol's own.

    Examples
    --------
    >>> round(read_volume_limits().progression_limit(1000.0), 6)
    1728.0
    """
    limits = table or read_evidence_table(TABLES, "volumetric.toml")
    return TargetLimits(
        response_ratio=limits["response_ratio"].number,
        progression_ratio=limits["progression_ratio"].number,
        progression_least=limits["progression_least"].number,
        node_normal=NO_NORMAL_VOLUME,
        continuing_pr=continuing_pr,
    )


def derive_volumetric(course: Course, *, limits: TargetLimits | None = None) -> tuple[VisitAssessment, ...]:
    """Derive volumetric response for every visit after the baseline.

    Parameters
    ----------
    course
        One subject as one evaluator saw it; sizes are volumes in mm3.
    limits
        From `read_volume_limits`.
    """
    return assess_course(course, limits=limits or read_volume_limits())
