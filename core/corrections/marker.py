"""The marker file of the corrections folder: it tells the folder from an empty mount point.

Where the disk of the corrections is not mounted, every file seems to be gone. That is a doubt, not
what people want: without the marker nothing is collected.
"""

from core.errors import StoreError
from core.imaging.extraction import CORRECTIONS_MARKER
from core.lab.lab import Lab
from db.queries.life import collected_slot_names


def check_marker(lab: Lab) -> None:
    """Refuse a corrections folder that is not the workspace's, or whose disk is not mounted.

    A workspace made before there were markers gets its own as soon as one of its files is found.

    Errors: StoreError; OutputError.
    """
    folder = lab.folders.corrections
    if (folder / CORRECTIONS_MARKER).is_file():
        return
    if not folder.is_dir():
        raise StoreError(f"{folder}: is not there; is its disk mounted?")
    with lab.catalog.read() as session:
        expected = collected_slot_names(session)
    if expected and not any((folder / patch / slot).exists() for patch, slot in expected):
        raise StoreError(
            f"{folder}: holds neither its marker {CORRECTIONS_MARKER} nor any correction of this "
            "workspace; is its disk mounted? If all corrections were removed on purpose, make the "
            "marker file there."
        )
    lab.folders.mark_corrections()
