"""Curated patches on disk, small (64³) and believable, for the tests of exports."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.exports.patch import CuratedPatch, Method, Permission
from core.imaging.formats.nifti import write_nifti
from core.imaging.geometry import Box, Grid, Zyx
from core.imaging.labels import ignore_border
from core.imaging.patch import patch_grid
from db.vocabulary import CorrectionKind, Licence, Scope

SIDE = 64
PERMISSION = Permission(
    owner="Maria Curator",
    scope=Scope.PUBLIC,
    licence=Licence.CC_BY,
    approved_by="Prof. Headofgroup",
    approved_on=date(2026, 3, 14),
)


def membrane_label(seed: int, side: int = SIDE) -> np.ndarray:
    """A sphere's shell, three voxels thick, inside an ignored border."""
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[:side, :side, :side]
    center = side / 2 + rng.uniform(-3, 3, 3)
    radius = np.sqrt(sum((g - c) ** 2 for g, c in zip((z, y, x), center, strict=True)))
    label: np.ndarray = (abs(radius - side / 5) < 1.5).astype(np.uint8)
    ignore_border(label)
    return label


def density(seed: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).normal(120, 30, (side,) * 3).astype(np.float32)


class Lab:
    """Makes curated patches in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.made = 0

    def patch(self, tomogram: str = "TS_001", number: int = 0, **changes: Any) -> CuratedPatch:
        """Write a patch's three files and give its value; keywords change what is recorded.

        ``image`` and ``label`` are arrays to write instead.
        """
        self.made += 1
        image = changes.pop("image", None)
        label = changes.pop("label", None)
        image = density(self.made) if image is None else image
        label = membrane_label(self.made) if label is None else label
        name = f"demo_{tomogram}_patch{number}"
        start = Zyx(100, 50, 100 + 200 * number)
        box = Box(start, Zyx(*(a + n for a, n in zip(start, image.shape, strict=True))))
        grid = patch_grid(box, 10.0)
        paths = [self.folder / f"{name}_{part}.nii.gz" for part in ("image", "label", "pred")]
        prediction = np.where((label == 1) & (np.arange(label.shape[2]) % 5 == 0), 0, label)
        for path, voxels in zip(paths, (image, label, prediction.astype(label.dtype)), strict=True):
            write_nifti(path, voxels, grid)
        patch = CuratedPatch(
            name=name,
            dataset="demo",
            tomogram=tomogram,
            source_group=f"demo/{tomogram}",
            image_path=paths[0],
            label_path=paths[1],
            prediction_path=paths[2],
            box=box,
            tomogram_shape=Zyx(400, 800, 1600),
            voxel_size=10.0,
            model="MemBrain_seg_v10_alpha",
            method=Method(
                (CorrectionKind.ADD, CorrectionKind.REMOVE), ("annika.annotator",), "rolf.reviewer"
            ),
            permission=PERMISSION,
        )
        return replace(patch, **changes)

    def patches(self, tomograms: int = 3, each: int = 2, **changes: Any) -> list[CuratedPatch]:
        return [
            self.patch(f"TS_{t:03}", n, **changes)
            for t in range(1, tomograms + 1)
            for n in range(each)
        ]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab")


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder, by its relative path."""
    return lambda folder: {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_volume(path: Any) -> Any:
    voxels = np.random.default_rng(1).normal(size=(40, 40, 40)).astype("f4")
    write_nifti(path, voxels, Grid.aligned(10.0))
    return path


def json_value(folder: Any, secret: Any) -> None:
    (folder / "a.json").write_text(json.dumps({"note": [{"by": secret.decode()}]}))


def json_key(folder: Any, secret: Any) -> None:
    (folder / "a.json").write_text(json.dumps({"counts": {secret.decode(): 3}}))


def json_escaped(folder: Any, secret: Any) -> None:
    escaped = "".join(f"\\u{byte:04x}" for byte in secret)
    (folder / "a.json").write_text(f'{{"a": "{escaped}"}}')


def table_cell(folder: Any, secret: Any) -> None:
    (folder / "a.csv").write_text(f"x,y\n1,{secret.decode()}\n")


def page_text(folder: Any, secret: Any) -> None:
    (folder / "README.md").write_text(f"# A set\n\nmade by {secret.decode().upper()}.\n")


def wide_text(folder: Any, secret: Any) -> None:
    (folder / "notes.txt").write_bytes(secret.decode().encode("utf-16"))


def file_name(folder: Any, secret: Any) -> None:
    (folder / (secret.decode().replace("/", "") + ".txt")).write_text("x")


def folder_name(folder: Any, secret: Any) -> None:
    below = folder / secret.decode().replace("/", "")
    below.mkdir()
    (below / "a.txt").write_text("x")


def mrc_label(folder: Any, secret: Any) -> None:
    (folder / "a.mrc").write_bytes(np.random.default_rng(1).bytes(224) + secret.ljust(800, b" "))


CARRIERS = [
    json_value,
    json_key,
    json_escaped,
    table_cell,
    page_text,
    wide_text,
    file_name,
    folder_name,
    mrc_label,
]


@pytest.fixture(params=CARRIERS, ids=lambda plant: plant.__name__)
def plant(request: pytest.FixtureRequest) -> Callable[[Path, bytes], None]:
    """Hides bytes in a folder: each carrier in turn."""
    carrier: Callable[[Path, bytes], None] = request.param
    return carrier


@pytest.fixture
def volume() -> Callable[[Path], Path]:
    """Writes a small volume of noise."""
    return write_volume
