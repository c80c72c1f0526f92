"""From courses to rows of SDTM TU and TR, so that lesions measured elsewhere leave as a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from hepatica.core.findings import NotEvaluable
from hepatica.followup.records import NO_ROW, NOT_MEASURED, Reading, TrackedLesion, Visit
from hepatica.followup.verdict import Criterion
from hepatica.followup.words import LesionState
from hepatica.workflows.derive_response import EvaluatedCourse

SIZES: Final = {
    Criterion.VOLUMETRIC: ("VOLUME", "Volume", "mm3"),
    Criterion.MRECIST: ("VDIAM", "Viable Diameter", "mm"),
}
LONG_AXIS: Final = ("LDIAM", "Longest Diameter", "mm")
SHORT_AXIS: Final = ("LPERP", "Longest Perpendicular", "mm")
STATE: Final = ("TUMSTATE", "Tumor State", "")
NEW_DOUBT: Final = ("NEWLPROG", "New Lesion Progression", "")
NODE_WORD: Final = "LYMPH NODE"
MERGED: Final = "TUMOR MERGED"


def to_tumour_tables(
    courses: Iterable[EvaluatedCourse], *, criterion: Criterion = Criterion.RECIST
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of TU and TR.

    Parameters
    ----------
    courses
        One for each subject and evaluator; one without records makes no row.
    criterion
        Decides the test that carries the sizes.

    Returns
    -------
    tu, tr
        Rows as `hepatica.adapters.cdisc.dataset_writer.write_dataset` takes them.
    """
    tu: list[dict[str, Any]] = []
    tr: list[dict[str, Any]] = []
    counts: dict[str, tuple[int, int]] = {}
    for course in courses:
        if course.course is None:
            continue
        lesions, results = counts.get(course.subject, (0, 0))
        for row in _list_lesions(course):
            lesions += 1
            tu.append({**row, "TUSEQ": lesions})
        for row in _list_results(course, criterion):
            results += 1
            tr.append({**row, "TRSEQ": results})
        counts[course.subject] = (lesions, results)
    return tu, tr


def _place(course: EvaluatedCourse, visit: Visit, prefix: str) -> dict[str, Any]:
    day = course.study_days.get(visit.number, "")
    return {
        "STUDYID": course.study,
        "DOMAIN": prefix,
        "USUBJID": course.subject,
        f"{prefix}EVAL": course.evaluator,
        f"{prefix}EVALID": course.evaluator_id,
        "VISITNUM": visit.number,
        "VISIT": visit.name,
        f"{prefix}DTC": visit.date.text,
        f"{prefix}DY": int(day) if day else None,
    }


def _list_lesions(course: EvaluatedCourse) -> Iterator[dict[str, Any]]:
    assert course.course is not None
    visits = (course.course.baseline, *course.course.follow_ups)
    for visit in visits:
        for lesion in course.course.lesions:
            first = visit is visits[0] if not lesion.role.is_new else lesion.lesion_id in visit.new_lesions
            if first:
                yield {
                    **_place(course, visit, "TU"),
                    "TULNKID": lesion.lesion_id,
                    "TUTESTCD": "TUMIDENT",
                    "TUTEST": "Tumor Identification",
                    "TUORRES": str(lesion.role),
                    "TUSTRESC": str(lesion.role),
                    "TULOC": _name_site(lesion),
                }


def _name_site(lesion: TrackedLesion) -> str:
    if lesion.is_node and NODE_WORD not in lesion.site.upper():
        return f"{NODE_WORD}, {lesion.site}" if lesion.site else NODE_WORD
    return lesion.site


def _list_results(course: EvaluatedCourse, criterion: Criterion) -> Iterator[dict[str, Any]]:
    assert course.course is not None
    nodes = {lesion.lesion_id for lesion in course.course.lesions if lesion.is_node}
    for visit in (course.course.baseline, *course.course.follow_ups):
        place = _place(course, visit, "TR")
        for lesion_id, reading in visit.readings.items():
            size = SIZES.get(criterion, SHORT_AXIS if lesion_id in nodes else LONG_AXIS)
            if criterion is Criterion.MRECIST and lesion_id in nodes:
                size = SHORT_AXIS
            for test, cells in _list_cells(reading, size):
                yield {**place, "TRLNKID": lesion_id, "TRTESTCD": test[0], "TRTEST": test[1], **cells}
        for lesion_id in sorted(visit.equivocal_lesions):
            cells = {"TRORRES": "EQUIVOCAL", "TRSTRESC": "EQUIVOCAL"}
            yield {
                **place, "TRLNKID": lesion_id, "TRTESTCD": NEW_DOUBT[0], "TRTEST": NEW_DOUBT[1], **cells
            }  # fmt: skip


def _list_cells(
    reading: Reading, size: tuple[str, str, str]
) -> Iterator[tuple[tuple[str, str, str], dict[str, Any]]]:
    if isinstance(reading.size, float):
        text = f"{reading.size:.6f}".rstrip("0").rstrip(".")
        yield size, {
            "TRORRES": text, "TRORRESU": size[2], "TRSTRESC": text, "TRSTRESN": reading.size,
            "TRSTRESU": size[2],
        }  # fmt: skip
    elif reading.merged:
        yield size, {"TRSTAT": "NOT DONE", "TRREASND": MERGED}
    elif isinstance(reading.size, NotEvaluable) and reading.size not in (NOT_MEASURED, NO_ROW):
        yield size, {"TRSTAT": "NOT DONE", "TRREASND": reading.size.reason.upper()[:200]}
    elif reading.state is None:
        yield size, {"TRSTAT": "NOT DONE"}
    if reading.state is not None:
        word = "INCREASED" if reading.state is LesionState.GROWN else str(reading.state)
        yield STATE, {"TRORRES": word, "TRSTRESC": word}
