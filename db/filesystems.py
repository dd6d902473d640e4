"""Find out whether a path is on a network file system, where SQLite's locks are unreliable."""

from pathlib import Path
from typing import NamedTuple

MOUNTS = Path("/proc/self/mountinfo")

NETWORK = frozenset(
    (
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb3",
        "smbfs",
        "virtiofs",
        "wekafs",
    )
)
"""As the kernel names them; every fuse.* counts too, since sshfs and rclone are such."""


class Mount(NamedTuple):
    """Mount point of a file system, and its type as the kernel names it."""

    point: Path
    kind: str

    @property
    def is_network(self) -> bool:
        return self.kind in NETWORK or self.kind.startswith("fuse.")


def mount_of(path: Path, mountinfo: str | None = None) -> Mount | None:
    """Find the mount that a path lies on; None where the system does not tell.

    ``mountinfo`` is the text of /proc/self/mountinfo (proc(5)); by default the running system's.
    """
    if mountinfo is None:
        try:
            mountinfo = MOUNTS.read_text(errors="surrogateescape")
        except OSError:
            return None
    path = path.resolve()
    holding = [mount for mount in parse_mounts(mountinfo) if path.is_relative_to(mount.point)]
    # The last of several mounts on one point hides the others.
    return max(reversed(holding), key=lambda mount: len(mount.point.parts), default=None)


def parse_mounts(mountinfo: str) -> list[Mount]:
    """Read the mounts of a mountinfo text; lines that are none are passed over."""
    mounts = []
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")[0]
        if separator and kind and len(fields) >= 5:
            mounts.append(Mount(point=Path(_unescape(fields[4])), kind=kind))
    return mounts


def _unescape(field: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash."""
    for code, char in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        field = field.replace(f"\\{code}", char)
    return field
