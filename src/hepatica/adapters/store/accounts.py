"""Credentials and tokens in the database. They hold no secret: a hash of the password, a digest of each token."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from hepatica.adapters.store.tables import CREDENTIAL, SESSION
from hepatica.record.sign_in import Credential, Purpose, Token


class SqlAccounts:
    """Credentials and tokens within one transaction.

    Parameters
    ----------
    connection
        Open transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find_credential(
        self, *, login: str = "", account_id: str = "", oidc_subject: str = ""
    ) -> Credential | None:
        """Return a credential by whichever is given, or None."""
        statement = select(CREDENTIAL)
        for column, value in (
            (CREDENTIAL.c.login, login.casefold()),
            (CREDENTIAL.c.account_id, account_id),
            (CREDENTIAL.c.oidc_subject, oidc_subject),
        ):
            if value:
                row = self._connection.execute(statement.where(column == value)).one_or_none()
                return None if row is None else _to_credential(row)
        return None

    def write_credential(self, credential: Credential) -> None:
        """Add or replace a credential."""
        values = {
            "login": credential.login.casefold(),
            "password_hash": credential.password_hash,
            "oidc_subject": credential.oidc_subject,
            "failures": credential.failures,
            "barred_until": _to_text(credential.barred_until),
            "changed_at": _to_text(credential.changed_at),
        }
        changed = self._connection.execute(
            update(CREDENTIAL).where(CREDENTIAL.c.account_id == credential.account_id).values(**values)
        )
        if changed.rowcount == 0:
            self._connection.execute(insert(CREDENTIAL).values(account_id=credential.account_id, **values))

    def find_token(self, digest: str) -> Token | None:
        """Return a token, or None."""
        row = self._connection.execute(select(SESSION).where(SESSION.c.token_digest == digest)).one_or_none()
        return None if row is None else _to_token(row)

    def list_tokens(self, account_id: str) -> tuple[Token, ...]:
        """Return every token of an account."""
        statement = select(SESSION).where(SESSION.c.account_id == account_id).order_by(SESSION.c.token_digest)
        return tuple(_to_token(row) for row in self._connection.execute(statement))

    def write_token(self, token: Token) -> None:
        """Keep a new token."""
        self._connection.execute(
            insert(SESSION).values(
                token_digest=token.digest,
                account_id=token.account_id,
                purpose=token.purpose.value,
                created_at=_to_text(token.created_at),
                seen_at=_to_text(token.seen_at),
                expires_at=_to_text(token.expires_at),
            )
        )

    def touch_token(self, digest: str, *, seen_at: datetime) -> None:
        """Note that a session was used."""
        self._connection.execute(
            update(SESSION).where(SESSION.c.token_digest == digest).values(seen_at=_to_text(seen_at))
        )

    def remove_tokens(self, *, digest: str = "", account_id: str = "") -> None:
        """Close one token, or all of an account."""
        for column, value in ((SESSION.c.token_digest, digest), (SESSION.c.account_id, account_id)):
            if value:
                self._connection.execute(delete(SESSION).where(column == value))

    def remove_expired(self, *, now: datetime) -> None:
        """Forget tokens whose time is over."""
        self._connection.execute(delete(SESSION).where(SESSION.c.expires_at < _to_text(now)))


def _to_credential(row: Any) -> Credential:
    return Credential(
        account_id=row.account_id,
        login=row.login,
        password_hash=row.password_hash,
        oidc_subject=row.oidc_subject,
        failures=row.failures,
        barred_until=datetime.fromisoformat(row.barred_until) if row.barred_until else None,
        changed_at=datetime.fromisoformat(row.changed_at),
    )


def _to_token(row: Any) -> Token:
    return Token(
        digest=row.token_digest,
        account_id=row.account_id,
        purpose=Purpose(row.purpose),
        created_at=datetime.fromisoformat(row.created_at),
        seen_at=datetime.fromisoformat(row.seen_at),
        expires_at=datetime.fromisoformat(row.expires_at),
    )


def _to_text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="microseconds")
