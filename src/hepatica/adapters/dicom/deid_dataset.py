"""Take the identity out of one DICOM object, by the table of `hepatica.adapters.dicom.deid_policy`."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from hepatica.adapters.dicom.deid_policy import NUMBERS, Policy, read_meanings
from hepatica.workflows.scan_ports import Disguise

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Removed = Counter[tuple[str, str, str]]
"""How often something was done: tag, name of the attribute, action."""

_TIME: Final = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_DATE_TIME: Final = re.compile(r"(\d{8})(\d{0,6}(\.\d{1,6})?)([+-]\d{4})?")
_AGE: Final = re.compile(r"\d{3}[DWMY]")
_UID: Final = re.compile(r"[0-9.]{1,64}")
_CODE_PARTS: Final = frozenset(
    {"CodeValue", "LongCodeValue", "URNCodeValue", "CodeMeaning", "CodingSchemeDesignator"}
)
_TRACKING_IDENTIFIER: Final = ("112039", "DCM")
"""Name of a finding over time in TID 1411; free text that has to agree with the segmentation's Tracking ID."""
_DEPTH_MAX: Final = 60
"""Deepest nesting that is entered; reports of scanners reach about a dozen."""
OLDEST_AGE_YEARS: Final = 90


@dataclass(slots=True)
class Cleaning:
    """The cleaning of one series.

    Parameters
    ----------
    policy, disguise
        What to do, and under which pseudonyms.
    counts
        What was done so far.
    uids
        Original by new UID.
    needles
        Names and numbers of the object under work, in small letters; no kept text may hold one.
    """

    policy: Policy
    disguise: Disguise
    counts: Removed = field(default_factory=Counter)
    uids: dict[str, str] = field(default_factory=dict)
    needles: frozenset[str] = frozenset()

    def clean(self, dataset: Dataset, *, depth: int = 0) -> Dataset:
        """Return a new dataset with only what the table keeps.

        Parameters
        ----------
        dataset
            As read; parsed element by element.
        depth
            How deep it is nested.
        """
        from pydicom.dataset import Dataset

        cleaned = Dataset()
        for tag in sorted(dataset.keys()):
            if tag.group == 0x0002 or tag.element == 0:
                continue
            try:
                element = dataset[tag]
            except Exception:  # noqa: BLE001  an element nobody can parse is removed like an unknown one
                self._count(tag, "remove")
                continue
            if depth and element.keyword in _CODE_PARTS | {"SpecificCharacterSet"}:
                continue
            self._treat(element, cleaned, depth=depth)
        return cleaned

    def names_somebody(self, text: str) -> bool:
        """Return whether a text holds a name or number of the object under work.

        Parameters
        ----------
        text
            A value that would stay.
        """
        small = text.lower()
        return any(needle in small and _stands_alone(needle, small) for needle in self.needles)

    def _treat(self, element: Any, cleaned: Dataset, *, depth: int) -> None:
        action = self.policy.find_action(element.tag, element.VR)
        if action in ("items", "content"):
            done = self._clean_items(element, cleaned, depth=depth)
        elif action == "empty":
            done = "empty" if element.VM else "keep"
            cleaned.add_new(element.tag, element.VR, None if element.VR != "SQ" else [])
        elif action == "remove":
            done = "remove"
        else:
            done = self._put_value(element, cleaned, action)
        if done != "keep":
            self._count(element.tag, done)

    def _clean_items(self, element: Any, cleaned: Dataset, *, depth: int) -> str:
        if depth >= _DEPTH_MAX:
            return "remove"
        kept = []
        for item in element.value:
            if str(item.get("ValueType", "")) == "PNAME":
                self._count(element.tag, "item of a person removed")
                continue
            new = self.clean(item, depth=depth + 1)
            if _CODE_PARTS & set(item.dir()) and not self._put_code(item, new):
                self._count(element.tag, "item with an unlisted code removed")
                continue
            if "ConceptNameCodeSequence" in item and "ConceptNameCodeSequence" not in new:
                self._count(element.tag, "item with an unlisted code removed")
                continue
            if self._is_tracking(item):
                new.TextValue = self.disguise.pseudonyms.to_token(str(item.get("TextValue", "")))
            kept.append(new)
        if not kept and len(element.value):
            return "remove"
        cleaned.add_new(element.tag, "SQ", kept)
        return "keep"

    def _put_code(self, item: Dataset, new: Dataset) -> bool:
        scheme, value = str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeValue", ""))
        form = self.policy.schemes.get(scheme)
        if form is None or not form.fullmatch(value):
            return False
        new.CodeValue, new.CodingSchemeDesignator = value, scheme
        new.CodeMeaning = read_meanings().get((scheme, value), value)[:64]
        return True

    @staticmethod
    def _is_tracking(item: Dataset) -> bool:
        names = item.get("ConceptNameCodeSequence") or []
        return any(
            (str(name.get("CodeValue", "")), str(name.get("CodingSchemeDesignator", "")))
            == _TRACKING_IDENTIFIER
            for name in names
        )

    def _put_value(self, element: Any, cleaned: Dataset, action: str) -> str:
        values = [value for value in _to_list(element) if value not in (None, "")]
        if not values:
            cleaned.add_new(element.tag, element.VR, None)
            return "keep"
        if action == "keep" and element.VR not in NUMBERS | {"TM"}:
            cleaned.add_new(element.tag, element.VR, element.value)
            return "keep"
        made = [self._make_value(value, element.VR, action) for value in values]
        if any(value is None for value in made):
            # A kept attribute in another form than its own is removed, also one value of several.
            return "remove"
        cleaned.add_new(element.tag, element.VR, made if len(made) > 1 else made[0])
        unchanged = action in ("keep", "code") or [str(value) for value in values] == [str(v) for v in made]
        return "keep" if unchanged else action.split("=")[0] or "replaced"

    def _make_value(self, value: Any, vr: str, action: str) -> Any:
        names = self.disguise.pseudonyms
        match action:
            case "keep":
                if vr == "TM":
                    return str(value) if _TIME.fullmatch(str(value)) else None
                return value if isinstance(value, (int, float, bytes)) else None
            case "code":
                return (
                    str(value)
                    if str(value) in self.policy.terms and not self.names_somebody(str(value))
                    else None
                )
            case "word":
                known = self.policy.knows_word(str(value)) and not self.names_somebody(str(value))
                return str(value) if known and len(str(value)) <= 16 else names.to_token(str(value))
            case "text":
                words = self.policy.clean_words(str(value)).split(" ")
                return " ".join(word for word in words if not self.names_somebody(word)) or "removed"
            case "token":
                return names.to_token(str(value))
            case "uid":
                return self._map_uid(str(value))
            case "date":
                return shift_date(str(value), days=self.disguise.offset_days)
            case "age":
                return _limit_age(str(value))
            case "subject":
                return self.disguise.subject_id
            case _:
                return action.removeprefix("=")

    def _map_uid(self, uid: str) -> str | None:
        from pydicom.uid import UID

        if not _UID.fullmatch(uid):
            return None
        new = self.disguise.pseudonyms.to_uid(uid)
        if new == uid:
            # Under the standard's root, but none of its own.
            if UID(uid).name != uid:
                return uid
            new = self.disguise.pseudonyms.to_uid(f"unlisted {uid}")
        self.uids[new] = uid
        return new

    def _count(self, tag: Any, action: str) -> None:
        from pydicom.datadict import dictionary_description

        try:
            name = "private" if tag.is_private else dictionary_description(tag)
        except KeyError:
            name = "unknown"
        # The element number of a private or unknown attribute may be chosen by anybody.
        shown = f"({tag.group:04X},{tag.element:04X})" if name not in ("private", "unknown") else "-"
        self.counts[shown, name, action] += 1


def _stands_alone(needle: str, text: str) -> bool:
    return re.search(rf"(?<![a-z0-9.]){re.escape(needle)}(?![a-z0-9.])", text) is not None


def shift_date(text: str, *, days: int) -> str | None:
    """Return a DICOM date or date with time moved by whole days; None where it is none.

    Parameters
    ----------
    text
        ``YYYYMMDD`` or ``YYYYMMDDHHMMSS.FFFFFF``, possibly with an offset from UTC, which is dropped.
    days
        How far.

    Examples
    --------
    >>> shift_date("20260301", days=-1), shift_date("20260301101112.5+0100", days=-365)
    ('20260228', '20250301101112.5')
    >>> shift_date("last spring", days=1) is None
    True
    """
    found = _DATE_TIME.fullmatch(text.strip())
    if found is None:
        return None
    try:
        moved = date.fromisoformat(found[1]) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return moved.strftime("%Y%m%d") + found[2]


def _limit_age(text: str) -> str | None:
    if not _AGE.fullmatch(text):
        return None
    is_oldest = text.endswith("Y") and int(text[:3]) >= OLDEST_AGE_YEARS
    return f"{OLDEST_AGE_YEARS:03d}Y" if is_oldest else text


def _to_list(element: Any) -> list[Any]:
    value = element.value
    if value is None:
        return []
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        return [value]
    if type(value).__name__ == "PersonName":
        return [str(value)]
    return list(value)
