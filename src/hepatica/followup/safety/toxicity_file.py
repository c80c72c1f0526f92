"""Reading a definition of dose-limiting toxicity strictly."""

from __future__ import annotations

from typing import Final

from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.provenance import digest_bytes
from hepatica.followup.protocol_numbers import Supplied, list_packaged, parse_tables, read_packaged
from hepatica.followup.safety.attribution import Relation
from hepatica.followup.safety.toxicity import (
    ATTRIBUTIONS,
    CATEGORIES,
    EDGES,
    ToxicityCriterion,
    ToxicityDefinition,
)
from hepatica.planning.dose.section import Section

PACKAGE: Final = "hepatica.followup.tables.dlt"


def list_definitions() -> tuple[str, ...]:
    """Return the names of the packaged definitions.

    Examples
    --------
    >>> "pv10-liver" in list_definitions()
    True
    """
    return list_packaged(PACKAGE)


def read_definition(name: str, *, supplied: Supplied | None = None) -> ToxicityDefinition:
    """Read a packaged definition by name.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    data = read_packaged(PACKAGE, name, kind="definitions of dose-limiting toxicity")
    return parse_definition(data, where=f"{name}.toml", supplied=supplied)


def parse_definition(data: bytes, *, where: str, supplied: Supplied | None = None) -> ToxicityDefinition:
    """Read a definition file.

    Parameters
    ----------
    data
        Content of the file.
    where
        Its name, for messages.
    supplied
        What the file leaves open, by dotted key: ``attribution``, ``criteria.grade.grade_min``.

    Raises
    ------
    ProtocolError
        With place and remedy, on anything unknown or contradictory.
    """
    top = Section(parse_tables(data, where=where, supplied=supplied), path="", where=where)
    evaluable = top.section("evaluable", required=True)
    assert evaluable is not None
    window = top.required_number("window", units=("days",))
    if window.edge not in EDGES:
        raise top.refuse(
            "window.edge", expected="'<' (days 1 to the number) or '<='", given=f"'{window.edge}'"
        )
    definition = ToxicityDefinition(
        name=top.text("name"),
        title=top.text("title"),
        window=_whole(top, window),
        attribution=_need_words(top, "attribution", allowed=ATTRIBUTIONS),
        related=_read_related(top),
        haematological_terms=top.words("haematological_terms"),
        criteria=_read_criteria(top),
        injections_min=_read_count(evaluable, "injections_min"),
        replace=_read_flag(evaluable, "replace"),
        digest=digest_bytes(data),
    )
    evaluable.finish()
    top.finish()
    apart = any(criterion.category != "any" for criterion in definition.criteria)
    if apart and definition.haematological_terms is None:
        raise top.refuse("haematological_terms", expected="the terms of blood counts", given="nothing")
    return definition


def _need_words(section: Section, key: str, *, allowed: tuple[str, ...]) -> Evidence:
    found = section.words(key, allowed=allowed)
    if found is None:
        raise section.refuse(key, expected='a text, or status = "not set"', given="nothing")
    return found


def _read_related(top: Section) -> Evidence:
    found = top.words("related")
    if found is None:
        raise top.refuse("related", expected="the relations that count", given="nothing")
    words = [] if found.value is None else [word.strip() for word in str(found.value).split(",")]
    known = [str(relation) for relation in Relation if relation is not Relation.UNKNOWN]
    for word in words:
        if word not in known:
            raise top.refuse("related", expected=f"words of {', '.join(known)}", given=f"'{word}'")
    return found


def _read_criteria(top: Section) -> tuple[ToxicityCriterion, ...]:
    home = top.section("criteria", required=True)
    assert home is not None
    found = []
    for name in home.raw:
        section = home.section(name)
        assert section is not None
        lasting = section.number("lasting_min", units=("days",))
        criterion = ToxicityCriterion(
            name=name,
            title=section.text("title"),
            category=section.choice("category", CATEGORIES),
            grade_min=_read_grade(section),
            terms=tuple(term.casefold() for term in section.texts("terms")),
            excluded_terms=tuple(term.casefold() for term in section.texts("excluded_terms")),
            lasting_min=None if lasting is None else _whole(section, lasting),
        )
        section.finish()
        found.append(criterion)
    if not found:
        raise top.refuse("criteria", expected="at least one criterion", given="none")
    return tuple(found)


def _read_grade(section: Section) -> Evidence:
    found = _whole(section, section.required_number("grade_min", units=("",)))
    if found.value is not None and not 1 <= found.number <= 5:
        raise section.refuse("grade_min", expected="a grade from 1 to 5", given=f"{found.value}")
    return found


def _read_count(section: Section, key: str) -> Evidence | None:
    found = section.number(key, units=("",), zero=True)
    return None if found is None else _whole(section, found)


def _read_flag(section: Section, key: str) -> Evidence:
    found = section.evidence(key)
    if found is None or not (found.status is EvidenceStatus.NOT_SET or isinstance(found.value, bool)):
        given = "nothing" if found is None else repr(found.value)
        raise section.refuse(key, expected='true, false, or status = "not set"', given=given)
    return found


def _whole(section: Section, found: Evidence) -> Evidence:
    if found.value is not None and not found.number.is_integer():
        raise section.refuse(found.key, expected="a whole number", given=f"{found.value}")
    return found
