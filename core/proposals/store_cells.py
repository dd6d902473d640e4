"""Keep the cells of looked-through tomograms: a later look, and the overlay, need no file."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.files.cache import Cache
from core.imaging.geometry import Zyx
from core.proposals.channels import Channel
from core.proposals.choose import RULE
from core.proposals.reading import Inputs
from core.proposals.scan import Cells, Piece

LIMIT = 4 << 30
_VOXELS, _FACTS = "cells.npz", "facts.json"


def open_cells(folder: Path) -> Cache:
    """The cache of a workspace, below its cache folder."""
    return Cache(folder / "proposals", LIMIT)


def cells_key(inputs: Inputs) -> str:
    """Another key once a file, the threshold, the voxel size or the rule changes.

    Errors: OSError where a file is gone.
    """
    names = "tomogram", "segmentation", "scores", "uncertainty", "second"
    files = [getattr(inputs, name) for name in names]
    states = [
        (str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns)
        for file in files
        if file is not None
    ]
    told = (states, repr(replace(inputs, within=None)), RULE)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:40]


def keep_cells(cache: Cache, key: str, cells: Cells) -> None:
    """Write cells, whole or not at all; the same cells are the same bytes."""
    facts = {
        "shape": cells.shape,
        "cell": cells.cell,
        "pieces": [[piece.channel, piece.center, piece.voxels] for piece in cells.pieces],
        "separation": cells.separation,
        "findings": cells.findings,
    }
    with cache.new_entry(key, (_VOXELS, _FACTS)) as folder:
        arrays = {channel.value: values for channel, values in cells.channels.items()}
        arrays["predicted"] = cells.predicted
        np.savez(folder / _VOXELS, allow_pickle=False, **arrays)
        (folder / _FACTS).write_text(json.dumps(facts))


def find_cells(cache: Cache, key: str) -> Cells | None:
    """Read kept cells; None where there are none, or they are damaged."""
    folder = cache.find(key)
    if folder is None:
        return None
    try:
        facts = json.loads((folder / _FACTS).read_text())
        with np.load(folder / _VOXELS, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        predicted = arrays.pop("predicted")
        return Cells(
            shape=Zyx(*facts["shape"]),
            cell=int(facts["cell"]),
            channels={Channel(name): values for name, values in arrays.items()},
            predicted=predicted,
            pieces=tuple(Piece(Channel(c), Zyx(*at), n) for c, at, n in facts["pieces"]),
            separation=float(facts["separation"]),
            findings=tuple(facts["findings"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
