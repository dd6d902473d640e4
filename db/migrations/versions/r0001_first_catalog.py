"""The first catalog: every table, and the triggers that keep events as they were."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of an empty catalog."""
    _tables()
    if op.get_bind().dialect.name == "postgresql":
        _merges_of_patches()
        _append_only_postgresql()
    else:
        _append_only_sqlite()


def _tables() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "length(token) BETWEEN 1 AND 120", name=op.f("ck_datasets_token_length")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("token", name=op.f("uq_datasets_token")),
    )
    op.create_table(
        "facts",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_facts")),
    )
    op.create_table(
        "hosts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("boot_id", sa.String(), nullable=True),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hosts")),
        sa.UniqueConstraint("name", name=op.f("uq_hosts_name")),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("os_user", sa.String(), nullable=True),
        sa.Column("issuer", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("role", sa.String(length=24), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "role IN ('viewer', 'annotator', 'reviewer', 'curator', 'admin')",
            name=op.f("ck_people_role"),
        ),
        sa.CheckConstraint(
            "(issuer IS NULL AND subject IS NULL) OR (issuer IS NOT NULL AND subject IS NOT NULL)",
            name=op.f("ck_people_identity"),
        ),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 200", name=op.f("ck_people_name_length")),
        sa.ForeignKeyConstraint(
            ["updated_by_id"], ["people.id"], name=op.f("fk_people_updated_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_people_issuer_subject")),
        sa.UniqueConstraint("name", name=op.f("uq_people_name")),
        sa.UniqueConstraint("os_user", name=op.f("uq_people_os_user")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        sa.UniqueConstraint("name", name=op.f("uq_workers_name")),
    )
    op.create_table(
        "backups",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by_id", sa.Integer(), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('daily', 'before_migration', 'asked')", name=op.f("ck_backups_kind")
        ),
        sa.ForeignKeyConstraint(["made_by_id"], ["people.id"], name=op.f("fk_backups_made_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backups")),
    )
    op.create_index(op.f("ix_backups_made_at"), "backups", ["made_at"], unique=False)
    op.create_table(
        "bundles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("bundle_id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("attribution", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("imported_by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["imported_by_id"], ["people.id"], name=op.f("fk_bundles_imported_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundles")),
        sa.UniqueConstraint("bundle_id", name=op.f("uq_bundles_bundle_id")),
    )
    op.create_table(
        "data_roots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["added_by_id"], ["people.id"], name=op.f("fk_data_roots_added_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_roots")),
        sa.UniqueConstraint("path", name=op.f("uq_data_roots_path")),
    )
    op.create_table(
        "exports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("manifest_sha256", sa.String(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("scope", sa.String(length=24), nullable=True),
        sa.Column("licence", sa.String(length=24), nullable=True),
        sa.Column("patch_count", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("kind IN ('training_set', 'bundle')", name=op.f("ck_exports_kind")),
        sa.CheckConstraint("licence IN ('CC0-1.0', 'CC-BY-4.0')", name=op.f("ck_exports_licence")),
        sa.CheckConstraint(
            "scope IN ('internal', 'collaborator', 'public')", name=op.f("ck_exports_scope")
        ),
        sa.ForeignKeyConstraint(["made_by_id"], ["people.id"], name=op.f("fk_exports_made_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(op.f("ix_exports_made_at"), "exports", ["made_at"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("input_hashes", sa.JSON(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('extract', 'merge', 'collect', 'hash', 'preview', 'export', 'backup')",
            name=op.f("ck_jobs_kind"),
        ),
        sa.CheckConstraint(
            "state <> 'running' OR lease_until IS NOT NULL", name=op.f("ck_jobs_leased")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_jobs_state"),
        ),
        sa.CheckConstraint("progress BETWEEN 0 AND 1", name=op.f("ck_jobs_progress")),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["people.id"], name=op.f("fk_jobs_created_by_id")
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["jobs.id"], name=op.f("fk_jobs_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_created_at"), "jobs", ["created_at"], unique=False)
    op.create_index(op.f("ix_jobs_parent_id"), "jobs", ["parent_id"], unique=False)
    op.create_index(op.f("ix_jobs_state_due_at"), "jobs", ["state", "due_at"], unique=False)
    op.create_index(
        op.f("ix_jobs_state_lease_until"), "jobs", ["state", "lease_until"], unique=False
    )
    op.create_index(
        "uq_jobs_idempotency_key_active",
        "jobs",
        ["idempotency_key"],
        unique=True,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_table(
        "saved_views",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("page", sa.String(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["people.id"], name=op.f("fk_saved_views_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint("owner_id", "name", name=op.f("uq_saved_views_owner_id_name")),
    )
    op.create_index(op.f("ix_saved_views_shared"), "saved_views", ["shared"], unique=False)
    op.create_table(
        "job_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
    )
    op.create_index(op.f("ix_job_events_job_id_id"), "job_events", ["job_id", "id"], unique=False)
    op.create_table(
        "tomograms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("voxel_size", sa.Double(), nullable=True),
        sa.Column("voxel_size_is_override", sa.Boolean(), nullable=False),
        sa.Column("header", sa.JSON(), nullable=False),
        sa.Column("split_pin", sa.String(length=24), nullable=True),
        sa.Column("thumbnail", sa.String(length=24), nullable=False),
        sa.Column("preview", sa.String(length=24), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_by_id", sa.Integer(), nullable=True),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("shape_z", sa.Integer(), nullable=False),
        sa.Column("shape_y", sa.Integer(), nullable=False),
        sa.Column("shape_x", sa.Integer(), nullable=False),
        sa.Column("dtype", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "preview IN ('absent', 'ready', 'failed')", name=op.f("ck_tomograms_preview")
        ),
        sa.CheckConstraint(
            "split_pin IN ('train', 'val', 'test')", name=op.f("ck_tomograms_split_pin")
        ),
        sa.CheckConstraint(
            "thumbnail IN ('absent', 'ready', 'failed')", name=op.f("ck_tomograms_thumbnail")
        ),
        sa.CheckConstraint(
            "shape_z > 0 AND shape_y > 0 AND shape_x > 0", name=op.f("ck_tomograms_shape")
        ),
        sa.CheckConstraint("voxel_size > 0", name=op.f("ck_tomograms_voxel_size")),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_tomograms_dataset_id")
        ),
        sa.ForeignKeyConstraint(
            ["registered_by_id"], ["people.id"], name=op.f("fk_tomograms_registered_by_id")
        ),
        sa.ForeignKeyConstraint(["root_id"], ["data_roots.id"], name=op.f("fk_tomograms_root_id")),
        sa.ForeignKeyConstraint(
            ["updated_by_id"], ["people.id"], name=op.f("fk_tomograms_updated_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tomograms")),
        sa.UniqueConstraint("dataset_id", "token", name=op.f("uq_tomograms_dataset_id_token")),
        sa.UniqueConstraint("root_id", "path", name=op.f("uq_tomograms_root_id_path")),
    )
    op.create_index(op.f("ix_tomograms_content_hash"), "tomograms", ["content_hash"], unique=False)
    op.create_index(
        op.f("ix_tomograms_registered_at"), "tomograms", ["registered_at"], unique=False
    )
    op.create_index(op.f("ix_tomograms_size_bytes"), "tomograms", ["size_bytes"], unique=False)
    op.create_index(op.f("ix_tomograms_token"), "tomograms", ["token"], unique=False)
    op.create_table(
        "permissions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tomogram_id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("scope", sa.String(length=24), nullable=False),
        sa.Column("licence", sa.String(length=24), nullable=True),
        sa.Column("approved_by", sa.String(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("embargo", sa.Date(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "licence IN ('CC0-1.0', 'CC-BY-4.0')", name=op.f("ck_permissions_licence")
        ),
        sa.CheckConstraint(
            "scope = 'internal' OR licence IS NOT NULL", name=op.f("ck_permissions_licence_stated")
        ),
        sa.CheckConstraint(
            "scope IN ('internal', 'collaborator', 'public')", name=op.f("ck_permissions_scope")
        ),
        sa.ForeignKeyConstraint(
            ["tomogram_id"], ["tomograms.id"], name=op.f("fk_permissions_tomogram_id")
        ),
        sa.ForeignKeyConstraint(
            ["updated_by_id"], ["people.id"], name=op.f("fk_permissions_updated_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permissions")),
        sa.UniqueConstraint("tomogram_id", name=op.f("uq_permissions_tomogram_id")),
    )
    op.create_table(
        "segmentations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tomogram_id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("checkpoint", sa.String(), nullable=True),
        sa.Column("threshold", sa.Double(), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_by_id", sa.Integer(), nullable=True),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("shape_z", sa.Integer(), nullable=False),
        sa.Column("shape_y", sa.Integer(), nullable=False),
        sa.Column("shape_x", sa.Integer(), nullable=False),
        sa.Column("dtype", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=True),
        sa.CheckConstraint(
            "shape_z > 0 AND shape_y > 0 AND shape_x > 0", name=op.f("ck_segmentations_shape")
        ),
        sa.ForeignKeyConstraint(
            ["registered_by_id"], ["people.id"], name=op.f("fk_segmentations_registered_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["root_id"], ["data_roots.id"], name=op.f("fk_segmentations_root_id")
        ),
        sa.ForeignKeyConstraint(
            ["tomogram_id"], ["tomograms.id"], name=op.f("fk_segmentations_tomogram_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segmentations")),
        sa.UniqueConstraint(
            "tomogram_id", "root_id", "path", name=op.f("uq_segmentations_tomogram_id_root_id_path")
        ),
    )
    op.create_index(op.f("ix_segmentations_model"), "segmentations", ["model"], unique=False)
    op.create_table(
        "patches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("tomogram_id", sa.Integer(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("segmentation_id", sa.Integer(), nullable=True),
        sa.Column("bundle_id", sa.Integer(), nullable=True),
        sa.Column("center_z", sa.Integer(), nullable=True),
        sa.Column("center_y", sa.Integer(), nullable=True),
        sa.Column("center_x", sa.Integer(), nullable=True),
        sa.Column("start_z", sa.Integer(), nullable=True),
        sa.Column("start_y", sa.Integer(), nullable=True),
        sa.Column("start_x", sa.Integer(), nullable=True),
        sa.Column("shape_z", sa.Integer(), nullable=False),
        sa.Column("shape_y", sa.Integer(), nullable=False),
        sa.Column("shape_x", sa.Integer(), nullable=False),
        sa.Column("padded", sa.Boolean(), nullable=False),
        sa.Column("shifted", sa.Boolean(), nullable=False),
        sa.Column("voxel_size", sa.Double(), nullable=True),
        sa.Column("threshold", sa.Double(), nullable=True),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("chosen_by_id", sa.Integer(), nullable=True),
        sa.Column("chosen_because", sa.String(length=24), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("stage", sa.String(length=24), nullable=False),
        sa.Column("assignee_id", sa.Integer(), nullable=True),
        sa.Column("rejected_reason", sa.String(), nullable=True),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("extracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("image_hash", sa.String(), nullable=True),
        sa.Column("label_hash", sa.String(), nullable=True),
        sa.Column("current_merge_id", sa.Integer(), nullable=True),
        sa.Column("accepted_merge_id", sa.Integer(), nullable=True),
        sa.Column("correction_count", sa.Integer(), nullable=False),
        sa.Column("merge_count", sa.Integer(), nullable=False),
        sa.Column("comment_count", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "chosen_because IN ('missed_membrane', 'false_membrane', 'hard_negative', 'other')",
            name=op.f("ck_patches_chosen_because"),
        ),
        sa.CheckConstraint(
            "stage <> 'accepted' OR accepted_merge_id IS NOT NULL", name=op.f("ck_patches_accepted")
        ),
        sa.CheckConstraint(
            "stage = 'chosen' OR label_hash IS NOT NULL", name=op.f("ck_patches_extracted")
        ),
        sa.CheckConstraint(
            "stage IN ('chosen', 'extracted', 'correcting', 'merged', 'in_review', 'accepted')",
            name=op.f("ck_patches_stage"),
        ),
        sa.CheckConstraint(
            "stage NOT IN ('merged', 'in_review', 'accepted') OR current_merge_id IS NOT NULL",
            name=op.f("ck_patches_merged"),
        ),
        sa.CheckConstraint(
            "(center_z IS NULL AND center_y IS NULL AND center_x IS NULL) "
            "OR (center_z IS NOT NULL AND center_y IS NOT NULL AND center_x IS NOT NULL)",
            name=op.f("ck_patches_center"),
        ),
        sa.CheckConstraint(
            "(start_z IS NULL AND start_y IS NULL AND start_x IS NULL) "
            "OR (start_z IS NOT NULL AND start_y IS NOT NULL AND start_x IS NOT NULL)",
            name=op.f("ck_patches_position"),
        ),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 250", name=op.f("ck_patches_name_length")),
        sa.CheckConstraint(
            "shape_z > 1 AND shape_y > 1 AND shape_x > 1", name=op.f("ck_patches_shape")
        ),
        sa.CheckConstraint(
            "start_z IS NULL OR tomogram_id IS NOT NULL",
            name=op.f("ck_patches_position_in_tomogram"),
        ),
        sa.ForeignKeyConstraint(
            ["accepted_merge_id"],
            ["merges.id"],
            name="fk_patches_accepted_merge_id",
            use_alter=True,
        ),
        sa.ForeignKeyConstraint(
            ["assignee_id"], ["people.id"], name=op.f("fk_patches_assignee_id")
        ),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name=op.f("fk_patches_bundle_id")),
        sa.ForeignKeyConstraint(
            ["chosen_by_id"], ["people.id"], name=op.f("fk_patches_chosen_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["current_merge_id"], ["merges.id"], name="fk_patches_current_merge_id", use_alter=True
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_patches_dataset_id")
        ),
        sa.ForeignKeyConstraint(
            ["segmentation_id"], ["segmentations.id"], name=op.f("fk_patches_segmentation_id")
        ),
        sa.ForeignKeyConstraint(
            ["tomogram_id"], ["tomograms.id"], name=op.f("fk_patches_tomogram_id")
        ),
        sa.ForeignKeyConstraint(
            ["updated_by_id"], ["people.id"], name=op.f("fk_patches_updated_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patches")),
        sa.UniqueConstraint("name", name=op.f("uq_patches_name")),
    )
    op.create_index(
        op.f("ix_patches_assignee_id_withdrawn_stage"),
        "patches",
        ["assignee_id", "withdrawn", "stage"],
        unique=False,
    )
    op.create_index(op.f("ix_patches_chosen_because"), "patches", ["chosen_because"], unique=False)
    op.create_index(
        op.f("ix_patches_dataset_id_token_number"),
        "patches",
        ["dataset_id", "token", "number"],
        unique=False,
    )
    op.create_index(
        op.f("ix_patches_dataset_id_withdrawn_name"),
        "patches",
        ["dataset_id", "withdrawn", "name"],
        unique=False,
    )
    op.create_index(op.f("ix_patches_image_hash"), "patches", ["image_hash"], unique=False)
    op.create_index(
        op.f("ix_patches_segmentation_id"), "patches", ["segmentation_id"], unique=False
    )
    op.create_index(
        op.f("ix_patches_tomogram_id_withdrawn_stage"),
        "patches",
        ["tomogram_id", "withdrawn", "stage"],
        unique=False,
    )
    op.create_index(
        op.f("ix_patches_withdrawn_name"), "patches", ["withdrawn", "name"], unique=False
    )
    op.create_index(
        op.f("ix_patches_withdrawn_stage_name"),
        "patches",
        ["withdrawn", "stage", "name"],
        unique=False,
    )
    op.create_index(
        op.f("ix_patches_withdrawn_updated_at"),
        "patches",
        ["withdrawn", "updated_at"],
        unique=False,
    )
    op.create_table(
        "comments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patch_id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("at_z", sa.Integer(), nullable=True),
        sa.Column("at_y", sa.Integer(), nullable=True),
        sa.Column("at_x", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(at_z IS NULL AND at_y IS NULL AND at_x IS NULL) "
            "OR (at_z IS NOT NULL AND at_y IS NOT NULL AND at_x IS NOT NULL)",
            name=op.f("ck_comments_place"),
        ),
        sa.CheckConstraint(
            "length(text) BETWEEN 1 AND 10000", name=op.f("ck_comments_text_length")
        ),
        sa.ForeignKeyConstraint(["author_id"], ["people.id"], name=op.f("fk_comments_author_id")),
        sa.ForeignKeyConstraint(["patch_id"], ["patches.id"], name=op.f("fk_comments_patch_id")),
        sa.ForeignKeyConstraint(
            ["resolved_by_id"], ["people.id"], name=op.f("fk_comments_resolved_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index(op.f("ix_comments_patch_id"), "comments", ["patch_id"], unique=False)
    op.create_index(op.f("ix_comments_resolved_at"), "comments", ["resolved_at"], unique=False)
    op.create_table(
        "correction_slots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patch_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=True),
        sa.Column("latest", sa.Integer(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("missing", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('add', 'remove', 'ignore')", name=op.f("ck_correction_slots_kind")
        ),
        sa.CheckConstraint(
            "length(name) BETWEEN 1 AND 255", name=op.f("ck_correction_slots_name_length")
        ),
        sa.ForeignKeyConstraint(
            ["patch_id"], ["patches.id"], name=op.f("fk_correction_slots_patch_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction_slots")),
        sa.UniqueConstraint("patch_id", "name", name=op.f("uq_correction_slots_patch_id_name")),
    )
    op.create_table(
        "drafts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patch_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["patch_id"], ["patches.id"], name=op.f("fk_drafts_patch_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_drafts_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
        sa.UniqueConstraint("patch_id", "person_id", name=op.f("uq_drafts_patch_id_person_id")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("patch_id", sa.Integer(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["patch_id"], ["patches.id"], name=op.f("fk_events_patch_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_events_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_action_id"), "events", ["action", "id"], unique=False)
    op.create_index(op.f("ix_events_at"), "events", ["at"], unique=False)
    op.create_index(op.f("ix_events_patch_id_id"), "events", ["patch_id", "id"], unique=False)
    op.create_index(op.f("ix_events_person_id_id"), "events", ["person_id", "id"], unique=False)
    op.create_index(
        op.f("ix_events_subject_subject_id_id"),
        "events",
        ["subject", "subject_id", "id"],
        unique=False,
    )
    op.create_table(
        "holds",
        sa.Column("patch_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["patch_id"], ["patches.id"], name=op.f("fk_holds_patch_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_holds_person_id")),
        sa.PrimaryKeyConstraint("patch_id", name=op.f("pk_holds")),
    )
    op.create_table(
        "merges",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patch_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("predicted_hash", sa.String(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("nothing_to_change", sa.Boolean(), nullable=False),
        sa.Column("label_hash", sa.String(), nullable=False),
        sa.Column("file_sha256", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("length(file_sha256) = 64", name=op.f("ck_merges_file_sha256")),
        sa.ForeignKeyConstraint(["made_by_id"], ["people.id"], name=op.f("fk_merges_made_by_id")),
        sa.ForeignKeyConstraint(["patch_id"], ["patches.id"], name=op.f("fk_merges_patch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merges")),
        sa.UniqueConstraint("patch_id", "number", name=op.f("uq_merges_patch_id_number")),
    )
    op.create_index(op.f("ix_merges_file_sha256"), "merges", ["file_sha256"], unique=False)
    op.create_index(op.f("ix_merges_made_at"), "merges", ["made_at"], unique=False)
    op.create_table(
        "correction_versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slot_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("author_account", sa.String(), nullable=True),
        sa.Column("software", sa.String(), nullable=True),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("painted", sa.JSON(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("origin", sa.String(length=24), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "origin IN ('collected', 'uploaded', 'painted', 'imported')",
            name=op.f("ck_correction_versions_origin"),
        ),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_correction_versions_sha256")),
        sa.ForeignKeyConstraint(
            ["author_id"], ["people.id"], name=op.f("fk_correction_versions_author_id")
        ),
        sa.ForeignKeyConstraint(
            ["received_by_id"], ["people.id"], name=op.f("fk_correction_versions_received_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["slot_id"], ["correction_slots.id"], name=op.f("fk_correction_versions_slot_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction_versions")),
        sa.UniqueConstraint(
            "slot_id", "number", name=op.f("uq_correction_versions_slot_id_number")
        ),
    )
    op.create_index(
        op.f("ix_correction_versions_author_id_received_at"),
        "correction_versions",
        ["author_id", "received_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_correction_versions_received_at"),
        "correction_versions",
        ["received_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_correction_versions_sha256"), "correction_versions", ["sha256"], unique=False
    )
    op.create_table(
        "export_patches",
        sa.Column("export_id", sa.Integer(), nullable=False),
        sa.Column("patch_id", sa.Integer(), nullable=False),
        sa.Column("merge_id", sa.Integer(), nullable=False),
        sa.Column("case", sa.String(), nullable=False),
        sa.Column("split", sa.String(length=24), nullable=True),
        sa.CheckConstraint(
            "split IN ('train', 'val', 'test')", name=op.f("ck_export_patches_split")
        ),
        sa.ForeignKeyConstraint(
            ["export_id"], ["exports.id"], name=op.f("fk_export_patches_export_id")
        ),
        sa.ForeignKeyConstraint(
            ["merge_id"], ["merges.id"], name=op.f("fk_export_patches_merge_id")
        ),
        sa.ForeignKeyConstraint(
            ["patch_id"], ["patches.id"], name=op.f("fk_export_patches_patch_id")
        ),
        sa.PrimaryKeyConstraint("export_id", "patch_id", name=op.f("pk_export_patches")),
    )
    op.create_index(
        op.f("ix_export_patches_patch_id"), "export_patches", ["patch_id"], unique=False
    )
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patch_id", sa.Integer(), nullable=False),
        sa.Column("merge_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("reviewer_id", sa.Integer(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "verdict <> 'reject' OR length(reason) > 0", name=op.f("ck_reviews_reason_stated")
        ),
        sa.CheckConstraint("verdict IN ('accept', 'reject')", name=op.f("ck_reviews_verdict")),
        sa.ForeignKeyConstraint(["merge_id"], ["merges.id"], name=op.f("fk_reviews_merge_id")),
        sa.ForeignKeyConstraint(["patch_id"], ["patches.id"], name=op.f("fk_reviews_patch_id")),
        sa.ForeignKeyConstraint(
            ["reviewer_id"], ["people.id"], name=op.f("fk_reviews_reviewer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )
    op.create_index(op.f("ix_reviews_patch_id"), "reviews", ["patch_id"], unique=False)
    op.create_index(
        op.f("ix_reviews_reviewer_id_decided_at"),
        "reviews",
        ["reviewer_id", "decided_at"],
        unique=False,
    )


def _merges_of_patches() -> None:
    """Patches and merges point at each other; SQLite has these two inside its table already."""
    for column in ("current_merge_id", "accepted_merge_id"):
        op.create_foreign_key(f"fk_patches_{column}", "patches", "merges", [column], ["id"])


def _append_only_sqlite() -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER events_no_{verb.lower()} BEFORE {verb} ON events "
            "BEGIN SELECT RAISE(ABORT, 'events are only added'); END"
        )


def _append_only_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION events_are_only_added() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'events are only added'; END $$"
    )
    op.execute(
        "CREATE TRIGGER events_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION events_are_only_added()"
    )
