"""Hashes of exported images; no likenesses, and no job that searched for them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KINDS = (
    "extract",
    "merge",
    "collect",
    "hash",
    "preview",
    "export",
    "import",
    "score",
    "backup",
)


def upgrade() -> None:
    """Add the column; drop what the search for near duplicates left."""
    op.add_column("export_patches", sa.Column("image_hash", sa.String(), nullable=True))
    op.create_index(op.f("ix_export_patches_image_hash"), "export_patches", ["image_hash"])
    op.drop_table("likenesses")
    op.execute(
        "DELETE FROM job_events WHERE job_id IN (SELECT id FROM jobs WHERE kind = 'duplicates')"
    )
    op.execute("DELETE FROM jobs WHERE kind = 'duplicates'")
    listed = ", ".join(f"'{kind}'" for kind in KINDS)
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint(op.f("ck_jobs_kind"), type_="check")
        jobs.create_check_constraint(op.f("ck_jobs_kind"), f"kind IN ({listed})")
