"""A dose protocol: who gets how much, in which order, how often, and what has to be printed beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hepatica.core.errors import NotSetError, ProtocolError
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.planning.dose.document import (
    LEVEL_MARK,
    ProtocolDocument,
    list_packaged,
    parse_document,
    read_packaged,
)
from hepatica.planning.dose.protocol_parts import (
    LesionLimits,
    Notice,
    SiteRule,
    VisitRow,
    need_section,
    read_eligibility,
    read_notice,
    read_order,
    read_rule,
    read_sites,
    read_stopping,
    read_visits,
)
from hepatica.planning.dose.rules.rule import VolumeRule
from hepatica.planning.dose.section import Section


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
        Order of injection at the first and at later visits: one of `protocol_parts.ORDERS`, as evidence.
    visits_most
        Number of visits; None where open.
    eligibility
        Limit of each criterion the protocol uses, by criterion.
    dlt_window, dlt_definition
        Dose-limiting toxicity; None where the protocol says nothing.
    stopping
        Rules that end or pause treatment, as text.
    injection_rate
        Rate of injection, mL/min; None where the protocol says nothing.
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
    injection_rate: Evidence | None = None

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
            self.injection_rate,
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
    order = need_section(top, "order")
    limits = top.section("lesions") or Section({}, path="lesions", where=where)
    schedule = top.section("schedule") or Section({}, path="schedule", where=where)
    injection = top.section("injection") or Section({}, path="injection", where=where)
    toxicity = top.section("dlt") or Section({}, path="dlt", where=where)
    visits_most = schedule.number("visits_most", units=("",))
    protocol = Protocol(
        name=top.text("name"),
        title=top.text("title"),
        agent=top.text("agent"),
        ingredients=top.texts("ingredients"),
        sites=read_sites(need_section(top, "sites")),
        lesions=LesionLimits(
            most=limits.number("most", units=("",)),
            least=limits.number("least", units=("",)),
            longest_diameter_min=limits.number("longest_diameter_min", units=("cm", "mm")),
        ),
        visits=read_visits(need_section(top, "visits"), visits_most=visits_most),
        rule=read_rule(need_section(top, "rule")),
        order_first=read_order(order, "first_visit"),
        order_later=read_order(order, "later_visits"),
        visits_most=visits_most,
        eligibility=read_eligibility(top.section("eligibility")),
        dlt_window=toxicity.number("window", units=("days",)),
        dlt_definition=toxicity.words("definition"),
        stopping=tuple(read_stopping(row) for row in top.sections("stopping")),
        printed=tuple(read_notice(row) for row in top.sections("notices")),
        level=document.level,
        levels=document.levels,
        digest=document.digest,
        injection_rate=injection.number("rate", units=("ml_per_min",)),
    )
    for section in (order, limits, schedule, injection, toxicity, top):
        section.finish()
    return protocol
