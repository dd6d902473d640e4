"""Share: accepted patches as a training set, or as a bundle that tells no more than it may."""

from pathlib import Path

import streamlit as st

from core.access.permissions import Action, may
from core.exports.write import training_commands
from core.lab.lab import Lab
from dashboard.components.sharing.bundle import show_bundle
from dashboard.components.sharing.training_set import show_training_set
from dashboard.ui.context import current_lab
from dashboard.ui.empty_state import show_empty
from dashboard.ui.escape import escape
from dashboard.ui.navigation import tabs
from dashboard.ui.theme import begin_page, count
from dashboard.ui.times import format_time, time_column
from db.queries.people import PersonRecord
from db.queries.sharing import MadeExportRecord, list_exports
from db.vocabulary import ExportKind

TRAINING_SET, BUNDLE, BEFORE = "Training set", "Bundle", "Exported before"
KIND_NAMES = {ExportKind.BUNDLE: "Bundle", ExportKind.TRAINING_SET: "Training set"}


def show() -> None:
    """Show both ways to share, and earlier exports."""
    lab = current_lab()
    begin_page("Share", "Export accepted patches as a training set, or as a bundle for others.")
    if not may(lab.person.role, Action.EXPORT):
        st.info("Curators share. Earlier exports are listed below.")
        _show_exports(lab)
        return
    shown = tabs("share", [TRAINING_SET, BUNDLE, BEFORE])
    if shown[TRAINING_SET].open:
        with shown[TRAINING_SET]:
            show_training_set(lab)
    if shown[BUNDLE].open:
        with shown[BUNDLE]:
            show_bundle(lab)
    if shown[BEFORE].open:
        with shown[BEFORE]:
            _show_exports(lab)


def _show_exports(lab: Lab) -> None:
    with lab.workspace.catalog.read() as session:
        exports = list_exports(session)
    if not exports:
        show_empty("Nothing was exported yet.", "Write a training set or a bundle.")
        return
    st.caption(count(len(exports), "export"))
    st.dataframe(
        [
            {
                "Kind": KIND_NAMES[export.kind],
                "Folder": export.path,
                "Patches": export.patch_count,
                "Level": str(export.options.get("level", "")),
                "Licence": export.licence.value if export.licence else "",
                "Signed by": str(export.options.get("signed_by", "")),
                "Made": export.made_at,
                "By": export.made_by,
            }
            for export in exports
        ],
        hide_index=True,
        key="exports",
        column_config={"Made": time_column()},
    )
    _show_commands(lab.person, exports)


def _show_commands(person: PersonRecord, exports: tuple[MadeExportRecord, ...]) -> None:
    by_id = {export.id: export for export in exports}
    chosen = st.selectbox(
        "Commands and download",
        list(by_id),
        key="export_commands",
        format_func=lambda number: (
            f"{by_id[number].path.rpartition('/')[2]} · {format_time(by_id[number].made_at)}"
        ),
    )
    if chosen is not None:
        folder = Path(by_id[chosen].path)
        st.code("\n".join(training_commands(folder)), language="bash", wrap_lines=True)
        if folder.is_dir() and may(person.role, Action.EXPORT):
            st.link_button(
                f"Download {escape(folder.name)}.zip",
                f"api/exports/{chosen}",
                icon=":material/download:",
            )


if __name__ == "__main__":
    show()
