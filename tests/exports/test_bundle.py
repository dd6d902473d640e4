"""A bundle is whole, the same twice, and gives away no more than its level and owners allow."""

import csv
import gzip
import hashlib
import io
import json
import subprocess
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from core.bundles.facts import BundleFacts, Creator, Level
from core.bundles.privacy.field_policy import header_faults
from core.bundles.privacy.names import Secret, SecretKind
from core.bundles.privacy.pseudonyms import Pseudonyms
from core.bundles.privacy.report import examine, report_text
from core.bundles.write import plan_bundle, rehearse_bundle, write_bundle
from core.errors import ExportError, OutputError
from core.exports.patch import Imported
from core.imaging.geometry import Box, Zyx
from db.vocabulary import Licence, Scope
from tests.exports.layout import check_layout

KEY = Pseudonyms(bytes(range(32)))
FACTS = BundleFacts(
    title="Membranes of green algae",
    description="Thylakoids where the network failed.",
    licence=Licence.CC_BY,
    signed_by="Sigrid Signer",
    created=date(2026, 11, 25),
    creators=(Creator("Curator, Maria", "0000-0002-1825-0097", "Institute of Examples"),),
    contact="maria@example.org",
)
SECRETS = [
    Secret(SecretKind.PERSON, "Annika Annotator"),
    Secret(SecretKind.PERSON, "mcurator"),
    Secret(SecretKind.PATH, "/data/lab7"),
    Secret(SecretKind.HOST, "cryohost7"),
    Secret(SecretKind.DATE, "2026-03-14"),
]


def bundle(
    patches: Any, out: Any, facts: Any = FACTS, secrets: Any = SECRETS, **options: Any
) -> Any:
    return write_bundle(plan_bundle(patches, facts, KEY), out, secrets, **options)


def faults(patches: Any, facts: Any = FACTS) -> Any:
    with pytest.raises(ExportError) as error:
        plan_bundle(patches, facts, KEY).check()
    return " ".join(error.value.faults)


def rows(folder: Any) -> Any:
    return list(csv.DictReader(io.StringIO((folder / "patches.csv").read_text())))


def test_a_bundle_loads_and_its_sums_hold(lab: Any, tmp_path: Path) -> None:
    made = bundle(lab.patches(), tmp_path / "Dataset501_Share")
    assert check_layout(made.folder) == []
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=made.folder, capture_output=True)
    assert done.returncode == 0
    assert done.stdout.count(b": OK") == 12 + 11
    assert made.report.passed


@pytest.mark.parametrize("level", list(Level))
def test_a_clean_bundle_has_no_hit_at_any_level(lab: Any, tmp_path: Path, level: Any) -> None:
    facts = replace(FACTS, level=level)
    made = bundle(lab.patches(), tmp_path / "out", facts)
    assert made.report.faults == []
    assert json.loads((made.folder / "privacy_report.json").read_text())["searched"]["hits"] == 0


@pytest.mark.parametrize("level", [Level.COLLABORATOR, Level.PUBLIC, Level.MINIMAL])
def test_no_name_of_a_tomogram_or_person_is_told(
    lab: Any, tmp_path: Path, tree: Any, level: Any
) -> None:
    facts = replace(FACTS, level=level, creators=(), contact="")
    made = bundle(lab.patches(), tmp_path / "out", facts)
    everything = b"\n".join(
        name.encode() + b"\n" + (gzip.decompress(raw) if name.endswith(".gz") else raw)
        for name, raw in tree(made.folder).items()
    ).lower()
    for word in (
        b"ts_00",
        b"ts00",
        b"curator",
        b"annika",
        b"rolf",
        b"headof",
        b"sigrid",
        b"2026-03-14",
        str(lab.folder).encode(),
    ):
        assert word not in everything


def test_the_same_bundle_twice_is_the_same_bytes(lab: Any, tmp_path: Path, tree: Any) -> None:
    patches = lab.patches()
    first = bundle(patches, tmp_path / "a", zipped=True)
    second = bundle(list(reversed(patches)), tmp_path / "b", zipped=True)
    assert tree(first.folder) == tree(second.folder)
    assert first.archive.read_bytes() == second.archive.read_bytes()
    assert bundle(patches, tmp_path / "a").unchanged


def test_a_public_bundle_keeps_neither_place_nor_day(lab: Any, tmp_path: Path) -> None:
    made = bundle(lab.patches(), tmp_path / "out")
    about = json.loads((made.folder / "bundle.json").read_text())
    assert about["created"] == "2026"
    for row in rows(made.folder):
        assert row["box_x"] == row["intensity_mean"] == ""
        header = nibabel.load(made.folder / row["image"]).header
        assert header["qoffset_x"] == header["qoffset_y"] == header["qoffset_z"] == 0
        assert list(header_faults(made.folder / row["image"], keeps_places=False)) == []


def test_an_internal_bundle_keeps_names_and_places(lab: Any, tmp_path: Path) -> None:
    made = bundle(lab.patches(), tmp_path / "out", replace(FACTS, level=Level.INTERNAL))
    row = rows(made.folder)[0]
    assert row["patch_id"] == "demo_TS001_patch0"
    assert (row["box_x"], row["box_y"], row["box_z"]) == ("100", "50", "100")
    assert row["contributor_id"] == "Maria Curator"


def test_a_minimal_bundle_ships_the_core_alone_and_thins_out(lab: Any, tmp_path: Path) -> None:
    patches = lab.patches(3, 4)
    facts = replace(FACTS, level=Level.MINIMAL, patches_per_tomogram=2)
    made = bundle(patches, tmp_path / "out", facts)
    assert len(made.cases) == 6
    assert {row["nx"] for row in rows(made.folder)} == {"32"}
    image = nibabel.load(made.folder / rows(made.folder)[0]["image"]).get_fdata()
    assert (image * 256 == np.rint(image * 256)).all()
    assert len({row["source_group"] for row in rows(made.folder)}) <= 2
    overlapping = replace(patches[1], box=patches[0].box)
    plan = plan_bundle([patches[0], overlapping, *patches[4:]], facts, KEY)
    assert overlapping.name not in {case.patch.name for case in plan.training_set.cases}


def test_what_a_loader_pads_back_is_the_label_of_the_whole_patch(lab: Any, tmp_path: Path) -> None:
    whole = bundle(lab.patches(), tmp_path / "whole")
    core = bundle(lab.patches(), tmp_path / "core", replace(FACTS, level=Level.MINIMAL))
    by_name = [
        {c.planned.patch.name: made.folder / c.planned.label for c in made.cases}
        for made in (whole, core)
    ]
    for name, path in by_name[1].items():
        padded = np.pad(nibabel.load(path).get_fdata(), 16, constant_values=2)
        full = nibabel.load(by_name[0][name]).get_fdata()
        assert ((padded == full) | (full != padded)).all()
        assert padded.shape == full.shape


def test_patches_of_one_tomogram_share_a_group_and_no_split_tears_it(
    lab: Any, tmp_path: Path
) -> None:
    made = bundle(lab.patches(), tmp_path / "out")
    groups: dict[str, set[str]] = {}
    for row in rows(made.folder):
        groups.setdefault(row["source_group"], set()).add(row["split"])
    assert len(groups) == 3
    assert all(len(splits) == 1 for splits in groups.values())


def test_another_key_gives_other_pseudonyms(lab: Any, tmp_path: Path) -> None:
    patches = lab.patches()
    first = bundle(patches, tmp_path / "a")
    plan = plan_bundle(patches, FACTS, Pseudonyms(b"x" * 32))
    second = write_bundle(plan, tmp_path / "b", SECRETS)
    assert {c.planned.case for c in first.cases}.isdisjoint(c.planned.case for c in second.cases)
    assert {c.image_hash for c in first.cases} == {c.image_hash for c in second.cases}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"permission": None}, "permission is not recorded"),
        ({"scope": Scope.INTERNAL}, "allows internal use, and this bundle is public"),
        ({"scope": Scope.COLLABORATOR}, "allows collaborator use"),
        ({"until": date(2026, 11, 24)}, "ended on 2026-11-24"),
        ({"embargo_until": date(2026, 11, 26)}, "embargo until 2026-11-26"),
    ],
)
def test_what_an_owner_did_not_allow_stays_at_home(
    lab: Any, tmp_path: Path, changes: Any, said: Any
) -> None:
    patches = lab.patches()
    given = None if "permission" in changes else replace(patches[0].permission, **changes)
    patches[0] = replace(patches[0], permission=given)
    told = faults(patches)
    assert said in told
    assert "demo/TS_001" in told
    with pytest.raises(ExportError):
        bundle(patches, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "last_or_first",
    [{"until": date(2026, 11, 25)}, {"embargo_until": date(2026, 11, 25)}],
)
def test_the_last_permitted_day_and_the_day_an_embargo_ends_are_allowed(
    lab: Any, last_or_first: Any
) -> None:
    patches = lab.patches()
    given = replace(patches[0].permission, **last_or_first)
    patches = [replace(patch, permission=given) for patch in patches]
    plan_bundle(patches, FACTS, KEY).check()


@pytest.mark.parametrize("licence", list(Licence))
def test_every_format_states_the_licence_of_the_bundle(
    lab: Any, tmp_path: Path, licence: Any
) -> None:
    patches = lab.patches()
    given = replace(patches[0].permission, licence=Licence.CC0)
    patches = [replace(patch, permission=given) for patch in patches]
    made = bundle(patches, tmp_path / "out", replace(FACTS, licence=licence))
    wanted = {
        Licence.CC0: ("creativecommons.org/publicdomain/zero/1.0/", "CC0", "cc0-1.0"),
        Licence.CC_BY: ("creativecommons.org/licenses/by/4.0/", "CC_BY", "cc-by-4.0"),
    }[licence]

    def stated(name: Any, key: Any = "license") -> Any:
        return json.loads((made.folder / name).read_text())[key]

    assert stated("croissant.json") == f"https://{wanted[0]}"
    assert stated("mifa.json") == wanted[1]
    assert stated(".zenodo.json") == stated("bundle.json", "licence") == licence.value
    assert f"license: {wanted[2]}" in (made.folder / "README.md").read_text()
    assert {row["licence"] for row in rows(made.folder)} == {licence.value}


def test_a_pseudonym_depends_on_its_kind() -> None:
    names = {KEY.of(kind, "TS_001")[1:] for kind in ("tomogram", "tower", "signer")}
    assert len(names) == 3
    assert KEY.of("tomogram", "TS_001") == KEY.of("tomogram", "TS_001")


def test_a_freer_licence_than_an_owner_gave_is_refused(lab: Any) -> None:
    assert "allows CC-BY-4.0, not CC0-1.0" in faults(
        lab.patches(), replace(FACTS, licence=Licence.CC0)
    )


def test_an_embargo_does_not_hold_in_the_own_lab(lab: Any) -> None:
    patches = lab.patches()
    given = replace(patches[0].permission, embargo_until=date(2027, 1, 1), scope=Scope.INTERNAL)
    patches = [replace(patch, permission=given) for patch in patches]
    plan_bundle(patches, replace(FACTS, level=Level.INTERNAL), KEY).check()


def test_detail_that_membranes_do_not_need_is_not_published_by_accident(lab: Any) -> None:
    patches = [replace(patch, voxel_size=4.0) for patch in lab.patches()]
    assert "more detail than membranes need" in faults(patches)
    plan_bundle(patches, replace(FACTS, finer_than_10_angstrom=True), KEY).check()
    plan_bundle(patches, replace(FACTS, level=Level.COLLABORATOR), KEY).check()


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("title", "title"),
        ("description", "description"),
        ("annotation_criteria", "criteria"),
        ("funding_statement", "funding"),
        ("contact", "contact"),
    ],
)
def test_a_secret_that_somebody_types_stops_the_bundle(
    lab: Any, tmp_path: Path, field: Any, said: Any
) -> None:
    typed: dict[str, Any] = {field: "from /data/lab7/krios on cryohost7"}
    facts = replace(FACTS, **typed)
    with pytest.raises(ExportError) as error:
        bundle(lab.patches(), tmp_path / "out", facts)
    assert any("contains a path" in fault for fault in error.value.faults)
    assert "lab7" not in " ".join(error.value.faults)
    assert [path.name for path in tmp_path.iterdir()] == ["lab"]


def test_a_dataset_token_that_is_a_person_is_found_and_can_be_renamed(
    lab: Any, tmp_path: Path
) -> None:
    patches = [replace(patch, dataset="benedikt") for patch in lab.patches()]
    secrets = [Secret(SecretKind.PERSON, "Benedikt")]
    with pytest.raises(ExportError, match="contains a person"):
        bundle(patches, tmp_path / "out", secrets=secrets)
    facts = replace(FACTS, tokens={"benedikt": "algae"})
    made = bundle(patches, tmp_path / "out", facts, secrets)
    assert all(case.planned.case.startswith("algae_") for case in made.cases)


def test_a_creator_is_named_where_creators_are_and_nowhere_else(lab: Any, tmp_path: Path) -> None:
    secrets = [Secret(SecretKind.PERSON, "Maria Curator")]
    made = bundle(lab.patches(), tmp_path / "out", secrets=secrets)
    assert "Curator, Maria" in (made.folder / "README.md").read_text()
    facts = replace(FACTS, description="Chosen by Maria Curator.")
    with pytest.raises(ExportError, match=r"contains a person"):
        bundle(lab.patches(), tmp_path / "other", facts, secrets)


def examined(made: Any) -> Any:
    planned = [case.planned for case in made.cases]
    volumes = {path for case in planned for path in (case.image, case.label)}
    return examine(made.folder, planned, FACTS, SECRETS, KEY, 10.0, volumes)


def test_what_is_planted_in_a_written_bundle_is_found(lab: Any, tmp_path: Path, plant: Any) -> None:
    made = bundle(lab.patches(2, 1), tmp_path / "out")
    plant(made.folder, b"cryohost7")
    report = examined(made)
    assert {hit.secret.kind for hit in report.hits} == {SecretKind.HOST}
    assert not report.passed


@pytest.mark.parametrize("at", [14, 148, 228, 328, 349])
def test_a_header_that_holds_more_than_a_volume_needs_is_found(
    lab: Any, tmp_path: Path, at: Any
) -> None:
    made = bundle(lab.patches(2, 1), tmp_path / "out")
    path = made.folder / made.cases[0].planned.image
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[at] = 7
    path.write_bytes(gzip.compress(bytes(raw), mtime=0))
    assert any("NIfTI header holds more" in fault.message for fault in examined(made).faults)


def test_a_name_in_a_gzip_header_is_found(lab: Any, tmp_path: Path) -> None:
    made = bundle(lab.patches(2, 1), tmp_path / "out")
    path = made.folder / made.cases[0].planned.label
    raw = path.read_bytes()
    path.write_bytes(raw[:3] + b"\x08" + raw[4:10] + b"TS_001.mrc\0" + raw[10:])
    assert any("gzip header" in fault.message for fault in examined(made).faults)


@pytest.mark.parametrize("size", [1.0, 6.8, 10.6, 13.48])
@pytest.mark.parametrize("level", [Level.INTERNAL, Level.COLLABORATOR])
def test_our_own_headers_are_plain_at_any_voxel_size(
    lab: Any, tmp_path: Path, size: Any, level: Any
) -> None:
    patches = [replace(patch, voxel_size=size) for patch in lab.patches(2, 1)]
    bundle(patches, tmp_path / "out", replace(FACTS, level=level))


def test_a_rehearsal_gives_the_report_and_leaves_nothing(lab: Any, tmp_path: Path) -> None:
    facts = replace(FACTS, title="Membranes of cryohost7")
    report = rehearse_bundle(plan_bundle(lab.patches(), facts, KEY), tmp_path / "out", SECRETS)
    assert not report.passed
    assert "Not signed yet" in report_text(report)
    assert "Sigrid" not in report_text(report)
    assert [path.name for path in tmp_path.iterdir()] == ["lab"]


def test_the_card_states_the_reviews_that_are_recorded(lab: Any, tmp_path: Path) -> None:
    made = bundle(lab.patches(), tmp_path / "out")
    card = (made.folder / "README.md").read_text()
    assert "6 of 6 labels were accepted in review." in card
    assert "second person" not in card
    assert "Signed by s" in (made.folder / "privacy_report.md").read_text()


def test_the_report_tells_what_is_given_away(lab: Any, tmp_path: Path) -> None:
    made = bundle(lab.patches(), tmp_path / "out")
    told = json.loads((made.folder / "privacy_report.json").read_text())
    assert {each["patches"] for each in told["exposure"]} == {2}
    assert {each["voxels"] for each in told["exposure"]} == {2 * 64**3}
    share = 2 * 64**3 / (400 * 800 * 1600)
    assert told["exposure"][0]["share_of_tomogram"] == pytest.approx(share, abs=1e-4)
    assert any(
        "can find these patches" in risk.replace("  ", " ") for risk in told["residual_risk"]
    )
    assert "Sigrid" not in (made.folder / "privacy_report.md").read_text()


def test_overlapping_patches_are_counted_each_and_put_together_in_one_box(
    lab: Any, tmp_path: Path
) -> None:
    patches = lab.patches(3, 2)
    near = Box(Zyx(100, 50, 132), Zyx(164, 114, 196))
    patches[1] = replace(patches[1], box=near)
    made = bundle(patches, tmp_path / "out")
    told = {each.group: each for each in made.report.disclosures}
    overlapping = [each for each in told.values() if each.overlapping_pairs]
    assert [tuple(each.largest_box) for each in overlapping] == [(64, 64, 96)]
    assert overlapping[0].voxels == 2 * 64**3
    apart = [each for each in told.values() if not each.overlapping_pairs]
    assert {tuple(each.largest_box) for each in apart} == {(64, 64, 64)}


def test_an_archive_tells_no_time_owner_or_machine(lab: Any, tmp_path: Path, tree: Any) -> None:
    made = bundle(lab.patches(), tmp_path / "out", zipped=True)
    with zipfile.ZipFile(made.archive) as archive:
        members = archive.infolist()
        assert {i.date_time for i in members} == {(1980, 1, 1, 0, 0, 0)}
        assert all(not i.extra for i in members)
        inside = {i.filename.partition("/")[2]: archive.read(i) for i in members}
    assert inside == tree(made.folder)


def test_an_archive_holds_nothing_that_the_bundle_did_not_write(lab: Any, tmp_path: Path) -> None:
    patches = lab.patches()
    made = bundle(patches, tmp_path / "out")
    (made.folder / "NOTES.md").write_text("for us alone")
    again = bundle(patches[:4], tmp_path / "out", overwrite=True, zipped=True)
    assert again.kept == ("NOTES.md",)
    with zipfile.ZipFile(again.archive) as archive:
        assert "NOTES.md" not in " ".join(archive.namelist())


def test_imported_patches_keep_their_licence_attribution_and_name(lab: Any, tmp_path: Path) -> None:
    came = Imported(
        "b-1", "algae_tabc_patch3", "tabc", Licence.CC_BY, "Doe 2025", "10.5281/zenodo.1"
    )
    image = np.random.default_rng(0).normal(size=(64,) * 3).astype("f4")
    patch = lab.patch("X", normalised=True, imported=came, permission=None, image=image)
    made = bundle([*lab.patches(), patch], tmp_path / "out")
    row = next(row for row in rows(made.folder) if row["patch_id"] == "algae_tabc_patch3")
    assert (row["licence"], row["attribution"], row["source_group"]) == (
        "CC-BY-4.0",
        "Doe 2025",
        "tabc",
    )
    about = json.loads((made.folder / "bundle.json").read_text())
    source = {"bundle_id": "b-1", "licence": "CC-BY-4.0", "attribution": "Doe 2025"}
    assert about["attribution"] == [source | {"doi": "10.5281/zenodo.1"}]
    given = replace(patch, imported=replace(came, level="collaborator"))
    assert "was given for collaborator use" in faults([*lab.patches(), given])
    assert "came under CC-BY-4.0" in faults(
        [*lab.patches(), patch], replace(FACTS, licence=Licence.CC0)
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"title": " "}, "needs a title"),
        ({"version": "1"}, "form 1.0.0"),
        ({"creators": (Creator("X", "0000"),)}, "ORCID"),
        ({"doi": "zenodo"}, "DOI"),
        ({"signed_by": ""}, "needs a signer"),
    ],
)
def test_facts_that_a_format_refuses_are_told(lab: Any, changes: Any, said: Any) -> None:
    with pytest.raises(ExportError, match=said):
        plan_bundle(lab.patches(), replace(FACTS, **changes), KEY)


def test_hostile_text_stays_text(lab: Any, tmp_path: Path) -> None:
    facts = replace(
        FACTS, title='x"\nlicense: evil\n---\n# <script>', creators=(Creator("=cmd(), \u202eevil"),)
    )
    made = bundle(lab.patches(), tmp_path / "out", facts)
    head = (made.folder / "README.md").read_text().split("---\n")[1]
    assert "\nlicense: evil" not in head
    assert json.loads((made.folder / "bundle.json").read_text())["title"] == facts.title


def test_another_folder_is_not_overwritten(lab: Any, tmp_path: Path) -> None:
    bundle(lab.patches(), tmp_path / "out")
    with pytest.raises(OutputError, match="--overwrite"):
        bundle(lab.patches(2), tmp_path / "out")
    digest = hashlib.sha256((tmp_path / "out" / "bundle.json").read_bytes())
    bundle(lab.patches(2), tmp_path / "out", overwrite=True)
    assert hashlib.sha256((tmp_path / "out" / "bundle.json").read_bytes()) != digest
