"""Locked reads of the record as rows of SDTM: TU and TR of the read that holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hepatica.core.findings import Severity
from hepatica.record.item import Item
from hepatica.workflows.derive_response import RowFinding
from hepatica.workflows.record_rows import Row, Subject, number_rows, read_text

EVALUATOR: Final = "INDEPENDENT ASSESSOR"
TU_COLUMNS: Final = (
    "STUDYID", "DOMAIN", "USUBJID", "TUSEQ", "TULNKID", "TUTESTCD", "TUTEST", "TUORRES", "TUSTRESC", "TULOC",
    "TUEVAL", "VISITNUM", "VISIT", "TUDTC",
)  # fmt: skip
TR_COLUMNS: Final = (
    "STUDYID", "DOMAIN", "USUBJID", "TRSEQ", "TRLNKID", "TRTESTCD", "TRTEST", "TRORRES", "TRORRESU", "TRSTRESC",
    "TRSTRESN", "TRSTRESU", "TRSTAT", "TRREASND", "TREVAL", "VISITNUM", "VISIT", "TRDTC",
)  # fmt: skip
SIZES: Final = (
    ("LDIAM", "Longest Diameter", "longest_diameter_mm"),
    ("LPERP", "Longest Perpendicular", "short_axis_mm"),
)
NOT_EVALUABLE: Final = "NOT EVALUABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What readers left of one patient.

    Parameters
    ----------
    reads, measurements, lesions, scans
        The patient's items.
    """

    reads: Sequence[Item]
    measurements: Sequence[Item]
    lesions: Mapping[str, Item]
    scans: Mapping[str, Item]


def find_holding_read(reads: Sequence[Item], *, criterion: str) -> tuple[Item | None, tuple[RowFinding, ...]]:
    """Return the read that counts: the adjudicator's choice, else the one that is locked.

    Parameters
    ----------
    reads
        Of one patient.
    criterion
        Whose reads.

    Returns
    -------
    read, findings
        None where none is locked. Of two locked reads that nobody decided between, the first reader's, with a finding.
    """
    own = [read for read in reads if read.values["criterion"] == criterion]
    locked = {read.item_id: read for read in own if read.values["state"] == "locked"}
    decided = sorted(
        (read for read in locked.values() if read.values["role"] == "adjudicator"), key=lambda r: r.item_id
    )
    for decision in reversed(decided):
        chosen = locked.get(read_text(decision, "chosen_read_id"))
        if chosen is not None:
            return chosen, ()
    single = sorted(
        (read for read in locked.values() if read.values["role"] != "adjudicator"),
        key=lambda read: (str(read.values["role"]), read.item_id),
    )
    if not single:
        open_ones = bool(own)
        word = "No read is locked yet" if open_ones else "There is no read"
        return None, (_say("read", f"{word} of a patient: the response is missing.", Severity.WARNING),)
    if len(single) > 1:
        message = "Two reads are locked and nobody decided between them: the first reader's is used."
        return single[0], (_say("read", message, Severity.WARNING, item=single[0]),)
    return single[0], ()


def to_tumour_rows(
    subject: Subject, read: Item, marks: Marks, *, names: Mapping[str, str]
) -> tuple[list[Row], list[Row], list[RowFinding]]:
    """Return rows of TU and TR, and findings about measurements that cannot be placed.

    Parameters
    ----------
    subject
        The patient.
    read
        From `find_holding_read`.
    marks
        What readers left.
    names
        TULNKID of each lesion.
    """
    lesions: list[Row] = []
    results: list[Row] = []
    findings: list[RowFinding] = []
    named: set[str] = set()
    placed = []
    for mark in marks.measurements:
        if mark.values["read_id"] != read.item_id:
            continue
        scan = _find_scan(mark, read, marks)
        lesion_id = read_text(mark, "lesion_id")
        if scan is None or lesion_id not in names:
            message = (
                "The measurement names no scan of its read, or a lesion that is not there: it is left out."
            )
            findings.append(_say("measurement", message, Severity.ERROR, item=mark))
            continue
        placed.append((_find_visit(scan, read), read_text(scan, "acquired_date"), names[lesion_id], mark))
    for number, day, name, mark in sorted(placed, key=lambda one: (one[0], one[2], one[3].item_id)):
        when = {"VISITNUM": str(number), "VISIT": f"VISIT {number}"}
        role = read_text(mark, "lesion_role")
        if role and name not in named:
            named.add(name)
            place = read_text(marks.lesions[read_text(mark, "lesion_id")], "location").upper()
            lesions.append(
                {
                    **subject.head("TU"), "TULNKID": name, "TUTESTCD": "TUMIDENT", "TUTEST": "Tumor Identification",
                    "TUORRES": role, "TUSTRESC": role, "TULOC": place, "TUEVAL": EVALUATOR, **when, "TUDTC": day,
                }
            )  # fmt: skip
        head = {**subject.head("TR"), "TRLNKID": name, "TREVAL": EVALUATOR, **when, "TRDTC": day}
        results += ({**head, **cells} for cells in _to_results(mark))
    without = {name for _, _, name, _ in placed} - named
    if without:
        message = f"{len(without)} lesion(s) of a read have no role (target, non-target, new)."
        findings.append(_say("measurement", message, Severity.ERROR, item=read))
        results = [row for row in results if row["TRLNKID"] in named]
    return number_rows(lesions, "TUSEQ"), number_rows(results, "TRSEQ"), findings


def _to_results(mark: Item) -> Iterator[Row]:
    state = read_text(mark, "state")
    sizes = [(code, test, mark.values.get(field)) for code, test, field in SIZES]
    if state == NOT_EVALUABLE:
        yield {
            "TRTESTCD": "LDIAM",
            "TRTEST": "Longest Diameter",
            "TRSTAT": "NOT DONE",
            "TRREASND": NOT_EVALUABLE,
        }
        yield {"TRTESTCD": "TUMSTATE", "TRTEST": "Tumor State", "TRORRES": "NE", "TRSTRESC": "NE"}
        return
    if state == "ABSENT" and all(value is None for _, _, value in sizes):
        sizes = [("LDIAM", "Longest Diameter", 0.0)]
    for code, test, value in sizes:
        if isinstance(value, (int, float)):
            text = f"{value:.10g}"
            yield {
                "TRTESTCD": code, "TRTEST": test, "TRORRES": text, "TRORRESU": "mm", "TRSTRESC": text,
                "TRSTRESN": text, "TRSTRESU": "mm",
            }  # fmt: skip
    if state:
        yield {"TRTESTCD": "TUMSTATE", "TRTEST": "Tumor State", "TRORRES": state, "TRSTRESC": state}


def _find_scan(mark: Item, read: Item, marks: Marks) -> Item | None:
    listed = read.values["scan_ids"]
    known = [str(scan_id) for scan_id in listed] if isinstance(listed, list) else []
    wanted = read_text(mark, "scan_id") or (known[0] if len(known) == 1 else "")
    return marks.scans.get(wanted) if wanted in known else None


def _find_visit(scan: Item, read: Item) -> int:
    """Return the visit of a scan: its own number, else its place among the scans of the read."""
    number = scan.values.get("visit_number")
    listed = read.values["scan_ids"]
    place = listed.index(scan.item_id) + 1 if isinstance(listed, list) else 1
    return number if isinstance(number, int) else place


def _say(table: str, message: str, severity: Severity, *, item: Item | None = None) -> RowFinding:
    return RowFinding(
        rule="record.read",
        severity=severity,
        table=table,
        row=0,
        column="",
        message=message if item is None else f"{message} ({item.item_id})",
    )
