"""mRECIST for hepatocellular carcinoma: viable (arterially enhancing) diameters in place of whole ones.

Lencioni 2010, Semin Liver Dis 30:52. What counts as a new lesion (a nodule of 10 mm with typical
enhancement and washout, or growth by 10 mm later, then dated back) is the reader's call: it arrives here as
new or equivocal.
"""

from __future__ import annotations

from typing import Final

from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.followup.assess import VisitAssessment, assess_course
from hepatica.followup.records import Course
from hepatica.followup.target import TABLES, TargetLimits

NAME: Final = "mrecist"
CATEGORY: Final = "MRECIST LENCIONI LIVER CANCER 2010"
"""Value of RSCAT; CDISC list ONCRSCAT, C126032."""


def read_mrecist_limits(
    *, continuing_pr: bool = False, least_increase: bool = False, table: EvidenceTable | None = None
) -> TargetLimits:
    """Return the limits of mRECIST from evidence data.

    Parameters
    ----------
    continuing_pr
        As for RECIST 1.1; off by default.
    least_increase
        Ask for an increase of 5 mm as well; the 2010 text names no such rule, so it is off by default.
    table
        Table ``mrecist.toml``, or a protocol's own.

    Examples
    --------
    >>> [read_mrecist_limits(least_increase=rule).progression_limit(10.0) for rule in (False, True)]
    [12.0, 15.0]
    """
    limits = table or read_evidence_table(TABLES, "mrecist.toml")
    return TargetLimits(
        response_ratio=limits["response_ratio"].number,
        progression_ratio=limits["progression_ratio"].number,
        progression_least=limits["progression_least"].number if least_increase else 0.0,
        node_normal=limits["node_normal"].number,
        continuing_pr=continuing_pr,
    )


def derive_mrecist(course: Course, *, limits: TargetLimits | None = None) -> tuple[VisitAssessment, ...]:
    """Derive mRECIST for every visit after the baseline.

    Parameters
    ----------
    course
        One subject as one evaluator saw it. Sizes in mm: the longest viable diameter of a liver target, the
        short axis of a node. A liver target whose viable diameter was not recorded is missing, whatever its
        whole diameter.
    limits
        From `read_mrecist_limits`.
    """
    return assess_course(course, limits=limits or read_mrecist_limits())
