"""Inference after a two-stage trial: what the early look does to the estimate.

Outcomes are ordered by stage and responses: every trial stopped early lies below every trial that went on,
which is also the order of the unbiased estimate (Jung and Kim 2004, doi:10.1002/sim.1693; Koyama and Chen
2008, doi:10.1002/sim.3068).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

from hepatica.core.errors import InputError
from hepatica.trials.beta_distribution import measure_binomial_pmf
from hepatica.trials.design import check_probability
from hepatica.trials.phase2.simon import measure_tail


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStageInference:
    """What a finished two-stage trial says.

    Parameters
    ----------
    stage
        1 for stopped early, 2 for completed.
    naive
        Responses over patients, biased downward.
    umvue
        Uniformly minimum-variance unbiased estimate.
    p_value
        One-sided, against p0, in the order of the design.
    lower, upper
        Limits in the same order, so that they agree with the p value.
    """

    stage: int
    naive: float
    umvue: float
    p_value: float
    lower: float
    upper: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            name: getattr(self, name) for name in ("stage", "naive", "umvue", "p_value", "lower", "upper")
        }


def infer_two_stage(
    responses: int, *, r1: int, n1: int, n: int, p0: float, stage: int | None = None, conf: float = 0.95
) -> TwoStageInference:
    """Return estimate, p value and interval of a finished two-stage trial.

    Parameters
    ----------
    responses
        Responses in all patients treated.
    r1, n1, n
        The design.
    p0
        Response probability under the null hypothesis.
    stage
        1 where the trial stopped after n1 patients, else 2; derived from the responses unless given.
    conf
        Confidence level, equal tails.

    Raises
    ------
    InputError
        If the responses do not fit the design.

    Examples
    --------
    >>> result = infer_two_stage(6, r1=1, n1=10, n=29, p0=0.1)
    >>> result.stage, round(result.umvue, 4)
    (2, 0.2613)
    """
    check_probability(p0, name="p0")
    check_probability(conf, name="confidence level")
    at = stage if stage is not None else (1 if responses <= r1 else 2)
    if not 0 <= r1 < n1 < n or at not in (1, 2) or not 0 <= responses <= (n1 if at == 1 else n):
        raise InputError(
            expected="0 <= r1 < n1 < n and responses that fit the stage",
            given=f"{responses} responses, r1 {r1}, n1 {n1}, n {n}",
            where="two-stage inference",
        )
    if (at == 1) != (responses <= r1):
        raise InputError(
            expected=f"stage 1 for at most {r1} responses, stage 2 above",
            given=f"stage {at} with {responses} responses",
            where="two-stage inference",
            action="check the design and the responses",
        )
    tail = (1 - conf) / 2
    design = (r1, n1, n)
    return TwoStageInference(
        stage=at,
        naive=responses / (n1 if at == 1 else n),
        umvue=_umvue(responses, at, design),
        p_value=_at_least(responses, at, design, p0),
        lower=0.0 if responses == 0 else _solve(lambda p: _at_least(responses, at, design, p), tail),
        upper=1.0
        if at == 2 and responses == n
        else _solve(lambda p: -_at_most(responses, at, design, p), -tail),
    )


def _umvue(responses: int, stage: int, design: tuple[int, int, int]) -> float:
    r1, n1, n = design
    if stage == 1:
        return responses / n1
    n2 = n - n1
    first = range(max(r1 + 1, responses - n2), min(n1, responses) + 1)
    above = sum(comb(n1 - 1, k - 1) * comb(n2, responses - k) for k in first)
    return above / sum(comb(n1, k) * comb(n2, responses - k) for k in first)


def _at_least(responses: int, stage: int, design: tuple[int, int, int], p: float) -> float:
    """Return the probability of an outcome at or above the one seen."""
    r1, n1, n = design
    if stage == 1:
        return measure_tail(responses, n=n1, p=p)
    return sum(
        measure_binomial_pmf(k, n=n1, p=p) * measure_tail(responses - k, n=n - n1, p=p)
        for k in range(r1 + 1, n1 + 1)
    )


def _at_most(responses: int, stage: int, design: tuple[int, int, int], p: float) -> float:
    r1, n1, n = design
    if stage == 1:
        return 1.0 - measure_tail(responses + 1, n=n1, p=p)
    above = sum(
        measure_binomial_pmf(k, n=n1, p=p) * measure_tail(responses + 1 - k, n=n - n1, p=p)
        for k in range(r1 + 1, n1 + 1)
    )
    return 1.0 - above


def _solve(rising: Any, level: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        if rising(middle) < level:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
