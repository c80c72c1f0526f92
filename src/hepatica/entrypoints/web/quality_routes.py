"""What is still open in the data, by site."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from hepatica.entrypoints.web.depends import Context
from hepatica.entrypoints.web.rights import needs
from hepatica.workflows.conduct.quality import AGES_DAYS, measure_quality

router = APIRouter(prefix="/api", tags=["Data quality"])


class QueryAgesAnswer(BaseModel):
    """Queries of one site that are not closed."""

    site_id: str
    open_by_age: list[int]
    answered: int
    oldest_days: int | None


class SourceCountAnswer(BaseModel):
    """Items of one kind at one site, held against the source or not."""

    site_id: str
    kind: str
    items: int
    verified: int
    changed: int


class OpenEndsAnswer(BaseModel):
    """What is not locked or signed at one site."""

    site_id: str
    reads_open: int
    reads_unsigned: int
    patients_unlocked: int
    patients_unsigned: int


class QualityAnswer(BaseModel):
    """All of it; ``ages_days`` are the upper edges of the groups of ages, the last group is older."""

    ages_days: list[int]
    queries: list[QueryAgesAnswer]
    sources: list[SourceCountAnswer]
    ends: list[OpenEndsAnswer]


@router.get(
    "/quality",
    response_model=QualityAnswer,
    openapi_extra=needs(
        "query.read",
        "verification.read",
        "signature.read",
        "read.read",
        "patient.read",
        "consent.read",
        "visit.read",
        "adverse_event.read",
        "procedure.read",
    ),
)
def read_quality(context: Context) -> Any:
    """Count open queries by age, values nobody held against the source, and what is not locked or signed."""
    return {"ages_days": list(AGES_DAYS), **asdict(measure_quality(context))}
