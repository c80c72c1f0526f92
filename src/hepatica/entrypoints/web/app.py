"""The application: routes, refusals, guard."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI

import hepatica.entrypoints.web as web
from hepatica.entrypoints.web.depends import check_route_rights
from hepatica.entrypoints.web.guard import Guard
from hepatica.entrypoints.web.item_routes import make_item_router
from hepatica.entrypoints.web.pages import add_pages
from hepatica.entrypoints.web.problems import add_problem_handlers, describe_problems
from hepatica.entrypoints.web.rights import ANYBODY, needs
from hepatica.entrypoints.web.services import WebServices
from hepatica.entrypoints.web.settings import WebSettings
from hepatica.workflows.record_ports import Passwords, RecordContext

ENDING: Final = "_routes"
"""Modules of this package with this ending hold a ``router`` of their own."""


def make_app(
    record: RecordContext,
    passwords: Passwords,
    *,
    settings: WebSettings,
    services: WebServices | None = None,
) -> Any:
    """Return the ASGI application of a record.

    Parameters
    ----------
    record
        The record, with the program itself as actor.
    passwords
        Hashes and verifies them.
    settings
        Of the server.
    services
        What works beside the record; None runs no jobs and takes no uploads.
    """
    app = FastAPI(
        title="Hepatica",
        version=settings.version,
        description="The shared record of image-guided intratumoral therapy. Research use, not a medical device.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses=describe_problems(),
    )
    app.state.record = record
    app.state.passwords = passwords
    app.state.settings = settings
    app.state.services = services or WebServices()
    add_problem_handlers(app)
    # Routes of their own come before those of all kinds: the first that fits answers.
    for router in (*_find_routers(), make_item_router()):
        app.include_router(router, dependencies=[Depends(check_route_rights)])

    @app.get("/health", tags=["Server"], openapi_extra=needs(ANYBODY))
    def read_health() -> dict[str, str]:
        """Say that the server answers and can read its record."""
        with record.store.reading() as reader:
            reader.count_events()
        return {"status": "ok", "version": settings.version}

    add_pages(app, app.state.services.pages)
    app.add_middleware(Guard, settings=settings)
    return app


def _find_routers() -> Iterator[APIRouter]:
    """Yield the router of every module that has one, by looking."""
    for module in sorted(found.name for found in pkgutil.iter_modules(web.__path__)):
        if module.endswith(ENDING):
            router = getattr(importlib.import_module(f"{web.__name__}.{module}"), "router", None)
            if isinstance(router, APIRouter):
                yield router
