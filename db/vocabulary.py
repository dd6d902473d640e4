"""The words of the catalog and of the files, as enums; the standard library alone."""

from enum import StrEnum


class CorrectionKind(StrEnum):
    """Effect of a correction on the predicted label."""

    ADD = "add"
    REMOVE = "remove"
    IGNORE = "ignore"


class NearBorder(StrEnum):
    """Treatment of a center whose box leaves the tomogram."""

    REFUSE = "refuse"
    SHIFT = "shift"
    PAD = "pad"


class Split(StrEnum):
    """Part of a training set; test never enters training or validation."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Scope(StrEnum):
    """Scope in which the patches of a tomogram may be shared."""

    INTERNAL = "internal"
    COLLABORATOR = "collaborator"
    PUBLIC = "public"


class Licence(StrEnum):
    """The licences that MIFA, Zenodo, EMPIAR and the CryoET Data Portal all know (SPDX)."""

    CC0 = "CC0-1.0"
    CC_BY = "CC-BY-4.0"


class Stage(StrEnum):
    """Stage of a patch; rejected, stale and withdrawn are marks beside it."""

    CHOSEN = "chosen"
    EXTRACTED = "extracted"
    CORRECTING = "correcting"
    MERGED = "merged"
    IN_REVIEW = "in_review"
    ACCEPTED = "accepted"


class ChosenBecause(StrEnum):
    """Why somebody chose this place."""

    MISSED_MEMBRANE = "missed_membrane"
    FALSE_MEMBRANE = "false_membrane"
    HARD_NEGATIVE = "hard_negative"
    OTHER = "other"


class Origin(StrEnum):
    """Way in which a correction was received."""

    COLLECTED = "collected"
    UPLOADED = "uploaded"
    PAINTED = "painted"
    IMPORTED = "imported"


class Verdict(StrEnum):
    """Verdict of a reviewer on one merge."""

    ACCEPT = "accept"
    REJECT = "reject"


class Role(StrEnum):
    """Roles, from least to most."""

    VIEWER = "viewer"
    ANNOTATOR = "annotator"
    REVIEWER = "reviewer"
    CURATOR = "curator"
    ADMIN = "admin"


class PictureState(StrEnum):
    """Return whether a tomogram has its thumbnail and preview."""

    ABSENT = "absent"
    READY = "ready"
    FAILED = "failed"


class ExportKind(StrEnum):
    """Kind of an export."""

    TRAINING_SET = "training_set"
    BUNDLE = "bundle"


class JobState(StrEnum):
    """State of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobKind(StrEnum):
    """Kind of a job."""

    EXTRACT = "extract"
    MERGE = "merge"
    COLLECT = "collect"
    HASH = "hash"
    PREVIEW = "preview"
    EXPORT = "export"
    IMPORT = "import"
    SCORE = "score"
    BACKUP = "backup"
    PROPOSE = "propose"


class ProposalState(StrEnum):
    """State of a proposal."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


class Dismissal(StrEnum):
    """Why a proposed place was dismissed."""

    NOTHING_WRONG = "nothing_wrong"
    CANNOT_TELL = "cannot_tell"
    OTHER = "other"


class BackupKind(StrEnum):
    """Why a backup was made."""

    DAILY = "daily"
    BEFORE_MIGRATION = "before_migration"
    ASKED = "asked"
