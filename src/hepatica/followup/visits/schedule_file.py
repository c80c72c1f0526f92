"""Reading the rules of a schedule file strictly: every number with its unit, every key known, no circle of anchors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.provenance import digest_bytes
from hepatica.followup.protocol_numbers import Supplied, list_packaged, parse_tables, read_packaged
from hepatica.followup.visits import schedule as words
from hepatica.followup.visits.schedule import Schedule, VisitRule
from hepatica.followup.visits.spans import STEP_UNITS
from hepatica.planning.dose.section import Section

PACKAGE: Final = "hepatica.followup.tables.schedules"


def list_schedules() -> tuple[str, ...]:
    """Return the names of the packaged schedules.

    Examples
    --------
    >>> "tvec-label" in list_schedules()
    True
    """
    return list_packaged(PACKAGE)


def read_schedule(name: str, *, supplied: Supplied | None = None) -> Schedule:
    """Read a packaged schedule by name.

    Parameters
    ----------
    name
        One of `list_schedules`.
    supplied
        Numbers for what it leaves open, see `parse_schedule`.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    data = read_packaged(PACKAGE, name, kind="schedules")
    return parse_schedule(data, where=f"{name}.toml", supplied=supplied)


def parse_schedule(data: bytes, *, where: str, supplied: Supplied | None = None) -> Schedule:
    """Read a schedule file.

    Parameters
    ----------
    data
        Content of the file.
    where
        Its name, for messages.
    supplied
        Numbers for what the file leaves open, by dotted key: ``imaging.window``.

    Raises
    ------
    ProtocolError
        With place and remedy, on anything unknown, contradictory or without a unit.
    """
    tables = parse_tables(data, where=where, supplied=supplied, root="visits")
    top = Section(tables, path="", where=where)
    schedule = Schedule(
        name=top.text("name"),
        title=top.text("title"),
        agent=top.text("agent", default=""),
        rules=_build_rules(top),
        digest=digest_bytes(data),
    )
    top.finish()
    return schedule


def _build_rules(top: Section) -> tuple[VisitRule, ...]:
    home = top.section("visits", required=True)
    assert home is not None
    rules = []
    for name in home.raw:
        section = home.section(name)
        assert section is not None
        rules.append(_read_rule(section, name=name))
        section.finish()
    _check_injections(home, rules)
    _check_anchors(home, rules)
    return tuple(rules)


def _read_rule(section: Section, *, name: str) -> VisitRule:
    if name in (words.BASELINE, *words.ENDS):
        raise section.refuse("", expected="a name that is no word of its own", given=f"'{name}'")
    kind = section.choice("kind", words.KINDS)
    anchor = section.text("anchor")
    most = section.number("most", units=("",))
    before, after = _read_window(section)
    rule = VisitRule(
        name=name,
        kind=kind,
        anchor=anchor,
        at=_read_steps(section, "at"),
        intervals=_read_steps(section, "intervals"),
        every=section.number("every", units=STEP_UNITS),
        first_after_baseline=section.number("first_after_baseline", units=STEP_UNITS, zero=True),
        most=most,
        until=section.number("until", units=STEP_UNITS),
        until_anchor=section.text("until_anchor", default=""),
        before=before,
        after=after,
        ends=section.texts("ends"),
    )
    _check_rule(section, rule)
    return rule


def _read_window(section: Section) -> tuple[Evidence, Evidence]:
    if section.has("window"):
        both = section.required_number("window", units=words.WINDOW_UNITS, zero=True)
        return both, both
    before = section.required_number("window_before", units=words.WINDOW_UNITS, zero=True)
    after = section.required_number("window_after", units=words.WINDOW_UNITS, zero=True)
    return before, after


def _read_steps(section: Section, key: str) -> tuple[Evidence, ...]:
    section.sections(key)
    items = section.raw.get(key, [])
    return tuple(
        Section({str(index): item}, path=section.dotted(key), where=section.where).required_number(
            str(index), units=STEP_UNITS
        )
        for index, item in enumerate(items, 1)
    )


def _check_rule(section: Section, rule: VisitRule) -> None:
    for item in rule.evidence:
        if item.value is not None and not item.number.is_integer():
            key = item.key.removeprefix(f"{section.path}.")
            raise section.refuse(key, expected="a whole number", given=f"{item.value}")
    for word in rule.ends:
        if word not in words.ENDS:
            raise section.refuse("ends", expected=f"words of {', '.join(words.ENDS)}", given=f"'{word}'")
    if rule.rolling and rule.kind != words.INJECTION:
        raise section.refuse("anchor", expected="another anchor than the previous injection", given=rule.kind)
    if rule.rolling and (rule.at or not (rule.intervals or rule.every)):
        raise section.refuse(
            "every",
            expected="'intervals' and 'every', the steps from one to the next",
            given="'at' or nothing",
        )
    if not rule.rolling and (rule.intervals or not (rule.at or rule.every)):
        raise section.refuse(
            "every", expected="'at' and 'every', counted from the anchor", given="'intervals' or nothing"
        )
    if rule.first_after_baseline is not None and rule.kind != words.INJECTION:
        raise section.refuse("first_after_baseline", expected="it with injections only", given=rule.kind)
    known = [item for item in rule.at if item.status is not EvidenceStatus.NOT_SET]
    for earlier, later in pairwise(known):
        if earlier.unit == later.unit and earlier.number >= later.number:
            raise section.refuse(
                "at", expected="steps that rise", given=f"{earlier.number:g}, {later.number:g}"
            )
    units = {item.unit for item in (*rule.at, *([rule.every] if rule.every and rule.at else []))}
    if len({item.unit for item in known}) > 1 or ("months" in units and len(units) > 1):
        raise section.refuse("at", expected="steps in one unit, months not beside others", given="several")


def _check_injections(home: Section, rules: Sequence[VisitRule]) -> None:
    found = [rule for rule in rules if rule.kind == words.INJECTION]
    if len(found) != 1:
        raise home.refuse("", expected="one rule of kind 'injection'", given=f"{len(found)}")
    if found[0].anchor not in (words.PREVIOUS, words.FIRST):
        raise home.refuse(
            f"{found[0].name}.anchor",
            expected=f"'{words.PREVIOUS}' (delays move later ones) or '{words.FIRST}' (they do not)",
            given=f"'{found[0].anchor}'",
        )


def _check_anchors(home: Section, rules: Sequence[VisitRule]) -> None:
    once = {rule.name: rule for rule in rules if rule.once and rule.kind != words.INJECTION}
    for rule in rules:
        if rule.kind == words.INJECTION:
            allowed = [words.PREVIOUS, words.FIRST]
        else:
            allowed = [*words.DAY_ANCHORS, *(name for name in once if name != rule.name)]
        if rule.anchor not in allowed:
            raise home.refuse(
                f"{rule.name}.anchor", expected=f"one of {', '.join(allowed)}", given=f"'{rule.anchor}'"
            )
        ends = ["", words.BASELINE, words.FIRST, words.LAST_ENROLLED]
        if rule.until_anchor not in ends:
            raise home.refuse(
                f"{rule.name}.until_anchor", expected=f"one of {', '.join(ends[1:])}", given=rule.until_anchor
            )
        seen, link = {rule.name}, rule.anchor
        while link in once:
            if link in seen:
                raise home.refuse(
                    f"{rule.name}.anchor", expected="anchors that end at a day", given="a circle of visits"
                )
            seen.add(link)
            link = once[link].anchor
