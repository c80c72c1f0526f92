"""Names of structures as they occur, read into kinds.

The words live in ``tables/names.toml``, label numbers of known programs in ``tables/label_numbers.csv``.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Final

from hepatica.anatomy.structures import StructureKind
from hepatica.core.errors import NotFoundError
from hepatica.core.evidence import read_resource

_TABLES: Final = "hepatica.anatomy.tables"
_SPELLINGS: Final = (
    ("tumour", "tumor"),
    ("oesoph", "esoph"),
    ("haem", "hem"),
    ("coeliac", "celiac"),
    ("caecum", "cecum"),
    ("metastases", "metastasis"),
    ("metastatic", "metastasis"),
    ("vertebrae", "vertebra"),
)
_FILLERS: Final = re.compile(
    r"left|right|lt|rt|l|r|upper|lower|middle|superior|anterior|posterior|medial|lateral|proximal|"
    r"distal|the|a|of|and|structure|segmentation|segment|seg|mask|roi|label|whole|total|all|manual|automatic|final|copy|entire|\d+"
)
_TUMOR: Final = re.compile(r"\b(tumors?|lesions?|metastasis|mets?|neoplasms?|carcinomas?|cancers?)\b")
_TUMOR_KINDS: Final = (StructureKind.LESION, StructureKind.NECROSIS)
_DERIVED: Final = re.compile(r"\b(derived|not reviewed|unreviewed)\b")
_NEAR: Final = re.compile(
    r"\b(near|next to|beside|adjacent|abutting|close to|touching|behind|below|above)\b.*$"
)
_WITHOUT: Final = re.compile(r"\b(minus|without|excluding|excl|outside of|outside|except|sparing)\b.*$")
_LIVER_MINUS_TARGET: Final = re.compile(r"(?<=liver)\s*-\s*[gcpi]tv.*$")
_HEALTHY: Final = re.compile(
    r"\b(normal|healthy|uninvolved|spared|tumor free|lesion free|non tumor(al|ous)?)\b"
)

_COUNTER_DIGITS: Final = 2
"""Longer numbers in a file name count no structures; they may be a birth date or a patient number."""


class Reading(StrEnum):
    """What could be made of a name."""

    STRUCTURE = "structure"
    """A structure with a kind."""
    VIABLE = "viable part"
    """The living part of a tumour, not a further tumour."""
    IGNORABLE = "known, not a structure to avoid"
    """Muscle, fat, a table or a planning margin: known and left out."""
    UNKNOWN = "unknown"
    """No word of it is known; treated as an organ that is never crossed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameReading:
    """What a name says.

    Parameters
    ----------
    reading
        How it was understood.
    kind
        Kind of structure; None for ignorable and unknown names.
    derived
        Whether the name itself says that nobody reviewed it, as in ``stomach (derived)``.
    note
        Why, where that is not plain.
    tumor_elsewhere
        Whether a tumour word stands beside another organ, as in ``kidney tumour``: not a liver lesion.
    """

    reading: Reading
    kind: StructureKind | None
    derived: bool = False
    note: str = ""
    tumor_elsewhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    pattern: re.Pattern[str]
    exclusion: re.Pattern[str] | None
    kind: StructureKind | None
    reading: Reading
    note: str


def read_name(name: str, *, hint: str = "") -> NameReading:
    """Read one structure name; where it says nothing, read the standard code meaning.

    Parameters
    ----------
    name
        Label name, segment label, ROI name or file name.
    hint
        Standard code meaning that came with it, for example ``Neoplasm``.

    Returns
    -------
    NameReading
        A name read as liver whose code says neoplasm is a lesion: the code is the more specific statement.

    Examples
    --------
    >>> read_name("Viable tumour").reading
    <Reading.VIABLE: 'viable part'>
    >>> read_name("stomach (derived)").derived
    True
    >>> read_name("gluteus_maximus_left").reading
    <Reading.IGNORABLE: 'known, not a structure to avoid'>
    >>> read_name("Segment_1", hint="Portal vein").kind
    <StructureKind.PORTAL_VEIN: 'portal_vein'>
    """
    text = _tidy(name)
    derived = bool(_DERIVED.search(text))
    first = _match(_DERIVED.sub(" ", text))
    second = _match(_tidy(hint)) if hint else None
    chosen = first
    if second is not None and second.reading is not Reading.UNKNOWN:
        unknown = first.reading is Reading.UNKNOWN
        says_more = first.kind is StructureKind.LIVER and second.kind is StructureKind.LESION
        if unknown or (says_more and not _HEALTHY.search(text)):
            chosen = second
    return replace(chosen, derived=derived)


def to_structure_kind(name: str, *, hint: str = "") -> StructureKind | None:
    """Return the kind a name stands for.

    Returns None both for known names that are no structure to avoid (muscle, fat, table) and for unknown
    ones; `read_name` tells them apart, and `hepatica.anatomy.assemble.assemble_anatomy` treats an unknown
    name as an organ that is never crossed.

    Examples
    --------
    >>> to_structure_kind("portal_vein_and_splenic_vein"), to_structure_kind("livertumor1")
    (<StructureKind.PORTAL_VEIN: 'portal_vein'>, <StructureKind.LESION: 'lesion'>)
    >>> to_structure_kind("kidney tumour"), to_structure_kind("psoas")
    (<StructureKind.KIDNEY: 'kidney'>, None)
    """
    return read_name(name, hint=hint).kind


def keep_known_words(name: str) -> str:
    """Return a file or folder name without the words that name no structure: they may tell who a patient is.

    A name of known words only comes back as it is; otherwise the known words, tidied, or nothing.

    Examples
    --------
    >>> keep_known_words("portal_vein_and_splenic_vein")
    'portal_vein_and_splenic_vein'
    >>> keep_known_words("Doe^Jane_19500101_livertumor01"), keep_known_words("Doe^Jane_19500101")
    ('livertumor 01', '')
    """
    words = _tidy(re.sub(r"([a-z])(\d{1,2})(?!\d)", r"\1 \2", name, flags=re.IGNORECASE)).split()
    glued = re.compile(r"(left|right)(?=[a-z]{3})")
    known = _read_known_words()
    kept = [
        w
        for w in words
        if (
            len(w) <= _COUNTER_DIGITS if w.isdecimal() else glued.sub("", w) in known or _FILLERS.fullmatch(w)
        )
    ]
    if len(kept) == len(words):
        return name
    return " ".join(kept) if any(w in known for w in kept) else ""


@cache
def _read_known_words() -> frozenset[str]:
    """Every word of the phrases of ``names.toml`` and of the label number tables."""
    document = tomllib.loads(read_resource(_TABLES, "names.toml").decode("utf-8"))
    phrases = [phrase for rule in document["rule"] for phrase in (*rule["phrases"], *rule.get("except", ()))]
    phrases += [name for names in _read_number_tables().values() for name in names.values()]
    words = {part for phrase in phrases for part in re.split(r"[ |]", _tidy(phrase.replace("|", " ")))}
    return frozenset(words | {word + "s" for word in words})


@cache
def read_label_numbers(table: str) -> Mapping[int, str]:
    """Return the names behind the label numbers of a known program.

    Parameters
    ----------
    table
        ``totalsegmentator-v1`` (104 classes), ``totalsegmentator-v2`` (117), ``totalsegmentator-mr`` (50), or
        one of the single-task tables ``totalsegmentator-liver-vessels``, ``-body``, ``-heart-chambers``,
        ``-tissue-types``. The same number means different organs in different tables: the user names the
        table, it is never guessed.

    Raises
    ------
    NotFoundError
        If there is no such table.

    Examples
    --------
    >>> read_label_numbers("totalsegmentator-v1")[7], read_label_numbers("totalsegmentator-v2")[7]
    ('aorta', 'pancreas')
    """
    tables = _read_number_tables()
    if table not in tables:
        raise NotFoundError(
            expected=f"one of {', '.join(tables)}",
            given=f"'{table}'",
            where="table of label numbers",
            action="choose a built-in table or give a names file (number,name)",
        )
    return tables[table]


@cache
def _read_number_tables() -> Mapping[str, Mapping[int, str]]:
    tables: dict[str, dict[int, str]] = {}
    lines = read_resource(_TABLES, "label_numbers.csv").decode("utf-8").splitlines()
    for line in lines[1:]:
        table, number, name = line.split(",")
        tables.setdefault(table, {})[int(number)] = name
    return MappingProxyType({key: MappingProxyType(names) for key, names in tables.items()})


def _tidy(name: str) -> str:
    text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    text = re.sub(r"\.(nii(\.gz)?|nrrd|mha|mhd|zip|dcm|seg|stl)$", "", text.strip(), flags=re.IGNORECASE)
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()
    for old, new in _SPELLINGS:
        text = text.replace(old, new)
    text = _LIVER_MINUS_TARGET.sub("", text)
    text = re.sub(r"[^a-z0-9]+", " ", text)
    text = re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", " ", text)
    return re.sub(r"\s+", " ", text).strip()


def _match(tidied: str) -> NameReading:
    text = _HEALTHY.sub(" ", _NEAR.sub("", _WITHOUT.sub("", tidied)))
    # Glued names of the 3D-IRCADb family: leftkidney, rightlung.
    text = re.sub(r"\b(left|right)(?=[a-z]{3})", r"\1 ", text)
    words = [w for w in text.split() if not _FILLERS.fullmatch(w)]
    bare = " ".join(words)
    for rule in _read_rules():
        for candidate in (bare, text):
            if rule.pattern.search(candidate) and not (rule.exclusion and rule.exclusion.search(candidate)):
                elsewhere = rule.kind not in _TUMOR_KINDS and bool(_TUMOR.search(candidate))
                note = "a tumour of another organ is not a liver lesion" if elsewhere else rule.note
                return NameReading(reading=rule.reading, kind=rule.kind, note=note, tumor_elsewhere=elsewhere)
    return NameReading(reading=Reading.UNKNOWN, kind=None)


@cache
def _read_rules() -> tuple[_Rule, ...]:
    document = tomllib.loads(read_resource(_TABLES, "names.toml").decode("utf-8"))
    rules = []
    for entry in document["rule"]:
        kind = StructureKind(entry["kind"]) if "kind" in entry else None
        reading = Reading.STRUCTURE if kind else Reading.IGNORABLE
        if entry.get("part") == "viable":
            reading = Reading.VIABLE
        rules.append(
            _Rule(
                pattern=_to_pattern(entry["phrases"]),
                exclusion=_to_pattern(entry["except"]) if "except" in entry else None,
                kind=kind,
                reading=reading,
                note=entry.get("note", entry.get("meaning", "")),
            )
        )
    return tuple(rules)


def _to_pattern(phrases: list[str]) -> re.Pattern[str]:
    options = [" ?".join(f"(?:{word})" for word in phrase.split(" ")) for phrase in phrases]
    return re.compile(rf"\b(?:{'|'.join(options)})(?:e?s)?\b")
