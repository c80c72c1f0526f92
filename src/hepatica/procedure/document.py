"""A day's entries as one JSON document, and its published schema."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hepatica.core.errors import RecordInputError
from hepatica.core.iso_dates import is_moment
from hepatica.procedure.append import ENTRIES_MAX
from hepatica.procedure.entry import ID_MAX, TEXT_MAX, Entry
from hepatica.procedure.entry_kind import EntryField, EntryKind, read_entry_kinds
from hepatica.procedure.settings import SITE_LIMITS, DaySettings

SCHEMA_VERSION: Final = "1.0"
ENTRY_KEYS: Final = (
    "entry_id", "kind", "occurred_at", "entered_at", "author", "values", "supersedes", "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EntriesFile:
    """Content of a file of entries.

    Parameters
    ----------
    settings
        What site and study set.
    entries
        In the order of the file.
    """

    settings: DaySettings
    entries: tuple[Entry, ...]


def to_entry_document(entry: Entry) -> dict[str, Any]:
    """Return one entry as JSON, without what is empty."""
    document: dict[str, Any] = {
        "entry_id": entry.entry_id,
        "kind": entry.kind,
        "occurred_at": entry.occurred_at.isoformat(),
        "entered_at": entry.entered_at.isoformat(),
        "author": entry.author,
        "values": dict(entry.values),
        "supersedes": entry.supersedes,
        "reason": entry.reason,
    }
    return {key: value for key, value in document.items() if value not in ("", {})}


def from_entry_document(document: Any, *, where: str = "entry") -> Entry:
    """Return an entry as it was written; its fields are checked by `hepatica.procedure.entry.check_entry`.

    Parameters
    ----------
    document
        The parsed JSON.
    where
        Its place, for messages.

    Raises
    ------
    RecordInputError
        If it is no entry.
    """
    if not isinstance(document, Mapping) or set(document) - set(ENTRY_KEYS):
        raise RecordInputError(
            expected=f"an entry with {', '.join(ENTRY_KEYS)}", given="another document", where=where
        )
    texts = {key: document.get(key, "") for key in ENTRY_KEYS if key != "values"}
    values = document.get("values", {})
    if not isinstance(values, Mapping) or not all(isinstance(text, str) for text in texts.values()):
        raise RecordInputError(expected="texts, and an object of values", given="others", where=where)
    return Entry(
        entry_id=texts["entry_id"],
        kind=texts["kind"],
        occurred_at=_to_time(texts["occurred_at"], where),
        entered_at=_to_time(texts["entered_at"], where),
        author=texts["author"],
        values=dict(values),
        supersedes=texts["supersedes"],
        reason=texts["reason"],
    )


def to_entries_document(entries: Iterable[Entry], *, settings: DaySettings | None = None) -> dict[str, Any]:
    """Return a day's entries as JSON.

    Parameters
    ----------
    entries
        In the order in which they arrived.
    settings
        What site and study set.
    """
    chosen = settings or DaySettings()
    own = {
        name: chosen.limits[name].number
        for name in SITE_LIMITS
        if chosen.limits[name].value is not None and chosen.limits[name] != DaySettings().limits[name]
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "protocol_version": chosen.protocol_version,
        "jurisdiction": chosen.jurisdiction,
        "site_limits": own,
        "entries": [to_entry_document(entry) for entry in entries],
    }


def from_entries_document(document: Mapping[str, Any]) -> EntriesFile:
    """Read a day's entries.

    Parameters
    ----------
    document
        The parsed JSON.

    Raises
    ------
    RecordInputError
        If it is no such document, or of another version.
    """
    known = {"schema_version", "protocol_version", "jurisdiction", "site_limits", "entries"}
    if str(document.get("schema_version", "")).split(".")[0] != "1" or set(document) - known:
        raise RecordInputError(
            expected=f"a document of entries, schema version {SCHEMA_VERSION}",
            given="another document",
            where="entries",
            action="see 'hepatica schema procedure'",
        )
    rows, limits = document.get("entries"), document.get("site_limits", {})
    if not isinstance(rows, list) or len(rows) > ENTRIES_MAX or not isinstance(limits, Mapping):
        raise RecordInputError(
            expected=f"a list of at most {ENTRIES_MAX} entries", given="another", where="entries"
        )
    settings = DaySettings(
        protocol_version=_to_text(document, "protocol_version"),
        jurisdiction=_to_text(document, "jurisdiction"),
    )
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RecordInputError(expected="a number", given="another value", where=f"site_limits.{name}")
        settings = settings.with_site_limit(str(name), float(value))
    return EntriesFile(
        settings=settings,
        entries=tuple(from_entry_document(row, where=f"entries[{i}]") for i, row in enumerate(rows)),
    )


def to_entries_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a day's entries, made from the tables."""
    kinds = [_to_kind_schema(kind) for kind in read_entry_kinds().values()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Entries of a procedure day",
        "description": "Append-only: an entry is never changed, a correction supersedes it with a reason. "
        "Research software, not a medical device.",
        "type": "object",
        "additionalProperties": False,
        "required": ["schema_version", "entries"],
        "properties": {
            "schema_version": {"type": "string", "pattern": "^1\\."},
            "protocol_version": {
                "type": "string",
                "description": "Version of the protocol in force; consent is held against it.",
            },
            "jurisdiction": {
                "type": "string",
                "description": "Whose limits of use after thaw hold, such as uk.",
            },
            "site_limits": {
                "type": "object",
                "additionalProperties": False,
                "properties": {name: {"type": "number", "exclusiveMinimum": 0} for name in SITE_LIMITS},
            },
            "entries": {"type": "array", "maxItems": ENTRIES_MAX, "items": {"$ref": "#/$defs/entry"}},
        },
        "$defs": {"entry": {"type": "object", "allOf": [_to_head_schema()], "oneOf": kinds}},
    }


def _to_head_schema() -> dict[str, Any]:
    text = {"type": "string"}
    time = {"type": "string", "description": "ISO 8601 with time zone."}
    return {
        "required": ["entry_id", "kind", "occurred_at", "entered_at"],
        "properties": {
            "entry_id": {
                "type": "string",
                "minLength": 1,
                "maxLength": ID_MAX,
                "description": "Unlike any other of the day; the same entry sent twice is one.",
            },
            "occurred_at": time,
            "entered_at": time,
            "author": text | {"description": "Account or role, never a name."},
            "supersedes": text | {"description": "Entry that this one corrects."},
            "reason": text | {"description": "Why it corrects it."},
        },
        "dependentRequired": {"supersedes": ["reason"], "reason": ["supersedes"]},
    }


def _to_kind_schema(kind: EntryKind) -> dict[str, Any]:
    values: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _to_field_schema(rule) for name, rule in kind.fields.items()},
    }
    required = [name for name, rule in kind.fields.items() if rule.required]
    if required:
        values["required"] = required
    if kind.at_least_one:
        values["minProperties"] = 1
    needs_values = bool(required) or kind.at_least_one
    return {
        "title": kind.label,
        "required": ["values"] if needs_values else [],
        "properties": {"kind": {"const": kind.name}, "values": values},
    }


def _to_field_schema(rule: EntryField) -> dict[str, Any]:
    number = {"type": "number"}
    shapes: dict[str, dict[str, Any]] = {
        "flag": {"type": "boolean"},
        "code": {"enum": list(rule.codes)},
        "text": {"type": "string", "minLength": 1, "maxLength": TEXT_MAX},
        "texts": {"type": "array", "minItems": 1, "maxItems": ID_MAX, "items": {"type": "string"}},
        "date": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        "time": {"type": "string", "description": "ISO 8601 with time zone."},
        "point": {"type": "array", "minItems": 3, "maxItems": 3, "items": number},
        "affine": {"type": "array", "minItems": 16, "maxItems": 16, "items": number},
        "integer": {"type": "integer"},
        "number": {"type": "number"},
    }
    shape = {"title": rule.label, **shapes[rule.type]}
    for key, limit in (("minimum", rule.least), ("maximum", rule.most), ("exclusiveMinimum", rule.above)):
        if math.isfinite(limit):
            shape[key] = limit
    return shape


def _to_text(document: Mapping[str, Any], key: str) -> str:
    text = document.get(key, "")
    if not isinstance(text, str) or len(text) > ID_MAX:
        raise RecordInputError(expected="a short text", given="another value", where=key)
    return text


def _to_time(text: str, where: str) -> datetime:
    if not is_moment(text):
        raise RecordInputError(
            expected="a time with its zone, for example 2026-03-02T09:00+01:00",
            given="another text",
            where=where,
        )
    return datetime.fromisoformat(text)
