"""The same five routes for every kind that is entered field by field.

Annotations are evaluated here, as the bodies' models are made at run time.
"""

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from hepatica.entrypoints.web.depends import Context, ExpectedVersion, Key
from hepatica.entrypoints.web.models import (
    ItemAnswer,
    PageAnswer,
    Removal,
    make_change_model,
    make_creation_model,
    to_answer,
)
from hepatica.entrypoints.web.rights import needs
from hepatica.record.blinding import project_item
from hepatica.record.catalogue import find_kind, read_kinds
from hepatica.record.item import Item
from hepatica.record.kind import Kind, list_sealed
from hepatica.record.sign_in import make_secret
from hepatica.workflows.change_item import change_item, create_item, remove_item, require_item
from hepatica.workflows.read_items import list_items, read_item, to_filter_value
from hepatica.workflows.record_ports import ItemFilter
from hepatica.workflows.repeat_safely import do_once

OWN_ROUTES: Final = frozenset(
    {
        "account", "signature", "scan", "plan", "procedure", "read", "measurement",
        "consent", "query", "verification", "spread", "report", "registration",
    }
)  # fmt: skip
"""Kinds that are changed by use cases of their own; here they are only read."""
RESERVED: Final = frozenset({"patient_id", "search", "after", "limit"})


def make_item_router() -> APIRouter:
    """Return the routes of all kinds."""
    router = APIRouter(prefix="/api")
    for kind in read_kinds().values():
        _add_reading(router, kind)
        if kind.name not in OWN_ROUTES:
            for add in (_add_creation, _add_change, _add_removal):
                add(router, kind)
    return router


def _add_reading(router: APIRouter, kind: Kind) -> None:
    path, tag = f"/{kind.name}", kind.label

    @router.get(
        path,
        name=f"list_{kind.name}",
        tags=[tag],
        response_model=PageAnswer,
        openapi_extra=needs(kind.read_right),
    )
    def list_kind(
        request: Request,
        context: Context,
        patient_id: Annotated[str, Query(max_length=200)] = "",
        search: Annotated[str, Query(max_length=200)] = "",
        after: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> PageAnswer:
        where = {
            name: to_filter_value(kind.name, name, text)
            for name, text in request.query_params.items()
            if name not in RESERVED
        }
        wanted = ItemFilter(
            kind=kind.name, patient_id=patient_id, where=where, search=search, after=after, limit=limit
        )
        page, total = list_items(context, wanted)
        return PageAnswer(items=[to_answer(item) for item in page.items], next=page.next, total=total)

    @router.get(
        path + "/{item_id}",
        name=f"read_{kind.name}",
        tags=[tag],
        response_model=ItemAnswer,
        openapi_extra=needs(kind.read_right),
    )
    def read_kind(item_id: str, context: Context, response: Response) -> ItemAnswer:
        item = read_item(context, kind=kind.name, item_id=item_id)
        response.headers["etag"] = item.etag
        return to_answer(item)


def _add_creation(router: APIRouter, kind: Kind) -> None:
    path, tag, creation = f"/{kind.name}", kind.label, make_creation_model(kind)

    @router.post(
        path,
        name=f"create_{kind.name}",
        tags=[tag],
        response_model=ItemAnswer,
        status_code=201,
        openapi_extra=needs(kind.write_right),
    )
    def create_kind(body: creation, context: Context, key: Key, response: Response) -> Any:  # type: ignore[valid-type]
        asked: dict[str, Any] = _dump(body)
        item_id = make_secret()[:16]
        # A patient belongs to himself.
        patient_id = item_id if kind.name == "patient" else asked.get("patient_id", "")

        def act(writer: Any) -> dict[str, Any]:
            site_id = asked["site_id"]
            if patient_id and kind.name != "patient":
                site_id = require_item(writer, kind="patient", item_id=patient_id).site_id
            item = Item(
                kind=kind.name,
                item_id=item_id,
                # A site lies at no site: whoever makes it is at none of it yet.
                site_id="" if kind.name == "site" else site_id,
                patient_id=patient_id,
                version=1,
                values=asked["values"],
            )
            return _to_kept(create_item(context, writer, item=item, reason=asked["reason"]))

        kept = do_once(context, key=key, request={"create": kind.name, **asked}, act=act)
        return _answer(response, _to_seen(context, kept))


def _add_change(router: APIRouter, kind: Kind) -> None:
    path, tag, change = f"/{kind.name}", kind.label, make_change_model(kind)

    @router.patch(
        path + "/{item_id}",
        name=f"change_{kind.name}",
        tags=[tag],
        response_model=ItemAnswer,
        openapi_extra=needs(kind.read_right, kind.write_right),
    )
    def change_kind(
        item_id: str,
        body: change,  # type: ignore[valid-type]
        context: Context,
        version: ExpectedVersion,
        key: Key,
        response: Response,
    ) -> Any:
        asked = _dump(body)
        read_item(context, kind=kind.name, item_id=item_id)

        def act(writer: Any) -> dict[str, Any]:
            return _to_kept(
                change_item(
                    context,
                    writer,
                    kind=kind.name,
                    item_id=item_id,
                    values=asked["values"],
                    expected_version=version,
                    reason=asked["reason"],
                )
            )

        request = {"change": kind.name, "item_id": item_id, "version": version, **asked}
        return _answer(response, _to_seen(context, do_once(context, key=key, request=request, act=act)))


def _add_removal(router: APIRouter, kind: Kind) -> None:
    path, tag = f"/{kind.name}", kind.label

    @router.post(
        path + "/{item_id}/removal",
        name=f"remove_{kind.name}",
        tags=[tag],
        status_code=204,
        openapi_extra=needs(kind.read_right, kind.write_right),
    )
    def remove_kind(item_id: str, body: Removal, context: Context, version: ExpectedVersion) -> None:
        read_item(context, kind=kind.name, item_id=item_id)
        with context.store.writing() as writer:
            item = require_item(writer, kind=kind.name, item_id=item_id)
            seen = Item(
                kind=item.kind,
                item_id=item_id,
                site_id=item.site_id,
                patient_id=item.patient_id,
                version=version,
                values=item.values,
            )
            remove_item(context, writer, item=seen, reason=body.reason)


def _dump(body: BaseModel) -> dict[str, Any]:
    asked = body.model_dump(mode="json")
    asked["values"] = body.values.model_dump(mode="json", exclude_unset=True)  # type: ignore[attr-defined]
    return asked


def _to_seen(context: Context, kept: dict[str, Any]) -> dict[str, Any]:
    """Return what was written as the writer may see it: a blinded reader's answer holds no more than his view."""
    if context.actor.is_blinded:
        return _to_full(read_item(context, kind=kept["kind"], item_id=kept["item_id"]))
    if list_sealed(find_kind(kept["kind"])):
        with context.store.reading() as reader:
            item = reader.find_item(kept["kind"], kept["item_id"])
        return kept if item is None else _to_full(project_item(item, context.actor))
    return kept


def _to_kept(item: Item) -> dict[str, Any]:
    """Return what is remembered for a repetition: values that are sealed stay where they are sealed."""
    sealed = list_sealed(find_kind(item.kind))
    return _to_full(replace(item, values={n: v for n, v in item.values.items() if n not in sealed}))


def _to_full(item: Item) -> dict[str, Any]:
    return {**to_answer(item).model_dump(mode="json"), "etag": item.etag}


def _answer(response: Response, kept: dict[str, Any]) -> ItemAnswer:
    response.headers["etag"] = str(kept["etag"])
    return ItemAnswer.model_validate({name: value for name, value in kept.items() if name != "etag"})
