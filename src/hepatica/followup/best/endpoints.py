"""Every endpoint by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.followup.best.immune import (
    derive_immune_bor,
    derive_immune_duration,
    derive_immune_progression,
)
from hepatica.followup.best.in_class import (
    derive_bor,
    derive_clinical_benefit,
    derive_confirmed_bor,
    derive_confirmed_response,
    derive_response,
)
from hepatica.followup.best.table3 import derive_table3_bor
from hepatica.followup.best.timeline import Best, BestRule, BestSettings, Endpoint, ProgressionCut, Timeline
from hepatica.followup.target import TABLES

ENDPOINTS: Final[Mapping[Endpoint, Callable[[Timeline, BestSettings], Best]]] = MappingProxyType(
    {
        Endpoint.BOR: derive_bor,
        Endpoint.CBOR: derive_confirmed_bor,
        Endpoint.RSP: derive_response,
        Endpoint.CRSP: derive_confirmed_response,
        Endpoint.CBR: derive_clinical_benefit,
        Endpoint.IBOR: derive_immune_bor,
        Endpoint.IPFS: derive_immune_progression,
        Endpoint.IDOR: derive_immune_duration,
    }
)


def derive_best(timeline: Timeline, *, endpoint: Endpoint, settings: BestSettings) -> Best:
    """Return one endpoint of one subject.

    Raises
    ------
    InputError
        If the rule has no such endpoint: ``table3`` defines a best response only, and it is always confirmed.
    """
    if settings.rule is BestRule.TABLE3:
        if endpoint not in (Endpoint.BOR, Endpoint.CBOR):
            raise InputError(
                expected="endpoint BOR or CBOR with rule table3",
                given=str(endpoint),
                where="--endpoint",
                action="use --rule best-in-class",
            )
        return derive_table3_bor(timeline, settings)
    return ENDPOINTS[endpoint](timeline, settings)


def read_best_settings(
    *,
    rule: BestRule = BestRule.BEST_IN_CLASS,
    until_pd: ProgressionCut = ProgressionCut.DERIVE,
    sd_window_days: int | None = None,
    confirm_days: int | None = None,
    max_ne: int | None = None,
    table: EvidenceTable | None = None,
) -> BestSettings:
    """Return settings with the packaged numbers where none are given.

    Parameters
    ----------
    rule, until_pd
        As in `BestSettings`.
    sd_window_days, confirm_days, max_ne
        The protocol's numbers; None takes those of the table.
    table
        Table ``best.toml``, or a protocol's own.
    """
    numbers = table or read_evidence_table(TABLES, "best.toml")
    between = "not_evaluable_between_table3" if rule is BestRule.TABLE3 else "not_evaluable_between"
    return BestSettings(
        rule=rule,
        until_pd=until_pd,
        sd_window_days=int(numbers["stable_window"].number) if sd_window_days is None else sd_window_days,
        confirm_days=int(numbers["confirmation_interval"].number) if confirm_days is None else confirm_days,
        max_ne=int(numbers[between].number) if max_ne is None else max_ne,
    )
