"""Dose transition pathways: every future the next cohorts can bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.core.errors import InputError
from hepatica.trials.design import Design, Recommendation
from hepatica.trials.outcomes import Dose, Patient, TrialData


@dataclass(frozen=True, slots=True, kw_only=True)
class PathwayNode:
    """One point of the tree.

    Parameters
    ----------
    path
        DLT counts of the cohorts so far, from the start of the tree.
    dose
        Dose advised next, None for none.
    continue_
        Whether the trial goes on.
    reason
        In words.
    probability
        Chance of reaching this node under the true DLT probabilities, None where none were given.
    """

    path: tuple[int, ...]
    dose: Dose | None
    continue_: bool
    reason: str
    probability: float | None = None


def derive_pathways(
    design: Design,
    data: TrialData,
    *,
    cohort_sizes: Sequence[int],
    truth: Sequence[float] | None = None,
) -> tuple[PathwayNode, ...]:
    """Return every node of the tree, depth first.

    Parameters
    ----------
    design
        Any design.
    data
        What has happened so far.
    cohort_sizes
        Sizes of the cohorts to look ahead.
    truth
        True DLT probabilities by level, for exact probabilities of the nodes.

    Examples
    --------
    >>> from hepatica.trials.escalation.three_plus_three import ThreePlusThree
    >>> nodes = derive_pathways(ThreePlusThree(dose_count=2), TrialData(), cohort_sizes=(3,))
    >>> [(node.path, node.dose) for node in nodes]
    [((), 1), ((0,), 2), ((1,), 1), ((2,), None), ((3,), None)]
    """
    if any(size < 1 for size in cohort_sizes):
        raise InputError(
            expected="cohorts of at least one patient", given=str(tuple(cohort_sizes)), where="pathways"
        )
    nodes: list[PathwayNode] = []
    _grow(design, data, sizes=tuple(cohort_sizes), truth=truth, state=((), 1.0), nodes=nodes)
    return tuple(nodes)


def _grow(
    design: Design,
    data: TrialData,
    *,
    sizes: tuple[int, ...],
    truth: Sequence[float] | None,
    state: tuple[tuple[int, ...], float],
    nodes: list[PathwayNode],
) -> None:
    from hepatica.trials.beta_distribution import measure_binomial_pmf

    path, chance = state
    advice: Recommendation = design.next_dose(data)
    nodes.append(
        PathwayNode(
            path=path,
            dose=advice.recommended_dose,
            continue_=advice.continue_,
            reason=advice.reason,
            probability=chance if truth is not None else None,
        )
    )
    dose = advice.recommended_dose
    if not sizes or not advice.continue_ or dose is None:
        return
    for dlts in range(sizes[0] + 1):
        cohort = [Patient(dose=dose, dlt=i < dlts) for i in range(sizes[0])]
        here = chance
        if truth is not None and isinstance(dose, int):
            here *= measure_binomial_pmf(dlts, n=sizes[0], p=truth[dose - 1])
        _grow(
            design,
            data.extend(cohort),
            sizes=sizes[1:],
            truth=truth,
            state=((*path, dlts), here),
            nodes=nodes,
        )
