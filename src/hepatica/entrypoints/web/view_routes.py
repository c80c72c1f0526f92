"""What a page needs to show a plan on its scan: scene, volumes, map of the skin; and sending a plan to its PACS.

The application needs ``app.state.scan_home``. Volumes are derived data: kept by the digest of what they were made
from, made once in a process of its own, made again where they were deleted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel

from hepatica.bootstrap import make_view_apart, open_derived, send_plan_apart
from hepatica.core.errors import ComputeError, NotFoundError, NotSetError
from hepatica.entrypoints.web.apart import run_apart
from hepatica.entrypoints.web.depends import Context, Services, State
from hepatica.entrypoints.web.file_routes import ANY_FILE, SANDBOXED
from hepatica.entrypoints.web.rights import needs
from hepatica.entrypoints.web.scan_routes import find_place
from hepatica.record.people import require_right
from hepatica.workflows.plan_scene import (
    find_scan_key,
    find_volume_key,
    list_files,
    list_plan_keys,
    list_scene_keys,
    read_plan,
    to_scene,
    to_skin_key,
)
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext
from hepatica.workflows.view_ports import DerivedFiles

router = APIRouter(prefix="/api", tags=["Views"])
FOR_EVER: Final = "private, max-age=28800, immutable"
"""A working day: the address names the bytes, so that they cannot change; and they are somebody's images."""
ASK_AGAIN: Final = "private, no-cache"
GZIP: Final = "application/gzip"
NIFTI: Final = "application/octet-stream"
Key = Annotated[str, Query(alias="v", max_length=64, description="Key that the scene gave")]

Form = Annotated[
    Literal["packed", "unpacked"],
    Query(
        description="Unpacked: gzipped for the way only, the asker's HTTP library hands out the NIfTI itself"
    ),
]


class VolumeFacts(BaseModel):
    """Where a volume is fetched, and whether it lies ready."""

    address: str
    ready: bool


class SceneLabel(BaseModel):
    """What one value of the map of labels stands for."""

    value: int
    kind: str
    name: str
    role: Literal["organ", "structure", "injected lesion", "non-injected lesion"]
    origin: Literal["given", "derived"]
    accepted: bool
    source: str
    label_names: list[str]
    lesion_id: str | None


class SceneLesion(BaseModel):
    """A lesion on the scan."""

    lesion_id: str
    label: str
    value: int
    injected: bool
    is_new: bool | None
    centroid_lps_mm: list[float]


class SceneGrid(BaseModel):
    """The scan's grid; axes are those of the volume's file, in LPS."""

    shape_ijk: list[int]
    spacing_mm: list[float]
    lps_from_ijk: list[list[float]]


class SceneVolumes(BaseModel):
    """The volumes of a plan, all on one grid."""

    volume: VolumeFacts
    labels: VolumeFacts
    spread: VolumeFacts | None


class SkinFacts(VolumeFacts):
    """A map of the skin for one lesion."""

    lesion_id: str


class Scene(BaseModel):
    """What is drawn and listed of a plan beside ``plan.json``; ``plan_fields`` says where the rest stands there."""

    plan_id: str
    patient_id: str
    scan_id: str
    version: int
    status: str
    visit: int
    grid: SceneGrid
    labels: list[SceneLabel]
    lesions: list[SceneLesion]
    volumes: SceneVolumes
    surfaces: VolumeFacts
    skin_maps: list[SkinFacts]
    plan_fields: dict[str, str]
    sendable_files: list[str]


class SkinAnswer(BaseModel):
    """A map of the skin: arrays in base64, little-endian; see the reference."""

    plan_id: str
    lesion_id: str
    count: int
    origin_lps_mm: list[float]
    step_mm: float
    points: str
    normals: str
    areas_mm2: str
    classes: str
    rank_cm2: str
    class_names: dict[str, str]
    skin_cm2: dict[str, float]


class Sent(BaseModel):
    """What was sent to which PACS."""

    pacs: str
    files: list[str]


@router.get("/plan/{plan_id}/scene", response_model=Scene, openapi_extra=needs("plan.read", "scan.read"))
def scene(plan_id: str, context: Context, state: State) -> Any:
    """Return what is drawn and listed of a plan beside its ``plan.json``."""
    item, document = read_plan(context, plan_id)
    derived = open_derived(find_place(state).home)
    volume_key = find_volume_key(context, item)
    keys = list_scene_keys(item, document, volume_key=volume_key)
    made = {key: derived.holds(key) for key in keys}
    return to_scene(item, document, volume_key=volume_key, made=made)


@router.get(
    "/plan/{plan_id}/volume.nii.gz",
    response_class=Response,
    responses=ANY_FILE,
    openapi_extra=needs("plan.read", "scan.read"),
)
def plan_volume(
    plan_id: str, request: Request, context: Context, state: State, v: Key = "", form: Form = "packed"
) -> Response:
    """Return the scan a plan was made on: gzipped NIfTI-1, int16 Hounsfield units for a CT."""
    item, _ = read_plan(context, plan_id)
    return _send(
        request,
        context,
        state,
        key=find_volume_key(context, item),
        asked=v,
        what={"plan_id": plan_id},
        form=form,
    )


@router.get(
    "/plan/{plan_id}/labels.nii.gz",
    response_class=Response,
    responses=ANY_FILE,
    openapi_extra=needs("plan.read", "scan.read"),
)
def plan_labels(
    plan_id: str, request: Request, context: Context, state: State, v: Key = "", form: Form = "packed"
) -> Response:
    """Return a plan's map of labels on the scan's grid; the scene says what each value stands for."""
    key = _find_plan_key(context, plan_id, "labels")
    return _send(request, context, state, key=key, asked=v, what={"plan_id": plan_id}, form=form)


@router.get(
    "/plan/{plan_id}/spread.nii.gz",
    response_class=Response,
    responses=ANY_FILE,
    openapi_extra=needs("plan.read", "scan.read"),
)
def plan_spread(
    plan_id: str, request: Request, context: Context, state: State, v: Key = "", form: Form = "packed"
) -> Response:
    """Return the predicted share of draws that reach each voxel, on the scan's grid, in steps of one percent."""
    key = _find_plan_key(context, plan_id, "spread")
    return _send(request, context, state, key=key, asked=v, what={"plan_id": plan_id}, form=form)


@router.get(
    "/plan/{plan_id}/surfaces",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}, "description": "Surfaces"}},
    openapi_extra=needs("plan.read", "scan.read"),
)
def plan_surfaces(plan_id: str, request: Request, context: Context, state: State, v: Key = "") -> Response:
    """Return coarse surfaces of a plan's structures and lesions, for orientation."""
    key = _find_plan_key(context, plan_id, "surfaces")
    return _send(
        request, context, state, key=key, asked=v, what={"plan_id": plan_id}, media_type="application/json"
    )


@router.get(
    "/scan/{scan_id}/volume.nii.gz",
    response_class=Response,
    responses=ANY_FILE,
    openapi_extra=needs("scan.read"),
)
def scan_volume(
    scan_id: str, request: Request, context: Context, state: State, v: Key = "", form: Form = "packed"
) -> Response:
    """Return an accepted scan as gzipped NIfTI-1, for whoever may see the scan."""
    key = find_scan_key(context, scan_id)
    return _send(request, context, state, key=key, asked=v, what={"scan_id": scan_id}, form=form)


@router.get("/plan/{plan_id}/skin/{lesion_id}", response_model=SkinAnswer, openapi_extra=needs("plan.read"))
def plan_skin(
    plan_id: str, lesion_id: str, request: Request, context: Context, services: Services, state: State
) -> Response:
    """Return from where on the skin a lesion can be reached, and how well; made by the plan's session once."""
    item, document = read_plan(context, plan_id)
    derived = open_derived(find_place(state).home)
    if not any(path["lesion_id"] == lesion_id for path in document["paths"]):
        raise NotFoundError(
            expected="a lesion of the plan with a path search", given="another", where="skin map"
        )
    key = to_skin_key(list_files(item), lesion_id)
    found = derived.find(key)
    if found is None:
        if services.sessions is None:
            raise NotSetError(expected="a server with plan sessions", given="one without", where="skin map")
        with derived.making(key):
            found = derived.find(key)
            if found is None:
                question = {
                    "ask": "skin",
                    "client": key[:16],
                    "sequence": 1,
                    "limits": {},
                    "lesion_id": lesion_id,
                }
                answer = services.sessions.ask(question, plan_id=plan_id, account_id=context.actor.account_id)
                derived.keep(key, json.dumps(answer["answer"]).encode())
                found = _require(derived, key)
    return _answer(request, found, media_type="application/json", cache=ASK_AGAIN)


@router.post("/plan/{plan_id}/sending", response_model=Sent, openapi_extra=needs("plan.read", "scan.send"))
def send(plan_id: str, context: Context, state: State) -> Any:
    """Send a plan's DICOM objects to the PACS that its scan came from."""
    plan = read_item(context, kind="plan", item_id=plan_id)
    require_right(context.actor, "scan.send", site_id=plan.site_id)
    place = find_place(state)
    return run_apart(
        send_plan_apart, str(place.home), place.database, context.actor, context.request_id, plan_id
    )


def _find_plan_key(context: RecordContext, plan_id: str, what: str) -> str:
    item, _ = read_plan(context, plan_id)
    keys = list_plan_keys(list_files(item))
    if what not in keys:
        raise NotFoundError(expected=f"a plan with {what}", given="one without", where=f"plan {plan_id}")
    # The volumes show the scan too: who may not see it gets none of them.
    find_volume_key(context, item)
    return keys[what]


def _send(
    request: Request,
    context: RecordContext,
    state: Any,
    *,
    key: str,
    asked: str,
    what: dict[str, str],
    media_type: str = GZIP,
    form: Form = "packed",
) -> Response:
    place = find_place(state)
    derived = open_derived(place.home)
    found = derived.find(key)
    if found is None:
        with derived.making(key):
            found = derived.find(key)
            if found is None:
                run_apart(
                    make_view_apart, str(place.home), place.database, context.actor, context.request_id, what
                )
                found = _require(derived, key)
    cache = FOR_EVER if asked == key else ASK_AGAIN
    return _answer(request, found, media_type=media_type, cache=cache, form=form)


def _require(derived: DerivedFiles, key: str) -> tuple[Path, str]:
    found = derived.find(key)
    if found is None:
        raise ComputeError(
            expected="what was made", given="nothing", where="derived data", action="try again"
        )
    return found


def _answer(
    request: Request, found: tuple[Path, str], *, media_type: str, cache: str, form: Form = "packed"
) -> Response:
    path, digest = found
    tag = f'"{digest}-n"' if form == "unpacked" else f'"{digest}"'
    headers = {
        "etag": tag,
        "cache-control": cache,
        "vary": "cookie",
        "content-security-policy": SANDBOXED,
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if form == "unpacked":
        # A browser unpacks what came so beside the page, which goes on; its own code would stop it.
        headers["content-encoding"] = "gzip"
        media_type = NIFTI
    return FileResponse(path, media_type=media_type, headers=headers)
