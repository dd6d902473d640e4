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


class Split(StrEnum):
    """Where a patch goes in a training set; test never enters training or validation."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Scope(StrEnum):
    """How far the owner of a tomogram lets its patches go."""

    INTERNAL = "internal"
    COLLABORATOR = "collaborator"
    PUBLIC = "public"


class Licence(StrEnum):
    """The licences that MIFA, Zenodo, EMPIAR and the CryoET Data Portal all know (SPDX)."""

    CC0 = "CC0-1.0"
    CC_BY = "CC-BY-4.0"
