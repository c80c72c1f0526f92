"""What a PACS answers, as plain values, and whether it is all of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hepatica.adapters.dicom.headers import to_numbers, to_text
from hepatica.adapters.dicom.pacs_config import STUDIES_MAX, is_uid
from hepatica.core.errors import PacsError
from hepatica.workflows.scan_ports import FoundStudy, StudyQuery


def read_study(dataset: Any) -> FoundStudy:
    """Return one answer of a search.

    Parameters
    ----------
    dataset
        As the PACS gave it.
    """
    modalities = to_text(dataset, "ModalitiesInStudy", length=256)
    return FoundStudy(
        study_uid=to_text(dataset, "StudyInstanceUID"),
        study_date=_to_day(to_text(dataset, "StudyDate")),
        modalities=tuple(part for part in modalities.split("\\") if part),
        description=to_text(dataset, "StudyDescription"),
        series_count=_to_count(dataset, "NumberOfStudyRelatedSeries"),
        image_count=_to_count(dataset, "NumberOfStudyRelatedInstances"),
        patient_name=to_text(dataset, "PatientName", length=256),
        patient_number=to_text(dataset, "PatientID"),
        birth_date=_to_day(to_text(dataset, "PatientBirthDate")),
    )


def sort_studies(found: Iterable[FoundStudy], query: StudyQuery) -> tuple[FoundStudy, ...]:
    """Return the answers that fit, newest first: a PACS may ignore what it does not know how to match.

    Parameters
    ----------
    found
        Answers.
    query
        What was asked.
    """
    fitting = [study for study in found if is_uid(study.study_uid) and _fits(study, query)]
    return tuple(sorted(fitting, key=lambda study: study.study_date, reverse=True))[:STUDIES_MAX]


def require_whole(came: set[str], listed: frozenset[str], *, name: str) -> None:
    """Refuse a study of which something is missing.

    Raises
    ------
    PacsError
        If the PACS listed other objects than it sent, or none.
    """
    if not listed or came != listed:
        raise PacsError(
            expected=f"the {len(listed)} objects that the PACS lists" if listed else "a study of the PACS",
            given=f"{len(came & listed)} of them" if listed else "no object",
            where=f"PACS '{name}', fetch",
            action="try again; nothing was imported",
        )


def _fits(study: FoundStudy, query: StudyQuery) -> bool:
    return (
        (not query.patient_number or study.patient_number == query.patient_number)
        and (not query.study_uid or study.study_uid == query.study_uid)
        and (not query.modality or not study.modalities or query.modality in study.modalities)
        and (not query.from_date or not study.study_date or study.study_date >= query.from_date)
        and (not query.to_date or not study.study_date or study.study_date <= query.to_date)
    )


def _to_day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdigit() else ""


def _to_count(dataset: Any, keyword: str) -> int | None:
    numbers = to_numbers(dataset, keyword, 1)
    return int(numbers[0]) if numbers else None
