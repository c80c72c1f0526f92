"""Needles as data."""

from __future__ import annotations

import tomllib
from dataclasses import fields

from hepatica.core.errors import InputError, NotFoundError
from hepatica.core.evidence import EvidenceStatus, read_resource
from hepatica.planning.path.values import Needle


def read_needles(package: str = "hepatica.planning.tables", name: str = "needles.toml") -> tuple[Needle, ...]:
    """Read the needle table: one TOML table for each needle, its fields those of `Needle`.

    Raises
    ------
    NotFoundError
        If there is no table.
    InputError
        If a field is missing or unknown.
    """
    document = tomllib.loads(read_resource(package, name).decode("utf-8"))
    wanted = {field.name for field in fields(Needle)}
    needles = []
    for key, entry in document.items():
        if not isinstance(entry, dict):
            continue
        if set(entry) != wanted:
            odd = ", ".join(sorted(set(entry) ^ wanted))
            raise InputError(
                expected=f"fields {', '.join(sorted(wanted))}", given=odd, where=f"{name} [{key}]"
            )
        needles.append(Needle(**{**entry, "status": EvidenceStatus(entry["status"])}))
    return tuple(needles)


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
