"""Take the patient's position from a person where the scan does not say it."""

from __future__ import annotations

from dataclasses import replace

from hepatica.core.errors import InputError
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.position import PatientPosition
from hepatica.workflows.ports import ReadImage


def check_position(stated: str) -> None:
    """Refuse a position that DICOM does not know.

    Raises
    ------
    InputError
    """
    if stated and stated.strip().upper() not in PatientPosition.__members__:
        raise InputError(
            expected=f"one of {', '.join(PatientPosition)}", given=f"'{stated}'", where="--position"
        )


def state_position(image: ReadImage, stated: str) -> ReadImage:
    """Return the scan with the stated position; a position in the header cannot be overruled.

    Parameters
    ----------
    image
        The scan as read.
    stated
        DICOM word, or empty.

    Raises
    ------
    InputError
        If the header says another position.
    """
    if not stated:
        return image
    word = stated.strip().upper()
    header = image.facts.patient_position
    if not isinstance(header, NotEvaluable):
        if header != word:
            raise InputError(
                expected=f"the position of the scan's header, {header}",
                given=word,
                where="--position",
                action="leave --position out; if the header is wrong, have it corrected at its source",
            )
        return image
    finding = Finding(
        rule="image.position_stated",
        severity=Severity.WARNING,
        message=f"The scan has no Patient Position; {word} was stated on the command line. Angles and the table side "
        "rest on it.",
    )
    return replace(
        image, facts=replace(image.facts, patient_position=word), findings=(*image.findings, finding)
    )
