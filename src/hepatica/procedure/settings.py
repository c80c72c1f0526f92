"""What a site and a study set for the day."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.evidence import Evidence, EvidenceStatus, EvidenceTable, read_evidence_table
from hepatica.procedure.entry_kind import TABLES

SITE_LIMITS: Final = ("vital_interval", "observation_min", "tip_deviation_max")


def read_limits() -> EvidenceTable:
    """Return the limits of the day as shipped."""
    return read_evidence_table(TABLES, "limits.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySettings:
    """What a site and a study set.

    Parameters
    ----------
    protocol_version
        Version of the study's protocol that the patient has to have consented to; empty where unknown.
    jurisdiction
        Whose limits of use after thaw hold: ``uk``, ``us``, ...; empty where nobody has said.
    limits
        Table ``limits.toml``, or a site's own numbers in it.
    """

    protocol_version: str = ""
    jurisdiction: str = ""
    limits: EvidenceTable = field(default_factory=read_limits)

    def with_site_limit(self, name: str, value: float) -> DaySettings:
        """Return settings in which a site's number stands in for the shipped one.

        Parameters
        ----------
        name
            One of `SITE_LIMITS`.
        value
            In the unit of the shipped limit; above 0.

        Raises
        ------
        InputError
            If there is no such limit, or the number is not above 0.
        """
        if name not in SITE_LIMITS or not 0 < value < float("inf"):
            raise InputError(
                expected=f"a number above 0 for one of {', '.join(SITE_LIMITS)}", given="another", where=name
            )
        shipped = self.limits[name]
        own = Evidence(
            key=name,
            value=float(value),
            unit=shipped.unit,
            edge=shipped.edge,
            source="set by the site",
            status=EvidenceStatus.VERIFIED,
        )
        return DaySettings(
            protocol_version=self.protocol_version,
            jurisdiction=self.jurisdiction,
            limits=self.limits.replace(**{name: own}),
        )
