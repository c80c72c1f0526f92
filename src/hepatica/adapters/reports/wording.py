"""Numbers and answers as words: one spelling for the sheet and the report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor, log10
from typing import Final

from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import NotEvaluable
from hepatica.planning.path.placement_values import Chance

UNVERIFIED: Final = "unverified"
"""The word printed beside every number that leans on one nobody has checked."""
DERIVED_NOTE: Final = "derived, not reviewed"
ABSENT: Final = "–"
ML_TWO_DECIMALS_TOLERANCE: Final = 5e-4
"""A volume this close to hundredths of a millilitre is printed so; finer ones keep the microlitre, so that
printed deposits still add up to the printed total."""
LARGE_COUNT: Final = 1e5
"""From here on counts are printed as powers of ten."""
PLAN_ID_CHARACTERS: Final = 8
"""Enough to tell the plans of one patient apart by eye; the whole id stands in the small print."""
_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNIT_WORDS: Final = {
    "ml": "mL", "pfu": "PFU", "pfu_per_ml": "PFU/mL", "vp": "vp", "hu": "HU", "deg": "°", "percent": "%",
    "fraction": "", "mm2": "mm²", "mm3": "mm³", "cm2": "cm²", "cm3": "cm³",
    "g_per_l": "g/L", "g_per_dl": "g/dL", "umol_per_l": "µmol/L", "mg_per_dl": "mg/dL",
    "1e9_per_l": "× 10⁹/L", "ratio": "", "u_per_l": "U/L", "mg_per_ml": "mg/mL",
    "iu_per_ml": "IU/mL", "gauge": "G", "celsius": "°C",
    "kpa": "kPa", "mmhg": "mmHg", "ml_per_min": "mL/min", "m2_per_pa_s": "m²/(Pa s)", "per_pa_s": "/(Pa s)",
    "per_day": "/day", "pa_s": "Pa s",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A printed value.

    Parameters
    ----------
    text
        What is printed.
    unverified
        Whether the word *unverified* stands beside it.
    note
        A second, smaller line; empty for none.
    """

    text: str
    unverified: bool = False
    note: str = ""

    def __str__(self) -> str:
        """Return everything on one line, as a screen reader would say it."""
        words = [self.text, UNVERIFIED if self.unverified else "", self.note]
        return ", ".join(word for word in words if word)


def to_cell(text: str, *, status: EvidenceStatus | None = None, note: str = "") -> Cell:
    """Build a cell that says *unverified* where its evidence is."""
    return Cell(text=text, unverified=status is EvidenceStatus.UNVERIFIED, note=note)


def to_not_evaluable_words(answer: NotEvaluable) -> str:
    """Return ``n/e: reason``."""
    return f"n/e: {answer.reason}"


def to_number_words(value: float | NotEvaluable, *, unit: str = "", decimals: int = 1) -> str:
    """Return a number with a real minus sign and its unit, or why there is none.

    Examples
    --------
    >>> to_number_words(-3.14159, unit="mm")
    '−3.1 mm'
    >>> to_number_words(NotEvaluable(reason="the scan ends there"))
    'n/e: the scan ends there'
    """
    if isinstance(value, NotEvaluable):
        return to_not_evaluable_words(value)
    rounded = round(value, decimals) + 0.0
    text = f"{rounded:.{decimals}f}".replace("-", "−")
    return f"{text} {unit}" if unit else text


def to_ml_words(volume_ml: float) -> str:
    """Return millilitres to the hundredth, or to the microlitre where the hundredth would not add up.

    Examples
    --------
    >>> to_ml_words(2.0), to_ml_words(1 / 3)
    ('2.00 mL', '0.333 mL')
    """
    exact = abs(volume_ml - round(volume_ml, 2)) < ML_TWO_DECIMALS_TOLERANCE
    return f"{volume_ml:.{2 if exact else 3}f} mL"


def to_dose_words(dose: float | NotEvaluable, unit: str) -> str:
    """Return an amount of agent; large counts as a power of ten.

    Examples
    --------
    >>> to_dose_words(2e6, "pfu")
    '2 × 10⁶ PFU'
    """
    if isinstance(dose, NotEvaluable):
        return to_not_evaluable_words(dose)
    word = to_unit_words(unit)
    if unit == "ml":
        return to_ml_words(dose)
    if abs(dose) < LARGE_COUNT:
        return f"{dose:.5g} {word}"
    power = floor(log10(abs(dose)))
    mantissa = f"{dose / 10**power:.3g}"
    if mantissa == "10":
        mantissa, power = "1", power + 1
    return f"{mantissa} × 10{str(power).translate(_SUPERSCRIPTS)} {word}"


def to_unit_words(unit: str) -> str:
    """Return a unit suffix as it is printed: ``ml`` gives ``mL``."""
    return _UNIT_WORDS.get(unit, unit.replace("_per_", "/"))


def to_readable_words(text: str) -> str:
    """Return a text made for programs as people write it: units, powers of ten, limits.

    Examples
    --------
    >>> to_readable_words(">= 50 1e9_per_l"), to_readable_words("1e+06 pfu_per_ml"), to_readable_words("1.2 ratio")
    ('≥ 50 × 10⁹/L', '1 × 10⁶ PFU/mL', '1.2')
    """
    text = re.sub(r"\b[a-z0-9]+_per_[a-z]+\b|\bratio\b", lambda found: to_unit_words(found[0]), text)
    text = re.sub(
        r"\b(\d+(?:\.\d+)?)e\+?(-?\d+)\b",
        lambda found: f"{found[1]} × 10{str(int(found[2])).translate(_SUPERSCRIPTS)}",
        text,
    )
    return " ".join(text.replace(">=", "≥").replace("<=", "≤").split())


def to_percent_words(fraction: float | NotEvaluable, *, decimals: int = 1) -> str:
    """Return a fraction as a percentage."""
    if isinstance(fraction, NotEvaluable):
        return to_not_evaluable_words(fraction)
    return f"{100 * fraction:.{decimals}f} %"


def to_count_words(count: int) -> str:
    """Return a count with thin groups: 10000 gives ``10 000``."""
    return f"{count:,}".replace(",", "\u00a0")


def to_chance_words(chance: Chance | None) -> str:
    """Return a counted probability to what its draws can tell; none or all of them is said so.

    Examples
    --------
    >>> to_chance_words(Chance(hits=22, draws=10_000)), to_chance_words(Chance(hits=8168, draws=10_000))
    ('0.22 %', '82 %')
    >>> to_chance_words(Chance(hits=0, draws=1000)), to_chance_words(None)
    ('0 of 1\xa0000', '–')
    """
    if chance is None:
        return ABSENT
    if chance.hits in (0, chance.draws):
        return f"{to_count_words(chance.hits)} of {to_count_words(chance.draws)}"
    percent = 100 * chance.probability
    return f"{percent:.2g} %" if percent < 10 else f"{percent:.0f} %" if percent < 99 else f"{percent:.1f} %"


def to_track_chance_words(chances: Sequence[Chance]) -> str:
    """Return the range of several chances.

    Examples
    --------
    >>> to_track_chance_words([Chance(hits=45, draws=100), Chance(hits=81, draws=100)])
    '45 to 81 %'
    >>> to_track_chance_words([Chance(hits=45, draws=100)]), to_track_chance_words([])
    ('45 %', '–')
    """
    if not chances:
        return ABSENT
    low = min(chances, key=lambda chance: chance.probability)
    high = max(chances, key=lambda chance: chance.probability)
    first, last = to_chance_words(low), to_chance_words(high)
    if first == last:
        return first
    return f"{first.removesuffix(' %')} to {last}"


def to_measure_words(value: float | str, unit: str) -> str:
    """Return what a finding measured, with its unit; empty stays empty.

    Examples
    --------
    >>> to_measure_words(0.42, "fraction"), to_measure_words(31.25, "mm"), to_measure_words("", "mm")
    ('42 %', '31.2 mm', '')
    >>> to_measure_words("25, 50", "mm"), to_measure_words("1.2 %", "mm")
    ('25, 50 mm', '1.2 %')
    """
    if isinstance(value, str):
        # Text says its unit itself, unless it is a bare list of numbers.
        bare = value and all(part.replace(".", "", 1).isdigit() for part in value.split(", "))
        return f"{value} {to_unit_words(unit)}".strip() if bare else value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if unit == "fraction":
        return f"{100 * value:.3g} %"
    if abs(value) >= LARGE_COUNT:
        return to_dose_words(value, unit)
    text = f"{round(value, 1) + 0.0:g}" if abs(value) >= 10 else f"{value:.3g}"
    return f"{text} {to_unit_words(unit)}".replace("-", "−").replace(" °", "°").strip()


def to_tilt_words(angle_deg: float) -> str:
    """Say a cranio-caudal angle: positive is toward the head.

    Examples
    --------
    >>> to_tilt_words(5.0), to_tilt_words(-3.25), to_tilt_words(0.01)
    ('5.0° toward the head', '3.2° toward the feet', '0.0° (axial)')
    """
    size = f"{abs(angle_deg):.1f}"
    if float(size) == 0.0:
        return "0.0° (axial)"
    return f"{size}° toward the {'head' if angle_deg > 0 else 'feet'}"


def to_run_time_words(moment: datetime) -> str:
    """Return a moment to the minute with its zone."""
    zone = moment.strftime("%z")
    word = "UTC" if zone in {"+0000", ""} else f"UTC{zone[:3]}:{zone[3:]}"
    return f"{moment:%Y-%m-%d %H:%M} {word}"


def to_date_words(dicom_date: str) -> str:
    """Return ``20260102`` as ``2026-01-02``; anything else as it is, and a dash for nothing."""
    if len(dicom_date) == 8 and dicom_date.isdigit():
        return f"{dicom_date[:4]}-{dicom_date[4:6]}-{dicom_date[6:]}"
    return dicom_date or ABSENT


def to_short_id(plan_id: str) -> str:
    """Return the last characters of a plan id."""
    return plan_id[-PLAN_ID_CHARACTERS:]


def to_list_words(words: tuple[str, ...] | list[str]) -> str:
    """Join words: ``a, b and c``."""
    names = [word.replace("_", " ") for word in words]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def shorten(text: str, characters: int) -> str:
    """Cut long free text with an ellipsis and fold its white space, so that one name cannot break a table."""
    folded = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return folded if len(folded) <= characters else folded[: characters - 1].rstrip() + "…"
