"""Response rates: injected, non-injected hepatic and extrahepatic lesions apart, full group as denominator.

Patients whose response cannot be evaluated stay in the denominator and are shown. A patient without lesions of
one kind cannot respond there; they stay in the full group too, and the rate among those with such lesions is
given beside. Responders are never compared with non-responders from the start: see
`hepatica.trials.endpoints.survival.start_at_landmark`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hepatica.core.errors import InputError
from hepatica.trials.phase2.intervals import ProportionInterval, derive_interval


class Outcome(StrEnum):
    """What a best response counts as."""

    COMPLETE = "CR"
    PARTIAL = "PR"
    STABLE = "SD"
    PROGRESSION = "PD"
    UNEVALUABLE = "NE"
    NO_LESION = "no lesion"


_WORDS: dict[str, Outcome] = {
    "CR": Outcome.COMPLETE,
    "ICR": Outcome.COMPLETE,
    "PR": Outcome.PARTIAL,
    "IPR": Outcome.PARTIAL,
    "SD": Outcome.STABLE,
    "ISD": Outcome.STABLE,
    "NON-CR/NON-PD": Outcome.STABLE,
    "PD": Outcome.PROGRESSION,
    "IUPD": Outcome.PROGRESSION,
    "ICPD": Outcome.PROGRESSION,
    "NE": Outcome.UNEVALUABLE,
    "NA": Outcome.UNEVALUABLE,
    "": Outcome.UNEVALUABLE,
    "NED": Outcome.NO_LESION,
    "NO LESION": Outcome.NO_LESION,
}
RESPONSES = (Outcome.COMPLETE, Outcome.PARTIAL)
CONTROLLED = (*RESPONSES, Outcome.STABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRate:
    """Responses of one group in lesions of one kind.

    Parameters
    ----------
    n
        Full group: every patient given.
    counts
        Patients by outcome, every outcome named.
    objective
        CR or PR in the full group, with limits.
    control
        CR, PR or SD in the full group, with limits.
    objective_with_lesions
        CR or PR among patients who have such lesions, evaluable or not; None where nobody has.
    """

    n: int
    counts: dict[Outcome, int]
    objective: ProportionInterval
    control: ProportionInterval
    objective_with_lesions: ProportionInterval | None

    @property
    def responders(self) -> int:
        """Patients with CR or PR."""
        return sum(self.counts[outcome] for outcome in RESPONSES)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        unevaluable, absent = self.counts[Outcome.UNEVALUABLE], self.counts[Outcome.NO_LESION]
        inside = self.objective_with_lesions
        return {
            "n": self.n,
            "with_lesions": self.n - absent,
            "evaluable": self.n - absent - unevaluable,
            "unevaluable": unevaluable,
            "counts": {str(outcome): count for outcome, count in self.counts.items()},
            "responders": self.responders,
            "objective": _to_fractions(self.objective),
            "control": _to_fractions(self.control),
            "objective_with_lesions": _to_fractions(inside) if inside else None,
        }


def read_outcome(word: str) -> Outcome:
    """Return what a response word of RECIST or iRECIST counts as.

    Parameters
    ----------
    word
        CR, PR, SD, NON-CR/NON-PD, PD, NE, the same with a leading i, iUPD, iCPD, NA or empty (not evaluable),
        NED or "no lesion" (no lesion of this kind).

    Raises
    ------
    InputError
        For any other word.

    Examples
    --------
    >>> read_outcome("iPR"), read_outcome("")
    (<Outcome.PARTIAL: 'PR'>, <Outcome.UNEVALUABLE: 'NE'>)
    """
    try:
        return _WORDS[word.strip().upper()]
    except KeyError:
        raise InputError(
            expected=f"one of {', '.join(w for w in _WORDS if w)}, or empty for not evaluable",
            given=f"'{word}'",
            where="response",
            action="correct the word",
        ) from None


def measure_response_rate(
    outcomes: Sequence[Outcome], *, method: str = "clopper-pearson", conf: float = 0.95
) -> ResponseRate:
    """Return response rates of one group; the denominator is every patient given.

    Parameters
    ----------
    outcomes
        One for each patient of the full group.
    method, conf
        As for `hepatica.trials.phase2.intervals.derive_interval`.

    Raises
    ------
    InputError
        If the group is empty.

    Examples
    --------
    >>> rate = measure_response_rate([Outcome.PARTIAL, Outcome.UNEVALUABLE, Outcome.PROGRESSION, Outcome.STABLE])
    >>> rate.objective.estimate, rate.control.estimate
    (0.25, 0.5)
    """
    n = len(outcomes)
    if n == 0:
        raise InputError(expected="at least one patient", given="none", where="response rate")
    counts = {outcome: sum(found is outcome for found in outcomes) for outcome in Outcome}
    responders = sum(counts[outcome] for outcome in RESPONSES)
    inside = n - counts[Outcome.NO_LESION]

    def limits(x: int, size: int) -> ProportionInterval:
        return derive_interval(x, size, method=method, conf=conf)

    return ResponseRate(
        n=n,
        counts=counts,
        objective=limits(responders, n),
        control=limits(sum(counts[outcome] for outcome in CONTROLLED), n),
        objective_with_lesions=limits(responders, inside) if inside else None,
    )


def cross_responses(first: Sequence[Outcome], second: Sequence[Outcome]) -> dict[str, int]:
    """Return how many patients responded in both kinds of lesions, one of them, or neither.

    Parameters
    ----------
    first, second
        Outcomes of the same patients, for example in injected and in non-injected lesions.

    Returns
    -------
    Counts ``both``, ``first_only``, ``second_only``, ``neither`` among patients evaluable in both, and
    ``not_comparable`` for the others; they sum to the full group.

    Raises
    ------
    InputError
        If the lengths differ.

    Examples
    --------
    >>> cross_responses([Outcome.PARTIAL, Outcome.PARTIAL], [Outcome.PARTIAL, Outcome.NO_LESION])["both"]
    1
    """
    if len(first) != len(second):
        raise InputError(
            expected="two outcomes for each patient",
            given=f"{len(first)} and {len(second)}",
            where="response",
        )
    found = dict.fromkeys(("both", "first_only", "second_only", "neither", "not_comparable"), 0)
    unknown = (Outcome.UNEVALUABLE, Outcome.NO_LESION)
    names = {(True, True): "both", (True, False): "first_only", (False, True): "second_only"}
    for a, b in zip(first, second):
        known = a not in unknown and b not in unknown
        found[names.get((a in RESPONSES, b in RESPONSES), "neither") if known else "not_comparable"] += 1
    return found


def _to_fractions(interval: ProportionInterval) -> dict[str, float]:
    return {"estimate": interval.estimate, "lower": interval.lower, "upper": interval.upper}
