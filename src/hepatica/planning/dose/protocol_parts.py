"""The parts of a dose protocol, and how each is read from its table of the file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from hepatica.core.errors import ProtocolError
from hepatica.core.evidence import Evidence, read_evidence_table
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


def need_section(section: Section, key: str) -> Section:
    """Return a table that has to be there."""
    found = section.section(key, required=True)
    assert found is not None
    return found


def read_order(section: Section, key: str) -> Evidence:
    """Read an order of injection."""
    order = section.words(key, allowed=ORDERS)
    if order is None or order.value is None:
        raise section.refuse(key, expected=f"one of {', '.join(ORDERS)}", given="nothing")
    return order


def read_sites(section: Section) -> SiteRule:
    """Read where lesions may lie."""
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


def read_rule(section: Section) -> VolumeRule:
    """Read the rule with the family it names."""
    families = find_families()
    family = section.choice("family", sorted(families))
    rule = families[family].from_section(section)
    section.finish()
    return rule


def read_visits(section: Section, *, visits_most: Evidence | None) -> tuple[VisitRow, ...]:
    """Read the visits: every visit in exactly one row."""
    rows = []
    for key in section.raw:
        inner = need_section(section, key)
        rows.append(read_visit(inner))
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


def read_visit(row: Section) -> VisitRow:
    """Read one row of visits."""
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


def read_eligibility(section: Section | None) -> dict[str, Evidence]:
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


def read_notice(row: Section) -> Notice:
    """Read a line to print."""
    text = row.words("text")
    if text is None or text.value is None:
        raise row.refuse("text", expected="a text with its source", given="nothing")
    notice = Notice(kind=row.choice("kind", NOTICE_KINDS), evidence=text)
    row.finish()
    return notice


def read_stopping(row: Section) -> Evidence:
    """Read a stopping rule."""
    text = row.words("text")
    if text is None:
        raise row.refuse("text", expected="a text with its source", given="nothing")
    row.finish()
    return text
