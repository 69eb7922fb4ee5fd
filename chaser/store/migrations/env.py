"""Run by Alembic. The connection, and the transaction around everything, are the caller's (`chaser.store.schema`)."""

from alembic import context
from sqlalchemy import Connection

from chaser.store.tables import metadata

connection = context.config.attributes["connection"]
assert isinstance(connection, Connection)
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
