"""Which right each route asks for: said at the route, gathered into one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from hepatica.record.people import Role, read_rights

KEY: Final = "x-rights"
"""Where the interface's description says it."""
ANYBODY: Final = "anybody"
"""A route for those who are not logged in."""
LOGGED_IN: Final = "any account"
KIND_READ: Final = "reading right of the kind"
JOB_RIGHT: Final = "right of the kind of job"


def needs(*rights: str) -> dict[str, Any]:
    """Return what a route says of itself: every right that it asks for.

    Parameters
    ----------
    rights
        Names of ``tables/rights.toml``, or one of the words of this module.

    Examples
    --------
    >>> needs("plan.read")
    {'x-rights': ['plan.read']}
    """
    for right in rights:
        if right not in {ANYBODY, LOGGED_IN, KIND_READ, JOB_RIGHT} and right not in read_rights():
            raise ValueError(f"no right {right}")
    return {KEY: list(rights)}


def list_named_rights(route: Any) -> tuple[str, ...]:
    """Return the rights that a route names itself, without those that depend on what it is called for.

    Parameters
    ----------
    route
        Route of the application, or None.
    """
    extra = getattr(route, "openapi_extra", None) or {}
    return tuple(right for right in extra.get(KEY, ()) if right in read_rights())


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRights:
    """One route and the rights it asks for.

    Parameters
    ----------
    method, path
        The route.
    rights
        All of these are needed.
    """

    method: str
    path: str
    rights: tuple[str, ...]

    def permits(self, role: Role, **stand_ins: str) -> bool:
        """Return whether a role has every right of the route.

        Parameters
        ----------
        role
            The role.
        stand_ins
            Right for ``kind_read`` and ``job_right``, where the route asks for one that depends on the kind.
        """
        names = {KIND_READ: stand_ins.get("kind_read", ""), JOB_RIGHT: stand_ins.get("job_right", "")}
        table = read_rights()
        return all(
            right in (ANYBODY, LOGGED_IN) or role in table[names.get(right, right)] for right in self.rights
        )


def list_route_rights(app: Any) -> tuple[RouteRights, ...]:
    """Return every route of an application with its rights, in the order of paths.

    Parameters
    ----------
    app
        From `hepatica.entrypoints.web.app.make_app`.

    Raises
    ------
    ValueError
        If a route does not say which.
    """
    return tuple(sorted(_walk(app.openapi()), key=lambda route: (route.path, route.method)))


def _walk(document: dict[str, Any]) -> Iterator[RouteRights]:
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            if KEY not in route:
                raise ValueError(f"{method} {path} does not say which right it asks for")
            yield RouteRights(method=method.upper(), path=path, rights=tuple(route[KEY]))


def to_rights_page(app: Any) -> str:
    """Return the page of the reference: routes by roles.

    Parameters
    ----------
    app
        The application.
    """
    roles = list(Role)
    lines = [
        "# Who may do what",
        "",
        "Made from the routes and from `record/tables/rights.toml` by `python -m tools.make_rights_page`; a test walks",
        "every route as every role and compares. A dot is a permission. Beside the right, the item must lie at one of",
        "the account's sites; a blinded reader also needs a read of that patient, and sees single fields only.",
        "",
        "Where a route asks for the right of a kind, the rows of that kind say who has it.",
        "",
        "| route | rights | " + " | ".join(role.value.replace("_", " ") for role in roles) + " |",
        "|---|---|" + ":-:|" * len(roles),
    ]
    for route in list_route_rights(app):
        depends = {KIND_READ, JOB_RIGHT} & set(route.rights)
        fixed = RouteRights(
            method=route.method,
            path=route.path,
            rights=tuple(right for right in route.rights if right not in depends),
        )
        permitted = "(•)" if depends else "•"
        cells = [permitted if fixed.permits(role) else "" for role in roles]
        words = ", ".join(f"`{right}`" if "." in right else right for right in route.rights)
        lines.append(f"| {route.method} `{route.path}` | {words} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", "`(•)`: with the right of the kind.", ""])
