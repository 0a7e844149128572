"""Alembic runs this. The connection comes from `migrate()`, inside its transaction."""

from alembic import context
from sqlmodel import SQLModel

import dcx_ari.store.ledger.models
import dcx_ari.store.models  # noqa: F401  the tables register themselves

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
