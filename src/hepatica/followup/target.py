"""Response of the target lesions: one test after the other, with the numbers that decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.followup.limits import is_at_least, is_at_most, is_zero
from hepatica.followup.records import TrackedLesion
from hepatica.followup.sums import LesionSum, is_gone
from hepatica.followup.words import Response

TABLES: Final = "hepatica.followup.tables"
NO_BASELINE = NotEvaluable(reason="no complete baseline sum")
NO_LIMIT = NotEvaluable(reason="no limit applies")
PARTIAL_SUM = NotEvaluable(reason="the sum is partial")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLimits:
    """The numbers of one criterion and the named settings that go with them.

    Parameters
    ----------
    response_ratio
        PR where the sum is at most this times the baseline sum.
    progression_ratio
        PD where the sum is at least this times the nadir ...
    progression_least
        ... and at least this much above it; 0 where the criterion has no such rule.
    node_normal
        A node below this size is normal.
    continuing_pr
        Keep PR after a PR as long as there is no PD, though the sum drifts back above the limit
        (EORTC clarification). Off: each visit is judged by its own sum.
    """

    response_ratio: float
    progression_ratio: float
    progression_least: float
    node_normal: float
    continuing_pr: bool = False

    def progression_limit(self, nadir: float) -> float:
        """Return the smallest sum that is PD."""
        return max(self.progression_ratio * nadir, nadir + self.progression_least)

    def is_progression(self, total: float, nadir: float) -> bool:
        """Whether a sum is PD against a nadir. A sum of 0 never is."""
        return (
            not is_zero(total)
            and is_at_least(total, self.progression_ratio * nadir)
            and is_at_least(total - nadir, self.progression_least)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHistory:
    """What earlier visits left behind for the next one.

    Parameters
    ----------
    baseline
        Baseline sum, or why there is none.
    nadir
        Smallest complete sum so far, baseline included; or why there is none.
    responded
        A PR was given before.
    cleared
        An overall CR was given before: any reappearance is then progression.
    """

    baseline: float | NotEvaluable
    nadir: float | NotEvaluable
    responded: bool = False
    cleared: bool = False

    @classmethod
    def start(cls, baseline: LesionSum) -> TargetHistory:
        """Begin at the baseline; a partial sum is no reference."""
        reference = baseline.total if baseline.complete else NO_BASELINE
        return cls(baseline=reference, nadir=reference)

    def then(self, now: LesionSum, *, target: Response, overall_cr: bool) -> TargetHistory:
        """Return the history after a visit; only a complete sum may lower the nadir."""
        nadir = self.nadir
        if now.complete and (isinstance(nadir, NotEvaluable) or now.total < nadir):
            nadir = now.total
        return replace(
            self,
            nadir=nadir,
            responded=self.responded or target is Response.PR,
            cleared=self.cleared or overall_cr,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseBand:
    """What reader variability alone could make of a sum.

    Parameters
    ----------
    between_readers
        Lowest and highest sum another reader might measure.
    same_reader
        Lowest and highest sum the same reader might measure again.
    codes_between_readers, codes_same_reader
        Codes that occur in these bands; one code means the verdict is beyond the noise.
    """

    between_readers: tuple[float, float]
    same_reader: tuple[float, float]
    codes_between_readers: tuple[Response, ...]
    codes_same_reader: tuple[Response, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetAssessment:
    """Target response with the numbers behind it.

    Parameters
    ----------
    response
        The code.
    rule
        Name of the test that decided.
    now
        The sum of this visit.
    baseline, nadir
        References used, or why there are none.
    to_response, to_progression
        How far the sum is from the PR and from the PD limit (in the unit of the sum): positive where the
        limit is not reached, 0 or negative where it is.
    noise
        Reader-variability band, or why there is none.
    """

    response: Response
    rule: str
    now: LesionSum
    baseline: float | NotEvaluable = NO_BASELINE
    nadir: float | NotEvaluable = NO_BASELINE
    to_response: float | NotEvaluable = NO_LIMIT
    to_progression: float | NotEvaluable = NO_LIMIT
    limits: TargetLimits | None = None
    history: TargetHistory | None = None

    @property
    def noise(self) -> NoiseBand | NotEvaluable:
        """Reader-variability band of the sum; worked out on request."""
        return derive_noise_band(self)


def assess_targets(
    now: LesionSum, *, targets: tuple[TrackedLesion, ...], history: TargetHistory, limits: TargetLimits
) -> TargetAssessment:
    """Judge the targets of one visit; tests in fixed order, the first that holds decides.

    ``all-gone`` CR; ``reappeared-after-cr`` PD (non-nodal targets only: a node that grows past the normal
    limit as the only sign waits for the next scan); ``progression`` PD, on a partial sum too;
    ``target-missing`` NE; ``no-baseline-sum`` NE; ``response`` PR; ``continuing-response`` PR where that
    setting is on; ``stable`` SD.

    Parameters
    ----------
    now
        Sum of this visit.
    targets
        The lesions summed.
    history
        References from earlier visits.
    limits
        Numbers and settings of the criterion.

    Examples
    --------
    >>> from hepatica.followup.criteria.recist11 import read_recist_limits
    >>> from hepatica.followup.words import LesionRole
    >>> now = LesionSum(total=21.0, sizes={"T01": 21.0}, missing=(), all_gone=False)
    >>> t01 = TrackedLesion(lesion_id="T01", role=LesionRole.TARGET)
    >>> history = TargetHistory(baseline=30.0, nadir=30.0)
    >>> answer = assess_targets(now, targets=(t01,), history=history, limits=read_recist_limits())
    >>> str(answer.response), answer.rule, answer.to_response
    ('PR', 'response', 0.0)
    """
    if not targets:
        return TargetAssessment(response=Response.NONE, rule="no-targets", now=now)
    response, rule = _judge(now, targets=targets, history=history, limits=limits)
    baseline, nadir = history.baseline, history.nadir
    return TargetAssessment(
        response=response,
        rule=rule,
        now=now,
        baseline=baseline,
        nadir=nadir,
        to_response=_above_response(now, baseline, limits),
        to_progression=NO_LIMIT
        if isinstance(nadir, NotEvaluable)
        else limits.progression_limit(nadir) - now.total,
        limits=limits,
        history=history,
    )


def _above_response(
    now: LesionSum, baseline: float | NotEvaluable, limits: TargetLimits
) -> float | NotEvaluable:
    if isinstance(baseline, NotEvaluable):
        return NO_LIMIT
    return now.total - limits.response_ratio * baseline if now.complete else PARTIAL_SUM


def _judge(
    now: LesionSum, *, targets: Iterable[TrackedLesion], history: TargetHistory, limits: TargetLimits
) -> tuple[Response, str]:
    if now.all_gone:
        return Response.CR, "all-gone"
    if history.cleared and _reappeared(now, targets, limits):
        return Response.PD, "reappeared-after-cr"
    nadir, baseline = history.nadir, history.baseline
    if not isinstance(nadir, NotEvaluable) and limits.is_progression(now.total, nadir):
        return Response.PD, "progression"
    if not now.complete:
        return Response.NE, "target-missing"
    if isinstance(baseline, NotEvaluable):
        return Response.NE, "no-baseline-sum"
    if is_at_most(now.total, limits.response_ratio * baseline):
        return Response.PR, "response"
    if limits.continuing_pr and history.responded:
        return Response.PR, "continuing-response"
    return Response.SD, "stable"


def _reappeared(now: LesionSum, targets: Iterable[TrackedLesion], limits: TargetLimits) -> bool:
    for lesion in targets:
        size = now.sizes[lesion.lesion_id]
        if lesion.is_node or isinstance(size, NotEvaluable):
            continue
        if not is_gone(size, lesion, node_normal=limits.node_normal):
            return True
    return False


def derive_noise_band(
    assessment: TargetAssessment, *, variability: EvidenceTable | None = None
) -> NoiseBand | NotEvaluable:
    """Return the sums, and the codes they would give, that reader variability alone could produce.

    Parameters
    ----------
    assessment
        A judged visit with a complete sum.
    variability
        Table ``variability.toml``, or a site's own.
    """
    limits, history = assessment.limits, assessment.history
    if limits is None or history is None or not assessment.now.complete:
        return NotEvaluable(reason="no complete sum")
    if isinstance(history.baseline, NotEvaluable) or isinstance(history.nadir, NotEvaluable):
        return NO_BASELINE
    total = assessment.now.total
    between, same = (_spread(total, kind, variability) for kind in ("between_readers", "same_reader"))
    return NoiseBand(
        between_readers=between,
        same_reader=same,
        codes_between_readers=_codes_within(
            between, history=history, limits=limits, found=assessment.response
        ),
        codes_same_reader=_codes_within(same, history=history, limits=limits, found=assessment.response),
    )


def _spread(total: float, kind: str, variability: EvidenceTable | None) -> tuple[float, float]:
    low, high = _read_spread(kind) if variability is None else _find_spread(kind, variability)
    return total * (1 + low / 100), total * (1 + high / 100)


@cache
def _read_spread(kind: str) -> tuple[float, float]:
    return _find_spread(kind, read_evidence_table(TABLES, "variability.toml"))


def _find_spread(kind: str, table: EvidenceTable) -> tuple[float, float]:
    return table[f"sum_{kind}_low"].number, table[f"sum_{kind}_high"].number


def _codes_within(
    band: tuple[float, float], *, history: TargetHistory, limits: TargetLimits, found: Response
) -> tuple[Response, ...]:
    assert not isinstance(history.baseline, NotEvaluable)
    assert not isinstance(history.nadir, NotEvaluable)
    low, high = band
    response_limit = limits.response_ratio * history.baseline
    progression_limit = limits.progression_limit(history.nadir)
    codes = {found}
    if is_at_most(low, response_limit) and not limits.is_progression(low, history.nadir) and low > 0:
        codes.add(Response.PR)
    if high > 0 and limits.is_progression(high, history.nadir):
        codes.add(Response.PD)
    # SD lies strictly between the two limits, where they leave room.
    if max(low, response_limit) < min(high, progression_limit) and response_limit < progression_limit:
        codes.add(Response.PR if limits.continuing_pr and history.responded else Response.SD)
    order = (Response.CR, Response.PR, Response.SD, Response.PD, Response.NE)
    return tuple(code for code in order if code in codes)
