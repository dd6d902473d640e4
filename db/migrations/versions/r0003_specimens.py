"""Specimens of tomograms; runs and the membrane label of segmentations."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a segmentation file may be registered again after a new prediction."""
    op.add_column("tomograms", sa.Column("specimen", sa.String(), nullable=True))
    op.create_index(op.f("ix_tomograms_specimen"), "tomograms", ["specimen"])
    with op.batch_alter_table("segmentations") as segmentations:
        segmentations.add_column(sa.Column("membrane_label", sa.Integer(), nullable=True))
        segmentations.add_column(
            sa.Column("run", sa.Integer(), nullable=False, server_default=sa.text("1"))
        )
        segmentations.drop_constraint(
            op.f("uq_segmentations_tomogram_id_root_id_path"), type_="unique"
        )
        segmentations.create_unique_constraint(
            op.f("uq_segmentations_tomogram_id_root_id_path_run"),
            ["tomogram_id", "root_id", "path", "run"],
        )
        segmentations.create_check_constraint(op.f("ck_segmentations_run"), "run > 0")
