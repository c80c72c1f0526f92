"""What research mode keeps of a DICOM object: the table ``deidentification.toml``, read once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from hepatica.core.evidence import read_resource

NUMBERS: Final = frozenset({"DS", "IS", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV", "AT"})
_EVERY_GROUP: Final = "all"
_SMALL_NUMBER: Final = re.compile(r"\d{1,2}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Policy:
    """The table.

    Parameters
    ----------
    version
        Of the table.
    methods
        Code value and meaning of each part of the method.
    objects, suspected, suspected_modalities
        Storage classes that are kept, those of them whose pixels often carry text, and such modalities.
    actions
        By tag.
    fallbacks
        By value representation (``number`` for all of them): action and groups, None for every group.
    schemes
        Form of the values of each coding scheme that is kept.
    terms
        Defined terms that may stay.
    words
        Words that may stay, in small letters.
    """

    version: str
    methods: tuple[tuple[str, str], ...]
    objects: frozenset[str]
    suspected: frozenset[str]
    suspected_modalities: frozenset[str]
    actions: Mapping[int, str]
    fallbacks: Mapping[str, tuple[str, frozenset[int] | None]]
    schemes: Mapping[str, re.Pattern[str]]
    terms: frozenset[str]
    words: frozenset[str]

    def find_action(self, tag: Any, vr: str) -> str:
        """Return what happens to an element.

        Parameters
        ----------
        tag, vr
            The element's tag, and its value representation as the file gives it.
        """
        from pydicom.datadict import dictionary_VR

        if tag.is_private:
            return "remove"
        try:
            allowed = dictionary_VR(tag).split(" or ")
        except KeyError:
            return "remove"
        # A value under another representation than the standard's was never checked by anybody.
        if vr not in allowed:
            return "remove"
        named = self.actions.get(int(tag))
        if named is not None:
            return named
        rule = self.fallbacks.get("number" if vr in NUMBERS else vr)
        if rule is None or (rule[1] is not None and tag.group not in rule[1]):
            return "remove"
        return rule[0]

    def clean_words(self, text: str) -> str:
        """Return the permitted words of a text, in capitals, and its numbers of one or two digits.

        Parameters
        ----------
        text
            A description.
        """
        parts = re.findall(r"[A-Za-z0-9]+", text)
        return " ".join(
            part.upper() for part in parts if part.lower() in self.words or _SMALL_NUMBER.fullmatch(part)
        )[:64]

    def knows_word(self, text: str) -> bool:
        """Return whether a value is made of permitted words only.

        Parameters
        ----------
        text
            One value.
        """
        return all(part.lower() in self.words for part in re.split(r"[ _]", text))


@cache
def read_policy() -> Policy:
    """Return the table of this version."""
    from pydicom.datadict import tag_for_keyword

    table = tomllib.loads(read_resource("hepatica.adapters.dicom", "deidentification.toml").decode())
    actions = {}
    for keyword, action in table["attribute"].items():
        tag = tag_for_keyword(keyword)
        assert tag is not None, f"{keyword} is no attribute"
        actions[tag] = action
    return Policy(
        version=table["version"],
        methods=tuple((value, meaning) for value, meaning in table["method"]["codes"]),
        objects=frozenset(table["objects"]["keep"]),
        suspected=frozenset(table["objects"]["suspected"]),
        suspected_modalities=frozenset(table["objects"]["suspected_modalities"]),
        actions=MappingProxyType(actions),
        fallbacks=MappingProxyType(
            {vr: (rule["action"], _to_groups(rule["groups"])) for vr, rule in table["fallback"].items()}
        ),
        schemes=MappingProxyType({scheme: re.compile(pattern) for scheme, pattern in table["codes"].items()}),
        terms=frozenset(term for terms in table["terms"].values() for term in terms),
        words=frozenset(word.lower() for words in table["words"].values() for word in words),
    )


def _to_groups(groups: str | list[str]) -> frozenset[int] | None:
    return None if groups == _EVERY_GROUP else frozenset(int(group, 16) for group in groups)


@cache
def read_meanings() -> Mapping[tuple[str, str], str]:
    """Return the dictionary's meaning of each coded term, by scheme and value."""
    from pydicom.sr.codedict import codes

    from hepatica.adapters.dicom.codes import read_terms

    known = {
        (scheme, str(term.value)): str(term.meaning)
        for scheme in ("DCM", "SCT", "UCUM", "FMA", "LN", "RADLEX")
        if hasattr(codes, scheme)
        for term in getattr(codes, scheme).concepts.values()
    }
    for group in read_terms().values():
        known.update({(term.scheme, term.value): term.meaning for term in group.values()})
    return MappingProxyType(known)
