"""The archives that a server may speak to: one file in the record's folder. No request can name an address."""

from __future__ import annotations

import logging
import re
import ssl
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from hepatica.core.errors import HepaticaError, InputError, NotFoundError, PacsError
from hepatica.workflows.scan_ports import StudyQuery

FILE: Final = "pacs.toml"
TIMEOUT_S: Final = 30.0
"""How long a PACS may be silent before it counts as out of reach."""
STUDIES_MAX: Final = 200
"""Most studies of one search."""
OBJECTS_MAX: Final = 100_000
"""Most objects of one study."""
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_AE: Final = re.compile(r"[A-Za-z0-9_.-]{1,16}")
_SPEAKERS: Final = ("pynetdicom", "dicomweb_client", "urllib3", "requests", "retrying")


@dataclass(frozen=True, slots=True, kw_only=True)
class PacsSettings:
    """One archive.

    Parameters
    ----------
    name
        What requests call it.
    protocol
        ``dicomweb`` or ``dimse``.
    url, password, user
        Of DICOMweb; the password is read from a file of its own.
    host, port, called_ae, calling_ae
        Of DIMSE.
    receive_address, receive_port
        Where this side takes what a C-MOVE sends; the PACS must know it by ``calling_ae``. Port 0 for any.
    tls
        Whether DIMSE is over TLS; DICOMweb says so by its URL.
    ca_file, certificate_file, key_file
        For TLS; None for the system's authorities, and for no certificate of one's own.
    timeout_s
        Longest silence.
    """

    name: str
    protocol: str
    url: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    host: str = field(default="", repr=False)
    port: int = 0
    called_ae: str = ""
    calling_ae: str = "HEPATICA"
    receive_address: str = "127.0.0.1"
    receive_port: int = 0
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    timeout_s: float = TIMEOUT_S

    def make_tls(self, *, serves: bool = False) -> ssl.SSLContext | None:
        """Return the TLS context of DIMSE; None where it is not used.

        Parameters
        ----------
        serves
            Whether this side is the one called.
        """
        if not self.tls:
            return None
        purpose = ssl.Purpose.CLIENT_AUTH if serves else ssl.Purpose.SERVER_AUTH
        context = ssl.create_default_context(purpose, cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate_file is not None:
            context.load_cert_chain(self.certificate_file, self.key_file)
        if serves and self.ca_file is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def read_settings(home: Path) -> Mapping[str, PacsSettings]:
    """Return the archives of a record's configuration, by name; none where there is no file.

    Parameters
    ----------
    home
        The record's folder.

    Raises
    ------
    InputError
        If the file is no such configuration. The message never holds an address or a password.
    """
    path = home / FILE
    if not path.is_file():
        return {}
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise InputError(expected="a TOML file", given=type(problem).__name__, where=FILE) from problem
    tables = document.get("pacs", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        _refuse("tables [pacs.NAME]", "others")
    return {name: _to_settings(home, name, table) for name, table in sorted(tables.items())}


def find_settings(home: Path, name: str) -> PacsSettings:
    """Return one archive.

    Raises
    ------
    NotFoundError
        If the configuration does not name it.
    """
    found = read_settings(home)
    if name not in found:
        known = ", ".join(found) or "none is configured"
        raise NotFoundError(
            expected=f"a PACS of the server's configuration ({known})", given="another name", where="pacs"
        )
    return found[name]


def check_query(query: StudyQuery) -> None:
    """Refuse a search that is none, or that would ask for everything.

    Raises
    ------
    InputError
        If neither number nor study is given, or one holds a wildcard or is not of its form.
    """
    if not (query.patient_number or query.study_uid):
        raise InputError(expected="a patient's number or a study", given="neither", where="search")
    if query.study_uid and not is_uid(query.study_uid):
        raise InputError(expected="a UID", given="another text", where="study")
    number = query.patient_number
    if len(number) > 64 or any(letter in number for letter in "*?\\") or not number.isprintable():
        raise InputError(expected="a number without wildcards", given="another text", where="patient number")
    if query.modality and not re.fullmatch(r"[A-Z0-9_]{1,16}", query.modality):
        raise InputError(expected="a modality such as CT", given="another text", where="modality")
    for day in (query.from_date, query.to_date):
        if day and not _DATE.fullmatch(day):
            raise InputError(expected="a date such as 2026-11-23", given="another text", where="dates")


def is_uid(text: str) -> bool:
    """Return whether a text has the form of a UID."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def to_date_range(query: StudyQuery) -> str:
    """Return the dates of a search in DICOM's form; empty for all."""
    first, last = query.from_date.replace("-", ""), query.to_date.replace("-", "")
    return f"{first}-{last}" if first or last else ""


@contextmanager
def speaking(name: str, *, doing: str) -> Iterator[None]:
    """Turn whatever a network library raises inside the block into `PacsError`, and keep its log silent.

    Messages and logs of these libraries quote addresses, queries and headers: who the patient is.

    Parameters
    ----------
    name
        Of the archive.
    doing
        What was tried.
    """
    for speaker in _SPEAKERS:
        logging.getLogger(speaker).setLevel(logging.CRITICAL + 1)
    try:
        yield
    except HepaticaError:
        raise
    except Exception as problem:  # noqa: BLE001  whatever it is, its text must not be shown
        status = getattr(getattr(problem, "response", None), "status_code", "")
        raise PacsError(
            expected="an answer of the PACS",
            given=f"{type(problem).__name__} {status}".strip(),
            where=f"PACS '{name}', {doing}",
            action="see whether it is reachable and knows this server",
        ) from None


def _to_settings(home: Path, name: str, table: Mapping[str, Any]) -> PacsSettings:
    if not re.fullmatch(r"[a-z0-9-]{1,40}", name):
        _refuse("a name of small letters, digits and hyphens", "another", name="")
    values: dict[str, Any] = dict(table)
    files: dict[str, Any] = {
        key: (home / str(values.pop(key)))
        for key in ("ca_file", "certificate_file", "key_file")
        if key in values
    }
    if "password_file" in values:
        try:
            values["password"] = (home / str(values.pop("password_file"))).read_text("utf-8").strip()
        except OSError:
            _refuse("a password_file that can be read", "none", name=name)
    elif "password" in values:
        _refuse("a password_file: passwords do not belong into the configuration", "a password", name=name)
    try:
        settings = PacsSettings(name=name, **values, **files)
    except TypeError:
        _refuse("the options that the reference lists", "another one, or no protocol", name=name)
    _check(settings)
    return settings


def _check(settings: PacsSettings) -> None:
    name = settings.name
    if not isinstance(settings.timeout_s, (int, float)) or not 0 < settings.timeout_s <= 600:
        _refuse("timeout_s from 0 to 600", "another", name=name)
    if settings.protocol == "dicomweb":
        parts = urlsplit(str(settings.url))
        own = parts.hostname in ("127.0.0.1", "localhost", "::1")
        if parts.scheme != "https" and not (parts.scheme == "http" and own):
            _refuse("a url that begins with https:// (http:// on this machine only)", "another", name=name)
        if parts.username or parts.query:
            _refuse("a url without user and query", "another", name=name)
    elif settings.protocol == "dimse":
        titles = (settings.called_ae, settings.calling_ae)
        if not settings.host or not all(_AE.fullmatch(str(title)) for title in titles):
            _refuse("host, called_ae and calling_ae of up to 16 letters", "others", name=name)
        if not all(
            isinstance(port, int) and 0 <= port < 65536 for port in (settings.port, settings.receive_port)
        ):
            _refuse("ports from 0 to 65535", "others", name=name)
    else:
        _refuse("protocol 'dicomweb' or 'dimse'", "another", name=name)


def _refuse(expected: str, given: str, *, name: str = "") -> NoReturn:
    raise InputError(expected=expected, given=given, where=f"{FILE}, {name}" if name else FILE)
