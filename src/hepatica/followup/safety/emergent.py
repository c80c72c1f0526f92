"""Whether an adverse event began under treatment."""

from __future__ import annotations

from datetime import date

from hepatica.core.findings import NotEvaluable
from hepatica.followup.dates import PartialDate


def assess_emergence(
    onset: PartialDate, *, first_dose: date | None, until: date | None = None, worsened: bool = False
) -> bool | NotEvaluable:
    """Return whether an event is treatment-emergent: begun, or become worse, on or after the first dose.

    Parameters
    ----------
    onset
        First day, perhaps known in part.
    first_dose
        Day of the first injection; an event of that day counts, because a day has no hours here.
    until
        Last day that counts, for example 30 days after the last injection; open where None.
    worsened
        Whether an event from before became worse under treatment.

    Examples
    --------
    >>> assess_emergence(PartialDate.from_text("2024-03-05"), first_dose=date(2024, 3, 5))
    True
    >>> assess_emergence(PartialDate.from_text("2024-03"), first_dose=date(2024, 3, 5)).reason
    'the onset is known in part, before or after the first dose'
    """
    if first_dose is None:
        return NotEvaluable(reason="the day of the first dose is not known")
    if onset.earliest is None or onset.latest is None:
        return NotEvaluable(reason="the onset is not known")
    if until is not None and onset.earliest > until:
        return False
    if worsened and onset.latest < first_dose:
        return True
    if onset.latest < first_dose:
        return False
    if onset.earliest < first_dose:
        return NotEvaluable(reason="the onset is known in part, before or after the first dose")
    if until is not None and onset.latest > until:
        return NotEvaluable(reason="the onset is known in part, in or after the time that counts")
    return True
