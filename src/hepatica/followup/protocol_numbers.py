"""Protocol files with open places: packaged ones by name, and numbers supplied for one run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

from hepatica.core.errors import NotFoundError, ProtocolError, UsageError
from hepatica.core.evidence import EvidenceStatus, read_resource
from hepatica.planning.dose.section import is_number_table, spread_sources

GIVEN_HERE: Final = "given for this run"
Supplied = Mapping[str, float | str]
"""Numbers or words by dotted key."""


def parse_tables(data: bytes, *, where: str, supplied: Supplied | None = None, root: str = "") -> Any:
    """Parse a TOML file, spread its sources, and fill open places with what was supplied.

    Parameters
    ----------
    data
        Content of the file.
    where
        Its name, for messages.
    supplied
        By dotted key below ``root``. Only what is not set or unverified can be supplied; it counts as unverified.
    root
        Table the keys are below.

    Raises
    ------
    ProtocolError
        If it is not TOML, or what was supplied has no open place.
    """
    try:
        tables = spread_sources(tomllib.loads(data.decode("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(
            expected="a TOML file in UTF-8",
            given=str(error),
            where=where,
            action="correct the file at this place",
        ) from None
    for key, value in (supplied or {}).items():
        dotted = f"{root}.{key}" if root else key
        _fill(tables, dotted, value=value, where=where)
    return tables


def _fill(tables: Any, dotted: str, *, value: float | str, where: str) -> None:
    entry = tables
    for part in dotted.split("."):
        entry = entry.get(part) if isinstance(entry, dict) else None
    if not is_number_table(entry):
        raise ProtocolError(
            expected="the key of a number in this file",
            given=f"'{dotted}'",
            where=where,
            action="see the keys in the file",
        )
    status = entry.get("status", EvidenceStatus.UNVERIFIED.value)
    if status not in (EvidenceStatus.NOT_SET, EvidenceStatus.UNVERIFIED):
        raise ProtocolError(
            expected="something that is not set or unverified",
            given=f"'{dotted}' with status '{status}'",
            where=where,
            action="write a file of your own to depart from a sourced number",
        )
    entry.update(value=value, status=EvidenceStatus.UNVERIFIED.value, source=GIVEN_HERE)


def list_packaged(package: str) -> tuple[str, ...]:
    """Return the names of the packaged files of one kind."""
    files = resources.files(package).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_packaged(package: str, name: str, *, kind: str) -> bytes:
    """Return a packaged file by name.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    known = list_packaged(package)
    if name not in known:
        raise NotFoundError(
            expected=f"one of {', '.join(known)}",
            given=f"'{name}'",
            where=f"packaged {kind}",
            action="name one of these, or give a TOML file of your own",
        )
    return read_resource(package, f"{name}.toml")


def read_supplied(pairs: Sequence[str]) -> dict[str, float | str]:
    """Return numbers and words from texts such as ``imaging.window=7``.

    Raises
    ------
    UsageError
        If a text is not of that form, or a key stands twice.

    Examples
    --------
    >>> read_supplied(["imaging.window=7", "attribution=agent"])
    {'imaging.window': 7, 'attribution': 'agent'}
    """
    found: dict[str, float | str] = {}
    for pair in pairs:
        key, mark, text = (part.strip() for part in pair.partition("="))
        if not (key and mark and text) or key in found:
            raise UsageError(
                expected="KEY=VALUE, each key once, for example imaging.window=7",
                given=f"'{pair}'",
                where="--set",
            )
        found[key] = _read_value(text)
    return found


def _read_value(text: str) -> float | str:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)
