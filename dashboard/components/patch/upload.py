"""Take in the corrections that somebody dropped on the page, and show what each of them paints."""

import io
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from core.corrections.add_version import read_stored
from core.corrections.kit import write_kit
from core.corrections.names import check_slot_name
from core.corrections.receive import receive, receive_many
from core.corrections.store import Store
from core.imaging import colors
from core.lab.lab import Lab
from core.labels.inputs import extracted_label
from core.workspace.results import DONE, FAILED, Outcome
from core.workspace.workspace import Workspace
from dashboard.components.patch.planes import OPACITY, PatchPicture, patch_picture, png
from dashboard.ui.escape import escape
from dashboard.ui.theme import KIND_COLORS
from db.errors import NotAllowedError, TomocurateError
from db.queries.life import SlotRecord
from db.queries.patches import get_patch
from db.vocabulary import CorrectionKind

ZIP = ".zip"


@dataclass(frozen=True)
class DroppedFile:
    """A file that was dropped; its name is what the browser says."""

    name: str
    content: bytes


@dataclass(frozen=True)
class ReceivedFile:
    """Result of one uploaded file."""

    name: str
    outcome: str
    message: str
    findings: tuple[str, ...] = ()
    slot: str | None = None
    sha256: str | None = None

    def kept(self) -> list[Any]:
        """For the session state: words alone."""
        return [self.name, self.outcome, self.message, list(self.findings), self.slot, self.sha256]

    @classmethod
    def of(cls, kept: Sequence[Any]) -> "ReceivedFile":
        name, outcome, message, findings, slot, sha256 = kept
        return cls(name, outcome, message, tuple(findings), slot, sha256)


def receive_files(
    lab: Lab,
    patch: str,
    files: Sequence[DroppedFile],
    seen: Mapping[str, int],
) -> list[ReceivedFile]:
    """Take in files for a patch, one bad one stops no other; zips of kits go where they belong.

    ``seen`` are the versions on the page (``versions_of``): no file replaces one that came in
    since. A zip replaces only what the same person painted.
    """
    taken = []
    for file in files:
        try:
            if file.name.lower().endswith(ZIP):
                taken += _receive_zip(lab, file)
            else:
                taken.append(_receive(lab, patch, file, seen))
        except NotAllowedError:
            raise
        except TomocurateError as error:
            taken.append(ReceivedFile(file.name, FAILED, str(error).removeprefix(f"{file.name}: ")))
    return taken


def versions_of(slots: Iterable[SlotRecord]) -> dict[str, int]:
    """List the versions that count, by slot name."""
    return {slot.name: slot.latest.number for slot in slots if slot.counts}


def make_kit(workspace: Workspace, names: Sequence[str]) -> bytes:
    """Make a zip with all files needed to correct some patches elsewhere.

    Errors: StepError, OutputError.
    """
    out = io.BytesIO()
    write_kit(workspace, names, out)
    return out.getvalue()


def draw_painted(workspace: Workspace, patch: str, taken: ReceivedFile) -> bytes | None:
    """Draw the slice in which a correction paints most; None where it paints nothing."""
    if taken.sha256 is None or taken.slot is None or taken.outcome == FAILED:
        return None
    path = Store(workspace.folders.store).path_of(taken.sha256)
    folders = workspace.folders
    try:
        picture = patch_picture(folders.image_of(patch), folders.label_of(patch), None)
        with workspace.catalog.read() as session:
            record = get_patch(session, patch)
        label, grid = extracted_label(workspace, record)
        masks = read_stored(path, taken.slot, label, grid).masks
    except TomocurateError:
        return None
    return _section_png(picture, masks)


def _receive(
    lab: Lab,
    patch: str,
    file: DroppedFile,
    seen: Mapping[str, int],
) -> ReceivedFile:
    expected = seen.get(check_slot_name(file.name), 0)
    outcome = receive(lab, patch, file.name, file.content, expected=expected)
    return _make_received(file.name, outcome)


def _receive_zip(lab: Lab, file: DroppedFile) -> list[ReceivedFile]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kits.zip")
        path.write_bytes(file.content)
        return [_make_received(outcome.name, outcome) for outcome in receive_many(lab, path)]


def _make_received(name: str, outcome: Outcome) -> ReceivedFile:
    details = outcome.details
    message = (outcome.message or "").removeprefix(f"{name}: ")
    if outcome.outcome == DONE and not message:
        message = (
            f"saved as version {details.get('version', 1)}{_voxels(details.get('painted') or {})}"
        )
    return ReceivedFile(
        name, outcome.outcome, message, outcome.findings, details.get("slot"), details.get("sha256")
    )


def _voxels(painted: dict[str, int]) -> str:
    parts = [f"{kind} {number:,}" for kind, number in painted.items()]
    return f": {', '.join(parts)} voxels" if parts else ""


def _section_png(picture: PatchPicture, masks: Any) -> bytes | None:
    painted = sum(mask.sum(axis=(1, 2)) for mask in masks.values())
    if not np.any(painted):
        return None
    z = int(np.argmax(painted))
    rgb = np.repeat(picture.gray[z][:, :, np.newaxis], 3, axis=2).astype(np.float32)
    outlined = picture.before[z] == 1
    rgb[outlined] = 0.75 * rgb[outlined] + 0.25 * np.array(colors.rgb(colors.PREDICTION))
    for kind, mask in masks.items():
        color = np.array(colors.rgb(KIND_COLORS[CorrectionKind(kind)]))
        rgb[mask[z]] = (1 - OPACITY) * rgb[mask[z]] + OPACITY * color
    return png(rgb.astype(np.uint8))


def show_received(workspace: Workspace, patch: str, taken: Sequence[ReceivedFile]) -> None:
    """Show each received file with its findings and a picture of what it paints."""
    for file in taken:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            picture = draw_painted(workspace, patch, file)
            if picture:
                st.image(picture, width=120, alt=f"What {file.name} paints")
            with st.container(gap=None):
                icon = ":material/block:" if file.outcome == FAILED else ":material/check:"
                st.markdown(f"{icon} **{escape(file.name)}** {escape(file.message)}")
                for finding in file.findings:
                    st.caption(f":material/info: {escape(finding)}")
