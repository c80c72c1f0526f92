"""TITE-BOIN (Yuan, Lin et al. 2018, doi:10.1158/1078-0432.CCR-18-0246): BOIN that uses open windows.

With n patients at the dose, s DLTs, c pending and STFT the sum of their follow-up over the window,
p_bar = (s + target / 2) / (n - c + 1) and p_hat = (s + p_bar / (1 - p_bar) (c - STFT)) / n against the
boundaries of BOIN. Accrual is suspended while more than half of the patients at the dose are pending.
Elimination counts a pending patient as one without DLT, as the printed tables do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from hepatica.trials.design import Action, DecisionTable, Hold, Recommendation, check_doses
from hepatica.trials.escalation.boin import BOUNDARY_TOLERANCE, Boin
from hepatica.trials.escalation.interval import move_dose
from hepatica.trials.outcomes import TrialData


@dataclass(frozen=True, kw_only=True)
class TiteBoin(Boin):
    """TITE-BOIN.

    Examples
    --------
    >>> design = TiteBoin(dose_count=5, target=0.2)
    >>> round(design.predict_rate(6, 1, 2, 0.5), 3)
    0.237
    """

    name: ClassVar[str] = "tite-boin"

    def predict_rate(self, n: int, s: int, c: int, stft: float) -> float:
        """Return p_hat.

        Parameters
        ----------
        n, s, c
            Patients, DLTs and pending patients at the dose.
        stft
            Sum over pending patients of follow-up / window.
        """
        p_bar = (s + self.target / 2) / (n - c + 1)
        odds = p_bar / (1 - p_bar) if p_bar < 1 else float("inf")
        missing = c - stft
        return (s + (odds * missing if missing > 0 else 0.0)) / n

    def find_stft(self, n: int, s: int, c: int, rate: float) -> float:
        """Return the STFT at which p_hat falls to a rate; at or below 0 where it is always below."""
        p_bar = (s + self.target / 2) / (n - c + 1)
        return c - (rate * n - s) * (1 - p_bar) / p_bar

    def next_dose(self, data: TrialData) -> Recommendation:
        """Return the next dose, or suspend accrual."""
        check_doses(data, dose_count=self.dose_count)
        current = data.current_dose
        if not isinstance(current, int) or not data.count(current):
            return self.move(data)
        pending = [p for p in data.evaluable_patients() if p.dose == current and p.pending]
        n, s, c = data.count(current), data.dlts(current), len(pending)
        base = self.move(data)
        if not base.continue_ or c == 0 or self.eliminates(n, s):
            return base
        stft = sum(p.follow_up_fraction for p in pending)
        if 2 * c > n:
            hold = self._suspend(n=n, pending=[p.days_left for p in pending])
            return replace(
                base,
                recommended_dose=min(current, sum(base.dose_admissible)),
                action=Action.STAY,
                hold=hold,
                reason=f"{c} of {n} patients at dose {current} are pending, more than half: suspend accrual.",
            )
        rate = self.predict_rate(n, s, c, stft)
        escalate, deescalate = self.boundaries
        if rate <= escalate + BOUNDARY_TOLERANCE:
            action = Action.ESCALATE
        elif rate >= deescalate - BOUNDARY_TOLERANCE:
            action = Action.DEESCALATE
        else:
            action = Action.STAY
        dose, why = move_dose(
            current, action=action, dose_count=self.dose_count, admissible=base.dose_admissible
        )
        return replace(
            base,
            recommended_dose=dose,
            action=action,
            estimate=rate,
            reason=f"{s} DLTs in {n} patients at dose {current}, {c} pending with {stft:.2f} windows of "
            f"follow-up: "
            f"predicted rate {rate:.3f} against {escalate:.3f} and {deescalate:.3f}, "
            f"{action}{why}. Next dose {dose}.",
        )

    def _suspend(self, *, n: int, pending: list[float | None]) -> Hold:
        needed = len(pending) - n // 2
        known = sorted(days for days in pending if days is not None)
        days = known[needed - 1] if len(known) == len(pending) else None
        return Hold(
            why="more than half of the patients at this dose are pending", pending=len(pending), days=days
        )

    def table(self, max_n: int) -> DecisionTable:
        """Return the decision for every count, with follow-up limits where it depends on follow-up."""
        escalate, deescalate = self.boundaries
        rows: list[dict[str, Any]] = []
        for n in range(3, max_n + 1, 3):
            for s in range(n + 1):
                if self.eliminates(n, s):
                    rows.append({"n": n, "dlts": s, "pending": f"0-{n - s}", "decision": "eliminate"})
                    break
                for c in range(n - s + 1):
                    row: dict[str, Any] = {"n": n, "dlts": s, "pending": c}
                    if 2 * c > n:
                        rows.append({**row, "pending": f"{c}-{n - s}", "decision": "suspend"})
                        break
                    up, down = self.find_stft(n, s, c, escalate), self.find_stft(n, s, c, deescalate)
                    row["escalate_if_stft_ge"] = max(up, 0.0) if up <= c and s / n <= escalate else None
                    row["deescalate_if_stft_le"] = (
                        min(down, float(c)) if down >= 0 or s / n >= deescalate else None
                    )
                    rows.append({**row, "decision": "by follow-up" if c else str(self.action(n, s))})
        return DecisionTable(
            title=f"tite-boin: what to do at the current dose, target DLT rate {self.target:g}",
            columns={
                "n": "patients",
                "dlts": "DLTs",
                "pending": "pending",
                "decision": "decision",
                "escalate_if_stft_ge": "escalate if STFT >=",
                "deescalate_if_stft_le": "de-escalate if STFT <=",
            },
            rows=tuple(rows),
            notes=(
                "STFT: sum over pending patients of follow-up divided by the window. Between "
                "the limits: stay.",
            ),
        )
