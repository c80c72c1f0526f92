"""The interface's description of each kind, made from the kind's own fields."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from hepatica.record.item import Item
from hepatica.record.kind import TEXT_MAX, FieldRule, FieldType, Kind

TEXT_TYPES: Final = (FieldType.TEXT, FieldType.REFERENCE, FieldType.DATE, FieldType.TIME)
DEPTH_MAX: Final = 50
"""Deepest nesting of a body: what goes further cannot be written again, or exhausts the stack."""


class Strict(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def require_shallow(cls, body: Any) -> Any:
        """Refuse a body that is nested too deeply."""
        level = [body]
        for _ in range(DEPTH_MAX):
            level = [
                part
                for one in level
                if isinstance(one, dict | list)
                for part in (one.values() if isinstance(one, dict) else one)
            ]
        if level:
            raise ValueError("nested too deeply")
        return body


class ItemAnswer(BaseModel):
    """One item as this person may see it."""

    kind: str
    item_id: str
    site_id: str
    patient_id: str
    version: int
    locked: bool
    values: dict[str, Any]


class PageAnswer(BaseModel):
    """One page; ``next`` is the cursor of the following one, empty on the last."""

    items: list[ItemAnswer]
    next: str
    total: int


class Removal(Strict):
    """Why something is removed."""

    reason: str = Field(min_length=1, max_length=TEXT_MAX)


@cache
def make_values_model(kind: Kind) -> type[BaseModel]:
    """Return the model of a kind's fields, all optional: what is required is checked with the whole item.

    Parameters
    ----------
    kind
        The kind.
    """
    fields: dict[str, Any] = {rule.name: (_to_type(rule) | None, _to_field(rule)) for rule in kind.fields}
    return create_model(f"{_to_camel(kind.name)}Values", __base__=Strict, **fields)


@cache
def make_creation_model(kind: Kind) -> type[BaseModel]:
    """Return the model of a request that makes an item.

    Parameters
    ----------
    kind
        The kind.
    """
    fields: dict[str, Any] = {
        "site_id": (str, Field(default="", max_length=200)),
        "values": (make_values_model(kind), ...),
        "reason": (str, Field(default="", max_length=TEXT_MAX)),
    }
    if kind.of_patient and kind.name != "patient":
        fields["patient_id"] = (str, Field(min_length=1, max_length=200))
    return create_model(f"{_to_camel(kind.name)}Creation", __base__=Strict, **fields)


@cache
def make_change_model(kind: Kind) -> type[BaseModel]:
    """Return the model of a request that changes an item; null unsets a field.

    Parameters
    ----------
    kind
        The kind.
    """
    fields: dict[str, Any] = {
        "values": (make_values_model(kind), ...),
        "reason": (str, Field(default="", max_length=TEXT_MAX)),
    }
    return create_model(f"{_to_camel(kind.name)}Change", __base__=Strict, **fields)


def to_answer(item: Item) -> ItemAnswer:
    """Return an item as it goes out.

    Parameters
    ----------
    item
        Already without what the person may not see.
    """
    return ItemAnswer(
        kind=item.kind,
        item_id=item.item_id,
        site_id=item.site_id,
        patient_id=item.patient_id,
        version=item.version,
        locked=item.locked,
        values=dict(item.values),
    )


def _to_type(rule: FieldRule) -> Any:
    if rule.type in TEXT_TYPES:
        return str
    if rule.type is FieldType.CODE:
        return Literal[rule.codes]
    return {
        FieldType.INTEGER: int,
        FieldType.NUMBER: float,
        FieldType.FLAG: bool,
        FieldType.LIST: list[Any],
        FieldType.OBJECT: dict[str, Any],
    }[rule.type]


def _to_field(rule: FieldRule) -> Any:
    limits: dict[str, Any] = {}
    if math.isfinite(rule.least):
        limits["ge"] = rule.least
    if math.isfinite(rule.most):
        limits["le"] = rule.most
    if rule.type in TEXT_TYPES:
        limits["max_length"] = TEXT_MAX
    return Field(default=None, title=rule.label, **limits)


def _to_camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
