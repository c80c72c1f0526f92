"""Files out of the record, and scans into it."""

from __future__ import annotations

import os
import shutil
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from hepatica.core.errors import NotSetError, OutputError, TooLargeError
from hepatica.entrypoints.web.depends import Context, Services, State
from hepatica.entrypoints.web.job_routes import JobAnswer, to_document
from hepatica.entrypoints.web.rights import KIND_READ, needs
from hepatica.entrypoints.web.settings import UPLOAD_MAX
from hepatica.record.people import require_right
from hepatica.workflows.deliver_file import StoredFile, find_file
from hepatica.workflows.export_items import export_items
from hepatica.workflows.jobs import submit_job
from hepatica.workflows.read_items import read_item

router = APIRouter(prefix="/api", tags=["Files"])
FRAMED: Final = "default-src 'none'; frame-ancestors 'self'; base-uri 'none'"
SANDBOXED: Final = f"sandbox; {FRAMED}; img-src data:; style-src 'unsafe-inline'"
"""A report runs nothing, asks nobody and is of no origin, whatever is in it."""
SHOWN: Final = {
    ".html": ("text/html; charset=utf-8", SANDBOXED),
    ".pdf": ("application/pdf", f"{FRAMED}; object-src 'self'"),
    ".json": ("application/json", SANDBOXED),
}
"""Files that a browser may show, by ending, with their policies; all others are only saved."""
SAVED: Final = {".dcm": "application/dicom", ".csv": "text/csv; charset=utf-8"}
BLOCK: Final = 1 << 20
SPARE_BYTES: Final = 1 << 30
"""Room that must stay free on the disk when an upload is in."""
ANY_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The bytes"}
}


@router.get(
    "/files/{kind}/{item_id}/{name}",
    response_class=Response,
    responses=ANY_FILE,
    openapi_extra=needs(KIND_READ),
)
def read_file(
    kind: str,
    item_id: str,
    name: str,
    context: Context,
    save: Annotated[bool, Query()] = False,  # noqa: FBT002
) -> FileResponse:
    """Return a file of an item, checked against its digest."""
    return _to_response(find_file(context, kind=kind, item_id=item_id, name=name), save=save)


@router.get(
    "/export/{kind}",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "One row an item"}},
    openapi_extra=needs(KIND_READ, "export.data"),
)
def export(
    kind: str, context: Context, patient_id: Annotated[str, Query(max_length=200)] = ""
) -> StreamingResponse:
    """Return the items of a kind as CSV; cells that a spreadsheet could run are escaped."""
    rows = export_items(context, kind=kind, patient_id=patient_id)
    return StreamingResponse(
        rows,
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{kind}.csv"'},
    )


@router.post(
    "/patient/{patient_id}/upload",
    response_model=JobAnswer,
    status_code=202,
    openapi_extra={
        **needs("patient.read", "scan.write"),
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def upload(
    patient_id: str, request: Request, context: Context, services: Services, state: State
) -> Any:
    """Take a zip archive or a single DICOM file, as the body itself, and queue its import."""
    uploads = services.uploads
    if uploads is None:
        raise NotSetError(expected="a server that takes uploads", given="one without", where="upload")
    # Rights come first: nobody fills the disk with what he may not import.
    await run_in_threadpool(_require_uploadable, context, patient_id)
    _require_room(request, state.settings.folder)
    with uploads.receiving() as (upload_id, file):
        held, taken = bytearray(), 0
        try:
            async for part in request.stream():
                held += part
                taken += len(part)
                if len(held) >= BLOCK:
                    await run_in_threadpool(file.write, bytes(held))
                    held.clear()
        except ClientDisconnect as problem:
            raise TooLargeError(
                expected=f"a whole body of at most {UPLOAD_MAX >> 30} GiB",
                given="one that broke off",
                where="upload",
            ) from problem
        except OSError as problem:
            raise OutputError(
                expected="room for the upload", given=os.strerror(problem.errno or 0), where="upload"
            ) from problem
        if not taken:
            raise TooLargeError(expected="a body", given="none", where="upload")
        await run_in_threadpool(file.write, bytes(held))

    def submit() -> dict[str, Any]:
        with context.store.writing() as writer:
            job = submit_job(
                context, writer, kind="import", patient_id=patient_id, request={"upload_id": upload_id}
            )
        return to_document(job)

    try:
        answer = await run_in_threadpool(submit)
    except BaseException:
        uploads.remove(upload_id)
        raise
    services.jobs.wake()
    return answer


def _require_uploadable(context: Any, patient_id: str) -> None:
    patient = read_item(context, kind="patient", item_id=patient_id)
    require_right(context.actor, "scan.write", site_id=patient.site_id)


def _require_room(request: Request, folder: Any) -> None:
    announced = int(request.headers.get("content-length", "0"))
    if shutil.disk_usage(folder).free < announced + SPARE_BYTES:
        raise OutputError(expected="room on the disk", given="too little", where="upload", action="free some")


def _to_response(found: StoredFile, *, save: bool) -> FileResponse:
    ending = PurePosixPath(found.name).suffix.lower()
    media, policy = SHOWN.get(ending, (SAVED.get(ending, "application/octet-stream"), ""))
    safe = "".join(
        letter for letter in found.name if letter.isascii() and (letter.isalnum() or letter in "._-")
    )
    headers = {
        "content-disposition": f'{"attachment" if save or not policy else "inline"}; filename="{safe or "file"}"',
        "content-security-policy": policy or SANDBOXED,
        "etag": f'"{found.digest}"',
    }
    return FileResponse(found.path, media_type=media, headers=headers)
