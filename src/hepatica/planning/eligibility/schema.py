"""The part of JSON Schema that the facts schema uses, so that a stage room needs no schema library."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from hepatica.core.errors import FactsError

_ANNOTATIONS: Final = frozenset({"$schema", "$id", "$defs", "$comment", "title", "description"})
_OWN_STEP: Final = frozenset({"$ref", "anyOf", "properties", "additionalProperties", "items"})
_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list | tuple),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: _is_number(value),
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
}
_TYPE_WORDS: Final = {
    "object": "an object", "array": "a list", "string": "a text", "boolean": "true or false",
    "number": "a number", "integer": "a whole number",
}  # fmt: skip


def check_schema(document: Any, schema: Mapping[str, Any], *, root: Mapping[str, Any], path: str) -> None:
    """Refuse a document that breaks the schema, without repeating its texts: they may name a person.

    Parameters
    ----------
    document
        Parsed JSON.
    schema
        The schema of this part.
    root
        The whole schema, for ``$ref``.
    path
        Place in the document, for messages.

    Raises
    ------
    FactsError
        At the first violation.
    """
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        check_schema(document, root["$defs"][name], root=root, path=path)
    if schema.get("additionalProperties") is False and (found := _check_keys(document, schema["properties"])):
        raise _refuse(document, found, path=path)
    for keyword, limit in schema.items():
        if keyword in _ANNOTATIONS or keyword in _OWN_STEP:
            continue
        if keyword not in _KEYWORDS:
            raise NotImplementedError(f"schema keyword {keyword}")
        if expected := _KEYWORDS[keyword](document, limit):
            raise _refuse(document, expected, path=path)
    for part, inner, place in _find_parts(document, schema, path=path):
        check_schema(part, inner, root=root, path=place)
    if "anyOf" in schema and not any(_fits(document, one, root=root) for one in schema["anyOf"]):
        raise _refuse(document, schema.get("description", "another combination"), path=path)


def _find_parts(
    document: Any, schema: Mapping[str, Any], *, path: str
) -> Iterator[tuple[Any, Mapping[str, Any], str]]:
    """Yield the parts of a document that have a schema of their own, with their place."""
    if isinstance(document, Mapping):
        for key, inner in schema.get("properties", {}).items():
            if key in document:
                yield document[key], inner, f"{path}.{key}" if path else key
    if isinstance(document, list | tuple) and "items" in schema:
        for index, item in enumerate(document):
            yield item, schema["items"], f"{path}[{index}]"


def _fits(document: Any, schema: Mapping[str, Any], *, root: Mapping[str, Any]) -> bool:
    try:
        check_schema(document, schema, root=root, path="")
    except FactsError:
        return False
    return True


def _refuse(document: Any, expected: str, *, path: str) -> FactsError:
    return FactsError(
        expected=expected,
        given=_describe(document),
        where=f"patient facts, {path or 'whole file'}",
        action="correct the facts file; leave out what is not known",
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _describe(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value}"
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return f"an object with {len(value)} keys" if isinstance(value, Mapping) else "a list"


def _check_type(value: Any, limit: str) -> str:
    return "" if _TYPES[limit](value) else _TYPE_WORDS[limit]


def _check_keys(value: Any, known: Mapping[str, Any]) -> str:
    if not isinstance(value, Mapping) or all(key in known for key in value):
        return ""
    return f"only the keys {', '.join(known)}"


def _check_required(value: Any, keys: list[str]) -> str:
    if not isinstance(value, Mapping):
        return ""
    missing = [key for key in keys if key not in value]
    return f"also {', '.join(missing)}" if missing else ""


def _check_choice(value: Any, allowed: list[Any]) -> str:
    return "" if any(value == item and type(value) is type(item) for item in allowed) else f"one of {allowed}"


def _bound(holds: Callable[[float, float], bool], words: str) -> Callable[[Any, float], str]:
    def check(value: Any, limit: float) -> str:
        return f"{words} {limit:g}" if _is_number(value) and not holds(value, limit) else ""

    return check


def _length(
    kinds: tuple[type, ...], holds: Callable[[int, int], bool], words: str
) -> Callable[[Any, int], str]:
    def check(value: Any, limit: int) -> str:
        counted: Any = value
        return f"{words} {limit}" if type(value) in kinds and not holds(len(counted), limit) else ""

    return check


def _check_pattern(value: Any, pattern: str) -> str:
    return "a date as YYYY-MM-DD" if isinstance(value, str) and not re.search(pattern, value) else ""


def _check_format(value: Any, name: str) -> str:
    if name != "date" or not isinstance(value, str):
        return ""
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        return "a day of the calendar as YYYY-MM-DD"
    return ""


_KEYWORDS: Final[dict[str, Callable[[Any, Any], str]]] = {
    "type": _check_type,
    "required": _check_required,
    "enum": _check_choice,
    "const": lambda value, limit: _check_choice(value, [limit]),
    "minimum": _bound(lambda value, limit: value >= limit, "at least"),
    "maximum": _bound(lambda value, limit: value <= limit, "at most"),
    "minLength": _length((str,), lambda length, limit: length >= limit, "a length of at least"),
    "maxLength": _length((str,), lambda length, limit: length <= limit, "a length of at most"),
    "maxItems": _length(
        (list, tuple), lambda length, limit: length <= limit, "a number of entries of at most"
    ),
    "pattern": _check_pattern,
    "format": _check_format,
}
