"""Who acts, in which roles, at which sites, and what that permits."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Final

from hepatica.core.errors import ForbiddenError, InputError
from hepatica.core.evidence import read_resource

SYSTEM_ID: Final = "system"
"""The program itself: migrations, the first start, checks that run by the clock."""


class Role(StrEnum):
    """What a person is to a study."""

    ADMINISTRATOR = "administrator"
    COORDINATOR = "coordinator"
    INVESTIGATOR = "investigator"
    """Also the treating radiologist."""
    READER_1 = "reader_1"
    READER_2 = "reader_2"
    ADJUDICATOR = "adjudicator"
    MONITOR = "monitor"
    DATA_MANAGER = "data_manager"
    STATISTICIAN = "statistician"
    AUDITOR = "auditor"


BLINDED: Final = frozenset({Role.READER_1, Role.READER_2, Role.ADJUDICATOR})
"""Roles that must not learn what was injected before their own read is locked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts.

    Parameters
    ----------
    account_id
        Account.
    roles
        Roles he has; a blinded role goes with no other, or the blinding would be void.
    site_ids
        Sites whose patients he may see.
    is_system
        Whether it is the program itself, which may do everything and says so in the trail.

    Examples
    --------
    >>> reader = Actor(account_id="u7", roles=frozenset({Role.READER_1}), site_ids=frozenset({"s1"}))
    >>> reader.is_blinded, reader.may("plan.read"), reader.may("scan.read")
    (True, False, True)
    """

    account_id: str
    roles: frozenset[Role]
    site_ids: frozenset[str]
    is_system: bool = False

    def __post_init__(self) -> None:
        check_roles(self.roles)

    @property
    def is_blinded(self) -> bool:
        """Whether he reads images without knowing the treatment."""
        return bool(self.roles & BLINDED)

    def may(self, right: str) -> bool:
        """Return whether one of the roles has a right.

        Parameters
        ----------
        right
            Name as in ``tables/rights.toml``.
        """
        holders = read_rights().get(right)
        if holders is None:
            raise InputError(expected="a right of the table", given=right, where="right")
        return self.is_system or bool(holders & self.roles)


def make_system_actor() -> Actor:
    """Return the program itself."""
    return Actor(account_id=SYSTEM_ID, roles=frozenset(), site_ids=frozenset(), is_system=True)


def check_roles(roles: frozenset[Role]) -> None:
    """Refuse roles that do not go together.

    Raises
    ------
    InputError
        If a blinded reader also treats, or reads twice.
    """
    if roles & BLINDED and len(roles) > 1:
        raise InputError(
            expected="a reader's or adjudicator's role alone: with another role the read is not blinded",
            given=", ".join(sorted(roles)),
            where="roles",
        )


def require_right(actor: Actor, right: str, *, site_id: str = "") -> None:
    """Refuse what a person may not do. Every use case calls it, for web, command line and jobs alike.

    Parameters
    ----------
    actor
        Who acts.
    right
        Name as in ``tables/rights.toml``.
    site_id
        Site of what it is done to; empty where it has none.

    Raises
    ------
    ForbiddenError
        If no role has the right, or the site is another. Says the right, never whose data it is.
    """
    permitted = actor.may(right) and (actor.is_system or not site_id or site_id in actor.site_ids)
    if not permitted:
        raise ForbiddenError(
            expected=f"the right '{right}' at this site",
            given="an account without it",
            where=right,
            action="ask the administrator",
        )


@cache
def read_rights() -> Mapping[str, frozenset[Role]]:
    """Return the roles that have each right."""
    table = tomllib.loads(read_resource("hepatica.record.tables", "rights.toml").decode())["rights"]
    return MappingProxyType(
        {right: frozenset(Role(role) for role in roles) for right, roles in table.items()}
    )
