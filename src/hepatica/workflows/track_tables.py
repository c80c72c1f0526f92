"""Rows of SDTM TU and TR from a tracking, as ``hepatica response derive`` reads them.

TULNKID and TRLNKID are the lesion's name for life. Two columns are not of the standard: ``TRACKUID``, the DICOM
tracking UID, and ``TRACKSTS``, PROPOSED or CONFIRMED. A lesion that vanished is 0 mm only once a reader confirmed
it; before that, and where its place was not imaged, it is NOT DONE. A new lesion nobody confirmed is EQUIVOCAL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hepatica.core.findings import NotEvaluable
from hepatica.followup.records import TrackedLesion
from hepatica.followup.selection import Room, choose_targets
from hepatica.followup.words import LesionRole
from hepatica.lesions.matching.decisions import LinkStatus
from hepatica.lesions.matching.identity import LesionIdentity
from hepatica.lesions.matching.match import LinkKind
from hepatica.lesions.matching.measured import MeasuredLesion
from hepatica.workflows.read_visit import TrackedVisit

if TYPE_CHECKING:
    from hepatica.workflows.tracked import Tracked

SITE: Final = "LIVER"
BASELINE: Final = "BASELINE"
FOLLOW_UP: Final = "FOLLOW-UP"
LESION_COLUMNS: Final = (
    "STUDYID", "DOMAIN", "USUBJID", "TUSEQ", "TULNKID", "TUTESTCD", "TUTEST", "TUORRES", "TUSTRESC", "TULOC",
    "TUMETHOD", "VISITNUM", "VISIT", "TUDTC", "TRACKUID", "TRACKSTS", "SIMULATED",
)  # fmt: skip
RESULT_COLUMNS: Final = (
    "STUDYID", "DOMAIN", "USUBJID", "TRSEQ", "TRLNKID", "TRTESTCD", "TRTEST", "TRORRES", "TRORRESU", "TRSTRESC",
    "TRSTRESN", "TRSTRESU", "TRSTAT", "TRREASND", "TRMETHOD", "VISITNUM", "VISIT", "TRDTC", "TRACKUID", "TRACKSTS",
    "SIMULATED",
)  # fmt: skip
TESTS: Final[Mapping[str, tuple[str, str]]] = {
    "LDIAM": ("Longest Diameter", "mm"),
    "LPERP": ("Longest Perpendicular", "mm"),
    "VOLUME": ("Volume", "mL"),
}


def choose_roles(visit: TrackedVisit, identities: Mapping[str, LesionIdentity]) -> dict[str, LesionIdentity]:
    """Give baseline lesions without a role theirs: targets by RECIST 1.1, largest first, the rest non-target.

    Parameters
    ----------
    visit
        The baseline.
    identities
        By lesion id; roles that are set stay.
    """
    open_ids = [lesion for lesion in visit.lesions if not identities[lesion.lesion_id].role]
    grid = visit.image.volume.grid
    choices = choose_targets(
        [TrackedLesion(lesion_id=one.lesion_id, role=LesionRole.TARGET, site=SITE) for one in open_ids],
        sizes_mm={one.lesion_id: one.longest_diameter.length_mm for one in open_ids},
        room=Room.of_recist(),
        slice_thickness_mm=float(grid.spacing_mm[grid.slice_axis]),
    )
    roles = {c.lesion_id: str(LesionRole.TARGET if c.chosen else LesionRole.NON_TARGET) for c in choices}
    return {key: replace(who, role=who.role or roles[key]) for key, who in identities.items()}


def to_lesion_rows(tracked: Tracked) -> list[dict[str, str]]:
    """Return the rows of TU: baseline roles (at a patient's first visit), new lesions, splits and merges."""
    rows: list[dict[str, str]] = []
    if not tracked.request.follows_tracking:
        for lesion in tracked.baseline.lesions:
            who = tracked.before[lesion.lesion_id]
            if who.role != LesionRole.NEW:
                rows.append(_to_lesion_row(tracked, who, "TUMIDENT", who.role, late=False))
    for lesion in tracked.followup.lesions:
        late = tracked.after.get(lesion.lesion_id)
        if late is None or late.kind in (LinkKind.MATCHED, LinkKind.REAPPEARED, None):
            continue
        test = {LinkKind.SPLIT: "TUSPLIT", LinkKind.MERGED: "TUMERGE"}.get(late.kind, "TUMIDENT")
        rows.append(_to_lesion_row(tracked, late, test, late.role, late=True))
    return [{**row, "TUSEQ": str(number)} for number, row in enumerate(rows, start=1)]


def _to_lesion_row(
    tracked: Tracked, who: LesionIdentity, test: str, role: str, *, late: bool
) -> dict[str, str]:
    names = {"TUMIDENT": "Tumor Identification", "TUSPLIT": "Tumor Split", "TUMERGE": "Tumor Merged"}
    return {
        **_to_common(tracked, who, late=late),
        "DOMAIN": "TU",
        "TULNKID": who.name,
        "TUTESTCD": test,
        "TUTEST": names[test],
        "TUORRES": role,
        "TUSTRESC": role,
        "TULOC": SITE,
        "TUMETHOD": "CT SCAN",
        "TUDTC": _find_date(tracked, late=late),
    }


def to_result_rows(tracked: Tracked) -> list[dict[str, str]]:
    """Return the rows of TR of both visits; of the follow-up alone where the baseline was tracked before."""
    rows: list[dict[str, str]] = []
    if not tracked.request.follows_tracking:
        for lesion in tracked.baseline.lesions:
            rows += _measure(tracked, tracked.before[lesion.lesion_id], lesion, late=False)
    for lesion in tracked.followup.lesions:
        who = tracked.after.get(lesion.lesion_id)
        if who is None:
            continue
        rows += _measure(tracked, who, lesion, late=True)
        if who.kind is LinkKind.NEW and who.status is LinkStatus.PROPOSED:
            rows.append(_to_result(tracked, who, "NEWLPROG", "EQUIVOCAL", late=True))
    rows += _tell_gone(tracked)
    return [{**row, "TRSEQ": str(number)} for number, row in enumerate(rows, start=1)]


def _measure(
    tracked: Tracked, who: LesionIdentity, lesion: MeasuredLesion, *, late: bool
) -> list[dict[str, str]]:
    short = lesion.short_axis
    sizes = {
        "LDIAM": lesion.longest_diameter.length_mm,
        "LPERP": None if isinstance(short, NotEvaluable) else short.length_mm,
        "VOLUME": lesion.volume_ml,
    }
    rows = [
        _to_result(tracked, who, test, f"{size:.4f}", late=late)
        for test, size in sizes.items()
        if size is not None
    ]
    rows.append(_to_result(tracked, who, "TUMSTATE", "PRESENT", late=late))
    return rows


def _tell_gone(tracked: Tracked) -> list[dict[str, str]]:
    rows = []
    for link in tracked.settlement.links:
        for name in link.baseline_ids:
            who = replace(tracked.before[name], status=link.status)
            if link.kind is LinkKind.MERGED:
                rows.append(_not_done(tracked, who, "TUMOR MERGED"))
            elif link.kind is LinkKind.VANISHED:
                rows += _tell_vanished(tracked, who, name)
    # A target is said to be gone at every visit: without a row it would count as not assessed.
    for name in sorted(tracked.still_gone_ids):
        rows += _tell_vanished(tracked, tracked.before[name], name)
    for name in tracked.settlement.open_baseline_ids:
        rows.append(_not_done(tracked, tracked.before[name], "NOT IDENTIFIED AT THE FOLLOW-UP"))
    return rows


def _tell_vanished(tracked: Tracked, who: LesionIdentity, name: str) -> list[dict[str, str]]:
    if name in tracked.unseen_baseline_ids:
        return [_not_done(tracked, who, "NOT IMAGED")]
    if who.status is LinkStatus.PROPOSED:
        return [_not_done(tracked, who, "DISAPPEARANCE NOT CONFIRMED BY A READER")]
    return [
        _to_result(tracked, who, "LDIAM", "0", late=True),
        _to_result(tracked, who, "VOLUME", "0", late=True),
        _to_result(tracked, who, "TUMSTATE", "ABSENT", late=True),
    ]


def _not_done(tracked: Tracked, who: LesionIdentity, reason: str) -> dict[str, str]:
    row = _to_result(tracked, who, "LDIAM", "", late=True)
    return {**row, "TRSTAT": "NOT DONE", "TRREASND": reason, "TRORRESU": "", "TRSTRESU": ""}


def _to_result(tracked: Tracked, who: LesionIdentity, test: str, value: str, *, late: bool) -> dict[str, str]:
    words = {"TUMSTATE": ("Tumor State", ""), "NEWLPROG": ("New Lesion Progression", "")}
    name, unit = TESTS.get(test) or words[test]
    return {
        **_to_common(tracked, who, late=late),
        "DOMAIN": "TR",
        "TRLNKID": who.name,
        "TRTESTCD": test,
        "TRTEST": name,
        "TRORRES": value,
        "TRORRESU": unit,
        "TRSTRESC": value,
        "TRSTRESN": value if unit else "",
        "TRSTRESU": unit,
        "TRSTAT": "",
        "TRREASND": "",
        "TRMETHOD": "CT SCAN",
        "TRDTC": _find_date(tracked, late=late),
    }


def _to_common(tracked: Tracked, who: LesionIdentity, *, late: bool) -> dict[str, str]:
    request = tracked.request
    return {
        "STUDYID": request.study,
        "USUBJID": request.subject,
        "VISITNUM": str(request.followup_visit if late else request.baseline_visit),
        "VISIT": FOLLOW_UP if late else BASELINE,
        "TRACKUID": who.tracking_uid,
        "TRACKSTS": who.status.value.upper() if late else LinkStatus.CONFIRMED.value.upper(),
        "SIMULATED": "SIMULATED" if request.simulated else "",
    }


def _find_date(tracked: Tracked, *, late: bool) -> str:
    text = (tracked.followup if late else tracked.baseline).image.facts.study_date
    if len(text) == 8 and text.isdigit():
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text
