"""Run the application, and tell the first administrator how to begin."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import OutputError
from hepatica.entrypoints.web.services import WebServices
from hepatica.entrypoints.web.settings import WebSettings
from hepatica.record.people import Role
from hepatica.record.provider_login import WaysIn
from hepatica.workflows.accounts import invite_account, renew_invitation
from hepatica.workflows.enter_by_provider import reopen_for_administrator
from hepatica.workflows.record_ports import ItemFilter, RecordContext

GRACE_S: Final = 10
"""How long requests under way may go on after the server was told to stop."""

BACKLOG: Final = 2048
"""Callers that wait until the server takes them."""
STOPS: Final = (signal.SIGTERM, signal.SIGINT)

OWN_NAMES: Final = ("127.0.0.1", "localhost", "::1")
"""Names of the machine for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where and how a server listens.

    Parameters
    ----------
    address, port
        Address; port 0 for any free one.
    tls
        Certificate and key, or None.
    trusted_proxy
        Address whose forwarded headers are believed, or empty text.
    """

    address: str
    port: int
    tls: tuple[Path, Path] | None = None
    trusted_proxy: str = ""


def serve_record(home: Path, *, database: str, listening: Listening, hosts: tuple[str, ...] = ()) -> None:
    """Open a record and serve it until told to stop.

    Parameters
    ----------
    home, database
        The record.
    listening
        Where.
    hosts
        Host names it answers to, besides the machine's own.
    """
    from hepatica.bootstrap import (
        list_plan_choices_apart,
        make_identity_provider,
        make_job_world,
        open_record,
        read_site_needles,
        serving_alone,
        start_worker,
    )
    from hepatica.entrypoints.web.apart import run_apart
    from hepatica.entrypoints.web.app import make_app
    from hepatica.entrypoints.web.job_keeper import JobKeeper
    from hepatica.entrypoints.web.plan_sessions import PlanSessions
    from hepatica.entrypoints.web.scan_routes import ScanHome

    with open_record(home, database=database) as record, serving_alone(record):
        settings = WebSettings(
            hosts=frozenset(host.casefold() for host in (*OWN_NAMES, *hosts)),
            secure_cookies=listening.tls is not None or bool(listening.trusted_proxy),
            version=record.version,
            mode=record.mode,
            database="postgresql" if database else "sqlite",
            folder=record.folder,
        )
        provider = make_identity_provider(record.folder, hosts=settings.hosts)
        task = {"home": str(record.folder), "database": record.database}
        jobs = JobKeeper(record.context, make_job_world(record), start_worker=start_worker, task=task)
        sessions = PlanSessions(start_worker, task)
        services = WebServices(jobs=jobs, uploads=record.incoming, sessions=sessions, provider=provider)
        app = make_app(record.context, record.passwords, settings=settings, services=services)
        app.state.scan_home = ScanHome(home=record.folder, database=record.database)
        if (needles := read_site_needles(record.folder)) is not None:
            # A table with a typing error is told to whoever starts the server, not to the first who plans.
            app.state.plan_choices = needles, run_apart(list_plan_choices_apart, needles)
        jobs.start()
        sessions.start()
        try:
            run_server(app, listening=listening, record=record.context, services=services)
        finally:
            sessions.stop()
            jobs.stop()


def run_server(app: Any, *, listening: Listening, record: RecordContext, services: WebServices) -> None:
    """Serve until told to stop; returns then, so that the program ends with status 0.

    Parameters
    ----------
    app
        The application.
    listening
        Where.
    record
        The record, with the program itself as actor.
    services
        Their ``stopping`` is set as soon as the server is told to stop.

    Raises
    ------
    OutputError
        If the port is in use or may not be used.
    """
    import uvicorn

    class Server(uvicorn.Server):
        """Stops in order on SIGTERM and SIGINT; the library would end with the signal again."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Take both signals as the wish to stop."""
            before = {number: signal.signal(number, self.handle_exit) for number in STOPS}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        def handle_exit(self, sig: int, frame: Any) -> None:
            """End streams, let requests finish; a second wish does not wait for them."""
            services.stopping.set()
            self.force_exit = self.should_exit
            self.should_exit = True

    _log_to_stderr()
    with _bind(listening) as bound:
        _announce(record, listening, port=bound.getsockname()[1], ways=services.ways)
        certificate, key = listening.tls or (None, None)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ssl_certfile=certificate,
            ssl_keyfile=key,
            proxy_headers=bool(listening.trusted_proxy),
            forwarded_allow_ips=listening.trusted_proxy or None,
            timeout_graceful_shutdown=GRACE_S,
        )
        Server(config).run(sockets=[bound])


def _announce(record: RecordContext, listening: Listening, *, port: int, ways: WaysIn) -> None:
    """Say on standard output where the server is: a scheduler or a test reads the port there."""
    where = f"{'https' if listening.tls else 'http'}://{_to_host(listening.address)}:{port}"
    lines = [f"Serving on {where}"]
    link = _invite_first(record)
    if link:
        lines.append(
            f"First start. Choose the password of the login 'administrator' here, once: {where}/#/link/{link}"
        )
    elif link := reopen_for_administrator(record, ways=ways):
        lines.append(f"No administrator can log in. Set a new password here, once: {where}/#/link/{link}")
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _log_to_stderr() -> None:
    """Send requests to standard error, one JSON object a line; what libraries say, as warnings only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    own = logging.getLogger("hepatica")
    # Migrations and libraries may have set up or switched off loggers before.
    own.handlers, own.propagate, own.disabled = [handler], False, False
    own.setLevel(logging.INFO)
    logging.getLogger("hepatica.web").disabled = False
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [logging.NullHandler()], False


def _bind(listening: Listening) -> socket.socket:
    family = socket.AF_INET6 if ":" in listening.address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((listening.address, listening.port))
        # Whoever reads the announced port and calls at once waits, and is not refused.
        bound.listen(BACKLOG)
    except OSError as problem:
        bound.close()
        raise OutputError(
            expected="a port that is free",
            given=type(problem).__name__,
            where=f"port {listening.port}",
            action="choose another --port",
        ) from problem
    return bound


def _to_host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _invite_first(record: RecordContext) -> str:
    """Return the secret of a link for the first administrator, empty text once there is an account.

    An invitation nobody has accepted is renewed at each start: the line may have been lost.
    """
    with record.store.reading() as reader:
        accounts = reader.list_items(ItemFilter(kind="account", limit=2)).items
    if not accounts:
        return invite_account(
            record,
            login="administrator",
            display_name="Administrator",
            roles=[Role.ADMINISTRATOR],
            site_ids=[],
        )[1]
    if len(accounts) == 1 and accounts[0].values["state"] == "invited":
        return renew_invitation(record, account_id=accounts[0].item_id)
    return ""
