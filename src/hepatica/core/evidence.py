"""Clinical numbers as data: each with unit, edge, source, version and status.

Tables are TOML files in the ``tables`` package of a room. Every entry is a TOML table::

    [length_max]
    value = 150.0
    unit = "mm"
    edge = "<="
    source = "planning note, peers 130-190 mm"
    status = "unverified"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from hepatica.core.errors import InputError, NotFoundError, NotSetError
from hepatica.core.provenance import digest_bytes


class EvidenceStatus(StrEnum):
    """How far a number can be trusted."""

    VERIFIED = "verified"
    """Read in the cited source."""
    DERIVED = "derived"
    """Computed from verified numbers; the formula is given."""
    UNVERIFIED = "unverified"
    """A working default nobody has checked. Shown wherever it was used."""
    NOT_SET = "not set"
    """Unknown. The program asks instead of inventing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One clinical number, or one coded rule, with its source.

    Parameters
    ----------
    key
        Name within its table.
    value
        The number or text; None only with status ``not set``.
    unit
        Unit suffix without underscore (``mm``, ``ml``, ``pfu_per_ml``, ``fraction``); empty for counts and text.
    edge
        Comparison convention, for example ``<=`` or ``>``; empty where none applies.
    source
        Citation as far as known.
    version
        Version or jurisdiction of the source.
    status
        How far it can be trusted.
    note
        Anything a reader should know.

    Examples
    --------
    >>> Evidence(key="capsule_angle_min", value=20.0, unit="deg", status=EvidenceStatus.UNVERIFIED).number
    20.0
    """

    key: str
    value: float | int | str | bool | None
    unit: str = ""
    edge: str = ""
    source: str = ""
    version: str = ""
    status: EvidenceStatus = EvidenceStatus.UNVERIFIED
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a value without status, or a status without value."""
        if (self.value is None) != (self.status is EvidenceStatus.NOT_SET):
            raise InputError(
                expected="a value, or status 'not set' without one",
                given=f"value {self.value!r} with status '{self.status}'",
                where=f"evidence '{self.key}'",
                action="correct the table",
            )

    @property
    def number(self) -> float:
        """The value as a float.

        Raises
        ------
        NotSetError
            If nobody has supplied it.
        InputError
            If it is text.
        """
        if self.value is None:
            raise NotSetError(
                expected=f"a value for '{self.key}' ({self.unit or 'no unit'})",
                given="not set",
                where=self.source or "evidence table",
                action="supply it in the protocol or site file; Hepatica does not invent clinical numbers",
            )
        if isinstance(self.value, str):
            raise InputError(expected="a number", given=repr(self.value), where=f"evidence '{self.key}'")
        return float(self.value)

    @property
    def unverified(self) -> bool:
        """Whether nobody has checked this number."""
        return self.status is EvidenceStatus.UNVERIFIED

    @classmethod
    def from_mapping(cls, key: str, entry: Mapping[str, Any], *, where: str = "") -> Evidence:
        """Build from one TOML table.

        Raises
        ------
        InputError
            On an unknown field or status.
        """
        known = {"value", "unit", "edge", "source", "version", "status", "note"}
        unknown = sorted(set(entry) - known)
        if unknown:
            raise InputError(
                expected=f"fields {', '.join(sorted(known))}",
                given=f"field '{unknown[0]}'",
                where=f"{where} [{key}]",
            )
        try:
            status = EvidenceStatus(entry.get("status", "unverified"))
        except ValueError:
            raise InputError(
                expected=f"status one of {', '.join(EvidenceStatus)}",
                given=f"'{entry['status']}'",
                where=f"{where} [{key}]",
            ) from None
        return cls(
            key=key,
            value=entry.get("value"),
            unit=entry.get("unit", ""),
            edge=entry.get("edge", ""),
            source=entry.get("source", ""),
            version=entry.get("version", ""),
            status=status,
            note=entry.get("note", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceTable:
    """A read-only table of evidence.

    Parameters
    ----------
    name
        ``package:file`` it was read from.
    version
        Version of the table.
    digest
        SHA-256 of the file, for the manifest.
    entries
        Evidence by key.
    """

    name: str
    version: str
    digest: str
    entries: Mapping[str, Evidence]

    def __getitem__(self, key: str) -> Evidence:
        """Return one entry.

        Raises
        ------
        NotFoundError
            If the table has no such key.
        """
        try:
            return self.entries[key]
        except KeyError:
            raise NotFoundError(
                expected=f"one of {', '.join(self.entries)}", given=f"'{key}'", where=f"table {self.name}"
            ) from None

    def __iter__(self) -> Iterator[Evidence]:
        """Iterate over the entries in file order."""
        return iter(self.entries.values())

    def replace(self, **changes: Evidence) -> EvidenceTable:
        """Return a copy with some entries replaced, for example by a site's own numbers."""
        return EvidenceTable(
            name=self.name,
            version=self.version,
            digest=self.digest,
            entries=MappingProxyType({**self.entries, **changes}),
        )


def read_resource(package: str, name: str) -> bytes:
    """Return the bytes of one packaged data file.

    Raises
    ------
    NotFoundError
        If the package holds no such file.
    """
    file = resources.files(package).joinpath(name)
    if not file.is_file():
        raise NotFoundError(expected="a packaged data file", given=f"'{name}'", where=package)
    return file.read_bytes()


def digest_tables(packages: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of every data file of some packages, by ``package/name``; folders in them are left out.

    Parameters
    ----------
    packages
        Packages with tables, for example ``hepatica.planning.tables``.

    Examples
    --------
    >>> sorted(digest_tables(["hepatica.lesions.tables"]))[0]
    'hepatica.lesions.tables/enhancement.toml'
    """
    return {
        f"{package}/{file.name}": digest_bytes(file.read_bytes())
        for package in packages
        for file in resources.files(package).iterdir()
        if file.is_file() and not file.name.endswith((".py", ".pyc"))
    }


@cache
def read_evidence_table(package: str, name: str) -> EvidenceTable:
    """Read one evidence table from package data: the one read a stage room may do.

    Parameters
    ----------
    package
        Package with the tables, for example ``hepatica.planning.tables``.
    name
        File name with ``.toml``.

    Examples
    --------
    >>> table = read_evidence_table("hepatica.planning.tables", "path_limits.toml")
    >>> table["length_max"].unit
    'mm'
    """
    raw = read_resource(package, name)
    document = tomllib.loads(raw.decode("utf-8"))
    where = f"{package}/{name}"
    entries = {
        key: Evidence.from_mapping(key, entry, where=where)
        for key, entry in document.items()
        if isinstance(entry, dict)
    }
    return EvidenceTable(
        name=where,
        version=str(document.get("version", "")),
        digest=digest_bytes(raw),
        entries=MappingProxyType(entries),
    )
