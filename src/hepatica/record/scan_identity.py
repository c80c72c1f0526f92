"""Whether the person a scan names is the patient it is filed under."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hepatica.record.event import JsonValue

NOTHING_TO_COMPARE: Final = "nothing to compare"
"""Neither name nor birth date stands on both sides, so that nothing shows that the scan is this patient's."""
_SPELT_OUT: Final = {
    "ä": "ae",
    "ö": "oe",
    "ü": "ue",
    "ß": "ss",
    "ø": "oe",
    "å": "aa",
    "æ": "ae",
    "œ": "oe",
    "ł": "l",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HeaderIdentity:
    """Who an image says it shows. Printed, it shows nothing: it may end up in a message.

    Parameters
    ----------
    family_name, given_name
        As in the header, empty where absent.
    birth_date
        ISO 8601, empty where absent.
    sex_code
        ``F``, ``M``, ``O`` or empty.
    """

    family_name: str = ""
    given_name: str = ""
    birth_date: str = ""
    sex_code: str = ""


def compare_identity(header: HeaderIdentity, patient: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """Return which of name, birth date and sex differ, never their values.

    Only what stands on both sides can differ. Spelling is forgiven (capitals, accents, umlauts written out, hyphens,
    further given names); another word is not.

    Parameters
    ----------
    header
        From the image.
    patient
        Fields of the patient's identity: ``family_name``, ``given_name``, ``birth_date``, ``sex_code``.

    Examples
    --------
    >>> patient = {"family_name": "Müller-Lüdenscheidt", "given_name": "Anna", "birth_date": "1951-02-03"}
    >>> compare_identity(HeaderIdentity(family_name="MUELLER LUEDENSCHEIDT", given_name="ANNA MARIA"), patient)
    ()
    >>> compare_identity(HeaderIdentity(family_name="Meier", birth_date="1951-02-04"), patient)
    ('name', 'birth date')
    >>> compare_identity(HeaderIdentity(sex_code="F"), patient)
    ('nothing to compare',)
    """
    family, given = str(patient.get("family_name") or ""), str(patient.get("given_name") or "")
    birth, sex = str(patient.get("birth_date") or ""), str(patient.get("sex_code") or "")
    differing = []
    if (header.family_name and family and not _same_words(header.family_name, family)) or (
        header.given_name and given and not _same_given(header.given_name, given)
    ):
        differing.append("name")
    if header.birth_date and birth and not _same_date(header.birth_date, birth):
        differing.append("birth date")
    if header.sex_code and sex not in ("", "U") and header.sex_code != sex:
        differing.append("sex")
    comparable = (header.family_name and family) or (header.birth_date and birth)
    return tuple(differing) if differing or comparable else (NOTHING_TO_COMPARE,)


def _same_words(one: str, other: str) -> bool:
    return "".join(_fold(one)) == "".join(_fold(other))


def _same_given(one: str, other: str) -> bool:
    """Whether the shorter list of given names begins the longer one."""
    a, b = _fold(one), _fold(other)
    shared = min(len(a), len(b))
    return a[:shared] == b[:shared] or "".join(a) == "".join(b)


def _fold(text: str) -> list[str]:
    """Return the words of a name in one form, whether umlauts were kept, written out or made plain vowels."""
    small = unicodedata.normalize("NFC", text).casefold().replace("'", "").replace("’", "")
    spelt = "".join(_SPELT_OUT.get(letter, letter) for letter in small)
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", spelt) if not unicodedata.combining(letter)
    )
    for pair, vowel in (("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a")):
        plain = plain.replace(pair, vowel)
    return re.findall(r"[^\W_]+", plain)


def _same_date(one: str, other: str) -> bool:
    """Compare as far as the less exact one goes."""
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]
