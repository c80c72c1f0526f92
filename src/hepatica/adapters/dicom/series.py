"""Which image series, acquisitions and other objects a tree of DICOM files holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from hepatica.adapters.dicom.headers import HeaderIndex, SliceRecord, read_dataset
from hepatica.adapters.dicom.phase_hint import derive_phase_hints
from hepatica.adapters.dicom.pixels import decode_stored
from hepatica.core.errors import HepaticaError
from hepatica.imaging.stack import GAP_RATIO, SAME_SLICE_TOLERANCE_MM
from hepatica.workflows.ports import FileEntry, FileTree, SeriesSummary

_NO_ENTRY: Final = FileEntry(name="", size_bytes=0)
IMAGE_MODALITIES: Final = ("CT", "MR", "PT")
_OBJECT_ROLES: Final = {
    "SEG": ("segmentation", "a DICOM SEG; give it with --labels"),
    "RTSTRUCT": ("contours", "an RTSTRUCT; give it with --labels"),
    "DOC": ("document", "an encapsulated document"),
    "SR": ("document", "a structured report"),
    "PR": ("document", "a presentation state"),
    "KO": ("document", "a key object selection"),
    "RWV": ("document", "a real world value map"),
}
_SCREEN_CAPTURES: Final = "1.2.840.10008.5.1.4.1.1.7"
_MASK_VALUES: Final = frozenset({0, 1, 255})
"""A 16-bit series of other two values may be a phantom; of these it is a mask."""
MASK_SAMPLE: Final = 9
"""Two-valued planes looked at before a series is called a mask; a scan shows more in the first."""
STEP_AND_SHOOT_MIN: Final = 3
"""Fewer acquisitions than this in one series are phases or repeats, not table steps of one stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGroup:
    """The planes of one candidate: one acquisition of one series, or an object that is no image.

    Parameters
    ----------
    uid
        Series Instance UID, with ``#acquisition`` where the series holds several.
    series_uid
        Series Instance UID alone.
    records
        Planes in no particular order.
    role, reason
        As in `SeriesSummary`.
    joined
        Number of table steps that were joined into this stack; 1 for an ordinary acquisition.
    """

    uid: str
    series_uid: str
    records: tuple[SliceRecord, ...]
    role: str = "image"
    reason: str = ""
    joined: int = 1

    @property
    def first(self) -> SliceRecord:
        """Any plane, for what they all share."""
        return self.records[0]

    @property
    def label(self) -> str:
        """What messages call it: its number, or its UID where it has none."""
        number = self.first.series_number if self.records else ""
        return f"series {number or self.uid}"


def find_groups(index: HeaderIndex, tree: FileTree) -> tuple[ImageGroup, ...]:
    """Sort the planes of a tree into candidates and other objects: images first, in a stable order.

    Masks are told by their pixels: a few planes of each image series are decoded.
    """
    by_series: dict[str, list[SliceRecord]] = defaultdict(list)
    folders: dict[str, int] = {}
    for record in index.records:
        by_series[_series_key(record, folders)].append(record)
    groups = [group for uid, records in by_series.items() for group in _split_series(uid, records)]
    judged = [_judge_pixels(group, tree) if group.role == "image" else group for group in groups]
    judged.sort(key=_order)
    unreadable = tuple(
        ImageGroup(
            uid=name, series_uid="", records=(), role="unreadable", reason="damaged or truncated DICOM file"
        )
        for name in index.unreadable
    )
    return (*judged, *unreadable)


def summarise_groups(groups: Sequence[ImageGroup]) -> tuple[SeriesSummary, ...]:
    """Describe groups as numbered lines of a list."""
    hints = derive_phase_hints([group.records for group in groups])
    return tuple(
        _summarise(number, group, hint)
        for number, (group, hint) in enumerate(zip(groups, hints, strict=True), start=1)
    )


def _summarise(number: int, group: ImageGroup, hint: str) -> SeriesSummary:
    if not group.records:
        return SeriesSummary(
            number=number,
            uid=group.uid,
            modality="",
            description="",
            image_count=0,
            spacing_mm=None,
            phase_hint="unknown",
            role=group.role,
            reason=group.reason,
        )
    first = group.first
    return SeriesSummary(
        number=number,
        uid=group.uid,
        modality=first.modality,
        description=first.description,
        image_count=len(group.records),
        spacing_mm=_measure_spacing(group.records),
        phase_hint=hint if group.role == "image" else "unknown",
        role=group.role,
        reason=group.reason,
    )


def project_positions(records: Sequence[SliceRecord]) -> np.ndarray | None:
    """Return the position of each plane along the normal of the first, or None where geometry is missing."""
    orientation = records[0].orientation
    if orientation is None or any(record.position_lps_mm is None for record in records):
        return None
    normal = np.cross(orientation[:3], orientation[3:])
    return np.array([record.position_lps_mm for record in records]) @ normal


def _measure_spacing(records: Sequence[SliceRecord]) -> tuple[float, float, float] | None:
    positions, pixel = project_positions(records), records[0].pixel_spacing_mm
    if positions is None or pixel is None or len(records) < 2:
        return None
    steps = np.diff(np.sort(positions))
    steps = steps[steps > SAME_SLICE_TOLERANCE_MM]
    if not steps.size:
        return None
    return (round(pixel[1], 4), round(pixel[0], 4), round(float(np.median(steps)), 4))


def _series_key(record: SliceRecord, folders: dict[str, int]) -> str:
    """Return the series UID; files without one are kept together by folder, whose name is never told."""
    if record.series_uid:
        return record.series_uid
    folder = record.entry.name.rpartition("/")[0]
    return f"no-uid-{folders.setdefault(folder, len(folders) + 1)}"


def _order(group: ImageGroup) -> tuple[object, ...]:
    first = group.first
    number = int(first.series_number) if first.series_number.lstrip("-").isdecimal() else 0
    return (group.role != "image", first.study_date, number, group.series_uid, len(group.uid), group.uid)


def _split_series(uid: str, records: list[SliceRecord]) -> list[ImageGroup]:
    role, reason = _judge_object(records[0])
    if role != "image":
        return [ImageGroup(uid=uid, series_uid=uid, records=tuple(records), role=role, reason=reason)]
    scouts = [record for record in records if "LOCALIZER" in record.image_type]
    planes = [record for record in records if "LOCALIZER" not in record.image_type]
    groups = []
    if scouts:
        name = uid if not planes else f"{uid}#localizer"
        groups.append(
            ImageGroup(
                uid=name,
                series_uid=uid,
                records=tuple(scouts),
                role="localizer",
                reason="a localizer or scout",
            )
        )
    if planes:
        groups.extend(_split_planes(uid, _drop_copies(planes)))
    return groups


def _judge_object(record: SliceRecord) -> tuple[str, str]:
    if record.modality in _OBJECT_ROLES:
        return _OBJECT_ROLES[record.modality]
    if record.sop_class_uid.startswith(_SCREEN_CAPTURES) or record.samples != 1:
        return "document", "a screen capture or colour picture"
    if record.modality not in IMAGE_MODALITIES:
        return "other", f"modality {record.modality or 'unknown'} is not CT, MR or PT"
    return "image", ""


def _drop_copies(records: list[SliceRecord]) -> list[SliceRecord]:
    """Keep one of several files that describe the very same instance at the same place with the same size."""
    seen: dict[tuple[object, ...], SliceRecord] = {}
    kept = []
    for record in records:
        key = (
            record.sop_instance_uid,
            record.frame,
            record.entry.size_bytes,
            replace(record, entry=_NO_ENTRY),
        )
        if record.sop_instance_uid and key in seen:
            continue
        seen[key] = record
        kept.append(record)
    return kept


def _split_planes(uid: str, records: list[SliceRecord]) -> list[ImageGroup]:
    parts: list[tuple[str, list[SliceRecord]]] = []
    by_acquisition = _group_by(records, lambda record: record.acquisition)
    joined = 1
    if len(by_acquisition) > 1 and _is_step_and_shoot(list(by_acquisition.values())):
        joined = len(by_acquisition)
        by_acquisition = {"": records}
    for acquisition, planes in by_acquisition.items():
        for suffix, part in _split_repeats(_split_geometry(planes)):
            parts.append((".".join(filter(None, (acquisition or "none", suffix))), part))
    if len(parts) == 1:
        return [_judge_geometry(ImageGroup(uid=uid, series_uid=uid, records=tuple(records), joined=joined))]
    return [
        _judge_geometry(ImageGroup(uid=f"{uid}#{name}", series_uid=uid, records=tuple(part)))
        for name, part in parts
    ]


def _group_by(
    records: Iterable[SliceRecord], key: Callable[[SliceRecord], str]
) -> dict[str, list[SliceRecord]]:
    groups: dict[str, list[SliceRecord]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return dict(sorted(groups.items(), key=lambda pair: (len(pair[0]), pair[0])))


def _is_step_and_shoot(parts: list[list[SliceRecord]]) -> bool:
    """Whether acquisitions are table steps of one stack: in blocks, evenly spaced, nothing twice."""
    if len(parts) < STEP_AND_SHOOT_MIN:
        return False
    everything = [record for part in parts for record in part]
    if len({(record.rows, record.columns, record.orientation) for record in everything}) != 1:
        return False
    positions = project_positions(everything)
    if positions is None:
        return False
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[np.argsort(positions)]
    steps = np.diff(np.sort(positions))
    blocks = 1 + int(np.count_nonzero(np.diff(owner)))
    return bool(
        blocks == len(parts)
        and steps.min() > SAME_SLICE_TOLERANCE_MM
        and steps.max() < GAP_RATIO * np.median(steps)
    )


def _split_geometry(records: list[SliceRecord]) -> dict[str, list[SliceRecord]]:
    """Split planes of different matrix, pixel size or direction; the largest part keeps the plain name."""

    def signature(record: SliceRecord) -> str:
        turn = tuple(round(value, 3) + 0.0 for value in record.orientation or ())
        pixel = tuple(round(value, 4) for value in record.pixel_spacing_mm or ())
        return f"{record.rows} {record.columns} {turn} {pixel} {record.bits_allocated}"

    parts = sorted(_group_by(records, signature).values(), key=len, reverse=True)
    return {"" if n == 0 else f"plane{n + 1}": part for n, part in enumerate(parts)}


def _split_repeats(parts: dict[str, list[SliceRecord]]) -> list[tuple[str, list[SliceRecord]]]:
    """Split planes at equal places by the header field that tells them apart (echo, time ...)."""
    result = []
    for suffix, records in parts.items():
        for name, part in _split_by_field(records):
            result.append((".".join(filter(None, (suffix, name))), part))
    return result


def _split_by_field(records: list[SliceRecord]) -> list[tuple[str, list[SliceRecord]]]:
    if not _has_repeats(records):
        return [("", records)]
    for n, (keyword, _) in enumerate(records[0].subdivisions):
        groups = _group_by(records, partial(_subdivision, n))
        sizes = {len(part) for part in groups.values()}
        if len(groups) > 1 and len(sizes) == 1 and not any(_has_repeats(part) for part in groups.values()):
            return [(f"{keyword}{number}", part) for number, part in enumerate(groups.values(), start=1)]
    return [("", records)]


def _subdivision(n: int, record: SliceRecord) -> str:
    return record.subdivisions[n][1]


def _has_repeats(records: list[SliceRecord]) -> bool:
    positions = project_positions(records)
    return positions is not None and bool((np.diff(np.sort(positions)) <= SAME_SLICE_TOLERANCE_MM).any())


def _judge_geometry(group: ImageGroup) -> ImageGroup:
    if len(group.records) == 1:
        return replace(group, role="single image", reason="one image is no volume")
    positions = project_positions(group.records)
    if positions is not None and len(positions) > 2 and np.ptp(positions) <= SAME_SLICE_TOLERANCE_MM:
        return replace(
            group, role="repeated position", reason="all images lie at one place (bolus tracking?)"
        )
    return group


def _judge_pixels(group: ImageGroup, tree: FileTree) -> ImageGroup:
    """Tell masks by their pixels; a damaged plane leaves the series an image, so that reading it says so."""
    ordered = sorted(group.records, key=lambda record: record.entry.name)
    spread = sorted(range(len(ordered)), key=lambda n: abs(n - len(ordered) // 2))
    eight_bit = group.first.bits_allocated == 8
    values: set[int] = set()
    informative = 0
    for n in spread:
        try:
            dataset, _ = read_dataset(tree, ordered[n].entry)
            plane = decode_stored(dataset, frame=ordered[n].frame, where=ordered[n].entry.position)
        except HepaticaError:
            return group
        low, high = int(plane.min()), int(plane.max())
        values |= {low, high}
        informative += low != high
        if len(values) > 2 or not ((plane == low) | (plane == high)).all():
            return _judge_many_values(group)
        if not eight_bit and not values <= _MASK_VALUES:
            return group
        if informative >= MASK_SAMPLE:
            break
    if not (eight_bit or informative):
        return group
    shown = " and ".join(str(value) for value in sorted(values))
    reason = f"{group.first.bits_allocated}-bit series with pixel values {shown} only: a mask, no image"
    return replace(group, role="mask", reason=reason)


def _judge_many_values(group: ImageGroup) -> ImageGroup:
    if group.first.bits_allocated == 8 and group.first.modality == "CT":
        return replace(group, role="other", reason="8-bit pixels cannot hold CT numbers")
    return group
