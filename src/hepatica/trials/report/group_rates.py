"""Response rates by group of lesions as numbers; the table of the report says the same in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from hepatica.trials.phase2.intervals import ProportionInterval, derive_interval
from hepatica.trials.report.lesion_groups import ResponseGroup
from hepatica.trials.report.tables import Rows
from hepatica.trials.report.tables_response import BEST, CONTROLLED, RESPONSES, Assessor, select_best


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRate:
    """Best response in lesions of one group.

    Parameters
    ----------
    group
        Which lesions.
    subjects
        The denominator: treated subjects, for a group those with such a lesion at baseline.
    counts
        Subjects by best response, and ``not assessed``.
    objective, confirmed, control
        Objective response, the same confirmed, and disease control, with exact limits.
    """

    group: ResponseGroup
    subjects: int
    counts: Mapping[str, int]
    objective: ProportionInterval
    confirmed: ProportionInterval
    control: ProportionInterval


def derive_group_rates(
    responses: Rows,
    subjects: Rows,
    members: Mapping[ResponseGroup, Collection[str]],
    *,
    assessor: Assessor,
    conf: float,
) -> tuple[GroupRate, ...]:
    """Return the rates of each group that has subjects; denominators as in `tabulate_response`.

    Parameters
    ----------
    responses, subjects
        ADRS and ADSL.
    members
        Subjects with at least one lesion of each group at baseline.
    assessor
        Whose assessment.
    conf
        Level of the limits.
    """
    treated = {row["USUBJID"] for row in subjects if row["SAFFL"] == "Y"}
    rates = []
    for group in ResponseGroup:
        whole = treated if group is ResponseGroup.ALL else treated & set(members.get(group, ()))
        if not whole:
            continue
        best = _within(select_best(responses, code="BOR", group=str(group), assessor=assessor), whole)
        confirmed = _within(select_best(responses, code="CBOR", group=str(group), assessor=assessor), whole)
        counts = {word: sum(value == word for value in best.values()) for word in BEST}
        counts["not assessed"] = len(whole) - sum(counts.values())
        rates.append(
            GroupRate(
                group=group,
                subjects=len(whole),
                counts=counts,
                objective=_rate(best, RESPONSES, len(whole), conf=conf),
                confirmed=_rate(confirmed, RESPONSES, len(whole), conf=conf),
                control=_rate(best, CONTROLLED, len(whole), conf=conf),
            )
        )
    return tuple(rates)


def _within(best: Mapping[str, str], whole: Collection[str]) -> dict[str, str]:
    return {subject: word for subject, word in best.items() if subject in whole}


def _rate(
    best: Mapping[str, str], wanted: Sequence[str], subjects: int, *, conf: float
) -> ProportionInterval:
    return derive_interval(sum(word in wanted for word in best.values()), subjects, conf=conf)
