"""Cytokine release by a named scale: ASTCT 2019, Lee 2014 or CTCAE v5.0. The name goes with every grade.

The scales differ: one vasopressor is grade 3 of ASTCT, and by its dose grade 2 or 3 of Lee.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Final

from hepatica.core.errors import InputError, NotFoundError
from hepatica.core.evidence import Evidence, EvidenceTable, read_evidence_table
from hepatica.core.findings import NotEvaluable

TABLES: Final = "hepatica.followup.tables"


class Oxygen(StrEnum):
    """How oxygen was given."""

    NONE = "none"
    LOW_FLOW = "low flow"
    """Nasal cannula or blow-by, up to 6 L/min."""
    HIGH_FLOW = "high flow"
    """High-flow cannula, face mask, non-rebreather or Venturi mask."""
    POSITIVE_PRESSURE = "positive pressure"
    """CPAP, BiPAP or ventilator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CytokineSigns:
    """Worst signs of one episode, not due to anything else. None where not known.

    Parameters
    ----------
    temperature_celsius
        Highest.
    suppressed
        Whether antipyretic or anti-cytokine drugs were given, so that fever is not needed any more.
    hypotension
        Whether the pressure was low.
    vasopressors
        How many, vasopressin not counted; 0 where fluid was enough.
    vasopressin
        Whether vasopressin was given.
    high_dose
        Whether a vasopressor was given in high dose (Lee).
    oxygen, oxygen_percent
        How it was given, and the fraction needed.
    organ_grade, transaminase_grade
        Worst CTCAE grade of organ toxicity other than, and of, transaminases (Lee); 0 for none.
    life_threatening
        CTCAE only.
    """

    temperature_celsius: float | None = None
    suppressed: bool = False
    hypotension: bool | None = None
    vasopressors: int | None = None
    vasopressin: bool = False
    high_dose: bool | None = None
    oxygen: Oxygen | None = None
    oxygen_percent: float | None = None
    organ_grade: int | None = None
    transaminase_grade: int | None = None
    life_threatening: bool | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be, and pressors without low pressure."""
        numbers = {
            "temperature": (self.temperature_celsius, 25.0, 45.0),
            "vasopressors": (self.vasopressors, 0, 10),
            "oxygen fraction": (self.oxygen_percent, 21.0, 100.0),
            "organ toxicity": (self.organ_grade, 0, 5),
            "transaminases": (self.transaminase_grade, 0, 5),
        }
        for name, (number, least, most) in numbers.items():
            if number is not None and not (isfinite(number) and least <= number <= most):
                raise InputError(expected=f"{least:g} to {most:g}", given=f"{number:g}", where=name)
        if self.hypotension is False and (self.vasopressors or self.vasopressin):
            raise InputError(
                expected="low pressure where a vasopressor was given", given="none", where="hypotension"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CytokineGrade:
    """A grade with the name of its scale.

    Parameters
    ----------
    grade
        0 for none, to 4; death is grade 5 of every scale and is not derived here.
    scale
        Name and edition.
    reason
        What decided.
    limits
        Numbers used, with sources.
    """

    grade: int
    scale: str
    reason: str
    limits: tuple[Evidence, ...]

    @property
    def unverified(self) -> bool:
        """Whether it leans on a number nobody has checked."""
        return any(limit.unverified for limit in self.limits)


_Part = tuple[int | None, str]
"""Grade one kind of sign gives, None where not known; and the words for it."""


def grade_cytokine_release(
    signs: CytokineSigns, *, scale: str, table: EvidenceTable | None = None
) -> CytokineGrade | NotEvaluable:
    """Grade one episode by a named scale.

    Parameters
    ----------
    signs
        Worst signs.
    scale
        One of `SCALES`.
    table
        Table ``cytokine.toml``.

    Returns
    -------
    grade
        Or what is missing: a sign that is not known never counts as absent.

    Raises
    ------
    NotFoundError
        If there is no such scale.

    Examples
    --------
    >>> signs = CytokineSigns(temperature_celsius=39.0, hypotension=True, vasopressors=1, high_dose=False,
    ...                       oxygen=Oxygen.NONE, organ_grade=0, transaminase_grade=0)
    >>> grade_cytokine_release(signs, scale="astct-2019").grade, grade_cytokine_release(signs, scale="lee-2014").grade
    (3, 2)
    """
    if scale not in SCALES:
        raise NotFoundError(
            expected=f"one of {', '.join(SCALES)}", given=f"'{scale}'", where="cytokine release"
        )
    return SCALES[scale](signs, table or read_evidence_table(TABLES, "cytokine.toml"))


def _grade_astct(signs: CytokineSigns, table: EvidenceTable) -> CytokineGrade | NotEvaluable:
    fever = table["astct_fever_min"]
    limits = (fever, table["astct_low_flow_max"])
    if not signs.suppressed:
        if signs.temperature_celsius is None:
            return NotEvaluable(reason="the temperature is not known")
        if signs.temperature_celsius < fever.number:
            return CytokineGrade(grade=0, scale="ASTCT 2019", reason="no fever", limits=limits)
    pressors = signs.vasopressors
    pressure: _Part
    if signs.hypotension is None:
        pressure = None, "pressure not known"
    elif not signs.hypotension:
        pressure = 1, "no low pressure"
    elif pressors is None or (pressors == 0 and signs.vasopressin):
        pressure = None, "the number of vasopressors beside vasopressin is not known, or none"
    else:
        pressure = ((2, "low pressure, no vasopressor"), (3, "one vasopressor"), (4, "several vasopressors"))[
            min(pressors, 2)
        ]
    oxygen = {
        None: (None, "oxygen not known"),
        Oxygen.NONE: (1, "no oxygen"),
        Oxygen.LOW_FLOW: (2, "low-flow oxygen"),
        Oxygen.HIGH_FLOW: (3, "high-flow oxygen"),
        Oxygen.POSITIVE_PRESSURE: (4, "positive pressure"),
    }[signs.oxygen]
    return _take_worst((pressure, oxygen), scale="ASTCT 2019", limits=limits)


def _grade_lee(signs: CytokineSigns, table: EvidenceTable) -> CytokineGrade | NotEvaluable:
    limit = table["lee_oxygen_max_grade_2"]
    pressors = signs.vasopressors
    pressure: _Part
    if signs.hypotension is None:
        pressure = None, "pressure not known"
    elif not signs.hypotension:
        pressure = 1, "no low pressure"
    elif signs.vasopressin or pressors is None:
        pressure = None, "vasopressin is not named, or the number of vasopressors is not known"
    elif pressors >= 2:
        pressure = 3, "several vasopressors"
    elif pressors == 1:
        pressure = {
            None: (None, "dose of the vasopressor not known"),
            True: (3, "one vasopressor in high dose"),
            False: (2, "one vasopressor in low dose"),
        }[signs.high_dose]
    else:
        pressure = 2, "low pressure that answered to fluid"
    organs: _Part = (None, "organ toxicity not known")
    if signs.organ_grade is not None and signs.transaminase_grade is not None:
        # Grade 4 transaminases count as 3.
        worst = max(signs.organ_grade, min(signs.transaminase_grade, 3), 1)
        organs = min(worst, 4), f"organ toxicity of grade {worst}"
    parts = (pressure, _grade_fraction(signs, limit, positive_pressure=4), organs)
    return _need_fever(signs, _take_worst(parts, scale="Lee 2014", limits=(limit,)), table)


def _grade_ctcae(signs: CytokineSigns, table: EvidenceTable) -> CytokineGrade | NotEvaluable:
    limit = table["ctcae_oxygen_max_grade_2"]
    pressors = None if signs.vasopressors is None else signs.vasopressors + int(signs.vasopressin)
    pressure: _Part
    if signs.hypotension is None or (signs.hypotension and pressors is None):
        pressure = None, "pressure or vasopressors not known"
    elif not signs.hypotension:
        pressure = 1, "no low pressure"
    else:
        assert pressors is not None
        pressure = (3, "vasopressor") if pressors else (2, "low pressure that answered to fluid")
    life: _Part = {
        None: (None, "danger to life not known"),
        True: (4, "life-threatening"),
        False: (1, "not life-threatening"),
    }[signs.life_threatening]
    parts = (pressure, _grade_fraction(signs, limit, positive_pressure=3), life)
    return _need_fever(signs, _take_worst(parts, scale="CTCAE v5.0", limits=(limit,)), table)


def _need_fever(
    signs: CytokineSigns, found: CytokineGrade | NotEvaluable, table: EvidenceTable
) -> CytokineGrade | NotEvaluable:
    """Refuse a grade 1 that rests on nothing: without fever the other symptoms of the scale would decide."""
    if isinstance(found, NotEvaluable) or found.grade > 1 or signs.suppressed:
        return found
    known = signs.temperature_celsius
    if known is not None and known >= table["astct_fever_min"].number:
        return found
    return NotEvaluable(reason="no fever is recorded, and other symptoms of grade 1 are not asked for")


def _grade_fraction(signs: CytokineSigns, limit: Evidence, *, positive_pressure: int) -> _Part:
    if signs.oxygen is None:
        return None, "oxygen not known"
    if signs.oxygen is Oxygen.NONE:
        return 1, "no oxygen"
    if signs.oxygen is Oxygen.POSITIVE_PRESSURE:
        return positive_pressure, "ventilation"
    if signs.oxygen_percent is None:
        return None, "the oxygen fraction is not known"
    low = signs.oxygen_percent < limit.number
    return (
        2 if low else 3
    ), f"oxygen {'below' if low else 'of'} {limit.number:g} %{'' if low else ' or more'}"


def _take_worst(
    parts: tuple[_Part, ...], *, scale: str, limits: tuple[Evidence, ...]
) -> CytokineGrade | NotEvaluable:
    known = [(grade, words) for grade, words in parts if grade is not None]
    unknown = [words for grade, words in parts if grade is None]
    worst, reason = max(known, default=(0, ""), key=lambda part: part[0])
    # What is not known cannot make grade 4 worse, and could make anything below it worse.
    if unknown and worst < MOST_DERIVED:
        return NotEvaluable(reason="; ".join(unknown))
    return CytokineGrade(grade=worst, scale=scale, reason=reason, limits=limits)


MOST_DERIVED: Final = 4
SCALES: Final[Mapping[str, Callable[[CytokineSigns, EvidenceTable], CytokineGrade | NotEvaluable]]] = {
    "astct-2019": _grade_astct,
    "lee-2014": _grade_lee,
    "ctcae-5": _grade_ctcae,
}
"""Scales by the name they are asked for."""
