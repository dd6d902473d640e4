"""Run Alembic on the connection that db.schema provides, in its transaction."""

from alembic import context

from db.models.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
