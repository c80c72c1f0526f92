"""What is simulated, and what one block of trials gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any, Final

from hepatica.core.errors import InputError
from hepatica.trials.design import Design, check_probability
from hepatica.trials.escalation import find_design
from hepatica.trials.rule_options import join_rules
from hepatica.trials.rules import RuledDesign

TIMED_DESIGNS: Final = ("tite-boin", "tite-crm")
"""Designs that use the follow-up of patients whose window is open."""
RESPONSE_DESIGNS: Final = ("boin12",)
"""Designs that find no dose where nobody responds."""
BLOCK_TRIALS: Final = 4096
"""Trials in one block: small enough to share among workers, large enough to hide the cost of starting one."""
CRM_GRID_POINTS: Final = 241
"""Spacing prior_sd / 12: exact to rounding for posteriors wider than a tenth of the prior."""
HASH_SLOTS: Final = 1 << 17
"""Room for the counts of one CRM trial size; five doses and 24 patients in threes reach about 10,000."""
LARGEST_CODE: Final = 2**62
"""Counts that encode to more than this are not kept but computed each time."""


@dataclass(frozen=True, kw_only=True)
class SimulationJob:
    """What is simulated; plain values only, so that it can travel to a worker.

    Parameters
    ----------
    design
        Name of the design.
    options
        Its options, as for `find_design`.
    rules
        Pairs of rule name and value, in order.
    truth
        True DLT probability of each level.
    response
        True response probability of each level, for designs that use responses.
    trials
        Number of trials.
    seed
        Seed of all random numbers.
    cohort_size, cohorts
        Patients in a cohort, most cohorts in a trial.
    window, gap
        DLT window and mean time between arrivals in one unit, for designs in time.
    """

    design: str
    options: Mapping[str, Any] = field(default_factory=dict)
    rules: tuple[tuple[str, str], ...] = ()
    truth: tuple[float, ...] = ()
    response: tuple[float, ...] = ()
    trials: int = 10_000
    seed: int = 1
    cohort_size: int = 3
    cohorts: int = 10
    window: float = 1.0
    gap: float = 0.25

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        for p in (*self.truth, *self.response):
            if not 0.0 <= p <= 1.0:
                check_probability(p, name="truth")
        if not self.truth or (self.response and len(self.response) != len(self.truth)):
            raise InputError(
                expected="one true probability for each dose",
                given=f"{len(self.truth)} DLT, {len(self.response)} response",
                where="truth",
            )
        if (
            min(self.trials, self.cohort_size, self.cohorts) < 1
            or not 0 < self.window < inf
            or not 0 <= self.gap < inf
            or self.seed < 0
        ):
            raise InputError(
                expected="trials, cohorts and their size of at least 1, a finite window above 0, a finite "
                "gap and a seed of 0 or more",
                given=f"{self.trials}, {self.cohorts}, {self.cohort_size}, {self.window:g}, {self.gap:g}, "
                f"{self.seed}",
                where="simulation",
            )

    @property
    def in_time(self) -> bool:
        """Whether the design decides while windows are open, so that trials run with accrual in time."""
        return self.design in TIMED_DESIGNS

    @property
    def block_count(self) -> int:
        """Number of blocks."""
        return ceil(self.trials / BLOCK_TRIALS)

    def make_design(self) -> Design:
        """Return the design with its rules."""
        options = dict(self.options)
        options.setdefault("dose_count", len(self.truth))
        design = find_design(self.design, **options)
        if self.design in RESPONSE_DESIGNS and not self.response:
            raise InputError(
                expected="a true response probability for each dose",
                given="none",
                where="response",
                action=f"give them: {self.design} weighs response against toxicity, and without them every "
                "dose is futile",
            )
        if design.dose_count != len(self.truth):
            raise InputError(
                expected=f"{design.dose_count} true probabilities", given=str(len(self.truth)), where="truth"
            )
        return RuledDesign(design=design, rules=join_rules(self.rules)) if self.rules else design


@dataclass(frozen=True, kw_only=True)
class BlockResult:
    """Whole-number sums over the trials of one block.

    Parameters
    ----------
    trials
        Trials in the block.
    selected
        Trials that selected each level; last entry: no dose.
    patients, dlts
        Patients and DLTs by level.
    squares
        Sums of squared patients and squared DLTs of a trial, and of durations in 1/1000 windows (0 without
        time).
    """

    trials: int
    selected: tuple[int, ...]
    patients: tuple[int, ...]
    dlts: tuple[int, ...]
    squares: tuple[int, ...]
