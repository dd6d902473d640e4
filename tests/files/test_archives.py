"""An archive that could do harm is refused in one sentence before a byte of it is written."""

import os
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core.errors import ArchiveError
from core.files import zips
from core.files.archives import open_archive

FILES = {"bundle.json": b"{}", "labelsTr/a.nii.gz": os.urandom(3000), "README.md": b"x" * 70_000}


def make_zip(path: Any, members: Any = FILES, compression: Any = zipfile.ZIP_DEFLATED) -> Any:
    with zipfile.ZipFile(path, "w", compression) as out:
        for name, data in members.items():
            entry = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            out.writestr(entry, data, compression)
    return path


def make_folder(path: Any, members: Any = FILES) -> Any:
    for name, data in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def refused(source: Any, tmp_path: Path) -> Any:
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(ArchiveError) as error:
        open_archive(source, into)
    said = str(error.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said, list(into.iterdir())


@pytest.mark.parametrize("top", ["", "share-1/", "a/b/"])
@pytest.mark.parametrize("make", [make_zip, make_folder])
def test_a_zip_or_folder_opens_with_or_without_a_folder_around_it(
    tmp_path: Path, make: Any, top: Any
) -> None:
    into = tmp_path / "into"
    into.mkdir()
    opened = open_archive(make(tmp_path / "x", {top + n: data for n, data in FILES.items()}), into)
    assert {name: opened.path(name).read_bytes() for name in opened.names} == FILES


def test_a_zip_of_powershell_with_backslashes_opens(tmp_path: Path) -> None:
    names = {name: zipfile.ZipInfo("x") for name in FILES}
    for name, entry in names.items():
        entry.filename = "share\\" + name.replace("/", "\\")
    source = make_zip(tmp_path / "x.zip", {names[name]: data for name, data in FILES.items()})
    into = tmp_path / "into"
    into.mkdir()
    opened = open_archive(source, into)
    assert {name: opened.path(name).read_bytes() for name in opened.names} == FILES


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../out.txt", "leaves the archive"),
        ("a/../../out.txt", "leaves the archive"),
        ("/etc/passwd", "absolute path"),
        ("C:/windows/x", "absolute path"),
        ("a\\..\\b/c", "backslash"),
        ("a\x1b[31mb", "cannot be shown"),
        ("a\u202eb", "cannot be shown"),
        ("a//b", "empty part"),
        ("x/" * 12 + "y", "too deep"),
        ("n" * 300, "too long"),
    ],
)
def test_a_name_that_could_do_harm_is_refused(tmp_path: Path, name: Any, said: Any) -> None:
    source = make_zip(tmp_path / "x.arc", {**FILES, name: b"!"})
    told, left = refused(source, tmp_path)
    assert said in told
    assert left == []
    assert "\x1b" not in told


@pytest.mark.parametrize("make", [make_zip, make_folder])
def test_two_names_that_a_file_system_may_take_for_one_are_refused(
    tmp_path: Path, make: Any
) -> None:
    source = make(tmp_path / "x", {"labelsTr/A.nii.gz": b"1", "labelsTr/a.nii.gz": b"2"})
    assert "differ in more than case" in refused(source, tmp_path)[0]


def test_a_zip_member_twice_is_refused(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {"a.txt": b"1", "b.txt": b"2"})
    source.write_bytes(source.read_bytes().replace(b"b.txt", b"a.txt"))
    assert "twice" in refused(source, tmp_path)[0]


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x", {"a": b"1", "a/b": b"2"})
    assert "lies below a file" in refused(source, tmp_path)[0]


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("labelsTr/x.nii.gz")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    assert (
        "is a link" in refused(make_zip(tmp_path / "x.zip", {entry: b"/etc/passwd"}), tmp_path)[0]
    )


@pytest.mark.parametrize(
    "make_odd",
    [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo, lambda path: path.symlink_to("..")],
)
def test_a_folder_with_a_link_or_a_pipe_is_refused(tmp_path: Path, make_odd: Any) -> None:
    source = make_folder(tmp_path / "x")
    make_odd(source / "labelsTr" / "b.nii.gz")
    assert "is a link, a device or a pipe" in refused(source, tmp_path)[0]


def test_a_linked_folder_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path / "x")
    (tmp_path / "y").symlink_to(tmp_path / "x")
    assert "is a link" in refused(tmp_path / "y", tmp_path)[0]


def test_a_bomb_is_refused_before_it_goes_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zips, "ALWAYS_ALLOWED", 1 << 20)
    bomb = make_zip(tmp_path / "x.zip", {"labelsTr/a.nii.gz": bytes(30 << 20)})
    assert "possible zip bomb" in refused(bomb, tmp_path)[0]


def test_a_million_members_are_counted_no_further_than_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zips, "MAX_MEMBERS", 50)
    many = {f"labelsTr/{n}": b"" for n in range(200)}
    for make in (make_zip, make_folder):
        source = make(tmp_path / f"{make.__name__}.arc", many)
        with pytest.raises(ArchiveError, match="more than 50 files"):
            open_archive(source, tmp_path)


def test_a_zip_that_lies_about_its_members_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zips, "MAX_MEMBERS", 50)
    source = make_zip(tmp_path / "x.zip", {f"{n}": b"" for n in range(200)})
    raw = bytearray(source.read_bytes())
    at = raw.rfind(b"PK\5\6")
    raw[at + 8 : at + 12] = struct.pack("<2H", 1, 1)
    source.write_bytes(raw)
    assert "more than 50 files" in refused(source, tmp_path)[0]


def test_a_member_that_is_larger_than_its_header_says_is_refused(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {"README.md": b"y" * 50_000})
    raw = bytearray(source.read_bytes())
    for mark, place in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        at = raw.find(mark)
        raw[at + place : at + place + 4] = struct.pack("<I", 10)
    source.write_bytes(raw)
    assert "damaged" in refused(source, tmp_path)[0]


@pytest.mark.parametrize("left", [0.5, 0.9])
def test_a_zip_that_was_cut_short_is_refused(tmp_path: Path, left: Any) -> None:
    source = make_zip(tmp_path / "x.zip")
    raw = source.read_bytes()
    source.write_bytes(raw[: int(len(raw) * left)])
    assert "copy it again" in refused(source, tmp_path)[0]


def test_flipped_bytes_are_noticed(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", compression=zipfile.ZIP_STORED)
    raw = bytearray(source.read_bytes())
    raw[raw.find(b"x" * 100) + 50] ^= 255
    source.write_bytes(raw)
    assert "damaged" in refused(source, tmp_path)[0]


def test_an_encrypted_member_and_an_odd_compression_are_refused(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "x.zip", {"a": b"1"})
    raw = bytearray(source.read_bytes())
    raw[raw.find(b"PK\1\2") + 8] |= 1
    source.write_bytes(raw)
    assert "encrypted" in refused(source, tmp_path)[0]
    odd = make_zip(tmp_path / "y.zip", {"a": b"1" * 100}, zipfile.ZIP_BZIP2)
    with pytest.raises(ArchiveError, match="unusual method"):
        open_archive(odd, tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x7fELF" + bytes(600), b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b"]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data: Any) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    assert "not a zip" in refused(tmp_path / "x.zip", tmp_path)[0]


def test_nothing_and_an_empty_archive_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.zip", tmp_path)[0]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArchiveError, match="holds no file"):
        open_archive(tmp_path / "empty", tmp_path)
