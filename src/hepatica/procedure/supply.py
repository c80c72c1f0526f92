"""Vials and syringes: what they hold, how long they have been thawed, what was drawn, given and left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Final

from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.procedure.entry import Entry
from hepatica.procedure.entry_kind import TABLES
from hepatica.procedure.planned import PlannedDay

ROUNDING_ML: Final = 1e-6
"""Sums of volumes as typed; far below any syringe's graduation."""
STORAGES: Final = ("refrigerated", "room")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vial:
    """One vial of the day.

    Parameters
    ----------
    vial_id, agent, lot, expiry_date, strength, strength_unit, volume_ml
        As on its label.
    thaw_start
        When its thaw began; None where not recorded.
    moves
        From when it was kept how, in order.
    drawn_ml, last_draw
        Taken from it in all, and when last; None for never.
    """

    vial_id: str
    agent: str
    lot: str
    expiry_date: date
    strength: float
    strength_unit: str
    volume_ml: float
    thaw_start: datetime | None
    moves: tuple[tuple[datetime, str], ...]
    drawn_ml: float
    last_draw: datetime | None

    @property
    def left_ml(self) -> float:
        """What is left by the record; below 0 for a contradiction."""
        return self.volume_ml - self.drawn_ml

    @property
    def is_balanced(self) -> bool:
        """Whether no more was drawn than it held."""
        return self.left_ml >= -ROUNDING_ML

    def measure_exposure_h(self, storage: str, *, until: datetime) -> float:
        """Return how long it was kept in a way since its thaw began, the time of thawing included.

        Parameters
        ----------
        storage
            ``refrigerated`` or ``room``.
        until
            End.
        """
        ends = [*(start for start, _ in self.moves[1:]), until]
        spans = (
            (min(end, until) - start).total_seconds()
            for (start, kept), end in zip(self.moves, ends)
            if kept == storage and start < until
        )
        return sum(max(0.0, span) for span in spans) / 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Syringe:
    """One syringe of the day.

    Parameters
    ----------
    syringe_id
        Name.
    vial_ids
        Vials it was filled from.
    drawn_ml, given_ml, discarded_ml
        Sums of what was entered.
    """

    syringe_id: str
    vial_ids: tuple[str, ...]
    drawn_ml: float
    given_ml: float
    discarded_ml: float

    @property
    def left_ml(self) -> float:
        """What is left in it and in its needles; below 0 for a contradiction."""
        return self.drawn_ml - self.given_ml - self.discarded_ml

    @property
    def is_balanced(self) -> bool:
        """Whether no more left it than it held."""
        return self.left_ml >= -ROUNDING_ML


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """Vials and syringes by name.

    Parameters
    ----------
    vials, syringes
        In the order of their names.
    needles_of
        Needles that each syringe was used through.
    """

    vials: Mapping[str, Vial]
    syringes: Mapping[str, Syringe]
    needles_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_balanced(self) -> bool:
        """Whether no syringe or vial gave more than it held."""
        return all(syringe.is_balanced for syringe in self.syringes.values()) and all(
            vial.is_balanced for vial in self.vials.values()
        )

    @property
    def drawn_ml(self) -> float:
        """Drawn in all."""
        return sum(syringe.drawn_ml for syringe in self.syringes.values())

    def find_strength(self, syringe_id: str, *, unit: str) -> float | NotEvaluable:
        """Return the strength of what is in a syringe, in a unit such as ``pfu_per_ml``."""
        syringe = self.syringes.get(syringe_id)
        known = [self.vials[name] for name in (syringe.vial_ids if syringe else ()) if name in self.vials]
        found = {(vial.strength, vial.strength_unit) for vial in known}
        if syringe is None or len(known) < len(syringe.vial_ids) or not found:
            return NotEvaluable(reason="the syringe was filled from no vial that is entered")
        if len(found) > 1:
            return NotEvaluable(reason="the syringe was filled from vials of several strengths")
        if known[0].strength_unit != unit:
            return NotEvaluable(
                reason=f"the vial's strength is given in {known[0].strength_unit}, not in {unit}"
            )
        return known[0].strength


def derive_supply(live: Sequence[Entry]) -> Supply:
    """Add up what was taken out, drawn, given and discarded.

    Parameters
    ----------
    live
        Entries that hold, by when they happened.
    """
    draws = [entry for entry in live if entry.kind == "draw"]
    deposits = [entry for entry in live if entry.kind == "deposit"]
    discards = [entry for entry in live if entry.kind == "discard"]
    names = sorted({entry.text("syringe_id") for entry in (*draws, *deposits, *discards)})
    syringes = {
        name: Syringe(
            syringe_id=name,
            vial_ids=tuple(dict.fromkeys(entry.text("vial_id") for entry in _of(draws, name))),
            drawn_ml=_sum(_of(draws, name)),
            given_ml=_sum(_of(deposits, name)),
            discarded_ml=_sum(_of(discards, name)),
        )
        for name in names
    }
    # A vial entered twice is a conflict of its own; the first is used until it is settled.
    vials: dict[str, Vial] = {}
    for entry in live:
        if entry.kind == "vial":
            vials.setdefault(entry.text("vial_id"), _to_vial(entry, live, draws))
    return Supply(
        vials=MappingProxyType(dict(sorted(vials.items()))),
        syringes=MappingProxyType(syringes),
        needles_of=MappingProxyType(
            {
                name: tuple(dict.fromkeys(entry.text("needle_id") for entry in _of(deposits, name)))
                for name in names
            }
        ),
    )


def _to_vial(entry: Entry, live: Sequence[Entry], draws: Iterable[Entry]) -> Vial:
    name = entry.text("vial_id")
    taken = [draw for draw in draws if draw.text("vial_id") == name]
    thaw = entry.moment("thaw_start")
    moved = [
        (move.occurred_at, move.text("storage"))
        for move in live
        if move.kind == "vial_storage"
        and move.text("vial_id") == name
        and thaw is not None
        and move.occurred_at >= thaw
    ]
    return Vial(
        vial_id=name,
        agent=entry.text("agent"),
        lot=entry.text("lot"),
        expiry_date=date.fromisoformat(entry.text("expiry_date")),
        strength=entry.number("strength") or 0.0,
        strength_unit=entry.text("strength_unit"),
        volume_ml=entry.number("volume_ml") or 0.0,
        thaw_start=thaw,
        moves=() if thaw is None else ((thaw, entry.text("storage")), *moved),
        drawn_ml=_sum(taken),
        last_draw=max((draw.occurred_at for draw in taken), default=None),
    )


def _of(entries: Iterable[Entry], syringe_id: str) -> Iterator[Entry]:
    return (entry for entry in entries if entry.text("syringe_id") == syringe_id)


def _sum(entries: Iterable[Entry]) -> float:
    return sum(entry.number("volume_ml") or 0.0 for entry in entries)


def read_products() -> EvidenceTable:
    """Return what is known of the agents' vials."""
    return read_evidence_table(TABLES, "products.toml")


def is_agent(name: str, planned: PlannedDay) -> bool:
    """Return whether a label's agent is the planned one, whatever its letters' case."""
    return " ".join(name.casefold().split()) == " ".join(planned.agent.casefold().split())
