"""Make the privacy report: what a bundle gives away, and whether it may go. Faults block it.

Every field must be on the allow-list (``field_policy``), no name of the catalog may stand in any
text (``scan``), each owner must allow it, and ``disclosure`` says how much of each tomogram is
told. What remains is said in plain words, for the person who signs.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from core.bundles.card import card_text, contact_line, creators_line, licence_text
from core.bundles.facts import PUBLISHED, SCOPE_NEEDED, STRICTEST, BundleFacts, Level
from core.bundles.metadata import bundle_json, croissant_json, mifa_json, zenodo_json
from core.bundles.patches_csv import table_rows, table_text
from core.bundles.privacy.disclosure import Disclosure, disclosures
from core.bundles.privacy.field_policy import ACTIONS, unlisted_fields
from core.bundles.privacy.names import SEARCHED, Secret, SecretKind, secrets_of
from core.bundles.privacy.pseudonyms import KEY_BYTES, Pseudonyms
from core.bundles.privacy.scan import Allowed, Hit, Scanner
from core.exports.case import FOLDERS, PlannedCase
from core.exports.manifest import canonical_json, dataset_json
from core.exports.patch import CuratedPatch, Imported, Permission
from core.exports.validate import Fault, Rule
from db.vocabulary import Licence, Split

REPORT_SCHEMA = "mempatch-privacy-report/1"
DATASET_NAME = "membrane-patches"
REPORT_JSON, REPORT_MD = "privacy_report.json", "privacy_report.md"
FINEST = 10.0
"""Angstrom a voxel: finer detail serves averaging of proteins, and membranes do not need it."""

_MAY_GO_ON: Mapping[str, frozenset[Level]] = {
    Level.INTERNAL: frozenset({Level.INTERNAL}),
    Level.COLLABORATOR: frozenset({Level.INTERNAL, Level.COLLABORATOR}),
}
"""What was given to us at a level may be passed on at these; what was published, at all."""

UNLINKABLE = (
    "The patches carry pseudonyms; that does not make them unlinkable. Whoever holds a tomogram "
    "can find these patches in it, also after flipping, turning, filtering or rescaling."
)
STITCHED = "Patches that overlap can be put together; the largest such box stands above."
COUNTED = "The number of patches of a source, and which lie together, can be read off the groups."
DETAIL = "At {size:g} angstrom a voxel, detail down to {nyquist:g} angstrom is given away."
NAMED = "This level keeps real names; it is meant for the own lab and must not be passed on."
PLACED = "The patches keep their places, which together map the tomogram."
KEY = "Whoever gets hold of the pseudonym key can undo the pseudonyms; keep it, and keep it alone."


@dataclass(frozen=True)
class PrivacyReport:
    """Result of the privacy check. ``faults`` block the bundle."""

    level: Level
    signed_by: str
    """As it is shipped: a pseudonym, except in the own lab."""
    created: str
    files: int
    secrets: int
    unsearchable: int
    """Secrets that mean nothing when found: a letter, a small number, a word of every bundle."""
    hits: tuple[Hit, ...]
    unlisted: tuple[str, ...]
    disclosures: tuple[Disclosure, ...]
    permissions: tuple[dict[str, Any], ...]
    residual: tuple[str, ...]
    keeps_places: bool
    refused: tuple[Fault, ...] = field(default=())
    """What the owners did not allow."""

    @property
    def faults(self) -> list[Fault]:
        """Everything that must not be, one sentence each; no secret is repeated in it."""
        found = Counter((hit.where, hit.secret.kind) for hit in self.hits)
        return [
            *self.refused,
            *(
                Fault(
                    Rule.PRIVACY,
                    f"{where}: contains a {kind} that must not be shared; rename or remove it.",
                )
                for where, kind in sorted(found)
            ),
            *(Fault(Rule.PRIVACY, message) for message in self.unlisted),
        ]

    @property
    def passed(self) -> bool:
        return not self.faults

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``privacy_report.json``."""
        return {
            "schema_version": REPORT_SCHEMA,
            "level": self.level.value,
            "passed": self.passed,
            "signed_by": self.signed_by,
            "created": self.created,
            "searched": {
                "files": self.files,
                "secrets": self.secrets,
                "hits": len(self.hits),
                "unsearchable": self.unsearchable,
            },
            "fields": [
                {
                    "format": item.format,
                    "field": item.field,
                    "action": item.at(self.level, keeps_places=self.keeps_places),
                }
                for item in ACTIONS
            ],
            "exposure": [
                {
                    "group": disclosure.group,
                    "patches": disclosure.patches,
                    "voxels": disclosure.voxels,
                    "share_of_tomogram": round(disclosure.share, 4),
                    "overlapping_pairs": disclosure.overlapping_pairs,
                    "largest_box_zyx": list(disclosure.largest_box),
                }
                for disclosure in self.disclosures
            ],
            "permissions": list(self.permissions),
            "residual_risk": list(self.residual),
        }


def permission_faults(patches: Iterable[CuratedPatch], facts: BundleFacts) -> list[Fault]:
    """A sentence for every tomogram whose owner did not allow this bundle, by tomogram."""
    faults: dict[str, None] = {}
    for patch in patches:
        if patch.imported is not None:
            faults |= dict.fromkeys(_imported_faults(patch.imported, facts))
        else:
            name = f"{patch.dataset}/{patch.tomogram}"
            faults |= dict.fromkeys(_owner_faults(name, patch.permission, facts))
    return [Fault(Rule.PERMISSION, fault) for fault in faults]


def detail_faults(voxel_size: float | None, facts: BundleFacts) -> list[Fault]:
    """Return a fault if the voxels are finer than membranes need and nobody approved it."""
    if facts.level not in PUBLISHED or facts.finer_than_10_angstrom or voxel_size is None:
        return []
    if voxel_size >= FINEST * 0.99:
        return []
    return [
        Fault(
            Rule.PRIVACY,
            f"{voxel_size:g} angstrom a voxel gives away more detail than membranes need; extract "
            "from a tomogram of 10 angstrom, or say knowingly that finer detail may go.",
        )
    ]


def examine(
    folder: Path,
    cases: Sequence[PlannedCase],
    facts: BundleFacts,
    secrets: Collection[Secret],
    pseudonyms: Pseudonyms,
    voxel_size: float,
    volumes: Collection[str],
) -> PrivacyReport:
    """Look at a bundle that was written, before anybody can see it.

    ``secrets`` come from the catalog; those of the patches' own records are added.
    """
    scanner, count = scanner_of(secrets, cases, facts)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return PrivacyReport(
        level=facts.level,
        signed_by=signer_for_strangers(facts, pseudonyms),
        created=facts.created_text,
        files=len(files),
        secrets=count,
        unsearchable=count - scanner.searched,
        hits=tuple(scan_files(folder, files, scanner, facts)),
        unlisted=tuple(unlisted_fields(folder, volumes, keeps_places=facts.keeps_places)),
        disclosures=tuple(disclosures(cases, facts.recipe)),
        permissions=tuple(_permission_rows(cases, facts)),
        residual=tuple(residual_risk(facts, voxel_size)),
        keeps_places=facts.keeps_places,
        refused=tuple(permission_faults((case.patch for case in cases), facts)),
    )


def scanner_of(
    secrets: Collection[Secret], cases: Sequence[PlannedCase], facts: BundleFacts
) -> tuple[Scanner, int]:
    """Make the scanner of a level for the catalog's secrets and the patches' own; and their count.

    The day of the bundle itself is told; that somebody worked on it then is not.
    """
    own = secrets_of(case.patch for case in cases)
    known = {(secret.kind, secret.text): secret for secret in (*secrets, *own)}
    known.pop((SecretKind.DATE, facts.created_text), None)
    wanted = [known[key] for key in sorted(known) if key[0] in SEARCHED[facts.level]]
    return Scanner(wanted, own_text()), len(wanted)


def scan_files(
    folder: Path, files: Sequence[Path], scanner: Scanner, facts: BundleFacts
) -> list[Hit]:
    """Search files of a bundle, their names too."""
    allowed = named_people(facts)
    return [
        hit
        for path in files
        for hit in scanner.file(path, path.relative_to(folder).as_posix(), allowed)
    ]


@cache
def own_text() -> str:
    """The words that stand in every bundle, whoever made it."""
    facts = BundleFacts(
        title="", description="", licence=Licence.CC0, signed_by="", created=date(2000, 1, 1)
    )
    nobody = Pseudonyms(bytes(KEY_BYTES))
    empty = PrivacyReport(
        level=facts.level,
        signed_by="",
        created="",
        files=0,
        secrets=0,
        unsearchable=0,
        hits=(),
        unlisted=(),
        disclosures=(),
        permissions=(),
        residual=tuple(residual_risk(facts, FINEST)),
        keeps_places=False,
    )
    made = [
        bundle_json((), facts, FINEST, False),
        croissant_json(facts, ""),
        mifa_json((), facts),
        zenodo_json(facts),
        dataset_json([], DATASET_NAME),
        empty.as_json(),
        list(Split),
    ]
    pages = [card_text((), facts, FINEST), report_text(empty), *map(licence_text, Licence)]
    tables = [table_text(table_rows((), facts, nobody)), " ".join(map(" ".join, FOLDERS.values()))]
    return "\n".join([*map(canonical_json, made), *pages, *tables])


def named_people(facts: BundleFacts) -> Allowed:
    """The fields and lines in which the signer lists creators and the contact."""
    fields = {
        "bundle.json": ("creators[].name", "creators[].affiliation", "contact"),
        ".zenodo.json": ("creators[].name", "creators[].affiliation"),
        "mifa.json": (
            "authors[].author_last_name",
            "authors[].author_first_name",
            "authors[].organisation[].organisation_name",
        ),
        "croissant.json": ("creator[].name",),
    }
    return Allowed(
        frozenset(f"{name}: {item}" for name, known in fields.items() for item in known),
        frozenset({creators_line(facts), contact_line(facts)}),
    )


def signer_for_strangers(facts: BundleFacts, pseudonyms: Pseudonyms) -> str:
    """Say who signed, as a stranger may know it; the catalog keeps the name."""
    if facts.level is Level.INTERNAL or not facts.signed_by:
        return facts.signed_by
    return pseudonyms.of("signer", facts.signed_by)


def residual_risk(facts: BundleFacts, voxel_size: float) -> list[str]:
    """Describe what recipients can still find out."""
    risks = [NAMED] if facts.level is Level.INTERNAL else [UNLINKABLE, KEY]
    if facts.level is not Level.MINIMAL:
        risks += [STITCHED, COUNTED]
    if facts.keeps_places:
        risks.append(PLACED)
    return [*risks, DETAIL.format(size=voxel_size, nyquist=2 * voxel_size)]


def report_text(report: PrivacyReport) -> str:
    """The report as a page."""
    return "\n".join(
        [
            f"# Privacy report: {report.level} bundle, {report.created}",
            "",
            f"{'Passed' if report.passed else 'NOT PASSED'}. {_signature(report)}",
            "",
            "## What was searched",
            f"{report.files} files: their names, texts and headers, for {report.secrets} names, "
            f"paths, tokens, hosts and dates of the lab; {len(report.hits)} found. "
            f"{report.unsearchable} are too short or too common to be searched for.",
            *(f"* {fault.message}" for fault in report.faults),
            "",
            "## What was done to each field",
            "| format | field | action |",
            "|---|---|---|",
            *_field_lines(report),
            "",
            "## What is given away",
            "| group | patches | share of the tomogram | overlapping pairs "
            "| largest box (z, y, x) |",
            "|---|---|---|---|---|",
            *(
                f"| {e.group} | {e.patches} | {e.share:.1%} | {e.overlapping_pairs} | "
                f"{'×'.join(map(str, e.largest_box))} |"
                for e in report.disclosures
            ),
            "",
            "## What anybody can still find out",
            *(f"* {message}" for message in report.residual),
            "",
        ]
    )


def write_report(report: PrivacyReport, folder: Path) -> list[Path]:
    """Write the report's two files."""
    texts = {REPORT_JSON: canonical_json(report.as_json()), REPORT_MD: report_text(report)}
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    return [folder / name for name in texts]


def _signature(report: PrivacyReport) -> str:
    if not report.signed_by:
        return "Not signed yet."
    return f"Signed by {report.signed_by}, who read this report."


def _field_lines(report: PrivacyReport) -> list[str]:
    return [
        f"| {item.format} | {item.field} | "
        f"{item.at(report.level, keeps_places=report.keeps_places)} |"
        for item in ACTIONS
    ]


def _owner_faults(name: str, given: Permission | None, facts: BundleFacts) -> list[str]:
    if given is None:
        return [f"{name}: its owner's permission is not recorded; add it with tomocurate permit."]
    faults = []
    if given.scope not in SCOPE_NEEDED[facts.level]:
        faults.append(
            f"{name}: its owner allows {given.scope} use, and this bundle is {facts.level}; ask "
            "for more, or leave it out."
        )
    if _is_stricter(given.licence, facts.licence):
        faults.append(f"{name}: its owner allows {given.licence}, not {facts.licence}.")
    if given.until is not None and facts.created > given.until:
        faults.append(f"{name}: its permission ended on {given.until}; ask its owner again.")
    embargo = given.embargo_until
    if embargo is not None and facts.created < embargo and facts.level is not Level.INTERNAL:
        faults.append(f"{name}: is under embargo until {embargo}; nothing leaves before.")
    return faults


def _imported_faults(imported: Imported, facts: BundleFacts) -> list[str]:
    faults = []
    came = f"bundle {imported.bundle_id}"
    if _is_stricter(imported.licence, facts.licence):
        faults.append(f"{came}: came under {imported.licence}, not {facts.licence}.")
    if facts.level not in _MAY_GO_ON.get(imported.level, frozenset(Level)):
        faults.append(
            f"{came}: was given for {imported.level} use, and this bundle is {facts.level}; ask "
            "who gave it, or leave it out."
        )
    return faults


def _is_stricter(licence: Licence | None, than: Licence) -> bool:
    return licence is not None and STRICTEST.index(licence) > STRICTEST.index(than)


def _permission_rows(cases: Sequence[PlannedCase], facts: BundleFacts) -> list[dict[str, Any]]:
    """Return the number of patches per group and the permission that allows them, without names."""
    rows: Counter[tuple[str, str, str]] = Counter()
    for case in cases:
        patch = case.patch
        if patch.imported is not None:
            rows[case.group, "imported", patch.imported.licence.value] += 1
        elif patch.permission is not None:
            given = patch.permission
            rows[case.group, given.scope.value, (given.licence or facts.licence).value] += 1
    return [
        {"group": group, "scope": scope, "licence": licence, "patches": count}
        for (group, scope, licence), count in sorted(rows.items())
    ]
