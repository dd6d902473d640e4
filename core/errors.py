"""Every error of the core that a person can act on, one shallow tree.

TomocurateError            the root (in db.errors, so that all floors may raise it)
├── VolumeError            a volume file cannot be read as what it claims to be
├── PointsError            a coordinate file holds no usable centers
├── CenterError            a patch center whose box leaves the tomogram
├── SegmentationError      a segmentation that does not belong to its tomogram
├── PatchNameError         a token or patch name that cannot be a file name
├── LabelError             a label that is no training label
├── CorrectionError        a correction file that cannot be placed on its patch
└── OutputError            a result that cannot be written
"""

from db.errors import TomocurateError


class VolumeError(TomocurateError):
    """A volume file cannot be read as what it claims to be."""


class PointsError(TomocurateError):
    """A coordinate file holds no usable patch centers."""


class CenterError(TomocurateError):
    """The box around a patch center leaves the tomogram."""


class SegmentationError(TomocurateError):
    """A segmentation does not belong to its tomogram, or is no label volume."""


class PatchNameError(TomocurateError):
    """A token or a patch name cannot be used as a file name."""


class LabelError(TomocurateError):
    """A label holds other values than 0 background, 1 membrane, 2 ignore."""


class CorrectionError(TomocurateError):
    """A correction file cannot be placed on its patch."""


class OutputError(TomocurateError):
    """A result cannot be written where it was asked for."""
