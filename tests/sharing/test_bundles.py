"""Bundles of the catalog: its secrets stay at home, its owners are asked, it is recorded."""

import gzip
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from core.bundles.facts import BundleFacts, Level
from core.bundles.privacy.known_names import KEY_FILE, pseudonyms_of
from core.bundles.share import export_bundle, rehearse_share
from core.errors import ExportError
from core.exports.selection import Choice
from core.lab.lab import Lab
from core.maintenance.backup import make_backup
from core.maintenance.restore import restore
from core.tomograms.data_permissions import permit
from core.workspace.workspace import open_workspace
from db.errors import NotAllowedError
from db.models.work import Fact
from db.queries.patches import PatchFilter
from db.queries.sharing import list_exports, pseudonym_key
from db.vocabulary import ExportKind, Licence, Role, Scope
from db.writes.events import Change
from db.writes.people import add_person
from tests.exports.layout import check_layout

FACTS = BundleFacts(
    title="Membranes",
    description="Where the network failed.",
    licence=Licence.CC_BY,
    signed_by="Ada Min",
    created=date(2026, 11, 25),
)


def test_a_bundle_is_written_checked_and_recorded(ready: Any, tmp_path: Path) -> None:
    done = export_bundle(ready.opened, tmp_path / "share", FACTS, zipped=True)
    assert check_layout(tmp_path / "share") == []
    assert (tmp_path / "share.zip").is_file()
    assert done.details["patches"] == 6
    with ready.workspace.catalog.read() as session:
        made = list_exports(session, ExportKind.BUNDLE)[0]
    assert (made.scope, made.licence, made.made_by) == (Scope.PUBLIC, Licence.CC_BY, "Ada Min")
    assert made.options["signed_by"] == "Ada Min"


def test_nothing_of_the_lab_is_in_a_public_bundle(ready: Any, tmp_path: Path, tree: Any) -> None:
    export_bundle(ready.opened, tmp_path / "share", FACTS)
    everything = b"\n".join(
        name.encode() + b"\n" + (gzip.decompress(raw) if name.endswith(".gz") else raw)
        for name, raw in tree(tmp_path / "share").items()
    ).lower()
    for word in (
        b"ts_00",
        b"ada min",
        b"annika",
        b"reviewson",
        b"ownerly",
        b"headof",
        str(tmp_path).encode(),
    ):
        assert word not in everything


@pytest.mark.parametrize(
    "text",
    [
        "seen by Annika Notator",
        "kept as TS_002_rec",
        "account anotator",
        "thanks to R. Reviewson and Rolf Reviewson",
        "see /tmp/",
    ],
)
def test_a_secret_of_the_catalog_stops_the_bundle(ready: Any, tmp_path: Path, text: Any) -> None:
    text = text.replace("/tmp/", str(ready.data))
    with pytest.raises(ExportError, match="must not be shared"):
        export_bundle(ready.opened, tmp_path / "share", replace(FACTS, title=text))
    assert not (tmp_path / "share").exists()
    with ready.workspace.catalog.read() as session:
        assert list_exports(session) == ()


def test_days_of_work_stay_at_home(ready: Any, tmp_path: Path) -> None:
    with ready.workspace.catalog.read() as session:
        from db.queries.patches import get_patch

        day = get_patch(session, "demo_TS_001_patch0").chosen_at.date().isoformat()
    with pytest.raises(ExportError, match="contains a date"):
        export_bundle(ready.opened, tmp_path / "x", replace(FACTS, description=f"On {day}."))


def test_a_missing_permission_is_named_and_nothing_is_written(lab: Any, tmp_path: Path) -> None:
    lab.fill()
    lab.permit_all(tomograms=2)
    with pytest.raises(ExportError) as refused:
        export_bundle(lab.opened, tmp_path / "share", FACTS)
    assert refused.value.faults == (
        "demo/TS_003: its owner's permission is not recorded; add it with tomocurate permit.",
    )
    assert not (tmp_path / "share").exists()
    names = tuple(f"demo_TS_00{t}_patch{n}" for t in (1, 2) for n in (0, 1))
    chosen = Choice(PatchFilter(), names=names)
    export_bundle(lab.opened, tmp_path / "share", FACTS, chosen)


def test_an_embargo_holds(ready: Any, tmp_path: Path) -> None:
    permit(
        Lab(ready.workspace, ready.by),
        "TS_002",
        scope=Scope.PUBLIC,
        licence=Licence.CC_BY,
        approved_by="P",
        embargo=date(2099, 1, 1),
    )
    with pytest.raises(ExportError, match="embargo until 2099"):
        export_bundle(ready.opened, tmp_path / "share", FACTS)


def named(folder: Any) -> Any:
    return sorted(path.name for path in folder.glob("labels*/*"))


def test_the_pseudonym_key_lies_in_the_catalog_and_keeps_pseudonyms(
    ready: Any, tmp_path: Path, tree: Any
) -> None:
    export_bundle(ready.opened, tmp_path / "a", FACTS)
    export_bundle(ready.opened, tmp_path / "b", FACTS)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    with ready.workspace.catalog.read() as session:
        key = pseudonym_key(session)
    assert key is not None
    assert key not in (tmp_path / "a" / "bundle.json").read_text()
    assert not ready.workspace.secret_path(KEY_FILE).exists()


def test_pseudonyms_outlive_another_account_and_a_moved_workspace(
    ready: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_bundle(ready.opened, tmp_path / "a", FACTS)
    ready.workspace.close()
    moved = ready.workspace.folder.rename(tmp_path / "moved")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with open_workspace(moved) as workspace:
        export_bundle(Lab(workspace, ready.by), tmp_path / "b", FACTS)
    assert named(tmp_path / "b") == named(tmp_path / "a")


def test_pseudonyms_outlive_a_restored_backup(ready: Any, tmp_path: Path) -> None:
    export_bundle(ready.opened, tmp_path / "a", FACTS)
    made = make_backup(ready.workspace, ready.by)
    restore(Path(made.path), tmp_path / "restored")
    names = []
    for folder in (tmp_path / "restored", ready.workspace.folder):
        with open_workspace(folder) as workspace:
            names.append(pseudonyms_of(workspace)[0].of("tomogram", "demo/TS_001"))
    assert names[0] == names[1]


def test_a_key_file_of_an_earlier_version_is_taken_over(ready: Any, tmp_path: Path) -> None:
    ready.workspace.secret_path(KEY_FILE).write_text("ab" * 32 + "\n")
    export_bundle(ready.opened, tmp_path / "a", FACTS)
    with ready.workspace.catalog.read() as session:
        assert pseudonym_key(session) == "ab" * 32


def test_a_key_that_is_lost_is_told(ready: Any, tmp_path: Path) -> None:
    export_bundle(ready.opened, tmp_path / "a", FACTS)
    with ready.workspace.catalog.write() as session:
        session.delete(session.get_one(Fact, "pseudonym_key"))
    done = export_bundle(ready.opened, tmp_path / "b", FACTS)
    assert "the key of earlier bundles' pseudonyms is missing" in " ".join(done.findings)


@pytest.mark.parametrize("signer", ["Nobody Known", "Annika Notator"])
def test_only_those_who_may_export_or_approved_it_sign(
    ready: Any, tmp_path: Path, signer: Any
) -> None:
    facts = replace(FACTS, signed_by=signer)
    with pytest.raises(NotAllowedError, match=f"{signer} cannot sign"):
        export_bundle(ready.opened, tmp_path / "share", facts)
    assert not (tmp_path / "share").exists()


def test_a_curator_and_the_head_who_approved_all_may_sign(ready: Any, tmp_path: Path) -> None:
    with ready.workspace.catalog.write() as session:
        add_person(session, Change.now(ready.by.id), "Cora Curator", Role.CURATOR)
    for signer in ("Cora Curator", "Prof. Headofgroup"):
        facts = replace(FACTS, signed_by=signer)
        export_bundle(ready.opened, tmp_path / signer, facts)
    permit(
        Lab(ready.workspace, ready.by),
        "TS_001",
        scope=Scope.PUBLIC,
        licence=Licence.CC_BY,
        approved_by="Somebody Else",
    )
    with pytest.raises(NotAllowedError, match="cannot sign"):
        export_bundle(ready.opened, tmp_path / "other", facts)


def test_a_rehearsal_shows_the_report_and_records_nothing(ready: Any, tmp_path: Path) -> None:
    facts = replace(FACTS, title="By Annika Notator")
    report = rehearse_share(ready.opened, tmp_path / "share", facts)
    assert not report.passed
    assert report.disclosures[0].patches == 2
    assert not (tmp_path / "share").exists()


def test_an_internal_bundle_keeps_names_but_no_path(ready: Any, tmp_path: Path) -> None:
    facts = replace(FACTS, level=Level.INTERNAL)
    export_bundle(ready.opened, tmp_path / "share", facts)
    about = json.loads((tmp_path / "share" / "privacy_report.json").read_text())
    assert about["signed_by"] == "Ada Min"
    assert (tmp_path / "share" / "labelsTr").is_dir()


def test_a_viewer_may_not_share(ready: Any, tmp_path: Path) -> None:
    with pytest.raises(NotAllowedError):
        export_bundle(ready.opened_by("Vera View"), tmp_path / "share", FACTS)
