"""One name and one tracking UID for life: what follow-up lesions are called once links stand.

A matched lesion keeps its name and UID. A part of a split lesion gets a UID of its own and the name
``parent.1``, ``parent.2``; the merged lesion gets a UID of its own and the name ``first/second``; both record
their parents' UIDs, and the parents' UIDs are never given to anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hepatica.core.provenance import derive_uid
from hepatica.lesions.matching.decisions import LinkStatus, SettledLink, Settlement
from hepatica.lesions.matching.match import LinkKind

FRAGMENT_MARK = "."
MERGE_MARK = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionIdentity:
    """Who a lesion is, over all visits.

    Parameters
    ----------
    name
        Its name for the patient, as TULNKID.
    tracking_uid
        DICOM UID that follows it.
    parent_uids
        UIDs of the lesions it came from by splitting or merging.
    status
        Whether a reader confirmed the link that says so.
    kind
        That link; None at the first visit.
    role
        Word of TUSTRESC (``TARGET``, ``NON-TARGET``, ``NEW``); empty where nobody chose.
    """

    name: str
    tracking_uid: str
    parent_uids: tuple[str, ...] = ()
    status: LinkStatus = LinkStatus.PROPOSED
    kind: LinkKind | None = None
    role: str = ""


def derive_first_identities(lesion_ids: Sequence[str], *, scan_digest: str) -> dict[str, LesionIdentity]:
    """Return identities at a patient's first visit: UIDs follow from scan, labels and lesion id alone.

    Two runs with one baseline and different follow-ups therefore agree on every UID.

    Parameters
    ----------
    lesion_ids
        Names at that visit.
    scan_digest
        Digest of scan and labels.
    """
    return {
        name: LesionIdentity(name=name, tracking_uid=derive_uid(scan_digest, "lesion", name))
        for name in lesion_ids
    }


def derive_next_identities(
    settlement: Settlement, *, known: Mapping[str, LesionIdentity], scan_digest: str
) -> dict[str, LesionIdentity]:
    """Return who each lesion of the follow-up is; lesions that no link explains are left out.

    Parameters
    ----------
    settlement
        Links in force.
    known
        Identities at baseline, by baseline lesion id, and of lesions that were gone: their names are taken too.
    scan_digest
        Digest of the follow-up's scan and labels, for the UIDs of what was not there before.
    """
    used = {identity.name for identity in known.values()}
    found: dict[str, LesionIdentity] = {}
    for link in settlement.links:
        parents = [known[name] for name in link.baseline_ids]
        if link.kind in (LinkKind.MATCHED, LinkKind.REAPPEARED):
            found[link.followup_ids[0]] = _keep(parents[0], link)
        elif link.kind is LinkKind.SPLIT:
            for number, name in enumerate(link.followup_ids, start=1):
                found[name] = _derive(
                    f"{parents[0].name}{FRAGMENT_MARK}{number}", name, link, parents, scan_digest
                )
        elif link.kind is LinkKind.MERGED:
            joint = MERGE_MARK.join(sorted(parent.name for parent in parents))
            found[link.followup_ids[0]] = _derive(joint, link.followup_ids[0], link, parents, scan_digest)
        elif link.kind is LinkKind.NEW:
            name = _next_name(used)
            used.add(name)
            found[link.followup_ids[0]] = _derive(name, link.followup_ids[0], link, [], scan_digest)
    return found


def _keep(parent: LesionIdentity, link: SettledLink) -> LesionIdentity:
    return LesionIdentity(
        name=parent.name,
        tracking_uid=parent.tracking_uid,
        parent_uids=parent.parent_uids,
        status=link.status,
        kind=link.kind,
        role=parent.role,
    )


def _derive(
    name: str, lesion_id: str, link: SettledLink, parents: Sequence[LesionIdentity], scan_digest: str
) -> LesionIdentity:
    roles = [parent.role for parent in parents]
    return LesionIdentity(
        name=name,
        tracking_uid=derive_uid(scan_digest, link.kind.value, lesion_id),
        parent_uids=tuple(parent.tracking_uid for parent in parents),
        status=link.status,
        kind=link.kind,
        role="NEW" if not parents else next((r for r in ("TARGET", "NON-TARGET", "NEW") if r in roles), ""),
    )


def _next_name(used: set[str]) -> str:
    return next(name for name in (f"NEW{n:02d}" for n in range(1, 10_000)) if name not in used)
