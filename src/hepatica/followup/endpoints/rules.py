"""Censoring rules: an ordered table for progression, one for death, and named numbers. The first row that fits decides.

A table is TOML: numbers and choices under ``[settings]``, each with source and status as any evidence, and
rows ``[[progression]]`` and ``[[survival]]`` with ``id, when, outcome, date, code, description``. The words
of ``when`` and ``date`` are those of `hepatica.followup.endpoints.decide`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from hepatica.core.errors import InputError, NotFoundError, ProtocolError
from hepatica.core.evidence import Evidence, EvidenceTable, read_resource
from hepatica.core.provenance import digest_bytes
from hepatica.followup.best.endpoints import read_best_settings
from hepatica.followup.best.timeline import BestSettings

PACKAGE: Final = "hepatica.followup.endpoints.tables"
EVENT: Final = "event"
CENSOR: Final = "censor"
CHOICES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "start": ("RFSTDTC", "RFXSTDTC", "EXSTDTC"),
        "partial_dates": ("exclude", "earliest", "latest"),
        "response": ("unconfirmed", "confirmed"),
        "time_to_response": ("responders", "all"),
        "assessments_after_new_therapy": ("ignore", "keep"),
        "back_date_equivocal": ("yes", "no"),
    }
)
NUMBERS: Final = (
    "month_days", "missed_assessments", "every_weeks", "window_days", "confirm_days", "stable_window_days",
    "not_evaluable_between",
)  # fmt: skip
TEXTS: Final = ("first_weeks", "new_therapy_categories", "progression_terms", "death_terms")
OTHERWISE: Final = "otherwise"
CONDITIONS: Final = (
    "no baseline",
    "no baseline and no death",
    "no assessment and no event",
    "new therapy before the event",
    "missed assessments before the event",
    "progression",
    "death",
    "progression without an assessment",
    "no contact after the start",
    OTHERWISE,
)
"""What ``when`` may say."""
DATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "start": "Start",
        "progression": "Progression",
        "death": "Death",
        "new therapy": "New anticancer therapy",
        "progression without an assessment": "Progression named without an assessment",
        "last adequate assessment": "Last adequate assessment",
        "last adequate assessment before the event": "Last adequate assessment before the event",
        "last adequate assessment before new therapy": "Last adequate assessment on or before new "
        "anticancer therapy",
        "last known alive": "Last known alive",
    }
)
"""What ``date`` may say, with what CNSDTDSC calls it."""
ROW_FIELDS: Final = {"id", "when", "outcome", "date", "code", "description"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CensoringRule:
    """One row of a table.

    Parameters
    ----------
    rule_id
        Name in the output.
    when
        Condition, by its words.
    outcome
        ``event`` or ``censor``.
    date
        Which date counts, by its words.
    code
        CNSR: 0 for an event, 1 or more for a censoring.
    description
        EVNTDESC.
    """

    rule_id: str
    when: str
    outcome: str
    date: str
    code: int
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRules:
    """A whole table of rules.

    Parameters
    ----------
    name, title, source, status
        What it is and how far it was checked.
    settings
        Numbers and choices with their sources.
    progression, survival
        Rows in order.
    digest
        SHA-256 of the file, for the manifest.
    """

    name: str
    title: str
    source: str
    status: str
    settings: EvidenceTable
    progression: tuple[CensoringRule, ...]
    survival: tuple[CensoringRule, ...]
    digest: str

    def choice(self, key: str) -> str:
        """Return a choice."""
        return str(self.settings[key].value)

    def number(self, key: str) -> float:
        """Return a number; refused where it is not set."""
        return self.settings[key].number

    def words(self, key: str) -> tuple[str, ...]:
        """Return a list of words."""
        return tuple(word.strip() for word in str(self.settings[key].value).split(",") if word.strip())

    @property
    def first_weeks(self) -> tuple[float, ...]:
        """Weeks of the first scheduled assessments."""
        return tuple(float(week) for week in self.words("first_weeks"))

    @property
    def best(self) -> BestSettings:
        """Settings of best response."""
        return read_best_settings(
            sd_window_days=int(self.number("stable_window_days")),
            confirm_days=int(self.number("confirm_days")),
            max_ne=int(self.number("not_evaluable_between")),
        )


def list_rules() -> tuple[str, ...]:
    """Return the names of the packaged tables.

    Examples
    --------
    >>> list_rules()
    ('fda-2007', 'itt')
    """
    names = (file.name for file in resources.files(PACKAGE).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def read_rules(name: str) -> EndpointRules:
    """Return a packaged table.

    Raises
    ------
    NotFoundError
        If there is no such table.
    """
    if name not in list_rules():
        raise NotFoundError(
            expected=f"one of {', '.join(list_rules())}, or a TOML file", given=f"'{name}'", where="--rules"
        )
    return to_rules(read_resource(PACKAGE, f"{name}.toml"))


def to_rules(raw: bytes) -> EndpointRules:
    """Return the table that a TOML file holds.

    Raises
    ------
    ProtocolError
        If it is no such table: a field, word, number or choice is missing or unknown, a code contradicts
        its outcome, or the last row does not fit everybody.
    """
    try:
        document = tomllib.loads(raw.decode("utf-8"))
        entries = {
            key: Evidence.from_mapping(key, entry, where="settings")
            for key, entry in document["settings"].items()
        }
        rows = {kind: tuple(_to_row(row) for row in document[kind]) for kind in ("progression", "survival")}
        rules = EndpointRules(
            name=str(document["name"]),
            title=str(document["title"]),
            source=str(document["source"]),
            status=str(document["status"]),
            settings=EvidenceTable(
                name=f"rules {document['name']}",
                version=str(document.get("version", "")),
                digest=digest_bytes(raw),
                entries=MappingProxyType(entries),
            ),
            digest=digest_bytes(raw),
            **rows,
        )
    except ProtocolError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        given = str(error) if isinstance(error, InputError) else f"something else ({type(error).__name__})"
        raise _refuse("a table of censoring rules in TOML", given) from error
    _check(rules)
    return rules


def _refuse(expected: str, given: str) -> ProtocolError:
    return ProtocolError(
        expected=expected, given=given, where="the rules", action="compare with a packaged table"
    )


def _to_row(row: Mapping[str, Any]) -> CensoringRule:
    if set(row) != ROW_FIELDS:
        raise _refuse(f"fields {', '.join(sorted(ROW_FIELDS))} in each row", "other fields")
    outcome, code = row["outcome"], row["code"]
    fits = outcome in (EVENT, CENSOR) and isinstance(code, int) and (code == 0) == (outcome == EVENT)
    if not fits or code < 0:
        raise _refuse("outcome event with code 0, or censor with code 1 or more", f"row '{row['id']}'")
    return CensoringRule(
        rule_id=row["id"], when=row["when"], outcome=outcome, date=row["date"], code=code,
        description=row["description"],
    )  # fmt: skip


def _check(rules: EndpointRules) -> None:
    for key in (*CHOICES, *NUMBERS, *TEXTS):
        if key not in rules.settings.entries:
            raise _refuse(f"a setting {key}", "none")
    for key in NUMBERS:
        value = rules.settings[key].value
        if value is not None and (isinstance(value, str | bool) or value < 0):
            raise _refuse(f"a number of 0 or more in {key}", "another value")
    for key, allowed in CHOICES.items():
        if rules.settings[key].value not in allowed:
            raise _refuse(f"{key}: one of {', '.join(allowed)}", "another word")
    if rules.number("month_days") == 0:
        raise _refuse("more than 0 days in a month", "0")
    for rows in (rules.progression, rules.survival):
        for row in rows:
            if row.when not in CONDITIONS or row.date not in DATES:
                raise _refuse(
                    f"a condition among {', '.join(CONDITIONS)} and a date among {', '.join(DATES)}",
                    f"row '{row.rule_id}'",
                )
        if not rows or rows[-1].when != OTHERWISE or len({row.rule_id for row in rows}) != len(rows):
            raise _refuse(f"rows with different ids, the last one '{OTHERWISE}'", "other rows")
