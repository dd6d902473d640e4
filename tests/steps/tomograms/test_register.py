"""Tomograms are paired with their segmentations by name, shown, and registered in place."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import PatchNameError, RootError, VolumeError
from core.imaging.hashes import file_hash
from core.lab.lab import Lab
from core.tomograms import data_roots as roots
from core.tomograms import source_files
from core.tomograms.discovery.pairing import Pairing, evidence_files, pair
from core.tomograms.register import plan_registration, register
from core.tomograms.source_files import open_original
from core.workspace.results import DONE, FAILED, KEPT
from db.errors import NotAllowedError, UnknownNameError
from db.queries.jobs import JobFilter, list_jobs
from db.queries.volumes import get_tomogram, list_tomograms, segmentations_of
from db.vocabulary import JobKind

GOOD = Path("/data")


def paired(*names: str, segmentations: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Which segmentations each tomogram gets, by file name; None is a file that got nothing."""
    made = pair([GOOD / name for name in names], [GOOD / name for name in segmentations])
    return {
        each.tomogram.name if each.tomogram else "lonely": [s.path.name for s in each.segmentations]
        for each in made
    }


def test_a_segmentation_goes_to_the_longest_stem_that_its_name_begins_with() -> None:
    assert paired(
        "TS_1.mrc",
        "TS_1_b.rec",
        "TS_10.mrc",
        "TS_1_b_m.ckpt_segmented.mrc",
        "TS_10_m.ckpt_segmented.mrc",
        "TS_1_m.ckpt_segmented.mrc",
    ) == {
        "TS_1.mrc": ["TS_1_m.ckpt_segmented.mrc"],
        "TS_1_b.rec": ["TS_1_b_m.ckpt_segmented.mrc"],
        "TS_10.mrc": ["TS_10_m.ckpt_segmented.mrc"],
    }


def test_a_name_that_only_begins_with_the_same_digits_is_not_paired() -> None:
    assert paired("TS_1.mrc", "TS_10_m.ckpt_segmented.mrc") == {
        "TS_1.mrc": [],
        "lonely": ["TS_10_m.ckpt_segmented.mrc"],
    }


def test_scores_are_no_segmentation() -> None:
    assert paired("TS_1.mrc", "TS_1_scores.mrc", "TS_1_m.ckpt_segmented.mrc") == {
        "TS_1.mrc": ["TS_1_m.ckpt_segmented.mrc"]
    }


@pytest.mark.parametrize(
    "name",
    [
        "TS_1_scores.mrc",
        "TS_1_MemBrain_seg_v10_alpha.ckpt_uncertainty_map.mrc",
        "TS_1_EVN_Vol.mrc",
        "TS_1_ODD_Vol.mrc",
        "TS_1_2ND_Vol.mrc",
        "TS_1_half1.mrc",
        "even/TS_1.mrc",
        "odd/TS_1.mrc",
        "deconv/TS_1.mrc",
        "TS_1__ribosome.mrc",
    ],
)
def test_evidence_half_maps_variants_and_features_are_no_tomograms(name: Any) -> None:
    (made,) = pair([GOOD / "TS_1.mrc", GOOD / name])
    assert (made.tomogram, made.segmentations) == (GOOD / "TS_1.mrc", ())
    (alone,) = pair([GOOD / name])
    assert alone.tomogram is None
    assert "not a tomogram" in (alone.error or "")


def test_a_membrane_feature_is_a_segmentation_of_its_tomogram() -> None:
    (made,) = pair([GOOD / "TS_1_10.00Apx.mrc", GOOD / "TS_1_10.00Apx__membrane.mrc"])
    assert [each.path.name for each in made.segmentations] == ["TS_1_10.00Apx__membrane.mrc"]


def test_scores_and_uncertainty_belong_to_the_segmentation_beside_them(tmp_path: Path) -> None:
    names = "_scores", "_m.ckpt_segmented", "_m.ckpt_uncertainty_map"
    scores, segmented, uncertainty = (tmp_path / f"TS_1{name}.mrc" for name in names)
    assert evidence_files(tmp_path / "TS_1.mrc", segmented) == (None, None)
    scores.touch()
    uncertainty.touch()
    assert evidence_files(tmp_path / "TS_1.mrc", segmented) == (scores, uncertainty)


def test_one_tomogram_and_one_segmentation_that_are_named_belong_together() -> None:
    assert paired("tomo.mrc", segmentations=("prediction.mrc",)) == {"tomo.mrc": ["prediction.mrc"]}


def test_the_name_of_membrain_seg_tells_model_and_checkpoint() -> None:
    made = pair([GOOD / "TS_1.mrc", GOOD / "TS_1_MemBrain_seg_v10_alpha.ckpt_segmented.mrc"])
    predicted = made[0].segmentations[0]
    assert (predicted.model, predicted.checkpoint) == ("MemBrain_seg_v10_alpha",) * 2


def test_a_plan_writes_nothing(workspace: Any, files: Any) -> None:
    files.tomogram("TS_001.mrc")
    pairings = plan_registration(workspace, [files.folder])
    assert [each.name for each in pairings] == ["other/TS_001"]
    with workspace.catalog.read() as session:
        assert list_tomograms(session).total == 0


def test_a_registered_tomogram_has_its_header_and_its_jobs(
    workspace: Any, team: Any, files: Any
) -> None:
    path = files.tomogram("TS_001.mrc", voxel_size=13.0)
    files.segmentation("TS_001_v10.ckpt_segmented.mrc")
    pairings = plan_registration(workspace, [f"{files.folder}/*.mrc"], dataset="chlamy")
    outcomes = register(Lab(workspace, team.admin), pairings, add_roots=True)
    assert [outcome.outcome for outcome in outcomes] == [DONE]
    assert f"{files.folder} is a data root now" in outcomes[0].findings
    with workspace.catalog.read() as session:
        record = get_tomogram(session, "chlamy/TS_001")
        segmentations = segmentations_of(session, record.id)
        jobs = list_jobs(session, JobFilter())
    assert record.on_disk.file == path
    assert record.on_disk.shape == (176, 240, 250)
    assert record.voxel_size == pytest.approx(13.0)
    assert [each.model for each in segmentations] == ["v10"]
    kinds = sorted(job.kind for job in jobs)
    assert kinds == [JobKind.HASH, JobKind.HASH, JobKind.PREVIEW, JobKind.PREVIEW]


def test_registering_again_keeps_and_adds_new_segmentations(
    workspace: Any, team: Any, files: Any, registered: Any
) -> None:
    registered("TS_001")
    again = plan_registration(workspace, [files.folder])
    assert [o.outcome for o in register(Lab(workspace, team.cora), again)] == [KEPT]
    newer = files.segmentation("TS_001_better.ckpt_segmented.mrc")
    alone = plan_registration(workspace, [newer])
    assert [each.registered_as for each in alone] == ["other/TS_001"]
    outcome = register(Lab(workspace, team.cora), alone)[0]
    assert (outcome.outcome, outcome.details["segmentations"]) == (DONE, [str(newer)])


def test_a_manifest_states_tokens_datasets_and_voxel_sizes(
    workspace: Any, team: Any, files: Any
) -> None:
    files.tomogram("a.mrc")
    files.segmentation("seg_a.mrc")
    files.segmentation("seg_b.mrc")
    table = files.folder / "manifest.csv"
    table.write_text(
        "tomogram,segmentation,token,dataset,voxel_size,model\n"
        "a.mrc,seg_a.mrc,T1,yeast,12.5,old\n"
        "a.mrc,seg_b.mrc,T1,yeast,12.5,new\n"
        ",seg_b.mrc,T2,yeast,,\n"
    )
    pairings = plan_registration(workspace, [table])
    outcomes = register(Lab(workspace, team.admin), pairings, add_roots=True)
    assert [outcome.outcome for outcome in outcomes] == [DONE, FAILED]
    assert "line 4: names no tomogram" in (outcomes[1].message or "")
    with workspace.catalog.read() as session:
        record = get_tomogram(session, "T1")
        models = {each.model for each in segmentations_of(session, record.id)}
    assert (record.name, record.voxel_size, record.voxel_size_is_override) == (
        "yeast/T1",
        12.5,
        True,
    )
    assert models == {"old", "new"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tomogram,sgmentation\na,b\n", "'sgmentation' is not known"),
        ("token\nTS\n", "of which tomogram is needed"),
        ("tomogram\n", "has no rows"),
        ("\ufefftomogram\nhttp://host/a.mrc\n", "not a local path"),
        ("tomogram,voxel_size\na.mrc,ten\n", "voxel_size is 'ten'; write a number"),
    ],
)
def test_a_manifest_that_cannot_be_one_is_told(
    workspace: Any, files: Any, text: Any, said: Any
) -> None:
    table = files.folder / "manifest.csv"
    table.write_text(text, encoding="utf-8")
    try:
        errors = [each.error for each in plan_registration(workspace, [table])]
    except VolumeError as error:
        errors = [str(error)]
    assert said in (errors[0] or "")


def test_one_bad_file_stops_no_other(workspace: Any, team: Any, files: Any) -> None:
    files.tomogram("good.mrc")
    (files.folder / "bad.mrc").write_bytes(b"no volume at all")
    outcomes = register(
        Lab(workspace, team.admin), plan_registration(workspace, [files.folder]), add_roots=True
    )
    assert {o.name: o.outcome for o in outcomes} == {"other/good": DONE, "other/bad": FAILED}


def test_a_segmentation_of_another_shape_is_refused(workspace: Any, team: Any, files: Any) -> None:
    tomogram = files.tomogram("TS_001.mrc")
    seg = files.write("seg.mrc", np.zeros((20, 20, 20), np.int8), 10.0)
    pairings = plan_registration(workspace, [tomogram], segmentation=seg)
    outcome = register(Lab(workspace, team.admin), pairings, add_roots=True)[0]
    assert outcome.outcome == FAILED
    assert "20,20,20 voxels (x, y, z)" in (outcome.message or "")
    with workspace.catalog.read() as session:
        assert list_tomograms(session).total == 0


def test_a_file_is_registered_within_a_second(workspace: Any, team: Any, files: Any) -> None:
    for number in range(10):
        files.tomogram(f"TS_{number:03}.mrc")
    pairings = plan_registration(workspace, [files.folder])
    began = time.perf_counter()
    register(Lab(workspace, team.admin), pairings, add_roots=True)
    assert (time.perf_counter() - began) / len(pairings) < 1.0


def test_a_curator_registers_below_a_root_and_adds_none(
    workspace: Any, team: Any, files: Any
) -> None:
    pairings = plan_registration(workspace, [files.tomogram("TS_001.mrc")])
    outcome = register(Lab(workspace, team.cora), pairings)[0]
    assert "lies below no data root" in (outcome.message or "")
    with pytest.raises(NotAllowedError, match="cora is a curator; to add a data root takes an adm"):
        register(Lab(workspace, team.cora), pairings, add_roots=True)
    roots.add_root(Lab(workspace, team.admin), files.folder)
    assert register(Lab(workspace, team.cora), pairings)[0].outcome == DONE


def test_an_annotator_registers_nothing(workspace: Any, team: Any, files: Any) -> None:
    pairings = plan_registration(workspace, [files.tomogram("TS_001.mrc")])
    with pytest.raises(NotAllowedError, match="register tomograms takes a curator"):
        register(Lab(workspace, team.annika), pairings)


NAMES = [
    ("Томограмма_1", True),
    ("断層像", True),
    ("تصوير", True),
    ("αβγ-7", True),
    ("TS_🙂", False),
    ("TS\n1", False),
    ("a" * 121, False),
    ("断" * 100, False),
    ("../etc", False),
    ("a/b", False),
    ("a\\b", False),
    ("=SUM(A1)", False),
    ("+cmd", False),
    ("-rf", False),
    ("@x", False),
    ("CON", False),
    ("nul.x", False),
    ("dot.", False),
    (".hidden", False),
    ("TS\u202e1", False),
    ("TS 1", False),
    ("", False),
    ("'; DROP TABLE patches; --", False),
    ("100%", False),
    ("TS\0", False),
]


@pytest.mark.parametrize(("token", "good"), NAMES)
def test_names_of_every_kind_are_taken_or_refused_in_a_sentence(
    workspace: Any, team: Any, files: Any, token: Any, good: Any
) -> None:
    path = files.tomogram("a.mrc")
    if good:
        outcome = register(
            Lab(workspace, team.admin),
            plan_registration(workspace, [path], token=token),
            add_roots=True,
        )[0]
        assert (outcome.outcome, outcome.name) == (DONE, f"other/{token}")
        return
    with pytest.raises(PatchNameError) as caught:
        plan_registration(workspace, [path], token=token)
    assert str(caught.value).endswith((".", ")."))


def test_a_name_in_two_unicode_forms_is_one_name(workspace: Any, team: Any, files: Any) -> None:
    composed, taken_apart = "Z\u00fcrich", "Zu\u0308rich"
    path = files.tomogram("a.mrc")
    plan = plan_registration(workspace, [path], token=taken_apart)
    assert plan[0].token == composed


def test_a_bad_name_of_one_file_of_many_stops_no_other(
    workspace: Any, team: Any, files: Any
) -> None:
    files.tomogram("good.mrc")
    files.tomogram("=cmd|calc.mrc")
    outcomes = register(
        Lab(workspace, team.admin), plan_registration(workspace, [files.folder]), add_roots=True
    )
    assert sorted(o.outcome for o in outcomes) == [DONE, FAILED]


def test_a_token_that_differs_in_capital_letters_alone_is_refused(
    workspace: Any, team: Any, files: Any, registered: Any
) -> None:
    registered("TS_1")
    plan = plan_registration(workspace, [files.tomogram("other.mrc")], token="ts_1")
    said = register(Lab(workspace, team.admin), plan)[0].message or ""
    assert "differs from TS_1 in capital letters alone" in said


def test_a_token_that_is_taken_is_told(
    workspace: Any, team: Any, files: Any, registered: Any
) -> None:
    registered("TS_001")
    other = files.tomogram("elsewhere.mrc")
    plan = plan_registration(workspace, [other], token="TS_001")
    said = register(Lab(workspace, team.admin), plan)[0].message or ""
    assert "TS_001: another file is registered under this token" in said


@pytest.mark.parametrize("size", [-1.0, float("nan"), 1.0, 5000.0])
def test_a_voxel_size_that_is_none_is_refused(workspace: Any, files: Any, size: Any) -> None:
    plan = plan_registration(workspace, [files.tomogram("a.mrc")], voxel_size=size)
    assert "voxel size" in (plan[0].error or "")


def test_an_unusual_voxel_size_is_warned_about(workspace: Any, team: Any, files: Any) -> None:
    plan = plan_registration(workspace, [files.tomogram("a.mrc", voxel_size=3.4)])
    findings = register(Lab(workspace, team.admin), plan, add_roots=True)[0].findings
    assert any("MemBrain-seg is trained on 10 to 14" in finding for finding in findings)


def test_a_source_that_names_nothing_is_told(workspace: Any, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="no volume file is there"):
        plan_registration(workspace, [tmp_path / "*.mrc"])


def test_a_changed_tomogram_is_told_when_it_is_opened(
    workspace: Any, registered: Any, files: Any
) -> None:
    registered("TS_001")
    with workspace.catalog.read() as session:
        record = get_tomogram(session, "TS_001")
    files.tomogram("TS_001.mrc", voxel_size=11.0)
    with pytest.raises(VolumeError, match="changed since it was registered"):
        open_original(record.on_disk)
    record.on_disk.file.unlink()
    with pytest.raises((VolumeError, RootError), match="TS_001"):
        open_original(record.on_disk)


def test_a_changed_tomogram_without_patches_is_read_anew(
    workspace: Any, team: Any, registered: Any, files: Any
) -> None:
    path = registered("TS_001")
    files.tomogram("TS_001.mrc", voxel_size=11.0)
    outcome = register(Lab(workspace, team.cora), plan_registration(workspace, [path]))[0]
    assert "the file changed since it was registered; it was read anew" in outcome.findings
    with workspace.catalog.read() as session:
        record = get_tomogram(session, "TS_001")
    open_original(record.on_disk).close()


def test_duplicates_are_found_by_their_bytes(
    workspace: Any, team: Any, files: Any, registered: Any
) -> None:
    path = registered("TS_001")
    with workspace.catalog.read() as session:
        first = get_tomogram(session, "TS_001")
    sha256 = file_hash(source_files.file_to_hash(workspace, f"tomogram-{first.id}"))
    assert source_files.note_hash(workspace, team.admin, f"tomogram-{first.id}", sha256) == ()
    copy = files.folder / "copy.mrc"
    copy.write_bytes(path.read_bytes())
    outcome = register(Lab(workspace, team.cora), plan_registration(workspace, [copy]))[0]
    assert outcome.findings == ("holds the same bytes as other/TS_001",)
    with workspace.catalog.read() as session:
        second = get_tomogram(session, "copy")
    assert source_files.duplicates_of(workspace, second) == ("other/TS_001",)


def test_the_job_finds_duplicates_that_registering_did_not(
    workspace: Any, team: Any, files: Any
) -> None:
    paths = [files.tomogram("a.mrc"), files.folder / "b.mrc"]
    paths[1].write_bytes(paths[0].read_bytes())
    register(Lab(workspace, team.admin), plan_registration(workspace, paths), add_roots=True)
    names = ["tomogram-1", "tomogram-2"]
    told = [
        source_files.note_hash(
            workspace, None, name, file_hash(source_files.file_to_hash(workspace, name))
        )
        for name in names
    ]
    assert told == [(), ("other/a",)]


def test_a_volume_nobody_registered_has_no_hash(workspace: Any) -> None:
    for name in ("tomogram-99", "patch-1", "../x"):
        with pytest.raises(UnknownNameError, match="never registered"):
            source_files.file_to_hash(workspace, name)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "../../etc/passwd",
        "file:///etc/passwd",
        "https://host/tomo.mrc",
        "\\\\host\\share\\tomo.mrc",
        "a\0b",
    ],
)
def test_what_lies_outside_the_roots_is_never_opened(
    workspace: Any, team: Any, files: Any, path: Any
) -> None:
    roots.add_root(Lab(workspace, team.admin), files.folder)
    with pytest.raises(RootError):
        roots.resolve_below_root(workspace, path)


def test_a_plan_for_a_page_tells_no_name_from_outside_the_roots(
    workspace: Any, team: Any, files: Any, tmp_path: Path
) -> None:
    roots.add_root(Lab(workspace, team.admin), files.folder)
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "secret.mrc").write_bytes(b"x")
    for source in (tmp_path / "private", f"{files.folder}/../private/*.mrc"):
        with pytest.raises(RootError) as caught:
            plan_registration(workspace, [source], within_roots=True)
        assert "secret" not in str(caught.value)
    files.tomogram("TS_1.mrc")
    assert plan_registration(workspace, [files.folder], within_roots=True)[0].error is None


def test_a_link_out_of_a_root_and_a_pipe_in_it_are_refused(
    workspace: Any, team: Any, files: Any, tmp_path: Path
) -> None:
    roots.add_root(Lab(workspace, team.admin), files.folder)
    secret = tmp_path / "secret.mrc"
    secret.write_bytes(b"x")
    (files.folder / "link.mrc").symlink_to(secret)
    with pytest.raises(RootError, match="lies below no data root"):
        roots.resolve_below_root(workspace, files.folder / "link.mrc")
    os.mkfifo(files.folder / "pipe.mrc")
    with pytest.raises(RootError, match="is not a regular file"):
        roots.resolve_below_root(workspace, files.folder / "pipe.mrc")
    assert roots.browse(Lab(workspace, team.cora), files.folder).files == ()


def test_a_sibling_whose_name_begins_like_a_root_is_outside(
    workspace: Any, team: Any, files: Any, tmp_path: Path
) -> None:
    roots.add_root(Lab(workspace, team.admin), files.folder)
    twin = tmp_path / "data-private"
    twin.mkdir()
    (twin / "a.mrc").write_bytes(b"x")
    with pytest.raises(RootError):
        roots.resolve_below_root(workspace, twin / "a.mrc")


@pytest.mark.parametrize("folder", ["/", "/proc", "/etc", "/dev/shm/../.."])
def test_the_system_is_no_data_root(workspace: Any, team: Any, folder: Any) -> None:
    with pytest.raises(RootError, match="belongs to the system"):
        roots.add_root(Lab(workspace, team.admin), Path(folder))


def test_browsing_shows_what_lies_below_a_root(
    workspace: Any, team: Any, files: Any, registered: Any
) -> None:
    registered("TS_001")
    (files.folder / "more").mkdir()
    (files.folder / "notes.txt").write_text("x")
    listing = roots.browse(Lab(workspace, team.cora), files.folder)
    assert listing.folders == ("more",)
    told = {file.name: (file.is_volume, file.registered_as) for file in listing.files}
    assert told["TS_001.mrc"] == (True, "other/TS_001")
    assert told["notes.txt"] == (False, None)
    for below in ("..", "../..", "/etc", "notes.txt", "absent"):
        with pytest.raises(RootError):
            roots.browse(Lab(workspace, team.cora), files.folder, below)


def test_a_root_moves_with_its_files(
    workspace: Any, team: Any, files: Any, registered: Any, tmp_path: Path
) -> None:
    registered("TS_001")
    moved = tmp_path / "moved"
    files.folder.rename(moved)
    assert roots.move_root(Lab(workspace, team.admin), files.folder, moved) == 2
    with workspace.catalog.read() as session:
        record = get_tomogram(session, "TS_001")
    open_original(record.on_disk).close()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RootError):
        roots.move_root(Lab(workspace, team.admin), moved, empty)


def test_a_pairing_that_failed_is_told_by_register(workspace: Any, team: Any) -> None:
    lonely = Pairing(None, "TS", "other", error="TS_seg.mrc: is paired with nothing.")
    outcome = register(Lab(workspace, team.cora), [lonely])[0]
    assert (outcome.outcome, outcome.message) == (FAILED, "TS_seg.mrc: is paired with nothing.")


def test_a_name_like_another_reconstruction_hints_at_one_specimen(
    workspace: Any, team: Any, files: Any
) -> None:
    for name in ("TS_1.mrc", "TS_12.mrc", "TS_1_denoised.mrc", "TS_1_bin4.mrc"):
        plan = plan_registration(workspace, [files.tomogram(name)])
        outcome = register(Lab(workspace, team.admin), plan, add_roots=True)[0]
        hints = [each for each in outcome.findings if "tomocurate group" in each]
        named = {"TS_1_denoised.mrc": "group other/TS_1 other/TS_1_denoised"}
        assert len(hints) == (name not in ("TS_1.mrc", "TS_12.mrc"))
        assert name not in named or named[name] in hints[0]
