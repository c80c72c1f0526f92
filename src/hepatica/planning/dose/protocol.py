"""A dose protocol: who gets how much, in which order, how often, and what has to be printed beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hepatica.core.errors import NotSetError, ProtocolError
from hepatica.core.evidence import Evidence, EvidenceStatus, read_evidence_table
from hepatica.planning.dose.document import (
    LEVEL_MARK,
    ProtocolDocument,
    list_packaged,
    parse_document,
    read_packaged,
)
from hepatica.planning.dose.rules.rule import AMOUNT_UNIT, VolumeRule, find_families
from hepatica.planning.dose.section import Section

ORDERS: Final = ("largest first", "new first, then largest")
OTHER_SITES: Final = ("warn", "exclude")
NOTICE_KINDS: Final = (
    "off label", "not the liver protocol", "hepatic haemorrhage", "biosafety", "evidence", "practice",
    "incomplete",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A line that has to be printed with every plan.

    Parameters
    ----------
    kind
        One of `NOTICE_KINDS`.
    evidence
        Text, source and status.
    """

    kind: str
    evidence: Evidence

    @property
    def line(self) -> str:
        """The line as printed; *unverified* where nobody has checked it."""
        mark = " (unverified)" if self.evidence.unverified else ""
        return f"{self.evidence.value}{mark}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRow:
    """What holds from one visit to another.

    Parameters
    ----------
    first, last
        Visit numbers; ``last`` is None for "and all later ones".
    label
        How the vial is told apart, for example by its cap.
    concentration
        Strength; None where the agent is counted in millilitres.
    vial
        Volume of one vial; None where the source gives none.
    ceiling
        Most that all lesions together may get; None where the protocol gives none.
    interval, window, interval_latest
        Days since the visit before, tolerance to both sides, and the latest day permitted.
    """

    first: int
    last: int | None
    label: str
    concentration: Evidence | None
    vial: Evidence | None
    ceiling: Evidence | None
    interval: Evidence | None
    window: Evidence | None
    interval_latest: Evidence | None

    def holds(self, visit: int) -> bool:
        """Whether a visit falls into this row."""
        return self.first <= visit and (self.last is None or visit <= self.last)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Every number of the row."""
        numbers = (
            self.concentration,
            self.vial,
            self.ceiling,
            self.interval,
            self.window,
            self.interval_latest,
        )
        return tuple(item for item in numbers if item is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionLimits:
    """How many lesions of which size; None where the protocol gives no limit."""

    most: Evidence | None
    least: Evidence | None
    longest_diameter_min: Evidence | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRule:
    """Where lesions may lie.

    Parameters
    ----------
    injected
        Sites of the protocol.
    others
        ``warn``: other sites are allocated with a finding; ``exclude``: they get nothing.
    priority
        Sites in order of priority; sites not named come last, together.
    spill_over_from_visit
        First visit at which sites after the first priority may take what is left; None without such a rule.
    """

    injected: tuple[str, ...]
    others: str
    priority: tuple[str, ...]
    spill_over_from_visit: Evidence | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A dose protocol, read and checked.

    Parameters
    ----------
    name, title, agent
        File name without ending, title and agent.
    ingredients
        Names under which a patient may be allergic to it.
    sites, lesions, visits, rule
        Where, how many, when and how much.
    order_first, order_later
        Order of injection at the first and at later visits: one of `ORDERS`, as evidence.
    visits_most
        Number of visits; None where open.
    eligibility
        Limit of each criterion the protocol uses, by criterion.
    dlt_window, dlt_definition
        Dose-limiting toxicity; None where the protocol says nothing.
    stopping
        Rules that end or pause treatment, as text.
    printed
        What has to be printed, with sources; `notices` gives the lines.
    level, levels
        Level chosen and levels to choose from.
    digest
        SHA-256 of the file, for the manifest.

    Examples
    --------
    >>> protocol = read_protocol("tvec-label")
    >>> protocol.visit_row(1).concentration.number
    1000000.0
    """

    name: str
    title: str
    agent: str
    ingredients: tuple[str, ...]
    sites: SiteRule
    lesions: LesionLimits
    visits: tuple[VisitRow, ...]
    rule: VolumeRule
    order_first: Evidence
    order_later: Evidence
    visits_most: Evidence | None
    eligibility: Mapping[str, Evidence]
    dlt_window: Evidence | None
    dlt_definition: Evidence | None
    stopping: tuple[Evidence, ...]
    printed: tuple[Notice, ...]
    level: str
    levels: tuple[str, ...]
    digest: str

    @classmethod
    def from_toml(cls, data: bytes, *, where: str, level: str = "") -> Protocol:
        """Read a protocol file.

        Parameters
        ----------
        data
            Content of the file.
        where
            Its name, for messages.
        level
            One of the file's levels.

        Raises
        ------
        ProtocolError
            With place and remedy, on anything unknown, contradictory or without a unit.
        NotFoundError
            If the level, or the protocol it extends, does not exist.
        """
        return _build(parse_document(data, where=where, level=level), where=where)

    @property
    def evidence(self) -> Iterator[Evidence]:
        """Every number and coded rule of the protocol."""
        optional = (
            self.sites.spill_over_from_visit, self.lesions.most, self.lesions.least,
            self.lesions.longest_diameter_min, self.visits_most, self.dlt_window, self.dlt_definition,
        )  # fmt: skip
        yield from (item for item in optional if item is not None)
        yield from (self.order_first, self.order_later, *self.rule.evidence)
        for row in self.visits:
            yield from row.evidence
        yield from self.eligibility.values()
        yield from self.stopping
        yield from (notice.evidence for notice in self.printed)

    @property
    def notices(self) -> tuple[str, ...]:
        """Lines to print with every plan."""
        return tuple(notice.line for notice in self.printed)

    def visit_row(self, visit: int) -> VisitRow:
        """Return what holds at a visit.

        Raises
        ------
        ProtocolError
            If the protocol has no such visit.
        """
        for row in self.visits:
            if row.holds(visit):
                return row
        raise ProtocolError(
            expected=f"a visit from 1 to {self.visits[-1].last}",
            given=f"visit {visit}",
            where=f"protocol '{self.name}'",
            action="check the visit number",
        )

    def missing_for(self, visit: int) -> tuple[str, ...]:
        """Return the dotted names of all numbers that have to be supplied before a dose can be planned."""
        row = self.visit_row(visit)
        missing = list(self.rule.missing)
        cap = self.rule.cap_for_visit(visit)
        needed = [row.ceiling, cap, row.concentration if self.rule.needs_concentration() else None]
        missing += [item.key for item in needed if item is not None and item.status is EvidenceStatus.NOT_SET]
        return tuple(dict.fromkeys(missing))

    def require_set(self, visit: int) -> None:
        """Refuse to plan while a number of the dose is not set.

        Raises
        ------
        NotSetError
            Naming every missing number and the lines that supply it.
        """
        missing = self.missing_for(visit)
        if not missing:
            return
        if self.levels and not self.level:
            action = "choose a level: " + ", ".join(
                f"'{self.name}{LEVEL_MARK}{level}'" for level in self.levels
            )
        else:
            action = "supply them in a protocol file that begins with\n" + self._supply_lines(
                missing, self.visit_row(visit).concentration
            )
        raise NotSetError(
            expected=f"values for {', '.join(missing)}",
            given="not set: no source read gives them, and Hepatica does not invent clinical numbers",
            where=f"protocol '{self.name}', visit {visit}",
            action=action,
        )

    def _supply_lines(self, missing: tuple[str, ...], strength: Evidence | None) -> str:
        units = {item.key: item.unit for item in self.evidence}
        base = f"{self.name}{LEVEL_MARK}{self.level}" if self.level else self.name
        lines = [f'extends = "{base}"', 'name = "..."', 'title = "..."']
        if strength is not None and strength.value is None and strength.key not in missing:
            missing = (*missing, strength.key)
        for key in missing:
            if key.endswith("bands"):
                volume = 'volume = { value = ?, unit = "ml", source = "...", status = "verified" }'
                lines += [
                    f'[[{key}]]  # smallest lesions first',
                    'upper = { value = ?, unit = "cm", edge = "<=", source = "...", status = "verified" }',
                    volume,
                    f'[[{key}]]  # one such block for each further size; leave out upper in the last',
                    'lower = { value = ?, unit = "cm", edge = ">", source = "...", status = "verified" }',
                    volume,
                ]  # fmt: skip
            else:
                lines += [
                    f"[{key}]",
                    f'value = ?\nunit = "{units.get(key, "")}"\nsource = "..."\nstatus = "verified"',
                ]
        return "\n".join(lines)


def list_protocols() -> tuple[str, ...]:
    """Return the names of the packaged protocols; levels are in `Protocol.levels`.

    Examples
    --------
    >>> "tvec-label" in list_protocols()
    True
    """
    return list_packaged()


def read_protocol(name: str) -> Protocol:
    """Read a packaged protocol.

    Parameters
    ----------
    name
        ``name`` or ``name:level``, for example ``nbtxr3-liver:22-percent``.

    Raises
    ------
    NotFoundError
        If there is no such protocol or level.
    """
    return _build(read_packaged(name), where=f"{name.partition(LEVEL_MARK)[0]}.toml")


def _build(document: ProtocolDocument, *, where: str) -> Protocol:
    top = Section(
        {key: value for key, value in document.tables.items() if key != "levels"}, path="", where=where
    )
    order = _need(top, "order")
    limits = top.section("lesions") or Section({}, path="lesions", where=where)
    schedule = top.section("schedule") or Section({}, path="schedule", where=where)
    toxicity = top.section("dlt") or Section({}, path="dlt", where=where)
    visits_most = schedule.number("visits_most", units=("",))
    protocol = Protocol(
        name=top.text("name"),
        title=top.text("title"),
        agent=top.text("agent"),
        ingredients=top.texts("ingredients"),
        sites=_read_sites(_need(top, "sites")),
        lesions=LesionLimits(
            most=limits.number("most", units=("",)),
            least=limits.number("least", units=("",)),
            longest_diameter_min=limits.number("longest_diameter_min", units=("cm", "mm")),
        ),
        visits=_read_visits(_need(top, "visits"), visits_most=visits_most),
        rule=_read_rule(_need(top, "rule")),
        order_first=_read_order(order, "first_visit"),
        order_later=_read_order(order, "later_visits"),
        visits_most=visits_most,
        eligibility=_read_eligibility(top.section("eligibility")),
        dlt_window=toxicity.number("window", units=("days",)),
        dlt_definition=toxicity.words("definition"),
        stopping=tuple(_read_stopping(row) for row in top.sections("stopping")),
        printed=tuple(_read_notice(row) for row in top.sections("notices")),
        level=document.level,
        levels=document.levels,
        digest=document.digest,
    )
    for section in (order, limits, schedule, toxicity, top):
        section.finish()
    return protocol


def _need(section: Section, key: str) -> Section:
    found = section.section(key, required=True)
    assert found is not None
    return found


def _read_order(section: Section, key: str) -> Evidence:
    order = section.words(key, allowed=ORDERS)
    if order is None or order.value is None:
        raise section.refuse(key, expected=f"one of {', '.join(ORDERS)}", given="nothing")
    return order


def _read_sites(section: Section) -> SiteRule:
    rule = SiteRule(
        injected=section.texts("injected"),
        others=section.choice("others", OTHER_SITES),
        priority=section.texts("priority"),
        spill_over_from_visit=section.number("spill_over_from_visit", units=("",)),
    )
    if not rule.injected:
        raise section.refuse("injected", expected="at least one site", given="none")
    if rule.spill_over_from_visit is not None and not rule.priority:
        raise section.refuse("priority", expected="the site that keeps priority", given="none")
    section.finish()
    return rule


def _read_rule(section: Section) -> VolumeRule:
    families = find_families()
    family = section.choice("family", sorted(families))
    rule = families[family].from_section(section)
    section.finish()
    return rule


def _read_visits(section: Section, *, visits_most: Evidence | None) -> tuple[VisitRow, ...]:
    rows = []
    for key in section.raw:
        inner = _need(section, key)
        rows.append(_read_visit(inner))
        inner.finish()
    rows.sort(key=lambda row: row.first)
    expected_first: int | None = 1
    for row in rows:
        if expected_first is None or row.first != expected_first:
            raise ProtocolError(
                expected=f"a strength for visit {expected_first}"
                if expected_first
                else "no row after an open one",
                given=f"a row that begins at visit {row.first}",
                where=f"{section.where} [{section.path}]",
                action="let every visit lie in exactly one row",
            )
        expected_first = None if row.last is None else row.last + 1
    most = visits_most.value if visits_most is not None else None
    if not rows or (rows[-1].last is not None and rows[-1].last != most):
        raise ProtocolError(
            expected="a last row without 'last', or one that ends at schedule.visits_most",
            given=f"last visit {rows[-1].last}, visits_most {most}" if rows else "no row",
            where=f"{section.where} [{section.path}]",
            action="a visit without a strength cannot be planned",
        )
    if rows[-1].last is None and isinstance(most, int | float):
        rows[-1] = replace(rows[-1], last=int(most))
    return tuple(rows)


def _read_visit(row: Section) -> VisitRow:
    first = row.count("first")
    last = row.count("last")
    if first is None or (last is not None and last < first):
        raise row.refuse(
            "first", expected="first visit of the row, not after its last", given=f"{first} to {last}"
        )
    agent_in_ml = row.text("strength", default="") == "as supplied"
    concentration = row.number("concentration", units=tuple(AMOUNT_UNIT))
    if (concentration is None) != agent_in_ml:
        raise row.refuse(
            "concentration",
            expected='a concentration (or its status "not set"), or strength = "as supplied" without one',
            given="both" if agent_in_ml else "neither",
        )
    return VisitRow(
        first=first,
        last=last,
        label=row.text("label", default=""),
        concentration=concentration,
        vial=row.number("vial", units=("ml",)),
        ceiling=row.number("ceiling", units=("ml",)),
        interval=row.number("interval", units=("days",)),
        window=row.number("window", units=("days",), zero=True),
        interval_latest=row.number("interval_latest", units=("days",)),
    )


def _read_eligibility(section: Section | None) -> dict[str, Evidence]:
    """Read the protocol's own limits, and the standard ones it uses by name."""
    if section is None:
        return {}
    standard = read_evidence_table("hepatica.planning.tables", "criteria.toml")
    limits: dict[str, Evidence] = {}
    for key in section.texts("uses"):
        if key not in standard.entries:
            raise section.refuse("uses", expected=f"one of {', '.join(standard.entries)}", given=f"'{key}'")
        limits[key] = standard[key]
    for key in section.raw:
        if key == "uses":
            continue
        evidence = section.evidence(key)
        if key not in standard.entries:
            raise section.refuse(key, expected=f"one of {', '.join(standard.entries)}", given=f"'{key}'")
        if evidence is not None:
            known = standard[key]
            if evidence.unit != known.unit or (evidence.value is not None and evidence.edge != known.edge):
                raise section.refuse(
                    key,
                    expected=f"unit '{known.unit}' and edge '{known.edge}'",
                    given=f"unit '{evidence.unit}' and edge '{evidence.edge}'",
                )
            limits[key] = evidence
    section.finish()
    return limits


def _read_notice(row: Section) -> Notice:
    text = row.words("text")
    if text is None or text.value is None:
        raise row.refuse("text", expected="a text with its source", given="nothing")
    notice = Notice(kind=row.choice("kind", NOTICE_KINDS), evidence=text)
    row.finish()
    return notice


def _read_stopping(row: Section) -> Evidence:
    text = row.words("text")
    if text is None:
        raise row.refuse("text", expected="a text with its source", given="nothing")
    row.finish()
    return text
