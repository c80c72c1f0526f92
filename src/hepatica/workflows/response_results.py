"""The rows that a verdict makes in RS."""

from __future__ import annotations

from hepatica.followup.verdict import Verdict
from hepatica.followup.words import NewLesion


def to_results(verdict: Verdict) -> list[tuple[str, str]]:
    """Return test code and result of every row that a verdict makes in RS."""
    rows = [("TRGRESP", str(verdict.target))] if verdict.target else []
    if verdict.non_target:
        rows.append(("NTRGRESP", str(verdict.non_target)))
    if verdict.new is not None:
        rows.append(("NEWLIND", "Y" if verdict.new.answer is NewLesion.YES else "N"))
        if verdict.new.answer in (NewLesion.YES, NewLesion.EQUIVOCAL):
            sure = verdict.new.answer is NewLesion.YES
            rows.append(("NEWLPROG", "UNEQUIVOCAL" if sure else "EQUIVOCAL"))
    rows.append(("OVRLRESP", str(verdict.overall)))
    return rows
