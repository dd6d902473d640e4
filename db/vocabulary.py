"""The words of the catalog and of the files, as enums; the standard library alone."""

from enum import StrEnum


class CorrectionKind(StrEnum):
    """What a correction does to the predicted label."""

    ADD = "add"
    REMOVE = "remove"
    IGNORE = "ignore"


class NearBorder(StrEnum):
    """What to do with a center whose box leaves the tomogram."""

    REFUSE = "refuse"
    SHIFT = "shift"
    PAD = "pad"
