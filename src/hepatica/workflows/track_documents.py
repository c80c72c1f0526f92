"""``track.json``, ``proposals.json`` and ``matches.csv``: written, and read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hepatica.core.errors import InputError, SourceFormatError
from hepatica.core.findings import NotEvaluable
from hepatica.core.provenance import digest_bytes, digest_json
from hepatica.lesions.matching.decisions import Decision, LinkStatus, SettledLink, Verdict, name_link
from hepatica.lesions.matching.evidence import PairEvidence
from hepatica.lesions.matching.identity import LesionIdentity
from hepatica.lesions.matching.match import LesionLink, LinkKind
from hepatica.lesions.matching.measured import MeasuredLesion
from hepatica.lesions.matching.reappearance import GoneLesion, to_gone_document
from hepatica.workflows.documents import to_object
from hepatica.workflows.prior_plan import from_plan_document
from hepatica.workflows.read_visit import TrackedVisit

if TYPE_CHECKING:
    from hepatica.workflows.tracked import Tracked

SCHEMA_VERSION: Final = "1.1"
NOTICE: Final = "Research use, not a medical device. Links are proposals until a reader confirms them."
SIMULATED: Final = "SIMULATED scans: made from a real one, not a patient's course."
SCORE: Final = (
    "1 / (1 + exp(-lead)): how much cheaper the best explanation of all lesions with this link is than the best "
    "without it, in nats. 0.5 is a tie. A rank under working weights, not a measured frequency."
)
SAME_PLACE_MM: Final = 1.0
"""The lesion of an earlier plan and the one labelled now on the same scan are one within a voxel."""
MATCH_COLUMNS: Final = (
    "link", "status", "kind", "baseline_lesion", "followup_lesion", "name", "tracking_uid", "parent_uids",
    "score", "ambiguous", "distance_mm", "contained_fraction", "baseline_ld_mm", "followup_ld_mm", "ld_change_percent",
    "baseline_volume_ml", "followup_volume_ml", "volume_change_percent", "reader", "reason", "simulated",
)  # fmt: skip


def to_track_document(tracked: Tracked) -> dict[str, Any]:
    """Return ``track.json``; see the schema ``track``."""
    registration, request = tracked.registration, tracked.request
    links = tracked.settlement.links
    confirmed = bool(links) and all(link.status is LinkStatus.CONFIRMED for link in links)
    whole = confirmed and not (tracked.settlement.open_baseline_ids or tracked.settlement.open_followup_ids)
    return {
        "schema_version": SCHEMA_VERSION,
        "document": "lesion tracking",
        "simulated": SIMULATED if request.simulated else False,
        "status": "confirmed" if whole else "proposed",
        "notice": NOTICE,
        "score_meaning": SCORE,
        "registration": {
            "chosen": registration.chosen,
            "reason": registration.reason,
            "residual_mm": _number(registration.residual_mm),
            "uncertainty_mm": _number(registration.uncertainty_mm),
            "smallest_jacobian_ratio": _number(registration.smallest_jacobian),
            "followup_from_baseline_lps": [
                [_number(v) for v in row] for row in registration.scan_map.moving_from_fixed.tolist()
            ],
            "deformed": registration.scan_map.field is not None,
            "stages": [
                {"name": stage.name, "residual_mm": _number(stage.residual_mm), "note": stage.note}
                for stage in registration.stages
            ],
        },
        "baseline": _to_visit(tracked.baseline, tracked.before, visit=request.baseline_visit),
        "followup": _to_visit(tracked.followup, tracked.after, visit=request.followup_visit),
        "links": [_to_link(link, tracked) for link in links],
        "gone": [to_gone_document(one) for one in tracked.gone],
        "rejected": [
            {"link": name_link(p.kind, p.baseline_ids, p.followup_ids), "reason": reason}
            for p, reason in tracked.settlement.rejected
        ],
        "open": {
            "baseline": list(tracked.settlement.open_baseline_ids),
            "followup": list(tracked.settlement.open_followup_ids),
        },
        "findings": [
            {
                "rule": f.rule,
                "severity": f.severity.value,
                "message": f.message,
                "measured": f.measured,
                "limit": f.limit,
                "unit": f.unit,
                "subject": f.subject,
            }
            for f in tracked.findings
        ],
        "unverified": "every weight of tracking.toml is a working default",
        "manifest": {
            "run_id": tracked.manifest.run_id,
            "run_time": tracked.manifest.run_time.isoformat(),
            "code_version": tracked.manifest.code_version,
            "inputs": dict(sorted(tracked.manifest.inputs.items())),
        },
    }


def _number(value: float | NotEvaluable) -> Any:
    if isinstance(value, NotEvaluable):
        return {"not_evaluable": value.reason}
    return round(float(value), 6) + 0.0


def _to_visit(read: TrackedVisit, identities: Mapping[str, LesionIdentity], *, visit: int) -> dict[str, Any]:
    return {
        "visit": visit,
        "scan_digest": read.scan_digest,
        "frame_of_reference": read.image.volume.grid.frame_of_reference,
        "slice_mm": _number(float(read.image.volume.grid.spacing_mm[read.image.volume.grid.slice_axis])),
        "phase_hint": read.image.facts.phase_hint,
        "lesions": [_to_lesion(lesion, identities.get(lesion.lesion_id)) for lesion in read.lesions],
    }


def _to_lesion(lesion: MeasuredLesion, identity: LesionIdentity | None) -> dict[str, Any]:
    short = lesion.short_axis
    found: dict[str, Any] = {
        "id": lesion.lesion_id,
        "label": lesion.label,
        "longest_diameter_mm": _number(lesion.longest_diameter.length_mm),
        "short_axis_mm": _number(short if isinstance(short, NotEvaluable) else short.length_mm),
        "volume_ml": _number(lesion.volume_ml),
        "volume_uncertainty_ml": _number(lesion.volume_uncertainty_ml),
        "slice_index": lesion.longest_diameter.slice_index,
        "centroid_lps_mm": [_number(v) for v in lesion.mask.centroid_lps_mm.tolist()],
    }
    if identity is None:
        return {**found, "name": None, "tracking_uid": None, "parent_uids": [], "status": "open", "role": ""}
    return {
        **found,
        "name": identity.name,
        "tracking_uid": identity.tracking_uid,
        "parent_uids": list(identity.parent_uids),
        "status": identity.status.value,
        "role": identity.role,
    }


def _to_link(link: SettledLink, tracked: Tracked) -> dict[str, Any]:
    proposal = link.proposal
    return {
        "kind": link.kind.value,
        "baseline": list(link.baseline_ids),
        "followup": list(link.followup_ids),
        "tracking_uids": [tracked.before[name].tracking_uid for name in link.baseline_ids],
        "status": link.status.value,
        "score": None if proposal is None else _number(proposal.score),
        "ambiguous": None if proposal is None else proposal.ambiguous,
        "other_explanation": "" if proposal is None else proposal.other,
        "evidence": None
        if proposal is None or proposal.evidence is None
        else _to_evidence(proposal.evidence),
        "not_imaged": link.kind is LinkKind.VANISHED
        and bool(set(link.baseline_ids) & tracked.unseen_baseline_ids),
        "reader": link.reader,
        "reason": link.reason,
    }


def _to_evidence(evidence: PairEvidence) -> dict[str, Any]:
    return {
        "distance_mm": _number(evidence.distance_mm),
        "spread_mm": _number(evidence.spread_mm),
        "contained_fraction": _number(evidence.contained_fraction),
        "gap_mm": _number(evidence.gap_mm),
        "volume_ratio": _number(evidence.volume_ratio),
        "cost": _number(evidence.cost),
    }


def derive_proposals_digest(links: Sequence[LesionLink]) -> str:
    """Return a digest of what was proposed, so that decisions on other proposals are refused."""
    return digest_json([[link.kind.value, link.baseline_ids, link.followup_ids] for link in links])


def to_proposals_document(tracked: Tracked) -> dict[str, Any]:
    """Return ``proposals.json``: what a reader fills in and gives back with ``--confirm``."""
    settlement = tracked.settlement
    proposals = [link.proposal for link in settlement.links if link.proposal is not None]
    proposals += [proposal for proposal, _ in settlement.rejected]
    proposals.sort(key=lambda p: (not p.baseline_ids, p.baseline_ids, p.followup_ids))
    return {
        "schema_version": SCHEMA_VERSION,
        "document": "lesion tracking decisions",
        "simulated": SIMULATED if tracked.request.simulated else False,
        "proposals_digest": derive_proposals_digest(proposals),
        "reader": "",
        "reason": "",
        "how": "Set decision to accept or reject; add an entry with decision 'add' for another link. A reason is "
        "needed, here for all or in an entry. Entries without a decision stay proposed.",
        "score_meaning": SCORE,
        "decisions": [
            {
                "kind": p.kind.value,
                "baseline": list(p.baseline_ids),
                "followup": list(p.followup_ids),
                "score": _number(p.score),
                "ambiguous": p.ambiguous,
                "other_explanation": p.other,
                "decision": "",
                "reason": "",
            }
            for p in proposals
        ],
    }


def read_decisions(raw: bytes, *, digest: str, reader: str) -> tuple[tuple[Decision, ...], str]:
    """Read a reader's decisions.

    Parameters
    ----------
    raw
        Content of the file.
    digest
        Of the present proposals.
    reader
        From the command line; wins over the name in the file.

    Raises
    ------
    SourceFormatError
        If it is no such file.
    InputError
        If it was made for other proposals.
    """
    document = to_object(raw, where="decisions", error=SourceFormatError)
    entries = document.get("decisions")
    if not isinstance(entries, list):
        raise _refuse("a list 'decisions'", "none")
    if document.get("proposals_digest") != digest:
        raise InputError(
            expected="decisions on these proposals",
            given="decisions on others: scans, labels or the program have changed since",
            where="decisions",
            action="take the new proposals.json and decide again",
        )
    general = document.get("reason", "")
    found = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise _refuse("an object for each decision", f"another type at number {number + 1}")
        if entry.get("decision", "") == "":
            continue
        found.append(
            _read_decision(entry, number=number, general=general if isinstance(general, str) else "")
        )
    name = reader or document.get("reader", "")
    return tuple(found), name if isinstance(name, str) else ""


def _read_decision(entry: dict[str, Any], *, number: int, general: str) -> Decision:
    try:
        verdict, kind = Verdict(entry["decision"]), LinkKind(entry["kind"])
        ids = [entry["baseline"], entry["followup"]]
    except (KeyError, ValueError, TypeError) as error:
        raise _refuse(
            f"decision one of {', '.join(Verdict)}, kind one of {', '.join(LinkKind)}, baseline and followup",
            f"something else at number {number + 1}",
        ) from error
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in ids):
        raise _refuse("lists of lesion ids", f"something else at number {number + 1}")
    reason = entry.get("reason", "")
    return Decision(
        verdict=verdict,
        kind=kind,
        baseline_ids=tuple(sorted(ids[0])),
        followup_ids=tuple(sorted(ids[1])),
        reason=reason if isinstance(reason, str) and reason.strip() else general,
    )


def _refuse(expected: str, given: str) -> SourceFormatError:
    return SourceFormatError(
        expected=expected, given=given, where="decisions", action="fill in proposals.json as it is written"
    )


def read_earlier_identities(
    folder: Path, *, visit: TrackedVisit, read_bytes: Callable[[Path], bytes], digests: dict[str, str]
) -> tuple[dict[str, LesionIdentity], tuple[GoneLesion, ...]]:
    """Return who the baseline's lesions are, and who was gone, from the plan or the tracking of the same scan.

    Parameters
    ----------
    folder
        Folder with ``plan.json`` or ``track.json`` (whose follow-up this baseline is).
    visit
        The baseline as read now; every lesion must lie where one of the earlier document lies.
    read_bytes
        Reads a small file.
    digests
        Takes the digest of the document.

    Raises
    ------
    InputError
        If a lesion has no counterpart there, or its identity is still open.
    """
    gone: tuple[GoneLesion, ...] = ()
    file = folder / "track.json"
    if file.is_file():
        raw = read_bytes(file)
        document = to_object(raw, where="track.json", error=SourceFormatError)
        try:
            known = [
                (np.array(entry["centroid_lps_mm"], dtype=float), _read_identity(entry))
                for entry in document["followup"]["lesions"]
                if entry["tracking_uid"] is not None
            ]
            # A document of before 1.1 names nobody who is gone.
            gone = tuple(_read_gone(entry) for entry in document.get("gone", []))
        except (KeyError, TypeError, ValueError) as error:
            raise SourceFormatError(
                expected="a track.json", given="a document that is none", where="track.json"
            ) from error
    else:
        raw = read_bytes(folder / "plan.json")
        plan = from_plan_document(to_object(raw, where="plan.json", error=SourceFormatError))
        known = [
            (
                lesion.centroid_lps_mm,
                LesionIdentity(
                    name=lesion.lesion_id, tracking_uid=lesion.tracking_uid, status=LinkStatus.CONFIRMED
                ),
            )
            for lesion in plan.lesions
        ]
    digests["baseline plan"] = digest_bytes(raw)
    found = {}
    for lesion in visit.lesions:
        here = lesion.mask.centroid_lps_mm
        near = [who for at, who in known if float(np.linalg.norm(at - here)) <= SAME_PLACE_MM]
        if len(near) != 1:
            raise InputError(
                expected=f"lesion {lesion.lesion_id} in the earlier document, within {SAME_PLACE_MM:g} mm",
                given=f"{len(near)} there",
                where=lesion.lesion_id,
                action="give the document that was made from this scan and these labels",
            )
        found[lesion.lesion_id] = near[0]
    return found, gone


def read_earlier_visit(folder: Path, *, read_bytes: Callable[[Path], bytes]) -> int:
    """Return the visit number of the follow-up in an earlier ``track.json``.

    Raises
    ------
    SourceFormatError
        If it is no such document.
    """
    document = to_object(read_bytes(folder / "track.json"), where="track.json", error=SourceFormatError)
    try:
        return int(document["followup"]["visit"])
    except (KeyError, TypeError, ValueError) as error:
        raise SourceFormatError(
            expected="a track.json", given="a document that is none", where="track.json"
        ) from error


def _read_gone(entry: Mapping[str, Any]) -> GoneLesion:
    place = np.array(entry["centroid_lps_mm"], dtype=float)
    if place.shape != (3,) or not np.isfinite(place).all():
        raise ValueError
    return GoneLesion(
        identity=_read_identity(entry),
        centre_lps_mm=place,
        longest_diameter_mm=float(entry["longest_diameter_mm"]),
        uncertainty_mm=float(entry["uncertainty_mm"]),
        last_visit=int(entry["last_visit"]),
    )


def _read_identity(entry: Mapping[str, Any]) -> LesionIdentity:
    return LesionIdentity(
        name=str(entry["name"]),
        tracking_uid=str(entry["tracking_uid"]),
        parent_uids=tuple(str(uid) for uid in entry["parent_uids"]),
        status=LinkStatus(entry["status"]),
        role=str(entry["role"]),
    )


def to_match_rows(tracked: Tracked) -> list[dict[str, str]]:
    """Return ``matches.csv``: one row for each pair of lesions that a link joins, and for each lone lesion."""
    before = {lesion.lesion_id: lesion for lesion in tracked.baseline.lesions}
    after = {lesion.lesion_id: lesion for lesion in tracked.followup.lesions}
    rows = []
    for number, link in enumerate(tracked.settlement.links, start=1):
        for first in link.baseline_ids or ("",):
            for second in link.followup_ids or ("",):
                one_to_one = link.kind in (LinkKind.MATCHED, LinkKind.REAPPEARED)
                who = tracked.after[second] if second else tracked.before[first]
                early, late = before.get(first), after.get(second)
                rows.append(
                    {
                        "link": str(number),
                        "status": link.status.value,
                        "kind": link.kind.value,
                        "baseline_lesion": first,
                        "followup_lesion": second,
                        "name": who.name,
                        "tracking_uid": who.tracking_uid,
                        "parent_uids": " ".join(who.parent_uids),
                        **_to_proposal_cells(link),
                        **_to_size_cells(early, late, compare=one_to_one),
                        "reader": link.reader,
                        "reason": link.reason,
                        "simulated": "SIMULATED" if tracked.request.simulated else "",
                    }
                )
    return rows


def _to_proposal_cells(link: SettledLink) -> dict[str, str]:
    proposal = link.proposal
    evidence = None if proposal is None else proposal.evidence
    return {
        "score": "" if proposal is None else f"{proposal.score:.4f}",
        "ambiguous": "" if proposal is None else "Y" if proposal.ambiguous else "N",
        "distance_mm": "" if evidence is None else f"{evidence.distance_mm:.2f}",
        "contained_fraction": "" if evidence is None else f"{evidence.contained_fraction:.3f}",
    }


def _to_size_cells(
    early: MeasuredLesion | None, late: MeasuredLesion | None, *, compare: bool
) -> dict[str, str]:
    cells = {}
    for key, pick in (("ld", _pick_ld), ("volume", _pick_volume)):
        unit = "mm" if key == "ld" else "ml"
        sizes = [None if lesion is None else pick(lesion) for lesion in (early, late)]
        for side, size in zip(("baseline", "followup"), sizes, strict=True):
            cells[f"{side}_{key}_{unit}"] = "" if size is None else f"{size:.3f}"
        change = ""
        if compare and sizes[0] and sizes[1] is not None:
            change = f"{100 * (sizes[1] / sizes[0] - 1):.1f}"
        cells[f"{key}_change_percent"] = change
    return cells


def _pick_ld(lesion: MeasuredLesion) -> float:
    return lesion.longest_diameter.length_mm


def _pick_volume(lesion: MeasuredLesion) -> float:
    return lesion.volume_ml
