"""Write items as rows of a table that a spreadsheet can open without running what somebody typed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from hepatica.record.blinding import project_item
from hepatica.record.catalogue import find_kind
from hepatica.record.event import Action, EventDraft, JsonValue
from hepatica.record.people import require_right
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext

FIXED: Final = ("item_id", "site_id", "patient_id", "version", "locked")
STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "|", "%", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a cell for a formula or a command; the last four are its full-width forms."""


def export_items(context: RecordContext, *, kind: str, patient_id: str = "") -> Iterator[str]:
    """Return a table of a kind's items as pieces of CSV (RFC 4180, UTF-8); the export is itself an event.

    Parameters
    ----------
    context
        Who exports; needs ``export.data`` and the right to read the kind. Sealed fields are never exported.
    kind
        Kind of item.
    patient_id
        Only of this patient; empty for all of the person's sites.

    Raises
    ------
    ForbiddenError
        Without one of the rights.
    """
    rule = find_kind(kind)
    require_right(context.actor, "export.data")
    require_right(context.actor, rule.read_right)
    names = [field.name for field in rule.fields if not field.sealed]
    with context.store.writing() as writer:
        writer.append_event(
            EventDraft(
                time_utc=context.now_utc(),
                actor_id=context.actor.account_id,
                action=Action.EXPORT,
                kind=kind,
                item_id="",
                version=0,
                patient_id=patient_id,
                request_id=context.request_id,
            )
        )
    return _write_rows(context, kind=kind, names=names, patient_id=patient_id)


def escape_cell(value: JsonValue) -> str:
    """Return a value as the text of a cell; text that could be run begins with an apostrophe.

    Parameters
    ----------
    value
        A number stays one, also a negative one.

    Examples
    --------
    >>> [escape_cell(value) for value in ('=1+1', -2.5, '-2.5', ' @SUM(A1)', True, None)]
    ["'=1+1", '-2.5', "'-2.5", "' @SUM(A1)", 'true', '']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | dict):
        return _escape(json.dumps(value, ensure_ascii=False, sort_keys=True))
    return _escape(value)


def _escape(text: str) -> str:
    return f"'{text}" if text.startswith(STARTS) or text.lstrip().startswith(STARTS) else text


def _write_rows(context: RecordContext, *, kind: str, names: list[str], patient_id: str) -> Iterator[str]:
    yield _to_lines([[*FIXED, *names]])
    site_ids = None if context.actor.is_system else context.actor.site_ids
    wanted = ItemFilter(kind=kind, site_ids=site_ids, patient_id=patient_id, limit=PAGE_MAX)
    # One view for the whole table: rows of a moment, however long it takes.
    with context.store.reading() as reader:
        while True:
            page = reader.list_items(wanted)
            rows = []
            for whole in page.items:
                item = project_item(whole, context.actor)
                fixed: list[Any] = [getattr(item, name) for name in FIXED]
                rows.append(
                    [escape_cell(cell) for cell in [*fixed, *(item.values.get(name) for name in names)]]
                )
            yield _to_lines(rows)
            if not page.next:
                return
            wanted = replace(wanted, after=page.next)


def _to_lines(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
