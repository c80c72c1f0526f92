"""The application: routes, refusals, guard."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from hepatica.entrypoints.web.account_routes import router as account_router
from hepatica.entrypoints.web.care_routes import router as care_router
from hepatica.entrypoints.web.guard import Guard
from hepatica.entrypoints.web.item_routes import make_item_router
from hepatica.entrypoints.web.problems import add_problem_handlers, describe_problems
from hepatica.entrypoints.web.procedure_routes import router as procedure_router
from hepatica.entrypoints.web.read_routes import router as read_router
from hepatica.entrypoints.web.settings import WebSettings
from hepatica.entrypoints.web.trail_routes import router as trail_router
from hepatica.workflows.record_ports import Passwords, RecordContext


def make_app(record: RecordContext, passwords: Passwords, *, settings: WebSettings) -> Any:
    """Return the ASGI application of a record.

    Parameters
    ----------
    record
        The record, with the program itself as actor.
    passwords
        Hashes and verifies them.
    settings
        Of the server.
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
    add_problem_handlers(app)
    # Routes of their own come before those of all kinds: the first that fits answers.
    app.include_router(account_router)
    app.include_router(trail_router)
    app.include_router(read_router)
    app.include_router(procedure_router)
    app.include_router(care_router)
    app.include_router(make_item_router())

    @app.get("/health", tags=["Server"])
    def read_health() -> dict[str, str]:
        """Say that the server answers and can read its record."""
        with record.store.reading() as reader:
            reader.count_events()
        return {"status": "ok", "version": settings.version}

    app.add_middleware(Guard, settings=settings)
    return app
