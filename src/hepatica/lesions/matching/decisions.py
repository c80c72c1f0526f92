"""What a reader says about proposed links: accepted, rejected, or another link in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hepatica.core.errors import InputError
from hepatica.lesions.matching.match import LesionLink, LinkKind

COUNTS: Final[Mapping[LinkKind, tuple[str, str]]] = {
    LinkKind.MATCHED: ("one", "one"),
    LinkKind.NEW: ("none", "one"),
    LinkKind.VANISHED: ("one", "none"),
    LinkKind.SPLIT: ("one", "several"),
    LinkKind.MERGED: ("several", "one"),
    LinkKind.REAPPEARED: ("one", "one"),
}
"""How many lesions a kind of link has at baseline and at the follow-up."""


class Verdict(StrEnum):
    """What a reader did."""

    ACCEPT = "accept"
    REJECT = "reject"
    ADD = "add"
    """A link the program did not propose; its lesions must be free, by rejecting the links they are in."""


class LinkStatus(StrEnum):
    """How sure a link is."""

    PROPOSED = "proposed"
    """By the program; nobody has looked at it."""
    CONFIRMED = "confirmed"
    """By a reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision of a reader.

    Parameters
    ----------
    verdict
        What was decided.
    kind, baseline_ids, followup_ids
        Which link: a proposed one for accept and reject, any other for add.
    reason
        In the reader's words; never empty.
    """

    verdict: Verdict
    kind: LinkKind
    baseline_ids: tuple[str, ...]
    followup_ids: tuple[str, ...]
    reason: str

    def __post_init__(self) -> None:
        """Refuse a decision without a reason, or a link that is none."""
        if not self.reason.strip():
            raise InputError(
                expected="a reason", given="none", where=self.name, action="say why, in the file"
            )
        counts = tuple(_count(ids) for ids in (self.baseline_ids, self.followup_ids))
        if counts != COUNTS[self.kind]:
            wanted = COUNTS[self.kind]
            raise InputError(
                expected=f"{wanted[0]} lesion(s) of the baseline and {wanted[1]} of the follow-up",
                given=f"{counts[0]} and {counts[1]}",
                where=self.name,
            )

    @property
    def name(self) -> str:
        """The link in words."""
        return name_link(self.kind, self.baseline_ids, self.followup_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledLink:
    """A link after a reader, or before any.

    Parameters
    ----------
    kind, baseline_ids, followup_ids
        What became of which lesions.
    status
        Proposed or confirmed.
    proposal
        The program's link; None where a reader added this one.
    reader, reason
        Who confirmed it and why; empty while proposed.
    """

    kind: LinkKind
    baseline_ids: tuple[str, ...]
    followup_ids: tuple[str, ...]
    status: LinkStatus
    proposal: LesionLink | None
    reader: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """All links after the decisions.

    Parameters
    ----------
    links
        In force.
    rejected
        (link, reason) of proposals a reader refused.
    open_baseline_ids, open_followup_ids
        Lesions whose link was rejected and that no other link explains.
    """

    links: tuple[SettledLink, ...]
    rejected: tuple[tuple[LesionLink, str], ...] = ()
    open_baseline_ids: tuple[str, ...] = ()
    open_followup_ids: tuple[str, ...] = ()


def name_link(kind: LinkKind, baseline_ids: Sequence[str], followup_ids: Sequence[str]) -> str:
    """Return a link in words.

    Examples
    --------
    >>> name_link(LinkKind.SPLIT, ["L1"], ["L2", "L3"])
    'split: L1 -> L2 + L3'
    """
    return f"{kind.value}: {' + '.join(baseline_ids) or 'none'} -> {' + '.join(followup_ids) or 'none'}"


def apply_decisions(
    proposals: Sequence[LesionLink],
    decisions: Sequence[Decision],
    *,
    reader: str = "",
    gone_ids: Sequence[str] = (),
) -> Settlement:
    """Apply a reader's decisions to the proposed links.

    Parameters
    ----------
    proposals
        All links as proposed.
    decisions
        In any order; links nobody decided on stay proposed.
    reader
        Who decided; needed where there is a decision.
    gone_ids
        Lesions of earlier visits that may have come back; one that no link takes stays gone, not open.

    Raises
    ------
    InputError
        If there is no reader, a link is decided on twice or was never proposed, or an added link takes a
        lesion that is unknown or already explained.
    """
    if decisions and not reader.strip():
        raise InputError(
            expected="the name of the reader", given="none", where="decisions", action="give --reader NAME"
        )
    known = {(p.kind, p.baseline_ids, p.followup_ids): p for p in proposals}
    judged: dict[tuple[LinkKind, tuple[str, ...], tuple[str, ...]], Decision] = {}
    for decision in decisions:
        key = (decision.kind, decision.baseline_ids, decision.followup_ids)
        if key in judged:
            raise InputError(
                expected="one decision for each link", given="two", where=decision.name, action="keep one"
            )
        if (key in known) == (decision.verdict is Verdict.ADD):
            raise InputError(
                expected="accept or reject for a proposed link, add for another",
                given=f"'{decision.verdict}' of a link that was {'' if key in known else 'not '}proposed",
                where=decision.name,
                action="take the links as proposals.json lists them",
            )
        judged[key] = decision
    links, rejected = [], []
    for key, proposal in known.items():
        verdict = judged.get(key)
        if verdict is not None and verdict.verdict is Verdict.REJECT:
            rejected.append((proposal, verdict.reason))
            continue
        links.append(_settle(key, proposal, verdict, reader))
    added = [(key, d) for key, d in judged.items() if d.verdict is Verdict.ADD]
    links += [_settle(key, None, decision, reader) for key, decision in added]
    return _check_taken(proposals, links, rejected, gone_ids)


def _settle(
    key: tuple[LinkKind, tuple[str, ...], tuple[str, ...]],
    proposal: LesionLink | None,
    decision: Decision | None,
    reader: str,
) -> SettledLink:
    return SettledLink(
        kind=key[0],
        baseline_ids=key[1],
        followup_ids=key[2],
        status=LinkStatus.PROPOSED if decision is None else LinkStatus.CONFIRMED,
        proposal=proposal,
        reader=reader if decision is not None else "",
        reason=decision.reason if decision is not None else "",
    )


def _check_taken(
    proposals: Sequence[LesionLink],
    links: Sequence[SettledLink],
    rejected: Sequence[tuple[LesionLink, str]],
    gone_ids: Sequence[str],
) -> Settlement:
    everything = [
        {name for p in proposals for name in p.baseline_ids} | set(gone_ids),
        {name for p in proposals for name in p.followup_ids},
    ]
    free = [set(names) for names in everything]
    for link in links:
        come_back = link.kind is LinkKind.REAPPEARED
        if any((name in gone_ids) is not come_back for name in link.baseline_ids):
            raise InputError(
                expected="'reappeared' for a lesion that was gone, and for no other",
                given=f"'{link.kind.value}'",
                where=name_link(link.kind, link.baseline_ids, link.followup_ids),
                action="name the kind of link that fits",
            )
        for left, every, names in zip(free, everything, (link.baseline_ids, link.followup_ids), strict=True):
            for name in names:
                if name not in left:
                    raise InputError(
                        expected="lesions that exist and that no other link explains",
                        given=f"'{name}', which is {'explained twice' if name in every else 'unknown'}",
                        where=name_link(link.kind, link.baseline_ids, link.followup_ids),
                        action="reject the link it is in, or correct the name",
                    )
                left.remove(name)
    order = sorted(links, key=lambda link: (not link.baseline_ids, link.baseline_ids, link.followup_ids))
    return Settlement(
        links=tuple(order),
        rejected=tuple(rejected),
        open_baseline_ids=tuple(sorted(free[0] - set(gone_ids))),
        open_followup_ids=tuple(sorted(free[1])),
    )


def _count(ids: Sequence[str]) -> str:
    return "none" if not ids else "one" if len(ids) == 1 else "several"
