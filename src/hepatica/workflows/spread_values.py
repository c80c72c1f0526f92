"""What a simulation of a plan's spread gives, and what it needs from the world."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from hepatica.core.evidence import Evidence
from hepatica.core.findings import Finding, NotEvaluable
from hepatica.planning.dose.values import Injection
from hepatica.planning.spread.member import Draw
from hepatica.planning.spread.simulate import Band, SpreadOutcome
from hepatica.planning.spread.split import Split
from hepatica.planning.spread.verification import VerificationRow
from hepatica.workflows.spread_request import SpreadRequest
from hepatica.workflows.spread_scenes import LesionScene

OpenExecutor = Callable[[], AbstractContextManager[Executor | None]]
"""Opens what the draws are shared out to; None runs them here."""
MakeCard = Callable[[Sequence[VerificationRow], Sequence[Draw], SpreadOutcome | None], Any]
"""Makes the credibility card of a run from the analytic suite, the run's draws and its outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainedVolume:
    """Largest volume one source holds.

    Parameters
    ----------
    volume_ml
        Band over the draws in which some volume is held.
    held_fraction
        Share of the draws in which that is so; in the others more leaves the lesion at any volume.
    """

    volume_ml: Band | NotEvaluable
    held_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitAdvice:
    """Into how many equal deposits the planned volume should be split.

    Parameters
    ----------
    middle
        For the middle of every range.
    counts
        Draws by number of deposits that suffices; 0 counts draws in which none does.
    """

    middle: Split | NotEvaluable
    counts: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionSpread:
    """What is predicted for one lesion.

    Parameters
    ----------
    site
        Lesion, deposits and the scene they are given in.
    injection
        What is planned for it.
    outcome
        Prediction with bands; NotEvaluable where the model does not apply.
    strength_per_ml
        Concentration of the injected fluid in ``unit`` per mL.
    unit
        Unit of the amount, for example ``pfu``; ``ml`` where the strength is not set.
    contained
        By deposit.
    split
        Advice; NotEvaluable where the model does not apply.
    findings
        What was noticed, regime checks included.
    card
        Credibility card of this run; None where none is made.
    """

    site: LesionScene
    injection: Injection
    outcome: SpreadOutcome | NotEvaluable
    strength_per_ml: float
    unit: str
    contained: tuple[ContainedVolume | NotEvaluable, ...]
    split: SplitAdvice | NotEvaluable
    findings: tuple[Finding, ...]
    card: Any = None

    @property
    def lesion_id(self) -> str:
        """Its lesion."""
        return self.site.lesion.lesion_id

    @property
    def placed_ml(self) -> float:
        """What its deposits hold: less than is planned where a part found no place."""
        return math.fsum(one.deposit.volume_ml for one in self.site.deposits)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlternativeSpread:
    """What is predicted where a lesion is injected along its backup.

    Parameters
    ----------
    lesion_id, puncture_id
        Lesion, and the backup.
    draws
        How many of the plan's draws were run.
    outcome
        Prediction with bands; NotEvaluable where the model does not apply.
    """

    lesion_id: str
    puncture_id: str
    draws: int
    outcome: SpreadOutcome | NotEvaluable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanSpread:
    """What is predicted for a plan.

    Parameters
    ----------
    request, rate
        What was asked, and the rate used with its evidence.
    lesions
        One for each lesion with a planned volume.
    verification
        The analytic suite as it ran with this code on this machine.
    alternatives
        One for each of these lesions that has a backup, at fewer draws.
    """

    request: SpreadRequest
    rate: Evidence
    lesions: tuple[LesionSpread, ...]
    verification: tuple[VerificationRow, ...]
    alternatives: tuple[AlternativeSpread, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, each once."""
        return tuple(dict.fromkeys(finding for lesion in self.lesions for finding in lesion.findings))
