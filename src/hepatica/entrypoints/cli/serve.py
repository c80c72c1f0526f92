"""``hepatica serve``: the record over HTTP."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Final

import typer

from hepatica.core.errors import UsageError
from hepatica.entrypoints.cli.record import Database, Home

ADDRESS: Final = "127.0.0.1"
PORT: Final = 8765


def serve_command(
    home: Home,
    database: Database = "",
    address: Annotated[str, typer.Option("--address", help="Address to listen on.")] = ADDRESS,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any free port.")] = PORT,
    hosts: Annotated[
        list[str] | None, typer.Option("--host-name", help="Host name it answers to; may come several times.")
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option("--tls-certificate", help="PEM file.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="PEM file.")] = None,
    trusted_proxy: Annotated[
        str, typer.Option("--trusted-proxy", help="Address of a proxy that speaks TLS for this server.")
    ] = "",
) -> None:
    """Serve a record. Without TLS files or a trusted proxy it listens on the loopback address only."""
    check_address(address, has_tls=bool(tls_certificate and tls_key), trusted_proxy=trusted_proxy)
    if bool(tls_certificate) != bool(tls_key):
        raise UsageError(
            expected="a certificate and its key", given="one of the two", where="--tls-certificate, --tls-key"
        )
    from hepatica.entrypoints.web.server import Listening, serve_record

    serve_record(
        home,
        database=database,
        hosts=tuple(hosts or ()),
        listening=Listening(
            address=address,
            port=port,
            tls=(tls_certificate, tls_key) if tls_certificate and tls_key else None,
            trusted_proxy=trusted_proxy,
        ),
    )


def check_address(address: str, *, has_tls: bool, trusted_proxy: str) -> None:
    """Refuse to send passwords and scans over a network in the clear.

    Raises
    ------
    UsageError
        If the address is not the machine's own and neither TLS nor a proxy is named.
    """
    try:
        is_own = address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError as problem:
        raise UsageError(
            expected="an IP address to listen on", given="another text", where="--address"
        ) from problem
    if not (is_own or has_tls or trusted_proxy):
        raise UsageError(
            expected="TLS files or a trusted proxy for an address that others can reach",
            given="neither",
            where="--address",
            action="give --tls-certificate and --tls-key, or --trusted-proxy",
        )
