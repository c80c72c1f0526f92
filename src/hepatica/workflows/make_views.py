"""Make what a viewer shows of scans and plans; loads what reads images, so it runs apart from the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures import Anatomy, StructureKind, to_bit
from hepatica.core.errors import NotSetError, ReplayMismatchError
from hepatica.core.progress import SILENT, Progress
from hepatica.imaging.mask import Mask
from hepatica.lesions.lesion import Lesion
from hepatica.record.item import Item
from hepatica.workflows.lay_out_plan import lay_out_stored_plan
from hepatica.workflows.plan_scene import (
    LESIONS_FROM,
    SMALL_MOST,
    find_scan_key,
    find_volume_key,
    list_label_rows,
    list_plan_keys,
    list_spread_files,
    read_plan,
    to_volume_key,
)
from hepatica.workflows.prepare_case import prepare_case
from hepatica.workflows.read_case import read_case
from hepatica.workflows.record_ports import RecordContext
from hepatica.workflows.replay_plan import read_manifest
from hepatica.workflows.request import PlanRequest
from hepatica.workflows.view_ports import ViewPorts
from hepatica.workflows.view_surfaces import to_surfaces


def keep_plan_views(
    ports: ViewPorts,
    *,
    anatomy: Anatomy,
    lesions: Sequence[Lesion],
    values: NDArray[Any],
    document: Mapping[str, Any],
    volume_key: str,
    files: Mapping[str, Any],
    folder: Path,
) -> None:
    """Keep the volumes of a plan that was just made or read again.

    Parameters
    ----------
    ports
        The world.
    anatomy, lesions, values
        Structures and lesions on the scan's grid, and its (I, J, K) numbers.
    document
        ``plan.json``.
    volume_key
        Key of the scan's volume.
    files, folder
        Digest by name of the plan's files, and where they lie.
    """
    keys, grid = list_plan_keys(files), anatomy.grid
    if ports.derived.find(volume_key) is None:
        ports.derived.keep(volume_key, ports.writer.to_volume(values, grid=grid))
    if ports.derived.find(keys["labels"]) is None:
        painted = paint_labels(anatomy, {lesion.lesion_id: lesion.mask for lesion in lesions}, document)
        ports.derived.keep(keys["labels"], ports.writer.to_labels(painted, grid=grid))
    if ports.derived.find(keys["surfaces"]) is None:
        ports.derived.keep(keys["surfaces"], to_surfaces(anatomy, lesions, document))
    if "spread" in keys and ports.derived.find(keys["spread"]) is None:
        paths = [folder / name for name in list_spread_files(files)]
        ports.derived.keep(keys["spread"], ports.writer.to_spread(paths, grid=grid))


def make_plan_views(
    context: RecordContext, ports: ViewPorts, *, plan_id: str, folder: Path, progress: Progress = SILENT
) -> None:
    """Make the volumes of a stored plan from the scan and labels it was made from.

    Parameters
    ----------
    context
        Who looks.
    ports
        The world.
    plan_id
        The plan.
    folder
        Private folder.
    progress
        Told of stages; may cancel.

    Raises
    ------
    NotSetError
        If the plan does not say what it was made from.
    ReplayMismatchError
        If other lesions are found than the plan names.
    """
    item, document = read_plan(context, plan_id)
    if not isinstance(item.values.get("request"), Mapping):
        raise NotSetError(
            expected="a plan that says what it was made from",
            given="one that does not",
            where=f"plan {plan_id}",
        )
    laid = lay_out_stored_plan(context, item, folder / "plan")
    plan_ports = ports.make_plan_ports()
    request = PlanRequest.from_manifest(read_manifest(laid, ports=plan_ports), where=f"plan {plan_id}")
    case = read_case(request, ports=plan_ports, progress=progress)
    prepared = prepare_case(case, progress=progress)
    files = item.values["files"]
    assert isinstance(files, Mapping)
    keep_plan_views(
        ports,
        anatomy=prepared.anatomy,
        lesions=prepared.lesions,
        values=case.image.volume.values,
        document=document,
        volume_key=find_volume_key(context, item),
        files=files,
        folder=laid,
    )


def make_scan_view(
    context: RecordContext, ports: ViewPorts, *, scan_id: str, folder: Path, progress: Progress = SILENT
) -> None:
    """Make the volume of a stored scan.

    Parameters
    ----------
    context
        Who looks.
    ports, folder, progress
        As in `make_plan_views`.
    scan_id
        The scan; accepted, and one he may see.
    """
    key = find_scan_key(context, scan_id)
    with context.store.reading() as reader:
        scan = reader.find_item("scan", scan_id)
    assert scan is not None
    keep_scan_view(context, ports, scan=scan, key=key, folder=folder, progress=progress)


def keep_scan_view(
    context: RecordContext, ports: ViewPorts, *, scan: Item, key: str = "", folder: Path, progress: Progress
) -> None:
    """Keep the volume of a scan, where it is one.

    Parameters
    ----------
    context, ports, folder, progress
        As in `make_scan_view`.
    scan
        The scan.
    key
        Its key; empty to derive it.
    """
    digest = str(scan.values["content_digest"])
    path = folder / "scan"
    path.symlink_to(context.files.open_path(digest))
    image = ports.make_plan_ports().image_reader.read_image(
        path, series=None, resample=False, progress=progress
    )
    ports.derived.keep(
        key or to_volume_key(digest), ports.writer.to_volume(image.volume.values, grid=image.volume.grid)
    )


def paint_labels(
    anatomy: Anatomy, lesions: Mapping[str, Mask], document: Mapping[str, Any]
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return one map of labels; where structures overlap the smaller shows, and lesions above all.

    Parameters
    ----------
    anatomy
        Structures.
    lesions
        Mask by lesion id.
    document
        ``plan.json``, whose order of structures and lesions gives the values.

    Raises
    ------
    ReplayMismatchError
        If the plan names other lesions.
    """
    rows = list_label_rows(document)
    named = {row["lesion_id"]: row["value"] for row in rows if row["lesion_id"]}
    if set(named) != set(lesions):
        raise ReplayMismatchError(
            expected="the lesions that the plan names",
            given="others",
            where="labels",
            action="plan again with this version",
        )
    small = LESIONS_FROM + len(lesions) <= SMALL_MOST
    painted = np.zeros(anatomy.grid.shape, dtype=np.uint8 if small else np.uint16, order="F")
    kinds = [(StructureKind(row["kind"]), row["value"]) for row in rows if row["lesion_id"] is None]
    # What is large is painted first: a vessel in the liver stays to be seen.
    sizes = {kind: int(np.count_nonzero(anatomy.bits & np.uint32(to_bit(kind)))) for kind, _ in kinds}
    for kind, value in sorted(kinds, key=lambda pair: -sizes[pair[0]]):
        bit = np.uint32(to_bit(kind))
        for k in range(anatomy.grid.shape[2]):
            painted[:, :, k][(anatomy.bits[:, :, k] & bit) != 0] = value
    for lesion_id, mask in sorted(lesions.items(), key=lambda pair: -pair[1].voxel_count):
        painted[mask.box][mask.crop] = named[lesion_id]
    return painted
