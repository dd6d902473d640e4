"""Parse what people type about a bundle: creators, renamed tokens, a folder."""

import re
from pathlib import Path
from typing import Any

from core.bundles.facts import Creator
from core.errors import ExportError
from core.tomograms.data_roots import list_roots, resolve_below_root
from core.workspace.workspace import Workspace

SOURCE = "import_source"
"""Key of the session state: the file or folder that is in quarantine."""

UPLOADED = "import_uploaded"
"""Key of the session state: it was uploaded, so it leaves when it is done with."""

REPORT = "share_report"
"""Key of the session state: for what the privacy report was asked."""

AT_ONCE = 200
"""Labels that are measured while somebody waits."""

SCORES_SHOWN = 1000
"""Scores in the plots of models; their means are over all."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", re.ASCII)


def out_folder(workspace: Workspace, name: str) -> Path:
    """Give the folder of an export in the workspace; pages write nowhere else.

    Errors: ExportError.
    """
    name = name.strip()
    if _NAME.fullmatch(name) is None:
        raise ExportError(
            "the name of an export has letters, digits, dots, dashes and underscores, and begins "
            "with a letter or digit."
        )
    return workspace.folders.exports / name


def import_source(workspace: Workspace, text: str) -> Path:
    """Resolve a file or folder below a data root; pages read nowhere else.

    Errors: RootError.
    """
    path = Path(text.strip())
    if path.is_dir():
        resolved = path.resolve()
        if any(resolved.is_relative_to(root) for root in list_roots(workspace)):
            return resolved
    return resolve_below_root(workspace, path)


def show_progress(bar: Any, done: int, total: int) -> None:
    """Show on a progress bar how many patches are done."""
    bar.progress(done / max(1, total), f"{done} of {total} patches")


def parse_creators(text: str) -> tuple[Creator, ...]:
    """Creators, one a line: ``Family, Given; ORCID; Affiliation``.

    Errors: ExportError.
    """
    creators = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, orcid, affiliation, *more = [*(part.strip() for part in line.split(";")), "", ""][:4]
        if not name or any(more):
            raise ExportError("write a creator as: Family, Given; ORCID; Affiliation.")
        creators.append(Creator(name, orcid or None, affiliation or None))
    return tuple(creators)


def parse_names(text: str) -> dict[str, str]:
    """Dataset tokens and what they become: ``old = new, other = another``.

    Errors: ExportError.
    """
    tokens: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        old, equals, new = (item.strip() for item in part.partition("="))
        if not (old and equals and new):
            raise ExportError("write renamed tokens as: old = new, other = another.")
        tokens[old] = new
    return tokens
