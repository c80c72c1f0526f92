"""Inputs by role: what refusals and findings call them, because a file name may hold a person's name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from hepatica.core.errors import CancelledError, HepaticaError
from hepatica.core.findings import Finding

PLANNING_SCAN: Final = "the planning scan"
SECOND_PHASE: Final = "the second phase"
PATIENT_FACTS: Final = "the patient facts"
PROTOCOL: Final = "the protocol file"
NEEDLES: Final = "the needles file"


@contextmanager
def name_input(role: str) -> Iterator[None]:
    """Let every refusal inside the block say which input it is about.

    Examples
    --------
    >>> from hepatica.core.errors import EmptyLabelError
    >>> with name_input("labels[0]"):
    ...     raise EmptyLabelError(expected="a labelled voxel", given="none")
    Traceback (most recent call last):
    hepatica.core.errors.EmptyLabelError: expected a labelled voxel; given none; where: labels[0]
    """
    try:
        yield
    except CancelledError:
        raise
    except HepaticaError as error:
        error.place(role)
        raise


def name_findings(findings: Iterable[Finding], role: str) -> tuple[Finding, ...]:
    """Return a reader's findings with the input they are about before their subject."""
    return tuple(replace(f, subject=f"{role}, {f.subject}" if f.subject else role) for f in findings)
