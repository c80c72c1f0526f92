"""Pseudonyms of a record: the same every time, and nobody without the record's key can tell what they stand for."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from hepatica.core.errors import InputError

STANDARD_ROOT: Final = "1.2.840.10008."
"""UIDs that the DICOM standard itself gives out (classes, transfer syntaxes, schemes): they name nobody."""
LEAST_OFFSET_DAYS: Final = 365
MOST_OFFSET_DAYS: Final = 3650
"""Dates move into the past by one to ten years: never into the future, never by nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Pseudonyms:
    """Derives a record's pseudonyms.

    Parameters
    ----------
    key
        At least 32 bytes, the record's own.

    Examples
    --------
    >>> names = Pseudonyms(key=bytes(32))
    >>> names.to_uid("1.2.3") == names.to_uid("1.2.3") != names.to_uid("1.2.4")
    True
    >>> names.to_uid("1.2.840.10008.5.1.4.1.1.2")
    '1.2.840.10008.5.1.4.1.1.2'
    """

    key: bytes

    def __post_init__(self) -> None:
        if len(self.key) < 32:
            raise InputError(
                expected="a key of at least 32 bytes", given=f"{len(self.key)}", where="pseudonyms"
            )

    def to_uid(self, uid: str) -> str:
        """Return the UID that stands for another in every object of the record; the standard's own stay.

        Parameters
        ----------
        uid
            Original UID.
        """
        if not uid or uid.startswith(STANDARD_ROOT):
            return uid
        # The form that PS3.5 B.2 gives for UIDs made of a UUID; version 8 is that of own derivations (RFC 9562).
        value = int.from_bytes(self._digest("uid", uid)[:16])
        value = value & ~(0xF << 76) | 8 << 76
        value = value & ~(0x3 << 62) | 2 << 62
        return f"2.25.{UUID(int=value).int}"

    def to_token(self, text: str, *, length: int = 12) -> str:
        """Return a short word that stands for a text, so that equal texts stay equal.

        Parameters
        ----------
        text
            The text.
        length
            Letters and digits of the word.
        """
        return self._digest("token", text).hex().upper()[:length]

    def to_offset_days(self, patient_id: str) -> int:
        """Return by how many days all dates of a patient are moved; always into the past.

        Parameters
        ----------
        patient_id
            The record's patient.
        """
        span = MOST_OFFSET_DAYS - LEAST_OFFSET_DAYS + 1
        return -(LEAST_OFFSET_DAYS + int.from_bytes(self._digest("offset", patient_id)[:8]) % span)

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.new(self.key, f"{purpose}\0{text}".encode(), hashlib.sha256).digest()


def derive_pseudonym_key(sealing_key: bytes) -> bytes:
    """Return the key for pseudonyms from the home's sealing key, so that a backup holds it too.

    Parameters
    ----------
    sealing_key
        The home's key.
    """
    return hmac.new(sealing_key, b"hepatica pseudonyms 1", hashlib.sha256).digest()
