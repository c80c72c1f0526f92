"""Grades of procedure complications by a named scale; a grade never stands without the edition of its scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hepatica.core.errors import InputError, NotFoundError
from hepatica.core.evidence import Evidence, EvidenceTable, read_evidence_table
from hepatica.core.findings import NotEvaluable

TABLES: Final = "hepatica.followup.tables"
FILE: Final = "complications.toml"
STAY_EDGE_H: Final = 48.0
"""CIRSE 2017: longer stay below 48 h is grade 2, above 48 h grade 3; exactly 48 h stands in neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplicationGrade:
    """One grade of one scale.

    Parameters
    ----------
    scale
        Name such as ``cirse-2017``.
    edition
        Label with its year, for reports.
    grade
        As the scale writes it.
    wording
        What it means, with source and status; its value is None where the wording was not found.
    """

    scale: str
    edition: str
    grade: str
    wording: Evidence


def list_scales(*, table: EvidenceTable | None = None) -> tuple[str, ...]:
    """Return the names of the scales.

    Examples
    --------
    >>> list_scales()
    ('cirse-2017', 'cirse-2025', 'sir-2017', 'sir-old')
    """
    limits = table or read_evidence_table(TABLES, FILE)
    return tuple(dict.fromkeys(key.partition(":")[0] for key in limits.entries))


def find_complication_grade(
    scale: str, grade: str, *, table: EvidenceTable | None = None
) -> ComplicationGrade:
    """Return a grade of a scale.

    Raises
    ------
    NotFoundError
        If there is no such scale, or the scale has no such grade.

    Examples
    --------
    >>> find_complication_grade("cirse-2017", "6").wording.value
    'death'
    """
    limits = table or read_evidence_table(TABLES, FILE)
    scales = list_scales(table=limits)
    if scale not in scales:
        raise NotFoundError(expected=f"one of {', '.join(scales)}", given=f"'{scale}'", where="scale")
    known = {
        key.partition(":")[2]: item for key, item in limits.entries.items() if key.startswith(f"{scale}:")
    }
    found = known.get(grade.strip().lower())
    if found is None:
        raise NotFoundError(
            expected=f"one of {', '.join(known)}", given="another grade", where=f"scale {scale}"
        )
    return ComplicationGrade(
        scale=scale, edition=found.version, grade=found.key.partition(":")[2], wording=found
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplicationCourse:
    """What followed from a complication.

    Parameters
    ----------
    died
        Whether the patient died of it.
    sequelae
        ``none``, ``mild`` or ``severe`` lasting ones.
    treated
        Whether it needed added treatment after the session.
    longer_stay_h
        Unplanned longer stay in hospital.
    """

    died: bool = False
    sequelae: str = "none"
    treated: bool = False
    longer_stay_h: float = 0.0

    def __post_init__(self) -> None:
        """Refuse unknown words and stays below zero."""
        if self.sequelae not in ("none", "mild", "severe") or not self.longer_stay_h >= 0:
            raise InputError(
                expected="sequelae none, mild or severe, and a stay of 0 h or more",
                given=f"'{self.sequelae}', {self.longer_stay_h:g} h",
                where="complication",
            )


def grade_cirse_2017(course: ComplicationCourse) -> ComplicationGrade | NotEvaluable:
    """Derive the CIRSE 2017 grade from what followed.

    Examples
    --------
    >>> grade_cirse_2017(ComplicationCourse(longer_stay_h=20.0)).grade
    '2'
    """
    if course.died:
        grade = "6"
    elif course.sequelae != "none":
        grade = "5" if course.sequelae == "severe" else "4"
    elif course.treated or course.longer_stay_h > STAY_EDGE_H:
        grade = "3"
    elif course.longer_stay_h == STAY_EDGE_H:
        return NotEvaluable(reason="CIRSE 2017 names stays below and above 48 h, not of 48 h")
    else:
        grade = "2" if course.longer_stay_h > 0 else "1"
    return find_complication_grade("cirse-2017", grade)
