"""The spacing of patches whose voxel size was stated after their files were written."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("patches", sa.Column("grid_spacing", sa.Double(), nullable=True))
