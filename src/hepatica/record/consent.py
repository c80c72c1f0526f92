"""To what a patient has consented, and what a withdrawal has stopped."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from hepatica.core.evidence import read_resource
from hepatica.record.item import Item


class Purpose(StrEnum):
    """What a patient consents to."""

    TREATMENT = "treatment"
    FOLLOW_UP = "follow_up"
    DATA = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentState:
    """How a patient's consent stands.

    Parameters
    ----------
    consent_id, study_id
        The consent that holds, and its protocol version; empty where there is none.
    stopped
        Purposes that were withdrawn, each with the day.
    """

    consent_id: str
    study_id: str
    stopped: Mapping[Purpose, str]

    @property
    def holds(self) -> bool:
        """Whether there is a consent under which the patient may be treated."""
        return bool(self.consent_id) and Purpose.TREATMENT not in self.stopped

    def find_stop(self, kind: str, values: Mapping[str, object]) -> tuple[Purpose, str] | None:
        """Return the purpose and day of the withdrawal that keeps an item from being added, or None.

        Parameters
        ----------
        kind, values
            The item.
        """
        for purpose, day in self.stopped.items():
            field = read_consent_rules().kinds[purpose].get(kind)
            if field is None:
                continue
            happened = values.get(field) if field else None
            # A partial date such as 2026-03 may lie before the withdrawal only if all of it does.
            before = isinstance(happened, str) and bool(happened) and happened < day[: len(happened)]
            if not before:
                return purpose, day
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRules:
    """What each scope of a withdrawal stops, and which kinds serve each purpose."""

    scopes: Mapping[str, tuple[Purpose, ...]]
    kinds: Mapping[Purpose, Mapping[str, str]]

    def concern(self, kind: str) -> bool:
        """Whether a kind can be stopped at all."""
        return any(kind in kinds for kinds in self.kinds.values())


@cache
def read_consent_rules() -> ConsentRules:
    """Return the rules of ``tables/consent.toml``."""
    document = tomllib.loads(read_resource("hepatica.record.tables", "consent.toml").decode())
    return ConsentRules(
        scopes=MappingProxyType(
            {scope: tuple(Purpose(word) for word in words) for scope, words in document["scopes"].items()}
        ),
        kinds=MappingProxyType(
            {Purpose(word): MappingProxyType(kinds) for word, kinds in document["purposes"].items()}
        ),
    )


def assess_consent(consents: Iterable[Item]) -> ConsentState:
    """Find the consent that holds, and what was withdrawn.

    A withdrawal ends its purposes for all consents signed up to that day; one signed on a later day begins anew.

    Parameters
    ----------
    consents
        All consents of one patient.

    Examples
    --------
    >>> signed = Item(kind="consent", item_id="c1", version=1, values={"study_id": "v1", "signed_date": "2026-01-05"})
    >>> assess_consent([signed]).holds
    True
    >>> ended = signed.with_values({"withdrawn_date": "2026-02-01", "withdrawal_scope": "treatment"})
    >>> assess_consent([ended]).holds, list(assess_consent([ended]).stopped)
    (False, [<Purpose.TREATMENT: 'treatment'>])
    """
    ordered = sorted(consents, key=lambda item: (str(item.values["signed_date"]), item.item_id))
    stopped: dict[Purpose, str] = {}
    for consent in ordered:
        day = str(consent.values.get("withdrawn_date", ""))
        for purpose in read_consent_rules().scopes.get(str(consent.values.get("withdrawal_scope", "")), ()):
            later = any(
                str(other.values["signed_date"]) > day and not other.values.get("withdrawn_date")
                for other in ordered
            )
            if not later:
                stopped[purpose] = min(day, stopped.get(purpose, day))
    valid = [consent for consent in ordered if not consent.values.get("withdrawn_date")]
    last = valid[-1] if valid else None
    return ConsentState(
        consent_id=last.item_id if last else "",
        study_id=str(last.values["study_id"]) if last else "",
        stopped=MappingProxyType({purpose: stopped[purpose] for purpose in Purpose if purpose in stopped}),
    )


def find_protocol_version(studies: Iterable[Item], *, on: str) -> Item | None:
    """Return the protocol version in force on a day: the last that is valid from that day or earlier.

    Parameters
    ----------
    studies
        All versions.
    on
        ISO date.
    """
    valid = [study for study in studies if str(study.values["valid_from_date"]) <= on]
    return max(valid, key=lambda item: (str(item.values["valid_from_date"]), item.item_id), default=None)
