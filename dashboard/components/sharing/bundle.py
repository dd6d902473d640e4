"""Share accepted patches as a bundle: describe it, read its privacy report, sign, write."""

import datetime as dt

import streamlit as st

from core.bundles.facts import BundleFacts, Level
from core.bundles.job import bundle_arguments
from core.bundles.privacy.report import PrivacyReport
from core.bundles.share import export_bundle, rehearse_share
from core.errors import ExportError
from core.exports.selection import Choice
from core.exports.split import SplitRule
from core.lab.lab import Lab
from core.workspace.workspace import Workspace
from dashboard.components.sharing.choose import (
    LEAKY,
    choose_patches,
    show_faults,
    write_in_background,
    write_now,
)
from dashboard.components.sharing.parse import (
    REPORT,
    out_folder,
    parse_creators,
    parse_names,
    show_progress,
)
from dashboard.ui.escape import escape
from dashboard.ui.kept_results import forget, kept
from db.errors import TomocurateError
from db.queries.people import PersonRecord
from db.vocabulary import Licence

LEVELS = {
    Level.INTERNAL: "Internal: real names, for your own lab",
    Level.COLLABORATOR: "Collaborator: pseudonyms, for a partner",
    Level.PUBLIC: "Public: pseudonyms, no positions, no dates",
    Level.MINIMAL: "Minimal: only the supervised core, thinned out",
}


def show_bundle(lab: Lab) -> None:
    """Ask what goes in and what is stated about it; write what was signed."""
    choice = choose_patches(lab.workspace, "bundle")
    facts, rule = _ask_facts(lab.person), _ask_rule()
    name = st.text_input("Folder name", "membrane-patches-1", key="bundle_name")
    zipped = st.toggle("Also as a zip", key="zipped")
    if facts is None:
        return
    st.button(
        "Show privacy report",
        key="bundle_report",
        on_click=_ask_report,
        help="Makes the bundle in a temporary folder, searches it, and deletes it.",
    )
    report = _report_of(lab, choice, facts, rule, name)
    if report is None:
        return
    _show_report(lab.workspace, report)
    if not report.passed:
        return
    signed = st.checkbox(
        f"I, {escape(lab.person.name)}, have read this report "
        "and take responsibility for the bundle.",
        key="signed",
    )
    with st.container(horizontal=True):
        now = st.button("Sign and write", type="primary", disabled=not signed, key="bundle_write")
        later = st.button("Sign and run in background", disabled=not signed, key="bundle_queue")
    if now:
        write_now(
            lambda progress: export_bundle(
                lab,
                out_folder(lab.workspace, name),
                facts,
                choice,
                rule=rule,
                zipped=zipped,
                progress=progress,
            )
        )
    if later:
        write_in_background(
            lab,
            lambda: bundle_arguments(
                out_folder(lab.workspace, name), choice, facts, rule=rule, zipped=zipped
            ),
        )


def _ask_report() -> None:
    st.session_state[REPORT] = "asked"


def _report_of(
    lab: Lab,
    choice: Choice,
    facts: BundleFacts,
    rule: SplitRule,
    name: str,
) -> PrivacyReport | None:
    """Make the report when it is asked for, and keep it while the same is asked."""
    key = repr((str(lab.workspace.folder), choice, facts, rule, name))
    if st.session_state.get(REPORT) == "asked":
        st.session_state[REPORT] = key
        forget(key)
    elif st.session_state.get(REPORT) != key:
        st.caption("Nothing leaves before the report is read and signed.")
        return None
    bar = st.progress(0.0, "Making and searching the bundle…")
    try:
        return kept(
            key,
            lambda: rehearse_share(
                lab,
                out_folder(lab.workspace, name),
                facts,
                choice,
                rule=rule,
                progress=lambda done, total: show_progress(bar, done, total),
            ),
        )
    except ExportError as error:
        show_faults(lab.workspace, list(error.faults), "bundle_permission")
    except TomocurateError as error:
        st.error(escape(error))
    finally:
        bar.empty()
    return None


def _ask_rule() -> SplitRule:
    with st.expander("Split"):
        left, right = st.columns(2)
        fraction = left.slider("Validation fraction", 0.05, 0.5, 0.2, 0.05, key="bundle_fraction")
        leaky = right.toggle(
            LEAKY,
            key="bundle_leaky",
            help="Only where a single tomogram is shared. Validation scores will be too good; "
            "the bundle records it.",
        )
    return SplitRule(val_fraction=fraction, allow_leaky_val=leaky)


def _ask_facts(person: PersonRecord) -> BundleFacts | None:
    """Ask what is stated about a bundle; None, and the reason, where it cannot be used."""
    left, right = st.columns(2)
    level = left.selectbox(
        "Privacy level", list(LEVELS), index=2, format_func=LEVELS.__getitem__, key="level"
    )
    licence = right.selectbox(
        "Licence", list(Licence), format_func=lambda licence: licence.value, index=1, key="licence"
    )
    title = left.text_input("Title", key="bundle_title")
    version = right.text_input("Version", "1.0.0", key="bundle_version")
    description = st.text_area("Description", key="bundle_description", height=80)
    with st.expander("Creators, contact, dataset names and more"):
        creators = st.text_area(
            "Creators who agreed to be named",
            key="bundle_creators",
            height=80,
            placeholder="Family, Given; 0000-0002-1825-0097; Institute",
            help="One per line.",
        )
        contact = st.text_input("Contact", key="bundle_contact")
        funding = st.text_input("Funding", key="bundle_funding")
        names = st.text_input(
            "Rename datasets",
            key="bundle_tokens",
            placeholder="old = new, other = another",
            help="A dataset's name may be a person's name.",
        )
        places = st.toggle("Both sides agreed to keep positions (collaborator)", key="places")
        finer = st.toggle("Detail finer than 10 Å may be published", key="finer")
    try:
        facts = BundleFacts(
            title=title.strip(),
            description=description.strip(),
            licence=licence or Licence.CC_BY,
            signed_by=person.name,
            created=dt.datetime.now(dt.UTC).date(),
            level=level,
            version=version.strip(),
            creators=parse_creators(creators),
            contact=contact.strip(),
            funding_statement=funding.strip(),
            tokens=parse_names(names),
            share_coordinates=places,
            finer_than_10_angstrom=finer,
        )
        facts.check()
    except ExportError as error:
        st.caption(f":material/edit: {escape(error)}")
        return None
    return facts


def _show_report(workspace: Workspace, report: PrivacyReport) -> None:
    """Show the privacy report, to be read before somebody signs."""
    st.header("Privacy report", anchor=False)
    columns = st.columns(4)
    columns[0].metric("Files searched", report.files)
    columns[1].metric("Secrets searched for", report.secrets)
    columns[2].metric("Found", len(report.hits))
    columns[3].metric("Too common to search", report.unsearchable)
    show_faults(workspace, [fault.message for fault in report.faults], "report_permission")
    if report.passed:
        st.success("No secret found; every owner permits it.", icon=":material/shield:")
    st.markdown("**What is disclosed**")
    st.dataframe(
        [
            {
                "Group": exposed.group,
                "Patches": exposed.patches,
                "Share of tomogram (%)": round(100 * exposed.share, 1),
                "Overlapping pairs": exposed.overlapping_pairs,
                "Largest box x, y, z": ", ".join(map(str, reversed(exposed.largest_box))),
            }
            for exposed in report.disclosures
        ],
        hide_index=True,
        key="exposure",
    )
    st.markdown("**What can still be inferred**")
    for risk in report.residual:
        st.caption(f"· {escape(risk)}")
    with st.expander("What was done to each field"):
        st.dataframe(report.as_json()["fields"], hide_index=True, key="fields")
