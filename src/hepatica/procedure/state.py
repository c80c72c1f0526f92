"""The day as a state machine over its entries: where it stands, what may come next, what is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hepatica.core.findings import Finding, Severity
from hepatica.procedure.compare import Comparison, Performed, compare_day
from hepatica.procedure.entry import VOID, Entry, check_entry
from hepatica.procedure.entry_kind import EntryKind, Phase, read_entry_kinds, read_gates
from hepatica.procedure.planned import PlannedDay
from hepatica.procedure.settings import DaySettings
from hepatica.procedure.settle import Settled, settle_entries
from hepatica.procedure.supply import Supply, derive_supply
from hepatica.procedure.watch import SedationSpan, derive_sedation

SOURCE: Final = "order of the day, tables of hepatica.procedure"
AT_THE_END: Final = frozenset({"reasons", "balance", "conflicts"})
"""Checks that follow from the whole day, not from what came before an entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCheck:
    """Something that is not done yet.

    Parameters
    ----------
    name, text
        Word and words.
    blocks
        Kinds of entry that wait for it.
    """

    name: str
    text: str
    blocks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NextEntry:
    """Whether a kind of entry belongs now.

    Parameters
    ----------
    kind
        Its word.
    allowed
        Whether it does.
    reasons
        Why not.
    """

    kind: str
    allowed: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle:
    """One needle of the day.

    Parameters
    ----------
    needle_id, puncture_id
        Name, and planned puncture; empty for none.
    is_in
        Whether it is in the patient.
    dead_space_ml
        As entered, or as planned; None where neither is known.
    track_sealing, flushed
        As entered at its removal.
    """

    needle_id: str
    puncture_id: str
    is_in: bool
    dead_space_ml: float | None
    track_sealing: str = ""
    flushed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DayState:
    """Where a day stands.

    Parameters
    ----------
    phase
        Of the state machine.
    settled
        Entries that hold, those they replaced, and conflicts.
    needles
        By name.
    supply
        Vials and syringes.
    sedations
        With the vital signs recorded.
    comparison
        Planned against performed.
    open_checks
        What is not done yet.
    next_entries
        Every kind of entry, and whether it belongs now.
    order_findings
        Entries that came in a phase or before a check where they do not belong. They are kept and counted.
    last_at
        When the last of them happened; None for an empty day.
    """

    phase: Phase
    settled: Settled
    needles: Mapping[str, Needle]
    supply: Supply
    sedations: tuple[SedationSpan, ...]
    comparison: Comparison
    open_checks: tuple[OpenCheck, ...]
    next_entries: tuple[NextEntry, ...]
    order_findings: tuple[Finding, ...]
    last_at: datetime | None

    @property
    def live(self) -> tuple[Entry, ...]:
        """Entries that hold, by when they happened."""
        return self.settled.live

    def may(self, kind: str) -> NextEntry:
        """Return whether a kind of entry belongs now."""
        return next(entry for entry in self.next_entries if entry.kind == kind)


def derive_day(
    entries: Iterable[Entry], planned: PlannedDay, *, settings: DaySettings | None = None
) -> DayState:
    """Derive where the day stands; entries in any order, or some of them twice, give the same.

    A fact is never refused: what came out of order is kept, counted and named in a finding.

    Parameters
    ----------
    entries
        Everything entered, corrections included.
    planned
        What the day is held against.
    settings
        What site and study set.

    Raises
    ------
    RecordInputError
        If entries contradict each other so that no order can be made; see `settle_entries`.
    """
    chosen = settings or DaySettings()
    settled = settle_entries(entries)
    sound = tuple(entry for entry in settled.live if not check_entry(entry))
    fold = _Fold(planned=planned, settings=chosen)
    for entry in sound:
        fold.take(entry)
    supply = derive_supply(sound)
    is_final = fold.phase in (Phase.OBSERVATION, Phase.CLOSED, Phase.CANCELLED)
    comparison = compare_day(
        Performed(live=sound, supply=supply, is_final=is_final), planned, settings=chosen
    )
    fold.done |= _find_done_at_end(comparison, supply, settled)
    return DayState(
        phase=fold.phase,
        settled=settled,
        needles=dict(sorted(fold.needles.items())),
        supply=supply,
        sedations=derive_sedation(sound, settings=chosen),
        comparison=comparison,
        open_checks=_list_open(fold),
        next_entries=_list_next(fold),
        order_findings=(*_find_unsound(settled.live), *fold.findings),
        last_at=settled.live[-1].occurred_at if settled.live else None,
    )


@dataclass(slots=True)
class _Fold:
    """The state machine while it reads entries by when they happened."""

    planned: PlannedDay
    settings: DaySettings
    phase: Phase = Phase.PREPARATION
    done: set[str] = field(default_factory=lambda: {"needles_out", "nothing_given", "sedation_ended"})
    needles: dict[str, Needle] = field(default_factory=dict)
    drawn: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    def take(self, entry: Entry) -> None:
        kind = read_entry_kinds()[entry.kind]
        problems = self.list_problems(kind, entry)
        if problems:
            self.findings.append(
                Finding(
                    rule="procedure.order",
                    severity=Severity.ERROR,
                    message=f"{kind.label}: {'; '.join(problems)}.",
                    source=SOURCE,
                    subject=entry.entry_id,
                )
            )
        change = _CHANGES.get(entry.kind)
        if change is not None:
            change(self, entry)
        self._move(kind)

    def _move(self, kind: EntryKind) -> None:
        """Go to the next phase. A needle that is in is a fact in any phase; other entries count where they belong."""
        if kind.leads_to is None or self.phase.is_over:
            return
        if kind.leads_to is Phase.NEEDLE_IN or self.phase in kind.phases:
            self.phase = Phase.NEEDLE_IN if self._has_needle_in() else kind.leads_to

    def list_problems(self, kind: EntryKind, entry: Entry | None) -> list[str]:
        """Return why a kind, or one entry of it, does not belong now."""
        problems = [] if self.phase in kind.phases else [kind.refusal]
        texts = read_gates().checks
        for check in read_gates().needed.get(kind.name, ()):
            if check in AT_THE_END and entry is not None:
                continue
            if not self._is_done(check, entry):
                problems.append(f"not yet: {texts[check]}")
        return problems

    def _is_done(self, check: str, entry: Entry | None) -> bool:
        if check == "needle":
            if entry is None:
                return self._has_needle_in()
            needle = self.needles.get(entry.text("needle_id"))
            return needle is not None and needle.is_in
        if check == "drawn":
            return bool(self.drawn) if entry is None else entry.text("syringe_id") in self.drawn
        return check in self.done

    def _has_needle_in(self) -> bool:
        return any(needle.is_in for needle in self.needles.values())

    def mark(self, check: str, *, done: bool) -> None:
        (self.done.add if done else self.done.discard)(check)

    def check_consent(self, entry: Entry) -> None:
        wanted = self.settings.protocol_version
        same = not wanted or entry.text("protocol_version") == wanted
        self.mark("consent", done=entry.flag("confirmed") and same)

    def check_labs(self, entry: Entry) -> None:
        self.mark("labs", done=entry.flag("accepted"))

    def take_vial(self, entry: Entry) -> None:
        self.mark("vial", done=True)

    def take_time_out(self, entry: Entry) -> None:
        self.mark("time_out", done=entry.flag("patient_confirmed") and entry.flag("site_confirmed"))

    def draw(self, entry: Entry) -> None:
        self.drawn.add(entry.text("syringe_id"))

    def insert(self, entry: Entry) -> None:
        name, puncture_id = entry.text("needle_id"), entry.text("puncture_id")
        planned = self.planned.punctures.get(puncture_id)
        own = entry.number("dead_space_ml")
        self.needles[name] = Needle(
            needle_id=name,
            puncture_id=puncture_id,
            is_in=True,
            dead_space_ml=own if own is not None or planned is None else planned.dead_space_ml,
        )
        self.mark("needles_out", done=False)

    def remove(self, entry: Entry) -> None:
        name = entry.text("needle_id")
        before = self.needles.get(name)
        self.needles[name] = Needle(
            needle_id=name,
            puncture_id=before.puncture_id if before else "",
            is_in=False,
            dead_space_ml=before.dead_space_ml if before else None,
            track_sealing=entry.text("track_sealing"),
            flushed=entry.flag("flushed"),
        )
        self.mark("needles_out", done=not self._has_needle_in())

    def give(self, entry: Entry) -> None:
        self.mark("nothing_given", done=False)

    def sedate(self, entry: Entry) -> None:
        self.mark("sedation_ended", done=entry.kind == "sedation_stop")

    def end_observation(self, entry: Entry) -> None:
        self.mark("observed", done=True)


_CHANGES: Final[Mapping[str, Callable[[_Fold, Entry], None]]] = {
    "consent_check": _Fold.check_consent,
    "lab_check": _Fold.check_labs,
    "vial": _Fold.take_vial,
    "time_out": _Fold.take_time_out,
    "draw": _Fold.draw,
    "needle_in": _Fold.insert,
    "needle_out": _Fold.remove,
    "deposit": _Fold.give,
    "sedation_start": _Fold.sedate,
    "sedation_stop": _Fold.sedate,
    "observation_end": _Fold.end_observation,
}


def _find_done_at_end(comparison: Comparison, supply: Supply, settled: Settled) -> set[str]:
    facts = {
        "reasons": not comparison.unexplained,
        "balance": supply.is_balanced,
        "conflicts": not settled.conflicts,
    }
    return {name for name, done in facts.items() if done}


def _list_open(fold: _Fold) -> tuple[OpenCheck, ...]:
    gates = read_gates()
    kinds = read_entry_kinds()
    open_checks = []
    for name, text in gates.checks.items():
        blocks = tuple(
            kind
            for kind, needed in gates.needed.items()
            if name in needed and _is_ahead(kinds[kind], fold.phase)
        )
        if blocks and name != "nothing_given" and not fold._is_done(name, None):
            open_checks.append(OpenCheck(name=name, text=text, blocks=blocks))
    return tuple(open_checks)


def _is_ahead(kind: EntryKind, phase: Phase) -> bool:
    """Whether a kind of entry may still come."""
    order = list(Phase)
    return not phase.is_over and any(order.index(phase) <= order.index(own) for own in kind.phases)


def _list_next(fold: _Fold) -> tuple[NextEntry, ...]:
    found = []
    for kind in read_entry_kinds().values():
        if kind.name == VOID:
            continue
        reasons = tuple(fold.list_problems(kind, None))
        found.append(NextEntry(kind=kind.name, allowed=not reasons, reasons=reasons))
    return tuple(found)


def _find_unsound(live: Iterable[Entry]) -> tuple[Finding, ...]:
    """Name entries that cannot be read; a record made elsewhere may hold some."""
    return tuple(
        Finding(
            rule="procedure.entry",
            severity=Severity.ERROR,
            message=f"The entry is not counted: {'; '.join(wrong)}.",
            source=SOURCE,
            subject=entry.entry_id,
        )
        for entry in live
        if (wrong := check_entry(entry))
    )
