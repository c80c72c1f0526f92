"""JSON documents as they come from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
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
        Error class of the refusal: no JSON, no object, or a key that comes twice in one object.

    Examples
    --------
    >>> to_object(b'{"visit": 1}', where="plan.json", error=InputError)
    {'visit': 1}
    """
    repeated: list[str] = []
    try:
        document = json.loads(raw, object_pairs_hook=partial(_to_unique, repeated=repeated))
    except (ValueError, RecursionError) as problem:
        raise error(expected="JSON", given="text that is not JSON", where=where) from problem
    if repeated:
        raise error(
            expected="each key once in an object",
            given="a key that comes twice, which leaves open which value counts",
            where=where,
            action="remove one of the two",
        )
    if not isinstance(document, dict):
        raise error(expected="a JSON object", given=type(document).__name__, where=where)
    return document


def _to_unique(pairs: list[tuple[str, Any]], *, repeated: list[str]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        repeated.append(pairs[0][0])
    return result
