"""JSON documents as they come from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hepatica.core.errors import InputError


def to_object(raw: bytes, *, where: str, error: Callable[..., InputError]) -> dict[str, Any]:
    """Return a JSON object.

    Parameters
    ----------
    raw
        UTF-8 text.
    where
        File, for the message.
    error
        Error class of the refusal.

    Examples
    --------
    >>> to_object(b'{"visit": 1}', where="plan.json", error=InputError)
    {'visit': 1}
    """
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as problem:
        raise error(expected="JSON", given="text that is not JSON", where=where) from problem
    if not isinstance(document, dict):
        raise error(expected="a JSON object", given=type(document).__name__, where=where)
    return document
