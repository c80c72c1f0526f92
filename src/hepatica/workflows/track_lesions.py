"""Follow every lesion from a baseline scan to a follow-up: register, match, let a reader confirm, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hepatica.core.errors import InputError, OutputExistsError
from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.geometry import Grid
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import Manifest, digest_bytes
from hepatica.imaging.scan_registration import ScanRegistration, register_scans
from hepatica.lesions.matching.decisions import Decision, LinkStatus, Settlement, apply_decisions
from hepatica.lesions.matching.identity import LesionIdentity, derive_first_identities, derive_next_identities
from hepatica.lesions.matching.match import TABLES, LesionLink, LinkKind, match_lesions
from hepatica.lesions.matching.reappearance import GoneLesion, derive_gone, propose_reappearances
from hepatica.workflows.input_roles import name_input
from hepatica.workflows.ports import ReadImage
from hepatica.workflows.read_visit import TrackedVisit, read_visit
from hepatica.workflows.track_documents import (
    MATCH_COLUMNS,
    derive_proposals_digest,
    read_decisions,
    read_earlier_identities,
    read_earlier_visit,
    to_match_rows,
    to_proposals_document,
    to_track_document,
)
from hepatica.workflows.track_request import TrackPorts, TrackRequest
from hepatica.workflows.track_tables import (
    LESION_COLUMNS,
    RESULT_COLUMNS,
    choose_roles,
    to_lesion_rows,
    to_result_rows,
)
from hepatica.workflows.tracked import Tracked

UNKNOWN_PHASE = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackOutcome:
    """What a run gave."""

    tracked: Tracked
    document: Mapping[str, Any]
    folder: Path
    files: tuple[str, ...]


def track_lesions(
    request: TrackRequest,
    *,
    ports: TrackPorts,
    out: Path,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> TrackOutcome:
    """Track the lesions of one follow-up and write the result.

    Parameters
    ----------
    request
        What to track.
    ports
        The world.
    out
        Folder to make; everything appears in it together, or nothing does.
    overwrite
        Replace an earlier result in ``out``.
    progress
        Told of stages; may cancel.

    Raises
    ------
    OutputExistsError
        If ``out`` is, holds or lies in an input.
    HepaticaError
        With a stable code for everything that cannot be used as given.
    """
    _require_apart(request, out)
    request = _follow_on(request, ports=ports)
    if request.followup_visit <= request.baseline_visit:
        raise InputError(
            expected="a follow-up visit number above that of the baseline",
            given=f"{request.followup_visit} after {request.baseline_visit}",
            where="--visit-number",
        )
    run_time = ports.base.clock.now()
    with ports.base.stage_output(out, overwrite=overwrite) as stage:
        visits = _read_visits(request, ports=ports, progress=progress)
        tracked = _track(request, *visits, ports=ports, run_time=run_time, progress=progress)
        document = to_track_document(tracked)
        progress.stage("Writing the result")
        ports.base.write_document(stage / "track.json", document)
        ports.base.write_document(stage / "proposals.json", to_proposals_document(tracked))
        ports.write_table(stage / "matches.csv", MATCH_COLUMNS, to_match_rows(tracked))
        ports.write_table(stage / "tu.csv", LESION_COLUMNS, to_lesion_rows(tracked))
        ports.write_table(stage / "tr.csv", RESULT_COLUMNS, to_result_rows(tracked))
        files = ["track.json", "proposals.json", "matches.csv", "tu.csv", "tr.csv"]
        files += ports.write_report(tracked, stage, progress=progress)
        outputs = {name: digest_bytes((stage / name).read_bytes()) for name in files}
        ports.base.write_document(
            stage / "manifest.json", replace(tracked.manifest, outputs=outputs).to_dict()
        )
    return TrackOutcome(tracked=tracked, document=document, folder=out, files=(*files, "manifest.json"))


def _follow_on(request: TrackRequest, *, ports: TrackPorts) -> TrackRequest:
    """Return the request with the visit number that the baseline had when it was the follow-up."""
    if not request.follows_tracking or request.earlier is None:
        return request
    with name_input("baseline plan"):
        visit = read_earlier_visit(request.earlier, read_bytes=ports.base.read_bytes)
    return replace(request, baseline_visit=visit)


def _require_apart(request: TrackRequest, out: Path) -> None:
    target = out.resolve()
    for role, source in request.sources.items():
        path = Path(source).resolve()
        if path == target or target in path.parents or (path.is_dir() and path in target.parents):
            raise OutputExistsError(
                expected="an output folder apart from every input",
                given=f"a folder that is, holds or lies in the input '{role}'",
                where=str(out),
                action="choose another --out",
            )


def _read_visits(
    request: TrackRequest, *, ports: TrackPorts, progress: Progress
) -> tuple[TrackedVisit, TrackedVisit]:
    sides = (
        ("baseline", request.baseline, request.baseline_series, request.baseline_labels),
        ("followup", request.followup, request.followup_series, request.followup_labels),
    )
    visits = []
    for role, path, series, labels in sides:
        progress.stage(f"Reading the {role}")
        with name_input(role):
            image = ports.base.image_reader.read_image(path, series=series, resample=False, progress=progress)
        visits.append(
            read_visit(
                role,
                image,
                labels,
                # After a complete response nothing is left to draw, and what comes back has to be found all the same.
                needs_lesion=role == "baseline" and not request.follows_tracking,
                ports=ports.base,
                progress=progress,
            )
        )
    return visits[0], visits[1]


def _track(
    request: TrackRequest,
    baseline: TrackedVisit,
    followup: TrackedVisit,
    *,
    ports: TrackPorts,
    run_time: Any,
    progress: Progress,
) -> Tracked:
    digests = {**baseline.digests, **followup.digests}
    before, gone = _identify(request, baseline, ports=ports, digests=digests)
    same_phase, phases = judge_phases(baseline.image, followup.image, stated=request.same_phase)
    registration = register_scans(baseline.side, followup.side, same_phase=same_phase, progress=progress)
    progress.stage("Matching lesions")
    table = read_evidence_table(TABLES, "tracking.toml")
    proposals = _propose(baseline, followup, gone, registration=registration, table=table)
    decisions, reader = _read_decisions(request, proposals, ports=ports, digests=digests)
    settlement = apply_decisions(
        proposals, decisions, reader=reader, gone_ids=[one.lesion_id for one in gone]
    )
    known = {**before, **{one.lesion_id: one.identity for one in gone}}
    left = derive_gone(
        settlement, known, baseline.to_match, gone, visit=request.baseline_visit,
        scan_map=registration.scan_map, uncertainty_mm=registration.uncertainty_mm,
    )  # fmt: skip
    unseen = _find_unseen(baseline, followup, registration, gone=left)
    return Tracked(
        request=request,
        baseline=baseline,
        followup=followup,
        registration=registration,
        settlement=settlement,
        before=known,
        after=derive_next_identities(settlement, known=known, scan_digest=followup.scan_digest),
        gone=left,
        still_gone_ids=frozenset(one.lesion_id for one in gone) & {one.lesion_id for one in left},
        unseen_baseline_ids=unseen[0],
        unseen_followup_ids=unseen[1],
        findings=(
            *baseline.findings,
            *followup.findings,
            phases,
            *_tell_carried(request, before),
            *_tell_registration(registration),
            *_tell_links(settlement, unseen),
            *_tell_reappeared(settlement, gone),
        ),
        manifest=Manifest(
            command="track",
            run_time=run_time,
            code_version=ports.base.code_version,
            inputs=digests,
            sources=request.sources,
            parameters={**request.parameters, "reader": reader},
            tables={table.name: table.digest},
            libraries=ports.base.libraries,
        ),
    )


def _propose(
    baseline: TrackedVisit,
    followup: TrackedVisit,
    gone: Sequence[GoneLesion],
    *,
    registration: ScanRegistration,
    table: EvidenceTable,
) -> tuple[LesionLink, ...]:
    scan_map, uncertainty_mm = registration.scan_map, registration.uncertainty_mm
    links = match_lesions(
        baseline.to_match, followup.to_match, scan_map=scan_map, uncertainty_mm=uncertainty_mm, table=table
    )
    return propose_reappearances(
        links, gone, followup.to_match, scan_map=scan_map, uncertainty_mm=uncertainty_mm, table=table
    )


def _identify(
    request: TrackRequest, baseline: TrackedVisit, *, ports: TrackPorts, digests: dict[str, str]
) -> tuple[dict[str, LesionIdentity], tuple[GoneLesion, ...]]:
    """Return who the baseline's lesions are, first seen there or carried on, and who was gone by then."""
    if request.earlier is None:
        names = [lesion.lesion_id for lesion in baseline.lesions]
        return choose_roles(baseline, derive_first_identities(names, scan_digest=baseline.scan_digest)), ()
    with name_input("baseline plan"):
        carried, gone = read_earlier_identities(
            request.earlier, visit=baseline, read_bytes=ports.base.read_bytes, digests=digests
        )
    return choose_roles(baseline, carried), gone


def _read_decisions(
    request: TrackRequest, proposals: Sequence[LesionLink], *, ports: TrackPorts, digests: dict[str, str]
) -> tuple[tuple[Decision, ...], str]:
    if request.confirm is None:
        return (), ""
    with name_input("decisions"):
        raw = ports.base.read_bytes(request.confirm)
        digests["decisions"] = digest_bytes(raw)
        return read_decisions(raw, digest=derive_proposals_digest(proposals), reader=request.reader)


def judge_phases(baseline: ReadImage, followup: ReadImage, *, stated: bool) -> tuple[bool | None, Finding]:
    """Say whether two scans are of one contrast phase: stated by a person, or named alike by both headers.

    Parameters
    ----------
    baseline, followup
        The scans.
    stated
        A person says so.
    """
    words = [image.facts.phase_hint.split(" (")[0].strip() for image in (baseline, followup)]
    said = f"baseline: {words[0]}, follow-up: {words[1]}"
    if stated:
        return True, _inform(f"A person stated that both scans are of one contrast phase ({said}).")
    if UNKNOWN_PHASE in words or not all(words):
        return None, _inform(f"The contrast phase is not known for both scans ({said}); images were not compared "
                             "value by value.")  # fmt: skip
    if words[0] == words[1]:
        return True, _inform(f"Both headers name one contrast phase ({words[0]}).")
    return False, Finding(
        rule="track.phases_differ",
        severity=Severity.WARNING,
        message=f"The scans are of different contrast phases ({said}): sizes are not comparable.",
    )


def _inform(message: str) -> Finding:
    return Finding(rule="track.phases", severity=Severity.INFO, message=message)


def _find_unseen(
    baseline: TrackedVisit,
    followup: TrackedVisit,
    registration: ScanRegistration,
    *,
    gone: Sequence[GoneLesion],
) -> tuple[frozenset[str], frozenset[str]]:
    there, back = registration.scan_map.to_moving, registration.scan_map.to_fixed
    found = []
    for visit, other, move in ((baseline, followup, there), (followup, baseline, back)):
        grid = other.image.volume.grid
        names = []
        for lesion in visit.lesions:
            if _is_outside(move(lesion.mask.centroid_lps_mm[None]), grid):
                names.append(lesion.lesion_id)
        found.append(frozenset(names))
    grid = followup.image.volume.grid
    away = {one.lesion_id for one in gone if _is_outside(one.centre_lps_mm[None], grid)}
    return found[0] | away, found[1]


def _is_outside(place_lps_mm: Any, grid: Grid) -> bool:
    index = grid.to_index(place_lps_mm)[0]
    return bool(((index < -0.5) | (index > [n - 0.5 for n in grid.shape])).any())


def _tell_carried(request: TrackRequest, before: Mapping[str, LesionIdentity]) -> list[Finding]:
    if not request.follows_tracking:
        return []
    return [
        _warn(
            "track.earlier_not_confirmed",
            f"Nobody confirmed that it is {who.name} of the earlier visit.",
            name,
        )
        for name, who in before.items()
        if who.status is LinkStatus.PROPOSED
    ]


def _tell_registration(registration: ScanRegistration) -> list[Finding]:
    residual = registration.residual_mm
    if isinstance(residual, NotEvaluable):
        return [
            Finding(
                rule="track.registration_unjudged",
                severity=Severity.WARNING,
                message=f"The registration could not be judged: {residual.reason}.",
            )
        ]
    return [
        Finding(
            rule="track.registration",
            severity=Severity.INFO if residual < registration.uncertainty_mm + 2.0 else Severity.WARNING,
            message=f"The {registration.chosen} stage was used: {registration.reason}.",
            measured=round(residual, 2),
            unit="mm",
        )
    ]


def _tell_reappeared(settlement: Settlement, gone: Sequence[GoneLesion]) -> list[Finding]:
    seen = {one.lesion_id: one for one in gone}
    return [
        _warn(
            "track.reappeared",
            f"It lies where {seen[link.baseline_ids[0]].identity.name} was last seen (visit "
            f"{seen[link.baseline_ids[0]].last_visit}) and is proposed as the same lesion, come back. A new lesion at "
            "that place looks no different: reject the link and add a new one where it is.",
            link.followup_ids[0],
        )
        for link in settlement.links
        if link.kind is LinkKind.REAPPEARED and not link.reader
    ]


def _tell_links(settlement: Settlement, unseen: tuple[frozenset[str], frozenset[str]]) -> list[Finding]:
    findings = []
    for link in settlement.links:
        name = " + ".join(link.baseline_ids or link.followup_ids)
        if link.proposal is not None and link.proposal.ambiguous and not link.reader:
            findings.append(
                _warn("track.ambiguous", f"Another explanation comes close: {link.proposal.other}.", name)
            )
        if link.kind is LinkKind.VANISHED and link.baseline_ids[0] in unseen[0]:
            findings.append(
                _warn(
                    "track.not_imaged",
                    "Its place lies outside the follow-up scan: not imaged, not gone.",
                    name,
                )
            )
        if link.kind is LinkKind.NEW and link.followup_ids[0] in unseen[1]:
            findings.append(
                _warn(
                    "track.not_imaged_before",
                    "Its place lies outside the baseline scan; it counts as new.",
                    name,
                )
            )
    findings += [
        _warn("track.open", "Its link was rejected and no other explains it.", name)
        for name in (*settlement.open_baseline_ids, *settlement.open_followup_ids)
    ]
    return findings


def _warn(rule: str, message: str, subject: str) -> Finding:
    return Finding(rule=rule, severity=Severity.WARNING, message=message, subject=subject)
