"""Predictive probability of success (Lee and Liu 2008, doi:10.1177/1740774508089279)."""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.core.errors import InputError
from hepatica.trials.beta_distribution import measure_beta_binomial_pmf, measure_beta_survival
from hepatica.trials.design import check_probability


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictiveSetting:
    """What counts as success at the end.

    Parameters
    ----------
    n_max
        Patients at the end.
    p0
        Response probability to exceed.
    theta
        Posterior certainty P(p > p0) that is success.
    prior
        Beta prior.
    """

    n_max: int
    p0: float
    theta: float
    prior: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        check_probability(self.p0, name="p0")
        check_probability(self.theta, name="theta")
        if min(self.prior) <= 0 or self.n_max < 1:
            raise InputError(
                expected="positive prior parameters and patients",
                given=f"{self.prior}, n {self.n_max}",
                where="predictive probability",
            )


def measure_predictive_probability(x: int, n: int, *, setting: PredictiveSetting) -> float:
    """Return the probability that the trial will be a success, given x responses in n patients.

    Examples
    --------
    >>> setting = PredictiveSetting(n_max=40, p0=0.6, theta=0.9, prior=(0.6, 0.4))
    >>> round(measure_predictive_probability(16, 23, setting=setting), 4)
    0.5656
    """
    if not 0 <= x <= n <= setting.n_max:
        raise InputError(
            expected=f"0 <= x <= n <= {setting.n_max}", given=f"x {x}, n {n}", where="predictive probability"
        )
    a, b = setting.prior
    left = setting.n_max - n
    needed = find_success_limit(setting)
    success = range(max(needed - x, 0), left + 1)
    if len(success) == left + 1:
        return 1.0
    return sum(measure_beta_binomial_pmf(y, n=left, a=a + x, b=b + n - x) for y in success)


def find_success_limit(setting: PredictiveSetting) -> int:
    """Return the least number of responses at the end that is a success; n_max + 1 where none is."""
    a, b = setting.prior
    for x in range(setting.n_max + 1):
        if measure_beta_survival(setting.p0, a=a + x, b=b + setting.n_max - x) > setting.theta:
            return x
    return setting.n_max + 1


def list_futility_limits(
    *, setting: PredictiveSetting, theta_low: float, looks: tuple[int, ...]
) -> tuple[tuple[int, int | None], ...]:
    """Return for each look the largest number of responses with a predictive probability below `theta_low`.

    None where even no response leaves the trial going.
    """
    rows = []
    for n in looks:
        stop = [x for x in range(n + 1) if measure_predictive_probability(x, n, setting=setting) < theta_low]
        rows.append((n, max(stop) if stop else None))
    return tuple(rows)
