"""Check what a request for long work holds, before anything heavy is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from hepatica.core.errors import RecordInputError
from hepatica.record.event import JsonValue

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
"""Names of things the program ships. No separator: a name is never a path."""
WORDS: Final = re.compile(r"[^\W_][^\x00-\x1f\x7f/\\]*")
"""Names with spaces, commas and brackets, such as a needle's; a name is never a path."""
WORDS_MOST: Final = 200
TEXTS_MOST: Final = 100


class RequestFields:
    """The fields of a request, taken one by one; what is left over is refused.

    Parameters
    ----------
    request
        What was asked.
    """

    def __init__(self, request: Mapping[str, JsonValue]) -> None:
        self._left = dict(request)

    def take_name(self, field: str, *, required: bool = False) -> str:
        """Return an identifier or the name of something shipped; empty text where it is absent."""
        value = self._left.pop(field, "")
        if value in ("", None) and not required:
            return ""
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise refuse_field(field, "a name of letters, digits and _.:-")
        return value

    def take_words(self, field: str) -> str:
        """Return the name of something that people gave a name of words; empty text where it is absent."""
        value = self._left.pop(field, "")
        if value in ("", None):
            return ""
        if not isinstance(value, str) or len(value) > WORDS_MOST or not WORDS.fullmatch(value):
            raise refuse_field(field, "a name of words, without / and \\")
        return value

    def take_names(self, field: str) -> list[str]:
        """Return a list of names."""
        value = self._left.pop(field, [])
        if not isinstance(value, list) or len(value) > TEXTS_MOST:
            raise refuse_field(field, "a list of names")
        return [RequestFields({field: name}).take_name(field, required=True) for name in value]

    def take_integer(self, field: str, *, least: int, most: int, default: int | None = None) -> int:
        """Return a whole number."""
        value = self._left.pop(field, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise refuse_field(field, f"a whole number from {least} to {most}")
        return value

    def take_number(self, field: str, *, above: float, most: float) -> float | None:
        """Return a number above one and up to another; None where it is absent."""
        value = self._left.pop(field, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not above < value <= most:
            raise refuse_field(field, f"a number above {above:g} and up to {most:g}")
        return float(value)

    def take_flag(self, field: str) -> bool:
        """Return true or false; false where it is absent."""
        value = self._left.pop(field, False)
        if not isinstance(value, bool):
            raise refuse_field(field, "true or false")
        return value

    def take_object(self, field: str) -> dict[str, Any]:
        """Return an object; empty where it is absent."""
        value = self._left.pop(field, None) or {}
        if not isinstance(value, dict):
            raise refuse_field(field, "an object")
        return value

    def take_objects(self, field: str) -> list[dict[str, Any]]:
        """Return a list of objects."""
        value = self._left.pop(field, [])
        if (
            not isinstance(value, list)
            or len(value) > TEXTS_MOST
            or not all(isinstance(v, dict) for v in value)
        ):
            raise refuse_field(field, "a list of objects")
        return value

    def require_empty(self) -> None:
        """Refuse fields that nobody took."""
        if self._left:
            raise refuse_field("request", "no other fields")


def refuse_field(field: str, expected: str) -> RecordInputError:
    """Return the refusal of a field; never with its value, which may name a person.

    Parameters
    ----------
    field
        Its name.
    expected
        What it may hold.
    """
    return RecordInputError(expected=expected, given="something else", where=f"request, {field}")
