"""Settings: people, data roots, backups, the doctor, and versions."""

import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.access import people
from core.access.permissions import REQUIRED_ROLE, Action, may
from core.lab.lab import Lab
from core.maintenance.backup import list_backups, make_backup
from core.maintenance.checks.findings import Finding
from core.maintenance.doctor import examine
from core.maintenance.verify_backup import verify_backup
from core.patches.handover import open_work
from core.tomograms.data_roots import list_roots
from core.workspace.workspace import Workspace
from dashboard.components.registering.form import ask_for_root
from dashboard.ui.context import current_lab
from dashboard.ui.empty_state import show_empty
from dashboard.ui.escape import escape
from dashboard.ui.navigation import tabs
from dashboard.ui.notifications import notify_refusal, run_action
from dashboard.ui.theme import ROLE_NAMES, begin_page, format_size, show_facts
from dashboard.ui.times import format_age, format_time
from db.errors import TomocurateError
from db.queries.maintenance import BackupRecord
from db.queries.people import PersonRecord
from db.vocabulary import Role

ICONS = {"ok": ":material/check_circle:", "warn": ":material/warning:", "bad": ":material/error:"}
# What the doctor found last, in the session state.
FINDINGS = "findings"


def show() -> None:
    """Show the page."""
    lab = current_lab()
    begin_page("Settings")
    for name, tab in tabs("settings", list(TABS)).items():
        if tab.open:
            with tab:
                TABS[name](lab)


def add_person(lab: Lab, name: str, role: Role, account: str) -> None:
    """Add somebody to the people of this workspace."""
    run_action(
        lambda: people.add(lab.workspace, lab.person, name.strip(), role, account.strip() or None),
        lambda added: f"**{escape(added.name)}** added as {added.role.value}.",
    )


def change_role(lab: Lab, name: str, role: Role, seen: int) -> None:
    """Change what somebody may do."""
    run_action(
        lambda: people.change_role(lab.workspace, lab.person, name, role, seen),
        lambda changed: (
            f"**{escape(changed.name)}** is {changed.role.value} now · saved by "
            f"{escape(lab.person.name)}, version {changed.version}"
        ),
    )


def change_access(lab: Lab, name: str, disabled: bool, seen: int) -> None:
    """Disable somebody, or let them work again."""
    step = people.disable if disabled else people.enable
    run_action(
        lambda: step(lab.workspace, lab.person, name, seen),
        lambda changed: (
            f"**{escape(changed.name)}** is {'disabled' if disabled else 'enabled'} · "
            f"saved by {escape(lab.person.name)}, version {changed.version}"
            f"{open_work_of(lab.workspace, changed)}"
        ),
    )


def open_work_of(workspace: Workspace, person: PersonRecord) -> str:
    """Say which patches a disabled person still has; empty where there are none."""
    left = open_work(workspace, person.name) if person.disabled else ()
    if not left:
        return ""
    return f" · {len(left)} patches are still theirs, assign them anew: {escape(', '.join(left))}"


def back_up_now(lab: Lab) -> None:
    """Make a backup."""
    made = run_action(
        lambda: make_backup(lab.workspace, lab.person),
        lambda made: (
            f"Backup **{escape(made.name)}** made by {escape(lab.person.name)}: "
            f"{format_size(made.size_bytes)}, {made.files:,} files, {made.new_files:,} of them new."
        ),
    )
    for warning in made.warnings if made else ():
        st.warning(escape(warning))


def verify_now(lab: Lab) -> None:
    """Restore the newest backup on trial."""
    run_action(
        lambda: verify_backup(lab.workspace, lab.person),
        lambda found: (
            f"Backup **{escape(found.name)}** verified by a trial restore: "
            f"{found.rows:,} rows and {found.files:,} files compared."
        ),
    )


def _people(lab: Lab) -> None:
    everybody = people.list_people(lab.workspace)
    st.dataframe(rows_of(everybody), hide_index=True, key="people")
    with st.expander("What each role may do"):
        st.table(rights())
    if not may(lab.person.role, Action.MANAGE_PEOPLE):
        st.caption("Admins add people and change roles.")
        return
    left, right = st.columns(2, gap="medium")
    with left, st.form("add_person", clear_on_submit=True):
        st.markdown("**Add a person**")
        name = st.text_input("Name")
        role = st.selectbox("Role", list(Role), index=1, format_func=ROLE_NAMES.__getitem__)
        account = st.text_input(
            "Account on this machine", help="Their login name, for the command line."
        )
        if st.form_submit_button("Add", type="primary") and role:
            add_person(lab, name, role, account)
            st.rerun()
    with right, st.container(border=True):
        _change_somebody(lab, everybody)


def _change_somebody(lab: Lab, everybody: Sequence[PersonRecord]) -> None:
    st.markdown("**Change a person**")
    by_name = {member.name: member for member in everybody}
    chosen = by_name[st.selectbox("Who", list(by_name), key="whom")]
    roles = list(Role)
    role = st.selectbox(
        "Role",
        roles,
        index=roles.index(chosen.role),
        key=f"role_{chosen.id}",
        format_func=ROLE_NAMES.__getitem__,
    )
    with st.container(horizontal=True):
        st.button(
            "Save the role",
            key="save_role",
            disabled=role == chosen.role,
            on_click=change_role,
            args=(lab, chosen.name, role, chosen.version),
        )
        label = "Enable" if chosen.disabled else "Disable"
        st.button(
            label,
            key="access",
            on_click=change_access,
            args=(lab, chosen.name, not chosen.disabled, chosen.version),
        )


def rows_of(everybody: Sequence[PersonRecord]) -> list[dict[str, Any]]:
    """Make rows of the table of people."""
    return [
        {
            "Name": member.name,
            "Role": ROLE_NAMES[member.role],
            "Account": member.os_user or "–",
            "Signs in as": member.subject or "–",
            "Enabled": not member.disabled,
        }
        for member in everybody
    ]


def rights() -> list[dict[str, str]]:
    """List what each role may do beyond the one before it."""
    return [
        {
            "Role": ROLE_NAMES[role],
            "May": ", ".join(step.value for step, least in REQUIRED_ROLE.items() if least is role),
        }
        for role in Role
    ]


def _roots(lab: Lab) -> None:
    roots = list_roots(lab.workspace)
    if not roots:
        show_empty("No data root yet.", "Add the folder that holds your tomograms.")
    for root in roots:
        st.text(str(root))
    st.caption("Tomograms stay in these folders; pages read files below them only.")
    ask_for_root(lab)


def _backups(lab: Lab) -> None:
    backups = list_backups(lab.workspace)
    if may(lab.person.role, Action.BACK_UP):
        with st.container(horizontal=True):
            if st.button("Back up now", key="back_up", type="primary"):
                with st.spinner("Copying the catalog and new files…"):
                    back_up_now(lab)
                st.rerun()
            if backups and st.button("Verify the newest", key="verify"):
                with st.spinner("Restoring on trial…"):
                    verify_now(lab)
                st.rerun()
    if not backups:
        show_empty("No backup yet.", "A worker makes one every day; or use the button.")
        return
    _last_good(backups)
    st.dataframe(rows_of_backups(backups), hide_index=True, key="backups")


def _last_good(backups: Sequence[BackupRecord]) -> None:
    good = [backup for backup in backups if backup.verified_at is not None]
    if good:
        st.caption(f"The last verified backup is {format_age(good[0].made_at)} old.")
    else:
        st.warning("No backup has been verified yet.", icon=":material/warning:")


def rows_of_backups(backups: Sequence[BackupRecord]) -> list[dict[str, Any]]:
    """Make rows of the table of backups."""
    return [
        {
            "Made": format_time(backup.made_at),
            "Kind": backup.kind.value.replace("_", " "),
            "Size": format_size(backup.size_bytes),
            "By": backup.made_by or "tomocurate",
            "Verified": format_time(backup.verified_at) if backup.verified_at else "–",
            "State": backup.error or ("removed" if backup.removed_at else "kept"),
        }
        for backup in backups
    ]


def _doctor(lab: Lab) -> None:
    st.caption("Checks the file system, catalog, files, backups, disk space and programs.")
    if not may(lab.person.role, Action.EXAMINE):
        st.caption("Admins examine the installation.")
        return
    if st.button("Examine", key="examine", type="primary"):
        with st.spinner("Examining…"):
            keep_findings(lab.workspace)
    with st.container(gap=None):
        for check, state, said in st.session_state.get(FINDINGS, []):
            st.markdown(f"{ICONS.get(state, '')} **{escape(check)}** {escape(said)}")


def keep_findings(workspace: Workspace) -> None:
    """Examine the installation and keep what was found, as words."""
    try:
        found: Sequence[Finding] = examine(workspace)
    except TomocurateError as error:
        notify_refusal(error)
        return
    st.session_state[FINDINGS] = [
        [finding.check, str(finding.state), finding.said] for finding in found
    ]


def _about(lab: Lab) -> None:
    known = {
        "tomocurate": importlib.metadata.version("tomocurate"),
        "Workspace": escape(lab.workspace.folder),
        "Catalog": escape(lab.workspace.catalog.name),
        "Streamlit": importlib.metadata.version("streamlit"),
        "Python": platform.python_version(),
    }
    show_facts(known)
    st.caption("Curation of membrane training labels for cryo-electron tomograms. BSD-3-Clause.")


TABS: Mapping[str, Callable[[Lab], None]] = {
    "People": _people,
    "Data roots": _roots,
    "Backups": _backups,
    "Doctor": _doctor,
    "About": _about,
}

if __name__ == "__main__":
    show()
