"""One thing the record holds, at one version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hepatica.core.provenance import digest_json
from hepatica.record.event import Change, JsonValue, is_same_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A patient, scan, plan, adverse event ... as it stands now.

    Parameters
    ----------
    kind
        Word of its kind, see `hepatica.record.kinds`.
    item_id
        Unlike any other of its kind, in every site.
    site_id, patient_id
        Where it belongs; empty text for none.
    version
        From 1; each change adds one.
    values
        Fields in JSON's types, without those that are not set.
    locked
        Whether changes are refused until somebody with that right unlocks it.
    """

    kind: str
    item_id: str
    site_id: str = ""
    patient_id: str = ""
    version: int
    values: Mapping[str, JsonValue]
    locked: bool = False

    def __post_init__(self) -> None:
        kept = {name: value for name, value in self.values.items() if value is not None}
        object.__setattr__(self, "values", MappingProxyType(kept))

    @property
    def digest(self) -> str:
        """SHA-256 of what a signature binds to: kind, identity and values, not the lock or the version."""
        return digest_json([self.kind, self.item_id, self.site_id, self.patient_id, dict(self.values)])

    @property
    def etag(self) -> str:
        """Text that is another one after every change."""
        return f'"{self.version}-{self.digest[:16]}"'

    def with_values(self, values: Mapping[str, JsonValue]) -> Item:
        """Return the next version with these fields set; None unsets one.

        Parameters
        ----------
        values
            Fields to change.
        """
        return replace(self, values={**self.values, **values}, version=self.version + 1)


def list_changes(before: Item | None, after: Item) -> tuple[Change, ...]:
    """Return the fields in which two versions differ, by name.

    Parameters
    ----------
    before
        None for a new item. What the trail seals is no list: of one, the beginning would be told apart.
    after
        What it becomes.

    Examples
    --------
    >>> item = Item(kind="patient", item_id="p1", version=1, values={"sex": "F"})
    >>> [c.field for c in list_changes(item, item.with_values({"sex": None, "year": 1951}))]
    ['sex', 'year']
    """
    old = dict(before.values) if before else {}
    if before and before.locked:
        old["locked"] = True
    new = dict(after.values)
    if after.locked:
        new["locked"] = True
    return tuple(
        _to_change(name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if not is_same_json(old.get(name), new.get(name))
    )


def _to_change(name: str, old: JsonValue, new: JsonValue) -> Change:
    """Return a change; of two lists that begin alike, only what comes after."""
    if not isinstance(old, list) or not isinstance(new, list):
        return Change(field=name, old=old, new=new)
    kept = 0
    for one, other in zip(old, new, strict=False):
        if not is_same_json(one, other):
            break
        kept += 1
    return Change(field=name, old=old[kept:], new=new[kept:], kept=kept)
