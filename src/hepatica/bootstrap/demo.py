"""The demonstration's record: made once, opened again."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hepatica.bootstrap.planning import make_demo_request, make_plan_ports
from hepatica.bootstrap.record import OpenRecord, make_record, open_record
from hepatica.bootstrap.scans import make_scan_ports
from hepatica.bootstrap.serving import make_view_ports
from hepatica.core.errors import NoRecordError

if TYPE_CHECKING:
    from hepatica.core.progress import Progress
    from hepatica.workflows.plan_injection import PlanOutcome

PASSWORD_BYTES: Final = 12
"""Random bytes of the password of a demonstration: 96 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAccounts:
    """Who may log in to a demonstration.

    Parameters
    ----------
    roles
        Role by login.
    password
        Of all of them; it is kept nowhere.
    """

    roles: Mapping[str, str]
    password: str


def make_demo_record(
    home: Path, *, out: Path, spread_draws: int, workers: int, patients: int, progress: Progress
) -> tuple[PlanOutcome, DemoAccounts]:
    """Make the record of the demonstration with its case planned and its cohort simulated, or nothing.

    Parameters
    ----------
    home
        New or empty folder.
    out
        Folder of the plan.
    spread_draws, workers
        Of the plan's simulated spread.
    patients
        Size of the simulated cohort.
    progress
        Told of stages; may cancel.
    """
    from hepatica.workflows.make_demo_record import DemoWorld, add_demo_case
    from hepatica.workflows.simulate_cohort import CohortOptions, simulate_cohort

    password = secrets.token_urlsafe(PASSWORD_BYTES)
    was_there = home.exists()
    with make_record(home, mode="demo") as record:
        try:
            cohort = simulate_cohort(
                record.context,
                record.passwords,
                password=password,
                options=CohortOptions(patients=patients, mode=record.mode),
                progress=progress,
            )
            outcome = add_demo_case(
                record.context,
                DemoWorld(
                    scans=make_scan_ports(home, mode=record.mode),
                    plans=make_plan_ports(workers=workers),
                    views=make_view_ports(home),
                ),
                make_demo_request(spread_draws=spread_draws),
                out=out,
                progress=progress,
            )
        except BaseException:
            _clear(home, keep=was_there)
            raise
    return outcome, DemoAccounts(roles=cohort.logins, password=password)


def has_demo_record(home: Path) -> bool:
    """Return whether a folder holds a demonstration's record that was finished.

    Raises
    ------
    NoRecordError
        If it holds another record, or one that was never finished.
    """
    from hepatica.workflows.demo_names import PLAN

    if not home.is_dir() or not any(home.iterdir()):
        return False
    with open_record(home) as record:
        _require_demo(record)
        with record.context.store.reading() as reader:
            if reader.find_item("plan", PLAN) is not None:
                return True
    raise NoRecordError(
        expected="a demonstration that was finished",
        given="one that was begun and never finished",
        where="--home",
        action="remove the folder and begin again",
    )


def renew_demo_password(home: Path) -> DemoAccounts:
    """Give every account of a demonstration a new password.

    Parameters
    ----------
    home
        The record.
    """
    from hepatica.workflows.accounts import accept_link, reset_account
    from hepatica.workflows.record_ports import ItemFilter

    password = secrets.token_urlsafe(PASSWORD_BYTES)
    roles = {}
    with open_record(home) as record:
        _require_demo(record)
        with record.context.store.reading() as reader:
            accounts = reader.list_items(ItemFilter(kind="account", where={"state": "active"})).items
        for account in accounts:
            secret = reset_account(record.context, account_id=account.item_id)
            accept_link(record.context, record.passwords, secret=secret, password=password)
            held = account.values["roles"]
            roles[str(account.values["login"])] = ", ".join(held) if isinstance(held, list) else ""
    return DemoAccounts(roles=roles, password=password)


def _require_demo(record: OpenRecord) -> None:
    if record.mode != "demo":
        raise NoRecordError(
            expected="a record of mode demo",
            given=f"one of mode {record.mode}",
            where="--home",
            action="choose another --home; a demonstration never touches it",
        )


def _clear(home: Path, *, keep: bool) -> None:
    with suppress(OSError):
        for path in home.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if not keep:
            home.rmdir()
