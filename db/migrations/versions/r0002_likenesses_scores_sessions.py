"""Likenesses between patches, scores of segmentations, ended sessions; three more kinds of job."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KINDS = (
    "extract", "merge", "collect", "hash", "preview", "export", "import", "duplicates", "score",
    "backup",
)  # fmt: skip


def upgrade() -> None:
    """Add the tables, and widen the CHECK of the jobs' kinds."""
    _likenesses()
    _scores()
    _ended_sessions()
    listed = ", ".join(f"'{kind}'" for kind in KINDS)
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint(op.f("ck_jobs_kind"), type_="check")
        jobs.create_check_constraint(op.f("ck_jobs_kind"), f"kind IN ({listed})")


def _likenesses() -> None:
    op.create_table(
        "likenesses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patch_id", sa.Integer(), nullable=False),
        sa.Column("other_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("measure", sa.Double(), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('second_annotation', 'near_duplicate', 'overlap')",
            name=op.f("ck_likenesses_kind"),
        ),
        sa.CheckConstraint("patch_id <> other_id", name=op.f("ck_likenesses_two")),
        sa.ForeignKeyConstraint(["patch_id"], ["patches.id"], name=op.f("fk_likenesses_patch_id")),
        sa.ForeignKeyConstraint(["other_id"], ["patches.id"], name=op.f("fk_likenesses_other_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_likenesses")),
        sa.UniqueConstraint(
            "patch_id", "other_id", "kind", name=op.f("uq_likenesses_patch_id_other_id_kind")
        ),
    )
    op.create_index(op.f("ix_likenesses_other_id"), "likenesses", ["other_id"])


def _scores() -> None:
    op.create_table(
        "scores",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("segmentation_id", sa.Integer(), nullable=False),
        sa.Column("patch_id", sa.Integer(), nullable=False),
        sa.Column("merge_id", sa.Integer(), nullable=False),
        sa.Column("dice", sa.Double(), nullable=True),
        sa.Column("surface_dice", sa.Double(), nullable=True),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("compared_voxels", sa.Integer(), nullable=False),
        sa.Column("in_training", sa.Boolean(), nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["segmentation_id"], ["segmentations.id"], name=op.f("fk_scores_segmentation_id")
        ),
        sa.ForeignKeyConstraint(["patch_id"], ["patches.id"], name=op.f("fk_scores_patch_id")),
        sa.ForeignKeyConstraint(["merge_id"], ["merges.id"], name=op.f("fk_scores_merge_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scores")),
        sa.UniqueConstraint(
            "segmentation_id", "merge_id", name=op.f("uq_scores_segmentation_id_merge_id")
        ),
    )
    op.create_index(op.f("ix_scores_patch_id"), "scores", ["patch_id"])


def _ended_sessions() -> None:
    op.create_table(
        "ended_sessions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_ended_sessions_person_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ended_sessions")),
    )
    op.create_index(op.f("ix_ended_sessions_expires_at"), "ended_sessions", ["expires_at"])
