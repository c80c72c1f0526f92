"""Needles as data."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Final

from hepatica.core.errors import InputError, NotFoundError
from hepatica.core.evidence import EvidenceStatus, read_resource
from hepatica.planning.path.values import Needle

END_HOLE: Final = "end"
SIDE_HOLES: Final = "multi-side"
MOST_HOLES: Final = 64
"""More openings than any needle has: a typing error, and hours of computing."""


def read_needles(package: str = "hepatica.planning.tables", name: str = "needles.toml") -> tuple[Needle, ...]:
    """Read the needle table: one TOML table for each needle, its fields those of `Needle`.

    Raises
    ------
    NotFoundError
        If there is no table.
    InputError
        If a field is missing, unknown or of another kind.
    """
    return parse_needles(read_resource(package, name), where=name)


def parse_needles(raw: bytes, *, where: str) -> tuple[Needle, ...]:
    """Return the needles of a table as it is read from a file.

    Parameters
    ----------
    raw
        TOML: one table for each needle, its fields those of `Needle`; ``hole_offsets_mm`` may be left out.
    where
        What an error calls the file.

    Raises
    ------
    InputError
        If it is no such table, or a number is none a needle can have.

    Examples
    --------
    >>> row = b'''
    ... [mine]
    ... name = "mine"
    ... gauge = 20
    ... outer_diameter_mm = 0.908
    ... length_mm = 150.0
    ... hub_allowance_mm = 20.0
    ... dead_space_ml = 0.1
    ... holes = "multi-side"
    ... hole_offsets_mm = [2.0, 6.0]
    ... source = "measured on ours"
    ... status = "unverified"
    ... '''
    >>> parse_needles(row, where="needles")[0].hole_offsets_mm
    (2.0, 6.0)
    """
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            expected="a TOML table of needles", given=f"{type(error).__name__}", where=where
        ) from None
    needles = tuple(
        _to_needle(entry, where=f"{where} [{key}]")
        for key, entry in document.items()
        if isinstance(entry, dict)
    )
    if not needles:
        raise InputError(expected="at least one needle", given="none", where=where)
    return needles


def _to_needle(entry: Mapping[str, Any], *, where: str) -> Needle:
    known = {field.name for field in fields(Needle)}
    wanted = {field.name for field in fields(Needle) if field.default is MISSING}
    odd = (set(entry) - known) | (wanted - set(entry))
    if odd:
        raise InputError(
            expected=f"fields {', '.join(sorted(wanted))}", given=", ".join(sorted(odd)), where=where
        )
    try:
        needle = Needle(
            **{
                **entry,
                "status": EvidenceStatus(entry["status"]),
                "hole_offsets_mm": tuple(float(value) for value in entry.get("hole_offsets_mm", ())),
            }
        )
        _check(needle, where=where)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(
            expected="numbers, texts and a status as the packaged table has them",
            given=f"another kind of value ({type(error).__name__})",
            where=where,
        ) from None
    return needle


def _check(needle: Needle, *, where: str) -> None:
    """Refuse numbers no needle has."""
    sizes = (needle.outer_diameter_mm, needle.length_mm)
    spare = (needle.hub_allowance_mm, needle.dead_space_ml)
    offsets = needle.hole_offsets_mm
    wrong = ""
    if not all(0 < size < math.inf for size in sizes) or not all(0 <= size < math.inf for size in spare):
        wrong = "a size that is not above 0"
    elif needle.holes not in (END_HOLE, SIDE_HOLES):
        wrong = f"holes '{needle.holes}'"
    elif needle.holes == END_HOLE and offsets:
        wrong = "places of side holes for a needle with an end hole"
    elif len(offsets) > MOST_HOLES or not all(0 <= offset < needle.length_mm for offset in offsets):
        wrong = f"{len(offsets)} holes, or one off the needle"
    if wrong:
        raise InputError(
            expected=f"sizes above 0 mm, holes '{END_HOLE}' or '{SIDE_HOLES}', openings along the needle",
            given=wrong,
            where=where,
        )


def find_needle(needles: tuple[Needle, ...], name: str) -> Needle:
    """Return the needle of that name.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    for needle in needles:
        if needle.name == name:
            return needle
    raise NotFoundError(
        expected=f"one of {', '.join(n.name for n in needles)}", given=f"'{name}'", where="needles"
    )
