"""A bundle comes in once, as it was shared, and goes out again with the same voxels."""

import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from core.access.os_user import acting_person
from core.bundles import import_bundle as module
from core.bundles.facts import BundleFacts, Creator, Level
from core.bundles.import_bundle import import_bundle, preview_bundle
from core.bundles.import_preview import CaseStatus, FolderFacts, sort_cases
from core.bundles.patches_csv import read_table
from core.bundles.share import export_bundle
from core.cli.main import main
from core.errors import ArchiveError, BundleError, ExportError, OutputError
from core.exports.manifest import hash_files, sums_text
from core.exports.selection import Choice, choose_curated
from core.exports.training_set import export_training_set
from core.imaging.formats.nifti import write_nifti
from core.imaging.geometry import Grid
from core.lab.lab import Lab
from core.labels.review import accept
from core.labels.verify import verify
from core.maintenance.rebuild import rebuild
from core.workspace.workspace import open_workspace
from db.errors import NotAllowedError
from db.queries.life import EventFilter, list_events, merges_of
from db.queries.patches import list_patches
from db.queries.sharing import list_bundles
from db.vocabulary import Licence, Stage
from db.writes.events import Change
from tests.exports.layout import check_layout

FACTS = BundleFacts(
    title="Membranes of algae",
    description="Where the network failed.",
    licence=Licence.CC_BY,
    signed_by="Ada Min",
    created=date(2026, 11, 25),
    creators=(Creator("Doe, Jane"),),
)


@pytest.fixture(scope="session")
def made_share(templates: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A bundle and its zip that another lab made of six patches."""
    folder = tmp_path_factory.mktemp("share")
    shutil.copytree(templates["filled"] / "work", folder / "work")
    with open_workspace(folder / "work") as workspace:
        by = acting_person(workspace)
        export_bundle(Lab(workspace, by), folder / "share", FACTS, zipped=True)
    return folder


@pytest.fixture
def shared(made_share: Any, tmp_path: Path) -> Any:
    shutil.copytree(made_share / "share", tmp_path / "share")
    shutil.copy(made_share / "share.zip", tmp_path / "share.zip")
    return tmp_path / "share.zip"


def take_in(lab: Any, source: Any, stated: Any = None) -> Any:
    return import_bundle(lab.opened, source, stated)


def all_patches(lab: Any) -> Any:
    with lab.workspace.catalog.read() as session:
        return list_patches(session).rows


def hashes(folder: Any) -> Any:
    rows = read_table((folder / "patches.csv").read_text())
    return {(row["image_content_sha256"], row["label_content_sha256"]) for row in rows}


def test_a_look_shows_what_would_come_and_takes_nothing_in(lab: Any, shared: Any) -> None:
    seen = preview_bundle(lab.opened, shared)
    assert seen.count(CaseStatus.NEW) == 6
    assert seen.bundle.statement.title == "Membranes of algae"
    assert all_patches(lab) == ()
    assert list(lab.workspace.folders.cache.iterdir()) == []
    assert list(lab.workspace.folders.images.iterdir()) == []


def test_a_bundle_comes_in_accepted_with_its_licence_and_attribution(lab: Any, shared: Any) -> None:
    outcomes = take_in(lab, shared)
    assert [each.outcome for each in outcomes] == ["done"] * 6
    patches = all_patches(lab)
    assert {patch.stage for patch in patches} == {Stage.ACCEPTED}
    for patch in patches:
        assert lab.workspace.folders.image_of(patch.name).is_file()
        assert lab.workspace.folders.merged_of(patch.name).is_file()
        assert lab.workspace.folders.record_of(patch.name).is_file()
    chosen = choose_curated(lab.opened, Choice()).patches
    imported = [patch.imported for patch in chosen]
    assert {each and each.licence for each in imported} == {Licence.CC_BY}
    assert all(each and "Doe, Jane" in each.attribution for each in imported)
    with lab.workspace.catalog.read() as session:
        bundle = list_bundles(session)[0]
        actions = {event.action for event in list_events(session, EventFilter())}
    assert (bundle.title, bundle.patches) == ("Membranes of algae", 6)
    assert {"bundle imported", "patch imported"} <= actions


def test_an_imported_patch_is_shown_with_the_bundle_it_came_with(
    lab: Any, shared: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    take_in(lab, shared)
    name = all_patches(lab)[0].name
    assert main(["show", name, "--workspace", str(lab.workspace.folder)]) == 0
    with lab.workspace.catalog.read() as session:
        bundle = list_bundles(session)[0].bundle_id
    assert f"bundle {bundle}" in capsys.readouterr().out


def test_a_second_import_adds_nothing(lab: Any, shared: Any, tree: Any) -> None:
    take_in(lab, shared)
    before = tree(lab.workspace.folders.patches)
    again = take_in(lab, shared)
    assert {each.outcome for each in again} == {"skipped"}
    assert "already in the catalog" in again[0].message
    assert len(all_patches(lab)) == 6
    assert tree(lab.workspace.folders.patches) == before
    with lab.workspace.catalog.read() as session:
        assert len(list_bundles(session)) == 1


def test_ones_own_bundle_adds_nothing(ready: Any, tmp_path: Path) -> None:
    lab = ready
    export_bundle(lab.opened, tmp_path / "own", FACTS)
    assert {each.outcome for each in take_in(lab, tmp_path / "own")} == {"skipped"}
    assert len(all_patches(lab)) == 6


def test_ones_own_patch_in_anothers_bundle_is_known(
    ready: Any, make_lab: Any, tmp_path: Path
) -> None:
    lab = ready
    export_bundle(lab.opened, tmp_path / "own", FACTS)
    other = make_lab("other")
    take_in(other, tmp_path / "own")
    other.fill(2, 1, dataset="theirs")
    other.permit_all(tomograms=2)
    export_bundle(other.opened, tmp_path / "merged", replace(FACTS, title="Both"))
    outcomes = take_in(lab, tmp_path / "merged")
    assert sorted(each.outcome for each in outcomes) == ["done"] * 2 + ["skipped"] * 6
    assert len(all_patches(lab)) == 8


def test_out_and_in_and_out_again_gives_the_same_voxels_and_split(
    lab: Any, shared: Any, tmp_path: Path
) -> None:
    take_in(lab, shared)
    export_bundle(lab.opened, tmp_path / "again", FACTS)
    first, again = (
        read_table((tmp_path / name / "patches.csv").read_text()) for name in ("share", "again")
    )
    assert hashes(tmp_path / "again") == hashes(tmp_path / "share")
    kept = ("patch_id", "split", "source_group", "licence", "image", "label", "fingerprint", "nx")
    assert [[row[key] for key in kept] for row in again] == [
        [r[key] for key in kept] for r in first
    ]
    assert check_layout(tmp_path / "again") == []
    about = json.loads((tmp_path / "again" / "bundle.json").read_text())
    assert about["attribution"][0]["licence"] == "CC-BY-4.0"


def test_an_imported_patch_that_was_corrected_keeps_its_licence_and_goes_out(
    lab: Any, shared: Any, tmp_path: Path
) -> None:
    take_in(lab, shared)
    before = {p.name: p for p in choose_curated(lab.opened, Choice()).patches}
    patch = lab.corrected(all_patches(lab)[0])
    accept(lab.opened_by("Rolf Reviewson"), patch.name, merge_number=2)
    after = {p.name: p for p in choose_curated(lab.opened, Choice()).patches}
    changed, was = after[patch.name], before[patch.name]
    assert (changed.imported, changed.source_group) == (was.imported, was.source_group)
    assert changed.label_hash != was.label_hash
    assert changed.method.annotators == ("Annika Notator",)
    export_bundle(lab.opened, tmp_path / "again", FACTS)
    assert len(hashes(tmp_path / "again") - hashes(tmp_path / "share")) == 1


def test_imported_patches_train_together_with_ones_own(
    lab: Any, shared: Any, tmp_path: Path
) -> None:
    take_in(lab, shared)
    lab.fill(2, 1, dataset="ours")
    export_training_set(lab.opened, tmp_path / "set")
    assert check_layout(tmp_path / "set") == []
    assert len(list((tmp_path / "set").glob("labels*/*"))) == 8


def test_what_was_given_to_a_partner_is_not_published(
    lab: Any, make_lab: Any, tmp_path: Path
) -> None:
    other = make_lab("other", filled=True)
    facts = replace(FACTS, level=Level.COLLABORATOR)
    export_bundle(other.opened, tmp_path / "share", facts)
    take_in(lab, tmp_path / "share")
    with pytest.raises(ExportError, match="given for collaborator use"):
        export_bundle(lab.opened, tmp_path / "leak", FACTS)
    with pytest.raises(ExportError, match="not CC0"):
        export_bundle(lab.opened, tmp_path / "leak", replace(facts, licence=Licence.CC0))


def test_a_name_that_is_taken_gets_the_next_number(lab: Any, shared: Any) -> None:
    take_in(lab, shared)
    names = {patch.name for patch in all_patches(lab)}
    with lab.workspace.catalog.read() as session:
        assert all(name.startswith("demo_") for name in names)
        assert len(list_patches(session)) == 6


def test_the_same_image_with_another_label_is_a_second_annotation(
    lab: Any, tmp_path: Path, shared: Any
) -> None:
    take_in(lab, shared)
    plain = tmp_path / "plain"
    for name in ("imagesTr", "labelsTr"):
        (plain / name).mkdir(parents=True)
    row = read_table((tmp_path / "share" / "patches.csv").read_text())[0]
    shutil.copy(tmp_path / "share" / row["image"], plain / "imagesTr" / "x_y_patch0_0000.nii.gz")
    label = np.ascontiguousarray(
        nibabel.load(tmp_path / "share" / row["label"]).get_fdata().astype(np.uint8).T
    )
    label[32, 20:40, 20:40] = 1
    write_nifti(plain / "labelsTr" / "x_y_patch0.nii.gz", label, Grid.aligned(10.0))
    stated = FolderFacts("A second opinion", Licence.CC_BY, "Roe 2026", 10.0)
    outcome = take_in(lab, plain, stated)[0]
    assert "second annotation of" in outcome.message
    assert "Dice 0." in outcome.message
    assert len(all_patches(lab)) == 6
    with lab.workspace.catalog.read() as session:
        merges = merges_of(session, outcome.details["patch_id"])
    assert [merge.rule for merge in merges] == ["imported", "imported second annotation"]
    assert 0 < merges[1].inputs[0]["agreement"]["dice"] < 1
    assert take_in(lab, plain, stated)[0].outcome == "skipped"
    export_bundle(lab.opened, tmp_path / "again", FACTS)
    rows = read_table((tmp_path / "again" / "patches.csv").read_text())
    assert [bool(row["agreement_dice"]) for row in rows].count(True) == 1
    assert hashes(tmp_path / "again") == hashes(tmp_path / "share")


def plain_folder(folder: Any, images: Any) -> Any:
    for name in ("imagesTr", "labelsTr", "imagesVal", "labelsVal"):
        (folder / name).mkdir(parents=True)
    for number, (name, image) in enumerate(images.items()):
        label = np.full(image.shape, 2, np.uint8)
        label[16:-16, 16:-16, 16:-16] = 0
        label[30 + number : 33 + number, 16:-16, 16:-16] = 1
        write_nifti(folder / "imagesTr" / f"{name}_0000.nii.gz", image, Grid.aligned(1.0))
        write_nifti(folder / "labelsTr" / f"{name}.nii.gz", label, Grid.aligned(1.0))
    return folder


STATED = FolderFacts("MemBrain-seg training data", Licence.CC_BY, "Lamm et al. 2024", 10.0)


def test_a_plain_folder_comes_in_and_goes_out(lab: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    images = {f"atty_tomo{n}.mrc_patch0": rng.normal(50, 9, (64,) * 3).astype("f4") for n in "123"}
    outcomes = take_in(lab, plain_folder(tmp_path / "plain", images), STATED)
    assert [each.outcome for each in outcomes] == ["done"] * 3
    assert {patch.voxel_size for patch in all_patches(lab)} == {10.0}
    done = export_training_set(lab.opened, tmp_path / "set")
    assert done.details["patches"] == 3
    assert check_layout(tmp_path / "set") == []


@pytest.mark.parametrize("imports", [3, 20])
def test_a_bundle_that_is_imported_several_times_at_once_comes_in_once(
    lab: Any, shared: Any, imports: Any
) -> None:
    def import_it(_: Any) -> Any:
        with open_workspace(lab.workspace.folder) as workspace:
            return import_bundle(Lab(workspace, lab.by), shared)

    with ThreadPoolExecutor(imports) as pool:
        outcomes = [each for done in pool.map(import_it, range(imports)) for each in done]
    assert Counter(each.outcome for each in outcomes) == {"done": 6, "skipped": 6 * (imports - 1)}
    assert len(all_patches(lab)) == 6
    assert len(list(lab.workspace.folders.images.iterdir())) == 6
    with lab.workspace.catalog.read() as session:
        assert len(list_bundles(session)) == 1


def test_what_another_machine_imported_since_is_compared_again(
    lab: Any, shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of files does not reach another machine: the transaction looks again."""
    others: list[bool] = []

    def sorted_before_another_import(opened: Any, bundle: Any, cases: Any) -> Any:
        found = sort_cases(opened, bundle, cases)
        if not others:
            others.append(True)
            placed = module._place_files(opened.workspace, bundle, found)
            with opened.workspace.catalog.write() as session:
                module._record(session, Change.now(lab.by.id), bundle, placed)
        return found

    monkeypatch.setattr(module, "sort_cases", sorted_before_another_import)
    assert {each.outcome for each in take_in(lab, shared)} == {"skipped"}
    assert len(all_patches(lab)) == 6
    assert len(list(lab.workspace.folders.images.iterdir())) == 6


def test_two_bundles_with_one_image_at_once_bring_it_once(
    lab: Any, make_lab: Any, shared: Any, tmp_path: Path
) -> None:
    other = make_lab("other")
    take_in(other, shared)
    export_bundle(other.opened, tmp_path / "b", replace(FACTS, title="Again"))

    def import_it(source: Any) -> Any:
        with open_workspace(lab.workspace.folder) as workspace:
            return import_bundle(Lab(workspace, lab.by), source)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(import_it, [shared, tmp_path / "b"]))
    assert len(all_patches(lab)) == 6


def test_a_damaged_bundle_leaves_nothing_behind(lab: Any, shared: Any) -> None:
    raw = bytearray(shared.read_bytes())
    raw[len(raw) // 2] ^= 255
    shared.write_bytes(raw)
    with pytest.raises((ArchiveError, BundleError)):
        take_in(lab, shared)
    assert all_patches(lab) == ()
    assert list(lab.workspace.folders.cache.iterdir()) == []


def test_a_forged_bundle_id_is_refused(lab: Any, shared: Any, tmp_path: Path) -> None:
    folder = tmp_path / "share"
    facts = json.loads((folder / "bundle.json").read_text())
    facts["bundle_id"] = "00000000-0000-4000-8000-000000000000"
    (folder / "bundle.json").write_text(json.dumps(facts))
    (folder / "SHA256SUMS").unlink()
    (folder / "SHA256SUMS").write_text(sums_text(hash_files(folder)))
    with pytest.raises(BundleError, match="does not match"):
        take_in(lab, folder)


def test_an_annotator_may_not_import(lab: Any, shared: Any) -> None:
    with pytest.raises(NotAllowedError):
        import_bundle(lab.opened_by("Annika Notator"), shared)


def test_an_import_that_fails_half_way_takes_its_files_back(
    lab: Any, shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise BundleError("stop")

    monkeypatch.setattr(module, "import_patch", refuse)
    with pytest.raises(BundleError):
        take_in(lab, shared)
    assert all_patches(lab) == ()
    for folder in (
        lab.workspace.folders.images,
        lab.workspace.folders.labels,
        lab.workspace.folders.merged,
    ):
        assert list(folder.iterdir()) == []


def test_an_import_overwrites_no_label_and_a_full_disk_leaves_none_behind(
    lab: Any, shared: Any, tree: Any, tmp_path: Path
) -> None:
    folders = lab.workspace.folders
    names = sorted(case.case.patch_id for case in preview_bundle(lab.opened, shared).incoming)
    folders.label_of(names[0]).write_bytes(b"a label of somebody")
    folders.merged_of(names[1]).write_bytes(b"a merged label of somebody")
    before = tree(folders.patches)

    away = folders.merged.rename(tmp_path / "away")
    folders.merged.touch()
    with pytest.raises(OutputError):
        take_in(lab, shared)
    assert tree(folders.patches) == before
    folders.merged.unlink()
    away.rename(folders.merged)
    take_in(lab, shared)
    assert len(all_patches(lab)) == 6
    after = tree(folders.patches)
    assert {name: after[name] for name in before} == before
    assert folders.merged_of(names[1]).read_bytes() == b"a merged label of somebody"


def test_imported_labels_verify(lab: Any, shared: Any) -> None:
    take_in(lab, shared)
    assert {each.outcome for each in verify(lab.workspace)} == {"done"}


def test_a_rebuilt_catalog_knows_what_was_imported(lab: Any, shared: Any) -> None:
    take_in(lab, shared)
    folder, catalog = lab.workspace.folder, lab.workspace.catalog
    with catalog.read() as session:
        before = [replace(each, id=0) for each in list_bundles(session)]
    chosen = choose_curated(lab.opened, Choice()).patches
    origins = {patch.name: patch.imported for patch in chosen}
    catalog.close()
    catalog.file.unlink()
    record = sorted((folder / "patches" / "records").iterdir())[0]
    kept = record.read_text()
    record.write_text(json.dumps(json.loads(kept) | {"bundle": None}))
    outcomes = {each.name: each for each in rebuild(folder)}
    assert "lacks its bundle" in (outcomes[record.stem].message or "")
    record.write_text(kept)
    catalog.file.unlink()
    assert {each.outcome for each in rebuild(folder) if each.name in origins} == {"done"}
    with open_workspace(folder) as again:
        with again.catalog.read() as session:
            after = [replace(each, id=0) for each in list_bundles(session)]
        chosen = choose_curated(Lab(again, acting_person(again)), Choice()).patches
    assert after == before
    assert {patch.name: patch.imported for patch in chosen} == origins
