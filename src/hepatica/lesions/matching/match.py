"""Which lesion of the follow-up is which of the baseline: matched, new, vanished, split or merged.

Every explanation of all lesions has a cost (nats): that of its links, plus a fixed cost for each new and each
vanished lesion and for each further part of a split or merged one. The cheapest explanation is proposed. The
score of a link is ``1 / (1 + exp(-lead))``, where the lead is how much cheaper the best explanation *with* the
link is than the best *without* it: 0.5 is a tie, 0.9 a lead of 2.2 nats, 1 means that nothing else comes near.
It is a rank of explanations under working weights, not a measured frequency of being right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Final

import numpy as np

from hepatica.core.errors import InputError
from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.imaging.deformation import ScanMap
from hepatica.lesions.matching.assignment import NEVER, solve_assignment
from hepatica.lesions.matching.evidence import (
    PairEvidence,
    PlacedLesion,
    ScanLesion,
    compare_lesions,
    is_within,
    place_lesions,
)

TABLES: Final = "hepatica.lesions.tables"
MOST_PARTS: Final = 4
"""Parts of one split or merged lesion that are looked at together."""
MOST_COMPOSITES: Final = 14
"""Splits and merges weighed against each other within one cluster of lesions; the cheapest are kept."""
LARGEST_LEAD: Final = 9.0
"""Beyond, a score would read 1.0000 for explanations that were never weighed."""


class LinkKind(StrEnum):
    """What became of lesions between two visits."""

    MATCHED = "matched"
    """One lesion, seen at both visits."""
    NEW = "new"
    """Only at the follow-up."""
    VANISHED = "vanished"
    """Only at the baseline: gone, or not drawn."""
    SPLIT = "split"
    """One at the baseline, several at the follow-up."""
    MERGED = "merged"
    """Several at the baseline, one at the follow-up."""
    REAPPEARED = "reappeared"
    """Gone at the baseline, seen before it and again at the follow-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionLink:
    """What became of some lesions, as proposed.

    Parameters
    ----------
    kind
        What happened.
    baseline_ids, followup_ids
        Lesions of the two visits, sorted.
    score
        0 to 1; the module says what it means.
    ambiguous
        Whether another explanation comes close.
    evidence
        What was compared; None for new and vanished lesions.
    other
        The next best explanation of the same lesions, in words; empty where there is none.
    """

    kind: LinkKind
    baseline_ids: tuple[str, ...]
    followup_ids: tuple[str, ...]
    score: float
    ambiguous: bool
    evidence: PairEvidence | None
    other: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    """One link that may be part of an explanation."""

    kind: LinkKind
    before: frozenset[int]
    after: frozenset[int]
    cost: float
    evidence: PairEvidence | None = None

    @property
    def key(self) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
        return self.kind.value, tuple(sorted(self.before)), tuple(sorted(self.after))


def match_lesions(
    baseline: Sequence[ScanLesion],
    followup: Sequence[ScanLesion],
    *,
    scan_map: ScanMap,
    uncertainty_mm: float,
    table: EvidenceTable | None = None,
) -> tuple[LesionLink, ...]:
    """Explain the lesions of two visits at the least cost; every lesion is in exactly one link.

    Parameters
    ----------
    baseline, followup
        Lesions; ids are unique within a visit. The order does not matter.
    scan_map
        Registration from baseline to follow-up.
    uncertainty_mm
        What it may be off by at a lesion (one standard deviation).
    table
        ``tracking.toml``, or a site's own.

    Returns
    -------
    tuple
        Links sorted by baseline id, new lesions last.

    Raises
    ------
    InputError
        If an id comes twice at one visit.
    """
    limits = table or read_evidence_table(TABLES, "tracking.toml")
    for where, lesions in (("baseline", baseline), ("follow-up", followup)):
        ids = [lesion.lesion_id for lesion in lesions]
        if len(set(ids)) != len(ids):
            raise InputError(expected="each lesion id once", given="an id that comes twice", where=where)
    placed = place_lesions(baseline, followup, scan_map=scan_map)
    search = _Search(*placed, uncertainty_mm=uncertainty_mm, table=limits)
    links = [link for cluster in search.find_clusters() for link in search.explain(*cluster)]
    return tuple(
        sorted(links, key=lambda link: (not link.baseline_ids, link.baseline_ids, link.followup_ids))
    )


class _Search:
    """Costs of all links, and the cheapest explanation of each cluster of lesions."""

    def __init__(
        self,
        before: tuple[PlacedLesion, ...],
        after: tuple[PlacedLesion, ...],
        *,
        uncertainty_mm: float,
        table: EvidenceTable,
    ) -> None:
        self.before, self.after = before, after
        self.uncertainty_mm, self.table = uncertainty_mm, table
        self.alone = table["unmatched_cost"].number
        self.pairs = {
            (a, b): compare_lesions(one, two, uncertainty_mm=uncertainty_mm, table=table)
            for a, one in enumerate(before)
            for b, two in enumerate(after)
        }
        self.composites = sorted((*self._list_splits(), *self._list_merges()), key=lambda o: (o.cost, o.key))

    def _list_splits(self) -> Iterator[_Option]:
        for a, whole in enumerate(self.before):
            parts = [b for b, part in enumerate(self.after) if self._is_part(part, whole)]
            for group, union in _list_groups(parts, self.after):
                found = self._compare(whole, union)
                cost = found.cost + self._surcharge(len(group))
                if cost < self.alone * (1 + len(group)):
                    yield _Option(
                        kind=LinkKind.SPLIT,
                        before=frozenset({a}),
                        after=frozenset(group),
                        cost=cost,
                        evidence=found,
                    )

    def _list_merges(self) -> Iterator[_Option]:
        for b, whole in enumerate(self.after):
            parts = [a for a, part in enumerate(self.before) if self._is_part(part, whole)]
            for group, union in _list_groups(parts, self.before):
                found = self._compare(union, whole)
                cost = found.cost + self._surcharge(len(group))
                if cost < self.alone * (1 + len(group)):
                    yield _Option(
                        kind=LinkKind.MERGED,
                        before=frozenset(group),
                        after=frozenset({b}),
                        cost=cost,
                        evidence=found,
                    )

    def _is_part(self, part: PlacedLesion, whole: PlacedLesion) -> bool:
        return is_within(part, whole, reach_mm=self.uncertainty_mm)

    def _compare(self, before: PlacedLesion, after: PlacedLesion) -> PairEvidence:
        return compare_lesions(before, after, uncertainty_mm=self.uncertainty_mm, table=self.table)

    def _surcharge(self, parts: int) -> float:
        return self.table["composite_cost"].number * (parts - 1)

    def find_clusters(self) -> list[tuple[frozenset[int], frozenset[int]]]:
        """Return groups of lesions that some link joins, directly or through others."""
        count = len(self.before)
        parent = list(range(count + len(self.after)))

        def find(n: int) -> int:
            while parent[n] != n:
                n = parent[n]
            return n

        joined = [
            (frozenset({a}), frozenset({b})) for (a, b), found in self.pairs.items() if found.cost < NEVER
        ]
        joined += [(option.before, option.after) for option in self.composites]
        for before, after in joined:
            nodes = [*before, *(count + b for b in after)]
            for node in nodes[1:]:
                parent[find(node)] = find(nodes[0])
        groups: dict[int, list[int]] = {}
        for node in range(len(parent)):
            groups.setdefault(find(node), []).append(node)
        return [
            (frozenset(n for n in group if n < count), frozenset(n - count for n in group if n >= count))
            for group in groups.values()
        ]

    def explain(self, before: frozenset[int], after: frozenset[int]) -> list[LesionLink]:
        """Return the links of the cheapest explanation of one cluster, each with its score."""
        best, options = self._solve(before, after, banned=None)
        limit = self.table["ambiguous_below"].number
        links = []
        for option in sorted(options, key=lambda o: o.key):
            cost, others = self._solve(before, after, banned=option)
            lead = min(cost - best, LARGEST_LEAD)
            score = float(1.0 / (1.0 + np.exp(-lead)))
            touched = [o for o in others if o.before & option.before or o.after & option.after]
            links.append(
                LesionLink(
                    kind=option.kind,
                    baseline_ids=tuple(sorted(self.before[a].names[0] for a in option.before)),
                    followup_ids=tuple(sorted(self.after[b].names[0] for b in option.after)),
                    score=score,
                    ambiguous=score < limit,
                    evidence=option.evidence,
                    other="; ".join(self._tell(o) for o in touched) if cost < NEVER else "",
                )
            )
        return links

    def _tell(self, option: _Option) -> str:
        before = " + ".join(self.before[a].names[0] for a in sorted(option.before))
        after = " + ".join(self.after[b].names[0] for b in sorted(option.after))
        if option.kind is LinkKind.NEW:
            return f"{after} new"
        if option.kind is LinkKind.VANISHED:
            return f"{before} vanished"
        return f"{before} to {after} ({option.kind.value})"

    def _solve(
        self, before: frozenset[int], after: frozenset[int], *, banned: _Option | None
    ) -> tuple[float, list[_Option]]:
        usable = [
            option
            for option in self.composites
            if option.before <= before and option.after <= after and option != banned
        ][:MOST_COMPOSITES]
        best: tuple[float, list[_Option]] = (np.inf, [])
        for chosen in _list_compatible(usable):
            taken_before = frozenset().union(*(o.before for o in chosen))
            taken_after = frozenset().union(*(o.after for o in chosen))
            rest, simple = self._assign(before - taken_before, after - taken_after, banned=banned)
            total = rest + sum(option.cost for option in chosen)
            if total < best[0] - 1e-9:
                best = (total, [*chosen, *simple])
        return best

    def _assign(
        self, before: frozenset[int], after: frozenset[int], *, banned: _Option | None
    ) -> tuple[float, list[_Option]]:
        rows, columns = sorted(before), sorted(after)
        cost = np.array([[self.pairs[a, b].cost for b in columns] for a in rows]).reshape(
            len(rows), len(columns)
        )
        extra = 0.0
        if banned is not None and banned.kind is LinkKind.MATCHED:
            (a,), (b,) = banned.before, banned.after
            if a in before and b in after:
                cost[rows.index(a), columns.index(b)] = NEVER
        pairs, total = solve_assignment(cost, alone_row=self.alone, alone_column=self.alone)
        if banned is not None and banned.kind in (LinkKind.NEW, LinkKind.VANISHED):
            pairs, total, extra = self._assign_without(rows, columns, cost, banned)
        matched = {a for a, _ in pairs}, {b for _, b in pairs}
        options = [
            _Option(
                kind=LinkKind.MATCHED,
                before=frozenset({rows[a]}),
                after=frozenset({columns[b]}),
                cost=float(cost[a, b]),
                evidence=self.pairs[rows[a], columns[b]],
            )
            for a, b in pairs
        ]
        none: frozenset[int] = frozenset()
        options += [
            _Option(kind=LinkKind.VANISHED, before=frozenset({row}), after=none, cost=self.alone)
            for a, row in enumerate(rows)
            if a not in matched[0]
        ]
        options += [
            _Option(kind=LinkKind.NEW, before=none, after=frozenset({column}), cost=self.alone)
            for b, column in enumerate(columns)
            if b not in matched[1]
        ]
        return total + extra, options

    def _assign_without(
        self, rows: list[int], columns: list[int], cost: np.ndarray, banned: _Option
    ) -> tuple[tuple[tuple[int, int], ...], float, float]:
        """Assign while one lesion must not stay alone: a reward far above any cost forces its partner."""
        forced = cost.copy()
        if banned.kind is LinkKind.VANISHED:
            (a,) = banned.before
            if a in rows:
                forced[rows.index(a)] -= NEVER / 4
        else:
            (b,) = banned.after
            if b in columns:
                forced[:, columns.index(b)] -= NEVER / 4
        forced[cost >= NEVER] = NEVER
        pairs, _ = solve_assignment(forced, alone_row=self.alone, alone_column=self.alone)
        total = sum(float(cost[pair]) for pair in pairs)
        total += self.alone * (len(rows) + len(columns) - 2 * len(pairs))
        paired = {rows[a] for a, _ in pairs}, {columns[b] for _, b in pairs}
        left_before = (banned.before & set(rows)) - paired[0]
        left_after = (banned.after & set(columns)) - paired[1]
        return pairs, total, NEVER if left_before or left_after else 0.0


def _list_groups(
    parts: Sequence[int], lesions: Sequence[PlacedLesion]
) -> Iterator[tuple[tuple[int, ...], PlacedLesion]]:
    for size in range(2, min(MOST_PARTS, len(parts)) + 1):
        for group in combinations(parts, size):
            union = lesions[group[0]]
            for other in group[1:]:
                union = union.unite(lesions[other])
            yield group, union


def _list_compatible(options: Sequence[_Option]) -> Iterator[tuple[_Option, ...]]:
    """Yield every set of options that share no lesion, the empty one first."""
    yield ()
    for number, option in enumerate(options):
        later = [
            o
            for o in options[number + 1 :]
            if not (o.before & option.before) and not (o.after & option.after)
        ]
        for rest in _list_compatible(later):
            yield (option, *rest)
