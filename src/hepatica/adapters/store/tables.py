"""The record's tables, one set for SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
}
METADATA: Final = MetaData(naming_convention=NAMING)
# Plain JSON on PostgreSQL too: it keeps a number as it was written, and digests depend on that.
Document: Final[Any] = JSON(none_as_null=True)


def word(length: int) -> Any:
    """Return the type of a short text that sorts by its bytes on every database, whatever language it speaks.

    Parameters
    ----------
    length
        Most characters.
    """
    return String(length).with_variant(String(length, collation="C"), "postgresql")


Time: Final[Any] = word(40)
"""ISO 8601 in UTC with microseconds, which sorts as text; SQLite has no time with zone."""
# SQLite gives a row number only to plain INTEGER keys.
Number: Final[Any] = BigInteger().with_variant(Integer, "sqlite")
KEY_LENGTH: Final = 200

META = Table(
    "record_meta",
    METADATA,
    Column("name", word(60), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Record identifier, mode, time of making, digest of the sealing key."""

ITEM = Table(
    "item",
    METADATA,
    Column("kind", word(60), primary_key=True),
    Column("item_id", word(KEY_LENGTH), primary_key=True),
    Column("site_id", word(KEY_LENGTH), nullable=False),
    Column("patient_id", word(KEY_LENGTH), nullable=False),
    Column("version", Integer, nullable=False),
    Column("locked", Boolean, nullable=False),
    Column("content", Document, nullable=False),
    Column("search", Text, nullable=False),
    Index(None, "kind", "patient_id", "item_id"),
    Index(None, "kind", "site_id", "item_id"),
)
"""Current values, without those of sealed fields."""

SEALED = Table(
    "sealed_item",
    METADATA,
    Column("kind", word(60), primary_key=True),
    Column("item_id", word(KEY_LENGTH), primary_key=True),
    Column("content", Document, nullable=False),
)
"""Current values of sealed fields: who a patient is. Grant it apart where the database can."""

SEALED_CHANGE = Table(
    "sealed_change",
    METADATA,
    Column("event_number", Number, primary_key=True, autoincrement=False),
    Column("field", word(60), primary_key=True),
    Column("old", Document),
    Column("new", Document),
)
"""What the seals in the trail stand for. May be erased; the chain stays whole."""

SALT = Table(
    "seal_salt",
    METADATA,
    Column("kind", word(60), primary_key=True),
    Column("item_id", word(KEY_LENGTH), primary_key=True),
    Column("salt", word(64), nullable=False),
)
"""What each item's seals are mixed with: once it is erased, nobody can try values against the seals."""

EVENT = Table(
    "event",
    METADATA,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("hash", word(64), nullable=False),
    Column("kind", word(60), nullable=False),
    Column("item_id", word(KEY_LENGTH), nullable=False),
    Column("patient_id", word(KEY_LENGTH), nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "kind", "item_id", "number"),
    Index(None, "patient_id", "number"),
)
"""The trail. Triggers refuse to change or delete a row."""

CHECKPOINT = Table(
    "checkpoint",
    METADATA,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("hash", word(64), nullable=False),
    Column("time_utc", Time, nullable=False),
    Column("signature", word(64), nullable=False),
)

ANSWER = Table(
    "answer",
    METADATA,
    Column("account_id", word(KEY_LENGTH), primary_key=True),
    Column("key", word(KEY_LENGTH), primary_key=True),
    Column("answer", Document, nullable=False),
)
"""What requests with an idempotency key were answered."""

CREDENTIAL = Table(
    "credential",
    METADATA,
    Column("account_id", word(KEY_LENGTH), primary_key=True),
    Column("login", word(KEY_LENGTH), nullable=False, unique=True),
    Column("password_hash", Text),
    Column("oidc_subject", word(KEY_LENGTH), unique=True),
    Column("failures", Integer, nullable=False),
    Column("barred_until", Time),
    Column("changed_at", Time, nullable=False),
)

SESSION = Table(
    "session",
    METADATA,
    Column("token_digest", word(64), primary_key=True),
    Column("account_id", word(KEY_LENGTH), nullable=False, index=True),
    Column("purpose", word(20), nullable=False),
    Column("created_at", Time, nullable=False),
    Column("seen_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
)
"""Logins, invitations and password resets: only the digest of a token is kept."""

JOB = Table(
    "job",
    METADATA,
    Column("job_id", word(KEY_LENGTH), primary_key=True),
    Column("kind", word(60), nullable=False),
    Column("account_id", word(KEY_LENGTH), nullable=False),
    Column("site_id", word(KEY_LENGTH), nullable=False),
    Column("patient_id", word(KEY_LENGTH), nullable=False),
    Column("state", word(20), nullable=False, index=True),
    Column("request", Document, nullable=False),
    Column("result", Document),
    Column("stage", word(KEY_LENGTH), nullable=False),
    Column("fraction", Integer, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("seen_at", Time, nullable=False),
)
"""Long work; ``fraction`` in thousandths."""

VAULT = Table(
    "vault",
    METADATA,
    Column("purpose", word(40), primary_key=True),
    Column("pseudonym", word(KEY_LENGTH), primary_key=True),
    Column("original", Text, nullable=False),
    Index(None, "purpose", "original"),
)
"""Research mode: names, UIDs and true dates behind pseudonyms."""

APPEND_ONLY: Final = ("event", "checkpoint")
