"""Two scans of a patient that may be registered to each other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from hepatica.core.errors import ConflictError
from hepatica.record.item import Item
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext, RecordReader

KIND: Final = "registration"
MAP_FILE: Final = "map.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPair:
    """Two scans of a patient.

    Parameters
    ----------
    baseline, followup
        Items of kind ``scan``.
    """

    baseline: Item
    followup: Item

    @property
    def registration_id(self) -> str:
        """Identifier of their registration: one for a pair, however often it is registered."""
        return to_registration_id(
            self.baseline.patient_id, baseline_id=self.baseline.item_id, followup_id=self.followup.item_id
        )

    @property
    def request(self) -> dict[str, Any]:
        """What a job is asked for."""
        return {"baseline_scan_id": self.baseline.item_id, "followup_scan_id": self.followup.item_id}


def to_registration_id(patient_id: str, *, baseline_id: str, followup_id: str) -> str:
    """Return the identifier of the registration of two scans.

    Parameters
    ----------
    patient_id, baseline_id, followup_id
        Whose, and which.
    """
    return hashlib.sha256(f"{patient_id}\0{baseline_id}\0{followup_id}".encode()).hexdigest()[:16]


def find_pair(context: RecordContext, *, patient_id: str, baseline_id: str, followup_id: str) -> ScanPair:
    """Return two scans that a person may see, and that may be registered.

    Parameters
    ----------
    context
        Who asks; a blinded reader sees the scans that he was given.
    patient_id, baseline_id, followup_id
        Whose, and which.

    Raises
    ------
    NotFoundError
        If one is not there for him, or is another patient's.
    ConflictError
        If one waits for a decision.
    """
    for item_id in (baseline_id, followup_id):
        read_item(context, kind="scan", item_id=item_id)
    with context.store.reading() as reader:
        pair = find_usable_pair(reader, patient_id, baseline_id, followup_id)
    if pair is None:
        raise ConflictError(
            expected="two accepted scans of this patient",
            given="others",
            where="registration",
            action="look at the scans first",
        )
    return pair


def is_current(registration: Item | None, pair: ScanPair) -> bool:
    """Return whether a registration is of the bytes that the scans hold now.

    Parameters
    ----------
    registration
        The item, or None.
    pair
        The scans.
    """
    return registration is not None and (
        registration.values["baseline_digest"],
        registration.values["followup_digest"],
    ) == (pair.baseline.values["content_digest"], pair.followup.values["content_digest"])


def find_usable_pair(
    reader: RecordReader, patient_id: str, baseline_id: str, followup_id: str
) -> ScanPair | None:
    """Return two accepted scans of a patient, or None.

    Parameters
    ----------
    reader
        View of the record; what somebody may see is not asked here.
    patient_id, baseline_id, followup_id
        Whose, and which.
    """
    found = [reader.find_item("scan", item_id) for item_id in (baseline_id, followup_id)]
    first, second = found
    if first is None or second is None or baseline_id == followup_id:
        return None
    right = all(
        scan.patient_id == patient_id and scan.values["state"] == "accepted" for scan in (first, second)
    )
    return ScanPair(baseline=first, followup=second) if right else None
