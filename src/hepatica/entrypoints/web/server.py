"""Run the application, and tell the first administrator how to begin."""

from __future__ import annotations

import logging
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import OutputError
from hepatica.entrypoints.web.settings import WebSettings
from hepatica.record.people import Role
from hepatica.workflows.accounts import invite_account, renew_invitation
from hepatica.workflows.record_ports import ItemFilter, RecordContext

GRACE_S: Final = 10
"""How long requests under way may go on after the server was told to stop."""

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
    from hepatica.bootstrap import open_record
    from hepatica.entrypoints.web.app import make_app

    with open_record(home, database=database) as record:
        settings = WebSettings(
            hosts=frozenset(host.casefold() for host in (*OWN_NAMES, *hosts)),
            secure_cookies=listening.tls is not None or bool(listening.trusted_proxy),
            version=record.version,
            mode=record.mode,
        )
        app = make_app(record.context, record.passwords, settings=settings)
        run_server(app, listening=listening, record=record.context)


def run_server(app: Any, *, listening: Listening, record: RecordContext) -> None:
    """Serve until told to stop.

    Parameters
    ----------
    app
        The application.
    listening
        Where.
    record
        The record, with the program itself as actor.

    Raises
    ------
    OutputError
        If the port is in use or may not be used.
    """
    import uvicorn

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    with _bind(listening) as bound:
        port = bound.getsockname()[1]
        scheme = "https" if listening.tls else "http"
        where = f"{scheme}://{_to_host(listening.address)}:{port}"
        # A scheduler or a test reads this line to learn the port.
        sys.stdout.write(f"Serving on {where}\n")
        sys.stdout.flush()
        link = _invite_first(record)
        if link:
            sys.stdout.write(
                f"First start. Make the administrator's password here, once: {where}/#/link/{link}\n"
            )
            sys.stdout.flush()
        certificate, key = listening.tls or (None, None)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            proxy_headers=bool(listening.trusted_proxy),
            forwarded_allow_ips=listening.trusted_proxy or None,
            timeout_graceful_shutdown=GRACE_S,
        )
        uvicorn.Server(config).run(sockets=[bound])


def _bind(listening: Listening) -> socket.socket:
    family = socket.AF_INET6 if ":" in listening.address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((listening.address, listening.port))
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
