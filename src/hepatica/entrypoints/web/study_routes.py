"""What a protocol version can be entered with."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from hepatica.entrypoints.web.depends import Context
from hepatica.entrypoints.web.models import Strict
from hepatica.entrypoints.web.rights import needs
from hepatica.workflows.study_choices import RIGHT, check_study, list_study_choices

router = APIRouter(prefix="/api", tags=["Trial"])


class OpenPlace(BaseModel):
    """What a file leaves to the protocol: a number, or one of some words."""

    key: str
    unit: str
    words: list[str]
    needed: bool


class Titled(BaseModel):
    """A choice by name."""

    name: str
    title: str


class WithOpenPlaces(Titled):
    """A schedule or definition."""

    open: list[OpenPlace]


class DesignChoice(BaseModel):
    """An escalation design, and what it cannot do without."""

    name: str
    needs_target: bool
    needs_skeleton: bool


class StudyChoices(BaseModel):
    """What a protocol version can name."""

    protocols: list[Titled]
    schedules: list[WithOpenPlaces]
    definitions: list[WithOpenPlaces]
    designs: list[DesignChoice]


class StudyValues(Strict):
    """A protocol version that is about to be entered."""

    values: dict[str, Any]


class StudyCheck(BaseModel):
    """Why it could not be used; empty where it can."""

    problems: list[str]


@router.get("/study-choices", response_model=StudyChoices, openapi_extra=needs(RIGHT))
def read_choices(context: Context) -> Any:
    """Return dose protocols, visit schedules, definitions of dose-limiting toxicity and escalation designs."""
    return list_study_choices(context)


@router.post("/study-check", response_model=StudyCheck, openapi_extra=needs(RIGHT))
def check(body: StudyValues, context: Context) -> Any:
    """Say whether a protocol version could be used, before it is entered; changes nothing."""
    return StudyCheck(problems=check_study(context, body.values))
