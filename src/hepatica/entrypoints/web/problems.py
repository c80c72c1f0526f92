"""Refusals as problem documents (RFC 9457) with the project's codes."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hepatica.core.errors import HepaticaError

STATUS: Final[dict[str, int]] = {
    "authentication": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "consent": 409,
    "output_exists": 409,
    "too_large": 413,
    "locked": 423,
    "hepatica": 500,
    "trail": 500,
    "busy": 503,
    "output": 507,
    "pacs": 502,
    "provider": 502,
}
"""HTTP status by error code; every other refusal of input is 422."""
UNPROCESSABLE: Final = 422


def to_problem(
    *, status: int, code: str, detail: dict[str, str], headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return a problem document.

    Parameters
    ----------
    status
        HTTP status.
    code
        The project's code.
    detail
        Parts of the message: expected, given, where, action.
    headers
        More headers.
    """
    sentence = "; ".join(f"{name} {text}" for name, text in detail.items() if text)
    return JSONResponse(
        {"type": f"urn:hepatica:{code}", "title": code.replace("_", " "), "status": status, "code": code}
        | {"detail": sentence}
        | detail,
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every refusal and every fault with a problem document; faults say nothing of the inside.

    Parameters
    ----------
    app
        The application.
    """

    @app.exception_handler(HepaticaError)
    async def refuse(_request: Request, error: HepaticaError) -> JSONResponse:
        parts = error.to_dict()
        code = parts.pop("code")
        return to_problem(status=STATUS.get(code, UNPROCESSABLE), code=code, detail=parts)

    @app.exception_handler(RequestValidationError)
    async def refuse_shape(_request: Request, error: RequestValidationError) -> JSONResponse:
        # Places and reasons only: what was sent may name a person.
        places = [".".join(str(part) for part in problem["loc"]) for problem in error.errors()]
        reasons = sorted({str(problem["type"]) for problem in error.errors()})
        return to_problem(
            status=UNPROCESSABLE,
            code="input",
            detail={
                "expected": "a request as the interface describes it",
                "given": ", ".join(reasons),
                "where": ", ".join(places[:20]),
                "action": "see the interface's description",
            },
        )

    @app.exception_handler(HTTPException)
    async def refuse_http(_request: Request, error: HTTPException) -> JSONResponse:
        codes = {
            404: "not_found",
            405: "method",
            429: "too_many",
            413: "too_large",
            401: "authentication",
            403: "forbidden",
        }
        return to_problem(
            status=error.status_code,
            code=codes.get(error.status_code, "input"),
            detail={"expected": "a request this server answers", "given": str(error.detail)},
            headers=dict(error.headers) if error.headers else None,
        )

    @app.exception_handler(Exception)
    async def fail(request: Request, _error: Exception) -> JSONResponse:
        return to_problem(
            status=500,
            code="hepatica",
            detail={
                "expected": "an answer",
                "given": "a fault of the program",
                "where": f"request {getattr(request.state, 'request_id', '')}",
                "action": "report the request's number",
            },
        )


def describe_problems() -> dict[int | str, dict[str, Any]]:
    """Return the refusals that every route may answer, for the interface's description."""
    schema = {"application/problem+json": {"schema": {"type": "object"}}}
    return {
        status: {"description": words, "content": schema}
        for status, words in (
            (400, "Not a request"),
            (401, "No session"),
            (403, "Without the right"),
            (404, "Not there"),
            (409, "Changed meanwhile"),
            (412, "Another version"),
            (413, "Too large"),
            (422, "Cannot be used as given"),
            (423, "Locked"),
            (428, "The version must be named"),
            (429, "Too many at once"),
        )
    }
