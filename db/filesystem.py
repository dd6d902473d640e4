"""What kind of file system a path lies on: SQLite's locks fail on shared ones."""

from pathlib import Path

NETWORK = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "smb2", "lustre", "gpfs", "beegfs", "ceph", "afs",
    "glusterfs", "9p", "ocfs2", "panfs", "wekafs", "orangefs", "davfs",
}  # fmt: skip
VOLATILE = {"tmpfs", "ramfs", "overlay"}
MOUNTINFO = Path("/proc/self/mountinfo")


def file_system_of(path: Path, mountinfo: str | None = None) -> str:
    """The type of the file system that holds a path, or "" where nobody can tell.

    ``mountinfo`` is the text of /proc/self/mountinfo (proc(5)): the longest mount point that the
    path's resolved folder begins with counts.
    """
    if mountinfo is None:
        try:
            mountinfo = MOUNTINFO.read_text()
        except OSError:
            return ""
    folder = path.resolve() if path.is_dir() else path.parent.resolve()
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        mount = Path(fields[4].replace("\\040", " ").replace("\\011", "\t"))
        if folder.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), right.split()[0]
    return kind


def is_network(kind: str) -> bool:
    """Whether files of this type are shared between machines (fuse: usually sshfs and the like)."""
    return kind in NETWORK or kind.startswith("fuse.")
