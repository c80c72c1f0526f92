"""Reading one table of a protocol file strictly: every number with its unit, every key known."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from hepatica.core.errors import InputError, ProtocolError
from hepatica.core.evidence import Evidence, EvidenceStatus

NOT_SET: Final = "not set"
"""What a protocol file writes where a number or table is unknown."""
INHERITED_KEYS: Final = ("source", "version", "status")
"""What a table may say once for all numbers in it."""


def is_number_table(raw: object) -> bool:
    """Whether a TOML table is one piece of evidence, not a section."""
    return isinstance(raw, dict) and ("value" in raw or raw.get("status") == NOT_SET)


def spread_sources(raw: Any, inherited: Mapping[str, str] | None = None) -> Any:
    """Return a copy in which each piece of evidence carries the source, version and status of its section."""
    known = dict(inherited or {})
    if isinstance(raw, list):
        return [spread_sources(item, known) for item in raw]
    if not isinstance(raw, dict):
        return raw
    if is_number_table(raw):
        return {**known, **raw}
    known.update({key: raw[key] for key in INHERITED_KEYS if key in raw})
    return {key: spread_sources(value, known) for key, value in raw.items() if key not in INHERITED_KEYS}


def to_decimal(value: float) -> Decimal:
    """Turn a number into the decimal that its shortest notation shows: 0.1 becomes exactly one tenth."""
    return Decimal(repr(float(value)))


def to_mm(evidence: Evidence) -> float:
    """Return a length in millimetres; 2.5 cm becomes exactly 25.0."""
    return float(to_decimal(evidence.number) * (10 if evidence.unit == "cm" else 1))


def to_fraction(evidence: Evidence) -> Decimal:
    """Return a share, given in percent or as a fraction, as a fraction."""
    share = to_decimal(evidence.number)
    return share / 100 if evidence.unit == "percent" else share


def weakest_status(evidence: Sequence[Evidence]) -> EvidenceStatus:
    """Return the least trusted status among the numbers used; verified where none is used."""
    order = (EvidenceStatus.NOT_SET, EvidenceStatus.UNVERIFIED, EvidenceStatus.DERIVED)
    present = {item.status for item in evidence}
    return next((status for status in order if status in present), EvidenceStatus.VERIFIED)


def join_sources(evidence: Sequence[Evidence]) -> str:
    """Return the distinct sources of the numbers used, in order."""
    return "; ".join(dict.fromkeys(item.source for item in evidence if item.source))


class Section:
    """One table of a protocol file, read key by key; `finish` refuses what nobody asked for.

    Parameters
    ----------
    raw
        The TOML table, sources already spread.
    path
        Dotted place in the file; empty for the file itself.
    where
        File name or protocol name, for messages.
    """

    def __init__(self, raw: Mapping[str, Any], *, path: str, where: str) -> None:
        self.raw = raw
        self.path = path
        self.where = where
        self._asked: set[str] = set()

    def refuse(
        self, key: str, *, expected: str, given: str, action: str = "correct the protocol file"
    ) -> ProtocolError:
        """Return (not raise) the refusal of one key."""
        return ProtocolError(
            expected=expected, given=given, where=f"{self.where} [{self.dotted(key)}]", action=action
        )

    def dotted(self, key: str) -> str:
        """Return the dotted place of a key."""
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """Whether the file says anything about a key."""
        return key in self.raw

    def is_not_set(self, key: str) -> bool:
        """Whether a whole table is declared unknown with the text ``not set``."""
        self._asked.add(key)
        return bool(self.raw.get(key) == NOT_SET)

    def text(self, key: str, *, default: str | None = None) -> str:
        """Return a text; without a default it has to be there and must not be empty."""
        self._asked.add(key)
        value = self.raw.get(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.refuse(key, expected="a text", given=_describe(value))
        return value

    def choice(self, key: str, allowed: Sequence[str], *, default: str | None = None) -> str:
        """Return a text that is one of a closed list."""
        value = self.text(key, default=default)
        if value not in allowed:
            raise self.refuse(key, expected=f"one of {', '.join(allowed)}", given=f"'{value}'")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; empty where absent."""
        self._asked.add(key)
        values = self.raw.get(key, [])
        if not isinstance(values, list) or not all(isinstance(item, str) and item for item in values):
            raise self.refuse(key, expected="a list of texts", given=_describe(values))
        return tuple(values)

    def count(self, key: str, *, default: int | None = None) -> int | None:
        """Return a counting number from 1, or the default."""
        self._asked.add(key)
        value = self.raw.get(key, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.refuse(key, expected="a whole number from 1", given=_describe(value))
        return value

    def evidence(self, key: str) -> Evidence | None:
        """Return one piece of evidence of any kind, or None where absent."""
        self._asked.add(key)
        if key not in self.raw:
            return None
        raw = self.raw[key]
        if not is_number_table(raw):
            raise self.refuse(
                key,
                expected='a table like { value = 4.0, unit = "ml", source = "...", status = "verified" }',
                given=_describe(raw),
                action='a bare number carries no unit and no source; write the table, or status = "not set"',
            )
        try:
            return Evidence.from_mapping(self.dotted(key), raw, where=self.where)
        except InputError as error:
            raise ProtocolError(
                expected=error.expected,
                given=error.given,
                where=error.where,
                action="correct the protocol file",
            ) from None

    def number(self, key: str, *, units: Sequence[str], zero: bool = False) -> Evidence | None:
        """Return a finite number above zero (or from zero) in a permitted unit, or None where absent."""
        evidence = self.evidence(key)
        if evidence is None:
            return None
        if evidence.unit not in units:
            raise self.refuse(
                key,
                expected=f"unit {' or '.join(repr(unit) for unit in units)}{_suggest(evidence.unit, units)}",
                given=f"unit '{evidence.unit}'",
            )
        if evidence.status is EvidenceStatus.NOT_SET:
            return evidence
        value = evidence.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.refuse(key, expected="a finite number", given=_describe(value))
        if value < 0 or (value == 0 and not zero):
            raise self.refuse(
                key, expected="a number from 0" if zero else "a number above 0", given=f"{value}"
            )
        return evidence

    def required_number(self, key: str, *, units: Sequence[str], zero: bool = False) -> Evidence:
        """Return a number that the file has to mention, if only as ``status = "not set"``."""
        evidence = self.number(key, units=units, zero=zero)
        if evidence is None:
            raise self.refuse(
                key, expected=f'a number in {" or ".join(units)}, or status = "not set"', given="nothing"
            )
        return evidence

    def words(self, key: str, *, allowed: Sequence[str] = ()) -> Evidence | None:
        """Return evidence whose value is text, optionally one of a closed list, or None where absent."""
        evidence = self.evidence(key)
        if evidence is None or evidence.status is EvidenceStatus.NOT_SET:
            return evidence
        if not isinstance(evidence.value, str) or not evidence.value:
            raise self.refuse(key, expected="a text value", given=_describe(evidence.value))
        if allowed and evidence.value not in allowed:
            raise self.refuse(key, expected=f"one of {', '.join(allowed)}", given=f"'{evidence.value}'")
        return evidence

    def section(self, key: str, *, required: bool = False) -> Section | None:
        """Return a table below this one."""
        self._asked.add(key)
        if key not in self.raw:
            if required:
                raise self.refuse(key, expected=f"a table [{self.dotted(key)}]", given="nothing")
            return None
        if not isinstance(self.raw[key], dict):
            raise self.refuse(key, expected=f"a table [{self.dotted(key)}]", given=_describe(self.raw[key]))
        return Section(self.raw[key], path=self.dotted(key), where=self.where)

    def sections(self, key: str) -> tuple[Section, ...]:
        """Return a list of tables; empty where absent."""
        self._asked.add(key)
        raw = self.raw.get(key, [])
        if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
            raise self.refuse(key, expected=f"tables [[{self.dotted(key)}]]", given=_describe(raw))
        return tuple(
            Section(item, path=f"{self.dotted(key)}[{index}]", where=self.where)
            for index, item in enumerate(raw, 1)
        )

    def finish(self) -> None:
        """Refuse keys that nobody asked for: most are spelling mistakes."""
        for key in self.raw:
            if key not in self._asked:
                known = sorted(self._asked)
                raise self.refuse(
                    key,
                    expected=f"only the keys {', '.join(known)}{_suggest(key, known)}",
                    given=f"the unknown key '{key}'",
                )


def _suggest(given: str, known: Sequence[str]) -> str:
    by_small_letters = {item.casefold(): item for item in known if item}
    near = difflib.get_close_matches(given.casefold(), by_small_letters, n=1)
    return f" (did you mean '{by_small_letters[near[0]]}'?)" if near else ""


def _describe(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a table"
    return repr(value)
