"""Hostile files, one table: what a stranger could bring to each door, and how it is made."""

import bz2
import gzip
import io
import json
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile

from core.exports.manifest import hash_files, sums_text
from core.workspace.settings import FILE_NAME
from tests.files.test_archives import FILES, make_zip
from tests.imaging.test_hostile_volumes import GZIP_NRRD, HOSTILE, gibibyte
from tests.imaging.test_mrc import REFUSED as REFUSED_MRC
from tests.imaging.test_nifti import CUTS, DAMAGES, GRID, damaged
from tests.imaging.test_tiff import pages

Make = Callable[[Path], object]
Row = tuple[str, str, Make]
"""Door, file name, and what writes the file."""

DATA = Path(__file__).parents[1] / "data" / "points"
VOXELS = np.zeros((160, 160, 160), np.uint8)
SECRET = "canary of the host"
"""Stands in a file beside the workspace; no answer may repeat it."""


def make_tar(
    path: Path, members: dict[Any, bytes] = FILES, mode: Literal["w", "w:gz"] = "w"
) -> Path:
    with tarfile.open(path, mode) as out:
        for name, data in members.items():
            entry = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            entry.size = len(data)
            out.addfile(entry, io.BytesIO(data))
    return path


def in_turn(*steps: Make) -> Make:
    def make(path: Path) -> None:
        for step in steps:
            step(path)

    return make


def raw(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def text(content: str) -> Make:
    return raw(content.encode())


def nrrd(*fields: str, data: bytes = bytes(27)) -> Make:
    stated = {"type": "uchar", "dimension": "3", "sizes": "3 3 3", "encoding": "raw"}
    more = [field for field in fields if field.partition(":")[0] not in stated]
    stated |= {
        name: rest.strip() for name, _, rest in (f.partition(":") for f in fields) if name in stated
    }
    lines = ["NRRD0004", *(f"{name}: {value}" for name, value in stated.items()), *more, "", ""]
    return raw("\n".join(lines).encode() + data)


def nifti(kind: str, squeezed: bool) -> Make:
    def make(path: Path) -> None:
        from core.imaging.formats.nifti import write_nifti

        good = path.with_name("good.nii")
        write_nifti(good, np.zeros((4, 5, 6), np.uint8), GRID)
        content = damaged(good.read_bytes(), kind)
        good.unlink()
        path.write_bytes(gzip.compress(content) if squeezed and content else content)

    return make


def tiff(**options: Any) -> Make:
    return lambda path: tifffile.imwrite(path, **options)


def sparse(gigabytes: int, first: bytes = b"") -> Make:
    def make(path: Path) -> None:
        path.write_bytes(first)
        os.truncate(path, gigabytes << 30)

    return make


def linked(to: str) -> Make:
    return lambda path: path.symlink_to(to)


def zipped(*members: tuple[str, bytes], **info: int) -> Make:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for name, data in members:
                entry = zipfile.ZipInfo(name)
                entry.create_system = 3
                entry.compress_type = zipfile.ZIP_DEFLATED
                for field, value in info.items():
                    setattr(entry, field, value)
                out.writestr(entry, data)

    return make


def tarred(kind: bytes = tarfile.REGTYPE, name: str = "labelsTr/x.nii.gz", link: str = "") -> Make:
    def make(path: Path) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, link
        with tarfile.open(path, "w") as out:
            out.addfile(entry, io.BytesIO())

    return make


@cache
def zeros_in_a_zip() -> bytes:
    """600 MB of zeros, in a zip of less than 3 MB."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("corrections/other_TS_001_patch0/Add1.nrrd", "w") as file,
    ):
        for _ in range(600):
            file.write(bytes(1 << 20))
    return out.getvalue()


def bomb(path: Path) -> None:
    path.write_bytes(zeros_in_a_zip())


def many(count: int) -> Make:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as out:
            for number in range(count):
                out.writestr(f"corrections/{number}/Add1.nrrd", b"")

    return make


def changed(make: Make, old: bytes, new: bytes) -> Make:
    """What a maker makes, with some of its bytes put in the place of others."""

    def again(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes().replace(old, new))

    return again


def cut(make: Make) -> Make:
    def again(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return again


def bundle(content: str, table: str = "patch_id\n") -> Make:
    """A bundle whose bundle.json says this; its sums are right."""

    def make(path: Path) -> None:
        folder = path.with_suffix(".folder")
        folder.mkdir()
        (folder / "bundle.json").write_text(content)
        (folder / "patches.csv").write_text(table)
        (folder / "SHA256SUMS").write_text(sums_text(hash_files(folder)))
        make_zip(path, {file.name: file.read_bytes() for file in folder.iterdir()})
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()

    return make


def record(content: str) -> Make:
    """A lost workspace with one record that says this."""

    def make(path: Path) -> None:
        path.parent.mkdir(parents=True)
        (path.parents[2] / FILE_NAME).write_text('catalog = "catalog.sqlite"\n')
        path.write_text(content)

    return make


RECORD = "patches/records/other_TS_001_patch0.json"
SOUND = {"format": "tomocurate patch record", "format_version": 1}
DEEP = "[" * 200_000
HUGE = "9" * 5000
ODD_JSON = {
    "a million brackets": DEEP,
    "objects without end": '{"a":' * 200_000,
    "nothing": "",
    "no text": "\0" * 64,
    "a list": "[]",
    "NaN for facts": '{"format": NaN}',
    "a number of 5000 digits": '{"format_version": ' + HUGE + "}",
    "the same name twice": '{"format": "x", "format": "y"}',
    "a mark of byte order": "\ufeff{}",
    "a tag of YAML": "!!python/object/apply:os.system [id]",
}

NRRD: dict[str, Make] = {
    "data file elsewhere": nrrd("data file: ../outside/secret"),
    "data file by its whole path": nrrd("datafile: /etc/hostname"),
    "a list of data files": nrrd("data file: LIST"),
    "a pattern of data files": nrrd("data file: slice%03d.raw 1 99999999 1 2"),
    "line skip": nrrd("line skip: 1000000000000"),
    "byte skip": nrrd("byte skip: 99999999999"),
    "byte skip -1": nrrd("byte skip: -1", "encoding: gzip"),
    "sizes below zero": nrrd("sizes: -3 -3 3"),
    "sizes that wrap around": nrrd("sizes: 4294967296 4294967296 4294967296"),
    "sizes that are no numbers": nrrd("sizes: nan inf 3"),
    "sizes of 5000 digits": nrrd(f"sizes: {HUGE} 3 3"),
    "2-D": nrrd("dimension: 2", "sizes: 3 9"),
    "dimension of a million": nrrd("dimension: 1000000"),
    "type block": nrrd("type: block", "block size: 99999999"),
    "encoding of nobody": nrrd("encoding: pickle"),
    "half a gzip": nrrd("encoding: gzip", data=gzip.compress(os.urandom(4000))[:900]),
    "a gzip of a wrong checksum": nrrd(
        "encoding: gzip", data=gzip.compress(bytes(27))[:-8] + bytes(8)
    ),
    "a gzip that inflates to 1 GiB": lambda p: p.write_bytes(GZIP_NRRD + gibibyte()),
    "no line with a colon": raw(b"NRRD0004\nhello\n\n"),
    "magic alone": raw(b"NRRD0004"),
    "300 MB in a line": sparse(1, GZIP_NRRD[:-1] + b"a:="),
    "a header of 2000 lines": nrrd(*(f"k{n}:=v" for n in range(2000))),
    "a shear": nrrd(
        "sizes: 160 160 160",
        "space: LPS",
        "space directions: (1,0,0) (1,1,0) (0,0,1)",
        "space origin: (0,0,0)",
        data=bytes(160**3),
    ),
    "directions of zero": nrrd("space: LPS", "space directions: (0,0,0) (0,0,0) (0,0,0)"),
    "directions of none": nrrd("space: LPS", "space directions: none none none"),
    "4-D of vectors": nrrd(
        "dimension: 4", "sizes: 3 3 3 3", "kinds: vector domain domain domain", data=bytes(81)
    ),
    "fractions": nrrd("type: float", data=np.full(27, 0.5, "<f4").tobytes()),
    "NaN": nrrd("type: float", data=np.full(27, np.nan, "<f4").tobytes()),
    "the shape of another patch": nrrd("sizes: 64 64 64", data=bytes(64**3)),
    "10 times the voxel size": nrrd(
        "sizes: 160 160 160",
        "space: LPS",
        "space directions: (100,0,0) (0,100,0) (0,0,100)",
        "space origin: (0,0,0)",
        data=bytes(160**3),
    ),
    "script for a content": nrrd(
        "content: <img src=x onerror=alert(1)>", "sizes: 2 2 2", data=bytes(8)
    ),
}

ROWS: dict[str, Row] = {}
for _kind, _make in NRRD.items():
    ROWS[f"NRRD, {_kind}"] = ("receive", "Add1.nrrd", _make)
for _kind, (_made, _) in REFUSED_MRC.items():
    ROWS[f"MRC, {_kind}"] = ("register", "TS_900.mrc", _made)
for _kind in ("negative", "2 GiB of extended header", "one byte short", "too huge"):
    ROWS[f"MRC as a correction, {_kind}"] = ("receive", "Add1.mrc", REFUSED_MRC[_kind][0])
    ROWS[f"MRC as a segmentation, {_kind}"] = (
        "segmentation",
        "TS_002_seg.mrc",
        REFUSED_MRC[_kind][0],
    )
UNREAD = "promises what it has not"
"""Registering reads headers; what a compressed file lacks is told where its voxels are wanted."""
for _kind, _make in HOSTILE.items():
    if not _kind.startswith(("NRRD", "NIfTI")) and "27 voxels" not in _kind:
        if UNREAD not in _kind:
            ROWS[f"volume, {_kind}"] = ("register", "TS_901.mrc", _make)
        ROWS[f"correction, {_kind}"] = ("receive", "Add1.nrrd", _make)
for _kind in [*CUTS, *DAMAGES]:
    for _suffix in (".nii", ".nii.gz"):
        ROWS[f"NIfTI{_suffix}, {_kind}"] = (
            "receive",
            f"Add1{_suffix}",
            nifti(_kind, _suffix.endswith("gz")),
        )
ROWS |= {
    "TIFF, 2-D": ("receive", "Add1.tif", tiff(data=VOXELS[0])),
    "TIFF, colours": (
        "receive",
        "Add1.tif",
        tiff(data=np.zeros((5, 20, 20, 3), np.uint8), photometric="rgb"),
    ),
    "TIFF, pages in a circle": (
        "receive",
        "Add1.tif",
        lambda p: pages(p, count=3, strip=b"x", stated=1, loop=True),
    ),
    "TIFF, 50,000 pages": (
        "receive",
        "Add1.tif",
        lambda p: pages(p, count=50_000, strip=b"x", stated=1),
    ),
    "TIFF, a strip beyond the end": (
        "receive",
        "Add1.tif",
        lambda p: pages(p, count=3, strip=b"x", stated=1 << 20),
    ),
    "TIFF, header alone": ("receive", "Add1.tif", raw(b"II*\0\x08\0\0\0")),
    "Amira": ("receive", "Add1.am", raw(b"# AmiraMesh BINARY-LITTLE-ENDIAN 2.1\n")),
    "a correction beyond the limit": ("receive", "Add1.nrrd", sparse(100)),
    "a correction by a link to a secret": ("receive", "Add1.nrrd", linked("../outside/secret")),
    "a correction by a pipe": ("receive", "Add1.nrrd", os.mkfifo),
    "a tomogram by a link out of the roots": (
        "register",
        "TS_902.mrc",
        linked("../outside/TS_001.mrc"),
    ),
    "a tomogram by a link to the environment": (
        "register",
        "TS_902.mrc",
        linked("/proc/self/environ"),
    ),
    "a tomogram by a pipe": ("register", "TS_902.mrc", os.mkfifo),
    "a tomogram that is a text": ("register", "TS_902.mrc", text("hello " * 500)),
    "star, a thousand columns of one name": (
        "choose --from",
        "a.star",
        text("data_\n\nloop_\n" + "_rlnCoordinateX #1\n" * 1000 + "1\n"),
    ),
    "star, a million names": ("choose --from", "a.star", text("data_x\n" * 1_000_000)),
    "star, zeros": ("choose --from", "a.star", raw(bytes(1 << 20))),
    "star, a line of 40 MB": (
        "choose --from",
        "a.star",
        raw(b"data_\n\nloop_\n" + b"_x" * 20_000_000),
    ),
    "star, a quote without end": (
        "choose --from",
        "a.star",
        text("data_\n\nloop_\n_a #1\n'" + "a " * 9999),
    ),
    "mod, cut short": (
        "choose --from",
        "a.mod",
        raw((DATA / "imodmodel_multiple_objects_example.mod").read_bytes()[:430]),
    ),
    "mod, two billion points": (
        "choose --from",
        "a.mod",
        raw((DATA / "czi_points.mod").read_bytes()[:232] + b"OBJT" + b"\x7f" * 400),
    ),
    "mod, header alone": ("choose --from", "a.mod", raw(b"IMODV1.2" + bytes(50))),
    "csv, a line without end": ("choose --from", "a.csv", raw(b"1," * (20 << 20))),
    "csv, beyond the limit": ("choose --from", "a.csv", sparse(60, b"1,2,3\n")),
    "csv, two million rows": ("choose --from", "a.csv", raw(b"1,2,3\n" * 2_000_000)),
    "csv, formulas": ("choose --from", "a.csv", text("=cmd|'/c calc'!A1,2,3\n")),
    "csv, not numbers": ("choose --from", "a.csv", text("x,y,z\nnan,inf,1e400\n")),
    "csv, zeros": ("choose --from", "a.csv", raw(bytes(1 << 20))),
    "points by a link to the environment": ("choose --from", "a.csv", linked("/proc/self/environ")),
    "points by a pipe": ("choose --from", "a.csv", os.mkfifo),
    "a manifest with no column": ("register", "m.csv", text("a,b\n1,2\n")),
    "a manifest of other people's files": (
        "register",
        "m.csv",
        text("tomogram\n../outside/TS_001.mrc\n"),
    ),
    "a manifest of addresses": ("register", "m.csv", text("tomogram\nhttp://127.0.0.1:9/a.mrc\n")),
    "a manifest of shares": (
        "register",
        "m.csv",
        text("tomogram\n\\\\host\\share\\a.mrc\n"),
    ),
    "a manifest beyond the limit": ("register", "m.csv", sparse(60, b"tomogram\n")),
    "a manifest by a pipe": ("register", "m.csv", os.mkfifo),
    "a manifest by a link to the environment": ("register", "m.csv", linked("/proc/self/environ")),
    "a manifest of zeros": ("register", "m.csv", raw(b"tomogram\n" + bytes(1 << 20))),
}
for _kind, _content in ODD_JSON.items():
    ROWS[f"picks, {_kind}"] = ("choose --from", "a.json", text(_content))
    ROWS[f"bundle.json, {_kind}"] = ("import-bundle", "b.zip", bundle(_content))
    ROWS[f"record, {_kind}"] = ("rebuild", RECORD, record(_content))
    ROWS[f"backup's manifest, {_kind}"] = ("restore", "daily.json", text(_content))
    ROWS[f"settings, {_kind}"] = ("open", FILE_NAME, text(_content.replace("[]", "[[]]")))

ENCRYPTED = changed(
    zipped(("a/Add1.nrrd", b"1" * 99)), b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"
)
ARCHIVES: dict[str, Make] = {
    "a way out": zipped(("../../Add1.nrrd", b"x")),
    "a whole path": zipped(("/tmp/Add1.nrrd", b"x")),
    "a way out of Windows": zipped(("..\\..\\Add1.nrrd", b"x")),
    "a drive": zipped(("C:/Add1.nrrd", b"x")),
    "a link": zipped(("a/Add1.nrrd", b"/etc/passwd"), external_attr=(stat.S_IFLNK | 0o777) << 16),
    "a device": zipped(("a/Add1.nrrd", b""), external_attr=(stat.S_IFCHR | 0o666) << 16),
    "twins in another case": zipped(("a/Add1.nrrd", b"1"), ("a/ADD1.nrrd", b"2")),
    "the same twice": changed(
        zipped(("a/Add1.nrrd", b"1"), ("b/Add1.nrrd", b"2")), b"b/Add1", b"a/Add1"
    ),
    "600 MB in 3 MB": bomb,
    "a wrong checksum": changed(zipped(("x", os.urandom(99))), b"PK\1\2", b"PK\1\3"),
    "encrypted": ENCRYPTED,
    "cut short": cut(zipped(("a/Add1.nrrd", os.urandom(4000)))),
    "no archive": raw(b"7z\xbc\xaf\x27\x1c" + bytes(99)),
    "a program before it": raw(b"\x7fELF" + bytes(600)),
    "nothing": raw(b""),
}
for _kind, _make in ARCHIVES.items():
    ROWS[f"kit, {_kind}"] = ("receive_many", "kit.zip", _make)
    ROWS[f"bundle, {_kind}"] = ("import-bundle", "b.zip", _make)
ROWS |= {
    "kit, 11,000 members": ("receive_many", "kit.zip", many(11_000)),
    "bundle, 101,000 members": ("import-bundle", "b.zip", many(101_000)),
    "kit, a correction of no patch": (
        "receive_many",
        "kit.zip",
        zipped(("corrections/nobody/Add1.nrrd", b"x")),
    ),
    "kit, a correction that is none": (
        "receive_many",
        "kit.zip",
        zipped(("corrections/other_TS_001_patch0/Add1.nrrd", b"x")),
    ),
    "kit, by a link": ("receive_many", "kit.zip", linked("../outside/secret")),
    "kit, by a pipe": ("receive_many", "kit.zip", os.mkfifo),
    "tar, a link": ("import-bundle", "b.tar", tarred(tarfile.SYMTYPE, link="/etc/passwd")),
    "tar, a hard link": ("import-bundle", "b.tar", tarred(tarfile.LNKTYPE, link="/etc/passwd")),
    "tar, a device": ("import-bundle", "b.tar", tarred(tarfile.CHRTYPE)),
    "tar, a pipe": ("import-bundle", "b.tar", tarred(tarfile.FIFOTYPE)),
    "tar, holes": ("import-bundle", "b.tar", tarred(tarfile.GNUTYPE_SPARSE)),
    "tar, a way out": ("import-bundle", "b.tar", tarred(name="../../x")),
    "tar, a whole path": ("import-bundle", "b.tar", tarred(name="/etc/x")),
    "tar, cut short": ("import-bundle", "b.tar", cut(lambda p: make_tar(p))),
    "tar, 1 GiB in a gzip": ("import-bundle", "b.tar.gz", lambda p: p.write_bytes(gibibyte())),
    "tar, bzip2": ("import-bundle", "b.tar.bz2", raw(bz2.compress(bytes(9999)))),
    "bundle, files that no sum names": ("import-bundle", "b.zip", lambda p: make_zip(p, FILES)),
    "bundle, by a link": ("import-bundle", "b.zip", linked("../outside/secret")),
    "bundle, by a pipe": ("import-bundle", "b.zip", os.mkfifo),
    "record, slots without end": (
        "rebuild",
        RECORD,
        record(json.dumps({**SOUND, "name": "a", "slots": [[]] * 99_999})),
    ),
    "record, a name that leads out": (
        "rebuild",
        RECORD,
        record(json.dumps({**SOUND, "name": "../../x", "slots": []})),
    ),
    "record, beyond the limit": (
        "rebuild",
        RECORD,
        in_turn(record(""), lambda p: os.truncate(p, 90 << 30)),
    ),
    "record, by a link": (
        "rebuild",
        RECORD,
        in_turn(record(""), Path.unlink, lambda p: p.symlink_to("/proc/self/environ")),
    ),
    "record, by a pipe": ("rebuild", RECORD, in_turn(record(""), Path.unlink, os.mkfifo)),
    "backup's manifest, by a pipe": ("restore", "daily.json", os.mkfifo),
    "backup's manifest, beyond the limit": ("restore", "daily.json", sparse(60)),
    "settings, beyond the limit": ("open", FILE_NAME, sparse(60, b"catalog = 'c'\n")),
    "settings, a word of nobody": ("open", FILE_NAME, text("catalogue = 'c'\n")),
    "settings, depth": ("open", FILE_NAME, text("a = " + "[" * 60_000)),
    "settings, a catalog of another scheme": (
        "open",
        FILE_NAME,
        text('catalog = "mysql://u:p@127.0.0.1/x"\n'),
    ),
    "settings, a pipe": ("open", FILE_NAME, os.mkfifo),
    "settings, no limit": ("open", FILE_NAME, text("upload_mb = 1e400\n")),
    "a folder to adopt that holds nothing": ("adopt", "empty.txt", text("x")),
}
