"""Whether the labels of an organ name the whole of it, or only a part."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Final

from hepatica.core.evidence import read_resource

_TABLES: Final = "hepatica.anatomy.tables"


def find_unnamed_parts(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the parts of an organ that none of its label names stands for; empty where it is whole.

    The parts live in ``tables/parts.toml``. A name that mentions no part stands for the whole organ.

    Parameters
    ----------
    kind
        Structure kind, for example ``kidney``.
    names
        Label names that were united into it, as given.

    Examples
    --------
    >>> find_unnamed_parts("kidney", ["kidney_left"])
    ('right kidney',)
    >>> find_unnamed_parts("bowel", ["duodenum", "colon"])
    ('small bowel',)
    >>> find_unnamed_parts("bowel", ["bowel bag"])
    ()
    """
    if kind not in _read_parts():
        return ()
    parts, fragment = _read_parts()[kind]
    missing = set(parts)
    for name in (re.sub(r"[^a-z0-9]+", " ", name.lower()).strip() for name in names):
        found = {part for part, pattern in parts.items() if pattern.search(name)}
        if fragment.search(name) or "derived" in name:
            continue
        if not found:
            return ()
        missing -= found
    return tuple(part for part in parts if part in missing)


@cache
def _read_parts() -> Mapping[str, tuple[Mapping[str, re.Pattern[str]], re.Pattern[str]]]:
    document = tomllib.loads(read_resource(_TABLES, "parts.toml").decode("utf-8"))
    return MappingProxyType(
        {
            kind: (
                {part: _to_pattern(words) for part, words in entry["parts"].items()},
                _to_pattern(entry["fragments"]),
            )
            for kind, entry in document.items()
        }
    )


def _to_pattern(words: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(words))
