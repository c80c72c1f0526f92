"""Every kind of item, found by looking: a new file in `hepatica.record.kinds` is a new kind."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from hepatica.core.errors import NotFoundError
from hepatica.record import kinds
from hepatica.record.kind import Kind


@cache
def read_kinds() -> Mapping[str, Kind]:
    """Return every kind by name: each module of `hepatica.record.kinds` defines one as ``KIND``."""
    found = (
        importlib.import_module(f"{kinds.__name__}.{module.name}").KIND
        for module in pkgutil.iter_modules(kinds.__path__)
    )
    return MappingProxyType({kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)})


def find_kind(name: str) -> Kind:
    """Return a kind.

    Raises
    ------
    NotFoundError
        If there is none of this name.
    """
    kind = read_kinds().get(name)
    if kind is None:
        raise NotFoundError(expected=f"one of {', '.join(read_kinds())}", given="another word", where="kind")
    return kind
