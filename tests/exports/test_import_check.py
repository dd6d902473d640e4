"""A bundle that is not what it says is refused in one sentence; a sound one is read whole."""

import csv
import gzip
import io
import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from core.bundles.facts import BundleFacts, Level
from core.bundles.import_check import check_bundle
from core.bundles.import_plain import check_plain, plain_ids
from core.bundles.patches_csv import read_table, table_text
from core.bundles.privacy.pseudonyms import Pseudonyms
from core.bundles.write import plan_bundle, write_bundle
from core.errors import BundleError
from core.exports.manifest import hash_files, sums_text
from core.exports.naming import CASE
from core.files.archives import open_archive
from db.vocabulary import Licence, Split

FACTS = BundleFacts(
    title="Membranes",
    description="Where the network failed.",
    licence=Licence.CC_BY,
    signed_by="S",
    created=date(2026, 11, 25),
)
KEY = Pseudonyms(bytes(32))


@pytest.fixture
def folder(lab: Any, tmp_path: Path) -> Any:
    return write_bundle(plan_bundle(lab.patches(2, 1), FACTS, KEY), tmp_path / "share", ()).folder


def look(folder: Any) -> Any:
    return check_bundle(open_archive(folder, folder))


def summed(folder: Any) -> None:
    """The sums as a forger would make them again."""
    (folder / "SHA256SUMS").unlink()
    (folder / "SHA256SUMS").write_text(sums_text(hash_files(folder)))


def refused(folder: Any) -> Any:
    with pytest.raises(BundleError) as error:
        look(folder)
    assert "\n" not in str(error.value)
    return " ".join(error.value.faults)


def change_row(folder: Any, **values: Any) -> None:
    rows = read_table((folder / "patches.csv").read_text())
    rows[0] |= values
    (folder / "patches.csv").write_text(table_text(rows))


def change_fact(folder: Any, **values: Any) -> None:
    facts = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(facts | values))


def first(folder: Any, kind: Any) -> Any:
    return folder / read_table((folder / "patches.csv").read_text())[0][kind]


@pytest.mark.parametrize("level", list(Level))
def test_every_level_passes_its_own_check(lab: Any, tmp_path: Path, level: Any) -> None:
    facts = replace(FACTS, level=level)
    made = write_bundle(plan_bundle(lab.patches(), facts, KEY), tmp_path / "share", ())
    found = look(made.folder)
    assert {c.image_hash for c in found.cases} == {c.image_hash for c in made.cases}
    assert {c.label_hash for c in found.cases} == {c.label_hash for c in made.cases}
    assert found.statement.bundle_id == made.bundle_id
    assert found.statement.level is level


def missing_file(folder: Any) -> None:
    first(folder, "image").unlink()


def extra_file(folder: Any) -> None:
    (folder / "labelsTr" / "run.sh").write_text("rm -rf /")


def other_bytes(folder: Any) -> None:
    path = first(folder, "label")
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:400] + b"\1" + raw[401:]))


def no_sums(folder: Any) -> None:
    (folder / "SHA256SUMS").unlink()


def odd_sums(folder: Any) -> None:
    (folder / "SHA256SUMS").write_text("hello\n")


def twice_in_sums(folder: Any) -> None:
    text = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text(text + text.splitlines()[0] + "\n")


def sums_that_leave(folder: Any) -> None:
    text = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text(text + "0" * 64 + "  ../../etc/passwd\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (missing_file, "is missing; copy"),
        (extra_file, "does not belong"),
        (other_bytes, "another checksum"),
        (no_sums, "SHA256SUMS: is missing"),
        (odd_sums, "line 1 must be a checksum"),
        (twice_in_sums, "lists a file twice"),
        (sums_that_leave, "is missing; copy"),
    ],
)
def test_a_bundle_that_was_damaged_on_its_way_is_refused(
    folder: Any, damage: Any, said: Any
) -> None:
    damage(folder)
    assert said in refused(folder)


def other_version(folder: Any) -> None:
    change_fact(folder, schema_version="mempatch-bundle/2")


def no_version(folder: Any) -> None:
    (folder / "bundle.json").write_text("{}")


def deep_json(folder: Any) -> None:
    (folder / "bundle.json").write_text("[" * 100_000)


def huge_json(folder: Any) -> None:
    (folder / "bundle.json").write_text(json.dumps({"x": "y" * (2 << 20)}))


def voxels_of(path: Any, change: Any) -> None:
    read = sitk.ReadImage(str(path))
    voxels = sitk.GetArrayFromImage(read)
    out = sitk.GetImageFromArray(change(voxels))
    out.SetSpacing(read.GetSpacing())
    sitk.WriteImage(out, str(path))


def other_voxels(folder: Any) -> None:
    voxels_of(first(folder, "image"), lambda voxels: voxels + np.float32(0.01))


def wrong_values(folder: Any) -> None:
    voxels_of(first(folder, "label"), lambda voxels: voxels + 3)


def other_shape(folder: Any) -> None:
    voxels_of(first(folder, "image"), lambda voxels: voxels[:50])


def nan_voxels(folder: Any) -> None:
    path = first(folder, "image")
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[352:356] = np.float32(np.nan).tobytes()
    path.write_bytes(gzip.compress(bytes(raw)))


def lying_header(folder: Any) -> None:
    path = first(folder, "image")
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[42:44] = (30_000).to_bytes(2, "little")
    path.write_bytes(gzip.compress(bytes(raw)))


def no_volume(folder: Any) -> None:
    first(folder, "image").write_bytes(b"#!/bin/sh\n" * 100)


def swapped_columns(folder: Any) -> None:
    text = (folder / "patches.csv").read_text()
    (folder / "patches.csv").write_text(text.replace("patch_id,image", "image,patch_id", 1))


def not_utf8(folder: Any) -> None:
    (folder / "patches.csv").write_bytes(b"\xff\xfe" * 50)


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (other_version, "mempatch-bundle/2"),
        (no_version, "version 'None'"),
        (deep_json, "not valid JSON"),
        (huge_json, "larger than 1 MB"),
        (other_voxels, "not the one that patches.csv lists"),
        (wrong_values, "its label"),
        (other_shape, "different shapes"),
        (nan_voxels, "NaN"),
        (lying_header, "different shapes"),
        (no_volume, "neither MRC"),
        (swapped_columns, "other columns"),
        (not_utf8, "not UTF-8"),
        (lambda f: change_fact(f, licence="MIT"), "licence 'MIT' is not"),
        (lambda f: change_fact(f, licence=["CC0-1.0"]), "licence"),
        (lambda f: change_fact(f, bundle_id="../x"), "must be a UUID"),
        (lambda f: change_fact(f, title=7), "title must be text"),
        (lambda f: change_fact(f, title="x" * 30_000), "at most 20000 characters"),
        (lambda f: change_fact(f, creators={"name": 3}), "must be a list of people"),
        (lambda f: change_fact(f, voxel_size_angstrom=float("inf")), "between 0.1 and 1000"),
        (lambda f: change_fact(f, privacy_level="everybody"), "everybody"),
        (lambda f: change_fact(f, label_map={"membrane": 2}), "labels must be"),
        (lambda f: change_row(f, patch_id="../../x"), "not of the form"),
        (lambda f: change_row(f, image="/etc/passwd"), "its files should be"),
        (lambda f: change_row(f, split="both"), "not train, val or test"),
        (lambda f: change_row(f, nx="9" * 30), "must be whole numbers"),
        (lambda f: change_row(f, nx="\u0663"), "must be whole numbers"),
        (lambda f: change_row(f, image_content_sha256="0" * 63), "must be SHA-256"),
        (lambda f: change_row(f, ignore_fraction_total="0.1"), "share of ignore"),
        (lambda f: change_row(f, membrane_fraction_of_labelled="nan"), "share of membrane"),
        (lambda f: change_row(f, n_labelled_voxels="12"), "number of labelled"),
        (lambda f: change_row(f, licence="free"), "licence"),
        (lambda f: change_row(f, source_group="a b"), "must be letters and digits"),
        (lambda f: change_row(f, voxel_size_angstrom="ten"), "between 0.1 and 1000"),
    ],
)
def test_a_bundle_that_lies_with_good_sums_is_refused(folder: Any, forge: Any, said: Any) -> None:
    forge(folder)
    summed(folder)
    assert said in refused(folder)


def test_a_case_twice_is_refused(folder: Any) -> None:
    text = (folder / "patches.csv").read_text()
    (folder / "patches.csv").write_text(text + text.splitlines()[1] + "\n")
    summed(folder)
    assert "listed twice" in refused(folder)


def test_a_label_in_the_border_is_refused(folder: Any) -> None:
    def paint(voxels: Any) -> Any:
        voxels[:, :2] = 0
        return voxels

    voxels_of(first(folder, "label"), paint)
    summed(folder)
    assert "not the one" in refused(folder)


def test_all_that_is_wrong_is_told_at_once(folder: Any) -> None:
    change_row(folder, split="x")
    rows = read_table((folder / "patches.csv").read_text())
    rows[1]["nx"] = "x"
    (folder / "patches.csv").write_text(table_text(rows))
    summed(folder)
    with pytest.raises(BundleError, match=r"and \d more"):
        look(folder)


def test_a_folder_without_bundle_json_says_what_would_be_right(folder: Any) -> None:
    (folder / "bundle.json").unlink()
    assert "imagesTr and labelsTr" in refused(folder)


def plain(folder: Any, tmp_path: Path) -> Any:
    """As MemBrain-seg's training data lies on Zenodo: all in Tr, validation empty."""
    out = tmp_path / "plain"
    for kind, ending in (("images", "_0000"), ("labels", "")):
        (out / f"{kind}Tr").mkdir(parents=True)
        (out / f"{kind}Val").mkdir()
        for part in ("Tr", "Val"):
            for path in sorted((folder / f"{kind}{part}").iterdir()):
                case = path.name.removesuffix(".nii.gz").removesuffix("_0000")
                name = f"atty_tomo-{case.split('_')[1]}.mrc_patch{case.rpartition('patch')[2]}"
                shutil.copy(path, out / f"{kind}Tr" / f"{name}{ending}.nii.gz")
    return out


def test_a_plain_folder_is_read_with_what_its_bringer_says(folder: Any, tmp_path: Path) -> None:
    source = plain(folder, tmp_path)
    found = check_plain(
        open_archive(source, source), Licence.CC_BY, "Lamm et al.", "MemBrain data", voxel_size=10.0
    )
    assert len(found.cases) == 2
    assert {case.split for case in found.cases} == {Split.TRAIN}
    assert all(case.patch_id.startswith("atty_tomo") for case in found.cases)
    assert {case.voxel_size for case in found.cases} == {10.0}
    assert found.statement.plain
    again = check_plain(open_archive(source, source), Licence.CC_BY, "Lamm", "x", voxel_size=10.0)
    assert again.statement.bundle_id == found.statement.bundle_id


def test_a_plain_folder_without_an_attribution_is_refused(folder: Any, tmp_path: Path) -> None:
    source = plain(folder, tmp_path)
    with pytest.raises(BundleError, match="needs a title and an attribution"):
        check_plain(open_archive(source, source), Licence.CC_BY, " ", "t")


def test_a_plain_folder_with_a_stray_file_or_without_images_is_refused(
    folder: Any, tmp_path: Path
) -> None:
    source = plain(folder, tmp_path)
    next((source / "imagesTr").iterdir()).unlink()
    with pytest.raises(BundleError, match="has no image"):
        check_plain(open_archive(source, source), Licence.CC_BY, "L", "t")
    shutil.rmtree(source / "labelsTr")
    with pytest.raises(BundleError, match="no labelsTr"):
        check_plain(open_archive(source, source), Licence.CC_BY, "L", "t")


@pytest.mark.parametrize(
    ("case", "wanted"),
    [
        ("atty_TS_01.mrc_patch3", "atty_TS01mrc_patch3"),
        ("Polnet_x", "polnet_x_patch0"),
        ("x_tomo_patch7", "xx_tomo_patch7"),
        ("cts", "cts_x_patch0"),
    ],
)
def test_plain_names_are_brought_to_our_form(case: Any, wanted: Any) -> None:
    assert plain_ids([case]) == {case: wanted}


def test_plain_names_that_would_be_alike_are_told_apart() -> None:
    ids = plain_ids(["a_TS_1_patch0", "a_TS-1_patch0", "a_TS1_patch1", "a_B_patch0", "a_b_patch1"])
    assert len({name.casefold() for name in ids.values()}) == 5
    prefixes = [name.rpartition("_patch")[0].casefold() for name in ids.values()]
    assert len(set(prefixes)) == 5
    assert all(CASE.fullmatch(name) for name in ids.values())


def test_a_plain_folder_without_its_facts_says_which_are_missing(
    folder: Any, tmp_path: Path
) -> None:
    source = plain(folder, tmp_path)
    with pytest.raises(BundleError, match="--title, --licence, --attribution"):
        look(source)


def test_a_table_with_a_formula_stays_text(lab: Any, tmp_path: Path) -> None:
    facts = replace(FACTS, level=Level.INTERNAL)
    patches = [
        replace(p, permission=replace(p.permission, owner="=HYPERLINK(1)"))
        for p in lab.patches(2, 1)
    ]
    made = write_bundle(plan_bundle(patches, facts, KEY), tmp_path / "share", ())
    cells = csv.reader(io.StringIO((made.folder / "patches.csv").read_text()))
    assert not any(cell.startswith("=") for row in cells for cell in row)
    look(made.folder)
