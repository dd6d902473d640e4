"""Import: verify a bundle of another group, preview it, then import it."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import streamlit as st

from core.access.permissions import Action, may
from core.bundles.import_bundle import import_bundle, preview_bundle
from core.bundles.import_preview import CaseStatus, FolderFacts, ImportPreview, forget_old_uploads
from core.files.atomic import make_folder
from core.jobs.queue import submit
from core.lab.lab import Lab
from core.tomograms.data_roots import list_roots
from core.workspace.results import Outcome
from core.workspace.workspace import Workspace
from dashboard.components.sharing.parse import SOURCE, UPLOADED, import_source, show_progress
from dashboard.ui.context import current_lab, current_workspace
from dashboard.ui.empty_state import show_empty
from dashboard.ui.escape import escape
from dashboard.ui.kept_results import forget, kept
from dashboard.ui.notifications import notify_outcomes, notify_refusal
from dashboard.ui.theme import begin_page, count, show_facts
from dashboard.ui.times import time_column
from db.errors import TomocurateError
from db.queries.sharing import list_bundles
from db.vocabulary import JobKind, Licence

STATUSES = {
    CaseStatus.NEW: "new",
    CaseStatus.KNOWN: "here already",
    CaseStatus.SECOND: "second annotation",
}


def show() -> None:
    """Preview a bundle, or ask for one; list earlier imports."""
    lab = current_lab()
    begin_page("Import", "Import bundles of other groups with their licence and attribution.")
    if may(lab.person.role, Action.IMPORT):
        source = st.session_state.get(SOURCE)
        if source:
            _quarantine(lab, Path(source))
        else:
            _ask(lab.workspace)
    else:
        st.info("Curators import. Earlier imports are listed below.")
    _bundles(lab.workspace)


def _ask(workspace: Workspace) -> None:
    forget_old_uploads(_uploads(workspace), time.time())
    upload, server = st.columns(2, gap="medium")
    with upload, st.container(border=True):
        st.markdown("**Upload a bundle**")
        limit = workspace.settings.upload_mb
        file = st.file_uploader(
            "Zip", key="import_file", max_upload_size=limit, label_visibility="collapsed"
        )
        if file is not None and st.button("Preview", key="import_upload", type="primary"):
            _keep_upload(workspace, file)
            st.rerun()
    with server, st.container(border=True):
        st.markdown("**Or choose one on the server**")
        path = st.text_input(
            "File or folder below a data root",
            key="import_path",
            placeholder=str(next(iter(list_roots(workspace)), Path("/data"))) + "/share.zip",
        )
        if st.button("Preview", key="import_server", type="primary", disabled=not path):
            try:
                st.session_state[SOURCE] = str(import_source(workspace, path))
            except TomocurateError as error:
                notify_refusal(error)
            st.rerun()


def _uploads(workspace: Workspace) -> Path:
    return workspace.folders.cache / "incoming"


def _keep_upload(workspace: Workspace, file: Any) -> None:
    """Keep an upload under a name of our own until it is imported or forgotten."""
    folder = _uploads(workspace)
    make_folder(folder)
    kept = folder / "".join(letter for letter in file.file_id if letter.isalnum())
    with kept.open("wb") as out:
        while piece := file.read(1 << 20):
            out.write(piece)
    st.session_state[SOURCE], st.session_state[UPLOADED] = str(kept), True


def _quarantine(lab: Lab, source: Path) -> None:
    st.header("Preview of the bundle", anchor=False)
    stated = _ask_statement()
    bar = st.progress(0.0, "Verifying every file…")
    try:
        seen = kept(
            f"{_preview_key(lab.workspace, source)} {stated!r}",
            lambda: preview_bundle(
                lab,
                source,
                stated,
                progress=lambda done, total: show_progress(bar, done, total),
            ),
        )
    except TomocurateError as error:
        _show_refusal(error)
        return
    finally:
        bar.empty()
    _what_it_is(seen)
    _cases(seen)
    new = seen.count(CaseStatus.NEW) + seen.count(CaseStatus.SECOND)
    with st.container(horizontal=True):
        if st.button(
            f"Import {count(new, 'patch', 'patches')}",
            type="primary",
            disabled=not new,
            key="import_take",
        ):
            _take_in(lab, source, stated)
            st.rerun()
        by_job = stated is None and not st.session_state.get(UPLOADED)
        if by_job and st.button("Run in background", disabled=not new, key="import_queue"):
            _queue(lab, source)
            st.rerun()
        st.button("Cancel", on_click=_forget, key="import_forget")


def _preview_key(workspace: Workspace, source: Path) -> str:
    return f"import {workspace.folder} {source}"


def _ask_statement() -> FolderFacts | None:
    """Ask for the licence and attribution of a plain folder."""
    with st.expander("Import a plain folder (imagesTr, labelsTr) instead of a bundle"):
        st.caption("A plain folder has no licence or attribution; enter them here.")
        plain_folder = st.toggle("This is a plain folder", key="plain_folder")
        title = st.text_input("Title", key="plain_title")
        attribution = st.text_input("Attribution", key="plain_attribution")
        licence = st.selectbox(
            "Licence",
            list(Licence),
            format_func=lambda choice: choice.value,
            index=1,
            key="plain_licence",
        )
        voxel_size = st.number_input(
            "Voxel size (Å), where the files state 1", 0.1, 999.0, 10.0, key="plain_voxel_size"
        )
    if not plain_folder:
        return None
    return FolderFacts(title, licence or Licence.CC_BY, attribution, voxel_size)


def _show_refusal(error: TomocurateError) -> None:
    faults = getattr(error, "faults", (str(error),))
    lines = "\n".join(f"- {escape(fault)}" for fault in faults[:12])
    more = f"\n- and {len(faults) - 12} more" if len(faults) > 12 else ""
    st.error(f"**Refused; nothing was imported:**\n{lines}{more}", icon=":material/gpp_bad:")
    st.button("Cancel", on_click=_forget, key="import_forget")


def _what_it_is(seen: ImportPreview) -> None:
    statement = seen.bundle.statement
    held = Counter(incoming.status for incoming in seen.incoming)
    show_facts(
        {
            "Title": escape(statement.title),
            "Version": escape(statement.version),
            "Licence": statement.licence.value,
            "Attribution": escape(statement.attribution),
            "Privacy level": statement.level.value,
            "Bundle": escape(statement.bundle_id),
            "Patches": ", ".join(f"{number} {STATUSES[fate]}" for fate, number in held.items()),
        }
    )
    if statement.description:
        st.caption(escape(statement.description))


def rows_of(seen: ImportPreview) -> list[dict[str, Any]]:
    """Make rows of the table of patches to import."""
    return [
        {
            "Patch": incoming.case.patch_id,
            "What": STATUSES[incoming.status],
            "Like": seen.names.get(incoming.like, "")
            if isinstance(incoming.like, int)
            else incoming.like,
            "Dice": incoming.agreement.dice if incoming.agreement else None,
            "Split": incoming.case.split.value,
            "Voxel size (Å)": incoming.case.voxel_size,
            "Membrane (voxels)": incoming.case.counts.membrane,
            "Licence": incoming.case.licence.value,
        }
        for incoming in seen.incoming
    ]


def _cases(seen: ImportPreview) -> None:
    rows = rows_of(seen)
    st.dataframe(
        rows,
        hide_index=True,
        key="incoming",
        height=min(38 + 35 * len(rows), 480),
        placeholder="–",
        column_config={
            "Like": st.column_config.TextColumn(
                "Same image as", help="A patch here that shows the same image."
            ),
            "Dice": st.column_config.NumberColumn(
                format="%.3f", help="Agreement of the two labels of the same image; 1 is equal."
            ),
            "Membrane (voxels)": st.column_config.NumberColumn(format="localized"),
        },
    )


def _take_in(lab: Lab, source: Path, stated: FolderFacts | None) -> None:
    bar = st.progress(0.0, "Importing…")
    imported: list[Outcome] = []

    def came_in(outcome: Outcome) -> None:
        imported.append(outcome)
        bar.progress(min(1.0, len(imported) / 100), f"{len(imported)} patches")

    try:
        outcomes = import_bundle(lab, source, stated, progress=came_in)
    except TomocurateError as error:
        notify_refusal(error)
        return
    notify_outcomes(outcomes, "imported")
    _forget()


def _queue(lab: Lab, source: Path) -> None:
    try:
        submit(lab, JobKind.IMPORT, {"file": str(source)})
    except TomocurateError as error:
        notify_refusal(error)
        return
    _forget()


def _forget() -> None:
    """End the preview; an uploaded file is removed."""
    source = st.session_state.pop(SOURCE, None)
    forget(_preview_key(current_workspace(), Path(source or "")))
    if source and st.session_state.pop(UPLOADED, False):
        Path(source).unlink(missing_ok=True)


def _bundles(workspace: Workspace) -> None:
    with workspace.catalog.read() as session:
        bundles = list_bundles(session)
    st.header("Imported", anchor=False)
    if not bundles:
        show_empty("Nothing was imported yet.", "Upload a bundle, or choose one on the server.")
        return
    st.dataframe(
        [
            {
                "Title": bundle.title,
                "Patches": bundle.patches,
                "Licence": bundle.licence,
                "Attribution": bundle.attribution,
                "Bundle": bundle.bundle_id,
                "Imported": bundle.imported_at,
                "By": bundle.imported_by,
            }
            for bundle in bundles
        ],
        hide_index=True,
        key="bundles",
        column_config={"Imported": time_column()},
    )


if __name__ == "__main__":
    show()
