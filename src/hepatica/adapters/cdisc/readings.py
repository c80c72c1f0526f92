"""What a row of TR says of a lesion: size, state, or why neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Final

from hepatica.adapters.cdisc.terms import RESULT_TEST, read_terms
from hepatica.adapters.cdisc.tumour_rows import ResultRow
from hepatica.core.evidence import read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.followup.records import NOT_MEASURED, Reading
from hepatica.followup.verdict import Criterion
from hepatica.followup.words import LesionState

Report = Callable[..., None]
"""Called with rule, row, column and message for each bad row."""

STATES: Final[Mapping[str, LesionState]] = {
    "ABSENT": LesionState.ABSENT,
    "NON-PATHOLOGICAL": LesionState.ABSENT,
    "NORMAL": LesionState.ABSENT,
    "PRESENT": LesionState.PRESENT,
    "PATHOLOGICAL": LesionState.PRESENT,
    "UNCHANGED": LesionState.PRESENT,
    "DECREASED": LesionState.PRESENT,
    "INCREASED": LesionState.GROWN,
    "ENLARGEMENT": LesionState.GROWN,
    "ENLARGEMENT FROM NADIR": LesionState.GROWN,
    "FURTHER ENLARGEMENT": LesionState.GROWN,
    "FURTHER ENLARGEMENT FROM NADIR": LesionState.GROWN,
    "EQUIVOCAL": LesionState.EQUIVOCAL,
    "UNEQUIVOCAL": LesionState.UNEQUIVOCAL,
    "NE": LesionState.NOT_EVALUABLE,
}
"""Terms of list TRPROPRS that describe a lesion."""
STATE_TESTS: Final = frozenset({"TUMSTATE", "LNSTATE"})
NEW_PROGRESSION: Final = "NEWLPROG"
NOT_DONE: Final = "NOT DONE"
MERGED: Final = "MERGED"
BLANK: Final = ("", "NA")
"""Cells that hold nothing; statistical packages write NA."""
TOO_SMALL: Final = "TOO SMALL TO MEASURE"
DIAMETERS: Final = ("DIAMETER", "LPERP", "LDIAM")
LENGTH_UNITS: Final = {"mm": 1.0, "cm": 10.0}
VOLUME_UNITS: Final = {"mm3": 1.0, "cm3": 1000.0, "ml": 1000.0, "mm^3": 1.0, "cm^3": 1000.0}

LARGEST: Final = {False: 3e3, True: 1e9}
"""Largest size in mm, and in mm3 for volumes: three metres and one cubic metre; a slip of the keyboard lies beyond."""


def list_size_tests(criterion: Criterion) -> tuple[str, ...]:
    """Return the tests of TR that carry the sizes of a criterion."""
    if criterion is Criterion.VOLUMETRIC:
        return ("VOLUME",)
    return ("VDIAM", *DIAMETERS) if criterion is Criterion.MRECIST else DIAMETERS


def choose_test(present: Mapping[str, object], *, criterion: Criterion, is_node: bool, viable: bool) -> str:
    """Return the test that counts for a lesion among those it has.

    Parameters
    ----------
    present
        Tests of the lesion at one visit.
    criterion
        The criterion.
    is_node
        Short axis for a node, longest diameter otherwise; DIAMETER wins where it is there.
    viable
        mRECIST: the lesion is judged by its viable diameter, and by nothing else.
    """
    if criterion is Criterion.VOLUMETRIC:
        return "VOLUME"
    if viable:
        return "VDIAM"
    if "DIAMETER" in present:
        return "DIAMETER"
    return "LPERP" if is_node else "LDIAM"


def to_size(row: ResultRow, *, units: Mapping[str, float], report: Report) -> float | NotEvaluable:
    """Return a size in mm or mm3, or why there is none; bad ones are reported.

    5 mm stands for a lesion too small to measure that was given no number.
    """
    if row.status.strip().upper() == NOT_DONE:
        return NotEvaluable(reason=row.reason.strip().lower() or "not done")
    text = "" if row.number.strip() in BLANK else row.number.strip()
    column = "TRSTRESN"
    if not text:
        if TOO_SMALL in row.original.upper() or TOO_SMALL in row.text.upper():
            return read_evidence_table("hepatica.followup.tables", "recist.toml")["too_small"].number
        text, column = (row.text or row.original).strip(), "TRSTRESC" if row.text.strip() else "TRORRES"
    if text in BLANK or text.upper() == "NE":
        return NOT_MEASURED
    try:
        value = float(text)
    except ValueError:
        report("response.size", row, column, "The size is not a number.")
        return NOT_MEASURED
    if value < 0 or not isfinite(value):
        report("response.size", row, column, "The size is negative or not finite.")
        return NOT_MEASURED
    unit = "" if row.unit.strip() in BLANK else row.unit.strip().lower()
    if unit and unit not in units:
        report("response.unit", row, "TRSTRESU", f"The unit is none of {', '.join(units)}.")
        return NOT_MEASURED
    size = value * units[unit] if unit else value
    if size > LARGEST[units is VOLUME_UNITS]:
        report("response.size", row, column, "The size is larger than a body.")
        return NOT_MEASURED
    return size


def to_state(row: ResultRow, *, report: Report) -> LesionState | None:
    """Return the state a row gives; None where it gives none."""
    if row.status.strip().upper() == NOT_DONE:
        return None
    text = (row.text or row.original).strip().upper()
    if text in BLANK or MERGED in text:
        return None
    state = STATES.get(text)
    if state is None:
        report("response.code", row, "TRSTRESC" if row.text else "TRORRES", "The state is not a known term.")
    return state


def is_merged(row: ResultRow) -> bool:
    """Whether a row says that the lesion merged with another."""
    return MERGED in row.reason.upper() or MERGED in row.text.upper() or MERGED in row.original.upper()


def check_test(row: ResultRow, *, report: Report) -> bool:
    """Whether the test of a row is a known one."""
    if row.test in _known_tests() or row.test == NEW_PROGRESSION:
        return True
    report("response.code", row, "TRTESTCD", "The test is not a term of list TRTESTCD.")
    return False


def _known_tests() -> frozenset[str]:
    return read_terms(RESULT_TEST)


def to_reading(
    tests: Mapping[str, tuple[ResultRow, float | NotEvaluable]],
    states: tuple[LesionState | None, bool],
    *,
    test: str,
) -> Reading:
    """Join what several rows say of one lesion at one visit.

    Parameters
    ----------
    tests
        Row and size by test.
    states
        State, and whether the lesion merged.
    test
        The test that counts.
    """
    state, merged = states
    size = tests[test][1] if test in tests else NOT_MEASURED
    return Reading(size=size, state=state, merged=merged)
