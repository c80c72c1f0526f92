"""Whether a grade given by a site exists for its term."""

from __future__ import annotations

from typing import Final

from hepatica.core.evidence import EvidenceStatus, EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, NotEvaluable, Severity

TABLES: Final = "hepatica.followup.tables"
GRADES: Final = (1, 2, 3, 4, 5)
"""All grades of CTCAE; no term has others."""


def check_grade(
    term: str, grade: int, *, table: EvidenceTable | None = None
) -> tuple[Finding, ...] | NotEvaluable:
    """Check a grade against its CTCAE term.

    Rules: ``safety.grade_unknown`` (no grade of the scale at all), ``safety.grade_not_in_term``: an error where the
    table was read in a source, a warning where it is unverified.

    Parameters
    ----------
    term
        CTCAE term, in any case.
    grade
        As the site gave it.
    table
        Table ``ae_terms.toml``, or a fuller one.

    Returns
    -------
    findings
        None where the grade exists; or why it cannot be told.

    Examples
    --------
    >>> check_grade("Fatigue", 4)[0].rule
    'safety.grade_not_in_term'
    >>> check_grade("fatigue", 3)
    ()
    """
    if grade not in GRADES:
        return (
            Finding(
                rule="safety.grade_unknown",
                severity=Severity.ERROR,
                message="CTCAE has the grades 1 to 5.",
                measured=grade,
            ),
        )
    limits = table or read_evidence_table(TABLES, "ae_terms.toml")
    name = " ".join(term.casefold().split())
    lowest, highest = (limits.entries.get(f"{name}:{end}") for end in ("lowest", "highest"))
    if lowest is None or highest is None:
        return NotEvaluable(reason="the table of terms does not have this term")
    if lowest.number <= grade <= highest.number:
        return ()
    severity = Severity.ERROR if highest.status is EvidenceStatus.VERIFIED else Severity.WARNING
    finding = Finding.from_limit(
        highest if grade > highest.number else lowest,
        rule="safety.grade_not_in_term",
        severity=severity,
        message=f"The term has grades {lowest.number:g} to {highest.number:g} only.",
        measured=grade,
    )
    return (finding,)
