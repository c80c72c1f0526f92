"""Salts of seals, order of keys by their bytes, and a trail into which nothing can be put but at its end."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

WORDS: Final = (
    ("answer", "account_id", 200),
    ("answer", "key", 200),
    ("checkpoint", "hash", 64),
    ("checkpoint", "time_utc", 40),
    ("checkpoint", "signature", 64),
    ("credential", "account_id", 200),
    ("credential", "login", 200),
    ("credential", "oidc_subject", 200),
    ("credential", "barred_until", 40),
    ("credential", "changed_at", 40),
    ("event", "hash", 64),
    ("event", "kind", 60),
    ("event", "item_id", 200),
    ("event", "patient_id", 200),
    ("item", "kind", 60),
    ("item", "item_id", 200),
    ("item", "site_id", 200),
    ("item", "patient_id", 200),
    ("job", "job_id", 200),
    ("job", "kind", 60),
    ("job", "account_id", 200),
    ("job", "site_id", 200),
    ("job", "patient_id", 200),
    ("job", "state", 20),
    ("job", "stage", 200),
    ("job", "created_at", 40),
    ("job", "seen_at", 40),
    ("record_meta", "name", 60),
    ("sealed_change", "field", 60),
    ("sealed_item", "kind", 60),
    ("sealed_item", "item_id", 200),
    ("session", "token_digest", 64),
    ("session", "account_id", 200),
    ("session", "purpose", 20),
    ("session", "created_at", 40),
    ("session", "seen_at", 40),
    ("session", "expires_at", 40),
    ("vault", "purpose", 40),
    ("vault", "pseudonym", 200),
)


def upgrade() -> None:
    """Add what version 0001 lacks; its seals stay as they are."""
    op.create_table(
        "seal_salt",
        sa.Column("kind", _word(60), nullable=False),
        sa.Column("item_id", _word(200), nullable=False),
        sa.Column("salt", _word(64), nullable=False),
        sa.PrimaryKeyConstraint("kind", "item_id", name=op.f("pk_seal_salt")),
    )
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        for table, column, length in WORDS:
            op.execute(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE varchar({length}) COLLATE "C"')
        _guard_postgresql()


def _word(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _guard_sqlite() -> None:
    # INSERT OR REPLACE deletes without the triggers for deletion.
    op.execute(
        "CREATE TRIGGER event_only_at_end BEFORE INSERT ON event "
        "WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM event) "
        "BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END"
    )
    op.execute(
        "CREATE TRIGGER checkpoint_no_replace BEFORE INSERT ON checkpoint "
        "WHEN EXISTS (SELECT 1 FROM checkpoint WHERE number = NEW.number) "
        "BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END"
    )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION hepatica_only_at_end() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM event) THEN "
        "RAISE EXCEPTION 'the trail is append-only'; END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER event_only_at_end BEFORE INSERT ON event "
        "FOR EACH ROW EXECUTE FUNCTION hepatica_only_at_end()"
    )
