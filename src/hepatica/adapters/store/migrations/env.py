"""Run the steps on an open connection; only `hepatica.adapters.store.migrate` calls it."""

from __future__ import annotations

from alembic import context

from hepatica.adapters.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
