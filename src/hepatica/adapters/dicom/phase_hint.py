"""Which contrast phase a series may show, as a hint with its reason: headers are often silent or wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from hepatica.adapters.dicom.headers import SliceRecord

_WORDS: Final = (
    (
        "without contrast",
        re.compile(r"\b(non[- ]?contrast|without|w/?o|native|nativ|unenhanced|plain|pre)\b"),
    ),
    ("arterial", re.compile(r"\b(art|arterial|arteriell|hap|aortic)\b")),
    ("portal venous", re.compile(r"\b(portal|portalvenous|porto|pvp|pv|venous|ven|venoes|hepatic venous)\b")),
    ("delayed", re.compile(r"\b(delay|delayed|late|equilibrium|eq|hepatobiliary|hbp|\d+ ?min)\b")),
)
UNKNOWN: Final = "unknown"


def derive_phase_hints(groups: Sequence[Sequence[SliceRecord]]) -> tuple[str, ...]:
    """Derive one hint for each group of planes, comparing groups of one study among each other.

    The description is asked first, then the time since contrast start, then the order of acquisitions. A
    time is
    reported as it is: turning seconds into a phase would need the patient's circulation.

    Returns
    -------
    tuple
        For example ``arterial (from the series description)``, ``unknown (96 s after contrast start)`` or
        ``unknown (1 of 2 by acquisition number)``.
    """
    return tuple(_derive_hint(records, groups) if records else UNKNOWN for records in groups)


def _derive_hint(records: Sequence[SliceRecord], groups: Sequence[Sequence[SliceRecord]]) -> str:
    named = _find_words(records[0].description)
    if named:
        return f"{named} (from the series description)"
    delay_s = _measure_delay_s(records)
    if delay_s is not None:
        return f"{UNKNOWN} ({delay_s:.0f} s after contrast start, by the header's times)"
    place = _find_place(records, groups)
    return f"{UNKNOWN} ({place})" if place else UNKNOWN


def _find_words(description: str) -> str:
    text = re.sub(r"[_,;:()+.]", " ", description.lower())
    # "Late arterial" is arterial, not late.
    text = re.sub(r"\b(early|late)[ -]+(?=art|portal)", "", text)
    found = [phase for phase, pattern in _WORDS if pattern.search(text)]
    # A description that names several phases names none.
    return found[0] if len(found) == 1 else ""


def _measure_delay_s(records: Sequence[SliceRecord]) -> float | None:
    start = _to_seconds(records[0].contrast_start_time)
    times = [_to_seconds(record.acquisition_time) for record in records]
    known = [time for time in times if time is not None]
    if start is None or not known or min(known) < start:
        return None
    return min(known) - start


def _find_place(records: Sequence[SliceRecord], groups: Sequence[Sequence[SliceRecord]]) -> str:
    """Say where a group stands among the other stacks of its study, by time or by acquisition number."""
    first = records[0]
    peers = [
        other[0]
        for other in groups
        if len(other) > 1 and (other[0].study_uid, other[0].modality) == (first.study_uid, first.modality)
    ]
    for key, name in ((_time_key, "acquisition time"), (_number_key, "acquisition number")):
        own = key(first)
        others = [key(peer) for peer in peers]
        if own is None or None in others:
            continue
        ranks = sorted({value for value in others if value is not None})
        if len(ranks) > 1 and own in ranks:
            return f"{ranks.index(own) + 1} of {len(ranks)} by {name}"
    return ""


def _time_key(record: SliceRecord) -> float | None:
    return _to_seconds(record.acquisition_time)


def _number_key(record: SliceRecord) -> float | None:
    return float(record.acquisition) if record.acquisition.isdecimal() else None


def _to_seconds(text: str) -> float | None:
    match = re.fullmatch(r"(\d{2})(\d{2})(\d{2}(?:\.\d+)?)(?:[+-]\d{4})?", text)
    if match is None:
        return None
    hours, minutes, seconds = (float(part) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds
