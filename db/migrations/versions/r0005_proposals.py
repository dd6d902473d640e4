"""Proposed places, and the job that looks for them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
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
    "propose",
)
POINTS_AT = (
    ("tomogram_id", "tomograms"),
    ("segmentation_id", "segmentations"),
    ("patch_id", "patches"),
    ("proposed_by_id", "people"),
    ("decided_by_id", "people"),
)


def upgrade() -> None:
    """Add the table, and widen the CHECK of the jobs' kinds."""
    op.create_table("proposals", *_columns(), *_constraints())
    for columns in (["state", "audit", "score"], ["tomogram_id", "state"], ["patch_id"]):
        op.create_index(op.f(f"ix_proposals_{'_'.join(columns)}"), "proposals", columns)
    listed = ", ".join(f"'{kind}'" for kind in KINDS)
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_constraint(op.f("ck_jobs_kind"), type_="check")
        jobs.create_check_constraint(op.f("ck_jobs_kind"), f"kind IN ({listed})")


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tomogram_id", sa.Integer(), nullable=False),
        sa.Column("segmentation_id", sa.Integer(), nullable=False),
        sa.Column("center_z", sa.Integer(), nullable=False),
        sa.Column("center_y", sa.Integer(), nullable=False),
        sa.Column("center_x", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("pins", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("audit", sa.Boolean(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("patch_id", sa.Integer(), nullable=True),
        sa.Column("dismissal", sa.String(length=24), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proposed_by_id", sa.Integer(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by_id", sa.Integer(), nullable=True),
    ]


def _constraints() -> list[sa.Constraint]:
    checks = {
        "state": "state IN ('waiting', 'accepted', 'dismissed')",
        "dismissal": "dismissal IN ('nothing_wrong', 'cannot_tell', 'other')",
        "accepted": "(state = 'accepted') = (patch_id IS NOT NULL)",
        "dismissed": "(state = 'dismissed') = (dismissal IS NOT NULL)",
    }
    return [
        *(sa.CheckConstraint(rule, name=op.f(f"ck_proposals_{n}")) for n, rule in checks.items()),
        *(
            sa.ForeignKeyConstraint([column], [f"{table}.id"], name=op.f(f"fk_proposals_{column}"))
            for column, table in POINTS_AT
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposals")),
    ]
