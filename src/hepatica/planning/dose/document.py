"""Protocol files as documents: levels, and files that fill what a packaged protocol leaves open."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from hepatica.core.errors import NotFoundError, ProtocolError
from hepatica.core.evidence import EvidenceStatus, read_resource
from hepatica.core.provenance import digest_bytes
from hepatica.planning.dose.section import NOT_SET, is_number_table, spread_sources

PACKAGE: Final = "hepatica.planning.tables.protocols"
LEVEL_MARK: Final = ":"
"""Between protocol and level: ``nbtxr3-liver:22-percent``."""
APPENDED: Final = ("notices", "stopping", "eligibility.uses")
"""Lists that a file may add to and never shorten."""
OWN: Final = ("name", "title")
"""Texts that an extending file gives for itself."""
FILLABLE: Final = (EvidenceStatus.NOT_SET.value, EvidenceStatus.UNVERIFIED.value)
"""Only such numbers of a packaged protocol may be replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolDocument:
    """A protocol file with sources spread, base filled in and level applied.

    Parameters
    ----------
    tables
        The tables of the file.
    levels
        Names of the levels to choose from.
    level
        The level chosen; empty where none was.
    digest
        SHA-256 of the file; of base and file together where it extends one.
    """

    tables: Mapping[str, Any]
    levels: tuple[str, ...]
    level: str
    digest: str


def list_packaged() -> tuple[str, ...]:
    """Return the names of the packaged protocols."""
    files = resources.files(PACKAGE).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_packaged(name: str) -> ProtocolDocument:
    """Read a packaged protocol, ``name`` or ``name:level``.

    Raises
    ------
    NotFoundError
        If there is no such protocol or level.
    """
    base, _, level = name.partition(LEVEL_MARK)
    known = list_packaged()
    if base not in known:
        raise NotFoundError(
            expected=f"one of {', '.join(known)}",
            given=f"'{base}'",
            where="packaged protocols",
            action="name one of these, or give a protocol file of your own",
        )
    return parse_document(read_resource(PACKAGE, f"{base}.toml"), where=f"{base}.toml", level=level)


def parse_document(data: bytes, *, where: str, level: str = "") -> ProtocolDocument:
    """Parse a protocol file, fill it from the protocol it extends, and apply a level.

    Raises
    ------
    ProtocolError
        If it is not TOML, or replaces a number that its base has from a source.
    NotFoundError
        If the base or the level does not exist.
    """
    try:
        raw = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(
            expected="a TOML file in UTF-8",
            given=str(error),
            where=where,
            action="correct the file at this place",
        ) from None
    tables = spread_sources(raw)
    digest = digest_bytes(data)
    levels: dict[str, Any] = {}
    if "extends" in tables:
        base_name = tables.pop("extends")
        if not isinstance(base_name, str):
            raise ProtocolError(
                expected="the name of a packaged protocol", given=repr(base_name), where=where
            )
        base = read_packaged(base_name)
        _require_own(tables, where=where)
        levels = dict(base.tables.get("levels", {}))
        digest = digest_bytes(f"{base.digest} {digest}".encode())
        tables = _merge(base.tables, tables, path="", where=where)
    levels |= tables.get("levels", {})
    if level:
        tables = _apply_level(tables, levels, level=level, where=where)
    return ProtocolDocument(tables=tables, levels=tuple(levels), level=level, digest=digest)


def _require_own(tables: Mapping[str, Any], *, where: str) -> None:
    for key in OWN:
        if key not in tables:
            raise ProtocolError(
                expected=f"a {key} of its own",
                given="nothing",
                where=f"{where} [{key}]",
                action="a file that extends a protocol is another protocol: name it",
            )


def _apply_level(
    tables: Mapping[str, Any], levels: Mapping[str, Any], *, level: str, where: str
) -> Mapping[str, Any]:
    if level not in levels:
        raise NotFoundError(
            expected=f"one of the levels {', '.join(levels)}" if levels else "a protocol without a level",
            given=f"level '{level}'",
            where=where,
            action=f"write the protocol's name, '{LEVEL_MARK}' and a level",
        )
    merged: Mapping[str, Any] = _merge(tables, levels[level], path="", where=f"{where} level '{level}'")
    return merged


def _merge(base: Any, over: Any, *, path: str, where: str) -> Any:
    """Lay one document over another, replacing only what nobody has set or checked."""
    if is_number_table(base):
        return _merge_number(base, over, path=path, where=where)
    if isinstance(base, dict) and isinstance(over, dict):
        merged = dict(base)
        for key, value in over.items():
            inner = f"{path}.{key}" if path else key
            if inner in APPENDED:
                merged[key] = [*base.get(key, []), *value]
            elif (key in OWN and not path) or key not in base:
                merged[key] = value
            else:
                merged[key] = _merge(base[key], value, path=inner, where=where)
        return merged
    if base in (NOT_SET, over):
        return over
    raise _refuse_replacement(
        path, where=where, set_to=repr(base) if not isinstance(base, list) else "a list"
    )


def _merge_number(base: Mapping[str, Any], over: Any, *, path: str, where: str) -> Any:
    status = base.get("status", EvidenceStatus.UNVERIFIED.value)
    if not is_number_table(over):
        raise ProtocolError(
            expected="a table with value, unit, source and status",
            given=repr(over),
            where=f"{where} [{path}]",
        )
    if status not in FILLABLE:
        raise _refuse_replacement(path, where=where, set_to=f"{base['value']} {base.get('unit', '')}".strip())
    kept = {key: base[key] for key in ("unit", "edge") if key in base}
    return {**kept, **over}


def _refuse_replacement(path: str, *, where: str, set_to: str) -> ProtocolError:
    return ProtocolError(
        expected=f"only parts that the protocol leaves open or unverified; this one is set to {set_to}",
        given="another value",
        where=f"{where} [{path}]",
        action="remove it, or write a protocol of your own without 'extends'",
    )
