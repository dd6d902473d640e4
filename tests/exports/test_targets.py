"""Other forms of a training set hold the same voxels."""

import json
import zlib
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.bundles.facts import BundleFacts
from core.bundles.privacy.pseudonyms import Pseudonyms
from core.bundles.write import plan_bundle, write_bundle
from core.errors import ExportError
from core.exports.plan import plan_training_set
from core.exports.targets.target import convert, targets
from core.exports.validate import read_label
from core.exports.write import write_training_set
from core.imaging.formats.volume import open_volume
from core.imaging.geometry import whole
from db.vocabulary import Licence, Split

FACTS = BundleFacts(
    title="Membranes",
    description="x",
    licence=Licence.CC_BY,
    signed_by="S",
    created=date(2026, 11, 25),
)


@pytest.fixture
def made(lab: Any, tmp_path: Path) -> Any:
    patches = lab.patches(3, 1)
    patches[0] = replace(patches[0], pinned=Split.TEST)
    return write_training_set(plan_training_set(patches), tmp_path / "set")


def read_zarr(folder: Any) -> Any:
    """A Zarr version 2 array, as its specification says it is read."""
    about = json.loads((folder / ".zarray").read_text())
    chunks, shape = about["chunks"], about["shape"]
    out = np.empty([-(-n // c) * c for n, c in zip(shape, chunks, strict=True)], about["dtype"])
    for at in np.ndindex(*(-(-n // c) for n, c in zip(shape, chunks, strict=True))):
        raw = zlib.decompress((folder / "/".join(map(str, at))).read_bytes())
        where = tuple(slice(i * c, (i + 1) * c) for i, c in zip(at, chunks, strict=True))
        out[where] = np.frombuffer(raw, about["dtype"]).reshape(chunks)
    return out[tuple(slice(0, n) for n in shape)]


def image_of(path: Any) -> Any:
    with open_volume(path) as volume:
        return volume.read(whole(volume.shape))


def test_ome_zarr_holds_the_same_voxels_and_says_what_they_are(made: Any, tmp_path: Path) -> None:
    convert(made.folder, tmp_path / "zarr", targets()["ome-zarr"])
    listed = json.loads((tmp_path / "zarr" / "cases.json").read_text())
    assert len(listed) == 3
    for case in made.cases:
        group = tmp_path / "zarr" / listed[case.planned.case]
        np.testing.assert_array_equal(
            read_zarr(group / "0"), image_of(made.folder / case.planned.image)
        )
        np.testing.assert_array_equal(
            read_zarr(group / "labels" / "membrane" / "0"),
            read_label(made.folder / case.planned.label),
        )
        about = json.loads((group / ".zattrs").read_text())["multiscales"][0]
        assert [axis["unit"] for axis in about["axes"]] == ["angstrom"] * 3
        assert about["datasets"][0]["coordinateTransformations"][0]["scale"] == [10.0] * 3


def test_a_niftifolder_lists_each_split_for_itself(made: Any, tmp_path: Path) -> None:
    convert(made.folder, tmp_path / "hf", targets()["niftifolder"])
    held = {}
    for split in ("train", "validation", "test"):
        lines = (tmp_path / "hf" / split / "metadata.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        held[split] = {row["patch_id"] for row in rows}
        for row in rows:
            for key in ("image_file_name", "label_file_name"):
                assert (tmp_path / "hf" / split / row[key]).is_file()
    assert [len(cases) for cases in held.values()] == [1, 1, 1]
    assert (tmp_path / "hf" / "README.md").read_text().startswith("---\n")


def test_a_bundle_takes_its_card_licence_and_groups_along(lab: Any, tmp_path: Path) -> None:
    plan = plan_bundle(lab.patches(2, 1), FACTS, Pseudonyms(bytes(32)))
    bundle = write_bundle(plan, tmp_path / "share", ())
    convert(bundle.folder, tmp_path / "hf", targets()["niftifolder"])
    assert (tmp_path / "hf" / "LICENSE").is_file()
    assert "license: cc-by-4.0" in (tmp_path / "hf" / "README.md").read_text()
    line = (tmp_path / "hf" / "train" / "metadata.jsonl").read_text().splitlines()[0]
    assert json.loads(line)["source_group"]


@pytest.mark.parametrize("name", ["ome-zarr", "niftifolder"])
def test_the_same_set_gives_the_same_bytes(made: Any, tmp_path: Path, tree: Any, name: Any) -> None:
    convert(made.folder, tmp_path / "a", targets()[name])
    convert(made.folder, tmp_path / "b", targets()[name])
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert convert(made.folder, tmp_path / "a", targets()[name])


def test_what_is_no_training_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(ExportError, match="is missing"):
        convert(tmp_path / "x", tmp_path / "y", targets()["ome-zarr"])
    assert not (tmp_path / "y").exists()
