"""A record over HTTP for tests: people of every role, a quick hash, a client of the application in this process."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

from hepatica.adapters.store.home import make_home
from hepatica.bootstrap import SystemClock
from hepatica.bootstrap.scans import make_moved_dates
from hepatica.entrypoints.web.app import make_app
from hepatica.entrypoints.web.services import WebServices
from hepatica.entrypoints.web.settings import WebSettings
from hepatica.record.item import Item
from hepatica.record.people import Role, make_system_actor
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import create_item
from hepatica.workflows.record_ports import RecordContext

PASSWORD = "three quiet herons"
WRITES = {"x-hepatica": "1"}


class PlainPasswords:
    """Quick stand-in for the slow hash."""

    def hash_password(self, password: str) -> str:
        return password[::-1]

    def matches(self, password: str, hashed: str | None) -> bool:
        return hashed is not None and password[::-1] == hashed


@dataclass
class WebRecord:
    """An open record and its application."""

    home: Any
    context: RecordContext
    app: Any
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, **more: Any) -> Any:
        """A client without a session."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from starlette.testclient import TestClient
        headers = {**WRITES, **more.pop("headers", {})}
        return TestClient(
            self.app, base_url="http://127.0.0.1", raise_server_exceptions=False, headers=headers, **more
        )

    def invite(self, login: str, *roles: Role, sites=("s1",)) -> str:
        """Make an account that can log in; returns its identifier."""
        account, secret = invite_account(
            self.context, login=login, display_name=login, roles=roles, site_ids=sites
        )
        accept_link(self.context, PlainPasswords(), secret=secret, password=PASSWORD)
        return account.item_id

    def enter(self, login: str, *roles: Role, sites=("s1",)) -> Any:
        """A client with a session of a new account."""
        self.invite(login, *roles, sites=sites)
        client = self.client()
        assert client.post("/api/login", json={"login": login, "password": PASSWORD}).status_code == 200
        return client

    def add(
        self, kind: str, item_id: str, values: dict, *, patient_id: str = "p1", site_id: str = "s1"
    ) -> Item:
        """Put an item into the record as the program itself."""
        item = Item(
            kind=kind, item_id=item_id, site_id=site_id, patient_id=patient_id, version=1, values=values
        )
        with self.context.store.writing() as writer:
            return create_item(self.context, writer, item=item)

    def add_patient(self, item_id: str = "p1", *, site_id: str = "s1") -> Item:
        """A patient."""
        values = {"subject_id": f"S-{item_id}", "status": "screening"}
        return self.add("patient", item_id, values, patient_id=item_id, site_id=site_id)


def open_web_record(folder, *, mode: str = "clinical", services: WebServices | None = None, clock=None):
    """A new record in a folder, with its application."""
    home = make_home(folder / "home", mode=mode)
    context = RecordContext(
        store=home.store,
        files=home.files,
        clock=clock or SystemClock(),
        actor=make_system_actor(),
        dates=make_moved_dates(home.folder, mode=mode),
    )
    settings = WebSettings(hosts=frozenset({"127.0.0.1"}), secure_cookies=False, version="0", mode=mode)
    app = make_app(context, PlainPasswords(), settings=settings, services=services)
    return WebRecord(home=home, context=context, app=app)
