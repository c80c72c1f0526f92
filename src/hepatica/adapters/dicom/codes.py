"""Coded terms of the DICOM objects, read from ``codes.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from hepatica.core.errors import NotFoundError
from hepatica.core.evidence import read_resource
from hepatica.core.provenance import derive_uid

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

PRIVATE_SCHEME: Final = "99HEPATICA"
"""Coding scheme of terms the standard does not have; DICOM reserves the prefix 99 for private schemes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One coded term.

    Parameters
    ----------
    scheme
        Coding scheme designator: ``SCT``, ``DCM``, ``UCUM`` or `PRIVATE_SCHEME`.
    value, meaning
        Code and its meaning, 16 and 64 characters at most.
    category
        For structures: name of the property category in the same file.
    """

    scheme: str
    value: str
    meaning: str
    category: str = ""


@cache
def read_terms() -> dict[str, dict[str, Term]]:
    """Return every term by group (``category``, ``structure``, ``concept``, ``unit``) and name."""
    text = read_resource("hepatica.adapters.dicom", "codes.toml").decode("utf-8")
    document: dict[str, Any] = tomllib.loads(text)
    groups = {key: group for key, group in document.items() if isinstance(group, dict)}
    return {key: {name: Term(**entry) for name, entry in group.items()} for key, group in groups.items()}


def to_code(group: str, name: str) -> Code:
    """Return one term as a pydicom code.

    Raises
    ------
    NotFoundError
        If the table has no such term.
    """
    from pydicom.sr.coding import Code

    try:
        term = read_terms()[group][name]
    except KeyError:
        raise NotFoundError(expected="a coded term", given=f"'{group}.{name}'", where="codes.toml") from None
    return Code(term.value, term.scheme, term.meaning)


def to_structure_codes(name: str) -> tuple[Code, Code]:
    """Return (property category, property type) of a structure kind or of ``viable_part``."""
    code = to_code("structure", name)
    return to_code("category", read_terms()["structure"][name].category), code


def to_unit_code(unit: str) -> Code:
    """Return the UCUM code of a unit suffix; an unlisted agent unit becomes a UCUM annotation."""
    from pydicom.sr.coding import Code

    if unit in read_terms()["unit"]:
        return to_code("unit", unit)
    return Code(f"{{{unit[:14]}}}", "UCUM", unit[:64])


def list_coding_schemes() -> list[Any]:
    """Return the identification of the private coding scheme, for the SOP Common module."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    return [
        CodingSchemeIdentificationItem(
            designator=PRIVATE_SCHEME,
            name="Hepatica terms without a standard code",
            version="1",
            uid=derive_uid("hepatica", "coding scheme", "1"),
            responsible_organization="Hepatica",
        )
    ]
