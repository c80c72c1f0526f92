"""What a filter means in SQL, alike on every database; and what may be a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Numeric, and_, cast, false

from hepatica.adapters.store.tables import ITEM, KEY_LENGTH
from hepatica.core.errors import RecordInputError
from hepatica.record.catalogue import find_kind
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.kind import FOREIGN, FieldType, Kind
from hepatica.workflows.record_ports import ItemFilter

SEARCH_MAX: Final = 200
"""Longest text to search for, in characters."""


def to_condition(wanted: ItemFilter) -> Any:
    """Return the condition that a filter stands for.

    Parameters
    ----------
    wanted
        The filter; its page does not matter here.

    Raises
    ------
    RecordInputError
        If the text to search for is longer than `SEARCH_MAX`.
    """
    kind = find_kind(wanted.kind)
    texts = (wanted.kind, wanted.patient_id, wanted.search, wanted.after, *(wanted.site_ids or ()))
    if any(FOREIGN.search(text) for text in texts):
        return false()
    parts = [ITEM.c.kind == wanted.kind]
    if wanted.site_ids is not None:
        parts.append(ITEM.c.site_id.in_(["", *sorted(wanted.site_ids)]))
    if wanted.patient_id:
        parts.append(ITEM.c.patient_id == wanted.patient_id)
    parts += [_to_equal(kind, name, value) for name, value in sorted(wanted.where.items())]
    search = wanted.search.strip()
    if len(search) > SEARCH_MAX:
        raise RecordInputError(
            expected=f"a text of at most {SEARCH_MAX} characters to search for",
            given=f"{len(search)}",
            where="search",
        )
    if search:
        parts.append(ITEM.c.search.contains(search.casefold(), autoescape=True))
    return and_(*parts)


def to_item(row: Any) -> Item:
    """Return the item of a row, without its sealed values.

    Parameters
    ----------
    row
        Row of the table of items.
    """
    return Item(
        kind=row.kind,
        item_id=row.item_id,
        site_id=row.site_id,
        patient_id=row.patient_id,
        version=row.version,
        values=row.content,
        locked=row.locked,
    )


def to_search(kind: Kind, content: Mapping[str, JsonValue]) -> str:
    """Return the text in which an item is searched for.

    Parameters
    ----------
    kind
        Its kind.
    content
        Its fields, without sealed ones.
    """
    texts = (
        str(content[rule.name])
        for rule in kind.fields
        if rule.type in (FieldType.TEXT, FieldType.CODE) and rule.name in content
    )
    return "\n".join(texts).casefold()


def require_keys(item: Item) -> None:
    """Refuse identifiers that not every database keeps.

    Parameters
    ----------
    item
        The item.

    Raises
    ------
    RecordInputError
        If it has none, or one is too long or holds half a character.
    """
    wrong = not item.item_id or any(
        len(name) > KEY_LENGTH or FOREIGN.search(name)
        for name in (item.item_id, item.site_id, item.patient_id)
    )
    if wrong:
        raise RecordInputError(
            expected=f"identifiers of 1 to {KEY_LENGTH} characters that can be kept",
            given="another one",
            where=item.kind,
        )


def _to_equal(kind: Kind, name: str, value: JsonValue) -> Any:
    """Compare as the field's type says; a value of another type equals nothing."""
    rule = kind.find_field(name)
    if rule is None or rule.sealed:
        return false()
    field = ITEM.c.content[name]
    if value is None:
        return field.as_string().is_(None)
    match rule.type:
        case FieldType.FLAG:
            return field.as_boolean().is_(value) if isinstance(value, bool) else false()
        case FieldType.INTEGER | FieldType.NUMBER:
            if isinstance(value, bool) or not isinstance(value, int | float):
                return false()
            return cast(field.as_string(), Numeric(asdecimal=False)) == value
        case FieldType.LIST | FieldType.OBJECT:
            return false()
        case _:
            text = isinstance(value, str) and not FOREIGN.search(value)
            return field.as_string() == value if text else false()
