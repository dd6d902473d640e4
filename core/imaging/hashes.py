"""Content hash of a volume: over its voxels, type and shape, whatever the file."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PREFIX = b"mempatch-array-1\0"


def content_hash(voxels: NDArray[Any]) -> str:
    """Return the identity of an array: sha256 in hexadecimal.

    Hashed are ``mempatch-array-1``, NUL, the little-endian dtype (``<f4``), NUL, the shape
    (``160,160,160``, z y x), NUL, then the voxels little-endian in C order.
    """
    little = np.ascontiguousarray(voxels)
    if little.dtype.str[0] == ">" or (little.dtype.str[0] == "=" and sys.byteorder == "big"):
        little = little.astype(little.dtype.newbyteorder("<"))
    shape = ",".join(map(str, little.shape))
    digest = hashlib.sha256(PREFIX + f"{little.dtype.str}\0{shape}\0".encode())
    digest.update(little.data.cast("B"))
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes, for transport."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
